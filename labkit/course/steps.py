"""What a learner has done so far: one small JSON file per exercise, in the kit's home folder.

One file per exercise, so that two notebooks can write at once. This is not a grade book: a learner can edit it, and a
lab never refuses to go on because of it.
"""

import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from labkit.home import home, write_atomically


@dataclass(frozen=True)
class Step:
    """One exercise of one learner. Times are ISO texts in UTC, `passed` is "" until the first pass."""

    name: str
    tries: int = 0
    hints: int = 0
    passed: str = ""


@dataclass(frozen=True)
class Progress:
    """All steps begun so far, in the order of their names."""

    steps: tuple[Step, ...]

    @property
    def passed(self) -> tuple[str, ...]:
        """Names of the exercises passed."""
        return tuple(step.name for step in self.steps if step.passed)

    def __str__(self) -> str:
        if not self.steps:
            return "No exercise begun yet."
        lines = [f"{'✓' if s.passed else '·'} {s.name:32} {_plural(s.tries, 'try', 'tries')}" for s in self.steps]
        return "\n".join([*lines, f"{len(self.passed)} of {len(self.steps)} exercises begun are passed."])

    __repr__ = __str__

    def to_frame(self):
        """The steps as a pandas frame, one row an exercise."""
        import pandas as pd

        return pd.DataFrame([asdict(step) for step in self.steps], columns=["name", "tries", "hints", "passed"])


def progress() -> Progress:
    """Everything kept so far; unreadable files are passed over."""
    names = sorted(path.stem for path in _folder().glob("*.json")) if _folder().is_dir() else []
    return Progress(tuple(_read(name) for name in names))


def record(name: str, passed: bool, hint: int = 0) -> str:
    """Count one try of exercise `name`. Returns "" or a sentence that says why it could not be kept; never raises."""
    try:
        step = _read(name)
        when = step.passed or (datetime.now(UTC).isoformat(timespec="seconds") if passed else "")
        step = replace(step, tries=step.tries + 1, hints=max(step.hints, hint), passed=when)
        write_atomically(_path(name), json.dumps(asdict(step), indent=1) + "\n")
    except OSError as error:
        return f"(This could not be kept in {_folder_name()}: {error.strerror or error}.)"
    return ""


def forget(name: str) -> None:
    """Start exercise `name` anew."""
    _path(name).unlink(missing_ok=True)


def _folder() -> Path:
    return home() / "progress"


def _folder_name() -> str:
    try:
        return str(_folder())
    except OSError:
        return "the kit's home folder"


def _path(name: str) -> Path:
    if not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)*", name):
        raise ValueError(f"not the name of an exercise: {name!r}")
    return _folder() / f"{name}.json"


def _read(name: str) -> Step:
    try:
        kept = json.loads(_path(name).read_text(encoding="utf-8"))
        return Step(name, int(kept["tries"]), int(kept["hints"]), str(kept["passed"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Step(name)


def _plural(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
