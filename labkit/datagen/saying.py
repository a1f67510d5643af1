"""What people say of a row's values: a condition on one field, drawn at random and worded.

Bounds are worded so that 'over 20' leaves 20 out and 'at least 20' takes it in; an unknown value is said to be
unknown.
"""

import random
import re
from dataclasses import replace

from labkit.datagen.conditions import Computed, Condition, Named, Test
from labkit.datagen.formats import round_bound, say
from labkit.datagen.lexicon import Words, counted_by, is_rank
from labkit.datagen.phrases import counted, each, literal, one_of, ordinal, plural, singular
from labkit.datagen.speaker import ON, Speaker
from labkit.datagen.times import dated, in_year, period, since
from labkit.datagen.world import Entity, Field, Path_
from labkit.schema import PLACEHOLDERS

_COMPASS = {"north": "northern", "south": "southern", "east": "eastern", "west": "western"}
_IDENTIFYING = ("jersey", "number", "code", "room", "rank")  # numbers that are names: never over or under


def draw(speaker: Speaker, entity: Entity, rng: random.Random, path: Path_ = ()) -> Condition | None:
    """A condition on a row of `entity`, reached by `path` from the table that the question is about."""
    named = [n for n in speaker.glossary.named if n.table == entity.table]
    if named and rng.random() < 0.4:
        return from_named(rng.choice(named), path)
    fields = sayable(entity)
    return draw_on(speaker, rng.choice(fields), rng, path) if fields else None


def sayable(entity: Entity) -> list[Field]:
    """Fields that conditions can be about: no names, no keys, no free text."""
    found = [f for f in entity.fields if f.kind not in ("id", "link", "label", "period") and (f.values or f.missing)]
    return [f for f in found if f.kind != "text" or (len(f.values) <= 400 and not f.unique)]


def draw_on(speaker: Speaker, field: Field, rng: random.Random, path: Path_ = ()) -> Condition | None:
    """A condition on one field, of the kinds that it allows."""
    few = field.kind == "number" and len(field.values) <= 3
    named = [n for n in speaker.glossary.named if n.tests[0].field.ref == field.ref] if few else []
    if named:  # of two or three numbers, the glossary's words say which: 'double overtime'
        return from_named(rng.choice(named), path)
    if field.missing and rng.random() < (0.2 if field.values else 1):
        return missing(speaker, field, path, rng.random() < 0.6)
    if not field.values:
        return None
    ways = {
        "category": equal,
        "text": equal,
        "flag": flag,
        "number": bound,
        "year": in_year,
        "period": period,
        "date": dated,
    }
    return ways[field.kind](speaker, field, rng, path)


def from_named(named: Named, path: Path_ = ()) -> Condition:
    """A condition that the glossary names."""
    return Condition(
        path,
        named.tests,
        tuple(named.noun),
        tuple(named.adjective),
        tuple(named.post),
        tuple(named.verb),
        tags=("glossary",),
    )


# --- missing values ---------------------------------------------------------------------------------------------------


def missing(speaker: Speaker, field: Field, path: Path_, absent: bool) -> Condition:
    """The field has no value, or has one; a special word among numbers ('undrafted') is said as it is."""
    special = next((m for m in field.missing if m is not None and m.strip().casefold() not in PLACEHOLDERS), None)
    if special is not None:
        return _special(speaker, field, path, special, absent)
    words = speaker.words(field)
    noun, one = words.nouns[0], _one(words.nouns[0])
    test = Test(field, "null" if absent else "known")
    named = next((n for n in speaker.glossary.named if n.tests == (test,)), None)
    own = from_named(named, path) if named else Condition(path, (test,))
    if absent:
        post = (f"(without {one}|with no {noun}|with no known {noun}|with no recorded {noun}|without a known {noun})",)
        post += (f"whose {noun} is (unknown|not known|missing|not recorded|not on file)",)
        post += tuple(f"whose {noun} is {w}" for w in speaker.glossary.missing.get(field.ref, ()))
        verb = (f"have no (|recorded|known) {noun}", f"(lack|don't have|are missing) {one}")
    else:
        some = words.plurals[0] if words.counts else one
        post, verb = (
            (f"with {some}", f"with a known {noun}", f"whose {noun} is (known|on file|recorded)"),
            (f"have {some}",),
        )
    return replace(own, post=(*own.post, *post), verb=(*own.verb, *verb), tags=("null",))


def _special(speaker: Speaker, field: Field, path: Path_, word: str, absent: bool) -> Condition:
    test, text = Test(field, "=" if absent else "<>", word), literal(word)
    if absent:
        return Condition(path, (test,), (), (text,), (), (f"are {text}", f"went {text}"), tags=("null",))
    return Condition(
        path, (test,), (), (f"(not {text}|non-{text})",), (), (f"are not {text}",), tags=("null", "negation")
    )


def _one(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"


# --- texts ------------------------------------------------------------------------------------------------------------


def equal(speaker: Speaker, field: Field, rng: random.Random, path: Path_ = ()) -> Condition:
    """The field has one of its values (frequent ones more often), now and then one of two, or not this one."""
    values = [v for v, _ in field.values]
    value = rng.choices(values, [n**0.5 for _, n in field.values])[0]
    if field.names and speaker.world.entities[field.names].label:
        return names_row(speaker, field, value, path)
    noun, dice = speaker.words(field).nouns[0], rng.random()
    if len(values) >= 3 and dice < 0.08:
        a, b = rng.sample(values, 2)
        said = f"(|either ){_value(speaker, field, a)} or {_value(speaker, field, b)}"
        return Condition(
            path, (Test(field, "in", (a, b)),), post=(f"whose {noun} is {said}", f"with {noun} {said}"), tags=("in",)
        )
    if len(values) >= 3 and dice < 0.14:
        tests = (Test(field, "<>", value), *(Test(field, "<>", m) for m in field.missing if m is not None))
        said = _value(speaker, field, value)
        post = (f"whose {noun} (is not|is anything but|isn't) {said}", f"with a {noun} other than {said}")
        verb = tuple(
            f"are not {v[4:]}" for t in speaker.words(field).equal_verb if (v := t.replace("{v}", said))[:4] == "are "
        )
        return Condition(path, tests, post=post, verb=verb, tags=("negation",))
    return is_value(speaker, field, value, path)


def _value(speaker: Speaker, field: Field, value: object) -> str:
    called = speaker.glossary.values.get((field.ref, value), [])
    return one_of([*called, *called, literal(str(value))]) if called else literal(str(value))


def is_value(speaker: Speaker, field: Field, value: object, path: Path_ = ()) -> Condition:
    """The field has this value: 'point guard', 'in the North', 'active'."""
    words, noun, plain = speaker.words(field), speaker.words(field).nouns[0], literal(str(value))
    called = tuple(speaker.glossary.values.get((field.ref, value), []))
    heads, adjectives = list(called), [t.replace("{v}", plain) for t in words.equal_adjective]
    compass = _COMPASS.get(str(value).lower())
    adjectives += [f"({compass}|{compass}|{plain})"] if compass else []
    kind = re.search(r"\b(species|type|kind|category|animal|role|job|profession|occupation)$", noun)
    if kind and re.fullmatch(r"[a-z]{3,}", str(value)):
        heads.append(plain)
    if not (heads or adjectives or words.equal_post) and field.kind == "category" and len(str(value)) < 20:
        adjectives.append(plain)
    post = [t.replace("{v}", plain) for t in words.equal_post] or [f"with {noun} {plain}", f"whose {noun} is {plain}"]
    verb = [t.replace("{v}", plain) for t in words.equal_verb] + [f"are {plural(c)}" for c in heads]
    if called:
        post, verb = [f"with {noun} {plain}"], verb + [f"play {c}" for c in called if noun == "position"]
    return Condition(path, (Test(field, "=", value),), tuple(heads), tuple(adjectives), tuple(post), tuple(verb))


def names_row(speaker: Speaker, field: Field, value: object, path: Path_) -> Condition:
    """A text that names a row elsewhere: 'for the Foxes'."""
    entity = speaker.world.entities[field.names]
    name = speaker.name(entity, value)
    if entity.noun not in ON:
        return Condition(
            path, (Test(field, "=", value),), post=(f"(of|with) {name}",), verb=(f"(were with|had) {name}",)
        )
    verb = f"(played for|were with|were on|suited up for|played for) {name}"
    post = (f"(for|of|with|on|for) {name}", f"who (played for|were on|were with) {name}")
    return Condition(path, (Test(field, "=", value),), post=post, verb=(verb,), tags=("nickname",))


def flag(speaker: Speaker, field: Field, rng: random.Random, path: Path_ = ()) -> Condition:
    """Y/N: the column's name as an adjective ('paid', 'unpaid')."""
    value = rng.choice([v for v, _ in field.values])
    word = re.sub(r"^(is|has) ", "", field.words)
    yes = str(value).lower() in ("y", "yes", "t", "true", "1")
    named = next((n for n in speaker.glossary.named if n.tests == (Test(field, "=", value),)), None)
    own = from_named(named, path) if named else Condition(path, (Test(field, "=", value),))
    adjective = () if named and not yes else (word,) if yes else (f"(not {word}|non-{word})",)
    verb = (f"(are|were|have been) {word}",) if yes else (f"(are not|were not|have not been|aren't) {word}",)
    return replace(own, adjective=(*own.adjective, *adjective), verb=(*own.verb, *verb), tags=("flag",))


# --- numbers ----------------------------------------------------------------------------------------------------------


def bound(speaker: Speaker, field: Field, rng: random.Random, path: Path_ = ()) -> Condition:
    """A number above, below, at least, at most, between, or equal."""
    if is_rank(field):
        return ranked(speaker, field, rng, path)
    numbers, feet = field.numbers, field.format.unit == "ft"
    many = len(set(numbers)) > 25
    identifying = any(word in field.words.split() for word in _IDENTIFYING) or len(set(numbers)) <= 3
    few = len(set(numbers)) <= 60 and field.format.decimals == 0
    weights = (0, 0, 0, 0, 0, 1) if identifying else (4, 3, 3, 2, 2, 3 if few else 0.3)
    kind = rng.choices((">", "<", ">=", "<=", "between", "="), weights)[0]
    if kind == "=":
        value = rng.choice(numbers)
        stored = next(v for v, _ in field.values if field.format.read(v) == value)
        return _equals(speaker, field, value, path, Test(field, "=", stored if field.format.stored_as_text else value))
    shares = (0.05, 0.1, 0.25, 0.4, 0.5) if kind[0] == "<" else (0.5, 0.6, 0.75, 0.85, 0.92, 0.96)
    value = numbers[int(len(numbers) * rng.choice(shares))]
    value = round_bound(value, field.format.unit) if many and not feet else value
    if kind == "between":
        low = numbers[int(len(numbers) * rng.choice((0.2, 0.4, 0.6)))]
        low = round_bound(low, field.format.unit) if many and not feet else low
        if low < value:
            return _between(speaker, field, low, value, path)
        kind = ">="
    return compared(speaker, field, kind, value, path)


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
