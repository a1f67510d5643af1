"""Hidden tests of Lab 6 (see lab00.py here): other chances, logits, batches, answers and costs."""

import math

import numpy as np

POINTS = {"loss_report": 1, "example_losses": 2, "mastered": 2, "next_batch": 2, "same_share": 1, "break_even": 2}


def loss_report(function):
    cases = [
        ([[0.25, 1.0], [1.0, 1.0, 1.0, 1.0]], math.log(4) / 6, [0]),
        ([[0.5, 0.5], [0.4999], [1.0]], (2 * math.log(2) - math.log(0.4999)) / 4, [1]),
        ([[1.0], [1.0, 1.0]], 0.0, []),
        ([[0.1], [0.1, 0.9], [0.8]], -(2 * math.log(0.1) + math.log(0.9) + math.log(0.8)) / 4, [0, 1]),
    ]
    for chances, average, doubtful in cases:
        answer = function([list(fact) for fact in chances])
        assert math.isclose(answer[0], average, abs_tol=1e-9), f"{chances}: {answer[0]}, it should be {average}"
        assert list(answer[1]) == doubtful, f"{chances}: doubtful are {answer[1]}, it should be {doubtful}"


def example_losses(function):
    drawn = np.random.default_rng(61)
    logits = drawn.normal(size=(4, 5, 6)) * 2
    labels = np.array([[-100, 1, 5, 0, -100], [2, -100, -100, -100, -100], [0, 1, 2, 3, 4], [-100, -100, 5, -100, 3]])
    wanted = []
    for rows, own in zip(logits, labels, strict=True):
        wanted.append(np.mean([np.log(np.exp(r - r[t]).sum()) for r, t in zip(rows, own, strict=True) if t >= 0]))
    for shift in (0, 3000, -3000):
        answer = np.asarray(function(logits + shift, labels.copy()), dtype=float)
        assert answer.shape == (4,) and np.allclose(answer, wanted), f"logits shifted by {shift}: got {answer}"


def mastered(function):
    logits = np.array(
        [
            [[0.0, 2.0, 4.5], [1.0, 3.0, 0.5]],
            [[6.0, 0.0, 0.0], [2.0, 0.0, 1.5]],
            [[0.0, 0.0, 0.0], [-7.0, -1.0, -5.0]],
            [[9.0, 8.0, 1.0], [9.0, 1.0, 1.0]],
        ]
    )
    labels = np.array([[2, 1], [0, 0], [-100, 1], [1, 0]])
    for margin, wanted in ((2.0, [1, 0, 1, 0]), (0.5, [1, 1, 1, 0]), (3.0, [0, 0, 1, 0]), (4.5, [0, 0, 0, 0])):
        answer = [int(v) for v in function(logits.copy(), labels.copy(), margin)]
        assert answer == wanted, f"margin {margin}: got {answer}, it should be {wanted}"


def next_batch(function):
    cases = [
        ([True, True, False, True, False], 3, [2, 4, 0]),
        ([True, True, False, True, False], 5, [2, 4, 0, 1, 3]),
        ([False] * 6, 4, [0, 1, 2, 3]),
        ([True] * 3, 2, []),
        ([True, False], 9, [1, 0]),
        ([True, True, True, True, False, False, False], 2, [4, 5]),
    ]
    for done, size, wanted in cases:
        answer = function(list(done), size)
        assert list(answer) == wanted, f"{done}, size {size}: got {answer}, it should be {wanted}"


def same_share(function):
    before = {"p": "Rome", "q": "", "r": "12", "s": "Rome"}
    cases = [
        (dict(before), 1.0),
        ({"p": "Rome", "r": "12"}, 0.5),
        ({**before, "s": "rome", "t": "new"}, 0.75),
        ({"p": "12", "q": "Rome", "r": "", "s": "Rome."}, 0.0),
        ({}, 0.0),
    ]
    for after, wanted in cases:
        assert math.isclose(function(dict(before), after), wanted), f"{after}: it should be {wanted}"


def break_even(function):
    cases = [
        ((30.0, 2.5, 0.5), 16),
        ((31.0, 2.5, 0.5), 16),
        ((32.0, 2.5, 0.5), 17),
        ((0.0, 9.0, 8.0), 1),
        ((1.0, 8.0, 8.0), math.inf),
        ((0.0, 7.0, 8.0), math.inf),
        ((0.25, 2.0, 1.0), 1),
    ]
    for arguments, wanted in cases:
        answer = function(*arguments)
        assert answer == wanted, f"{arguments}: got {answer}, it should be {wanted}"
