"""Wrong answers to the exercises of Lab 2: each must be rejected."""

import math
import re
from collections import Counter
from dataclasses import replace

from labkit.course import lab02

NAMES = {"math": math}
LEVELS = ["easy", "medium", "hard"]


def _bag(result, places=6):
    return Counter(tuple(round(v, places) if isinstance(v, float) else v for v in row) for row in result.rows)


def _list(result, places=6):
    return [tuple(round(v, places) if isinstance(v, float) else v for v in row) for row in result.rows]


def _judged(gold, pred, ordered, view=lambda rows: rows):
    """The kit's judge after `view` has changed the rows of both."""
    return lab02._judge(replace(gold, rows=tuple(view(gold.rows))), replace(pred, rows=tuple(view(pred.rows))), ordered)


def _places(places):
    """The judge that rounds to another number of decimals."""

    def judged(gold, pred, ordered):
        verdict = lab02._judge(gold, pred, ordered)
        if gold.error or gold.truncated or pred.error or pred.truncated:
            return verdict
        same = _list(gold, places) == _list(pred, places) if ordered else _bag(gold, places) == _bag(pred, places)
        return "right" if same else "wrong"

    return judged


def _blind(name):
    """The judge that does not look at `name` of either result."""
    blank = {"error": None, "truncated": False}[name]
    return lambda g, p, o: lab02._judge(replace(g, **{name: blank}), replace(p, **{name: blank}), o)


JUDGE = {
    "always ordered": lambda g, p, o: lab02._judge(g, p, True),
    "never ordered": lambda g, p, o: lab02._judge(g, p, False),
    "ordered the wrong way round": lambda g, p, o: lab02._judge(g, p, not o),
    "sets": lambda g, p, o: (
        _judged(g, p, o, lambda rows: sorted(set(rows), key=repr)) if not o else lab02._judge(g, p, o)
    ),
    "sorted": lambda g, p, o: lab02._judge(g, p, o) if o else "right" if sorted(g.rows) == sorted(p.rows) else "wrong",
    "not rounded": lambda g, p, o: (
        lab02._judge(g, p, o) if g.error or g.truncated or p.error or p.truncated or g.rows == p.rows else "wrong"
    ),
    "two decimals": _places(2),
    "five decimals": _places(5),
    "seven decimals": _places(7),
    "errors are not seen": _blind("error"),
    "cut rows are not seen": _blind("truncated"),
    "a failed gold is wrong": lambda g, p, o: lab02._judge(g, p, o).replace("gold_error", "wrong"),
    "prediction first": lambda g, p, o: "wrong" if p.error or p.truncated else lab02._judge(g, p, o),
    "only failed golds": lambda g, p, o: lab02._judge(replace(g, truncated=False), p, o),
    "both failed is right": lambda g, p, o: "right" if g.error and p.error else lab02._judge(g, p, o),
    "empty is an error": lambda g, p, o: "gold_error" if not g.rows else lab02._judge(g, p, o),
    "as text": lambda g, p, o: _judged(g, p, o, lambda rows: [tuple(map(str, row)) for row in rows]),
    "values in any place": lambda g, p, o: _judged(g, p, o, lambda rows: [tuple(sorted(r, key=repr)) for r in rows]),
    "a bool": lambda g, p, o: lab02._judge(g, p, o) == "right",
    "zip": lambda g, p, o: (
        lab02._judge(g, p, o)
        if g.error or g.truncated or p.error or p.truncated or not o
        else "right"
        if all(a == b for a, b in zip(_list(g), _list(p), strict=False))
        else "wrong"
    ),
    "always right": lambda g, p, o: "right",
    "NULL is 0": lambda g, p, o: _judged(g, p, o, lambda rows: [tuple(v or 0 for v in row) for row in rows]),
    "none": lambda g, p, o: None,
}


def _wald(correct, n):
    share = correct / n if n else 0.0
    half = 1.96 * math.sqrt(share * (1 - share) / n) if n else 1.0
    return max(0.0, share - half), min(1.0, share + half)


def _wilson(correct, n, z):
    if n == 0:
        return 0.0, 1.0
    p = correct / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def _centred(correct, n):
    """The half of Wilson around the share itself."""
    low, high = lab02._wilson(correct, n)
    share = correct / n if n else 0.5
    return share - (high - low) / 2, share + (high - low) / 2


def _agresti_coull(correct, n):
    if n == 0:
        return 0.0, 1.0
    share = (correct + 2) / (n + 4)
    half = 1.96 * math.sqrt(share * (1 - share) / (n + 4))
    return max(0.0, share - half), min(1.0, share + half)


WILSON = {
    "normal approximation": _wald,
    "z is 2": lambda c, n: _wilson(c, n, 2.0),
    "90 %": lambda c, n: _wilson(c, n, 1.645),
    "99 %": lambda c, n: _wilson(c, n, 2.576),
    "centred on the share": _centred,
    "Agresti and Coull": _agresti_coull,
    "swapped": lambda c, n: lab02._wilson(c, n)[::-1],
    "percent": lambda c, n: tuple(100 * end for end in lab02._wilson(c, n)),
    "rounded": lambda c, n: tuple(round(end, 2) for end in lab02._wilson(c, n)),
    "low only": lambda c, n: lab02._wilson(c, n)[0],
    "three numbers": lambda c, n: (*lab02._wilson(c, n), 1.96),
    "middle and half": lambda c, n: (
        sum(lab02._wilson(c, n)) / 2,
        lab02._wilson(c, n)[1] - sum(lab02._wilson(c, n)) / 2,
    ),
    "nothing asked divides": lambda c, n: (c / n, c / n) and lab02._wilson(c, n),
    "nothing asked is 0": lambda c, n: lab02._wilson(c, n) if n else (0.0, 0.0),
    "nothing asked is one half": lambda c, n: lab02._wilson(c, n) if n else (0.5, 0.5),
    "of the wrong ones": lambda c, n: lab02._wilson(n - c, n),
    "no brackets": lambda c, n: (
        (0.0, 1.0)
        if n == 0
        else tuple(c / n + 1.96**2 / 2 * n / (1 + 1.96**2 / n) + s * lab02._wilson(c, n)[1] for s in (-1, 1))
    ),
    "the share twice": lambda c, n: (c / n, c / n) if n else (0.0, 1.0),
    "not a number": lambda c, n: (math.nan, math.nan) if n else (0.0, 1.0),
    "texts": lambda c, n: tuple(map(str, lab02._wilson(c, n))),
    "none": lambda c, n: None,
}


def _sign(fixed, broken, sides=2, start=0, end=1):
    n, fewer = fixed + broken, min(fixed, broken)
    return min(1.0, sides * sum(math.comb(n, k) for k in range(start, fewer + end)) / 2**n)


def _chi_square(fixed, broken, correction):
    if fixed + broken == 0:
        return 1.0
    distance = max(0, abs(fixed - broken) - correction)
    return math.erfc(math.sqrt(distance**2 / (fixed + broken) / 2))


P_VALUE = {
    "one side": lambda f, b: _sign(f, b, sides=1),
    "not capped": lambda f, b: 2 * sum(math.comb(f + b, k) for k in range(min(f, b) + 1)) / 2 ** (f + b),
    "more uneven only": lambda f, b: _sign(f, b, end=0),
    "this split only": lambda f, b: min(1.0, 2 * math.comb(f + b, f) / 2 ** (f + b)),
    "from 1 on": lambda f, b: _sign(f, b, start=1),
    "up to broken": lambda f, b: min(1.0, 2 * sum(math.comb(f + b, k) for k in range(b + 1)) / 2 ** (f + b)),
    "up to fixed": lambda f, b: min(1.0, 2 * sum(math.comb(f + b, k) for k in range(f + 1)) / 2 ** (f + b)),
    "up to the larger": lambda f, b: min(
        1.0, 2 * sum(math.comb(f + b, k) for k in range(max(f, b) + 1)) / 2 ** (f + b)
    ),
    "chi-square": lambda f, b: _chi_square(f, b, 0),
    "chi-square, corrected": lambda f, b: _chi_square(f, b, 1),
    "no change is no chance": lambda f, b: _sign(f, b) if f + b else 0.0,
    "share broken": lambda f, b: b / (f + b) if f + b else 1.0,
    "one minus": lambda f, b: 1 - _sign(f, b),
    "the difference": lambda f, b: f - b,
    "rounded": lambda f, b: round(_sign(f, b), 2),
    "below 0.05": lambda f, b: _sign(f, b) < 0.05,
    "percent": lambda f, b: 100 * _sign(f, b),
    "a pair": lambda f, b: (f, b),
    "none": lambda f, b: None,
}


def _level(question):
    return next(LEVELS.index(tag) for tag in question.tags if tag in LEVELS)


def _by(key, kept=("wrong",)):
    """Ids of the questions whose verdict is in `kept`, sorted by `key`."""
    return lambda questions, verdicts: [q.id for q in sorted((q for q in questions if verdicts[q.id] in kept), key=key)]


EASIEST = {
    "everything": lambda questions, verdicts: [q.id for q in sorted(questions, key=lambda q: (_level(q), len(q.tags)))],
    "whatever is not right": _by(lambda q: (_level(q), len(q.tags), len(q.sql)), ("wrong", "unstable", "gold_error")),
    "the right ones": _by(lambda q: (_level(q), len(q.tags), len(q.sql)), ("right",)),
    "unstable as well": _by(lambda q: (_level(q), len(q.tags), len(q.sql)), ("wrong", "unstable")),
    "in the set's order": _by(lambda q: 0),
    "by level alone": _by(_level),
    "by level and tags": _by(lambda q: (_level(q), len(q.tags))),
    "by level and length": _by(lambda q: (_level(q), len(q.sql))),
    "by tags first": _by(lambda q: (len(q.tags), _level(q), len(q.sql))),
    "by length alone": _by(lambda q: len(q.sql)),
    "by length before tags": _by(lambda q: (_level(q), len(q.sql), len(q.tags))),
    "hardest first": _by(lambda q: (-_level(q), len(q.tags), len(q.sql))),
    "most tags first": _by(lambda q: (_level(q), -len(q.tags), len(q.sql))),
    "longest first": _by(lambda q: (_level(q), len(q.tags), -len(q.sql))),
    "backwards": lambda questions, verdicts: lab02._easiest_failures(questions, verdicts)[::-1],
    "levels in alphabetical order": _by(lambda q: (LEVELS[_level(q)], len(q.tags), len(q.sql))),
    "the first tag is the level": _by(lambda q: (LEVELS.index(q.tags[0]), len(q.tags), len(q.sql))),
    "by the question's length": _by(lambda q: (_level(q), len(q.tags), len(q.question))),
    "by id": _by(lambda q: q.id),
    "only the first": lambda questions, verdicts: lab02._easiest_failures(questions, verdicts)[:1],
    "questions, not ids": lambda questions, verdicts: [q for q in questions if verdicts[q.id] == "wrong"],
    "the easy ones": _by(lambda q: (_level(q) > 0, len(q.tags), len(q.sql))),
    "none when nothing fails": lambda questions, verdicts: lab02._easiest_failures(questions, verdicts) or None,
    "an id": lambda questions, verdicts: next(iter(lab02._easiest_failures(questions, verdicts)), ""),
}

ours = lab02._normalise_question
NORMALISE = {
    "as it is": lambda text: text,
    "small letters": lambda text: text.lower(),
    "no small letters": lambda text: " ".join(text.replace("’", "'").split()).rstrip(" .?!"),
    "ends only": lambda text: text.lower().replace("’", "'").strip(" .?!\t\n"),
    "blanks only": lambda text: " ".join(text.lower().replace("’", "'").split()),
    "question mark only": lambda text: " ".join(text.lower().replace("’", "'").split()).rstrip(" ?"),
    "one sign": lambda text: re.sub(r"[.?!]$", "", " ".join(text.lower().replace("’", "'").split())).rstrip(),
    "a blank is left": lambda text: " ".join(text.lower().replace("’", "'").split()).rstrip(".?!"),
    "signs first": lambda text: " ".join(text.lower().replace("’", "'").rstrip(".?!").split()),
    "apostrophe stays": lambda text: " ".join(text.lower().split()).rstrip(" .?!"),
    "apostrophe dropped": lambda text: ours(text).replace("'", ""),
    "all signs dropped": lambda text: " ".join(re.findall(r"\w+", text.lower())),
    "all points dropped": lambda text: ours(text).replace(".", ""),
    "all marks dropped": lambda text: ours(text).replace("?", ""),
    "no blanks": lambda text: ours(text).replace(" ", ""),
    "sorted words": lambda text: " ".join(sorted(ours(text).split())),
    "two blanks to one": lambda text: text.lower().replace("’", "'").replace("  ", " ").strip().rstrip(" .?!"),
    "capitals": lambda text: ours(text).upper(),
    "words": lambda text: ours(text).split(),
    "first sentence": lambda text: re.split(r"[.?!]", ours(text))[0],
    "never empty": lambda text: ours(text) or text,
    "none": lambda text: None,
}

WRONG = {
    "lab02.judge": JUDGE,
    "lab02.wilson": WILSON,
    "lab02.p_value": P_VALUE,
    "lab02.easiest_failures": EASIEST,
    "lab02.normalise_question": NORMALISE,
}
