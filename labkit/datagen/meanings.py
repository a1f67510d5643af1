"""Ways in which a glossary says what holds of a row, one rule each: stored values, bounds, missing values, kinds.

A rule returns whether it understood the line. It stands in the second pass: what columns are called is known by then
(`naming`). Meanings that take two columns, or a number computed from them, are `measures`.
"""

import re

from labkit.datagen.conditions import Computed, Named, Test
from labkit.datagen.phrases import plural
from labkit.datagen.terms import Line, add
from labkit.datagen.world import Field
from labkit.schema import sql_name


def stored_values(line: Line) -> bool:
    """'point guard, shooting guard ... | `position` PG, SG ...', 'jab, shot | `reason` vaccination'."""
    match = re.match(r"`([\w.]+)` (?:is )?(?:=\s*)?(?:the word )?`?([^;`(]+?)`?(?: \(.*|;.*)?$", line.meaning)
    f = match and line.column(match[1])
    if not f or re.search(r"\d", match[2]):
        return False
    known = {str(v).casefold(): v for v, _ in f.values} | {m.casefold(): m for m in f.missing if m is not None}
    said = [known.get(part.strip(" `=").casefold()) for part in re.split(r",| or ", match[2])]
    if None in said or not said:
        return False
    if len(said) == len(line.terms) and "," in match[2]:
        return all(add(line.found.values, (f.ref, v), [t]) for v, t in zip(said, line.terms, strict=True))
    test = Test(f, "in", tuple(said)) if len(said) > 1 else Test(f, "=", said[0])
    return line.name(f.table, (test,), line.terms)


def missing_words(line: Line) -> bool:
    """'`visits.fee` ...; `-` is not charged yet': what a placeholder says, besides its conditions."""
    names = re.findall(r"`([\w.]+)`", line.meaning)
    f = next((f for name in names if (f := line.column(name))), None) or line.fact(line.terms[0])
    for text, said in (
        re.findall(r"`([^`]+)` (?:is|means) ([a-z][a-z ]*?)(?= when|[;.,)]|$)", line.meaning) if f else ()
    ):
        if text in f.missing and said != "then":
            add(line.found.missing, f.ref, [said])
    return False


def null(line: Line) -> bool:
    """'free agent | `team_id` is NULL'; terms that a later clause defines otherwise are left to it."""
    match = re.match(r"`([\w.]+)` is (not )?NULL", line.meaning)
    f = match and line.column(match[1])
    if not f or None not in f.missing:
        return False
    terms = line.terms[:-1] if len(line.clauses) == 2 and re.match(r"`[\w.]+` [=<>]", line.clauses[1]) else line.terms
    own = [t for t in terms if not re.search(rf"\ban? {re.escape(t)} (is )?such\b", line.meaning)]
    if f.kind == "link" and not match[2]:
        _linked(line, f)
    return line.name(f.table, (Test(f, "known" if match[2] else "null"),), own)


def _linked(line: Line, f: Field) -> None:
    """Those who do have what the others lack: 'have a team'."""
    link = next((link for link in line.world.links if (link.table, link.column) == (f.table, f.name)), None)
    thing = line.world.entities[link.other].noun if link else ""
    have = f"(have a {thing}|have a {thing} today|are on a {thing}|belong to a {thing})"
    if link:
        known = Named(f.table, (Test(f, "known"),), post=[f"(with a {thing}|who have a {thing} today)"], verb=[have])
        line.found.named.append(known)


def bounds(line: Line) -> bool:
    """'`draft_pick` = 1; from 1 to 5', '`three_pct` of 40.0% or more', '`draft_year` is 2031'."""
    done, f = False, None
    parts = [line.terms[:-1], line.terms[-1:]] if len(line.clauses) == 2 and len(line.terms) > 1 else [line.terms] * 2
    for clause, terms in zip(line.clauses, parts, strict=False):
        match = re.match(r"`([\w.]+)`", clause)
        f = line.column(match[1]) if match else f
        test = f and _bound(f, clause)
        done = bool(test) and line.name(f.table, (test,), terms) or done
    return done


_AMOUNT = re.compile(
    r"(?:of|is|=|>=|<=|>|<) ([$€£]?\d[\d.,]*'? ?(?:\d+\")?%?(?: (?!or\b)[a-z]{1,3}\b)?)"
    r"( or (more|taller|later|less|fewer|under|over))?"
)


def _bound(f: Field, clause: str) -> Test | None:
    span = re.search(r"from (\d+) to (\d+)", clause)
    if span:
        return Test(f, "between", (int(span[1]), int(span[2])))
    amount = _AMOUNT.search(clause)
    value = amount and _read(f, amount[1])
    if value is None or f.kind not in ("number", "year"):
        return None
    sign = re.search(r" (>=|<=|>|<) ", clause)
    least = "=" if not amount[2] else "<=" if amount[3] in ("less", "fewer", "under") else ">="
    return Test(f, sign[1] if sign else least, value)


def _read(f: Field, text: str) -> object:
    """The number that a bound says, in the column's format or bare."""
    for candidate in (text.strip().rstrip("."), re.sub(r"[a-z ]+$", "", text).strip()):
        try:
            if f.format.stored_as_text:
                return f.format.read(candidate)
            return float(candidate) if "." in candidate else int(candidate)
        except (ValueError, TypeError, IndexError):
            continue
    return None


def format_bound(line: Line) -> bool:
    """A bound in a format that only one column is written in: 7' 0" or taller."""
    match = re.fullmatch(r"(\d+' ?\d+\") or (taller|more)", line.meaning)
    fields = [f for f in line.world.fields() if f.format.unit == "ft"]
    if not match or len(fields) != 1:
        return False
    return line.name(fields[0].table, (Test(fields[0], ">=", fields[0].format.read(match[1])),), line.terms)


def amount_of(line: Line) -> bool:
    """'a salary of $612,500': one stored value of a column."""
    match = re.fullmatch(r"an? (\w[\w ]*?) of (\S+)", line.meaning)
    f = match and line.fact(match[1])
    if not f or match[2] not in {v for v, _ in f.values}:
        return False
    terms = [t for t in line.terms if t.split()[-1] == match[1].split()[-1]] or line.terms
    post = [f"(on|at|on) the {t}" for t in terms]
    verb = [f"are (on|at) the {t}" for t in terms] + [
        f"(earn|make|get|play for) the {t}" for t in terms if len(t.split()) > 1
    ]
    line.found.named.append(Named(f.table, (Test(f, "=", match[2]),), post=post, verb=verb))
    return True


def is_a(line: Line) -> bool:
    """'a forward is SF or PF; a wing is SG or SF', 'a puppy is a dog born in 2031', 'a moggy is such a cat'."""
    done, entries = False, re.split(r"; |, (?=an? \w+ such )", line.meaning)
    for entry in entries:
        kind = re.fullmatch(r"an? ([\w -]+?) (?:is )?(?:such )?an? (\w+)(?: born in (\d{4}))?", entry)
        values = re.fullmatch(r"an? ([\w -]+?) is (.+)", entry)
        if kind and line.value_of(kind[2]):
            done |= _kind_of(line, kind[1], kind[2], kind[3], "such" in entry)
        elif values:
            hits = [line.value_of(v.strip()) for v in re.split(r",| or ", values[2])]
            if all(hits):
                test = Test(hits[0][0], "in", tuple(v for _, v in hits))
                done |= line.name(hits[0][0].table, (test,), [values[1]])
    return done


def _kind_of(line: Line, term: str, value: str, year: str | None, such: bool) -> bool:
    f, stored = line.value_of(value)
    tests, fields = [Test(f, "=", stored)], line.world.entities[f.table].fields
    born = next((g for g in fields if re.search(r"\b(birth|born)\b", g.words)), None)
    if year and not born:
        return False
    if year:
        tests.append(Test(born, "=", int(year)) if born.kind == "year" else Test(born, "year=", year))
    null_column = re.search(r"`(\w+)` is NULL", line.meaning) if such else None
    extra = null_column and line.world.entities[f.table].field(null_column[1])
    tests += [Test(extra, "null")] if extra else []
    return line.name(f.table, tuple(tests), [term])


def kind_beyond(line: Line) -> bool:
    """'overweight, heavy dog | a dog of 30 kg or more': the only column in that unit."""
    match = re.fullmatch(r"an? (\w+) of ([\d.]+) ?(\w+) or (more|less)", line.meaning)
    hit = match and line.value_of(match[1])
    heavy = [f for f in line.world.entities[hit[0].table].fields if f.format.unit == match[3]] if hit else []
    if len(heavy) != 1:
        return False
    value = float(match[2]) if "." in match[2] else int(match[2])
    tests = (Test(hit[0], "=", hit[1]), Test(heavy[0], ">=" if match[4] == "more" else "<=", value))
    terms = [t if " " in t else f"{t} {match[1]}" for t in line.terms]
    return line.name(hit[0].table, tests, terms)


def examples(line: Line) -> bool:
    """'bunny, bird, puppy | a rabbit, a parrot; ...': terms and values in the same order."""
    parts = [re.sub(r"^an? ", "", part.strip()) for part in line.clauses[0].split(",")]
    hits = [line.value_of(v) for v in parts]
    if not all(hits) or len(hits) > len(line.terms):
        return False
    return all(add(line.found.values, (f.ref, v), [t]) for (f, v), t in zip(hits, line.terms, strict=False))


def all_of(line: Line) -> bool:
    """'ironman | played all 46 games of a season': a number before a word of a column's name."""
    match = re.search(r"(\w+) all (\d+) (\w+)", line.meaning)
    f = match and (line.fact(f"{match[3]} {match[1]}") or line.fact(match[3]))
    return bool(f) and line.name(f.table, (Test(f, "=", int(match[2])),), line.terms)


def at_least(line: Line) -> bool:
    """'at least 10 points and at least 10 rebounds a game': a rate where the unit is named, else a column."""
    parts = re.findall(r"at least (\d+) (\w+)", line.meaning)
    unit = re.search(r"\d+ \w+ (?:a|per) (\w+)", line.meaning)
    tests = [t for n, word in parts if (t := _least(line, int(n), word, unit[1] if unit else ""))]
    if not tests or len(tests) != len(parts) or len({t.field.table for t in tests}) > 1:
        return False
    return line.name(tests[0].field.table, tuple(tests), line.terms)


def _least(line: Line, n: int, word: str, unit: str) -> Test | None:
    rate, total = unit and line.fact(f"{word} per {unit}"), line.fact(word)
    if rate or not unit or not total:
        return Test(rate or total, ">=", n) if rate or total else None
    fields = line.world.entities[total.table].fields
    below = next((g for g in fields if g is not total and re.match(rf"{plural(unit)}\b", g.words)), None)
    return below and Test(total, ">=", n, Computed(below, f"1.0 * {total.column('{a}')} / {below.column('{a}')}"))


def has_a(line: Line) -> bool:
    """'under contract | has a contract with `status` active': those that a row of another table refers to."""
    match = re.fullmatch(r"has an? (\w+) with `(\w+)` (?:= )?(\w+)", line.meaning)
    child = match and next((e for e in line.world.entities.values() if e.noun == match[1]), None)
    f = child.field(match[2]) if child else None
    links = [link for link in line.world.links if child and link.table == child.table and not link.role]
    if not f or match[3] not in [v for v, _ in f.values] or len(links) != 1:
        return False
    link = links[0]
    key = line.world.entities[link.other].field(link.other_column)
    query = f"SELECT {sql_name(link.column)} FROM {sql_name(child.table)} WHERE {sql_name(f.name)} = '{match[3]}'"
    line.name(link.other, (Test(key, "in query", query),), line.terms)
    without = Named(link.other, (Test(key, "not in query", query),))
    without.post += [f"(not|without being) {t}" for t in line.terms]
    without.verb += [f"are not {t}" for t in line.terms]
    line.found.named.append(without)
    return True


RULES = (
    missing_words, stored_values, null, bounds, format_bound, amount_of, is_a, kind_beyond, examples, all_of, at_least,
    has_a,
)  # fmt: skip
