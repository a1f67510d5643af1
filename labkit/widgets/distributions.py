"""A model's next token as bars, with sliders for temperature, top-k and top-p; and one fact in several states of a
model, side by side.

Plain records in (tokens and their logits, as NumPy arrays), no model, no torch: the filters here are the same three as
in `labkit.decoding`, in the few lines that a lab teaches; a test holds the two together. Where no widget can run
(GitHub, a terminal, a printed page) the same bars come as a still table.
"""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from labkit.widgets.live import slider


def temperature(logits: np.ndarray, t: float) -> np.ndarray:
    """Softmax of logits / t, shape (tokens,). t below 1 sharpens, above 1 flattens, 0 is greedy."""
    if t == 0:
        best = logits == logits.max()
        return best / best.sum()
    scaled = (logits - logits.max()) / t
    weights = np.exp(scaled)
    return weights / weights.sum()


def top_k(probabilities: np.ndarray, k: int) -> np.ndarray:
    """Keep the k likeliest tokens (the earlier one on a tie), the others 0, scaled to sum 1; k = 0 keeps all."""
    if k == 0:
        return probabilities
    keep = np.argsort(-probabilities, kind="stable")[:k]
    kept = np.zeros_like(probabilities)
    kept[keep] = probabilities[keep]
    return kept / kept.sum()


def top_p(probabilities: np.ndarray, p: float) -> np.ndarray:
    """Keep the fewest likeliest tokens that hold at least p together (nucleus, Holtzman et al. 2019)."""
    order = np.argsort(-probabilities, kind="stable")
    before = np.cumsum(probabilities[order]) - probabilities[order]
    keep = order[before < p]
    kept = np.zeros_like(probabilities)
    kept[keep] = probabilities[keep]
    return kept / kept.sum()


FILTERS = (temperature, top_k, top_p)


class TokenBars:
    """Next-token bars. Show it as the last line of a cell; `.text(temperature=..)` is the same as a plain table.

    `tokens` are the model's tokens as text, `logits` their scores (a constant may be added: log-probabilities serve).
    `filters` are three functions (temperature, top_k, top_p) like those of this module: a learner's own fit in.
    """

    def __init__(self, tokens: Sequence[str], logits, filters: Sequence[Callable] = FILTERS, bars: int = 12):
        self.tokens, self.logits, self.bars = list(tokens), np.asarray(logits, dtype=float), bars
        self.filters = tuple(filters)
        if len(self.tokens) != len(self.logits) or not self.tokens:
            raise ValueError(f"{len(self.tokens)} tokens but {len(self.logits)} logits")

    def probabilities(self, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
        """Shape (tokens,): temperature first, then top-k, then top-p. top_k = 0 and top_p = 1 filter nothing."""
        heat, keep_k, keep_p = self.filters
        p = np.asarray(heat(self.logits, temperature), dtype=float)
        p = np.asarray(keep_k(p, top_k), dtype=float) if top_k else p
        return np.asarray(keep_p(p, top_p), dtype=float) if top_p < 1 else p

    def rows(self, **settings) -> list[tuple[str, float]]:
        """The likeliest tokens at temperature 1 and what the settings make of them, then all the others together."""
        p = self.probabilities(**settings)
        shown = np.argsort(-self.logits, kind="stable")[: self.bars]
        rows = [(visible(self.tokens[i]), float(p[i])) for i in shown]
        rest = len(self.tokens) - len(shown)
        return [*rows, (f"{rest:,} others", max(0.0, 1.0 - sum(value for _, value in rows)))] if rest else rows

    def text(self, **settings) -> str:
        """The bars as lines of text."""
        rows = self.rows(**settings)
        wide = max(len(token) for token, _ in rows)
        return "\n".join(f"{token:>{wide}}  {_percent(value)}  {_blocks(value)}".rstrip() for token, value in rows)

    def table(self, **settings) -> str:
        """The bars as an HTML table that needs no style sheet, so that GitHub shows it too."""
        lines = [
            f"<tr><td><code>{html.escape(token)}</code></td><td>{_percent(value)}</td><td>{_blocks(value)}</td></tr>"
            for token, value in self.rows(**settings)
        ]
        head = "<thead><tr><th>next token</th><th>chance</th><th></th></tr></thead>"
        return f"<table>{head}<tbody>{''.join(lines)}</tbody></table>"

    def widget(self):
        """The bars with three labelled sliders, as an ipywidgets box; keyboard arrows move a slider."""
        import ipywidgets as w

        sliders = {
            "temperature": slider("temperature", 1.0, 0.05, 2.0, 0.05),
            "top_k": slider("top-k (0: all)", 0, 0, 50, 1),
            "top_p": slider("top-p", 1.0, 0.05, 1.0, 0.05),
        }
        view = w.HTML(self._bars())

        def draw(change):
            view.value = self._bars(**{name: one.value for name, one in sliders.items()})

        for one in sliders.values():
            one.observe(draw, names="value")
        return w.VBox([*sliders.values(), view])

    def _bars(self, **settings) -> str:
        """HTML for the live view. One hue, number beside each bar: readable without colour, on light and on dark."""
        bar = "height:0.9em;background:#1f77b4;border:1px solid currentColor;box-sizing:border-box;width:{:.1f}%"
        cell = "text-align:right;padding-right:.6em;white-space:nowrap"
        lines = [
            f"<tr><td style='{cell}'><code>{html.escape(token)}</code></td>"
            f"<td style='{cell}'>{_percent(value)}</td>"
            f"<td style='width:22em'><div style='{bar.format(100 * value)}'></div></td></tr>"
            for token, value in self.rows(**settings)
        ]
        label = "chance of each next token"
        return f"<table role='table' aria-label='{label}' style='border-collapse:collapse'>{''.join(lines)}</table>"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        """The widget where it can run; beside it the still table, for the places where it can't."""
        return _bundle(self)

    def __repr__(self) -> str:
        return self.text()


@dataclass(frozen=True)
class FactState:
    """One state of a model in front of a fact: its name, tokens as text, and their logits (log-probabilities serve)."""

    name: str
    tokens: Sequence[str]
    logits: Sequence[float]


class FactBars:
    """One fact in several states of a model (random weights, base, base with retrieved text, memory-tuned): the
    next-token bars of each, side by side, under one temperature.

    `token` is the right next token; its row is marked with ✓, and it has a row even where it is not among the `bars`
    likeliest. Show it as the last line of a cell; `.text()` is the same as a plain table.
    """

    def __init__(self, fact: str, token: str, states: Sequence[FactState], bars: int = 5):
        if not states:
            raise ValueError("a fact needs at least one state to be shown in")
        self.fact, self.token, self.bars = fact, token, bars
        self.views = {state.name: TokenBars(state.tokens, state.logits, bars=bars) for state in states}
        if len(self.views) != len(states):
            raise ValueError("two states have the same name")
        for name, view in self.views.items():
            if token not in view.tokens:
                raise ValueError(f"the right token {token!r} is not among the tokens of {name!r}")

    def chances(self, temperature: float = 1.0) -> dict[str, float]:
        """State -> the chance of the right token."""
        return {name: float(v.probabilities(temperature)[v.tokens.index(self.token)]) for name, v in self.views.items()}

    def rows(self, name: str, temperature: float = 1.0) -> list[tuple[str, float, bool]]:
        """Of one state: token, chance, whether it is the right one; the likeliest first, the right one always."""
        view = self.views[name]
        p, right = view.probabilities(temperature), view.tokens.index(self.token)
        shown = np.argsort(-view.logits, kind="stable")[: self.bars].tolist()
        shown += [] if right in shown else [right]
        return [(visible(view.tokens[i]), float(p[i]), i == right) for i in shown]

    def text(self, temperature: float = 1.0) -> str:
        """The states as lines of text, one below the other."""
        lines = [f"{self.fact} (✓ {visible(self.token)})"]
        for name in self.views:
            lines.append(f"{name}:")
            for token, value, right in self.rows(name, temperature):
                lines.append(f"  {'✓' if right else ' '} {token:>12}  {_percent(value)}  {_blocks(value)}".rstrip())
        return "\n".join(lines)

    def table(self, temperature: float = 1.0) -> str:
        """The states as the columns of an HTML table without a style sheet, for GitHub and for print."""
        names = list(self.views)
        columns = [self.rows(name, temperature) for name in names]
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
        body = ""
        for at in range(max(len(column) for column in columns)):
            cells = [_cell(*column[at]) if at < len(column) else "" for column in columns]
            body += f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        caption = f"<caption>{html.escape(self.fact)} (✓ <code>{html.escape(visible(self.token))}</code>)</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def widget(self):
        """The bars under one labelled temperature slider, as an ipywidgets box; keyboard arrows move it."""
        import ipywidgets as w

        heat, view = slider("temperature", 1.0, 0.05, 2.0, 0.05), w.HTML(self._bars(1.0))
        heat.observe(lambda change: setattr(view, "value", self._bars(heat.value)), names="value")
        return w.VBox([heat, view])

    def _bars(self, temperature: float) -> str:
        """HTML for the live view: a table a state, that wrap on a narrow page. ✓ and bold mark the right token."""
        bar = "height:.8em;background:#1f77b4;border:1px solid currentColor;box-sizing:border-box;width:{:.1f}%"
        cell = "text-align:right;padding:0 .4em;white-space:nowrap"
        parts = []
        for name in self.views:
            lines = [
                f"<tr><td>{'✓' if right else ''}</td>"
                f"<td style='text-align:right'><code>{html.escape(token)}</code></td>"
                f"<td style='{cell};font-weight:{'bold' if right else 'normal'}'>"
                f"{_percent(value)}</td><td style='width:6em'><div style='{bar.format(100 * value)}'></div></td></tr>"
                for token, value, right in self.rows(name, temperature)
            ]
            label = html.escape(name)
            parts.append(f"<table role='table'><caption><b>{label}</b></caption>{''.join(lines)}</table>")
        title = f"{html.escape(self.fact)} (✓ <code>{html.escape(visible(self.token))}</code>)"
        side = "display:flex;flex-wrap:wrap;gap:1.5em;align-items:flex-start"
        group = f"<div role='group' aria-label='one fact in {len(parts)} states' style='{side}'>{''.join(parts)}</div>"
        return f"<p>{title}</p>{group}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        """As `TokenBars`: live where it can be, with the still table beside it."""
        return _bundle(self)

    def __repr__(self) -> str:
        return self.text()


def visible(token: str) -> str:
    """A token with its blanks made visible: a leading space as ␣, a line end as ↵, other control signs escaped."""
    marked = token.replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in marked) or "(empty)"


def _bundle(view: TokenBars | FactBars) -> dict:
    still = {"text/plain": view.text(), "text/html": view.table()}
    try:
        live = view.widget()._repr_mimebundle_()
    except ImportError:
        return still
    return {**live, **still}


def _cell(token: str, value: float, right: bool) -> str:
    return f"{'✓ ' if right else ''}<code>{html.escape(token)}</code> {_percent(value).strip()} {_blocks(value, 10)}"


def _percent(value: float) -> str:
    return f"{100 * value:5.1f} %"


def _blocks(value: float, width: int = 30) -> str:
    eighths = round(max(0.0, min(1.0, value)) * width * 8)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
