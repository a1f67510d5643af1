"""Families of intents of two queries joined: values of both of two groups, of either, of only one; the names of two
groups in one list."""

import random

from labkit.datagen.conditions import Condition
from labkit.datagen.drawing import Drawer, NothingToAsk, is_own
from labkit.datagen.frames import frames
from labkit.datagen.intents import Intent, finished
from labkit.datagen.phrases import plural
from labkit.datagen.subjects import Subject, View


def two_groups(d: Drawer) -> Intent | None:
    """Values that occur in both of two groups, in one but not the other, in either, or never in one."""
    view = d.view(lambda v: v.own and v.root.rows > 20)
    f = d.pick([f for f in d.facts(view, ("category",)) if len(f.values) > 4])
    a, b = (_group(d, view), _group(d, view)) if f else (None, None)
    if not a or not b or a.tests == b.tests or f.ref in {g.ref for c in (a, b) for g in c.fields}:
        return None
    kind = d.rng.choice(("both", "both", "but not", "either", "never"))
    if kind != "never" and a.tests[0].field.ref != b.tests[0].field.ref and d.chance(0.7):
        return None
    subjects = [Subject(d.speaker, view, [] if kind == "never" else [a]), Subject(d.speaker, view, [b])]
    for s in subjects:
        s.source.where(*f.known(s.source.at(), null_matters=True))
    first, second = (s.source.select(s.column(f)) for s in subjects)

    def slots(rng: random.Random) -> dict[str, str]:
        one, two = (s.phrase(rng).text for s in subjects)
        single = subjects[1].phrase(rng, many=False).text
        return {"a": one, "b": two, "b1": f"a {single}", "bare": single}

    joined, tag = {"both": (first.intersect, "intersect"), "either": (first.union, "union")}.get(
        kind, (first.except_, "except")
    )
    return finished("two_groups", joined(second), frames(kind, things=d.speaker.things(f)), slots, ("set", tag))


def _group(d: Drawer, view: View) -> Condition | None:
    """A condition for one of two groups: most often what the rows belong to."""
    paths = [p for p in d.world.paths(view.root.table, 1)[1:] if d.world.end(view.root.table, p).label]
    return d.belonging(view, d.rng.choice(paths)) if paths and d.chance(0.6) else d.own(view)


def one_list(d: Drawer) -> Intent | None:
    """Names of those of whom one thing holds or another, mostly found by rows of another table: no name twice."""
    named = [v for v in d.views if v.who.label and v.one_each]
    pairs = [(v, w) for v in named for w in named if v.who is w.who and (v.root is not w.root or v.own)]
    if not pairs:
        raise NothingToAsk
    subjects = [d.subject(view, (0, 1), own=True) for view in d.rng.choice(pairs)]
    if not all(is_own(s.view, s.conditions) and [c for c in s.conditions if not c.time] for s in subjects):
        return None
    about, also = ({f.ref for c in s.conditions if not c.time for f in c.fields} for s in subjects)
    if about & also:
        return None
    first, second = (s.source.select(s.label()) for s in subjects)

    def slots(rng: random.Random) -> dict[str, str]:
        phrases = [s.phrase(rng) for s in subjects]
        a, b = (f"{p.text} {p.when}".strip() for p in phrases)
        return {"a": a, "b": b}

    who = subjects[0].view.who
    fills = {"labels": plural(d.speaker.label(who.label, who)), "whos": plural(d.speaker.nouns(who)[0])}
    return finished("one_list", first.union(second), frames("one list", **fills), slots, ("set", "union", "join"))


FAMILIES = {two_groups: 6, one_list: 2}
