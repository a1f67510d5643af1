"""More of what fails: failure classes, families, tags, tables or columns that a diagnosis names, as weights for
drawing.

Families and tags are found by drawing a few intents of each family ahead: what a database cannot give draws nothing
away from the rest.
"""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from labkit.datagen.drawing import Drawer, NothingToAsk
from labkit.datagen.intents import Intent
from labkit.datagen.world import JOINT, Field
from labkit.errors import LabkitError
from labkit.sqltext import parse

_MORE = 6.0  # so many times as likely
_MOST = 60.0  # a rare family is raised by no more
OTHERS = 0.34  # of the intents without a wanted tag, the share that is kept
_AHEAD = 6  # intents of each family that are drawn ahead
BY_CLASS = {
    "malformed_join": "lookup_related related meeting one_side career owners left with_none childless tied tied_never "
    "per_kind most_things sold one_above below below_each beyond_above credited variety",
    "malformed_aggregate": "aggregate count group share computed two_counts buckets ends difference part_of_total "
    "change sold total_bound percentile converted two_figures",
    "malformed_group": "group group_extreme having best_of_each how_many_each standings changed by_month best_month "
    "total_bound per_kind most_things below_each tied_variety with_none yearly variety two_figures credited record",
    "malformed_filter": "listing count related above_average any_period either_side either_part derby neither "
    "against_row two_groups one_list tied_never beyond_above of_period record",
    "malformed_value": "lookup lookup_by_value listing facts_alone count named_like meeting neither against_row tied",
    "malformed_null": "listing count related unknown left with_none childless nobody_above",
    "malformed_type": "aggregate extreme top above_average computed buckets change part_of_best by_month percentile "
    "converted of_period",
    "malformed_distinct": "distinct owners switched two_groups one_list tied tied_variety variety",
    "malformed_order": "extreme top places full_name listing group group_extreme standings gain best_month percentile",
    "malformed_limit": "percentile extreme top places group_extreme gain best_month most_things",
    "malformed_projection": "lookup facts_alone listing extreme top group two_counts ends career",
    "invalid_column": "lookup lookup_by_value facts_alone listing aggregate extreme",
    "invalid_table": "lookup lookup_related listing count related",
    "invalid_function": "aggregate listing computed full_name by_month",
    "invalid_syntax": "group best_of_each related two_groups share difference",
    "invalid_format": "lookup listing count",
    "runaway": "lookup_related related one_side tied sold",
    "suspect_gold": "",
    "other_text": "",
}
_CLASS_TAGS = {
    "malformed_null": {"null"},
    "malformed_join": {"join"},
    "malformed_type": {"text-format"},
    "malformed_filter": {"inclusive", "exclusive", "negation"},
}
TAGS = frozenset(  # of intents, beside their families
    re.findall(
        r"[\w-]+",
        "avg case columns computed count date except exclusive exists extreme_parent extreme_ties extreme_value flag "
        "glossary group having in inclusive intersect join left-join like lookup lookup_two max min negation nested "
        "nickname not_exists nth null offset or order period role self self-join set share sum superlative text "
        "text-format ties top union window",
    )
) | {"two figures"}
_SAME = {  # tags of evaluation sets that intents have by another name; of look-alike columns, the columns tell
    "text-number": "text-format",
    "money": "text-format",
    "height": "text-format",
    "placeholder": "null",
    "lookalike": "",
}


@dataclass(frozen=True)
class Focus:
    """What to draw more of; an empty focus favours nothing. `tags`: names of families and tags of intents."""

    families: Mapping[str, float] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    fields: Mapping[str, float] = field(default_factory=dict)  # by "table", "column" or "table.column", case folded

    def family(self, name: str) -> float:
        """A factor for a family's weight."""
        return self.families.get(name, 1.0)

    def favoured(self, f: Field) -> float:
        """A factor for a field's weight."""
        columns = f.name.split(JOINT)
        names = {f.table, *columns, *(f"{f.table}.{column}" for column in columns)} if self.fields else ()
        read = _MORE if "text-format" in self.tags and f.format.stored_as_text else 1.0
        return max([read, *(self.fields.get(name.casefold(), 1.0) for name in names)])

    def wants(self, intent: Intent) -> bool:
        """Whether the intent is of a wanted kind; any is where no kind is named."""
        return not self.tags or not self.tags.isdisjoint(_kinds(intent))

    def ahead(self, drawer: Drawer, families: Mapping[Callable, float]) -> "Focus":
        """The focus for a database: wanted tags that some of a few intents have, and the families that give them
        raised, until about half of what is kept is wanted.
        """
        if not self.tags:
            return self
        seen, shares = set(), {}
        for family in families:
            found = list(draws(family, drawer, _AHEAD))
            seen.update(*map(_kinds, found))
            shares[family] = sum(map(self.wants, found)) / _AHEAD
        weights = {family: weight * self.family(family.__name__) for family, weight in families.items()}
        wanted = sum(weight * shares[family] for family, weight in weights.items())
        if not wanted:
            return replace(self, tags=frozenset())
        more = min(_MOST, max(1.0, OTHERS * (sum(weights.values()) - wanted) / wanted)) - 1
        factors = {f.__name__: self.family(f.__name__) * (1 + more * share) for f, share in shares.items()}
        return Focus(factors, self.tags & seen, self.fields)


def _kinds(intent: Intent) -> set[str]:
    """The intent's family and tags; a text read as a number is of a text format, whatever is done with it."""
    return {intent.family, *intent.tags, *(["text-format"] if "CAST(" in intent.sql else [])}


def draws(family: Callable[[Drawer], Intent | None], drawer: Drawer, times: int) -> Iterator[Intent]:
    """What `times` draws of a family give."""
    for _ in range(times):
        try:
            intent = family(drawer)
        except NothingToAsk:
            continue
        if intent:
            yield intent


def could_be_drawn(families: Iterable[Callable], drawer: Drawer, times: int = 12) -> list[str]:
    """Names of the families that give an intent in so many draws."""
    return [family.__name__ for family in families if next(draws(family, drawer, times), None)]


def intent_tags(tags: Iterable[str]) -> list[str]:
    """An evaluation set's tags as intents have them; those that no intent has are left out."""
    same = (_SAME.get(tag, tag) for tag in tags)
    return list(dict.fromkeys(tag for tag in same if tag in TAGS))


def focus(target: object, families: Iterable[str], places: Iterable[str] = ()) -> Focus:
    """The focus that `target` asks for: a diagnosed run, or names of classes, families, tags, and of `places`, the
    database's tables and columns.

    A diagnosed run's failures weigh in by how often each class, each tag of its questions and each table of their
    golds occurs. `LabkitError` for something that is neither, or for a name of nothing.
    """
    families = list(families)
    if target is None:
        return Focus()
    if hasattr(target, "failures"):
        return _of_failures(target.failures(), families)
    if isinstance(target, str) or not isinstance(target, Iterable):
        raise LabkitError(f"target must be a diagnosed run or a list of names, not {target!r}.")
    names, here = list(map(str, target)), {place.casefold() for place in places}
    kinds = {*families, *TAGS}
    for name in names:
        if name not in {*BY_CLASS, *kinds, *_SAME} and name.casefold() not in here:
            raise LabkitError(_unknown(name, sorted({*kinds, *_SAME}), sorted(here)))
    tags = {_SAME.get(name, name) for name in names} & kinds
    fields = {name.casefold(): _MORE for name in names if name.casefold() in here}
    return _weighed(Counter(name for name in names if name in BY_CLASS), tags, fields)


def _of_failures(failed: Sequence, families: Sequence[str]) -> Focus:
    """The focus of a diagnosed run's failures; where columns look alike, the gold's columns are favoured as well."""
    places: Counter[str] = Counter()
    for item in failed:
        tree = parse(item.question.sql) if item.question.sql else None
        kinds = (exp.Table, exp.Column) if "lookalike" in item.question.tags else (exp.Table,)
        places.update({node.name.casefold() for node in tree.find_all(*kinds)} if tree is not None else ())
    fields = {name: 1 + (_MORE - 1) * n / len(failed) for name, n in places.items()}
    tags = {tag for item in failed for tag in item.question.tags}
    tags = {*intent_tags(tags), *(tags & set(families))}
    return _weighed(Counter(item.diagnosis.failure_class for item in failed), tags, fields)


def _weighed(classes: Counter[str], tags: Iterable[str], fields: Mapping[str, float]) -> Focus:
    weights: Counter[str] = Counter()
    for name, n in classes.items():
        for family in BY_CLASS.get(name, "").split():
            weights[family] += _MORE * n / classes.total()
    tags = frozenset(tags).union(*(_CLASS_TAGS.get(name, ()) for name in classes))
    return Focus({family: 1 + weight for family, weight in weights.items()}, tags, fields)


def _unknown(name: str, kinds: Sequence[str], places: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.casefold(), [*BY_CLASS, *kinds, *places], n=3)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    there = f"failure classes: {', '.join(BY_CLASS)}; families and tags: {', '.join(kinds)}"
    return (
        f"target names {name!r}, which is no failure class, family of intents, tag, table or column here.{meant} "
        f"There are {there}; and the database's tables and columns."
    )
