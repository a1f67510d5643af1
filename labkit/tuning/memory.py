"""Memory tuning: until every chosen fact is exact, not until the average is low.

Li et al. 2024 (arXiv 2406.17642) train until the loss of each fact is near zero. Here an example is mastered when each
token of its answer is the likeliest one, by a margin, in the forward pass of its own training step; mastered examples
leave the batches, so the work goes where errors are. What was learnt later may have disturbed them: when none is left,
all are checked against the whole vocabulary, and those that slipped come back. The run ends when a check finds none.
"""

import math
from collections.abc import Sequence

from labkit.tuning.examples import Example, batches
from labkit.tuning.lora import seed_of
from labkit.tuning.train import Outcome, Recipe, Step, Trainer


class Mastery:
    """The plan: rounds over what is not mastered, then a check of all, again and again; at most `recipe.passes` rounds.

    `mastered_before`: examples that are trained on only when a check finds them lost (replay).
    """

    def __init__(self, examples: Sequence[Example], recipe: Recipe, seed: int, mastered_before: Sequence[int] = ()):
        self.examples, self.recipe, self.seed = examples, recipe, seed
        self.mastered = set(mastered_before)
        self.round, self.step, self.checks, self.done = 0, 0, 0, False
        self.queue: list[list[int]] = []
        self.history: list[dict] = []  # a record a round: how many are mastered, mean loss of those trained
        self.losses: list[float] = []

    @property
    def total(self) -> int:
        """Steps so far and to the end of this round: how many rounds it takes is not known before."""
        return self.step + len(self.queue)

    def next(self, trainer: Trainer) -> Step | None:
        while not self.queue and not self.done:
            self._next_round(trainer)
        if self.done:
            return None
        return Step(tuple(self.queue[0]), min(1.0, (self.step + 1) / max(1, self.recipe.warmup)))

    def _next_round(self, trainer: Trainer) -> None:
        left = [i for i in range(len(self.examples)) if i not in self.mastered]
        self._record(len(left))
        if not left:
            left = self._check(trainer)
        if not left or self.round >= self.recipe.passes:
            self.done = True
            return
        seed = seed_of(self.seed, "round", self.round)
        chosen = batches([self.examples[i] for i in left], self.recipe.batch_size, seed)
        self.queue = [[left[k] for k in batch] for batch in chosen]
        self.round += 1

    def _record(self, left: int) -> None:
        if self.losses:
            loss = sum(self.losses) / len(self.losses)
            self.history.append({"round": self.round, "mastered": len(self.examples) - left, "loss": loss})
        self.losses = []

    def _check(self, trainer: Trainer) -> list[int]:
        """All examples again: those that are not the greedy answer, by half the margin, are lost and come back."""
        self.checks += 1
        margins = trainer.check(range(len(self.examples))).margin
        lost = [i for i, margin in enumerate(margins.tolist()) if margin < self.recipe.margin / 2]
        self.mastered -= set(lost)
        return lost

    def saw(self, step: Step, outcome: Outcome) -> None:
        self.step += 1
        self.queue.pop(0)
        self.losses += outcome.loss.tolist()
        for position, margin in zip(step.positions, outcome.margin.tolist(), strict=True):
            if margin >= self.recipe.margin:
                self.mastered.add(position)

    def state(self) -> dict:
        return {
            "mastered": sorted(self.mastered),
            "numbers": [self.round, self.step, self.checks],
            "done": self.done,
            "queue": [list(batch) for batch in self.queue],
            "history": [dict(record) for record in self.history],
            "losses": list(self.losses),
        }

    def restore(self, state: dict) -> None:
        self.mastered, self.done = set(state["mastered"]), state["done"]
        self.round, self.step, self.checks = state["numbers"]
        self.queue = [list(batch) for batch in state["queue"]]
        self.history, self.losses = [dict(record) for record in state["history"]], list(state["losses"])

    def note(self) -> dict:
        loss = self.losses[-self.recipe.batch_size :]
        mean = sum(loss) / len(loss) if loss else math.nan
        return {"loss": f"{mean:.3f}", "mastered": f"{len(self.mastered)}/{len(self.examples)}", "round": self.round}
