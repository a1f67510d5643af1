"""Families of intents about rows with two links to one table (home and away, buyer and seller): meetings, wins and
totals of a side, of either side, of each, of one against another.
"""

import random
from dataclasses import dataclass

from labkit.datagen.build import key_of
from labkit.datagen.drawing import Drawer, nameless
from labkit.datagen.frames import frames
from labkit.datagen.intents import Intent, Slots, finished
from labkit.datagen.lookups import score_columns
from labkit.datagen.numbers import be_verb, can_average, rounded
from labkit.datagen.phrases import expand, literal, plural, possessive
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Entity, Field, Path_, quoted, twins
from labkit.schema import sql_name


@dataclass(frozen=True)
class Sides:
    """Rows of `view` with `one` side and the `other`; `own` and `against`: their numbers, where there are some."""

    view: View
    one: Path_
    other: Path_
    entity: Entity
    own: Field | None = None
    against: Field | None = None

    @property
    def role(self) -> str:
        return self.one[0].role

    @property
    def games(self) -> str:
        return plural(self.view.root.noun)

    @property
    def everywhere(self) -> str:
        a, b = sorted((self.role, self.other[0].role), reverse=True)
        return f"({a} and {b}|{a} or {b}|{b} and {a}|overall|in all)"


def all_sides(d: Drawer, numbers: bool = False) -> list[Sides]:
    """Both ways round, each pair of links with different roles from one table to another."""
    found = []
    for v in d.views:
        paths = [p for p in d.world.paths(v.root.table, 1)[1:] if p[0].role] if v.own else []
        for p, q in [(p, q) for p in paths for q in paths if p != q and p[0].other == q[0].other]:
            entity = d.world.end(v.root.table, p)
            if entity.label:
                found += _with_numbers(v, p, q, entity) if numbers else [Sides(v, p, q, entity)]
    return found


def _with_numbers(v: View, p: Path_, q: Path_, entity: Entity) -> list[Sides]:
    """Columns `home_points` and `away_points` are the numbers of sides called home and away."""
    found = []
    for pair in twins(v.root):
        by_role = {f.words.split()[0]: f for f in pair}
        if {p[0].role, q[0].role} == set(by_role):
            found.append(Sides(v, p, q, entity, by_role[p[0].role], by_role[q[0].role]))
    return found


def _slots(d: Drawer, s: Sides, subject: Subject, a: object, b: object = None) -> Slots:
    names = {"a": d.speaker.name(s.entity, a), "b": d.speaker.name(s.entity, b) if b is not None else ""}
    when = subject.conditions[0].time if subject.conditions else ()

    def fill(rng: random.Random) -> dict[str, str]:
        return {**names, "when": f" {rng.choice(when)}" if when else ""}

    return fill


def _acts(s: Sides) -> dict[str, str]:
    """What one side does to the other: 'host', 'visit'."""
    noun = s.view.root.noun
    known = {
        "home": ("(host|host|play at home against|welcome|receive)", "(hosted|played at home against)",
                 f"(the {noun} in which {{a}} hosted {{b}}|the {noun} of {{a}} at home against {{b}})"),
        "away": ("(visit|play away against|travel to)", "(visited|played away against)",
                 f"(the {noun} in which {{a}} visited {{b}}|the {noun} of {{a}} on the road at {{b}})"),
    }  # fmt: skip
    act = f"(appear|act) as {s.role} {s.entity.noun} with"
    general = (act, f"(appeared|acted) as {s.role} {s.entity.noun} with", f"the {noun} of {{a}} as {s.role} with {{b}}")
    return dict(zip(("act", "acted", "between"), known.get(s.role, general), strict=True))


def meeting(d: Drawer) -> Intent | None:
    """Rows where both sides are named: the day that one hosted the other, the score, how often."""
    sides = all_sides(d)
    if not sides:
        return None
    s = d.rng.choice(sides)
    a, b = (v for v, _ in d.rng.sample(s.entity.label.values, 2))
    subject = d.subject(s.view, (1,))
    for path, value in ((s.one, a), (s.other, b)):
        subject.source.where(f"{s.entity.label.column(subject.source.at(path))} = {quoted(value)}")
    f, slots = d.pick(d.facts(s.view, ("date", "number"))), _slots(d, s, subject, a, b)
    if s.view.period and not subject.conditions and not d.chance(0.3):
        return _all_dates(d, s, subject, slots)  # 'the game' would be one of several
    pairs = twins(s.view.root)
    if pairs and subject.conditions and d.chance(0.2):
        pair = d.rng.choice(pairs)
        asked = frames("score", between=_acts(s)["between"], cols=score_columns(pair)[0])
        return finished("meeting", subject.source.select(*map(subject.column, pair)), asked, slots, ["join", "role"])
    if f is None or not subject.conditions or d.chance(0.2):
        asked = frames("meeting count", games=s.games, **_acts(s))
        return finished("meeting", subject.source.select("COUNT(*)"), asked, slots, ["join", "role", "count"])
    asked = frames("meeting date" if f.kind == "date" else "meeting fact", noun=d.speaker.words(f).nouns[0], **_acts(s))
    return finished("meeting", subject.source.select(subject.column(f)), asked, slots, ["join", "role"])


def _all_dates(d: Drawer, s: Sides, subject: Subject, slots: Slots) -> Intent | None:
    """The days of all meetings, over all periods."""
    f = d.pick(d.facts(s.view, ("date",)))
    if f is None:
        return None
    asked = frames("meeting dates", games=s.games, **_acts(s))
    return finished("meeting", subject.source.select(subject.column(f)), asked, slots, ["join", "role", "date"])


_RESULTS = {"won": (">", "win", "wins"), "lost": ("<", "lose", "losses")}


def one_side(d: Drawer) -> Intent | None:
    """What one row did on one side: wins, losses, its own number, the other's ('points allowed at home')."""
    sides = all_sides(d, numbers=True)
    if not sides:
        return None
    s = d.rng.choice(sides)
    value = d.rng.choice(s.entity.label.values)[0]
    subject = d.subject(s.view, (1,))
    source = subject.source.where(f"{s.entity.label.column(subject.source.at(s.one))} = {quoted(value)}")
    place = {"home": "(at home|at home|in home {g})", "away": "(on the road|away [from home]|in away {g})"}.get(
        s.role, f"as {s.role}"
    )
    place, slots, at = place.replace("{g}", s.games), _slots(d, s, subject, value), source.at()
    kind = d.rng.choice(("won", "won", "lost", "scored", "allowed", "allowed"))
    if kind in _RESULTS:
        sign, win, wins = _RESULTS[kind]
        source.where(f"{s.own.column(at)} {sign} {s.against.column(at)}")
        side = {"home": "home", "away": "(road|away)"}.get(s.role, s.role)
        asked = frames("side results", win=win, wins=wins, side=side, place=place, games=s.games)
        return finished("one_side", source.select("COUNT(*)"), asked, slots, ["role", "join", "count"])
    f, mean = (s.own if kind == "scored" else s.against), d.chance(0.6)
    score, scored = ("score", "scored") if kind == "scored" else ("(allow|concede|give up)", "(allowed|conceded)")
    unit = f.words.split(" ", 1)[1]
    asked = frames(
        f"side {'average' if mean else 'total'}",
        unit=unit,
        game=s.view.root.noun,
        score=score,
        scored=scored,
        place=place,
    )
    query = source.select(f"{'AVG' if mean else 'SUM'}({f.column(at)})")
    return finished("one_side", query, asked, slots, ["role", "join", "avg" if mean else "sum"])


def either_side(d: Drawer) -> Intent | None:
    """Wins, losses, rows of one, whatever its side: an OR over both links."""
    sides = all_sides(d, numbers=True)
    if not sides:
        return None
    s = sides[0]
    value = d.rng.choice(s.entity.label.values)[0]
    subject, at = d.subject(s.view, (1,)), None
    at = subject.source.at()
    key = key_of(s.entity, s.one[0].other_column, value)
    left, right = f"{at}.{sql_name(s.one[0].column)} = {key}", f"{at}.{sql_name(s.other[0].column)} = {key}"
    kind = d.rng.choice(("won", "won", "lost", "played"))
    sign, win, wins = _RESULTS.get(kind, ("", "play", s.games))
    if sign:
        left, right = (
            f"({left} AND {s.own.column(at)} {sign} {s.against.column(at)})",
            f"({right} AND {s.against.column(at)} {sign} {s.own.column(at)})",
        )
    subject.source.where(f"({left} OR {right})")
    asked = frames("either results", win=win, wins=wins, games=s.games, everywhere=s.everywhere)
    return finished(
        "either_side", subject.source.select("COUNT(*)"), asked, _slots(d, s, subject, value), ["role", "or", "count"]
    )


def either_part(d: Drawer) -> Intent | None:
    """Of one's rows, whatever its side: how many, or what percentage, meet a condition; a fact of theirs on average."""
    sides = all_sides(d)
    if not sides:
        return None
    s = d.rng.choice(sides)
    value, subject = d.rng.choice(s.entity.label.values)[0], d.subject(s.view, (1,))
    source, at = subject.source, subject.source.at()
    key = key_of(s.entity, s.one[0].other_column, value)
    source.where(f"{key} IN ({at}.{sql_name(s.one[0].column)}, {at}.{sql_name(s.other[0].column)})")
    when = subject.conditions[0].time if subject.conditions else ()
    name, f, part = d.speaker.name(s.entity, value), None, None
    if d.chance(0.3):
        f = d.pick([f for f in d.facts(s.view, ("number",)) if can_average(f) and f not in (s.own, s.against)])
    if f is not None:
        source.where(*f.known(at))
        query, asked = source.select(f"AVG({f.read(at)})"), frames("average", noun=d.speaker.noun(f), unit="")
    else:
        part = d.own(s.view)
        part = part and nameless(part)
        if part is None or "date" in part.tags or not (part.verb or part.adjective or part.noun):
            return None
        inside, said, whole = " AND ".join(source.tests_of(part)), "", d.chance(0.4)
        number = "COUNT(*)" if whole else f"100.0 * SUM({inside}) / COUNT(*)"
        if whole:
            source.where(inside)
        elif d.chance(0.4):
            number, said = rounded(number, d)
        query = source.select(number)
        asked = frames("part count") if whole else frames("share", rounded=said)
    asked = tuple(a.replace("(who|that)", "that") for a in asked)

    def fill(rng: random.Random) -> dict[str, str]:
        called = expand(name, rng)
        np = rng.choice((f"{possessive(called)} {s.games}, {s.everywhere}", f"{s.games} of {called}, {s.everywhere},"))
        be = be_verb(part, rng) if part else ""
        return {"np": np, "be": be, "when": f" {rng.choice(when)}" if when else ""}

    return finished("either_part", query, asked, fill, ["role", "or"])


def standings(d: Drawer) -> Intent | None:
    """Wins or losses of each, whatever its side; or only the one with the most."""
    sides = all_sides(d, numbers=True)
    if not sides:
        return None
    s, best = sides[0], d.chance(0.3)
    subject = d.subject(s.view, (1,))
    sign, win, wins = _RESULTS[d.rng.choice(("won", "won", "lost"))]
    body, some = _either_way(d, s, subject, sign)
    label, name = s.entity.label.column(s.entity.alias), d.speaker.label(s.entity.label, s.entity)
    order = " ORDER BY COUNT(*) DESC" if best or d.chance(0.5) else ""
    query = f"SELECT {label}, COUNT(*) {body} GROUP BY {label}{order}{' LIMIT 1' if best else ''}"
    ordered = "(, most first|, from most to fewest|, highest first|, best first)" if order else ""
    fills = {"thing": f"{s.entity.noun}{some}", "games": s.games, "win": win, "wins": wins, "label": name}
    fills |= {"ordered": ordered, "everywhere": s.everywhere, "won": "won" if win == "win" else "lost"}
    asked, probe = frames("standings leader" if best else "standings", **fills), ""
    if best:
        probe = f"SELECT COUNT(*) {body} GROUP BY {label} ORDER BY COUNT(*) DESC LIMIT 2"
    return finished("standings", query, asked, _slots(d, s, subject, ""), ["role", "or", "group"], probe)


def _either_way(d: Drawer, s: Sides, subject: Subject, sign: str) -> tuple[str, str]:
    """FROM and WHERE that pair each with the rows that it won (or lost) on either side; the words of a part of them."""
    g, t = s.view.root.alias, s.entity.alias
    ways = [(s.one, s.own, s.against), (s.other, s.against, s.own)]
    on = " OR ".join(
        f"({g}.{sql_name(p[0].column)} = {t}.{sql_name(p[0].other_column)} AND {a.column(g)} {sign} {b.column(g)})"
        for p, a, b in ways
    )
    where = [f"{g}.{sql_name(c.tests[0].field.name)} = {quoted(c.tests[0].value)}" for c in subject.conditions]
    group, some = d.pick([f for f in s.entity.fields if f.kind == "category"]), ""
    if group and d.chance(0.5):
        value = d.rng.choice(group.values)[0]
        where.append(f"{group.column(t)} = {quoted(value)}")
        some = f" (of|in) the {literal(str(value))}"
    tables = f"FROM {sql_name(s.entity.table)} AS {t} JOIN {sql_name(s.view.root.table)} AS {g} ON {on}"
    return tables + (f" WHERE {' AND '.join(where)}" if where else ""), some


def derby(d: Drawer) -> Intent | None:
    """How often one beat another, whatever the side."""
    sides = all_sides(d, numbers=True)
    if not sides:
        return None
    s = sides[0]
    a, b = (v for v, _ in d.rng.sample(s.entity.label.values, 2))
    subject = d.subject(s.view, (1,))
    at, one, other = subject.source.at(), subject.source.at(s.one), subject.source.at(s.other)
    label = s.entity.label
    ways = [(a, b, s.own, s.against), (b, a, s.against, s.own)]
    both = [
        (f"{label.column(one)} = {quoted(x)} AND {label.column(other)} = {quoted(y)}", m.column(at), n.column(at))
        for x, y, m, n in ways
    ]
    won, lost = (
        " OR ".join(f"({met} AND {m} {sign} {n})" for met, m, n in both) for sign in (">", "<")
    )  # by the first named
    each = d.chance(0.3)
    subject.source.where(f"({' OR '.join(f'({met})' for met, *_ in both)})" if each else f"({won})")
    fills = {
        "win": "win",
        "wins": "wins",
        "beat": "(beat|defeat|win against)",
        "did": "did",
        "games": s.games,
        "everywhere": s.everywhere,
    }
    return finished(
        "derby",
        subject.source.select(*([f"SUM({won})", f"SUM({lost})"] if each else ["COUNT(*)"])),
        frames("derby each" if each else "derby", **fills),
        _slots(d, s, subject, a, b),
        ["role", "or", "count"],
    )


FAMILIES = {meeting: 4, one_side: 6, either_side: 2, either_part: 1.5, standings: 1.5, derby: 1}
