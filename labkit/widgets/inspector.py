"""The failing-query inspector: filter failures, see what differs, edit the SQL and run it, and act on it.

Plain records in (`labkit.inspecting.records` makes them), no torch, no database: running and acting are callables that
the caller gives. Filtering happens in the browser. Where no widget can run there is a still table.
"""

import html
from collections.abc import Callable, Mapping, Sequence

from labkit.widgets.live import bundle, view

LABELS = {
    "similar": "Generate similar pairs",
    "promote": "Promote to training",
    "add": "Add to an evaluation set",
    "correct": "Correct the gold",
    "mark": "Mark the gold as wrong",
}
FIELDS = ("key", "run", "id", "question", "class", "tags", "gold", "prediction", "clauses", "gold_result")
FIELDS += ("prediction_result", "evidence", "hint", "suggestion", "state")
_STILL = 20  # rows of the still table


class FailureInspector:
    """Show it as the last line of a cell. `.filtered(...)`, `.run_sql(...)` and `.act(...)` do the same from code.

    `records`: dicts with `FIELDS`, their keys unique; `state` is "", or "retired" or "aside" for a question that has
    left its set. `run(record, sql)` -> a result {columns, rows, differs, more, error, note, verdict}. `actions`: of the
    names in `LABELS`, callables (record, question, SQL) -> sentence; the first is the default. An action may change the
    records.
    """

    def __init__(
        self,
        records: Sequence[dict],
        run: Callable[[dict, str], dict] | None = None,
        actions: Mapping[str, Callable[[dict, str, str], str]] | None = None,
    ):
        self.records, self.run, self.actions = list(records), run, dict(actions or {})
        self._by_key = {record["key"]: record for record in self.records}
        unknown = self.actions.keys() - LABELS
        if unknown or len(self._by_key) < len(self.records):
            raise ValueError(f"no such action: {', '.join(unknown)}" if unknown else "two records have one key")
        lacking = [name for record in self.records for name in FIELDS if name not in record]
        if lacking:
            raise ValueError(f"a record has no {lacking[0]!r}")

    def filtered(self, run: str = "", failure_class: str = "", tag: str = "", text: str = "") -> list[dict]:
        """The records that a filter leaves, as the browser filters them; "" leaves all."""
        words = text.lower().split()
        return [
            r
            for r in self.records
            if run in ("", r["run"])
            and failure_class in ("", r["class"])
            and (not tag or tag in r["tags"])
            and all(word in f"{r['id']} {r['question']} {r['prediction']}".lower() for word in words)
        ]

    def run_sql(self, key: str, sql: str) -> dict:
        """The result of a query, on the database of a record."""
        if self.run is None:
            raise ValueError("nothing was given that runs SQL")
        return self.run(self._by_key[key], sql)

    def act(self, name: str, key: str, question: str | None = None, sql: str | None = None) -> str:
        """Do the action `name` on a record, with its question and prediction unless others are given."""
        record = self._by_key[key]
        given = record["question"] if question is None else question, record["prediction"] if sql is None else sql
        return self.actions[name](record, *given)

    def answer(self, message: dict) -> dict:
        """What a message of the browser asks for: {kind: "run" or "act", key, sql, question, action}. Behind an action
        the records of its question come along as they are now: a corrected gold is shown at once."""
        if message["kind"] == "run":
            return {"result": self.run_sql(message["key"], message["sql"])}
        done = self.act(message["action"], message["key"], message["question"], message["sql"])
        asked = self._by_key[message["key"]]["id"]
        return {"done": done, "records": [record for record in self.records if record["id"] == asked]}

    def widget(self):
        """The live view, an anywidget."""
        actions = [{"name": name, "label": LABELS[name]} for name in self.actions]
        state = {"records": self.records, "runs": self.run is not None, "actions": actions}
        return view("inspector", state, self.answer)

    def text(self) -> str:
        """The failures as lines of text."""
        lines = [f"{len(self.records)} failures"]
        for r in self.records[:_STILL]:
            named = f"{_gone(r)}{r['id']} [{r['class']}] {r['question']}"
            lines += [named, f"  gold: {r['gold']}", f"  got:  {r['prediction']}"]
        return "\n".join([*lines, *self._more()])

    def table(self) -> str:
        """The failures as an HTML table that needs no style sheet."""
        head = "".join(f"<th>{name}</th>" for name in ("id", "class", "question", "gold", "prediction", "evidence"))
        rows = "".join(
            f"<tr><td>{html.escape(_gone(r) + r['id'])}</td>"
            + "".join(f"<td>{html.escape(str(r[name]))}</td>" for name in ("class", "question"))
            + "".join(f"<td><code>{html.escape(str(r[name]))}</code></td>" for name in ("gold", "prediction"))
            + f"<td>{html.escape(r['evidence'])}</td></tr>"
            for r in self.records[:_STILL]
        )
        more = "".join(f"<p>{line}</p>" for line in self._more())
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        return f"<p>{len(self.records)} failures</p>{table}{more}"

    def _more(self) -> list[str]:
        hidden = len(self.records) - _STILL
        return [f"and {hidden} more"] if hidden > 0 else []

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return bundle(self.text(), self.table(), self.widget)

    def __repr__(self) -> str:
        return self.text()


def _gone(record: dict) -> str:
    """What stands before the id of a question that has left its set."""
    return f"{record['state']}: " if record["state"] else ""
