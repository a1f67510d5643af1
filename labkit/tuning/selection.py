"""Which expert a text is about: a frozen selection over the words that facts share with a text.

A key is the set of words that a fact's wordings have in common, each with a weight that falls from 1, for a word of one
fact, to 0, for a word of all that came with it (inverse document frequency, squared; Sparck Jones 1972). A text scores
a key by the share of the key's weight whose words it holds: the wording around the names costs nothing, a name too few
costs its share. Weights are set when a word is first seen and never change, so a key that was right stays right however
many come after it.

Searching goes from the text's words to keys (an inverted file), but each key stands only under so many of its words
that no text can reach the threshold without one of them (prefix filtering: Chaudhuri et al. 2006, "A primitive operator
for similarity joins"): at 0.9 that is nearly always one, of those that weigh enough the one with the fewest keys so
far. So a word that a tenth of all facts have costs nothing, and time hangs on how many keys share a rare word, not on
how many there are.

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
_KINDS = (np.int64, np.int64, np.float32)  # columns of `rows`


class Words:
    """Token ids to words, each a number that its letters and digits decide (a polynomial hash): the same for a word in
    capitals, at the beginning of a text, or cut into other tokens."""

    def __init__(self, tokenizer):
        texts = tokenizer.batch_decode([[i] for i in range(len(tokenizer))], clean_up_tokenization_spaces=False)
        special = set(tokenizer.all_special_ids)
        plain = ["" if i in special else "".join(filter(str.isalnum, t.casefold())) for i, t in enumerate(texts)]
        self.letters = plain
        self.values = [number(text) for text in plain]
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

    def spelt(self, tokens: Sequence[int]) -> set[str]:
        """The same words as letters and digits; `number` makes one of a word."""
        found, word = set(), ""
        for token in tokens:
            if self.begins[token]:
                found.add(word)
                word = ""
            word += self.letters[token]
        return (found | {word}) - {""}


def number(text: str) -> int:
    """The number of a word, given in small letters and digits."""
    value = 0
    for letter in text:
        value = (value * _BASE + ord(letter)) % _PRIME
    return value


@dataclass(frozen=True)
class Pick:
    """An expert, and the share of its key's weight that the text holds."""

    expert: int
    score: float


class _Random:
    """Keys of some random words each: none of these is another's, nor a text's, but all are searched."""

    def __init__(self):
        self.words, self.experts = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def insert(self, experts: np.ndarray, seed: int) -> None:
        """Keys for some experts."""
        words = np.random.default_rng(seed).integers(1, _PRIME, len(experts) * _RANDOM)
        words = np.concatenate([self.words, words])
        order = np.argsort(words, kind="stable")
        self.words = words[order]
        self.experts = np.concatenate([self.experts, np.repeat(experts, _RANDOM)])[order]

    def hits(self, words: Sequence[int]) -> Counter[int]:
        """How many of `words` an expert's key has."""
        at = np.searchsorted(self.words, words) if len(self.words) else ()
        return Counter(
            int(self.experts[i]) for i, word in zip(at, words, strict=False) if self.words[i % len(self.words)] == word
        )


class Selection:
    """Keys of experts by number. `threshold`: the least score that picks one."""

    def __init__(self, threshold: float = 0.9):
        self._threshold = threshold
        self.weights: dict[int, float] = {}  # of every word ever seen in a fact
        self.keys: dict[int, dict[int, float]] = {}  # expert -> word -> its share of the key's weight
        self.under: dict[int, list[int]] = {}  # word -> experts whose keys stand under it
        self.seen: Counter[int] = Counter()  # word -> how many keys have had it
        self.random = _Random()

    @property
    def threshold(self) -> float:
        """The least score that picks an expert; changing it builds the index anew."""
        return self._threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        self._threshold, self.under = value, {}
        for expert in self.keys:
            self._stand(expert)

    def add(self, facts: dict[int, Sequence[frozenset[int]]]) -> None:
        """Keys for experts: of each the words that its wordings have in common."""
        common = {expert: sorted(frozenset.intersection(*wordings)) for expert, wordings in facts.items()}
        seen = Counter(word for words in common.values() for word in words)
        for word, count in seen.items():
            rarity = math.log(len(facts) / count) / math.log(len(facts)) if len(facts) > 1 else 1.0
            self.weights.setdefault(word, _as_written(rarity**2))
        for expert, words in common.items():
            own = {word: self.weights[word] for word in words if self.weights[word]} or dict.fromkeys(words, 1.0)
            total = sum(own.values())
            self.insert(expert, {word: _as_written(weight / total) for word, weight in own.items()})

    def insert(self, expert: int, key: dict[int, float]) -> None:
        """A key that was made before: word -> share."""
        self.keys[expert] = key
        self.seen.update(list(key))
        self._stand(expert)

    def _stand(self, expert: int) -> None:
        """Put a key under words that a text can't all lack: one that weighs enough alone, the rarest, or several."""
        key, allowed, lacking = self.keys[expert], 1 - self.threshold + 1e-5, 0.0  # a little: shares are rounded
        for word in sorted(key, key=lambda word: (key[word] <= allowed, self.seen[word], -key[word])):
            self.under.setdefault(word, []).append(expert)
            lacking += key[word]
            if lacking > allowed:
                return

    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All keys as columns: expert, word, share; by expert."""
        rows = [(expert, word, share) for expert in sorted(self.keys) for word, share in self.keys[expert].items()]
        columns = zip(*rows, strict=True) if rows else ((), (), ())
        return tuple(np.array(column, kind) for column, kind in zip(columns, _KINDS, strict=True))

    def fill(self, experts: Sequence[int], seed: int = 0) -> None:
        """Keys of some random words each, for experts that hold nothing yet."""
        self.random.insert(np.asarray(experts), seed)

    def remove(self, experts: Iterable[int]) -> None:
        """Forget the keys of some experts; the words' weights stay."""
        for expert in experts:
            for word in self.keys.pop(expert):
                if expert in self.under.get(word, ()):
                    self.under[word].remove(expert)

    def pick(self, words: Iterable[int], k: int = 1) -> list[Pick]:
        """The `k` best experts at or above the threshold, best first; of equals the one with the larger key."""
        words = set(words)
        found = [(hits / _RANDOM, hits, expert) for expert, hits in self.random.hits(list(words)).items()]
        for expert in {expert for word in words for expert in self.under.get(word, ())}:
            shares = [share for word, share in self.keys[expert].items() if word in words]
            found.append((sum(shares), len(shares), expert))
        good = [(-round(score, 6), -size, expert) for score, size, expert in found if score >= self.threshold - 1e-6]
        return [Pick(expert, -score) for score, _, expert in sorted(good)[:k]]


def _as_written(value: float) -> float:
    """As it is read again from a file."""
    return float(np.float32(value))
