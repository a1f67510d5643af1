"""How far a learner has come: exercises passed of the labs present, a ladder a question set; the certificate page.

Read from what `steps` and the run store keep (each step is one file, written atomically when a check passes), so there
is no second record that could disagree. This is no grade book, and the page proves nothing to others: a learner can
edit either.
"""

import html
import importlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from labkit.course import steps
from labkit.course.places import LEAGUE, RECORDED
from labkit.evaluation import Comparison, compare
from labkit.home import home, write_atomically
from labkit.runs import Run, RunStore
from labkit.widgets import LadderChart

_LABEL = 30  # characters of a rung's name in the chart
FIGURES = {  # the course's figures, never mixed; facts are apart from SQL
    "held-out": "Held-out: no question and no query in common with training",
    "paraphrase": "Paraphrase: trained queries, asked in other words",
    "recall": "Recall: questions that were trained on",
    "second database": "Second database: the same recipe on another file",
    "facts": "Facts, recall: as they were trained",
    "facts in other words": "Facts, paraphrase: in other words than trained",
}
_SETS = {"paraphrase": "paraphrase", "trained": "recall", "retired": "recall"}  # name of a set -> its figure


@dataclass(frozen=True)
class Lab:
    """One lab that the course has: its exercises, and those passed, in the lab's order."""

    name: str
    exercises: tuple[str, ...]
    passed: tuple[str, ...]


@dataclass(frozen=True)
class Climb:
    """The finished runs on one question set, oldest first. A set that was changed or cut is another set: figures on
    different questions are no climb."""

    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """Set, number of questions, mode, and the first digits of the set's hash: another version is another set."""
        run = self.runs[0]
        return f"{run.set}, n={run.n} ({run.mode}{f', set {run.set_hash[:6]}' if run.set_hash else ''})"

    @property
    def figure(self) -> str:
        """Which figure of FIGURES it is, by mode, database and name of the set. The fifth one, an unseen database, is
        not measured in the labs."""
        run = self.runs[0]
        if run.mode == "text":
            return "facts in other words" if run.set == "other words" else "facts"
        if run.database_hashes and LEAGUE not in run.database_hashes:
            return "second database"
        return _SETS.get(run.set, "held-out")

    @property
    def rungs(self) -> dict[str, Run]:
        """Name -> run. The name is the model, its adapter and prompt; a number is put behind one that came before."""
        named, times = {}, Counter()
        for run in self.runs:
            times[_what(run)] += 1
            again = times[_what(run)]
            named[_what(run) + (f" ({again})" if again > 1 else "")] = run
        return named

    @property
    def asked(self) -> tuple[Run, ...]:
        """The runs that a model answered: none of a made-up generator, such as Lab 2's parrot."""
        return tuple(run for run in self.runs if run.device)

    @property
    def own(self) -> "Climb":
        """The runs that a model answered for this learner: none that was recorded elsewhere."""
        return Climb(tuple(run for run in self.asked if run.device != RECORDED))

    @property
    def change(self) -> Comparison | None:
        """From the first own rung to the last one, question by question; None where there are not two."""
        own = self.own.runs
        return compare(own[0], own[-1]) if len(own) > 1 else None

    def to_json(self) -> dict:
        """The set, its rungs' runs by id, and what the last rung fixed and broke of the first."""
        rungs = [{"rung": name, "run": run.id, "accuracy": run.accuracy} for name, run in self.rungs.items()]
        about = {"set": self.runs[0].set, "mode": self.runs[0].mode, "n": self.runs[0].n, "rungs": rungs}
        change = self.change
        told = change and {"fixed": len(change.fixed), "broken": len(change.broken), "p_value": change.p_value}
        return {"figure": self.figure} | about | {"change": told}


@dataclass(frozen=True)
class Standing:
    """Labs present, and finished runs, oldest first."""

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

    @property
    def climbs(self) -> tuple[Climb, ...]:
        """The runs by question set: by the set's figure, then in the order in which sets were first measured."""
        groups: dict[str, list[Run]] = {}
        for run in self.runs:
            same = json.dumps([run.set, run.set_hash, run.mode, run.n, run.database_hashes], sort_keys=True)
            groups.setdefault(same, []).append(run)
        climbs = (Climb(tuple(runs)) for runs in groups.values())
        return tuple(sorted(climbs, key=lambda climb: list(FIGURES).index(climb.figure)))

    @property
    def foremost(self) -> tuple[Climb, ...]:
        """Of each figure the one climb to show: rather with a change than without, rather of a tuned model, rather of
        many questions, and among those alike the first. Own runs alone; a figure without one is left out."""
        best: dict[str, Climb] = {}
        for climb in (each.own for each in self.climbs if each.own.runs):
            if climb.figure not in best or _weight(climb) > _weight(best[climb.figure]):
                best[climb.figure] = climb
        return tuple(best.values())

    def to_json(self) -> dict:
        """All of it as JSON values."""
        labs = [{"lab": lab.name, "exercises": lab.exercises, "passed": lab.passed} for lab in self.labs]
        keys = ("id", "started", "set", "mode", "model", "adapter", "prompt", "n", "correct", "accuracy", "low", "high")
        runs = [{key: getattr(run, key) for key in keys} for run in self.runs]
        climbs = [climb.to_json() for climb in self.climbs]
        told = {"passed": self.passed, "of": self.of, "labs": labs, "climbs": climbs, "runs": runs}
        return json.loads(json.dumps(told))

    def __str__(self) -> str:
        lines = [f"{lab.name}: {len(lab.passed)} of {len(lab.exercises)} exercises passed" for lab in self.labs]
        lines.append(f"Together: {self.passed} of {self.of} exercises in the {len(self.labs)} labs present.")
        for figure, climbs in groupby(self.climbs, key=lambda climb: climb.figure):
            lines += ["", FIGURES[figure]]
            for climb in climbs:
                lines += _lines(climb)
        lines += [] if self.runs else ["No finished run yet."]
        return "\n".join(lines)

    __repr__ = __str__


def progress(store: RunStore | None = None, others: Iterable[RunStore] = ()) -> Standing:
    """What this learner has passed and measured so far: the runs of `store` (default: the kit's own) and of `others`,
    such as a workspace's. LabkitError when a run store cannot be read."""
    passed = set(steps.progress().passed)
    labs = []
    for source in sorted(Path(__file__).parent.glob("lab[0-9][0-9].py")):
        names = tuple(
            f"{source.stem}.{key}" for key in importlib.import_module(f"labkit.course.{source.stem}").EXERCISES
        )
        labs.append(Lab(source.stem, names, tuple(name for name in names if name in passed)))
    finished = [run for one in (store or RunStore(), *others) for run in one.list() if run.finished]
    return Standing(tuple(labs), tuple(sorted(finished, key=lambda run: run.started)))


def certificate(path: str | Path, standing: Standing | None = None) -> Path:
    """Write the certificate page to `path`, one HTML file that needs no other, and return it."""
    return write_atomically(path, _page(standing or progress()))


def _lines(climb: Climb) -> list[str]:
    rungs = [f"    {run}  {name}  run {run.id}" for name, run in climb.rungs.items()]
    return [f"  {climb.name}", *rungs, *([f"    first to last: {climb.change}"] if climb.change else [])]


def _what(run: Run) -> str:
    return " + ".join(filter(None, [_model(run), run.adapter and _named(Path(run.adapter)), run.prompt]))


def _model(run: Run) -> str:
    return run.model + " (4 bits)" * run.four_bit


def _named(adapter: Path) -> str:
    """The folder's name; of one in the kit's own folder its lab as well, as in "lab05-1/sql". The kit's starters lie
    in folders named by what they were made from."""
    if adapter.parent.name == "starters":
        return f"starter {adapter.name[:8]}"
    kits = home() / "adapters"
    return adapter.relative_to(kits).as_posix() if adapter.is_relative_to(kits) else adapter.name


def _weight(climb: Climb) -> tuple[bool, bool, int]:
    return climb.change is not None, any(run.adapter for run in climb.runs), climb.runs[0].n


def _page(standing: Standing) -> str:
    """First what the learner climbed, a ladder a figure; folded below it every set that a model was asked, by run."""
    labs = "".join(
        f"<li>Lab {int(lab.name[3:])}: {len(lab.passed)} of {len(lab.exercises)}</li>" for lab in standing.labs
    )
    done = "all" if standing.of and standing.passed == standing.of else f"{standing.passed} of {standing.of}"
    shown = "".join(map(_shown, standing.foremost)) or "<p>No finished run of a model here yet.</p>"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>labkit: what I climbed</title>
<meta name="viewport" content="width=device-width"><style>
:root {{ color-scheme: light dark; background: Canvas; color: CanvasText; }}
body {{ font: 16px/1.45 system-ui, sans-serif; max-width: 54rem; margin: 1.5rem auto; padding: 0 1rem; }}
h1, h2, h3, p {{ margin: .6rem 0; }} h2 {{ font-size: 1.15rem; }} h3 {{ font-size: 1rem; }}
section {{ break-inside: avoid; }}
table {{ border-collapse: collapse; width: 100%; }}
td, th {{ text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #8888; }}
td {{ overflow-wrap: anywhere; }} td.n {{ font-variant-numeric: tabular-nums; }}
@media (min-width: 50rem) {{ td.n {{ white-space: nowrap; }} }}
.chart {{ overflow-x: auto; }}
.labs {{ display: flex; flex-wrap: wrap; gap: 0 1.5rem; list-style: none; padding: 0; }}
@media print {{ body {{ font-size: 11px; }} svg {{ width: 32rem; height: auto; }} }}
</style></head><body>
<h1>What I climbed</h1>
<p>Passed {done} exercises of the {len(standing.labs)} labs present. {datetime.now(UTC):%Y-%m-%d}.</p>
<ul class="labs">{labs}</ul>
<p>Measured by the labs as they ran: the share right, with its Wilson 95 % interval and the number of questions. Each
figure is on questions of its own.</p>
{shown}
{_rest(standing)}
</body></html>
"""


def _shown(climb: Climb) -> str:
    """A figure's one climb: from where to where, of what it was asked, and its chart without a target. A rung's name is
    its adapter, without one its prompt."""
    names = [_named(Path(run.adapter)) if run.adapter else f"{run.prompt or run.model}" for run in climb.runs]
    rungs = {_short(number, name): run for number, (name, run) in enumerate(zip(names, climb.runs, strict=True), 1)}
    way = " → ".join(f"{run.accuracy:.2f}" for run in (climb.runs[0], *climb.runs[1:][-1:]))
    change = f" From the first to the last: {climb.change}." if climb.change else ""
    models = ", ".join(sorted({_model(run) for run in climb.runs}))
    replayed = any("replayed" in name for name in names)
    note = " What says <em>replayed</em> was not tuned here: it is the kit's, taken to skip a wait." if replayed else ""
    return f"""<section><h2>{html.escape(FIGURES[climb.figure])}</h2>
<p><b>{way}</b>, {html.escape(f"{models} on {climb.name}.{change}")}{note}</p>
<div class="chart">{LadderChart(rungs).svg(aim=False)}</div></section>"""


def _rest(standing: Standing) -> str:
    """All that a model was asked, folded: each set's ladder with its runs."""
    climbs = [Climb(climb.asked) for climb in standing.climbs if climb.asked]
    if not climbs:
        return ""
    parts = "".join(
        f"<h2>{html.escape(FIGURES[figure])}</h2>{''.join(map(_climb, of))}"
        for figure, of in groupby(climbs, key=lambda climb: climb.figure)
    )
    made_up = sum(not run.device for run in standing.runs)
    left = (
        f" {made_up} of programs that are no model are left out: see <code>labkit progress</code>." if made_up else ""
    )
    return f"""<details><summary>All {sum(len(climb.runs) for climb in climbs)} runs, set by set</summary>
<p>Each question set has a ladder of its own; figures on different questions are not compared. A rung is a model with
its adapter and prompt: share right with its Wilson 95 % interval, and the run's id in the run store. An adapter whose
name ends in <em>replayed</em> was not tuned here: it is the kit's, taken to skip a wait, named by hash and date. A rung
that says <em>recorded</em> was answered on another machine, and is not among the first and the last.{left}</p>
{parts}</details>"""


def _climb(climb: Climb) -> str:
    """One set: its chart, its rungs, what changed from the first to the last."""
    chart = LadderChart({_short(number, name): run for number, (name, run) in enumerate(climb.rungs.items(), 1)}).svg()
    rows = "".join(
        f"<tr><td>{number}. {html.escape(name)}</td><td class=n>{html.escape(str(run))}</td>"
        f"<td class=n>{html.escape(run.id)}</td></tr>"
        for number, (name, run) in enumerate(climb.rungs.items(), 1)
    )
    change = f"<p>From the first rung to the last: {html.escape(str(climb.change))}.</p>" if climb.change else ""
    head = '<tr><th scope="col">Rung</th><th scope="col">Accuracy</th><th scope="col">Run</th></tr>'
    title = html.escape(climb.name)
    return f'<h3>{title}</h3><div class="chart">{chart}</div><table>{head}{rows}</table>{change}'


def _short(number: int, name: str) -> str:
    """A rung's name as it fits beside the chart: its end is what tells rungs apart."""
    told = f"{number}. {name}"
    return told if len(told) <= _LABEL else f"{number}. …{name[-(_LABEL - 5) :]}"
