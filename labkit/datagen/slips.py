"""How questions are typed: with a greeting, in a hurry, with a slip of the pen."""

import random
import re

_ABBREVIATIONS = {
    "average": "avg", "number": "no.", "please": "pls", "maximum": "max", "minimum": "min", "versus": "vs",
    "and": "&", "you": "u", "percentage": "pct", "million": "m",
}  # fmt: skip
_OPENINGS = (
    "Hi, ", "Hey, ", "Hello, ", "Quick one: ", "Quick question: ", "Please tell me: ", "For my report: ",
    "I'm wondering: ", "A colleague asks: ", "My boss is asking again: ", "Just curious: ", "One more: ",
    "For the newsletter: ",
    "For a table in the annual report: ", "Need this for a slide: ", "Somebody wants to know: ", "Finance is asking: ",
    "For my piece: ", "Marketing wants to know: ", "To settle a bet: ", "Before the meeting: ", "For the website: ",
    "From the front desk: ", "Fact check: ", "For the record: ", "Next question: ", "Trivia: ", "For the board: ",
    "I'm writing a piece on this. ", "I'm preparing a slide. ", "Help me out here. ", "We had a discussion at lunch. ",
    "A customer called. ", "I've lost my notes. ", "Sorry to bother you. ", "Morning! ", "This is for the press kit. ",
)  # fmt: skip
_RUDE = re.compile("cunt|shit", re.IGNORECASE)  # a 'count', a 'shirt' that lost a letter
_ENDINGS = (", please?", ", do you know?", "? Thanks.", "? Thank you!", " again?")


def politely(text: str, rng: random.Random) -> str:
    """The question with a greeting or a 'please' before or behind it."""
    if rng.random() < 0.3 and text.endswith("?") and text.count("?") == 1 and "please" not in text.lower():
        return text[:-1] + rng.choice(_ENDINGS)
    opening = rng.choice(_OPENINGS)
    return opening + (text if opening[-2] in ".!" else lower_first(text))


_STARTERS = frozenset(
    re.findall(
        r"\S+",
        "what what's which who who's whose how when where give list show tell name find count the in at on for i all "
        "is are please number average total return from of by add top every each get among do does did per out looking "
        "let work sum taking tally can could compare most break mean largest biggest highest lowest smallest across "
        "over percentage combined until since whom against print we we're there people different",
    )
)


def lower_first(text: str) -> str:
    """The text as the middle of a sentence: its first word in lower case unless it is a name."""
    word = re.match(r"[\w']*", text)[0]
    return text[:1].lower() + text[1:] if word.lower() in _STARTERS and word != "I" else text


def abbreviated(text: str, rng: random.Random) -> str:
    """One or more words shortened as in a chat."""
    for word, short in _ABBREVIATIONS.items():
        if rng.random() < 0.6:
            text = re.sub(rf"\b{word}\b", short, text)
    return text.replace("no..", "no.")


def misspelt(text: str, rng: random.Random) -> str:
    """One letter of one longer word doubled, dropped or swapped; digits stay, and no word becomes a rude one."""
    words = list(re.finditer(r"[A-Za-z]{5,}", text))
    if not words:
        return text
    word = rng.choice(words)
    place = word.start() + rng.randrange(1, len(word[0]) - 1)
    slip = rng.choice("dsx")
    if slip == "d":
        slipped = text[:place] + text[place + 1 :]
    elif slip == "s":
        slipped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    else:
        slipped = text[:place] + text[place] + text[place:]
    return text if _RUDE.search(slipped) else slipped


def roughened(text: str, rng: random.Random, typos: float = 0.06) -> str:
    """The question as typed in a hurry, now and then: lower case, no question mark, abbreviations, a typo."""
    dice = rng.random()
    if dice < 0.12:
        text = politely(text, rng)
    elif dice < 0.17:
        text = abbreviated(text, rng)
    if rng.random() < 0.08:
        text = text.lower()
    if rng.random() < 0.08:
        text = text.rstrip("?.")
    return misspelt(text, rng) if rng.random() < typos else text
