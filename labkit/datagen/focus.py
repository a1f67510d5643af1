"""More of what fails: failure classes, tags, tables or columns that a diagnosis names, as weights for drawing."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from labkit.datagen.world import Field
from labkit.errors import LabkitError

_MORE = 6.0
_BY_CLASS = {
    "malformed_join": "lookup_related related meeting side_totals listing",
    "malformed_aggregate": "aggregate count group share computed from_to",
    "malformed_group": "group group_extreme having best_of_each how_many_each",
    "malformed_filter": "listing count related above_average",
    "malformed_value": "lookup lookup_by_fact listing count named_like meeting",
    "malformed_null": "listing count related",
    "malformed_type": "aggregate extreme top above_average computed",
    "malformed_distinct": "distinct",
    "malformed_order": "extreme top nth listing group group_extreme",
    "malformed_limit": "extreme extreme_ties top nth group_extreme",
    "malformed_projection": "lookup listing extreme top group",
    "invalid_column": "lookup listing aggregate extreme",
    "invalid_table": "lookup listing count",
    "invalid_function": "aggregate listing computed",
    "invalid_syntax": "group best_of_each related both_groups",
}
_TAGS = {
    "malformed_null": {"null"},
    "malformed_join": {"join"},
    "malformed_type": {"text-format"},
    "malformed_filter": {"inclusive", "exclusive", "negation"},
}


@dataclass(frozen=True)
class Focus:
    """What to draw more of; an empty focus favours nothing."""

    families: Mapping[str, float] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()  # "table" or "table.column", case folded

    def family(self, name: str) -> float:
        """A factor for a family's weight."""
        return self.families.get(name, 1.0)

    def favoured(self, f: Field) -> float:
        """A factor for a field's weight."""
        return _MORE if {f.ref.casefold(), f.table.casefold(), f.name.casefold()} & self.fields else 1.0


def focus(target: object, families: Iterable[str]) -> Focus:
    """The focus that `target` asks for: a diagnosed run, or names of classes, families, tags, tables or columns.

    A diagnosed run's failures weigh in by how often each class, and each tag of its questions, occurs. `LabkitError`
    for something that is neither.
    """
    if target is None:
        return Focus()
    if hasattr(target, "failures"):
        failed = target.failures()
        names = Counter(item.diagnosis.failure_class for item in failed)
        tags = frozenset(tag for item in failed for tag in item.question.tags)
    elif isinstance(target, str) or not isinstance(target, Iterable):
        raise LabkitError(f"target must be a diagnosed run or a list of names, not {target!r}.")
    else:
        names, tags = Counter(target), frozenset(target)
    total, weights = max(1, sum(names.values())), Counter(dict.fromkeys(families, 1.0))
    for name, n in names.items():
        for family in [name] if name in weights else _BY_CLASS.get(name, "").split():
            weights[family] += _MORE * n / total
    tags |= frozenset(tag for name in names for tag in _TAGS.get(name, ()))
    return Focus(dict(weights), tags, frozenset(name.casefold() for name in [*names, *tags]))
