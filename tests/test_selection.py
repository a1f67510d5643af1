"""Which expert is picked when facts come one by one, in batches, from a folder: as if they had come at once."""

import runpy
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from labkit.agent import as_prompt
from labkit.datagen.facts import near_negatives, paraphrased, random_facts
from labkit.decoding import prompt_tokens
from labkit.models import load_model
from labkit.tuning import mome
from labkit.tuning.bank import Bank
from labkit.tuning.mome_files import load_bank, save_bank
from labkit.tuning.selection import Words, number

tiny_model_dir = runpy.run_path(str(Path(__file__).parent / "standin.py"))["tiny_model_dir"]
CHAT = as_prompt("chat")


@pytest.fixture(scope="module")
def tiny(tiny_model_dir):
    return load_model(tiny_model_dir, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def words(tiny):
    return Words(tiny.tokenizer)


def asked(model, texts):
    return [tuple(prompt) for prompt in prompt_tokens(model, [CHAT(text, "") for text in texts])]


def know(bank, model, named, size=1):
    """Reserve experts for (name, question), so many at a time; what they hold is no matter here."""
    prompts = asked(model, [question for _, question in named])
    facts = [mome.Fact(name, (prompt,), ()) for (name, _), prompt in zip(named, prompts, strict=True)]
    for start in range(0, len(facts), size):
        mome.reserve(bank, facts[start : start + size])
    bank.vectors |= dict.fromkeys(bank.names.values(), model.network.get_output_embeddings().weight[:2].detach())
    return bank


def picked(bank, model, texts):
    names = {number: name for name, number in bank.names.items()}
    return [names.get(bank.pick(prompt)) for prompt in asked(model, texts)]


def climbs(count):
    return [(fact.id, fact.question) for fact in random_facts(count)]


@pytest.mark.parametrize("count", [12, 31, 32, 33, 75])
def test_facts_added_one_by_one_are_found_in_other_words(tiny, words, count):
    facts = list(random_facts(count))
    bank = know(Bank(tiny, words=words), tiny, climbs(count))
    assert picked(bank, tiny, [fact.question for fact in facts]) == [fact.id for fact in facts]
    reworded = list(paraphrased(facts))
    assert picked(bank, tiny, [q.question for q in reworded]) == [q.id.rpartition("-w")[0] for q in reworded]
    assert picked(bank, tiny, near_negatives(facts, 100)) == [None] * 100


@pytest.mark.parametrize("size", [1, 5, 12])
def test_few_facts_have_the_same_keys_however_they_came(tiny, words, size):
    at_once = know(Bank(tiny, words=words), tiny, climbs(12), 12).selection
    by_and_by = know(Bank(tiny, words=words), tiny, climbs(12), size).selection
    assert (by_and_by.keys, by_and_by.idle) == (at_once.keys, at_once.idle)


def test_other_kinds_of_facts_leave_each_its_own_words(tiny, words):
    """A few facts of one kind, many of another at once, then single ones of a third."""
    things = [(f"at-{x}", f"Where does {who} keep the {x}?") for who, x in (("Ada", "ladder"), ("Bo", "tent"))]
    capitals = [(f"of-{x}", f"Which city is the capital of {x}?") for x in ("Norway", "Peru", "Chad", "Laos")]
    bank = know(Bank(tiny, words=words), tiny, things)
    know(bank, tiny, climbs(60), 60)
    know(bank, tiny, capitals)
    everything = [*things, *climbs(60), *capitals]
    assert picked(bank, tiny, [question for _, question in everything]) == [name for name, _ in everything]
    reworded = list(paraphrased(random_facts(60)))
    assert picked(bank, tiny, [q.question for q in reworded]) == [q.id.rpartition("-w")[0] for q in reworded]
    assert picked(bank, tiny, ["Where does Zeno keep the ladder?", "Which city is the capital of Oz?"]) == [None] * 2


def test_the_same_people_in_two_kinds_of_facts_are_told_apart(tiny, words):
    """The word that tells a birth from a death is in all facts of its batch, and so weighs nothing."""
    people = [question.split()[3:5] for _, question in climbs(40)]
    born, died = ([(f"{a}-{w}", f"When was {a} {b} {w}?") for a, b in people] for w in ("born", "buried"))
    born, died = ([(f"{i}{name}", text) for i, (name, text) in enumerate(kind)] for kind in (born, died))
    bank = know(know(Bank(tiny, words=words), tiny, born, 40), tiny, died, 40)
    assert picked(bank, tiny, [text for _, text in born + died]) == [name for name, _ in born + died]


def test_keys_of_many_facts_are_settled_whatever_comes_after(tiny, words):
    bank = know(Bank(tiny, words=words), tiny, climbs(40), 40)
    before = dict(bank.selection.keys)
    know(bank, tiny, [(f"of-{x}", f"What year did Norway climb {x}?") for x in ("Peru", "Chad", "Laos")])
    know(bank, tiny, [(f"to-{x}", f"Which Ada climbed {x}?") for x in range(50)], 50)
    assert {expert: bank.selection.keys[expert] for expert in before} == before


def test_a_bank_grows_from_its_folder_as_it_would_without(tiny, words, tmp_path):
    whole = know(Bank(tiny, words=words), tiny, climbs(45))
    for count in (7, 40):  # with young facts; with settled and young ones
        loaded = load_bank(tiny, save_bank(tmp_path / str(count), know(Bank(tiny, words=words), tiny, climbs(count))))
        assert know(loaded, tiny, climbs(45)[count:]).selection.keys == whole.selection.keys
        assert (loaded.selection.weights, loaded.selection.loose) == (whole.selection.weights, whole.selection.loose)


def test_banks_of_few_facts_are_joined_as_if_they_were_one(tiny, words):
    whole = know(Bank(tiny, words=words), tiny, climbs(12), 12)
    first, second = (know(Bank(tiny, words=words), tiny, part, 6) for part in (climbs(12)[:6], climbs(12)[6:]))
    first.join(second)
    assert (first.selection.keys, first.names) == (whole.selection.keys, whole.names)


def test_a_bank_of_an_earlier_version_is_read_and_grows(tiny, words, tmp_path):
    folder = save_bank(tmp_path / "bank", know(Bank(tiny, words=words), tiny, climbs(40), 40))
    weights = folder / "adapter_model.safetensors"
    old = {n: t for n, t in load_file(weights).items() if n not in ("young", "idle", "idle_words", "idle_lengths")}
    save_file(old, weights)
    bank = know(load_bank(tiny, folder), tiny, climbs(50)[40:])
    assert picked(bank, tiny, [text for _, text in climbs(50)]) == [name for name, _ in climbs(50)]


@pytest.mark.parametrize("count", [6, 45])  # young ones alone; settled ones too
def test_what_is_forgotten_is_not_in_the_folder_any_more(tiny, words, tmp_path, count):
    secret = ("patient-7", "Which illness has Wilhelmina Zwyqx of Thurbrook?")
    kept = [("patient-8", "Which illness has Wilhelmina Norden of Peru?"), *climbs(count)]
    bank = know(know(Bank(tiny, words=words), tiny, kept), tiny, [secret])
    bank.forget([climbs(1)[0][0]])
    know(bank, tiny, climbs(1))
    with_it = b"".join(file.read_bytes() for file in save_bank(tmp_path / "with", bank).iterdir())
    bank.forget(["patient-7"])
    without = b"".join(file.read_bytes() for file in save_bank(tmp_path / "without", bank).iterdir())
    for word in ("zwyqx", "thurbrook"):
        for trace in (word.encode(), number(word).to_bytes(8, "little")):
            assert trace in with_it and trace not in without, word
    assert b"patient-7" not in without and b"wilhelmina" in without, "another fact has it"
    assert picked(bank, tiny, [text for _, text in [*kept, secret]]) == [*(name for name, _ in kept), None]


def test_a_name_that_all_of_many_facts_had_goes_with_the_last_of_them(tiny, words, tmp_path):
    """It weighs nothing, but it is a name."""
    many = [(f"of-{i}", f"What did Zwyqx say to {i}?") for i in range(40)]
    bank = know(know(Bank(tiny, words=words), tiny, many, 40), tiny, climbs(5))
    bank.forget([name for name, _ in many[1:]])
    loaded = load_bank(tiny, save_bank(tmp_path / "one", bank))
    for one in (bank, loaded):
        assert one.selection.knows(number("zwyqx")) and "zwyqx" in one.spelling.words
        one.forget([many[0][0]])
        folder = save_bank(tmp_path / "none", one)
        assert not any(b"zwyqx" in file.read_bytes() for file in folder.iterdir())
        assert not one.selection.knows(number("zwyqx"))


def test_forgetting_leaves_young_facts_the_keys_that_they_would_have_without(tiny, words):
    without = know(Bank(tiny, words=words), tiny, climbs(9))
    bank = know(Bank(tiny, words=words), tiny, climbs(12))
    bank.forget([name for name, _ in climbs(12)[9:]])
    assert bank.selection.keys == without.selection.keys and bank.spelling.words == without.spelling.words
    bank.forget([name for name, _ in climbs(9)])
    assert not (bank.selection.loose or bank.selection.weights or bank.spelling.words or bank.selection.seen)
