"""Questions on the move: into an evaluation set, out of it into training, with a corrected gold, or set aside.

Each verb changes one set's file, and each change is a new version: the file always holds the present one, earlier
ones stay under `versions/` beside it, as `NAME.v1.jsonl` and so on. Writing is atomic and in an order such that a
crash leaves a question in two places rather than in none; doing the same again finishes the work. Nothing here draws
anything, knows a model or decides what is right: a person does, in a notebook or in `widgets.inspector`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from labkit.dataset import Question, QuestionSet, load_questions, overlap, save_questions
from labkit.errors import LabkitError
from labkit.execution import execute
from labkit.home import home, write_atomically
from labkit.sqltext import normalise_question

RETIRED, WRONG, NEEDS_GOLD = "retired", "gold-wrong", "needs-gold"  # tags


@dataclass(frozen=True)
class Change:
    """What a verb did: the question as it is now, the set's file and its version, and a sentence."""

    question: Question
    path: Path
    version: int
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def retired_path() -> Path:
    """Where promoted questions are listed, for the figure "recall": a question set in the kit's folder."""
    return home() / "sets" / "retired.jsonl"


def working_copy(questions: QuestionSet, path: str | Path) -> QuestionSet:
    """The set in the file `path`, written there unless the file exists: a copy of one's own, to be changed freely."""
    path = Path(path)
    if not path.is_file():
        save_questions(path, questions)
    folder = questions.db_dir or (questions.path.parent.parent if questions.path else None)
    return load_questions(path, db_dir=folder)


def aside_path(path: str | Path) -> Path:
    """Where questions of the set in the file `path` wait that were marked: their gold is wrong."""
    return _folder(Path(path)) / f"{Path(path).stem}.aside.jsonl"


def version(path: str | Path) -> int:
    """The number of the version that a set's file holds: 1 for a set that was never changed here."""
    path = Path(path)
    numbers = [file.name.removeprefix(f"{path.stem}.v").removesuffix(".jsonl") for file in _versions(path)]
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=0)


def promote(
    question_id: str,
    evaluation: str | Path,
    training: str | Path,
    retired: str | Path | None = None,
    others: Iterable[str | Path] = (),
) -> Change:
    """Move a question from an evaluation set to a training file; its set gets a new version, without it. So does each
    of `others`, files of further evaluation sets, that shares the question or its query.

    The question is listed in `retired` (default: `retired_path()`) too: from then on it counts as recall. Promoting it
    again changes nothing. `LabkitError` when the set has no such question, or no other one.
    """
    evaluation, training, retired = Path(evaluation), Path(training), Path(retired or retired_path())
    questions = load_questions(evaluation)
    if question_id not in {q.id for q in questions}:
        for done in _read(training):
            if RETIRED in done.tags and question_id in (done.id, done.note.rpartition(" as ")[2]):
                now = version(evaluation)
                return Change(done, evaluation, now, f"{question_id} was promoted before; nothing was changed.")
    question = _find(questions, question_id)
    left = [q for q in questions if q.id != question_id]
    if not left:
        raise LabkitError(f"{question_id} is the only question of {evaluation}: an evaluation of none says nothing.")
    note = f"{question.note} " if question.note else ""
    note += f"Retired from {evaluation.stem} version {version(evaluation)} as {question.id}"
    moved = replace(question, tags=tuple(dict.fromkeys([*question.tags, RETIRED])), note=note, line=None)
    taken = _append(training, moved)
    _append(retired, moved)
    also = [f" It has left {Path(other).name} too." for other in others if _take_out(Path(other), moved)]
    now = _new_version(evaluation, left)
    told = f"{question_id} is in {training.name} now; {evaluation.name} version {now} has {len(left)} questions, "
    return Change(taken, evaluation, now, told + "without it. From now on it counts as recall." + "".join(also))


def add(question: Question, path: str | Path, apart_from: Iterable[QuestionSet] = ()) -> Change:
    """Add a question to a set's file, which is made if there is none; a question that is there already is not repeated.

    An id that is taken gets a number behind it. `LabkitError` when the set has the same question with another query,
    or when a set of `apart_from` (what is trained on, other evaluations) shares the question or its query.
    """
    path = Path(path)
    for other in apart_from:
        shared = [found for found in overlap([question], other) if found.kind != "skeleton"]
        if shared:
            raise LabkitError(
                f"The {shared[0].kind} of {question.id!r} is also in {other.name} ({shared[0].b[0]}): "
                "in both it would measure nothing."
            )
    before = _read(path)
    here = _same(before, question)
    if here:
        return Change(here, path, version(path), f"{path.name} has this question already, as {here.id}.")
    named = replace(question, id=_free(question.id, before), line=None)
    now = _new_version(path, [*before, named])
    return Change(named, path, now, f"{named.id} is in {path.name}, version {now}: {len(before) + 1} questions.")


def correct(question_id: str, sql: str, path: str | Path, database: str | Path) -> Change:
    """Give a question another gold, which has to run on `database`; the old one is kept in the note. A question that
    was marked comes back to its set by this, at its end.

    `LabkitError` when the new gold fails or is cut off; then nothing is changed.
    """
    path, sql = Path(path), sql.strip()
    questions, aside = load_questions(path), aside_path(path)
    waiting = next((q for q in _read(aside) if q.id == question_id), None)
    here = question_id in {q.id for q in questions}
    question = waiting if waiting and not here else _find(questions, question_id)
    if here and sql == question.sql:
        _leave(aside, question)  # a crash may have left it in both
        return Change(question, path, version(path), f"This is the gold of {question_id} already.")
    result = execute(database, sql)
    if result.error or result.truncated:
        raise LabkitError(f"The new gold of {question_id} is no answer: {result.error or 'its rows are cut off'}.")
    note = question.note
    if sql != question.sql:
        note = f"{note} Gold corrected; it was: {question.sql or 'its rows'}".strip()
    kept = tuple(tag for tag in question.tags if tag != WRONG)
    better = replace(question, sql=sql, rows=None, note=note, tags=kept)
    left = [better if q.id == question_id else q for q in questions]
    if not here and not _same(questions, better):
        left.append(replace(better, line=None))
    now = _new_version(path, left)
    _leave(aside, better)
    told = "has its new gold" if here else "is back, with its right gold,"
    return Change(better, path, now, f"{question_id} {told} in {path.name}, version {now}.")


def mark(question_id: str, path: str | Path, why: str = "") -> Change:
    """Set a question aside because its gold is wrong: it waits in `aside_path(path)`, out of the set, until `correct`
    gives it a right one.

    Marking it again changes nothing. `LabkitError` when the set has no such question, or no other one.
    """
    path = Path(path)
    questions, aside = load_questions(path), aside_path(path)
    waiting = next((q for q in _read(aside) if q.id == question_id), None)
    if waiting and question_id not in {q.id for q in questions}:
        return Change(waiting, path, version(path), f"{question_id} was set aside before; nothing was changed.")
    question = _find(questions, question_id)
    left = [q for q in questions if q.id != question_id]
    if not left:
        raise LabkitError(f"{question_id} is the only question of {path}: an evaluation of none says nothing.")
    note = " ".join(filter(None, [question.note, "Gold marked as wrong.", why.strip()]))
    marked = replace(question, tags=tuple(dict.fromkeys([*question.tags, WRONG])), note=note, line=None)
    _append(aside, marked)
    now = _new_version(path, left)
    told = f"{question_id} waits in {aside.name} until its gold is corrected; "
    return Change(marked, path, now, told + f"{path.name} version {now} goes without it.")


def keep_answer(
    folder: str | Path, question: Question, right: bool, gold: str = "", apart_from: Iterable[QuestionSet] = ()
) -> Change:
    """Keep what a person said of an answer: `question.sql` is what the agent wrote.

    A right answer becomes the gold of a question in `playground.jsonl`, and so does `gold` beside a wrong answer;
    `LabkitError` when a set of `apart_from` shares it, as in `add`. A wrong answer without a gold goes to
    `needs_gold.jsonl`: it is no evaluation until somebody has written one.
    """
    known = replace(question, sql=gold.strip() or question.sql)
    tags = (*question.tags, "playground", "answered-right" if right else "answered-wrong")
    note = question.note if right else f"{question.note} The agent wrote: {question.sql}".strip()
    if right or gold.strip():
        return add(replace(known, tags=tags, note=note), Path(folder) / "playground.jsonl", apart_from)
    return add(replace(known, tags=(*tags, NEEDS_GOLD), note=note), Path(folder) / "needs_gold.jsonl")


# --- files ------------------------------------------------------------------------------------------------------------


def _folder(path: Path) -> Path:
    return path.parent / "versions"


def _versions(path: Path) -> list[Path]:
    return sorted(_folder(path).glob(f"{path.stem}.v*.jsonl"))


def _read(path: Path) -> list[Question]:
    return list(load_questions(path)) if path.is_file() else []


def _find(questions: QuestionSet, question_id: str) -> Question:
    for question in questions:
        if question.id == question_id:
            return question
    waits = questions.path and question_id in {q.id for q in _read(aside_path(questions.path))}
    told = f" It waits in {aside_path(questions.path).name} until its gold is corrected." if waits else ""
    raise LabkitError(f"{questions.path or questions.name} has no question {question_id!r}.{told}")


def _same(questions: Iterable[Question], question: Question) -> Question | None:
    """The question of a set that asks the same about the same database; LabkitError if its answer is another."""
    text = normalise_question(question.question)
    for other in questions:
        if (normalise_question(other.question), other.database) == (text, question.database):
            if _gold_of(other) != _gold_of(question):
                gold = other.sql or other.answer or f"rows, {str(other.rows)[:200]}"
                raise LabkitError(f"The same question is there as {other.id!r}, with another gold: {gold}")
            return other
    return None


def _gold_of(question: Question) -> tuple:
    return question.sql, question.answer, question.rows if question.rows_only else None


def _free(name: str, questions: Iterable[Question]) -> str:
    taken, number, free = {q.id for q in questions}, 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _take_out(path: Path, question: Question) -> bool:
    """Take what shares a question or its query out of a set's file, if there is such a file and such a question."""
    before = _read(path)
    shared = {name for found in overlap([question], before) if found.kind != "skeleton" for name in found.b}
    if shared:
        _new_version(path, [q for q in before if q.id not in shared])
    return bool(shared)


def _append(path: Path, question: Question) -> Question:
    """Add to a file that has no versions, unless it is there."""
    before = _read(path)
    here = _same(before, question)
    if not here:
        here = replace(question, id=_free(question.id, before))
        save_questions(path, [*before, here])
    return here


def _leave(path: Path, question: Question) -> None:
    """Take a question out of a file that has no versions, if it is there; an empty file goes."""
    before, text = _read(path), normalise_question(question.question)
    left = [q for q in before if (q.id, normalise_question(q.question)) != (question.id, text)]
    if before and not left:
        path.unlink()
    elif len(left) < len(before):
        save_questions(path, left)


def _new_version(path: Path, questions: list[Question]) -> int:
    """Keep what the file holds as an earlier version, then write the new one; its number. An empty set has no file."""
    number = version(path)
    if path.is_file():
        old = path.read_bytes()
        kept = _folder(path) / f"{path.stem}.v{number - 1}.jsonl"
        if not (kept.is_file() and kept.read_bytes() == old):  # else a crash came between the two writes
            write_atomically(_folder(path) / f"{path.stem}.v{number}.jsonl", old)
            number += 1
    if questions:
        save_questions(path, questions)
    else:
        path.unlink(missing_ok=True)
    return number
