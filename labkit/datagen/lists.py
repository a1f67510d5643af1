"""Families of intents that list rows: those that meet conditions, the extreme one, the top few, those named so."""

import re
from collections.abc import Sequence

from labkit.datagen.build import subquery
from labkit.datagen.conditions import Condition, Test
from labkit.datagen.drawing import Drawer, is_plain
from labkit.datagen.frames import capital, frames
from labkit.datagen.intents import Intent, finished, subject_slots
from labkit.datagen.phrases import listed, literal, plural, third
from labkit.datagen.speaker import Speaker
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Field, Path_
from labkit.schema import sql_name

# --- those that meet conditions ---------------------------------------------------------------------------------------


def listing(d: Drawer) -> Intent | None:
    """The names of the rows that meet conditions; facts beside them, an order, now and then."""
    view = d.view(lambda v: v.one_each)
    subject = d.subject(view, (0, 6, 5, 1))
    if is_plain(subject):
        return None
    shown = _beside(d, subject)
    order, ordered = _ordering(d, subject, [f for f, path in shown if not path])
    ordered = ordered or _known_only(d, subject, [f for f, path in shown if not path])
    query = subject.source.select(subject.label(), *(subject.column(f, p) for f, p in shown), order=order)
    asked = list_frames(d, view, shown, ordered)
    return finished("listing", query, asked, subject_slots(subject), [*subject.tags, *(["order"] if order else [])])


def _beside(d: Drawer, subject: Subject) -> list[tuple[Field, Path_]]:
    """Facts to show: of the rows, of their owner, the name of what they belong to."""
    view, found = subject.view, []
    fixed = {t.field.ref for c in subject.conditions for t in c.tests if t.op == "="}
    for _ in range(d.rng.choices((0, 1, 2), (6, 4, 1))[0]):
        paths = [p for p in d.ways(view)[1:] if p != view.path and not any(link.role for link in p)]
        labelled = [p for p in paths if d.world.end(view.root.table, p).label]
        if labelled and d.chance(0.2):
            path = labelled[0]
            found.append((d.world.end(view.root.table, path).label, path))
        elif f := d.pick([f for f in d.facts(view) if f.ref not in fixed]):
            found.append((f, ()))
    return list(dict.fromkeys(found))


def _ordering(d: Drawer, subject: Subject, fields: Sequence[Field]) -> tuple[list[str], str]:
    numbers = [f for f in fields if f.kind in ("number", "year", "date")]
    if not numbers or not d.chance(0.4):
        return [], ""
    f, down = numbers[-1], d.chance(0.65)
    subject.source.where(*f.known(subject.source.at(), null_matters=True))
    noun = d.speaker.words(f).nouns[0]
    if f.kind != "number":
        said = (
            "newest first|latest first|most recent first"
            if down
            else "oldest first|earliest first|in chronological order"
        )
    elif down:
        said = f"highest {noun} first|from highest to lowest {noun}|sorted by {noun}, highest first|highest first"
    else:
        said = f"lowest {noun} first|from lowest to highest {noun}|sorted by {noun}, lowest first|lowest first"
    return [subject.read(f) + (" DESC" if down else "")], f", ({said})"


def _known_only(d: Drawer, subject: Subject, fields: Sequence[Field]) -> str:
    """Now and then a shown fact must be there."""
    gaps = [f for f in fields if f.missing and f.ref not in {g.ref for c in subject.conditions for g in c.fields}]
    if not gaps or not d.chance(0.3):
        return ""
    subject.source.where(*gaps[0].known(subject.source.at(), null_matters=True))
    noun, those = d.speaker.words(gaps[0]).nouns[0], "anyone" if subject.view.who.person else "those"
    return f", (leaving out {those} whose {noun} is (unknown|not known|missing)|without those with no known {noun}|only where the {noun} is known)"


def list_frames(d: Drawer, view: View, shown: Sequence[tuple[Field, Path_]] = (), ordered: str = "") -> tuple[str, ...]:
    """Questions for a list: of names alone, or with facts beside."""
    label = d.speaker.label(view.label, view.who)
    if not shown:
        return frames("list", labels=f"({plural(label)}|{plural(label)}|{view.who.noun} {plural(label)})")
    facts = [fact_noun(d, f, path) for f, path in shown]
    first = f"({label}|{label}|{view.who.noun} {label})"
    cols = listed([first, *facts])
    return frames("list with facts", cols=cols, facts=listed(facts), ordered=ordered)


def fact_noun(d: Drawer, f: Field, path: Path_ = ()) -> str:
    """What a shown fact is called: 'weight'; 'team' or 'team nickname' for the name of what the row belongs to."""
    if f.kind != "label":
        return d.speaker.words(f).nouns[0]
    entity = d.world.entities[f.table]
    return f"({entity.noun}|{entity.noun} {d.speaker.label(f, entity)})"


def full_name(d: Drawer) -> Intent | None:
    """The name that the glossary puts together from two columns, as one text."""
    view = d.view(lambda v: v.own and v.root.table in d.speaker.glossary.full_names)
    if not view:
        return None
    subject = d.subject(view, (0, 6, 1))
    first, second = (view.root.field(name) for name in d.speaker.glossary.full_names[view.root.table])
    whole = f"{subject.column(first)} || ' ' || {subject.column(second)}"
    if is_plain(subject) or d.chance(0.4):
        return _extreme_full(d, subject, whole, first, second)
    query = subject.source.select(whole)
    said = f"full names ({first.words} and {second.words} in one text|that is {first.words} and {second.words}|as one text)"
    asked = frames("list", labels=said.replace("(", ", (", 1))
    return finished("full_name", query, [a for a in asked if "full name" in a], subject_slots(subject), ["text"])


def _extreme_full(d: Drawer, subject: Subject, whole: str, first: Field, second: Field) -> Intent | None:
    f, high = d.pick(_ranked(d, subject.view)), d.chance(0.7)
    inner = Subject(d.speaker, subject.view, subject.conditions)
    subject.source.where(
        f"{subject.read(f)} = {subquery(inner.source.select(('MAX' if high else 'MIN') + f'({inner.read(f)})'))}"
    )
    said = f"(full name|full name, {first.words} and {second.words} in one text,|{first.words} and {second.words} as one text)"
    nps = [np for np in superlatives(d.speaker, f, high)["np"] if "{n}" in np]
    asked = [a for np in nps for a in frames("full name", best=np.replace("{n}", "{np1}"), said=said)]
    return finished("full_name", subject.source.select(whole), asked, subject_slots(subject), ["text", "superlative"])


def any_period(d: Drawer) -> Intent | None:
    """Those who did something in whatever period, with the period."""
    view = d.view(lambda v: bool(v.path) and v.period is not None and v.one_each)
    subject = d.subject(view, (0, 6, 3), period=False) if view else None
    if subject is None or is_plain(subject):
        return None
    label, word = d.speaker.label(view.label, view.who), view.period.words.split()[-1]
    query = subject.source.select(subject.label(), subject.column(view.period))
    fills = {"cols": f"({view.who.noun} |){label} and {word}", "word": word, "words": plural(word)}
    return finished("any_period", query, frames("any period", **fills), subject_slots(subject), subject.tags)


# --- the extreme row --------------------------------------------------------------------------------------------------


def extreme(d: Drawer) -> Intent | None:
    """The row with the most or the least of something; the value beside it, now and then; ties all, where asked."""
    view = d.view(lambda v: v.one_each and bool(_ranked(d, v)))
    f = d.pick(_ranked(d, view)) if view else None
    if f is None:
        return None
    subject = d.subject(view, (5, 6, 1), without=[f])
    high, shown = d.chance(0.7), _value_beside(d, subject, f)
    if d.chance(0.12) and (found := _extreme_parent(d, subject)):
        return found
    if d.chance(0.15) or (view.own and is_plain(subject) and not subject.conditions):
        return _with_ties(d, subject, f, high, shown)
    subject.source.where(*f.known(subject.source.at(), null_matters=not high))
    way = [subject.read(f) + (" DESC" if high else "")]
    query = subject.source.select(subject.label(), *(subject.column(g, p) for g, p in shown), order=way, limit=1)
    probe = subject.source.select(subject.read(f), order=way, limit=2)
    asked = extreme_frames(d, subject, superlatives(d.speaker, f, high), f, shown)
    return finished("extreme", query, asked, subject_slots(subject), ["superlative", *subject.tags], probe)


def _extreme_parent(d: Drawer, subject: Subject) -> Intent | None:
    """By a fact of what the rows belong to: the team with the smallest arena, all of them where several share it."""
    view, high = subject.view, d.chance(0.6)
    if not view.own or subject.conditions or not view.who.label:
        return None
    paths = [p for p in d.world.paths(view.root.table, 1)[1:] if not p[0].role]
    entity = d.world.end(view.root.table, d.rng.choice(paths)) if paths else None
    f = d.pick([f for f in entity.fields if f.kind == "number"]) if entity and entity.label else None
    if f is None:
        return None
    path = next(p for p in paths if p[0].other == entity.table)
    best = (
        f"(SELECT {'MAX' if high else 'MIN'}({f.read('x').replace('x.', '')}) FROM {sql_name(entity.table)}{_where(f)})"
    )
    source = subject.source.where(*f.known(subject.source.at(path)))
    source.where(f"{subject.read(f, path)} = {best}")
    beside = d.chance(0.4)
    query = source.select(subject.label(), *([entity.label.column(source.at(path))] if beside else []))
    sup = superlatives(d.speaker, f, high)
    nps = [f"{{n}} with the {np.replace('{n}', entity.noun)}" for np in sup["np"] if np.endswith(" {n}")]
    nps += [f"{{n}} whose {entity.noun} {vp}" for vp in sup["vp"]]
    asked = extreme_frames(d, subject, {"np": nps, "vp": []}, f, [(entity.label, path)] if beside else [])
    asked += _plural_frames(d, subject, nps, [(entity.label, path)] if beside else [])
    return finished("extreme_parent", query, asked, subject_slots(subject), ["superlative", "join", "ties"])


def _where(f: Field) -> str:
    known = [k.replace("x.", "") for k in f.known("x")]
    return f" WHERE {' AND '.join(known)}" if known else ""


def _ranked(d: Drawer, view: View) -> list[Field]:
    """Facts that have a most and a least worth asking for."""
    return [
        f for f in d.facts(view, ("number", "year", "date")) if not re.search(r"\b(jersey|code|number|room)\b", f.words)
    ]


def _value_beside(d: Drawer, subject: Subject, f: Field) -> list[tuple[Field, Path_]]:
    return [(f, ())] if d.chance(0.45) else _beside(d, subject)[:1] if d.chance(0.15) else []


def _with_ties(d: Drawer, subject: Subject, f: Field, high: bool, shown: Sequence[tuple[Field, Path_]]) -> Intent:
    """`x = (SELECT MAX(x) ...)`: right however many share the mark."""
    inner = Subject(d.speaker, subject.view, subject.conditions)
    for s in (inner, subject):
        s.source.where(*f.known(s.source.at()))
    best = subquery(inner.source.select(f"{'MAX' if high else 'MIN'}({inner.read(f)})"))
    probe = inner.source.select(inner.read(f), limit=2)
    subject.source.where(f"{subject.read(f)} = {best}")
    query = subject.source.select(subject.label(), *(subject.column(g, p) for g, p in shown))
    sup = superlatives(d.speaker, f, high)
    asked = extreme_frames(d, subject, sup, f, shown)
    asked += _plural_frames(d, subject, [t for t in sup["np"] if "{n}" in t], shown)
    if not is_plain(subject) or subject.conditions or d.chance(0.3):
        every = "everybody|everyone who shares it" if subject.view.who.person else "all of them"
        said = f"(If several tie, show them all|Ties: show {every}|All of them if several share the mark|Include ties)"
        asked = tuple(f"{frame} {said}." for frame in asked)
    return finished(
        "extreme_ties",
        query,
        asked,
        subject_slots(subject),
        ["superlative", "ties", *subject.tags],
        probe,
        ranked=False,
    )


def _plural_frames(
    d: Drawer, subject: Subject, nps: Sequence[str], shown: Sequence[tuple[Field, Path_]]
) -> tuple[str, ...]:
    """'the tallest players', however many that are."""
    label = d.speaker.label(subject.view.label, subject.view.who)
    cols = listed([label, *(fact_noun(d, g, p) for g, p in shown)]) if shown else plural(label)
    bests = [np.replace("{n}", "{np}") for np in nps]
    return tuple(f for best in bests for f in frames("extremes", best=best, cols=cols))


def superlatives(speaker: Speaker, f: Field, high: bool) -> dict[str, list[str]]:
    """'np': '{n} with the highest salary', 'tallest {n}'; 'vp' (singular): 'has the highest salary', 'is the tallest'."""
    words, noun, things = speaker.words(f), speaker.noun(f), speaker.things(f)
    bests = [best for *_, best in (words.high if high else words.low)] + list(words.best if high else words.worst)
    nps, vps = [f"{best} {{n}}" for best in bests], [f"is the {best}" for best in bests]
    if f.kind in ("year", "date") and not words.high:
        word = "(latest|most recent|last)" if high else "(earliest|first)"
        nps, vps = [*nps, f"{{n}} with the {word} {noun}"], [*vps, f"has the {word} {noun}"]
        if re.fullmatch(r"\w+ed|born|built", words.participle):
            last = f"{words.participle} {'(last|most recently)' if high else '(first|earliest)'}"
            nps, vps = [*nps, f"{{n}} {last}"], [*vps, f"was {last}"]
    elif f.kind == "number" and words.counts:
        word = "(most|most|highest number of)" if high else "(fewest|fewest|lowest number of)"
        nps = [*nps, f"{{n}} with the {word} {things}"]
        vps += [f"{third(v)} the {word} {things}" for v in words.verbs]
    elif f.kind == "number":
        word = "(highest|highest|largest|biggest)" if high else "(lowest|lowest|smallest)"
        nps, vps = [*nps, f"{{n}} with the {word} {noun}"], [*vps, f"has the {word} {noun}"]
        vps += [f"{third(v)} the {'most' if high else 'least'}" for v in words.verbs if v in AMOUNTS]
    tops = speaker.glossary.tops.get(f.ref, []) if high else []
    return {"np": [*nps, *tops], "vp": [*vps, *(f"(was|is) the {t}" for t in tops)]}


AMOUNTS = ("earn", "make", "weigh", "cost", "hold")  # verbs of which one can do 'the most' without a thing


def extreme_frames(
    d: Drawer, subject: Subject, sup: dict[str, list[str]], f: Field, shown: Sequence[tuple[Field, Path_]]
) -> tuple[str, ...]:
    """Whole questions for the extreme row, with what is to be shown beside its name."""
    person, label = subject.view.who.person, d.speaker.label(subject.view.label, subject.view.who)
    cols = listed([label, *(fact_noun(d, g, p) for g, p in shown)])
    tail = f" ({capital(cols)}|I need {cols}|Show {cols}|{capital(cols)}, please|Give {cols})." if shown else ""
    value = bool(shown) and shown[0][0] is f
    fills = {"tail": tail, "cols": cols, "noun": d.speaker.words(f).nouns[0]}
    fills["howmuch"] = (
        "(how many|with how many)" if d.speaker.words(f).counts else f"what is (the|that) {fills['noun']}"
    )
    asked: list[str] = []
    for np in sup["np"]:
        best = np.replace("{n}", "{np1}")
        asked += _who(frames("extreme np" + " with value" * value, best=best, **fills), person)
    for vp in sup["vp"]:
        asked += _who(frames("extreme vp" + " with value" * value, does=vp, **fills), person) * 2
        asked += frames("extreme who", does=vp, **fills) if person and is_plain(subject) else ()
    return tuple(asked)


def _who(templates: Sequence[str], person: bool) -> list[str]:
    """'Who' for persons, 'which' for the rest."""
    texts = [t.replace("(Who|What|Which)", "Who" if person else "(What|Which)") for t in templates]
    texts = [
        t.replace("(What|Who)", "Who" if person else "What").replace(
            "(which one|who)", "(who|which one)" if person else "which one"
        )
        for t in texts
    ]
    return [t for t in texts if person or not t.startswith("Who ")]


# --- the top few ------------------------------------------------------------------------------------------------------

_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 10: "ten"}


def top(d: Drawer) -> Intent | None:
    """The top few, in order; or the second, the third."""
    view = d.view(lambda v: v.one_each and v.root.rows > 8 and bool(_ranked(d, v)))
    f = d.pick(_ranked(d, view)) if view else None
    if f is None:
        return None
    subject = d.subject(view, (6, 3), without=[f])
    high = d.chance(0.75)
    shown = [(f, ())] if d.chance(0.5) else []
    subject.source.where(*f.known(subject.source.at(), null_matters=not high))
    columns = [subject.label(), *(subject.column(g) for g, _ in shown)]
    way = [subject.read(f) + (" DESC" if high else "")]
    if d.chance(0.3):
        return _nth(d, subject, f, high, columns, way, shown)
    n = d.rng.choice((2, 3, 3, 3, 4, 5, 5, 5, 6, 7, 8, 10, 10))
    query = subject.source.select(*columns, order=way, limit=n)
    probe = subject.source.select(subject.read(f), order=way, limit=2, offset=n - 1)
    asked = _top_frames(d, subject, f, high, n, bool(shown))
    return finished("top", query, asked, subject_slots(subject), ["top", *subject.tags], probe)


def _top_frames(d: Drawer, subject: Subject, f: Field, high: bool, n: int, beside: bool) -> tuple[str, ...]:
    label, noun = d.speaker.label(subject.view.label, subject.view.who), d.speaker.words(f).nouns[0]
    cols = f"{label} and {noun}"
    tail = f" ({capital(cols)}, please|Show {cols}|I need {cols}|{capital(cols)})." if beside else ""
    fills, sup = (
        {"k": f"({_NUMBERS[n]}|{n})", "tail": tail, "noun": d.speaker.noun(f)},
        superlatives(d.speaker, f, high),
    )
    asked: list[str] = []
    for np in sup["np"]:
        best = np.replace("{n}", "{np}") if "{n}" in np else plural(np)
        asked += _who(frames("top", best=best, **fills), subject.view.who.person)
    asked += _who(frames("top by", **fills), subject.view.who.person) if high else []
    return tuple(asked)


def _nth(d: Drawer, subject: Subject, f: Field, high: bool, columns, way, shown) -> Intent | None:
    n = d.rng.choice((2, 2, 3))
    query = subject.source.select(*columns, order=way, limit=1, offset=n - 1)
    probe = subject.source.select(subject.read(f), order=way, limit=3, offset=n - 2)
    nth, sup = {2: "(second|2nd|second)", 3: "(third|3rd|third)"}[n], superlatives(d.speaker, f, high)
    nps = [f"{nth} {t}" for t in sup["np"] if t.endswith(" {n}")]
    nps += [t.replace("with the (", f"with the {nth} (") for t in sup["np"] if "with the (" in t]
    vps = [t.replace(" the ", f" the {nth} ", 1) for t in sup["vp"] if " the " in t and "(was|is)" not in t]
    asked = extreme_frames(d, subject, {"np": nps, "vp": vps}, f, shown)
    return finished("nth", query, asked, subject_slots(subject), ["top", "offset"], probe) if nps else None


# --- by name ----------------------------------------------------------------------------------------------------------


def named_like(d: Drawer) -> Intent | None:
    """Rows whose name starts with, ends in or holds something: a first name, a letter."""
    view = d.view(lambda v: v.own and v.who.label and len(v.label.values) >= 15)
    if not view:
        return None
    value, label = str(d.rng.choice(view.label.values)[0]), d.speaker.label(view.label, view.who)
    kind = d.rng.choice(("first", "first", "last", "letter", "part"))
    words = value.split()
    if kind in ("first", "last") and view.who.person and len(words) > 1:
        word = words[0] if kind == "first" else words[-1]
        pattern, said = (f"{word} %" if kind == "first" else f"% {word}"), literal(word)
        post = (
            f"with [the] {kind} name {said}",
            f"whose {kind} name is {said}",
            f"{'called' if kind == 'first' else 'with the surname'} {said}",
        )
        verb = (f"have {said} as their {kind} name", f"have the {kind} name {said}", f"(are called|are named) {said}")
    elif kind == "part" and len(words) > 1:
        pattern, said = f"%{words[-1]}%", literal(words[-1])
        post, verb = (
            (f"with {said} in their {label}", f'whose {label} contains "{said}"'),
            (f"have {said} in their {label}",),
        )
    else:
        pattern, said = f"{value[0]}%", literal(value[0])
        post = (f"whose {label} (starts|begins) with [the letter] {said}",)
        verb = (f"have a {label} (starting|beginning) with {said}",)
    subject = Subject(d.speaker, view, [Condition((), (Test(view.label, "like", pattern),), post=post, verb=verb)])
    if d.chance(0.5):
        return finished(
            "named_like", subject.source.select("COUNT(*)"), frames("count"), subject_slots(subject), ["like"]
        )
    return finished(
        "named_like", subject.source.select(subject.label()), list_frames(d, view), subject_slots(subject), ["like"]
    )


FAMILIES = {listing: 15, full_name: 1, any_period: 2, extreme: 12, top: 7, named_like: 2}
