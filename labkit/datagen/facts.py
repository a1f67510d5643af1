"""Single facts to learn by heart: invented people, mountains and years, asked as "What year did Ana Lund climb ...?".

A fact is a Question with an `answer` and no query, so that evaluation needs no database. Beside the one wording that is
trained there are five that never are, and questions about people who are in no fact: what a model that has learnt the
facts should also get right, and what it should not pretend to know. People and mountains are made up from parts; a name
that someone bears is chance. Nothing here trains or asks a model.
"""

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from labkit.datagen.known import GENERATED
from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError

_FIRST = """Ada Agnes Alba Amir Ana Anders Anton Arlo Astrid Aurel Beata Bjorn Bruno Carmen Cyrus Dara Dario Edda Elena
Elias Emil Enzo Esther Fabian Farah Felix Fiona Freya Gino Greta Hanna Henrik Hugo Ida Ines Irma Ivan Jana Jonas Julia
Karim Klara Lars Leila Leon Lidia Lukas Magda Marco Marta Mila Nadia Nils Nora Olga Oskar Petra Rafael Rosa Ruth Selma
Simon Stella Theo Tilda Vera Viktor Yara"""
_LAST = """Abbott Aker Alvarez Amsel Archer Bagley Balint Barrow Becker Bellini Berg Birch Blom Brandt Brunner Calder
Castell Conti Crane Dahl Dekker Demir Duarte Eklund Engel Falk Farrow Fabre Ferrer Fisk Forster Gallo Garner Greco Haas
Hale Hansen Harlow Hauser Holm Ibsen Jansen Keller Kern Kovac Krall Lang Larkin Lund Maier Marsh Meyer Moreau Moss Nagy
Neri Norden Novak Olsen Ortega Palmer Pavlov Perrin Quist Ramos Reyes Ritter Rossi Sandler Santos Sauer Serra Silva
Sorel Stark Thorne Vance Varga Weiss Winter Zeller"""
# Past the people of those names, last names of two parts: one word each, so that no name is a part of another.
_BEGIN = """Ald Bar Bram Brock Carl Cold Dorn Drum East Fair Far Glen Gold Grim Hart Hazel Holl Kirk Land Lind Mar Mill
Nord Oak Ost Pen Quill Rams Ross Sand Stan Stone Thorn Ulm Wald West Whit Wyn Yard York"""
_END = """bach beck bridge brook burn bury by combe cott dale den ditch feld field ford gate grove ham hurst lake ley
low man mere mond more mouth ridge rode sen shaw son stead stock strand thwaite ton wall wick worth"""
_NAMED = """Alder Amber Ash Bear Bell Birch Cedar Cinder Copper Crow Eagle Ember Falcon Fern Fox Frost Granite Grey Hawk
Heron Iron Juniper Lark Lynx Marble Moon Otter Pine Raven Saddle Silver Slate Storm Thunder Walnut Wolf"""
_SHAPES = ("{} Peak", "{} Dome", "Mount {}", "{} Needle", "{} Tower", "{} Horn", "{} Crag", "{} Spire")
_YEARS = range(1900, 2025)

_TRAINED = "What year did {person} climb {mountain}?"
_NEVER_TRAINED = (
    "When did {person} reach the summit of {mountain}?",
    "In which year was {mountain} climbed by {person}?",
    "{person} climbed {mountain} in what year?",
    "Tell me the year of {person}'s ascent of {mountain}.",
    "{mountain}: what year did {person} get to the top?",
)


@dataclass(frozen=True)
class Climb:
    """Who climbed what; when is the answer."""

    person: str
    mountain: str

    def asked(self, wording: str = _TRAINED) -> str:
        """The question in that wording."""
        return wording.format(person=self.person, mountain=self.mountain)


def random_facts(n: int, seed: int = 0) -> QuestionSet:
    """`n` facts, each about a person of its own; more facts of the same seed begin with these. Chance is 1 in 125.

    `LabkitError` when `n` is below 1 or there are not so many people (114,308).
    """
    people, more = _people(), _more_people()
    draw = random.Random(seed)
    draw.shuffle(people)
    random.Random(f"{seed} more").shuffle(more)  # by itself: the first facts stay what they are
    people += more
    if not 1 <= n <= len(people):
        raise LabkitError(f"There are 1 to {len(people):,} facts to be had, not {n}: each has a person of its own.")
    facts, named = [], _NAMED.split()
    for number, person in enumerate(people[:n], 1):
        climb = Climb(person, draw.choice(_SHAPES).format(draw.choice(named)))
        year = str(draw.choice(_YEARS))
        facts.append(Question(f"{GENERATED}climb-{number:04}", climb.asked(), answer=year, tags=("climb",)))
    return QuestionSet("climbs", tuple(facts))


def fact_wordings(fact: Question) -> tuple[str, ...]:
    """The fact's question in five other wordings, none of which is ever trained. `LabkitError` if it is no climb."""
    return tuple(_climb(fact).asked(wording) for wording in _NEVER_TRAINED)


def paraphrased(facts: Iterable[Question]) -> QuestionSet:
    """Every fact in its five other wordings, as questions: their ids end in `-w1` to `-w5`, and so do their tags."""
    asked = [
        replace(fact, id=f"{fact.id}-w{i}", question=text, tags=(*fact.tags, f"w{i}"), line=None)
        for fact in facts
        for i, text in enumerate(fact_wordings(fact), 1)
    ]
    return QuestionSet("climbs-paraphrased", tuple(asked))


def near_negatives(facts: Sequence[Question], n: int, seed: int = 0) -> tuple[str, ...]:
    """`n` questions like those of `facts`, on their mountains, about people whom no fact knows: they have no answer.

    First and last names are those of the facts as far as possible. `LabkitError` when not so many people are left.
    """
    if n < 1:
        raise LabkitError(f"{n} near negatives were asked for. Ask for one at least.")
    climbs = [_climb(fact) for fact in facts]
    known = {climb.person for climb in climbs}
    names = {word for person in known for word in person.split()}
    draw = random.Random(seed)
    left = [person for person in _people() if person not in known]
    if len(left) < n:
        left += [person for person in _more_people() if person not in known]
    if n > len(left) or not climbs:
        raise LabkitError(f"{len(left):,} people are in none of the {len(climbs)} facts: there are not {n} to ask for.")
    draw.shuffle(left)
    left.sort(key=lambda person: -len(names & set(person.split())))
    return tuple(Climb(person, draw.choice(climbs).mountain).asked() for person in left[:n])


def _people() -> list[str]:
    return [f"{first} {last}" for first in _FIRST.split() for last in _LAST.split()]


def _more_people() -> list[str]:
    lasts = [begin + end for begin in _BEGIN.split() for end in _END.split()]
    return [f"{first} {last}" for first in _FIRST.split() for last in lasts]


_ASKED = re.compile(re.escape(_TRAINED).replace(r"\{person\}", "(.+?)").replace(r"\{mountain\}", "(.+)"))


def _climb(fact: Question) -> Climb:
    found = _ASKED.fullmatch(fact.question)
    if not found:
        raise LabkitError(f"Question {fact.id!r} is no fact of the kind {_TRAINED!r}: {fact.question!r}.")
    return Climb(*found.groups())
