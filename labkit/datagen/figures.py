"""Families of intents with two figures beside each other for each group: how many and how heavy on average, the lowest
and the highest, points and rebounds; and how many each won and lost, on whichever of two sides.
"""

from labkit.datagen.drawing import Drawer, founded, is_plain
from labkit.datagen.frames import frames
from labkit.datagen.grouping import Grouped, grouped
from labkit.datagen.intents import Intent, finished, subject_slots
from labkit.datagen.lexicon import bare, is_rank
from labkit.datagen.numbers import can_average, can_sum
from labkit.datagen.phrases import one_of, plural
from labkit.datagen.sides import all_sides
from labkit.datagen.world import Field, quoted
from labkit.schema import sql_name


def two_figures(d: Drawer) -> Intent | None:
    """A count and an average or a total, two averages or totals, or the two ends of a number, for each group."""
    g = grouped(d)
    scoped = {ref.split(".")[0] for ref in d.speaker.glossary.implied}  # facts of some rows are asked of their owners
    if not g or not g.subject.view.one_each or (g.subject.view.own and g.subject.view.root.table in scoped):
        return None
    taken = {g.field.ref} | {f.ref for c in g.subject.conditions for f in c.fields}
    found = [
        f for f in d.facts(g.subject.view, ("number",)) if can_average(f) and f.ref not in taken and not is_rank(f)
    ]
    found = [f for f in found if {*f.missing} <= {None}]  # what leaves a row out for one figure would for the other
    f = d.pick(found)
    if f is None:
        return None
    others = [o for o in found if o is not f and can_sum(o) == can_sum(f)]
    counts = not f.missing and founded(g.subject.view, g.subject.conditions)
    ways = [_with_count] * 3 * counts + [_both] * 3 * bool(others) + [_ends] * (not f.format.stored_as_text)
    return d.rng.choice(ways)(d, g, f, d.pick(others)) if ways else None


def _finished(d: Drawer, g: Grouped, values: list[str], said: str, asked: tuple[str, ...] = ()) -> Intent:
    """`said`: both figures as a noun phrase; `asked`: more questions."""
    query = g.subject.source.select(g.column, *values, group=[g.column])
    probe = g.subject.source.select(g.column, distinct=True, limit=2)
    asked = frames("two figures", said=said, word=g.word) + asked
    tags = ["group", "two figures", *g.subject.tags]
    return finished("two_figures", query, asked, subject_slots(g.subject), tags, probe, ranked=False)


def _with_count(d: Drawer, g: Grouped, f: Field, _other: Field | None) -> Intent:
    total, noun = can_sum(f) and d.chance(0.5), d.speaker.noun(f)
    value, how = f"{'SUM' if total else 'AVG'}({g.subject.read(f)})", _how(total, f)
    noun = d.speaker.things(f) if total and d.speaker.words(f).counts else noun
    if d.chance(0.3):
        said = f"{how} {noun} and [the] number of {{np}}{{when}}"
        return _finished(d, g, [value, "COUNT(*)"], said)
    asked = frames("count and figure", word=g.word, noun=noun, how=how)
    asked = asked if g.field.kind == "label" else tuple(a for a in asked if " have{when}" not in a)
    said = f"number of {{np}}{{when}} and (their|the) {how} {noun}"
    return _finished(d, g, ["COUNT(*)", value], said, asked)


def _how(total: bool, *fields: Field) -> str:
    """'total', which is no total of a total."""
    if total:
        return "combined" if any("total" in f.words for f in fields) else "(total|combined)"
    return "(average|average|mean)"


def _ends(d: Drawer, g: Grouped, f: Field, _other: Field | None) -> Intent:
    low, high = (f"{way}({g.subject.read(f)})" for way in ("MIN", "MAX"))
    said = f"(lowest and [the] highest|smallest and [the] largest|lowest and [the] highest) {d.speaker.noun(f)}"
    return _finished(d, g, [low, high], said + _of(g))


def _both(d: Drawer, g: Grouped, f: Field, other: Field) -> Intent:
    total, words = can_sum(f) and d.chance(0.6), d.speaker.words
    values = [f"{'SUM' if total else 'AVG'}({g.subject.read(x)})" for x in (f, other)]
    a, b = (d.speaker.things(x) if words(x).counts else d.speaker.noun(x) for x in (f, other))
    how, asked = _how(total, f, other), ()
    has = g.field.kind == "label" or g.field.names
    if total and has and words(f).counts and words(other).counts and is_plain(g.subject):
        did = sorted({*map(bare, words(f).verbs)} & {*map(bare, words(other).verbs)}) or ["have"]
        asked = frames("two things", a=a, b=b, did=one_of(did), word=g.word)
    return _finished(d, g, values, f"{how} {a} and (|{how} ){b}{_of(g)}", asked)


def _of(g: Grouped) -> str:
    return "{when}" if is_plain(g.subject) else " of [the] {np}{when}"


# --- won and lost -----------------------------------------------------------------------------------------------------


def record(d: Drawer) -> Intent | None:
    """How many each, or one of them, won and lost, whichever side it was on."""
    sides = all_sides(d, numbers=True)
    if not sides:
        return None
    s, subject = sides[0], d.subject(sides[0].view, (1,))
    t, g = s.entity.alias, s.view.root.alias
    links = [(p[0], a.column(g), b.column(g)) for p, a, b in ((s.one, s.own, s.against), (s.other, s.against, s.own))]
    met = [(f"{t}.{sql_name(k.other_column)}", f"{g}.{sql_name(k.column)}", a, b) for k, a, b in links]
    won, lost = (
        "SUM(" + " OR ".join(f"({key} = {link} AND {a} {sign} {b})" for key, link, a, b in met) + ")" for sign in "><"
    )
    where = [f"{g}.{sql_name(c.tests[0].field.name)} = {quoted(c.tests[0].value)}" for c in subject.conditions]
    label, one, order = s.entity.label.column(t), d.chance(0.3), ""
    slots, name = subject_slots(subject), ""
    if one:
        value = d.rng.choice(s.entity.label.values)[0]
        where.append(f"{label} = {quoted(value)}")
        name = d.speaker.name(s.entity, value)
    elif d.chance(0.3):
        order = f" ORDER BY {won} DESC"
    shown = f"{won}, {lost}" if one else f"{label}, {won}, {lost}"
    query = f"SELECT {shown} FROM {sql_name(s.entity.table)} AS {t} JOIN {sql_name(s.view.root.table)} AS {g} ON "
    query += f"{met[0][0]} IN ({met[0][1]}, {met[1][1]})" + (f" WHERE {' AND '.join(where)}" if where else "")
    query += "" if one else f" GROUP BY {label}{order}"
    fills = {"word": s.entity.noun, "words": plural(s.entity.noun), "games": s.games, "x": name}
    asked = frames(
        "record of one" if one else "records", **fills, ordered="(, most wins first|, best first)" if order else ""
    )
    return finished("record", query, asked, slots, ["role", "or", "group", "two figures"][: 4 - one])


FAMILIES = {two_figures: 2, record: 0.5}
