"""A tuning run under way: loss per example as a heat map over time, how many are mastered, tokens a second, and Stop.

The run itself is any callable that takes an observer and calls it after each step, as `labkit.tune(..., watch=)` does;
it runs in a thread, so the cell returns at once. Stop ends it after the step it is in; what it has learnt is kept, and
`start` goes on from there. No torch and no model here. Meanwhile the model belongs to the run: `wait()` before asking
it. Where no widget can run the same figures come as a still table and as a picture; `wait` shows them anew, so that a
saved notebook holds the last state.
"""

import asyncio
import contextlib
import html
import signal
import threading
import time
from collections.abc import Callable, Mapping
from uuid import uuid4

from labkit.widgets.pictures import MIME, standalone

_COLUMNS, _SHOWN = 24, 40  # of the map: spans of time, examples shown
_EVERY = 0.5  # seconds between two drawings
_SHADES = ("#f7fbff", "#c6dbef", "#6baed6", "#2171b5", "#08306b")  # one hue: the darker the more loss
_STEPS = (0.02, 0.1, 0.5, 2.0)  # nats, where one shade ends
_WORDS = ("under 0.02", "to 0.1", "to 0.5", "to 2", "above")


class TrainingView:
    """`TrainingView(lambda watch: labkit.tune(model, pairs, watch=watch)).start()`: show it as a cell's last line.

    labels: example id -> text for its row; note: what stands before the state, such as that the run is a replayed one.
    `state` is "ready", "running", "stopping", "stopped", "failed" or "finished"; `result` is what the run returned,
    `error` what it failed with.
    """

    def __init__(self, run: Callable, labels: Mapping[str, str] | None = None, note: str = ""):
        self.run, self.labels, self.note = run, dict(labels or {}), note
        self.state, self.result, self.error = "ready", None, None
        self.history: dict[str, list[tuple[int, float]]] = {}  # id -> (step, loss) of each time that it was trained
        self.step, self.total, self.mastered, self.speed = 0, 0, None, 0.0
        self._stop, self._done, self._view, self._buttons = threading.Event(), threading.Event(), None, ()
        self._live = None  # the whole widget that is shown
        self._done.set()
        self._drawn, self._kept_handler = 0.0, None
        self._shown, self._shown_state = "", ""  # the id of its display, and what state that shows
        self._loop = None  # outside of a notebook: wait() sees to Ctrl-C
        with contextlib.suppress(RuntimeError):  # of the cells; a button may be pressed in a thread without signals
            self._loop = asyncio.get_running_loop()

    def start(self) -> "TrainingView":
        """Begin, or go on after a stop; returns at once. Nothing happens while it runs or when it is finished."""
        if self.state in ("running", "stopping", "finished"):
            return self
        self._stop.clear()
        self.state, self.error = "running", None
        self._done.clear()
        threading.Thread(target=self._work, name="tuning", daemon=True).start()
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.call_later, _EVERY, self._listen)
        self._draw(now=True)
        return self

    def stop(self) -> None:
        """Ask the run to stop after the step that it is in. Its work is kept."""
        self._stop.set()
        if self.state == "running":
            self.state = "stopping"
            self._draw(now=True)

    def wait(self, seconds: float | None = None):
        """Wait for the end of the run; returns its result, or None where it was stopped. Interrupt stops it.

        Raises what the run failed with.
        """
        try:
            self._done.wait(seconds)
        except KeyboardInterrupt:
            self.stop()
            self._done.wait()
        self._show_again()
        if self.error is not None:
            raise self.error
        return self.result

    def _work(self) -> None:
        try:
            self.result = self.run(self.saw)
            self.state = "finished"
        except KeyboardInterrupt:  # how a tuning says that it was stopped and that its work is kept
            self.state = "stopped"
        except BaseException as error:
            self.error, self.state = error, "failed"
        try:
            self._draw(now=True)
        finally:
            self._done.set()

    def saw(self, seen) -> bool:
        """One step: `step`, `total`, `seconds`, `tokens`, `losses` (id -> loss), `mastered`. True asks it to stop."""
        for name, loss in seen.losses.items():
            self.history.setdefault(name, []).append((seen.step, float(loss)))
        self.step, self.total, self.mastered = seen.step, seen.total, seen.mastered
        self.speed = seen.tokens / max(seen.seconds, 1e-9)
        self._draw()
        return self._stop.is_set()

    def _listen(self) -> None:
        """In a notebook between two cells, where the kernel takes no notice of Interrupt: it stops the run."""
        running = self.state in ("running", "stopping")
        if running and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            self._kept_handler = lambda number, frame: self.stop()
            signal.signal(signal.SIGINT, self._kept_handler)
        elif not running and signal.getsignal(signal.SIGINT) is self._kept_handler and self._kept_handler:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        if running:
            self._loop.call_later(_EVERY, self._listen)

    # --- what is shown

    def summary(self) -> str:
        """One line: the note, the state, the step, how many are mastered, the speed."""
        note = f"{self.note}; " if self.note else ""
        mastered = "" if self.mastered is None else f", {self.mastered} mastered"
        failed = f": {self.error}" if self.error is not None else ""
        return f"{note}{self.state}{failed}; step {self.step} of {self.total}{mastered}, {self.speed:,.0f} tokens/s"

    def rows(self) -> list[tuple[str, list[float | None]]]:
        """(label, loss in each span of time or None) of the first examples; a span without a step keeps the last."""
        seen = [(name, list(losses)) for name, losses in list(self.history.items())[:_SHOWN]]
        width = max(1, -(-max(self.step, 1) // _COLUMNS))
        rows = []
        for name, losses in seen:
            spans: list[float | None] = [None] * (-(-max(self.step, 1) // width))
            for step, loss in losses:
                spans[min(len(spans), -(-step // width)) - 1] = loss
            for at in range(1, len(spans)):
                spans[at] = spans[at - 1] if spans[at] is None else spans[at]
            rows.append((self.labels.get(name, name), spans))
        return rows

    def text(self) -> str:
        """The figures as lines of text: each example with its first and its last loss, or the one that it has."""
        lines = [f"{name[:50]:50} {_first(spans):6.2f} → {spans[-1]:6.2f}" for name, spans in self.rows()]
        once = [len(losses) == 1 for losses in list(self.history.values())[: len(lines)]]
        lines = [line.partition("→")[0] + "seen once" if one else line for line, one in zip(lines, once, strict=True)]
        return "\n".join([self.summary(), *lines, *filter(None, [self._left_out()])])

    def _left_out(self) -> str:
        more = len(self.history) - _SHOWN
        return f"The first {_SHOWN} of {len(self.history):,} examples are shown." if more > 0 else ""

    def table(self, live: bool = False) -> str:
        """The map as an HTML table, the last loss as a number in each row: to be read without colour as well."""
        left = "text-align:left;font-weight:normal;white-space:nowrap"
        cut = "overflow:hidden;text-overflow:ellipsis;max-width:22vw"  # in a narrow window the map is what matters
        body = "".join(
            f"<tr><th scope='row' style='{left};{cut}' title='{html.escape(name)}'>{html.escape(name[:60])}</th>"
            f"{''.join(map(_cell, spans))}<td>{spans[-1]:.2f}</td></tr>"
            for name, spans in self.rows()
        )
        head = f"<tr><th>example</th><th colspan='{max(1, len(next(iter(self.rows()), ('', [0]))[1]))}'>time →</th>"
        ends = "".join(
            f"<span style='{_paint(shade)};display:inline-block;padding:0 .4em'>{words}</span> "
            for shade, words in zip(_SHADES, _WORDS, strict=True)
        )
        status = f"<p role='status' aria-live='{'polite' if live else 'off'}'>{html.escape(self.summary())}</p>"
        label = "aria-label='loss of each example over time'"
        table = f"<table {label}>{head}<th>last loss</th></tr>{body}</table>"
        return f"{status}<div style='overflow-x:auto'>{table}</div><p>loss in nats: {ends} {self._left_out()}</p>"

    def picture(self) -> str:
        """The map as an SVG file: a bar an example, in the map's shades, with the last loss behind it."""
        rows, cell = self.rows(), 12
        side, high = 330, 16 * max(1, len(rows))
        wide = side + cell * max([_COLUMNS, *(len(spans) for _, spans in rows)]) + 60
        parts = [_told(10, 12, "example"), _told(side, 12, "time →"), _told(wide - 6, 12, "last loss", "end")]
        squares: dict[str, str] = {}  # shade -> the squares that have it, as one path
        for at, (name, spans) in enumerate(rows):
            top = 20 + 16 * at
            label = name if len(name) <= 46 else name[:45] + "…"
            parts += [_told(10, top + 11, label), _told(wide - 6, top + 11, f"{spans[-1]:.2f}", "end")]
            for place, loss in enumerate(spans):
                if loss is not None:
                    shade = _shade(loss)
                    squares[shade] = squares.get(shade, "") + f"M{side + cell * place} {top}h{cell}v13h-{cell}z"
        parts += [f'<path d="{path}" fill="{shade}" stroke="#767676"/>' for shade, path in squares.items()]
        for at, (shade, words) in enumerate(zip(_SHADES, _WORDS, strict=True)):
            x, y = 10 + 110 * at, high + 30
            parts += [f'<path d="M{x} {y}h14v12h-14z" fill="{shade}" stroke="#767676"/>', _told(x + 20, y + 11, words)]
        size = f'viewBox="0 0 {wide} {high + 50}"'
        told = f"{self.summary()}. Loss of each example in nats: {self._left_out()}"
        return standalone(f"<svg {size}>{''.join(parts)}</svg>", told.strip())

    def widget(self):
        """The live view: two buttons and the map. Both buttons are reached with Tab and pressed with Enter or Space."""
        import ipywidgets as w

        begin = w.Button(description="Start or go on", tooltip="Start the tuning, or go on where it was stopped")
        end = w.Button(description="Stop", tooltip="Stop after this step; the work is kept")
        begin.on_click(lambda button: self.start())
        end.on_click(lambda button: self.stop())
        self._view, self._buttons = w.HTML(), (begin, end)
        self._draw(now=True)
        self._live = w.VBox([w.HBox([begin, end]), self._view])
        return self._live

    def _draw(self, now: bool = False) -> None:
        if self._view is None or not (now or time.monotonic() - self._drawn >= _EVERY):
            return
        self._drawn = time.monotonic()
        begin, end = self._buttons
        begin.disabled, end.disabled = self.state in ("running", "stopping", "finished"), self.state != "running"
        self._view.value = self.table(live=True)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        """The widget where it can run; beside it the still table and picture, for the places where it can't."""
        try:
            return {**self.widget()._repr_mimebundle_(), **self._still()}
        except ImportError:
            return self._still()

    def _still(self) -> dict:
        return {"text/plain": self.text(), "text/html": self.table(), MIME: self.picture()}

    def _ipython_display_(self) -> None:
        """In a notebook the display gets a name, so that `_show_again` reaches it in whichever cell it stands."""
        from IPython.display import display

        self._shown, self._shown_state = self._shown or uuid4().hex, self.state
        display(self._repr_mimebundle_(), raw=True, display_id=self._shown)

    def _show_again(self) -> None:
        """Where what stands in a cell is of another state than now: the same live view, and the still forms of now."""
        if not self._shown or self._shown_state == self.state:
            return
        from IPython.display import display

        self._shown_state = self.state
        live = self._live._repr_mimebundle_() if self._live is not None else {}
        display({**live, **self._still()}, raw=True, display_id=self._shown, update=True)

    def __repr__(self) -> str:
        return self.text()


def _first(spans: list[float | None]) -> float:
    return next(value for value in spans if value is not None)


def _cell(loss: float | None) -> str:
    if loss is None:
        return "<td title='not trained yet'>·</td>"
    return f"<td title='loss {loss:.2f}' style='{shaded(loss)};min-width:.7em;padding:0'></td>"


def shaded(loss: float) -> str:
    """The style of a mark for a loss in nats: the darker the more."""
    return _paint(_shade(loss))


def _shade(loss: float) -> str:
    return _SHADES[sum(loss >= step for step in _STEPS)]


def _told(x: int, y: int, words: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{html.escape(words)}</text>'


def _paint(shade: str) -> str:
    """Background, and text that stands out from it on a light page and on a dark one."""
    ink = "#fff" if shade in _SHADES[3:] else "#000"
    return f"background:{shade};color:{ink};border:1px solid #767676"
