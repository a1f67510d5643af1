"""Wrong answers to the exercises of Lab 3: each must be rejected."""

import math
import re
from collections import Counter

from labkit.course import lab03

NAMES = {"math": math, "re": re, "IMAGE_TOKENS": lab03.IMAGE_TOKENS}


def _scores(words=lambda text: re.findall(r"\w+", text.lower()), weight=lambda n, df: math.log(n / df), asked=set):
    """Scores with other words, another weight, or the question's words as they come."""

    def scored(question, documents):
        held = [set(words(text)) for text in documents]
        df = Counter(word for each in held for word in each)
        return [sum(weight(len(held), df[w]) for w in asked(words(question)) if w in each) for each in held]

    return scored


def _often(question, documents):
    weights = {w: s for d in documents for w in re.findall(r"\w+", d.lower()) for s in lab03._idf_scores(w, documents)}
    asked = set(re.findall(r"\w+", question.lower()))
    return [sum(weights.get(w, 0) for w in re.findall(r"\w+", d.lower()) if w in asked) for d in documents]


ours = lab03._idf_scores
IDF = {
    "capitals count": _scores(lambda text: re.findall(r"\w+", text)),
    "signs in words": _scores(lambda text: text.lower().split()),
    "letters": _scores(lambda text: list(text.lower())),
    "all words alike": _scores(weight=lambda n, df: 1),
    "smoothed": _scores(weight=lambda n, df: math.log((n + 1) / (df + 1))),
    "one more": _scores(weight=lambda n, df: math.log(1 + n / df)),
    "base 2": _scores(weight=lambda n, df: math.log2(n / df)),
    "no log": _scores(weight=lambda n, df: n / df),
    "upside down": _scores(weight=lambda n, df: math.log(df / n)),
    "common words": _scores(weight=lambda n, df: math.log(df)),
    "repeated in the question": _scores(asked=list),
    "repeated in the document": _often,
    "sorted": lambda q, d: sorted(ours(q, d)),
    "turned round": lambda q, d: ours(q, d)[::-1],
    "best only": lambda q, d: max(ours(q, d), default=0),
    "parts of words": lambda q, d: [sum(w in t.lower() for w in set(q.lower().split())) * ours(q, d)[0] for t in d],
    "long documents less": lambda q, d: [s / len(t.split()) for s, t in zip(ours(q, d), d, strict=True)],
    "zeros": lambda q, d: [0.0] * len(d),
    "none": lambda q, d: None,
}


def _chosen(scores, pairs, k, *, unique=True, zeros=False, last=True, order=lambda s: -s, late=False):
    places = sorted(range(len(pairs)), key=lambda i: order(scores[i]))
    kept, seen = [], set()
    for i in places[:k] if late else places:
        if (scores[i] > 0 or zeros) and not (unique and pairs[i].sql in seen):
            seen.add(pairs[i].sql)
            kept.append(pairs[i])
    return kept[:k][::-1] if last else kept[:k]


choose = lab03._choose_examples
CHOOSE = {
    "best first": lambda s, p, k: _chosen(s, p, k, last=False),
    "same query twice": lambda s, p, k: _chosen(s, p, k, unique=False),
    "zeros too": lambda s, p, k: _chosen(s, p, k, zeros=True),
    "worst": lambda s, p, k: _chosen(s, p, k, order=lambda score: score),
    "in the order given": lambda s, p, k: _chosen(s, p, k, order=lambda score: 0),
    "cut before twins are dropped": lambda s, p, k: _chosen(s, p, k, late=True),
    "one more": lambda s, p, k: choose(s, p, k + 1),
    "one less": lambda s, p, k: choose(s, p, k - 1),
    "all": lambda s, p, k: choose(s, p, len(p)),
    "ids": lambda s, p, k: [pair.id for pair in choose(s, p, k)],
    "places": lambda s, p, k: [p.index(pair) for pair in choose(s, p, k)],
    "sorted by name": lambda s, p, k: sorted(choose(s, p, k), key=lambda pair: pair.id),
    "ties the other way": lambda s, p, k: choose(s[::-1], p[::-1], k),
    "the worse twin": lambda s, p, k: list({x.sql: x for x in _chosen(s, p, 9, unique=False, last=False)}.values())[:k][
        ::-1
    ],
    "at least 1": lambda s, p, k: choose(s, p, k) or p[:1],
    "above 1 only": lambda s, p, k: choose([score if score > 1 else 0 for score in s], p, k),
    "none": lambda s, p, k: None,
}


def _loop(
    ask, run, times, *, extra=0, told=lambda sql, error: (sql, error), first=None, stop=lambda e: e is None, keep=False
):
    sql = start = ask(first)
    for _ in range(times + extra):
        error = run(sql)
        if stop(error):
            break
        sql = ask(told(sql, error))
    return start if keep else sql


def _remembering(ask, run, times):
    """Always tells the first query and its error."""
    sql = first = ask(None)
    told = run(first)
    for _ in range(times):
        if run(sql) is None:
            break
        sql = ask((first, told))
    return sql


REFLECT = {
    "one try too many": lambda a, r, t: _loop(a, r, t, extra=1),
    "one try too few": lambda a, r, t: _loop(a, r, t, extra=-1),
    "never": lambda a, r, t: a(None),
    "once": lambda a, r, t: _loop(a, r, min(t, 1)),
    "goes on": lambda a, r, t: _loop(a, r, t, stop=lambda error: False),
    "gives up": lambda a, r, t: _loop(a, r, t, stop=lambda error: error is not None),
    "empty error": lambda a, r, t: _loop(a, r, t, stop=lambda error: not error),
    "error only": lambda a, r, t: _loop(a, r, t, told=lambda sql, error: error),
    "query only": lambda a, r, t: _loop(a, r, t, told=lambda sql, error: sql),
    "the other way round": lambda a, r, t: _loop(a, r, t, told=lambda sql, error: (error, sql)),
    "nothing told": lambda a, r, t: _loop(a, r, t, told=lambda sql, error: None),
    "starts with a text": lambda a, r, t: _loop(a, r, t, first=""),
    "the first query": lambda a, r, t: _loop(a, r, t, keep=True),
    "the first error": _remembering,
    "none": lambda a, r, t: _loop(a, r, t) and None,
    "with its error": lambda a, r, t: (_loop(a, r, t), None),
}


price = lab03._query_seconds
SECONDS = {
    "no cache": lambda x, i, n, c, p, d: price(x, i, n, 0, p, d),
    "no images": lambda x, i, n, c, p, d: price(x, 0, n, c, p, d),
    "images of 256": lambda x, i, n, c, p, d: price(x + 256 * i, 0, n, c, p, d),
    "one image": lambda x, i, n, c, p, d: price(x, min(i, 1), n, c, p, d),
    "nothing to read": lambda x, i, n, c, p, d: max(0, x + 258 * i - c) / p + n / d,
    "less than nothing": lambda x, i, n, c, p, d: (x + 258 * i - c) / p + n / d,
    "speeds swapped": lambda x, i, n, c, p, d: price(x, i, n, c, d, p),
    "one speed": lambda x, i, n, c, p, d: (max(1, x + 258 * i - c) + n) / p,
    "multiplied": lambda x, i, n, c, p, d: max(1, x + 258 * i - c) * p + n * d,
    "read only": lambda x, i, n, c, p, d: price(x, i, 0, c, p, d),
    "written only": lambda x, i, n, c, p, d: n / d,
    "cache for text only": lambda x, i, n, c, p, d: max(1, max(0, x - c) + 258 * i) / p + n / d,
    "cache added": lambda x, i, n, c, p, d: (x + 258 * i + c) / p + n / d,
    "whole seconds": lambda x, i, n, c, p, d: round(price(x, i, n, c, p, d)),
    "two tokens": lambda x, i, n, c, p, d: max(2, x + 258 * i - c) / p + n / d,
    "most images": lambda x, i, n, c, p, d: price(x, min(i, 1000), n, c, p, d),
    "none": lambda *a: None,
}


even = lab03._break_even
BREAK_EVEN = {
    "rounded down": lambda b, x, y: None if y >= x else math.floor(b / (x - y)),
    "rounded": lambda b, x, y: None if y >= x else round(b / (x - y)),
    "not rounded": lambda b, x, y: None if y >= x else b / (x - y),
    "one more": lambda b, x, y: None if y >= x else math.floor(b / (x - y)) + 1,
    "never is 0": lambda b, x, y: even(b, x, y) or 0,
    "never is infinite": lambda b, x, y: math.inf if y >= x else even(b, x, y),
    "negative": lambda b, x, y: None if x == y else math.ceil(b / (x - y)),
    "difference without sign": lambda b, x, y: None if x == y else math.ceil(b / abs(x - y)),
    "no care": lambda b, x, y: math.ceil(b / (x - y)),
    "what is saved forgotten": lambda b, x, y: None if y >= x else math.ceil(b / x),
    "after only": lambda b, x, y: None if y >= x else math.ceil(b / (y or 1)),
    "swapped": lambda b, x, y: even(b, y, x),
    "free is never": lambda b, x, y: even(b, x, y) or None,
    "free is 0": lambda b, x, y: 0 if b == 0 else even(b, x, y),
    "text": lambda b, x, y: str(even(b, x, y)),
    "none": lambda b, x, y: None,
}

WRONG = {
    "lab03.idf_scores": IDF,
    "lab03.choose_examples": CHOOSE,
    "lab03.reflect": REFLECT,
    "lab03.query_seconds": SECONDS,
    "lab03.break_even": BREAK_EVEN,
}
