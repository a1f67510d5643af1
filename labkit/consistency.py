"""Self-consistency: several answers are drawn for a question, their queries run, and the result that most of them give
wins.

Chains of thought are voted on in Wang et al. 2022 (arXiv 2203.11171, section 2); that programs are compared by what
they give when run, not by their text, is Shi et al. 2022 (arXiv 2204.11454, section 3). Queries that fail have no vote.
It is a generator around a generator, and knows no reference query.
"""

from collections.abc import Sequence

from labkit.agent import SqlGenerator
from labkit.errors import LabkitError
from labkit.execution import ExecutionResult, execute_many
from labkit.matching import Table, same_bag

_GREEDY = 1.5  # what the greedy answer's vote counts: it decides between equals, two others outvote it


class SelfConsistency:
    """`generator`'s greedy answer and `samples` drawn at `temperature`; of each question, the answer voted for."""

    def __init__(self, generator: SqlGenerator, samples: int = 8, temperature: float = 0.7):
        if not isinstance(samples, int) or samples < 1:
            raise LabkitError(f"Self-consistency draws one answer at least; samples is {samples!r}.")
        if not temperature > 0:
            raise LabkitError(f"At temperature {temperature!r} all answers are the same. Give one above 0.")
        self.generator, self.samples, self.temperature = generator, samples, temperature

    def __call__(self, questions: Sequence) -> list[str]:
        conversations = self.generator.conversations(questions)
        greedy = self.generator.answer(conversations)
        drawing = SqlGenerator(self.generator.chat_model, **self.generator.settings | {"temperature": self.temperature})
        drawn = drawing.answer([c for c in conversations for _ in range(self.samples)])
        answers = [[first, *drawn[i * self.samples : (i + 1) * self.samples]] for i, first in enumerate(greedy)]
        return [_elected(tries, results) for tries, results in zip(answers, _results(questions, answers), strict=True)]

    def describe(self) -> dict:
        """As the generator's, with the number of samples and their temperature."""
        said = self.generator.describe()
        more = {"samples": self.samples, "sampling_temperature": self.temperature}
        return {**said, "prompt": f"{said.get('prompt')}, self-consistency", **more}


def _results(questions: Sequence, answers: Sequence[Sequence[str]]) -> list[list[ExecutionResult]]:
    """What each answer gives; each query of a database runs once."""
    found = {}
    for database in dict.fromkeys(q.database for q in questions):
        sqls = {s for q, tries in zip(questions, answers, strict=True) if q.database == database for s in tries}
        results = execute_many(database, sorted(sqls))
        found |= {(database, sql): result for sql, result in zip(sorted(sqls), results, strict=True)}
    return [[found[q.database, s] for s in tries] for q, tries in zip(questions, answers, strict=True)]


def _elected(tries: Sequence[str], results: Sequence[ExecutionResult]) -> str:
    """The first of the answers whose result has the most votes; where all fail, the first. A result without rows has
    votes only where there is no other."""
    groups: list[list[int]] = []
    for i, result in enumerate(results):
        if not result.ok:
            continue
        group = next((g for g in groups if _same(results[g[0]], result)), None)
        if group is None:
            groups.append([i])
        else:
            group.append(i)
    votes = [sum(_GREEDY if i == 0 else 1.0 for i in group) for group in groups]
    full = [bool(results[group[0]].rows) for group in groups]
    best = max(range(len(groups)), key=lambda g: (full[g], votes[g]), default=None)
    return tries[0] if best is None else tries[groups[best][0]]


def _same(a: ExecutionResult, b: ExecutionResult) -> bool:
    return same_bag(Table(a.rows, len(a.columns)), Table(b.rows, len(b.columns)))
