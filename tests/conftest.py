"""What every test shares: a home of its own for the kit's files; CI forbids skips (LABKIT_FORBID_SKIPS)."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # two workers, two cores: one thread each, and for what they start
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from labkit.home import home

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # begun in the background of a shell: tests send Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout's folder."""
    return ROOT


@pytest.fixture(scope="session")
def league() -> Path:
    """The league database."""
    return ROOT / "datasets" / "league" / "league.sqlite"


@pytest.fixture(autouse=True)
def own_home(request, tmp_path, monkeypatch):
    """Tests never write into the user's run store; `real` and `notebook` ones see the models by a link."""
    users = home()
    folder = tmp_path / "labkit-home"
    folder.mkdir()
    if any(request.node.get_closest_marker(mark) for mark in ("real", "notebook")):
        (folder / "models").symlink_to(users / "models")
    monkeypatch.setenv("LABKIT_HOME", str(folder))
    return folder


def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and os.environ.get("LABKIT_FORBID_SKIPS") and reporter.stats.get("skipped"):
        reporter.write_line("Skipping is forbidden here, and tests were skipped (see above).", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config):
    """The last line of a run that could not open the labs: a row of skips is easily overlooked."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", ()) if reporter else ()
    if any("Chromium is not installed" in str(report.longrepr) for report in skipped):
        reporter.write_line("The labs were not opened in a browser: Chromium is not installed.", yellow=True)


@pytest.fixture
def on_read_only_media(tmp_path_factory):
    """Runs a Python program, which gets the folder as its argument, beside a copy of `folder` on a file system that is
    mounted read-only: that holds for root too, unlike a mode. What it printed; None, with a warning, where this user
    may mount nothing (a container without the privilege)."""
    point = tmp_path_factory.mktemp("media")
    mount = 'mount -t tmpfs none "$1" || exit 9; '
    calls = [["unshare", "-m"], ["unshare", "-rm"]] if shutil.which("unshare") else []
    may = [c for c in calls if not subprocess.run([*c, "sh", "-c", mount, "sh", point], capture_output=True).returncode]
    script = mount + 'cp -a "$2/." "$1" && mount -o remount,ro "$1" || exit 9; '
    script += 'touch "$1/new" 2>/dev/null && exit 8; exec "$3" -c "$4" "$1"'

    def run(folder: Path, program: str) -> str | None:
        if not may:
            warnings.warn("Nothing was tried on read-only media: this user may mount nothing.", stacklevel=2)
            return None
        call = [*may[0], "sh", "-c", script, "sh", point, folder, sys.executable, program]
        done = subprocess.run(call, capture_output=True, text=True)
        assert done.returncode == 0, (done.returncode, done.stderr)
        return done.stdout

    return run


@pytest.fixture(scope="session")
def drawn():
    """Draws intents of a family of the grammar: their queries run, their wordings have no leftovers."""
    from labkit.datagen.drawing import Drawer, NothingToAsk
    from labkit.execution import execute_many

    def draw(speaker, family, n=12, tries=600):
        """(query, rows, six wordings) of `n` intents of a family."""
        drawer, found = Drawer(speaker, random.Random(5)), []
        for _ in range(tries):
            try:
                intent = family(drawer)
            except NothingToAsk:
                continue
            found += [intent] if intent else []
            if len(found) == n:
                break
        results = execute_many(speaker.world.database, [i.sql for i in found])
        assert len(found) >= 5 and {r.error for r in results} == {None}
        words = [[intent.word(drawer.rng) for _ in range(6)] for intent in found]
        assert not [t for texts in words for t in texts if set(t) & set("{}|[]\x0f")]
        return [(intent.sql, result.rows, texts) for intent, result, texts in zip(found, results, words, strict=True)]

    return draw


@pytest.fixture
def with_replay(root, tmp_path, monkeypatch):
    """Runs a learner's notebook, named as in "lab05_tune", with `REPLAY = True`: what the cells printed that hold each
    of `parts`."""
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("LABKIT_PROFILE", "ci")
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    (tmp_path / "my-labs").mkdir()
    for folder in ("notebooks", "datasets"):
        (tmp_path / folder).symlink_to(root / folder)

    def run(lab: str, parts) -> dict[str, str]:
        notebook = nbformat.read(root / f"notebooks/{lab}.ipynb", as_version=4)
        (chosen,) = [cell for cell in notebook.cells if re.search("^REPLAY = False", cell.source, re.M)]
        chosen.source = chosen.source.replace("REPLAY = False", "REPLAY = True")
        where = {"metadata": {"path": str(tmp_path / "my-labs")}}
        NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
        shown = {}
        for cell in notebook.cells:
            outputs = cell.get("outputs", [])
            text = "".join(str(o.get("text") or o.get("data", {}).get("text/plain", "")) for o in outputs)
            shown |= {part: text for part in parts if part in cell.source}
        return shown

    return run
