"""Instruction tuning: a few passes over all pairs, each counted alike; the average loss goes down.

The learning rate warms up, then falls along half a cosine. What it does not do is look at single pairs: that is
`memory`.
"""

import math
from collections.abc import Sequence

from labkit.tuning.examples import Example, batches
from labkit.tuning.lora import seed_of
from labkit.tuning.plans import Outcome, Recipe, Step
from labkit.tuning.train import Trainer


class Passes:
    """The plan: `recipe.passes` over the examples, a part of a pass at the end included."""

    def __init__(self, examples: Sequence[Example], recipe: Recipe, seed: int):
        self.recipe, self.step, self.loss = recipe, 0, math.nan
        self.order: list[list[int]] = []
        for number in range(math.ceil(recipe.passes)):
            self.order += batches(examples, recipe.batch_size, seed_of(seed, "pass", number))
        self.order = self.order[: max(1, round(len(self.order) * recipe.passes / math.ceil(recipe.passes)))]
        self.total = len(self.order)

    def next(self, trainer: Trainer) -> Step | None:
        if self.step == self.total:
            return None
        return Step(tuple(self.order[self.step]), self._rate())

    def _rate(self) -> float:
        warm = min(1.0, (self.step + 1) / max(1, min(self.recipe.warmup, self.total // 4)))
        cosine = 0.5 * (1 + math.cos(math.pi * self.step / self.total))
        return warm * (self.recipe.final_rate + (1 - self.recipe.final_rate) * cosine)

    def saw(self, step: Step, outcome: Outcome) -> None:
        self.step += 1
        loss = outcome.loss.mean().item()
        self.loss = loss if math.isnan(self.loss) else 0.95 * self.loss + 0.05 * loss

    def state(self) -> dict:
        return {"step": self.step, "loss": self.loss}

    def restore(self, state: dict) -> None:
        self.step, self.loss = state["step"], state["loss"]

    def note(self) -> dict:
        return {"loss": f"{self.loss:.3f}"}
