"""Families of intents about rows that nothing refers to, directly or through another table: songs never sold, artists
without songs, customers without a bill. (Those without related rows that meet conditions are in `nested`.)
"""

from labkit.datagen.bonds import deal_of, is_buyer, is_links
from labkit.datagen.build import Source, subquery
from labkit.datagen.conditions import Condition
from labkit.datagen.drawing import Drawer, NothingToAsk
from labkit.datagen.frames import frames
from labkit.datagen.intents import Intent, finished, subject_slots
from labkit.datagen.lists import list_frames
from labkit.datagen.phrases import plural
from labkit.datagen.subjects import Subject, View
from labkit.datagen.vocabulary import BOUGHT
from labkit.datagen.world import Entity, Path_
from labkit.schema import sql_name


def _lines(d: Drawer) -> list[tuple[View, Path_]]:
    """Kinds of things with a name, and ways down to what refers to them: up a table's links, one or two of them."""
    found = []
    for view in (v for v in d.views if v.own and v.who.label):
        for entity in d.world.entities.values():
            for path in d.world.paths(entity.table, 2)[1:]:
                plain = not any(link.role for link in path) and not d.world.entities[path[-1].table].person
                if path[-1].other == view.root.table != entity.table and (plain or len(path) == 1 and not path[0].role):
                    found.append((view, path))
    return found


def _none(d: Drawer, path: Path_, at: str) -> str:
    """SQL that nothing at the start of `path` refers to the row."""
    source = Source(d.world, d.world.entities[path[0].table])
    key = f"{source.at(path[:-1])}.{sql_name(path[-1].column)}"
    holding = d.world.entities[path[-1].table].field(path[-1].column)
    if holding is None or None in holding.missing:
        source.where(f"{key} IS NOT NULL")
    return f"{at}.{sql_name(path[-1].other_column)} NOT IN {subquery(source.select(key))}"


def childless(d: Drawer) -> Intent | None:
    """Those that nothing of a kind refers to, or their number."""
    found = _lines(d)
    if not found:
        raise NothingToAsk
    view, path = d.rng.choices(found, [3 / len(path) for _, path in found])[0]
    below = d.world.entities[path[0].table]
    subject = d.subject(view, (4, 1))
    subject.source.where(_none(d, path, subject.source.at()))
    shown = Subject(d.speaker, view, [*subject.conditions, _without(d, view.who, below, path)])
    if d.chance(0.5):
        query, asked = subject.source.select("COUNT(*)"), frames("count")
    else:
        query, asked = subject.source.select(subject.label()), list_frames(d, view)
    tags = ["not_exists", "join", *subject.tags]
    return finished("childless", query, asked, subject_slots(shown), tags)


def _without(d: Drawer, who: Entity, below: Entity, path: Path_) -> Condition:
    """What such a row has not, in words alone: 'that were never bought', 'without songs'."""
    deal, relative = deal_of(below) or deal_of(d.world.entities[path[-1].table]), "who" if who.person else "that"
    if deal and not who.person and len(path) == 1 and not deal_of(who):
        past = f"{deal[1]}" if deal[1] != BOUGHT else "(bought|sold|purchased)"
        verb = (f"were never {past}", f"have never been {past}", f"have not been {past} (even once|by anyone|at all)")
        post = (f"{relative} (were never|have never been) {past}", f"{relative} nobody [has] [ever] {deal[1]}")
        return Condition((), (), post=post, verb=verb)
    between = d.world.end(below.table, path[:1])
    if deal and len(path) == 2 and not deal_of(between):
        one, past = d.speaker.nouns(between)[0], "sold" if deal[1] == BOUGHT else deal[1]
        verb = (f"have no {plural(one)} that (were ever|have ever been) {past}",)
        return Condition(
            (), (), post=(f"of which no {one} was ever {past}", f"with no {plural(one)} {past}"), verb=verb
        )
    if deal and is_buyer(who):
        verb = (
            f"never {deal[1]} anything",
            f"have never {deal[1]} anything",
            f"have not {deal[1]} anything (yet|so far)",
        )
        return Condition(
            (), (), post=(f"{relative} never {deal[1]} anything", f"without (a single|any) {below.noun}"), verb=verb
        )
    things = _other_end(d, below, path)
    one, many = d.speaker.nouns(things)[0], plural(d.speaker.nouns(things)[0])
    inside = is_links(d.world, below) and below.noun.startswith(one)  # a playlist holds songs, a song no playlist
    if inside:
        verb = (f"are (in|part of) no {one}", f"(are not|aren't) in any {one}")
        return Condition((), (), post=(f"in no {one}", f"{relative} (are not|aren't) in any {one}"), verb=verb)
    post = (f"(without any {many}|without a single {one})", f"with no {many}", f"{relative} have no {many}")
    return Condition((), (), post=post, verb=(f"have no {many} (at all|)", f"(do not|don't) have any {many}"))


def _other_end(d: Drawer, below: Entity, path: Path_) -> Entity:
    """What a table of links ties to; else the table itself."""
    if len(path) == 1 and is_links(d.world, below):
        other = next((k.other for k in d.world.links if k.table == below.table and k != path[0]), None)
        return d.world.entities.get(other, below)
    return below


FAMILIES = {childless: 2.5}
