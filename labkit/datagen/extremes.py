"""Families of intents about the extreme row: the one with the most or the least, all that share it, the top few, the
second.
"""

import re
from collections.abc import Sequence

from labkit.datagen.build import subquery
from labkit.datagen.drawing import Drawer, is_plain
from labkit.datagen.frames import alone, frames, shown_beside
from labkit.datagen.intents import Intent, finished, subject_slots
from labkit.datagen.lexicon import doers, is_rank
from labkit.datagen.lists import beside, fact_noun
from labkit.datagen.phrases import listed, plural, third
from labkit.datagen.rivals import ahead
from labkit.datagen.speaker import Speaker
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Field, Path_
from labkit.schema import sql_name

# --- the extreme row --------------------------------------------------------------------------------------------------


def extreme(d: Drawer) -> Intent | None:
    """The row with the most or the least of something; the value beside it, now and then; ties all, where asked."""
    view = d.view(lambda v: v.one_each and bool(ranked_facts(d, v)))
    f = d.pick(ranked_facts(d, view))
    if f is None:
        return None
    subject = d.subject(view, (5, 6, 1), without=[f])
    high, (shown, told) = d.chance(0.7), _value_beside(d, subject, f)
    if d.chance(0.12) and (found := _extreme_parent(d, subject)):
        return found
    if f.kind == "number" and d.chance(0.1):
        return _value_of_best(d, subject, f, high)
    if d.chance(0.15) or (view.own and is_plain(subject) and not subject.conditions):
        return _with_ties(d, subject, f, high, shown)
    subject.source.where(*f.known(subject.source.at(), null_matters=not high))
    way = [subject.read(f) + (" DESC" if high else "")]
    query = subject.source.select(subject.label(), *(subject.column(g, p) for g, p in shown), order=way, limit=1)
    probe = subject.source.select(subject.read(f), order=way, limit=2)
    asked = extreme_frames(d, subject, superlatives(d.speaker, f, high, view.who.person), f, shown, told)
    if not (shown and told):
        label = alone(view.who.noun, d.speaker.label(view.label, view.who))
        asked += ahead(d.speaker, f, high, view.who.person, "" if shown else label)
    return finished("extreme", query, asked, subject_slots(subject), ["superlative", *subject.tags], probe)


def _value_of_best(d: Drawer, subject: Subject, f: Field, high: bool) -> Intent:
    """How tall the tallest is: the value as it is stored."""
    subject.source.where(*f.known(subject.source.at(), null_matters=not high))
    way = [subject.read(f) + (" DESC" if high else "")]
    query = subject.source.select(subject.column(f), order=way, limit=1)
    words, sup = d.speaker.words(f), superlatives(d.speaker, f, high, subject.view.who.person)
    adjectives = [positive for positive, *_ in words.high if positive in MEASURED]
    asked: list[str] = []
    for np in sup["np"]:
        fills = {"best": np.replace("{n}", "{np1}"), "noun": words.nouns[0], "adj": (*adjectives, "")[0]}
        found = frames("value of best", **fills) if " with the " not in np else ()
        asked += [a for a in found if adjectives or "How  is" not in a]
    word = "(highest|largest|biggest)" if high else "(lowest|smallest)"
    more = frames("highest", word=word, noun=d.speaker.noun(f), unit="") if not is_rank(f) else ()
    probe = subject.source.select(subject.column(f), limit=2)
    return finished(
        "extreme_value", query, (*asked, *more), subject_slots(subject), ["superlative", *subject.tags], probe, False
    )


MEASURED = frozenset(["tall", "heavy", "long", "old", "large", "expensive", "big", "fast"])


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
    shown = [(entity.label, path)] if d.chance(0.4) else []
    query = source.select(subject.label(), *(g.column(source.at(p)) for g, p in shown))
    sup = superlatives(d.speaker, f, high, person=False)
    nps = [f"{{n}} with the {np.replace('{n}', entity.noun)}" for np in sup["np"] if np.endswith(" {n}")]
    nps += [f"{{n}} whose {entity.noun} {vp}" for vp in sup["vp"]]
    asked = extreme_frames(d, subject, {"np": nps, "vp": []}, f, shown)
    asked += _plural_frames(d, subject, nps, shown)
    return finished("extreme_parent", query, asked, subject_slots(subject), ["superlative", "join", "ties"])


def _where(f: Field) -> str:
    known = [k.replace("x.", "") for k in f.known("x")]
    return f" WHERE {' AND '.join(known)}" if known else ""


def ranked_facts(d: Drawer, view: View) -> list[Field]:
    """Facts that have a most and a least worth asking for."""
    found = [f for f in d.facts(view, ("number", "year", "date")) if len(set(f.numbers)) > 3]
    return [f for f in found if not re.search(r"\b(jersey|code|number|room)\b", f.words)]


def _value_beside(d: Drawer, subject: Subject, f: Field) -> tuple[list[tuple[Field, Path_]], bool]:
    """What is shown beside the name, and whether the question says so."""
    shown, told = d.figure(0.45)
    if shown:
        return [(f, ())], told
    return beside(d, subject)[:1] if d.chance(0.15) else [], True


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


def superlatives(speaker: Speaker, f: Field, high: bool, person: bool = True) -> dict[str, list[str]]:
    """'np': '{n} with the highest salary', 'tallest {n}'; 'vp', in the singular: 'has the highest salary'."""
    words, noun, things = speaker.words(f), speaker.noun(f), speaker.things(f)
    if is_rank(f):
        return _by_rank(words, noun, high)
    bests = [best for *_, best in (words.high if high else words.low)]
    bests += list(words.best if high else words.worst) if person else []
    has = "(has|had)" if any(g.kind == "period" for g in speaker.world.entities[f.table].fields) else "has"
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
        nps, vps = [*nps, f"{{n}} with the {word} {noun}"], [*vps, f"{has} the {word} {noun}"]
        vps += [f"{third(v)} the {'most' if high else 'least'}" for v in words.verbs if v in AMOUNTS]
    tops = list(speaker.glossary.tops.get(f.ref, [])) if high else []
    tops += [f"(top|best|leading) {who}" for who in doers(f.words)] if high and person else []
    return {"np": [*nps, *tops], "vp": [*vps, *(f"(was|is) the {t}" for t in tops)]}


def _by_rank(words, noun: str, high: bool) -> dict[str, list[str]]:
    """The smallest rank is the best one."""
    word = "(worst|latest)" if high else "(best|earliest)"
    nps, vps = [f"{{n}} with the {word} {noun}"], [f"had the {word} {noun}"]
    if words.ranked:
        last = f"{words.ranked} {'(last|latest|last of all)' if high else '(first|earliest|first of all)'}"
        nps, vps = [f"{{n}} {last}", f"{{n}} {last}"], [f"was {last}"]
    return {"np": nps, "vp": vps}


AMOUNTS = ("earn", "make", "weigh", "cost", "hold")  # verbs of which one can do 'the most' without a thing


def extreme_frames(
    d: Drawer,
    subject: Subject,
    sup: dict[str, list[str]],
    f: Field,
    shown: Sequence[tuple[Field, Path_]],
    told: bool = True,
) -> tuple[str, ...]:
    """Whole questions for the extreme row, with what is to be shown beside its name, where they are `told`."""
    person, label = subject.view.who.person, d.speaker.label(subject.view.label, subject.view.who)
    cols = listed([label, *(fact_noun(d, g, p) for g, p in shown)])
    tail = "" if not told else shown_beside(cols) if shown else alone(subject.view.who.noun, label)
    value = told and bool(shown) and shown[0][0] is f
    fills = {"tail": tail, "cols": cols, "noun": d.speaker.words(f).nouns[0]}
    fills["howmuch"] = (
        "(how many|with how many)" if d.speaker.words(f).counts else f"what is (the|that) {fills['noun']}"
    )
    asked: list[str] = []
    for np in sup["np"]:
        best = _among(np, subject).replace("{n}", "{np1}")
        asked += _who(frames("extreme np" + " with value" * value, best=best, **fills), person)
    for vp in sup["vp"]:
        asked += _who(frames("extreme vp" + " with value" * value, does=vp, **fills), person) * 2
        asked += frames("extreme who", does=vp, **fills) if person and is_plain(subject) else ()
    return tuple(asked)


def _among(best: str, subject: Subject) -> str:
    """'top scorer' of whom, where the subject is narrowed down."""
    return best if "{n}" in best or is_plain(subject) else f"{best} (among|of) [the] {{np}}"


def _who(templates: Sequence[str], person: bool) -> list[str]:
    """'Who' for persons, 'which' for the rest."""
    texts = []
    for template in templates:
        for both, who, which in _WHO:
            template = template.replace(both, who if person else which)
        texts.append(template)
    return [t for t in texts if person or not t.startswith("Who ")]


_WHO = (  # as written, for persons, for the rest
    ("(Who|What|Which)", "Who", "(What|Which)"),
    ("(What|Which) are the", "Who are the", "(What|Which) are the"),
    ("(What|Who)", "Who", "What"),
    ("(Who|Which)", "Who", "Which"),
    ("(Who's|What's)", "Who's", "(What's|Which is)"),
    ("(who|which)", "who", "which"),
    ("(which one|who)", "(who|which one)", "which one"),
)


# --- the top few ------------------------------------------------------------------------------------------------------

_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 10: "ten"}


def top(d: Drawer) -> Intent | None:
    """The top few, in order; or the second, the third."""
    view = d.view(lambda v: v.one_each and v.root.rows > 8 and bool(ranked_facts(d, v)))
    f = d.pick(ranked_facts(d, view))
    if f is None:
        return None
    subject = d.subject(view, (6, 3), without=[f])
    high = d.chance(0.75)
    beside_it, told = d.figure(0.5)
    shown = [(f, ())] if beside_it else []
    subject.source.where(*f.known(subject.source.at(), null_matters=not high))
    columns = [subject.label(), *(subject.column(g) for g, _ in shown)]
    way = [subject.read(f) + (" DESC" if high else "")]
    if d.chance(0.3):
        return _nth(d, subject, f, high, columns, way, shown, told)
    n = d.rng.choice((2, 3, 3, 3, 4, 5, 5, 5, 6, 7, 8, 10, 10))
    query = subject.source.select(*columns, order=way, limit=n)
    probe = subject.source.select(subject.read(f), order=way, limit=2, offset=n - 1)
    asked = _top_frames(d, subject, f, high, n, bool(shown), told)
    return finished("top", query, asked, subject_slots(subject), ["top", *subject.tags], probe)


def _top_frames(d: Drawer, subject: Subject, f: Field, high: bool, n: int, beside: bool, told: bool) -> tuple[str, ...]:
    label, noun = d.speaker.label(subject.view.label, subject.view.who), d.speaker.words(f).nouns[0]
    cols = f"{label} and {noun}"
    name_only = alone(subject.view.who.noun, plural(label), many=True) if not beside else ""
    tail = shown_beside(cols) if beside and told else name_only
    fills = {"k": f"({_NUMBERS[n]}|{n})", "tail": tail, "noun": d.speaker.noun(f)}
    sup = superlatives(d.speaker, f, high, subject.view.who.person)
    asked: list[str] = []
    for np in sup["np"]:
        best = np.replace("{n}", "{np}") if "{n}" in np else _among(plural(np), subject)
        asked += _who(frames("top", best=best, **fills), subject.view.who.person)
    leaders = [
        f"Top {{k}} {plural(t)}{{when}}[, please].{{tail}}" for t in doers(f.words) if high and is_plain(subject)
    ]
    asked += [t.replace("{k}", fills["k"]).replace("{tail}", tail) for t in leaders * 4]
    asked += _who(frames("top by", **fills), subject.view.who.person) if high and not is_rank(f) else []
    return tuple(asked)


def _nth(d: Drawer, subject: Subject, f: Field, high: bool, columns, way, shown, told: bool) -> Intent | None:
    if is_rank(f):
        return None
    n = d.rng.choice((2, 2, 3))
    query = subject.source.select(*columns, order=way, limit=1, offset=n - 1)
    probe = subject.source.select(subject.read(f), order=way, limit=3, offset=n - 2)
    nth = {2: "(second|2nd|second)", 3: "(third|3rd|third)"}[n]
    sup = superlatives(d.speaker, f, high, subject.view.who.person)
    nps = [f"{nth} {t}" for t in sup["np"] if t.endswith(" {n}")]
    nps += [t.replace("with the (", f"with the {nth} (") for t in sup["np"] if "with the (" in t]
    vps = [t.replace(" the ", f" the {nth} ", 1) for t in sup["vp"] if " the " in t and "(was|is)" not in t]
    asked = extreme_frames(d, subject, {"np": nps, "vp": vps}, f, shown, told or not shown)
    return finished("nth", query, asked, subject_slots(subject), ["top", "offset"], probe) if nps else None


def full_name(d: Drawer) -> Intent | None:
    """The name that the glossary puts together from two columns, as one text."""
    view = d.view(lambda v: v.own and v.root.table in d.speaker.glossary.full_names)
    subject = d.subject(view, (3, 5, 1))
    first, second = (view.root.field(name) for name in d.speaker.glossary.full_names[view.root.table])
    whole = f"{subject.column(first)} || ' ' || {subject.column(second)}"
    if is_plain(subject) or d.chance(0.4):
        return _extreme_full(d, subject, whole, first, second)
    query = subject.source.select(whole)
    both = f"{first.words} and {second.words}"
    said = f"full names ({both} in one text|that is {both}|as one text)"
    asked = frames("list", labels=said.replace("(", ", (", 1))
    return finished("full_name", query, [a for a in asked if "full name" in a], subject_slots(subject), ["text"])


def _extreme_full(d: Drawer, subject: Subject, whole: str, first: Field, second: Field) -> Intent | None:
    f, high = d.pick(ranked_facts(d, subject.view)), d.chance(0.7)
    inner = Subject(d.speaker, subject.view, subject.conditions)
    subject.source.where(
        f"{subject.read(f)} = {subquery(inner.source.select(('MAX' if high else 'MIN') + f'({inner.read(f)})'))}"
    )
    both = f"{first.words} and {second.words}"
    said = f"(full name|full name, {both} in one text,|{both} as one text)"
    nps = [np for np in superlatives(d.speaker, f, high)["np"] if "{n}" in np]
    asked = [a for np in nps for a in frames("full name", best=np.replace("{n}", "{np1}"), said=said)]
    return finished("full_name", subject.source.select(whole), asked, subject_slots(subject), ["text", "superlative"])


FAMILIES = {extreme: 16, top: 6, full_name: 1}
