"""New texts in a column's stored formats, put together from the parts of those that it holds: other ids, other amounts
written with the same commas, other dates.

It looks at one column's texts and at nothing else; which values must keep together is `observed`.
"""

import random
import re

ID_SHAPE = re.compile(r"[A-Za-z]{1,6}[-_/ ]?\d+([-_/]\d+)*")
NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"\w+")
_LETTERS = re.compile(r"[^\W\d_]+")
_DATE = re.compile(r"\d{4}([-/.])\d\d\1\d\d.*|\d\d([-/.])\d\d\2\d{4}.*", re.DOTALL)


def is_closed(values: list) -> bool:
    """Whether a column takes a few values again and again: a season, a status, a rank. No other is to be invented."""
    distinct = len(set(values))
    return distinct <= 12 and len(values) >= 20 * distinct


class Stock:
    """The texts of a column by shape, from whose parts new texts of the same shape are made."""

    def __init__(self, values: list):
        self.known = {value for value in values if isinstance(value, str)}
        self.by_shape: dict[str, list[list[str]]] = {}
        for text in sorted(self.known):
            self.by_shape.setdefault(_shape(text), []).append(_finder(text).findall(text))

    def has_shape_of(self, text: str) -> bool:
        """Whether the column holds texts built like this one, such as dates like this date."""
        return bool(NUMBER.search(text)) and _shape(text) in self.by_shape

    def recombined(self, text: str, rng: random.Random) -> str:
        """`text` with some of its numbers (or words, where it has no number) as they stand in others of its shape.

        `$1,234,567` stays an amount with its commas, `6' 10"` a height that occurs in parts. A date stays a date: one
        after the 28th is left alone.
        """
        alike, find = self.by_shape.get(_shape(text)), _finder(text)
        if not alike or _is_late(text):
            return text
        old = find.findall(text)
        new = [rng.choice(alike)[i] if rng.random() < 0.6 else part for i, part in enumerate(old)]
        result = "".join(gap + part for gap, part in zip(find.split(text), [*new, ""], strict=True))
        return text if _is_late(result) else result

    def new_key(self, text: str, rng: random.Random) -> str | None:
        """A text like `text` that the column does not hold; None when none is found."""
        for _ in range(8):
            new = _other_id(text, rng) if ID_SHAPE.fullmatch(text) else self.recombined(text, rng)
            if new not in self.known:
                self.known.add(new)
                return new
        return None


def _finder(text: str) -> re.Pattern:
    return NUMBER if NUMBER.search(text) else _WORD


def _shape(text: str) -> str:
    return _LETTERS.sub("a", NUMBER.sub("0", text))


def _is_late(text: str) -> bool:
    return bool(_DATE.fullmatch(text)) and any(int(p) > 28 for p in NUMBER.findall(text[:10]) if len(p) == 2)


def _other_id(text: str, rng: random.Random) -> str:
    last = list(NUMBER.finditer(text))[-1]
    digits = str(rng.randrange(10 ** len(last[0]))).zfill(len(last[0]))
    return text[: last.start()] + digits + text[last.end() :]
