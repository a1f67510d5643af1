"""Large tables are looked at through a copy: what is in it, what is not, and that the pairs hold for the whole file."""

import sqlite3
import tempfile
from pathlib import Path

import pytest

import labkit
from labkit import datagen
from labkit.datagen import sampled
from labkit.exclusion import excluding
from labkit.schema import read_schema
from labkit.workspace import check, drafts, start


@pytest.fixture
def shop(tmp_path) -> Path:
    """4,000 orders of 3,000 customers in 40 cities; row ids with gaps; a table without them; a private column."""
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as made:
        made.executescript(
            "CREATE TABLE cities (id INTEGER PRIMARY KEY, name TEXT UNIQUE);"
            "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT UNIQUE, pin TEXT NOT NULL,"
            " city_id INTEGER NOT NULL REFERENCES cities);"
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers, pieces INTEGER,"
            " state TEXT, twice INTEGER GENERATED ALWAYS AS (pieces * 2));"
            "CREATE TABLE codes (code TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID;"
            "CREATE VIEW open AS SELECT * FROM orders WHERE state = 'open';"
        )
        made.executemany("INSERT INTO cities VALUES (?, ?)", [(i, f"City {i}") for i in range(1, 41)])
        rows = [(i, f"Customer {i}", f"{i}-SECRET", i % 40 + 1) for i in range(1, 3001)]
        made.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", rows)
        rows = [(i * 7, i * 13 % 3000 + 1, i % 9, ("open", "paid", "sent")[i % 3]) for i in range(1, 4001)]
        made.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
        made.executemany("INSERT INTO codes VALUES (?, ?)", [(f"c{i:04d}", i) for i in range(2000)])
    made.close()
    return path


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Tables of more than 1,000 rows count as large, 200 of them are looked at."""
    monkeypatch.setattr(sampled, "LARGE", 1_000)
    monkeypatch.setattr(sampled, "ROWS", 200)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()


def test_a_copy_has_rows_from_all_over_and_those_that_they_refer_to(shop, small, tmp_path):
    with excluding(shop, ["pin"]), sampled.looked_at(shop) as (copy, told):
        assert "orders has 4,000" in told and "customers has 3,000" in told and "cities" not in told
        with sqlite3.connect(copy) as reading:
            ask = lambda sql: reading.execute(sql).fetchall()  # noqa: E731
            assert ask("SELECT count(*), min(id), max(id) FROM orders") == [(200, 7, 28_000)]
            assert 200 < ask("SELECT count(*) FROM customers")[0][0] <= 400
            assert ask("SELECT count(*) FROM cities") == [(40,)] and ask("SELECT count(*) FROM codes") == [(200,)]
            assert ask("PRAGMA foreign_key_check") == [] and len(ask("SELECT * FROM open")) > 50
            assert not [row for row in ask("SELECT * FROM customers") if "SECRET" in str(row)]
        reading.close()
        (table,) = [table for table in read_schema(copy).tables if table.name == "customers"]
        assert "pin" not in [column.name for column in table.columns]
        refused = labkit.execute(copy, "SELECT pin FROM customers")
        assert refused.limit == "excluded"
    assert not list((tmp_path / "temporary").iterdir())


def test_pairs_are_drawn_from_the_copy_and_are_about_the_file(shop, small, monkeypatch, tmp_path):
    asked, run = set(), datagen.execute_many
    monkeypatch.setattr(datagen, "execute_many", lambda path, sqls: asked.add(Path(path)) or run(path, sqls))
    made = labkit.generate(shop, 60, wordings=1, exclude=["pin"], progress=False)
    assert len(made.pairs) == 60 and {pair.database for pair in made.pairs} == {"shop"}
    assert asked and shop not in asked and "Drawn from a copy with at most 200 rows of a table" in str(made.report)
    results = run(shop, [pair.sql for pair in made.pairs])
    assert all(result.ok for result in results) and sum(bool(result.rows) for result in results) >= 55
    assert not list((tmp_path / "temporary").iterdir())


def test_drafts_find_something_in_the_whole_file(shop, small):
    drawn = drafts.drawn(shop, exclude=("pin",))
    assert len(drawn) == 40 and all(labkit.execute(shop, draft.sql).rows for draft in drawn)


def test_findings_and_the_draft_glossary_come_from_the_copy(shop, small, monkeypatch, tmp_path):
    read, reading_world = set(), check.read_world
    for module in (check, start):
        monkeypatch.setattr(
            module, "read_world", lambda path, *more: read.add(Path(path)) or reading_world(path, *more)
        )
    made = start.init(tmp_path / "mine", shop, exclude=("pin",))
    assert read and shop not in read and made.drafts == 40
    with sqlite3.connect(shop) as changed:
        changed.execute("CREATE TABLE visits (id INTEGER PRIMARY KEY, city_id INTEGER, made TEXT)")
        changed.executemany("INSERT INTO visits VALUES (?, ?, ?)", [(i, i % 40 + 1, f"{i}") for i in range(2000)])
    changed.close()
    texts = [f.text for f in check.findings(read_schema(shop), ("pin",)) if f.kind == "undeclared reference"]
    assert len(texts) == 1 and texts[0].startswith("Every value looked at is a cities.id")


def test_of_small_tables_the_file_itself_is_looked_at(shop):
    with sampled.looked_at(shop) as (file, told):
        assert file == shop and told == ""
