"""A gold's suite: its perturbed copies, and what the gold says on each. Both are made once and kept.

`perturb` makes the copies; here each gets its `Reference`, in a file beside them, so that judging a prediction runs the
prediction alone. Whether it is right is `scoring`'s part.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from labkit.dataset import Question
from labkit.execution import ExecutionResult
from labkit.home import write_atomically
from labkit.perturb import COPY_LIMITS, perturbed_copies
from labkit.reference import Reference, references
from labkit.sandbox import encode_blob

_FILE = "references.json"


@dataclass(frozen=True)
class Copy:
    """A perturbed copy and the gold's result there, which is sound and stable."""

    database: Path
    reference: Reference


def suite(database: Path, gold_sql: str, order: bool | None = None) -> tuple[Copy, ...]:
    """The suite of a gold on a database; () when the gold always fails. `order` is that of its `Question`."""
    paths = perturbed_copies(database, gold_sql, order=order)
    return _read(tuple(paths), gold_sql, order) if paths else ()


@lru_cache(1024)
def _read(paths: tuple[Path, ...], gold_sql: str, order: bool | None) -> tuple[Copy, ...]:
    file = paths[0].parent / _FILE
    try:
        kept = json.loads(file.read_text(), object_hook=_read_blob)
        return tuple(_copy(file.parent / name, *record) for name, record in kept.items())
    except (OSError, ValueError, TypeError):  # not written yet, or not to the end
        return _written(file, paths, Question("", "", gold_sql, "", order=order))


def _written(file: Path, paths: Sequence[Path], gold: Question) -> tuple[Copy, ...]:
    found = ((path, references(path, [gold], COPY_LIMITS)[0]) for path in paths)
    copies = tuple(Copy(path, reference) for path, reference in found if reference.fault is None)
    records = {copy.database.name: _record(copy.reference) for copy in copies}
    write_atomically(file, json.dumps(records, default=encode_blob))
    return copies


def _record(reference: Reference) -> list:
    return [reference.result.columns, reference.result.rows, reference.ordered, reference.blocks]


def _copy(path: Path, columns: list, rows: list, ordered: bool, blocks: list) -> Copy:
    result = ExecutionResult(tuple(columns), tuple(map(tuple, rows)))
    return Copy(path, Reference(result, ordered, tuple(blocks)))


def _read_blob(item: dict) -> dict | bytes:
    return bytes.fromhex(item["blob"]) if item.keys() == {"blob"} else item
