"""The commands around the course, beside the others in `cli`: progress, certificate, assignments, the disk used.

Each parses, calls the Python API, prints; nothing is decided here.
"""

from pathlib import Path
from typing import Annotated

import typer

from labkit.terminal import Json, print_json, table

app = typer.Typer()


@app.command()
def progress(
    certificate: Annotated[Path | None, typer.Option("--certificate", help="Also write the certificate page.")] = None,
    runs: Annotated[
        list[Path] | None, typer.Option("--runs", help="A workspace's runs.db, beside the kit's own runs; repeatable.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Exercises passed in the labs present, and a ladder for each question set measured so far."""
    from labkit.course import standing as course
    from labkit.readonly import existing_file
    from labkit.runs import RunStore

    standing = course.progress(others=[RunStore(existing_file(path)) for path in runs or ()])
    page = course.certificate(certificate, standing) if certificate else None
    if as_json:
        print_json(standing.to_json() | ({"certificate": str(page)} if page else {}))
    else:
        print(standing)
        print(f"The certificate page: {page}") if page else None
    return 0


@app.command()
def export(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="nbgrader or otter.")],
    labs: Annotated[list[str] | None, typer.Argument(metavar="[LABS]", help="As lab02, or 2; without: all.")] = None,
    out: Annotated[Path, typer.Option("--out", help="The folder that assignments are written below.")] = ...,
    hidden: Annotated[Path | None, typer.Option("--hidden", help="Your own folder of points and hidden tests.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over assignments that differ.")] = False,
    as_json: Json = False,
) -> int:
    """Labs as assignments of nbgrader or otter-grader: points, solutions, hidden tests. Needs the course's sources."""
    from labkit.course import exporting, nbgrader, otter
    from labkit.errors import LabkitError

    if form not in ("nbgrader", "otter"):
        raise LabkitError(f"There is no form {form!r}. Assignments are written for nbgrader or for otter.")
    write = {"nbgrader": nbgrader.write, "otter": otter.write}[form]
    written = [write(assignment, out, replace) for assignment in exporting.assignments(labs or (), hidden)]
    if as_json:
        print_json({"format": form, "assignments": [exported.to_json() for exported in written]})
        return 0
    rows = [(e.assignment.lab, len(e.assignment.tasks), f"{e.assignment.points:g}", e.file) for e in written]
    table(("lab", "exercises", "points", "file"), rows)
    return 0


@app.command()
def clean(
    yes: Annotated[bool, typer.Option("--yes", help="Free the space; without it nothing is removed.")] = False,
    runs: Annotated[bool, typer.Option("--runs", help="The run store too: your measured numbers are lost.")] = False,
    adapters: Annotated[bool, typer.Option("--adapters", help="Tuned adapters too.")] = False,
    remade: Annotated[bool, typer.Option("--remade", help="What `make` targets left: hours to make again.")] = False,
    as_json: Json = False,
) -> int:
    """Show the disk used under the kit's home; with --yes free it. What took hours is kept unless named."""
    from labkit.course.cleaning import USUAL, free, used

    named = {"runs": runs, "adapters": adapters, "remade": remade}
    chosen = [*USUAL, *(kind for kind, wanted in named.items() if wanted)]
    uses = used()
    freed = free(chosen) if yes else 0
    if as_json:
        kinds = [{"kind": use.kind, "bytes": use.bytes, "chosen": use.kind in chosen} for use in uses]
        print_json({"kinds": kinds, "freed": freed, "dry_run": not yes})
        return 0
    rows = [(u.kind, f"{u.bytes / 1e6:,.1f} MB", "free" if u.kind in chosen else "keep", u.about) for u in uses]
    table(("what", "size", "", ""), rows)
    print(f"Freed {freed / 1e6:,.1f} MB." if yes else "Nothing is removed. Add --yes to free what says 'free'.")
    return 0
