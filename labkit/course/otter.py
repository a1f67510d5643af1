"""Assignments as `otter assign` takes them: raw cells that open and close questions, solutions and tests.

Tests are functions that stop with an AssertionError (otter's exception-based form). otter-grader itself is not needed
here: it makes the learner's notebook and the autograder from what is written (docs/instructor.md has the commands).
"""

from pathlib import Path

import nbformat

from labkit.course.exporting import Assignment, Cell, Exported, Task, marked, of_cells, test_function, written

PROMPT = ('""" # BEGIN PROMPT', "raise NotImplementedError", '"""; # END PROMPT')
CONFIG = """# ASSIGNMENT CONFIG
name: {lab}
init_cell: true
export_cell:
  pdf: false
  run_tests: false
generate:
  pdf: false
tests:
  ok_format: false"""


def write(assignment: Assignment, folder: str | Path, replace: bool = False) -> Exported:
    """Write `labNN/labNN_topic.ipynb`, the master notebook, below `folder`."""
    return written(
        notebook(assignment), assignment, Path(folder) / assignment.lab / f"{assignment.stem}.ipynb", replace
    )


def notebook(assignment: Assignment) -> nbformat.NotebookNode:
    """The master notebook."""
    cells = [_raw(CONFIG.format(lab=assignment.lab), "config")]
    for part in assignment.parts:
        cells += _task(part) if isinstance(part, Task) else [_cell(part)]
    return of_cells(cells)


def _cell(cell: Cell) -> nbformat.NotebookNode:
    new = nbformat.v4.new_markdown_cell if cell.kind == "markdown" else nbformat.v4.new_code_cell
    metadata = {"editable": False, "deletable": False} if cell.locked else {}
    return new(cell.source, id=cell.id, metadata=metadata)


def _task(task: Task) -> list[nbformat.NotebookNode]:
    """A question: its solution, a public test, a hidden one; points for all of it or none."""
    solution = marked(task.solution, "# BEGIN SOLUTION NO PROMPT", "# END SOLUTION", PROMPT)
    question = f"# BEGIN QUESTION\nname: {task.name}\npoints: {task.points:g}\nall_or_nothing: true"
    tests = [_public(task), *([_hidden(task)] if task.hidden else [])]
    return [
        _raw(question, f"{task.id}-question"),
        _raw("# BEGIN SOLUTION", f"{task.id}-begin"),
        nbformat.v4.new_code_cell(solution, id=task.id),
        _raw("# END SOLUTION", f"{task.id}-end"),
        _raw("# BEGIN TESTS", f"{task.id}-tests"),
        *(nbformat.v4.new_code_cell(test, id=f"{task.id}-test-{i}") for i, test in enumerate(tests)),
        _raw("# END TESTS", f"{task.id}-tests-end"),
        _raw("# END QUESTION", f"{task.id}-question-end"),
    ]


def _public(task: Task) -> str:
    lines = [
        f"def test_public({task.function}):",
        "    from labkit import course",
        f'    verdict = course.check("{task.check}", {task.function})',
        "    assert verdict, verdict.sentence",
    ]
    return "\n".join(lines)


def _hidden(task: Task) -> str:
    """otter hands a test what its argument names: the learner's function."""
    return "# HIDDEN\n" + test_function(task, "test_hidden", task.function)


def _raw(source: str, id: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_raw_cell(source, id=id)
