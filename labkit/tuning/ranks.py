"""Several processes that tune together: who this one is, and how they agree. Alone, each of these does nothing.

Processes are started by torchrun or `accelerate launch`; accelerate finds the others, on this machine or on several.
"""

import atexit
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Ranks:
    """This process is number `rank` of `world`."""

    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, items: Sequence) -> Sequence:
        """This process's part of a batch."""
        return items[self.rank :: self.world]

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum the gradients of all processes, in one message."""
        if self.world == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        torch.distributed.all_reduce(flat)
        for p, part in zip(parameters, flat.split([g.numel() for g in gradients]), strict=True):
            p.grad = part.view_as(p).clone()

    def from_first(self, value):
        """What the first process gives, in all of them."""
        if self.world == 1:
            return value
        box = [value]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, mine: list) -> list:
        """The lists of all processes as one, the same everywhere."""
        if self.world == 1:
            return mine
        found: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(found, mine)
        return [item for part in found for item in part]

    def wait(self) -> None:
        """Until all have come here."""
        if self.world > 1:
            torch.distributed.barrier()


def ranks(device: str = "cpu") -> Ranks:
    """This process among those that torchrun or accelerate started; alone where neither did. `device`: the model's."""
    if _processes() < 2:
        return Ranks()
    from accelerate import PartialState

    begins = not torch.distributed.is_initialized()
    state = PartialState(cpu=device == "cpu")
    if begins:
        atexit.register(state.destroy_process_group)
    return Ranks(state.process_index, state.num_processes)


def own_device() -> str | None:
    """The GPU that is this process's own where several processes share a machine; None leaves the choice to
    `load_model`."""
    if _processes() < 2 or not torch.cuda.is_available():
        return None
    return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"


def speaks() -> bool:
    """Whether this process is the one that prints: the first, or alone."""
    return _processes() < 2 or os.environ.get("RANK", "0") == "0"


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))
