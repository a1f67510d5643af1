"""The recorded ladder that a learner of Lab 3 may choose: judged anew, marked wherever it shows, of one model only.

Recordings of the test's own here; the shipped ones are asked for below, and `-m real` walks through Lab 3 with them.
"""

import json
import re
from types import SimpleNamespace

import pytest

import labkit
from labkit.course import places, standing
from labkit.course.replays import replayed_ladder
from labkit.errors import LabkitError
from labkit.ladders import Ladder
from labkit.widgets import LadderChart

RUNGS = ("prompt", "few-shot", "self-reflection", "retrieval-bm25")
MODEL = SimpleNamespace(name="mine", sha256="ab" * 32)


@pytest.fixture
def questions(root):
    return labkit.load_questions(root / "datasets/league/dev.jsonl")[:4]


@pytest.fixture
def recorded(tmp_path, questions):
    """A ladder on four questions: each rung has one more right than the one below it."""
    folder = tmp_path / "ladder"
    folder.mkdir()
    for right, name in enumerate(RUNGS):
        header = {"model": "mine", "sha256": MODEL.sha256, "prompt": name, "date": "2031-02-03", "prompt_tokens": 700.5}
        lines = [{"id": q.id, "prediction": q.sql if at < right else "SELECT 1"} for at, q in enumerate(questions)]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, [header, *lines])), "utf-8")
    return folder


def test_answers_are_judged_here_and_prices_of_another_machine_are_not_told(recorded, questions):
    climbed = replayed_ladder(MODEL, questions, RUNGS, folder=recorded)
    assert isinstance(climbed, Ladder) and [rung.name for rung in climbed.rungs] == list(RUNGS)
    assert [(rung.run.correct, rung.run.n) for rung in climbed.rungs] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    for figures in climbed.to_json()["rungs"]:
        assert figures["prompt_tokens"] == 700.5
        assert figures["seconds"] is figures["build_seconds"] is figures["peak_memory"] is None
    assert climbed.to_frame()["seconds"].isna().all()


def test_it_is_marked_in_the_table_the_progress_and_on_the_certificate(recorded, questions):
    climbed = replayed_ladder(MODEL, questions, RUNGS, folder=recorded)
    head = str(climbed).splitlines()[0]
    assert head == f"REPLAYED, not answered here: mine (weights {'ab' * 6}), recorded 2031-02-03, on dev (execution)"
    seen = labkit.progress()
    told = [line for line in str(seen).splitlines() if " run " in line]
    assert len(told) == 4 and all("recorded 2031-02-03" in line and ", replayed" in line for line in told)
    page = standing._page(seen)
    chart = re.search(r"<svg.*?</svg>", page, re.S)[0]
    names = re.findall(r'text-anchor="end"[^>]*>(.*?)</text>', chart)
    assert len(names) == 4 and all(name.endswith("replayed") for name in names)
    assert "mine (recorded 2031-02-03) + few-shot, replayed" in page
    assert "replayed" in LadderChart({f"replayed, {r.name}": r.run for r in climbed.rungs}).text()


def test_other_weights_are_refused_and_told_what_to_do(recorded, questions):
    other = SimpleNamespace(name="other", sha256="cd" * 32)
    with pytest.raises(LabkitError) as told:
        replayed_ladder(other, questions, RUNGS, folder=recorded)
    said = str(told.value)
    assert "abababababab" in said and "cdcdcdcdcdcd" in said and "was made on" in said
    assert said.endswith("Set REPLAY = False: the lab then asks your model here.") and not labkit.RunStore().list()


def test_more_questions_than_were_answered_are_refused(recorded, root):
    with pytest.raises(LabkitError, match=r"no answer to 2 of 6 questions, such as dev-005.*Set REPLAY = False"):
        replayed_ladder(MODEL, labkit.load_questions(root / "datasets/league/dev.jsonl")[:6], RUNGS, folder=recorded)


def test_a_rung_that_was_not_recorded_is_named(recorded, questions):
    with pytest.raises(LabkitError, match="no recorded answers for the rung 'retrieval-embeddings'"):
        replayed_ladder(MODEL, questions, (*RUNGS, "retrieval-embeddings"), folder=recorded)


# --- the shipped one


@pytest.fixture
def shipped(root):
    return [places.read_recording(root / f"datasets/league/runs/ladder/{name}.jsonl") for name in RUNGS]


def test_the_shipped_ladder_is_the_labs_and_of_one_model_and_day(root, shipped):
    lab = (root / "solutions/lab03_usual_approaches.py").read_text("utf-8")
    assert re.search(r'RUNGS = \("(.*?)"\)', lab)[1].split('", "') == list(RUNGS)
    asked = labkit.load_questions(root / "datasets/league/dev.jsonl")[
        : int(re.search(r"asked = dev\[: course.shorter\((\d+)", lab)[1])
    ]
    assert len({(each.model, each.sha256, each.date) for each in shipped}) == 1 and len(shipped[0].sha256) == 64
    for recording, name in zip(shipped, RUNGS, strict=True):
        assert list(recording.predictions) == [question.id for question in asked]
        assert recording.prompt == name and recording.prompt_tokens > 100 and not recording.adapter_sha256
    assert len(places.recorded_runs()) == 3  # the other labs do not open it
    assert sum(recording.path.stat().st_size for recording in shipped) < 60_000


@pytest.mark.real
@pytest.mark.notebook
def test_lab_3_runs_to_its_end_with_the_choice_and_marks_what_is_replayed(own_home, shipped, with_replay):
    shown = with_replay("lab03_usual_approaches", ("climbed =", "rungs = {", "base, *others", "best = max"))
    assert "REPLAYED, not answered here" in shown["climbed ="]
    assert "replayed, prompt" in shown["rungs = {"] and "yours, prompt" not in shown["rungs = {"]
    assert "replayed, prompt -> few-shot" in shown["base, *others"]
    assert "highest rung (replayed)" in shown["best = max"] and "yours" not in shown["best = max"]
    assert "few-shot, replayed" in str(labkit.progress())
