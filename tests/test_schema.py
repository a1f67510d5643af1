"""Schema and profile: what is declared and stored, the prompt, nearest names; unusual, hostile and huge databases."""

import time

import apsw
import pytest

from labkit.errors import LabkitError
from labkit.schema import ForeignKey, nearest, quote, read_schema, sql_name


@pytest.fixture
def make(tmp_path):
    """Build a database from statements and return its path."""

    def build(*statements: str, name: str = "made.sqlite"):
        connection = apsw.Connection(str(tmp_path / name))
        for statement in statements:
            connection.execute(statement)
        connection.close()
        return tmp_path / name

    return build


@pytest.fixture
def shop(make):
    return make(
        "CREATE TABLE maker (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, founded INTEGER)",
        "CREATE TABLE item (maker INTEGER REFERENCES maker, code TEXT, price TEXT, stock INTEGER, size,"
        " PRIMARY KEY (code, maker), UNIQUE (price, size))",
        "CREATE TABLE part (code TEXT, maker INTEGER, FOREIGN KEY (code, maker) REFERENCES item (code, maker))",
        "CREATE VIEW cheap AS SELECT code FROM item",
        "INSERT INTO maker VALUES (1, 'Ann', 1950), (2, 'Bo''s', NULL)",
        "INSERT INTO item VALUES (1, 'a', '$1', 5, 1.5), (1, 'b', '--', 'NA', x'00'), (2, 'c', '$1', 7, NULL)",
    )


def test_declared(shop):
    schema = read_schema(shop)
    assert [table.name for table in schema.tables] == ["maker", "item", "part", "cheap"]
    maker, item = schema.table("MAKER"), schema.table("item")
    assert (maker.primary_key, item.primary_key) == (("id",), ("code", "maker"))
    assert maker.column("Name").not_null and maker.column("name").unique and maker.column("id").unique
    assert not item.column("code").unique and item.column("code").primary_key
    assert ("price", "size") in item.unique and ("code", "maker") in item.unique
    assert schema.table("cheap").is_view and not item.is_view
    assert schema.foreign_keys == (
        ForeignKey("item", ("maker",), "maker", ("id",)),
        ForeignKey("part", ("code", "maker"), "item", ("code", "maker")),
    )


def test_stored(shop):
    item = read_schema(shop).table("item")
    assert (item.rows, item.sampled) == (3, 3)
    assert item.column("stock").declared_type == "INTEGER"
    assert item.column("stock").stored_types == ("integer", "text")
    assert item.column("size").stored_types == ("blob", "real") and item.column("size").nulls == 1
    assert item.column("price").samples == ("$1", "--") and item.column("price").distinct == 2
    assert item.column("price").placeholders == ("--",) and item.column("stock").placeholders == ("NA",)
    assert item.column("code").placeholders == ()


def test_one_and_one_point_zero_and_true_text_stay_apart(make):
    path = make("CREATE TABLE t (x)", "INSERT INTO t VALUES (1), (1.0), ('1'), (1)")
    column = read_schema(path).table("t").column("x")
    assert column.distinct == 3
    assert [(type(v), v) for v in column.samples] == [(int, 1), (float, 1.0), (str, "1")]


def test_unknown_names_suggest_the_nearest(shop):
    schema = read_schema(shop)
    with pytest.raises(LabkitError, match="no table 'items'.*'item'"):
        schema.table("items")
    with pytest.raises(LabkitError, match="no column 'pricee'.*'price'"):
        schema.table("item").column("pricee")
    assert schema.nearest_column("maker_name") == "name"
    assert schema.nearest_column("Founded") == "founded"
    assert schema.nearest_column("founded", ["item"]) is None
    assert schema.nearest_column("xyzzy") is None
    assert schema.nearest_table("makers") == "maker"
    assert schema.tables_with("CODE") == ("item", "part", "cheap")
    assert nearest("anything", []) is None
    assert nearest("totalPoints", ["points", "rebounds"]) == "points"


# --- the prompt -------------------------------------------------------------------------------------------------------


def test_prompt(shop):
    assert read_schema(shop).to_prompt().splitlines() == [
        "maker(id INTEGER primary key: 1, 2; name TEXT: 'Ann', 'Bo''s'; founded INTEGER: 1950)",
        "item(maker INTEGER -> maker.id; code TEXT: 'a', 'b', 'c'; price TEXT: '$1', '--'; "
        "stock INTEGER (stored: integer, text): 5, 7, 'NA'; size BLOB/REAL: 1.5)",
        "part(code TEXT; maker INTEGER)",
        "view cheap(code TEXT: 'a', 'b', 'c')",
    ]


def test_prompt_without_values(shop):
    assert (
        read_schema(shop).to_prompt(values=0).splitlines()[0]
        == "maker(id INTEGER primary key; name TEXT; founded INTEGER)"
    )


def test_prompt_is_the_same_every_time_and_fits_a_small_model(league):
    text = read_schema(league).to_prompt()
    assert text == read_schema(league).to_prompt()
    assert "'active', 'expired'" in text and "'--'" in text and "(stored: integer, text)" in text
    assert len(text) < 1_700  # 668 tokens of SmolLM2; digits and quotes make them 2.4 characters long


def test_prompt_keeps_long_and_multiline_values_on_one_short_line(make):
    path = make("CREATE TABLE t (note TEXT)", f"INSERT INTO t VALUES ('first\nsecond {'x' * 5000}')")
    text = read_schema(path).to_prompt()
    assert len(text.splitlines()) == 1 and len(text) < 100 and "'first second x" in text


def test_names_are_quoted_where_they_must_be(make):
    odd = ["order", "two words", 'say "hi"', "größe", "a;b", "x'y", "1st", "ünï", "naïve]"]
    columns = ", ".join(f"{quote(name)} TEXT" for name in odd)
    path = make(
        f'CREATE TABLE "select" ({columns}, plain TEXT)', f"INSERT INTO \"select\" (plain) VALUES ('{'v' * 3}')"
    )
    schema = read_schema(path)
    assert [column.name for column in schema.tables[0].columns] == [*odd, "plain"]
    assert schema.tables[0].column("plain").samples == ("vvv",)
    text = schema.to_prompt()
    assert text.startswith('"select"("order" TEXT') and '"say ""hi""" TEXT' in text and "; plain TEXT" in text
    assert sql_name("order_id") == "order_id" and sql_name("") == '""'


# --- unusual, hostile, huge -------------------------------------------------------------------------------------------


def test_unusual_tables(make):
    path = make(
        "CREATE TABLE hidden_id (rowid TEXT, _rowid_ TEXT, oid TEXT)",
        "INSERT INTO hidden_id VALUES ('a', 'b', 'c')",
        "CREATE TABLE no_rowid (k TEXT PRIMARY KEY, v) WITHOUT ROWID",
        "INSERT INTO no_rowid VALUES ('k', 1)",
        "CREATE TABLE sums (a INTEGER, twice INTEGER AS (a * 2))",
        "INSERT INTO sums VALUES (2)",
        "CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "CREATE VIRTUAL TABLE notes USING fts5(body)",
        "INSERT INTO notes VALUES ('hello')",
        "CREATE TABLE orphan (x REFERENCES nowhere (y))",
        f"CREATE TABLE wide ({', '.join(f'c{i}' for i in range(120))})",
        f"INSERT INTO wide VALUES ({', '.join(str(i) for i in range(120))})",
        "CREATE VIEW broken AS SELECT missing FROM nowhere",
    )
    schema = read_schema(path)
    names = [table.name for table in schema.tables if table.name != "broken"]
    assert names == [
        "hidden_id",
        "no_rowid",
        "sums",
        "auto",
        "notes",
        "orphan",
        "wide",
    ]  # no shadow, no sqlite_sequence
    assert schema.table("hidden_id").column("oid").samples == ("c",)
    assert schema.table("no_rowid").column("v").samples == (1,)
    assert schema.table("sums").column("twice").generated and schema.table("sums").column("twice").samples == (4,)
    assert [column.samples for column in schema.table("wide").columns] == [(i,) for i in range(120)]
    assert schema.foreign_keys == ()
    assert schema.to_prompt()


def test_empty_database_and_empty_table(make):
    assert read_schema(make("VACUUM", name="none.sqlite")).to_prompt() == ""
    schema = read_schema(make("CREATE TABLE t (a INTEGER, b)", name="empty.sqlite"))
    assert (schema.table("t").rows, schema.to_prompt()) == (0, "t(a INTEGER; b)")


def test_text_that_is_no_utf8(make):
    path = make("CREATE TABLE t (x)", "INSERT INTO t VALUES (CAST(x'ff41' AS TEXT)), ('b'), (x'ff')")
    column = read_schema(path).table("t").column("x")
    assert column.stored_types == ("text", "blob") and "b" in column.samples and len(column.samples) == 2


def test_missing_and_damaged_files(tmp_path, make):
    for name, content in (("text.sqlite", b"this is no database, " * 100), ("missing.sqlite", None)):
        if content:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(LabkitError):
            read_schema(tmp_path / name)
    path = make("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    data = bytearray(path.read_bytes())
    data[100:1000] = b"\xff" * 900
    path.write_bytes(data)
    with pytest.raises(LabkitError):
        read_schema(path)


def test_a_bomb_in_a_view_or_a_generated_column_is_bounded(make):
    path = make(
        "CREATE TABLE t (a INTEGER, boom TEXT AS (printf('%.*c', 900000000, 'x')))",
        "INSERT INTO t VALUES (1)",
        "CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) s FROM n",
        "CREATE TABLE fine (x TEXT)",
        "INSERT INTO fine VALUES ('ok')",
    )
    begun = time.monotonic()
    schema = read_schema(path)
    assert time.monotonic() - begun < 20
    assert schema.table("endless").rows is None and schema.table("endless").columns[0].samples == ()
    assert schema.table("fine").column("x").samples == ("ok",)


def test_large_tables_are_sampled_from_end_to_end(make):
    path = make(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, half TEXT)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
        " INSERT INTO t SELECT i * 1000, iif(i < 100000, 'low', 'high') FROM n",
        "INSERT INTO t VALUES (9223372036854775807, 'last'), (-9223372036854775808, 'first')",
    )
    schema = read_schema(path)
    assert schema.table("t").rows == 200_002 and schema.table("t").sampled <= 5_000
    assert "first" in schema.table("t").column("half").samples


def test_large_even_table_sees_both_halves(make):
    path = make(
        "CREATE TABLE t (half TEXT)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
        " INSERT INTO t SELECT iif(i <= 50000, 'low', 'high') FROM n",
    )
    table = read_schema(path).table("t")
    assert table.sampled > 4_000 and set(table.column("half").samples) == {"low", "high"}
