"""Where a run is kept while it is under way: one file, replaced whole; and Ctrl-C, which waits for the step to end.

Nothing here knows a network: a trainer and a plan are things with `state()` and `restore(state)`.
"""

import io
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from labkit.errors import LabkitError
from labkit.home import write_atomically
from labkit.notices import notice
from labkit.tuning.ranks import Ranks


class Checkpoint:
    """The file at `path`, written by the first process, read for all. `identity` tells runs apart; `seconds` is what
    the tuning has taken so far, those before an interruption included.

    LabkitError when the file is of a run with another identity, or damaged.
    """

    def __init__(self, path: Path, identity: dict, ranks: Ranks, every: float = 60.0):
        self.path, self.identity, self.ranks, self.every = path, identity, ranks, every
        self.kept: dict | None = ranks.from_first(self._read() if ranks.first else None)
        self.seconds = self.kept["seconds"] if self.kept else 0.0
        self.last = time.monotonic()
        self.states: list[dict] = []  # the last two

    def _read(self) -> dict | None:
        if not self.path.is_file():
            return None
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
            other = {key for key in self.identity if kept["identity"].get(key) != self.identity[key]}
        except Exception as error:  # torch.load raises what unpickling does
            raise LabkitError(f"{self.path} is damaged ({error}). Remove it to begin anew.") from error
        if other:
            raise LabkitError(
                f"{self.path.parent} holds an unfinished tuning with another {', '.join(sorted(other))}. "
                "Name another folder, or remove that one."
            )
        return kept

    def load(self, trainer, plan) -> bool:
        """Go on from the file, if there was one."""
        if not self.kept:
            return False
        trainer.restore(self.kept["trainer"])
        plan.restore(self.kept["plan"])
        threads = self.kept["threads"]
        if threads != torch.get_num_threads() and self.ranks.first:
            notice(
                f"It was begun on {threads} threads and goes on with {torch.get_num_threads()}: the last digits will "
                "not be those of an unbroken run."
            )
        self.kept = None
        return True

    def take(self, trainer, plan) -> None:
        """Keep the state now."""
        state = {"trainer": trainer.state(), "plan": plan.state(), "seconds": self.seconds}
        self.states = [*self.states[-1:], state]
        if self.ranks.first:
            buffer = io.BytesIO()
            torch.save(state | {"identity": self.identity, "threads": torch.get_num_threads()}, buffer)
            write_atomically(self.path, buffer.getvalue())
        self.last = time.monotonic()

    def due(self) -> bool:
        """Is the file older than `every` seconds?"""
        return time.monotonic() - self.last >= self.every

    def back(self, trainer, plan) -> None:
        """Go back to the state before the last one: whatever went wrong may have begun before that one was taken."""
        state, self.states = self.states[0], []
        trainer.restore(state["trainer"])
        plan.restore(state["plan"])


@dataclass
class StopRequest:
    """Whether somebody pressed Ctrl-C."""

    asked: bool = False


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Within the block Ctrl-C only asks, so that no step is left half done; pressed again it interrupts at once.

    In a thread, or where the program has its own way with Ctrl-C, that way stays.
    """
    request = StopRequest()
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield request
        return

    def ask(number, frame):
        if request.asked:
            raise KeyboardInterrupt
        request.asked = True

    signal.signal(signal.SIGINT, ask)
    try:
        yield request
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
