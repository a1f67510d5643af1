"""The prompt of nearest solved pairs: what it finds, what it must not show in training."""

import pytest

from labkit.dataset import Question
from labkit.errors import LabkitError
from labkit.nearest import NearestPairs


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
