"""Whom a question is about: a table's own rows, or the owners of its rows; and the noun phrase that says which of
them.

'players', 'contracts', or 'players' when the rows are contracts: the third is what lets people ask for the salary of
a player. A subject carries its source (table, joins, conditions) and renders as English in many ways.
"""

import random
import re
from dataclasses import dataclass, field

from labkit.datagen.build import Source
from labkit.datagen.conditions import Condition, Test
from labkit.datagen.phrases import expand, listed, plural, singular, third
from labkit.datagen.speaker import Speaker
from labkit.datagen.world import Entity, Field, Path_, spaced
from labkit.execution import execute_many
from labkit.schema import sql_name

_FILLED = 0.08  # of noun phrases say where the rows are, which goes without saying


@dataclass(frozen=True)
class View:
    """Rows of `root` as `who`, the entity at `path`. `period`: fixed for one row each; `implied`: always holds."""

    root: Entity
    who: Entity
    path: Path_ = ()
    period: Field | None = None
    implied: tuple[Test, ...] = ()
    one_each: bool = True

    @property
    def label(self) -> Field | None:
        return self.who.label or self.who.key

    @property
    def own(self) -> bool:
        return not self.path


def views(speaker: Speaker) -> list[View]:
    """Every table as itself, and tables without names as their owners', with what makes that one row an owner."""
    found = [View(e, e, period=_period(e)) for e in speaker.world.entities.values() if e.label or e.key]
    for root in speaker.world.entities.values():
        if root.label:
            continue
        for path in speaker.world.paths(root.table, 1)[1:]:
            who = speaker.world.end(root.table, path)
            if who.label and not path[0].role:
                scopes = (t for ref, t in speaker.glossary.implied.items() if ref.split(".")[0] == root.table)
                implied = tuple(dict.fromkeys(scopes))
                found.append(View(root, who, path, _period(root), implied))
    return _counted(speaker, found)


def _period(entity: Entity) -> Field | None:
    return next((f for f in entity.fields if f.kind == "period"), None)


def _counted(speaker: Speaker, found: list[View]) -> list[View]:
    """Whether each view has one row for each owner, asked of the database."""
    sqls = []
    for view in found:
        link = sql_name(view.path[0].column) if view.path else "1"
        key = f"{link} || '/' || {sql_name(view.period.name)}" if view.period else link
        where = " AND ".join(f"{sql_name(t.field.name)} = '{t.value}'" for t in view.implied) or "1"
        sqls.append(f"SELECT COUNT(*), COUNT(DISTINCT {key}) FROM {sql_name(view.root.table)} WHERE {where}")
    counts = execute_many(speaker.world.database, sqls)
    return [
        View(v.root, v.who, v.path, v.period, v.implied, v.own or (r.ok and r.rows[0][0] == r.rows[0][1]))
        for v, r in zip(found, counts, strict=True)
    ]


@dataclass
class Subject:
    """A view with conditions: `source` is its FROM and WHERE, `phrase` its noun phrase."""

    speaker: Speaker
    view: View
    conditions: list[Condition] = field(default_factory=list)
    source: Source | None = None

    def __post_init__(self):
        self.source = Source(self.speaker.world, self.view.root)
        if self.view.implied and not self.view.own:
            self.source.where(Condition((), self.view.implied))
        self.source.where(*self.conditions)

    @property
    def tags(self) -> list[str]:
        return [t for c in self.conditions for t in c.tags]

    def label(self) -> str:
        """The column that names the subject."""
        return self.view.label.column(self.source.at(self.view.path))

    def column(self, f: Field, path: Path_ = ()) -> str:
        return f.column(self.source.at(path))

    def read(self, f: Field, path: Path_ = ()) -> str:
        return f.read(self.source.at(path))

    def noun(self, rng: random.Random) -> str:
        """The head noun; persons are people as well."""
        names = self.speaker.nouns(self.view.who)
        if self.view.who.person and rng.random() < 0.05:
            return rng.choice(("person", "guy", "person"))
        return names[0] if rng.random() < 0.6 else rng.choice(names)

    def phrase(self, rng: random.Random, many: bool = True, verb: bool = False) -> "Phrase":
        """The noun phrase; with `verb`, one condition stands apart as a verb phrase where one can."""
        return _phrase(self, rng, many, verb)


@dataclass(frozen=True)
class Phrase:
    """`text`: the noun phrase, as a template; `verb`: what stands apart; `when`: an adverbial, put by the sentence."""

    text: str
    verb: str = ""
    when: str = ""
    plain: bool = False  # a bare noun, no conditions in it


def _phrase(subject: Subject, rng: random.Random, many: bool, apart: bool) -> Phrase:
    head, fresh, adjectives, posts, verbs, when, verb = subject.noun(rng), True, [], [], [], "", ""
    order = list(subject.conditions)
    rng.shuffle(order)
    for condition in sorted(order, key=lambda c: bool(c.verb or c.post or c.adjective)):
        forms = _forms(condition, fresh, many)
        if apart and not verb and condition.verb and rng.random() < 0.9:
            verb = expand(rng.choice(condition.verb), rng)
            continue
        form = _pick(forms, rng)
        text = expand(rng.choice(forms[form]), rng)
        if form == "time":
            when = text
        elif form == "noun" and fresh:
            head, fresh = text, False
        elif form in ("adjective", "noun"):
            adjectives.append(text)
        elif form == "post":
            posts.append(text if many else _singular_verb(text))
        else:
            verbs.append(text if many else _third(text))
    who = "who" if subject.view.who.person else "that"
    relative = f"{who} " + listed(verbs) if verbs else ""
    if subject.view.who.person and many and fresh and posts and not adjectives and not relative and rng.random() < 0.05:
        head = "=everyone"
    noun = head[1:] if head.startswith("=") else plural(head) if many else head
    filler, behind = _filler(subject, rng), sorted(posts, key=len)
    if any(post.startswith("of ") for post in behind):
        filler = ""  # 'pets in the clinic of Ann Lee'
    text = " ".join(filter(None, [*adjectives, noun, filler, *behind, relative]))
    return Phrase(text, verb, when, fresh and not adjectives and not posts and not verbs)


def _filler(subject: Subject, rng: random.Random) -> str:
    """What people say without narrowing anything down: 'players in the league', 'contracts on file'."""
    if rng.random() >= _FILLED:
        return ""
    world = subject.speaker.world
    place = spaced(world.database.stem)
    rows = {noun for entity in world.entities.values() for noun in (entity.noun, plural(entity.noun))}
    said = ["on file", "on record", "in the (data|records|database)"]
    return expand(rng.choice(said if place in rows or not place.isalpha() else [*said, *[f"in the {place}"] * 3]), rng)


def _third(verb: str) -> str:
    """'are shooting guards' -> 'is a shooting guard', 'weigh more' -> 'weighs more'."""
    kind = re.fullmatch(r"are ([a-z][a-z -]+)", verb)
    one = singular(kind[1]) if kind else ""
    return f"is a {one}" if kind and one != kind[1] else third(verb)


def _singular_verb(post: str) -> str:
    """'that are active' -> 'that is active'."""
    found = re.match(r"(that|who) (?=(are|were|have|run|end|expire|do|don't|lack|play)\b)", post)
    return found[0] + third(post[found.end() :]) if found else post


def _forms(condition: Condition, fresh: bool, many: bool) -> dict[str, tuple[str, ...]]:
    forms = {
        "noun": condition.noun,
        "adjective": condition.adjective,
        "post": condition.post,
        "verb": condition.verb,
        "time": condition.time,
    }
    if not many:
        forms["noun"] = tuple(n for n in forms["noun"] if not n.startswith("="))
    if not fresh and (forms["adjective"] or forms["post"] or forms["verb"]):
        forms["noun"] = ()
    return {k: v for k, v in forms.items() if v}


def _pick(forms: dict[str, tuple[str, ...]], rng: random.Random) -> str:
    weights = {"noun": 5, "adjective": 3, "post": 4, "verb": 3, "time": 9}
    names = list(forms)
    return rng.choices(names, [weights[n] for n in names])[0]
