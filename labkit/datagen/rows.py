"""Families of intents that ask for rows: look one up, list some, find the extreme one, the top few, those named so."""

import random
from collections.abc import Sequence

from labkit.datagen.build import Source, subquery, text
from labkit.datagen.conditions import Condition, Test
from labkit.datagen.intents import Drawer, Intent, finished, shown, subject_slots
from labkit.datagen.phrases import literal, plural, possessive, singular, third
from labkit.datagen.speaker import Speaker
from labkit.datagen.subjects import Subject, View
from labkit.datagen.world import Field, quoted

TELL = "(Give me|Tell me|I need|Show me|Show|I'd like to know|Please give me)"
SHOW = "(List|Show|Give me|Show me|I need|Please list|Return|Get me)"

# --- one row ----------------------------------------------------------------------------------------------------------


def lookup(d: Drawer) -> Intent | None:
    """One or two facts of a row that is called by its name or id."""
    view = d.view(lambda v: v.label and v.one_each and (v.own or v.who.label))
    if not view:
        return None
    subject = d.subject(view, 0)
    unique = [v for v, n in view.label.values if n == 1]
    if not unique:
        return None
    value = d.rng.choice(unique)
    subject.source.where(f"{subject.label()} = {quoted(value)}")
    name = (
        d.speaker.name(view.who, value)
        if view.who.label
        else f"({view.root.noun} {literal(str(value))}|{literal(str(value))})"
    )
    return _facts_of(d, view, subject, name)


def lookup_related(d: Drawer) -> Intent | None:
    """A fact of what a named row belongs to: the city of a player's team, the seats of a team's building."""
    view = d.view(lambda v: v.own and v.who.label and len(d.world.paths(v.root.table, 2)) > 1)
    if not view:
        return None
    path = d.rng.choice([p for p in d.world.paths(view.root.table, 2)[1:] if not p[-1].role] or [()])
    entity = d.world.end(view.root.table, path)
    fields = [f for f in entity.fields if f.kind not in ("id", "link") and f.values]
    unique = [v for v, n in view.label.values if n == 1]
    if not path or not fields or not unique:
        return None
    value, f = d.rng.choice(unique), d.pick(fields)
    source = Source(d.world, view.root)
    source.where(f"{view.label.column(source.at())} = {quoted(value)}")
    name, noun = d.speaker.name(view.who, value), d.speaker.nouns(entity)[0]
    theirs = f"{{own}} {noun}"
    frames = (
        _fact_frames(d.speaker, f, theirs, name, noun)
        if f.kind != "label"
        else (
            f"(Which|What) {noun} (is|does) {{x}} (with|in|belong to)?".replace(
                "(is|does) {x} (with|in|belong to)", "does {x} belong to"
            ),
            f"What is the {f.words} of {theirs}?",
            f"{TELL} the {f.words} of {theirs}.",
            f"What is {theirs} called?",
            f"{{own}} {noun}: (which one is it|what is it called)?",
            f"{theirs}, please.",
            f"Which is {theirs}?",
        )
    )
    slots = lambda rng: _named_slots(name, rng)  # noqa: E731
    return finished("lookup_related", source.select(f.column(source.at(path))), frames, slots, ("join",))


def lookup_by_fact(d: Drawer) -> Intent | None:
    """The name (or another fact) of the row with a certain unique value: who coaches, which one was founded in 1960."""
    view = d.view(lambda v: v.own and v.who.label)
    fields = [f for f in d.facts(view, ("text", "category", "year", "number")) if not f.names] if view else []
    known = [(f, v) for f in fields for v, n in f.values if n == 1]
    if not known:
        return None
    f = d.pick(list({id(f): f for f, _ in known}.values()))
    value = d.rng.choice([v for g, v in known if g is f])
    subject = d.subject(view, 0)
    subject.source.where(f"{f.column(subject.source.at())} = {quoted(value)}")
    say = f.format.read(value)
    condition = (
        d.speaker._is(f, value, ())
        if isinstance(value, str) and not f.format.stored_as_text
        else d.speaker.bound(f, d.rng)
        if False
        else None
    )
    noun = d.speaker.words(f).nouns[0]
    said = (
        literal(str(value))
        if condition or f.kind == "year"
        else __import__("labkit.datagen.formats", fromlist=["say"]).say(say, f.format)
    )
    head = d.speaker.nouns(view.who)[0]
    others = [g for g in d.facts(view) if g is not f]
    if others and d.rng.random() < 0.4:
        g = d.pick(others)
        owner = f"the {head} (with|whose {noun} is) {said}".replace(
            f"(with|whose {noun} is)", f"(with {noun}|whose {noun} is)"
        )
        owner = f"({owner}|{possessive(said)} {head})" if isinstance(value, str) and f.kind == "text" else owner
        frames = _fact_frames(d.speaker, g, owner, owner, head)
        return finished(
            "lookup_by_fact",
            subject.source.select(g.column(subject.source.at())),
            frames,
            lambda rng: {"x": owner, "own": possessive(head)},
            (),
        )
    part = d.speaker.words(f).participle
    ways = [
        f"(Which|What) {head} (has|had) [the] {noun} {said}?",
        f"{TELL} the {head} (with|whose {noun} is) {said}.".replace("(with|", f"(with {noun}|"),
        f"Which {head} is the one with {noun} {said}?",
        f"(What is the {view.label.words} of|Name) the {head} with {noun} {said}[, please].",
    ]
    if condition and condition.verb:
        ways += [f"(Which|What) {head} {third(v)}?" for v in condition.verb]
    if part and f.kind == "year":
        ways += [f"(Which|What) {head} was {part} in {said}?", f"{TELL} the {head} {part} in {said}."]
    return finished("lookup_by_fact", subject.source.select(subject.label()), ways, lambda rng: {}, ())


def _facts_of(d: Drawer, view: View, subject: Subject, name: str) -> Intent | None:
    f = d.pick(d.facts(view))
    if f is None:
        return None
    when = subject.conditions[0].time if subject.conditions and subject.conditions[0].time else ()

    def slots(rng: random.Random) -> dict[str, str]:
        return {**_named_slots(name, rng), "when": f" {rng.choice(when)}" if when else ""}

    if d.rng.random() < 0.3:
        g = d.pick([g for g in d.facts(view) if g is not f])
        if g is not None:
            return _two_facts(d, subject, (f, g), slots)
    implied = [Condition((), view.implied)] if view.implied and view.own else []
    subject.source.where(*implied)
    query = subject.source.select(f.column(subject.source.at()))
    return finished("lookup", query, _fact_frames(d.speaker, f, "{x}", name, ""), slots, _tags(f, subject))


def _named_slots(name: str, rng: random.Random) -> dict[str, str]:
    """{x} and {own} from a name template, the same name in both."""
    from labkit.datagen.phrases import expand

    chosen = expand(name, rng)
    return {"x": chosen, "own": possessive(chosen)}


def _two_facts(d: Drawer, subject: Subject, fields: Sequence[Field], slots) -> Intent:
    a, b = (d.speaker.words(f).nouns for f in fields)
    both = f"{a[0]} and {b[0]}"
    frames = (
        f"What are the {both} of {{x}}{{when}}?",
        f"{TELL} the {both} of {{x}}{{when}}.",
        f"{{own}} {both}{{when}}[, please]?",
        f"{{x}}: {both}{{when}}?",
        f"{both} of {{x}}{{when}}, please.",
        f"What (is|are) {{own}} {both}{{when}}?",
        f"{TELL} {{own}} {both}{{when}}.",
    )
    query = subject.source.select(*(f.column(subject.source.at()) for f in fields))
    return finished("lookup_two", query, frames, slots, subject.tags)


def _fact_frames(speaker: Speaker, f: Field, x: str, name: str, noun: str) -> tuple[str, ...]:
    words = speaker.words(f)
    own = "{own}" + (f" {noun}'s" if noun else "")
    asks = [a.replace("{x}", x) + "{when}" for a in words.ask]
    asks = [a[:1].upper() + a[1:] if a[0] not in "([" else a for a in asks]
    fact = "(" + "|".join([words.nouns[0], *words.nouns]) + ")"
    frames = [
        f"What (is|was) the {fact} of {x}{{when}}?",
        f"What (is|was) {own} {fact}{{when}}?",
        f"{TELL} the {fact} of {x}{{when}}.",
        f"{TELL} {own} {fact}{{when}}[, please].",
        f"{own} {fact}{{when}}?",
        f"{fact} of {x}{{when}}[, please]?",
    ]
    frames += [f"{ask}?" for ask in asks] * 2
    frames += [
        f"(Do you know|Can you tell me|Could you look up) the {fact} of {x}{{when}}?",
        f"Look up {own} {fact}{{when}}.",
    ]
    return tuple(frames)


def _tags(f: Field, subject: Subject) -> list[str]:
    return [
        *subject.tags,
        *(["text-format"] if f.format.stored_as_text else []),
        *(["join"] if len(subject.source.paths) > 1 else []),
    ]


# --- some rows --------------------------------------------------------------------------------------------------------


def listing(d: Drawer) -> Intent | None:
    """The names of the rows that meet conditions; facts beside them, an order, now and then."""
    view = d.view(lambda v: v.one_each)
    subject = d.subject(view, d.rng.choices((1, 2, 3), (5, 5, 2))[0])
    if not [c for c in subject.conditions if not c.time]:
        return None
    fields = [d.pick(d.facts(view)) for _ in range(d.rng.choices((0, 1, 2), (6, 4, 1))[0])]
    fields = [f for i, f in enumerate(fields) if f is not None and f not in fields[:i]]
    columns = [subject.label(), *(subject.column(f) for f in fields)]
    order, ordered = _ordering(d, subject, fields)
    query = subject.source.select(*columns, order=order)
    frames = _list_frames(d.speaker, view, fields, ordered)
    return finished("listing", query, frames, subject_slots(subject), [*subject.tags, *(["order"] if order else [])])


def _ordering(d: Drawer, subject: Subject, fields: Sequence[Field]) -> tuple[list[str], str]:
    numbers = [f for f in fields if f.kind in ("number", "year", "date")]
    if not numbers or d.rng.random() > 0.4:
        return [], ""
    f, down = numbers[-1], d.rng.random() < 0.65
    subject.source.where(*f.known(subject.source.at(), null_matters=True))
    noun = d.speaker.words(f).nouns[0]
    if f.kind == "number":
        said = (
            f"(highest {noun} first|from highest to lowest {noun}|sorted by {noun}, highest first|ordered by {noun} from high to low)"
            if down
            else f"(lowest {noun} first|sorted by {noun}, lowest first|from lowest to highest {noun}|ordered by {noun}, ascending)"
        )
    else:
        said = (
            "(newest first|latest first|most recent first|starting with the latest)"
            if down
            else "(oldest first|earliest first|in chronological order|starting with the earliest)"
        )
    return [subject.read(f) + (" DESC" if down else "")], f", {said}"


def _list_frames(speaker: Speaker, view: View, fields: Sequence[Field], ordered: str) -> tuple[str, ...]:
    label = view.label.words
    if not fields:
        plain = f"({plural(label)}|{view.who.noun} {plural(label)})"
        return (
            "{asked}{when}?", "{asked}{when}?", f"{{asked}}{{when}}? (Just the {plain}|{plural(label)} only|The {plural(label)}, please|{plural(label)} will do|I only need the {plural(label)}).",
            f"{SHOW} [all] [the] {{np}}{{when}}.", f"{SHOW} the {plain} of [all] [the] {{np}}{{when}}.", f"{plain} of [all] {{np}}{{when}}[, please].",
            "Name [all] [the] {np}{when}.", f"What are the {plain} of [all] [the] {{np}}{{when}}?", "{np}{when}: (which ones are they|who are they)?".replace("who are they", "name them"), f"{{np}}{{when}}, {plural(label)} only.",
        )  # fmt: skip
    facts = [speaker.words(f).nouns[0] for f in fields]
    cols = f"({', '.join([label, *facts[:-1]])} and {facts[-1]}|{', '.join([view.who.noun + ' ' + label, *facts[:-1]])} and {facts[-1]})"
    with_facts = " and ".join([", ".join(facts[:-1]), facts[-1]]) if len(facts) > 1 else facts[0]
    return (
        f"{{asked}}{{when}}? (Show|I need|Give|List|Return) {cols}{ordered}.", f"{{asked}}{{when}}? {cols}{ordered}[, please].", f"{SHOW} {cols} of [all] [the] {{np}}{{when}}{ordered}.",
        f"{SHOW} [all] [the] {{np}}{{when}} with (their|the) {with_facts}{ordered}.", f"{{np}}{{when}}: {cols}{ordered}[, please].", f"{SHOW} {cols} for [all] {{np}}{{when}}{ordered}.",
        f"{SHOW} {{np}}{{when}} (together with|along with|and) their {with_facts}{ordered}.", f"What are the {cols} of [all] [the] {{np}}{{when}}{ordered}?",
    )  # fmt: skip


# --- the extreme row --------------------------------------------------------------------------------------------------


def extreme(d: Drawer) -> Intent | None:
    """The row with the most or the least of something; the value beside it, now and then; ties all, where asked."""
    view = d.view(lambda v: v.one_each and d.facts(v, ("number", "year", "date")))
    f = d.pick(d.facts(view, ("number", "year", "date"))) if view else None
    if f is None:
        return None
    subject = d.subject(view, d.rng.choices((0, 1, 2), (5, 5, 1))[0], without=[f])
    high = d.rng.random() < 0.7
    sup = superlatives(d.speaker, f, high)
    beside = d.rng.random() < 0.45
    columns = [subject.label(), *([subject.column(f)] if beside else [])]
    if view.own and not subject.conditions:
        return _by_subquery(d, subject, f, high, columns, sup, beside, every=False)
    if d.rng.random() < 0.15:
        return _by_subquery(d, subject, f, high, columns, sup, beside, every=True)
    return _by_order(subject, f, high, columns, sup, beside, d)


def _by_order(subject: Subject, f: Field, high: bool, columns, sup, beside: bool, d: Drawer) -> Intent:
    subject.source.where(*f.known(subject.source.at(), null_matters=not high))
    way = [subject.read(f) + (" DESC" if high else "")]
    query = subject.source.select(*columns, order=way, limit=1)
    probe = subject.source.select(subject.read(f), order=way, limit=2)
    frames = extreme_frames(d.speaker, subject, f, sup, beside)
    return finished("extreme", query, frames, subject_slots(subject), ["superlative", *_tags(f, subject)], unique=probe)


def _by_subquery(d: Drawer, subject: Subject, f: Field, high: bool, columns, sup, beside: bool, every: bool) -> Intent:
    """`x = (SELECT MAX(x) ...)`: right however many share the mark."""
    inner = Subject(d.speaker, subject.view, subject.conditions)
    inner.source.where(*f.known(inner.source.at()))
    best = subquery(inner.source.select(f"{'MAX' if high else 'MIN'}({inner.read(f)})"))
    subject.source.where(*f.known(subject.source.at()))
    subject.source.where(f"{subject.read(f)} = {best}")
    frames = extreme_frames(d.speaker, subject, f, sup, beside)
    if every:
        said = "(If several tie, show them all|Ties: show everybody|List all of them if several share the mark|All who share it|Everyone in case of a tie|Include ties)"
        if not subject.view.who.person:
            said = "(If several tie, show them all|List all of them if several share the mark|All that share it|Include ties|Show all in case of a tie)"
        frames = tuple(f"{frame} {said}." for frame in frames)
    return finished(
        "extreme_ties",
        subject.source.select(*columns),
        frames,
        subject_slots(subject),
        ["superlative", "ties", *_tags(f, subject)],
    )


def superlatives(speaker: Speaker, f: Field, high: bool) -> dict[str, list[str]]:
    """'np': '{n} with the highest salary', 'tallest {n}'; 'vp' (singular): 'has the highest salary', 'is the tallest'."""
    words, noun = speaker.words(f), "(" + "|".join([speaker.words(f).nouns[0], *speaker.words(f).nouns[:3]]) + ")"
    nps, vps = [], []
    for *_, best in words.high if high else words.low:
        nps.append(f"{best} {{n}}")
        vps.append(f"is the {best}")
    for best in words.best if high else words.worst:
        nps.append(f"{best} {{n}}")
        vps.append(f"is the {best}")
    if f.kind in ("year", "date") and not words.high:
        word = "(latest|most recent|last)" if high else "(earliest|first)"
        nps.append(f"{{n}} with the {word} {noun}")
        vps.append(f"has the {word} {noun}")
        if words.participle and " " not in words.participle and words.participle != "ending":
            nps.append(f"{{n}} {words.participle} {'(last|most recently)' if high else '(first|earliest)'}")
            vps.append(f"was {words.participle} {'(last|most recently)' if high else '(first|earliest)'}")
    elif f.kind == "number" and words.counts:
        things = "(" + "|".join(words.plurals) + ")"
        word = "(most|most|highest number of)" if high else "(fewest|least|lowest number of)"
        nps.append(f"{{n}} with the {word} {things}")
        vps += [f"{third(v)} the {word} {things}" for v in words.verbs]
    elif f.kind == "number":
        word = "(highest|largest|biggest|top)" if high else "(lowest|smallest)"
        nps.append(f"{{n}} with the {word} {noun}")
        vps += [f"has the {word} {noun}"] + [
            f"{third(v)} the {'most' if high else 'least'}"
            for v in words.verbs
            if v in ("earn", "make", "weigh", "cost", "hold")
        ]
    if high:
        vps += [f"was the {t}" for t in speaker.glossary.tops.get(f.ref, [])]
        nps += [t for t in speaker.glossary.tops.get(f.ref, [])]
    return {"np": nps, "vp": vps}


def extreme_frames(
    speaker: Speaker, subject: Subject, f: Field, sup: dict[str, list[str]], beside: bool
) -> tuple[str, ...]:
    """Whole questions for the extreme row; the value beside it is asked for where `beside`."""
    person, label, noun = subject.view.who.person, subject.view.label.words, speaker.words(f).nouns[0]
    tail, lead = "", ""
    if beside:
        tail = f" ({label.capitalize()} and {noun}|I need {label} and {noun}|Show {label} and {noun}|Give {label} and {noun}|{label.capitalize()} and {noun}, please)."
        lead = f"{label} and {noun} of "
    frames = []
    for np in sup["np"]:
        whole = np.replace("{n}", "{np1}")
        frames += [
            f"(Who|{'Who' if person else 'Which'}) is the {whole}{{when}}?{tail}".replace(
                "(Who|Which)", "(What|Which)"
            ),
            f"{TELL} {lead}the {whole}{{when}}[, please].",
            f"{'Name' if not beside else lead.strip() + ':'} the {whole}{{when}}.",
        ]
        if beside:
            frames += [
                f"{lead}the {whole}{{when}}[, please].",
                f"Who is the {whole}{{when}}, and what is the {noun}?"
                if person
                else f"(What|Which) is the {whole}{{when}}, and what is the {noun}?",
            ]
    for vp in sup["vp"]:
        frames += [f"(Which|What) {{np1}} {vp}{{when}}?{tail}"] * 2 + [
            f"(Of|Among) [all] [the] {{np}}, (which one|{'who' if person else 'which'}) {vp}{{when}}?{tail}"
        ]
        if beside:
            frames.append(
                f"(Which|What) {{np1}} {vp}{{when}}, and (what is it|how much is it|what is the {noun})?"
                if not speaker.words(f).counts
                else f"(Which|What) {{np1}} {vp}{{when}}, and how many?"
            )
        if person and not [c for c in subject.conditions if not c.time]:
            frames += [f"Who {vp}{{when}}?{tail}"] * 2 + [
                f"Who {vp} [in the whole list] of all{{when}}?{tail}".replace(" [in the whole list]", "")
            ]
    return tuple(frames)


def top(d: Drawer) -> Intent | None:
    """The top few, in order; or the second, the third."""
    view = d.view(lambda v: v.one_each and v.root.rows > 8 and d.facts(v, ("number", "year", "date")))
    f = d.pick(d.facts(view, ("number", "date", "year"))) if view else None
    if f is None:
        return None
    subject = d.subject(view, d.rng.choices((0, 1), (5, 3))[0], without=[f])
    high, beside = d.rng.random() < 0.75, d.rng.random() < 0.5
    subject.source.where(*f.known(subject.source.at(), null_matters=not high))
    columns = [subject.label(), *([subject.column(f)] if beside else [])]
    way = [subject.read(f) + (" DESC" if high else "")]
    if d.rng.random() < 0.25:
        return _nth(d, subject, f, high, columns, way)
    n = d.rng.choice((2, 3, 3, 4, 5, 5, 5, 6, 7, 8, 10, 10))
    query, probe = (
        subject.source.select(*columns, order=way, limit=n),
        subject.source.select(subject.read(f), order=way, limit=2, offset=n - 1),
    )
    return finished(
        "top",
        query,
        _top_frames(d.speaker, subject, f, high, n, beside),
        subject_slots(subject),
        ["top", *_tags(f, subject)],
        unique=probe,
    )


_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 10: "ten"}


def _top_frames(speaker: Speaker, subject: Subject, f: Field, high: bool, n: int, beside: bool) -> tuple[str, ...]:
    label, noun, sup, k = (
        subject.view.label.words,
        speaker.words(f).nouns[0],
        superlatives(speaker, f, high),
        f"({_NUMBERS[n]}|{n})",
    )
    cols = f"{label} and {noun}"
    tail = f" ({cols.capitalize()}, please|Show {cols}|I need {cols})." if beside else ""
    lead = f"{cols} of " if beside else ""
    frames = []
    for np in sup["np"]:
        if "{n}" in np:
            whole = np.replace("{n}", "{np}")
            frames += [
                f"{TELL} {lead}the {k} {whole}{{when}}.",
                f"(Which|What) are the {k} {whole}{{when}}?{tail}",
                f"The {k} {whole}{{when}}{', ' + cols if beside else ''}[, please].",
            ]
        elif high:
            frames += [
                f"The {k} {plural(np)}{{when}}{', with ' + cols if beside else ''}[, please].",
                f"Top {k} {plural(np)}{{when}}?{tail}".replace("Top ", "The "),
            ]
    if high:
        frames += [
            f"Top {k} {{np}} by {noun}{{when}}[, please].{tail}",
            f"(What|Who) are the top {k} {{np}} by {noun}{{when}}?{tail}".replace(
                "(What|Who)", "Who" if subject.view.who.person else "What"
            ),
        ]
    return tuple(frames)


def _nth(d: Drawer, subject: Subject, f: Field, high: bool, columns, way) -> Intent | None:
    n = d.rng.choice((2, 2, 3))
    query = subject.source.select(*columns, order=way, limit=1, offset=n - 1)
    probe = subject.source.select(subject.read(f), order=way, limit=3 if n == 2 else 4)
    nth, beside = {2: "(second|2nd)", 3: "(third|3rd)"}[n], len(columns) > 1
    sup = {
        k: [t.replace("the ", f"the {nth} ", 1) if k == "vp" else t for t in ts]
        for k, ts in superlatives(d.speaker, f, high).items()
    }
    nps = [t for t in sup["np"] if re_adjective(t)]
    sup["np"] = [f"{nth} {t}" for t in nps] + [
        t.replace("with the ", f"with the {nth} ") for t in sup["np"] if "with the " in t
    ]
    sup["vp"] = [t for t in sup["vp"] if f"the {nth}" in t]
    if not sup["np"]:
        return None
    frames = extreme_frames(d.speaker, subject, f, sup, beside)
    return finished("nth", query, frames, subject_slots(subject), ["top", "offset", *_tags(f, subject)], unique=probe)


def re_adjective(template: str) -> bool:
    """Whether the superlative stands before the noun: 'tallest {n}'."""
    return template.endswith(" {n}")


# --- by name ----------------------------------------------------------------------------------------------------------


def named_like(d: Drawer) -> Intent | None:
    """Rows whose name starts with, ends in or holds something: a first name, a letter."""
    view = d.view(lambda v: v.own and v.who.label and len(v.label.values) >= 15)
    if not view:
        return None
    subject = d.subject(view, 0)
    kind, value = d.rng.choice(("first", "first", "last", "letter", "part")), str(d.rng.choice(view.label.values)[0])
    label = view.label.words
    if kind in ("first", "last") and view.who.person and " " in value:
        word = value.split()[0] if kind == "first" else value.split()[-1]
        pattern = f"{word} %" if kind == "first" else f"% {word}"
        said = literal(word)
        forms = (
            (
                f"with [the] {kind} name {said}",
                f"whose {kind} name is {said}",
                f"called {said}" if kind == "first" else f"with [the] surname {said}",
            ),
            (f"have {said} as their {kind} name", f"have the {kind} name {said}"),
        )
    elif kind == "part":
        part = value.split()[-1] if " " in value else value[:4]
        pattern, said = f"%{part}%", literal(part)
        forms = (
            (f"with {said} in (their|the) {label}", f'whose {label} contains "{said}"'),
            (f"have {said} in their {label}",),
        )
    else:
        pattern, said = f"{value[0]}%", value[0]
        forms = (
            (f"whose {label} (starts|begins) with [the letter] {said}",),
            (f"have a {label} (starting|beginning) with {said}",),
        )
    condition = Condition((), (Test(view.label, "like", pattern),), post=forms[0], verb=forms[1], tags=("like",))
    subject = Subject(d.speaker, view, [condition])
    if d.rng.random() < 0.5:
        from labkit.datagen.numbers import COUNT

        return finished("named_like", subject.source.select("COUNT(*)"), COUNT, subject_slots(subject), ["like"])
    return finished(
        "named_like",
        subject.source.select(subject.label()),
        _list_frames(d.speaker, view, [], ""),
        subject_slots(subject),
        ["like"],
    )


__all__ = [
    "extreme",
    "listing",
    "lookup",
    "lookup_by_fact",
    "lookup_related",
    "named_like",
    "shown",
    "singular",
    "text",
    "top",
]
FAMILIES = {lookup: 10, lookup_related: 4, lookup_by_fact: 4, listing: 14, extreme: 11, top: 7, named_like: 2}
