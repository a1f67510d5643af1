"""The pages under docs/ say what is true: quoted errors are raised somewhere, labs and links are there."""

import doctest
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "labkit").rglob("*.py")))
JOINED = re.sub(r'"\s*\n\s*f?"', "", SOURCE)  # a sentence may be written over several lines
TROUBLES = [
    quoted
    for line in (ROOT / "docs/troubleshooting.md").read_text("utf-8").splitlines()
    if line.startswith("| `")
    for quoted in re.findall(r"`([^`]+)`", line.split(" | ")[0])
]


@pytest.mark.parametrize("sentence", TROUBLES)
def test_an_error_that_is_quoted_is_raised(sentence):
    assert sentence in JOINED


def test_there_are_errors_to_look_for():
    assert len(TROUBLES) >= 20


def test_the_instructors_table_counts_the_exercises_that_there_are():
    import importlib

    rows = re.findall(r"^\| (\d) \|.*\| (\d+) \|$", (ROOT / "docs/instructor.md").read_text("utf-8"), re.MULTILINE)
    assert [f"lab{int(lab):02d}" for lab, _ in rows] == sorted(p.stem for p in (ROOT / "labkit/course").glob("lab*.py"))
    for lab, count in rows:
        assert len(importlib.import_module(f"labkit.course.lab{int(lab):02d}").EXERCISES) == int(count)


def test_the_instructors_times_are_those_of_the_labs_and_of_the_walk():
    page = (ROOT / "docs/instructor.md").read_text("utf-8")
    labs = sorted((ROOT / "solutions").glob("lab*.py"))
    headers = [re.search(r"\*\*Time\*\* about (\d+) minutes", lab.read_text("utf-8"))[1] for lab in labs]
    assert re.findall(r"^\| \d \|.*\| (\d+) min \| \d+ \|$", page, re.MULTILINE) == headers
    walk = (ROOT / "EXPERIMENTS.md").read_text("utf-8").partition("## 2026-11-30: the whole way walked")[2]
    measured = re.findall(r"^\| (\d) \| \d+ \| (\d+) \|", walk.partition("\n## ")[0], re.MULTILINE)
    assert re.findall(r"Lab (\d) (\d+)", page) == measured and len(measured) == len(labs)


def glossary() -> list[str]:
    """The words that have a row, in its order."""
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/glossary.md").read_text("utf-8"), re.MULTILINE)[1:]
    return [word for row in rows for word in re.sub(r"[()]", "", row.lower()).split(", ")]


EMPHASIS = {  # what labs set in bold to be read, and not as a word to be looked up
    "lab01": {"column", "table", "function", "format", "text", "0", "word", "two shapes", "without", "every", "form"}
    | {"iterative"},
    "lab02": {"is it improving", "where does it hallucinate", "20 to 100", "same questions", "break"}
    | {"the easiest question that still fails"},
    "lab04": {"run", "within one query"},
    "lab05": {"more than fits a prompt", "learning instead of access", "deeper control", "no ceiling", "at", "once"}
    | {"stop", "start or go on", "leaves the batch"},
    "lab06": {"the average cannot tell them apart.", "an example"},
    "lab07": {"all", "once", "your", "20x", "240x"},
    "lab08": {"diagnosis is iterative"},
    "lab09": {"yours", "now", "accept or reject", "stop", "start or go on"},
}


def bold(lab: str) -> set[str]:
    """What a lab's prose sets in bold, in small letters; not its head."""
    (source,) = (ROOT / "solutions").glob(f"{lab}_*.py")
    prose = "\n".join(re.findall(r"^# .*", source.read_text("utf-8"), re.MULTILINE))
    terms = re.findall(r"\*\*(.+?)\*\*", prose)
    return {term.lower().removeprefix("95 % ") for term in terms if not re.search("Lab|Time|ou can|You need", term)}


@pytest.mark.parametrize("lab", [f"lab{number:02d}" for number in range(10)])
def test_what_a_lab_sets_in_bold_is_in_the_glossary(lab):
    terms, known, read = bold(lab), set(glossary()), EMPHASIS.get(lab, set())
    assert not [term for term in terms - read if not {term, term.rstrip("s"), f"{term} match"} & known]
    assert read <= terms and not read & known, "no emphasis of this lab, or a word that has a row"


def test_there_are_terms_to_look_for():
    assert len(set().union(*(bold(f"lab{number:02d}") for number in range(10))) & set(glossary())) > 30


def test_the_glossary_has_what_the_first_labs_say_and_is_in_order():
    wanted = "gold, leak, linter, slice, skeleton, sign test, semantic match, coverage, 4-bit quantization"
    assert set(wanted.split(", ")) <= set(glossary())
    lines = (ROOT / "docs/glossary.md").read_text("utf-8").splitlines()[4:]
    assert lines == sorted(lines, key=str.lower)


def test_commands_named_in_the_pages_exist():
    from typer.main import get_command

    from labkit.cli import app

    known = set(get_command(app).commands)
    for page in (ROOT / "docs").glob("*.md"):
        for command in re.findall(r"`labkit (\w[\w-]*)", page.read_text("utf-8")):
            assert command in known, f"{page.name}: labkit {command}"


def _examples(text: str) -> doctest.DocTest:
    return doctest.DocTestParser().get_doctest(text.replace("```", "\n"), {}, "docs/api.md", "docs/api.md", 0)


def _failures(example: doctest.DocTest) -> str:
    said = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(example, out=said.write, clear_globs=False)
    return said.getvalue()


def test_the_api_page_shows_what_happens(monkeypatch):
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs/api.md").read_text("utf-8").partition("## With the model")[0]
    example = _examples(page)
    assert len(example.examples) > 25 and not _failures(example)


def test_an_example_that_is_wrong_is_seen():
    assert "Expected" in _failures(_examples(">>> 1 + 1\n3\n"))


def test_every_verb_that_the_api_page_names_is_there():
    import labkit

    named = set(re.findall(r"labkit\.([a-zA-Z_]+)\(", (ROOT / "docs/api.md").read_text("utf-8")))
    assert named <= set(labkit.__all__) and len(named) > 15


def test_every_public_name_stands_on_the_api_page():
    import labkit

    page = (ROOT / "docs/api.md").read_text("utf-8")
    names = [f"labkit.{name}" for name in labkit.__all__] + ["course.check", "course.use"]
    assert not [name for name in names if not re.search(rf"\b{re.escape(name)}\b", page)]


@pytest.mark.real
def test_the_api_page_shows_what_happens_with_the_model(monkeypatch):
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs/api.md").read_text("utf-8")
    assert not _failures(_examples(page))
