"""A family of intents about numbers that are computed from a row: margins, rates, ages. Of one row, of the extreme one,
on average, beyond a bound, beside the names.
"""

from labkit.datagen import bounds
from labkit.datagen.drawing import Drawer, is_plain
from labkit.datagen.extremes import extreme_frames
from labkit.datagen.frames import capital, frames
from labkit.datagen.intents import Intent, finished, name_slots, subject_slots
from labkit.datagen.lexicon import bare
from labkit.datagen.lists import known_only, list_frames
from labkit.datagen.lookups import named
from labkit.datagen.phrases import one_of, plural
from labkit.datagen.subjects import Subject, View
from labkit.datagen.terms import Measure
from labkit.datagen.world import quoted


def computed(d: Drawer) -> Intent | None:
    """The extreme row, the average, or the rows beyond a bound of a number that is computed: margins, rates, ages."""
    usable = [(v, m) for v in d.views if v.one_each for m in d.speaker.measures(v.root)]
    if not usable:
        return None
    view, m = d.rng.choice(usable)
    subject = d.subject(view, (6, 4), without=m.fields)
    at, nouns = subject.source.at(), one_of([m.nouns[0], *m.nouns])
    sql = m.sql.replace("{a}", at)
    kind = d.rng.choice(("extreme", "extreme", "bound", "bound", "average", "one", "one", "beside", "group"))
    if kind in ("one", "beside", "group"):
        return {"one": _of_one, "beside": _listed, "group": _by_group}[kind](d, view, m)
    if kind == "bound":
        return _beyond(d, subject, m, nouns)
    subject.source.where(*[k for f in m.fields for k in f.known(at)])
    if kind == "extreme":
        return _extreme(d, subject, m, sql, nouns)
    query, probe = subject.source.select(f"AVG({sql})"), subject.source.select(sql, limit=2)
    asked = frames("average", noun=nouns, unit="")
    return finished("computed", query, asked, subject_slots(subject), ["computed", "avg"], probe, ranked=False)


def _extreme(d: Drawer, subject: Subject, m: Measure, sql: str, nouns: str) -> Intent:
    """The row with the most or the least of it."""
    high, beside = d.chance(0.8), d.chance(0.6)
    order = [sql + (" DESC" if high else "")]
    query = subject.source.select(subject.label(), *([sql] if beside else []), order=order, limit=1)
    probe = subject.source.select(sql, order=order, limit=2)
    words, known = d.speaker.words(m.fields[0]), d.speaker.of_measure(m)
    much, little = ("highest|most|best", "lowest|fewest") if m.per else ("highest|biggest|largest", "lowest|smallest")
    best = f"({much if high else little})"
    sup = {"np": [f"{{n}} with the {best} {nouns}"], "vp": [f"had the {best} {nouns}"]}
    sup["np"] += [f"{superlative} {{n}}" for *_, superlative in (known.high if high else known.low)] * 2
    if m.per:
        so_many = f"the {'most' if high else 'fewest'} {d.speaker.things(m.fields[0])} (a|per) {m.per}"
        sup["vp"] += [f"{v} {so_many}" for v in (*words.verbs, "averaged")]
    shown = [(m.fields[0], ())] if beside else []
    asked = [a.replace(words.nouns[0], m.nouns[0]) for a in extreme_frames(d, subject, sup, m.fields[0], shown)]
    asked = [a.replace("(how many|with how many)", f"what was the {m.nouns[0]}") for a in asked]
    return finished("computed", query, asked, subject_slots(subject), ["computed", "superlative"], probe)


def _of_one(d: Drawer, view: View, m: Measure) -> Intent | None:
    """The computed number of a row that is called by its name."""
    value, name = named(d, view)
    if value is None:
        return None
    subject = d.subject(view, (1,), own=True, period=not view.own)
    source = subject.source.where(f"{subject.label()} = {quoted(value)}")
    source.where(*[k for f in m.fields for k in f.known(source.at())])
    known = d.speaker.of_measure(m)
    asked = frames("fact", noun=one_of(m.nouns), x="{x}", own="{own}")
    asked += tuple(capital(t) + "{when}?" for t in known.ask) * 4
    if m.per:
        verb = one_of([*map(bare, d.speaker.words(m.fields[0]).verbs), "average"])
        asked += (f"How many {d.speaker.things(m.fields[0])} (a|per) {m.per} did {{x}} {verb}{{when}}?",) * 4
    slots = name_slots(name, subject.conditions[0].time if subject.conditions else ())
    return finished("computed", source.select(m.sql.replace("{a}", source.at())), asked, slots, ["computed", "lookup"])


def _listed(d: Drawer, view: View, m: Measure) -> Intent | None:
    """The computed number beside the names of those that meet conditions."""
    subject = d.subject(view, (0, 6, 3), without=m.fields)
    if is_plain(subject):
        return None
    ordered = known_only(subject, m.fields, m.nouns[0])
    query = subject.source.select(subject.label(), m.sql.replace("{a}", subject.source.at()))
    label = d.speaker.label(view.label, view.who)
    asked = frames("list with facts", cols=f"{label} and {m.nouns[0]}", facts=m.nouns[0], ordered=ordered)
    return finished("computed", query, asked, subject_slots(subject), ["computed", *subject.tags])


def _by_group(d: Drawer, view: View, m: Measure) -> Intent | None:
    """The average of a computed number for each value of a category."""
    ways = [p for p in d.world.paths(view.root.table, 1) if not (p and p[0].role)]
    ends = [(f, p) for p in ways for f in d.world.end(view.root.table, p).fields if not f.missing and not f.names]
    fixed = {t.field.ref for t in view.implied}
    places = {f.ref: p for f, p in ends if f.ref not in fixed and f.kind in ("category", "period")}
    f = d.pick([f for f, _ in ends if f.ref in places])
    if f is None:
        return None
    subject, path = d.subject(view, (1,), without=[*m.fields, f], period=f.kind != "period"), places[f.ref]
    source = subject.source
    source.where(*[k for g in m.fields for k in g.known(source.at())])
    column, word = f.column(source.at(path)), f.words if f.kind == "period" else d.speaker.words(f).nouns[0]
    query = source.select(column, f"AVG({m.sql.replace('{a}', source.at())})", group=[column])
    said = f"(average|average|mean) {one_of(m.nouns)}{{when}}"
    asked = frames("group", said=said, word=word, plurals=plural(word), tail="")
    probe = source.select(column, distinct=True, limit=2)
    return finished("computed", query, asked, subject_slots(subject), ["computed", "group"], probe, ranked=False)


def _beyond(d: Drawer, subject: Subject, m, nouns: str) -> Intent:
    value, op = _bound(d, m), d.rng.choice((">", ">", "<", ">=", ">="))
    verbs: tuple[str, ...] = ()
    if m.per:
        things = d.speaker.things(m.fields[0])
        verbs = tuple(
            f"({v}|averaged) {w} (a|per) {m.per}"
            for v in d.speaker.words(m.fields[0]).verbs
            for w in bounds.many_things(op, str(value), things)
        )
    known = d.speaker.of_measure(m)
    comparative = [c for _, c, _ in (known.high if ">" in op else known.low)]
    verbs += tuple(f"are {value} or {c}" if "=" in op else f"are {c} than {value}" for c in comparative) * 2
    condition = bounds.computed(nouns, verbs, op, value, m.sql, m.fields)
    shown = Subject(d.speaker, subject.view, [*subject.conditions, condition])
    if d.chance(0.5):
        return finished(
            "computed", shown.source.select("COUNT(*)"), frames("count"), subject_slots(shown), ["computed", "count"]
        )
    return finished(
        "computed", shown.source.select(shown.label()), list_frames(d, shown.view), subject_slots(shown), ["computed"]
    )


def _bound(d: Drawer, m) -> int:
    """A round bound near what the measure usually is."""
    typical = [f.numbers[len(f.numbers) * 3 // 4] for f in m.fields]
    if m.per:
        return max(1, round(typical[0] / max(1, typical[1]) * d.rng.choice((0.5, 1, 1.5, 2))))
    if "ABS" in m.sql:
        return d.rng.choice((5, 10, 15, 20, 25))
    if len(typical) == 1:
        return d.rng.choice((2, 3, 5, 8, 10, 12))
    return int(round(sum(typical) * d.rng.choice((0.9, 1, 1.05)), -1))


FAMILIES = {computed: 6}
