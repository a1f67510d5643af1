"""Where labs keep what a learner makes: in the kit's folder, so that a restart loses nothing, and found again later.

Nothing is ever overwritten here: an adapter gets a folder of its own each time that a lab is gone through, and files
that a learner changes by hand, such as a question set, are made once. Runs are kept by the run store, not here.
"""

from itertools import count
from pathlib import Path

from labkit.home import home
from labkit.runs import RunStore


def adapters_folder(lab: str) -> Path:
    """A folder for the adapters of one pass through a lab, `adapters/LAB-1` and so on: a new one, or the last one
    where nothing was put into it yet."""
    return _numbered(home() / "adapters", lab)


def workspace_folder(lab: str) -> Path:
    """A folder, numbered in the same way, for one pass through a lab that makes more than adapters: `labs/LAB-1`."""
    return _numbered(home() / "labs", lab)


def _numbered(parent: Path, lab: str) -> Path:
    for number in count(1):
        folder = parent / f"{lab}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not folder.is_dir() or any(folder.iterdir()):
                continue
        return folder


def files_folder(lab: str) -> Path:
    """The folder of the files that a learner changes in a lab, `labs/LAB`: the same one each time."""
    folder = home() / "labs" / lab
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def last_adapter(lab: str, model, store: RunStore | None = None) -> Path | None:
    """The newest adapter that was tuned for SQL in a lab on `model`'s weights, held as they are here (in 4 bits or
    not), evaluated (a run of `store`, default: the kit's own, names it), and is still there; None where there is
    none."""
    for run in (store or RunStore()).list():
        folder = Path(run.adapter or "")
        of_lab = folder.parent.name.startswith(f"{lab}-") and (folder / "adapter_config.json").is_file()
        same = (run.model_hash, run.four_bit) == (model.sha256, model.four_bit)
        if of_lab and same and run.finished and run.mode == "execution":
            return folder
    return None
