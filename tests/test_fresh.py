"""The fresh set: 150 questions written without sight of the generator.

`fresh_again.jsonl` holds a second query for each, written from the question alone: it must give the answer again.
"""

import json
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from sqlglot import exp

from labkit.datagen.known import known_sets
from labkit.dataset import load_questions, overlap
from labkit.scoring import Pair, score_many
from labkit.sqltext import normalise_question, normalise_sql, parse, skeleton

LEAGUE = Path(__file__).parents[1] / "datasets" / "league"
AGAIN = Path(__file__).parent / "fresh_again.jsonl"
KNOWLEDGE = {"money", "height", "date", "placeholder", "text-number", "null"}
KNOWLEDGE |= {"join", "lookalike", "nickname", "glossary", "ties"}


@pytest.fixture(scope="module")
def fresh():
    return load_questions(LEAGUE / "fresh.jsonl")


@pytest.fixture(scope="module")
def again() -> dict[str, str]:
    lines = [json.loads(line) for line in AGAIN.read_text(encoding="utf-8").splitlines()]
    return {line["id"]: line["sql"] for line in lines}


def test_150_questions_a_third_of_each_difficulty_with_known_tags(fresh):
    assert [q.id for q in fresh] == [f"fresh-{number:03}" for number in range(1, 151)]
    assert Counter(q.tags[0] for q in fresh) == {"easy": 50, "medium": 50, "hard": 50}
    for q in fresh:
        assert set(q.tags[1:]) <= KNOWLEDGE and len(set(q.tags)) == len(q.tags), q.id
        assert ("join" in q.tags) == (len({table.name for table in parse(q.sql).find_all(exp.Table)}) > 1), q.id


def test_no_two_are_alike(fresh):
    for key in (lambda q: normalise_question(q.question), lambda q: normalise_sql(q.sql)):
        assert len({key(q) for q in fresh}) == len(fresh)
    assert len({skeleton(q.sql) for q in fresh}) >= 0.8 * len(fresh)


@pytest.mark.parametrize("other", ["start", "dev", "heldout", "trained", "paraphrase"])
def test_no_question_and_no_query_in_common_with(other, fresh):
    shared = overlap(fresh, load_questions(LEAGUE / f"{other}.jsonl"))
    assert [(found.kind, found.a, found.b) for found in shared if found.kind != "skeleton"] == []


def test_every_gold_answers_within_200_rows_and_shows_nothing_missing(fresh):
    connection = sqlite3.connect(f"file:{LEAGUE / 'league.sqlite'}?mode=ro", uri=True)
    for q in fresh:
        for sql in q.queries:
            rows = connection.execute(sql).fetchall()
            assert 0 < len(rows) <= 200 and len(set(rows)) == len(rows), q.id
            assert not {value for row in rows for value in row} & {None, "--", "NA"} and rows != [(0,)], q.id
    connection.close()


def test_a_second_query_in_other_words_gives_each_answer(fresh, again):
    assert set(again) == {q.id for q in fresh}
    assert [q.id for q in fresh if normalise_sql(q.sql) == normalise_sql(again[q.id])] == []
    scores = score_many([Pair(q, again[q.id], LEAGUE / "league.sqlite") for q in fresh])
    assert [(q.id, s.detail) for q, s in zip(fresh, scores, strict=True) if not s.right] == []


def test_the_second_query_of_another_question_is_found_wrong(fresh, again):
    others = [fresh[n - 1].id for n in range(len(fresh))]
    pairs = [Pair(q, again[other], LEAGUE / "league.sqlite") for q, other in zip(fresh, others, strict=True)]
    scores = score_many(pairs)
    assert sum(score.right for score in scores) <= 1  # two neighbours may both be a count of 19


def test_order_counts_only_where_the_question_asks_for_it(fresh):
    ordered = [q for q in fresh if parse(q.sql).args.get("order") is not None and q.order is not False]
    assert ordered and all(" first" in q.question for q in ordered)


def test_the_generator_keeps_clear_of_it(fresh):
    known = known_sets(LEAGUE / "league.sqlite")
    assert "league/fresh" in known.sets
    assert {normalise_question(q.question) for q in fresh} <= set(known.questions)
    assert {normalise_sql(q.sql) for q in fresh} <= set(known.queries)
