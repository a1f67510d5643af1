"""Pairs near what people ask: for each question of some sets, of its text alone, the drawn pairs that come nearest.

    python benchmarks/near_pairs.py --pool PAIRS --out NEAR datasets/league/dev.jsonl datasets/league/fresh.jsonl

Drawn as ranking draws for a question (`datagen.aimed`); `--pool`: generated pairs, to know which are near. No query of
a known set is kept, and none twice: what is tuned on these is apart from every evaluation set by query and by question,
but near the sets that are named here, whose figures then say less (EXPERIMENTS.md, 2026-12-01). A call that was cut off
goes on.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy
import torch
from tqdm import tqdm

import labkit
from labkit.candidates import Candidates
from labkit.datagen import aimed_at
from labkit.datagen.known import GENERATED, known_sets
from labkit.dataset import Question, QuestionSet, save_questions
from labkit.encoder import load_encoder
from labkit.sqltext import normalise_question, normalise_sql, skeleton

DATA = Path(__file__).parent.parent / "datasets"
LEAGUE = DATA / "league" / "league.sqlite"
NEAREST, A_SKELETON = 30, 3  # pairs that say what to draw; drawn ones of one form for a question


def near(question: str, pool: Candidates, draw, known, most: int) -> list[dict]:
    """At most `most` drawn pairs, the nearest first, by the closer of two cosines: as they stand, and blanked."""
    values = pool.values
    mentions = values.mentions(question)
    blanked = values.blanked(question, mentions)
    (vector,) = pool.encode([blanked])
    pairs = [pool.pairs[i] for i in numpy.argsort(-(pool.pool.blank @ vector), kind="stable")[:NEAREST].tolist()]

    def closeness(asked: str, texts: list[str]) -> list[float]:
        first, *others = pool.encode([asked, *texts])
        return [float(other @ first) for other in others]

    drawn = draw(question, pairs, {column for mention in mentions for column in mention.columns}, closeness)
    texts = [values.blanked(pair.question, values.mentions(pair.question)) for pair in drawn]
    close = map(max, closeness(question, [pair.question for pair in drawn]), closeness(blanked, texts))
    kept, forms = {}, Counter()
    for _, pair in sorted(zip(close, drawn, strict=True), key=lambda one: -one[0]):
        sql, form = normalise_sql(pair.sql), skeleton(pair.sql)
        if sql in known.queries or normalise_question(pair.question) in known.questions:
            continue
        if sql not in kept and forms[form] < A_SKELETON and len(kept) < most:
            forms[form] += 1
            kept[sql] = {"question": pair.question, "sql": pair.sql, "tags": list(pair.tags)}
    return list(kept.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--each", type=int, default=10, help="pairs kept for a question")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pool = Candidates(labkit.load_questions(options.pool, db_dir=DATA), LEAGUE, load_encoder())
    draw, known, log = aimed_at(LEAGUE), known_sets(LEAGUE), options.out.with_suffix(".drawn")
    found = [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.is_file() else []
    asked = [question.question for path in options.sets for question in labkit.load_questions(path)]
    with log.open("a", encoding="utf-8") as lines:
        for question in tqdm(asked[len(found) :], initial=len(found), total=len(asked), unit="question"):
            found.append(near(question, pool, draw, known, 2 * options.each))
            lines.write(json.dumps(found[-1]) + "\n")
            lines.flush()
    taken: set[str] = set()
    pairs = []
    for drawn in found:
        new = [pair for pair in drawn if normalise_sql(pair["sql"]) not in taken][: options.each]
        taken.update(normalise_sql(pair["sql"]) for pair in new)
        pairs += new
    named = [
        Question(f"{GENERATED}near-{i:05d}", p["question"], p["sql"], "league", tags=tuple(p["tags"]))
        for i, p in enumerate(pairs)
    ]
    save_questions(options.out, QuestionSet("near", tuple(named)))
    print(f"{len(named)} pairs near {len(asked)} questions in {options.out}")


if __name__ == "__main__":
    main()
