"""One thing that must hold of a row, as SQL and in its forms as English: head noun, adjective, behind the noun, verb,
time.

A `Test` is a column, an operator and a value; `sql_of` writes it with the cast that the stored format needs. A
`Condition` joins tests with wordings. Drawing conditions for a table is `drawing`, what the glossary calls them is
`glossary`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from labkit.datagen.world import Field, Path_, quoted


@dataclass(frozen=True)
class Computed:
    """A number computed from a row, compared instead of the test's field: SQL with `{a}` for the alias."""

    field: Field  # a further input
    sql: str


@dataclass(frozen=True)
class Test:
    """`op`: = <> in < > <= >= between null known like month, year= year< ..., "in query" or "not in query".

    `value`: as stored for texts, as read for numbers, SQL for a query. `other`: a column to compare with, at the end of
    `reach` from the test's own table; or a computed number, to compare with the value.
    """

    field: Field
    op: str
    value: object = None
    other: Field | Computed | None = None
    reach: Path_ = ()


def sql_of(test: Test, at: Callable[[Path_], str]) -> list[str]:
    """The conditions in SQL, to be joined by AND; those against placeholders first. `at` gives the alias at a path."""
    alias = at(())
    f, column = test.field, test.field.column(alias)
    if isinstance(test.other, Computed):
        return [*f.known(alias), f"{test.other.sql.replace('{a}', alias)} {test.op} {quoted(test.value)}"]
    if test.other is not None:
        known = f.known(alias) if test.reach else []
        return [*known, f"{f.read(alias)} {test.op} {test.other.read(at(test.reach))}"]
    if test.op in ("null", "known"):
        return _presence(f, alias, test.op == "null")
    if test.op.endswith("query"):
        return [f"{column} {test.op[:-6].upper()} ({test.value})"]
    if test.op == "in":
        return [f"{column} IN ({', '.join(map(quoted, test.value))})"]
    if test.op in ("like", "month"):
        return [f"{column} LIKE {quoted(test.value)}"]
    if test.op in ("=", "<>") and (not f.format.stored_as_text or isinstance(test.value, str)):
        return [f"{column} {test.op} {quoted(test.value)}"]
    if test.op.startswith("year"):
        return [f"{f.format.year.replace('{c}', column)} {test.op[4:]} {quoted(str(test.value))}"]
    if test.op == "between":
        return [*f.known(alias), f"{f.read(alias)} BETWEEN {' AND '.join(map(quoted, test.value))}"]
    return [*f.known(alias), f"{f.read(alias)} {test.op} {quoted(test.value)}"]


def _presence(f: Field, alias: str, absent: bool) -> list[str]:
    if not absent:
        return f.known(alias, null_matters=True)
    text = next((m for m in f.missing if m is not None), None)
    return [f"{f.column(alias)} = {quoted(text)}" if text is not None else f"{f.column(alias)} IS NULL"]


@dataclass(frozen=True)
class Condition:
    """Tests on the entity at the end of `path`, and wording templates by their place in a sentence.

    `noun` (singular) stands for the head noun, `adjective` before it, `post` behind it, `verb` is a verb phrase of the
    plural, `time` an adverbial of the whole sentence.
    """

    path: Path_
    tests: tuple[Test, ...]
    noun: tuple[str, ...] = ()
    adjective: tuple[str, ...] = ()
    post: tuple[str, ...] = ()
    verb: tuple[str, ...] = ()
    time: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        others = [t.other.field if isinstance(t.other, Computed) else t.other for t in self.tests]
        return tuple(f for f in (*(t.field for t in self.tests), *others) if f)


@dataclass
class Named:
    """What the glossary names: a condition of one table's rows."""

    table: str
    tests: tuple[Test, ...]
    noun: list[str] = field(default_factory=list)
    adjective: list[str] = field(default_factory=list)
    post: list[str] = field(default_factory=list)
    verb: list[str] = field(default_factory=list)
