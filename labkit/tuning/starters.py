"""The starter adapter of a model: what it learnt from practice databases, to go on from (`tune(adapter="starter")`).

It lies in the package, made by `make starter`; its card says of how many pairs, in how long. It has seen no database
of a user's, nor one of the kit's own `datasets/`.
"""

from pathlib import Path

from labkit.errors import LabkitError
from labkit.tuning.adapter import CONFIG

NAME = "starter"
_HOME = Path(__file__).parent / "starters"


def folder(model) -> Path:
    """Where the starter of `model` lies, or would: each for the weights that it was made for."""
    return _HOME / model.sha256[:12]


def starter(model) -> Path:
    """The starter's folder; LabkitError where the kit has none for these weights."""
    if not has_starter(model):
        raise LabkitError(
            f"The kit has no starter adapter for {model.name} ({model.sha256[:12]}). Tune without one, or make one "
            "from a clone of the kit: python tools/make_starter.py --model NAME."
        )
    return folder(model)


def has_starter(model) -> bool:
    """Whether the kit has a starter for these weights."""
    return (folder(model) / CONFIG).is_file()


def is_starter(adapter: str | Path) -> bool:
    """Whether a folder is one of the kit's starters."""
    return Path(adapter).parent == _HOME
