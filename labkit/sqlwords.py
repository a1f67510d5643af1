"""A query in few words, for a small model that is to say what it asks: no casts, no aliases, no keys that join.

Not a query any more, and not to be read back: `CAST(REPLACE(t1.salary, '$', '') AS INTEGER)` is the salary that a
question speaks of, and of `JOIN teams AS t ON t.team_id = p.team_id` it says that teams are meant.
"""

import re
from functools import lru_cache

from sqlglot import exp

from labkit.sqltext import SQLITE, parse

_CONVERSIONS = (exp.Cast, exp.Substring, exp.Anonymous)
_DEPTH = 3  # conversions within each other, at most


@lru_cache(100_000)
def in_words(sql: str) -> str:
    """`sql` in lower-case words, on one line; a text that sqlglot can't read as it stands."""
    tree = parse(sql)
    if tree is None:
        return sql
    for _ in range(_DEPTH):
        tree = tree.transform(_unconverted)
    stands_for = {table.alias or table.name: table.name for table in tree.find_all(exp.Table)}
    text = re.sub(r" AS (t\d+|[a-z])\b", "", tree.sql(dialect=SQLITE))
    text = re.sub(r"\b(\w+)\.(\w+)\b", lambda m: f"{stands_for.get(m[1], m[1])}.{m[2]}", text)
    text = re.sub(r"\b(\w+)\.(\w+) = (\w+)\.\2\b", "", text)  # a join along a key of the same name
    text = re.sub(r"_|(?<=[a-z_])\.(?=[a-z_])", " ", text).replace("'", "").replace(" ON ", " ")
    return re.sub(r"\s+", " ", text).lower()


def _unconverted(node: exp.Expression) -> exp.Expression:
    """The column that `node` only brings into another form, or `node`."""
    columns = list(node.find_all(exp.Column))
    if len({column.sql() for column in columns}) != 1 or node.find(exp.Select, exp.AggFunc):
        return node
    sums = isinstance(node, exp.Add | exp.Mul) and len(columns) > 1 and node.find(exp.Literal)
    return columns[0].copy() if sums or isinstance(node, _CONVERSIONS) else node
