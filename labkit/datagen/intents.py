"""An intent: one query with the many ways to ask for it; and how a sentence is put together from a frame and its
slots.

What families of intents there are, and how they draw one, is in `lookups`, `lists`, `numbers`, `groups`, `nested`,
`sides` and `changes`; whom a question is about is drawn by `drawing`.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from labkit.datagen.build import text as sql_text
from labkit.datagen.phrases import expand, listed, possessive, third, tidy
from labkit.datagen.slips import lower_first
from labkit.datagen.subjects import Phrase, Subject

Slots = Callable[[random.Random], dict[str, str]]


@dataclass
class Intent:
    """What is asked, as SQL and as frames. `slots(rng)` fills a frame's slots anew for each wording.

    `probe`: a query that must give two rows, else the question is idle (the tallest of one); where `ranked`, two
    different ones, else a LIMIT cuts a tie.
    """

    family: str
    sql: str
    frames: tuple[str, ...]
    slots: Slots
    tags: tuple[str, ...] = ()
    probe: str = ""
    ranked: bool = True

    def word(self, rng: random.Random) -> str:
        """One wording."""
        slots = self.slots(rng)
        frame = rng.choice(self.frames)
        when = expand(slots.pop("when", ""), rng).strip()
        front = when[:1].isalpha() and "{when}" in frame and frame.count("?") < 2 and rng.random() < 0.2
        for _ in range(2):  # a slot's template may hold slots
            for name, value in slots.items():
                frame = frame.replace("{" + name + "}", value)
        text = expand(frame, rng, {"when": "" if front else f" {when}"})
        return tidy(f"{when}, {lower_first(text)}" if front else text)


def finished(
    family: str,
    query: exp.Expression | str,
    frames: Sequence[str],
    slots: Slots,
    tags: Sequence[str] = (),
    probe: exp.Expression | str = "",
    ranked: bool = True,
) -> Intent:
    """An intent from query trees or texts."""
    asked = sql_text(probe) if probe else ""
    return Intent(family, sql_text(query), tuple(frames), slots, tuple(dict.fromkeys(tags)), asked, ranked)


def subject_slots(subject: Subject, **fixed: str) -> Slots:
    """Slots {np} (plural), {np1} (singular), {clause}, {asked}, {when} and those given; all are templates."""

    def fill(rng: random.Random) -> dict[str, str]:
        many, one = subject.phrase(rng), subject.phrase(rng, many=False)
        clause, asked = _clause(subject, subject.phrase(rng, verb=True), rng)
        when = f" {many.when}" if many.when else ""
        return {"np": many.text, "np1": one.text, "when": when, "clause": clause, "asked": asked, **fixed}

    return fill


def _clause(subject: Subject, phrase: Phrase, rng: random.Random) -> tuple[str, str]:
    """('players weigh over 230 pounds', 'which players weigh ...' or 'who weighs ...')."""
    person = subject.view.who.person
    if not phrase.verb and person and phrase.text.count("whose ") == 1 and re.match(r"\w+ whose ", phrase.text):
        return f"{phrase.text} (are there|do we have)", phrase.text.split(" ", 1)[1]
    if not phrase.verb:
        asked = (
            f"who are (the|all) {phrase.text}" if person and rng.random() < 0.4 else f"which {phrase.text} are there"
        )
        return f"{phrase.text} (are there|are there|do we have)", asked
    if person and phrase.plain and rng.random() < 0.5:
        return f"{phrase.text} {phrase.verb}", f"who {third(phrase.verb)}"
    if person and not phrase.plain and rng.random() < 0.2:
        return f"{phrase.text} {phrase.verb}", f"who (of|among) the {phrase.text} {third(phrase.verb)}"
    return f"{phrase.text} {phrase.verb}", f"(which|which|what) {phrase.text} {phrase.verb}"


def name_slots(name: str, when: Sequence[str] = ()) -> Slots:
    """Slots {x} and {own}, the same name in both, and {when}."""

    def fill(rng: random.Random) -> dict[str, str]:
        chosen = expand(name, rng)
        own = possessive(chosen)
        return {"x": chosen, "own": own, "whose": own, "when": f" {rng.choice(when)}" if when else ""}

    return fill


def columns_of(label: str, facts: Sequence[str], rng: random.Random, noun: str = "") -> str:
    """'name and weight', now and then 'player name and weight'."""
    first = f"{noun} {label}" if noun and not label.startswith(noun) and rng.random() < 0.3 else label
    return listed([first, *facts])
