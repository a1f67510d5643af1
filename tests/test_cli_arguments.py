"""What is wrong with the arguments of `remember`, `forget`, `join`, `tune-channel` and `tune-encoder` is one sentence,
before a model is loaded. Those of `tune`, `merge` and `side-effects` are tried in `test_cli_tune`."""

import json
import re
import runpy
import shutil
from pathlib import Path

import pytest

from labkit.datagen.facts import random_facts
from labkit.dataset import Question, load_questions, save_questions

HERE = Path(__file__).parent
LEAGUE = HERE.parent / "datasets" / "league"
STANDIN = runpy.run_path(str(HERE / "standin.py"))
tiny_model_dir = STANDIN["tiny_model_dir"]
CLI = runpy.run_path(str(HERE / "test_cli.py"))
as_json = CLI["as_json"]

USUAL = {
    "remember": {"--facts": "facts", "--out": "new", "--model": "model"},
    "forget": {"--adapter": "bank", "--fact": "=fact-1", "--out": "new", "--model": "model"},
    "join": {"first": "bank", "second": "bank", "--out": "new", "--model": "model"},
    "tune-channel": {"--pairs": "pairs", "--out": "new", "--model": "model"},
    "tune-encoder": {"--pairs": "pairs", "--out": "new"},
    "tune": {"--pairs": "facts", "--out": "new", "--model": "model", "--method": "=memory"},
}
OUT = [("--out", "file", "is a file"), ("--out", "model", "holds a model")]
FULL = [*OUT, ("--out", "bank", "holds an adapter already"), ("--out", "lora", "holds an adapter already")]
MODEL = [("--model", "=nosuch", "Unknown model"), ("--model", "nosuch", "no model file or folder")]
BANK = [("nosuch", "no bank"), ("lora", "no bank"), ("bare", "safetensors is missing"), ("damaged", "is damaged"),
        ("of_another", "was made for .* with the hash")]  # fmt: skip
FILES = [("nosuch", "nosuch"), ("model", "stand-in|directory"), ("lines", "line 1")]
WRONG = {
    "remember": [
        *(("--facts", *each) for each in FILES), *FULL, *MODEL, *(("--adapter", *each) for each in BANK),
        ("--avoid", "nosuch", "nosuch"), ("--prompt", "=sung", "no prompt 'sung'"),
        ("--selection", "=smell", "no selection 'smell'"), ("--k", "=0", "k is 0"),
        ("--processes", "=0", "processes is 0"), ("--adapter bank --selection", "=faiss", "by words, for good"),
        ("--adapter bank --k", "=0", "k is 0"), ("--on", "nosuch", "nosuch"), ("--on", "bank", "holds a bank"),
        ("--on", "lora_of_another", "was made for .* with the hash"), ("--on", "lora_bare", "safetensors is missing"),
        ("--adapter bank --on", "lora", "stands on no adapter"), ("--out", "begun", "is of other facts, cut off"),
    ],
    "forget": [
        *(("--adapter", *each) for each in BANK), *FULL, *MODEL, ("--fact", "=nobody", "no fact 'nobody'"),
        ("--fact", None, "No fact to forget was named"),
    ],
    "join": [
        *(("first", *each) for each in BANK), *(("second", *each) for each in BANK), *FULL, *MODEL,
        ("second", "of_two", "in two ways, 1 by words and 2 by words"),
        ("second", "loose", "thresholds are 0.9 and 0.5"), ("second", "deeper", "behind layers 2 and 1"),
        ("second", "plain", "by the prompt 'chat' and by 'plain'"),
    ],
    "tune-channel": [
        *(("--pairs", *each) for each in FILES), *OUT, *MODEL, ("--avoid", "nosuch", "nosuch"),
        ("--pairs", "facts", "None of the 6 pairs has a query"), ("--avoid", "pairs", "also in an evaluation set"),
        ("--out", "lora", "holds another adapter"), ("--out", "bank", "holds another adapter"),
    ],
    "tune-encoder": [
        *(("--pairs", *each) for each in FILES), *FULL, ("--avoid", "nosuch", "nosuch"),
        ("--avoid", "pairs", "also in an evaluation set"), ("--pairs", "facts", "0 queries have two wordings"),
        ("--steps", "=0", "steps must be 1 or more"), ("--rate", "=-1", "rate a number above 0"),
        ("--rate", "=nan", "rate a number above 0"), ("--out", "encoder", "encoder.json is damaged"),
    ],
    "tune": [*OUT, ("--out", "bank", "holds another adapter"), ("--out", "called", "holds another adapter")],
}  # fmt: skip


@pytest.fixture(scope="module")
def places(tiny_model_dir, tmp_path_factory) -> dict[str, Path]:
    """What the arguments name: files, folders that are right, and such folders with one thing wrong."""
    home = tmp_path_factory.mktemp("places")
    found = {name: home / name for name in ("nosuch", "bank", "lora", "file", "lines", "new")}
    found["model"] = tiny_model_dir
    facts = [Question(f"fact-{i}", q.question, answer=q.answer) for i, q in enumerate(random_facts(6, seed=2))]
    found["facts"] = save_questions(home / "facts.jsonl", facts)
    start = list({q.sql: q for q in load_questions(LEAGUE / "trained.jsonl")}.values())[:3]
    asked = [(f"{q.question}{end}", q.sql, q.database) for q in start for end in ("", " Please.")]
    found["pairs"] = save_questions(home / "pairs.jsonl", [Question(f"mine-{i}", *q) for i, q in enumerate(asked)])
    found["file"].write_text("kept")
    found["lines"].write_text("no JSON\n")
    model = ("--model", tiny_model_dir)
    as_json("remember", "--facts", found["facts"], "--out", found["bank"], *model)
    as_json("tune", "--pairs", found["facts"], "--out", found["lora"], "--method", "instruction", "--rank", 2, *model)
    whole = json.loads((found["bank"] / "adapter_config.json").read_text())
    for name, config in {
        "damaged": {"facts": None}, "of_two": {"k": 2}, "loose": {"threshold": 0.5}, "deeper": {"layer": 1},
    }.items():  # fmt: skip
        found[name] = shutil.copytree(found["bank"], home / name)
        (found[name] / "adapter_config.json").write_text(json.dumps(whole | config))
    for source, name, card in (
        ("bank", "of_another", {"base_sha256": "0" * 64}), ("lora", "lora_of_another", {"base_sha256": "0" * 64}),
        ("bank", "plain", {"prompt": "plain"}),
    ):  # fmt: skip
        found[name] = shutil.copytree(found[source], home / name)
        told = json.loads((found[name] / "card.json").read_text())
        (found[name] / "card.json").write_text(json.dumps(told | card))
    for source, name in (("bank", "bare"), ("lora", "lora_bare"), ("lora", "called")):
        found[name] = shutil.copytree(found[source], home / name)
    for name in ("bare", "lora_bare"):
        (found[name] / "adapter_model.safetensors").unlink()
    (found["called"] / "call.json").write_text("[")
    found["encoder"], found["begun"] = home / "encoder", home / "begun"
    found["encoder"].mkdir()
    (found["encoder"] / "encoder.json").write_text("{}")
    (found["begun"] / "unfinished").mkdir(parents=True)
    shutil.copy(found["bank"] / "card.json", found["begun"] / "unfinished")
    (found["begun"] / "unfinished" / "call.json").write_text('{"facts": "others", "bank": null, "adapter": null}')
    return found


@pytest.fixture
def nothing_loads(monkeypatch):
    """Whoever reads the weights of a model or an encoder fails."""

    def load(folder, device, dtype, four_bit):
        pytest.fail(f"the model was loaded, in 4 bits: {four_bit}")

    monkeypatch.setattr("labkit.models._load", load)
    monkeypatch.setattr("labkit.tuning.contrastive.load_encoder", lambda: pytest.fail("the encoder was loaded"))


def words(command: str, places: dict[str, Path], **other: str | None) -> list:
    """The command's words, some of them exchanged: a place by its name, "=" before a value, None to leave it out."""
    given, found = USUAL[command] | other, [command]
    for name, value in given.items():
        for part in () if value is None else (*name.split(), value):
            if part not in ("first", "second"):
                found.append(part.removeprefix("=") if part.startswith("-") else _value(part, places))
    return found


def _value(part: str, places: dict[str, Path]):
    return part[1:] if part.startswith("=") else places[part]


def said(*words) -> str:
    """The sentence that the command ends with, or that it loaded a model."""
    try:
        return as_json(*words, code=2)["error"]
    except pytest.fail.Exception as error:
        return str(error)


@pytest.mark.parametrize("command", WRONG)
def test_what_is_wrong_is_a_sentence_and_nothing_is_loaded_or_written(command, places, nothing_loads):
    before, other = sorted(places["bank"].parent.rglob("*")), []
    for name, value, sentence in WRONG[command]:
        error = said(*words(command, places, **{name: value}))
        other += [] if re.search(sentence, error) else [(name, value, error)]
    assert not other and sorted(places["bank"].parent.rglob("*")) == before


@pytest.mark.parametrize("command", USUAL)
def test_what_is_right_gets_as_far_as_loading(command, places, nothing_loads):
    usual = words(command, places)
    if command == "tune-encoder":
        assert said(*usual) == "the encoder was loaded"
    else:
        assert said(*usual) == "the model was loaded, in 4 bits: False"
        assert said(*usual, "--four-bit") == "the model was loaded, in 4 bits: True"
