"""The commands for a database of one's own, which `cli` puts beside the others: a workspace, and the loop over it.

Each parses, calls the Python API, prints; nothing is decided here.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from labkit.terminal import Database, Json, print_json

app = typer.Typer()


@app.command()
def init(
    folder: Path,
    db: Database,
    questions: Annotated[
        Path | None, typer.Option("--questions", "-q", help="Questions of your own: they measure, they never train.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="A private table or column, never looked at; repeatable.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Make a workspace for a database of your own: what its schema holds and where it bites, a glossary to fill in,
    draft questions, a notebook."""
    from labkit import workspace

    made = workspace.init(folder, db, questions, tuple(exclude or ()))
    if as_json:
        found = [{"kind": f.kind, "table": f.table, "column": f.column, "text": f.text} for f in made.findings]
        print_json({"folder": str(made.folder), "drafts": made.drafts, "findings": found})
    else:
        print(made)
    return 0


@app.command()
def run(
    folder: Path,
    regenerate: Annotated[
        bool, typer.Option("--regenerate", help="The schema has changed: put aside what was made for the old one.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Generate, tune, evaluate, diagnose and report, all in a workspace. The same command goes on where it stopped."""
    from labkit import workspace

    outcome = workspace.run(
        folder, regenerate, lambda text: print(text, file=sys.stderr if as_json else None, flush=True)
    )
    print_json(outcome.to_json()) if as_json else print(outcome)
    return 0
