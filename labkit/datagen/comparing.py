"""Families of intents that set one thing against another: a row against a named one, two groups, a part against the
whole, a period against an earlier one; and what each has of related rows, those that have none among them.
"""

import random

from labkit.datagen.build import Source, subquery
from labkit.datagen.conditions import Condition, Test
from labkit.datagen.drawing import Drawer, NothingToAsk, is_plain
from labkit.datagen.extremes import AMOUNTS, superlatives
from labkit.datagen.frames import frames, shown_beside
from labkit.datagen.intents import Intent, Slots, finished, subject_slots
from labkit.datagen.lexicon import bare, is_rank
from labkit.datagen.lists import list_frames
from labkit.datagen.lookups import named
from labkit.datagen.numbers import can_average, can_sum, rounded
from labkit.datagen.phrases import literal, one_of, plural
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Field, quoted
from labkit.schema import sql_name

COUNTED_IN = {"ft": "how many inches", "lb": "how many pounds", "lbs": "how many pounds", "$": "how many dollars"}


def against_row(d: Drawer) -> Intent | None:
    """Rows that share a value with a named row, or have more or less of a number than it has."""
    view = d.view(lambda v: v.own and v.who.label and v.root.rows > 8)
    value, name = named(d, view)
    shared = [f for f in d.facts(view, ("category", "text", "year")) if not f.unique and len(f.values) > 3]
    more = [f for f in d.facts(view, ("number", "date", "year")) if len(f.values) > 3 and not is_rank(f)]
    f = d.pick(list(dict.fromkeys([*shared, *more])))
    if value is None or f is None:
        return None
    inner = Source(d.world, view.root)
    inner.where(f"{view.label.column(inner.at())} = {quoted(value)}")
    same = f in shared and (f not in more or d.chance(0.4))
    subject, op = d.subject(view, (7, 3), without=[f]), "=" if same else d.rng.choice("><")
    read = (lambda s: s.column(f)) if same else (lambda s: s.read(f))
    theirs = f.column(inner.at()) if same else f.read(inner.at())
    subject.source.where(*f.known(subject.source.at()))
    subject.source.where(f"{read(subject)} {op} {subquery(inner.select(theirs))}")
    if same:
        subject.source.where(f"{subject.label()} <> {quoted(value)}")
    condition = _shares(d, f, name) if same else _exceeds(d, f, op, name)
    shown = Subject(d.speaker, view, [*subject.conditions, condition])
    counting = d.chance(0.4)
    asked = frames("count") if counting else list_frames(d, view)
    query = subject.source.select("COUNT(*)" if counting else subject.label())
    return finished("against_row", query, asked, subject_slots(shown), ["nested", *subject.tags])


def _shares(d: Drawer, f: Field, name: str) -> Condition:
    noun = d.speaker.words(f).nouns[0]
    post = (f"with the same {noun} as {name}", f"who share the {noun} of {name}", f"whose {noun} is that of {name}")
    post = tuple(p for p in post if not p.startswith("who ") or d.world.entities[f.table].person)
    return Condition((), (), post=post, verb=(f"have the same {noun} as {name}", f"share the {noun} of {name}"))


def _exceeds(d: Drawer, f: Field, op: str, name: str) -> Condition:
    words, noun = d.speaker.words(f), d.speaker.words(f).nouns[0]
    side = ("higher", "above") if op == ">" else ("lower", "below")
    if f.kind != "number":
        side = ("later", "after") if op == ">" else ("earlier", "before")
    post, verb = [f"whose {noun} is {side[0]} than that of {name}"], [f"have a {side[0]} {noun} than {name}"]
    if f.kind != "number" and words.participle and " " not in words.participle:
        post, verb = [f"{words.participle} {side[1]} {name}"], [f"were {words.participle} {side[1]} {name}"]
    elif words.counts:
        more = "more" if op == ">" else "fewer"
        post, verb = [f"with {more} {d.speaker.things(f)} than {name}"], []
        verb += [f"{v} {more} {d.speaker.things(f)} than {name}" for v in words.verbs]
    verb += [f"are {c} than {name}" for _, c, _ in (words.high if op == ">" else words.low)]
    verb += [f"{v} {'more' if op == '>' else 'less'} than {name}" for v in words.verbs if v in AMOUNTS]
    return Condition((), (), post=tuple(post), verb=tuple(verb))


def difference(d: Drawer) -> Intent | None:
    """By how much two groups differ in number, on average or in total."""
    view = d.view(lambda v: v.one_each and v.root.rows > 20)
    groups = [c for _ in range(2) if (c := d.condition(view)) and len(c.tests) == 1]
    subject = d.subject(view, (1,), own=True)
    numbers = [f for f in d.facts(view, ("number",)) if can_average(f) and not is_rank(f)]
    f = d.pick(numbers) if d.chance(0.6) else None
    if len(groups) < 2 or groups[0].tests == groups[1].tests or "date" in groups[0].tags + groups[1].tags:
        return None
    if f in (*groups[0].fields, *groups[1].fields):
        return None
    if groups[0].tests[0].field.ref != groups[1].tests[0].field.ref and d.chance(0.8):
        return None
    if not view.own and (f is None or f.table != view.root.table):
        return None  # a season's players counted by what is said of them alone are counted elsewhere
    wheres = [" AND ".join(subject.source.tests_of(c)) for c in groups]
    how = "COUNT" if f is None else "SUM" if can_sum(f) and d.chance(0.4) else "AVG"
    if f is not None:
        subject.source.where(*f.known(subject.source.at()))
    value = subject.read(f) if f is not None else "1"
    one, two = (f"{how}(CASE WHEN {where} THEN {value} END)" for where in wheres)

    def slots(rng: random.Random) -> dict[str, str]:
        a, b = (Subject(d.speaker, view, [c]).phrase(rng) for c in groups)
        when = subject.phrase(rng).when
        return {"a": a.text, "b": b.text, "when": f" {when}" if when else ""}

    noun = d.speaker.noun(f) if f is not None else ""
    section = "more of" if how == "COUNT" else "difference"
    asked = frames(section, noun=noun, average="average" if how == "AVG" else "total")
    asked += _in_own_words(d, f, how) if f is not None else ()
    query = subject.source.select(f"{one} - {two}")
    return finished("difference", query, asked, slots, ["case", how.lower()])


def _in_own_words(d: Drawer, f: Field, how: str) -> tuple[str, ...]:
    """'How much more do the centers earn than the guards on average?'"""
    words, mean = d.speaker.words(f), "on average" if how == "AVG" else "(in total|altogether)"
    fills = {"mean": mean, "unit": COUNTED_IN.get(f.format.unit, "how much")}
    asked: tuple[str, ...] = ()
    for verb in words.verbs:
        if verb in AMOUNTS:
            asked += frames("differ by verb", verb=verb, what="more", **fills)
        elif words.counts:
            asked += frames("differ by verb", verb=bare(verb), what=f"more {d.speaker.things(f)}", **fills)
    for _, comparative, _ in words.high if how == "AVG" else ():
        asked += frames("differ by adjective", more=comparative, **fills)
    return asked * 2


def part_of_total(d: Drawer) -> Intent | None:
    """What percentage of a total belongs to the rows that meet a condition."""
    view = d.view(lambda v: v.one_each and any(map(can_sum, d.facts(v))))
    f = d.pick([f for f in d.facts(view) if can_sum(f)])
    part = d.condition(view) if f else None
    if part is None or not (part.post or part.noun or part.adjective) or f.ref in {g.ref for g in part.fields}:
        return None
    subject = d.subject(view, (1,), own=True)
    if subject.conditions and "date" in part.tags:
        return None
    subject.source.where(*f.known(subject.source.at()))
    inside = " AND ".join(subject.source.tests_of(part))
    value = f"100.0 * SUM(CASE WHEN {inside} THEN {subject.read(f)} END) / SUM({subject.read(f)})"
    value, said = rounded(value, d) if d.chance(0.5) else (value, "")

    def slots(rng: random.Random) -> dict[str, str]:
        phrase, when = Subject(d.speaker, view, [part]).phrase(rng), subject.phrase(rng).when
        return {"np": phrase.text, "when": f" {when}" if when else ""}

    asked = frames("part of total", things=d.speaker.things(f), rounded=said)
    return finished("part_of_total", subject.source.select(value), asked, slots, ["share", "case", *part.tags])


def part_of_best(d: Drawer) -> Intent | None:
    """What percentage of a total belongs to the row with the most."""
    view = d.view(lambda v: v.one_each and any(map(can_sum, d.facts(v))))
    f = d.pick([f for f in d.facts(view) if can_sum(f)])
    subject = d.subject(view, (1, 6), without=[f])
    subject.source.where(*f.known(subject.source.at()))
    value, said = f"100.0 * MAX({subject.read(f)}) / SUM({subject.read(f)})", ""
    if d.chance(0.4):
        value, said = rounded(value, d)
    sup = superlatives(d.speaker, f, True, view.who.person)["np"]
    them = "" if is_plain(subject) else " among them"
    best = one_of(t.replace("{n}", d.speaker.nouns(view.who)[0]) + them for t in sup if "(" not in t or "{n}" in t)
    total = one_of([f"total {d.speaker.things(f)}", *d.speaker.sums(f)])
    asked = frames("part of best", best=best, total=total, rounded=said)
    probe = subject.source.select(subject.read(f), limit=2)
    tags = ["share", "max", *subject.tags]
    return finished("part_of_best", subject.source.select(value), asked, subject_slots(subject), tags, probe, False)


def change(d: Drawer) -> Intent | None:
    """By how much, or by what percentage, a total, an average or a count changed between two periods."""
    view = d.view(lambda v: v.period is not None and len(v.period.values) > 1 and v.one_each)
    f = d.pick([f for f in d.facts(view, ("number",)) if can_average(f)]) if d.chance(0.75) else None
    if f is None and not view.own:
        return None
    low, high = sorted(d.rng.sample([v for v, _ in view.period.values], 2))
    subject = d.subject(view, (7, 3), without=[f] if f else (), period=False, own=True)
    how = "COUNT" if f is None else "SUM" if can_sum(f) and d.chance(0.6) else "AVG"
    if f is not None:
        subject.source.where(*f.known(subject.source.at()))
    value, period = subject.read(f) if f is not None else "1", subject.column(view.period)
    new, old = (f"{how}(CASE WHEN {period} = {quoted(p)} THEN {value} END)" for p in (high, low))
    relative = d.chance(0.5)
    number, said = f"100.0 * ({new} - {old}) / {old}" if relative else f"{new} - {old}", ""
    if relative and d.chance(0.4):
        number, said = rounded(number, d)
    things = {"COUNT": "number of {np}", "SUM": "total {f} of [the] {np}", "AVG": "average {f} of [the] {np}"}[how]
    if f is not None:
        things = things.replace("{f}", d.speaker.things(f) if how == "SUM" else d.speaker.noun(f))
    span = f"(from {low} to {high}|between {low} and {high})"
    asked = frames("change in percent" if relative else "change", what=things, span=span, rounded=said)
    query = subject.source.select(number)
    return finished("change", query, asked, subject_slots(subject), ["case", "period", how.lower()])


def with_none(d: Drawer) -> Intent | None:
    """How many related rows each has, those without any among them; or those with fewer than so many."""
    found = [
        (v, link)
        for v in d.views
        if v.own and v.who.label and v.root.rows <= 200
        for link in d.world.links
        if link.other == v.root.table != link.table and not link.role
    ]
    if not found:
        raise NothingToAsk
    view, link = d.rng.choice(found)
    child = d.world.entities[link.table]
    inner_view = next((v for v in d.views if v.root is child and v.own), View(child, child))
    own = d.own(inner_view) if (child.label or child.key) and d.chance(0.6) else None
    inner, subject = Subject(d.speaker, inner_view, [own] if own else []), d.subject(view, (6, 2))
    if len(inner.source.paths) > 1:
        return None
    one, many = inner.source.at(), subject.source.at()
    tests = "".join(f" AND {test}" for test in inner.source.tests).replace(f"{one}.", f"{child.alias}.")
    parent, key = view.who.alias, sql_name(link.column)
    if len(subject.source.paths) > 1 or parent == child.alias:
        return None
    where = " AND ".join(subject.source.tests).replace(f"{many}.", f"{parent}.")
    label, counted = view.label.column(parent), f"COUNT({child.alias}.{key})"
    body = f"FROM {sql_name(view.root.table)} AS {parent} LEFT JOIN {sql_name(child.table)} AS {child.alias} ON "
    body += f"{parent}.{sql_name(link.other_column)} = {child.alias}.{key}{tests}{' WHERE ' + where if where else ''}"
    group = f"GROUP BY {parent}.{sql_name(link.other_column)}, {label}"
    usual = child.rows / max(1, view.root.rows) * (0.3 if own else 1)
    few, word = max(2, round(usual * d.rng.choice((0.5, 0.8, 1, 1.2)))), d.speaker.label(view.label, view.who)
    fewer, ordered = d.chance(0.35), d.chance(0.4)
    tail = f" HAVING {counted} < {few}" if fewer else f" ORDER BY {counted} DESC" if ordered else ""
    said = "(, most first|, from most to fewest|, highest first)" if ordered else ""
    asked = frames("fewer, none too" if fewer else "with none", few=str(few), ordered=said, cols=f"{word} and number")
    asked = tuple(a.replace("{tail}", shown_beside(f"{word} and number")) for a in asked)
    query = f"SELECT {label}, {counted} {body} {group}{tail}"
    return finished("with_none", query, asked, _both(subject, inner), ["left-join", "group", "null"])


def _both(subject: Subject, inner: Subject) -> Slots:
    def fill(rng: random.Random) -> dict[str, str]:
        return {"np": subject.phrase(rng).text, "np1": subject.phrase(rng, many=False).text,
                "theirs": inner.phrase(rng).text}  # fmt: skip

    return fill


def neither(d: Drawer) -> Intent | None:
    """Rows that have neither of two values of a category."""
    view = d.view(lambda v: v.one_each)
    f = d.pick([f for f in d.facts(view, ("category",)) if 3 <= len(f.values) <= 40 and not f.names])
    if f is None:
        return None
    a, b = d.rng.sample([v for v, _ in f.values], 2)
    subject, words = d.subject(view, (7, 3), without=[f]), d.speaker.words(f)
    column = subject.column(f)
    subject.source.where(*f.known(subject.source.at()), f"{column} NOT IN ({quoted(a)}, {quoted(b)})")
    one, two = ((d.speaker.glossary.values.get((f.ref, v)) or [literal(str(v))])[0] for v in (a, b))
    noun = words.nouns[0]
    verb = [f"are neither {one} nor {two}"] if words.equal_adjective else []
    if all((f.ref, v) in d.speaker.glossary.values for v in (a, b)):
        verb = [f"are neither {plural(one)} nor {plural(two)}"] * 2
    verb.append(f"have a {noun} other than {one} and {two}")
    post = (f"whose {noun} is neither {one} nor {two}", f"with a {noun} other than {one} or {two}")
    if f.missing:  # who has none has neither
        verb, post = verb[-1:], post[-1:]
    shown = Subject(
        d.speaker, view, [*subject.conditions, Condition((), (Test(f, "known"),), post=post, verb=tuple(verb))]
    )
    counting = d.chance(0.5)
    asked = frames("count") if counting else list_frames(d, view)
    query = subject.source.select("COUNT(*)" if counting else subject.label())
    return finished("neither", query, asked, subject_slots(shown), ["negation", "in", *subject.tags])


FAMILIES = {
    against_row: 2,
    difference: 1.2,
    part_of_total: 1,
    part_of_best: 0.6,
    change: 1.2,
    with_none: 1.2,
    neither: 0.8,
}
