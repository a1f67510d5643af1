"""Families of intents that list rows: those that meet conditions, the extreme one, the top few, those named so."""

from collections.abc import Sequence

from labkit.datagen.conditions import Condition, Test
from labkit.datagen.drawing import Drawer, is_own, is_plain
from labkit.datagen.frames import alone, frames, shown_beside
from labkit.datagen.intents import Intent, finished, subject_slots
from labkit.datagen.phrases import listed, literal, plural
from labkit.datagen.saying import missing
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Field, Path_
from labkit.schema import PLACEHOLDERS

# --- those that meet conditions ---------------------------------------------------------------------------------------


def listing(d: Drawer) -> Intent | None:
    """The names of the rows that meet conditions; facts beside them, an order, now and then."""
    view = d.view(lambda v: v.one_each)
    subject = d.subject(view, (0, 6, 5, 1))
    if is_plain(subject):
        return None
    shown = beside(d, subject)
    order, ordered = _ordering(d, subject, [f for f, path in shown if not path])
    ordered = ordered or _known_only(d, subject, [f for f, path in shown if not path])
    query = subject.source.select(subject.label(), *(subject.column(f, p) for f, p in shown), order=order)
    asked = list_frames(d, view, shown, ordered)
    return finished("listing", query, asked, subject_slots(subject), [*subject.tags, *(["order"] if order else [])])


def beside(d: Drawer, subject: Subject) -> list[tuple[Field, Path_]]:
    """Facts to show: what a bound is about ('over 230 pounds': the weight), others of the rows or their owner, the name
    of what they belong to."""
    view, found, measured = subject.view, [], bounded(d, subject)
    fixed = {t.field.ref for c in subject.conditions for t in c.tests if t.op == "="}
    for _ in range(d.rng.choices((0, 1, 2), (6, 4, 2) if measured else (6, 4, 1))[0]):
        paths = [p for p in d.ways(view)[1:] if p != view.path and not any(link.role for link in p)]
        labelled = [p for p in paths if d.world.end(view.root.table, p).label]
        if labelled and d.chance(0.2):
            path = labelled[0]
            found.append((d.world.end(view.root.table, path).label, path))
        elif measured and d.chance(0.6):
            found.append((d.pick(measured), ()))
        elif f := d.pick([f for f in d.facts(view) if f.ref not in fixed]):
            found.append((f, ()))
    return list(dict.fromkeys(found))


_FIXED = frozenset(["=", "<>", "in", "null", "known"])  # after these the value is known already


def bounded(d: Drawer, subject: Subject) -> list[Field]:
    """Facts of the rows that the conditions leave open within bounds: who filters by them wants to see them."""
    refs = {t.field.ref for c in subject.conditions if not c.path for t in c.tests if t.op not in _FIXED}
    return [f for f in d.facts(subject.view) if f.ref in refs]


def _ordering(d: Drawer, subject: Subject, fields: Sequence[Field]) -> tuple[list[str], str]:
    numbers = [f for f in fields if f.kind in ("number", "year", "date")]
    if not numbers or not d.chance(0.4):
        return [], ""
    f, down = numbers[-1], d.chance(0.65)
    noun = d.speaker.words(f).nouns[0]
    left_out = known_only(subject, (f,), noun)
    if f.kind != "number":
        said = (
            "newest first|latest first|most recent first"
            if down
            else "oldest first|earliest first|in chronological order"
        )
    elif down:
        said = f"highest {noun} first|from highest to lowest {noun}|sorted by {noun}, highest first|highest first"
    else:
        said = f"lowest {noun} first|from lowest to highest {noun}|sorted by {noun}, lowest first|lowest first"
    return [subject.read(f) + (" DESC" if down else "")], f"{left_out}, ({said})"


def _known_only(d: Drawer, subject: Subject, fields: Sequence[Field]) -> str:
    """Now and then a shown fact must be there."""
    gaps = [f for f in fields if f.missing and f.ref not in {g.ref for c in subject.conditions for g in c.fields}]
    return known_only(subject, gaps[:1], d.speaker.words(gaps[0]).nouns[0]) if gaps and d.chance(0.3) else ""


def known_only(subject: Subject, fields: Sequence[Field], noun: str) -> str:
    """Leave out the rows that lack one of the fields; how that is said of `noun`, "" where no row may lack it."""
    compared = {g.ref for c in subject.conditions for g in c.fields}
    subject.source.where(*[k for f in fields for k in f.known(subject.source.at(), null_matters=True)])
    if not any(f.missing and f.ref not in compared for f in fields):
        return ""
    out = f"leaving out {'anyone' if subject.view.who.person else 'those'} whose {noun} is (unknown|not known|missing)"
    return f", ({out}|without those with no known {noun}|only where the {noun} is known)"


def list_frames(d: Drawer, view: View, shown: Sequence[tuple[Field, Path_]] = (), ordered: str = "") -> tuple[str, ...]:
    """Questions for a list: of names alone, or with facts beside."""
    label = d.speaker.label(view.label, view.who)
    if not shown:
        return frames("list", labels=f"({plural(label)}|{plural(label)}|{view.who.noun} {plural(label)})")
    facts = [fact_noun(d, f, path) for f, path in shown]
    first = f"({label}|{label}|{view.who.noun} {label})"
    cols = listed([first, *facts])
    return frames("list with facts", cols=cols, facts=listed(facts), ordered=ordered)


def fact_noun(d: Drawer, f: Field, path: Path_ = ()) -> str:
    """What a shown fact is called: 'weight'; 'team' or 'team nickname' for the name of what the row belongs to."""
    if f.kind != "label":
        return d.speaker.words(f).nouns[0]
    entity = d.world.entities[f.table]
    return f"({entity.noun}|{entity.noun} {d.speaker.label(f, entity)})"


def facts_alone(d: Drawer) -> Intent | None:
    """A fact of each row that meets conditions, without its name: the coaches of the northern teams."""
    view = d.view(lambda v: v.one_each)
    f = d.pick([f for f in d.facts(view, ("text", "category", "date", "year", "number")) if not f.unique])
    if f is None:
        return None
    subject = d.subject(view, (0, 5, 2), without=[f])
    if is_plain(subject):
        return None
    subject.source.where(*f.known(subject.source.at(), null_matters=True))
    things = d.speaker.things(f) if not d.speaker.words(f).counts else plural(d.speaker.words(f).nouns[0])
    known = f"known {things}" if f.missing else things
    asked = frames("facts alone", things=known)
    return finished(
        "facts_alone", subject.source.select(subject.column(f)), asked, subject_slots(subject), subject.tags
    )


def unknown(d: Drawer) -> Intent | None:
    """Those of whom a fact is not known, or how many they are."""
    view = d.view(lambda v: v.one_each and any(is_gap(d, f) for f in v.root.fields))
    f = d.pick([f for f in view.root.fields if is_gap(d, f)])
    subject = d.subject(view, (5, 4), without=[f])
    subject.source.where(missing(d.speaker, f, (), True))
    noun = d.speaker.words(f).nouns[0]
    fills = {"noun": noun, "a_noun": f"a{'n' * (noun[0] in 'aeio')} {noun}"}
    if d.chance(0.5):
        query = subject.source.select("COUNT(*)")
        return finished("unknown", query, frames("unknown count", **fills), subject_slots(subject), ["null", "count"])
    label = d.speaker.label(view.label, view.who)
    shown = [f for f, path in beside(d, subject) if not path][:1]
    cols = listed([label, *(fact_noun(d, g) for g in shown)])
    tail = shown_beside(cols) if shown else alone(view.who.noun, plural(label), many=True)
    query = subject.source.select(subject.label(), *map(subject.column, shown))
    return finished("unknown", query, frames("unknown list", tail=tail, **fills), subject_slots(subject), ["null"])


def is_gap(d: Drawer, f: Field) -> bool:
    """Whether some values are missing and that says no more than it: a free agent's team is not unknown."""
    texts = [m for m in f.missing if m is None or m.strip().casefold() in PLACEHOLDERS]
    named = any(t.field.ref == f.ref and t.op == "null" for n in d.speaker.glossary.named for t in n.tests)
    gaps = f.rows - sum(n for _, n in f.values)
    structural = None in f.missing and (f.kind == "number" or 5 * gaps > f.rows)  # no bonus is not an unknown one
    usable = f.kind not in ("link", "id", "flag") and not named and not structural
    return bool(f.missing) and len(texts) == len(f.missing) and usable


def any_period(d: Drawer) -> Intent | None:
    """Those who did something in whatever period, with the period."""
    view = d.view(lambda v: bool(v.path) and v.period is not None and v.one_each)
    subject = d.subject(view, (0, 6, 3), period=False, own=True)
    if not is_own(view, subject.conditions):
        return None
    label, word = d.speaker.label(view.label, view.who), view.period.words.split()[-1]
    query = subject.source.select(subject.label(), subject.column(view.period))
    fills = {"cols": f"({view.who.noun} |){label} and {word}", "word": word, "words": plural(word)}
    return finished("any_period", query, frames("any period", **fills), subject_slots(subject), subject.tags)


# --- by name ----------------------------------------------------------------------------------------------------------


def named_like(d: Drawer) -> Intent | None:
    """Rows whose name starts with, ends in or holds something: a first name, a letter."""
    view = d.view(lambda v: v.own and v.who.label and len(v.label.values) >= 15)
    value, label = str(d.rng.choice(view.label.values)[0]), d.speaker.label(view.label, view.who)
    kind = d.rng.choice(("first", "first", "last", "letter", "part", "mark"))
    if kind == "mark":
        return _with_mark(d, view)
    words = value.split()
    if kind in ("first", "last") and view.who.person and len(words) > 1:
        word = words[0] if kind == "first" else words[-1]
        pattern, said = (f"{word} %" if kind == "first" else f"% {word}"), literal(word)
        post = (
            f"with [the] {kind} name {said}",
            f"whose {kind} name is {said}",
            f"{'called' if kind == 'first' else 'with the surname'} {said}",
        )
        verb = (f"have {said} as their {kind} name", f"have the {kind} name {said}", f"(are called|are named) {said}")
    elif kind == "part" and len(words) > 1:
        pattern, said = f"%{words[-1]}%", literal(words[-1])
        post, verb = (
            (f"with {said} in their {label}", f'whose {label} contains "{said}"'),
            (f"have {said} in their {label}",),
        )
    else:
        pattern, said = f"{value[0]}%", literal(value[0])
        post = (f"whose {label} (starts|begins) with [the letter] {said}",)
        verb = (f"have a {label} (starting|beginning) with {said}",)
    subject = Subject(d.speaker, view, [Condition((), (Test(view.label, "like", pattern),), post=post, verb=verb)])
    if d.chance(0.5):
        return finished(
            "named_like", subject.source.select("COUNT(*)"), frames("count"), subject_slots(subject), ["like"]
        )
    return finished(
        "named_like", subject.source.select(subject.label()), list_frames(d, view), subject_slots(subject), ["like"]
    )


_MARKS = {"'": "an apostrophe", "-": "a hyphen", ".": "a period", "&": "an ampersand"}


def _with_mark(d: Drawer, view: View) -> Intent | None:
    """Names with a mark in them."""
    present = [m for m in _MARKS if any(m in str(v) for v, _ in view.label.values)]
    if not present:
        return None
    mark, label = d.rng.choice(present), d.speaker.label(view.label, view.who)
    said = _MARKS[mark]
    post = (f"with {said} in (their|the) {label}", f"whose {label} (has|contains) {said}")
    like = Condition((), (Test(view.label, "like", f"%{mark}%"),), post=post, verb=(f"have {said} in their {label}",))
    subject, slots = Subject(d.speaker, view, [like]), subject_slots(Subject(d.speaker, view, [like]))
    if d.chance(0.5):
        return finished("named_like", subject.source.select("COUNT(*)"), frames("count"), slots, ["like"])
    return finished("named_like", subject.source.select(subject.label()), list_frames(d, view), slots, ["like"])


FAMILIES = {listing: 20, facts_alone: 2, unknown: 2.5, any_period: 2, named_like: 1.5}
