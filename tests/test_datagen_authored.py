"""Pairs that a model writes in chunks: kept as they come, gone on with, never another call's."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.datagen.authored import write
from labkit.datagen.chat import Author
from labkit.dataset import Question
from labkit.errors import LabkitError

JOB = Path(__file__).with_name("authored_job.py")
LEAGUE = runpy.run_path(str(JOB))["LEAGUE"]
ITEMS = [
    Question(f"q{i}", f"Which arenas seat over {i}?", f"SELECT name FROM arenas WHERE capacity > {i}", "league")
    for i in (15_000, 15_500, 16_000)
]


class Model:
    """Two wordings of each question, one that all questions share; `left`: chunks until it fails."""

    def __init__(self, left=99):
        self.left, self.asked = left, 0

    def chat(self, conversations):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        self.asked += len(conversations)
        texts = [c[-1]["content"].partition("over ")[2].split("?")[0] for c in conversations]
        return [f"Arenas above {text} seats?\nBig arenas, please?" for text in texts]


def test_killed_anywhere_it_ends_with_the_file_of_an_unbroken_call(tmp_path):
    told = subprocess.run(
        [sys.executable, str(JOB), str(tmp_path)],
        env=os.environ | {"LABKIT_HOME": str(tmp_path / "home"), "CI": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert told.returncode == 0, told.stderr
    assert int(told.stdout.split()[1]) == 10  # six wordings, and four of the six others: the rest were there already


def test_what_is_kept_is_not_asked_for_again(tmp_path):
    out, whole = tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    wanted = write(Author(Model(), LEAGUE), "vary", ITEMS, whole, chunk=1)
    assert [q.question for q in wanted] == [
        "Arenas above 15000 seats?", "Big arenas, please?", "Arenas above 15500 seats?", "Arenas above 16000 seats?"
    ]  # fmt: skip
    assert [q.id for q in wanted] == ["gen-chat00001-1", "gen-chat00001-2", "gen-chat00002-1", "gen-chat00003-1"]
    with pytest.raises(KeyboardInterrupt):
        write(Author(Model(2), LEAGUE), "vary", ITEMS, out, chunk=1)
    assert out.read_bytes() == whole.read_bytes()[: out.stat().st_size] and len(out.read_text().splitlines()) == 3
    model = Model()
    write(Author(model, LEAGUE), "vary", ITEMS, out, chunk=1)
    assert out.read_bytes() == whole.read_bytes() and model.asked == 1
    write(Author(model, LEAGUE), "vary", ITEMS, out, chunk=1)
    assert out.read_bytes() == whole.read_bytes() and model.asked == 1


def test_a_file_of_something_else_is_left_alone(tmp_path):
    out = tmp_path / "out.jsonl"
    write(Author(Model(), LEAGUE), "vary", ITEMS[:1], out)
    before = out.read_bytes()
    with pytest.raises(LabkitError, match="something else"):
        write(Author(Model(), LEAGUE), "vary", ITEMS, out)
    out.with_name("out.jsonl.progress").unlink()
    with pytest.raises(LabkitError, match="something else"):
        write(Author(Model(), LEAGUE), "vary", ITEMS[:1], out)
    assert out.read_bytes() == before
    with pytest.raises(LabkitError, match="one of vary, describe"):
        write(Author(Model(), LEAGUE), "sing", ITEMS, out)
