"""Families of intents that group: a number for each group, the groups with the most, groups beyond a bound."""

from collections.abc import Sequence

from labkit.datagen.bounds import many_things
from labkit.datagen.build import subquery
from labkit.datagen.drawing import Drawer, founded, is_plain
from labkit.datagen.frames import alone, frames
from labkit.datagen.grouping import Grouped, Measured, grouped, measured, owned_groups
from labkit.datagen.intents import Intent, finished, subject_slots
from labkit.datagen.lexicon import bare
from labkit.datagen.phrases import counted, one_of, plural
from labkit.datagen.rivals import group_ahead
from labkit.datagen.vocabulary import TAKINGS
from labkit.datagen.world import Field

OFTEN = {"month": "monthly", "quarter": "quarterly", "year": "(yearly|annual|yearly)"}  # numbers that each of them has


def group(d: Drawer) -> Intent | None:
    """A number for each group."""
    g = grouped(d)
    return each_group(d, g) if g else None


def each_group(d: Drawer, g: Grouped) -> Intent:
    """A number for each of these groups."""
    value, said, tags = measured(d, g)
    order, tail = [], ""
    if d.chance(0.35):
        down = d.chance(0.75)
        order = [f"{value}{' DESC' if down else ''}"]
        tail = "(, highest first|, most first|, from highest to lowest|, in descending order|, from most to fewest"
        tail += "|, biggest first|, largest on top|, top one first)"
        tail = tail if down else "(, lowest first|, from lowest to highest|, in ascending order|, smallest first)"
    query = g.subject.source.select(g.column, value, group=[g.column], order=order)
    fills = {"word": g.word, "plurals": plural(g.word), "tail": tail}
    asked = frames("group count", **fills) if value == "COUNT(*)" else frames("group", said=said, **fills)
    if often := OFTEN.get(g.word):
        asked += frames("group often", often=often, said=said, word=g.word, tail=tail)
        asked += frames("group often count", often=often, tail=tail) if value == "COUNT(*)" else ()
    f = next((f for f in d.facts(g.subject.view) if value == f"SUM({g.subject.read(f)})"), None)
    if often and value.startswith("SUM") and is_plain(g.subject):
        asked += frames("group often total", often=often, sums=_summed(d, f), tail=tail) * 2
    if f and d.speaker.words(f).counts and d.speaker.words(f).verbs and is_plain(g.subject):
        asked += _sums(d, f, g, tail) * 2
    probe = g.subject.source.select(g.column, distinct=True, limit=2)
    return finished(
        "group", query, asked, subject_slots(g.subject), ["group", *tags, *g.subject.tags], probe, ranked=False
    )


def _summed(d: Drawer, f: Field | None) -> str:
    """What is added up, before 'totals'; None are takings."""
    if f is None or d.speaker.sums(f):
        return one_of(TAKINGS[:2])
    words = d.speaker.words(f)
    return words.plurals[0] if words.counts else words.nouns[0]


def _sums(d: Drawer, f: Field, g: Grouped, tail: str) -> tuple[str, ...]:
    """'How many titles did each city win?'"""
    words, things, w = d.speaker.words(f), d.speaker.things(f), g.word
    did = one_of(map(bare, words.verbs))
    asked = [
        f"How many {things} did each {w} {did} (in total|in all|altogether|){{when}}{tail}?",
        f"{w} by {w}, how many {things} did [the] {{np}} {did}{{when}}{tail}? {w.capitalize()} and total.",
        f"How many {things} (per|by) {w}{{when}}{tail}? {w.capitalize()} and number[, please].",
        f"For (each|every) {w}, how many {things} did [the] {{np}} {did} (in total|altogether|){{when}}{tail}?",
    ]
    return tuple(asked)


def group_extreme(d: Drawer) -> Intent | None:
    """The group with the most or the least; all of them in case of a tie, where asked."""
    owned = owned_groups(d) if d.chance(0.2) else None
    g = owned or grouped(d)
    return best_group(d, g, bool(owned)) if g else None


def best_group(d: Drawer, g: Grouped, owned: bool = False) -> Intent:
    """Of these groups the one with the most or the least, or the top few."""
    value, said, tags = measured(d, g, counting=not owned, kinds=("SUM",) if owned else ("AVG", "SUM"))
    high, (beside, told), source = d.chance(0.8), d.figure(0.5), g.subject.source
    order = [f"{value}{' DESC' if high else ''}"]
    columns = [g.column, *([value] if beside else [])]
    if d.chance(0.25):
        return _top_groups(d, g, (value, said, tags), columns, order, high, told)
    tail = _both(g.word, value == "COUNT(*)") if told else "" if beside else alone("", g.word)
    also = ", and (how many|with how many)?" if value == "COUNT(*)" else ", and (what is it|how big is it|how much)?"
    asked = _extreme_group_frames(g.word, said, value == "COUNT(*)", high, tail, also if told else f"?{tail}")
    asked = tuple(a for a in asked if not owned or not a.startswith("In which"))
    asked = asked if high or value != "COUNT(*)" else _of_any(g, asked)
    tags = ["group", "superlative", *tags, *g.subject.tags]
    probe = source.select(value, group=[g.column], order=order, limit=2)
    if d.chance(0.12):
        best = subquery(source.select(value, group=[g.column], order=order, limit=1))
        query = source.select(*columns, group=[g.column], having=f"{value} = {best}")
        asked = tuple(
            f"{a} (If several tie, show them all|Ties: show all of them|All of them in case of a tie)." for a in asked
        )
        return finished("group_extreme", query, asked, subject_slots(g.subject), [*tags, "ties"], probe, ranked=False)
    query = source.select(*columns, group=[g.column], order=order, limit=1)
    if not told and not owned:
        person = d.world.entities[g.field.table].person and g.field.kind == "label"
        ahead = group_ahead(g.word, person, said, value == "COUNT(*)", high, tail)
        asked = (*asked, *(ahead if high or value != "COUNT(*)" else _of_any(g, ahead)))
    return finished("group_extreme", query, asked, subject_slots(g.subject), tags, probe)


def _top_groups(
    d: Drawer, g: Grouped, measured: Measured, columns: list[str], order: list[str], high: bool, told: bool
) -> Intent:
    """The groups with the most or the least, so many of them, the number beside or not."""
    value, said, tags = measured
    k, source = d.rng.choice((2, 3, 3, 5, 5, 5, 10)), g.subject.source
    said = said if value != "COUNT(*)" else "(number of {np}{when}|count of {np}{when})"
    name_only = alone("", plural(g.word), many=True) if len(columns) == 1 else ""
    tail = _both(g.word, value == "COUNT(*)") if told else name_only
    fills = {"words": plural(g.word), "k": f"({k}|{k}|{counted(str(k))})", "said": said, "tail": tail}
    fills |= {
        "best": "(highest|largest|biggest)" if high else "(lowest|smallest)",
        "most": "most" if high else "fewest",
    }
    fills["first"] = "(highest|largest) first" if high else "(lowest|smallest) first"
    asked = (*(frames("top groups", **fills) if high else ()), *frames("best groups", **fills))
    asked += frames("top groups count", **fills) if value == "COUNT(*)" else ()
    asked = asked if high or value != "COUNT(*)" else _of_any(g, asked)
    probe = source.select(value, group=[g.column], order=order, limit=k + 1)
    query = source.select(*columns, group=[g.column], order=order, limit=k)
    return finished(
        "group_extreme", query, asked, subject_slots(g.subject), ["group", "superlative", "top", *tags], probe
    )


def _extreme_group_frames(word: str, said: str, counting: bool, high: bool, tail: str, also: str) -> tuple[str, ...]:
    if counting:
        most = "(most|most|most|largest number of)" if high else "(fewest|fewest|smallest number of)"
        return frames("group extreme count", word=word, most=most, tail=tail, also=also)
    best = "(highest|biggest|largest)" if high else "(lowest|smallest)"
    asked = frames("group extreme", word=word, best=best, said=said, tail=tail, also=also)
    asked = tuple(a.replace("{first}", "(first|on top|ahead)") for a in asked)
    return asked if high else tuple(a for a in asked if "leads" not in a and "comes out" not in a)


def _of_any(g: Grouped, asked: Sequence[str]) -> tuple[str, ...]:
    """The fewest, or fewer than so many: that groups with none are left out, where there may be such."""
    if not (g.path or g.subject.conditions or g.subject.view.implied):
        return tuple(asked)
    return tuple(
        f"{frame} (Only those that have any|Leave out those with none|Those with none do not count)." for frame in asked
    )


def _both(word: str, counting: bool) -> str:
    """A sentence behind the question: the group and its number; an average is no count."""
    cap = word.capitalize()
    ways = f"Show {word} and number|{cap} and number, please|I need both the {word} and the number|{cap} and number"
    ways += f"|{cap} and figure|I want {word} and number"
    return f" ({ways}|Give {word} and count|{cap} and how many)." if counting else f" ({ways})."


def having(d: Drawer) -> Intent | None:
    """The groups with more, fewer, at least so many rows."""
    g = grouped(d)
    if not g or not founded(g.subject.view, g.subject.conditions):
        return None
    average = max(1, g.subject.view.root.rows // max(1, len(g.field.values)))
    op = d.rng.choice((">", ">", "<", ">=", "<="))
    n = max(1 if op == ">" else 2, int(average * d.rng.choice((0.3, 0.5, 0.7, 0.9, 1, 1.1, 1.3))))
    beside, told = d.figure(0.5)
    query = g.subject.source.select(
        g.column, *(["COUNT(*)"] if beside else []), group=[g.column], having=f"COUNT(*) {op} {n}"
    )
    many = one_of(many_things(op, str(n), "{np}"))
    w = g.word
    tail = _both(w, counting=True) if told else "" if beside else alone("", plural(w), many=True)
    asked = frames("having", words=plural(w), word=w, many=many, tail=tail)
    asked = _of_any(g, asked) if op[0] == "<" else asked
    return finished("having", query, asked, subject_slots(g.subject), ["group", "having", *g.subject.tags])


FAMILIES = {group: 9, group_extreme: 6, having: 3}
