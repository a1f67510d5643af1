"""A draft glossary: what the database leaves unsaid, as rows whose first cell a person fills in.

Codes, words for missing values, names that look alike, short names. A row with nothing in its first cell says nothing
(`datagen.glossary.entries` passes it over), and none is proposed that the reader of glossaries would not understand.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from labkit.datagen.glossary import read_glossary
from labkit.datagen.world import JOINT, Field, World
from labkit.workspace.check import Finding

_HEAD = """\
# What people say

What the words of your business mean, a row each; `labkit run` words its questions with them. Rows read so:

    | say | means |
    |---|---|
    | colleague, staff member | a row of `employees` |
    | active customer | `customers.status` is A |
    | pay | `employees.salary` |
    | the most, the least | name and number |

The last one says that what ranks is shown beside the name, asked for or not. Your own:

| say | means |
|---|---|
"""
_FOUND = """
## Found in the database

Nobody wrote down what these stand for. Write into a row's first cell what your colleagues say, several words with
commas. A row whose first cell is empty says nothing, and may go.
"""
_TITLES = {
    "codes": "Codes: what does each one stand for?",
    "missing": "Stored where a value is missing: what does it mean?",
    "alike": "Names that look alike: which is which?",
    "short": "Short names: what are they called in full?",
}
_MOST = 24  # rows of a kind
_CODE, _CODES = 3, 8  # letters of a code, and codes of a column, at most
_SHORT = re.compile(
    "addr|amt|avg|bal|cat|cust|dept|desc|disc|dob|doj|emp|idx|inv|loc|num|ord|org|prod|qty|rec|ref|rev|seq|stat|tel"
    "|temp|tot|usr|util|val|vol|[^aeiouy0-9]{2,4}"
)


def glossary(world: World, found: Sequence[Finding]) -> str:
    """The file's text, for what `found` and the tables say."""
    rows = {"codes": _codes(world), "missing": _missing(world), "alike": _alike(world, found), "short": _short(world)}
    parts = []
    for kind, proposed in rows.items():
        good = [meaning for meaning in dict.fromkeys(proposed) if _read(world, meaning)]
        if good:
            lines = [f"| | {meaning} |" for meaning in good[:_MOST]]
            more = [f"\n{len(good) - _MOST} more of this kind are left out."] if len(good) > _MOST else []
            parts.append("\n".join([f"\n### {_TITLES[kind]}\n", "| say | means |", "|---|---|", *lines, *more]) + "\n")
    return _HEAD + (_FOUND + "".join(parts) if parts else "")


def _read(world: World, meaning: str) -> bool:
    """Whether a filled row would be understood."""
    return (
        "|" not in meaning and "\n" not in meaning and not read_glossary(f"| word | {meaning} |", world).not_understood
    )


def _codes(world: World) -> Iterator[str]:
    for field in world.fields():
        values = [value for value, _ in field.values]
        texts = [value for value in values if isinstance(value, str) and len(value) <= _CODE]
        capitals = any(text.isupper() for text in texts)
        if field.kind in ("category", "flag") and capitals and len(texts) == len(values) <= _CODES and not field.names:
            yield from (f"`{field.ref}` is {text}" for text in texts)


def _missing(world: World) -> Iterator[str]:
    for field in world.fields():
        yield from (f"`{field.ref}` is {text}" for text in field.missing if text)


def _alike(world: World, found: Iterable[Finding]) -> Iterator[str]:
    for finding in found:
        if finding.kind == "look-alike":
            named = [f for f in _plain(world) if f.table == finding.table and repr(f.name) in finding.text]
            yield from map(_shown, named)


def _short(world: World) -> Iterator[str]:
    for field in _plain(world):
        if any(map(_SHORT.fullmatch, field.words.split())):
            yield _shown(field)


def _plain(world: World) -> Iterator[Field]:
    """Fields of one column that are no keys and no names."""
    for field in world.fields():
        if field.kind not in ("id", "link", "label") and JOINT not in field.name:
            yield field


def _shown(field: Field) -> str:
    """The column with a value, by which a person knows it again."""
    value = str(field.values[0][0]) if field.values else ""
    plain = value and len(value) < 30 and not set(value) & set("`*|;\n")
    return f"`{field.ref}`" + f", such as {value}" * bool(plain)
