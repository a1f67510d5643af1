"""One prediction's result against one gold's: the verdict, a code for what is wrong, and the sentence that says it.

Nothing is run here; which golds a question has, and what perturbed copies say, is `scoring`.
"""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from labkit.dataset import Question
from labkit.execution import ExecutionResult
from labkit.matching import same_bag, same_rows_once
from labkit.reference import Reference, as_table, cut_short
from labkit.sqltext import normalise_text


@dataclass(frozen=True)
class Pair:
    """A question, the SQL (of a fact: the reply) that a model gave for it, and the database file to run both on."""

    question: Question
    prediction: str
    database: Path | None


@dataclass(frozen=True)
class Score:
    """`verdict`: "right", "wrong", "unstable" or "gold_error"; `reason`: a code, "" when right; `detail`: a sentence.

    Reasons of wrong: no_sql, no_reply, text (exact and text mode), error, limit, truncated, extra_columns,
    missing_columns, rows, duplicates, order, counterexample (semantic mode). Of unstable: tie_at_limit, scan_order,
    clock_or_chance. Of gold_error: gold_error, gold_limit, gold_truncated, gold_rows, gold_empty.
    """

    verdict: str
    mode: str
    reason: str = ""
    detail: str = ""
    gold: ExecutionResult | None = None
    pred: ExecutionResult | None = None

    @property
    def right(self) -> bool:
        return self.verdict == "right"


def no_sql(mode: str) -> Score:
    """The score of a prediction without any text."""
    return Score("wrong", mode, "no_sql", "There is no SQL in the prediction.")


def is_sql(prediction) -> bool:
    """Whether there is any text, to run or to read."""
    return isinstance(prediction, str) and bool(prediction.strip())


def judge(reference: Reference, pred: ExecutionResult | None, pair: Pair, sql: str) -> Score:
    """One prediction against one gold. What is wrong under any reading of the gold is wrong, however unstable it is."""
    fault, gold = reference.fault, reference.result

    def verdict(verdict: str, reason: str = "", detail: str = "") -> Score:
        return Score(verdict, "execution", reason, detail, gold, pred)

    if fault is not None and fault.verdict == "gold_error":
        return verdict(fault.verdict, fault.reason, fault.detail)
    if pred is None:
        return replace(no_sql("execution"), gold=gold)
    failed = _failed(pred) or _width(gold, pred)
    if failed:
        return verdict("wrong", *failed)
    if fault is not None:
        return verdict(fault.verdict, fault.reason, fault.detail)
    if not reference.agrees(pred):
        return verdict("wrong", *_difference(reference, pred))
    if not gold.rows and pair.question.rows != () and normalise_text(sql) != normalise_text(pair.prediction):
        return verdict("gold_error", "gold_empty", "Both results are empty, which proves nothing.")
    return verdict("right")


def _failed(pred: ExecutionResult) -> tuple[str, str] | None:
    why = cut_short(pred)
    details = {
        "truncated": "The prediction returns more than the limits allow.",
        "limit": f"The prediction was stopped by a limit ({pred.limit}).",
        "error": f"The prediction does not run: {pred.error}.",
    }
    return (why, details[why]) if why else None


def _width(gold: ExecutionResult, pred: ExecutionResult) -> tuple[str, str] | None:
    ours, theirs = len(gold.columns), len(pred.columns)
    if ours == theirs:
        return None
    said = f"{_count(theirs, 'column')} ({', '.join(pred.columns)}) instead of {ours} ({', '.join(gold.columns)})."
    return ("extra_columns" if theirs > ours else "missing_columns", said)


def _difference(reference: Reference, pred: ExecutionResult) -> tuple[str, str]:
    gold = reference.result
    ours, theirs = as_table(gold), as_table(pred)
    if reference.ordered and same_bag(ours, theirs):
        return "order", "The rows are right, their order is not."
    counts = f"{_count(len(pred.rows), 'row')} instead of {len(gold.rows)}"
    if len(pred.rows) != len(gold.rows) and same_rows_once(ours, theirs):
        return "duplicates", f"{counts}: the same rows, another number of times."
    wanted, got = Counter(gold.rows), Counter(pred.rows)
    lacking = next((row for row in wanted if wanted[row] > got[row]), None)
    surplus = next((row for row in got if got[row] > wanted[row]), None)
    parts = [counts] if len(pred.rows) != len(gold.rows) else []
    parts += [f"{shown(lacking)} is missing"] if lacking is not None else []
    parts += [f"{shown(surplus)} should not be there"] if surplus is not None else []
    return "rows", f"{'; '.join(parts) or 'Other rows'}."


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def shown(value: tuple | str) -> str:
    """A row or a text as a sentence quotes it, 120 characters at most."""
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
