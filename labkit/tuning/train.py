"""The loop: batches in an order that a plan decides, a step of AdamW each, checkpoints, and what to do when it goes
wrong.

A `Trainer` knows the numbers (adapters, optimizer, one step, one check), a plan knows the order (`instruction`: so many
passes; `memory`: until every example is exact). All that decides the next step lies in the two states, so a run that
was killed goes on and ends with the same bits, on the same number of threads.
"""

import io
import math
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from tqdm.auto import tqdm

from labkit.errors import LabkitError
from labkit.home import write_atomically
from labkit.tuning.examples import Example, common_prefix
from labkit.tuning.lora import ALL_LINEAR, LoRA, attach, detach, parameters, seed_of
from labkit.tuning.loss import token_loss
from labkit.tuning.packed import body, packed_attention, run_layers
from labkit.tuning.ranks import Ranks
from labkit.tuning.trunk import Trunk

_HALVINGS = 4


@dataclass(frozen=True)
class Recipe:
    """How to tune. `layers`: how many of the upper layers get adapters; `rate`: the highest learning rate; `passes`:
    over the pairs (instruction), or at most (memory); `negatives`: how many random tokens compete with the pairs' own
    in a step's loss (sampled softmax: Jean et al. 2015, arXiv 1412.2007), None for the whole vocabulary; `margin`: by
    how many nats an answer token must lead before it counts as mastered (memory)."""

    layers: int = 12
    rank: int = 16
    alpha: float = 32.0
    rate: float = 1.5e-3
    batch_size: int = 16
    passes: float = 1.0
    warmup: int = 20
    final_rate: float = 0.02  # of `rate`, where the cosine ends
    clip: float = 1.0
    negatives: int | None = 1000
    margin: float = 1.0
    targets: tuple[str, ...] = ALL_LINEAR


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


class Plan(Protocol):
    """The order of steps. `next` is None at the end; `saw` tells it what a step showed; `state` and `restore` are JSON
    values."""

    total: int

    def next(self, trainer: "Trainer") -> Step | None: ...
    def saw(self, step: Step, outcome: Outcome) -> None: ...
    def state(self) -> dict: ...
    def restore(self, state: dict) -> None: ...
    def note(self) -> dict: ...


class Trainer:
    """Adapters on a model's upper layers, and how one step changes them."""

    def __init__(self, model, examples: Sequence[Example], recipe: Recipe, seed: int, ranks: Ranks, adapters=None):
        self.network, self.examples, self.recipe, self.seed, self.ranks = (
            model.network, list(examples), recipe, seed, ranks,
        )  # fmt: skip
        count = len(body(self.network).layers)
        self.lora = LoRA(
            tuple(range(max(0, count - recipe.layers), count)), recipe.rank, recipe.alpha, recipe.targets
        )
        self.adapters = adapters or attach(self.network, self.lora, seed)
        self.parameters = parameters(self.adapters)
        self.optimizer = torch.optim.AdamW(self.parameters, lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0)
        self.trunk = Trunk(self.network, self.examples, common_prefix(self.examples), self.lora.layers[0])
        self.output = self.network.get_output_embeddings().weight
        self.used = sorted({token for example in self.examples for token in example.answer})
        self.steps, self.tokens, self.rate_scale, self.micro = 0, 0, 1.0, recipe.batch_size

    def step(self, step: Step) -> Outcome:
        """One update from the examples at `step.positions`; what the network did on them before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate * self.rate_scale * step.rate
        answer_tokens = sum(len(self.examples[i].answer) for i in step.positions)
        mine = list(self.ranks.share(step.positions))
        outcomes = []
        for part in _parts(mine, self.micro):
            losses, outcome = self._forward(part, self._candidates())
            (losses.sum() / answer_tokens).backward()
            outcomes += zip(part, *(t.tolist() for t in _columns(outcome)), strict=True)
        self.ranks.add_gradients(self.parameters)
        torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.steps += 1
        return self._ordered(step.positions, outcomes)

    @torch.no_grad()
    def check(self, positions: Sequence[int], progress: bool = False) -> Outcome:
        """What the network does on the examples at `positions` now, against the whole vocabulary; nothing is
        changed."""
        order = sorted(positions, key=lambda i: len(self.examples[i]))
        found = []
        parts = _parts(list(self.ranks.share(order)), max(32, self.micro))
        for part in tqdm(parts, desc="checking", disable=not progress, leave=False):
            _, outcome = self._forward(part, None)
            found += zip(part, *(t.tolist() for t in _columns(outcome)), strict=True)
        return self._ordered(positions, found)

    def _forward(self, positions: Sequence[int], candidates: Tensor | None) -> tuple[Tensor, Outcome]:
        batch = self.trunk.batch(positions)
        inner = body(self.network)
        hidden = run_layers(self.network, batch.hidden, batch.layout, self.lora.layers[0], len(inner.layers))
        self.tokens += batch.hidden.shape[1]
        output, targets = self.output, batch.targets
        if candidates is not None:
            output = output[candidates]
            targets = torch.searchsorted(candidates, targets)
        tokens = token_loss(inner.norm(hidden[0, batch.places]), output, targets)
        return tokens.loss, _by_example(tokens, batch.rows, len(positions))

    def _candidates(self) -> Tensor | None:
        """Sorted ids of the tokens that compete in this step, on the network's device."""
        wanted, size = self.recipe.negatives, self.output.shape[0]
        if wanted is None or wanted + len(self.used) >= size:
            return None
        drawn = random.Random(seed_of(self.seed, "negatives", self.steps)).sample(range(size), wanted)
        return torch.tensor(sorted({*drawn, *self.used}), device=self.output.device)

    def _ordered(self, positions: Sequence[int], outcomes: list[tuple]) -> Outcome:
        by_position = {row[0]: row[1:] for row in self.ranks.gather(outcomes)}
        return Outcome(*(torch.tensor(values) for values in zip(*(by_position[i] for i in positions), strict=True)))

    def state(self) -> dict:
        return {
            "factors": [p.detach().clone() for p in self.parameters],
            "optimizer": _copied(self.optimizer.state_dict()),
            "numbers": (self.steps, self.tokens, self.rate_scale, self.micro),
        }

    def restore(self, state: dict) -> None:
        with torch.no_grad():
            for p, kept in zip(self.parameters, state["factors"], strict=True):
                p.copy_(kept)
        self.optimizer.load_state_dict(_copied(state["optimizer"]))
        self.steps, self.tokens, self.rate_scale, self.micro = state["numbers"]

    def close(self) -> None:
        """Leave the network as it was."""
        detach(self.network, self.adapters)


def _by_example(tokens, rows: Tensor, count: int) -> Outcome:
    """Token losses summed up by example."""
    losses = torch.zeros(count, device=rows.device).index_add_(0, rows, tokens.loss.detach())
    counts = torch.zeros(count, device=rows.device).index_add_(0, rows, torch.ones_like(tokens.margin))
    margins = torch.full((count,), math.inf, device=rows.device)
    margins = margins.index_reduce_(0, rows, tokens.margin, "amin")
    return Outcome((losses / counts).cpu(), margins.cpu(), -losses.cpu())


def _columns(outcome: Outcome) -> tuple[Tensor, Tensor, Tensor]:
    return outcome.loss, outcome.margin, outcome.log_probability


def _parts(items: list, size: int) -> list[list]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _copied(value):
    """A deep copy of a state that may hold tensors."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


class Checkpoint:
    """Where a run is kept while it is under way: one file, replaced whole. `identity` tells runs apart."""

    def __init__(self, path: Path, identity: dict, spent: float = 0.0, every: float = 60.0):
        self.path, self.identity, self.every = path, identity, every
        self.last, self.seconds = time.monotonic(), spent  # seconds of the tuning before `train`
        self.snapshot: dict | None = None  # the last good state, to go back to when the loss diverges

    def load(self, trainer: Trainer, plan: Plan) -> bool:
        """Go on from the file, if there is one of this run; LabkitError when it is of another."""
        if not self.path.is_file():
            return False
        try:
            kept = torch.load(self.path, weights_only=True)
            other = {key for key in self.identity if kept["identity"].get(key) != self.identity[key]}
        except Exception as error:  # torch.load raises what unpickling does
            raise LabkitError(f"{self.path} is damaged ({error}). Remove it to begin anew.") from error
        if other:
            raise LabkitError(
                f"{self.path.parent} holds an unfinished tuning with another {', '.join(sorted(other))}. "
                "Name another folder, or remove that one."
            )
        trainer.restore(kept["trainer"])
        plan.restore(kept["plan"])
        self.seconds = kept["seconds"]
        return True

    def take(self, trainer: Trainer, plan: Plan, seconds: float) -> None:
        """Keep the state now."""
        self.snapshot = {"trainer": trainer.state(), "plan": plan.state(), "seconds": seconds}
        if trainer.ranks.first:
            buffer = io.BytesIO()
            torch.save(self.snapshot | {"identity": self.identity}, buffer)
            write_atomically(self.path, buffer.getvalue())
        self.last = time.monotonic()

    def due(self) -> bool:
        return time.monotonic() - self.last >= self.every


def train(trainer: Trainer, plan: Plan, checkpoint: Checkpoint, progress: bool = True) -> float:
    """Run the plan to its end; returns the seconds it took, those before an interruption included."""
    went_on = checkpoint.load(trainer, plan)
    if went_on and progress:
        print(f"Going on at step {trainer.steps:,}.", file=sys.stderr)
    begun = time.monotonic() - checkpoint.seconds
    quiet = not progress or bool(os.environ.get("CI")) or not trainer.ranks.first
    watch = _Watch()
    with packed_attention(trainer.network), tqdm(total=plan.total, unit="step", disable=quiet) as bar:
        checkpoint.take(trainer, plan, time.monotonic() - begun)
        try:
            while (step := plan.next(trainer)) is not None:
                outcome = _careful(trainer, plan, step, checkpoint, watch)
                if outcome is None:
                    continue
                plan.saw(step, outcome)
                bar.total, bar.n = max(plan.total, trainer.steps), trainer.steps
                seconds = time.monotonic() - begun
                bar.set_postfix(plan.note() | {"tokens/s": f"{trainer.tokens / max(seconds, 1e-9):.0f}"}, refresh=False)
                bar.update(0)
                if checkpoint.due():
                    checkpoint.take(trainer, plan, seconds)
        except KeyboardInterrupt:
            checkpoint.take(trainer, plan, time.monotonic() - begun)
            print("Stopped. The work is kept: the same call goes on from there.", file=sys.stderr)
            raise
    return time.monotonic() - begun


class _Watch:
    """Sees when a loss leaves for good: not a number, or far above where it was."""

    def __init__(self):
        self.mean: float | None = None
        self.halvings = 0

    def diverges(self, loss: float) -> bool:
        if not math.isfinite(loss) or (self.mean is not None and loss > 3 * self.mean + 3):
            return True
        self.mean = loss if self.mean is None else 0.95 * self.mean + 0.05 * loss
        return False


def _careful(trainer: Trainer, plan: Plan, step: Step, checkpoint: Checkpoint, watch: _Watch) -> Outcome | None:
    """One step; None where it had to be taken back: out of memory halves the batch, divergence the learning rate."""
    try:
        outcome = trainer.step(step)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        if trainer.micro == 1:
            raise LabkitError(
                "A single pair does not fit the memory. Tune fewer layers, or take a smaller model or 4-bit weights."
            ) from error
        micro = max(1, trainer.micro // 2)
        print(f"Out of memory: going on with {micro} pairs at a time, the same batches.", file=sys.stderr)
        trainer.restore(checkpoint.snapshot["trainer"])
        plan.restore(checkpoint.snapshot["plan"])
        trainer.micro = micro
        trainer.optimizer.zero_grad()
        return None
    if not watch.diverges(outcome.loss.mean().item()):
        return outcome
    watch.halvings += 1
    if watch.halvings > _HALVINGS:
        raise LabkitError(
            f"The loss diverges even at a sixteenth of the learning rate {trainer.recipe.rate}. Look at the pairs: do "
            "equal questions have different answers?"
        )
    scale = trainer.rate_scale / 2
    print(f"The loss diverges: back to the last checkpoint, at {scale:g} of the learning rate.", file=sys.stderr)
    trainer.restore(checkpoint.snapshot["trainer"])
    plan.restore(checkpoint.snapshot["plan"])
    trainer.rate_scale, watch.mean = scale, None
    return None


def _out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "not enough memory" in text


def recipe_record(recipe: Recipe) -> dict:
    """The recipe as JSON values."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(recipe).items()}
