"""The live view of a data explorer: labelled controls of ipywidgets around one pair at a time. Not its state: that is
in `explorer.DataExplorer`, and all of it can be read and changed from Python without this view.
"""

import html
from collections import Counter

import ipywidgets as w

from labkit.widgets.decisions import ACCEPTED, ALL, MARK, REJECTED, told

_WIDE = {"layout": w.Layout(width="30em"), "style": {"description_width": "7em"}}


def explorer_box(explorer) -> w.VBox:
    """A box: summary, coverage and filters, then filters of rows, the pair, and accept, reject, undo, back, next."""
    return _View(explorer).box


class _View:
    """The controls, and what each does. `place` is the pair's place among those shown."""

    def __init__(self, explorer):
        self.explorer, self.past = explorer, []
        tags = Counter(tag for pair in explorer.pairs for tag in pair.tags)
        named = [("all", ALL), *((f"{tag} ({n:,})", tag) for tag, n in sorted(tags.items()))]
        self.tag = w.Dropdown(options=named, value=ALL, description="tag", **_WIDE)
        self.decision = w.Dropdown(options=[ALL, *MARK], value=ALL, description="decision", **_WIDE)
        self.words = w.Text(description="words", placeholder="in the question or the SQL", **_WIDE)
        self.row = w.BoundedIntText(value=1, min=1, max=1, description="row", **_WIDE)
        self.summary, self.pair = w.HTML(), w.HTML()
        self.buttons = {
            name: w.Button(description=f"{sign} {name}", tooltip=tip, layout=w.Layout(width="7em"))
            for name, sign, tip in (
                ("Accept", "✓", "Accept this pair and go to the next"),
                ("Reject", "✗", "Reject this pair and go to the next"),
                ("Undo", "↶", "Take back the last decision"),
                ("Back", "←", "The pair before"),
                ("Next", "→", "The next pair"),
            )
        }
        for control in (self.tag, self.decision, self.words):
            control.observe(self._filtered, names="value")
        self.row.observe(lambda change: self._draw(), names="value")
        for name, act in (("Accept", ACCEPTED), ("Reject", REJECTED)):
            self.buttons[name].on_click(lambda button, act=act: self._decide(act))
        self.buttons["Undo"].on_click(lambda button: self._undo())
        self.buttons["Back"].on_click(lambda button: self._move(-1))
        self.buttons["Next"].on_click(lambda button: self._move(1))
        figures = w.HTML(_spaced(explorer._coverage() + explorer._filters()))
        parts = [self.summary, figures, self.tag, self.decision, self.words, self.row, self.pair]
        self.box = w.VBox([*parts, w.HBox(list(self.buttons.values()), layout=w.Layout(flex_flow="row wrap"))])
        self._filtered()

    def _filtered(self, change=None) -> None:
        """The rows that the filters leave, from the first on."""
        self._show(self._found(), 0)

    def _found(self) -> list:
        return self.explorer.shown(self.tag.value, self.decision.value, self.words.value)

    def _show(self, rows: list, place: int) -> None:
        self.rows = rows
        self.row.max = max(1, len(rows))
        self.row.value = min(max(place, 0) + 1, self.row.max)
        self._draw()

    def _move(self, step: int) -> None:
        self.row.value = min(max(self.row.value + step, 1), self.row.max)

    def _decide(self, decision: str) -> None:
        if not self.rows:
            return
        place, id = self.row.value - 1, self.rows[self.row.value - 1].id
        self.past.append((id, self.explorer.decision(id)))
        self.explorer.decide(id, decision)
        rows = self._found()
        stays = place < len(rows) and rows[place].id == id
        self._show(rows, place + 1 if stays else place)

    def _undo(self) -> None:
        if not self.past:
            return
        id, before = self.past.pop()
        self.explorer.decide(id, before)
        rows = self._found()
        places = [place for place, pair in enumerate(rows) if pair.id == id]
        self._show(rows, places[0] if places else self.row.value - 1)

    def _draw(self) -> None:
        self.summary.value = f"<p role='status'>{html.escape(self.explorer.summary())}</p>"
        for name in ("Accept", "Reject", "Back", "Next"):
            self.buttons[name].disabled = not self.rows
        self.buttons["Undo"].disabled = not self.past
        self.pair.value = self._pair() if self.rows else "<p>No row is left by these filters.</p>"

    def _pair(self) -> str:
        """One pair. The border takes the text's colour: it is seen on light and on dark."""
        pair = self.rows[self.row.value - 1]
        where = f"row {self.row.value:,} of {len(self.rows):,}, {pair.id}, {told(self.explorer.decision(pair.id))}"
        sql = f"<pre style='white-space:pre-wrap'>{html.escape(pair.sql)}</pre>"
        inside = f"<p>{html.escape(where)}</p><p><b>{html.escape(pair.question)}</b></p>{sql}"
        tags = html.escape(", ".join(pair.tags))
        return f"<div style='border:1px solid currentColor;padding:.5em'>{inside}<p>tags: {tags}</p></div>"


def _spaced(tables: str) -> str:
    """The still tables with room between their columns: an ipywidgets box gives them none."""
    spaced = tables.replace("<td>", "<td style='padding:0 .8em'>")
    return spaced.replace('<th scope="col">', "<th scope='col' style='padding:0 .8em;text-align:left'>")
