"""How far two networks' probabilities lie apart on the same tokens, and how well one foretells a text.

Kullback-Leibler divergence (Kullback and Leibler 1951) and perplexity, from full distributions over the vocabulary.
It knows tokens and tensors only: what is asked, and what the figures mean, is the business of `side_effects`.
"""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm.auto import tqdm

from labkit.decoding import prompt_tokens, routed
from labkit.errors import LabkitError

WINDOW = 512  # tokens of text that perplexity is measured on at a time
_ROWS = 8  # prompts a forward pass: both models' distributions are held for all places of their answers


@dataclass(frozen=True)
class Divergence:
    """KL in nats at the first token of an answer, and the mean over its tokens and the place behind the last."""

    first: float
    answer: float


@dataclass(frozen=True)
class Perplexity:
    """exp of the mean negative log-likelihood a token, over `tokens` predicted ones."""

    value: float
    tokens: int


@dataclass(frozen=True)
class _Row:
    """A prompt's place in the call, its tokens, and those of the answer that is fed behind it."""

    place: int
    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    @property
    def tokens(self) -> tuple[int, ...]:
        return self.prompt + self.answer


def divergences(before, after, conversations: Sequence[Sequence[dict]], answers: Sequence[str]) -> list[Divergence]:
    """KL(before || after) for each conversation, both models being fed the same answer (teacher forcing)."""
    tokenizer = before.tokenizer
    rows = [
        _Row(place, prompt, tuple(tokenizer(answer, add_special_tokens=False).input_ids))
        for place, (prompt, answer) in enumerate(zip(prompt_tokens(before, conversations), answers, strict=True))
    ]
    rows.sort(key=lambda row: len(row.tokens))
    found = {}
    for start in _progress(range(0, len(rows), _ROWS), "Comparing"):
        batch = rows[start : start + _ROWS]
        kl = _kl(_log_probabilities(before, batch), _log_probabilities(after, batch), after)
        for row, part in zip(batch, kl.split([len(row.answer) + 1 for row in batch]), strict=True):
            found[row.place] = Divergence(part[0].item(), part.mean().item())
    return [found[place] for place in range(len(rows))]


def _kl(before: Tensor, after: Tensor, model) -> Tensor:
    """KL(before || after) of rows of log probabilities, (rows,) float64; rounding below 0 is cut off."""
    kl = (before.exp() * (before - after)).sum(dim=-1, dtype=torch.float64)
    if not kl.isfinite().all():
        raise LabkitError(_not_finite(model))
    return kl.clamp(min=0)


@torch.inference_mode()
def _log_probabilities(model, rows: Sequence[_Row]) -> Tensor:
    """Log probabilities wherever an answer's token, or what follows the answer, is predicted: row after row,
    (places, vocabulary) float32.

    Padded on the right: a causal network's earlier places never see the padding. The output layer is spared the columns
    in which all rows still hold their prompts.
    """
    device, width = model.network.device, max(len(row.tokens) for row in rows)
    tokens = torch.tensor([row.tokens + (0,) * (width - len(row.tokens)) for row in rows], device=device)
    columns = torch.arange(width, device=device)
    there = columns < torch.tensor([[len(row.tokens)] for row in rows], device=device)
    wanted = there & (columns >= torch.tensor([[len(row.prompt) - 1] for row in rows], device=device))
    spared = min(len(row.prompt) for row in rows) - 1
    with routed(model, [row.prompt for row in rows]):
        output = model.network(
            input_ids=tokens, attention_mask=there.long(), logits_to_keep=width - spared, use_cache=False
        )
    return output.logits[wanted[:, spared:]].float().log_softmax(dim=-1)


@torch.inference_mode()
def perplexity(model, text: str) -> Perplexity:
    """Over windows of 512 tokens (or the model's context, if shorter) that do not overlap; each window's first token is
    given, not predicted. A text asks nothing, so memory experts take no part.
    LabkitError for a text of one token, or probabilities that are no finite numbers."""
    total, count = 0.0, 0
    for window in _progress(list(_windows(model, text)), "Reading"):
        tokens = torch.tensor([window], device=model.network.device)
        logits = model.network(input_ids=tokens, use_cache=False).logits[0, :-1].float()
        total += torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="sum").item()
        count += len(window) - 1
    if not count:
        raise LabkitError("The text for perplexity has no two tokens. Give a page or more.")
    if not math.isfinite(total):
        raise LabkitError(_not_finite(model))
    return Perplexity(math.exp(min(total / count, 700.0)), count)  # beyond, a float overflows


def _windows(model, text: str) -> Iterator[list[int]]:
    tokens = model.tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    size = min(WINDOW, getattr(model.network.config, "max_position_embeddings", None) or WINDOW)
    for start in range(0, len(tokens) - 1, size):
        yield tokens[start : start + size]


def _progress(steps: Sequence, what: str) -> tqdm:
    return tqdm(steps, desc=what, leave=False, disable=bool(os.environ.get("CI")))


def _not_finite(model) -> str:
    which = f"{model.name} with {model.adapter}" if model.adapter else model.name
    return f"{which} yields probabilities that are no finite numbers: it diverged. Tune it again at a lower rate."
