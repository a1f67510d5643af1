"""Ways in which a glossary sets two columns against each other or computes a number from a row, one rule each:
'home win', 'margin', 'age', 'payroll'.
"""

import re

from labkit.datagen.conditions import Computed, Test
from labkit.datagen.phrases import plural
from labkit.datagen.terms import Line, Measure, add
from labkit.datagen.world import Path_, twins


def compare(line: Line) -> bool:
    """'home win, road win | `home_points` > `away_points`; the reverse'."""
    match = re.match(r"`([\w.]+)` ([<>=]) `([\w.]+)`(; the reverse)?", line.meaning)
    a, b = (line.column(match[1]), line.column(match[3])) if match else (None, None)
    if not a or not b:
        return False
    ways = [(Test(a, match[2], None, b), line.terms[:1])]
    ways += [(Test(b, match[2], None, a), line.terms[1:2])] if match[4] else []
    for test, terms in ways:
        line.name(a.table, (test,), terms)
        side = test.field.words.split()[0]
        if match[2] == ">" and side in {link.role for link in line.world.links}:
            winners = {"home": "hosts|home team|home side", "away": "visitors|guests|away team|road team"}.get(
                side, side
            )
            line.found.named[-1].verb.append(f"were won by the ({winners})")
            line.found.named[-1].post.append(f"(won by|that went to) the ({winners})")
    return True


def equals(line: Line) -> bool:
    """'sold out | attendance equals the capacity of the host's arena': a column of what the row belongs to."""
    match = re.match(r"(?:the )?`?(\w+)`? equals (?:the )?`?(\w+)`? of (.+)", line.meaning)
    a, b = (line.fact(match[1]), line.fact(match[2])) if match else (None, None)
    path = _path(line, a.table, b.table, match[3]) if a and b else None
    return path is not None and line.name(a.table, (Test(a, "=", None, b, path),), line.terms)


def _path(line: Line, start: str, end: str, words: str) -> Path_ | None:
    """The way from one table to another whose role is spoken of."""
    paths = [p for p in line.world.paths(start) if p and p[-1].other == end]
    for path in paths:
        roles = [
            w for link in path for w in (link.role, *line.found.roles.get((link.table, link.column), ())) if link.role
        ]
        if not any(link.role for link in path) or any(w in words for w in roles):
            return path
    return None


def difference(line: Line) -> bool:
    """'margin, blowout | difference of the two scores; a blowout is a margin of 30 or more': of the only twins."""
    pairs = [p for e in line.world.entities.values() for p in twins(e)]
    if not re.match(r"(the )?difference (of|between) (the )?(two|both)", line.meaning) or len(pairs) != 1:
        return False
    (a, b), bound = pairs[0], re.search(r"an? ([\w ]+?) is an? (\w+) of (\d+) or more", line.meaning)
    sql = f"ABS({a.read('{a}')} - {b.read('{a}')})"
    line.found.measures.append(Measure(a.table, sql, [t for t in line.terms if not bound or t != bound[1]], (a, b)))
    if bound:
        line.name(a.table, (Test(a, ">=", int(bound[3]), Computed(b, sql)),), [bound[1]])
    return True


def minus(line: Line) -> bool:
    """'age | 2031 minus `birth_year`'."""
    match = re.match(r"(\d{4}) minus `([\w.]+)`", line.meaning)
    f = match and line.column(match[2])
    nouns = [t for t in line.terms if not t.startswith("how ")]
    if not f or not nouns:
        return False
    line.found.measures.append(Measure(f.table, f"{match[1]} - {f.read('{a}')}", nouns, (f,)))
    return True


def most(line: Line) -> bool:
    """'top scorer | most `points` in the season'."""
    match = re.match(r"(?:the )?(most|highest|largest) `([\w.]+)`", line.meaning)
    f = match and line.column(match[2])
    return bool(f) and add(line.found.tops, f.ref, line.terms)


def sum_of(line: Line) -> bool:
    """'payroll | sum of the disclosed salaries of the active contracts of ...', 'revenue | sum of the charged fees'."""
    match = re.match(r"(?:the )?(?:sum|total) of (.+)", line.meaning)
    words = re.findall(r"\w+", match[1]) if match else []
    f = next(
        (f for w in words for f in line.world.fields() if f.kind == "number" and w in (plural(f.words), f.words)), None
    )
    if f is None:
        return False
    categories = [g for g in line.world.entities[f.table].fields if g.kind == "category"]
    scope = next((Test(g, "=", v) for g in categories for v, _ in g.values if v in words), None)
    if scope and f.ref not in line.found.implied:
        line.found.implied[f.ref] = scope
    return add(line.found.sums, f.ref, line.terms)


RULES = (compare, equals, difference, minus, most, sum_of)
