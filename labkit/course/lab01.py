"""Checks, hints and the kit's own answers for Lab 1: invented columns, money as text, ties, equal rows, classes."""

import sqlite3
import tempfile
from collections import Counter
from pathlib import Path

import sqlglot
from sqlglot import exp

from labkit.course.checks import Exercise, Wrong, expect, returned
from labkit.execution import ExecutionResult, execute

LEAGUE = {
    "players": ["player_id", "name", "team_id", "height", "birth_date"],
    "teams": ["team_id", "nickname", "city", "titles"],
}


def _find_invented_columns(sql, schema):
    tree = sqlglot.parse_one(sql, read="sqlite")
    known = {name.lower() for columns in schema.values() for name in columns}
    known |= {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
    used = {column.name for column in tree.find_all(exp.Column)}
    return sorted(name for name in used if name.lower() not in known)


def _money_sql(column):
    return f"CAST(REPLACE(REPLACE(NULLIF({column}, '--'), '$', ''), ',', '') AS INTEGER)"


def _top_sql(table, label, value, n):
    ranked = (
        f"SELECT {label}, {value}, RANK() OVER (ORDER BY {value} DESC) AS place FROM {table} WHERE {value} IS NOT NULL"
    )
    return f"SELECT {label}, {value} FROM ({ranked}) WHERE place <= {n}"


def _same_rows(gold, pred):
    return Counter(gold) == Counter(pred)


def _classify(gold, pred):
    if pred.error:
        return "invalid"
    if pred.truncated or Counter(gold.rows) != Counter(pred.rows):
        return "malformed"
    return "right"


def check_find_invented_columns(function):
    """Plain, qualified, aliased, in every clause; strings and functions are no columns; case does not matter."""
    cases = [
        ("SELECT name FROM players", [], "Every column in it is real."),
        ("SELECT full_name FROM players", ["full_name"], "There is no column called full_name."),
        ("SELECT name FROM players WHERE wage > 5 ORDER BY age", ["age", "wage"], "Read every clause, and sort."),
        ("SELECT p.handle FROM players AS p", ["handle"], "The prefix p. is a table, the column comes after it."),
        ("SELECT NAME, Height FROM players", [], "SQL does not mind capitals in names."),
        ("SELECT count(*) AS Many FROM players GROUP BY team_id ORDER BY many", [], "Many is a name made by AS."),
        ("SELECT name FROM players WHERE name = 'wage'", [], "'wage' in single quotes is text, no column."),
        ("SELECT Wage, wage2, Wage FROM players", ["Wage", "wage2"], "Each name once, spelt as in the query."),
        ("SELECT upper(city) FROM teams JOIN players USING (team_id)", [], "Both tables' columns are real."),
        (
            "SELECT avg(points) FROM players WHERE team_id IN (SELECT id FROM teams)",
            ["id", "points"],
            "Subqueries too.",
        ),
    ]
    for sql, wanted, because in cases:
        answer = returned(function, sql, LEAGUE, kind=(list, tuple, set))
        if isinstance(answer, set) or list(answer) != wanted:
            found = "a set: a sorted list, please" if isinstance(answer, set) else answer
            raise Wrong(f"for {sql!r} it returned {found}, which is not right. {because}")


def check_money_sql(function):
    """The expression is run by the sandbox on texts of every kind, under two column names."""
    cases = {
        "$1,234,567": (1_234_567, "integer"),
        "$950": (950, "integer"),
        "$12,000": (12_000, "integer"),
        "$0": (0, "integer"),
        "--": (None, "null"),
        None: (None, "null"),
    }
    for column in ("salary", "bonus"):
        expression = returned(function, column, kind=str)
        with _database(
            f"CREATE TABLE pay ({column} TEXT)", "INSERT INTO pay VALUES (?)", [(t,) for t in cases]
        ) as file:
            result = execute(file, f"SELECT {column}, {expression}, typeof({expression}) FROM pay")
        if not result.ok:
            raise Wrong(f"`SELECT {expression} FROM pay` does not run: {_sentence(result.error)}")
        for text, number, kind in result.rows:
            if (number, kind) != cases[text]:
                why = "Missing is not 0: it should be NULL." if cases[text][0] is None else "It should be an INTEGER."
                raise Wrong(f"the text {text!r} became {number!r} ({kind}), which is not right. {why}")


def check_top_sql(function):
    """The query is run by the sandbox on small tables with ties, with NULLs, with negative numbers."""
    ties = [("Ada", 30), ("Bo", 20), ("Cy", 20), ("Di", 20), ("Ed", 10), ("Flo", None)]
    minus = [("x", -1), ("y", -5), ("z", None), ("w", -1), ("v", -7)]
    cases = [
        (("scores", "who", "points"), ties, 1, ties[:1], "One row is best."),
        (("scores", "who", "points"), ties, 2, ties[:4], "Three rows share second place: none may be cut off."),
        (("scores", "who", "points"), ties, 4, ties[:4], "1 + 3 rows are four places: the fifth is not in."),
        (("scores", "who", "points"), ties, 9, ties[:5], "A missing number has no place at all."),
        (("depths", "name", "metres"), minus, 1, [minus[0], minus[3]], "Two rows share first place."),
        (("depths", "name", "metres"), minus, 3, [minus[0], minus[1], minus[3]], "The third place is one row."),
    ]
    for (table, label, value), rows, n, wanted, because in cases:
        sql = returned(function, table, label, value, n, kind=str)
        create = f"CREATE TABLE {table} ({label} TEXT, {value} INTEGER)"
        with _database(create, f"INSERT INTO {table} VALUES (?, ?)", rows) as file:
            result = execute(file, sql)
        if not result.ok:
            raise Wrong(f"the query for the top {n} of {table} does not run: {_sentence(result.error)}")
        if Counter(result.rows) != Counter(wanted):
            raise Wrong(f"top {n} of {rows} gave {list(result.rows)}, which is not right. {because}")


def check_same_rows(function):
    """Order is free, duplicates count, 1 = 1.0, NULLs and mixed types don't break it."""
    cases = [
        ([(1, "a"), (2, "b")], [(2, "b"), (1, "a")], True, "The same rows in another order are the same answer."),
        ([(1,), (1,), (2,)], [(1,), (2,), (2,)], False, "Duplicates count."),
        ([(1,)], [(1,), (1,)], False, "Duplicates count."),
        ([(1,), (1,)], [(1,)], False, "Duplicates count."),
        ([(1,), (2,)], [(1,)], False, "A row is missing."),
        ([(1,)], [(1,), (2,)], False, "There is a row too many."),
        ([(1, 2)], [(2, 1)], False, "Values may not swap places inside a row."),
        ([(1,)], [(1.0,)], True, "1 and 1.0 are the same number."),
        ([(1,)], [("1",)], False, "The number 1 and the text '1' are not the same value."),
        ([(None,), (3,), ("x",)], [("x",), (None,), (3,)], True, "NULL, numbers and text may stand in one column."),
        ([(None,)], [(0,)], False, "NULL is not 0."),
        ([], [], True, "No rows on both sides are the same rows."),
        ([], [(0,)], False, "No row is not the same as one row."),
        ([(1,)], [], False, "No row is not the same as one row."),
    ]
    for gold, pred, wanted, because in cases:
        expect(function, gold, pred, equals=wanted, because=because, kind=bool)


def check_classify(function):
    """No answer is invalid; other rows, or cut rows, are malformed; the rest is right."""

    def result(*rows, error=None, limit=None, truncated=False):
        return ExecutionResult(("x",), tuple(rows), error, limit, truncated, 0.01)

    gold = result((1,), (2,))
    cases = [
        (result((2,), (1,)), "right", "The rows are the same."),
        (result((1,), (3,)), "malformed", "It ran, and answers something else."),
        (result((1,), (2,), (2,)), "malformed", "Duplicates count."),
        (result(), "malformed", "An empty answer is an answer, and not this one."),
        (result(error="no such column: wage"), "invalid", "SQLite refused it."),
        (result(limit="time", error="stopped after 2 s"), "invalid", "The sandbox stopped it: there is no answer."),
        (result((1,), (2,), limit="rows", truncated=True), "malformed", "Rows were cut: it ran, and has others too."),
    ]
    for pred, wanted, because in cases:
        answer = returned(function, gold, pred, kind=str)
        if answer != wanted:
            raise Wrong(
                f"for {_facts(pred)} against the right rows {list(gold.rows)} it returned {answer!r}. {because}"
            )
    if returned(function, result(), result(error="no such table: games"), kind=str) != "invalid":
        raise Wrong("the right answer has no rows, and the query failed: failing is not the same as finding nothing.")
    if returned(function, result(), result(), kind=str) != "right":
        raise Wrong("both answers are empty, and both queries ran: they agree.")


def _facts(result: ExecutionResult) -> str:
    told = [f"rows {list(result.rows)}"]
    told += [f"{name}={value!r}" for name in ("error", "limit", "truncated") if (value := getattr(result, name))]
    return ", ".join(told)


def _sentence(error: str) -> str:
    return error if error.endswith(".") else f"{error}."


class _database:
    """A small SQLite file for the length of a `with` block."""

    def __init__(self, create: str, insert: str, rows):
        self.folder = tempfile.TemporaryDirectory(prefix="labkit-")
        self.file = Path(self.folder.name) / "small.sqlite"
        connection = sqlite3.connect(self.file)
        connection.execute(create)
        connection.executemany(insert, rows)
        connection.commit()
        connection.close()

    def __enter__(self) -> Path:
        return self.file

    def __exit__(self, *_):
        self.folder.cleanup()


EXERCISES = {
    "find_invented_columns": Exercise(
        check_find_invented_columns,
        _find_invented_columns,
        "right. You can now tell an invented column without running the query.",
        (
            "Let sqlglot read the query. A parsed query can be asked for all its columns.",
            "tree.find_all(exp.Column) gives columns, each with a .name; tree.find_all(exp.Alias) gives what AS named, "
            "each with an .alias. Compare in lower case.",
            "known = lower-case names of all columns and all aliases; return the sorted set of column names whose "
            "lower() is not in known.",
        ),
    ),
    "money_sql": Exercise(
        check_money_sql,
        _money_sql,
        "right. Money is a number now, and missing money is NULL.",
        (
            "Two signs are in the way of a CAST. And what does SQLite make of CAST('--' AS INTEGER)?",
            "REPLACE(text, '$', '') takes a sign out. NULLIF(a, b) is NULL when a = b, else a.",
            "CAST(REPLACE(REPLACE(NULLIF(column, '--'), '$', ''), ',', '') AS INTEGER), as an f-string.",
        ),
    ),
    "top_sql": Exercise(
        check_top_sql,
        _top_sql,
        "right. Whoever shares a place is in, whoever has no number is out.",
        (
            "LIMIT counts rows. You want places, and rows with equal numbers share a place.",
            "RANK() OVER (ORDER BY value DESC) gives the place. It can't stand in WHERE: put it in a subquery.",
            "SELECT label, value FROM (SELECT label, value, RANK() OVER (ORDER BY value DESC) AS place FROM table "
            "WHERE value IS NOT NULL) WHERE place <= n",
        ),
    ),
    "same_rows": Exercise(
        check_same_rows,
        _same_rows,
        "right. This is a comparison of bags: no order, but every duplicate counts.",
        (
            "A set forgets duplicates. Sorting fails when None meets a number. What counts things in Python?",
            "collections.Counter counts how often each row is there.",
            "Counter(gold) == Counter(pred)",
        ),
    ),
    "classify": Exercise(
        check_classify,
        _classify,
        "right. No answer is invalid, another answer is malformed.",
        (
            "Look at the prediction first: did it run to its end at all? Only then compare rows.",
            "pred.error is None for a query that ran. pred.truncated is true when rows were cut.",
            "error: 'invalid'. truncated, or not the same rows: 'malformed'. Else 'right'.",
        ),
    ),
}
