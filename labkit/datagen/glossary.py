"""What a glossary's lines say about columns, as far as it can be read without knowing the database.

A line pairs what people say with what it means; the meaning speaks of columns in backticks, of values, bounds and
formats. Each rule below reads one way of putting it; a line that no rule understands is left out and listed.
"""

import re
from dataclasses import dataclass, field

from labkit.datagen.conditions import Computed, Named, Test
from labkit.datagen.phrases import plural, singular
from labkit.datagen.world import Entity, Field, World


@dataclass
class Measure:
    """A number computed from a row of `table`: SQL with `{a}` for the alias, what it is called, its inputs."""

    table: str
    sql: str
    nouns: list[str]
    fields: tuple[Field, ...]
    per: str = ""  # "game" for a rate a game


@dataclass
class Glossary:
    """All that was understood. Keys are `table.column`, values of a column (`table.column`, value), or tables."""

    columns: dict[str, list[str]] = field(default_factory=dict)
    verbs: dict[str, list[str]] = field(default_factory=dict)
    implied: dict[str, Test] = field(default_factory=dict)
    values: dict[tuple[str, object], list[str]] = field(default_factory=dict)
    periods: dict[tuple[str, object], list[str]] = field(default_factory=dict)
    entities: dict[str, list[str]] = field(default_factory=dict)
    named: list[Named] = field(default_factory=list)
    tops: dict[str, list[str]] = field(default_factory=dict)
    measures: list[Measure] = field(default_factory=list)
    sums: dict[str, list[str]] = field(default_factory=dict)
    full_names: dict[str, tuple[str, str]] = field(default_factory=dict)
    not_understood: list[str] = field(default_factory=list)


def read_glossary(text: str, world: World) -> Glossary:
    """Read a glossary: rows of a Markdown table, or lines `term: meaning`."""
    found = Glossary()
    lines = _entries(text)
    for rules in (_FIRST, _SECOND):
        for terms, meaning in lines:
            reader = _Reader(world, found, terms, meaning)
            understood = [rule(reader) for rule in rules]
            if rules is _SECOND and not any(understood) and not reader.done():
                found.not_understood.append(f"{', '.join(terms)}: {meaning}")
    return found


def _entries(text: str) -> list[tuple[list[str], str]]:
    entries = []
    for line in text.splitlines():
        row = re.fullmatch(r"\s*\|(.+?)\|(.+)\|\s*", line)
        pair = re.fullmatch(r"\s*[-*]?\s*\**([^:|`*]+?)\**\s*[:=]\s+(.+)", line)
        left, right = (row or pair).groups() if row or pair else ("", "")
        if left.strip() and not set(left) <= set("-: ") and "people say" not in left:
            entries.append(([t for t in map(_term, left.split(",")) if t], right.strip()))
    return entries


def _term(text: str) -> str:
    return re.sub(r"\s*\.\.\.\s*", "", text).strip().strip('"“”').strip()


class _Reader:
    """One line under the rules: its terms, its clauses, the columns it names."""

    def __init__(self, world: World, found: Glossary, terms: list[str], meaning: str):
        self.world, self.found, self.terms, self.meaning = world, found, terms, meaning
        self.clauses = [c.strip() for c in meaning.split(";")]
        self.columns = [f for name in re.findall(r"`([\w.]+)`", meaning) if (f := _column(world, name))]

    def done(self) -> bool:
        texts = [
            t
            for table in (self.found.columns, self.found.values, self.found.entities, self.found.tops, self.found.sums)
            for ts in table.values()
            for t in ts
        ]
        named = [t for n in self.found.named for t in (*n.noun, *n.adjective, *n.post, *n.verb)]
        return any(_noun(term) in texts or term in named or _noun(term) in named for term in self.terms)

    def value_of(self, text: str) -> tuple[Field, object] | None:
        """The only category that holds a value of that text."""
        hits = [
            (f, v)
            for f in self.world.fields()
            if f.kind in ("category", "flag") and not f.names
            for v, _ in f.values
            if str(v).casefold() == text.casefold()
        ]
        return hits[0] if len(hits) == 1 else None


def _column(world: World, name: str) -> Field | None:
    return world.field(name) or next(
        (f for f in world.fields() if f.name.casefold() == name.split(".")[-1].casefold() and "." not in name), None
    )


def _add(table: dict, key: object, texts: list[str]) -> bool:
    table.setdefault(key, [])
    table[key] += [t for t in texts if t not in table[key]]
    return bool(texts)


def _noun(term: str) -> str:
    return re.sub(r"^(a|an|the) ", "", term)


_VERBS = re.compile(
    r"(did|does|has|have|had|is|are|was|plays|makes|earns|gets|owes|goes|contract|works|lives|played|costs)\b(?! (man|men)\b)"
)
_POST = re.compile(r"(without|with|in|on|from|at|under|over|of)\b")


def _name_condition(found: Glossary, table: str, tests: tuple[Test, ...], terms: list[str]) -> bool:
    """Sort terms by their part of speech and keep them as a named condition."""
    named = Named(table, tests)
    for term in terms:
        if _POST.match(term):
            named.post.append(term)
        elif re.match(r"(did|has|have|is|are|was) ", term):
            named.verb.append(
                re.sub(r"^(has|is|was) ", lambda m: {"has": "have ", "is": "are ", "was": "were "}[m[1]], term)
            )
        elif re.fullmatch(r"(un)?\w+(ed|aid)|overweight|\w+ous|\w+ful|\w+less|open|unpaid|chipped", term):
            named.adjective.append(term)
        else:
            named.noun.append(singular(_noun(term)) if not term.startswith("who ") else term)
    if named not in found.named:
        found.named.append(named)
    return bool(terms)


# --- first pass: what a column and a table are called -----------------------------------------------------------------


def _row_of(r: _Reader) -> bool:
    match = re.fullmatch(r"a row of `(\w+)`", r.meaning)
    table = match and next((t for t in r.world.entities if t.casefold() == match[1].casefold()), None)
    return bool(table) and _add(r.found.entities, table, [singular(t) for t in r.terms])


def _column_name(r: _Reader) -> bool:
    """'`contracts.salary`, dollars a year, of the **active** contract': terms are names of the column."""
    match = re.match(r"(?:the )?`([\w.]+)`(?! is\b| =| [<>]| of \d| equals)(.*)", r.meaning)
    f = match and _column(r.world, match[1])
    first = re.match(r" (\w+)", match[2]) if f else None
    if not f or (first and first[1] in {str(v) for v, _ in f.values}):
        return False
    for term in r.terms:
        if _VERBS.match(term):
            _add(r.found.verbs, f.ref, [term])
        elif not re.search(r"\bin\b|\.|[A-Z]|^(from|on|at) ", term) and f.kind not in ("link", "label"):
            _add(r.found.columns, f.ref, [_noun(term)])
    _full_name(r)
    bold = re.search(r"\*\*(\w+)\*\*", r.meaning)
    hit = bold and next(((g, v) for g in r.world.entities[f.table].fields for v, _ in g.values if v == bold[1]), None)
    if hit:
        r.found.implied[f.ref] = Test(hit[0], "=", hit[1])
    return True


def _full_name(r: _Reader) -> None:
    match = re.search(r"full name of an? (\w+) is (\w+) and (\w+)", r.meaning)
    entity = match and next((e for e in r.world.entities.values() if e.noun == match[1]), None)
    if entity and entity.field(match[2]) and entity.field(match[3]):
        r.found.full_names[entity.table] = (match[2], match[3])


def _periods(r: _Reader) -> bool:
    """'"this season" and "last season" are both 2031, "two seasons ago" is 2029', or 'last year, this year | 2030; 2031'."""
    pairs = [
        (re.findall(r'"([^"]+)"', m[1]), m[2])
        for m in re.finditer(r'((?:"[^"]+"(?: and |, )?)+) (?:is|are)(?: both)? (\d{4})\b', r.meaning)
    ]
    if not pairs and len(r.terms) == len(r.clauses) and all(re.fullmatch(r"\d{4}", c) for c in r.clauses):
        pairs = [([term], clause) for term, clause in zip(r.terms, r.clauses, strict=True)]
    for phrases, year in pairs:
        _add(r.found.periods, int(year), phrases)
    return bool(pairs)


# --- second pass: conditions, values, measures ------------------------------------------------------------------------


def _parallel_values(r: _Reader) -> bool:
    """'point guard, shooting guard ... | `position` PG, SG ...', 'jab, shot | `reason` vaccination'."""
    match = re.match(r"`([\w.]+)` (?:is )?(?:the word )?`?([^;`(]+?)`?(?: \(.*|;.*)?$", r.meaning)
    f = match and _column(r.world, match[1])
    if not f or re.search(r"\d", match[2]):
        return False
    known = {str(v).casefold(): v for v, _ in f.values} | {m.casefold(): m for m in f.missing if m is not None}
    said = [known.get(part.strip(" `=").casefold()) for part in re.split(r",| or ", match[2])]
    if None in said or not said:
        return False
    if len(said) == len(r.terms) and "," in match[2]:
        return all(_add(r.found.values, (f.ref, v), [t]) for v, t in zip(said, r.terms, strict=True))
    test = Test(f, "in", tuple(said)) if len(said) > 1 else Test(f, "=", said[0])
    return _name_condition(r.found, f.table, (test,), [t for t in r.terms if not t.startswith("has ")])


def _null(r: _Reader) -> bool:
    done = False
    for match in re.finditer(r"`([\w.]+)` is (not )?NULL", r.meaning):
        f = _column(r.world, match[1])
        if f and r.meaning.startswith(match[0]) and None in f.missing:
            done = _name_condition(r.found, f.table, (Test(f, "known" if match[2] else "null"),), r.terms)
    return done


def _bounds(r: _Reader) -> bool:
    """'`draft_pick` = 1; from 1 to 5', '`three_pct` of 40.0% or more', '`draft_year` is 2031', '`overtime` = 2'."""
    done, f = False, None
    spread = [r.terms[:-1], r.terms[-1:]] if len(r.clauses) == 2 and len(r.terms) > 1 else [r.terms] * 2
    for clause, terms in zip(r.clauses, spread, strict=False):
        match = re.match(r"`([\w.]+)`", clause)
        f = _column(r.world, match[1]) if match else f
        test = f and _bound(f, clause)
        if test:
            done = _name_condition(r.found, f.table, (test,), terms)
    return done


def _bound(f: Field, clause: str) -> Test | None:
    span = re.search(r"from ([\d.,]+) to ([\d.,]+)", clause)
    if span:
        return Test(f, "between", (int(span[1]), int(span[2])))
    amount = re.search(
        r"(?:of|is|=|>=|<=|>|<) ([$€£]?\d[\d.,]*'? ?(?:\d+\")?%?(?: (?!or\b)[a-z]{1,3}\b)?)( or (more|taller|later|less|fewer|under|over))?",
        clause,
    )
    value = amount and _read(f, amount[1])
    if value is None:
        return None
    sign = re.search(r" (>=|<=|>|<) ", clause)
    op = sign[1] if sign else "=" if not amount[2] else "<=" if amount[3] in ("less", "fewer", "under") else ">="
    return Test(f, op, value)


def _read(f: Field, text: str) -> object:
    text = text.strip().rstrip(".")
    tries = [text, re.sub(r"[a-z ]+$", "", text).strip()]
    for candidate in tries:
        try:
            return f.format.read(
                candidate if f.format.stored_as_text else float(candidate) if "." in candidate else int(candidate)
            )
        except (ValueError, TypeError, IndexError):
            continue
    return None


def _format_bound(r: _Reader) -> bool:
    """A bound in a format that only one column is written in: 7' 0" or taller."""
    match = re.fullmatch(r"(\d+' ?\d+\") or (taller|more)", r.meaning)
    fields = [f for f in r.world.fields() if f.format.unit == "ft"]
    if not match or len(fields) != 1:
        return False
    return _name_condition(r.found, fields[0].table, (Test(fields[0], ">=", fields[0].format.read(match[1])),), r.terms)


def _amount_of(r: _Reader) -> bool:
    """'a salary of $612,500': one stored value of a column."""
    match = re.fullmatch(r"an? (\w[\w ]*?) of (\S+)", r.meaning)
    f = match and next((f for f in r.world.fields() if f.words == match[1]), None)
    if not f or match[2] not in {v for v, _ in f.values}:
        return False
    terms = [t for t in r.terms if singular(t).split()[-1] == match[1].split()[-1]] or r.terms
    r.found.named.append(
        Named(
            f.table,
            (Test(f, "=", match[2]),),
            post=[f"(on|for|with) the {t}" for t in terms],
            verb=[f"(earn|make|get|are on) the {t}" for t in terms],
        )
    )
    return True


def _is_a(r: _Reader) -> bool:
    """'a forward is SF or PF; a wing is SG or SF', 'a rabbit, a parrot; a puppy is a dog born in 2031'."""
    done, left = False, list(r.terms)
    for clause in r.clauses:
        match = re.fullmatch(r"an? ([\w -]+?) is (?:such )?an? ?(\w+)(?: (born) in (\d{4}))?", clause) or re.fullmatch(
            r"an? ([\w -]+?) is ()(?:)(.+)", clause
        )
        if match and match[2]:
            done |= _kind_of(r, match[1], match[2], match[4])
            left = [t for t in left if t != match[1]]
        elif match:
            hits = [r.value_of(v.strip()) for v in re.split(r",| or ", match[3])]
            if all(hits):
                done |= _name_condition(
                    r.found, hits[0][0].table, (Test(hits[0][0], "in", tuple(v for _, v in hits)),), [match[1]]
                )
    whole = re.fullmatch(r"an? (\w+) of ([\d.]+) ?(\w+) or (more|less)", r.meaning)
    if whole and (hit := r.value_of(whole[1])):
        heavy = [f for f in r.world.entities[hit[0].table].fields if f.format.unit == whole[3]]
        if len(heavy) == 1:
            bound = Test(
                heavy[0], ">=" if whole[4] == "more" else "<=", float(whole[2]) if "." in whole[2] else int(whole[2])
            )
            last = [t for t in r.terms if " " in t] or r.terms
            return _name_condition(r.found, hit[0].table, (Test(hit[0], "=", hit[1]), bound), last)
    first = [re.sub(r"^an? ", "", part.strip()) for part in r.clauses[0].split(",")]
    hits = [r.value_of(v) for v in first]
    if all(hits) and len(hits) <= len(r.terms):
        for (f, v), term in zip(hits, r.terms, strict=False):
            done |= _add(r.found.values, (f.ref, v), [term])
    return done


def _kind_of(r: _Reader, term: str, value: str, year: str | None) -> bool:
    hit = r.value_of(value)
    if not hit:
        return False
    tests = [Test(hit[0], "=", hit[1])]
    if year:
        born = next((f for f in r.world.entities[hit[0].table].fields if re.search("birth|born", f.words)), None)
        if born is None:
            return False
        tests.append(Test(born, "=", int(year)) if born.kind == "year" else Test(born, "year=", year))
    else:
        null = re.search(r"`(\w+)` is NULL", r.meaning)
        extra = null and r.world.entities[hit[0].table].field(null[1])
        tests += [Test(extra, "null")] if extra else []
    return _name_condition(r.found, hit[0].table, tuple(tests), [term])


def _all_n(r: _Reader) -> bool:
    """'played all 46 games of a season': a number before a word of a column's name."""
    match = re.search(r"(\w+) all (\d+) (\w+)", r.meaning)
    f = match and next(
        (f for f in r.world.fields() if f.words in (f"{match[3]} {match[1]}", match[3]) and f.kind == "number"), None
    )
    return bool(f) and _name_condition(r.found, f.table, (Test(f, "=", int(match[2])),), r.terms)


def _compare(r: _Reader) -> bool:
    """'`home_points` > `away_points`; the reverse'."""
    match = re.match(r"`([\w.]+)` ([<>=]) `([\w.]+)`(; the reverse)?", r.meaning)
    a, b = (_column(r.world, match[1]), _column(r.world, match[3])) if match else (None, None)
    if not a or not b:
        return False
    terms = [r.terms[:1], r.terms[1:2]] if match[4] else [r.terms]
    tests = [Test(a, match[2], None, b), Test(b, match[2], None, a)]
    for test, names in zip(tests, terms, strict=False):
        _name_condition(r.found, a.table, (test,), names)
        role = test.field.words.split()[0]
        if match[2] == ">" and role in {link.role for link in r.world.links}:
            hosts = {"home": "hosts|home team|home side", "away": "visitors|guests|away team|road team"}.get(
                role, f"{role} side"
            )
            r.found.named[-1].verb.append(f"were won by the ({hosts})")
            r.found.named[-1].post.append(
                f"(won by|that went to|in which the winners were) the ({hosts})".replace(
                    "|in which the winners were", ""
                )
            )
    return True


def _difference(r: _Reader) -> bool:
    """'difference of the two scores; a blowout is a margin of 30 or more': of the only pair of like columns."""
    pairs = [p for e in r.world.entities.values() for p in twins(e)]
    if not re.match(r"(the )?difference (of|between) (the )?(two|both)", r.meaning) or len(pairs) != 1:
        return False
    a, b = pairs[0]
    bound = re.search(r"an? ([\w ]+?) is an? (\w+) of (\d+) or more", r.meaning)
    nouns = [t for t in r.terms if not bound or t != bound[1]]
    sql = f"ABS({a.read('{a}')} - {b.read('{a}')})"
    measure = Measure(a.table, sql, nouns, (a, b))
    r.found.measures.append(measure)
    if bound:
        r.found.named.append(Named(a.table, (Test(a, ">=", int(bound[3]), Computed(b, sql)),), noun=[bound[1]]))
    return True


def _minus(r: _Reader) -> bool:
    match = re.match(r"(\d{4}) minus `([\w.]+)`", r.meaning)
    f = match and _column(r.world, match[2])
    if not f:
        return False
    nouns = [t for t in r.terms if not t.startswith("how ")]
    r.found.measures.append(Measure(f.table, f"{match[1]} - {f.read('{a}')}", nouns, (f,)))
    return True


def _most(r: _Reader) -> bool:
    match = re.match(r"(?:the )?(most|highest|largest) `([\w.]+)`", r.meaning)
    f = match and _column(r.world, match[2])
    return bool(f) and _add(r.found.tops, f.ref, r.terms)


def _sum_of(r: _Reader) -> bool:
    """'sum of the disclosed salaries of the active contracts of ...', 'sum of the charged fees, paid or not'."""
    match = re.match(r"(?:the )?(?:sum|total) of (.+)", r.meaning)
    words = re.findall(r"\w+", match[1]) if match else []
    f = next(
        (f for w in words for f in r.world.fields() if f.kind == "number" and w in (plural(f.words), f.words)), None
    )
    if f is None:
        return False
    for value, _ in [(v, g) for g in r.world.entities[f.table].fields if g.kind == "category" for v, _ in g.values]:
        if value in words and f.ref not in r.found.implied:
            r.found.implied[f.ref] = Test(
                next(g for g in r.world.entities[f.table].fields if value in dict(g.values)), "=", value
            )
    return _add(r.found.sums, f.ref, r.terms)


def twins(entity: Entity) -> list[tuple[Field, Field]]:
    """Pairs of number columns that differ in a first word only: home_points and away_points."""
    numbers = [f for f in entity.fields if f.kind == "number" and " " in f.words]
    return [
        (a, b)
        for i, a in enumerate(numbers)
        for b in numbers[i + 1 :]
        if a.words.split(" ", 1)[1] == b.words.split(" ", 1)[1] and a.format.unit == b.format.unit
    ]


_FIRST = (_row_of, _column_name, _periods)
_SECOND = (
    _parallel_values,
    _null,
    _bounds,
    _format_bound,
    _amount_of,
    _is_a,
    _all_n,
    _compare,
    _difference,
    _minus,
    _most,
    _sum_of,
)
