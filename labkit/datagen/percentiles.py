"""A family of intents about percentiles of a number: the median, a quartile, the lowest or top tenth; who lies beyond.

The percentile is the nearest rank, one of the stored values: the smallest that at least that part of the values does
not exceed (type 1 of Hyndman and Fan 1996, "Sample quantiles in statistical packages"). Of n sorted values it is
number ceil(n a / b), which lies behind (n a - 1) / b others in whole numbers; of an even number, the lower middle one.
"""

from labkit.datagen.build import subquery
from labkit.datagen.conditions import Condition
from labkit.datagen.drawing import Drawer, is_plain
from labkit.datagen.frames import frames
from labkit.datagen.intents import Intent, finished, subject_slots
from labkit.datagen.lexicon import is_rank
from labkit.datagen.lists import list_frames
from labkit.datagen.numbers import can_average, plain_unit
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Field

_FEW = 8  # of fewer values nobody asks for a part
_PARTS = {  # (a, b) of the percentile a / b: its names, and the section of ways to ask for it alone
    (1, 2): ("(median|median|median|middle)", "median"),
    (1, 4): ("(25th percentile|lower quartile|first quartile)", "lowest part"),
    (3, 4): ("(75th percentile|upper quartile|third quartile)", "top part"),
    (1, 10): ("10th percentile", "lowest part"),
    (9, 10): ("90th percentile", "top part"),
}
_PART = {4: "(quarter|quarter|25 percent)", 10: "(tenth|10 percent|10 percent)"}


def percentile(d: Drawer) -> Intent | None:
    """A percentile of a number, or the rows above or below the median, or in the top or lowest part."""
    view = d.view(lambda v: v.one_each and v.root.rows > 2 * _FEW and any(map(_has_middle, d.facts(v))))
    f = d.pick([f for f in d.facts(view) if _has_middle(f)])
    if f is None:
        return None
    subject = d.subject(view, (5, 5), without=[f])
    a, b = d.rng.choices(list(_PARTS), (6, 1, 1.5, 1, 2))[0]
    subject.source.where(*f.known(subject.source.at(), null_matters=True))
    value = _nearest_rank(subject, f, a, b)
    probe = subject.source.select(subject.column(f), limit=2, offset=_FEW - 2)
    if is_plain(subject) and d.chance(0.5):  # of a part, it would not be clear whose median is meant
        return _beyond(d, subject, f, (a, b), subquery(value), probe)
    name, section = _PARTS[a, b]
    unit = (plain_unit(f) if f.format.unit == "ft" else f"(||{plain_unit(f)})") if f.format.stored_as_text else ""
    asked = frames("percentile", point=name, noun=d.speaker.noun(f), unit=unit)
    asked += frames(section, part=_PART.get(b, ""), noun=d.speaker.noun(f), unit=unit)
    tags = ["percentile", "nested", *subject.tags]
    return finished("percentile", value, asked, subject_slots(subject), tags, probe, ranked=False)


def _has_middle(f: Field) -> bool:
    """Whether half of the values lie below one of them, give or take."""
    return can_average(f) and not is_rank(f) and len(set(f.numbers)) > _FEW


def _nearest_rank(subject: Subject, f: Field, a: int, b: int):
    """The value that at least a / b of the subject's values do not exceed, and no smaller one; as a query."""
    times = f"COUNT(*) * {a}" if a > 1 else "COUNT(*)"
    before = subquery(subject.source.select(f"({times} - 1) / {b}"))
    return subject.source.select(subject.read(f), order=[subject.read(f)], limit=1, offset=before)


def _beyond(d: Drawer, subject: Subject, f: Field, part: tuple[int, int], value: str, probe) -> Intent:
    """Those above the percentile, below it where it is a low one; either where it is the median."""
    low = d.chance(0.5) if part == (1, 2) else part[0] == 1
    shown = Subject(d.speaker, subject.view, [*subject.conditions, _words(d, subject.view, f, part, low)])
    subject.source.where(f"{subject.read(f)} {'<' if low else '>'} {value}")
    if counts := d.chance(0.5):
        query, asked = subject.source.select("COUNT(*)"), frames("count")
    else:
        query, asked = subject.source.select(subject.label()), list_frames(d, subject.view)
    tags = ["percentile", "nested", *(["count"] if counts else []), *subject.tags]
    return finished("percentile", query, asked, subject_slots(shown), tags, probe, ranked=False)


def _words(d: Drawer, view: View, f: Field, part: tuple[int, int], low: bool) -> Condition:
    """The words alone: 'with a weight above the median', 'weigh more than the median'."""
    words, name = d.speaker.words(f), _PARTS[part][0].replace("(median|median|median|middle)", "median")
    side, article = ("below", "a") if low else ("above", "an")
    if words.counts:
        fewer = f"{'fewer' if low else 'more'} {d.speaker.things(f)} than the {name}"
        return Condition((), (), post=(f"with {fewer}",), verb=tuple(f"{v} {fewer}" for v in words.verbs))
    noun = words.nouns[0]
    point = f"the median {noun}" if part == (1, 2) else f"the {name} of {noun}"
    verb = [f"have a {noun} {side} the {name}", f"(are|lie) {side} {point}"]
    if part == (1, 2):
        verb.append(f"have {article} {side}-median {noun}")
        verb += [f"are {c} than the median" for _, c, _ in (words.low if low else words.high)]
    return Condition((), (), post=(f"with a {noun} {side} the {name}", f"{side} {point}"), verb=tuple(verb))


FAMILIES = {percentile: 2}
