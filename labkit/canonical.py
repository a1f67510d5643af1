"""One spelling for a query, so that two of them can be compared piece by piece and still be run.

Unlike `sqltext.normalise_sql`, which compares texts and may equate too much, this knows the schema and keeps the
meaning: columns are qualified by table, aliases replaced by the names of what they stand for, BETWEEN and comma joins
written out, double-quoted names that SQLite silently takes for text turned into the texts that they are.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sqlglot import ErrorLevel, exp

from labkit.schema import Schema
from labkit.sqltext import SQLITE, parse

_FLIPPED = {exp.GT: exp.LT, exp.GTE: exp.LTE, exp.LT: exp.GT, exp.LTE: exp.GTE, exp.EQ: exp.EQ, exp.NEQ: exp.NEQ}
_ROW_IDS = {"rowid", "oid", "_rowid_"}


def canonical(sql: str, schema: Schema) -> exp.Query | None:
    """The query's tree in one spelling, None when sqlglot cannot read it. It gives the same rows as `sql`.

    Shared: copy it before changing it.
    """
    return _canonical(sql, schema.database, schema.database.stat().st_mtime_ns, Unseen(schema))


class Unseen:
    """A schema as an argument that a cache does not look at: the database's path and time already say which it is."""

    def __init__(self, schema: Schema):
        self.schema = schema

    def __eq__(self, other) -> bool:
        return isinstance(other, Unseen)

    def __hash__(self) -> int:
        return 0


@lru_cache(1024)
def _canonical(sql: str, _database: Path, _changed: int, unseen: Unseen) -> exp.Query | None:
    tree, schema = parse(sql), unseen.schema
    if tree is None:
        return None
    tree = tree.unnest().copy()
    for column in silent_literals(tree, schema) if '"' in sql else ():
        column.replace(exp.Literal.string(column.name))
    for name in tree.find_all(exp.Identifier):
        name.set("this", name.name.lower())
        name.set("quoted", not re.fullmatch(r"[a-z_][a-z0-9_]*", name.name) or _is_keyword(name.name))
    for select in list(tree.find_all(exp.Select)):
        _expand_output_names(select, schema)
    _rename_sources(tree, schema)
    for node in list(tree.walk()):
        _one_spelling(node)
    for select in tree.find_all(exp.Select):
        _conditions_to_joins(select)
    if isinstance(tree, exp.Select):
        tree.set("expressions", [item.unalias() for item in tree.expressions])
    return tree


def sql_of(node: exp.Expression | None, copy: bool = True) -> str:
    """SQL text of a piece of a tree, "" for None. Without `copy` sqlglot may change the piece on the way."""
    if node is None:
        return ""
    return node.sql(dialect=SQLITE, comments=False, unsupported_level=ErrorLevel.IGNORE, copy=copy)


# --- names ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """What a FROM clause names: a table, a derived table or a common table expression; `table` is "" for the latter
    two.
    """

    alias: str
    table: str
    columns: frozenset[str]


def sources(select: exp.Select, schema: Schema) -> list[Source]:
    """What one SELECT reads from, in order; names in lower case. Tables that do not exist have no columns."""
    tables = schema.names
    ctes = {cte.alias.lower(): cte.this for cte in _root(select).find_all(exp.CTE)}
    found = []
    for node in _source_nodes(select):
        name = node.name.lower() if isinstance(node, exp.Table) else ""
        inner = ctes.get(name) if name else node.this
        is_table = bool(name) and inner is None
        columns = tables.get(name, frozenset()) if is_table else _output_names(inner)
        found.append(Source(node.alias_or_name.lower(), name if is_table else "", columns))
    return found


def resolve(column: exp.Column, schema: Schema, known: dict[int, list[Source]] | None = None) -> Source | None:
    """The source that a column belongs to, looked up outwards through the enclosing queries; None when it is not
    known. `known` keeps the sources of each SELECT, by its id, for as long as the tree doesn't change.
    """
    known = {} if known is None else known
    select = column.find_ancestor(exp.Select)
    while select is not None:
        if id(select) not in known:
            known[id(select)] = sources(select, schema)
        among = known[id(select)]
        if column.table:
            fitting = [s for s in among if s.alias == column.table.lower()]
        else:
            fitting = [s for s in among if column.name.lower() in s.columns]
        if fitting:
            known = not fitting[0].table or column.name.lower() in fitting[0].columns
            return fitting[0] if len(fitting) == 1 and known else None
        select = select.find_ancestor(exp.Select)
    return None


def silent_literals(tree: exp.Expression, schema: Schema) -> list[exp.Column]:
    """Double-quoted names that are no column here: SQLite takes them for texts without a word.

    https://www.sqlite.org/quirks.html#dblquote. Names in backticks or brackets look the same in the tree, but with
    those an unknown name is an error of SQLite's.
    """
    return [
        column
        for column in tree.find_all(exp.Column)
        if isinstance(column.this, exp.Identifier) and column.this.quoted and not column.table
        if not _is_known(column, schema)
    ]


def _is_known(column: exp.Column, schema: Schema) -> bool:
    name, select = column.name.lower(), column.find_ancestor(exp.Select)
    if name in _ROW_IDS:
        return True
    query = column.find_ancestor(exp.Query)
    while query is not None:
        if isinstance(query, exp.Select) and any(name in s.columns for s in sources(query, schema)):
            return True
        within_output = query is select and column.find_ancestor(exp.Order, exp.Group, exp.Having, exp.Where)
        if (within_output or query is not select) and name in _output_names(query):
            return True
        query = query.find_ancestor(exp.Query)
    return False


def _source_nodes(select: exp.Select) -> list[exp.Expression]:
    first = select.args.get("from_")
    return [part.this for part in [*([first] if first else []), *(select.args.get("joins") or [])]]


def _output_names(query: exp.Expression | None) -> frozenset[str]:
    named = query.named_selects if isinstance(query, exp.Query) else ()
    return frozenset(name.lower() for name in named)


def _root(node: exp.Expression) -> exp.Expression:
    while node.parent is not None:
        node = node.parent
    return node


def _is_keyword(name: str) -> bool:
    import apsw

    return name.upper() in apsw.keywords


def _expand_output_names(select: exp.Select, schema: Schema) -> None:
    """`SELECT x AS n ... ORDER BY n` and `ORDER BY 1` become `ORDER BY x`. In ORDER BY an alias beats a column."""
    named = {item.alias.lower(): item.this for item in select.expressions if isinstance(item, exp.Alias)}
    known = set().union(*(s.columns for s in sources(select, schema)))
    for clause in ("order", "group", "having", "where"):
        part = select.args.get(clause)
        for column in list(part.find_all(exp.Column)) if part else []:
            name = column.name.lower()
            if not column.table and name in named and (clause == "order" or name not in known):
                column.replace(named[name].copy())
        for item in list(part.expressions) if part and clause in ("order", "group") else []:
            place = item.this if isinstance(item, exp.Ordered) else item
            if isinstance(place, exp.Literal) and place.is_int and 0 < int(place.name) <= len(select.expressions):
                place.replace(select.expressions[int(place.name) - 1].unalias().copy())


def _rename_sources(tree: exp.Expression, schema: Schema) -> None:
    """Outermost tables go by their own names, inner ones with their depth added, a table used twice is numbered."""
    known: dict[int, list[Source]] = {}
    for column in list(tree.find_all(exp.Column)):
        source = None if column.table else resolve(column, schema, known)
        if source:
            column.set("table", exp.to_identifier(source.alias))
    for select in reversed(list(tree.find_all(exp.Select))):  # innermost first, so that no new name hides an outer one
        depth = len(list(_ancestors(select)))
        names = [node.name or "derived" for node in _source_nodes(select)]
        for index, node in enumerate(_source_nodes(select)):
            number = f"_{names[: index + 1].count(names[index])}" if names.count(names[index]) > 1 else ""
            new = names[index] + (f"_in{depth}" if depth else "") + number
            _rename(select, node, node.alias_or_name, new)


def _ancestors(node: exp.Expression) -> Iterator[exp.Select]:
    while (node := node.find_ancestor(exp.Select)) is not None:
        yield node


def _rename(select: exp.Select, node: exp.Expression, old: str, new: str) -> None:
    own_name = isinstance(node, exp.Table) and node.name == new
    alias = node.args.get("alias") or exp.TableAlias()
    alias.set("this", exp.to_identifier(new))
    node.set("alias", None if own_name else alias)
    for column in select.find_all(exp.Column):
        hidden = any(
            old in (other.alias_or_name for other in _source_nodes(inner))
            for inner in _ancestors(column)
            if inner is not select and select in _ancestors(inner)
        )
        if column.table == old and not hidden:
            column.set("table", exp.to_identifier(new))


# --- spelling ---------------------------------------------------------------------------------------------------------


def conjuncts(condition: exp.Expression | None) -> list[exp.Expression]:
    """The parts that AND joins; none of None."""
    if condition is None:
        return []
    condition = condition.unnest()
    return [part.unnest() for part in condition.flatten()] if isinstance(condition, exp.And) else [condition]


def is_join_condition(part: exp.Expression) -> bool:
    """Whether a condition equates columns of two sources."""
    sides = (part.left, part.right) if isinstance(part, exp.EQ) else ()
    return len(sides) == 2 and all(isinstance(s, exp.Column) for s in sides) and sides[0].table != sides[1].table


def _one_spelling(node: exp.Expression) -> None:
    if isinstance(node, exp.Between) and not node.args.get("symmetric"):
        low = exp.GTE(this=node.this.copy(), expression=node.args["low"].copy())
        high = exp.LTE(this=node.this.copy(), expression=node.args["high"].copy())
        both = exp.And(this=low, expression=high)
        inside_and = isinstance(node.parent, (exp.And, exp.Where, exp.Having, exp.Join))
        node.replace(both if inside_and else exp.Paren(this=both))
    elif type(node) in _FLIPPED and _belongs_left(node.expression, node.this):
        node.replace(_FLIPPED[type(node)](this=node.expression.copy(), expression=node.this.copy()))


def _belongs_left(right: exp.Expression, left: exp.Expression) -> bool:
    """Columns stand left of values, two columns in alphabetical order."""
    columns = right.find(exp.Column) is not None, left.find(exp.Column) is not None
    if isinstance(right, exp.Column) and isinstance(left, exp.Column):
        return right.sql() < left.sql()
    return columns == (True, False)


def _conditions_to_joins(select: exp.Select) -> None:
    """`FROM a, b WHERE a.x = b.y` becomes `FROM a JOIN b ON a.x = b.y`; nothing moves where a join is an outer one."""
    where, joins = select.args.get("where"), select.args.get("joins") or []
    if where is None or any(join.side or join.method for join in joins):
        return
    parts = conjuncts(where.this)
    seen = {node.alias_or_name for node in _source_nodes(select)[:1]}
    for join in joins:
        seen.add(join.this.alias_or_name)
        mine = [p for p in parts if is_join_condition(p) and {p.left.table, p.right.table} <= seen]
        if mine and not join.args.get("on") and not join.args.get("using"):
            join.set("kind", None)
            join.set("on", exp.and_(*(p.copy() for p in mine), copy=False))
            parts = [p for p in parts if p not in mine]
    select.set("where", exp.Where(this=exp.and_(*(p.copy() for p in parts))) if parts else None)
