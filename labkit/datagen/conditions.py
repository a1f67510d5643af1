"""One thing that must hold of a row, as SQL and in its forms as English: head noun, adjective, behind the noun, verb, time.

A `Test` is a column, an operator and a value; `sql_of` writes it with the cast that the stored format needs. A `Condition`
joins tests with wordings. Drawing conditions for a table is `drawing`, what the glossary calls them is `glossary`.
"""

from dataclasses import dataclass, field

from labkit.datagen.formats import say
from labkit.datagen.phrases import literal
from labkit.datagen.world import Field, Path_, quoted

ORDER = {"<": "<", ">": ">", "<=": "<=", ">=": ">="}


@dataclass(frozen=True)
class Computed:
    """A number computed from a row, compared instead of the test's field: SQL with `{a}` for the alias."""

    field: Field  # a further input
    sql: str


@dataclass(frozen=True)
class Test:
    """`op`: = <> in < > <= >= between null known like year month; `value` as stored for texts, as read for numbers."""

    field: Field
    op: str
    value: object = None
    other: Field | Computed | None = None  # a column of the row to compare with; or what to compare with the value


def sql_of(test: Test, alias: str) -> list[str]:
    """The conditions in SQL, to be joined by AND; those against placeholders first."""
    f, column = test.field, test.field.column(alias)
    if isinstance(test.other, Computed):
        return [*f.known(alias), f"{test.other.sql.replace('{a}', alias)} {test.op} {test.value}"]
    if test.other is not None:
        return [f"{f.read(alias)} {test.op} {test.other.read(alias)}"]
    if test.op == "null":
        text = next((m for m in f.missing if m is not None), None)
        return [f"{column} = {quoted(text)}" if text is not None else f"{column} IS NULL"]
    if test.op == "known":
        return f.known(alias, null_matters=True)
    if test.op == "in":
        return [f"{column} IN ({', '.join(map(quoted, test.value))})"]
    if test.op in ("like", "=", "<>") and (
        test.op == "like" or not f.format.stored_as_text or isinstance(test.value, str)
    ):
        return [f"{column} {test.op.upper()} {quoted(test.value)}"]
    if test.op.startswith("year"):  # "year=", "year<" ...
        return [f"{f.format.year.replace('{c}', column)} {test.op[4:]} {quoted(str(test.value))}"]
    if test.op == "month":
        return [f"{column} LIKE {quoted(test.value)}"]
    if test.op == "between":
        low, high = test.value
        return [*f.known(alias), f"{f.read(alias)} BETWEEN {quoted(low)} AND {quoted(high)}"]
    return [*f.known(alias), f"{f.read(alias)} {test.op} {quoted(test.value)}"]


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


def spoken(f: Field, value: object) -> str:
    """The wording template of a value of that field."""
    return literal(value) if isinstance(value, str) else say(value, f.format) if f.kind == "number" else f"{value:g}"
