"""How likely a model finds given answers to a conversation: log P(answer | conversation), teacher forced.

The conversation is computed once for all of its answers. Generation asks for the likeliest text of all; here the texts
are given, so that what other sources propose can be compared by the model's own measure (`reranking`).
"""

from collections.abc import Sequence

import torch

from labkit.decoding import prompt_tokens
from labkit.kvcache import KeyValues, compute_prefix, shared_prefix_attention

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
    rows = [[*tokens, model.tokenizer.eos_token_id] for tokens in written]
    order = sorted(range(len(rows)), key=lambda place: -len(rows[place]))  # alike in length: little padding
    found = [0.0] * len(rows)
    experts = getattr(model, "experts", None)
    with shared_prefix_attention(model.network):
        prefix = compute_prefix(model.network, prompt[:-1])
        for start in range(0, len(order), _ROWS):
            places = order[start : start + _ROWS]
            if experts:
                with experts.attached():
                    experts.route([prompt] * len(places))
                    sums = _sums(model, prefix, prompt[-1], [rows[place] for place in places])
            else:
                sums = _sums(model, prefix, prompt[-1], [rows[place] for place in places])
            for place, value in zip(places, sums, strict=True):
                found[place] = value
    return found


def _sums(model, prefix, last: int, rows: list[list[int]]) -> list[float]:
    """Each row of answer tokens fed behind the prompt's last token, and its log probability summed."""
    device, width = model.network.device, max(map(len, rows))
    padding = torch.tensor([width - len(row) for row in rows], device=device)
    fed = torch.tensor([[0] * (width - len(row)) + [last, *row[:-1]] for row in rows], device=device)
    wanted = torch.tensor([[0] * (width - len(row)) + row for row in rows], device=device)
    cache = KeyValues(padding, width, prefix)
    logits = cache.run(model.network, fed, torch.arange(width, device=device))
    likely = logits.float().log_softmax(-1).gather(-1, wanted[..., None])[..., 0]
    own = torch.arange(width, device=device) >= padding[:, None]
    return (likely * own).sum(1).tolist()
