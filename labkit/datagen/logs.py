"""Pairs from a query log: each query that runs and can be read is worded, by the same words as drawn intents.

It reads plain SELECTs: columns or one aggregate, joins along links, conditions joined by AND, GROUP BY, ORDER BY,
LIMIT. What it cannot put into words faithfully is counted and left out; `chat.describe` asks a model for the rest.
"""

import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from sqlglot import exp, parse
from sqlglot.dialects import SQLite
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from labkit.datagen import bounds, saying, times
from labkit.datagen.build import text as one_line
from labkit.datagen.conditions import Condition
from labkit.datagen.coverage import coverage
from labkit.datagen.filters import FEW, FILTERS, NO_WORDING, Filters
from labkit.datagen.frames import frames
from labkit.datagen.intents import Intent, subject_slots
from labkit.datagen.known import GENERATED, known_sets
from labkit.datagen.phrases import listed
from labkit.datagen.report import Generated, Report
from labkit.datagen.slips import roughened
from labkit.datagen.speaker import Speaker
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Entity, Field
from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.execution import execute_many
from labkit.schema import read_schema

_TOKENIZER = SQLite.Tokenizer()


class Unreadable(ValueError):
    """A part of a query that no wording would say faithfully."""


def pairs_of_log(
    speaker: Speaker,
    queries: Sequence[str],
    seed: int = 0,
    avoid: Iterable[str | Path | QuestionSet] = (),
    wordings: int = 5,
    typos: float = 0.06,
) -> Generated:
    """Pairs for the queries of a log, each filtered like generated ones; those it cannot word are counted."""
    database, rng = speaker.world.database, random.Random(seed)
    filters, pairs = Filters(known_sets(Path(database), avoid)), []
    new = [sql for sql in queries if filters.new_query(sql)]
    good = [sql for sql, r in zip(new, execute_many(database, new), strict=True) if filters.good_result(r)]
    for number, sql in enumerate(good, 1):
        try:
            intent = described(speaker, sql)
        except Unreadable:
            filters.drop(NO_WORDING)
            continue
        tries = [roughened(intent.word(rng), rng, typos) for _ in range(5 * wordings)]
        texts = filters.new_wordings(tries, sql)[:wordings]
        if not texts:
            filters.drop(FEW)
        ids = (f"{GENERATED}log{number:05d}-{i}" for i in range(1, len(texts) + 1))
        pairs += [Question(i, t, sql, Path(database).stem, tags=("log",)) for i, t in zip(ids, texts, strict=True)]
    dropped = {name: filters.dropped[name] for name in FILTERS}
    report = Report(len(queries) * wordings, len(pairs), len(queries), dropped, filters.known.sets)
    return Generated(tuple(pairs), report, coverage(pairs, read_schema(database)))


def read_log(log: str | Path | Iterable[str]) -> list[str]:
    """The SELECTs of a log: a file of statements (one a line, or ended by semicolons), or texts."""
    if not isinstance(log, (str, Path)):
        return [sql.strip().rstrip(";") for sql in log if sql.strip()]
    path = Path(log)
    if not path.is_file():
        raise LabkitError(f"There is no query log {path}. Give a file of SQL statements, or a list of them.")
    content = path.read_text("utf-8", errors="replace")
    found = _statements(content)
    return [sql for sql in found if sql[:6].casefold() == "select" or sql[:4].casefold() == "with"]


def _statements(content: str) -> list[str]:
    """The statements of a text, each on one line and without comments; a semicolon in a literal ends none.

    A text with a quote or a comment that is never closed has no such tokens: it is cut at every semicolon.
    """
    try:
        tokens = _TOKENIZER.tokenize(content)
    except SqlglotError:
        parts = content.split(";") if ";" in content else content.splitlines()
        return [_whole(part) for part in parts]
    if not any(token.token_type is TokenType.SEMICOLON for token in tokens):
        return [_whole(line) for line in content.splitlines()]
    groups = [[]]
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            groups.append([])
        else:
            groups[-1].append(token)
    return [_joined(content, group) for group in groups if group]


def _whole(part: str) -> str:
    """One statement; as it stands, without lines of comment, where it cannot be cut into tokens."""
    try:
        return _joined(part, _TOKENIZER.tokenize(part))
    except SqlglotError:
        return " ".join(line for line in part.splitlines() if not line.lstrip().startswith("--")).strip()


def _joined(content: str, tokens: Sequence[Token]) -> str:
    """Tokens as they are written; a space stands for any space, line end or comment between two."""
    gaps = [" " if b.start > a.end + 1 else "" for a, b in pairwise(tokens)]
    texts = [content[token.start : token.end + 1] for token in tokens]
    return "".join(gap + text for gap, text in zip(["", *gaps], texts, strict=False))


# --- a query in words -------------------------------------------------------------------------------------------------


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
        first = self.tree.args.get("from_") or self.tree.args.get("from")
        tables = [first.this, *(join.this for join in self.tree.args.get("joins") or ())] if first else []
        self.tables = {t.alias_or_name.casefold(): self._entity(t) for t in tables}
        if not self.tables or len(self.tables) != len(tables):
            raise Unreadable(sql)
        self.root = next(iter(self.tables.values()))

    def _entity(self, table: exp.Expression) -> Entity:
        found = [e for e in self.speaker.world.entities.values() if e.table.casefold() == table.name.casefold()]
        if not found:
            raise Unreadable(table.name)
        return found[0]

    def field(self, e: exp.Expression) -> Field:
        """The only column in an expression that does no more than read its format."""
        columns = list(e.find_all(exp.Column))
        if len({c.sql() for c in columns}) != 1 or not all(isinstance(node, _READING) for node in e.walk()):
            raise Unreadable(e.sql())
        column = columns[0]
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
        op = _OPS.get(type(e))
        if op is None or not isinstance(e.expression, exp.Literal):
            raise Unreadable(e.sql())
        f, literal = self.field(e.this), e.expression
        value = literal.name if literal.is_string else float(literal.name) if "." in literal.name else int(literal.name)
        if op == "<>" and value in f.missing:
            return None
        return self._foreign(self._compared(f, op, value), f)

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
        if self.tree.args.get("having") or self.tree.args.get("offset") or self.tree.args.get("distinct"):
            raise Unreadable(self.sql)
        asked = self._grouped() if self.tree.args.get("group") else self._plain()
        return Intent("log", self.sql, tuple(asked), subject_slots(subject))

    def _plain(self) -> Sequence[str]:
        items = [item.unalias() for item in self.tree.expressions]
        if len(items) == 1 and isinstance(items[0], exp.Count) and isinstance(items[0].this, exp.Star):
            return frames("count")
        if len(items) == 1 and type(items[0]) in _AGGREGATES:
            return frames(
                "one number", word=_AGGREGATES[type(items[0])], noun=self.speaker.noun(self.field(items[0].this))
            )
        if any(item.find(exp.AggFunc) for item in items):
            raise Unreadable(self.sql)
        return frames("columns", cols=listed([self._said(item) for item in items]), tail=self._order())

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
        n = limit.expression.name if limit else ""
        return f", {way}" + (f", (only the first {n}|the first {n} only)" if n else "")

    def _grouped(self) -> Sequence[str]:
        keys, items = self.tree.args["group"].expressions, [item.unalias() for item in self.tree.expressions]
        numbers = [item for item in items if item.find(exp.AggFunc)]
        if (
            len(keys) != 1
            or len(numbers) != 1
            or len(items) != 2
            or self.tree.args.get("order")
            or self.tree.args.get("limit")
        ):
            raise Unreadable(self.sql)
        key, number = self.field(keys[0]), numbers[0]
        word = self.speaker.words(key).nouns[0] if key.kind != "label" else self.speaker.world.entities[key.table].noun
        if isinstance(number, exp.Count) and isinstance(number.this, exp.Star):
            return frames("group count", word=word, tail="")
        if type(number) not in _AGGREGATES:
            raise Unreadable(self.sql)
        noun = self.speaker.words(self.field(number.this)).nouns[0]
        said = f"{_AGGREGATES[type(number)]} {noun} of [the] {{np}}{{when}}"
        return frames("group", said=said, word=word, tail="")


_OPS = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.LT: "<", exp.GTE: ">=", exp.LTE: "<="}
_READING = (
    exp.Column,
    exp.Identifier,
    exp.Cast,
    exp.DataType,
    exp.Replace,
    exp.Substring,
    exp.StrPosition,
    exp.Literal,
    exp.Paren,
    exp.Add,
    exp.Mul,
    exp.DPipe,
)  # what a stored format needs
_AGGREGATES = {exp.Avg: "average", exp.Sum: "total", exp.Max: "highest", exp.Min: "lowest"}


def _parsed(sql: str) -> list[exp.Expression]:
    try:
        return [tree for tree in parse(sql, dialect="sqlite") if tree is not None]
    except (SqlglotError, RecursionError) as error:
        raise Unreadable(sql) from error
