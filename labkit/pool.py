"""A warm pool of killable child programs that answer frames. It knows processes, pipes and clocks, nothing of SQL.

Children are started as programs (``python -m labkit.sandbox``), never forked, and kept for later queries. A child that
overruns its time is killed and another takes its place. What a child sends is bytes of bounded length, never a pickle.
"""

import atexit
import contextlib
import math
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from labkit.errors import LabkitError

_FRAME = struct.Struct("!Q")
_GRACE = 0.25  # seconds beyond a query's limit before its child is killed: it mostly stops the query itself
_START_SECONDS = 60.0
_KEEP_ENVIRONMENT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ")


class ChildEnded(Exception):
    """The child is dead; `limit` is "time", "cpu", "memory" or "crash", ``str(error)`` a sentence."""

    def __init__(self, limit: str, sentence: str):
        super().__init__(sentence)
        self.limit = limit


class Child:
    """One running child program with its two pipes. Not for several threads at a time: the pool lends it to one."""

    def __init__(self, module: str):
        if not hasattr(select, "poll"):
            raise LabkitError("Queries run in child programs that need POSIX pipes. On Windows, work in WSL.")
        # The child imports from where the parent does, whether labkit is installed or not, and sees nothing else of its
        # environment: -P keeps the current folder out, -S skips site-packages' start-up code, -B leaves no .pyc.
        folders = [*map(os.path.abspath, filter(None, sys.path)), str(Path(__file__).resolve().parent.parent)]
        environment = {name: os.environ[name] for name in _KEEP_ENVIRONMENT if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-S", "-B", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env=environment | {"PYTHONPATH": os.pathsep.join(folders), "MALLOC_ARENA_MAX": "1"},
            start_new_session=True,  # Ctrl-C in the terminal goes to the parent alone
        )
        self._unread = bytearray()
        self._poll = select.poll()
        self._poll.register(self._process.stdout, select.POLLIN)
        try:
            self.receive(_START_SECONDS, 100)
        except ChildEnded as end:
            raise LabkitError(f"The child program did not start. `{sys.executable} -m {module}` shows why.") from end
        except BaseException:
            self.kill()
            raise

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, payload: bytes) -> None:
        """Write one frame. Raises ChildEnded if nobody reads it."""
        data = memoryview(_FRAME.pack(len(payload)) + payload)
        try:
            while data:
                data = data[self._process.stdin.write(data) :]
        except BrokenPipeError:
            raise self._ended() from None

    def receive(self, seconds: float, max_bytes: int) -> bytes:
        """The next frame, if it comes in time; else the child is killed and ChildEnded says why."""
        deadline = time.monotonic() + seconds + _GRACE
        while (frame := self._take_frame(max_bytes)) is None:
            milliseconds = math.ceil(1000 * max(0.0, deadline - time.monotonic()))
            if not self._poll.poll(milliseconds):
                self.kill()
                raise ChildEnded("time", f"Stopped: the query ran longer than {seconds:g} s.")
            data = os.read(self._process.stdout.fileno(), 1 << 20)
            if not data:
                raise self._ended()
            self._unread += data
        return frame

    def _take_frame(self, max_bytes: int) -> bytes | None:
        if len(self._unread) < _FRAME.size:
            return None
        (length,) = _FRAME.unpack_from(self._unread)
        if length > max_bytes:
            self.kill()
            raise ChildEnded("crash", "Stopped: the child program sent more than a result can hold.")
        end = _FRAME.size + length
        if len(self._unread) < end:
            return None
        frame = bytes(self._unread[_FRAME.size : end])
        del self._unread[:end]
        return frame

    def _ended(self) -> ChildEnded:
        """Why it died by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        self.kill()
        if code == -signal.SIGXCPU:
            return ChildEnded("cpu", "Stopped: the query used more processor time than its limit allows.")
        if code == -signal.SIGKILL:
            return ChildEnded("memory", "Stopped: the operating system killed the query, mostly for want of memory.")
        return ChildEnded("crash", f"Stopped: SQLite broke down on this query (exit code {code}).")

    def terminate(self) -> None:
        """From any thread: the borrower, waiting for an answer, then gets ChildEnded."""
        self._process.kill()

    def kill(self) -> None:
        """For its borrower: kill, wait, close the pipes. May be called twice."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def forget(self) -> None:
        """After a fork: the child belongs to the parent process. Close this copy of its pipes, leave it alone."""
        self._process.returncode = 0
        self._process.stdin.close()
        self._process.stdout.close()


class Pool:
    """At most `size` children, each lent to one thread at a time."""

    def __init__(self, module: str, size: int):
        self.module, self.size = module, size
        self._free = threading.BoundedSemaphore(size)
        self._idle: list[Child] = []
        self._all: set[Child] = set()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def borrow(self, fresh: bool = False) -> Iterator[Child]:
        """A live child, ready for requests; a new one if `fresh`, since an idle one may be dying unseen.

        If the block raises, the child is killed: it may be in mid-sentence.
        """
        with self._free:
            child = self._take(fresh)
            try:
                yield child
            except BaseException:
                self._discard(child)
                raise
            if child.alive:
                with self._lock:
                    self._idle.append(child)
            else:
                self._discard(child)

    def _take(self, fresh: bool) -> Child:
        while True:
            with self._lock:
                child = self._idle.pop() if self._idle else None
            if child is None:
                child = Child(self.module)
                with self._lock:
                    self._all.add(child)
                return child
            if child.alive and not fresh:
                return child
            self._discard(child)

    def _discard(self, child: Child) -> None:
        child.kill()
        with self._lock:
            self._all.discard(child)

    def close(self) -> None:
        """Kill every child; a thread that waits for one gets ChildEnded. The pool can be used again afterwards."""
        with self._lock:
            idle, lent = self._idle, self._all.difference(self._idle)
            self._idle, self._all = [], lent
        for child in idle:
            child.kill()
        for child in lent:
            child.terminate()

    def forget(self) -> None:
        """In a forked copy of this process: start anew with a pool of its own."""
        for child in self._all:
            child.forget()
        self.__init__(self.module, self.size)


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


SANDBOXES = Pool("labkit.sandbox", size=min(8, max(2, available_cores())))
atexit.register(SANDBOXES.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SANDBOXES.forget)
