"""The plan in CONTRIBUTING.md against the code: direction of imports, light and quiet modules, sizes, names."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import labkit

PACKAGE = Path(labkit.__file__).parent
ROOT = PACKAGE.parent
HEAVY = {
    "decoding",
    "sampling",
    "kvcache",
    "likelihood",
    "conversion",
    "divergence",
}  # tensors at work; so in all of tuning/
FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
MODULES = sorted(FILES.keys() - {"__init__"})
LIGHT = [name for name in MODULES if name not in HEAVY and name.split(".")[0] != "tuning" and name != "sandbox"]


class Imports(ast.NodeVisitor):
    """The kit's modules that a file imports, at its top or within a function; not what only a type checker sees."""

    def __init__(self, module: str):
        self.module, self.found = module, set()

    def visit_If(self, node: ast.If):
        for part in node.orelse if "TYPE_CHECKING" in ast.dump(node.test) else [*node.body, *node.orelse]:
            self.visit(part)

    def visit_Import(self, node: ast.Import):
        self.found |= {alias.name.removeprefix("labkit.") for alias in node.names if alias.name.startswith("labkit.")}

    def visit_ImportFrom(self, node: ast.ImportFrom):
        assert node.level == 0, f"{self.module} imports relatively: write the name in full"
        if node.module == "labkit":  # a module, or a verb that lives in one
            self.found |= {labkit._HOME_OF.get(alias.name, alias.name) for alias in node.names}
        elif (node.module or "").startswith("labkit."):
            name = node.module.removeprefix("labkit.")
            self.found |= {f"{name}.{a.name}" if f"{name}.{a.name}" in FILES else name for a in node.names}


@cache
def imports() -> dict[str, set[str]]:
    found = {}
    for name in MODULES:
        visitor = Imports(name)
        visitor.visit(ast.parse(FILES[name].read_text()))
        found[name] = visitor.found & FILES.keys()
    return found


def reach(name: str) -> set[str]:
    """All that a module imports, directly or not."""
    seen, todo = set(), [name]
    while todo:
        new = imports()[todo.pop()] - seen
        seen |= new
        todo += new
    return seen


def borders() -> list[tuple[str, str]]:
    """(lower, higher) of each arrow in CONTRIBUTING.md."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    block = re.search(r"## Direction of imports\n.*?\n\n((?:    .*\n)+)", page, re.S)[1]
    chains = re.split(r";|\n", re.sub(r"\([^)]*\)", "", block))
    found = []
    for chain in chains:
        steps = [[name.strip() for name in step.split(",")] for step in chain.split("<-")]
        for i, lower in enumerate(steps):
            found += [(a, b) for higher in steps[i + 1 :] for a in lower for b in higher]
    return [(a, b) for a, b in found if b != "everything"]


def test_the_plan_is_read():
    assert ("execution", "scoring") in borders() and ("scoring", "diagnosis") in borders() and len(borders()) > 20


@pytest.mark.parametrize(("lower", "higher"), [pair for pair in borders() if set(pair) <= FILES.keys()])
def test_nothing_points_back(lower, higher):
    assert higher not in reach(lower), f"{lower} imports {higher}, against the plan in CONTRIBUTING.md"


def test_names_in_the_plan_exist():
    planned = {name for pair in borders() for name in pair}
    unknown = planned - FILES.keys() - {"endpoint", "tuning"}
    assert not unknown, f"CONTRIBUTING.md names {unknown}, which labkit does not have"


def test_no_cycles():
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' -> '.join(error.args[1])}")


def test_errors_and_home_import_nothing_and_nothing_imports_the_command_line():
    assert imports()["errors"] == set() and imports()["home"] <= {"errors"}
    assert [name for name in MODULES if "cli" in imports()[name]] == ["__main__"]


def test_the_import_reader_sees_what_it_must():
    visitor = Imports("made")
    visitor.visit(
        ast.parse(
            "import labkit.runs\nfrom labkit import evaluate, schema\nfrom labkit.course.checks import x\n"
            "def f():\n    from labkit.scoring import y\n"
            "if TYPE_CHECKING:\n    from labkit.cli import z\nelse:\n    import labkit.agent"
        )
    )
    assert visitor.found == {"runs", "evaluation", "schema", "course.checks", "scoring", "agent"}
    with pytest.raises(AssertionError, match="relatively"):
        visitor.visit(ast.parse("from . import schema"))


# --- light and quiet --------------------------------------------------------------------------------------------------

PROBE = """
import resource, sys
def spent():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
before = spent()
for name in sys.argv[1:]:
    __import__(name)
heavy = [name for name in ("torch", "transformers", "pandas", "matplotlib") if name in sys.modules]
print(f"{spent() - before:.3f}", *heavy)
"""


def probe(*modules: str) -> tuple[float, list[str], str]:
    """Seconds of CPU that imports take in a fresh process, heavy packages that they bring, what they say on stderr."""
    command = [sys.executable, "-W", "error", "-c", PROBE, *modules]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    seconds, *heavy = done.stdout.split()
    return float(seconds), heavy, done.stderr


def tops() -> list[str]:
    """Light modules that no other light one imports: the rest comes with them, and takes less."""
    return [name for name in LIGHT if not any(name in reach(other) - {other} for other in LIGHT)]


@pytest.mark.parametrize("name", ["labkit", *(f"labkit.{name}" for name in tops())])
def test_light_and_quiet(name):
    _, heavy, said = probe(name)
    assert heavy == [] and said == ""


@pytest.mark.alone  # held to the clock: a process beside it stretches processor seconds too
@pytest.mark.parametrize("name", ["labkit", *(f"labkit.{name}" for name in tops())])
def test_the_import_takes_less_than_a_second(name):
    seconds, _, _ = probe(name)
    assert seconds < 1


def test_all_light_modules_together_are_light():
    _, heavy, said = probe(*(f"labkit.{name}" for name in LIGHT))
    assert heavy == [] and said == ""


def test_the_probe_notices_what_is_heavy():
    seconds, heavy, _ = probe("pandas")
    assert "pandas" in heavy and seconds > 0.1


def test_every_verb_has_a_home_and_no_module_has_a_verbs_name():
    assert labkit._HOME_OF.keys() & {name.split(".")[0] for name in MODULES} == set()
    assert set(labkit._HOME_OF) <= set(dir(labkit))
    with pytest.raises(AttributeError, match="labkit has no 'evalute'"):
        labkit.evalute  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_docstring_and_functions_of_a_size_to_read(name):
    tree = ast.parse(FILES[name].read_text())
    assert ast.get_docstring(tree), f"{name} does not say what it is"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            length = node.end_lineno - (
                node.body[1].lineno if ast.get_docstring(node) and node.body[1:] else node.lineno
            )
            assert length < 50, f"{name}.{node.name} has {length} lines: part it"
