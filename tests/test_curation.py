"""Promote, add, correct, mark: nothing twice, nothing lost, each change a version; the promoted may be trained on."""

import itertools
from dataclasses import replace

import pytest

from labkit import curation
from labkit.curation import add, correct, keep_answer, mark, promote, version, working_copy
from labkit.datagen.known import evaluation_sets
from labkit.dataset import Question, load_questions, save_questions
from labkit.errors import LabkitError
from labkit.tuning.sources import refuse_overlap

TEAMS, ARENAS = "SELECT COUNT(*) FROM teams", "SELECT COUNT(*) FROM arenas"
FIRST = Question("q1", "How many teams are there?", TEAMS, "league", tags=("easy",))
SECOND = Question("q2", "How many arenas are there?", ARENAS, "league", rows=((24,),))
THIRD = Question("q3", "Which teams are in the North?", "SELECT nickname FROM teams", "league", note="from a user")


@pytest.fixture
def evaluation(tmp_path):
    return save_questions(tmp_path / "sets" / "eval.jsonl", [FIRST, SECOND, THIRD])


@pytest.fixture
def training(tmp_path):
    return tmp_path / "training.jsonl"


def ids(path):
    return [q.id for q in load_questions(path)]


# --- promote


def test_promoting_retires_the_question(evaluation, training):
    change = promote("q2", evaluation, training)
    assert ids(evaluation) == ["q1", "q3"] and ids(training) == ids(curation.retired_path()) == ["q2"]
    assert ids(evaluation.parent / "versions" / "eval.v1.jsonl") == ["q1", "q2", "q3"]
    assert change.version == version(evaluation) == 2 and "counts as recall" in str(change)
    moved = load_questions(training)[0]
    assert (moved.sql, moved.rows) == (ARENAS, SECOND.rows) and "Retired from eval version 1 as q2" in moved.note
    assert curation.RETIRED in moved.tags


def test_promoting_again_changes_nothing(evaluation, training):
    promote("q2", evaluation, training)
    before = [evaluation.read_bytes(), training.read_bytes(), curation.retired_path().read_bytes()]
    assert "nothing was changed" in str(promote("q2", evaluation, training))
    assert before == [evaluation.read_bytes(), training.read_bytes(), curation.retired_path().read_bytes()]
    assert version(evaluation) == 2


def test_promoting_empties_other_sets_of_the_question(evaluation, training):
    other = save_questions(evaluation.parent / "own.jsonl", [Question("x", "Arenas, how many?", ARENAS, "league")])
    missing = evaluation.parent / "missing.jsonl"
    assert "left own.jsonl too" in str(promote("q2", evaluation, training, others=[other, missing]))
    assert not other.exists() and ids(other.parent / "versions" / "own.v1.jsonl") == ["x"] and not missing.exists()
    save_questions(other, [FIRST, replace(FIRST, id="y", question="Any?", sql="SELECT 9")])
    assert "left" not in str(promote("q3", evaluation, training, others=[other])) and ids(other) == ["q1", "y"]


def test_a_promoted_id_that_was_taken_is_found_again(evaluation, training):
    save_questions(training, [Question("q2", "Who coaches the Otters?", "SELECT 1", "league")])
    assert promote("q2", evaluation, training).question.id == "q2-2" and ids(training) == ["q2", "q2-2"]
    assert "nothing was changed" in str(promote("q2", evaluation, training))


def test_each_promotion_is_a_version(evaluation, training):
    promote("q2", evaluation, training)
    promote("q1", evaluation, training)
    folder = evaluation.parent / "versions"
    assert [ids(folder / f"eval.v{n}.jsonl") for n in (1, 2)] == [["q1", "q2", "q3"], ["q1", "q3"]]
    assert ids(evaluation) == ["q3"] and ids(training) == ["q2", "q1"] and version(evaluation) == 3


def test_the_last_question_stays(evaluation, training):
    for name in ("q1", "q2"):
        promote(name, evaluation, training)
    before = training.read_bytes()
    with pytest.raises(LabkitError, match="only question"):
        promote("q3", evaluation, training)
    with pytest.raises(LabkitError, match="only question"):
        mark("q3", evaluation)
    assert ids(evaluation) == ["q3"] and training.read_bytes() == before


def test_a_question_that_is_trained_with_another_query_is_not_promoted(evaluation, training):
    save_questions(training, [Question("t1", FIRST.question, ARENAS, "league")])
    with pytest.raises(LabkitError, match="another gold"):
        promote("q1", evaluation, training)
    assert ids(evaluation) == ["q1", "q2", "q3"] and ids(training) == ["t1"]


@pytest.mark.parametrize("verb", ["promote", "correct", "mark"])
def test_an_unknown_question_is_an_error(evaluation, training, league, verb):
    call = {
        "promote": lambda: promote("no", evaluation, training),
        "correct": lambda: correct("no", TEAMS, evaluation, league),
        "mark": lambda: mark("no", evaluation),
    }[verb]
    with pytest.raises(LabkitError, match="has no question 'no'"):
        call()
    assert version(evaluation) == 1 and not training.exists()


def crash_at(monkeypatch, number):
    """Of the writes from now on, the `number`-th fails."""
    count, writes = itertools.count(1), (curation.write_atomically, curation.save_questions)

    def failing(write):
        def run(*arguments):
            if next(count) == number:
                raise OSError("the disk is full")
            return write(*arguments)

        return run

    monkeypatch.setattr(curation, "write_atomically", failing(writes[0]))
    monkeypatch.setattr(curation, "save_questions", failing(writes[1]))


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_crash_while_promoting_loses_nothing_and_again_finishes(evaluation, training, monkeypatch, number):
    with monkeypatch.context() as patch:
        crash_at(patch, number)
        with pytest.raises(OSError, match="disk is full"):
            promote("q2", evaluation, training)
    assert ids(evaluation) == ["q1", "q2", "q3"]
    promote("q2", evaluation, training)
    assert ids(evaluation) == ["q1", "q3"] and ids(training) == ids(curation.retired_path()) == ["q2"]
    assert sorted(file.name for file in (evaluation.parent / "versions").iterdir()) == ["eval.v1.jsonl"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_crash_while_marking_loses_nothing_and_again_finishes(evaluation, monkeypatch, number):
    with monkeypatch.context() as patch:
        crash_at(patch, number)
        with pytest.raises(OSError, match="disk is full"):
            mark("q2", evaluation)
    assert ids(evaluation) == ["q1", "q2", "q3"]
    mark("q2", evaluation)
    aside = evaluation.parent / "versions" / "eval.aside.jsonl"
    assert ids(evaluation) == ["q1", "q3"] and ids(aside) == ["q2"]


def test_what_was_promoted_may_be_trained_on_and_the_rest_not(evaluation, training):
    with pytest.raises(LabkitError, match="also in an evaluation set"):
        refuse_overlap([SECOND], [], [evaluation], None)
    promote("q2", evaluation, training)
    old = evaluation.parent / "versions" / "eval.v1.jsonl"
    assert ids(old) == ["q1", "q2", "q3"]
    assert [q.id for s in evaluation_sets(avoid=[old]).values() for q in s] == ["q1", "q3"]
    refuse_overlap(load_questions(training), [], [evaluation, old, curation.retired_path()], None)
    with pytest.raises(LabkitError, match="also in an evaluation set"):
        refuse_overlap([FIRST], [], [evaluation], None)


# --- add, correct, mark


def test_adding_makes_a_set_and_versions(tmp_path):
    path = tmp_path / "new.jsonl"
    assert add(FIRST, path).version == 1 and add(SECOND, path).version == 2
    assert ids(path) == ["q1", "q2"] and ids(tmp_path / "versions" / "new.v1.jsonl") == ["q1"]


def test_adding_twice_changes_nothing(evaluation):
    again = Question("other", "how many TEAMS are there", TEAMS, "league")
    assert add(again, evaluation).question == FIRST and ids(evaluation) == ["q1", "q2", "q3"]
    assert version(evaluation) == 1


def test_adding_tells_what_cannot_be(evaluation):
    with pytest.raises(LabkitError, match="another gold"):
        add(Question("x", FIRST.question, ARENAS, "league"), evaluation)
    trained = [Question("t", "Number of coaches?", "select count( coach ) from teams", "league")]
    other = save_questions(evaluation.parent / "trained.jsonl", trained)
    with pytest.raises(LabkitError, match="query of 'x' is also in trained"):
        add(Question("x", "Any?", "SELECT COUNT(coach) FROM teams", "league"), evaluation, [load_questions(other)])
    assert version(evaluation) == 1


def test_an_id_that_is_taken_gets_a_number(evaluation):
    assert add(Question("q1", "Any?", "SELECT 2", "league"), evaluation).question.id == "q1-2"
    assert add(Question("q1", "Some?", "SELECT 3", "league"), evaluation).question.id == "q1-3"


def test_the_same_question_on_another_database_is_another_question(evaluation):
    assert add(Question("c1", FIRST.question, "SELECT 5", "clinic"), evaluation).version == 2


def test_correcting_keeps_the_old_gold_in_the_note_and_drops_the_old_rows(evaluation, league):
    change = correct("q2", "SELECT COUNT(name) FROM arenas", evaluation, league)
    better = load_questions(evaluation)[1]
    assert better.sql == "SELECT COUNT(name) FROM arenas" and ARENAS in better.note and better.rows is None
    assert ids(evaluation) == ["q1", "q2", "q3"] and change.version == 2
    assert "already" in str(correct("q2", better.sql, evaluation, league)) and version(evaluation) == 2


@pytest.mark.parametrize("sql", ["SELECT wage FROM players", "DELETE FROM teams", "", "SELECT 1; SELECT 2"])
def test_a_gold_that_does_not_run_is_refused(evaluation, league, sql):
    with pytest.raises(LabkitError, match="no answer"):
        correct("q1", sql, evaluation, league)
    assert load_questions(evaluation)[0] == FIRST and version(evaluation) == 1


def test_marking_sets_a_question_aside(evaluation):
    mark("q3", evaluation, "All teams, not those in the North.")
    aside = load_questions(evaluation.parent / "versions" / "eval.aside.jsonl")
    assert ids(evaluation) == ["q1", "q2"] and [q.id for q in aside] == ["q3"]
    assert aside[0].note == "from a user Gold marked as wrong. All teams, not those in the North."
    assert curation.WRONG in aside[0].tags
    assert "nothing was changed" in str(mark("q3", evaluation)) and version(evaluation) == 2


BETTER = "SELECT nickname FROM teams WHERE conference = 'North'"


def aside_of(evaluation):
    return evaluation.parent / "versions" / "eval.aside.jsonl"


def test_a_right_gold_brings_back_what_was_marked(evaluation, league):
    mark("q1", evaluation)
    told = str(mark("q3", evaluation))
    assert "waits in eval.aside.jsonl until its gold is corrected" in told
    change = correct("q3", BETTER, evaluation, league)
    assert str(change) == "q3 is back, with its right gold, in eval.jsonl, version 4."
    assert ids(evaluation) == ["q2", "q3"] and ids(aside_of(evaluation)) == ["q1"] and version(evaluation) == 4
    assert ids(evaluation.parent / "versions" / "eval.v3.jsonl") == ["q2"]
    back = load_questions(evaluation)[1]
    assert back.sql == BETTER and curation.WRONG not in back.tags
    assert "Gold marked as wrong." in back.note and "it was: SELECT nickname FROM teams" in back.note
    mark("q3", evaluation)  # and again, should this one be wrong too
    assert ids(evaluation) == ["q2"] and ids(aside_of(evaluation)) == ["q1", "q3"]


def test_a_question_that_was_marked_by_mistake_comes_back_with_its_gold(evaluation, league):
    mark("q1", evaluation)
    correct("q1", TEAMS, evaluation, league)
    assert ids(evaluation) == ["q2", "q3", "q1"] and not aside_of(evaluation).exists()
    assert "it was" not in load_questions(evaluation)[2].note


def test_what_waits_stays_where_the_new_gold_is_no_answer(evaluation, training, league):
    mark("q3", evaluation)
    with pytest.raises(LabkitError, match="no answer"):
        correct("q3", "SELECT wage FROM players", evaluation, league)
    with pytest.raises(LabkitError, match="no question 'q3'. It waits in eval.aside.jsonl until its gold is corrected"):
        promote("q3", evaluation, training)
    assert ids(evaluation) == ["q1", "q2"] and ids(aside_of(evaluation)) == ["q3"] and version(evaluation) == 2


def test_an_id_that_was_given_anew_loses_nobody(evaluation, league):
    mark("q3", evaluation)
    add(Question("q3", "How many players are there?", "SELECT COUNT(*) FROM players", "league"), evaluation)
    correct("q3", "SELECT COUNT(player_id) FROM players", evaluation, league)
    assert ids(evaluation) == ["q1", "q2", "q3"] and load_questions(aside_of(evaluation))[0].question == THIRD.question


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_crash_while_bringing_back_loses_nothing_and_again_finishes(evaluation, league, monkeypatch, number):
    mark("q1", evaluation)
    mark("q3", evaluation)
    with monkeypatch.context() as patch:
        crash_at(patch, number)
        with pytest.raises(OSError, match="disk is full"):
            correct("q3", BETTER, evaluation, league)
    assert "q3" in ids(aside_of(evaluation))
    correct("q3", BETTER, evaluation, league)
    assert ids(evaluation) == ["q2", "q3"] and ids(aside_of(evaluation)) == ["q1"] and version(evaluation) == 4


# --- the playground's answers, copies


def test_answers_are_kept_by_what_a_person_said(tmp_path):
    asked = Question("ask-1", "How many teams?", TEAMS, "league")
    keep_answer(tmp_path, asked, right=True)
    keep_answer(tmp_path, asked, right=True)
    keep_answer(tmp_path, Question("ask-2", "How many arenas?", TEAMS, "league"), right=False)
    keep_answer(tmp_path, Question("ask-3", "Arenas, how many?", TEAMS, "league"), right=False, gold=ARENAS)
    right, corrected = load_questions(tmp_path / "playground.jsonl")
    assert (right.sql, right.tags) == (TEAMS, ("playground", "answered-right"))
    assert corrected.sql == ARENAS and TEAMS in corrected.note and "answered-wrong" in corrected.tags
    (waiting,) = load_questions(tmp_path / "needs_gold.jsonl")
    assert waiting.id == "ask-2" and curation.NEEDS_GOLD in waiting.tags


def test_an_answer_that_is_trained_on_measures_nothing(tmp_path):
    trained = load_questions(save_questions(tmp_path / "similar.jsonl", [replace(FIRST, id="gen-1-1")]))
    for asked, right, gold in (
        (Question("a", "how many teams are there", "SELECT 24", "league"), True, ""),
        (Question("b", "Teams?", TEAMS, "league"), True, ""),
        (Question("c", "Teams?", ARENAS, "league"), False, TEAMS),
    ):
        with pytest.raises(LabkitError, match="is also in similar"):
            keep_answer(tmp_path, asked, right, gold, [trained])
    assert not (tmp_path / "playground.jsonl").exists()


def test_a_working_copy_is_made_once(evaluation, tmp_path):
    copy = working_copy(load_questions(evaluation), tmp_path / "mine" / "eval.jsonl")
    mark("q1", copy.path)
    assert [q.id for q in working_copy(load_questions(evaluation), copy.path)] == ["q2", "q3"]
    assert ids(evaluation) == ["q1", "q2", "q3"]


def test_a_working_copy_finds_its_database(root, tmp_path):
    questions = load_questions(root / "datasets" / "league" / "start.jsonl")
    copy = working_copy(questions, tmp_path / "start.jsonl")
    assert copy.database_path(copy[0]).name == "league.sqlite" and copy.sha256 == questions.sha256
