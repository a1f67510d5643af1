"""Scoring: pairs a second by rows; rewrites that semantic mode rejects by mistake, wrong neighbours that it lets pass.

    python benchmarks/bench_scoring.py [--golds 40] [--audit 30]

A neighbour counts as inequivalent when it gives other rows than the gold on the database itself or on one of `--audit`
further copies, made with another seed and not chosen for anything. A neighbour that no copy parts from its gold counts
as equivalent. `--show` prints both kinds that were not rejected: read them.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from labkit.changes import perturbed
from labkit.copying import schema_sql, write_database
from labkit.dataset import Question, QuestionSet, load_questions
from labkit.neighbours import neighbours
from labkit.perturb import known_world, perturbed_copies, told_apart
from labkit.reference import references
from labkit.schema import read_schema
from labkit.scoring import Pair, score_many

ROOT = Path(__file__).parent.parent
SETS = ("league/dev", "clinic/questions", "league/start", "league/heldout")


@dataclass
class Counts:
    rejected: int = 0
    by_copies: int = 0  # of these, those that give the gold's rows on the database itself
    missed: int = 0
    equivalent: int = 0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--golds", type=int, default=40, help="golds of each set whose neighbours are tried (0: all)")
    options.add_argument("--audit", type=int, default=30, help="copies that decide which neighbours are inequivalent")
    options.add_argument("--show", action="store_true", help="print the neighbours that were missed")
    given = options.parse_args()
    sets = [load_questions(file) for name in SETS if (file := ROOT / "datasets" / f"{name}.jsonl").is_file()]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LABKIT_HOME"] = folder  # so that copies are made, not found
        report = {"execution": speed(sets), "rewrites": rewrites(), "neighbours": trial(sets, given)}
    print(json.dumps(report))


def say(text: str) -> None:
    print(text, file=sys.stderr)


def speed(sets: list[QuestionSet]) -> dict:
    """Pairs a second by rows, with golds new to the scorer and with golds that it has kept."""
    pairs = [Pair(q, f"SELECT * FROM ({q.sql})", s.database_path(q)) for s in sets for q in s]
    score_many(pairs[:1])  # the sandbox starts
    found = {}
    for name in ("new", "kept"):
        start = time.perf_counter()
        score_many(pairs)
        found[name] = round(len(pairs) / (time.perf_counter() - start))
    say(f"execution: {found['new']} pairs/s with new golds, {found['kept']} with kept ones ({len(pairs)} pairs)")
    return found


def rewrites() -> dict:
    """Equivalent rewrites, written by hand, that semantic mode takes for wrong."""
    lines = [json.loads(line) for line in (ROOT / "tests" / "rewrites.jsonl").read_text().splitlines()]
    start, rejected, count = time.perf_counter(), [], 0
    for line in lines:
        database = ROOT / "datasets" / line["database"] / f"{line['database']}.sqlite"
        question = Question("", "", line["gold"], "", order=line.get("order"))
        scores = score_many([Pair(question, sql, database) for sql in line["same"]], "semantic")
        count += len(scores)
        rejected += [(sql, s) for sql, s in zip(line["same"], scores, strict=True) if not s.right]
    seconds = time.perf_counter() - start
    for sql, score in rejected:
        say(f"  rejected: {sql}\n    {score.verdict} {score.reason}: {score.detail}")
    say(f"rewrites: {len(rejected)} of {count} rejected; {count / seconds:.1f} pairs/s, copies made on the way")
    return {"n": count, "rejected": len(rejected), "pairs_per_second": round(count / seconds, 1)}


def trial(sets: list[QuestionSet], given: argparse.Namespace) -> dict:
    """Neighbours of the golds: rejected, missed, or equivalent as far as the audit can see."""
    total, seconds, golds = Counts(), 0.0, 0
    for questions in sets:
        step = max(1, len(questions) // given.golds) if given.golds else 1
        for question in questions[::step]:
            database, golds = questions.database_path(question), golds + 1
            start = time.perf_counter()
            copies = perturbed_copies(database, question.sql, order=question.order)
            seconds += time.perf_counter() - start
            _count(question, database, copies, total, given)
    inequivalent = total.rejected + total.missed
    share = total.rejected / max(1, inequivalent)
    hard = total.by_copies / max(1, total.by_copies + total.missed)
    say(
        f"neighbours: {share:.1%} of {inequivalent} inequivalent ones rejected, {hard:.1%} of the "
        f"{total.by_copies + total.missed} that the rows alone miss; {total.equivalent} equivalent; "
        f"copies made in {seconds / golds:.2f} s a gold ({golds} golds)"
    )
    found = {"rejected": round(share, 4), "n": inequivalent, "rejected_of_those_right_by_rows": round(hard, 4)}
    return found | {"golds": golds, "seconds_per_gold": round(seconds / golds, 2)}


def _count(question: Question, database: Path, copies: list[Path], total: Counts, given) -> None:
    gold = Question("", "", question.sql, "", order=question.order)
    alive = neighbours(question.sql, read_schema(database))
    count, alive = len(alive), _survivors(database, gold, alive)
    right_by_rows = len(alive)
    for path in copies:
        alive = _survivors(path, gold, alive)
    total.rejected += count - len(alive)
    total.by_copies += right_by_rows - len(alive)
    missed = set(alive) - set(_audited(gold, database, alive, given.audit))
    total.missed += len(missed)
    total.equivalent += len(alive) - len(missed)
    for sql in missed if given.show else ():
        say(f"  missed: {sql}\n      of {question.id}: {question.sql}")


def _survivors(path: Path, gold: Question, alive: list[str]) -> list[str]:
    reference = references(path, [gold])[0]
    told = set(told_apart(path, reference, alive))
    return [sql for sql in alive if sql not in told]


def _audited(gold: Question, database: Path, alive: list[str], copies: int) -> list[str]:
    world, rng = known_world(database, gold.sql), random.Random(f"audit {gold.sql}")
    statements = schema_sql(world.schema)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(copies if alive else 0):
            path = write_database(Path(folder) / f"{i}.sqlite", statements, perturbed(world, rng), world.observed)
            alive = _survivors(path, gold, alive)
    return alive


if __name__ == "__main__":
    main()
