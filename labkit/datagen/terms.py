"""What a glossary teaches, and one line of it in hands: the terms, the meaning, the columns that it names."""

import re
from dataclasses import dataclass, field

from labkit.datagen.conditions import Named, Test
from labkit.datagen.phrases import singular
from labkit.datagen.world import Field, World


@dataclass
class Measure:
    """A number computed from a row of `table`: SQL with `{a}` for the alias, what it is called, its inputs."""

    table: str
    sql: str
    nouns: list[str]
    fields: tuple[Field, ...]
    per: str = ""  # "game" for a rate a game


@dataclass
class Glossary:
    """All that was understood. Keys are `table.column`, values of a column (`table.column`, value), or tables."""

    columns: dict[str, list[str]] = field(default_factory=dict)  # nouns for a fact
    verbs: dict[str, list[str]] = field(default_factory=dict)
    implied: dict[str, Test] = field(default_factory=dict)  # a fact is taken from such rows only
    values: dict[tuple[str, object], list[str]] = field(default_factory=dict)  # nouns for a stored value
    periods: dict[object, list[str]] = field(default_factory=dict)  # 'last season'
    entities: dict[str, list[str]] = field(default_factory=dict)  # nouns for a row
    roles: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # (table, column of a link): 'host'
    named: list[Named] = field(default_factory=list)  # conditions with a name
    tops: dict[str, list[str]] = field(default_factory=dict)  # who has the most of a fact
    measures: list[Measure] = field(default_factory=list)
    sums: dict[str, list[str]] = field(default_factory=dict)  # nouns for the total of a fact
    full_names: dict[str, tuple[str, str]] = field(default_factory=dict)  # table: columns of the full name
    missing: dict[str, list[str]] = field(default_factory=dict)  # what its placeholder says: 'not charged yet'
    figures: bool = False  # who has the most is answered by name and number
    not_understood: list[str] = field(default_factory=list)


class Line:
    """One line under the rules."""

    def __init__(self, world: World, found: Glossary, terms: str, meaning: str):
        self.world, self.found, self.meaning = world, found, meaning
        self.groups = [[t for t in map(_term, part.split(",")) if t] for part in terms.split(";")]
        self.terms = [term for group in self.groups for term in group]
        self.clauses = [c.strip() for c in meaning.split(";")]

    def column(self, name: str) -> Field | None:
        """The column called `table.column`, or the first called `column`."""
        if "." in name or self.world.field(name):
            return self.world.field(name)
        return next((f for f in self.world.fields() if f.name.casefold() == name.casefold()), None)

    def fact(self, words: str, kind: str = "number") -> Field | None:
        """The first column of that kind whose name says those words."""
        return next((f for f in self.world.fields() if f.words == words and f.kind == kind), None)

    def value_of(self, text: str) -> tuple[Field, object] | None:
        """The only category that holds a value of that text."""
        fields = [f for f in self.world.fields() if f.kind in ("category", "flag") and not f.names]
        hits = [(f, v) for f in fields for v, _ in f.values if str(v).casefold() == text.casefold()]
        return hits[0] if len(hits) == 1 else None

    def name(self, table: str, tests: tuple[Test, ...], terms: list[str]) -> bool:
        """Sort terms by their part of speech and keep them as a named condition."""
        named = Named(table, tests)
        for term in terms:
            _sort(named, term)
        if named not in self.found.named:
            self.found.named.append(named)
        return bool(terms)


def _sort(named: Named, term: str) -> None:
    lacks = named.tests[0].op in ("null", "=") and named.tests[0].value in (None, *named.tests[0].field.missing)
    if re.match(r"no ", term):
        named.post.append(f"with {term}")
        named.verb.append(f"have {term}")
    elif re.match(r"(without|with|in|on|from|at|under|over|of)\b", term):
        named.post.append(term)
        named.verb.append(f"are {term}")
    elif re.fullmatch(r"(owe|pay|live|work)s", term):
        return  # a verb of somebody else's
    elif re.match(r"(did|has|have|is|are|was) ", term):
        named.verb.append(re.sub(r"^(has|is|was) ", lambda m: _MANY[m[1]], term))
    elif re.fullmatch(r"\w+ed|\w+aid|overweight|\w+ous|\w+ful|\w+less|open|sold out", term):
        named.adjective.append(term.replace(" ", "-"))
        named.verb.append(f"(are|were) {term}")
    elif lacks and term.startswith(("vacant ", "empty ", "open ", "missing ")):
        named.post.append(f"with a {term}")
        named.verb.append(f"have a {term}")
    elif term.endswith(" average") and named.tests[0].op == ">=":
        thing = term.removesuffix(" average")
        named.verb.append(f"averaged a {thing}")
        named.post.append(f"with a {term}")
    else:
        named.noun.append(singular(noun(term)))


_MANY = {"has": "have ", "is": "are ", "was": "were "}


def noun(term: str) -> str:
    """The term without its article."""
    return re.sub(r"^(a|an|the) ", "", term)


def add(table: dict, key: object, texts: list[str]) -> bool:
    """Append those texts that are new under the key; whether there were any texts."""
    table.setdefault(key, [])
    table[key] += [t for t in texts if t not in table[key]]
    return bool(texts)


def _term(text: str) -> str:
    return re.sub(r"\s*\.\.\..*", "", text).strip().strip('"“”').strip()
