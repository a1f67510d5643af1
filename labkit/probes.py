"""What the linter's rules look at: a gold query with its result, and small queries that ask the database about it.

A probe keeps the FROM and WHERE of one SELECT of the gold (in its `canonical` spelling) and shows something else of
the same rows: the values that are sorted, how often a row is repeated. Nothing is judged here; that is `lint_rules`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from sqlglot import exp

from labkit.canonical import canonical, resolve, sources, sql_of
from labkit.dataset import Question
from labkit.execution import execute
from labkit.failures import aggregates
from labkit.reference import Reference, references
from labkit.schema import Schema

ORDERED = (exp.GT, exp.GTE, exp.LT, exp.LTE)
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div)
_AT_MOST = 2_000  # values that a probe looks at


@dataclass(frozen=True)
class Gold:
    """A gold query under examination."""

    question: Question
    schema: Schema

    @cached_property
    def reference(self) -> Reference:
        return references(self.schema.database, [self.question])[0]

    @cached_property
    def tree(self) -> exp.Query | None:
        return canonical(self.question.sql, self.schema)

    @cached_property
    def selects(self) -> list[exp.Select]:
        return list(self.tree.find_all(exp.Select)) if self.tree is not None else []

    @cached_property
    def texts(self) -> set[str]:
        """The text literals of the query: a placeholder among them shows that its author knew of it."""
        return (
            {literal.name for literal in self.tree.find_all(exp.Literal) if literal.is_string} if self.tree else set()
        )

    def rows(
        self, select: exp.Select, shown: list[exp.Expression], keep: str = "", **added
    ) -> tuple[tuple, ...] | None:
        """Rows of `shown` over the FROM and WHERE of `select`, and over what `keep` names ("group", "having", "order").

        `added` are clauses to set. None when the probe does not run: a correlated subquery does not stand alone.
        """
        probe = exp.Select(expressions=[item.copy() for item in shown])
        for name in ("from_", "joins", "where", *keep.split()):
            part = select.args.get(name)
            probe.set(name, [p.copy() for p in part] if isinstance(part, list) else part and part.copy())
        for name, part in added.items():
            probe.set(name, part)
        if not probe.args.get("limit"):
            probe.limit(_AT_MOST, copy=False)
        ctes = self.tree.args.get("with_")
        probe.set("with_", ctes.copy() if ctes is not None and not select.find_ancestor(exp.With) else None)
        result = execute(self.schema.database, sql_of(probe))
        return result.rows if result.ok else None

    def values(self, select: exp.Select, shown: exp.Expression, keep: str = "", distinct: bool = True) -> list:
        """The values of one expression, [] when it cannot be told."""
        added = {"distinct": exp.Distinct()} if distinct and not keep else {}
        return [row[0] for row in self.rows(select, [shown], keep, **added) or ()]

    def tables(self, select: exp.Select) -> dict[str, str]:
        """Alias -> table of what a SELECT reads, derived tables left out."""
        return {source.alias: source.table for source in sources(select, self.schema) if source.table}

    def has_affinity(self, side: exp.Expression) -> bool:
        """Whether SQLite converts the other side of a comparison for this one: a typed column or a cast."""
        if isinstance(side, exp.Cast):
            return True
        source = resolve(side, self.schema) if isinstance(side, exp.Column) else None
        return bool(source and source.table and self.schema.table(source.table).column(side.name).declared_type)


def multiplied(gold: Gold, select: exp.Select, alias: str) -> bool:
    """Whether a join repeats rows of `alias` within a group of the query."""
    row = exp.column("rowid", table=alias)
    more = exp.GT(this=exp.Count(this=row), expression=exp.Count(this=exp.Distinct(expressions=[row.copy()])))
    rows = gold.rows(select, [exp.Count(this=exp.Star())], "group", having=exp.Having(this=more))
    return bool(rows)


def compared(select: exp.Select, *types) -> Iterator[exp.Expression]:
    """Comparisons of these types in the WHERE of a SELECT, those of its subqueries left out."""
    where = select.args.get("where")
    if where is not None:
        yield from (node for node in own(where) if isinstance(node, types))


def own(piece: exp.Expression) -> Iterator[exp.Expression]:
    """The nodes of a piece without those of subqueries in it."""
    yield from piece.walk(prune=lambda node: isinstance(node, exp.Query) and node is not piece)


# --- what the rules look at -------------------------------------------------------------------------------------------


def ran(gold: Gold) -> bool:
    return gold.reference.result.ok and not gold.reference.result.truncated


def brief(piece: exp.Expression) -> str:
    text = sql_of(piece)
    return text if len(text) <= 60 else text[:57] + "..."


def own_nodes(select: exp.Select, *types) -> list[exp.Expression]:
    return [node for node in own(select) if isinstance(node, types) and node.find_ancestor(exp.Select) is select]


def summarised(select: exp.Select) -> bool:
    parts = [*select.expressions, *(select.args[k] for k in ("having", "order") if select.args.get(k))]
    return any(aggregates(part) for part in parts)


def limited(gold: Gold) -> Iterator[tuple[str, exp.Expression]]:
    """Queries with a LIMIT, as they run alone: the whole one as it is written, inner ones with the outer WITH."""
    for query in gold.tree.find_all(exp.Select, exp.SetOperation) if gold.tree is not None else ():
        if query.args.get("limit") and query.parent is None:
            yield gold.question.sql, query
        elif query.args.get("limit"):
            alone = query.copy()
            ctes = gold.tree.args.get("with_")
            if ctes is not None and not query.find_ancestor(exp.With):
                alone.set("with_", ctes.copy())
            yield sql_of(alone), query


def sorted_operands(gold: Gold) -> Iterator[tuple[exp.Select, exp.Expression]]:
    """What is sorted, compared or searched for its extreme."""
    for select in gold.selects:
        order = select.args.get("order")
        yield from ((select, item.this) for item in (order.expressions if order else []))
        windows = [window.args["order"] for window in own_nodes(select, exp.Window) if window.args.get("order")]
        yield from ((select, item.this) for part in windows for item in part.expressions)
        yield from ((select, n.this) for n in own_nodes(select, exp.Max, exp.Min) if not n.expressions)
        for node in compared(select, *ORDERED):
            yield from ((select, side) for side in (node.left, node.right) if side.find(exp.Column))


def operand_values(gold: Gold, select: exp.Select, operand: exp.Expression) -> list:
    if aggregates(operand):
        return gold.values(select, operand, "group having")
    everywhere = select.copy()  # also rows that this WHERE leaves out: an order that is right by accident is a fault
    everywhere.set("where", None)
    return gold.values(everywhere, operand) or gold.values(select, operand)


def turns_into_text(operand: exp.Expression) -> bool:
    cast = operand.find(exp.Cast)
    texts = exp.DataType.TEXT_TYPES
    written = any(call.name.lower() in ("printf", "format") for call in operand.find_all(exp.Anonymous))
    return written or operand.find(exp.DPipe, exp.Format) is not None or bool(cast and cast.to.this in texts)


def never_meets(gold: Gold, select: exp.Select, node: exp.Expression) -> bool:
    """Whether a comparison has a text on one side, a number on the other and nothing that makes SQLite convert."""
    sides = [without_brackets(node.left), without_brackets(node.right)]
    if any(gold.has_affinity(side) for side in sides) or not node.find(exp.Column):
        return False
    bare = select.copy()
    bare.set("where", None)
    kinds = [exp.Anonymous(this="typeof", expressions=[side.copy()]) for side in sides]
    rows = {row for row in gold.rows(bare, kinds, distinct=exp.Distinct()) or () if "null" not in row}
    return bool(rows) and all((a == "text") != (b == "text") for a, b in rows)


def numeric_readings(gold: Gold) -> Iterator[tuple[exp.Select, exp.Expression, list]]:
    """What is read as a number, with the values that it has in the rows that count."""
    for select in gold.selects:
        for node in own_nodes(select, exp.Cast, exp.Sum, exp.Avg, *_ARITHMETIC):
            if isinstance(node, exp.Cast) and node.to.this in exp.DataType.TEXT_TYPES:
                continue
            sides = [node.this, node.expression] if isinstance(node, _ARITHMETIC) else [node.this]
            for inner in sides:
                if inner.find(exp.Column) and not aggregates(inner) and not inner.find(exp.Subquery, exp.Window):
                    yield select, inner, _guarded_values(gold, select, node, inner)


def counted(gold: Gold) -> Iterator[tuple[exp.Select, exp.Expression, list]]:
    for select in gold.selects:
        for node in own_nodes(select, exp.Count, exp.Min, exp.Max, exp.GroupConcat):
            inner = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
            if inner.find(exp.Column) and not node.expressions:
                yield select, inner, _guarded_values(gold, select, node, inner)


def passing(gold: Gold) -> Iterator[tuple[exp.Select, exp.Expression, list]]:
    for select in gold.selects:
        for node in compared(select, *ORDERED):
            for side in (node.left, node.right):
                if isinstance(side, exp.Column):
                    yield select, side, gold.values(select, side)


def grouped_or_top(gold: Gold) -> Iterator[tuple[exp.Select, exp.Expression, list]]:
    """Keys of groups, single columns under DISTINCT, and sort keys of the rows that a LIMIT keeps."""
    for select in gold.selects:
        if select.args.get("distinct") and len(select.expressions) == 1 and select.parent is None:
            yield select, select.expressions[0], gold.values(select, select.expressions[0])
        keys = select.args["group"].expressions if select.args.get("group") else []
        for key in keys:
            yield select, key, gold.values(select, key, "group having order limit offset")
        order, limit = select.args.get("order"), select.args.get("limit")
        for item in order.expressions if order and limit else []:
            if not item.find(exp.Literal) or item.find(exp.Column):
                yield select, item.this, gold.values(select, item.this, "group having order limit offset")


def _guarded_values(gold: Gold, select: exp.Select, node: exp.Expression, inner: exp.Expression) -> list:
    """Values of `inner`, the part of `node` that is read, in the rows that reach it past CASE, FILTER and LIMIT."""
    condition = node.find_ancestor(exp.Filter, exp.Select)
    extra = {}
    if isinstance(condition, exp.Filter) and condition.args.get("expression"):
        where = [select.args["where"].this] if select.args.get("where") else []
        extra["where"] = exp.Where(this=exp.and_(*(p.copy() for p in where), condition.expression.this.copy()))
    shown = inner
    case = node.find_ancestor(exp.Case, exp.If, exp.Select)
    if case is not None and not isinstance(case, exp.Select):
        shown = _case_with(case.parent if isinstance(case.parent, exp.Case) else case, node, inner)
    in_summary = node.find_ancestor(exp.AggFunc, exp.Select) is not select or isinstance(node, exp.AggFunc)
    cut = select.args.get("limit") and not in_summary and not summarised(select) and not select.args.get("group")
    if cut:
        return [row[0] for row in gold.rows(select, [shown], "order limit offset") or ()]
    return [row[0] for row in gold.rows(select, [shown], distinct=exp.Distinct(), **extra) or ()]


def _case_with(case: exp.Expression, node: exp.Expression, inner: exp.Expression) -> exp.Expression:
    """The CASE around `node` with `inner` in its place: what reaches the cast once the conditions have spoken."""
    copy = case.copy()
    for twin, original in zip(list(copy.walk()), list(case.walk()), strict=True):
        if original is node:
            twin.replace(inner.copy())
            break
    return copy


def read_in_parts(select: exp.Select, inner: exp.Expression) -> bool:
    """Whether the same column is also read elsewhere in the query by another cast: feet, then inches."""
    texts = {sql_of(cast.this) for cast in select.find_all(exp.Cast) if sql_of(inner) in sql_of(cast.this)}
    return len(texts) > 1


def meant_whole(node: exp.Div, select: exp.Select) -> bool:
    """Division meant to drop the rest: cast to INTEGER, used with its remainder, or multiplied back (decades)."""
    parent = node.parent.parent if isinstance(node.parent, exp.Paren) else node.parent
    if isinstance(parent, exp.Cast) and parent.to.this in exp.DataType.INTEGER_TYPES:
        return True
    if any(mod.expression == node.expression for mod in select.find_all(exp.Mod)):
        return True
    products = (mul for mul in select.find_all(exp.Mul) if node.expression in (mul.this, mul.expression))
    return any(node in (without_brackets(mul.this), without_brackets(mul.expression)) for mul in products)


def without_brackets(node: exp.Expression) -> exp.Expression:
    """What stands in the brackets, if any; unlike `unnest`, a subquery stays one."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def knows_null(select: exp.Select) -> bool:
    return select.find(exp.Is, exp.Coalesce, exp.Nullif) is not None


def bare_columns(select: exp.Select, keys: list[exp.Expression]) -> Iterator[exp.Column]:
    """Columns shown, sorted or filtered by that stand in no aggregate and in no key of the group."""
    parts = [*select.expressions, *(select.args[k] for k in ("having", "order") if select.args.get(k))]
    for part in parts:
        for node in part.walk(prune=lambda n: isinstance(n, (exp.AggFunc, exp.Filter, exp.Query)) or n in keys):
            if isinstance(node, exp.Column) and node not in keys and not isinstance(node.this, exp.Star):
                yield node
