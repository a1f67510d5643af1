"""Question sets: what loads, what is refused and how it is named, what two sets share."""

import json
import sqlite3

import pytest

from labkit.dataset import Overlap, Question, QuestionSet, find_database, load_questions, overlap, save_questions
from labkit.errors import LabkitError

GOOD = {"id": "q1", "question": "How many teams?", "sql": "SELECT count(*) FROM teams", "database": "league"}


def write(tmp_path, *lines):
    path = tmp_path / "set.jsonl"
    encoded = [
        line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
        for line in lines
    ]
    path.write_bytes(b"\n".join(encoded))
    return path


def test_a_full_line_loads(tmp_path):
    full = GOOD | {"alternatives": ["SELECT 1"], "rows": [[1, "a", None, 2.5, True]], "order": False, "tags": ["easy"]}
    (question,) = load_questions(write(tmp_path, full | {"note": "n"}))
    assert question.rows == ((1, "a", None, 2.5, 1),)
    assert (question.order, question.tags, question.alternatives) == (False, ("easy",), ("SELECT 1",))
    assert (question.note, question.line) == ("n", 1)


def test_windows_files_blank_lines_and_separators_inside_texts_load(tmp_path):
    first = json.dumps(GOOD | {"question": "a\u2028b\u0085c"}, ensure_ascii=False).encode()
    second = json.dumps(GOOD | {"id": 2}).encode()
    path = write(tmp_path, b"\xef\xbb\xbf" + first + b"\r", b"  \r", second + b"\r", b"")
    questions = load_questions(path)
    assert [q.id for q in questions] == ["q1", "2"]
    assert questions[0].question == "a\u2028b\u0085c"
    assert questions[1].line == 3


BAD = {
    "not JSON": ('{"id": "q1",', "not JSON"),
    "a python dict": ("{'id': 'q1'}", "not JSON"),
    "not an object": ('["q1"]', "a list"),
    "null": ("null", "null"),
    "missing field": ({k: v for k, v in GOOD.items() if k != "sql"}, "'sql' is missing"),
    "empty field": (GOOD | {"sql": "  "}, "'sql' is empty"),
    "wrong type": (GOOD | {"question": 3}, "'question' must be a text, not a number"),
    "null text": (GOOD | {"sql": None}, "not null"),
    "bool id": (GOOD | {"id": True}, "'id' must be a text, not true or false"),
    "tags as text": (GOOD | {"tags": "easy"}, "'tags' must be a list of texts, not a text"),
    "tags of numbers": (GOOD | {"tags": [1]}, "tags[0]"),
    "alternatives empty text": (GOOD | {"alternatives": [""]}, "alternatives[0]"),
    "order as text": (GOOD | {"order": "no"}, "'order' must be true, false or null"),
    "order as number": (GOOD | {"order": 0}, "'order' must be true, false or null"),
    "rows of scalars": (GOOD | {"rows": [1]}, "'rows' must be a list of rows"),
    "ragged rows": (GOOD | {"rows": [[1], [1, 2]]}, "different length"),
    "object in rows": (GOOD | {"rows": [[{}]]}, "an object"),
    "unknown field": (GOOD | {"questoin": "x"}, "did you mean 'question'?"),
    "field of another format": (GOOD | {"query": "x"}, "did you mean 'sql'?"),
    "unlike any field": (GOOD | {"zzz": "x"}, "the fields are id, question"),
    "twice": ('{"id": "a", "id": "b"}', "'id' stands there twice"),
    "NaN": (json.dumps(GOOD | {"rows": [[float("nan")]]}), "NaN is no JSON value"),
    "infinity": (json.dumps(GOOD | {"rows": [[float("-inf")]]}), "-Infinity is no JSON value"),
    "a float that overflows": (json.dumps(GOOD)[:-1] + ', "rows": [[1e999]]}', "too large"),
    "an integer that overflows": (GOOD | {"rows": [[2**63]]}, "too large for SQLite"),
    "an endless integer": (json.dumps(GOOD)[:-1] + ', "rows": [[' + "9" * 5000 + "]]}", "not JSON"),
    "nested deeply": ("[" * 100_000, "nested too deeply"),
    "half a surrogate": (GOOD | {"question": "\ud800"}, "surrogate"),
    "NUL": (GOOD | {"sql": "SELECT 1\0"}, "NUL"),
    "not UTF-8": (b'{"id": "Jos\xe9"}', "not UTF-8 at byte 12"),
    "UTF-16": (json.dumps(GOOD).encode("utf-16"), "not UTF-8"),
    "two objects": ('{"id": "a"} {"id": "b"}', "not JSON"),
}


@pytest.mark.parametrize("line, said", BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_named_by_file_and_line(tmp_path, line, said):
    path = write(tmp_path, GOOD | {"id": "first"}, "", line)
    with pytest.raises(LabkitError) as error:
        load_questions(path)
    assert str(error.value).startswith(f"{path}, line 3: ")
    assert said in str(error.value)


def test_every_bad_line_is_named_up_to_ten(tmp_path):
    with pytest.raises(LabkitError) as error:
        load_questions(write(tmp_path, GOOD, *["x"] * 12))
    assert str(error.value).count("not JSON") == 10
    assert str(error.value).endswith("and 2 more.")


def test_a_duplicate_id_names_both_lines(tmp_path):
    with pytest.raises(LabkitError, match=r"line 2: id 'q1' is already used in line 1"):
        load_questions(write(tmp_path, GOOD, GOOD))
    with pytest.raises(LabkitError, match="already used"):
        load_questions(write(tmp_path, GOOD | {"id": "1"}, GOOD | {"id": 1}))


def test_empty_missing_and_unreadable_files_are_refused(tmp_path):
    for content in (b"", b"\n\r\n", b"\xef\xbb\xbf"):
        with pytest.raises(LabkitError, match="holds no question"):
            load_questions(write(tmp_path, content))
    with pytest.raises(LabkitError, match="cannot be read: No such file"):
        load_questions(tmp_path / "none.jsonl")
    with pytest.raises(LabkitError, match="cannot be read"):
        load_questions(tmp_path)


def test_a_saved_set_loads_equal(tmp_path):
    questions = [
        Question("a", "Wie heißt\u2028er?", "SELECT 'é'", "db", ("x",), ((1, None, "t"),), False, ("t",), "note"),
        Question("b", "Nobody?", "not sql at all", "db", rows=()),
    ]
    path = save_questions(tmp_path / "new" / "set.jsonl", questions)
    loaded = load_questions(path)
    assert list(loaded) == questions
    assert loaded.sha256 == QuestionSet("other", questions).sha256
    assert loaded.sha256 != loaded[:1].sha256
    assert [file.name for file in path.parent.iterdir()] == ["set.jsonl"]


@pytest.mark.parametrize(
    "question, said",
    [
        (Question("x", "", "SELECT 1", "db"), "'question' is empty"),
        (Question("x", "q", "SELECT 1", "db", rows=((float("nan"),),)), "NaN"),
        (Question("x", "q", "SELECT 1", "db", rows=((b"blob",),)), "bytes"),
        (Question("x", "q", "SELECT 1", "db", rows=((1,), (1, 2))), "different length"),
    ],
)
def test_what_would_not_load_is_not_saved(tmp_path, question, said):
    with pytest.raises(LabkitError, match="'x' cannot be saved") as error:
        save_questions(tmp_path / "set.jsonl", [question])
    assert said in str(error.value)
    assert not (tmp_path / "set.jsonl").exists()


def test_an_empty_set_and_doubled_ids_are_not_saved(tmp_path):
    question = Question("x", "q", "SELECT 1", "db")
    with pytest.raises(LabkitError, match="no question to save"):
        save_questions(tmp_path / "set.jsonl", [])
    with pytest.raises(LabkitError, match="have the id 'x'"):
        save_questions(tmp_path / "set.jsonl", [question, question])


def test_a_set_is_a_sequence():
    questions = QuestionSet("s", [Question(str(i), "q", "SELECT 1", "db") for i in range(5)])
    assert len(questions) == 5
    assert [q.id for q in questions[1:3]] == ["1", "2"]
    assert isinstance(questions[1:3], QuestionSet)
    assert questions[0] in questions


# --- databases --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["league", "league.sqlite", "league.db", "league/league.sqlite"])
def test_a_database_is_found_by_name(tmp_path, file):
    path = tmp_path / "dbs" / file
    path.parent.mkdir(parents=True)
    sqlite3.connect(path).close()
    path.touch()
    assert find_database("league", [tmp_path / "empty", tmp_path / "dbs"]) == path
    assert find_database(path, []) == path


def test_a_missing_database_is_a_sentence(tmp_path):
    (tmp_path / "league").mkdir()
    for name in ("league", "", ".", "no/such", "x" * 50):
        with pytest.raises(LabkitError, match="There is no database"):
            find_database(name, [tmp_path])


def test_databases_are_looked_for_beside_the_set(tmp_path):
    folder = tmp_path / "league"
    folder.mkdir()
    (folder / "league.sqlite").touch()
    questions = load_questions(write(folder, GOOD))
    assert questions.database_path(questions[0]) == folder / "league.sqlite"
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    (elsewhere / "league.sqlite").touch()
    assert QuestionSet("s", questions, questions.path, elsewhere).database_path(questions[0]).parent == elsewhere


# --- overlap ----------------------------------------------------------------------------------------------------------


def ask(id, question="?", sql="SELECT 1", **more):
    return Question(id, question, sql, "db", **more)


def kinds(a, b):
    return [shared.kind for shared in overlap([a], [b])]


@pytest.mark.parametrize(
    "other",
    ["who is  the best PLAYER", "Who is the best player?", "Who\u200b is the best, player!", "Who is thé best player"],
)
def test_a_question_in_other_spelling_overlaps(other):
    assert kinds(ask("a", "Who is the best player?", "SELECT a FROM t"), ask("b", other, "SELECT b, c FROM u")) == [
        "question"
    ]


def test_questions_that_differ_in_a_sign_or_number_do_not_overlap():
    for other in ("Who is over 31?", "Who is < 30?"):
        assert not kinds(ask("a", "Who is over 30?", "SELECT a FROM t"), ask("b", other, "SELECT b, c FROM u"))


@pytest.mark.parametrize(
    "other",
    [
        "select NAME from players where age > 30;",
        "SELECT p.name FROM players AS p WHERE p.age>30",
        'SELECT "name" AS n FROM [players] -- comment\n WHERE players.age > 30',
    ],
)
def test_a_query_in_other_spelling_overlaps(other):
    found = kinds(ask("a", "x", "SELECT name FROM players WHERE age > 30"), ask("b", "y", other))
    assert found == ["query", "skeleton"]


def test_an_alternative_counts_as_a_query():
    assert kinds(ask("a", "x", "SELECT 1"), ask("b", "y", "SELECT a FROM t", alternatives=("select 1",)))[0] == "query"


def test_other_literals_share_the_skeleton_only():
    a = ask("a", "x", "SELECT name FROM t WHERE age > 30 AND team IN ('a', 'b') ORDER BY 1 LIMIT 3")
    b = ask("b", "y", "SELECT name FROM t WHERE age > -7 AND team IN ('c') ORDER BY 1 LIMIT 5")
    assert kinds(a, b) == ["skeleton"]


def test_a_column_an_operator_or_a_text_in_other_case_is_another_query():
    a = ask("a", "x", "SELECT name FROM t WHERE team = 'Reds'")
    assert kinds(a, ask("b", "y", "SELECT name FROM t WHERE team = 'reds'")) == ["skeleton"]
    for other in ("SELECT age FROM t WHERE team = 'Reds'", "SELECT name FROM t WHERE team <> 'Reds'"):
        assert kinds(a, ask("b", "y", other)) == []


def test_queries_that_do_not_parse_are_compared_as_text():
    assert kinds(ask("a", "x", "SELEC  name FROM"), ask("b", "y", "selec name from;")) == ["query", "skeleton"]
    assert kinds(ask("a", "x", "SELECT 'unclosed"), ask("b", "y", "SELECT 'other")) == []


def test_an_overlap_lists_the_ids_of_both_sides():
    a = [ask("a1", "Same?", "SELECT a FROM t"), ask("a2", "same", "SELECT a FROM t")]
    b = [ask("b1", "SAME", "SELECT x, y FROM z"), ask("b2", "Other", "SELECT z")]
    assert overlap(a, b) == [Overlap("question", "same", ("a1", "a2"), ("b1",))]
