"""Wrong answers to the exercises of Lab 5: each must be rejected."""

import numpy as np

from labkit.course import lab05

output, share, fuse = lab05._lora_output, lab05._trained_share, lab05._fuse
four, loss, update = lab05._four_bit, lab05._answer_loss, lab05._update_mastered


def _codes(weights, block, most=7, rounded=np.round, largest=lambda parts: np.abs(parts).max(axis=1)):
    """Codes and scales by another number of steps, rounding, or largest value."""
    parts = weights.reshape(-1, block)
    scales = largest(parts) / most
    return rounded(parts / np.where(scales == 0, 1, scales)[:, None]).astype(int), scales


def _loss(logits, tokens, start, first=-1, last=-1, base=np.e, total=np.mean):
    """The loss by other rows, another logarithm, or another summary."""
    rows = logits[start + first : last or None]
    rows = rows - rows.max(axis=1)[:, None]
    log_p = (rows - np.log(np.exp(rows).sum(axis=1))[:, None]) / np.log(base)
    return -total(log_p[np.arange(len(rows)), tokens[start:]])


def _in_place(W, A, B, alpha):
    W += alpha / len(A) * B @ A
    return W


def _set_in_place(mastered, leads, margin):
    answer = update(mastered, leads, margin)
    mastered.clear()
    mastered |= answer
    return answer


LORA_OUTPUT = {
    "the base alone": lambda x, W, A, B, alpha: x @ W.T,
    "the update alone": lambda x, W, A, B, alpha: alpha / len(A) * (x @ A.T) @ B.T,
    "no scale": lambda x, W, A, B, alpha: x @ W.T + (x @ A.T) @ B.T,
    "alpha alone": lambda x, W, A, B, alpha: x @ W.T + alpha * (x @ A.T) @ B.T,
    "divided by the rank alone": lambda x, W, A, B, alpha: x @ W.T + (x @ A.T) @ B.T / len(A),
    "rank by alpha": lambda x, W, A, B, alpha: x @ W.T + len(A) / alpha * (x @ A.T) @ B.T,
    "rank of B": lambda x, W, A, B, alpha: x @ W.T + alpha / len(B) * (x @ A.T) @ B.T,
    "inputs for rank": lambda x, W, A, B, alpha: x @ W.T + alpha / A.shape[1] * (x @ A.T) @ B.T,
    "root of the rank": lambda x, W, A, B, alpha: x @ W.T + alpha / len(A) ** 0.5 * (x @ A.T) @ B.T,
    "scaled base": lambda x, W, A, B, alpha: alpha / len(A) * (x @ W.T + (x @ A.T) @ B.T),
    "taken off": lambda x, W, A, B, alpha: x @ W.T - alpha / len(A) * (x @ A.T) @ B.T,
    "not transposed": lambda x, W, A, B, alpha: x @ W + alpha / len(A) * (x @ A) @ B,
    "factors swapped": lambda x, W, A, B, alpha: x @ W.T + alpha / len(A) * (x @ B) @ A,
    "one row": lambda x, W, A, B, alpha: output(x, W, A, B, alpha)[0],
    "turned round": lambda x, W, A, B, alpha: output(x, W, A, B, alpha).T,
    "whole numbers": lambda x, W, A, B, alpha: np.round(output(x, W, A, B, alpha)).astype(int),
    "a list": lambda x, W, A, B, alpha: output(x, W, A, B, alpha).tolist(),
    "none": lambda x, W, A, B, alpha: None,
}
TRAINED_SHARE = {
    "A alone": lambda s, r: (sum(r * i for o, i in s), sum(r * i for o, i in s) / sum(o * i for o, i in s)),
    "B alone": lambda s, r: (sum(r * o for o, i in s), sum(r * o for o, i in s) / sum(o * i for o, i in s)),
    "whole matrices": lambda s, r: (sum(o * i for o, i in s), 1.0),
    "rank times all": lambda s, r: (sum(r * o * i for o, i in s), float(r)),
    "no rank": lambda s, r: (share(s, 1)[0], share(s, r)[1]),
    "rank squared": lambda s, r: share(s, r * r) if r > 1 else (0, 0.0),
    "twice": lambda s, r: tuple(2 * x for x in share(s, r)),
    "first matrix": lambda s, r: share(s[:1], r) if len(s) > 1 else share([(1, 1)], r),
    "share of all": lambda s, r: (share(s, r)[0], share(s, r)[1] / (1 + share(s, r)[1])),
    "percent": lambda s, r: (share(s, r)[0], 100 * share(s, r)[1]),
    "ratio turned": lambda s, r: (share(s, r)[0], 1 / share(s, r)[1]),
    "mean of shares": lambda s, r: (share(s, r)[0], sum(share([x], r)[1] for x in s) / len(s)),
    "swapped": lambda s, r: share(s, r)[::-1],
    "the share alone": lambda s, r: share(s, r)[1],
    "rounded": lambda s, r: (share(s, r)[0], round(share(s, r)[1], 1)),
    "texts": lambda s, r: tuple(map(str, share(s, r))),
    "none": lambda s, r: None,
}
FUSE = {
    "the base": lambda W, A, B, alpha: W.copy(),
    "the update alone": lambda W, A, B, alpha: alpha / len(A) * B @ A,
    "no scale": lambda W, A, B, alpha: W + B @ A,
    "alpha alone": lambda W, A, B, alpha: W + alpha * B @ A,
    "divided by the rank alone": lambda W, A, B, alpha: W + B @ A / len(A),
    "rank by alpha": lambda W, A, B, alpha: W + len(A) / alpha * B @ A,
    "rank of B": lambda W, A, B, alpha: W + alpha / len(B) * B @ A,
    "taken off": lambda W, A, B, alpha: W - alpha / len(A) * B @ A,
    "factors swapped": lambda W, A, B, alpha: W + alpha / len(A) * A @ B,
    "turned round": lambda W, A, B, alpha: fuse(W, A, B, alpha).T,
    "all scaled": lambda W, A, B, alpha: alpha / len(A) * (W + B @ A),
    "averaged": lambda W, A, B, alpha: (W + alpha / len(A) * B @ A) / 2,
    "rank 1": lambda W, A, B, alpha: W + alpha / len(A) * B[:, :1] @ A[:1],
    "in place": _in_place,
    "a list": lambda W, A, B, alpha: fuse(W, A, B, alpha).tolist(),
    "rounded": lambda W, A, B, alpha: np.round(fuse(W, A, B, alpha), 1),
    "none": lambda W, A, B, alpha: None,
}
FOUR_BIT = {
    "one scale": lambda w, b: (four(w, len(w))[0].reshape(-1, b), np.repeat(four(w, len(w))[1], len(w) // b)),
    "8 steps": lambda w, b: _codes(w, b, 8),
    "15 steps": lambda w, b: _codes(w, b, 15),
    "3 bits": lambda w, b: _codes(w, b, 3),
    "cut off": lambda w, b: _codes(w, b, rounded=np.trunc),
    "rounded down": lambda w, b: _codes(w, b, rounded=np.floor),
    "rounded up": lambda w, b: _codes(w, b, rounded=np.ceil),
    "largest, not absolute": lambda w, b: _codes(w, b, largest=lambda parts: parts.max(axis=1)),
    "mean for largest": lambda w, b: _codes(w, b, largest=lambda parts: np.abs(parts).mean(axis=1)),
    "spread for largest": lambda w, b: _codes(w, b, largest=lambda parts: np.ptp(parts, axis=1)),
    "zeros divide": lambda w, b: (np.round(w.reshape(-1, b) / four(w, b)[1][:, None]).astype(int), four(w, b)[1]),
    "absolute codes": lambda w, b: (np.abs(four(w, b)[0]), four(w, b)[1]),
    "scale of a 7th left out": lambda w, b: (four(w, b)[0], four(w, b)[1] * 7),
    "codes are not whole": lambda w, b: (w.reshape(-1, b) / np.maximum(four(w, b)[1], 1e-9)[:, None], four(w, b)[1]),
    "floats": lambda w, b: (four(w, b)[0].astype(float), four(w, b)[1]),
    "flat": lambda w, b: (four(w, b)[0].ravel(), four(w, b)[1]),
    "other way round": lambda w, b: four(w, b)[::-1],
    "scale of a zero block is 1": lambda w, b: (four(w, b)[0], np.where(four(w, b)[1] == 0, 1, four(w, b)[1])),
    "restored": lambda w, b: (four(w, b)[0] * four(w, b)[1][:, None]).ravel(),
    "lists": lambda w, b: tuple(part.tolist() for part in four(w, b)),
    "none": lambda w, b: None,
}
ANSWER_LOSS = {
    "no shift": lambda x, t, s: _loss(x, t, s, 0, 0),
    "shift the other way": lambda x, t, s: _loss(np.roll(x, -2, axis=0), t, s),
    "question too": lambda x, t, s: loss(x, t, 1) + 1e-3 * s,
    "all tokens": lambda x, t, s: loss(x, t, 1) if s > 1 else loss(x, t, 3),
    "one too early": lambda x, t, s: loss(x, t, s - 1) if s > 1 else loss(x, t, 2),
    "first token left out": lambda x, t, s: loss(x, t, s + 1) if s < 5 else 0.0,
    "last token left out": lambda x, t, s: loss(x[:-1], t[:-1], s) if s < 5 else 0.0,
    "the sum": lambda x, t, s: _loss(x, t, s, total=np.sum),
    "the worst": lambda x, t, s: _loss(x, t, s, total=np.min),
    "the median": lambda x, t, s: _loss(x, t, s, total=np.median),
    "in bits": lambda x, t, s: _loss(x, t, s, base=2),
    "sign": lambda x, t, s: -loss(x, t, s),
    "chance": lambda x, t, s: np.exp(-loss(x, t, s)),
    "divided by all": lambda x, t, s: loss(x, t, s) * (len(t) - s) / len(t),
    "overflows": lambda x, t, s: float(
        -np.log(np.exp(x[s - 1 : -1]) / np.exp(x[s - 1 : -1]).sum(axis=1)[:, None])[np.arange(len(t) - s), t[s:]].mean()
    ),
    "logits": lambda x, t, s: -x[s - 1 : -1][np.arange(len(t) - s), t[s:]].mean(),
    "best token": lambda x, t, s: _loss(x, np.append(t[:1], x.argmax(axis=1)[:-1]), s),
    "one a token": lambda x, t, s: np.array([loss(x, t, s)] * (len(t) - s)),
    "a text": lambda x, t, s: f"{loss(x, t, s):.3f}",
    "none": lambda x, t, s: None,
}
UPDATE_MASTERED = {
    "joins only": lambda m, b, g: m | {n for n, x in b.items() if x >= g},
    "leaves only": lambda m, b, g: m - {n for n, x in b.items() if x < g / 2},
    "the batch alone": lambda m, b, g: {n for n, x in b.items() if x >= g},
    "one bound": lambda m, b, g: (m - {n for n, x in b.items() if x < g}) | {n for n, x in b.items() if x >= g},
    "half is enough": lambda m, b, g: (m - set(b)) | {n for n, x in b.items() if x >= g / 2},
    "more than the margin": lambda m, b, g: (
        (update(m, b, g) - set(b))
        | {n for n, x in b.items() if x > g}
        | (m & {n for n, x in b.items() if g / 2 <= x <= g})
    ),
    "half is lost": lambda m, b, g: update(m, b, g) - {n for n, x in b.items() if x <= g / 2},
    "below 0 is lost": lambda m, b, g: (m - {n for n, x in b.items() if x < 0}) | {n for n, x in b.items() if x >= g},
    "forgets the others": lambda m, b, g: update(m, b, g) & set(b),
    "never lost": lambda m, b, g: m | update(m, b, g),
    "absolute leads": lambda m, b, g: update(m, {n: abs(x) for n, x in b.items()}, g),
    "always a margin of 1": lambda m, b, g: update(m, b, 1.0),
    "twice the margin": lambda m, b, g: update(m, b, 2 * g) if g else set(),
    "all of the batch": lambda m, b, g: m | set(b),
    "those left": lambda m, b, g: set(b) - update(m, b, g),
    "in place": _set_in_place,
    "a list": lambda m, b, g: sorted(update(m, b, g)),
    "a count": lambda m, b, g: len(update(m, b, g)),
    "none": lambda m, b, g: None,
}

WRONG = {
    "lab05.lora_output": LORA_OUTPUT,
    "lab05.trained_share": TRAINED_SHARE,
    "lab05.fuse": FUSE,
    "lab05.four_bit": FOUR_BIT,
    "lab05.answer_loss": ANSWER_LOSS,
    "lab05.update_mastered": UPDATE_MASTERED,
}
