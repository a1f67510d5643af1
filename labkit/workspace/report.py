"""One page of a workspace, to send to a colleague: it opens offline and loads nothing.

What is measured stands with its number of questions and its interval; each question set apart. Everything that comes
from the database, the model or the user is escaped.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from html import escape
from pathlib import Path

from labkit.dataset import QuestionSet
from labkit.home import write_atomically
from labkit.ladders import Ladder
from labkit.runs import Run
from labkit.slices import DiagnosedRun
from labkit.workspace.check import Finding
from labkit.workspace.config import Config

_EXAMPLES = 3  # of each class of failure
_STYLE = """
:root { color-scheme: light dark; --line: #888; --bar: #0a6ebd; --soft: #8882; }
@media (prefers-color-scheme: dark) { :root { --bar: #6db8f2; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
.wide { overflow-x: auto; margin: 1rem 0; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
td.n { font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: 14px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
details { margin: .6rem 0; } summary { cursor: pointer; }
.bar { stroke: var(--bar); } .dot { fill: var(--bar); } .axis { stroke: var(--line); }
.note { background: var(--soft); padding: .6rem .9rem; border-radius: .4rem; }
"""


def write_report(
    config: Config,
    card: dict,
    pairs: QuestionSet,
    ladders: Sequence[Ladder],
    diagnosed: Sequence[DiagnosedRun],
    found: Sequence[Finding],
    ranked: str = "",
) -> Path:
    """Write `report.html` in the workspace and return its path. `ranked`: what the tuned model is ranked against."""
    name = escape(config.database.name)
    model = escape(config.model) + " in 4 bits" * config.four_bit
    parts = [
        f"<h1>{name}</h1>",
        f"<p>Model {model}, tuned on {card['pairs']:,} pairs generated from the file alone, in "
        f"{card['seconds'] / 60:.0f} minutes. {date.today().isoformat()}. Nothing left this machine.</p>",
        *([f"<p>{escape(ranked)}</p>"] if ranked else []),
        *(_measured(ladder) for ladder in ladders),
        *(_failures(run, ladder.rungs[-1].name) for run, ladder in zip(diagnosed, ladders, strict=True)),
        _made(pairs, card),
        _findings(found),
        f"<p class=note>The adapter has learnt names and values of this database by heart: treat its folder like the "
        f"data itself.{_kept_out(config)}</p>",
    ]
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n<body>'
        + "\n".join(parts)
        + "</body></html>\n"
    )
    return write_atomically(config.file("report.html"), page)


def _measured(ladder: Ladder) -> str:
    draft = (
        "<p class=note>These questions were generated, by what also made the training pairs, and no person has looked "
        "at them: they say less than questions of your own in <code>questions.jsonl</code>.</p>"
        if ladder.set == "draft"
        else ""
    )
    rows = "".join(
        f"<tr><td>{escape(rung.name)}</td><td>{_interval(rung.run)}</td><td class=n>{escape(str(rung.run))}</td>"
        f"<td class=n>{rung.run.valid} of {rung.run.n}</td>"
        f"<td class=n>{rung.run.seconds / max(1, rung.run.n):.1f} s</td></tr>"
        for rung in ladder.rungs
    )
    head = "<tr><th>approach</th><th>0 to 1</th><th>accuracy</th><th>queries that run</th><th>a question</th></tr>"
    return f"<h2>Accuracy on {escape(ladder.set)}</h2>{draft}{_table(head + rows)}"


def _interval(run: Run) -> str:
    """Point and interval on a line from 0 to 1."""
    low, mid, high = (6 + 188 * x for x in (run.low, run.accuracy, run.high))
    label = f"{run.accuracy:.2f}, between {run.low:.2f} and {run.high:.2f}"
    return (
        f'<svg width="200" height="18" role="img" aria-label="{label}"><line class="axis" x1="6" x2="194" y1="9" '
        f'y2="9" stroke-width="1"/><line class="bar" x1="{low:.1f}" x2="{high:.1f}" y1="9" y2="9" stroke-width="5"/>'
        f'<circle class="dot" cx="{mid:.1f}" cy="9" r="6"/></svg>'
    )


def _kept_out(config: Config) -> str:
    """What became of the tables and columns that are named as private."""
    if not config.exclude:
        return ""
    names = ", ".join(f"<code>{escape(name)}</code>" for name in config.exclude)
    return (
        f" No question was made of {names}, no prompt shows it and no query may read it: a question of yours whose own "
        "query does counts as not right, and stands under suspect_gold."
    )


def _table(rows: str) -> str:
    """A table that scrolls by itself where the page is narrower."""
    return f"<div class=wide><table>{rows}</table></div>"


def _prose(text: str) -> str:
    """A sentence, with what stands in backticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _failures(diagnosed: DiagnosedRun, approach: str) -> str:
    failed = diagnosed.failures()
    counts = Counter(item.diagnosis.failure_class for item in failed)
    parts = [f"<h2>What fails in {escape(diagnosed.run.set)} ({escape(approach)})</h2>"]
    parts += ["" if counts else "<p>Nothing.</p>"]
    for name, count in counts.most_common():
        items = [item for item in failed if item.diagnosis.failure_class == name][:_EXAMPLES]
        rows = "".join(
            f"<tr><td>{escape(item.question.question)}</td><td><code>{escape(item.result.prediction or '')}</code>"
            f"<br>{_prose(item.diagnosis.evidence)}</td><td><code>{escape(item.question.sql)}</code></td></tr>"
            for item in items
        )
        head = "<tr><th>question</th><th>answered</th><th>wanted</th></tr>"
        parts.append(f"<details><summary>{escape(name)}: {count}</summary>{_table(head + rows)}</details>")
    return "".join(parts)


def _made(pairs: QuestionSet, card: dict) -> str:
    tags = Counter(pair.tags[0] for pair in pairs if pair.tags)
    recalled = f"{card['recalled']} of {card['of']} pairs of a sample are answered word for word."
    rows = "".join(f"<tr><td>{escape(tag)}</td><td class=n>{n:,}</td></tr>" for tag, n in tags.most_common())
    return (
        f"<h2>What it was tuned on</h2><p>{len(pairs):,} pairs; {recalled}</p><details><summary>by kind of question"
        f"</summary>{_table(rows)}</details>"
    )


def _findings(found: Iterable[Finding]) -> str:
    rows = "".join(
        f"<tr><td>{escape(f.kind)}</td><td><code>{escape(f.table)}{'.' * bool(f.column)}{escape(f.column)}</code></td>"
        f"<td>{_prose(f.text)}</td></tr>"
        for f in found
    )
    return f"<h2>The schema</h2>{_table(rows)}" if rows else "<h2>The schema</h2><p>Nothing stands out.</p>"
