"""Families of intents that take more than one step: compared with the average, with and without related rows, in both
groups, of both sides of a game, from one period to the next, the best of each group."""

import random

from labkit.datagen.build import Source, subquery, text
from labkit.datagen.conditions import Condition, Test
from labkit.datagen.intents import Drawer, Intent, finished, subject_slots
from labkit.datagen.numbers import COUNT, can_average, number_frames
from labkit.datagen.phrases import literal, plural
from labkit.datagen.rows import SHOW, TELL, _list_frames, extreme_frames, superlatives
from labkit.datagen.speaker import bounds_of_things
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Link, Path_, quoted
from labkit.schema import sql_name

# --- against the average ----------------------------------------------------------------------------------------------


def above_average(d: Drawer) -> Intent | None:
    """Rows above or below the average of all such rows."""
    view = d.view(lambda v: v.one_each and any(can_average(d.speaker, f) for f in d.facts(v, ("number",))))
    f = d.pick([f for f in d.facts(view, ("number",)) if can_average(d.speaker, f)]) if view else None
    if f is None:
        return None
    subject = d.subject(view, d.rng.choices((0, 1), (7, 3))[0], without=[f])
    inner = Subject(d.speaker, view, [c for c in subject.conditions if c.time])
    for s in (inner, subject):
        s.source.where(*f.known(s.source.at()))
    op = d.rng.choice("><")
    subject.source.where(f"{subject.read(f)} {op} {subquery(inner.source.select(f'AVG({inner.read(f)})'))}")
    words, noun = d.speaker.words(f), d.speaker.words(f).nouns[0]
    whole = plural(d.speaker.nouns(view.who)[0])
    things = words.plurals[0]
    more, above = ("more", "above") if op == ">" else ("fewer" if words.counts else "less", "below")
    average = f"(the average|average|the average of all {whole})"
    verbs = (
        [f"{v} {more} {things} than {average}" for v in words.verbs]
        if words.counts
        else [
            f"have a{'n' if above == 'above' else ''} {above.replace('above', 'above-average').replace('below', 'below-average')} {noun}",
            f"have a {noun} {above} {average}",
        ]
    )
    verbs += [f"are {c} than {average}" for _, c, _ in (words.high if op == ">" else words.low)] + [
        f"{v} {more} than {average}" for v in words.verbs if v in ("earn", "make", "weigh", "cost")
    ]
    posts = [
        f"with (a {noun}|{things}) {above} {average}" if not words.counts else f"with {more} {things} than {average}"
    ]
    shown = Subject(d.speaker, view, [*subject.conditions, Condition((), (), post=tuple(posts), verb=tuple(verbs))])
    if d.rng.random() < 0.45:
        return finished(
            "above_average", subject.source.select("COUNT(*)"), COUNT, subject_slots(shown), ["nested", "count"]
        )
    return finished(
        "above_average",
        subject.source.select(subject.label()),
        _list_frames(d.speaker, view, [], ""),
        subject_slots(shown),
        ["nested"],
    )


# --- related rows -----------------------------------------------------------------------------------------------------


def _child(d: Drawer) -> tuple[View, Link] | None:
    """A kind of thing with a name, and a table whose rows belong to it."""
    found = [
        (v, link) for v in d.views if v.own and v.who.label for link in d.world.links if link.other == v.root.table
    ]
    return d.rng.choice(found) if found else None


def _children_words(d: Drawer, link: Link) -> str:
    """What the rows of the other table are called from here: 'contracts', 'home games'."""
    noun = plural(d.speaker.nouns(d.world.entities[link.table])[0])
    return f"{link.role} {noun}" if link.role else noun


def related(d: Drawer) -> Intent | None:
    """Those with, or without, related rows that meet conditions."""
    found = _child(d)
    if not found:
        return None
    view, link = found
    child = d.world.entities[link.table]
    inner_view = next((v for v in d.views if v.root is child and v.own), View(child, child))
    inner = d.subject(inner_view, d.rng.choices((0, 1), (4, 6))[0], period=d.rng.random() < 0.7)
    without = d.rng.random() < 0.5
    subject = d.subject(view, d.rng.choices((0, 1), (7, 3))[0])
    column = f"{inner.source.at()}.{sql_name(link.column)}"
    f = child.field(link.column)
    if without and f and None in f.missing:
        inner.source.where(f"{column} IS NOT NULL")
    chosen = subquery(inner.source.select(column))
    subject.source.where(
        f"{subject.source.at()}.{sql_name(link.other_column)} {'NOT IN' if without else 'IN'} {chosen}"
    )

    def slots(rng: random.Random) -> dict[str, str]:
        phrase = inner.phrase(rng, many=rng.random() < 0.5)
        role = f"{link.role} " if link.role else ""
        theirs = role + phrase.text + phrase.when.join((" ", "")) if phrase.when else role + phrase.text
        one = not phrase.text.endswith("s")
        some = f"{'(a|at least one)' if one else '(|any)'} {theirs}"
        none = f"no {theirs}" if not one else f"(no|not a single) {theirs}"
        condition = Condition(
            (),
            (),
            post=(f"without {'a' if one else 'any'} {theirs}", f"with {none}") if without else (f"with {some}",),
            verb=(
                f"have {none}",
                f"do not have {'a' if one else 'any'} {theirs}",
                f"don't have {'a' if one else 'any'} {theirs}",
            )
            if without
            else (f"have {some}",),
        )
        return subject_slots(Subject(d.speaker, view, [*subject.conditions, condition]))(rng)

    tags = ["not_exists" if without else "exists", "join"]
    if d.rng.random() < 0.5:
        return finished("related", subject.source.select("COUNT(*)"), COUNT, slots, [*tags, "count"])
    return finished(
        "related", subject.source.select(subject.label()), _list_frames(d.speaker, view, [], ""), slots, tags
    )


def how_many_each(d: Drawer) -> Intent | None:
    """Those with so many related rows, or the number of those; over a subquery with GROUP BY."""
    found = _child(d)
    if not found or found[1].role:
        return None
    view, link = found
    child = d.world.entities[link.table]
    names, n, op = (
        _children_words(d, link),
        d.rng.choice((1, 2, 2, 3, 3, 4, 5)),
        d.rng.choice(("=", "=", ">", ">=", "<")),
    )
    inner = Source(d.world, child)
    key = f"{inner.at()}.{sql_name(link.column)}"
    f = child.field(link.column)
    if f and None in f.missing:
        inner.where(f"{key} IS NOT NULL")
    chosen = inner.select(key, group=[key], having=f"COUNT(*) {op} {n}")
    many = (
        [f"(exactly|just|) {n} {names}"]
        if op == "="
        else [w.replace("{things}", names) for w in bounds_of_things(op, str(n))]
    )
    condition = Condition(
        (), (), post=tuple(f"with {m}" for m in many), verb=tuple(f"have {m} [on file]" for m in many)
    )
    shown = Subject(d.speaker, view, [condition])
    if d.rng.random() < 0.5:
        query = f"SELECT COUNT(*) FROM {subquery(chosen)}"
        return Intent("how_many_each", text(query), COUNT, subject_slots(shown), ("nested", "group", "count"))
    source = Source(d.world, view.root)
    source.where(f"{source.at()}.{sql_name(link.other_column)} IN {subquery(chosen)}")
    return finished(
        "how_many_each",
        source.select(view.label.column(source.at())),
        _list_frames(d.speaker, view, [], ""),
        subject_slots(shown),
        ("nested", "group"),
    )


# --- two groups -------------------------------------------------------------------------------------------------------


def both_groups(d: Drawer) -> Intent | None:
    """Values that occur in both of two groups, or in one but not in the other."""
    view = d.view(lambda v: v.own and v.one_each and v.root.rows > 20)
    fields = [f for f in d.facts(view, ("category",)) if len(f.values) > 4]
    f = d.pick(fields)
    if f is None:
        return None
    a, b = d.condition(view), d.condition(view)
    if (
        not a
        or not b
        or a.tests == b.tests
        or f.ref in {g.ref for c in (a, b) for g in c.fields}
        or (a.tests[0].field.ref != b.tests[0].field.ref and d.rng.random() < 0.7)
    ):
        return None
    both = d.rng.random() < 0.5
    subjects = [Subject(d.speaker, view, [c]) for c in (a, b)]
    for s in subjects:
        s.source.where(*f.known(s.source.at(), null_matters=True))
    first, second = (s.source.select(s.column(f)) for s in subjects)
    things = "(" + "|".join(d.speaker.words(f).plurals[:2]) + ")"

    def slots(rng: random.Random) -> dict[str, str]:
        one, two = (s.phrase(rng).text for s in subjects)
        return {"a": one, "b": two, "things": things}

    frames = (
        (
            "(Which|What) {things} (are shared by|occur among both|are common to) {a} and {b}?",
            "{things} of both {a} and {b}[, please].",
            "(Which|What) {things} do {a} and {b} have in common?",
            "(Which|What) {things} do we find among {a} as well as among {b}?",
            "{things} (that|which) {a} and {b} share?",
        )
        if both
        else (
            "(Which|What) {things} (occur|are there) among {a} but not among {b}?",
            "{things} of {a} that no {b} have?".replace("that no {b} have", "that do not occur among {b}"),
            "(Which|What) {things} do {a} have that {b} (don't|do not)?",
            "List the {things} of {a}, leaving out those of {b}.",
            "{things} found among {a}, but never among {b}[, please].",
        )
    )
    query = first.intersect(second) if both else first.except_(second)
    return Intent("both_groups", text(query), frames, slots, ("set", "intersect" if both else "except"))


# --- two sides --------------------------------------------------------------------------------------------------------


def _sides(d: Drawer) -> list[tuple[View, Path_, Path_]]:
    """Tables with two links of different roles to one table: (view, one side, other side), both ways."""
    found = []
    for v in d.views:
        paths = [p for p in d.world.paths(v.root.table, 1)[1:] if p[0].role] if v.own else []
        found += [
            (v, p, q)
            for p in paths
            for q in paths
            if p != q and p[0].other == q[0].other and d.world.end(v.root.table, p).label
        ]
    return found


def meeting(d: Drawer) -> Intent | None:
    """Rows where both sides are named: the day that one hosted the other, the score."""
    sides = _sides(d)
    if not sides:
        return None
    view, p, q = d.rng.choice(sides)
    entity = d.world.end(view.root.table, p)
    a, b = (v for v, _ in d.rng.sample(entity.label.values, 2))
    subject = d.subject(view, 0)
    for path, value in ((p, a), (q, b)):
        subject.source.where(f"{entity.label.column(subject.source.at(path))} = {quoted(value)}")
    names = d.speaker.name(entity, a), d.speaker.name(entity, b)
    when = subject.conditions[0].time if subject.conditions else ()
    f = d.pick(d.facts(view, ("date", "number")))
    noun, role = view.root.noun, p[0].role
    home = role == "home"
    act = (
        "(host|play at home against|welcome)"
        if home
        else "(visit|play at|travel to)"
        if role == "away"
        else f"be the {role} {entity.noun} for"
    )
    between = (
        f"the {noun} (between|of) {{a}} (as {role} {entity.noun}|{'at home' if home else 'away' if role == 'away' else 'as ' + role}) and {{b}}"
        if not home
        else "the {noun} {a} (hosted|played at home) against {b}".replace("{noun}", noun)
    )
    if role == "away":
        between = f"the {noun} {{a}} played (at|away against) {{b}}"

    def slots(rng: random.Random) -> dict[str, str]:
        return {"a": names[0], "b": names[1], "when": f" {rng.choice(when)}" if when else ""}

    if f is None or d.rng.random() < 0.35:
        query = subject.source.select("COUNT(*)")
        frames = (
            f"How (often|many times) did {{a}} {act} {{b}}{{when}}?",
            f"How many {plural(noun)} did {{a}} {act} {{b}} in{{when}}?".replace(" in{when}", "{when}")
            .replace("How many", "In how many")
            .replace(f"{plural(noun)} did", f"{plural(noun)} did"),
            "Number of times {a} (hosted|met at home|had as guests) {b}{when}?"
            if home
            else f"Number of {plural(noun)} of {{a}} (at|away against) {{b}}{{when}}?",
            f"Count {plural(noun)} with {{a}} as {role} {entity.noun} and {{b}} as {q[0].role} {entity.noun}{{when}}.",
            f"How many {plural(noun)} with {{a}} ({role}) against {{b}} ({q[0].role})".replace(
                "(" + role + ")", "at " + role if home else role
            ).replace(" (" + q[0].role + ")", "")
            + "{when}?",
        )
        return finished("meeting", query, frames, slots, ["join", "role", "count"])
    words = d.speaker.words(f)
    if f.kind == "date":
        frames = (
            f"(When|On which (day|date)|On what date) did {{a}} {act} {{b}}{{when}}?",
            f"(What was the date of|When was) {between}{{when}}?",
            f"{TELL} the date of {between}{{when}}.",
            f"Date of {between}{{when}}?",
            f"{{a}} ({role}) against {{b}} ({q[0].role}){{when}}: (on which day|what date)?".replace(
                "(" + role + ")", f"{role}"
            ).replace("(" + q[0].role + ")", q[0].role),
        )
    else:
        frames = (
            f"What (was|were) the {words.nouns[0]} (of|in) {between}{{when}}?",
            f"{TELL} the {words.nouns[0]} of {between}{{when}}.",
            f"{words.nouns[0]} of {between}{{when}}?",
            f"When {{a}} {'hosted' if home else 'visited'} {{b}}{{when}}, what was the {words.nouns[0]}?",
            f"{between}{{when}}: what was the {words.nouns[0]}?",
        )
    return finished("meeting", subject.source.select(subject.column(f)), frames, slots, ["join", "role"])


def side_totals(d: Drawer) -> Intent | None:
    """A side's own number or the other side's, wins and losses of one side: 'points the Stags allowed at home'."""
    from labkit.datagen.glossary import twins

    usable = [
        (s, pair)
        for s in _sides(d)
        for pair in twins(s[0].root)
        if {pair[0].words.split()[0], pair[1].words.split()[0]} == {s[1][0].role, s[2][0].role}
    ]
    if not usable:
        return None
    (view, p, q), pair = d.rng.choice(usable)
    entity, role = d.world.end(view.root.table, p), p[0].role
    own, other = pair if pair[0].words.split()[0] == role else pair[::-1]
    value = d.rng.choice(entity.label.values)[0]
    subject = d.subject(view, 0)
    subject.source.where(f"{entity.label.column(subject.source.at(p))} = {quoted(value)}")
    name, when = d.speaker.name(entity, value), subject.conditions[0].time if subject.conditions else ()
    place = {"home": "at home", "away": "(on the road|away [from home])"}.get(role, f"as {role}")
    unit, noun = own.words.split(" ", 1)[1], view.root.noun
    slots = lambda rng: {"a": name, "when": f" {rng.choice(when)}" if when else ""}  # noqa: E731
    kind = d.rng.choice(("won", "won", "lost", "scored", "allowed"))
    at = subject.source.at()
    if kind in ("won", "lost"):
        subject.source.where(f"{own.column(at)} {'>' if kind == 'won' else '<'} {other.column(at)}")
        things = {"won": "wins", "lost": "losses"}[kind]
        one = {"won": "win", "lost": "lose"}[kind]
        road = {"home": "home", "away": "(road|away)"}.get(role, role)
        frames = (
            f"How (often|many times) did {{a}} {one} {place}{{when}}?",
            f"How many {road} {things} did {{a}} (have|get|collect|record){{when}}?",
            f"How many {road} {plural(noun)} did {{a}} {one}{{when}}?",
            f"Number of {road} {things} of {{a}}{{when}}?",
            f"How many {plural(noun)} did {{a}} {one} {place}{{when}}?",
            f"Count the {road} {things} of {{a}}{{when}}.",
        )
        return finished("side_totals", subject.source.select("COUNT(*)"), frames, slots, ["role", "compare", "join"])
    f = own if kind == "scored" else other
    mean = d.rng.random() < 0.6
    verb = "score" if kind == "scored" else "(allow|concede|give up)"
    frames = (
        (
            f"How many {unit} (a|per) {noun} did {{a}} {verb} {place}{{when}}?",
            f"How many {unit} did {{a}} {verb} {place} on average{{when}}?",
            f"(What is|What's) the average number of {unit} {{a}} {'scored' if kind == 'scored' else '(allowed|conceded|gave up)'} {place}{{when}}?",
            f"Average {unit} {'scored' if kind == 'scored' else '(allowed|conceded)'} by {{a}} {place}{{when}}?",
            f"On average, how many {unit} did {{a}} {verb} {place}{{when}}?",
        )
        if mean
        else (
            f"How many {unit} did {{a}} {verb} {place}{{when}} (in total|altogether|in all)?",
            f"Total {unit} {'scored' if kind == 'scored' else '(allowed|conceded)'} by {{a}} {place}{{when}}?",
            f"(What is|What's) the total of {unit} {{a}} {'scored' if kind == 'scored' else '(allowed|gave up)'} {place}{{when}}?",
            f"Add up the {unit} {{a}} {'scored' if kind == 'scored' else '(allowed|conceded)'} {place}{{when}}.",
            f"{unit} {{a}} {'scored' if kind == 'scored' else 'allowed'} {place} (in total|altogether){{when}}?",
        )
    )
    return finished(
        "side_totals",
        subject.source.select(f"{'AVG' if mean else 'SUM'}({f.column(at)})"),
        frames,
        slots,
        ["role", "join", "avg" if mean else "sum"],
    )


def either_side(d: Drawer) -> Intent | None:
    """Wins, games, of one row whatever its side: an OR over both links."""
    from labkit.datagen.glossary import twins

    usable = [
        (s, pair)
        for s in _sides(d)
        for pair in twins(s[0].root)
        if pair[0].words.split()[0] == s[1][0].role and pair[1].words.split()[0] == s[2][0].role
    ]
    if not usable:
        return None
    (view, p, q), (own, other) = d.rng.choice(usable)
    entity = d.world.end(view.root.table, p)
    value = d.rng.choice(entity.label.values)[0]
    name, noun = d.speaker.name(entity, value), view.root.noun
    subject = d.subject(view, 0)
    kind = d.rng.choice(("won", "won", "lost", "played"))
    chosen = f"(SELECT {sql_name(p[0].other_column)} FROM {sql_name(entity.table)} WHERE {sql_name(entity.label.name)} = {quoted(value)})"
    at, sign = subject.source.at(), ">" if kind == "won" else "<"
    left, right = f"{at}.{sql_name(p[0].column)} = {chosen}", f"{at}.{sql_name(q[0].column)} = {chosen}"
    if kind != "played":
        left, right = (
            f"({left} AND {own.column(at)} {sign} {other.column(at)})",
            f"({right} AND {other.column(at)} {sign} {own.column(at)})",
        )
    subject.source.where(f"({left} OR {right})")
    verb, things = {"won": ("win", "wins"), "lost": ("lose", "losses"), "played": ("play", plural(noun))}[kind]
    when = subject.conditions[0].time if subject.conditions else ()
    slots = lambda rng: {"a": name, "when": f" {rng.choice(when)}" if when else ""}  # noqa: E731
    everywhere = f"({p[0].role} and {q[0].role}|{p[0].role} or {q[0].role}|overall|in all|altogether)"
    frames = (
        f"How many {plural(noun)} did {{a}} {verb}{{when}}, {everywhere}?",
        f"How many {plural(noun)} did {{a}} {verb}{{when}}?",
        f"How many {things} did {{a}} have{{when}}, {everywhere}?",
        f"Number of {things} of {{a}}{{when}}, {everywhere}?",
        f"How often did {{a}} {verb}{{when}}, {everywhere}?",
        f"Count all {things} of {{a}}{{when}}.",
    )
    return finished("either_side", subject.source.select("COUNT(*)"), frames, slots, ["role", "or"])


# --- from one period to the next --------------------------------------------------------------------------------------


def change(d: Drawer) -> Intent | None:
    """Who gained or lost most between two periods; how many changed a text."""
    view = d.view(lambda v: bool(v.path) and v.period is not None and v.one_each and len(v.period.values) > 1)
    if not view:
        return None
    low, high = sorted(d.rng.sample([v for v, _ in view.period.values], 2))
    link, table = view.path[0], sql_name(view.root.table)
    period, key = sql_name(view.period.name), sql_name(link.column)
    texts = d.facts(view, ("category", "text"))
    join = f"FROM {table} AS a JOIN {table} AS b ON a.{key} = b.{key}"
    fixed = f"WHERE a.{period} = {low} AND b.{period} = {high}"
    who, span = d.speaker.nouns(view.who)[0], f"(from {low} to {high}|between {low} and {high})"
    if texts and d.rng.random() < 0.35:
        f = d.pick(texts)
        noun, column = d.speaker.words(f).nouns[0], sql_name(f.name)
        frames = (
            f"How many {plural(who)} changed {plural(noun)} {span}?",
            f"How many {plural(who)} had a different {noun} in {high} than in {low}?",
            f"Number of {plural(who)} with another {noun} in {high} than in {low}?",
            f"How many {plural(who)} (were with|had) (a different|another) {noun} in {high} than in {low}?",
            f"Count the {plural(who)} whose {noun} in {high} was not that of {low}.",
        )
        return Intent(
            "change",
            text(f"SELECT COUNT(*) {join} {fixed} AND a.{column} <> b.{column}"),
            frames,
            lambda rng: {},
            ("self-join", "count"),
        )
    f = d.pick([f for f in d.facts(view, ("number",)) if can_average(d.speaker, f) and not f.missing])
    if f is None:
        return None
    up, beside = d.rng.random() < 0.7, d.rng.random() < 0.5
    gain = f"{f.read('b')} - {f.read('a')}" if up else f"{f.read('a')} - {f.read('b')}"
    label, alias = view.who.label, view.who.alias if view.who.alias not in "ab" else "w"
    names = (
        f"{join} JOIN {sql_name(view.who.table)} AS {alias} ON a.{key} = {alias}.{sql_name(link.other_column)} {fixed}"
    )
    noun, did = (
        d.speaker.words(f).nouns[0],
        "(climbed|rose|went up|improved|increased)" if up else "(dropped|fell|went down|declined)",
    )
    tail = (
        f" (Name and {'gain' if up else 'drop'}|{label.words} and {'gain' if up else 'loss'}, please)."
        if beside
        else ""
    )
    frames = (
        f"Whose {noun} {did} the most {span}?{tail}",
        f"(Which|What) {who} had the (biggest|largest) {'gain|increase|rise' if up else 'drop|decrease|fall'} in {noun} {span}?{tail}".replace(
            "gain|increase|rise", "(gain|increase|rise)"
        ).replace("drop|decrease|fall", "(drop|decrease|fall)"),
        f"(Which|What) {who}'s {noun} {did} (the) most {span}?{tail}",
        f"{TELL} the {who} whose {noun} {did} the most {span}.{tail}",
        f"(Biggest|Largest) {'(gain|jump)' if up else '(drop|fall)'} in {noun} {span}: (which|what) {who}?{tail}",
    )
    sql = f"SELECT {label.column(alias)}{', ' + gain if beside else ''} {names} ORDER BY {gain} DESC LIMIT 1"
    probe = f"SELECT {gain} {names} ORDER BY {gain} DESC LIMIT 2"
    return Intent("change", text(sql), frames, lambda rng: {}, ("self-join", "superlative"), unique=probe)


# --- the best of each group -------------------------------------------------------------------------------------------


def best_of_each(d: Drawer) -> Intent | None:
    """For each group the row with the most: a window function, ties included."""
    view = d.view(lambda v: v.one_each and v.who.label and d.facts(v, ("number",)))
    f = d.pick(d.facts(view, ("number", "date"))) if view else None
    if f is None:
        return None
    subject = d.subject(view, 0)
    groups = [
        (g, ()) for g in view.root.fields if g.kind == "category" and g.ref not in {t.field.ref for t in view.implied}
    ]
    for path in d.world.paths(view.root.table, 2)[1:]:
        entity = d.world.end(view.root.table, path)
        if not any(link.role for link in path):
            groups += [(g, path) for g in entity.fields if g.kind == "category" and not g.names] + (
                [(entity.label, path)] if entity.label and path != view.path and entity.label.unique else []
            )
    groups = [(g, path) for g, path in groups if len(g.values) <= 30]
    if not groups:
        return None
    g, path = d.rng.choice(groups)
    high = d.rng.random() < 0.75
    source = subject.source
    source.where(*f.known(source.at()), *g.known(source.at(path), null_matters=True))
    columns = [g.column(source.at(path)), subject.label(), subject.column(f)]
    names = [f"{c.split('.')[-1]}" for c in columns]
    if len(set(names)) < 3:
        return None
    inner = source.select(
        *columns,
        f"RANK() OVER (PARTITION BY {columns[0]} ORDER BY {subject.read(f)}{' DESC' if high else ''}) AS place",
    )
    beside = d.rng.random() < 0.7
    wanted = ", ".join(names if beside else names[:2])
    word = d.speaker.nouns(d.world.entities[g.table])[0] if g.kind == "label" else d.speaker.words(g).nouns[0]
    noun, label = d.speaker.words(f).nouns[0], view.label.words
    cols = f"{word}, {label} and {noun}" if beside else f"{word} and {label}"
    tail = f" (I need the {cols}|Show {cols}|{cols.capitalize()}, please)."
    each = f"(For|In) each {word}"
    frames = []
    for vp in superlatives(d.speaker, f, high)["vp"]:
        frames += [
            f"{each}, (who|which {{np1}}) {vp}{{when}}?{tail}"
            if view.who.person
            else f"{each}, which {{np1}} {vp}{{when}}?{tail}"
        ]
    for np in superlatives(d.speaker, f, high)["np"]:
        frames += [
            f"{each}, the {np.replace('{n}', '{np1}')}{{when}}.{tail}",
            f"{SHOW} the {np.replace('{n}', '{np1}')} (of|in|for) (each|every) {word}{{when}}.{tail}",
            f"(Who|Which) is the {np.replace('{n}', '{np1}')} (of|in) each {word}{{when}}?{tail}",
        ]
    query = f"SELECT {wanted} FROM {subquery(inner)} WHERE place = 1"
    return Intent(
        "best_of_each", text(query), tuple(frames), subject_slots(subject), ("window", "group", "superlative")
    )


# --- computed numbers -------------------------------------------------------------------------------------------------


def computed(d: Drawer) -> Intent | None:
    """The extreme row, the average, or the rows beyond a bound of a number that is computed: margins, rates, ages."""
    usable = [(v, m) for v in d.views if v.one_each for m in d.speaker.measures(v.root)]
    if not usable:
        return None
    view, m = d.rng.choice(usable)
    subject = d.subject(view, d.rng.choices((0, 1), (6, 4))[0], without=m.fields)
    at = subject.source.at()
    subject.source.where(*[k for f in m.fields for k in f.known(at)])
    sql, noun = m.sql.replace("{a}", at), "(" + "|".join(m.nouns) + ")"
    slots = subject_slots(subject)
    kind, label = d.rng.choice(("top", "average", "bound", "extreme", "top")), view.label.words
    who = "Who" if view.who.person else "Which"
    if kind == "average":
        frames = (
            f"(What is|What's) the average {noun} of [all] [the] {{np}}{{when}}?",
            f"Average {noun} of {{np}}{{when}}?",
            f"{TELL} the average {noun} of [the] {{np}}{{when}}.",
            f"On average, what is the {noun} of [the] {{np}}{{when}}?",
            f"{{np}}{{when}}: what is the average {noun}?",
        )
        return finished("computed", subject.source.select(f"AVG({sql})"), frames, slots, ["computed", "avg"])
    if kind == "bound":
        return _computed_bound(d, subject, sql, m, noun)
    high, beside = d.rng.random() < 0.8, d.rng.random() < 0.6
    n = 1 if kind == "extreme" else d.rng.choice((1, 3, 5))
    columns = [subject.label(), *([sql] if beside else [])]
    order = [sql + (" DESC" if high else "")]
    query = subject.source.select(*columns, order=order, limit=n)
    probe = subject.source.select(sql, order=order, limit=2, offset=n - 1)
    best = "(highest|biggest|largest|most)" if high else "(lowest|smallest)"
    best = best.replace("|most", "") if not m.per else best.replace("biggest|largest|", "")
    tail = f" ({label.capitalize()} and {m.nouns[0]}|Show {label} and {m.nouns[0]})." if beside else ""
    if n == 1:
        frames = (
            f"(Which|What) {{np1}} (has|had) the {best} {noun}{{when}}?{tail}",
            f"{TELL} the {{np1}} with the {best} {noun}{{when}}.{tail}",
            f"{who} had the {best} {noun}{{when}}?{tail}"
            if view.who.person and subject_plain_(subject)
            else f"What is the {{np1}} with the {best} {noun}{{when}}?{tail}",
            f"The {{np1}} with the {best} {noun}{{when}}?{tail}",
            f"Of all {{np}}, which had the {best} {noun}{{when}}?{tail}",
        )
    else:
        k = f"({n}|{ {3: 'three', 5: 'five'}[n] })"
        frames = (
            f"(What|Which) are the {k} {{np}} with the {best} {noun}{{when}}?{tail}",
            f"{TELL} the {k} {{np}} with the {best} {noun}{{when}}.{tail}",
            f"The {k} {{np}} with the {best} {noun}{{when}}[, please].{tail}",
            f"{'Top' if high else 'Bottom'} {k} {{np}} by {noun}{{when}}.{tail}",
            f"{SHOW} the {k} {{np}} with the {best} {noun}{{when}}.{tail}",
        )
    return finished("computed", query, frames, slots, ["computed", "superlative"], unique=probe)


def subject_plain_(subject: Subject) -> bool:
    return not [c for c in subject.conditions if not c.time]


def _computed_bound(d: Drawer, subject: Subject, sql: str, m, noun: str) -> Intent:
    numbers = [f.numbers[len(f.numbers) // 2] for f in m.fields]
    base = (
        numbers[0] / max(1, numbers[1])
        if m.per
        else abs(numbers[0] - numbers[1])
        if len(numbers) > 1 and "-" in sql
        else sum(numbers)
        if len(numbers) > 1
        else 5
    )
    value = (
        max(1, round(base * d.rng.choice((0.5, 1, 1.5, 2))))
        if base < 50
        else int(round(base * d.rng.choice((0.9, 1, 1.1)), -1))
    )
    value = d.rng.choice((5, 10, 15, 20)) if "ABS" in sql else value
    op = d.rng.choice((">", ">", "<", ">=", ">="))
    subject.source.where(f"{sql} {op} {value}")
    word = {
        ">": f"(of more than|above|over) {value}",
        "<": f"(of less than|below|under) {value}",
        ">=": f"of (at least {value}|{value} or more)",
    }[op]
    verbs = ()
    if m.per:
        things, many = (
            m.fields[0].words,
            {">": f"more than {value}", "<": f"fewer than {value}", ">=": f"(at least {value}|{value} or more)"}[op],
        )
        acts = d.speaker.words(m.fields[0]).verbs
        verbs = tuple(f"({a}|averaged) {many} {things} (a|per) {m.per}" for a in acts)
    condition = Condition(
        (), (), post=(f"with (a|an) {noun} {word}".replace("(a|an) ", "a "),), verb=verbs or (f"have a {noun} {word}",)
    )
    shown = Subject(d.speaker, subject.view, [*subject.conditions, condition])
    if d.rng.random() < 0.5:
        return finished(
            "computed", subject.source.select("COUNT(*)"), COUNT, subject_slots(shown), ["computed", "count"]
        )
    return finished(
        "computed",
        subject.source.select(subject.label()),
        _list_frames(d.speaker, subject.view, [], ""),
        subject_slots(shown),
        ["computed"],
    )


__all__ = ["Test", "extreme_frames", "literal", "number_frames"]
FAMILIES = {
    above_average: 3,
    related: 6,
    how_many_each: 3,
    both_groups: 3,
    meeting: 4,
    side_totals: 5,
    either_side: 3,
    change: 3,
    best_of_each: 3,
    computed: 5,
}
