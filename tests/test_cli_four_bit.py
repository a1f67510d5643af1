"""`--four-bit` at every command that loads a model: passed on, refused where it means nothing, and never the same run
as without it."""

import inspect
import runpy
import sys
from pathlib import Path

import pytest

import labkit
from labkit import cli
from labkit.datagen.facts import random_facts
from labkit.dataset import save_questions
from labkit.errors import LabkitError
from labkit.models import load_model
from labkit.runs import RunStore
from labkit.tuning.adapter import read_card
from labkit.tuning.export import to_gguf

HERE = Path(__file__).parent
LEAGUE = HERE.parent / "datasets" / "league"
tiny_model_dir = runpy.run_path(str(HERE / "standin.py"))["tiny_model_dir"]
CLI = runpy.run_path(str(HERE / "test_cli.py"))
command, as_json, small_set = CLI["labkit"], CLI["as_json"], CLI["small_set"]
MISSING = "4-bit weights take the package bitsandbytes: pip install"


@pytest.fixture(scope="module")
def facts(tmp_path_factory) -> Path:
    return save_questions(tmp_path_factory.mktemp("facts") / "facts.jsonl", list(random_facts(4, seed=2)))


@pytest.fixture(scope="module")
def bank(tiny_model_dir, facts, tmp_path_factory) -> Path:
    """Memory experts on the stand-in in 4 bits."""
    out = tmp_path_factory.mktemp("banks") / "bank"
    made = as_json("remember", "--facts", facts, "--out", out, "--model", tiny_model_dir, "--four-bit")
    assert made["recalled"] == made["of"] == 4 and read_card(out).four_bit
    return out


def commands(app) -> dict:
    """Name -> function of every command, those of nameless groups too."""
    found = {c.name or c.callback.__name__.replace("_", "-"): c.callback for c in app.registered_commands}
    for group in app.registered_groups:
        found |= commands(group.typer_instance)
    return found


def test_every_command_that_loads_a_model_takes_it():
    loading = {name for name, run in commands(cli.app).items() if "model" in inspect.signature(run).parameters}
    assert loading >= {"ask", "evaluate", "ladder", "serve", "forget", "join", "side-effects", "tune", "tune-channel"}
    lacking = {n for n in loading if "four_bit" not in inspect.signature(commands(cli.app)[n]).parameters}
    assert lacking == {"fit"}  # which loads none but to measure, and has --dtype nf4


@pytest.mark.parametrize(
    "words",
    [
        ("ask", "How many?", "--db", LEAGUE / "league.sqlite"),
        ("evaluate", "-q", LEAGUE / "start.jsonl"),
        ("side-effects", "--adapter", "BANK"),
        ("serve", "--db", LEAGUE / "league.sqlite"),
        ("tune", "--pairs", LEAGUE / "trained.jsonl", "--method", "memory", "--out", "OUT"),
        ("tune-channel", "--pairs", LEAGUE / "trained.jsonl", "--out", "OUT"),
    ],
    ids=lambda words: words[0],
)
def test_it_reaches_the_loading_of_the_model(words, monkeypatch):
    def load(name, adapter=None, device=None, four_bit=False):
        raise LabkitError(f"asked to load {name}, four_bit {four_bit}")

    monkeypatch.setattr(labkit, "load_model", load)
    monkeypatch.setattr("labkit.tuning.load_model", load)  # which `tune` calls once its arguments are right
    assert "asked to load tiny, four_bit True" in command(*words, "--model", "tiny", "--four-bit", code=2).stderr
    assert "asked to load tiny, four_bit False" in command(*words, "--model", "tiny", code=2).stderr


def test_a_bank_on_four_bits_is_asked_on_them_and_is_not_the_run_of_plain_weights(tiny_model_dir, facts, bank):
    ask = ("evaluate", "-q", facts, "--mode", "text", "--model", tiny_model_dir)
    four = as_json(*ask, "--adapter", bank, "--four-bit")
    assert (four["correct"], four["n"]) == (4, 4)
    plain = command(*ask, "--adapter", bank, "--json")
    assert f"The adapter in {bank} was tuned beside weights in 4 bits (--four-bit); here" in plain.stderr
    bare = [as_json(*ask, *more)["run"] for more in ((), ("--four-bit",))]
    runs = {run.id: run.four_bit for run in RunStore().list()}
    assert len(runs) == 4 and runs[four["run"]] and [runs[run] for run in bare] == [False, True]
    assert as_json(*ask, "--adapter", bank, "--four-bit")["run"] == four["run"]
    assert len(RunStore().list()) == 4
    assert command("runs").stdout.count("(4 bits)") == 2


def test_facts_are_forgotten_and_banks_joined_on_four_bits(tiny_model_dir, facts, bank, tmp_path):
    base = ("--model", tiny_model_dir, "--four-bit")
    more = save_questions(tmp_path / "more.jsonl", list(random_facts(8, seed=3))[4:])
    as_json("remember", "--facts", more, "--out", tmp_path / "other", *base)
    assert as_json("join", bank, tmp_path / "other", "--out", tmp_path / "both", *base)["facts"] == 8
    assert read_card(tmp_path / "both").four_bit
    first = random_facts(1, seed=2)[0]
    forget = ("forget", "--adapter", tmp_path / "both", "--out", tmp_path / "left", "--fact", first.id)
    assert as_json(*forget, *base)["left"] == 7
    ask = ("evaluate", "--mode", "text", *base, "--adapter", tmp_path / "left", "-q")
    assert (as_json(*ask, facts)["correct"], as_json(*ask, more)["correct"]) == (3, 4)
    wide = tmp_path / "wide"
    as_json("remember", "--facts", more, "--out", wide, "--model", tiny_model_dir)
    refused = command("join", bank, wide, "--out", tmp_path / "mixed", *base, code=2)
    assert "one was learnt beside weights in 4 bits" in refused.stderr


def test_ask_ladder_and_side_effects_run_on_four_bits(tiny_model_dir, small_set, bank, monkeypatch):
    base = ("--model", tiny_model_dir, "--four-bit")
    assert "sql" in as_json("ask", "How many teams?", "--db", LEAGUE / "league.sqlite", *base, code=1)
    ladder = ("ladder", "-q", small_set, "--db-dir", HERE.parent / "datasets", "--rungs", "prompt")
    ladder += ("--adapter", f"bank={bank}", "--model", tiny_model_dir)
    four, plain = as_json(*ladder, "--four-bit"), as_json(*ladder)
    said = {run.id: run.four_bit for run in RunStore().list()}
    assert [[said[rung["run"]] for rung in one["rungs"]] for one in (four, plain)] == [[True] * 2, [False] * 2]
    assert as_json(*ladder, "--four-bit") == four

    def compare(before, after, **_):
        raise LabkitError(f"{before.four_bit}, {after.four_bit}, {before.adapter}, {after.adapter}")

    monkeypatch.setattr("labkit.side_effects.side_effects", compare)
    assert f"True, True, None, {bank}" in command("side-effects", "--adapter", bank, *base, code=2).stderr


def test_a_gguf_file_is_unpacked_and_held_in_four_bits(tiny_model_dir, tmp_path):
    file = to_gguf(tiny_model_dir, tmp_path / "tiny.gguf")
    four = load_model(file, four_bit=True, device="cpu", dtype="float32")
    kinds = {type(m).__name__ for m in four.network.model.layers.modules() if hasattr(m, "in_features")}
    assert kinds == {"Linear4bit"} and four.sha256 == load_model(file, device="cpu").sha256


def test_an_endpoint_holds_its_own_weights(small_set):
    sentence = "--four-bit is about a local model; an endpoint holds its weights as it was started."
    base = ("--base-url", "http://127.0.0.1:9/v1", "--model", "any", "--four-bit")
    where = ("-q", small_set, "--db-dir", HERE.parent / "datasets")
    for words in (("ask", "How many?", "--db", LEAGUE / "league.sqlite"), ("evaluate", *where), ("ladder", *where)):
        assert sentence in as_json(*words, *base, code=2)["error"]
    loaded = labkit.Endpoint("http://127.0.0.1:9/v1", "any")
    with pytest.raises(LabkitError, match="loaded already, or behind an endpoint"):
        labkit.ladder(loaded, labkit.load_questions(small_set, db_dir=HERE.parent / "datasets"), four_bit=True)


def test_bitsandbytes_that_is_missing_is_told_before_any_work(small_set, tiny_model_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setattr("labkit.ladders.material", lambda *_: pytest.fail("pairs were made"))
    where, base = ("--db-dir", HERE.parent / "datasets"), ("--model", tiny_model_dir, "--four-bit")
    for words in (("evaluate", "-q", small_set, *where), ("ladder", "-q", small_set, *where)):
        assert MISSING in as_json(*words, *base, code=2)["error"]


@pytest.mark.real
def test_the_real_model_is_asked_in_the_four_bits_that_its_bank_was_made_on(facts, tmp_path):
    as_json("remember", "--facts", facts, "--out", tmp_path / "bank", "--four-bit")
    ask = ("evaluate", "-q", facts, "--mode", "text", "--adapter", tmp_path / "bank", "--four-bit")
    assert as_json(*ask)["correct"] == read_card(tmp_path / "bank").recalled == 4
