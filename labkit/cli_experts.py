"""The commands of memory experts, which `cli` puts beside the others: remember facts, forget some, join two banks.

Each parses, calls the Python API, prints; nothing is decided here.
"""

from pathlib import Path
from typing import Annotated

import typer

import labkit
from labkit.terminal import DEFAULT_MODEL, Exclude, FourBit, Json, Model, print_json, private_pairs, table

app = typer.Typer()


@app.command()
def remember(
    facts: Annotated[list[Path], typer.Option("--facts", help="Facts to remember, a JSONL file; repeatable.")],
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the bank of experts. A call that was cut off goes on.")
    ],
    model: Model = DEFAULT_MODEL,
    adapter: Annotated[Path | None, typer.Option("--adapter", help="Bank to add to; known ids are corrected.")] = None,
    on: Annotated[Path | None, typer.Option("--on", help="LoRA adapter that the experts stand on.")] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", help="chat, question_only or plain; by default what suits the facts.")
    ] = None,
    avoid: Annotated[list[Path] | None, typer.Option("--avoid", help="Evaluation set to keep out; repeatable.")] = None,
    selection: Annotated[
        str | None, typer.Option("--selection", help="Finds experts: words (as by default) or faiss.")
    ] = None,
    k: Annotated[int | None, typer.Option("--k", help="Experts for a question at most; 1 by default.")] = None,
    four_bit: FourBit = False,
    processes: Annotated[int, typer.Option("--processes", help="That learn side by side, on a CPU.")] = 1,
    exclude: Exclude = None,
    as_json: Json = False,
) -> int:
    """Give each fact a memory expert: exact in other words too, all else as before. Exit 1 when one is not learnt."""
    from labkit.tuning.adapter import read_card

    settings = {"prompt": prompt, "adapter": adapter, "on": on, "avoid": avoid or (), "processes": processes}
    settings |= {"selection": selection, "k": k, "four_bit": four_bit}
    with private_pairs(facts, exclude) as sets:
        made = labkit.remember(model, sets, out, **settings)
    hard = [(fact["id"], fact["picks"] or "none") for fact in read_card(made.adapter).hard]
    if hard and not as_json:
        table(("fact", "the fact that its question picks"), hard, "Not recalled")
    print_json(made.to_json()) if as_json else print(made)
    return 1 if made.recalled < made.of else 0


@app.command()
def forget(
    adapter: Annotated[Path, typer.Option("--adapter", help="The bank's folder. It stays as it is: remove it then.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the bank without these facts.")],
    fact: Annotated[list[str] | None, typer.Option("--fact", help="Name of a fact: its id; repeatable.")] = None,
    question: Annotated[
        list[str] | None, typer.Option("--question", "-q", help="A question that a fact answers; repeatable.")
    ] = None,
    model: Model = DEFAULT_MODEL,
    four_bit: FourBit = False,
    as_json: Json = False,
) -> int:
    """Take facts out of a bank of memory experts: nothing of theirs is left, the others answer as before."""
    done = labkit.forget(adapter, out, fact or (), question or (), model, four_bit)
    print_json(done.to_json()) if as_json else print(f"{done}\nNext: remove {adapter}, which still holds them.")
    return 0


@app.command()
def join(
    first: Annotated[Path, typer.Argument(help="A bank's folder.")],
    second: Annotated[Path, typer.Argument(help="Another one's, on the same model.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the bank with the facts of both.")],
    model: Model = DEFAULT_MODEL,
    four_bit: FourBit = False,
    as_json: Json = False,
) -> int:
    """Make one bank of memory experts of two that were trained apart; each fact's answer keeps its bits. Exit 1 when
    a fact can't be told apart from one of the other bank."""
    done = labkit.join(first, second, out, model, four_bit)
    print_json(done.to_json()) if as_json else print(done)
    return 1 if done.lost else 0
