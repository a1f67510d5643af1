"""How likely a model finds given answers to a conversation: log P(answer | conversation), teacher forced.

The conversation is computed once for all of its answers. Generation asks for the likeliest text of all; here the texts
are given, so that what other sources propose can be compared by the model's own measure (`reranking`). The other way
round, one text is given and the conversations differ: which of several queries is this question asked of (`channel`)?
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from labkit.decoding import prompt_tokens, routed
from labkit.kvcache import KeyValues, compute_prefix, shared_length, shared_prefix_attention
from labkit.shortage import in_parts

_ROWS = 8  # answers a forward pass: the whole vocabulary is held for all places of each


@torch.inference_mode()
def log_probabilities(model, conversation: Sequence[dict], answers: Sequence[str]) -> list[float]:
    """The natural logarithm of each answer's probability, the token that ends it included, in the order given.

    Sums over tokens, not means: a longer answer has more places to be unlikely at. LabkitError for a conversation that
    the model cannot read.
    """
    if not answers:
        return []
    (prompt,) = prompt_tokens(model, [conversation])
    written = model.tokenizer(list(answers), add_special_tokens=False).input_ids
    rows = [[prompt[-1], *tokens, model.tokenizer.eos_token_id] for tokens in written]
    order = sorted(range(len(rows)), key=lambda place: -len(rows[place]))  # alike in length: little padding
    found = [0.0] * len(rows)
    with shared_prefix_attention(model.network):
        prefix = compute_prefix(model.network, prompt[:-1])

        def score(places: Sequence[int]) -> None:
            with routed(model, [prompt] * len(places)):
                sums = _each(model, prefix, [rows[place] for place in places]).sum(1).tolist()
            for place, value in zip(places, sums, strict=True):
                found[place] = value

        in_parts(order, _ROWS, score, "answer")
    return found


@torch.inference_mode()
def log_probability_after(model, conversations: Sequence[Sequence[dict]], answer: str) -> list[float]:
    """The natural logarithm of the probability of `answer`, the token that ends it included, after each of the
    conversations, in the order given. What they begin with in common is computed once."""
    if not conversations:
        return []
    prompts = prompt_tokens(model, conversations)
    told = [*model.tokenizer(answer, add_special_tokens=False).input_ids, model.tokenizer.eos_token_id]
    shared = min(shared_length(prompts), min(map(len, prompts)) - 1)  # each row keeps a token to be fed
    order = sorted(range(len(prompts)), key=lambda place: -len(prompts[place]))
    found = [0.0] * len(prompts)
    with shared_prefix_attention(model.network):
        prefix = compute_prefix(model.network, prompts[0][:shared])

        def score(places: Sequence[int]) -> None:
            rows = [[*prompts[place][shared:], *told] for place in places]
            with routed(model, [prompts[place] for place in places]):
                sums = _each(model, prefix, rows, len(told)).sum(1).tolist()
            for place, value in zip(places, sums, strict=True):
                found[place] = value

        in_parts(order, _ROWS, score, "conversation")
    return found


@torch.inference_mode()
def token_probabilities(model, conversation: Sequence[dict], answer: str) -> list[tuple[str, float]]:
    """Each token of an answer as text, with its probability after the conversation and the tokens before it; without
    the token that ends the answer. A model may have written the same text in other tokens.
    """
    (prompt,) = prompt_tokens(model, [conversation])
    tokens = model.tokenizer(answer, add_special_tokens=False).input_ids
    if not tokens:
        return []
    with shared_prefix_attention(model.network):
        prefix = compute_prefix(model.network, prompt[:-1])
        with routed(model, [prompt]):
            (likely,) = _each(model, prefix, [[prompt[-1], *tokens]]).exp().tolist()
    return [(model.tokenizer.decode([token]), value) for token, value in zip(tokens, likely, strict=True)]


def _each(model, prefix, rows: list[list[int]], counted: int | None = None) -> Tensor:
    """The log probability of each row's last `counted` tokens, of all after its first by default, 0 before a shorter
    row; all but the last are fed behind the prefix. Shape (rows, tokens)."""
    device, width = model.network.device, max(map(len, rows)) - 1
    padding = torch.tensor([width + 1 - len(row) for row in rows], device=device)
    padded = torch.tensor([[0] * (width + 1 - len(row)) + row for row in rows], device=device)
    kept = torch.arange(width - (counted or width), width, device=device)
    logits = KeyValues(padding, width, prefix).run(model.network, padded[:, :-1], kept)
    likely = logits.float().log_softmax(-1).gather(-1, padded[:, kept + 1, None])[..., 0]
    return likely * (kept >= padding[:, None])
