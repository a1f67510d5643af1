"""The prompt of nearest solved pairs: what it finds, what it must not show in training."""

import runpy
from pathlib import Path

import pytest

from labkit.dataset import Question
from labkit.errors import LabkitError
from labkit.nearest import NearestPairs

tiny_model_dir = runpy.run_path(str(Path(__file__).parent / "standin.py"))["tiny_model_dir"]


def pair(number: int, question: str, sql: str) -> Question:
    return Question(f"gen-{number:05d}-1", question, sql, "league")


PAIRS = [
    pair(1, "How many teams are there in Velden?", "SELECT COUNT(*) FROM teams WHERE city = 'Velden'"),
    pair(2, "How many teams does Ironvale have?", "SELECT COUNT(*) FROM teams WHERE city = 'Ironvale'"),
    pair(3, "What is the capacity of the arena in Velden?", "SELECT capacity FROM arenas WHERE city = 'Velden'"),
    pair(4, "Who coaches the Foxes?", "SELECT coach FROM teams WHERE nickname = 'Foxes'"),
    pair(5, "Count the teams of Velden.", "SELECT COUNT(*) FROM teams WHERE city = 'Velden'"),
]


def shown(messages: list[dict]) -> str:
    return messages[-1]["content"]


def test_the_nearest_pair_stands_last_and_no_skeleton_twice():
    text = shown(NearestPairs(PAIRS, k=2)("How many teams are there in Ironvale?"))
    blocks = text.split("\n\n")
    assert blocks[-1] == "How many teams are there in Ironvale?"
    assert "FROM teams WHERE city" in blocks[-2] and len(blocks) == 3
    assert text.count("SELECT COUNT(*) FROM teams WHERE city") == 1


def test_count_words_are_not_ignored():
    """'How many' against 'what is' decides which of two pairs on the same words is nearest."""
    assert "COUNT" in shown(NearestPairs(PAIRS, k=1)("how many in Velden"))
    assert "capacity" in shown(NearestPairs(PAIRS, k=1)("what is it in Velden"))


def test_in_training_a_pair_never_finds_itself_and_its_query_only_in_the_known_share():
    always, never = NearestPairs(PAIRS, k=3, known=1.0), NearestPairs(PAIRS, k=3, known=0.0)
    for one in PAIRS:
        for prompt in (always, never):
            *examples, asked = shown(prompt.for_training(one)).split("\n\n")
            assert asked == one.question and all(not e.startswith(one.question) for e in examples)
        assert one.sql not in shown(never.for_training(one))
    assert PAIRS[4].sql in shown(always.for_training(PAIRS[4]))  # in its other wording


def test_a_question_without_a_known_word_still_has_pairs():
    assert "SELECT" in shown(NearestPairs(PAIRS)("???"))


def test_what_it_shows_is_part_of_what_it_says_of_itself():
    assert NearestPairs(PAIRS).describe() != NearestPairs(PAIRS[:4]).describe()
    assert NearestPairs(PAIRS).describe()["prompt"] == "nearest_pairs"


def test_nothing_to_show_is_an_error():
    with pytest.raises(LabkitError, match="there are none to show"):
        NearestPairs([Question("f1", "When?", answer="1987")])


def test_an_adapter_tuned_with_it_brings_its_pairs(tiny_model_dir, tmp_path):
    """Half of the pairs are trained on, all of them may be shown; what is loaded asks as training did."""
    from labkit.models import load_model
    from labkit.tuning import tune

    model = load_model(tiny_model_dir, device="cpu", dtype="float32")
    settings = {"layers": 1, "rank": 4, "rate": 1e-3, "batch_size": 2, "progress": False}
    tuned = tune(model, PAIRS[:4], "instruction", tmp_path / "a", prompt="nearest_pairs", passes=0.5, **settings)
    assert (tuned.trained, tuned.of) == (4, 2)
    loaded = load_model(tiny_model_dir, adapter=tuned.adapter, device="cpu", dtype="float32")
    assert loaded.prompt.describe() == NearestPairs(PAIRS[:4]).describe()
    assert loaded.prompt("How many teams in Velden?") == NearestPairs(PAIRS[:4])("How many teams in Velden?")
    again = tune(model, PAIRS[4:], "instruction", tmp_path / "b", adapter=tuned.adapter, passes=1, batch_size=2)
    assert load_model(tiny_model_dir, adapter=again.adapter).prompt.describe()["of"] == 5
