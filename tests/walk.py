"""A new learner's whole way, in a browser: `make walk`. It takes an hour or more; `make test` does not collect it.

A fresh clone, README's `make lab`, the address that it prints, then lab after lab: the solutions typed into the
exercises, "Run All Cells" from the menu, every picture and widget looked at in both themes and at two widths; at the
end `labkit progress` and the certificate page. What a lab took and every stumble goes into results.json; a lab that is
in there is passed over, so a walk that was stopped goes on. Name labs to walk them anew: make walk WALK_ARGS="lab05".
With --short (a folder of its own) long cells are shortened: for what labs look like, not for what they take.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import nbformat
import psutil
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent))
from test_browser import CHROMIUM, CONTRASTS, IDLE, NOTEBOOK, OUTPUTS, SIZES, THEMES, WIDER, free_port

ROOT = Path(__file__).resolve().parent.parent
LAB_SECONDS = 3600  # no lab may take longer
CELL_SECONDS = 300  # a cell that takes longer is a stumble, says course.md: progress or not, it is shown
TIMED = {"@jupyterlab/notebook-extension:tracker": {"recordTiming": True}}
QUIET = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}
PICTURES = ".labkit, svg, .jupyter-widgets, img"
OURS = ".jp-OutputArea-output:not([data-mime-type*=error], [data-mime-type*=stderr])"  # the rest is JupyterLab's
SERVER = ("--no-browser", "--ServerApp.port_retries=0", "--LabApp.expose_app_in_browser=True")


@dataclass
class Walked:
    """One lab: wall and processor seconds from "Run All Cells" to the last cell (server, kernel and its children),
    the slowest cells, and each stumble as a sentence."""

    lab: str
    commit: str
    seconds: float = 0.0
    processor: float = 0.0
    passed: int = 0
    of: int = 0
    pictures: int = 0
    slowest: list[str] = field(default_factory=list)
    stumbles: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description="Walk the whole course as a new learner, in a browser.")
    parser.add_argument("labs", nargs="*", help="walk these, like lab05, even if walked already; without: what is left")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "walk", help="clone, home, pictures, results")
    parser.add_argument("--core", type=int, help="pin JupyterLab and its kernels to this processor core")
    parser.add_argument("--short", action="store_true", help="the short profile: no times that a learner would see")
    options = parser.parse_args()
    folder = options.folder.absolute() / ("short" if options.short else "full")
    folder.mkdir(parents=True, exist_ok=True)
    results, clone = read(folder), cloned(folder.parent)
    stems = sorted(path.stem for path in (clone / "notebooks").glob("lab*.ipynb"))
    left = [s for s in stems if (s[:5] in options.labs if options.labs else s not in results)]
    for stem in left:
        for old in (clone / "my-labs").glob(f"**/{stem}.ipynb"):
            old.unlink()
    if left:
        walk(folder, clone, left, results, options)
    ended = finish(folder, clone)
    print(table(results))
    print("\n".join(ended))
    return 1 if ended or any(walked["stumbles"] for walked in results.values()) else 0


def read(folder: Path) -> dict[str, dict]:
    file = folder / "results.json"
    return json.loads(file.read_text()) if file.exists() else {}


def cloned(folder: Path) -> Path:
    """A clone of this checkout's last commit, as `git clone` gives it to a learner."""
    clone = folder / "clone"
    if clone.exists():
        subprocess.run(["git", "-C", clone, "pull", "-q", "--ff-only"], check=True)
    else:
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    return clone


def environment(folder: Path) -> dict[str, str]:
    """A learner who has nothing yet: a home of its own, none of this user's settings, the full profile."""
    home = folder / "home"
    settings = home / ".jupyter" / "labconfig"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "default_setting_overrides.json").write_text(json.dumps(TIMED | QUIET))
    dropped = ("JUPYTER", "XDG_", "IPYTHON", "LABKIT", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"HOME": str(home)}


def walk(folder: Path, clone: Path, stems: list[str], results: dict, chosen: argparse.Namespace) -> None:
    """README's `make lab`, then each lab in the page whose address it prints."""
    options = " ".join((*SERVER, f"--port={free_port()}"))
    command = ["make", "lab", f"LAB_ARGS={options}"]
    profile = {"LABKIT_PROFILE": "ci"} if chosen.short else {}
    began, log = time.monotonic(), folder / "server.log"
    with open(log, "wb") as out:
        made = subprocess.Popen(
            command, cwd=clone, env=environment(folder) | profile, stdout=out, stderr=out, start_new_session=True
        )
    try:
        if chosen.core is not None:
            psutil.Process(made.pid).cpu_affinity([chosen.core])
        address = printed_address(made, log)
        print(f"make lab: the address was printed after {time.monotonic() - began:.0f} s", flush=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            for stem in stems:
                walked = one_lab(folder, clone, browser, made.pid, address, stem)
                results[stem] = asdict(walked)
                (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
                print(f"{stem}: {walked.seconds:.0f} s, stumbles: {walked.stumbles or 'none'}", flush=True)
            browser.close()
    finally:
        os.killpg(made.pid, signal.SIGTERM)
        made.wait(60)


def printed_address(made: subprocess.Popen, log: Path, seconds: float = 1800) -> str:
    """What JupyterLab prints for the learner to open, token and all."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        text = log.read_text(errors="replace")
        if found := re.search(r"http://127\.0\.0\.1:\d+/lab\S*token=\w+", text):
            return found[0]
        if made.poll() is not None:
            break
        time.sleep(0.5)
    raise SystemExit(f"`make lab` printed no address:\n{log.read_text(errors='replace')[-3000:]}")


def one_lab(folder: Path, clone: Path, browser, server: int, address: str, stem: str) -> Walked:
    git = subprocess.run(["git", "-C", clone, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    walked = Walked(stem, git.stdout.strip())
    context = browser.new_context(viewport=SIZES[0])
    context.set_default_timeout(180_000)
    page = context.new_page()
    page.on("pageerror", lambda error: walked.stumbles.append(f"the page said: {str(error)[:300]}"))
    try:
        page.goto(re.sub(r"/lab[^?]*", f"/lab/tree/{stem}.ipynb", address) + "&reset")
        page.wait_for_function(f"window.jupyterapp && {NOTEBOOK}?.sessionContext.session?.kernel?.status === 'idle'")
        type_solutions(page, clone, stem)
        before, began = processor_seconds(server), time.monotonic()
        run_to_the_end(page, walked)
        walked.seconds = round(time.monotonic() - began, 1)
        walked.processor = round(processor_seconds(server) - before, 1)
        read_outputs(page, walked)
        look(page, walked, folder / "pictures" / stem)
        page.evaluate(f"async () => await {NOTEBOOK}.context.save()")
    except Exception as error:  # the other labs are walked all the same
        walked.stumbles.append(f"the walk stopped with {type(error).__name__}: {str(error)[:500]}")
    finally:
        page.evaluate(f"async () => await {NOTEBOOK}?.sessionContext.shutdown()")
        context.close()
    return walked


def type_solutions(page, clone: Path, stem: str) -> None:
    """Put the solution of each exercise where the learner's notebook says `raise NotImplementedError`."""
    written = nbformat.read(clone / "solutions" / f"{stem}.ipynb", as_version=4)
    solutions = {cell.id: cell.source for cell in written.cells}
    mine = nbformat.read(clone / "my-labs" / f"{stem}.ipynb", as_version=4)
    for place, cell in enumerate(mine.cells):
        if "raise NotImplementedError" in cell.source:
            page.evaluate(
                f"([place, text]) => {NOTEBOOK}.content.model.cells.get(place).sharedModel.setSource(text)",
                [place, solutions[cell.id]],
            )


def run_to_the_end(page, walked: Walked) -> None:
    page.locator("#jp-MainMenu").get_by_text("Run", exact=True).click()
    page.locator(".lm-Menu-item[data-command='runmenu:run-all']").click()
    done = f"() => {{ const cells = ({OUTPUTS})(); return {IDLE} && (cells.at(-1).count || {FAILED}); }}"
    page.wait_for_function(done, timeout=1000 * LAB_SECONDS, polling=250)
    page.wait_for_timeout(500)


FAILED = "cells.some((cell) => cell.outputs.some((output) => output.output_type === 'error'))"
TIMINGS = f"""() => [...{NOTEBOOK}.content.model.cells].filter((cell) => cell.type === 'code')
  .map((cell) => cell.getMetadata('execution') || {{}})"""


def read_outputs(page, walked: Walked) -> None:
    """What the cells said: errors, words on stderr, exercises not passed, the slowest cells."""
    cells, times = page.evaluate(OUTPUTS), page.evaluate(TIMINGS)
    for cell in cells:
        head = next((line for line in cell["source"].splitlines() if line.strip()), "")[:70]
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                walked.stumbles.append(f"`{head}` stopped: {output['ename']}: {output['evalue'][:300]}")
            if output.get("name") == "stderr" and "\r" not in text_of(output):
                walked.stumbles.append(f"`{head}` wrote to stderr: {text_of(output)[:300]!r}")
            verdict = output.get("data", {}).get("text/plain", "")
            found = re.match(r"([✓✗…]) lab\d\d\.\w+: ", "".join(verdict))
            walked.of += bool(found)
            walked.passed += bool(found) and found[1] == "✓"
    if walked.passed < walked.of:
        walked.stumbles.append(f"{walked.of - walked.passed} solutions were not accepted")
    took = sorted(((seconds(timing), cell["source"]) for timing, cell in zip(times, cells, strict=True)), reverse=True)
    walked.slowest = [f"{took_by:.0f} s: {source.splitlines()[0][:70]}" for took_by, source in took[:3]]
    walked.stumbles += [f"a cell took {s:.0f} s: `{source.splitlines()[0]}`" for s, source in took if s > CELL_SECONDS]


def text_of(output: dict) -> str:
    return "".join(output.get("text", ""))


def seconds(timing: dict) -> float:
    """Of one cell, by JupyterLab's own times."""
    from datetime import datetime

    begun, ended = (timing.get(key) for key in ("iopub.execute_input", "shell.execute_reply"))
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds() if begun and ended else 0.0


def look(page, walked: Walked, folder: Path) -> None:
    """Each cell with a picture or a widget, in both themes and at both sizes: taken, its contrast and room measured."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shown = page.evaluate(f"() => {NOTEBOOK}.content.widgets.length")
    for theme in THEMES:
        page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
        dark = "true" if theme.endswith("Light") else "false"
        page.wait_for_function(f"document.body.dataset.jpThemeLight === '{dark}'")
        for size in SIZES:
            page.set_viewport_size(size)
            page.wait_for_timeout(500)
            for place in range(shown):
                look_at(page, walked, folder, place, f"{theme.split()[1]}-{size['width']}")


def look_at(page, walked: Walked, folder: Path, place: int, name: str) -> None:
    page.evaluate(f"async (place) => await {NOTEBOOK}.content.scrollToItem(place, 'start')", place)
    cell = page.evaluate_handle(f"(place) => {NOTEBOOK}.content.widgets[place].node", place).as_element()
    outputs = cell.query_selector_all(OURS)
    for output in outputs:
        found = [f"pale: {words}" for words in output.evaluate(CONTRASTS)]
        if output.query_selector(PICTURES):  # a wide table of figures scrolls, and may
            found += [f"wide: {part}" for part in output.evaluate(WIDER)]
        walked.stumbles += [f"cell {place}, {name}, {sentence}" for sentence in found]
    node = next((output for output in outputs if output.query_selector(PICTURES)), None)
    if node:
        node.evaluate("(one) => one.scrollIntoView({ block: 'start' })")
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{place:02}-{name}.png")
        walked.pictures += 1


def processor_seconds(server: int) -> float:
    """Of a process and everything below it, ended children included."""
    total = 0.0
    family = psutil.Process(server)
    for process in (family, *family.children(recursive=True)):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def finish(folder: Path, clone: Path) -> list[str]:
    """`labkit progress` and the certificate page, as the README has them; a picture of the page in both themes."""
    certificate = folder / "certificate.html"
    command = [clone / ".venv" / "bin" / "labkit", "progress", "--certificate", certificate]
    done = subprocess.run(command, cwd=clone, env=environment(folder), capture_output=True, text=True)
    print(done.stdout)
    if done.returncode or done.stderr.strip():
        return [f"labkit progress: exit {done.returncode}: {done.stderr.strip()[:500]}"]
    stumbles = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for size in SIZES:
                page = browser.new_page(viewport=size, color_scheme=scheme)
                page.goto(certificate.as_uri())
                page.screenshot(path=folder / f"certificate-{scheme}-{size['width']}.png", full_page=True)
                page.locator("summary").click()  # what is folded is looked at too
                pale = page.locator("body").evaluate(CONTRASTS)
                stumbles += [f"certificate, {scheme}: pale: {words}" for words in pale]
                if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                    stumbles.append(f"certificate, {size['width']}: wider than the window")
                page.close()
        browser.close()
    return stumbles


def table(results: dict[str, dict]) -> str:
    """The walk as a table for EXPERIMENTS.md."""
    rows = ["| lab | wall s | processor s | exercises | pictures | stumbles |", "|---|---|---|---|---|---|"]
    for stem in sorted(results):
        w = results[stem]
        cells = (stem, w["seconds"], w["processor"], f"{w['passed']} of {w['of']}", w["pictures"], len(w["stumbles"]))
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
