"""The commands around the course, which `cli` puts beside the others: progress, certificate, the disk used.

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
    as_json: Json = False,
) -> int:
    """Exercises passed in the labs present, and the runs measured so far."""
    from labkit.course import standing as course

    standing = course.progress()
    page = course.certificate(certificate, standing) if certificate else None
    if as_json:
        print_json(standing.to_json() | ({"certificate": str(page)} if page else {}))
    else:
        print(standing)
        print(f"The certificate page: {page}") if page else None
    return 0


@app.command()
def clean(
    yes: Annotated[bool, typer.Option("--yes", help="Free the space; without it nothing is removed.")] = False,
    runs: Annotated[bool, typer.Option("--runs", help="The run store too: your measured numbers are lost.")] = False,
    adapters: Annotated[bool, typer.Option("--adapters", help="Tuned adapters too.")] = False,
    as_json: Json = False,
) -> int:
    """Show the disk used under the kit's home; with --yes free it. Runs and adapters are kept unless named."""
    from labkit.course.cleaning import USUAL, free, used

    chosen = [*USUAL, *(["runs"] if runs else []), *(["adapters"] if adapters else [])]
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
