"""What a database's tables hold: counts, stored types and values, from a sample of each table.

Everything is asked through `execution.execute_many`, like an untrusted query, because a stranger's view or generated
column is a stranger's code; so each question has its limits, and a table that exceeds them is left unprofiled.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from labkit.execution import ExecutionResult, Limits, execute_many

SAMPLE = 5_000  # rows looked at per table: all of a small one, evenly spaced rows of a large one
PLACEHOLDERS = frozenset(
    {"", "-", "--", "---", "?", ".", "na", "n/a", "n.a.", "nan", "none", "null", "nil", "unknown", "tbd"}
)
_LIMITS = Limits(seconds=1.0)
_SAMPLES = 20  # values kept per column
_TEXT = 80  # characters of a sampled text that are read
_COLUMNS_A_QUERY = 50
_JSON_ROWS, _JSON_KEYS = 500, 12


@dataclass(frozen=True)
class Target:
    """A table or view to profile."""

    name: str
    columns: tuple[str, ...]
    has_rowid: bool


@dataclass(frozen=True)
class ColumnProfile:
    """The fields of `schema.Column` that come from the stored values."""

    stored_types: tuple[str, ...] = ()
    samples: tuple = ()
    placeholders: tuple[str, ...] = ()
    nulls: int = 0
    distinct: int = 0
    json: bool = False
    json_keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableProfile:
    """A table's row count (None: unknown), the number of rows sampled, a profile for each column."""

    rows: int | None
    sampled: int
    columns: tuple[ColumnProfile, ...]


def quote(name: str) -> str:
    """`name` as a quoted SQL identifier, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def profile(database: str | Path, targets: Sequence[Target]) -> list[TableProfile]:
    """A profile for each target, in order. Each question that it asks the database ends after a second at most."""
    counts = execute_many(database, [f"SELECT count(*) FROM {quote(target.name)}" for target in targets], _LIMITS)
    spans = [_span(result) for result in execute_many(database, [_span_sql(target) for target in targets], _LIMITS)]
    queries = [_sample_sqls(target, span) for target, span in zip(targets, spans, strict=True)]
    results = iter(execute_many(database, [sql for sqls in queries for sql in sqls], _LIMITS))
    found = []
    for target, count, span, sqls in zip(targets, counts, spans, queries, strict=True):
        values = _by_column([next(results) for _ in sqls], len(target.columns))
        sampled = max((len(pairs) for pairs in values), default=0)
        columns = tuple(_column_profile(pairs) for pairs in values)
        found.append(TableProfile(_row_count(count, span), sampled, columns))
    return _with_json(database, targets, found)


@dataclass(frozen=True)
class _Span:
    """First and last row id of a table."""

    low: int
    high: int


def _span_sql(target: Target) -> str:
    """Both are looked up at an end of the b-tree, in microseconds."""
    rowid, name = _rowid(target), quote(target.name)
    if rowid is None:
        return "SELECT NULL, NULL"
    return f"SELECT (SELECT min({rowid}) FROM {name}), (SELECT max({rowid}) FROM {name})"


def _rowid(target: Target) -> str | None:
    """A name for the row id that no column has taken."""
    taken = {column.casefold() for column in target.columns}
    free = [name for name in ("rowid", "_rowid_", "oid") if name not in taken]
    return free[0] if free and target.has_rowid else None


def _span(result: ExecutionResult) -> _Span | None:
    return _Span(*result.rows[0]) if result.ok and result.rows[0][0] is not None else None


def _row_count(count: ExecutionResult, span: _Span | None) -> int | None:
    if count.ok:
        return count.rows[0][0]
    return span and span.high - span.low + 1


def _sample_sqls(target: Target, span: _Span | None) -> list[str]:
    """Queries that sample the table, fifty columns each; a row is typeof and shortened value of each column in turn."""
    rows = f"LIMIT {SAMPLE}"
    if span is not None and span.high - span.low >= SAMPLE:
        rowid, name, step = _rowid(target), quote(target.name), (span.high - span.low) // (SAMPLE - 1)
        rows = f"""WHERE t.{rowid} IN (
            WITH RECURSIVE step(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM step WHERE i < {SAMPLE - 1})
            SELECT (SELECT s.{rowid} FROM {name} s WHERE s.{rowid} >= {span.low} + i * {step} LIMIT 1) FROM step)"""
    columns = [f"t.{quote(column)}" for column in target.columns]
    groups = [columns[i : i + _COLUMNS_A_QUERY] for i in range(0, len(columns), _COLUMNS_A_QUERY)]
    return [f"SELECT {', '.join(map(_value_sql, group))} FROM {quote(target.name)} t {rows}" for group in groups]


def _value_sql(column: str) -> str:
    short = f"WHEN 'text' THEN substr({column}, 1, {_TEXT}) WHEN 'blob' THEN NULL ELSE {column}"
    return f"typeof({column}), CASE typeof({column}) {short} END"


def _by_column(results: Sequence[ExecutionResult], columns: int) -> list[list[tuple]]:
    """Each column's (type, value) pairs; none for the columns of a query that failed."""
    found = []
    for result in results:
        width = min(_COLUMNS_A_QUERY, columns - len(found))
        found += [[(row[2 * i], _readable(row[2 * i + 1])) for row in result.rows] for i in range(width)]
    return found


def _readable(value: object) -> object:
    """Blobs are left out of the query, so bytes are a text that is no UTF-8."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _column_profile(pairs: Sequence[tuple]) -> ColumnProfile:
    types = Counter(kind for kind, _ in pairs if kind != "null")
    counts = Counter((kind, value) for kind, value in pairs if value is not None)  # 1 is not 1.0 here
    ranked = [key for key, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    texts = [value for kind, value in ranked if kind == "text"]
    return ColumnProfile(
        stored_types=tuple(kind for kind, _ in sorted(types.items(), key=lambda item: (-item[1], item[0]))),
        samples=tuple(value for _, value in ranked[:_SAMPLES]),
        placeholders=tuple(text for text in texts if text.strip().casefold() in PLACEHOLDERS),
        nulls=len(pairs) - types.total(),
        distinct=len(counts),
    )


# --- columns of JSON text ---------------------------------------------------------------------------------------------


def _with_json(database: str | Path, targets: Sequence[Target], tables: Sequence[TableProfile]) -> list[TableProfile]:
    """The same, where columns whose texts all look like JSON are read as such: each that can be has its plain keys."""
    places = [(t, c) for t, table in enumerate(tables) for c, column in enumerate(table.columns) if _like_json(column)]
    sqls = [_json_sql(targets[t].name, targets[t].columns[c]) for t, c in places]
    results = dict(zip(places, execute_many(database, sqls, _LIMITS), strict=True)) if sqls else {}
    return [
        replace(
            table,
            columns=tuple(
                replace(column, json=True, json_keys=tuple(key for key, _ in results[t, c].rows))
                if (t, c) in results and results[t, c].ok
                else column
                for c, column in enumerate(table.columns)
            ),
        )
        for t, table in enumerate(tables)
    ]


def _like_json(column: ColumnProfile) -> bool:
    texts = [value for value in column.samples if isinstance(value, str) and value not in column.placeholders]
    return bool(texts) and all(text.lstrip()[:1] in ("{", "[") for text in texts)


def _json_sql(table: str, column: str) -> str:
    """Keys of objects whose values are neither lists nor objects, most frequent first; an error for what is no JSON."""
    name = quote(column)
    some = f"SELECT {name} v FROM {quote(table)} WHERE ltrim({name}) GLOB '[[{{]*' LIMIT {_JSON_ROWS}"
    return f"""SELECT j.key, count(*) FROM ({some}), json_each(v) j
        WHERE typeof(j.key) = 'text' AND j.type NOT IN ('array', 'object', 'null')
        GROUP BY 1 ORDER BY 2 DESC, min(j.id) LIMIT {_JSON_KEYS}"""
