"""Hidden tests of Lab 1 (see lab00.py here): columns, money, ties, equal rows and classes of other tables."""

import sqlite3

from labkit.execution import ExecutionResult

POINTS = {"find_invented_columns": 2, "money_sql": 2, "top_sql": 2, "same_rows": 2, "classify": 2}


def _rows(statements, rows, query):
    connection = sqlite3.connect(":memory:")
    connection.execute(statements)
    connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})", rows)
    return connection.execute(query).fetchall()


def _result(*rows, error=None, truncated=False):
    return ExecutionResult(("x",), tuple(rows), error, None, truncated, 0.01)


def find_invented_columns(function):
    shop = {"orders": ["order_id", "placed", "total"], "buyers": ["buyer_id", "email"]}
    cases = {
        "SELECT Total FROM orders WHERE placed > '2030-01-01'": [],
        "SELECT price, o.amount FROM orders AS o ORDER BY total": ["amount", "price"],
        "SELECT email FROM buyers JOIN orders ON buyers.buyer_id = orders.buyer": ["buyer"],
        "SELECT sum(total) AS paid FROM orders GROUP BY buyer_id HAVING paid > 5": [],
        "SELECT 'price' FROM orders WHERE email LIKE '%total%' AND zip = 3": ["zip"],
        "SELECT max(x) FROM (SELECT total AS x, Tax FROM orders)": ["Tax"],
    }
    for sql, wanted in cases.items():
        answer = function(sql, {table: list(columns) for table, columns in shop.items()})
        assert list(answer) == wanted, f"{sql}: got {answer}, and it should be {wanted}"


def money_sql(function):
    texts = {"$7": 7, "$98,765,432": 98_765_432, "$1,000": 1000, "--": None, None: None, "$20,000,001": 20_000_001}
    for column in ("budget", "fee"):
        query = f"SELECT {column}, {function(column)}, typeof({function(column)}) FROM t"
        for text, number, kind in _rows(f"CREATE TABLE t ({column} TEXT)", [(text,) for text in texts], query):
            assert number == texts[text], f"{text!r} became {number!r}"
            assert kind == ("null" if number is None else "integer"), f"{text!r} became a {kind}"


def top_sql(function):
    rows = [("p", 3), ("q", 3), ("r", 2), ("s", 1), ("u", 1), ("v", None), ("w", 0)]
    for n, wanted in ((1, "pq"), (2, "pq"), (3, "pqr"), (4, "pqrsu"), (5, "pqrsu"), (6, "pqrsuw"), (50, "pqrsuw")):
        sql = function("t", "city", "cups", n)
        found = _rows("CREATE TABLE t (city TEXT, cups INTEGER)", rows, sql.rstrip("; "))
        assert sorted(row[0] for row in found) == list(wanted), f"top {n}: got {found}"
        assert all(len(row) == 2 and row in rows for row in found), f"top {n}: label and value are wanted, got {found}"


def same_rows(function):
    cases = [
        ([(1, None), (2, "b")], [(2, "b"), (1, None)], True),
        ([("a",), ("b",), ("b",)], [("a",), ("a",), ("b",)], False),
        ([("a", "b")], [("b", "a")], False),
        ([(2.0,), (None,)], [(None,), (2,)], True),
        ([("2",)], [(2,)], False),
        ([("",)], [(None,)], False),
        ([(1,)] * 3, [(1,)] * 2, False),
        ([(7,), (8,), (9,)], [(9,), (7,), (8,)], True),
    ]
    for gold, pred, wanted in cases:
        assert function(list(gold), list(pred)) == wanted, f"{gold} and {pred}: it should be {wanted}"
        assert function(list(pred), list(gold)) == wanted, f"{pred} and {gold}: it should be {wanted}"


def classify(function):
    gold = _result(("x",), ("y",), ("y",))
    cases = [
        (_result(("y",), ("x",), ("y",)), "right"),
        (_result(("x",), ("y",)), "malformed"),
        (_result(("x",), ("x",), ("y",)), "malformed"),
        (_result(), "malformed"),
        (_result(("x",), ("y",), ("y",), truncated=True), "malformed"),
        (_result(error="syntax error"), "invalid"),
        (_result(("x",), ("y",), ("y",), error="stopped"), "invalid"),
    ]
    for pred, wanted in cases:
        assert function(gold, pred) == wanted, f"{pred}: it should be {wanted}"
    assert function(_result(), _result()) == "right", "two empty answers agree"
