"""Why predictions failed: for each one class, with evidence, a hint and, where it is cheap, the repair; slices of a
run.

An invalid prediction is classed by SQLite's own message, a malformed one by intervention: which of the gold's
clauses, put into the prediction, makes the answer right (`interventions`). Whether a prediction is right at all is
decided by `scoring`, and what a good question set is by `linting`; where the linter blames the gold for what decides,
so does the diagnosis.
"""

import os
import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

from labkit import scoring
from labkit.canonical import canonical
from labkit.clauses import Edit
from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.execution import Limits
from labkit.failures import HINTS, foreign_hint, invalid_class
from labkit.interventions import Cause, find_cause
from labkit.linting import flaws, silenced
from labkit.repairs import Repair, column_repair, misspelt_names, table_repair, unknown_values
from labkit.schema import Schema, read_schema
from labkit.slices import DiagnosedResult, DiagnosedRun

if TYPE_CHECKING:
    from labkit.runs import Result, Run
    from labkit.scoring import Pair, Score

# What a rule of the linter says about a query is a cause of this class.
_CLASS_OF_RULE = {
    "ties_cut": "malformed_limit",
    "limit_without_order": "malformed_limit",
    "text_order": "malformed_type",
    "number_as_text": "malformed_type",
    "lossy_number": "malformed_type",
    "integer_division": "malformed_type",
    "missing_counted": "malformed_null",
    "null_in_not_in": "malformed_null",
    "bare_column": "malformed_group",
    "fan_out": "malformed_join",
}
_LIMITS = Limits(seconds=1.0)  # of a query under intervention
SECONDS = 4.0  # that the interventions on one prediction may take together
_AT_A_TIME = 200  # predictions that are under intervention together


@dataclass(frozen=True)
class Diagnosis:
    """`failure_class` is a key of `failures.HINTS`, "" for a right answer; all fields are plain texts.

    evidence: what was seen, in sentences. hint: what to teach or try. suggestion: the nearest real name for an
    invented one, SQL that is right for a malformed query, "" where there is none.
    """

    failure_class: str
    evidence: str = ""
    hint: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        return f"{self.failure_class or 'right'}: {self.evidence}"


# A diagnosis in the making: it yields a query, is sent whether that gives the right answer, returns what it found.
_Making = Generator[str, bool, Diagnosis]


def diagnose(question: Question, prediction: str, score: "Score", schema: Schema) -> Diagnosis:
    """The class of one scored prediction; `schema` is that of the database it was scored on.

    Takes milliseconds, and at most 5 s for what runs and is wrong.
    """
    return diagnose_many([scoring.Pair(question, prediction, schema.database)], [score], [schema])[0]


def diagnose_many(
    pairs: Sequence["Pair"], scores: Sequence["Score"], schemas: Iterable[Schema] = (), progress: bool = True
) -> list[Diagnosis]:
    """`diagnose` for each pair and its score, the interventions on all of them run together. Databases whose schema is
    not among `schemas` are read."""
    known = {schema.database: schema for schema in schemas}
    for database in dict.fromkeys(pair.database for pair, score in zip(pairs, scores, strict=True) if not score.right):
        if database not in known:
            known[database] = read_schema(database)
    found: list[Diagnosis] = []
    quiet = True if not progress or os.environ.get("CI") else None  # None: where there is no terminal
    with tqdm(total=len(pairs), desc="diagnosing", unit=" pairs", disable=quiet, leave=False) as bar:
        for start in range(0, len(pairs), _AT_A_TIME):
            here = slice(start, start + _AT_A_TIME)
            cases = [
                _Case(pair, score, known.get(pair.database)) for pair, score in _by_rows(pairs[here], scores[here])
            ]
            _bring_to_an_end(cases)
            found += [case.found for case in cases]
            bar.update(len(cases))
    return [_of_text(diagnosis, score) for diagnosis, score in zip(found, scores, strict=True)]


def _by_rows(pairs: Sequence["Pair"], scores: Sequence["Score"]) -> list[tuple["Pair", "Score"]]:
    """What is wrong by its text alone is scored by rows."""
    texts = [i for i, score in enumerate(scores) if score.mode == "exact" and not score.right]
    again = dict(zip(texts, scoring.score_many([pairs[i] for i in texts]), strict=True))
    return [(pair, again.get(i, score)) for i, (pair, score) in enumerate(zip(pairs, scores, strict=True))]


def _of_text(diagnosis: Diagnosis, score: "Score") -> Diagnosis:
    if score.mode != "exact" or score.right or diagnosis.failure_class:
        return diagnosis
    return _diagnosis("other_text", "The rows are the gold's; only the text of the query differs.")


class _Case:
    """One diagnosis in the making: the query that it asks about, or what it has found."""

    def __init__(self, pair: "Pair", score: "Score", schema: Schema | None):  # None: of a right one nothing is asked
        self.pair, self.mode, self.left = pair, score.mode, SECONDS
        self.found: Diagnosis | None = None
        self.steps = _making(pair.question, pair.prediction, score, schema)
        self.go_on(None)

    def go_on(self, right: bool | None) -> None:
        """To the next query; once the time is over nothing is right any more, which soon ends it."""
        try:
            self.asked = self.steps.send(right)
            while self.left <= 0:
                self.asked = self.steps.send(False)
        except StopIteration as end:
            self.found = end.value


def _bring_to_an_end(cases: list[_Case]) -> None:
    """In rounds: each case asks about one query, and all of those are run together."""
    while cases := [case for case in cases if case.found is None]:
        for mode in {case.mode for case in cases}:
            here = [case for case in cases if case.mode == mode]
            asked = [replace(case.pair, prediction=case.asked) for case in here]
            for case, score in zip(here, scoring.score_many(asked, mode, _LIMITS), strict=True):
                case.left -= score.pred.seconds if score.pred else 0
                case.go_on(score.right)


_EXCLUDED = (
    "It reads what is excluded. Ask for something else, or take it out of `exclude`: then the model sees it too."
)


def _making(question: Question, prediction: str, score: "Score", schema: Schema) -> _Making:
    if score.verdict == "right":
        return Diagnosis("")
    if score.verdict in ("gold_error", "unstable"):
        return _diagnosis("suspect_gold", score.detail)
    if score.pred is not None and score.pred.limit == "excluded":  # the schema that it was shown has no such column
        return _diagnosis("invalid_column", score.pred.error, hint=_EXCLUDED)
    if score.pred is None or (score.pred.error and score.pred.limit in (None, "refused")):
        return (yield from _invalid(question, prediction, score.pred.error if score.pred else "", schema))
    return (yield from _malformed(question, prediction, score, schema))


def _diagnosis(failure_class: str, evidence: str, suggestion: str = "", hint: str = "") -> Diagnosis:
    return Diagnosis(failure_class, evidence.strip(), hint or HINTS[failure_class], suggestion)


# --- it does not run --------------------------------------------------------------------------------------------------


def _invalid(question: Question, prediction: str, message: str, schema: Schema) -> _Making:
    failure = invalid_class(prediction or "", message)
    if failure == "invalid_format":
        start = " ".join((prediction or "").split())[:60]
        return _diagnosis(failure, f"The reply begins {start!r}. {message}" if start else "The reply is empty.")
    evidence = f"SQLite says: {message.removesuffix('.')}."
    advice = foreign_hint(prediction)
    name = _named(message)
    if failure == "invalid_column" and name:
        repair = column_repair(prediction, name, schema, canonical(question.sql, schema))
        return (yield from _repaired(failure, repair, evidence))
    if failure == "invalid_table" and name:
        return (yield from _repaired(failure, table_repair(prediction, name, schema), evidence))
    return _diagnosis(failure, f"{evidence} {advice}", hint=f"{advice} {HINTS[failure]}".strip())


def _named(message: str) -> str:
    """The name that SQLite's message complains of."""
    match = re.search(r"(?:no such column|ambiguous column name|no such table): \"?([^\"]+?)\"?(?: - .*)?$", message)
    return match[1].removeprefix("main.") if match else ""


def _repaired(failure: str, repair: Repair, before: str) -> _Making:
    """The diagnosis of an invented name: the first real one that makes the answer right, else the nearest."""
    for name, sql in repair.attempts:
        if (yield sql):
            return _diagnosis(failure, f"{before} {repair.evidence} With {name} the answer is right.", name)
    near = f" The nearest real name is {repair.suggestion}." if repair.suggestion else ""
    return _diagnosis(failure, f"{before} {repair.evidence}{near}", repair.suggestion)


# --- it runs, and is wrong --------------------------------------------------------------------------------------------


def _malformed(question: Question, prediction: str, score: "Score", schema: Schema) -> _Making:
    misspelt = misspelt_names(prediction, schema, canonical(question.sql, schema))
    if misspelt:
        return (yield from _repaired("invalid_column", misspelt[0], ""))
    cause = yield from find_cause(prediction, scoring.golds(question), schema)
    stopped = score.pred.limit is not None
    if stopped and not (cause and cause.repaired and len(cause.changes) == 1):
        return _diagnosis("runaway", score.pred.error or score.detail)
    if cause is None:
        why = "No clause could be compared." if question.sql else "There is no gold query to compare clauses with."
        return _diagnosis(_class_of_rows(score), f"{score.detail} {why}")
    return _caused(question, prediction, score, schema, cause)


def _caused(question: Question, prediction: str, score: "Score", schema: Schema, cause: Cause) -> Diagnosis:
    """Faults that the linter sees in the prediction name a cause of several clauses; in the gold, they put the blame
    on it."""
    theirs = replace(question, sql=prediction, alternatives=(), rows=None)
    failure = cause.failure_class
    if len(cause.changes) > 1:
        own = (rule for rule in _CLASS_OF_RULE if _flawed(theirs, schema, rule) and not _blamed(question, schema, rule))
        failure = next((_CLASS_OF_RULE[rule] for rule in own), failure)
    for rule in [rule for rule, name in _CLASS_OF_RULE.items() if name == failure]:
        if _blamed(question, schema, rule) and not _flawed(theirs, schema, rule):
            said = flaws(question, schema, [rule])[0].detail
            return _diagnosis("suspect_gold", f"About the reference: {said} {score.detail}", question.sql)
    evidence = f"{_changes(cause)} {score.detail} {_not_stored(prediction, schema, failure)}"
    return _diagnosis(failure, evidence, cause.repaired)


def _flawed(question: Question, schema: Schema, rule: str) -> bool:
    return bool(flaws(question, schema, [rule]))


def _blamed(question: Question, schema: Schema, rule: str) -> bool:
    return rule not in silenced(question) and _flawed(question, schema, rule)


def _changes(cause: Cause) -> str:
    """What the cause consists of: clause of the prediction, clause of the gold, and whether the change was enough."""
    said = " ".join(_difference(change) for change in cause.changes)
    if not cause.repaired:
        return said
    enough = "This change alone makes" if len(cause.changes) == 1 else "These changes together make"
    return f"{said} {enough} the answer right."


def _difference(change: Edit) -> str:
    prediction, gold = (sql if len(sql) <= 200 else sql[:197] + "..." for sql in (change.prediction, change.gold))
    if not prediction:
        return f"{change.clause}: the prediction lacks `{gold}`."
    if not gold:
        return f"{change.clause}: the prediction has `{prediction}`, the gold has nothing of it."
    return f"{change.clause}: the prediction has `{prediction}`, the gold `{gold}`."


def _not_stored(prediction: str, schema: Schema, failure: str) -> str:
    tree = canonical(prediction, schema) if failure in ("malformed_value", "malformed_null") else None
    for literal, column, near in unknown_values(tree, schema) if tree is not None else ():
        return f"No {column} is '{literal.name}'" + (f"; the nearest stored value is '{near}'." if near else ".")
    return ""


def _class_of_rows(score: "Score") -> str:
    """The class as far as the rows tell it, for a query that sqlglot cannot read."""
    by_reason = {
        "extra_columns": "malformed_projection",
        "missing_columns": "malformed_projection",
        "duplicates": "malformed_distinct",
        "order": "malformed_order",
    }
    return by_reason.get(score.reason, "malformed_filter")


# --- a run ------------------------------------------------------------------------------------------------------------


def diagnose_run(run: "Run", questions: QuestionSet | Iterable[Question], progress: bool = True) -> DiagnosedRun:
    """Diagnose every result of a run that is not right. `questions` must hold the run's questions and find the
    databases.

    `LabkitError` when a question of the run is missing there, or when the run was scored by text (facts).
    """
    if run.mode == "text":
        raise LabkitError(
            f"Run {run.id} is about facts, scored by text: a wrong reply has no class there. "
            f"`labkit runs show {run.id}` lists the replies."
        )
    by_id = {question.id: question for question in questions}
    missing = [result.question_id for result in run.results if result.question_id not in by_id]
    if missing:
        shown = ", ".join(missing[:5])
        raise LabkitError(
            f"The run has results for {shown}, which are not in the question set. Is it the set of this run?"
        )
    asked = [by_id[result.question_id] for result in run.results]
    pairs = [
        scoring.Pair(question, result.prediction, questions.database_path(question))
        for question, result in zip(asked, run.results, strict=True)
    ]
    failed = [i for i, result in enumerate(run.results) if result.verdict != "right"]
    scores = scoring.score_many([pairs[i] for i in failed], run.mode)
    found = dict(zip(failed, diagnose_many([pairs[i] for i in failed], scores, progress=progress), strict=True))
    diagnosed = [
        DiagnosedResult(result, question, _of_run(result, found[i]) if i in found else Diagnosis(""))
        for i, (result, question) in enumerate(zip(run.results, asked, strict=True))
    ]
    return DiagnosedRun(run, tuple(diagnosed))


def _of_run(result: "Result", found: Diagnosis) -> Diagnosis:
    """A limit that was met in the run may not be met now, or the database has changed since."""
    if found.failure_class:
        return found
    return _diagnosis("runaway", f"In the run: {result.detail} It is right when run now.")
