"""How a CSV file is written: encoding and delimiter, found out from its bytes. What it says is `csvfiles`' matter.

What was decided and might be wrong is a `Note`, and may be given by hand instead.
"""

import codecs
import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import LabkitError
from labkit.workspace.sources.tables import Note

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_DELIMITERS = ",;\t|"
SPOKEN = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_SAMPLE = 1 << 16  # characters to find the delimiter, bytes to find the encoding


@dataclass(frozen=True)
class Dialect:
    """How a file is written."""

    encoding: str
    delimiter: str
    quotes: bool = True
    spaces: bool = False  # one behind each delimiter


def _open_bytes(path: Path):
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    """The file as text, its line ends as they are; a `.gz` is unpacked on the way."""
    with _open_bytes(path) as file, io.TextIOWrapper(file, encoding, newline="") as text:
        yield text


def find_encoding(path: Path, name: str, notes: list[Note]) -> str:
    """By its mark, else UTF-8 if all of the file is, else what charset-normalizer says of the part that is not."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    last = b""
    with _open_bytes(path) as file:
        head = file.read(4)
        marked = [encoding for mark, encoding in _MARKS.items() if head.startswith(mark)]
        if marked:
            return marked[0]
        file.seek(0)
        while part := file.read(_SAMPLE):
            if b"\0" in part:
                raise LabkitError(
                    f"{path} holds zero bytes: no CSV, or UTF-16 without a mark. Try --encoding utf-16-le."
                )
            try:
                decoder.decode(part)
            except UnicodeDecodeError:
                return _guess(path, name, last + part + file.read(_SAMPLE), notes)
            last = part
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _guess(path, name, last, notes)
    return "utf-8"


def _guess(path: Path, name: str, sample: bytes, notes: list[Note]) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    if best is None:
        raise LabkitError(f"The encoding of {path} is not to be found out. Name it with --encoding, such as cp1252.")
    notes.append(Note("text", name, f"no UTF-8: read as {best.encoding}; if letters look wrong, name --encoding"))
    return best.encoding


def find_dialect(path: Path, encoding: str, delimiter: str | None) -> Dialect:
    """The delimiter, unless it is given, and whether a space stands behind each."""
    with open_text(path, encoding) as file:
        sample = file.read(_SAMPLE)
    if len(sample) >= _SAMPLE:
        sample = sample[: sample.rfind("\n") + 1] or sample
    header = sample.partition("\n")[0]
    if not delimiter:
        try:
            delimiter = csv.Sniffer().sniff(sample, _DELIMITERS).delimiter
        except csv.Error:  # no regularity, such as rows of several lengths: the header knows
            delimiter = max(_DELIMITERS, key=header.count)
    spaces = 0 < header.count(delimiter) == header.count(delimiter + " ")
    return Dialect(encoding, delimiter, True, spaces)
