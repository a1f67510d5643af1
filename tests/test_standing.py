"""Progress over the labs present, the certificate page, and what `labkit clean` shows, frees and leaves alone."""

import json
import os
import re
import sys
from html.parser import HTMLParser

import pytest

import labkit
from labkit.cli import main
from labkit.course import cleaning, standing, steps
from labkit.errors import LabkitError
from labkit.home import MEASURING, alone, workbench
from labkit.runs import Result, Run, RunStore


def command(capsys, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["labkit", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    return capsys.readouterr().out


def measured(verdicts, finished=True, **about):
    store = RunStore()
    about = {"set": "<b>dev</b>", "mode": "execution", "model": "tiny", "device": "cpu"} | about
    run = store.begin(Run("", total=len(verdicts), **about), fresh=True)
    store.add(run.id, [(i, Result(str(i), "SELECT 1", v, "", "", True, 0.1)) for i, v in enumerate(verdicts)])
    return store.finish(run.id) if finished else run


def test_progress_counts_passes_of_the_labs_present_and_finished_runs_in_their_order(capsys, monkeypatch):
    steps.record("lab00.top_k", True)
    steps.record("lab00.top_p", False)
    steps.record("lab77.gone", True)  # no lab of this course
    first, second = measured(["wrong", "right"]), measured(["right", "right"])
    measured(["right"], finished=False)
    seen = labkit.progress()
    assert seen.passed == 1 < seen.of and seen.labs[0].passed == ("lab00.top_k",)
    assert [run.id for run in seen.runs] == [first.id, second.id]
    assert json.loads(command(capsys, monkeypatch, "progress", "--json")) == seen.to_json()
    assert first.id in command(capsys, monkeypatch, "progress")


def test_each_question_set_has_a_ladder_of_its_own():
    first, other = measured(["wrong", "wrong", "right"]), measured(["right", "right"], set_hash="cut")
    measured(["right"], mode="semantic")
    last = measured(["right", "right", "wrong"], adapter="/a/mine")
    again = measured(["right", "right", "right"], adapter="/b/mine")
    climbs = labkit.progress().climbs
    assert [[run.id for run in climb.runs] for climb in climbs[:2]] == [[first.id, last.id, again.id], [other.id]]
    assert [climb.name.removeprefix("<b>dev</b>, ") for climb in climbs] == [
        "n=3 (execution)",
        "n=2 (execution, set cut)",
        "n=1 (semantic)",
    ]
    assert list(climbs[0].rungs) == ["tiny", "tiny + mine", "tiny + mine (2)"]  # two adapters in folders of one name
    assert (climbs[0].change.fixed, climbs[0].change.broken) == (("0", "1"), ()) and climbs[1].change is None
    told = labkit.progress().to_json()["climbs"]
    assert [rung["run"] for rung in told[0]["rungs"]] == [first.id, last.id, again.id]
    assert told[0]["change"]["fixed"] == 2 and told[0]["n"] == 3 and told[1]["change"] is None


def test_the_figures_are_told_apart_and_facts_from_sql(capsys, monkeypatch):
    text, other, league = {"mode": "text"}, {"database_hashes": {"clinic": "x"}}, {"database_hashes": {"league": "x"}}
    sets = {"facts": text, "other words": text, "questions": other, "trained": league, "paraphrase": league, "dev": {}}
    for name, more in sets.items():
        measured(["right"], **more, set=name)
    seen = labkit.progress()
    wanted = ["held-out", "paraphrase", "recall", "second database", "facts", "facts in other words"]
    assert [climb.figure for climb in seen.climbs] == wanted == list(standing.FIGURES)
    told, page = command(capsys, monkeypatch, "progress"), standing._page(seen)
    for text in (told, page):
        places = [text.index(standing.FIGURES[figure]) for figure in wanted]
        assert places == sorted(places) and len(places) == len(set(places))
    assert [climb["figure"] for climb in seen.to_json()["climbs"]] == wanted


def test_what_was_recorded_elsewhere_is_not_the_learners_climb():
    recorded = measured(["right", "right"], device="recorded")
    first, last = measured(["wrong", "wrong"]), measured(["right", "wrong"])
    (climb,) = labkit.progress().climbs
    assert [run.id for run in climb.runs] == [recorded.id, first.id, last.id]
    assert (climb.change.before, climb.change.after) == (first.id, last.id)


def test_the_certificate_shows_one_own_climb_a_figure_and_folds_the_rest():
    measured(["wrong"] * 9, set="start"), measured(["right"] * 9, set="start")  # more questions, but nothing tuned
    measured(["right"] * 30, device="recorded"), measured(["right"] * 8)  # no own run; nothing to compare with
    first = measured(["wrong"] * 4, prompt="plain")
    made_up = measured(["right"] * 4, device=None, model="parrot")
    last = measured(["right"] * 3 + ["wrong"], adapter="/x/starters/0123456789ab")
    alone = measured(["right"], mode="text", set="other words")
    seen = labkit.progress()
    assert [[run.id for run in climb.runs] for climb in seen.foremost] == [[first.id, last.id], [alone.id]]
    shown, rest = standing._page(seen).split("<details>")
    assert shown.count("<svg") == 2 and "0.00 → 0.75" in shown and "starter 01234567" in shown and "target" not in shown
    assert all(run.id in rest for run in (first, last, alone)) and made_up.id not in rest and "parrot" not in rest
    assert made_up.id in str(seen), "all that was measured stands in the progress"


def test_what_a_made_up_generator_answered_is_no_end_of_a_climb():
    measured(["right", "right"], device=None, model="parrot")
    first, last = measured(["wrong", "wrong"]), measured(["right", "wrong"])
    measured(["wrong", "wrong"], device=None, model="parrot")
    (climb,) = labkit.progress().climbs
    assert (climb.change.before, climb.change.after) == (first.id, last.id) and len(climb.runs) == 4


def test_a_page_without_a_model_has_nothing_to_show():
    measured(["right"], device=None, model="parrot")
    assert "No finished run of a model here yet." in standing._page(labkit.progress())


def test_the_pages_parts_hold_one_set_each():
    runs = [measured(["wrong", "right"]), measured(["right"] * 3, set_hash="b"), measured(["right", "right"])]
    head, *parts = standing._page(labkit.progress()).split("<h3>")
    assert len(parts) == 2 and not any(run.id in head for run in runs)
    assert [[run.id in part for run in runs] for part in parts] == [[True, False, True], [False, True, False]]
    assert "fixed 1, broken 0" in parts[0] and "fixed" not in parts[1] and all("<svg" in part for part in parts)


def test_a_workspaces_runs_stand_beside_the_kits_own(tmp_path, capsys, monkeypatch):
    mine = measured(["right"])
    store = RunStore(tmp_path / "runs.db")
    other = store.begin(Run("", "questions", "execution", "tiny", total=1), fresh=True)
    store.add(other.id, [(0, Result("0", "SELECT 1", "right", "", "", True, 0.1))])
    store.finish(other.id)
    told = json.loads(command(capsys, monkeypatch, "progress", "--json", "--runs", tmp_path / "runs.db"))
    assert [run["id"] for run in told["runs"]] == [mine.id, other.id] and len(told["climbs"]) == 2
    monkeypatch.setattr(sys, "argv", ["labkit", "progress", "--runs", str(tmp_path / "none.db")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code and "none.db" in capsys.readouterr().err and not (tmp_path / "none.db").exists()


def test_a_new_learner_has_passed_nothing():
    seen = labkit.progress()
    assert seen.passed == 0 and seen.runs == () and "No finished run yet." in str(seen)
    assert len(seen.labs) >= 3


def test_the_certificate_is_one_file_with_measured_numbers_beside_run_ids(tmp_path, capsys, monkeypatch):
    run = measured(["right", "wrong", "wrong", "wrong"], adapter="/a/<i>mine</i>")
    command(capsys, monkeypatch, "progress", "--certificate", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert str(run) in page and run.id in page
    assert "<b>dev" not in page and "<i>" not in page  # a set's name is text
    links = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: links.extend(v for k, v in attrs if k in ("src", "href"))
    parser.feed(page)
    assert links == [] and "url(" not in page and "all exercises" not in page


def test_the_certificate_says_all_only_when_all_are_passed():
    for lab in labkit.progress().labs:
        for name in lab.exercises:
            steps.record(name, True)
    assert "Passed all exercises" in standing._page(labkit.progress())


@pytest.fixture
def filled(own_home):
    for name in ("models/a/w", "copies/c/x", "adapters/one/unfinished/p", "adapters/one/weights", "mine.txt"):
        (own_home / name).parent.mkdir(parents=True, exist_ok=True)
        (own_home / name).write_bytes(b"x" * 1000)
    measured(["right"])
    steps.record("lab00.top_k", True)
    return own_home


def test_clean_only_shows_unless_told(filled, capsys, monkeypatch):
    before = sorted(filled.rglob("*"))
    said = json.loads(command(capsys, monkeypatch, "clean", "--json"))
    assert sorted(filled.rglob("*")) == before and said["dry_run"] and said["freed"] == 0
    sizes = {kind["kind"]: kind["bytes"] for kind in said["kinds"]}
    assert sizes["models"] == sizes["copies"] == sizes["unfinished"] == sizes["adapters"] == 1000 < sizes["runs"]
    assert "Add --yes" in command(capsys, monkeypatch, "clean")


def test_clean_frees_what_can_be_made_again_and_keeps_the_rest(filled, capsys, monkeypatch):
    assert json.loads(command(capsys, monkeypatch, "clean", "--yes", "--json"))["freed"] == 3000
    assert not any((filled / name).exists() for name in ("models", "copies", "adapters/one/unfinished"))
    assert (filled / "adapters/one/weights").exists() and (filled / "mine.txt").exists()
    assert len(RunStore().list()) == 1 and labkit.progress().passed == 1


def test_clean_frees_runs_and_adapters_only_when_named(filled):
    cleaning.free(("runs",))
    assert RunStore().list() == [] and (filled / "adapters").exists()
    assert cleaning.free(("adapters",)) == 2000 and not (filled / "adapters").exists()
    assert (filled / "mine.txt").exists() and labkit.progress().passed == 1


def test_clean_frees_labs_adapters_and_keeps_the_questions_beside_them(filled):
    made = (
        "labs/lab09-1/w/a/adapter_config.json",
        "labs/lab09-1/w/accepted.jsonl",
        "adapters/lab05-1/sql/unfinished/p",
    )
    for name in (*made, "labs/lab09-1/w/b/unfinished/p", "adapters/lab05-1/sql/weights"):
        (filled / name).parent.mkdir(parents=True, exist_ok=True)
        (filled / name).write_bytes(b"x" * 100)
    sizes = {use.kind: use.bytes for use in cleaning.used()}
    assert sizes["unfinished"] == 1000 + 200 and sizes["adapters"] == 1000 + 200
    assert cleaning.free(("adapters",)) == 2400
    assert [path.name for path in (filled / "labs").rglob("*") if path.is_file()] == ["accepted.jsonl"]


def size_of(folder):
    """Bytes of all files below a folder, links for themselves: another way than the kit's."""
    total = 0
    for place, folders, files in os.walk(folder):
        for name in (*files, *(one for one in folders if os.path.islink(os.path.join(place, one)))):
            total += os.lstat(os.path.join(place, name)).st_size
    return total


REMADE = ("artifacts/adapters/a/unfinished/p", "climb/w", "mome-scale/b", "side-effects/c.json", "practice/d")
YOURS = ("labs/lab08/evaluation.jsonl", "sets/mine.jsonl", "training/lab04.jsonl", "progress/lab00.sample.json")
OTHER = ("hashes.json", "tmpabcdefgh/trunk/states", "mine/deep/er.txt")


@pytest.fixture
def crowded(filled, tmp_path):
    """`filled`, and everything else that labs and `make` leave in the kit's folder."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "large").write_bytes(b"x" * 9999)
    (filled / "models" / "linked").symlink_to(tmp_path / "elsewhere")
    for name in (*REMADE, *YOURS, *OTHER, "labs/lab09-1/a/adapter_config.json", "labs/lab09-1/a/unfinished/p"):
        (filled / name).parent.mkdir(parents=True, exist_ok=True)
        (filled / name).write_bytes(b"x" * 100)
    return filled


def test_the_kinds_that_clean_shows_add_up_to_the_folder(crowded, capsys, monkeypatch):
    kinds = json.loads(command(capsys, monkeypatch, "clean", "--json"))["kinds"]
    sizes = {kind["kind"]: kind["bytes"] for kind in kinds}
    assert sum(sizes.values()) == size_of(crowded)
    assert sizes["remade"] == 500 and sizes["other"] == 1000 + 300 and sizes["yours"] > 400
    assert sizes["adapters"] == 1000 + 100 and sizes["unfinished"] == 1000 + 100
    assert list(sizes)[-1] == "other" and "left alone" in command(capsys, monkeypatch, "clean")


def test_clean_frees_what_make_makes_again_only_when_named(crowded, capsys, monkeypatch):
    command(capsys, monkeypatch, "clean", "--yes", "--runs", "--adapters")
    assert all((crowded / name).exists() for name in REMADE)
    assert json.loads(command(capsys, monkeypatch, "clean", "--yes", "--remade", "--json"))["freed"] == 500
    assert not any((crowded / name.split("/")[0]).exists() for name in REMADE)
    assert all((crowded / name).exists() for name in (*YOURS, *OTHER))


@pytest.mark.parametrize("kind", ["yours", "other"])
def test_what_a_learner_wrote_is_never_freed(crowded, kind):
    with pytest.raises(ValueError, match="never removed"):
        cleaning.free((*cleaning.USUAL, kind))
    assert (crowded / "models" / "a" / "w").exists()


def test_clean_leaves_artifacts_that_are_being_made(crowded):
    with alone(crowded / "artifacts/adapters/a/unfinished"), pytest.raises(LabkitError, match="at work in"):
        cleaning.free(("remade",))
    assert all((crowded / name).exists() for name in REMADE)


def test_every_folder_that_the_kit_makes_in_its_home_has_a_kind(own_home, root):
    """A new one has to be given a kind: what nobody may free grows unseen."""
    sources = (path for part in ("labkit", "tools", "benchmarks", "solutions") for path in (root / part).rglob("*.py"))
    named = {name for path in sources for name in re.findall(r'home\(\) / "([^"]+)"', path.read_text("utf-8"))}
    assert {"artifacts", "training", "mome-scale", "runs.db"} <= named
    for name in named - {"hashes.json", "measured.json"}:  # small, and written anew as they are needed
        (own_home / name).write_bytes(b"x")
    assert not [use for use in cleaning.used() if use.kind == "other" and use.bytes]


def test_clean_frees_what_killed_measurements_left_and_no_living_ones(own_home):
    names = (".measuring-99999999-x", f".measuring-{os.getpid()}-x", "tmpabcdefgh", "tmpabcdefgi", "tmpabcdefgj")
    for name in names:
        (own_home / name / "trunk").mkdir(parents=True)
        (own_home / name / "trunk" / "states").write_bytes(b"x" * 1000)
    (own_home / "tmpabcdefgj" / "mine.txt").write_text("mine")
    for path in (p for name in names[2::2] for p in (own_home / name, *(own_home / name).rglob("*"))):
        os.utime(path, (1, 1))  # untouched for a day
    assert cleaning.free() == 2000
    assert [name for name in names if (own_home / name).exists()] == [names[1], *names[3:]]


def test_the_next_measurement_removes_what_a_killed_one_left(own_home):
    (own_home / ".measuring-99999999-x" / "trunk").mkdir(parents=True)
    with workbench(own_home, MEASURING) as folder:
        assert [path.name for path in own_home.glob(".measuring-*")] == [folder.name]
    assert not list(own_home.glob(".measuring-*"))


def test_clean_removes_a_link_and_not_what_it_points_to(own_home, tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "w").write_text("w")
    (own_home / "models").symlink_to(tmp_path / "shared")
    cleaning.free(("models",))
    assert not (own_home / "models").is_symlink() and (tmp_path / "shared" / "w").exists()


def test_clean_leaves_a_training_that_is_under_way(filled):
    with alone(filled / "adapters" / "one" / "unfinished"), pytest.raises(LabkitError, match="at work in"):
        cleaning.free()
    assert all((filled / name).exists() for name in ("models", "copies", "adapters/one/unfinished/p"))
    assert cleaning.free() == 3000
