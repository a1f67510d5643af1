"""Known evaluation sets: what a generated pair must not share a question or a query with.

They are loaded only to drop what overlaps; nothing else of them is looked at. A paraphrase asks a trained query in
other words, so of it the question alone is known.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from labkit.curation import retired_path
from labkit.dataset import Question, QuestionSet, load_questions
from labkit.errors import LabkitError
from labkit.home import home
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
    """By name: sets beside the databases (and their neighbours in `datasets/`), those that runs were about, `avoid`.

    Generated pairs and facts are no evaluation sets: they are there to be learnt. Questions that were promoted to
    training (`curation.promote`) count no more, whatever file still holds them. `LabkitError` when a set of `avoid`
    cannot be read; a file of another kind beside a database is passed over.
    """
    given = [s if isinstance(s, QuestionSet) else load_questions(s) for s in avoid]
    near = [path for database in databases for path in _beside(database)]
    paths = {path.resolve() for path in [*near, *_in_store(store)] if path.is_file()}  # no pipe, no link to itself
    found = [s for s in map(_maybe, sorted(paths)) if s]
    kept = [_unretired(s) for s in [*given, *found]]
    return {_name(s): s for s in kept if not all(q.id.startswith(GENERATED) or q.is_fact for q in s)}


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
    except LabkitError:
        return None


def _name(questions: QuestionSet) -> str:
    return f"{questions.path.parent.name}/{questions.name}" if questions.path else questions.name
