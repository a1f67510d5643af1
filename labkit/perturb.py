"""Small copies of a database, made to tell a query from its nearly right neighbours.

A query may give the right rows by accident: no tie, no NULL, no amount exactly at the boundary happens to be stored. On
a copy where values were changed, ties made, rows added and removed and NULLs put in, such a query gives itself away.
The idea of choosing copies by the neighbours they tell apart is that of test suite accuracy (Zhong, Yu and Klein, EMNLP
2020, https://aclanthology.org/2020.emnlp-main.29). Declared and observed rules are kept (`observed`), so that a query
which may rely on them is not punished. A copy proves that two queries differ; that no copy parts them proves nothing.
"""

import hashlib
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from sqlglot import exp

from labkit.changes import SIZES, Condition, World, perturbed
from labkit.copying import read_rows, schema_sql, write_database
from labkit.dataset import Question
from labkit.exclusion import said
from labkit.execution import ExecutionResult, Limits, execute_many
from labkit.home import home
from labkit.neighbours import column_of, neighbours, table_sources
from labkit.observed import Data, Observed, Row, hold, is_missing, observe
from labkit.reference import Reference, references
from labkit.schema import Column, Schema, quote, read_schema
from labkit.sqltext import parse
from labkit.stock import Stock, is_closed

_VERSION = 4  # part of the cache's name: raise it when other copies would be made
_TRIES = 24  # copies made for one gold, of which the telling ones are kept
_MORE_TRIES = 60  # where the gold has too few rows to show
_AT_LEAST = 8  # copies kept even when no neighbour is left to tell
_AT_MOST = 14
_GOLDS_KEPT = 1_000
_INVENTED = 150  # rows with new values that donate them, for each table of the gold
COPY_LIMITS = Limits(seconds=1.0, rows=5_000)  # of a query on a copy


def perturbed_copies(database: str | Path, gold_sql: str, seed: int = 0, order: bool | None = None) -> list[Path]:
    """Copies on which the gold gives a stable result that isn't empty; made once, then kept under `home()`.

    The same database, query, seed and `order` (as in `Question`) give the same copies; [] when the gold always fails.
    """
    database = Path(database)
    key = json.dumps([_VERSION, _digest(database), gold_sql, seed, order, *said(database)])
    folder = home() / "copies" / hashlib.sha256(key.encode()).hexdigest()[:32]
    known = folder.is_dir()
    if not known:
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary) / "copies"
            made.mkdir()
            _make_copies(database, Question("", "", gold_sql, "", order=order), random.Random(key), made)
            _move(made, folder)
    os.utime(folder, ns=(time.time_ns(), time.time_ns()))  # the file system's own clock is coarse
    if not known:
        _forget_oldest(folder.parent)
    return sorted(folder.glob("*.sqlite"))


def _digest(database: Path) -> str:
    stat = database.stat()
    return _read_digest(database, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(64)
def _read_digest(database: Path, *_changed: int) -> str:
    with database.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _move(made: Path, folder: Path) -> None:
    try:
        made.rename(folder)
    except OSError:  # another process was faster, with the same copies
        if not folder.is_dir():
            raise


def _forget_oldest(parent: Path) -> None:
    """Copies of one gold take some 300 kB: those longest out of use make room."""
    folders = [folder for folder in parent.iterdir() if len(folder.name) == 32]
    if len(folders) <= _GOLDS_KEPT:
        return
    for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime)[:-_GOLDS_KEPT]:
        shutil.rmtree(folder, ignore_errors=True)


# --- choosing ---------------------------------------------------------------------------------------------------------


def _make_copies(database: Path, gold: Question, rng: random.Random, folder: Path) -> None:
    world = known_world(database, gold.sql)
    alive, statements = _alive(world, gold), schema_sql(world.schema)
    kept = idle = 0
    for i in range(_MORE_TRIES):
        if i >= _TRIES and kept >= _AT_LEAST:
            return
        path = folder / f"{i:02}.sqlite"
        sizes = SIZES if idle <= i / 2 else SIZES[len(SIZES) // 2 :]  # the gold may need many rows to show any
        write_database(path, statements, perturbed(world, rng, sizes[i % len(sizes)]), world.observed)
        reference = references(path, [gold], COPY_LIMITS)[0]
        killed = told_apart(path, reference, alive)
        telling = reference.fault is None and not is_nothing(reference.result.rows)
        if not (killed or (telling and kept < _AT_LEAST)):
            idle += not telling
            path.unlink()
            continue
        kept += 1
        alive = [sql for sql in alive if sql not in killed]
        if kept >= _AT_MOST or (kept >= _AT_LEAST and not alive):
            return


def _alive(world: World, gold: Question) -> list[str]:
    """The neighbours that give the gold's rows on the database itself: the others need no copy."""
    reference = references(world.schema.database, [gold], COPY_LIMITS)[0]
    around = neighbours(gold.sql, world.schema)
    if reference.fault is not None:
        return around
    told = set(told_apart(world.schema.database, reference, around))
    return [sql for sql in around if sql not in told]


def told_apart(database: Path, reference: Reference, sqls: Sequence[str]) -> list[str]:
    """Those of `sqls` that give other rows than the reference on a database; none where that proves nothing."""
    if reference.fault is not None or is_silent(reference.result):
        return []
    results = execute_many(database, sqls, COPY_LIMITS)
    return [sql for sql, result in zip(sqls, results, strict=True) if not (_whole(result) and alike(reference, result))]


def alike(reference: Reference, result: ExecutionResult) -> bool:
    """Whether a result agrees with the reference's, or both find nothing and only write that down differently."""
    if reference.agrees(result):
        return True
    return is_nothing(reference.result.rows) and is_nothing(result.rows)


def _whole(result: ExecutionResult) -> bool:
    return result.error is None and not result.truncated


def is_silent(result: ExecutionResult) -> bool:
    """No row, or one of NULL: a query without a filter that seldom decides may find some there, and be as good."""
    rows = result.rows
    return not rows or (len(rows) == 1 and set(rows[0]) == {None})


def is_nothing(rows: Sequence[tuple]) -> bool:
    """No row, or one of NULL and 0: of nothing at all a list has no row, a sum is NULL, a count 0."""
    return not rows or (len(rows) == 1 and set(rows[0]) <= {None, 0})


# --- what is known before rows are changed ----------------------------------------------------------------------------


@lru_cache(4)
def _facts(database: Path, modified: int, size: int, excluded: tuple) -> tuple[Schema, Data, Observed]:
    schema = read_schema(database)
    data = read_rows(schema)
    return schema, data, observe(data, schema)


def known_world(database: Path, sql: str) -> World:
    """All that the changes of rows for a gold rest on; where sqlglot cannot read it, they go everywhere."""
    tree, stat = parse(sql), database.stat()
    schema, data, observed = _facts(database, stat.st_mtime_ns, stat.st_size, tuple(said(database)))
    hot = (tree is not None and _hot_columns(tree, schema)) or _all_columns(schema)
    conditions = [c for c in _conditions(tree, schema) if c.table in data] if tree is not None else []
    if any(len(data[table]) < (schema.table(table).rows or 0) for table in hot if table in data):
        data = hold(read_rows(schema, [(c.table, c.sql) for c in conditions]), observed)
    donors = {name: rows + _invented(schema, observed, name, rows, hot, conditions) for name, rows in data.items()}
    meeting = _rows_meeting(schema, donors, conditions)
    return World(schema, observed, data, donors, hot, meeting)


def _all_columns(schema: Schema) -> dict[str, tuple[str, ...]]:
    tables = [table for table in schema.tables if not table.is_view]
    return {table.name: tuple(c.name for c in table.columns if not c.generated) for table in tables}


def _hot_columns(tree: exp.Expression, schema: Schema) -> dict[str, tuple[str, ...]]:
    sources = table_sources(tree, schema)
    if any(table.is_view for table in sources.values()):
        return {}  # what a view speaks of is not read
    every = any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star))
    found: dict[str, dict] = {
        table.name: dict.fromkeys(c.name for c in table.columns if every and not c.generated)
        for table in sources.values()
    }
    for node in tree.find_all(exp.Column):
        table, column = column_of(node, sources)
        if column is not None and table.name in found and not column.generated:
            found[table.name][column.name] = None
    return {name: tuple(columns) for name, columns in found.items()}


_ATOMS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.Glob, exp.Between, exp.In, exp.Is)
_BOUNDED = (exp.GT, exp.GTE, exp.LT, exp.LTE)


def _conditions(tree: exp.Expression, schema: Schema) -> list[Condition]:
    """Comparisons in the gold that concern one table's columns; their boundaries: equal, one more, one less."""
    sources, found = table_sources(tree, schema), {}
    for atom in tree.find_all(*_ATOMS):
        columns = [column_of(node, sources) for node in atom.find_all(exp.Column)]
        tables = {table.name for table, _ in columns if table is not None}
        if len(tables) != 1 or None in [c for _, c in columns] or atom.find(exp.Query, exp.AggFunc, exp.Window):
            continue
        table = tables.pop()
        for i, variant in enumerate(_variants(atom)):
            condition = Condition(table, _names(columns), _unqualified(variant), as_written=i == 0)
            found.setdefault((table, condition.sql), condition)
    return list(found.values())


def _names(columns: list) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column.name for _, column in columns))


def _variants(atom: exp.Expression) -> list[exp.Expression]:
    if isinstance(atom, exp.Between):
        edges = [exp.EQ(this=atom.this.copy(), expression=atom.args[k].copy()) for k in ("low", "high")]
        return [atom, exp.not_(atom.copy()), *edges]
    if not isinstance(atom, _BOUNDED):
        return [atom, exp.not_(atom.copy())]
    left, right = atom.this, atom.expression
    near = [f"{sign} 1" for sign in "+-"] if not any(s.is_string for s in (left, right)) else []
    shifted = [f"({left.sql('sqlite')}) = ({right.sql('sqlite')}) {shift}" for shift in near]
    edge = exp.EQ(this=left.copy(), expression=right.copy())
    return [atom, exp.not_(atom.copy()), edge, *(exp.maybe_parse(sql, dialect="sqlite") for sql in shifted)]


def _unqualified(node: exp.Expression) -> str:
    node = node.copy()
    for column in list(node.find_all(exp.Column)):
        column.set("table", None)
    return node.sql(dialect="sqlite")


def _invented(schema: Schema, observed: Observed, name: str, rows: list[Row], hot: dict, conditions) -> list[Row]:
    """Rows with values that aren't stored: recombined texts, and the numbers that the gold compares with."""
    if name not in hot or not rows:
        return []
    rng = random.Random(name)
    free = [c for c in hot[name] if observed.is_free(name, c) and not is_closed([row[c] for row in rows])]
    columns = [schema.table(name).column(c) for c in free]
    stocks = {c.name: Stock([row[c.name] for row in rows]) for c in columns}
    constants = {c.name: _constants(conditions, c) for c in columns}
    invented = []
    for _ in range(_INVENTED if columns else 0):
        row = dict(rng.choice(rows))
        for column in columns:
            row[column.name] = _new_value(row[column.name], column, stocks[column.name], constants[column.name], rng)
        _set_ratio(row, free, [c for c in conditions if c.table == name], rng)
        invented.append(row)
    return invented


def _set_ratio(row: Row, free: list[str], conditions: Sequence[Condition], rng: random.Random) -> None:
    """Where the gold compares two columns' ratio (or product) with a number, let the row have just that, sometimes."""
    for condition in conditions:
        mine, numbers = [c for c in condition.columns if c in free], _numbers_in(condition)
        values = [row[c] for c in condition.columns]
        if len(values) != 2 or not mine or not numbers or not all(isinstance(v, int) for v in values):
            continue
        column, number = rng.choice(mine), rng.choice(numbers)
        other = row[next(c for c in condition.columns if c != column)]
        if rng.random() < 0.3:
            row[column] = round(number * other)


def _numbers_in(condition: Condition) -> list[float]:
    tree = exp.maybe_parse(condition.sql, dialect="sqlite")
    return sorted({float(node.name) for node in tree.find_all(exp.Literal) if not node.is_string})


def _constants(conditions: Sequence[Condition], column: Column) -> tuple[list[float], list[str]]:
    """The numbers and texts that the gold compares a column with."""
    trees = [exp.maybe_parse(c.sql, dialect="sqlite") for c in conditions if c.columns == (column.name,)]
    literals = [node for tree in trees for node in tree.find_all(exp.Literal)]
    numbers = {float(node.name) for node in literals if not node.is_string}
    return sorted(numbers), sorted({node.name for node in literals if node.is_string})


def _new_value(value, column: Column, stock: Stock, constants: tuple[list[float], list[str]], rng: random.Random):
    """Another value of the column's kind: a constant of the gold, or a number that is one more or less than it."""
    numbers, texts = constants
    if is_missing(value, column):
        return value
    if isinstance(value, str):
        same_shape = [text for text in texts if stock.has_shape_of(text)]
        if same_shape and rng.random() < 0.3:
            return rng.choice(same_shape)
        return stock.recombined(value, rng) if any(char.isdigit() for char in value) else value
    if isinstance(value, (int, float)) and numbers and rng.random() < 0.6:
        return type(value)(rng.choice(numbers) + rng.choice((-1, 0, 0, 1)))
    return value + rng.choice((-2, -1, 1, 2)) if isinstance(value, int) else value


def _rows_meeting(schema: Schema, donors: Data, conditions: Sequence[Condition]) -> tuple:
    """Which donors meet each condition, found by SQLite itself in a scratch database."""
    needed = {c.table for c in conditions}
    if not needed:
        return ()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scratch.sqlite"
        statements = [_scratch_table(schema, name) for name in needed]
        numbered = {name: [{"labkit_row": i, **row} for i, row in enumerate(donors[name])] for name in needed}
        write_database(path, statements, numbered, _NO_RULES)
        queries = [f"SELECT labkit_row FROM {quote(c.table)} WHERE {c.sql}" for c in conditions]
        results = execute_many(path, queries, COPY_LIMITS)
    rows = [tuple(donors[c.table][i] for (i,) in r.rows) for c, r in zip(conditions, results, strict=True)]
    return tuple((c, found) for c, found in zip(conditions, rows, strict=True) if found)


_NO_RULES = Observed({}, (), {}, (), ())


def _scratch_table(schema: Schema, name: str) -> str:
    columns = [f"{quote(c.name)} {c.declared_type}" for c in schema.table(name).columns if not c.generated]
    return f"CREATE TABLE {quote(name)} (labkit_row, {', '.join(columns)})"
