"""Some rows of a database into memory, and rows from memory into a small database of the same schema.

Reading goes through the sandbox, as any query on a stranger's file. What is written keeps every declared constraint:
SQLite itself checks each row, and one that breaks a key or a CHECK is left out. Which rows to write, `perturb` says.
"""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import apsw

from labkit.errors import LabkitError
from labkit.execution import Limits, connect_readonly, execute_many
from labkit.observed import Data, Inclusion, Observed, Row
from labkit.schema import Schema, Table, quote

MOST_ROWS = 2_000  # of a table, in a copy
_READ = Limits(seconds=10.0, rows=20_000, bytes=64_000_000)
_HITS = 300  # rows of a large table that a condition of the gold picks
_WRITE_SECONDS = 5.0
_NOT_MADE = (apsw.SQLError, apsw.AuthError, apsw.TooBigError, apsw.InterruptError, apsw.ConstraintError, MemoryError)


def read_rows(schema: Schema, conditions: Sequence[tuple[str, str]] = ()) -> Data:
    """At most 2,000 rows of each table, whole tables where they are small, foreign keys closed.

    `conditions` are (table, SQL condition) pairs: rows of large tables that meet one are preferred.
    """
    tables = [table for table in schema.tables if not table.is_view]
    queries = [(table, sql) for table in tables for sql in _queries(table, conditions)]
    results = execute_many(schema.database, [sql for _, sql in queries], _READ)
    data: Data = {table.name: [] for table in tables}
    for (table, _), result in zip(queries, results, strict=True):
        _add(data[table.name], [dict(zip(result.columns, row, strict=True)) for row in result.rows])
    for _ in range(3):  # a parent may have a parent
        if not _add_parents(schema, data):
            break
    return data


def _queries(table: Table, conditions: Sequence[tuple[str, str]]) -> list[str]:
    columns = ", ".join(f"{quote(c.name)} AS {quote(c.name)}" for c in table.columns if not c.generated)
    start = f"SELECT {columns} FROM {quote(table.name)}"
    if table.rows is not None and table.rows <= MOST_ROWS:
        return [start]
    hits = [f"{start} WHERE {sql} LIMIT {_HITS}" for name, sql in conditions if name == table.name]
    spread = f"{start} WHERE rowid % {max(1, (table.rows or 0) // MOST_ROWS)} = 0 LIMIT {MOST_ROWS}"
    return [*hits, spread, f"{start} LIMIT {_HITS}"]  # the last one serves tables without row ids


def _add(rows: list[Row], new: Sequence[Row]) -> int:
    """Append rows that aren't there, up to the most that a table may have; how many were added."""
    known = {tuple(row.values()) for row in rows}
    fresh = [row for row in new if tuple(row.values()) not in known] if rows else new
    rows += fresh[: max(0, MOST_ROWS - len(rows))]
    return len(fresh)


def _add_parents(schema: Schema, data: Data) -> int:
    added = 0
    for key in schema.foreign_keys:
        other = schema.table(key.other)
        if len(key.columns) > 1 or other.rows is None or other.rows <= MOST_ROWS:
            continue  # a small parent is there already; wider keys of sampled tables lose the rows that dangle
        column, target = key.columns[0], key.other_columns[0]
        wanted = {row[column] for row in data[key.table]} - {None} - {row[target] for row in data[key.other]}
        values = ", ".join(_literal(value) for value in list(wanted)[:MOST_ROWS])
        start = _queries(Table(other.name, other.columns, 0), ())[0]
        result = execute_many(schema.database, [f"{start} WHERE {quote(target)} IN ({values})"], _READ)[0]
        rows = [dict(zip(result.columns, row, strict=True)) for row in result.rows]
        data[key.other][:0] = rows  # before the sampled ones: these are needed
        del data[key.other][MOST_ROWS:]
        added += len(rows)
    return added


def _literal(value: object) -> str:
    return apsw.format_sql_value(value)


# --- writing ----------------------------------------------------------------------------------------------------------


def schema_sql(schema: Schema) -> list[str]:
    """The statements that make the database's tables, indexes and views; virtual tables and triggers are left out."""
    query = """SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND sql NOT LIKE 'CREATE VIRTUAL%'
               AND type IN ('table', 'index', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
               ORDER BY type = 'view', type = 'index', rowid"""
    connection = connect_readonly(schema.database)
    try:
        return [sql for (sql,) in connection.execute(query).fetchall()]
    finally:
        connection.close()


def write_database(
    path: Path, statements: Sequence[str], data: Data, observed: Observed, seconds: float = _WRITE_SECONDS
) -> Path:
    """A new database of `data`, as far as `seconds` allow. Rows that break a declared constraint are left out, and what
    refers to them."""
    connection = apsw.Connection(str(path))
    try:
        _bound(connection, seconds)
        connection.execute("PRAGMA page_size=1024; PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY").fetchall()
        connection.execute("BEGIN")
        for sql in statements:
            _try(connection, sql)
        for name, rows in data.items():
            _insert(connection, name, rows)
        _drop_dangling(connection, observed.inclusions)
        connection.set_progress_handler(None)
        if connection.in_transaction:  # an interrupt may have ended it
            connection.execute("COMMIT")
    except apsw.Error as error:
        raise LabkitError(f"The copy {path} cannot be written: {error}. Is the disk full?") from error
    finally:
        connection.close()
    return path


def _bound(connection: apsw.Connection, seconds: float) -> None:
    """A stranger's schema is a stranger's code: a CHECK or a default may compute for hours, or fill the memory."""
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, 10_000_000)
    connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    end = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > end, 10_000)


def _try(connection: apsw.Connection, sql: str) -> None:
    """What cannot be made (a function of an extension is missing) is left out: the queries that need it fail here."""
    with contextlib.suppress(*_NOT_MADE):
        connection.execute(sql)


def _insert(connection: apsw.Connection, name: str, rows: Sequence[Row]) -> None:
    if not rows:
        return
    needed = 'SELECT name FROM pragma_table_info(?) WHERE "notnull" AND dflt_value IS NULL'
    unread = [column for (column,) in connection.execute(needed, (name,)).fetchall() if column not in rows[0]]
    columns = ", ".join(map(quote, [*rows[0], *unread]))  # an excluded column that may not be NULL holds 1, 2, 3 ...
    places = ", ".join("?" * (len(rows[0]) + len(unread)))
    sql = f"INSERT OR IGNORE INTO {quote(name)} ({columns}) VALUES ({places})"
    with contextlib.suppress(*_NOT_MADE):
        connection.executemany(sql, [(*row.values(), *[i] * len(unread)) for i, row in enumerate(rows, 1)])


def _drop_dangling(connection: apsw.Connection, inclusions: Sequence[Inclusion]) -> None:
    """Rows whose parents SQLite left out."""
    while True:
        before = connection.total_changes()
        for rule in inclusions:
            pairs = zip(rule.columns, rule.other_columns, strict=True)
            match = " AND ".join(f"o.{quote(b)} = t.{quote(a)}" for a, b in pairs)
            given = " AND ".join(f"t.{quote(a)} IS NOT NULL" for a in rule.columns)
            _try(
                connection,
                f"DELETE FROM {quote(rule.table)} AS t WHERE {given} "
                f"AND NOT EXISTS (SELECT 1 FROM {quote(rule.other)} o WHERE {match})",
            )
        if connection.total_changes() == before:
            return
