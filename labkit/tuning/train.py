"""The loop: batches in an order that a plan decides, a step of AdamW each, checkpoints, and what to do when it goes
wrong.

A `Trainer` knows the numbers (adapters, optimizer, one step, one check), a plan knows the order (`instruction`: so many
passes; `memory`: until every example is exact). All that decides the next step lies in the two states, so a run that
was killed goes on and ends with the same bits, on the same number of threads.
"""

import math
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm.auto import tqdm

from labkit.errors import LabkitError
from labkit.notices import notice
from labkit.shortage import halved, out_of_memory
from labkit.tuning.checkpoint import Checkpoint, stop_requests
from labkit.tuning.examples import Example, common_prefix
from labkit.tuning.lora import LoRA, attach, detach, parameters
from labkit.tuning.loss import token_loss
from labkit.tuning.packed import body, packed_attention, run_layers
from labkit.tuning.plans import Outcome, Plan, Recipe, Seen, Step
from labkit.tuning.ranks import Ranks
from labkit.tuning.trunk import TOKENS, Trunk

_HALVINGS = 4
_RECENT = 200  # steps by which the time left is told
_UNTIL_MASTERED = "{n_fmt} steps [{elapsed}, {rate_fmt}{postfix}]"  # tqdm's own time left ends with the round
_LESS = "Tune fewer layers, or take a smaller model or 4-bit weights."


@dataclass(frozen=True)
class _Report:
    """What one process did of a step: per example its position and the columns of `Outcome`; why it failed, if so."""

    rows: list[tuple]
    tokens: int
    failure: str


class Trainer:
    """Adapters on a model's upper layers, and how one step changes them."""

    def __init__(self, model, examples: Sequence[Example], recipe: Recipe, seed: int, ranks: Ranks, adapters=None):
        self.network, self.examples, self.recipe, self.seed, self.ranks = (
            model.network, list(examples), recipe, seed, ranks,
        )  # fmt: skip
        count = len(body(self.network).layers)
        self.lora = LoRA(tuple(range(max(0, count - recipe.layers), count)), recipe.rank, recipe.alpha, recipe.targets)
        self.adapters = adapters or attach(self.network, self.lora, seed)
        self.parameters = parameters(self.adapters)
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )
        self.trunk = Trunk(self.network, self.examples, common_prefix(self.examples), self.lora.layers[0])
        self.output = self.network.get_output_embeddings().weight
        self.steps, self.tokens, self.rate_scale = 0, 0, 1.0
        self.gradient = 0.0  # the last step's, its length before it was clipped
        self.micro, self.checked = recipe.batch_size, max(32, recipe.batch_size)  # examples at a time

    def step(self, step: Step) -> Outcome:
        """One update from the examples at `step.positions`; what the network did on them before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate * self.rate_scale * step.rate
        answer_tokens = sum(len(self.examples[i].answer) for i in step.positions)

        def learn(part: list[int]) -> Outcome:
            losses, outcome = self._forward(part)
            (losses.sum() / answer_tokens).backward()
            return outcome

        outcome = self._in_parts(step.positions, self.micro, learn)
        self.ranks.add_gradients(self.parameters)
        self.gradient = torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip, foreach=True).item()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.steps += 1
        return outcome

    @torch.no_grad()
    def check(self, positions: Sequence[int], progress: bool = False) -> Outcome:
        """What the network does on the examples at `positions` now; nothing is changed."""
        order = sorted(positions, key=lambda i: len(self.examples[i]))
        longest = max((len(self.examples[i]) for i in order), default=1)
        while True:
            size = max(1, min(self.checked, TOKENS // longest))  # a check of long pairs takes no more than a step
            try:
                outcome = self._in_parts(order, size, lambda part: self._forward(part)[1], progress)
                break
            except torch.OutOfMemoryError:
                self.checked = halved(size, "pair", _LESS)
        place = {position: row for row, position in enumerate(order)}
        rows = [place[position] for position in positions]
        return Outcome(*(values[rows] for values in _columns(outcome)))

    def _in_parts(
        self, positions: Sequence[int], size: int, work: Callable[[list[int]], Outcome], progress: bool = False
    ) -> Outcome:
        """`work` on this process's share of the examples, `size` at a time; what all processes found, by position.

        Where one of them runs out of memory all raise torch.OutOfMemoryError, and gradients are as before.
        """
        before, rows, failure = self.tokens, [], ""
        parts = _parts(list(self.ranks.share(positions)), size)
        try:
            for part in tqdm(parts, desc="checking", disable=not progress, leave=False):
                rows += zip(part, *(t.tolist() for t in _columns(work(part))), strict=True)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            failure = str(error) or "out of memory"  # not the error itself, which would keep the tensors alive
        reports = self.ranks.gather([_Report(rows, self.tokens - before, failure)])
        self.tokens = before + sum(report.tokens for report in reports)
        failures = [report.failure for report in reports if report.failure]
        if failures:
            self.optimizer.zero_grad()
            raise torch.OutOfMemoryError(failures[0])
        found = {row[0]: row[1:] for report in reports for row in report.rows}
        return Outcome(*(torch.tensor(values) for values in zip(*(found[i] for i in positions), strict=True)))

    def _forward(self, positions: Sequence[int]) -> tuple[Tensor, Outcome]:
        batch = self.trunk.batch(positions)
        inner = body(self.network)
        hidden = run_layers(self.network, batch.hidden, batch.layout, self.lora.layers[0], len(inner.layers))
        self.tokens += batch.hidden.shape[1]
        tokens = token_loss(inner.norm(hidden[0, batch.places]), self.output, batch.targets)
        return tokens.loss, _by_example(tokens, batch.rows, len(positions))

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
    margins = margins.scatter_reduce_(0, rows, tokens.margin, "amin")
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


def train(trainer: Trainer, plan: Plan, checkpoint: Checkpoint, progress: bool = True, watch=None) -> float:
    """Run the plan to its end; returns the seconds of the whole tuning so far. `watch` is told of each step (`Seen`);
    where it returns True the run stops there, as it does on Ctrl-C."""
    if checkpoint.load(trainer, plan) and progress:
        notice(f"Going on at step {trainer.steps:,}.")
    begun, losses = time.monotonic() - checkpoint.seconds, _Watch()
    quiet = not progress or bool(os.environ.get("CI")) or not trainer.ranks.first
    pace = _Pace(len(trainer.examples)) if hasattr(plan, "mastered") else None
    bar = tqdm(total=plan.total, unit="step", disable=quiet, bar_format=_UNTIL_MASTERED if pace else None)
    with packed_attention(trainer.network), bar, stop_requests() as request:
        checkpoint.take(trainer, plan)
        stopped = False  # as the first process says, and so is when a state is kept: all have to keep the same ones
        while not stopped and (step := plan.next(trainer)) is not None:
            outcome = _careful(trainer, plan, step, checkpoint, losses)
            if outcome is None:
                continue
            plan.saw(step, outcome)
            checkpoint.seconds = time.monotonic() - begun
            bar.total, bar.n = max(plan.total, trainer.steps), trainer.steps
            speed = trainer.tokens / max(checkpoint.seconds, 1e-9)
            left = {"left": pace.left(checkpoint.seconds, len(plan.mastered))} if pace else {}
            bar.set_postfix(plan.note() | {"tokens/s": f"{speed:.0f}"} | left, refresh=False)
            bar.update(0)
            asked = bool(watch and watch(_seen(trainer, plan, step, outcome, checkpoint.seconds))) or request.asked
            stopped, due = trainer.ranks.from_first((asked, checkpoint.due()))
            if due:
                checkpoint.take(trainer, plan)
        checkpoint.seconds = time.monotonic() - begun
        checkpoint.take(trainer, plan)
    if stopped:
        _say(trainer, "Stopped. The work is kept: the same call goes on from there.")
        raise KeyboardInterrupt
    return checkpoint.seconds


def _seen(trainer: Trainer, plan: Plan, step: Step, outcome: Outcome, seconds: float) -> Seen:
    losses = {trainer.examples[i].id: loss for i, loss in zip(step.positions, outcome.loss.tolist(), strict=True)}
    mastered = getattr(plan, "mastered", None)
    count = None if mastered is None else len(mastered)
    return Seen(trainer.steps, max(plan.total, trainer.steps), seconds, trainer.tokens, losses, count)


class _Pace:
    """How long memory tuning still takes, for its steps have no known end: by the examples mastered a second over the
    last steps. The hard ones come last, so it is a guess, and grows where they resist."""

    def __init__(self, of: int):
        self.of, self.seen = of, deque(maxlen=_RECENT)

    def left(self, seconds: float, mastered: int) -> str:
        """Hours, minutes and seconds; "?" where the last steps have won nothing."""
        self.seen.append((seconds, mastered))
        begun, before = self.seen[0]
        if mastered < self.of and mastered <= before:
            return "?"
        pace = (seconds - begun) / max(1, mastered - before)
        return tqdm.format_interval((self.of - mastered) * pace)


class _Watch:
    """Sees when a loss leaves for good: it or its gradient is not a number, the gradient vanishes while there is loss
    (a collapsed network gives each token the same probability), or three times in a row the loss is far above where it
    was. A single such batch is an odd pair."""

    def __init__(self):
        self.mean: float | None = None
        self.high = 0

    def diverges(self, loss: float, gradient: float) -> bool:
        if not math.isfinite(loss) or not math.isfinite(gradient) or (gradient == 0 and loss > 0.1):
            return True
        if self.mean is not None and loss > 3 * self.mean + 3:
            self.high += 1
            return self.high >= 3
        self.high = 0
        self.mean = loss if self.mean is None else 0.95 * self.mean + 0.05 * loss
        return False


def _careful(trainer: Trainer, plan: Plan, step: Step, checkpoint: Checkpoint, watch: _Watch) -> Outcome | None:
    """One step; None where there was none: out of memory halves what is computed at a time, divergence the learning
    rate."""
    try:
        outcome = trainer.step(step)
    except torch.OutOfMemoryError:
        trainer.micro = halved(trainer.micro, "pair", _LESS)
        _say(trainer, f"Out of memory: going on with {trainer.micro} pairs at a time, the same batches.")
        return None
    if not watch.diverges(outcome.loss.mean().item(), trainer.gradient):
        return outcome
    scale, micro = trainer.rate_scale / 2, trainer.micro
    if scale < 2**-_HALVINGS:
        raise LabkitError(
            f"The loss diverges even at {trainer.rate_scale:g} of the learning rate {trainer.recipe.rate:g}. Name a "
            "lower rate, in another folder; and look at the pairs: do equal questions have different answers?"
        )
    _say(trainer, f"The loss diverges: back to an earlier state, at {scale:g} of the learning rate.")
    checkpoint.back(trainer, plan)
    trainer.rate_scale, trainer.micro = scale, micro
    checkpoint.take(trainer, plan)
    watch.mean, watch.high = None, 0
    return None


def _say(trainer: Trainer, text: str) -> None:
    if trainer.ranks.first:
        notice(text)
