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
    assert f"recorded 7 to 9: {verdict}" in str(told)
    named = "seed 0 in float32, seed 1 in bfloat16, seed 2 in float32"
    assert told.note == f"Beside 3 recorded runs of 6 planned: {named}."
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
            assert re.fullmatch(r"[0-9a-f]{64}", run["code_sha256"])
            assert all(f'"{name}"' in asked[path.stem] for name in run["figures"]), path.stem


@pytest.fixture
def recorder(monkeypatch):
    """tools/record_bands.py as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import record_bands

    return record_bands


def test_recorded_runs_are_of_the_code_of_now_and_each_is_there_once(recorder):
    sources = {path.stem[:5]: path for path in LABS}
    for path in sorted((ROOT / "datasets" / "bands").glob("*.jsonl")):
        runs = bands.recorded(path.stem)
        told = f"{path.stem} measures with other code now: python tools/record_bands.py {path.stem}"
        assert {run["code_sha256"] for run in runs} == {recorder.code_hash(sources[path.stem])}, told
        made = [(run["seed"], run["dtype"]) for run in runs]
        assert len(set(made)) == len(made) and set(made) <= {(s, d) for s in bands.SEEDS for d in bands.DTYPES}
        note = bands.expected(path.stem, runs[0]["figures"], SETTING).note
        assert f"{len(made)} recorded runs of 6 planned" in note if len(made) >= bands.FEWEST else "No band" in note


def test_the_page_of_the_data_counts_the_recorded_runs():
    words, page = (
        ("none", "one", "two", "three", "four", "five", "all six"),
        (ROOT / "datasets" / "README.md").read_text(),
    )
    counts = {path.stem[:5]: len(bands.recorded(path.stem[:5])) for path in LABS}
    for lab, count in counts.items():
        assert f"{words[count]} of Lab {int(lab[3:])}" in page.split("So far: ")[1].splitlines()[0], (lab, count)


def test_prose_leaves_the_hash_of_the_code_alone_and_code_does_not(recorder, tmp_path):
    text = LABS[0].read_text("utf-8")
    before, hashes = recorder.code_hash(LABS[0]), []
    for old, new in (("# # Lab", "# # A lab"), ("setting = course.setup()", "setting = course.setup(seed=1)")):
        assert text.count(old) == 1
        (tmp_path / LABS[0].name).write_text(text.replace(old, new), "utf-8")
        hashes.append(recorder.code_hash(tmp_path / LABS[0].name))
    assert hashes[0] == before != hashes[1]


def test_a_recording_of_other_code_is_made_anew_and_one_of_the_code_of_now_is_kept(recorder, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(recorder, "BANDS", tmp_path)
    monkeypatch.setattr("sys.argv", ["record_bands", "lab06", "--seeds", "0", "1", "--dtypes", "float32"])

    def record(source, lab, seed, dtype):
        made.append(seed)
        return {"seed": seed, "dtype": dtype, "figures": {}, "code_sha256": recorder.code_hash(source)}

    monkeypatch.setattr(recorder, "record", record)
    (now,) = (recorder.code_hash(path) for path in LABS if path.stem.startswith("lab06"))
    lines = [
        {"seed": seed, "dtype": "float32", "figures": {}, "code_sha256": code} for seed, code in ((0, "old"), (1, now))
    ]
    (tmp_path / "lab06.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    recorder.main()
    assert made == [0] and "old" not in (tmp_path / "lab06.jsonl").read_text("utf-8")
