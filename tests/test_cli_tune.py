"""`labkit tune` and `labkit merge` as a script sees them: contract, exit codes, interruption, what is refused."""

import json
import re
import runpy
import shutil
import signal
from pathlib import Path

import pytest

from labkit.datagen.facts import random_facts
from labkit.dataset import load_questions, save_questions
from labkit.tuning.adapter import read_card
from labkit.tuning.train import Trainer

HERE = Path(__file__).parent
LEAGUE = HERE.parent / "datasets" / "league"
tiny_model_dir = runpy.run_path(str(HERE / "standin.py"))["tiny_model_dir"]
CLI = runpy.run_path(str(HERE / "test_cli.py"))
labkit, as_json = CLI["labkit"], CLI["as_json"]
QUICK = ("--layers", 2, "--rank", 8, "--rate", "5e-3")
KEYS = {"adapter", "method", "seconds", "tokens", "trained", "recalled", "of"}


@pytest.fixture(scope="module")
def facts(tmp_path_factory) -> Path:
    return save_questions(tmp_path_factory.mktemp("facts") / "facts.jsonl", list(random_facts(6, seed=2)))


@pytest.fixture(scope="module")
def learnt(tiny_model_dir, facts, tmp_path_factory) -> Path:
    """An adapter that knows the facts by heart."""
    out = tmp_path_factory.mktemp("learnt") / "adapter"
    found = as_json("tune", "--pairs", facts, "--method", "memory", "--out", out, "--model", tiny_model_dir, *QUICK)
    assert found.keys() == KEYS and found["adapter"] == str(out) and found["method"] == "memory"
    assert found["trained"] == found["recalled"] == found["of"] == 6 and found["tokens"] > 0 and found["seconds"] > 0
    return out


def test_what_tuning_recalled_evaluate_counts_as_well(tiny_model_dir, facts, learnt):
    ask = ("evaluate", "--questions", facts, "--mode", "text", "--model", tiny_model_dir)
    assert as_json(*ask, "--adapter", learnt)["correct"] == 6
    assert as_json(*ask)["correct"] == 0


def test_the_same_call_again_shows_what_is_there(tiny_model_dir, facts, learnt):
    again = ("tune", "--pairs", facts, "--method", "memory", "--out", learnt, "--model", tiny_model_dir, *QUICK)
    done = labkit(*again)
    assert "holds the adapter of this same call" in done.stderr and "6 of 6 recalled exactly" in done.stdout
    error = as_json(*again, "--seed", 1, code=2)["error"]
    assert f"{learnt} holds another adapter" in error


def test_facts_left_over_are_listed_and_the_exit_code_says_so(tiny_model_dir, facts, tmp_path):
    command = ("tune", "--pairs", facts, "--method", "memory", "--out", tmp_path / "a", "--model", tiny_model_dir)
    done = labkit(*command, "--passes", 1, "--layers", 1, code=1)
    hard = read_card(tmp_path / "a").hard
    assert "0 of 6 recalled exactly" in done.stdout and len(hard) == 6
    for pair in hard:
        assert pair["id"] in done.stdout and str(pair["probability"]) in done.stdout
    found = as_json(*command, "--passes", 1, "--layers", 1, code=1)
    assert found["recalled"] == 0 and found["of"] == 6


def test_instruction_tuning_takes_several_files_and_its_settings(tiny_model_dir, facts, tmp_path):
    """Two files that number their pairs alike, one with queries, one with answers."""
    other = save_questions(tmp_path / "more.jsonl", list(random_facts(5, seed=9)))
    command = ("tune", "--pairs", facts, "--pairs", other, "--method", "instruction", "--model", tiny_model_dir)
    options = ("--rank", 3, "--passes", 2, "--layers", 1, "--batch-size", 4, "--rate", "1e-3", "--seed", 5)
    found = as_json(*command, "--out", tmp_path / "a", *options)
    assert (found["trained"], found["of"], found["method"]) == (11, 11, "instruction")
    card = read_card(tmp_path / "a")
    kept = {name: card.recipe[name] for name in ("rank", "passes", "layers", "batch_size", "rate", "seed")}
    assert kept == {"rank": 3, "passes": 2, "layers": 1, "batch_size": 4, "rate": 1e-3, "seed": 5}
    assert len({q.id for q in load_questions(tmp_path / "a" / "pairs.jsonl")}) == 11


def test_tuning_goes_on_from_an_adapter(tiny_model_dir, facts, learnt, tmp_path):
    more = save_questions(tmp_path / "more.jsonl", list(random_facts(3, seed=11)))
    command = ("tune", "--pairs", more, "--method", "memory", "--model", tiny_model_dir, "--adapter", learnt)
    found = as_json(*command, "--out", tmp_path / "both", "--rate", "5e-3")
    assert found["trained"] == 3 and found["recalled"] == found["of"] == 9
    ask = ("evaluate", "--mode", "text", "--model", tiny_model_dir, "--adapter", tmp_path / "both")
    assert as_json(*ask, "--questions", facts)["correct"] == 6
    assert as_json(*ask, "--questions", more)["correct"] == 3
    error = as_json(*command, "--out", tmp_path / "c", "--rank", 4, code=2)["error"]
    assert "has rank 8, which stays" in error


def test_pairs_of_an_evaluation_set_are_refused_and_listed(tiny_model_dir, tmp_path):
    start = load_questions(LEAGUE / "start.jsonl")
    pairs = save_questions(tmp_path / "pairs.jsonl", list(start)[:3])
    command = ("tune", "--pairs", pairs, "--method", "instruction", "--out", tmp_path / "a", "--model", tiny_model_dir)
    error = as_json(*command, "--avoid", LEAGUE / "start.jsonl", code=2)["error"]
    assert "also in an evaluation set" in error and all(q.id in error for q in list(start)[:3])
    assert not (tmp_path / "a").exists()


def test_ctrl_c_says_that_the_work_is_kept_and_the_same_call_goes_on(tiny_model_dir, facts, tmp_path, monkeypatch):
    command = ("tune", "--pairs", facts, "--method", "memory", "--model", tiny_model_dir, *QUICK, "--batch-size", 2)
    steps, step = [], Trainer.step

    def interrupted(self, what):
        steps.append(what)
        if len(steps) == 3:
            signal.raise_signal(signal.SIGINT)
        return step(self, what)

    monkeypatch.delenv("CI", raising=False)  # where it is set, progress is not told
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", interrupted)
        done = labkit(*command, "--out", tmp_path / "a", code=130)
    assert "the same call goes on from there" in done.stderr and done.stdout == ""
    assert not (tmp_path / "a" / "adapter_config.json").exists()
    done = labkit(*command, "--out", tmp_path / "a")
    assert "Going on at step 3" in done.stderr and "6 of 6 recalled exactly" in done.stdout
    labkit(*command, "--out", tmp_path / "b")
    weights = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]


def test_remembered_facts_are_counted_by_evaluate_in_a_new_process(tiny_model_dir, facts, tmp_path):
    more = save_questions(tmp_path / "more.jsonl", list(random_facts(12, seed=3))[6:])
    one, two = (as_json("remember", "--facts", f, "--out", tmp_path / out, "--model", tiny_model_dir, *rest)
                for f, out, rest in ((facts, "one", ()), (more, "two", ("--adapter", tmp_path / "one"))))  # fmt: skip
    assert one.keys() == KEYS and (one["method"], one["recalled"], one["of"]) == ("mome", 6, 6) == (
        two["method"], two["recalled"], two["of"],
    )  # fmt: skip
    for asked in (facts, more):
        ask = ("evaluate", "--questions", asked, "--mode", "text", "--model", tiny_model_dir)
        assert as_json(*ask, "--adapter", tmp_path / "two")["correct"] == 6
    again = ("remember", "--facts", facts, "--out", tmp_path / "one", "--model", tiny_model_dir)
    assert "holds an adapter already" in labkit(*again, code=2).stderr


def test_facts_are_forgotten_by_name_and_by_question(tiny_model_dir, facts, tmp_path):
    bank, (first, second) = tmp_path / "bank", random_facts(2, seed=2)
    as_json("remember", "--facts", facts, "--out", bank, "--model", tiny_model_dir)
    forget = ("forget", "--adapter", bank, "--model", tiny_model_dir, "--out")
    done = as_json(*forget, tmp_path / "four", "--fact", first.id, "--question", second.question)
    assert done == {"adapter": str(tmp_path / "four"), "facts": [first.id, second.id], "left": 4}
    ask = ("evaluate", "--questions", facts, "--mode", "text", "--model", tiny_model_dir)
    assert as_json(*ask, "--adapter", tmp_path / "four")["correct"] == 4
    assert f"remove {bank}" in labkit(*forget, tmp_path / "five", "--fact", first.id).stdout
    for options, sentence in (
        ((tmp_path / "x", "--fact", "nobody"), "no fact 'nobody'"),
        ((tmp_path / "x", "--question", "Who is Zeno?"), "No fact of the bank is asked for by 'Who is Zeno"),
        ((tmp_path / "x",), "No fact to forget was named"),
        ((tmp_path / "four", "--fact", first.id), "holds an adapter already"),
    ):
        assert sentence in as_json(*forget, *options, code=2)["error"]
    error = as_json(
        "forget", "--adapter", tmp_path, "--out", tmp_path / "x", "--fact", "a", "--model", tiny_model_dir, code=2
    )
    assert "holds no bank" in error["error"] and not (tmp_path / "x").exists()


def test_two_banks_are_joined_and_asked_as_one(tiny_model_dir, facts, tmp_path):
    model, more = ("--model", tiny_model_dir), save_questions(tmp_path / "more.jsonl", random_facts(12, seed=3)[6:])
    for asked, out in ((facts, "one"), (more, "two")):
        as_json("remember", "--facts", asked, "--out", tmp_path / out, *model)
    done = as_json("join", tmp_path / "one", tmp_path / "two", "--out", tmp_path / "both", *model)
    assert done == {"adapter": str(tmp_path / "both"), "facts": 12, "shared": [], "lost": []}
    for asked in (facts, more):
        ask = ("evaluate", "--questions", asked, "--mode", "text", *model, "--adapter", tmp_path / "both")
        assert as_json(*ask)["correct"] == 6
    again = ("join", tmp_path / "one", tmp_path, "--out", tmp_path / "x", *model)
    assert "holds no bank" in as_json(*again, code=2)["error"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--method", "rote"), "no method 'rote'.*instruction or memory"),
        (("--rank", 0), "rank must be 1 or more"),
        (("--rate", -1), "rate must be a number above 0"),
        (("--layers", 0), "layers must be 1 or more"),
        (("--pairs", "nosuch.jsonl"), "nosuch.jsonl"),
        (("--avoid", "nosuch.jsonl"), "nosuch.jsonl"),
        (("--adapter", "nosuch"), "nosuch"),
        (("--adapter", "starter"), "no starter adapter for"),
        (("--prompt", "sung"), "no prompt 'sung'"),
        (("--model", "nosuch"), "Unknown model"),
    ],
)
def test_wrong_options_are_sentences_before_the_model_is_loaded(
    tiny_model_dir, facts, tmp_path, monkeypatch, options, sentence
):
    if options[0] != "--model":
        monkeypatch.setattr("labkit.tuning.load_model", lambda *_, **__: pytest.fail("a model was loaded"))
    given = {"--pairs": facts, "--method": "memory", "--model": tiny_model_dir, "--out": tmp_path / "a"}
    given[options[0]] = options[1]
    error = as_json("tune", *(part for pair in given.items() for part in pair), code=2)["error"]
    assert re.search(sentence, error), error
    assert not (tmp_path / "a").exists()


def test_an_adapter_of_another_base_and_a_full_folder_are_told_before_the_model_is_loaded(
    learnt, tiny_model_dir, facts, tmp_path, monkeypatch
):
    other = runpy.run_path(str(HERE / "standin.py"))["make_tiny_model"](tmp_path / "other", seed=1)
    for module in ("labkit.tuning", "labkit.tuning.merge"):
        monkeypatch.setattr(f"{module}.load_model", lambda *_, **__: pytest.fail("a model was loaded"))
    monkeypatch.setattr("labkit.models._load", lambda *_, **__: pytest.fail("weights were read"))
    bare = tmp_path / "bare"
    shutil.copytree(learnt, bare)
    (bare / "adapter_model.safetensors").unlink()
    tune = ("tune", "--pairs", facts, "--method", "memory")
    merge = ("merge", "--out", tmp_path / "m")
    foreign, here = "was made for .* with the hash", ("--model", tiny_model_dir)
    for words, sentence in [
        ((*tune, "--out", tmp_path / "a", "--model", other, "--adapter", learnt), foreign),
        ((*tune, "--out", tmp_path / "a", *here, "--adapter", bare), "safetensors is missing"),
        ((*tune, "--out", learnt, *here, "--seed", 3), "holds another adapter"),
        ((*merge, "--adapter", learnt, "--model", other), foreign),
        ((*merge, "--adapter", tmp_path, *here), "no adapter"),
        ((*merge, "--adapter", bare, *here), "safetensors is missing"),
        ((*merge, "--adapter", learnt, *here, "--gguf", tmp_path / "m.gguf", "--kind", "q2"), "kind is 'q2'"),
        (("merge", "--out", learnt, "--adapter", learnt, *here), "exists already"),
        (("side-effects", "--adapter", learnt, "--model", other), foreign),
        (("side-effects", "--adapter", tmp_path, *here), "holds no adapter"),
    ]:
        error = as_json(*words, code=2)["error"]
        assert re.search(sentence, error), (words, error)


def test_four_bit_weights_tune_from_the_command_line(tiny_model_dir, facts, tmp_path):
    command = ("tune", "--pairs", facts, "--method", "instruction", "--model", tiny_model_dir, "--four-bit")
    assert as_json(*command, "--out", tmp_path / "a", "--layers", 1)["trained"] == 6
    assert read_card(tmp_path / "a").made["four_bit"] is True


# --- merge


def test_merge_writes_a_folder_and_a_gguf_file_that_answer_alike(tiny_model_dir, facts, learnt, tmp_path):
    command = ("merge", "--adapter", learnt, "--model", tiny_model_dir, "--dtype", "float32")
    files = ("--out", tmp_path / "merged", "--gguf", tmp_path / "m.gguf", "--kind", "f32")
    found = as_json(*command, *files)
    assert found.keys() == {"folder", "dtype", "dequantised", "same", "of", "difference", "gguf"}
    assert (found["folder"], found["gguf"]) == (str(tmp_path / "merged"), str(tmp_path / "m.gguf"))
    assert found["same"] == found["of"] == 6 and found["difference"] < 1e-3
    ask = ("evaluate", "--questions", facts, "--mode", "text", "--model")
    assert as_json(*ask, tmp_path / "merged")["correct"] == 6
    assert as_json(*ask, tmp_path / "m.gguf")["correct"] == 6
    shutil.rmtree(tmp_path / "merged")
    assert "m.gguf exists already" in as_json(*command, *files, code=2)["error"]
    assert not (tmp_path / "merged").exists()
    done = labkit(*command, "--out", tmp_path / "merged")
    assert "6 of 6 greedy answers" in done.stdout and json.loads((tmp_path / "merged" / "config.json").read_text())


def test_the_help_of_other_commands_tells_the_codes_own_defaults():
    from labkit.evaluation import BATCH
    from labkit.forecast import BATCH as A_STEP
    from labkit.forecast import ROWS

    pairs = f"(default: {A_STEP['instruction']}; memory: {A_STEP['memory']}; mome: {A_STEP['mome']})"
    assert f"{pairs} and rows decoded ({ROWS})" in " ".join(labkit("fit", "--help").stdout.split())
    assert f"less memory. Default: {BATCH}." in " ".join(labkit("evaluate", "--help").stdout.split())


def test_the_help_tells_the_recipes_own_defaults():
    from labkit.tuning.recipes import _for_layers

    told = " ".join(labkit("tune", "--help").stdout.split())
    one, other = (_for_layers(method, 30) for method in ("instruction", "memory"))
    assert (one.layers, 3 * other.layers, one.rate, one.rank) == (30, 30, other.rate, other.rank)
    for said in (
        f"Highest learning rate. Default: {one.rate:g}.",
        f"Over the pairs. Default: {one.passes:g}; memory: at most {other.passes:g}.",
        "Default: all; memory: a third.",
        f"Rank of the adapters. Default: {one.rank}.",
        f"Pairs a step. Default: {one.batch_size}; memory: {other.batch_size}.",
    ):
        assert said in told, said
