"""`labkit run`, killed with SIGKILL at random points again and again, ends with the report of an unbroken run.

Half of the points are moments (within the seconds of processor time of an unbroken run, its imports left out), half are
things done with files (see `workspace_job.py`). A workspace is killed three to nine times, then the command is let go
to its end and compared: the page but for seconds and dates, pairs and adapter byte for byte, each prediction, the files
that are there. LABKIT_KILLS is the number of kills, 3 by default; `make kill-run` takes 100 and keeps in
LABKIT_KILLS_LOG what has passed, so that it goes on after an interruption. LABKIT_REAL=FOLDER: the real model and
encoder, out of that folder of models.
"""

import contextlib
import hashlib
import json
import os
import random
import re
import runpy
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

import labkit
from labkit import workspace
from labkit.home import home

KILLS, REAL = int(os.environ.get("LABKIT_KILLS", 3)), bool(os.environ.get("LABKIT_REAL"))
JOB = Path(__file__).with_name("workspace_job.py")
tiny_model_dir = runpy.run_path(str(Path(__file__).with_name("standin.py")))["tiny_model_dir"]
MASKED = r"\d{4}-\d\d-\d\d|in \d+ minutes|[\d.]+ s(?=<)"  # all that may differ between two pages
CLIENTS = [(i, f"Client {chr(64 + i)}", ("Velden", "Oakmere")[i % 2], "AB"[i % 3 == 0]) for i in range(1, 25)]
ORDERS = [(i, i % 24 + 1, i * 37 % 900 + 100, f"2023-{i % 12 + 1:02d}-11") for i in range(1, 90)]


@pytest.fixture
def ready(tmp_path, tiny_model_dir, own_home) -> Path:
    """A new workspace whose run takes seconds."""
    database = tmp_path / "shop.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE clients (id INTEGER PRIMARY KEY, name TEXT, city TEXT, grade TEXT)")
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, client_id INTEGER, amount INTEGER, day TEXT)")
        connection.executemany("INSERT INTO clients VALUES (?, ?, ?, ?)", CLIENTS)
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", ORDERS)
    connection.close()
    folder = tmp_path / "mine"
    workspace.init(folder, database)
    drafts = (folder / "draft.jsonl").read_text().splitlines(keepends=True)
    (folder / "draft.jsonl").write_text("".join(drafts[:6]))
    text = (folder / "workspace.toml").read_text().replace("pairs = 3200", "pairs = 16")
    text = text.replace("candidates = 10000", "candidates = 24")
    if not REAL:
        text = text.replace('"smollm2-135m"', json.dumps(str(tiny_model_dir)))
        text = text.replace("starter = true", "starter = false").replace("aimed = true", "aimed = false")
    (folder / "workspace.toml").write_text(text)
    return folder


@dataclass(frozen=True)
class Ended:
    """What an unbroken run left: its page, its files by hash, its predictions; how long it computed and what it did."""

    page: str
    files: dict[str, str]
    predictions: list[tuple]
    seconds: float = 0.0
    events: int = 0


class Jobs:
    """Runs of workspaces, one at a time, in processes that `workspace_job.py` forks."""

    def __init__(self, out: Path):
        told = {**os.environ, "CI": "true", "OMP_NUM_THREADS": "1"}
        told["PYTHONPATH"] = os.pathsep.join(filter(None, [str(JOB.parent.parent), os.environ.get("PYTHONPATH")]))
        words = [sys.executable, str(JOB), "real" if REAL else "words"]
        self.out = out
        self.server = subprocess.Popen(words, env=told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.communicate()  # the end of its input ends it

    def start(self, folder: Path, at: int = 0) -> psutil.Process:
        self.server.stdin.write(json.dumps({"folder": str(folder), "out": str(self.out), "at": at}) + "\n")
        self.server.stdin.flush()
        return psutil.Process(int(self.server.stdout.readline()))

    def end(self) -> int:
        """Wait for the run's exit status."""
        return int(self.server.stdout.readline())

    def finish(self, folder: Path) -> Ended:
        """Run to the end, and read what is there."""
        self.start(folder)
        code, said = self.end(), self.out.read_text()
        assert code == 0, said
        events, seconds = said.splitlines()[-1].split()
        return read(folder, float(seconds), int(events))

    def kill(self, folder: Path, rng: random.Random, whole: Ended) -> tuple[str, bool]:
        """Start the run and kill it: where, and whether it was still at work."""
        at = rng.randint(1, whole.events) if rng.random() < 0.5 else 0
        after, process, children = rng.uniform(0, whole.seconds), self.start(folder, at), []
        if not at:
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended already
                while process.cpu_times().user + process.cpu_times().system < after:
                    time.sleep(0.02)
                children = process.children(recursive=True)
                process.kill()
        code = self.end()
        where = f"event {at}" if at else f"{after:.2f} s"
        assert code in (0, -signal.SIGKILL), f"{where}: {self.out.read_text()}"
        assert not psutil.wait_procs(children, timeout=30)[1], f"{where}: it left processes behind"
        return where, code != 0


def read(folder: Path, seconds: float = 0.0, events: int = 0) -> Ended:
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    kept = {name: sha256(path) for name, path in files.items() if path.suffix in (".jsonl", ".safetensors", ".toml")}
    names = {name: kept.get(name, "") for name in files if not name.startswith(("runs.db-", "ladders/"))}
    with sqlite3.connect(folder / "runs.db") as connection:
        asked = "SELECT prompt, question_id, prediction, verdict, reason, detail FROM results JOIN runs ON run = id"
        rows = connection.execute(f"{asked} ORDER BY prompt, adapter, question_id").fetchall()
    connection.close()
    return Ended(re.sub(MASKED, "...", (folder / "report.html").read_text()), names, rows, seconds, events)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def passed(key: str) -> dict[int, int]:
    """Rounds that an earlier, interrupted call of this test has done, with their kills; only of these very sources."""
    log = os.environ.get("LABKIT_KILLS_LOG")
    lines = Path(log).read_text().splitlines() if log and Path(log).is_file() else []
    records = [json.loads(line) for line in lines if line.endswith("}")]
    return {record["round"]: record["kills"] for record in records if record["key"] == key}


def note(record: dict) -> None:
    if log := os.environ.get("LABKIT_KILLS_LOG"):
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a") as file:
            file.write(json.dumps(record) + "\n")
    print(json.dumps(record), flush=True)


@pytest.mark.slow
@pytest.mark.timeout(12 * 3600)
def test_the_same_report_however_often_it_is_killed(ready, tmp_path):
    if REAL:
        (home() / "models").symlink_to(Path(os.environ["LABKIT_REAL"]).expanduser())
    sources = sorted(Path(labkit.__file__).parent.rglob("*.py"))
    key = hashlib.sha256(b"".join(path.read_bytes() for path in [*sources, JOB])).hexdigest()[:12] + "R" * REAL
    begun = tmp_path / "begun"
    shutil.copytree(ready, begun)
    with Jobs(tmp_path / "said") as jobs:
        whole = jobs.finish(ready)
        assert whole.page.count("<tr>") > 10 and whole.predictions and whole.events > 50
        done = passed(key)
        number, kills = -1, sum(done.values())
        while kills < KILLS:
            number += 1
            if number in done:
                continue
            rng = random.Random(f"round {number}")
            shutil.rmtree(ready)
            shutil.copytree(begun, ready)  # the same path: it stands in pairs and runs
            points = []
            for _ in range(min(rng.randint(3, 9), KILLS - kills)):
                points.append(jobs.kill(ready, rng, whole))
                if not points[-1][1]:
                    break  # it was quicker
            found = jobs.finish(ready)
            assert found.page == whole.page, f"round {number}, {points}"
            assert found.predictions == whole.predictions, f"round {number}, {points}"
            assert found.files == whole.files, f"round {number}, {points}"
            died = sum(at_work for _, at_work in points)
            kills += died
            note({"key": key, "round": number, "kills": died, "points": [where for where, _ in points]})
