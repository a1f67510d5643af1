"""Questions from elsewhere whose gold is rows: loaded, saved, scored by them, passed over where a query is needed."""

import json
import runpy
import sqlite3
import sys
from pathlib import Path

import pytest

import labkit
from labkit.cli import main
from labkit.curation import add, correct
from labkit.dataset import Question, QuestionSet, load_questions, overlap, save_questions
from labkit.diagnosis import diagnose_run
from labkit.errors import LabkitError
from labkit.inspecting import Bench, records
from labkit.linting import lint
from labkit.pairs import load_pairs
from labkit.scoring import score, score_many
from labkit.tuning.sources import read_pairs

tiny_model_dir = runpy.run_path(str(Path(__file__).with_name("standin.py")))["tiny_model_dir"]
SCRIPT = """
CREATE TABLE players (id INTEGER PRIMARY KEY, name TEXT, team TEXT, rate REAL);
INSERT INTO players VALUES (1, 'Ann', 'Reds', 0.1), (2, 'Bob', 'Reds', 0.2), (3, 'Cid', NULL, 0.3),
  (4, 'Ann', 'Blues', NULL);
"""


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    path = tmp_path_factory.mktemp("db") / "club.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(SCRIPT)
    connection.close()
    return path


def rows(*values, order=None, id="q1", **more):
    return Question(id, "Who plays?", database="club", rows=values, order=order, **more)


NAMES = (("Ann",), ("Bob",), ("Cid",), ("Ann",))
JUDGED = {
    "a bag": (rows(*NAMES), "SELECT name FROM players ORDER BY name DESC", "right"),
    "in its order": (rows(*NAMES, order=True), "SELECT name FROM players ORDER BY id", "right"),
    "in another order": (rows(*NAMES, order=True), "SELECT name FROM players ORDER BY name", "order"),
    "columns turned": (rows(("Reds", 2), (None, 1), ("Blues", 1)),
                       "SELECT count(*), team FROM players GROUP BY 2", "right"),
    "a wrong value": (rows(("Ann",), ("Bob",), ("Cid",), ("Dee",)), "SELECT name FROM players", "rows"),
    "a number as a text": (rows(("4",)), "SELECT count(*) FROM players", "rows"),
    "duplicates lost": (rows(*NAMES), "SELECT DISTINCT name FROM players", "duplicates"),
    "duplicates too many": (rows(*NAMES[:3]), "SELECT name FROM players", "duplicates"),
    "NULL is NULL": (rows((None,)), "SELECT team FROM players WHERE id = 3", "right"),
    "NULL is not 0": (rows((0,)), "SELECT rate FROM players WHERE id = 4", "rows"),
    "NULL is not an empty text": (rows(("",)), "SELECT team FROM players WHERE id = 3", "rows"),
    "noise of a sum": (rows((0.6,)), "SELECT sum(rate) FROM players", "right"),
    "1 is 1.0": (rows((4.0,)), "SELECT count(*) FROM players", "right"),
    "rounded by the author": (rows((0.33,)), "SELECT 1.0 / 3", "rows"),
    "one more column": (rows(*NAMES), "SELECT id, name FROM players", "extra_columns"),
    "a column too few": (rows((1, "Ann")), "SELECT name FROM players WHERE id = 1", "missing_columns"),
    "nothing, as written": (rows(), "SELECT name, id FROM players WHERE id = 9", "right"),
    "something instead of nothing": (rows(), "SELECT name FROM players", "rows"),
    "nothing instead of something": (rows(("Ann",)), "SELECT name FROM players WHERE id = 9", "rows"),
    "it does not run": (rows(*NAMES), "SELECT nam FROM players", "error"),
    "no SQL": (rows(*NAMES), " ", "no_sql"),
}  # fmt: skip


@pytest.mark.parametrize("name", JUDGED)
def test_scored_by_rows_and_the_score_says_so(db, name):
    question, prediction, expected = JUDGED[name]
    for mode in ("execution", "rows"):
        found = score(question, prediction, db, mode)
        assert (found.mode, found.verdict) == ("rows", "right" if expected == "right" else "wrong"), found
        assert found.reason == ("" if expected == "right" else expected) and bool(found.detail) != found.right


def test_a_query_beside_and_rows_in_one_call(db):
    with_query = Question("q2", "How many?", "SELECT count(*) FROM players", "club", rows=((4,),))
    pairs = [
        labkit.scoring.Pair(q, p, db)
        for q in (with_query, rows(*NAMES))
        for p in ("SELECT 4", "SELECT name FROM players")
    ]
    found = [(s.mode, s.right) for s in score_many(pairs)]
    assert found == [("execution", True), ("execution", False), ("rows", False), ("rows", True)]
    stale = Question("q3", "How many?", "SELECT count(*) FROM players", "club", rows=((5,),))
    assert score(stale, "SELECT 5", db).reason == "gold_rows"  # query and rows disagree
    assert score(stale, "SELECT 5", db, "rows").right


@pytest.mark.parametrize("mode", ["exact", "semantic"])
def test_modes_that_need_a_query_say_so(db, mode):
    with pytest.raises(LabkitError, match=f"'q1' has rows and no query, which mode '{mode}' needs"):
        score(rows(*NAMES), "SELECT 1", db, mode)
    with pytest.raises(LabkitError, match="'q2' has no rows, which mode 'rows' compares"):
        score(Question("q2", "?", "SELECT 1", "club"), "SELECT 1", db, "rows")
    with pytest.raises(LabkitError, match="'q1' has no answer"):
        score(rows(*NAMES), "Ann", db, "text")


def test_saved_and_loaded_equal(tmp_path):
    asked = [rows(("Ann", None, 1.5, 2), order=True), rows(id="q2"), Question("q3", "?", "SELECT 1", "club")]
    path = save_questions(tmp_path / "set.jsonl", asked)
    loaded = load_questions(path)
    assert list(loaded) == asked and loaded.sha256 == QuestionSet("set", asked).sha256
    assert [q.rows_only for q in loaded] == [True, True, False] and loaded[0].queries == ()
    assert "sql" not in json.loads(path.read_text().splitlines()[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": None}, "'sql' is missing"),
        ({"rows": [[1], [1, 2]]}, "different length"),
        ({"alternatives": ["SELECT 1"]}, "'alternatives' goes with a query"),
        ({"sql": ""}, "'sql' is empty"),
        ({"database": ""}, "'database' is empty"),
    ],
)
def test_a_line_that_is_neither_is_told(tmp_path, change, said):
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps({"id": "q", "question": "?", "rows": [[1]], "database": "club"} | change))
    with pytest.raises(LabkitError, match=said):
        load_questions(path)


def test_a_run_says_that_rows_decided(db, tmp_path):
    questions = QuestionSet("elsewhere", [rows(*NAMES), rows(("Bob",), id="q2")], db_dir=db.parent)
    run = labkit.evaluate(lambda asked: ["SELECT name FROM players"] * len(asked), questions, store=tmp_path / "r.db")
    assert (run.mode, run.correct, run.n) == ("rows", 1, 2) and "n=2 (rows)" in str(run)
    mixed = QuestionSet("mixed", [*questions, Question("q3", "?", "SELECT 1", "club")], db_dir=db.parent)
    assert labkit.evaluate(lambda asked: ["SELECT 1"] * len(asked), mixed, store=tmp_path / "r.db").mode == "execution"


def test_failures_are_diagnosed_and_shown_without_a_gold_query(db, tmp_path):
    answers = {"q1": "SELECT nam FROM players", "q2": "SELECT name FROM players", "q3": "SELECT 1, 2"}
    questions = QuestionSet("s", [rows(("Bob",), id=id) for id in answers], db_dir=db.parent)
    run = labkit.evaluate(lambda asked: [answers[q.id] for q in asked], questions, store=tmp_path / "r.db")
    diagnosed = diagnose_run(run, questions)
    classes = {item.question.id: item.diagnosis.failure_class for item in diagnosed.results}
    assert classes == {"q1": "invalid_column", "q2": "malformed_filter", "q3": "malformed_projection"}
    assert "no gold query" in diagnosed.results[1].diagnosis.evidence
    assert list(diagnosed.slices("clause").index) == ["no gold query"]
    shown = records(diagnosed, questions)
    assert [record["gold"] for record in shown] == [""] * 3
    assert shown[1]["gold_result"]["rows"] == [["Bob"]] and shown[1]["prediction_result"]["rows"][0] == ["Ann"]
    bench = Bench(questions, tmp_path / "set.jsonl", tmp_path)
    assert bench.run(shown[1], "SELECT 'Bob'")["verdict"] == "right"


def test_what_needs_a_query_passes_it_over(db, tmp_path):
    twice = QuestionSet("s", [rows(("Bob",)), rows(("Bob",), id="q2"), rows(("Ann",), id="q3")], db_dir=db.parent)
    assert [(f.question_id, f.rule) for f in lint(twice)] == [("q2", "repeated"), ("q3", "contradiction")]
    assert [found.kind for found in overlap(twice, twice)] == ["question"]
    with pytest.raises(LabkitError, match="3 of the pairs have rows and no query.*q1"):
        read_pairs(twice)


def test_curation_keeps_rows_apart_and_takes_a_query_later(db, tmp_path):
    path = tmp_path / "set.jsonl"
    add(rows(("Bob",)), path)
    with pytest.raises(LabkitError, match="another gold: rows, "):
        add(rows(("Ann",), id="q2"), path)
    change = correct("q1", "SELECT name FROM players WHERE id = 2", path, db)
    assert change.question.sql and "it was: its rows" in load_questions(path)[0].note


def test_a_file_of_pairs_may_have_rows_for_a_gold(db, tmp_path):
    path = tmp_path / "pairs.jsonl"
    line = {"id": "a", "pred": "SELECT 4", "database": str(db), "rows": [[4]], "gold": None}
    path.write_text(json.dumps(line))
    (pair,) = load_pairs(path)
    assert pair.question.rows_only and score_many([pair])[0].right
    path.write_text(json.dumps({k: v for k, v in line.items() if k not in ("rows", "gold")}))
    with pytest.raises(LabkitError, match="without a query, give 'rows'"):
        load_pairs(path)


def labkit_says(capsys, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["labkit", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0, capsys.readouterr().out


def test_from_the_terminal(db, tmp_path, tiny_model_dir, capsys, monkeypatch):
    path = save_questions(tmp_path / "set.jsonl", [rows(*NAMES)])
    command = ["evaluate", "-q", path, "--model", tiny_model_dir, "--db-dir", db.parent]
    code, said = labkit_says(capsys, monkeypatch, *command, "--json")
    assert code == 0 and json.loads(said)["mode"] == "rows"
    code, said = labkit_says(capsys, monkeypatch, *command)
    assert code == 0 and "n=1 (rows)" in said
    code, said = labkit_says(capsys, monkeypatch, "lint", path, "--db-dir", db.parent)
    assert code == 0 and "1 have rows and no query" in said
