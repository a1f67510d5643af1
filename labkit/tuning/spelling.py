"""Words that differ from a known one by a slip: a letter too few, too many or another one, or two neighbours swapped.

Two words one slip apart become equal when at most one letter is dropped from each, so known words stand in a table
under themselves and all they become without one letter (Mor & Fraenkel 1982, "A hash code method for detecting and
correcting spelling errors"); what is found there is compared letter by letter. Short words, in which a slip makes
another word, and words with digits, in which it makes another number, are left alone.
"""

from collections.abc import Callable, Iterable
from os.path import commonprefix

_SHORTEST = 4  # letters of a known word


class Spelling:
    """Known words, and which of them a misspelt one may be."""

    def __init__(self):
        self.words: set[str] = set()
        self.without: dict[str, list[str]] = {}  # what is left of a known word -> such words

    def add(self, words: Iterable[str]) -> None:
        """Know more words."""
        new = {word for word in words if len(word) >= _SHORTEST and word.isalpha()} - self.words
        self.words |= new
        for word in new:
            for left in _shortened(word):
                self.without.setdefault(left, []).append(word)

    def keep(self, known: Callable[[str], bool]) -> None:
        """Know no words any more but these."""
        words, self.words, self.without = self.words, set(), {}
        self.add(filter(known, words))

    def corrections(self, word: str) -> set[str]:
        """The known words one slip away; none for a word that is too short or has digits."""
        if len(word) < _SHORTEST - 1 or not word.isalpha():
            return set()
        near = {known for left in _shortened(word) for known in self.without.get(left, ())}
        return {known for known in near if _one_slip(word, known)}


def _shortened(word: str) -> set[str]:
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}


def _one_slip(a: str, b: str) -> bool:
    begin = len(commonprefix([a, b]))
    a, b = a[begin:], b[begin:]
    end = len(commonprefix([a[::-1], b[::-1]]))
    a, b = a[: len(a) - end], b[: len(b) - end]
    return {len(a), len(b)} <= {0, 1} or (len(a) == 2 and a == b[::-1])
