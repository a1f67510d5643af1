"""Runs and the store that keeps them: what a model predicted, how each prediction was judged, and all that decided it.

A store is one SQLite file written through sqlite-utils; any number of notebooks may write to it at once. This module
knows nothing of models or of scoring: `evaluation` fills runs, this keeps them.
"""

import json
import math
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from labkit.errors import LabkitError
from labkit.home import home

VERDICTS = ("right", "wrong", "unstable", "gold_error")


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`, both between 0 and 1."""

    low: float
    high: float


def wilson(correct: int, n: int, z: float = 1.96) -> Interval:
    """Wilson's score interval of `correct` in `n`; z = 1.96 gives 95 %. Nothing seen (n = 0) leaves 0 to 1.

    Source: E. B. Wilson, Probable inference, JASA 22 (1927), 209-212.
    """
    if not 0 <= correct <= n:
        raise LabkitError(f"{correct} right of {n} is no proportion: the first must lie between 0 and the second.")
    if n == 0:
        return Interval(0.0, 1.0)
    share, spread = correct / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return Interval(max(0.0, middle - half) if correct else 0.0, min(1.0, middle + half) if correct < n else 1.0)


@dataclass(frozen=True)
class Result:
    """One question's prediction and its score."""

    question_id: str
    prediction: str
    verdict: str  # one of VERDICTS
    reason: str  # a short code, "" when right
    detail: str  # a sentence
    valid: bool  # the prediction ran (mode "text": there was a reply)
    seconds: float  # its share of its batch: generating and scoring


@dataclass(frozen=True)
class Run:
    """One model on one question set. `results` keep the set's order; an unfinished run has fewer than `total`."""

    id: str
    set: str
    mode: str
    model: str
    adapter: str | None = None
    prompt: str | None = None
    seed: int | None = None
    model_hash: str | None = None  # sha256 of its weights
    adapter_hash: str | None = None
    batch_size: int = 16
    total: int = 0  # questions in the set
    set_hash: str = ""  # QuestionSet.sha256
    set_path: str | None = None
    db_dir: str | None = None
    database_hashes: dict | None = None  # database name -> sha256 of its file
    settings: dict | None = None  # all that the generator's describe() said
    versions: dict | None = None  # of Python and the packages that matter
    device: str | None = None
    identity: str = ""  # hash of what decides the predictions and their scores
    started: str = ""  # ISO 8601, UTC
    finished: str | None = None
    results: tuple[Result, ...] = ()

    @property
    def four_bit(self) -> bool:
        """Whether the model's weights were held in 4 bits."""
        return bool((self.settings or {}).get("four_bit"))

    @property
    def n(self) -> int:
        """Questions scored, unstable ones and gold errors among them."""
        return len(self.results)

    @property
    def correct(self) -> int:
        """How many are right."""
        return self.verdicts["right"]

    @property
    def verdicts(self) -> dict[str, int]:
        """How many of each verdict."""
        counts = Counter(result.verdict for result in self.results)
        return {verdict: counts[verdict] for verdict in VERDICTS}

    @property
    def accuracy(self) -> float:
        """Share of right ones; 0 when nothing is scored yet."""
        return self.correct / self.n if self.n else 0.0

    @property
    def low(self) -> float:
        """Lower end of the accuracy's Wilson 95 % interval."""
        return wilson(self.correct, self.n).low

    @property
    def high(self) -> float:
        """Upper end of the accuracy's Wilson 95 % interval."""
        return wilson(self.correct, self.n).high

    @property
    def valid(self) -> int:
        """How many predictions ran; in mode "text": how many replies were not empty."""
        return sum(result.valid for result in self.results)

    @property
    def seconds(self) -> float:
        """Time spent generating and scoring, pauses between sessions left out."""
        return sum(result.seconds for result in self.results)

    def __str__(self) -> str:
        text = f"{self.accuracy:.2f} [{self.low:.2f}, {self.high:.2f}] n={self.n} ({self.mode})"
        apart = [f"{self.verdicts[name]} {name}" for name in ("unstable", "gold_error") if self.verdicts[name]]
        apart += [] if self.finished else [f"unfinished, {self.n} of {self.total}"]
        return ", ".join([text, *apart])

    def to_frame(self):
        """The results as a pandas frame, a row a question."""
        import pandas  # here, not above: half a second that most callers do not need

        return pandas.DataFrame([asdict(r) for r in self.results], columns=[f.name for f in fields(Result)])

    def to_json(self) -> dict:
        """The run without its results, with its figures, as JSON values."""
        about = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "results"}
        figures = ("n", "correct", "accuracy", "low", "high", "valid", "seconds", "verdicts")
        return about | {name: getattr(self, name) for name in figures}


# --- the store --------------------------------------------------------------------------------------------------------

_JSON_FIELDS = ("database_hashes", "settings", "versions")
_RUN_FIELDS = tuple(f.name for f in fields(Run) if f.name != "results")
_RESULT_FIELDS = tuple(f.name for f in fields(Result))
_SQL_TYPES = {"batch_size": int, "total": int, "seed": int}
_WAIT = 30.0  # seconds that a writer waits for another one


class RunStore:
    """The runs kept in `path` (default: `runs.db` in the kit's home). A `LabkitError` says what ails a store."""

    def __init__(self, path: str | Path | None = None):
        try:
            self.path = Path(path) if path is not None else home() / "runs.db"
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LabkitError(f"The folder of the run store cannot be made: {error}. Set LABKIT_HOME.") from error
        with self._open():
            pass  # whatever is wrong with it shows now, not after an hour of work

    def __repr__(self) -> str:
        return f"RunStore({str(self.path)!r})"

    def list(self) -> list[Run]:
        """All runs, newest first."""
        with self._open() as db:
            return [_read(db, row) for row in db["runs"].rows_where(order_by="started desc, rowid desc")]

    def get(self, run: str) -> Run:
        """The run of that id; the beginning of an id will do where only one run has it."""
        with self._open() as db:
            found = [*db.query("SELECT * FROM runs WHERE substr(id, 1, ?) = ?", (len(run), run))]
            found = [row for row in found if row["id"] == run] or found
            if len(found) != 1 or not run:
                what = f"Several runs begin with {run!r}" if found else f"No run {run!r}"
                raise LabkitError(f"{what} in {self.path}. `labkit runs` lists them.")
            return _read(db, found[0])

    def delete(self, run: str) -> None:
        """Remove the run of that id (or beginning of one) and its results."""
        id = self.get(run).id
        with self._open() as db, _writing(db):
            db["results"].delete_where("run = ?", (id,))
            db["runs"].delete_where("id = ?", (id,))

    def begin(self, run: Run, fresh: bool = False) -> Run:
        """Keep `run` under a new id; unless `fresh`, return the newest run of the same identity where there is one."""
        with self._open() as db, _writing(db):
            kept = db["runs"].rows_where("identity = ?", (run.identity,), order_by="started desc, rowid desc", limit=1)
            row = None if fresh else next(kept, None)
            if row is None:
                row = _row(replace(run, id=uuid4().hex[:10], started=_now()))
                db["runs"].insert(row)
            return _read(db, row)

    def done(self, run: str) -> set[str]:
        """Ids of the questions whose results are kept."""
        with self._open() as db:
            return {row["question_id"] for row in db.query("SELECT question_id FROM results WHERE run = ?", (run,))}

    def add(self, run: str, results: Sequence[tuple[int, Result]]) -> None:
        """Keep (position in the set, result) pairs in one transaction; a question that has a result keeps that one."""
        rows = [{"run": run, "position": position, **asdict(result)} for position, result in results]
        with self._open() as db, _writing(db):
            if not db["runs"].count_where("id = ?", (run,)):
                raise LabkitError(f"Run {run} was deleted from {self.path} while it went on. Evaluate again.")
            db["results"].insert_all(rows, ignore=True, batch_size=50)

    def finish(self, run: str) -> Run:
        """Mark the run finished and return it with its results."""
        with self._open() as db, _writing(db):
            db.execute("UPDATE runs SET finished = coalesce(finished, ?) WHERE id = ?", (_now(), run))
        return self.get(run)

    @contextmanager
    def _open(self) -> Iterator:
        """The database, opened for this one use: no lock outlives it, and a thread never meets another's connection."""
        from sqlite_utils import Database  # here, not above: it imports slowly

        connection = None
        try:
            connection = sqlite3.connect(self.path, timeout=_WAIT)
            db = Database(connection, execute_plugins=False)
            _prepare(db)
            yield db
        except (sqlite3.Error, OSError) as error:
            raise LabkitError(_complaint(self.path, error)) from error
        finally:
            if connection is not None:
                connection.close()


def _prepare(db) -> None:
    """WAL (readers and a writer at once) and the two tables; nothing is written when they are there."""
    if db.journal_mode != "wal":
        _patiently(db.enable_wal)
    if {"runs", "results"} <= set(db.table_names()):
        missing = {*_RUN_FIELDS} - {*db["runs"].columns_dict} | {*_RESULT_FIELDS} - {*db["results"].columns_dict}
        if missing:
            raise sqlite3.DatabaseError(f"it lacks {', '.join(sorted(missing))}: another version of the kit wrote it")
        return
    with _writing(db):
        runs = {name: _SQL_TYPES.get(name, str) for name in _RUN_FIELDS}
        db["runs"].create(runs, pk="id", if_not_exists=True)
        db["runs"].create_index(["identity"], if_not_exists=True)
        results = dict.fromkeys(_RESULT_FIELDS, str) | {"valid": int, "seconds": float}
        columns = {"run": str, "position": int} | results
        db["results"].create(columns, pk=("run", "question_id"), if_not_exists=True)


def _patiently(change) -> None:
    """SQLite does not wait for a lock while it changes the journal mode."""
    until = time.monotonic() + _WAIT
    while True:
        try:
            return change()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)


@contextmanager
def _writing(db) -> Iterator[None]:
    """One transaction that takes its turn at once: one that only reads at first cannot wait for its turn later."""
    db.conn.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.conn.commit()
    except BaseException:
        db.conn.rollback()
        raise


def _complaint(path: Path, error: Exception) -> str:
    text = str(error)
    advice = {
        "locked": "Another program holds it: close that, then repeat the call; it goes on where it stopped.",
        "full": "The disk is full: free some space, then repeat the call; it goes on where it stopped.",
        "I/O": "The disk is full or failing: free some space, then repeat the call; it goes on where it stopped.",
        "readonly": "It cannot be written: mend its permissions, or set LABKIT_HOME to a folder of yours.",
        "unable to open": "Mend the permissions of its folder, or set LABKIT_HOME to a folder of yours.",
        "not a database": "The file is something else, or damaged: move it away, and a new store is begun.",
        "malformed": "The file is damaged: move it away, and a new store is begun.",
    }
    hint = next((hint for part, hint in advice.items() if part in text), "Move it away, and a new store is begun.")
    return f"The run store {path} fails: {text}. {hint}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _row(run: Run) -> dict:
    values = {name: getattr(run, name) for name in _RUN_FIELDS}
    return values | {name: json.dumps(values[name], sort_keys=True) for name in _JSON_FIELDS}


def _read(db, row: dict) -> Run:
    decoded = {name: json.loads(row[name]) for name in _JSON_FIELDS}
    kept = db["results"].rows_where("run = ?", (row["id"],), order_by="position")
    results = (Result(**{k: r[k] for k in _RESULT_FIELDS} | {"valid": bool(r["valid"])}) for r in kept)
    return Run(**{name: row[name] for name in _RUN_FIELDS} | decoded, results=tuple(results))
