"""A prompt that shows the solved pairs nearest to the question, for a model that is tuned to read it.

Tuning and retrieval together (Zhang et al. 2024, "RAFT", arXiv 2403.10131, section 3): the nearest pairs say which
tables, columns and formats there are, so that what is left to learn is how to change their query into the right one.
Nearest is by words (BM25 over all of them: "how many" decides a query, so no word is left out), and no two pairs shown
have the same skeleton. Light: no model, no database.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property

from labkit.dataset import Question
from labkit.errors import LabkitError
from labkit.prompting import Message
from labkit.retrieval import split_words
from labkit.sqltext import normalise_question, skeleton

INSTRUCTION = "You write SQL for SQLite."
NEAREST_PAIRS = "nearest_pairs"  # what an adapter's card calls this prompt
_POOL = 30  # pairs among which those with different skeletons are looked for


class NearestPairs:
    """A prompt: question -> messages with the `k` nearest of `pairs`, the nearest one last.

    In training a pair must not find itself, and mostly not its own query in other words either: questions that users
    ask have seldom been asked before. In a share `known` of the pairs it may, since some have.
    """

    def __init__(self, pairs: Sequence[Question], k: int = 2, known: float = 0.25):
        self.pairs = [pair for pair in pairs if pair.sql]
        if len(self.pairs) < 2:
            raise LabkitError("The prompt nearest_pairs shows solved pairs, and there are none to show. Give pairs.")
        self.k, self.known, self.__name__ = k, known, NEAREST_PAIRS
        self._skeletons: dict[str, str] = {}

    def __call__(self, question: str, schema_text: str = "") -> list[Message]:
        return self._messages(question, self._nearest(question))

    def for_training(self, pair: Question) -> list[Message]:
        """The prompt for a pair that is itself among the pairs."""
        draw = int.from_bytes(hashlib.sha256(pair.id.encode()).digest()[:4], "big") / 2**32
        hidden = "" if draw < self.known else pair.sql
        return self._messages(pair.question, self._nearest(pair.question, hidden, itself=True))

    def describe(self) -> dict:
        """What decides the prompts."""
        said = hashlib.sha256(repr([(p.question, p.sql) for p in self.pairs]).encode()).hexdigest()
        return {"prompt": self.__name__, "prompt_hash": said, "shown": self.k, "of": len(self.pairs)}

    def _messages(self, question: str, shown: Sequence[Question]) -> list[Message]:
        text = "".join(f"{pair.question}\n{pair.sql}\n\n" for pair in reversed(shown))
        return [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": text + question}]

    def _nearest(self, question: str, hidden: str = "", itself: bool = False) -> list[Question]:
        """The nearest pairs with different skeletons, best first; without the query `hidden`, or the question
        itself."""
        words = [word for word in split_words(question) if word in self._index.vocab_dict]
        if not words:
            return self.pairs[: self.k]
        places, _ = self._index.retrieve([words], k=min(_POOL, len(self.pairs)), show_progress=False)
        found: dict[str, Question] = {}
        for place in places[0].tolist():
            pair = self.pairs[place]
            if pair.sql == hidden or (itself and normalise_question(pair.question) == normalise_question(question)):
                continue
            found.setdefault(self._skeleton(pair.sql), pair)
            if len(found) == self.k:
                break
        return list(found.values())

    def _skeleton(self, sql: str) -> str:
        if sql not in self._skeletons:
            self._skeletons[sql] = skeleton(sql)
        return self._skeletons[sql]

    @cached_property
    def _index(self):
        import bm25s  # here, not above: half a second

        index = bm25s.BM25()
        index.index([split_words(pair.question) or ["-"] for pair in self.pairs], show_progress=False)
        return index
