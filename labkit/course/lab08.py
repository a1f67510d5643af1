"""Checks, hints and the kit's own answers for Lab 8: what changed between two runs, whether a gain is real, what to
work on next, retiring a question.
"""

import math

from labkit.course.checks import Exercise, Wrong, expect, returned


def _changed(before, after):
    fixed = sorted(id for id in before if after[id] and not before[id])
    broken = sorted(id for id in before if before[id] and not after[id])
    return fixed, broken


def _gain(fixed, broken, n):
    middle = (fixed - broken) / n
    half = 1.96 * math.sqrt(fixed + broken - (fixed - broken) ** 2 / n) / n
    return middle - half, middle + half


def _next_target(failures, fixable):
    worth = {name: count * fixable.get(name, 0) for name, count in failures.items()}
    best = [name for name, value in worth.items() if value > 0]
    return min(best, key=lambda name: (-worth[name], name)) if best else None


def _retire(evaluation, training, question):
    left = [text for text in evaluation if text != question]
    return left, training if question in training else [*training, question]


CHANGES = (  # before, after, fixed, broken
    ({"a": False, "b": True, "c": True, "d": False}, {"a": True, "b": False, "c": True, "d": False}, ["a"], ["b"]),
    (
        {"q2": False, "q1": False, "q3": True, "q4": False},
        {"q4": False, "q3": True, "q2": True, "q1": True},
        ["q1", "q2"],
        [],
    ),
    ({"y": True, "x": True}, {"x": False, "y": False}, [], ["x", "y"]),
    ({"a": True}, {"a": True}, [], []),
    ({}, {}, [], []),
)
GAINS = {  # fixed, broken, n -> low, high
    (10, 0, 100): (0.0412, 0.1588),
    (0, 10, 100): (-0.1588, -0.0412),
    (20, 10, 100): (-0.0056, 0.2056),
    (5, 5, 50): (-0.1240, 0.1240),
    (0, 0, 20): (0.0, 0.0),
    (30, 4, 40): (0.4474, 0.8526),
}
TARGETS = (  # failures by slice, share that is fixable, the target, why
    ({"join": 10, "null": 6}, {"join": 0.2, "null": 0.9}, "null", "6 × 0.9 is more than 10 × 0.2."),
    ({"join": 10, "null": 6}, {"join": 0.9, "null": 0.9}, "join", "As fixable, and more of them."),
    ({"b": 4, "a": 2, "c": 1}, {"a": 1.0, "b": 0.5, "c": 0.1}, "a", "They tie: the first in the alphabet."),
    ({"join": 10, "null": 1}, {"null": 0.5}, "null", "What has no share can't be mended: it counts as 0."),
    ({"join": 10}, {"join": 0.0}, None, "Nothing can be mended."),
    ({}, {"join": 1.0}, None, "Nothing fails."),
    ({"a": 3}, {"a": 0.1, "b": 1.0}, "a", "b does not fail at all."),
)
MOVES = (  # evaluation, training, question, wanted
    (["a", "b", "c"], ["t"], "b", (["a", "c"], ["t", "b"])),
    (["c", "a"], [], "a", (["c"], ["a"])),
    (["a", "b"], ["b", "t"], "b", (["a"], ["b", "t"])),
    (["a"], ["b"], "b", (["a"], ["b"])),
)


def check_changed(function):
    """Fixed, broken, neither, nothing; sorted; ids in another order."""
    for before, after, fixed, broken in CHANGES:
        because = "fixed: wrong before and right after; broken: the other way round; each sorted."
        expect(function, before, after, equals=(fixed, broken), because=because, kind=tuple)


def check_gain(function):
    """Both signs, an even split, no change."""
    for numbers, wanted in GAINS.items():
        answer = returned(function, *numbers, kind=tuple)
        if len(answer) != 2 or not all(abs(a - b) < 5e-4 for a, b in zip(answer, wanted, strict=True)):
            raise Wrong(f"for fixed, broken, n = {numbers} it returned {answer}, which is not right.")


def check_next_target(function):
    """Count times share, ties, missing shares, nothing to do."""
    for failures, fixable, wanted, because in TARGETS:
        if wanted is None:
            if (answer := function(dict(failures), dict(fixable))) is not None:
                raise Wrong(f"for {failures} and {fixable} it returned {answer!r:.40}, which is not right. {because}")
        else:
            expect(function, failures, fixable, equals=wanted, because=because, kind=str)


def check_retire(function):
    """Out of one list and into the other, once; the learner's own lists stay as they are."""
    for evaluation, training, question, wanted in MOVES:
        expect(function, evaluation, training, question, equals=wanted, because="Nothing twice, nothing lost.")
        mine = list(evaluation), list(training)
        function(*mine, question)
        if mine != (evaluation, training):
            raise Wrong("it changed the lists that it was given. Old versions stay: make new lists.")


EXERCISES = {
    "changed": Exercise(
        check_changed,
        _changed,
        "right. Two runs are compared question by question.",
        (
            "Which questions were wrong and are right now?",
            "sorted(...) over the ids of `before` that fulfil a condition, twice.",
            "fixed = sorted(id for id in before if after[id] and not before[id]); broken is the mirror of it.",
        ),
    ),
    "gain": Exercise(
        check_gain,
        _gain,
        "right. A gain whose interval holds 0 may be none.",
        (
            "First the middle: what share of n was won, all in all?",
            "Under the root stands fixed + broken - (fixed - broken)² / n; the root is divided by n.",
            "half = 1.96 * math.sqrt(fixed + broken - (fixed - broken) ** 2 / n) / n",
        ),
    ),
    "next_target": Exercise(
        check_next_target,
        _next_target,
        "right. Work goes where it is worth most.",
        (
            "What is a slice worth? Its failures, times the share of them that you can mend.",
            "fixable.get(name, 0) for what has no share; drop what is worth 0; then the best.",
            "min(names, key=lambda name: (-worth[name], name)), or None if no name is left.",
        ),
    ),
    "retire": Exercise(
        check_retire,
        _retire,
        "right. It is trained on now, and measures nothing but recall.",
        (
            "Two new lists: one without the question, one with it.",
            "What if training has it already?",
            "left = [q for q in evaluation if q != question]; training + [question] only if it is not in training.",
        ),
    ),
}
