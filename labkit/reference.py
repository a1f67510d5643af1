"""What a gold query says on a database: its rows, whether their order counts, which rows are tied, whether to trust it.

A gold is at fault when it fails, when its result is cut, when it is not what its author wrote down (`gold_error`), or
when something that it does not say decides its rows (`unstable`): a tie cut by LIMIT, the order in which rows are
stored, chance or the date. This module judges the reference only; comparing a prediction with it is `scoring`'s part.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokens import TokenType

from labkit.dataset import Question
from labkit.execution import ExecutionResult, Limits, execute_many
from labkit.matching import Table, same_bag, same_order
from labkit.sqltext import outermost, parse, tokens

DEFAULT_LIMITS = Limits()
_BEYOND = 200  # rows looked at behind a LIMIT, to see whether tied rows that fell out differ from those that stayed


@dataclass(frozen=True)
class Fault:
    """Why a gold cannot be used: `verdict` is "gold_error" or "unstable", `reason` a code, `detail` a sentence."""

    verdict: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Reference:
    """A gold's result. `blocks` has a value for each row; neighbours with equal values are tied and may swap."""

    result: ExecutionResult
    ordered: bool
    blocks: tuple
    fault: Fault | None = None

    def agrees(self, other: ExecutionResult) -> bool:
        """Whether `other` holds the same rows: in the same order if that counts, as a bag otherwise."""
        ours, theirs = as_table(self.result), as_table(other)
        return same_order(ours, theirs, self.blocks) if self.ordered else same_bag(ours, theirs)


def as_table(result: ExecutionResult) -> Table:
    """The result as `matching` compares it."""
    return Table(result.rows, len(result.columns))


def references(database: str | Path, questions: Sequence[Question], limits: Limits = DEFAULT_LIMITS) -> list[Reference]:
    """The gold of each question on `database`, each run up to three times: as it is, scanning backwards, with ranks."""
    sqls = [question.sql for question in questions]
    results = execute_many(database, sqls, limits)
    sound = [i for i, result in enumerate(results) if cut_short(result) is None]
    backwards = execute_many(database, [sqls[i] for i in sound], limits, reverse=True)
    queries = {i: ranked(sqls[i], results[i]) for i in sound if _needs_ranks(questions[i])}
    asked = [i for i in sound if queries.get(i) is not None]
    ranks = dict(zip(asked, execute_many(database, [queries[i] for i in asked], limits), strict=True))
    judged = {i: _judge(questions[i], results[i], back, ranks.get(i)) for i, back in zip(sound, backwards, strict=True)}
    return [judged.get(i) or Reference(result, False, (), _failure(result)) for i, result in enumerate(results)]


def _needs_ranks(question: Question) -> bool:
    """Ties matter where the order counts or a LIMIT cuts."""
    return TokenType.LIMIT in outermost(question.sql) or (has_order(question.sql) and question.order is not False)


def cut_short(result: ExecutionResult) -> str | None:
    """Why a result is none: "truncated", "limit" or "error"; None for a whole one."""
    if result.truncated:
        return "truncated"
    return "limit" if result.limit is not None else "error" if result.error is not None else None


def has_order(sql: str) -> bool:
    """Whether the outermost query has an ORDER BY; one in a subquery, a window, a string or a comment is not meant."""
    return TokenType.ORDER_BY in outermost(sql)


def depends_on_clock_or_chance(sql: str) -> bool:
    """Whether the query asks for the time, the date or a random number: the same query says something else tomorrow."""
    return re.search(_CLOCK_OR_CHANCE, " ".join(_words(sql))) is not None


# Over words parted by one space; a text stands as 'now' or ''.
_CLOCK_OR_CHANCE = (
    r"\brandom \(|\brandomblob \(|\bcurrent_(date|time|timestamp)\b|\bstrftime \( '' (\)|, 'now')"
    r"|\b(date|time|datetime|julianday|unixepoch) \( (\)|'now')|\btimediff \([^()]*'now'"
)


def _words(sql: str) -> list[str]:
    return [_word(token) for token in tokens(sql)] or sql.lower().split()


def _word(token) -> str:
    if token.token_type == TokenType.STRING:
        return "'now'" if token.text.strip().lower() == "now" else "''"
    return '""' if token.token_type == TokenType.IDENTIFIER else token.text.lower()


# --- the verdict on a gold --------------------------------------------------------------------------------------------


def _failure(result: ExecutionResult) -> Fault:
    why = cut_short(result)
    said = {"truncated": "returns more than the limits allow", "limit": f"was stopped ({result.limit})"}
    return Fault("gold_error", f"gold_{why}", f"The reference {said.get(why, f'fails: {result.error}')}.")


def _judge(question: Question, result: ExecutionResult, back: ExecutionResult, ranks: ExecutionResult | None):
    ordered = has_order(question.sql) if question.order is None else question.order
    strict = tuple(range(len(result.rows)))
    start = _offset(question.sql)
    known = _blocks(result, ranks, start)
    reference = Reference(result, ordered, known if known is not None and has_order(question.sql) else strict)
    fault = _not_as_written(question, reference)
    if fault is None and depends_on_clock_or_chance(question.sql):
        fault = Fault("unstable", "clock_or_chance", "The reference asks for the time or for chance: its rows change.")
    if fault is None and _tie_is_cut(result, ranks, start):
        fault = Fault("unstable", "tie_at_limit", "A LIMIT of the reference cuts through rows that are tied.")
    if fault is None and cut_short(back) is None and not reference.agrees(back):
        fault = Fault("unstable", "scan_order", "The order in which rows are stored decides the reference's result.")
    return Reference(result, ordered, reference.blocks, fault)


def _not_as_written(question: Question, reference: Reference) -> Fault | None:
    """A fault where the author wrote rows down and the query gives others."""
    if question.rows is None:
        return None
    width = len(question.rows[0]) if question.rows else len(reference.result.columns)
    written, ours = Table(question.rows, width), as_table(reference.result)
    same = same_order(ours, written, reference.blocks) if reference.ordered else same_bag(ours, written)
    return None if same else Fault("gold_error", "gold_rows", "The reference's rows are not those stored with it.")


def _blocks(result: ExecutionResult, ranks: ExecutionResult | None, start: int) -> tuple | None:
    """The rank of each row; None when the ranked query failed or gave other rows, so that it proves nothing."""
    if ranks is None or ranks.error is not None or len(ranks.columns) != len(result.columns) + 1:
        return None
    end = start + len(result.rows)
    if len(ranks.rows) < end:
        return None
    blocks = tuple(row[-1] for row in ranks.rows[start:end])
    inner = [i for i in range(len(blocks)) if not _at_edge(i + start, start, end, ranks)]
    ours = Table([result.rows[i] for i in inner], len(result.columns))
    theirs = Table([ranks.rows[start + i][:-1] for i in inner], len(result.columns))
    return blocks if same_order(ours, theirs, [blocks[i] for i in inner]) else None


def _at_edge(i: int, start: int, end: int, ranks: ExecutionResult) -> bool:
    """Whether a row is tied with one that LIMIT or OFFSET left out: then either may be in the result."""
    rank, rows = ranks.rows[i][-1], ranks.rows
    return (end < len(rows) and rows[end][-1] == rank) or (start > 0 and rows[start - 1][-1] == rank)


def _tie_is_cut(result: ExecutionResult, ranks: ExecutionResult | None, start: int) -> bool:
    if _blocks(result, ranks, start) is None:
        return False
    end = start + len(result.rows)
    edges = {ranks.rows[i][-1] for i in (start, end - 1) if start < end and _at_edge(i, start, end, ranks)}
    return any(len({row[:-1] for row in ranks.rows if row[-1] == rank}) > 1 for rank in edges)


# --- the same query with a rank beside each row -----------------------------------------------------------------------


def ranked(sql: str, result: ExecutionResult) -> str | None:
    """The query with its rows' ranks under its ORDER BY as last column, and some rows behind its LIMIT.

    The rank is SQLite's own dense_rank over the same terms, so that collations, NULLs and expressions tie as they sort.
    Without an ORDER BY all rows are tied. None where no rank is needed or none can be had.
    """
    tree = parse(sql)
    if tree is None or not (tree.args.get("order") or tree.args.get("limit")):
        return None
    rows = exp.Literal.number(len(result.rows) + _offset(sql) + _BEYOND)
    try:
        apart = tree.args.get("distinct") or tree.find(exp.Window) or not isinstance(tree, exp.Select)
        query = (_ranked_around if apart else _ranked_inside)(tree.copy(), result)
        query = query and query.limit(rows, copy=False)
        return query and query.sql(dialect="sqlite", comments=False)
    except (SqlglotError, RecursionError, ValueError):
        return None


def _offset(sql: str) -> int:
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
