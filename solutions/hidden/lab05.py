"""Hidden tests of Lab 5 (see lab00.py here): other matrices, weights, logits and steps."""

import numpy as np

POINTS = {"lora_output": 2, "trained_share": 1, "fuse": 1, "four_bit": 2, "answer_loss": 2, "update_mastered": 2}


def _layer(seed, rows, into, out, rank):
    drawn = np.random.default_rng(seed)
    return [drawn.normal(size=size) for size in ((rows, into), (out, into), (rank, into), (out, rank))]


def _close(answer, wanted, asked):
    assert np.shape(answer) == np.shape(wanted), f"{asked}: shape {np.shape(answer)}, it should be {np.shape(wanted)}"
    assert np.allclose(answer, wanted, rtol=1e-7, atol=1e-9), f"{asked}: the numbers are not right"


def lora_output(function):
    for seed, (rows, into, out, rank, alpha) in enumerate(((5, 7, 3, 2, 6.0), (2, 4, 9, 4, 1.0), (1, 6, 6, 3, 32.0))):
        x, W, A, B = _layer(seed, rows, into, out, rank)
        wanted = np.array([W @ row + alpha * (B @ (A @ row)) / rank for row in x])
        _close(function(x.copy(), W.copy(), A.copy(), B.copy(), alpha), wanted, f"rank {rank}, alpha {alpha}")
        _close(function(x.copy(), W.copy(), A.copy(), 0 * B, alpha), np.array([W @ row for row in x]), "B of zeros")


def trained_share(function):
    for shapes, rank, wanted in (([(30, 20)], 2, (100, 1 / 6)), ([(5, 7), (7, 5), (1, 9)], 3, (102, 102 / 79))):
        trained, share = function(list(shapes), rank)
        assert trained == wanted[0], f"{shapes}, rank {rank}: {trained} numbers, it should be {wanted[0]}"
        assert np.isclose(share, wanted[1]), f"{shapes}, rank {rank}: a share of {share}, it should be {wanted[1]}"


def fuse(function):
    for seed, (into, out, rank, alpha) in enumerate(((7, 3, 2, 6.0), (4, 9, 4, 1.0), (6, 6, 3, 32.0)), start=10):
        x, W, A, B = _layer(seed, 2, into, out, rank)
        kept = W.copy()
        fused = function(W, A, B, alpha)
        assert np.array_equal(W, kept), "the W that was given has changed"
        _close(fused, kept + np.einsum("or,ri->oi", B, A) * alpha / rank, f"rank {rank}, alpha {alpha}")


def four_bit(function):
    drawn = np.random.default_rng(31).normal(size=30)
    for weights, block in ((drawn, 5), (drawn * 1e-4, 10), (np.array([0.0, 0.0, -3.5, 1.2]), 2), (drawn[:6], 1)):
        codes, scales = function(weights.copy(), block)
        parts = weights.reshape(-1, block)
        assert codes.shape == parts.shape and scales.shape == (len(parts),), "a row of codes and a scale a block"
        assert codes.dtype.kind in "iu" and np.abs(codes).max() <= 7, "codes are whole numbers from -7 to 7"
        _close(scales, np.abs(parts).max(axis=1) / 7, f"blocks of {block}, scales")
        near = np.abs(codes * scales[:, None] - parts) <= scales[:, None] / 2 + 1e-12
        assert near.all(), f"blocks of {block}: a code is not the nearest one"


def answer_loss(function):
    drawn = np.random.default_rng(32)
    logits, tokens = drawn.normal(size=(8, 7)) * 3, drawn.integers(0, 7, size=8)
    for shift in (0, -5000, 5000):
        for start in (1, 2, 4, 7):
            losses = [np.log(np.exp(logits[t - 1] - logits[t - 1, tokens[t]]).sum()) for t in range(start, 8)]
            answer = function(logits + shift, tokens.copy(), start)
            assert np.isclose(answer, np.mean(losses)), f"from {start} on, logits shifted by {shift}: {answer}"


def update_mastered(function):
    cases = [
        ({"p", "q"}, {"p": 0.6, "q": 0.3, "r": 0.6, "s": 1.2}, 1.0, {"p", "s"}),
        ({"p"}, {"q": -1.0}, 1.0, {"p"}),
        (set(), {"p": 3.9, "q": 4.0}, 4.0, {"q"}),
        ({"p", "q"}, {"p": 2.0, "q": 1.99}, 4.0, {"p"}),
        ({"p"}, {"p": 9.0}, 4.0, {"p"}),
    ]
    for mastered, leads, margin, wanted in cases:
        given = set(mastered)
        answer = function(given, dict(leads), margin)
        assert set(answer) == wanted, f"{mastered}, {leads}, margin {margin}: got {answer}, it should be {wanted}"
        assert given == mastered, "the set that was given has changed"
