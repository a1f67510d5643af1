"""Does a prediction give the reference's answer: exact (the same text), execution (the same rows), semantic (the same
rows on perturbed copies of the database as well), rows (those stored with the question, whatever query gave them), text
(a fact's reply is its answer, no SQL at all). A question that has rows and no query is scored by them in mode
"execution" too, and its score says `rows`.

The verdict is about rows, not about style. Where the reference itself cannot be trusted it is `unstable` or
`gold_error`, which count as not right. Gold and prediction run in the sandbox, where neither sees the other. What is
wrong *with the query*, in the words of SQL, is `diagnosis`.

Two empty results prove nothing, since every impossible condition gives one: that is `gold_error` (reason `gold_empty`),
unless the question says `rows: []`, the texts are the same, or a perturbed copy shows rows (semantic mode).
"""

import hashlib
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from labkit.dataset import Question
from labkit.errors import LabkitError
from labkit.exclusion import said
from labkit.execution import ExecutionResult, Limits, Task, execute_many, execute_tasks
from labkit.judging import Pair, Score, is_sql, judge, no_sql, shown
from labkit.perturb import is_nothing, is_silent
from labkit.reference import DEFAULT_LIMITS, Reference, references
from labkit.sqltext import normalise_text
from labkit.suites import Copy, suite

MODES = ("exact", "execution", "semantic", "rows", "text")
_CACHED = 2_000  # golds whose results are kept
_CACHED_ROWS = 2_000  # a larger result is not kept
_AT_A_TIME = 200  # predictions that are tried on their copies together


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
    places: dict[Path, list[int]] = {}
    for i, pair in enumerate(pairs):
        places.setdefault(pair.database, []).append(i)
    scores: dict[int, Score] = {}
    for database, here in places.items():
        scores |= zip(here, _by_rows([pairs[i] for i in here], database, limits, mode == "rows"), strict=True)
    in_order = [scores[i] for i in range(len(pairs))]
    return _confirmed(pairs, in_order, limits) if mode == "semantic" else in_order


def check_mode(questions: Iterable[Question], mode: str) -> None:
    """`LabkitError` when there is no such mode, or when a question lacks what the mode compares with."""
    if mode not in MODES:
        raise LabkitError(f"There is no scoring mode {mode!r}. The modes are {', '.join(MODES)}.")
    for question in questions:
        if mode == "text" and question.answer is None:
            raise LabkitError(f"Question {question.id!r} has no answer, which mode 'text' compares. Score its SQL.")
        if mode != "text" and question.is_fact:
            raise LabkitError(f"Question {question.id!r} is a fact: an answer and no query. Score it in mode 'text'.")
        if mode in ("exact", "semantic") and not question.sql:
            raise LabkitError(f"Question {question.id!r} has rows and no query, which mode {mode!r} needs. Use 'rows'.")
        if mode == "rows" and question.rows is None:
            raise LabkitError(f"Question {question.id!r} has no rows, which mode 'rows' compares. Use 'execution'.")


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
    said = f"The reply is {shown(pair.prediction)} instead of {shown(pair.question.answer)}."
    return Score("wrong", "text", "text", said)


def _exact(pair: Pair) -> Score:
    if not is_sql(pair.prediction):
        return no_sql("exact")
    texts = {normalise_text(sql) for sql in golds(pair.question)}
    if normalise_text(pair.prediction) in texts:
        return Score("right", "exact")
    return Score("wrong", "exact", "text", "The text is not the reference's (spaces, case and comments aside).")


def golds(question: Question) -> tuple[str, ...]:
    """The question's query and its alternatives."""
    return question.queries


# --- by rows ----------------------------------------------------------------------------------------------------------


def _by_rows(pairs: Sequence[Pair], database: Path, limits: Limits, stored: bool = False) -> list[Score]:
    """`stored`: by the rows that the questions hold, whether or not they have a query."""
    wanted = [] if stored else [alone(pair.question, sql) for pair in pairs for sql in golds(pair.question)]
    found = dict(zip(wanted, kept_references(database, wanted, limits), strict=True))
    known = {question.sql: reference.result for question, reference in found.items()}  # the same text, the same rows
    run = list({pair.prediction: None for pair in pairs if is_sql(pair.prediction) and pair.prediction not in known})
    results = known | dict(zip(run, execute_many(database, run, limits), strict=True))
    scores = []
    for pair in pairs:
        pred = results[pair.prediction] if is_sql(pair.prediction) else None
        if stored or pair.question.rows_only:
            scores.append(_by_stored_rows(pair, pred))
            continue
        tried = (judge(found[alone(pair.question, sql)], pred, pair, sql) for sql in golds(pair.question))
        scores.append(_best(list(tried)))
    return scores


def _by_stored_rows(pair: Pair, pred: ExecutionResult | None) -> Score:
    """In order where the question says so. No query tells which rows are tied, so every one has its place then."""
    gold = stored_result(pair.question, len(pred.columns) if pred else 0)
    reference = Reference(gold, bool(pair.question.order), tuple(range(len(gold.rows))))
    return replace(judge(reference, pred, pair, ""), mode="rows")


def stored_result(question: Question, width: int = 0) -> ExecutionResult:
    """The rows that the question holds, as a query would have given them; no rows are `width` columns wide."""
    width = len(question.rows[0]) if question.rows else width
    return ExecutionResult(tuple(f"column {i + 1}" for i in range(width)), question.rows)


def _best(tried: list[Score]) -> Score:
    return next((score for score in tried if score.right), tried[0])


def alone(question: Question, sql: str) -> Question:
    """What a reference depends on, and no more: equal ones are run once. `rows` speaks of the main query only."""
    return Question("", "", sql, "", rows=question.rows if sql == question.sql else None, order=question.order)


# --- on perturbed copies ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Trial:
    """A prediction that is right by rows under one of its question's golds, now on trial on that gold's copies."""

    pair: Pair  # its question has this gold alone
    score: Score  # by rows
    copies: tuple[Copy, ...]


def _confirmed(pairs: Sequence[Pair], scores: Sequence[Score], limits: Limits) -> list[Score]:
    """Scores by rows, confirmed or refuted on perturbed copies; one gold must hold on the database and all copies."""
    confirmed = [replace(score, mode="semantic") for score in scores]
    open_ = [i for i, score in enumerate(scores) if score.right or score.reason == "gold_empty"]
    for start in range(0, len(open_), _AT_A_TIME):
        slice_ = open_[start : start + _AT_A_TIME]
        suites: dict[tuple, tuple[Copy, ...]] = {}
        trials = {i: _trials(pairs[i], scores[i], limits, suites) for i in slice_}
        results = _on_copies([trial for each in trials.values() for trial in each], limits)
        for i in slice_:
            confirmed[i] = _best([_settled(trial, results, limits) for trial in trials[i]] or [confirmed[i]])
    return confirmed


def _trials(pair: Pair, score: Score, limits: Limits, suites: dict) -> list[_Trial]:
    """A trial for each gold that the rows speak for; `suites` keeps those that were looked up."""
    trials = []
    for sql in golds(pair.question):
        rows = pair.question.rows if sql == pair.question.sql else None
        alone = replace(pair, question=replace(pair.question, sql=sql, alternatives=(), rows=rows))
        if pair.question.alternatives:
            score = _by_rows([alone], pair.database, limits)[0]
        if score.right or score.reason == "gold_empty":
            key = (pair.database, sql, pair.question.order)
            if key not in suites:
                suites[key] = suite(*key)
            trials.append(_Trial(alone, score, suites[key]))
    return trials


def _on_copies(trials: Sequence[_Trial], limits: Limits) -> dict[Task, ExecutionResult]:
    """The predictions' results on the copies, each run once; a prediction that is the gold's text need not be run."""
    wanted = {
        Task(copy.database, trial.pair.prediction)
        for trial in trials
        for copy in trial.copies
        if trial.pair.prediction != trial.pair.question.sql
    }
    tasks = sorted(wanted, key=lambda task: (str(task.database), task.sql))
    return dict(zip(tasks, execute_tasks(tasks, limits), strict=True))


def _settled(trial: _Trial, results: dict[Task, ExecutionResult], limits: Limits) -> Score:
    """On copies the gold is stable, and on some it gives rows: so they settle what two empty results leave open."""
    score, shown = replace(trial.score, mode="semantic"), False
    free = replace(trial.pair, question=replace(trial.pair.question, rows=None))
    for copy in trial.copies:
        gold = copy.reference.result
        if is_silent(gold) or len(gold.rows) > limits.rows:
            continue
        pred = results.get(Task(copy.database, trial.pair.prediction), gold)
        there, nothing = judge(copy.reference, pred, free, trial.pair.question.sql), is_nothing(gold.rows)
        if there.verdict == "wrong" and not (nothing and pred.ok and is_nothing(pred.rows)):
            said = f"On a perturbed copy ({copy.database}): {there.detail}"
            return replace(score, verdict="wrong", reason="counterexample", detail=f"{said}{_both(there)}")
        shown = shown or (not nothing and gold.rows != score.gold.rows)
    if not shown:
        return replace(score, detail=score.detail or "On no perturbed copy does the reference give other rows.")
    return replace(score, verdict="right", reason="", detail="")


def _both(score: Score) -> str:
    gold, pred = (shown(result.rows[:3]) for result in (score.gold, score.pred))
    return f" The reference gives {gold} there, the prediction {score.pred.error or pred}."


# --- golds are run once -----------------------------------------------------------------------------------------------

_kept: OrderedDict[tuple, tuple[Reference, float]] = OrderedDict()  # with the seconds that it was given


def kept_references(database: Path, wanted: Sequence[Question], limits: Limits = DEFAULT_LIMITS) -> list[Reference]:
    """A reference for each of `wanted`, which are as `alone` gives them; those not seen before on a file of this
    content are run together. One that was given more time, and took less, is as good."""
    place = (database_hash(database), *said(database), limits.rows, limits.bytes, limits.memory)
    found = {question: _seen((place, question), limits.seconds) for question in dict.fromkeys(wanted)}
    missing = [question for question, reference in found.items() if reference is None]
    for question, reference in zip(missing, references(database, missing, limits), strict=True):
        found[question] = reference
        # a limit met may be the machine's mood: try again next time
        if reference.result.limit is None and len(reference.result.rows) <= _CACHED_ROWS:
            _kept[place, question] = reference, limits.seconds
    while len(_kept) > _CACHED:
        _kept.popitem(last=False)
    return [found[question] for question in wanted]


def _seen(key: tuple, seconds: float) -> Reference | None:
    reference, given = _kept.get(key, (None, 0.0))
    return reference if reference is not None and given >= seconds >= reference.result.seconds else None


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
