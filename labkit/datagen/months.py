"""Families of intents about one year's months and quarters: a number for each of them, the one with the most."""

import re
from dataclasses import replace

from labkit.datagen import times
from labkit.datagen.conditions import Condition
from labkit.datagen.drawing import Drawer, NothingToAsk
from labkit.datagen.grouping import Grouped
from labkit.datagen.groups import best_group, each_group
from labkit.datagen.intents import Intent
from labkit.datagen.subjects import View
from labkit.datagen.world import Field

_MONTHS, _ROWS = 3, 8  # months with rows, and rows, that a year must have, else there is nothing to compare


def _years(f: Field) -> list[str]:
    """The years with enough rows, in several months."""
    months: dict[str, list[str]] = {}
    for value in f.numbers:
        months.setdefault(value[:4], []).append(value[5:7])
    return sorted(year for year, some in months.items() if len(set(some)) >= _MONTHS and len(some) >= _ROWS)


def _grouped(d: Drawer) -> Grouped:
    """Rows of one year by month or quarter of a date of theirs. `NothingToAsk` when the database has no such dates."""
    found = [
        (v, f) for v in d.views if v.one_each for f in d.facts(v, ("date",)) if f.format.month and None not in f.missing
    ]  # fmt: skip
    found = [(v, f, years) for v, f in found if (years := _years(f))]
    if not found:
        raise NothingToAsk
    weights = [d.favoured(f) * (2 if d.speaker.measures(v.root) else 1) for v, f, _ in found]
    view, f, years = d.rng.choices(found, weights)[0]
    unit = d.rng.choice(("month", "month", "quarter"))
    g = Grouped(d, view, times.part_of_year(f, unit), ())
    condition = _in(d, view, f, d.rng.choice(years))
    g.subject.conditions.append(condition)
    g.subject.source.where(condition)
    return g


def _in(d: Drawer, view: View, f: Field, year: str) -> Condition:
    """The year of the date; an adverbial where rows took place then: 'in 2010'."""
    condition = times.since(d.speaker, f, "year=", year)
    if condition.post != (f"in {year}",) or not view.own:
        return condition
    return replace(condition, time=(f"in {year}", f"in {year}", f"(during|in) {year}"), post=(), verb=())


def by_month(d: Drawer) -> Intent | None:
    """A number for each month, or quarter, of a year."""
    return replace(each_group(d, _grouped(d)), family="by_month")


def best_month(d: Drawer) -> Intent | None:
    """The month, or quarter, of a year with the most or the least."""
    g = _grouped(d)
    intent, parts = best_group(d, g), 4 if g.field.called == "quarter" else 12
    k = re.search(r"LIMIT (\d+)$", intent.sql)
    return None if k and int(k[1]) >= parts else replace(intent, family="best_month")


FAMILIES = {by_month: 2.5, best_month: 1.5}
