"""What every test shares: a home of its own for the kit's files; CI forbids skips (LABKIT_FORBID_SKIPS)."""

import os
from pathlib import Path

import pytest

from labkit.home import home

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
    if os.environ.get("LABKIT_FORBID_SKIPS") and reporter.stats.get("skipped"):
        reporter.write_line("Skipping is forbidden here, and tests were skipped (see above).", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config):
    """The last line of a run that could not open the labs: a row of skips is easily overlooked."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", ()) if reporter else ()
    if any("Chromium is not installed" in str(report.longrepr) for report in skipped):
        reporter.write_line("The labs were not opened in a browser: Chromium is not installed.", yellow=True)
