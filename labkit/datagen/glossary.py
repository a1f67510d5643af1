"""Reads a glossary: rows of a Markdown table, or lines `term: meaning`. What a meaning can say is `naming`,
`meanings` and `measures`.

A line that no rule understands is left out and listed, so that its author sees what to say more plainly.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from textwrap import dedent

from labkit.datagen import meanings, measures, naming
from labkit.datagen.terms import Glossary, Line, Measure
from labkit.datagen.world import World
from labkit.errors import LabkitError


def read_glossary(text: str, world: World) -> Glossary:
    """What the glossary says about the tables and columns of `world`."""
    found = Glossary()
    lines = [Line(world, found, terms, meaning) for terms, meaning in entries(text)]
    named = [_apply(naming.RULES, line) for line in lines]
    for line, known in zip(lines, named, strict=True):
        if not _apply((*meanings.RULES, *measures.RULES), line) and not known:
            found.not_understood.append(f"{', '.join(line.terms)}: {line.meaning}")
    return found


def _apply(rules: Sequence[Callable[[Line], bool]], line: Line) -> bool:
    """Every rule reads the line, for it may say several things; whether one understood it."""
    understood = [rule(line) for rule in rules]
    return any(understood)


def glossary_text(path: str | Path) -> str:
    """What the file says; LabkitError for one that cannot be read, or is not UTF-8."""
    try:
        return Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise LabkitError(f"{path}, line {line}: not UTF-8. Save the file as UTF-8.") from None
    except OSError as error:
        raise LabkitError(f"{path} cannot be read: {error.strerror}.") from None


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Terms and meaning of each line that has both, which a row of a draft lacks until it is filled in; headings, the
    table's own head and what Markdown shows as code (indented by four) are none."""
    rows = [line.strip() for line in dedent(text).splitlines() if not line.startswith(("    ", "\t"))]
    for i, line in enumerate(rows):
        row = re.fullmatch(r"\|(.+?)\|(.+)\|", line)
        pair = re.fullmatch(r"[-*]?\s*\**([^:|`*#]+?)\**\s*[:=]\s+(.+)", line)
        head = i + 1 < len(rows) and re.fullmatch(r"\|[\s:|-]+\|", rows[i + 1])
        if (row or pair) and not head and not re.fullmatch(r"[\s:|-]+", line):
            left, right = (part.strip() for part in (row or pair).groups())
            if left and right:
                yield left, right


__all__ = ["Glossary", "Measure", "entries", "glossary_text", "read_glossary"]
