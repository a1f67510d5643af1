"""What becomes of a candidate: the filters that a pair must pass, each counting what it drops.

A query is judged by its result (runs, not empty, not all NULL, not trivial, no tie cut), then its text (known,
skeleton used too often); a wording by its text (known, seen, nearly seen). Right answers alone are no proof that a
wording says what its query does: that is why grammar and glossary build both from one intent.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from labkit.datagen.known import Known
from labkit.execution import ExecutionResult
from labkit.sqltext import normalise_question, normalise_sql, skeleton

DOES_NOT_RUN, EMPTY, NULL, TRIVIAL, TIE = (
    "does not run",
    "empty result",
    "only NULL",
    "trivial result",
    "tie at the limit",
)
DUPLICATE_QUERY, KNOWN_QUERY, KNOWN_QUESTION = "duplicate query", "query of a known set", "question of a known set"
DUPLICATE, NEAR, AMBIGUOUS = "duplicate question", "near duplicate", "same question, other query"
BALANCE, FAMILY, FEW, EASY = "skeleton has its share", "family has its share", "too few wordings", "too easy"
NO_WORDING, ROUND_TRIP, FAULTY = "not to be put into words", "does not come back", "faulty by the linter"
FILTERS = (
    DOES_NOT_RUN, EMPTY, NULL, TRIVIAL, TIE, DUPLICATE_QUERY, KNOWN_QUERY, BALANCE, FAMILY, FEW, KNOWN_QUESTION,
    DUPLICATE, NEAR, AMBIGUOUS, EASY, NO_WORDING, ROUND_TRIP, FAULTY,
)  # fmt: skip
_ROWS = 300  # a longer list is nothing that people ask for
_ALIKE = 10  # queries of one skeleton, values apart; more come seldom


@dataclass
class Filters:
    """The state of all filters over one generation; `dropped` counts queries and wordings by filter."""

    known: Known = field(default_factory=Known)
    dropped: Counter = field(default_factory=Counter)
    queries: set[str] = field(default_factory=set)
    questions: dict[str, str] = field(default_factory=dict)
    skeletons: Counter = field(default_factory=Counter)
    families: Counter = field(default_factory=Counter)

    def drop(self, name: str, count: int = 1) -> bool:
        """Count a drop; False, for the caller to return."""
        self.dropped[name] += count
        return False

    def new_query(self, sql: str) -> bool:
        """Neither seen before nor in a known set. Asked before the query runs."""
        normal = normalise_sql(sql)
        if normal in self.known.queries:
            return self.drop(KNOWN_QUERY)
        if normal in self.queries:
            return self.drop(DUPLICATE_QUERY)
        self.queries.add(normal)
        return True

    def good_result(self, result: ExecutionResult, probe: ExecutionResult | None = None, ranked: bool = True) -> bool:
        """The query says something about this database, and always the same.

        `probe`: two rows must come of it, else the question is idle; where `ranked`, two different ones.
        """
        reason = result_fault(result)
        if reason:
            return self.drop(reason)
        if probe is not None and (not probe.ok or len(probe.rows) < 2):
            return self.drop(TRIVIAL)
        if probe is not None and ranked and probe.rows[-1] == probe.rows[-2]:
            return self.drop(TIE)
        return True

    def in_balance(self, sql: str, family: str, per_skeleton: int, per_family: int, dice: float = 0.0) -> bool:
        """No skeleton and no family of intents takes more than its share of the queries.

        `dice`, from 0 to 1: a skeleton that has many already takes the next one the more seldom. Its other values say
        nothing new; another form does.
        """
        taken = self.skeletons[skeleton(sql)]
        if taken >= per_skeleton or dice * taken > _ALIKE:
            return self.drop(BALANCE)
        if self.families[family] >= per_family:
            return self.drop(FAMILY)
        return True

    def took(self, sql: str, family: str) -> None:
        """Count a query that is kept."""
        self.skeletons[skeleton(sql)] += 1
        self.families[family] += 1

    def new_wordings(self, wordings: Sequence[str], sql: str) -> list[str]:
        """Those that are in no known set, not asked before, not nearly the same as an earlier one of this query."""
        kept, bags, normal = [], set(), normalise_sql(sql)
        for text in wordings:
            key = normalise_question(text)
            bag = frozenset(key.split()) - _EMPTY_WORDS
            if key in self.known.questions:
                self.drop(KNOWN_QUESTION)
            elif key in self.questions:
                self.drop(DUPLICATE if self.questions[key] == normal else AMBIGUOUS)
            elif bag in bags:
                self.drop(NEAR)
            else:
                self.questions[key] = normal
                bags.add(bag)
                kept.append(text)
        return kept

    def forget(self, wordings: Sequence[str]) -> None:
        """Wordings that were not used after all may come again."""
        for text in wordings:
            self.questions.pop(normalise_question(text), None)


_EMPTY_WORDS = frozenset(["please", "the", "a", "an", "all", "hi", "hey", "thanks", "me", "of"])


def result_fault(result: ExecutionResult) -> str | None:
    """The filter that a result falls into: nothing, only NULL, a bare zero, hundreds of rows."""
    if not result.ok or result.truncated:
        return DOES_NOT_RUN
    if not result.rows:
        return EMPTY
    values = [value for row in result.rows for value in row]
    if all(value is None for value in values):
        return NULL
    if len(result.rows) == 1 and all(value in (0, 0.0, None) for value in values):
        return TRIVIAL
    return TRIVIAL if len(result.rows) > _ROWS else None
