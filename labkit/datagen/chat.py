"""Pairs from a chat model, for those who have one that can: more wordings, a question for a query, similar but
different questions, a hard question in steps, a failed query mended.

A model is any object with `.chat(conversations) -> texts`. Nothing that it writes is believed: every candidate's
query must run and say something, a wording keeps its query only if the model itself finds back to the same rows
(`round_trip`). Sets of thousands, and calls that may be stopped: `authored`.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.datagen.coverage import coverage
from labkit.datagen.filters import FILTERS, ROUND_TRIP, Filters
from labkit.datagen.known import GENERATED, known_sets
from labkit.datagen.report import Generated, Report
from labkit.dataset import Question, QuestionSet
from labkit.execution import execute_many
from labkit.prompting import Message, extract_sql, plain
from labkit.schema import read_schema
from labkit.scoring import Pair, score_many
from labkit.sqltext import normalise_sql


@dataclass(frozen=True)
class Candidate:
    """What a model proposes: a question with its query, and how it came about."""

    question: str
    sql: str
    way: str  # "variation", "description", "similar", "step", "fix"


@dataclass(frozen=True)
class Failure:
    """A query that failed a question, with SQLite's message or the scorer's sentence."""

    question: str
    sql: str
    error: str


_JSON = 'Answer with one JSON object a line and nothing else: {"question": "...", "sql": "..."}'


class Author:
    """A chat model at work on one database; the schema stands first in every prompt, so that prompts share a prefix."""

    def __init__(self, model: object, database: str | Path):
        self.model, self.database = model, Path(database)
        self.schema = read_schema(database)
        self._schema_text = self.schema.to_prompt()

    def vary(self, pairs: Sequence[Question], n: int = 5) -> list[Candidate]:
        """Each question in `n` other wordings, with its own query."""
        asks = [
            f"Question: {q.question}\nSQL: {q.sql}\n\nAsk the same in {n} other ways, as people would. One a line."
            for q in pairs
        ]
        return [
            Candidate(text, q.sql, "variation") for q, reply in self._ask(pairs, asks) for text in _lines(reply)[:n]
        ]

    def describe(self, queries: Sequence[str], n: int = 3) -> list[Candidate]:
        """`n` questions that each query answers."""
        asks = [
            f"SQL: {sql}\n\nWrite {n} questions that this query answers, as people ask them. One a line."
            for sql in queries
        ]
        return [
            Candidate(text, sql, "description") for sql, reply in self._ask(queries, asks) for text in _lines(reply)[:n]
        ]

    def similar(self, pairs: Sequence[Question], n: int = 3) -> list[Candidate]:
        """Questions like each, but about something else, with their own queries."""
        asks = [
            f"Question: {q.question}\nSQL: {q.sql}\n\nWrite {n} similar but different questions with their SQL. {_JSON}"
            for q in pairs
        ]
        return [c for _, reply in self._ask(pairs, asks) for c in _objects(reply, "similar")[:n]]

    def decompose(self, pairs: Sequence[Question]) -> list[Candidate]:
        """The simpler questions that each hard one is made of, with their queries."""
        asks = [
            f"Question: {q.question}\nSQL: {q.sql}\n\nWhich simpler questions lead there, with their SQL? {_JSON}"
            for q in pairs
        ]
        return [c for _, reply in self._ask(pairs, asks) for c in _objects(reply, "step")]

    def mend(self, failures: Sequence[Failure]) -> list[Candidate]:
        """The question of each failure with another query, to be tried."""
        asks = [
            f"Question: {f.question}\nThis SQL failed: {f.sql}\nBecause: {f.error}\n\nWrite SQL that answers it."
            for f in failures
        ]
        found = [(f, extract_sql(reply)) for f, reply in self._ask(failures, asks)]
        return [Candidate(f.question, sql, "fix") for f, sql in found if normalise_sql(sql) != normalise_sql(f.sql)]

    def _ask(self, items: Sequence, asks: Sequence[str]) -> list[tuple]:
        conversations = [self._conversation(text) for text in asks]
        replies = self.model.chat(conversations) if conversations else []
        return list(zip(items, replies, strict=True))

    def _conversation(self, text: str) -> list[Message]:
        system = "You write questions about a SQLite database, and the SQL that answers them."
        return [
            {"role": "system", "content": system},
            {"role": "user", "content": f"Tables:\n{self._schema_text}\n\n{text}"},
        ]

    # --- nothing is believed ------------------------------------------------------------------------------------------

    def verified(
        self, candidates: Iterable[Candidate], avoid: Iterable[str | Path | QuestionSet] = (), round_trip: bool = False
    ) -> Generated:
        """The candidates that pass the filters; with `round_trip`, whose question leads the model to the same rows."""
        return self.sifted(candidates, Filters(known_sets(self.database, avoid)), round_trip)

    def sifted(
        self, candidates: Iterable[Candidate], filters: Filters, round_trip: bool = False, first: int = 1
    ) -> Generated:
        """The same through filters that may have seen others before; `first`: the number of the first query's id."""
        candidates = list(candidates)
        run = dict.fromkeys(c.sql for c in candidates if c.sql.strip())
        results = dict(zip(run, execute_many(self.database, list(run)), strict=True))
        good = {sql for sql, r in results.items() if filters.good_result(r) and filters.new_query(sql)}
        by_sql: dict[str, list[Candidate]] = {}
        for c in candidates:
            if c.sql in good:
                by_sql.setdefault(c.sql, []).append(c)
        pairs = [
            q
            for number, (sql, group) in enumerate(by_sql.items(), first)
            for q in self._pairs(filters, sql, group, number)
        ]
        pairs = self._back(filters, pairs) if round_trip else pairs
        dropped = {name: filters.dropped[name] for name in FILTERS}
        report = Report(len(candidates), len(pairs), len(candidates), dropped, filters.known.sets)
        return Generated(tuple(pairs), report, coverage(pairs, self.schema))

    def _pairs(self, filters: Filters, sql: str, group: Sequence[Candidate], number: int) -> list[Question]:
        way = {c.question: c.way for c in group}
        texts = filters.new_wordings([c.question for c in group], sql)
        name = self.database.stem
        return [
            Question(f"{GENERATED}chat{number:05d}-{i}", t, sql, name, tags=(way[t],)) for i, t in enumerate(texts, 1)
        ]

    def _back(self, filters: Filters, pairs: Sequence[Question]) -> list[Question]:
        replies = self.model.chat([plain(q.question, self._schema_text) for q in pairs]) if pairs else []
        scores = score_many([Pair(q, extract_sql(r), self.database) for q, r in zip(pairs, replies, strict=True)])
        filters.drop(ROUND_TRIP, sum(not s.right for s in scores))
        return [q for q, s in zip(pairs, scores, strict=True) if s.right]


def _lines(reply: str) -> list[str]:
    """The lines of a reply that are questions: without bullets, numbers and quotes; SQL and chatter left out."""
    texts = [re.sub(r"^\s*(?:[-*•]|\(?\d+[.)])\s*", "", line).strip().strip('"“”') for line in reply.splitlines()]
    return [
        t
        for t in texts
        if len(t) > 7 and not re.match(r"(select|with)\b", t, re.IGNORECASE) and not t.endswith(":") and "```" not in t
    ]


def _objects(reply: str, way: str) -> list[Candidate]:
    """The JSON objects of a reply, one a line; lines that are none are passed over."""
    found: list[Candidate] = []
    for line in reply.splitlines():
        try:
            record = json.loads(line.strip().rstrip(","))
            found.append(Candidate(str(record["question"]).strip(), str(record["sql"]).strip().rstrip(";"), way))
        except (ValueError, TypeError, KeyError):
            continue
    return [c for c in found if c.question and c.sql]
