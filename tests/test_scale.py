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
    figures |= SCRIPT["experts"](json.loads((ROOT / "benchmarks" / "mome.json").read_text()))
    assert set(figures) == {*SCRIPT["SIZES"], "experts built", "an expert picked"}
    svg = SCRIPT["picture"](figures)
    drawn = list(ElementTree.fromstring(svg).iter())
    circles = [(float(e.get("cx")), float(e.get("cy"))) for e in drawn if e.tag.endswith("circle")]
    assert len(circles) == sum(map(len, figures.values())) > 20
    assert all(70 <= x <= 510 and 40 <= y <= 340 for x, y in circles)
    assert len({e.get("fill") for e in drawn if e.tag.endswith("circle")}) == len(figures)
    assert svg == (ROOT / "benchmarks" / "scale.svg").read_text(), "make bench-scale draws it anew"
