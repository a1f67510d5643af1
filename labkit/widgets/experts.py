"""The map of a bank of memory experts: which of them light up for a question, which one is picked, and by which words.

Plain records in (each expert's key as words and weights), no model, no torch: a key is scored by the share of its
weight whose words the question holds, as `labkit.tuning.selection` does with words as numbers; a test holds the two
together, and a learner's own functions fit in. Where no widget can run there is a small map a question in a still
table.
"""

import html
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Key = Mapping[str, float]
_DRAWN, _NEAR = 400, 5  # experts in a map, experts in the list below it
_BLUE, _ORANGE = "#0072b2", "#d55e00"  # told apart in all common kinds of colour blindness, on light and on dark


def words_of(text: str) -> set[str]:
    """The words of a text: letters and digits, in small letters."""
    return set(re.findall(r"[^\W_]+", text.casefold()))


def containment(key: Key, words: set[str]) -> float:
    """The share of the key's weight whose words are among `words`, from 0 to 1."""
    total = math.fsum(key.values())
    return math.fsum(weight for word, weight in key.items() if word in words) / total if total else 0.0


@dataclass(frozen=True)
class Lit:
    """What a question lights up: experts with a score above 0, best first, and the one that is picked or None."""

    question: str
    scores: Mapping[str, float]
    picked: str | None

    @property
    def best(self) -> str | None:
        """The expert with the highest score, picked or not."""
        return next(iter(self.scores), None)


class ExpertMap:
    """Show it as the last line of a cell; `.light(question)` says the same as a record, `.text()` as lines.

    keys: expert -> word -> weight. questions: examples to choose from; any other can be typed. answers: expert -> what
    it holds. `words` and `score` are functions like `words_of` and `containment` of this module: one's own fit in.
    """

    def __init__(
        self,
        keys: Mapping[str, Key],
        questions: Sequence[str] = (),
        answers: Mapping[str, str] | None = None,
        *,
        threshold: float = 0.9,
        words: Callable[[str], set[str]] = words_of,
        score: Callable[[Key, set[str]], float] = containment,
    ):
        if not keys:
            raise ValueError("a map needs an expert to show")
        self.keys, self.questions, self.answers = dict(keys), list(questions), dict(answers or {})
        self.threshold, self._words, self._score = threshold, words, score

    def light(self, question: str) -> Lit:
        """Which experts the question lights up; of equal scores the one with the larger key comes first."""
        words = self._words(question)
        found = {name: float(self._score(key, words)) for name, key in self.keys.items()}
        order = sorted((name for name in found if found[name] > 0), key=lambda n: (-found[n], -len(self.keys[n])))
        scores = {name: found[name] for name in order}
        best = next(iter(scores.items()), None)
        return Lit(question, scores, best[0] if best and best[1] >= self.threshold - 1e-6 else None)

    def said(self, lit: Lit) -> str:
        """What came of it, in a sentence."""
        if lit.picked:
            holds = f", which holds “{self.answers[lit.picked]}”" if lit.picked in self.answers else ""
            return f"✓ picked: {lit.picked}{holds} (score {lit.scores[lit.picked]:.2f})"
        near = f"; the nearest is {lit.best} with {lit.scores[lit.best]:.2f}" if lit.best else ""
        return f"none picked: no score of {self.threshold:g} or more{near}"

    def words(self, name: str, question: str) -> tuple[list[str], list[str]]:
        """Of an expert's key the words that the question holds, and those that it lacks; the heaviest first."""
        key, asked = self.keys[name], self._words(question)
        heavy = sorted((word for word in key if key[word] > 0), key=lambda word: -key[word])
        return [w for w in heavy if w in asked], [w for w in heavy if w not in asked]

    # --- still forms

    def text(self) -> str:
        """A line or two for each question."""
        if not self.questions:
            return f"{len(self.keys):,} experts; nothing was asked yet."
        lines = []
        for lit in map(self.light, self.questions):
            lines += [lit.question, f"  {len(lit.scores)} of {len(self.keys):,} experts lit; {self.said(lit)}"]
            if lit.best:
                found, lacking = self.words(lit.best, lit.question)
                lines.append(f"  {lit.best}: has {', '.join(found)}; lacks {', '.join(lacking) or 'nothing'}")
        return "\n".join(lines)

    def table(self) -> str:
        """The questions as an HTML table without a style sheet, each with its map in small."""
        if not self.questions:
            return f"<p>{html.escape(self.text())}</p>"
        names = ("question", "experts", "what came of it", "words found", "words lacking")
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        rows = ""
        for lit in map(self.light, self.questions):
            found, lacking = self.words(lit.best, lit.question) if lit.best else ([], [])
            cells = (lit.question, None, self.said(lit), ", ".join(found), ", ".join(lacking))
            drawn = (self.svg(lit, side=9) if cell is None else html.escape(cell) for cell in cells)
            rows += f"<tr>{''.join(f'<td>{cell}</td>' for cell in drawn)}</tr>"
        return f"<table style='color:inherit'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def svg(self, lit: Lit, side: int = 24) -> str:
        """The map: a square an expert, the fuller the higher its score; a thick border and a tick on the one picked."""
        shown = list(self.keys)
        if len(shown) > _DRAWN:  # those lit must be among them
            dark = (name for name in shown if name not in lit.scores)
            shown = [*list(lit.scores)[:_DRAWN], *dark][:_DRAWN]
        columns, step = min(len(shown), math.ceil(math.sqrt(2.5 * len(shown)))), side + 4
        squares = "".join(
            self._square(name, lit, 3 + step * (at % columns), 3 + step * (at // columns), side)
            for at, name in enumerate(shown)
        )
        wide, high = step * columns + 2, step * math.ceil(len(shown) / columns) + 2
        told = f"{len(lit.scores)} of {len(self.keys):,} experts lit; {self.said(lit)}"
        size = f'viewBox="0 0 {wide} {high}" width="{wide}" style="max-width:100%;min-width:{min(wide, 240)}px"'
        return f'<svg role="img" {size}><title>{html.escape(told)}</title>{squares}</svg>'

    def _square(self, name: str, lit: Lit, x: int, y: int, side: int) -> str:
        score, picked = lit.scores.get(name, 0.0), name == lit.picked
        border = (_ORANGE, max(2, side // 8)) if picked else ("currentColor", 1)
        full = 0.2 + 0.8 * min(1.0, score) if score > 0 else 0.0  # a faint one must be seen, too
        drawn = f'fill="{_BLUE}" fill-opacity="{full:.2f}" stroke="{border[0]}" stroke-width="{border[1]}"'
        rect = f'<rect x="{x}" y="{y}" width="{side}" height="{side}" rx="2" {drawn}>'
        tick = " ".join(f"{x + a * side:g},{y + b * side:g}" for a, b in ((0.25, 0.55), (0.42, 0.72), (0.75, 0.3)))
        mark = f'<polyline points="{tick}" fill="none" stroke="#fff" stroke-width="2"/>' if picked else ""
        return f"{rect}<title>{html.escape(name)}: {score:.2f}</title></rect>{mark}"

    # --- live

    def view(self, question: str) -> str:
        """HTML for one question: what came of it, the map, and the nearest experts with the words of their keys."""
        lit = self.light(question)
        bar = f"height:.8em;background:{_BLUE};border:1px solid currentColor;box-sizing:border-box;width:{{:.0f}}%"
        rows = ""
        for name, score in list(lit.scores.items())[:_NEAR]:
            found, lacking = self.words(name, question)
            words = [f"<b>{html.escape(w)} ✓</b>" for w in found] + [f"{html.escape(w)} –" for w in lacking]
            rows += (
                f"<tr><td>{'✓' if name == lit.picked else ''}</td><td>{html.escape(name)}</td><td>{score:.2f}</td>"
                f"<td style='width:7em'><div style='{bar.format(100 * min(1.0, score))}'></div></td>"
                f"<td style='padding-left:.6em'>{'&ensp;'.join(words)}</td></tr>"
            )
        status = f"<p role='status' aria-live='polite'><b>{html.escape(self.said(lit))}</b></p>"
        label = "aria-label='nearest experts, their scores, and the words of their keys: ✓ found, – lacking'"
        named = "<tr><td></td><th scope='col'>expert</th><th scope='col'>score</th><td></td>"
        head = f"{named}<th scope='col'>words of its key: ✓ found, – lacking</th></tr>"
        near = (
            f"<table {label} style='color:inherit'>{head}{rows}</table>"
            if rows
            else "<p>No expert shares a word with it.</p>"
        )
        hidden = f"<p>{len(self.keys) - _DRAWN:,} more experts are not drawn.</p>" if len(self.keys) > _DRAWN else ""
        return f"{status}{self.svg(lit)}{hidden}{near}"

    def widget(self):
        """The examples, a line to type another question in, and the map. Tab reaches both controls; arrows choose."""
        import ipywidgets as w

        wide = {"layout": w.Layout(width="46em", max_width="100%"), "style": {"description_width": "8em"}}
        first = self.questions[0] if self.questions else ""
        typed = w.Text(first, description="your question", continuous_update=True, **wide)
        shown = w.HTML(self.view(first))
        typed.observe(lambda change: setattr(shown, "value", self.view(typed.value)), names="value")
        if not self.questions:
            return w.VBox([typed, shown])
        chosen = w.Dropdown(options=self.questions, value=first, description="examples", **wide)
        chosen.observe(lambda change: setattr(typed, "value", chosen.value), names="value")
        return w.VBox([chosen, typed, shown])

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        """The widget where it can run; beside it the still table, for the places where it can't."""
        still = {"text/plain": self.text(), "text/html": self.table()}
        try:
            return {**self.widget()._repr_mimebundle_(), **still}
        except ImportError:
            return still

    def __repr__(self) -> str:
        return self.text()
