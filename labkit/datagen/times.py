"""What people say of a row's years and dates: in, before, since, in a month, in a season."""

import random
import re
from dataclasses import dataclass, replace

from labkit.datagen.conditions import Condition, Test
from labkit.datagen.formats import MONTHS
from labkit.datagen.speaker import Speaker
from labkit.datagen.world import Field, Path_, quoted
from labkit.schema import sql_name

_UNITS = {"year": "SUBSTR({c}, 1, 4)", "month": "SUBSTR({c}, 1, 7)"}

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


def year_first(field: Field) -> bool:
    """Whether days are stored as 2030-12-31, so that their texts sort."""
    return field.format.year == _UNITS["year"] and field.format.kind == "date"


def date_parts(speaker: Speaker, field: Field) -> list[DatePart]:
    """The year of a date, and its month where days are stored year first; where there are several and not too many."""
    own = _own(field)
    year, month = (_part_of(speaker, field, unit) for unit in ("year", "month"))
    found = [DatePart(**own, part=field.format.year, called=year)] if field.format.year else []
    if year_first(field):
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
    return DatePart(**_own(field), part=sql, called=unit)


def _own(field: Field) -> dict:
    return {name: getattr(field, name) for name in Field.__dataclass_fields__} | {"kind": "period", "missing": ()}


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
    kinds = ("year", "month", "years", "day", "any year", "birthday", "quarter", "end")
    kind = rng.choices(kinds, (4, 3, 3, 2, 1, 1, 1.5, 1))[0]
    if field.format.kind == "month" and kind in ("day", "any year", "birthday", "quarter", "end"):
        kind = "years"
    if kind == "end" and (not year_first(field) or speaker.words(field).participle == "born"):
        kind = "year"
    if kind == "end":
        tests, said = at_end(field, rng.choice(("month", "year")), rng.random() < 0.8)
        return replace(_when(speaker, field, tests[0], said, path), tests=tests)
    if kind == "quarter":
        return _quarter(speaker, field, year, (month + 2) // 3, path)
    if kind == "month":
        tests, said = in_period(field, day[:7])
        return _when(speaker, field, tests[0], said, path, f"{name} {year}")
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
    tests, said = in_quarter(field, year, quarter)
    return replace(_when(speaker, field, tests[0], said, path), tests=tests)


def in_quarter(field: Field, year: str, quarter: int) -> tuple[tuple[Test, ...], str]:
    """The tests of a date in three months of a year, and how that is said."""
    monthly = replace(field, format=replace(field.format, year=field.format.month))
    first, last = f"{3 * quarter - 2:02d}", f"{3 * quarter:02d}"
    nth = {1: "first|1st", 2: "second|2nd", 3: "third|3rd", 4: "fourth|4th|last"}[quarter]
    ends = {1: f"|the first three months of {year}", 4: f"|the last three months of {year}"}.get(quarter, "")
    said = f"in (the ({nth}) quarter of {year}|Q{quarter} {year}|Q{quarter} of {year}{ends})"
    return (Test(field, "year=", year), Test(monthly, "year>=", first), Test(monthly, "year<=", last)), said


def in_period(field: Field, start: str) -> tuple[tuple[Test, ...], str]:
    """The tests of a date in the year '2030' or the month '2030-05', and how that is said."""
    year, _, month = start.partition("-")
    if not month:
        return (Test(field, "year=", year),), f"in {year}"
    name = MONTHS[int(month) - 1]
    pattern = field.format.in_month.format(y=year, m=month, name=name[:3])
    test = Test(field, "=" if field.format.kind == "month" else "month", pattern)
    return (test,), f"in ({name} {year}|{name} {year}|{name[:3]} {year}|{name} of {year})"


def at_end(field: Field, unit: str, last: bool = True) -> tuple[tuple[Test, ...], str]:
    """The tests of a date in the last, or the first, "year", "month" or "quarter" of all that are stored (year first),
    and how that is said."""
    sql = _UNITS.get(unit, f"{_UNITS['year']} || '-' || ((CAST({field.format.month} AS INTEGER) + 2) / 3)")
    part = DatePart(**_own(field), part=sql, called=unit)
    column = sql.replace("{c}", sql_name(field.name))
    known = "".join(f" WHERE {sql_name(field.name)} <> {quoted(m)}" for m in field.missing[:1] if m is not None)
    value = f"SELECT {'MAX' if last else 'MIN'}({column}) FROM {sql_name(field.table)}{known}"
    word = "(latest|most recent|most recent|last)" if last else "(first|earliest|first)"
    where = "(in the data|on record|that we have [any] data for|in the data|in the records)"
    return (Test(part, "= query", value),), f"in the {word} {unit} {where}"
