"""Tuning in two processes, as torchrun starts them on the CPU: one adapter, the numbers of one process."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from labkit.agent import ReplyGenerator
from labkit.dataset import save_questions
from labkit.models import load_model
from labkit.tuning import tune
from labkit.tuning.ranks import Ranks, own_device, ranks

HERE = Path(__file__).parent
tiny_model_dir = runpy.run_path(str(HERE / "standin.py"))["tiny_model_dir"]
JOB = runpy.run_path(str(HERE / "tuning_job.py"))
# Batches of 3 and facts of 7: shares are uneven, and empty where the last batch holds one example.
MEMORY = {"method": "memory", "rate": 5e-3, "layers": 2, "rank": 8, "batch_size": 3}
INSTRUCTION = {"method": "instruction", "rate": 5e-3, "layers": 2, "rank": 8, "batch_size": 3, "passes": 5}
FACTS = JOB["facts"](7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def launch(folder, tiny_model_dir):
    """torchrun with two processes that do `jobs` one after the other; how it ended."""

    def start(*jobs) -> subprocess.CompletedProcess:
        common = {"model": str(tiny_model_dir), "home": str(folder / "home"), "facts": len(FACTS)}
        jobs = [
            common | {"out": str(folder / name), "report": str(folder / f"{name}-%d.json"), "settings": settings} | rest
            for name, settings, rest in jobs
        ]
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
        return subprocess.run(
            [*torchrun, str(HERE / "tuning_job.py"), json.dumps(jobs)],
            env=environment | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=400,
        )

    return start


@pytest.mark.slow
def test_the_command_line_under_torchrun_tunes_one_adapter_and_speaks_once(tiny_model_dir, tmp_path):
    pairs = save_questions(tmp_path / "facts.jsonl", FACTS)
    call = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "labkit"]
    call += ["tune", "--pairs", pairs, "--method", "instruction", "--model", tiny_model_dir, "--passes", "1", "--json"]
    own = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    own |= {"OMP_NUM_THREADS": "1", "LABKIT_HOME": str(tmp_path / "home"), "CI": "1"}
    done = subprocess.run([*call, "--out", tmp_path / "a"], env=own, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["trained"] == len(FACTS) and (tmp_path / "a" / "adapter_config.json").is_file()
    assert not (tmp_path / "home" / "measured.json").exists()  # a shared batch's peak is no process's own


@pytest.fixture(scope="module")
def launched(launch) -> subprocess.CompletedProcess:
    """Three tunings: by memory; by instruction, where only the first process is short of memory; by memory again, in
    which the second process is killed."""
    dies = {"every_step": True, "die_at_step": 7, "die_after": 0.001, "rank": 1}
    return launch(("memory", MEMORY, {}), ("instruction", INSTRUCTION, {"fit": 1, "rank": 0}), ("killed", MEMORY, dies))


def reports(folder, name) -> list[dict]:
    return [json.loads((folder / f"{name}-{rank}.json").read_text()) for rank in (0, 1)]


def alone(tiny_model_dir, settings, out, monkeypatch) -> dict:
    """What one process sees of the same tuning."""
    torch.set_num_threads(1)
    with monkeypatch.context() as patch:
        seen = JOB["watch"](patch.setattr)
        made = tune(
            load_model(tiny_model_dir, device="cpu", dtype="float32"), FACTS, out=out, progress=False, **settings
        )
    return seen | {"made": made.to_json()}


@pytest.mark.parametrize("name, settings", [("memory", MEMORY), ("instruction", INSTRUCTION)])
def test_two_processes_are_one_tuning(launched, folder, tiny_model_dir, tmp_path, monkeypatch, name, settings):
    first, second = reports(folder, name)
    assert (first["world"], second["world"]) == (2, 2) and (first["rank"], second["rank"]) == (0, 1)
    assert first["pid"] != second["pid"], launched.stderr
    assert 0 in second["shares"] and 2 in first["shares"] and max(second["shares"]) == 1
    assert first["losses"] == second["losses"] and first["mastered"] == second["mastered"]
    one = alone(tiny_model_dir, settings, tmp_path / "one", monkeypatch)
    assert len(one["losses"]) == len(first["losses"]) and len(one["losses"]) > 10
    assert first["losses"] == pytest.approx(one["losses"], rel=2e-3, abs=2e-3)
    assert first["mastered"] == one["mastered"] == (list(range(7)) if name == "memory" else [])
    assert first["made"] | {"seconds": 0} == second["made"] | {"seconds": 0}, "both know what the other did"
    assert first["made"]["recalled"] == one["made"]["recalled"] and first["made"]["of"] == 7


def test_a_loss_that_diverges_takes_both_back_to_the_same_state(launch, folder):
    """Their clocks differ, so left alone each would keep another state."""
    ended = launch(("lost", INSTRUCTION, {"nan_at_step": 9, "due_every": [3, 4]}))
    assert ended.returncode == 0 and ended.stderr.count("The loss diverges: back to an earlier state") == 1
    first, second = reports(folder, "lost")
    assert first["losses"] == second["losses"] and first["made"]["recalled"] == second["made"]["recalled"]


def test_memory_that_one_process_lacks_is_saved_by_both(launched, folder):
    assert [seen["micro"] for seen in reports(folder, "memory")] == [3, 3], launched.stderr
    assert [seen["micro"] for seen in reports(folder, "instruction")] == [1, 1]
    assert launched.stderr.count("going on with 1 pairs at a time") == 1


def test_one_adapter_is_written_and_recalls_all(launched, folder, tiny_model_dir):
    names = {"adapter_config.json", "adapter_model.safetensors", "call.json", "card.json", "pairs.jsonl"}
    assert {path.name for path in (folder / "memory").iterdir()} == names, launched.stderr
    model = load_model(tiny_model_dir, adapter=folder / "memory", device="cpu", dtype="float32")
    assert ReplyGenerator(model)(FACTS) == [question.answer for question in FACTS]


def test_killed_together_they_go_on_and_end_with_the_same_bits(launched, launch, folder):
    assert launched.returncode != 0 and not (folder / "killed" / "adapter_config.json").exists()
    assert (folder / "killed" / "unfinished" / "checkpoint.pt").is_file(), launched.stderr
    ended = launch(("killed", MEMORY, {}))
    assert ended.returncode == 0, ended.stderr
    first, second = reports(folder, "killed")
    assert 0 < len(first["losses"]) == len(second["losses"]) < len(reports(folder, "memory")[0]["losses"])
    weights = [(folder / name / "adapter_model.safetensors").read_bytes() for name in ("memory", "killed")]
    assert weights[0] == weights[1]
    assert "destroy_process_group" not in ended.stderr + launched.stderr


# --- without any launch


def test_alone_nothing_is_asked_of_others():
    one = Ranks()
    assert ranks() == one and one.first and own_device() is None
    assert one.share([3, 1, 2]) == [3, 1, 2] and one.gather([1]) == [1] and one.from_first("x") == "x"
    one.wait()


def test_shares_are_all_of_a_batch_once():
    items = list(range(7))
    shares = [Ranks(rank, 3).share(items) for rank in range(3)]
    assert sorted(sum(shares, [])) == items and [len(share) for share in shares] == [3, 2, 2]
    assert Ranks(2, 3).share([1, 2]) == []


def test_each_process_of_a_machine_has_its_own_gpu(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert own_device() is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert own_device() == "cuda:1"
