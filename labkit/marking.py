"""Two results side by side: each as the plain record that the widgets draw, with what differs from the other marked.

Which of them is right is `scoring`'s to say; here values are only compared, in the order of the columns.
"""

from collections import Counter
from collections.abc import Sequence

from labkit.execution import ExecutionResult

_ROWS, _COLUMNS, _CHARACTERS = 10, 8, 60  # of a result that is shown


def shown(result: ExecutionResult, other: ExecutionResult | None = None, ordered: bool = False) -> dict:
    """A result as the widgets draw it: {columns, rows, differs, more, error, note}; at most 10 rows of 8 values.

    `differs` marks the values that differ from `other`'s; none where one of the two is an error. Rows that both have
    are left unmarked wherever they stand. The rest of each is set beside the rest of the other, first beside first,
    and marked where they differ, a row without a partner whole. Where only the order differs, and `ordered` says that
    it counts, rows of the same place are compared. `note` says what marks do not.
    """
    marks, note = {}, ""
    if other is not None and not result.error and not other.error:
        marks, note = _compared(_rounded(result.rows), _rounded(other.rows), ordered)
    rows = [row[:_COLUMNS] for row in result.rows[:_ROWS]]
    return {
        "columns": list(result.columns[:_COLUMNS]),
        "rows": [[_cell(value) for value in row] for row in rows],
        "differs": [marks.get(place, [False] * len(row)) for place, row in enumerate(rows)],
        "more": max(0, len(result.rows) - _ROWS),
        "error": result.error or "",
        "note": note,
    }


def _compared(ours: list[tuple], theirs: list[tuple], ordered: bool) -> tuple[dict[int, list[bool]], str]:
    """By place of a row of ours that differs: which of its values do; and the note."""
    left, right = _lacking(ours, theirs), _lacking(theirs, ours)
    notes = []
    if ordered and not left and not right:
        left = right = [place for place, row in enumerate(ours) if row != theirs[place]]
        notes += ["The same rows as the other result's, in another order."] if left else []
    beside = dict(zip(left, [theirs[place] for place in right], strict=False))
    hidden = sum(place >= _ROWS for place in left)
    notes += [f"Of the rows that are not shown, {hidden} differ."] if hidden else []
    return {place: _differs(ours[place], beside.get(place, ())) for place in left}, " ".join(notes)


def _lacking(ours: list[tuple], theirs: list[tuple]) -> list[int]:
    """Places of our rows that they have not, or not as often."""
    left, places = Counter(theirs), []
    for place, row in enumerate(ours):
        left[row] -= 1
        if left[row] < 0:
            places.append(place)
    return places


def _differs(row: tuple, beside: tuple) -> list[bool]:
    """Which of a row's first values differ; all, where the difference is in what is not shown."""
    same = [n < len(beside) and beside[n] == value for n, value in enumerate(row[:_COLUMNS])]
    return [all(same) or not ok for ok in same]


def _rounded(rows: Sequence[tuple]) -> list[tuple]:
    """A sum depends on the order of adding: numbers that are the same in nine digits are the same here."""
    return [tuple(float(f"{value:.9g}") if isinstance(value, float) else value for value in row) for row in rows]


def _cell(value) -> str:
    text = "NULL" if value is None else f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
    return text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"
