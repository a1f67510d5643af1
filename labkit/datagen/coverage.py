"""What a set of pairs holds and lacks: tables, columns, clauses, families of intents, tags, skeletons."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from labkit.dataset import Question
from labkit.schema import Schema
from labkit.sqltext import parse, skeleton

if TYPE_CHECKING:
    import pandas

_CLAUSES = {
    "join": exp.Join, "where": exp.Where, "group by": exp.Group, "having": exp.Having, "order by": exp.Order,
    "limit": exp.Limit, "distinct": exp.Distinct, "subquery": exp.Subquery, "set": exp.SetOperation,
    "window": exp.Window, "case": exp.Case, "or": exp.Or, "not": exp.Not, "in": exp.In, "between": exp.Between,
    "like": exp.Like, "is null": exp.Is, "cast": exp.Cast, "count": exp.Count, "sum": exp.Sum, "avg": exp.Avg,
    "min": exp.Min, "max": exp.Max, "round": exp.Round,
}  # fmt: skip


@dataclass(frozen=True)
class Coverage:
    """Counts of pairs by kind ("table", "column", "clause", "tag") and name; zero for what the set lacks."""

    counts: dict[str, dict[str, int]]
    pairs: int
    queries: int
    skeletons: int
    largest_share: float  # of the pairs, of the most frequent skeleton

    def lacking(self) -> list[str]:
        """`kind: name` of all that no pair touches."""
        return [f"{kind}: {name}" for kind, names in self.counts.items() for name, n in names.items() if not n]

    def to_frame(self) -> "pandas.DataFrame":
        """A row for each thing: kind, name, pairs, share."""
        import pandas

        rows = [(k, name, n, n / max(1, self.pairs)) for k, names in self.counts.items() for name, n in names.items()]
        return pandas.DataFrame(rows, columns=["kind", "name", "pairs", "share"])

    def __str__(self) -> str:
        head = f"{self.pairs:,} pairs, {self.queries:,} queries, {self.skeletons:,} skeletons, "
        head += f"the largest {self.largest_share:.1%} of the set."
        lacks = self.lacking()
        return head + (f" Nothing about {', '.join(lacks)}." if lacks else " Every table, column and clause occurs.")


def coverage(pairs: Sequence[Question], schema: Schema, intents: Iterable[str] = ()) -> Coverage:
    """Coverage of the schema's tables and columns, of SQL's clauses, of `intents`, and of the pairs' tags."""
    columns = {f"{t.name}.{c.name}": 0 for t in schema.tables for c in t.columns}
    counts = {
        "table": Counter(dict.fromkeys((t.name for t in schema.tables), 0)),
        "column": Counter(columns),
        "clause": Counter(dict.fromkeys(_CLAUSES, 0)),
    }
    counts["tag"] = Counter(dict.fromkeys(intents, 0))
    by_sql = Counter(q.sql for q in pairs)
    for sql, n in by_sql.items():
        for kind, name in _features(sql, schema):
            counts[kind][name] += n
    for q in pairs:
        counts["tag"].update(q.tags)
    skeletons = Counter()
    for sql, n in by_sql.items():
        skeletons[skeleton(sql)] += n
    largest = max(skeletons.values(), default=0) / max(1, len(pairs))
    return Coverage({k: dict(v) for k, v in counts.items()}, len(pairs), len(by_sql), len(skeletons), largest)


def _features(sql: str, schema: Schema) -> set[tuple[str, str]]:
    """A qualified column is its own table's alone; a bare one counts for every table of the query that has it."""
    tree = parse(sql)
    if tree is None:
        return set()
    named = [(node.alias_or_name.casefold(), node.name.casefold()) for node in tree.find_all(exp.Table)]
    columns = {(c.table.casefold(), c.name.casefold()) for c in tree.find_all(exp.Column)}
    found = {("clause", name) for name, kind in _CLAUSES.items() if tree.find(kind)}
    for table in schema.tables:
        aliases = {alias for alias, name in named if name == table.name.casefold()}
        if aliases:
            found.add(("table", table.name))
            asked = {name for qualifier, name in columns if qualifier in {"", *aliases}}
            found |= {("column", f"{table.name}.{c.name}") for c in table.columns if c.name.casefold() in asked}
    return found
