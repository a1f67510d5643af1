"""What the user of a workspace decides: `workspace.toml`, read and checked; the file itself explains each line."""

import difflib
import json
import os
import tomllib
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path

from labkit.errors import LabkitError
from labkit.exclusion import excluding

FILE = "workspace.toml"
BATCH = 4  # pairs a step where nobody says, as in `tuning.recipes`
_TEXT = """\
# This workspace's decisions. Change a line and run `labkit run {folder}` again: what depends on it is made anew.

database = {database}   # opened read-only, never written to

# What is never looked at, trained on, shown or read by a query: tables, or columns as "column" or "table.column".
exclude = {exclude}

model = "smollm2-135m"   # a known name (`labkit models`), a hub id, a folder or a GGUF file
four_bit = false         # true: its weights in 4 bits, in tuning and in answering (`pip install 'labkit[gpu]'`)
pairs = 3200             # generated from the database alone; more teach more (0.6 s each on one core)
starter = true           # go on from the kit's starter adapter, for the default model only
rate = 1e-3              # of learning
batch = 4                # pairs a step; less takes less memory (`labkit doctor` says what this machine is fit for)
candidates = 10000       # verified pairs whose queries are ranked against the model's own answer; 0: none
known = ""               # a file of pairs that people have checked ("known.jsonl"): trusted where a question comes near
encoder = false          # true: an encoder tuned on wordings of this database finds both; a quarter of an hour more
channel = false          # true: ranked also by how well a query explains the question; a model is tuned for that
explainer = "smollm2-135m"   # that model: a small one will do, whichever one writes the queries; it stands beside it
aimed = true             # pairs are drawn for each question as well: right more often, some seconds a question
seed = 0

# Question sets that measure, never train: files in this folder or paths. Those that don't exist yet are passed over.
# `draft.jsonl` was generated and says how well the generator's own questions are answered; `questions.jsonl` is yours.
questions = ["questions.jsonl", "draft.jsonl"]

# Approaches without tuning to compare with: prompt, few-shot, self-reflection, retrieval-bm25, retrieval-embeddings.
rungs = ["prompt"]
"""


@dataclass(frozen=True)
class Config:
    """The lines of `workspace.toml`, with `folder` where it lies."""

    folder: Path
    database: Path
    exclude: tuple[str, ...] = ()
    model: str = "smollm2-135m"
    four_bit: bool = False
    pairs: int = 3_200
    starter: bool = True
    rate: float = 1e-3
    batch: int = BATCH
    candidates: int = 10_000
    known: str = ""
    encoder: bool = False
    channel: bool = False
    explainer: str = "smollm2-135m"
    aimed: bool = False
    seed: int = 0
    questions: tuple[str, ...] = ("questions.jsonl", "draft.jsonl")
    rungs: tuple[str, ...] = ("prompt",)

    def file(self, name: str) -> Path:
        """A file of the workspace."""
        return self.folder / name

    def private(self) -> AbstractContextManager[None]:
        """Within this block nothing reads or shows what is excluded of the database."""
        return private(self.folder, self.database, self.exclude)

    @property
    def glossary(self) -> Path | None:
        """The workspace's glossary, where it has one."""
        file = self.file("glossary.md")
        return file if file.is_file() else None

    def sets(self) -> list[Path]:
        """The question sets that are there."""
        found = [self.folder / name for name in self.questions]
        return [path for path in found if path.is_file()]


def private(folder: Path, database: Path, exclude: tuple[str, ...]) -> AbstractContextManager[None]:
    """`excluding`, said to be decided in the workspace's file."""
    return excluding(database, exclude, f"`exclude` in {folder.resolve().name}/{FILE}")


def write_config(folder: Path, database: Path, exclude: tuple[str, ...] = ()) -> Path:
    """A new `workspace.toml` with the defaults."""
    values = {"database": json.dumps(str(database)), "exclude": json.dumps(list(exclude)), "folder": folder.name}
    path = folder / FILE
    path.write_text(_TEXT.format(**values), "utf-8")
    return path


def read_config(folder: str | Path) -> Config:
    """The workspace's decisions; `LabkitError` for a folder that is none, a line that is no TOML, a key or a value that
    means nothing."""
    folder = Path(folder)
    path = folder / FILE
    if not path.is_file():
        raise LabkitError(
            f"{folder} is no workspace: it has no {FILE}. Make one with `labkit init {folder} --db FILE`."
        )
    try:
        given = tomllib.loads(path.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LabkitError(f"{path} cannot be read: {error}.") from error
    known = {f.name: f for f in fields(Config) if f.name != "folder"}
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise LabkitError(f"{path} has an unknown key {name!r}" + (f"; did you mean {near[0]!r}?" if near else "."))
        _check(path, name, value)
    if "database" not in given:
        raise LabkitError(f'{path} names no database. Add a line: database = "FILE.sqlite".')
    database = Path(os.path.expanduser(given["database"]))
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return Config(folder, **{**values, "database": database if database.is_absolute() else folder / database})


def _check(path: Path, name: str, value: object) -> None:
    wanted = {
        "pairs": lambda v: type(v) is int and v >= 1,
        "batch": lambda v: type(v) is int and v >= 1,
        "candidates": lambda v: type(v) is int and v >= 0,
        "seed": lambda v: type(v) is int,
        "rate": lambda v: isinstance(v, (int, float)) and 0 < v < 1,
        "starter": lambda v: isinstance(v, bool),
        **dict.fromkeys(("four_bit", "encoder", "channel", "aimed"), lambda v: isinstance(v, bool)),
        "known": lambda v: isinstance(v, str),
    }.get(name)
    texts = name in ("exclude", "questions", "rungs")
    good = (
        wanted(value)
        if wanted
        else isinstance(value, list) and all(isinstance(v, str) for v in value)
        if texts
        else isinstance(value, str) and bool(value)
    )
    if not good:
        raise LabkitError(f"{path}: {name} = {value!r} means nothing. `labkit init` writes what it may be.")
