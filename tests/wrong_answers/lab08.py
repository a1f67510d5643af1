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
    },
    "lab08.next_target": {
        "largest": lambda f, x: max(f, key=f.get) if f else None,
        "most fixable": lambda f, x: max(x, key=x.get) if x else None,
        "last of a tie": lambda f, x: max((f[n] * x.get(n, 0), n) for n in f)[1] if t(f, x) else None,
        "missing counts as 1": lambda f, x: t(f, {n: x.get(n, 1) for n in f}),
        "never none": lambda f, x: t(f, x) or "join",
        "smallest": lambda f, x: min(f, key=lambda n: (f[n] * x.get(n, 0), n)) if f else None,
        "text none": lambda f, x: str(t(f, x)),
    },
    "lab08.retire": {
        "in place": _in_place,
        "stays": lambda e, tr, q: (list(e), r(e, tr, q)[1]),
        "lost": lambda e, tr, q: (r(e, tr, q)[0], list(tr)),
        "twice": lambda e, tr, q: (r(e, tr, q)[0], [*tr, q]),
        "at the front": lambda e, tr, q: (r(e, tr, q)[0], tr if q in tr else [q, *tr]),
        "swapped": lambda e, tr, q: r(e, tr, q)[::-1],
        "sorted": lambda e, tr, q: tuple(map(sorted, r(e, tr, q))),
    },
}
