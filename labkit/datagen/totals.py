"""Families of intents about what one's rows add up to: whose total or average is beyond a bound, who is 11th to 20th by
it; and which rows are in such places.

The totals are looked at where a bound is chosen: a round number that some are beyond, and not all.
"""

from labkit.datagen.build import Source, text
from labkit.datagen.drawing import Drawer, NothingToAsk, is_plain
from labkit.datagen.extremes import ranked_facts
from labkit.datagen.formats import round_bound, say
from labkit.datagen.frames import frames, shown_beside
from labkit.datagen.grouping import Grouped, above, measured, over_all
from labkit.datagen.intents import Intent, finished, subject_slots
from labkit.datagen.lexicon import is_rank
from labkit.datagen.numbers import plain_unit
from labkit.datagen.phrases import in_words, ordinal, plural
from labkit.datagen.subjects import View
from labkit.datagen.units import DURATIONS, SIZES
from labkit.datagen.vocabulary import SPENT, TAKINGS
from labkit.datagen.world import Field, quoted
from labkit.execution import execute

_LISTED = 60  # names that a list may have
_PLACES = {(2, 2): 3, (3, 3): 2, (4, 4): 1, (5, 5): 1, (4, 6): 2, (4, 10): 1, (6, 10): 5, (7, 9): 1}
_PLACES |= {(11, 15): 2, (11, 20): 6, (16, 20): 1, (21, 30): 2}  # first and last -> how often, where no tie is cut


def _owned(d: Drawer) -> Grouped:
    """Rows by the name of what they belong to, several to each. `NothingToAsk` when there are none."""
    found = []
    for view in (View(e, e) for e in d.world.entities.values()):
        for path in above(d, view) if d.facts(view, ("number",)) else ():
            label, near = d.world.end(view.root.table, path).label, len(path) == 1 or not view.root.label
            if (
                near
                and not path[0].role
                and label.unique
                and len(label.values) >= 5
                and view.root.rows >= 2 * len(label.values)
            ):
                found.append((view, label, path))
    if not found:
        raise NothingToAsk
    weights = [(3 if len(path) == 1 else 1) * max(map(d.favoured, v.root.fields)) for v, _, path in found]
    view, label, path = d.rng.choices(found, weights)[0]
    period = next((f for f in view.root.fields if f.kind == "period"), None)
    g = Grouped(d, view, label, path, plain=bool(period) or d.chance(0.7))
    if period:
        g.subject.conditions.append(over_all(period))
    return g


def _amounts(d: Drawer, source: Source, value: str, group: str = "") -> list[float]:
    """All the numbers to rank by, the highest first."""
    rows = execute(d.world.database, text(source.select(value, group=[group] if group else []))).rows
    return sorted((row[0] for row in rows if isinstance(row[0], (int, float))), reverse=True)


def total_bound(d: Drawer) -> Intent | None:
    """Those whose total, or average, is beyond a bound; the total beside, now and then."""
    g = _owned(d)
    value, said, tags = measured(d, g, counting=False, kinds=("SUM", "SUM", "SUM", "AVG"))
    f = _fact(d, g, value)
    if value == "COUNT(*)" or (f and is_rank(f)):
        return None
    said = said.removesuffix(plain_unit(f)) if f else said
    amounts, op = _amounts(d, g.subject.source, value, g.column), d.rng.choice((">", ">", ">", ">=", "<"))
    if len(amounts) < 5:
        return None
    place = d.rng.choice((0.05, 0.1, 0.2, 0.3, 0.5)) if op[0] == ">" else d.rng.choice((0.7, 0.8, 0.9))
    bound = _near(amounts[int(len(amounts) * place)], f.format.unit if f else "")
    beyond = sum(a < bound if op == "<" else a > bound or (op == ">=" and a == bound) for a in amounts)
    if not 0 < beyond <= min(_LISTED, len(amounts) - 1):
        return None
    beside, told = d.figure(0.4)
    columns = [g.column, *([value] if beside else [])]
    query = g.subject.source.select(*columns, group=[g.column], having=f"{value} {op} {quoted(bound)}")
    v = say(bound, f.format) if f else f"{bound:,.10g}"
    tail = shown_beside(f"{g.word} and {_of(value)}") if beside and told else ""
    asked = _bound_frames(d, g, f, op, v, value, said, tail)
    if op == "<" and value.startswith("SUM"):
        asked = tuple(f"{a} (Only those that have any|Leave out those with none at all)." for a in asked)
    tags = ["group", "having", *tags, *g.subject.tags]
    return finished("total_bound", query, asked, subject_slots(g.subject), tags)


def _fact(d: Drawer, g: Grouped, value: str) -> Field | None:
    """The fact that is added up, None for a count or a computed number."""
    return next((f for f in d.facts(g.subject.view, ("number",)) if value[3:] == f"({g.subject.read(f)})"), None)


def _near(amount: float, unit: str) -> float | int:
    """A bound that a person would name; of a duration in minutes, of a size in megabytes."""
    minute = DURATIONS.get(unit, SIZES.get(unit, 1))
    return round_bound(amount / minute) * minute


def _of(value: str) -> str:
    return "total" if value.startswith("SUM") else "average"


def _bound_frames(
    d: Drawer, g: Grouped, f: Field | None, op: str, v: str, value: str, said: str, tail: str
) -> tuple[str, ...]:
    more = {">": "(more than|over|more than)", ">=": "at least", "<": "(less than|under)"}[op]
    above = {">": "(over|above|more than)", ">=": "at least", "<": "(under|below|less than)"}[op]
    fills = {"words": plural(g.word), "tail": tail, "v": v, "above": above, "more": more, "word": g.word}
    total, of = value.startswith("SUM"), "" if is_plain(g.subject) else " from [the] {np}"
    taking = f is None or bool(d.speaker.sums(f)) or TAKINGS[0] in said
    if total and taking and g.paid and is_plain(g.subject):
        return frames("spent beyond", **fills) + frames(
            "total beyond", said=f"({'|'.join(SPENT[:2])}){{when}}", **fills
        )
    if total and taking and d.world.entities[g.field.table].person:  # 'revenue' would be what they make
        what = d.speaker.noun(f) if f else "sales"
        return frames("total beyond", said=f"(total|combined) {what}{of}{{when}}", **fills)
    if total and taking and TAKINGS[0] in said:
        return frames("takings beyond", of=of, **fills)
    if total and d.speaker.words(f).counts:
        fills["more"] = more.replace("less", "fewer")
        return frames("things beyond", things=d.speaker.things(f), of=of, **fills)
    return frames("total beyond", said=said, **fills)


def places(d: Drawer) -> Intent | None:
    """Those in the 11th to 20th place, or the one in the second, by a total of theirs or by a fact."""
    return (_places_by_total if d.chance(0.6) else _places_by_fact)(d)


def _places(d: Drawer, amounts: list[float]) -> tuple[int, int]:
    """First and last of some places that no tie stands across, and not all. `NothingToAsk` where there are none.

    Now and then a tie stands behind the last: what a question may ask for all the same, and of which the filters of a
    generation drop the query.
    """
    loose = d.chance(0.25)
    found = {p: w for p, w in _PLACES.items() if _apart(amounts, p[0] - 1) and (loose or _apart(amounts, p[1]))}
    found = {p: weight for p, weight in found.items() if len(amounts) > p[1]}
    if not found:
        raise NothingToAsk
    return d.rng.choices(list(found), list(found.values()))[0]


def _apart(amounts: list[float], place: int) -> bool:
    """Whether no tie stands behind that place."""
    return place == 0 or len({*amounts[place - 1 : place + 1]}) == 2


def _place_frames(section: str, first: int, last: int, **fills: str) -> tuple[str, ...]:
    """Questions for these places, or for the one, the places in digits or in words."""
    names = ("one place", *(("second place",) if first == 2 else ())) if first == last else ("places",)
    names = tuple(name + section for name in names if not section or name != "second place")
    styles = {ordinal: 1, **({in_words: 1} if last <= 10 else {})}
    places = [{"a": style(first), "b": style(last), "m": str(first), "n": str(last)} for style in styles]
    return tuple(a for name in names for p in places for a in frames(name, **p, **fills))


def _places_by_total(d: Drawer) -> Intent | None:
    g = _owned(d)
    value, said, tags = measured(d, g, kinds=("SUM", "SUM", "AVG"))
    f = _fact(d, g, value)
    if f and is_rank(f):
        return None
    first, last = _places(d, _amounts(d, g.subject.source, value, g.column))
    beside, told = d.figure(0.4)
    columns = [g.column, *([value] if beside else [])]
    query = g.subject.source.select(
        *columns, group=[g.column], order=[f"{value} DESC"], limit=last - first + 1, offset=first - 1
    )
    number = "number" if value.startswith("COUNT") else _of(value)
    tail = shown_beside(f"{g.word} and {number}") if beside and told else ""
    asked = _place_frames("", first, last, word=g.word, words=plural(g.word), by=said, tail=tail)
    tags = ["group", "top", "offset", *tags, *g.subject.tags]
    tie = g.subject.source.select(value, group=[g.column], order=[f"{value} DESC"], limit=2, offset=last - 1)
    return finished("places", query, asked, subject_slots(g.subject), tags, tie)


def _places_by_fact(d: Drawer) -> Intent | None:
    view = d.view(lambda v: v.one_each and v.who.label and v.root.rows > 3 and bool(ranked_facts(d, v)))
    f = d.pick([f for f in ranked_facts(d, view) if f.kind == "number" and not is_rank(f)])
    if f is None:
        return None
    subject = d.subject(view, (7, 3), without=[f])
    subject.source.where(*f.known(subject.source.at(), null_matters=True))
    first, last = _places(d, _amounts(d, subject.source, subject.read(f)))
    beside, told = d.figure(0.4)
    columns = [subject.label(), *([subject.column(f)] if beside else [])]
    order = [f"{subject.read(f)} DESC"]
    query = subject.source.select(*columns, order=order, limit=last - first + 1, offset=first - 1)
    label, noun = d.speaker.label(view.label, view.who), d.speaker.words(f).nouns[0]
    tail = shown_beside(f"{label} and {noun}") if beside and told else ""
    by = d.speaker.things(f) if d.speaker.words(f).counts else d.speaker.noun(f)
    asked = _place_frames("", first, last, word="{np1}", words="{np}", by=f"{by}{{when}}", tail=tail)
    for _, _, best in d.speaker.words(f).high:
        asked += _place_frames(" by adjective", first, last, best=best, tail=tail)
    tie = subject.source.select(subject.read(f), order=order, limit=2, offset=last - 1)
    return finished("places", query, asked, subject_slots(subject), ["top", "offset", *subject.tags], tie)


FAMILIES = {total_bound: 2.5, places: 2.2}
