"""Practice databases, the tool that makes a starter adapter of them, and tuning that goes on from one."""

import importlib.util
import json
import re
import runpy
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import labkit
from labkit.datagen.reading import read_world
from labkit.dataset import Question, load_questions
from labkit.errors import LabkitError
from labkit.models import load_model
from labkit.tuning import starters, tune
from labkit.tuning.adapter import read_card

tiny_model_dir = runpy.run_path(str(Path(__file__).parent / "standin.py"))["tiny_model_dir"]
SHORT = {"rate": 1e-2, "layers": 2, "rank": 4, "passes": 2, "batch_size": 2, "progress": False}
PAIRS = [
    Question(f"gen-{i}", f"How many {w}?", f"SELECT COUNT(*) FROM {w}", "zoo") for i, w in enumerate(["cats", "dogs"])
]


@pytest.fixture(scope="module")
def practice(root):
    """tools/practice.py as a module."""
    spec = importlib.util.spec_from_file_location("practice", root / "tools" / "practice.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def databases(practice, tmp_path_factory):
    return practice.build(tmp_path_factory.mktemp("practice"))


@pytest.fixture(scope="module")
def tiny(tiny_model_dir):
    return load_model(tiny_model_dir, device="cpu", dtype="float32")


def dump(path):
    with sqlite3.connect(path) as connection:
        return list(connection.iterdump())


def test_practice_databases_are_the_same_every_time(practice, databases, tmp_path):
    again = practice.build(tmp_path, ["hockey", "museum"])
    by_name = {path.stem: path for path in databases}
    assert len(databases) == len(practice.WORLDS) >= 14
    assert all(dump(path) == dump(by_name[path.stem]) for path in again)


def test_keys_of_practice_databases_hold(databases):
    for path in databases:
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == [], path.stem


def test_practice_has_each_way_of_writing_that_the_generator_reads(databases):
    """Else the starter has nothing to learn it from."""
    fields = [f for path in databases for e in read_world(path).entities.values() for f in e.fields]
    kinds = {(f.format.kind, re.sub(r"[A-Za-z]+", "unit", f.format.unit)) for f in fields}
    assert kinds >= {("number", k) for k in ("", "$", "€", "%", "unit")} | {("date", ""), ("month", "")}
    assert len({f.format.sql for f in fields}) >= 10
    assert {f.kind for f in fields} >= {
        "id",
        "link",
        "label",
        "category",
        "flag",
        "year",
        "period",
        "number",
        "date",
        "text",
    }
    assert {str(m) for f in fields for m in f.missing} >= {"None", "--", "NA", "unknown"}


def test_practice_is_none_of_the_databases_that_are_evaluated_on(root, databases):
    """No table of theirs with the same columns, and hardly a person's name by chance."""
    known = [root / "datasets" / name / f"{name}.sqlite" for name in ("league", "clinic")]
    ours, theirs = ([e for path in paths for e in read_world(path).entities.values()] for paths in (databases, known))
    shapes = [{(e.table, *(f.name for f in e.fields)) for e in entities} for entities in (ours, theirs)]
    people = [{v for e in entities if e.person for v, _ in e.label.values} for entities in (ours, theirs)]
    assert not shapes[0] & shapes[1]
    assert len(people[1]) > 300 and len(people[0] & people[1]) < 0.01 * len(people[1])


def test_the_tool_makes_a_starter_that_tuning_goes_on_from(root, tiny_model_dir, own_home, tmp_path, monkeypatch, tiny):
    out = tmp_path / "starters" / tiny.sha256[:12]
    call = [sys.executable, "tools/make_starter.py", "--model", tiny_model_dir, "--pairs", "6", "--wordings", "1"]
    small = ["--worlds", "shop", "music", "--variants", "2", "--minutes", "0.05"]
    made = subprocess.run([*call, *small, "--out", out], cwd=root, text=True, capture_output=True, check=True)
    assert "music-1: 6 pairs" in made.stdout and "nats_a_query_held_back" in made.stdout
    assert len(load_questions(own_home / "practice" / "shop-6x1.jsonl")) == 6
    card = read_card(out)
    assert card.pairs == 24 and card.made["databases"] == 4 and card.tokens > 0 and not (out / "pairs.jsonl").exists()
    load_model(tiny_model_dir, adapter=out, device="cpu", dtype="float32")

    monkeypatch.setattr(starters, "_HOME", tmp_path / "starters")
    shape = {"layers": 3, "rank": 16}  # as the default recipe has it
    tuned = tune(tiny, PAIRS, out=tmp_path / "on", adapter="starter", **SHORT | shape)
    card = json.loads((tuned.adapter / "card.json").read_text())
    assert card["continued_from"] == "starter" and card["pairs"] == 2
    assert [q.question for q in load_questions(tuned.adapter / "pairs.jsonl")] == [q.question for q in PAIRS]


def test_a_model_without_a_starter_is_told_so(tiny, tmp_path):
    with pytest.raises(LabkitError, match="no starter adapter for .*make_starter.py"):
        tune(tiny, PAIRS, out=tmp_path / "a", adapter="starter", **SHORT)
    assert not (tmp_path / "a").exists()


def test_only_an_unknown_past_is_complained_of(tiny, tmp_path, capsys):
    """A starter brings no pairs, and that is as it should be; another adapter without pairs is worth a word."""
    old = tune(tiny, PAIRS, out=tmp_path / "old", **SHORT).adapter
    (old / "pairs.jsonl").unlink()
    tune(tiny, PAIRS, out=tmp_path / "new", adapter=old, **SHORT)
    assert "nothing is replayed" in capsys.readouterr().err


@pytest.mark.real
def test_the_kits_own_starter_fits_the_default_model():
    model = labkit.load_model()
    card = read_card(starters.starter(model))
    assert card.base_sha256 == model.sha256 and card.prompt == "question_only" and card.pairs >= 3000
