"""The child program: runs untrusted queries, one after the other, on read-only connections that keep nothing.

`pool` starts it as ``python -m labkit.sandbox``; it reads requests from stdin and writes replies to stdout. Nothing of
the parent is inherited but these two pipes. What stands between a query and the machine, from the inside out:

1. SQLite opens the file read-only, in defensive mode, with low limits and a heap limit; an allow-list authorizer says
   what a query may do (`guard`), and which columns are not for it (`exclusion`).
2. Exactly one statement, which yields columns; a progress handler stops it at its wall-clock limit.
3. The operating system: memory and CPU limits, not a byte to any file; on Linux, Landlock: no new file, no program.
4. The parent's clock: who overruns inside one opcode, where no handler is called, is killed.

On macOS the system doesn't enforce the memory limit and has no Landlock: the rest of this list remains. It is no
defence against a bug in SQLite itself, it only leaves little to gain from one. A light import keeps the start short.
"""

import json
import os
import struct
import sys
import time
from _thread import stack_size, start_new_thread

import apsw

from labkit.errors import LabkitError
from labkit.exclusion import Excluded, Watch
from labkit.guard import Guard, Refused, Withheld, confine, explain
from labkit.readonly import fingerprint, open_database, reads_without_locks

_STEPS_PER_CHECK = 1_000
_FRAME = struct.Struct("!Q")


class Reader:
    """The read-only connection of a request. It serves one query after the other as long as each of them ends well.

    A query may only read, and leaves nothing behind that the next could see; one that fails, or is cut short, takes the
    connection with it. Opening costs more than most queries: SQLite reads the schema anew.
    """

    def __init__(self, reverse: bool, seconds: float, longest: int, excluded: dict[str, Excluded]):
        self.reverse, self.seconds, self.longest, self.excluded = reverse, seconds, longest, excluded
        self.path, self.connection, self.watch = "", None, None

    def open(self, path: str) -> apsw.Connection:
        if self.connection is None or self.path != path:
            self.close()
            self.path, self.connection = path, open_database(path)
            self.connection.set_busy_timeout(int(500 * self.seconds))
            if self.reverse:
                self.connection.execute("PRAGMA reverse_unordered_selects=1")
            confine(self.connection, self.longest)
            self.watch = Watch(self.excluded[path], self.connection) if path in self.excluded else None
        return self.connection

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class Query:
    """One query on the reader's connection."""

    def __init__(self, reader: Reader, path: str, sql: str, seconds: float, max_rows: int, max_bytes: int):
        self.reader, self.path, self.sql, self.seconds = reader, path, sql, seconds
        self.max_rows, self.max_bytes = max_rows, max_bytes
        self.start = time.perf_counter()
        self.guard = Guard()
        self.columns: list[str] = []

    def reply(self) -> list:
        """[columns, rows, error, limit, truncated, seconds], whatever happens."""
        try:
            rows, limit = self._run()
            if self._over_time():
                raise apsw.InterruptError
            if limit is not None:
                self.reader.close()
            return [self.columns, rows, None, limit, limit is not None, self._elapsed()]
        except (Refused, Withheld, LabkitError, apsw.Error, OSError, UnicodeError, MemoryError) as error:
            self.reader.close()
            return [[], [], *explain(error, self.guard.reason, self.seconds), False, self._elapsed()]

    def _elapsed(self) -> float:
        return time.perf_counter() - self.start

    def _over_time(self) -> bool:
        return self._elapsed() > self.seconds

    def _run(self) -> tuple[list, str | None]:
        """Rows, and the cap that cut them ("rows" or "bytes"), if one did."""
        before = fingerprint(self.path)
        connection = self.reader.open(self.path)
        lockless = reads_without_locks(connection)
        connection.set_progress_handler(self._over_time, _STEPS_PER_CHECK)
        self.guard.watch = self.reader.watch
        self.guard.put_on(connection, self.sql)
        found = self._fetch(connection)
        if lockless:
            self.reader.close()  # what it has read may be old by the next query
            if fingerprint(self.path) != before:
                raise apsw.BusyError
        return found

    def _fetch(self, connection: apsw.Connection) -> tuple[list, str | None]:
        try:
            return self._step(connection, self.sql)
        except UnicodeDecodeError:
            if not self.columns:
                raise
        rows, limit = self._step(connection, self._as_bytes())
        return [tuple(_decode(*row[i : i + 2]) for i in range(0, len(row), 2)) for row in rows], limit

    def _step(self, connection: apsw.Connection, sql: str) -> tuple[list, str | None]:
        cursor = connection.cursor()
        cursor.exec_trace = self._before_first_step
        rows, size = [], 0
        for row in cursor.execute(sql, can_cache=False):
            size += sum(map(_size, row))
            if len(rows) == self.max_rows or size > self.max_bytes:
                return rows, "rows" if len(rows) == self.max_rows else "bytes"
            rows.append(row)
        return rows, None

    def _before_first_step(self, cursor: apsw.Cursor, statement: str, bindings: object) -> bool:
        if not self.guard.running:  # else it is a comment behind the statement, or the statement again as bytes
            self.guard.check_statement(cursor, statement, self.sql)
            self.columns = [name for name, _ in cursor.get_description()]
            self.statement = statement
        return True

    def _as_bytes(self) -> str:
        """The statement again, its texts as blobs and marked: apsw decodes UTF-8 strictly, a stored text may not be.

        LIMIT -1 keeps SQLite from dropping the inner ORDER BY.
        """
        names = [f"c{i}" for i in range(len(self.columns))]
        cells = [f"typeof({n}) = 'text', iif(typeof({n}) = 'text', CAST({n} AS BLOB), {n})" for n in names]
        inner = self.statement.rstrip(" \t\n\f\r;")
        return f"WITH q({', '.join(names)}) AS ({inner}\n) SELECT {', '.join(cells)} FROM (SELECT * FROM q LIMIT -1)"


def _decode(is_text: int, value: object) -> object:
    try:
        return value.decode() if is_text else value
    except UnicodeDecodeError:
        return value


def _size(value: object) -> int:
    """Bytes that a value counts for: 8, and its length if it is a text or a blob."""
    if isinstance(value, str):
        return 8 + (len(value) if value.isascii() else len(value.encode()))
    return 8 + len(value) if isinstance(value, bytes) else 8


def main() -> None:
    """Read requests [seconds, rows, bytes, memory, reverse, {path: [names, where]}, [[path, sql], ...]] until stdin
    ends; one reply a query. The names are those excluded of a file."""
    room = _confine_process()
    write_frame(1, b"[]")  # ready
    while request := _read_request():
        seconds, rows, size, memory, reverse, excluded, queries = request
        apsw.hard_heap_limit(memory)
        hidden = {path: Excluded(frozenset(names), where) for path, (names, where) in excluded.items()}
        reader = Reader(reverse, seconds, size, hidden)
        for path, sql in queries:
            room(seconds, memory + 16 * size)
            write_frame(1, _pack(Query(reader, path, sql, seconds, rows, size).reply()))
        reader.close()


def _pack(reply: list) -> bytes:
    try:
        return json.dumps(reply, default=encode_blob).encode()
    except MemoryError:
        return json.dumps([[], [], *explain(MemoryError(), "", 0), False, reply[-1]]).encode()


def encode_blob(value: bytes) -> dict[str, str]:
    return {"blob": value.hex()}


def write_frame(handle: int, payload: bytes) -> None:
    """A frame is 8 bytes of length (big-endian), then the payload."""
    data = memoryview(_FRAME.pack(len(payload)) + payload)
    while data:
        data = data[os.write(handle, data) :]


def _read_request() -> list | None:
    header = sys.stdin.buffer.read(_FRAME.size)
    return json.loads(sys.stdin.buffer.read(*_FRAME.unpack(header))) if len(header) == _FRAME.size else None


def _confine_process():
    """Bound this process for good; gives the function `room(seconds, bytes)` that renews what is counted per query."""
    import resource
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name, value in {"FSIZE": 0, "CORE": 0, "NOFILE": 32}.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        resource.setrlimit(kind, (value, value))
    if sys.platform == "linux":
        _forbid_writing()
    stack_size(256 * 1024)
    start_new_thread(_end_with_parent, (os.getppid(),))
    base = _address_space()

    def room(seconds: float, memory: int) -> None:
        cpu = time.process_time() + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 2, resource.RLIM_INFINITY))
        if base:
            resource.setrlimit(resource.RLIMIT_AS, (base + memory, resource.RLIM_INFINITY))

    return room


def _address_space() -> int:
    """Bytes of address space in use, with a little room; 0 where the system doesn't say."""
    try:
        with open("/proc/self/statm") as pages:
            return int(pages.read().split()[0]) * os.sysconf("SC_PAGE_SIZE") + 16_000_000
    except OSError:
        return 0


def _forbid_writing() -> bool:
    """Landlock (Linux 5.13 and later): from here on this process can't run a program, or make, write or remove a file.

    False where the kernel doesn't offer it: the other bounds stand alone. Numbers: linux/landlock.h, linux/prctl.h.
    """
    import ctypes

    call = ctypes.CDLL(None).syscall
    version = call(444, None, 0, 1)
    execute, write, remove_and_make = 1 << 0, 1 << 1, 0b1_1111_1111 << 4
    rights = execute | write | remove_and_make | (1 << 13 if version >= 2 else 0) | (1 << 14 if version >= 3 else 0)
    if version < 1:
        return False
    ruleset = call(444, ctypes.byref(ctypes.c_uint64(rights)), ctypes.c_size_t(8), 0)
    ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS, which Landlock asks for
    done = call(446, ruleset, 0)
    os.close(ruleset)
    return done == 0


def _end_with_parent(parent: int) -> None:
    """A thread: end this process when its parent is gone, in mid-query too (apsw steps without the GIL)."""
    import select

    watch = select.poll()
    watch.register(0, 0)  # no event asked for: only the hang-up is reported
    while not watch.poll(1000) and os.getppid() == parent:
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
