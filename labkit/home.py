"""Where the kit keeps its files on this machine, and how it writes one so that a crash never leaves half of it.

``LABKIT_HOME`` names the folder; without it the platform's cache folder is used. This is no settings module: what can
be decided in a call is an argument of that call.
"""

import os
import tempfile
from pathlib import Path

import platformdirs

from labkit.errors import LabkitError


def home() -> Path:
    """The kit's folder on this machine (models, run store), created when missing. LabkitError where that cannot be."""
    folder = Path(os.environ.get("LABKIT_HOME") or platformdirs.user_cache_dir("labkit", appauthor=False))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabkitError(f"The kit's folder cannot be made: {error}. Set LABKIT_HOME to a folder of yours.") from error
    return folder


def write_atomically(path: str | Path, content: str | bytes) -> Path:
    """Write `content` to `path` through a temporary file in the same folder, fsync and rename; return the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
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
