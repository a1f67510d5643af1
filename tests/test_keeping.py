"""What a learner makes in a lab stays, is found again, and is kept once; every lab keeps its runs in the one store."""

import re
from types import SimpleNamespace

import pytest

from labkit.course import keeping, standing
from labkit.datagen.facts import random_facts
from labkit.dataset import load_questions
from labkit.evaluation import evaluate
from labkit.runs import RunStore

MODEL = SimpleNamespace(name="tiny", sha256="ab" * 32, four_bit=False)


@pytest.mark.parametrize("lab", range(10))
def test_no_lab_keeps_its_runs_where_they_are_lost(root, lab):
    (source,) = (root / "solutions").glob(f"lab{lab:02d}_*.py")
    text = source.read_text("utf-8")
    assert set(re.findall(r"RunStore\((.*?)\)", text)) <= {""}, "a store of its own never reaches the certificate"
    if lab in (5, 6, 7, 8):  # Lab 9 makes a copy to be thrown away
        assert "tempfile" not in text and f'_folder("lab{lab:02d}")' in text


def test_each_pass_has_a_folder_of_its_own_and_an_empty_one_is_taken(own_home):
    first = keeping.adapters_folder("lab05")
    assert first == own_home / "adapters" / "lab05-1" == keeping.adapters_folder("lab05")
    (first / "sql").mkdir()
    second = keeping.adapters_folder("lab05")
    assert second.name == "lab05-2" and second.is_dir() and keeping.adapters_folder("lab06").name == "lab06-1"
    assert keeping.files_folder("lab08") == keeping.files_folder("lab08") == own_home / "labs" / "lab08"
    (keeping.workspace_folder("lab09") / "x").mkdir()
    assert keeping.workspace_folder("lab09") == own_home / "labs" / "lab09-2"


class Answering:
    """A generator that says which adapter it answers with."""

    def __init__(self, adapter, weights="cd" * 32, base=MODEL.sha256, four_bit=False):
        self.said = {"model": "tiny", "sha256": base, "adapter": str(adapter), "adapter_sha256": weights}
        self.said["four_bit"] = four_bit

    def __call__(self, questions):
        return ["SELECT 1" for _ in questions]

    def describe(self):
        return self.said


@pytest.fixture
def questions(root):
    return load_questions(root / "datasets/league/dev.jsonl")[:3]


def made(lab, name="sql"):
    folder = keeping.adapters_folder(lab) / name
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    return folder


def test_the_last_adapter_of_a_lab_is_found_by_its_run(questions, tmp_path):
    assert keeping.last_adapter("lab05", MODEL) is None
    first, facts, second, gone, other = (made(lab) for lab in ("lab05", "lab05", "lab05", "lab05", "lab09"))
    for number, folder in enumerate((first, second, gone, other)):
        evaluate(Answering(folder, str(number)), questions, progress=False)
    evaluate(Answering(facts, "facts"), random_facts(2), mode="text", progress=False)
    evaluate(Answering(made("lab05"), "theirs", base="another"), questions, progress=False)
    (gone / "adapter_config.json").unlink()
    assert keeping.last_adapter("lab05", MODEL) == second and keeping.last_adapter("lab09", MODEL) == other
    assert keeping.last_adapter("lab07", MODEL) is None


def test_an_adapter_of_four_bits_is_not_opened_for_plain_weights_nor_the_other_way(questions):
    plain, four = made("lab05"), made("lab05")
    evaluate(Answering(plain, "1"), questions, progress=False)
    evaluate(Answering(four, "2", four_bit=True), questions, progress=False)
    assert keeping.last_adapter("lab05", MODEL) == plain
    assert keeping.last_adapter("lab05", SimpleNamespace(**vars(MODEL) | {"four_bit": True})) == four


def test_one_adapter_on_four_bits_and_on_plain_weights_is_two_rungs(questions):
    folder = made("lab05")
    runs = [evaluate(Answering(folder, four_bit=four), questions, progress=False) for four in (False, True)]
    assert runs[0].id != runs[1].id and [run.four_bit for run in runs] == [False, True]
    (climb,) = standing.progress().climbs
    assert list(climb.rungs) == ["tiny + lab05-1/sql", "tiny (4 bits) + lab05-1/sql"]


def test_the_same_adapter_in_another_folder_is_the_same_rung(questions):
    first = evaluate(Answering(made("lab05")), questions, progress=False)
    again = evaluate(Answering(made("lab05")), questions, progress=False)
    other = evaluate(Answering(made("lab05"), "ef" * 32), questions, progress=False)
    assert again.id == first.id != other.id and len(RunStore().list()) == 2
    (climb,) = standing.progress().climbs
    assert list(climb.rungs) == ["tiny + lab05-1/sql", "tiny + lab05-3/sql"]
