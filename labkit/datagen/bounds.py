"""What people say of a row's numbers: above, below, at least, exactly, in the top ten, more of one than of another.

Bounds are worded so that 'over 20' leaves 20 out and 'at least 20' takes it in.
"""

import random

from labkit.datagen.conditions import Computed, Condition, Test
from labkit.datagen.formats import round_bound, say
from labkit.datagen.lexicon import Words, counted_by, is_rank
from labkit.datagen.phrases import counted, each, one_of, ordinal, singular
from labkit.datagen.speaker import Speaker
from labkit.datagen.times import since
from labkit.datagen.units import measures, named
from labkit.datagen.world import Field, Path_

_IDENTIFYING = ("jersey", "number", "code", "room", "rank")  # numbers that are names: never over or under


def bound(speaker: Speaker, field: Field, rng: random.Random, path: Path_ = ()) -> Condition:
    """A number above, below, at least, at most, between, or equal."""
    if is_rank(field):
        return ranked(speaker, field, rng, path)
    numbers, feet = field.numbers, field.format.unit == "ft"
    many = len(set(numbers)) > 25
    identifying = any(word in field.words.split() for word in _IDENTIFYING) or len(set(numbers)) <= 3
    few = len(set(numbers)) <= 60 and field.format.decimals == 0
    said_otherwise = measures(field.format.unit)  # no one names 747,431 milliseconds
    exactly = 0 if said_otherwise else 3 if few else 0.3
    weights = (0, 0, 0, 0, 0, 1) if identifying else (4, 3, 3, 2, 2, exactly)
    kind = rng.choices((">", "<", ">=", "<=", "between", "="), weights)[0]
    if kind == "=":
        value = rng.choice(numbers)
        stored = next(v for v, _ in field.values if field.format.read(v) == value)
        return _equals(speaker, field, value, path, Test(field, "=", stored if field.format.stored_as_text else value))
    shares = (0.05, 0.1, 0.25, 0.4, 0.5) if kind[0] == "<" else (0.5, 0.6, 0.75, 0.85, 0.92, 0.96)
    value = numbers[int(len(numbers) * rng.choice(shares))]
    rounded = many and not feet or said_otherwise
    value = round_bound(value, field.format.unit) if rounded else value
    if many and said_otherwise and rng.random() < 0.5:
        value = _named(field, rng) or value
    if kind == "between":
        low = numbers[int(len(numbers) * rng.choice((0.2, 0.4, 0.6)))]
        low = round_bound(low, field.format.unit) if rounded else low
        if low < value:
            return _between(speaker, field, low, value, path)
        kind = ">="
    return compared(speaker, field, kind, value, path)


def _named(field: Field, rng: random.Random) -> int:
    """A duration or a size that comes to mind, however few rows lie beyond it; 0 where the data hold none."""
    low, high = field.numbers[len(field.numbers) // 50], 0.8 * field.numbers[-1]
    within = {n: weight for n, weight in named(field.format.unit).items() if low < n < high}
    return rng.choices(list(within), list(within.values()))[0] if within else 0


def ranked(speaker: Speaker, field: Field, rng: random.Random, path: Path_) -> Condition:
    """A rank, of which the small ones are the good ones: in the top 10, after number 30, 7th."""
    words, numbers = speaker.words(field), [n for n in field.numbers if n > 0]
    kind = rng.choices(("<=", "between", "=", ">"), (5, 3, 3, 1))[0]
    n = rng.choice(numbers) if kind == "=" else numbers[int(len(numbers) * rng.choice((0.1, 0.2, 0.4, 0.6)))]
    n = n if kind == "=" or n < 15 else 5 * round(n / 5)
    low = rng.randint(1, max(1, int(n) - 1))
    said, value = {
        "<=": (f"(in the top {n}|among the (first|top) {n}|no later than {ordinal(n)})", n),
        "between": (f"(between {low} and {n}|from number {low} to [number] {n})", (low, n)),
        "=": (f"({ordinal(n)}|{ordinal(n)} overall|with the {ordinal(n)} pick|at number {n}|number {n})", n),
        ">": (f"(after number {n}|later than {ordinal(n)})", n),
    }[kind]
    said = said if kind != "=" or words.ranked else f"{ordinal(n)}"
    test = Test(field, kind, value)
    if words.ranked:
        return Condition(path, (test,), post=(f"{words.ranked} {said}",), verb=(f"were {words.ranked} {said}",))
    noun = words.nouns[0]
    return Condition(path, (test,), post=(f"whose {noun} is {said}",), verb=(f"have a {noun} that is {said}",))


def _equals(speaker: Speaker, field: Field, value: object, path: Path_, test: Test) -> Condition:
    words, v, noun = speaker.words(field), say(value, field.format), speaker.words(field).nouns[0]
    if words.counts:
        things = speaker.things(field) if value != 1 else one_of(map(singular, words.plurals))
        some = f"(exactly|just|) {counted(v)}" if value else "(no|zero|0)"
        verb = tuple(f"{verb} {some} {things}" for verb in words.verbs)
        return Condition(path, (test,), post=(f"with {some} {things}",), verb=verb)
    verb = [f"{w} (exactly|) {v}" for w in words.verbs]
    verb += [f"(are|stand) (exactly|) {v} {adj}" for adj, *_ in words.high if adj in ("tall", "long", "old")]
    post = [f"with (a {noun} of|{noun}) {v}", f"whose {noun} is (exactly|) {v}"]
    post = [f"(with|wearing) (number|no.) {v}", f"wearing the {v}"] if noun.startswith("jersey") else post
    wear = [
        f"wear (number|no.|#|the number) {v}",
        f"have (number|the) {v} on their (back|shirt|jersey)",
        f"wear the {v}",
    ]
    verb = wear if noun.startswith("jersey") else verb
    return Condition(path, (test,), post=tuple(post), verb=tuple(verb))


def _between(speaker: Speaker, field: Field, low: object, high: object, path: Path_) -> Condition:
    words, noun = speaker.words(field), speaker.noun(field)
    a, b = say(low, field.format), say(high, field.format)
    span = f"(between {a} and {b}|from {a} to {b}|between {a} and {b} inclusive|between {a} and {b})"
    test = Test(field, "between", (low, high))
    if words.counts:
        verb = tuple(f"{v} {span} {speaker.things(field)}" for v in words.verbs)
        return Condition(path, (test,), post=(f"with {span} {speaker.things(field)}",), verb=verb, tags=("inclusive",))
    verb = tuple(f"{v} {span}" for v in words.verbs)
    return Condition(
        path, (test,), post=(f"with a {noun} {span}", f"whose {noun} is {span}"), verb=verb, tags=("inclusive",)
    )


def compared(speaker: Speaker, field: Field, op: str, value: object, path: Path_ = ()) -> Condition:
    """The field against a bound; `>` and `<` exclude it, `>=` and `<=` include it, and are worded so."""
    words, v, noun = speaker.words(field), say(value, field.format), speaker.noun(field)
    test, tags = (Test(field, op, value),), ("inclusive",) if "=" in op else ("exclusive",)
    if " per " in field.words:
        return _rate(field, path, op, v, test, tags, noun)
    if words.counts:
        within = many_things(op, v, speaker.things(field))
        if words.actor:
            return Condition(path, test, post=_by_actor(words, within), tags=tags)
        verb = tuple(f"{verb} {w}" for verb in words.verbs for w in within)
        return Condition(path, test, post=tuple(f"with {w}" for w in within), verb=verb, tags=tags)
    behind, is_, after = _BOUNDS[op]
    adjectives = words.high if ">" in op else words.low
    post = [f"with a {noun} {w}" for w in behind] + [f"whose {noun} is {w}" for w in is_]
    verb = [f"{w} {way}" for w in words.verbs for way in after] + [f"have a {noun} {w}" for w in behind]
    comparatives = [c for _, c, _ in adjectives if field.format.unit or words.verbs]
    if "=" in op:
        verb += [f"are {{v}} or {c}" for c in comparatives]
    else:
        verb += [f"are {c} than {{v}}" for c in comparatives]
        post += [f"{c} than {{v}}" for c in comparatives]
    filled = [tuple(t.replace("{v}", v) for t in texts) for texts in (post, verb)]
    return Condition(path, test, post=filled[0], verb=filled[1], tags=tags)


_OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "year<": "year>=", "year>=": "year<"}


def opposite(speaker: Speaker, condition: Condition) -> Condition | None:
    """What holds of all the others, for a bound: 'in 2000 or later' after 'before 2000'."""
    test = condition.tests[0]
    if len(condition.tests) > 1 or test.op not in _OPPOSITE or test.other or condition.path or is_rank(test.field):
        return None
    if test.field.kind == "number":
        return compared(speaker, test.field, _OPPOSITE[test.op], test.value)
    return since(speaker, test.field, _OPPOSITE[test.op], test.value) if len(str(test.value)) == 4 else None


def _rate(field: Field, path: Path_, op: str, v: str, test: tuple[Test], tags: tuple[str], noun: str) -> Condition:
    """'averaged more than 12 points a game'."""
    things, _, unit = field.words.partition(" per ")
    within = many_things(op, v, things)
    verb = tuple(f"({'|'.join((*counted_by(things), 'averaged'))}|averaged) {w} (a|per) {unit}" for w in within)
    post = tuple(f"with {w} (a|per) {unit}" for w in within) + tuple(f"with a {noun} {w}" for w in _BOUNDS[op][0])
    return Condition(path, test, post=tuple(t.replace("{v}", v) for t in post), verb=verb, tags=tags)


def _by_actor(words: Words, amounts: list[str]) -> tuple[str, ...]:
    """A bound on one side's number: 'in which the hosts scored more than 130 points'."""
    bare_amounts = [a.replace(f"({'|'.join(words.plurals[:4])})", words.plurals[0].split(" ", 1)[1]) for a in amounts]
    did = "(scored|scored|put up|made)" if "points" in words.plurals[0] or "goals" in words.plurals[0] else "had"
    return tuple(f"(in which|where) the {words.actor} {did} {a}" for a in bare_amounts) + tuple(
        f"with {a}" for a in amounts
    )


# Bounds behind a noun, behind "is", behind a verb.
_BOUNDS = {
    ">": (
        ("(of more than|above|over|higher than|of over) {v}",),
        ("(above|over|more than|higher than) {v}",),
        ("(more than|over|above) {v}",),
    ),
    "<": (
        ("(of less than|below|under|lower than|of under) {v}",),
        ("(below|under|less than|lower than) {v}",),
        ("(less than|under|below) {v}",),
    ),
    ">=": (
        ("of (at least {v}|{v} or more|{v} or higher|{v} and up|no less than {v})",),
        ("(at least|no less than|not below) {v}", "{v} or (more|higher|above)"),
        ("(at least|no less than) {v}", "{v} or more"),
    ),
    "<=": (
        ("of (at most {v}|{v} or less|{v} or lower|up to {v}|no more than {v})",),
        ("(at most|no more than|not above) {v}", "{v} or (less|lower|below)"),
        ("(at most|no more than|up to) {v}", "{v} or less"),
    ),
}


def many_things(op: str, v: str, things: str) -> list[str]:
    """Templates of a bound on a number of things: 'more than 3 titles'."""
    one = v == "1" and op in (">", ">=", "=")
    v, things = counted(v), each(things, _one_thing) if one else things
    if one:
        return {
            ">": [f"more than {v} {things}"],
            ">=": [f"at least {v} {things}"],
            "=": [f"(exactly|just) {v} {things}"],
        }[op]
    return {
        ">": [f"(more than|over|more than) {v} {things}"],
        "<": [f"(fewer than|less than|under|fewer than) {v} {things}"],
        ">=": [f"(at least|no fewer than|a minimum of|at least) {v} {things}", f"{v} or more {things}"],
        "<=": [f"(at most|no more than|up to) {v} {things}", f"{v} or fewer {things}"],
        "=": [f"(exactly|just|) {v} {things}"],
    }[op]


def _one_thing(things: str) -> str:
    return "{np1}" if things == "{np}" else singular(things)


def more_than_other(speaker: Speaker, field: Field, other: Field) -> Condition | None:
    """One count of the row is above another: 'with more assists than rebounds'; None where that is never a question."""
    usual = sorted(f.numbers[len(f.numbers) // 2] for f in (field, other))
    if usual[1] > 6 * usual[0]:
        return None
    more, less = speaker.things(field), speaker.things(other)
    verb = tuple(f"{v} more {more} than {less}" for v in ("had", *speaker.words(field).verbs))
    post = (f"with more {more} than {less}",)
    return Condition((), (Test(field, ">", None, other),), post=post, verb=verb, tags=("columns",))


def computed(
    nouns: str, verbs: tuple[str, ...], op: str, value: object, sql: str, fields: tuple[Field, ...]
) -> Condition:
    """A bound on a number computed from the row: a margin, a rate, an age."""
    behind, _, _ = _BOUNDS[op]
    test = Test(fields[0], op, value, Computed(fields[-1], sql))
    post = tuple(f"with a {nouns} {w}".replace("{v}", str(value)) for w in behind)
    verb = verbs or tuple(f"have a {nouns} {w}".replace("{v}", str(value)) for w in behind)
    return Condition((), (test,), post=post, verb=verb, tags=("computed",))
