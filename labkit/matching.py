"""Do two results say the same: rows as a bag or in order, columns in any order, numbers with a tolerance.

This compares values that were already fetched; it runs no query and knows nothing of SQL. What counts as the same:

- NULL equals NULL and nothing else. A text equals the same text, letter by letter. A blob is not a text.
- A text is never a number: `'1'` and `1` print alike but sort and add up differently.
- Whole numbers are equal when they are the same number: 1 = 1.0, -0.0 = 0, 1000001 <> 1000002.
- Other numbers are equal within a relative 1e-6 (or an absolute 1e-9), because a sum depends on the order of adding.
  Where that would take two different numbers of the reference for one, it shrinks to 1e-9, to 1e-12, then to none.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

_TOLERANCES = (1e-6, 1e-9, 1e-12)  # relative
_ABSOLUTE = 1e-3  # of the relative tolerance: what is left when large numbers cancel out
_STEPS = 4_000_000  # rows gone through before a search for the order of columns is given up
_EXACT_FLOAT = 2**53  # from here on a float no longer tells neighbouring whole numbers apart


class Table:
    """Rows of equal width, as columns."""

    def __init__(self, rows: Sequence[tuple], width: int):
        self.rows = rows
        self.width = width

    @cached_property
    def columns(self) -> list[tuple]:
        return list(zip(*self.rows, strict=True)) if self.rows else [()] * self.width

    @cached_property
    def profiles(self) -> list["_Profile"]:
        return [_Profile(column) for column in self.columns]


def same_bag(gold: Table, pred: Table) -> bool:
    """Whether the rows are the same, counted with their duplicates, under some order of the columns of `pred`."""
    if len(gold.rows) != len(pred.rows) or gold.width != pred.width:
        return False
    if Counter(gold.rows) == Counter(pred.rows):  # Python's 1 == 1.0 and 0.0 == -0.0 are ours as well
        return True
    return _assign(gold, pred, None)


def same_order(gold: Table, pred: Table, blocks: Sequence) -> bool:
    """Whether the rows are the same in the same order; rows of `gold` that are equal in `blocks` are tied and may swap.

    `blocks` holds one hashable value for each row of `gold`; equal neighbours make a block.
    """
    if len(gold.rows) != len(pred.rows) or gold.width != pred.width:
        return False
    if list(gold.rows) == list(pred.rows):
        return True
    numbers = [0] * len(gold.rows)
    for i in range(1, len(numbers)):
        numbers[i] = numbers[i - 1] + (blocks[i] != blocks[i - 1])
    return _assign(gold, pred, numbers)


def same_rows_once(gold: Table, pred: Table) -> bool:
    """Whether the rows are the same when each is counted once: the sign of a lost or superfluous DISTINCT."""
    once = [Table(list(dict.fromkeys(table.rows)), table.width) for table in (gold, pred)]
    return same_bag(*once)


def same_value(a, b) -> bool:
    """Whether two single values count as the same."""
    return _classes(_Profile((a,)), _Profile((b,))) is not None


# --- which column is which --------------------------------------------------------------------------------------------


def _assign(gold: Table, pred: Table, blocks: Sequence[int] | None) -> bool:
    """Find columns of `pred` for those of `gold`, one after the other, so that the rows so far are the same bag.

    The rows so far are a number each (equal numbers, equal rows), so that a step costs one pass over the rows. Columns
    whose values are not the same bag are never tried together; that leaves few candidates in real results. The search
    is bounded all the same: some tables of many look-alike columns are as hard as graph isomorphism.
    """
    pairs = {}
    for i, left in enumerate(gold.profiles):
        for j, right in enumerate(pred.profiles):
            classes = _classes(left, right)
            if classes is not None:
                pairs[i, j] = classes
    candidates = {i: [j for j in range(pred.width) if (i, j) in pairs] for i in range(gold.width)}
    if not all(candidates.values()):
        return False
    order = sorted(range(gold.width), key=lambda i: len(candidates[i]))
    start = (blocks, blocks) if blocks is not None else ([0] * len(gold.rows), [0] * len(pred.rows))
    budget = [max(100, _STEPS // len(gold.rows))]

    def extend(depth: int, used: frozenset[int], left: Sequence[int], right: Sequence[int]) -> bool:
        if depth == len(order):
            return True
        i = order[depth]
        for j in sorted(candidates[i], key=lambda j: (j != i, j)):  # its own place first
            if j in used or budget[0] <= 0:
                continue
            budget[0] -= 1
            refined = _refine(left, right, *pairs[i, j])
            if refined is not None and extend(depth + 1, used | {j}, *refined):
                return True
        return False

    return extend(0, frozenset(), *start)


def _refine(left, right, classes_left, classes_right) -> tuple[list[int], list[int]] | None:
    """Row numbers after one more column, None when the bags of rows differ."""
    numbers: dict[tuple, int] = {}
    new_left = [numbers.setdefault(pair, len(numbers)) for pair in zip(left, classes_left, strict=True)]
    new_right = [numbers.get(pair, -1) for pair in zip(right, classes_right, strict=True)]
    return (new_left, new_right) if Counter(new_left) == Counter(new_right) else None


# --- which value is which ---------------------------------------------------------------------------------------------


class _Profile:
    """A column, and what rules most other columns out at a glance."""

    def __init__(self, values: tuple):
        self.values = values
        self.numbers = [v for v in values if isinstance(v, (int, float))]
        self.others = Counter(v for v in values if not isinstance(v, (int, float)))
        self.whole = all(_is_whole(v) for v in self.numbers)

    @cached_property
    def sorted_numbers(self) -> list:
        return sorted(self.numbers)


def _is_whole(value: float) -> bool:
    return isinstance(value, int) or (value.is_integer() and abs(value) < _EXACT_FLOAT)


def _classes(gold: _Profile, pred: _Profile) -> tuple[list, list] | None:
    """For each value the number of its class, equal values in equal classes; None when the columns differ as bags."""
    if len(gold.numbers) != len(pred.numbers) or gold.others != pred.others:
        return None
    if gold.whole and pred.whole:
        return (gold.values, pred.values) if gold.sorted_numbers == pred.sorted_numbers else None
    pairs = zip(gold.sorted_numbers, pred.sorted_numbers, strict=True)
    if not all(_close(a, b, _TOLERANCES[0]) for a, b in pairs):
        return None
    names = _clusters(gold, pred)
    left, right = ([names.get(v, v) if isinstance(v, (int, float)) else v for v in p.values] for p in (gold, pred))
    return (left, right) if Counter(left) == Counter(right) else None


def _close(a: float, b: float, tolerance: float) -> bool:
    if a == b:
        return True
    if math.isinf(a) or math.isinf(b):
        return False
    return abs(a - b) <= max(tolerance * max(abs(a), abs(b)), tolerance * _ABSOLUTE)


def _clusters(gold: _Profile, pred: _Profile) -> dict[float, tuple]:
    """A class for each number, under the largest tolerance that leaves no doubt which numbers are the same."""
    ours, values = set(gold.numbers), sorted({*gold.numbers, *pred.numbers})
    for tolerance in _TOLERANCES:
        groups: list[list[float]] = []
        for value in values:
            if groups and _close(groups[-1][-1], value, tolerance):
                groups[-1].append(value)
            else:
                groups.append([value])
        if all(_is_clear(group, ours, tolerance) for group in groups):
            return {value: ("number", n) for n, group in enumerate(groups) for value in group}
    return {}


def _is_clear(group: list[float], ours: set[float], tolerance: float) -> bool:
    """All within the tolerance of one another, at most one whole, no two numbers that the reference tells apart."""
    if len(group) == 1:
        return True
    told_apart = [value for value in group if value in ours]
    noise = not told_apart or _close(told_apart[0], told_apart[-1], _TOLERANCES[-1])
    return _close(group[0], group[-1], tolerance) and sum(map(_is_whole, group)) < 2 and noise
