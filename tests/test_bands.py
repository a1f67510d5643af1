"""Bands: a figure beside the recorded runs; the recorded files fit what the labs hand in."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from labkit.course import bands, places
from labkit.errors import LabkitError

ROOT = Path(__file__).parent.parent
LABS = [path for path in sorted((ROOT / "solutions").glob("lab*.py")) if "course.expected(" in path.read_text("utf-8")]
SETTING = places.Setting(places.DEFAULT_MODEL, 0, "full", "cpu")


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Three runs of a lab, in a datasets folder of the test's own."""
    (tmp_path / "bands").mkdir()
    monkeypatch.setattr(bands, "datasets", lambda: tmp_path)
    path = tmp_path / "bands" / "lab77.jsonl"
    runs = [
        {"seed": s, "dtype": d, "figures": {"right": r}}
        for s, d, r in ((0, "float32", 9), (1, "bfloat16", 7), (2, "float32", 8))
    ]
    path.write_text("".join(json.dumps(run) + "\n" for run in runs), "utf-8")
    return path


@pytest.mark.parametrize(
    ("value", "verdict"), [(6, "outside"), (7, "inside"), (8, "inside"), (9, "inside"), (9.5, "outside")]
)
def test_a_figure_stands_beside_the_range_of_the_runs(written, value, verdict):
    told = bands.expected("lab77", {"right": value}, SETTING)
    (figure,) = told.figures
    assert (figure.low, figure.high, figure.runs, figure.verdict) == (7, 9, 3, verdict)
    assert f"recorded 7 to 9: {verdict}" in str(told) and "3 runs: seeds 0, 1, 2; bfloat16, float32" in str(told)
    assert told.to_frame().loc["right"].tolist() == [value, 7, 9, verdict]


@pytest.mark.parametrize("change", [{"profile": "ci"}, {"model": "another"}])
def test_another_setting_has_no_band(written, change):
    told = bands.expected("lab77", {"right": 100}, replace(SETTING, **change))
    assert told.figures[0].verdict == "" and "No band" in str(told) and "outside" not in str(told)


def test_a_figure_or_a_lab_that_was_never_recorded_has_no_band(written):
    assert bands.expected("lab77", {"new": 1}, SETTING).figures[0].verdict == ""
    assert "0 runs of lab78 are recorded" in bands.expected("lab78", {"right": 1}, SETTING).note


def test_two_runs_make_no_range(written):
    written.write_text("".join(written.read_text("utf-8").splitlines(keepends=True)[:2]), "utf-8")
    told = bands.expected("lab77", {"right": 8}, SETTING)
    assert told.figures[0].verdict == "" and "2 runs of lab77 are recorded" in told.note


def test_what_is_handed_in_is_kept_for_the_tool_that_records(written):
    bands.expected("lab77", {"right": 3}, SETTING)
    assert bands.handed_in["lab77"] == {"right": 3.0}


@pytest.mark.parametrize("line", ["{", '{"seed": 0}', '{"seed": 0, "dtype": "float32", "figures": 3}'])
def test_a_damaged_file_is_a_sentence(written, line):
    written.write_text(line + "\n", "utf-8")
    with pytest.raises(LabkitError, match="lab77.jsonl is damaged .* git checkout"):
        bands.expected("lab77", {"right": 1}, SETTING)


def test_recorded_files_are_of_labs_that_ask_for_them_with_all_their_figures():
    asked = {path.stem[:5]: path.read_text("utf-8") for path in LABS}
    for path in sorted((ROOT / "datasets" / "bands").glob("*.jsonl")):
        for run in bands.recorded(path.stem):
            assert run["lab"] == path.stem and run["dtype"] in ("bfloat16", "float32")
            assert re.fullmatch(r"[0-9a-f]{64}", run["source_sha256"])
            assert all(f'"{name}"' in asked[path.stem] for name in run["figures"]), path.stem
