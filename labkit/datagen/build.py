"""A query over one table and the tables that it refers to, built with sqlglot in one regular style.

The style is what a small model has to learn, so there is one of everything: bare columns over a single table, else
`table AS alias` with every column qualified; `JOIN ... ON child = parent`; conditions against placeholders before the
comparison that needs them.
"""

import itertools
from collections.abc import Iterable, Sequence

from sqlglot import exp, parse_one
from sqlglot.dialects.sqlite import SQLite

from labkit.datagen.conditions import Condition, sql_of
from labkit.datagen.world import JOINT, Entity, Path_, World, quoted
from labkit.schema import sql_name

_IDS = itertools.count()


class Source:
    """The FROM of a query: a root table, and by path the tables joined to it. `at(path)` gives the alias to use."""

    def __init__(self, world: World, root: Entity):
        self.world, self.root = world, root
        self.mark = f"q{next(_IDS)}_"
        self.paths: list[Path_] = [()]
        self.tests: list[str] = []

    def at(self, path: Path_ = ()) -> str:
        """A stand-in for the alias of the table at the end of `path`, which is joined from now on."""
        for length in range(1, len(path) + 1):
            if path[:length] not in self.paths:
                self.paths.append(path[:length])
        return f"{self.mark}{self.paths.index(path)}"

    def where(self, *conditions: Condition | str) -> "Source":
        """Add conditions; one that is already there is not written twice."""
        for condition in conditions:
            texts = [condition] if isinstance(condition, str) else self.tests_of(condition)
            self.tests += [text for text in texts if text not in self.tests]
        return self

    def tests_of(self, condition: Condition) -> list[str]:
        """A condition's tests in SQL; what they reach is joined from now on."""
        return [text for test in condition.tests for text in sql_of(test, lambda path: self.at(condition.path + path))]

    def select(
        self,
        *columns: str,
        group: Sequence[str] = (),
        having: str = "",
        order: Iterable[str] = (),
        limit: int = 0,
        distinct: bool = False,
        offset: int | str = 0,
    ) -> exp.Select:
        """The finished query, its aliases in place; `offset` may be a query in parentheses."""
        query = exp.select(*columns, dialect="sqlite").from_(self._table(()), dialect="sqlite")
        for path in sorted(self.paths[1:], key=lambda p: (len(p), self.paths.index(p))):
            link, left = path[-1], self.at(path[:-1])
            on = f"{left}.{sql_name(link.column)} = {self.at(path)}.{sql_name(link.other_column)}"
            query = query.join(self._table(path), on=on, dialect="sqlite")
        query = query.where(" AND ".join(self.tests), dialect="sqlite") if self.tests else query
        query = query.group_by(*group, dialect="sqlite") if group else query
        query = query.having(having, dialect="sqlite") if having else query
        query = query.order_by(*order, dialect="sqlite") if order else query
        query = query.limit(limit) if limit else query
        query = query.offset(offset, dialect="sqlite") if offset else query
        return self._named(query.distinct() if distinct else query)

    def _table(self, path: Path_) -> str:
        return f"{sql_name(self.world.end(self.root.table, path).table)} AS {self.at(path)}"

    def _aliases(self) -> dict[str, str | None]:
        if len(self.paths) == 1:
            return {self.at(()): None}
        given: dict[str, str] = {}
        for path in self.paths:
            role = path[-1].role.replace(" ", "_") if path else ""
            usual = self.world.end(self.root.table, path).alias
            wanted = (role if role == sql_name(role) else f"{role}_{usual}") if role else usual
            given[self.at(path)] = wanted if wanted not in given.values() else f"{wanted}{len(given) + 1}"
        return given

    def _named(self, query: exp.Select) -> exp.Select:
        aliases = self._aliases()
        for column in query.find_all(exp.Column):
            if column.table in aliases:
                name = aliases[column.table]
                column.set("table", exp.to_identifier(name) if name else None)
        for table in query.find_all(exp.Table):
            if table.alias in aliases:
                name = aliases[table.alias]
                table.set("alias", exp.TableAlias(this=exp.to_identifier(name)) if name else None)
        return query


def key_of(entity: Entity, column: str, value: object) -> str:
    """The key of the row of that name, as a subquery."""
    label = sql_name(entity.label.name)
    return f"(SELECT {sql_name(column)} FROM {sql_name(entity.table)} WHERE {label} = {quoted(value)})"


def _not(writer, node: exp.Not) -> str:
    """IS NOT, NOT IN, NOT LIKE as people write them."""
    inner = node.this
    if isinstance(inner, exp.Is):
        return f"{writer.sql(inner, 'this')} IS NOT {writer.sql(inner, 'expression')}"
    if isinstance(inner, (exp.In, exp.Like, exp.Between)):
        left, whole = writer.sql(inner, "this"), writer.sql(inner)
        return f"{left} NOT{whole[len(left) :]}"
    return writer.not_sql(node)


def _substr(writer, node: exp.Substring) -> str:
    return writer.func("SUBSTR", node.this, node.args.get("start"), node.args.get("length"))


def _writer():
    """SQLite as people write it. sqlglot's compiled writer takes no subclass: its table of handlers is added to."""
    writer = SQLite.generator_class(dialect="sqlite", normalize_functions="upper")
    writer._dispatch = {**writer._dispatch, exp.Not: _not, exp.Substring: _substr}
    return writer


def subquery(query: exp.Expression) -> str:
    """The query as text in parentheses, to stand within another."""
    return f"({text(query)})"


def text(query: exp.Expression | str) -> str:
    """The query on one line in the style of all pairs; a text is parsed first."""
    tree = parse_one(query, dialect="sqlite") if isinstance(query, str) else query
    written = _writer().generate(tree)
    return _writer().generate(_apart(parse_one(written, dialect="sqlite"))) if JOINT in written else written


def _apart(tree: exp.Expression) -> exp.Expression:
    """A query in which each name that lies in two columns is two columns where it is shown, grouped or sorted by, two
    conditions where it is compared, else both with a space between."""
    for column in [c for c in tree.find_all(exp.Column) if JOINT in c.name]:
        table, parent = column.args.get("table"), column.parent
        parts = [
            exp.column(name, table and table.copy(), quoted=sql_name(name) != name) for name in column.name.split(JOINT)
        ]
        if isinstance(parent, (exp.Select, exp.Group)):
            parent.set("expressions", [e for old in parent.expressions for e in (parts if old is column else [old])])
        elif isinstance(parent, exp.Ordered):
            order, way = parent.parent, {key: value for key, value in parent.args.items() if key != "this"}
            both = [exp.Ordered(this=part, **way) for part in parts]
            order.set("expressions", [e for old in order.expressions for e in (both if old is parent else [old])])
        elif isinstance(parent, (exp.EQ, exp.NEQ)) and JOINT in parent.expression.name:
            tests = [
                type(parent)(this=p, expression=exp.Literal.string(v))
                for p, v in zip(parts, parent.expression.name.split(JOINT), strict=True)
            ]
            both = exp.and_(*tests) if isinstance(parent, exp.EQ) else exp.paren(exp.or_(*tests))
            parent.replace(exp.paren(both) if isinstance(parent.parent, (exp.Or, exp.Not)) else both)
        else:
            column.replace(
                exp.DPipe(this=exp.DPipe(this=parts[0], expression=exp.Literal.string(" ")), expression=parts[1])
            )
    for literal in [x for x in tree.find_all(exp.Literal) if JOINT in x.name]:
        literal.replace(exp.Literal.string(literal.name.replace(JOINT, " ")))
    return tree
