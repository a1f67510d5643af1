"""The agent: sentences that say no more than the rows, failures that say so, hostile SQL, generators for evaluation."""

import hashlib

import apsw
import pytest

import labkit
from labkit.agent import Agent, SqlGenerator, answer_sentence, ask
from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.execution import ExecutionResult
from labkit.runs import RunStore


class Recorded:
    """A chat model that answers with recorded replies, by the words of the question."""

    def __init__(self, reply="SELECT 1", **replies):
        self.reply, self.replies, self.calls = reply, replies, []

    def chat(self, conversations, *, max_new_tokens=160, temperature=0.0, seed=0, stop=None, progress=True):
        self.calls.append((conversations, temperature, seed, stop))
        return [self._one(messages[-1]["content"]) for messages in conversations]

    def _one(self, text):
        return next((reply for word, reply in self.replies.items() if word in text.split("Question:")[-1]), self.reply)

    def describe(self):
        return {"model": "recorded", "sha256": "abc", "adapter": None, "device": "none"}


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "league.sqlite"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE teams (name TEXT, city TEXT, titles INTEGER)")
    rows = [("Foxes", "Marlowe", 2), ("Owls", "Ironvale", 0), ("<b>Elks</b>", "Quillport", None)]
    connection.executemany("INSERT INTO teams VALUES (?, ?, ?)", rows)
    connection.close()
    return path


ANSWERS = {
    "SELECT count(*) FROM teams": "The answer is 3.",
    "SELECT 0.1 + 0.2": "The answer is 0.30000000000000004.",
    "SELECT titles FROM teams WHERE titles IS NULL": "The one row found holds no value (NULL).",
    "SELECT ''": "The answer is ''.",
    "SELECT name, titles FROM teams WHERE titles = 2": "name Foxes, titles 2.",
    "SELECT city FROM teams": "3 rows: Marlowe, Ironvale, Quillport.",
    "SELECT name, city FROM teams": "3 rows: name Foxes, city Marlowe; name Owls, city Ironvale; and 1 more.",
    "SELECT a.city FROM teams a, teams b": "9 rows: Marlowe, Marlowe, Marlowe, Ironvale, Ironvale; and 4 more.",
    "SELECT name FROM teams WHERE city = 'Nowhere'": "No rows match.",
    "SELECT 1 a, 2 b, 3 c, 4 d, 5 e, 6 f": "a 1, b 2, c 3, d 4, e 5, ....",
    "SELECT zeroblob(3)": "The answer is <blob of 3 bytes>.",
}


@pytest.mark.parametrize("sql", ANSWERS)
def test_sentence(database, sql):
    answer = Agent(Recorded(f"```sql\n{sql};\n```"), database).ask("What?")
    assert answer.sentence == ANSWERS[sql]
    assert (answer.sql, answer.question, answer.result.ok) == (sql, "What?", True)


FAILURES = {
    "SELECT nickname FROM teams": "failed: no such column: nickname",
    "SELECT * FROM clubs": "failed: no such table: clubs",
    "I cannot say.": "syntax error",
    "DELETE FROM teams": "was stopped (refused)",
    "SELECT 1; DROP TABLE teams": None,  # the first statement alone is taken
    "ATTACH 'x.db' AS x": "was stopped (refused)",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n": "was stopped (time)",
    "": "the model wrote no SQL",
    "```sql\n```": "the model wrote no SQL",
}


@pytest.mark.parametrize("reply", FAILURES)
def test_failures_say_so_and_change_nothing(database, reply):
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    answer = Agent(Recorded(reply), database).ask("What?")
    if FAILURES[reply]:
        assert answer.sentence.startswith("I have no answer: ") and FAILURES[reply] in answer.sentence
        assert not answer.result.ok
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before
    assert [path.name for path in database.parent.glob("*.db")] == []


def test_a_truncated_result_is_not_passed_off_as_whole(database):
    sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n"
    answer = Agent(Recorded(sql), database).ask("All?")
    assert (
        answer.sentence
        == "More than 10000 rows, cut at a limit (rows), so this is not all: 1, 2, 3, 4, 5; and 9995 more."
    )
    assert "there are more rows" in str(answer) and "there are more rows" in answer._repr_html_()
    one = ExecutionResult(columns=("n",), rows=((1,),), truncated=True, limit="bytes")
    assert "not all" in answer_sentence("SELECT n FROM t", one)


def test_text_and_html_show_sentence_sql_and_rows(database):
    answer = Agent(Recorded("SELECT name, titles FROM teams"), database).ask("Which?")
    assert str(answer).splitlines()[2:] == [
        "SELECT name, titles FROM teams",
        "",
        "name | titles",
        "Foxes | 2",
        "Owls | 0",
        "<b>Elks</b> | NULL",
    ]
    page = answer._repr_html_()
    assert "<pre>SELECT name, titles FROM teams</pre>" in page and "<td>Foxes</td><td>2</td>" in page
    assert "<b>Elks</b>" not in page and "&lt;b&gt;Elks&lt;/b&gt;" in page


def test_long_results_and_values_are_shortened_when_shown(database):
    fifty = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)"
    sql = f"{fifty} SELECT i, printf('%.500c', 'x') FROM n"
    answer = Agent(Recorded(sql), database).ask("All?")
    assert len(answer.result.rows) == 50 and "... and 30 more rows" in str(answer)
    assert max(len(line) for line in str(answer).splitlines()[4:]) < 100 and len(answer.sentence) < 400


def test_ask_takes_a_chat_model_and_is_the_packages_verb(database):
    assert ask("How many?", database, Recorded("SELECT count(*) FROM teams")).sentence == "The answer is 3."
    assert labkit.ask("How many?", str(database), Recorded("SELECT 7")).sentence == "The answer is 7."


def test_bad_questions_databases_and_models(database, tmp_path):
    agent = Agent(Recorded(), database)
    for question in ("", " \n", None):
        with pytest.raises(LabkitError, match="no question"):
            agent.ask(question)
    with pytest.raises(LabkitError):
        Agent(Recorded(), tmp_path / "missing.sqlite")
    (tmp_path / "text.sqlite").write_text("no database " * 500)
    with pytest.raises(LabkitError):
        Agent(Recorded(), tmp_path / "text.sqlite")
    with pytest.raises(LabkitError, match="no prompt 'fancy'"):
        Agent(Recorded(), database, prompt="fancy")
    mute = Recorded()
    for replies in ([], [None], ["SELECT 1", "SELECT 2"]):
        mute.chat = lambda conversations, replies=replies, **settings: replies
        with pytest.raises(LabkitError, match="no reply"):
            Agent(mute, database).ask("What?")


# --- the generator ----------------------------------------------------------------------------------------------------


def test_the_generator_asks_in_one_batch_with_schema_and_settings(database):
    model = Recorded("SELECT 1;")
    questions = [Question(str(i), f"Question {i}?", "SELECT 1", str(database)) for i in range(3)]
    assert SqlGenerator(model, temperature=0.5, seed=4)(questions) == ["SELECT 1"] * 3
    ((conversations, temperature, seed, stop),) = model.calls
    assert len(conversations) == 3 and (temperature, seed) == (0.5, 4)
    assert "teams(name TEXT" in conversations[2][-1]["content"] and "Question 2?" in conversations[2][-1]["content"]
    assert stop("SELECT 1;") and not stop("SELECT 1")


def test_the_schema_is_read_again_when_the_file_has_changed(database):
    model = Recorded()
    generator = SqlGenerator(model)
    question = Question("1", "What?", "SELECT 1", str(database))
    generator([question])
    connection = apsw.Connection(str(database))
    connection.execute("CREATE TABLE coaches (name TEXT)")
    connection.close()
    generator([question])
    texts = [conversations[0][-1]["content"] for conversations, *_ in model.calls]
    assert "coaches" not in texts[0] and "coaches" in texts[1]


def test_describe_tells_models_apart_and_prompts_and_settings():
    def shout(question, schema_text):
        return [{"role": "user", "content": f"{schema_text}\n{question}!"}]

    plain, other = SqlGenerator(Recorded()).describe(), SqlGenerator(Recorded(), shout).describe()
    assert (plain["model"], plain["sha256"], plain["prompt"], plain["seed"]) == ("recorded", "abc", "plain", 0)
    assert other["prompt"] == "shout" and other["prompt_hash"] != plain["prompt_hash"]
    assert SqlGenerator(Recorded(), temperature=1.0, seed=2).describe() == plain | {"temperature": 1.0, "seed": 2}


def test_evaluate_runs_an_agents_generator(database, tmp_path):
    questions = [
        Question("1", "How many teams?", "SELECT count(*) FROM teams", "league"),
        Question("2", "Which cities?", "SELECT city FROM teams", "league"),
    ]
    model = Recorded("no idea", many="```sql\nSELECT count(name) FROM teams;\n```\nThat's it.")
    store = RunStore(tmp_path / "runs.db")
    run = labkit.evaluate(SqlGenerator(model), QuestionSet("two", questions, db_dir=tmp_path), store=store)
    assert [(r.prediction, r.verdict) for r in run.results] == [
        ("SELECT count(name) FROM teams", "right"),
        ("no idea", "wrong"),
    ]
    assert (run.model, run.prompt, run.seed, run.valid) == ("recorded", "plain", 0, 1)


def test_a_chat_model_that_loses_an_answer_is_named(database, tmp_path):
    model = Recorded()
    model.chat = lambda conversations, **settings: ["SELECT 1"]
    questions = [Question(str(i), "What?", "SELECT 1", str(database)) for i in range(2)]
    with pytest.raises(LabkitError, match="1 texts for 2 questions"):
        labkit.evaluate(SqlGenerator(model), QuestionSet("two", questions), store=tmp_path / "runs.db")
