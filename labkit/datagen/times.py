"""What people say of a row's years and dates: in, before, since, in a month, in a season."""

import random
import re
from dataclasses import dataclass, replace

from labkit.datagen.conditions import Condition, Test
from labkit.datagen.formats import MONTHS
from labkit.datagen.speaker import Speaker
from labkit.datagen.world import Field, Path_

# --- years and dates --------------------------------------------------------------------------------------------------


def period(speaker: Speaker, field: Field, rng: random.Random, path: Path_ = ()) -> Condition:
    """The question's season or year, as an adverbial."""
    value, word = rng.choice([v for v, _ in field.values]), field.words.split()[-1]
    said = [f"(|in the ){p}" if p.startswith("last") else p for p in speaker.glossary.periods.get(value, [])]
    said = [s.replace("(|in the )", "") for s in said]
    time = [
        f"in {value}",
        f"in {value}",
        f"in the {value} {word}",
        f"(during|in) the {value} {word}",
        f"(back in|in) {value}",
    ]
    return Condition(path, (Test(field, "=", value),), time=(*time, *said), tags=("period",))


def in_year(speaker: Speaker, field: Field, rng: random.Random, path: Path_ = ()) -> Condition:
    """A year: in it, before, after, from it on, between two."""
    value = rng.choice(field.numbers)
    op = rng.choices(("=", "<", ">", ">=", "<=", "between"), (6, 2, 2, 2, 1, 1))[0]
    if op == "between":
        low, high = sorted((value, rng.choice(field.numbers)))
        if low < high:
            when = f"(between {low} and {high}|from {low} to {high})"
            return _when(speaker, field, Test(field, "between", (low, high)), when, path)
        op = "="
    return _when(speaker, field, Test(field, op, value), year_words(op, value), path, f"{value}" if op == "=" else "")


def since(speaker: Speaker, field: Field, op: str, value: object) -> Condition:
    """A year against a bound, of a field that holds years or dates."""
    return _when(speaker, field, Test(field, op, value), year_words(op.removeprefix("year"), int(value)), ())


def year_words(op: str, year: int) -> str:
    """A template for 'in 2012', 'before 2012', 'in 2012 or later' ..."""
    return {
        "=": f"in {year}",
        "<": f"(before {year}|before {year}|before the year {year})",
        ">": f"(after {year}|after {year}|later than {year}|after the year {year})",
        ">=": f"(in {year} or later|since {year}|from {year} on|in or after {year})",
        "<=": f"(in {year} or earlier|up to {year}|no later than {year}|by {year})",
    }[op]


@dataclass(frozen=True)
class DatePart(Field):
    """A year or a month of a date, to group by: `part` is its SQL, with {c} for the date's column."""

    part: str = ""
    called: str = ""

    @property
    def words(self) -> str:
        return self.called

    def column(self, alias: str) -> str:
        return self.part.replace("{c}", super().column(alias))


def date_parts(speaker: Speaker, field: Field) -> list[DatePart]:
    """The year of a date, and its month where days are stored year first; where there are several and not too many."""
    own = {name: getattr(field, name) for name in Field.__dataclass_fields__} | {"kind": "period", "missing": ()}
    year, month = (_part_of(speaker, field, unit) for unit in ("year", "month"))
    found = [DatePart(**own, part=field.format.year, called=year)] if field.format.year else []
    if field.format.year == "SUBSTR({c}, 1, 4)" and field.format.kind == "date":
        found.append(DatePart(**own, part="SUBSTR({c}, 1, 7)", called=month))
    kept = []
    for part in found:
        counts: dict[str, int] = {}
        for value, rows in field.values:
            read = str(field.format.read(value))[: 7 if part.called == month else 4]
            counts[read] = counts.get(read, 0) + rows
        if 2 <= len(counts) <= 80 and None not in field.missing:
            kept.append(replace(part, values=tuple(counts.items())))
    return kept


def part_of_year(field: Field, unit: str) -> DatePart:
    """The "month" or the "quarter" of a date, whose year is known."""
    sql = field.format.month
    if unit == "quarter":
        sql = f"(CAST({sql} AS INTEGER) + 2) / 3"
    elif field.format.year == "SUBSTR({c}, 1, 4)":
        sql = "SUBSTR({c}, 1, 7)"
    own = {name: getattr(field, name) for name in Field.__dataclass_fields__} | {"kind": "period", "missing": ()}
    return DatePart(**own, part=sql, called=unit)


def _part_of(speaker: Speaker, field: Field, unit: str) -> str:
    """'year' for rows that took place then, else of what: 'birth year', 'signing year'."""
    noun = speaker.words(field).nouns[0].removeprefix(f"{speaker.world.entities[field.table].noun} ")
    return re.sub(r"\b(date|day)\b", unit, noun) if re.search(r"\b(date|day)\b", noun) else f"{noun} {unit}"


def _when(speaker: Speaker, field: Field, test: Test, when: str, path: Path_, plain: str = "") -> Condition:
    words, noun = speaker.words(field), speaker.words(field).nouns[0]
    post, verb = (f"whose {noun} is {when}", f"with a {noun} {when}"), (f"have a {noun} {when}",)
    if words.participle in ("ending", "expiring"):
        base = "(end|run out|expire)"
        post, verb = (f"(ending|running out|expiring|that end|that run out|that expire) {when}",), (f"{base} {when}",)
        verb += (f"(are signed|run) through {plain}",) if plain else ()
    elif words.participle.endswith(" since"):
        said = f"(joined|signed up|came to us) {when}"
        post, verb = (f"who {said}", *((f"{words.participle} {plain}",) if plain else ())), (said,)
    elif words.participle:
        post, verb = (f"{words.participle} {when}",), (f"were {words.participle} {when}",)
    elif noun.split()[-1] in ("date", "day", "time", "month") or noun == "year":
        post, verb = (when,), (f"(took place|were) {when}",)
    elif plain:
        post, verb = (f"with {noun} {plain}", f"whose {noun} is {plain}"), (f"have {noun} {plain}",)
    return Condition(path, (test,), post=post, verb=verb, tags=("date",))


def dated(speaker: Speaker, field: Field, rng: random.Random, path: Path_ = ()) -> Condition:
    """A date: in a year or month, on a day of any year, before or after a day or year."""
    day = rng.choice(field.numbers)
    year, month, name = day[:4], int(day[5:7]), MONTHS[int(day[5:7]) - 1]
    kinds = ("year", "month", "years", "day", "any year", "birthday", "quarter")
    kind = rng.choices(kinds, (4, 3, 3, 2, 1, 1, 1))[0]
    if field.format.kind == "month" and kind in ("day", "any year", "birthday", "quarter"):
        kind = "years"
    if kind == "quarter":
        return _quarter(speaker, field, year, (month + 2) // 3, path)
    if kind == "month":
        pattern = field.format.in_month.format(y=year, m=f"{month:02d}", name=name[:3])
        test = Test(field, "=" if field.format.kind == "month" else "month", pattern)
        return _when(
            speaker,
            field,
            test,
            f"in ({name} {year}|{name} {year}|{name[:3]} {year}|{name} of {year})",
            path,
            f"{name} {year}",
        )
    if kind == "day":
        op = rng.choice("<>")
        said = f"({int(day[8:])} {name} {year}|{name} {int(day[8:])}, {year}|{day})"
        return _when(speaker, field, Test(field, op, day), f"{'before' if op == '<' else 'after'} {said}", path)
    if kind == "birthday":
        part = replace(field, format=replace(field.format, year=field.format.day))
        said = f"on ({name} {int(day[8:])}|{int(day[8:])} {name}|{name} {int(day[8:])})"
        condition = _when(
            speaker, part, Test(part, "year=", field.format.on_day.format(m=day[5:7], d=day[8:])), said, path
        )
        born = speaker.words(field).participle == "born"
        return replace(condition, verb=(*condition.verb, f"have (their|a) birthday {said}")) if born else condition
    if kind == "any year":
        monthly = replace(field, format=replace(field.format, year=field.format.month))
        return _when(speaker, field, Test(monthly, "year=", f"{month:02d}"), f"in (the month of|any) {name}", path)
    op = rng.choice(("<", ">", ">=", "<=")) if kind == "years" else "="
    return _when(
        speaker, field, Test(field, f"year{op}", year), year_words(op, int(year)), path, year if op == "=" else ""
    )


def _quarter(speaker: Speaker, field: Field, year: str, quarter: int, path: Path_) -> Condition:
    """A date in three months of a year."""
    monthly = replace(field, format=replace(field.format, year=field.format.month))
    first, last = f"{3 * quarter - 2:02d}", f"{3 * quarter:02d}"
    nth = {1: "first|1st", 2: "second|2nd", 3: "third|3rd", 4: "fourth|4th|last"}[quarter]
    said = f"in (the ({nth}) quarter of {year}|Q{quarter} {year}|Q{quarter} of {year})"
    condition = _when(speaker, field, Test(field, "year=", year), said, path)
    return replace(condition, tests=(*condition.tests, Test(monthly, "year>=", first), Test(monthly, "year<=", last)))
