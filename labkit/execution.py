"""One untrusted query against one SQLite file: read-only, bounded, in a child that can be killed -> ExecutionResult.

This is the parent's side: checking what is sent, handing out queries, reading what comes back. `sandbox` is the child
program (its docstring lists what holds a query back), `guard` its allow-list, `readonly` opens the file, `pool` keeps
the children warm. Whether an answer is right is the business of `scoring`.
"""

import json
import math
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.errors import LabkitError
from labkit.exclusion import in_force
from labkit.guard import SQL_LENGTH, explain
from labkit.pool import SANDBOXES, Child, ChildEnded
from labkit.readonly import existing_file, open_database
from labkit.sandbox import encode_blob

if TYPE_CHECKING:
    import apsw
    import pandas

Value = None | int | float | str | bytes
LIMIT_CODES = ("rows", "bytes", "time", "cpu", "memory", "length", "depth", "refused", "excluded", "crash")
_BATCH_QUERIES, _BATCH_LENGTH = 64, 1_000_000
_VALUE_TYPES = {type(None), int, float, str, bytes}


@dataclass(frozen=True)
class Limits:
    """Bounds of one query.

    seconds: wall clock, opening the file included (the CPU limit follows from it). rows: rows of the result. bytes: of
    the result, counting 8 for a value and the length of each text (UTF-8) and blob; also the longest text or blob that
    may arise on the way. memory: bytes that SQLite may allocate; the child as a whole gets that and 16 x bytes for the
    result.
    """

    seconds: float = 2.0
    rows: int = 10_000
    bytes: int = 16_000_000
    memory: int = 256_000_000

    def __post_init__(self):
        floors = {"seconds": 0.001, "rows": 1, "bytes": 1, "memory": 4_000_000}
        ceilings = {"seconds": 86_400, "rows": 10**9, "bytes": 10**9, "memory": 10**12}
        for name, floor in floors.items():
            value, ceiling = getattr(self, name), ceilings[name]
            wanted = (int, float) if name == "seconds" else int
            if isinstance(value, bool) or not isinstance(value, wanted) or not floor <= value <= ceiling:
                kind = "a number" if name == "seconds" else "a whole number"
                raise LabkitError(f"Limits.{name} is {value!r}. It must be {kind} from {floor} to {ceiling}.")


@dataclass(frozen=True)
class ExecutionResult:
    """What one query gave. Either rows, or an `error` sentence and no rows.

    columns: names, in order, duplicates kept. rows: tuples of None, int, float, str or bytes; stored text that is not
    valid UTF-8 comes as bytes. seconds: how long it ran. truncated: rows are missing, `limit` says by which cap.

    limit, what stopped the query (None: nothing, or a mistake in the SQL, whose error is SQLite's own message):
    "rows", "bytes": the result was cut, no error. "time", "cpu", "memory": it took too long, or too much. "length": a
    text, a blob or the query is too long. "depth": nested too deep, or too many terms. "refused": not one reading
    statement, or it uses what isn't allowed. "excluded": it reads what `exclusion` keeps out. "crash": the child
    program died.
    """

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Value, ...], ...] = ()
    error: str | None = None
    limit: str | None = None
    truncated: bool = False
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """It ran without an error. The rows may still be `truncated`: look there before you trust them to be all."""
        return self.error is None

    def to_json(self) -> dict:
        """Plain JSON: a blob is {"blob": "<hex>"}, an infinity {"float": "Infinity"} or {"float": "-Infinity"}.

        SQLite itself turns NaN into NULL, so none arises. Integers are written in full, also beyond 2**53.
        """
        rows = [[_json_value(value) for value in row] for row in self.rows]
        return {
            "columns": list(self.columns),
            "rows": rows,
            "error": self.error,
            "limit": self.limit,
            "truncated": self.truncated,
            "seconds": round(self.seconds, 6),
        }

    def to_frame(self) -> "pandas.DataFrame":
        """The rows as a pandas frame; columns of the same name stay apart."""
        import pandas

        return pandas.DataFrame(list(self.rows), columns=list(self.columns))


@dataclass(frozen=True)
class Task:
    """A query and the database file to run it on."""

    database: str | os.PathLike
    sql: str


def execute(database: str | os.PathLike, sql: str, limits: Limits = Limits()) -> ExecutionResult:
    """Run one untrusted query. Whatever the query does, this returns a result, at most a moment after `limits.seconds`.

    Raises LabkitError only for the database: no such file, not a file, not SQLite.
    """
    return execute_many(database, [sql], limits)[0]


def execute_many(
    database: str | os.PathLike,
    sqls: Sequence[str],
    limits: Limits = Limits(),
    reverse: bool = False,
) -> list[ExecutionResult]:
    """Run each query as if it were the only one, over all children of the pool; results in the order given.

    Each has the whole of `limits` for itself: one that overruns costs the others nothing. `reverse` has SQLite
    visit rows the other way round where the query leaves their order open (PRAGMA reverse_unordered_selects): a result
    that differs rests on chance. Raises like `execute`.
    """
    if isinstance(sqls, str):
        raise LabkitError("execute_many takes a list of queries, and this is one text. Use execute for a single query.")
    path = existing_file(database)
    return _run([Task(path, sql) for sql in sqls], limits, reverse)


def execute_tasks(tasks: Sequence[Task], limits: Limits = Limits(), reverse: bool = False) -> list[ExecutionResult]:
    """`execute_many` over several databases at once. Tasks on one database are fastest side by side."""
    paths = {database: existing_file(database) for database in dict.fromkeys(task.database for task in tasks)}
    return _run([Task(paths[task.database], task.sql) for task in tasks], limits, reverse)


def _run(tasks: list[Task], limits: Limits, reverse: bool) -> list[ExecutionResult]:
    job = _Job(tasks, limits, reverse)
    job.run()
    return job.results


def connect_readonly(database: str | os.PathLike) -> "apsw.Connection":
    """A read-only connection in this process, for the kit's own trusted SQL: none of the bounds above hold here.

    Leaves no file beside the database. Raises LabkitError if there is no such file, or it is no sound SQLite database.
    """
    path = existing_file(database)
    connection = open_database(path)
    try:
        connection.execute(
            "PRAGMA query_only=1; PRAGMA trusted_schema=0; SELECT count(*) FROM sqlite_schema"
        ).fetchall()
    except Exception as error:
        connection.close()
        raise LabkitError(f"SQLite cannot read {path}. {explain(error, '', 0)[0].rstrip('.')}.") from error
    return connection


class _Job:
    """The queries of one call, in batches: one message to a child, one reply for each query."""

    def __init__(self, tasks: list[Task], limits: Limits, reverse: bool):
        self.limits, self.reverse = limits, reverse
        self.results = [_refusal(task.sql) for task in tasks]
        self.batches = deque(_batches([(place, task) for place, task in enumerate(tasks) if not self.results[place]]))
        self.lent: set[Child] = set()
        self.stopped = False

    def run(self) -> None:
        threads = min(SANDBOXES.size, len(self.batches))
        if threads <= 1:
            return self._work()
        with ThreadPoolExecutor(threads) as executor:
            try:
                for future in [executor.submit(self._work) for _ in range(threads)]:
                    future.result()
            except BaseException:  # Ctrl-C, or no database: don't wait for queries that nobody will read
                self.stopped = True
                for child in list(self.lent):
                    child.terminate()
                raise

    def _work(self) -> None:
        while not self.stopped:
            try:
                batch = self.batches.popleft()
            except IndexError:
                return
            suspect = None
            while batch and not self.stopped:
                suspect = self._run_batch(batch, suspect)

    def _run_batch(self, batch: deque, suspect: int | None) -> int | None:
        """Take from `batch` what one child can do. A query on which it dies unbidden is a suspect, tried once more."""
        with SANDBOXES.borrow(fresh=suspect is not None) as child:
            self.lent.add(child)
            start = time.monotonic()
            try:
                child.send(self._request([task for _, task in batch]))
                while batch:
                    result = _read_reply(child.receive(self.limits.seconds, 1_000_000 + 6 * self.limits.bytes))
                    self.results[batch.popleft()[0]] = result
                    start = time.monotonic()
                    if result.limit == "memory":
                        return child.kill()  # its memory may be in pieces
            except ChildEnded as end:
                child.kill()
                place = batch[0][0]
                if end.limit not in ("time", "cpu") and place != suspect:
                    return place
                self.results[place] = ExecutionResult(error=str(end), limit=end.limit, seconds=time.monotonic() - start)
                batch.popleft()
            finally:
                self.lent.discard(child)
        return None

    def _request(self, tasks: list[Task]) -> bytes:
        limits = self.limits
        bounds = [limits.seconds, limits.rows, limits.bytes, limits.memory]
        private = {path: excluded for path in {task.database for task in tasks} if (excluded := in_force(path))}
        hidden = {path: [sorted(excluded.names), excluded.where] for path, excluded in private.items()}
        return json.dumps([*bounds, self.reverse, hidden, [[task.database, task.sql] for task in tasks]]).encode()


def _batches(todo: list[tuple[int, Task]]) -> Iterator[deque[tuple[int, Task]]]:
    """Batches small enough that every child gets some, and that a message stays short."""
    most = min(_BATCH_QUERIES, math.ceil(len(todo) / (2 * SANDBOXES.size)))
    batch, size = deque(), 0
    for place, task in todo:
        batch.append((place, task))
        size += len(task.sql)
        if len(batch) >= most or size > _BATCH_LENGTH:
            yield batch
            batch, size = deque(), 0
    if batch:
        yield batch


def _read_reply(payload: bytes) -> ExecutionResult:
    """A child's reply, believed in nothing: the wrong shape counts as a broken child."""
    try:
        columns, rows, error, limit, truncated, seconds = json.loads(payload, object_hook=_read_blob)
        rows = tuple(map(tuple, rows))
        sound = (
            all(type(name) is str for name in columns)
            and all(len(row) == len(columns) for row in rows)
            and {type(value) for row in rows for value in row} <= _VALUE_TYPES
            and isinstance(error, str | None)
            and (limit is None or limit in LIMIT_CODES or limit == "database")
        )
        result = ExecutionResult(tuple(columns), rows, error, limit, bool(truncated), float(seconds))
    except (ValueError, TypeError, KeyError, RecursionError):
        sound = False
    if not sound:
        raise ChildEnded("crash", "Stopped: the child program sent what is no result.")
    if limit == "database":
        raise LabkitError(error)
    return result


def _read_blob(item: dict) -> bytes:
    return bytes.fromhex(item["blob"])


def _refusal(sql: str) -> ExecutionResult | None:
    """What need not be sent: SQLite would read it up to a NUL, or could not read it at all."""
    if not isinstance(sql, str):
        return ExecutionResult(error=f"Refused: the query is not text but {type(sql).__name__}.", limit="refused")
    if "\0" in sql:
        return ExecutionResult(error="Refused: the query holds a NUL character.", limit="refused")
    try:
        length = len(sql.encode())
    except UnicodeEncodeError:
        return ExecutionResult(error="Refused: the query holds half a character (a lone surrogate).", limit="refused")
    if length > SQL_LENGTH:
        return ExecutionResult(error=f"Stopped: the query is longer than {SQL_LENGTH:,} bytes.", limit="length")
    return None


def _json_value(value: Value) -> object:
    if isinstance(value, bytes):
        return encode_blob(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    return value
