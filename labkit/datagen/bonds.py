"""How two kinds of things are bound by rows between them: songs and playlists by a table of links, customers and songs
by the lines of their bills. What such a bond is called: 'playlists with songs by ...', 'customers who bought ...'.

A bond has a `root` table with links both ways: by `holder` to those that have the things (customers, playlists), by
`item` to the things; from there `beyond` leads further up (to their album, its artist). The families that draw queries
from it are in `ties`.
"""

from dataclasses import dataclass
from functools import cached_property

from labkit.datagen.conditions import Condition
from labkit.datagen.drawing import Drawer
from labkit.datagen.phrases import literal, plural
from labkit.datagen.vocabulary import BUYERS, DEALS, MAKERS, SORTS
from labkit.datagen.world import Entity, Field, Path_, World

_ORDERED = ("position", "sort order", "sequence", "ordinal", "place")  # a number that says which comes first


@dataclass(frozen=True)
class Bond:
    """`deal`: (present, past) of what the holders did to get the things, if rows are a trade; else they have some."""

    world: World
    root: Entity
    holder: Path_
    item: Path_
    deal: tuple[str, str] = ()

    @property
    def who(self) -> Entity:
        return self.world.end(self.root.table, self.holder)

    @property
    def thing(self) -> Entity:
        return self.world.end(self.root.table, self.item)

    @cached_property
    def beyond(self) -> list[Path_]:
        """Ways from the root to what the things belong to, itself with names."""
        ways = self.world.paths(self.thing.table, 2)[1:]
        ways = [(*self.item, *way) for way in ways if not any(link.role for link in way)]
        own = {self.root.table, *(link.other for link in self.holder)}
        return [p for p in ways if self.world.end(self.root.table, p).label and not own & {k.other for k in p}]

    @cached_property
    def amount(self) -> Field | None:
        """How many things a row of a trade is about, where that is a column."""
        return next((f for f in self.root.fields if f.words in ("quantity", "qty", "units", "pieces")), None)

    def number(self, at: str) -> str:
        """SQL that counts the things over the rows."""
        return f"SUM({self.amount.read(at)})" if self.amount else "COUNT(*)"

    @property
    def inside(self) -> bool:
        """Whether the holders rather lie in the things: songs in a playlist, films in a category. A table of links is
        most often called by the whole first."""
        if self.deal:
            return False
        noun, first = self.root.noun, self.root.noun.startswith(self.thing.noun)
        fewer = not noun.startswith(self.who.noun) and self.thing.rows < self.who.rows
        return bool({*self.thing.noun.split()} & SORTS) or first or fewer

    def had(self, things: str) -> Condition:
        """The holders that have, or bought, or lie in, `things`, in words alone."""
        who = "who" if self.who.person else "that"
        if self.deal:
            did = f"{self.deal[1]} {things}"
            return Condition((), (), post=(f"{who} {did}",), verb=(did, f"have {did}"))
        if self.inside:
            return Condition((), (), post=(f"(in|of|in) {things}",), verb=(f"are in {things}", f"belong to {things}"))
        have = "have" if self.who.person else "(have|contain|include|have)"
        return Condition((), (), post=(f"with {things}",), verb=(f"{have} {things}",))


def bonds(d: Drawer) -> list[Bond]:
    """All bonds of a database, each way round where the rows are no trade."""
    found = []
    for root in d.world.entities.values():
        near = [p for p in d.world.paths(root.table, 1)[1:] if not p[0].role]
        ways = [(p, q) for p in near for q in near if p[0] != q[0] and p[0].other != q[0].other]
        for p, q in ways if not root.label else ():
            deal = deal_of(root) or deal_of(d.world.end(root.table, p)) or deal_of(d.world.end(root.table, q))
            if deal and (bought := _buyer(d.world, root, p)):
                found.append(Bond(d.world, root, bought, q, deal))
            elif not deal and is_links(d.world, root):
                found.append(Bond(d.world, root, p, q))
    return [b for b in found if b.thing.label and b.who.label]


def is_links(world: World, root: Entity) -> bool:
    """Whether the table's rows are links and little more: two links, and at most one more column, that measures
    nothing: who rates a film does not have it."""
    links = [link for link in world.links if link.table == root.table]
    more = [f for f in root.fields if f.kind not in ("link", "id")]
    return len(links) == 2 and len(more) <= 1 and all(f.kind != "number" or f.words in _ORDERED for f in more)


def deal_of(entity: Entity) -> tuple[str, str] | None:
    """What one does by a row of the table, if it is a trade."""
    return next((DEALS[word] for word in entity.noun.split() if word in DEALS), None)


def _buyer(world: World, root: Entity, path: Path_) -> Path_ | None:
    """The way to who buys, by this link: at its end, or one further from a bill."""
    if is_buyer(world.end(root.table, path)):
        return path
    further = [p for p in world.paths(root.table, 2) if len(p) == 2 and p[:1] == path and not p[1].role]
    return next((p for p in further if is_buyer(world.end(root.table, p))), None)


def is_buyer(entity: Entity) -> bool:
    """Whether those who buy are such: customers, not the staff that serves them."""
    return bool({*entity.noun.split()} & BUYERS)


# --- words ------------------------------------------------------------------------------------------------------------


def things_of(d: Drawer, b: Bond, path: Path_, value: object, many: bool = True) -> str:
    """A template for the things that belong to the row called `value` at the end of `path`: 'songs by Ann', one of
    them: 'a song by Ann'; where `path` is the things' own, that thing: 'the song Rain'."""
    one, entity, name = d.speaker.nouns(b.thing)[0], d.world.end(b.root.table, path), literal(str(value))
    if path == b.item:
        return f"(the {one}|the {one}) {name}"
    things, noun, words = plural(one) if many else f"a {one}", entity.noun, {*entity.noun.split()}
    if words & MAKERS or entity.person:
        return f"{things} (by|by|of) {name}" if words & MAKERS else f"{things} of {name}"
    if words & SORTS:
        before, lies = (f"{name} {things}" if many else f"a {name} {one}"), "of" if " " in noun else "in"
        return f"({things} of the {noun} {name}|{before}|{things} {lies} the {noun} {name})"
    return f"({things} (from|of) the {noun} {name}|{things} from {name})"
