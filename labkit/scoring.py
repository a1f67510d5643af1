"""Does a prediction give the reference's answer: exact (the same text), execution (the same rows), semantic (the same
rows on perturbed copies of the database as well), text (a fact's reply is its answer, no SQL at all).

The verdict is about rows, not about style. Where the reference itself cannot be trusted it is `unstable` or
`gold_error`, which count as not right. Gold and prediction each run on a fresh connection in the sandbox. What is wrong
*with the query*, in the words of SQL, is `diagnosis`.

Two empty results prove nothing, since every impossible condition gives one: that is `gold_error` (reason `gold_empty`),
unless the question says `rows: []`, the texts are the same, or a perturbed copy shows rows (semantic mode).
"""

import hashlib
import unicodedata
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from labkit.dataset import Question
from labkit.errors import LabkitError
from labkit.execution import ExecutionResult, Limits, execute_many
from labkit.matching import same_bag, same_rows_once
from labkit.perturb import is_nothing, is_silent, perturbed_copies
from labkit.reference import DEFAULT_LIMITS, Reference, as_table, cut_short, references
from labkit.sqltext import normalise_text

MODES = ("exact", "execution", "semantic", "text")
_CACHED = 2_000  # golds whose results are kept
_CACHED_ROWS = 2_000  # a larger result is not kept


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


def score(
    question: Question,
    prediction: str,
    database: str | Path | None,
    mode: str = "execution",
    limits: Limits = DEFAULT_LIMITS,
) -> Score:
    """The score of one prediction; `LabkitError` when there is no such mode or database. Mode "text" needs none."""
    return score_many([Pair(question, prediction, None if database is None else Path(database))], mode, limits)[0]


def score_many(pairs: Sequence[Pair], mode: str = "execution", limits: Limits = DEFAULT_LIMITS) -> list[Score]:
    """Scores in the order of `pairs`, batched by database; a gold's result is kept by file hash, query and limits."""
    check_mode((pair.question for pair in pairs), mode)
    if mode == "text":
        return [_reply(pair) for pair in pairs]
    if mode == "exact":
        return [_exact(pair) for pair in pairs]
    for pair in pairs:
        if pair.database is None:
            raise LabkitError(f"Question {pair.question.id!r} has a query, so it needs a database to be scored on.")
    scores: dict[int, Score] = {}
    for database in dict.fromkeys(pair.database for pair in pairs):
        here = {i: pair for i, pair in enumerate(pairs) if pair.database == database}
        scores |= zip(here, _by_rows(list(here.values()), database, limits), strict=True)
    in_order = [scores[i] for i in range(len(pairs))]
    return (
        in_order if mode == "execution" else [_confirmed(*each, limits) for each in zip(pairs, in_order, strict=True)]
    )


def check_mode(questions: Iterable[Question], mode: str) -> None:
    """`LabkitError` when there is no such mode, or when a question lacks what the mode compares with."""
    if mode not in MODES:
        raise LabkitError(f"There is no scoring mode {mode!r}. The modes are {', '.join(MODES)}.")
    for question in questions:
        if mode == "text" and question.answer is None:
            raise LabkitError(f"Question {question.id!r} has no answer, which mode 'text' compares. Score its SQL.")
        if mode != "text" and question.is_fact:
            raise LabkitError(f"Question {question.id!r} is a fact: an answer and no query. Score it in mode 'text'.")


def same_text(reply: str, answer: str) -> bool:
    """Whether a reply is the answer: all of it, letter by letter. Only runs of white space count as one space (none at
    the ends), and a letter with its accent is the same in one code point or two (Unicode NFC). "in 1987", "1987." and
    "nineteen eighty-seven" are not "1987": a right answer within a sentence is not recognised here, on purpose."""
    return _folded(reply) == _folded(answer)


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _reply(pair: Pair) -> Score:
    if not is_sql(pair.prediction):
        return Score("wrong", "text", "no_reply", "The reply is empty.")
    if same_text(pair.prediction, pair.question.answer):
        return Score("right", "text")
    said = f"The reply is {_shown(pair.prediction)} instead of {_shown(pair.question.answer)}."
    return Score("wrong", "text", "text", said)


def _exact(pair: Pair) -> Score:
    if not is_sql(pair.prediction):
        return _no_sql("exact")
    texts = {normalise_text(sql) for sql in golds(pair.question)}
    if normalise_text(pair.prediction) in texts:
        return Score("right", "exact")
    return Score("wrong", "exact", "text", "The text is not the reference's (spaces, case and comments aside).")


def _no_sql(mode: str) -> Score:
    return Score("wrong", mode, "no_sql", "There is no SQL in the prediction.")


def is_sql(prediction) -> bool:
    """Whether there is any text, to run or to read."""
    return isinstance(prediction, str) and bool(prediction.strip())


def golds(question: Question) -> tuple[str, ...]:
    """The question's query and its alternatives."""
    return question.queries


# --- by rows ----------------------------------------------------------------------------------------------------------


def _by_rows(pairs: Sequence[Pair], database: Path, limits: Limits) -> list[Score]:
    wanted = [_alone(pair.question, sql) for pair in pairs for sql in golds(pair.question)]
    found = dict(zip(wanted, _kept_references(database, wanted, limits), strict=True))
    run = [i for i, pair in enumerate(pairs) if is_sql(pair.prediction)]
    results = dict(zip(run, execute_many(database, [pairs[i].prediction for i in run], limits), strict=True))
    scores = []
    for i, pair in enumerate(pairs):
        tried = [_judge(found[_alone(pair.question, sql)], results.get(i), pair, sql) for sql in golds(pair.question)]
        scores.append(next((s for s in tried if s.right), tried[0]))
    return scores


def _alone(question: Question, sql: str) -> Question:
    """What a reference depends on, and no more: equal ones are run once. `rows` speaks of the main query only."""
    return Question("", "", sql, "", rows=question.rows if sql == question.sql else None, order=question.order)


def _judge(reference: Reference, pred: ExecutionResult | None, pair: Pair, sql: str) -> Score:
    """One prediction against one gold. What is wrong under any reading of the gold is wrong, however unstable it is."""
    fault, gold = reference.fault, reference.result

    def verdict(verdict: str, reason: str = "", detail: str = "") -> Score:
        return Score(verdict, "execution", reason, detail, gold, pred)

    if fault is not None and fault.verdict == "gold_error":
        return verdict(fault.verdict, fault.reason, fault.detail)
    if pred is None:
        return replace(_no_sql("execution"), gold=gold)
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
    lacking = Counter(gold.rows) - Counter(pred.rows)
    surplus = Counter(pred.rows) - Counter(gold.rows)
    parts = [counts] if len(pred.rows) != len(gold.rows) else []
    parts += [f"{_shown(next(iter(lacking)))} is missing"] if lacking else []
    parts += [f"{_shown(next(iter(surplus)))} should not be there"] if surplus else []
    return "rows", f"{'; '.join(parts) or 'Other rows'}."


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _shown(value: tuple | str) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


# --- on perturbed copies ----------------------------------------------------------------------------------------------


def _confirmed(pair: Pair, score: Score, limits: Limits) -> Score:
    """A score by rows, confirmed or refuted on perturbed copies; one gold must hold on the database and all copies."""
    score = replace(score, mode="semantic")
    if not score.right and score.reason != "gold_empty":
        return score
    refuted = None
    for sql in golds(pair.question):
        alone = Pair(replace(pair.question, sql=sql, alternatives=()), pair.prediction, pair.database)
        here = score_many([alone], "execution", limits)[0]
        if here.right or here.reason == "gold_empty":
            found = _on_copies(alone, replace(here, mode="semantic"), limits)
            if found.right:
                return found
            refuted = refuted or found
    return refuted or score


def _on_copies(pair: Pair, score: Score, limits: Limits) -> Score:
    """On copies the gold is stable, and on some it gives rows: so they settle what two empty results leave open."""
    shown = False
    for copy in perturbed_copies(pair.database, pair.question.sql, order=pair.question.order):
        there = _by_rows([Pair(replace(pair.question, rows=None), pair.prediction, copy)], copy, limits)[0]
        if is_silent(there.gold):
            continue
        nothing = is_nothing(there.gold.rows)
        if there.verdict == "wrong" and not (nothing and there.pred.ok and is_nothing(there.pred.rows)):
            said = f"On a perturbed copy ({copy}): {there.detail}"
            return replace(score, verdict="wrong", reason="counterexample", detail=f"{said}{_both(there)}")
        shown = shown or (not nothing and there.gold.rows != score.gold.rows)
    if not shown:
        return replace(score, detail=score.detail or "On no perturbed copy does the reference give other rows.")
    return replace(score, verdict="right", reason="", detail="")


def _both(score: Score) -> str:
    gold, pred = (_shown(result.rows[:3]) for result in (score.gold, score.pred))
    return f" The reference gives {gold} there, the prediction {score.pred.error or pred}."


# --- golds are run once -----------------------------------------------------------------------------------------------

_kept: OrderedDict[tuple, Reference] = OrderedDict()


def _kept_references(database: Path, wanted: Sequence[Question], limits: Limits) -> list[Reference]:
    """A reference for each of `wanted`; those not seen before on a file of this content are run together."""
    digest = database_hash(database)
    missing = [question for question in dict.fromkeys(wanted) if (digest, question, limits) not in _kept]
    fresh = dict(zip(missing, references(database, missing, limits), strict=True))
    found = [fresh.get(question) or _kept[digest, question, limits] for question in wanted]
    for question, reference in fresh.items():
        # a limit met may be the machine's mood: try again next time
        if reference.result.limit is None and len(reference.result.rows) <= _CACHED_ROWS:
            _kept[digest, question, limits] = reference
    while len(_kept) > _CACHED:
        _kept.popitem(last=False)
    return found


def database_hash(database: str | Path) -> str:
    """sha256 of the file and of its write-ahead log; read again only when size or time of one has changed."""
    files = [file for file in (Path(database), Path(f"{database}-wal")) if file.is_file()]
    if not files or files[0] != Path(database):
        raise LabkitError(f"There is no database {database}. Give the path of a SQLite file.")
    return _hash(tuple((str(file), (stat := file.stat()).st_mtime_ns, stat.st_size, stat.st_ino) for file in files))


@lru_cache(256)
def _hash(files: tuple) -> str:
    digest = hashlib.sha256()
    for path, *_ in files:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
