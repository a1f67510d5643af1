"""What is tuned on: pairs from files, sets or lists, and the checks that none of them is to be evaluated on, and that
none reads what is excluded.

Nothing here knows a model.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from labkit.agent import Prompt, schema_text
from labkit.datagen.known import evaluation_sets, of_questions
from labkit.dataset import Question, QuestionSet, load_questions
from labkit.errors import LabkitError
from labkit.exclusion import in_force
from labkit.execution import Limits, execute_many
from labkit.notices import notice
from labkit.runs import RunStore
from labkit.sqltext import normalise_question, normalise_sql
from labkit.tuning.adapter import PAIRS
from labkit.tuning.starters import is_starter


def own_ids(questions: Iterable[Question]) -> list[Question]:
    """The same pairs, for sets that number theirs alike: an id that an earlier pair has gets a number behind it."""
    found: dict[str, Question] = {}
    for question in questions:
        name, number = question.id, 1
        while name in found:
            number += 1
            name = f"{question.id}-{number}"
        found[name] = question if name == question.id else replace(question, id=name)
    return list(found.values())


def named(facts: Iterable[Question]) -> list[Question]:
    """The same facts, for who knows them by their ids: one that is given again, whatever its id, is taken once, and
    that is said. LabkitError for two facts of one id."""
    found: dict[str, Question] = {}
    first: dict[tuple, str] = {}  # question, query, answer -> id
    again = []
    for fact in facts:
        said = fact.question, fact.sql, fact.answer
        if said in first:
            again.append(f"{fact.id} (as {first[said]})" if fact.id != first[said] else fact.id)
            continue
        if fact.id in found:
            raise LabkitError(
                f"Two facts have the id {fact.id!r}, by which a fact is corrected and forgotten: {fact.question!r} and "
                f"{found[fact.id].question!r}. Give one of them another id."
            )
        first[said], found[fact.id] = fact.id, fact
    if again:
        more = f" and {len(again) - 5} more" if len(again) > 5 else ""
        notice(f"Given again with the same question and answer, and taken once: {', '.join(again[:5])}{more}.")
    return list(found.values())


def read_pairs(pairs, own: Callable = own_ids) -> tuple[list[Question], list[Path]]:
    """The pairs, with ids by `own`, and the databases that they are about, where those are known; LabkitError as
    `refuse_excluded`."""
    one = isinstance(pairs, (str, Path, QuestionSet)) or not all(isinstance(p, (str, Path, QuestionSet)) for p in pairs)
    sets = [load_questions(p) if isinstance(p, (str, Path)) else p for p in ([pairs] if one else pairs)]
    loaded = own(q for questions in sets for q in questions)
    if not loaded:
        raise LabkitError("There are no pairs to tune on. Make some with `labkit generate`, or name a JSONL file.")
    bare = [question.id for question in loaded if question.rows_only]
    if bare:
        raise LabkitError(
            f"{len(bare)} of the pairs have rows and no query, so there is nothing to learn: {', '.join(bare[:5])}. "
            "Leave them out; they serve for evaluation."
        )
    databases = sorted({path for questions in sets for path in _databases(questions)})
    kept = {name for path in databases for name in (path.name, path.stem, str(path))}
    lost = {q.database for s in sets if isinstance(s, QuestionSet) and s.path for q in s if q.sql and q.database} - kept
    if lost:
        notice(
            f"The database of these pairs ({', '.join(sorted(lost)[:5])}) does not lie beside them, so no evaluation "
            "set beside it is looked at for overlap. Keep the pairs there, or name the sets to avoid."
        )
    refuse_excluded(loaded, databases)
    return loaded, databases


def _databases(questions: QuestionSet | Sequence[Question]) -> Iterator[Path]:
    for question in {q.database: q for q in questions if q.database}.values():
        try:
            known = isinstance(questions, QuestionSet)
            path = questions.database_path(question) if known else Path(question.database)
        except LabkitError:  # the pairs have left their database: sets beside it are not known here
            continue
        if path.is_file():
            yield path


def old_pairs(adapter: str | Path, pairs: Sequence[Question]) -> list[Question]:
    """The pairs that the adapter to continue from was tuned on, without those that are given again; their ids are told
    apart from the new ones' ids. None of a starter's: it brings no pairs."""
    path = Path(adapter) / PAIRS
    if not path.is_file():
        if not is_starter(adapter):
            notice(f"{adapter} does not say what it was tuned on: nothing is replayed.")
        return []
    again = {q.question for q in pairs}
    old = [q for q in load_questions(path) if q.question not in again]
    return own_ids([*pairs, *old])[len(pairs) :]


def refuse_overlap(
    pairs: Sequence[Question],
    databases: Iterable[Path],
    avoid: Iterable[str | Path | QuestionSet],
    store: RunStore | None,
) -> dict[str, dict[str, int]]:
    """{set: {"questions": 0, "queries": 0}} for the card; LabkitError where a count is not 0."""
    texts = {normalise_question(q.question): q.id for q in pairs}
    queries = {normalise_sql(q.sql): q.id for q in pairs if q.sql}
    found, shared = {}, []
    for name, questions in evaluation_sets(databases, avoid, store).items():
        known = of_questions(questions)
        both = sorted(texts.keys() & known.questions), sorted(queries.keys() & known.queries)
        found[name] = {"questions": len(both[0]), "queries": len(both[1])}
        shared += [f"{texts[t]} (question of {name})" for t in both[0]]
        shared += [f"{queries[t]} (query of {name})" for t in both[1]]
    if shared:
        more = f" and {len(shared) - 10} more" if len(shared) > 10 else ""
        raise LabkitError(
            f"{len(shared)} of the pairs are also in an evaluation set, which would then measure nothing: "
            f"{', '.join(shared[:10])}{more}. Leave them out (`labkit generate` does so by itself)."
        )
    return found


def refuse_excluded(pairs: Sequence[Question], databases: Iterable[Path]) -> None:
    """LabkitError that names pairs whose query reads what is excluded now of a database of theirs, known by its name:
    what they hold would be learnt by heart."""
    for database in filter(in_force, databases):
        asked = [q for q in pairs if q.sql and Path(q.database).name in (database.name, database.stem)]
        queries = list(dict.fromkeys(q.sql for q in asked))
        results = dict(zip(queries, execute_many(database, queries, Limits(rows=1)), strict=True))
        refused = [q for q in asked if results[q.sql].limit == "excluded"]
        if refused:
            shown = ", ".join(q.id for q in refused[:10]) + f" and {len(refused) - 10} more" * (len(refused) > 10)
            raise LabkitError(
                f"{len(refused)} of the pairs read what is excluded, and tuning would learn it by heart: {shown}. Of "
                f"{refused[0].id}: {results[refused[0].sql].error} Leave them out."
            )


def schemas(prompt: Prompt, pairs: Iterable[Question], databases: Iterable[Path]) -> dict[str, str]:
    """{a pair's database: its schema as text}, as decoding shows it; {} for a prompt that shows none.

    LabkitError where the prompt shows a schema and the file of a pair's database is not known: it would be learnt with
    no tables above it, and asked with them.
    """
    if hasattr(prompt, "for_training") or prompt("QUESTION", "") == prompt("QUESTION", "SCHEMA"):
        return {}
    files = {name: database for database in databases for name in (database.name, database.stem, str(database))}
    names = {q.database: Path(q.database).name for q in pairs if not q.is_fact}
    lost = sorted(name or "(none named)" for name in names if name not in files and names[name] not in files)
    if lost:
        raise LabkitError(
            f"This prompt shows the schema, and the file of the pairs' database is not known: {', '.join(lost[:5])}. "
            'Keep the pairs beside it, give a QuestionSet with db_dir, or tune with the prompt "question_only".'
        )
    return {name: schema_text(files.get(name) or files[file]) for name, file in names.items()}


def data_sha256(pairs: Sequence[Question]) -> str:
    """A hash of what is learnt: questions, queries and answers in their order."""
    return digest([[q.question, q.sql, q.answer] for q in pairs])


def digest(value) -> str:
    """A hash of JSON values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
