"""From logits to the next token: temperature, top-k, top-p, and one draw. A model samples; here is all there is to it.

Every function takes and returns a tensor whose last dimension is the vocabulary, so that one row or a batch of rows
are the same. Nothing here runs a network (`decoding` does) or shows a picture.
"""

import torch
from torch import Tensor

from labkit.errors import LabkitError


def apply_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Divide by the temperature: below 1 the likely grows likelier, above 1 the unlikely gets its chance."""
    return logits / temperature


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Leave the `k` largest logits, set the rest to minus infinity; `k` = 0 leaves all. Equals of the k-th stay in."""
    if k <= 0 or k >= logits.shape[-1]:
        return logits
    smallest_kept = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < smallest_kept, -torch.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Leave the fewest tokens whose probabilities sum to `p` or more (nucleus sampling; Holtzman et al. 2020, section
    3.1)."""
    if p >= 1:
        return logits
    ordered, places = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities  # what the likelier ones hold together
    beyond = before >= p
    beyond[..., 0] = False  # the likeliest always stays
    return logits.masked_fill(beyond.scatter(-1, places, beyond), -torch.inf)


def probabilities(logits: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Tensor:
    """The distribution that the next token is drawn from: temperature, then top-k, then top-p, then softmax.

    `logits` has shape (..., vocabulary), the result the same shape in float32, each row summing to 1. At temperature
    0 all probability lies on the largest logit: greedy decoding.
    """
    logits = logits.float()
    if temperature == 0:
        return torch.zeros_like(logits).scatter(-1, logits.argmax(dim=-1, keepdim=True), 1.0)
    logits = apply_temperature(logits, temperature)
    return keep_top_p(keep_top_k(logits, top_k), top_p).softmax(dim=-1)


def draw(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """Draw a token per row by inverse transform sampling: the first whose cumulative probability exceeds the row's
    uniform.

    `probabilities` (rows, vocabulary), `uniforms` (rows,) in [0, 1); returns token ids (rows,). Same numbers, same
    tokens.
    """
    cumulative = probabilities.double().cumsum(dim=-1)
    targets = uniforms.to(cumulative).unsqueeze(-1) * cumulative[..., -1:]
    return torch.searchsorted(cumulative, targets, right=True).squeeze(-1).clamp(max=probabilities.shape[-1] - 1)


def check_sampling(temperature: float, top_k: int, top_p: float) -> None:
    """LabkitError when a setting means nothing."""
    if not 0 <= temperature < float("inf"):
        raise LabkitError(f"temperature is {temperature}; it must be 0 (greedy) or a positive number.")
    if top_k < 0 or top_k != int(top_k):
        raise LabkitError(f"top_k is {top_k}; it must be 0 (off) or a positive whole number.")
    if not 0 < top_p <= 1:
        raise LabkitError(f"top_p is {top_p}; it must be above 0 and at most 1 (off).")
