"""Families of intents about one row: a fact of it, a fact of what it belongs to, which row has a certain value."""

from collections.abc import Sequence

from labkit.datagen.build import Source
from labkit.datagen.drawing import PLACES, Drawer
from labkit.datagen.formats import say
from labkit.datagen.frames import TELL, capital, frames
from labkit.datagen.intents import Intent, Slots, finished, name_slots
from labkit.datagen.phrases import literal, one_of, possessive
from labkit.datagen.speaker import ON, Speaker
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Entity, Field, quoted, twins


def lookup(d: Drawer) -> Intent | None:
    """One or two facts of a row that is called by its name or id."""
    view = d.view(lambda v: v.label and v.one_each and (v.own or v.who.label))
    value, name = named(d, view)
    fields = d.facts(view)
    if value is None or not fields:
        return None
    pairs = twins(view.root) if view.own else []
    if pairs and d.chance(0.2):
        return _score(d, view, value, name, d.rng.choice(pairs))
    subject = d.subject(view, (1,), own=True, period=not view.own)
    source = subject.source.where(f"{subject.label()} = {quoted(value)}")
    slots = name_slots(name, subject.conditions[0].time if subject.conditions else ())
    f, g = d.pick(fields), d.pick(fields)
    if f is not g and d.chance(0.2):
        asked = frames("two facts", noun=d.speaker.noun(f), noun2=d.speaker.noun(g))
        return finished("lookup_two", source.select(subject.column(f), subject.column(g)), asked, slots, subject.tags)
    whose = ("{x}", "{own}")
    if not view.own and f.kind in ("year", "date") and d.speaker.said_of_owners(view.root):
        return _of_belonging(d, view, f, source.select(subject.column(f)), slots)
    asked = fact_frames(d.speaker, f, *whose)
    return finished("lookup", source.select(subject.column(f)), asked, slots, _tags(f, subject))


def _of_belonging(d: Drawer, view: View, f: Field, query, slots: Slots) -> Intent:
    """A date of what one has: a contract ends, its player does not."""
    thing = view.root.noun
    asked = fact_frames(d.speaker, f, f"{{own}} {thing}", "")
    asked = [
        a.replace(f"{thing} {n}", n) for a in asked for n in (d.speaker.words(f).nouns[0].removeprefix(f"{thing} "),)
    ]
    asks = [a for a in asked if f"{{own}} {thing}" in a and " the " not in a]
    return finished(
        "lookup", query, (*asks, *frames("fact", noun=d.speaker.noun(f), x="{x}", own="{own}")), slots, ("date",)
    )


def _score(d: Drawer, view: View, value: object, name: str, pair: tuple[Field, Field]) -> Intent:
    """Both numbers of two like columns: the score of a game."""
    source = Source(d.world, view.root)
    source.where(f"{view.label.column(source.at())} = {quoted(value)}")
    cols, other = score_columns(pair)
    asked = frames("score", between=name, cols=cols)
    query = source.select(*(f.column(source.at()) for f in pair))
    return finished("lookup_two", query, [a for a in asked if "{between}" not in a], lambda rng: {}, (other,))


def score_columns(pair: tuple[Field, Field]) -> tuple[str, str]:
    """What two like columns are asked for by, in their order, and a tag."""
    a, b = (f.words for f in pair)
    return f"({a} first, then {b}|{a} and {b}|{a}, then {b}|{a} first)", "order"


def named(d: Drawer, view: View) -> tuple[object, str]:
    """A row's name that no other row has, and the template for it; (None, "") when there is none."""
    unique = [v for v, n in view.label.values if n == 1]
    if not unique:
        return None, ""
    value = d.rng.choice(unique)
    if view.who.label:
        return value, d.speaker.name(view.who, value)
    plain = literal(str(value))
    return value, f"({view.root.noun} {plain}|{plain}|{view.root.noun} {plain}|the {view.root.noun} {plain})"


def lookup_related(d: Drawer) -> Intent | None:
    """A fact of what a named row belongs to: the seats of a team's building, the name of a player's team."""
    view = d.view(lambda v: v.own and v.who.label and len(d.world.paths(v.root.table, 2)) > 1)
    value, name = named(d, view)
    paths = [p for p in d.world.paths(view.root.table, 2)[1:] if not p[-1].role]
    if value is None or not paths:
        return None
    path = d.rng.choice(paths)
    entity = d.world.end(view.root.table, path)
    f = d.pick([f for f in entity.fields if f.kind not in ("id", "link") and f.values])
    if f is None:
        return None
    source = Source(d.world, view.root)
    source.where(f"{view.label.column(source.at())} = {quoted(value)}")
    things = one_of(d.speaker.nouns(entity))
    if f.kind == "label":
        asked = _called(d, view, entity, things, d.speaker.label(f, entity))
    else:
        asked = fact_frames(d.speaker, f, f"{{whose}} {things}", f"{{whose}} {things}'s")
    return finished("lookup_related", source.select(f.column(source.at(path))), asked, name_slots(name), ("join",))


def _called(d: Drawer, view: View, entity: Entity, things: str, label: str) -> tuple[str, ...]:
    """Questions for the name of what a row belongs to: its team, where it plays, its owner."""
    asked = frames("called", thing=things, label=label)
    if view.who.person and entity.noun in ON:
        return (*asked[:4], *frames("belongs team", thing=things, label=label))
    if view.who.noun in ON and entity.noun in PLACES:
        return (*asked[:4], *frames("belongs place", thing=things, label=label))
    if entity.person:
        return (*asked, *(f"(Who|Which {entity.noun}) does {{x}} belong to?", f"Who is {{own}} {things}?") * 2)
    return asked


def lookup_by_value(d: Drawer) -> Intent | None:
    """Which row has a value that no other has; or a fact of that row ('when was Ann Lee's team founded')."""
    view = d.view(lambda v: v.own and v.who.label)
    fields = [f for f in d.facts(view, ("text", "category", "year", "number")) if not f.names]
    fields = [f for f in fields if not d.speaker.words(f).counts]
    fields = [f for f in fields if f.kind != "number" or not (f.format.unit or can_be_measured(f))]
    f = d.pick([f for f in fields if any(n == 1 for _, n in f.values)])
    if f is None:
        return None
    value = d.rng.choice([v for v, n in f.values if n == 1])
    subject = d.subject(view, (1,))
    source = subject.source.where(f"{f.column(subject.source.at())} = {quoted(value)}")
    text = f.kind in ("text", "category")
    said = literal(str(value)) if text or f.kind == "year" else say(f.format.read(value), f.format)
    thing, noun = d.speaker.nouns(view.who)[0], d.speaker.words(f).nouns[0]
    g = d.pick([g for g in d.facts(view) if g is not f])
    if g is not None and text and d.chance(0.6):
        whose = [f"the {thing} {p}" for p in _posts(d.speaker, f, value)]
        if any(p.startswith(f"{f.words}ed by") or "managed by" in p for p in d.speaker.words(f).equal_post):
            whose += [f"{possessive(literal(str(value)))} {thing}"] * 2
        x = one_of(w.replace("(", "").replace(")", "") if "|" not in w else w for w in whose)
        asked = fact_frames(d.speaker, g, x, "")
        return finished("lookup_by_value", source.select(subject.column(g)), asked, lambda rng: {}, ())
    asked = frames("with a value", thing=thing, noun=noun, v=said, label=d.speaker.label(view.label, view.who))
    asked += _by_participle(d.speaker, f, thing, said)
    return finished("lookup_by_value", source.select(subject.label()), asked, lambda rng: {}, ())


def can_be_measured(f: Field) -> bool:
    """Whether a number is an amount, by which nobody looks a row up."""
    return len(set(f.numbers)) > 60


def _posts(speaker: Speaker, f: Field, value: object) -> list[str]:
    known = [t.replace("{v}", literal(str(value))) for t in speaker.words(f).equal_post]
    return [*known, f"with {speaker.words(f).nouns[0]} {literal(str(value))}"]


def _by_participle(speaker: Speaker, f: Field, thing: str, said: str) -> tuple[str, ...]:
    words = speaker.words(f)
    posts = [t.replace("{v}", said) for t in words.equal_post]
    asked = [f"(Which|What) {thing} is {p}?" for p in posts] + [f"{TELL} the {thing} {p}." for p in posts]
    if words.participle and f.kind == "year":
        asked += [f"(Which|What) {thing} was {words.participle} in {said}?"] * 3
        asked += [f"{TELL} the {thing} {words.participle} in {said}."]
    return tuple(asked)


def fact_frames(speaker: Speaker, f: Field, x: str, own: str) -> tuple[str, ...]:
    """Questions for a fact of `x`; half of them in the words that belong to the fact ('how tall is ...')."""
    words = speaker.words(f)
    asks = [capital(ask.replace("{x}'s", own or "{x}'s").replace("{x}", x)) + "{when}?" for ask in words.ask]
    general = frames("fact", noun=speaker.noun(f), x=x, own=own or "\0")
    general = tuple(g for g in general if "\0" not in g)  # a template in alternatives has no possessive
    if words.counts or words.ask[:1] and words.ask[0].startswith(("who", "how much")):
        general = general[:6]
    return (*general, *asks * max(1, len(general) // max(1, 2 * len(asks)) if asks else 0))


def _tags(f: Field, subject: Subject) -> Sequence[str]:
    text = ["text-format"] if f.format.stored_as_text else []
    return [*subject.tags, *text, *(["join"] if len(subject.source.paths) > 1 else [])]


FAMILIES = {lookup: 13, lookup_related: 5, lookup_by_value: 3}
