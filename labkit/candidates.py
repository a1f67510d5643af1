"""Queries that may answer a question, out of a pool of verified pairs: the nearest pairs' own, and those pairs' queries
with the values that the question mentions in place of theirs.

A pair "What year were the Anvils founded?" with its query says how to answer "What year were the Falcons founded?".
Nearest is by cosine between sentence vectors, once of the questions as they stand and once with their values blanked
out. Everything here has run or differs from what has run in literals only; which one is right, this does not say.
"""

import hashlib
import heapq
import itertools
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy
from sqlglot.tokens import TokenType
from tqdm.auto import tqdm

from labkit.amounts import placed
from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.home import home
from labkit.linking import MEASURED, Mention, Values
from labkit.retrieval import Encode
from labkit.sqltext import normalise_sql, tokens

_LOOKED_AT = 1_500  # nearest pairs, blanked, whose queries are tried with the question's values
_LEFT_OUT = 0.15  # of cosine: what a query loses that takes in one value too few
_NEAREST = 30  # pairs that say what is drawn for a question
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


@dataclass(frozen=True)
class _Pool:
    """Pairs with what their questions mention, and their questions' vectors: as they stand, and blanked."""

    pairs: Sequence[Question]
    mentions: Sequence[tuple[Mention, ...]]
    plain: numpy.ndarray
    blank: numpy.ndarray


Closeness = Callable[[str, list[str]], Sequence[float]]
Draw = Callable[[str, Sequence[Question], Collection[str], Closeness], Sequence[Question]]


class Candidates:
    """The pool of one database's pairs, indexed on first use; `database`: path of the file.

    `draw`: gives more pairs for a question, from the pairs near it and the columns of which it mentions a value
    (`datagen.aimed_at`). Vectors of the pool are kept under the kit's home, so it is encoded once.
    """

    def __init__(self, pairs: QuestionSet, database, encode: Encode, progress: bool = True, draw: Draw | None = None):
        self.pairs = [pair for pair in pairs if pair.sql]
        if not self.pairs:
            raise LabkitError("There are no pairs to take queries from. Give pairs with queries (labkit generate).")
        self.encode, self.progress, self.draw = encode, progress, draw
        self.values = Values(database)
        self.pool = self._pool(self.pairs, self._vectors)

    def __call__(self, question: str, k: int = 20) -> list[Candidate]:
        """At most `k` candidates with different texts, the nearest first: a quarter of them unchanged, the others with
        the question's values."""
        mentions = self.values.mentions(question)
        plain, blank = self.encode([question, self.values.blanked(question, mentions)])
        pool = self._drawn_for(question, mentions, self.pool.blank @ blank) if self.draw else self.pool
        found: dict[str, Candidate] = {}
        for candidate in itertools.chain(
            _unchanged(pool, plain, max(1, k // 4)), _filled(pool, blank, mentions, self.values)
        ):
            found.setdefault(normalise_sql(candidate.sql), candidate)
            if len(found) == k:
                break
        return sorted(found.values(), key=lambda candidate: -candidate.similarity)

    def _drawn_for(self, question: str, mentions: Sequence[Mention], near: numpy.ndarray) -> _Pool:
        """The pool and what is drawn for this question."""
        nearest = [self.pairs[i] for i in numpy.argsort(-near, kind="stable")[:_NEAREST].tolist()]
        columns = {column for mention in mentions for column in mention.columns}
        encode = _remembering(self.encode)

        def closeness(question: str, texts: list[str]) -> list[float]:
            asked, *others = encode([question, *texts])
            return [float(other @ asked) for other in others]

        more = list(self.draw(question, nearest, columns, closeness))
        if not more:
            return self.pool
        extra = self._pool(more, encode)
        vectors = [numpy.concatenate(both) for both in ((self.pool.plain, extra.plain), (self.pool.blank, extra.blank))]
        return _Pool([*self.pairs, *more], [*self.pool.mentions, *extra.mentions], *vectors)

    def _pool(self, pairs: Sequence[Question], encode: Callable[[list[str]], numpy.ndarray]) -> _Pool:
        mentions = [self.values.mentions(pair.question) for pair in pairs]
        questions = [pair.question for pair in pairs]
        blanked = [self.values.blanked(q, m) for q, m in zip(questions, mentions, strict=True)]
        texts = list(dict.fromkeys([*questions, *blanked]))
        vectors, place = encode(texts), {text: i for i, text in enumerate(texts)}
        plain, blank = (vectors[[place[text] for text in group]] for group in (questions, blanked))
        return _Pool(pairs, mentions, plain, blank)

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


def _remembering(encode: Encode) -> Encode:
    """The same, each text encoded once."""
    seen: dict[str, numpy.ndarray] = {}

    def look(texts: Sequence[str]) -> numpy.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in seen]
        seen.update(zip(new, encode(new), strict=True) if new else ())
        return numpy.stack([seen[text] for text in texts])

    return look


def _unchanged(pool: _Pool, vector: numpy.ndarray, most: int) -> Iterator[Candidate]:
    near = pool.plain @ vector
    seen: set[str] = set()
    for i in numpy.argsort(-near, kind="stable").tolist():
        if len(seen) == most:
            return
        if (text := normalise_sql(pool.pairs[i].sql)) not in seen:
            seen.add(text)
            yield Candidate(pool.pairs[i].sql, float(near[i]), pool.pairs[i].id)


def _filled(pool: _Pool, vector: numpy.ndarray, mentions: Sequence[Mention], values: Values) -> Iterator[Candidate]:
    """The queries that take in all that the question mentions, and those that take in all but one: as many as are
    nearer by `_LEFT_OUT`."""
    near = pool.blank @ vector
    order = numpy.argsort(-near, kind="stable")[:_LOOKED_AT].tolist()

    def leaving_out(count: int) -> Iterator[tuple[float, Candidate]]:
        for i in order:
            pair = pool.pairs[i]
            for sql, missing in _fillings(pair.sql, *_slots(pair.sql, pool.mentions[i]), mentions, values):
                if missing == count:
                    yield float(near[i]) - _LEFT_OUT * count, Candidate(sql, float(near[i]), pair.id)

    for _, candidate in heapq.merge(leaving_out(0), leaving_out(1), key=lambda found: -found[0]):
        yield candidate


def _slots(sql: str, mentions: Sequence[Mention]) -> tuple[list[_Slot], frozenset[str]]:
    """Literals of the query, or parts of one ('2012-%'), that the pair's question mentions; and the other literals."""
    by_value = {mention.value: mention for mention in mentions}
    found, others = [], set()
    for token in tokens(sql):
        if token.token_type not in (TokenType.STRING, TokenType.NUMBER):
            continue
        text, quoted = sql[token.start : token.end + 1], token.token_type == TokenType.STRING
        inside = text[1:-1].replace("''", "'").casefold() if quoted else text
        start, end = (token.start + 1, token.end) if quoted else (token.start, token.end + 1)
        if inside in by_value and by_value[inside].columns:
            found.append(_Slot(start, end, by_value[inside]))
            continue
        others.add(inside)
        for mention in by_value.values():
            if mention.columns or (mention.kind == "part" and "%" not in inside):
                continue
            if mention.kind == "quarter" and not quoted:
                continue
            for form, first, last in placed(inside, mention.forms):
                whole = (first, last) == (0, len(inside))
                if whole or (quoted and "'" not in inside):
                    found.append(
                        _Slot(start if whole else start + first, end if whole else start + last, mention, form)
                    )
                    others.discard(inside)
                    break
    return [slot for slot in found if not _by_chance(slot, found)], frozenset(others)


def _by_chance(slot: _Slot, all_: Sequence[_Slot]) -> bool:
    """'two minutes' is the 120000 of a query, not the 2 of ROUND(x, 2) beside it."""
    of_it = [other.form for other in all_ if other.mention == slot.mention]
    return slot.mention.kind in MEASURED and slot.form > min(of_it)


def _fillings(
    sql: str, slots: Sequence[_Slot], others: Collection[str], mentions: Sequence[Mention], values: Values
) -> Iterator[tuple[str, int]]:
    """The query with each value of its pair's question replaced by another one of this question's, of the same column
    or kind, in every way; with the number of this question's values that it leaves out. `others`: literals of the query
    that its pair's question says in other words; they may be values that this question mentions."""
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
        left_out = mine.keys() - {m.value for m in chosen}
        yield filled, sum(others.isdisjoint((value, *mine[value].forms)) for value in left_out)


def _fits(mine: Mention, theirs: Mention) -> bool:
    return bool(mine.columns & theirs.columns) if theirs.columns else mine.kind == theirs.kind
