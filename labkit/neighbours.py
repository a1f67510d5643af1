"""One-edit neighbours of a query: the mistakes that a nearly right model makes, one at a time.

A comparison flipped, a constant shifted, a look-alike column, another aggregate, DISTINCT lost or added, another join,
the wrong direction, a condition or a group key forgotten. `perturb` looks for small databases on which the query and
its neighbours part; nothing here says whether a neighbour means something else on real data: some do not.
"""

from collections.abc import Callable, Iterator

from sqlglot import exp
from sqlglot.errors import SqlglotError

from labkit.errors import LabkitError
from labkit.schema import Schema, nearest
from labkit.sqltext import parse

_COMPARISONS = {
    exp.GT: (exp.GTE, exp.LT),
    exp.GTE: (exp.GT, exp.LTE),
    exp.LT: (exp.LTE, exp.GT),
    exp.LTE: (exp.LT, exp.GTE),
    exp.EQ: (exp.NEQ,),
    exp.NEQ: (exp.EQ,),
}
_AGGREGATES = {exp.Avg: (exp.Sum,), exp.Sum: (exp.Avg, exp.Count), exp.Min: (exp.Max,), exp.Max: (exp.Min,)}
_ARITHMETIC = {exp.Add: exp.Sub, exp.Sub: exp.Add, exp.Mul: exp.Div, exp.Div: exp.Mul}
_SETS = {exp.Union: exp.Except, exp.Intersect: exp.Union, exp.Except: exp.Intersect}
_LOOK_ALIKES = 2  # columns tried in place of each one
_SOME_TEXTS = 2


def neighbours(sql: str, schema: Schema) -> list[str]:
    """The query's one-edit neighbours, each once, without the query itself; [] when sqlglot cannot read it."""
    tree = parse(sql)
    if tree is None:
        return []
    sources = table_sources(tree, schema)
    found = {}
    for index, node in enumerate(tree.walk()):
        for rule in _RULES:
            for edit in rule(node, sources):
                text = _edited(tree, index, edit)
                if text is not None:
                    found[text] = None
    found.pop(tree.sql(dialect="sqlite", comments=False), None)
    return list(found)


Edit = Callable[[exp.Expression], "exp.Expression | None"]
# An edit gets its node in a fresh copy of the tree: it changes it in place (giving None) or gives what takes its place.


def _edited(tree: exp.Expression, index: int, edit: Edit) -> str | None:
    copy = tree.copy()
    node = next(node for i, node in enumerate(copy.walk()) if i == index)
    try:
        new = edit(node)
        if new is not None:
            if node is copy:
                copy = new
            else:
                node.replace(new)
        return copy.sql(dialect="sqlite", comments=False)
    except (SqlglotError, ValueError, AttributeError):
        return None


def table_sources(tree: exp.Expression, schema: Schema) -> dict:
    """Tables of the schema by the name that the query calls them."""
    found = {}
    for table in tree.find_all(exp.Table):
        try:
            found[table.alias_or_name.lower()] = schema.table(table.name)
        except LabkitError:  # a common table expression
            continue
    return found


def _as(kind: type[exp.Expression]) -> Edit:
    """The same arguments under another head."""
    return lambda node: kind(**{key: node.args.get(key) for key in ("this", "expression") if key in node.args})


def _setting(key: str, value) -> Edit:
    def edit(node: exp.Expression) -> None:
        node.set(key, value)

    return edit


# --- the edits, by the part of the query they touch -------------------------------------------------------------------


def _comparisons(node, sources) -> Iterator[Edit]:
    if isinstance(node.parent, exp.Join) and isinstance(node, exp.EQ):
        return  # an inverted join condition is nobody's slip
    yield from (_as(kind) for kind in _COMPARISONS.get(type(node), ()))
    if isinstance(node, exp.Between):
        low, high = node.args["low"], node.args["high"]
        yield lambda n: exp.and_(exp.GT(this=n.this, expression=low.copy()), n.this.copy() <= high.copy())
        yield lambda n: exp.and_(n.this >= low.copy(), exp.LT(this=n.this.copy(), expression=high.copy()))
    if isinstance(node, exp.Not):
        yield lambda n: n.this
    if isinstance(node, (exp.In, exp.Exists, exp.Like, exp.Is)) and not isinstance(node.parent, exp.Not):
        yield lambda n: exp.not_(n.copy())
    if isinstance(node, exp.In) and len(node.expressions) > 1:
        yield _setting("expressions", [e.copy() for e in node.expressions[1:]])
        yield _setting("expressions", [e.copy() for e in node.expressions[:-1]])


def _conditions(node, sources) -> Iterator[Edit]:
    if isinstance(node, (exp.And, exp.Or)):
        yield lambda n: n.left
        yield lambda n: n.right
        yield _as(exp.Or if isinstance(node, exp.And) else exp.And)
    if isinstance(node, exp.Select):
        for part in ("where", "having"):
            if node.args.get(part):
                yield _setting(part, None)
    if isinstance(node, exp.Filter):
        yield lambda n: n.this
    if isinstance(node, exp.Coalesce):
        yield lambda n: n.this


def _literals(node, sources) -> Iterator[Edit]:
    if not isinstance(node, exp.Literal) or isinstance(node.parent, (exp.Ordered, exp.Group, exp.Limit, exp.Offset)):
        return
    if isinstance(node.parent, exp.Select) and isinstance(node.parent.parent, exp.Exists):
        return  # EXISTS (SELECT 1 ...): any value will do
    if isinstance(node.find_ancestor(exp.AggFunc, exp.Select), exp.Count) and not node.find_ancestor(exp.Predicate):
        return  # COUNT(CASE ... THEN 1 END): any value will do
    if node.is_int:
        yield lambda n: exp.Literal.number(int(n.name) + 1)
        if int(node.name) > 0 and not isinstance(node.parent, (exp.Substring, exp.Round)):
            yield lambda n: exp.Literal.number(int(n.name) - 1)
    elif not node.is_string:
        yield lambda n: exp.Literal.number(float(n.name) * 1.1 + 0.1)
    elif isinstance(node.parent, (exp.EQ, exp.NEQ, exp.In)):
        for text in _other_texts(node, sources):
            yield lambda n, text=text: exp.Literal.string(text)


def _other_texts(node: exp.Literal, sources: dict) -> list[str]:
    columns = node.parent.find_all(exp.Column)
    found = [column for column in (column_of(c, sources)[1] for c in columns) if column is not None]
    texts = [value for column in found for value in column.samples if isinstance(value, str) and value != node.name]
    near = nearest(node.name, texts, 0.6)
    return list(dict.fromkeys(filter(None, [near, *texts])))[:_SOME_TEXTS]


def _columns(node, sources) -> Iterator[Edit]:
    """Another column of the same table and kind, the most like in name first."""
    table, column = column_of(node, sources) if isinstance(node, exp.Column) else (None, None)
    if column is None:
        return
    kinds = set(column.stored_types) - {"null"}
    others = [c.name for c in table.columns if c.name != column.name and kinds & set(c.stored_types)]
    others.sort(key=lambda name: -_alike(column.name, name))
    for name in others[:_LOOK_ALIKES]:
        yield lambda n, name=name: exp.column(name, table=n.table or None, quoted=not name.isidentifier())


def _alike(a: str, b: str) -> float:
    common = set(a.lower().split("_")) & set(b.lower().split("_"))
    return len(common) + len(set(a) & set(b)) / (len(set(a) | set(b)) or 1)


def column_of(node: exp.Column, sources: dict):
    """The table and column that a name stands for, (None, None) when it is not one of the schema's."""
    named = [sources[node.table.lower()]] if node.table.lower() in sources else []
    for table in named or ([] if node.table else sources.values()):
        for column in table.columns:
            if column.name.lower() == node.name.lower():
                return table, column
    return None, None


def _aggregates(node, sources) -> Iterator[Edit]:
    yield from (_as(kind) for kind in _AGGREGATES.get(type(node), ()))
    if not isinstance(node, exp.AggFunc) or isinstance(node, (exp.Min, exp.Max)):
        return
    if isinstance(node.this, exp.Distinct):
        yield lambda n: n.__class__(this=n.this.expressions[0])
    elif not isinstance(node.this, exp.Star) and isinstance(node.this, exp.Expression):
        yield lambda n: n.__class__(this=exp.Distinct(expressions=[n.this.copy()]))
        if isinstance(node, exp.Count):
            yield lambda n: exp.Count(this=exp.Star())
    elif isinstance(node, exp.Count):
        for name, column in _nullable(sources):
            yield lambda n, name=name, column=column: exp.Count(this=exp.column(column, table=name))


def _nullable(sources: dict) -> list[tuple[str, str]]:
    return [(name, c.name) for name, table in sources.items() for c in table.columns if c.nulls][:2]


def _shape(node, sources) -> Iterator[Edit]:
    """DISTINCT, grouping, joins, set operations."""
    if isinstance(node, exp.Select) and not _is_one_row(node) and not isinstance(node.parent, (exp.In, exp.Exists)):
        yield _setting("distinct", None if node.args.get("distinct") else exp.Distinct())
    if isinstance(node, exp.Group):
        for i in range(len(node.expressions)):
            rest = [e.copy() for j, e in enumerate(node.expressions) if j != i]
            yield _setting("expressions", rest) if rest else lambda n: n.pop()
    if isinstance(node, exp.Join) and node.args.get("on"):
        yield _setting("side", None if node.side else "LEFT")
    if isinstance(node, exp.Union) and type(node) is exp.Union:
        yield _setting("distinct", not node.args.get("distinct"))
    if type(node) in _SETS:
        yield lambda n: _SETS[type(n)](**{**n.args, "distinct": True})


def _is_one_row(select: exp.Select) -> bool:
    """Aggregates of everything: DISTINCT changes nothing."""
    plain = [item for item in select.expressions if not item.find(exp.AggFunc)]
    return not plain and not select.args.get("group") and not select.find(exp.Window)


def _order(node, sources) -> Iterator[Edit]:
    if isinstance(node, exp.Ordered):
        down = not node.args.get("desc")
        yield lambda n: exp.Ordered(this=n.this.copy(), desc=down, nulls_first=not down)
    if isinstance(node, exp.Order):
        for i in range(len(node.expressions)):
            rest = [e.copy() for j, e in enumerate(node.expressions) if j != i]
            yield _setting("expressions", rest) if rest else lambda n: n.pop()
    if isinstance(node, exp.Select) and node.parent is None and not node.args.get("limit") and not _is_one_row(node):
        yield lambda n: n.limit(1)
    if isinstance(node, exp.Limit) and isinstance(node.expression, exp.Literal):
        yield lambda n: exp.Limit(expression=exp.Literal.number(int(n.expression.name) + 1))
        yield lambda n: n.pop()
    if isinstance(node, exp.Offset) and isinstance(node.expression, exp.Literal):
        yield lambda n: exp.Offset(expression=exp.Literal.number(int(n.expression.name) + 1))


def _values(node, sources) -> Iterator[Edit]:
    """Arithmetic, and the care that stored formats need."""
    if type(node) in _ARITHMETIC:
        yield _as(_ARITHMETIC[type(node)])
    if isinstance(node, (exp.Mul, exp.Div)) and any(_is_one(side) for side in (node.left, node.right)):
        yield lambda n: n.left if _is_one(n.right) else n.right  # 1.0 *: without it, integer division
    if isinstance(node, exp.Cast) or (isinstance(node, exp.Anonymous) and node.name.lower() == "replace"):
        yield lambda n: n.this if isinstance(n, exp.Cast) else n.expressions[0]
    if isinstance(node, exp.Round):
        yield lambda n: n.this
    if isinstance(node, exp.Case) and node.args.get("default"):
        yield _setting("default", None)


def _is_one(node: exp.Expression) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and not node.is_int and float(node.name) == 1


_RULES = (_comparisons, _conditions, _literals, _columns, _aggregates, _shape, _order, _values)
