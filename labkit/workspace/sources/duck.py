"""DuckDB files, and Parquet files through DuckDB, as tables; numbers, text and bytes as they are, all else as its text.

DuckDB is asked read-only, may load no extension, and for a DuckDB file may open nothing else. Values arrive in batches.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.errors import LabkitError
from labkit.schema import quote
from labkit.workspace.sources.tables import (
    BATCH,
    Column,
    Note,
    Private,
    Reference,
    Source,
    Table,
    called_like_key,
)

_WHOLE = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "HUGEINT",
    "UHUGEINT",
}
_CONFIG = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
_QUIET = (
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_S",
    "TIMESTAMP_MS",
    "TIMESTAMP_NS",
    "UUID",
)  # their text says the same


@contextmanager
def _connected(path: str, **settings) -> Iterator:
    try:
        import duckdb
    except ImportError:
        raise LabkitError(
            "DuckDB and Parquet files are read with duckdb, which is not installed. pip install 'labkit[sources]'."
        ) from None
    try:
        with duckdb.connect(path, config={**_CONFIG, **settings}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection
    except duckdb.Error as error:
        raise LabkitError(f"DuckDB cannot read this source: {error}") from None


@contextmanager
def duckdb_file(path: Path, exclude: Private, schema: str | None = None) -> Iterator[Source]:
    """The tables of one schema of a DuckDB file, with keys and references."""
    with _connected(str(path), access_mode="READ_ONLY", enable_external_access="false") as connection:
        schema = schema or "main"
        rows = _ask(connection, "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal ORDER BY ALL")
        names = [name for where, name in rows if where == schema and not exclude.hides(name)]
        notes = [
            Note("schema", t, f"in the schema {where}, not {schema}: not carried over")
            for where, t in rows
            if where != schema
        ]
        notes += _left_behind(connection, schema)
        tables = []
        for name in names:
            relation = f"{quote(schema)}.{quote(name)}"
            columns, select, found = _columns(connection, name, relation, exclude)
            count = _ask(connection, f"SELECT COUNT(*) FROM {relation}")[0][0]
            read = _reader(connection, f"SELECT {select} FROM {relation}")
            keys = _keys(connection, schema, name)
            if not keys["key"]:
                keys |= _guessed_key(connection, name, relation, columns)
            tables.append(Table(name, columns, read, rows=count, **keys))
            notes += found
        yield Source(str(path), tuple(tables), tuple(notes))


@contextmanager
def parquet_files(files: dict[str, list[Path]], shown: str, exclude: Private) -> Iterator[Source]:
    """One table for each name, of one or several Parquet files (a folder's, its `key=value` folders as columns)."""
    with _connected(":memory:") as connection:
        tables, notes = [], []
        for name, paths in files.items():
            if exclude.hides(name):
                continue
            listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
            relation = f"read_parquet([{listed}], hive_partitioning = {len(paths) > 1}, union_by_name = true)"
            columns, select, found = _columns(connection, name, relation, exclude)
            count = _ask(connection, f"SELECT COUNT(*) FROM {relation}")[0][0]
            read = _reader(connection, f"SELECT {select} FROM {relation}")
            key = _guessed_key(connection, name, relation, columns)
            tables.append(Table(name, columns, read, rows=count, **key))
            notes += found
        yield Source(shown, tuple(tables), tuple(notes))


def _ask(connection, sql: str, *values) -> list[tuple]:
    return connection.execute(sql, list(values)).fetchall()


def _reader(connection, sql: str):
    """A function that runs the query anew and gives its rows, a batch in memory at a time."""

    def read() -> Iterator[tuple]:
        with connection.cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
            cursor.execute(sql)
            while rows := cursor.fetchmany(BATCH):
                yield from rows

    return read


def _columns(connection, table: str, relation: str, exclude: Private) -> tuple[tuple[Column, ...], str, list[Note]]:
    """The columns, what to select for them, and which types are narrowed."""
    columns, select, notes = [], [], []
    for name, declared, null, *_ in _ask(connection, f"DESCRIBE SELECT * FROM {relation}"):
        if exclude.hides(table, name):
            continue
        stored, note = _narrowed(declared)
        columns.append(Column(name, stored, null == "NO"))
        select.append(_selected(quote(name), declared, stored))
        if note:
            notes.append(Note("type", table, f"{declared} {note}", name))
    return tuple(columns), ", ".join(select), notes


def _narrowed(declared: str) -> tuple[str, str]:
    """The SQLite type of a DuckDB type, and what changes ("" when nothing does)."""
    base = declared.partition("(")[0]
    if declared.endswith("]"):
        return "TEXT", "as its text"
    if base in _WHOLE:
        return "INTEGER", ""
    if base == "BOOLEAN":
        return "INTEGER", "as 1 and 0"
    if base in ("FLOAT", "DOUBLE"):
        return "REAL", ""
    if base == "DECIMAL":
        return ("INTEGER", "") if declared.endswith(",0)") else ("REAL", "as a binary number")
    if base in ("BLOB", "VARCHAR"):
        return {"BLOB": "BLOB", "VARCHAR": "TEXT"}[base], ""
    if base == "TIMESTAMP WITH TIME ZONE":
        return "TEXT", "as text, in UTC, without its time zone"
    return "TEXT", "" if base in _QUIET else "as its text"


def _selected(name: str, declared: str, stored: str) -> str:
    if declared == "TIMESTAMP WITH TIME ZONE":
        return f"CAST({name} AT TIME ZONE 'UTC' AS VARCHAR)"
    return f"CAST({name} AS VARCHAR)" if stored == "TEXT" and declared != "VARCHAR" else name


def _keys(connection, schema: str, table: str) -> dict:
    key, unique, references = (), [], []
    for kind, mine, other, others in _ask(
        connection,
        "SELECT constraint_type, constraint_column_names, referenced_table, referenced_column_names "
        "FROM duckdb_constraints() WHERE schema_name = ? AND table_name = ?",
        schema,
        table,
    ):
        if kind == "PRIMARY KEY":
            key = tuple(mine)
        elif kind == "UNIQUE":
            unique.append(tuple(mine))
        elif kind == "FOREIGN KEY":
            references.append(Reference(tuple(mine), other, tuple(others)))
    return {"key": key, "unique": tuple(unique), "references": tuple(references)}


def _guessed_key(connection, table: str, relation: str, columns: tuple[Column, ...]) -> dict:
    """The first column that is called like a key of this table and never NULL."""
    for column in columns:
        if called_like_key(table, column.name) and column.type in ("INTEGER", "TEXT"):
            counts = f"SELECT COUNT(*) > 0 AND COUNT(*) = COUNT({quote(column.name)}) FROM {relation}"
            if _ask(connection, counts)[0][0]:
                return {"key": (column.name,), "key_guessed": True}
    return {}


def _left_behind(connection, schema: str) -> Iterator[Note]:
    asked = {
        "view": "SELECT view_name, '' FROM duckdb_views() WHERE NOT internal AND schema_name = ? ORDER BY ALL",
        "index": "SELECT table_name, index_name FROM duckdb_indexes() WHERE schema_name = ? ORDER BY ALL",
        "check": "SELECT table_name, expression FROM duckdb_constraints() "
        "WHERE constraint_type = 'CHECK' AND schema_name = ? ORDER BY ALL",
        "generated": "SELECT table_name, 'values are stored, formulas are not' FROM duckdb_tables() "
        "WHERE sql LIKE '% GENERATED ALWAYS AS%' AND schema_name = ? ORDER BY ALL",
        "sequence": "SELECT sequence_name, '' FROM duckdb_sequences() WHERE schema_name = ? ORDER BY ALL",
    }
    for kind, sql in asked.items():
        yield from (
            Note(kind, table, text or f"{kind} not carried over") for table, text in _ask(connection, sql, schema)
        )
