"""How people name the things of one database: its columns and rows in words, the glossary's among them.

This joins the world, the lexicon and the glossary. What they say of a row's values is `saying`.
"""

import re
from dataclasses import replace
from functools import cached_property

from labkit.datagen.glossary import Glossary, Measure
from labkit.datagen.lexicon import Words, merged, synonyms, words_for, words_named
from labkit.datagen.phrases import literal, one_of, plural, singular
from labkit.datagen.vocabulary import PRICED, QUANTITIES, TAKINGS, TRADES
from labkit.datagen.world import Entity, Field, Link, World, spaced, twins
from labkit.execution import execute
from labkit.schema import sql_name

ON = frozenset(("team", "squad", "crew", "committee", "board"))
_AT = frozenset(("company", "store", "shop", "school", "clinic", "hospital", "branch", "office", "firm", "university"))

_TITLES = frozenset(("title", "position", "role", "job", "profession", "occupation"))
_VERBAL = frozenset(
    ("reports", "belongs", "parent", "ref", "reference", "with", "for", "the")
)  # links that name nobody
_UNITS = frozenset(("days", "hours", "minutes", "seconds", "weeks", "months", "years"))


class Speaker:
    """Words for one world under one glossary."""

    def __init__(self, world: World, glossary: Glossary | None = None):
        self.world, self.glossary = world, glossary or Glossary()
        self._words: dict[str, Words] = {}
        self._nouns: dict[str, list[str]] = {}
        self._referred: dict[Link, list[str]] = {}

    def words(self, field: Field) -> Words:
        """The field's words, the glossary's among them."""
        if field.ref not in self._words:
            self._words[field.ref] = self._read(field)
        return self._words[field.ref]

    def _read(self, field: Field) -> Words:
        entity = self.world.entities[field.table]
        words, more = words_for(field, entity), self.glossary.columns.get(field.ref, [])
        more = [re.sub(rf" (for|of) an? {re.escape(entity.noun)}$", "", n) for n in more]
        if self.said_of_owners(entity) and field.kind in ("year", "date"):
            short = [
                n for n in words.nouns if not re.search(r" of |^(date|year|last|day) \w|^(day|month)$", n)
            ] or words.nouns[:1]
            nouns = [n if entity.noun in n else f"{entity.noun} {n}" for n in short]
            words = replace(words, nouns=tuple(nouns), plurals=tuple(map(plural, nouns)))
        if field.names and self.world.entities[field.names].noun in ON:
            thing = self.world.entities[field.names].noun
            asks = (
                f"(who|which {thing}|what {thing}) did {{x}} play for",
                f"(which|what) {thing} was {{x}} (on|with)",
                f"for (which|what) {thing} did {{x}} play",
                f"(which|what) {thing} did {{x}} (suit up for|belong to)",
                "whose (uniform|shirt|jersey) did {x} wear",
            )
            return replace(words, ask=asks)
        verbs = [re.sub(r"(?<=[^s])s$", "", v) for v in self.glossary.verbs.get(field.ref, []) if " " not in v]
        if field.words in _UNITS:
            return replace(words, nouns=merged(words.nouns, more))
        if words.counts:
            return replace(words, plurals=merged(words.plurals, map(plural, more)))
        if more and re.search(r"\b(pct|avg|num|qty|amt)\b", field.words):  # nobody says such a name out loud
            return replace(words, nouns=tuple(more), plurals=tuple(map(plural, more)))
        asks = tuple(f"how much does {{x}} {v}" for v in verbs if v not in words.verbs)
        nouns, plurals = (
            merged(words.nouns, more),
            merged(words.plurals, (n if " a " in n else plural(n) for n in more)),
        )
        return replace(words, nouns=nouns, plurals=plurals, verbs=merged(words.verbs, verbs), ask=words.ask + asks)

    def said_of_owners(self, entity: Entity) -> bool:
        """Rows without a name, one period or two sides, that have an owner: 'last year' alone would be the owner's."""
        links = [link for link in self.world.links if link.table == entity.table and not link.role]
        plain = not entity.label and not any(f.kind == "period" for f in entity.fields)
        return plain and any(self.world.entities[link.other].label for link in links)

    def sums(self, field: Field) -> list[str]:
        """What the sum of a number is called: the glossary's words, and what sold things bring in."""
        last, of = field.words.split()[-1], self.world.entities[field.table].noun.split()
        return self.glossary.sums.get(field.ref, []) + list(TAKINGS if last in PRICED and {*of} & TRADES else ())

    def noun(self, field: Field) -> str:
        """A template for the fact's name, its first name most often."""
        nouns = self.words(field).nouns
        return nouns[0] if len(nouns) == 1 else one_of([nouns[0], *nouns[:4]])

    def things(self, field: Field) -> str:
        """A template for the fact's name in the plural."""
        return one_of(dict.fromkeys(self.words(field).plurals[:4]))

    def nouns(self, entity: Entity) -> list[str]:
        """What one row of a table is called, the table's own word first."""
        if entity.table not in self._nouns:
            taken = {f.words for f in entity.fields} | {e.noun for e in self.world.entities.values()}
            more = [*self.glossary.entities.get(entity.table, []), *synonyms(entity.noun)]
            self._nouns[entity.table] = [entity.noun, *dict.fromkeys(n for n in more if n not in taken)]
        return self._nouns[entity.table]

    def referred(self, link: Link) -> list[str]:
        """What one is called that a link leads to: by the table, by the link (`support_rep_id`: a support rep), by the
        job title that all have who are referred to."""
        if link not in self._referred:
            parent = self.world.entities[link.other]
            noun, role = self.nouns(parent)[0], re.sub(r" (id|key|no|number|code|fk)$", "", spaced(link.column))
            named = re.fullmatch(r"[a-z]{3,}( [a-z]{3,})?", role) and not set(role.split()) & (
                _VERBAL | {*noun.split()}
            )
            names = [noun, *([role] if named and not link.role else []), *self._titles(link, parent)]
            self._referred[link] = list(dict.fromkeys(names))
        return self._referred[link]

    def _titles(self, link: Link, parent: Entity) -> list[str]:
        texts = [f for f in parent.fields if f.kind in ("category", "text")]
        column = next((f.name for f in texts if f.words.split()[-1] in _TITLES), None)
        if column is None:
            return []
        below = f"SELECT {sql_name(link.column)} FROM {sql_name(link.table)}"
        where = f"{sql_name(link.other_column)} IN ({below})"
        sql = f"SELECT DISTINCT {sql_name(column)} FROM {sql_name(parent.table)} WHERE {where}"
        titles = [str(row[0]).lower() for row in execute(self.world.database, sql).rows]
        return titles if len(titles) == 1 and re.fullmatch(r"[a-z]{3,}( [a-z]{3,}){0,3}", titles[0]) else []

    def label(self, field: Field, entity: Entity) -> str:
        """What the naming column is called: 'name', 'nickname', 'id'."""
        return re.sub(rf"^{re.escape(entity.noun)} ", "", field.words)

    # --- computed numbers ---------------------------------------------------------------------------------------------

    def measures(self, entity: Entity) -> list[Measure]:
        """Numbers computed from a row: the glossary's, sums of like columns, rates a unit."""
        found = [m for m in self.glossary.measures if m.table == entity.table]
        for a, b in twins(entity):
            what = a.words.split(" ", 1)[1]
            names = [
                f"combined {what}",
                f"total {what}",
                f"{what} of both (sides|teams) together",
                f"{what} altogether",
            ]
            found.append(Measure(a.table, f"{a.read('{a}')} + {b.read('{a}')}", names, (a, b)))
        return found + self._rates(entity) + self._takings(entity)

    def _takings(self, entity: Entity) -> list[Measure]:
        """A price times a quantity in one row is what was sold."""
        prices = [f for f in entity.fields if f.kind == "number" and f.words.split()[-1] in PRICED]
        amounts = [f for f in entity.fields if f.kind == "number" and f.words.split()[-1] in QUANTITIES]
        if len(prices) != 1 or len(amounts) != 1:
            return []
        sql = f"{prices[0].read('{a}')} * {amounts[0].read('{a}')}"
        return [Measure(entity.table, sql, list(TAKINGS), (prices[0], amounts[0]))]

    def of_measure(self, m: Measure) -> Words:
        """What the vocabulary knows of a computed number by its name: 'age'."""
        return words_named(m.nouns[0])

    def _rates(self, entity: Entity) -> list[Measure]:
        """`points_per_game` beside `games_played` says that other counts are divided by games as well."""
        found = []
        for f in entity.fields:
            unit = re.search(r" per (\w+)$", f.words)
            below = next((g for g in entity.fields if unit and re.match(rf"{plural(unit[1])}\b", g.words)), None)
            for g in entity.fields if below else ():
                known = any(h.words.startswith(f"{g.words} per ") for h in entity.fields)
                if self.words(g).counts and g is not below and not known:
                    sql = f"1.0 * {g.column('{a}')} / {below.column('{a}')}"
                    names = [f"{g.words} per {unit[1]}", f"{g.words} a {unit[1]}", f"{singular(g.words)} average"]
                    found.append(Measure(entity.table, sql, names, (g, below), unit[1]))
        return found

    # --- rows by name -------------------------------------------------------------------------------------------------

    def name(self, entity: Entity, value: object) -> str:
        """A template for a row's name: 'the Foxes', the full name, or a part of it that no other row has."""
        text, plain = str(value), literal(str(value))
        full = self.full_names.get(entity.table, {}).get(value)
        if not entity.person and re.search(r"[a-z]s$", text) and " " not in text and self._teams(entity):
            return f"(the {plain}|the {plain}|the {plain}|the {plain}|{full or 'the ' + plain})"
        if full:
            return f"(the {plain}|the {plain}|the {plain}|{full})"
        if not entity.person:
            return f"(|the ){plain}" if text[:1].isupper() and " " in text else plain
        alone = [w for w in text.split() if w[:1].isupper() and len(w) > 3 and self._parts[entity.table].get(w) == 1]
        often = "|".join([plain] * 9)
        return f"({often}|{literal(alone[-1])})" if alone and " " in text else plain

    def _teams(self, entity: Entity) -> bool:
        """Whether the names are plurals ('Foxes') rather than end in -s here and there."""
        values = [str(v) for v, _ in entity.label.values] if entity.label else []
        return 2 * sum(v.endswith("s") for v in values) > len(values)

    @cached_property
    def _parts(self) -> dict[str, dict[str, int]]:
        """Table -> word of its rows' names -> in how many names it stands."""
        found: dict[str, dict[str, int]] = {}
        for entity in self.world.entities.values():
            counts = found.setdefault(entity.table, {})
            for value, rows in entity.label.values if entity.label else ():
                for word in set(str(value).split()):
                    counts[word] = counts.get(word, 0) + rows
        return found

    @cached_property
    def full_names(self) -> dict[str, dict[object, str]]:
        """Table -> label -> full name with its article, for names that a glossary puts together from two columns."""
        found = {}
        for table, (first, second) in self.glossary.full_names.items():
            label = self.world.entities[table].label
            if label and label.name == second:
                sql = f"SELECT {sql_name(first)}, {sql_name(second)} FROM {sql_name(table)}"
                rows = execute(self.world.database, sql).rows
                found[table] = {b: f"the {literal(str(a))} {literal(str(b))}" for a, b in rows}
        return found

    def preposition(self, who: Entity, entity: Entity) -> str:
        """How those that belong to `entity` are said to: 'on' a team, 'at' a company, 'of'."""
        if entity.person or not who.person:
            return "of"
        return "(on|of|on)" if entity.noun in ON else "(at|of)" if entity.noun in _AT else "(from|of)"
