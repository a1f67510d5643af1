"""A new workspace: what the database holds and where it bites, a draft glossary, draft questions, a notebook."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from labkit.datagen.reading import read_world
from labkit.datagen.sampled import looked_at
from labkit.dataset import load_questions, save_questions
from labkit.errors import LabkitError
from labkit.exclusion import excluding
from labkit.home import write_atomically
from labkit.readonly import existing_file
from labkit.schema import declared_schema, read_schema
from labkit.workspace import check, drafts, drift, golds, words
from labkit.workspace.config import FILE, private, read_config, write_config
from labkit.workspace.sources import Converted, convert, is_source

SOURCE = "source.json"  # what was converted into a workspace's database, where something was


@dataclass(frozen=True)
class Started:
    """What `init` made."""

    folder: Path
    findings: tuple[check.Finding, ...]
    drafts: int
    converted: Converted | None = None
    unfit: tuple[str, ...] = ()  # sentences about questions of your own

    def __str__(self) -> str:
        lines = [f"{self.folder}: a workspace with {self.drafts} draft questions; {len(self.findings)} things to know:"]
        lines += [f"  {f.kind}: {f.table}{'.' * bool(f.column)}{f.column}. {f.text}" for f in self.findings[:12]]
        lines += [f"  ... and {len(self.findings) - 12} more in schema.md"] if len(self.findings) > 12 else []
        converted = [str(self.converted)] if self.converted else []
        return "\n".join(
            [
                *converted,
                *lines,
                *self.unfit,
                f"Edit {FILE} and glossary.md if you like, look at {drafts.FILE}, then: labkit run {self.folder}",
            ]
        )


def init(
    folder: str | Path,
    database: str | Path,
    questions: str | Path | None = None,
    exclude=(),
    *,
    schema: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> Started:
    """Make a workspace in `folder`, which must be new or empty, for a SQLite file or a source that `convert` takes.

    A source becomes `database.sqlite` in the folder, without what is excluded, and `source.json` says what was carried
    over. questions: a question set of your own, copied in; it measures and never trains, and which of them cannot is
    said. exclude: private tables and columns. schema, encoding, delimiter: of the source, as `convert` takes them.
    `LabkitError` when the folder is taken, the file is no database or holds nothing to ask about, or none of the
    questions can measure.
    """
    folder, exclude = Path(folder), tuple(exclude)
    given = {"schema": schema, "encoding": encoding, "delimiter": delimiter}
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LabkitError(f"{folder} is not empty. Give a new folder, or go on in it with `labkit run {folder}`.")
    converted = None
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if is_source(str(database)):
            converted = convert(database, folder / "database.sqlite", exclude=exclude, **given)
            (folder / SOURCE).write_text(json.dumps(converted.to_json(), indent=1) + "\n", "utf-8")
            database = converted.file
        elif idle := [f"--{name}" for name, value in given.items() if value is not None]:
            raise LabkitError(f"{database} is taken for a SQLite file, for which {idle[0]} does nothing. Leave it out.")
        database = Path(existing_file(os.path.expanduser(database)))
        if converted is None:  # else they are named right, and not in the copy
            check.same_names(declared_schema(database), exclude)
        own, unfit = None, []
        if questions:
            own, unfit = golds.moved(load_questions(questions, db_dir=database.parent), database)
            with private(folder, database, exclude):
                unfit += golds.said(own)
        drawn = drafts.drawn(database, [own] if own else (), exclude)
        write_config(folder, database, exclude)
        found = describe(folder, database, exclude)
        (folder / "glossary.md").write_text(_glossary(database, exclude, found), "utf-8")
        save_questions(folder / drafts.FILE, drawn)
        if own:
            save_questions(folder / "questions.jsonl", own)
        _notebook(folder)
        read_config(folder)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return Started(folder, tuple(found), len(drawn), converted, tuple(unfit))


def describe(folder: Path, database: Path, exclude: tuple[str, ...]) -> list[check.Finding]:
    """Write the schema report, and the shape that later runs compare with; returns what the report found."""
    with private(folder, database, exclude):
        schema = read_schema(database)
        found = check.findings(schema)
    write_atomically(folder / "schema.md", check.page(schema, found))
    write_atomically(folder / "schema.json", json.dumps(drift.shape(declared_schema(database)), indent=1) + "\n")
    return found


def _glossary(database: Path, exclude: tuple[str, ...], found: list[check.Finding]) -> str:
    with excluding(database, exclude), looked_at(database) as (file, _):
        return words.glossary(read_world(file), found)


def _notebook(folder: Path) -> None:
    """The loop in cells, for those who would rather look than wait for a page."""
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    cells = []
    for text in Path(__file__).with_name("walk.txt").read_text("utf-8").split("\n# %%"):
        kind, _, body = text.partition("\n")
        if "[markdown]" in kind:
            lines = [line.removeprefix("#").removeprefix(" ") for line in body.strip("\n").splitlines()]
            cells.append(new_markdown_cell("\n".join(lines)))
        elif kind.strip() == "":
            cells.append(new_code_cell(body.strip("\n")))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), folder / "walk.ipynb")
