"""What holds in a database's rows beside what its schema declares, and how to keep it when rows change.

Ids that never repeat, texts that always name a row of another table, columns computed from others or missing together,
two scores that are never level, one active contract a player: a query may rely on such facts, so a perturbed copy must
not break them. It is guesswork from some thousand rows at most: a fact must be far from chance to be believed.

Rows are dictionaries, column -> value; `Data` maps a table's name to its rows.
"""

import random
import re
from dataclasses import dataclass
from itertools import combinations, permutations

from labkit.schema import Column, Schema, Table
from labkit.stock import ID_SHAPE, NUMBER

Row = dict[str, object]
Data = dict[str, list[Row]]

_ENOUGH = 20  # rows that make a rule believable
_BY_CHANCE = 8  # breaches that unrelated columns would show, at least, for their absence to be a rule
_ID_NAME = re.compile(r"(^|_)(id|key|code|no|nr|number|uuid)$", re.IGNORECASE)


@dataclass(frozen=True)
class Inclusion:
    """The values of `columns` are values of `other_columns` in `other`, or NULL."""

    table: str
    columns: tuple[str, ...]
    other: str
    other_columns: tuple[str, ...]


@dataclass(frozen=True)
class Relation:
    """In each row of `table`, `low` is `sign` `high`: "<>", "<=" or "<"; NULL and placeholders aside."""

    table: str
    low: str
    high: str
    sign: str


@dataclass(frozen=True)
class Once:
    """Among the rows of `table` where `where` is `value`, no `column` repeats."""

    table: str
    column: str
    where: str
    value: object


@dataclass(frozen=True)
class Observed:
    """The rules of a database. `unique`: sets of columns; `bundles`: columns whose values only make sense together."""

    unique: dict[str, tuple[tuple[str, ...], ...]]
    inclusions: tuple[Inclusion, ...]
    bundles: dict[str, tuple[tuple[str, ...], ...]]
    relations: tuple[Relation, ...]
    once: tuple[Once, ...]

    def is_unique(self, table: str, column: str) -> bool:
        return (column,) in self.unique[table]

    def bound_to(self, table: str, column: str) -> tuple[str, ...]:
        """The columns that must move together with this one, itself included."""
        return next((bundle for bundle in self.bundles[table] if column in bundle), (column,))

    def is_free(self, table: str, column: str) -> bool:
        """Whether a column may take any value of its kind: it is no key, refers to none, and is not bound to others."""
        alone = len(self.bound_to(table, column)) == 1
        return alone and not self.is_unique(table, column) and self.parent(table, column) is None

    def parent(self, table: str, column: str) -> Inclusion | None:
        """The inclusion that a column takes part in."""
        return next((i for i in self.inclusions if i.table == table and column in i.columns), None)


def observe(data: Data, schema: Schema) -> Observed:
    """The rules that `data`, rows of the database of `schema`, keeps."""
    tables = [schema.table(name) for name in data]
    unique = {table.name: _unique(table, data[table.name]) for table in tables}
    inclusions = _declared_inclusions(data, schema) + _found_inclusions(data, tables, unique)
    return Observed(
        unique,
        tuple(dict.fromkeys(inclusions)),
        {table.name: _bundles(table, data[table.name]) for table in tables},
        tuple(rule for table in tables for rule in _relations(table, data[table.name])),
        tuple(rule for table in tables for rule in _once(table, data[table.name], inclusions)),
    )


def hold(data: Data, observed: Observed) -> Data:
    """`data` without the rows that break a rule; rows that then refer to nothing go, too."""
    data = {name: _kept(name, rows, observed) for name, rows in data.items()}
    while True:
        before = sum(map(len, data.values()))
        for rule in observed.inclusions:
            known = {tuple(row[c] for c in rule.other_columns) for row in data[rule.other]}
            data[rule.table] = [row for row in data[rule.table] if _refers(row, rule, known)]
        if sum(map(len, data.values())) == before:
            return data


def is_missing(value: object, column: Column) -> bool:
    """Whether a value says that there is none: NULL, a placeholder, or a word among numbers."""
    if value is None or (isinstance(value, str) and value in column.placeholders):
        return True
    return isinstance(value, str) and bool(column.stored_types) and column.stored_types[0] in ("integer", "real")


# --- finding rules ----------------------------------------------------------------------------------------------------


def _unique(table: Table, rows: list[Row]) -> tuple[tuple[str, ...], ...]:
    groups = {*table.unique, table.primary_key} - {()}
    groups |= {(column.name,) for column in table.columns if _never_repeats(column, [r.get(column.name) for r in rows])}
    return tuple(sorted(groups))


def _never_repeats(column: Column, values: list) -> bool:
    """An id, or plain words; numbers, dates and amounts that happen to differ may well repeat tomorrow."""
    if column.unique:
        return True
    values = [value for value in values if value is not None]
    if len(values) < 3 or len(set(values)) < len(values):
        return False
    texts = all(isinstance(value, str) for value in values)
    if texts and len(values) >= _ENOUGH:
        return all(ID_SHAPE.fullmatch(v) for v in values) or not any(NUMBER.search(v) for v in values)
    counted = all(isinstance(value, int) for value in values) and max(values) - min(values) == len(values) - 1
    return bool(_ID_NAME.search(column.name)) or (counted and len(values) >= _ENOUGH and min(values) in (0, 1))


def _declared_inclusions(data: Data, schema: Schema) -> list[Inclusion]:
    """Foreign keys, but for those that the stored rows already break."""
    keys = [Inclusion(k.table, k.columns, k.other, k.other_columns) for k in schema.foreign_keys]
    return [key for key in keys if key.table in data and key.other in data and _is_kept(key, data)]


def _is_kept(rule: Inclusion, data: Data) -> bool:
    known = {tuple(row[c] for c in rule.other_columns) for row in data[rule.other]}
    return all(_refers(row, rule, known) for row in data[rule.table])


def _refers(row: Row, rule: Inclusion, known: set[tuple]) -> bool:
    key = tuple(row[c] for c in rule.columns)
    return None in key or key in known


def _found_inclusions(data: Data, tables: list[Table], unique: dict) -> list[Inclusion]:
    found = []
    keys = [(t.name, group[0]) for t in tables for group in unique[t.name] if len(group) == 1]
    for table in tables:
        for column in table.columns:
            values = {row.get(column.name) for row in data[table.name]} - {None}
            if column.generated or len(values) < 3 or len(data[table.name]) < _ENOUGH:
                continue
            for other, key in keys:
                if other != table.name and _same_thing(column.name, key, values):
                    rule = Inclusion(table.name, (column.name,), other, (key,))
                    found += [rule] if _is_kept(rule, data) else []
    return found


def _same_thing(name: str, key: str, values: set) -> bool:
    """Texts speak for themselves; small numbers are found in any column, so the names must agree."""
    texts = all(isinstance(value, str) for value in values)
    return texts or (name.lower() == key.lower() != "id") or name.lower().endswith(f"_{key.lower()}")


def _bundles(table: Table, rows: list[Row]) -> tuple[tuple[str, ...], ...]:
    """Columns that are missing in the same rows, and columns computed from one another."""
    together: list[set[str]] = []
    missing: dict[tuple, set[str]] = {}
    for column in table.columns:
        where = tuple(i for i, row in enumerate(rows) if is_missing(row.get(column.name), column))
        if 3 <= len(where) <= len(rows) - 3:
            missing.setdefault(where, set()).add(column.name)
    groups = [names for names in missing.values() if len(names) > 1] + _computed(table, rows)
    for names in groups:
        overlapping = [group for group in together if group & names]
        together = [group for group in together if group not in overlapping] + [names.union(*overlapping)]
    return tuple(tuple(sorted(group)) for group in together)


def _numeric(table: Table, rows: list[Row]) -> list[str]:
    names = [c.name for c in table.columns if not c.generated]
    return [n for n in names if rows and all(isinstance(row.get(n), (int, float)) for row in rows)][:10]


def _computed(table: Table, rows: list[Row]) -> list[set[str]]:
    if len(rows) < _ENOUGH:
        return []
    some, found = rows[:: max(1, len(rows) // 40)], []
    for a, b, c in permutations(_numeric(table, rows), 3):
        if len({row[c] for row in some}) < 5 or len({row[b] for row in some}) < 3:
            continue
        for rule in (lambda x, y: x / y if y else None, lambda x, y: x + y, lambda x, y: x * y):
            if all((v := rule(row[a], row[b])) is not None and abs(v - row[c]) < 0.0501 for row in some):
                found.append({a, b, c})
    return found


def _relations(table: Table, rows: list[Row]) -> list[Relation]:
    if len(rows) < _ENOUGH:
        return []
    found = []
    for a, b in combinations([c for c in table.columns if not c.generated], 2):
        here = [(r[a.name], r[b.name]) for r in rows if not is_missing(r[a.name], a) and not is_missing(r[b.name], b)]
        if len(here) < _ENOUGH or len({_kind(v) for pair in here for v in pair}) > 1:
            continue
        turned = list(zip([x for x, _ in here], [y for _, y in here[1:] + here[:1]], strict=True))
        found += [
            Relation(table.name, *((b.name, a.name) if swap else (a.name, b.name)), sign)
            for sign, swap in (("<>", False), ("<", False), ("<", True), ("<=", False), ("<=", True))
            if _breaches(here, sign, swap) == 0 and _breaches(turned, sign, swap) >= max(_BY_CHANCE, _few(sign, here))
        ]
    return _strongest(found)


def _few(sign: str, pairs: list) -> float:
    """Order is often kept by most rows anyway; it takes more to see a rule in it."""
    return 0 if sign == "<>" else len(pairs) / 20


def _kind(value) -> str:
    return "text" if isinstance(value, str) else "number" if isinstance(value, (int, float)) else "blob"


def _breaches(pairs: list[tuple], sign: str, swap: bool) -> int:
    pairs = [(b, a) for a, b in pairs] if swap else pairs
    return sum(not _follows(a, b, sign) for a, b in pairs)


def _follows(a, b, sign: str) -> bool:
    return a != b if sign == "<>" else a < b if sign == "<" else a <= b


def _strongest(found: list[Relation]) -> list[Relation]:
    strict = {(r.table, r.low, r.high) for r in found if r.sign == "<"}
    return [r for r in found if r.sign == "<" or not {(r.table, r.low, r.high), (r.table, r.high, r.low)} & strict]


def _once(table: Table, rows: list[Row], inclusions: list[Inclusion]) -> list[Once]:
    referring = [i.columns[0] for i in inclusions if i.table == table.name and len(i.columns) == 1]
    found = []
    for column in dict.fromkeys(referring):
        for where in (c for c in table.columns if 2 <= c.distinct <= 6 and c.name != column):
            for value in {row[where.name] for row in rows}:
                here = [row[column] for row in rows if row[where.name] == value and row[column] is not None]
                any_rows = random.Random(0).sample([row[column] for row in rows], len(here))
                by_chance = len(any_rows) - len(set(any_rows))
                if len(here) >= _ENOUGH and len(set(here)) == len(here) and by_chance >= _BY_CHANCE:
                    found.append(Once(table.name, column, where.name, value))
    return found


# --- keeping them -----------------------------------------------------------------------------------------------------


def _kept(name: str, rows: list[Row], observed: Observed) -> list[Row]:
    relations = [r for r in observed.relations if r.table == name]
    once = [r for r in observed.once if r.table == name]
    seen: set = set()
    kept = []
    for row in rows:
        if any(not _respects(row, rule) for rule in relations):
            continue
        keys = [(group, tuple(row[c] for c in group)) for group in observed.unique[name] if group[0] in row]
        keys += [(rule, (row[rule.column],)) for rule in once if row[rule.where] == rule.value]
        keys = [key for key in keys if None not in key[1]]
        if seen.isdisjoint(keys):
            seen.update(keys)
            kept.append(row)
    return kept


def _respects(row: Row, rule: Relation) -> bool:
    low, high = row[rule.low], row[rule.high]
    return low is None or high is None or _kind(low) != _kind(high) or _follows(low, high, rule.sign)
