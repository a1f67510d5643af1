"""Ready adapters: labelled as replayed wherever they show, refused on other weights, and as good as their card says.

A stand-in model here; `-m real` asks the shipped adapter, and walks through Lab 5 with `REPLAY = True`.
"""

import json
import re
import runpy
import shutil
import tomllib
from pathlib import Path

import pytest
import torch

import labkit
from labkit.agent import SqlGenerator
from labkit.course import standing
from labkit.datagen.known import known_sets
from labkit.dataset import Question, load_questions
from labkit.decoding import next_token_logits
from labkit.errors import LabkitError
from labkit.models import load_model
from labkit.prompting import question_only
from labkit.sqltext import normalise_question, normalise_sql
from labkit.tuning import adapter as folders
from labkit.tuning import ready, starters, tune
from labkit.widgets import TrainingView

standin = runpy.run_path(str(Path(__file__).parent / "standin.py"))
make_tiny_model, tiny_model_dir = standin["make_tiny_model"], standin["tiny_model_dir"]
PAIRS = [
    Question(f"gen-{n}", f"How many games in {n}?", f"SELECT COUNT(*) FROM games WHERE y = {n}", "league")
    for n in range(6)
]
SHORT = {
    "layers": 3,
    "rank": 4,
    "alpha": 8.0,
    "rate": 3e-2,
    "warmup": 1,
    "batch_size": 2,
    "passes": 4,
    "progress": False,
}
ASKED = question_only("How many games in 3?")


@pytest.fixture(scope="module")
def tiny(tiny_model_dir):
    return load_model(tiny_model_dir, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def tuned(tiny, tmp_path_factory):
    """A starter for the stand-in, an adapter that goes on from it, and the steps of that."""
    home, steps = tmp_path_factory.mktemp("ready"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starters, "_HOME", home / "starters")
        begun = tune(tiny, PAIRS[:2], out=starters.folder(tiny), **SHORT).adapter
        (begun / "pairs.jsonl").unlink()  # a starter brings none
        whole = tune(tiny, PAIRS[2:], out=home / "whole", adapter="starter", watch=steps.append, **SHORT).adapter
    return begun, whole, steps


@pytest.fixture
def packed(tuned, tmp_path, monkeypatch):
    """The folder of ready adapters, with one for "lab05", cut to 8 directions: all that a tuning of rank 4 can add."""
    begun, whole, steps = tuned
    monkeypatch.setattr(starters, "_HOME", begun.parent)
    monkeypatch.setattr(ready, "HOME", tmp_path / "ready")
    ready.pack(whole, begun, steps, ready.HOME / "lab05", rank=8)
    return ready.HOME / "lab05"


def logits(folder, adapter):
    return next_token_logits(load_model(folder, adapter=adapter, device="cpu", dtype="float32"), ASKED)


# --- what is played


def test_what_is_played_answers_as_the_whole_adapter_did(tiny, tuned, packed, tiny_model_dir, tmp_path):
    begun, whole, _ = tuned
    played = ready.ready("lab05", tiny).play(tmp_path).adapter
    theirs, mine, before = (logits(tiny_model_dir, at) for at in (whole, played, begun))
    assert (mine - theirs).abs().max() < 0.2 * (before - theirs).abs().max()
    assert folders.read_config(played).rank == 4 + 8 and (packed / "adapter_model.safetensors").stat().st_size < 90_000
    assert [q.question for q in load_questions(played / "pairs.jsonl")] == [q.question for q in PAIRS[2:]]


def test_a_cut_keeps_the_largest_part(tuned, tmp_path):
    begun, whole, _ = tuned
    after, before = (folders.load_file(at / folders.WEIGHTS) for at in (whole, begun))
    name = "base_model.model.model.layers.0.self_attn.q_proj"
    factors = [f"{name}.lora_B.weight", f"{name}.lora_A.weight"]
    change = after[factors[0]] @ after[factors[1]] - before[factors[0]] @ before[factors[1]]
    errors = []
    for rank in (1, 2, 8):
        kept = ready.added(after, before, rank)
        errors.append(float((kept[factors[0]].float() @ kept[factors[1]].float() - change).norm() / change.norm()))
    best = torch.linalg.svdvals(change)[1:].norm() / change.norm()
    assert errors[0] > errors[1] > errors[2] < 0.1 and errors[0] == pytest.approx(float(best), abs=0.03)


def test_without_a_starter_it_stands_on_the_bare_model(tiny, tuned, tiny_model_dir, tmp_path):
    bare = shutil.copytree(tuned[0], tmp_path / "bare")
    labkit.save_questions(bare / "pairs.jsonl", PAIRS[:2])
    ready.pack(bare, None, [], tmp_path / "ready" / "lab05", rank=4)
    played = ready.ready("lab05", tiny, tmp_path / "ready").play(tmp_path).adapter
    theirs, mine, base = (logits(tiny_model_dir, at) for at in (bare, played, None))
    assert folders.read_config(played).rank == 4
    assert (mine - theirs).abs().max() < 0.2 * (base - theirs).abs().max()


def test_the_view_shows_the_recorded_steps_under_the_label(tiny, tuned, packed, tmp_path):
    replayed = ready.ready("lab05", tiny)
    view = TrainingView(lambda watch: replayed.play(tmp_path, watch), note=str(replayed)).start()
    result = view.wait()
    card = folders.read_card(packed)
    assert (result.recalled, result.of, result.trained) == (card.recalled, card.of, 4)
    assert view.state == "finished" and view.step == len(tuned[2]) == 8
    kept = {name: [loss for _, loss in losses] for name, losses in view.history.items()}
    assert kept["gen-3"] == [round(s.losses["gen-3"], 3) for s in tuned[2] if "gen-3" in s.losses]
    assert all("REPLAYED, not tuned here" in shown for shown in (view.summary(), view.text(), view.table()))
    assert "REPLAYED" not in TrainingView(lambda watch: None).summary()


# --- labelled


def test_the_label_names_model_prompt_hashes_and_date(tiny, packed):
    said, card = str(ready.ready("lab05", tiny)), folders.read_card(packed)
    assert said.startswith("REPLAYED, not tuned here: ")
    for part in (tiny.name, tiny.sha256[:12], "question_only", folders.sha256(packed)[:12], card.made["date"]):
        assert part in said


def test_a_run_with_it_is_told_as_replayed_in_the_progress_and_on_the_certificate(
    tiny_model_dir, tiny, packed, tmp_path, root
):
    played = ready.ready("lab05", tiny).play(tmp_path).adapter
    assert played.name.endswith("-replayed") and played.name[:8] == folders.sha256(packed)[:8]
    questions = labkit.load_questions(root / "datasets/league/dev.jsonl")
    answering = SqlGenerator(
        load_model(tiny_model_dir, adapter=played, device="cpu", dtype="float32"), max_new_tokens=4
    )
    labkit.evaluate(answering, questions[:1], progress=False)
    seen = labkit.progress()
    assert f"{tiny.name} + {played.name} + question_only" in str(seen)
    page = standing._page(seen)
    shown, rest = page.split("<details>")
    assert played.name in rest and "replayed + question_only" in re.search(r"<svg.*?</svg>", rest, re.S)[0]
    assert "replayed" in re.search(r"<svg.*?</svg>", shown, re.S)[0] and "was not tuned here" in shown


# --- refused


def test_another_model_is_refused_and_told_what_to_do(packed, tmp_path):
    other = load_model(make_tiny_model(tmp_path / "other", seed=1), device="cpu", dtype="float32")
    with pytest.raises(LabkitError) as told:
        ready.ready("lab05", other)
    said = str(told.value)
    assert folders.read_card(packed).base_sha256[:12] in said and other.sha256[:12] in said
    assert "was made on" in said and said.endswith("Set REPLAY = False: the lab then tunes here, on your model.")


def test_another_starter_is_refused(tiny, tuned, packed, tmp_path, monkeypatch):
    monkeypatch.setattr(starters, "_HOME", tmp_path / "starters")
    with pytest.raises(LabkitError, match="no starter adapter"):
        ready.ready("lab05", tiny)
    tune(tiny, PAIRS[:1], out=starters.folder(tiny), **SHORT)
    with pytest.raises(LabkitError, match="over another starter.*make artifacts"):
        ready.ready("lab05", tiny)


def test_a_changed_file_is_refused(tiny, packed):
    weights = packed / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(LabkitError, match="not the file that its label names"):
        ready.ready("lab05", tiny)


def test_a_lab_without_one_says_so(tiny, packed):
    with pytest.raises(LabkitError, match="no ready adapter for lab00. Set REPLAY = False"):
        ready.ready("lab00", tiny)


# --- the shipped one


@pytest.fixture
def shipped():
    return ready.HOME / "lab05"


def test_the_shipped_adapter_is_small_and_is_what_its_label_says(shipped):
    card = folders.read_card(shipped)
    assert folders.sha256(shipped) == card.made["adapter_sha256"]
    assert folders.sha256(starters._HOME / card.base_sha256[:12]) == card.made["starter_sha256"]
    assert card.prompt == "question_only" and re.fullmatch(r"\d{4}-\d\d-\d\d", card.made["date"])
    assert 0 < card.recalled <= card.of == card.pairs == len(load_questions(shipped / "pairs.jsonl"))
    assert sum(file.stat().st_size for file in shipped.iterdir()) < 2_700_000


def test_the_shipped_adapter_follows_the_labs_recipe(root, shipped):
    lab, card = (root / "solutions/lab05_tune.py").read_text("utf-8"), folders.read_card(shipped)
    assert f"PAIRS = {card.pairs}\n" in lab and float(re.search(r"rate=(\S+),", lab)[1]) == card.recipe["rate"]
    assert 'begin = "starter"\n' in lab and card.continued_from == "starter" and card.recipe["passes"] == 1
    steps = [json.loads(line) for line in (shipped / "steps.jsonl").read_text("utf-8").splitlines()]
    assert steps[-1]["step"] == steps[-1]["total"] == len(steps)
    assert {name for step in steps for name in step["losses"]} == {
        q.id for q in load_questions(shipped / "pairs.jsonl")
    }


def test_the_shipped_adapter_was_tuned_on_no_evaluation_question(shipped, league):
    known, pairs = known_sets(league), load_questions(shipped / "pairs.jsonl")
    assert len(known.questions) > 300
    assert not known.questions & {normalise_question(pair.question) for pair in pairs}
    assert not known.queries & {normalise_sql(pair.sql) for pair in pairs}


def test_the_package_holds_it(root, shipped):
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["labkit.tuning"]
    packaged = {path for pattern in patterns for path in (root / "labkit/tuning").glob(pattern)}
    assert len(list(shipped.iterdir())) == 5 and set(shipped.iterdir()) <= packaged


@pytest.mark.parametrize("folder", [*ready.HOME.iterdir(), *starters._HOME.iterdir()], ids=lambda folder: folder.name)
def test_a_shipped_card_names_only_sets_that_a_learner_has(root, folder):
    """Those under `datasets/`, and in Lab 9 those of the workspace that the lab makes."""
    made = {"workspace/questions", "workspace/accepted"} if folder.name.startswith("lab09") else set()
    there = {f"{path.parent.name}/{path.stem}" for path in (root / "datasets").glob("*/*.jsonl")}
    assert set(folders.read_card(folder).overlap) <= there | made


@pytest.mark.parametrize("name", ["lab09-first", "lab09-again"])
def test_lab_9s_adapters_are_what_their_label_says_and_were_tuned_on_no_question(root, name):
    folder = ready.HOME / name
    card, pairs = folders.read_card(folder), load_questions(folder / "pairs.jsonl")
    assert folders.sha256(folder) == card.made["adapter_sha256"] and card.prompt == "question_only"
    assert folders.sha256(starters._HOME / card.base_sha256[:12]) == card.made["starter_sha256"]
    assert card.continued_from == "starter" if name.endswith("first") else card.continued_from.startswith("adapter-")
    known = known_sets(root / "datasets/clinic/clinic.sqlite")
    assert len(known.questions) > 30 and card.overlap
    assert not known.questions & {normalise_question(pair.question) for pair in pairs}
    assert not known.queries & {normalise_sql(pair.sql) for pair in pairs}
    assert not [pair.id for pair in pairs if "phone" in pair.sql]  # what the lab excludes
    assert sum(file.stat().st_size for file in folder.iterdir()) < 2_700_000


def test_lab_9s_adapters_follow_the_labs_recipe(root):
    lab = (root / "solutions/lab09_own_database.py").read_text("utf-8")
    first = folders.read_card(ready.HOME / "lab09-first")
    assert f"PAIRS = {first.pairs} " in lab and first.recipe["passes"] == 1
    assert set(re.findall(r'taken\("(\w+)"\)', lab)) == {"first", "again"}


@pytest.mark.real
@pytest.mark.notebook
def test_lab_8_begins_with_the_choice_and_tunes_all_the_same(own_home, with_replay):
    shown = with_replay("lab08_iterate", ("before, failed", "aimed ="))
    assert "begun with REPLAYED, not tuned here: smollm2-135m" in shown["before, failed"]
    assert "finished; step" in shown["aimed ="] and "REPLAYED" not in shown["aimed ="] and "gain " in shown["aimed ="]
    told = str(labkit.progress())
    assert "-replayed + question_only" in told and "lab08-1/aimed-" in told


@pytest.mark.real
@pytest.mark.notebook
def test_lab_9_runs_to_its_end_with_the_choice_and_marks_what_is_replayed(own_home, with_replay):
    shown = with_replay("lab09_own_database", ("first =", "second =", "Server("))
    for part in ("first =", "second ="):
        assert "REPLAYED, not tuned here: smollm2-135m" in shown[part], part
    assert "replayed " in shown["first ="] and "tuned " not in shown["first ="].replace("not tuned", "")
    assert "replayed again" in shown["second ="] and "-replayed was asked" in shown["Server("]


@pytest.mark.real
def test_the_shipped_adapter_is_as_good_as_its_card_says(shipped, league, root, tmp_path):
    model, card = labkit.load_model(), folders.read_card(shipped)
    played = ready.ready("lab05", model).play(tmp_path).adapter
    asked = labkit.load_questions(root / "datasets/league/dev.jsonl")[: card.made["asked"]]
    run = labkit.evaluate(SqlGenerator(labkit.load_model(adapter=played), max_new_tokens=100), asked, progress=False)
    assert abs(run.correct - card.made["right"]) <= 3  # another processor rounds otherwise
    assert run.low > 0.05 and abs(card.made["right"] - card.made["right_before_the_cut"]) <= 3


@pytest.mark.real
@pytest.mark.notebook
def test_lab_5_runs_to_its_end_with_the_choice_and_marks_what_is_replayed(own_home, with_replay):
    parts = ("lesson.stop()", "tuned = lesson", "knows =", "each[worst][0]", "figures =")
    shown = with_replay("lab05_tune", parts)
    for part in ("lesson.stop()", "tuned = lesson", "knows ="):
        assert "REPLAYED, not tuned here: smollm2-135m" in shown[part], part
    assert "of the processor" not in shown["tuned = lesson"]  # no speed of another machine
    assert "replayed, word for word" in shown["each[worst][0]"]
    assert "REPLAYED" in shown["knows ="] and "replayed, question alone" in shown["knows ="]
    assert "tuned, question alone" not in shown["knows ="] and "paid back" not in shown["knows ="]
    assert "replayed: tuned, right" in shown["figures ="]
    assert "-replayed + question_only" in str(labkit.progress())
