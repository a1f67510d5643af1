"""`labkit score` beside the Spider test-suite evaluator's way of working, on the same pairs and the same databases.

    python benchmarks/bench_peer_scoring.py [--golds 60] [--rounds 3]

The peer is written from its description (Zhong, Yu, Klein 2020, "Semantic Evaluation for Text-to-SQL with Distilled
Test Suites"), not from its code: gold and prediction run through Python's sqlite3 on every database of a suite, one
pair after another in one process, with a time limit; results are compared as multisets under any order of the columns,
in order where the gold's text holds 'order by'; the first database that tells them apart ends the pair. It is lent our
copies (the database itself and the gold's perturbed ones), since drawing and distilling its own is no part of scoring;
`single` is the same on the database alone. Its removal of DISTINCT is left out, which makes it stricter and faster.

Pairs a second: `labkit score` does all that it promises, a class and the evidence for each failure included; `bare` is
`--no-diagnose`, which says right or wrong, as the peer does. Both sides are warm, golds are new to both in each round;
copies are made beforehand, and with them, as ever, a file of what the gold says on each. Queries that run into the time
limit measure the limit, so they are left out. `accepted`: wrong pairs that pass; `rejected`: right ones that do not.
"""

import argparse
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from itertools import permutations
from pathlib import Path

import bench_scoring

from labkit import scoring
from labkit.dataset import Question, load_questions
from labkit.diagnosis import diagnose_many
from labkit.neighbours import neighbours
from labkit.schema import read_schema
from labkit.scoring import Pair, score_many
from labkit.suites import suite

ROOT = Path(__file__).parent.parent
SECONDS = 2.0  # time limit of a query, on both sides
NEIGHBOURS = 6  # of a gold, those that the database itself does not tell apart first


# --- the peer ---------------------------------------------------------------------------------------------------------


class Peer:
    """The evaluator: a pair is right when gold and prediction agree on each of the databases."""

    def __init__(self):
        self.worker = ThreadPoolExecutor(1)

    def accepts(self, pair: Pair, databases: list[Path]) -> bool:
        ordered = "order by" in pair.question.sql.lower()
        for path in databases:
            gold, rows = self.run(path, pair.question.sql), self.run(path, pair.prediction)
            if gold is None or rows is None or not same_denotation(gold, rows, ordered):
                return False
        return True

    def run(self, path: Path, sql: str) -> list[tuple] | None:
        """The rows of a query, None when it fails or takes too long."""
        connection = sqlite3.connect(path, check_same_thread=False)
        connection.text_factory = lambda text: text.decode(errors="ignore")
        future = self.worker.submit(lambda: connection.execute(sql).fetchall())
        try:
            return future.result(SECONDS)
        except TooSlow:
            connection.interrupt()
            return None
        except (sqlite3.Error, sqlite3.Warning):
            return None
        finally:
            self.worker.submit(connection.close)


def same_denotation(gold: list[tuple], rows: list[tuple], ordered: bool) -> bool:
    """The same rows, as a list or as a multiset, under some order of the columns."""
    if len(gold) != len(rows) or (gold and len(gold[0]) != len(rows[0])):
        return False
    if not gold or (gold == rows if ordered else Counter(gold) == Counter(rows)):
        return True
    ours, theirs = ([set(column) for column in zip(*table, strict=True)] for table in (gold, rows))
    places = [[j for j, other in enumerate(theirs) if other == column] for column in ours]
    for order in permutations(range(len(ours))):
        if all(j in places[i] for i, j in enumerate(order)):
            turned = [tuple(row[j] for j in order) for row in rows]
            if turned == gold if ordered else Counter(turned) == Counter(gold):
                return True
    return False


# --- the pairs --------------------------------------------------------------------------------------------------------


def lines(name: str) -> list[dict]:
    return [json.loads(line) for line in (ROOT / "tests" / name).read_text().splitlines()]


def database(name: str) -> Path:
    return ROOT / "datasets" / name / f"{name}.sqlite"


def rewrites() -> list[Pair]:
    """Right pairs: equivalent rewrites, written by hand."""
    return [
        Pair(Question("", "", line["gold"], line["database"], order=line.get("order")), sql, database(line["database"]))
        for line in lines("rewrites.jsonl")
        for sql in line["same"]
    ]


def wrong_queries() -> list[Pair]:
    """Wrong pairs, written by hand; those that blame the gold or run for ever are left out."""
    kept = [line for line in lines("wrong_queries.jsonl") if line["class"] not in ("suspect_gold", "runaway")]
    return [
        Pair(Question("", "", line["sql"], line["database"]), line["pred"], database(line["database"])) for line in kept
    ]


def near_pairs(golds: int, audit: int) -> list[Pair]:
    """Wrong pairs: neighbours of golds of `dev` known to give other rows on the database or on copies of an audit."""
    questions = load_questions(ROOT / "datasets" / "league" / "dev.jsonl")
    found = []
    for question in questions[:: max(1, len(questions) // golds)]:
        path = questions.database_path(question)
        gold = Question("", "", question.sql, "", order=question.order)
        around = neighbours(question.sql, read_schema(path))
        hidden = bench_scoring._survivors(path, gold, around)
        known = set(bench_scoring._audited(gold, path, hidden, audit))
        hard = [sql for sql in hidden if sql not in known]
        easy = [sql for sql in around if sql not in hidden]
        random.Random(question.sql).shuffle(easy)
        found += [Pair(gold, sql, path) for sql in [*hard, *easy][:NEIGHBOURS]]
    return found


# --- measuring --------------------------------------------------------------------------------------------------------


def ours(pairs: list[Pair], mode: str, diagnosed: bool) -> list[bool]:
    """What `labkit score` does with a file of pairs, but for reading and printing it."""
    scores = score_many(pairs, mode)
    if diagnosed:
        diagnose_many(pairs, scores)
    return [score.right for score in scores]


def theirs(pairs: list[Pair], suites: dict[Pair, list[Path]]) -> list[bool]:
    peer = Peer()
    return [peer.accepts(pair, suites[pair]) for pair in pairs]


def rate(work: Callable[[], list[bool]], rounds: int) -> float:
    """Pairs a second, the best of some rounds; what the kit keeps of golds and queries is forgotten before each."""
    best = 0.0
    for _ in range(rounds):
        forget()
        start = time.perf_counter()
        best = max(best, len(work()) / (time.perf_counter() - start))
    return round(best, 1)


def forget() -> None:
    """Every cache of the kit's modules that is keyed by a query; schemas and hashes of files are kept."""
    scoring._kept.clear()
    for module in [module for name, module in sys.modules.items() if name.startswith("labkit.")]:
        for value in list(vars(module).values()):
            if hasattr(value, "cache_clear") and value.__name__ not in ("_hash", "_facts", "_stored_values"):
                value.cache_clear()


def compare(pairs: list[Pair], suites: dict[Pair, list[Path]], rounds: int) -> dict:
    """Pairs a second of both, in turn; `times` is ours over the peer's."""
    found = {}
    for mode, databases in (("execution", {pair: suites[pair][:1] for pair in pairs}), ("semantic", suites)):
        figures = {
            "peer": rate(lambda databases=databases: theirs(pairs, databases), rounds),
            "ours": rate(lambda mode=mode: ours(pairs, mode, True), rounds),
            "ours_bare": rate(lambda mode=mode: ours(pairs, mode, False), rounds),
        }
        figures |= {
            "times": round(figures["ours"] / figures["peer"], 2),
            "times_bare": round(figures["ours_bare"] / figures["peer"], 2),
        }
        found[mode] = figures
        print(f"  {len(pairs)} pairs, {mode}: {figures}", file=sys.stderr)
    return found


def strictness(right: list[Pair], wrong: list[Pair], suites: dict[Pair, list[Path]]) -> dict:
    """Wrong pairs that each lets pass, right ones that it turns down."""
    single = {pair: paths[:1] for pair, paths in suites.items()}
    sides = {
        "peer_single": lambda pairs: theirs(pairs, single),
        "peer_suite": lambda pairs: theirs(pairs, suites),
        "ours_execution": lambda pairs: ours(pairs, "execution", False),
        "ours_semantic": lambda pairs: ours(pairs, "semantic", False),
    }
    return {
        name: {"accepted": sum(accepts(wrong)), "rejected": len(right) - sum(accepts(right))}
        for name, accepts in sides.items()
    }


def main() -> dict:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--golds", type=int, default=60, help="golds of dev whose neighbours are tried")
    parser.add_argument("--audit", type=int, default=20, help="copies that decide which neighbours are wrong")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    right, by_hand, near = rewrites(), wrong_queries(), near_pairs(options.golds, options.audit)
    same = [Pair(pair.question, pair.question.sql, pair.database) for pair in near[::NEIGHBOURS]]
    pairs = list(dict.fromkeys([*right, *same, *by_hand, *near]))
    suites = {
        pair: [pair.database, *(copy.database for copy in suite(pair.database, pair.question.sql, pair.question.order))]
        for pair in pairs
    }
    wrong = [*by_hand, *near]
    score_many(pairs[:1], "semantic")  # the sandbox starts
    groups = {"right": [*right, *same], "wrong": wrong, "all": pairs}
    return {
        "pairs": {"right": len(right) + len(same), "wrong_by_hand": len(by_hand), "wrong_neighbours": len(near)},
        "databases_a_pair": round(sum(map(len, suites.values())) / len(suites), 1),
        "speed": {name: compare(group, suites, options.rounds) for name, group in groups.items()},
        "strictness": strictness(right, wrong, suites),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LABKIT_HOME"] = folder  # so that no earlier run's copies are found
        print(json.dumps(main(), indent=2))
