"""Out of memory away from the steps of tuning (those: `test_tuning_loop.py`): decoding, frozen layers, likelihoods,
memory experts; a stand-in raises, and what comes out is what comes out with memory enough."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from labkit import cli, likelihood
from labkit.decoding import prompt_tokens
from labkit.errors import LabkitError
from labkit.kvcache import KeyValues
from labkit.models import load_model
from labkit.shortage import out_of_memory
from labkit.tuning import mome
from labkit.tuning.bank import Bank
from labkit.tuning.examples import Example
from labkit.tuning.packed import packed_attention
from labkit.tuning.trunk import Trunk

tiny_model_dir = runpy.run_path(str(Path(__file__).with_name("standin.py")))["tiny_model_dir"]
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
    MemoryError(),
]


def talk(text):
    return [{"role": "user", "content": text}]


TALKS = [talk(f"How many players {'of the team ' * n}?") for n in range(11)]


@pytest.fixture(scope="module")
def tiny(tiny_model_dir):
    torch.set_num_threads(1)
    return load_model(tiny_model_dir, device="cpu", dtype="float32")


def short(monkeypatch, owner, name: str, rows, most: int, error: Exception = ERRORS[0]) -> list[int]:
    """`owner.name` runs out of memory with more than `most` rows, by `rows` of its arguments; the sizes asked."""
    whole, asked = getattr(owner, name), []

    def limited(*arguments, **named):
        asked.append(rows(*arguments))
        if asked[-1] > most:
            raise error
        return whole(*arguments, **named)

    monkeypatch.setattr(owner, name, limited)
    return asked


def test_what_counts_as_out_of_memory():
    assert all(map(out_of_memory, ERRORS))
    assert not any(map(out_of_memory, [RuntimeError("shapes differ"), ValueError("out of memory"), LabkitError("no")]))


# --- decoding


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "cpu", "python"])
def test_answers_are_the_same_in_smaller_batches(tiny, monkeypatch, capsys, error):
    expected = tiny.chat(TALKS, max_new_tokens=12, progress=False)
    asked = short(monkeypatch, KeyValues, "prefill", lambda cache, network, tokens: len(tokens), 3, error)
    assert tiny.chat(TALKS, max_new_tokens=12, progress=False) == expected
    assert asked[:2] == [11, 4] and max(asked[2:]) <= 2  # the smaller size is kept for the batches behind
    said = capsys.readouterr().err
    assert "going on with at most 5 conversations at a time" in said and "at most 2 conversations" in said


@pytest.mark.parametrize("settings", [{}, {"temperature": 1.5, "seed": 4}], ids=["greedy", "drawn"])
def test_amid_an_answer_what_is_complete_stays_and_the_rest_begins_anew(tiny, monkeypatch, settings):
    def stop(text):
        return len(text) > 25

    expected = tiny.chat(TALKS, max_new_tokens=30, progress=False, stop=stop, **settings)
    forward, sizes = KeyValues.forward, []

    def once(cache, network, tokens, **named):
        if tokens.shape[1] == 1:
            sizes.append(len(tokens))
            if len(tokens) < len(TALKS) and max(sizes) == len(TALKS) and not raised:
                raised.append(len(tokens))
                raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(cache, network, tokens, **named)

    raised = []
    monkeypatch.setattr(KeyValues, "forward", once)
    assert tiny.chat(TALKS, max_new_tokens=30, progress=False, stop=stop, **settings) == expected
    assert raised and max(sizes[sizes.index(raised[0]) + 1 :]) <= len(TALKS) // 2


def test_one_conversation_that_does_not_fit_is_a_sentence_and_other_errors_pass(tiny, monkeypatch):
    before = tiny.chat(TALKS[:2], max_new_tokens=4, progress=False)
    with monkeypatch.context() as patch, pytest.raises(LabkitError, match="A single conversation does not fit"):
        short(patch, KeyValues, "prefill", lambda cache, network, tokens: len(tokens), 0)
        tiny.chat(TALKS, max_new_tokens=4, progress=False)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="shapes differ"):
        short(patch, KeyValues, "prefill", lambda *_: 1, 0, RuntimeError("shapes differ"))
        tiny.chat(TALKS, max_new_tokens=4, progress=False)
    assert tiny.chat(TALKS[:2], max_new_tokens=4, progress=False) == before


def test_likelihoods_are_the_same_in_smaller_batches(tiny, monkeypatch):
    texts = [f"SELECT {n * 'name, '}id" for n in range(10)]

    def both():
        return [
            *likelihood.log_probabilities(tiny, TALKS[0], texts),
            *likelihood.log_probability_after(tiny, TALKS, texts[3]),
        ]

    expected = both()
    asked = short(monkeypatch, likelihood, "_each", lambda model, prefix, rows, *more: len(rows), 3)
    assert both() == pytest.approx(expected, abs=1e-3) and max(asked) == 8 and 2 in asked


# --- frozen layers, memory experts


def rows_of(trunk, rows, layout):
    return len(rows)


def test_frozen_layers_are_the_same_in_smaller_passes(tiny, monkeypatch, tmp_path, capsys):
    examples = [Example(str(i), (i, *range(40, 50 + i % 7)), (3, 4, 5)) for i in range(20)]

    def states(folder):
        trunk = Trunk(tiny.network, examples, (), 2)
        with packed_attention(tiny.network):
            trunk.keep(folder, "base", progress=False)
        return np.array(trunk.cache)

    whole = states(tmp_path / "whole")
    with monkeypatch.context() as patch:
        asked = short(patch, Trunk, "_compute", rows_of, 6)
        parts = states(tmp_path / "parts")
    assert asked[:3] == [20, 10, 5] and set(asked[3:]) == {5} and sum(asked[2:]) == 20
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-5)
    assert "frozen layers go on with 5 pairs at a time" in capsys.readouterr().err
    short(monkeypatch, Trunk, "_compute", rows_of, 0)
    with pytest.raises(LabkitError, match="A single pair does not fit"):
        states(tmp_path / "none")
    assert not (tmp_path / "none" / "manifest.json").exists()


@pytest.mark.parametrize("layer", [2, 1], ids=["behind the last layer", "below"])
def test_experts_are_learnt_in_smaller_batches(tiny, monkeypatch, capsys, layer):
    names = ["Ana", "Bo", "Cy", "Di", "Ed", "Flo"]
    wordings = prompt_tokens(tiny, [talk(f"What year did {name} climb?") for name in names])
    made = [mome.Fact(name, (tuple(w),), (60 + i, 2)) for i, (name, w) in enumerate(zip(names, wordings, strict=True))]
    asked = short(monkeypatch, Trunk, "_compute", rows_of, 2)
    learnt = mome.add(Bank(tiny, layer=layer), made)
    assert learnt.exact == len(made) and not learnt.hard
    assert asked[:2] == [6, 3] and 1 in asked and "going on with 1 facts at a time" in capsys.readouterr().err


# --- what is left


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "cpu", "python"])
def test_the_command_line_says_it_in_a_sentence(error, capsys):
    assert cli._explain(error) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: Out of memory: one example alone does not fit.") and "labkit doctor" in said
    with pytest.raises(RuntimeError, match="shapes differ"):
        cli._explain(RuntimeError("shapes differ"))
