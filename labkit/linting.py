"""What is wrong with a question set's reference queries, before any model is blamed for it.

`lint` runs every rule of `lint_rules` on every gold and looks for questions and queries that occur twice, in the set
or in others; of facts and of questions with rows alone, which have no query, only the second. A gold that breaks a rule
on purpose says so in its note: ``lint: ok duplicate_rows because two players share it``. Nothing is repaired here, and
a set that passes can still be wrong: the linter does not read the question.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from tqdm.auto import tqdm

from labkit.canonical import Unseen
from labkit.dataset import Question, QuestionSet, overlap
from labkit.errors import LabkitError
from labkit.exclusion import said
from labkit.lint_rules import RULES
from labkit.probes import Gold
from labkit.schema import Schema, read_schema
from labkit.sqltext import normalise_question, normalise_sql

_SILENCED = re.compile(r"lint:\s*ok\s+([a-z_, ]+?)\s+because\s+\S", re.IGNORECASE)


@dataclass(frozen=True)
class Flaw:
    """A rule that a gold breaks; `detail` is a sentence that says what was found and what to do."""

    rule: str
    detail: str


@dataclass(frozen=True)
class Finding:
    """A flaw of a question in a set; `file` and `line` are None for sets that do not come from a file."""

    question_id: str
    rule: str
    detail: str
    file: Path | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file and self.line else ""
        return f"{place}{self.question_id}: {self.detail} [{self.rule}]"


def lint(questions: QuestionSet, others: Sequence[QuestionSet] = (), progress: bool = True) -> list[Finding]:
    """Every flaw of the set, by question; `others` are sets that it must share no question and no query with.

    `LabkitError` when a database is missing, or two questions have one id. Takes about 20 ms a question.
    """
    twice = [name for name, count in Counter(question.id for question in questions).items() if count > 1]
    if twice:
        raise LabkitError(f"The id {twice[0]!r} occurs twice in {questions.name}. Give each question its own.")
    schemas: dict[Path, Schema] = {}
    found: dict[str, list[Flaw]] = {question.id: [] for question in questions}
    quiet = True if not progress or os.environ.get("CI") else None
    for question in tqdm(questions, desc="linting", unit=" questions", disable=quiet, leave=False):
        if not question.sql:
            continue
        database = questions.database_path(question)
        if database not in schemas:
            schemas[database] = read_schema(database)
        found[question.id] += flaws(question, schemas[database])
    for question_id, flaw in [*_repeated(questions), *(pair for other in others for pair in _shared(questions, other))]:
        found[question_id].append(flaw)
    return [
        Finding(question.id, flaw.rule, flaw.detail, questions.path, question.line)
        for question in questions
        for flaw in found[question.id]
        if flaw.rule not in silenced(question)
    ]


def flaws(question: Question, schema: Schema, rules: Sequence[str] | None = None) -> list[Flaw]:
    """What the rules (all, or those named) find in one gold, whatever its note says."""
    bare = replace(question, id="", question="", note="", tags=(), line=None)
    key = (bare, schema.database, schema.database.stat().st_mtime_ns, tuple(said(schema.database)), Unseen(schema))
    names = _RULES if rules is None else rules
    return [Flaw(name, detail) for name in names for detail in dict.fromkeys(_details(name, *key))]


def silenced(question: Question) -> set[str]:
    """Rules that the question's note allows it to break, each with a reason."""
    return {rule for match in _SILENCED.finditer(question.note) for rule in re.split(r"[\s,]+", match[1].lower())}


_RULES = {rule.__name__: rule for rule in RULES}


@lru_cache(8192)
def _details(name: str, *key) -> tuple[str, ...]:
    return tuple(_RULES[name](_gold(*key)))


@lru_cache(256)
def _gold(question: Question, _database: Path, _changed: int, _excluded: tuple[str, ...], unseen: Unseen) -> Gold:
    return Gold(question, unseen.schema)


# --- sets -------------------------------------------------------------------------------------------------------------


def _shared(questions: QuestionSet, other: Iterable[Question]) -> Iterator[tuple[str, Flaw]]:
    name = getattr(other, "name", "the other set")
    for shared in overlap(questions, other):
        for question_id in shared.a if shared.kind != "skeleton" else ():
            detail = f"Its {shared.kind} is also that of {shared.b[0]} in {name}. Drop it from one of the sets."
            yield question_id, Flaw("overlap", detail)


def _repeated(questions: QuestionSet) -> Iterator[tuple[str, Flaw]]:
    """Questions and queries that occur twice in the set, told at the second place; questions with two answers."""
    first: dict[tuple, Question] = {}
    for question in questions:
        asked = (question.database, normalise_question(question.question))
        twin = first.setdefault(asked, question)
        if twin is not question:
            same = _gold_of(twin) == _gold_of(question)
            rule = "repeated" if same else "contradiction"
            said = "asks the same" if same else "asks the same, with another answer"
            yield question.id, Flaw(rule, f"{twin.id} {said}. Keep one of the two.")
            continue
        if not question.sql:
            continue
        twin = first.setdefault((question.database, normalise_sql(question.sql), ""), question)
        if twin is not question:
            yield question.id, Flaw("repeated", f"{twin.id} has the same query. Keep one of the two.")


def _gold_of(question: Question) -> tuple:
    """What decides whether two golds are the same: of rows without a query, the rows."""
    return normalise_sql(question.sql), question.answer, question.rows if question.rows_only else None
