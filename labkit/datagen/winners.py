"""A family of intents: the best row of each group, by a window function, ties included."""

import re

from labkit.datagen.build import subquery
from labkit.datagen.drawing import Drawer
from labkit.datagen.extremes import superlatives
from labkit.datagen.frames import frames, shown_beside
from labkit.datagen.grouping import group_columns, group_word
from labkit.datagen.intents import Intent, finished, subject_slots
from labkit.datagen.numbers import can_average
from labkit.datagen.subjects import Subject
from labkit.datagen.world import Field


def best_of_each(d: Drawer) -> Intent | None:
    """For each group the row with the most: a window function, ties included."""
    view = d.view(lambda v: v.one_each and v.who.label and bool(d.facts(v, ("number",))))
    f = d.pick([f for f in d.facts(view, ("number",)) if can_average(f)])
    columns = (
        [
            (g, p)
            for g, p in group_columns(d, view)
            if len(g.values) <= 30 and g.kind in ("category", "label") and not (p and p[-1].role)
            if view.root.rows >= 4 * len(g.values)
        ]
        if f
        else []
    )
    if not columns:
        return None
    g, path = d.rng.choice(columns)
    subject, high = d.subject(view, (1,), own=True), d.chance(0.75)
    source = subject.source
    source.where(*f.known(source.at()), *g.known(source.at(path), null_matters=True))
    shown = [g.column(source.at(path)), subject.label(), subject.column(f)]
    names = [c.split(".", 1)[1] for c in shown]
    if len(set(names)) < 3:
        return None
    way = f"{subject.read(f)}{' DESC' if high else ''}"
    inner = source.select(*shown, f"RANK() OVER (PARTITION BY {shown[0]} ORDER BY {way}) AS place")
    kept = names if d.chance(0.7) else names[:2]
    query = f"SELECT {', '.join(kept)} FROM {subquery(inner)} WHERE place = 1"
    asked = _each_frames(d, subject, f, high, group_word(d, g, path), len(kept) == 3)
    return finished("best_of_each", query, asked, subject_slots(subject), ["window", "group", "superlative"])


def _each_frames(d: Drawer, subject: Subject, f: Field, high: bool, word: str, beside: bool) -> tuple[str, ...]:
    view, noun = subject.view, d.speaker.words(f).nouns[0]
    label = d.speaker.label(view.label, view.who)
    cols = f"{word}, {label} and {noun}" if beside else f"{word} and {label}"
    tail = shown_beside(cols)
    sup = superlatives(d.speaker, f, high, view.who.person)
    asked = [a for vp in sup["vp"] for a in frames("each best vp", does=vp, word=word, tail=tail)]
    asked += [
        a for np in sup["np"] for a in frames("each best np", best=np.replace("{n}", "{np1}"), word=word, tail=tail)
    ]
    person = view.who.person
    return tuple(
        re.sub(r"\(who\|which \{np1\}\)", "(who|which {np1})" if person else "which {np1}", a).replace(
            "(Who|Which)", "Who" if person else "Which"
        )
        for a in asked
    )


FAMILIES = {best_of_each: 1}
