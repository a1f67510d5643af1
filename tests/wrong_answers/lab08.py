"""Wrong answers to the exercises of Lab 8: each must be rejected."""

import math

from labkit.course import lab08

NAMES = {"math": math}
c, g, t, r = lab08._changed, lab08._gain, lab08._next_target, lab08._retire


def _in_place(evaluation, training, question):
    if question in evaluation:
        evaluation.remove(question)
    if question not in training:
        training.append(question)
    return evaluation, training


WRONG = {
    "lab08.changed": {
        "swapped": lambda b, a: c(b, a)[::-1],
        "unsorted": lambda b, a: ([i for i in b if a[i] > b[i]], [i for i in b if a[i] < b[i]]),
        "counts": lambda b, a: tuple(map(len, c(b, a))),
        "all right after": lambda b, a: (sorted(i for i in b if a[i]), c(b, a)[1]),
        "all wrong after": lambda b, a: (c(b, a)[0], sorted(i for i in b if not a[i])),
        "a list": lambda b, a: list(c(b, a)),
        "none": lambda b, a: None,
        "one list": lambda b, a: sum(c(b, a), []),
        "backwards": lambda b, a: tuple(ids[::-1] for ids in c(b, a)),
        "sets": lambda b, a: tuple(map(set, c(b, a))),
        "by place": lambda b, a: (
            sorted(i for i, x, y in zip(b, b.values(), a.values(), strict=True) if y and not x),
            sorted(i for i, x, y in zip(b, b.values(), a.values(), strict=True) if x and not y),
        ),
        "nothing broken": lambda b, a: (c(b, a)[0], []),
        "all that differ": lambda b, a: (sorted(i for i in b if a[i] != b[i]),) * 2,
    },
    "lab08.gain": {
        "unpaired": lambda f, b, n: (
            (f - b) / n - 1.96 * math.sqrt(f + b) / n,
            (f - b) / n + 1.96 * math.sqrt(f + b) / n,
        ),
        "z of 1": lambda f, b, n: (
            (f - b) / n - (g(f, b, n)[1] - (f - b) / n) / 1.96,
            (f - b) / n + (g(f, b, n)[1] - (f - b) / n) / 1.96,
        ),
        "turned": lambda f, b, n: g(b, f, n),
        "absolute": lambda f, b, n: g(max(f, b), min(f, b), n),
        "counts": lambda f, b, n: tuple(n * x for x in g(f, b, n)),
        "ends swapped": lambda f, b, n: g(f, b, n)[::-1] if f or b else (1.0, 1.0),
        "one number": lambda f, b, n: (f - b) / n,
        "half as wide": lambda f, b, n: tuple((f - b) / n + (x - (f - b) / n) / 2 for x in g(f, b, n)),
        "not divided": lambda f, b, n: (
            (f - b) / n - 1.96 * math.sqrt(f + b - (f - b) ** 2 / n),
            (f - b) / n + 1.96 * math.sqrt(f + b - (f - b) ** 2 / n),
        ),
        "by the changed": lambda f, b, n: g(f, b, f + b) if f + b else (0.0, 0.0),
        "percent": lambda f, b, n: tuple(100 * x for x in g(f, b, n)),
        "around nothing": lambda f, b, n: tuple(x - (f - b) / n for x in g(f, b, n)),
        "never below 0": lambda f, b, n: tuple(max(0.0, x) for x in g(f, b, n)),
    },
    "lab08.next_target": {
        "largest": lambda f, x: max(f, key=f.get) if f else None,
        "most fixable": lambda f, x: max(x, key=x.get) if x else None,
        "last of a tie": lambda f, x: max((f[n] * x.get(n, 0), n) for n in f)[1] if t(f, x) else None,
        "missing counts as 1": lambda f, x: t(f, {n: x.get(n, 1) for n in f}),
        "never none": lambda f, x: t(f, x) or "join",
        "smallest": lambda f, x: min(f, key=lambda n: (f[n] * x.get(n, 0), n)) if f else None,
        "text none": lambda f, x: str(t(f, x)),
        "sum": lambda f, x: max(sorted(f), key=lambda n: f[n] + x.get(n, 0)) if t(f, x) else None,
        "what can't be mended": lambda f, x: max(sorted(f), key=lambda n: f[n] * (1 - x.get(n, 0))) if f else None,
        "first of all": lambda f, x: min(f) if t(f, x) else None,
        "of what has a share": lambda f, x: t({n: f.get(n, 1) for n in x}, x),
        "its worth": lambda f, x: max((f[n] * x.get(n, 0) for n in f), default=None) or None,
        "a list": lambda f, x: [t(f, x)],
    },
    "lab08.retire": {
        "in place": _in_place,
        "stays": lambda e, tr, q: (list(e), r(e, tr, q)[1]),
        "lost": lambda e, tr, q: (r(e, tr, q)[0], list(tr)),
        "twice": lambda e, tr, q: (r(e, tr, q)[0], [*tr, q]),
        "at the front": lambda e, tr, q: (r(e, tr, q)[0], tr if q in tr else [q, *tr]),
        "swapped": lambda e, tr, q: r(e, tr, q)[::-1],
        "sorted": lambda e, tr, q: tuple(map(sorted, r(e, tr, q))),
        "nothing moved": lambda e, tr, q: (list(e), list(tr)),
        "evaluation alone": lambda e, tr, q: r(e, tr, q)[0],
        "the question alone": lambda e, tr, q: (r(e, tr, q)[0], [q]),
        "all of them": lambda e, tr, q: ([], [*tr, *(x for x in e if x not in tr)]),
        "training cleared": lambda e, tr, q: (r(e, tr, q)[0], [x for x in tr if x != q] + [q]),
        "the first": lambda e, tr, q: (e[1:], r(e, tr, q)[1]),
    },
}
