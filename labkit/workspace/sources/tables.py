"""Tables on their way into SQLite: their columns, keys and rows, and the writer that stores them in batches.

Where they come from is told in `csvfiles`, `duck` and `servers`; this module knows no source. A source gives values as
Python has them; what SQLite has no type for is narrowed here, in one place, and counted.
"""

import os
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from labkit.errors import LabkitError
from labkit.schema import quote

BATCH = 10_000  # rows that are in memory at once
_INTEGERS = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Column:
    """A column as SQLite will have it; `type`: INTEGER, REAL, TEXT or BLOB."""

    name: str
    type: str
    not_null: bool = False


@dataclass(frozen=True)
class Reference:
    """A foreign key."""

    columns: tuple[str, ...]
    other: str
    other_columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table to be carried over; `read()` gives its rows, values in the order of `columns`, from the first on."""

    name: str
    columns: tuple[Column, ...]
    read: Callable[[], Iterable[Sequence]] = field(repr=False)
    key: tuple[str, ...] = ()
    key_guessed: bool = False  # dropped where a row breaks it; a key that the source declares is an error then
    unique: tuple[tuple[str, ...], ...] = ()
    references: tuple[Reference, ...] = ()
    rows: int | None = None  # for the progress bar


def called_like_key(table: str, column: str) -> bool:
    """Whether a column bears the name of a key of its own table (`id`, `order_id` in `orders`); whether it is one, the
    rows say."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column).casefold().replace("_", " ").split()
    own = len(words) == 1 or "".join(words[:-1]).startswith(table.casefold().replace("_", "")[:3])
    return own and (words[-1:] in (["id"], ["key"], ["code"], ["no"], ["nr"]) or words == ["uuid"])


@dataclass(frozen=True)
class Note:
    """Something that is not carried over as it was, or that was decided on the way."""

    kind: str  # "view", "index", "check", "type", "value", "name", "key", "reference", "row", "text", "schema" ...
    table: str
    text: str
    column: str = ""


@dataclass(frozen=True)
class Carried:
    """A table that was written."""

    table: str
    rows: int
    columns: int
    key: tuple[str, ...]
    references: int


@dataclass(frozen=True)
class Source:
    """What a source holds, while it is open."""

    shown: str  # never with a password
    tables: tuple[Table, ...]
    notes: tuple[Note, ...]


class Private:
    """Names of tables and columns that stay behind: `table`, `column` or `table.column`, in any case."""

    def __init__(self, names: Iterable[str] = ()):
        self.names = {name.casefold(): name for name in names}
        self._met: set[str] = set()

    def hides(self, table: str, column: str = "") -> bool:
        """Whether the table, or its column, is private."""
        called = {column.casefold(), f"{table}.{column}".casefold()} if column else {table.casefold()}
        found = called & self.names.keys()
        self._met |= found
        return bool(found)

    def unmet(self) -> list[str]:
        """Those that nothing was called so far, but for columns of a table that is private as a whole."""
        return [
            name
            for folded, name in self.names.items()
            if folded not in self._met and folded.rpartition(".")[0] not in self._met
        ]


def distinct(names: Sequence[str]) -> list[str]:
    """The names, those that SQLite would take for an earlier one (it looks at no case) with a number behind."""
    taken, given = {name.casefold() for name in names}, set()
    found = []
    for name in names:
        new, n = name, 1
        while new.casefold() in given or (n > 1 and new.casefold() in taken):
            n += 1
            new = f"{name}_{n}"
        given.add(new.casefold())
        found.append(new)
    return found


def settle(source: Source) -> Source:
    """The same with names that SQLite can hold side by side, and without keys and references to what is not carried."""
    notes = list(source.notes)
    safe = [f"t_{t.name}" if t.name.casefold().startswith("sqlite_") else t.name for t in source.tables]
    named = dict(zip((t.name for t in source.tables), distinct(safe), strict=True))
    renamed = {t.name: dict(zip(_names(t), distinct(_names(t)), strict=True)) for t in source.tables}
    notes += [Note("name", old, f"stored as {new}") for old, new in named.items() if old != new]
    for table, columns in renamed.items():
        notes += [Note("name", table, f"stored as {new}", old) for old, new in columns.items() if old != new]
    return Source(source.shown, tuple(_settled(t, named, renamed, notes) for t in source.tables), tuple(notes))


def _settled(table: Table, named: dict[str, str], renamed: dict[str, dict[str, str]], notes: list[Note]) -> Table:
    columns = renamed[table.name]
    key, *unique = [
        tuple(columns[c] for c in k) if set(k) <= columns.keys() else () for k in (table.key, *table.unique)
    ]
    if table.key and not key:
        notes.append(Note("key", table.name, "the key holds a column that is not carried over"))
    references = []
    for r in table.references:
        there = renamed.get(r.other, {})
        if set(r.columns) <= columns.keys() and set(r.other_columns) <= there.keys():
            mine, others = (columns[c] for c in r.columns), (there[c] for c in r.other_columns)
            references.append(Reference(tuple(mine), named[r.other], tuple(others)))
        else:
            text = f"the reference to {r.other} is not carried over: the table or a column of it is left out"
            notes.append(Note("reference", table.name, text, ", ".join(r.columns)))
    return replace(
        table,
        name=named[table.name],
        columns=tuple(replace(c, name=columns[c.name]) for c in table.columns),
        key=key,
        unique=tuple(u for u in unique if u),
        references=tuple(references),
    )


def _names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


# --- writing ----------------------------------------------------------------------------------------------------------


@dataclass
class _Narrowed:
    """How many values of each column were changed, by what was done to them."""

    counts: Counter = field(default_factory=Counter)

    def store(self, value: object, column: Column) -> object:
        """`value` as SQLite holds it."""
        kind = type(value)
        if value is None or kind is str or kind is bytes:
            return value
        if kind is int:
            if value in _INTEGERS:
                return value
            return self._told(column, "too large for 64 bits, stored as a binary number", float(value))
        if kind is float:
            return value if value == value else self._told(column, "not a number, stored as NULL", None)
        if kind is bool:
            return int(value)
        if kind is Decimal:
            return self._decimal(value, column)
        if isinstance(value, (bytearray, memoryview)):
            return bytes(value)
        return str(value)

    def _decimal(self, value: Decimal, column: Column) -> object:
        if column.type == "TEXT":
            return str(value)
        if value.is_nan():
            return self._told(column, "not a number, stored as NULL", None)
        if column.type == "INTEGER" and value == value.to_integral_value():
            return self.store(int(value), column)
        number = float(value)
        if Decimal(repr(number)) != value:
            self._told(column, "rounded to the 15 to 17 digits of a binary number", None)
        return number

    def _told(self, column: Column, what: str, stored: object) -> object:
        self.counts[column.name, what] += 1
        return stored


def write(source: Source, path: Path, progress: bool) -> tuple[list[Carried], list[Note]]:
    """Write the tables into the SQLite file `path`, which is empty; what was carried, and what was found on the way."""
    connection = sqlite3.connect(path, isolation_level=None)
    carried, notes = [], []
    try:
        connection.execute("PRAGMA journal_mode = MEMORY")  # the file is thrown away when anything fails
        connection.execute("PRAGMA synchronous = OFF")  # one fsync at the end
        for table in source.tables:
            written, rows, found = _write_table(connection, table, progress)
            carried.append(Carried(written.name, rows, len(written.columns), written.key, len(written.references)))
            notes += found
        notes += _broken_references(connection)
    finally:
        connection.close()
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return carried, notes


def _write_table(connection: sqlite3.Connection, table: Table, progress: bool) -> tuple[Table, int, list[Note]]:
    from tqdm.auto import tqdm

    narrowed = _Narrowed()
    connection.execute("BEGIN")
    try:
        connection.execute(_create(table))
        with tqdm(total=table.rows, desc=table.name, unit=" rows", disable=not progress, leave=False) as bar:
            marks = ", ".join("?" * len(table.columns))
            insert = f"INSERT INTO {quote(table.name)} VALUES ({marks})"
            connection.executemany(insert, _rows(table, narrowed, bar))
        connection.execute("COMMIT")
    except sqlite3.IntegrityError as error:
        connection.execute("ROLLBACK")
        if not table.key_guessed:
            raise LabkitError(
                f"The rows of {table.name} do not fit into SQLite: {error}. Mend them there, or --exclude the table."
            ) from error
        free = replace(table, key=(), key_guessed=False)
        written, rows, notes = _write_table(connection, free, progress)
        text = f"{', '.join(table.key)} looks like a key but holds a value twice: no key"
        return written, rows, [*notes, Note("key", table.name, text)]
    rows = connection.execute(f"SELECT COUNT(*) FROM {quote(table.name)}").fetchone()[0]
    notes = [
        Note("value", table.name, f"{n:,} value{'s' * (n > 1)} {what}", c) for (c, what), n in narrowed.counts.items()
    ]
    if table.key_guessed:
        notes.append(Note("key", table.name, f"{', '.join(table.key)} taken for the key: each value is there once"))
    return table, rows, notes


def _rows(table: Table, narrowed: _Narrowed, bar) -> Iterator[list]:
    for n, row in enumerate(table.read(), 1):
        yield [narrowed.store(value, column) for value, column in zip(row, table.columns, strict=True)]
        if n % BATCH == 0:
            bar.update(BATCH)


def _create(table: Table) -> str:
    lines = [f"{quote(c.name)} {c.type}{' NOT NULL' * c.not_null}" for c in table.columns]
    if table.key:
        lines.append(f"PRIMARY KEY ({_listed(table.key)})")
    lines += [f"UNIQUE ({_listed(unique)})" for unique in table.unique]
    lines += [
        f"FOREIGN KEY ({_listed(r.columns)}) REFERENCES {quote(r.other)} ({_listed(r.other_columns)})"
        for r in table.references
    ]
    return f"CREATE TABLE {quote(table.name)} (\n  " + ",\n  ".join(lines) + "\n)"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(quote, names))


def _broken_references(connection: sqlite3.Connection) -> list[Note]:
    """Rows that refer to nothing: some servers were told not to look."""
    try:
        broken = Counter((row[0], row[2]) for row in connection.execute("PRAGMA foreign_key_check"))
    except sqlite3.OperationalError:  # a reference to columns that are no key, which some servers allow
        return [Note("reference", "", "some references point at columns that are no key, and could not be checked")]
    return [Note("reference", t, f"{n:,} rows refer to no row of {other}") for (t, other), n in broken.items()]
