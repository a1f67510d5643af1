"""An intent: one query with the many ways to ask for it. Drawing the conditions that say which rows; putting a sentence.

A family of intents (lookups, counts, superlatives ...) is a function that draws one: `families`. Frames are templates of
whole questions; {np} is the subject's noun phrase, {when} an adverbial such as 'in 2031'.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from labkit.datagen.build import text as sql_text
from labkit.datagen.conditions import Condition
from labkit.datagen.phrases import expand, listed, literal, lower_first, plural, possessive, third, tidy
from labkit.datagen.speaker import Speaker
from labkit.datagen.subjects import Phrase, Subject, View, views
from labkit.datagen.world import Entity, Field, Path_

Slots = Callable[[random.Random], dict[str, str]]


@dataclass
class Intent:
    """What is asked, as SQL and as frames. `slots(rng)` fills a frame's slots anew for each wording."""

    family: str
    sql: str
    frames: tuple[str, ...]
    slots: Slots
    tags: tuple[str, ...] = ()
    unique: str = ""  # a query that gives more than one row when a LIMIT would cut a tie

    def word(self, rng: random.Random) -> str:
        """One wording."""
        slots = self.slots(rng)
        frame = expand(rng.choice(self.frames), rng)
        when = expand(slots.pop("when", ""), rng)
        front = bool(when) and "{when}" in frame and rng.random() < 0.25 and frame[:1].isalpha()
        for _ in range(3):
            for name, value in slots.items():
                frame = frame.replace("{" + name + "}", value)
        text = expand(frame, rng, {"when": "" if front else when})
        return tidy(f"{when}, {lower_first(text)}" if front else text)


class Drawer:
    """Draws subjects for families: a view, conditions on it, facts to show; all from one random stream."""

    def __init__(self, speaker: Speaker, rng: random.Random, favoured: Callable[[Field], float] | None = None):
        self.speaker, self.rng, self.world = speaker, rng, speaker.world
        self.views = views(speaker)
        self.favoured = favoured or (lambda f: 1.0)

    # --- subjects -----------------------------------------------------------------------------------------------------

    def view(self, test: Callable[[View], bool] = lambda v: True) -> View | None:
        """A view; tables with more columns come up more often."""
        usable = [v for v in self.views if test(v)]
        weights = [
            (len(v.root.fields) + (6 if v.root.label else 0)) * max(map(self.favoured, v.root.fields), default=1)
            for v in usable
        ]
        return self.rng.choices(usable, weights)[0] if usable else None

    def subject(
        self, view: View, conditions: int | None = None, without: Sequence[Field] = (), period: bool = True
    ) -> Subject:
        """A subject with some conditions on different fields, the period fixed where the view needs one."""
        rng = self.rng
        wanted = rng.choices((0, 1, 2, 3), (2, 6, 4, 1))[0] if conditions is None else conditions
        chosen: list[Condition] = []
        if view.period and period and (not view.own or rng.random() < 0.8):
            chosen.append(self.speaker.period(view.period, rng))
        taken = {f.ref for f in without} | {f.ref for c in chosen for f in c.fields}
        for _ in range(wanted * 3):
            if len(chosen) >= wanted + bool(chosen and chosen[0].time):
                break
            condition = self.condition(view)
            if (
                condition
                and not taken & {f.ref for f in condition.fields}
                and (len(chosen) < 1 or sum(map(_heads, chosen)) + _heads(condition) < 2)
            ):
                chosen.append(condition)
                taken |= {f.ref for f in condition.fields}
        return Subject(self.speaker, view, chosen)

    def condition(self, view: View) -> Condition | None:
        """A condition on the rows, on their owner, or on what they belong to."""
        rng, paths = self.rng, self.world.paths(view.root.table, 2)
        dice = rng.random()
        if dice < 0.5 or len(paths) == 1:
            return self._own(view)
        path = view.path if view.path and dice < 0.65 else rng.choice(paths[1:])
        entity = self.world.end(view.root.table, path)
        if path == view.path or (len(path) == 2 and path[:1] == view.path and not path[1].role):
            return self.on_owner(view, entity, path)
        if path[-1].role or len(path) > 1:
            return self.belonging(view, path) if entity.label and len(path) == 1 else None
        return self.belonging(view, path) if entity.label and rng.random() < 0.75 else self.shared(view, path)

    def _own(self, view: View) -> Condition | None:
        fields = [
            f for f in view.root.fields if f.kind not in ("id", "link", "label", "period") and (f.values or f.missing)
        ]
        fields = [
            f
            for f in fields
            if not (f.kind == "text" and len(f.values) > 400) and f.ref not in {t.field.ref for t in view.implied}
        ]
        named = [n for n in self.speaker.glossary.named if n.table == view.root.table]
        if named and self.rng.random() < 0.35:
            return self.speaker.from_named(self.rng.choice(named))
        if not fields:
            return None
        return self.speaker.draw_on(self.rng.choices(fields, list(map(self.favoured, fields)))[0], self.rng)

    def on_owner(self, view: View, entity: Entity, path: Path_) -> Condition | None:
        """A condition that is said of the subject though it is stored with the owner or the owner's group."""
        if path == view.path:
            return self.speaker.draw(entity, self.rng, path)
        return self.belonging(view, path) if entity.label and self.rng.random() < 0.8 else self.shared(view, path)

    def shared(self, view: View, path: Path_) -> Condition | None:
        """A fact of what the rows belong to, where it can be said of the rows: place or category ('southern players')."""
        entity = self.world.end(view.root.table, path)
        fields = [f for f in entity.fields if f.kind == "category"]
        if not fields:
            return None
        inner = self.speaker.equal(self.rng.choice(fields), self.rng, path)
        head = self.speaker.nouns(entity)[0]
        posts = [f"{self._preposition(view, entity)} {a} {plural(head)}" for a in inner.adjective]
        posts += [f"{self._preposition(view, entity)} {plural(head)} {p}" for p in inner.post]
        nouns = [f"{self._preposition(view, entity)} {plural(n)}" for n in inner.noun]
        return Condition(path, inner.tests, post=tuple(posts + nouns), tags=inner.tags)

    def _preposition(self, view: View, entity: Entity) -> str:
        from labkit.datagen.speaker import _AT, _ON

        if entity.person or not view.who.person:
            return "of"
        return "(on|of)" if entity.noun in _ON else "(at|of)" if entity.noun in _AT else "(from|of)"

    def belonging(self, view: View, path: Path_) -> Condition | None:
        """The rows belong to one named row elsewhere: 'on the Foxes', "Ann's pets", 'home games of the Owls'."""
        rng, entity = self.rng, self.world.end(view.root.table, path)
        value = rng.choice(entity.label.values)[0]
        return self.belonging_to(view, path, value)

    def belonging_to(self, view: View, path: Path_, value: object) -> Condition:
        """`belonging`, to the row of that name."""
        from labkit.datagen.conditions import Test

        entity = self.world.end(view.root.table, path)
        name, test = self.speaker.name(entity, value), (Test(entity.label, "=", value),)
        link = path[-1]
        if link.role:
            return self._role(view, path, entity, name, test)
        if view.who.person and not entity.person:
            prep = self._preposition(view, entity)
            verbs = [f"play for {name}"] if entity.noun == "team" else [f"are with {name}", f"belong to {name}"]
            plain = literal(str(value))
            is_people = entity.noun in ("team", "squad", "band") and str(value).endswith("s")
            nouns = (f"={plain}",) if is_people else ()
            adjective = (f"{plain}",) if is_people else ()
            verbs += [f"are (on|with) {name}"] if entity.noun in ("team", "squad") else []
            posts = (f"{prep} {name}", f"(for|with|on) {name}" if entity.noun == "team" else f"{prep} {name}")
            return Condition(path, test, nouns, adjective, posts, tuple(verbs), tags=("nickname",))
        if entity.person:
            return Condition(
                path,
                test,
                post=(f"(of|belonging to|owned by) {name}" if view.own else f"of {name}",),
                adjective=(possessive(name),),
                verb=(f"belong to {name}",),
            )
        return Condition(
            path,
            test,
            post=(
                f"(of|for|at|in) {name}".replace(
                    "(of|for|at|in)", "(at|in)" if not entity.person and entity.noun not in _GROUPS else "(of|for)"
                ),
            ),
            tags=("nickname",),
        )

    def _role(self, view: View, path: Path_, entity: Entity, name: str, test: tuple) -> Condition:
        role, noun = path[-1].role, plural(view.root.noun)
        extra = {
            "home": (f"hosted by {name}", f"that {name} (hosted|played at home)", f"at {name}"),
            "away": (
                f"that {name} played (on the road|away)",
                f"with {name} as (visitors|guests)",
                f"with {name} on the road",
            ),
        }
        posts = extra.get(role, (f"with {name} as [the] {role} {entity.noun}", f"whose {role} {entity.noun} is {name}"))
        return Condition(
            path,
            test,
            (),
            (f"{possessive(name) if not name.startswith('(') else name} {role}",) if role in extra else (),
            posts,
            tags=("role",),
        )

    # --- facts --------------------------------------------------------------------------------------------------------

    def facts(self, view: View, kinds: Sequence[str] | None = None) -> list[Field]:
        """Fields of the rows themselves that can be shown or measured."""
        fixed = {t.field.ref for t in view.implied}
        usable = [
            f
            for f in view.root.fields
            if f.kind not in ("id", "link", "label", "period") and f.ref not in fixed and f.values
        ]
        return [f for f in usable if kinds is None or f.kind in kinds]

    def pick(self, fields: Sequence[Field]) -> Field | None:
        return self.rng.choices(fields, list(map(self.favoured, fields)))[0] if fields else None


_GROUPS = frozenset(["team", "squad", "band", "club"])


def _heads(condition: Condition) -> int:
    """Whether a condition can only be the head noun."""
    return bool(condition.noun and not (condition.adjective or condition.post or condition.verb))


# --- sentences --------------------------------------------------------------------------------------------------------


def finished(
    family: str,
    query: exp.Expression,
    frames: Sequence[str],
    slots: Slots,
    tags: Sequence[str] = (),
    unique: exp.Expression | None = None,
) -> Intent:
    """An intent from a query tree."""
    return Intent(
        family,
        sql_text(query),
        tuple(frames),
        slots,
        tuple(dict.fromkeys(tags)),
        sql_text(unique) if unique is not None else "",
    )


def subject_slots(subject: Subject, **fixed: str) -> Slots:
    """Slots {np} (plural), {np1} (singular), {head}, {when} and those given; fixed ones are templates as well."""

    def fill(rng: random.Random) -> dict[str, str]:
        many, one = subject.phrase(rng), subject.phrase(rng, many=False)
        when = many.when
        apart = subject.phrase(rng, verb=True)
        clause, asked = clause_of(subject, apart, rng)
        slots = {"np": many.text, "np1": one.text, "when": f" {when}" if when else "", "clause": clause, "asked": asked}
        return {**slots, **fixed}

    return fill


def clause_of(subject: Subject, phrase: Phrase, rng: random.Random) -> tuple[str, str]:
    """('players weigh over 230 pounds', 'which players weigh ...' or 'who weighs ...')."""
    if not phrase.verb:
        word = "which" if not subject.view.who.person or rng.random() < 0.5 else "who are the"
        if word == "which":
            return f"{phrase.text} are there", f"which {phrase.text} (are there|do we have|are there)"
        return f"{phrase.text} are there", f"who are (the|all) {phrase.text}"
    if subject.view.who.person and phrase.plain and rng.random() < 0.5:
        return f"{phrase.text} {phrase.verb}", f"who {third(phrase.verb)}"
    if subject.view.who.person and not phrase.plain and rng.random() < 0.3:
        return f"{phrase.text} {phrase.verb}", f"who of the {phrase.text} {third(phrase.verb)}"
    return f"{phrase.text} {phrase.verb}", f"(which|which|what) {phrase.text} {phrase.verb}"


def shown(speaker: Speaker, fields: Sequence[Field], rng: random.Random, many: bool = False) -> str:
    """'name and weight', 'names and weights'."""
    words = [speaker.words(f) for f in fields]
    return listed(
        [
            rng.choice((w.nouns if not many else w.plurals)[:2]) if w.nouns else f.words
            for w, f in zip(words, fields, strict=True)
        ]
    )
