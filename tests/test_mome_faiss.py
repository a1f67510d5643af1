"""Memory experts picked by faiss, over vectors of sentences: the choice is the bank's, saved, and acts everywhere."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

import labkit
from labkit.datagen.facts import fact_wordings, near_negatives, random_facts
from labkit.dataset import save_questions
from labkit.decoding import prompt_tokens
from labkit.errors import LabkitError
from labkit.models import load_model
from labkit.tuning import faiss_selection
from labkit.tuning.bank import Bank
from labkit.tuning.faiss_selection import Nearest, Sentences
from labkit.tuning.mome_files import load_bank
from labkit.tuning.remember import remember

HERE = Path(__file__).parent
tiny_model_dir = runpy.run_path(str(HERE / "standin.py"))["tiny_model_dir"]
MOME = runpy.run_path(str(HERE / "test_mome.py"))
climbs, questions, asked, answers, recalled, CHAT = (
    MOME[name] for name in ("climbs", "questions", "asked", "answers", "recalled", "CHAT")
)
OTHER = "{m}: tell me when {p} was on top"
STRANGERS = [f"What year did Zeno Quirk climb {m}?" for *_, m, _ in climbs(5)] + ["What is the capital of France?"]


class NamesFirst:
    """A stand-in for the encoder: a word is a random direction, and names, in capitals, are three times as long."""

    sha256 = "stand-in"

    def __init__(self):
        self.directions, self.texts = {}, []

    def __call__(self, texts):
        self.texts += texts
        found = np.stack([np.sum([self._word(word) for word in text.strip("?").split()], axis=0) for text in texts])
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    def _word(self, word):
        draw = np.random.default_rng(int.from_bytes(word.strip(":?").encode(), "big"))
        return (3 if word[0].isupper() and word != "What" else 1) * draw.standard_normal(384)


@pytest.fixture
def encoder(monkeypatch):
    encoder = NamesFirst()
    monkeypatch.setattr(faiss_selection, "load_encoder", lambda: encoder)
    return encoder


@pytest.fixture(scope="module")
def tiny(tiny_model_dir):
    torch.set_num_threads(1)
    return load_model(tiny_model_dir, device="cpu", dtype="float32")


def bank_of(model, rows, folder, **options):
    return remember(model, questions(rows), folder, progress=False, **{"selection": "faiss"} | options)


def loaded(source, folder):
    return load_model(source, adapter=folder, device="cpu", dtype="float32")


# --- keys


def draws(count, seed=0):
    found = np.random.default_rng(seed).standard_normal((count, 384)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def nearest(vectors, threshold=0.8):
    found = Nearest(threshold)
    found.add({i: [vector] for i, vector in enumerate(vectors)})
    return found


def test_the_best_of_all_are_picked_in_order():
    keys, texts = draws(20), draws(30, 1)
    found = nearest(keys, threshold=0.02)
    for text in texts:
        cosines = keys @ text
        best = [i for i in np.argsort(-cosines)[:3] if cosines[i] >= 0.02]
        picked = found.pick(text, k=3)
        assert [pick.expert for pick in picked] == best
        assert [pick.score for pick in picked] == pytest.approx([cosines[i] for i in best], abs=2e-3)


def test_of_equal_keys_the_first_is_picked():
    (one,) = draws(1)
    assert [pick.expert for pick in nearest([*draws(5, 1), one, one, one]).pick(one)] == [5]


def test_from_some_facts_on_what_they_have_in_common_does_not_count_and_that_stays():
    wording, names = 2 * draws(1)[0], draws(60, 1)
    unit = lambda vectors: vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)  # noqa: E731
    keys, stranger = unit(wording + names), unit(wording + draws(1, 2)[0])
    found = nearest(keys[:31], threshold=0.5)
    assert found.centre is None and found.pick(stranger), "too few to tell"
    found.add({31: [keys[31]]})
    settled = found.centre.copy()
    found.add({i: [keys[i]] for i in range(32, 60)})
    assert np.array_equal(found.centre, settled) and not found.pick(stranger)
    assert [found.pick(key)[0].expert for key in keys] == list(range(60))
    both = nearest(draws(3, 3), threshold=0.5)
    both.join(found, 3)
    assert np.array_equal(both.centre, settled) and both.pick(keys[7])[0].expert == 10


def test_an_inverted_file_finds_each_fact_by_its_own_wording(monkeypatch):
    monkeypatch.setattr(faiss_selection, "_EXACT", 500)
    monkeypatch.setattr(faiss_selection, "_READ", 2)
    keys = draws(700)
    found = nearest(keys[:400])
    assert found.pick(keys[7])[0].expert == 7 and found._index.ntotal == 400
    found.add({i: [keys[i]] for i in range(400, 600)})
    assert [found.pick(keys[i])[0].expert for i in range(600)] == list(range(600)) and found._index.nlist == 24
    made = found._index
    found.add({i: [keys[i]] for i in range(600, 700)})
    found.remove([3, 650])
    assert found._index is made and not found.pick(keys[3]) and not found.pick(keys[650])
    assert [found.pick(keys[i])[0].expert for i in (2, 601, 699)] == [2, 601, 699]
    found.fill(range(700, 3000))
    assert found.pick(keys[699])[0].expert == 699 and found._index.ntotal == 698 + 2300


# --- a bank


def test_facts_are_found_by_sentences_and_the_choice_is_in_the_folder(tiny, tiny_model_dir, encoder, tmp_path):
    rows = climbs(24)
    made = bank_of(tiny, rows, tmp_path / "bank")
    config = json.loads((made.adapter / "adapter_config.json").read_text())
    assert (made.recalled, made.of) == (24, 24) and (config["selection"], config["threshold"]) == ("faiss", 0.8)
    assert encoder.texts[0] in {q.question for q in questions(rows)}, "the question alone is encoded, without a frame"
    model = loaded(tiny_model_dir, made.adapter)
    assert recalled(model, rows) == recalled(model, rows, OTHER) == 24
    assert [model.experts.pick(p) for p in asked(model, STRANGERS)] == [None] * len(STRANGERS)
    assert answers(model, STRANGERS) == answers(tiny, STRANGERS)
    assert model.experts.spelling.words == set(), "nothing of the words is kept"


def test_a_bank_grows_is_corrected_forgets_and_is_joined(tiny, tiny_model_dir, encoder, tmp_path):
    rows, new = climbs(40), climbs(4, 40)
    first = bank_of(tiny, rows, tmp_path / "a").adapter
    name, *_ = rows[7]
    changed = [(*rows[0][:3], "2024"), (name, "Zeno Quirk", "Slate Needle", "2025"), *new]
    second = remember(tiny, questions(changed), tmp_path / "b", adapter=first, progress=False)
    model = loaded(tiny_model_dir, second.adapter)
    kept = [row for row in rows[1:] if row[0] != name]
    assert (second.recalled, model.experts.kind) == (6, "faiss") and recalled(model, [*changed, *kept]) == 44
    (old,) = asked(tiny, [questions(rows)[7].question])
    assert model.experts.pick(old) is None and model.experts.names["c0"] == 0, "only what is asked anew has a new key"
    done = labkit.forget(second.adapter, tmp_path / "c", [name], [questions(rows)[9].question], tiny)
    assert done.facts == (name, "c9") and done.left == 42
    left = loaded(tiny_model_dir, done.adapter)
    assert recalled(left, kept) == len(kept) - 1 and len(left.experts.selection.keys) == 42
    other = bank_of(tiny, climbs(5, 50), tmp_path / "d").adapter
    both = labkit.join(done.adapter, other, tmp_path / "e", tiny)
    joined = loaded(tiny_model_dir, both.adapter)
    assert (both.facts, both.lost) == (47, ()) and recalled(joined, climbs(5, 50)) == 5
    assert recalled(joined, kept) == len(kept) - 1


def test_several_experts_are_added_up_each_by_its_score(tiny, tiny_model_dir, encoder, tmp_path):
    rows = climbs(24)
    made = bank_of(tiny, rows, tmp_path / "bank", k=2, threshold=0.4)
    model = loaded(tiny_model_dir, made.adapter)
    bank, (prompt, stranger) = model.experts, asked(model, [questions(rows)[3].question, "Who is Zeno Quirk?"])
    best, second = bank._picks(prompt, 9)[:2]
    assert bank.k == 2 and bank.names["c3"] == best.expert and 0.4 < second.score < 0.9
    weight = (second.score - 0.4) / (best.score - 0.4)
    one, other = bank.vectors[best.expert], bank.vectors[second.expert]
    wanted = torch.zeros(max(len(one), len(other)), one.shape[1])
    wanted[: len(one)] += one
    wanted[: len(other)] += weight * other
    assert torch.allclose(bank._added(prompt).float(), wanted, rtol=1e-2, atol=1e-2)
    assert bank._added(stranger) is None
    bank.choose(1)
    assert torch.equal(bank._added(prompt), one), "one expert alone adds what it holds, bit for bit"
    again = remember(tiny, questions(climbs(1, 30)), tmp_path / "one", adapter=made.adapter, k=1, progress=False)
    assert load_bank(tiny, again.adapter).k == 1, "how many are picked may be changed"


def test_words_pick_several_too(tiny, tmp_path):
    made = remember(tiny, questions(climbs(12)), tmp_path / "bank", k=2, progress=False)
    assert json.loads((made.adapter / "adapter_config.json").read_text())["k"] == 2
    assert load_bank(tiny, made.adapter).k == 2


def test_what_a_selection_refuses(tiny, encoder, tmp_path, monkeypatch):
    rows, more = climbs(3), climbs(3, 10)
    by_words, by_faiss = (bank_of(tiny, r, tmp_path / s, selection=s) for r, s in ((rows, "words"), (more, "faiss")))
    with pytest.raises(LabkitError, match="picked in two ways, 1 by words and 1 by faiss"):
        labkit.join(by_words.adapter, by_faiss.adapter, tmp_path / "x", tiny)
    with pytest.raises(LabkitError, match="picks experts by words, for good. Leave out 'faiss'"):
        bank_of(tiny, more, tmp_path / "x", adapter=by_words.adapter)
    with pytest.raises(LabkitError, match="no selection 'product keys': choose words or faiss"):
        bank_of(tiny, rows, tmp_path / "x", selection="product keys")
    with pytest.raises(LabkitError, match="k is 0; at least one"):
        bank_of(tiny, rows, tmp_path / "x", k=0)
    monkeypatch.setattr(encoder, "sha256", "another")
    with pytest.raises(LabkitError, match="known by another sentence encoder"):
        load_bank(tiny, by_faiss.adapter)
    assert not (tmp_path / "x").exists()


def test_faiss_that_is_missing_is_told_before_any_work(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(faiss_selection, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(LabkitError, match=r"faiss-cpu: pip install 'labkit\[faiss\]'"):
        bank_of(tiny, climbs(3), tmp_path / "bank")
    assert not (tmp_path / "bank").exists()


def test_peft_picks_by_faiss_as_labkit_does(tiny, tiny_model_dir, encoder, tmp_path):
    rows = climbs(6)
    made = bank_of(tiny, rows, tmp_path / "bank")
    tokens = [torch.tensor([row]) for row in asked(tiny, [q.question for q in questions(rows)] + STRANGERS)]
    base = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32).eval()
    with torch.no_grad():
        plain = [base(row).logits for row in tokens]
        tuned = PeftModel.from_pretrained(base, made.adapter).eval()
        same = [torch.equal(tuned(row).logits, old) for row, old in zip(tokens, plain, strict=True)]
    assert same == [False] * len(rows) + [True] * len(STRANGERS)
    out = [tuned.generate(input_ids=row, max_new_tokens=12, do_sample=False)[0, row.shape[1] :] for row in tokens]
    said = [tiny.tokenizer.decode(row, skip_special_tokens=True).strip() for row in out]
    assert said[: len(rows)] == [year for *_, year in rows]


def test_texts_that_were_just_encoded_are_not_encoded_again(tiny, encoder):
    reader = Sentences(tiny.tokenizer, encoder=encoder)
    prompts = asked(tiny, [q.question for q in questions(climbs(5))])
    reader.prepare(prompts)
    assert len(encoder.texts) == 5 and np.array_equal(reader.of(prompts[2]), reader.of(list(prompts[2])))
    assert len(encoder.texts) == 5
    assert Bank(tiny, selection="faiss", words=reader).words is reader


@pytest.mark.real
def test_the_real_model_and_encoder_find_facts_in_other_words(tmp_path):
    """From the command line, and in a new process: built, counted, no expert for people whom no fact knows."""
    as_json = runpy.run_path(str(HERE / "test_cli.py"))["as_json"]
    facts = list(random_facts(40, seed=5))
    path = save_questions(tmp_path / "facts.jsonl", facts)
    made = as_json("remember", "--facts", path, "--out", tmp_path / "bank", "--selection", "faiss", "--k", 1)
    assert (made["recalled"], made["of"]) == (40, 40)
    ask = ("evaluate", "--questions", path, "--mode", "text", "--adapter", tmp_path / "bank")
    assert as_json(*ask)["correct"] == 40
    bank = load_bank(load_model(), tmp_path / "bank")
    others = [wording for fact in facts for wording in fact_wordings(fact)]
    groups = [
        [bank.pick(p) for p in prompt_tokens(load_model(), [CHAT(text, "") for text in texts])]
        for texts in (others, near_negatives(facts, 100))
    ]
    own = sum(expert == i // 5 for i, expert in enumerate(groups[0]))
    assert own >= 180 and sum(expert is not None for expert in groups[1]) <= 2, (own, groups[1])
