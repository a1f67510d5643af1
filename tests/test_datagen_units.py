"""Units and periods in generated questions, on a made-up archive: minutes, megabytes, quarters, the last month there
is, yearly totals, more than any other."""

import random
import re
import sqlite3

import pytest

import labkit
from labkit.amounts import amounts
from labkit.candidates import Candidates
from labkit.datagen import aimed_at, conversions, groups, periods
from labkit.datagen.drawing import Drawer, NothingToAsk
from labkit.datagen.formats import recognise, round_bound, say
from labkit.datagen.phrases import expand
from labkit.datagen.reading import read_world
from labkit.datagen.speaker import Speaker
from labkit.datagen.units import measures, named, named_near, unit_of
from labkit.dataset import Question, QuestionSet
from labkit.execution import execute, execute_many
from labkit.linking import lacking


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Recordings with a duration in seconds and a size in bytes, the stations that sent them, loans with a day."""
    rng, path = random.Random(3), tmp_path_factory.mktemp("archive") / "archive.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE stations (station_id INTEGER PRIMARY KEY, name TEXT UNIQUE, town TEXT);"
            "CREATE TABLE recordings (recording_id INTEGER PRIMARY KEY, title TEXT UNIQUE, duration_seconds INTEGER,"
            " size_bytes INTEGER, station_id INTEGER REFERENCES stations(station_id));"
            "CREATE TABLE loans (loan_id INTEGER PRIMARY KEY, recording_id INTEGER REFERENCES recordings(recording_id),"
            " loaned_on TEXT, fee REAL)"
        )
        for i, name in enumerate(("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir"), 1):
            connection.execute("INSERT INTO stations VALUES (?, ?, ?)", (i, name, ("Moss", "Vik")[i % 2]))
        words = [f"{a} {b}" for a in ("Night", "Rain", "Tide", "Harbour", "Meadow") for b in ("Hour", "Song", "Watch")]
        for i, title in enumerate([f"{w} {n}" for w in words for n in ("A", "B", "C", "D")], 1):
            row = (i, title, rng.randrange(70, 5_000), rng.randrange(10**6, 90 * 10**6), rng.randrange(1, 7))
            connection.execute("INSERT INTO recordings VALUES (?, ?, ?, ?, ?)", row)
        for i in range(1, 301):
            day = f"{rng.choice((2021, 2022, 2023))}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 28):02d}"
            loan = (i, rng.randrange(1, 61), day, rng.randrange(100, 900) / 100)
            connection.execute("INSERT INTO loans VALUES (?, ?, ?, ?)", loan)
    connection.close()
    return path


@pytest.fixture(scope="module")
def speaker(archive):
    return Speaker(read_world(archive))


@pytest.fixture(scope="module")
def pairs(archive):
    return labkit.generate(archive, 1_200, wordings=1, typos=0.0, progress=False).pairs


def drawn(speaker, family, n=120):
    """Intents of one family, each with a wording."""
    rng, found = random.Random(1), []
    drawer = Drawer(speaker, rng)
    for _ in range(n):
        try:
            intent = family(drawer)
        except NothingToAsk:
            continue
        if intent:
            found.append((intent.word(rng), intent.sql))
    return found


# --- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "unit"),
    [("milliseconds", "milliseconds"), ("run time ms", "milliseconds"), ("secs", "seconds"), ("bytes", "bytes"),
     ("size mb", "megabytes"), ("seconds played", ""), ("name", ""), ("", "")],
)  # fmt: skip
def test_a_column_says_its_unit(name, unit):
    assert unit_of(name) == unit and measures(unit) == bool(unit)


@pytest.mark.parametrize(
    ("value", "unit", "wanted"),
    [(600_000, "milliseconds", {"10 minutes", "10 min", "ten minutes"}),
     (60, "seconds", {"1 minute", "one minute", "1 min"}),
     (90, "seconds", {"90 seconds", "1.5 minutes", "ninety seconds"}),
     (7_200, "seconds", {"2 hours", "two hours", "120 minutes"}),
     (3_600_000, "milliseconds", {"one hour", "60 minutes"}),
     (5_000_000, "bytes", {"5 MB", "5MB", "5 megabytes"}),
     (2_000_000, "kilobytes", {"2 GB"}),
     (324_623, "milliseconds", {"324,623 milliseconds"})],
)  # fmt: skip
def test_numbers_are_said_in_the_unit_that_people_name(value, unit, wanted):
    how, rng = recognise([1, 2]), random.Random(0)
    how = type(how)("number", unit=unit)
    said = {expand(say(value, how), rng) for _ in range(200)}
    assert wanted <= said
    for text in said - {"324,623 milliseconds"}:  # what is said is read as what is stored
        (amount,) = amounts(f"longer than {text}")
        forms = {float(f) for f in amount.forms}
        assert {value, value * 1000} & forms if unit != "kilobytes" else value * 1000 in forms


def test_bounds_are_those_that_come_to_mind():
    assert named_near(594_000, "milliseconds") == round_bound(594_000, "milliseconds") == 600_000
    assert named_near(44, "seconds") == 45 and named_near(7_000_000, "bytes") == 7_000_000
    near = named("milliseconds")
    assert near[600_000] > near[420_000] > near[150_000]  # ten minutes, seven, two and a half
    assert set(named("seconds")) > {1, 60, 600, 3_600}


def test_bounds_of_a_column_are_said_and_held(pairs):
    """In every pair with a bound, the question's duration is the query's number."""
    found = [(p, m) for p in pairs if (m := re.search(r"duration_seconds [<>]=? (\d+)", p.sql))]
    sizes = [(p, m) for p in pairs if (m := re.search(r"size_bytes [<>]=? (\d+)", p.sql))]
    assert len(found) > 15 and len(sizes) > 15
    for place, some in ((1, found), (0, sizes)):
        for pair, match in some:
            assert match[1] in {a.forms[place] for a in amounts(pair.question) if a.kind in ("duration", "size")}
    assert any(re.search(r"\b(two|three|five|ten|twenty|thirty) (minute|hour)", p.question, re.I) for p, _ in found)
    assert not [p for p in pairs if re.search("duration seconds|size bytes", p.question, re.I)]


def test_a_length_is_asked_in_minutes(archive, speaker):
    found = drawn(speaker, conversions.converted, 300)
    assert len(found) > 200
    names = {"minutes": "60", "hours": "3600", "MB": "1000000", "megabytes": "1000000", "KB": "1000",
             "kilobytes": "1000"}  # fmt: skip
    for question, sql in found:
        unit = next(u for u in names if re.search(rf"\bin {u}\b", question, re.I))
        assert f"/ {names[unit]}.0" in sql, question
    results = execute_many(archive, [sql for _, sql in found])
    assert all(r.ok for r in results)
    tops = [sql for q, sql in found if "longest recordings" in q and "in minutes" in q and "WHERE" not in sql]
    longest = execute(archive, "SELECT MAX(duration_seconds) / 60.0 FROM recordings").rows[0][0]
    assert tops and all(round(execute(archive, sql).rows[0][1]) == round(longest) for sql in tops)


def test_a_database_without_units_has_nothing_to_convert(tmp_path):
    path = tmp_path / "plain.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, size INTEGER)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", [(i, f"n{'abcdefghij'[i]}", 7 * i) for i in range(10)])
    connection.close()
    assert drawn(Speaker(read_world(path)), conversions.converted, 5) == []


# --- periods ----------------------------------------------------------------------------------------------------------


def test_a_number_of_a_quarter_or_of_the_last_month(archive, speaker):
    found = drawn(speaker, periods.of_period, 200)
    assert all(r.ok for r in execute_many(archive, [sql for _, sql in found]))
    quarters = [(q, sql) for q, sql in found if re.search(r"quarter of|\bQ\d|three months", q)]
    assert len(quarters) > 20
    for question, sql in quarters:
        (quarter,) = [a for a in amounts(question) if a.kind == "quarter"]
        first, last = quarter.forms
        assert f">= '{first}'" in sql and f"<= '{last}'" in sql and re.search(r"= '202[123]'", sql), question
    last = [sql for q, sql in found if re.search("(latest|most recent|last) month", q)]
    assert last and all("(SELECT MAX(SUBSTR(loaned_on, 1, 7)) FROM loans)" in sql for sql in last)
    first = [sql for q, sql in found if re.search("(first|earliest) year", q)]
    assert first and all("(SELECT MIN(SUBSTR(loaned_on, 1, 4)) FROM loans)" in sql for sql in first)


def test_the_last_quarter_there_is(archive, speaker):
    found = [sql for q, sql in drawn(speaker, periods.of_period, 300) if re.search("(latest|most recent) quarter", q)]
    plain = next(sql for sql in found if sql.startswith("SELECT COUNT(*)") and " AND " not in sql)
    (latest,) = execute(archive, "SELECT MAX(loaned_on) FROM loans").rows[0]
    start = f"{latest[:4]}-{3 * ((int(latest[5:7]) - 1) // 3) + 1:02d}"
    wanted = execute(archive, f"SELECT COUNT(*) FROM loans WHERE loaned_on >= '{start}'").rows
    assert execute(archive, plain).rows == wanted


def test_yearly_totals_in_the_adjective(speaker):
    found = drawn(speaker, periods.yearly)
    for word, length in (("(yearly|annual)", 4), ("monthly", 7)):
        some = [sql for q, sql in found if re.search(rf"\b{word}\b", q, re.I)]
        assert len(some) > 5 and all(
            re.search(rf"GROUP BY SUBSTR\((l\.)?loaned_on, 1, {length}\)", sql) for sql in some
        )
    assert any(re.search(r"yearly fee totals", q, re.I) for q, _ in found)


def test_more_than_any_other_is_the_most(pairs, speaker):
    found = [p for p in pairs if re.search(r"than (any other|all the others|all the rest|anyone else)", p.question)]
    assert len(found) > 4
    assert all("LIMIT 1" in p.sql and "ORDER BY" in p.sql for p in found if "extreme" in p.tags[0])
    less = [p for p in found if re.search(r"\b(shorter|smaller|fewer|lower)\b.* than", p.question)]
    assert all("DESC LIMIT 1" not in p.sql for p in less if p.tags[0] in ("extreme", "group_extreme"))
    tied = [q for q, sql in drawn(speaker, groups.group_extreme, 300) if "HAVING" in sql]
    assert tied and not any("than any other" in q for q in tied)


# --- for one question -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "wanted"),
    [("How many recordings are longer than ten minutes?",
      r"SELECT COUNT\(\*\) FROM recordings WHERE duration_seconds > 600"),
     ("How many loans were there in the fourth quarter of 2022?",
      r"SELECT COUNT\(\*\) FROM loans WHERE .*'2022' AND .*>= '10' AND .*<= '12'"),
     ("How many loans were made in the most recent month in the data?",
      r"SELECT COUNT\(\*\) FROM loans WHERE SUBSTR\(loaned_on, 1, 7\) = \(SELECT MAX\(.*\) FROM loans\)"),
     ("Give me the yearly fee totals.",
      r"SELECT SUBSTR\(loaned_on, 1, 4\), SUM\(fee\) FROM loans GROUP BY SUBSTR\(loaned_on, 1, 4\)")],
)  # fmt: skip
def test_the_right_candidate_is_drawn(archive, question, wanted):
    import numpy

    def encode(texts):
        words = sorted(set(re.findall(r"[a-z]+", question.lower())))
        found = numpy.array([[w in t.lower() for w in words] + [True] for t in texts], dtype=numpy.float32)
        return found / numpy.linalg.norm(found, axis=1, keepdims=True)

    pool = QuestionSet("pool", (Question("p", "How many stations are there?", "SELECT COUNT(*) FROM stations", "a"),))
    found = Candidates(pool, archive, encode, progress=False, draw=aimed_at(archive))
    right = [c.sql for c in found(question, 400) if re.fullmatch(wanted, c.sql)]
    assert right and lacking(found.values.mentions(question), right[0]) == 0
