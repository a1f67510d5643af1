"""What a stored text says: a missing value, a number with its unit, a height, a date; and whether it sorts and casts
as that.

This knows formats, no database and no query.
"""

import re

from labkit.schema import PLACEHOLDERS


def is_placeholder(value) -> bool:
    """Whether a stored value is a text that stands for a missing one."""
    return isinstance(value, str) and value.strip().casefold() in PLACEHOLDERS


_FEET = re.compile(r"(\d+)\s*'\s*(\d+)\s*\"?")
_DATE = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})")
_MONTH = re.compile(r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(\d{4})", re.IGNORECASE)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_NUMBER = re.compile(r"[$€£]?\s*([-+]?\d+(?:[.,]\d+)*)\s*(?:[a-zA-Z]{1,5}|[%€$£])?")


def magnitude(text: str) -> float | None:
    """The quantity or day that a text writes ('$1,234', '33.8%', `6' 10"`, '235 lb', '08/05/2031'), None for other
    texts.
    """
    text = text.strip()
    if match := _FEET.fullmatch(text):
        return int(match[1]) * 12 + int(match[2])
    if match := _DATE.fullmatch(text):
        return int(match[3]) * 10_000 + int(match[2]) * 100 + int(match[1])
    if match := _MONTH.fullmatch(text):
        return int(match[2]) * 12 + _MONTHS.index(match[1].lower())
    match = _NUMBER.fullmatch(text)
    return _decimal(match[1]) if match else None


def _decimal(digits: str) -> float | None:
    """'1,234,567' and '1,234' have separators of thousands, '12,50' a decimal comma."""
    if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", digits):
        digits = digits.replace(",", "")
    try:
        return float(digits.replace(",", "."))
    except ValueError:
        return None


def sorts_wrongly(values: list) -> tuple[str, str] | None:
    """Two of the texts that stand in another order as texts than by what they say, None when the orders agree.

    Only where nearly all values are such texts: a few names that look like numbers prove nothing.
    """
    texts = [value for value in values if isinstance(value, str) and not is_placeholder(value)]
    read = [(text, magnitude(text)) for text in texts]
    known = sorted((text, number) for text, number in read if number is not None)
    others = sum(value is not None and not is_placeholder(value) for value in values)
    if len(known) < 2 or len(known) < 0.9 * others:
        return None
    return next(((a, b) for (a, x), (b, y) in zip(known, known[1:], strict=False) if x > y), None)


def is_clean_number(value) -> bool:
    """Whether CAST reads all of the value: no text, or digits with at most a unit behind ('235 lb', the 10" of a
    height).

    The year of '2003-09-27' counts as well: it is what such a cast is for.
    """
    if not isinstance(value, str):
        return True
    return bool(
        re.fullmatch(r"\s*[-+]?(\d+(\.\d*)?|\.\d+)\s*([a-zA-Z]{1,5}|[%'\"€]{0,2})\s*|\d{4}-\d\d(-\d\d.*)?", value)
    )
