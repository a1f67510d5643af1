"""Which expert a text is about: a frozen selection over the words that facts share with a text.

A key is the set of words that a fact's wordings have in common, each with a weight that falls from 1, for a word of one
fact, to 0, for a word of all that came with it (inverse document frequency, squared; Sparck Jones 1972). A text scores
a key by the share of the key's weight whose words it holds: the wording around the names costs nothing, a name too few
costs its share. Weights are set when a word is first seen and never change, so a key that was right stays right however
many come after it.

Searching goes from the text's words to keys (an inverted file), but each key stands only under so many of its words
that no text can reach the threshold without one of them (prefix filtering: Chaudhuri et al. 2006, "A primitive operator
for similarity joins"): at 0.9 that is nearly always one, of those that weigh enough the one with the fewest keys so
far. So a word that a tenth of all facts have costs nothing, and time hangs on how many keys share a rare word.

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


def _allowed(threshold: float) -> float:
    """The share of a key that a text may lack, and a little, since shares are rounded."""
    return 1 - threshold + 1e-5


class Table:
    """Rows of equal columns, found by the first one (int64). They lie in sorted runs, each more than twice as long as
    the next, which merge as they grow (Bentley & Saxe 1980, "Decomposable searching problems"): inserting n rows one by
    one takes n log n, finding looks into log n runs."""

    def __init__(self):
        self.runs: list[tuple[np.ndarray, ...]] = []

    def insert(self, *columns: np.ndarray) -> None:
        """Add rows, given as columns of one length."""
        if not len(columns[0]):
            return
        run = _sorted(columns)
        while self.runs and len(self.runs[-1][0]) <= 2 * len(run[0]):
            run = _sorted([np.concatenate(pair) for pair in zip(self.runs.pop(), run, strict=True)])
        self.runs.append(run)

    def find(self, values: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        """The rows that begin with one of `values`, as columns, a tuple for each run that has some."""
        found = []
        for run in self.runs:
            starts, ends = (np.searchsorted(run[0], values, side) for side in ("left", "right"))
            places = [np.arange(a, b) for a, b in zip(starts, ends, strict=True) if a < b]
            if places:
                found.append(tuple(column[np.concatenate(places)] for column in run))
        return found

    def without(self, column: int, values: np.ndarray) -> None:
        """Drop the rows whose `column` is one of `values`."""
        kept = [~np.isin(run[column], values) for run in self.runs]
        self.runs = [tuple(c[keep] for c in run) for run, keep in zip(self.runs, kept, strict=True) if keep.any()]


def _sorted(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    order = np.argsort(columns[0], kind="stable")
    return tuple(column[order] for column in columns)


class _Keys:
    """Keys, each a row (expert, word, share) a word, and under which word a search comes upon them."""

    def __init__(self):
        self.rows, self.under = Table(), Table()
        self.crowd: Counter[int] = Counter()  # word -> how many keys stand under it

    def insert(self, experts: np.ndarray, words: np.ndarray, shares: np.ndarray, threshold: float) -> None:
        """Add keys whose rows follow each other, expert by expert."""
        self.rows.insert(experts, words, shares)
        ends = np.flatnonzero(np.diff(experts, append=-1)) + 1
        words, shares, pairs, begin = words.tolist(), shares.tolist(), [], 0
        for expert, end in zip(experts[ends - 1].tolist(), ends.tolist(), strict=True):
            for word in self._enough(words[begin:end], shares[begin:end], _allowed(threshold)):
                pairs.append((word, expert))
                self.crowd[word] += 1
            begin = end
        self.under.insert(*np.array(pairs, np.int64).reshape(-1, 2).T)

    def _enough(self, words: Sequence[int], shares: Sequence[float], allowed: float) -> list[int]:
        """Words of one key that a text can't all lack: one that weighs enough alone, the least crowded, or several."""
        order = sorted(range(len(words)), key=lambda i: (shares[i] <= allowed, self.crowd[words[i]], -shares[i]))
        chosen, lacking = [], 0.0
        for i in order:
            chosen.append(words[i])
            lacking += shares[i]
            if lacking > allowed:
                break
        return chosen

    def held(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of keys that may reach the threshold: expert, sum of the shares of `words`, how many of these it has."""
        near = [experts for _, experts in self.under.find(words)]
        rows = self.rows.find(np.unique(np.concatenate(near))) if near else []
        if not rows:
            return np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64)
        experts, own, shares = (np.concatenate(column) for column in zip(*rows, strict=True))
        hit = np.isin(own, words)
        numbers, place, sizes = np.unique(experts[hit], return_inverse=True, return_counts=True)
        return numbers, np.bincount(place, shares[hit], len(numbers)), sizes


class Selection:
    """Keys of experts by number. `threshold`: the least score that picks one."""

    def __init__(self, threshold: float = 0.9):
        self._threshold = threshold
        self.weights: dict[int, float] = {}  # of every word ever seen in a fact
        self.keys, self.random = _Keys(), _Keys()

    @property
    def threshold(self) -> float:
        """The least score that picks an expert; to change it builds the index anew."""
        return self._threshold

    @threshold.setter
    def threshold(self, value: float) -> None:
        self._threshold = value
        for name in ("keys", "random"):
            old = getattr(self, name).rows.runs
            setattr(self, name, _Keys())
            for run in old:
                getattr(self, name).insert(*run, value)

    def add(self, facts: dict[int, Sequence[frozenset[int]]]) -> None:
        """Keys for experts: of each the words that its wordings have in common."""
        common = {expert: sorted(frozenset.intersection(*wordings)) for expert, wordings in facts.items()}
        seen = Counter(word for words in common.values() for word in words)
        for word, count in seen.items():
            rarity = math.log(len(facts) / count) / math.log(len(facts)) if len(facts) > 1 else 1.0
            self.weights.setdefault(word, float(np.float32(rarity**2)))  # as it is written to disk
        rows = []
        for expert, words in common.items():
            own = {word: self.weights[word] for word in words if self.weights[word]} or dict.fromkeys(words, 1.0)
            total = sum(own.values())
            rows += [(expert, word, weight / total) for word, weight in own.items()]
        if rows:
            experts, words, shares = zip(*rows, strict=True)
            self.insert(np.array(experts, np.int64), np.array(words, np.int64), np.array(shares, np.float32))

    def insert(self, experts: np.ndarray, words: np.ndarray, shares: np.ndarray) -> None:
        """Keys that were made before, a row a word, in any order."""
        self.keys.insert(*_sorted((experts, words, shares)), self.threshold)

    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All keys: experts, words, shares; by expert, then by word, however they came here."""
        if not self.keys.rows.runs:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
        experts, words, shares = (np.concatenate(column) for column in zip(*self.keys.rows.runs, strict=True))
        order = np.lexsort((words, experts))
        return experts[order], words[order], shares[order]

    def fill(self, experts: Sequence[int], seed: int = 0) -> None:
        """Keys of some random words each, for experts that hold nothing yet."""
        words = np.random.default_rng(seed).integers(1, _PRIME, (len(experts), _RANDOM))
        owners = np.repeat(np.asarray(experts)[:, None], _RANDOM, axis=1)
        self.random.rows.insert(owners.ravel(), words.ravel(), np.full(words.size, 1 / _RANDOM, np.float32))
        enough = min(_RANDOM, int(_RANDOM * _allowed(self.threshold)) + 1)  # no word of theirs is another's
        self.random.under.insert(words[:, :enough].ravel(), owners[:, :enough].ravel())

    def remove(self, experts: Iterable[int]) -> None:
        """Forget the keys of some experts; the words' weights stay."""
        numbers = np.fromiter(experts, np.int64)
        self.keys.rows.without(0, numbers)
        self.keys.under.without(1, numbers)

    def pick(self, words: Iterable[int], k: int = 1) -> list[Pick]:
        """The `k` best experts at or above the threshold, best first; of equals the one with the larger key."""
        wanted = np.unique(np.fromiter(words, dtype=np.int64))
        found = [keys.held(wanted) for keys in (self.keys, self.random)]
        experts, scores, sizes = (np.concatenate(column) for column in zip(*found, strict=True))
        good = np.flatnonzero(scores >= self.threshold - 1e-6)
        order = good[np.lexsort((experts[good], -sizes[good], -scores[good].round(6)))]
        return [Pick(int(experts[i]), float(scores[i])) for i in order[:k]]
