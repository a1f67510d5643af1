"""Amounts in a question in whatever form a database writes them, names by a part of them, and both put into queries."""

import sqlite3

import numpy
import pytest

from labkit.amounts import amounts, stand_in
from labkit.candidates import Candidates
from labkit.dataset import Question, QuestionSet
from labkit.linking import Mention, Values, lacking

FIRST = ["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal"]
LAST = ["Ash", "Birch", "Cedar", "Dale"]


@pytest.fixture(scope="module")
def climbers(tmp_path_factory):
    """A made-up club: days written day first, heights in feet, fees with a sign."""
    path = tmp_path_factory.mktemp("climbers") / "climbers.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE climbers (id INTEGER PRIMARY KEY, name TEXT, joined TEXT, height TEXT, fee TEXT)"
        )
        names = [f"{a} {b}" for a in FIRST for b in LAST][:-1] + ["Hal Quartz"]
        rows = [
            (i, name, f"{i % 28 + 1:02d}/{i % 12 + 1:02d}/{2020 + i % 5}", f"{5 + i % 2}' {i % 12}\"", f"${i * 500:,}")
            for i, name in enumerate(names, 1)
        ]
        connection.executemany("INSERT INTO climbers VALUES (?, ?, ?, ?, ?)", rows)
    connection.close()
    return path


@pytest.mark.parametrize(
    "text, kind, forms",
    [
        ("signed in March 2030", "month", {"2030-03", "03/2030", "Mar 2030"}),
        ("in Sept. 2029?", "month", {"2029-09"}),
        ("on December 25", "day", {"12-25", "25/12"}),
        ("on the 3rd of May 2001", "date", {"2001-05-03", "03/05/2001", "05/03/2001"}),
        ("since 2001-05-03", "date", {"03.05.2001"}),
        ("exactly 6' 7\"?", "length", {"79", "6' 7\"", "6'7\""}),
        ("6 foot 7 or taller", "length", {"79"}),
        ("at least 7 feet", "length", {"84", "7' 0\""}),
        ("over 20 million a year", "number", {"20000000", "20,000,000"}),
        ("over $1.5M", "number", {"1500000"}),
        ("born in any March", "any month", {"03"}),
        ("back in 2012", "year", {"2012"}),
        ("in 2012, who led?", "year", {"2012"}),
        ("a crowd of 15,240, say", "number", {"15240", "15,240"}),
        ("the five best", "number", {"5"}),
        ("longer than ten minutes?", "duration", {"600000", "600", "10"}),
        ("a 10-minute track", "duration", {"600000", "600", "10"}),
        ("over 90 sec", "duration", {"90000", "90", "1.5"}),
        ("two hours and thirty minutes long", "duration", {"9000000", "9000", "150", "2.5"}),
        ("two and a half minutes", "duration", {"150000", "150", "2.5"}),
        ("longer than an hour", "duration", {"3600000", "3600", "60", "1"}),
        ("2,500 minutes in all", "duration", {"150000000", "2500"}),
        ("larger than 5 MB", "size", {"5000000", "5242880", "5"}),
        ("two gigabytes", "size", {"2000000000"}),
        ("in Q4, say", "quarter", {"10", "12"}),
    ],
)
def test_amounts_and_their_forms(text, kind, forms):
    (found,) = amounts(text)
    assert found.kind == kind and forms <= set(found.forms)
    assert [a.kind for a in amounts(stand_in(kind))] == [kind] or kind == "any month"


@pytest.mark.parametrize("text", ["the top-five picks", "one of them", "March on", "C-0042x"])
def test_what_is_no_amount(text):
    assert amounts(text) == []


@pytest.mark.parametrize(
    "text", ["the fourth quarter of 2012", "the last three months of 2012", "the final quarter 2012"]
)
def test_a_quarter_is_of_a_year(text):
    assert [(a.kind, a.forms[0]) for a in amounts(text)] == [("quarter", "10"), ("year", "2012")]
    assert amounts("points in the fourth quarter") == []  # of a game


@pytest.mark.parametrize(
    "text", ["between 3 minutes and 45 minutes", "between 3 and 45 min", "from three to 45 minutes"]
)
def test_a_range_has_two_ends(text):
    assert [a.forms[1] for a in amounts(text)] == ["180", "2700"]


def test_a_small_number_is_held_where_something_is_compared_with_it():
    """'ten minutes' is not the 10 of LIMIT 10, nor a quarter's month a place in a text."""
    long, late = (
        [Mention(0, 1, a.forms[0], kind=a.kind, forms=a.forms) for a in amounts(t)] for t in ("ten min", "Q1")
    )
    for sql in ("select n from t where ms > 600000", "select n from t where m >= 10", "... between 600 and 900"):
        assert lacking(long, sql) == 0
    for sql in ("select n from t order by ms limit 10", "select n from t where ms > 6000000", "where m > 10.5"):
        assert lacking(long, sql) == 1
    assert lacking(late, "where substr(d, 6, 2) >= '01' and substr(d, 6, 2) <= '03'") == 0
    assert lacking(late, "where d >= '2012-01-01'") == 0 and lacking(late, "where substr(d, 1, 3) = 'x'") == 1


def test_an_amount_takes_words_that_are_names_elsewhere(climbers):
    """A climber called Ten would be named by 'Ten'; 'ten minutes' is longer than his name."""
    values = Values(climbers)
    values.columns["ten"], values.spelt["ten"] = {"climbers.name"}, "Ten"
    assert [m.kind for m in values.mentions("Who took longer than ten minutes?")] == ["duration"]
    assert [m.kind for m in values.mentions("When did Ten join?")] == ["value"]


def test_a_word_of_one_name_is_that_name_and_a_first_name_is_a_part(climbers):
    values = Values(climbers)
    (whole,) = values.mentions("When did Quartz join?")
    assert (whole.value, whole.kind, whole.columns) == ("hal quartz", "value", {"climbers.name"})
    (part,) = values.mentions("How many climbers have Ada as their first name?")
    assert (part.value, part.kind) == ("ada", "part")
    assert values.mentions("Dan is how many?") == ()  # the first word has a capital anyway


@pytest.mark.parametrize(
    "asked, sql, question, wanted",
    [
        ("Who joined in May 2021?", "SELECT name FROM climbers WHERE joined LIKE '%/05/2021'",
         "Who joined in June 2022?", "'%/06/2022'"),
        ("Who is exactly 6' 1\"?", "SELECT name FROM climbers WHERE height = '6'' 1\"'",
         "Who is exactly 5 foot 10?", "'5'' 10\"'"),
        ("Who is taller than 6' 1\"?", "SELECT name FROM climbers WHERE CAST(height AS INTEGER) * 12 > 73",
         "Who is taller than 5 feet 10?", "> 70"),
        ("Who pays over $5k?", "SELECT name FROM climbers WHERE CAST(SUBSTR(fee, 2) AS INTEGER) > 5000",
         "Who pays over 12 thousand?", "> 12000"),
        ("Who pays exactly $5,000?", "SELECT name FROM climbers WHERE fee = '$5,000'",
         "Who pays exactly $7,500?", "'$7,500'"),
        ("Which climbers have Ada as first name?", "SELECT name FROM climbers WHERE name LIKE 'Ada %'",
         "Which climbers have Ben as first name?", "'Ben %'"),
        ("Which climbs took under two minutes?", "SELECT ROUND(AVG(ms), 2) FROM climbs WHERE ms < 120000",
         "Which climbs took under ten minutes?", "ROUND(AVG(ms), 2) FROM climbs WHERE ms < 600000"),
        ("Who joined in Q1 of 2021?",
         "SELECT name FROM t WHERE SUBSTR(d, 1, 4) = '2021' AND SUBSTR(d, 6, 2) >= '01' AND SUBSTR(d, 6, 2) <= '03'",
         "Who joined in the fourth quarter of 2022?",
         "SUBSTR(d, 1, 4) = '2022' AND SUBSTR(d, 6, 2) >= '10' AND SUBSTR(d, 6, 2) <= '12'"),
        ("Who joined on May 10?", "SELECT name FROM climbers WHERE SUBSTR(joined, 1, 5) = '10/05'",
         "Who joined on 24 December?", "'24/12'"),
    ],
)  # fmt: skip
def test_a_pair_of_another_amount_gives_the_query(climbers, asked, sql, question, wanted):
    pairs = QuestionSet("pairs", (Question("p", asked, sql, "climbers"),))
    pool = Candidates(pairs, climbers, lambda texts: numpy.ones((len(texts), 1), dtype=numpy.float32))
    assert any(wanted in candidate.sql for candidate in pool(question))


def test_a_query_that_leaves_a_value_out_comes_after_nearer_ones_only(climbers):
    """A far pair that takes in all values does not outrun one that is nearer by more than a value is worth."""
    pairs = QuestionSet("pairs", (
        Question("far", "Name Ada Ash with 5000", "SELECT id FROM climbers WHERE name = 'Ada Ash' AND fee > 5000",
                 "climbers"),
        Question("near", "How tall is Ada Ash", "SELECT height FROM climbers WHERE name = 'Ada Ash'", "climbers"),
    ))  # fmt: skip

    def encode(texts):
        return numpy.array([[1.0, 0.0] if "tall" in t else [0.2, 0.98] for t in texts], dtype=numpy.float32)

    found = Candidates(pairs, climbers, encode)("How tall is Ben Birch, with 700?", k=2)
    assert [c.sql for c in found if "Ben Birch" in c.sql] == ["SELECT height FROM climbers WHERE name = 'Ben Birch'"]
