"""Make anew the recorded runs that labs open beside the learner's own: `make artifacts`.

    python tools/make_artifacts.py                                   all of them, some two hours of one core
    python tools/make_artifacts.py larger --model qwen.gguf --name Qwen/Qwen2.5-Coder-0.5B-Instruct

`larger`: a larger model that was never tuned, by `--model` (a hub id, a folder or a GGUF file); `--name` is what the
recording calls it. `half-tuned` and `tuned`: the default model, two states of the same recipe. All answer `dev`.
Tunings and runs are kept under the kit's home, so a call that was stopped goes on.
"""

import argparse
from pathlib import Path

from record_run import record

import labkit
from labkit.dataset import QuestionSet
from labkit.models import DEFAULT
from labkit.tuning import starters, tune
from labkit.tuning.adapter import CONFIG

DATA = Path(__file__).parent.parent / "datasets"
LARGER = "Qwen/Qwen2.5-Coder-0.5B-Instruct"
STATES = {"half-tuned": ("half-tuned", 1_200), "tuned": ("tuned longer", 3_600)}  # -> what it is called, its pairs


def main(given: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("which", nargs="*", help=f"of: larger, {', '.join(STATES)}; all by default")
    options.add_argument("--model", default=LARGER, help="the larger model: hub id, folder or GGUF file")
    options.add_argument("--name", help="what the recording calls it (default: --model)")
    options.add_argument("--base", default=DEFAULT, help="the model that is tuned")
    options.add_argument("--questions", type=Path, default=DATA / "league" / "dev.jsonl")
    options.add_argument("--out", type=Path, default=DATA / "league" / "runs")
    chosen = options.parse_args(given)
    unknown = set(chosen.which) - {"larger", *STATES}
    if unknown:
        options.error(f"there is no {', '.join(unknown)}; the artifacts are larger, {', '.join(STATES)}")
    questions = labkit.load_questions(chosen.questions, db_dir=DATA)
    for which in chosen.which or ("larger", *STATES):
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
    made = labkit.generate(DATA / "league" / "league.sqlite", count)
    pairs = QuestionSet(f"{count} pairs", made.pairs, db_dir=DATA)
    begin = "starter" if (starters.folder(model) / CONFIG).is_file() else None
    return tune(model, pairs, "instruction", adapter=begin, rate=1e-3).adapter


if __name__ == "__main__":
    main()
