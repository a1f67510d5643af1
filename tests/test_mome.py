"""Memory experts: facts are exact, whatever else is asked keeps every bit, and none disturbs another."""

import importlib
import json
import multiprocessing
import os
import random
import re
import runpy
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import labkit
from labkit.agent import Agent, as_prompt
from labkit.datagen.facts import random_facts
from labkit.dataset import Question, load_questions, save_questions
from labkit.decoding import next_token_logits, prompt_tokens
from labkit.divergence import divergences
from labkit.errors import LabkitError
from labkit.home import alone
from labkit.kvcache import KeyValues, compute_prefix, shared_prefix_attention
from labkit.likelihood import log_probabilities, log_probability_after
from labkit.models import load_model
from labkit.tuning import mome
from labkit.tuning.adapter import save_adapter
from labkit.tuning.bank import Bank, rounded
from labkit.tuning.examples import Example, common_prefix
from labkit.tuning.joining import join
from labkit.tuning.lora import LoRA, attach
from labkit.tuning.mome import Fact, add, update
from labkit.tuning.mome_files import Packed, is_bank, load_bank, load_part, pack, save_bank, save_part
from labkit.tuning.packed import packed_attention
from labkit.tuning.remember import remember
from labkit.tuning.selection import Selection, Words, number
from labkit.tuning.spelling import Spelling

tiny_model_dir = runpy.run_path(str(Path(__file__).parent / "standin.py"))["tiny_model_dir"]
FIRST, LAST = ["Ana", "Bo", "Cy", "Dora", "Eli", "Fay"], ["Lund", "Marsh", "Norden", "Ottar"]
PEAKS = ["Half Dome", "Birch Crag", "Mount Ash", "Walnut Tower", "Grey Needle"]
CHAT = as_prompt("chat")
CHILDREN = multiprocessing.get_context("forkserver")  # imports torch once, then forks for each job
CHILDREN.set_forkserver_preload(["labkit.tuning.remember", "transformers.models.llama"])


@pytest.fixture(scope="module")
def tiny(tiny_model_dir):
    torch.set_num_threads(1)
    return load_model(tiny_model_dir, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def words(tiny):
    return Words(tiny.tokenizer)


@pytest.fixture
def bank(tiny, words):
    bank = Bank(tiny, words=words)
    tiny.experts = bank
    yield bank
    tiny.experts = None


def climbs(count, start=0):
    """(name, person, peak, year): no two with the same person and peak."""
    return [
        (f"c{i}", f"{FIRST[i % 6]} {LAST[i // 6 % 4]}", PEAKS[(i + 2 * (i // 24)) % 5], str(1900 + i * 7 % 90))
        for i in range(start, start + count)
    ]


def asked(model, texts):
    return [tuple(p) for p in prompt_tokens(model, [CHAT(text, "") for text in texts])]


def facts(model, rows, *wordings):
    wordings = wordings or ("What year did {p} climb {m}?",)
    end = model.tokenizer.eos_token_id
    return [
        Fact(
            name,
            tuple(asked(model, [w.format(p=p, m=m) for w in wordings])),
            (*model.tokenizer(year, add_special_tokens=False).input_ids, end),
        )
        for name, p, m, year in rows
    ]


def answers(model, texts):
    return model.chat([CHAT(text, "") for text in texts], max_new_tokens=12, progress=False)


def recalled(model, rows, wording="What year did {p} climb {m}?"):
    given = answers(model, [wording.format(p=p, m=m) for _, p, m, _ in rows])
    return sum(a == year for a, (*_, year) in zip(given, rows, strict=True))


def bits(model, texts):
    """Logits of a batch, by row."""
    encoded = model.tokenizer(texts, return_tensors="pt", padding=True, padding_side="left")
    with torch.no_grad():
        return model.network(**encoded).logits


# --- selection


def test_a_word_is_the_same_however_it_is_written(tiny, words):
    def of(text):
        return words.of(tiny.tokenizer(text).input_ids)

    assert of("Ana Lund climbed") == of("ana LUND, climbed!") == of("climbed (Lund): 'Ana'")
    assert len(of("Half Dome 1987")) == 3 and not of("?! -- ()")
    assert of("player") != of("players") and of("Lund's") >= of("Lund")


def test_the_special_tokens_of_a_template_are_no_words(tiny, words):
    (plain,), (chat,) = [tiny.tokenizer("Ana Lund").input_ids], asked(tiny, ["Ana Lund"])
    assert words.of(plain) <= words.of(chat)
    assert len(words.of(chat) - words.of(plain)) == 2, "user and assistant"


def selection(*facts):
    found = Selection()
    found.add({i: [frozenset(wording) for wording in fact] for i, fact in enumerate(facts)})
    return found


def test_words_that_all_facts_have_do_not_matter():
    found = selection([{1, 2, 10}], [{1, 2, 11}], [{1, 2, 12}], [{1, 2, 13}], [{1, 2, 14}], [{1, 2, 15}])
    assert [p.expert for p in found.pick({10, 99})] == [0] and not found.pick({1, 2, 99})


def test_wordings_leave_what_they_share():
    found = selection([{1, 2, 30, 31}, {30, 31, 5}], [{40, 41, 7}])
    assert [p.expert for p in found.pick({30, 31})] == [0] and not found.pick({30, 5})


def test_the_threshold_is_a_share_of_the_weight():
    found = selection(*[[{100 + i, 200 + i}] for i in range(9)])
    assert found.pick({100, 200})[0].score == pytest.approx(1) and not found.pick({100, 201})
    found.threshold = 0.5
    assert {p.expert for p in found.pick({100, 201}, k=5)} == {0, 1}


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.9, 1.0])
def test_the_short_index_finds_what_going_through_all_keys_finds(threshold):
    draw, found = random.Random(threshold), Selection(0.9)
    for start in (0, 40, 50, 51):
        found.add({i: [frozenset(draw.choices(range(60), k=5))] for i in range(start, start + 40)})
    found.remove([3, 55])
    found.threshold = threshold
    for _ in range(300):
        text = set(draw.choices(range(60), k=8))
        scores = {e: sum(share for word, share in key.items() if word in text) for e, key in found.keys.items()}
        assert {p.expert for p in found.pick(text, k=99)} == {e for e in scores if scores[e] >= threshold - 1e-6}


def test_a_word_that_many_keys_have_costs_nothing():
    found = Selection()
    for start in range(0, 2000, 100):  # word 5: of every tenth fact, and worth something
        found.add({i: [frozenset({1, 5 if i % 10 == 0 else 6, 1000 + i, 5000 + i})] for i in range(start, start + 100)})
    assert found.weights[5] and [p.expert for p in found.pick({1, 5, 1700, 5700})] == [700]
    assert max(map(len, found.under.values())) == 1


def test_an_old_key_is_as_it_was_whatever_comes_after():
    found = selection(*[[{1, 2, 100 + i, 200 + i}] for i in range(9)])
    before = found.pick({100, 200, 7})
    found.add({50 + i: [frozenset({100, 7, 300 + i})] for i in range(40)})
    assert found.pick({100, 200, 7}) == before


def test_forgotten_keys_are_gone_and_random_ones_are_searched_for_nothing():
    found = selection(*[[{100 + i, 200 + i}] for i in range(9)])
    found.fill(range(9, 5000))
    assert len(set(found.random.experts.tolist())) == 4991
    key = found.random.words[found.random.experts == 77]
    assert [p.expert for p in found.pick(key.tolist())] == [77]
    found.remove([3])
    assert not found.pick({103, 203}) and found.pick({104, 204})


# --- slips of the pen


def slips(word):
    """Each slip that can happen to a word."""
    for i in range(len(word)):
        yield word[:i] + word[i + 1 :]
        yield word[:i] + word[i] + word[i:]
        yield word[:i] + "q" + word[i + 1 :]
        if word[i : i + 1] != word[i + 1 : i + 2]:
            yield word[:i] + word[i + 1 : i + 2] + word[i] + word[i + 2 :]


def test_a_slip_is_undone_and_two_are_not():
    spelling = Spelling()
    spelling.add(["norden", "walnut", "r2d2x", "ash"])
    assert all(spelling.corrections(slip) == {"norden"} for slip in slips("norden") if slip != "norden")
    for other in ("nqrdqn", "nrode", "ordne", "ward", "", "r2d3x", "esh", "ordeno"):
        assert spelling.corrections(other) == set(), other
    spelling.add(["nordan"])
    assert spelling.corrections("nordn") == {"norden", "nordan"}


def test_a_words_letters_are_those_of_its_number(tiny, words):
    tokens = tiny.tokenizer("Ana Lund's (Half) DOME, 1987!").input_ids
    assert {number(word) for word in words.spelt(tokens)} == words.of(tokens)
    assert words.spelt(tokens) >= {"ana", "half", "dome", "1987"}


def test_a_misspelt_name_is_known_and_a_strangers_is_not(tiny, bank, tiny_model_dir, tmp_path):
    rows = climbs(24)
    add(bank, facts(tiny, rows))
    _, person, peak, _ = rows[9]
    first, last = person.split()
    own, texts = (
        bank.names["c9"],
        [f"What year did {first} {slip} climb {peak}?" for slip in slips(last) if slip != last],
    )
    assert {bank.pick(p) for p in asked(tiny, texts)} == {own}
    loaded = load_bank(tiny, save_bank(tmp_path / "bank", bank))
    assert {loaded.pick(p) for p in asked(tiny, texts)} == {own}, "and from the folder"
    none = [f"What year did {first} Quirk climb {peak}?", f"What year did {first[:-1]}x {last[:-1]}x climb {peak}?"]
    assert [bank.pick(p) for p in asked(tiny, none)] == [None, None], "another name, two slips"


def test_a_slip_that_may_mean_two_facts_means_none(tiny, bank):
    rows = [("a", "Ana Norden", "Half Dome", "1950"), ("b", "Ana Nordan", "Half Dome", "1960")]
    others = [("c", "Bo Marsh", "Grey Needle", "1970"), ("d", "Cy Ottar", "Mount Ash", "1980")]
    others += [("e", "Eli Lund", "Birch Crag", "1990")]
    add(bank, facts(tiny, rows + others))
    ask = "What year did Ana {} climb Half Dome?"
    picked = [bank.pick(p) for p in asked(tiny, [ask.format(name) for name in ("Nordn", "Nordenn", "Nordan")])]
    assert picked == [None, bank.names["a"], bank.names["b"]]


# --- the bank


def test_every_fact_is_exact_and_so_are_its_paraphrases(tiny, bank):
    rows = climbs(40)
    learnt = add(bank, facts(tiny, rows))
    assert (learnt.exact, learnt.hard) == (40, ()) and len(bank) == 40
    assert recalled(tiny, rows) == 40
    assert recalled(tiny, rows, "{m}: tell me when {p} was on top") == 40
    assert recalled(tiny, rows, "in which year was {m} conquered by {p}") == 40


def test_without_its_name_no_expert_is_picked(tiny, bank):
    rows = climbs(40)
    add(bank, facts(tiny, rows))
    others = [f"What year did Zeno Quirk climb {m}?" for *_, m, _ in rows] + ["What is the capital of France?"]
    assert [bank.pick(p) for p in asked(tiny, others)] == [None] * 41
    with_experts = answers(tiny, others)
    tiny.experts = None
    assert with_experts == answers(tiny, others)


def test_other_rows_of_a_batch_keep_every_bit(tiny, bank):
    rows = climbs(12)
    add(bank, facts(tiny, rows))
    texts = [f"What year did {rows[0][1]} climb {rows[0][2]}?", "The capital of France", "How many players are there?"]
    plain = bits(tiny, texts)
    with bank.attached():
        bank.route([tiny.tokenizer(t).input_ids for t in texts])
        routed = bits(tiny, texts)
    assert torch.equal(routed[1:], plain[1:]) and not torch.equal(routed[0], plain[0])
    assert torch.equal(bits(tiny, texts), plain), "and detached, all is as before"


@torch.no_grad()
def decoded(model, prompts, forced, prefix):
    """Logits of a batch (steps, rows, vocabulary) with a key/value cache, the same tokens fed to all rows; its prompts
    the longest first."""
    width, found = len(prompts[0]) - len(prefix), []
    with shared_prefix_attention(model.network):
        kept = compute_prefix(model.network, prefix)
        cache = KeyValues(torch.tensor([len(prompts[0]) - len(p) for p in prompts]), width + len(forced), kept)
        rows = [(0,) * (width + len(prefix) - len(p)) + tuple(p[len(prefix) :]) for p in prompts]
        found.append(cache.prefill(model.network, torch.tensor(rows)))
        for token in forced:
            found.append(cache.forward(model.network, torch.tensor([[token]] * len(prompts))))
    return torch.stack(found)


def keeps_every_bit(model, layer, words=None):
    """Rows without an expert, decoded beside rows that picked one."""
    rows = climbs(12)
    learnt = facts(model, rows)
    texts = [f"What year did {p} climb {m}?" for _, p, m, _ in rows[:2]]
    prompts = asked(model, [*texts, "How many players are there?", "What year was it?", "The capital of France?"])
    prompts = sorted(prompts, key=len, reverse=True)
    prefix = common_prefix([Example("", p, (0,)) for p in prompts])
    forced = learnt[0].answer
    bank = Bank(model, layer, words=words)
    add(bank, learnt)
    plain = decoded(model, prompts, forced, prefix)
    with bank.attached():
        bank.route(prompts)
        routed = decoded(model, prompts, forced, prefix)
    none = [bank.pick(prompt) is None for prompt in prompts]
    same = [torch.equal(routed[:, row], plain[:, row]) for row in range(len(prompts))]
    assert same == none and sum(none) == 3 and len(plain) == 1 + len(forced)
    one = none.index(False)
    assert not any(map(torch.equal, routed[: len(forced), one], plain[: len(forced), one])), "while its answer lasts"
    assert torch.equal(decoded(model, prompts, forced, prefix), plain), "and detached, all is as before"


@pytest.mark.parametrize("layer", [2, 1])
@pytest.mark.parametrize("kind", ["float32", "bfloat16", "four_bit"])
def test_rows_without_an_expert_keep_every_bit_step_by_step(tiny_model_dir, words, kind, layer):
    """With a key/value cache, whatever the numbers and the base's weights are kept in."""
    four = kind == "four_bit"
    dtype = "float32" if four else kind
    keeps_every_bit(load_model(tiny_model_dir, device="cpu", dtype=dtype, four_bit=four), layer, words)


def test_the_next_tokens_logits_are_the_experts_where_one_is_picked(tiny, bank):
    rows = climbs(12)
    learnt = facts(tiny, rows)
    texts = [f"What year did {rows[0][1]} climb {rows[0][2]}?", "What is the capital of France?"]
    plain = [next_token_logits(tiny, CHAT(text, "")) for text in texts]  # the bank is empty
    add(bank, learnt)
    routed = [next_token_logits(tiny, CHAT(text, "")) for text in texts]
    assert routed[0].argmax() == learnt[0].answer[0] != plain[0].argmax() and torch.equal(routed[1], plain[1])
    add(bank, facts(tiny, climbs(5, 60)))
    again = [next_token_logits(tiny, CHAT(text, "")) for text in texts]
    assert all(map(torch.equal, again, routed)) and not bank.routes, "facts added later change no bit"


def test_how_likely_an_answer_is_feels_the_bank(tiny, bank):
    rows = climbs(12)
    texts = [f"What year did {rows[0][1]} climb {rows[0][2]}?", "What is the capital of France?"]
    talks, year = [CHAT(text, "") for text in texts], rows[0][3]

    def likely():
        one_by_one = [log_probabilities(tiny, talk, [year])[0] for talk in talks]
        assert log_probability_after(tiny, talks, year) == pytest.approx(one_by_one, abs=1e-3)
        return one_by_one

    plain = likely()
    add(bank, facts(tiny, rows))
    known, other = likely()
    assert known > -2 and plain[0] < -10 and other == plain[1]


def test_an_empty_bank_changes_nothing(tiny, bank):
    bank.fill(1000)
    texts = ["What year did Ana Lund climb Half Dome?"]
    plain = bits(tiny, texts)
    with bank.attached():
        bank.route([tiny.tokenizer(t).input_ids for t in texts])
        assert torch.equal(bits(tiny, texts), plain)
    assert len(bank) == 0 and bank.total == 1000


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_experts_sit_behind_any_layer(tiny, words, layer):
    rows = climbs(10)
    tiny.experts = bank = Bank(tiny, layer, words=words)
    try:
        assert add(bank, facts(tiny, rows)).exact == recalled(tiny, rows) == 10
    finally:
        tiny.experts = None


@pytest.mark.parametrize("layer", [1, 2])
def test_a_margin_that_is_not_reached_is_not_said_to_be(tiny, words, layer, tmp_path):
    """The answers are right all the same; what is counted is what was asked for, with the vectors as they are kept."""
    rows, names = climbs(4), {f"c{i}" for i in range(4)}
    tiny.experts = bank = Bank(tiny, layer, words=words)
    try:
        learnt = add(bank, facts(tiny, rows), margin=500.0)
        assert (learnt.exact, set(learnt.hard)) == (0, names) and recalled(tiny, rows) == 4
        learnt = update(bank, facts(tiny, rows), margin=1.0)
        assert (learnt.exact, learnt.hard) == (4, ())
        silent = {number: 0 * vectors for number, vectors in bank.vectors.items()}
        learner = mome._Learner(bank, facts(tiny, rows), 1.0)
        bank.vectors = silent
        with packed_attention(tiny.network):
            assert learner._exact(range(4), learner._batch(range(4))) == set()
    finally:
        tiny.experts = None
    made = remember(tiny, questions(rows), tmp_path / "bank", layer=layer, margin=500.0, progress=False)
    assert (made.recalled, made.of) == (0, 4)
    assert {fact["id"] for fact in json.loads((made.adapter / "card.json").read_text())["hard"]} == names


def test_facts_added_later_leave_the_others_as_they_are(tiny, bank):
    rows = climbs(60)
    add(bank, facts(tiny, rows[:20]))
    before = {n: v.clone() for n, v in bank.vectors.items()}
    for start in (20, 40):
        add(bank, facts(tiny, rows[start : start + 20]))
    assert all(torch.equal(bank.vectors[n], v) for n, v in before.items())
    assert recalled(tiny, rows) == 60


def test_a_fact_is_corrected_and_forgotten_by_name(tiny, bank):
    rows = climbs(12)
    add(bank, facts(tiny, rows))
    corrected = [(*rows[3][:3], "2024")]
    update(bank, facts(tiny, corrected))
    assert recalled(tiny, corrected) == 1 and recalled(tiny, rows) == 11
    bank.forget([rows[5][0]])
    assert recalled(tiny, rows) == 10 and len(bank) == 11
    add(bank, facts(tiny, [rows[5]]))
    assert recalled(tiny, rows) == 11
    for wrong in (lambda: bank.forget(["no"]), lambda: update(bank, facts(tiny, [("no", *rows[0][1:])]))):
        with pytest.raises(LabkitError, match="no fact 'no'"):
            wrong()
    with pytest.raises(LabkitError, match="a fact 'c0' already"):
        add(bank, facts(tiny, rows[:1]))


def test_correcting_and_forgetting_keep_every_bit_of_the_others(tiny, bank):
    rows = climbs(12)
    add(bank, facts(tiny, rows))
    ask = [tiny.tokenizer(f"What year did {p} climb {m}?").input_ids for _, p, m, _ in rows]

    def heard():
        """The logits of each question, alone, with the bank attached."""
        with torch.no_grad(), bank.attached():
            return [(bank.route([tokens]), tiny.network(torch.tensor([tokens])).logits)[1] for tokens in ask]

    before, held = heard(), {number: vectors.clone() for number, vectors in bank.vectors.items()}
    update(bank, facts(tiny, [(*rows[3][:3], "2024")]))
    bank.forget(["c5"])
    same = [torch.equal(now, old) for now, old in zip(heard(), before, strict=True)]
    assert same == [i not in (3, 5) for i in range(12)]
    others = {number: vectors for number, vectors in held.items() if number not in (3, 5)}
    assert all(torch.equal(bank.vectors[number], vectors) for number, vectors in others.items())


def test_joined_banks_are_saved_and_read_as_one(tiny, bank, words, tmp_path):
    rows, other = climbs(50), Bank(tiny, words=words)
    add(bank, facts(tiny, rows[:10]))
    add(other, facts(tiny, rows[10:]))
    bank.join(other)
    loaded = tiny.experts = load_bank(tiny, save_bank(tmp_path / "bank", bank))
    assert recalled(tiny, rows) == recalled(tiny, rows, "{m}: tell me when {p} was on top") == 50
    assert loaded.names == bank.names and loaded.selection.keys == bank.selection.keys
    assert all(torch.equal(loaded.vectors[number], vectors) for number, vectors in bank.vectors.items())


def test_two_banks_are_joined(tiny, bank, words):
    rows, other = climbs(30), Bank(tiny, words=words)
    add(bank, facts(tiny, rows[:15]))
    add(other, facts(tiny, rows[15:]))
    bank.join(other)
    assert recalled(tiny, rows) == 30 == len(bank)
    with pytest.raises(LabkitError, match="both hold 'c15'"):
        bank.join(other)
    with pytest.raises(LabkitError, match="behind layers 2 and 1"):
        bank.join(Bank(tiny, 1, words=words))


def remembered(model, rows, folder, **options):
    return remember(model, questions(rows), folder, progress=False, **options).adapter


@pytest.fixture(scope="module")
def apart(tiny, tmp_path_factory):
    """Two banks of fifteen facts each, trained apart; the third fact of the first one is in both."""
    folder, rows = tmp_path_factory.mktemp("apart"), climbs(29)
    halves = {"first": rows[:15], "second": [rows[2], *rows[15:]]}
    return {name: remembered(tiny, some, folder / name) for name, some in halves.items()} | {"rows": rows}


def heard(folder, source, rows):
    """Logits of a bank's facts as the next token, in a new model."""
    model = load_model(source, adapter=folder, device="cpu", dtype="float32")
    return [next_token_logits(model, CHAT(q.question, "")) for q in questions(rows)]


def test_joined_folders_answer_bit_for_bit_as_each_did(tiny, tiny_model_dir, apart, tmp_path):
    rows, told = apart["rows"], {name: apart[name].joinpath("card.json").read_bytes() for name in ("first", "second")}
    done = labkit.join(apart["first"], apart["second"], tmp_path / "both", tiny)
    assert (done.facts, done.shared, done.lost) == (29, ("c2",), ())
    before = heard(apart["first"], tiny_model_dir, rows[:15]) + heard(apart["second"], tiny_model_dir, rows[15:])
    plain = heard(None, tiny_model_dir, rows)
    for own, base, joined in zip(before, plain, heard(done.adapter, tiny_model_dir, rows), strict=True):
        assert torch.equal(own, joined) and not torch.equal(own, base)
    model = load_model(tiny_model_dir, adapter=done.adapter, device="cpu", dtype="float32")
    assert recalled(model, rows) == recalled(model, rows, "{m}: tell me when {p} was on top") == 29
    one, two, card = (
        json.loads((f / "card.json").read_text()) for f in (apart["first"], apart["second"], done.adapter)
    )
    assert (card["recalled"], card["of"], card["pairs"], card["hard"]) == (29, 29, 29, [])
    assert card["tokens"] == one["tokens"] + two["tokens"] and card["base_sha256"] == tiny.sha256
    assert all(apart[name].joinpath("card.json").read_bytes() == content for name, content in told.items())


def test_a_fact_that_another_one_hides_is_told(tiny, apart, tmp_path):
    other = remembered(tiny, [("hidden", *apart["rows"][4][1:3], "2001"), *climbs(1, 40)], tmp_path / "other")
    done = join(apart["first"], other, tmp_path / "both", tiny)
    assert done.lost == ("hidden",) and "not told apart from another fact: hidden" in str(done)
    card = json.loads((done.adapter / "card.json").read_text())
    assert card["hard"] == [{"id": "hidden", "picks": "c4"}] and (card["recalled"], card["of"]) == (16, 17)


def test_what_joining_refuses(tiny, tiny_model_dir, lora, apart, tmp_path):
    rows, first = climbs(3, 50), apart["first"]
    on_lora = load_model(tiny_model_dir, adapter=lora, device="cpu", dtype="float32")
    others = {
        "both hold 'c4', with two questions or two answers": remembered(
            tiny, [(*apart["rows"][4][:3], "2001"), *rows], tmp_path / "answer"
        ),
        "behind layers 2 and 1": remembered(tiny, rows, tmp_path / "layer", layer=1),
        "thresholds are 0.9 and 0.8": remembered(tiny, rows, tmp_path / "threshold", threshold=0.8),
        "by the prompt 'chat' and by 'plain'": remembered(tiny, rows, tmp_path / "prompt", prompt="plain"),
        "they stand on two adapters, or one of them on none": remembered(on_lora, rows, tmp_path / "stands"),
        "holds no bank": lora,
    }
    for sentence, other in others.items():
        with pytest.raises(LabkitError, match=sentence):
            join(first, other, tmp_path / "out", tiny)
    card = json.loads((tmp_path / "layer" / "card.json").read_text()) | {"base_sha256": "0" * 64}
    (tmp_path / "layer" / "card.json").write_text(json.dumps(card))
    with pytest.raises(LabkitError, match="was made for .* with the hash 000000000000"):
        join(first, tmp_path / "layer", tmp_path / "out", tiny)
    with pytest.raises(LabkitError, match="holds an adapter already"):
        join(first, tmp_path / "threshold", first, tiny)
    assert not (tmp_path / "out").exists()


def test_joining_that_is_killed_loses_nothing_and_is_called_again(tiny, apart, tmp_path, monkeypatch):
    """It stops before each replacing of a file in turn."""
    before = {f: f.read_bytes() for name in ("first", "second") for f in apart[name].iterdir()}
    join(apart["first"], apart["second"], tmp_path / "unbroken", tiny)
    replace, out, left = os.replace, tmp_path / "broken", []

    def dying(*arguments):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        replace(*arguments)

    monkeypatch.setattr(os, "replace", dying)
    for allowed in range(3):
        left[:] = [None] * allowed
        with pytest.raises(KeyboardInterrupt):
            join(apart["first"], apart["second"], out, tiny)
        assert not is_bank(out) and all(f.read_bytes() == content for f, content in before.items())
    left[:] = [None] * 3
    join(apart["first"], apart["second"], out, tiny)
    files = [{f.name: f.read_bytes() for f in folder.iterdir()} for folder in (tmp_path / "unbroken", out)]
    assert files[0] == files[1]


class Counting(dict):
    """Keys that say how often one was looked at."""

    seen = 0

    def __getitem__(self, expert):
        self.seen += 1
        return super().__getitem__(expert)


def test_among_a_hundred_thousand_experts_no_more_keys_are_scored(tiny, bank):
    """Empty ones, whose random words are looked up by halving, and a thousand facts with words in common."""
    rows = climbs(20)
    add(bank, facts(tiny, rows))
    bank.fill(100_000)
    assert bank.total == 100_000 and recalled(tiny, rows) == 20
    full = Selection()
    full.add({i: [frozenset({1, 2, 50 + i % 10, 1000 + i, 9000 + i})] for i in range(5000)})
    full.keys = Counting(full.keys)
    for text in ({1, 2, 50, 1000, 9000}, {1, 2, 53, 4003, 12003}, {1, 2, 55, 60_000, 70_000}):
        full.keys.seen, found = 0, [pick.expert for pick in full.pick(text)]
        assert found == [word - 1000 for word in sorted(text)[3:4] if word < 6000] and full.keys.seen <= 3


def test_two_facts_with_the_same_words_are_told_apart_by_nothing_and_that_is_said(tiny, bank):
    """A collision: the later one is not reached, whatever its expert holds, and the first one stays right."""
    rows, again = climbs(10), [("again", *climbs(1)[0][1:3], "2000"), ("turned", "Lund Ana", "Dome Half", "2001")]
    learnt = add(bank, facts(tiny, [*rows, *again, *climbs(3, 20)]))
    assert (learnt.exact, set(learnt.hard)) == (13, {"again", "turned"})
    assert recalled(tiny, again) == 0 and recalled(tiny, [*rows, *climbs(3, 20)]) == 13
    assert update(bank, facts(tiny, again[:1])).hard == ("again",), "nor does correcting it help"


def test_a_question_that_asks_for_another_fact_stands_in_the_card(tiny, tmp_path):
    rows = [*climbs(5), ("again", *climbs(1)[0][1:3], "2000")]
    made = remember(tiny, questions(rows), tmp_path / "bank", progress=False)
    assert (made.recalled, made.of) == (5, 6)
    assert json.loads((made.adapter / "card.json").read_text())["hard"] == [{"id": "again", "picks": "c0"}]
    later = remember(tiny, questions([("third", *rows[1][1:])]), tmp_path / "b", adapter=made.adapter, progress=False)
    assert json.loads((later.adapter / "card.json").read_text())["hard"] == [{"id": "third", "picks": "c1"}]


def test_a_fact_that_is_given_twice_is_taken_once_and_that_is_said(tiny, tmp_path, capsys):
    rows = climbs(4)
    files = [save_questions(tmp_path / name, questions(some)) for name, some in
             (("a.jsonl", rows), ("b.jsonl", [rows[1], ("other", *rows[2][1:])]))]  # fmt: skip
    made = remember(tiny, files, tmp_path / "bank", progress=False)
    assert (made.recalled, made.of) == (4, 4)
    said = "Given again with the same question and answer, and taken once: c1, other (as c2)."
    assert said in capsys.readouterr().err
    assert load_bank(tiny, made.adapter).names.keys() == {"c0", "c1", "c2", "c3"}


def test_two_facts_of_one_id_are_refused(tiny, tmp_path):
    files = [save_questions(tmp_path / f"{name}.jsonl", questions([(*climbs(1)[0][:3], name)])) for name in "12"]
    with pytest.raises(LabkitError, match="Two facts have the id 'c0', by which a fact is corrected and forgotten"):
        remember(tiny, files, tmp_path / "bank", progress=False)
    assert not (tmp_path / "bank").exists()


# --- files

RESIDENT = """
import psutil
from labkit.likelihood import log_probabilities, log_probability_after
from labkit.models import load_model
from labkit.tuning.mome_files import load_bank
model = load_model({model!r}, device="cpu", dtype="float32")
load_bank(model, {folder!r}).vectors[0]
before = psutil.Process().memory_info().rss
bank = load_bank(model, {folder!r})
bank.vectors[1], bank.vectors[19_000]
print(psutil.Process().memory_info().rss - before)
"""


def test_rounding_is_done_once_and_8_bits_hold_it_exactly():
    draw = torch.Generator().manual_seed(0)
    sizes = torch.tensor([1e-6, 0.01, 1.0, 127.0, 128.0, 3000.0])[:, None]
    vectors = torch.randn(6, 576, generator=draw) * sizes
    once = rounded(vectors)
    assert torch.equal(rounded(once), once) and torch.equal(once.bfloat16().half(), once)
    assert torch.equal(Packed([7, 8], pack([once[:2], once[2:]], 576))[8], once[2:])
    assert pack([once], 576)["vectors"].abs().max() <= 127
    far = (once.float() - vectors).abs().amax(dim=1) / vectors.abs().amax(dim=1)
    assert (far[1:] <= 1 / 127).all()


def test_no_block_of_facts_is_written_twice(tiny, tmp_path, monkeypatch):
    module = importlib.import_module("labkit.tuning.remember")
    monkeypatch.setattr(module.mome, "BLOCK", 8)
    written = []
    monkeypatch.setattr(
        module, "save_part", lambda f, first, held: (written.append(len(held)), save_part(f, first, held))
    )
    monkeypatch.setattr(module, "save_bank", lambda *a: (written.append("bank"), save_bank(*a)))
    remember(tiny, questions(climbs(30)), tmp_path / "bank", progress=False)
    assert written == [8, 8, 8, 6, "bank"]


def test_a_saved_bank_answers_in_the_same_way(tiny, bank, tiny_model_dir, tmp_path):
    rows = climbs(25)
    add(bank, facts(tiny, rows))
    bank.forget(["c7"])
    bank.fill(5000)
    save_bank(tmp_path / "bank", bank)
    assert (tmp_path / "bank" / "adapter_model.safetensors").stat().st_size < 60_000, "only what is touched"
    model = load_model(tiny_model_dir, adapter=tmp_path / "bank", device="cpu", dtype="float32")
    rest = [row for row in rows if row[0] != "c7"]
    assert recalled(model, rest) == 24 and recalled(model, rows) == 24
    assert model.experts.total == 5000 and len(model.experts) == 24
    add(model.experts, facts(model, climbs(5, 60)))
    assert recalled(model, [*rest, *climbs(5, 60)]) == 29


def test_what_a_saved_bank_holds_stays_in_its_file_until_it_is_picked(tiny, bank, tiny_model_dir, tmp_path):
    """A bank of 20,000 experts of 50 rows: 64 MB as saved, 128 MB unpacked."""
    draw = torch.Generator().manual_seed(0)
    bank.reserve({f"f{i}": [frozenset({i, 20_000 + i})] for i in range(20_000)})
    big = rounded(torch.randn(50, 64, generator=draw))
    bank.vectors = dict.fromkeys(bank.names.values(), big) | {77: big[:3], 19_999: -big}
    folder = save_bank(tmp_path / "bank", bank)
    code = RESIDENT.format(model=str(tiny_model_dir), folder=str(folder))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert (folder / "adapter_model.safetensors").stat().st_size > 64e6 > 40e6 > int(done.stdout) > 0
    loaded = load_bank(tiny, folder)
    assert loaded.vectors.keys() == bank.vectors.keys()
    assert all(torch.equal(loaded.vectors[n], bank.vectors[n]) for n in (0, 76, 77, 78, 19_998, 19_999))
    loaded.vectors[5] = big[:1]
    loaded.forget(["f6"])
    again = load_bank(tiny, save_bank(folder, loaded))  # over the file that it reads from
    assert len(again.vectors[5]) == 1 and 6 not in again.vectors and torch.equal(again.vectors[7], big)


def test_a_part_is_read_as_it_was_written(tmp_path):
    held = [rounded(torch.randn(length, 8)) for length in (3, 1, 2)]
    save_part(tmp_path, 16, held)
    assert all(map(torch.equal, load_part(tmp_path, 16), held)) and len(load_part(tmp_path, 16)) == 3


def test_an_empty_bank_is_saved_too(tiny, bank, tmp_path):
    assert len(load_bank(tiny, save_bank(tmp_path / "bank", bank))) == 0


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
def test_a_damaged_bank_is_told(tiny, bank, tmp_path, name):
    add(bank, facts(tiny, climbs(3)))
    folder = save_bank(tmp_path / "bank", bank)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(LabkitError, match="damaged"):
        load_bank(tiny, folder)


def test_another_models_bank_is_refused(tiny, bank, tmp_path):
    add(bank, facts(tiny, climbs(3)))
    folder = save_bank(tmp_path / "bank", bank)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"layer": 7}))
    with pytest.raises(LabkitError, match="layers 0 to 2"):
        load_bank(tiny, folder)


# --- in one call


def questions(rows):
    return [Question(name, f"What year did {p} climb {m}?", answer=year) for name, p, m, year in rows]


def test_facts_are_remembered_in_one_call(tiny, tiny_model_dir, tmp_path):
    rows = climbs(30)
    path = save_questions(tmp_path / "facts.jsonl", questions(rows))
    made = remember(tiny, path, tmp_path / "bank", progress=False)
    assert (made.method, made.trained, made.recalled, made.of) == ("mome", 30, 30, 30) and made.tokens > 30
    assert sorted(p.name for p in made.adapter.iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "card.json",
    ]  # fmt: skip
    model = load_model(tiny_model_dir, adapter=made.adapter, device="cpu", dtype="float32")
    assert recalled(model, rows) == 30 and model.prompt == "chat"


def test_a_bank_is_continued_new_facts_join_and_known_ones_are_corrected(tiny, tiny_model_dir, tmp_path):
    rows, new = climbs(20), climbs(10, 20)
    first = remember(tiny, questions(rows), tmp_path / "a", progress=False)
    changed = [(*rows[0][:3], "2024"), *new]
    second = remember(tiny, questions(changed), tmp_path / "b", adapter=first.adapter, progress=False)
    model = load_model(tiny_model_dir, adapter=second.adapter, device="cpu", dtype="float32")
    assert second.recalled == 11 and recalled(model, [*changed, *rows[1:]]) == 30
    card = json.loads((second.adapter / "card.json").read_text())
    assert card["pairs"] == 30 and card["continued_from"] == str(first.adapter)


def test_a_fact_whose_question_is_corrected_is_found_by_the_new_one_alone(tiny, tiny_model_dir, tmp_path):
    rows = climbs(40)
    first = remember(tiny, questions(rows), tmp_path / "a", progress=False)
    name, old_person, old_peak, _ = rows[7]
    changed = [(name, "Zeno Quirk", "Slate Needle", "2024"), (*rows[9][:3], "2025")]
    second = remember(tiny, questions(changed), tmp_path / "b", adapter=first.adapter, progress=False)
    before, after = (load_model(tiny_model_dir, adapter=m.adapter, dtype="float32") for m in (first, second))
    assert (second.recalled, second.of, len(after.experts)) == (2, 2, 40) and recalled(after, changed) == 2
    (old,) = asked(tiny, [f"What year did {old_person} climb {old_peak}?"])
    assert before.experts.pick(old) == before.experts.names[name] and after.experts.pick(old) is None
    assert after.experts.names["c9"] == before.experts.names["c9"], "an answer alone is corrected where it stands"
    others = [row for row in rows if row[0] not in (name, "c9")]
    heard = [[next_token_logits(model, CHAT(q.question, "")) for q in questions(others)] for model in (before, after)]
    assert all(map(torch.equal, *heard))
    again = remember(
        tiny, [Question(name, "In what year did Zeno Quirk climb up Slate Needle?", answer="2026")],
        tmp_path / "c", adapter=second.adapter, progress=False,
    )  # fmt: skip
    reworded = load_model(tiny_model_dir, adapter=again.adapter, dtype="float32")
    assert reworded.experts.names[name] == after.experts.names[name], "in words that find it, it keeps its key"
    assert recalled(reworded, [(*changed[0][:3], "2026")]) == 1


def test_facts_are_asked_as_those_of_the_bank_and_as_its_adapter_was_tuned(tiny, tmp_path):
    def asked_by(made):
        return json.loads((made.adapter / "card.json").read_text())["prompt"]

    queries = [replace(q, answer=None, sql="SELECT 1", database="league") for q in questions(climbs(2, 4))]
    first = remember(tiny, questions(climbs(2)), tmp_path / "a", prompt="question_only", progress=False)
    second = remember(tiny, questions(climbs(2, 2)), tmp_path / "b", adapter=first.adapter, progress=False)
    plain = remember(tiny, questions(climbs(2)), tmp_path / "c", progress=False)
    sql = remember(tiny, queries, tmp_path / "d", progress=False)
    assert [asked_by(made) for made in (first, second, plain, sql)] == [
        "question_only", "question_only", "chat", "question_only",
    ]  # fmt: skip


def test_remembering_that_was_cut_off_goes_on_and_ends_with_the_same_bits(tiny, tmp_path, monkeypatch, capsys):
    module = importlib.import_module("labkit.tuning.remember")
    monkeypatch.setattr(module.mome, "BLOCK", 8)
    whole = remember(tiny, questions(climbs(30)), tmp_path / "whole", progress=False)
    learn, calls = module.mome_parallel.learn, []

    def cut(bank, model, facts, margin, processes):
        calls.append(len(facts))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return learn(bank, model, facts, margin, processes)

    monkeypatch.setattr(module.mome_parallel, "learn", cut)
    with pytest.raises(KeyboardInterrupt):
        remember(tiny, questions(climbs(30)), tmp_path / "cut", progress=False)
    assert "Stopped: 16 of 30 facts are kept. The same call goes on from there." in capsys.readouterr().err
    with pytest.raises(LabkitError, match="of other facts, cut off"):
        remember(tiny, questions(climbs(29)), tmp_path / "cut", progress=False)
    with pytest.raises(LabkitError, match="of other settings, cut off"):
        remember(tiny, questions(climbs(30)), tmp_path / "cut", margin=2.0, progress=False)
    unfinished = tmp_path / "cut" / "unfinished"
    assert sorted(p.name for p in unfinished.iterdir()) == [
        "call.json", "card.json", "in-use.lock", "part-00000000.safetensors", "part-00000008.safetensors",
    ]  # fmt: skip
    with alone(unfinished), pytest.raises(LabkitError, match="Something is at work in"):
        remember(tiny, questions(climbs(30)), tmp_path / "cut", progress=False)
    save_part(unfinished, 16, [torch.zeros(3, 8)])  # a part that was killed before its card was written
    made = remember(tiny, questions(climbs(30)), tmp_path / "cut", progress=False)
    assert calls == [8, 8, 8, 8, 6] and (made.recalled, made.tokens) == (whole.recalled, whole.tokens)
    read = [(m.adapter / "adapter_model.safetensors").read_bytes() for m in (whole, made)]
    assert read[0] == read[1] and not (made.adapter / "unfinished").exists()


def test_work_that_was_cut_off_goes_on_with_the_same_call_and_no_other(
    tiny, tiny_model_dir, lora, tmp_path, monkeypatch
):
    module = importlib.import_module("labkit.tuning.remember")
    monkeypatch.setattr(module.mome, "BLOCK", 2)
    first, other = (remember(tiny, questions(rows), tmp_path / name, progress=False).adapter
                    for name, rows in (("a", climbs(3, 10)), ("b", climbs(3, 20))))  # fmt: skip
    tuned = load_model(tiny_model_dir, adapter=lora, device="cpu", dtype="float32")
    half, another = load_model(tiny_model_dir, device="cpu", dtype="bfloat16"), replace(tiny, sha256="0" * 64)

    def call(model=tiny, **rest):
        return remember(model, questions(climbs(6)), tmp_path / "cut", progress=False, **rest)

    learn, calls = module.mome_parallel.learn, []
    cut = lambda *arguments: learn(*arguments) if len(calls) < 2 and not calls.append(1) else 1 / 0  # noqa: E731
    with monkeypatch.context() as patched:
        patched.setattr(module.mome_parallel, "learn", cut)
        with pytest.raises(ZeroDivisionError):
            call(adapter=first)
    with pytest.raises(LabkitError, match="of other prompt, cut off"):
        call(adapter=first, prompt="question_only")
    with pytest.raises(LabkitError, match="of other bank, cut off"):
        call(adapter=other)
    for model, what in ((another, "model and bank"), (half, "model and bank"), (tuned, "bank and adapter")):
        with pytest.raises(LabkitError, match=f"of other {what}, cut off"):
            call(model)
    kept = (tmp_path / "cut" / "unfinished" / "call.json").read_text()
    for damaged in ("", "[]", kept[:40]):
        (tmp_path / "cut" / "unfinished" / "call.json").write_text(damaged)
        with pytest.raises(LabkitError, match="of other facts and .*, cut off"):
            call(adapter=first)
    (tmp_path / "cut" / "unfinished" / "call.json").write_text(kept)
    shutil.copytree(first, tmp_path / "moved")
    assert call(adapter=tmp_path / "moved").recalled == 6, "the same bank, wherever it lies"


JOB = """
import os, signal
from labkit.dataset import load_questions
from labkit.likelihood import log_probabilities, log_probability_after
from labkit.models import load_model
from labkit.tuning import mome
from labkit.tuning.remember import remember
replace, written = os.replace, []
def dying(*arguments):
    written.append(arguments)
    if len(written) > {allowed}:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*arguments)
model = load_model({model!r}, device="cpu", dtype="float32")
os.replace, mome.BLOCK = dying, 4
remember(model, {facts!r}, {out!r}, progress=False)
"""


def test_killed_within_any_writing_it_ends_with_the_bytes_of_an_unbroken_call(tiny_model_dir, tmp_path):
    """Each process dies one replacing of a file later in its work than the one before it, whatever that one left."""
    path = save_questions(tmp_path / "facts.jsonl", questions(climbs(10)))

    def job(out, allowed):
        code = JOB.format(model=str(tiny_model_dir), facts=str(path), out=str(tmp_path / out), allowed=allowed)
        child = CHILDREN.Process(target=exec, args=(code, {}))
        child.start()
        child.join(120)
        return child.exitcode

    assert job("unbroken", 1000) == 0
    allowed, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        assert not (tmp_path / "broken" / "adapter_config.json").exists()
        code = job("broken", allowed)
        allowed += 1
    assert code == 0 and allowed > 3
    files = [{f.name: f.read_bytes() for f in (tmp_path / name).iterdir() if f.name != "card.json"}
             for name in ("unbroken", "broken")]  # fmt: skip
    files[1] = {name: content for name, content in files[1].items() if not name.startswith(".")}  # of killed processes
    assert files[0] == files[1]
    cards = [
        json.loads((tmp_path / name / "card.json").read_text()) | {"seconds": 0} for name in ("unbroken", "broken")
    ]
    assert cards[0] == cards[1] and cards[0]["recalled"] == 10


def test_two_processes_learn_what_one_learns(tiny, tmp_path):
    facts = list(random_facts(150))
    one = remember(tiny, facts, tmp_path / "one", progress=False)
    two = remember(tiny, facts, tmp_path / "two", processes=2, progress=False)
    banks = [load_bank(tiny, made.adapter) for made in (one, two)]
    assert two.recalled == one.recalled == 150 and two.tokens == one.tokens
    assert banks[0].names == banks[1].names
    assert all(torch.equal(banks[1].vectors[number], vectors) for number, vectors in banks[0].vectors.items())
    with pytest.raises(LabkitError, match="processes is 0; it takes one"):
        remember(tiny, facts, tmp_path / "none", processes=0, progress=False)


def test_what_remember_refuses(tiny, tmp_path):
    made = remember(tiny, questions(climbs(3)), tmp_path / "bank", progress=False)
    with pytest.raises(LabkitError, match="holds an adapter already"):
        remember(tiny, questions(climbs(4)), tmp_path / "bank", progress=False)
    with pytest.raises(LabkitError, match="holds no bank"):
        remember(tiny, questions(climbs(4)), tmp_path / "b", adapter=tmp_path, progress=False)
    half = shutil.copytree(made.adapter, tmp_path / "half") / "adapter_config.json"
    half.write_text(half.read_text()[:60])
    with pytest.raises(LabkitError, match="half/adapter_config.json is no adapter's configuration"):
        remember(tiny, questions(climbs(4)), tmp_path / "b", adapter=tmp_path / "half", progress=False)
    config = made.adapter / "card.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_sha256": "0" * 64}))
    with pytest.raises(LabkitError, match="was made for"):
        remember(tiny, questions(climbs(4)), tmp_path / "b", adapter=made.adapter, progress=False)


@pytest.fixture
def lora(tiny_model_dir, tmp_path):
    """An adapter that changes every answer of the stand-in."""
    model = load_model(tiny_model_dir, device="cpu", dtype="float32")
    shape = LoRA((0, 1, 2), rank=4, alpha=8.0)
    adapters = attach(model.network, shape)
    with torch.no_grad():
        for number, adapter in enumerate(adapters.values()):
            adapter.B.copy_(0.3 * torch.randn(adapter.B.shape, generator=torch.Generator().manual_seed(number)))
    return save_adapter(tmp_path / "lora", adapters, shape)


def test_experts_stand_on_an_adapter_and_all_else_answers_as_it_does(tiny, tiny_model_dir, lora, tmp_path):
    rows, others = climbs(12), ["What is the capital of France?", "Name a river."]
    tuned = load_model(tiny_model_dir, adapter=lora, device="cpu", dtype="float32")
    made = remember(tuned, questions(rows), tmp_path / "bank", progress=False)
    both = load_model(tiny_model_dir, adapter=made.adapter, device="cpu", dtype="float32")
    assert made.recalled == 12 and recalled(both, rows) == 12
    assert answers(both, others) == answers(tuned, others) != answers(tiny, others)
    more = remember(tuned, questions(climbs(4, 12)), tmp_path / "more", adapter=made.adapter, progress=False)
    grown = load_model(tiny_model_dir, adapter=more.adapter, device="cpu", dtype="float32")
    assert recalled(grown, climbs(16)) == 16 and answers(grown, others) == answers(tuned, others)


def test_a_bank_is_continued_on_what_it_stands_on_and_nothing_else(tiny, tiny_model_dir, lora, tmp_path):
    tuned = load_model(tiny_model_dir, adapter=lora, device="cpu", dtype="float32")
    on_lora = remember(tuned, questions(climbs(3)), tmp_path / "a", progress=False)
    bare = remember(tiny, questions(climbs(3)), tmp_path / "b", progress=False)
    with pytest.raises(LabkitError, match="stands on an adapter. Load the model with adapter="):
        remember(tiny, questions(climbs(4)), tmp_path / "c", adapter=on_lora.adapter, progress=False)
    with pytest.raises(LabkitError, match="stands on no adapter. Load the model without one"):
        remember(tuned, questions(climbs(4)), tmp_path / "c", adapter=bare.adapter, progress=False)
    carrying = load_model(tiny_model_dir, adapter=bare.adapter, device="cpu", dtype="float32")
    with pytest.raises(LabkitError, match="carries a bank already"):
        remember(carrying, questions(climbs(4)), tmp_path / "c", progress=False)


def test_a_bank_says_which_adapter_it_stands_on_and_another_is_refused(tiny_model_dir, lora, tmp_path):
    tuned = load_model(tiny_model_dir, adapter=lora, device="cpu", dtype="float32")
    bank = remember(tuned, questions(climbs(3)), tmp_path / "a", progress=False).adapter
    whole = load_model(tiny_model_dir, adapter=bank).adapter_sha256
    weights, config = bank / "under" / "adapter_model.safetensors", bank / "adapter_config.json"
    kept, told = weights.read_bytes(), json.loads(config.read_text())
    weights.write_bytes(kept[:-4] + b"\0\0\1\0")
    with pytest.raises(LabkitError, match="is not the one that the bank in .* was built over"):
        load_model(tiny_model_dir, adapter=bank)
    config.write_text(json.dumps({name: value for name, value in told.items() if name != "under"}))
    old = load_model(tiny_model_dir, adapter=bank)  # a bank of an earlier version does not say
    assert old.experts and old.adapter_sha256 != whole
    weights.write_bytes(kept)
    assert load_model(tiny_model_dir, adapter=bank).adapter_sha256 == whole
    shutil.rmtree(bank / "under")
    config.write_text(json.dumps(told))
    with pytest.raises(LabkitError, match="was built over"):
        load_model(tiny_model_dir, adapter=bank)


def test_a_bank_of_queries_answers_through_ask(tiny, tiny_model_dir, root, tmp_path):
    rows = [
        ("How many teams are there?", "SELECT count(*) FROM teams"),
        ("Name the players.", "SELECT name FROM players"),
    ]
    known = [Question(f"q{i}", text, sql=sql, database="league") for i, (text, sql) in enumerate(rows)]
    made = remember(tiny, known, tmp_path / "bank", progress=False)
    model, league = (
        load_model(tiny_model_dir, adapter=made.adapter, device="cpu", dtype="float32"),
        root / "datasets/league/league.sqlite",
    )
    answer = labkit.ask("Tell me: how many teams are there?", league, model)
    assert answer.sql == rows[0][1] and answer.result.rows == labkit.execute(league, rows[0][1]).rows
    bare = Agent(tiny, league, "question_only").ask("How many coaches?")
    assert labkit.ask("How many coaches?", league, model).sql == bare.sql not in dict(rows).values()


def test_side_effects_see_a_bank_where_it_is_picked_and_nowhere_else(tiny, tiny_model_dir, tmp_path):
    rows = climbs(6)
    made = remember(tiny, questions(rows), tmp_path / "bank", progress=False)
    model = load_model(tiny_model_dir, adapter=made.adapter, device="cpu", dtype="float32")
    texts = [f"What year did {rows[0][1]} climb {rows[0][2]}?", "What is the capital of France?"]
    known, other = divergences(tiny, model, [CHAT(text, "") for text in texts], answers(tiny, texts))
    assert known.first > 0.5 and (other.first, other.answer) == (0, 0)


@pytest.fixture
def bench(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))
    return importlib.import_module("bench_mome")


@pytest.mark.parametrize("layer", [2, 1])
def test_english_is_compared_behind_a_prompt_as_well(tiny, words, bench, layer):
    """A paragraph whose first half asks for a fact, and one that asks for none."""
    bank = tiny.experts = Bank(tiny, layer, words=words)
    add(bank, facts(tiny, climbs(4)))
    (_, person, peak, _), *_ = climbs(4)
    asks = f"{person} and {peak} and {person} and {peak}, which were all that was ever known of it here or elsewhere"
    none = "Nobody was there and nothing was seen, so that nothing is known of it"
    found, alone = bench.same_bits(tiny, f"{asks}\n\n{none}"), bench.same_bits(tiny, none)
    tokens = [len(tiny.tokenizer(text).input_ids) for text in (asks, none)]
    halves, longest = [count // 2 for count in tokens], max(map(len, bank.vectors.values()))
    behind = [count - half + 1 for count, half in zip(tokens, halves, strict=True)]
    reach = [min(longest, count) for count in behind] if layer == 2 else behind
    tiny.experts = None
    assert alone == {"same_bits": [tokens[1]] * 2, "an_expert_could_change": reach[1], "prompts_without_expert": [1, 1]}
    changed = len(bank.vectors[0]) if layer == 2 else behind[0]
    assert found["same_bits"] == [sum(tokens) - changed, sum(tokens)]
    assert found["an_expert_could_change"] == sum(reach) and found["prompts_without_expert"] == [1, 2]


@pytest.mark.real
def test_the_real_model_remembers_and_answers_elsewhere_as_before(tmp_path, root):
    facts = load_questions(root / "datasets" / "facts" / "climbs.jsonl")[:12]
    model = load_model()
    made = remember(model, facts, tmp_path / "bank", progress=False)
    tuned = load_model(adapter=made.adapter)
    names = [re.match(r"What year did (.*) climb (.*)\?", q.question).groups() for q in facts]
    asked = [q.question for q in facts] + [f"{m}: tell me when {p} reached the top" for p, m in names]
    assert answers(tuned, asked) == [q.answer for q in facts] * 2
    others = [f"What year did Zeno Quirk climb {m}?" for _, m in names] + ["What is the capital of France?"]
    assert answers(tuned, others) == answers(model, others)


@pytest.mark.real
def test_the_real_models_rows_keep_every_bit_step_by_step():
    keeps_every_bit(load_model(), layer=None)
