"""Which difference decides? Put the gold's pieces into the prediction, one at a time, smallest first, and run the
result.

Prediction and gold usually differ in several clauses, and most of that is harmless. The first change that makes the
answer right is the cause, whatever else differs. Where no single one does, clauses are dropped from the set of all
changes while the answer stays right (A. Zeller, R. Hildebrandt: Simplifying and Isolating Failure-Inducing Input,
2002). Whether an answer is right is not decided here: these functions are generators that yield a query and are sent
the verdict, so that the caller can run the queries of many predictions together.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from sqlglot import exp

from labkit.canonical import canonical, resolve, sources, sql_of
from labkit.clauses import Edit, applied, edits, whole_clauses
from labkit.failures import COMPARISONS, PRIORITY, difference_class, first_class
from labkit.repairs import unknown_values
from labkit.schema import Schema

TRIES = 40  # single changes that are tried


@dataclass(frozen=True)
class Cause:
    """`changes` make the prediction right (`repaired`, its SQL); where nothing did, they are all that differ and
    `repaired` is "".
    """

    failure_class: str
    changes: tuple[Edit, ...]
    repaired: str = ""


Trials = Generator[str, bool, Cause | None]  # yields SQL, is sent whether that is right, returns what it found


def find_cause(prediction: str, golds: tuple[str, ...], schema: Schema) -> Trials:
    """The cause of a wrong prediction that can be parsed, with respect to the gold that it is nearest to; None if
    nothing differs that could be named.
    """
    tree = canonical(prediction, schema)
    trees = [tree for tree in (canonical(gold, schema) for gold in golds) if tree is not None]
    if tree is None or not trees:
        return None
    gold = trees[0]
    if len(trees) > 1:
        gold = min(trees, key=lambda other: sum(edit.size for edit in whole_clauses(tree, other)))
    return (
        (yield from _first_right(_single(tree, gold), gold))
        or (yield from _first_right(_condition(tree, gold, schema), gold))
        or (yield from _first_right(_stored_value(tree, schema), gold))
        or (yield from _several(tree, gold))
    )


def _first_right(changes: Iterable[tuple[Edit, exp.Query]], gold: exp.Query) -> Trials:
    """The first single change that makes the answer right; one that makes the gold itself need not be run."""
    for change, repaired in changes:
        if repaired == gold or (yield sql_of(repaired)):
            return Cause(change.failure_class, (change,), sql_of(repaired))
    return None


def _single(tree: exp.Query, gold: exp.Query) -> Iterator[tuple[Edit, exp.Query]]:
    for change in [e for e in edits(tree, gold) if e.clause != "set operation"][:TRIES]:
        yield change, applied(tree, [change])


def _condition(tree: exp.Query, gold: exp.Query, schema: Schema) -> Iterator[tuple[Edit, exp.Query]]:
    """Another structure than the gold's (a subquery for a join, say), right but for one condition of one column."""
    yield from _swapped(tree, gold)
    yield from _added(tree, gold, schema)
    yield from _dropped(tree, gold)


def _swapped(tree: exp.Query, gold: exp.Query) -> Iterator[tuple[Edit, exp.Query]]:
    for p, g in product(_conditions(tree), _conditions(gold)):
        if p.this.name == g.this.name and _said(p) != _said(g):
            twin = g.copy()
            twin.set("this", p.this.copy())
            yield _change(p, twin), _with(tree, p, twin)


def _added(tree: exp.Query, gold: exp.Query, schema: Schema) -> Iterator[tuple[Edit, exp.Query]]:
    """A condition of the gold that is nowhere in the prediction goes to each SELECT that reads its table."""
    known = {_said(p) for p in _conditions(tree)}
    for g in _conditions(gold):
        table = resolve(g.this, schema)
        for select in tree.find_all(exp.Select) if table and _said(g) not in known else ():
            for source in sources(select, schema):
                if source.table == table.table:
                    twin = (g.parent if isinstance(g.parent, exp.Not) else g).copy()
                    twin.find(exp.Column).set("table", exp.to_identifier(source.alias))
                    yield _change(None, twin), _with(tree, select, select.copy().where(twin, copy=False))


def _dropped(tree: exp.Query, gold: exp.Query) -> Iterator[tuple[Edit, exp.Query]]:
    known = {_said(g) for g in _conditions(gold)}
    for p in _conditions(tree):
        if _said(p) not in known:
            yield _change(p, None), _with(tree, p, exp.true())


def _conditions(tree: exp.Query) -> list[exp.Expression]:
    """Comparisons of a column with literals, wherever they stand."""
    found = [node for node in tree.find_all(*COMPARISONS) if isinstance(node.this, exp.Column)]
    return [node for node in found if len(list(node.find_all(exp.Column, exp.Query))) == 1]


def _said(condition: exp.Expression) -> str:
    """The condition without the name of the table, which depends on the structure."""
    copy = condition.copy()
    copy.this.set("table", None)
    return ("NOT " if isinstance(condition.parent, exp.Not) else "") + sql_of(copy)


def _change(p: exp.Expression | None, g: exp.Expression | None) -> Edit:
    return Edit("WHERE", difference_class(p, g, "malformed_filter"), [p], [g], 0, 0, ())


def _with(tree: exp.Query, old: exp.Expression, new: exp.Expression) -> exp.Query:
    """The tree with one node replaced."""
    copy = tree.copy()
    for twin, node in zip(list(copy.walk()), list(tree.walk()), strict=True):
        if node is old:
            twin.replace(new)
    return copy


def _stored_value(tree: exp.Query, schema: Schema) -> Iterator[tuple[Edit, exp.Query]]:
    """Another structure than the gold's, right but for a text that is nowhere stored."""
    for literal, column, near in unknown_values(tree, schema):
        if near:
            change = Edit("WHERE", "malformed_value", [f"{column} '{literal.name}'"], [f"{column} '{near}'"], 2, 0, ())
            yield change, _with(tree, literal, exp.Literal.string(near))


def _several(tree: exp.Query, gold: exp.Query) -> Trials:
    """The smallest set of clauses found that makes the prediction right; all that differ when none does."""
    needed = whole_clauses(tree, gold)
    if not needed:
        return None
    repaired = applied(tree, needed)
    if repaired != gold and not (yield sql_of(repaired)):
        return Cause(first_class(e.failure_class for e in needed), tuple(needed))
    for change in sorted(needed, key=lambda e: PRIORITY.index(e.failure_class), reverse=True):
        fewer = [e for e in needed if e is not change]
        if fewer and (yield sql_of(shorter := applied(tree, fewer))):
            needed, repaired = fewer, shorter
    return Cause(first_class(e.failure_class for e in needed), tuple(needed), sql_of(repaired))
