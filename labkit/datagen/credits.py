"""A family of intents that credits a parent with what the rows of its children come to: the support rep whose customers
brought in the most revenue, what the pets of each owner cost altogether.

Who is two links up is called by the link as well (`support_rep_id`: a support rep): `speaker.referred`.
"""

from dataclasses import dataclass

from labkit.datagen.drawing import Drawer, NothingToAsk
from labkit.datagen.frames import frames, shown_beside
from labkit.datagen.grouping import Grouped, measured
from labkit.datagen.intents import Intent, finished
from labkit.datagen.numbers import can_sum
from labkit.datagen.phrases import counted, plural
from labkit.datagen.subjects import View
from labkit.datagen.vocabulary import BUYERS, TAKINGS, TRADES
from labkit.datagen.world import Entity, Path_


@dataclass(frozen=True)
class Credit:
    """Rows of `root`, their owners one link up, and who those belong to, at the end of `path`."""

    root: Entity
    path: Path_
    owner: Entity
    parent: Entity


def credited(d: Drawer) -> Intent | None:
    """The parent with the most, the first few, or the total of each."""
    found = _credits(d)
    if not found:
        raise NothingToAsk
    c = d.rng.choice(found)
    g = Grouped(d, View(c.root, c.root), c.parent.label, c.path, plain=True)
    value, said, tags = measured(d, g, counting=False, kinds=("SUM",))
    if not value.startswith("SUM"):
        return None
    source, all_, k = g.subject.source, d.chance(0.3), d.rng.choice((1, 1, 1, 1, 2, 3, 5))
    beside, told = (True, True) if all_ else d.figure(0.5)
    order = [] if all_ and d.chance(0.5) else [f"{value} DESC"]
    columns = [g.column, value][: 1 + beside]
    query = source.select(*columns, group=[g.column], order=order, limit=0 if all_ else k)
    probe = source.select(value, group=[g.column], order=[f"{value} DESC"], limit=2, offset=0 if all_ else k - 1)
    section = "credit of each" if all_ else "most credit" if k == 1 else "top credit"
    asked = _asked(d, c, said, section, k, beside and told, bool(order))
    tags = ["join", "group", *([] if all_ else ["superlative"]), *tags]
    return finished("credited", query, asked, lambda rng: {"when": ""}, tags, probe, ranked=not all_)


def _credits(d: Drawer) -> list[Credit]:
    """Two links up from rows with a number to add, by way of owners that have names, to parents that have some too."""
    found = []
    for root in d.world.entities.values():
        if root.label or not any(can_sum(f) for f in root.fields) or any(f.kind == "period" for f in root.fields):
            continue
        for path in d.world.paths(root.table, 3):
            owner, parent = (d.world.end(root.table, p) for p in (path[:-1], path))
            if len(path) < 2 or any(link.role for link in path) or not (owner.label and parent.label):
                continue
            if parent.label.unique and owner.rows > parent.rows:
                found.append(Credit(root, path, owner, parent))
    return [c for c in found if not {r.split(".")[0] for r in d.speaker.glossary.implied} & {c.root.table}]


# --- words ------------------------------------------------------------------------------------------------------------


def _asked(d: Drawer, c: Credit, said: str, section: str, k: int, told: bool, ordered: bool) -> tuple[str, ...]:
    owners, taking = plural(d.speaker.nouns(c.owner)[0]), any(word in said for word in TAKINGS)
    trade = bool({*c.root.noun.split()} & TRADES) and bool({*c.owner.noun.split()} & BUYERS)
    fills = {"owners": owners, "said": said, "k": f"({k}|{counted(str(k))})"}
    fills["ordered"] = "(, highest first|, from highest to lowest|)" if ordered else ""
    asked: tuple[str, ...] = ()
    for who in d.speaker.referred(c.path[-1]):
        tail = shown_beside(f"{who} and total") if told else ""
        words = fills | {"who": who, "whos": plural(who), "tail": tail}
        asked += frames(section, **words)
        asked += frames(f"{section} by trade", **words) * 2 if trade and taking else ()
    return asked


FAMILIES = {credited: 1}
