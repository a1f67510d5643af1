"""CSV files as tables: header oddities and the columns' types are found out in a first pass, rows given in a second.

Nothing is mended in silence: what was decided or differs from the file is a `Note`. Text becomes numbers only where
every value of the column can be written back to the same text (`00501`, and `1.50` beside `1.5`, stay text). How the
file is written is `dialect`'s matter.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from labkit.errors import LabkitError
from labkit.workspace.sources.dialect import SPOKEN, Dialect, find_dialect, find_encoding, open_text
from labkit.workspace.sources.tables import Column, Note, Private, Table, called_like_key, distinct

_CELL = 1 << 20  # characters: a longer one is a quote that nobody closed
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?")
_DIGITS = 15  # significant ones, which a binary number gives back for sure


@dataclass
class Shape:
    """What the values of one column have in common."""

    filled: int = 0
    empty: int = 0
    number: bool = True
    decimals: set[int] = field(default_factory=set)
    point_zero: bool = False  # 2.0
    trailing: bool = False  # 1.50: a zero that a number does not keep

    def see(self, value: str) -> None:
        if not value:
            self.empty += 1
            return
        self.filled += 1
        if self.number:
            self.number = bool(_NUMBER.fullmatch(value)) and self._fits(value)

    def _fits(self, value: str) -> bool:
        whole, _, fraction = value.partition(".")
        self.decimals.add(len(fraction))
        self.point_zero |= fraction == "0"
        self.trailing |= fraction.endswith("0") and fraction != "0"
        if fraction and len((whole + fraction).lstrip("-0")) > _DIGITS:
            return False
        return not (whole == "-0" and not fraction.strip("0"))  # SQLite has no negative zero

    @property
    def type(self) -> str:
        if not self.filled or not self.number:
            return "TEXT"
        if self.decimals == {0}:
            return "INTEGER"
        free = not self.trailing and not (self.point_zero and 0 in self.decimals)
        return "REAL" if len(self.decimals) == 1 or free else "TEXT"


@dataclass
class _Scan:
    """What the first pass finds."""

    header: list[str]
    shapes: list[Shape]
    rows: int = 0
    short: int = 0  # rows
    first_short: int = 0  # line
    long: int = 0
    first_long: int = 0
    quoted: bool = False  # some cell stands in quotes, where quotes are read as letters


def read_csv(path: Path, name: str, exclude: Private, encoding=None, delimiter=None) -> tuple[Table, list[Note]]:
    """The file as a table named `name`. LabkitError where it cannot be read as CSV, with the line."""
    notes: list[Note] = []
    encoding = encoding or find_encoding(path, name, notes)
    try:
        dialect = find_dialect(path, encoding, delimiter)
        scan, dialect = _scan_either_way(path, name, dialect, notes)
    except (UnicodeError, LookupError) as error:
        raise LabkitError(f"{path} cannot be read as {encoding}: {error}. Name its encoding with --encoding.") from None
    except (OSError, EOFError) as error:
        raise LabkitError(f"{path} cannot be read: {error}.") from error
    if delimiter is None and dialect.delimiter != ",":
        spoken = SPOKEN.get(dialect.delimiter, dialect.delimiter)
        notes.append(Note("text", name, f"cells are taken apart at each {spoken}"))
    if dialect.spaces:
        notes.append(Note("text", name, "the space behind each delimiter is no part of the text"))
    names = _names(scan, name, notes)
    _tell(scan, names, name, notes)
    kept = [i for i, column in enumerate(names) if not exclude.hides(name, column)]
    columns = [Column(names[i], scan.shapes[i].type) for i in kept]
    key = _key(name, columns, [scan.shapes[i] for i in kept])
    read = lambda: _values(path, dialect, columns, kept)  # noqa: E731
    return Table(name, tuple(columns), read, key, key_guessed=bool(key), rows=scan.rows), notes


# --- the two passes ---------------------------------------------------------------------------------------------------


def _lines(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that is not empty, the header first."""
    limit = csv.field_size_limit(_CELL)
    try:
        with open_text(path, dialect.encoding) as file:
            quoting = csv.QUOTE_MINIMAL if dialect.quotes else csv.QUOTE_NONE
            reader = csv.reader(
                file,
                delimiter=dialect.delimiter,
                quoting=quoting,
                strict=True,
                skipinitialspace=dialect.spaces,
            )
            try:
                yield from ((reader.line_num, row) for row in reader if row)
            except csv.Error as error:
                raise LabkitError(
                    f"{path}, line {reader.line_num}: {error}. Is a quote never closed, or not doubled within quotes?"
                ) from None
    finally:
        csv.field_size_limit(limit)


def _scan_either_way(path: Path, name: str, dialect: Dialect, notes: list[Note]) -> tuple[_Scan, Dialect]:
    """The first pass; where quotes do not come in pairs, once more with quotes as letters, if all rows fit then."""
    try:
        return _scan(path, dialect), dialect
    except LabkitError as error:
        plain = replace(dialect, quotes=False)
        try:
            scan = _scan(path, plain)
        except LabkitError:
            raise error from None
        if scan.short or scan.long or scan.quoted or len(scan.header) < 2:
            raise
        notes.append(Note("text", name, "quotes do not come in pairs: they are letters of the text"))
        return scan, plain


def _scan(path: Path, dialect: Dialect) -> _Scan:
    lines = _lines(path, dialect)
    _, header = next(lines, (0, []))
    if not header:
        raise LabkitError(f"{path} is empty: its first row must name the columns.")
    scan = _Scan(header, [Shape() for _ in header])
    for line, row in lines:
        scan.rows += 1
        if not dialect.quotes:
            scan.quoted |= any(len(v) > 1 and v[0] == v[-1] == '"' for v in row)
        if len(row) > len(header):
            extra = row[len(header) :]
            if any(extra):
                scan.long += 1
                scan.first_long = scan.first_long or line
                scan.shapes += [Shape(empty=scan.rows - 1) for _ in row[len(scan.shapes) :]]
        elif len(row) < len(header):
            scan.short += 1
            scan.first_short = scan.first_short or line
        for shape, value in zip(scan.shapes, row, strict=False):
            shape.see(value)
        for shape in scan.shapes[len(row) :]:
            shape.empty += 1
    return scan


def _values(path: Path, dialect: Dialect, columns: list[Column], kept: list[int]) -> Iterator[list]:
    """The rows in their columns' types; an empty cell is NULL."""
    numbers = {"INTEGER": int, "REAL": float}
    make = [numbers.get(column.type, str) for column in columns]
    lines = _lines(path, dialect)
    next(lines)
    for line, row in lines:
        row += [""] * (max(kept, default=0) + 1 - len(row))
        try:
            yield [convert(row[i]) if row[i] else None for i, convert in zip(kept, make, strict=True)]
        except ValueError:
            raise LabkitError(
                f"{path}, line {line} changed while it was read. Convert it when nobody writes."
            ) from None


# --- what is decided --------------------------------------------------------------------------------------------------


def _names(scan: _Scan, table: str, notes: list[Note]) -> list[str]:
    """The header's names; empty ones and those of cells beyond it are called by their place."""
    given = [" ".join(name.split()) for name in scan.header] + [""] * (len(scan.shapes) - len(scan.header))
    named = [name or f"column_{place}" for place, name in enumerate(given, 1)]
    empty = [new for old, new in zip(given[: len(scan.header)], named, strict=False) if not old]
    notes += [Note("name", table, "the header has no name for it", new) for new in empty]
    found = distinct(named)
    notes += [
        Note("name", table, f"stands twice in the header, stored as {new}", old)
        for old, new in zip(named, found, strict=True)
        if old != new
    ]
    if all(_NUMBER.fullmatch(name) for name in named):
        notes.append(Note("name", table, "the first row holds numbers only: is it a header? It was taken for one"))
    return found


def _tell(scan: _Scan, names: list[str], table: str, notes: list[Note]) -> None:
    if scan.short:
        text = f"rows that are too short: {scan.short:,}, the first in line {scan.first_short}; what they lack is NULL"
        notes.append(Note("row", table, text))
    if scan.long:
        extra = ", ".join(names[len(scan.header) :])
        text = f"rows longer than the header: {scan.long:,}, the first in line {scan.first_long}; see {extra}"
        notes.append(Note("row", table, text))
    for shape, name in zip(scan.shapes, names, strict=True):
        if shape.type == "REAL" and shape.trailing:
            notes.append(Note("type", table, f"numbers; the file writes {max(shape.decimals)} decimals", name))
        elif shape.type == "TEXT" and shape.filled and shape.number:
            notes.append(Note("type", table, "numbers written with different decimals: kept as text", name))


def _key(table: str, columns: list[Column], shapes: list[Shape]) -> tuple[str, ...]:
    """The first column that is called like a key of this table and never empty."""
    for column, shape in zip(columns, shapes, strict=True):
        if called_like_key(table, column.name) and shape.filled and not shape.empty and column.type != "REAL":
            return (column.name,)
    return ()
