"""What the loop of tuning and its plans say to each other: how to tune (a recipe), what to train on next (a step), what
that showed (an outcome), what an observer sees.

Nothing is computed here; the loop is `train`, its plans are `instruction` and `memory`.
"""

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from labkit.errors import LabkitError
from labkit.tuning.lora import ALL_LINEAR

if TYPE_CHECKING:
    from labkit.tuning.train import Trainer


@dataclass(frozen=True)
class Recipe:
    """How to tune. `layers`: how many of the upper layers get adapters; `rate`: the highest learning rate; `passes`:
    over the pairs (instruction; less than one draws some of them), or at most (memory); `margin`: by how many nats an
    answer token must lead before it counts as mastered (memory)."""

    layers: int = 12
    rank: int = 16
    alpha: float = 32.0
    rate: float = 1.5e-3
    batch_size: int = 16
    passes: float = 1.0
    warmup: int = 20
    final_rate: float = 0.02  # of `rate`, where the cosine ends
    clip: float = 1.0
    margin: float = 1.0
    targets: tuple[str, ...] = ALL_LINEAR

    def __post_init__(self):
        least = {"layers": 1, "rank": 1, "batch_size": 1, "warmup": 0, "final_rate": 0, "margin": 0}
        whole = ("layers", "rank", "batch_size", "warmup")
        bad = [f"{name} must be a whole number" for name in whole if not isinstance(getattr(self, name), int)]
        if bad:
            raise LabkitError(f"The recipe does not work: {', '.join(bad)}.")
        bad = [f"{name} must be {low} or more" for name, low in least.items() if not getattr(self, name) >= low]
        above = [name for name in ("alpha", "rate", "passes", "clip") if not 0 < getattr(self, name) < math.inf]
        bad += [f"{name} must be a number above 0" for name in above]
        if bad:
            raise LabkitError(f"The recipe does not work: {', '.join(bad)}.")


@dataclass(frozen=True)
class Outcome:
    """Of each example in a batch: mean loss of its answer tokens, smallest lead of one, log probability of the whole
    answer. Shape (examples,), on the CPU."""

    loss: Tensor
    margin: Tensor
    log_probability: Tensor


@dataclass(frozen=True)
class Step:
    """What to train on next: positions of examples, and the share of the learning rate."""

    positions: tuple[int, ...]
    rate: float


@dataclass(frozen=True)
class Seen:
    """What an observer is told after a step: how far the run is, and the loss of each example of the batch, by its id.
    `mastered`: how many examples count as mastered now (memory tuning, else None)."""

    step: int
    total: int
    seconds: float
    tokens: int
    losses: dict[str, float]
    mastered: int | None


class Plan(Protocol):
    """The order of steps. `next` is None at the end; `saw` tells it what a step showed; `state` and `restore` are JSON
    values."""

    total: int

    def next(self, trainer: "Trainer") -> Step | None: ...
    def saw(self, step: Step, outcome: Outcome) -> None: ...
    def state(self) -> dict: ...
    def restore(self, state: dict) -> None: ...
    def note(self) -> dict: ...


def recipe_record(recipe: Recipe) -> dict:
    """The recipe as JSON values."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(recipe).items()}
