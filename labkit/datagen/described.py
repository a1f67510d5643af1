"""A query in words: the intent that a plain SELECT has, worded as drawn ones are. What `logs` words a query log by.

It reads columns (DISTINCT or not) or one aggregate, inner joins along links, conditions joined by AND, GROUP BY one
column, ORDER BY, LIMIT. What no wording would say faithfully is `Unreadable`.
"""

from collections.abc import Sequence

from sqlglot import exp, parse
from sqlglot.errors import SqlglotError

from labkit.datagen import bounds, saying, times
from labkit.datagen.build import text as one_line
from labkit.datagen.conditions import Condition
from labkit.datagen.frames import frames
from labkit.datagen.intents import Intent, subject_slots
from labkit.datagen.phrases import listed, plural
from labkit.datagen.speaker import Speaker
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Entity, Field


class Unreadable(ValueError):
    """A part of a query that no wording would say faithfully."""


def described(speaker: Speaker, sql: str) -> Intent:
    """The query as an intent; `Unreadable` when a part of it could not be said."""
    return _Reader(speaker, sql).intent()


class _Reader:
    """One query: its tables by alias, its parts as conditions and frames."""

    def __init__(self, speaker: Speaker, sql: str):
        self.speaker = speaker
        trees = _parsed(sql)
        if (
            len(trees) != 1
            or not isinstance(trees[0], exp.Select)
            or trees[0].find(exp.Subquery, exp.SetOperation, exp.Window, exp.With)
        ):
            raise Unreadable(sql)
        self.sql, self.tree = one_line(trees[0]), trees[0]
        first, joins = self.tree.args.get("from_") or self.tree.args.get("from"), self.tree.args.get("joins") or ()
        tables = [first.this, *(join.this for join in joins)] if first else []
        self.tables = {t.alias_or_name.casefold(): self._entity(t) for t in tables}
        if not self.tables or len(self.tables) != len(tables):
            raise Unreadable(sql)
        parents = [self._joined_from(join) for join in joins]
        (root, *others) = [alias for alias in self.tables if alias not in parents]
        spoken = {
            column.table.casefold() for column in self.tree.find_all(exp.Column) if not column.find_ancestor(exp.Join)
        }
        if others or len(set(parents)) != len(parents) or (joins and not {*self.tables} - {root} <= spoken):
            raise Unreadable(sql)  # whose rows are counted, or for what a table was joined, would stay unsaid
        self.root = self.tables[root]

    def _joined_from(self, join: exp.Join) -> str:
        """The alias on the parents' side of an inner join along a known link: it adds no row to its children's."""
        on = join.args.get("on")
        if (
            join.side
            or (join.kind or "INNER").upper() != "INNER"
            or not isinstance(on, exp.EQ)
            or join.args.get("using")
        ):
            raise Unreadable(join.sql())
        for child, parent in ((on.this, on.expression), (on.expression, on.this)):
            if not (isinstance(child, exp.Column) and isinstance(parent, exp.Column) and child.table and parent.table):
                raise Unreadable(join.sql())
            ends = [(self._at(side).table, side.name.casefold()) for side in (child, parent)]
            for link in self.speaker.world.links:
                if ends == [(link.table, link.column.casefold()), (link.other, link.other_column.casefold())]:
                    return parent.table.casefold()
        raise Unreadable(join.sql())

    def _at(self, column: exp.Column) -> Entity:
        """The table that a column's alias stands for."""
        if column.table.casefold() not in self.tables:
            raise Unreadable(column.sql())
        return self.tables[column.table.casefold()]

    def _entity(self, table: exp.Expression) -> Entity:
        found = [e for e in self.speaker.world.entities.values() if e.table.casefold() == table.name.casefold()]
        if not found:
            raise Unreadable(table.name)
        return found[0]

    def field(self, e: exp.Expression) -> Field:
        """The column that an expression is, or whose stored format it reads, and nothing more."""
        e = e.unnest()
        column = e.find(exp.Column)
        if not column:
            raise Unreadable(e.sql())
        f = self._column(column)
        if e != column and e != _parsed(f"SELECT {f.format.sql.replace('{c}', column.sql())}")[0].expressions[0]:
            raise Unreadable(e.sql())
        return f

    def _column(self, column: exp.Column) -> Field:
        among = [self.tables.get(column.table.casefold())] if column.table else list(self.tables.values())
        found = [f for entity in among if entity and (f := entity.field(column.name))]
        if not found:
            raise Unreadable(column.sql())
        return found[0]

    # --- conditions ---------------------------------------------------------------------------------------------------

    def conditions(self) -> list[Condition]:
        where = self.tree.args.get("where")
        tests = (
            list(where.this.flatten()) if where and isinstance(where.this, exp.And) else [where.this] if where else []
        )
        return [c for test in tests if (c := self.condition(test.unnest()))]

    def condition(self, e: exp.Expression) -> Condition | None:
        """The words of one test; None for one that only leaves placeholders out."""
        if isinstance(e, exp.Not) and isinstance(e.this, exp.Is):
            return self._foreign(
                saying.missing(self.speaker, self.field(e.this.this), (), False), self.field(e.this.this)
            )
        if isinstance(e, exp.Is):
            return self._foreign(saying.missing(self.speaker, self.field(e.this), (), True), self.field(e.this))
        if isinstance(e, exp.In) and e.expressions:
            return self._one_of(self.field(e.this), [_value(one) for one in e.expressions])
        if isinstance(e, exp.Between):
            return self._between(self.field(e.this), _value(e.args["low"]), _value(e.args["high"]))
        op = _OPS.get(type(e))
        if op is None:
            raise Unreadable(e.sql())
        f, value = self.field(e.this), _value(e.expression)
        if op == "<>" and value in f.missing:
            return None
        return self._foreign(self._compared(f, op, value), f)

    def _one_of(self, f: Field, values: Sequence[object]) -> Condition:
        """The value is one of several."""
        if set(values) & set(f.missing) or f.kind in ("period", "date"):
            raise Unreadable(f.ref)
        noun, said = self.speaker.words(f).nouns[0], " or ".join(map(str, values))
        return self._foreign(Condition((), (), post=(f"whose {noun} is {said}", f"with a {noun} of {said}")), f)

    def _between(self, f: Field, low: object, high: object) -> Condition:
        """From one number to another, both within."""
        if f.kind not in ("number", "year") or isinstance(low, str) or isinstance(high, str):
            raise Unreadable(f.ref)
        noun, both = self.speaker.words(f).nouns[0], f"from {low} to {high}(|, both included)"
        return self._foreign(Condition((), (), post=(f"whose {noun} is {both}", f"with a {noun} {both}")), f)

    def _compared(self, f: Field, op: str, value: object) -> Condition:
        if op == "=" and f.kind == "period":
            word = f.words.split()[-1]
            return Condition((), (), time=(f"in {value}", f"in the {value} {word}", f"in {word} {value}"))
        if op == "=" and isinstance(value, str):
            if value in f.missing:
                return saying.missing(self.speaker, f, (), True)
            return saying.is_value(self.speaker, f, value)
        if f.kind == "number" and op in (">", "<", ">=", "<=") and not isinstance(value, str):
            return bounds.compared(self.speaker, f, op, value)
        if f.kind == "year" and isinstance(value, int) and op != "<>":
            noun = self.speaker.words(f).nouns[0]
            return Condition(
                (),
                (),
                post=(
                    f"whose {noun} is {times.year_words(op, value)}",
                    f"with a {noun} {times.year_words(op, value)}",
                ),
            )
        if op == "=":
            return Condition(
                (),
                (),
                post=(
                    f"whose {self.speaker.words(f).nouns[0]} is {value}",
                    f"with {self.speaker.words(f).nouns[0]} {value}",
                ),
            )
        raise Unreadable(f"{f.ref} {op} {value}")

    def _foreign(self, condition: Condition, f: Field) -> Condition:
        """A condition on another table than the first says whose it is."""
        if not (condition.post or condition.time or f.table == self.root.table):
            raise Unreadable(f.ref)
        if f.table == self.root.table:
            return Condition(
                (), (), condition.noun, condition.adjective, condition.post, condition.verb, condition.time
            )
        if condition.time:
            return Condition((), (), time=condition.time)
        noun = self.speaker.nouns(self.speaker.world.entities[f.table])[0]
        return Condition((), (), post=tuple(f"whose {noun} is one {p}" for p in condition.post))

    # --- the question -------------------------------------------------------------------------------------------------

    def intent(self) -> Intent:
        """The whole query."""
        view = View(self.root, self.root)
        subject = Subject(self.speaker, view, [])
        subject.conditions = self.conditions()
        if self.tree.args.get("having") or self.tree.args.get("offset"):
            raise Unreadable(self.sql)
        asked = self._grouped() if self.tree.args.get("group") else self._plain()
        return Intent("log", self.sql, tuple(asked), subject_slots(subject))

    def _plain(self) -> Sequence[str]:
        items = [item.unalias() for item in self.tree.expressions]
        if len(items) == 1 and isinstance(items[0], exp.Count) and isinstance(items[0].this, exp.Star):
            return frames("count")
        if len(items) == 1 and isinstance(items[0], exp.Count) and isinstance(items[0].this, exp.Distinct):
            return frames("distinct count", things=self._things(items[0].this.expressions))
        if self.tree.args.get("distinct"):
            if self._order() or self.tree.args["distinct"].args.get("on"):
                raise Unreadable(self.sql)
            return frames("distinct list", things=self._things(items))
        if len(items) == 1 and type(items[0]) in _AGGREGATES:
            return frames(
                "one number", word=_AGGREGATES[type(items[0])], noun=self.speaker.noun(self.field(items[0].this))
            )
        if any(item.find(exp.AggFunc) for item in items):
            raise Unreadable(self.sql)
        return frames("columns", cols=listed([self._said(item) for item in items]), tail=self._order())

    def _things(self, items: Sequence[exp.Expression]) -> str:
        """The plural of the one column whose different values are asked for."""
        if len(items) != 1 or items[0].find(exp.AggFunc):
            raise Unreadable(self.sql)
        return plural(self._said(items[0]))

    def _said(self, item: exp.Expression) -> str:
        f = self.field(item)
        own = self.speaker.words(f).nouns[0]
        return own if f.table == self.root.table else f"{self.speaker.world.entities[f.table].noun} {own}"

    def _order(self) -> str:
        order, limit = self.tree.args.get("order"), self.tree.args.get("limit")
        if not order:
            if limit:
                raise Unreadable("LIMIT without ORDER BY")
            return ""
        if len(order.expressions) > 1:
            raise Unreadable(self.sql)
        down, noun = (
            bool(order.expressions[0].args.get("desc")),
            self.speaker.words(self.field(order.expressions[0].this)).nouns[0],
        )
        first, sorted_ = ("highest", "descending") if down else ("lowest", "ascending")
        way = f"({first} {noun} first|sorted by {noun}, {sorted_})"
        return f", {way}" + _only_first(limit)

    def _grouped(self) -> Sequence[str]:
        keys, items = self.tree.args["group"].expressions, [item.unalias() for item in self.tree.expressions]
        numbers = [item for item in items if item.find(exp.AggFunc)]
        if len(keys) != 1 or len(numbers) != 1 or len(items) != 2 or self.tree.args.get("distinct"):
            raise Unreadable(self.sql)
        key, number, tail = self.field(keys[0]), numbers[0], self._ranked(numbers[0])
        word = self.speaker.words(key).nouns[0] if key.kind != "label" else self.speaker.world.entities[key.table].noun
        if isinstance(number, exp.Count) and isinstance(number.this, exp.Star):
            return frames("group count", word=word, tail=tail)
        if type(number) not in _AGGREGATES:
            raise Unreadable(self.sql)
        noun = self.speaker.words(self.field(number.this)).nouns[0]
        said = f"{_AGGREGATES[type(number)]} {noun} of [the] {{np}}{{when}}"
        return frames("group", said=said, word=word, tail=tail)

    def _ranked(self, number: exp.Expression) -> str:
        """How groups are ordered: by their number or not at all."""
        order, limit = self.tree.args.get("order"), self.tree.args.get("limit")
        if not order and not limit:
            return ""
        names = {item.alias: item.unalias() for item in self.tree.expressions if item.alias}
        by = order.expressions[0].this if order and len(order.expressions) == 1 else None
        if by is None or (by != number and names.get(by.name) != number):
            raise Unreadable(self.sql)
        way = "highest" if order.expressions[0].args.get("desc") else "lowest"
        return f", {way} first" + _only_first(limit)


_OPS = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.LT: "<", exp.GTE: ">=", exp.LTE: "<="}
_AGGREGATES = {exp.Avg: "average", exp.Sum: "total", exp.Max: "highest", exp.Min: "lowest"}


def _only_first(limit: exp.Limit | None) -> str:
    """How many of them, where there is a limit."""
    n = limit.expression.name if limit else ""
    return f", (only the first {n}|the first {n} only)".replace(" first 1", " first one") if n else ""


def _value(e: exp.Expression) -> str | int | float:
    """What a literal stands for."""
    negative = isinstance(e, exp.Neg)
    e = e.this if negative else e
    if not isinstance(e, exp.Literal) or (negative and e.is_string):
        raise Unreadable(e.sql())
    value = e.name if e.is_string else float(e.name) if "." in e.name else int(e.name)
    return -value if negative else value


def _parsed(sql: str) -> list[exp.Expression]:
    try:
        return [tree for tree in parse(sql, dialect="sqlite") if tree is not None]
    except (SqlglotError, RecursionError) as error:
        raise Unreadable(sql) from error
