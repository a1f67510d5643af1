"""Files that are no SQLite database, made into one: CSV with its oddities, Parquet, DuckDB; and what is said of it."""
# ruff: noqa: E501

import contextlib
import json
import os
import runpy
import signal
import sqlite3
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit import workspace
from labkit.cli import main
from labkit.dataset import load_questions
from labkit.errors import LabkitError
from labkit.schema import read_schema
from labkit.workspace.sources import convert, is_source, tables

tiny_model_dir = runpy.run_path(str(Path(__file__).with_name("standin.py")))["tiny_model_dir"]


def rows(path: Path, sql: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"labkit-home"}


@pytest.fixture
def of_csv(tmp_path):
    """The rows, and the result, of one CSV file's bytes."""

    def make(content: str | bytes, **options):
        file = tmp_path / "items.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        made = convert(file, tmp_path / "out.sqlite", force=True, progress=False, **options)
        return rows(made.file, "SELECT * FROM items"), made

    return make


def columns(made) -> dict[str, str]:
    return {c.name: c.declared_type for c in read_schema(made.file).table("items").columns}


def told(made) -> set[tuple[str, str]]:
    return {(note.kind, note.column) for note in made.notes}


# --- CSV --------------------------------------------------------------------------------------------------------------


def test_numbers_only_where_the_same_text_comes_back(of_csv):
    found, made = of_csv(
        "n,zip,price,mixed,float,signed,large,spaced,empty\n"
        "1,00501,1.50,1.5,2.0,-0.0,12345678901234567890, 5,\n"
        "20,10001,12.00,1.50,3.25,1.0,1,6,\n"
    )
    assert columns(made) == {
        "n": "INTEGER", "zip": "TEXT", "price": "REAL", "mixed": "TEXT", "float": "REAL", "signed": "TEXT",
        "large": "TEXT", "spaced": "TEXT", "empty": "TEXT",
    }  # fmt: skip
    assert found[0] == (1, "00501", 1.5, "1.5", 2.0, "-0.0", "12345678901234567890", " 5", None)
    assert ("type", "price") in told(made) and ("type", "mixed") in told(made) and ("type", "float") not in told(made)


_CELL = st.one_of(
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=2).map(str),
    st.floats(allow_nan=False).map(repr),
    st.sampled_from(["007", "1e5", "+1", "-0", "-0.00", "1_000", "٣", ".5", "5.", "inf", "1.10", "2.0", "3"]),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(_CELL, min_size=1, max_size=5))
def test_every_value_can_be_written_back(of_csv, values):
    found, made = of_csv("x,y\n" + "".join(f"{value},a\n" for value in values))
    kind = columns(made)["x"]
    stored = [row[0] for row in found]
    if kind == "TEXT":
        assert stored == values
    elif kind == "INTEGER":
        assert [str(value) for value in stored] == values
    else:
        places = {-Decimal(value).as_tuple().exponent for value in values}
        fixed = [f"{value:.{max(places)}f}" for value in stored]
        shortest = [numpy.format_float_positional(value, trim="-") for value in stored]
        dotted = [numpy.format_float_positional(value, trim="0") for value in stored]
        assert values in (fixed, shortest, dotted)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("a;b\n1,5;x\n2,5;y\n", [("1,5", "x"), ("2,5", "y")]),
        ("a\tb\nx, y\t2\n", [("x, y", 2)]),
        ("a|b\nx, y|2\nz|3\n", [("x, y", 2), ("z", 3)]),
        ("\ufeffa,b\n1,2\n", [(1, 2)]),
        ('a,b\n"x, ""y""\nz",2\n', [('x, "y"\nz', 2)]),
        ("a,b\r\n1,2\r\n\r\n3,4\r\n", [(1, 2), (3, 4)]),
        ("a,b\r1,2\r3,4", [(1, 2), (3, 4)]),
        ("a, b\n1, 2\n", [(1, 2)]),
        ("a\nx\ny\n", [("x",), ("y",)]),
        ('a\tb\n"5 feet" tall\t1\n6" pipe\t2\n', [('"5 feet" tall', 1), ('6" pipe', 2)]),
        ("a,b\nMüller,ß\n".encode("utf-16"), [("Müller", "ß")]),
        ("a,b\nx\u2028y,z\x85\n", [("x\u2028y", "z\x85")]),
        (b"a,b\nx,y\n" + ("Grüße aus Köln, Düsseldorf und Würzburg\n" * 5).encode("cp1252").replace(b", ", b","), None),
    ],
)  # fmt: skip
def test_how_files_are_written(of_csv, content, wanted):
    found, made = of_csv(content)
    if wanted is None:
        assert found[1][0] == "Grüße aus Köln" and ("text", "") in told(made)
    else:
        assert found == wanted


def test_headers_and_rows_of_other_lengths(of_csv):
    found, made = of_csv("id,name,,NAME,\n1,a,b,c,d\n2,a\n3,a,b,c,d,extra\n4,a,b,c,d,,\n")
    assert list(columns(made)) == ["id", "name", "column_3", "NAME_2", "column_5", "column_6"]
    assert found[1] == (2, "a", None, None, None, None) and found[2][-1] == "extra" and found[3][-1] is None
    rows_told = [note.text for note in made.notes if note.kind == "row"]
    assert any("1, the first in line 3" in text for text in rows_told)
    assert any("1, the first in line 4" in text and "column_6" in text for text in rows_told)


def test_a_key_is_guessed_and_dropped_where_it_is_none(of_csv):
    _, made = of_csv("id,x\n1,a\n2,b\n")
    assert made.tables[0].key == ("id",)
    found, made = of_csv("id,x\n1,a\n1,b\n")
    assert made.tables[0].key == () and found == [(1, "a"), (1, "b")]
    assert any("holds a value twice" in note.text for note in made.notes)
    assert of_csv("id,x\n1,a\n,b\n")[1].tables[0].key == ()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is empty"),
        ('a,b\n1,"x\n2,"y"\n', "line 3: "),
        (b"a,b\0\n", "zero bytes"),
    ],
)
def test_what_is_no_csv(of_csv, tmp_path, content, sentence):
    with pytest.raises(LabkitError, match=sentence):
        of_csv(content)
    assert left(tmp_path) == {"items.csv"}


def test_a_wrong_encoding_is_told(of_csv):
    with pytest.raises(LabkitError, match="--encoding"):
        of_csv("a,b\nü,1\n", encoding="ascii")
    with pytest.raises(LabkitError, match="--encoding"):
        of_csv("a,b\nü,1\n", encoding="klingon")
    assert of_csv("a;b\n1;2\n", delimiter=",")[0] == [("1;2",)]


def test_rows_pass_in_batches(tmp_path):
    """A child that may hold far less than the file."""
    file = tmp_path / "items.csv"
    with file.open("w") as text:
        text.write("id,text\n")
        text.writelines(f"{i},{'x' * 500}\n" for i in range(200_000))
    import subprocess

    code = (
        "import resource, sys; from labkit.workspace.sources import convert\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "convert(sys.argv[1], sys.argv[2], progress=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    run = [sys.executable, "-c", code, str(file), str(tmp_path / "out.sqlite")]
    done = subprocess.run(run, capture_output=True, text=True)
    assert file.stat().st_size > 100_000_000 and int(done.stdout) < 50_000, done.stderr  # kilobytes


# --- DuckDB and Parquet -----------------------------------------------------------------------------------------------


@pytest.fixture
def duck(tmp_path) -> Path:
    path = tmp_path / "w.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE p (id INTEGER PRIMARY KEY, d DECIMAL(10,2), big HUGEINT, seen TIMESTAMPTZ, l INT[],"
            " s STRUCT(a TIMESTAMPTZ), b BLOB, f DOUBLE, ok BOOLEAN, day DATE, g INTEGER GENERATED ALWAYS AS (id * 2), CHECK (d > 0));"
            "INSERT INTO p VALUES (1, 1.5, 170141183460469231731687303715884105727, '2024-01-05 10:00+02', [1, 2],"
            " {'a': '2024-01-05 10:00+02'}, '\\xAA\\x00'::BLOB, 'nan', true, '2024-01-05');"
            "CREATE TABLE q (a INT, b INT, pid INT REFERENCES p (id), PRIMARY KEY (a, b), UNIQUE (pid));"
            "INSERT INTO q VALUES (1, 2, 1), (1, 3, NULL); CREATE INDEX i ON p (d); CREATE VIEW v AS SELECT * FROM p;"
            "CREATE SCHEMA s2; CREATE TABLE s2.z (a INT); INSERT INTO s2.z VALUES (5);"
        )
    return path


def test_duckdb(duck, tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    made = convert(duck, tmp_path / "out.sqlite", progress=False)
    assert rows(made.file, "SELECT * FROM p") == [
        (1, 1.5, 2.0**127, "2024-01-05 08:00:00", "[1, 2]", "{'a': '2024-01-05 08:00:00+00'}", b"\xaa\0", None, 1,
         "2024-01-05", 2)
    ]  # fmt: skip
    assert [t.key for t in made.tables] == [("id",), ("a", "b")] and made.tables[1].references == 1
    assert {(n.kind, n.table, n.column) for n in made.notes} >= {
        ("view", "v", ""), ("index", "p", ""), ("check", "p", ""), ("generated", "p", ""), ("schema", "z", ""),
        ("type", "p", "d"), ("type", "p", "seen"), ("type", "p", "l"), ("value", "p", "big"), ("value", "p", "f"),
    }  # fmt: skip
    assert not any(n.column in ("id", "day", "b") for n in made.notes)
    other = convert(duck, tmp_path / "other.sqlite", schema="s2", progress=False)
    assert rows(other.file, "SELECT * FROM z") == [(5,)]


def test_what_is_excluded_is_not_copied(duck, tmp_path):
    made = convert(duck, tmp_path / "out.sqlite", exclude=["p.ID", "l"], progress=False)
    names = [c[1] for c in rows(made.file, "PRAGMA table_info(p)")]
    assert "id" not in names and "l" not in names and made.tables[0].key == () and made.tables[1].references == 0
    made = convert(duck, tmp_path / "two.sqlite", exclude=["P"], progress=False)
    assert [t.table for t in made.tables] == ["q"] and ("reference", "pid") in told(made)


@pytest.mark.parametrize("name", ["p.idd", "r", "p.b.c"])
def test_a_name_to_exclude_that_nothing_has(duck, tmp_path, name):
    with pytest.raises(LabkitError, match=f"--exclude names '{name}', and nothing in .* is called so"):
        convert(duck, tmp_path / "out.sqlite", exclude=["q", "q.anything", name], progress=False)
    assert not (tmp_path / "out.sqlite").exists()


def test_parquet(tmp_path):
    folder = tmp_path / "lake"
    folder.mkdir()
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT i AS id, i * 1.5 AS x FROM range(30000) r(i)) TO '{folder}/nums.parquet'")
        parted = f"COPY (SELECT i, i % 3 AS part FROM range(9) r(i)) TO '{folder}/parted'"
        connection.execute(f"{parted} (FORMAT parquet, PARTITION_BY (part))")
    (folder / "nums.csv").write_text("a,b\n1,2\n")
    made = convert(folder, tmp_path / "out.sqlite", progress=False)
    assert {t.table: t.rows for t in made.tables} == {"nums": 1, "nums_2": 30_000, "parted": 9}
    assert rows(made.file, "SELECT SUM(id), SUM(x) FROM nums_2") == [(449_985_000, 674_977_500.0)]
    assert rows(made.file, "SELECT part, COUNT(*) FROM parted GROUP BY 1") == [(0, 3), (1, 3), (2, 3)]
    assert {t.table: t.key for t in made.tables} == {"nums": (), "nums_2": ("id",), "parted": ()}
    assert ("key", "") in told(made)  # and it is said that this was a guess
    (folder / "broken.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(LabkitError, match="DuckDB cannot read"):
        convert(folder, tmp_path / "two.sqlite", progress=False)
    assert left(tmp_path) == {"lake", "out.sqlite"}


def test_a_key_that_nobody_declared_is_one_where_the_rows_say_so(tmp_path):
    """As in CSV files: warehouses keep no keys."""
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE orders AS SELECT i AS order_id, i % 2 AS shop_id FROM range(5) r(i);"
            "CREATE TABLE twice AS SELECT i % 2 AS id FROM range(5) r(i);"
            "CREATE TABLE holes AS SELECT CASE WHEN i > 1 THEN i END AS id, i AS hole_no FROM range(5) r(i);"
            "CREATE TABLE reals AS SELECT i * 1.5::DOUBLE AS id FROM range(5) r(i); CREATE TABLE none (id INT)"
        )
    made = convert(tmp_path / "w.duckdb", tmp_path / "out.sqlite", progress=False)
    keys = {t.table: t.key for t in made.tables}
    assert keys == {"orders": ("order_id",), "twice": (), "holes": ("hole_no",), "reals": (), "none": ()}
    assert {n.table: n.text.split(":")[0] for n in made.notes if n.kind == "key"} == {
        "orders": "order_id taken for the key",
        "holes": "hole_no taken for the key",
        "twice": "id looks like a key but holds a value twice",
    }


def test_a_missing_extra_is_a_sentence(duck, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.setitem(sys.modules, "sqlalchemy.engine", None)
    for source in (duck, "postgresql://u:secret@h/d"):
        with pytest.raises(LabkitError, match=r"pip install 'labkit\[sources\]'"):
            convert(source, tmp_path / "out.sqlite")


# --- the file, the passwords, the command ------------------------------------------------------------------------------


def test_nothing_is_overwritten_and_nothing_half(tmp_path, monkeypatch):
    (tmp_path / "items.csv").write_text("a,b\n" + "1,2\n" * 5_000)
    out = tmp_path / "out.sqlite"
    out.write_text("mine")
    with pytest.raises(LabkitError, match="--force"):
        convert(tmp_path / "items.csv", out, progress=False)
    with pytest.raises(LabkitError, match="source itself"):
        convert(tmp_path / "items.csv", tmp_path / "items.csv", force=True, progress=False)
    store, seen = tables._Narrowed.store, []

    def interrupt(self, value, column):
        seen.append(value)
        if len(seen) == 3_000:
            signal.raise_signal(signal.SIGINT)
        return store(self, value, column)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tables._Narrowed, "store", interrupt)
        convert(tmp_path / "items.csv", out, force=True, progress=False)
    assert out.read_text() == "mine" and left(tmp_path) == {"items.csv", "out.sqlite"}
    assert convert(tmp_path / "items.csv", out, force=True, progress=False).rows == 5_000
    assert os.stat(out).st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:s3cret@127.0.0.1:1/db",
        "mysql://me:s3cret@127.0.0.1:1/db?read_timeout=x",
        "postgresql://me:s3cret@x@127.0.0.1:1/db",
        "postgresql://me:x@s3cret@127.0.0.1/db",
        "postgresql://me@127.0.0.1:1/db?password=s3cret",
        "postgresql://me:s3cret@127.0.0.1:port/db",
        "oracle://me:s3cret@127.0.0.1/db",
        "postgresql:/me:s3cret@127.0.0.1/db",
    ],
)
def test_no_password_in_any_error(address, tmp_path, capsys, monkeypatch):
    for command in (["convert", address, "--out", "o.sqlite"], ["init", "ws", "--db", address], ["execute", "SELECT 1", "--db", address], ["init", "a", address]):  # fmt: skip
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["labkit", *command])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code == 2 and said.err.startswith("Error: ") and "s3cret" not in said.err + said.out
    assert left(tmp_path) == set()


def test_what_is_a_source(duck, league, tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    for source in ("mysql://h/d", str(tmp_path), str(duck), str(tmp_path / "a.csv")):
        assert is_source(source)
    for other in (str(league), str(tmp_path / "none.sqlite"), "C:/data.sqlite"):
        assert not is_source(other)
    with pytest.raises(LabkitError, match="SQLite file already"):
        convert(league, tmp_path / "o.sqlite")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    for other in ("empty", "notes.txt"):
        with pytest.raises(LabkitError, match="neither"):
            convert(tmp_path / other, tmp_path / "o.sqlite")
    with pytest.raises(LabkitError, match="There is no"):
        convert(tmp_path / "nothing", tmp_path / "o.sqlite")
    assert not (tmp_path / "o.sqlite").exists()


def test_the_command(duck, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for flags in ([], ["--force", "--json"]):
        monkeypatch.setattr(sys, "argv", ["labkit", "convert", str(duck), "--out", "o.sqlite", *flags])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
    plain, _, record = capsys.readouterr().out.rstrip("\n").rpartition("\n")
    assert "q: 2 rows, 3 columns, key a, b, 1 reference" in plain and "view: v" in plain
    assert json.loads(record)["rows"] == 3


# --- a workspace of CSV files -----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    people = [f"{i},Customer {chr(64 + i)},{('Velden', 'Oakmere')[i % 2]},SECRET{i}" for i in range(1, 25)]
    (folder / "customers.csv").write_text("\n".join(["customer_id,name,city,passport", *people]))
    orders = [f"{i},{i % 24 + 1},{i * 37 % 900 + 100}.50,2023-{i % 12 + 1:02d}-11" for i in range(1, 90)]
    (folder / "orders.csv").write_text("\n".join(["order_id,customer_id,amount,day", *orders]))
    return folder


def test_a_workspace_of_csv_files(folder, tmp_path, tiny_model_dir, monkeypatch):
    monkeypatch.setattr("labkit.reranking._encoder", lambda *_: lambda texts: numpy.eye(1, 8).repeat(len(texts), 0))
    made = workspace.init(tmp_path / "mine", str(folder), exclude=("passport",))
    assert made.drafts == 40 and made.converted.rows == 113
    drafts = load_questions(made.folder / "draft.jsonl")
    assert any("JOIN" in draft.sql for draft in drafts)  # the guessed key made the reference visible
    assert not any(b"SECRET" in path.read_bytes() for path in made.folder.iterdir())
    config = made.folder / "workspace.toml"
    text = config.read_text().replace('"smollm2-135m"', json.dumps(str(tiny_model_dir)))
    text = (
        text.replace("pairs = 3200", "pairs = 12")
        .replace("aimed = true", "aimed = false")
        .replace("candidates = 10000", "candidates = 30")
    )
    config.write_text(text.replace("starter = true", "starter = false"))
    outcome = workspace.run(made.folder, say=lambda text: None)
    assert outcome.pairs == 12 and outcome.report.is_file()


def test_a_source_that_fails_leaves_no_workspace(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.csv").write_text('a,b\n"z",1\n"x,\n')
    with pytest.raises(LabkitError, match="line 3"):
        workspace.init(tmp_path / "mine", str(tmp_path / "files"))
    assert left(tmp_path) == {"files"}


def test_a_workspace_of_a_source_that_must_be_told_how_it_is_written(tmp_path):
    lines = ["id;name;city", *(f"{i};Zoë {chr(64 + i)};{('Velden', 'Oakmere')[i % 2]}" for i in range(1, 25))]
    (tmp_path / "people.csv").write_bytes("\n".join(lines).encode("utf-16-le"))
    made = workspace.init(tmp_path / "mine", str(tmp_path / "people.csv"), encoding="utf-16-le", delimiter=";")
    names = [column.name for column in read_schema(made.converted.file).tables[0].columns]
    assert names == ["id", "name", "city"] and made.drafts > 5
    warehouse = duckdb.connect(str(tmp_path / "w.duckdb"))
    warehouse.execute(
        "CREATE SCHEMA shop; CREATE TABLE shop.goods AS SELECT range id, 'good ' || range name FROM range(30)"
    )
    warehouse.close()
    with pytest.raises(LabkitError, match="not main|shop"):
        workspace.init(tmp_path / "ours", str(tmp_path / "w.duckdb"))
    assert workspace.init(tmp_path / "ours", str(tmp_path / "w.duckdb"), schema="shop").converted.rows == 30


@pytest.mark.parametrize(
    "name, options, told",
    [
        ("a.csv", {"schema": "main"}, "--schema is for a server or a DuckDB file"),
        ("a.csv", {"delimiter": ";;"}, "is no delimiter"),
        ("a.csv", {"delimiter": ""}, "is no delimiter"),
        ("a.csv", {"encoding": "klingon"}, "--encoding"),
        ("a.sqlite", {"schema": "main"}, "for which --schema does nothing"),
        ("a.sqlite", {"delimiter": ";"}, "for which --delimiter does nothing"),
        ("postgresql://h/d", {"encoding": "utf-8"}, "--encoding is for CSV files"),
    ],
)
def test_an_option_that_would_do_nothing(tmp_path, name, options, told):
    if name == "a.csv":
        (tmp_path / name).write_text("id,name\n1,x\n2,y\n")
    elif name == "a.sqlite":
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as connection:
            connection.execute("CREATE TABLE t (a)")
    with pytest.raises(LabkitError, match=told):
        workspace.init(tmp_path / "mine", name if "://" in name else str(tmp_path / name), **options)
    assert not (tmp_path / "mine").exists()


def test_a_tab_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("id\tname, first\n1\tx, y\n2\tz, w\n")
    for n, tab in enumerate(("tab", "\\t", "\t")):
        made = convert(tmp_path / "a.csv", tmp_path / f"{n}.sqlite", delimiter=tab)
        assert made.tables[0].columns == 2
