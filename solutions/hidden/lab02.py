"""Hidden tests of Lab 2 (see lab00.py here): other results, counts, questions and spellings."""

import math

from labkit.dataset import Question
from labkit.execution import ExecutionResult

POINTS = {"judge": 2, "wilson": 2, "p_value": 2, "easiest_failures": 2, "normalise_question": 2}


def _result(*rows, error=None, truncated=False):
    return ExecutionResult(("x",), tuple(rows), error, None, truncated, 0.01)


def judge(function):
    a, b = _result((5, "x"), (None, "y"), (5, "x")), _result((5, "x"), (5, "x"), (None, "y"))
    failed, cut = _result(error="no such table: cups"), _result((5, "x"), truncated=True)
    cases = [
        (a, b, False, "right"),
        (a, b, True, "wrong"),
        (a, a, True, "right"),
        (a, _result((5, "x"), (None, "y")), False, "wrong"),
        (a, _result((5, "x"), (None, "y"), (None, "y")), False, "wrong"),
        (a, failed, False, "wrong"),
        (a, cut, True, "wrong"),
        (failed, failed, False, "gold_error"),
        (cut, a, False, "gold_error"),
        (_result(), failed, False, "wrong"),
        (_result((0.12345678,), (9,)), _result((9,), (0.12345699,)), False, "right"),
        (_result((0.123456,)), _result((0.123458,)), True, "wrong"),
        (_result((4.0,)), _result((4,)), False, "right"),
        (_result(("4",)), _result((4,)), False, "wrong"),
    ]
    for gold, pred, ordered, wanted in cases:
        answer = function(gold, pred, ordered)
        assert answer == wanted, f"{gold.rows} {pred.rows} ordered={ordered}: got {answer!r}, it should be {wanted!r}"


def wilson(function):
    z = 1.96
    for correct, n in ((4, 10), (19, 20), (0, 7), (7, 7), (150, 200), (1, 1000)):
        for edge in function(correct, n):  # an edge of Wilson's interval is where z standard errors just reach p
            error = math.sqrt(edge * (1 - edge) / n)
            assert math.isclose(abs(correct / n - edge), z * error, abs_tol=2e-4), f"{correct} of {n}: {edge:.4f}"
        low, high = function(correct, n)
        assert low <= correct / n <= high and high - low > 1e-4, f"{correct} of {n}: ({low:.4f}, {high:.4f})"
    assert tuple(function(0, 0)) == (0.0, 1.0), "nothing asked, nothing known"


def p_value(function):
    for fixed, broken, ways in ((7, 0, 1), (0, 7, 1), (4, 1, 6), (1, 4, 6), (9, 3, 299), (12, 4, 2517)):
        wanted = min(1, 2 * ways / 2 ** (fixed + broken))
        answer = function(fixed, broken)
        assert math.isclose(answer, wanted, rel_tol=1e-6), f"{fixed} fixed, {broken} broken: {answer}, not {wanted}"
    for fixed, broken in ((0, 0), (2, 2), (5, 4)):
        assert function(fixed, broken) == 1, f"{fixed} fixed, {broken} broken: a chance of 1"


def easiest_failures(function):
    made = [  # id, tags, length of the query, verdict
        ("z1", ("hard",), 5, "wrong"),
        ("z2", ("easy", "date"), 9, "wrong"),
        ("z3", ("easy",), 50, "wrong"),
        ("z4", ("ties", "medium"), 8, "wrong"),
        ("z5", ("medium",), 70, "wrong"),
        ("z6", ("easy",), 6, "right"),
        ("z7", ("easy",), 12, "wrong"),
        ("z8", ("medium",), 6, "gold_error"),
    ]
    questions = [Question(id, f"{id}?", "x" * length, "d", tags=tags) for id, tags, length, _ in made]
    verdicts = {id: verdict for id, _, _, verdict in made}
    answer = list(function(list(questions), dict(verdicts)))
    assert answer == ["z7", "z3", "z2", "z5", "z4", "z1"], f"got {answer}"
    assert list(function(questions[:1] + questions[5:6], verdicts)) == ["z1"], "only what is wrong"
    assert list(function([], {})) == [], "nothing to do"


def normalise_question(function):
    cases = {
        "HOW many\n\nCups?": "how many cups",
        "  Which  team's arena holds 1.5 million ?.!": "which team’s arena holds 1.5 million",
        "Who won? And when?": "who won? and when",
        "list ‘all’ of it.": "list ‘all' of it",
        "a,b;": "a,b;",
    }
    for text, wanted in cases.items():
        answer = function(text)
        assert answer == wanted.replace("’", "'"), f"{text!r} became {answer!r}"
