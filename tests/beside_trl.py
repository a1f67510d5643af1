"""The benchmark of 4-bit tuning with all its sides, TRL in an environment of its own: `make test-bench-gpu`.
`make test` leaves this out."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-trl" / "bin" / "python"
SIDES = ("labkit", "trl", "trl_checkpointed")


def test_all_sides_tune_a_tiny_shape(tmp_path):
    results = tmp_path / "new" / "gpu.json"
    call = [PYTHON, ROOT / "benchmarks" / "bench_gpu.py", "--tiny", "--results", results]
    call += ["--budget-seconds", "900", "--case-seconds", "300"]  # a busy machine is no failure
    said = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    found = json.loads(results.read_text())
    cases = {case["side"]: case for case in found["cases"]}
    assert tuple(cases) == SIDES and all(case["ok"] for case in cases.values()), found
    assert len({case["trainable"] for case in cases.values()}) == len({case["tokens"] for case in cases.values()}) == 1
    assert set(found["ratios"]) == {"tiny labkit / trl", "tiny labkit / trl_checkpointed"}
    assert all(ratio["speed"] > 0 and ratio["peak"] is None for ratio in found["ratios"].values())
    assert said.count("tokens/s") == 3 and found["not_measured"] == []


def test_the_peer_has_its_own_packages_and_the_kit_behind_them():
    lines = (ROOT / "benchmarks" / "requirements-trl.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    asks = "import json, sys; from importlib.metadata import version; import labkit, trl, datasets, bitsandbytes, apsw;"
    asks += "print(json.dumps([{n: version(n) for n in sys.argv[1:]}, trl.__file__, datasets.__file__]))"
    said = subprocess.run([PYTHON, "-c", asks, *pins], capture_output=True, text=True, check=True).stdout
    versions, *files = json.loads(said)
    assert {name: found.partition("+")[0] for name, found in versions.items()} == pins
    assert all(Path(file).is_relative_to(ROOT / ".venv-trl") for file in files)
