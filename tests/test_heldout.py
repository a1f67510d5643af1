"""The held-out set: size and mix, nothing shared with start or dev, every gold answers, the linter is content."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from labkit.dataset import Question, load_questions, overlap
from labkit.linting import lint
from labkit.sqltext import normalise_question, normalise_sql, parse, skeleton

LEAGUE = Path(__file__).parents[1] / "datasets" / "league"
KNOWLEDGE = {"money", "height", "date", "placeholder", "text-number", "null"}
KNOWLEDGE |= {"join", "lookalike", "nickname", "glossary", "ties"}


@pytest.fixture(scope="module")
def heldout():
    return load_questions(LEAGUE / "heldout.jsonl")


@pytest.fixture(scope="module")
def connection():
    connection = sqlite3.connect(f"file:{LEAGUE / 'league.sqlite'}?mode=ro", uri=True)
    yield connection
    connection.close()


def tables(question):
    return {table.name for table in parse(question.sql).find_all(exp.Table)}


def shared(questions, others):
    """Overlaps that would spoil a held-out set: the wording or the query; a skeleton may be common."""
    return [found for found in overlap(questions, others) if found.kind in ("question", "query")]


def test_200_questions_of_120_skeletons_and_two_fifths_over_several_tables(heldout):
    assert [q.id for q in heldout] == [f"heldout-{number:03}" for number in range(1, 201)]
    assert len({skeleton(q.sql) for q in heldout}) >= 120
    assert sum(len(tables(q)) > 1 for q in heldout) >= 0.4 * len(heldout)


def test_tags_give_one_difficulty_and_known_knowledge(heldout):
    for q in heldout:
        assert q.tags[0] in ("easy", "medium", "hard")
        assert set(q.tags[1:]) <= KNOWLEDGE and len(set(q.tags)) == len(q.tags), q.id
        assert ("join" in q.tags) == (len(tables(q)) > 1), q.id
    counts = {level: sum(q.tags[0] == level for q in heldout) for level in ("easy", "medium", "hard")}
    assert counts == {"easy": 80, "medium": 80, "hard": 40}


def test_nothing_is_asked_or_answered_twice(heldout):
    for key in (lambda q: normalise_question(q.question), lambda q: normalise_sql(q.sql)):
        assert len({key(q) for q in heldout}) == len(heldout)


@pytest.mark.parametrize("other", ["start", "dev"])
def test_no_question_and_no_query_in_common_with(other, heldout):
    assert shared(heldout, load_questions(LEAGUE / f"{other}.jsonl")) == []


def test_a_shared_question_or_query_would_be_seen(heldout):
    first = heldout[0]
    again = Question("x", first.question.upper() + " !", "SELECT 1", "league")
    same_query = Question("y", "Anything", first.sql.replace("SELECT", "select "), "league")
    assert [found.kind for found in shared(heldout, [again, same_query])] == ["question", "query"]


def test_every_gold_and_alternative_answers_within_200_rows(heldout, connection):
    for q in heldout:
        for sql in (q.sql, *q.alternatives):
            rows = connection.execute(sql).fetchall()
            values = {value for row in rows for value in row}
            assert 0 < len(rows) <= 200 and not values & {None, "--", "NA"}, q.id
            assert len(set(rows)) == len(rows), q.id


def test_no_tie_is_cut_by_a_limit(heldout, connection):
    for q in heldout:
        limit = parse(q.sql).args.get("limit")
        if limit is not None:
            count = int(limit.expression.name)
            keys = connection.execute(with_keys(q.sql, count + 1)).fetchall()
            assert len(keys) == count + 1 and keys[-1] != keys[-2], q.id


def with_keys(sql, count):
    """The query's sort keys instead of its columns, for `count` rows."""
    tree = sqlglot.parse_one(sql, dialect="sqlite")
    keys = [item.this.copy() for item in tree.args["order"].expressions]
    return tree.select(*keys, append=False).limit(count).sql(dialect="sqlite")


def test_order_counts_only_where_the_question_asks_for_it(heldout):
    ordered = [q for q in heldout if parse(q.sql).args.get("order") is not None and q.order is not False]
    assert ordered and all(" first" in q.question for q in ordered)


def test_linter_finds_nothing_but_would(heldout):
    others = [load_questions(LEAGUE / f"{name}.jsonl") for name in ("start", "dev")]
    assert lint(heldout, others) == []
    faulty = Question("bad", "What is the highest salary?", "SELECT MAX(salary) FROM contracts", "league")
    assert {found.question_id for found in lint(replace(heldout, questions=(*heldout, faulty)), others)} == {"bad"}
