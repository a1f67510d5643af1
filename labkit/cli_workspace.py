"""The commands for a database of one's own, which `cli` puts beside the others: a workspace, and the loop over it.

Each parses, calls the Python API, prints; nothing is decided here.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from labkit.errors import LabkitError
from labkit.terminal import (
    DEFAULT_MODEL,
    Adapter,
    Aimed,
    Candidates,
    Channel,
    Encoder,
    Exclude,
    FourBit,
    Json,
    Known,
    Model,
    chat_model,
    check_ranking,
    print_json,
    private,
    ranked,
)

app = typer.Typer()

Schema = Annotated[
    str | None, typer.Option("--schema", help="Of a server or DuckDB file: the one to read. Default: its own.")
]
Encoding = Annotated[str | None, typer.Option("--encoding", help="Of CSV files; by default found out.")]
Delimiter = Annotated[str | None, typer.Option("--delimiter", help="Of CSV files; by default found out.")]


@app.command()
def init(
    folder: Path,
    db: Annotated[str, typer.Option("--db", help="A SQLite file, or any source that `labkit convert` takes.")],
    questions: Annotated[
        Path | None, typer.Option("--questions", "-q", help="Questions of your own: they measure, they never train.")
    ] = None,
    exclude: Exclude = None,
    schema: Schema = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    as_json: Json = False,
) -> int:
    """Make a workspace for a database of your own: what its schema holds and where it bites, a glossary to fill in,
    draft questions, a notebook."""
    from labkit import workspace

    written = {"schema": schema, "encoding": encoding, "delimiter": delimiter}
    made = workspace.init(folder, db, questions, tuple(exclude or ()), **written)
    if as_json:
        found = [{"kind": f.kind, "table": f.table, "column": f.column, "text": f.text} for f in made.findings]
        converted = made.converted and made.converted.to_json()
        about = {"folder": str(made.folder), "drafts": made.drafts, "questions": list(made.unfit)}
        print_json(about | {"findings": found, "converted": converted})
    else:
        print(made)
    return 0


@app.command()
def convert(
    source: Annotated[
        str, typer.Argument(help="postgresql://..., mysql://..., a DuckDB, CSV or Parquet file, or a folder of those.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The SQLite file that is made.")],
    exclude: Exclude = None,
    schema: Schema = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: Json = False,
) -> int:
    """Make a SQLite file of another database or of files, and say what is not carried over."""
    from labkit import workspace

    made = workspace.convert(
        source, out, exclude=exclude or (), schema=schema, encoding=encoding, delimiter=delimiter, force=force
    )
    print_json(made.to_json()) if as_json else print(made)
    return 0


@app.command()
def run(
    folder: Path,
    regenerate: Annotated[
        bool, typer.Option("--regenerate", help="Put aside what no longer fits the schema, drafts too; make it anew.")
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


@app.command()
def serve(
    folder: Annotated[Path | None, typer.Argument(help="A workspace, with what `labkit run` made in it.")] = None,
    db: Annotated[Path | None, typer.Option("--db", help="Or a SQLite file, with --adapter and --candidates.")] = None,
    model: Model = DEFAULT_MODEL,
    adapter: Adapter = None,
    four_bit: FourBit = False,
    candidates: Candidates = None,
    known: Known = None,
    encoder: Encoder = None,
    channel: Channel = None,
    aimed: Aimed = False,
    exclude: Exclude = None,
    host: Annotated[str, typer.Option("--host", help="0.0.0.0: all who reach this machine may ask.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="0: any free one.")] = 8642,
) -> int:
    """Serve the tuned agent: a page on which colleagues ask, and an OpenAI-compatible endpoint. Ctrl-C ends it."""
    import labkit
    from labkit.serving import LOCAL, Server

    if (folder is None) == (db is None):
        raise LabkitError("Name a workspace, or a database with --db.")
    if folder:
        from labkit.workspace import made, ranking, read_config, stale

        db, model, adapter, candidates = made(folder)
        four_bit = four_bit or read_config(folder).four_bit
        if told := stale(folder):
            print(told, file=sys.stderr, flush=True)
        decided = ranking(folder)
        known, encoder = known or decided.known, encoder or decided.encoder
        channel, aimed = channel or decided.channel, aimed or decided.aimed
    words = decided.glossary if folder else None
    check_ranking(candidates or known, encoder, aimed, channel)
    with private([db], exclude, folder / "workspace.toml" if folder else db):
        loaded = chat_model(model, adapter and str(adapter), None, four_bit)
        agent = labkit.Agent(loaded, db)
        if candidates or known:
            how = {"aimed": aimed, "channel": channel, "glossary": words}
            agent.generator = ranked(loaded, candidates, known, encoder, Path(db).parent, **how)
        server = Server(agent, host, port)
        print(f"{server.url} (the page), {server.url}/v1 (the endpoint). Ctrl-C ends it.", flush=True)
        if host not in LOCAL:
            print("There is no login: whoever reaches this port may ask.", file=sys.stderr, flush=True)
        server.serve()
    return 0
