"""Families of intents whose answer is numbers: counts, totals, averages, shares; for all rows, or for each group."""

import random
from collections.abc import Sequence

from labkit.datagen.conditions import Condition
from labkit.datagen.intents import Drawer, Intent, finished, subject_slots
from labkit.datagen.lexicon import bare
from labkit.datagen.phrases import plural, third
from labkit.datagen.rows import SHOW, TELL
from labkit.datagen.speaker import Speaker, bounds_of_things
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Field, Path_

COUNT = (
    "How many {clause}{when}?", "How many {clause}{when}?", "How many {np} (are there|do we have|are on file|are there in all){when}?",
    "How many {np}{when}?", "Count [all] [the] {np}{when}.", "(What is|What's) the number of {np}{when}?",
    "(Give me|I need|Tell me|Get me) the number of {np}{when}[, please].", "{np}{when}: how many (are there|do we have|have we got)?",
    "Number of {np}{when}[, please]?", "I need a (head count|count) of [the] {np}{when}.", "How many {np} can you find{when}?",
)  # fmt: skip


def count(d: Drawer) -> Intent | None:
    """How many rows."""
    view = d.view(lambda v: v.one_each)
    subject = d.subject(view, d.rng.choices((0, 1, 2, 3), (1, 6, 6, 2))[0])
    return finished("count", subject.source.select("COUNT(*)"), COUNT, subject_slots(subject), ["count", *subject.tags])


# --- one number from a column -----------------------------------------------------------------------------------------

_NO_SUM = (
    "height",
    "age",
    "percentage",
    "rate",
    "rating",
    "score",
    "jersey",
    "number",
    "pick",
    "rank",
    "year",
    "grade",
    "level",
)


def can_sum(speaker: Speaker, f: Field) -> bool:
    """Whether a total of the field means anything."""
    noun = speaker.words(f).nouns[0]
    return (
        f.kind == "number"
        and " per " not in f.words
        and f.format.unit not in ("%", "ft")
        and not any(w in (*f.words.split(), noun) for w in _NO_SUM)
        and "pct" not in f.words
    )


def can_average(speaker: Speaker, f: Field) -> bool:
    """Whether a mean of the field means anything: a number that is no name."""
    return f.kind == "number" and not any(w in f.words.split() for w in ("jersey", "code", "number", "zip"))


def aggregate(d: Drawer) -> Intent | None:
    """Average, total, highest or lowest of a number."""
    view = d.view(lambda v: v.one_each and any(can_average(d.speaker, f) for f in d.facts(v, ("number",))))
    f = d.pick([f for f in d.facts(view, ("number",)) if can_average(d.speaker, f)]) if view else None
    if f is None:
        return None
    subject = d.subject(view, d.rng.choices((0, 1, 2), (3, 6, 2))[0], without=[f])
    kind = d.rng.choices(("AVG", "SUM", "MAX", "MIN"), (5, 4 if can_sum(d.speaker, f) else 0, 1, 1))[0]
    _know_implied(d, subject, f)
    subject.source.where(*f.known(subject.source.at()))
    value, rounded = f"{kind}({subject.read(f)})", ""
    if kind == "AVG" and d.rng.random() < 0.25:
        value, rounded = _rounded(value, d)
    frames = tuple(_with(frame, rounded) for frame in number_frames(d.speaker, subject, f, kind))
    return finished(
        "aggregate", subject.source.select(value), frames, subject_slots(subject), [kind.lower(), *subject.tags]
    )


def _know_implied(d: Drawer, subject: Subject, f: Field) -> None:
    """What the glossary implies of a column holds in the view of the owner; a table asked as itself is taken whole."""


def _rounded(value: str, d: Drawer) -> tuple[str, str]:
    n = d.rng.choice((1, 1, 2, 0))
    said = {
        0: "(rounded to a whole number|to the nearest whole number)",
        1: "(rounded to one decimal|to one decimal place|rounded to 1 decimal)",
        2: "(rounded to two decimals|to two decimal places|rounded to 2 decimals)",
    }[n]
    return (f"ROUND({value}, {n})" if n else f"ROUND({value})"), f", {said}"


def _with(frame: str, tail: str) -> str:
    """The tail before the frame's last sign."""
    return frame if not tail else frame[:-1] + tail + frame[-1] if frame[-1] in "?." else frame + tail


def number_frames(speaker: Speaker, subject: Subject, f: Field, kind: str, np: str = "{np}") -> tuple[str, ...]:
    """Whole questions for an aggregate of a field over a subject."""
    words = speaker.words(f)
    noun = (
        "(" + "|".join([words.nouns[0], *words.nouns[:3]]) + ")"
        if not words.counts
        else "(" + "|".join(words.nouns[:1]) + ")"
    )
    nouns = "(" + "|".join(words.plurals) + ")"
    inches = "[ in inches]" if f.format.unit == "ft" else ""
    of = f"of [all] [the] {np}"
    if kind == "AVG":
        frames = [
            f"(What is|What's) the (average|mean|average) {noun} {of}{{when}}{inches}?",
            f"(Average|Mean) {noun} {of}{{when}}{inches}?",
            f"{TELL} the average {noun} {of}{{when}}{inches}.",
            f"On average, what is the {noun} {of}{{when}}{inches}?",
            f"{np}{{when}}: what is the average {noun}{inches}?",
        ]
        frames += [
            f"How {adj[0]} are [the] {np} on average{{when}}{inches}?"
            for adj in words.high
            if adj[0] in ("tall", "heavy", "long", "old", "large", "expensive", "big", "fast")
        ]
        frames += [
            f"(How much|What) do [the] {np} {v} on average{{when}}?"
            for v in words.verbs
            if v in ("earn", "make", "weigh", "cost")
        ]
        frames += [
            f"How many {nouns} did [the] {np} {bare(v)} on average{{when}}?" for v in words.verbs if words.counts
        ]
        return tuple(frames)
    if kind == "SUM":
        sums = speaker.glossary.sums.get(f.ref, [])
        frames = [
            f"(What is|What's) the (total|combined|overall) {nouns if words.counts else noun} {of}{{when}}?",
            f"Add up the {nouns} {of}{{when}}.",
            f"Total {nouns if words.counts else noun} {of}{{when}}?",
            f"{TELL} the (sum of the {nouns}|total {noun if not words.counts else nouns}) {of}{{when}}.",
        ]
        frames += [
            f"How many {nouns} did [the] {np} {bare(v)} ({_TOGETHER}){{when}}?" for v in words.verbs if words.counts
        ] * 2
        frames += [
            f"How many {nouns} do [the] {np} have ({_TOGETHER})?"
            for v in words.verbs
            if words.counts and "{when}" not in np
        ]
        if not words.counts:
            frames += [
                f"What do the {nouns} {of} (come to|add up to|amount to){{when}}?",
                f"How much is the {noun} of [all] [the] {np} ({_TOGETHER}){{when}}?",
            ] + [
                f"How much do [the] {np} {v} ({_TOGETHER}){{when}}?"
                for v in words.verbs
                if v in ("earn", "make", "cost", "weigh")
            ]
        for s in sums:
            frames += [
                f"(What is|What's|How big is|How high is) the {s} {of}{{when}}?",
                f"{TELL} the {s} {of}{{when}}.",
                f"{s} {of}{{when}}?",
            ]
        return tuple(frames)
    word = "(highest|largest|biggest|top|maximum)" if kind == "MAX" else "(lowest|smallest|minimum)"
    plainly = {"$": "[ in dollars| as a plain number]"}.get(f.format.unit, inches) if f.format.stored_as_text else ""
    plainly = plainly.replace("[ in dollars| as a plain number]", "( in dollars| as a plain number|)")
    return (
        f"(What is|What's) the {word} {noun} (of|among) [all] [the] {np}{{when}}{plainly}?",
        f"{TELL} the {word} {noun} among [the] {np}{{when}}{plainly}.",
        f"{word} {noun} (of|among) {np}{{when}}{plainly}?",
        f"Of [all] [the] {np}, what is the {word} {noun}{{when}}{plainly}?",
        f"What is the {word} {noun} that any of the {np} has{{when}}{plainly}?",
    )


_TOGETHER = "in total|altogether|combined|all told|between them|together|overall"


# --- groups -----------------------------------------------------------------------------------------------------------


def _grouping(d: Drawer, view: View) -> tuple[Field, Path_] | None:
    """A column to group the view's rows by: a category of theirs or of their owner's, the name of what they belong to."""
    own = [
        (f, ())
        for f in view.root.fields
        if f.kind in ("category", "period") and f.ref not in {t.field.ref for t in view.implied}
    ]
    own += [(f, ()) for f in view.root.fields if f.kind == "year" and len(f.values) <= 40]
    for path in d.world.paths(view.root.table, 2)[1:]:
        entity = d.world.end(view.root.table, path)
        if path[-1].role and len(path) > 1:
            continue
        if entity.label and entity.label.unique and path != view.path:
            own += [(entity.label, path)] * 2
        own += [(f, path) for f in entity.fields if f.kind == "category"]
    return d.rng.choices(own, [d.favoured(f) for f, _ in own])[0] if own else None


def _group_word(d: Drawer, f: Field, path: Path_) -> str:
    """What one group is called: 'position', 'team', 'home team'."""
    if f.kind == "label":
        role = f"{path[-1].role} " if path and path[-1].role else ""
        return role + d.speaker.nouns(d.world.entities[f.table])[0]
    return d.speaker.words(f).nouns[0] if f.kind != "period" else f.words


def _grouped(d: Drawer):
    """A subject and the column that groups it, both in its source."""
    view = d.view(lambda v: v.one_each and v.root.rows > 8)
    found = _grouping(d, view)
    if not found:
        return None
    f, path = found
    subject = d.subject(view, d.rng.choices((0, 1, 2), (6, 4, 1))[0], without=[f], period=f.kind != "period")
    if any(len(t.tests) and t.path == path and f.kind == "label" for t in subject.conditions):
        return None
    column = f.column(subject.source.at(path))
    subject.source.where(*f.known(subject.source.at(path), null_matters=True))
    return subject, f, path, column, _group_word(d, f, path)


def _measured(d: Drawer, subject: Subject, exclude: Field) -> tuple[str, str, str, list[str]] | None:
    """(SQL, noun phrase template of the number, question template of 'most', tags): a count or an aggregate."""
    numbers = [f for f in d.facts(subject.view, ("number",)) if can_average(d.speaker, f) and f is not exclude]
    if not numbers or d.rng.random() < 0.45:
        return "COUNT(*)", "number of {np}{when}", "{np}{when}", ["count"]
    f = d.pick(numbers)
    kind = d.rng.choice(("AVG", "SUM") if can_sum(d.speaker, f) else ("AVG", "AVG", "MAX"))
    subject.source.where(*f.known(subject.source.at()))
    words = d.speaker.words(f)
    word = {"AVG": "average", "SUM": "total", "MAX": "highest"}[kind]
    sums = d.speaker.glossary.sums.get(f.ref, []) if kind == "SUM" else []
    noun = words.plurals[-1] if words.counts and kind == "SUM" else words.nouns[0]
    of = "" if subject_plain(subject) else " of [the] {np}"
    inches = "[ in inches]" if f.format.unit == "ft" else ""
    said = f"({word} {noun}|" + "|".join([f"{word} {noun}", *sums, *sums]) + f"){of}{{when}}{inches}"
    return f"{kind}({subject.read(f)})", said, "", [kind.lower()]


def subject_plain(subject: Subject) -> bool:
    return not [c for c in subject.conditions if not c.time]


def group(d: Drawer) -> Intent | None:
    """A number for each group."""
    drawn = _grouped(d)
    measured = _measured(d, drawn[0], drawn[1]) if drawn else None
    if not measured:
        return None
    subject, f, path, column, word = drawn
    value, said, _, tags = measured
    order, tail = [], ""
    if d.rng.random() < 0.35:
        down = d.rng.random() < 0.75
        order = [f"{value} {'DESC' if down else 'ASC'}"]
        tail = (
            "(, highest first|, most first|, from highest to lowest|, in descending order)"
            if down
            else "(, lowest first|, from lowest to highest|, in ascending order)"
        )
    query = subject.source.select(column, value, group=[column], order=order)
    frames = _group_frames(said, word, tail, value == "COUNT(*)")
    return finished("group", query, frames, subject_slots(subject), ["group", *tags, *subject.tags])


def _group_frames(said: str, word: str, tail: str, counting: bool) -> tuple[str, ...]:
    frames = [
        f"{said} (by|per|for each) {word}{tail}[, please].",
        f"For (each|every) {word}, (show|give me|what is|I need) (the {word} and |)the {said}{tail}.",
        f"(What is|What's) the {said} (per|by|for each|in each) {word}{tail}?",
        f"{SHOW} (each|every) {word} (with|and) [its] {said}{tail}.",
        f"Break down the {said} by {word}{tail}.",
        f"{said} {word} by {word}{tail}? (Show {word} and number|I need both columns).",
    ]
    if counting:
        frames += [
            f"How many {{np}} (are there|do we have){{when}} (per|by|for each|in each) {word}{tail}?",
            f"How many {{np}} does each {word} have{{when}}{tail}?",
            f"{word} and number of {{np}}{{when}}{tail}[, please].",
            f"Count the {{np}}{{when}} (per|by) {word}{tail}.",
        ]
    return tuple(frames)


def group_extreme(d: Drawer) -> Intent | None:
    """The group with the most or the least."""
    drawn = _grouped(d)
    measured = _measured(d, drawn[0], drawn[1]) if drawn else None
    if not measured:
        return None
    subject, f, path, column, word = drawn
    value, said, _, tags = measured
    high, beside = d.rng.random() < 0.8, d.rng.random() < 0.5
    way = [f"{value} {'DESC' if high else 'ASC'}"]
    query = subject.source.select(column, *([value] if beside else []), group=[column], order=way, limit=1)
    probe = subject.source.select(value, group=[column], order=way, limit=2)
    frames = _group_extreme_frames(said, word, high, beside, value == "COUNT(*)")
    return finished(
        "group_extreme",
        query,
        frames,
        subject_slots(subject),
        ["group", "superlative", *tags, *subject.tags],
        unique=probe,
    )


def _group_extreme_frames(said: str, word: str, high: bool, beside: bool, counting: bool) -> tuple[str, ...]:
    best = "(highest|biggest|largest)" if high else "(lowest|smallest)"
    tail = (
        f" (Show {word} and number|{word.capitalize()} and number, please|I need both the {word} and the number)."
        if beside
        else ""
    )
    also = ", and (how many|what is it|how big is it)?" if beside else "?"
    if counting:
        most = "(most|most|largest number of)" if high else "(fewest|smallest number of)"
        return (
            f"(Which|What) {word} has the {most} {{np}}{{when}}?{tail}",
            f"(Which|What) {word} has the {most} {{np}}{{when}}{also}",
            f"{TELL} the {word} with the {most} {{np}}{{when}}.{tail}",
            f"Where do we find the {most} {{np}}{{when}}, by {word}?{tail}",
            f"(Which|What) is the {word} with the {most} {{np}}{{when}}?{tail}",
            f"(By|Looking at) {word}, where are the {most} {{np}}{{when}}?{tail}",
        )
    return (
        f"(Which|What) {word} has the {best} {said}?{tail}",
        f"(Which|What) {word} has the {best} {said}{also}",
        f"{TELL} the {word} with the {best} {said}.{tail}",
        f"Which is the {word} with the {best} {said}?{tail}",
        f"In which {word} is the {said} {best}?{tail}",
        f"The {word} with the {best} {said}?{tail}",
    )


def having(d: Drawer) -> Intent | None:
    """The groups with more, fewer, at least so many rows."""
    drawn = _grouped(d)
    if not drawn:
        return None
    subject, f, path, column, word = drawn
    average = max(1, subject.view.root.rows // max(1, len(f.values)))
    op = d.rng.choice((">", ">", "<", ">=", "<="))
    n = max(1, int(average * d.rng.choice((0.3, 0.5, 0.7, 0.9, 1, 1.1, 1.3))))
    beside = d.rng.random() < 0.5
    query = subject.source.select(
        column, *(["COUNT(*)"] if beside else []), group=[column], having=f"COUNT(*) {op} {n}"
    )
    many = (
        "("
        + "|".join(w.replace("{things}", "{np}") for w in bounds_of_things(op, str(n)))
        .replace("(", "")
        .replace(")", "")
        + ")"
    )
    tail = f" (Show {word} and number|{word.capitalize()} and number, please|And how many)." if beside else ""
    tail = tail.replace("And how many).", "I also need the number).")
    words = plural(word)
    frames = (
        f"(Which|What) {words} have {many}{{when}}?{tail}",
        f"{SHOW} [all] [the] {words} with {many}{{when}}.{tail}",
        f"{words} with {many}{{when}}?{tail}",
        f"(What are|Name) the {words} that have {many}{{when}}[, please].{tail}",
        f"Are there {words} with {many}{{when}}? Which?{tail}",
    )
    return finished("having", query, frames, subject_slots(subject), ["group", "having", *subject.tags])


# --- parts of a whole -------------------------------------------------------------------------------------------------


def share(d: Drawer) -> Intent | None:
    """What percentage of the rows meet one more condition."""
    view = d.view(lambda v: v.one_each and v.root.rows > 8)
    subject = d.subject(view, d.rng.choices((0, 1), (6, 4))[0])
    part = d._own(view)
    taken = {f.ref for c in subject.conditions for f in c.fields}
    if (
        not part
        or not (part.verb or part.adjective or part.noun)
        or part.time
        or taken & {f.ref for f in part.fields}
        or len(part.tests) > 1
    ):
        return None
    from labkit.datagen.build import tests_sql

    tests = tests_sql(part, subject.source.at())
    inside = " AND ".join(tests)
    value, rounded = f"100.0 * SUM({inside}) / COUNT(*)", ""
    if d.rng.random() < 0.5:
        value, rounded = _rounded(value, d)

    def slots(rng: random.Random) -> dict[str, str]:
        filled = subject_slots(subject)(rng)
        return {**filled, "be": _be(part, rng)}

    frames = [
        f"What (percentage|percent|share|proportion) of [all] [the] {{np}} {{be}}{{when}}{rounded}?".replace(
            "|share|proportion", ""
        ),
        f"(What is|What's) the percentage of {{np}} that {{be}}{{when}}{rounded}?".replace(
            "that", "who" if view.who.person else "that"
        ),
        f"What share of [the] {{np}} {{be}}{{when}}, in percent{rounded}?",
        f"In percent, how many of the {{np}} {{be}}{{when}}{rounded}?",
        f"{TELL} the percentage of {{np}} that {{be}}{{when}}{rounded}.".replace(
            "that", "who" if view.who.person else "that"
        ),
        f"Of [all] [the] {{np}}, what percentage {{be}}{{when}}{rounded}?",
    ]
    return finished("share", subject.source.select(value), frames, slots, ["share", *part.tags, *subject.tags])


def _be(condition: Condition, rng: random.Random) -> str:
    """The condition as a verb phrase of the plural, whatever forms it has."""
    options = list(condition.verb)
    options += [f"are {a}" for a in condition.adjective] + [
        f"are {plural(n)}" for n in condition.noun if not n.startswith("=")
    ]
    return rng.choice(options)


def two_counts(d: Drawer) -> Intent | None:
    """How many are this, and how many that: two numbers in a row."""
    view = d.view(lambda v: v.one_each and v.root.rows > 8)
    subject = d.subject(view, 0)
    a, b = d._own(view), d._own(view)
    usable = [
        c for c in (a, b) if c and (c.noun or c.adjective or c.verb or c.post) and not c.time and len(c.tests) == 1
    ]
    if len(usable) < 2 or a.tests == b.tests or a.tests[0].field.table != b.tests[0].field.table:
        return None
    from labkit.datagen.build import tests_sql

    sums = [f"SUM({' AND '.join(tests_sql(c, subject.source.at()))})" for c in (a, b)]

    def slots(rng: random.Random) -> dict[str, str]:
        parts = [Subject(d.speaker, view, [c]).phrase(rng).text for c in (a, b)]
        base = subject.phrase(rng)
        return {"a": parts[0], "b": parts[1], "when": f" {base.when}" if base.when else ""}

    frames = (
        "How many {a} and how many {b} (are there|do we have){when}?",
        "Number of {a} and number of {b}{when}, in one row.",
        "How many {a} are there{when}, and how many {b}?",
        f"{TELL} two numbers: {{a}} and {{b}}{{when}}.",
        "Count the {a} and the {b}{when}, side by side.",
        "How many {a}, and how many {b}{when}? Two numbers in one row[, please].",
    )
    return finished("two_counts", subject.source.select(*sums), frames, slots, ["count", "case"])


def distinct(d: Drawer) -> Intent | None:
    """How many different values there are, or which."""
    view = d.view(lambda v: v.one_each)
    fields = [(f, ()) for f in d.facts(view, ("category", "text", "year")) if not f.unique]
    if not fields:
        return None
    f, _ = d.rng.choices(fields, [d.favoured(f) for f, _ in fields])[0]
    subject = d.subject(view, d.rng.choices((0, 1), (4, 6))[0], without=[f])
    words = d.speaker.words(f)
    things, column = "(" + "|".join(words.plurals[:2]) + ")", subject.column(f)
    listed_ = d.rng.random() < 0.4
    subject.source.where(*f.known(subject.source.at(), null_matters=listed_))
    plain = subject_plain(subject)
    if listed_:
        query = subject.source.select(column, distinct=True)
        frames = (
            f"(Which|What) [different] {things} (are there among|do we have among|occur among) [the] {{np}}{{when}}?",
            f"{SHOW} the (different|distinct) {things} of [the] {{np}}{{when}}.",
            f"{SHOW} every {words.nouns[0]} of [the] {{np}} once{{when}}.",
            f"All (different|distinct) {things} among [the] {{np}}{{when}}, without repeats.",
            f"(Different|Distinct) {things} of {{np}}{{when}}[, please].",
        )
    else:
        query = subject.source.select(f"COUNT(DISTINCT {column})")
        frames = (
            f"How many (different|distinct) {things} (are there among|do we have among) [the] {{np}}{{when}}?",
            f"Number of (different|distinct) {things} (of|among) [the] {{np}}{{when}}?",
            f"How many {things} are represented among [the] {{np}}{{when}}?",
            f"(What is|What's) the number of (different|distinct) {things} of [the] {{np}}{{when}}?",
            f"Count the (different|distinct) {things} of [the] {{np}}{{when}}.",
        )
    if plain and not listed_:
        frames += (f"How many (different|distinct) {things} (are there|do we have|are on file){{when}}?",)
    return finished("distinct", query, frames, subject_slots(subject), ["distinct", *subject.tags])


def from_to(d: Drawer) -> Intent | None:
    """First and last date, lowest and highest number: two ends in a row."""
    view = d.view(
        lambda v: v.one_each and [f for f in d.facts(v, ("date", "number", "year")) if not f.format.stored_as_text]
    )
    fields = [f for f in d.facts(view, ("date", "number", "year")) if not f.format.stored_as_text] if view else []
    if not fields:
        return None
    f = d.pick(fields)
    subject = d.subject(view, d.rng.choices((0, 1), (6, 4))[0], without=[f])
    subject.source.where(*f.known(subject.source.at()))
    words, column = d.speaker.words(f), subject.column(f)
    noun = words.nouns[0]
    ends = (
        "(earliest and (the |)latest|first and last)"
        if f.kind != "number"
        else "(lowest and (the |)highest|smallest and largest|minimum and maximum)"
    )
    frames = (
        f"(What are|Give me) the {ends} {noun} (of|among) [all] [the] {{np}}{{when}}[, please]?",
        f"{ends} {noun} of {{np}}{{when}}?",
        f"{TELL} the {ends} {noun} of [all] [the] {{np}}{{when}}.",
        f"The range of the {noun} of [the] {{np}}{{when}}: {ends.replace('(the |)', '')}.",
        f"Among [the] {{np}}, what are the {ends} {noun}{{when}}?",
    )
    return finished(
        "from_to",
        subject.source.select(f"MIN({column})", f"MAX({column})"),
        frames,
        subject_slots(subject),
        ["min", "max", *subject.tags],
    )


__all__ = ["third", "Sequence"]
FAMILIES = {
    count: 14,
    aggregate: 10,
    group: 8,
    group_extreme: 6,
    having: 4,
    share: 4,
    two_counts: 2,
    distinct: 4,
    from_to: 2,
}
