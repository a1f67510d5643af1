"""Checks, hints and the kit's own answers for Lab 6: the loss of each example, when one is mastered, the next batch,
what an average hides, answers that stayed the same, and when tuning is cheaper than retrieval.
"""

import math

import numpy as np

from labkit.course.checks import Exercise, Wrong, expect, returned


def _example_losses(logits, labels):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    counted = labels >= 0
    own = np.take_along_axis(log_p, np.where(counted, labels, 0)[..., None], axis=-1)[..., 0]
    return -(own * counted).sum(axis=1) / counted.sum(axis=1)


def _mastered(logits, labels, margin):
    verdicts = []
    for rows, tokens in zip(logits, labels, strict=True):
        leads = [row[t] - max(np.delete(row, t)) for row, t in zip(rows, tokens, strict=True) if t >= 0]
        verdicts.append(bool(min(leads) >= margin))
    return verdicts


def _next_batch(mastered, size):
    left = [i for i, done in enumerate(mastered) if not done]
    if not left:
        return []
    return (left + [i for i, done in enumerate(mastered) if done])[:size]


def _loss_report(chances):
    tokens = [p for fact in chances for p in fact]
    average = -sum(math.log(p) for p in tokens) / len(tokens)
    return average, [i for i, fact in enumerate(chances) if min(fact) < 0.5]


def _same_share(before, after):
    return sum(after.get(prompt) == answer for prompt, answer in before.items()) / len(before)


def _break_even(build, retrieval, tuned):
    if retrieval <= tuned:
        return math.inf
    return math.floor(build / (retrieval - tuned)) + 1


_RANDOM = np.random.default_rng(6)
_LOGITS = _RANDOM.normal(size=(3, 4, 5)) * 3
_LABELS = np.array([[-100, 2, 0, -100], [1, 4, 3, 2], [-100, -100, -100, 4]])
_LEADS = (  # logits, labels, margin, verdict, why
    ([[[3.0, 1.0, 0.0]]], [[0]], 1.0, [True], "It leads by 2."),
    ([[[3.0, 1.0, 0.0]]], [[0]], 2.0, [True], "It leads by exactly the margin, and that is enough."),
    ([[[3.0, 1.0, 0.0]]], [[0]], 2.5, [False], "It leads by 2 only."),
    ([[[3.0, 1.0, 0.0]]], [[1]], 0.0, [False], "Another token leads."),
    ([[[1.0, 1.5, 0.0]]], [[0]], 1.0, [False], "Being near the best is not a lead."),
    ([[[1.0, 4.0, 0.0], [5.0, 0.0, 0.0]]], [[1, 0]], 1.0, [True], "Both tokens lead."),
    ([[[1.0, 4.0, 0.0], [5.0, 4.5, 0.0]]], [[1, 0]], 1.0, [False], "The last token leads by 0.5 only."),
    ([[[1.0, 1.5, 0.0], [5.0, 0.0, 0.0]]], [[1, 0]], 1.0, [False], "The first token leads by 0.5 only."),
    ([[[9.0, 0.0, 0.0], [0.0, 0.0, 3.0]]], [[-100, 2]], 1.0, [True], "A token of the question does not count."),
    ([[[0.0, 0.0, 9.0], [0.0, 0.0, 3.0]]], [[-100, 0]], 1.0, [False], "A token of the question does not count."),
    ([[[0.0, 3.0, 0.5], [3.0, 2.9, 9.0]]], [[1, -100]], 1.0, [True], "A token of the question does not count."),
    ([[[2.0, 0.0, 1.0]], [[0.0, 1.0, 0.5]]], [[0], [1]], 1.0, [True, False], "Each example has a verdict of its own."),
    ([[[-9.0, -2.0, -8.0]]], [[1]], 5.0, [True], "Logits may all be negative."),
    ([[[-9.0, -2.0, -8.0]]], [[1]], 6.5, [False], "The best other token has -8, so the lead is 6."),
    ([[[2.0, 2.0, 0.0]]], [[0]], 0.0, [True], "A lead of 0 is the margin asked for."),
    ([[[3.0, 1.0, 1.0, 2.9]]], [[0]], 1.0, [False], "The best other token may be the last one."),
)
_BATCHES = (  # mastered, size, batch, why
    ([False, False, False], 2, [0, 1], "None is mastered, two fit."),
    ([True, False, False, True], 2, [1, 2], "Those not mastered come first."),
    ([True, False, True, False], 4, [1, 3, 0, 2], "There is room: mastered ones go along, behind the others."),
    ([True, False, True, True], 3, [1, 0, 2], "One is left, and there is room for two mastered ones."),
    ([True, True], 4, [], "All are mastered: nothing is left to train on."),
    ([False], 8, [0], "One example fills no batch of eight."),
    ([True, False, False, False, False], 3, [1, 2, 3], "Four are left and three fit."),
    ([True, True, True, False], 1, [3], "A batch of one holds the one that is left."),
    ([], 2, [], "Nothing to learn, nothing to train on."),
    ([False, True, False], 2, [0, 2], "Both that are left fit."),
)
_CHANCES = (
    [[0.9, 0.8], [0.7, 0.95]],
    [[1.0, 1.0, 1.0, 1.0], [0.4, 1.0, 1.0, 1.0]],
    [[0.5], [0.49], [0.51]],
    [[0.6, 0.6, 0.6], [0.99, 0.01, 0.99], [0.2]],
    [[0.3, 0.9], [0.9, 0.3], [0.9, 0.9]],
    [[1.0, 1.0, 1.0, 1.0, 0.3], [0.9]],
    [[0.75, 0.6]],
)
_ANSWERS = (  # before, after, share, why
    ({"a": "Lisbon", "b": "8"}, {"a": "Lisbon", "b": "8"}, 1.0, "Both stayed."),
    ({"a": "Lisbon", "b": "8"}, {"a": "1981", "b": "8"}, 0.5, "One of two stayed."),
    ({"a": "Lisbon", "b": "8", "c": "no"}, {"a": "1981", "b": "1944", "c": "1901"}, 0.0, "None stayed."),
    ({"a": "x", "b": "y"}, {"b": "y", "a": "x"}, 1.0, "The order of the prompts does not count."),
    ({"a": "x", "b": "y"}, {"a": "y", "b": "x"}, 0.0, "An answer belongs to its prompt."),
    ({"a": "x", "b": "y", "c": "z", "d": "w"}, {"a": "x"}, 0.25, "A prompt without an answer did not keep it."),
    ({"a": "x"}, {"a": "x", "b": "y", "c": "z"}, 1.0, "Only prompts that were asked before count."),
    ({"a": "Yes."}, {"a": "yes."}, 0.0, "A capital letter is a difference."),
    ({"a": "Yes."}, {"a": "Yes. It is."}, 0.0, "A longer answer is another one."),
    ({"a": "Yes. It is."}, {"a": "Yes."}, 0.0, "A shorter answer is another one."),
    ({"a": ""}, {"a": ""}, 1.0, "An empty answer may stay the same too."),
    ({"a": "", "b": "x"}, {"b": "x"}, 0.5, "No answer is not an empty answer."),
    ({"a": "x", "b": "x", "c": "y"}, {"a": "x", "b": "x", "c": "x"}, 2 / 3, "Equal answers are counted a prompt."),
)
_COSTS = (  # build, retrieval, tuned, queries, why
    (100.0, 2.0, 1.0, 101, "When both have cost the same, tuning is not cheaper yet."),
    (100.0, 3.0, 1.0, 51, "A query saves 2; when both have cost the same, tuning is not cheaper yet."),
    (10.0, 4.0, 1.0, 4, "A query saves 3, and a part of one can't be asked."),
    (11.0, 4.0, 1.0, 4, "A query saves 3, and a part of one can't be asked."),
    (0.0, 2.0, 1.0, 1, "It cost nothing to build, and the first query is cheaper."),
    (100.0, 1.0, 1.0, math.inf, "A query saves nothing: tuning is never cheaper."),
    (100.0, 1.0, 2.0, math.inf, "A query costs more than before: tuning is never cheaper."),
    (0.0, 1.0, 1.0, math.inf, "Both cost the same for ever, and the same is not cheaper."),
    (7.0, 1.0, 0.0, 8, "A query may cost nothing at all."),
    (0.5, 4.0, 1.0, 1, "The first query saves 3 already."),
)


def check_example_losses(function):
    """A value an example; labels of -100 left out; means over its own tokens; logits far from 0."""
    for name, logits in (("", _LOGITS), (" shifted by 2,000", _LOGITS + 2000), (" times 300", _LOGITS * 300)):
        for rows in (slice(0, 3), slice(2, 3), slice(0, 2)):
            wanted = _example_losses(logits[rows], _LABELS[rows])
            answer = np.asarray(returned(function, logits[rows], _LABELS[rows], kind=(np.ndarray, list)))
            if answer.shape != wanted.shape:
                raise Wrong(f"{len(wanted)} examples came in, and shape {answer.shape} came out. One loss an example.")
            if answer.dtype.kind != "f" or not np.isfinite(answer).all():
                raise Wrong(f"with logits{name or ' of a normal size'} it gave something that is not a finite number.")
            if not np.allclose(answer, wanted, rtol=1e-6, atol=1e-9):
                told = f"for logits{name} and labels {_LABELS[rows].tolist()} the losses are not right"
                raise Wrong(f"{told}: it gave {np.round(answer, 3).tolist()}.")


def check_mastered(function):
    """The weakest answer token decides, by its lead over the best other token; question tokens are left out."""
    for logits, labels, margin, wanted, because in _LEADS:
        answer = returned(function, np.array(logits), np.array(labels), margin, kind=(list, np.ndarray))
        verdicts = list(answer)
        if len(verdicts) != len(wanted) or not all(isinstance(v, (bool, np.bool_)) for v in verdicts):
            raise Wrong(f"it should give a bool for each of {len(wanted)} examples, and gave {verdicts!r:.80}.")
        if verdicts != wanted:
            asked = f"for logits {logits}, labels {labels} and margin {margin:g}"
            raise Wrong(f"{asked} it returned {[bool(v) for v in verdicts]}, which is not right. {because}")


def check_next_batch(function):
    """What is left first, in order; room filled with mastered ones; nothing when all are mastered."""
    for mastered, size, wanted, because in _BATCHES:
        expect(function, mastered, size, equals=wanted, because=because, kind=list)


def check_loss_report(function):
    """Average over all tokens (not over facts), and the facts that have a token below one half."""
    for chances in _CHANCES:
        answer = returned(function, chances, kind=(tuple, list))
        if len(answer) != 2 or not isinstance(answer[0], (int, float)) or not isinstance(answer[1], list):
            raise Wrong(f"it should return two things, a number and a list, and returned {answer!r:.80}.")
        average, doubtful = _loss_report(chances)
        if not math.isclose(answer[0], average, rel_tol=1e-6, abs_tol=1e-12):
            raise Wrong(f"for {chances} it gave an average loss of {answer[0]:.6g}, which is not right.")
        if answer[1] != doubtful:
            raise Wrong(f"for {chances} it listed {answer[1]!r:.80} as doubtful, which is not right.")


def check_same_share(function):
    """Prompts by their id, answers as they are, missing ones, prompts that were not asked before."""
    for before, after, wanted, because in _ANSWERS:
        answer = returned(function, before, after, kind=(int, float))
        if isinstance(answer, bool) or not math.isclose(answer, wanted, abs_tol=1e-9):
            raise Wrong(f"for {before} and then {after} it returned {answer!r:.40}, which is not right. {because}")


def check_break_even(function):
    """Exact ties, fractions, nothing to build, and tuning that never pays."""
    for build, retrieval, tuned, wanted, because in _COSTS:
        answer = returned(function, build, retrieval, tuned, kind=(int, float))
        if isinstance(answer, bool) or answer != wanted:
            asked = f"with build {build:g}, retrieval {retrieval:g} and tuned {tuned:g}"
            raise Wrong(f"{asked} it returned {answer!r:.40}, which is not right. {because}")


EXERCISES = {
    "example_losses": Exercise(
        check_example_losses,
        _example_losses,
        "right. Each example answers for itself now.",
        (
            "The loss of a token is minus the logarithm of its chance. Which tokens count, and who shares a mean?",
            "log chance = logit - log(sum(exp(logits))); take the row's largest logit off first. Count labels >= 0.",
            "np.take_along_axis(log_p, np.where(labels >= 0, labels, 0)[..., None], -1)[..., 0] picks the labels' own; "
            "put 0 where labels < 0, sum over axis 1, divide by how many count, and turn the sign.",
        ),
    ),
    "mastered": Exercise(
        check_mastered,
        _mastered,
        "right. Likeliest, by a margin, in every token: that is mastered.",
        (
            "One weak token spoils an answer. How far ahead of its strongest rival is each?",
            "np.delete(row, t) is the row without token t; the lead is row[t] minus the largest of that.",
            "An example is mastered if min(row[t] - np.delete(row, t).max() for its tokens t >= 0) >= margin; "
            "make a bool of it.",
        ),
    ),
    "next_batch": Exercise(
        check_next_batch,
        _next_batch,
        "right. The work goes where the errors are, and what is known comes along where there is room.",
        (
            "Make two lists of positions, those left and those mastered. When is the answer empty?",
            "enumerate(mastered) gives positions. If nothing is left, return []; else cut the joined lists to size.",
            "left = [i for i, done in enumerate(mastered) if not done]; the others likewise; (left + others)[:size].",
        ),
    ),
    "loss_report": Exercise(
        check_loss_report,
        _loss_report,
        "right. An average near zero no longer fools you.",
        (
            "The average is over tokens, all facts together. A fact is doubtful by its weakest token.",
            "Put all chances into one list first; math.log is the natural logarithm; min(fact) is the weakest token.",
            "-sum(math.log(p) for fact in chances for p in fact) / number of tokens, and "
            "[i for i, fact in enumerate(chances) if min(fact) < 0.5].",
        ),
    ),
    "same_share": Exercise(
        check_same_share,
        _same_share,
        "right. This figure belongs beside every figure of recall.",
        (
            "Go through the prompts asked before, and look each one up in the answers after.",
            "after.get(prompt) is None where there is no answer, and None equals no text.",
            "sum(after.get(prompt) == answer for prompt, answer in before.items()) / len(before)",
        ),
    ),
    "break_even": Exercise(
        check_break_even,
        _break_even,
        "right. Now the question has a number for an answer.",
        (
            "What does one query save? How many savings make up for the building, and a little more?",
            "If a query saves nothing, math.inf. At n = build / saving both have cost the same: not cheaper yet.",
            "math.inf if retrieval <= tuned, else math.floor(build / (retrieval - tuned)) + 1",
        ),
    ),
}
