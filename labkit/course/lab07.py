"""Checks, hints and the kit's own answers for Lab 7: what a word is worth, a key's score, the pick, the sparse step,
which experts moved, and a ratio with its range.
"""

import math
import statistics
from collections import Counter

import numpy as np

from labkit.course.checks import Exercise, Wrong, expect, returned


def _word_weights(facts):
    n = len(facts)
    counts = Counter(word for words in facts for word in words)
    if n == 1:
        return dict.fromkeys(counts, 1.0)
    return {word: (math.log(n / count) / math.log(n)) ** 2 for word, count in counts.items()}


def _containment(key, words):
    total = sum(key.values())
    return sum(weight for word, weight in key.items() if word in words) / total if total else 0.0


def _pick(keys, by_word, words, threshold):
    candidates = {name for word in words for name in by_word.get(word, ())}
    scores = {name: _containment(keys[name], words) for name in candidates}
    good = [name for name in candidates if scores[name] >= threshold]
    return max(good, key=lambda name: (scores[name], len(keys[name])), default=None)


def _sparse_step(vectors, velocity, gradients, rate, keep):
    vectors, velocity = dict(vectors), dict(velocity)
    for name, gradient in gradients.items():
        length = np.linalg.norm(gradient, axis=1, keepdims=True)
        unit = gradient / np.where(length > 0, length, 1.0)
        velocity[name] = keep * velocity.get(name, 0.0) + unit
        vectors[name] = vectors[name] - rate * velocity[name]
    return vectors, velocity


def _moved(before, after):
    def bits(array):
        return None if array is None else (array.dtype, array.shape, array.tobytes())

    return sorted(name for name in before.keys() | after.keys() if bits(before.get(name)) != bits(after.get(name)))


def _ratio_range(slow, fast):
    middle = statistics.median(slow) / statistics.median(fast)
    return min(slow) / max(fast), middle, max(slow) / min(fast)


_SETS = (  # facts as sets of words, why
    ([{"ana", "birch", "climb"}, {"bo", "ash", "climb"}], "A word of one fact in two weighs 1, a word of both 0."),
    ([{"a"}, {"a"}, {"a"}, {"b"}], "Three of four facts share a word: log(4/3) / log(4), squared."),
    ([{"a", "x"}, {"b", "x"}, {"c", "x"}, {"d"}, {"e"}, {"f"}, {"g"}, {"h"}], "Three of eight facts share a word."),
    ([{"a", "b"}, {"a", "c"}, {"b", "d"}], "Two words are shared by two of three facts each."),
    ([{"key", "blue"}], "One fact alone has nothing to be compared with: each of its words weighs 1."),
    ([set(), {"a", "x"}, {"b", "x"}], "A fact without a word counts as a fact."),
)
_KEYS = (  # key, words of a text, share, why
    ({"ana": 1.0, "birch": 1.0}, {"ana", "birch"}, 1.0, "The text holds all of the key."),
    ({"ana": 1.0, "birch": 1.0}, {"ana", "ash"}, 0.5, "The text holds half of the key's weight."),
    ({"ana": 1.0, "birch": 1.0}, {"ana", "birch", "tell", "me", "now"}, 1.0, "Other words of the text cost nothing."),
    ({"ana": 3.0, "birch": 1.0}, {"ana"}, 0.75, "Weights count, not words."),
    ({"ana": 3.0, "birch": 1.0}, {"birch"}, 0.25, "Weights count, not words."),
    ({"ana": 1.0, "climb": 0.0}, {"ana"}, 1.0, "A word of no weight costs nothing when it is missing."),
    ({"ana": 1.0, "climb": 0.0}, {"climb"}, 0.0, "A word of no weight brings nothing."),
    ({"ana": 0.25, "birch": 0.25}, {"birch", "x", "y"}, 0.5, "Weights need not add up to 1."),
    ({"ana": 1.0}, set(), 0.0, "A text without words holds nothing."),
    ({"climb": 0.0}, {"climb"}, 0.0, "A key without any weight is never met: no division by zero."),
    ({}, {"ana"}, 0.0, "An empty key is never met."),
)
_BANK = {
    "half dome": {"ana": 1.0, "half": 1.0, "dome": 2.0},
    "birch crag": {"ana": 1.0, "birch": 1.0, "crag": 2.0},
    "ash": {"bo": 2.0, "ash": 2.0},
    "ash again": {"bo": 1.0, "ash": 1.0, "again": 2.0},
    "bo": {"bo": 4.0},
    "ana": {"ana": 3.0, "dome": 1.0},
}
_ASKED = (  # words, threshold, name, why
    ({"ana", "half", "dome"}, 0.9, "half dome", "Two keys are met in full; of equals the one with more words counts."),
    ({"ana", "birch", "crag", "year"}, 0.9, "birch crag", "It meets one key in full."),
    ({"birch", "crag"}, 0.75, "birch crag", "Three quarters of the key are exactly the threshold, and that is enough."),
    ({"birch", "crag"}, 0.8, None, "Three quarters of the key are less than the threshold."),
    ({"ana", "crag"}, 0.75, "birch crag", "Two keys are met by three quarters; the one with more words counts."),
    ({"capital", "portugal"}, 0.1, None, "No key has any of these words."),
    (set(), 0.1, None, "A text without words asks for no expert."),
    ({"bo", "ash"}, 0.9, "ash", "Two keys are met in full; of equals the one with more words counts."),
    ({"bo", "ash", "again"}, 0.9, "ash again", "Three keys are met in full; of equals the largest counts."),
    ({"bo", "again"}, 0.6, "bo", "The best score counts, and only among equal scores the number of words."),
    ({"ash"}, 0.5, "ash", "Half a key is enough where the threshold says so."),
    ({"dome"}, 0.25, "half dome", "Half of one key is more than a quarter of another."),
)
_CLOCK = (  # slow, fast, why
    ([40.0], [2.0], "One measurement each: the three figures are the same."),
    ([40.0, 60.0], [2.0], "The slow side may be 40 or 60."),
    ([40.0], [2.0, 5.0, 4.0], "The least ratio has the longest of the fast times under it."),
    ([44.0, 40.0, 80.0], [4.0, 5.0, 2.0], "Measurements come in no order."),
    ([10.0, 30.0, 11.0, 12.0], [1.0, 9.0, 2.0], "One outlier moves a mean and not the median."),
    ([3.0, 1.0, 2.0], [6.0, 4.0, 5.0], "The ratio may be below 1: then the claim fails."),
)


def check_word_weights(function):
    """Squared, scaled to 0 ... 1, over facts and not over words; a fact alone."""
    for facts, because in _SETS:
        answer, wanted = returned(function, facts, kind=dict), _word_weights(facts)
        if answer.keys() != wanted.keys():
            raise Wrong(f"for {facts} it has weights for {sorted(map(str, answer))}, not for each word. {because}")
        for word, weight in wanted.items():
            if not _number(answer[word]) or not math.isclose(answer[word], weight, rel_tol=1e-6, abs_tol=1e-9):
                raise Wrong(
                    f"for {facts} the weight of {word!r} is {answer[word]!r:.40}, which is not right. {because}"
                )


def check_containment(function):
    """Weights, not words; the text's other words; keys without weight."""
    for key, words, wanted, because in _KEYS:
        answer = returned(function, key, words)
        if not _number(answer) or not math.isclose(answer, wanted, abs_tol=1e-9):
            raise Wrong(f"for key {key} and words {words or '{}'} it gave {answer!r:.40}, not right. {because}")


class _Watched(dict):
    """Keys that may be looked up by name, and not gone through: with a million of them that would take its time."""

    def __init__(self, keys):
        super().__init__(keys)
        self.read = set()

    def __getitem__(self, name):
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name, default=None):
        return self[name] if self.__contains__(name) else default

    def _all(self, *arguments):
        raise Wrong(
            "it went through all keys. Look up in by_word which ones share a word with the text, and no others."
        )

    __iter__ = keys = values = items = copy = __reversed__ = _all


def check_pick(function):
    """The best at or above the threshold, ties by size, none otherwise; only keys that share a word are read."""
    by_word = {}
    for name, key in _BANK.items():
        for word in key:
            by_word.setdefault(word, []).append(name)
    for words, threshold, wanted, because in _ASKED:
        keys = _Watched(_BANK)
        answer = function(keys, {word: list(names) for word, names in by_word.items()}, set(words), threshold)
        asked = f"for the words {sorted(words)} and threshold {threshold} it"
        if answer != wanted or (answer is not None and not isinstance(answer, str)):
            raise Wrong(f"{asked} picked {answer!r:.60}, which is not right. {because}")
        needless = keys.read - {name for word in words for name in by_word.get(word, ())}
        if needless:
            raise Wrong(f"{asked} read the key of {min(needless)!r}, which shares no word with them.")


def check_sparse_step(function):
    """Each row by its own length, memory of earlier steps, experts that were not picked left alone, inputs too."""
    draw = np.random.default_rng(7)
    vectors = {name: draw.normal(size=(rows, 4)) for name, rows in (("a", 2), ("b", 3), ("c", 1))}
    velocity = {"a": draw.normal(size=(2, 4)), "c": draw.normal(size=(1, 4))}
    slopes = {name: 5 * draw.normal(size=array.shape) for name, array in vectors.items()}
    resting = slopes["b"].copy()
    resting[1] = 0.0
    cases = (
        ({"a": slopes["a"]}, 0.5, 0.5, "It was stepped before: what is kept of that counts."),
        ({"b": slopes["b"]}, 0.5, 0.5, "It was never stepped before: its velocity begins at 0."),
        ({"b": slopes["b"] / 1000}, 0.25, 0.9, "Only the direction of each row counts, not its length."),
        ({"b": resting}, 0.5, 0.5, "A row without a slope stays, and is no number over 0."),
        ({"a": slopes["a"], "c": slopes["c"]}, np.float64(2.0), 0.0, "Nothing is kept of earlier steps."),
        ({"a": slopes["a"]}, np.array([[0.5], [2.0]]), 0.5, "The rate may be a column: each row has its own."),
        ({}, 0.5, 0.5, "No expert was picked, so none may change."),
    )
    for gradients, rate, keep, because in cases:
        _one_step(function, vectors, velocity, gradients, rate, keep, because)


def _one_step(function, vectors, velocity, gradients, rate, keep, because):
    given = ({n: a.copy() for n, a in vectors.items()}, {n: a.copy() for n, a in velocity.items()})
    answer = function(*given, gradients, rate, keep)
    if not isinstance(answer, tuple) or len(answer) != 2 or not all(isinstance(part, dict) for part in answer):
        raise Wrong(f"it should return two dicts, vectors and velocity, and returned {answer!r:.80}.")
    if _moved(vectors, given[0]) or _moved(velocity, given[1]):
        raise Wrong(
            "it changed the dicts or arrays that it was given. Make new ones: `vectors = dict(vectors)` is one."
        )
    picked = f"with {sorted(gradients)} picked"
    for what, got, wanted in zip(
        ("vectors", "velocity"), answer, _sparse_step(vectors, velocity, gradients, rate, keep), strict=True
    ):
        if got.keys() != wanted.keys():
            raise Wrong(f"{picked} its {what} have {sorted(got)}, which are not the right names. {because}")
        for name, array in got.items():
            if not isinstance(array, np.ndarray) or array.shape != wanted[name].shape:
                raise Wrong(f"{picked} the {what} of {name!r} are no array of the shape that came in.")
            if name not in gradients and array.tobytes() != wanted[name].tobytes():
                raise Wrong(f"{picked} the {what} of {name!r} changed as well. Nobody picked it.")
            if not np.allclose(array, wanted[name], rtol=1e-6, atol=1e-9):
                raise Wrong(f"{picked} the {what} of {name!r} are not right. {because}")


def check_moved(function):
    """Values, bits that compare as equal, bits that compare as unequal, types, shapes, experts that come and go."""
    a, b = np.array([[1.0, -2.0], [0.5, 0.0]], np.float16), np.array([[3.0, 4.0]], np.float16)
    last = a.copy()
    last[-1, -1] = 0.5
    blank = np.array([[np.nan, 1.0]], np.float16)
    for before, after, wanted, because in (
        ({"a": a, "b": b}, {"a": a.copy(), "b": b.copy()}, [], "Copies hold the same bits."),
        ({"a": a, "b": b}, {"b": b, "a": a}, [], "The order of the experts does not count."),
        ({"a": a, "b": b}, {"a": last, "b": b}, ["a"], "The last number of one expert differs."),
        ({"b": a, "a": b}, {"b": last, "a": b + 1}, ["a", "b"], "Both differ; names come in order."),
        ({"a": a}, {"a": a, "b": b}, ["b"], "One expert is new."),
        ({"a": a, "b": b}, {"b": b}, ["a"], "One expert is gone."),
        ({"a": np.zeros((1, 2))}, {"a": -np.zeros((1, 2))}, ["a"], "0.0 and -0.0 are equal, but their bits differ."),
        ({"a": blank}, {"a": blank.copy()}, [], "nan is not equal to itself, but its bits are the same."),
        ({"a": a}, {"a": a.astype(np.float32)}, ["a"], "Another type has other bits, even of equal numbers."),
        ({"a": b}, {"a": b.reshape(2, 1)}, ["a"], "The shape is another one."),
        ({"a": a}, {"a": a[:1]}, ["a"], "A row is missing."),
        ({"a": b}, {"a": b + np.float16(0.002)}, ["a"], "Nearly the same is not the same."),
        ({}, {}, [], "No experts, none moved."),
    ):
        expect(function, before, after, equals=wanted, because=because, kind=list)


def check_ratio_range(function):
    """The least, the middle (of medians) and the largest ratio that the measurements allow."""
    for slow, fast, because in _CLOCK:
        answer, wanted = returned(function, slow, fast, kind=(tuple, list)), _ratio_range(slow, fast)
        if len(answer) != 3 or not all(map(_number, answer)):
            raise Wrong(f"it should return three numbers, and returned {answer!r:.80}.")
        for place, got, right in zip(("least", "middle", "largest"), answer, wanted, strict=True):
            if not math.isclose(got, right, rel_tol=1e-9):
                raise Wrong(f"for {slow} and {fast} the {place} ratio is {got:.6g}, which is not right. {because}")


def _number(value) -> bool:
    return isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(value, bool)


EXERCISES = {
    "word_weights": Exercise(
        check_word_weights,
        _word_weights,
        "right. A name weighs, the wording around it does not.",
        (
            "In how many facts does a word stand? A word of one fact is worth most, a word of all facts nothing.",
            "Counter(word for words in facts for word in words) counts. (log(n / count) / log(n)) squared.",
            "{word: (math.log(n / count) / math.log(n)) ** 2 for word, count in counts.items()}; 1.0 each if n == 1.",
        ),
    ),
    "containment": Exercise(
        check_containment,
        _containment,
        "right. What is missing of the key costs; what else the text says does not.",
        (
            "Two sums over the key: of all its weights, and of those whose word is in the text.",
            "sum(weight for word, weight in key.items() if word in words), over sum(key.values()); mind a sum of 0.",
            "total = sum(key.values()); return 0.0 if not total, else the sum of the weights found, divided by total.",
        ),
    ),
    "pick": Exercise(
        check_pick,
        _pick,
        "right. One expert or none, and only keys near the text were looked at.",
        (
            "Collect the names that by_word has for the text's words. Which of those are good enough, which is best?",
            "by_word.get(word, ()) for each word; a set of names; containment(keys[name], words) >= threshold.",
            "max(good, key=lambda name: (containment(keys[name], words), len(keys[name])), default=None)",
        ),
    ),
    "sparse_step": Exercise(
        check_sparse_step,
        _sparse_step,
        "right. The picked ones move, and nothing is even written for the others.",
        (
            "Copy both dicts (not the arrays). Go through `gradients` alone: its names are the picked ones.",
            "np.linalg.norm(gradient, axis=1, keepdims=True) is each row's length; where it is 0, divide by 1 instead.",
            "velocity[name] = keep * velocity.get(name, 0.0) + unit; then vectors[name] - rate * velocity[name].",
        ),
    ),
    "moved": Exercise(
        check_moved,
        _moved,
        "right. Equal is not enough: you compare bits.",
        (
            "All names of either side. What must be the same of two arrays so that each bit is?",
            "array.tobytes() are its bits; type (dtype) and shape belong to it. Some names are on one side only.",
            "sorted(n for n in before.keys() | after.keys() if n is on one side only, or if one of the three differs)",
        ),
    ),
    "ratio_range": Exercise(
        check_ratio_range,
        _ratio_range,
        "right. A ratio with its range can be held against a claim.",
        (
            "When is a ratio as small as these measurements allow? When as large?",
            "Least: the shortest slow time over the longest fast time. The middle: median over median.",
            "(min(slow) / max(fast), statistics.median(slow) / statistics.median(fast), max(slow) / min(fast))",
        ),
    ),
}
