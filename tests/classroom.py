"""The proof with nbgrader and otter-grader themselves: `make test-classroom`. `make test` does not collect this file.

Two learners hand in: one who is right, and one who left the first exercise unwritten and whose last answer is wrong
where only hidden tests look. The first gets every point, the second all but the points of these two exercises.
LABKIT_GRADED names other labs for nbgrader than the first three: LABKIT_GRADED="lab03 lab08" make test-classroom.
"""

import csv
import json
import os
import subprocess
from pathlib import Path

import nbformat
import pytest

from labkit.course import exporting, nbgrader, otter

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / ".venv-classroom" / "bin"
GRADED = tuple(os.environ.get("LABKIT_GRADED", "lab00 lab01 lab02").split())
pytestmark = [pytest.mark.real, pytest.mark.timeout(3600)]

WRONG_WHERE_IT_IS_HIDDEN = """

_right = {0}


def {0}(*arguments):
    import inspect

    hidden = any(frame.function.startswith(("hidden_", "test_hidden")) for frame in inspect.stack())
    return None if hidden else _right(*arguments)
"""
CELLS = """
import json
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    print(json.dumps([
        [s.assignment.name, s.student.id, grade.name, grade.auto_score, grade.max_score]
        for s in book.db.query(__import__("nbgrader.api", fromlist=["x"]).SubmittedAssignment)
        for notebook in s.notebooks for grade in notebook.grades
    ]))
"""


@pytest.fixture
def tool(own_home):
    """Run a program of .venv-classroom in a folder; its output, or the test fails with it."""

    def run(folder: Path, *command) -> str:
        environment = {**os.environ, "LABKIT_PROFILE": "ci", "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        program = [str(TOOLS / command[0]), *map(str, command[1:])]
        done = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(program)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    return run


def handed_in(released: Path, assignment: exporting.Assignment, right: bool) -> str:
    """The learner's notebook with answers in it."""
    notebook = nbformat.read(released, as_version=4)
    first, last = assignment.tasks[0], assignment.tasks[-1]
    for task in assignment.tasks:
        cells = [c for c in notebook.cells if f"def {task.function}(" in c.source and "NotImplementedError" in c.source]
        assert len(cells) == 1, f"{released} has {len(cells)} cells for {task.check}"
        assert "hidden" not in cells[0].source and "SOLUTION" not in cells[0].source
        if right or task is not first:
            cells[0].source = task.solution + ("" if right or task is not last else text_for(last))
    return nbformat.writes(notebook)


def text_for(task: exporting.Task) -> str:
    return WRONG_WHERE_IT_IS_HIDDEN.format(task.function)


@pytest.fixture(scope="module")
def labs() -> dict[str, exporting.Assignment]:
    return {assignment.lab: assignment for assignment in exporting.assignments()}


def test_nbgrader_releases_all_labs_and_grades_some(tmp_path, tool, labs):
    for assignment in labs.values():
        nbgrader.write(assignment, tmp_path)
    tool(tmp_path, "nbgrader", "db", "assignment", "list")  # makes the database
    for lab, assignment in labs.items():
        tool(tmp_path, "nbgrader", "generate_assignment", lab)
        released = tmp_path / "release" / lab / f"{assignment.stem}.ipynb"
        text = released.read_text()
        assert "HIDDEN" not in text and "BEGIN SOLUTION" not in text
        assert text.count("raise NotImplementedError") == len(assignment.tasks)
    for lab in GRADED:
        for student, right in (("right", True), ("wrong", False)):
            folder = tmp_path / "submitted" / student / lab
            folder.mkdir(parents=True)
            released = tmp_path / "release" / lab / f"{labs[lab].stem}.ipynb"
            (folder / released.name).write_text(handed_in(released, labs[lab], right))
        tool(tmp_path, "nbgrader", "autograde", lab)
    scores = {
        (lab, who, cell): (got, of) for lab, who, cell, got, of in json.loads(tool(tmp_path, "python", "-c", CELLS))
    }
    for lab in GRADED:
        lost = {labs[lab].tasks[0].name, labs[lab].tasks[-1].name}
        for task in labs[lab].tasks:
            cell = f"{lab}-{task.name}-test"
            assert scores[lab, "right", cell] == (task.points, task.points), cell
            assert scores[lab, "wrong", cell] == (0 if task.name in lost else task.points, task.points), cell
    tool(tmp_path, "nbgrader", "export", "--to", "grades.csv")
    rows = [
        row for row in csv.DictReader((tmp_path / "grades.csv").read_text().splitlines()) if row["assignment"] in GRADED
    ]
    print([(row["assignment"], row["student_id"], row["score"], row["max_score"]) for row in rows])
    tool(tmp_path, "nbgrader", "generate_feedback", GRADED[0])
    assert list((tmp_path / "feedback").rglob("*.html"))


def test_otter_assigns_a_lab_and_grades_it(tmp_path, tool, labs):
    assignment = labs["lab01"]
    master = otter.write(assignment, tmp_path).file
    tool(master.parent, "otter", "assign", master.name, "dist")  # it also runs all tests on the solutions
    student = master.parent / "dist" / "student" / master.name
    assert "HIDDEN" not in student.read_text() and "test_hidden" not in student.read_text()
    (autograder,) = (master.parent / "dist" / "autograder").glob("*.zip")
    lost = {assignment.tasks[0].name, assignment.tasks[-1].name}
    for who, right in (("right", True), ("wrong", False)):
        folder = tmp_path / who
        folder.mkdir()
        (folder / master.name).write_text(handed_in(student, assignment, right))
        tool(folder, "otter", "run", "-a", autograder, "-o", folder, master.name)
        tests = json.loads((folder / "results.json").read_text())["tests"]
        scores = {test["name"]: test["score"] for test in tests if test.get("max_score")}
        print(who, scores)
        for task in assignment.tasks:
            assert scores[task.name] == (0 if not right and task.name in lost else task.points), task.name
