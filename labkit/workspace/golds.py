"""Which questions of a set cannot measure, and why, in sentences: said when a workspace is made, and before each run.

It mends nothing and leaves no question out; `labkit lint` looks closer.
"""

from dataclasses import replace
from pathlib import Path

from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.reference import Reference
from labkit.scoring import alone, kept_references

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
    found: dict[str, str] = {}
    asked = [question for question in questions if question.sql]
    for database in dict.fromkeys(map(questions.database_path, asked)):
        here = [question for question in asked if questions.database_path(question) == database]
        wanted = [alone(question, sql) for question in here for sql in question.queries]
        judged = dict(zip(wanted, kept_references(database, wanted), strict=True))
        for question in here:
            why = [_trouble(question, judged[alone(question, sql)]) for sql in question.queries]
            found |= {place(question): why[0]} if all(why) else {}
    return found


def _trouble(question: Question, reference: Reference) -> str:
    if reference.fault:
        return reference.fault.detail
    empty = not reference.result.rows and question.rows != ()
    return "Its query finds no row, as many a wrong one does" if empty else ""


def place(question: Question) -> str:
    """By which a question is named: its id, and its line where it has one."""
    return f"{question.id!r}" + f" (line {question.line})" * bool(question.line)


def _name(questions: QuestionSet) -> str:
    return Path(questions.path).name if questions.path else questions.name
