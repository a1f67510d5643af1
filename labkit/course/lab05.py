"""Checks, hints and the kit's own answers for Lab 5: the low-rank update, what it costs, fusing it, four bits, the loss
of answer tokens, and which examples are mastered.
"""

import numpy as np

from labkit.course.checks import Exercise, Wrong, returned


def _lora_output(x, W, A, B, alpha):
    return x @ W.T + alpha / len(A) * (x @ A.T) @ B.T


def _trained_share(shapes, rank):
    trained = sum(rank * (out + into) for out, into in shapes)
    return trained, trained / sum(out * into for out, into in shapes)


def _fuse(W, A, B, alpha):
    return W + alpha / len(A) * B @ A


def _four_bit(weights, block):
    parts = weights.reshape(len(weights) // block, block)
    scales = np.abs(parts).max(axis=1) / 7
    codes = np.round(parts / np.where(scales == 0, 1, scales)[:, None])
    return codes.astype(int), scales


def _answer_loss(logits, tokens, start):
    rows = logits[start - 1 : -1]
    rows = rows - rows.max(axis=1)[:, None]
    log_p = rows - np.log(np.exp(rows).sum(axis=1))[:, None]
    return -log_p[np.arange(len(rows)), tokens[start:]].mean()


def _update_mastered(mastered, leads, margin):
    joined = {name for name, lead in leads.items() if lead >= margin}
    lost = {name for name, lead in leads.items() if lead < margin / 2}
    return (mastered - lost) | joined


_RANDOM = np.random.default_rng(5)
_LAYERS = [  # alpha, x (rows, in), W (out, in), A (rank, in), B (out, rank)
    (alpha, *(_RANDOM.normal(size=size) for size in ((rows, into), (out, into), (rank, into), (out, rank))))
    for rows, into, out, rank, alpha in ((4, 6, 5, 2, 4.0), (1, 3, 8, 1, 16.0), (3, 8, 3, 4, 2.0), (2, 5, 5, 3, 3.0))
]
_COUNTED = (  # shapes (out, in) of the matrices, rank
    ([(10, 10)], 1),
    ([(100, 40)], 4),
    ([(8, 6), (20, 6), (6, 20)], 2),
    ([(576, 576), (192, 576), (1536, 576)], 16),
    ([(4, 4), (4, 4)], 4),
)
_WEIGHTS = (  # weights, block, what is special
    (np.array([0.7, -0.1, 0.32, -0.7]), 4, "one block"),
    (np.array([7.0, 3.2, -1.4, 0.0, 0.07, 0.031, -0.014, 0.0]), 4, "a block of large and a block of small weights"),
    (np.array([-1.0, 0.4, 0.2, -0.3]), 2, "a block whose largest weight is negative"),
    (np.array([0.0, 0.0, 0.0, 1.4, -0.5, 0.33]), 3, "a block of zeros"),
    (np.array([0.5, -0.25, 2.0]), 1, "blocks of one weight"),
    (_RANDOM.normal(size=24) * 0.05, 8, "24 drawn weights"),
)
_LOGITS = _RANDOM.normal(size=(6, 5)) * 2
_TOKENS = np.array([1, 3, 0, 4, 2, 1])
_STEPS = (  # mastered before, leads of the batch, margin, why
    (set(), {"a": 1.5}, 1.0, "a leads by more than the margin."),
    (set(), {"a": 1.0}, 1.0, "A lead of exactly the margin is enough."),
    (set(), {"a": 0.9}, 1.0, "a was not mastered, and 0.9 is not the margin."),
    ({"a"}, {"a": 0.9}, 1.0, "a was mastered, and leads by half the margin still: it stays."),
    ({"a"}, {"a": 0.5}, 1.0, "Half the margin is just enough to stay."),
    ({"a"}, {"a": 0.4}, 1.0, "Under half the margin it is lost."),
    ({"a"}, {"a": -2.0}, 1.0, "Another token leads: it is lost."),
    ({"a", "b"}, {"c": 3.0}, 1.0, "a and b were not in the batch: nothing is known of them, so they stay."),
    ({"a", "b"}, {"b": 0.1, "c": 0.7, "d": 2.0}, 1.0, "b is lost, c is not there yet, d is new."),
    ({"a", "b"}, {"a": 1.2, "b": 1.0}, 2.0, "With a margin of 2, half of it is 1: both stay."),
    ({"a", "b"}, {"a": 3.0, "b": 0.9}, 2.0, "With a margin of 2, half of it is 1: b is lost."),
    (set(), {"a": 0.0, "b": -0.1}, 0.0, "With a margin of 0 any token that is not behind counts."),
    ({"a"}, {}, 1.0, "An empty batch changes nothing."),
    (set(), {"a": 2.0, "b": 2.0, "c": 1.9}, 2.0, "a and b reach the margin."),
)


def check_lora_output(function):
    """Several shapes, ranks and scales; B of zeros; no update at all."""
    for alpha, x, W, A, B in _LAYERS:
        (rows, _), rank = x.shape, len(A)
        for factor, what in ((np.zeros_like(B), "B of zeros (the base alone)"), (B, "B of drawn numbers")):
            answer = returned(function, x, W, A, factor, alpha, kind=np.ndarray)
            asked = f"for {rows} inputs, W of {W.shape}, rank {rank}, alpha {alpha:g} and {what}"
            _same(answer, _lora_output(x, W, A, factor, alpha), asked)


def check_trained_share(function):
    """One matrix, several, square and not."""
    for shapes, rank in _COUNTED:
        answer = returned(function, shapes, rank, kind=(tuple, list))
        if len(answer) != 2 or not all(isinstance(number, (int, float)) for number in answer):
            raise Wrong(f"it should return two numbers, and returned {answer!r:.80}.")
        trained, share = _trained_share(shapes, rank)
        if answer[0] != trained:
            raise Wrong(
                f"for {shapes} and rank {rank} it counted {answer[0]!r:.40} numbers to train, which isn't right."
            )
        if not np.isclose(answer[1], share, rtol=1e-9):
            raise Wrong(f"for {shapes} and rank {rank} the share {answer[1]!r:.40} of the frozen ones is not right.")


def check_fuse(function):
    """The fused matrix does what base and update did together; the base matrix that was given stays as it is."""
    for alpha, x, W, A, B in _LAYERS:
        asked = f"for W of {W.shape}, rank {len(A)} and alpha {alpha:g}"
        kept = W.copy()
        fused = function(W, A, B, alpha)
        if not isinstance(fused, np.ndarray):
            raise Wrong(f"{asked} it returned a {type(fused).__name__}; it should be an array of W's shape.")
        if not np.array_equal(W, kept):
            raise Wrong(f"{asked} it changed the W that it was given. Return a new array, and leave W as it is.")
        _same(fused, _fuse(W, A, B, alpha), asked)
        _same(x @ fused.T, _lora_output(x, W, A, B, alpha), f"{asked} the outputs of the fused matrix")


def check_four_bit(function):
    """Codes and scales, block by block; zeros; what comes back from them."""
    for weights, block, what in _WEIGHTS:
        answer = returned(function, weights, block, kind=(tuple, list))
        asked = f"for {np.round(weights, 3).tolist()[:8]} in blocks of {block} ({what})"
        if len(answer) != 2 or not all(isinstance(part, np.ndarray) for part in answer):
            raise Wrong(f"{asked} it should return two arrays, codes and scales, and returned {answer!r:.60}.")
        codes, scales = answer
        wanted_codes, wanted_scales = _four_bit(weights, block)
        if codes.shape != wanted_codes.shape or scales.shape != wanted_scales.shape:
            shapes = f"codes of shape {codes.shape} and scales of {scales.shape}"
            raise Wrong(f"{asked} it returned {shapes}, which is not right: a row and a scale a block.")
        if codes.dtype.kind not in "iu" or codes.min() < -7 or codes.max() > 7:
            raise Wrong(f"{asked} the codes should be whole numbers (an array of int) from -7 to 7.")
        if not np.allclose(scales, wanted_scales, rtol=1e-9):
            raise Wrong(f"{asked} the scales are {np.round(scales, 4).tolist()}, which is not right.")
        if not np.array_equal(codes, wanted_codes):
            raise Wrong(f"{asked} the codes are {codes.tolist()!s:.80}, which is not right.")


def check_answer_loss(function):
    """Where the answer begins, one token, the shift by one, logits far from 0."""
    for name, logits in (("", _LOGITS), (" shifted by 3,000", _LOGITS + 3000), (" times 400", _LOGITS * 400)):
        for start in (1, 3, 5):
            answer = function(logits.copy(), _TOKENS.copy(), start)
            asked = f"for logits{name or ' of a normal size'} and an answer from position {start} on"
            if answer is None:
                raise Wrong(f"{asked} it returned None. Is there a `return`?")
            if np.ndim(answer) or isinstance(answer, (bool, str)) or not np.isfinite(answer):
                raise Wrong(f"{asked} it should return one finite number, and returned {answer!r:.60}.")
            wanted = _answer_loss(logits, _TOKENS, start)
            if not np.isclose(answer, wanted, rtol=1e-9, atol=1e-12):
                raise Wrong(f"{asked} the loss is {float(answer):.6g}, which is not right.")


def check_update_mastered(function):
    """Joins at the margin, leaves below half of it, stays in between; others are not touched."""
    for mastered, leads, margin, because in _STEPS:
        kept, wanted = set(mastered), _update_mastered(mastered, leads, margin)
        answer = function(kept, dict(leads), margin)
        asked = f"for mastered {sorted(mastered)}, leads {leads} and margin {margin:g}"
        if not isinstance(answer, (set, frozenset)):
            raise Wrong(f"{asked} it returned a {type(answer).__name__}; it should be a set of names.")
        if kept != mastered:
            raise Wrong(f"{asked} it changed the set that it was given. Return a new one, and leave that as it is.")
        if answer != wanted:
            raise Wrong(f"{asked} it returned {sorted(map(str, answer))}, which is not right. {because}")


def _same(answer: np.ndarray, wanted: np.ndarray, asked: str) -> None:
    """Wrong unless both have one shape and nearly the same numbers."""
    if answer.shape != wanted.shape:
        raise Wrong(f"{asked} the result has the shape {answer.shape}, which is not right.")
    if answer.dtype.kind != "f" or not np.allclose(answer, wanted, rtol=1e-7, atol=1e-10):
        raise Wrong(f"{asked} the numbers are not right.")


EXERCISES = {
    "lora_output": Exercise(
        check_lora_output,
        _lora_output,
        "right. W is never touched, and yet the layer answers otherwise.",
        (
            "Two products are added: the layer's own, and the update's with its scale.",
            "Rows of x are inputs, so the layer's own is x @ W.T. The update goes through A first, then through B.",
            "x @ W.T + alpha / len(A) * (x @ A.T) @ B.T",
        ),
    ),
    "trained_share": Exercise(
        check_trained_share,
        _trained_share,
        "right. That is the whole secret of 'cheap'.",
        (
            "A matrix of (out, in) holds out * in numbers. How many do its A and its B hold?",
            "A has rank * in numbers and B has out * rank; add up over all matrices before you divide.",
            "trained = sum(rank * (out + into) for out, into in shapes); divide by sum(out * into for ...).",
        ),
    ),
    "fuse": Exercise(
        check_fuse,
        _fuse,
        "right. One matrix again, of the same size: nothing is slower than before.",
        (
            "Which matrix does to x what A, then B, then the scale do?",
            "B @ A has the shape of W. The scale is the same as before.",
            "W + alpha / len(A) * B @ A",
        ),
    ),
    "four_bit": Exercise(
        check_four_bit,
        _four_bit,
        "right. Fifteen values a weight, and a scale of its own for each block.",
        (
            "Cut the weights into rows of one block each. The largest absolute value of a row becomes 7.",
            "scale = np.abs(row).max() / 7; code = np.round(weight / scale). Where the scale is 0, divide by 1.",
            "parts = weights.reshape(len(weights) // block, block); scales = np.abs(parts).max(axis=1) / 7; "
            "np.round(parts / np.where(scales == 0, 1, scales)[:, None]).astype(int)",
        ),
    ),
    "answer_loss": Exercise(
        check_answer_loss,
        _answer_loss,
        "right. The question costs nothing; only what the model should say does.",
        (
            "Which row of logits is about the first token of the answer? It's not the row at its own place.",
            "Row t is about token t + 1: take logits[start - 1 : -1] for tokens[start:]. Take each row's maximum off.",
            "log_p = rows - np.log(np.exp(rows).sum(axis=1))[:, None]; then minus the mean of "
            "log_p[np.arange(len(rows)), tokens[start:]].",
        ),
    ),
    "update_mastered": Exercise(
        check_update_mastered,
        _update_mastered,
        "right. What is known leaves the batch, and what slips comes back.",
        (
            "Only names in `leads` can change. Which of them join, and which are lost?",
            "Joins: lead >= margin. Lost: lead < margin / 2. In between, each stays what it was.",
            "(mastered - {names that are lost}) | {names that join}: set operators make a new set.",
        ),
    ),
}
