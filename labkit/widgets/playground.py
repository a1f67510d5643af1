"""The adversarial playground: ask anything, see SQL, rows and how sure each token was, say right or wrong, go on.

Asking, keeping and suggesting are callables that the caller gives (`labkit.inspecting.playground` does); no torch and
no database here. Where no widget can run there is a still table of what was asked so far.
"""

import html
from collections.abc import Callable

from labkit.widgets.live import bundle, view

UNSURE = 0.5  # a token below this probability is marked


class Playground:
    """Show it as the last line of a cell; `.ask(...)` and `.keep(...)` do the same from code.

    `ask(question)` -> {sql, sentence, tokens: [(token, probability)], result}; `keep(question, sql, right, gold)` ->
    sentence; `suggest(question, right, wrong)` -> questions to try next, from the last one and from what was judged.
    """

    def __init__(
        self,
        ask: Callable[[str], dict],
        keep: Callable[[str, str, bool, str], str],
        suggest: Callable[[str, list[str], list[str]], list[str]] = lambda question, right, wrong: [],
    ):
        self._ask, self._keep, self._suggest = ask, keep, suggest
        self.asked: list[dict] = []

    def ask(self, question: str) -> dict:
        """The answer, with `suggestions` and the `unsure` tokens; it is remembered."""
        given = self._ask(question)
        unsure = [token for token, probability in given["tokens"] if probability < UNSURE]
        answer = {**given, "question": question, "unsure": unsure, "suggestions": [], "said": ""}
        self.asked.append(answer)
        self._suggest_anew()
        return answer

    def keep(self, right: bool, gold: str = "", place: int = -1) -> str:
        """Say whether an answer (default: the last one) is right; a wrong one may bring the SQL that would be. The
        last answer's `suggestions` follow the boundary."""
        if not self.asked:
            raise ValueError("nothing was asked yet")
        answer = self.asked[place]
        told = self._keep(answer["question"], answer["sql"], right, gold)
        answer["said"] = "right" if right else "wrong"
        self._suggest_anew()
        return told

    def _suggest_anew(self) -> None:
        last = self.asked[-1]
        last["suggestions"] = self._suggest(last["question"], *self.boundary())

    def boundary(self) -> tuple[list[str], list[str]]:
        """Questions answered right and wrong so far: the boundary runs between them."""
        return tuple([a["question"] for a in self.asked if a["said"] == said] for said in ("right", "wrong"))

    def answer(self, message: dict) -> dict:
        """What a message of the browser asks for: {kind: "ask" or "keep", question, right, gold, place}."""
        if message["kind"] == "ask":
            return {"answer": self.ask(message["question"]), "place": len(self.asked) - 1}
        done = self.keep(message["right"], message["gold"], message["place"])
        return {"done": done, "suggestions": self.asked[-1]["suggestions"]}

    def widget(self):
        """The live view, an anywidget."""
        return view("playground", {"unsure": UNSURE}, self.answer)

    def text(self) -> str:
        """What was asked, as lines of text."""
        lines = [f"{a['question']}\n  {a['sql']}\n  {a['sentence']} {a['said']}".rstrip() for a in self.asked]
        return "\n".join(lines or ["Nothing was asked yet."])

    def table(self) -> str:
        """What was asked, as an HTML table that needs no style sheet."""
        head = "".join(f"<th>{name}</th>" for name in ("question", "SQL", "answer", "least sure token", "judged"))
        rows = "".join(
            f"<tr><td>{html.escape(a['question'])}</td><td><code>{html.escape(a['sql'])}</code></td>"
            f"<td>{html.escape(a['sentence'])}</td><td><code>{html.escape(_least(a['tokens']))}</code></td>"
            f"<td>{a['said']}</td></tr>"
            for a in self.asked
        )
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else f"<p>{self.text()}</p>"
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return bundle(self.text(), self.table(), self.widget)

    def __repr__(self) -> str:
        return self.text()


def _least(tokens) -> str:
    if not tokens:
        return ""
    token, probability = min(tokens, key=lambda pair: pair[1])
    return f"{token.strip() or repr(token)} {100 * probability:.0f} %"
