"""Make anew the recorded runs and the ready adapters that labs open: `make artifacts`.

    python tools/make_artifacts.py                                   all of them, some two hours of one core
    python tools/make_artifacts.py lab05                             a few minutes
    python tools/make_artifacts.py larger --model qwen.gguf --name Qwen/Qwen2.5-Coder-0.5B-Instruct

`larger`: a larger model that was never tuned, by `--model` (a hub id, a folder or a GGUF file); `--name` is what the
recording calls it. `half-tuned` and `tuned`: the default model, two states of the same recipe. All answer `dev`.
Tunings and runs are kept in a home of their own, `artifacts` under the kit's, so a call that was stopped goes on, and
no set of the user's run store gets onto a card.

`lab05`: the ready adapter of Lab 5, by the lab's own recipe, for learners who choose to skip its tuning; always tuned
anew. Its card says what it reaches on the lab's questions, and what it reached before it was cut to what is kept.
`lab03` (the answers of its ladder) and `lab09` (its two adapters) execute the lab's solution from top to end and keep
what was made on the way: some ten minutes of one core each. With `--notebooks` the executed notebook is written too.
"""

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from make_notebooks import execute, sources, to_bytes
from record_run import record

import labkit
from labkit.course import recorded_runs
from labkit.dataset import QuestionSet
from labkit.home import home
from labkit.models import DEFAULT
from labkit.tuning import ready, starters, tune
from labkit.tuning.adapter import CONFIG
from labkit.wheels import models_folder

DATA = Path(__file__).parent.parent / "datasets"
LEAGUE = DATA / "league" / "league.sqlite"
LARGER = "Qwen/Qwen2.5-Coder-0.5B-Instruct"
STATES = {"half-tuned": ("half-tuned", 800), "tuned": ("tuned longer", 2_400)}  # -> what it is called, its pairs
READY = {"lab05": 160}  # lab -> the pairs that it tunes on
ASKED = 40  # questions on which a ready adapter is measured, as the lab does
RECALL = 160  # of a longer lesson so many pairs are asked for, word for word
FIRST = """
import sys
sys.path.insert(0, {tools!r})
from make_artifacts import keep_tunings
_tunings = keep_tunings()
"""
LAST = {  # lab -> what runs in its kernel after its last cell
    "lab03": "from make_artifacts import record_ladder\nrecord_ladder(climbed, {runs!r})",
    "lab09": "from make_artifacts import keep_lab09\n"
    "keep_lab09(_tunings, base, RUNS['questions'], MEASURED['questions'], {ready!r})",
}
LESSONS = {"lab09-first": "tuned", "lab09-again": "tuned again"}  # ready adapter -> the rung that the lab calls so


def main(given: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument(
        "which", nargs="*", help=f"of: {', '.join(('larger', *STATES, *READY, *LAST))}; all by default"
    )
    options.add_argument("--model", default=LARGER, help="the larger model: hub id, folder or GGUF file")
    options.add_argument("--name", help="what the recording calls it (default: --model, without its folder)")
    options.add_argument("--base", default=DEFAULT, help="the model that is tuned")
    options.add_argument("--questions", type=Path, default=DATA / "league" / "dev.jsonl")
    options.add_argument("--out", type=Path, default=DATA / "league" / "runs")
    options.add_argument("--notebooks", action="store_true", help="lab03, lab09: write the executed notebook as well")
    options.add_argument("--ready", type=Path, default=ready.HOME, help="where ready adapters go")
    chosen = options.parse_args(given)
    known = ("larger", *STATES, *READY, *LAST)
    unknown = set(chosen.which) - set(known)
    if unknown:
        options.error(f"there is no {', '.join(unknown)}; the artifacts are {', '.join(known)}")
    questions = labkit.load_questions(chosen.questions, db_dir=DATA)
    own = {"LABKIT_MODELS": str(models_folder()), "LABKIT_HOME": str(home() / "artifacts")}
    with patch.dict(os.environ, own):
        for which in chosen.which or known:
            made(which, chosen, questions)


def made(which: str, chosen: argparse.Namespace, questions: QuestionSet) -> None:
    """Make one of the artifacts, and say what it is."""
    if which in READY:
        print(ready_adapter(which, chosen.base, questions[:ASKED], chosen.ready), flush=True)
        return
    if which in LAST:
        source, notebook = executed(which, chosen.base, chosen.out / "ladder", chosen.ready)
        if chosen.notebooks:
            source.with_suffix(".ipynb").write_bytes(to_bytes(notebook))
        return
    if which == "larger":
        generator = labkit.SqlGenerator(labkit.load_model(chosen.model), "plain")
        place = Path(chosen.model)  # a recording names no folder of the machine that it was made on
        name = chosen.name or (place.name.removesuffix(".gguf") if place.exists() else chosen.model)
        stem = name.rsplit("/")[-1].lower().removesuffix("-instruct")
    else:
        called, count = STATES[which]
        generator = labkit.SqlGenerator(labkit.load_model(chosen.base, adapter=tuned(chosen.base, count)))
        name = f"{generator.chat_model.name}, {called} ({count:,} pairs)"
        stem = f"{Path(chosen.base).name}-{which}"
    run = labkit.evaluate(generator, questions)
    print(record(run, chosen.out / f"{stem}.jsonl", name), flush=True)


def tuned(base: str, count: int) -> Path:
    """The adapter of `base` after so many generated pairs of the league, seen once; from its starter if it has one."""
    model = labkit.load_model(base)
    found = labkit.generate(LEAGUE, count)
    pairs = QuestionSet(f"{count} pairs", found.pairs, db_dir=DATA)
    begin = "starter" if (starters.folder(model) / CONFIG).is_file() else None
    return tune(model, pairs, "instruction", adapter=begin, rate=1e-3).adapter


def ready_adapter(lab: str, base: str, asked: QuestionSet, home: Path) -> str:
    """Write the ready adapter of a lab for `base`, measured on `asked` before and after it was cut; says what it is."""
    model, steps = labkit.load_model(base), []
    found = labkit.generate(LEAGUE, READY[lab], wordings=1)
    begun = starters.folder(model) if (starters.folder(model) / CONFIG).is_file() else None
    pairs = QuestionSet(f"{lab}'s pairs", found.pairs, db_dir=DATA)
    with tempfile.TemporaryDirectory() as folder:
        options = {"adapter": begun and starters.NAME, "rate": 1e-3, "watch": steps.append}
        whole = tune(model, pairs, out=Path(folder) / "whole", **options).adapter
        uncut = labkit.SqlGenerator(labkit.load_model(base, adapter=whole), max_new_tokens=100)  # as the lab asks
        before = labkit.evaluate(uncut, asked).correct
        return packed(lab, model, whole, steps, asked, before, home)


def packed(name: str, model, whole: Path, steps: list, asked: QuestionSet, before: int, home: Path) -> str:
    """Write the adapter in `whole` as the ready one called `name`, and on its card what it reaches on `asked` when cut,
    beside `before`, the right answers of the whole one; says what it is."""
    begun = starters.folder(model) if (starters.folder(model) / CONFIG).is_file() else None
    card = ready.pack(whole, begun, steps, home / name)
    taken = ready.ready(name, model, home)
    with tempfile.TemporaryDirectory() as folder:
        cut = labkit.load_model(model.name, adapter=taken.play(folder).adapter)
        right = labkit.evaluate(labkit.SqlGenerator(cut, max_new_tokens=100), asked).correct
        trained = list(taken.pairs)[:RECALL]
        database = str(asked.database_path(asked[0]))
        said = labkit.SqlGenerator(cut)([replace(pair, database=database) for pair in trained])
    recalled = sum(text == pair.sql for text, pair in zip(said, trained, strict=True))
    measured = {"asked": len(asked), "right": right, "right_before_the_cut": before}
    ready.label(home / name, replace(card, recalled=recalled, of=len(trained), made=card.made | measured))
    size = sum(file.stat().st_size for file in (home / name).iterdir()) / 1e6
    return f"{taken}\n{measured}, {recalled} of {len(trained)} pairs recalled, {size:.1f} MB in {home / name}"


# --- what a lab makes while it is executed


def executed(lab: str, base: str, runs: Path, home: Path) -> tuple:
    """Execute a lab's solution with `base`, keep what `LAST` says; returns its source and the executed notebook."""
    (source,) = (path for path in sources() if path.stem.startswith(lab))
    os.environ["LABKIT_MODEL"] = base
    places = {"tools": str(Path(__file__).parent), "runs": str(runs), "ready": str(home)}
    notebook = execute(source, FIRST.format(**places), LAST[lab].format(**places))
    kept = (
        recorded_runs(runs)
        if lab == "lab03"
        else [ready.ready(name, labkit.load_model(base), home) for name in LESSONS]
    )
    print(*kept, sep="\n", flush=True)
    return source, notebook


def keep_tunings() -> list[tuple[Path, list]]:
    """In a lab's kernel: from now on each finished `labkit.tune` leaves its adapter and its steps in this list."""
    kept, tuning = [], labkit.tune

    def watched(*given, watch, **more):
        steps = []
        done = tuning(*given, watch=lambda seen: steps.append(seen) or watch(seen), **more)
        kept.append((done.adapter, steps))
        return done

    labkit.tune = watched
    return kept


def keep_lab09(kept: list, model, runs: dict, asked: QuestionSet, home: str) -> None:
    """In Lab 9's kernel: its two adapters become ready ones."""
    for (name, rung), (whole, steps) in zip(LESSONS.items(), kept, strict=True):
        packed(name, model, whole, steps, asked, runs[rung].correct, Path(home))


def record_ladder(climbed, out: str) -> None:
    """In Lab 3's kernel: the answers of each rung, under the rung's name."""
    for rung in climbed.rungs:
        record(rung.run, Path(out) / f"{rung.name}.jsonl", prompt=rung.name, prompt_tokens=rung.prompt_tokens)


if __name__ == "__main__":
    main()
