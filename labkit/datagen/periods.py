"""Families of intents about stretches of time: yearly totals, the number of one quarter, of the last month there is."""

import re
from dataclasses import replace

from labkit.datagen import times
from labkit.datagen.conditions import Condition
from labkit.datagen.drawing import Drawer, NothingToAsk
from labkit.datagen.frames import frames
from labkit.datagen.grouping import Grouped, measured
from labkit.datagen.groups import OFTEN, each_group
from labkit.datagen.intents import Intent, finished, subject_slots
from labkit.datagen.subjects import View
from labkit.datagen.vocabulary import DONE
from labkit.datagen.world import Field

_ROWS = 8  # dates that there must be, else there is nothing to add up


def _dated(d: Drawer) -> tuple[View, Field]:
    """Rows with a date, rather those that have an amount as well. `NothingToAsk` when there are none."""
    usable = [v for v in d.views if v.one_each and v.own and v.root.rows > _ROWS]
    found = [(v, f) for v in usable for f in d.facts(v, ("date",)) if times.year_first(f) and None not in f.missing]
    found = [(v, f) for v, f in found if d.speaker.words(f).participle != "born"]
    if not found:
        raise NothingToAsk
    weights = [d.favoured(f) * (3 if d.facts(v, ("number",)) else 1) for v, f in found]
    return d.rng.choices(found, weights)[0]


def yearly(d: Drawer) -> Intent | None:
    """A number for each year, or each month, of all that there are."""
    view, f = _dated(d)
    parts = times.date_parts(d.speaker, f)
    if not parts:
        return None
    part = d.rng.choice(parts)
    part = replace(part, called="month" if "1, 7" in part.part else "year")  # not 'year played': yearly
    g = Grouped(d, view, part, (), plain=d.chance(0.6))
    intent = each_group(d, g)
    often = [a for a in intent.frames if OFTEN[part.called] in a]
    return replace(intent, family="yearly", frames=(*intent.frames, *often * 2))


def of_period(d: Drawer) -> Intent | None:
    """One number, a count, a total or an average, of a quarter, a month, a year, or of the last one on record."""
    view, f = _dated(d)
    g = Grouped(d, view, times.part_of_year(f, "month"), (), plain=d.chance(0.6))  # that is, no season as well
    kind, day = d.rng.choices(("quarter", "end", "month", "year"), (5, 5, 2, 1))[0], d.rng.choice(f.numbers)
    if kind == "end":
        tests, said = times.at_end(f, d.rng.choice(("month", "month", "year", "quarter")), d.chance(0.8))
    elif kind == "quarter":
        tests, said = times.in_quarter(f, day[:4], (int(day[5:7]) + 2) // 3)
    else:
        tests, said = times.in_period(f, day[: 7 if kind == "month" else 4])
    condition = Condition((), tests, time=(said, said, said.replace("in ", "(during|in|for) ", 1)), tags=("date",))
    g.subject.conditions.append(condition)
    g.subject.source.where(condition)
    value, noun, tags = measured(d, g)
    tags = [*tags, *g.subject.tags]
    if value == "COUNT(*)":
        done = _done(d, view, f)
        asked = frames("count") + (frames("count done", done=done) * 3 if done else ())
    else:
        asked = frames("of period", said=noun.replace("|sales|", "|"))  # 'what was the sales'
    return finished("of_period", g.subject.source.select(value), asked, subject_slots(g.subject), tags)


def _done(d: Drawer, view: View, f: Field) -> str:
    """What became of the rows on that date: games are played, invoices issued."""
    acted = d.speaker.words(f).participle
    return acted if re.fullmatch(r"\w+ed", acted) else next((DONE[w] for w in view.who.noun.split() if w in DONE), "")


FAMILIES = {yearly: 1.2, of_period: 2.2}
