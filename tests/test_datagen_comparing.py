"""Families that compare, on a made-up orchard: each query against the same reckoned in Python."""

import random
import re
import sqlite3

import pytest

from labkit.datagen import comparing
from labkit.datagen.drawing import Drawer
from labkit.datagen.lists import bounded
from labkit.datagen.reading import read_world
from labkit.datagen.speaker import Speaker
from labkit.datagen.subjects import Subject

KINDS = ["apple", "cherry", "pear", "plum", "quince"]
ROWS = [
    (i, f"Tree {chr(65 + i // 26)}{chr(65 + i % 26)}", KINDS[i % 5], 2 + i * 7 % 40, 1990 + i * 3 % 25)
    for i in range(40)
]
YEARS = (2029, 2030, 2031)
CROPS = [
    (i, year, 3 + (i * 11 + year) % 50) for i in range(40) if i % 4 for year in YEARS
]  # every fourth tree bears none


@pytest.fixture(scope="module")
def orchard(tmp_path_factory):
    path = tmp_path_factory.mktemp("orchard") / "orchard.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            CREATE TABLE trees (tree_id INTEGER PRIMARY KEY, name TEXT UNIQUE, kind TEXT, height INTEGER,
                                planted INTEGER);
            CREATE TABLE crops (crop_id INTEGER PRIMARY KEY, tree_id INTEGER REFERENCES trees(tree_id),
                                season INTEGER, kilos INTEGER);
        """)
        connection.executemany("INSERT INTO trees VALUES (?, ?, ?, ?, ?)", ROWS)
        connection.executemany("INSERT INTO crops (tree_id, season, kilos) VALUES (?, ?, ?)", CROPS)
    connection.close()
    return path


@pytest.fixture(scope="module")
def speaker(orchard):
    return Speaker(read_world(orchard))


def test_rows_against_a_named_one(speaker, drawn):
    by_name, seen = {row[1]: row for row in ROWS}, set()
    for sql, rows, texts in drawn(speaker, comparing.against_row, 30):
        found = re.fullmatch(
            r"SELECT (name|COUNT\(\*\)) FROM trees WHERE (\w+) ([=<>]) \(SELECT \2 FROM trees WHERE name = '(.+?)'\)"
            r"(?: AND name <> '.+?')?", sql
        )  # fmt: skip
        if not found:  # another condition beside
            continue
        what, column, op, name = found.groups()
        seen.add(op)
        place = ("tree_id", "name", "kind", "height", "planted").index(column)
        test = {"=": lambda a, b: a == b, "<": lambda a, b: a < b, ">": lambda a, b: a > b}[op]
        wanted = [r[1] for r in ROWS if r[1] != name and test(r[place], by_name[name][place])]
        assert rows == ((len(wanted),),) if "COUNT" in what else sorted(rows) == sorted((w,) for w in wanted)
        assert all(name in text or name.lower() in text.lower() for text in texts)
    assert seen == {"=", "<", ">"}


def test_the_difference_of_two_groups(speaker, drawn):
    checked = 0
    for sql, rows, _ in drawn(speaker, comparing.difference, 40):
        kinds = re.findall(r"WHEN (?:t\.)?kind = '(\w+)' THEN (\S+) END", sql)
        if " WHERE " not in sql and "JOIN" not in sql and len(kinds) == 2 and sql.startswith("SELECT AVG"):
            place = {"height": 3, "planted": 4}[kinds[0][1]]
            values = [[r[place] for r in ROWS if r[2] == kind] for kind, _ in kinds]
            assert rows[0][0] == pytest.approx(sum(values[0]) / 8 - sum(values[1]) / 8)
            checked += 1
    assert checked


def test_a_part_of_the_total(speaker, drawn):
    found = drawn(speaker, comparing.part_of_total)
    assert all(rows[0][0] is None or 0 <= rows[0][0] <= 100 for _, rows, _ in found)
    assert all("percent" in text.lower() for _, _, texts in found for text in texts)


def test_change_between_periods(speaker, drawn):
    checked = set()
    for sql, rows, texts in drawn(speaker, comparing.change, 40):
        high, low = (int(year) for year in re.findall(r"season = (\d+) THEN", sql)[:2])
        assert high > low and all(str(low) in text and str(high) in text for text in texts)
        if "SUM(CASE WHEN season" in sql and "WHERE" not in sql and "ROUND" not in sql:
            new, old = (sum(c[2] for c in CROPS if c[1] == year) for year in (high, low))
            relative = sql.startswith("SELECT 100.0")
            assert rows[0][0] == pytest.approx(100 * (new - old) / old if relative else new - old)
            assert any("percent" in text.lower() for text in texts) == relative
            checked.add(relative)
    assert checked == {True, False}


def test_those_without_related_rows_count_as_zero(speaker, drawn):
    found = drawn(speaker, comparing.with_none)
    whole = [rows for sql, rows, _ in found if "WHERE" not in sql and "HAVING" not in sql and " AND " not in sql]
    assert whole and all(len(rows) == 40 and sum(n == 0 for _, n in rows) == 10 for rows in whole)
    few = [(sql, rows) for sql, rows, _ in found if "HAVING" in sql]
    assert few and all(n < int(re.search(r"HAVING .* < (\d+)", sql)[1]) for sql, rows in few for _, n in rows)
    assert any(n == 0 for _, rows in few for _, n in rows)


def test_neither_of_two_values(speaker, drawn):
    kinds, checked = {row[1]: row[2] for row in ROWS}, 0
    for sql, rows, texts in drawn(speaker, comparing.neither):
        left_out = re.search(r"kind NOT IN \('(\w+)', '(\w+)'\)", sql).groups()
        if sql.startswith("SELECT name") and sql.count(" AND ") == 0 and "JOIN" not in sql:
            assert sorted(rows) == sorted((name,) for name, kind in kinds.items() if kind not in left_out)
            checked += 1
        assert all(kind in text.lower() for kind in left_out for text in texts)
    assert checked


def test_who_filters_by_a_bound_sees_the_value(speaker):
    """'taller than 20': the height may stand beside; 'apples' need no kind beside."""
    drawer = Drawer(speaker, random.Random(1))
    view = next(v for v in drawer.views if v.root.table == "trees" and v.own)
    conditions = [c for _ in range(200) if (c := drawer.own(view)) and len(c.tests) == 1]
    shown = {c.tests[0].op: [f.name for f in bounded(drawer, Subject(speaker, view, [c]))] for c in conditions}
    assert shown["="] == [] and any(names and names[0] in ("height", "planted") for names in shown.values())
