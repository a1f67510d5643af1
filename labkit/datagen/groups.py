"""Families of intents that group: a number for each group, the group with the most, groups beyond a bound, the best
row of each group.
"""

import re
from collections.abc import Sequence

from labkit.datagen.bounds import many_things
from labkit.datagen.build import subquery
from labkit.datagen.conditions import Condition
from labkit.datagen.drawing import Drawer, founded, is_plain
from labkit.datagen.extremes import superlatives
from labkit.datagen.frames import alone, frames, shown_beside
from labkit.datagen.intents import Intent, finished, subject_slots
from labkit.datagen.lexicon import bare, is_rank
from labkit.datagen.numbers import can_average, can_sum, plain_unit
from labkit.datagen.phrases import counted, one_of, plural, singular
from labkit.datagen.subjects import Subject, View
from labkit.datagen.times import date_parts
from labkit.datagen.vocabulary import SPENT, TAKINGS, TRADES
from labkit.datagen.world import Field, Path_

Measured = tuple[str, str, list[str]]  # SQL, noun phrase template of the number, tags


OFTEN = {"month": "monthly", "quarter": "quarterly", "year": "yearly"}  # numbers that each of them has


class Grouped:
    """A subject and the column that its rows are grouped by, joined and known."""

    def __init__(self, d: Drawer, view: View, field: Field, path: Path_, plain: bool = False):
        odds = (1,) if plain else (6, 4, 1)
        self.subject = d.subject(view, odds, without=[field], period=field.kind != "period")
        self.field, self.path, source = field, path, self.subject.source
        self.column = field.column(source.at(path))
        source.where(*field.known(source.at(path), null_matters=True))
        self.word = group_word(d, field, path)
        payer = d.world.entities[field.table].person and path
        self.paid = bool(payer) and all({*d.world.entities[link.table].noun.split()} & TRADES for link in path)


def _grouped(d: Drawer) -> Grouped | None:
    """Rows of a view by a category of theirs, of their owner's, or by what they belong to."""
    view = d.view(lambda v: v.root.rows > 8 and (v.one_each or v.own))
    columns = _columns(d, view)
    if not columns:
        return None
    field, path = d.rng.choices(columns, [d.favoured(f) for f, _ in columns])[0]
    return Grouped(d, view, field, path)


def _columns(d: Drawer, view: View) -> list[tuple[Field, Path_]]:
    fixed = {t.field.ref for t in view.implied}
    found = [(f, ()) for f in view.root.fields if f.kind in ("category", "period") and f.ref not in fixed]
    found += [(f, ()) for f in view.root.fields if f.kind == "year" and len(f.values) <= 40]
    found += [(part, ()) for f in view.root.fields if f.kind == "date" for part in date_parts(d.speaker, f)]
    found += [
        (f, ()) for f in view.root.fields if f.kind == "text" and any(n > 1 for _, n in f.values) and len(f.values) < 60
    ]
    numbers = [f for f in view.root.fields if f.kind == "number" and not can_average(f)]
    found += [(f, ()) for f in numbers if len(f.values) > 3 or None not in f.missing]
    for path in above(d, view):
        if path != view.path and d.world.end(view.root.table, path).label.unique:
            found += [(d.world.end(view.root.table, path).label, path)] * (3 if len(path) < 3 else 1)
    for path in d.ways(view)[1:]:
        if len(path) == 1 or not any(link.role for link in path):
            fields = d.world.end(view.root.table, path).fields
            found += [(f, path) for f in fields if f.kind == "category" and not f.names]
    return found


def above(d: Drawer, view: View) -> list[Path_]:
    """Ways to what the rows belong to and has names: of rows without a name, such as the lines of a bill, up to three
    links away, but not by way of a person: whose team's arena it is, is no fact of a contract."""
    found = []
    for path in d.ways(view, 2 if view.root.label else 3)[1:]:
        passed = [d.world.entities[link.other] for link in path[:-1]]
        plain = len(path) == 1 or not any(link.role for link in path)
        if plain and d.world.end(view.root.table, path).label and (len(path) < 3 or not any(e.person for e in passed)):
            found.append(path)
    return found


def group_word(d: Drawer, f: Field, path: Path_ = ()) -> str:
    """What one group is called: 'position', 'team', 'home team'."""
    if f.kind == "label":
        noun = d.speaker.nouns(d.world.entities[f.table])[0]
        if not (path and path[-1].role):
            return noun
        called = d.speaker.glossary.roles.get((path[-1].table, path[-1].column), [])
        return d.rng.choice([f"{path[-1].role} {noun}", *(singular(c) for c in called if re.fullmatch("[a-z]+", c))])
    word = f.words if f.kind == "period" else d.speaker.words(f).nouns[0]
    side = f" of the {path[-1].role} {d.world.entities[f.table].noun}" if path and path[-1].role else ""
    return word + side


def measured(d: Drawer, g: Grouped, counting: bool = True, kinds: Sequence[str] = ()) -> Measured:
    """A count or an aggregate of the group's rows."""
    numbers = [f for f in d.facts(g.subject.view, ("number",)) if can_average(f) and f is not g.field]
    scoped = {ref.split(".")[0] for ref in d.speaker.glossary.implied}
    if g.subject.view.own and g.subject.view.root.table in scoped:
        numbers = []  # facts that the glossary takes from some rows only are asked of owners
    counting = counting and founded(g.subject.view, g.subject.conditions)
    takings = [m for m in d.speaker.measures(g.subject.view.root) if m.nouns[0] == TAKINGS[0]]
    if takings and "SUM" in (kinds or ("SUM",)) and d.chance(0.4):
        at, m = g.subject.source.at(), d.rng.choice(takings)
        g.subject.source.where(*[k for f in m.fields for k in f.known(at)])
        names = [*TAKINGS, *(SPENT if g.paid else ())]
        of = "" if is_plain(g.subject) else " of [the] {np}"
        return f"SUM({m.sql.replace('{a}', at)})", f"({'|'.join(names)}){of}{{when}}", ["sum", "computed"]
    if not numbers or (counting and d.chance(0.45)):
        return "COUNT(*)", "number of {np}{when}", ["count"]
    f = d.pick([f for f in numbers if can_sum(f) or kinds != ("SUM",)] or numbers)
    free = ("AVG", "AVG", "SUM", "SUM", "MAX") if can_sum(f) else ("AVG",) if is_rank(f) else ("AVG", "AVG", "MAX")
    kind = d.rng.choice((kinds if can_sum(f) else ("AVG",)) if kinds else free)
    g.subject.source.where(*f.known(g.subject.source.at()))
    words = d.speaker.words(f)
    noun = d.speaker.things(f) if words.counts and kind != "AVG" else d.speaker.noun(f)
    said = [
        f"{w} {noun}"
        for w in {
            "AVG": ("average", "average", "mean"),
            "SUM": ("total", "total", "combined"),
            "MAX": ("highest", "top"),
        }[kind]
    ]
    said = [s for s in said if s != "total total"] or said
    said += d.speaker.sums(f) * 2 if kind == "SUM" else []
    said += SPENT if kind == "SUM" and d.speaker.sums(f) and g.paid else []
    of = "" if is_plain(g.subject) else " of [the] {np}"
    unit = plain_unit(f) if f.format.stored_as_text and (kind == "MAX" or f.format.unit == "ft") else ""
    return f"{kind}({g.subject.read(f)})", f"({'|'.join(said)}){of}{{when}}{unit}", [kind.lower()]


def group(d: Drawer) -> Intent | None:
    """A number for each group."""
    g = _grouped(d)
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
    f = next((f for f in d.facts(g.subject.view) if value == f"SUM({g.subject.read(f)})"), None)
    if f and d.speaker.words(f).counts and d.speaker.words(f).verbs and is_plain(g.subject):
        asked += _sums(d, f, g, tail) * 2
    probe = g.subject.source.select(g.column, distinct=True, limit=2)
    return finished(
        "group", query, asked, subject_slots(g.subject), ["group", *tags, *g.subject.tags], probe, ranked=False
    )


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
    owned = _owned(d) if d.chance(0.2) else None
    g = owned or _grouped(d)
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


def _owned(d: Drawer) -> Grouped | None:
    """Rows that each owner has one a period of, added up over all periods."""
    found = [
        v for v in d.views if v.path and v.period and v.who.label and v.who.label.unique and d.facts(v, ("number",))
    ]
    if not found:
        return None
    view = d.rng.choice(found)
    g = Grouped(d, View(view.root, view.root), view.who.label, view.path, plain=True)
    g.subject.conditions.append(over_all(view.period))
    return g


def over_all(period: Field) -> Condition:
    """No season or year in particular, in words."""
    words = plural(period.words.split()[-1])
    return Condition((), (), time=(f"(over|across) all {words}", f"(over|in) all {words} together"))


def _extreme_group_frames(word: str, said: str, counting: bool, high: bool, tail: str, also: str) -> tuple[str, ...]:
    if counting:
        most = "(most|most|most|largest number of)" if high else "(fewest|fewest|smallest number of)"
        return frames("group extreme count", word=word, most=most, tail=tail, also=also)
    best = "(highest|biggest|largest)" if high else "(lowest|smallest)"
    asked = frames("group extreme", word=word, best=best, said=said, tail=tail, also=also)
    asked = tuple(a.replace("{first}", "(first|on top|ahead)") for a in asked)
    return asked if high else tuple(a for a in asked if "leads" not in a and "comes out" not in a)


def having(d: Drawer) -> Intent | None:
    """The groups with more, fewer, at least so many rows."""
    g = _grouped(d)
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


def best_of_each(d: Drawer) -> Intent | None:
    """For each group the row with the most: a window function, ties included."""
    view = d.view(lambda v: v.one_each and v.who.label and bool(d.facts(v, ("number",))))
    f = d.pick([f for f in d.facts(view, ("number",)) if can_average(f)])
    columns = (
        [
            (g, p)
            for g, p in _columns(d, view)
            if len(g.values) <= 30 and g.kind in ("category", "label") and not (p and p[-1].role)
            if view.root.rows >= 4 * len(g.values)
        ]
        if f
        else []
    )
    if not columns:
        return None
    g, path = d.rng.choice(columns)
    subject, high = d.subject(view, (1,), own=True), d.chance(0.75)
    source = subject.source
    source.where(*f.known(source.at()), *g.known(source.at(path), null_matters=True))
    shown = [g.column(source.at(path)), subject.label(), subject.column(f)]
    names = [c.split(".", 1)[1] for c in shown]
    if len(set(names)) < 3:
        return None
    way = f"{subject.read(f)}{' DESC' if high else ''}"
    inner = source.select(*shown, f"RANK() OVER (PARTITION BY {shown[0]} ORDER BY {way}) AS place")
    kept = names if d.chance(0.7) else names[:2]
    query = f"SELECT {', '.join(kept)} FROM {subquery(inner)} WHERE place = 1"
    asked = _each_frames(d, subject, f, high, group_word(d, g, path), len(kept) == 3)
    return finished("best_of_each", query, asked, subject_slots(subject), ["window", "group", "superlative"])


def _each_frames(d: Drawer, subject: Subject, f: Field, high: bool, word: str, beside: bool) -> tuple[str, ...]:
    view, noun = subject.view, d.speaker.words(f).nouns[0]
    label = d.speaker.label(view.label, view.who)
    cols = f"{word}, {label} and {noun}" if beside else f"{word} and {label}"
    tail = shown_beside(cols)
    sup = superlatives(d.speaker, f, high, view.who.person)
    asked = [a for vp in sup["vp"] for a in frames("each best vp", does=vp, word=word, tail=tail)]
    asked += [
        a for np in sup["np"] for a in frames("each best np", best=np.replace("{n}", "{np1}"), word=word, tail=tail)
    ]
    person = view.who.person
    return tuple(
        re.sub(r"\(who\|which \{np1\}\)", "(who|which {np1})" if person else "which {np1}", a).replace(
            "(Who|Which)", "Who" if person else "Which"
        )
        for a in asked
    )


FAMILIES = {group: 9, group_extreme: 6, having: 3, best_of_each: 1}
