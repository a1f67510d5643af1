"""The commands around tuning, which `cli` puts beside the others: facts to learn, tuning, merging, side effects, the
ladder.

Each parses, calls the Python API, prints; nothing is decided here.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

import labkit
from labkit import measuring
from labkit.errors import LabkitError
from labkit.terminal import (
    DEFAULT_MODEL,
    Aimed,
    BaseUrl,
    Channel,
    Encoder,
    Exclude,
    FourBit,
    Json,
    Mode,
    Model,
    check_ranking,
    databases_of,
    endpoint,
    glossary_of,
    print_json,
    private,
    private_pairs,
    table,
)

app = typer.Typer()


@app.command()
def facts(
    out: Annotated[Path, typer.Option("--out", help="The JSONL file to write; an existing one is not replaced.")],
    n: Annotated[int, typer.Option("--n", help="How many facts.")] = 200,
    seed: Annotated[int, typer.Option("--seed", help="Of all draws.")] = 0,
    as_json: Json = False,
) -> int:
    """Make single facts to learn by heart (who climbed what in which year), as a question set with answers."""
    if out.exists():
        raise LabkitError(f"{out} exists already. Name another file, or remove it first.")
    made = labkit.random_facts(n, seed)
    labkit.save_questions(out, made)
    print_json({"out": str(out), "n": len(made), "seed": seed}) if as_json else print(f"{len(made)} facts in {out}")
    return 0


@app.command()
def tune(
    pairs: Annotated[list[Path], typer.Option("--pairs", help="Pairs to learn, a JSONL file; repeatable.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the adapter. An interrupted tuning goes on there.")],
    method: Annotated[str, typer.Option("--method", help="instruction (some passes) or memory (until exact).")],
    model: Model = DEFAULT_MODEL,
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt",
            help="question_only, plain, chat, or nearest_pairs (shows solved pairs). "
            "Default: that of --adapter, else question_only for queries and chat for plain answers.",
        ),
    ] = None,
    adapter: Annotated[
        str | None, typer.Option("--adapter", help="Adapter folder to continue from, or 'starter': the kit's own.")
    ] = None,
    avoid: Annotated[list[Path] | None, typer.Option("--avoid", help="Evaluation set to keep out; repeatable.")] = None,
    four_bit: FourBit = False,
    rate: Annotated[float | None, typer.Option("--rate", help="Highest learning rate. Default: 0.002.")] = None,
    passes: Annotated[
        float | None, typer.Option("--passes", help="Over the pairs. Default: 1; memory: at most 200.")
    ] = None,
    layers: Annotated[
        int | None, typer.Option("--layers", help="How many upper layers get adapters. Default: all; memory: a third.")
    ] = None,
    rank: Annotated[int | None, typer.Option("--rank", help="Rank of the adapters. Default: 16.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Pairs a step. Default: 4; memory: 8.")] = None,
    exclude: Exclude = None,
    seed: Annotated[int, typer.Option("--seed", help="Of all draws.")] = 0,
    as_json: Json = False,
) -> int:
    """Tune an adapter on pairs. Exit 1 when memory tuning left some of them unrecalled. Under torchrun (`torchrun -m
    labkit tune ...`) all processes tune one adapter, and the first speaks."""
    from labkit.tuning.adapter import read_card
    from labkit.tuning.ranks import speaks

    chosen = {"rate": rate, "passes": passes, "layers": layers, "rank": rank, "batch_size": batch_size}
    settings = {name: value for name, value in chosen.items() if value is not None}
    settings |= {"four_bit": four_bit, "prompt": prompt, "adapter": adapter, "avoid": avoid or (), "seed": seed}
    before = read_card(out) if out.is_dir() else None
    with private_pairs(pairs, exclude) as sets:
        tuned = labkit.tune(model, sets, method, out, **settings)
    card = read_card(tuned.adapter)
    if card != before:  # tuned now, not shown again
        measuring.remember_tuning(model, card)
    if as_json and speaks():
        print_json(tuned.to_json())
    elif speaks():
        hard = [(pair["id"], pair["probability"]) for pair in card.hard]
        if hard:
            table(("pair", "probability of its answer"), hard, "Not recalled")
        print(tuned)
        print(f"Next: labkit evaluate --questions SET --adapter {tuned.adapter}{' --four-bit' * four_bit}")
    return 1 if method == "memory" and tuned.recalled < tuned.of else 0


@app.command()
def merge(
    adapter: Annotated[Path, typer.Option("--adapter", help="Folder of the adapter.")],
    out: Annotated[Path, typer.Option("--out", help="The new folder; transformers loads it as a plain model.")],
    gguf: Annotated[Path | None, typer.Option("--gguf", help="Also a GGUF file, for llama.cpp and Ollama.")] = None,
    kind: Annotated[str, typer.Option("--kind", help="Of the GGUF file: q8_0, f16 or f32.")] = "q8_0",
    model: Model = DEFAULT_MODEL,
    dtype: Annotated[
        str | None, typer.Option("--dtype", help="bfloat16, float16 or float32. Default: as loaded.")
    ] = None,
    four_bit: Annotated[bool, typer.Option("--four-bit", help="Into a 4-bit base, which is dequantised.")] = False,
    as_json: Json = False,
) -> int:
    """Merge an adapter into its base; says how often both give the same answer."""
    from labkit.tuning.export import check_file

    if gguf:
        check_file(gguf, kind)
    merged = labkit.merge(model, adapter, out, four_bit, dtype=dtype)
    file = labkit.to_gguf(merged.folder, gguf, kind) if gguf else None
    if as_json:
        print_json(merged.to_json() | {"gguf": str(file) if file else None})
    else:
        print(merged)
        print(f"As GGUF ({kind}): {file}") if file else None
    return 0


@app.command("side-effects")
def side_effects(
    adapter: Annotated[str, typer.Option("--adapter", help="Folder of the adapter whose side effects are looked for.")],
    model: Model = DEFAULT_MODEL,
    four_bit: FourBit = False,
    max_new_tokens: Annotated[int, typer.Option(help="Length of the answers that are compared.")] = 32,
    as_json: Json = False,
) -> int:
    """What an adapter changed elsewhere: answers to general prompts, KL, perplexity of plain English."""
    from labkit.side_effects import general_prompts, plain_english
    from labkit.side_effects import side_effects as compare

    prompts, text = general_prompts(), plain_english()  # before any weights: a folder without them is told at once
    tuned, base = (labkit.load_model(model, adapter=one, four_bit=four_bit) for one in (adapter, None))
    found = compare(base, tuned, prompts=prompts, text=text, max_new_tokens=max_new_tokens)
    if as_json:
        print_json(found.to_json())
        return 0
    table(("prompt", "before", "after"), [(e.id, e.before, e.after) for e in found.changed], "Other answers")
    print(found)
    return 0


@app.command()
def tune_encoder(
    pairs: Annotated[list[Path], typer.Option("--pairs", help="Pairs, several wordings a query; repeatable.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the encoder. An interrupted tuning goes on there.")],
    avoid: Annotated[list[Path] | None, typer.Option("--avoid", help="Evaluation set to keep out; repeatable.")] = None,
    steps: Annotated[int, typer.Option("--steps", help="Of 32 queries each.")] = 300,
    rate: Annotated[float, typer.Option("--rate", help="Highest learning rate.")] = 1e-4,
    exclude: Exclude = None,
    seed: Annotated[int, typer.Option("--seed", help="Of all draws.")] = 0,
    as_json: Json = False,
) -> int:
    """Tune the sentence encoder: a question that was asked before is known in other words (see --candidates)."""
    with private_pairs(pairs, exclude) as sets:
        made = labkit.tune_encoder(sets, out, avoid=avoid or (), steps=steps, rate=rate, seed=seed)
    print_json(made.to_json()) if as_json else print(made)
    return 0


@app.command()
def tune_channel(
    pairs: Annotated[list[Path], typer.Option("--pairs", help="Pairs with queries; repeatable.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the adapter. An interrupted tuning goes on there.")],
    model: Model = DEFAULT_MODEL,
    four_bit: FourBit = False,
    avoid: Annotated[list[Path] | None, typer.Option("--avoid", help="Evaluation set to keep out; repeatable.")] = None,
    exclude: Exclude = None,
    seed: Annotated[int, typer.Option("--seed", help="Of all draws.")] = 0,
    as_json: Json = False,
) -> int:
    """Tune a model to say what queries ask: --channel ranks by how well a query explains the question."""
    with private_pairs(pairs, exclude) as sets:
        made = labkit.tune_channel(sets, out, model=model, four_bit=four_bit, avoid=avoid or (), seed=seed)
    print_json(made.to_json()) if as_json else print(made)
    return 0


@app.command()
def ladder(
    questions: Annotated[Path, typer.Option("--questions", "-q", help="The question set, a JSONL file.")],
    model: Model = DEFAULT_MODEL,
    four_bit: FourBit = False,
    pairs: Annotated[
        Path | None, typer.Option("--pairs", help="Solved pairs to show and tune on; else generated here.")
    ] = None,
    rungs: Annotated[
        str | None,
        typer.Option(
            "--rungs",
            help="Names by comma, '' for none: prompt, few-shot, self-reflection, retrieval-bm25, retrieval-embeddings "
            "(these by default), instruction (from the starter), memory (the bare model's upper layers): tuned on "
            "--pairs, or 1,000 generated ones, for minutes, or hours.",
        ),
    ] = None,
    adapter: Annotated[list[str] | None, typer.Option("--adapter", help="A tuned rung, NAME=DIR; repeatable.")] = None,
    candidates: Annotated[
        Path | None,
        typer.Option("--candidates", help="Verified pairs: a further rung for each adapter ranks their queries too."),
    ] = None,
    encoder: Encoder = None,
    channel: Channel = None,
    aimed: Aimed = False,
    exclude: Exclude = None,
    shots: Annotated[int, typer.Option("--shots", help="Solved pairs in a prompt.")] = 5,
    reflections: Annotated[int, typer.Option("--reflections", help="Further tries of a query that fails.")] = 2,
    side_effects: Annotated[
        bool, typer.Option("--side-effects", help="Of each tuned rung: what tuning changed elsewhere, minutes more.")
    ] = False,
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
    check_ranking(candidates, encoder, aimed, channel)
    chosen = {} if rungs is None else {"rungs": tuple(filter(None, map(str.strip, rungs.split(","))))}
    loaded = labkit.load_questions(questions, db_dir=db_dir)
    with private(databases_of(loaded), exclude, questions):
        climbed = labkit.ladder(
            endpoint(model, base_url, four_bit) if base_url else model,
            loaded,
            adapters=_named_folders(adapter or ()),
            pairs=pairs,
            shots=shots,
            reflections=reflections,
            candidates=candidates,
            encoder=encoder,
            channel=channel,
            aimed=aimed,
            glossary=glossary_of(questions),
            four_bit=four_bit,
            side_effects=side_effects,
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
