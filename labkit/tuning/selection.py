"""Which expert a text is about: a frozen selection over the words that facts share with a text.

A key is the set of words that a fact's wordings have in common, each with a weight that falls from 1, for a word of one
fact, to 0, for a word of all that came with it (inverse document frequency, squared; Sparck Jones 1972). A text scores
a key by the share of the key's weight whose words it holds: the wording around the names costs nothing, a name too few
costs its share. Weights are set when a word is first seen and never change, so a key that was right stays right however
many come after it. Searching goes from the text's words to the keys that have them (an inverted file), so its time
hangs on how many keys share a rare word, not on how many there are.

Words are read off token ids by a table, so this works inside a network as well, where no text is.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_RANDOM = 4  # words of a random key
_PRIME = (1 << 61) - 1
_BASE = 1_000_003


class Words:
    """Token ids to words, each a number that its letters and digits decide (a polynomial hash): the same for a word in
    capitals, at the beginning of a text, or cut into other tokens."""

    def __init__(self, tokenizer):
        texts = tokenizer.batch_decode([[i] for i in range(len(tokenizer))], clean_up_tokenization_spaces=False)
        special = set(tokenizer.all_special_ids)
        plain = ["" if i in special else "".join(filter(str.isalnum, t.casefold())) for i, t in enumerate(texts)]
        self.values = [_hashed(text) for text in plain]
        self.shifts = [pow(_BASE, len(text), _PRIME) for text in plain]
        self.begins = [not text[:1].isalnum() for text in texts]  # whether the token ends the word before it

    def of(self, tokens: Sequence[int]) -> frozenset[int]:
        """The words of a text."""
        found, word = set(), 0
        for token in tokens:
            if self.begins[token]:
                found.add(word)
                word = 0
            word = (word * self.shifts[token] + self.values[token]) % _PRIME
        return frozenset(found | {word}) - {0}


def _hashed(text: str) -> int:
    value = 0
    for letter in text:
        value = (value * _BASE + ord(letter)) % _PRIME
    return value


@dataclass(frozen=True)
class Pick:
    """An expert, and the share of its key's weight that the text holds."""

    expert: int
    score: float


class _Table:
    """Entries (word, expert, share of the expert's key) sorted by word."""

    def __init__(self):
        self.words, self.experts, self.shares = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)

    def insert(self, words: np.ndarray, experts: np.ndarray, shares: np.ndarray) -> None:
        words = np.concatenate([self.words, words])
        order = np.argsort(words, kind="stable")
        self.words = words[order]
        self.experts = np.concatenate([self.experts, experts])[order]
        self.shares = np.concatenate([self.shares, shares.astype(np.float32)])[order]

    def keep(self, kept: np.ndarray) -> None:
        self.words, self.experts, self.shares = self.words[kept], self.experts[kept], self.shares[kept]

    def find(self, words: np.ndarray) -> np.ndarray:
        """Places of the entries that have one of `words`."""
        starts, ends = (np.searchsorted(self.words, words, side) for side in ("left", "right"))
        places = [np.arange(a, b) for a, b in zip(starts, ends, strict=True) if a < b]
        return np.concatenate(places) if places else np.zeros(0, np.int64)


class Selection:
    """Keys of experts by number. `threshold`: the least score that picks one."""

    def __init__(self, threshold: float = 0.9):
        self.threshold = threshold
        self.weights: dict[int, float] = {}  # of every word ever seen in a fact
        self.keys, self.random = _Table(), _Table()

    def add(self, facts: dict[int, Sequence[frozenset[int]]]) -> None:
        """Keys for experts: of each the words that its wordings have in common."""
        common = {expert: frozenset.intersection(*wordings) for expert, wordings in facts.items()}
        seen = Counter(word for words in common.values() for word in words)
        for word, count in seen.items():
            rarity = math.log(len(facts) / count) / math.log(len(facts)) if len(facts) > 1 else 1.0
            self.weights.setdefault(word, float(np.float32(rarity**2)))  # as it is written to disk
        rows = []
        for expert, words in common.items():
            own = {word: self.weights[word] for word in words if self.weights[word]} or dict.fromkeys(words, 1.0)
            total = sum(own.values())
            rows += [(word, expert, weight / total) for word, weight in own.items()]
        if rows:
            words, experts, shares = zip(*rows, strict=True)
            self.keys.insert(np.array(words, np.int64), np.array(experts, np.int64), np.array(shares))

    def fill(self, experts: Sequence[int], seed: int = 0) -> None:
        """Keys of some random words each, for experts that hold nothing yet."""
        words = np.random.default_rng(seed).integers(1, _PRIME, len(experts) * _RANDOM)
        self.random.insert(words, np.repeat(np.asarray(experts), _RANDOM), np.full(len(words), 1 / _RANDOM))

    def remove(self, experts: Iterable[int]) -> None:
        """Forget the keys of some experts; the words' weights stay."""
        self.keys.keep(~np.isin(self.keys.experts, list(experts)))

    def pick(self, words: Iterable[int], k: int = 1) -> list[Pick]:
        """The `k` best experts at or above the threshold, best first; of equals the one with the larger key."""
        wanted = np.fromiter(words, dtype=np.int64)
        hits = [(table, table.find(wanted)) for table in (self.keys, self.random)]
        found = np.concatenate([table.experts[at] for table, at in hits])
        shares = np.concatenate([table.shares[at] for table, at in hits])
        experts, inverse, sizes = np.unique(found, return_inverse=True, return_counts=True)
        scores = np.bincount(inverse, shares, len(experts))
        good = np.flatnonzero(scores >= self.threshold - 1e-6)
        order = good[np.lexsort((experts[good], -sizes[good], -scores[good].round(6)))]
        return [Pick(int(experts[i]), float(scores[i])) for i in order[:k]]
