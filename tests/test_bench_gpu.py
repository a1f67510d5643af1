"""The benchmark of 4-bit tuning under memory caps, proved on a tiny shape on the CPU: no figure of it is a GPU's.

TRL's sides need the peer's environment: `beside_trl.py`, run by `make test-bench-gpu`.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "bench_gpu.py"


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPT.with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "torch" not in module.__dict__
    return module


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return loaded("bench_gpu")


@pytest.fixture
def cuda(monkeypatch):
    """A GPU of 80 GiB that isn't there, where nothing can be built; the fractions that its memory was capped to."""
    import torch

    fractions = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: SimpleNamespace(total_memory=80 * 2**30))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", fractions.append)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 7 * 2**30)
    return fractions


def options(bench, tmp_path, *more):
    return bench.arguments().parse_args(["--results", str(tmp_path / "gpu.json"), *more])


def done(speed, peak, **more):
    return {"ok": True, "tokens_a_second": speed, "peak": peak, "cache_seconds": 1.0, "cache_tokens": 100} | more


def test_the_script_measures_a_tiny_shape(tmp_path):
    results = tmp_path / "gpu.json"
    call = [sys.executable, str(SCRIPT), "--tiny", "--sides", "labkit", "--results", str(results)]
    said = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    found = json.loads(results.read_text())
    (case,) = found["cases"]
    assert case["ok"] and case["tokens"] == 8 * 64 and case["peak"] is None and "tokens/s" in said
    assert case["cache_tokens"] == 4 * 64 and found["not_measured"] == [] and found["device"] == "CPU"
    assert case["trainable"] == 4 * (4 * 64 + 64 + 32 + 32 + 64 + 3 * (64 + 128))


def test_memory_is_capped_before_anything_is_built(cuda, monkeypatch):
    import torch

    module = loaded("gpu_case")

    def full(shape, device):
        assert device == "cuda" and len(cuda) == 1
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(module, "random_model", full)
    case = {"shape": "8B", "side": "labkit", "warm": 0, "steps": 1, "batch": 1, "length": 64}
    for cap in (7.3, 23, 500):
        found = module.run_case(case | {"cap": cap})
        assert not found["ok"] and found["error"] == "out of memory" and found["peak"] == 7.0
        assert cuda.pop() == pytest.approx(min(1.0, cap / 80)) and not cuda


def test_a_machine_that_cannot_measure_says_so(cuda, monkeypatch, tmp_path):
    import torch

    module = loaded("gpu_case")
    for version, fits in {"2.10.1+cu128": False, "2.9.0": False, "2.11.0": True, "3.0.0a0+git": True}.items():
        monkeypatch.setattr(torch, "__version__", version)
        said = module.unfit()
        assert said is None if fits else "torch 2.11 or newer" in said and version in said
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "need a CUDA GPU" in module.unfit()
    results = tmp_path / "gpu.json"
    call = [sys.executable, str(SCRIPT), "--results", str(results)]
    ended = subprocess.run(call, capture_output=True, text=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""})
    assert ended.returncode == 1 and "need a CUDA GPU" in ended.stderr and "Traceback" not in ended.stderr
    assert not results.exists()  # figures of before are kept


def test_both_sides_are_given_the_same_sequences(bench):
    module = loaded("gpu_case")
    assert {name: shape["num_hidden_layers"] for name, shape in module.SHAPES.items()} == bench.LAYERS
    case = {"shape": "tiny", "length": 64, "batch": 2}
    rows = module.sequences(case)
    assert rows == module.sequences(case) and len(rows) == 8
    assert {(len(asked), len(answer)) for asked, answer in rows} == {(56, 8)}
    assert len({asked[0] for asked, _ in rows}) == 8  # no shared prefix


def test_out_of_memory_tries_the_next_cap_and_what_fits_ends_it(bench, tmp_path, monkeypatch):
    tried = []

    def fake(case, seconds):
        tried.append((case["side"], case["cap"]))
        if case["side"] == "trl" and case["cap"] < 15:
            return {"ok": False, "error": "out of memory"}
        return done(100.0 if case["side"] == "labkit" else 40.0, 6.0)

    monkeypatch.setattr(bench, "in_process", fake)
    bench.measure(options(bench, tmp_path, "--shapes", "8B", "--sides", "labkit", "trl"))
    assert tried == [("labkit", 7.3), ("trl", 7.3), ("trl", 11), ("trl", 15)]
    kept = json.loads((tmp_path / "gpu.json").read_text())
    assert kept["ratios"]["8B labkit / trl"]["speed"] == pytest.approx(2.5)


def test_other_failures_are_not_tried_again(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "in_process", lambda case, seconds: {"ok": False, "error": "not done after 90 s"})
    assert len(bench.measure(options(bench, tmp_path, "--shapes", "1B", "--sides", "trl"))) == 1


def test_a_spent_budget_starts_nothing(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "in_process", lambda case, seconds: pytest.fail("started"))
    assert bench.measure(options(bench, tmp_path, "--budget-seconds", "1")) == []


def test_the_cache_of_frozen_layers_is_counted(bench):
    case = done(100.0, 1.0)
    assert bench.with_cache(case, 1) == pytest.approx(50.0)
    assert bench.with_cache(case, 100) == pytest.approx(99.01, abs=0.01)


def test_a_process_that_fails_says_why(bench):
    found = bench.in_process({"shape": "tiny"}, 120)  # no side is named
    assert not found["ok"] and found["error"] == "KeyError: 'side'"
    assert bench.in_process({"shape": "tiny"}, 0.01) == {"ok": False, "error": "not done after 0 s"}


def test_a_pass_over_frozen_layers_is_bounded_in_rows_and_tokens():
    from labkit.tuning.trunk import _ROWS, TOKENS, _passes

    lengths = [10] * 70 + [512] * 20 + [TOKENS + 1]
    parts = list(_passes(list(range(len(lengths))), lengths))
    assert [i for part in parts for i in part] == list(range(len(lengths)))
    assert max(map(len, parts)) == _ROWS and parts[-1] == [90]
    assert all(len(part) * lengths[part[-1]] <= TOKENS for part in parts[:-1])
