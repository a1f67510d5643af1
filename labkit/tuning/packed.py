"""A batch as one flat row of tokens, run through some of a network's layers.

All rows of a batch share the first part of their prompt, so it stands once in front: the flat row is the prefix, then
each row's own tokens, padded on the right to one length. Linear layers see no rows at all; only attention does, where
each row's tokens look at the prefix and at their own past. Any network laid out like llama's
(`model.layers`, `model.norm`, `model.rotary_emb`) runs here, quantised or not, with or without adapters.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import AttentionInterface

from labkit.errors import LabkitError
from labkit.kvcache import attending

_NAME = "labkit_packed"
# Networks that do nothing between embedding, layers, norm and output: no scale, no cap on the logits.
_KNOWN = ("llama", "mistral", "qwen2", "qwen3", "smollm3")


@dataclass(frozen=True)
class Layout:
    """Where the tokens of a flat row of prefix + rows x columns tokens belong."""

    prefix: int
    rows: int
    columns: int

    def positions(self, device) -> Tensor:
        """Each token's place in its own text, shape (1, tokens)."""
        own = torch.arange(self.prefix, self.prefix + self.columns, device=device).repeat(self.rows)
        return torch.cat([torch.arange(self.prefix, device=device), own])[None]

    def mask(self, like: Tensor) -> Tensor:
        """What is added to a row's scores, shape (columns, prefix + columns): 0 where visible, else minus infinity."""
        own = torch.full((self.columns, self.columns), float("-inf"), dtype=like.dtype, device=like.device).triu(1)
        return torch.cat([own.new_zeros(self.columns, self.prefix), own], dim=1)


def body(network):
    """The part of a causal language model below its output layer, whatever wraps it."""
    inner = network.get_base_model() if hasattr(network, "get_base_model") else network
    found = getattr(inner, "model", None)
    if getattr(inner.config, "model_type", None) not in _KNOWN or not hasattr(found, "layers"):
        raise LabkitError(
            f"labkit's tuning knows networks laid out like llama's ({', '.join(_KNOWN)}), not {type(inner).__name__}. "
            "Tune this one with PEFT, and load its adapter with load_model(adapter=...)."
        )
    return found


def run_layers(network, hidden: Tensor, layout: Layout, first: int, last: int) -> Tensor:
    """Run layers `first` to `last` (exclusive) on flat hidden states, shape (1, tokens, size) in and out."""
    inner = body(network)
    position_ids = layout.positions(hidden.device)
    rotation = inner.rotary_emb(hidden, position_ids)
    mask = layout.mask(hidden)
    for layer in inner.layers[first:last]:
        hidden = layer(
            hidden, attention_mask=mask, position_ids=position_ids, position_embeddings=rotation, layout=layout
        )
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    return hidden


def attention(module, query, key, value, attention_mask, scaling=None, layout: Layout | None = None, **kwargs):
    """Attention of a flat row: query (1, heads, tokens, size), key and value (1, key/value heads, tokens, size).

    Returns (1, tokens, heads, size).
    """
    groups = query.shape[1] // key.shape[1]
    key, value = (_grouped(t, groups) for t in (key, value))
    parts = []
    if layout.prefix:
        front = [t[:, :, : layout.prefix] for t in (query, key, value)]
        parts.append(_attend(*front, scale=scaling, is_causal=True).transpose(1, 2))
    own = _attend(*(_rows(t, layout, i > 0) for i, t in enumerate((query, key, value))), attention_mask, scale=scaling)
    parts.append(own.transpose(1, 2).reshape(1, layout.rows * layout.columns, *own.shape[1::2]))
    return torch.cat(parts, dim=1), None


def _attend(query, key, value, mask: Tensor | None = None, scale=None, is_causal=False) -> Tensor:
    """Scaled dot-product attention. In bfloat16 on a CPU in two products: torch's fused kernel takes five times as long
    on its way back there (rows of some 100 tokens; EXPERIMENTS.md, 2026-11-27)."""
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        fused = torch.nn.functional.scaled_dot_product_attention
        return fused(query, key, value, mask, scale=scale, is_causal=is_causal)
    if is_causal:
        mask = query.new_full((query.shape[-2],) * 2, float("-inf")).triu(1)
    scores = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    return torch.softmax(scores + mask, dim=-1, dtype=torch.float32).to(value.dtype) @ value


def _grouped(tensor: Tensor, groups: int) -> Tensor:
    """Each key/value head, once for each of the query heads that share it."""
    return tensor if groups == 1 else tensor.repeat_interleave(groups, dim=1)


def _rows(tensor: Tensor, layout: Layout, with_prefix: bool) -> Tensor:
    """(1, heads, tokens, size) -> (rows, heads, columns, size); keys and values get the prefix in front of each row."""
    heads, size = tensor.shape[1], tensor.shape[3]
    own = tensor[0, :, layout.prefix :].reshape(heads, layout.rows, layout.columns, size).transpose(0, 1)
    if not with_prefix or not layout.prefix:
        return own
    front = tensor[:, :, : layout.prefix].expand(layout.rows, -1, -1, -1)
    return torch.cat([front, own], dim=2)


AttentionInterface.register(_NAME, attention)


def packed_attention(network):
    """Within the block the network attends by `attention` above."""
    return attending(network, _NAME)
