"""The data explorer: what a set of pairs covers and lacks, what each filter dropped, rows to accept or reject.

Plain records in (questions, counts), plain records out (`decisions`, `accepted()`, `rejected()`); no model, no torch,
no database. It decides nothing by itself: a row that nobody looked at is undecided, and stays in the set. Where no
widget can run (GitHub, a terminal, a printed page) the same comes as a still table.
"""

import html
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from labkit.dataset import Question
from labkit.errors import LabkitError
from labkit.home import write_atomically
from labkit.widgets.decisions import ACCEPTED, ALL, MARK, REJECTED, UNDECIDED, told


class DataExplorer:
    """Show it as the last line of a cell. `decisions` is a dict: pair id -> "accepted" or "rejected".

    `pairs` are questions; `counts` is kind -> name -> pairs (`Coverage.counts`), `dropped` filter -> number
    (`Report.dropped`). `DataExplorer.of(generated)` takes all three from what `labkit.generate` returns.
    """

    def __init__(
        self,
        pairs: Iterable[Question],
        counts: Mapping[str, Mapping[str, int]] | None = None,
        dropped: Mapping[str, int] | None = None,
        decisions: Mapping[str, str] | None = None,
    ):
        self.pairs = list(pairs)
        self.counts = {kind: dict(names) for kind, names in (counts or {}).items()}
        self.dropped = dict(dropped or {})
        self.decisions: dict[str, str] = {}
        self._by_id = {pair.id: pair for pair in self.pairs}
        if len(self._by_id) != len(self.pairs):
            raise LabkitError("Two pairs have the same id, so a decision about one would be lost. Give each its own.")
        for id, decision in (decisions or {}).items():
            self.decide(id, decision)

    @classmethod
    def of(cls, generated, decisions: Mapping[str, str] | None = None) -> "DataExplorer":
        """The explorer of what `labkit.generate` or `labkit.from_queries` returned."""
        return cls(generated.pairs, generated.coverage.counts, generated.report.dropped, decisions)

    def decide(self, id: str, decision: str) -> None:
        """Accept or reject the pair `id`, or take that back ("undecided"). LabkitError for anything else."""
        if id not in self._by_id:
            raise LabkitError(f"There is no pair {id!r} in this set.")
        if decision not in MARK:
            raise LabkitError(f"{decision!r} is no decision. It is one of: {', '.join(MARK)}.")
        self.decisions.pop(id, None)
        if decision != UNDECIDED:
            self.decisions[id] = decision

    def decision(self, id: str) -> str:
        """What was decided about the pair `id`."""
        return self.decisions.get(id, UNDECIDED)

    def accepted(self) -> list[Question]:
        """The pairs that were accepted, in the set's order."""
        return [pair for pair in self.pairs if self.decision(pair.id) == ACCEPTED]

    def rejected(self) -> list[Question]:
        """The pairs that were rejected, in the set's order."""
        return [pair for pair in self.pairs if self.decision(pair.id) == REJECTED]

    def kept(self) -> list[Question]:
        """All but the rejected pairs: what to train on."""
        return [pair for pair in self.pairs if self.decision(pair.id) != REJECTED]

    def records(self) -> list[dict]:
        """A record for each pair: id, decision, question, sql, tags."""
        return [
            {"id": q.id, "decision": self.decision(q.id), "question": q.question, "sql": q.sql, "tags": list(q.tags)}
            for q in self.pairs
        ]

    def save_rejected(self, path: str | Path) -> Path:
        """Write the rejected pairs as a question set (JSON lines; an empty file if there are none); return its path."""
        lines = [json.dumps(pair.to_json(), ensure_ascii=False) + "\n" for pair in self.rejected()]
        write_atomically(Path(path), "".join(lines))
        return Path(path)

    def shown(self, tag: str = ALL, decision: str = ALL, words: str = "") -> list[Question]:
        """The pairs with that tag and decision whose question or SQL holds `words`, capitals aside."""
        found = words.casefold().strip()
        return [
            pair
            for pair in self.pairs
            if (tag == ALL or tag in pair.tags)
            and (decision == ALL or self.decision(pair.id) == decision)
            and found in f"{pair.question}\n{pair.sql}".casefold()
        ]

    def lacking(self) -> dict[str, list[str]]:
        """kind -> names that no pair touches."""
        return {kind: [name for name, n in names.items() if not n] for kind, names in self.counts.items()}

    def summary(self) -> str:
        """Numbers of pairs and of decisions in a sentence."""
        accepted, rejected = len(self.accepted()), len(self.rejected())
        left = len(self.pairs) - accepted - rejected
        return f"{len(self.pairs):,} pairs: {accepted:,} accepted, {rejected:,} rejected, {left:,} undecided."

    def text(self) -> str:
        """Coverage and filters as lines of text."""
        lines = [self.summary()]
        for kind, names in self.counts.items():
            lacks = self.lacking()[kind]
            lines.append(f"{kind}: has {len(names) - len(lacks)} of {len(names)}; lacks {', '.join(lacks) or 'none'}")
        dropped = [f"{name} {n:,}" for name, n in self.dropped.items() if n]
        return "\n".join([*lines, f"dropped: {', '.join(dropped) or 'nothing'}"])

    def table(self, rows: int = 5) -> str:
        """Coverage, filters and the first `rows` pairs as HTML tables that need no style sheet: GitHub shows them."""
        first = [(q.question, q.sql, told(self.decision(q.id))) for q in self.pairs[:rows]]
        pairs = _table(f"The first {len(first)} of {len(self.pairs):,} pairs", ("question", "SQL", "decision"), first)
        return f"<p>{html.escape(self.summary())}</p>{self._coverage()}{self._filters()}{pairs}"

    def _coverage(self) -> str:
        lacks = self.lacking()
        rows = [
            (
                kind,
                f"{len(names) - len(lacks[kind])}\N{NO-BREAK SPACE}of\N{NO-BREAK SPACE}{len(names)}",
                ", ".join(lacks[kind]) or "nothing",
            )
            for kind, names in self.counts.items()
        ]
        return _table("Coverage", ("kind", "has", "lacks"), rows) if rows else ""

    def _filters(self) -> str:
        rows = [(name, f"{n:,}") for name, n in self.dropped.items() if n]
        return _table("What each filter dropped", ("filter", "dropped"), rows) if rows else ""

    def widget(self):
        """The explorer as an ipywidgets box: Tab goes from control to control, Space or Enter presses a button."""
        from labkit.widgets.explorer_view import explorer_box

        return explorer_box(self)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        """The widget where it can run; beside it the still tables, for the places where it can't."""
        still = {"text/plain": self.text(), "text/html": self.table()}
        try:
            live = self.widget()._repr_mimebundle_()
        except ImportError:
            return still
        return {**live, **still}

    def __repr__(self) -> str:
        return self.text()


def _table(caption: str, head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(v))}</td>" for v in row) + "</tr>" for row in rows)
    return (
        f"<table><caption>{html.escape(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )
