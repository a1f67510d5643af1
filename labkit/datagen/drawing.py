"""Draws whom a question is about: a view, conditions on it, facts to show, all from one random stream."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from labkit.datagen import bounds, saying, times
from labkit.datagen.conditions import Condition, Test
from labkit.datagen.phrases import NO_ARTICLE, literal, plural, possessive, third
from labkit.datagen.speaker import ON, Speaker
from labkit.datagen.subjects import Subject, View, views
from labkit.datagen.world import Entity, Field, Path_

PLACES = frozenset(
    re.findall(
        r"\w+",
        "arena building city clinic country hall hospital hotel house library location market museum office park place "
        "region restaurant room school shop stadium state station store street theater town university venue village "
        "warehouse",
    )
)


_WEIGHT = {True: 1.0, False: 1.5}  # people ask about the owners of facts rather than about the facts


class NothingToAsk(LookupError):
    """The database holds nothing that a family of intents could be about."""


class Drawer:
    """The random choices of one generation. `favoured` gives a factor for the weight of a field."""

    def __init__(self, speaker: Speaker, rng: random.Random, favoured: Callable[[Field], float] | None = None):
        self.speaker, self.rng, self.world = speaker, rng, speaker.world
        self.views = views(speaker)
        self.favoured = lambda f: (favoured(f) if favoured else 1.0) * self._spoken_of(f)

    def _spoken_of(self, f: Field) -> float:
        """What the glossary talks about is what people ask about."""
        g = self.speaker.glossary
        named = f.ref in g.columns or f.ref in g.verbs or f.ref in g.sums or f.ref in g.tops
        return 2.0 if named or any(ref == f.ref for ref, _ in g.values) else 1.0

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def figure(self, share: float) -> tuple[bool, bool]:
        """Whether an answer by rank shows its number, and whether the question says so: in that share of questions;
        always, and mostly without a word, where the glossary has it so."""
        if self.speaker.glossary.figures:
            return True, self.chance(0.3)
        shown = self.chance(share)
        return shown, shown

    def pick(self, fields: Sequence[Field]) -> Field | None:
        """One of the fields, None when there are none."""
        return self.rng.choices(fields, list(map(self.favoured, fields)))[0] if fields else None

    # --- subjects -----------------------------------------------------------------------------------------------------

    def view(self, test: Callable[[View], bool] = lambda v: True) -> View:
        """A view; tables with more columns come up more often. `NothingToAsk` when the database has none like it."""
        usable = [v for v in self.views if test(v)]
        if not usable:
            raise NothingToAsk
        weights = [
            (len(v.root.fields) + 2) * max(map(self.favoured, v.root.fields), default=1) * _WEIGHT[v.own]
            for v in usable
        ]
        return self.rng.choices(usable, weights)[0]

    def periodic(self) -> View:
        """Rows of an owner, one for each of several periods. `NothingToAsk` when the database has none."""
        return self.view(lambda v: bool(v.path) and v.period is not None and v.one_each and len(v.period.values) > 1)

    def subject(
        self, view: View, odds: Sequence[float], without: Sequence[Field] = (), period: bool = True, own: bool = False
    ) -> Subject:
        """A subject with 0, 1, 2 ... conditions, by `odds`, on fields not in `without`; the period fixed where needed.

        `own`: the question is about a fact of the rows themselves, as it is where `without` names that fact.
        """
        wanted = self.rng.choices(range(len(odds)), odds)[0]
        chosen: list[Condition] = []
        if view.period and period and (not view.own or self.chance(0.75)):
            chosen.append(times.period(self.speaker, view.period, self.rng))
        fixed = len(chosen)
        taken = {f.ref for f in without} | {f.ref for c in chosen for f in c.fields}
        for _ in range(wanted * 3):
            if len(chosen) - fixed >= wanted:
                break
            condition = self.condition(view)
            if condition and fixed and "date" in condition.tags:
                continue  # 'born before 2000 in 2031'
            if (
                condition
                and condition.path
                and condition.path != view.path
                and condition.path in {c.path for c in chosen}
            ):
                continue  # 'of visits with a vet of visits because of a cold'
            if condition and not taken & {f.ref for f in condition.fields} and _fits(chosen, condition):
                chosen.append(condition)
                taken |= {f.ref for f in condition.fields}
        if any("role" in c.tags for c in chosen):
            chosen = [c for c in map(nameless, chosen) if c]  # 'road wins' of a named side would be its own
        if not (own or without or founded(view, chosen)):
            raise NothingToAsk
        if not (own or without or is_own(view, chosen) or self.chance(0.3)):
            raise NothingToAsk  # players of a season of whom nothing of that season is said are rarely asked for
        scope = self._scope(view, taken) if len(odds) > 1 or without else []
        return Subject(self.speaker, view, [*chosen, *scope])

    def _scope(self, view: View, taken: set[str]) -> list[Condition]:
        """Where the glossary takes a fact from the active rows only, a question on all rows says which it means."""
        amounts = {f.ref for f in view.root.fields if f.kind == "number"}
        implied = {t for ref, t in self.speaker.glossary.implied.items() if ref.split(".")[0] == view.root.table}
        tests = implied if taken & amounts or self.chance(0.4) else set()
        if not view.own or not tests or {t.field.ref for t in tests} & taken:
            return []
        test = min(tests, key=lambda t: t.field.ref)
        if self.chance(0.6):
            return [saying.is_value(self.speaker, test.field, test.value)]
        others = [str(v) for v, _ in test.field.values if v != test.value]
        said = (
            f"({literal(others[0])} ones included|including {literal(others[0])} ones)"
            if len(others) == 1
            else "of any status"
        )
        return [Condition((), (), time=(f", {said}", ", old ones included", f", {said}"))]

    def condition(self, view: View) -> Condition | None:
        """A condition on the rows, on their owner, or on what they belong to."""
        paths = self.ways(view)
        if self.chance(0.5) or len(paths) == 1:
            return self.own(view)
        path = view.path if view.path and self.chance(0.3) else self._way(view, paths[1:])
        entity = self.world.end(view.root.table, path)
        if path == view.path:
            condition = saying.draw(self.speaker, entity, self.rng, path)
            return None if condition and self._of_today(view, condition) else condition
        if len(path) > 1 and path[:1] != view.path:
            return None
        if path[-1].role or (entity.label and self.chance(0.75)):
            return self.belonging(view, path)
        return self._shared(view, path)

    def ways(self, view: View, depth: int = 2) -> list[Path_]:
        """Paths from the rows, but for those to a table whose rows the rows themselves name: then and today differ."""
        named = {f.names for f in view.root.fields if f.names}
        return [p for p in self.world.paths(view.root.table, depth) if not p or p[-1].other not in named]

    def _of_today(self, view: View, condition: Condition) -> bool:
        """Whether it holds of the owner today, where each row has a period: 'without a team in 2030' is not that."""
        named = {f.names for f in view.root.fields if f.names}
        links = {(k.table, k.column) for k in self.world.links if k.other in named}
        now = [t for t in condition.tests if t.op.endswith("query") or (t.field.table, t.field.name) in links]
        return bool(now) and view.period is not None

    def _way(self, view: View, paths: Sequence[Path_]) -> Path_:
        """A path, most often to what the owner belongs to ('on the Foxes')."""
        groups = [p for p in paths if len(p) == len(view.path) + 1 and p[: len(view.path)] == view.path]
        return self.rng.choice(groups if groups and self.chance(0.7) else paths)

    def own(self, view: View) -> Condition | None:
        """A condition on the rows' own columns."""
        fixed = {t.field.ref for t in view.implied}
        named = [n for n in self.speaker.glossary.named if n.table == view.root.table]
        if named and self.chance(0.4):
            return _fitting(saying.from_named(self.rng.choice(named)), view)
        counts = [f for f in view.root.fields if f.kind == "number" and self.speaker.words(f).counts]
        if len(counts) > 1 and self.chance(0.08):
            return bounds.more_than_other(self.speaker, *self.rng.sample(counts, 2))
        f = self.pick([f for f in saying.sayable(view.root) if f.ref not in fixed])
        condition = saying.draw_on(self.speaker, f, self.rng) if f else None
        if condition and view.period and condition.tests[0].op.startswith("year"):
            return None  # 'in 2030' would be the season's
        ends = f is not None and self.speaker.words(f).participle in ("ending", "expiring")
        condition = condition and _fitting(condition, view)
        return _of_theirs(condition, view.root.noun) if condition and ends and not view.own else condition

    def _shared(self, view: View, path: Path_) -> Condition | None:
        """A category of what the rows belong to: 'players on northern teams'."""
        entity = self.world.end(view.root.table, path)
        fields = [f for f in entity.fields if f.kind == "category" and f.values and not f.names]
        if not fields:
            return None
        inner = saying.equal(self.speaker, self.rng.choice(fields), self.rng, path)
        noun, at = plural(self.speaker.nouns(entity)[0]), self.speaker.preposition(view.who, entity)
        posts = [f"{at} {a} {noun}" for a in inner.adjective] + [f"{at} {noun} {p}" for p in inner.post]
        posts += [f"{at} {plural(n)}" for n in inner.noun]
        verb = [f"play for {a} {noun}" for a in inner.adjective] if entity.noun in ON and view.who.person else []
        return Condition(path, inner.tests, post=tuple(posts), verb=tuple(verb), tags=inner.tags)

    def belonging(self, view: View, path: Path_, value: object = None) -> Condition | None:
        """The rows belong to one named row elsewhere: 'on the Foxes', "Ann's pets", 'home games of the Owls'."""
        entity = self.world.end(view.root.table, path)
        if not entity.label or not entity.label.values:
            return None
        value = self.rng.choice(entity.label.values)[0] if value is None else value
        name, test = self.speaker.name(entity, value), (Test(entity.label, "=", value),)
        if path[-1].role:
            return _on_side(path[-1].role, entity, name, path, test)
        if view.who.person and not entity.person:
            return self._member(view, entity, name, value, path, test)
        if entity.person:
            post = (f"(of|of|belonging to) {name}" if view.own else f"of {name}",)
            own = f"{NO_ARTICLE}{possessive(name)}"
            return Condition(path, test, adjective=(own,), post=post, verb=(f"belong to {name}",))
        place = entity.noun.split()[-1] in PLACES
        plays = (f"(play|play at home|play their home games) (at|in) {name}",) if view.who.noun in ON and place else ()
        at = "(at|in)" if place else "(of|for)"
        return Condition(path, test, post=(f"{at} {name}",), verb=plays, tags=("nickname",))

    def _member(self, view: View, entity: Entity, name: str, value: object, path: Path_, test: tuple) -> Condition:
        at, plain, group = self.speaker.preposition(view.who, entity), literal(str(value)), entity.noun in ON
        people = group and str(value).endswith("s")
        verb = (f"(play for|are on|play for|are with) {name}",) if group else (f"(are with|belong to) {name}",)
        post = (f"{at} {name}", f"(on|for|with|of) {name}" if group else f"{at} {name}")
        post += (f"on {possessive(name)} (roster|squad|books)",) if group else ()
        adjective = (plain, possessive(name)) if people else (possessive(name),)
        return Condition(path, test, (f"={plain}",) * people, adjective, post, verb, tags=("nickname",))

    # --- facts --------------------------------------------------------------------------------------------------------

    def facts(self, view: View, kinds: Sequence[str] | None = None) -> list[Field]:
        """Fields of the rows themselves that can be shown or measured."""
        fixed = {t.field.ref for t in view.implied}
        usable = [f for f in view.root.fields if f.kind not in ("id", "link", "label", "period") and f.ref not in fixed]
        return [f for f in usable if f.values and (kinds is None or f.kind in kinds)]


def _on_side(role: str, entity: Entity, name: str, path: Path_, test: tuple) -> Condition:
    """One of two links to the same table: 'home games of the Owls'."""
    if role == "home":
        post = (f"hosted by {name}", f"that {name} (hosted|played at home)")
        return Condition(path, test, adjective=(f"{possessive(name)} home",), post=post, tags=("role",))
    if role == "away":
        post = (f"that {name} played (on the road|away)", f"with {name} (as visitors|on the road)")
        return Condition(path, test, adjective=(f"{possessive(name)} (away|road)",), post=post, tags=("role",))
    post = (f"with {name} as [the] {role} {entity.noun}", f"whose {role} {entity.noun} is {name}")
    return Condition(path, test, post=post, tags=("role",))


def _fitting(condition: Condition, view: View) -> Condition:
    """What a person does is not said of a thing: contracts earn nothing."""
    if view.who.person:
        return condition
    return replace(
        condition, verb=tuple(v for v in condition.verb if not re.match(r"\(?(earn|make|get) ", v.replace("|", " ")))
    )


def _of_theirs(condition: Condition, noun: str) -> Condition:
    """What a contract does is not said of its player: 'whose contract ends in 2031'."""
    post = tuple(f"whose {noun} {third(v)}" for v in condition.verb)
    return replace(condition, post=post, verb=tuple(f"have a {noun} that {third(v)}" for v in condition.verb))


def nameless(condition: Condition) -> Condition | None:
    """A comparison of two of the row's columns without its name, 'road win'; None where nothing else says it."""
    if not isinstance(condition.tests[0].other, Field) or condition.tests[0].reach:
        return condition
    return replace(condition, noun=()) if condition.adjective or condition.post or condition.verb else None


def _fits(chosen: Sequence[Condition], condition: Condition) -> bool:
    """At most one condition can be the head noun and nothing else."""
    return sum(map(_only_head, [*chosen, condition])) < 2


def _only_head(condition: Condition) -> bool:
    return bool(condition.noun and not (condition.adjective or condition.post or condition.verb or condition.time))


def founded(view: View, conditions: Sequence[Condition]) -> bool:
    """Whether rows may be spoken of as their owners: a question on players alone is none on their contracts."""
    return view.period is not None or is_own(view, conditions)


def is_own(view: View, conditions: Sequence[Condition]) -> bool:
    """Whether the rows are meant: they are the subject itself, or something is said of them but for their period."""
    own = [t for c in conditions if not c.path and not c.time for t in c.tests if t.field.table == view.root.table]
    return view.own or bool(own)


def is_plain(subject: Subject) -> bool:
    """Whether nothing but a period narrows the subject down."""
    return not [c for c in subject.conditions if not c.time]
