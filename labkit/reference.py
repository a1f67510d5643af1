"""What a gold query says on a database: its rows, whether their order counts, which rows are tied, whether to trust it.

A gold is at fault when it fails, when its result is cut, when it is not what its author wrote down (`gold_error`), or
when something that it does not say decides its rows (`unstable`): a tie cut by LIMIT, the order in which rows are
stored, chance or the date. This module judges the reference only; comparing a prediction with it is `scoring`'s part.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlglot.tokens import TokenType

from labkit.dataset import Question
from labkit.execution import ExecutionResult, Limits, execute_many
from labkit.matching import Table, same_bag, same_order
from labkit.ranks import backwards, offset, ranked
from labkit.sqltext import outermost, tokens

DEFAULT_LIMITS = Limits()


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
    """The gold of each question on `database`, run as it is, scanning backwards (in two ways), and with its ranks."""
    sqls = [question.sql for question in questions]
    results = execute_many(database, sqls, limits)
    sound = [i for i, result in enumerate(results) if cut_short(result) is None]
    turned = dict(zip(sound, execute_many(database, [sqls[i] for i in sound], limits, reverse=True), strict=True))
    probes = _run({i: backwards(sqls[i]) for i in sound}, database, replace(limits, seconds=min(limits.seconds, 0.5)))
    ranks = _run({i: ranked(sqls[i], results[i]) for i in sound if _needs_ranks(questions[i])}, database, limits)
    judged = {i: _judge(questions[i], results[i], [turned[i], probes.get(i)], ranks.get(i)) for i in sound}
    return [judged.get(i) or Reference(result, False, (), _failure(result)) for i, result in enumerate(results)]


def _run(queries: dict[int, str | None], database: str | Path, limits: Limits) -> dict[int, ExecutionResult]:
    asked = {i: sql for i, sql in queries.items() if sql is not None}
    return dict(zip(asked, execute_many(database, list(asked.values()), limits), strict=True))


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
    if result.limit == "excluded":
        return Fault("gold_error", "gold_limit", f"The reference cannot be run. {result.error}")
    said = {"truncated": "returns more than the limits allow", "limit": f"was stopped ({result.limit})"}
    return Fault("gold_error", f"gold_{why}", f"The reference {said.get(why, f'fails: {result.error}')}.")


def _judge(question: Question, result: ExecutionResult, turned: list, ranks: ExecutionResult | None) -> Reference:
    ordered = has_order(question.sql) if question.order is None else question.order
    strict = tuple(range(len(result.rows)))
    start = offset(question.sql)
    known = _blocks(result, ranks, start)
    reference = Reference(result, ordered, known if known is not None and has_order(question.sql) else strict)
    fault = _not_as_written(question, reference)
    if fault is None and depends_on_clock_or_chance(question.sql):
        fault = Fault("unstable", "clock_or_chance", "The reference asks for the time or for chance: its rows change.")
    if fault is None and _tie_is_cut(result, ranks, start):
        fault = Fault("unstable", "tie_at_limit", "A LIMIT of the reference cuts through rows that are tied.")
    if fault is None and any(r and cut_short(r) is None and not reference.agrees(r) for r in turned):
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
