"""A lab as an assignment: its cells in order, each exercise with points, solution, public check and hidden tests.

Read from the sources of a checkout: `solutions/labNN_topic.ipynb` (the cells), `solutions/hidden/labNN.py` (points,
hidden tests). The package holds neither, and nothing is run here. `nbgrader` and `otter` write it in their forms.
"""

import ast
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat

from labkit.course.workspace import course_root
from labkit.errors import LabkitError

CHECK = re.compile(r'^course\.check\("(lab\d+)\.(\w+)", (\w+)\)$')
SOLUTION = re.compile(r"^(\s*)# (BEGIN|END) SOLUTION\s*$")


@dataclass(frozen=True)
class Cell:
    """A cell that is not graded. `locked`: learners should leave it, since grades rest on it."""

    id: str
    kind: str  # "markdown" | "code"
    source: str
    locked: bool = False


@dataclass(frozen=True)
class Task:
    """An exercise: the learner writes `function`; `solution` is its cell, `# BEGIN SOLUTION` marks around the body."""

    id: str
    name: str
    lab: str
    function: str
    points: float
    solution: str
    hidden: str  # source of a function `hidden(function)`, which stops with an AssertionError; "" without hidden tests

    @property
    def check(self) -> str:
        """The name of the public check."""
        return f"{self.lab}.{self.name}"


@dataclass(frozen=True)
class Assignment:
    """One lab, its parts in order."""

    lab: str
    stem: str
    parts: tuple[Cell | Task, ...]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The exercises."""
        return tuple(part for part in self.parts if isinstance(part, Task))

    @property
    def points(self) -> float:
        """What the whole lab is worth."""
        return sum(task.points for task in self.tasks)


@dataclass(frozen=True)
class Exported:
    """An assignment and the file that it was written to."""

    assignment: Assignment
    file: Path

    def to_json(self) -> dict:
        """Lab, file and points, in all and by exercise."""
        points = {task.name: task.points for task in self.assignment.tasks}
        return {"lab": self.assignment.lab, "file": str(self.file), "points": self.assignment.points, "tasks": points}


def assignments(labs: Sequence[str] = (), hidden: str | Path | None = None) -> list[Assignment]:
    """The labs named ("lab02", or 2), or all of them; `hidden` is the folder of points and hidden tests.

    LabkitError when there are no sources, a lab is unknown, or its points and hidden tests don't fit its exercises.
    """
    sources = _sources()
    folder = Path(hidden) if hidden else next(iter(sources.values())).parent / "hidden"
    if not folder.is_dir():
        raise LabkitError(
            f"There is no folder {folder} with points and hidden tests (labNN.py). Name yours: --hidden FOLDER."
        )
    return [_assignment(sources[lab], folder / f"{lab}.py") for lab in _chosen(labs, list(sources))]


def test_function(task: Task, name: str, argument: str) -> str:
    """The hidden tests as one self-contained `name(argument)`; the kit's own answer does not pass as a learner's."""
    tree = ast.parse(task.hidden)
    tree.body[0].name, tree.body[0].args.args[0].arg = name, argument
    opening = f"assert {argument}.__module__ == '__main__', 'write the function {task.function} in this notebook'"
    rename = [] if argument == "function" else ast.parse(f"function = {argument}").body
    tree.body[0].body = ast.parse(opening).body + rename + tree.body[0].body
    return ast.unparse(ast.fix_missing_locations(tree))


def marked(source: str, begin: str, end: str, after: Sequence[str] = ()) -> str:
    """`source` with other marks around its solution, and lines `after` them at the same indentation."""
    lines = []
    for line in source.splitlines():
        found = SOLUTION.match(line)
        if not found:
            lines.append(line)
        elif found[2] == "BEGIN":
            lines.append(found[1] + begin)
        else:
            lines += [found[1] + end, *(found[1] + text for text in after)]
    return "\n".join(lines)


def written(notebook: nbformat.NotebookNode, assignment: Assignment, file: Path, replace: bool) -> Exported:
    """The assignment, its notebook in `file` now, unless another version of it is there."""
    text = nbformat.writes(notebook, version=4).rstrip("\n") + "\n"
    return Exported(assignment, write_new(file, text, replace))


def of_cells(cells: Sequence) -> nbformat.NotebookNode:
    """A valid notebook for Python."""
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    made = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
    nbformat.validate(made)
    return made


def write_new(file: Path, content: str, replace: bool = False) -> Path:
    """Write the file; LabkitError if another version of it is there, unless it may be replaced."""
    if file.exists() and not replace and file.read_text(encoding="utf-8") != content:
        raise LabkitError(f"{file} is there already and differs. Name another folder, or add --replace.")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    return file


def _sources() -> dict[str, Path]:
    """lab -> its executed solution."""
    try:
        root = course_root()
    except LabkitError:
        root = None
    found = sorted((root / "solutions").glob("lab*_*.ipynb")) if root else []
    if not found:
        where = f"{root / 'solutions'} holds no labNN_topic.ipynb" if root else "this labkit was installed without them"
        raise LabkitError(
            f"Assignments are made from the labs' sources, and {where}. "
            "Clone the course's repository, go into its folder and run the command there."
        )
    return {path.stem.split("_")[0]: path for path in found}


def _chosen(labs: Sequence[str], known: list[str]) -> list[str]:
    wanted = [f"lab{int(lab):02d}" if str(lab).isdigit() else str(lab) for lab in labs]
    for lab in wanted:
        if lab not in known:
            raise LabkitError(f"There is no lab {lab!r}. There are: {', '.join(known)}.")
    return sorted(set(wanted)) or known


def _assignment(source: Path, hidden: Path) -> Assignment:
    notebook = nbformat.read(source, as_version=4)
    _check_fresh(source, notebook)
    points, tests = _hidden(hidden)
    lab, parts = source.stem.split("_")[0], []
    for cell in notebook.cells:
        parts += _parts(cell, lab, points, tests)
    made = Assignment(lab, source.stem, tuple(parts))
    names = {task.name for task in made.tasks}
    for kind, has in (("points", points), ("hidden tests", tests)):
        if has.keys() != names:
            wrong = ", ".join(sorted(has.keys() ^ names))
            raise LabkitError(
                f"{hidden}: its {kind} are not those of the exercises of {source.name}. Look at: {wrong}."
            )
    return made


def _check_fresh(source: Path, notebook) -> None:
    """The authored file beside the notebook has to be the one that it was made from."""
    authored = source.with_suffix(".py")
    if not authored.exists():
        return
    now = hashlib.sha256(authored.read_text(encoding="utf-8").encode()).hexdigest()
    if notebook.metadata.get("labkit", {}).get("source_sha256") != now:
        raise LabkitError(f"{source} was made from another version of {authored.name}. To mend it: make notebooks")


def _parts(cell, lab: str, points: dict, tests: dict) -> list[Cell | Task]:
    """One cell, or the task in it; what stands in an exercise's cell below its check stays a cell of its own."""
    lines = cell.source.splitlines()
    at = next((i for i, line in enumerate(lines) if CHECK.match(line)), None) if cell.cell_type == "code" else None
    if at is None or "# BEGIN SOLUTION" not in cell.source:
        locked = "### Exercise" in cell.source if cell.cell_type == "markdown" else "course.setup()" in cell.source
        return [Cell(cell.id, cell.cell_type, cell.source, locked)]
    _, name, function = CHECK.match(lines[at]).groups()
    solution = "\n".join(lines[:at]).rstrip()
    task = Task(cell.id, name, lab, function, points.get(name, 0), solution, tests.get(name, ""))
    rest = "\n".join(lines[at + 1 :]).strip()
    return [task, *([Cell(f"{cell.id}-rest", "code", rest)] if rest else [])]


def _hidden(file: Path) -> tuple[dict[str, float], dict[str, str]]:
    """Points and hidden tests of a file, both by exercise. The file is read, not run."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        points = next(ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign) and _is_points(n))
    except (OSError, SyntaxError, ValueError, StopIteration) as error:
        why = "it has no POINTS = {...}" if isinstance(error, StopIteration) else str(error)
        raise LabkitError(
            f"{file} can't be read: {why}. It should hold POINTS = {{exercise: points}} and a function "
            "exercise(function) with hidden tests for each exercise of the lab."
        ) from None
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    helpers = [node for node in functions if node.name.startswith("_")]
    return points, {node.name: _standalone(node, imports, helpers) for node in functions if node not in helpers}


def _is_points(node: ast.Assign) -> bool:
    return ast.unparse(node.targets[0]) == "POINTS"


def _standalone(node: ast.FunctionDef, imports: list, helpers: list) -> str:
    """The function with the file's imports and the helpers that it calls within it."""
    called = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    used = [helper for helper in helpers if helper.name in called]
    within = ast.FunctionDef("hidden", node.args, [*imports, *used, *node.body], [])
    return ast.unparse(ast.fix_missing_locations(within))
