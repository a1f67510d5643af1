"""What a SQLite database holds: tables, columns, keys, a profile of the stored values; the same as text for a prompt.

It reads and samples, within seconds even on ten million rows. It is not a data dictionary: what a column *means* is in
the database's glossary. Values are sampled through `execution.execute_many`, like any untrusted query, because a
stranger's view or generated column is a stranger's code.
"""

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import apsw

from labkit.errors import LabkitError
from labkit.execution import ExecutionResult, Limits, connect_readonly, execute_many

SAMPLE = 5_000  # rows looked at per table: all of a small one, evenly spaced rows of a large one
PLACEHOLDERS = frozenset(
    {"", "-", "--", "---", "?", ".", "na", "n/a", "n.a.", "nan", "none", "null", "nil", "unknown", "tbd"}
)
_LIMITS = Limits(seconds=1.0)
_TEXT = 80  # characters of a sampled text that are read
_SHOWN = 28  # characters of a sampled text that a prompt shows
_COLUMNS_A_QUERY = 50


@dataclass(frozen=True)
class Column:
    """A column; `stored_types`, `samples`, `placeholders`, `nulls` and `distinct` are about the rows sampled."""

    name: str
    declared_type: str  # as written in the schema, "" when it has none
    stored_types: tuple[str, ...] = ()  # typeof() of the values that are not NULL, most frequent first
    not_null: bool = False
    primary_key: bool = False  # it, or a part of it
    unique: bool = False  # by itself
    generated: bool = False  # computed from other columns: cannot be inserted
    samples: tuple = ()  # up to 20 values, most frequent first; texts cut at 80 characters
    placeholders: tuple[str, ...] = ()  # texts that stand for a missing value, as stored: "--", "NA"
    nulls: int = 0
    distinct: int = 0


@dataclass(frozen=True)
class Table:
    """A table or a view. `rows` is exact where counting takes under a second, else an estimate from row ids or None."""

    name: str
    columns: tuple[Column, ...]
    rows: int | None = None
    is_view: bool = False
    sampled: int = 0
    primary_key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()  # each a set of columns that a UNIQUE constraint or index keeps distinct

    def column(self, name: str) -> Column:
        """The column of that name, in any case; `LabkitError` names the nearest one when there is none."""
        return _named(name, self.columns, f"table {self.name!r} has no column")


@dataclass(frozen=True)
class ForeignKey:
    """`table`.`columns` refers to `other`.`other_columns`, as declared."""

    table: str
    columns: tuple[str, ...]
    other: str
    other_columns: tuple[str, ...]


@dataclass(frozen=True)
class Schema:
    """A database's tables and views in the order they were created, and its declared foreign keys."""

    database: Path
    tables: tuple[Table, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()

    def table(self, name: str) -> Table:
        """The table of that name, in any case; `LabkitError` names the nearest one when there is none."""
        return _named(name, self.tables, f"{self.database} has no table")

    def tables_with(self, column: str) -> tuple[str, ...]:
        """Names of the tables that have a column of that name, in any case."""
        return tuple(t.name for t in self.tables if _folded(column) in {_folded(c.name) for c in t.columns})

    def nearest_table(self, name: str) -> str | None:
        """The real table name most like `name`, None when none is."""
        return nearest(name, [table.name for table in self.tables])

    def nearest_column(self, name: str, tables: Sequence[str] = ()) -> str | None:
        """The real column name most like `name`, in the named tables or in all; None when none is."""
        among = [self.table(table) for table in tables] or self.tables
        return nearest(name, [column.name for table in among for column in table.columns])

    @cached_property
    def _references(self) -> dict[tuple[str, str], str]:
        single = [key for key in self.foreign_keys if len(key.columns) == 1]
        return {(k.table, k.columns[0]): f"{sql_name(k.other)}.{sql_name(k.other_columns[0])}" for k in single}

    def to_prompt(self, values: int = 3) -> str:
        """The schema as text for a model: a line a table, each column with its type, what it refers to, sample values.

        Up to `values` samples (0: none) of a text column and one of a number; placeholders for missing values are
        always among them. The same database gives the same text.
        """
        return "\n".join(self._table_line(table, values) for table in self.tables)

    def _table_line(self, table: Table, values: int) -> str:
        columns = "; ".join(self._column_text(table, column, values) for column in table.columns)
        return f"{'view ' if table.is_view else ''}{sql_name(table.name)}({columns})"

    def _column_text(self, table: Table, column: Column, values: int) -> str:
        words = [sql_name(column.name), _type_text(column)]
        target = self._references.get((table.name, column.name))
        words += ["primary key"] if table.primary_key == (column.name,) else []
        words += [f"-> {target}"] if target else []
        shown = [] if target else _shown_samples(column, values)
        return " ".join(filter(None, words)) + (": " + ", ".join(shown) if shown else "")


def read_schema(database: str | Path) -> Schema:
    """Read `database` and sample its values; `LabkitError` when it is no readable SQLite database."""
    database = Path(database)
    connection = connect_readonly(database)
    try:
        found = [_read_table(connection, *row) for row in connection.execute(_TABLES).fetchall()]
        tables = [table for table in found if table is not None]
        keys = tuple(_foreign_keys(connection, tables))
    except (apsw.Error, UnicodeDecodeError) as error:
        raise LabkitError(f"The schema of {database} cannot be read: {error}. Is the file damaged?") from error
    finally:
        connection.close()
    return Schema(database, tuple(_profile(database, tables)), keys)


def quote(name: str) -> str:
    """`name` as a quoted SQL identifier, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def sql_name(name: str) -> str:
    """`name` as it is written in SQL: quoted where it is a keyword or no plain identifier."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and name.upper() not in apsw.keywords
    return name if plain else quote(name)


def nearest(name: str, names: Sequence[str], cutoff: float = 0.5) -> str | None:
    """The one of `names` most like `name`, None when all are less alike than `cutoff` (0 to 1).

    Likeness is difflib's ratio, or the share of common words (`player_salary`, `salary`) where that is higher.
    """
    best = max(names, key=lambda other: (_likeness(name, other), other), default=None)
    return best if best is not None and _likeness(name, best) >= cutoff else None


def _likeness(a: str, b: str) -> float:
    words_a, words_b = (set(re.findall(r"[^\W_]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", x).casefold())) for x in (a, b))
    common = 2 * len(words_a & words_b) / (len(words_a) + len(words_b) or 1)
    return max(difflib.SequenceMatcher(None, _folded(a), _folded(b), autojunk=False).ratio(), common)


def _folded(name: str) -> str:
    return name.casefold()


def _named(name: str, among: Sequence, missing: str):
    for item in among:
        if _folded(item.name) == _folded(name):
            return item
    near = nearest(name, [item.name for item in among])
    hint = f"Did you mean {near!r}?" if near else f"It has {', '.join(repr(item.name) for item in among) or 'none'}."
    raise LabkitError(f"{missing[0].upper()}{missing[1:]} {name!r}. {hint}")


# --- what the schema declares -----------------------------------------------------------------------------------------

_TABLES = """
    SELECT s.name, l.type, l.wr FROM sqlite_schema s JOIN pragma_table_list l ON l.name = s.name AND l.schema = 'main'
    WHERE s.type IN ('table', 'view') AND l.type <> 'shadow' AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    ORDER BY s.rowid"""


@dataclass(frozen=True)
class _Unsampled:
    table: Table
    has_rowid: bool


def _read_table(connection: apsw.Connection, name: str, kind: str, without_rowid: int) -> _Unsampled | None:
    """The table as declared; None for one that cannot be opened (an unknown module's virtual table, a broken view)."""
    try:
        rows = connection.execute(
            'SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid',
            (name,),
        ).fetchall()
    except apsw.SQLError:
        return None
    key = tuple(row[0] for row in sorted(rows, key=lambda row: row[3]) if row[3])
    unique = tuple(_unique(connection, name))
    alone = {group[0] for group in (*unique, key) if len(group) == 1}
    columns = tuple(Column(c, t or "", (), bool(n), bool(pk), c in alone, h > 0) for c, t, n, pk, h in rows)
    table = Table(name, columns, is_view=kind == "view", primary_key=key, unique=unique)
    return _Unsampled(table, kind == "table" and not without_rowid)


def _unique(connection: apsw.Connection, table: str) -> Iterator[tuple[str, ...]]:
    """Columns of each unique index, but for partial ones (they promise less) and expressions (they have no name)."""
    indexes = connection.execute(
        'SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial', (table,)
    ).fetchall()
    for (index,) in sorted(indexes):
        names = tuple(
            n for (n,) in connection.execute("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (index,))
        )
        if None not in names:
            yield names


def _foreign_keys(connection: apsw.Connection, tables: Sequence[_Unsampled]) -> Iterator[ForeignKey]:
    by_name = {_folded(item.table.name): item.table for item in tables}
    query = 'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq'
    for item in tables:
        groups: dict[int, list] = {}
        for id_, other, column, target in connection.execute(query, (item.table.name,)):
            groups.setdefault(id_, []).append((other, column, target))
        for parts in groups.values():
            other = by_name.get(_folded(parts[0][0]))
            if other is not None:  # a key to a table that is not there refers to nothing
                targets = tuple(target for *_, target in parts if target) or other.primary_key
                yield ForeignKey(item.table.name, tuple(part[1] for part in parts), other.name, targets)


# --- what the tables hold ---------------------------------------------------------------------------------------------


def _profile(database: Path, items: Sequence[_Unsampled]) -> list[Table]:
    counts = execute_many(database, [f"SELECT count(*) FROM {quote(i.table.name)}" for i in items], _LIMITS)
    spans = execute_many(database, [_span_sql(item) for item in items], _LIMITS)
    queries = [_sample_sqls(item, _rows(span)) for item, span in zip(items, spans, strict=True)]
    results = iter(execute_many(database, [sql for sqls in queries for sql in sqls], _LIMITS))
    tables = []
    for item, count, span, sqls in zip(items, counts, spans, queries, strict=True):
        values = [values for _ in sqls for values in _by_column(next(results))]
        tables.append(_profiled_table(item.table, _row_count(count, span), values))
    return tables


def _rows(result: ExecutionResult) -> tuple[tuple, ...]:
    return result.rows if result.error is None and result.limit is None else ()


def _row_count(count: ExecutionResult, span: ExecutionResult) -> int | None:
    if _rows(count):
        return count.rows[0][0]
    low, high = _rows(span)[0] if _rows(span) else (None, None)
    return None if low is None else high - low + 1


def _rowid(table: Table) -> str | None:
    taken = {_folded(column.name) for column in table.columns}
    return next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), None)


def _span_sql(item: _Unsampled) -> str:
    """First and last row id: each looked up at one end of the b-tree, in microseconds."""
    rowid, name = _rowid(item.table), quote(item.table.name)
    if not item.has_rowid or rowid is None:
        return "SELECT NULL, NULL"
    return f"SELECT (SELECT min({rowid}) FROM {name}), (SELECT max({rowid}) FROM {name})"


def _sample_sqls(item: _Unsampled, span: Sequence[tuple]) -> list[str]:
    """Queries that sample the table, fifty columns each; a row is typeof and shortened value of each column in turn."""
    low, high = span[0] if span else (None, None)
    rows = f"LIMIT {SAMPLE}"
    if low is not None and high - low >= SAMPLE:
        rowid, name, step = _rowid(item.table), quote(item.table.name), (high - low) // (SAMPLE - 1)
        rows = f"""WHERE t.{rowid} IN (
            WITH RECURSIVE step(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM step WHERE i < {SAMPLE - 1})
            SELECT (SELECT s.{rowid} FROM {name} s WHERE s.{rowid} >= {low} + i * {step} LIMIT 1) FROM step)"""
    columns = [f"t.{quote(column.name)}" for column in item.table.columns]
    groups = [columns[i : i + _COLUMNS_A_QUERY] for i in range(0, len(columns), _COLUMNS_A_QUERY)]
    return [f"SELECT {', '.join(map(_value_sql, group))} FROM {quote(item.table.name)} t {rows}" for group in groups]


def _value_sql(column: str) -> str:
    short = (
        f"CASE typeof({column}) WHEN 'text' THEN substr({column}, 1, {_TEXT}) WHEN 'blob' THEN NULL ELSE {column} END"
    )
    return f"typeof({column}), {short}"


def _by_column(result: ExecutionResult) -> list[list[tuple]]:
    """Each column's (type, value) pairs; whatever arrived before a limit was met is still a sample."""
    width = len(result.columns) // 2
    return [[(row[2 * i], row[2 * i + 1]) for row in result.rows] for i in range(width)]


def _profiled_table(table: Table, rows: int | None, values: Sequence[Sequence[tuple]]) -> Table:
    padded = [*values, *([[]] * (len(table.columns) - len(values)))]
    columns = tuple(_profiled_column(column, pairs) for column, pairs in zip(table.columns, padded, strict=False))
    sampled = max((len(pairs) for pairs in values), default=0)
    return Table(table.name, columns, rows, table.is_view, sampled, table.primary_key, table.unique)


def _profiled_column(column: Column, pairs: Sequence[tuple]) -> Column:
    types = Counter(kind for kind, _ in pairs if kind != "null")
    # 1 and 1.0 are one key of a dictionary, and so is each with its type beside it two
    counts = Counter((kind, value) for kind, value in pairs if value is not None)
    ranked = [key for key, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0][0], item[0][1]))]
    texts = [value for kind, value in ranked if kind == "text"]
    return Column(
        **{
            name: getattr(column, name)
            for name in ("name", "declared_type", "not_null", "primary_key", "unique", "generated")
        },
        stored_types=tuple(kind for kind, _ in sorted(types.items(), key=lambda item: (-item[1], item[0]))),
        samples=tuple(value for _, value in ranked[:20]),
        placeholders=tuple(text for text in texts if text.strip().casefold() in PLACEHOLDERS),
        nulls=len(pairs) - types.total(),
        distinct=len(counts),
    )


# --- as text ----------------------------------------------------------------------------------------------------------

_FITTING = {
    "integer": "INT BOOL DATE TIME DEC NUM",
    "real": "REAL FLOA DOUB DEC NUM",
    "text": "CHAR CLOB TEXT DATE TIME",
    "blob": "BLOB",
}


def _type_text(column: Column) -> str:
    """The declared type, and what is stored where that is something else: `INTEGER, stored as text`."""
    declared = column.declared_type.upper()
    odd = [kind for kind in column.stored_types if not any(word in declared for word in _FITTING[kind].split())]
    if not declared:
        return "/".join(kind.upper() for kind in column.stored_types)
    return f"{declared} (stored: {', '.join(column.stored_types)})" if odd else declared


def _shown_samples(column: Column, values: int) -> list[str]:
    if values <= 0:
        return []
    textual = any(isinstance(value, str) for value in column.samples)
    few = column.distinct <= values
    keep = column.samples[: values if few or (textual and not column.unique) else 1]
    missing = [text for text in column.placeholders[:2] if text not in keep]
    return [_literal(value) for value in [*keep[: max(1, values - len(missing))], *missing]]


def _literal(value: object) -> str:
    """A value as SQL would write it, on one line and short."""
    if not isinstance(value, str):
        return repr(value)
    text = " ".join(value.split()) if value.strip() else value
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return "'" + text.replace("'", "''") + "'"
