"""What a question mentions: values that stand in the database, and numbers; each with its place in the text.

Value linking is exact but for case, a plural s and a genitive: what is found names a row for certain. A mention can be
blanked out (two questions that differ in their values alone then read the same) or carried over into another query.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.execution import Limits, execute_many
from labkit.schema import quote, read_schema

PER_COLUMN = 5_000  # distinct texts of a column that are known
_LONGEST = 6  # words of a value
_WORD = re.compile(r"\S+")
_NUMBER = re.compile(r"(?<![\w.])[$€£]?(\d[\d,]*(?:\.\d+)?)(?![\w])")
_SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_YEAR = re.compile(r"(19|20)\d\d")


@dataclass(frozen=True)
class Mention:
    """`text[start:end]` of a question names `value`: a stored text of those `columns`, or a number (no columns)."""

    start: int
    end: int
    value: str
    columns: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        """ "value", "year" or "number"."""
        return "value" if self.columns else "year" if _YEAR.fullmatch(self.value) else "number"


class Values:
    """The texts in a database's columns, by their lower-case spelling."""

    def __init__(self, database: str | Path):
        self.columns: dict[str, set[str]] = {}  # lower-case text -> columns "table.column" that hold it
        self.spelt: dict[str, str] = {}  # lower-case text -> as it is stored
        self.example: dict[str, str] = {}  # column -> one of its texts
        schema = read_schema(database)
        places = [(table.name, column.name) for table in schema.tables if not table.is_view for column in table.columns]
        queries = [
            f"SELECT DISTINCT {quote(column)} FROM {quote(table)} WHERE typeof({quote(column)}) = 'text' "
            f"LIMIT {PER_COLUMN}"
            for table, column in places
        ]
        results = execute_many(schema.database, queries, Limits(seconds=10.0, rows=PER_COLUMN))
        for (table, column), result in zip(places, results, strict=True):
            name = f"{table}.{column}".casefold()
            for (text,) in result.rows:
                if len(text) > 2 and re.search(r"[^\W\d]", text):
                    self.columns.setdefault(text.casefold(), set()).add(name)
                    self.spelt.setdefault(text.casefold(), text)
                    self.example.setdefault(name, text)

    def mentions(self, question: str) -> tuple[Mention, ...]:
        """All mentions, in the order of the text; of two that overlap the longer one."""
        found = self._named(question)
        taken = [range(mention.start, mention.end) for mention in found]
        free = [m for m in _numbers(question) if not any(m.start in place for place in taken)]
        return tuple(sorted([*found, *free], key=lambda mention: mention.start))

    def blanked(self, question: str, mentions: Sequence[Mention]) -> str:
        """The question with every mention replaced by one that stands for its kind: an example of the column, a year,
        a number. Questions about other values of the same columns become the same text."""
        for mention in reversed(mentions):
            stand_in = {"year": "2020", "number": "10"}.get(mention.kind) or self.example[min(mention.columns)]
            question = question[: mention.start] + stand_in + question[mention.end :]
        return question

    def _named(self, question: str) -> list[Mention]:
        words, found, used = list(_WORD.finditer(question)), [], set()
        for length in range(min(_LONGEST, len(words)), 0, -1):
            for first in range(len(words) - length + 1):
                places = range(first, first + length)
                if used.isdisjoint(places) and (mention := self._known(question, words[first], words[places[-1]])):
                    found.append(mention)
                    used.update(places)
        return found

    def _known(self, question: str, first: re.Match, last: re.Match) -> Mention | None:
        whole = question[first.start() : last.end()]
        for text in dict.fromkeys(_spellings(whole)):
            for form in (text, text + "s", text.removesuffix("s")):
                if columns := self.columns.get(form.casefold()):
                    start = first.start() + whole.index(text)
                    return Mention(start, start + len(text), form.casefold(), frozenset(columns))
        return None


def _spellings(text: str) -> Iterable[str]:
    yield text
    bare = text.strip("\"'“”‘’().,?!:;")
    yield bare
    yield re.sub(r"['’]s?$", "", bare)


def _numbers(question: str) -> list[Mention]:
    found = [Mention(m.start(), m.end(), m[1].replace(",", "")) for m in _NUMBER.finditer(question)]
    for match in re.finditer(r"[A-Za-z]+", question):
        if (word := match[0].lower()) in _SMALL[2:]:  # "one" is seldom a number
            found.append(Mention(match.start(), match.end(), str(_SMALL.index(word))))
    return found
