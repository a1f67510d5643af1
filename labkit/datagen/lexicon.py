"""How people speak of a column: the nouns, questions, comparisons and verbs that belong to a word such as "weight".

A small dictionary of words that columns of all kinds of databases are named by, and general rules for all others. What
is particular to one database comes from its glossary (`glossary`), never from here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from labkit.datagen.phrases import is_plural, plural, singular
from labkit.datagen.sections import sections
from labkit.datagen.units import measures
from labkit.datagen.vocabulary import COUNTED, DOERS, SYNONYMS
from labkit.datagen.world import Entity, Field


@dataclass(frozen=True)
class Words:
    """Wording templates for one field. Slots: {x} a row's name, {v} a value.

    `nouns` and `plurals` name the fact; `ask` asks for it of one row; `verbs` take a value ("weigh"); `high` and `low`
    are (positive, comparative, superlative) adjectives for much and little, `best` and `worst` superlatives without a
    comparative ("best-paid"); `participle` a year's or date's ("founded", "born"); `counts`: a number of things.
    `equal*`: a category's value as head noun, adjective, behind the noun, as a verb phrase.
    """

    nouns: tuple[str, ...]
    plurals: tuple[str, ...]
    ask: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    high: tuple[tuple[str, str, str], ...] = ()
    low: tuple[tuple[str, str, str], ...] = ()
    best: tuple[str, ...] = ()
    worst: tuple[str, ...] = ()
    participle: str = ""
    ranked: str = ""  # what one is by a rank: "picked"
    counts: bool = False
    actor: str = ""  # whose number it is, for one of two sides: "(hosts|home team)"
    equal_noun: tuple[str, ...] = ()
    equal_adjective: tuple[str, ...] = ()
    equal_post: tuple[str, ...] = ()
    equal_verb: tuple[str, ...] = ()


@cache
def _known_columns() -> dict[str, dict]:
    """Column words -> the fields of `Words` that they bring, from `columns.txt`."""
    found: dict[str, dict] = {}
    for name, lines in sections("columns.txt").items():
        entry = found[name] = {}
        for form, _, said in (line.partition(": ") for line in lines):
            if form in ("participle", "ranked"):
                entry[form] = said
            elif form in ("high", "low"):
                entry[form] = (*entry.get(form, ()), tuple(said.split(", ")))
            else:
                entry[form] = (*entry.get(form, ()), *said.split(" / "))
    return found


_RANKS = frozenset(["pick", "rank", "ranking", "seed", "place", "standing"])


def is_rank(field: Field) -> bool:
    """Whether a small number is the better one: nobody takes 'the highest pick' for the last."""
    return field.kind == "number" and bool(_RANKS & set(field.words.split()))


@cache
def _counted() -> dict[str, tuple[str, ...]]:
    """Things -> what one does with so many of them, in the past."""
    return {thing: verbs for things, verbs in _said(COUNTED).items() for thing in things.split(", ")}


def synonyms(noun: str) -> tuple[str, ...]:
    """What else a row called by that noun may be called."""
    return _said(SYNONYMS).get(noun, ())


def doers(things: str) -> tuple[str, ...]:
    """What one is called who has many of those things: 'rebounder'."""
    return _said(DOERS).get(things, ())


@cache
def _said(data: str) -> dict[str, tuple[str, ...]]:
    pairs = [line.partition(": ") for line in filter(None, data.splitlines())]
    return {word: tuple(others.split(" / ")) for word, _, others in pairs}


SIDES = {"home": "(hosts|home team|home side)", "away": "(visitors|guests|away team|road team)"}


def words_for(field: Field, entity: Entity) -> Words:
    """The words of a field before any glossary is read."""
    name = field.words
    name = re.sub(r"\bpct\b|\bpercent\b", "percentage", name)
    name = re.sub(r"\bavg\b", "average", re.sub(r"\bnum\b|\bno\b", "number", re.sub(r"\bqty\b", "quantity", name)))
    name = re.sub(rf"^{re.escape(entity.noun)} (?=\w)", "", name)
    short = name.rpartition(" ")[0]
    name = short if measures(field.format.unit) and _known(short) else name  # nobody says 'size kb'
    known = _known(name)
    base = _base(name, field)
    side, _, thing = name.partition(" ")
    if base.counts and side in SIDES and thing:
        asked = (f"how many {thing} did the {SIDES[side]} {bare(base.verbs[0])} in {{x}}",)
        return replace(base, ask=asked, verbs=(), actor=SIDES[side])
    first, more = known.get("named", base.nouns), known.get("nouns", ())
    plurals = map(plural, first) if "named" in known else base.plurals
    own = {k: v for k, v in known.items() if k not in ("named", "nouns")}
    plurals = plurals if base.counts else merged(plurals, map(plural, more))  # 'days', never 'lengths in days'
    return replace(base, **own, nouns=merged(first, more), plurals=tuple(plurals))


def words_named(noun: str) -> Words:
    """The words for something of that name, no column."""
    own = {k: v for k, v in _known(noun).items() if k not in ("named", "nouns")}
    return replace(Words((noun,), (plural(noun),)), **own)


def merged(first: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """The first texts, and those of the others that are new."""
    return tuple(dict.fromkeys([*first, *more]))


def _known(name: str) -> dict:
    """The entry of the longest run of last words, or of a word for birth anywhere."""
    if re.search(r"\b(birth|born|dob)\b", name):
        return _known_columns()["birth year" if "year" in name else "birth"]
    words = name.split()
    tails = [" ".join(words[i:]) for i in range(len(words))]
    return next((_known_columns()[tail] for tail in tails if tail in _known_columns()), {})


def _base(name: str, field: Field) -> Words:
    """Words by the general rules, from the name's form and the kind of value."""
    done = re.fullmatch(r"(\w+s) (\w+ed|won|sold|written|built|made)", name)
    if field.kind == "flag":
        plain = re.sub(r"^(is|has) ", "", name)
        return Words((f"{plain} status",), (f"{plain} statuses",), (f"(is|was) {{x}} {plain}",))
    if field.kind == "number" and done:  # "games played"
        return _done_things(name, done[1], {"written": "wrote"}.get(done[2], done[2]))
    if field.kind == "number" and " per " in name:
        each = name.replace(" per ", " a ")
        return Words((name, each), (name,), (f"how many {each} did {{x}} (have|average)",), ("averaged",))
    if field.kind == "number" and is_plural(name) and not field.format.unit and field.format.decimals == 0:
        return _things(name)
    if field.kind in ("year", "date") and (
        at := re.fullmatch(r"(?:.* )?(\w+ed|paid|sent|sold|built|bought|made)(?: on| at| in)?", name)
    ):
        noun = f"{'date' if field.kind == 'date' else 'year'} {at[1]}"
        return Words((noun,), (f"dates {at[1]}",), (f"when was {{x}} {at[1]}",), participle=at[1])
    return Words((name,), (plural(name),))


def _done_things(name: str, things: str, verb: str) -> Words:
    ask = (f"how many {things} did {{x}} {bare(verb)}",)
    return Words((f"number of {name}",), (name, things), ask, (verb,), counts=True)


def counted_by(things: str) -> tuple[str, ...]:
    """What one does with so many of those things, in the past."""
    return _counted().get(things, ("had",))


def _things(name: str) -> Words:
    """A number of things: 'titles', that one won or has."""
    verbs = _counted().get(name.split()[-1], ("had", "have"))
    asks = tuple(f"how many {name} did {{x}} {bare(verb)}" for verb in verbs)
    asks += (f"how many {name} does {{x}} have",) if "had" in verbs else ()
    return Words((f"number of {name}", f"{singular(name)} total"), (name,), asks, verbs, counts=True)


def bare(past: str) -> str:
    """A past verb as after 'did': 'won' -> 'win', 'grabbed' -> 'grab', 'handed out' -> 'hand out'."""
    first, _, rest = past.partition(" ")
    if first in _BARE:
        first = _BARE[first]
    elif first.endswith("ed"):
        stem = first[:-2]
        doubled = len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] in "bdgmnprt"
        silent = re.search(r"([aeiou][cgsvz]|[^aeiou][aeiou]r|[aiou]g|[lt]l?[aeiou]?c)$", stem) and not doubled
        first = stem[:-1] if doubled else stem + "e" if silent else stem
    return f"{first} {rest}".strip()


_BARE = {
    "won": "win", "had": "have", "got": "get", "wrote": "write", "made": "make", "sold": "sell", "built": "build",
    "gave": "give", "scored": "score", "placed": "place", "used": "use", "handled": "handle", "averaged": "average",
    "collected": "collect", "recorded": "record", "played": "play", "pulled": "pull", "put": "put", "dished": "dish",
}  # fmt: skip
