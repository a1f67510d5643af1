"""What questions can be about: a database's tables as kinds of things, its columns as their facts, the links between.

`reading` infers it from the file; how people put it in words is `lexicon`.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from labkit.datagen.formats import TEXT, Format
from labkit.datagen.phrases import plural
from labkit.schema import sql_name

JOINT = "\u00a0"  # a space that no line breaks at: between the two columns, and the two values, of a joint name


@dataclass(frozen=True)
class Field:
    """A column as a fact about its table's rows.

    `kind`: "id", "link", "label", "category", "flag", "number", "year", "period" (a year that few values share), "date"
    or "text". `values`: (stored value, rows), frequent first, without `missing` (texts, and None for NULL). A person's
    name in two columns is one field, its columns joined by JOINT, and so are its values; `build.text` takes them apart.
    """

    table: str
    name: str
    kind: str
    format: Format = TEXT
    values: tuple[tuple[object, int], ...] = ()
    missing: tuple[str | None, ...] = ()
    unique: bool = False
    rows: int = 0
    names: str | None = None  # the table whose rows these texts name, for a text that is no key

    @property
    def ref(self) -> str:
        """`table.column`, the key in glossaries and reports."""
        return f"{self.table}.{self.name}"

    @cached_property
    def words(self) -> str:
        """The column's name as words: `pointsPerGame`, `points_per_game` -> "points per game"."""
        return "name" if JOINT in self.name else spaced(self.name)

    def column(self, alias: str) -> str:
        """The column in SQL."""
        return f"{alias}.{sql_name(self.name)}"

    def read(self, alias: str) -> str:
        """SQL that gives the value as a number, or as something that sorts right."""
        return self.format.sql.replace("{c}", self.column(alias))

    @cached_property
    def numbers(self) -> list:
        """The values as read, one a row, sorted: where to take bounds from."""
        return sorted(x for v, n in self.values for x in [self.format.read(v)] * min(n, 50))

    def known(self, alias: str, null_matters: bool = False) -> list[str]:
        """Conditions that leave out what stands for missing; NULL only where the query would not skip it anyway."""
        texts = [f"{self.column(alias)} <> {quoted(text)}" for text in self.missing if text is not None]
        return texts + ([f"{self.column(alias)} IS NOT NULL"] if None in self.missing and null_matters else [])


@dataclass(frozen=True)
class Link:
    """`table`.`column` refers to `other`.`other_column`; `role` tells several links to one table apart ("home")."""

    table: str
    column: str
    other: str
    other_column: str
    role: str = ""


Path_ = tuple[Link, ...]


@dataclass(frozen=True)
class Entity:
    """A table as a kind of thing. `label` names its rows, `noun` is what one is called."""

    table: str
    alias: str
    noun: str
    fields: tuple[Field, ...]
    label: Field | None
    key: Field | None
    person: bool
    rows: int

    @property
    def nouns(self) -> str:
        return plural(self.noun)

    def field(self, name: str) -> Field | None:
        """The field of that column, None when there is none."""
        return next((f for f in self.fields if f.name.casefold() == name.casefold()), None)


@dataclass
class World:
    """All entities of a database, and its links; `identity` finds what names a row of a table that has no name."""

    database: Path
    entities: dict[str, Entity]
    links: tuple[Link, ...]
    _paths: dict = field(default_factory=dict)

    def paths(self, table: str, depth: int = 3) -> list[Path_]:
        """Ways from a table along its links, many to one, the shortest first; the empty one among them."""
        if (table, depth) not in self._paths:
            found, todo = [], deque([()])
            while todo:
                path = todo.popleft()
                found.append(path)
                here = path[-1].other if path else table
                seen = {table, *(link.other for link in path)}
                if len(path) < depth:
                    todo += [(*path, link) for link in self.links if link.table == here and link.other not in seen]
            self._paths[table, depth] = found
        return self._paths[table, depth]

    def end(self, table: str, path: Path_) -> Entity:
        """The entity at the end of a path from `table`."""
        return self.entities[path[-1].other if path else table]

    def fields(self) -> Iterator[Field]:
        for entity in self.entities.values():
            yield from entity.fields

    def field(self, ref: str) -> Field | None:
        """The field called `table.column`, or `column` where only one table has it."""
        table, _, column = ref.rpartition(".")
        found = [
            f
            for f in self.fields()
            if f.name.casefold() == column.casefold() and table.casefold() in ("", f.table.casefold())
        ]
        return found[0] if len(found) == 1 or (found and table) else None


def quoted(value: object) -> str:
    """A value as an SQL literal."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, float) and abs(value) == float("inf"):
        return "9e999" if value > 0 else "-9e999"
    return repr(int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value)


def spaced(name: str) -> str:
    """An identifier as lower-case words."""
    return re.sub(r"[_\W]+", " ", re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)).strip().lower()


def twins(entity: Entity) -> list[tuple[Field, Field]]:
    """Pairs of number columns that differ in the first word only: home_points and away_points."""
    numbers = [f for f in entity.fields if f.kind == "number" and " " in f.words]
    pairs = [(a, b) for i, a in enumerate(numbers) for b in numbers[i + 1 :]]
    return [
        (a, b)
        for a, b in pairs
        if a.words.split(" ", 1)[1] == b.words.split(" ", 1)[1] and a.format.unit == b.format.unit
    ]
