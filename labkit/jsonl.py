"""A file of JSON objects, one a line: each line read for itself, all that is wrong told together, by file and line.

What the objects must hold is their readers' business (`dataset`, `pairs`).
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from labkit.errors import LabkitError

T = TypeVar("T")
_SHOWN_ERRORS = 10


class BadLine(Exception):
    """What is wrong with a line, as the middle of a sentence."""


def read_jsonl(path: Path, parse: Callable[[bytes, int], T]) -> list[T]:
    """`parse(line, number)` of each line that is not blank; one `LabkitError` names all it raised `BadLine` for."""
    parsed, errors = [], []
    for number, text in _lines(path):
        try:
            parsed.append(parse(text, number))
        except BadLine as error:
            errors.append(f"{path}, line {number}: {error}.")
    if errors:
        more = f"\n... and {len(errors) - _SHOWN_ERRORS} more." if len(errors) > _SHOWN_ERRORS else ""
        raise LabkitError("\n".join(errors[:_SHOWN_ERRORS]) + more)
    return parsed


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line that is not blank. Only newlines part lines: a text may hold U+2028."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LabkitError(f"{path} cannot be read: {error.strerror or error}.") from error
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            yield number, line


def read_object(line: str | bytes) -> dict:
    """The JSON object on a line of a file; `BadLine` says what is there instead."""
    try:
        text = line if isinstance(line, str) else line.decode("utf-8")
        record = json.loads(text, object_pairs_hook=_no_twice, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise BadLine(f"not UTF-8 at byte {error.start + 1}; save the file as UTF-8") from None
    except RecursionError:
        raise BadLine("nested too deeply to be a question") from None
    except ValueError as error:  # json.JSONDecodeError, and integers of thousands of digits
        where = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise BadLine(f"not JSON ({getattr(error, 'msg', error)}{where})") from None
    if not isinstance(record, dict):
        raise BadLine(f"a JSON object is needed, this is {kind_of(record)}")
    return record


def _no_twice(pairs: list[tuple]) -> dict:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise BadLine(f"field {name!r} stands there twice")
    return dict(pairs)


def _refuse_constant(name: str):
    raise BadLine(f"{name} is no JSON value; write null, a number or a text")


def kind_of(value) -> str:
    """A JSON value's kind, in words."""
    names = {
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)
