"""`make bench`: its table says what was measured beside the goals, and what was not."""

import importlib.util
import re
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


def cells(table: str) -> dict[str, list[str]]:
    """Measured, reached, and what the figure is of, by what was measured; the rows' own names are unlike."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()]
    return {row[0]: row[3:] for row in reversed(rows)}


def test_a_goal_that_falls_short_says_so_and_one_without_a_peer_is_not_measured(bench):
    tuning = {"ours": [{"recalled": 200, "of": 200, "seconds": 20}, {"recalled": 199, "of": 200, "seconds": 21}],
              "trl": {"seconds": 430.0}, "times_trl": 21.5,
              "memory_tuning": {"utilisation": 0.55, "gflop": 110, "seconds": 2, "fastest_gflop_s": 100}}  # fmt: skip
    found = cells(bench.table({"tuning": tuning}))
    assert found["200 facts recalled, share"][:2] == ["0.99", "short"]  # the worst of the runs
    assert found["the same facts, TRL's seconds over ours"] == ["21.50", "aim", "20 21 and 430 s"]
    assert found["use of the processor, memory tuning"] == ["0.55", "yes", "55 of 100 GFLOP/s"]
    assert found["answers a minute over llama.cpp"] == ["not measured"]


def test_what_longer_benchmarks_kept_stands_in_the_table_with_its_interval(bench):
    found = cells(bench.table(bench.longer()))
    for goal in ("league, held-out", "league, paraphrase", "second database, the clinic", "Chinook, all 47"):
        measured, reached, words = found[goal]
        right, of = map(int, re.match(r"(\d+) of (\d+) \[", words).groups())
        assert f"{right / of:.2f}" == measured and reached in ("short", "yes", "aim")


@pytest.mark.slow
def test_five_thousand_pairs_are_verified_and_spread_within_a_minute(bench):
    """What `labkit generate --n 5000` promises; the minute by the processor, for a test's machine may be busy."""
    from benchmarks.bench_generating import measured

    found = measured(5000, seed=0)
    assert found["pairs"] == found["distinct"] == found["verified"] == 5000
    assert found["skeletons"] >= 300 and found["largest_share"] <= 0.02 and found["wordings"] >= 5
    assert found["cpu_seconds"] < 60
    row = cells(bench.table({"generating": found | {"seconds": 28.0}}))["pairs generated a minute"]
    assert row[:2] == ["10714.29", "aim"] and row[2].startswith("5,000 pairs in 28 s, ")


def test_every_name_is_a_benchmark(bench):
    assert all((bench.FOLDER / f"bench_{name}.py").is_file() for name in bench.NAMES)


def test_a_name_that_is_none_is_refused(bench, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "decodings"])
    with pytest.raises(SystemExit):
        bench.main()
    assert "no benchmark decodings; there are" in capsys.readouterr().err
