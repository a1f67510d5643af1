"""How people name the things of one database: its columns and rows in words, conditions in English, glossary included.

This joins the world, the lexicon and the glossary. It draws single conditions; whole questions are `intents`.
"""

import random
import re
from dataclasses import replace
from functools import cached_property

from labkit.datagen.conditions import Condition, Named, Test, spoken
from labkit.datagen.formats import MONTHS, round_bound, say
from labkit.datagen.glossary import Glossary, Measure, twins
from labkit.datagen.lexicon import Words, words_for
from labkit.datagen.phrases import literal, plural, possessive, singular
from labkit.datagen.world import Entity, Field, Path_, World

MORE = "(more than|over|above|more than)"
LESS = "(less than|under|below|less than)"
_ON = frozenset(["team", "squad", "crew", "committee", "board"])
_AT = frozenset(["company", "store", "shop", "school", "clinic", "hospital", "branch", "office", "firm", "university", "club", "restaurant", "hotel"])


class Speaker:
    """Words for one world under one glossary."""

    def __init__(self, world: World, glossary: Glossary | None = None):
        self.world, self.glossary = world, glossary or Glossary()
        self._words: dict[str, Words] = {}

    def words(self, field: Field) -> Words:
        """The field's words, the glossary's among them."""
        if field.ref not in self._words:
            self._words[field.ref] = self._read(field)
        return self._words[field.ref]

    def _read(self, field: Field) -> Words:
        words = words_for(field, self.world.entities[field.table])
        more = self.glossary.columns.get(field.ref, [])
        verbs = [re.sub(r"(?<=[^s])s$", "", v) for v in self.glossary.verbs.get(field.ref, []) if " " not in v]
        if words.counts:
            return replace(words, plurals=tuple(dict.fromkeys([*words.plurals, *map(plural, more)])))
        nouns = tuple(dict.fromkeys([*words.nouns, *more]))
        plurals = tuple(dict.fromkeys([*words.plurals, *(n if " a " in n else plural(n) for n in more)]))
        asks = tuple(f"how much does {{x}} {v}" for v in verbs if v not in words.verbs)
        return replace(
            words,
            nouns=nouns,
            plurals=plurals,
            verbs=tuple(dict.fromkeys([*words.verbs, *verbs])),
            ask=words.ask + asks,
        )

    def nouns(self, entity: Entity) -> list[str]:
        """What one row of a table is called, the table's own word first."""
        return [entity.noun, *self.glossary.entities.get(entity.table, [])]

    def measures(self, entity: Entity) -> list[Measure]:
        """Numbers computed from a row: the glossary's, sums and differences of like columns, rates a unit."""
        found = [m for m in self.glossary.measures if m.table == entity.table]
        for a, b in twins(entity):
            what = a.words.split(" ", 1)[1]
            found.append(
                Measure(
                    a.table,
                    f"{a.read('{a}')} + {b.read('{a}')}",
                    [f"{w} {what}" for w in ("combined", "total")] + [f"{what} of both sides [together]"],
                    (a, b),
                )
            )
        return found + self._rates(entity)

    def _rates(self, entity: Entity) -> list[Measure]:
        """`points_per_game` beside `games_played` says that other counts are divided by games as well."""
        found = []
        for f in entity.fields:
            unit = re.search(r" per (\w+)$", f.words)
            below = unit and next(
                (g for g in entity.fields if re.match(rf"{re.escape(plural(unit[1]))}\b", g.words)), None
            )
            if not below:
                continue
            for g in entity.fields:
                known = any(h.words.startswith(f"{g.words} per ") for h in entity.fields)
                if self.words(g).counts and g is not below and not known:
                    sql = f"1.0 * {g.column('{a}')} / {below.column('{a}')}"
                    names = [
                        f"{g.words} per {unit[1]}",
                        f"{g.words} a {unit[1]}",
                        f"average number of {g.words} per {unit[1]}",
                    ]
                    found.append(Measure(entity.table, sql, names, (g, below), unit[1]))
        return found

    # --- rows by name -------------------------------------------------------------------------------------------------

    @cached_property
    def _last_words(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for entity in self.world.entities.values():
            for value, _ in entity.label.values if entity.label else ():
                for word in {str(value).split()[0], str(value).split()[-1]} if str(value).split() else ():
                    found.setdefault(entity.table, {})[word] = found.get(entity.table, {}).get(word, 0) + 1
        return found

    def name(self, entity: Entity, value: str) -> str:
        """A template for a row's name: 'the Foxes', the full name, a nickname or last word that no other row has."""
        plain = literal(str(value))
        if entity.person or not re.search(r"[a-z]s$", str(value)) or " " in str(value):
            return self._short(entity, str(value), plain)
        full = self._full(entity, value)
        return f"(the {plain}|the {plain}|the {plain}|{full or 'the ' + plain})"

    def _short(self, entity: Entity, value: str, plain: str) -> str:
        words = value.split()
        article = "(|the )" if not entity.person and len(words) > 1 else ""
        alone = [
            w
            for w in (words[0], words[-1])
            if len(words) > 1 and len(w) > 3 and self._last_words.get(entity.table, {}).get(w) == 1
        ]
        noun = singular(entity.noun)
        alone = [w for w in alone if w[:1].isupper() and w.lower() != noun] if entity.person else []
        if alone:
            return f"({plain}|{plain}|{plain}|{plain}|{plain}|{plain}|{literal(alone[-1])})"
        full = self._full(entity, value)
        return f"({plain}|{plain}|{full})" if full else f"{article}{plain}"

    def _full(self, entity: Entity, value: str) -> str | None:
        return self.full_names.get(entity.table, {}).get(value)

    @cached_property
    def full_names(self) -> dict[str, dict[str, str]]:
        """Table -> label -> full name with its article, for names that a glossary puts together from two columns."""
        from labkit.datagen.world import quoted  # noqa: F401
        from labkit.execution import execute
        from labkit.schema import sql_name

        found = {}
        for table, (first, second) in self.glossary.full_names.items():
            label = self.world.entities[table].label
            if label and label.name == second:
                rows = execute(
                    self.world.database, f"SELECT {sql_name(first)}, {sql_name(second)} FROM {sql_name(table)}"
                ).rows
                found[table] = {b: f"the {literal(str(a))} {literal(str(b))}" for a, b in rows}
        return found

    # --- conditions ---------------------------------------------------------------------------------------------------

    def draw(self, entity: Entity, rng: random.Random, path: Path_ = (), past: bool = False) -> Condition | None:
        """A condition on a row of `entity`, reached by `path` from the table that the question is about."""
        named = [n for n in self.glossary.named if n.table == entity.table]
        if named and rng.random() < 0.3:
            return self.from_named(rng.choice(named), path)
        fields = [f for f in entity.fields if f.kind not in ("id", "link", "label") and (f.values or f.missing)]
        fields = [f for f in fields if not (f.kind == "text" and len(f.values) > 400)]
        return self.draw_on(rng.choice(fields), rng, path, past) if fields else None

    def draw_on(self, field: Field, rng: random.Random, path: Path_ = (), past: bool = False) -> Condition | None:
        """A condition on one field, of the kinds that it allows."""
        if field.missing and rng.random() < (0.15 if field.values else 1):
            return self.missing(field, path, rng.random() < 0.6)
        if not field.values:
            return None
        kind = {
            "category": self.equal,
            "text": self.equal,
            "flag": self.flag,
            "number": self.bound,
            "year": self.in_year,
            "period": self.period,
            "date": self.dated,
        }
        return kind[field.kind](field, rng, path)

    def from_named(self, named: Named, path: Path_ = ()) -> Condition:
        """A condition that the glossary names."""
        return Condition(
            path,
            named.tests,
            tuple(named.noun),
            tuple(named.adjective),
            tuple(named.post),
            tuple(named.verb),
            tags=("glossary",),
        )

    def missing(self, field: Field, path: Path_, absent: bool) -> Condition:
        """The field has no value, or has one."""
        noun = self.words(field).nouns[0]
        some = self.words(field).plurals[0] if self.words(field).counts else f"a {noun}"
        test = Test(field, "null" if absent else "known")
        if absent and any(n.tests == (test,) for n in self.glossary.named if n.table == field.table):
            named = next(n for n in self.glossary.named if n.tests == (test,))
            own = self.from_named(named, path)
            return replace(own, post=(*own.post, f"(without a|with no) {noun}"))
        if absent:
            return Condition(
                path,
                (test,),
                (),
                (),
                (
                    f"without a [known|recorded] {noun}"
                    if False
                    else f"(without a|with no|with no known|with no recorded|missing a) {noun}",
                    f"whose {noun} is (unknown|not known|missing|not recorded|not on file)",
                ),
                (f"have no [recorded|known] {noun}".replace("[recorded|known]", "(|recorded|known)"), f"lack a {noun}"),
                tags=("null",),
            )
        return Condition(
            path,
            (test,),
            (),
            (),
            (f"with {some}", f"with a (known|recorded) {noun}", f"whose {noun} is (known|on file|recorded)"),
            (f"have {some}",),
            tags=("null",),
        )

    def equal(self, field: Field, rng: random.Random, path: Path_ = (), value: object = None) -> Condition:
        """The field has one of its values (frequent ones more often), or now and then one of two, or not this one."""
        values = [v for v, _ in field.values]
        if value is None:
            value = rng.choices(values, [n**0.5 for _, n in field.values])[0]
        if field.names and self.world.entities[field.names].label:
            return self._names_row(field, value, path)
        if len(values) >= 3 and rng.random() < 0.1:
            return self._one_of(field, rng, path, rng.sample(values, 2))
        if len(values) >= 3 and rng.random() < 0.07:
            v = self._value(field, value)
            return Condition(
                path,
                (Test(field, "<>", value), *self._not_null(field)),
                post=(
                    f"(not|other than) {v}"
                    if False
                    else f"whose {self.words(field).nouns[0]} (is not|is anything but|isn't) {v}",
                    f"with a {self.words(field).nouns[0]} other than {v}",
                ),
                tags=("negation",),
            )
        return self._is(field, value, path)

    def _not_null(self, field: Field) -> tuple[Test, ...]:
        texts = [m for m in field.missing if m is not None]
        return (Test(field, "<>", texts[0]),) if texts else ()

    def _value(self, field: Field, value: object) -> str:
        nouns = self.glossary.values.get((field.ref, value), [])
        return "(" + "|".join([*nouns, *nouns, literal(str(value))]) + ")" if nouns else literal(str(value))

    def _one_of(self, field: Field, rng: random.Random, path: Path_, two: list) -> Condition:
        a, b = (self._value(field, v) for v in two)
        noun = self.words(field).nouns[0]
        word = "or"
        return Condition(
            path,
            (Test(field, "in", tuple(two)),),
            post=(f"whose {noun} is {a} {word} {b}", f"with {noun} {a} {word} {b}"),
            tags=("in",),
        )

    def _is(self, field: Field, value: object, path: Path_) -> Condition:
        words, noun = self.words(field), self.words(field).nouns[0]
        plain = literal(str(value))
        called = tuple(self.glossary.values.get((field.ref, value), []))
        own = lambda texts: tuple(t.replace("{v}", plain) for t in texts)  # noqa: E731
        heads, adjectives = list(called), list(own(words.equal_adjective))
        if re.search(r"\b(species|type|kind|category|animal|role|job|profession|occupation)$", noun) or (
            noun == "position" and str(value).islower()
        ):
            heads += [plain] if re.fullmatch(r"[a-z]{3,}", str(value)) else []
        compass = {"north": "northern", "south": "southern", "east": "eastern", "west": "western"}.get(
            str(value).lower()
        )
        adjectives += [f"({compass}|{plain})"] if compass else []
        if not called and not heads and not adjectives and field.kind == "category" and len(str(value)) < 20:
            adjectives.append(plain)
        post = (
            own(words.equal_post) or (f"with {noun} {plain}", f"whose {noun} is {plain}")
            if not called
            else (f"with {noun} {plain}",)
        )
        verb = own(words.equal_verb) + (tuple(f"are {plural(c)}" for c in called) if called else ())
        return Condition(path, (Test(field, "=", value),), tuple(heads), tuple(adjectives), post, verb)

    def _names_row(self, field: Field, value: object, path: Path_) -> Condition:
        """A text that names a row elsewhere: 'for the Foxes'."""
        name = self.name(self.world.entities[field.names], value)
        return Condition(
            path,
            (Test(field, "=", value),),
            (),
            (),
            (f"(for|of|with|on) {name}", f"for {name}"),
            (
                f"(played for|were with|were on) {name}"
                if self.world.entities[field.names].noun in _ON
                else f"(were with|had {field.words}) {name}",
            ),
            tags=("nickname",),
        )

    def flag(self, field: Field, rng: random.Random, path: Path_ = ()) -> Condition:
        """Y/N: the column's name as an adjective ('paid', 'unpaid')."""
        value = rng.choice([v for v, _ in field.values])
        word = re.sub(r"^(is|has) ", "", field.words)
        yes = str(value).lower() in ("y", "yes", "t", "true", "1")
        named = [n for n in self.glossary.named if n.tests == (Test(field, "=", value),)]
        adjective = (word,) if yes else (f"(not {word}|non-{word})",)
        verb = (
            (f"are {word}", f"(were|have been) {word}")
            if yes
            else (f"are not {word}", f"(were not|have not been) {word}")
        )
        return Condition(
            path,
            (Test(field, "=", value),),
            tuple(named[0].noun) if named else (),
            tuple(named[0].adjective) if named else adjective[: 1 if yes else 0],
            (),
            verb,
            tags=("flag",),
        )

    def bound(self, field: Field, rng: random.Random, path: Path_ = ()) -> Condition:
        """A number above, below, at least, at most, between, or equal."""
        numbers = field.numbers
        value = numbers[int(len(numbers) * rng.choice((0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)))]
        value = round_bound(value) if len(set(numbers)) > 25 and field.format.unit != "ft" else value
        few = len(set(numbers)) <= 60 and field.format.decimals == 0
        kind = rng.choices((">", "<", ">=", "<=", "between", "="), (4, 3, 3, 2, 2, 3 if few else 0.3))[0]
        if kind == "=":
            value = rng.choice(numbers)
            if field.format.stored_as_text:
                stored = next(v for v, _ in field.values if field.format.read(v) == value)
                return self._equals(field, value, path, Test(field, "=", stored))
            return self._equals(field, value, path, Test(field, "=", value))
        if kind == "between":
            high = numbers[min(len(numbers) - 1, int(len(numbers) * 0.97))]
            high = round_bound(high) if value > 60 and field.format.unit != "ft" else high
            if high > value:
                return self._between(field, value, high, path)
            kind = ">="
        return self.compared(field, kind, value, path)

    def _equals(self, field: Field, value: object, path: Path_, test: Test) -> Condition:
        words, v, noun = self.words(field), say(value, field.format), self.words(field).nouns[0]
        if words.counts:
            things = (
                "(" + "|".join(words.plurals) + ")"
                if value != 1
                else "(" + "|".join(map(singular, words.plurals)) + ")"
            )
            some = f"(exactly {v}|{v}|exactly {v})" if value else "(no|zero|0)"
            verbs = tuple(f"{verb} {some} {things}" for verb in words.verbs)
            return Condition(path, (test,), post=(f"with {some} {things}",), verb=verbs)
        verb = tuple(f"{w} [exactly] {v}" for w in words.verbs) + (
            (f"are [exactly] {v} {words.high[0][0]}",)
            if words.high and words.high[0][0] in ("tall", "long", "old")
            else ()
        )
        return Condition(
            path,
            (test,),
            post=(
                f"with (a {noun} of [exactly]|{noun}) {v}".replace("[exactly]", ""),
                f"whose {noun} is [exactly] {v}",
            ),
            verb=verb,
        )

    def _between(self, field: Field, low: object, high: object, path: Path_) -> Condition:
        words, noun = self.words(field), self.words(field).nouns[0]
        span = f"(between {say(low, field.format)} and {say(high, field.format)}|from {say(low, field.format)} to {say(high, field.format)}|between {say(low, field.format)} and {say(high, field.format)} inclusive)"
        things = "(" + "|".join(words.plurals) + ")"
        if words.counts:
            return Condition(
                path,
                (Test(field, "between", (low, high)),),
                post=(f"with {span} {things}",),
                verb=tuple(f"{v} {span} {things}" for v in words.verbs),
                tags=("inclusive",),
            )
        return Condition(
            path,
            (Test(field, "between", (low, high)),),
            post=(f"with a {noun} {span}", f"whose {noun} is {span}"),
            verb=tuple(f"{v} {span}" for v in words.verbs),
            tags=("inclusive",),
        )

    def compared(self, field: Field, op: str, value: object, path: Path_ = ()) -> Condition:
        """The field against a bound; `>` and `<` exclude it, `>=` and `<=` include it, and are worded so."""
        words, v = self.words(field), say(value, field.format)
        test = Test(field, op, value)
        ways = bounds(op, v, words.counts)
        tags = ("inclusive",) if "=" in op else ("exclusive",)
        if words.counts:
            things = "(" + "|".join(words.plurals) + ")"
            within = [w.replace("{things}", things) for w in bounds_of_things(op, v)]
            return Condition(
                path,
                (test,),
                post=tuple(f"with {w}" for w in within),
                verb=tuple(f"{verb} {w}" for verb in words.verbs for w in within),
                tags=tags,
            )
        noun = "(" + "|".join([words.nouns[0], *words.nouns[:3]]) + ")"
        post = [f"with a {noun} {w}" for w in ways["of"]] + [f"whose {noun} is {w}" for w in ways["is"]]
        verb = [f"{w} {way}" for w in words.verbs for way in ways["verb"]] + [f"have a {noun} {w}" for w in ways["of"]]
        for _, comparative, _ in (
            (words.high if ">" in op else words.low)
            if field.format.unit in ("ft", "lb", "lbs", "kg", "cm", "m", "") or words.verbs
            else ()
        ):
            if op in ("<", ">"):
                verb.append(f"are {comparative} than {v}")
                post.append(f"{comparative} than {v}")
            else:
                verb.append(f"are {v} or {comparative}")
                post.append(f"({v} or {comparative}|who are {v} or {comparative})".split("|")[0].strip("("))
        return Condition(path, (test,), post=tuple(post), verb=tuple(verb), tags=tags)

    # --- years and dates ----------------------------------------------------------------------------------------------

    def period(self, field: Field, rng: random.Random, path: Path_ = (), value: object = None) -> Condition:
        """The question's season or year, as an adverbial."""
        value = value if value is not None else rng.choice([v for v, _ in field.values])
        word = field.words.split()[-1]
        said = self.glossary.periods.get(value, [])
        time = [
            f"in {value}",
            f"in {value}",
            f"in the {value} {word}",
            f"(during|for) the {value} {word}",
            f"in {word} {value}",
        ]
        return Condition(path, (Test(field, "=", value),), time=(*time, *said), post=(), tags=("period",))

    def in_year(self, field: Field, rng: random.Random, path: Path_ = ()) -> Condition:
        """A year: in it, before, after, from it on, between two."""
        value = rng.choice(field.numbers)
        op = rng.choices(("=", "<", ">", ">=", "<=", "between"), (5, 2, 2, 2, 1, 1))[0]
        if op == "between":
            ends = (
                sorted(rng.sample(sorted(set(field.numbers)), 2)) if len(set(field.numbers)) > 2 else [value, value + 1]
            )
            test, when = (
                Test(field, "between", tuple(ends)),
                f"(between {ends[0]} and {ends[1]}|from {ends[0]} to {ends[1]})",
            )
        else:
            test, when = Test(field, op, value), year_words(op, value)
        return self._when(field, test, when, path, f"{value}" if op == "=" else "")

    def _when(self, field: Field, test: Test, when: str, path: Path_, plain: str = "") -> Condition:
        words, noun = self.words(field), self.words(field).nouns[0]
        tags = ("date",)
        if words.participle in ("ending", "expiring"):
            base = "(end|run out|expire)" if words.participle == "ending" else "expire"
            post = (f"{words.participle} {when}", f"that {base} {when}")
            return Condition(path, (test,), post=post, verb=(f"{base} {when}",), tags=tags)
        if words.participle == "with us since":
            return Condition(
                path,
                (test,),
                post=(f"with us since {plain}",) if plain else (f"who (joined|became clients) {when}",),
                verb=(
                    f"(joined|have been with us since) {when}"
                    if not plain
                    else f"(have been with us since|joined in) {plain}",
                ),
                tags=tags,
            )
        if words.participle:
            return Condition(
                path,
                (test,),
                post=(f"{words.participle} {when}",),
                verb=(f"were {words.participle} {when}",),
                tags=tags,
            )
        if plain:
            return Condition(
                path,
                (test,),
                post=(f"with {noun} {plain}", f"whose {noun} is {plain}", f"from {plain}"),
                verb=(f"have {noun} {plain}",),
                tags=tags,
            )
        return Condition(
            path,
            (test,),
            post=(f"whose {noun} is {when}".replace(" is (in ", " is ("), f"with a {noun} {when}"),
            tags=tags,
        )

    def dated(self, field: Field, rng: random.Random, path: Path_ = ()) -> Condition:
        """A date: in a year or month, before or after a day or year."""
        days = field.numbers
        day = rng.choice(days)
        year, month = day[:4], int(day[5:7])
        kind = rng.choices(("year", "month", "bound", "before", "every"), (4, 3, 3, 2, 1))[0]
        if kind == "every" and (not field.format.month or field.format.kind == "month"):
            kind = "year"
        if kind == "before" and field.format.kind == "month":
            kind = "bound"
        name = MONTHS[month - 1]
        if kind == "month":
            pattern = field.format.in_month.format(y=year, m=f"{month:02d}", name=name[:3])
            test = Test(field, "=" if field.format.kind == "month" else "month", pattern)
            return self._when(
                field,
                test,
                f"in ({name} {year}|{name[:3]} {year}|{name} of {year})" if name != "May" else f"in {name} {year}",
                path,
                f"{name} {year}" if self.words(field).participle == "with us since" else "",
            )
        if kind == "every":
            return (
                self._when(field, replace(Test(field, "like"), op="="), "", path)
                if False
                else self._month_of_any(field, month, path)
            )
        if kind == "before":
            op = rng.choice("<>")
            word = "before" if op == "<" else "after"
            said = f"({int(day[8:])} {name} {year}|{name} {int(day[8:])}, {year}|{day})"
            return self._when(field, Test(field, op, day), f"{word} {said}", path)
        op = rng.choice(("<", ">", ">=", "<=")) if kind == "bound" else "="
        return self._when(
            field,
            Test(field, f"year{op}", year),
            year_words(op, int(year)),
            path,
            year if op == "=" and self.words(field).participle == "with us since" else "",
        )

    def _month_of_any(self, field: Field, month: int, path: Path_) -> Condition:
        f2 = replace(field.format, year=field.format.month)
        test = Test(replace(field, format=f2), "year=", f"{month:02d}")
        return self._when(
            field,
            test,
            f"in (any|) {MONTHS[month - 1]}".replace("(any|) ", "") + "(, whatever the year| of any year|)",
            path,
        )


def year_words(op: str, year: int) -> str:
    """A template for 'in 2012', 'before 2012', 'in 2012 or later' ..."""
    return {
        "=": f"in {year}", "<": f"(before {year}|earlier than {year}|before {year})", ">": f"(after {year}|later than {year}|after {year})",
        ">=": f"(in {year} or later|since {year}|from {year} on|in or after {year})",
        "<=": f"(in {year} or earlier|up to {year}|no later than {year}|by {year})",
    }[op]  # fmt: skip


def bounds(op: str, v: str, counts: bool = False) -> dict[str, list[str]]:
    """Templates of a bound: behind a noun ("of", "above"), behind "is", behind a verb."""
    if op == ">":
        return {
            "of": [f"(of more than|above|over|higher than|greater than) {v}"],
            "is": [f"(above|over|more than|higher than|greater than) {v}"],
            "verb": [f"{MORE} {v}"],
        }
    if op == "<":
        return {
            "of": [f"(of less than|below|under|lower than) {v}"],
            "is": [f"(below|under|less than|lower than) {v}"],
            "verb": [f"{LESS} {v}"],
        }
    if op == ">=":
        return {
            "of": [f"of at least {v}", f"of {v} or (more|higher|above)"],
            "is": [f"(at least|no less than|not below) {v}", f"{v} or (more|higher|above)"],
            "verb": [f"(at least|no less than) {v}", f"{v} or more"],
        }
    return {
        "of": [f"of at most {v}", f"of {v} or (less|lower|below)"],
        "is": [f"(at most|no more than|not above) {v}", f"{v} or (less|lower)"],
        "verb": [f"(at most|no more than|up to) {v}", f"{v} or less"],
    }


def bounds_of_things(op: str, v: str) -> list[str]:
    """Templates of a bound on a number of {things}."""
    return {
        ">": [f"(more than|over|more than) {v} {{things}}"], "<": [f"(fewer than|less than|under) {v} {{things}}"],
        ">=": [f"(at least|no fewer than|a minimum of) {v} {{things}}", f"{v} or more {{things}}"],
        "<=": [f"(at most|no more than|up to) {v} {{things}}", f"{v} or fewer {{things}}"],
    }[op]  # fmt: skip


__all__ = ["Speaker", "possessive", "spoken"]
