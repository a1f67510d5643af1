"""The peer of memory tuning, as far as it goes without TRL: it counts as the kit does, its grid is honest."""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from labkit.scoring import same_text

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "peer_trl.py"
REPLIES = ["1987", " 1987\n", "1988", "in 1987", "1987.", "", "Caf\u00e9  1", "Cafe\u0301 1", "Cafe 1", "\u00a01987"]


@pytest.fixture
def peer(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("peer_trl", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert not {"trl", "torch"} & set(module.__dict__)
    monkeypatch.setattr(module, "GRID", tmp_path / "grid.json")
    return module


def options(peer, *more):
    return peer.arguments().parse_args(["--model", "/somewhere/smollm2", "--grid", *more])


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_is_right_for_the_peer_when_it_is_for_the_kit(peer, reply):
    for answer in ("1987", "Caf\u00e9 1"):
        assert (peer.folded(reply) == peer.folded(answer)) == same_text(reply, answer)


def test_the_clock_stands_while_recall_is_checked(peer, monkeypatch):
    times = iter([10.0, 13.0, 20.0, 21.0, 24.0])
    monkeypatch.setattr(peer.time, "perf_counter", lambda: next(times))
    clock = peer.Clock()
    clock.start()
    clock.stop()
    clock.stop()
    clock.start()
    assert clock.now() == 4.0
    clock.stop()
    assert clock.seconds == 7.0


SECONDS = {(0, 8, 1e-3): 50.0, (0, 16, 1e-3): 40.0, (10, 8, 1e-3): 30.0, (10, 16, 1e-3): 5.0}


def run_grid(peer, monkeypatch, *more):
    """The grid over made-up trials, the last of which never recalls all; what was tried, and under which cap."""
    asked = []

    def one_trial(options, layers, batch, lr, cap):
        asked.append((layers, batch, lr, cap))
        settings = peer.vars_of(options) | {"top_layers": layers, "batch": batch, "lr": lr, "max_seconds": cap}
        recalled = 3 if (layers, batch) == (10, 16) else 4
        return {"seconds": SECONDS[layers, batch, lr], "recalled": recalled, "of": 4, "settings": settings}

    monkeypatch.setattr(peer, "one_trial", one_trial)
    lists = ["--lrs", "1e-3", "--batches", "8", "16", "--layer-choices", "0", "10"]
    return peer.grid(options(peer, *lists, *more)), asked


def test_the_grid_tries_all_once_and_only_whole_recall_wins(peer, monkeypatch):
    found, asked = run_grid(peer, monkeypatch, "--max-seconds", "45")
    assert [trial[:2] for trial in asked] == [(0, 8), (0, 16), (10, 8), (10, 16)]
    assert [trial[3] for trial in asked] == [45, 45, 40, 30], "no trial runs on when it has lost"
    assert found["best"]["seconds"] == 30.0 and found["tried"] == 4
    kept = json.loads(peer.GRID.read_text())
    assert len(kept["trials"]) == 4 and kept["best"]["settings"]["top_layers"] == 10
    assert "/somewhere" not in peer.GRID.read_text()
    assert run_grid(peer, monkeypatch, "--max-seconds", "45")[1] == [], "what was tried is not tried again"
    assert len(run_grid(peer, monkeypatch, "--rank", "8")[1]) == 4, "another rank is another trial"
    assert len(run_grid(peer, monkeypatch, "--redo")[1]) == 4


def test_a_trial_is_told_all_its_settings(peer, monkeypatch):
    told = []

    class Done:
        returncode, stdout = 0, 'noise {"seconds": 1}'

    monkeypatch.setattr(peer.subprocess, "run", lambda command, **more: told.append(command) or Done)
    given = options(peer, "--no-autocast", "--rank", "4", "--threads", "2", "--n", "9")
    assert peer.one_trial(given, 10, 8, 2e-3, 12.5) == {"seconds": 1}
    assert told[0][:2] == [sys.executable, peer.__file__]
    again = peer.arguments().parse_args(told[0][2:])
    assert not again.grid and (again.top_layers, again.batch, again.lr, again.max_seconds) == (10, 8, 2e-3, 12.5)
    assert (again.autocast, again.rank, again.threads, again.n, again.model) == (False, 4, 2, 9, "/somewhere/smollm2")
    Done.returncode = 3
    failed = peer.one_trial(given, 10, 8, 2e-3, 12.5)
    assert failed["error"] == "exit code 3" and peer.best([failed]) is None


def test_what_the_benchmark_asks_of_the_peer_is_what_the_peer_reads(peer, monkeypatch):
    """And a peer that fails, as one of other libraries may, leaves our own figures."""
    folder = SCRIPT.parent
    monkeypatch.syspath_prepend(str(folder))
    import bench_tuning

    asked = []

    def run(command, **settings):
        asked.append(peer.arguments().parse_args(command[2:]))
        return SimpleNamespace(returncode=0, stdout='{"seconds": 1}')

    model = SimpleNamespace(folder="/somewhere/smollm2", network=SimpleNamespace(config=SimpleNamespace()))
    recipe = SimpleNamespace(rank=16, alpha=32.0)
    monkeypatch.setattr(bench_tuning, "PEER", SCRIPT)
    monkeypatch.setattr(bench_tuning, "default_recipe", lambda method, model: recipe)
    monkeypatch.setattr(bench_tuning.subprocess, "run", run)
    given = SimpleNamespace(model=model, n=200, threads=1, layers=10)
    assert bench_tuning.peer(given) == {"seconds": 1}
    best = json.loads((folder / "results-trl-grid.json").read_text())["best"]["settings"]
    (read,) = asked
    assert (read.alpha, read.rank, read.top_layers, read.n) == (32, 16, 10, 200)
    assert (read.lr, read.batch) == (best["lr"], best["batch"]) and not read.grid
    monkeypatch.setattr(bench_tuning.subprocess, "run", lambda *a, **k: SimpleNamespace(returncode=2, stdout=""))
    assert bench_tuning.peer(given) is None
