"""Self-consistency: the result with most votes wins; failing and empty ones have none; greedy breaks ties."""

import apsw
import pytest

from labkit.agent import SqlGenerator
from labkit.consistency import SelfConsistency
from labkit.dataset import Question
from labkit.errors import LabkitError

THREE = "SELECT count(*) FROM teams"
TWO = "SELECT count(*) FROM teams WHERE titles > 0"
FAILS, EMPTY = "SELECT nickname FROM teams", "SELECT name FROM teams WHERE titles > 9"


class Drawing:
    """A chat model with one greedy reply, and replies to draw in their order, over and over."""

    def __init__(self, greedy, *drawn):
        self.greedy, self.drawn, self.calls = greedy, drawn, []

    def chat(self, conversations, temperature=0.0, **settings):
        self.calls.append((len(conversations), temperature))
        if temperature == 0:
            return [self.greedy] * len(conversations)
        return [self.drawn[i % len(self.drawn)] for i in range(len(conversations))]

    def describe(self):
        return {"model": "drawing", "sha256": None}


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "league.sqlite"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE teams (name TEXT, titles INTEGER)")
    connection.executemany("INSERT INTO teams VALUES (?, ?)", [("Foxes", 2), ("Owls", 0), ("Elks", 1)])
    connection.close()
    return [Question(f"q{i}", f"How many teams, {i}?", THREE, str(path)) for i in range(2)]


@pytest.mark.parametrize(
    "greedy, drawn, elected",
    [
        (TWO, [THREE, THREE, "SELECT 7"], THREE),  # outvoted
        (TWO, [THREE, "SELECT 7", "SELECT 8"], TWO),  # one against one: the greedy answer
        (FAILS, [FAILS, FAILS, THREE], THREE),  # what fails has no vote
        (EMPTY, [EMPTY, EMPTY, THREE], THREE),  # nor what is empty, where anything else is to be had
        (EMPTY, [FAILS, FAILS, FAILS], EMPTY),
        (FAILS, [FAILS, "SELECT oops", "DELETE FROM teams"], FAILS),
        ("", ["", THREE, ""], THREE),
        (TWO, ["SELECT 3", THREE, "SELECT 1 + 2"], "SELECT 3"),  # results are compared, not texts
        (TWO, ["SELECT name, titles FROM teams", "SELECT titles, name FROM teams ORDER BY 2", TWO], TWO),
    ],
)
def test_the_result_with_most_votes_wins(questions, greedy, drawn, elected):
    voting = SelfConsistency(SqlGenerator(Drawing(greedy, *drawn)), samples=len(drawn))
    assert voting(questions) == [elected, elected]


def test_each_question_is_drawn_for_so_many_times(questions):
    model = Drawing(TWO, THREE)
    SelfConsistency(SqlGenerator(model), 5, 0.4)(questions)
    assert model.calls == [(2, 0.0), (10, 0.4)]


def test_two_databases_are_kept_apart(questions, tmp_path):
    other = tmp_path / "other.sqlite"
    apsw.Connection(str(other)).execute("CREATE TABLE teams (nickname TEXT)")
    both = [questions[0], Question("o", "Which nicknames?", FAILS, str(other))]
    assert SelfConsistency(SqlGenerator(Drawing(FAILS, FAILS, THREE)), 2)(both) == [THREE, THREE]


def test_what_it_says_of_itself(questions):
    plain = SqlGenerator(Drawing(TWO, TWO))
    said = SelfConsistency(plain, 4, 0.5).describe()
    assert said["samples"] == 4 and said["sampling_temperature"] == 0.5 and "self-consistency" in said["prompt"]
    assert len({str(d) for d in (plain.describe(), said, SelfConsistency(plain, 5, 0.5).describe())}) == 3
    for wrong, word in (({"samples": 0}, "one answer"), ({"samples": "2"}, "one answer"), ({"temperature": 0}, "same")):
        with pytest.raises(LabkitError, match=word):
            SelfConsistency(plain, **wrong)
