"""The nearest real thing for what a prediction invented: a column, a table, a stored value.

It says what the names of a failed query might have meant; whether that makes the query right is tried out by
`diagnosis`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sqlglot import exp

from labkit.canonical import resolve, silent_literals, sources, sql_of
from labkit.exclusion import said
from labkit.execution import execute
from labkit.schema import Schema, nearest, quote, sql_name
from labkit.sqltext import parse

VALUES = 5_000  # distinct stored values of a column that are looked at
_COMPARING = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.Glob, exp.In, exp.Between, exp.Is)


@dataclass(frozen=True)
class Repair:
    """`name` stands in the query and is not real; `evidence` says so, `suggestion` is the nearest real name ("" if
    none).

    `attempts` are the query with the likeliest names in its place, the nearest first.
    """

    name: str
    evidence: str
    suggestion: str = ""
    attempts: tuple[tuple[str, str], ...] = ()  # real name, SQL


def column_repair(sql: str, name: str, schema: Schema, gold: exp.Expression | None = None) -> Repair:
    """What the unknown or ambiguous column `name` ("x" or "t.x") of `sql` might have meant. Columns of `gold` go
    first.
    """
    qualifier, _, bare = name.rpartition(".")
    tree = parse(sql)
    among = _tables_in(tree, schema) or [t.name for t in schema.tables]
    evidence = _where_it_is(qualifier, bare, among, schema)
    names = _candidates(bare, among, schema, gold)
    attempts = tuple((new, _with_name(tree, qualifier, bare, new)) for new in names) if tree is not None else ()
    return Repair(name, evidence, names[0] if names else "", attempts)


def table_repair(sql: str, name: str, schema: Schema) -> Repair:
    """The table that the unknown table `name` might have meant."""
    near = schema.nearest_table(name) or ""
    listed = ", ".join(table.name for table in schema.tables)
    evidence = f"There is no table {name}; the database has {listed}."
    attempts = ((near, re.sub(rf"\b{re.escape(name)}\b", sql_name(near), sql)),) if near else ()
    return Repair(name, evidence, near, attempts)


def misspelt_names(sql: str, schema: Schema, gold: exp.Expression | None = None) -> list[Repair]:
    """Double-quoted names of `sql` that are no column and that SQLite took for texts, where a column was meant.

    `team = "Foxes"` means a text: it stands opposite a column and is no column's name misspelt.
    """
    tree = parse(sql) if '"' in sql else None
    found = silent_literals(tree, schema) if tree is not None else []
    repairs = []
    for column in found:
        if column.name.strip() and _means_column(column, schema):
            repair = column_repair(sql, column.name, schema, gold)
            evidence = f"\"{column.name}\" is no column here, so SQLite silently took it for the text '{column.name}'. "
            repairs.append(Repair(repair.name, evidence + repair.evidence, repair.suggestion, repair.attempts))
    return repairs


def unknown_values(tree: exp.Expression, schema: Schema) -> Iterator[tuple[exp.Literal, str, str]]:
    """Texts that the query compares with a column that stores no such value: literal, `table.column`, nearest value."""
    for literal in tree.find_all(exp.Literal):
        column = _compared_column(literal)
        source = resolve(column, schema) if column is not None else None
        if not literal.is_string or source is None or not source.table:
            continue
        stored = stored_values(schema.database, source.table, column.name)
        if len(stored) < VALUES and literal.name not in stored:
            yield literal, f"{source.table}.{column.name}", nearest(literal.name, stored, cutoff=0.4) or ""


def stored_values(database: Path, table: str, column: str) -> tuple[str, ...]:
    """Up to `VALUES` different values of a column, as texts."""
    return _stored_values(str(database), Path(database).stat().st_mtime_ns, tuple(said(database)), table, column)


@lru_cache(256)
def _stored_values(database: str, _changed: int, _excluded: tuple, table: str, column: str) -> tuple[str, ...]:
    result = execute(database, f"SELECT DISTINCT {quote(column)} FROM {quote(table)} LIMIT {VALUES}")
    return tuple(str(value) for (value,) in result.rows if value is not None)


def _compared_column(literal: exp.Literal) -> exp.Column | None:
    parent = literal.parent
    if not isinstance(parent, (exp.EQ, exp.NEQ, exp.In)):
        return None
    other = parent.this if parent.this is not literal else parent.expression
    return other if isinstance(other, exp.Column) else None


def _tables_in(tree: exp.Expression | None, schema: Schema) -> list[str]:
    selects = tree.find_all(exp.Select) if tree is not None else []
    names = [
        source.table for select in selects for source in sources(select, schema) if source.columns and source.table
    ]
    return list(dict.fromkeys(names))


def _where_it_is(qualifier: str, bare: str, among: list[str], schema: Schema) -> str:
    """One sentence on where a column of this name is, and where not."""
    owners = schema.tables_with(bare)
    inside = [owner for owner in owners if owner.lower() in among]
    if len(inside) > 1:
        return f"{bare} is a column of {' and of '.join(inside)}: it must say which one."
    if inside and qualifier:
        return f"{bare} is a column of {inside[0]}, not of {qualifier}."
    if owners:
        return f"{bare} is a column of {' and of '.join(owners)}, not of {', '.join(among)}."
    return f"No table has a column {bare}."


def _candidates(bare: str, among: list[str], schema: Schema, gold: exp.Expression | None) -> list[str]:
    """Real names to try: the same name elsewhere, the nearest here, the nearest anywhere, then the columns of the
    gold.
    """
    here = [column.name for table in among for column in schema.table(table).columns]
    if bare.lower() in (name.lower() for name in here):
        return [f"{t}.{bare}" for t in among if bare.lower() in (c.name.lower() for c in schema.table(t).columns)]
    owners = schema.tables_with(bare)
    golds = [c.name for c in gold.find_all(exp.Column)] if gold is not None else []
    near = [
        nearest(bare, [n for n in here if n.lower() in golds], 0.4),
        nearest(bare, here),
        schema.nearest_column(bare),
    ]
    names = [*(f"{owner}.{bare}" for owner in owners), *near, *(name for name in golds if name in here)]
    return list(dict.fromkeys(name for name in names if name))[:6]


def _with_name(tree: exp.Expression, qualifier: str, bare: str, new: str) -> str:
    copy = tree.copy()
    table, _, name = new.rpartition(".")
    for column in list(copy.find_all(exp.Column)):
        if column.name.lower() == bare.lower() and column.table.lower() == qualifier.lower():
            identifier = exp.to_identifier(name, quoted=sql_name(name) != name)
            column.replace(exp.column(identifier, table=table or column.args.get("table")))
    return sql_of(copy)


def _means_column(column: exp.Column, schema: Schema) -> bool:
    """Whether a silent text was meant as a column: by where it stands, or because it is nearly a column's name."""
    select = column.find_ancestor(exp.Select)
    here = [name for source in sources(select, schema) for name in source.columns] if select else []
    parent = column.parent
    if isinstance(parent, (exp.Select, exp.Ordered, exp.Group, exp.Alias, exp.AggFunc, exp.Distinct)):
        return True
    if isinstance(parent, _COMPARING) and (parent.this is not column or not _is_value(parent, schema)):
        return nearest(column.name, here, cutoff=0.8) is not None and not _is_stored(column, parent, schema)
    return isinstance(parent, _COMPARING) or nearest(column.name, here, cutoff=0.6) is not None


def _is_value(comparison: exp.Expression, schema: Schema) -> bool:
    """Whether the right side is a literal, so that the left one ought to be a column."""
    values = comparison.expressions or [comparison.args.get("expression") or comparison.args.get("low")]
    unknown = [v for v in values if isinstance(v, exp.Column) and resolve(v, schema) is None]
    return all(isinstance(v, (exp.Literal, exp.Null, exp.Neg)) or v in unknown for v in values if v is not None)


def _is_stored(column: exp.Column, comparison: exp.Expression, schema: Schema) -> bool:
    other = comparison.this if comparison.this is not column else comparison.args.get("expression")
    source = resolve(other, schema) if isinstance(other, exp.Column) else None
    return bool(source and source.table) and column.name in stored_values(schema.database, source.table, other.name)
