"""Wrong answers to the exercises of Lab 9: each must be rejected."""

import math
import re
from collections import Counter

from labkit.course import lab09

NAMES = {"math": math, "re": re, "Counter": Counter}
p, u, f, t, s, q = (getattr(lab09, f"_{name}") for name in lab09.EXERCISES)


def _has_digit(value):
    return any(sign.isdigit() for sign in str(value))


def _always_mostly(values, words):
    plain = Counter(v for v in values if v is not None and not _has_digit(v))
    return sorted(text for text, n in plain.items() if text.strip().lower() in words or n >= 2)


def _none_counts(values, words):
    return p([value if value is not None else "missing" for value in values], words)


def _by_chance(columns, keys):
    return sorted(
        (name, key)
        for name, values in columns.items()
        for key in keys
        if name.split(".")[0] != key.split(".")[0]
        and len(set(values) - {None}) > 1
        and set(values) - {None} <= set(columns[key])
    )


def _with_null(columns, keys):
    return [(name, key) for name, key in f(columns, keys) if None not in columns[name]]


def _one_is_enough(columns, keys):
    found = set(f(columns, keys))
    for name, values in columns.items():
        known = {v for v in values if v is not None}
        found |= {
            (name, k)
            for k in keys
            if len(known) == 1 and known <= set(columns[k]) and name.split(".")[0] != k.split(".")[0]
        }
    return sorted(found)


def _own_table(columns, keys):
    return sorted({*f(columns, keys), *((key, key) for key in keys)})


def _some_inside(columns, keys):
    found = set(f(columns, keys))
    for name, values in columns.items():
        for key in keys:
            if {v for v in values if isinstance(v, str)} & set(columns[key]) and name[:3] != key[:3]:
                found.add((name, key))
    return sorted(found)


def _in_order(run, sql, *checks):
    return next((name for name, test in checks if test(run, sql)), "")


_FAILS = "fails", lambda run, sql: run(sql, False) is None
_EMPTY = "empty", lambda run, sql: not any(v is not None for row in run(sql, False) for v in row)
_MOVES = "unstable", lambda run, sql: Counter(run(sql, False)) != Counter(run(sql, True))
_TWICE = "repeats", lambda run, sql: len(set(run(sql, False))) < len(run(sql, False))
_NO_ROWS = "empty", lambda run, sql: not run(sql, False)
_FALSY = "empty", lambda run, sql: not any(v for row in run(sql, False) for v in row)
_ANY_NULL = "empty", lambda run, sql: any(None in row for row in run(sql, False)) or not run(sql, False)
_LISTS = "unstable", lambda run, sql: run(sql, False) != run(sql, True)
_SETS = "unstable", lambda run, sql: set(run(sql, False)) != set(run(sql, True) or ())
_FIRSTS = "repeats", lambda run, sql: len({row[0] for row in run(sql, False)}) < len(run(sql, False))


def _by_pair(pairs, n):
    ids = [id for id, _ in pairs]
    return ids[:n], ids[n:]


def _neighbours(pairs, n):
    evaluation = [id for id, _ in pairs[:n]]
    last = pairs[n - 1][1] if 0 < n <= len(pairs) else None
    rest = pairs[n:]
    while rest and rest[0][1] == last:
        evaluation.append(rest[0][0])
        rest = rest[1:]
    return evaluation, [id for id, _ in rest]


def _in_the_order_of_pairs(pairs, n):
    chosen = set(s(pairs, n)[0])
    return [id for id, _ in pairs if id in chosen], [id for id, _ in pairs if id not in chosen]


def _never_more(pairs, n):
    groups = {}
    for id, query in pairs:
        groups.setdefault(query, []).append(id)
    evaluation, training = [], []
    for ids in groups.values():
        (evaluation if len(evaluation) + len(ids) <= n else training).extend(ids)
    return evaluation, training


WRONG = {
    "lab09.placeholders": {
        "words alone": lambda v, w: sorted({x for x in v if isinstance(x, str) and x.strip().lower() in w}),
        "digits alone": lambda v, w: p(v, set()),
        "always": _always_mostly,
        "once is enough": lambda v, w: sorted({*p(v, w), *(x for x in p([*v, *v], w))}),
        "capitals count": lambda v, w: [x for x in p(v, w) if x in w or x == x.lower() and x.strip() == x],
        "blanks count": lambda v, w: [x for x in p(v, w) if x == x.strip()],
        "tidied": lambda v, w: sorted(x.strip().lower() for x in p(v, w)),
        "unsorted": lambda v, w: p(v, w)[::-1],
        "none counts": _none_counts,
        "none is one": lambda v, w: [*p(v, w), *([None] if None in v else [])],
        "a set": lambda v, w: set(p(v, w)),
        "the first": lambda v, w: p(v, w)[:1],
        "how many": lambda v, w: len(p(v, w)),
        "each time": lambda v, w: sorted(x for x in v if isinstance(x, str) and x in p(v, w)),
        "a part is enough": lambda v, w: sorted(
            {*p(v, w), *(x for x in v if isinstance(x, str) and any(y and y in x.lower() for y in w))}
        ),
        "numbers have none": lambda v, w: p([x for x in v if isinstance(x, str)], w),
        "the commonest": lambda v, w: [x for x, _ in Counter(p(v, w)).most_common(1)],
    },
    "lab09.unit_of": {
        "the first's": lambda v: u(v[:1]),
        "the last's": lambda v: u(v[-1:]),
        "most": lambda v: Counter(u([x]) for x in v).most_common(1)[0][0] if v else None,
        "what fits": lambda v: u([x for x in v if u([x]) is not None]),
        "empty for none": lambda v: u(v) or "",
        "none for empty": lambda v: u(v) or None,
        "codes too": lambda v: u([re.sub(r"^(-?)0(?=\d)", r"\1", x) for x in v]),
        "codes with a sign": lambda v: u([re.sub(r"^-0(?=\d)", "-", x) for x in v]),
        "no sign": lambda v: None if any(x.startswith("-") for x in v) else u(v),
        "no comma": lambda v: None if any("," in x and "." in x for x in v) else u(v),
        "no 0": lambda v: None if any(x.startswith("0") for x in v) else u(v),
        "with a blank": lambda v: u(v) and " " + u(v),
        "one word": lambda v: u(v) and u(v).split()[0],
        "lower": lambda v: u(v) and u(v).lower(),
        "a bool": lambda v: u(v) is not None,
        "a blank is needed": lambda v: None if u(v) and any(" " not in x for x in v) else u(v),
        "letters first": lambda v: u([re.sub(r"^[A-Z]+-", "", x) for x in v]),
        "what is behind": lambda v: re.sub(r"^[-\d.,]* ?", "", v[0]) if v and v[0][:1].isdigit() else u(v),
    },
    "lab09.references": {
        "by chance": _by_chance,
        "NULL is a value": _with_null,
        "one is enough": _one_is_enough,
        "its own table": _own_table,
        "some": _some_inside,
        "names alone": lambda c, k: sorted(
            (n, y) for n in c for y in k if n != y and n.split(".")[1] == y.split(".")[1]
        ),
        "no numbers": lambda c, k: [(n, y) for n, y in f(c, k) if isinstance(c[y][0], str)],
        "turned": lambda c, k: [(y, n) for n, y in f(c, k)],
        "first key": lambda c, k: f(c, k[:1]),
        "last key": lambda c, k: f(c, k[-1:]),
        "unsorted": lambda c, k: f(c, k)[::-1],
        "by key": lambda c, k: sorted(f(c, k), key=lambda pair: (pair[1], pair[0]), reverse=True),
        "columns": lambda c, k: [n for n, _ in f(c, k)],
        "a dict": lambda c, k: dict(f(c, k)),
        "a set": lambda c, k: set(f(c, k)),
        "the other way round": lambda c, k: sorted(
            (n, y) for n in c for y in k if n.split(".")[0] != y.split(".")[0] and set(c[y]) <= set(c[n])
        ),
        "none": lambda c, k: [],
        "twice": lambda c, k: sorted(f(c, k) * 2),
    },
    "lab09.trouble": {
        "never": lambda run, sql: "",
        "no rows alone": lambda run, sql: _in_order(run, sql, _FAILS, _NO_ROWS, _MOVES, _TWICE),
        "a 0 is nothing": lambda run, sql: _in_order(run, sql, _FAILS, _FALSY, _MOVES, _TWICE),
        "any NULL": lambda run, sql: _in_order(run, sql, _FAILS, _ANY_NULL, _MOVES, _TWICE),
        "in order": lambda run, sql: _in_order(run, sql, _FAILS, _EMPTY, _LISTS, _TWICE),
        "as sets": lambda run, sql: _in_order(run, sql, _FAILS, _EMPTY, _SETS, _TWICE),
        "once": lambda run, sql: _in_order(run, sql, _FAILS, _EMPTY, _TWICE),
        "repeats first": lambda run, sql: _in_order(run, sql, _FAILS, _EMPTY, _TWICE, _MOVES),
        "repeats before empty": lambda run, sql: _in_order(run, sql, _FAILS, _TWICE, _EMPTY, _MOVES),
        "first values": lambda run, sql: _in_order(run, sql, _FAILS, _EMPTY, _MOVES, _FIRSTS),
        "may repeat": lambda run, sql: _in_order(run, sql, _FAILS, _EMPTY, _MOVES),
        "crashes": lambda run, sql: _in_order(run, sql, _EMPTY, _MOVES, _TWICE),
        "fails is empty": lambda run, sql: t(run, sql).replace("fails", "empty"),
        "a bool": lambda run, sql: bool(t(run, sql)),
        "none": lambda run, sql: t(run, sql) or None,
        "fine": lambda run, sql: t(run, sql) or "fine",
        "all of them": lambda run, sql: [t(run, sql)],
        "backwards alone": lambda run, sql: t(lambda q, r: run(q, True), sql),
    },
    "lab09.split": {
        "by pair": _by_pair,
        "neighbours": _neighbours,
        "in the order of pairs": _in_the_order_of_pairs,
        "never more": _never_more,
        "swapped": lambda pairs, n: s(pairs, n)[::-1],
        "a list": lambda pairs, n: list(s(pairs, n)),
        "one more": lambda pairs, n: s(pairs, n + 1),
        "one less": lambda pairs, n: s(pairs, n - 1),
        "sorted": lambda pairs, n: tuple(map(sorted, s(pairs, n))),
        "queries": lambda pairs, n: tuple([dict(pairs)[id] for id in ids] for ids in s(pairs, n)),
        "sets": lambda pairs, n: tuple(map(set, s(pairs, n))),
        "one of each": lambda pairs, n: s(list({q: (i, q) for i, q in reversed(pairs)}.values())[::-1], n),
        "rest dropped": lambda pairs, n: (s(pairs, n)[0], []),
        "from the end": lambda pairs, n: s(pairs[::-1], n),
        "both sides": lambda pairs, n: (s(pairs, n)[0], [id for id, _ in pairs]),
        "evaluation alone": lambda pairs, n: s(pairs, n)[0],
        "groups": lambda pairs, n: tuple([ids] for ids in s(pairs, n)),
    },
    "lab09.questions_needed": {
        "not rounded": lambda b, a: q(b, a) and float(q(b, a)),
        "down": lambda b, a: None if a == b else max(1, int(1.96**2 * (b * (1 - b) + a * (1 - a)) / (a - b) ** 2)),
        "one more": lambda b, a: q(b, a) and q(b, a) + 1,
        "not squared": lambda b, a: q(b, a) and max(1, math.ceil(1.96 * (b - b * b + a - a * a) / (a - b) ** 2)),
        "not over the square": lambda b, a: (
            q(b, a) and max(1, math.ceil(1.96**2 * (b - b * b + a - a * a) / abs(a - b)))
        ),
        "one side": lambda b, a: q(b, a) and max(1, math.ceil(1.96**2 * b * (1 - b) / (a - b) ** 2)),
        "other side": lambda b, a: q(b, a) and max(1, math.ceil(1.96**2 * a * (1 - a) / (a - b) ** 2)),
        "pooled twice": lambda b, a: q(b, a) and max(1, 2 * q(b, a)),
        "a half": lambda b, a: q(b, a) and max(1, math.ceil(1.96**2 / (2 * (a - b) ** 2))),
        "upwards only": lambda b, a: q(b, a) if a > b else None,
        "zero": lambda b, a: q(b, a) if (b, a) != (0.0, 1.0) else 0,
        "no none": lambda b, a: q(b, a) or 1,
        "infinite": lambda b, a: q(b, a) or math.inf,
        "both together": lambda b, a: q(b, a) and (q(b, a), q(b, a)),
        "z of 2": lambda b, a: q(b, a) and max(1, math.ceil(4 * (b * (1 - b) + a * (1 - a)) / (a - b) ** 2)),
        "z of 1.64": lambda b, a: q(b, a) and max(1, math.ceil(1.64**2 * (b - b * b + a - a * a) / (a - b) ** 2)),
    },
}
