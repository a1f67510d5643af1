"""Why predictions failed: for each one class, with evidence, a hint and, where it is cheap, the repair; slices of a
run.

An invalid prediction is classed by SQLite's own message, a malformed one by intervention: which of the gold's
clauses, put into the prediction, makes the answer right (`interventions`). Whether a prediction is right at all is
decided by `scoring`, and what a good question set is by `linting`; where the linter blames the gold for what decides,
so does the diagnosis.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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
    from labkit.scoring import Score

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


def diagnose(question: Question, prediction: str, score: "Score", schema: Schema) -> Diagnosis:
    """The class of one scored prediction; `schema` is that of the database it was scored on.

    Takes milliseconds for what does not run, some 20 to 100 ms and at most 5 s for what runs and is wrong.
    """
    if score.verdict == "right":
        return Diagnosis("")
    if score.verdict in ("gold_error", "unstable"):
        return _diagnosis("suspect_gold", score.detail)
    if score.mode == "exact":
        score = scoring.score(question, prediction, schema.database, "execution")
        if score.verdict == "right":
            return _diagnosis("other_text", "The rows are the gold's; only the text of the query differs.")
        return diagnose(question, prediction, score, schema)
    if score.pred is None or (score.pred.error and score.pred.limit in (None, "refused")):
        return _invalid(question, prediction, score.pred.error if score.pred else "", schema)
    return _malformed(question, prediction, score, schema)


def _diagnosis(failure_class: str, evidence: str, suggestion: str = "", hint: str = "") -> Diagnosis:
    return Diagnosis(failure_class, evidence.strip(), hint or HINTS[failure_class], suggestion)


# --- it does not run --------------------------------------------------------------------------------------------------


def _invalid(question: Question, prediction: str, message: str, schema: Schema) -> Diagnosis:
    failure = invalid_class(prediction or "", message)
    if failure == "invalid_format":
        start = " ".join((prediction or "").split())[:60]
        return _diagnosis(failure, f"The reply begins {start!r}. {message}" if start else "The reply is empty.")
    evidence = f"SQLite says: {message.removesuffix('.')}."
    advice = foreign_hint(prediction)
    name = _named(message)
    if failure == "invalid_column" and name:
        repair = column_repair(prediction, name, schema, canonical(question.sql, schema))
        return _repaired(question, failure, repair, schema, evidence)
    if failure == "invalid_table" and name:
        return _repaired(question, failure, table_repair(prediction, name, schema), schema, evidence)
    return _diagnosis(failure, f"{evidence} {advice}", hint=f"{advice} {HINTS[failure]}".strip())


def _named(message: str) -> str:
    """The name that SQLite's message complains of."""
    match = re.search(r"(?:no such column|ambiguous column name|no such table): \"?([^\"]+?)\"?(?: - .*)?$", message)
    return match[1].removeprefix("main.") if match else ""


def _repaired(question: Question, failure: str, repair: Repair, schema: Schema, before: str) -> Diagnosis:
    """The diagnosis of an invented name: the first real one that makes the answer right, else the nearest."""
    for name, sql in repair.attempts:
        if scoring.score(question, sql, schema.database, "execution", _LIMITS).verdict == "right":
            return _diagnosis(failure, f"{before} {repair.evidence} With {name} the answer is right.", name)
    near = f" The nearest real name is {repair.suggestion}." if repair.suggestion else ""
    return _diagnosis(failure, f"{before} {repair.evidence}{near}", repair.suggestion)


# --- it runs, and is wrong --------------------------------------------------------------------------------------------


def _malformed(question: Question, prediction: str, score: "Score", schema: Schema) -> Diagnosis:
    misspelt = misspelt_names(prediction, schema, canonical(question.sql, schema))
    if misspelt:
        return _repaired(question, "invalid_column", misspelt[0], schema, "")

    def is_right(sql: str) -> bool:
        return scoring.score(question, sql, schema.database, score.mode, _LIMITS).verdict == "right"

    cause = find_cause(prediction, scoring.golds(question), schema, is_right)
    stopped = score.pred.limit is not None
    if stopped and not (cause and cause.repaired and len(cause.changes) == 1):
        return _diagnosis("runaway", score.pred.error or score.detail)
    if cause is None:
        return _diagnosis(_class_of_rows(score), f"{score.detail} No clause could be compared.")
    return _caused(question, prediction, score, schema, cause)


def _caused(question: Question, prediction: str, score: "Score", schema: Schema, cause: Cause) -> Diagnosis:
    ours = _blamed(question, schema) - silenced(question)
    theirs = _blamed(replace(question, sql=prediction, alternatives=(), rows=None), schema)
    failure = cause.failure_class
    if len(cause.changes) > 1:  # several clauses together: a fault that can be shown in the prediction names them best
        failure = next((_CLASS_OF_RULE[rule] for rule in theirs - ours), failure)
    suspected = [rule for rule in ours - theirs if _CLASS_OF_RULE[rule] == failure]
    if suspected:
        said = next(flaw.detail for flaw in flaws(question, schema) if flaw.rule == suspected[0])
        return _diagnosis("suspect_gold", f"About the reference: {said} {score.detail}", question.sql)
    evidence = f"{_changes(cause)} {score.detail} {_not_stored(prediction, schema, failure)}"
    return _diagnosis(failure, evidence, cause.repaired)


def _blamed(question: Question, schema: Schema) -> set[str]:
    return {flaw.rule for flaw in flaws(question, schema)} & set(_CLASS_OF_RULE)


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


def diagnose_run(run: "Run", questions: QuestionSet | Iterable[Question]) -> DiagnosedRun:
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
    schemas: dict[object, Schema] = {}
    diagnosed = []
    for result in run.results:
        question = by_id[result.question_id]
        database = questions.database_path(question)
        if database not in schemas:
            schemas[database] = read_schema(database)
        diagnosed.append(DiagnosedResult(result, question, _of_result(result, question, run.mode, schemas[database])))
    return DiagnosedRun(run, tuple(diagnosed))


def _of_result(result: "Result", question: Question, mode: str, schema: Schema) -> Diagnosis:
    if result.verdict == "right":
        return Diagnosis("")
    scored = scoring.score(question, result.prediction, schema.database, mode)
    found = diagnose(question, result.prediction, scored, schema)
    # a limit that was met in the run may not be met now, or the database has changed since
    return (
        found
        if found.failure_class
        else _diagnosis("runaway", f"In the run: {result.detail} It is right when run now.")
    )
