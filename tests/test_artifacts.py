"""The recorded runs and ready adapters that labs open can be made anew, by a stand-in here: what is written is what
labs read."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest

import labkit
from labkit import course
from labkit.course.replays import replayed_ladder
from labkit.datagen.known import evaluation_sets
from labkit.dataset import Question
from labkit.ladders import ladder
from labkit.tuning import Tuned, ready
from labkit.tuning.export import to_gguf
from labkit.tuning.plans import Seen

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
    common = ["--questions", str(few), "--out", str(tmp_path / "runs"), "--ready", str(tmp_path / "ready")]
    return lambda *given, base=tiny_model_dir: make_artifacts.main([*given, *common, "--base", str(base)])


def test_a_larger_model_and_a_half_tuned_one_are_recorded(make, tiny_model_dir, tmp_path, capsys):
    make("larger", "half-tuned", "--model", str(tiny_model_dir), "--name", "Some/Larger-0.5B-Instruct")
    said = capsys.readouterr().out
    assert said.count("2 answers of") == 2
    found = {recording.path.name: recording for recording in course.recorded_runs(tmp_path / "runs")}
    assert set(found) == {"larger-0.5b.jsonl", f"{tiny_model_dir.name}-half-tuned.jsonl"}
    assert found["larger-0.5b.jsonl"].model == "Some/Larger-0.5B-Instruct"
    half = found[f"{tiny_model_dir.name}-half-tuned.jsonl"]
    assert "half-tuned (6 pairs)" in half.model and len(half.adapter_sha256) == 64
    assert not found["larger-0.5b.jsonl"].adapter_sha256
    assert all(len(recording.predictions) == 2 for recording in found.values())


def test_a_larger_model_may_be_a_gguf_file(make, tiny_model_dir, tmp_path):
    file = to_gguf(tiny_model_dir, tmp_path / "Larger-0.5B-Instruct.gguf", "f32")
    make("larger", "--model", str(tiny_model_dir), "--name", "folder")
    make("larger", "--model", str(file))
    found = {recording.path.name: recording for recording in course.recorded_runs(tmp_path / "runs")}
    assert set(found) == {"folder.jsonl", "larger-0.5b.jsonl"}
    unpacked = found["larger-0.5b.jsonl"]
    assert unpacked.model == "Larger-0.5B-Instruct" and unpacked.sha256 == labkit.load_model(file).sha256
    assert unpacked.predictions == found["folder.jsonl"].predictions and len(unpacked.predictions) == 2


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


def test_what_the_user_asked_in_private_gets_onto_no_card(make, tmp_path, root, tiny_model_dir):
    """Which sets a tuning keeps out hangs on the run store; the store here is the user's."""
    own = [Question("own-1", "Which player is mine?", "SELECT 1", "league")]
    path = labkit.save_questions(tmp_path / "scratch" / "mine.jsonl", own)
    asked = labkit.load_questions(path, db_dir=root / "datasets")
    labkit.evaluate(lambda some: ["SELECT 1"] * len(some), asked, progress=False)
    assert "scratch/mine" in evaluation_sets()
    make("lab05")
    card = ready.ready("lab05", labkit.load_model(tiny_model_dir), tmp_path / "ready").card
    assert "league/dev" in card.overlap and "scratch/mine" not in card.overlap
    assert "scratch/mine" in evaluation_sets(), "the user's home is in force again"


def test_a_ladder_is_recorded_as_it_is_replayed(make, tiny_model_dir, tmp_path):
    questions = labkit.load_questions(tmp_path / "few.jsonl", db_dir=HERE.parent / "datasets")
    model = labkit.load_model(tiny_model_dir)
    climbed = ladder(model, questions, ("prompt", "self-reflection"), reflections=1)
    sys.modules["make_artifacts"].record_ladder(climbed, str(tmp_path / "ladder"))
    again = replayed_ladder(model, questions, ("prompt", "self-reflection"), folder=tmp_path / "ladder")
    for rung, replayed in zip(climbed.rungs, again.rungs, strict=True):
        assert [r.prediction for r in replayed.run.results] == [r.prediction for r in rung.run.results]
        assert replayed.prompt_tokens == rung.prompt_tokens > 0 and replayed.run.model_hash == model.sha256


def test_each_tuning_of_a_lab_leaves_its_adapter_and_its_steps(make, monkeypatch):
    def stub(pairs, watch):
        for number in range(1, pairs + 1):
            watch(Seen(number, pairs, 1.0, 9, {"a": 0.5}, None))
        return Tuned(Path(f"adapter-{pairs}"), "instruction", 1.0, 9, pairs, 0, pairs)

    monkeypatch.setattr(labkit, "tune", stub)
    kept, watched = sys.modules["make_artifacts"].keep_tunings(), []
    assert labkit.tune(2, watch=watched.append).trained == 2
    labkit.tune(1, watch=watched.append)
    assert [(str(path), [seen.step for seen in steps]) for path, steps in kept] == [
        ("adapter-2", [1, 2]),
        ("adapter-1", [1]),
    ]
    assert [seen.step for seen in watched] == [1, 2, 1]


@pytest.mark.notebook
@pytest.mark.parametrize("lab", ["lab03", "lab09"])
def test_what_a_lab_makes_on_its_way_is_kept(make, lab, tiny_model_dir, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LABKIT_PROFILE", "ci")
    monkeypatch.setenv("LABKIT_MODEL", "")
    base = shutil.copytree(tiny_model_dir, tmp_path / "base")  # Lab 3 shows prompts that take the real context
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 8192}))
    make(lab, base=base)
    said = capsys.readouterr().out
    if lab == "lab03":
        recorded = course.recorded_runs(tmp_path / "runs" / "ladder")
        assert [recording.prompt for recording in recorded] == ["few-shot", "prompt"]
        assert all(str(recording) in said and len(recording.predictions) == 2 for recording in recorded)
        return
    model = labkit.load_model(base)
    for name in ("lab09-first", "lab09-again"):
        found = ready.ready(name, model, tmp_path / "ready")
        assert str(found) in said and {"asked", "right", "right_before_the_cut"} <= set(found.card.made)
        assert "/" not in str(found.card.continued_from) and all(pair.database == "clinic" for pair in found.pairs)
        assert found.play(tmp_path / "played").adapter.name.endswith("-replayed")


def test_an_unknown_artifact_is_named(make, capsys):
    with pytest.raises(SystemExit):
        make("smaller")
    assert (
        "there is no smaller; the artifacts are larger, half-tuned, tuned, lab05, lab03, lab09"
        in capsys.readouterr().err
    )
