"""The labs and the widgets as a learner has them: a real JupyterLab, opened by `labkit lab` in a folder of its own, in a
real Chromium without a window.

Where Chromium or Playwright is missing all of it is skipped, and the run's last line says so.
"""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest

from labkit.home import home

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)"),
]
HERE = Path(__file__).parent
PATIENCE = 120  # seconds: kernels start slowly on two busy cores
THEMES = ("JupyterLab Light", "JupyterLab Dark")
SIZES = ({"width": 1280, "height": 900}, {"width": 800, "height": 1000})
LAB_SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}


class Lab:
    """A running JupyterLab: its folder (with my-labs/), its address, a browser."""

    def __init__(self, folder: Path, address: str, token: str, browser):
        self.folder, self.labs, self.address, self.token = folder, folder / "my-labs", address, token
        self.browser = browser

    @contextmanager
    def page(self, notebook: str, size=SIZES[0]):
        """A notebook of my-labs/ open in a page of its own; its kernel ends with it."""
        context = self.browser.new_context(viewport=size)
        context.set_default_timeout(PATIENCE * 1000)
        page = context.new_page()
        try:
            page.goto(f"{self.address}/lab/tree/{notebook}?reset&token={self.token}")
            page.wait_for_function(f"window.jupyterapp && {NOTEBOOK}?.sessionContext.session?.kernel?.status === 'idle'")
            yield page
        finally:
            page.evaluate(f"async () => await {NOTEBOOK}?.sessionContext.shutdown()")
            context.close()

    @contextmanager
    def shown(self, *cells: str, size=SIZES[0]):
        """A notebook of these cells behind `import showcase`, open and run to its end."""
        name = f"shown-{secrets.token_hex(4)}.ipynb"
        made = [nbformat.v4.new_code_cell(source) for source in ("import showcase", *cells)]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=kernel), self.labs / name)
        with self.page(name, size) as page:
            run_all(page)
            yield page


NOTEBOOK = "window.jupyterapp.shell.currentWidget"
IDLE = f"{NOTEBOOK}.sessionContext.session.kernel.status === 'idle'"
OUTPUTS = f"""() => [...{NOTEBOOK}.content.model.cells].filter((cell) => cell.type === 'code').map((cell) => ({{
  source: cell.sharedModel.getSource(), count: cell.executionCount, outputs: cell.outputs.toJSON() }}))"""


@pytest.fixture(scope="module")
def lab(root, tmp_path_factory):
    """`labkit lab` on a free port, with the course in a folder of its own and nobody's settings but its own."""
    from playwright.sync_api import sync_playwright

    folder = tmp_path_factory.mktemp("course")
    shutil.copytree(root / "notebooks", folder / "notebooks")
    (folder / "datasets").symlink_to(root / "datasets")
    token, port = secrets.token_hex(16), free_port()
    options = ["--no-browser", f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    options.append("--LabApp.expose_app_in_browser=True")
    command = [sys.executable, "-c", "import sys; from labkit.cli import main; sys.exit(main())", "lab", *options]
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=environment(folder), stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(lambda: answers(port) or server.poll() is not None, (folder / "server.log").read_text)
        assert server.poll() is None, (folder / "server.log").read_text()
        for name in ("showcase.py", "standin.py"):
            shutil.copyfile(HERE / name, folder / "my-labs" / name)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            yield Lab(folder, f"http://127.0.0.1:{port}", token, browser)
            browser.close()
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # asks no question, unlike an interrupt
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def environment(folder: Path) -> dict[str, str]:
    """Of the server and its kernels: a home in `folder`, the models by a link, the short profile."""
    own = folder / "home"
    (own / "labkit").mkdir(parents=True)
    (own / "labkit" / "models").symlink_to(home() / "models")
    (own / "jupyter" / "labconfig").mkdir(parents=True)
    (own / "jupyter" / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(LAB_SETTINGS))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "XDG_", "IPYTHON"))}
    places = {"HOME": own, "LABKIT_HOME": own / "labkit", "JUPYTER_CONFIG_DIR": own / "jupyter"}
    return {**kept, **{n: str(p) for n, p in places.items()}, "JUPYTER_PREFER_ENV_PATH": "1", "LABKIT_PROFILE": "ci"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(true, told=lambda: "", seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, told()
        time.sleep(0.05)
    return found


def run_all(page, seconds=PATIENCE) -> None:
    """Run every cell; returns when the last one is done. A cell that fails is told."""
    page.evaluate("() => { window.ran = null; window.jupyterapp.commands.execute('notebook:run-all-cells')"
                  ".then(() => { window.ran = true; }); }")  # fmt: skip
    page.wait_for_function("window.ran", timeout=1000 * seconds)
    assert not errors(page)


def errors(page) -> list[str]:
    """Cells that stopped with an error, and the error."""
    return [
        f"{cell['source'][:80]}: {output['ename']}: {output['evalue']}"
        for cell in page.evaluate(OUTPUTS)
        for output in cell["outputs"]
        if output["output_type"] == "error"
    ]


# --- a lab


def test_an_untouched_lab_runs_from_the_menu_to_its_last_cell(lab):
    with lab.page("lab02_evaluate.ipynb") as page:
        page.locator("#jp-MainMenu").get_by_text("Run", exact=True).click()
        page.locator(".lm-Menu-item[data-command='runmenu:run-all']").click()
        last = f"({OUTPUTS})().at(-1)"
        page.wait_for_function(f"() => {last}.count && {IDLE}", timeout=150_000)
        assert errors(page) == []
        cells = page.evaluate(OUTPUTS)
        exercises = [place for place, cell in enumerate(cells) if "raise NotImplementedError" in cell["source"]]
        assert len(exercises) >= 3 and "not written yet" in printed(cells)
        assert printed(cells).count("not written yet") == len(exercises)
        assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))


def printed(cells: list[dict]) -> str:
    return "".join(
        "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))
        for cell in cells
        for output in cell["outputs"]
    )


# --- widgets


def test_the_inspector_filters_runs_edited_sql_and_promotes(lab):
    with lab.shown("showcase.inspector('inspected')") as page:
        view = page.get_by_role("region", name="failing-query inspector")
        listed = view.get_by_label("failures")
        print(view.inner_text())
