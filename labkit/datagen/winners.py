"""A family of intents: the best row of each group, ties included.

`(genre_id, length) IN (SELECT genre_id, MAX(length) ... GROUP BY genre_id)` compares rows (SQLite has row values since
3.15, https://www.sqlite.org/rowvalue.html): all that share a group's best are there, each group is read once, and the
inner query is one that the grammar teaches anyway. `MAX(length)` beside a bare name would be shorter but shows one of
several tied rows, which SQLite leaves open (https://www.sqlite.org/lang_select.html#bareagg) and the linter warns of.
A number that is read out of a text would stand there twice: for these a window function ranks the rows.
"""

import re

from labkit.datagen.build import Source, subquery
from labkit.datagen.drawing import Drawer
from labkit.datagen.extremes import superlatives
from labkit.datagen.frames import frames, shown_beside
from labkit.datagen.grouping import group_columns, group_word
from labkit.datagen.intents import Intent, finished, subject_slots
from labkit.datagen.numbers import can_average
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Field, Path_
from labkit.schema import sql_name

_GROUPS = 60  # a longer table is nothing that people ask for


def best_of_each(d: Drawer) -> Intent | None:
    """For each group the row with the most, or the least; its number beside, now and then."""
    view = d.view(lambda v: v.one_each and v.who.label and bool(d.facts(v, ("number",))))
    f = d.pick([f for f in d.facts(view, ("number",)) if can_average(f)])
    columns = _groups(d, view) if f else []
    if not columns:
        return None
    g, path = d.rng.choice(columns)
    subject, high = d.subject(view, (1,), own=True, period=g.kind != "period"), d.chance(0.75)
    beside, told = d.figure(0.6)
    plain = f.read("") == f.column("")
    query = (_in_best if plain else _ranked_first)(subject, f, high, g, path, beside)
    if not query:
        return None
    asked = _each_frames(d, subject, f, high, group_word(d, g, path), told if beside else None)
    tags = ["group", "superlative", "ties" if plain else "window"]
    return finished("best_of_each", query, asked, subject_slots(subject), tags)


def _groups(d: Drawer, view: View) -> list[tuple[Field, Path_]]:
    """Categories, periods and owners of the rows, with several rows to each."""
    return [
        (g, p)
        for g, p in group_columns(d, view)
        if len(g.values) <= _GROUPS and g.kind in ("category", "label", "period") and not (p and p[-1].role)
        if view.root.rows >= 3 * len(g.values) and (g.kind != "period" or g in view.root.fields)
    ]


def _in_best(subject: Subject, f: Field, high: bool, g: Field, path: Path_, beside: bool):
    """The rows whose group and number are among the groups with their best numbers."""

    def key(source: Source) -> str:
        if g.kind == "label":
            return f"{source.at(path[:-1])}.{sql_name(path[-1].column)}"
        return g.column(source.at(path))

    source = subject.source
    inner = Subject(subject.speaker, subject.view, subject.conditions).source
    group, at = key(inner), inner.at()
    inner.where(*f.known(at), *(g.known(inner.at(path)) if g.kind != "label" else ()))
    best = inner.select(group, f"{'MAX' if high else 'MIN'}({f.column(at)})", group=[group])
    source.where(f"({key(source)}, {subject.column(f)}) IN {subquery(best)}")
    return source.select(g.column(source.at(path)), subject.label(), *([subject.column(f)] if beside else []))


def _ranked_first(subject: Subject, f: Field, high: bool, g: Field, path: Path_, beside: bool):
    """The rows that a window function ranks first; None where two columns have the same name."""
    source = subject.source
    source.where(*f.known(source.at(), null_matters=not high), *g.known(source.at(path), null_matters=True))
    shown = [g.column(source.at(path)), subject.label(), subject.column(f)]
    names = [c.split(".", 1)[1] for c in shown]
    if len(set(names)) < 3:
        return None
    way = f"{subject.read(f)}{' DESC' if high else ''}"
    inner = source.select(*shown, f"RANK() OVER (PARTITION BY {shown[0]} ORDER BY {way}) AS place")
    return f"SELECT {', '.join(names[: 2 + beside])} FROM {subquery(inner)} WHERE place = 1"


def _each_frames(d: Drawer, subject: Subject, f: Field, high: bool, word: str, told: bool | None) -> tuple[str, ...]:
    """`told`: whether the question says that the number is wanted, None where it is not shown."""
    view, noun = subject.view, d.speaker.words(f).nouns[0]
    label = d.speaker.label(view.label, view.who)
    names = f"(|||{shown_beside(f'{word} and ({label}|{view.who.noun})')})"
    tail = names if told is None else shown_beside(f"{word}, ({label}|{view.who.noun}) and {noun}") if told else ""
    sup = superlatives(d.speaker, f, high, view.who.person)
    asked = [a for vp in sup["vp"] for a in frames("each best vp", does=vp, word=word, tail=tail)]
    asked += [
        a for np in sup["np"] for a in frames("each best np", best=np.replace("{n}", "{np1}"), word=word, tail=tail)
    ]
    return tuple(_who(a, view.who.person) for a in asked)


def _who(template: str, person: bool) -> str:
    """'Who' for persons, 'which' and 'what' for the rest."""
    template = re.sub(r"\(who\|which \{np1\}\)", "(who|which {np1})" if person else "which {np1}", template)
    for both, which in (("(Who|What)", "What"), ("(who|what)", "what")):
        template = template.replace(both, both[1:4] if person else which)
    return template


FAMILIES = {best_of_each: 1.5}
