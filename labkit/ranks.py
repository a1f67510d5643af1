"""The same query with a rank beside each row, and the same query over tables read backwards.

Two rewritings that show what a query leaves open: which of its rows are tied, and whether the order in which rows are
stored decides. They only make texts; `reference` runs them and draws the conclusion. Where SQLite refuses such a text,
or answers otherwise than it should, it proves nothing.
"""

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokens import TokenType

from labkit.execution import ExecutionResult
from labkit.sqltext import SQLITE, outermost, parse, tokens

_BEYOND = 200  # rows looked at behind a LIMIT, to see whether tied rows that fell out differ from those that stayed


def backwards(sql: str) -> str | None:
    """The query with each table's rows handed to it last row first; None where that cannot make a difference.

    SQLite's own switch (`execute_many(..., reverse=True)`) turns plain scans only. This turns those that feed a sort, a
    group or a window, too, by a common table expression that hides each table; but not those that use an index.
    """
    tree = parse(sql)
    if tree is None or not _is_open(tree):
        return None
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    named = [table for table in tree.find_all(exp.Table) if isinstance(table.this, exp.Identifier) and not table.db]
    names = {table.name.lower(): exp.to_identifier(table.name, quoted=True).sql("sqlite") for table in named}
    hidden = [
        f"{name} AS (SELECT * FROM main.{name} ORDER BY rowid DESC LIMIT -1)"
        for key, name in names.items()
        if key not in own
    ]
    if not hidden:
        return None
    first = tokens(sql)[:2]
    if first[0].token_type != TokenType.WITH:
        return f"WITH {', '.join(hidden)} {sql}"
    head = first[1] if first[1].token_type == TokenType.RECURSIVE else first[0]
    return f"{sql[: head.end + 1]} {', '.join(hidden)}, {sql[head.end + 1 :]}"


def _is_open(tree: exp.Expression) -> bool:
    """Whether some part picks rows, or joins values, by their place: LIMIT, a group, a window, a bare column."""
    if tree.find(exp.Limit, exp.Group, exp.Window, exp.GroupConcat, exp.Anonymous):
        return True
    return any(_has_bare_column(select) for select in tree.find_all(exp.Select))


def _has_bare_column(select: exp.Select) -> bool:
    columns = [column for item in select.expressions for column in item.find_all(exp.Column)]
    aggregates = any(item.find(exp.AggFunc) for item in select.expressions)
    return aggregates and any(column.find_ancestor(exp.AggFunc, exp.Select) is select for column in columns)


def ranked(sql: str, result: ExecutionResult) -> str | None:
    """The query with its rows' ranks under its ORDER BY as last column, and some rows behind its LIMIT.

    The rank is SQLite's own dense_rank over the same terms, so that collations, NULLs and expressions tie as they sort.
    Without an ORDER BY all rows are tied. None where no rank is needed or none can be had.
    """
    tree = parse(sql)
    if tree is None or not (tree.args.get("order") or tree.args.get("limit")):
        return None
    rows = exp.Literal.number(len(result.rows) + offset(sql) + _BEYOND)
    try:
        apart = tree.args.get("distinct") or tree.find(exp.Window) or not isinstance(tree, exp.Select)
        query = (_ranked_around if apart else _ranked_inside)(tree.copy(), result)
        query = query and query.limit(rows, copy=False)
        return query and query.sql(dialect=SQLITE, comments=False, copy=False)
    except (SqlglotError, RecursionError, ValueError):
        return None


def offset(sql: str) -> int:
    """The number of rows that the outermost query leaves out at the start; 0 when it is not a plain number."""
    tree = parse(sql) if TokenType.LIMIT in outermost(sql) else None
    offset = tree.args.get("offset") if tree is not None else None
    number = offset.expression if offset is not None else None
    return int(number.name) if isinstance(number, exp.Literal) and number.is_int else 0


def _rank(terms: list[exp.Expression]) -> exp.Expression:
    if not terms:
        return exp.Literal.number(1)
    return exp.Window(this=exp.Anonymous(this="dense_rank"), order=exp.Order(expressions=[t.copy() for t in terms]))


def _without_limit(tree: exp.Query) -> exp.Query:
    for part in ("order", "limit", "offset"):
        tree.set(part, None)
    return tree


def _ranked_inside(tree: exp.Select, result: ExecutionResult) -> exp.Select:
    """The rank as one more output column of the query itself: its terms may be anything that the query can see."""
    order = tree.args.get("order")
    values = [item.unalias() for item in tree.expressions]
    if any(item.is_star for item in values):
        values = [exp.column(exp.to_identifier(name, quoted=True)) for name in result.columns]
    names = {item.alias.lower(): item.this for item in tree.expressions if isinstance(item, exp.Alias)}
    terms = [_resolved(term, values, names) for term in (order.expressions if order else [])]
    tree = _without_limit(tree).select(exp.alias_(_rank(terms), "labkit_rank"), copy=False)
    return tree.order_by(*terms, copy=False) if terms else tree


def _ranked_around(tree: exp.Query, result: ExecutionResult) -> exp.Select | None:
    """The rank around the query: a UNION, DISTINCT or window sorts by output columns (other terms: None)."""
    order, columns = tree.args.get("order"), [f"labkit_{i}" for i in range(len(result.columns))]
    values = [exp.column(column) for column in columns]
    names = dict(zip((name.lower() for name in result.columns), values, strict=True))
    terms = [_as_output(term, tree, values) for term in (order.expressions if order else [])]
    terms = [_resolved(term, values, names) for term in terms]
    if any(c.name not in columns for term in terms for c in term.find_all(exp.Column)):
        return None
    around = f"WITH labkit_gold({', '.join(columns)}) AS (SELECT 1) SELECT * FROM labkit_gold"
    outer = sqlglot.parse_one(around, dialect="sqlite")
    outer.find(exp.CTE).set("this", _without_limit(tree))
    outer = outer.select(exp.alias_(_rank(terms), "labkit_rank"), copy=False)
    return outer.order_by(*terms, copy=False) if terms else outer


def _as_output(term: exp.Expression, tree: exp.Query, values: list[exp.Expression]) -> exp.Expression:
    """The term with the output expressions that it repeats replaced by their columns."""
    term, outputs = term.copy(), [item.unalias() for item in tree.selects]
    for node in list(term.find_all(exp.Column, exp.Func, exp.Binary)):
        if node in outputs and len(outputs) == len(values):
            node.replace(values[outputs.index(node)].copy())
    return term


def _resolved(term: exp.Expression, values: list[exp.Expression], names: dict[str, exp.Expression]) -> exp.Expression:
    """An ORDER BY term in which positions and output names are replaced by what they stand for."""
    term = term.copy()
    place = term.this if isinstance(term, exp.Ordered) else term
    while isinstance(place, (exp.Collate, exp.Paren)):
        place = place.this
    if isinstance(place, exp.Literal) and place.is_int and 0 < int(place.name) <= len(values):
        place.replace(values[int(place.name) - 1].copy())
        return term
    for column in [c for c in term.find_all(exp.Column) if not c.table and c.name.lower() in names]:
        column.replace(exp.paren(names[column.name.lower()].copy()))
    return term
