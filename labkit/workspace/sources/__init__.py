"""Databases that are not SQLite, and files that are no database, as a SQLite file: `convert`.

`tables` (a table on its way, and the writer), `csvfiles` with `dialect`, `duck` (DuckDB and Parquet), `servers` with
`servertypes` and `addresses` (PostgreSQL and MySQL). The extras are imported when a source that needs them is named.
The source is only read; what cannot be carried over is said, in the `Converted` that `convert` returns.
"""

import os
import re
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from labkit.errors import LabkitError
from labkit.workspace.sources import addresses
from labkit.workspace.sources.csvfiles import read_csv
from labkit.workspace.sources.duck import duckdb_file, parquet_files
from labkit.workspace.sources.servers import server
from labkit.workspace.sources.tables import Carried, Note, Private, Source, distinct, settle, write

_CSV = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_PARQUET = (".parquet", ".pq")
_SHOWN = 3  # notes of a kind that are printed


@dataclass(frozen=True)
class Written:
    """How CSV files are written, where the user knows better than the file tells."""

    encoding: str | None = None
    delimiter: str | None = None

    def __post_init__(self):
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise LabkitError(
                f"{self.delimiter!r} is no delimiter: it is one character, such as ';', or 'tab', and no quote."
            )


@dataclass(frozen=True)
class Converted:
    """A SQLite file made of a source, and what of the source is not in it, or not as it was."""

    source: str  # without a password
    file: Path
    tables: tuple[Carried, ...]
    notes: tuple[Note, ...]
    seconds: float

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables)

    def to_json(self) -> dict:
        """As plain values, every note with them."""
        return {**asdict(self), "file": str(self.file), "rows": self.rows}

    def __str__(self) -> str:
        lines = [
            f"{self.source} is in {self.file}: {_counted(len(self.tables), 'table')}, {_counted(self.rows, 'row')}."
        ]
        for t in self.tables:
            key = f", key {', '.join(t.key)}" if t.key else ", no key"
            referring = f", {_counted(t.references, 'reference')}" if t.references else ""
            lines.append(f"  {t.table}: {_counted(t.rows, 'row')}, {_counted(t.columns, 'column')}{key}{referring}")
        return "\n".join([*lines, *self._told()])

    def _told(self) -> list[str]:
        lines = ["Not carried over, or not as it was:"] if self.notes else []
        for kind, number in Counter(note.kind for note in self.notes).items():
            notes = [note for note in self.notes if note.kind == kind]
            for note in notes[:_SHOWN]:
                place = ".".join(part for part in (note.table, note.column) if part)
                lines.append(f"  {kind}: {place}{': ' * bool(place)}{note.text}")
            if number > _SHOWN:
                lines.append(f"  {kind}: {number - _SHOWN} more (--json has them all)")
        return lines


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def is_source(text: str) -> bool:
    """Whether `convert` is for it: an address, a folder, a CSV, Parquet or DuckDB file. A SQLite file is none."""
    path = Path(os.path.expanduser(text))
    return addresses.looks_like_one(text) or path.is_dir() or _kind(path) in ("csv", "parquet", "duckdb")


def convert(
    source: str | Path,
    out: str | Path,
    *,
    exclude: Iterable[str] = (),
    schema: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    force: bool = False,
    progress: bool = True,
) -> Converted:
    """Carry a source over into the SQLite file `out`, which appears when it is whole.

    source: `postgresql://...`, `mysql://...`, a DuckDB file, a CSV or Parquet file, a folder of those. exclude: tables
    and columns (`column`, `table.column`) that are left out. schema: of a server or DuckDB file. encoding, delimiter:
    of CSV files, when they are not found out right. `LabkitError` when `out` is there (unless `force`) or the source
    cannot be read; then nothing is left behind.
    """
    began, out = time.monotonic(), Path(os.path.expanduser(out))
    _check_out(out, source, force)
    quiet = not progress or bool(os.environ.get("CI"))
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder, ExitStack() as stack:
            made = Path(folder) / "made.sqlite"
            written = Written(encoding, "\t" if delimiter in ("tab", "\\t") else delimiter)
            private = Private(exclude)
            opened = _open(str(source), private, schema, written, stack)
            if absent := private.unmet():
                names = ", ".join(map(repr, absent))
                raise LabkitError(f"--exclude names {names}, and nothing in {opened.shown} is called so.")
            if not opened.tables:
                there = f" There are others: {opened.notes[0].text}." if opened.notes else ""
                raise LabkitError(f"{opened.shown} has no table to carry over.{there}")
            settled = settle(opened)
            carried, found = write(settled, made, not quiet)
            os.chmod(made, 0o600)  # as the kit's other files that hold data
            os.replace(made, out)
    except sqlite3.OperationalError as error:
        raise LabkitError(f"{out} cannot be written: {error}.") from error
    seconds = round(time.monotonic() - began, 2)
    return Converted(opened.shown, out, tuple(carried), (*settled.notes, *found), seconds)


def _check_out(out: Path, source: str | Path, force: bool) -> None:
    if out.is_dir():
        raise LabkitError(f"{out} is a folder. Name the SQLite file that is to be made.")
    if out.exists() and not force:
        raise LabkitError(f"{out} is there already. Name another file, or write over it with --force.")
    if not addresses.looks_like_one(str(source)) and out.exists() and out.samefile(Path(os.path.expanduser(source))):
        raise LabkitError(f"{out} is the source itself. Name another file.")
    if Path(f"{out}-wal").exists():
        raise LabkitError(f"{out} is in use: {out}-wal lies beside it. Close what has it open, or name another file.")


# --- which source it is -----------------------------------------------------------------------------------------------


def _kind(path: Path) -> str:
    """csv, parquet, duckdb or sqlite; "" for anything else."""
    if not path.is_file():
        return ""
    if path.name.lower().endswith(_CSV):
        return "csv"
    with path.open("rb") as file:
        head = file.read(16)
    magic = {"duckdb": head[8:12] == b"DUCK", "sqlite": head == b"SQLite format 3\0", "parquet": head[:4] == b"PAR1"}
    return next((kind for kind, fits in magic.items() if fits), "parquet" if path.suffix.lower() in _PARQUET else "")


def _open(source: str, exclude: Private, schema: str | None, csv: Written, stack: ExitStack) -> Source:
    if addresses.looks_like_one(source):
        _refuse_idle("a server", encoding=csv.encoding, delimiter=csv.delimiter)
        return stack.enter_context(server(source, exclude, schema))
    path = Path(os.path.expanduser(source))
    if not path.exists():
        raise LabkitError(
            f"There is no {path}. Name a folder, a file, or an address such as postgresql://HOST/DATABASE."
        )
    kind = _kind(path)
    if kind == "duckdb":
        _refuse_idle("a DuckDB file", encoding=csv.encoding, delimiter=csv.delimiter)
        return stack.enter_context(duckdb_file(path, exclude, schema))
    if kind == "sqlite":
        raise LabkitError(f"{path} is a SQLite file already: use it as it is.")
    files = [path] if kind else sorted(path.iterdir()) if path.is_dir() else []
    texts = [(_table_name(f), [f]) for f in files if _kind(f) == "csv"]
    columnar = _parquet_tables(path) if path.is_dir() else [(_table_name(f), [f]) for f in files if kind == "parquet"]
    if not texts and not columnar:
        raise LabkitError(f"{path} is neither a CSV, Parquet or DuckDB file nor a folder that holds some.")
    _refuse_idle("files", schema=schema)
    if not texts:
        _refuse_idle("Parquet files", encoding=csv.encoding, delimiter=csv.delimiter)
    names = iter(distinct([name for name, _ in (*texts, *columnar)]))  # orders.csv beside orders.parquet
    texts = {next(names): paths[0] for _, paths in texts}
    columnar = {next(names): paths for _, paths in columnar}
    parts = [_csv_tables(texts, str(path), exclude, csv)] if texts else []
    parts += [stack.enter_context(parquet_files(columnar, str(path), exclude))] if columnar else []
    return Source(str(path), tuple(t for p in parts for t in p.tables), tuple(n for p in parts for n in p.notes))


def _refuse_idle(kind: str, **options: str | None) -> None:
    """LabkitError for an option that would do nothing."""
    for name, value in options.items():
        if value is not None:
            whose = "a server or a DuckDB file" if name == "schema" else "CSV files"
            raise LabkitError(f"--{name} is for {whose}, and this source is {kind}. Leave it out.")


def _table_name(path: Path) -> str:
    return re.sub(r"(\.(csv|tsv|parquet|pq))?(\.gz)?$", "", path.name, flags=re.IGNORECASE)


def _csv_tables(files: dict[str, Path], shown: str, exclude: Private, written: Written) -> Source:
    wanted = {name: path for name, path in files.items() if not exclude.hides(name)}
    read = [read_csv(path, name, exclude, written.encoding, written.delimiter) for name, path in wanted.items()]
    return Source(shown, tuple(table for table, _ in read), tuple(note for _, notes in read for note in notes))


def _parquet_tables(folder: Path) -> list[tuple[str, list[Path]]]:
    """A table for each file, and one for each subfolder with all that lies in it; a folder of parts is one table."""
    entries = sorted(folder.iterdir())
    files = [f for f in entries if _kind(f) == "parquet"]
    inside = [(f, sorted(p for p in f.rglob("*") if _kind(p) == "parquet")) for f in entries if f.is_dir()]
    inside = [(f, paths) for f, paths in inside if paths]
    parts = all(f.name.startswith("part-") for f in files) and all("=" in f.name for f, _ in inside)
    if parts and (files or inside):
        return [(_table_name(folder), [*files, *(p for _, paths in inside for p in paths)])]
    return [*((_table_name(f), [f]) for f in files), *((_table_name(f), paths) for f, paths in inside)]
