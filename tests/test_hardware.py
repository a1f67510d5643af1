"""The doctor on machines that lack something: each failure is found and names what mends it; which models fit."""

import json
import subprocess
import sys
import types
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from labkit import fitting, hardware
from labkit.fetching import DEFAULT, known_models
from labkit.hardware import Check, doctor, fit


def by_name(checks):
    return {check.name: check for check in checks}


@pytest.fixture
def healthy(monkeypatch, own_home):
    """This machine, with the default model fetched."""
    folder = own_home / "models" / DEFAULT
    folder.mkdir(parents=True)
    from labkit import fetching

    (folder / "source.json").write_text(json.dumps(fetching._source(fetching.GGUF_SHA256)))


def test_a_healthy_machine_is_all_ok(healthy):
    checks = by_name(doctor())
    assert [check for check in checks.values() if not check.ok] == []
    assert all(check.mend == "" and check.detail for check in checks.values())
    expected = "Python, packages, torch, cores, instruction set, memory, disk, GPU, tier, model, sandbox"
    assert list(checks) == expected.split(", ")
    assert json.loads(json.dumps([asdict(check) for check in checks.values()]))


def failing(name) -> Check:
    check = by_name(doctor())[name]
    assert not check.ok and check.mend, check
    return check


def test_a_model_that_is_not_fetched():
    assert "labkit models fetch" in failing("model").mend


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert "PYTHON=" in failing("Python").mend


def test_packages_missing_or_too_old(monkeypatch):
    needed = ["nosuchpackage>=1", "numpy>=999", "pandas>=2", 'missing>=1; extra == "gpu"']
    monkeypatch.setattr(hardware.importlib.metadata, "requires", lambda name: needed)
    check = failing("packages")
    assert "nosuchpackage>=1 is missing" in check.detail and "numpy is" in check.detail
    assert "pandas" not in check.detail and "extra" not in check.detail
    assert "make env" in check.mend


def test_versions_beside_the_tested_ones_are_told(monkeypatch, tmp_path):
    (tmp_path / "labkit").mkdir()
    (tmp_path / "constraints.txt").write_text("# pins\nnumpy==0.0.1\nnosuchpackage==1\npandas>=0 # loose\n-e .\n???\n")
    monkeypatch.setattr(hardware, "__file__", str(tmp_path / "labkit" / "hardware.py"))
    assert "numpy" in hardware._beside_pins() and "pandas" not in hardware._beside_pins()


def test_a_gpu_that_torch_cannot_see(monkeypatch):
    monkeypatch.setattr(hardware, "_nvidia_driver", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "does not see" in failing("torch").detail


def test_torch_that_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "torch" in failing("torch").detail
    assert by_name(doctor())["Python"].ok  # the other checks go on


def test_little_memory(monkeypatch):
    for module in (hardware, fitting):
        monkeypatch.setattr(module, "free_memory", lambda: (int(0.5e9), int(4e9)))
    check = failing("memory")
    assert "0.5 GB free of 4.0" in check.detail and "Close" in check.mend
    assert {one.fits for one in fit()} == {"no"} and all(one.minutes is None for one in fit())


def test_a_full_disk(monkeypatch):
    usage = types.SimpleNamespace(total=10**12, used=10**12, free=10**8)
    monkeypatch.setattr(hardware.shutil, "disk_usage", lambda path: usage)
    assert "LABKIT_HOME" in failing("disk").mend


def test_an_old_processor(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"sse4_2": True, "avx2": False}, raising=False)
    monkeypatch.setattr(hardware.platform, "machine", lambda: "x86_64")
    assert "--base-url" in failing("instruction set").mend
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"neon": True}, raising=False)
    monkeypatch.setattr(hardware.platform, "machine", lambda: "arm64")
    assert by_name(doctor())["instruction set"].ok


def test_no_gpu_is_no_failure(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert by_name(doctor())["GPU"] == Check("GPU", True, "no GPU: the labs run on the CPU")


def fake_gpu(monkeypatch, free, capability=(8, 0)):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 16 * 10**9))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Card of the test")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *device: capability)
    monkeypatch.setattr(fitting, "matmul_speed", lambda device, dtype: 60e12)


def test_a_gpu_is_told_with_its_memory(monkeypatch):
    fake_gpu(monkeypatch, 12 * 10**9)
    assert by_name(doctor())["GPU"].detail == "Card of the test, 12.0 GB free of 16.0"
    fake_gpu(monkeypatch, 12 * 10**9, capability=(6, 1))
    assert "CUDA_VISIBLE_DEVICES" in failing("GPU").mend


@pytest.mark.parametrize("broken", ["gives nothing", "lets attach"])
def test_a_sandbox_that_does_not_hold(monkeypatch, broken):
    def execute(database, sql):
        rows = ((42,),) if broken == "lets attach" else ()
        return types.SimpleNamespace(rows=rows, error=None, seconds=0.0)

    monkeypatch.setattr("labkit.execution.execute", execute)
    failing("sandbox")


def test_a_check_that_breaks_is_a_check_that_fails(monkeypatch):
    def explode():
        raise RuntimeError("of a kind\nnobody foresaw")

    monkeypatch.setitem(hardware._CHECKS, "disk", explode)
    assert failing("disk").detail == "of a kind nobody foresaw"


# --- which models fit


def test_every_known_model_is_told_of():
    fits = fit()
    assert [one.model for one in fits] == [model.name for model in known_models()]
    assert json.loads(json.dumps([asdict(one) for one in fits]))


def test_memory_on_a_card(monkeypatch):
    """The vendors' notebooks tune 8B below 11 GB by computing activations twice, which is not done here."""
    fake_gpu(monkeypatch, 15 * 10**9)
    fits = {one.model: one for one in fit()}
    assert fits[DEFAULT].fits == fits["qwen2.5-coder-1.5b"].fits == "ask and tune"
    assert fits["llama-3.1-8b"].fits == "no" and fits["llama-3.1-8b"].minutes is None
    assert 3 < fits["llama-3.2-3b"].tune_4bit_gb < 10 and 6 < fits["llama-3.1-8b"].tune_4bit_gb < 18
    assert fits["llama-3.1-8b"].ask_gb > 16
    fake_gpu(monkeypatch, 23 * 10**9)
    fits = {one.model: one for one in fit()}
    assert fits["llama-3.1-8b"].fits == "ask and tune in 4-bit"
    assert fits["llama-3.1-8b"].minutes > fits[DEFAULT].minutes


def test_bigger_models_need_more_memory_and_time(monkeypatch):
    fake_gpu(monkeypatch, 10**12)
    fits = sorted(fit(), key=lambda one: next(m.parameters for m in known_models() if m.name == one.model))
    for name in ("ask_gb", "tune_gb", "minutes"):
        assert getattr(fits[0], name) < getattr(fits[4], name) < getattr(fits[-1], name)
    assert all(one.tune_4bit_gb < one.tune_gb for one in fits if one.model.endswith("b") and one.tune_gb > 4)
    weights = {model.name: 2 * model.parameters / 1e9 for model in known_models()}
    assert all(one.ask_gb > weights[one.model] for one in fits)


def test_float32_takes_more_than_bfloat16():
    small, large = (fitting.needs(known_models()[0], dtype) for dtype in ("bfloat16", "float32"))
    assert all(large[key] > small[key] for key in ("ask", "tune"))
    assert large["tune_4bit"] == small["tune_4bit"]  # computed in float32 on any CPU


def test_speed_is_measured_in_half_a_second():
    assert 1e8 < fitting.matmul_speed("cpu", "float32", seconds=0.1) < 1e15


def test_a_container_has_its_own_memory(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    limit.write_text("2000000000\n")
    (tmp_path / "memory.current").write_text("1500000000")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 500000000\n")
    real = Path
    monkeypatch.setattr(fitting, "Path", lambda text: limit if str(text).endswith("memory.max") else real(text))
    assert fitting.free_memory() == (1_000_000_000, 2_000_000_000)
    limit.write_text("max\n")
    assert fitting.free_memory()[1] > 2_000_000_000


def test_a_container_has_its_own_cores(monkeypatch, tmp_path):
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(hardware, "Path", lambda text: quota)
    quota.write_text("50000 100000\n")
    assert hardware.usable_cores() == 0.5
    quota.write_text("max 100000\n")
    assert hardware.usable_cores() >= 1


def test_light_to_import():
    code = "import labkit.hardware, sys; print('torch' in sys.modules, 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False False\n"
