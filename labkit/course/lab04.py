"""Checks, hints and the kit's own answers for Lab 4: what a text column holds, wordings of a template, results worth a
question, near duplicates, leaks.
"""

import re

from labkit.course.checks import Exercise, Wrong, expect, returned
from labkit.dataset import Question
from labkit.execution import ExecutionResult
from labkit.sqltext import normalise_question, normalise_sql


def _stored_kind(values):
    patterns = {
        "money": r"\$\d{1,3}(,\d{3})*(\.\d\d)?",
        "length": r"\d+' \d+\"",
        "weight": r"\d+ lb",
        "date": r"\d\d/\d\d/\d{4}|\d{4}-\d\d-\d\d",
    }
    known = [value for value in values if value not in (None, "", "--")]
    for kind, pattern in patterns.items():
        if known and all(re.fullmatch(pattern, value) for value in known):
            return kind
    return "text"


def _wordings(template):
    found = re.search(r"\((.*?)\)|\[(.*?)\]", template)
    if not found:
        return [" ".join(template.split())]
    choices = found[1].split("|") if found[1] else [found[2], ""]
    before, after = template[: found.start()], template[found.end() :]
    return list(dict.fromkeys(text for choice in choices for text in _wordings(before + choice + after)))


def _keep(result):
    if result.error or result.truncated or not 1 <= len(result.rows) <= 20:
        return False
    values = [value for row in result.rows for value in row]
    return values != [0] and any(value is not None for value in values)


def _near_duplicate(a, b):
    first, second = (set(re.findall(r"[\w']+", text.lower())) for text in (a, b))
    if any(sign.isdigit() for word in first ^ second for sign in word):
        return False
    return len(first & second) / len(first | second) >= 0.75


def _leaks(pairs, evaluation):
    questions = {normalise_question(q.question) for q in evaluation}
    queries = {normalise_sql(q.sql) for q in evaluation}
    return [q.id for q in pairs if normalise_question(q.question) in questions or normalise_sql(q.sql) in queries]


STORED = (  # values, kind, why
    (["$612,500", "$5,895,512", "$950"], "money", "All are amounts in dollars."),
    (["$1,200.50", "$3.00"], "money", "Cents are money too."),
    (["$12,345,678"], "money", "There may be several groups of three digits."),
    (["6' 4\"", "5' 11\"", "10' 0\""], "length", "Feet and inches are a length."),
    (["235 lb", "90 lb"], "weight", "Pounds are a weight."),
    (["08/05/2031", "31/12/2029"], "date", "Day, month and year make a date, whichever comes first."),
    (["2031-08-05", "1999-12-31"], "date", "Year, month and day make a date."),
    (["2031-08-05", "08/05/2031"], "date", "Both spellings are dates."),
    (["--", "$612,500", None, ""], "money", "What is missing does not count."),
    ([None, "6' 4\"", "--"], "length", "What is missing does not count."),
    (["", "190 lb"], "weight", "What is missing does not count."),
    (["--", None, ""], "text", "Nothing is known of it."),
    ([], "text", "Nothing is known of it."),
    (["$612,500", "unknown"], "text", "One value is no amount, so a query can't read the column as money."),
    (["unknown", "$612,500"], "text", "One value is no amount, so a query can't read the column as money."),
    (["235 lb", "6' 4\""], "text", "The values are of two kinds."),
    (["$612,500 a year"], "text", "The whole value has to fit, not its beginning."),
    (["about 235 lb"], "text", "The whole value has to fit, not its end."),
    (["costs $950"], "text", "The whole value has to fit, not its end."),
    (["born 2031-08-05"], "text", "The whole value has to fit, not its end."),
    (["6' 4\" tall"], "text", "The whole value has to fit, not its beginning."),
    (["2031", "1999"], "text", "A bare number is no date."),
    (["active", "expired"], "text", "These are words."),
)
TEMPLATES = {
    "who coaches the Millers": ["who coaches the Millers"],
    "(who|which man) coaches": ["who coaches", "which man coaches"],
    "[very] [very] old": ["very very old", "very old", "old"],
    "coach [of the] Millers": ["coach of the Millers", "coach Millers"],
    "[so] who [now] coaches": ["so who now coaches", "so who coaches", "who now coaches", "who coaches"],
    "(a|b|c) (d|e)": ["a d", "a e", "b d", "b e", "c d", "c e"],
    "(show|tell) me [all] (teams|clubs) [please]": [
        f"{verb} me {every}{noun}{please}"
        for verb in ("show", "tell")
        for every in ("all ", "")
        for noun in ("teams", "clubs")
        for please in (" please", "")
    ],
}


def _result(*rows, error=None, truncated=False) -> ExecutionResult:
    return ExecutionResult(("x",), tuple(rows), error, "rows" if truncated else None, truncated, 0.01)


KEPT = (  # result, keep it?, why
    (_result(("Millers",)), True, "One name is an answer."),
    (_result((12,)), True, "A count is an answer."),
    (_result((1,)), True, "A count of 1 is an answer."),
    (_result((0.5,)), True, "A share is an answer."),
    (_result(("",)), True, "A text that is empty is not NULL."),
    (_result((None, "Millers")), True, "Only part of it is NULL."),
    (_result((None,), ("Millers",)), True, "Only part of it is NULL."),
    (_result((0,), (0,)), True, "Two rows are more than a bare 0."),
    (_result(("Millers", 0)), True, "A 0 beside a name is an answer."),
    (_result(*[(n,) for n in range(20)]), True, "20 rows can still be read."),
    (_result(*[(n,) for n in range(21)]), False, "More than 20 rows are nothing that people ask for."),
    (_result(), False, "There is no row."),
    (_result((None,)), False, "All of it is NULL."),
    (_result((None, None), (None, None)), False, "All of it is NULL."),
    (_result((0,)), False, "A bare 0 is true of any condition that nothing meets, a mistyped one too."),
    (_result((0.0,)), False, "A bare 0 is true of any condition that nothing meets, a mistyped one too."),
    (_result(error="no such column: wage"), False, "It did not run."),
    (_result((12,), error="stopped after 2 s"), False, "It did not run to its end."),
    (_result((1,), (2,), truncated=True), False, "Its rows were cut off."),
)
NEAR = (  # a, b, near?, why
    ("Who coaches the Millers?", "who coaches the millers", True, "Only capitals and a sign differ."),
    ("Who coaches the Millers?", "The Millers, who coaches?", True, "The order of words does not count."),
    ("Who coaches the Millers now?", "Who coaches the Millers?", True, "4 of 5 words are in both."),
    ("Who coaches the Millers?", "Who coaches Millers?", True, "3 of 4 words are in both: 0.75 is enough."),
    ("a b c d e f g", "a b c d e h i", False, "5 of 9 words are in both."),
    ("a b c d e f g h", "a b c d e f g i", True, "7 of 9 words are in both."),
    ("a b c d e f", "a b c d e g", False, "5 of 7 words are in both."),
    ("a b c d e", "f g h i j", False, "They have no word in common."),
    ("the the the Millers", "the coach of Millers", False, "Words that are repeated count once."),
    ("How many games did the Millers win in 2029?", "How many games did the Millers win in 2030?", False,
     "Another year is another question."),
    ("List the best 3 scorers of the league in points", "List the best scorers of the league in points", False,
     "A number was added: that is another question."),
    ("List the best 3 scorers of the league in points", "List the best 3 scorers of league in points", True,
     "Both have the same number."),
    ("Whose team's arena is the big one?", "Whose team is the big one?", False, "team's is one word; 5 of 8 fit."),
    ("Who coaches", "Who coaches the Millers", False, "2 of 4 words are in both: a part is not enough."),
)  # fmt: skip


def check_stored_kind(function):
    """Each kind, both spellings of dates, missing values at both ends, two kinds in one, more than a pattern."""
    for values, wanted, because in STORED:
        expect(function, values, equals=wanted, because=because, kind=str)


def check_wordings(function):
    """No choice, choices, options, several of both, each text once, no double blanks."""
    for template, wanted in TEMPLATES.items():
        answer = returned(function, template, kind=(list, tuple))
        if not all(isinstance(text, str) for text in answer):
            raise Wrong(f"for {template!r} it returned something else than a list of texts.")
        told = f"for {template!r} it returned {list(answer)!r:.200}, which is not right."
        if missing := [text for text in wanted if text not in answer]:
            untidy = any(" ".join(text.split()) in missing for text in answer)
            raise Wrong(f"{told} {'A blank too many stands in one of its texts.' if untidy else 'A text is missing.'}")
        if len(answer) != len(wanted):
            raise Wrong(f"{told} There are texts too many: each wording comes once, and nothing else.")


def check_keep(function):
    """Errors, cut rows, no rows, NULL in all or in part, a bare 0, the longest list."""
    for result, wanted, because in KEPT:
        answer = returned(function, result)
        if answer is not wanted:
            told = f"{len(result.rows)} rows" if len(result.rows) > 4 else f"rows {list(result.rows)}"
            told += f", error={result.error!r}" if result.error else ", truncated" if result.truncated else ""
            raise Wrong(f"for a result with {told} it returned {answer!r}, which is not right. {because}")


def check_near_duplicate(function):
    """The share's bound, order, capitals, repeated words, numbers; the same both ways round."""
    for a, b, wanted, because in NEAR:
        expect(function, a, b, equals=wanted, because=because, kind=bool)
        expect(function, b, a, equals=wanted, because=because, kind=bool)


_SQL = "SELECT coach FROM teams WHERE nickname = 'Millers'"
_HELD = [
    Question("e1", "Who coaches the Millers?", _SQL, "league"),
    Question("e2", "How many teams are there?", "SELECT COUNT(*) FROM teams", "league"),
]
_PAIRS = {  # id -> question, query, leaks?
    "p1": ("Who coaches the Millers?", _SQL, True),
    "p2": ("who coaches  the millers", "SELECT 1", True),
    "p3": ("Who is in charge of the Millers?", "select coach from teams where nickname='Millers';", True),
    "p4": ("Who coaches the Comets?", "SELECT coach FROM teams WHERE nickname = 'Comets'", False),
    "p5": ("How many clubs play?", "select count(*)\nfrom teams", True),
    "p6": ("How many teams are there?", "SELECT COUNT(team_id) FROM teams WHERE city IS NOT NULL", True),
    "p7": ("How many teams are there in the North?", "SELECT COUNT(*) FROM teams WHERE conference = 'North'", False),
}


def check_leaks(function):
    """By question alone, by query alone, by both, in other spellings; another value is no leak; nothing at all."""
    pairs = [Question(id, text, sql, "league") for id, (text, sql, _) in _PAIRS.items()]
    for given, held in ((pairs, _HELD), (pairs[::-1], _HELD), (pairs, _HELD[1:]), (pairs, []), ([], _HELD)):
        wanted = _leaks(given, held)
        answer = list(returned(function, given, held, kind=(list, tuple)))
        if answer == wanted:
            continue
        if not all(isinstance(id, str) for id in answer):
            raise Wrong("it should return ids, which are texts like 'p1', and returned something else.")
        asked = f"against {len(held)} questions of evaluation, "
        for id in [id for id in wanted if id not in answer]:
            raise Wrong(f"{asked}it misses {id}: {_PAIRS[id][0]!r} with {_PAIRS[id][1]!r}.")
        for id in [id for id in answer if id not in wanted]:
            raise Wrong(f"{asked}it lists {id}, which is no leak: {_PAIRS.get(id, ('?', ''))[0]!r}.")
        raise Wrong("it should list each leak once, in the order of the pairs.")


EXERCISES = {
    "stored_kind": Exercise(
        check_stored_kind,
        _stored_kind,
        "right. A question about this column now has a chance of the right format.",
        (
            "Leave out what is missing first. Then ask of each kind whether all that is left looks like it.",
            "re.fullmatch(pattern, value) looks at the whole value. Use all(...); all of nothing is true.",
            r"Patterns: money \$\d{1,3}(,\d{3})*(\.\d\d)?, length \d+' \d+\", weight \d+ lb, "
            r"date \d\d/\d\d/\d{4}|\d{4}-\d\d-\d\d.",
        ),
    ),
    "wordings": Exercise(
        check_wordings,
        _wordings,
        "right. A line of a template is worth a page of typing.",
        (
            "Do the first bracket only, for each of its choices. What is left is the same task, with a bracket less.",
            r"re.search(r'\((.*?)\)|\[(.*?)\]', template) finds the first; [x] is a choice between x and nothing.",
            "No bracket: return [' '.join(template.split())]. Else for each choice add "
            "wordings(template[:m.start()] + choice + template[m.end():]) to the list, each text once.",
        ),
    ),
    "keep": Exercise(
        check_keep,
        _keep,
        "right. What it drops would have taught the model nothing, or something false.",
        (
            "Go from the outside in: did it run to its end, are there rows, and what stands in them?",
            "Put all values of all rows into one list. Then NULL everywhere and the bare 0 are questions to that list.",
            "values = [v for row in result.rows for v in row]; any(v is not None for v in values) and values != [0].",
        ),
    ),
    "near_duplicate": Exercise(
        check_near_duplicate,
        _near_duplicate,
        "right. Two thousand pairs that say the same are one pair.",
        (
            "Make a set of words of each question. What do the sets share, and what is in either?",
            "& is the intersection of two sets, | the union, ^ what is in one only. Look at ^ for numbers.",
            'words = set(re.findall(r"[\\w\']+", text.lower())); share = len(a & b) / len(a | b).',
        ),
    ),
    "leaks": Exercise(
        check_leaks,
        _leaks,
        "right. Training and evaluation can be kept apart now.",
        (
            "A pair leaks in two ways. It is enough that one of them holds.",
            "Normalise all questions of the evaluation into one set and all its queries into another.",
            "[p.id for p in pairs if normalise_question(p.question) in questions or normalise_sql(p.sql) in queries]",
        ),
    ),
}
