"""Several processes that tune together: who this one is, and how they agree. Alone, each of these does nothing.

Processes are started by torchrun or `accelerate launch`; accelerate finds the others, on this machine or on several.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


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

    def sum(self, values: Tensor) -> Tensor:
        """Sum over the processes."""
        if self.world > 1:
            torch.distributed.all_reduce(values)
        return values

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


def ranks() -> Ranks:
    """This process among those that torchrun or accelerate started; alone where neither did."""
    import os

    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Ranks()
    from accelerate import PartialState

    state = PartialState()
    return Ranks(state.process_index, state.num_processes)
