"""Checks, hints and the kit's own answers for Lab 2: a judge, Wilson's interval, fixed and broken, what to work on
next, questions that are the same.
"""

import math
from collections import Counter

from labkit.course.checks import Exercise, Wrong, expect, returned
from labkit.dataset import Question
from labkit.evaluation import mcnemar
from labkit.evaluation import wilson as interval
from labkit.execution import ExecutionResult


def _judge(gold, pred, ordered):
    if gold.error or gold.truncated:
        return "gold_error"
    if pred.error or pred.truncated:
        return "wrong"
    wanted, found = _rounded(gold.rows), _rounded(pred.rows)
    return "right" if (wanted == found if ordered else Counter(wanted) == Counter(found)) else "wrong"


def _rounded(rows):
    return [tuple(round(value, 6) if isinstance(value, float) else value for value in row) for row in rows]


def _wilson(correct, n):
    found = interval(correct, n)
    return found.low, found.high


def _easiest_failures(questions, verdicts):
    levels = ["easy", "medium", "hard"]

    def effort(question):
        level = next(levels.index(tag) for tag in question.tags if tag in levels)
        return level, len(question.tags), len(question.sql)

    failing = [question for question in questions if verdicts[question.id] == "wrong"]
    return [question.id for question in sorted(failing, key=effort)]


def _normalise_question(text):
    words = text.lower().replace("’", "'").split()
    return " ".join(words).rstrip(" .?!")


def _result(*rows, error=None, limit=None, truncated=False) -> ExecutionResult:
    return ExecutionResult(("x",), tuple(rows), error, limit, truncated, 0.01)


_ONE, _TWO, _THREE = _result((1, "a"), (2, "b")), _result((2, "b"), (1, "a")), _result((1, "a"), (2, "b"), (2, "b"))
_FAILED, _CUT = _result(error="no such column: wage"), _result((1, "a"), (2, "b"), limit="rows", truncated=True)
_STOPPED = _result(limit="time", error="stopped after 2 s")
_EMPTY, _MIXED = _result(), _result((None,), (3,), ("x",), (0.5,))
JUDGED = (  # gold, pred, ordered, verdict, why
    (_ONE, _ONE, True, "right", "The rows are the same, in the same order."),
    (_ONE, _TWO, True, "wrong", "The order was asked for, and it is another one."),
    (_ONE, _TWO, False, "right", "Nobody asked for an order."),
    (_ONE, _THREE, False, "wrong", "A row comes twice that should come once."),
    (_THREE, _ONE, False, "wrong", "A row comes once that should come twice."),
    (_ONE, _THREE, True, "wrong", "There is a row too many."),
    (_ONE, _result((1, "a")), True, "wrong", "A row is missing."),
    (_ONE, _result(("a", 1), ("b", 2)), False, "wrong", "Values may not swap places inside a row."),
    (_ONE, _FAILED, False, "wrong", "The prediction did not run."),
    (_ONE, _STOPPED, False, "wrong", "The prediction was stopped."),
    (_ONE, _CUT, False, "wrong", "Rows of the prediction were cut off: it has others too."),
    (_FAILED, _ONE, False, "gold_error", "The gold did not run: it can't judge anybody."),
    (_STOPPED, _FAILED, True, "gold_error", "The gold comes first: when it fails, nobody else is to blame."),
    (_CUT, _ONE, True, "gold_error", "Rows of the gold were cut off: what is right is not known."),
    (_CUT, _CUT, False, "gold_error", "Rows of the gold were cut off: what is right is not known."),
    (_EMPTY, _EMPTY, False, "right", "Both found nothing."),
    (_EMPTY, _FAILED, False, "wrong", "To fail is not to find nothing."),
    (_EMPTY, _result((0,)), True, "wrong", "A row is not the same as no row."),
    (_MIXED, _result((0.5,), ("x",), (3,), (None,)), False, "right", "NULL, numbers and text may stand in one column."),
    (_result((None,)), _result((0,)), False, "wrong", "NULL is not 0."),
    (_result((1,)), _result((1.0,)), True, "right", "1 and 1.0 are the same number."),
    (_result((1,)), _result(("1",)), False, "wrong", "The number 1 and the text '1' are not the same."),
    (_result((0.3333331,)), _result((0.3333334,)), True, "right", "They differ in the seventh decimal only."),
    (_result((0.3333331,), (2,)), _result((2,), (0.3333334,)), False, "right", "They differ in the seventh decimal."),
    (_result((0.333331,)), _result((0.333334,)), True, "wrong", "They differ in the sixth decimal, and that counts."),
    (_result((0.333331,)), _result((0.333334,)), False, "wrong", "They differ in the sixth decimal, and that counts."),
    (_result((1234567,)), _result((1234568,)), True, "wrong", "Whole numbers are compared as they are."),
)
INTERVALS = {  # correct, n -> low, high to 4 decimals
    (10, 20): (0.2993, 0.7007),
    (3, 10): (0.1078, 0.6032),
    (30, 100): (0.2189, 0.3958),
    (0, 20): (0.0, 0.1611),
    (20, 20): (0.8389, 1.0),
    (1, 1): (0.2065, 1.0),
    (7, 200): (0.0171, 0.0705),
}
CHANCES = {  # fixed, broken -> p
    (0, 0): 1.0,
    (1, 0): 1.0,
    (5, 0): 0.0625,
    (0, 6): 0.03125,
    (6, 0): 0.03125,
    (8, 2): 0.109375,
    (2, 8): 0.109375,
    (3, 3): 1.0,
    (10, 9): 1.0,
    (15, 5): 0.041389,
    (40, 20): 0.013489,
}
ALIKE = (  # text, normalised, why
    ("who coaches the otters", "who coaches the otters", "It is normal already."),
    ("Who Coaches the OTTERS", "who coaches the otters", "Capitals don't count."),
    ("who coaches the otters?", "who coaches the otters", "A question mark at the end doesn't count."),
    ("list the coaches.", "list the coaches", "A full stop at the end doesn't count."),
    ("name the coaches!", "name the coaches", "An exclamation mark at the end doesn't count."),
    ("who coaches the otters ?!", "who coaches the otters", "Nor do several signs, or a blank before them."),
    ("who coaches the otters ? . ", "who coaches the otters", "Nor do blanks between the signs."),
    ("  who\tcoaches \n the   otters ", "who coaches the otters", "Blanks, tabs and line ends part words, no more."),
    ("who is Jo’s coach", "who is jo's coach", "Two apostrophes are one sign."),
    ("who averaged 3.5 assists?", "who averaged 3.5 assists", "The point of a number stays."),
    ("Really? Who won, then?", "really? who won, then", "Signs inside of the text stay."),
    ("which teams won < 5 titles?", "which teams won < 5 titles", "Signs that carry the meaning stay."),
    ("who wears number six?", "who wears number six", "Only signs are taken off the end, no letters."),
    ("?", "", "Nothing but signs leaves nothing."),
)


def check_judge(function):
    """Order, duplicates, rounding, mixed types; failed and cut predictions; failed and cut golds."""
    for gold, pred, ordered, wanted, because in JUDGED:
        answer = returned(function, gold, pred, ordered, kind=str)
        if answer != wanted:
            told = f"for gold {_facts(gold)}, pred {_facts(pred)}, ordered={ordered} it returned {answer!r}"
            raise Wrong(f"{told}, which is not right. {because}")


def check_wilson(function):
    """Against values of the formula to 4 decimals, none and all right among them, and nothing asked at all."""
    for (correct, n), wanted in INTERVALS.items():
        low, high = _pair(function, correct, n)
        if not (abs(low - wanted[0]) < 5e-4 and abs(high - wanted[1]) < 5e-4):
            raise Wrong(f"for {correct} right of {n} it returned ({low:.4f}, {high:.4f}), which is not right.")
    if (answer := _pair(function, 0, 0)) != (0.0, 1.0):
        raise Wrong(f"for 0 right of 0 it returned {answer}, which is not right: nothing was asked, nothing is known.")


def _pair(function, correct, n) -> tuple[float, float]:
    answer = returned(function, correct, n, kind=(tuple, list))
    if len(answer) != 2 or not all(isinstance(end, (int, float)) for end in answer):
        raise Wrong(f"for {correct} right of {n} it returned {answer!r}: two numbers are needed, low and high.")
    return float(answer[0]), float(answer[1])


def check_p_value(function):
    """No change, none broken, both ways round, even splits (at most 1), many."""
    for (fixed, broken), wanted in CHANCES.items():
        answer = returned(function, fixed, broken, kind=(int, float))
        if not math.isclose(answer, wanted, rel_tol=1e-3):
            why = " A chance is never above 1." if answer > 1 else ""
            raise Wrong(f"for {fixed} fixed and {broken} broken it returned {answer:.6g}, which is not right.{why}")


def check_easiest_failures(function):
    """Levels before tags before length; only the wrong ones; the level anywhere among the tags; nothing to do."""
    made = {  # id -> tags, length of the gold, verdict
        "q1": ("hard", 20, "wrong"),
        "q2": ("medium join", 30, "wrong"),
        "q3": ("easy join null", 10, "wrong"),
        "q4": ("easy", 40, "right"),
        "q5": ("join easy", 60, "wrong"),
        "q6": ("null medium", 29, "wrong"),
        "q7": ("date join easy money", 5, "wrong"),
        "q8": ("easy", 4, "unstable"),
        "q9": ("easy", 3, "gold_error"),
        "q10": ("hard null", 6, "wrong"),
        "q11": ("easy", 100, "wrong"),
        "q12": ("easy", 99, "wrong"),
    }
    texts = {id: "SELECT 1".ljust(length + 10, "0") for id, (_, length, _) in made.items()}
    questions = [Question(id, f"Question {id}?", texts[id], "x", tags=tuple(made[id][0].split())) for id in made]
    _ids(function, questions, {id: verdict for id, (_, _, verdict) in made.items()})
    _ids(function, questions[::-1], dict.fromkeys(made, "wrong"))
    _ids(function, questions, dict.fromkeys(made, "right"))
    _ids(function, questions[7:9], dict.fromkeys(made, "unstable"))


def _ids(function, questions, verdicts):
    wanted = _easiest_failures(questions, verdicts)
    answer = returned(function, questions, verdicts, kind=(list, tuple))
    if list(answer) == wanted:
        return
    if not all(isinstance(id, str) for id in answer):
        raise Wrong("it should return ids, which are texts like 'q1', and returned something else.")
    for id in answer:
        if verdicts.get(id) != "wrong":
            raise Wrong(f"it lists {id}, whose verdict is {verdicts.get(id)!r}. Only what is wrong fails.")
    if sorted(answer) != sorted(wanted):
        raise Wrong(f"{len(wanted)} questions are wrong, and it lists {len(answer)}: {', '.join(answer) or 'none'}.")
    at = next(i for i, (mine, theirs) in enumerate(zip(answer, wanted, strict=True)) if mine != theirs)
    early, late = (next(q for q in questions if q.id == ids[at]) for ids in (answer, wanted))
    told = [f"{q.id} (tags {', '.join(q.tags)}; {len(q.sql)} characters of SQL)" for q in (early, late)]
    raise Wrong(f"{told[0]} comes before {told[1]}: it should not.")


def check_normalise_question(function):
    """Each thing that does not count, alone and together; signs that do count stay."""
    for text, wanted, because in ALIKE:
        expect(function, text, equals=wanted, because=because, kind=str)


def _facts(result: ExecutionResult) -> str:
    told = [f"rows {list(result.rows)}"]
    told += [f"{name}={value!r}" for name in ("error", "limit", "truncated") if (value := getattr(result, name))]
    return " ".join(told)


EXERCISES = {
    "judge": Exercise(
        check_judge,
        _judge,
        "right. It knows when order counts, forgives the last decimals, and blames nobody for broken gold.",
        (
            "First look at the gold, then at the prediction, and at rows only when both ran to their end.",
            "Lists compare in order, Counters don't. Before that, make rows anew with each float rounded.",
            "rows = [tuple(round(v, 6) if isinstance(v, float) else v for v in row) for row in result.rows], for both; "
            "then == of the lists if ordered, else == of Counter(list).",
        ),
    ),
    "wilson": Exercise(
        check_wilson,
        _wilson,
        "right. From now on no accuracy goes without its interval.",
        (
            "Put the formula into Python piece by piece: p, then middle, then half. And what if n is 0?",
            "Mind the brackets: z²/2n is z * z / (2 * n), z²/4n² is z * z / (4 * n * n).",
            "middle = (p + z*z/(2*n)) / (1 + z*z/n); half = z / (1 + z*z/n) * math.sqrt(p*(1-p)/n + z*z/(4*n*n)).",
        ),
    ),
    "p_value": Exercise(
        check_p_value,
        mcnemar,
        "right. You can now tell a change from chance.",
        (
            "How many coins are thrown, and which results are at least as uneven as yours?",
            "n = fixed + broken coins. Add the ways with 0 to min(fixed, broken) heads; divide by 2**n; double that.",
            "min(1, 2 * sum(math.comb(n, k) for k in range(min(fixed, broken) + 1)) / 2**n)",
        ),
    ),
    "easiest_failures": Exercise(
        check_easiest_failures,
        _easiest_failures,
        "right. The first of the list is what to work on next.",
        (
            "Two steps: keep what is wrong, then sort it by how hard it is.",
            "sorted(failing, key=...) compares tuples from left to right: the level as a number, then two lengths.",
            "The key of q is (the place of its level in ['easy', 'medium', 'hard'], len(q.tags), len(q.sql)); "
            "failing = [q for q in questions if verdicts[q.id] == 'wrong'].",
        ),
    ),
    "normalise_question": Exercise(
        check_normalise_question,
        _normalise_question,
        "right. A leak in other clothes is a leak.",
        (
            "Which methods of a text make it small, cut it into words, and take signs off its end?",
            "text.split() without arguments cuts at blanks of any kind; rstrip takes a text of signs to take off.",
            "' '.join(text.lower().replace('’', \"'\").split()).rstrip(' .?!')",
        ),
    ),
}
