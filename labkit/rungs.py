"""The usual approaches, each as a generator for `evaluate`: prompt, few-shot prompt, self-reflection, retrieval.

What they look things up in is `Material`: one database's schema, its glossary, solved pairs of it, and never a question
that is to be evaluated. Nothing is measured here; that is `ladders`.
"""

import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from labkit.agent import SqlGenerator
from labkit.datagen.glossary import entries, glossary_text
from labkit.datagen.known import PARAPHRASE, of_questions
from labkit.dataset import Question, QuestionSet, load_questions
from labkit.errors import LabkitError
from labkit.exclusion import Excluded, in_force, said
from labkit.execution import execute_many
from labkit.prompting import Message, few_shot
from labkit.reflection import Reflection
from labkit.retrieval import Document, Encode, Retriever, glossary_documents, pair_documents, schema_documents
from labkit.schema import Schema, read_schema
from labkit.sqltext import normalise_question, normalise_sql, parse, skeleton

RUNGS = ("prompt", "few-shot", "self-reflection", "retrieval-bm25", "retrieval-embeddings")
TUNED = ("instruction", "memory")  # adapters that the ladder tunes itself, where they are named: minutes, or hours
LOOKING_UP = RUNGS[1:2] + RUNGS[3:]  # prompts that need material; so do the tuned ones
PAIRS = 1000  # generated where none are given


@dataclass(frozen=True)
class Material:
    """What a prompt may show of a database beside the question."""

    schema: Schema
    glossary: tuple[str, ...]  # lines "term: meaning"
    pairs: tuple[Question, ...]
    seconds: float = 0.0  # that making the pairs took; 0 for given ones

    @cached_property
    def documents(self) -> list[Document]:
        """All of it, to be found."""
        return schema_documents(self.schema) + glossary_documents(self.glossary) + pair_documents(self.pairs)


def rung(name: str, chat_model, material: Material | None = None, *, shots: int = 5, reflections: int = 2):
    """The generator of that name.

    `material` is needed by the names in LOOKING_UP; `shots`: solved pairs in a prompt; `reflections`: further tries.
    """
    if name not in RUNGS:
        raise LabkitError(f"There is no rung {name!r} of the ladder. The rungs are {', '.join(RUNGS)}, and adapters.")
    if name in LOOKING_UP and material is None:
        raise LabkitError(f"The rung {name!r} needs solved pairs to show. Give it `material(questions, pairs)`.")
    if name == "prompt":
        return SqlGenerator(chat_model)
    if name == "self-reflection":
        return Reflection(SqlGenerator(chat_model), reflections)
    if name == "few-shot":
        return SqlGenerator(chat_model, few_shot_prompt(chosen(material.pairs, shots)))
    load = _encoder if name == "retrieval-embeddings" else None
    return SqlGenerator(chat_model, RetrievalPrompt(material, load, examples=shots))


def few_shot_prompt(examples: Sequence[Question]) -> Callable[[str, str], list[Message]]:
    """`prompting.few_shot` with the same examples for every question."""

    def prompt(question: str, schema_text: str) -> list[Message]:
        return few_shot(question, schema_text, examples)

    prompt.__name__ = "few-shot"
    return prompt


def chosen(pairs: Sequence[Question], k: int, seed: int = 0) -> list[Question]:
    """`k` pairs that differ as much as may be: first no tag and no skeleton twice, then no skeleton twice."""
    order = random.Random(seed).sample(list(pairs), len(pairs))
    found: dict[str, Question] = {}  # by skeleton
    for tags_differ in (True, False):
        for pair in order:
            tags = {tag for other in found.values() for tag in other.tags[:1]} if tags_differ else set()
            if len(found) < k and not tags & set(pair.tags[:1]):
                found.setdefault(skeleton(pair.sql), pair)
    return list(found.values())


class RetrievalPrompt:
    """A few-shot prompt of what is found for the question: tables, glossary lines, the nearest solved pairs.

    The tables shown are those of the pairs found, then those found themselves, `tables` at most; the whole schema where
    there are none. The most similar pair stands last, next to the question. `load` gives the encoder; None: BM25.
    """

    def __init__(
        self,
        material: Material,
        load: Callable[[], Encode] | None = None,
        *,
        tables: int = 4,
        lines: int = 6,
        examples: int = 5,
    ):
        self.material, self.load = material, load
        self.tables, self.lines, self.examples = tables, lines, examples
        self.__name__ = "retrieval-embeddings" if load else "retrieval-bm25"

    def __call__(self, question: str, schema_text: str = "") -> list[Message]:
        pairs = self.retriever.search(question, self.examples, "pair")
        found = [
            *self.retriever.search(question, 12, "column"),
            *self.retriever.search(question, self.tables, "table"),
        ]
        lines = self.retriever.search(question, self.lines, "glossary")
        return self._written(question, self._tables(pairs, found), lines, pairs)

    def build(self) -> None:
        """Make the index now."""
        _ = self.retriever

    def describe(self) -> dict:
        """What decides the prompts, without making the index."""
        documents = self.material.documents
        probe = self._written("QUESTION", [t.name for t in self.material.schema.tables], documents[:1], documents[-1:])
        said = json.dumps([probe, [vars(document) for document in documents]], sort_keys=True)
        shown = {"tables": self.tables, "glossary": self.lines, "pairs": self.examples}
        return {"prompt_hash": hashlib.sha256(said.encode()).hexdigest(), "retrieved": shown}

    @cached_property
    def retriever(self) -> Retriever:
        """The index, made on first use."""
        return Retriever(self.material.documents, self.load() if self.load else None).build()

    def _tables(self, pairs: Sequence[Document], found: Sequence[Document]) -> list[str]:
        """Names of the tables to show, as the schema spells them."""
        spelt = {table.name.casefold(): table.name for table in self.material.schema.tables}
        used = [name for pair in pairs for name in _tables_of(pair.shown)]
        wanted = [name.casefold() for name in [*used, *(document.table for document in found)]]
        return [spelt[name] for name in dict.fromkeys(wanted) if name in spelt][: self.tables]

    def _written(
        self, question: str, tables: Sequence[str], lines: Sequence[Document], pairs: Sequence[Document]
    ) -> list[Message]:
        all_tables = [d for d in self.material.documents if d.kind == "table"]
        shown = [d.shown for d in all_tables if d.table in tables or not tables]
        notes = [f"- {line.shown}" for line in lines]
        text = "\n".join([*shown, *(["", "Glossary:", *notes] if notes else [])])
        examples = [Question(f"pair {i}", pair.text, pair.shown) for i, pair in enumerate(reversed(pairs))]
        return few_shot(question, text, examples)


def _tables_of(sql: str) -> list[str]:
    from sqlglot import exp

    tree = parse(sql)
    return [table.name for table in tree.find_all(exp.Table)] if tree else []


def _encoder() -> Encode:
    from labkit.encoder import load_encoder

    return load_encoder()


# --- what there is to look up -----------------------------------------------------------------------------------------


def material(
    questions: QuestionSet,
    pairs: str | Path | Sequence[Question] | None = None,
    keep: Path | None = None,
    store=None,
    glossary: str | Path | None = None,
) -> Material:
    """The database's schema, a glossary, and solved pairs: a set's file, questions, or generated here.

    `glossary`: a Markdown file; None: `glossary.md` beside the database, if there is one. Generated pairs stay in the
    folder `keep`, so that the next call has the same. LabkitError when the questions are on several databases, when
    pairs share a question or a query with them, for a glossary that cannot be read.
    """
    paths = {questions.database_path(q) for q in questions}
    if len(paths) != 1:
        raise LabkitError(
            f"The questions of {questions.name!r} are on {len(paths)} databases. Few-shot prompts, retrieval "
            "and tuning are about one: part the set by database, or leave out those rungs."
        )
    (database,) = paths
    if glossary is None and (beside := database.parent / "glossary.md").is_file():
        glossary = beside
    words = glossary_text(glossary) if glossary else ""
    if pairs is None:
        solved, seconds = _generated(database, questions, keep, store, glossary)
    else:
        solved, seconds = load_questions(pairs) if isinstance(pairs, (str, Path)) else pairs, 0.0
    _refuse(solved, questions, database)
    lines = tuple(f"{terms}: {meaning}" for terms, meaning in entries(words))
    if excluded := in_force(database):
        lines = tuple(line for line in lines if not _names_one(line, excluded))
        results = execute_many(database, [pair.sql for pair in solved])
        solved = [pair for pair, r in zip(solved, results, strict=True) if r.limit != "excluded"]
    return Material(read_schema(database), lines, tuple(solved), seconds)


def _names_one(line: str, excluded: Excluded) -> bool:
    """Whether a line of a glossary speaks, in backticks, of what is excluded."""
    hidden = {name.rpartition(".")[2] for name in excluded.names} | excluded.names
    return bool(hidden & {name.casefold() for name in re.findall(r"[^`\s.]+", " ".join(re.findall("`([^`]+)`", line)))})


def _generated(
    database: Path, questions: QuestionSet, keep: Path | None, store, glossary: str | Path | None
) -> tuple[Sequence[Question], float]:
    """PAIRS pairs in the words of the glossary and the seconds that they took; read again where they were kept."""
    from labkit.datagen import generate
    from labkit.dataset import save_questions
    from labkit.home import write_atomically
    from labkit.scoring import database_hash

    words = [glossary_text(glossary)] if glossary else []
    told = " ".join([database_hash(database), questions.sha256, *said(database), *words])
    name = hashlib.sha256(told.encode()).hexdigest()[:16]
    file = keep / f"pairs-{name}.jsonl" if keep else None
    if file and file.is_file() and file.with_suffix(".json").is_file():
        return load_questions(file), json.loads(file.with_suffix(".json").read_text())["seconds"]
    begun = time.perf_counter()
    made = generate(database, PAIRS, avoid=[questions], glossary=glossary, store=store)
    seconds = time.perf_counter() - begun
    if file:
        save_questions(file, made.pairs)
        write_atomically(file.with_suffix(".json"), json.dumps({"seconds": seconds}))
    return made.pairs, seconds


def _refuse(pairs: Sequence[Question], questions: QuestionSet, database: Path) -> None:
    """LabkitError for pairs that a prompt must not show, or cannot."""
    if any(not pair.sql for pair in pairs):
        raise LabkitError("Solved pairs need a query each; these hold facts or rows. Give pairs of `labkit generate`.")
    others = {pair.database for pair in pairs if Path(pair.database).stem != database.stem}
    if others:
        raise LabkitError(f"The pairs are on {', '.join(sorted(others))}, the questions on {database.stem}. Use one.")
    known = of_questions(pairs)  # of the set a paraphrase's query may be shown, as it may be trained on
    ids = [
        q.id
        for q in questions
        if normalise_question(q.question) in known.questions
        or (PARAPHRASE not in q.tags and not known.queries.isdisjoint(map(normalise_sql, q.queries)))
    ]
    if ids:
        some = ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
        raise LabkitError(
            f"The pairs hold questions or queries of the set {questions.name!r} itself: {some}. A prompt that "
            "shows the answers measures nothing: give pairs made with `labkit generate --avoid` that set."
        )
