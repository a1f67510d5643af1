"""What a SQLite database holds: tables, columns, keys, a profile of the stored values; the same as text for a prompt.

It reads and samples, within seconds even on ten million rows. It is not a data dictionary: what a column *means* is in
the database's glossary. How values are sampled is `profiling`.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import apsw

from labkit.errors import LabkitError
from labkit.exclusion import Watch, in_force
from labkit.execution import connect_readonly
from labkit.profiling import PLACEHOLDERS, TableProfile, Target, profile, quote

_SHOWN = 28  # characters of a sampled text that a prompt shows


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
    json: bool = False  # its texts are JSON objects or lists
    json_keys: tuple[str, ...] = ()  # up to 12 keys of these objects whose values are plain, most frequent first


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

    @cached_property
    def names(self) -> dict[str, frozenset[str]]:
        """The tables and their columns by name, in lower case."""
        return {table.name.lower(): frozenset(c.name.lower() for c in table.columns) for table in self.tables}

    def to_prompt(self, values: int = 3) -> str:
        """The schema as text for a model: a line a table, each column with its type, what it refers to, sample values.

        Up to `values` samples (0: none) where few values repeat, elsewhere one; a placeholder for missing values is
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
        shown = [] if target else _shown_samples(column, values, table.sampled)
        return " ".join(filter(None, words)) + (": " + ", ".join(shown) if shown else "")


def read_schema(database: str | Path) -> Schema:
    """Read `database` and sample its values; `LabkitError` when it is no readable SQLite database.

    What `exclusion` keeps out of it now is not looked at, and left out.
    """
    schema, with_rowid = _declared(Path(database), visible=True)
    targets = [Target(t.name, tuple(c.name for c in t.columns), t.name in with_rowid) for t in schema.tables]
    profiles = profile(database, targets)
    return replace(schema, tables=tuple(_profiled(*pair) for pair in zip(schema.tables, profiles, strict=True)))


def declared_schema(database: str | Path) -> Schema:
    """All that the schema declares, excluded or not; no row is counted and no value looked at."""
    return _declared(Path(database), visible=False)[0]


def _declared(database: Path, visible: bool) -> tuple[Schema, set[str]]:
    """The schema without profiles, and the names of the tables that have row ids."""
    connection = connect_readonly(database)
    try:
        found = [_read_table(connection, *row) for row in connection.execute(_TABLES).fetchall()]
        tables = [table for table in found if table is not None]
        with_rowid = {name for name, kind, without in connection.execute(_TABLES) if kind == "table" and not without}
        schema = Schema(database, tuple(tables), tuple(_foreign_keys(connection, tables)))
        excluded = in_force(database) if visible else None
        return _without(schema, Watch(excluded, connection), connection) if excluded else schema, with_rowid
    except (apsw.Error, UnicodeDecodeError) as error:
        raise LabkitError(f"The schema of {database} cannot be read: {error}. Is the file damaged?") from error
    finally:
        connection.close()


def _without(schema: Schema, watch: Watch, connection: apsw.Connection) -> Schema:
    """The schema without what is hidden; keys that need it go with it, and views that read it."""
    tables = []
    for table in schema.tables:
        columns = tuple(c for c in table.columns if not watch.reads(table.name, c.name))
        if not columns or (table.is_view and not _may_be_read(table, watch, connection)):
            continue
        names = {column.name for column in columns}
        key = table.primary_key if names.issuperset(table.primary_key) else ()
        unique = tuple(group for group in table.unique if names.issuperset(group))
        tables.append(replace(table, columns=columns, primary_key=key, unique=unique))
    places = {(table.name, column.name) for table in tables for column in table.columns}
    keys = [
        key
        for key in schema.foreign_keys
        if places.issuperset((key.table, c) for c in key.columns)
        and places.issuperset((key.other, c) for c in key.other_columns)
    ]
    return replace(schema, tables=tuple(tables), foreign_keys=tuple(keys))


def _may_be_read(view: Table, watch: Watch, connection: apsw.Connection) -> bool:
    """Whether a view compiles where nothing hidden may be read."""

    def allows(action: int, table: str | None, column: str | None, _schema: str | None, source: str | None) -> int:
        return apsw.SQLITE_DENY if watch.finds(action, table, column, source) else apsw.SQLITE_OK

    connection.set_authorizer(allows)
    try:
        connection.execute(f"SELECT 1 FROM {quote(view.name)} LIMIT 0").fetchall()
    except apsw.AuthError:
        return False
    except apsw.Error:
        return True  # broken in another way: that is said where it is read
    finally:
        connection.set_authorizer(None)
    return True


def _profiled(table: Table, found: TableProfile) -> Table:
    columns = zip(table.columns, found.columns, strict=True)
    filled = tuple(replace(column, **vars(values)) for column, values in columns)
    return replace(table, columns=filled, rows=found.rows, sampled=found.sampled)


def sql_name(name: str) -> str:
    """`name` as it is written in SQL: quoted where it is a keyword or no plain identifier."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and name.upper() not in apsw.keywords
    return name if plain else quote(name)


def nearest(name: str, names: Sequence[str], cutoff: float = 0.6) -> str | None:
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


def _read_table(connection: apsw.Connection, name: str, kind: str, _without_rowid: int) -> Table | None:
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
    return Table(name, columns, is_view=kind == "view", primary_key=key, unique=unique)


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


def _foreign_keys(connection: apsw.Connection, tables: Sequence[Table]) -> Iterator[ForeignKey]:
    by_name = {_folded(table.name): table for table in tables}
    query = 'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq'
    for table in tables:
        groups: dict[int, list] = {}
        for id_, other, column, target in connection.execute(query, (table.name,)):
            groups.setdefault(id_, []).append((other, column, target))
        for parts in groups.values():
            other = by_name.get(_folded(parts[0][0]))
            if other is not None:  # a key to a table that is not there refers to nothing
                targets = tuple(target for *_, target in parts if target) or other.primary_key
                yield ForeignKey(table.name, tuple(part[1] for part in parts), other.name, targets)


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


def _shown_samples(column: Column, values: int, sampled: int) -> list[str]:
    """Several values of a column that repeats a few, for questions name them; elsewhere one of a kind shows the format.

    A kind is a number, a text, or a placeholder for a missing value.
    """
    if values <= 0:
        return []
    repeats = any(isinstance(value, str) for value in column.samples) and column.distinct * 5 <= sampled - column.nulls
    if column.distinct <= values or repeats:
        common = [*column.samples[:values]]
    else:
        common = [next((v for v in column.samples if _kind(v) == kind), None) for kind in ("number", "text")]
    missing = [text for text in column.placeholders[:1] if text not in common]
    return [_literal(value) for value in [*common[: max(1, values - len(missing))], *missing] if value is not None]


def _kind(value: object) -> str:
    if not isinstance(value, str):
        return "number"
    return "missing" if value.strip().casefold() in PLACEHOLDERS else "text"


def _literal(value: object) -> str:
    """A value as SQL would write it, on one line and short."""
    if not isinstance(value, str):
        return repr(value)
    text = " ".join(value.split()) if value.strip() else value
    text = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return "'" + text.replace("'", "''") + "'"
