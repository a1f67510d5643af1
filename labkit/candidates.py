"""Queries that may answer a question, out of a pool of verified pairs: the nearest pairs' own, and those pairs' queries
with the values that the question mentions in place of theirs.

A pair "What year were the Anvils founded?" with its query says how to answer "What year were the Falcons founded?".
Nearest is by cosine between sentence vectors, once of the questions as they stand and once with their values blanked
out. Everything here has run or differs from what has run in literals only; which one is right, this does not say.
"""

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy
from sqlglot.tokens import TokenType
from tqdm.auto import tqdm

from labkit.amounts import placed
from labkit.dataset import QuestionSet
from labkit.errors import LabkitError
from labkit.home import home
from labkit.linking import Mention, Values
from labkit.retrieval import Encode
from labkit.sqltext import normalise_sql, tokens

_LOOKED_AT = 1_500  # nearest pairs, blanked, whose queries are tried with the question's values
_MOST_FILLINGS = 60  # ways to put a question's values into one query; more: it fits by chance


@dataclass(frozen=True)
class Candidate:
    """A query, how near its pair's question is (cosine, -1 to 1), and the pair's id."""

    sql: str
    similarity: float
    pair: str


@dataclass(frozen=True)
class _Slot:
    """`sql[start:end]` of a pair's query is the value that its question mentions, in one of its forms."""

    start: int
    end: int
    mention: Mention
    form: int = 0


class Candidates:
    """The pool of one database's pairs, indexed on first use; `database`: path of the file.

    Vectors are kept under the kit's home, so a pool is encoded once.
    """

    def __init__(self, pairs: QuestionSet, database, encode: Encode, progress: bool = True):
        self.pairs = [pair for pair in pairs if pair.sql]
        if not self.pairs:
            raise LabkitError("There are no pairs to take queries from. Give pairs with queries (labkit generate).")
        self.encode, self.progress = encode, progress
        self.values = Values(database)
        self.mentions = [self.values.mentions(pair.question) for pair in self.pairs]
        blanked = [self.values.blanked(p.question, m) for p, m in zip(self.pairs, self.mentions, strict=True)]
        questions = [pair.question for pair in self.pairs]
        texts = list(dict.fromkeys([*questions, *blanked]))
        vectors, place = self._vectors(texts), {text: i for i, text in enumerate(texts)}
        self.plain = vectors[[place[text] for text in questions]]
        self.blank = vectors[[place[text] for text in blanked]]

    def __call__(self, question: str, k: int = 20) -> list[Candidate]:
        """At most `k` candidates with different texts, the nearest first: a quarter of them unchanged, the others with
        the question's values."""
        mentions = self.values.mentions(question)
        plain, blank = self.encode([question, self.values.blanked(question, mentions)])
        found: dict[str, Candidate] = {}
        for candidate in itertools.chain(self._unchanged(plain, max(1, k // 4)), self._filled(blank, mentions)):
            found.setdefault(normalise_sql(candidate.sql), candidate)
            if len(found) == k:
                break
        return sorted(found.values(), key=lambda candidate: -candidate.similarity)

    def _unchanged(self, vector: numpy.ndarray, most: int) -> Iterator[Candidate]:
        near = self.plain @ vector
        seen: set[str] = set()
        for i in numpy.argsort(-near, kind="stable").tolist():
            if len(seen) == most:
                return
            if (text := normalise_sql(self.pairs[i].sql)) not in seen:
                seen.add(text)
                yield Candidate(self.pairs[i].sql, float(near[i]), self.pairs[i].id)

    def _filled(self, vector: numpy.ndarray, mentions: Sequence[Mention]) -> Iterator[Candidate]:
        """First the queries that take in all that the question mentions; then, as far as needed, all but one."""
        near = self.blank @ vector
        order = numpy.argsort(-near, kind="stable")[:_LOOKED_AT].tolist()
        for left_out in (0, 1):
            for i in order:
                slots = _slots(self.pairs[i].sql, self.mentions[i])
                for sql, missing in _fillings(self.pairs[i].sql, slots, mentions, self.values):
                    if missing == left_out:
                        yield Candidate(sql, float(near[i]), self.pairs[i].id)

    def _vectors(self, texts: list[str]) -> numpy.ndarray:
        told = "\n".join([getattr(self.encode, "sha256", ""), *texts])
        kept = home() / "vectors" / f"{hashlib.sha256(told.encode()).hexdigest()[:24]}.npy"
        if kept.is_file():
            return numpy.load(kept, allow_pickle=False)
        parts, quiet = [], not self.progress or bool(os.environ.get("CI"))
        for start in tqdm(range(0, len(texts), 256), desc="Encoding", unit="batch", disable=quiet, leave=False):
            parts.append(self.encode(texts[start : start + 256]))
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(f".{os.getpid()}.npy")
        numpy.save(unfinished, numpy.concatenate(parts))
        unfinished.replace(kept)
        return numpy.load(kept, allow_pickle=False)


def _slots(sql: str, mentions: Sequence[Mention]) -> list[_Slot]:
    """Literals of the query, or parts of one ('2012-%'), that the pair's question mentions."""
    by_value = {mention.value: mention for mention in mentions}
    found = []
    for token in tokens(sql):
        if token.token_type not in (TokenType.STRING, TokenType.NUMBER):
            continue
        text, quoted = sql[token.start : token.end + 1], token.token_type == TokenType.STRING
        inside = text[1:-1].replace("''", "'").casefold() if quoted else text
        start, end = (token.start + 1, token.end) if quoted else (token.start, token.end + 1)
        if inside in by_value and by_value[inside].columns:
            found.append(_Slot(start, end, by_value[inside]))
            continue
        for mention in by_value.values():
            if mention.columns or (mention.kind == "part" and "%" not in inside):
                continue
            for form, first, last in placed(inside, mention.forms):
                whole = (first, last) == (0, len(inside))
                if whole or (quoted and "'" not in inside):
                    found.append(
                        _Slot(start if whole else start + first, end if whole else start + last, mention, form)
                    )
                    break
    return found


def _fillings(
    sql: str, slots: Sequence[_Slot], mentions: Sequence[Mention], values: Values
) -> Iterator[tuple[str, int]]:
    """The query with each value of its pair's question replaced by another one of this question's, of the same column
    or kind, in every way; with the number of this question's values that it leaves out."""
    mine = {mention.value: mention for mention in mentions}
    theirs = list({slot.mention.value: slot.mention for slot in slots}.values())
    fitting = [[m for m in mine.values() if _fits(m, their)] for their in theirs]
    ways = 1
    for choice in fitting:
        ways *= len(choice)
    if not 0 < ways <= _MOST_FILLINGS:
        return
    for chosen in itertools.product(*fitting):
        if len({m.value for m in chosen}) < len(chosen):
            continue
        by_value = {their.value: m for their, m in zip(theirs, chosen, strict=True)}
        filled = sql
        for slot in sorted(slots, key=lambda slot: -slot.start):
            mention = by_value[slot.mention.value]
            text = values.spelt.get(mention.value, mention.value) if mention.columns else mention.forms[slot.form]
            filled = filled[: slot.start] + text.replace("'", "''") + filled[slot.end :]
        yield filled, len(mine) - len(chosen)


def _fits(mine: Mention, theirs: Mention) -> bool:
    return bool(mine.columns & theirs.columns) if theirs.columns else mine.kind == theirs.kind
