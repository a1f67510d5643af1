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
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example, out=said.write, clear_globs=False)
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


@pytest.mark.real
def test_the_api_page_shows_what_happens_with_the_model(monkeypatch):
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs/api.md").read_text("utf-8")
    assert not _failures(_examples(page))
