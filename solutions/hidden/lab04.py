"""Hidden tests of Lab 4 (see lab00.py here): other columns, templates, results, wordings and leaks."""

from labkit.dataset import Question
from labkit.execution import ExecutionResult

POINTS = {"stored_kind": 2, "wordings": 2, "keep": 2, "near_duplicate": 2, "leaks": 2}


def _result(*rows, error=None, truncated=False):
    return ExecutionResult(("x",), tuple(rows), error, None, truncated, 0.01)


def stored_kind(function):
    cases = [
        (["$1", "$22,333", "$4,555,666.70"], "money"),
        (["5' 0\"", None, "7' 11\""], "length"),
        (["--", "101 lb", ""], "weight"),
        (["01/02/2003", "2003-02-01", None], "date"),
        (["$1", "101 lb"], "text"),
        (["101 lb", "5' 0\""], "text"),
        (["2003-02-01 noon"], "text"),
        (["on 2003-02-01"], "text"),
        (["$5 or more"], "text"),
        (["blue", "$1"], "text"),
        ([None, None], "text"),
        (["17"], "text"),
    ]
    for values, wanted in cases:
        answer = function(list(values))
        assert answer == wanted, f"{values}: got {answer!r}, it should be {wanted!r}"


def wordings(function):
    cases = {
        "no choice  at all": ["no choice at all"],
        "[so] [so] cold": ["so so cold", "so cold", "cold"],
        "(red|blue) cup": ["red cup", "blue cup"],
        "(one|two|three) [big] cup": [f"{n} {big}cup" for n in ("one", "two", "three") for big in ("big ", "")],
        "[please] (fill|wash) it": ["please fill it", "please wash it", "fill it", "wash it"],
    }
    for template, wanted in cases.items():
        answer = function(template)
        assert sorted(answer) == sorted(wanted), f"{template!r}: got {answer}, it should be {wanted}"


def keep(function):
    cases = [
        (_result(("tea",), ("milk",)), True),
        (_result((7,)), True),
        (_result((None,), (0,)), True),
        (_result((0, 0)), True),
        (_result(*[("cup", n) for n in range(20)]), True),
        (_result(*[("cup", n) for n in range(25)]), False),
        (_result((0,)), False),
        (_result((None, None)), False),
        (_result(), False),
        (_result(("tea",), truncated=True), False),
        (_result(("tea",), error="stopped"), False),
    ]
    for result, wanted in cases:
        answer = function(result)
        assert answer == wanted, f"{len(result.rows)} rows {result.rows[:3]}: got {answer!r}, it should be {wanted}"


def near_duplicate(function):
    cases = [
        ("Which city has the old arena?", "which CITY has the arena", True),
        ("Which city has the old arena?", "Which city has an arena of old?", False),
        ("name the coach", "the coach, name!", True),
        ("name all the coaches of 2031", "name all the coaches of 2032", False),
        ("name all the good coaches of it", "name all the good 3 coaches of it", False),
        ("a b c d", "a b c e", False),
        ("a b c", "a b c d", True),
        ("x x x y z w", "x y z", True),
    ]
    for a, b, wanted in cases:
        for first, second in ((a, b), (b, a)):
            answer = function(first, second)
            assert answer == wanted, f"{first!r} and {second!r}: got {answer!r}, it should be {wanted}"


def leaks(function):
    held = [Question("h1", "Which cup is full?", "SELECT name FROM cups WHERE level = 100", "d")]
    pairs = [
        Question("n1", "Is any cup full?", "SELECT count(*) FROM cups WHERE level = 100", "d"),
        Question("n2", "WHICH cup  is full", "SELECT 2", "d"),
        Question("n3", "Name the full one.", "select name\nfrom cups where level=100 ;", "d"),
        Question("n4", "Which cup is empty?", "SELECT name FROM cups WHERE level = 0", "d"),
        Question("n5", "Which cup is full?", "SELECT name FROM cups WHERE level = 100", "d"),
    ]
    assert list(function(pairs, held)) == ["n2", "n3", "n5"], f"got {function(pairs, held)}"
    assert list(function(pairs[::-1], held)) == ["n5", "n3", "n2"], "in the order of the pairs"
    assert list(function(pairs, [])) == [] == list(function([], held)), "nothing leaks into nothing"
