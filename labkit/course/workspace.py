"""The learner's folder `my-labs/`: missing labs are copied into it, nothing in it is ever overwritten.

This is not a launcher of its own: JupyterLab does the rest.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import LabkitError


@dataclass(frozen=True)
class CopiedLabs:
    """What `copy_missing_labs` did: names copied now, and names kept although the course has another version."""

    folder: Path
    copied: tuple[str, ...]
    kept: tuple[str, ...]


def course_root(start: str | Path | None = None) -> Path:
    """The checkout with `notebooks/` and `datasets/`: the nearest above `start` (default: here), else the package's."""
    start = Path(start or Path.cwd()).resolve()
    for folder in (start, *start.parents, Path(__file__).resolve().parents[2]):
        if (folder / "notebooks").is_dir() and (folder / "datasets").is_dir():
            return folder
    raise LabkitError(
        f"There is no course above {start}. Go into the folder that you cloned and run the command there."
    )


def copy_missing_labs(root: Path) -> CopiedLabs:
    """Copy each `notebooks/lab*.ipynb` that `my-labs/` lacks; a file that is there is the learner's and stays."""
    folder = root / "my-labs"
    folder.mkdir(exist_ok=True)
    copied, kept = [], []
    for lab in sorted((root / "notebooks").glob("lab*.ipynb")):
        mine, original = folder / lab.name, folder / ".originals" / lab.name
        original.parent.mkdir(exist_ok=True)
        if not mine.exists():
            shutil.copyfile(lab, original)
            _place(original, mine)
            copied.append(lab.name)
        elif original.exists() and original.read_bytes() != lab.read_bytes():
            kept.append(lab.name)
    return CopiedLabs(folder, tuple(copied), tuple(kept))


def _place(source: Path, target: Path) -> None:
    """Copy without ever replacing: "x" fails if a file appeared meanwhile, and then that file is the learner's."""
    try:
        with open(target, "xb") as file:
            file.write(source.read_bytes())
    except FileExistsError:
        return


def open_lab(root: Path, arguments: list[str]) -> int:
    """Run JupyterLab in `my-labs/` until it ends; `arguments` go to it as they are. Returns its exit code."""
    folder = root / "my-labs"
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}"]
    first = next(iter(sorted(path.name for path in folder.glob("lab*.ipynb"))), None)
    if first:
        command.append(f"--LabApp.default_url=/lab/tree/{first}")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # containers run as root, and Jupyter refuses that unless told
    server = subprocess.Popen([*command, *arguments], cwd=folder)
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:  # JupyterLab asks whether to stop: the answer is its own
            continue
