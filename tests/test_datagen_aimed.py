"""Pairs drawn for one question, on a made-up workshop: they run, they are about what it asks, chance is fixed."""

import random
import sqlite3

import numpy
import pytest

from labkit.candidates import Candidates
from labkit.datagen import aimed_at
from labkit.dataset import Question, QuestionSet
from labkit.execution import execute_many
from labkit.reranking import RerankedGenerator

QUESTION = "Which apprentices repaired more than 12 bikes in 2031? Name and number of bikes."


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """Mechanics in three towns, with a year's tally each; a glossary word for those of level 1."""
    path = tmp_path_factory.mktemp("workshop") / "workshop.sqlite"
    (path.parent / "glossary.md").write_text("| people say | it means |\n|---|---|\n| apprentice | `level` = 1 |\n")
    rng = random.Random(2)
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            CREATE TABLE mechanics (mechanic_id INTEGER PRIMARY KEY, name TEXT UNIQUE, town TEXT, level INTEGER,
                                    wage INTEGER);
            CREATE TABLE tallies (mechanic_id INTEGER REFERENCES mechanics(mechanic_id), season INTEGER, bikes INTEGER,
                                  scooters INTEGER, PRIMARY KEY (mechanic_id, season));
        """)
        names = [f"{a} {b}" for a in ("Ann", "Bob", "Cleo", "Dan", "Eve") for b in ("Ash", "Birch", "Cedar", "Dale")]
        for i, name in enumerate(names, 1):
            row = (i, name, rng.choice(("Moss", "Oslo", "Vik")), rng.randint(1, 4), 100 * rng.randint(10, 60))
            connection.execute("INSERT INTO mechanics VALUES (?, ?, ?, ?, ?)", row)
            for season in (2029, 2030, 2031):
                tally = (i, season, rng.randint(2, 40), rng.randint(0, 30))
                connection.execute("INSERT INTO tallies VALUES (?, ?, ?, ?)", tally)
    connection.close()
    return path


NEAR = [
    Question(
        "n1",
        "Who repaired over 9 bikes in 2030?",
        "SELECT m.name FROM tallies AS t JOIN mechanics AS m ON t.mechanic_id = m.mechanic_id "
        "WHERE t.season = 2030 AND t.bikes > 9",
        "workshop",
        tags=("listing",),
    )
]


@pytest.fixture(scope="module")
def drawn(workshop):
    return aimed_at(workshop)(QUESTION, NEAR)


def test_every_pair_runs_and_is_there_once(workshop, drawn):
    assert len(drawn) > 50
    assert len({pair.sql for pair in drawn}) == len(drawn)
    assert {r.error for r in execute_many(workshop, [pair.sql for pair in drawn])} == {None}


def test_they_are_about_what_the_question_says(workshop, drawn):
    """Against pairs that are drawn for something else: conditions, columns and families follow the question."""
    near = [Question("n2", "Average wage?", "SELECT AVG(wage) FROM mechanics", "workshop", tags=("aggregate",))]
    other = aimed_at(workshop)("What is the average wage of the mechanics in Vik?", near)

    def share(pairs, *words):
        return sum(all(word in pair.sql for word in words) for pair in pairs) / len(pairs)

    assert share(drawn, "bikes >") > 2 * share(other, "bikes >")
    assert share(drawn, "level = 1") > 2 * share(other, "level = 1")
    assert share(other, "AVG(") > 2 * share(drawn, "AVG(")
    assert any("level = 1" in pair.sql and "bikes >" in pair.sql for pair in drawn)


def test_the_same_question_gives_the_same_pairs(workshop, drawn):
    again = aimed_at(workshop)
    again("Which town has the most mechanics?", NEAR)  # another question before it leaves nothing behind
    assert [(p.question, p.sql) for p in again(QUESTION, NEAR)] == [(p.question, p.sql) for p in drawn]


def test_later_rounds_follow_what_is_close(workshop, drawn):
    """The first round draws some of everything; those after it what an encoder finds near."""

    def closeness(question, texts):
        return [float("average" in text.lower()) for text in texts]

    steered = aimed_at(workshop)(QUESTION, NEAR, closeness=closeness)
    means = [sum("AVG(" in pair.sql for pair in pairs) / len(pairs) for pairs in (drawn, steered)]
    assert means[1] > 2 * means[0] > 0


def test_a_value_that_is_mentioned_is_a_condition(workshop):
    pairs = aimed_at(workshop)("What do they earn there?", NEAR, {"mechanics.town"})
    assert sum("town = " in pair.sql for pair in pairs) > len(pairs) / 8


def test_candidates_take_them_in(workshop):
    """The pool lacks the second condition and the column beside the name; what is drawn has both."""
    words = sorted({w for text in (QUESTION, NEAR[0].question) for w in text.lower().split()})

    def encode(texts):
        found = numpy.array([[w in t.lower() for w in words] for t in texts], dtype=numpy.float32)
        return found / numpy.maximum(1, numpy.linalg.norm(found, axis=1, keepdims=True))

    pairs = QuestionSet("pairs", tuple(NEAR))
    alone = Candidates(pairs, workshop, encode)(QUESTION)
    both = Candidates(pairs, workshop, encode, draw=aimed_at(workshop))(QUESTION)
    wanted = ("m.name, t.bikes", "m.level = 1", "t.bikes > 12", "t.season = 2031")
    assert not [c for c in alone if all(part in c.sql for part in wanted)]
    assert [c for c in both if all(part in c.sql for part in wanted)]
    assert len(both) <= 20


def test_ranking_draws_nothing_of_an_excluded_column(workshop):
    """What a workspace keeps private is not drawn from either."""

    class Local:
        network, name = None, "local"

    class Unit:
        def __call__(self, texts):
            return numpy.ones((len(texts), 1), dtype=numpy.float32)

    for exclude, seen in (((), True), (["mechanics.wage"], False)):
        pairs = QuestionSet("pairs", tuple(NEAR))
        generator = RerankedGenerator(Local(), pairs, aimed=True, exclude=exclude)
        generator._encode = Unit()
        draw = generator._candidates(pairs, workshop).draw
        drawn = draw("What is the average wage of the mechanics in Vik?", NEAR)
        assert drawn and any("wage" in pair.sql for pair in drawn) == seen
