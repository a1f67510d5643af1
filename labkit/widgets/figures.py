"""Still pictures: the low-rank update beside its matrix, which tokens a loss counts, how a loss fell, a formula.

Plain numbers in; no torch, no controls. Each is an SVG or a line of marked words with the same said in a sentence, so
that it can be read without colour, and where no picture is shown.
"""

import html
import math
import re
from collections.abc import Mapping, Sequence

from labkit.widgets.pictures import MIME, standalone
from labkit.widgets.training import shaded

_SIDE = 150  # pixels of the longer side of a weight matrix
_WIDE, _HIGH, _LEFT = 560, 160, 46  # of a curve


class _Still:
    """Shown as HTML where that can be, else as an image, where it is one, else as `text()`."""

    def text(self) -> str:
        raise NotImplementedError

    def html(self) -> str:
        raise NotImplementedError

    def picture(self) -> str:
        """Its drawing as an SVG file, what it says above it; "" where it is words only."""
        drawing = re.search("<svg.*</svg>", self.html(), re.S)
        return standalone(drawing[0], self.caption()) if drawing else ""

    def caption(self) -> str:
        """What stands above the picture where the page's own words are not shown."""
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        image = self.picture()
        return {"text/plain": self.text(), "text/html": self.html()} | ({MIME: image} if image else {})

    def __repr__(self) -> str:
        return self.text()


class LowRank(_Still):
    """A weight matrix of shape (out, into), and to scale beside it B (out, rank) and A (rank, into)."""

    def __init__(self, out: int, into: int, rank: int):
        if min(out, into, rank) < 1:
            raise ValueError(f"sizes are 1 or more, not {out}, {into} and {rank}")
        self.out, self.into, self.rank = out, into, rank

    def text(self) -> str:
        whole, factors = self.out * self.into, self.rank * (self.out + self.into)
        return (
            f"W: {self.out} x {self.into} = {whole:,} numbers, frozen; B: {self.out} x {self.rank} and "
            f"A: {self.rank} x {self.into} = {factors:,} numbers, trained ({factors / whole:.1%})"
        )

    def html(self) -> str:
        scale = _SIDE / max(self.out, self.into)
        wide, high, thin = (max(3.0, scale * size) for size in (self.into, self.out, self.rank))
        second = wide + 60
        parts = [
            _box(10, 10, wide, high, "#8a8a8a", "W"),
            _words(wide + 35, 10 + high / 2, "+ α/r"),
            _box(second, 10, thin, high, "#d98200", "B"),
            _box(second + thin + 14, 10, wide, thin, "#2171b5", "A"),
        ]
        svg = _svg(second + thin + 24 + wide, max(high, thin) + 40, self.text(), parts)
        return f"{svg}<p>{html.escape(self.text())}</p>"


class TokenLosses(_Still):
    """A text's tokens, `losses[i]` nats for `tokens[i]`; those before `start` are read only, and not counted."""

    def __init__(self, tokens: Sequence[str], losses: Sequence[float], start: int):
        if len(tokens) != len(losses) or not 0 < start < len(tokens):
            raise ValueError("there is a loss for each token, and `start` is the place of one behind the first")
        self.tokens, self.losses, self.start = list(tokens), [max(0.0, float(loss)) for loss in losses], start

    @property
    def mean(self) -> float:
        """The loss: mean over the answer's tokens, in nats."""
        counted = self.losses[self.start :]
        return math.fsum(counted) / len(counted)

    def text(self) -> str:
        lines = [
            f"{loss:6.2f}  {token!r}" for token, loss in list(zip(self.tokens, self.losses, strict=True))[self.start :]
        ]
        return "\n".join([f"{self.start} tokens of the question: not counted", *lines, f"{self.mean:6.2f}  mean"])

    def html(self) -> str:
        read = "".join(f"<span style='opacity:.65'>{_shown(token)}</span>" for token in self.tokens[: self.start])
        box = "display:inline-flex;flex-direction:column;align-items:center;padding:0 .3em;margin:1px;line-height:1.3"
        counted = "".join(
            f"<ruby style='{box};{shaded(loss)}'>{_shown(token)}<rt>{loss:.1f}</rt></ruby>"
            for token, loss in list(zip(self.tokens, self.losses, strict=True))[self.start :]
        )
        told = f"<p>Pale: {self.start} tokens that are read and not counted. Boxes: the answer, each token with its "
        return f"<p style='line-height:2.6'>{read}{counted}</p>{told}loss in nats; the mean is {self.mean:.2f}.</p>"


class LossCurve(_Still):
    """The loss of each step, and the mean of the last `window` steps as a line through them."""

    def __init__(self, losses: Sequence[float], window: int = 8):
        self.losses, self.window = [float(loss) for loss in losses], window
        if not self.losses or window < 1:
            raise ValueError("a curve needs a step, and a window of one step or more")

    @property
    def means(self) -> list[float]:
        """At each step the mean of the last `window` losses."""
        spans = (self.losses[max(0, at + 1 - self.window) : at + 1] for at in range(len(self.losses)))
        return [math.fsum(span) / len(span) for span in spans]

    def text(self) -> str:
        first, last = self.losses[: self.window], self.losses[-self.window :]
        return (
            f"{len(self.losses)} steps; mean loss of the first {len(first)}: {math.fsum(first) / len(first):.2f} nats, "
            f"of the last {len(last)}: {math.fsum(last) / len(last):.2f} nats a token"
        )

    def html(self) -> str:
        top = max(self.losses) or 1.0
        step = (_WIDE - _LEFT - 10) / max(1, len(self.losses) - 1)

        def at(place: int, loss: float) -> str:
            return f"{_LEFT + step * place:.1f},{10 + _HIGH * (1 - loss / top):.1f}"

        dots = "".join(
            f'<circle cx="{point[0]}" cy="{point[1]}" r="2.5" fill="currentColor" fill-opacity=".45"/>'
            for point in (at(place, loss).split(",") for place, loss in enumerate(self.losses))
        )
        path = " ".join(at(place, mean) for place, mean in enumerate(self.means))
        line = f'<polyline points="{path}" fill="none" stroke="#d98200" stroke-width="2.5"/>'
        axes = f'<path d="M{_LEFT} 10V{10 + _HIGH}H{_WIDE - 10}" fill="none" stroke="currentColor"/>'
        marks = [_words(_LEFT - 6, 14, f"{top:.1f}", "end"), _words(_LEFT - 6, 14 + _HIGH, "0", "end")]
        marks += [
            _words(_LEFT, _HIGH + 28, "step 1", "start"),
            _words(_WIDE - 10, _HIGH + 28, f"{len(self.losses)}", "end"),
        ]
        return f"{_svg(_WIDE, _HIGH + 40, self.text(), [axes, dots, line, *marks])}<p>{html.escape(self.text())}</p>"


class Curves(_Still):
    """A formula as a picture: lines by name, each a list of points (x, y), and single points, `marks`, by name.

    x, y: what the axes say; `level`: a y at which a dashed line runs through. Lines differ in colour and in dashes.
    """

    def __init__(self, lines: Mapping, x: str, y: str, marks: Mapping | None = None, level: float | None = None):
        self.lines = {str(name): [(float(a), float(b)) for a, b in points] for name, points in lines.items()}
        self.marks = {str(name): (float(a), float(b)) for name, (a, b) in (marks or {}).items()}
        self.x, self.y, self.level = x, y, level
        if not self.lines or not all(self.lines.values()):
            raise ValueError("a picture needs a line, and a line a point")

    def text(self) -> str:
        told = [f"{self.y}, over {self.x}"]
        for name, points in self.lines.items():
            some = [points[round(part * (len(points) - 1) / 4)] for part in range(5)] if len(points) > 5 else points
            told.append(f"{name}: " + ", ".join(f"{a:z.4g} → {b:z.3g}" for a, b in some))
        return "\n".join([*told, *(f"● {name}: {a:z.4g} → {b:z.3g}" for name, (a, b) in self.marks.items())])

    def caption(self) -> str:
        return self.text().splitlines()[0]

    def html(self) -> str:
        axes = f'<path d="M{_LEFT} 10V{10 + _HIGH}H{_WIDE - 10}" fill="none" stroke="currentColor"/>'
        parts = [axes, *self._numbers(), *self._level(), *self._paths(), *self._dots(), *self._legend()]
        told = f"<p>{html.escape(self.y)}, over {html.escape(self.x)}</p>"
        return told + _svg(_WIDE, _HIGH + 40 + 18 * len(self.lines), self.text(), parts)

    def _ends(self) -> tuple[float, float, float, float]:
        """The smallest and the largest x, and y; a little apart where they are one."""
        points = [point for line in self.lines.values() for point in line] + list(self.marks.values())
        xs, ys = zip(*points, strict=True)
        ys = ys if self.level is None else (*ys, self.level)
        ends = ((min(values), max(values)) for values in (xs, ys))
        left_right, low_high = ((a, b) if b > a else (a - 0.5, b + 0.5) for a, b in ends)
        return *left_right, *low_high

    def _at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point is drawn."""
        left, right, low, high = self._ends()
        across, up = (x - left) / (right - left), (y - low) / (high - low)
        return _LEFT + (_WIDE - _LEFT - 10) * across, 10 + _HIGH * (1 - up)

    def _styles(self) -> list[str]:
        """How each line is drawn: never by its colour alone."""
        inks = (f'stroke="{_INKS[at % 4]}" stroke-dasharray="{_DASHES[at % 4]}"' for at in range(len(self.lines)))
        return [f'{ink} stroke-width="2.5" fill="none"' for ink in inks]

    def _numbers(self) -> list[str]:
        left, right, low, high = self._ends()
        ends = [
            _words(_LEFT - 6, y, f"{_rounded(value, high - low):z.3g}", "end")
            for y, value in ((14, high), (10 + _HIGH, low))
        ]
        ends += [
            _words(x, _HIGH + 28, f"{_rounded(value, right - left):z.4g}", side)
            for x, value, side in ((_LEFT, left, "start"), (_WIDE - 10, right, "end"))
        ]
        return [*ends, _words((_LEFT + _WIDE) / 2, _HIGH + 28, self.x)]

    def _level(self) -> list[str]:
        if self.level is None:
            return []
        y = self._at(self._ends()[0], self.level)[1]
        line = f'<path d="M{_LEFT} {y:.1f}H{_WIDE - 10}" stroke="currentColor" stroke-dasharray="2 4"/>'
        return [line, _words(_WIDE - 10, y - 4, f"{self.level:g}", "end")]

    def _paths(self) -> list[str]:
        drawn = zip(self.lines.values(), self._styles(), strict=True)
        paths = (
            (" ".join("{:.1f},{:.1f}".format(*self._at(*point)) for point in line), style) for line, style in drawn
        )
        return [f'<polyline points="{path}" {style}/>' for path, style in paths]

    def _dots(self) -> list[str]:
        """The marks, each with its name."""
        parts, inked, names = [], self._inked(), []
        for name, point in self.marks.items():
            x, y = self._at(*point)
            side, down = _place(x, y, name, inked, names)
            names.append(_room(x, y, name, side, down))
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="currentColor"/>')
            parts.append(_words(x + _ASIDE[side], max(y + down, 12), name, side))
        return parts

    def _inked(self) -> list[tuple[float, float]]:
        """Points on all that is drawn, some 4 pixels apart: lines, marks, the level and its number."""
        inked = [self._at(*point) for point in self.marks.values()]
        left, right, *_ = self._ends()
        level = [] if self.level is None else [[(left, self.level), (right, self.level)]]
        for line in [*self.lines.values(), *level]:
            drawn = [self._at(*point) for point in line]
            for (a, b), (c, d) in zip(drawn, drawn[1:], strict=False):
                steps = max(1, round(math.dist((a, b), (c, d)) / 4))
                inked += [(a + (c - a) * at / steps, b + (d - b) * at / steps) for at in range(steps + 1)]
        if self.level is not None:
            y = self._at(left, self.level)[1]
            inked += [(_WIDE - 40 + across, y - 4 - up) for across in range(0, 31, 4) for up in range(0, 12, 4)]
        return inked

    def _legend(self) -> list[str]:
        rows = enumerate(zip(self.lines, self._styles(), strict=True))
        return [
            f'<path d="M{_LEFT} {_HIGH + 42 + 18 * row}h34" {style}/>'
            + _words(_LEFT + 42, _HIGH + 46 + 18 * row, name, "start")
            for row, (name, style) in rows
        ]


_INKS = ("#2171b5", "#d98200", "#008f6b", "#a6559d")  # told apart by the colour-blind, on light and dark pages
_DASHES = ("none", "9 5", "3 4", "12 4 3 4")
_ASIDE = {"start": 8, "end": -8, "middle": 0}  # pixels from a mark to its name, by where the name is held


def _rounded(value: float, span: float) -> float:
    """The value to a hundredth of its axis or finer: what is as good as nothing on it is 0."""
    return round(value, 2 - math.floor(math.log10(span)))


def _room(x: float, y: float, name: str, side: str, down: float) -> tuple[float, float, float, float]:
    """The box (left, top, right, bottom) of a mark's name, about."""
    wide = 7 * len(name)
    left = x + _ASIDE[side] - {"start": 0, "middle": wide / 2, "end": wide}[side]
    return left, max(y + down, 12) - 11, left + wide, max(y + down, 12) + 3


def _place(x: float, y: float, name: str, inked: list[tuple[float, float]], names: list) -> tuple[str, int]:
    """Where a mark's name stands, by `_ASIDE` and pixels down: where it covers least of what is drawn; where that is
    on a name before it, the marks lie close together, and there a line further off will do as well."""
    sides = ("end", "start") if x > (_LEFT + _WIDE) / 2 else ("start", "end")
    near = [(side, down) for down in (-6, 17) for side in sides] + [("middle", -12), ("middle", 23)]
    far = [(side, down) for down in (-27, 38) for side in sides]

    def clear(place) -> bool:
        return not any(_overlap(_room(x, y, name, *place), other) for other in names)

    def covered(place) -> int:
        return _covered(_room(x, y, name, *place), inked)

    best = min(near, key=covered)
    return best if clear(best) else min(filter(clear, [*near, *far]), key=covered, default=best)


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    """Whether two boxes have any point in common."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _covered(box: tuple[float, float, float, float], taken: list[tuple[float, float]]) -> int:
    """How many of the points lie in the box; a thousand more for a box that leaves the picture."""
    left, top, right, bottom = box
    outside = left < _LEFT or right > _WIDE or top < 0 or bottom > 12 + _HIGH
    return 1000 * outside + sum(left <= x <= right and top <= y <= bottom for x, y in taken)


def _shown(token: str) -> str:
    """A token for a page: escaped, its line ends visible, its blanks kept."""
    return html.escape(token.replace("\n", "↵")).replace(" ", "&nbsp;")


def _svg(wide: float, high: float, title: str, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {wide:.0f} {high:.0f}" width="{wide:.0f}" style="max-width:100%;color:inherit"'
    font = 'font-size="13" font-family="sans-serif"'
    return f'<svg role="img" {size} {font}><title>{html.escape(title)}</title>{"".join(parts)}</svg>'


def _box(x: float, y: float, wide: float, high: float, colour: str, name: str) -> str:
    drawn = f'fill="{colour}" fill-opacity=".55" stroke="currentColor"'
    box = f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" {drawn}/>'
    return box + _words(x + wide / 2, y + high + 18, name)


def _words(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor">{html.escape(words)}</text>'
