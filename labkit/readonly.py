"""Opening an SQLite file to read it, and nothing else: no file beside it changes, comes or goes.

Used by the child program for untrusted queries, and by `execution.connect_readonly` for the kit's own. Which queries
may run is decided in `guard`, not here.
"""

import os
import stat

import apsw

from labkit.errors import LabkitError

_LOCKLESS = "unix-none"


def existing_file(database: str | os.PathLike) -> str:
    """Its absolute path, symlinks resolved: SQLite looks beside that for a WAL. LabkitError if it is no file."""
    try:
        path = os.path.realpath(os.fsdecode(os.fspath(database)))
        found = os.stat(path)
    except FileNotFoundError:
        raise LabkitError(f"There is no database {database}. Name an existing SQLite file.") from None
    except (OSError, ValueError, TypeError) as error:
        said = getattr(error, "strerror", None) or error
        raise LabkitError(f"{str(database)!r} can't be opened: {said}. Name an existing SQLite file.") from None
    if stat.S_ISDIR(found.st_mode):
        raise LabkitError(f"{database} is a folder. Name the SQLite file in it.")
    if not stat.S_ISREG(found.st_mode):
        raise LabkitError(f"{database} is no ordinary file. Name an SQLite file.")
    if found.st_size == 0:
        raise LabkitError(
            f"{database} is empty (0 bytes), so no database yet. Name the SQLite file that holds the data."
        )
    if not os.access(path, os.R_OK):
        raise LabkitError(f"{database} may not be read by this user. Change its permissions, or copy it.")
    return path


def open_database(path: str) -> apsw.Connection:
    """A read-only connection to `path`, as `existing_file` gives it.

    A plain read-only connection to a database in WAL mode makes ``-wal`` and ``-shm`` files. So a WAL database at rest
    (its WAL has no content) is read as immutable; one with a ``-shm`` through that file, unchanged; a WAL that was left
    over alone is indexed in memory. `reads_without_locks` tells the first and the last from the others.

    Raises LabkitError if the file can't be opened or is no SQLite database.
    """
    try:
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY, statementcachesize=0)
        # Through SQLite's own handle: closing a second one would drop the locks that this process holds on the file.
        header = connection.read("main", 0, 0, 100)[1]
        if header[:16] != b"SQLite format 3\0":
            connection.close()
            raise LabkitError(f"{path} is no SQLite database (or an encrypted one). Name the .sqlite file itself.")
        if 2 in header[18:20]:
            connection.close()
            connection = _open_wal(path)
    except (apsw.Error, OSError, UnicodeError) as error:
        raise LabkitError(
            f"SQLite cannot open {path!r}: {error}. Check the path and the permission to read."
        ) from error
    return connection


def _open_wal(path: str) -> apsw.Connection:
    name = "file:" + path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    options = {"flags": apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, "statementcachesize": 0}
    wal = path + "-wal"
    if not os.path.exists(wal) or os.path.getsize(wal) == 0:
        return apsw.Connection(f"{name}?immutable=1", vfs=_LOCKLESS, **options)
    if os.path.exists(path + "-shm"):
        connection = apsw.Connection(f"{name}?readonly_shm=1", **options)
    else:
        connection = apsw.Connection(name, vfs=_LOCKLESS, **options)
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # so that the WAL's index is in memory, not in a file
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    return connection


def reads_without_locks(connection: apsw.Connection) -> bool:
    """Whether a writer could change the file under a query: then compare its `fingerprint` before and after."""
    return connection.open_vfs == _LOCKLESS


def fingerprint(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size
