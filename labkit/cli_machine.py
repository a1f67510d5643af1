"""The commands about this machine, which `cli` puts beside the others: is all in place, and what does a model take.

Each parses, calls the Python API, prints; nothing is decided here.
"""

from typing import Annotated

import typer

import labkit
from labkit.terminal import DEFAULT_MODEL, Json, print_json, table, vars_of

app = typer.Typer()


@app.command()
def doctor(as_json: Json = False) -> int:
    """Check this machine: [OK] or [FAIL] a line, with what mends it; then which models fit. Exit 1 on a [FAIL]."""
    from labkit.hardware import fit as fits_here

    checks, fits = labkit.doctor(), fits_here()
    if as_json:
        print_json({"checks": [vars_of(check) for check in checks], "models": [vars_of(one) for one in fits]})
    else:
        for check in checks:
            print(f"[{'OK' if check.ok else 'FAIL'}] {check.name}: {check.detail}")
            if not check.ok:
                print(f"       mend it: {check.mend}")
        table(
            vars_of(fits[0]).keys(), [vars_of(one).values() for one in fits], "Does it fit, how long do the labs take"
        )
    return 0 if all(check.ok for check in checks) else 1


@app.command()
def fit(
    model: Annotated[str, typer.Argument(help="A known name, hub id, folder or GGUF file; nothing is fetched.")] = (
        DEFAULT_MODEL
    ),
    method: Annotated[str, typer.Option("--method", help="instruction, memory or mome.")] = "instruction",
    length: Annotated[int, typer.Option("--length", help="Tokens of a pair, prompt and answer together.")] = 512,
    batch: Annotated[
        int | None,
        typer.Option("--batch", help="Pairs a step (default: 4; memory: 8; mome: 64) and rows decoded (16)."),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", help="bf16, fp32 or nf4; by default what this machine computes in.")
    ] = None,
    really: Annotated[bool, typer.Option("--measure", help="Do it, and show the measured peak beside.")] = False,
    as_json: Json = False,
) -> int:
    """Predict the peak memory of loading, tuning and decoding a model, from its shape alone. Exit 1 where the most of
    it is more than this machine has free. Tunings of this model that `labkit tune` did stand below."""
    from labkit.forecast import forecast
    from labkit.measuring import TUNED

    lines = forecast(model, method, length, batch, dtype, really)
    if as_json:
        print_json([line.to_json() for line in lines])
    else:
        rows = [(x.stage, x.setting, f"{x.predicted / 1e6:,.0f}", x.shown, x.parts_text) for x in lines]
        table(("stage", "setting", "predicted MB", "measured MB", "of which"), rows, f"Peak memory of {model}")
        print(lines[0].free_text)
    return 0 if all(line.fits for line in lines if line.stage != TUNED) else 1
