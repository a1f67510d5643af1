"""The recorded runs and ready adapters that labs open can be made anew, by a stand-in here: what is written is what
labs read."""

import runpy
import sys
from pathlib import Path

import pytest

import labkit
from labkit import course
from labkit.tuning import ready

HERE = Path(__file__).parent
tiny_model_dir = runpy.run_path(str(HERE / "standin.py"))["tiny_model_dir"]


@pytest.fixture
def make(monkeypatch, tmp_path, root, tiny_model_dir):
    monkeypatch.syspath_prepend(str(root / "tools"))
    sys.modules.pop("make_artifacts", None)
    import make_artifacts

    monkeypatch.setitem(make_artifacts.STATES, "half-tuned", ("half-tuned", 6))
    monkeypatch.setitem(make_artifacts.READY, "lab05", 6)
    few = tmp_path / "few.jsonl"
    labkit.save_questions(few, labkit.load_questions(root / "datasets/league/dev.jsonl", db_dir=root / "datasets")[:2])
    common = ["--questions", str(few), "--out", str(tmp_path / "runs"), "--base", str(tiny_model_dir)]
    common += ["--ready", str(tmp_path / "ready")]
    return lambda *given: make_artifacts.main([*given, *common])


def test_a_larger_model_and_a_half_tuned_one_are_recorded(make, tiny_model_dir, tmp_path, capsys):
    make("larger", "half-tuned", "--model", str(tiny_model_dir), "--name", "Some/Larger-0.5B-Instruct")
    said = capsys.readouterr().out
    assert said.count("2 answers of") == 2
    found = {recording.path.name: recording for recording in course.recorded_runs(tmp_path / "runs")}
    assert set(found) == {"larger-0.5b.jsonl", f"{tiny_model_dir.name}-half-tuned.jsonl"}
    assert found["larger-0.5b.jsonl"].model == "Some/Larger-0.5B-Instruct"
    assert "half-tuned (6 pairs)" in found[f"{tiny_model_dir.name}-half-tuned.jsonl"].model
    assert all(len(recording.predictions) == 2 for recording in found.values())


def test_the_ready_adapter_of_a_lab_is_made_anew(make, tiny_model_dir, tmp_path, capsys):
    make("lab05")
    said = capsys.readouterr().out
    model = labkit.load_model(tiny_model_dir)
    made = ready.ready("lab05", model, tmp_path / "ready")
    assert str(made) in said and made.card.base_sha256 == model.sha256 and made.begun is None
    about = made.card.made
    assert about["asked"] == 2 and 0 <= about["right"] <= 2 and 0 <= about["right_before_the_cut"] <= 2
    assert len(made.pairs) == made.card.of == 6 and made.card.overlap
    seen = []
    played = made.play(tmp_path, seen.append)
    assert played.recalled == made.card.recalled and [s.step for s in seen] == list(range(1, seen[-1].total + 1))
    run = labkit.evaluate(
        labkit.SqlGenerator(labkit.load_model(tiny_model_dir, adapter=played.adapter)),
        labkit.load_questions(tmp_path / "few.jsonl", db_dir=HERE.parent / "datasets"),
    )
    assert run.correct == about["right"] and run.adapter.endswith("-replayed")


def test_an_unknown_artifact_is_named(make, capsys):
    with pytest.raises(SystemExit):
        make("smaller")
    assert "there is no smaller; the artifacts are larger, half-tuned, tuned, lab05" in capsys.readouterr().err
