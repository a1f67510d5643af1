"""Scoring by text and by rows: every hole of other evaluators that we know of is a test here."""

import random
import sqlite3
import time

import pytest

from labkit.dataset import Question
from labkit.errors import LabkitError
from labkit.execution import ExecutionResult, Limits
from labkit.matching import Table, same_bag, same_order, same_value
from labkit.reference import depends_on_clock_or_chance, has_order, references
from labkit.scoring import Pair, database_hash, score, score_many

SCRIPT = """
CREATE TABLE players (id INTEGER PRIMARY KEY, name TEXT NOT NULL, team TEXT, points INTEGER, rate REAL, pay TEXT);
INSERT INTO players VALUES
  (1, 'Ann', 'Reds', 30, 0.1, '$9'), (2, 'Bob', 'Reds', 20, 0.2, '$80'), (3, 'Cid', 'Blues', 20, 0.3, '$700'),
  (4, 'Dee', 'Blues', 10, 0.4, '--'), (5, 'Eve', NULL, 10, 0.5, '$60'), (6, 'fay', 'Greens', 5, NULL, '$5');
CREATE TABLE teams (name TEXT COLLATE NOCASE PRIMARY KEY, city TEXT);
INSERT INTO teams VALUES ('Reds', 'York'), ('Blues', 'York'), ('Greens', 'Bath');
"""


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    path = tmp_path_factory.mktemp("db") / "club.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(SCRIPT)
    connection.close()
    return path


def ask(sql, **more):
    return Question("q", "?", sql, "club", **more)


def verdict(db, gold, pred, mode="execution", **more):
    found = score(ask(gold, **more), pred, db, mode)
    return (found.verdict, found.reason) if found.reason else found.verdict


RIGHT = {
    "the same text": ("SELECT name FROM players", "SELECT name FROM players"),
    "rows in any order without ORDER BY": ("SELECT name FROM players", "SELECT name FROM players ORDER BY name DESC"),
    "columns in any order": ("SELECT name, team, points FROM players", "SELECT points, name, team FROM players"),
    "1 is 1.0": ("SELECT points FROM players", "SELECT points * 1.0 FROM players"),
    "a sum added in another order": ("SELECT sum(rate) FROM players", "SELECT 0.5 + 0.4 + 0.3 + 0.2 + 0.1"),
    "minus zero is zero": ("SELECT 0", "SELECT -0.0"),
    "true is 1": ("SELECT points > 100 FROM players", "SELECT 0 FROM players"),
    "NULL is NULL": ("SELECT NULL", "SELECT team FROM players WHERE id = 5"),
    "column names don't count": ("SELECT name AS n FROM players", "SELECT name AS m FROM players"),
    "a subquery for a join": (
        "SELECT p.name FROM players p JOIN teams t ON t.name = p.team WHERE t.city = 'York'",
        "SELECT name FROM players WHERE team IN (SELECT name FROM teams WHERE city = 'York')",
    ),
    "ties may swap": (
        "SELECT name, points FROM players ORDER BY points DESC",
        "SELECT name, points FROM players ORDER BY points DESC, name DESC",
    ),
    "ties of a key that isn't shown": (
        "SELECT name FROM players ORDER BY points DESC",
        "SELECT name FROM players ORDER BY points DESC, name DESC",
    ),
    "ties of an expression": (
        "SELECT name FROM players WHERE id < 6 ORDER BY length(name)",
        "SELECT name FROM players WHERE id < 6 ORDER BY name DESC",
    ),
    "ties of a position and an alias": (
        "SELECT name, points AS p FROM players ORDER BY 2, p",
        "SELECT name, points FROM players ORDER BY points, name DESC",
    ),
    "ties under a collation": (
        "SELECT id FROM players WHERE id IN (5, 6) ORDER BY substr('xx', 1, id - 4) || 'x' COLLATE NOCASE LIKE 'X%'",
        "SELECT id FROM players WHERE id IN (5, 6) ORDER BY id DESC",
    ),
    "ties of groups": (
        "SELECT team, count(*) FROM players GROUP BY team ORDER BY count(*) DESC",
        "SELECT team, count(*) AS n FROM players GROUP BY team ORDER BY n DESC, team DESC",
    ),
    "ties in a UNION": (
        "SELECT name, points FROM players WHERE id < 4 UNION SELECT name, 20 FROM teams ORDER BY 2 DESC",
        "SELECT name, points FROM players WHERE id < 4 UNION SELECT name, 20 FROM teams ORDER BY 2 DESC, 1 DESC",
    ),
    "ties of DISTINCT rows": (
        "SELECT DISTINCT team, points / 20 AS half FROM players ORDER BY half",
        "SELECT DISTINCT team, points / 20 AS half FROM players ORDER BY half, team DESC",
    ),
    "ties of a window": (
        "SELECT name, rank() OVER (ORDER BY points) AS r FROM players ORDER BY r",
        "SELECT name, rank() OVER (ORDER BY points) AS r FROM players ORDER BY r, name DESC",
    ),
    "ties with SELECT *": ("SELECT * FROM players ORDER BY 4", "SELECT * FROM players ORDER BY points, id DESC"),
    "NULLS LAST": (
        "SELECT name FROM players ORDER BY team NULLS LAST, name",
        "SELECT name FROM players ORDER BY team IS NULL, team, name",
    ),
    "a tie inside the limit": (
        "SELECT name FROM players ORDER BY points DESC LIMIT 3",
        "SELECT name FROM players WHERE points >= 20 ORDER BY points DESC, name DESC",
    ),
    "order in a subquery only": (
        "SELECT name FROM (SELECT name FROM players ORDER BY points)",
        "SELECT name FROM players ORDER BY name DESC",
    ),
    "'order by' in a string or comment": (
        "SELECT 'order by', name FROM players -- order by name",
        "SELECT 'order by', name FROM players ORDER BY name DESC",
    ),
    "a limit that cuts equal rows": (
        "SELECT points FROM players ORDER BY points DESC LIMIT 2",
        "SELECT points FROM players WHERE id < 3",
    ),
    "a trailing semicolon and a comment": ("SELECT name FROM players", "SELECT name FROM players; -- done"),
}


@pytest.mark.parametrize("gold, pred", RIGHT.values(), ids=RIGHT.keys())
def test_right(db, gold, pred):
    assert verdict(db, gold, pred) == "right"


WRONG = {
    "hole: comparing sets hides duplicates": (
        "SELECT points FROM players",
        "SELECT DISTINCT points FROM players",
        "duplicates",
    ),
    "hole: and other duplicates of as many rows": (
        "SELECT 1 UNION ALL SELECT 1 UNION ALL SELECT 2",
        "SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 2",
        "rows",
    ),
    "hole: comparing sets hides order": (
        "SELECT name FROM players ORDER BY name",
        "SELECT name FROM players ORDER BY name DESC",
        "order",
    ),
    "hole: the same column names are no answer": ("SELECT name FROM players", "SELECT 'x' AS name", "rows"),
    "hole: empty is not one row": (
        "SELECT name FROM players WHERE id = 99",
        "SELECT name FROM players LIMIT 1",
        "rows",
    ),
    "hole: one row is not empty": (
        "SELECT name FROM players WHERE id = 1",
        "SELECT name FROM players WHERE id = 99",
        "rows",
    ),
    "hole: one value is not broadcast over rows": ("SELECT 20 FROM players", "SELECT 20", "duplicates"),
    "hole: a text sorted as a number": (
        "SELECT name FROM players WHERE pay <> '--' ORDER BY CAST(substr(pay, 2) AS INTEGER)",
        "SELECT name FROM players WHERE pay <> '--' ORDER BY pay",
        "order",
    ),
    "hole: integer division": (
        "SELECT avg(points) FROM players",
        "SELECT sum(points) / count(points) FROM players",
        "rows",
    ),
    "hole: a misspelt quoted column is a text": ("SELECT name FROM players", 'SELECT "nmae" FROM players', "rows"),
    "hole: a prediction that deletes": ("SELECT count(*) FROM players WHERE id = 99", "DELETE FROM players", "limit"),
    "hole: a view laid over a table": (
        "SELECT name FROM players",
        "CREATE TEMP VIEW players AS SELECT 'x' AS name",
        "limit",
    ),
    "hole: several statements": (
        "SELECT 1 FROM players",
        "CREATE TEMP TABLE players (x); SELECT 1 FROM players",
        "limit",
    ),
    "an extra column": ("SELECT name FROM players", "SELECT name, id FROM players", "extra_columns"),
    "an extra column of no rows": ("SELECT name FROM players", "SELECT name, id FROM players WHERE 0", "extra_columns"),
    "a missing column": ("SELECT name, id FROM players", "SELECT name FROM players", "missing_columns"),
    "columns swapped in some rows only": (
        "SELECT 1, 2 UNION ALL SELECT 3, 4",
        "SELECT 1, 2 UNION ALL SELECT 4, 3",
        "rows",
    ),
    "the right columns paired wrongly": (
        "SELECT 1, 2 UNION ALL SELECT 2, 1",
        "SELECT 1, 1 UNION ALL SELECT 2, 2",
        "rows",
    ),
    "text for a number": ("SELECT points FROM players", "SELECT CAST(points AS TEXT) FROM players", "rows"),
    "blob for a text": ("SELECT name FROM players", "SELECT CAST(name AS BLOB) FROM players", "rows"),
    "0 for NULL": ("SELECT NULL", "SELECT 0", "rows"),
    "empty text for NULL": ("SELECT NULL", "SELECT ''", "rows"),
    "a text in other case": ("SELECT 'Ann'", "SELECT 'ann'", "rows"),
    "neighbouring large numbers": ("SELECT 12345678", "SELECT 12345679", "rows"),
    "a rounded number": ("SELECT 1.0 / 3", "SELECT 0.33", "rows"),
    "ties swapped across blocks": (
        "SELECT name FROM players ORDER BY points DESC",
        "SELECT name FROM players ORDER BY points DESC LIMIT 5 OFFSET 1",
        "rows",
    ),
    "a block out of place": (
        "SELECT name, points FROM players ORDER BY points DESC",
        "SELECT name, points FROM players ORDER BY points = 20, points DESC",
        "order",
    ),
    "the order of a UNION": (
        "SELECT name FROM players UNION SELECT name FROM teams ORDER BY 1",
        "SELECT name FROM players UNION SELECT name FROM teams ORDER BY 1 DESC",
        "order",
    ),
    "order with a WITH before it": (
        "WITH p AS (SELECT * FROM players) SELECT name FROM p ORDER BY name",
        "SELECT name FROM players ORDER BY name DESC",
        "order",
    ),
    "an unknown column": ("SELECT name FROM players", "SELECT nmae FROM players", "error"),
    "a syntax error": ("SELECT name FROM players", "SELEC name", "error"),
    "nothing": ("SELECT name FROM players", "  ", "no_sql"),
    "prose": ("SELECT name FROM players", "I cannot answer that.", "error"),
    "too many rows": (
        "SELECT 1",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT * FROM n",
        "truncated",
    ),
}


@pytest.mark.parametrize("gold, pred, reason", WRONG.values(), ids=WRONG.keys())
def test_wrong(db, gold, pred, reason):
    assert verdict(db, gold, pred) == ("wrong", reason)
    assert score(ask(gold), pred, db).detail.endswith(".")


UNSTABLE = {
    "a tie at the limit": ("SELECT name FROM players ORDER BY points DESC LIMIT 2", "tie_at_limit"),
    "a tie at the offset": ("SELECT name FROM players ORDER BY points DESC LIMIT 9 OFFSET 2", "tie_at_limit"),
    "a limit without order": ("SELECT name FROM players LIMIT 2", "tie_at_limit"),
    "a tie in a UNION": (
        "SELECT name, points FROM players UNION SELECT name, 20 FROM teams ORDER BY 2 DESC LIMIT 2",
        "tie_at_limit",
    ),
    "a tie of groups": (
        "SELECT team FROM players WHERE team <> 'Greens' GROUP BY team ORDER BY count(*) DESC LIMIT 1",
        "tie_at_limit",
    ),
    "chance": ("SELECT name FROM players ORDER BY random()", "clock_or_chance"),
    "the date": ("SELECT name FROM players WHERE date('now') > '2000-01-01'", "clock_or_chance"),
    "the time": ("SELECT CURRENT_TIMESTAMP", "clock_or_chance"),
}


@pytest.mark.parametrize("gold, reason", UNSTABLE.values(), ids=UNSTABLE.keys())
def test_an_unstable_gold_makes_nothing_right_not_even_itself(db, gold, reason):
    assert verdict(db, gold, gold) == ("unstable", reason)


SCAN = {
    "a bare column": "SELECT team, name FROM players GROUP BY team",
    "group_concat": "SELECT group_concat(name) FROM players",
    "a tie in a subquery": (
        "SELECT name FROM players WHERE id = (SELECT id FROM players ORDER BY points LIMIT 1 OFFSET 1)"
    ),
    "row numbers of tied rows": (
        "SELECT name FROM (SELECT name, row_number() OVER (ORDER BY points DESC) AS n FROM players) WHERE n = 2"
    ),
}


@pytest.mark.parametrize("gold", SCAN.values(), ids=SCAN.keys())
def test_a_gold_that_the_scan_order_decides_is_unstable(db, gold):
    assert verdict(db, gold, gold) == ("unstable", "scan_order")


def test_order_true_asks_for_an_order_that_the_gold_must_have(db):
    assert verdict(db, "SELECT name FROM players", "SELECT name FROM players", order=True) == ("unstable", "scan_order")
    gold = "SELECT name FROM players ORDER BY name"
    assert verdict(db, gold, "SELECT name FROM players ORDER BY name DESC", order=True) == ("wrong", "order")


def test_a_prediction_that_no_tie_could_excuse_is_wrong_under_an_unstable_gold(db):
    gold = "SELECT name FROM players LIMIT 2"
    for pred, reason in (("SELECT nmae FROM players", "error"), ("SELECT id, name FROM players", "extra_columns")):
        assert verdict(db, gold, pred) == ("wrong", reason)


GOLD_ERRORS = {
    "gold_error": "SELECT nmae FROM players",
    "gold_limit": "DELETE FROM players",
    "gold_truncated": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT * FROM n",
}


@pytest.mark.parametrize("reason, gold", GOLD_ERRORS.items())
def test_a_gold_without_a_whole_result_makes_nothing_right(db, reason, gold):
    assert verdict(db, gold, gold) == ("gold_error", reason)
    assert verdict(db, gold, "SELECT 1") == ("gold_error", reason)


def test_hole_two_empty_results_prove_nothing(db):
    gold = "SELECT name FROM players WHERE team = 'Golds'"
    assert verdict(db, gold, "SELECT name FROM players WHERE 0") == ("gold_error", "gold_empty")
    assert verdict(db, gold, "SELECT city FROM teams WHERE name = 'x'", rows=()) == "right"
    assert verdict(db, gold, "select name FROM players WHERE team='Golds';") == "right"


def test_rows_written_down_must_be_the_golds(db):
    gold = "SELECT name, points FROM players WHERE id < 3"
    assert verdict(db, gold, gold, rows=(("Bob", 20.0), ("Ann", 30))) == "right"
    for rows in ((("Ann", 30),), (("Ann",), ("Bob",)), (("Ann", 31), ("Bob", 20)), ()):
        assert verdict(db, gold, gold, rows=rows) == ("gold_error", "gold_rows")
    ordered = "SELECT name FROM players WHERE id < 3 ORDER BY name"
    assert verdict(db, ordered, ordered, rows=(("Bob",), ("Ann",))) == ("gold_error", "gold_rows")


def test_order_false_lets_rows_come_as_they_like(db):
    gold, pred = "SELECT name FROM players ORDER BY name", "SELECT name FROM players ORDER BY name DESC"
    assert verdict(db, gold, pred, order=False) == "right"
    tied = "SELECT name FROM players ORDER BY points DESC LIMIT 2"
    assert verdict(db, tied, tied, order=False) == ("unstable", "tie_at_limit")


def test_any_alternative_is_right(db):
    more = {"alternatives": ("SELECT id FROM players", "SELECT name, id FROM players")}
    for pred in ("SELECT name FROM players", "SELECT id FROM players", "SELECT id, name FROM players"):
        assert verdict(db, "SELECT name FROM players", pred, **more) == "right"
    assert verdict(db, "SELECT name FROM players", "SELECT points FROM players", **more) == ("wrong", "rows")
    assert verdict(db, "SELECT name FROM players", "select ID from players", "exact", **more) == "right"


def test_a_prediction_that_takes_too_long_is_wrong(db):
    pred = "SELECT count(*) FROM " + ", ".join(f"players {name}" for name in "abcdefghij")
    found = score(ask(f"SELECT {6**10}"), pred, db, limits=Limits(seconds=0.02))
    assert (found.verdict, found.reason) == ("wrong", "limit")


def test_exact_compares_text(db):
    gold = "SELECT name FROM players WHERE team = 'Reds'"
    right = ["select  NAME\nfrom players where team='Reds';", gold + " -- comment", gold]
    wrong = [
        "SELECT name FROM players WHERE team = 'reds'",
        "SELECT p.name FROM players p WHERE team = 'Reds'",
        "",
        "x",
    ]
    assert all(verdict(db, gold, pred, "exact") == "right" for pred in right)
    assert all(verdict(db, gold, pred, "exact")[0] == "wrong" for pred in wrong)
    assert verdict(db, 'SELECT "Ann"', 'SELECT "ann"', "exact") == ("wrong", "text")
    assert verdict(db, "SELECT CAST(a AS DECIMAL)", "SELECT CAST(a AS REAL)", "exact") == ("wrong", "text")


def test_unknown_modes_and_databases_are_sentences(db, tmp_path):
    with pytest.raises(LabkitError, match="no scoring mode 'fuzzy'. The modes are exact"):
        score(ask("SELECT 1"), "SELECT 1", db, "fuzzy")
    with pytest.raises(LabkitError, match="none.sqlite"):
        score(ask("SELECT 1"), "SELECT 1", tmp_path / "none.sqlite")
    (tmp_path / "text.sqlite").write_text("not a database at all")
    with pytest.raises(LabkitError, match="text.sqlite"):
        score(ask("SELECT 1"), "SELECT 1", tmp_path / "text.sqlite")


def test_predictions_that_are_no_text_are_wrong(db):
    for pred in (None, 3, b"SELECT 1", "\0", "SELECT 1\0", "\ud800"):
        for mode in ("exact", "execution"):
            assert score(ask("SELECT 1"), pred, db, mode).verdict == "wrong"


def test_many_pairs_over_several_databases_come_back_in_order(db, tmp_path):
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.executescript("CREATE TABLE players (name TEXT); INSERT INTO players VALUES ('Zoe')")
    connection.close()
    question = ask("SELECT name FROM players")
    pairs = [
        Pair(question, pred, path) for pred in ("SELECT name FROM players", "SELECT 'Zoe'") for path in (db, other)
    ]
    assert [found.verdict for found in score_many(pairs)] == ["right", "right", "wrong", "right"]
    assert score_many([]) == []


def test_a_changed_database_is_not_answered_from_memory(tmp_path):
    path = tmp_path / "one.sqlite"
    question, hashes = ask("SELECT x FROM t"), set()
    for value in (1, 2):
        with sqlite3.connect(path) as connection:
            connection.executescript(f"DROP TABLE IF EXISTS t; CREATE TABLE t (x); INSERT INTO t VALUES ({value})")
        connection.close()
        hashes.add(database_hash(path))
        assert score(question, f"SELECT {value}", path).right
        assert not score(question, f"SELECT {3 - value}", path).right
    assert len(hashes) == 2


def test_a_gold_is_run_again_only_for_more_time_than_it_was_given(db, monkeypatch):
    from labkit import scoring

    run = []
    monkeypatch.setattr(scoring, "references", lambda *args: run.append(len(args[1])) or references(*args))
    scoring._kept.clear()
    for seconds in (1.5, 1.0, 1.5, 2.0, 0.5):
        score(Question("q", "?", "SELECT 1", ""), "SELECT 1", db, limits=Limits(seconds=seconds))
    assert run == [1, 0, 0, 1, 0], "the shorter ones are served by the first, and all by the one of 2 s"


def test_scores_keep_both_results(db):
    found = score(ask("SELECT 1"), "SELECT 2", db)
    assert (found.gold.rows, found.pred.rows) == (((1,),), ((2,),))
    assert "(1,) is missing" in found.detail


# --- comparing values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "a, b, same",
    [
        (0.1 + 0.2, 0.3, True),
        (1 / 3, 0.33333333, True),
        (1 / 3, 0.3333, False),
        (1, 1.0, True),
        (2**53 + 1, 2**53, False),
        (0, 1e-12, True),
        (0, 1e-6, False),
        (float("inf"), float("inf"), True),
        (float("inf"), 1e308, False),
        ("1", 1, False),
        (b"a", "a", False),
        (None, None, True),
        (None, "", False),
        ("a", "a ", False),
    ],
)
def test_single_values(a, b, same):
    assert same_value(a, b) is same
    assert same_value(b, a) is same


def table(*rows):
    return Table(rows, len(rows[0]))


def test_noise_does_not_move_rows_past_one_another():
    noise = 0.1 + 0.2
    assert same_bag(table((noise, "b"), (0.3, "a")), table((0.3, "b"), (noise, "a")))
    assert same_bag(table((noise, 0.7, "b"), (0.3, 0.1, "a")), table((0.1, "a", noise), (0.7, "b", 0.3)))
    assert not same_bag(table((noise, "b"), (0.4, "a")), table((0.3, "a"), (0.4, "b")))


def test_the_tolerance_shrinks_where_the_reference_tells_numbers_apart():
    gold = [(1 + i * 4e-7, i) for i in range(50)]
    assert same_bag(table(*gold), table(*[(x * (1 + 1e-15), i) for x, i in gold]))
    moved = [(gold[(i + 1) % 50][0], i) for i in range(50)]
    assert not same_bag(table(*gold), table(*moved))


def test_blocks_of_ties_keep_their_place():
    gold = table(("a",), ("b",), ("c",))
    assert same_order(gold, table(("b",), ("a",), ("c",)), [1, 1, 2])
    assert not same_order(gold, table(("a",), ("c",), ("b",)), [1, 1, 2])
    assert not same_order(gold, table(("b",), ("a",), ("c",)), [1, 2, 1])


@pytest.mark.parametrize("kind", ["permutations", "floats", "coins"])
def test_twelve_columns_and_ten_thousand_rows_are_matched_in_seconds(kind):
    rng = random.Random(1)
    make = {
        "permutations": lambda: rng.sample(range(10_000), 10_000),
        "floats": lambda: [rng.random() for _ in range(10_000)],
        "coins": lambda: [rng.randrange(2) for _ in range(10_000)],
    }[kind]
    columns = [make() for _ in range(12)]
    rows = list(zip(*columns, strict=True))
    shuffled = list(zip(*rng.sample(columns, 12), strict=True))
    rng.shuffle(shuffled)
    spoilt = [list(row) for row in shuffled]
    other = next(row for row in spoilt if row[0] != spoilt[0][0])
    spoilt[0][0], other[0] = other[0], spoilt[0][0]
    start = time.perf_counter()
    assert same_bag(Table(rows, 12), Table(shuffled, 12))
    assert not same_bag(Table(rows, 12), Table([tuple(row) for row in spoilt], 12))
    assert time.perf_counter() - start < 20


def test_look_alike_columns_do_not_blow_up():
    """Every column of a Latin square holds the same values: the search must end, whatever it finds."""
    size = 40
    rows = [tuple((i * j + j) % 41 for j in range(1, 31)) for i in range(size)]
    moved = [row[::-1] for row in rows]
    moved[0], moved[1] = (*moved[0][:1], *moved[1][1:]), (*moved[1][:1], *moved[0][1:])
    start = time.perf_counter()
    assert same_bag(Table(rows, 30), Table([row[::-1] for row in rows], 30))
    assert not same_bag(Table(rows, 30), Table(moved, 30))
    assert time.perf_counter() - start < 20


# --- reading the query ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql, expected",
    [
        ("SELECT a FROM t ORDER BY a", True),
        ("SELECT a FROM t UNION SELECT b FROM t ORDER BY 1", True),
        ("WITH x AS (SELECT 1) SELECT * FROM x ORDER BY 1 LIMIT 1", True),
        ("SELECT a, row_number() OVER (ORDER BY a) FROM t", False),
        ("SELECT group_concat(a ORDER BY a) FROM t", False),
        ("SELECT a FROM t WHERE b = 'ORDER BY a'", False),
        ('SELECT "order by" FROM t', False),
        ("SELECT a FROM t WHERE a IN (SELECT a FROM t ORDER BY b LIMIT 1)", False),
        ("WITH x AS (SELECT 1 ORDER BY 1) SELECT * FROM x", False),
        ("SELECT a FROM t /* ORDER BY a */", False),
    ],
)
def test_only_the_outermost_order_counts(sql, expected):
    assert has_order(sql) is expected


@pytest.mark.parametrize(
    "sql, expected",
    [
        ("SELECT random()", True),
        ("SELECT RANDOMBLOB (3)", True),
        ("SELECT date( 'NOW' , '-1 day')", True),
        ("SELECT julianday()", True),
        ("SELECT strftime('%Y')", True),
        ("SELECT strftime('%Y', 'now')", True),
        ("SELECT current_date", True),
        ("SELECT strftime('%Y', born) FROM t", False),
        ("SELECT random FROM t WHERE status = 'now'", False),
        ("SELECT 'random()' -- random()", False),
        ('SELECT "current_date" FROM t', False),
        ("SELECT date(born) FROM t", False),
    ],
)
def test_clock_and_chance_are_found(sql, expected):
    assert depends_on_clock_or_chance(sql) is expected


def test_the_result_type_is_the_sandboxs(db):
    assert isinstance(score(ask("SELECT 1"), "SELECT 1", db).gold, ExecutionResult)
