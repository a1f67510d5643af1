"""What the kit's home folder holds, how large it is, and freeing it.

Every file there is counted once, so that the kinds add up to the folder. Nothing is removed but by `free`: what took
hours, tuned adapters and the run store only when named, what a learner wrote never, and no training that is under way.
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
    "remade": "what `make artifacts`, `climb`, `starter` and benchmarks left, hours of work to make again",
    "adapters": "tuned adapters",
    "runs": "the run store and its ladders",
    "yours": "questions, training pairs and progress of the labs, always kept",
    "other": "what else lies there, left alone",
}
REMADE = ("artifacts", "climb", "mome-scale", "side-effects", "elsewhere", "practice", "random-qwen2.5-0.5b")
YOURS = ("labs", "sets", "training", "progress")
NEVER = ("yours", "other")
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
    """What there is of each kind, each file counted once; links are not followed. Of "other" no paths are told."""
    folder = home()
    places = {
        "models": [folder / "models"],
        "copies": [folder / "copies"],
        "vectors": [folder / "vectors"],
        "left": [*abandoned(folder, MEASURING), *_nameless(folder)],
        "unfinished": sorted(path for part in ("adapters", "labs") for path in (folder / part).glob("**/unfinished")),
        "remade": [folder / name for name in REMADE],
        "adapters": [folder / "adapters", *sorted(c.parent for c in (folder / "labs").glob("**/adapter_config.json"))],
        "runs": [*sorted(folder.glob("runs.db*")), folder / "ladders"],
        "yours": [folder / name for name in YOURS],
        "other": [],
    }
    found = {
        kind: tuple(path for path in paths if path.exists() or path.is_symlink()) for kind, paths in places.items()
    }
    kind_of = {folder: "other"} | {path: kind for kind, paths in found.items() for path in paths}
    sizes = dict.fromkeys(KINDS, 0)
    for path in folder.rglob("*"):
        if path.is_symlink() or path.is_file():
            place = next(place for place in (path, *path.parents) if place in kind_of)  # the nearest one
            sizes[kind_of[place]] += path.lstat().st_size
    return [Use(kind, KINDS[kind], paths, sizes[kind]) for kind, paths in found.items()]


def free(kinds: Sequence[str] = USUAL) -> int:
    """Remove these kinds; return the bytes that they took. A link is removed, what it points to stays.

    LabkitError, and nothing is removed, where a training that would be removed is under way. ValueError for a kind that
    is never removed.
    """
    if kept := [kind for kind in kinds if kind in NEVER]:
        raise ValueError(f"{kept[0]} is never removed")
    wanted = {*kinds, "unfinished"} if "adapters" in kinds else {*kinds}  # the one lies in the other
    chosen = [use for use in used() if use.kind in wanted]
    with ExitStack() as all_idle:
        within = {path for use in chosen for place in use.paths for path in place.glob("**/unfinished")}
        for path in sorted(within | {path for use in chosen if use.kind == "unfinished" for path in use.paths}):
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
