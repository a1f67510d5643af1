"""The text files beside this module, by heading: `sentences.txt` (whole questions), `columns.txt` (how people speak of
columns). A file begins with what it is and how it is written.
"""

from pathlib import Path


def sections(name: str) -> dict[str, list[str]]:
    """The lines under each heading (`== heading`) of that file, in its order."""
    _, *parts = Path(__file__).with_name(name).read_text("utf-8").split("\n== ")
    found = [list(filter(None, part.splitlines())) for part in parts]
    return {heading: lines for heading, *lines in found}
