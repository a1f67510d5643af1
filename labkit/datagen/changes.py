"""Families of intents over time: who gained most from one period to the next, who moved, who has left since."""

import random

from labkit.datagen import times
from labkit.datagen.build import Source, key_of, subquery
from labkit.datagen.drawing import Drawer
from labkit.datagen.frames import alone, frames, shown_beside
from labkit.datagen.intents import Intent, finished
from labkit.datagen.numbers import can_average
from labkit.datagen.phrases import listed, one_of, plural
from labkit.datagen.subjects import View
from labkit.datagen.world import quoted
from labkit.schema import sql_name


def _twice(d: Drawer, view: View, low: object, high: object) -> tuple[str, str]:
    """FROM and WHERE of the same owner's rows in two periods, called a and b."""
    table, key, period = (sql_name(n) for n in (view.root.table, view.path[0].column, view.period.name))
    return (
        f"FROM {table} AS a JOIN {table} AS b ON a.{key} = b.{key}",
        f"WHERE a.{period} = {quoted(low)} AND b.{period} = {quoted(high)}",
    )


def gain(d: Drawer) -> Intent | None:
    """Whose number climbed or fell the most between two periods."""
    view = d.periodic()
    f = d.pick([f for f in d.facts(view, ("number",)) if can_average(f) and not f.missing])
    if f is None:
        return None
    low, high = sorted(d.rng.sample([v for v, _ in view.period.values], 2))
    body, fixed = _twice(d, view, low, high)
    up, beside, label = d.chance(0.7), d.chance(0.5), view.who.label
    change = f"{f.read('b')} - {f.read('a')}" if up else f"{f.read('a')} - {f.read('b')}"
    alias = view.who.alias if view.who.alias not in ("a", "b") else "w"
    link = view.path[0]
    on = f"a.{sql_name(link.column)} = {alias}.{sql_name(link.other_column)}"
    body += f" JOIN {sql_name(view.who.table)} AS {alias} ON {on} {fixed}"
    shown = [label.column(alias), *([change] if beside else [])]
    word = d.speaker.label(label, view.who)
    gains = "(gain|increase|rise|jump)" if up else "(drop|decrease|fall)"
    did = "(climbed|rose|went up|improved|increased)" if up else "(dropped|fell|went down|declined)"
    cols = f"{word} and the {'gain' if up else 'drop'}"
    noun = one_of(d.speaker.words(f).nouns[:3])
    tail = shown_beside(cols) if beside else alone(view.who.noun, word)
    span = f"(from {low} to {high}|between {low} and {high})"
    asked = frames(
        "gain",
        **{"noun": noun, "did": did, "gain": gains, "span": span, "tail": tail},
        **{"who": d.speaker.nouns(view.who)[0], "low": str(low), "high": str(high)},
    )
    query = f"SELECT {listed(shown).replace(' and ', ', ')} {body} ORDER BY {change} DESC LIMIT 1"
    probe = f"SELECT {change} {body} ORDER BY {change} DESC LIMIT 2"
    return finished("gain", query, asked, lambda rng: {}, ("self-join", "superlative"), probe)


def switched(d: Drawer) -> Intent | None:
    """How many have another text in one period than in another."""
    view = d.periodic()
    f = d.pick(d.facts(view, ("category", "text")))
    if f is None:
        return None
    low, high = sorted(d.rng.sample([v for v, _ in view.period.values], 2))
    body, fixed = _twice(d, view, low, high)
    column, noun = sql_name(f.name), d.speaker.words(f).nouns[0]
    whos = plural(d.speaker.nouns(view.who)[0])
    span = f"(from {low} to {high}|between {low} and {high})"
    asked = frames("switched", whos=whos, noun=noun, nouns=plural(noun), low=str(low), high=str(high), span=span)
    return finished(
        "switched",
        f"SELECT COUNT(*) {body} {fixed} AND a.{column} <> b.{column}",
        asked,
        lambda rng: {},
        ("self-join", "count"),
    )


def changed(d: Drawer) -> Intent | None:
    """Who, or how many, had more than one text over all periods."""
    view = d.periodic()
    f = d.pick(d.facts(view, ("category", "text")))
    if f is None:
        return None
    source = Source(d.world, view.root)
    key, link = f"{source.at()}.{sql_name(view.path[0].column)}", view.path[0]
    n = d.rng.choice((1, 1, 1, 2))
    chosen = source.select(key, group=[key], having=f"COUNT(DISTINCT {f.column(source.at())}) > {n}")
    noun, low, high = d.speaker.words(f).nouns[0], view.period.values[0][0], view.period.values[-1][0]
    low, high = min(low, high), max(low, high)
    fills = {"nouns": plural(noun), "noun": noun, "whos": plural(d.speaker.nouns(view.who)[0])}
    fills["once"] = "(at least once|at some point|ever)" if n == 1 else "(at least twice|more than once)"
    fills["many"] = "(two or more|several|different)" if n == 1 else "(more than two|at least three)"
    fills["span"] = f"(from {low} to {high}|between {low} and {high}|over all {plural(view.period.words.split()[-1])})"
    if d.chance(0.6):
        query, asked = f"SELECT COUNT(*) FROM {subquery(chosen)}", frames("changed count", **fills)
    else:
        who = Source(d.world, view.who)
        who.where(f"{who.at()}.{sql_name(link.other_column)} IN {subquery(chosen)}")
        query, asked = who.select(view.who.label.column(who.at())), frames("changed list", **fills)
    return finished("changed", query, asked, lambda rng: {}, ("nested", "having"))


def left(d: Drawer) -> Intent | None:
    """Those whose row names one group in a period while their own link leads elsewhere, or nowhere, today."""
    view = d.periodic()
    named = [f for f in view.root.fields if f.names]
    now = [link for link in d.world.links if link.table == view.who.table and named and link.other == named[0].names]
    if not now:
        return None
    f, link, value = named[0], now[0], None
    value = d.rng.choice(f.values)[0]
    entity = d.world.entities[f.names]
    when = times.period(d.speaker, view.period, d.rng)
    source = Source(d.world, view.root)
    source.where(when, f"{f.column(source.at())} = {quoted(value)}")
    key = key_of(entity, link.other_column, value)
    source.where(f"{source.at(view.path)}.{sql_name(link.column)} IS NOT {key}")
    name = d.speaker.name(entity, value)

    def slots(rng: random.Random) -> dict[str, str]:
        return {"a": name, "when": f" {rng.choice(when.time)}"}

    was = "(played for|was with|was on)" if entity.noun == "team" else "(was with|belonged to)"
    whos, were = plural(d.speaker.nouns(view.who)[0]), was.replace("was", "were")
    query = source.select(view.who.label.column(source.at(view.path)))
    return finished("left", query, frames("left", was=was, were=were, whos=whos), slots, ("join", "null"))


FAMILIES = {gain: 1.2, switched: 0.6, changed: 0.6, left: 1}
