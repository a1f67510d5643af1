"""Where the figures of a lab usually lie: beside the learner's own, the lowest and the highest of recorded runs.

`tools/record_bands.py` executes a lab's solutions, with each seed of SEEDS in each type of DTYPES if it is let run to
its end, and writes what the lab hands to `expected` into `datasets/bands/labNN.jsonl`, a line a run. A band is the
range of the runs that are there, and says which these are; nothing is fitted to it: of n + 1 runs alike the last one is
the highest or the lowest in 2 of n + 1 cases. Not a test: a figure outside stays as it was measured.
"""

import json
import math
from dataclasses import dataclass, replace

from labkit.course.places import DEFAULT_MODEL, Setting, datasets
from labkit.errors import LabkitError

SEEDS, DTYPES = (0, 1, 2), ("bfloat16", "float32")  # the runs of a whole recording
FEWEST = 3  # runs that make a range
handed_in: dict[str, dict[str, float]] = {}  # lab -> figures of this process; the recording tool reads it


@dataclass(frozen=True)
class Figure:
    """One figure of the learner and the range of the recorded ones; `runs` is 0 when there is no band."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    runs: int = 0

    @property
    def verdict(self) -> str:
        """ "inside", "outside", or "" without a band."""
        return ("inside" if self.low <= self.value <= self.high else "outside") if self.runs else ""


@dataclass(frozen=True)
class Expected:
    """A lab's figures beside their bands; `note` says where the bands come from, or why there are none."""

    figures: tuple[Figure, ...]
    note: str

    def to_frame(self):
        """One row a figure: yours, the lowest and the highest recorded, the verdict."""
        import pandas as pd

        rows = [(f.name, f.value, f.low, f.high, f.verdict) for f in self.figures]
        return pd.DataFrame(rows, columns=["figure", "yours", "lowest", "highest", "verdict"]).set_index("figure")

    def __str__(self) -> str:
        width = max(len(figure.name) for figure in self.figures)
        lines = [self.note]
        for f in self.figures:
            band = f"  recorded {f.low:g} to {f.high:g}: {f.verdict}" if f.runs else ""
            lines.append(f"{f.name:{width}}  {f.value:g}{band}")
        return "\n".join(lines)

    __repr__ = __str__


def expected(lab: str, figures: dict[str, float], setting: Setting) -> Expected:
    """The learner's `figures` (name -> number) of `lab`, as in "lab06", beside the recorded runs.

    There are bands for the default model in the full profile only. LabkitError when the recorded file is damaged.
    """
    handed_in[lab] = {name: float(value) for name, value in figures.items()}
    mine = tuple(Figure(name, round(float(value), 4)) for name, value in figures.items())
    if setting.profile == "ci" or setting.model != DEFAULT_MODEL:
        return Expected(mine, f"No band for this setting: bands are about {DEFAULT_MODEL} in the full profile.")
    runs = recorded(lab)
    if len(runs) < FEWEST:
        return Expected(
            mine, f"No band: {len(runs)} runs of {lab} are recorded in datasets/bands/, {FEWEST} are needed."
        )
    named = ", ".join(f"seed {run['seed']} in {run['dtype']}" for run in runs)
    note = f"Beside {len(runs)} recorded runs of {len(SEEDS) * len(DTYPES)} planned: {named}."
    return Expected(tuple(_beside(figure, runs) for figure in mine), note)


def recorded(lab: str) -> list[dict]:
    """The lines of the lab's file: {seed, dtype, figures, ...}; an empty list when there is none."""
    path = datasets() / "bands" / f"{lab}.jsonl"
    if not path.exists():
        return []
    try:
        runs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        _ = [(run["seed"], run["dtype"], dict(run["figures"])) for run in runs]
    except (ValueError, KeyError, TypeError) as error:
        raise LabkitError(f"{path} is damaged ({error}). Get it again: git checkout -- {path}") from None
    return runs


def _beside(figure: Figure, runs: list[dict]) -> Figure:
    values = [round(run["figures"][figure.name], 4) for run in runs if figure.name in run["figures"]]
    return replace(figure, low=min(values), high=max(values), runs=len(values)) if values else figure
