"""The whole climb, from a database's file to the five accuracy figures: generate, tune, evaluate. `make climb`.

The recipe is one for all databases: PAIRS pairs, each query worded `--wordings` times, seen once in instruction tuning
as it is by default (with `--starter` from the kit's starter adapter; figures under names of their own). The league's
pairs hold `trained.jsonl`, whose queries the paraphrases are of, but for `--generated-only`. The figures, never mixed:

    recall           one wording of each trained query, as trained on
    paraphrase       the same queries, asked in other words written by hand
    held-out         `heldout.jsonl`: no question and no query in common with training; beside it the part whose
                     skeleton (the query without its literals) was never trained
    second database  the clinic's questions, by an adapter made by the same recipe from the clinic's file alone
    unseen database  the clinic's questions, by the league's adapter

Every stage is kept (adapters and runs under the kit's home), so an interrupted climb goes on. Figures go to climb.json.
"""

import argparse
import json
import os
import time
from datetime import date
from pathlib import Path

import torch

import labkit
from labkit.dataset import QuestionSet
from labkit.home import home, write_atomically
from labkit.runs import wilson
from labkit.sqltext import skeleton
from labkit.tuning import tune

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "climb.json"
PAIRS = 3_600


def pairs_of(name: str, options, folder: Path, seed: int = 0) -> tuple[QuestionSet, float]:
    """The pairs for a database of `datasets/`, and the seconds that generating took; kept in `folder`."""
    trained = ROOT / "datasets" / name / "trained.jsonl"
    known = list(labkit.load_questions(trained)) if trained.is_file() and not options.generated_only else []
    count = max(1, options.pairs - len(known))
    path = folder / f"pairs-{name}-{count}-{options.wordings}{f'-seed{seed}' * (seed > 0)}.jsonl"
    begun = time.perf_counter()
    if not path.is_file():
        database = ROOT / "datasets" / name / f"{name}.sqlite"
        labkit.generate(database, count, seed, wordings=options.wordings, progress=False).save(path)
    seconds = time.perf_counter() - begun
    found = labkit.load_questions(path, db_dir=ROOT / "datasets")
    return QuestionSet(f"{name} pairs", (*found, *known), db_dir=ROOT / "datasets"), seconds


def candidates_of(name: str, count: int, folder: Path) -> QuestionSet:
    """Verified pairs to rank: as many generated ones, and what was trained on by hand; none of an evaluation set."""
    path = folder / f"candidates-{name}-{count}.jsonl"
    if not path.is_file():
        labkit.generate(ROOT / "datasets" / name / f"{name}.sqlite", count, 7, wordings=1, progress=False).save(path)
    trained = ROOT / "datasets" / name / "trained.jsonl"
    known = list(labkit.load_questions(trained)) if trained.is_file() else []
    found = labkit.load_questions(path, db_dir=ROOT / "datasets")
    return QuestionSet(f"{name} candidates", (*found, *known), db_dir=ROOT / "datasets")


def figure(model, questions: QuestionSet, store) -> dict:
    """The evaluation of a set by a model, or by a generator around one, as JSON values with the run's id."""
    ranks = isinstance(model, labkit.RerankedGenerator)
    generator = model if ranks else labkit.SqlGenerator(model, max_new_tokens=300)
    run = labkit.evaluate(generator, questions, store=store, batch_size=64)
    print(f"{questions.name}: {run}; valid SQL {run.valid}", flush=True)
    return {"run": run.id, "n": run.n, "correct": run.correct, "accuracy": round(run.accuracy, 4),
            "low": round(run.low, 4), "high": round(run.high, 4), "valid": run.valid,
            "seconds": round(run.seconds, 1)}  # fmt: skip


def new_skeletons(run, questions: QuestionSet, trained: set[str]) -> dict:
    """The part of a run whose gold has a skeleton that no trained query has."""
    new = {q.id for q in questions if skeleton(q.sql) not in trained}
    right = sum(r.verdict == "right" for r in run.results if r.question_id in new)
    interval = wilson(right, len(new)) if new else None
    return {"n": len(new), "correct": right} | (
        {"low": round(interval.low, 4), "high": round(interval.high, 4)} if interval else {}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--wordings", type=int, default=1, help="of each generated query")
    parser.add_argument("--generated-only", action="store_true", help="without trained.jsonl; no recall, no paraphrase")
    parser.add_argument("--starter", action="store_true", help="go on from the kit's starter adapter")
    parser.add_argument("--rate", type=float, help="of learning; by default the recipe's")
    parser.add_argument("--rounds", type=int, default=1, help="of new pairs, each going on from the last one's adapter")
    parser.add_argument("--candidates", type=int, default=0, help="verified pairs to rank against the model's answers")
    parser.add_argument("--encoder", type=Path, help="folder of a tuned encoder, which finds the candidates")
    parser.add_argument("--known", action="store_true", help="trust the queries of trained.jsonl where it is near")
    parser.add_argument("--channel", type=Path, help="folder of one, which says how well each explains the question")
    parser.add_argument("--aimed", action="store_true", help="draw pairs for each question beside the candidates")
    parser.add_argument("--own", type=float, help="cosine that ranking gives the model's own answer")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--databases", nargs="+", default=["league", "clinic"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = home() / "climb"
    folder.mkdir(parents=True, exist_ok=True)
    store = labkit.RunStore()
    for name in options.databases:
        pairs, generating = pairs_of(name, options, folder)
        begin = "starter" if options.starter else None
        kinds = ("generated",) * options.generated_only + ("starter",) * options.starter
        settings = {"rate": options.rate} if options.rate else {}
        kinds += tuple(f"{value:g}" for value in settings.values())
        out = folder / "-".join((name, f"{options.pairs}x{options.wordings}", *kinds))
        tuned = tune(labkit.load_model(), pairs, "instruction", out, adapter=begin, store=store, **settings)
        print(tuned, flush=True)
        seconds, skeletons = tuned.seconds, {skeleton(q.sql) for q in pairs}
        for seed in range(1, options.rounds):
            pairs, more = pairs_of(name, options, folder, seed)
            generating += more
            begin, out = tuned.adapter, out.with_name(f"{out.name.split('-round')[0]}-round{seed + 1}")
            tuned = tune(labkit.load_model(), pairs, "instruction", out, adapter=begin, store=store, **settings)
            print(tuned, flush=True)
            seconds, skeletons = seconds + tuned.seconds, skeletons | {skeleton(q.sql) for q in pairs}
        model = labkit.load_model(adapter=tuned.adapter)
        data = ROOT / "datasets"
        found = (
            {"generating_seconds": round(generating, 1)}
            | tuned.to_json()
            | {"adapter": tuned.adapter.name, "seconds": round(seconds, 1)}
        )
        if name == "league":
            if not options.generated_only:
                trained = labkit.load_questions(data / "league" / "trained.jsonl")
                one_each = QuestionSet("recall", tuple(trained)[::5], path=trained.path)
                found["recall"] = figure(model, one_each, store)
            files = {"dev": "dev", "held-out": "heldout"}
            for key, file in (files if options.generated_only else files | {"paraphrase": "paraphrase"}).items():
                found[key] = figure(model, labkit.load_questions(data / "league" / f"{file}.jsonl"), store)
            heldout = labkit.load_questions(data / "league" / "heldout.jsonl")
            run = store.get(found["held-out"]["run"])
            found["held-out, new skeleton"] = new_skeletons(run, heldout, skeletons)
        if options.candidates:
            begun = time.perf_counter()
            pool = candidates_of(name, options.candidates, folder)
            trusted = labkit.load_questions(data / "league" / "trained.jsonl") if options.known else None
            settings = {"known": trusted, "own": options.own, "aimed": options.aimed}
            settings |= {"encoder": options.encoder, "channel": options.channel}
            reranked = labkit.RerankedGenerator(model, pool, **settings, max_new_tokens=300)
            reranked.build()
            found["candidates"], found["indexing_seconds"] = len(pool), round(time.perf_counter() - begun, 1)
            how = (
                "reranked"
                + " by a tuned encoder" * bool(options.encoder)
                + ", known trusted" * options.known
                + ", aimed" * options.aimed
                + ", explained" * bool(options.channel)
            )
            sets = {"held-out": "heldout", "paraphrase": "paraphrase"} if name == "league" else {}
            for key, file in (sets or {"second database": "questions"}).items():
                questions = labkit.load_questions(data / name / f"{file}.jsonl")
                found[f"{key}, {how}"] = figure(reranked, questions, store)
        key = "unseen database" if name == "league" else "second database"
        found[key] = figure(model, labkit.load_questions(data / "clinic" / "questions.jsonl"), store)
        results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}  # another process may have written
        machine = {"date": date.today().isoformat(), "threads": options.threads, "dtype": model.dtype}
        results[out.name + "-encoder" * bool(options.encoder)] = found | machine
        write_atomically(RESULTS, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
