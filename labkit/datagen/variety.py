"""A family of intents about how many different things there are in each group: the playlists with songs from more than
three genres, how many cities each country has customers from, the team with players from the most colleges.

The things are rows of one table, or stand at the end of one of its links (`bonds`). How various the things of one named
holder are is drawn by `ties`, with the holders of several kinds.
"""

from dataclasses import dataclass

from labkit.datagen.bonds import bonds
from labkit.datagen.bounds import many_things
from labkit.datagen.build import Source, text
from labkit.datagen.drawing import PLACES, Drawer, NothingToAsk
from labkit.datagen.frames import frames, shown_beside
from labkit.datagen.grouping import above, group_word
from labkit.datagen.intents import Intent, finished
from labkit.datagen.phrases import one_of, plural
from labkit.datagen.subjects import View
from labkit.datagen.vocabulary import MAKERS, SORTS
from labkit.datagen.world import Entity, Field, Path_
from labkit.execution import execute
from labkit.schema import sql_name

_LISTED = 60  # names that a list may have


@dataclass(frozen=True)
class Various:
    """Rows of `root` in groups by `holder`, of which the different `kind`s count; both at the end of a path.

    `things`: what the rows are called; `deal`: (present, past) of what the holders did to get them, if they traded.
    """

    root: Entity
    holder: Field
    by: Path_
    kind: Field
    of: Path_
    things: str
    deal: tuple[str, str] = ()


def variety(d: Drawer) -> Intent | None:
    """The groups with more than so many kinds, the number of kinds in each, or the group with the most."""
    v = _drawn(d)
    source = Source(d.world, v.root)
    at = source.at(v.of[:-1] if v.kind.kind == "label" else v.of)
    key = f"{at}.{sql_name(v.of[-1].column)}" if v.kind.kind == "label" else v.kind.column(at)
    shown, number = v.holder.column(source.at(v.by)), f"COUNT(DISTINCT {key})"
    group = [shown] if v.holder.unique or not v.by else [f"{source.at(v.by)}.{sql_name(v.by[-1].other_column)}", shown]
    if v.kind.kind != "label":
        source.where(*v.kind.known(at))
    source.where(*v.holder.known(source.at(v.by), null_matters=True))
    rows = execute(d.world.database, text(source.select(number, group=group))).rows
    counts = sorted(row[0] for row in rows)
    if len(counts) < 2 or counts[-1] < 2 or counts[0] == counts[-1]:
        return None  # all have the same number of kinds: one, where the kind is the holder's own
    asked = d.rng.choices((_beyond, _each, _most), (5, 4, 3))[0]
    return asked(d, v, source, number, group, counts)


def _beyond(d: Drawer, v: Various, source: Source, number: str, group: list[str], counts: list[int]) -> Intent | None:
    op = d.rng.choice((">", ">", ">="))
    n = counts[int(len(counts) * d.rng.choice((0.3, 0.5, 0.7, 0.9)))]
    n = n + 1 if op == ">=" and n == 1 else n
    beyond = sum(c > n or (op == ">=" and c == n) for c in counts)
    if not 0 < beyond <= min(_LISTED, len(counts) - 1):
        return None
    beside, told = d.figure(0.3)
    query = source.select(*[group[-1], number][: 1 + beside], group=group, having=f"{number} {op} {n}")
    fills = _words(d, v)
    fills["tail"] = _tail(fills, beside and told)
    fills["many"] = one_of(many_things(op, str(n), f"(different|) {fills['kinds']}" if n > 1 else fills["kinds"]))
    return finished(
        "variety", query, frames("variety beyond", **fills), lambda rng: {}, ["group", "having", "distinct"]
    )


def _each(d: Drawer, v: Various, source: Source, number: str, group: list[str], counts: list[int]) -> Intent:
    order, ordered = ([f"{number} DESC"], "(, most first|, highest first)") if d.chance(0.4) else ([], "")
    query = source.select(group[-1], number, group=group, order=order)
    asked = frames("variety each", **_words(d, v), ordered=ordered)
    return finished("variety", query, asked, lambda rng: {}, ["group", "distinct", "count"])


def _most(d: Drawer, v: Various, source: Source, number: str, group: list[str], counts: list[int]) -> Intent | None:
    if counts[-1] == counts[-2]:
        return None
    beside, told = d.figure(0.4)
    query = source.select(*[group[-1], number][: 1 + beside], group=group, order=[f"{number} DESC"], limit=1)
    fills = _words(d, v)
    asked = frames("variety most", **fills, tail=_tail(fills, beside and told))
    return finished("variety", query, asked, lambda rng: {}, ["group", "distinct", "superlative"])


# --- of what there may be so many kinds -------------------------------------------------------------------------------


def _drawn(d: Drawer) -> Various:
    """One of all that are various. `NothingToAsk` when nothing is."""
    found = [*_bound(d), *(v for e in d.world.entities.values() if e.label for v in _of_rows(d, e))]
    if not found:
        raise NothingToAsk
    weights = [d.favoured(v.kind) * d.favoured(v.holder) * (2 if v.root.label is None else 1) for v in found]
    return d.rng.choices(found, weights)[0]


def _bound(d: Drawer) -> list[Various]:
    """The kinds of things that lie in holders, or were bought by them."""
    found = []
    for b in bonds(d):
        for path in b.beyond if not b.inside else ():
            things = plural(d.speaker.nouns(b.thing)[0])
            kind = d.world.end(b.root.table, path).label
            found.append(Various(b.root, b.who.label, b.holder, kind, path, things, b.deal))
    return found


def _of_rows(d: Drawer, root: Entity) -> list[Various]:
    """The kinds of the rows themselves, by what they belong to or by another of their columns."""
    view, things = View(root, root), plural(d.speaker.nouns(root)[0])
    ways = [p for p in above(d, view) if not any(link.role for link in p)]
    named = [(d.world.end(root.table, p).label, p) for p in ways]
    told = [(f, ()) for f in root.fields if _is_kind(f)]
    holders = [(f, p) for f, p in named if f.unique] + told
    holders = [(f, p) for f, p in holders if len(f.values) >= 2 and root.rows >= 2 * len(f.values)]
    pairs = [(h, k) for h in holders for k in [*named, *told] if not _within(h, k) and not _within(k, h)]
    return [Various(root, f, by, g, of, things) for (f, by), (g, of) in pairs if len(g.values) > 2]


def _within(one: tuple[Field, Path_], other: tuple[Field, Path_]) -> bool:
    """Whether one way leads on where the other ends: the albums of an artist are counted as albums, not by songs."""
    (f, path), (g, way) = one, other
    return f.ref == g.ref or bool(path and way and path[: len(way)] == way)


def _is_kind(f: Field) -> bool:
    """Columns that say what sort a row is of, or where it is from."""
    place = f.words.split()[-1] in PLACES and any(n > 1 for _, n in f.values)
    return (f.kind == "category" or (f.kind == "text" and place)) and not f.names


# --- words ------------------------------------------------------------------------------------------------------------


def _words(d: Drawer, v: Various) -> dict[str, str]:
    """What holders, kinds and things are called, and what ties them: '{have} songs {from} three genres'."""
    word, kind = group_word(d, v.holder, v.by), group_word(d, v.kind, v.of)
    had = v.holder.kind != "label" or d.world.entities[v.holder.table].person
    have, has = ("have", "has") if had else ("(have|contain|have)", "(has|contains|has)")
    who = "who" if v.holder.kind == "label" and d.world.entities[v.holder.table].person else "that"
    usual = {"have": have, "has": has, "got": "of", "do": "have", "does": "does"}
    if v.deal:
        do, did = v.deal
        usual = {"have": did, "has": did, "got": f"{did} by", "do": do, "does": "did"}
    fills = {"word": word, "words": plural(word), "kind": kind, "kinds": plural(kind), "things": v.things}
    return {**fills, "who": who, "from": _lies(d, v.kind), **usual}


def _lies(d: Drawer, kind: Field) -> str:
    """What things are 'from' a place or a team, 'of' an owner or a sort, 'by' a maker."""
    entity = d.world.entities[kind.table]
    words = {*(entity.noun if kind.kind == "label" else kind.words).split()}
    if words & MAKERS:
        return "(by|from)"
    if kind.kind == "label":
        return "(from|in|of)" if words & SORTS else "of" if entity.person else "from"
    return "from" if words & (PLACES | {"college"}) else "of"


def _tail(fills: dict[str, str], told: bool) -> str:
    return shown_beside(f"{fills['word']} and number of {fills['kinds']}") if told else ""


FAMILIES = {variety: 1.8}
