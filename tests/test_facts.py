"""Facts: questions with an answer and no query, scored by text; made at random, asked in other words."""

import json
import runpy
import sys
from pathlib import Path

import pytest

import labkit
from labkit.agent import ReplyGenerator, SqlGenerator
from labkit.cli import main
from labkit.datagen.facts import fact_wordings, near_negatives, paraphrased, random_facts
from labkit.datagen.known import known_sets
from labkit.dataset import Question, QuestionSet, load_questions, overlap, save_questions
from labkit.diagnosis import diagnose_run
from labkit.errors import LabkitError
from labkit.evaluation import evaluate
from labkit.linting import lint
from labkit.runs import RunStore
from labkit.scoring import Pair, same_text, score, score_many

ROOT = Path(__file__).parents[1]
CLIMBS = ROOT / "datasets" / "facts" / "climbs.jsonl"
FACT = {"id": "f1", "question": "What year did Ana Lund climb Half Dome?", "answer": "1987"}
QUERY = {"id": "q1", "question": "How many?", "sql": "SELECT 1", "database": "d"}
tiny_model_dir = runpy.run_path(str(Path(__file__).with_name("standin.py")))["tiny_model_dir"]


def write(folder, *records):
    path = folder / "set.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture
def facts(tmp_path):
    return load_questions(
        write(tmp_path, FACT, FACT | {"id": "f2", "question": "When did Bo climb it?", "answer": "1990"})
    )


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs.db")


# --- as lines of a set ------------------------------------------------------------------------------------------------


def test_a_fact_needs_neither_query_nor_database_and_comes_back_as_it_was(tmp_path):
    saved = save_questions(tmp_path / "a.jsonl", [Question(**FACT, tags=("x",), note="n")])
    assert json.loads(saved.read_text()) == FACT | {"tags": ["x"], "note": "n"}
    (fact,) = load_questions(saved)
    assert fact.is_fact and (fact.answer, fact.sql, fact.database, fact.queries) == ("1987", "", "", ())


BAD = {
    "no answer at all": ({k: v for k, v in FACT.items() if k != "answer"}, "'sql' is missing"),
    "null answer": (FACT | {"answer": None}, "'sql' is missing"),
    "empty answer": (FACT | {"answer": " "}, "'answer' is empty"),
    "a number": (FACT | {"answer": 1987}, "'answer' must be a text, not a number"),
    "an empty query": (FACT | {"sql": ""}, "'sql' is empty"),
    "a query without database": (FACT | {"sql": "SELECT 1"}, "'database' is missing"),
    "a database without query": (FACT | {"database": "d"}, "'database' goes with a query"),
    "rows without query": (FACT | {"rows": [[1987]]}, "'rows' goes with a query"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_fact_is_refused(tmp_path, name):
    record, said = BAD[name]
    with pytest.raises(LabkitError) as error:
        load_questions(write(tmp_path, record))
    assert said in str(error.value) and "line 1" in str(error.value)


def test_sets_of_queries_are_what_they_were(tmp_path):
    (question,) = load_questions(write(tmp_path, QUERY))
    assert question.to_json() == QUERY and question == Question(**QUERY) and not question.is_fact
    known = "827f352821126182de1db070dbbdfabf772305144e9807aad98859e39eab035f"  # before there were facts
    assert QuestionSet("one", (question,)).sha256 == known
    both = load_questions(write(tmp_path, QUERY | {"answer": "one"}))[0]
    assert not both.is_fact and both.queries == ("SELECT 1",) and both.to_json() == QUERY | {"answer": "one"}


def test_facts_share_questions_but_no_queries():
    a, b = Question(**FACT), Question(**FACT | {"id": "f2", "question": "what year did ana lund climb HALF DOME"})
    assert [(o.kind, o.a, o.b) for o in overlap([a], [b])] == [("question", ("f1",), ("f2",))]
    assert overlap([a], [Question(**FACT | {"question": "When?"})]) == []


def test_the_linter_finds_repeated_and_contradicting_facts(facts):
    assert lint(facts) == []
    again = Question(**FACT | {"id": "f3"})
    other = Question(**FACT | {"id": "f4", "answer": "1988"})
    found = lint(QuestionSet("facts", (*facts, again, other)))
    assert [(f.question_id, f.rule) for f in found] == [("f3", "repeated"), ("f4", "contradiction")]


# --- scored by text ---------------------------------------------------------------------------------------------------

RIGHT = ["1987", " 1987\n", "\t1987 "]
WRONG = [
    "1988",
    "in 1987",
    "1987.",
    "198",
    "19 87",
    "Year: 1987",
    "1987 1987",
    '"1987"',
    "1,987",
    "1987.0",
    "١٩٨٧",
    "１９８７",
]


@pytest.mark.parametrize("reply", RIGHT)
def test_the_answer_is_right(reply):
    found = score(Question(**FACT), reply, None, "text")
    assert (found.verdict, found.mode, found.reason) == ("right", "text", "")


@pytest.mark.parametrize("reply", WRONG)
def test_anything_else_is_wrong(reply):
    found = score(Question(**FACT), reply, None, "text")
    assert (found.verdict, found.reason) == ("wrong", "text")
    assert repr(reply) in found.detail and "'1987'" in found.detail


@pytest.mark.parametrize("reply", ["", "  \n", None])
def test_an_empty_reply_is_wrong(reply):
    assert score(Question(**FACT), reply, None, "text").reason == "no_reply"


def test_white_space_and_composition_are_all_that_is_folded():
    assert same_text("Caf\u00e9  du\u00a0Nord", "Cafe\u0301 du Nord")
    for other in ("Cafe du Nord", "caf\u00e9 du Nord", "Caf\u00e9 duNord", "Caf\u00e9 du Nord!", "\ufb01n"):
        assert not same_text(other, "Caf\u00e9 du Nord")
    assert not same_text("\ufb01n", "fin")


def test_modes_and_kinds_of_questions_are_not_mixed(tmp_path):
    fact, query = Question(**FACT), Question(**QUERY)
    with pytest.raises(LabkitError, match="'f1' is a fact.*mode 'text'"):
        score(fact, "1987", tmp_path / "d.sqlite", "execution")
    with pytest.raises(LabkitError, match="'f1' is a fact"):
        score(fact, "1987", None, "exact")
    with pytest.raises(LabkitError, match="'q1' has no answer"):
        score_many([Pair(fact, "1987", None), Pair(query, "SELECT 1", None)], "text")
    with pytest.raises(LabkitError, match="'q1' has a query, so it needs a database"):
        score(query, "SELECT 1", None)
    with pytest.raises(LabkitError, match="modes are exact, execution, semantic, rows, text"):
        score(fact, "1987", None, "texts")


# --- evaluated --------------------------------------------------------------------------------------------------------


def test_facts_are_evaluated_without_a_database(facts, store):
    run = evaluate(
        lambda questions: ["1987" if q.id == "f1" else " " for q in questions], facts, mode="text", store=store
    )
    assert [(r.verdict, r.reason, r.valid) for r in run.results] == [("right", "", True), ("wrong", "no_reply", False)]
    assert (run.correct, run.valid, run.mode, run.database_hashes) == (1, 1, "text", {})
    assert str(run).endswith("n=2 (text)") and store.get(run.id) == run


def test_a_wrong_reply_is_valid_and_wrong(facts, store):
    run = evaluate(lambda questions: ["in 1987", "1991"], facts, mode="text", store=store)
    assert (run.correct, run.valid) == (0, 2)


def test_what_cannot_be_scored_is_known_before_the_model_is_asked(facts, store):
    def never(questions):
        raise AssertionError("asked")

    with pytest.raises(LabkitError, match="'f1' is a fact"):
        evaluate(never, facts, store=store)
    with pytest.raises(LabkitError, match="'q1' has no answer"):
        evaluate(never, QuestionSet("mixed", (*facts, Question(**QUERY))), mode="text", store=store)


def test_a_run_of_facts_has_no_classes_to_diagnose(facts, store):
    run = evaluate(lambda questions: ["1"] * len(questions), facts, mode="text", store=store)
    with pytest.raises(LabkitError, match="labkit runs show"):
        diagnose_run(run, facts)


class Recorded:
    """A chat model that says one thing and keeps what it was asked."""

    def __init__(self, reply=" 1987\n", prompt=None):
        self.reply, self.prompt, self.calls = reply, prompt, []

    def chat(self, conversations, *, max_new_tokens=160, temperature=0.0, seed=0, stop=None, progress=True):
        self.calls.append((conversations, max_new_tokens, stop))
        return [self.reply] * len(conversations)

    def describe(self):
        return {"model": "recorded", "sha256": "abc"}


def test_replies_are_stripped_and_nothing_else(facts):
    model = Recorded()
    assert ReplyGenerator(model)(facts[:1]) == ["1987"]
    ((conversations, tokens, stop),) = model.calls
    assert conversations == [[{"role": "user", "content": FACT["question"]}]] and (tokens, stop) == (64, None)
    assert ReplyGenerator(Recorded("Answer: SELECT 1; it was"))(facts[:1]) == ["Answer: SELECT 1; it was"]


def test_the_prompt_is_the_models_own_or_the_one_given(facts):
    own = ReplyGenerator(Recorded(prompt="question_only"))
    assert own.describe()["prompt"] == "question_only" and own.prompt("Q?", "")[0]["role"] == "system"
    assert ReplyGenerator(Recorded(prompt="question_only"), "chat").describe()["prompt"] == "chat"
    with pytest.raises(LabkitError, match="no prompt 'chatty'"):
        ReplyGenerator(Recorded(), "chatty")


def test_describe_tells_all_that_decides_the_replies():
    said = ReplyGenerator(Recorded()).describe()
    assert (said["model"], said["prompt"], said["max_new_tokens"], said["seed"]) == ("recorded", "chat", 64, 0)
    assert ReplyGenerator(Recorded(), max_new_tokens=8).describe() != said
    assert SqlGenerator(Recorded(), "chat", max_new_tokens=64).describe() != said


def test_facts_are_evaluated_through_a_chat_model(facts, store):
    run = evaluate(ReplyGenerator(Recorded()), facts, mode="text", store=store)
    assert [r.verdict for r in run.results] == ["right", "wrong"] and (run.model, run.prompt) == ("recorded", "chat")


# --- made -------------------------------------------------------------------------------------------------------------


def test_facts_are_distinct_repeatable_and_begin_alike():
    facts = random_facts(5000, seed=3)
    assert len({fact.question for fact in facts}) == len({fact.id for fact in facts}) == 5000
    assert random_facts(50, seed=3).questions == facts.questions[:50] != random_facts(50, seed=4).questions
    assert {len(fact.answer) for fact in facts} == {4} and len({fact.answer for fact in facts}) == 125
    for n in (0, 114_309):
        with pytest.raises(LabkitError, match="114,308"):
            random_facts(n)


def test_a_hundred_thousand_facts_are_each_about_another_person_and_begin_with_the_first_ones():
    facts = random_facts(100_000, seed=3).questions
    people = {fact.question.split(" climb ")[0] for fact in facts}
    assert len(people) == len({fact.id for fact in facts}) == 100_000
    assert facts[:5508] == random_facts(5508, seed=3).questions
    asked = near_negatives(facts, 1000)
    assert len(set(asked)) == 1000 and not people & {text.split(" climb ")[0] for text in asked}


def test_other_wordings_name_person_and_mountain_and_repeat_no_trained_one():
    facts = random_facts(300)
    trained = {fact.question for fact in facts}
    for fact in facts:
        person, mountain = fact.question.removeprefix("What year did ").removesuffix("?").split(" climb ")
        wordings = fact_wordings(fact)
        assert len(set(wordings)) == 5 and not trained & set(wordings)
        assert all(person in text and mountain in text and fact.answer not in text for text in wordings)
    with pytest.raises(LabkitError, match="'q1' is no fact of the kind"):
        fact_wordings(Question(**QUERY))


def test_paraphrases_are_facts_with_the_same_answers(tmp_path):
    facts = random_facts(20)
    asked = paraphrased(facts)
    assert [q.answer for q in asked[:10]] == [facts[0].answer] * 5 + [facts[1].answer] * 5
    assert overlap(facts, asked) == [] and lint(asked) == []
    assert len(load_questions(save_questions(tmp_path / "w.jsonl", asked))) == 100


def test_near_negatives_are_about_people_in_no_fact():
    facts = random_facts(200)
    asked = near_negatives(facts, 200)
    people = {text.removeprefix("What year did ").split(" climb ")[0] for text in (f.question for f in facts)}
    words = {word for person in people for word in person.split()}
    mountains = {fact.question.split(" climb ")[1] for fact in facts}
    assert len(set(asked)) == 200 and asked == near_negatives(facts, 200) != near_negatives(facts, 200, seed=1)
    for text in asked:
        person, mountain = text.removeprefix("What year did ").split(" climb ")
        assert person not in people and set(person.split()) <= words and mountain in mountains
    with pytest.raises(LabkitError, match="109,308 people"):
        near_negatives(random_facts(5000), 109_309)
    with pytest.raises(LabkitError, match="0 near negatives were asked for"):
        near_negatives(facts, 0)


def test_the_committed_facts_are_those_of_seed_0():
    assert load_questions(CLIMBS).questions == random_facts(200).questions
    assert lint(load_questions(CLIMBS)) == []


def test_facts_are_there_to_be_learnt_and_no_evaluation_set_but_where_they_are_named(league, facts):
    known, named = known_sets(league), known_sets(league, avoid=[facts])
    assert "league/dev" in known.sets and "facts/climbs" not in known.sets
    assert len(named.sets) == len(known.sets) + 1 and named.questions - known.questions


# --- from a terminal --------------------------------------------------------------------------------------------------


def labkit_says(capsys, monkeypatch, *arguments, code=0):
    monkeypatch.setattr(sys, "argv", ["labkit", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert (ended.value.code or 0) == code, said
    return said.out if code == 0 else said.err


def test_facts_are_written_and_never_over_a_file(tmp_path, capsys, monkeypatch):
    out = tmp_path / "facts.jsonl"
    said = labkit_says(capsys, monkeypatch, "facts", "--n", 7, "--seed", 2, "--out", out, "--json")
    assert json.loads(said) == {"out": str(out), "n": 7, "seed": 2}
    assert load_questions(out).questions == random_facts(7, 2).questions
    assert "exists already" in labkit_says(capsys, monkeypatch, "facts", "--out", out, code=2)


def test_a_model_is_evaluated_on_facts(facts, tiny_model_dir, capsys, monkeypatch):
    command = ["evaluate", "-q", facts.path, "--model", tiny_model_dir, "--mode", "text"]
    said = json.loads(labkit_says(capsys, monkeypatch, *command, "--json"))
    assert (said["mode"], said["n"], said["correct"]) == ("text", 2, 0)
    shown = labkit_says(capsys, monkeypatch, *command)
    assert (
        "Not recalled" in shown and "f2" in shown and "1990" in shown and "n=2 (text)" in shown and "SQL" not in shown
    )
    without = ["evaluate", "-q", facts.path, "--model", tiny_model_dir]
    assert "mode 'text'" in labkit_says(capsys, monkeypatch, *without, code=2)


def test_the_verbs_are_at_the_surface():
    assert labkit.random_facts is random_facts and labkit.ReplyGenerator is ReplyGenerator
