"""What a prompt may look up: parts of a schema, lines of a glossary, solved pairs; ranked by their words or by vectors.

Words: BM25 (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework", section 3), as the library bm25s
computes it. Vectors: cosine, where an encoder is given, any callable `list[str] -> array (n, width)`. No model lives
here and nothing is written into a prompt; that is `rungs`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy

from labkit.dataset import Question
from labkit.errors import LabkitError
from labkit.schema import Schema

KINDS = ("table", "column", "glossary", "pair")
Encode = Callable[[list[str]], numpy.ndarray]


@dataclass(frozen=True)
class Document:
    """Something to be found: `text` is what a question is compared with, `shown` what a prompt says of it."""

    kind: str  # one of KINDS
    text: str
    shown: str
    table: str = ""  # of a table or a column: the table's name


class Retriever:
    """Documents, ranked for a question: by vectors where there is an `encoder`, else by words.

    The index is built on first use, or by `build()`, which is where the time goes.
    """

    def __init__(self, documents: Iterable[Document], encoder: Encode | None = None):
        self.documents, self.encoder = tuple(documents), encoder
        if not self.documents:
            raise LabkitError("There is nothing to retrieve from: no table, no glossary, no pair. Give documents.")

    def build(self) -> "Retriever":
        """Make the index now."""
        _ = self._vectors if self.encoder else self._index
        return self

    def search(self, query: str, k: int, kind: str | None = None) -> list[Document]:
        """The `k` documents (of that kind) most like `query`, the best first; equals in the order given.

        By words, a document that shares none with the query is not found at all.
        """
        if kind is not None and kind not in KINDS:
            raise LabkitError(f"There is no kind of document {kind!r}. The kinds are {', '.join(KINDS)}.")
        scores = self.scores(query)
        order = numpy.argsort(-scores, kind="stable").tolist()
        found = [i for i in order if kind in (None, self.documents[i].kind) and (self.encoder or scores[i] > 0)]
        return [self.documents[i] for i in found[:k]]

    def scores(self, query: str) -> numpy.ndarray:
        """How like `query` each document is, in their order: cosines, or BM25's sums of weights (0: no word shared)."""
        if self.encoder:
            return self._vectors @ _unit(self.encoder([query]))[0]
        known = [word for word in words(query) if word in self._index.vocab_dict]
        return self._index.get_scores(known) if known else numpy.zeros(len(self.documents))

    @cached_property
    def _vectors(self) -> numpy.ndarray:
        return _unit(self.encoder([document.text for document in self.documents]))

    @cached_property
    def _index(self):
        import bm25s  # here, not above: half a second

        index = bm25s.BM25()
        index.index([words(d.text) or ["-"] for d in self.documents], show_progress=False)
        return index


def _unit(vectors) -> numpy.ndarray:
    vectors = numpy.asarray(vectors, dtype=numpy.float32)
    return vectors / numpy.maximum(numpy.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def words(text: str) -> list[str]:
    """The words that BM25 counts: lower case, names in parts (`points_per_game`), no plural s, none of those in every
    question."""
    return [_singular(part) for part in split_words(text) if part not in _EVERYWHERE]


def split_words(text: str) -> list[str]:
    """All words of a text, in lower case, names in parts."""
    return re.findall(r"[^\W_]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", text).casefold())


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


_EVERYWHERE = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by did do does for from had has have how in is it its many me of on or s show tell that "
        "the their them they this to was were what when where which who whose with you",
    )
)


# --- documents --------------------------------------------------------------------------------------------------------


def schema_documents(schema: Schema) -> list[Document]:
    """A document a table and a column. A column is found by its name, its table's and its commonest values."""
    documents = []
    for table in schema.tables:
        line = replace(schema, tables=(table,)).to_prompt()
        names = " ".join(column.name for column in table.columns)
        documents.append(Document("table", f"{table.name} {names}", line, table.name))
        for column in table.columns:
            values = " ".join(str(value) for value in column.samples)
            documents.append(Document("column", f"{table.name} {column.name} {values}", column.name, table.name))
    return documents


def glossary_documents(entries: Iterable[str]) -> list[Document]:
    """A document a line, such as "seven-footer: 7' 0\\" or taller"."""
    return [Document("glossary", line, line) for line in entries]


def pair_documents(pairs: Sequence[Question]) -> list[Document]:
    """A document a solved question: found by the question, shown as its SQL."""
    return [Document("pair", pair.question, pair.sql) for pair in pairs]
