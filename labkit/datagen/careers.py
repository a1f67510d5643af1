"""Families of intents about one row's rows over all periods: its total, its best period, the table of all; and how many
different owners there were."""

from labkit.datagen.build import Source
from labkit.datagen.drawing import Drawer, NothingToAsk, is_own
from labkit.datagen.frames import alone, frames, shown_beside
from labkit.datagen.intents import Intent, finished, name_slots, subject_slots
from labkit.datagen.lexicon import bare, is_rank
from labkit.datagen.lookups import named
from labkit.datagen.numbers import can_average, can_sum
from labkit.datagen.phrases import counted, listed, one_of, plural
from labkit.datagen.subjects import View
from labkit.datagen.world import quoted
from labkit.schema import sql_name


def career(d: Drawer) -> Intent | None:
    """A total over all periods, the period with the most, or a fact in each of them."""
    view = d.periodic()
    value, name = named(d, view)
    if value is None:
        raise NothingToAsk
    source = Source(d.world, view.root)
    source.where(f"{view.who.label.column(source.at(view.path))} = {quoted(value)}")
    word = view.period.words.split()[-1]
    fills = {"word": word, "words": plural(word), "k": f"({counted(str(len(view.period.values)))[1:-1]})"}
    kind = d.rng.choice(("total", "total", "best", "table"))
    return {"total": _total, "best": _best, "table": _table}[kind](d, view, source, name, fills)


def _total(d: Drawer, view: View, source: Source, name: str, fills: dict[str, str]) -> Intent | None:
    f = d.pick([f for f in d.facts(view, ("number",)) if can_sum(f) and d.speaker.words(f).counts])
    if f is None:
        return None
    verb = one_of(map(bare, d.speaker.words(f).verbs))
    asked = frames("career total", things=d.speaker.things(f), did="did", bare=verb, **fills)
    query = source.select(f"SUM({f.read(source.at())})")
    return finished("career", query, asked, name_slots(name), ("join", "sum"))


def _best(d: Drawer, view: View, source: Source, name: str, fills: dict[str, str]) -> Intent | None:
    f = d.pick([f for f in d.facts(view, ("number",)) if can_average(f) and not is_rank(f)])
    if f is None:
        return None
    words, high, shown = d.speaker.words(f), d.chance(0.8), d.chance(0.4)
    period = view.period.column(source.at())
    source.where(*f.known(source.at(), null_matters=not high))
    way = [f.read(source.at()) + (" DESC" if high else "")]
    query = source.select(period, *([f.column(source.at())] if shown else []), order=way, limit=1)
    verb = one_of(map(bare, words.verbs)) if words.counts else ""
    fills |= {"noun": words.nouns[0], "things": d.speaker.things(f), "bare": verb, "most": "most" if high else "fewest"}
    fills |= {"highest": "highest" if high else "lowest"}
    fills["tail"] = shown_beside(f"{fills['word']} and {words.nouns[0]}") if shown else alone("", fills["word"])
    asked = frames("career best", **fills)
    asked = [a for a in asked if (high or "best" not in a) and (words.counts or fills["things"] not in a)]
    probe = source.select(f.read(source.at()), order=way, limit=2)
    return finished("career", query, asked, name_slots(name), ("join", "superlative"), probe)


def _table(d: Drawer, view: View, source: Source, name: str, fills: dict[str, str]) -> Intent | None:
    fields = list(dict.fromkeys(filter(None, (d.pick(d.facts(view)) for _ in range(d.rng.choice((1, 1, 2)))))))
    if not fields:
        return None
    columns = [view.period.column(source.at()), *(f.column(source.at()) for f in fields)]
    nouns = [
        d.speaker.words(f).plurals[0] if d.speaker.words(f).counts else d.speaker.words(f).nouns[0] for f in fields
    ]
    asked = frames("career table", facts=listed(nouns), **fills)
    probe = source.select(columns[0], limit=2)
    return finished("career", source.select(*columns), asked, name_slots(name), ("join",), probe, False)


def owners(d: Drawer) -> Intent | None:
    """How many different owners did something in any of the periods: nobody is counted twice."""
    view = d.periodic()
    subject = d.subject(view, (0, 6, 1), period=False, own=True)
    if not is_own(view, subject.conditions) or not all(c.verb for c in subject.conditions):
        return None
    word, k = view.period.words.split()[-1], len(view.period.values)
    column = f"{subject.source.at()}.{sql_name(view.path[0].column)}"
    query = subject.source.select(f"COUNT(DISTINCT {column})")
    did = " and ".join(one_of(c.verb) for c in subject.conditions)
    fills = {"word": word, "words": plural(word), "k": counted(str(k)), "whos": plural(d.speaker.nouns(view.who)[0])}
    return finished("owners", query, frames("owners", did=did, **fills), subject_slots(subject), ("distinct", "count"))


FAMILIES = {career: 3, owners: 0.7}
