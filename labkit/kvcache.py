"""The key/value cache of a batch whose prompts begin alike: the shared part is computed and stored once.

A text-to-SQL prompt is a long schema and a short question. Every row of a batch attends to the same schema, so its
keys and values need one copy, and all rows' queries meet them in one matrix product (Juravsky et al. 2024,
"Hydragen", section 3; here the two parts' scores are joined before one softmax). This module knows caches and
attention, not text: `decoding` does.
"""

from bisect import bisect_left
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import AttentionInterface, Cache

import labkit.upstream  # noqa: F401 (it meets transformers first)
from labkit.errors import LabkitError

CHUNK = 128  # prompt tokens a forward pass; boundaries are fixed, so a reused part has the bits of a recomputed one
PASS = 512  # tokens of all rows together in a forward pass over prompts
_NAME = "labkit_shared_prefix"


@dataclass
class Prefix:
    """The tokens that all rows begin with; per layer their keys and values, shape (1, key/value heads, tokens,
    size)."""

    tokens: tuple[int, ...] = ()
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)


class KeyValues(Cache):
    """Per layer the keys and values of each row's own tokens, in buffers of (rows, heads, columns, size) made once.

    transformers' own cache grows by copying at every token; this one is allocated for the longest answer. `used`
    columns are filled. Rows are padded on the left: row r's own tokens begin in column `padding[r]`.
    """

    def __init__(self, padding: Tensor, columns: int, prefix: Prefix | None = None):
        super().__init__(layers=[])
        self.prefix, self.padding, self.columns, self.used = prefix or Prefix(), padding, columns, 0
        self.going = len(padding)  # rows of the present forward pass: the first so many
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args, **kwargs
    ) -> tuple[Tensor, Tensor]:
        """Store what layer `layer_idx` computed for the newest columns; return all filled columns. Called by the
        network."""
        end = self.used + key_states.shape[2]
        if layer_idx == len(self.keys):
            _, heads, _, size = key_states.shape
            rows = len(self.padding)
            self.keys.append(key_states.new_zeros(rows, heads, self.columns, size))
            self.values.append(value_states.new_zeros(rows, heads, self.columns, value_states.shape[3]))
        keys, values = (layers[layer_idx][: self.going] for layers in (self.keys, self.values))
        keys[:, :, self.used : end] = key_states
        values[:, :, self.used : end] = value_states
        return keys[:, :, :end], values[:, :, :end]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return len(self.prefix.tokens) + self.used

    def keep_rows(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        self.padding, self.going = self.padding[rows], len(rows)
        for kept in (self.keys, self.values):
            for layer, states in enumerate(kept):  # one at a time: two of a layer in memory, not two of all
                kept[layer] = states[rows]

    def forward(self, network, tokens: Tensor, with_logits: bool = True) -> Tensor | None:
        """Run the network on the next columns, (rows, columns) token ids; return the last one's logits (rows,
        vocabulary), None when they aren't wanted. Fewer rows than there are: the first of them."""
        last = torch.arange(tokens.shape[1] - 1, tokens.shape[1], device=tokens.device)
        logits = self.run(network, tokens, last if with_logits else last[:0])
        return logits[:, -1] if with_logits else None

    def run(self, network, tokens: Tensor, kept: Tensor) -> Tensor:
        """Run the network on the next columns; the logits of those of them that `kept` has the indices of, shape
        (rows, kept, vocabulary)."""
        assert network.config._attn_implementation == _NAME, "call this inside `with shared_prefix_attention(network)`"
        queries = torch.arange(self.used, self.used + tokens.shape[1], device=tokens.device)
        columns = torch.arange(self.used + tokens.shape[1], device=tokens.device)
        self.going = len(tokens)
        padding = self.padding[: self.going, None]
        visible = (columns >= padding[:, None]) & (columns <= queries[:, None])  # (rows, queries, columns)
        positions = len(self.prefix.tokens) + (queries - padding).clamp(min=0)
        output = network(
            input_ids=tokens,
            attention_mask=visible[:, None],
            position_ids=positions,
            past_key_values=self,
            use_cache=True,
            logits_to_keep=kept,  # as an index: sliced, rows would each get a copy of the output layer
            shared_prefix=self.prefix,
        )
        self.used += tokens.shape[1]
        return output.logits

    def prefill(self, network, tokens: Tensor) -> Tensor:
        """`forward` over whole prompts, some columns at a time, which bounds the memory that attention needs.

        Longest prompts first: so a pass over early columns leaves out the rows that are nothing but padding there.
        """
        padding, width, start = self.padding.tolist(), tokens.shape[1], 0
        assert padding == sorted(padding), "sort the rows: longest prompt first"
        while start < width:
            end = start + 1
            while end < width and end - start < CHUNK and bisect_left(padding, end + 1) * (end + 1 - start) <= PASS:
                end += 1
            rows = bisect_left(padding, end)  # those that begin before it
            logits = self.forward(network, tokens[:rows, start:end], with_logits=end == width)
            start = end
        return logits


def compute_prefix(network, tokens: tuple[int, ...], known: Prefix | None = None) -> Prefix:
    """Keys and values of `tokens`, reusing whole chunks of `known` that begin alike."""
    if not tokens or (known and known.tokens == tokens):
        return known if tokens else Prefix()
    cache = KeyValues(torch.zeros(1, dtype=torch.long, device=network.device), len(tokens))
    if known:
        cache.used = shared_length([tokens, known.tokens]) // CHUNK * CHUNK
        for mine, theirs in ((cache.keys, known.keys), (cache.values, known.values)):
            for layer in theirs:
                rows, heads, _, size = layer.shape
                mine.append(layer.new_zeros(rows, heads, len(tokens), size))
                mine[-1][:, :, : cache.used] = layer[:, :, : cache.used]
    if cache.used < len(tokens):
        cache.prefill(network, torch.tensor([tokens[cache.used :]], device=network.device))
    return Prefix(tokens, cache.keys, cache.values)


def bytes_per_token(network) -> int:
    """What one token of one row takes in the cache, by the network's config."""
    config = network.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * config.num_hidden_layers * heads * size * network.dtype.itemsize


def shared_length(sequences: list[tuple[int, ...]]) -> int:
    """How many first tokens all sequences have in common."""
    first, last = min(sequences), max(sequences)  # in dictionary order whatever these two share, all share
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def attention(module, query, key, value, attention_mask, scaling=None, shared_prefix=None, **kwargs):
    """Softmax attention of each row over the shared prefix, then its own columns.

    query (rows, heads, queries, size); key and value (rows, key/value heads, own columns, size); attention_mask
    (rows, 1, queries, own columns), True where visible. Returns (rows, queries, heads, size). Several query heads
    share a key/value head, so they are laid side by side as more queries of that head.
    """
    rows, heads, queries, size = query.shape
    kv_heads, columns = key.shape[1], key.shape[2]
    length = len(shared_prefix.tokens) if shared_prefix else 0
    _refuse_other_attention(length + columns, **kwargs)
    scaling = size**-0.5 if scaling is None else scaling
    query = (query * scaling).reshape(rows, kv_heads, -1, size)
    scores = query @ key.transpose(2, 3)
    hidden = ~attention_mask.expand(rows, heads // kv_heads, queries, columns).reshape(rows, 1, -1, columns)
    scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)  # finite: a padded query sees nothing at all
    if length:
        folded = query.transpose(0, 1).reshape(kv_heads, -1, size)  # all rows' queries in one product
        shared = folded @ shared_prefix.keys[module.layer_idx][0].transpose(1, 2)
        shared = shared.view(kv_heads, rows, -1, length).transpose(0, 1)
        scores = torch.cat([shared, scores], dim=-1)
    weights = torch.softmax(scores, dim=-1)  # in float32 inside, whatever goes in and out
    output = weights[..., length:] @ value
    if length:
        folded = weights[..., :length].transpose(0, 1).reshape(kv_heads, -1, length)
        shared = folded @ shared_prefix.values[module.layer_idx][0]
        output = output + shared.view(kv_heads, rows, -1, value.shape[3]).transpose(0, 1)
    return output.reshape(rows, heads, queries, value.shape[3]).transpose(1, 2), None


def _refuse_other_attention(length: int, sliding_window=None, softcap=None, s_aux=None, **ignored) -> None:
    if softcap is not None or s_aux is not None or (sliding_window is not None and length > sliding_window):
        raise LabkitError(
            "This model's attention has a sliding window, capped scores or sinks, unknown to labkit's decoding. "
            "Serve it (`transformers serve MODEL`) and name it with --base-url, or take another model."
        )


AttentionInterface.register(_NAME, attention)


def shared_prefix_attention(network):
    """Within the block the network attends by `attention` above."""
    return attending(network, _NAME)


@contextmanager
def attending(network, name: str):
    """Within the block the network attends by what is registered as `name`, afterwards by whatever it used before."""
    before = network.config._attn_implementation
    network.set_attn_implementation(name)
    try:
        yield
    finally:
        network.set_attn_implementation(before)
