"""What a glossary says that tables, columns and periods are called, one rule each: the first pass over its lines.

A rule returns whether it understood the line. What a meaning says of values is `meanings`.
"""

import re

from labkit.datagen.conditions import Test
from labkit.datagen.phrases import singular
from labkit.datagen.terms import Line, add, noun

_VERB = re.compile(
    r"(did|does|has|have|had|is|are|was|plays|makes|earns|gets|owes|goes|contract|works|lives|played|costs)\b"
)


def row_of(line: Line) -> bool:
    """'client, customer | a row of `owners`'."""
    match = re.fullmatch(r"a row of `(\w+)`", line.meaning)
    table = match and next((t for t in line.world.entities if t.casefold() == match[1].casefold()), None)
    return bool(table) and add(line.found.entities, table, [singular(t) for t in line.terms])


def column_name(line: Line) -> bool:
    """'salary, pay | `contracts.salary`, dollars a year, of the **active** contract'."""
    match = re.match(r"(?:the )?`([\w.]+)`(?! is\b| =| [<>]| of \d| equals)(.*)", line.meaning)
    f = match and line.column(match[1])
    first = re.match(r" (\w+)", match[2]) if f else None
    if not f or (first and first[1] in {str(v) for v, _ in f.values}):
        return False
    _full_name(line)
    if len(line.groups) == len(line.clauses) > 1 and f.kind == "link":
        return _roles(line)
    for term in line.terms:
        if _VERB.match(term):
            add(line.found.verbs, f.ref, [term])
        elif not re.search(r"\bin\b|\.|[A-Z]|^(from|on|at) ", term) and f.kind not in ("link", "label", "date"):
            add(line.found.columns, f.ref, [noun(term)])
    bold = re.search(r"\*\*(\w+)\*\*", line.meaning)
    fields = line.world.entities[f.table].fields
    hit = next((g for g in fields if bold and bold[1] in [v for v, _ in g.values]), None)
    if hit:
        line.found.implied[f.ref] = Test(hit, "=", bold[1])
    return bool(hit or line.found.columns.get(f.ref) or line.found.verbs.get(f.ref))


def _full_name(line: Line) -> None:
    match = re.search(r"full name of an? (\w+) is (\w+) and (\w+)", line.meaning)
    entity = match and next((e for e in line.world.entities.values() if e.noun == match[1]), None)
    if entity and entity.field(match[2]) and entity.field(match[3]):
        line.found.full_names[entity.table] = (match[2], match[3])


def _roles(line: Line) -> bool:
    """'home game, host; visitors | `games.home_id`; `games.away_id`'."""
    for terms, clause in zip(line.groups, line.clauses, strict=True):
        name = re.match(r"`([\w.]+)`", clause)
        f = line.column(name[1]) if name else None
        if f and f.kind == "link":
            add(line.found.roles, (f.table, f.name), terms)
    return True


def period_words(line: Line) -> bool:
    """'"this season" and "last season" are both 2031', or 'last year, this year | 2030; 2031'."""
    pattern = r'((?:"[^"]+"(?: and |, )?)+) (?:is|are)(?: both)? (\d{4})\b'
    pairs = [(re.findall(r'"([^"]+)"', m[1]), m[2]) for m in re.finditer(pattern, line.meaning)]
    if not pairs and len(line.terms) == len(line.clauses) and all(re.fullmatch(r"\d{4}", c) for c in line.clauses):
        pairs = [([term], clause) for term, clause in zip(line.terms, line.clauses, strict=True)]
    for phrases, year in pairs:
        add(line.found.periods, int(year), phrases)
    return bool(pairs)


def figures(line: Line) -> bool:
    """'the most, the least, top | name and number': what an answer by rank shows without being asked."""
    ranks = {"the most", "the least", "most", "least", "top", "ranking", "rankings", "superlatives"}
    shown = re.match(r"(?:the )?name (?:and|with) (?:the |its )?(?:number|figure|value)\b", line.meaning, re.IGNORECASE)
    understood = bool(shown) and bool(ranks & {term.casefold() for term in line.terms})
    line.found.figures |= understood
    return understood


RULES = (row_of, column_name, period_words, figures)
