"""Wrong answers to the exercises of Lab 6: each must be rejected."""

import math

import numpy as np

from labkit.course import lab06

NAMES = {"math": math, "np": np}


def _log_p(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _own(scores, labels):
    return np.take_along_axis(scores, np.where(labels >= 0, labels, 0)[..., None], -1)[..., 0]


def _sums(logits, labels):
    return lab06._example_losses(logits, labels) * (labels >= 0).sum(axis=1)


def _overflows(logits, labels):
    log_p = np.log(np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True))
    return -(_own(log_p, labels) * (labels >= 0)).sum(axis=1) / (labels >= 0).sum(axis=1)


ours = lab06._example_losses
EXAMPLE_LOSSES = {
    "the batch's mean": lambda x, y: float(ours(x, y).mean()),
    "the batch's mean, repeated": lambda x, y: np.full(len(y), ours(x, y).mean()),
    "sums": _sums,
    "over all places": lambda x, y: _sums(x, y) / y.shape[1],
    "question tokens count": lambda x, y: -_own(_log_p(x), y).mean(axis=1),
    "no minus": lambda x, y: -ours(x, y),
    "logits": lambda x, y: -(_own(x, y) * (y >= 0)).sum(axis=1) / (y >= 0).sum(axis=1),
    "chances": lambda x, y: np.exp(-ours(x, y)),
    "one minus the chance": lambda x, y: 1 - np.exp(-ours(x, y)),
    "base 2": lambda x, y: ours(x, y) / math.log(2),
    "overflows": _overflows,
    "the worst token": lambda x, y: np.where(y >= 0, -_own(_log_p(x), y), -np.inf).max(axis=1),
    "the last token": lambda x, y: -_own(_log_p(x), y)[:, -1],
    "a loss a token": lambda x, y: -_own(_log_p(x), y),
    "softmax over the places": lambda x, y: ours(x - np.log(np.exp(x - x.max()).sum(axis=1, keepdims=True)), y) + 1,
    "0 or 1": lambda x, y: (ours(x, y) < 1).astype(int),
    "none": lambda x, y: None,
}


def _leads(logits, labels, best=max):
    return [
        [row[t] - best(np.delete(row, t)) for row, t in zip(rows, tokens, strict=True) if t >= 0]
        for rows, tokens in zip(logits, labels, strict=True)
    ]


def _all_places(logits, labels, margin):
    return [bool(min(leads) >= margin) for leads in _leads(logits, np.where(labels >= 0, labels, 0))]


MASTERED = {
    "no margin": lambda x, y, m: [min(leads) > 0 for leads in _leads(x, y)],
    "more than the margin": lambda x, y, m: [bool(min(leads) > m) for leads in _leads(x, y)],
    "half the margin": lambda x, y, m: lab06._mastered(x, y, m / 2),
    "the mean lead": lambda x, y, m: [bool(np.mean(leads) >= m) for leads in _leads(x, y)],
    "the best lead": lambda x, y, m: [bool(max(leads) >= m) for leads in _leads(x, y)],
    "the first token": lambda x, y, m: [bool(leads[0] >= m) for leads in _leads(x, y)],
    "the last token": lambda x, y, m: [bool(leads[-1] >= m) for leads in _leads(x, y)],
    "question tokens count": _all_places,
    "over the weakest rival": lambda x, y, m: [bool(min(leads) >= m) for leads in _leads(x, y, min)],
    "over the mean": lambda x, y, m: [bool(min(leads) >= m) for leads in _leads(x, y, np.mean)],
    "distance": lambda x, y, m: [bool(min(map(abs, leads)) >= m) for leads in _leads(x, y)],
    "the logit itself": lambda x, y, m: [
        bool(min(row[t] for row, t in zip(rows, tokens, strict=True) if t >= 0) >= m)
        for rows, tokens in zip(x, y, strict=True)
    ],
    "low loss": lambda x, y, m: [bool(loss < 0.5) for loss in lab06._example_losses(x, y)],
    "one verdict": lambda x, y, m: all(lab06._mastered(x, y, m)),
    "one verdict, repeated": lambda x, y, m: [all(lab06._mastered(x, y, m))] * len(y),
    "turned round": lambda x, y, m: [not verdict for verdict in lab06._mastered(x, y, m)],
    "positions": lambda x, y, m: [i for i, verdict in enumerate(lab06._mastered(x, y, m)) if verdict],
    "leads": lambda x, y, m: [min(leads) for leads in _leads(x, y)],
    "none": lambda x, y, m: None,
}


def _left(mastered, want=False):
    return [i for i, done in enumerate(mastered) if done is want]


NEXT_BATCH = {
    "only what is left": lambda mastered, size: _left(mastered)[:size],
    "in order": lambda mastered, size: list(range(len(mastered)))[:size] if _left(mastered) else [],
    "never empty": lambda mastered, size: (_left(mastered) + _left(mastered, True))[:size],
    "mastered first": lambda mastered, size: (
        (_left(mastered, True) + _left(mastered))[:size] if _left(mastered) else []
    ),
    "sorted": lambda mastered, size: sorted(lab06._next_batch(mastered, size)),
    "not cut": lambda mastered, size: lab06._next_batch(mastered, len(mastered)),
    "all that is left": lambda mastered, size: _left(mastered),
    "one short": lambda mastered, size: lab06._next_batch(mastered, size)[: size - 1],
    "one more": lambda mastered, size: lab06._next_batch(mastered, size + 1),
    "backwards": lambda mastered, size: lab06._next_batch(mastered[::-1], size),
    "from the end": lambda mastered, size: (
        (_left(mastered)[::-1] + _left(mastered, True))[:size] if _left(mastered) else []
    ),
    "the mastered ones": lambda mastered, size: _left(mastered, True)[:size],
    "from 1": lambda mastered, size: [i + 1 for i in lab06._next_batch(mastered, size)],
    "repeated to fill": lambda mastered, size: (lab06._next_batch(mastered, size) * size)[:size],
    "flags": lambda mastered, size: [mastered[i] for i in lab06._next_batch(mastered, size)],
    "a tuple": lambda mastered, size: tuple(lab06._next_batch(mastered, size)),
    "none at the end": lambda mastered, size: lab06._next_batch(mastered, size) or None,
}


def _report(average, doubtful):
    return lambda chances: (average(chances), doubtful(chances))


def _average(chances):
    return lab06._loss_report(chances)[0]


def _doubtful(chances):
    return lab06._loss_report(chances)[1]


def _where(test):
    return _report(_average, lambda chances: [i for i, fact in enumerate(chances) if test(fact)])


LOSS_REPORT = {
    "mean of means": _report(lambda c: -np.mean([np.mean(np.log(fact)) for fact in c]), _doubtful),
    "a fact, not a token": _report(lambda c: -sum(math.log(p) for f in c for p in f) / len(c), _doubtful),
    "the sum": _report(lambda c: -sum(math.log(p) for f in c for p in f), _doubtful),
    "no minus": _report(lambda c: -_average(c), _doubtful),
    "base 2": _report(lambda c: _average(c) / math.log(2), _doubtful),
    "mean of chances": _report(lambda c: -math.log(np.mean([p for f in c for p in f])), _doubtful),
    "error, not loss": _report(lambda c: float(np.mean([1 - p for f in c for p in f])), _doubtful),
    "one half is doubtful": _where(lambda fact: min(fact) <= 0.5),
    "by the whole answer": _where(lambda fact: math.prod(fact) < 0.5),
    "by the mean": _where(lambda fact: np.mean(fact) < 0.5),
    "by the best token": _where(lambda fact: max(fact) < 0.5),
    "by the first token": _where(lambda fact: fact[0] < 0.5),
    "by the last token": _where(lambda fact: fact[-1] < 0.5),
    "certain ones": _where(lambda fact: min(fact) >= 0.5),
    "count": _report(_average, lambda c: len(_doubtful(c))),
    "the worst only": _report(_average, lambda c: _doubtful(c)[:1]),
    "never doubtful": _report(_average, lambda c: []),
    "average only": _average,
    "swapped": lambda c: lab06._loss_report(c)[::-1],
    "none": lambda c: None,
}


def _pairs(test):
    return lambda b, a: sum(test(b[key], a.get(key, "missing")) for key in b) / len(b)


SAME_SHARE = {
    "changed": lambda b, a: 1 - lab06._same_share(b, a),
    "count": lambda b, a: sum(a.get(key) == b[key] for key in b),
    "percent": lambda b, a: 100 * lab06._same_share(b, a),
    "by place": lambda b, a: sum(x == y for x, y in zip(b.values(), a.values(), strict=False)) / len(b),
    "any order": lambda b, a: sum(x in a.values() for x in b.values()) / len(b),
    "sets": lambda b, a: len(set(b.values()) & set(a.values())) / len(b),
    "of the answers after": lambda b, a: sum(b.get(key) == a[key] for key in a) / len(a),
    "of both": lambda b, a: sum(b[key] == a[key] for key in b if key in a) / len(b.keys() & a.keys()),
    "missing stays": lambda b, a: sum(a.get(key, b[key]) == b[key] for key in b) / len(b),
    "missing is empty": lambda b, a: sum(a.get(key, "") == b[key] for key in b) / len(b),
    "small letters": _pairs(lambda x, y: x.lower() == y.lower()),
    "starts alike": _pairs(lambda x, y: y.startswith(x)),
    "starts alike, the other way": _pairs(lambda x, y: x.startswith(y)),
    "empty does not count": _pairs(lambda x, y: bool(x) and x == y),
    "all or nothing": lambda b, a: float(all(a.get(key) == b[key] for key in b)),
    "a bool": lambda b, a: b == a,
    "missing fails": lambda b, a: sum(a[key] == b[key] for key in b) / len(b),
    "none": lambda b, a: None,
}
BREAK_EVEN = {
    "the tie": lambda b, r, t: math.inf if r <= t else math.ceil(b / (r - t)),
    "not whole": lambda b, r, t: math.inf if r <= t else b / (r - t),
    "rounded down": lambda b, r, t: math.inf if r <= t else math.floor(b / (r - t)),
    "rounded": lambda b, r, t: math.inf if r <= t else round(b / (r - t)) + 1,
    "two more": lambda b, r, t: lab06._break_even(b, r, t) + 1,
    "divides by nothing": lambda b, r, t: math.floor(b / (r - t)) + 1,
    "below zero": lambda b, r, t: math.floor(b / (r - t)) + 1 if r != t else math.inf,
    "distance": lambda b, r, t: math.floor(b / abs(r - t)) + 1 if r != t else math.inf,
    "never is 0": lambda b, r, t: 0 if r <= t else lab06._break_even(b, r, t),
    "never is -1": lambda b, r, t: -1 if r <= t else lab06._break_even(b, r, t),
    "always": lambda b, r, t: math.floor(b / max(r - t, 1e-9)) + 1,
    "a query costs nothing": lambda b, r, t: lab06._break_even(b, r, 0.0) if r > t else math.inf,
    "only what it costs tuned": lambda b, r, t: math.floor(b / t) + 1 if r > t and t else math.inf,
    "a share": lambda b, r, t: math.inf if r <= t else math.floor(b * t / r) + 1,
    "swapped": lambda b, r, t: lab06._break_even(b, t, r),
    "a bool": lambda b, r, t: r > t,
    "none": lambda b, r, t: None if r <= t else lab06._break_even(b, r, t),
}
WRONG = {
    "lab06.example_losses": EXAMPLE_LOSSES,
    "lab06.mastered": MASTERED,
    "lab06.next_batch": NEXT_BATCH,
    "lab06.loss_report": LOSS_REPORT,
    "lab06.same_share": SAME_SHARE,
    "lab06.break_even": BREAK_EVEN,
}
