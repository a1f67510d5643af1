"""What rows are grouped by, and the number that is said of each group: a count, an average, a total, takings.

No family of intents stands here; `groups`, `winners`, `months` and `totals` ask about groups.
"""

import re
from collections.abc import Sequence

from labkit.datagen.conditions import Condition
from labkit.datagen.drawing import Drawer, founded, is_plain
from labkit.datagen.lexicon import is_rank
from labkit.datagen.numbers import can_average, can_sum, plain_unit
from labkit.datagen.phrases import plural, singular
from labkit.datagen.subjects import View
from labkit.datagen.times import date_parts
from labkit.datagen.vocabulary import SPENT, TAKINGS, TRADES
from labkit.datagen.world import Field, Path_

Measured = tuple[str, str, list[str]]  # SQL, noun phrase template of the number, tags


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


def grouped(d: Drawer) -> Grouped | None:
    """Rows of a view by a category of theirs, of their owner's, or by what they belong to."""
    view = d.view(lambda v: v.root.rows > 8 and (v.one_each or v.own))
    columns = group_columns(d, view)
    if not columns:
        return None
    field, path = d.rng.choices(columns, [d.favoured(f) for f, _ in columns])[0]
    return Grouped(d, view, field, path)


def owned_groups(d: Drawer) -> Grouped | None:
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


def group_columns(d: Drawer, view: View) -> list[tuple[Field, Path_]]:
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
        if not path:
            return noun
        if not path[-1].role:
            names = d.speaker.referred(path[-1])
            return d.rng.choice(names) if len(names) > 1 else noun
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
