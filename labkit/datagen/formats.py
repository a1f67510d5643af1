"""How a column's stored texts write their numbers and dates, found from the values alone: the SQL that reads them,
the texts that people say for them.

It knows ways of writing ('$1,234', `6' 10"`, '4.2 kg', '12,50 EUR', '31/12/2030'), no database. `quantities` reads
single values where a query is judged; here a whole column must agree on one way before a query is written.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labkit.datagen.units import measures, named_near, said_in

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_SHORT = "JanFebMarAprMayJunJulAugSepOctNovDec"
_UNITS = {
    "lb": "(pounds|lb|lbs)", "lbs": "(pounds|lb|lbs)", "kg": "(kg|kilos|kilograms)", "g": "(grams|g)",
    "cm": "(cm|centimeters)", "m": "(m|meters)", "km": "(km|kilometers)", "mg": "(mg|milligrams)", "ml": "ml",
    "min": "(minutes|min)", "h": "(hours|h)", "eur": "(euros|euro|EUR)", "usd": "(dollars|USD)", "%": "(percent|%)",
}  # fmt: skip
SIGNS = {"$": "dollars", "€": "euros", "£": "pounds"}


@dataclass(frozen=True)
class Format:
    """One way of writing. `sql` reads `{c}` as a number, or for a date as a text that sorts; empty: nothing to read.

    `kind`: "number", "date" (a day), "month" (month and year) or "text". `unit`: as stored, "ft" for feet and inches.
    `year`, `month`, `day`: that part of a date in SQL; `in_month`: the LIKE pattern of a month; `on_day`: a day's text.
    """

    kind: str
    sql: str = "{c}"
    read: Callable[[object], object] = lambda value: value
    unit: str = ""
    decimals: int = 0
    year: str = ""
    month: str = ""
    in_month: str = ""
    day: str = ""
    on_day: str = ""

    @property
    def stored_as_text(self) -> bool:
        """Whether the stored text must be read before it is compared."""
        return self.sql != "{c}"


TEXT = Format("text")
_NUMBER = Format("number")


def recognise(values: Sequence) -> Format:
    """The format that all of `values` (stored, none of them missing) are written in; `TEXT` when there is none."""
    if not values:
        return TEXT
    if all(isinstance(value, (int, float)) for value in values):
        exact = (n for n in (0, 1, 2) if all(round(value, n) == value for value in values))
        decimals = next(exact, 1)
        return Format("number", decimals=decimals)
    if not all(isinstance(value, str) for value in values):
        return TEXT
    return next(filter(None, (way(values) for way in _WAYS)), TEXT)


def _all(pattern: str, values: Sequence[str]) -> list[re.Match] | None:
    found = [re.fullmatch(pattern, value) for value in values]
    return found if all(found) else None


def _feet(values: Sequence[str]) -> Format | None:
    if not _all(r"\d+' ?\d+\"?", values):
        return None
    place = {value.index("'") + (2 if "' " in value else 1) for value in values}
    inches = f"SUBSTR({{c}}, {place.pop() + 1})" if len(place) == 1 else "SUBSTR({c}, INSTR({c}, '''') + 1)"
    sql = f"CAST({{c}} AS INTEGER) * 12 + CAST({inches} AS INTEGER)"
    return Format("number", sql, _inches, "ft")


def _inches(text: str) -> int:
    feet, inches = re.findall(r"\d+", text)
    return int(feet) * 12 + int(inches)


def _thousands(values: Sequence[str]) -> Format | None:
    found = _all(r"([$€£]?)(-?\d{1,3}(?:,\d{3})*|-?\d+)(\.\d+)?", values)
    if not found or not any("," in m[2] or m[1] for m in found):
        return None
    sign = found[0][1]
    before = all(m[1] for m in found)  # a sign in front of every value is cut off, any other taken out
    sql = ("SUBSTR({c}, 2)" if before else f"REPLACE({{c}}, '{sign}', '')") if sign else "{c}"
    decimals = 2 if any(m[3] for m in found) else 0
    sql = f"CAST(REPLACE({sql}, ',', '') AS {'REAL' if decimals else 'INTEGER'})"
    return Format("number", sql, lambda t: _plain(t.replace(sign or ",", "").replace(",", "")), sign, decimals)


def _decimal_comma(values: Sequence[str]) -> Format | None:
    found = _all(r"-?(\d+|\d{1,3}(?:\.\d{3})+),\d{1,2}\s?([A-Za-z€%]{0,5})", values)
    if not found or len({m[2] for m in found}) > 1:
        return None
    dots = any("." in m[1] for m in found)
    inner = "REPLACE({c}, '.', '')" if dots else "{c}"

    def read(t):
        return (float(re.match(r"-?[\d.,]+", t)[0].replace(".", "").replace(",", ".")))  # fmt: skip

    return Format("number", f"CAST(REPLACE({inner}, ',', '.') AS REAL)", read, found[0][2] or "", 2)


def _with_unit(values: Sequence[str]) -> Format | None:
    found = _all(r"(-?\d+(?:\.\d+)?)\s?([A-Za-z]{0,5}|%)", values)
    if not found or len({m[2] for m in found}) > 1 or (not found[0][2] and any(re.match(r"0\d", v) for v in values)):
        return None
    decimals = 1 if any("." in m[1] for m in found) else 0
    if not found[0][2] and not decimals and len({len(v) for v in values}) == 1 and len(values[0]) > 6:
        return None  # numbers of one length are codes
    kind = "REAL" if decimals else "INTEGER"
    return Format(
        "number", f"CAST({{c}} AS {kind})", lambda t: _plain(re.match(r"-?[\d.]+", t)[0]), found[0][2], decimals
    )


def _plain(digits: str) -> float | int:
    return float(digits) if "." in digits else int(digits)


def _iso(values: Sequence[str]) -> Format | None:
    if not _all(r"(1[5-9]|2[01])\d\d-[01]\d-[0-3]\d([ T].*)?", values):
        return None
    parts = {"year": "SUBSTR({c}, 1, 4)", "month": "SUBSTR({c}, 6, 2)", "day": "SUBSTR({c}, 6, 5)"}
    return Format("date", read=lambda t: t[:10], in_month="{y}-{m}-%", on_day="{m}-{d}", **parts)


def _day_first(values: Sequence[str]) -> Format | None:
    found = _all(r"(\d\d)([./-])(\d\d)\2(\d{4})", values)
    if not found or len({m[2] for m in found}) > 1 or max(int(m[3]) for m in found) > 12:
        return None
    return _parted(found[0][2], month=4, day=1, on_day="{d}|{m}", in_month="%|{m}|{y}")


def _month_first(values: Sequence[str]) -> Format | None:
    found = _all(r"([01]\d)([/-])([0-3]\d)\2(\d{4})", values)
    if not found or len({m[2] for m in found}) > 1:
        return None
    return _parted(found[0][2], month=1, day=4, on_day="{m}|{d}", in_month="{m}|%|{y}")


def _parted(sign: str, month: int, day: int, on_day: str, in_month: str) -> Format:
    """A date of ten characters with the year behind; `month` and `day` are the places of those two."""
    parts = {"year": "SUBSTR({c}, 7, 4)", "month": f"SUBSTR({{c}}, {month}, 2)", "day": "SUBSTR({c}, 1, 5)"}
    sql = f"SUBSTR({{c}}, 7, 4) || '-' || {parts['month']} || '-' || SUBSTR({{c}}, {day}, 2)"
    on_day, in_month = on_day.replace("|", sign), in_month.replace("|", sign)

    def read(text: str) -> str:
        return f"{text[6:10]}-{text[month - 1 : month + 1]}-{text[day - 1 : day + 1]}"

    return Format("date", sql, read, on_day=on_day, in_month=in_month, **parts)


def _month_and_year(values: Sequence[str]) -> Format | None:
    names = "|".join(re.findall("...", _SHORT))
    if not _all(rf"({names}) \d{{4}}", values):
        return None
    month = f"(INSTR('{_SHORT}', SUBSTR({{c}}, 1, 3)) + 2) / 3"
    sql = f"CAST(SUBSTR({{c}}, 5) AS INTEGER) * 12 + {month}"

    def read(text: str) -> str:
        return f"{text[4:]}-{_SHORT.index(text[:3]) // 3 + 1:02d}-01"

    return Format("month", sql, read, year="SUBSTR({c}, 5)", in_month="{name} {y}")


_WAYS = (_feet, _thousands, _decimal_comma, _with_unit, _iso, _day_first, _month_first, _month_and_year)


# --- as people say it -------------------------------------------------------------------------------------------------


def say(value: float, how: Format) -> str:
    """A wording template (see `phrases.expand`) for a number of that format: `(6' 7"|6 foot 7|...)`."""
    if how.unit == "ft":
        feet, inches = divmod(int(value), 12)
        if not inches:
            return f"({feet}' 0\"|{feet} feet|{feet} foot|{feet}'0\")"
        as_stored = f"{feet}' {inches}\"|{feet}' {inches}\"|{feet}'{inches}\""
        return f"({as_stored}|{feet} foot {inches}|{feet} feet {inches}|{feet} ft {inches})"
    if measures(how.unit):
        return said_in(value, how.unit)
    if how.unit in SIGNS:
        return _say_money(value, how.unit, SIGNS[how.unit])
    number = (
        f"{value:,.{how.decimals}f}".removesuffix(".00").removesuffix(".0")
        if value >= 10_000 or how.decimals
        else f"{value:g}"
    )
    unit = _UNITS.get(how.unit.lower(), how.unit)
    if how.unit == "%":
        return f"({number}%|{number}%|{number} percent)"
    if not unit and value >= 10_000:
        return f"({number}|{number.replace(',', '')})"
    return f"{number} {unit}".strip()


def _say_money(value: float, sign: str, name: str) -> str:
    plain = f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
    ways = [f"{sign}{plain}", f"{plain} {name}", plain]
    if value >= 1_000_000 and value % 100_000 == 0:
        short = f"{value / 1_000_000:g}"
        ways = [
            f"{sign}{plain}",
            f"{sign}{short} million",
            f"{short} million {name}",
            f"{short} million",
            f"{sign}{short}M",
        ]
    elif value >= 1000 and value % 1000 == 0:
        ways += [f"{sign}{value // 1000:g}k", f"{value // 1000:g} thousand {name}"]
    return "(" + "|".join(ways) + ")"


def round_bound(value: float, unit: str = "") -> float | int:
    """A bound that a person would name near `value`: 8,431,200 -> 8,500,000; 37.4 -> 37; 594,000 ms -> 600,000."""
    if measures(unit):
        return named_near(value, unit)
    if abs(value) < 20:
        return round(value, 0) if abs(value) >= 3 or value == int(value) else round(value, 1)
    step = 10 ** (len(str(int(abs(value)))) - 2) * (5 if abs(value) >= 100 else 1)
    return int(round(value / step) * step)
