"""Checks, hints and the kit's own answers for Lab 3: words that tell documents apart, examples for a prompt, the
self-reflection loop, the price of a context, the break-even point.
"""

import math
import re
from fractions import Fraction

from labkit.course.checks import Exercise, Wrong, returned
from labkit.dataset import Question

IMAGE_TOKENS = 258  # what Gemini counts for an image


def _idf_scores(question, documents):
    held = [set(re.findall(r"\w+", text.lower())) for text in documents]
    asked = set(re.findall(r"\w+", question.lower()))
    found_in = {word: sum(word in words for words in held) for word in asked}
    return [sum(math.log(len(held) / found_in[word]) for word in asked & words) for words in held]


def _choose_examples(scores, pairs, k):
    chosen = {}
    for place in sorted(range(len(pairs)), key=lambda place: -scores[place]):
        if len(chosen) < k and scores[place] > 0:
            chosen.setdefault(pairs[place].sql, pairs[place])
    return list(chosen.values())[::-1]


def _reflect(ask, run, times):
    sql = ask(None)
    for _ in range(times):
        error = run(sql)
        if error is None:
            break
        sql = ask((sql, error))
    return sql


def _query_seconds(text_tokens, images, new_tokens, cached, prefill, decode):
    prompt = text_tokens + IMAGE_TOKENS * images
    return max(1, prompt - cached) / prefill + new_tokens / decode


def _break_even(build, before, after):
    if after >= before:
        return None
    return math.ceil(build / (before - after))


SCORED = (  # question, documents, why
    ("otters", ("the otters won", "the herons won", "who won"), "One document of three holds the word: log(3)."),
    ("who won", ("the otters won", "the herons won", "who won"), "A word that all documents hold is worth log(1) = 0."),
    ("Otters, OTTERS", ("the otters", "a heron"), "A word counts once, and capitals don't count."),
    ("the arena", ("arena arena arena", "arena", "coach"), "How often a document repeats a word does not count."),
    ("walrus", ("otters", "herons"), "No document holds the word."),
    ("win", ("winner", "wins", "a win"), "Whole words are compared, not parts of them."),
    ("team's salary?", ("salary, paid", "team", "pay"), "Signs part words and are none themselves."),
    ("team city", ("team", "city", "team city", "none", "team"), "The weights of all shared words are added."),
    ("team", (), "Without documents there are no scores."),
    ("", ("team", "city"), "A question without words gives 0 everywhere."),
)
PRICED = (  # arguments of query_seconds, seconds, why
    ((1000, 0, 20, 0, 500, 10), 4.0, "2 s to read 1000 tokens at 500 a second, 2 s to write 20 at 10 a second."),
    ((1000, 0, 20, 750, 500, 10), 2.5, "What is in the cache is not read again."),
    ((0, 10, 0, 0, 258, 10), 10.0, "An image is 258 tokens."),
    ((242, 1, 5, 0, 500, 5), 2.0, "Text and images are read alike."),
    ((242, 1, 5, 250, 500, 5), 1.5, "The cache saves reading images too."),
    ((800, 0, 0, 800, 4, 1), 0.25, "All of it is in the cache, and still the last token is computed."),
    ((800, 0, 8, 1000, 4, 16), 0.75, "The cache holds more than this prompt: one token is still computed."),
    ((0, 3000, 4, 0, 1000, 2), 776.0, "3000 images are 774,000 tokens."),
)
BROKEN_EVEN = (  # build, before, after, queries, why
    (100, 3, 1, 50, "Each query saves 2, and 100 have to come back."),
    (101, 3, 1, 51, "Each query saves 2, and a part of a query can't be asked."),
    (99, 3, 1, 50, "Each query saves 2, and a part of a query can't be asked."),
    (10, 1, 1, None, "Nothing is saved, so it is never paid back."),
    (10, 1, 4, None, "Each query costs more than before, so it is never paid back."),
    (0, 1, 4, None, "It cost nothing to build, and each query costs more: there is nothing to gain."),
    (0, 4, 1, 0, "It cost nothing to build: it pays from the first query on."),
    (1, 0.75, 0.25, 2, "Each query saves 0.5."),
    (1, 8, 0, 1, "The first query pays for it."),
    (3600, 2.5, 0.5, 1800, "Each query saves 2."),
)


def check_idf_scores(function):
    """Capitals, signs, repeats, whole words, words that all or none hold, nothing at all."""
    for question, documents, because in SCORED:
        answer = returned(function, question, list(documents), kind=(list, tuple))
        wanted = _idf_scores(question, documents)
        told = f"for {question!r} and {list(documents)} it returned {list(answer)!r}, which is not right. {because}"
        if len(answer) != len(wanted) or not all(isinstance(score, (int, float)) for score in answer):
            raise Wrong(told + " There is one number a document, in their order.")
        if not all(math.isclose(a, b, abs_tol=1e-9) for a, b in zip(answer, wanted, strict=True)):
            raise Wrong(told)


def check_choose_examples(function):
    """The best last; ties; the same query twice; fewer than k; none that shares a word; none wanted."""
    pairs = [Question(name, f"{name}?", sql, "x") for name, sql in zip("abcdef", "121345", strict=True)]
    cases = (
        ([1.0, 5.0, 2.0, 3.0, 0.0, 4.0], 3, "The best has to come last."),
        ([1.0, 5.0, 2.0, 3.0, 0.5, 4.0], 6, "a and c have the same query: only the better one is shown."),
        ([2.0, 0.5, 1.0, 3.0, 0.5, 4.0], 6, "a and c have the same query: only the better one is shown."),
        ([0.0, 5.0, 0.0, 0.0, 0.0, 4.0], 4, "What scores 0 has nothing to do with the question."),
        ([2.0] * 6, 2, "Of equals, the earlier one is taken first, so it is nearer to the end."),
        ([0.0] * 6, 3, "What scores 0 has nothing to do with the question."),
        ([1.0, 5.0, 2.0, 3.0, 0.0, 4.0], 1, "Only one was asked for: the best."),
        ([9.0, 5.0, 8.0, 3.0, 0.0, 4.0], 2, "A query that comes twice takes one place, not two."),
    )
    for scores, k, because in cases:
        answer = returned(function, scores, pairs, k, kind=(list, tuple))
        wanted = [pair.id for pair in _choose_examples(scores, pairs, k)]
        if not all(isinstance(pair, Question) for pair in answer):
            raise Wrong("it should return some of the pairs themselves, and returned something else.")
        found = [pair.id for pair in answer]
        if found != wanted:
            by_id = dict(zip("abcdef", scores, strict=True))
            raise Wrong(f"for scores {by_id} and k={k} it chose {found}, which is not right. {because}")


class _Talk:
    """A model that gives `replies` one after the other, a database in which only `runs` run, and all that was said."""

    def __init__(self, replies, runs):
        self.replies, self.runs, self.heard, self.ran = list(replies), runs, [], []

    def ask(self, feedback):
        self.heard.append(feedback)
        if len(self.heard) > len(self.replies):
            raise Wrong(f"it asked the model {len(self.heard)} times, where {len(self.replies)} are the most allowed.")
        return self.replies[len(self.heard) - 1]

    def run(self, sql):
        self.ran.append(sql)
        return None if sql in self.runs else f"no such column: {sql.lower()}"


def check_reflect(function):
    """Runs at once, runs later, never runs, no further tries, an empty error; what the model is told each time."""
    for replies, runs, times in (("A", "A", 3), ("AB", "B", 2), ("ABC", "C", 3), ("ABC", "", 2), ("A", "", 0)):
        talk, model = _Talk(replies, runs), _Talk(replies, runs)
        wanted = _reflect(model.ask, model.run, times)
        case = f"when the model writes {', '.join(replies)}, what runs is {runs or 'none of it'}, and times={times}"
        # Not through `returned`: it copies its arguments, and this check listens to them.
        answer = function(talk.ask, talk.run, times)
        if answer != wanted:
            raise Wrong(f"{case}, it returned {answer!r}, which is not right: the last query asked for is wanted.")
        if talk.heard != model.heard:
            raise Wrong(f"{case}, it told the model {talk.heard}. First None, then the (query, error) before, no more.")
    blank = iter(["A", "B"])
    if function(lambda told: next(blank), lambda sql: "" if sql == "A" else None, 1) != "B":
        raise Wrong("an error may be an empty text: only None says that the query ran.")


def check_query_seconds(function):
    """Text, images, cache, all in the cache."""
    for arguments, wanted, because in PRICED:
        answer = returned(function, *arguments, kind=(int, float))
        if not math.isclose(answer, wanted, rel_tol=1e-9):
            raise Wrong(f"for {arguments} it returned {answer:.6g} s, which is not right. {because}")


def check_break_even(function):
    """Exact, a part of a query, nothing saved, worse, free."""
    for build, before, after, wanted, because in BROKEN_EVEN:
        answer = function(build, before, after)
        whole = answer is None or (isinstance(answer, (int, float, Fraction)) and not isinstance(answer, bool))
        if not whole or answer != wanted or (answer is None) != (wanted is None):
            raise Wrong(f"for build={build}, before={before}, after={after} it returned {answer!r}. {because}")


EXERCISES = {
    "idf_scores": Exercise(
        check_idf_scores,
        _idf_scores,
        "right. Rare words find, common words don't.",
        (
            "First make a set of words of each document. In how many of the sets is a word?",
            "set(re.findall(r'\\w+', text.lower())) gives the words; the intersection with the question's is shared.",
            "For each set of words: sum(math.log(N / number of sets with the word) for word in asked & words).",
        ),
    ),
    "choose_examples": Exercise(
        check_choose_examples,
        _choose_examples,
        "right. Near, different from each other, and the nearest next to the question.",
        (
            "Go through the places from the best score down, and skip what must not be shown.",
            "sorted(range(len(pairs)), key=lambda i: -scores[i]) keeps equals in order. Remember the queries taken.",
            "Put them in a dict by .sql with setdefault while it holds fewer than k; return its values turned round.",
        ),
    ),
    "reflect": Exercise(
        check_reflect,
        _reflect,
        "right. It stops when the query runs, and when patience ends.",
        (
            "One question without feedback, then at most `times` rounds of: run it, tell the error, ask again.",
            "The first round runs the first query. If run(sql) is None, there is nothing to mend.",
            "sql = ask(None); for _ in range(times): error = run(sql); leave if it is None; sql = ask((sql, error)).",
        ),
    ),
    "query_seconds": Exercise(
        check_query_seconds,
        _query_seconds,
        "right. Now any context has a price tag.",
        (
            "Two parts: tokens to read and tokens to write, each divided by its own speed.",
            "To read: text and images, without what is in the cache, yet one token at least.",
            "max(1, text_tokens + 258 * images - cached) / prefill + new_tokens / decode",
        ),
    ),
    "break_even": Exercise(
        check_break_even,
        _break_even,
        "right. Ask how many queries come a day, and you know the day.",
        (
            "How much does one query save? And if it saves nothing?",
            "The number is build / saved, rounded up to a whole query; None where nothing is saved.",
            "None if after >= before, else math.ceil(build / (before - after))",
        ),
    ),
}
