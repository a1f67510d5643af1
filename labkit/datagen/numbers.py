"""Families of intents whose answer is a number or two: counts, totals, averages, shares, different values."""

import random
import re

from labkit.datagen.bounds import opposite
from labkit.datagen.conditions import Condition
from labkit.datagen.drawing import Drawer, is_plain
from labkit.datagen.extremes import AMOUNTS, MEASURED
from labkit.datagen.formats import SIGNS, round_bound
from labkit.datagen.frames import frames
from labkit.datagen.intents import Intent, finished, subject_slots
from labkit.datagen.lexicon import bare, is_rank
from labkit.datagen.phrases import literal, plural
from labkit.datagen.speaker import Speaker
from labkit.datagen.subjects import Subject, View
from labkit.datagen.terms import Measure
from labkit.datagen.units import measures
from labkit.datagen.world import Field
from labkit.schema import PLACEHOLDERS


def count(d: Drawer) -> Intent | None:
    """How many rows."""
    view = d.view(lambda v: v.one_each)
    subject = d.subject(view, (1, 6, 6, 2))
    return finished(
        "count", subject.source.select("COUNT(*)"), frames("count"), subject_slots(subject), ["count", *subject.tags]
    )


# --- one number from a column -----------------------------------------------------------------------------------------

_NO_SUM = frozenset(
    re.findall(r"\w+", "height weight age percentage pct rate rating score pick rank year grade level average")
)
_NO_MEAN = frozenset(["jersey", "code", "number", "zip", "room"])


def can_average(f: Field) -> bool:
    """Whether a mean of the field means anything: a number that is no name."""
    return f.kind == "number" and not _NO_MEAN & set(f.words.split()) and len(set(f.numbers)) > 3


def can_sum(f: Field) -> bool:
    """Whether a total of the field means anything."""
    return (
        can_average(f)
        and " per " not in f.words
        and f.format.unit not in ("%", "ft")
        and not _NO_SUM & set(f.words.split())
    )


def aggregate(d: Drawer) -> Intent | None:
    """Average, total, highest or lowest of a number."""
    view = d.view(lambda v: v.one_each and any(map(can_average, d.facts(v))))
    f = d.pick(list(filter(can_average, d.facts(view))))
    if f is None:
        return None
    subject = d.subject(view, (3, 6, 2), without=[f])
    most = 0 if is_rank(f) else 1  # the highest rank is the lowest number, to some
    kind = d.rng.choices(("AVG", "SUM", "MAX", "MIN"), (5, 5 if can_sum(f) else 0, most, 0.6 * most))[0]
    subject.source.where(*f.known(subject.source.at()))
    value, said = f"{kind}({subject.read(f)})", ""
    if kind == "AVG" and d.chance(0.25):
        value, said = rounded(value, d)
    said += _as_far_as_known(d, f, subject.view.who.person)
    asked = tuple(_before_sign(frame, said) for frame in number_frames(d.speaker, f, kind))
    probe = subject.source.select(subject.column(f), limit=2)
    tags = [kind.lower(), *subject.tags]
    return finished("aggregate", subject.source.select(value), asked, subject_slots(subject), tags, probe, ranked=False)


def _as_far_as_known(d: Drawer, f: Field, person: bool) -> str:
    """Now and then, that rows without the value are left out, as they are anyway."""
    if not f.missing or not d.chance(0.25):
        return ""
    special = next((m for m in f.missing if m is not None and m.strip().casefold() not in PLACEHOLDERS), None)
    if special:
        return f", (leaving out|not counting|skipping) the {literal(special)}"
    those = "(anyone|those)" if person else "those"
    return f", (as far as it is known|going by those where it is known|leaving out {those} where it is missing)"


def rounded(value: str, d: Drawer) -> tuple[str, str]:
    """The value rounded in SQL, and how that is asked for."""
    n = d.rng.choice((1, 1, 2, 0))
    said = {
        0: "(rounded to a whole number|to the nearest whole number)",
        1: "(rounded to one decimal|to one decimal place|rounded to one decimal place|one decimal)",
        2: "(rounded to two decimals|to two decimal places|with two decimals)",
    }[n]
    return (f"ROUND({value}, {n})" if n else f"ROUND({value})"), f", {said}"


def _before_sign(frame: str, tail: str) -> str:
    return frame[:-1] + tail + frame[-1] if tail and frame[-1] in "?." else frame + tail


_UNIT = {"ft": "in inches", "lb": "in pounds", "lbs": "in pounds", "kg": "in (kilos|kilograms)"}


def plain_unit(f: Field) -> str:
    """How a number that is stored as a text is asked for: as the number alone."""
    if f.format.unit in SIGNS:
        name = SIGNS[f.format.unit]
        return f" (in {name}|in plain {name}|as a plain number|in {name}, as a plain number)"
    return (
        f" ({_UNIT.get(f.format.unit, 'as a plain number')}|as a plain number)"
        if f.format.unit != "ft"
        else " in inches"
    )


def number_frames(speaker: Speaker, f: Field, kind: str) -> tuple[str, ...]:
    """Questions for an aggregate of a field, half of them in the field's own verbs and adjectives."""
    words, noun, things = speaker.words(f), speaker.noun(f), speaker.things(f)
    unit = plain_unit(f) if f.format.unit == "ft" else f"(||{plain_unit(f)})" if f.format.stored_as_text else ""
    if kind in ("MAX", "MIN"):
        word = "(highest|largest|biggest|maximum)" if kind == "MAX" else "(lowest|smallest|minimum)"
        word = ("(highest|best|top)" if kind == "MAX" else "(lowest|worst)") if " per " in f.words else word
        return frames("highest", word=word, noun=noun, unit=plain_unit(f) if f.format.stored_as_text else "")
    if kind == "AVG":
        own = [f"How {adj} are [the] {{np}} on average{{when}}{unit}?" for adj, *_ in words.high if adj in MEASURED]
        own += [f"(How much|What) do [the] {{np}} {v} on average{{when}}?" for v in words.verbs if v in AMOUNTS]
        own += [
            f"How many {things} did [the] {{np}} {bare(v)} on average{{when}}?" for v in words.verbs if words.counts
        ]
        return (*frames("average", noun=noun, unit=unit), *own, *own)
    together = "(in total|altogether|combined|all told|between them|together|overall|in all)"
    own = [f"How many {things} did [the] {{np}} {bare(v)} {together}{{when}}?" for v in words.verbs if words.counts]
    done = [v for v in words.verbs if words.counts and v.split()[0].endswith("ed") or v == "won"]
    own += [f"How many {things} have [the] {{np}} {v}{{when}}, {together}?" for v in done]
    own += [f"How much do [all] [the] {{np}} {v} {together}{{when}}?" for v in words.verbs if v in AMOUNTS]
    for s in speaker.sums(f):
        own += [
            f"(What is|What's|How big is|How high is) the {s} of [all] [the] {{np}}{{when}}?",
            f"{s} of {{np}}{{when}}?",
        ]
        own += [f"How much is the {s} of [the] {{np}}{{when}}?", f"Tell me the {s} of [the] {{np}}{{when}}."]
        own += [f"How (big|large) a {s} do [the] {{np}} have{{when}}?", f"{{np}}{{when}}: what is the {s}?"]
    return (*frames("total", nouns=things, total=things if words.counts else noun), *own, *own)


# --- parts of a whole -------------------------------------------------------------------------------------------------


def _plain_view(d: Drawer) -> View:
    """Rows that are all that their noun says: players are not only those with an active contract."""
    return d.view(lambda v: v.one_each and v.root.rows > 8 and (v.own or v.period is not None) and not v.implied)


def share(d: Drawer) -> Intent | None:
    """What percentage of the rows meet one more condition."""
    view = _plain_view(d)
    subject = d.subject(view, (6, 4), own=True)
    part = d.own(view)
    taken = {f.ref for c in subject.conditions for f in c.fields}
    if not part or "date" in part.tags and subject.conditions:
        return None
    if not (part.verb or part.adjective or part.noun) or taken & {f.ref for f in part.fields}:
        return None
    value, said = f"100.0 * SUM({' AND '.join(subject.source.tests_of(part))}) / COUNT(*)", ""
    if d.chance(0.5):
        value, said = rounded(value, d)

    def slots(rng: random.Random) -> dict[str, str]:
        return {**subject_slots(subject)(rng), "be": be_verb(part, rng)}

    asked = frames("share", rounded=said)
    asked = [a.replace("(who|that)", "who" if view.who.person else "that") for a in asked]
    return finished("share", subject.source.select(value), asked, slots, ["share", *part.tags, *subject.tags])


def be_verb(condition: Condition, rng: random.Random) -> str:
    """The condition as a verb phrase of the plural, whatever forms it has."""
    options = [f"are {a}" for a in condition.adjective] + [f"are {plural(n)}" for n in condition.noun if n[0] != "="]
    return rng.choice([*condition.verb, *options])


def two_counts(d: Drawer) -> Intent | None:
    """How many are this, and how many that: two numbers in a row."""
    view = _plain_view(d)
    subject = d.subject(view, (1,), own=True)
    first = d.own(view)
    parts = [c for c in (first, first and opposite(d.speaker, first) or d.own(view)) if c and len(c.tests) == 1]
    if subject.conditions and any("date" in c.tags for c in parts):
        return None
    if d.chance(0.5) and len(parts) == 2 and parts[0].fields != parts[1].fields:
        return None  # two values of one column are compared more often
    if len(parts) < 2 or parts[0].tests == parts[1].tests:
        return None
    sums = [f"SUM({' AND '.join(subject.source.tests_of(c))})" for c in parts]

    def slots(rng: random.Random) -> dict[str, str]:
        a, b = (Subject(d.speaker, view, [c]).phrase(rng).text for c in parts)
        base = subject.phrase(rng)
        return {"a": a, "b": b, "when": f" {base.when}" if base.when else ""}

    return finished("two_counts", subject.source.select(*sums), frames("two counts"), slots, ["count"])


def buckets(d: Drawer) -> Intent | None:
    """How many rows lie below, within and above two bounds of a number: three numbers in a row."""
    view = _plain_view(d)
    subject = d.subject(view, (5, 4), own=True)
    measures = [m for m in d.speaker.measures(view.root) if not m.per] if d.chance(0.3) else []
    m = d.rng.choice(measures) if measures else None
    f = d.pick([f for f in d.facts(view, ("number",)) if can_average(f) and not _in_other_words(f)])
    if m is None and (f is None or len(set(f.numbers)) < 10 or is_rank(f)):
        return None
    at = subject.source.at()
    subject.source.where(*[k for g in (m.fields if m else (f,)) for k in g.known(at)])
    value, noun = (m.sql.replace("{a}", at), m.nouns[0]) if m else (f.read(at), d.speaker.noun(f))
    low, high = _two_bounds(d, m, f)
    if low >= high - 1:
        return None
    parts = (f"{value} < {low}", f"{value} BETWEEN {low} AND {high - 1}", f"{value} >= {high}")
    asked = frames("buckets", noun=noun, low=f"{low:g}", mid=f"{high - 1:g}", high=f"{high:g}")
    query = subject.source.select(*(f"SUM({part})" for part in parts))
    return finished("buckets", query, asked, subject_slots(subject), ["count", "case"])


def _in_other_words(f: Field) -> bool:
    """Whether the number is said in another unit than it is stored in."""
    return f.format.unit == "ft" or measures(f.format.unit)


def _two_bounds(d: Drawer, m: Measure | None, f: Field | None) -> tuple[int, int]:
    """Round ones, in what the number usually is."""
    if m is None:
        third = len(f.numbers) // 3
        return int(round_bound(f.numbers[third], f.format.unit)), int(round_bound(f.numbers[2 * third], f.format.unit))
    usual = sum(g.numbers[len(g.numbers) // 2] for g in m.fields)
    low, high = (5, 10, 20), (15, 20, 25, 30)
    if "ABS" in m.sql or len(m.fields) == 1:
        return d.rng.choice(low), d.rng.choice(high)
    return int(round(usual * 0.9, -1)), int(round(usual * 1.1, -1))


# --- different values, ends -------------------------------------------------------------------------------------------


def distinct(d: Drawer) -> Intent | None:
    """How many different values there are, or which."""
    view = d.view(lambda v: v.one_each)
    f = d.pick([f for f in d.facts(view, ("category", "text", "year")) if not f.unique])
    if f is None:
        return None
    subject = d.subject(view, (4, 6), without=[f])
    things, column, which = d.speaker.things(f), subject.column(f), d.chance(0.4)
    subject.source.where(*f.known(subject.source.at(), null_matters=which))
    query = (
        subject.source.select(column, distinct=True) if which else subject.source.select(f"COUNT(DISTINCT {column})")
    )
    asked = frames(f"distinct {'list' if which else 'count'}", things=things, noun=d.speaker.words(f).nouns[0])
    if is_plain(subject) and not which:
        asked += (f"How many (different|distinct) {things} (are there|do we have|are on file){{when}}?",) * 2
    probe = subject.source.select(column, distinct=True, limit=2)
    return finished("distinct", query, asked, subject_slots(subject), ["distinct", *subject.tags], probe, ranked=False)


def ends(d: Drawer) -> Intent | None:
    """First and last date, lowest and highest number: two ends in a row."""
    view = d.view(lambda v: v.one_each)
    fields = [f for f in d.facts(view, ("date", "number", "year")) if not f.format.stored_as_text]
    f = d.pick([f for f in fields if f.kind != "number" or can_average(f)])
    if f is None:
        return None
    subject = d.subject(view, (6, 4), without=[f])
    subject.source.where(*f.known(subject.source.at()))
    said = (
        "(earliest and [the] latest|first and last)"
        if f.kind != "number"
        else "(lowest and [the] highest|smallest and largest)"
    )
    asked = frames("ends", ends=said, noun=d.speaker.words(f).nouns[0])
    if f.kind == "date" and is_plain(subject) and subject.conditions:
        whole = f.table and subject.conditions[0].tests[0].value
        unit = subject.conditions[0].tests[0].field.words
        asked += (f"(When|On which dates) did the {whole} {unit} (begin and end|start and end|start and finish)?",) * 3
    column = subject.column(f)
    probe = subject.source.select(column, limit=2)
    query = subject.source.select(f"MIN({column})", f"MAX({column})")
    return finished("ends", query, asked, subject_slots(subject), ["min", "max", *subject.tags], probe, ranked=False)


FAMILIES = {count: 20, aggregate: 10, share: 3, two_counts: 2, buckets: 0.8, distinct: 3, ends: 1}
