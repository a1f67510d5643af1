"""Memory tuning: until every chosen fact is exact, not until the average is low.

Li et al. 2024 (arXiv 2406.17642) train until the loss of each fact is near zero. Here an example is mastered when each
token of its answer is the likeliest one, by a margin, in the forward pass of its own training step; mastered examples
leave the batches, so the work goes where errors are. What is learnt later may disturb them: so a batch that is not full
takes some of them along, and when none is left all are checked against the whole vocabulary. Those that slipped come
back, at half the learning rate: what one example gained cost another. The run ends when a check finds none. Where
rounds bring nothing any more all are checked as well, and at the lowest rate the run gives up on what is left (two
answers to one question).

Where there are many examples it begins with a few. Until a network can tie a question to its own answer at all, none is
mastered, and this plateau is the shorter the fewer it sees (Zucchet et al. 2025, arXiv 2503.21676, of pre-training).
"""

import math
import random
from collections.abc import Sequence

from labkit.tuning.examples import Example, batches
from labkit.tuning.lora import seed_of
from labkit.tuning.plans import Outcome, Recipe, Step
from labkit.tuning.train import Trainer

_COMPANY = 3  # mastered examples beside each one that is not, as far as the batch has room
_PATIENCE = 10  # rounds without fewer examples left, or less loss on them;
_STEPS = 500  # but hardly more steps than these, for a round over many examples is long
_SLOWEST = 1 / 16  # of the recipe's rate
_NOTHING = (math.inf, math.inf, 0)  # the fewest left so far, the least loss on them, the round
_FIRST = 16  # examples that a run begins with, until half as many are mastered; where there are four times as many


class Mastery:
    """The plan: rounds over what is not mastered, then a check of all, again and again; at most `recipe.passes` rounds.

    `mastered_before`: examples that count as mastered from the beginning (replay).
    """

    def __init__(self, examples: Sequence[Example], recipe: Recipe, seed: int, mastered_before: Sequence[int] = ()):
        self.examples, self.recipe, self.seed = examples, recipe, seed
        self.mastered = set(mastered_before)
        self.round, self.step, self.checks, self.done = 0, 0, 0, False
        self.few = len(examples) >= 4 * _FIRST and len(self.mastered) < _FIRST // 2
        self.rate = 1.0  # share of the recipe's, halved by each check that finds some lost
        self.best = _NOTHING
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
        return Step(tuple(self.queue[0]), self.rate * min(1.0, (self.step + 1) / max(1, self.recipe.warmup)))

    def _next_round(self, trainer: Trainer) -> None:
        left = self._left()
        self._record(len(left))
        stalls = self._stalls(len(left))
        if self.few and (stalls or len(self.mastered) >= _FIRST // 2):
            self.few, self.best, stalls = False, _NOTHING, False
        gives_up = stalls and self.rate <= _SLOWEST
        if not left or stalls:
            left = self._check(trainer)
        if not left or gives_up or self.round >= self.recipe.passes:
            self.done = True
            return
        left = self._first(left) if self.few else left
        seed = seed_of(self.seed, "round", self.round)
        chosen = batches([self.examples[i] for i in left], self.recipe.batch_size, seed)
        company = random.Random(seed).sample(sorted(self.mastered), len(self.mastered))
        self.queue = []
        for batch in chosen:
            room = min(self.recipe.batch_size - len(batch), _COMPANY * len(batch))
            self.queue.append([*(left[k] for k in batch), *company[:room]])
            company = company[room:]
        self.round += 1

    def _first(self, left: Sequence[int]) -> list[int]:
        """The next few of those left, in an order of the seed's."""
        order = list(range(len(self.examples)))
        random.Random(seed_of(self.seed, "first", 0)).shuffle(order)
        still = set(left)
        return [i for i in order if i in still][:_FIRST]

    def _record(self, left: int) -> None:
        if self.losses:
            loss = sum(self.losses) / len(self.losses)
            self.history.append({"round": self.round, "mastered": len(self.examples) - left, "loss": loss})
        self.losses = []

    def _stalls(self, left: int) -> bool:
        """Have the last rounds brought nothing?"""
        if not left or not self.history:
            return False
        loss, (fewest, lowest, since) = self.history[-1]["loss"], self.best
        if left < fewest or (left == fewest and loss < 0.98 * lowest):
            self.best = (left, loss, self.round)
            return False
        at_work = min(left, _FIRST) if self.few else left
        return self.round - since >= max(1, min(_PATIENCE, _STEPS * self.recipe.batch_size // at_work))

    def _check(self, trainer: Trainer) -> list[int]:
        """All examples again: those that are not the greedy answer, by half the margin, are lost and come back."""
        self.checks, self.best = self.checks + 1, _NOTHING
        margins = trainer.check(range(len(self.examples))).margin
        lost = {i for i, margin in enumerate(margins.tolist()) if margin < self.recipe.margin / 2}
        self.mastered -= lost
        self.rate = max(_SLOWEST, self.rate / 2) if lost else self.rate
        return self._left()

    def _left(self) -> list[int]:
        return [i for i in range(len(self.examples)) if i not in self.mastered]

    def saw(self, step: Step, outcome: Outcome) -> None:
        self.step += 1
        self.queue.pop(0)
        for position, loss, margin in zip(step.positions, outcome.loss.tolist(), outcome.margin.tolist(), strict=True):
            self.losses += [] if position in self.mastered else [loss]
            if margin >= self.recipe.margin:
                self.mastered.add(position)
            elif margin < self.recipe.margin / 2:
                self.mastered.discard(position)

    def state(self) -> dict:
        return {
            "mastered": sorted(self.mastered),
            "numbers": [self.round, self.step, self.checks, self.rate],
            "best": list(self.best),
            "done": self.done,
            "few": self.few,
            "queue": [list(batch) for batch in self.queue],
            "history": [dict(record) for record in self.history],
            "losses": list(self.losses),
        }

    def restore(self, state: dict) -> None:
        self.mastered, self.done, self.few = set(state["mastered"]), state["done"], state.get("few", False)
        self.round, self.step, self.checks, self.rate = state["numbers"]
        self.best = tuple(state["best"])
        self.queue = [list(batch) for batch in state["queue"]]
        self.history, self.losses = [dict(record) for record in state["history"]], list(state["losses"])

    def note(self) -> dict:
        loss = self.losses[-self.recipe.batch_size :]
        mean = sum(loss) / len(loss) if loss else math.nan
        return {"loss": f"{mean:.3f}", "mastered": f"{len(self.mastered)}/{len(self.examples)}", "round": self.round}
