"""Hidden tests of Lab 0: what `labkit export` puts into graded cells, beside the public checks of the package.

One function an exercise, under its name: it takes the learner's function and stops with an AssertionError. Imports
and helpers (`_name`) go along into the cell; nothing else may be used: the file is not there when work is graded.
"""

import numpy as np

POINTS = {"temperature": 2, "top_k": 2, "top_p": 2, "sample": 2, "to_chat": 2}


def _close(answer, wanted, asked):
    assert np.shape(answer) == np.shape(wanted), f"{asked}: the answer has another length"
    assert np.allclose(answer, wanted, atol=1e-6), f"{asked}: got {answer}, and it should be {wanted}"


def temperature(function):
    logits = np.array([0.3, -1.2, 4.0, 4.0, 2.5])
    for t in (0.7, 1.3, 5.0):
        chances = np.asarray(function(logits.copy(), t), dtype=float)
        assert chances.shape == logits.shape and np.isclose(chances.sum(), 1), f"t={t}: chances don't sum to 1"
        _close(t * np.log(chances / chances[0]), logits - logits[0], f"t={t}, log chances times t, less the first")
    far = np.array([5000.0, 5001.0, 4999.0])
    _close(function(far, 1.0), np.exp([-1.0, 0.0, -2.0]) / np.exp([-1.0, 0.0, -2.0]).sum(), "logits about 5000")


def top_k(function):
    p = np.array([0.05, 0.3, 0.1, 0.25, 0.2, 0.1])
    _close(function(p.copy(), 3), [0, 0.4, 0, 1 / 3, 4 / 15, 0], "three of six")
    _close(function(p.copy(), 1), [0, 1, 0, 0, 0, 0], "one of six")
    _close(function(p[::-1].copy(), 3), [0, 4 / 15, 1 / 3, 0, 0.4, 0], "three of six, the other way round")
    _close(function(p.copy(), 100), p, "k beyond the end")


def top_p(function):
    p = np.array([1 / 16, 1 / 2, 1 / 8, 1 / 4, 1 / 16])
    _close(function(p.copy(), 0.875), [0, 4 / 7, 1 / 7, 2 / 7, 0], "exactly three tokens")
    _close(function(p.copy(), 0.8), [0, 4 / 7, 1 / 7, 2 / 7, 0], "two are not enough for 0.8")
    _close(function(p.copy(), 0.7), [0, 2 / 3, 0, 1 / 3, 0], "two are enough for 0.7")
    _close(function(p.copy(), 0.001), [0, 1, 0, 0, 0], "one token stays")
    _close(function(p.copy(), 1.0), p, "all of them")


def sample(function):
    p = [0.0625, 0.25, 0.0, 0.6875]
    drawn = [int(function(list(p), i / 64)) for i in range(64)]
    counts = [drawn.count(index) for index in range(4)]
    assert counts == [4, 16, 0, 44], f"64 even draws from {p} gave {counts}"
    assert drawn == sorted(drawn), "the chances are laid end to end, in their order"
    assert function([0.1, 0.2, 0.6999], 0.99999) == 2, "the sum is a little below 1: the last token"


def to_chat(function):
    talk = [("system", "Be brief."), ("user", "One\ntwo  "), ("assistant", ""), ("user", "<b>?")]
    wanted = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nOne\ntwo  <|im_end|>\n"
    wanted += "<|im_start|>assistant\n<|im_end|>\n<|im_start|>user\n<b>?<|im_end|>\n<|im_start|>assistant\n"
    answer = function([{"role": role, "content": content} for role, content in talk])
    assert answer == wanted, f"got {answer!r}"
