"""Assignments from the labs: what nbgrader and otter find in them, what learners don't, what hidden tests say."""

import ast
import importlib
import json
import math
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

from labkit.cli import main
from labkit.course import checks, exporting, nbgrader, otter
from labkit.course.places import course_root
from labkit.errors import LabkitError

HERE = Path(__file__).parent
ALL = exporting.assignments()
TASKS = [task for assignment in ALL for task in assignment.tasks]


def cut(source: str, what: str, stub: tuple[str, ...] = ()) -> str:
    """What a learner is left with: lines between nbgrader's marks go, `stub` stands in their place."""
    lines, inside = [], False
    for line in source.splitlines():
        if f"### BEGIN {what}" in line or f"### END {what}" in line:
            inside = "BEGIN" in line
            lines += [line[: len(line) - len(line.lstrip())] + text for text in stub] if inside else []
        elif not inside:
            lines.append(line)
    return "\n".join(lines)


def solution(task, namespace=None):
    """The authored solution, in a module called as a notebook's is."""
    names = {"__name__": "__main__", "np": np, "math": math}
    for other in next(a for a in ALL if a.lab == task.lab).tasks:  # one exercise may call another's function
        for part in IMPORTS[task.lab]:
            exec(part, names)
        exec(other.solution, names)
    return names[task.function]


def imports(assignment):
    """The import lines of a lab's cells."""
    code = "\n".join(p.source for p in assignment.parts if isinstance(p, exporting.Cell) and p.kind == "code")
    nodes = [node for node in ast.parse(code).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return [ast.unparse(node) for node in nodes if "labkit.widgets" not in ast.unparse(node)]


IMPORTS = {assignment.lab: imports(assignment) for assignment in ALL}


def hidden(task, function):
    """Run the hidden tests on a function, as the graded cell does."""
    names = {"__name__": "__main__"}
    exec(exporting.test_function(task, "hidden", "function"), names)
    names["hidden"](function)


def as_own(function):
    """`function` as if a learner had written it."""

    def written(*arguments):
        return function(*arguments)

    written.__module__ = "__main__"
    return written


@pytest.fixture
def command(monkeypatch, capsys):
    """`labkit` with arguments, in this process: what it printed, what it said, its exit code."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["labkit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        return printed.out, printed.err, stopped.value.code

    return run


# --- the labs as assignments


def test_every_exercise_of_the_package_is_a_task_with_points_and_hidden_tests():
    labs = sorted(path.stem for path in Path(checks.__file__).parent.glob("lab*.py"))
    assert [assignment.lab for assignment in ALL] == labs
    names = [f"{lab}.{n}" for lab in labs for n in importlib.import_module(f"labkit.course.{lab}").EXERCISES]
    assert sorted(task.check for task in TASKS) == sorted(names) and len(TASKS) > 40
    assert all(task.points > 0 and task.hidden for task in TASKS)
    assert {assignment.points for assignment in ALL} == {10}


@pytest.mark.parametrize("assignment", ALL, ids=lambda a: a.lab)
def test_nothing_of_a_lab_is_lost_or_said_twice(assignment):
    source = nbformat.read(course_root() / "solutions" / f"{assignment.stem}.ipynb", as_version=4)
    made = [
        f'{p.solution}\n\n\ncourse.check("{p.check}", {p.function})' if isinstance(p, exporting.Task) else p.source
        for p in assignment.parts
    ]
    assert "\n".join(made).split() == "\n".join(cell.source for cell in source.cells).split()


@pytest.mark.parametrize("assignment", ALL, ids=lambda a: a.lab)
def test_nbgrader_finds_one_solution_and_one_graded_cell_for_each_exercise(assignment):
    notebook = nbgrader.notebook(assignment)
    nbformat.validate(notebook)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    records = [cell.metadata["nbgrader"] for cell in notebook.cells if "nbgrader" in cell.metadata]
    ids = [record["grade_id"] for record in records]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-zA-Z0-9_-]+", id) for id in ids)
    assert {record["schema_version"] for record in records} == {3}
    for record in records:
        wanted = {"schema_version", "grade_id", "grade", "solution", "locked", "task"}
        assert record.keys() == wanted | ({"points"} if record["grade"] else set())
        assert (
            record["locked"] != record["solution"] and not record["task"] and not (record["grade"] > record["locked"])
        )
    solutions = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    graded = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert len(solutions) == len(graded) == len(assignment.tasks)
    assert sum(cell.metadata["nbgrader"]["points"] for cell in graded) == assignment.points
    for before, after in zip(solutions, graded, strict=True):
        assert notebook.cells.index(after) == notebook.cells.index(before) + 1
        assert before.source.count("### BEGIN SOLUTION") == before.source.count("### END SOLUTION") == 1
        assert after.source.count("### BEGIN HIDDEN TESTS") == after.source.count("### END HIDDEN TESTS") == 1
    assert any("course.setup()" in c.source for c in notebook.cells if c.metadata.get("nbgrader", {}).get("locked"))


@pytest.mark.parametrize("assignment", ALL, ids=lambda a: a.lab)
def test_a_learners_version_holds_no_solution_and_no_hidden_test(assignment):
    stub = ("# YOUR CODE HERE", "raise NotImplementedError()")
    cells = [cut(cut(c.source, "SOLUTION", stub), "HIDDEN TESTS") for c in nbgrader.notebook(assignment).cells]
    text = "\n".join(cells)
    assert text.count("raise NotImplementedError") == len(assignment.tasks)
    assert "SOLUTION" not in text and "HIDDEN" not in text and "hidden_" not in text
    for task in assignment.tasks:
        body = re.search(r"# BEGIN SOLUTION\n(.*?)# END SOLUTION", task.solution, re.S)[1]
        for line in map(str.strip, body.splitlines()):
            assert len(line) < 12 or line not in text, line
        for line in map(str.strip, task.hidden.splitlines()):
            assert len(line) < 20 or "import" in line or line not in text, line


@pytest.mark.parametrize("assignment", ALL, ids=lambda a: a.lab)
def test_otters_blocks_open_and_close_in_order(assignment):
    notebook = otter.notebook(assignment)
    nbformat.validate(notebook)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    raw = [cell.source.splitlines() for cell in notebook.cells if cell.cell_type == "raw"]
    assert raw[0][0] == "# ASSIGNMENT CONFIG"
    blocks = ["QUESTION", "SOLUTION", "/SOLUTION", "TESTS", "/TESTS", "/QUESTION"]
    heads = [line[0].replace("# BEGIN ", "").replace("# END ", "/") for line in raw[1:]]
    assert heads == blocks * len(assignment.tasks)
    questions = [dict(line.split(": ") for line in lines[1:]) for lines in raw[1:] if lines[0] == "# BEGIN QUESTION"]
    assert [(q["name"], float(q["points"])) for q in questions] == [(t.name, t.points) for t in assignment.tasks]
    tests = [cell.source for cell in notebook.cells if cell.id.endswith(("-test-0", "-test-1"))]
    assert len(tests) == 2 * len(assignment.tasks) == 2 * sum(test.startswith("# HIDDEN\ndef ") for test in tests)


def test_otters_prompt_is_what_a_learner_is_left_with():
    source = next(c.source for c in otter.notebook(ALL[0]).cells if c.id == ALL[0].tasks[0].id)
    begin, end = source.index("# BEGIN SOLUTION NO PROMPT"), source.index("# END SOLUTION")
    left = [line for line in (source[:begin] + source[end:]).splitlines() if "# " not in line]
    names = {}
    exec("\n".join(left), names)
    with pytest.raises(NotImplementedError):
        names["temperature"](None, None)


# --- hidden tests


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.check)
def test_hidden_tests_accept_the_solution(task):
    hidden(task, solution(task))


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.check)
def test_hidden_tests_don_t_take_the_kits_own_answer(task):
    with pytest.raises(AssertionError, match="in this notebook"):
        hidden(task, checks.exercise(task.check).ours)


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.check)
def test_hidden_tests_reject_who_knows_the_public_cases_by_heart(task):
    """A function that answers the cases of the public check rightly, and any other with the last of those answers."""
    ours, known, last = checks.exercise(task.check).ours, {}, []

    def key(arguments):
        return repr([sorted(a, key=repr) if isinstance(a, (set, frozenset)) else a for a in arguments])

    def learnt(*arguments):
        asked = key(arguments)
        known[asked] = ours(*arguments)
        last[:] = [known[asked]]
        return known[asked]

    checks.exercise(task.check).check(learnt)
    with pytest.raises(Exception):  # noqa: B017 (what it answers may be of another kind, too)
        hidden(task, as_own(lambda *arguments: known.get(key(arguments), last[0])))


def wrong_answers():
    """(task, label, function) of the tables that the public checks are tested with."""
    by_check = {task.check: task for task in TASKS}
    found = []
    for file in sorted((HERE / "wrong_answers").glob("lab*.py")):
        for name, table in runpy.run_path(str(file))["WRONG"].items():
            found += [(by_check[name], label, function) for label, function in table.items()]
    return found


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_hidden_tests_reject_most_of_the_known_wrong_answers(capsys):
    """Nearly all: some of them are wrong in a way (a type, a bound) that only the public check looks at."""
    passed, count = [], 0
    for task, label, function in wrong_answers():
        count += 1
        try:
            hidden(task, as_own(function))
        except Exception:
            continue
        passed.append(f"{task.check}: {label}")
    with capsys.disabled():
        print(f"\nwrong answers that hidden tests let through: {len(passed)} of {count}: {passed}")
    assert count > 300 and len(passed) < 0.1 * count


def test_hidden_tests_are_nowhere_in_the_package():
    import labkit

    text = "\n".join(path.read_text(encoding="utf-8") for path in Path(labkit.__file__).parent.rglob("*.py"))
    for task in TASKS:
        longest = max(task.hidden.splitlines(), key=len).strip()
        assert longest not in text


# --- the command


def test_the_command_writes_and_says_what_in_json(tmp_path, command):
    out, _, code = command("export", "nbgrader", "lab01", "2", "--out", tmp_path, "--json")
    told = json.loads(out)
    assert not code and told["format"] == "nbgrader"
    assert [assignment["lab"] for assignment in told["assignments"]] == ["lab01", "lab02"]
    for assignment in told["assignments"]:
        assert Path(assignment["file"]).parent == tmp_path / "source" / assignment["lab"]
        assert sum(assignment["tasks"].values()) == assignment["points"] == 10
        nbformat.validate(nbformat.read(assignment["file"], as_version=4))
    assert "Execute.timeout" in (tmp_path / "nbgrader_config.py").read_text()


@pytest.mark.parametrize("form, made", [("nbgrader", "source/lab08"), ("otter", "lab08")])
def test_the_same_sources_give_the_same_bytes_and_nothing_is_written_over(tmp_path, command, form, made):
    line, file = ["export", form, "8", "--out", tmp_path], tmp_path / made / "lab08_iterate.ipynb"
    assert not command(*line)[2]
    first = file.read_bytes()
    assert not command(*line)[2] and file.read_bytes() == first
    file.write_text("mine")
    _, said, code = command(*line)
    assert code == 2 and "add --replace" in said and file.read_text() == "mine"
    assert not command(*line, "--replace")[2] and file.read_bytes() == first


def test_settings_of_an_instructor_stay(tmp_path):
    (tmp_path / "nbgrader_config.py").write_text("mine")
    nbgrader.write(ALL[-1], tmp_path, replace=True)
    assert (tmp_path / "nbgrader_config.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["canvas"], "There is no form 'canvas'"),
        (["otter", "lab77"], "There is no lab 'lab77'. There are: lab00"),
        (["otter", "--hidden", "nowhere"], "Name yours: --hidden FOLDER"),
    ],
)
def test_errors_are_sentences(tmp_path, command, arguments, told):
    _, said, code = command("export", *arguments, "--out", tmp_path / "out")
    assert code and told in said and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def changed(f): pass", "no POINTS"),
        ("POINTS = {'changed': 1", "can't be read"),
        ("POINTS = dict(changed=1)", "can't be read"),
        ("POINTS = {'changed': 1}\ndef changed(f): pass", "gain, next_target, retire"),
        ("POINTS = {'changed': 1, 'gain': 1, 'next_target': 1, 'retire': 1}", "its hidden tests are not those"),
    ],
)
def test_a_file_of_hidden_tests_that_does_not_fit_is_told(tmp_path, text, told):
    (tmp_path / "lab08.py").write_text(text)
    with pytest.raises(LabkitError, match=re.escape(told)):
        exporting.assignments(["8"], hidden=tmp_path)


def test_a_stale_source_is_told(tmp_path, monkeypatch):
    for name in ("solutions", "notebooks", "datasets"):
        (tmp_path / name).mkdir()
    source = course_root() / "solutions" / "lab08_iterate.ipynb"
    (tmp_path / "solutions" / source.name).write_bytes(source.read_bytes())
    (tmp_path / "solutions" / "lab08_iterate.py").write_text("# %% another\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LabkitError, match="make notebooks"):
        exporting.assignments(hidden=HERE.parent / "solutions" / "hidden")


def test_an_installed_package_without_the_sources_says_what_to_do(tmp_path):
    import labkit

    only_code = shutil.ignore_patterns("starters", "__pycache__")
    shutil.copytree(Path(labkit.__file__).parent, tmp_path / "site" / "labkit", ignore=only_code)
    code = "import sys; sys.path.insert(0, 'site'); from labkit.cli import main; main()"
    command = [sys.executable, "-c", code, "export", "otter", "--out", "out"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ""})
    assert run.returncode == 2 and "Clone the course's repository" in run.stderr and "Traceback" not in run.stderr
