"""The labs and the widgets as a learner has them: a real JupyterLab, opened by `labkit lab` in a folder of its own, in
a real Chromium without a window.

Where Chromium is missing all of it is skipped, and the run's last line says so.
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

from labkit.dataset import load_questions
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
            page.wait_for_function(
                f"window.jupyterapp && {NOTEBOOK}?.sessionContext.session?.kernel?.status === 'idle'"
            )
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
        options, said = view.get_by_label("failures").locator("option"), view.locator(".said")
        assert options.count() == 3
        view.get_by_label("failures").press("ArrowDown")  # in the list, not to JupyterLab's next cell
        assert view.get_by_label("failures").input_value() == "mine/start-02"
        view.get_by_label("class", exact=True).select_option("malformed_join")
        view.get_by_label("failures").select_option("mine/start-01")
        assert options.count() == 2 and "2 of 3 failures" in view.inner_text()
        view.get_by_label("SQL, editable").fill("SELECT coach FROM teams WHERE nickname = 'Otter'")
        view.get_by_role("button", name="Run in the sandbox").click()
        said.get_by_text("Judged wrong.").wait_for()
        view.get_by_label("SQL, editable").fill("SELECT coach FROM teams WHERE nickname = 'Otters'")
        view.get_by_label("SQL, editable").press("Control+Enter")
        said.get_by_text("Judged right.").wait_for()
        assert "Priya Castellane" in view.locator(".sides").last.inner_text()
        promote = view.get_by_role("button", name="Promote to training")
        promote.click()
        said.get_by_text("✓").wait_for()
        assert promote.is_disabled()
        left = (lab.labs / "inspected" / "eval.jsonl").read_text()
        assert '"start-01"' not in left and '"start-02"' in left
        assert page.locator(".jp-Notebook .jp-Cell").count() == 2  # no key reached JupyterLab's own shortcuts


def test_the_inspectors_other_buttons_and_what_differs(lab, tmp_path):
    """Similar, add, mark, correct pressed; both sides of a result marked (the picture is kept in the test's folder)."""
    with lab.shown("showcase.inspector('curated')") as page:
        view, made = page.get_by_role("region", name="failing-query inspector"), lab.labs / "curated"
        failures, said = view.get_by_label("failures"), view.locator(".said")

        def press(name: str, told: str) -> str:
            view.get_by_role("button", name=name).click()
            said.get_by_text(re.compile(told)).wait_for()
            return said.inner_text()

        for place in (0, 1):
            assert view.locator(".detail .sides > div").nth(place).locator("td.differs").count() == 1
        view.locator(".detail").scroll_into_view_if_needed()
        page.screenshot(path=tmp_path / "both-sides.png")
        press("Generate similar pairs", r"^✓ \d+ similar pairs are in similar.jsonl now")
        pair = load_questions(made / "similar.jsonl")[0]
        view.get_by_label("question, editable").fill(pair.question)
        view.get_by_label("SQL, editable").fill(pair.sql)
        press("Add to an evaluation set", "^✗ The question of 'from-start-01' is also in similar")
        view.get_by_label("question, editable").fill("How many coaches have a name?")
        view.get_by_label("SQL, editable").fill("SELECT COUNT(*) FROM teams WHERE coach <> '--'")
        press("Add to an evaluation set", "^✓ from-start-01 is in added.jsonl")
        failures.select_option("mine/start-02")
        press("Mark the gold as wrong", "^✓ start-02 waits in eval.aside.jsonl until its gold is corrected")
        assert "aside: start-02" in failures.inner_text() and "3 of 3 failures, 1 settled" in view.inner_text()
        names = ("Promote to training", "Add to an evaluation set", "Mark the gold as wrong")
        assert all(view.get_by_role("button", name=name).is_disabled() for name in names)
        page.screenshot(path=tmp_path / "aside.png")
        failures.select_option("mine/start-01")
        assert view.get_by_label("question, editable").input_value() == "How many coaches have a name?"
        failures.select_option("mine/start-02")
        view.get_by_label("SQL, editable").fill("SELECT COUNT(*) FROM teams WHERE titles = 0")
        press("Correct the gold", "^✓ start-02 is back, with its right gold, in eval.jsonl, version 3")
        assert "aside" not in failures.inner_text()
        assert [q.id for q in load_questions(made / "eval.jsonl")][-1] == "start-02"
        assert errors(page) == []


CLASS = "malformed_join"


@pytest.mark.alone
def test_a_thousand_failures_are_filtered_within_200_ms(lab, capsys):
    measured = """([label, value, event]) => new Promise((done) => {
      const control = document.querySelector(`.labkit [aria-label="${label}"]`);
      const began = performance.now();
      control.value = value;
      control.dispatchEvent(new Event(event));
      requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));  // it is on the screen
    })"""
    with lab.shown("showcase.failures(1000)") as page:
        options = page.locator('.labkit [aria-label="failures"] option')
        assert options.count() == 1000
        page.locator(".labkit").scroll_into_view_if_needed()
        wanted = [("class", CLASS, "change", 333), ("class", "", "change", 1000), ("words", "q11", "input", 11)]
        for label, value, event, left in wanted:
            took = page.evaluate(measured, [label, value, event])
            assert options.count() == left
            with capsys.disabled():
                print(f"\n1,000 failures, {label} {value!r}: {took:.0f} ms, {left} left")
            assert took < 200, f"{label} {value!r}: {took:.0f} ms"


def test_the_playground_suggests_anew_after_a_verdict(lab):
    with lab.shown("showcase.playground()") as page:
        view = page.get_by_role("region", name="adversarial playground")
        view.get_by_label("your question").fill("How many teams are there?")
        view.get_by_role("button", name="Ask").click()
        suggested = view.get_by_role("button", name="How many teams are in the South?")
        suggested.wait_for()
        assert "97 %" in view.get_by_label("probability of each token").inner_text()
        view.get_by_role("button", name="The answer is wrong").click()
        suggested.wait_for(state="detached")
        view.get_by_role("button", name="How many teams have won a title?").wait_for()


def test_a_slider_moves_the_bars(lab):
    with lab.shown("showcase.bars()", "showcase.fact()") as page:
        bars, fact = page.locator(".jp-OutputArea-output").filter(has=page.get_by_role("slider")).all()
        heat = bars.get_by_role("slider").first
        first = bars.locator("table div").first
        before = width(first)
        for _ in range(12):
            heat.press("ArrowLeft")
        wait_for(lambda: width(first) > 1.3 * before)
        assert bars.locator("output").first.inner_text() == "0.40"
        bars.get_by_role("slider").nth(1).press("ArrowRight")  # top-k 1: one token is left
        wait_for(lambda: bars.locator("tr").first.inner_text().split()[-2:] == ["100.0", "%"])
        assert bars.locator("tr").nth(1).inner_text().split()[-2:] == ["0.0", "%"]
        told = fact.inner_text()
        fact.get_by_role("slider").press("End")
        wait_for(lambda: fact.inner_text() != told)


def width(bar) -> float:
    """In pixels; 0 while the view draws itself anew."""
    return (bar.bounding_box() or {"width": 0})["width"]


def test_a_training_is_started_stopped_goes_on_and_is_interrupted(lab):
    cells = ("view = showcase.training('tuned')", "view", "view.start() and view.state")
    with lab.shown(*cells) as page:
        status = page.locator(".jp-OutputArea-output [role=status]")
        assert "'running'" in printed(page.evaluate(OUTPUTS)[3:])  # the cell returned while it ran
        status.get_by_text(re.compile(r"running; step [1-9]")).wait_for()
        assert page.evaluate(f"() => {IDLE}")
        page.get_by_role("button", name="Stop", exact=True).click()
        status.get_by_text(re.compile("^stopped")).wait_for()
        stopped = step_of(status)
        checkpoint = lab.labs / "tuned" / "out" / "unfinished" / "checkpoint.pt"
        first = checkpoint.stat().st_mtime_ns
        page.get_by_role("button", name="Start or go on").click()
        wait_for(lambda: step_of(status) > stopped)
        page.evaluate("() => window.jupyterapp.commands.execute('kernelmenu:interrupt')")  # JupyterLab's own
        status.get_by_text(re.compile("^stopped")).wait_for()
        status.get_by_text(re.compile(f"^stopped; step (?!{stopped} )")).wait_for()
        assert checkpoint.stat().st_mtime_ns > first and errors(page) == []


def test_a_view_that_is_drawn_anew_by_a_later_cell_is_one_and_live(lab):
    with lab.shown("view = showcase.running()", "view", "view.stop(); print(view.wait())") as page:
        status = page.locator(".jp-OutputArea-output [role=status]")
        status.get_by_text(re.compile("^stopped")).wait_for()
        assert status.count() == 1
        page.get_by_role("button", name="Start or go on").click()
        status.get_by_text(re.compile("^running")).wait_for()
        page.get_by_role("button", name="Stop", exact=True).click()
        status.get_by_text(re.compile("^stopped")).wait_for()
        assert errors(page) == []


def step_of(status) -> int:
    return int(re.search(r"step (\d+)", status.inner_text())[1])


# --- every view: names, keys, contrast, room

VIEWS = {
    "inspector": "showcase.inspector('views')",
    "bars": "showcase.bars()",
    "fact": "showcase.fact()",
    "training": "showcase.trained()",
    "running": "showcase.running()",
    "playground": "showcase.playground()",
    "explorer": "showcase.explorer()",
    "ladder": "showcase.ladder()",
    "experts": "showcase.experts()",
    "low_rank": "showcase.low_rank()",
    "token_losses": "showcase.token_losses()",
    "loss_curve": "showcase.loss_curve()",
    "curves": "showcase.curves()",
}
WORKED = list(VIEWS)[:9]  # those that are worked, not only looked at
CONTROLS = "select, input, textarea, button, [role=slider], [tabindex='0'], [contenteditable=true]"


@pytest.fixture(scope="module")
def views(lab):
    """One page with every view; the playground was asked something."""
    with lab.shown(*VIEWS.values()) as page:
        view = page.get_by_role("region", name="adversarial playground")
        view.get_by_label("your question").fill("How many teams are there?")
        view.get_by_label("your question").press("Enter")
        view.get_by_text("There are 24 teams.").wait_for()
        yield page


def output(page, name: str):
    """The output of a view's cell."""
    return page.locator(".jp-Notebook .jp-Cell").nth(1 + list(VIEWS).index(name)).locator(".jp-OutputArea-output")


@pytest.mark.parametrize("name", VIEWS)
def test_every_control_has_a_name(views, name):
    controls = [control for control in output(views, name).locator(CONTROLS).all() if control.is_visible()]
    told = [control.aria_snapshot() for control in controls]
    assert [line for line in told if not re.match(r"- '?\w+ \"[^\"]+", line)] == []
    assert bool(told) == (name in WORKED)


@pytest.mark.parametrize("name", WORKED)
def test_tab_goes_through_all_controls_in_their_order(views, name):
    marked = """(all) => all.filter((one) => !one.disabled && one.offsetParent)
      .map((one, place) => (one.dataset.place = `${place}`))"""
    controls = output(views, name).locator(CONTROLS)
    places = controls.evaluate_all(marked)
    if not places:
        assert name == "training"  # a run that is finished has nothing to press
        return
    output(views, name).locator("[data-place='0']").focus()
    reached = []
    for _ in places:
        reached.append(views.evaluate("document.activeElement.dataset.place"))
        views.keyboard.press("Tab")
    assert reached == places


def test_a_running_training_keeps_the_focus_and_is_stopped_by_keys(lab):
    with lab.shown("showcase.running()") as page:
        status = page.locator(".jp-OutputArea-output [role=status]")
        status.get_by_text(re.compile(r"running; step [1-9]")).wait_for()
        stop = page.get_by_role("button", name="Stop", exact=True)
        stop.focus()
        seen = step_of(status)
        wait_for(lambda: step_of(status) > seen + 10)  # drawn anew meanwhile
        focused = "document.activeElement.textContent.trim()"
        assert page.evaluate(focused) == "Stop"
        page.keyboard.press("Shift+Tab")
        assert (
            page.evaluate(focused) != "Stop"
        )  # "Start or go on" is passed over while it runs, and no key is swallowed
        page.keyboard.press("Tab")
        assert page.evaluate(focused) == "Stop"
        page.keyboard.press("Enter")
        status.get_by_text(re.compile("^stopped")).wait_for()
        page.keyboard.press("Shift+Tab")
        assert page.evaluate(focused) == "Start or go on"


@pytest.mark.parametrize("theme", THEMES)
def test_text_stands_out_in_both_themes_and_nothing_sticks_out(views, theme, tmp_path):
    views.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    dark = "true" if theme.endswith("Light") else "false"
    views.wait_for_function(f"document.body.dataset.jpThemeLight === '{dark}'")
    pale, wide = {}, {}
    for size in SIZES:
        views.set_viewport_size(size)
        for name in VIEWS:
            shown = output(views, name)
            shown.evaluate("(one) => one.scrollIntoView({ block: 'start' })")
            views.wait_for_timeout(300)
            views.screenshot(path=tmp_path / f"{name}-{theme.split()[1]}-{size['width']}.png")
            pale[name] = shown.evaluate(CONTRASTS)
            wide[name, size["width"]] = shown.evaluate(WIDER)
            if name == "training":  # however long the facts are: some of the map is in sight
                first, room = shown.locator("td").nth(3).bounding_box(), shown.bounding_box()
                assert first["x"] + first["width"] <= room["x"] + room["width"]
    assert {name: found for name, found in pale.items() if found} == {}
    assert {name: found for name, found in wide.items() if found} == {}


# What in an output has text of less than 4.5 to 1 on its ground (WCAG 2.2, 1.4.3); disabled controls are free.
CONTRASTS = """(root) => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a));
  const ground = (node) => {
    if (!node) return [255, 255, 255];
    const colour = rgba(getComputedStyle(node).backgroundColor);
    return colour[3] === 1 ? colour.slice(0, 3) : over(colour, ground(node.parentElement));
  };
  const seen = (node) => node ? Number(getComputedStyle(node).opacity) * seen(node.parentElement) : 1;
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const check = (node, style, words) => {
    const under = ground(node);
    const ink = rgba(node instanceof SVGElement ? style.fill : style.color);
    const shown = over([ink[0], ink[1], ink[2], ink[3] * seen(node)], under);
    const [high, low] = [light(shown), light(under)].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) found.push(`${words.trim().slice(0, 40)}: ${contrast.toFixed(2)}`);
  };
  for (const node of root.querySelectorAll('*')) {
    if (node.closest(':disabled, title, style') || !node.getClientRects().length) continue;
    const words = [...node.childNodes].filter((c) => c.nodeType === 3).map((c) => c.textContent).join(' ');
    if (words.trim()) check(node, getComputedStyle(node), words);
    else if (node.value) check(node, getComputedStyle(node), String(node.value));
    if (node.placeholder) check(node, getComputedStyle(node, '::placeholder'), node.placeholder);
  }
  return found;
}"""
# What of an output is wider than its room and cannot be scrolled to.
WIDER = """(root) => {
  const edge = root.getBoundingClientRect().right + 1;
  const scrolls = (node) => node && node !== root
    && (['auto', 'scroll'].includes(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
  return [...root.querySelectorAll('.labkit, .labkit *, .widget-html *, .jp-RenderedHTMLCommon *')]
    .filter((node) => node.getBoundingClientRect().right > edge && !scrolls(node.parentElement))
    .map((node) => `${node.tagName} ${Math.round(node.getBoundingClientRect().right - edge)}`);
}"""
