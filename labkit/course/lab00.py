"""Checks, hints and the kit's own answers for Lab 0: sampling filters, drawing a token, the chat format."""

import numpy as np

from labkit.course.checks import Exercise, Wrong, expect, returned
from labkit.widgets import distributions


def _sample(probabilities, u):
    total = 0.0
    for index, p in enumerate(probabilities):
        total += p
        if u < total:
            return index
    return len(probabilities) - 1


def _to_chat(messages):
    turns = [f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages]
    return "".join(turns) + "<|im_start|>assistant\n"


def check_temperature(function):
    """Against values worked out by hand with exp and division."""
    logits = np.array([2.0, 1.0, 0.0, -1.0])
    for t in (1.0, 0.5, 2.0, 0.25):
        weights = [np.exp(x / t) for x in logits]
        _same(function, (logits, t), [w / sum(weights) for w in weights], _why_temperature(t))
    _same(function, (np.array([0.0, 0.0]), 3.0), [0.5, 0.5], "Two equal logits get equal chances at any temperature.")
    huge = np.array([1000.0, 999.0])
    odds = [np.e / (1 + np.e), 1 / (1 + np.e)]
    _same(function, (huge, 1.0), odds, "exp of a number this large overflows: only differences of logits matter.")
    _same(function, (-huge, 1.0), odds[::-1], "exp of numbers this low is 0: only differences of logits matter.")


def _why_temperature(t: float) -> str:
    return (
        "" if t == 1.0 else f"At temperature {t} the chances should be {'sharper' if t < 1 else 'flatter'} than at 1."
    )


def check_top_k(function):
    """Kept tokens, order of the answer, scale, ties, k beyond the end."""
    p = np.array([0.125, 0.5, 0.25, 0.125])
    _same(function, (p, 1), [0, 1, 0, 0], "With k=1 the likeliest token has all of it.")
    _same(function, (p, 2), [0, 2 / 3, 1 / 3, 0], "Tokens keep their places, and what is kept sums to 1 again.")
    _same(function, (p, 4), p, "With k=4 of 4 tokens nothing changes.")
    _same(function, (p, 9), p, "k may be larger than the number of tokens: then nothing changes.")
    tied = np.array([0.25, 0.25, 0.25, 0.25])
    answer = _chances(function, (tied, 3))
    if np.count_nonzero(answer) < 3 or not np.isclose(answer.sum(), 1):  # to keep a tie whole is fine too
        raise Wrong("with four equal chances and k=3, at least three tokens should stay, and sum to 1.")


def check_top_p(function):
    """The fewest tokens that reach p, exact boundary, scale, places."""
    p = np.array([0.125, 0.5, 0.0, 0.25, 0.125])
    _same(function, (p, 0.4), [0, 1, 0, 0, 0], "The likeliest token alone already holds 0.4.")
    _same(function, (p, 0.5), [0, 1, 0, 0, 0], "The likeliest token alone holds exactly 0.5: that is enough.")
    _same(function, (p, 0.6), [0, 2 / 3, 0, 1 / 3, 0], "0.5 is less than 0.6, so the next token is needed too.")
    _same(function, (p, 0.75), [0, 2 / 3, 0, 1 / 3, 0], "0.5 + 0.25 is exactly 0.75: that is enough.")
    _same(function, (p, 1.0), p, "p=1 keeps every token that has any chance.")
    _same(function, (p, 0.01), [0, 1, 0, 0, 0], "However small p is, one token must stay.")
    even = np.array([0.25, 0.25, 0.25, 0.25])
    answer = _chances(function, (even, 0.5))
    if np.count_nonzero(answer) != 2 or not np.isclose(answer.sum(), 1):
        raise Wrong("with four equal chances and p=0.5, the fewest that hold p should stay, and sum to 1.")


def check_sample(function):
    """The index whose stretch of [0, 1) holds u; boundaries; no token of chance 0; rounding at the end."""
    p = [0.5, 0.25, 0.125, 0.125]
    for u, index in ((0.0, 0), (0.3, 0), (0.49, 0), (0.5, 1), (0.6, 1), (0.75, 2), (0.8, 2), (0.875, 3), (0.999, 3)):
        _index(function, p, u, index, "Lay the chances end to end from 0 to 1 and see in which stretch u falls.")
    _index(function, [0.0, 0.5, 0.5], 0.0, 1, "A token with chance 0 must never be drawn.")
    short = [0.25, 0.25, 0.4999999]
    _index(function, short, 0.99999999, 2, "Rounding can leave the sum just below 1: then the last token is drawn.")


def _index(function, p, u, index, because):
    answer = returned(function, p, u, kind=(int, np.integer))
    if answer != index or isinstance(answer, bool):
        raise Wrong(f"for chances {p} and u={u} it returned {answer}, which is not right. {because}")


def check_to_chat(function):
    """The exact text, on one turn, on several, on content with line ends."""
    one = [{"role": "user", "content": "How many teams are there?"}]
    several = [
        {"role": "system", "content": "You write SQL."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Two\nlines"},
    ]
    for messages in (one, several):
        answer = returned(function, messages, kind=str)
        if not answer.endswith("<|im_start|>assistant\n"):
            raise Wrong(f"the text ends in {answer[-30:]!r}: the assistant's turn must be opened, with its line end.")
        for message in messages:
            if message["content"] not in answer:
                raise Wrong(f"the content {message['content']!r} is not in the text.")
    expect(function, one, equals=_to_chat(one), because="Compare the line ends with the format above, sign by sign.")
    expect(function, several, equals=_to_chat(several), because="Every turn has the same form, whoever speaks.")


def _chances(function, arguments) -> np.ndarray:
    """The answer as an array of as many chances as went in; `Wrong` when it is something else."""
    answer = returned(function, *arguments)
    try:
        answer = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        raise Wrong(f"it returned a {type(answer).__name__} that is not an array of numbers.") from None
    if answer.shape != arguments[0].shape:
        raise Wrong(f"{arguments[0].shape[0]} numbers went in, and an array of shape {answer.shape} came out.")
    return answer


def _same(function, arguments, wanted, because=""):
    answer = _chances(function, arguments)
    if not np.allclose(answer, wanted, atol=1e-6):
        values, setting = arguments
        shown = np.array2string(answer, precision=3, separator=", ")
        raise Wrong(f"for {values.tolist()} and {setting} it returned {shown}, which is not right. {because}".strip())


EXERCISES = {
    "temperature": Exercise(
        check_temperature,
        distributions.temperature,
        "right. Low temperature sharpens, high temperature flattens, and large logits don't overflow.",
        (
            "softmax is: exp of every logit, divided by the sum of them all. Where does the temperature come in?",
            "Divide the logits by t before exp. Subtracting the same number from every logit changes nothing, "
            "so subtract the largest one first.",
            "scaled = (logits - logits.max()) / t; then np.exp(scaled), divided by its own sum.",
        ),
    ),
    "top_k": Exercise(
        check_top_k,
        distributions.top_k,
        "right. The k likeliest stay in their places and share all the chance.",
        (
            "Find the places of the k largest numbers. The answer is as long as the input, with 0 elsewhere.",
            "np.argsort sorts upwards and gives places: sort the negated chances, take the first k places.",
            "keep = np.argsort(-probabilities, kind='stable')[:k]; copy those places into "
            "np.zeros_like(probabilities); divide by the sum.",
        ),
    ),
    "top_p": Exercise(
        check_top_p,
        distributions.top_p,
        "right. The fewest tokens that hold p stay, at least one.",
        (
            "Walk from the likeliest token down and stop as soon as what you hold reaches p.",
            "A token stays if the tokens before it hold less than p together. np.cumsum adds up along the way.",
            "order = np.argsort(-probabilities); before = np.cumsum(probabilities[order]) - probabilities[order]; "
            "keep = order[before < p]; then as in top-k.",
        ),
    ),
    "sample": Exercise(
        check_sample,
        _sample,
        "right. A random number between 0 and 1 now picks a token by its chance.",
        (
            "Lay the chances end to end: they cover 0 to 1. The number u falls on one of them.",
            "Add the chances up one by one, and stop at the first token where the sum has gone past u.",
            "for index, p in enumerate(probabilities): total += p; if u < total: return index. After the loop return "
            "the last index.",
        ),
    ),
    "to_chat": Exercise(
        check_to_chat,
        _to_chat,
        "right. This is what the model was tuned on, sign by sign.",
        (
            "Every message becomes one turn of the same form. The last thing in the text opens the assistant's turn.",
            "A turn is: <|im_start|>, the role, a line end, the content, <|im_end|>, a line end.",
            "Join f\"<|im_start|>{m['role']}\\n{m['content']}<|im_end|>\\n\" for each message m, then add "
            '"<|im_start|>assistant\\n".',
        ),
    ),
}
