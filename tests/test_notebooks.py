"""Notebooks stay in step with their source, are reproducible, and run: the solutions and, untouched, the learner's."""

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

LABS = sorted(path.stem for path in (Path(__file__).parent.parent / "solutions").glob("lab*.py"))


@pytest.fixture(scope="session")
def tool(root):
    """tools/make_notebooks.py as a module."""
    spec = importlib.util.spec_from_file_location("make_notebooks", root / "tools" / "make_notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small(tmp_path, tool):
    """A course of one small lab in a folder of its own, notebooks written, the solution's as if executed."""
    for folder in ("solutions", "notebooks"):
        (tmp_path / folder).mkdir()
    source = tmp_path / "solutions" / "lab00_small.py"
    source.write_text(SMALL)
    tool.write(tmp_path)
    executed = tool.solution_notebook(source)
    for number, cell in enumerate((c for c in executed.cells if c.cell_type == "code"), 1):
        cell.execution_count = number
    executed.metadata["labkit"]["commit"] = "abc"
    source.with_suffix(".ipynb").write_bytes(tool.to_bytes(executed))
    return source


SMALL = '''# ruff: noqa: B018
# %% [markdown]
# # A lab

# %%
import math


# %%
def area(radius):
    """Area of a circle."""
    # BEGIN SOLUTION
    square = radius**2
    return math.pi * square
    # END SOLUTION


# %% tags=["nbval-check-output"]
1 + 1

# %% tags=["nbval-check-output"]
1 + 1
'''


# --- the labs of the course


def test_nothing_is_stale(tool):
    assert tool.stale() == []


def test_the_labs_are_all_here(tool):
    assert [source.stem for source in tool.sources()] == LABS


@pytest.mark.parametrize("lab", LABS)
def test_a_lab_has_the_parts_that_it_should(tool, root, lab):
    source = root / "solutions" / f"{lab}.py"
    cells = tool.solution_notebook(source).cells
    text = source.read_text()
    assert 30 <= len(cells) <= 50
    assert sum(tool.CHECKED in cell.metadata.get("tags", []) for cell in cells) >= 8
    assert 3 <= text.count("# BEGIN SOLUTION") <= 6
    for part in ("you can**", "**Time**", "**You need**", "## Recap", "## Go further", "course.setup()"):
        assert part in text, part


@pytest.mark.parametrize("lab", LABS)
def test_an_executed_lab_carries_its_stamp_and_is_small(tool, root, lab):
    path = root / "solutions" / f"{lab}.ipynb"
    stamp = json.loads(path.read_text())["metadata"]["labkit"]
    assert stamp["source_sha256"] == tool.source_hash(path.with_suffix(".py"))
    assert re.fullmatch(r"[0-9a-f]{40}", stamp["commit"]) and re.fullmatch(r"\d{4}-\d\d-\d\d", stamp["date"])
    assert stamp["labkit"] and stamp["profile"] == "full"
    assert path.stat().st_size <= tool.MOST_BYTES


def test_lab_8_shows_how_sure_the_model_was(root):
    cells = nbformat.read(root / "solutions" / "lab08_iterate.ipynb", as_version=4).cells
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    (table,) = [html for data in outputs if "least sure token" in (html := data.get("text/html", ""))]
    assert re.search(r"<td><code>[^<]+ \d+ %</code></td>", table)


def test_all_notebooks_together_are_small(root):
    notebooks = [path for folder in ("notebooks", "solutions") for path in (root / folder).glob("*.ipynb")]
    assert len(notebooks) == 2 * len(LABS) and sum(path.stat().st_size for path in notebooks) < 5_000_000


QUICK = {  # what is asked or made without a bar: no model at work, or for some twenty facts of a few tokens
    *("Parrot(trained)", "Copyist()", "recording", "recording or Copyist()", "half"),
    *("ReplyGenerator(loaded, 'chat', 8)", "ReplyGenerator(tuned, 'chat', 8)"),
}


@pytest.mark.parametrize("lab", LABS)
def test_what_takes_minutes_shows_how_far_it_is(root, lab):
    """Whatever asks or tunes a model shows a bar, or a view that is told each step."""
    tree = ast.parse((root / "solutions" / f"{lab}.py").read_text("utf-8"))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        verb = ast.unparse(call.func).rpartition(".")[2]
        one_fact = verb == "remember" and isinstance(call.args[1], ast.List)
        if verb not in ("evaluate", "tune", "remember", "ladder", "side_effects") or "watch" in given or one_fact:
            continue
        assert "progress" not in given or ast.unparse(call.args[0]) in QUICK, ast.unparse(call)


@pytest.mark.parametrize("lab", LABS)
def test_a_learners_lab_holds_no_solution_and_no_output(tool, root, lab):
    solution = (root / "solutions" / f"{lab}.py").read_text()
    notebook = nbformat.read(root / "notebooks" / f"{lab}.ipynb", as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert "SOLUTION" not in code and "noqa" not in code
    assert code.count("raise NotImplementedError") == solution.count("# BEGIN SOLUTION")
    for block in re.findall(r"# BEGIN SOLUTION\n(.*?)# END SOLUTION", solution, re.S):
        for line in block.strip().splitlines():
            assert line.strip() not in code or len(line.strip()) < 12, line
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


# --- the tool


def test_the_same_source_gives_the_same_bytes(tool, small):
    before = {path: path.read_bytes() for path in small.parent.parent.glob("*/*.ipynb")}
    assert tool.write(small.parent.parent) == [] and tool.stale(small.parent.parent) == []
    for path in small.parent.parent.glob("notebooks/*.ipynb"):
        path.unlink()
    tool.write(small.parent.parent)
    assert before == {path: path.read_bytes() for path in small.parent.parent.glob("*/*.ipynb")}


def test_bytes_do_not_depend_on_the_process(root, tool):
    code = "import sys; sys.path.insert(0, 'tools'); import make_notebooks as m\n"
    code += "for s in m.sources(): sys.stdout.buffer.write(m.to_bytes(m.learner_notebook(s)))"
    run = [sys.executable, "-c", code]
    seeds = [{**os.environ, "PYTHONHASHSEED": seed, "TZ": zone} for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))]
    first, second = (subprocess.run(run, cwd=root, env=env, capture_output=True, check=True).stdout for env in seeds)
    assert first == second == b"".join(tool.to_bytes(tool.learner_notebook(source)) for source in tool.sources())


def test_cells_have_ids_of_their_own_and_the_same_in_both(tool, small):
    mine, theirs = tool.solution_notebook(small), tool.learner_notebook(small)
    ids = [cell.id for cell in mine.cells]
    assert len(set(ids)) == len(ids) == 5 and ids == [cell.id for cell in theirs.cells]


def test_windows_line_ends_change_nothing(tool, small):
    small.write_bytes(small.read_bytes().replace(b"\n", b"\r\n"))
    for path in small.parent.parent.glob("*/*.ipynb"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert tool.stale(small.parent.parent) == []


def test_a_solution_is_blanked(tool, small):
    cell = tool.learner_notebook(small).cells[2].source
    assert cell == 'def area(radius):\n    """Area of a circle."""\n    raise NotImplementedError'


def _changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    "file, old, new, told",
    [
        ("notebooks/lab00_small.ipynb", "A lab", "My lab", "notebooks/lab00_small.ipynb is not what"),
        ("notebooks/lab00_small.ipynb", '"python3"', '"python4"', "notebooks/lab00_small.ipynb is not what"),
        ("solutions/lab00_small.ipynb", "A lab", "My lab", "its cells are not those"),
        ("solutions/lab00_small.ipynb", '"execution_count": 2', '"execution_count": 9', "not every cell"),
        ("solutions/lab00_small.py", "radius**2", "radius * radius", "another version"),
        ("solutions/lab00_small.py", "# # A lab", "# # A labb", "another version"),
    ],
)
def test_check_finds_what_is_stale(tool, small, file, old, new, told):
    _changed(small.parent.parent / file, old, new)
    assert any(told in sentence for sentence in tool.stale(small.parent.parent))


def test_check_finds_missing_and_stray_notebooks(tool, small):
    root = small.parent.parent
    (root / "notebooks" / "lab00_small.ipynb").rename(root / "notebooks" / "lab07_stray.ipynb")
    small.with_suffix(".ipynb").unlink()
    told = "\n".join(tool.stale(root))
    assert "notebooks/lab00_small.ipynb is missing" in told and "solutions/lab00_small.ipynb is missing" in told
    assert "lab07_stray.ipynb has no source" in told


def _output(**values):
    return nbformat.from_dict(values)


@pytest.mark.parametrize(
    "output, told",
    [
        (_output(output_type="error", ename="ValueError", evalue="no", traceback=[]), "stopped with ValueError"),
        (_output(output_type="stream", name="stderr", text="a warning"), "stderr"),
        (_output(output_type="stream", name="stdout", text="/home/ann/x"), "path of the machine"),
        (_output(output_type="stream", name="stdout", text="x" * 500_000), "bytes"),
    ],
)
def test_faults_of_an_executed_notebook_are_found(tool, small, output, told):
    notebook = nbformat.read(small.with_suffix(".ipynb"), as_version=4)
    assert tool.faults(notebook) == []
    notebook.cells[1].outputs = [output]
    assert any(told in fault for fault in tool.faults(notebook))


def test_progress_bars_and_live_widgets_are_dropped(tool, small):
    notebook = tool.solution_notebook(small)
    bar = _output(output_type="stream", name="stderr", text="\r 50%|###  | 1/2 [00:01<00:01, 1.0it/s]")
    tqdm = _output(output_type="display_data", metadata={}, data={tool.WIDGET: {}, "text/plain": "  0%|"})
    bars = _output(output_type="display_data", metadata={}, data={tool.WIDGET: {}, "text/plain": "a", "text/html": "a"})
    notebook.cells[1].outputs = [bar, tqdm, bars]
    tool.clean(notebook)
    assert [dict(output.data) for output in notebook.cells[1].outputs] == [{"text/plain": "a", "text/html": "a"}]


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    # BEGIN SOLUTION\n    pass",
        "def f():\n    # END SOLUTION\n    pass",
        "def f():\n    # BEGIN SOLUTION\n    # BEGIN SOLUTION\n    pass\n    # END SOLUTION",
        "def f():\n    # BEGIN SOLUTION\n    pass\n# END SOLUTION",
        "# BEGIN SOLUTION\nx = 1\n# END SOLUTION",
        "for i in range(3):\n    # BEGIN SOLUTION\n    pass\n    # END SOLUTION",
    ],
)
def test_markers_without_a_partner_or_outside_of_a_function_are_errors(tool, small, code):
    with pytest.raises(tool.BadSource, match="lab00_small.py"):
        tool.blank(code, small)


def test_the_command_line_says_what_is_stale(root):
    run = subprocess.run(
        [sys.executable, "tools/make_notebooks.py", "--check"], cwd=root, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_what_runs_beside_the_cells_leaves_no_trace(tool, small, tmp_path, own_home):
    seen = tmp_path / "seen.txt"
    last = f"open({str(seen)!r}, 'w').write(f'{{kept}} {{area(1):.2f}}')"
    executed = tool.execute(small, "kept = 'first'", last)
    assert seen.read_text() == "first 3.14"
    assert tool.faults(executed) == [] and tool.to_bytes(tool.without_outputs(executed)) == tool.to_bytes(
        tool.solution_notebook(small)
    )


WATCHED = """# %%
import time
from types import SimpleNamespace
from labkit.widgets import Curves, TrainingView

def run(watch):
    while view.state != "running" or not view._shown:
        time.sleep(0.01)
    for step in (1, 2, 3):
        watch(SimpleNamespace(step=step, total=3, seconds=1.0, tokens=9, losses={"a": 3.0 - step}, mastered=None))
    return "done"

view = TrainingView(run, {"a": "the fact"})
view.start()

# %%
view.wait()
Curves({"line": [(0, 1), (1, 2)]}, "x", "y")
"""


def test_a_saved_notebook_shows_the_end_of_a_tuning_and_pictures_as_images(tool, tmp_path, own_home):
    source = tmp_path / "lab00_watched.py"
    source.write_text(WATCHED)
    first, last = tool.execute(source).cells
    (output,), (curves,) = first.outputs, last.outputs
    assert output.data["text/plain"].startswith("finished; step 3 of 3") and "running" not in str(output.data)
    for data in (output.data, curves.data):
        assert data.keys() == {"text/plain", "image/svg+xml"}  # GitHub drops pictures within HTML
    assert "the fact" in output.data["image/svg+xml"] and "y, over x" in curves.data["image/svg+xml"]


@pytest.mark.parametrize("lab", LABS)
def test_no_saved_lab_shows_a_tuning_that_still_runs_or_a_picture_that_is_dropped(root, lab):
    cells = nbformat.read(root / "solutions" / f"{lab}.ipynb", as_version=4).cells
    bundles = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    assert not [text for data in bundles if (text := data.get("text/plain", "")).startswith("running; step")]
    drawn = [data for data in bundles if "<svg" in data.get("text/html", "")]
    assert all("<table" in data["text/html"] for data in drawn), "a picture without the words of a table"


# --- they run


@pytest.fixture
def kernel(own_home, monkeypatch):
    """Notebooks in this test run in this environment, in the short profile, with the test's own home."""
    monkeypatch.setenv("LABKIT_PROFILE", "ci")
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    return own_home


@pytest.mark.notebook
@pytest.mark.parametrize("lab", LABS)
def test_an_untouched_learners_lab_runs_to_its_last_cell(root, tmp_path, kernel, lab):
    copy = tmp_path / "my-labs"
    copy.mkdir()
    shutil.copyfile(root / "notebooks" / f"{lab}.ipynb", copy / f"{lab}.ipynb")
    for folder in ("notebooks", "datasets"):
        (tmp_path / folder).symlink_to(root / folder)
    notebook = nbformat.read(copy / f"{lab}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(copy)}}).execute()
    printed = "".join(
        str(output.get("text") or output.get("data", {}).get("text/plain", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
    exercises = sum("raise NotImplementedError" in cell.source for cell in notebook.cells)
    assert printed.count("not written yet") == exercises and printed.count("labkit’s function") >= exercises - 1
    assert not list((kernel / "progress").glob("*"))


@pytest.mark.notebook
@pytest.mark.parametrize("lab", LABS)
def test_nbval_agrees_with_the_tagged_cells(root, kernel, lab):
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
    command += ["--override-ini=addopts=", "--override-ini=filterwarnings=", f"solutions/{lab}.ipynb"]
    path = os.pathsep.join([str(root / "tests"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    command[4:4] = ["-p", "nbval_stills"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert run.returncode == 0, run.stdout[-5000:]


@pytest.mark.notebook
def test_nbval_would_notice_another_output(root, tmp_path, kernel, tool):
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": tool.KERNEL, "language_info": {"name": "python"}})
    output = nbformat.v4.new_output("execute_result", data={"text/plain": "3"}, execution_count=1)
    cell = nbformat.v4.new_code_cell("1 + 1", outputs=[output], execution_count=1, metadata={"tags": [tool.CHECKED]})
    notebook.cells = [cell]
    (tmp_path / "wrong.ipynb").write_bytes(tool.to_bytes(notebook))
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-W", "ignore", "wrong.ipynb"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 1
