"""Large tables, looked at through a copy: some rows of each, with the rows that they refer to.

Generating runs thousands of queries, and over millions of rows each may read all of them. On a copy they take
milliseconds. A pair keeps its question and its query, never the rows, so its query is asked of the whole file as it
stands. What a copy cannot know: a name that occurs once in it may occur twice in the file, and a query that finds
something in it finds something else in the whole, or, where it asks for what is missing, nothing.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from labkit.copying import schema_sql, write_database
from labkit.exclusion import excluding, in_force
from labkit.execution import Limits, execute_many
from labkit.observed import Data, Inclusion, Observed
from labkit.schema import ForeignKey, Schema, Table, quote, read_schema

LARGE = 200_000  # rows of a table: from here on a copy is looked at
ROWS = 20_000  # of a table, in the copy
_LIMITS = Limits(seconds=20.0, rows=2 * ROWS, bytes=128_000_000)
_SECONDS = 60.0  # that writing the copy may take
_AT_ONCE = 5_000  # keys looked up by one query
_GENERATIONS = 3  # a parent may have a parent


def large(schema: Schema) -> list[Table]:
    """Tables of more than `LARGE` rows, counted or estimated."""
    return [table for table in schema.tables if not table.is_view and (table.rows or 0) > LARGE]


@contextmanager
def looked_at(database: Path, schema: Schema | None = None) -> Iterator[tuple[Path, str]]:
    """The file to draw from, and a sentence about it: the database itself and "", or a copy for as long as the block
    lasts, where a table is large. What is excluded of the database is excluded of the copy, and not in it. schema: that
    of the database, where it has been read already."""
    schema = schema or read_schema(database)
    found = large(schema)
    if not found:
        yield database, ""
        return
    folder = Path(tempfile.mkdtemp())
    try:
        excluded = in_force(database)
        rules = Observed({}, tuple(Inclusion(**vars(key)) for key in schema.foreign_keys), {}, (), ())
        copy = write_database(folder / database.name, schema_sql(schema), rows(schema), rules, _SECONDS)
        named = ", ".join(f"{table.name} has {table.rows:,}" for table in found)
        told = f"Drawn from a copy with at most {ROWS:,} rows of a table and those that they refer to ({named}); "
        told += "the queries are for the whole file."
        with excluding(copy, excluded.names if excluded else (), excluded.where if excluded else ""):
            yield copy, told
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def rows(schema: Schema) -> Data:
    """All rows of small tables, evenly spread ones of the others, and what those refer to by a key of one column."""
    tables = [table for table in schema.tables if not table.is_view]
    data = {}
    for table, spread in zip(tables, execute_many(schema.database, list(map(_spread, tables)), _LIMITS), strict=True):
        (first,) = [spread] if spread.rows else execute_many(schema.database, [_first(table)], _LIMITS)
        data[table.name] = [dict(zip(first.columns, row, strict=True)) for row in first.rows]
    for _ in range(_GENERATIONS):
        if not sum(_add_parents(schema, key, data) for key in schema.foreign_keys if len(key.columns) == 1):
            break
    return data


def _start(table: Table) -> str:
    columns = ", ".join(f"t.{quote(c.name)} AS {quote(c.name)}" for c in table.columns if not c.generated)
    return f"SELECT {columns} FROM {quote(table.name)} t"


def _first(table: Table) -> str:
    return f"{_start(table)} LIMIT {ROWS}"


def _spread(table: Table) -> str:
    """Evenly over the row ids, each looked up by itself; a table without them fails, and gives its first rows."""
    if (table.rows or 0) <= ROWS:
        return _first(table)
    name = quote(table.name)
    return f"""WITH RECURSIVE span(low, step) AS (
            SELECT min(rowid), (max(rowid) - min(rowid)) / {ROWS - 1}.0 FROM {name}),
        step(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM step WHERE i < {ROWS - 1})
        {_start(table)} WHERE t.rowid IN (
            SELECT (SELECT s.rowid FROM {name} s WHERE s.rowid >= low + CAST(i * span.step AS INTEGER) LIMIT 1)
            FROM step, span)"""


def _add_parents(schema: Schema, key: ForeignKey, data: Data) -> int:
    """Put the rows that `key` refers to before the others of their table; how many were not there."""
    other, column, target = schema.table(key.other), key.columns[0], key.other_columns[0]
    if (other.rows or 0) <= ROWS:
        return 0
    there = {row[target] for row in data[other.name]}
    lacking = sorted({row[column] for row in data[key.table]} - there - {None}, key=repr)
    sqls = []
    for i in range(0, len(lacking), _AT_ONCE):
        values = ", ".join(map(_literal, lacking[i : i + _AT_ONCE]))
        sqls.append(f"{_start(other)} WHERE t.{quote(target)} IN ({values})")
    found = execute_many(schema.database, sqls, _LIMITS) if sqls else []
    new = [dict(zip(result.columns, row, strict=True)) for result in found for row in result.rows]
    data[other.name][:0] = new
    return len(new)


def _literal(value: object) -> str:
    return apsw.format_sql_value(value)
