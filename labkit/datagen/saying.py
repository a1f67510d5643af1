"""What people say of a row's values: a condition on one field, drawn at random and worded.

Numbers are `bounds`, years and dates `times`; an unknown value is said to be unknown.
"""

import random
import re
from dataclasses import replace

from labkit.datagen.bounds import bound
from labkit.datagen.conditions import Condition, Named, Test
from labkit.datagen.phrases import literal, one_of, plural
from labkit.datagen.speaker import ON, Speaker
from labkit.datagen.times import dated, in_year, period
from labkit.datagen.world import Entity, Field, Path_
from labkit.schema import PLACEHOLDERS

_COMPASS = {"north": "northern", "south": "southern", "east": "eastern", "west": "western"}


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
        other = f"a {noun} other than {said}"
        if field.missing:  # who has none has not this one either
            return Condition(path, tests, post=(f"with {other}",), verb=(f"have {other}",), tags=("negation",))
        post = (f"whose {noun} (is not|is anything but|isn't) {said}", f"with {other}")
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
