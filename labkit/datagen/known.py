"""Known evaluation sets: what a generated pair must not share a question or a query with.

They are loaded only to drop what overlaps; nothing else of them is looked at. A paraphrase asks a trained query in
other words, so of it the question alone is known.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from labkit.curation import retired_path
from labkit.dataset import Question, QuestionSet, load_questions
from labkit.errors import LabkitError
from labkit.home import home
from labkit.notices import notice
from labkit.runs import RunStore
from labkit.sqltext import normalise_question, normalise_sql

GENERATED = "gen-"  # how ids of generated pairs begin: a set of those is no evaluation set
PARAPHRASE = "paraphrase"  # a tag: the question's query may be drawn, its words may not


@dataclass(frozen=True)
class Known:
    """Normalised questions and queries of sets, and the names of the sets."""

    questions: frozenset[str] = frozenset()
    queries: frozenset[str] = frozenset()
    sets: tuple[str, ...] = ()


def known_sets(database: Path, avoid: Iterable[str | Path | QuestionSet] = (), store: RunStore | None = None) -> Known:
    """What `evaluation_sets` of the same arguments hold."""
    sets = evaluation_sets([database], avoid, store)
    return of_questions([q for s in sets.values() for q in s], tuple(sets))


def evaluation_sets(
    databases: Iterable[Path] = (), avoid: Iterable[str | Path | QuestionSet] = (), store: RunStore | None = None
) -> dict[str, QuestionSet]:
    """By name: sets beside the databases (and their neighbours in `datasets/`), those that runs were about, `avoid`;
    one whose name another has gets a number behind it.

    Generated pairs and facts that are found are no evaluation sets: they are there to be learnt, but for those that
    `avoid` names. Questions that were promoted to training (`curation.promote`) count no more, whatever file still
    holds them. `LabkitError` when a set of `avoid` cannot be read; a file of another kind beside a database is passed
    over, one that looks like a question set and cannot be read is told of.
    """
    one = isinstance(avoid, (str, Path, QuestionSet))
    given = [s if isinstance(s, QuestionSet) else load_questions(s) for s in ([avoid] if one else avoid)]
    near = [path for database in databases for path in _beside(database)]
    paths = {path.resolve() for path in [*near, *_in_store(store)] if path.is_file()}  # no pipe, no link to itself
    found = [s for s in map(_maybe, sorted(paths)) if s]
    found = [s for s in found if not all(q.id.startswith(GENERATED) or q.is_fact for q in s)]
    sets: dict[str, QuestionSet] = {}
    for each in map(_unretired, [*given, *found]):
        name, number = _name(each), 1
        while name in sets and tuple(sets[name]) != tuple(each):
            number += 1
            name = f"{_name(each)} ({number})"
        sets[name] = each
    return sets


def _unretired(questions: QuestionSet) -> QuestionSet:
    """The set without the questions that were promoted to training."""
    if not (path := retired_path()).is_file():
        return questions
    gone = {(normalise_question(q.question), q.database) for q in load_questions(path)}
    left = tuple(q for q in questions if (normalise_question(q.question), q.database) not in gone)
    return replace(questions, questions=left)


def of_questions(questions: Iterable[Question], names: tuple[str, ...] = ()) -> Known:
    """What those questions and their queries, alternatives included, are after normalising.

    Queries of paraphrases are left out.
    """
    questions = list(questions)
    texts = frozenset(normalise_question(q.question) for q in questions)
    apart = [q for q in questions if PARAPHRASE not in q.tags]
    return Known(texts, frozenset(normalise_sql(sql) for q in apart for sql in q.queries), names)


def _beside(database: Path) -> Iterator[Path]:
    folder = Path(database).resolve().parent
    yield from folder.glob("*.jsonl")
    if folder.parent.name == "datasets":
        yield from folder.parent.glob("*/*.jsonl")


def _in_store(store: RunStore | None) -> list[Path]:
    """Paths of the sets that runs were about: those in `store`, else in the kit's own, when there is one."""
    own = home() / "runs.db"
    try:
        runs = store.list() if store is not None else RunStore(own).list() if own.is_file() else []
    except LabkitError:  # another version's store: its sets are not known here
        return []
    return [Path(run.set_path) for run in runs if run.set_path]


def _maybe(path: Path) -> QuestionSet | None:
    try:
        return load_questions(path)
    except LabkitError as error:
        with suppress(OSError), path.open("rb") as file:
            if b'"question"' in file.readline(10_000):
                notice(f"{path.name} looks like a question set, and is NOT kept out of the pairs: {error}")
        return None


def _name(questions: QuestionSet) -> str:
    return f"{questions.path.parent.name}/{questions.name}" if questions.path else questions.name
