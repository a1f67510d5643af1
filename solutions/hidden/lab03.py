"""Hidden tests of Lab 3 (see lab00.py here): other documents, scores, talks, prices and sums."""

import math

from labkit.dataset import Question

POINTS = {"idf_scores": 2, "choose_examples": 2, "reflect": 2, "query_seconds": 2, "break_even": 2}


def idf_scores(function):
    documents = ["Cups cups cups", "cups of tea", "tea, milk", "a teapot"]
    cases = {
        "Tea!": [0, math.log(2), math.log(2), 0],
        "cups tea milk": [math.log(2), math.log(4), math.log(2) + math.log(4), 0],
        "milk milk": [0, 0, math.log(4), 0],
        "coffee": [0, 0, 0, 0],
        "A TEAPOT of cups": [math.log(2), math.log(2) + math.log(4), 0, 2 * math.log(4)],
    }
    for question, wanted in cases.items():
        answer = function(question, list(documents))
        assert len(answer) == 4, f"{question!r}: four documents, {len(answer)} scores"
        for mine, theirs in zip(answer, wanted, strict=True):
            assert math.isclose(mine, theirs, abs_tol=1e-9), f"{question!r}: got {answer}, it should be {wanted}"
    assert list(function("tea", ["tea", "green tea"])) == [0, 0], "a word of all documents is worth nothing"


def choose_examples(function):
    pairs = [Question(id, f"{id}?", sql, "d") for id, sql in zip("uvwxyz", "AABCDA", strict=True)]
    cases = [
        ([1, 2, 3, 4, 0, 2.5], 2, "wx"),
        ([1, 2, 3, 4, 0, 2.5], 5, "zwx"),
        ([5, 5, 5, 5, 5, 5], 3, "xwu"),
        ([0, 0.1, 0, 0, 0, 0], 3, "v"),
        ([0, 0, 0, 0, 0, 0], 1, ""),
        ([9, 8, 0, 7, 6, 10], 4, "yxz"),
    ]
    for scores, k, wanted in cases:
        found = "".join(pair.id for pair in function(list(scores), list(pairs), k))
        assert found == wanted, f"scores {scores}, k={k}: chose {found!r}, it should be {wanted!r}"


def reflect(function):
    for works, times, asked, wanted in (
        (0, 4, 1, "q0"),
        (1, 4, 2, "q1"),
        (3, 4, 4, "q3"),
        (9, 4, 5, "q4"),
        (9, 0, 1, "q0"),
    ):
        heard = []

        def ask(feedback, heard=heard):
            heard.append(feedback)
            return f"q{len(heard) - 1}"

        def run(sql, works=works):
            return None if int(sql[1:]) >= works else f"error of {sql}"

        answer = function(ask, run, times)
        told = [None, *((f"q{i}", f"error of q{i}") for i in range(asked - 1))]
        assert answer == wanted, f"query {works} works, times={times}: returned {answer!r}, it should be {wanted!r}"
        assert heard == told, f"query {works} works, times={times}: the model was told {heard}"


def query_seconds(function):
    cases = [
        ((300, 0, 30, 0, 100, 15), 5.0),
        ((300, 2, 10, 416, 200, 5), 4.0),
        ((0, 1, 0, 0, 129, 7), 2.0),
        ((50, 0, 12, 50, 10, 6), 2.1),
        ((50, 0, 12, 5000, 5, 6), 2.2),
        ((84, 3, 1, 600, 258, 1), 2.0),
    ]
    for arguments, wanted in cases:
        answer = function(*arguments)
        assert math.isclose(answer, wanted, rel_tol=1e-9), f"{arguments}: got {answer} s, it should be {wanted} s"


def break_even(function):
    cases = [((90, 5, 2), 30), ((91, 5, 2), 31), ((1, 2, 1.5), 2), ((0, 3, 1), 0), ((8, 2, 2), None), ((8, 2, 9), None)]
    for arguments, wanted in cases:
        answer = function(*arguments)
        assert answer == wanted and (answer is None) == (wanted is None), f"{arguments}: got {answer}, not {wanted}"
