"""Families of intents that take a query within the query: against the average, with and without related rows, so many
related rows."""

import random
import re

from labkit.datagen import saying, times
from labkit.datagen.bounds import many_things
from labkit.datagen.build import Source, subquery
from labkit.datagen.conditions import Condition
from labkit.datagen.drawing import Drawer, nameless
from labkit.datagen.extremes import AMOUNTS
from labkit.datagen.frames import frames
from labkit.datagen.intents import Intent, Slots, finished, subject_slots
from labkit.datagen.lexicon import is_rank
from labkit.datagen.lists import list_frames
from labkit.datagen.numbers import can_average
from labkit.datagen.phrases import counted, plural
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Field, Link
from labkit.schema import sql_name


def above_average(d: Drawer) -> Intent | None:
    """Rows above or below the average of all such rows."""
    view = d.view(lambda v: v.one_each and any(map(can_average, d.facts(v))))
    f = d.pick([f for f in d.facts(view) if can_average(f) and not is_rank(f)])
    if f is None:
        return None
    subject = d.subject(view, (7, 3), without=[f])
    inner = Subject(d.speaker, view, [c for c in subject.conditions if c.time])
    for s in (inner, subject):
        s.source.where(*f.known(s.source.at()))
    op = d.rng.choice("><")
    subject.source.where(f"{subject.read(f)} {op} {subquery(inner.source.select(f'AVG({inner.read(f)})'))}")
    words = _against_average(d, view, f, op)
    shown = Subject(d.speaker, view, [*subject.conditions, words])
    if d.chance(0.45):
        return finished(
            "above_average",
            subject.source.select("COUNT(*)"),
            frames("count"),
            subject_slots(shown),
            ["nested", "count"],
        )
    query = subject.source.select(subject.label())
    return finished("above_average", query, list_frames(d, view), subject_slots(shown), ["nested"])


def _against_average(d: Drawer, view: View, f: Field, op: str) -> Condition:
    """The words alone: 'are taller than average'."""
    words, noun = d.speaker.words(f), d.speaker.words(f).nouns[0]
    average = f"(the average|average|the average of all {plural(d.speaker.nouns(view.who)[0])}|the overall average)"
    adjectives = words.high if op == ">" else words.low
    if words.counts:
        more, things = "more" if op == ">" else "fewer", d.speaker.things(f)
        return Condition(
            (),
            (),
            post=(f"with {more} {things} than {average}",),
            verb=tuple(f"{v} {more} {things} than {average}" for v in words.verbs),
        )
    side, article = ("above", "an") if op == ">" else ("below", "a")
    verb = [f"have {article} {side}-average {noun}", f"have a {noun} {side} {average}"]
    verb += [f"are {c} than {average}" for _, c, _ in adjectives]
    verb += [f"{v} {'more' if op == '>' else 'less'} than {average}" for v in words.verbs if v in AMOUNTS]
    return Condition((), (), post=(f"with a {noun} {side} {average}",), verb=tuple(verb))


# --- related rows -----------------------------------------------------------------------------------------------------


def _child(d: Drawer) -> tuple[View, Link] | None:
    """A kind of thing with a name, and a link of a table whose rows belong to it."""
    found = [
        (v, link)
        for v in d.views
        if v.own and v.who.label
        for link in d.world.links
        if link.other == v.root.table != link.table
    ]
    return d.rng.choice(found) if found else None


def related(d: Drawer) -> Intent | None:
    """Those with, or without, related rows that meet conditions."""
    found = _child(d)
    if not found:
        return None
    view, link = found
    child = d.world.entities[link.table]
    inner_view = next((v for v in d.views if v.root is child and v.own), View(child, child))
    own = _of_child(d, inner_view)
    own = [c for c in map(nameless, own) if c] if link.role else own
    dated = any("date" in c.tags for c in own)
    when = (
        [times.period(d.speaker, inner_view.period, d.rng)] if inner_view.period and not dated and d.chance(0.7) else []
    )
    without = d.chance(0.55)
    if not own and (link.role or not (without or when)):
        return None  # every team has away games
    inner = Subject(d.speaker, inner_view, [*own, *when])
    subject = d.subject(view, (6, 4))
    column = f"{inner.source.at()}.{sql_name(link.column)}"
    if without and _nullable(child.field(link.column)):
        inner.source.where(f"{column} IS NOT NULL")
    chosen = subquery(inner.source.select(column))
    subject.source.where(
        f"{subject.source.at()}.{sql_name(link.other_column)} {'NOT IN' if without else 'IN'} {chosen}"
    )
    slots = _having_slots(d, view, subject, inner, link, without)
    tags = ["not_exists" if without else "exists", "join"]
    if d.chance(0.5):
        return finished("related", subject.source.select("COUNT(*)"), frames("count"), slots, [*tags, "count"])
    return finished("related", subject.source.select(subject.label()), list_frames(d, view), slots, tags)


def _of_child(d: Drawer, view: View) -> list[Condition]:
    """What is said of the related rows; where the glossary takes facts from the active ones only, that they are."""
    if not (view.root.label or view.root.key) or d.chance(0.3):
        return []
    condition = d.own(view)
    scopes = [t for ref, t in d.speaker.glossary.implied.items() if ref.split(".")[0] == view.root.table]
    if condition is None or not scopes or scopes[0].field in condition.fields:
        return [condition] if condition else []
    return [condition, saying.is_value(d.speaker, scopes[0].field, scopes[0].value)]


def _nullable(f: Field | None) -> bool:
    return f is not None and None in f.missing


def _having_slots(d: Drawer, view: View, subject: Subject, inner: Subject, link: Link, without: bool) -> Slots:
    """The related rows as something that one has or has not, worded anew each time."""

    def fill(rng: random.Random) -> dict[str, str]:
        one = rng.random() < 0.5 and inner.view.label is not None
        phrase = inner.phrase(rng, many=not one)
        theirs = f"{link.role} {phrase.text}".strip() + (f" {phrase.when}" if phrase.when else "")
        if without:
            some = f"(a single|a) {theirs}" if one else f"any {theirs}"
            none = f"no {theirs}" if one else f"no {theirs}"
            words = Condition(
                (), (), post=(f"without {some}", f"with {none}"), verb=(f"have {none}", f"(do not|don't) have {some}")
            )
        else:
            some = f"(a|at least one) {theirs}" if one else f"(any|) {theirs}"
            words = Condition((), (), post=(f"with {some}",), verb=(f"have {some}",))
        return subject_slots(Subject(d.speaker, view, [*subject.conditions, words]))(rng)

    return fill


def how_many_each(d: Drawer) -> Intent | None:
    """Those with so many related rows, or the number of those."""
    found = _child(d)
    if not found or found[1].role:
        return None
    view, link = found
    child = d.world.entities[link.table]
    names = plural(d.speaker.nouns(child)[0])
    if (period := next((f for f in child.fields if f.kind == "period"), None)) and d.chance(0.6):
        return _in_all_periods(d, view, link, period)
    n, op = d.rng.choice((1, 2, 2, 3, 3, 4, 5)), d.rng.choice(("=", "=", ">", ">=", "<"))
    inner = Source(d.world, child)
    key = f"{inner.at()}.{sql_name(link.column)}"
    if _nullable(child.field(link.column)):
        inner.where(f"{key} IS NOT NULL")
    chosen = inner.select(key, group=[key], having=f"COUNT(*) {op} {n}")
    many = many_things(op, str(n), names)
    if op == "<":  # who has none has no row to be counted by
        many = [f"(at least one but|one or more but) fewer than {counted(str(n))} {names}"]
    words = Condition((), (), post=tuple(f"with {m}" for m in many), verb=tuple(f"have {m} [on file]" for m in many))
    slots = subject_slots(Subject(d.speaker, view, [words]))
    if d.chance(0.5):
        query = f"SELECT COUNT(*) FROM {subquery(chosen)}"
        return finished("how_many_each", query, frames("count"), slots, ("nested", "group", "count"))
    source = Source(d.world, view.root)
    source.where(f"{source.at()}.{sql_name(link.other_column)} IN {subquery(chosen)}")
    query = source.select(view.label.column(source.at()))
    return finished("how_many_each", query, list_frames(d, view), slots, ("nested", "group"))


def _in_all_periods(d: Drawer, view: View, link: Link, period: Field) -> Intent:
    """How many have rows in all periods, or in so many of them."""
    child, word = d.world.entities[link.table], period.words.split()[-1]
    k = len(period.values)
    n = d.rng.choice((1, 2, k, k, k))
    key, words = sql_name(link.column), plural(word)
    number = counted(str(n))
    said = (
        f"(all {number} {words}|each of the {number} {words}|every {word})"
        if n == k
        else f"(exactly|only|just) {number} {words if n > 1 else word}"
    )
    query = f"SELECT COUNT(*) FROM (SELECT {key} FROM {sql_name(child.table)} GROUP BY {key} HAVING COUNT(*) = {n})"
    things = (
        f"({plural(child.noun)}|(statistics|stats|numbers))"
        if re.search(r"\bstats?$", child.noun)
        else plural(child.noun)
    )
    fills = {"whos": plural(d.speaker.nouns(view.who)[0]), "things": things, "said": said}
    return finished("how_many_each", query, frames("in all periods", **fills), lambda rng: {}, ("nested", "group"))


FAMILIES = {above_average: 2, related: 6, how_many_each: 2}
