"""What the commands share: their common options, and how a record, a table or a frame is printed.

No command stands here; those are in `cli` and the modules that it puts together.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

import labkit
from labkit.errors import LabkitError

Json = Annotated[bool, typer.Option("--json", help="Print JSON, a contract for scripts.")]
Model = Annotated[str, typer.Option("--model", "-m", help="A known name, hub id, local folder or GGUF file.")]
Adapter = Annotated[str | None, typer.Option("--adapter", help="Folder of a PEFT adapter to load on the model.")]
FourBit = Annotated[
    bool, typer.Option("--four-bit", help="Hold the model's weights in 4 bits (NF4), an adapter beside them.")
]
BaseUrl = Annotated[str | None, typer.Option("--base-url", help="An OpenAI-compatible endpoint that serves --model.")]
Prompt = Annotated[
    str | None,
    typer.Option("--prompt", help="plain, question_only or chat; by default what the adapter was tuned with."),
]
Database = Annotated[str, typer.Option("--db", help="The SQLite file.")]
Mode = Annotated[str, typer.Option("--mode", help="exact, execution, semantic, rows (stored ones), or text (facts).")]
Candidates = Annotated[
    Path | None,
    typer.Option("--candidates", help="Verified pairs whose queries are ranked against the model's own answers."),
]
Encoder = Annotated[
    Path | None, typer.Option("--encoder", help="Encoder that finds them, by `tune-encoder`; else the kit's own.")
]
Channel = Annotated[
    Path | None, typer.Option("--channel", help="Says how well each explains the question, by `tune-channel`.")
]
Known = Annotated[
    Path | None,
    typer.Option("--known", help="Pairs that people have checked: candidates, trusted where a question comes near."),
]
Aimed = Annotated[
    bool, typer.Option("--aimed", help="Draw pairs for each question as well: right more often, seconds slower.")
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", help="A private table or column, never looked at; repeatable.")
]
DEFAULT_MODEL = "smollm2-135m"


def check_ranking(pairs: Path | None, encoder: Path | None, aimed: bool = False, channel: Path | None = None) -> None:
    """LabkitError for an option that would do nothing where there are no pairs to rank: encoder, channel, drawing."""
    options = ((encoder, "--encoder finds"), (aimed, "--aimed draws further"), (channel, "--channel ranks"))
    for given, option in options:
        if given and not pairs:
            raise LabkitError(f"{option} candidates, and there are none. Name pairs with --candidates.")


@contextmanager
def private(databases: Iterable[str | Path], exclude: list[str] | None, near: str | Path) -> Iterator[None]:
    """Within the block nothing reads or shows what `--exclude` names, nor what the workspace excludes in whose folder
    the file `near` lies. LabkitError for a name that a database lacks."""
    from labkit.exclusion import excluding
    from labkit.schema import declared_schema
    from labkit.workspace.check import same_names
    from labkit.workspace.config import FILE, read_config

    with ExitStack() as block:
        if (Path(near).parent / FILE).is_file():
            block.enter_context(read_config(Path(near).parent).private())
        for database in set(databases) if exclude else ():
            same_names(declared_schema(database), exclude)
            block.enter_context(excluding(database, exclude, "`--exclude`"))
        yield


@contextmanager
def private_pairs(files: list[Path], exclude: list[str] | None) -> Iterator[list]:
    """The sets of pairs in the files; within the block nothing reads what is excluded of their databases, as `private`
    has it. LabkitError where there is something to exclude, and a pair's database is not to be found."""
    from labkit.workspace.config import FILE, read_config

    sets = []
    with ExitStack() as block:
        for file in files:
            config = read_config(file.parent) if (file.parent / FILE).is_file() else None
            pairs = labkit.load_questions(file, db_dir=config and config.database.parent)
            sets.append(pairs)
            databases = databases_of(pairs) if exclude or (config and config.exclude) else ()
            if exclude and not databases:
                raise LabkitError(f"--exclude does nothing for {file}: its pairs name no database. Leave it out.")
            block.enter_context(private(databases, exclude, file))
        yield sets


def glossary_of(near: str | Path) -> Path | None:
    """The glossary of the workspace in whose folder the file `near` lies; None where there is no such."""
    from labkit.workspace.config import FILE, read_config

    folder = Path(near).parent
    return read_config(folder).glossary if (folder / FILE).is_file() else None


def databases_of(questions) -> set[Path]:
    """The database files of a question set."""
    return {questions.database_path(question) for question in questions if question.database}


def ranked(
    model,
    candidates: Path | None,
    known: Path | None,
    encoder: Path | None,
    db_dir,
    prompt=None,
    aimed=False,
    channel: Path | None = None,
    glossary: Path | None = None,
):
    """The model with what ranks candidates around it; LabkitError where there are none to rank."""
    import labkit

    sets = [labkit.load_questions(path, db_dir=db_dir) for path in (candidates, known) if path]
    pool = labkit.QuestionSet("candidates", tuple(pair for pairs in sets for pair in pairs), db_dir=db_dir)
    checked = sets[-1] if known else None
    return labkit.RerankedGenerator(
        model, pool, known=checked, prompt=prompt, encoder=encoder, aimed=aimed, channel=channel, glossary=glossary
    )


def print_json(*values) -> None:
    """A line of JSON for each value on standard output."""
    print("\n".join(json.dumps(value, allow_nan=False) for value in values), flush=True)


def table(columns, rows, title: str = "") -> None:
    """A table as wide as the terminal allows; long values are folded, never cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=title or None)
    for column in columns:
        shown.add_column(Text(str(column)), overflow="fold")
    for row in rows:
        shown.add_row(*(Text("NULL" if value is None else str(value)) for value in row))
    Console().print(shown)


def frame(frame, title: str = "") -> None:
    """A pandas frame as a table."""
    if frame.index.name:
        frame = frame.reset_index()
    rows = ([f"{v:.2f}" if isinstance(v, float) else v for v in row] for row in frame.itertuples(index=False))
    table(frame.columns, rows, title)


def chat_model(model: str, adapter: str | None, base_url: str | None, four_bit: bool = False):
    """The chat model that the options name: an endpoint, or weights on this machine."""
    if not base_url:
        return labkit.load_model(model, adapter=adapter, four_bit=four_bit)
    if adapter:
        raise LabkitError(
            "--adapter loads on a local model; an endpoint serves its own. Leave out --adapter or --base-url."
        )
    return endpoint(model, base_url, four_bit)


def endpoint(model: str, base_url: str, four_bit: bool):
    """The endpoint that the options name; LabkitError where one is about weights on this machine."""
    if four_bit:
        raise LabkitError(
            "--four-bit is about a local model; an endpoint holds its weights as it was started. Leave out --four-bit "
            "or --base-url."
        )
    return labkit.Endpoint(base_url, model)


def vars_of(record) -> dict:
    """A frozen dataclass as a dictionary, its fields in their order."""
    from dataclasses import asdict

    return asdict(record)
