"""Whether a database still has the schema that a workspace was made for, and what has to be made anew if not."""

import json
from pathlib import Path

from labkit.dataset import Question
from labkit.errors import LabkitError
from labkit.schema import Schema
from labkit.sqltext import parse

Shape = dict[str, dict[str, str]]
_MEND = "Remove the file, and the schema of now is taken for the one that the workspace was made for."


def shape(schema: Schema) -> Shape:
    """Table -> column -> declared type: what is compared. Rows may come and go."""
    return {table.name: {c.name: c.declared_type for c in table.columns} for table in schema.tables}


def read_shape(path: Path) -> Shape:
    """The shape that `describe` kept; `LabkitError` for a file that holds none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise LabkitError(f"{path} cannot be read: {error}. {_MEND}") from error
    if not (
        isinstance(found, dict)
        and all(isinstance(columns, dict) for columns in found.values())
        and all(isinstance(declared, str) for columns in found.values() for declared in columns.values())
    ):
        raise LabkitError(f"{path} holds no schema. {_MEND}")
    return found


def changes(before: Shape, now: Shape) -> dict[str, list[str]]:
    """Table -> what has changed, in sentences' parts; {} where nothing has."""
    found: dict[str, list[str]] = {}
    for table in before.keys() | now.keys():
        old, new = before.get(table), now.get(table)
        if old is None or new is None:
            found[table] = ["is new" if old is None else "is gone"]
            continue
        told = [f"column {c} is gone" for c in old if c not in new] + [
            f"column {c} is new" for c in new if c not in old
        ]
        told += [
            f"{c} is {new[c] or 'untyped'}, was {old[c] or 'untyped'}" for c in old if new.get(c, old[c]) != old[c]
        ]
        if told:
            found[table] = told
    return dict(sorted(found.items()))


def said(changed: dict[str, list[str]]) -> str:
    """The first eight tables that have changed, for a sentence."""
    return "; ".join(f"{table}: {', '.join(what)}" for table, what in list(changed.items())[:8])


def touched(pairs: list[Question], changed: dict[str, list[str]]) -> int:
    """How many pairs ask something of a table that has changed."""
    from sqlglot import exp

    names, count = {table.casefold() for table in changed}, 0
    for pair in pairs:
        tree = parse(pair.sql)
        used = {table.name.casefold() for table in tree.find_all(exp.Table)} if tree else set()
        count += bool(used & names)
    return count
