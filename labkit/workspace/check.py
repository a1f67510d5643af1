"""What may go wrong with a schema when people or models ask questions of it: names that look alike, texts that are
numbers, words that stand for missing values, keys that nobody declared.
"""

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from labkit.datagen.reading import read_world
from labkit.datagen.sampled import looked_at
from labkit.datagen.world import spaced
from labkit.errors import LabkitError
from labkit.exclusion import Excluded
from labkit.quantities import magnitude
from labkit.schema import Column, Schema, Table, sql_name

_UNREAD = "Its rows cannot be counted within a second: the file may be damaged (PRAGMA integrity_check tells)."
_MANY = 200  # columns among which look-alikes are looked for, a table


@dataclass(frozen=True)
class Finding:
    """`kind`: look-alike, number as text, placeholder, mixed types, no key, undeclared reference, blob,
    JSON, empty, unreadable."""

    kind: str
    table: str
    column: str  # "" for the whole table
    text: str


def findings(schema: Schema, exclude: tuple[str, ...] = ()) -> list[Finding]:
    """All findings, table by table; nothing about what is excluded."""
    found = [finding for table in visible(schema, exclude) for finding in _of_table(table)]
    return [*found, *_references(schema, exclude)]


def visible(schema: Schema, exclude: tuple[str, ...]) -> list[Table]:
    """The tables without those excluded, and without their excluded columns."""
    hides = Excluded(frozenset(map(str.casefold, exclude)), "").hides
    tables = [table for table in schema.tables if not hides(table.name)]
    return [replace(t, columns=tuple(c for c in t.columns if not hides(t.name, c.name))) for t in tables]


def same_names(schema: Schema, exclude: Iterable[str]) -> None:
    """LabkitError where a name to exclude is none of the schema's: what it was meant for would be looked at."""
    known = {t.name.casefold(): t.name for t in schema.tables}
    for table in schema.tables:
        for column in table.columns:
            known |= {name.casefold(): name for name in (column.name, f"{table.name}.{column.name}")}
    for name in exclude:
        if name.casefold() not in known:
            near = difflib.get_close_matches(name.casefold(), known, 1)
            hint = f" Did you mean {known[near[0]]!r}?" if near else " Name a table, a column or TABLE.COLUMN."
            raise LabkitError(f"To exclude {name!r} does nothing: {schema.database} has nothing of that name.{hint}")


def _of_table(table: Table) -> Iterator[Finding]:
    if table.rows == 0:
        yield Finding("empty", table.name, "", "The table has no rows: no question about it has an answer.")
    if table.rows is None and not table.is_view:
        yield Finding("unreadable", table.name, "", f"{_UNREAD} Left out of questions.")
    if not table.is_view and not table.primary_key:
        yield Finding("no key", table.name, "", "No primary key: rows that are equal cannot be told apart.")
    for column in table.columns:
        yield from _of_column(table, column)
    for a, b in combinations([c.name for c in table.columns[:_MANY]], 2):
        if _alike(a, b):
            yield Finding(
                "look-alike", table.name, a, f"{a!r} and {b!r} are easily mixed up: say in the glossary which is which."
            )


def _of_column(table: Table, column: Column) -> Iterator[Finding]:
    texts = [v for v in column.samples if isinstance(v, str) and v not in column.placeholders]
    if texts and not set(column.stored_types) - {"text"} and all(magnitude(text) is not None for text in texts):
        code = all(text.isdigit() and len(text) == len(texts[0]) for text in texts)  # a ZIP code is no number
        if not code:
            yield Finding(
                "number as text", table.name, column.name, f"Texts such as {texts[0]!r} sort and compare as letters."
            )
    if column.placeholders:
        shown = ", ".join(map(repr, column.placeholders))
        yield Finding(
            "placeholder",
            table.name,
            column.name,
            f"{shown} stand{'s' * (len(column.placeholders) == 1)} for a missing value and passes comparisons.",
        )
    kinds = set(column.stored_types)
    if len(kinds - {"integer", "real"}) + bool(kinds & {"integer", "real"}) > 1:
        yield Finding("mixed types", table.name, column.name, f"Stored as {', '.join(column.stored_types)}.")
    if "blob" in kinds:
        yield Finding("blob", table.name, column.name, "Binary values: left out of questions.")
    if column.json:
        yield Finding("JSON", table.name, column.name, _about_json(table, column))


def _about_json(table: Table, column: Column) -> str:
    """What can be done with a column of JSON text."""
    told = "Its values are JSON text: left out of questions."
    others = {c.name.casefold() for c in table.columns}
    new = [key for key in column.json_keys if key.casefold() not in others]
    if not new:
        return told
    path = new[0] if new[0].isidentifier() and new[0].isascii() else json.dumps(new[0], ensure_ascii=False)
    value = f"json_extract({sql_name(column.name)}, {_text('$.' + path)})"
    if column.placeholders:  # they are no JSON, and reading a key of one is an error
        value = f"iif(json_valid({sql_name(column.name)}), {value}, NULL)"
    told += f" Keys with plain values: {', '.join(map(repr, new))}. {value} reads one"
    if table.is_view:
        return f"{told}."
    column_of_its_own = f"ADD COLUMN {sql_name(new[0])} GENERATED ALWAYS AS ({value})"
    return f"{told}; to have it asked about, in a copy: ALTER TABLE {sql_name(table.name)} {column_of_its_own};"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _alike(a: str, b: str) -> bool:
    """One letter or an ending apart, not numbered brothers such as line1 and line2."""
    one, other = spaced(a), spaced(b)
    if one.translate(_NO_DIGITS) == other.translate(_NO_DIGITS) and any(c.isdigit() for c in one + other):
        return False
    return one.replace(" ", "") == other.replace(" ", "") or (
        min(len(one), len(other)) > 4 and difflib.SequenceMatcher(None, one, other).ratio() > 0.9
    )


_NO_DIGITS = str.maketrans("", "", "0123456789")


def _references(schema: Schema, exclude: tuple[str, ...]) -> Iterator[Finding]:
    declared = {(key.table, column) for key in schema.foreign_keys for column in key.columns}
    with looked_at(Path(schema.database), schema) as (file, told):
        links = read_world(file, exclude).links
    for link in links:
        if (link.table, link.column) not in declared:
            each = "Every value looked at" if told else "Every value"
            text = f"{each} is a {link.other}.{link.other_column}, but no key says so; taken for a reference."
            yield Finding("undeclared reference", link.table, link.column, text)


def page(schema: Schema, found: list[Finding], exclude: tuple[str, ...] = ()) -> str:
    """The report as Markdown: counts, then each table with columns and findings; nothing of what is excluded."""
    counts = Counter(finding.kind for finding in found)
    lines = [f"# {Path(schema.database).name}", "", f"{len(schema.tables)} tables and views.", ""]
    lines += [f"- {kind}: {n}" for kind, n in counts.most_common()] or ["- nothing stands out"]
    for table in visible(schema, exclude):
        rows = "unknown" if table.rows is None else f"{table.rows:,}"
        lines += ["", f"## {table.name}", "", f"{'View' if table.is_view else 'Table'}, {rows} rows.", ""]
        lines += ["| column | type | stored as | examples |", "|---|---|---|---|"]
        for column in table.columns:
            shown = ", ".join(repr(value) for value in column.samples[:3]).replace("|", "\\|").replace("\n", " ")
            cells = (
                sql_name(column.name).replace("|", "\\|"),
                column.declared_type,
                ", ".join(column.stored_types),
                shown,
            )
            lines.append("| " + " | ".join(cells) + " |")
        here = [finding for finding in found if finding.table == table.name]
        lines += [""] + [f"- **{f.kind}** {f.column}: {f.text}" for f in here] if here else []
    return "\n".join(lines) + "\n"
