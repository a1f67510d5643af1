"""Two queries clause by clause: what differs, and the prediction with the gold's piece in its place.

Each difference is an `Edit` of the prediction towards the gold, from one literal up to a whole clause; it knows the
class of failure that such a difference is. Nothing is executed here: which edit decides the answer is found out by
`diagnosis`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial

from sqlglot import exp

from labkit.canonical import conjuncts, sql_of
from labkit.failures import aggregates, aligned, conditions_class, difference_class, first_class

CLAUSES = {
    "FROM": ("with_", "from_", "joins"),
    "WHERE": ("where",),
    "GROUP BY": ("group",),
    "HAVING": ("having",),
    "SELECT": ("expressions",),
    "DISTINCT": ("distinct",),
    "ORDER BY": ("order",),
    "LIMIT": ("limit", "offset"),
}
_CLASS_OF = {
    "FROM": "malformed_join",
    "GROUP BY": "malformed_group",
    "DISTINCT": "malformed_distinct",
    "LIMIT": "malformed_limit",
}


@dataclass(frozen=True, eq=False)
class Edit:
    """Put the gold's piece in the place of the prediction's; `query` numbers the query or subquery of the prediction,
    in tree order. Most edits are never needed in words: texts and class are made when they are asked for.
    """

    clause: str
    kind: str | Callable[[], str]  # the class of failure, or what finds it
    old: list  # pieces of a tree, or texts
    new: list
    size: int  # nodes of both pieces: the smaller, the more exactly it says what is wrong
    query: int
    values: tuple[tuple[str, object], ...]  # arguments of the query's node to set; the name "" replaces the node

    @cached_property
    def failure_class(self) -> str:
        return self.kind if isinstance(self.kind, str) else self.kind()

    @cached_property
    def prediction(self) -> str:
        """SQL text of the piece, "" where it is missing."""
        return _text(self.clause, self.old)

    @cached_property
    def gold(self) -> str:
        return _text(self.clause, self.new)


def edits(prediction: exp.Query, gold: exp.Query) -> list[Edit]:
    """Every difference of two canonical queries as an edit, smallest first; whole clauses and their parts,
    overlapping.
    """
    found = [edit for index, p, g in _pairs(prediction, gold) for edit in [*_parts(index, p, g), *_wholes(index, p, g)]]
    return sorted(found, key=lambda edit: edit.size)


def whole_clauses(prediction: exp.Query, gold: exp.Query) -> list[Edit]:
    """The clauses of the outermost query that differ; all of them together make the prediction the gold."""
    return _wholes(0, prediction, gold)


def applied(prediction: exp.Query, changes: Iterable[Edit]) -> exp.Query:
    """The prediction after the edits, a tree of its own."""
    tree = prediction.copy()
    queries = _queries(tree)
    for change in changes:
        for name, value in change.values:
            if name:
                queries[change.query].set(name, _copy(value))
            elif queries[change.query].parent is None:
                tree = _copy(value)
            else:
                queries[change.query].replace(_copy(value))
    return tree


def clauses_of(query: exp.Query) -> list[str]:
    """What a query uses, for slices: JOIN, WHERE, GROUP BY, HAVING, ORDER BY, LIMIT, DISTINCT, subquery, set
    operation.
    """
    selects = list(query.find_all(exp.Select))
    used = [name for name in list(CLAUSES)[1:] if name != "SELECT" and any(_has(s, name) for s in selects)]
    used += ["JOIN"] if any(s.args.get("joins") for s in selects) else []
    used += ["aggregate"] if any(aggregates(item) for s in selects for item in s.expressions) else []
    used += ["subquery"] if len(selects) > 1 and not isinstance(query, exp.SetOperation) else []
    used += ["set operation"] if query.find(exp.SetOperation) else []
    return used or ["plain SELECT"]


def _has(select: exp.Select, clause: str) -> bool:
    return any(select.args.get(name) for name in CLAUSES[clause])


def _queries(tree: exp.Expression) -> list[exp.Expression]:
    return list(tree.find_all(exp.Select, exp.SetOperation))


def _pairs(prediction: exp.Query, gold: exp.Query) -> list[tuple[int, exp.Expression, exp.Expression]]:
    """The queries that stand in the same place: always the outermost ones, inner ones where there are equally many."""
    left, right = _queries(prediction), _queries(gold)
    if len(left) != len(right):
        return [(0, left[0], right[0])]
    pairs = enumerate(zip(left, right, strict=True))
    return [(i, p, g) for i, (p, g) in pairs if i == 0 or (type(p.parent), p.arg_key) == (type(g.parent), g.arg_key)]


def _copy(value):
    if isinstance(value, list):
        return [item.copy() for item in value]
    return value.copy() if isinstance(value, exp.Expression) else value


def _nodes(*pieces) -> int:
    flat = [item for piece in pieces for item in (piece if isinstance(piece, list) else [piece])]
    return sum(len(list(item.walk())) for item in flat if isinstance(item, exp.Expression))


# --- whole clauses ----------------------------------------------------------------------------------------------------


def _wholes(index: int, prediction: exp.Expression, gold: exp.Expression) -> list[Edit]:
    if type(prediction) is not type(gold):
        size = _nodes(prediction, gold)
        return [Edit("set operation", "malformed_filter", [prediction], [gold], size, index, (("", gold),))]
    found = []
    for clause, names in _clauses(prediction).items():
        old, new = ([_args(query, name) for name in names] for query in (prediction, gold))
        if old != new:
            values = tuple(zip(names, new, strict=True))
            kind = partial(_whole_class, clause, prediction, gold)
            found.append(Edit(clause, kind, old, new, _nodes(*old, *new), index, values))
    return found


def _clauses(query: exp.Expression) -> dict[str, tuple[str, ...]]:
    if isinstance(query, exp.SetOperation):
        sides = {"first part": ("this",), "second part": ("expression",)}
        return {"DISTINCT": ("distinct",), "ORDER BY": ("order",), "LIMIT": ("limit", "offset"), **sides}
    return CLAUSES


def _args(query: exp.Expression, name: str):
    return query.args.get(name) or ([] if name in ("joins", "expressions") else None)


def _text(clause: str, pieces: list) -> str:
    flat = [item for piece in pieces for item in (piece if isinstance(piece, list) else [piece])]
    if clause == "DISTINCT":
        return "DISTINCT" if flat[0] else ""
    between = ", " if clause == "SELECT" else " "
    return between.join(item if isinstance(item, str) else sql_of(item).strip() for item in flat if item is not None)


def _whole_class(clause: str, prediction: exp.Expression, gold: exp.Expression) -> str:
    inner = _inner_class(clause, prediction, gold)
    if inner:
        return inner
    if clause in ("WHERE", "HAVING"):
        old, new = (q.args.get(clause.lower()) for q in (prediction, gold))
        return conditions_class(old and old.this, new and new.this) or "malformed_filter"
    if clause == "SELECT":
        return _select_class(prediction, gold)
    return _order_class(prediction, gold) if clause == "ORDER BY" else _CLASS_OF.get(clause, "malformed_filter")


def _inner_class(clause: str, prediction: exp.Expression, gold: exp.Expression) -> str:
    """Where a clause differs only inside its subqueries, the class of what differs there."""
    old, new = ([q.args.get(n) for n in _clauses(q)[clause]] for q in (prediction, gold))
    left, right = (_outermost_queries(pieces) for pieces in (old, new))
    if not left or len(left) != len(right) or _without(old, left) != _without(new, right):
        return ""
    return first_class(e.failure_class for p, g in zip(left, right, strict=True) for e in _wholes(0, p, g))


def _outermost_queries(pieces: list) -> list[exp.Expression]:
    flat = [item for piece in pieces for item in (piece if isinstance(piece, list) else [piece])]
    stops = (exp.Select, exp.SetOperation)
    walks = (item.walk(prune=lambda n: isinstance(n, stops)) for item in flat if isinstance(item, exp.Expression))
    return [node for walk in walks for node in walk if isinstance(node, stops)]


def _without(pieces: list, queries: list[exp.Expression]) -> str:
    text = " ".join(_text("", [piece]) for piece in pieces)
    for query in queries:
        text = text.replace(sql_of(query), "(...)", 1)
    return text


def _select_class(prediction: exp.Expression, gold: exp.Expression) -> str:
    old, new = _unshared(prediction.expressions, gold.expressions)
    if len(old) == len(new):
        return first_class(difference_class(p, g, "malformed_projection") for p, g in zip(old, new, strict=True))
    summarised = [any(aggregates(item) for item in items) for items in (prediction.expressions, gold.expressions)]
    return "malformed_aggregate" if old and new and summarised[0] != summarised[1] else "malformed_projection"


def _order_class(prediction: exp.Expression, gold: exp.Expression) -> str:
    old, new = ((q.args["order"].expressions if q.args.get("order") else []) for q in (prediction, gold))
    directions = [[bool(item.args.get("desc")) for item in items] for items in (old, new)]
    if not old or directions[0] != directions[1]:
        return "malformed_order"
    if [item.this for item in old] == [item.this for item in new]:
        return "malformed_null"  # what is left are NULLS FIRST and LAST
    names = {difference_class(p.this, g.this, "malformed_order") for p, g in zip(old, new, strict=True) if p != g}
    return names.pop() if names <= {"malformed_type"} or names <= {"malformed_null"} else "malformed_order"


def _unshared(left: list, right: list) -> tuple[list, list]:
    left, right = list(left), list(right)
    for item in list(left):
        if item in right:
            left.remove(item), right.remove(item)
    return left, right


# --- parts of a clause ------------------------------------------------------------------------------------------------


def _parts(index: int, prediction: exp.Expression, gold: exp.Expression) -> list[Edit]:
    if not isinstance(prediction, exp.Select) or not isinstance(gold, exp.Select):
        return []
    return _condition_parts(index, prediction, gold) + _output_parts(index, prediction, gold)


def _condition_parts(index: int, prediction: exp.Select, gold: exp.Select) -> list[Edit]:
    found = []
    for name, node in (("where", exp.Where), ("having", exp.Having)):
        old, new = prediction.args.get(name), gold.args.get(name)
        pairs = aligned(old and old.this, new and new.this)
        for p, g in pairs:
            kept = [part for part in conjuncts(old and old.this) if part is not p] + ([g] if g is not None else [])
            value = node(this=exp.and_(*(part.copy() for part in kept))) if kept else None
            kind = partial(difference_class, p, g, "malformed_filter")
            found.append(Edit(name.upper(), kind, [p], [g], _nodes(p, g), index, ((name, value),)))
    return found


def _output_parts(index: int, prediction: exp.Select, gold: exp.Select) -> list[Edit]:
    old, new = _unshared(prediction.expressions, gold.expressions)
    if len(old) != len(new) or len(prediction.expressions) < 2:
        return []
    found = []
    for p, g in zip(old, new, strict=True):
        value = [g if item is p else item for item in prediction.expressions]
        kind = partial(difference_class, p, g, "malformed_projection")
        found.append(Edit("SELECT", kind, [p], [g], _nodes(p, g), index, (("expressions", value),)))
    return found
