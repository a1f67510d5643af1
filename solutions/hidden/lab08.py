"""Hidden tests of Lab 8 (see lab00.py here): other runs, counts, slices and lists."""

import math

POINTS = {"changed": 3, "gain": 3, "next_target": 2, "retire": 2}


def changed(function):
    before = {"m": True, "k": False, "l": True, "n": False, "j": False}
    after = {"j": True, "k": True, "l": False, "m": False, "n": False}
    assert function(before, after) == (["j", "k"], ["l", "m"]), f"got {function(before, after)}"
    assert function(after, before) == (["l", "m"], ["j", "k"]), "the other way round"
    assert function(after, after) == ([], []), "nothing changed"


def gain(function):
    for fixed, broken, n in ((12, 3, 60), (3, 12, 60), (1, 0, 10), (25, 25, 400), (9, 1, 10)):
        outcomes = [1] * fixed + [-1] * broken + [0] * (n - fixed - broken)
        mean = sum(outcomes) / n
        half = 1.96 * math.sqrt(sum((x - mean) ** 2 for x in outcomes) / n / n)
        low, high = function(fixed, broken, n)
        wanted = (mean - half, mean + half)
        assert math.isclose(low, wanted[0], abs_tol=1e-4), f"{fixed}, {broken}, {n}: {low}, it should be {wanted[0]}"
        assert math.isclose(high, wanted[1], abs_tol=1e-4), f"{fixed}, {broken}, {n}: {high}, it should be {wanted[1]}"


def next_target(function):
    cases = [
        ({"dates": 8, "ties": 5, "money": 2}, {"dates": 0.25, "ties": 0.5, "money": 1.0}, "ties"),
        ({"z": 2, "y": 4}, {"y": 0.5, "z": 1.0}, "y"),
        ({"dates": 100, "ties": 1}, {"ties": 0.01}, "ties"),
        ({"dates": 3}, {"ties": 1.0}, None),
        ({"dates": 0}, {"dates": 1.0}, None),
        ({}, {}, None),
    ]
    for failures, fixable, wanted in cases:
        answer = function(dict(failures), dict(fixable))
        assert answer == wanted, f"{failures}, {fixable}: got {answer!r}, it should be {wanted!r}"


def retire(function):
    for evaluation, training, question, wanted in (
        (["k", "l", "m"], [], "k", (["l", "m"], ["k"])),
        (["m", "l"], ["x", "y"], "l", (["m"], ["x", "y", "l"])),
        (["m", "l"], ["l", "x"], "l", (["m"], ["l", "x"])),
        (["m"], ["x"], "x", (["m"], ["x"])),
    ):
        given = (list(evaluation), list(training))
        answer = function(*given, question)
        assert tuple(map(list, answer)) == wanted, f"{question!r}: got {answer}, it should be {wanted}"
        assert given == (evaluation, training), "the lists that were given have changed"
