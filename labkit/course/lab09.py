"""Checks, hints and the kit's own answers for Lab 9: what stands for a missing value, texts that are numbers, keys that
nobody declared, drafts that can't stay, a split without a leak, how many questions it takes.
"""

import math
import re
from collections import Counter

from labkit.course.checks import Exercise, Wrong, expect, returned


def _placeholders(values, words):
    known = [value for value in values if value is not None]
    plain = Counter(value for value in known if not any(sign.isdigit() for sign in str(value)))
    mostly = len(known) - sum(plain.values()) >= 0.8 * len(known)
    return sorted(text for text, n in plain.items() if text.strip().lower() in words or mostly and n >= 2)


def _unit_of(values):
    found = [re.fullmatch(r"-?(\d[\d.,]*) ?([^\d.,]*)", value) for value in values]
    if not found or not all(found) or any(re.match(r"0\d", match[1]) for match in found):
        return None
    units = {match[2] for match in found}
    return units.pop() if len(units) == 1 else None


def _references(columns, keys):
    found = []
    for name, values in columns.items():
        table, column = name.split(".")
        known = {value for value in values if value is not None}
        for key in keys:
            other, target = key.split(".")
            numbers = all(isinstance(value, int) for value in known)
            if other == table or len(known) < 2 or numbers and column != target:
                continue
            if known <= set(columns[key]):
                found.append((name, key))
    return sorted(found)


def _trouble(run, sql):
    rows = run(sql, False)
    if rows is None:
        return "fails"
    if all(value is None for row in rows for value in row):
        return "empty"
    if Counter(rows) != Counter(run(sql, True)):
        return "unstable"
    return "repeats" if len(set(rows)) < len(rows) else ""


def _split(pairs, n):
    groups = {}
    for id, query in pairs:
        groups.setdefault(query, []).append(id)
    evaluation, training = [], []
    for ids in groups.values():
        (evaluation if len(evaluation) < n else training).extend(ids)
    return evaluation, training


def _questions_needed(before, after):
    if before == after:
        return None
    spread = before * (1 - before) + after * (1 - after)
    return max(1, math.ceil(1.96**2 * spread / (after - before) ** 2))


WORDS = {"", "-", "unknown", "n/a"}
_TENS = ["1 kg", "2 kg", "3 kg", "4 kg", "5 kg", "6 kg", "7 kg", "8 kg"]
STAND_INS = (  # values, the ones that stand for a missing value, why
    (["Y", "N", "-", "Y"], ["-"], "'-' is one of the words."),
    (["Ash", "Unknown", "Elm", " N/A "], [" N/A ", "Unknown"], "Capitals and blanks around a word do not count."),
    ([*_TENS, "new", "new"], ["new"], "8 of 10 values have a digit, and 'new' comes twice."),
    ([*_TENS, "new", "old"], [], "A text that comes once may be a slip, or a value."),
    ([*_TENS[:7], "new", "new"], [], "7 of 9 values with a digit are less than 8 of 10."),
    ([*_TENS[:4], "call", "call", "call", "call"], [], "Half of the values are words: these are values."),
    ([2030, 2031, 2031, 2029, 2030, 2028, 2031, 2030, "later", "later"], ["later"], "A whole number has digits too."),
    ([2030, 2031, None, "unknown"], ["unknown"], "None is missing already, and no stand-in."),
    ([None, None, None, *_TENS, "new", "new"], ["new"], "None is not counted among the values."),
    ([None, None, *_TENS[:7], "new", "new"], [], "None is not counted among the values."),
    ([*_TENS, "unknown", "-"], ["-", "unknown"], "Sorted, and once is enough for one of the words."),
    ([*_TENS, *_TENS, "b", "b", "a", "a", "a", "c"], [], "16 of 22 values with a digit are less than 8 of 10."),
    ([*_TENS, *_TENS, *_TENS, "b", "b", "a", "a", "a", "c"], ["a", "b"], "24 of 30 have a digit; sorted, each once."),
    (["dog", "cat", "dog"], [], "Words in a column of words are its values."),
    (["12 unknown", "13 unknown"], [], "The whole text is looked at, not a part."),
    ([1.5, 2.5, 2.5], [], "Numbers stand for themselves."),
    ([None, None], [], "There is no text."),
    ([], [], "There is nothing."),
)
UNITS = (  # values, the unit, why
    (["4.4 kg", "12 kg", "0.5 kg"], "kg", "All are kilograms."),
    (["44,00 EUR", "1.250,00 EUR"], "EUR", "Commas and points belong to the number."),
    (["250mg", "5 mg"], "mg", "The blank in front of the unit may be there or not."),
    (["12", "7", "1,200"], "", "Numbers without a unit."),
    (["-3 C", "12 C"], "C", "A sign in front belongs to the number."),
    (["0", "10"], "", "A 0 alone is a number."),
    (["0.5", "0,25"], "", "A 0 in front of a point is a number."),
    (["30 sq ft", "7 sq ft"], "sq ft", "A unit may be of several words."),
    (["0451", "1200"], None, "A code: numbers don't begin with a 0 and another digit."),
    (["1200", "0451"], None, "A code: numbers don't begin with a 0 and another digit."),
    (["-04 C", "-12 C"], None, "A code, with a sign in front."),
    (["4.4 kg", "9 lb"], None, "Two units can't be compared."),
    (["4.4 kg", "9"], None, "One has a unit and one has none."),
    (["PET-001", "PET-002"], None, "They begin with letters."),
    (["OW-12", "OW-13"], None, "They begin with letters."),
    (["12-14 kg", "3-5 kg"], None, "A range is no number."),
    (["12 May 2031", "3 Jun 2030"], None, "Digits behind the word: a date."),
    (["4.4 kg", "heavy"], None, "One of them is no number."),
    (["heavy", "4.4 kg"], None, "One of them is no number."),
    (["kg", "kg"], None, "There is no number."),
    (["12 kg", ""], None, "An empty text is no number."),
    ([", kg", ". kg"], None, "There is no digit."),
    ([], None, "Nothing is known of it."),
)
_TABLES = {
    "owners.code": ["OW-1", "OW-2", "OW-3"],
    "owners.town": ["Elmstead", "Ashby", "Ashby"],
    "pets.pet": [1, 2, 3, 4],
    "pets.owner": ["OW-1", "OW-1", None, "OW-3"],
    "pets.breeder": ["OW-1", "OW-9", "OW-2", "OW-3"],
    "pets.keeper": ["OW-2", "OW-2", None, "OW-2"],
    "pets.vet": [None, None, None, None],
    "visits.visit": [1, 2, 3],
    "visits.pet": [4, 4, 2],
    "visits.fee": [1, 3, 2],
    "visits.payer": ["OW-3", "OW-2", None, "OW-1"],
}
KEYS = (  # keys, references
    (["owners.code"], [("pets.owner", "owners.code"), ("visits.payer", "owners.code")]),
    (["pets.pet"], [("visits.pet", "pets.pet")]),
    (["visits.visit"], []),
    (
        ["visits.visit", "pets.pet", "owners.code"],
        [("pets.owner", "owners.code"), ("visits.payer", "owners.code"), ("visits.pet", "pets.pet")],
    ),
    ([], []),
)
_BACKWARDS = {  # query: rows read forwards, rows read backwards
    "names": ([("Ada",), ("Bo",)], [("Bo",), ("Ada",)]),
    "one": ([("Ada",)], [("Ada",)]),
    "zero": ([(0,)], [(0,)]),
    "blank": ([("",)], [("",)]),
    "part": ([(None, "Ada"), (None, "Bo")], [(None, "Bo"), (None, "Ada")]),
    "typo": (None, None),
    "none": ([], []),
    "null": ([(None,)], [(None,)]),
    "nulls": ([(None, None), (None, None)], [(None, None), (None, None)]),
    "tie": ([("Ada",), ("Bo",)], [("Ada",), ("Cy",)]),
    "tie twice": ([("Ada",), ("Ada",)], [("Ada",), ("Cy",)]),
    "fewer": ([("Ada",), ("Ada",), ("Bo",)], [("Ada",), ("Bo",), ("Bo",)]),
    "slow": ([("Ada",)], None),
    "twice": ([("Ada",), ("Bo",), ("Ada",)], [("Ada",), ("Ada",), ("Bo",)]),
    "half": ([("Ada", 1), ("Ada", 2)], [("Ada", 2), ("Ada", 1)]),
}
TROUBLES = {
    "names": ("", "The order of rows is free."),
    "one": ("", "One row is an answer."),
    "zero": ("", "A 0 is an answer."),
    "blank": ("", "An empty text is no NULL."),
    "part": ("", "Only a part of it is NULL."),
    "typo": ("fails", "It does not run."),
    "none": ("empty", "There is no row."),
    "null": ("empty", "All of it is NULL."),
    "nulls": ("empty", "All of it is NULL: that is told first."),
    "tie": ("unstable", "Read backwards it gives another row."),
    "tie twice": ("unstable", "Read backwards it gives another row: that is told first."),
    "fewer": ("unstable", "The same rows, in other numbers."),
    "slow": ("unstable", "Read backwards it gives nothing."),
    "twice": ("repeats", "Ada comes twice: who reads it can't tell why."),
    "half": ("", "The rows differ in their second value."),
}
SPLITS = (  # pairs, n, evaluation, training
    ([("a", "q1"), ("b", "q2"), ("c", "q3")], 1, ["a"], ["b", "c"]),
    ([("a", "q1"), ("b", "q2"), ("c", "q1"), ("d", "q3")], 1, ["a", "c"], ["b", "d"]),
    ([("a", "q1"), ("b", "q2"), ("c", "q1"), ("d", "q3")], 2, ["a", "c"], ["b", "d"]),
    ([("a", "q1"), ("b", "q2"), ("c", "q1"), ("d", "q3"), ("e", "q2")], 3, ["a", "c", "b", "e"], ["d"]),
    ([("b", "q9"), ("a", "q1"), ("d", "q9"), ("c", "q1")], 0, [], ["b", "d", "a", "c"]),
    ([("z", "q"), ("y", "q"), ("x", "p")], 9, ["z", "y", "x"], []),
    ([], 3, [], []),
)
NEEDED = {  # before, after -> questions
    (0.2, 0.4): 39,
    (0.4, 0.2): 39,
    (0.5, 0.6): 189,
    (0.5, 0.55): 765,
    (0.0, 0.5): 4,
    (0.9, 0.95): 212,
    (0.0, 1.0): 1,
    (0.1, 0.8): 2,
}


def check_placeholders(function):
    """Words, capitals, columns of numbers and of words, how often, None, both bounds."""
    for values, wanted, because in STAND_INS:
        expect(function, values, WORDS, equals=wanted, because=because, kind=list)


def check_unit_of(function):
    """One unit, none, several; codes, ranges, dates, words; nothing at all."""
    for values, wanted, because in UNITS:
        if wanted is not None:
            expect(function, values, equals=wanted, because=because, kind=str)
        elif (answer := function(list(values))) is not None:
            raise Wrong(f"unit_of({values}) returned {answer!r:.40}, which is not right. {because}")


def check_references(function):
    """One key and several, NULL, a value that is no key, one value alone, numbers that fit by chance."""
    for keys, wanted in KEYS:
        answer = returned(function, _TABLES, keys, kind=list)
        if answer == wanted:
            continue
        told = f"for keys {keys} it returned {answer!r:.200}, which is not right."
        if odd := [pair for pair in answer if pair not in wanted]:
            raise Wrong(f"{told} {odd[0]!r:.80} should not be there.")
        if any(pair not in answer for pair in wanted):
            raise Wrong(f"{told} A reference is missing.")
        raise Wrong(f"{told} Each comes once, and they are sorted.")


def check_trouble(function):
    """Runs, fails, nothing, NULL in all or in part, other rows backwards, rows that repeat; what is told first."""

    def run(sql, reverse):
        rows = _BACKWARDS[sql][bool(reverse)]
        return None if rows is None else list(rows)

    for sql, (wanted, because) in TROUBLES.items():
        forwards, backwards = _BACKWARDS[sql]
        answer = function(run, sql)
        if type(answer) is not str or answer != wanted:
            raise Wrong(
                f"for rows {forwards}, and {backwards} read backwards, it returned {answer!r:.80}, which is not "
                f"right. {because}"
            )


def check_split(function):
    """Single queries, queries that come again later, more than n, none wanted, all wanted, nothing there."""
    for pairs, n, evaluation, training in SPLITS:
        because = "All pairs of one query go to one side; first to the evaluation, until it has n or more."
        expect(function, pairs, n, equals=(evaluation, training), because=because, kind=tuple)


def check_questions_needed(function):
    """Both ways round, near and far, none and all right, no difference."""
    for (before, after), wanted in NEEDED.items():
        because = "Mind the square of 1.96 and of the difference; round up to a whole number, 1 at least."
        expect(function, before, after, equals=wanted, because=because, kind=int)
    for same in (0.0, 0.3, 1.0):
        if (answer := function(same, same)) is not None:
            raise Wrong(f"questions_needed({same}, {same}) returned {answer!r:.40}: what is equal is never told apart.")


EXERCISES = {
    "placeholders": Exercise(
        check_placeholders,
        _placeholders,
        "right. Each of them passes comparisons, and spoils sums and averages.",
        (
            "Two reasons to suspect a text: it is one of the words, or it has no digit where nearly all others have.",
            "A Counter of the values without a digit. Are the others 0.8 of all known values, or more?",
            "sorted(t for t, n in plain.items() if t.strip().lower() in words or mostly and n >= 2)",
        ),
    ),
    "unit_of": Exercise(
        check_unit_of,
        _unit_of,
        "right. Now a query can cast what is in front of the unit.",
        (
            "A pattern for the whole text: perhaps a sign, the number, perhaps a blank, and what is behind it.",
            r"re.fullmatch(r'-?(\d[\d.,]*) ?([^\d.,]*)', value); match[1] is the number, match[2] the unit.",
            r"None if a match is missing, if re.match(r'0\d', match[1]), or if the set of units is not of length 1.",
        ),
    ),
    "references": Exercise(
        check_references,
        _references,
        "right. Inclusion says which tables belong together where nobody wrote it down.",
        (
            "For each column and each key of another table: is the set of its known values a part of the key's?",
            "known <= set(columns[key]). Leave out columns with fewer than two different known values.",
            "If all(isinstance(v, int) for v in known), the names behind the points have to be the same, too.",
        ),
    ),
    "trouble": Exercise(
        check_trouble,
        _trouble,
        "right. What a query gives in two ways of reading is what it means.",
        (
            "Go through it in the order of the list, and return at the first that applies.",
            "Rows in any order are compared as bags: Counter(rows) != Counter(run(sql, True)).",
            "all(v is None for row in rows for v in row) is true of no rows, too; len(set(rows)) < len(rows) repeats.",
        ),
    ),
    "split": Exercise(
        check_split,
        _split,
        "right. What is measured was never trained, in any wording.",
        (
            "Which pairs must stay together? Collect them first.",
            "A dict, query -> list of ids, keeps the order in which queries first come.",
            "For each group: evaluation.extend(ids) while len(evaluation) < n, else training.extend(ids).",
        ),
    ),
    "questions_needed": Exercise(
        check_questions_needed,
        _questions_needed,
        "right. Small gains need many questions.",
        (
            "Solve for n: the difference is as large as 1.96 standard errors of it.",
            "spread = before * (1 - before) + after * (1 - after); the standard error is sqrt(spread / n).",
            "max(1, math.ceil(1.96**2 * spread / (after - before) ** 2)), or None if they are equal.",
        ),
    ),
}
