"""Where the kit keeps its files on this machine, and how it writes one so that a crash never leaves half of it.

``LABKIT_HOME`` names the folder; without it the platform's cache folder is used. This is no settings module: what can
be decided in a call is an argument of that call.
"""

import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import platformdirs

from labkit.errors import LabkitError

MEASURING = "measuring"  # the name of `workbench`es for measurements, in the kit's folder


def is_file(path: Path) -> bool:
    """Whether there is such a file; a text too long for a name is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def home() -> Path:
    """The kit's folder on this machine (models, run store), created when missing. LabkitError where that cannot be."""
    folder = Path(os.environ.get("LABKIT_HOME") or platformdirs.user_cache_dir("labkit", appauthor=False))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabkitError(f"The kit's folder cannot be made: {error}. Set LABKIT_HOME to a folder of yours.") from error
    return folder


def write_atomically(path: str | Path, content: str | bytes) -> Path:
    """Write `content` to `path` through a temporary file in the same folder, fsync and rename; return the path.

    Temporary files of this name that a killed process left behind go first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*-*"):
        process = left.name.rpartition(".")[2].partition("-")[0]
        if process.isdigit() and not alive(process):
            left.unlink(missing_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.{os.getpid()}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


@contextmanager
def workbench(parent: Path, name: str) -> Iterator[Path]:
    """A folder `.NAME-...` in `parent` that is gone after the block; those that killed processes left go first."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in abandoned(parent, name):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=f".{name}-{os.getpid()}-") as folder:
        yield Path(folder)


def abandoned(parent: Path, name: str) -> list[Path]:
    """The folders of `workbench` whose process is gone."""
    return [left for left in sorted(parent.glob(f".{name}-*-*")) if not alive(left.name.split("-")[1])]


def alive(process: str) -> bool:
    """Is there a process of this id? What is no number is none."""
    import psutil

    return process.isdigit() and psutil.pid_exists(int(process))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Within the block no other process, and no other call, works in `folder`; LabkitError where one does already.

    The system gives the lock back when a process dies, so that nothing has to be removed by hand.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / "in-use.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise LabkitError(
            f"Something is at work in {folder} just now. Wait for it, or stop it: it goes on later."
        ) from error
    try:
        yield
    finally:
        lock.release()
