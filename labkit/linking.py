"""What a question mentions: values that stand in the database, parts of them, and amounts; each with its place.

Value linking is exact but for case, a plural s and a genitive, and a word that only one value holds ('Sandoval'): what
is found names a row for certain. A mention can be blanked out (two questions that differ in their values alone then
read the same) or carried over into another query.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.amounts import amounts, compared, stand_in
from labkit.execution import Limits, execute_many
from labkit.schema import quote, read_schema

PER_COLUMN = 5_000  # distinct texts of a column that are known
_LONGEST = 6  # words of a value
_WORD = re.compile(r"\S+")
MEASURED = ("duration", "size")  # kinds of amounts that queries hold in one of several units
_PART = "part"  # the kind of a word that stands in several values, such as a first name
_NAMES = 15  # values of several words that a column holds, for their words to be parts of names


@dataclass(frozen=True)
class Mention:
    """`text[start:end]` of a question names `value`: a stored text of those `columns`, or an amount or a part of a name
    (no columns). `kind`: "value", "part" or that of the amount; `forms`: the ways in which a query may hold it."""

    start: int
    end: int
    value: str
    columns: frozenset[str] = frozenset()
    kind: str = "value"
    forms: tuple[str, ...] = ()


class Values:
    """The texts in a database's columns, by their lower-case spelling."""

    def __init__(self, database: str | Path):
        self.columns: dict[str, set[str]] = {}  # lower-case text -> columns "table.column" that hold it
        self.spelt: dict[str, str] = {}  # lower-case text -> as it is stored
        self.example: dict[str, str] = {}  # column -> one of its texts
        self.parts: dict[str, set[str]] = {}  # lower-case word -> texts of several words that it stands in
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
            self._take_apart([text for (text,) in result.rows if len(text.split()) > 1])
            for (text,) in result.rows:
                if len(text) > 2 and re.search(r"[^\W\d]", text):
                    self.columns.setdefault(text.casefold(), set()).add(name)
                    self.spelt.setdefault(text.casefold(), text)
                    self.example.setdefault(name, text)

    def _take_apart(self, texts: Sequence[str]) -> None:
        """First and last words of a column of names."""
        for text in texts if len(texts) >= _NAMES else ():
            for word in (text.split()[0], text.split()[-1]):
                if len(word) > 2 and word.isalpha() and word[0].isupper():
                    self.parts.setdefault(word.casefold(), set()).add(text.casefold())

    def mentions(self, question: str) -> tuple[Mention, ...]:
        """All mentions, in the order of the text; of two that overlap the longer one."""
        found: list[Mention] = []
        whole = sorted([*self._named(question), *_amounts(question)], key=lambda m: m.start - m.end)
        for mention in [*whole, *self._partly(question)]:
            if all(mention.end <= other.start or mention.start >= other.end for other in found):
                found.append(mention)
        return tuple(sorted(found, key=lambda mention: mention.start))

    def blanked(self, question: str, mentions: Sequence[Mention]) -> str:
        """The question with every mention replaced by one that stands for its kind: an example of the column, a year,
        a number. Questions about other values of the same columns become the same text."""
        for mention in reversed(mentions):
            other = self.example[min(mention.columns)] if mention.columns else _other(mention.kind)
            question = question[: mention.start] + other + question[mention.end :]
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

    def _partly(self, question: str) -> list[Mention]:
        """Words in capitals, within a sentence, that stand in names: in one only, they name it."""
        found = []
        for match in re.finditer(r"(?<=[\w,;:] )[A-Z][a-z]+(?=['’]s\b|\b(?!['’]))", question):
            texts = self.parts.get(match[0].casefold(), ())
            if len(texts) == 1:
                (text,) = texts
                found.append(Mention(match.start(), match.end(), text, frozenset(self.columns[text])))
            elif texts:
                found.append(Mention(match.start(), match.end(), match[0].casefold(), kind=_PART, forms=(match[0],)))
        return found

    def _known(self, question: str, first: re.Match, last: re.Match) -> Mention | None:
        whole = question[first.start() : last.end()]
        for text in dict.fromkeys(_spellings(whole)):
            for form in (text, text + "s", text.removesuffix("s")):
                if columns := self.columns.get(form.casefold()):
                    start = first.start() + whole.index(text)
                    return Mention(start, start + len(text), form.casefold(), frozenset(columns))
        return None


def lacking(mentions: Iterable[Mention], sql: str) -> int:
    """How many of the values mentioned the query does not hold, in any form. Plain numbers don't count: "in one row,
    two numbers" speaks of the answer."""
    values = {mention.value: mention for mention in mentions if mention.kind != "number"}
    return sum(not _holds(sql.casefold(), mention) for mention in values.values())


def _holds(sql: str, mention: Mention) -> bool:
    """A small number, as durations, sizes and months may be, must be compared with or stand in a date."""
    forms = (mention.value, *mention.forms)
    if mention.kind in (*MEASURED, "quarter"):
        return any(compared(form, sql) or f"-{form}-" in sql for form in forms)
    return any(form.casefold() in sql for form in forms)


def _spellings(text: str) -> Iterable[str]:
    yield text
    bare = text.strip("\"'“”‘’().,?!:;")
    yield bare
    yield re.sub(r"['’]s?$", "", bare)


def _amounts(question: str) -> list[Mention]:
    return [Mention(a.start, a.end, a.forms[0], kind=a.kind, forms=a.forms) for a in amounts(question)]


def _other(kind: str) -> str:
    return "Alex" if kind == _PART else stand_in(kind)
