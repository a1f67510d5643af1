"""What an untrusted query may do: the allow-list, SQLite's limits, and the words for what stopped one.

It compiles and runs nothing itself: `sandbox` puts these on each connection.
"""

import re

import apsw

from labkit.errors import LabkitError
from labkit.exclusion import Watch

# Functions that only compute. Not here: those about the connection (changes, last_insert_rowid), the library (sqlite_*)
# or the inside of an index (optimize, rtreenode), and those that load code (load_extension, fts3_tokenizer).
_FUNCTIONS = """
-> ->> abs acos acosh asin asinh atan atan2 atanh avg bm25 ceil ceiling char coalesce concat concat_ws cos cosh
count cume_dist current_date current_time current_timestamp date datetime degrees dense_rank exp first_value floor
format glob group_concat hex highlight if ifnull iif instr json json_array json_array_insert json_array_length
json_error_position json_extract json_group_array json_group_object json_insert json_object json_patch json_pretty
json_quote json_remove json_replace json_set json_type json_valid jsonb jsonb_array jsonb_array_insert jsonb_extract
jsonb_group_array jsonb_group_object jsonb_insert jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set
julianday lag last_value lead length like likelihood likely ln log log10 log2 lower ltrim match matchinfo max median
min mod nth_value ntile nullif octet_length offsets percent_rank percentile percentile_cont percentile_disc pi pow
power printf quote radians random randomblob rank replace round row_number rtrim sign sin sinh snippet sqrt strftime
string_agg substr substring subtype sum tan tanh time timediff total trim trunc typeof unhex unicode unistr
unistr_quote unixepoch unlikely upper zeroblob
"""
ALLOWED_FUNCTIONS = frozenset(_FUNCTIONS.split())
_ALLOWED_ACTIONS = {apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE}
_FTS5_LOOK = (apsw.SQLITE_PRAGMA, "data_version")

# Tables that SQLite makes up about the connection, the file or a pointer.
MADE_UP_TABLE = re.compile(
    r"pragma_\w+|dbstat|fts3tokenize|fts[45](?:aux|vocab)|carray|sqlite_(?:temp_\w+|stmt|dbpage|dbdata)",
    re.IGNORECASE,
)
_BLANK = re.compile(r"(?:[ \t\n\f\r;]|--[^\n]*|/\*.*?(?:\*/|\Z))*+", re.DOTALL)

SQL_LENGTH = 100_000
_LIMITS = {
    apsw.SQLITE_LIMIT_SQL_LENGTH: SQL_LENGTH,
    apsw.SQLITE_LIMIT_EXPR_DEPTH: 200,
    apsw.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    apsw.SQLITE_LIMIT_VDBE_OP: 100_000,
    apsw.SQLITE_LIMIT_FUNCTION_ARG: 127,
    apsw.SQLITE_LIMIT_ATTACHED: 0,
    apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    apsw.SQLITE_LIMIT_VARIABLE_NUMBER: 100,
    apsw.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    apsw.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_SWITCHES = {
    apsw.SQLITE_DBCONFIG_DEFENSIVE: 1,
    apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA: 0,
    apsw.SQLITE_DBCONFIG_WRITABLE_SCHEMA: 0,
    apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER: 0,
    apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION: 0,
    apsw.SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER: 0,
    apsw.SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE: 0,
    apsw.SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE: 0,
}
# No temporary file (a large sort stays in bounded memory), no memory map, pages checked before they are believed.
_PRAGMAS = "PRAGMA query_only=1; PRAGMA temp_store=2; PRAGMA mmap_size=0; PRAGMA cell_size_check=1"


class Refused(Exception):
    """The query is of a kind that may not run; ``str(error)`` says why."""


class Withheld(Exception):
    """The query reads what is excluded; ``str(error)`` is a sentence."""


def confine(connection: apsw.Connection, longest: int) -> None:
    """Put SQLite's own limits on a connection; no text or blob may get longer than `longest` bytes."""
    connection.execute(_PRAGMAS)
    for option, on in _SWITCHES.items():
        connection.config(option, on)
    for limit, value in _LIMITS.items():
        connection.limit(limit, value)
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, max(longest, SQL_LENGTH))


class Guard:
    """The allow-list. SQLite asks it about each action of a query while compiling; it keeps the reason of a refusal.

    `watch`: what is excluded of this database.
    """

    def __init__(self, watch: Watch | None = None):
        self.watch = watch
        self.own_tables: set[str] = set()
        self.running = False  # compiled, now stepping: only then may FTS5, not the query, look at its data version
        self.reason: str | Withheld = ""

    def put_on(self, connection: apsw.Connection, sql: str) -> None:
        """Watch over the query `sql` on a connection that is confined."""
        connection.set_authorizer(None)
        if self.watch and (what := self.watch.compares(sql)):
            raise Withheld(self.watch.sentence(what))
        if MADE_UP_TABLE.search(sql):  # or is it a table of the user's own, of such a name?
            self.own_tables = {name for (name,) in connection.execute("SELECT lower(name) FROM main.sqlite_schema")}
        connection.set_authorizer(self)

    def __call__(self, action: int, first: str | None, second: str | None, schema: str | None, source: str | None):
        if action == apsw.SQLITE_FUNCTION and second.lower() not in ALLOWED_FUNCTIONS:
            self.reason = f"the function {second}() is not on the list of those that only compute"
        elif action == apsw.SQLITE_READ and self._made_up(first):
            self.reason = f"the table {first} is about the connection or the file, not about the data"
        elif self.watch and (what := self.watch.finds(action, first, second, source)):
            self.reason = Withheld(self.watch.sentence(what))
        elif action not in _ALLOWED_ACTIONS and not (self.running and (action, first) == _FTS5_LOOK):
            name = apsw.mapping_authorizer_function[action].removeprefix("SQLITE_").replace("_", " ")
            self.reason = f"it asks for {name} on {first}" if first else f"it asks for {name}"
        else:
            return apsw.SQLITE_OK
        return apsw.SQLITE_DENY

    def _made_up(self, table: str) -> bool:
        return bool(MADE_UP_TABLE.fullmatch(table)) and table.lower() not in self.own_tables

    def check_statement(self, cursor: apsw.Cursor, statement: str, sql: str) -> None:
        """Called between compiling and the first step: `sql` must be this one statement, and yield columns."""
        if cursor.is_explain:
            raise Refused("it is an EXPLAIN, whose rows are about the query, not about the data")
        if not cursor.has_vdbe:
            raise Refused("it is empty: there is no statement in it")
        if not cursor.get_description() or not cursor.is_readonly:
            raise Refused("it yields no columns")
        if not _BLANK.fullmatch(sql, len(statement)):
            raise Refused("it is more than one statement")
        self.running = True


_TOO_MANY = re.compile(
    r"too (many|large|deep|complex|big)|parser stack overflow|at most \d+ tables|recursion limit", re.I
)
_NOT_ALLOWED = re.compile(r"not authorized|prohibited|authorization", re.I)  # FTS3 asks, is refused, and goes on
_SQLITE_REFUSES = re.compile(r"unsafe use|may not be modified|cannot modify")
_ONLY = "Only one statement that reads the database may run."


def explain(error: Exception, reason: str | Withheld, seconds: float) -> tuple[str, str | None]:
    """(sentence, limit) for whatever stopped a query; `reason` is the guard's.

    A mistake in the SQL keeps SQLite's own words, with no limit. Limit "database": the file itself is at fault.
    """
    match error:
        case Refused():
            return f"Refused: {error}. {_ONLY}", "refused"
        case Withheld():
            return str(error), "excluded"
        case apsw.AuthError() | apsw.SQLError() if isinstance(reason, Withheld) and _NOT_ALLOWED.search(str(error)):
            return str(reason), "excluded"
        case apsw.AuthError() | apsw.SQLError() if reason and _NOT_ALLOWED.search(str(error)):
            return f"Refused: {reason}. {_ONLY}", "refused"
        case apsw.InterruptError():
            return f"Stopped: the query ran longer than {seconds:g} s.", "time"
        case MemoryError() | apsw.NoMemError():
            return "Stopped: the query needs more memory than its limit allows.", "memory"
        case apsw.TooBigError():
            return "Stopped: a text or blob, or the query itself, is longer than its limit allows.", "length"
        case apsw.BindingsError():
            return (
                "The query has a parameter such as ? or :name, and nothing to put there. Write the value itself.",
                None,
            )
        case apsw.CorruptError() | apsw.NotADBError():
            return f"The database file is damaged ({error}). Restore it from a copy.", None
        case apsw.ReadOnlyError():
            return (
                "A program was cut off while writing: a -journal file is left. Open the database once with sqlite3.",
                None,
            )
        case apsw.BusyError():
            return "Another program was writing to the database. Wait until it is done, then run the query again.", None
        case LabkitError():
            return str(error), "database"
        case UnicodeError():
            return "A name in the result is not valid UTF-8. Give the columns names with AS.", None
        case apsw.SQLError() if _TOO_MANY.search(str(error)):
            return f"Stopped: the query is too large or nested too deep ({error}).", "depth"
        case apsw.SQLError() if _SQLITE_REFUSES.search(str(error)):
            return f"Refused: {error}. {_ONLY}", "refused"
    return str(error), None
