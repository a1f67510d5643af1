"""Which questions of a set cannot measure, and why, in sentences: said when a workspace is made, and before each run.

It mends nothing and leaves no question out; `labkit lint` looks closer.
"""

from dataclasses import replace
from pathlib import Path

from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.reference import Reference, references

_SHOWN = 8  # questions named in a sentence


def moved(questions: QuestionSet, database: Path) -> tuple[QuestionSet, list[str]]:
    """The set as asked of `database`, and what there is to say: about facts, which are left out, and about questions
    that were on another database. `LabkitError` where none is left."""
    asked = tuple(replace(q, database=str(database)) for q in questions if not q.is_fact)
    facts = (
        f"{len(questions) - len(asked)} of {len(questions)} questions of {_name(questions)} are facts without a query"
    )
    if not asked:
        raise LabkitError(f"{facts}: there is nothing to ask of {database.name}. Give questions with their SQL.")
    told = [f"{facts}; they are left out."] if len(asked) < len(questions) else []
    others = {q.database for q in questions if q.database and Path(q.database).stem != database.stem}
    if others:
        count, named = sum(q.database in others for q in questions), ", ".join(sorted(others)[:3])
        was = f"{count} of {len(questions)} questions of {_name(questions)} are on {named}{' ...' * (len(others) > 3)}"
        told.append(f"{was}; here they are asked of {database.name}.")
    return replace(questions, questions=asked), told


def said(questions: QuestionSet) -> list[str]:
    """What there is to say, [] for nothing; `LabkitError` where no question can measure."""
    unfit = troubles(questions)
    if not unfit:
        return []
    shown = "; ".join(f"{place}: {why.rstrip('.')}" for place, why in list(unfit.items())[:_SHOWN])
    shown += f"; and {len(unfit) - _SHOWN} more" * (len(unfit) > _SHOWN)
    if len(unfit) == len(questions):
        raise LabkitError(f"No question of {_name(questions)} can measure. {shown}. Is the set for another database?")
    count = f"{len(unfit)} of {len(questions)} questions of {_name(questions)}"
    return [f"{count} cannot measure, and will count as not right. {shown}. Mend them, or take them out."]


def troubles(questions: QuestionSet) -> dict[str, str]:
    """A question's id and line -> why none of its queries can measure; nothing is said of those with rows alone."""
    asked = [_alone(question, sql) for question in questions for sql in question.queries]
    found: dict[str, list[str]] = {}
    for database in dict.fromkeys(map(questions.database_path, asked)):
        here = [question for question in asked if questions.database_path(question) == database]
        for question, reference in zip(here, references(database, here), strict=True):
            found.setdefault(question.id, []).append(_trouble(question, reference))
    return {_place(q): found[q.id][0] for q in questions if q.id in found and all(found[q.id])}


def _alone(question: Question, sql: str) -> Question:
    """The question with one of its queries; its rows speak of the first."""
    return replace(question, sql=sql, alternatives=(), rows=question.rows if sql == question.sql else None)


def _trouble(question: Question, reference: Reference) -> str:
    if reference.fault:
        return reference.fault.detail
    empty = not reference.result.rows and question.rows != ()
    return "Its query finds no row, as many a wrong one does" if empty else ""


def _place(question: Question) -> str:
    return f"{question.id!r}" + f" (line {question.line})" * bool(question.line)


def _name(questions: QuestionSet) -> str:
    return Path(questions.path).name if questions.path else questions.name
