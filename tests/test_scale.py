"""docs/scale.md and its figure rest on benchmarks/scale.json, and the script that makes it runs."""

import json
import runpy
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = runpy.run_path(str(ROOT / "benchmarks" / "bench_scale.py"))


def test_small_sizes_are_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home"))
    evaluated = SCRIPT["evaluated"](3, tmp_path)
    assert evaluated["right"] == evaluated["of"] == 3
    assert SCRIPT["profiled"](500, tmp_path)["counted"] == 500
    kept = SCRIPT["kept"](3, tmp_path)
    assert kept["listed"] == 3 and kept["bytes"] > 1000
    served = SCRIPT["served"](2, tmp_path)
    assert served["answers"] == 8 and served["longest_wait"] >= served["median_wait"] > 0


def test_the_picture_shows_what_was_measured():
    figures = json.loads((ROOT / "benchmarks" / "scale.json").read_text())
    circles = [e for e in ElementTree.fromstring(SCRIPT["picture"](figures)).iter() if e.tag.endswith("circle")]
    drawn = [name for name in SCRIPT["SIZES"] if name != "users at once"]
    assert len(circles) == sum(len(figures.get(name, {})) for name in drawn) > 1
