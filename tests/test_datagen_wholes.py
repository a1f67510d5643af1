"""Families about parts, ranges and meetings, on a made-up regatta: each query against the same reckoned in Python."""

import random
import re
import sqlite3
from dataclasses import replace

import pytest

from labkit.datagen import bounds, changes, comparing, computed, groups, numbers, sides
from labkit.datagen.conditions import sql_of
from labkit.datagen.drawing import Drawer
from labkit.datagen.phrases import expand
from labkit.datagen.reading import read_world
from labkit.datagen.speaker import Speaker

ANIMALS = ("Cods", "Eels", "Gulls", "Hakes", "Rays", "Seals", "Terns", "Whales")
CREWS = [(i, f"The {name}", i % 3 + 1) for i, name in enumerate(ANIMALS, 1)]
HARBOURS = [(1, "Aland", "east"), (2, "Bornholm", "east"), (3, "Corfu", "west")]
YEARS = (2029, 2030, 2031)
_rng = random.Random(4)
RACES = [
    (year, a, b, _rng.randint(60, 99), 20 + _rng.randint(40, 80), _rng.randint(3, 40))
    for year in YEARS
    for a in range(1, 9)
    for b in range(1, 9)
    if a != b
]
TALLIES = [
    (crew, year, _rng.choice(("Ann Ash", "Bob Birch", "Cleo Cedar")), _rng.randint(0, 30), _rng.randint(0, 30))
    for crew in range(1, 9)
    for year in YEARS
]
NAMES = {row[0]: row[1] for row in CREWS}


@pytest.fixture(scope="module")
def speaker(tmp_path_factory):
    path = tmp_path_factory.mktemp("regatta") / "regatta.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            CREATE TABLE harbours (harbour_id INTEGER PRIMARY KEY, name TEXT UNIQUE, coast TEXT);
            CREATE TABLE crews (crew_id INTEGER PRIMARY KEY, name TEXT UNIQUE,
                                harbour_id INTEGER REFERENCES harbours(harbour_id));
            CREATE TABLE races (race_id INTEGER PRIMARY KEY, season INTEGER, home_id INTEGER REFERENCES crews(crew_id),
                                away_id INTEGER REFERENCES crews(crew_id), home_points INTEGER, away_points INTEGER,
                                wind INTEGER);
            CREATE TABLE tallies (crew_id INTEGER REFERENCES crews(crew_id), season INTEGER, coach TEXT, wins INTEGER,
                                  losses INTEGER, PRIMARY KEY (crew_id, season));
        """)
        connection.executemany("INSERT INTO harbours VALUES (?, ?, ?)", HARBOURS)
        connection.executemany("INSERT INTO crews VALUES (?, ?, ?)", CREWS)
        races = [(i, *race) for i, race in enumerate(RACES, 1)]
        connection.executemany("INSERT INTO races VALUES (?, ?, ?, ?, ?, ?, ?)", races)
        connection.executemany("INSERT INTO tallies VALUES (?, ?, ?, ?, ?)", TALLIES)
    connection.close()
    return Speaker(read_world(path))


def in_season(sql):
    """The rows of `RACES` in the season that the query names, or all."""
    year = re.search(r"season = (\d+)", sql)
    return [race for race in RACES if not year or race[0] == int(year[1])]


def test_head_to_head_both_ways(speaker, drawn):
    checked = 0
    for sql, rows, texts in drawn(speaker, sides.derby, 60):
        if sql.startswith("SELECT SUM"):
            a, b = re.findall(r"name = '(.+?)'", sql)[:2]
            met = [r for r in in_season(sql) if {NAMES[r[1]], NAMES[r[2]]} == {a, b}]
            won = sum((NAMES[r[1]] == a) == (r[3] > r[4]) for r in met if r[3] != r[4])
            lost = sum((NAMES[r[1]] == b) == (r[3] > r[4]) for r in met if r[3] != r[4])
            assert rows == ((won, lost),)
            assert all(a[4:] in text and b[4:] in text for text in texts)
            checked += 1
    assert checked > 5


def test_whatever_the_side(speaker, drawn):
    kinds = set()
    for sql, rows, texts in drawn(speaker, sides.either_part, 80):
        crew = re.search(r"name = '(.+?)'", sql)[1]
        mine = [r for r in in_season(sql) if crew in (NAMES[r[1]], NAMES[r[2]])]
        bound = re.search(r"wind (>=|<=|>|<) (\d+)", sql)
        if sql.startswith("SELECT AVG(wind)"):
            assert rows[0][0] == pytest.approx(sum(r[5] for r in mine) / len(mine))
            kinds.add("average")
        elif bound and "ROUND" not in sql and sql.count("wind") == 1:
            test = {">": int.__gt__, "<": int.__lt__, ">=": int.__ge__, "<=": int.__le__}[bound[1]]
            n = sum(test(r[5], int(bound[2])) for r in mine)
            whole = sql.startswith("SELECT COUNT(*)")
            assert rows[0][0] == (n if whole else pytest.approx(100 * n / len(mine)))
            kinds.add("count" if whole else "share")
        assert all(crew[4:] in text for text in texts)
    assert kinds == {"average", "count", "share"}


def test_how_many_lie_in_each_range(speaker, drawn):
    checked = 0
    for sql, rows, texts in drawn(speaker, numbers.buckets, 40):
        found = re.match(r"SELECT SUM\(wind < (\d+)\), SUM\(wind BETWEEN \1 AND (\d+)\), SUM\(wind >= (\d+)\)", sql)
        if found and "JOIN" not in sql:
            low, mid, high = map(int, found.groups())
            assert high == mid + 1 and all(str(low) in text and str(high) in text for text in texts)
            if sql.count(" AND ") == 1:  # no condition but the season
                winds = [r[5] for r in in_season(sql)]
                assert rows == ((sum(w < low for w in winds), sum(low <= w <= mid for w in winds),
                                 sum(w >= high for w in winds)),)  # fmt: skip
                checked += 1
    assert checked


def test_who_had_more_than_one(speaker, drawn):
    had = {crew: len({t[2] for t in TALLIES if t[0] == crew}) for crew in NAMES}
    seen = set()
    for sql, rows, _ in drawn(speaker, changes.changed, 40):
        n = int(re.search(r"HAVING COUNT\(DISTINCT coach\) > (\d)", sql)[1])
        wanted = [NAMES[crew] for crew, coaches in had.items() if coaches > n]
        counting = sql.startswith("SELECT COUNT")
        assert rows == ((len(wanted),),) if counting else sorted(rows) == sorted((w,) for w in wanted)
        seen.add((counting, n))
    assert len(seen) == 4


def test_the_part_of_the_largest(speaker, drawn):
    for sql, rows, texts in drawn(speaker, comparing.part_of_best, 40):
        assert rows[0][0] is None or 0 <= rows[0][0] <= 100
        assert all("percent" in text.lower() for text in texts)
        if found := re.fullmatch(r"SELECT 100.0 \* MAX\(wins\) / SUM\(wins\) FROM tallies WHERE season = (\d+)", sql):
            wins = [t[3] for t in TALLIES if t[1] == int(found[1])]
            assert rows[0][0] == pytest.approx(100 * max(wins) / sum(wins))


def test_the_least_groups_in_order(speaker, drawn):
    kinds = set()
    for sql, rows, texts in drawn(speaker, groups.group_extreme, 300, tries=1_500):
        found = re.search(r"ORDER BY .*?( DESC)? LIMIT (\d+)$", sql)
        if found and int(found[2]) > 1 and len(rows) > 1 and len(rows[0]) == 2:
            values = [row[1] for row in rows]
            assert values == sorted(values, reverse=bool(found[1]))
            worded = " ".join(texts).lower()
            assert bool(found[1]) or not re.search(r"highest|most\b|largest", worded)
            kinds.add(bool(found[1]))
    assert kinds == {True, False}


def test_a_computed_number_by_what_the_rows_belong_to(speaker, drawn):
    sqls = [sql for sql, *_ in drawn(speaker, computed.computed, 150, tries=1_500)]
    assert any(re.match(r"SELECT season, AVG\(.*GROUP BY season", sql) for sql in sqls)


def test_one_count_above_another(speaker):
    wins, losses = (speaker.world.field(f"tallies.{name}") for name in ("wins", "losses"))
    condition = bounds.more_than_other(speaker, wins, losses)
    (where,) = sql_of(condition.tests[0], lambda path: "t")
    assert where == "t.wins > t.losses"
    assert expand(condition.post[0], random.Random(0)) == "with more wins than losses"
    drawer = Drawer(speaker, random.Random(5))
    view = next(v for v in drawer.views if v.root.table == "tallies")
    assert any("columns" in c.tags for _ in range(200) if (c := drawer.own(view)))


def test_counts_of_another_size_are_never_compared(speaker):
    wins, losses = (speaker.world.field(f"tallies.{name}") for name in ("wins", "losses"))
    hundreds = replace(losses, values=tuple((100 * value, n) for value, n in losses.values))
    assert bounds.more_than_other(speaker, wins, hundreds) is None
