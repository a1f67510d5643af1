"""Wrong answers to the exercises of Lab 7: each must be rejected."""

import math
import statistics
from collections import Counter

import numpy as np

from labkit.course import lab07

NAMES = {"math": math, "statistics": statistics, "containment": lab07._containment}
weigh, hold, choose, go = lab07._word_weights, lab07._containment, lab07._pick, lab07._sparse_step
moves, ratios = lab07._moved, lab07._ratio_range


def _by_count(weight):
    def answer(facts):
        counts = Counter(word for words in facts for word in words)
        return {word: weight(len(facts), count, len(counts)) for word, count in counts.items()}

    return answer


def _log(n):
    return math.log(n) or 1.0


WORD_WEIGHTS = {
    "not squared": lambda facts: {w: math.sqrt(v) for w, v in weigh(facts).items()},
    "not scaled": lambda facts: {w: v * math.log(len(facts)) ** 2 for w, v in weigh(facts).items()},
    "turned round": lambda facts: {w: 1 - v for w, v in weigh(facts).items()},
    "squared inside": _by_count(lambda n, c, all: math.log((n / c) ** 2) / _log(n)),
    "over the words": _by_count(lambda n, c, all: (math.log(max(n / c, 1)) / math.log(all + 1)) ** 2),
    "the share of facts": _by_count(lambda n, c, all: c / n),
    "one over the count": _by_count(lambda n, c, all: 1 / c),
    "linear": _by_count(lambda n, c, all: (n - c) / (n - 1) if n > 1 else 1.0),
    "plus one": _by_count(lambda n, c, all: (math.log((n + 1) / (c + 1)) / math.log(n + 1)) ** 2),
    "all 1": _by_count(lambda n, c, all: 1.0),
    "one fact is 0": _by_count(lambda n, c, all: (math.log(n / c) / _log(n)) ** 2),
    "divides by nothing": _by_count(lambda n, c, all: (math.log(n / c) / math.log(n)) ** 2),
    "no words of weight 0": lambda facts: {w: v for w, v in weigh(facts).items() if v},
    "empty facts don't count": lambda facts: weigh([words for words in facts if words]),
    "the first fact only": lambda facts: {w: v for w, v in weigh(facts).items() if w in facts[0]},
    "a list": lambda facts: sorted(weigh(facts).items()),
    "rounded": lambda facts: {w: round(v, 2) for w, v in weigh(facts).items()},
    "as text": lambda facts: {w: str(v) for w, v in weigh(facts).items()},
    "none": lambda facts: None,
}


def _share(found, total):
    return lambda key, words: found(key, words) / total(key, words) if total(key, words) else 0.0


def _weight(key, words):
    return sum(weight for word, weight in key.items() if word in words)


CONTAINMENT = {
    "words, not weights": _share(lambda k, w: len(k.keys() & w), lambda k, w: len(k)),
    "of the text": _share(_weight, lambda k, w: len(w)),
    "jaccard": _share(lambda k, w: len(k.keys() & w), lambda k, w: len(k.keys() | w)),
    "weight over all words": _share(_weight, lambda k, w: sum(k.values()) + len(w - k.keys())),
    "not divided": _weight,
    "over the number of words": _share(_weight, lambda k, w: len(k)),
    "over the largest": _share(_weight, lambda k, w: max(k.values(), default=0)),
    "what is missing": lambda k, w: 1 - hold(k, w),
    "all or nothing": lambda k, w: float(hold(k, w) == 1),
    "any": lambda k, w: float(hold(k, w) > 0),
    "a bool": lambda k, w: k.keys() <= w,
    "empty is 1": lambda k, w: hold(k, w) if sum(k.values()) else 1.0,
    "empty fails": lambda k, w: _weight(k, w) / sum(k.values()),
    "empty is None": lambda k, w: hold(k, w) if sum(k.values()) else None,
    "percent": lambda k, w: 100 * hold(k, w),
    "squared": lambda k, w: hold(k, w) ** 2,
    "rounded": lambda k, w: round(hold(k, w)),
    "none": lambda k, w: None,
}


def _names(keys, by_word, words):
    return sorted({name for word in words for name in by_word.get(word, ())})


def _best(order, good=lambda score, threshold: score >= threshold, score=hold, first=max):
    def answer(keys, by_word, words, threshold):
        scores = {name: score(keys[name], words) for name in _names(keys, by_word, words)}
        fitting = [name for name in scores if good(scores[name], threshold)]
        return first(fitting, key=lambda name: order(scores[name], len(keys[name])), default=None)

    return answer


def _all_keys(keys, by_word, words, threshold):
    scores = {name: hold(key, words) for name, key in keys.items()}
    best = max(scores, key=lambda name: (scores[name], len(keys[name])))
    return best if scores[best] >= threshold else None


PICK = {
    "all keys": _all_keys,
    "all keys by name": lambda k, b, w, t: max(
        (n for names in b.values() for n in names if hold(k[n], w) >= t),
        key=lambda n: (hold(k[n], w), len(k[n])),
        default=None,
    ),
    "a sorted list of all": lambda k, b, w, t: sorted(k, key=lambda n: -hold(k[n], w))[0],
    "above the threshold": _best(lambda score, size: (score, size), lambda score, t: score > t),
    "no threshold": _best(lambda score, size: (score, size), lambda score, t: True),
    "threshold 0.9": _best(lambda score, size: (score, size), lambda score, t: score >= 0.9),
    "the smaller key": _best(lambda score, size: (score, -size)),
    "size first": _best(lambda score, size: (size, score)),
    "size alone": _best(lambda score, size: size),
    "score alone": _best(lambda score, size: score),
    "the worst": _best(lambda score, size: (-score, size)),
    "words, not weights": _best(lambda score, size: (score, size), score=lambda k, w: len(k.keys() & w) / len(k)),
    "of the text": _best(lambda score, size: (score, size), score=lambda k, w: len(k.keys() & w) / len(w)),
    "not divided": _best(lambda score, size: (score, size), score=_weight),
    "word must be known": lambda k, b, w, t: choose(k, {x: b[x] for x in w}, w, t),
    "every word must be in": lambda k, b, w, t: next(
        (n for n in _names(k, b, w) if all(n in b.get(x, ()) for x in w)), None
    ),
    "the first found": lambda k, b, w, t: next((n for n in _names(k, b, w) if hold(k[n], w) >= t), None),
    "a list": lambda k, b, w, t: [choose(k, b, w, t)],
    "empty text": lambda k, b, w, t: choose(k, b, w, t) or "",
    "with its score": lambda k, b, w, t: (n := choose(k, b, w, t)) and (n, hold(k[n], w)),
    "none": lambda k, b, w, t: None,
}


def _step(unit=None, then=None, carry=None):
    def answer(vectors, velocity, gradients, rate, keep):
        vectors, velocity = dict(vectors), dict(velocity)
        for name, gradient in gradients.items():
            small = (unit or _unit)(gradient)
            velocity[name] = (carry or _carry)(velocity.get(name, 0.0), small, keep)
            vectors[name] = (then or _then)(vectors[name], rate, velocity[name])
        return vectors, velocity

    return answer


def _unit(gradient):
    length = np.linalg.norm(gradient, axis=1, keepdims=True)
    return gradient / np.where(length > 0, length, 1.0)


def _carry(old, small, keep):
    return keep * old + small


def _then(vector, rate, velocity):
    return vector - rate * velocity


def _whole(gradient):
    return gradient / (np.linalg.norm(gradient) or 1.0)


def _dense(v, m, g, rate, keep):
    m = {name: keep * m.get(name, np.zeros_like(a)) + _unit(g.get(name, np.zeros_like(a))) for name, a in v.items()}
    return {name: a - rate * m[name] for name, a in v.items()}, m


def _momentum_for_all(v, m, g, rate, keep):
    after, m = go(v, m, g, rate, keep)
    return after, {name: m.get(name, np.zeros_like(a)) for name, a in v.items()}


def _decays(v, m, g, rate, keep):
    after, new = go(v, m, g, rate, keep)
    return after, {name: a if name in g else keep * a for name, a in new.items()}


def _drifts(v, m, g, rate, keep):
    after, m = go(v, m, g, rate, keep)
    return {n: a if n in g or n not in m else a - rate * keep * m[n] for n, a in after.items()}, m


def _shifts_a_little(v, m, g, rate, keep):
    after, m = go(v, m, g, rate, keep)
    return {n: a if n in g else a + 1e-12 for n, a in after.items()}, m


def _in_place(v, m, g, rate, keep):
    for name, gradient in g.items():
        m[name] = keep * m.get(name, 0.0) + _unit(gradient)
        v[name] = v[name] - rate * m[name]
    return v, m


def _in_place_arrays(v, m, g, rate, keep):
    v, m = dict(v), dict(m)
    for name, gradient in g.items():
        m[name] = keep * m.get(name, 0.0) + _unit(gradient)
        v[name] -= np.asarray(rate * m[name])
    return v, m


SPARSE_STEP = {
    "uphill": _step(then=lambda v, rate, m: v + rate * m),
    "not divided": _step(unit=lambda g: g),
    "by the whole length": _step(unit=_whole),
    "by the columns": _step(unit=lambda g: g / (np.linalg.norm(g, axis=0, keepdims=True) + 1e-12)),
    "by the largest": _step(unit=lambda g: g / np.maximum(np.abs(g).max(axis=1, keepdims=True), 1e-12)),
    "by the sum": _step(unit=lambda g: g / np.maximum(np.abs(g).sum(axis=1, keepdims=True), 1e-12)),
    "signs": _step(unit=np.sign),
    "nan where nothing is": _step(unit=lambda g: g / np.linalg.norm(g, axis=1, keepdims=True)),
    "no momentum": _step(carry=lambda old, small, keep: small),
    "all is kept": _step(carry=lambda old, small, keep: old + small),
    "averaged": _step(carry=lambda old, small, keep: keep * old + (1 - keep) * small),
    "keeps the wrong one": _step(carry=lambda old, small, keep: old + keep * small),
    "no rate": _step(then=lambda v, rate, m: v - m),
    "divided by the rate": _step(then=lambda v, rate, m: v - m / rate),
    "steps before it remembers": lambda v, m, g, rate, keep: (go(v, {}, g, rate, keep)[0], go(v, m, g, rate, keep)[1]),
    "dense": _dense,
    "momentum for all": _momentum_for_all,
    "momentum decays for all": _decays,
    "the others drift": _drifts,
    "the others, a little": _shifts_a_little,
    "only the picked come back": lambda v, m, g, rate, keep: tuple(
        {n: a for n, a in part.items() if n in g} for part in go(v, m, g, rate, keep)
    ),
    "in place": _in_place,
    "arrays in place": _in_place_arrays,
    "vectors only": lambda v, m, g, rate, keep: go(v, m, g, rate, keep)[0],
    "swapped": lambda v, m, g, rate, keep: go(v, m, g, rate, keep)[::-1],
    "none": lambda v, m, g, rate, keep: None,
}


def _unequal(test):
    return lambda b, a: sorted(n for n in b.keys() | a.keys() if n not in b or n not in a or not test(b[n], a[n]))


MOVED = {
    "equal numbers": _unequal(np.array_equal),
    "equal numbers, nan too": _unequal(lambda x, y: np.array_equal(x, y, equal_nan=True)),
    "close": _unequal(lambda x, y: x.shape == y.shape and np.allclose(x, y, equal_nan=True)),
    "the sum": _unequal(lambda x, y: x.sum() == y.sum()),
    "bytes alone": _unequal(lambda x, y: x.tobytes() == y.tobytes()),
    "bytes and shape of doubles": _unequal(
        lambda x, y: (x.shape, x.astype(float).tobytes()) == (y.shape, y.astype(float).tobytes())
    ),
    "bytes and type": _unequal(lambda x, y: (x.dtype, x.tobytes()) == (y.dtype, y.tobytes())),
    "the same object": _unequal(lambda x, y: x is y),
    "shapes": _unequal(lambda x, y: x.shape == y.shape),
    "as text": _unequal(lambda x, y: str(x) == str(y)),
    "the first row": _unequal(lambda x, y: x.dtype == y.dtype and x[0].tobytes() == y[0].tobytes()),
    "new ones don't count": lambda b, a: [n for n in moves(b, a) if n in b],
    "gone ones don't count": lambda b, a: [n for n in moves(b, a) if n in a],
    "only who came or went": lambda b, a: sorted(b.keys() ^ a.keys()),
    "those that stayed": lambda b, a: sorted((b.keys() | a.keys()) - set(moves(b, a))),
    "a set": lambda b, a: set(moves(b, a)),
    "count": lambda b, a: len(moves(b, a)),
    "backwards": lambda b, a: moves(b, a)[::-1],
    "a bool": lambda b, a: bool(moves(b, a)),
    "none": lambda b, a: None,
}
RATIO_RANGE = {
    "means": lambda s, f: (ratios(s, f)[0], statistics.mean(s) / statistics.mean(f), ratios(s, f)[2]),
    "turned over": lambda s, f: ratios(f, s),
    "largest first": lambda s, f: ratios(s, f)[::-1],
    "like with like": lambda s, f: (min(s) / min(f), ratios(s, f)[1], max(s) / max(f)),
    "in the order measured": lambda s, f: (s[0] / f[0], ratios(s, f)[1], s[-1] / f[-1]),
    "pairs": lambda s, f: (
        min(a / b for a, b in zip(s, f, strict=False)),
        ratios(s, f)[1],
        max(a / b for a, b in zip(s, f, strict=False)),
    ),
    "median of all ratios": lambda s, f: (
        ratios(s, f)[0],
        statistics.median(a / b for a in s for b in f),
        ratios(s, f)[2],
    ),
    "middle of the range": lambda s, f: (ratios(s, f)[0], (ratios(s, f)[0] + ratios(s, f)[2]) / 2, ratios(s, f)[2]),
    "the best of each": lambda s, f: (ratios(s, f)[0], min(s) / min(f), ratios(s, f)[2]),
    "best case only": lambda s, f: (ratios(s, f)[2],) * 3,
    "middle only": lambda s, f: ratios(s, f)[1],
    "no middle": lambda s, f: (ratios(s, f)[0], ratios(s, f)[2]),
    "lower median": lambda s, f: (
        ratios(s, f)[0],
        statistics.median_low(s) / statistics.median_low(f),
        ratios(s, f)[2],
    ),
    "unsorted median": lambda s, f: (ratios(s, f)[0], s[len(s) // 2] / f[len(f) // 2], ratios(s, f)[2]),
    "never below 1": lambda s, f: tuple(max(1.0, r) for r in ratios(s, f)),
    "difference": lambda s, f: (min(s) - max(f), statistics.median(s) - statistics.median(f), max(s) - min(f)),
    "rounded": lambda s, f: tuple(map(round, ratios(s, f))),
    "none": lambda s, f: None,
}
WRONG = {
    "lab07.word_weights": WORD_WEIGHTS,
    "lab07.containment": CONTAINMENT,
    "lab07.pick": PICK,
    "lab07.sparse_step": SPARSE_STEP,
    "lab07.moved": MOVED,
    "lab07.ratio_range": RATIO_RANGE,
}
