"""Make anew the recorded runs and the ready adapters that labs open: `make artifacts`.

    python tools/make_artifacts.py                                   all of them, some two hours of one core
    python tools/make_artifacts.py lab05                             a few minutes
    python tools/make_artifacts.py larger --model qwen.gguf --name Qwen/Qwen2.5-Coder-0.5B-Instruct

`larger`: a larger model that was never tuned, by `--model` (a hub id, a folder or a GGUF file); `--name` is what the
recording calls it. `half-tuned` and `tuned`: the default model, two states of the same recipe. All answer `dev`.
Tunings and runs are kept under the kit's home, so a call that was stopped goes on.

`lab05`: the ready adapter of Lab 5, by the lab's own recipe, for learners who choose to skip its tuning; always tuned
anew. Its card says what it reaches on the lab's questions, and what it reached before it was cut to what is kept.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from record_run import record

import labkit
from labkit.dataset import QuestionSet
from labkit.models import DEFAULT
from labkit.tuning import ready, starters, tune
from labkit.tuning.adapter import CONFIG

DATA = Path(__file__).parent.parent / "datasets"
LEAGUE = DATA / "league" / "league.sqlite"
LARGER = "Qwen/Qwen2.5-Coder-0.5B-Instruct"
STATES = {"half-tuned": ("half-tuned", 1_200), "tuned": ("tuned longer", 3_600)}  # -> what it is called, its pairs
READY = {"lab05": 160}  # lab -> the pairs that it tunes on
ASKED = 40  # questions on which a ready adapter is measured, as the lab does


def main(given: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("which", nargs="*", help=f"of: {', '.join(('larger', *STATES, *READY))}; all by default")
    options.add_argument("--model", default=LARGER, help="the larger model: hub id, folder or GGUF file")
    options.add_argument("--name", help="what the recording calls it (default: --model)")
    options.add_argument("--base", default=DEFAULT, help="the model that is tuned")
    options.add_argument("--questions", type=Path, default=DATA / "league" / "dev.jsonl")
    options.add_argument("--out", type=Path, default=DATA / "league" / "runs")
    options.add_argument("--ready", type=Path, default=ready.HOME, help="where ready adapters go")
    chosen = options.parse_args(given)
    known = ("larger", *STATES, *READY)
    unknown = set(chosen.which) - set(known)
    if unknown:
        options.error(f"there is no {', '.join(unknown)}; the artifacts are {', '.join(known)}")
    questions = labkit.load_questions(chosen.questions, db_dir=DATA)
    for which in chosen.which or known:
        if which in READY:
            print(ready_adapter(which, chosen.base, questions[:ASKED], chosen.ready), flush=True)
            continue
        if which == "larger":
            generator = labkit.SqlGenerator(labkit.load_model(chosen.model), "plain")
            name = chosen.name or str(chosen.model)
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
    made = labkit.generate(LEAGUE, count)
    pairs = QuestionSet(f"{count} pairs", made.pairs, db_dir=DATA)
    begin = "starter" if (starters.folder(model) / CONFIG).is_file() else None
    return tune(model, pairs, "instruction", adapter=begin, rate=1e-3).adapter


def ready_adapter(lab: str, base: str, asked: QuestionSet, home: Path) -> str:
    """Write the ready adapter of a lab for `base`, measured on `asked` before and after it was cut; says what it is."""
    model, steps = labkit.load_model(base), []
    made = labkit.generate(LEAGUE, READY[lab], wordings=1)
    begun = starters.folder(model) if (starters.folder(model) / CONFIG).is_file() else None
    pairs = QuestionSet(f"{lab}'s pairs", made.pairs, db_dir=DATA)
    with tempfile.TemporaryDirectory() as folder:
        options = {"adapter": begun and starters.NAME, "rate": 1e-3, "watch": steps.append}
        whole = tune(model, pairs, out=Path(folder) / "whole", **options).adapter
        card = ready.pack(whole, begun, steps, home / lab)
        kept = ready.ready(lab, model, home).play(folder).adapter
        uncut, cut = (labkit.load_model(base, adapter=at) for at in (whole, kept))
        asking = (labkit.SqlGenerator(each, max_new_tokens=100) for each in (uncut, cut))  # as the lab asks
        before, right = (labkit.evaluate(generator, asked).correct for generator in asking)
        said = labkit.SqlGenerator(cut)([replace(pair, database=str(LEAGUE)) for pair in made.pairs])
        recalled = sum(text == pair.sql for text, pair in zip(said, made.pairs, strict=True))
    measured = {"asked": len(asked), "right": right, "right_before_the_cut": before}
    ready.label(home / lab, replace(card, recalled=recalled, of=len(pairs), made=card.made | measured))
    size = sum(file.stat().st_size for file in (home / lab).iterdir()) / 1e6
    return f"{ready.ready(lab, model, home)}\n{measured}, {recalled} pairs recalled, {size:.1f} MB in {home / lab}"


if __name__ == "__main__":
    main()
