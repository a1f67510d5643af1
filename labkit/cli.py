"""The kit's verbs from a terminal. Each command parses, calls the Python API, prints; nothing is decided here.

Exit codes: 0 it worked; 1 it ran and the answer is no (a query failed, a gold has findings, a check is red); 2 an error
that the user can mend, told in a sentence; 130 interrupted. With ``--json`` standard output holds JSON only (errors as
``{"error": sentence}``), everything else goes to standard error.
"""

import contextlib
import errno
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import labkit
from labkit import cli_course, cli_experts, cli_machine, cli_measuring, cli_tuning, cli_workspace
from labkit.errors import LabkitError
from labkit.shortage import LESS, out_of_memory
from labkit.terminal import (
    DEFAULT_MODEL,
    Adapter,
    Aimed,
    BaseUrl,
    Candidates,
    Channel,
    Database,
    Encoder,
    Exclude,
    FourBit,
    Json,
    Known,
    Model,
    Prompt,
    chat_model,
    check_ranking,
    print_json,
    private,
    ranked,
    table,
)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Raise the accuracy of an LLM application: ask, execute, score, diagnose.",
)
models_app = typer.Typer(invoke_without_command=True, help="The models that labkit knows; `fetch` gets one.")
app.add_typer(models_app, name="models")
app.add_typer(cli_measuring.app)  # without a name: its commands stand beside the others
app.add_typer(cli_tuning.app)
app.add_typer(cli_experts.app)
app.add_typer(cli_course.app)
app.add_typer(cli_machine.app)
app.add_typer(cli_workspace.app)


def main() -> None:
    """Entry point of `labkit`: run a command, turn the kit's errors into a sentence and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a character still shows the rest
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except Exception as error:
        code = _explain(error)
    except KeyboardInterrupt:
        print("Interrupted. What was finished is kept; the same command goes on from there.", file=sys.stderr)
        code = 130
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> int:
    """Print the sentence for `error` and return the exit code; what is no user's error is raised again."""
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: say nothing more
        return 0
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        error = LabkitError(f"The disk is full: {error}. Free some space and run the same command again.")
    if isinstance(error, OSError) and error.filename is not None:  # of a file that the user named, or of the kit's home
        place = error.filename2 if error.filename2 is not None else error.filename
        error = LabkitError(f"{os.fsdecode(place)}: {error.strerror}. Mend that, or name another place.")
    if isinstance(error, RuntimeError) and str(error).startswith(("Could not determine home", "Symlink loop")):
        error = LabkitError(f"A path leads nowhere: {str(error).rstrip('.')}. Write it out, from / on.")  # pathlib's
    if out_of_memory(error):  # where nothing was left to halve
        error = LabkitError(f"Out of memory: one example alone does not fit. {LESS}")
    if type(error).__name__ == "Abort":
        return 130
    if hasattr(error, "format_message"):  # click's usage errors, rich or plain
        error = LabkitError(error.format_message() + " See `labkit --help`.")
    if not isinstance(error, LabkitError):
        raise error
    if "--json" in sys.argv:
        with contextlib.suppress(OSError):  # standard output may be what is full
            print(json.dumps({"error": str(error)}), flush=True)
    print(f"Error: {error}", file=sys.stderr)
    return 2


@app.command()
def ask(
    question: str,
    db: Database,
    model: Model = DEFAULT_MODEL,
    adapter: Adapter = None,
    four_bit: FourBit = False,
    prompt: Prompt = None,
    base_url: BaseUrl = None,
    candidates: Candidates = None,
    known: Known = None,
    encoder: Encoder = None,
    channel: Channel = None,
    aimed: Aimed = False,
    exclude: Exclude = None,
    as_json: Json = False,
) -> int:
    """Ask a database a question: the model's SQL, its rows, one sentence. Exit 1 when there is no answer."""
    check_ranking(candidates or known, encoder, aimed, channel)
    with private([db], exclude, db):
        loaded = chat_model(model, adapter, base_url, four_bit)
        agent = labkit.Agent(loaded, db, prompt)
        if candidates or known:
            where = Path(db).parent
            agent.generator = ranked(loaded, candidates, known, encoder, where, prompt, aimed, channel=channel)
        answer = agent.ask(question)
    if as_json:
        print_json(
            {"question": question, "sentence": answer.sentence, "sql": answer.sql, "result": answer.result.to_json()}
        )
    else:
        print(answer)
    return 0 if answer.result.error is None else 1


@app.command()
def sql(
    query: str,
    db: Database,
    seconds: Annotated[float, typer.Option(help="Wall-clock limit.")] = 2.0,
    rows: Annotated[int, typer.Option(help="Row limit; a longer result is truncated.")] = 10_000,
    exclude: Exclude = None,
    as_json: Json = False,
) -> int:
    """Run one untrusted query, read-only and bounded. Exit 1 when it fails or is refused."""
    with private([db], exclude, db):
        result = labkit.execute(db, query, labkit.Limits(seconds=seconds, rows=rows))
    if as_json:
        print_json(result.to_json())
    elif result.error is None:
        table(result.columns, result.rows)
        note = f", truncated: limit {result.limit}" if result.truncated else ""
        print(f"{len(result.rows)} rows in {result.seconds:.3f} s{note}")
    else:
        print(f"Error: {result.error}" + (f" (limit: {result.limit})" if result.limit else ""), file=sys.stderr)
    return 0 if result.error is None else 1


@app.command()
def generate(
    db: Database,
    out: Annotated[Path, typer.Option("--out", help="The JSONL file to write; an existing one is not replaced.")],
    n: Annotated[int, typer.Option("--n", help="How many pairs.")] = 5000,
    avoid: Annotated[list[Path] | None, typer.Option("--avoid", help="Evaluation set to keep out; repeatable.")] = None,
    exclude: Exclude = None,
    wordings: Annotated[int, typer.Option("--wordings", help="Wordings of each query, at least.")] = 5,
    glossary: Annotated[
        Path | None, typer.Option("--glossary", help="People's words, in Markdown. Default: glossary.md beside --db.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", help="Draw more of a failure class, tag, table or column; repeatable."),
    ] = None,
    failures_of: Annotated[
        str | None, typer.Option("--failures-of", help="A run's id: draw more of what failed in it.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of all draws.")] = 0,
    as_json: Json = False,
) -> int:
    """Make verified question and SQL pairs from a database alone; says what each filter dropped."""
    if out.exists():
        raise LabkitError(f"{out} exists already. Name another file, or remove it first.")
    if target and failures_of:
        raise LabkitError("--target and --failures-of both say what to draw more of. Give one of them.")
    store = labkit.RunStore()
    with private([db], exclude, db):
        wanted = _failures(store.get(failures_of)) if failures_of else target
        generated = labkit.generate(db, n, seed, avoid or (), (), glossary, wanted, wordings=wordings, store=store)
    generated.save(out)
    if as_json:
        report = generated.report
        print_json({"out": str(out), "n": report.kept, "wanted": report.wanted, "dropped": dict(report.dropped)})
    else:
        print(generated.report)
        print(generated.coverage)
        print(f"{len(generated.pairs)} pairs in {out}")
    return 0


def _failures(run):
    """The run, diagnosed, for `generate` to draw more of what failed in it."""
    return labkit.diagnose_run(run, labkit.load_questions(run.set_path, db_dir=run.db_dir))


@models_app.callback()
def models(context: typer.Context, as_json: Json = False) -> None:
    """List the known models, and what is fetched."""
    if context.invoked_subcommand:
        return
    from labkit.models import known_models

    records = [
        {"name": m.name, "hub_id": m.hub_id, "parameters": m.parameters, "fetched": m.fetched} for m in known_models()
    ]
    if as_json:
        print_json(records)
    else:
        table(("model", "hub id", "parameters", "on this machine"), [r.values() for r in records])
        print("Also accepted wherever a model is named: a hub id, a local folder, a GGUF file.")


@models_app.command("fetch")
def models_fetch(name: Annotated[str, typer.Argument()] = DEFAULT_MODEL, as_json: Json = False) -> int:
    """Fetch a model, check its hash, convert it once. Nothing is done when it is there."""
    folder = labkit.fetch_model(name)
    print_json({"model": name, "folder": str(folder)}) if as_json else print(f"{name}: {folder}")
    return 0


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context) -> int:
    """Copy missing labs into my-labs/ and open JupyterLab there; further options go to JupyterLab."""
    from labkit.course.workspace import copy_missing_labs, course_root, open_lab

    root = course_root()
    labs = copy_missing_labs(root)
    if labs.copied:
        print("New in my-labs/: " + ", ".join(labs.copied))
    for name in labs.kept:
        print(
            f"my-labs/{name} is yours and stays; the course has a newer one: rename yours to get it at the next start."
        )
    return open_lab(root, context.args)
