"""Which expert a text is about: a frozen selection over the words that facts share with a text.

A key is the set of words that a fact's wordings have in common, each with a weight that falls from 1, for a word of one
fact, to 0, for a word of all that came with it (inverse document frequency, squared; Sparck Jones 1972). A text scores
a key by the share of the key's weight whose words it holds: the wording around the names costs nothing, a name too few
costs its share. From few facts nobody can tell a name from the wording around it, so a weight is settled once a word
came with `_TELLING` of them, in one call or one by one, and never changes then. The facts since are young: theirs are
weighed anew with each that comes, so that facts added one by one have the keys of facts added at once.

Of keys that a text holds alike, the one wins with most of its fact's words in the text, those without weight included,
and then with fewest that are missing. So a text in the very words of a fact picks that fact, whatever weights others
brought, unless another fact has the same words.

Searching goes from the text's words to keys (an inverted file), but each key stands only under so many of its words
that no text can reach the threshold without one of them (prefix filtering: Chaudhuri et al. 2006, "A primitive operator
for similarity joins"): at 0.9 that is nearly always one, of those that weigh enough the one with the fewest keys so
far. So a word that a tenth of all facts have costs nothing, and time hangs on how many keys share a rare word, not on
how many there are.

Words are read off token ids by a table, so this works inside a network as well, where no text is.

This is no index over vectors, by product keys (Lample et al. 2019, arXiv 1907.05242) or faiss, as a mixture of memory
experts would suggest, and it picks once a question, not at each position. Those were tried
(`benchmarks/mome_trials.py`; EXPERIMENTS.md, "Which key, where, how strong?", "memory experts made in other ways",
"product keys and faiss"). The model's states and a sentence encoder's vectors know which fact is meant, but a stranger
asked about in the wording of a fact is nearer to it than the fact in other words, and no threshold parts them. That was
exact search, which an index can only come near. Such an index can be chosen all the same (`faiss_selection`): with what
facts have in common subtracted from its vectors, which was found later, it comes nearer to words.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_TELLING = 32  # facts from which it can be told how rare a word is among them
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

    def prepare(self, prompts: Iterable[Sequence[int]]) -> None:
        """Nothing to do ahead: words are read as fast one text at a time."""

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
        self.weights: dict[int, float] = {}  # of words, settled
        self.loose: dict[int, float] = {}  # of words that young facts alone have
        self.young: list[int] = []  # experts
        self.keys: dict[int, dict[int, float]] = {}  # expert -> word -> its share of the key's weight
        self.idle: dict[int, frozenset[int]] = {}  # expert -> its fact's other words, which weigh nothing
        self.under: dict[int, list[int]] = {}  # word -> experts whose keys stand under it
        self.seen: Counter[int] = Counter()  # word -> how many keys have it
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
        new = {expert: frozenset.intersection(*wordings) for expert, wordings in facts.items()}
        young = {expert: self.asked(expert) for expert in self.young}
        together = new if len(new) >= _TELLING else young | new
        if len(together) >= _TELLING:
            self.weights = _rarities(together.values()) | self.weights
            self._make(together)
            young = {expert: words for expert, words in young.items() if expert not in together}
        else:
            young = together
        self.weigh(young)

    def weigh(self, young: dict[int, frozenset[int]]) -> None:
        """Take these experts for the young ones, with these words, and make their keys anew."""
        rarities = _rarities(young.values())
        self.young = list(young)
        self.loose = {word: weight for word, weight in rarities.items() if word not in self.weights}
        self._make(young)

    def _make(self, facts: dict[int, frozenset[int]]) -> None:
        """Keys by the weights that there are now."""
        alike: dict[frozenset[int], frozenset[int]] = {}  # facts of one wording share one set
        for expert, words in facts.items():
            self._drop(expert)
            found = {word: self.weights.get(word, self.loose.get(word, 0.0)) for word in sorted(words)}
            own = {word: weight for word, weight in found.items() if weight} or dict.fromkeys(found, 1.0)
            total, idle = sum(own.values()), words.difference(own)
            key = {word: _as_written(weight / total) for word, weight in own.items()}
            self.insert(expert, key, alike.setdefault(idle, idle))

    def insert(self, expert: int, key: dict[int, float], idle: frozenset[int] = frozenset()) -> None:
        """A key that was made before, word -> share, and the words that weigh nothing."""
        self.keys[expert], self.idle[expert] = key, idle
        self.seen.update(list(key))
        self._stand(expert)

    def asked(self, expert: int) -> frozenset[int]:
        """What an expert's fact is asked by: all its words."""
        return self.idle[expert].union(self.keys[expert])

    def same(self, expert: int, wordings: Sequence[frozenset[int]]) -> bool:
        """Whether an expert's words are those that these wordings have in common."""
        return frozenset.intersection(*wordings) == self.asked(expert)

    def knows(self, word: int) -> bool:
        """Whether a fact has the word."""
        return word in self.weights or word in self.loose

    def join(self, other: "Selection", first: int) -> None:
        """Take over another one's keys, for experts counted from `first` on; its young facts are young here too."""
        self.weights = other.weights | self.weights
        for expert in other.keys.keys() - set(other.young):
            self.insert(first + expert, other.keys[expert], other.idle[expert])
        self.add({first + expert: [other.asked(expert)] for expert in other.young})

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
        """Forget the keys of some experts, and the words that no other one has."""
        gone: set[int] = set()
        for expert in experts:
            gone |= self.asked(expert)
            self._drop(expert)
        for word in gone.difference(self.seen, *set(self.idle.values())):
            self.weights.pop(word, None)
        self.weigh({expert: self.asked(expert) for expert in self.young if expert in self.keys})

    def _drop(self, expert: int) -> None:
        self.idle.pop(expert, None)
        for word in self.keys.pop(expert, ()):
            self.seen[word] -= 1
            if not self.seen[word]:
                del self.seen[word]
            if expert in self.under.get(word, ()):
                self.under[word].remove(expert)

    def pick(self, words: Iterable[int], k: int = 1) -> list[Pick]:
        """The `k` best experts at or above the threshold, best first."""
        words = set(words)
        scores = {expert: hits / _RANDOM for expert, hits in self.random.hits(list(words)).items()}
        for expert in {expert for word in words for expert in self.under.get(word, ())}:
            scores[expert] = sum(share for word, share in self.keys[expert].items() if word in words)
        good = [(-round(score, 6), expert) for expert, score in scores.items() if score >= self.threshold - 1e-6]
        return [Pick(expert, -score) for score, *_, expert in sorted(self._told_apart(good, words))[:k]]

    def _told_apart(self, good: list[tuple[float, int]], words: set[int]) -> list[tuple[float, int, int, int]]:
        """The same with the number of the fact's words that are among `words` (negative) and that are not."""
        own = [self.asked(expert) if expert in self.keys else frozenset() for _, expert in good]
        return [
            (score, -len(mine & words), len(mine - words), expert)
            for (score, expert), mine in zip(good, own, strict=True)
        ]


def _rarities(facts: Collection[frozenset[int]]) -> dict[int, float]:
    """The weight of each word of some facts, as far as these tell."""
    whole = math.log(len(facts)) if len(facts) > 1 else 0.0
    counts = Counter(word for words in facts for word in sorted(words))
    return {
        word: _as_written((math.log(len(facts) / count) / whole) ** 2) if whole else 1.0
        for word, count in counts.items()
    }


def _as_written(value: float) -> float:
    """As it is read again from a file."""
    return float(np.float32(value))
