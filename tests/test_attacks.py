"""Attacks that must be stopped, by the limit that stops them, and harmless look-alikes that must run."""

import hashlib
import os
import time
from pathlib import Path

import apsw
import pytest

from labkit.execution import Limits, execute

pytestmark = pytest.mark.alone  # held to the clock

RECURSION = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c)"
BLOBS = "WITH RECURSIVE c(n, b) AS (SELECT 1, randomblob(500000) UNION ALL SELECT n + 1, randomblob(500000) FROM c)"
LONG = "printf('%.*c', 15000000, 'a')"

WRITES = [
    "INSERT INTO players VALUES (9, 'X', 1, 1, 'x', 'y')",
    "INSERT INTO players (name) VALUES ('X') RETURNING *",
    "INSERT INTO players (id, name) VALUES (1, 'X') ON CONFLICT (id) DO UPDATE SET name = 'Y'",
    "INSERT OR REPLACE INTO players (id) SELECT id FROM players",
    "REPLACE INTO players (id) VALUES (1)",
    "UPDATE players SET name = 'X'",
    "UPDATE players SET name = 'X' RETURNING name",
    "DELETE FROM players",
    "DELETE FROM players RETURNING *",
    "WITH gone AS (SELECT 1) DELETE FROM players WHERE id IN (SELECT * FROM gone)",
    "WITH new AS (SELECT 1) INSERT INTO teams SELECT 7, 'new' FROM new",
    "UPDATE sqlite_master SET sql = 'x'",
    "DELETE FROM sqlite_sequence",
    "DROP TABLE players",
    "DROP TABLE IF EXISTS players",
    "DROP VIEW tall",
    "DROP INDEX by_name",
    "CREATE TABLE fresh (a)",
    "CREATE TABLE IF NOT EXISTS fresh AS SELECT * FROM players",
    "CREATE TEMP TABLE players (a)",
    "CREATE TEMP VIEW players AS SELECT 1",
    "CREATE TEMPORARY TRIGGER t AFTER INSERT ON players BEGIN SELECT 1; END",
    "CREATE VIEW v AS SELECT 1",
    "CREATE INDEX i ON players (name)",
    "CREATE UNIQUE INDEX IF NOT EXISTS i ON players (name)",
    "CREATE TRIGGER t AFTER INSERT ON players BEGIN DELETE FROM players; END",
    "CREATE VIRTUAL TABLE f USING fts5(a)",
    "CREATE VIRTUAL TABLE f USING rtree(a, b, c)",
    "CREATE VIRTUAL TABLE temp.f USING dbstat(main)",
    "ALTER TABLE players ADD COLUMN x",
    "ALTER TABLE players RENAME TO gamers",
    "ALTER TABLE players RENAME COLUMN name TO title",
    "ALTER TABLE players DROP COLUMN name",
    "INSERT INTO notes (notes) VALUES ('optimize')",
    "ANALYZE",
    "ANALYZE players",
    "REINDEX",
    "VACUUM",
    "VACUUM INTO 'copy.sqlite'",
    "VACUUM INTO '../copy.sqlite'",
    "UPDATE tall SET name = 'X'",
    "VACUUM main INTO ''",
    "ATTACH 'other.sqlite' AS other",
    "ATTACH DATABASE ':memory:' AS other",
    "ATTACH '' AS other",
    "ATTACH 'file:other.sqlite?mode=rwc' AS other",
    "ATTACH (SELECT '/etc/passwd') AS other",
    "DETACH main",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "BEGIN EXCLUSIVE TRANSACTION",
    "COMMIT",
    "END",
    "ROLLBACK",
    "SAVEPOINT s",
    "RELEASE s",
    "ROLLBACK TO s",
]
PRAGMAS = [
    "PRAGMA user_version",
    "PRAGMA user_version = 7",
    "pRaGmA table_info(players)",
    "/* SELECT */ PRAGMA database_list",
    "-- SELECT\nPRAGMA function_list",
    "PRAGMA main.page_size",
    "PRAGMA journal_mode = WAL",
    "PRAGMA journal_mode",
    "PRAGMA writable_schema = ON",
    "PRAGMA query_only = 0",
    "PRAGMA trusted_schema = 1",
    "PRAGMA hard_heap_limit = 0",
    "PRAGMA soft_heap_limit",
    "PRAGMA temp_store_directory = '/tmp'",
    "PRAGMA temp_store = FILE",
    "PRAGMA mmap_size = 1000000000",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA reverse_unordered_selects = 1",
    "PRAGMA case_sensitive_like = 1",
    "PRAGMA integrity_check",
    "PRAGMA quick_check(1)",
    "PRAGMA optimize",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA incremental_vacuum",
    "PRAGMA schema_version = 1",
    "PRAGMA data_version",
    "PRAGMA compile_options",
    "PRAGMA busy_timeout = 999999999",
]
ABOUT_THE_CONNECTION = [
    "SELECT * FROM pragma_table_info('players')",
    "SELECT count(*) FROM pragma_table_list",
    'SELECT * FROM "pragma_database_list"',
    "SELECT * FROM [PRAGMA_Function_List]",
    "SELECT * FROM main.pragma_user_version",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM pragma_module_list)",
    "WITH x AS (SELECT * FROM pragma_compile_options) SELECT * FROM x",
    "SELECT p.name FROM sqlite_master m, pragma_table_info(m.name) p",
    "SELECT * FROM pragma_data_version",
    "SELECT * FROM dbstat",
    "SELECT count(*) FROM dbstat",
    "SELECT sum(d.pgsize) FROM players, DBSTAT AS d",
    "SELECT * FROM sqlite_temp_master",
    "SELECT count(*) FROM sqlite_temp_schema",
    "SELECT * FROM temp.sqlite_master WHERE 1 IN (SELECT 1 FROM sqlite_temp_master)",
    "SELECT * FROM fts3tokenize('simple', 'a b')",
    "SELECT * FROM carray(0, 1)",
    "SELECT changes()",
    "SELECT total_changes() FROM players",
    "SELECT last_insert_rowid()",
    "SELECT name FROM players ORDER BY last_insert_rowid()",
    "SELECT CASE WHEN 0 THEN changes() ELSE 1 END",
    "SELECT sqlite_version()",
    "SELECT sqlite_source_id()",
    "SELECT sqlite_compileoption_get(0)",
    "SELECT sqlite_compileoption_used('X')",
    "SELECT sqlite_log(1, 'noise')",
    "SELECT load_extension('x.so')",
    "SELECT LOAD_EXTENSION('x.so', 'init')",
    "SELECT \"load_extension\"('x')",
    "SELECT name FROM players WHERE load_extension('x') IS NULL",
    "SELECT fts3_tokenizer('simple')",
    "SELECT fts5(NULL)",
    "SELECT optimize(notes) FROM notes",
    "SELECT rtreecheck('players')",
    "SELECT rtreenode(2, x'00')",
    "SELECT geopoly_debug(1)",
]
NOT_ONE_SELECT = [
    "EXPLAIN SELECT 1",
    "EXPLAIN QUERY PLAN SELECT * FROM players",
    "/* a */ explain -- b\n select 1",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE players",
    "SELECT 1;; DELETE FROM players",
    "SELECT 1 /* ; */ ; -- ;\n DELETE FROM players",
    "SELECT 1; rubbish",
    ";SELECT 1; SELECT 2",
    f"{RECURSION} SELECT n FROM c; SELECT 2",
    "SELECT 1; '",
    "SELECT 1; /* c */ SELECT 2 /* d",
    "SELECT 1;\v",
    "",
    "  \n\t",
    ";",
    ";;;",
    "-- only a comment",
    "/* only a comment */",
    "/* without an end",
    "SELECT 1\0; DROP TABLE players",
    "\0",
    "SELECT 'a\0b'",
    "SELECT '\ud800'",
    "SELECT 1 -- \udcff",
]
TOO_LONG = [
    "SELECT printf('%.*c', 900000000, 'x')",
    "SELECT printf('%900000000d', 1)",
    "SELECT format('%-900000000s|', 'a')",
    "SELECT zeroblob(900000000)",
    "SELECT length(zeroblob(900000000) || 'x')",
    "SELECT length(randomblob(900000000))",
    "SELECT hex(zeroblob(15000000))",
    "SELECT quote(zeroblob(15000000))",
    f"SELECT length(replace({LONG}, 'a', 'bbb'))",
    f"SELECT length({LONG} || {LONG})",
    f"SELECT length(concat({LONG}, {LONG}))",
    f"SELECT length(json_array({LONG}, {LONG}))",
    f"SELECT length(json_object('a', {LONG}, 'b', {LONG}))",
    f"{RECURSION} SELECT length(group_concat(printf('%.*c', 1000000, 'x'))) FROM (SELECT n FROM c LIMIT 99)",
    f"{RECURSION} SELECT length(json_group_array(printf('%.*c', 1000000, 'x'))) FROM (SELECT n FROM c LIMIT 99)",
    "WITH RECURSIVE c(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM c) SELECT max(length(s)) FROM c",
    "SELECT '" + "x" * 200_000 + "'",
    "SELECT 1 -- " + "é" * 60_000,
]
TOO_DEEP = [
    "SELECT " + "(" * 30_000 + "1" + ")" * 30_000,
    "SELECT " + "+".join(["1"] * 2_000),
    "SELECT " + "~" * 2_000 + "1",
    "SELECT " + "NOT " * 5_000 + "1",
    "SELECT " + "abs(" * 500 + "1" + ")" * 500,
    "SELECT " + "CASE WHEN 1 THEN " * 400 + "1" + " END" * 400,
    "SELECT 1 WHERE " + " OR ".join(f"1 = {i}" for i in range(1_000)),
    " UNION ALL ".join(["SELECT 1"] * 500),
    "SELECT 1 FROM " + ", ".join(f"players p{i}" for i in range(70)),
    "SELECT " + "(SELECT " * 300 + "1" + ")" * 300,
    "SELECT " + ", ".join(["1"] * 3_000),
    "SELECT max(" + ", ".join(["1"] * 500) + ")",
    "SELECT 'a' LIKE printf('%.*c', 40000, '%')",
    "SELECT 'a' GLOB printf('%.*c', 40000, '*')",
]
TOO_SLOW = [
    f"{RECURSION} SELECT max(n) FROM c",
    f"{RECURSION} SELECT count(*) FROM c WHERE n < 0",
    f"{RECURSION} SELECT n FROM c WHERE n < 0",
    f"{RECURSION} SELECT 1 WHERE EXISTS (SELECT 1 FROM c WHERE n < 0)",
    f"{RECURSION} SELECT * FROM players WHERE id IN (SELECT n + 100 FROM c WHERE n < 0)",
    "SELECT count(*) FROM many a, many b, many c",
    "SELECT sum(a.n * b.n) FROM many a CROSS JOIN many b CROSS JOIN many c WHERE a.n + b.n < c.n",
    "SELECT count(*) FROM many a JOIN many b ON a.n <> b.n JOIN many c ON b.n <> c.n",
    "SELECT max((SELECT count(*) FROM many b, many c WHERE b.n > a.n)) FROM many a",
    f"SELECT instr({LONG}, printf('%.*c', 7000000, 'a') || 'b')",
    "SELECT instr(zeroblob(9000000) || 'a', zeroblob(4000000) || 'b')",
    f"SELECT length(replace({LONG}, printf('%.*c', 7000000, 'a') || 'b', ''))",
    f"SELECT {LONG} LIKE printf('%%%.*cb', 900, 'a')",
    f"SELECT {LONG} GLOB printf('*%.*cb', 900, 'a')",
    f"SELECT length(trim({LONG}, printf('%.*c', 500000, 'b') || 'a'))",
    f"{RECURSION} SELECT sum(length(hex(randomblob(100000)))) FROM c",
    f"{RECURSION} SELECT sum(length(printf('%.*c', 5000000, 'x'))) FROM c",
    f"{RECURSION} SELECT max(strftime('%s', 'now', n || ' days')) FROM c",
    f"{RECURSION} SELECT max(sin(n) * random()) FROM c",
    f"{RECURSION} SELECT count(*) OVER () FROM c WHERE n < 0",
]
TOO_HUNGRY = [  # or too slow: it depends on the machine which comes first
    f"{BLOBS} SELECT n FROM c ORDER BY b",
    f"{BLOBS} SELECT b, count(*) FROM c GROUP BY b",
    f"{BLOBS} SELECT count(DISTINCT b) FROM c",
    f"{BLOBS} SELECT b FROM c UNION SELECT b FROM c",
    f"{BLOBS} SELECT b FROM c EXCEPT SELECT 1",
    f"{BLOBS} SELECT sum(n) OVER (ORDER BY b) FROM c",
    f"{BLOBS} SELECT last_value(b) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM c",
    f"{BLOBS}, m AS MATERIALIZED (SELECT * FROM c) SELECT count(*) FROM m",
    "WITH RECURSIVE c(b) AS (SELECT randomblob(500000) UNION SELECT randomblob(500000) FROM c) SELECT count(*) FROM c",
    f"{BLOBS} SELECT 1 WHERE x'00' IN (SELECT b FROM c)",
    f"{RECURSION} SELECT json_group_array(n) FROM c",
    f"{RECURSION} SELECT json_group_object(n, n) FROM c",
    f"{RECURSION} SELECT group_concat(n) FROM c",
    f"{RECURSION} SELECT median(n) FROM c",
    f"{RECURSION} SELECT n FROM c ORDER BY random()",
    "SELECT * FROM many a, many b, many c ORDER BY a.n * b.n - c.n",
    "SELECT DISTINCT a.n, b.n, c.n FROM many a, many b, many c ORDER BY 3",
]
ENDLESS_ROWS = [
    f"{RECURSION} SELECT n FROM c",
    "SELECT a.n FROM many a, many b, many c",
    "WITH RECURSIVE c(n) AS (VALUES (1) UNION SELECT n + 1 FROM c) SELECT * FROM c",
]
ENDLESS_BYTES = [
    f"{BLOBS} SELECT b FROM c",
    f"{RECURSION} SELECT hex(randomblob(200000)) FROM c",
    f"SELECT {LONG}, 1, {LONG}",
]
MISTAKES = [  # SQLite's own message, for the diagnosis
    ("SELECT nope FROM players", "no such column: nope"),
    ("SELECT * FROM playrs", "no such table: playrs"),
    ("SELECT median2(id) FROM players", "no such function: median2"),
    ("SELECT readfile('/etc/passwd')", "no such function: readfile"),
    ("SELECT writefile('x', 'y')", "no such function: writefile"),
    ("SELECT edit('x')", "no such function: edit"),
    ("SELECT * FROM sqlite_dbpage", "no such table: sqlite_dbpage"),
    ("SELECT * FROM fsdir('/')", "no such table: fsdir"),
    ("SELECT * FROM other.players", "no such table: other.players"),
    ("SELEC 1", 'near "SELEC": syntax error'),
    ("SELECT 'it", "unrecognized token"),
    ("SELECT name FROM players WHERE name REGEXP 'a'", "no such function: REGEXP"),
    ("SELECT abs(-9223372036854775808)", "integer overflow"),
    ("SELECT json('[')", "malformed JSON"),
    ("SELECT json('" + "[" * 5_000 + "')", "malformed JSON"),
    ("SELECT ?", "parameter"),
    ("SELECT :name, @b, $c", "parameter"),
    ("SELECT * FROM players NATURAL JOIN", "incomplete input"),
    ("SELECT 1 UNION SELECT 1, 2", "do not have the same number of result columns"),
]

LOOK_ALIKES = [
    ("SELECT 1", [(1,)]),
    ("SELECT 1;", [(1,)]),
    ("select 1 ; ; -- done", [(1,)]),
    ("-- a; b\nSELECT 1 -- c", [(1,)]),
    ("/* DROP TABLE players; */ SELECT 1 /* PRAGMA x", [(1,)]),
    ("\n\t SELECT 1 \r\n;\n", [(1,)]),
    ("SELECT 'a; DROP TABLE players; --'", [("a; DROP TABLE players; --",)]),
    ("SELECT 'it''s'", [("it's",)]),
    ("VALUES (1), (2)", [(1,), (2,)]),
    ('SELECT "drop", "pragma" FROM players WHERE id = 1', [("d1", "p1")]),
    ("SELECT [drop], `pragma` FROM players WHERE id = 1", [("d1", "p1")]),
    ("SELECT pragma FROM players WHERE pragma LIKE 'p1%'", [("p1",)]),
    ('SELECT name AS "delete" FROM players WHERE id = 1', [("Ana Lund",)]),
    ("SELECT count(*) AS attach FROM players", [(3,)]),
    ("SELECT x FROM pragma_notes", [("kept",)]),
    ('SELECT count(*) FROM "Pragma_Notes"', [(1,)]),
    ("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5) SELECT sum(n) FROM c", [(15,)]),
    ("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 3) SELECT n FROM c", [(1,), (2,), (3,)]),
    ("WITH a AS (SELECT 1 x), b AS (SELECT x + 1 y FROM a) SELECT y FROM b", [(2,)]),
    ("SELECT name, rank() OVER (ORDER BY height DESC) r FROM players ORDER BY r LIMIT 1", [("Bo Katz", 1)]),
    ("SELECT id, sum(height) OVER (ORDER BY id ROWS 1 PRECEDING) FROM players WHERE id < 3", [(1, 190), (2, 401)]),
    ("SELECT lag(name) OVER (ORDER BY id) FROM players LIMIT 2", [(None,), ("Ana Lund",)]),
    ("SELECT json_extract('{\"a\": [1, 2]}', '$.a[1]')", [(2,)]),
    ("SELECT '{\"a\": {\"b\": 5}}' -> 'a' ->> 'b'", [(5,)]),
    ("SELECT value FROM json_each('[3, 4]')", [(3,), (4,)]),
    ("SELECT fullkey FROM json_tree('{\"a\": 1}') WHERE atom = 1", [("$.a",)]),
    ("SELECT json_group_array(id) FROM players", [("[1,2,3]",)]),
    ("SELECT name FROM sqlite_master WHERE type = 'view'", [("tall",)]),
    ("SELECT count(*) > 3 FROM sqlite_schema", [(1,)]),
    ("SELECT count(*) FROM main.sqlite_master WHERE sql LIKE '%CREATE TABLE players%'", [(1,)]),
    ("SELECT name FROM sqlite_sequence", [("players",)]),
    ("SELECT count(*) > 0 FROM sqlite_stat1", [(1,)]),
    ("SELECT name FROM tall", [("Bo Katz",)]),
    ("SELECT rowid, oid FROM players WHERE _rowid_ = 2", [(2, 2)]),
    (
        "SELECT t.name, count(*) FROM teams t JOIN players p ON p.team = t.id GROUP BY 1 HAVING count(*) > 1",
        [("Owls", 2)],
    ),
    (
        "SELECT name FROM players WHERE id IN (SELECT id FROM players EXCEPT SELECT 1) ORDER BY 1",
        [("Bo Katz",), ("Zoë Ek",)],
    ),
    ("SELECT count(*) FROM players WHERE name LIKE '%a%' OR name GLOB 'B*' OR name BETWEEN 'A' AND 'B'", [(2,)]),
    ("SELECT date('2024-01-31', '+1 month'), strftime('%Y', '2024-05-06')", [("2024-03-02", "2024")]),
    ("SELECT CURRENT_TIMESTAMP > '2020', date('now') > '2020', time() IS NOT NULL", [(1, 1, 1)]),
    ("SELECT printf('%05.1f', 3.14159), format('%s', 'a'), round(2.5), 7 / 2, 7 % 4", [("003.1", "a", 3.0, 3, 3)]),
    (
        "SELECT upper('a') || lower('B'), trim('  x '), substr('abc', 2), replace('aa', 'a', 'b')",
        [("Ab", "x", "bc", "bb")],
    ),
    ("SELECT string_agg(name, '; ') FROM (SELECT name FROM teams ORDER BY name)", [("Lynx; Owls",)]),
    ("SELECT group_concat(name, '|') FROM teams", [("Owls|Lynx",)]),
    ("SELECT median(height), concat('a', NULL, 'b'), iif(1, 2, 3) FROM players", [(199.0, "ab", 2)]),
    ("SELECT CAST('12' AS INTEGER), typeof(1.0), coalesce(NULL, 1), nullif(1, 1)", [(12, "real", 1, None)]),
    ("SELECT sqrt(16), pow(2, 3), ceil(1.2), ln(1), mod(7, 4), sign(-2)", [(4.0, 8.0, 2.0, 0.0, 3.0, -1)]),
    ("SELECT CASE WHEN 1 = 2 THEN 'a' ELSE 'b' END", [("b",)]),
    ("SELECT x'00ff', 9223372036854775807, -9223372036854775808", [(b"\x00\xff", 2**63 - 1, -(2**63))]),
    ("SELECT 9e999, -9e999, 9e999 - 9e999, 1e308 * 10", [(float("inf"), float("-inf"), None, float("inf"))]),
    ("SELECT 'Zoë', '日本', '😀', char(128512)", [("Zoë", "日本", "😀", "😀")]),
    ('SELECT "misspelt" FROM players WHERE id = 1', [("misspelt",)]),
    ("SELECT text FROM notes WHERE notes MATCH 'owl'", [("an owl note",)]),
    ("SELECT snippet(notes, 0, '[', ']', '', 5) FROM notes('owl') ORDER BY bm25(notes)", [("an [owl] note",)]),
    ("SELECT count(*), length(zeroblob(1000)), abs(random()) >= 0 FROM many", [(2000, 1000, 1)]),
    ("SELECT 1 AS a, 2 AS a", [(1, 2)]),
    ("SELECT * FROM (SELECT 1, 1)", [(1, 1)]),
    ("SELECT name FROM players WHERE id = 99", []),
    ("SELECT 1 IN (" + ", ".join(map(str, range(5_000))) + ")", [(1,)]),
    ("SELECT " + " || ".join(["'a'"] * 150) + " = 'a'", [(0,)]),
    ("SELECT doubled FROM players WHERE id = 1", [(380,)]),
    ("SELECT name COLLATE NOCASE FROM players ORDER BY name COLLATE NOCASE LIMIT 1 OFFSET 1", [("Bo Katz",)]),
    ("SELECT p.* FROM players p RIGHT JOIN teams t ON 0 LIMIT 1", [(None,) * 7]),
]

SETUP = """
CREATE TABLE teams (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE players (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, height INTEGER,
    team INTEGER REFERENCES teams (id), "drop" TEXT, pragma TEXT,
    doubled INTEGER GENERATED ALWAYS AS (abs(height) * 2));
CREATE INDEX by_name ON players (name);
CREATE VIEW tall AS SELECT upper(name) AS shout, name FROM players WHERE height > 200;
CREATE TABLE pragma_notes (x);
CREATE TABLE many (n INTEGER);
CREATE VIRTUAL TABLE notes USING fts5(text);
INSERT INTO teams VALUES (1, 'Owls'), (2, 'Lynx');
INSERT INTO players (name, height, team, "drop", pragma) VALUES
    ('Ana Lund', 190, 1, 'd1', 'p1'), ('Bo Katz', 211, 1, 'd2', 'p2'), ('Zoë Ek', 199, 2, 'd3', 'p3');
INSERT INTO pragma_notes VALUES ('kept');
INSERT INTO notes VALUES ('an owl note');
WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 2000) INSERT INTO many SELECT n FROM c;
ANALYZE;
"""
SHORT = Limits(seconds=0.3, memory=64_000_000)
SLACK = 0.7  # seconds beyond the limit: 0.25 until the child is killed, the rest for a busy machine


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("attacked") / "inner" / "league.sqlite"
    path.parent.mkdir()
    connection = apsw.Connection(str(path))
    connection.execute(SETUP)
    connection.close()
    return path


def everything(database: Path) -> dict[str, str]:
    """Hash of each file beside and above the database, and the names in the folders where a child could leave one."""
    files = sorted(path for path in database.parent.parent.rglob("*") if path.is_file())
    hashes = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return hashes | {"/": str(sorted(os.listdir("/"))), ".": str(sorted(os.listdir(".")))}


def run(database: Path, sql: str, limits: Limits = SHORT):
    """The result; asserts what holds for every query, stopped or not."""
    before, start = everything(database), time.monotonic()
    result = execute(database, sql, limits)
    assert time.monotonic() - start < limits.seconds + SLACK
    assert everything(database) == before
    after = execute(database, "SELECT count(*), total(id), max(name) FROM players")
    assert (after.rows, after.error) == (((3, 6.0, "Zoë Ek"),), None)
    return result


def name(sql: str) -> str:
    return ascii(sql[:60])


STOPPED = [
    *[("refused", sql) for sql in WRITES + PRAGMAS + ABOUT_THE_CONNECTION + NOT_ONE_SELECT],
    *[("depth", sql) for sql in TOO_DEEP],
    *[("time", sql) for sql in TOO_SLOW],
]


@pytest.mark.parametrize(("limit", "sql"), STOPPED, ids=[name(sql) for _, sql in STOPPED])
def test_attack_is_stopped(database, limit, sql):
    result = run(database, sql)
    assert (result.limit, result.rows, result.truncated) == (limit, (), False), result.error
    assert result.error.endswith(".") and ":" in result.error


@pytest.mark.parametrize("sql", TOO_LONG, ids=name)
def test_long_values_are_stopped(database, sql):
    assert run(database, sql, Limits()).limit == "length"


@pytest.mark.parametrize("sql", TOO_HUNGRY, ids=name)
def test_hungry_queries_are_stopped(database, sql):
    result = run(database, sql)
    assert result.limit in ("memory", "time") and result.error and not result.rows


@pytest.mark.parametrize("sql", ENDLESS_ROWS, ids=name)
def test_endless_rows_are_cut(database, sql):
    result = run(database, sql, Limits(rows=1_000))
    assert (result.limit, result.truncated, result.error, len(result.rows)) == ("rows", True, None, 1_000)


@pytest.mark.parametrize("sql", ENDLESS_BYTES, ids=name)
def test_endless_bytes_are_cut(database, sql):
    result = run(database, sql, Limits())
    assert (result.limit, result.truncated, result.error) == ("bytes", True, None)
    assert sum(len(value) for row in result.rows for value in row if not isinstance(value, int)) <= Limits().bytes


@pytest.mark.parametrize(("sql", "message"), MISTAKES, ids=[name(sql) for sql, _ in MISTAKES])
def test_a_mistake_keeps_the_words_of_sqlite(database, sql, message):
    result = run(database, sql)
    assert result.limit is None and message in result.error and not result.rows


@pytest.mark.parametrize(("sql", "rows"), LOOK_ALIKES, ids=[name(sql) for sql, _ in LOOK_ALIKES])
def test_look_alike_runs(database, sql, rows):
    result = run(database, sql, Limits())
    assert (result.error, result.limit, list(result.rows)) == (None, None, rows)


def test_there_are_enough_of_them():
    assert len(STOPPED) + len(TOO_LONG) + len(TOO_HUNGRY) >= 200 and len(LOOK_ALIKES) >= 60
