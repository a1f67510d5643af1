"""The ladder as a chart: each rung's accuracy with its 95 % interval, and the next target as a line to reach.

Plain records in: whatever has `correct`, `n`, `low`, `high`, such as a run. No model, no torch, nothing is measured or
judged here. A slider moves the target; a list changes the order. Where no widget can run, the same rows come as a still
table.
"""

import html
from collections.abc import Mapping

from labkit.widgets.live import slider

MORE = 6  # fixed questions with none broken, the fewest that a sign test tells from chance at 5 %
ORDERS = ("as climbed", "best first")
_LEFT, _WIDTH, _ROW = 210, 300, 28


class LadderChart:
    """Rungs by name. Show it as the last line of a cell; `.text()` is the same as a plain table.

    `rungs`: name -> a run. `target`: a share from 0 to 1; without it the next one that can be told from chance, 6 more
    right answers than the best rung has.
    """

    def __init__(self, rungs: Mapping, target: float | None = None):
        if not rungs:
            raise ValueError("a ladder needs a rung")
        self.rungs = {str(name): rung for name, rung in rungs.items()}
        self.target = next_target(self.rungs) if target is None else float(target)
        if not 0 <= self.target <= 1:
            raise ValueError(f"the target is a share from 0 to 1, and it is {target}")

    @classmethod
    def of(cls, ladder, target: float | None = None) -> "LadderChart":
        """The chart of what `labkit.ladder` gives."""
        return cls({rung.name: rung.run for rung in ladder.rungs}, target)

    def rows(self, target: float | None = None, order: str = ORDERS[0]) -> list[tuple]:
        """(name, share, low, high, n, right answers that the target still lacks, 0 where it is reached)."""
        goal = self.target if target is None else target
        rows = [
            (name, _share(r), max(0.0, r.low), min(1.0, r.high), r.n, lacking(r.correct, r.n, goal))
            for name, r in self.rungs.items()
        ]
        return sorted(rows, key=lambda row: -row[1]) if order == ORDERS[1] else rows

    def text(self, **settings) -> str:
        """The rungs as lines of text."""
        rows = self.rows(**settings)
        wide = max(len(row[0]) for row in rows)
        lines = [f"{row[0]:<{wide}}  {_interval(row)}  {_words(row[-1])}" for row in rows]
        return "\n".join([*lines, f"next target: {self._goal(settings):.2f}"])

    def table(self, **settings) -> str:
        """The rungs as an HTML table that needs no style sheet, so that GitHub shows it too."""
        lines = [
            f"<tr><td>{html.escape(name)}</td><td>{share:.2f}</td><td>{low:.2f} to {high:.2f}</td><td>{n}</td>"
            f"<td>{_words(more)}</td></tr>"
            for name, share, low, high, n, more in self.rows(**settings)
        ]
        heads = ("rung", "accuracy", "95 % interval", "n", f"next target {self._goal(settings):.2f}")
        head = "".join(f"<th>{text}</th>" for text in heads)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"

    def svg(self, aim: bool = True, **settings) -> str:
        """The chart, without the target where not `aim`. Shape and words say what colour says; text and lines take the
        page's own colour."""
        rows, goal = self.rows(**settings), self._goal(settings)
        bottom = _ROW * len(rows) + 10
        parts = [_line(_x(mark), bottom, 0.25) + _label(_x(mark), bottom + 16, f"{mark:g}") for mark in _MARKS]
        if aim:
            parts += [_line(_x(goal), bottom, 1, "6 4"), _label(_x(goal), bottom + 34, f"next target {goal:.2f}")]
        parts += [_rung(22 + _ROW * at, row, aim) for at, row in enumerate(rows)]
        size = f'viewBox="0 0 740 {bottom + (44 if aim else 24)}" width="740" style="color:inherit"'
        title = html.escape(self.text(**settings) if aim else "\n".join(f"{row[0]}  {_interval(row)}" for row in rows))
        font = 'font-size="13" font-family="sans-serif"'
        return f'<svg role="img" {size} {font}><title>{title}</title>{"".join(parts)}</svg>'

    def widget(self):
        """The chart below a slider and a list, both labelled; arrow keys move the slider and change the list."""
        import ipywidgets as w

        wide = {"layout": w.Layout(width="26em"), "style": {"description_width": "9em"}}
        target = slider("next target, %", round(100 * self.target), 0, 100, 1)
        order = w.Dropdown(options=ORDERS, description="order of rungs", **wide)
        view = w.HTML(_scrolling(self.svg()))

        def draw(change):
            view.value = _scrolling(self.svg(target=target.value / 100, order=order.value))

        for control in (target, order):
            control.observe(draw, names="value")
        return w.VBox([target, order, view])

    def _goal(self, settings: Mapping) -> float:
        goal = settings.get("target")
        return self.target if goal is None else goal

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        """The widget where it can run; beside it the still table, for the places where it can't."""
        still = {"text/plain": self.text(), "text/html": self.table()}
        try:
            live = self.widget()._repr_mimebundle_()
        except ImportError:
            return still
        return {**live, **still}

    def __repr__(self) -> str:
        return self.text()


def next_target(rungs: Mapping) -> float:
    """The share of the best rung with MORE further right answers, 1 at most."""
    best = max(rungs.values(), key=_share)
    return min(1.0, (best.correct + MORE) / best.n) if best.n else 1.0


def lacking(correct: int, n: int, target: float) -> int:
    """How many more right answers of `n` reach the share `target`; 0 where it is reached."""
    return next((more for more in range(n + 1) if (correct + more) / n >= target - 1e-9), 0) if n else 0


_MARKS = (0, 0.25, 0.5, 0.75, 1)


def _scrolling(svg: str) -> str:
    """On a narrow page a chart that can be scrolled: made smaller its words could not be read."""
    return f'<div style="overflow-x:auto">{svg}</div>'


def _share(rung) -> float:
    return rung.correct / rung.n if rung.n else 0.0


def _words(more: int) -> str:
    return f"{more} more to the target" if more else "target reached"


def _x(share: float) -> float:
    return _LEFT + _WIDTH * share


def _rung(y: int, row: tuple, aim: bool) -> str:
    """A bar for the interval; a diamond for a rung that has reached the target, a dot for one that has not."""
    name, share, low, high, n, more = row
    x = _x(share)
    bar = f'<path d="M{_x(low):.1f} {y}H{_x(high):.1f}" stroke="#4b93d1" stroke-width="6"/>'
    dot = f'<circle cx="{x:.1f}" cy="{y}" r="5" fill="currentColor"/>'
    diamond = f'<path d="M{x:.1f} {y - 8}l8 8l-8 8l-8 -8z" fill="#d98200" stroke="currentColor"/>'
    told = f"{share:.2f}, {_words(more)}" if aim else _interval(row)
    names = _label(_LEFT - 12, y + 4, name, "end") + _label(_x(1) + 14, y + 4, told, "start")
    return bar + (dot if more or not aim else diamond) + names


def _interval(row: tuple) -> str:
    _, share, low, high, n, _ = row
    return f"{share:.2f} [{low:.2f}, {high:.2f}] n={n}"


def _line(x: float, bottom: int, opacity: float, dash: str = "none") -> str:
    drawn = f'stroke="currentColor" stroke-opacity="{opacity}" stroke-dasharray="{dash}"'
    return f'<path d="M{x:.1f} 4V{bottom}" {drawn}/>'


def _label(x: float, y: int, words: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" fill="currentColor">{html.escape(words)}</text>'
