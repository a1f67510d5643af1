"""What the kit's home folder holds, how large it is, and freeing it.

Only folders that the kit itself makes are looked at; what else lies there is left alone. Nothing is removed but by
`free`, the run store and a learner's progress only when named, and no training that is under way.
"""

import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from labkit.home import MEASURING, abandoned, alone, home

KINDS = {
    "models": "models, fetched again when needed",
    "copies": "small copies of databases, made again when needed",
    "vectors": "vectors of the pairs that were searched, made again when needed",
    "left": "what measurements that were killed left behind",
    "unfinished": "half-finished trainings, which would go on from there",
    "adapters": "tuned adapters",
    "runs": "the run store and its ladders",
}
USUAL = ("models", "copies", "vectors", "left", "unfinished")
_OLD = 24 * 3600  # seconds; earlier versions' temporary folders do not say whose they are


@dataclass(frozen=True)
class Use:
    """One kind of files, where they are, and their bytes on disk."""

    kind: str
    about: str
    paths: tuple[Path, ...]
    bytes: int


def used() -> list[Use]:
    """What there is of each kind; links are not followed."""
    folder = home()
    places = {
        "models": [folder / "models"],
        "copies": [folder / "copies"],
        "vectors": [folder / "vectors"],
        "left": [*abandoned(folder, MEASURING), *_nameless(folder)],
        "unfinished": sorted(path for part in ("adapters", "labs") for path in (folder / part).glob("**/unfinished")),
        "adapters": [folder / "adapters", *sorted(c.parent for c in (folder / "labs").glob("**/adapter_config.json"))],
        "runs": [*sorted(folder.glob("runs.db*")), folder / "ladders"],
    }
    found = {
        kind: tuple(path for path in paths if path.exists() or path.is_symlink()) for kind, paths in places.items()
    }
    sizes = {kind: sum(map(_size, paths)) for kind, paths in found.items()}
    within = (path for path in found["unfinished"] if path.is_relative_to(folder / "adapters"))
    sizes["adapters"] -= sum(map(_size, within))  # these lie in the adapters' folder, and are counted once
    return [Use(kind, KINDS[kind], paths, sizes[kind]) for kind, paths in found.items()]


def free(kinds: Sequence[str] = USUAL) -> int:
    """Remove these kinds; return the bytes that they took. A link is removed, what it points to stays.

    LabkitError, and nothing is removed, where a training that would be removed is under way.
    """
    wanted = {*kinds, "unfinished"} if "adapters" in kinds else {*kinds}  # the one lies in the other
    chosen = [use for use in used() if use.kind in wanted]
    with ExitStack() as all_idle:
        for path in (path for use in chosen if use.kind == "unfinished" for path in use.paths):
            all_idle.enter_context(alone(path))
    for path in (path for use in chosen for path in use.paths):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return sum(use.bytes for use in chosen)


def _nameless(folder: Path) -> list[Path]:
    """Temporary folders of earlier versions: `tmp` and eight letters, what a training writes, untouched for a day."""
    found = [path for path in sorted(folder.glob("tmp????????")) if path.is_dir() and not path.is_symlink()]
    return [
        path
        for path in found
        if {inner.name for inner in path.iterdir()} <= {"trunk", "checkpoint.pt"}
        and max(inner.stat().st_mtime for inner in (path, *path.rglob("*"))) < time.time() - _OLD
    ]


def _size(path: Path) -> int:
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    return sum(one.lstat().st_size for one in path.rglob("*") if one.is_symlink() or one.is_file())
