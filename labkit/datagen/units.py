"""Durations and sizes as people put them: 'ten minutes', '90 seconds', '2 hours', '5 MB' for what a column stores in
milliseconds, seconds or bytes; the bounds that they name of their own accord.

A megabyte is 1,000,000 bytes here (SI), as disks and shops count it.
"""

from labkit.amounts import NUMBER_WORDS

DURATIONS = {"milliseconds": 60_000, "seconds": 60}  # units to a minute, which people name
SIZES = {"bytes": 1_000_000, "kilobytes": 1_000, "megabytes": 1}  # units to a megabyte
ASKED_IN = {  # what is asked for in other units than it is stored in, and how many of its own make one
    "milliseconds": {"minutes": 60_000, "seconds": 1_000}, "seconds": {"minutes": 60, "hours": 3_600},
    "bytes": {"(megabytes|MB)": 1_000_000, "(kilobytes|KB)": 1_000}, "kilobytes": {"(megabytes|MB)": 1_000},
    "megabytes": {"(gigabytes|GB)": 1_000},
}  # fmt: skip
_NAMES = {
    "milliseconds": "milliseconds", "ms": "milliseconds", "millis": "milliseconds", "msec": "milliseconds",
    "seconds": "seconds", "secs": "seconds", "sec": "seconds", "bytes": "bytes", "kilobytes": "kilobytes",
    "kb": "kilobytes", "megabytes": "megabytes", "mb": "megabytes",
}  # fmt: skip
_SECONDS = (1, 2, 3, 5, 10, 15, 20, 30, 45)
_MINUTES = (1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 45, 50, 60, 75, 90)
_HOURS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15, 18, 20, 24, 30, 36, 40, 48, 50, 60, 72, 100, 150, 200, 300, 500)
_LIKED = frozenset([1, 2, 3, 5, 10, 15, 20, 30, 60, 90])  # whole minutes that come to mind first, and whole hours
_MEGABYTES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 250, 300, 400, 500, 750)


def unit_of(name: str) -> str:
    """The unit that a column's name, as words, ends in: "milliseconds", "seconds", "bytes" ...; "" for none."""
    return _NAMES.get(*name.split()[-1:], "") if name.split() else ""


def measures(unit: str) -> bool:
    """Whether numbers in this unit are said in another one: minutes, megabytes."""
    return unit in DURATIONS or unit in SIZES


def named(unit: str) -> dict[int, float]:
    """Bounds that people name, as stored, each with how readily it comes to mind."""
    if unit in SIZES:
        scales = {1e-3: 1.0, 1.0: 2.0, 1e3: 2.0}
        found = {n * scale * SIZES[unit]: w for scale, w in scales.items() for n in _MEGABYTES}
    else:
        second = DURATIONS[unit] / 60
        found = {n * second: 1.0 for n in _SECONDS}
        found |= {n * second * 60: 4.0 if n in _LIKED else 2.0 if n == int(n) else 0.5 for n in _MINUTES}
        found |= {n * second * 3600: 4.0 if n in _LIKED else 2.0 if n == int(n) else 0.5 for n in _HOURS}
    return {int(n): weight for n, weight in found.items() if n == int(n)}


def named_near(value: float, unit: str) -> int:
    """The named bound nearest to `value`, by their ratio; of bounds as near the one that comes to mind."""
    bounds = named(unit)
    return min(bounds, key=lambda n: (max(n, value) / max(min(n, value), 1e-9)) * (1 + 0.05 / bounds[n]))


def said_in(value: float, unit: str) -> str:
    """A wording template for `value` as stored: '(10 minutes|10 min|ten minutes)'; in the unit itself where it is no
    round number in any other."""
    ways = _size(value / SIZES[unit]) if unit in SIZES else _duration(value * 60 / DURATIONS[unit])
    return f"({'|'.join(ways)})" if ways else f"{value:,.10g} {unit}"


def _duration(seconds: float) -> list[str]:
    ways = []
    if seconds >= 3600 and seconds % 1800 == 0:
        ways += _so_many(seconds / 3600, "hour", "h") * (2 if seconds > 5400 else 1)
    if seconds >= 60 and seconds % 30 == 0 and (seconds < 36_000 or not ways):
        ways += _so_many(seconds / 60, "minute", "min") * (1 if seconds > 5400 else 2)
    if seconds < 60 or seconds in (90, 120) or not ways and seconds < 3600:
        ways += _so_many(seconds, "second", "sec") if seconds == int(seconds) else []
    return ways


def _so_many(n: float, unit: str, short: str) -> list[str]:
    """Digits mostly, a word now and then."""
    units = unit if n == 1 else f"{unit}s"
    word = NUMBER_WORDS.get(n)
    return [f"{n:,.6g} {units}", f"{n:,.6g} {units}", f"{n:,.6g} {short}", *([f"{word} {units}"] if word else [])]


def _size(megabytes: float) -> list[str]:
    for scale, short, name in ((1e3, "GB", "gigabytes"), (1, "MB", "megabytes"), (1e-3, "KB", "kilobytes")):
        n = round(megabytes / scale, 6)
        if n >= 1 and n * 10 == int(n * 10):
            name = name[:-1] if n == 1 else name
            return [f"{n:,.6g} {short}", f"{n:,.6g} {short}", f"{n:,.6g}{short}", f"{n:,.6g} {name}"]
    return []
