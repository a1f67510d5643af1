"""Families of intents over a bond of two kinds of things (`bonds`): who has, or bought, things of a named one, and how
many do; how many things of each kind one has; who has the most of them, or of many kinds, or of one but never another.
"""

from collections.abc import Callable
from dataclasses import replace

from labkit.datagen.bonds import Bond, bonds, things_of
from labkit.datagen.bounds import many_things
from labkit.datagen.build import Source, text
from labkit.datagen.conditions import Condition
from labkit.datagen.drawing import Drawer, NothingToAsk
from labkit.datagen.frames import frames, shown_beside
from labkit.datagen.intents import Intent, finished, subject_slots
from labkit.datagen.lists import list_frames
from labkit.datagen.phrases import counted, literal, plural
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Entity, Path_, quoted
from labkit.execution import execute
from labkit.schema import sql_name

_LISTED = 60  # names that a list may have


def _bond(d: Drawer, test: Callable[[Bond], bool] = lambda b: True) -> Bond:
    found = [b for b in bonds(d) if test(b)]
    if not found:
        raise NothingToAsk
    return d.rng.choices(found, [2 if b.deal else 1 for b in found])[0]


def _whose(d: Drawer, b: Bond) -> tuple[Path_, object]:
    """A way to what the things belong to, or to themselves, and a name there that no other row has."""
    path = d.rng.choice([b.item, *b.beyond * 2])
    return path, _name(d, d.world.end(b.root.table, path))


def _name(d: Drawer, entity: Entity) -> object:
    unique = [v for v, n in entity.label.values if n == 1]
    if not unique:
        raise NothingToAsk
    return d.rng.choice(unique)


def _key(source: Source, path: Path_) -> str:
    """The link that leads to the end of a path."""
    return f"{source.at(path[:-1])}.{sql_name(path[-1].column)}"


def _named(source: Source, entity: Entity, path: Path_, value: object) -> str:
    return f"{entity.label.column(source.at(path))} = {quoted(value)}"


def _asked(d: Drawer, b: Bond, source: Source, had: Condition, tags: list[str], count: float = 0.45) -> Intent | None:
    """The holders whose rows are in `source`, each once, or their number; now and then only some of them."""
    view = View(b.who, b.who)
    some = d.own(view) if d.chance(0.15) else None
    if some:
        source.where(replace(some, path=(*b.holder, *some.path)))
    shown = Subject(d.speaker, view, [c for c in (some, had) if c])
    if d.chance(count):
        asked = frames("count") + tuple(f.replace("How many ", "How many different ") for f in frames("count")[:3])
        query = source.select(f"COUNT(DISTINCT {_key(source, b.holder)})")
        return finished("tied", query, asked, subject_slots(shown), ["join", "distinct", "count", *tags])
    if not b.who.label.unique:
        return None
    query = source.select(b.who.label.column(source.at(b.holder)), distinct=True)
    return finished("tied", query, list_frames(d, view), subject_slots(shown), ["join", "distinct", *tags])


def tied(d: Drawer) -> Intent | None:
    """Who has, or bought, things of a named one."""
    b = _bond(d)
    path, value = _whose(d, b)
    source = Source(d.world, b.root)
    source.where(_named(source, d.world.end(b.root.table, path), path, value))
    things = things_of(d, b, path, value)
    one = things_of(d, b, path, value, many=False)
    some = f"({things}|{one}|at least one {one[2:]})" if path != b.item and "(a " not in one else things
    return _asked(d, b, source, b.had(some), [])


def tied_never(d: Drawer) -> Intent | None:
    """Who has things of one named row and none of another."""
    b = _bond(d, lambda b: bool(b.beyond) and not b.inside and b.who.label.unique)
    path = d.rng.choice(b.beyond)
    entity = d.world.end(b.root.table, path)
    one, other = _name(d, entity), _name(d, entity)
    if one == other:
        return None
    sources = [Source(d.world, b.root) for _ in range(2)]
    for source, value in zip(sources, (one, other), strict=True):
        source.where(_named(source, entity, path, value))
    first, second = (s.select(b.who.label.column(s.at(b.holder)), distinct=True) for s in sources)
    had, not_had = (things_of(d, b, path, value) for value in (one, other))
    but = f"but (never|no|never any) {not_had}" if b.deal else f"but (no|not any) {not_had}"
    view, said = View(b.who, b.who), b.had(f"{had} {but}")
    asked = list_frames(d, view)
    query = text(first.except_(second, distinct=True))
    slots = subject_slots(Subject(d.speaker, view, [said]))
    return finished("tied_never", query, asked, slots, ["join", "set", "except"])


def tied_variety(d: Drawer) -> Intent | None:
    """Who has things of more than so many kinds; or of how many kinds one has them."""
    b = _bond(d, lambda b: bool(b.beyond) and not b.inside and b.who.label.unique)
    path = d.rng.choice(b.beyond)
    entity, source = d.world.end(b.root.table, path), Source(d.world, b.root)
    number, label = f"COUNT(DISTINCT {_key(source, path)})", b.who.label.column(source.at(b.holder))
    kinds, things = plural(d.speaker.nouns(entity)[0]), plural(d.speaker.nouns(b.thing)[0])
    by = "by" if "by" in things_of(d, b, path, "") else "from" if "from" in things_of(d, b, path, "") else "(of|from)"
    if d.chance(0.35):
        value = _name(d, b.who)
        source.where(_named(source, b.who, b.holder, value))
        fills = _holding(b, literal(str(value))) | {"kinds": kinds, "things": things, "by": by}
        query = source.select(number)
        return finished("tied_variety", query, frames("how various", **fills), lambda rng: {}, ["join", "distinct"])
    found = execute(d.world.database, text(source.select(number, group=[label]))).rows
    counts = sorted(row[0] for row in found)
    op = d.rng.choice((">", ">", ">="))
    n = counts[int(len(counts) * d.rng.choice((0.3, 0.5, 0.7, 0.9)))] if counts else 0
    beyond = sum(c > n or (op == ">=" and c == n) for c in counts)
    if n < 2 or not 0 < beyond <= min(_LISTED, len(counts) - 1):
        return None
    beside = d.chance(0.3)
    many = many_things(op, str(n), f"(different|) {kinds}")
    had = [b.had(f"{things} {by} {m}") for m in many]
    said = Condition((), (), post=tuple(p for c in had for p in c.post), verb=tuple(v for c in had for v in c.verb))
    view, facts = View(b.who, b.who), f"number of {kinds}"
    asked = list_frames(d, view)
    if beside:
        asked = frames("list with facts", cols=f"({b.who.noun}|{b.who.noun}|name) and {facts}", facts=facts, ordered="")
    query = source.select(*[label, number][: 1 + beside], group=[label], having=f"{number} {op} {n}")
    tags = ["join", "distinct", "group", "having"]
    return finished("tied_variety", query, asked, subject_slots(Subject(d.speaker, view, [said])), tags)


def _holding(b: Bond, name: str) -> dict[str, str]:
    """{does} and {are}: 'did Ann buy', 'bought by Ann'; 'are in the playlist Quiet', 'in the playlist Quiet'."""
    if b.deal:
        return {"does": f"did {name} {b.deal[0]}", "are": f"{b.deal[1]} by {name}"}
    whom = name if b.who.person else f"(the {b.who.noun} {name}|the {name} {b.who.noun})"
    if b.who.person:
        return {"does": f"does {whom} have", "are": f"of {whom}"}
    return {"does": f"(are in|are there in|are part of) {whom}", "are": f"in {whom}"}


def per_kind(d: Drawer) -> Intent | None:
    """How many things of each kind a named holder has."""
    b = _bond(d, lambda b: not b.inside and any(d.world.end(b.root.table, p).label.unique for p in b.beyond))
    path = d.rng.choice([p for p in b.beyond if d.world.end(b.root.table, p).label.unique])
    entity, value, source = d.world.end(b.root.table, path), _name(d, b.who), Source(d.world, b.root)
    label = entity.label.column(source.at(path))
    source.where(_named(source, b.who, b.holder, value))
    number = b.number(source.at())
    order, ordered = ([f"{number} DESC"], "(, most first|, highest first)") if d.chance(0.3) else ([], "")
    query = source.select(label, number, group=[label], order=order)
    fills = _holding(b, literal(str(value))) | {"things": plural(d.speaker.nouns(b.thing)[0]), "ordered": ordered}
    kind = d.speaker.nouns(entity)[0]
    fills |= {"kind": kind, "by": "by" if " by " in things_of(d, b, path, "") else "of", "kinds": plural(kind)}
    probe = source.select(label, distinct=True, limit=2)
    asked = frames("per kind", **fills)
    return finished("per_kind", query, asked, lambda rng: {}, ["join", "group", "count"], probe, ranked=False)


def most_things(d: Drawer) -> Intent | None:
    """Who has the most things, of a named one or of any; how many each of them has."""
    b = _bond(d, lambda b: not b.inside and b.who.label.unique)
    source, things = Source(d.world, b.root), plural(d.speaker.nouns(b.thing)[0])
    if b.beyond and d.chance(0.75):
        path = d.rng.choice(b.beyond)
        value = _name(d, d.world.end(b.root.table, path))
        source.where(_named(source, d.world.end(b.root.table, path), path, value))
        things = things_of(d, b, path, value)
    label, number = b.who.label.column(source.at(b.holder)), b.number(source.at())
    k, all_ = d.rng.choice((1, 1, 2, 3, 5, 5, 10)), d.chance(0.3)
    beside, told = (True, True) if all_ else d.figure(0.4)
    order = [] if all_ and d.chance(0.5) else [f"{number} DESC"]
    query = source.select(*[label, number][: 1 + beside], group=[label], order=order, limit=0 if all_ else k)
    probe = source.select(number, group=[label], order=[f"{number} DESC"], limit=2, offset=0 if all_ else k - 1)
    who, whos = d.speaker.nouns(b.who)[0], plural(d.speaker.nouns(b.who)[0])
    fills = {"things": things, "who": who, "whos": whos, "k": f"({k}|{counted(str(k))})"}
    fills["tail"] = shown_beside(f"{who} and number") if beside and told else ""
    fills["ordered"] = "(, most first|, from most to fewest|, highest first)" if order else ""
    fills |= dict(zip(("do", "did"), b.deal or ("have", "(have|contain)"), strict=True))
    fills["has"] = b.deal[1] if b.deal else "has"
    section = ("things each" if all_ else "most things" if k == 1 else "top things") + (" by deal" if b.deal else "")
    tags = ["join", "group", "count"] if all_ else ["join", "group", "superlative"]
    return finished("most_things", query, frames(section, **fills), lambda rng: {}, tags, probe, ranked=not all_)


def sold(d: Drawer) -> Intent | None:
    """How many things of each kind a trade was about; the kind with the most."""
    b = _bond(d, lambda b: bool(b.deal))
    ways = [p for p in [b.item, *b.beyond * 2] if d.world.end(b.root.table, p).label.unique]
    if not ways:
        raise NothingToAsk
    path, source = d.rng.choice(ways), Source(d.world, b.root)
    entity, number, all_ = d.world.end(b.root.table, path), b.number(source.at()), d.chance(0.5)
    label, k = entity.label.column(source.at(path)), d.rng.choice((1, 1, 1, 3, 5, 10))
    beside, told = (True, True) if all_ else d.figure(0.4)
    order = [] if all_ and d.chance(0.6) else [f"{number} DESC"]
    query = source.select(*[label, number][: 1 + beside], group=[label], order=order, limit=0 if all_ else k)
    probe = source.select(number, group=[label], order=[f"{number} DESC"], limit=2, offset=0 if all_ else k - 1)
    kind, things = d.speaker.nouns(entity)[0], plural(d.speaker.nouns(b.thing)[0])
    fills = {"kind": kind, "kinds": plural(kind), "things": things, "k": f"({k}|{counted(str(k))})"}
    fills["tail"] = shown_beside(f"{kind} and number") if beside and told else ""
    fills["ordered"] = "(, most first|, from most to fewest|, highest first)" if order else ""
    fills["sold"] = {"rent": "rented [out]", "book": "booked"}.get(b.deal[0], "sold")
    if path == b.item:
        fills["things"] = "copies" if fills["sold"] == "sold" else "times"
    section = "sold of each" if all_ else "most sold" if k == 1 else "top sold"
    section += " itself" if path == b.item else ""
    tags = ["join", "group", "count"] if all_ else ["join", "group", "superlative"]
    return finished("sold", query, frames(section, **fills), lambda rng: {}, tags, probe, ranked=not all_)


FAMILIES = {tied: 4, tied_never: 0.6, tied_variety: 1, per_kind: 1.2, most_things: 2, sold: 1.2}
