"""What is excluded of a database: no query gets at it, however it is put, and no prompt shows it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

import labkit
from labkit import cli, cli_experts, cli_measuring, cli_tuning
from labkit.agent import SqlGenerator
from labkit.datagen.reading import read_world
from labkit.dataset import Question, QuestionSet, save_questions
from labkit.errors import LabkitError
from labkit.exclusion import excluding, in_force
from labkit.execution import Task, execute_tasks
from labkit.ladders import ladder
from labkit.perturb import perturbed_copies
from labkit.reflection import Reflection
from labkit.rungs import RUNGS, material
from labkit.schema import declared_schema, read_schema
from labkit.scoring import score
from labkit.terminal import private_pairs
from labkit.tuning.sources import read_pairs

SCRIPT = """
    CREATE TABLE people (
        id INTEGER PRIMARY KEY, name TEXT, city TEXT, passport TEXT NOT NULL UNIQUE,
        born TEXT CHECK (born <> '(,passport'),
        "upper, (case" AS (upper([passport])) STORED, cut AS (substr("upper, (case", 1, 2)), loud AS (name || '!'));
    CREATE TABLE visits (person INTEGER REFERENCES people (id), passport TEXT, day TEXT);
    CREATE TABLE vault (code TEXT PRIMARY KEY, worth INTEGER) WITHOUT ROWID;
    CREATE TABLE counted (n INTEGER PRIMARY KEY AUTOINCREMENT, word TEXT);
    CREATE VIEW cards AS SELECT name, passport AS card FROM people;
    CREATE VIEW of_cards AS SELECT name FROM cards;
    CREATE VIEW plain AS SELECT name, city FROM people;
    CREATE VIEW same AS SELECT people.name FROM people JOIN (SELECT 'x1-SEC' || 'RET' AS passport) USING (passport);
    CREATE VIEW "like, same" AS WITH seen AS (SELECT passport, day FROM visits)
        SELECT day, name FROM seen /* USING (x) */ LEFT JOIN people USING([PASSPORT]);
    CREATE VIEW both AS SELECT person FROM visits NATURAL JOIN people;
    CREATE VIEW of_same(who) AS SELECT upper(name) FROM same WHERE name <> '';
    CREATE VIEW opened AS SELECT worth FROM (SELECT 'v-SEC' || 'RET' AS code) JOIN vault USING (code);
    CREATE VIEW within AS WITH q AS (
        SELECT 1 AS one FROM people JOIN (SELECT 'x1-SEC' || 'RET' AS passport) USING (passport)) SELECT one FROM q;
    CREATE VIEW either AS SELECT 1 AS one FROM people JOIN (SELECT 'x1-SEC' || 'RET' AS passport) USING (passport)
        UNION ALL SELECT 2;
    CREATE VIEW words AS SELECT n, word FROM counted NATURAL JOIN (SELECT 77 AS n);
    CREATE VIEW named AS SELECT a.name FROM people a JOIN plain b USING (name, city);
    CREATE VIRTUAL TABLE renamed USING fts5(card, content='cards');
    CREATE VIRTUAL TABLE found USING fts5(passport, content='people', content_rowid='id');
    CREATE VIRTUAL TABLE kept USING fts5(passport, remark);
    CREATE VIRTUAL TABLE codes USING fts5(words, content = "vault");
    CREATE INDEX by_passport ON people (passport);
    CREATE INDEX by_upper ON people (upper(passport));
"""
HIDDEN = ("people.passport", "VAULT")


@pytest.fixture
def people(tmp_path) -> Path:
    path = tmp_path / "people.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCRIPT)
        rows = [(i, f"Person {i}", ("Velden", "Oakmere")[i % 2], f"x{i}-SECRET", "1990-01-01") for i in range(1, 31)]
        connection.executemany("INSERT INTO people (id, name, city, passport, born) VALUES (?, ?, ?, ?, ?)", rows)
        connection.executemany("INSERT INTO visits VALUES (?, ?, '2024-05-01')", [(i, f"seen {i}") for i in (1, 2)])
        connection.execute("INSERT INTO vault VALUES ('v-SECRET', 5)")
        connection.execute("INSERT INTO counted VALUES (77, 'a')")
        connection.execute("INSERT INTO found (found) VALUES ('rebuild')")
        connection.execute("INSERT INTO renamed (rowid, card) VALUES (1, 'x1-SECRET')")
        connection.execute("INSERT INTO kept VALUES ('x1-SECRET', 'a')")
        connection.execute("ANALYZE")
        connection.commit()
    return path


ATTACKS = """
SELECT passport FROM people
SELECT * FROM people
SELECT p.* FROM visits v JOIN people p ON 1
SELECT PASSPORT FROM People
SELECT [passport] FROM main.people
SELECT x FROM (SELECT passport AS x FROM people)
WITH q(y) AS (SELECT passport FROM people) SELECT y FROM q
WITH RECURSIVE q(y) AS (SELECT min(passport) FROM people UNION SELECT y FROM q) SELECT y FROM q
SELECT name FROM people WHERE passport LIKE 'x1-%'
SELECT name FROM people WHERE "passport" = 'x1-SECRET'
SELECT name FROM people ORDER BY passport
SELECT name FROM people GROUP BY name HAVING max(passport) > 'x'
SELECT count(DISTINCT passport) FROM people
SELECT name, row_number() OVER (ORDER BY passport) FROM people
SELECT sum(1) FILTER (WHERE passport > 'x') FROM people
SELECT CASE WHEN passport IS NULL THEN 0 ELSE 1 END FROM people
SELECT name FROM people p WHERE EXISTS (SELECT 1 FROM visits WHERE visits.passport = p.passport)
SELECT 1 WHERE 'x1-SECRET' IN (SELECT passport FROM people)
SELECT name FROM people WHERE (passport, name) = ('x1-SECRET', 'Person 1')
SELECT name FROM people LIMIT (SELECT length(min(passport)) FROM people)
SELECT name FROM people UNION SELECT passport FROM people
VALUES ((SELECT max(passport) FROM people))
SELECT value FROM people, json_each(json_array(passport))
SELECT upper(passport) FROM people
SELECT "upper, (case" FROM people
SELECT cut FROM people
SELECT card FROM cards
SELECT name FROM cards
SELECT name FROM of_cards
SELECT people.name FROM people JOIN (SELECT 'x1-SECRET' AS passport) USING (passport)
SELECT people.name FROM people JOIN (SELECT 'x1-SECRET' AS passport) using--(
("pass""port", PASSPORT)
SELECT people.name FROM people JOIN (SELECT 'x1-SECRET' AS passport) USING/*)*/('passport')
SELECT people.name FROM people JOIN (SELECT 'x1-SECRET' AS passport) USING (`passport`)
SELECT person FROM visits LEFT JOIN people USING ([passport])
SELECT person FROM visits NATURAL JOIN people
SELECT person FROM visits NATURAL LEFT OUTER JOIN people
SELECT person FROM visits LEFT NATURAL /* */ JOIN people
SELECT name FROM same
SELECT count(*) FROM same
SELECT 1 WHERE EXISTS (SELECT 1 FROM main.SAME)
SELECT 'Person 1' IN same
SELECT city FROM plain WHERE name IN (SELECT name FROM "same")
WITH q AS (SELECT * FROM same) SELECT count(*) FROM q
SELECT who FROM of_same
SELECT count(*) FROM of_same
SELECT day FROM "like, same"
SELECT count(*) FROM within
SELECT 1 FROM within AS words
SELECT count(*) FROM either
SELECT one FROM either LIMIT 1
SELECT (SELECT count(*) FROM either) > 1
SELECT day FROM visits LEFT JOIN same ON 1
SELECT max(1) OVER () FROM same
VALUES ((SELECT count(*) FROM same))
WITH RECURSIVE q(n) AS (SELECT 1 UNION SELECT n + 1 FROM q, same WHERE n < 3) SELECT count(*) FROM q
SELECT count(*) FROM visits WHERE day > (SELECT 1 FROM same)
SELECT person FROM both
SELECT count(*) FROM both, visits
SELECT worth FROM opened
SELECT rowid FROM renamed WHERE renamed MATCH 'x1'
SELECT count(*) FROM renamed
SELECT block FROM renamed_data
SELECT rowid FROM found WHERE found MATCH 'x1'
SELECT passport FROM found
SELECT * FROM found_data
SELECT rowid FROM kept WHERE kept MATCH 'x1'
SELECT c0 FROM kept_content
SELECT rowid FROM codes WHERE codes MATCH 'v'
SELECT code FROM vault
SELECT count(*) FROM vault
SELECT person FROM visits, vault
SELECT 1 FROM (SELECT 'v-SECRET' AS code) JOIN vault USING (code)
SELECT 'v-SECRET' IN vault
SELECT sql FROM sqlite_schema
SELECT * FROM sqlite_sequence
"""
ATTACKS = [
    text.replace("using--(|", "using--(\n") for text in ATTACKS.replace("using--(\n", "using--(|").split("\n") if text
]
HARMLESS = {
    "SELECT count(*) FROM people": ((30,),),
    "SELECT name, loud FROM people WHERE id = 2": (("Person 2", "Person 2!"),),
    "SELECT rowid FROM people WHERE name = 'Person 3'": ((3,),),
    "SELECT max(city) FROM plain": (("Velden",),),
    "SELECT passport FROM visits WHERE person = 1": (("seen 1",),),  # another table's, which is not excluded
    "SELECT passport FROM (SELECT count(*) AS passport FROM people)": ((30,),),
    "SELECT 'people.passport, NATURAL JOIN, USING (passport)'": (("people.passport, NATURAL JOIN, USING (passport)",),),
    "SELECT max(p.name) FROM people p JOIN visits v ON v.person = p.id": (("Person 2",),),
    "SELECT count(*) FROM people JOIN (SELECT 'Velden' AS city) USING (city)": ((15,),),
    "SELECT word FROM counted": (("a",),),
    "SELECT word FROM words": (("a",),),
    "SELECT count(*) FROM named": ((30,),),
}


@pytest.mark.parametrize("sql", ATTACKS)
def test_no_query_gets_at_it(people, sql):
    sql = sql.replace("|", "\n")
    assert labkit.execute(people, sql).limit not in ("excluded", "refused")  # else it would prove nothing
    with excluding(people, HIDDEN, "`exclude` in mine/workspace.toml"):
        result = labkit.execute(people, sql)
    assert result.rows == () and result.limit == "excluded" and "excluded by `exclude` in mine/work" in result.error


def test_what_does_not_read_it_runs(people):
    with excluding(people, HIDDEN):
        results = labkit.execute_many(people, list(HARMLESS))
    assert {sql: r.rows for sql, r in zip(HARMLESS, results, strict=True)} == HARMLESS


def test_a_row_id_is_the_key_that_it_stands_for(people):
    with excluding(people, ["id"]):
        for name in ("id", "rowid", "_rowid_", "oid", "max(rowid)"):
            assert "reads people.id, which is excluded" in labkit.execute(people, f"SELECT {name} FROM people").error
        assert labkit.execute(people, "SELECT count(rowid) FROM visits").rows == ((2,),)


def test_it_is_in_force_for_its_file_and_its_block_alone(people, tmp_path):
    other = tmp_path / "other.sqlite"
    other.write_bytes(people.read_bytes())
    link = tmp_path / "link.sqlite"
    link.symlink_to(people)
    sql = "SELECT count(passport), count(city) FROM people"
    with excluding(people, ["passport"], "one"), excluding(link, ["city"], "the other"):
        assert in_force(people).where == "one and the other" and in_force(other) is None
        tasks = [Task(path, sql) for path in (people, other, link)]
        ends = [result.limit for result in execute_tasks(tasks)]
    assert ends == ["excluded", None, "excluded"] and labkit.execute(people, sql).ok and in_force(people) is None


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_a_schema_shows_nothing_of_it(people):
    with excluding(people, HIDDEN):
        schema, world = read_schema(people), read_world(people)
    text = schema.to_prompt()
    assert {t.name for t in schema.tables} == {"people", "visits", "counted", "plain", "words", "named"}
    assert [c.name for c in schema.table("people").columns] == ["id", "name", "city", "born", "loud"]
    assert "upper" not in text and "vault" not in text and "card" not in text and text.count("passport") == 1
    assert "vault" not in world.entities and len(schema.foreign_keys) == 1
    assert {t.name for t in declared_schema(people).tables} > {"people", "vault", "cards", "found"}
    with excluding(people, ["people.id"]):
        hidden = read_schema(people)
    assert hidden.foreign_keys == () and hidden.table("people").primary_key == ()


class Listening:
    """A chat model that keeps what it is asked and answers with everything."""

    def __init__(self):
        self.heard = ""

    def chat(self, conversations, **settings):
        self.heard += "\n".join(m["content"] for messages in conversations for m in messages)
        return ["SELECT * FROM people"] * len(conversations)

    def describe(self):
        return {"model": "listening", "sha256": None}


@pytest.fixture
def asked(people) -> QuestionSet:
    sqls = ("SELECT count(*) FROM people", "SELECT passport FROM people WHERE id = 4")
    questions = [Question(f"q{i}", f"Question number {i}?", sql, str(people)) for i, sql in enumerate(sqls)]
    return QuestionSet("asked", questions, db_dir=people.parent)


def test_no_rung_of_the_ladder_shows_it(people, asked, tmp_path, monkeypatch):
    monkeypatch.setattr("labkit.rungs._encoder", lambda: lambda texts: [[len(text), 1.0] for text in texts])
    (tmp_path / "glossary.md").write_text("card: `people.passport`\nplace: `city`\n")
    pairs = [
        Question("p1", "What is the card of Person 5?", "SELECT passport FROM people WHERE id = 5", str(people)),
        Question("p2", "Where does Person 6 live?", "SELECT city FROM people WHERE id = 6", str(people)),
    ]
    open_, shut = Listening(), Listening()
    ladder(open_, asked, pairs=pairs, store=tmp_path / "runs.db")
    with excluding(people, HIDDEN):
        climbed = ladder(shut, asked, pairs=pairs, store=tmp_path / "runs.db")
    assert [rung.name for rung in climbed.rungs] == list(RUNGS) and shut.heard  # asked anew: another prompt
    for word in ("SECRET", "card", "vault", "people.passport"):
        assert word in open_.heard and word not in shut.heard
    assert "place: `city`" in shut.heard and "may not be read" in shut.heard


def test_pairs_drawn_for_a_prompt_keep_clear_of_it(people, asked):
    with excluding(people, ["passport", "vault"]):
        found = material(QuestionSet("asked", asked.questions[:1], db_dir=asked.db_dir))
    assert len(found.pairs) > 20 and not any("passport" in pair.sql or "vault" in pair.sql for pair in found.pairs)


def test_an_agent_reads_the_schema_anew(people):
    model = Listening()
    agent = labkit.Agent(model, people)
    agent.ask("Who is there?")
    assert "SECRET" in model.heard
    model.heard = ""
    with excluding(people, HIDDEN):
        answer = agent.ask("Who is there?")
    assert "SECRET" not in model.heard and "which is excluded by" in answer.sentence and answer.result.rows == ()


def test_an_error_that_is_fed_back_does_not_name_it(people, asked):
    model = Listening()
    with excluding(people, HIDDEN):
        Reflection(SqlGenerator(model, lambda question, schema: [{"role": "user", "content": question}]))(asked)
    assert "may not be read" in model.heard and "passport" not in model.heard


# --- what is measured -------------------------------------------------------------------------------------------------


def test_a_gold_that_needs_it_is_said_to(people, asked):
    kept = score(asked[1], asked[1].sql, people)  # judged before, and kept
    assert kept.right
    with excluding(people, HIDDEN, "`exclude` in mine/workspace.toml"):
        gold = score(asked[1], asked[1].sql, people)
        wrong = score(asked[0], "SELECT count(passport) FROM people", people)
        told = labkit.diagnose(asked[0], "SELECT count(passport) FROM people", wrong, read_schema(people))
    assert (
        gold.verdict == "gold_error" and "The reference cannot be run. The query reads people.passport" in gold.detail
    )
    assert wrong.verdict == "wrong" and told.failure_class == "invalid_column" and "excluded" in told.hint
    assert score(asked[1], asked[1].sql, people).right


def test_copies_of_the_database_are_made_without_it(people):
    sql = "SELECT city, count(*) FROM people GROUP BY city"
    before = perturbed_copies(people, sql)
    with excluding(people, HIDDEN):
        copies = perturbed_copies(people, sql)
        right = score(Question("q", "?", sql, str(people)), sql.replace("count(*)", "count(id)"), people, "semantic")
    assert any(b"SECRET" in path.read_bytes() for path in before) and copies and right.right
    assert not any(b"SECRET" in path.read_bytes() for path in copies)
    assert any(labkit.execute(path, "SELECT count(*) FROM people").rows[0][0] > 3 for path in copies)


def test_evaluate_keeps_to_the_option_and_to_the_workspace_of_its_set(people, asked, tmp_path, monkeypatch, capsys):
    save_questions(tmp_path / "set.jsonl", asked.questions[:1])
    heard = []

    def chat_model(*_):
        heard.append(Listening())
        return heard[-1]

    monkeypatch.setattr(cli_measuring, "chat_model", chat_model)
    cli_measuring.evaluate(tmp_path / "set.jsonl", exclude=["passport"])
    assert "passport" not in heard[-1].heard and "vault" in heard[-1].heard
    with pytest.raises(LabkitError, match="To exclude 'pasport' does nothing.*Did you mean 'passport'"):
        cli_measuring.evaluate(tmp_path / "set.jsonl", exclude=["pasport"])
    config = f"database = {json.dumps(str(people))}\nexclude = {json.dumps(HIDDEN)}\n"
    (tmp_path / "workspace.toml").write_text(config)
    cli_measuring.evaluate(tmp_path / "set.jsonl")
    assert "SECRET" not in heard[-1].heard and "vault" not in heard[-1].heard
    assert "invalid_column" in capsys.readouterr().out


def test_sql_score_and_lint_keep_to_it(people, asked, tmp_path, capsys):
    sql, other = "SELECT passport FROM people WHERE id = 4", "SELECT city FROM people WHERE id = 4"
    record = {"id": "1", "question": "Which?", "gold": other, "pred": sql, "database": str(people)}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(record) + "\n")
    save_questions(tmp_path / "set.jsonl", asked.questions)

    def told(exclude) -> list[str]:
        """What the three commands print, with the exit code before it."""
        texts = []
        for command, about in (
            (cli.sql, {"query": sql, "db": str(people)}),
            (cli_measuring.score, {"pairs": tmp_path / "pairs.jsonl"}),
            (cli_measuring.lint, {"questions": tmp_path / "set.jsonl"}),
        ):
            code = command(**about, exclude=exclude, as_json=True)
            texts.append(f"{code} {capsys.readouterr().out}")
        return texts

    queried, scored, linted = told(None)
    assert queried.startswith("0") and "x4-SECRET" in queried and "excluded" not in queried + scored + linted
    for exclude in (["people.passport"], None):
        queried, scored, linted = told(exclude)
        assert queried.startswith("1") and "reads people.passport, which is excluded by" in queried
        assert '"class": "invalid_column"' in scored and "excluded" in scored
        assert linted.startswith("1") and '"question_id": "q1"' in linted and "excluded" in linted
        assert "SECRET" not in queried + scored + linted
        config = f"database = {json.dumps(str(people))}\nexclude = {json.dumps(HIDDEN)}\n"
        (tmp_path / "workspace.toml").write_text(config)  # the second time it is this that says so


TUNERS = {"tune": {"method": "instruction"}, "tune_encoder": {}, "tune_channel": {}, "remember": {}}


@pytest.mark.parametrize("tuner", TUNERS)
def test_nothing_is_tuned_on_pairs_that_need_it(people, tmp_path, monkeypatch, tuner):
    monkeypatch.setattr(labkit, "load_model", lambda *_, **__: SimpleNamespace(adapter=None, name="none"))
    read = []

    class Begun(Exception):
        """Instead of tuning."""

    def begin(*given, **_):
        read.extend(read_pairs(next(each for each in given if isinstance(each, list)))[0])
        raise Begun

    monkeypatch.setattr(f"labkit.{tuner}", begin)
    sqls = ("SELECT count(*) FROM people", "SELECT passport FROM people", "SELECT city FROM people LIMIT 3")
    pairs = [Question(f"p{i}", f"Pair number {i}?", sql, people.stem) for i, sql in enumerate(sqls)]
    space = tmp_path / "far" / "from" / "it" / "space"
    space.mkdir(parents=True)
    file = save_questions(space / "pairs.jsonl", pairs)
    command = getattr(cli_experts if tuner == "remember" else cli_tuning, tuner)

    def call(**given):
        command([file], out=tmp_path / "out", as_json=True, **TUNERS[tuner], **given)

    with pytest.raises(LabkitError, match="no database 'people'"):  # what is named cannot be kept out of it
        call(exclude=["passport"])
    text = f"database = {json.dumps(str(people))}\nexclude = {json.dumps(HIDDEN)}\n"
    (space / "workspace.toml").write_text(text)
    told = "1 of the pairs read what is excluded.*: p1. Of p1: The query reads people.passport, which is excluded by "
    with pytest.raises(LabkitError, match=told + "`exclude` in space/workspace.toml"):
        call()
    (space / "workspace.toml").write_text(f"database = {json.dumps(str(people))}\n")
    with pytest.raises(LabkitError, match="2 of the pairs.*: p1, p2. Of p1.*`--exclude`"):
        call(exclude=["people.passport", "city"])
    with pytest.raises(LabkitError, match="Did you mean 'passport'"):
        call(exclude=["pasport"])
    save_questions(file, pairs[::2])
    with pytest.raises(Begun):
        call(exclude=["passport"])
    assert [q.id for q in read] == ["p0", "p2"] and in_force(people) is None


def test_pairs_that_are_replayed_are_looked_at_too(people, tmp_path, monkeypatch):
    """An adapter that was tuned before a column was excluded brings pairs along."""
    before, after = (
        [Question(f"p{i}", f"Pair {sql}?", sql, str(people))]
        for i, sql in enumerate(("SELECT passport FROM people", "SELECT count(city) FROM people"))
    )
    (tmp_path / "old").mkdir()
    save_questions(tmp_path / "old" / "pairs.jsonl", before)
    for check in ("check_folder", "check_base"):
        monkeypatch.setattr(f"labkit.tuning.folders.{check}", lambda *_: None)
    monkeypatch.setattr("labkit.tuning.folders.read_card", lambda _: None)
    model = SimpleNamespace(adapter=None, name="none")
    with excluding(people, HIDDEN), pytest.raises(LabkitError, match="1 of the pairs read what is excluded.*: p0"):
        labkit.tune(model, after, "memory", tmp_path / "out", adapter=tmp_path / "old", recipe=labkit.Recipe())


def test_a_file_of_facts_has_no_database_to_exclude_of(tmp_path):
    save_questions(tmp_path / "facts.jsonl", [Question("f", "Who?", answer="Ann")])
    told = "--exclude does nothing for .*facts.jsonl: its pairs name no database"
    with pytest.raises(LabkitError, match=told), private_pairs([tmp_path / "facts.jsonl"], ["passport"]):
        pass


def test_a_worker_of_a_cluster_keeps_to_it(people, asked):
    """What Ray hands on is told here, without Ray: a worker knows nothing of the block in which it was asked."""
    from labkit.raydata import RayGenerator, _Worker

    sent = []
    driver = object.__new__(RayGenerator)
    driver.batch, driver._ray = (
        2,
        SimpleNamespace(
            data=SimpleNamespace(from_items=lambda rows, **_: sent.extend(rows) or 1 / 0),
            exceptions=SimpleNamespace(RayError=ZeroDivisionError),
        ),
    )
    with excluding(people, HIDDEN), pytest.raises(LabkitError):
        driver(list(asked))
    model = Listening()
    batch = {name: [row[name] for row in sent] for name in ("place", "question")}
    answered = _Worker(lambda: SqlGenerator(model))(batch)
    assert answered["refusal"] == ["", ""] and "vault" not in model.heard and "people(" in model.heard
