"""Tables and columns of a database that nobody may look at: while `excluding` is in force, no query reads them and no
schema shows them. It opens no file and runs no query of a user's.

`execution` hands on what is in force to its child, where `guard` asks a `Watch` about each column that SQLite is about
to read; `schema` leaves out what the same `Watch` hides. SQLite's authorizer is told of each column that a query names,
through views, aliases, `*` and `rowid` too. What it is not told of is seen to here: columns that USING and NATURAL
compare, in a view as well, generated columns, the index and the shadow tables of a full-text table, statistics that
hold values.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import apsw

_TABLES = """
    SELECT s.name, l.type, s.sql FROM sqlite_schema s JOIN pragma_table_list l ON l.name = s.name AND l.schema = 'main'
    WHERE s.type IN ('table', 'view')"""
_COUNTS_ALONE = "sqlite_stat1"  # of SQLite's own tables the one without values or texts of the schema
_GENERATED = (2, 3)  # `hidden` of a virtual and of a stored generated column in pragma_table_xinfo
# SQLite's tokens, as far as they matter here: comments, quoted names and texts, words, brackets and commas.
_TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]"""
    r"""|[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*|[(),]""",
    re.DOTALL,
)


@dataclass(frozen=True)
class Excluded:
    """`names`: tables, columns, or columns as `table.column`, in lower case. `where`: what says so, for a sentence."""

    names: frozenset[str]
    where: str

    def hides(self, table: str, column: str = "") -> bool:
        """Whether the table, or a column of it, is one of them by its name."""
        called = {table.casefold()} | ({column.casefold(), f"{table}.{column}".casefold()} if column else set())
        return bool(called & self.names)


_in_force: list[tuple[str, Excluded]] = []  # by the file's real path


@contextmanager
def excluding(database: str | os.PathLike, names: Iterable[str], where: str = "`excluding`") -> Iterator[None]:
    """Keep tables (`customers`) and columns (`email`, `customers.email`), in any case, of a database file to itself.

    Within the block, in all threads, queries that read one are refused (`ExecutionResult.limit` is "excluded") and
    `read_schema` shows none, nor a view that reads one. Blocks may be nested: all their names hold. No check is made
    that the names are there.
    """
    entry = (os.path.realpath(database), Excluded(frozenset(map(str.casefold, names)), where))
    _in_force.append(entry)
    try:
        yield
    finally:
        _in_force.remove(entry)


def in_force(database: str | os.PathLike) -> Excluded | None:
    """What is excluded of a database now; None for nothing."""
    path = os.path.realpath(database) if _in_force else ""
    found = [excluded for place, excluded in list(_in_force) if place == path and excluded.names]
    if not found:
        return None
    where = " and ".join(dict.fromkeys(each.where for each in found))
    return Excluded(frozenset().union(*(each.names for each in found)), where)


def said(database: str | os.PathLike) -> list[str]:
    """The names in force, sorted, for what must be known by them: [] for nothing."""
    excluded = in_force(database)
    return sorted(excluded.names) if excluded else []


class Watch:
    """What is hidden in the database of a connection, by name or for what it is made of; compared in lower case."""

    def __init__(self, excluded: Excluded, connection: apsw.Connection):
        self.excluded = excluded
        self.tables: set[str] = set()  # hidden as a whole
        self.columns: set[tuple[str, str]] = set()
        found = connection.execute(_TABLES).fetchall()
        views = {name.lower(): sql for name, kind, sql in found if kind == "view"}
        self.telling = {name.rpartition(".")[2] for name in self.excluded.names}  # and views whose text has such a name
        while more := {view for view, sql in views.items() if _names(sql) & self.telling} - self.telling:
            self.telling |= more
        for name, kind, sql in found:
            self._look_at(name, kind, sql or "", _columns(connection, name), [n for n, k, _ in found if k == "shadow"])
        self.comparing = {view for view, sql in views.items() if self._compares_hidden(sql)}

    def _compares_hidden(self, view: str) -> bool:
        """Whether a view's text compares a hidden column. NATURAL does no harm where all columns of its tables show."""
        what, tables = self.compares(view), {table for table, _ in self.columns}
        return what.startswith("USING") or bool(what and tables & _names(view))

    def _look_at(self, table: str, kind: str, sql: str, columns: list[tuple[str, int]], shadows: list[str]) -> None:
        hides = self.excluded.hides
        private = {column.lower() for column, _ in columns if hides(table, column)}
        named = {*(column.casefold() for column, _ in columns), table.casefold(), *_names(sql)}
        if kind == "virtual" and self.telling & named:
            self.tables |= {table.lower(), *(s.lower() for s in shadows if s.lower().startswith(f"{table.lower()}_"))}
            private = {column.lower() for column, _ in columns}
        generated = {column.lower() for column, hidden in columns if hidden in _GENERATED} - private if private else ()
        while made := {column for column in generated if _defined(sql, column) & private} - private:
            private |= made
        self.columns |= {(table.lower(), column) for column in private}

    def reads(self, table: str, column: str = "") -> str:
        """The name of what is hidden and would be read, "" for nothing. No column: the table as such, or its rows."""
        name = table.lower()
        if name in self.tables or self.excluded.hides(table) or (name.startswith("sqlite_") and name != _COUNTS_ALONE):
            return table
        hidden = (name, column.lower()) in self.columns or self.excluded.hides(table, column)
        return f"{table}.{column}" if column and hidden else ""

    def finds(self, action: int, table: str | None, column: str | None, view: str | None) -> str:
        """The name of what is hidden in what SQLite's authorizer is told, "" for nothing. It is told of each SELECT in
        a view, even where none of its columns is read: so no view runs that compares a hidden column."""
        if view and view.lower() in self.comparing:
            return view
        return self.reads(table, column or "") if action == apsw.SQLITE_READ else ""

    def compares(self, sql: str) -> str:
        """The part of a query that may compare a hidden column without the authorizer being told, "" for none."""
        words = list(_words(sql))
        private = {column for _, column in self.columns}
        for i, word in enumerate(words):
            if word == "natural" and "join" in words[i + 1 : i + 4]:
                return "NATURAL JOIN"
            if word == "using" and words[i + 1 : i + 2] == ["("]:
                end = words.index(")", i) if ")" in words[i:] else len(words)
                named = [name for word in words[i + 2 : end] if (name := word.removeprefix('"')) in private]
                if named:
                    return f"USING ({named[0]})"
        return ""

    def sentence(self, what: str) -> str:
        """Why a query that reads `what` is refused."""
        if what.startswith(("USING", "NATURAL")):
            return f"{what} compares columns that are excluded by {self.excluded.where}. Write JOIN ... ON instead."
        if what.lower() in self.comparing:
            return f"The view {what} compares columns that are excluded by {self.excluded.where}. Read its tables."
        if what.lower().startswith("sqlite_"):
            return f"The query reads {what}, which may hold what is excluded by {self.excluded.where}. Leave it out."
        return f"The query reads {what}, which is excluded by {self.excluded.where}. Name other columns, and no *."


def _columns(connection: apsw.Connection, table: str) -> list[tuple[str, int]]:
    """Names of the columns, and how SQLite hides them (0: not at all); [] where the table cannot be opened."""
    try:
        return connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (table,)).fetchall()
    except (apsw.Error, UnicodeDecodeError):
        return []


def _defined(sql: str, column: str) -> set[str]:
    """The words in a column's definition within CREATE TABLE, all words of the statement where it is not found."""
    parts, depth = [[]], 0
    for word in _words(sql):
        depth += (word == "(") - (word == ")")
        if depth == 1 and word in ("(", ","):
            parts.append([])
        elif depth > 0:
            parts[-1].append(word.removeprefix('"'))
    mine = [set(part[1:]) for part in parts if part and part[0] == column]
    return mine[0] if mine else _names(sql)


def _names(sql: str) -> set[str]:
    return {word.removeprefix('"') for word in _words(sql)}


def _words(sql: str) -> Iterator[str]:
    """Words in lower case, brackets, commas; a quoted name with one leading quote, so that it is no keyword."""
    for token in _TOKEN.findall(sql):
        if token.startswith(("--", "/*")):
            continue
        if token[0] in "'\"`":
            yield '"' + token[1:-1].replace(token[0] * 2, token[0]).lower()
        elif token[0] == "[":
            yield '"' + token[1:-1].lower()
        else:
            yield token.lower()
