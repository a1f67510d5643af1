"""The loop of tuning: killed, interrupted, diverging, out of memory, contradicted, continued; on the stand-in model."""

import json
import math
import multiprocessing
import os
import random
import runpy
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from labkit.agent import ReplyGenerator, SqlGenerator
from labkit.dataset import Question, QuestionSet, load_questions, save_questions
from labkit.decoding import prompt_tokens
from labkit.errors import LabkitError
from labkit.home import alone
from labkit.models import load_model
from labkit.tuning import Recipe, tune
from labkit.tuning.checkpoint import Checkpoint, stop_requests
from labkit.tuning.examples import Example, encode
from labkit.tuning.instruction import Passes
from labkit.tuning.lora import LoRALinear
from labkit.tuning.memory import Mastery
from labkit.tuning.train import Trainer, _Pace, _Watch

HERE = Path(__file__).parent
tiny_model_dir = runpy.run_path(str(HERE / "standin.py"))["tiny_model_dir"]
JOB = runpy.run_path(str(HERE / "tuning_job.py"))
facts = JOB["facts"]

MEMORY = {"method": "memory", "rate": 3e-3, "layers": 2, "rank": 8}
INSTRUCTION = {"method": "instruction", "rate": 1e-2, "layers": 2, "rank": 8, "passes": 8, "batch_size": 2}
SHORT = INSTRUCTION | {"passes": 2}
LABKIT = [sys.executable, "-c", "from labkit.cli import main; main()"]
WEIGHTS = "adapter_model.safetensors"
CHILDREN = multiprocessing.get_context("forkserver")  # imports torch once, then forks for each job
CHILDREN.set_forkserver_preload(["labkit.tuning", "labkit.models", "transformers.models.llama"])


@pytest.fixture(scope="module")
def tiny(tiny_model_dir):
    torch.set_num_threads(1)
    return load_model(tiny_model_dir, device="cpu", dtype="float32")


@pytest.fixture
def job(tiny_model_dir, own_home, tmp_path):
    """Does a job in a process of its own; returns its exit code."""

    def start(settings, out, **rest) -> int:
        values = {"model": str(tiny_model_dir), "home": str(own_home), "facts": 6, "out": str(tmp_path / out)}
        values |= {"settings": settings} | rest
        code = f"import runpy; runpy.run_path({str(HERE / 'tuning_job.py')!r})['run']({values!r})"
        child = CHILDREN.Process(target=exec, args=(code, {}))
        child.start()
        child.join(120)
        return child.exitcode

    return start


def logits(model):
    with torch.no_grad():
        return model.network(torch.tensor([[1, 50, 60, 70, 80]])).logits


def is_as_before(model, before) -> bool:
    bare = not any(isinstance(module, LoRALinear) for module in model.network.modules())
    return bare and torch.equal(logits(model), before) and not model.adapter


def steps_of(folder: Path) -> int:
    return torch.load(folder / "unfinished" / "checkpoint.pt", weights_only=True)["trainer"]["numbers"][0]


# --- killed


@pytest.mark.parametrize("settings", [MEMORY, INSTRUCTION], ids=["memory", "instruction"])
def test_killed_at_random_moments_it_ends_with_the_bits_of_an_unbroken_run(job, tmp_path, settings):
    assert job(settings, "unbroken", report=str(tmp_path / "unbroken.json")) == 0
    total = len(json.loads((tmp_path / "unbroken.json").read_text())["losses"])
    draw = random.Random()
    moments = sorted(draw.sample(range(1, total), 5))
    for step in moments:
        died = job(settings, "broken", every_step=True, die_at_step=step, die_after=0.02 * draw.random())
        assert died == -signal.SIGKILL, moments
        assert not (tmp_path / "broken" / "adapter_config.json").exists()
    assert job(settings, "broken", report=str(tmp_path / "resumed.json")) == 0
    resumed = json.loads((tmp_path / "resumed.json").read_text())
    assert len(resumed["losses"]) < total, "the last call must go on, not begin anew"  # none where it died at the end
    whole, broken = ((tmp_path / name / WEIGHTS).read_bytes() for name in ("unbroken", "broken"))
    assert whole == broken, moments
    assert resumed["made"]["recalled"] == resumed["made"]["of"] == 6
    assert not (tmp_path / "broken" / "unfinished").exists()


def test_killed_within_any_writing_it_ends_the_same(job, tmp_path):
    """Each process dies one replacing of a file later than the one before it: pairs, frozen layers, checkpoints ..."""
    assert job(SHORT, "unbroken") == 0
    number, code, whole = 0, -signal.SIGKILL, (tmp_path / "unbroken" / WEIGHTS).read_bytes()
    while code == -signal.SIGKILL:
        code = job(SHORT, "broken", die_at_write=number)
        number += 1
    assert code == 0 and number > 7
    assert (tmp_path / "broken" / WEIGHTS).read_bytes() == whole
    left = {path.name for path in (tmp_path / "broken").iterdir() if not path.name.startswith(".")}
    assert left == {path.name for path in (tmp_path / "unbroken").iterdir()}


# --- interrupted


def interrupting(monkeypatch, at: int, times: int = 1):
    """Ctrl-C in the middle of the so-manieth forward pass."""
    forward, left = Trainer._forward, [at]

    def pressed(self, *arguments):
        left[0] -= 1
        if left[0] == 0:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return forward(self, *arguments)

    monkeypatch.setattr(Trainer, "_forward", pressed)


@pytest.mark.parametrize("settings", [MEMORY, INSTRUCTION], ids=["memory", "instruction"])
def test_ctrl_c_ends_the_step_keeps_the_work_and_says_so(tiny, tmp_path, monkeypatch, capsys, settings):
    tune(tiny, facts(6), out=tmp_path / "unbroken", progress=False, **settings)
    before = logits(tiny)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupting(patch, at=7)
        tune(tiny, facts(6), out=tmp_path / "broken", progress=False, **settings)
    assert "The work is kept: the same call goes on" in capsys.readouterr().err
    assert steps_of(tmp_path / "broken") == 7 and is_as_before(tiny, before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    tune(tiny, facts(6), out=tmp_path / "broken", **settings)
    assert ("Going on at step 7." in capsys.readouterr().err) or "CI" in os.environ
    assert (tmp_path / "broken" / WEIGHTS).read_bytes() == (tmp_path / "unbroken" / WEIGHTS).read_bytes()


def test_ctrl_c_twice_stops_at_once_at_the_last_checkpoint(tiny, tmp_path, monkeypatch):
    before = logits(tiny)
    interrupting(monkeypatch, at=7, times=2)
    with pytest.raises(KeyboardInterrupt):
        tune(tiny, facts(6), out=tmp_path / "a", progress=False, **MEMORY)
    assert steps_of(tmp_path / "a") == 0 and is_as_before(tiny, before)


def test_another_way_with_ctrl_c_stays(monkeypatch):
    pressed = []
    monkeypatch.setattr("threading.main_thread", lambda: None)  # as in a thread
    with stop_requests() as request, pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    monkeypatch.undo()
    signal.signal(signal.SIGINT, lambda *_: pressed.append(1))
    try:
        with stop_requests() as other:
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert pressed == [1] and not request.asked and not other.asked


# --- called again


def test_the_same_call_is_shown_again_and_another_is_refused(tiny, tmp_path, capsys, monkeypatch):
    out = tmp_path / "a"
    made = tune(tiny, facts(4), out=out, progress=False, **SHORT)
    (out / "unfinished").mkdir()  # as a kill at the very end leaves it
    monkeypatch.setattr(Trainer, "step", lambda *_: pytest.fail("nothing is left to train"))
    assert tune(tiny, facts(4), out=out, progress=False, **SHORT) == made
    assert "holds the adapter of this same call" in capsys.readouterr().err and not (out / "unfinished").exists()
    for pairs, settings in ((facts(5), SHORT), (facts(4), MEMORY), (facts(4), SHORT | {"seed": 1})):
        with pytest.raises(LabkitError, match="holds another adapter"):
            tune(tiny, pairs, out=out, progress=False, **settings)


def test_an_unfinished_call_is_not_taken_for_another(tiny, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupting(patch, at=3)
        tune(tiny, facts(4), out=tmp_path / "a", progress=False, **SHORT)
    kept = (tmp_path / "a" / "unfinished" / "checkpoint.pt").read_bytes()
    with pytest.raises(LabkitError, match="unfinished tuning with another recipe"):
        tune(tiny, facts(4), out=tmp_path / "a", progress=False, **SHORT | {"rate": 2e-3})
    with pytest.raises(LabkitError, match="unfinished tuning with another pairs"):
        tune(tiny, facts(5), out=tmp_path / "a", progress=False, **SHORT)
    assert (tmp_path / "a" / "unfinished" / "checkpoint.pt").read_bytes() == kept
    (tmp_path / "a" / "unfinished" / "checkpoint.pt").write_bytes(kept[:-100])
    with pytest.raises(LabkitError, match="checkpoint.pt is damaged .* Remove it"):
        tune(tiny, facts(4), out=tmp_path / "a", progress=False, **SHORT)


def test_no_two_calls_tune_into_one_folder(tiny, tmp_path):
    with alone(tmp_path / "a" / "unfinished"), pytest.raises(LabkitError, match="at work in .* goes on later"):
        tune(tiny, facts(4), out=tmp_path / "a", progress=False, **SHORT)
    assert tune(tiny, facts(4), out=tmp_path / "a", progress=False, **SHORT).trained == 4


def test_other_threads_than_before_are_told(tiny, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupting(patch, at=3)
        tune(tiny, facts(4), out=tmp_path / "a", progress=False, **SHORT)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    tune(tiny, facts(4), out=tmp_path / "a", progress=False, **SHORT)
    assert "begun on 1 threads and goes on with 5" in capsys.readouterr().err


# --- going wrong


@pytest.mark.parametrize("every", [0.0, 60.0])
def test_a_rate_that_diverges_is_halved_and_then_explained(tiny, tmp_path, monkeypatch, capsys, every):
    monkeypatch.setattr(Checkpoint, "due", lambda self: every == 0.0)
    before = logits(tiny)
    with pytest.raises(LabkitError, match="diverges even at 0.0625 of the learning rate 1000.*lower rate"):
        tune(tiny, facts(6), out=tmp_path / "a", progress=False, **INSTRUCTION | {"rate": 1e3})
    said = capsys.readouterr().err
    assert [f"at {share:g} of the learning rate" in said for share in (0.5, 0.25, 0.125, 0.0625)] == [True] * 4
    assert is_as_before(tiny, before) and not (tmp_path / "a" / WEIGHTS).exists()


def test_a_step_that_spoils_the_weights_is_taken_back(tiny, tmp_path, monkeypatch, capsys):
    """The step looks fine, what it leaves is not a number, and a checkpoint is taken of that."""
    monkeypatch.setattr(Checkpoint, "due", lambda self: True)
    step = Trainer.step

    def spoiling(self, *arguments):
        outcome = step(self, *arguments)
        if self.steps == 5 and self.rate_scale == 1.0:
            self.parameters[0].data.fill_(math.nan)
        return outcome

    monkeypatch.setattr(Trainer, "step", spoiling)
    tune(tiny, facts(6), out=tmp_path / "a", progress=False, **INSTRUCTION)
    assert all(factor.isfinite().all() for factor in load_factors(tmp_path / "a").values())
    assert capsys.readouterr().err.count("The loss diverges: back to an earlier state, at 0.5") == 1


def test_one_odd_batch_is_no_divergence():
    watch = _Watch()
    assert not any(watch.diverges(loss, 1.0) for loss in [6.0, 2.0, 0.5, 0.2] + [0.1] * 60)
    assert not any(watch.diverges(loss, 1.0) for loss in [9.0, 0.1, 9.0, 9.0, 0.1])
    assert [watch.diverges(9.0, 1.0) for _ in range(3)] == [False, False, True]
    assert watch.diverges(math.nan, 1.0) and _Watch().diverges(math.inf, 1.0) and _Watch().diverges(1.0, math.nan)
    assert _Watch().diverges(6.9, 0.0) and not _Watch().diverges(0.0, 0.0)


def short_of_memory(monkeypatch, most: int, error=torch.OutOfMemoryError):
    forward, asked = Trainer._forward, []

    def limited(self, positions):
        asked.append(len(positions))
        if len(positions) > most:
            raise error("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return forward(self, positions)

    monkeypatch.setattr(Trainer, "_forward", limited)
    return asked


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_out_of_memory_halves_what_is_computed_at_a_time(tiny, tmp_path, monkeypatch, capsys, error):
    settings = SHORT | {"batch_size": 6, "rate": 1e-3}
    whole = tune(tiny, facts(6), out=tmp_path / "whole", progress=False, **settings)
    asked = short_of_memory(monkeypatch, most=2, error=error)
    parts = tune(tiny, facts(6), out=tmp_path / "parts", progress=False, **settings)
    assert "going on with 3 pairs at a time" in (said := capsys.readouterr().err) and "with 1 pairs" in said
    assert max(asked[asked.index(1) :]) <= 6 and whole.trained == parts.trained == 6
    a, b = (load_factors(tmp_path / name) for name in ("whole", "parts"))
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=0.02, atol=2e-4)
    assert any((a[name] != 0).any() for name in a if "lora_B" in name)


def load_factors(folder: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(folder / WEIGHTS)


def test_a_pair_that_never_fits_and_other_errors_end_it(tiny, tmp_path, monkeypatch):
    before = logits(tiny)
    with monkeypatch.context() as patch, pytest.raises(LabkitError, match="A single pair does not fit"):
        short_of_memory(patch, most=0)
        tune(tiny, facts(4), out=tmp_path / "a", progress=False, **SHORT)
    assert is_as_before(tiny, before)
    monkeypatch.setattr(Trainer, "_forward", lambda *_: (_ for _ in ()).throw(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        tune(tiny, facts(4), out=tmp_path / "b", progress=False, **SHORT)
    assert is_as_before(tiny, before)


@pytest.mark.parametrize(
    "pairs", [[], [Question("long", "why " * 1200, answer="so")], [Question("q", "How many?", "SELECT 1")]]
)
def test_pairs_that_cannot_be_tuned_on_leave_the_model_alone(tiny, tmp_path, pairs):
    before = logits(tiny)
    old = tune(tiny, facts(2, 50), out=tmp_path / "old", progress=False, **SHORT).adapter
    for adapter in (None, old):
        with pytest.raises(LabkitError, match="no pairs|has .* tokens|'q' cannot be saved"):
            tune(tiny, pairs, out=tmp_path / "a", adapter=adapter, progress=False)
        assert is_as_before(tiny, before) and not (tmp_path / "a" / WEIGHTS).exists()


# --- what may be trained on


def test_overlap_with_an_evaluation_set_stops_and_lists(tiny, tmp_path):
    asked = [Question("q1", "How many teams?", "SELECT count(*) FROM teams", "x.sqlite"),
             Question("q2", "Which city?", "SELECT city FROM teams", "x.sqlite")]  # fmt: skip
    avoided = QuestionSet("held", tuple(asked))
    pairs = [Question("p1", "how many TEAMS?", "SELECT 1", "x.sqlite"),
             Question("p2", "Where?", "select CITY from teams", "x.sqlite"),
             Question("p3", "Who?", "SELECT name FROM people", "x.sqlite")]  # fmt: skip
    with pytest.raises(LabkitError, match=r"2 of the pairs.*p1 \(question of held\), p2 \(query of held\)"):
        tune(tiny, pairs, out=tmp_path / "a", avoid=[avoided], progress=False)
    assert not (tmp_path / "a").exists()
    made = tune(tiny, pairs[2:], out=tmp_path / "a", avoid=[avoided], progress=False, **SHORT)
    assert json.loads((made.adapter / "card.json").read_text())["overlap"] == {"held": {"questions": 0, "queries": 0}}
    save_questions(tmp_path / "set.jsonl", asked)
    with pytest.raises(LabkitError, match="p1 .question of"):
        tune(tiny, pairs, out=tmp_path / "b", avoid=[tmp_path / "set.jsonl"], progress=False)


def test_old_pairs_that_overlap_are_refused_as_well(tiny, tmp_path):
    pair = Question("p", "How many teams?", "SELECT count(*) FROM teams", "x.sqlite")
    old = tune(tiny, [pair], out=tmp_path / "old", progress=False, **SHORT).adapter
    with pytest.raises(LabkitError, match="1 of the pairs.*p .question of held"):
        tune(tiny, facts(2), out=tmp_path / "a", adapter=old, progress=False,
             avoid=[QuestionSet("held", (Question("q", "How many teams?", "SELECT 2", "x.sqlite"),))])  # fmt: skip


def test_contradictions_are_listed_with_their_probabilities(tiny, tmp_path):
    twice = Question("other", facts(3)[1].question, answer="1950")
    made = tune(tiny, [*facts(3), twice], out=tmp_path / "a", progress=False, **MEMORY | {"rate": 1e-2})
    card = json.loads((made.adapter / "card.json").read_text())
    assert (made.recalled, made.of, made.trained) == (3, 4, 4), "the others don't suffer from two that can't be right"
    assert [record["id"] in ("f1", "other") for record in card["hard"]] == [True]
    assert 0.3 < card["hard"][0]["probability"] <= 0.5, "there are two answers, as likely as each other"


def test_fewer_rounds_than_it_takes_end_short_of_all(tiny, tmp_path):
    made = tune(tiny, facts(6), out=tmp_path / "a", progress=False, **MEMORY | {"passes": 2})
    assert made.recalled < made.of == 6
    assert len(json.loads((made.adapter / "card.json").read_text())["hard"]) == 6 - made.recalled


# --- continued


def recalled(model_dir, adapter, asked) -> int:
    model = load_model(model_dir, adapter=adapter, device="cpu", dtype="float32")
    replies = ReplyGenerator(model)(asked)
    return sum(reply == question.answer for reply, question in zip(replies, asked, strict=True))


def test_going_on_with_new_facts_keeps_the_old_ones(tiny, tiny_model_dir, tmp_path):
    old, new = facts(6), facts(12)[6:]
    first = tune(tiny, old, out=tmp_path / "first", progress=False, **MEMORY)
    before = logits(tiny)
    kept = tune(tiny, new, "memory", tmp_path / "kept", adapter=first.adapter, rate=3e-3, progress=False)
    lost = tune(tiny, new, "memory", tmp_path / "lost", adapter=first.adapter, rate=3e-3, replay=0, progress=False)
    assert (kept.recalled, kept.of, kept.trained) == (12, 12, 6) and (lost.recalled, lost.of) == (6, 6)
    assert recalled(tiny_model_dir, kept.adapter, [*old, *new]) == 12
    assert recalled(tiny_model_dir, lost.adapter, new) == 6 > recalled(tiny_model_dir, lost.adapter, old)
    assert is_as_before(tiny, before)
    assert len(load_questions(kept.adapter / "pairs.jsonl")) == 12
    card = json.loads((kept.adapter / "card.json").read_text())
    assert card["continued_from"] == str(first.adapter) and card["recipe"]["layers"] == 2
    assert card["recipe"]["rank"] == 8, "an adapter's shape is kept"


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"replay": -0.5}, "from 0 to 1"),
        ({"rank": "16"}, "rank must be a whole number"),
        ({"layers": 1.5}, "layers must"),
    ],
)
def test_a_number_that_is_none_is_a_sentence(tiny, tmp_path, wrong, said):
    with pytest.raises(LabkitError, match=said):
        tune(tiny, facts(2), out=tmp_path / "a", progress=False, **SHORT | wrong)


def test_pairs_away_from_their_database_are_told_that_no_set_beside_it_is_looked_at(tiny, tmp_path, capfd):
    pair = Question("gen-1", "How many teams are there?", "SELECT count(*) FROM teams", "league")
    tune(tiny, save_questions(tmp_path / "pairs.jsonl", [pair]), out=tmp_path / "a", progress=False, **SHORT)
    assert "The database of these pairs (league) does not lie beside them" in capfd.readouterr().err
    shutil.copy(HERE.parent / "datasets" / "league" / "league.sqlite", tmp_path)
    tune(tiny, tmp_path / "pairs.jsonl", out=tmp_path / "b", progress=False, **SHORT)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("replay, old", [(0, 0), (0.5, 2), (1, 4)])
def test_so_many_of_the_old_pairs_are_replayed(tiny, tmp_path, replay, old):
    first = tune(tiny, facts(4), out=tmp_path / "first", progress=False, **SHORT)
    rest = {"adapter": first.adapter, "replay": replay, "progress": False}
    made = tune(tiny, facts(2, 20), out=tmp_path / "second", **rest, **SHORT)
    assert made.of == 2 + old and len(load_questions(made.adapter / "pairs.jsonl")) == 6


def test_ids_of_old_and_new_pairs_may_clash(tiny, tmp_path):
    """Two sets of facts are both numbered from 1."""
    new = [Question(f"f{i}", f"Who saw {i}?", answer="Ann") for i in range(2)]
    folder = None
    for name in ("a", "b", "c"):
        new = [Question(q.id, f"{q.question}?", answer=q.answer) for q in new]
        folder = tune(tiny, new, out=tmp_path / name, adapter=folder, progress=False, replay=0.5, **SHORT).adapter
    pairs = load_questions(folder / "pairs.jsonl")
    assert len(pairs) == 6 and len({q.question for q in pairs}) == 6
    assert {q.id for q in pairs} == {f"f{i}{more}" for i in (0, 1) for more in ("", "-2", "-2-2")}


# --- plans


def examples(count):
    return [Example(f"e{i}", (1, 2, 3), (4,) * (1 + i % 3)) for i in range(count)]


@pytest.mark.parametrize("passes, steps", [(1, 5), (0.5, 2), (2.4, 12), (0.01, 1)])
def test_passes_are_counted_and_the_rate_rises_and_falls(passes, steps):
    plan = Passes(examples(18), Recipe(passes=passes, batch_size=4, warmup=2), seed=0)
    seen, rates = [], []
    outcome = type("O", (), {"loss": torch.ones(4)})
    while (step := plan.next(None)) is not None:
        seen += step.positions
        rates.append(step.rate)
        plan.saw(step, outcome)
    assert len(rates) == plan.total == steps
    if passes == 1:
        assert sorted(seen) == list(range(18))
    if passes == 2.4:
        assert max(seen.count(i) for i in range(18)) == 3 and min(seen.count(i) for i in range(18)) == 2
        assert rates[0] == 0.5 and max(rates) == rates[1] and rates[-1] < 0.1
        assert rates[1:] == sorted(rates[1:], reverse=True)


class Pretend:
    """A trainer for plans: the margin of each example is what `margins` says."""

    def __init__(self, margins):
        self.margins, self.checked = margins, 0

    def check(self, positions):
        self.checked += 1
        return self.saw(positions)

    def saw(self, positions):
        values = torch.tensor([self.margins[i] for i in positions])
        return type("O", (), {"loss": torch.exp(-values), "margin": values})


def steps(plan, trainer, most=400):
    """The steps that the plan takes; after each it is made anew from what JSON keeps of it."""
    for _ in range(most):
        step = plan.next(trainer)
        if step is None:
            return
        yield step
        plan.saw(step, trainer.saw(step.positions))
        state = json.loads(json.dumps(plan.state()))
        vars(plan).update(vars(Mastery(plan.examples, plan.recipe, plan.seed)))
        plan.restore(state)
    pytest.fail("the plan does not end")


def plan_for(count, before=(), **settings):
    return Mastery(examples(count), Recipe(**{"warmup": 0, "passes": 1000} | settings), 0, before)


def test_mastered_examples_leave_and_fill_what_is_not_full():
    plan, trainer = plan_for(5, before=[4], batch_size=2), Pretend([0.0, 0.0, 0.0, 0.0, 3.0])
    for number, step in enumerate(steps(plan, trainer)):
        assert len(step.positions) == 2 and step.rate == 1.0
        assert 3 in step.positions if number >= 4 else 4 not in step.positions
        if number == 2:
            trainer.margins[:4] = [2.0, 2.0, 1.0, 0.9]  # 3 is right, by less than the margin
        if number == 8:
            trainer.margins[3] = 1.0
    assert number == 8 and trainer.checked == 1 and plan.mastered == {0, 1, 2, 3, 4} and plan.done
    assert [record["mastered"] for record in plan.history] == [1, 4, 4, 4, 4, 4, 5]
    assert plan.note()["mastered"] == "5/5"


def test_what_a_check_finds_lost_comes_back_at_half_the_rate():
    plan, trainer = plan_for(3, before=[2], batch_size=1), Pretend([2.0, 2.0, 0.4])
    taken = []
    for step in steps(plan, trainer):
        taken.append((step.positions, step.rate))
        trainer.margins[2] = 1.0 if step.positions == (2,) else 0.4
    assert sorted(taken[:2]) == [((0,), 1.0), ((1,), 1.0)] and taken[2:] == [((2,), 0.5)] and trainer.checked == 2


def test_company_that_slipped_comes_back_before_any_check():
    plan, trainer = plan_for(3, before=[1, 2], batch_size=3), Pretend([0.0, 2.0, 0.4])
    step = plan.next(trainer)
    plan.saw(step, trainer.saw(step.positions))
    assert plan.mastered == {1} and trainer.checked == 0


def test_what_never_comes_right_is_given_up_at_the_lowest_rate():
    plan, trainer = plan_for(4, batch_size=2), Pretend([2.0, 2.0, 0.0, 2.0])
    rates = [step.rate for step in steps(plan, trainer)]
    assert list(dict.fromkeys(rates)) == [1.0, 0.5, 0.25, 0.125, 0.0625] and 50 <= len(rates) <= 60
    assert plan.mastered == {0, 1, 3} and plan.round < 100


@pytest.mark.parametrize("count, rounds", [(20, 10), (50, 10), (125, 4), (900, 1)])
def test_patience_is_ten_rounds_but_no_more_than_500_steps(count, rounds):
    """A set at which nothing moves: how long until the rate is halved, after the round that sets the mark."""
    plan, trainer, taken = plan_for(count, batch_size=1), Pretend([0.0] * count), 0
    while (step := plan.next(trainer)).rate == 1.0:
        plan.saw(step, trainer.saw(step.positions))
        taken += 1
    few = 11 * 16 * (count >= 64)  # ten rounds of the first few, too, before all are taken
    assert taken == few + (1 + rounds) * count and step.rate == 0.5 and trainer.checked == 1


def test_many_begin_with_a_few_until_half_as_many_are_mastered():
    plan, trainer, seen = plan_for(100, batch_size=4), Pretend([0.0] * 100), []
    for number, step in enumerate(steps(plan, trainer)):
        seen.append(set(step.positions))
        if number == 8:
            trainer.margins = [2.0 if i in sorted(set().union(*seen))[:6] else 0.0 for i in range(100)]
        if number == 15:
            trainer.margins = [2.0] * 100
    rounds = [set().union(*seen[at : at + 4]) for at in range(0, 24, 4)]
    assert rounds[0] == rounds[1] == rounds[2] and len(rounds[0]) == 16
    assert (
        len(rounds[3]) == 16 and len(rounds[3] - rounds[0]) == 6
    )  # in the place of the six that were seen to be right
    assert len(rounds[4] | rounds[5]) == 32 and plan.mastered == set(range(100))


def test_replayed_ones_and_small_sets_begin_with_all():
    for plan in (plan_for(63, batch_size=4), plan_for(100, before=range(8), batch_size=4)):
        trainer, seen = Pretend([0.0] * 100), set()
        for _ in range(23):
            step = plan.next(trainer)
            seen.update(step.positions)
            plan.saw(step, trainer.saw(step.positions))
        assert len(seen) > 60


def test_a_slow_beginning_is_not_given_up():
    """None is mastered for many rounds, but the loss falls."""
    plan, trainer = plan_for(4, batch_size=4), Pretend([-6.0] * 4)
    for step in steps(plan, trainer):
        assert step.rate == 1.0
        trainer.margins = [margin + 0.1 for margin in trainer.margins]
    assert plan.mastered == {0, 1, 2, 3} and plan.round > 50


# --- what one sees


def test_the_cards_tokens_are_those_of_its_tuning(tiny, tmp_path):
    """Counting what is recalled at the end takes tokens too, and none of the seconds on the card."""
    seen = []
    made = tune(tiny, facts(4), out=tmp_path / "a", watch=lambda told: seen.append(told.tokens) or False, **INSTRUCTION)
    assert made.tokens == seen[-1]


def test_progress_shows_and_is_quiet_under_ci(tiny, tmp_path, monkeypatch, capfd):
    monkeypatch.delenv("CI", raising=False)
    tune(tiny, facts(4), out=tmp_path / "a", **MEMORY | {"passes": 3})
    shown = capfd.readouterr()
    assert "mastered" in shown.err and "tokens/s" in shown.err and shown.out == ""
    assert "left=" in shown.err and "steps [" in shown.err and "100%" not in shown.err.split("steps [")[-1]
    tune(tiny, facts(4), out=tmp_path / "c", **INSTRUCTION)
    assert "16/16 [" in (shown := capfd.readouterr().err) and "left=" not in shown  # its end is known
    monkeypatch.setenv("CI", "true")
    tune(tiny, facts(4), out=tmp_path / "b", **MEMORY | {"passes": 3})
    assert capfd.readouterr() == ("", "")


def test_the_time_left_is_that_of_the_last_steps_and_none_where_nothing_is_won():
    pace = _Pace(100)
    assert [pace.left(seconds, 0) for seconds in (1, 2)] == ["?", "?"]
    assert pace.left(11, 20) == "00:40"  # 20 in 10 seconds, 80 to go
    slow = [pace.left(11 + 2 * step, 20 + step // 4) for step in range(1, 201)]
    assert slow[-1] == "03:58" and pace.left(412, 100) == "00:00"  # 50 in the last 398 seconds, 30 to go
    assert _Pace(3).left(5, 3) == "00:00"


@pytest.mark.parametrize("method", ["memory", "instruction"])
def test_a_call_without_a_folder_writes_into_the_kits_own(tiny, own_home, method):
    made = tune(tiny, facts(2), method, progress=False, rate=1e-3, passes=1)
    assert made.adapter.parent == own_home / "adapters" and (made.adapter / WEIGHTS).is_file()
    assert f"{method} tuning of 2 pairs" in str(made) and made.to_json()["adapter"] == str(made.adapter)
    shutil.rmtree(made.adapter)


# --- the real model


@pytest.mark.real
def test_facts_tuned_into_the_real_model_are_recalled_in_a_new_process(root, tmp_path):
    facts = load_questions(root / "datasets" / "facts" / "climbs.jsonl")[:8]
    asked, out = save_questions(tmp_path / "eight.jsonl", facts), tmp_path / "adapter"
    model = load_model(device="cpu")
    untuned = ReplyGenerator(model, max_new_tokens=4)(facts)
    made = tune(model, asked, "memory", out, layers=6, passes=60, progress=False)
    assert (made.recalled, made.of) == (8, 8)
    command = ["evaluate", "--questions", asked, "--adapter", out, "--mode", "text", "--json"]
    ended = subprocess.run([*LABKIT, *map(str, command)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    run = json.loads(ended.stdout)
    assert (run["correct"], run["n"]) == (8, 8)
    assert sum(reply == fact.answer for reply, fact in zip(untuned, facts, strict=True)) < 8


@pytest.fixture
def staff_pairs(tmp_path):
    """Two pairs about a database that lies beside them; the set and the folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "staff.sqlite")) as db:
        db.executescript("CREATE TABLE staff (name TEXT, floor INTEGER); INSERT INTO staff VALUES ('Ada', 3)")
    made = {"How many?": "SELECT COUNT(*) FROM staff", "Who is on 3?": "SELECT name FROM staff WHERE floor = 3"}
    pairs = [Question(id=f"p{i}", question=q, sql=sql, database="staff") for i, (q, sql) in enumerate(made.items())]
    return QuestionSet("staff pairs", tuple(pairs), db_dir=folder), folder


def test_a_prompt_with_the_schema_is_learnt_as_it_is_asked(tiny, own_home, staff_pairs, monkeypatch):
    pairs, folder = staff_pairs
    seen = []
    monkeypatch.setattr("labkit.tuning.encode", lambda *given, **more: seen.extend(encode(*given, **more)) or seen)
    tuned = tune(tiny, pairs, prompt="plain", progress=False, **SHORT)
    placed = [replace(q, database=str(folder / "staff.sqlite")) for q in pairs]
    asked = SqlGenerator(tiny, "plain").conversations(placed)
    assert [tuple(e.prompt) for e in seen] == [tuple(p) for p in prompt_tokens(tiny, asked)]
    with closing(sqlite3.connect(folder / "staff.sqlite")) as db:
        db.execute("ALTER TABLE staff ADD COLUMN desk TEXT")
    again = tune(tiny, pairs, prompt="plain", progress=False, **SHORT)
    assert len(seen) == 4 and len(seen[2].prompt) > len(seen[0].prompt), "the schema of now"
    assert again.adapter != tuned.adapter


def test_a_prompt_with_the_schema_needs_the_database(tiny, tmp_path, staff_pairs):
    lost = QuestionSet("lost", tuple(staff_pairs[0]))
    with pytest.raises(LabkitError, match="shows the schema, and the file of the pairs' database is not known: staff"):
        tune(tiny, lost, out=tmp_path / "a", prompt="plain", progress=False, **SHORT)
    assert tune(tiny, lost, out=tmp_path / "a", progress=False, **SHORT).of == 2, "a prompt without it needs none"
