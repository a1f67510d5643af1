"""`make bench`: its table says what was measured beside the goals, and what was not."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    spec = importlib.util.spec_from_file_location("benchmarks_main", ROOT / "benchmarks" / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_goal_that_falls_short_says_so_and_one_without_a_peer_is_not_measured(bench):
    tuning = {"ours": [{"recalled": 200, "of": 200}, {"recalled": 199, "of": 200}], "times_trl": 21.5,
              "memory_tuning": {"utilisation": 0.55}}  # fmt: skip
    lines = {line.split("  ")[0]: line for line in bench.table({"tuning": tuning}).splitlines()}
    assert lines["200 facts recalled, share"].split()[-2:] == ["0.99", "short"]  # the worst of the runs
    assert lines["the same facts, TRL's seconds over ours"].split()[-2:] == ["21.50", "aim"]
    assert lines["use of the processor, memory tuning"].split()[-2:] == ["0.55", "yes"]
    assert lines["answers a minute over llama.cpp"].rstrip().endswith("not measured")


def test_every_name_is_a_benchmark(bench):
    assert all((bench.FOLDER / f"bench_{name}.py").is_file() for name in bench.NAMES)


def test_a_name_that_is_none_is_refused(bench, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "decodings"])
    with pytest.raises(SystemExit):
        bench.main()
    assert "no benchmark decodings; there are" in capsys.readouterr().err
