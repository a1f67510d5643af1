"""What is no SQLite file becomes one: CSV and Parquet folders, DuckDB files; what is not carried over is said."""

import importlib
import json
import sqlite3
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from labkit import workspace
from labkit.cli import app
from labkit.errors import LabkitError
from labkit.workspace import convert

PEOPLE = "id,name,zip,joined\n1,Ana,01234,2020-01-02\n2,Bo,99999,2021-05-06\n3,Cy,00501,2021-05-07\n"
SHOP = """
    CREATE TABLE customers(id INTEGER PRIMARY KEY, name VARCHAR NOT NULL, joined DATE, vip BOOLEAN);
    CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers(id), amount DECIMAL(10, 2),
                        tags VARCHAR[], placed TIMESTAMP WITH TIME ZONE, CHECK (amount > 0));
    INSERT INTO customers VALUES (1, 'Ana', '2020-01-02', true), (2, 'Bo', NULL, false);
    INSERT INTO orders VALUES (1, 1, 3.50, ['a', 'b'], '2021-01-01 10:00:00+02'), (2, 2, 9.99, [], NULL);
    CREATE VIEW big AS SELECT * FROM orders WHERE amount > 5;
"""


def put(folder: Path, **files: str | bytes) -> Path:
    """A folder of CSV files, by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def rows(file: Path, sql: str) -> list[tuple]:
    with sqlite3.connect(file) as connection:
        return connection.execute(sql).fetchall()


def kinds(made) -> set[tuple[str, str]]:
    return {(note.kind, note.table) for note in made.notes}


@pytest.fixture
def shop(tmp_path):
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(SHOP)
    return tmp_path / "shop.duckdb"


# --- CSV


def test_a_folder_of_csv_files_is_a_database(tmp_path):
    source = put(tmp_path / "in", people=PEOPLE, visits="who,day\n1,2024-01-01\n1,2024-01-02\n")
    made = convert(source, tmp_path / "out.sqlite", progress=False)
    assert [(t.table, t.rows, t.columns) for t in made.tables] == [("people", 3, 4), ("visits", 2, 2)]
    assert rows(made.file, "SELECT * FROM people ORDER BY id")[0] == (1, "Ana", "01234", "2020-01-02")
    assert rows(made.file, "SELECT typeof(id), typeof(zip) FROM people LIMIT 1") == [("integer", "text")]
    assert "people: 3 rows, 4 columns" in str(made) and made.rows == 5


def test_text_becomes_a_number_only_where_it_can_be_written_back(tmp_path):
    table = "a,b,c,d\n1,1.5,1.50,7\n2,2.25,1.5,x\n-3,0.5,2,9\n"
    made = convert(put(tmp_path / "in", t=table), tmp_path / "out.sqlite", progress=False)
    assert rows(made.file, "SELECT typeof(a), typeof(b), typeof(c), typeof(d) FROM t LIMIT 1") == [
        ("integer", "real", "text", "text")
    ]


def test_strange_csv_files_are_read_and_what_was_decided_is_said(tmp_path):
    source = put(
        tmp_path / "in",
        semicolons='id;said\n1;"a; b"\n2;"c ""d"""\n',
        latin="id,town\n1,Köln\n2,Besançon\n".encode("latin-1"),
        marked=b"\xef\xbb\xbfid,x\n1,2\n",
        twice="id,name,name,\n1,a,b,c\n",
        ragged="id,x,y\n1,2,3\n2,3\n",
    )
    made = convert(source, tmp_path / "out.sqlite", progress=False)
    assert rows(made.file, "SELECT said FROM semicolons ORDER BY id") == [("a; b",), ('c "d"',)]
    assert rows(made.file, "SELECT town FROM latin ORDER BY id") == [("Köln",), ("Besançon",)]
    assert [c[1] for c in rows(made.file, "PRAGMA table_info(marked)")] == ["id", "x"]
    names = [c[1] for c in rows(made.file, "PRAGMA table_info(twice)")]
    assert len(names) == len(set(names)) == 4 and all(names)
    assert rows(made.file, "SELECT * FROM ragged ORDER BY id")[1] == (2, 3, None)
    assert {("text", "semicolons"), ("row", "ragged")} <= kinds(made)


def test_excluded_columns_are_not_carried_over(tmp_path):
    source = put(tmp_path / "in", people=PEOPLE)
    made = convert(source, tmp_path / "out.sqlite", exclude=["people.name", "zip"], progress=False)
    assert [c[1] for c in rows(made.file, "PRAGMA table_info(people)")] == ["id", "joined"]
    assert b"Ana" not in made.file.read_bytes()


# --- DuckDB and Parquet


def test_a_duckdb_file_comes_with_its_keys(shop, tmp_path):
    made = convert(shop, tmp_path / "out.sqlite", progress=False)
    assert [(t.table, t.key, t.references) for t in made.tables] == [
        ("customers", ("id",), 0), ("orders", ("id",), 1),
    ]  # fmt: skip
    assert rows(made.file, "SELECT amount, placed FROM orders ORDER BY id") == [
        (3.5, "2021-01-01 08:00:00"), (9.99, None),
    ]  # fmt: skip
    assert rows(made.file, "SELECT vip, joined FROM customers ORDER BY id") == [(1, "2020-01-02"), (0, None)]
    assert {("view", "big"), ("check", "orders"), ("type", "orders")} <= kinds(made)
    assert rows(made.file, "PRAGMA foreign_key_check") == []


def test_parquet_files_are_tables(shop, tmp_path):
    folder = tmp_path / "parquet"
    folder.mkdir()
    with duckdb.connect(str(shop), read_only=True) as connection:
        for name in ("customers", "orders"):
            connection.execute(f"COPY {name} TO '{folder / name}.parquet' (FORMAT parquet)")
    made = convert(folder, tmp_path / "out.sqlite", progress=False)
    assert [(t.table, t.rows) for t in made.tables] == [("customers", 2), ("orders", 2)]
    assert rows(made.file, "SELECT name FROM customers ORDER BY id") == [("Ana",), ("Bo",)]
    one = convert(folder / "orders.parquet", tmp_path / "one.sqlite", progress=False)
    assert rows(one.file, "SELECT COUNT(*) FROM orders") == [(2,)]


# --- what goes wrong


def test_nothing_is_overwritten_and_nothing_is_left_half(tmp_path, monkeypatch):
    source = put(tmp_path / "in", people=PEOPLE)
    out = tmp_path / "out" / "people.sqlite"
    convert(source, out, progress=False)
    with pytest.raises(LabkitError, match="is there already"):
        convert(source, out, progress=False)
    before, module = out.read_bytes(), importlib.import_module("labkit.workspace.sources")

    def interrupted(source, file, progress):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert(source, out, force=True, progress=False)
    assert out.read_bytes() == before and [p.name for p in out.parent.iterdir()] == ["people.sqlite"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("nothing", None, "There is no"), ("text.txt", b"hello", "neither a CSV"), ("empty", "", "neither a CSV")],
)
def test_what_is_no_source_is_told(tmp_path, name, content, said):
    path = tmp_path / name
    if content == "":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(LabkitError, match=said):
        convert(path, tmp_path / "out.sqlite", progress=False)
    assert not (tmp_path / "out.sqlite").exists()


def test_a_sqlite_file_needs_no_conversion(tmp_path):
    made = convert(put(tmp_path / "in", people=PEOPLE), tmp_path / "out.sqlite", progress=False)
    with pytest.raises(LabkitError, match="is a SQLite file already"):
        convert(made.file, tmp_path / "again.sqlite", progress=False)


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path, kind):
    with pytest.raises(LabkitError) as caught:
        convert(f"{kind}://me:s3cret@127.0.0.1:9/shop", tmp_path / "out.sqlite", progress=False)
    assert "s3cret" not in str(caught.value) and "127.0.0.1" in str(caught.value)


# --- the commands


def test_a_workspace_begins_from_csv_files(tmp_path):
    names = ("Ana", "Bo", "Cy", "Dora", "Eli")
    people = "id,name,town,age\n" + "".join(
        f"{i},{names[i % 5]} {i},{'Ulm' if i % 3 else 'Bonn'},{20 + i}\n" for i in range(30)
    )
    source = put(tmp_path / "in", people=people)
    made = workspace.init(tmp_path / "space", source)
    assert made.drafts > 0 and (tmp_path / "space" / "database.sqlite").is_file()
    said = json.loads((tmp_path / "space" / "source.json").read_text())
    assert said["rows"] == 30 and "people: 30 rows" in str(made)


def test_the_command_says_what_was_carried_over(tmp_path):
    source = put(tmp_path / "in", people=PEOPLE)
    done = CliRunner().invoke(app, ["convert", str(source), "--out", str(tmp_path / "o.sqlite"), "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["rows"] == 3
