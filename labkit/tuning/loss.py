"""The loss of answer tokens, computed where it is cheap: only answer positions meet the output layer, some at a time.

The output layer is frozen, so the gradient of the hidden states is known as soon as the logits are, and no logits need
be kept (the idea of "fused linear cross entropy": Hsu et al. 2024, "Liger Kernel", section 3.2). On its way back the
gradient leaves out, in float32, the tokens that have no probability worth the name: most of the vocabulary, once a few
steps are done.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

ROWS = 256  # positions that meet the output layer at a time
NEGLIGIBLE = 0.01  # tokens that pull at none of them: each has at most this much probability over their number


@dataclass(frozen=True)
class TokenLoss:
    """Of each answer token: its loss in nats (differentiable), whether it is the likeliest token, and by how much its
    logit leads (or lags behind) the best other one. Shape (tokens,), float32."""

    loss: Tensor
    greedy: Tensor
    margin: Tensor


def token_loss(hidden: Tensor, output_weight: Tensor, targets: Tensor) -> TokenLoss:
    """Loss of `targets` (tokens,) after `hidden` (tokens, size) under a frozen output layer (vocabulary, size)."""
    loss, margin = _OutputLoss.apply(hidden, output_weight, targets)
    return TokenLoss(loss, margin > 0, margin)


@torch.no_grad()
def margins(hidden: Tensor, output_weight: Tensor, targets: Tensor) -> Tensor:
    """The margins alone, without the sums over the vocabulary that a loss takes."""
    found = []
    for start in range(0, len(targets), ROWS):
        part = slice(start, start + ROWS)
        logits = hidden[part] @ output_weight.t()
        own = logits.gather(1, targets[part, None])
        logits.scatter_(1, targets[part, None], float("-inf"))
        found.append((own.float() - logits.amax(dim=1, keepdim=True).float())[:, 0])
    return torch.cat(found)


class _OutputLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, targets):
        loss, margin = (torch.empty(len(targets), device=hidden.device) for _ in range(2))
        wanted = ctx.needs_input_grad[0]
        gradient = torch.empty_like(hidden) if wanted else None
        for start in range(0, len(targets), ROWS):
            part = slice(start, start + ROWS)
            rows = torch.arange(len(targets[part]), device=hidden.device)
            logs = torch.log_softmax(hidden[part] @ weight.t(), dim=-1, dtype=torch.float32)
            own = logs[rows, targets[part]]
            logs[rows, targets[part]] = float("-inf")
            margin[part] = own - logs.amax(dim=-1)
            loss[part] = -own
            if wanted:
                spread = logs.exp_()  # probabilities, in their own memory; of the targets in a moment
                felt = None if hidden.dtype == torch.bfloat16 else _felt(spread, targets[part])
                spread[rows, targets[part]] = own.exp() - 1
                low = (spread if felt is None else spread[:, felt]).to(hidden.dtype)
                gradient[part] = low @ (weight if felt is None else weight[felt])
        if wanted:
            ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(margin)
        return loss, margin

    @staticmethod
    def backward(ctx, loss_gradient, margin_gradient):
        (gradient,) = ctx.saved_tensors
        return gradient * loss_gradient[:, None].to(gradient.dtype), None, None


def _felt(probabilities: Tensor, targets: Tensor) -> Tensor | None:
    """The tokens that pull at some position, the targets among them; None where most do, so that picking their rows
    costs more than it saves. In bfloat16 it is not asked: where that was timed, picking cost more (2026-12-01)."""
    felt = probabilities.amax(dim=0) > NEGLIGIBLE / probabilities.shape[1]
    felt[targets] = True
    felt = felt.nonzero()[:, 0]
    return felt if 2 * len(felt) < probabilities.shape[1] else None
