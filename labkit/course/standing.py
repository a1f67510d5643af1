"""How far a learner has come: exercises passed of the labs present, runs, the ladder so far; and the certificate page.

Read from what `steps` and the run store keep (each step is one file, written atomically when a check passes), so there
is no second record that could disagree. This is no grade book, and the page proves nothing to others: a learner can
edit either.
"""

import html
import importlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from labkit.course import steps
from labkit.home import write_atomically
from labkit.runs import Run, RunStore


@dataclass(frozen=True)
class Lab:
    """One lab that the course has: its exercises, and those passed, in the lab's order."""

    name: str
    exercises: tuple[str, ...]
    passed: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """Labs present, and finished runs, oldest first: in that order they are the climb."""

    labs: tuple[Lab, ...]
    runs: tuple[Run, ...]

    @property
    def of(self) -> int:
        """Exercises in the labs present."""
        return sum(len(lab.exercises) for lab in self.labs)

    @property
    def passed(self) -> int:
        """Exercises passed."""
        return sum(len(lab.passed) for lab in self.labs)

    def to_json(self) -> dict:
        """All of it as JSON values."""
        labs = [{"lab": lab.name, "exercises": lab.exercises, "passed": lab.passed} for lab in self.labs]
        keys = ("id", "started", "set", "mode", "model", "adapter", "prompt", "n", "correct", "accuracy", "low", "high")
        runs = [{key: getattr(run, key) for key in keys} for run in self.runs]
        return json.loads(json.dumps({"passed": self.passed, "of": self.of, "labs": labs, "runs": runs}))

    def __str__(self) -> str:
        lines = [f"{lab.name}: {len(lab.passed)} of {len(lab.exercises)} exercises passed" for lab in self.labs]
        lines.append(f"Together: {self.passed} of {self.of} exercises in the {len(self.labs)} labs present.")
        lines += [f"{run.set}, {_what(run)}: {run}  run {run.id}" for run in self.runs] or ["No finished run yet."]
        return "\n".join(lines)

    __repr__ = __str__


def progress(store: RunStore | None = None) -> Standing:
    """What this learner has passed and measured so far. LabkitError when the run store cannot be read."""
    passed = set(steps.progress().passed)
    labs = []
    for source in sorted(Path(__file__).parent.glob("lab[0-9][0-9].py")):
        names = tuple(
            f"{source.stem}.{key}" for key in importlib.import_module(f"labkit.course.{source.stem}").EXERCISES
        )
        labs.append(Lab(source.stem, names, tuple(name for name in names if name in passed)))
    finished = [run for run in (store or RunStore()).list() if run.finished]
    return Standing(tuple(labs), tuple(sorted(finished, key=lambda run: run.started)))


def certificate(path: str | Path, standing: Standing | None = None) -> Path:
    """Write the certificate page to `path`, one HTML file that needs no other, and return it."""
    return write_atomically(path, _page(standing or progress()))


def _what(run: Run) -> str:
    return " + ".join(filter(None, [run.model, run.adapter and Path(run.adapter).name, run.prompt]))


def _page(standing: Standing) -> str:
    labs = "".join(
        f"<tr><td>{html.escape(lab.name)}</td><td>{len(lab.passed)} of {len(lab.exercises)}</td></tr>"
        for lab in standing.labs
    )
    runs = "".join(_row(run) for run in standing.runs) or '<tr><td colspan="4">No finished run yet.</td></tr>'
    done = "all" if standing.of and standing.passed == standing.of else f"{standing.passed} of {standing.of}"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>labkit: what I climbed</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }} td, th {{ text-align: left; padding: .3rem .6rem; }}
meter {{ width: 8rem; }}
</style></head><body>
<h1>What I climbed</h1>
<p>Passed {done} exercises of the {len(standing.labs)} labs present. {datetime.now(UTC):%Y-%m-%d}.</p>
<table><tr><th scope="col">Lab</th><th scope="col">Exercises passed</th></tr>{labs}</table>
<h2>Measured on this machine</h2>
<p>Each run in the order begun: share right with its Wilson 95 % interval, and the run's id in the run store.</p>
<table><tr><th scope="col">Set</th><th scope="col">Model</th><th scope="col">Accuracy</th><th scope="col">Run</th></tr>
{runs}</table></body></html>
"""


def _row(run: Run) -> str:
    bar = f'<meter min="0" max="1" value="{run.accuracy:.4f}" aria-label="accuracy"></meter>'
    cells = (html.escape(run.set), html.escape(_what(run)), f"{bar} {html.escape(str(run))}", html.escape(run.id))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
