"""A family of intents about durations and sizes asked for in another unit than they are stored in: the five longest
tracks and how long they are in minutes.
"""

from labkit.datagen.drawing import Drawer, NothingToAsk, is_plain
from labkit.datagen.extremes import MEASURED, superlatives
from labkit.datagen.frames import frames
from labkit.datagen.intents import Intent, finished, name_slots, subject_slots
from labkit.datagen.lookups import named
from labkit.datagen.numbers import can_sum, rounded
from labkit.datagen.phrases import counted, plural
from labkit.datagen.subjects import View
from labkit.datagen.units import ASKED_IN
from labkit.datagen.world import Field, quoted

_KINDS = {"top": 4, "best": 2, "fact": 3, "list": 2, "number": 3}


def converted(d: Drawer) -> Intent | None:
    """The top few, the extreme one, one by its name, some of them, or an average or a total: in another unit."""
    usable = [v for v in d.views if v.one_each and v.label]
    found = [(v, f) for v in usable for f in d.facts(v, ("number",)) if _is_stored_so(f)]
    if not found:
        raise NothingToAsk
    view, f = d.rng.choices(found, [d.favoured(f) for _, f in found])[0]
    units = ASKED_IN[f.format.unit]
    unit = d.rng.choices(list(units), range(2 * len(units), 0, -2))[0]  # the usual one first
    kind = d.rng.choices(list(_KINDS), list(_KINDS.values()))[0]
    fills = {"unit": unit, "noun": d.speaker.words(f).nouns[0], **_how(d, f)}
    value, said = f"{{}} / {units[unit]}.0", ""
    if d.chance(0.25):
        value, said = rounded(value, d)
    fills["rounded"] = said
    if kind == "fact":
        return _of_one(d, view, f, value, fills)
    return _number(d, view, f, value, fills) if kind == "number" else _rows(d, view, f, value, kind, fills)


def _is_stored_so(f: Field) -> bool:
    """Whether the field's numbers are counted in a unit that people say in another one, and often larger than one."""
    units = ASKED_IN.get(f.format.unit, {})
    return bool(units) and f.numbers[-1] >= min(units.values()) and not f.format.stored_as_text and len(f.values) > 3


def _how(d: Drawer, f: Field) -> dict[str, str]:
    """'how long it is', 'how long they are', 'how long is each', 'how long'."""
    adjectives = [positive for positive, *_ in d.speaker.words(f).high if positive in MEASURED]
    if not adjectives:
        noun = d.speaker.words(f).nouns[0]
        return {"how": f"its {noun}", "how_many": f"their {plural(noun)}", "how_each": f"what is the {noun} of each",
                "how_are": f"what are their {plural(noun)}", "asks": f"what {noun}"}  # fmt: skip
    adj = f"how {adjectives[0]}"
    return {
        "how": f"{adj} it is",
        "how_many": f"{adj} they are",
        "how_each": f"{adj} is each",
        "how_are": f"{adj} are they",
        "asks": adj,
    }


def _of_one(d: Drawer, view: View, f: Field, value: str, fills: dict[str, str]) -> Intent | None:
    row, name = named(d, view)
    if row is None:
        return None
    subject = d.subject(view, (1,), own=True, period=not view.own)
    source = subject.source.where(f"{subject.label()} = {quoted(row)}")
    asked = [a[:-1] + fills["rounded"] + a[-1] if a[-1] in "?." else a for a in frames("converted fact", **fills)]
    slots = name_slots(name, subject.conditions[0].time if subject.conditions else ())
    return finished("converted", source.select(value.format(subject.read(f))), asked, slots, ["computed", "lookup"])


def _number(d: Drawer, view: View, f: Field, value: str, fills: dict[str, str]) -> Intent | None:
    subject = d.subject(view, (3, 6, 1), without=[f])
    kind = d.rng.choice(("AVG", "AVG", "SUM") if can_sum(f) else ("AVG",))
    subject.source.where(*f.known(subject.source.at()))
    said = {"AVG": "(average|average|mean)", "SUM": "(total|total|combined)"}[kind] + f" {fills['noun']}"
    query = subject.source.select(value.format(f"{kind}({subject.read(f)})"))
    probe = subject.source.select(subject.column(f), limit=2)
    tags = ["computed", kind.lower(), *subject.tags]
    asked = frames("converted number", said=said, **fills)
    return finished("converted", query, asked, subject_slots(subject), tags, probe, ranked=False)


def _rows(d: Drawer, view: View, f: Field, value: str, kind: str, fills: dict[str, str]) -> Intent | None:
    """Names and numbers: of those that meet conditions, or of the first few."""
    subject = d.subject(view, (0, 6, 3) if kind == "list" else (6, 3), without=[f])
    label = d.speaker.label(view.label, view.who)
    fills |= {"label": label, "labels": plural(label)}
    subject.source.where(*f.known(subject.source.at(), null_matters=True))
    columns, tags = [subject.label(), value.format(subject.read(f))], ["computed", *subject.tags]
    if kind == "list":
        if is_plain(subject):
            return None
        asked = frames("converted list", **fills)
        return finished("converted", subject.source.select(*columns), asked, subject_slots(subject), tags)
    high, k = d.chance(0.75), 1 if kind == "best" else d.rng.choice((2, 3, 3, 5, 5, 5, 10))
    order = [subject.read(f) + (" DESC" if high else "")]
    best = [np for np in superlatives(d.speaker, f, high, view.who.person)["np"] if "{n}" in np]
    noun = "{np1}" if k == 1 else "{np}"
    fills["k"] = f"({k}|{counted(str(k))})"
    asked = [a for np in best for a in frames(f"converted {kind}", best=np.replace("{n}", noun), **fills)]
    asked = [a[:-1] + fills["rounded"] + a[-1] if a[-1] in "?." else a for a in asked]
    probe = subject.source.select(subject.read(f), order=order, limit=2, offset=k - 1)
    query = subject.source.select(*columns, order=order, limit=k)
    return finished("converted", query, asked, subject_slots(subject), [*tags, "superlative"], probe)


FAMILIES = {converted: 1.8}
