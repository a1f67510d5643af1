"""PostgreSQL and MySQL (MariaDB) servers as tables, through SQLAlchemy: one read-only transaction, rows in batches.

Numbers, text and bytes arrive as they are; all else the server itself turns into text. What a column becomes is told in
`servertypes`, what an address may be and how its password is kept quiet in `addresses`.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from labkit.errors import LabkitError
from labkit.workspace.sources.addresses import parse, shown, without_passwords
from labkit.workspace.sources.tables import BATCH, Column, Note, Private, Reference, Source, Table

_SESSION = {
    "postgresql": ("SET TIME ZONE 'UTC'", "SET DateStyle = 'ISO'"),
    "mysql": ("SET time_zone = '+00:00'", "SET SESSION TRANSACTION READ ONLY"),
}
_SYSTEM = {"information_schema", "pg_catalog", "pg_toast", "mysql", "performance_schema", "sys"}
_PARTITIONS = """SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relispartition AND n.nspname = :schema"""


@contextmanager
def server(address: str, exclude: Private, schema: str | None = None) -> Iterator[Source]:
    """The tables of one schema (PostgreSQL: `public` unless named) or database (MySQL) of a server."""
    url = parse(address)
    import sqlalchemy

    engine = None
    try:
        engine = sqlalchemy.create_engine(
            url,
            isolation_level="REPEATABLE READ",
            poolclass=sqlalchemy.NullPool,
            connect_args={"connect_timeout": 10},
            hide_parameters=True,
        ).execution_options(postgresql_readonly=True)
        connection = engine.connect()
    except Exception as error:  # whatever a driver makes of an address: it may hold the password
        raise LabkitError(f"{shown(url)} cannot be reached: {_said(error, url)}") from None
    reader = None
    try:
        for statement in _SESSION[url.get_backend_name()]:
            connection.execute(sqlalchemy.text(statement))
        connection.commit()
        reader = _Reader(connection, exclude, schema)
        yield reader.source(shown(url))
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise LabkitError(f"{shown(url)} does not give its data: {_said(error, url)}") from None
    except BaseException:
        if reader and reader.result:
            _forget_the_rest(connection)
            reader.result.close()
        connection.invalidate()
        raise
    finally:
        connection.close()
        engine.dispose()


def _forget_the_rest(connection) -> None:
    """MySQL's driver reads all rows of a query before it closes it: tell it that there are none."""
    rest = getattr(connection.connection.dbapi_connection, "_result", None)
    if rest is not None:
        rest.unbuffered_active = False


def _said(error: Exception, url) -> str:
    return without_passwords(" ".join(str(getattr(error, "orig", None) or error).split()), url)


class _Reader:
    """One open connection and the schema that is read over it."""

    def __init__(self, connection, exclude: Private, schema: str | None):
        import sqlalchemy

        self.connection, self.exclude = connection, exclude
        self.kind = connection.dialect.name
        self.inspector = sqlalchemy.inspect(connection)
        self.schema = schema or self.inspector.default_schema_name
        if not self.schema:
            raise LabkitError("The address names no database. Write it behind the host: HOST/DATABASE.")
        self.notes: list[Note] = []
        self.result = None

    def source(self, name: str) -> Source:
        """All tables of the schema that are not excluded."""
        names = self.inspector.get_table_names(self.schema)
        parts = self._others(names)
        wanted = [t for t in sorted(names) if t not in parts and not self.exclude.hides(t)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a type that SQLAlchemy does not know: the server turns it into text
            tables = [self._table(t) for t in wanted]
        return Source(name, tuple(tables), tuple(self.notes))

    def _table(self, name: str) -> Table:
        from sqlalchemy import MetaData, column, select
        from sqlalchemy import Table as ServerTable

        from labkit.workspace.sources.servertypes import carried

        columns, selected = [], []
        for found in self.inspector.get_columns(name, self.schema):
            if self.exclude.hides(name, found["name"]):
                continue
            how = carried(column(found["name"], found["type"]), self.kind)
            columns.append(Column(found["name"], how.stored, not found["nullable"]))
            selected.append(how.selected)
            if how.note:
                self.notes.append(Note("type", name, f"{how.declared} {how.note}", found["name"]))
            if formula := found.get("computed"):
                text = f"values are stored, the formula is not: {formula['sqltext']}"
                self.notes.append(Note("generated", name, text, found["name"]))
        self._left_behind(name)
        query = select(*selected).select_from(ServerTable(name, MetaData(), schema=self.schema))
        key = self.inspector.get_pk_constraint(name, self.schema).get("constrained_columns") or ()
        unique = self.inspector.get_unique_constraints(name, self.schema)
        unique = tuple(tuple(u["column_names"]) for u in unique)
        return Table(name, tuple(columns), self._rows(query), tuple(key), unique=unique, references=self._keys(name))

    def _rows(self, query):
        def read() -> Iterator:
            streamed = self.connection.execution_options(stream_results=True, max_row_buffer=BATCH)
            self.result = streamed.execute(query)
            yield from self.result

        return read

    def _keys(self, name: str) -> tuple[Reference, ...]:
        found = []
        for key in self.inspector.get_foreign_keys(name, self.schema):
            elsewhere = key["referred_schema"] not in (None, self.schema)
            other = f"{key['referred_schema']}.{key['referred_table']}" if elsewhere else key["referred_table"]
            found.append(Reference(tuple(key["constrained_columns"]), other, tuple(key["referred_columns"])))
        return tuple(found)

    def _left_behind(self, name: str) -> None:
        for index in self.inspector.get_indexes(name, self.schema):
            if not index.get("duplicates_constraint") and not (self.kind == "mysql" and index["unique"]):
                self.notes.append(Note("index", name, str(index["name"])))
        for check in self.inspector.get_check_constraints(name, self.schema):
            self.notes.append(Note("check", name, " ".join(str(check["sqltext"]).split())))

    def _others(self, names: list[str]) -> set[str]:
        """What lies beside the tables; the partitions among them, whose rows are another table's."""
        import sqlalchemy

        self.notes += [Note("view", v, "view not carried over") for v in self.inspector.get_view_names(self.schema)]
        if self.kind != "postgresql":
            text = "most MySQL databases compare text without case, SQLite with it: 'a' is not 'A' any more"
            self.notes.append(Note("text", "", text))
            return set()
        views = self.inspector.get_materialized_view_names(self.schema)
        self.notes += [Note("view", v, "materialized view not carried over") for v in views]
        foreign = self.inspector.get_foreign_table_names(self.schema)
        self.notes += [Note("view", t, "foreign table not carried over") for t in foreign]
        for schema in self.inspector.get_schema_names():
            if schema not in _SYSTEM | {self.schema} and (there := self.inspector.get_table_names(schema)):
                text = f"{len(there)} tables of the schema {schema} are not carried over: --schema {schema}"
                self.notes.append(Note("schema", "", text))
        asked = self.connection.execute(sqlalchemy.text(_PARTITIONS), {"schema": self.schema})
        return {row[0] for row in asked} & set(names)
