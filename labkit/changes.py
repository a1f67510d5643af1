"""Changed rows for one copy of a database: some of its rows, with values, ties, gaps and references moved about.

Chance decides which rows change, the gold where: changes keep to the columns that it speaks of, and lend values from
rows that meet its conditions or stand just at their boundary. Rules that the database keeps are restored at the end.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from labkit.observed import Data, Inclusion, Observed, Row, hold, is_missing
from labkit.schema import Schema
from labkit.stock import Stock

SIZES = (8, 15, 25, 40, 80, 150, 400, 1000)  # rows a table
_RATES = (0, 0.03, 0.1, 0.3)  # changes of a kind, a row


@dataclass(frozen=True)
class Condition:
    """A condition on one table's columns, taken from the gold, or a variant of it at its boundary."""

    table: str
    columns: tuple[str, ...]
    sql: str
    as_written: bool = True  # False for a negation, a boundary


@dataclass(frozen=True)
class World:
    """What is known before rows are changed."""

    schema: Schema
    observed: Observed
    data: Data  # rows of the database
    donors: Data  # the same, and rows with invented values: they lend values to others
    hot: dict[str, tuple[str, ...]]  # the gold's tables and the columns of each that it speaks of
    meeting: tuple[tuple[Condition, tuple[Row, ...]], ...]  # conditions with the donors that meet them

    @cached_property
    def children_last(self) -> tuple[str, ...]:
        """All tables, each after those that it refers to; within a cycle in any order."""
        order: list[str] = []
        names = list(self.data)
        while names:
            waiting = {r.table for r in self.observed.inclusions if r.other in names and r.other != r.table}
            ready = [name for name in names if name not in waiting] or names[:1]
            order += ready
            names = [name for name in names if name not in ready]
        return tuple(order)

    @cached_property
    def stocks(self) -> dict[tuple[str, str], Stock]:
        """The texts of the columns that are keys, to make new keys like them."""
        groups = [
            (name, group[0]) for name, groups in self.observed.unique.items() for group in groups if len(group) == 1
        ]
        return {(name, column): Stock([row.get(column) for row in self.data[name]]) for name, column in groups}

    @cached_property
    def missing(self) -> dict[tuple[str, str], list[Row]]:
        """For each column of the gold's tables the rows in which it has no value."""
        columns = [(name, c) for name in self.hot for c in self.schema.table(name).columns if not c.generated]
        return {(n, c.name): [row for row in self.data[n] if is_missing(row[c.name], c)] for n, c in columns}


def perturbed(world: World, rng: random.Random, size: int | None = None) -> Data:
    """Rows for all tables of a copy, about `size` in most; the mix of changes differs each time."""
    copy, size = _Copy(world, rng), size or rng.choice(SIZES)
    for name in world.children_last:
        copy.choose(name, rng.choice(SIZES) if rng.random() < 0.2 else size)
    for name in world.hot:
        if copy.data.get(name):
            copy.change(name)
    for rows in copy.data.values():
        rng.shuffle(rows)
    return hold(copy.data, world.observed)


class _Copy:
    """Rows on their way from the database to a copy."""

    def __init__(self, world: World, rng: random.Random):
        self.world, self.observed, self.rng = world, world.observed, rng
        self.data: Data = {}
        self.keys: dict[Inclusion, dict[tuple, None]] = {}  # what rows may refer to, by rule
        self.favourites: dict[Inclusion, list[tuple]] = {}  # those of rows that meet a condition of the gold

    def choose(self, name: str, size: int) -> None:
        """Some rows of a table, those among them that meet conditions; they refer to rows that were chosen."""
        rows, rng = self.world.data[name], self.rng
        known = {id(row) for row in rows}  # a donor may be invented: then its keys are another row's
        wanted, chosen = {}, {}
        for condition, found in self.world.meeting:
            if condition.table == name:
                some = {id(row): row for row in rng.sample(found, min(3, len(found))) if id(row) in known}
                chosen |= some
                wanted |= some if condition.as_written else {}
        chosen |= {id(row): row for row in rng.sample(rows, min(len(rows), size))}
        self.data[name] = [dict(row) for row in chosen.values()]
        for rule in self.observed.inclusions:
            if rule.other == name:
                self.keys[rule] = {_key(row, rule.other_columns): None for row in self.data[name]}
                self.favourites[rule] = [_key(row, rule.other_columns) for row in wanted.values()]
        for row in self.data[name]:
            self._attach(name, row)

    def change(self, name: str) -> None:
        rows, rng = self.data[name], self.rng
        for slip in (self._meet, self._change, self._tie, self._lack, self._refer, self._twin, self._swap):
            for _ in range(round(rng.choice(_RATES) * len(rows) + rng.random())):
                slip(name, rng.choice(rows))
        for _ in range(rng.choice((0, 0, len(rows) // 10, 1 + len(rows) // 3))):
            self._add(name)

    def _attach(self, name: str, row: Row) -> None:
        """Where a row refers to one that was not chosen, let it refer to one that was."""
        for rule, keys in self.keys.items():
            if rule.table == name and keys:
                key = _key(row, rule.columns)
                if None not in key and key not in keys:
                    self._point(row, rule)

    def _point(self, row: Row, rule: Inclusion) -> None:
        favourites = self.favourites[rule] if self.rng.random() < 0.5 else []
        row.update(zip(rule.columns, self.rng.choice(favourites or list(self.keys[rule])), strict=True))

    def _lend(self, name: str, row: Row, donor: Row, columns: Sequence[str]) -> None:
        """Copy values with those that they are bound to, but no keys."""
        for column in columns:
            if not self.observed.is_unique(name, column):
                for member in self.observed.bound_to(name, column):
                    row[member] = donor[member]

    def _meet(self, name: str, row: Row) -> None:
        """Meet a condition of the gold, or stand just at its boundary; often several conditions at once."""
        mine = [(condition, found) for condition, found in self.world.meeting if condition.table == name]
        for condition, found in self.rng.sample(mine, min(len(mine), self.rng.randint(1, 4))):
            self._lend(name, row, self.rng.choice(found), condition.columns)
        self._attach(name, row)

    def _column(self, name: str) -> str:
        """A column that the gold speaks of, seldom another: a prediction may have chosen that."""
        hot, every = self.world.hot[name], list(self.data[name][0])
        return self.rng.choice(hot if hot and self.rng.random() < 0.85 else every)

    def _change(self, name: str, row: Row) -> None:
        """Another value, stored or invented."""
        self._lend(name, row, self.rng.choice(self.world.donors[name]), [self._column(name)])
        self._attach(name, row)

    def _tie(self, name: str, row: Row) -> None:
        """The value that another row of the copy has, often the largest or the smallest."""
        column, rows = self._column(name), self.data[name]
        extreme = self.rng.choice((max, min, None, None))
        donor = extreme(rows, key=lambda other: _rank(other[column])) if extreme else self.rng.choice(rows)
        self._lend(name, row, donor, [column])

    def _lack(self, name: str, row: Row) -> None:
        """No value: written as the database does, or NULL where the schema allows it and nothing speaks against it."""
        column = self._column(name)
        missing = self.world.missing[name, column]
        if missing:
            self._lend(name, row, self.rng.choice(missing), [column])
        elif not self.world.schema.table(name).column(column).not_null and self.observed.is_free(name, column):
            row[column] = None

    def _refer(self, name: str, row: Row) -> None:
        """To another row, or to the one that a neighbour refers to: some end with many children, some with none."""
        rules = [rule for rule, keys in self.keys.items() if rule.table == name and keys]
        if rules:
            rule, other = self.rng.choice(rules), self.rng.choice(self.data[name])
            if self.rng.random() < 0.5:
                row.update((column, other[column]) for column in rule.columns)
            else:
                self._point(row, rule)

    def _twin(self, name: str, row: Row) -> None:
        """All the values of another row but its keys: what DISTINCT is about."""
        self._lend(name, row, self.rng.choice(self.data[name]), list(row))

    def _swap(self, name: str, row: Row) -> None:
        """A name or a number changes places with another row's, keys of this table aside: who is T-01 is no law."""
        primary = self.world.schema.table(name).primary_key
        names = [g[0] for g in self.observed.unique[name] if len(g) == 1 and g[0] not in primary and g[0] in row]
        if names:
            column, other = self.rng.choice(names), self.rng.choice(self.data[name])
            row[column], other[column] = other[column], row[column]

    def _add(self, name: str) -> None:
        """A new row: one of the copy's or the database's under new keys."""
        row = dict(self.rng.choice(self.data[name] if self.rng.random() < 0.5 else self.world.data[name]))
        for group in self.observed.unique[name]:
            column = group[0]
            if len(group) == 1 and self.observed.parent(name, column) is None and column in row:
                row[column] = self._new_key(name, column, row[column])
                if row[column] is None:
                    return  # there is no telling how such a key is made
        self._attach(name, row)
        self.data[name].append(row)

    def _new_key(self, name: str, column: str, like: object):
        if isinstance(like, str):
            return self.world.stocks[name, column].new_key(like, self.rng)
        numbers = [row[column] for row in self.data[name] if isinstance(row[column], int)]
        return max(numbers) + self.rng.randint(1, 3) if isinstance(like, int) and numbers else None


def _key(row: Row, columns: Sequence[str]) -> tuple:
    return tuple(row[column] for column in columns)


def _rank(value: object) -> tuple:
    """Numbers by size, a number in a text by the first that stands there, the rest by their letters."""
    if isinstance(value, str):
        digits = re.search(r"\d[\d,]*", value)
        return (1, float(digits[0].replace(",", ""))) if digits else (0, value)
    return (1, float(value)) if isinstance(value, (int, float)) else (-1, 0)
