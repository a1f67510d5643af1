"""Families of intents about a table that refers to itself: who is above one, who is below, how many each has below,
those with nobody above, those with more of something than the one above.

The link's column says what the one above is called ("manager_id") or what one does ("reports_to").
"""

import re
from dataclasses import dataclass

from labkit.datagen.conditions import Condition
from labkit.datagen.drawing import Drawer, NothingToAsk
from labkit.datagen.frames import frames, shown_beside
from labkit.datagen.intents import Intent, finished, name_slots, subject_slots
from labkit.datagen.lexicon import is_rank
from labkit.datagen.lists import list_frames
from labkit.datagen.lookups import named
from labkit.datagen.numbers import can_average
from labkit.datagen.phrases import plural, singular, third
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Link, quoted, spaced
from labkit.schema import sql_name


@dataclass(frozen=True)
class Above:
    """Rows of `view` and the `link` to the row above each. `verb`: what they do ("report to"), else `noun`: what that
    one is to them ("manager")."""

    view: View
    link: Link
    noun: str = ""
    verb: str = ""

    @property
    def key(self) -> str:
        return sql_name(self.link.column)

    def theirs(self, name: str) -> Condition:
        """Those right below `name`, in words alone."""
        if self.verb:
            who = "who" if self.view.who.person else "that"
            return Condition((), (), post=(f"{who} {self.verb} {name}",), verb=(self.verb + f" {name}",))
        own = f"with {name} as [their] {self.noun}"
        return Condition(
            (), (), post=(own, f"whose {self.noun} is {name}"), verb=(f"have {name} as their {self.noun}",)
        )


def _above(d: Drawer) -> Above:
    """A link of a table with names to itself. `NothingToAsk` when there is none."""
    found = [
        (v, link) for v in d.views if v.own and v.who.label for link in d.world.links
        if link.table == link.other == v.root.table
    ]  # fmt: skip
    if not found:
        raise NothingToAsk
    view, link = d.rng.choice(found)
    words = re.sub(r" (id|key|code|no|nr)$", "", spaced(link.column))
    does = re.fullmatch(r"(\w+) (to|for|under|after|with)", words)
    if does:
        return Above(view, link, verb=f"{singular(does[1])} {does[2]}")
    return Above(view, link, noun=words)


def one_above(d: Drawer) -> Intent | None:
    """The name of the one above a named row, now and then another fact of it."""
    a = _above(d)
    value, name = named(d, a.view)
    if value is None:
        return None
    subject = Subject(d.speaker, a.view)
    source, label = subject.source, a.view.label
    source.where(f"{label.column(source.at())} = {quoted(value)}")
    f = d.pick(d.facts(a.view)) if d.chance(0.25) else None
    query = source.select((f or label).column(source.at((a.link,))))
    asked = _above_frames(d, a, "" if f is None else d.speaker.noun(f))
    return finished("one_above", query, asked, name_slots(name), ["self", "join"])


def _above_frames(d: Drawer, a: Above, noun: str) -> tuple[str, ...]:
    person, thing = a.view.who.person, d.speaker.nouns(a.view.who)[0]
    fills = {"who": "who" if person else f"which {thing}", "thing": "person" if person else thing, "noun": noun}
    fills["asks"] = "Who" if person else f"(Which|What) {thing}"
    label = d.speaker.label(a.view.label, a.view.who)
    if a.verb:
        fills |= {"verb": a.verb, "verbs": third(a.verb)}
        return frames("fact above by verb" if noun else "above by verb", label=label, **fills)
    fills |= {"above": a.noun}
    return frames("fact above" if noun else "above", label=label, **fills)


def below(d: Drawer) -> Intent | None:
    """Those right below a named row, or their number."""
    a = _above(d)
    rows = dict(a.view.root.field(a.link.column).values)
    value, name = named(d, a.view)
    if value is None or not rows:
        return None
    shown = Subject(d.speaker, a.view, [a.theirs(name)])
    source = Subject(d.speaker, a.view).source
    source.where(f"{a.view.label.column(source.at((a.link,)))} = {quoted(value)}")
    counting = d.chance(0.45)
    query = source.select("COUNT(*)" if counting else a.view.label.column(source.at()))
    asked = frames("count") if counting else list_frames(d, a.view)
    return finished("below", query, asked, subject_slots(shown), ["self", "join"])


def below_each(d: Drawer) -> Intent | None:
    """How many are right below each that has some; or the one with the most."""
    a = _above(d)
    source = Subject(d.speaker, a.view).source
    label, best = a.view.label.column(source.at((a.link,))), d.chance(0.35)
    if not a.view.label.unique:
        return None
    beside, told = d.figure(0.5) if best else (True, True)
    order = ["COUNT(*) DESC"] if best or d.chance(0.3) else []
    shown = [label, "COUNT(*)"] if beside else [label]
    query = source.select(*shown, group=[label], order=order, limit=1 if best else 0)
    probe = source.select("COUNT(*)", group=[label], order=["COUNT(*) DESC"], limit=2)
    things, person = plural(d.speaker.nouns(a.view.who)[0]), a.view.who.person
    name = d.speaker.label(a.view.label, a.view.who)
    fills = {"whos": things, "cols": f"{name} and number", "above": a.noun, "aboves": plural(a.noun or "one")}
    fills |= {
        "verb": a.verb,
        "verbs": third(a.verb) if a.verb else "",
        "asks": "Who" if person else f"(Which|What) {singular(things)}",
    }
    fills |= {"thing": "person" if person else singular(things)}
    fills["who"] = "who" if person else f"which {singular(things)}"
    fills["ordered"] = "(, most first|, from most to fewest|, highest number first)" if order else ""
    fills["tail"] = shown_beside(fills["cols"]) if beside and told else ""
    section = ("most below" if best else "below each") + (" by verb" if a.verb else "")
    asked = frames(section, **fills)
    return finished("below_each", query, asked, lambda rng: {}, ["self", "group", "join"], probe, ranked=best)


def nobody_above(d: Drawer) -> Intent | None:
    """Those with nothing above them."""
    a = _above(d)
    if None not in a.view.root.field(a.link.column).missing:
        return None
    source = Subject(d.speaker, a.view).source
    source.where(f"{source.at()}.{a.key} IS NULL")
    person = a.view.who.person
    none = "(nobody|no one)" if person else "none"
    if a.verb:
        said = Condition((), (), post=(f"{'who' if person else 'that'} {a.verb} {none}",), verb=(f"{a.verb} {none}",))
    else:
        post = (f"without a {a.noun}", f"that have no {a.noun}")
        said = Condition((), (), post=post, verb=(f"have no {a.noun}", f"(do not|don't) have a {a.noun}"))
    counting = d.chance(0.4)
    query = source.select("COUNT(*)" if counting else a.view.label.column(source.at()))
    asked = frames("count") if counting else list_frames(d, a.view)
    return finished("nobody_above", query, asked, subject_slots(Subject(d.speaker, a.view, [said])), ["self", "null"])


def beyond_above(d: Drawer) -> Intent | None:
    """Those with more, or less, of a number, a year or a date than the one above them."""
    a = _above(d)
    numbers = [f for f in d.facts(a.view, ("number", "year", "date")) if f.kind != "number" or can_average(f)]
    f = d.pick([f for f in numbers if not is_rank(f)])
    if f is None:
        return None
    op, source = d.rng.choice("><"), Subject(d.speaker, a.view).source
    up = source.at((a.link,))
    source.where(*f.known(source.at()), *f.known(up), f"{f.read(source.at())} {op} {f.read(up)}")
    words, noun = d.speaker.words(f), d.speaker.words(f).nouns[0]
    person = a.view.who.person
    them = (
        f"the {'person' if person else d.speaker.nouns(a.view.who)[0]} they {a.verb}" if a.verb else f"their {a.noun}"
    )
    side = ("higher", "lower") if f.kind == "number" else ("later", "earlier")
    verb = [f"have a {side[op == '<']} {noun} than {them}"]
    verb += [f"are {more} than {them}" for _, more, _ in (words.high if op == ">" else words.low)]
    if re.fullmatch(r"\w+", words.participle) and f.kind != "number":
        verb += [f"were {words.participle} {'after' if op == '>' else 'before'} {them}"] * 2
    counting = d.chance(0.35)
    query = source.select("COUNT(*)" if counting else a.view.label.column(source.at()))
    asked = frames("count") if counting else list_frames(d, a.view)
    said = Condition((), (), verb=tuple(verb))
    return finished("beyond_above", query, asked, subject_slots(Subject(d.speaker, a.view, [said])), ["self", "join"])


FAMILIES = {one_above: 1.5, below: 1.2, below_each: 0.8, nobody_above: 0.2, beyond_above: 0.5}
