"""The commands around tuning, which `cli` puts beside the others: facts to learn, side effects, the ladder.

Each parses, calls the Python API, prints; nothing is decided here.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

import labkit
from labkit.errors import LabkitError
from labkit.terminal import DEFAULT_MODEL, BaseUrl, Json, Mode, Model, print_json, table

app = typer.Typer()


@app.command()
def facts(
    out: Annotated[Path, typer.Option("--out", help="The JSONL file to write; an existing one is not replaced.")],
    n: Annotated[int, typer.Option("--n", help="How many facts.")] = 200,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    as_json: Json = False,
) -> int:
    """Make single facts to learn by heart (who climbed what in which year), as a question set with answers."""
    if out.exists():
        raise LabkitError(f"{out} exists already. Name another file, or remove it first.")
    made = labkit.random_facts(n, seed)
    labkit.save_questions(out, made)
    print_json({"out": str(out), "n": len(made), "seed": seed}) if as_json else print(f"{len(made)} facts in {out}")
    return 0


@app.command("side-effects")
def side_effects(
    adapter: Annotated[str, typer.Option("--adapter", help="Folder of the adapter whose side effects are looked for.")],
    model: Model = DEFAULT_MODEL,
    max_new_tokens: Annotated[int, typer.Option(help="Length of the answers that are compared.")] = 32,
    as_json: Json = False,
) -> int:
    """What an adapter changed elsewhere: answers to general prompts, KL, perplexity of plain English."""
    from labkit.side_effects import side_effects as compare

    base, tuned = labkit.load_model(model), labkit.load_model(model, adapter=adapter)
    found = compare(base, tuned, max_new_tokens=max_new_tokens)
    if as_json:
        print_json(found.to_json())
        return 0
    table(("prompt", "before", "after"), [(e.id, e.before, e.after) for e in found.changed], "Other answers")
    print(found)
    return 0


@app.command()
def ladder(
    questions: Annotated[Path, typer.Option("--questions", "-q", help="The question set, a JSONL file.")],
    model: Model = DEFAULT_MODEL,
    pairs: Annotated[Path | None, typer.Option("--pairs", help="Solved pairs to show; else generated here.")] = None,
    rungs: Annotated[str | None, typer.Option("--rungs", help="Names by comma; all by default, '' for none.")] = None,
    adapter: Annotated[list[str] | None, typer.Option("--adapter", help="A tuned rung, NAME=DIR; repeatable.")] = None,
    shots: Annotated[int, typer.Option("--shots", help="Solved pairs in a prompt.")] = 5,
    reflections: Annotated[int, typer.Option("--reflections", help="Further tries of a query that fails.")] = 2,
    base_url: BaseUrl = None,
    mode: Mode = "execution",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start anew instead of continuing an unfinished ladder.")
    ] = False,
    db_dir: Annotated[
        Path | None, typer.Option("--db-dir", help="Where the databases lie, if not beside the set.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Climb from a prompt over few-shot, self-reflection and retrieval to tuned adapters, all on the same questions:
    accuracy, valid SQL, and what each costs. The same command goes on where it was interrupted."""
    chosen = {} if rungs is None else {"rungs": tuple(filter(None, map(str.strip, rungs.split(","))))}
    climbed = labkit.ladder(
        labkit.Endpoint(base_url, model) if base_url else model,
        labkit.load_questions(questions, db_dir=db_dir),
        adapters=_named_folders(adapter or ()),
        pairs=pairs,
        shots=shots,
        reflections=reflections,
        mode=mode,
        fresh=fresh,
        **chosen,
    )
    print_json(climbed.to_json()) if as_json else print(climbed)
    return 0


def _named_folders(given: Iterable[str]) -> dict[str, str]:
    """NAME=DIR of each adapter."""
    parts = [text.partition("=") for text in given]
    bad = [name for name, _, folder in parts if not (name and folder)]
    if bad:
        raise LabkitError(f"--adapter {bad[0]!r} names no rung and folder. Write --adapter NAME=DIR.")
    return {name: folder for name, _, folder in parts}
