"""Tuning the sentence encoder: wordings of one query come together, a stopped run goes on to the same weights, what it
made finds its way into ranking, and what cannot be tuned on is a sentence."""

import json
import math
import sys

import numpy
import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel, BertTokenizerFast

import labkit
from labkit.cli import main
from labkit.dataset import Question, QuestionSet
from labkit.encoder import Encoder, load_encoder
from labkit.errors import LabkitError
from labkit.home import alone
from labkit.tuning import contrastive
from labkit.tuning.contrastive import tune_encoder

NAMES = ("anvils", "badgers", "comets", "drakes", "embers", "falcons", "gulls", "herons")
WORDINGS = ("who coaches the {}", "name of the man who leads the {}", "{} coach please")
OTHERS = ("year of birth of the {}", "when were the {} founded", "{} founding year")
SQL = "SELECT coach FROM teams WHERE nickname = '{}'", "SELECT founded FROM teams WHERE nickname = '{}'"
QUICK = {"steps": 60, "rate": 3e-3, "progress": False}


def wordings(names=NAMES):
    asked = [(text, sql) for texts, sql in zip((WORDINGS, OTHERS), SQL, strict=True) for text in texts]
    both = [(text.format(name), sql.format(name)) for name in names for text, sql in asked]
    return [Question(f"p{i}", text, sql, "league") for i, (text, sql) in enumerate(both)]


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A stand-in: random weights, a vocabulary of the words above."""
    words = sorted({word for pair in wordings() for word in pair.question.split()})
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    tokenizer = BertTokenizerFast(vocab=str(tmp_path / "vocab.txt"))
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}

    def load():
        torch.manual_seed(0)
        config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **shape)
        return Encoder(tokenizer, BertModel(config, add_pooling_layer=False).eval().requires_grad_(False))

    monkeypatch.setattr(contrastive, "load_encoder", load)
    torch.set_num_threads(1)
    return load


def found(encode) -> float:
    """The share of last wordings whose nearest first wording is of the same query."""
    first, last = ([texts[i].format(n) for texts in (WORDINGS, OTHERS) for n in NAMES] for i in (0, -1))
    return float(((encode(last) @ encode(first).T).argmax(1) == numpy.arange(len(first))).mean())


def test_wordings_of_one_query_come_together(tiny, tmp_path):
    made = tune_encoder(wordings(), tmp_path / "out", **QUICK)
    tuned = load_encoder(folder=made.encoder)
    assert (made.queries, made.wordings, made.steps) == (16, 48, 60)
    assert found(tuned) == 1.0 > found(tiny()) and made.loss < math.log(16)
    assert tuned.name == "all-minilm-l6-v2, tuned" and tuned.sha256 != tiny().sha256
    assert not (made.encoder / "unfinished").exists()
    assert torch.equal(
        tuned.network.embeddings.word_embeddings.weight, tiny().network.embeddings.word_embeddings.weight
    )


def test_a_stopped_run_goes_on_to_the_same_weights(tiny, tmp_path, monkeypatch, capsys):
    short = QUICK | {"steps": 8}
    tune_encoder(wordings(), tmp_path / "whole", **short)
    steps = iter(range(8))
    step = contrastive._Trainer.step

    def interrupted(trainer):
        step(trainer)
        if next(steps) == 3:
            signal_handler(None, None)

    def remembered(number, handler):
        nonlocal signal_handler
        signal_handler = handler

    signal_handler = None
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("labkit.tuning.checkpoint.signal.signal", remembered)
        patch.setattr(contrastive._Trainer, "step", interrupted)
        tune_encoder(wordings(), tmp_path / "parts", **short)
    assert "goes on from there" in capsys.readouterr().err
    with alone(tmp_path / "parts" / "unfinished"), pytest.raises(LabkitError, match="at work in"):
        tune_encoder(wordings(), tmp_path / "parts", **short)
    with pytest.raises(LabkitError, match="unfinished tuning with another rate"):
        tune_encoder(wordings(), tmp_path / "parts", **short | {"rate": 1e-3})
    tune_encoder(wordings(), tmp_path / "parts", **short)
    whole, parts = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_a_finished_call_is_shown_again_and_another_is_refused(tiny, tmp_path, monkeypatch):
    short = QUICK | {"steps": 2}
    made = tune_encoder(wordings(), tmp_path / "out", **short)
    monkeypatch.setattr(contrastive, "_Trainer", None)  # whoever trains again fails
    assert tune_encoder(wordings(), tmp_path / "out", **short) == made
    with pytest.raises(LabkitError, match="holds another encoder"):
        tune_encoder(wordings(), tmp_path / "out", **short | {"seed": 1})


def test_what_cannot_be_tuned_on_is_a_sentence(tiny, tmp_path, root):
    with pytest.raises(LabkitError, match="Of the 16 pairs, 0 queries have two wordings"):
        tune_encoder(wordings()[::3], tmp_path / "out", **QUICK)
    dev = labkit.load_questions(root / "datasets/league/dev.jsonl")
    with pytest.raises(LabkitError, match="dev"):
        tune_encoder(QuestionSet("p", (*wordings(), dev[0])), tmp_path / "out", avoid=[dev], **QUICK)
    with pytest.raises(LabkitError, match="holds no encoder that `labkit tune-encoder` wrote"):
        load_encoder(folder=tmp_path)


@pytest.mark.parametrize("card", ["{", "[]", '{"base": "x"}'])
def test_a_damaged_card_is_a_sentence(tmp_path, card):
    (tmp_path / "encoder.json").write_text(card)
    with pytest.raises(LabkitError, match="holds no encoder"):
        load_encoder(folder=tmp_path)


VERBS = {"ask": ["How many?", "--db"], "evaluate": ["-q"], "serve": ["--db"], "ladder": ["-q"]}


@pytest.mark.parametrize(
    ("verb", "option"),
    [*((verb, ["--encoder", "somewhere"]) for verb in VERBS), *((verb, ["--aimed"]) for verb in list(VERBS)[:3])],
)
def test_what_needs_candidates_is_refused_without_any(verb, option, league, monkeypatch, capsys):
    arguments = [verb, *VERBS[verb]]
    monkeypatch.setattr(sys, "argv", ["labkit", *arguments, str(league), *option])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and f"{option[0]} " in (said := capsys.readouterr().err) and "--candidates" in said


def test_ranking_takes_the_tuned_encoder_and_says_so(tiny, tmp_path, root):
    class Local:
        network, name = None, "local"

        def describe(self):
            return {}

    made = tune_encoder(wordings(), tmp_path / "out", **QUICK | {"steps": 2})
    pool = QuestionSet("pool", tuple(wordings()), db_dir=root / "datasets")
    with_it, without = (labkit.RerankedGenerator(Local(), pool, encoder=folder) for folder in (made.encoder, None))
    assert with_it.load().sha256 == load_encoder(folder=made.encoder).sha256
    assert "encoder" in with_it.describe()["reranking"] and "encoder" not in without.describe()["reranking"]


def test_the_command(tiny, tmp_path, monkeypatch, capsys):
    labkit.save_questions(tmp_path / "pairs.jsonl", wordings())
    told = ["--pairs", tmp_path / "pairs.jsonl", "--out", tmp_path / "out", "--steps", 2, "--json"]
    monkeypatch.setattr(sys, "argv", ["labkit", "tune-encoder", *map(str, told)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0 and (said["queries"], said["steps"]) == (16, 2)


@pytest.mark.real
def test_the_real_encoder_is_tuned(root, tmp_path):
    trained = list(labkit.load_questions(root / "datasets/league/trained.jsonl"))[:60]
    made = tune_encoder(trained, tmp_path / "out", steps=4, progress=False)
    before, after = load_encoder(), load_encoder(folder=made.encoder)
    texts = [pair.question for pair in trained]
    own = numpy.array([[a.sql == b.sql for b in trained] for a in trained])

    def gap(encode):
        cosines = encode(texts) @ encode(texts).T
        return cosines[own].mean() - cosines[~own].mean()

    assert made.queries == 12 and gap(after) > gap(before)
