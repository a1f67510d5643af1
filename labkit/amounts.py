"""Amounts that a question mentions: numbers, sums of money, heights, durations, sizes, months, quarters, days, dates;
each with the ways in which a database may write it.

'March 2030' is '2030-03' here and '03/2030' there; '6 foot 7' is 79 inches or the text `6' 7"`; 'ten minutes' are 600
seconds or 600000 milliseconds. Which one a query holds is seen where the query is; this module knows the ways alone,
no database.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december"]  # fmt: skip
_SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_TENS = {
    15: "fifteen",
    20: "twenty",
    30: "thirty",
    40: "forty",
    45: "forty-five",
    50: "fifty",
    60: "sixty",
    90: "ninety",
}
NUMBER_WORDS: dict[float, str] = {**{n: word for n, word in enumerate(_SMALL) if n}, **_TENS}
_YEAR = re.compile(r"(19|20)\d\d")
_MONTH = "(" + "|".join(m if len(m) < 4 else f"{m[:3]}(?:{m[3:]}|t)?" for m in _MONTHS) + r")\b\.?"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_SCALES = {"k": 1_000, "thousand": 1_000, "m": 1_000_000, "million": 1_000_000, "bn": 10**9, "billion": 10**9}
_MANY = rf"{_DIGITS}|{'|'.join(sorted(NUMBER_WORDS.values(), key=len, reverse=True))}"
_SPANS = {"milli": 0.001, "ms": 0.001, "s": 1, "m": 60, "h": 3_600}  # seconds, by how the unit begins
_SPAN = r"(milliseconds?|ms|seconds?|secs?|minutes?|mins?|hours?|hrs?|h)\b"
_BYTES = {"k": 1, "m": 2, "g": 3}  # powers of a thousand, or of 1,024
_QUARTERS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4}
_OF_A_YEAR = r"(?=(?: of)?(?: the year)?,? (?:19|20)\d\d\b)"


@dataclass(frozen=True)
class Amount:
    """`text[start:end]`, what it is ("number", "year", "length", "duration", "size", "month", "quarter", "day", "date",
    "any month") and its forms: of one kind the same number of forms in the same order."""

    start: int
    end: int
    kind: str
    forms: tuple[str, ...]


def amounts(text: str) -> list[Amount]:
    """All amounts of a text, in its order; of two that overlap the longer kind (a date before its year)."""
    found: list[Amount] = []
    for pattern, read in _WAYS:
        for match in pattern.finditer(text):
            free = all(match.end() <= a.start or match.start() >= a.end for a in found)
            if free and (amount := read(match)):
                found.append(Amount(match.start(), match.end(), *amount))
    return sorted(found, key=lambda a: a.start)


Read = tuple[str, tuple[str, ...]] | None


def _date(year: int, month: int, day: int) -> Read:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    y, m, d = f"{year}", f"{month:02d}", f"{day:02d}"
    return "date", (f"{y}-{m}-{d}", f"{d}/{m}/{y}", f"{d}.{m}.{y}", f"{m}/{d}/{y}")


def _month_of(year: int, month: int) -> Read:
    y, m = f"{year}", f"{month:02d}"
    return "month", (f"{y}-{m}", f"{m}/{y}", f"{m}.{y}", f"{_MONTHS[month - 1][:3].capitalize()} {y}")


def _day_of(month: int, day: int) -> Read:
    m, d = f"{month:02d}", f"{day:02d}"
    return ("day", (f"{m}-{d}", f"{d}/{m}", f"{d}.{m}", f"{m}/{d}")) if 1 <= day <= 31 else None


def _length(feet: int, inches: int) -> Read:
    return ("length", (str(12 * feet + inches), f"{feet}' {inches}\"", f"{feet}'{inches}\"")) if inches < 12 else None


def _many(said: str) -> float:
    words = {word: n for n, word in NUMBER_WORDS.items()}
    return words[said.lower()] if said.lower() in words else float(said.replace(",", ""))


def _span(*parts: tuple[str | float, str]) -> Read:
    """A duration in milliseconds, seconds, minutes, hours; the parts are added up: 1 hour 30 minutes."""
    seconds = sum(
        (n if isinstance(n, float) else _many(n))
        * next(s for name, s in _SPANS.items() if unit.lower().startswith(name))
        for n, unit in parts
    )
    return "duration", tuple(f"{seconds / unit:.10g}" for unit in (0.001, 1, 60, 3_600))


def _size(said: str, unit: str) -> Read:
    """So many bytes, by thousands and by 1,024; and the number as it is said."""
    n, power = _many(said), _BYTES[unit[0].lower()]
    return "size", tuple(f"{x:.15g}" for x in (n * 1000**power, n * 1024**power, n))


def _quarter(number: int) -> Read:
    """The first and the last month of three."""
    return "quarter", (f"{3 * number - 2:02d}", f"{3 * number:02d}")


def _number(digits: str, scale: str = "") -> Read:
    value = float(digits.replace(",", "")) * _SCALES.get(scale.lower(), 1)
    plain = str(int(value)) if scale and value.is_integer() else digits.replace(",", "")
    if _YEAR.fullmatch(digits) and not scale:
        return "year", (plain,)
    return "number", (plain, f"{int(plain):,}" if plain.isdigit() else plain)


def _number_of(name: str) -> int:
    return next(i for i, month in enumerate(_MONTHS, 1) if month[:3] == name[:3].lower())


def _way(pattern: str, read: Callable[[re.Match], Read], flags: int = re.IGNORECASE) -> tuple:
    return re.compile(pattern, flags), read


_WAYS: tuple[tuple[re.Pattern, Callable[[re.Match], Read]], ...] = (
    _way(r"\b(\d{4})-(\d\d)-(\d\d)\b", lambda m: _date(int(m[1]), int(m[2]), int(m[3]))),
    _way(rf"\b{_DAY}(?: of)? {_MONTH},? (\d{{4}})\b", lambda m: _date(int(m[3]), _number_of(m[2]), int(m[1]))),
    _way(rf"\b{_MONTH} {_DAY},? (\d{{4}})\b", lambda m: _date(int(m[3]), _number_of(m[1]), int(m[2]))),
    _way(rf"\b{_MONTH}(?: of)?,? (\d{{4}})\b", lambda m: _month_of(int(m[2]), _number_of(m[1]))),
    _way(rf"\b{_MONTH} {_DAY}\b", lambda m: _day_of(_number_of(m[1]), int(m[2]))),
    _way(rf"\b{_DAY}(?: of)? {_MONTH}\b", lambda m: _day_of(_number_of(m[2]), int(m[1]))),
    _way(
        rf"(?<=\b(?:in|of) )(?-i:{'|'.join(m.capitalize() for m in _MONTHS)})\b|(?<=\bany ){_MONTH}\b",
        lambda m: ("any month", (f"{_number_of(m[0]):02d}",)),
    ),
    *(
        _way(
            rf"(?<!between )(?<![\w.-])({_MANY})[ -]?({longer}),? (?:and )?({_MANY})[ -]?({shorter})\b",
            lambda m: _span((m[1], m[2]), (m[3], m[4])),
        )
        for longer, shorter in (("hours?|hrs?|h", "minutes?|mins?"), ("minutes?|mins?", "seconds?|secs?"))
    ),
    _way(rf"(?<![\w.-])({_MANY})[ -]?{_SPAN}", lambda m: _span((m[1], m[2]))),
    _way(
        rf"(?:(?<=between )|(?<=from ))({_MANY})(?= (?:and|to) (?:{_MANY})[ -]?{_SPAN})", lambda m: _span((m[1], m[2]))
    ),
    _way(rf"(?<![\w.-])({_MANY}) and a half {_SPAN}", lambda m: _span((_many(m[1]) + 0.5, m[2]))),
    _way(r"\bhalf an hour\b", lambda m: _span((0.5, "hour"))),
    _way(
        r"(?:(?<=than )|(?<=over )|(?<=under )|(?<=least )|(?<=most ))an? (minute|hour)\b", lambda m: _span((1.0, m[1]))
    ),
    _way(rf"(?<![\w.-])({_MANY}) ?([kmg](?:b|ilobytes?|egabytes?|igabytes?))\b", lambda m: _size(m[1], m[2])),
    _way(r"\bQ([1-4])\b", lambda m: _quarter(int(m[1]))),
    _way(
        rf"\b({'|'.join(_QUARTERS)}|last|final) quarter\b{_OF_A_YEAR}",
        lambda m: _quarter(_QUARTERS.get(m[1].lower(), 4)),
    ),
    _way(
        rf"\b(first|last|final) (?:three|3) months\b{_OF_A_YEAR}",
        lambda m: _quarter(1 if m[1].lower() == "first" else 4),
    ),
    _way(r"(?<![\w.])(\d)' ?(\d{1,2})(?:\"|''|(?!\w))", lambda m: _length(int(m[1]), int(m[2]))),
    _way(
        r"(?<![\w.])(\d) ?(?:foot|feet|ft)\b\.?(?: (\d{1,2})(?![\w,.]\d)\b)?",
        lambda m: _length(int(m[1]), int(m[2] or 0)),
    ),
    _way(r"(?<![\w.])[$€£]?(" + _DIGITS + r") ?(million|thousand|billion|bn|[mk])\b", lambda m: _number(m[1], m[2])),
    _way(r"(?<![\w.])[$€£]?(" + _DIGITS + r")(?![\w])", lambda m: _number(m[1])),
    _way(rf"(?<![\w-])({'|'.join(_SMALL[2:])})(?![\w-])", lambda m: _number(str(_SMALL.index(m[0].lower())))),
)  # "one" is seldom a number


def stand_in(kind: str) -> str:
    """A text for the kind: questions that differ in amounts alone read the same with it."""
    return {
        "year": "2020", "number": "10", "length": "6' 5\"", "month": "May 2020", "day": "May 10", "any month": "May",
        "date": "10 May 2020", "duration": "10 minutes", "size": "10 MB", "quarter": "Q1",
    }[kind]  # fmt: skip


def compared(form: str, sql: str) -> bool:
    """Whether a query compares something with this number: `> 600000`, `BETWEEN 10 AND ...`, but not `LIMIT 10`."""
    return bool(re.search(rf"(?:[<>=]|\b(?:between|and))\s*'?{re.escape(form)}(?!\d|\.\d)", sql, re.IGNORECASE))


def placed(inside: str, forms: tuple[str, ...]) -> Iterator[tuple[int, int, int]]:
    """Where the text of a literal, in lower case, holds one of the forms, not within a longer number: (number of the
    form, start, end)."""
    for number, form in enumerate(forms):
        at = inside.find(form.casefold())
        around = inside[at - 1 : at] + inside[at + len(form) : at + len(form) + 1]
        if at >= 0 and not any(c.isdigit() for c in around):
            yield number, at, at + len(form)
