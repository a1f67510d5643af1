"""Self-reflection: the model's own SQL is run, and where it fails the model is shown the error and asked again.

The database says only that a query fails, never that its answer is wrong: this mends what is invalid, not what is
malformed. It is a generator around a generator, and knows no reference query.
"""

from collections.abc import Sequence

from labkit.agent import SqlGenerator
from labkit.errors import LabkitError
from labkit.execution import ExecutionResult, execute_many
from labkit.prompting import reflection


class Reflection:
    """`generator`, with up to `times` further tries for each query that fails."""

    def __init__(self, generator: SqlGenerator, times: int = 2):
        if not isinstance(times, int) or times < 1:
            raise LabkitError(f"Self-reflection needs one further try at least; times is {times!r}.")
        self.generator, self.times = generator, times

    def __call__(self, questions: Sequence) -> list[str]:
        conversations = self.generator.conversations(questions)
        answers = list(self.generator.answer(conversations))
        failing = range(len(questions))
        for _ in range(self.times):
            errors = _errors(questions, answers, failing)
            failing = list(errors)
            if not failing:
                break
            for i, error in errors.items():
                conversations[i] = reflection(conversations[i], answers[i], error)
            again = self.generator.answer([conversations[i] for i in failing])
            for i, answer in zip(failing, again, strict=True):
                answers[i] = answer
        return answers

    def describe(self) -> dict:
        """As the generator's, with the number of further tries."""
        said = self.generator.describe()
        return {**said, "prompt": f"{said.get('prompt')}, self-reflection", "reflections": self.times}


def _errors(questions: Sequence, answers: Sequence[str], places: Sequence[int]) -> dict[int, str]:
    """What the database says of those of the answers that fail, by their place."""
    errors = {}
    for database in dict.fromkeys(questions[i].database for i in places):
        here = [i for i in places if questions[i].database == database]
        results = execute_many(database, [answers[i] for i in here])
        errors |= {i: _sentence(result) for i, result in zip(here, results, strict=True) if not result.ok}
    return errors


def _sentence(result: ExecutionResult) -> str:
    """What the model is told; never the name of what is excluded, which its `SELECT *` did not know."""
    if result.limit == "excluded":
        return "it reads a column that may not be read. Name only columns that the schema shows, and no *"
    return result.error if result.limit is None else f"stopped at a limit ({result.limit}): {result.error}"
