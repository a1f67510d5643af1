"""Assignments as nbgrader takes them: its marks and its cell metadata, schema 3, in a course folder's `source/`.

nbgrader itself is not needed here: it releases, collects and grades (docs/instructor.md has the commands).
"""

from pathlib import Path

import nbformat

from labkit.course.exporting import (
    Assignment,
    Cell,
    Exported,
    Task,
    marked,
    of_cells,
    test_function,
    write_new,
    written,
)

CONFIG = """# nbgrader's settings for this course. Written once by `labkit export`; yours to change.
import os

os.environ.setdefault("LABKIT_PROFILE", "ci")  # graded notebooks run their long cells in the short form

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "labkit"
c.Execute.timeout = 1800  # seconds a cell: labs run a real model
"""


def write(assignment: Assignment, folder: str | Path, replace: bool = False) -> Exported:
    """Write `source/labNN/labNN_topic.ipynb` below `folder`, and its `nbgrader_config.py` if it has none."""
    folder = Path(folder)
    file = folder / "source" / assignment.lab / f"{assignment.stem}.ipynb"
    exported = written(notebook(assignment), assignment, file, replace)
    if not (folder / "nbgrader_config.py").exists():
        write_new(folder / "nbgrader_config.py", CONFIG)
    return exported


def notebook(assignment: Assignment) -> nbformat.NotebookNode:
    """The instructor's version: a solution cell and a graded, locked test cell for each exercise."""
    cells = []
    for part in assignment.parts:
        cells += _task(part) if isinstance(part, Task) else [_cell(part)]
    return of_cells(cells)


def _cell(cell: Cell) -> nbformat.NotebookNode:
    new = nbformat.v4.new_markdown_cell if cell.kind == "markdown" else nbformat.v4.new_code_cell
    metadata = {"nbgrader": _metadata(f"text-{cell.id}", locked=True)} if cell.locked else {}
    return new(cell.source, id=cell.id, metadata=metadata)


def _task(task: Task) -> list[nbformat.NotebookNode]:
    solution = marked(task.solution, "### BEGIN SOLUTION", "### END SOLUTION")
    grade = f"{task.lab}-{task.name}"
    mine = {"nbgrader": _metadata(f"{grade}-solution", solution=True)}
    graded = {"nbgrader": _metadata(f"{grade}-test", locked=True, grade=True, points=task.points)}
    graded["tags"] = ["raises-exception"]  # "run all" goes on to the next exercise
    return [
        nbformat.v4.new_code_cell(solution, id=task.id, metadata=mine),
        nbformat.v4.new_code_cell(_tests(task), id=f"{task.id}-test", metadata=graded),
    ]


def _tests(task: Task) -> str:
    """The graded cell: all or nothing, as an error is what nbgrader takes for 'no points'."""
    verdict = f"{task.name}_verdict"
    lines = [
        "from labkit import course",
        "",
        f'{verdict} = course.check("{task.check}", {task.function})',
        f"print({verdict})",
        f"assert {verdict}, {verdict}.sentence",
    ]
    if task.hidden:
        name = f"hidden_{task.name}"
        hidden = test_function(task, name, "function")
        lines += ["### BEGIN HIDDEN TESTS", hidden, f"{name}({task.function})", "### END HIDDEN TESTS"]
    return "\n".join(lines)


def _metadata(grade_id: str, *, solution=False, locked=False, grade=False, points: float | None = None) -> dict:
    """nbgrader's schema 3; points only where something is graded."""
    made = {"schema_version": 3, "grade_id": grade_id, "grade": grade, "solution": solution, "locked": locked}
    return made | {"task": False} | ({"points": points} if grade else {})
