"""Messages; the query in a reply, honest and hostile; when a model may stop."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import prompting
from labkit.dataset import Question
from labkit.prompting import extract_sql, few_shot, plain, sql_finished

REPLIES = {
    "SELECT 1": "SELECT 1",
    "  SELECT 1 ; ": "SELECT 1",
    "```sql\nSELECT a FROM t;\n```\nIt lists a.": "SELECT a FROM t",
    "Sure!\n```SQL\nSELECT a\nFROM t\n```": "SELECT a\nFROM t",
    "```\nselect 1": "select 1",
    "~~~sqlite\nSELECT 1\n~~~": "SELECT 1",
    "```sql\n-- all players\nSELECT 1\n```": "SELECT 1",
    "First:\n```python\nprint(1)\n```\nthen\n```sql\nSELECT 2\n```": "SELECT 2",
    "SQL: SELECT a FROM t": "SELECT a FROM t",
    "SQLQuery: SELECT a FROM t\nAnswer: 4": "SELECT a FROM t",
    "The answer is: select name from t;": "select name from t",
    "SELECT a FROM t; SELECT b FROM u;": "SELECT a FROM t",
    "SELECT ';' AS x, \"a;b\" FROM [c;d] -- no; end\nWHERE 1 /* ; */; DROP TABLE t": (
        "SELECT ';' AS x, \"a;b\" FROM [c;d] -- no; end\nWHERE 1 /* ; */"
    ),
    "SELECT 'it''s; fine' FROM t; done": "SELECT 'it''s; fine' FROM t",
    "SELECT a FROM t\n\nThis query returns a.": "SELECT a FROM t",
    "SELECT a FROM t\nNote: there is more.": "SELECT a FROM t",
    "SELECT a FROM t\nThis query returns a.": "SELECT a FROM t",
    "SELECT a\n\nFROM t\n\nWHERE b": "SELECT a\n\nFROM t\n\nWHERE b",
    "SELECT (\n\n1\n\n) x": "SELECT (\n\n1\n\n) x",
    "with x as (\n SELECT 1\n)\nSELECT * FROM x": "with x as (\n SELECT 1\n)\nSELECT * FROM x",
    "WITH RECURSIVE n(i) AS (SELECT 1) SELECT i FROM n": "WITH RECURSIVE n(i) AS (SELECT 1) SELECT i FROM n",
    "With this I select all players.\n\nSELECT name FROM players": "SELECT name FROM players",
    "Select the players:\nSELECT name FROM players": "SELECT name FROM players",
    "Use `SELECT a FROM t` for that.": "SELECT a FROM t",
    'Run "SELECT a FROM t" now': "SELECT a FROM t",
    '{"sql": "SELECT a FROM t"}': "SELECT a FROM t",
    "SELECT `a` FROM `t`": "SELECT `a` FROM `t`",
    "SELECT a FROM t\nUNION\nselect b from u": "SELECT a FROM t\nUNION\nselect b from u",
    "select a from t where b in (\nSELECT c FROM u)": "select a from t where b in (\nSELECT c FROM u)",
    "<think>SELECT 1? No.</think>SELECT 2<|im_end|>": "SELECT 2",
    "VALUES (1), (2)": "VALUES (1), (2)",
    # what is no SELECT is not hidden
    "DELETE FROM players;": "DELETE FROM players",
    "INSERT INTO t\nSELECT 1": "INSERT INTO t\nSELECT 1",
    "EXPLAIN SELECT 1": "EXPLAIN SELECT 1",
    "PRAGMA table_info(t)": "PRAGMA table_info(t)",
    "CREATE TEMP VIEW v AS SELECT 1": "CREATE TEMP VIEW v AS SELECT 1",
    # nothing is repaired
    "SELCT a FROM t": "SELCT a FROM t",
    "SELECT a FROM t WHERE name = 'O'Brien'": "SELECT a FROM t WHERE name = 'O'Brien'",
    # no SQL
    "I don't know.": "I don't know.",
    "SQL: no idea": "no idea",
    "```\nno idea\n```": "no idea",
    "": "",
    " \n\t": "",
    "```": "",
    ";": "",
    "SQL:": "",
}


@pytest.mark.parametrize("reply", REPLIES)
def test_extract_sql(reply):
    assert extract_sql(reply) == REPLIES[reply]


@given(st.text(alphabet=st.sampled_from("SELECT WITH a'\"`;()[]\n-/*#:\x00\ud800 ")) | st.text())
def test_extract_sql_never_fails_and_what_it_finds_it_finds_again(reply):
    sql = extract_sql(reply)
    assert sql == sql.strip() and len(sql) <= len(reply)
    sql_finished(reply)


@given(st.text(alphabet="abc =<>.,'()\n1", max_size=40))
def test_a_bare_query_with_a_text_comes_back_whole(text):
    sql = "SELECT a FROM t WHERE b = '" + text.replace("'", "''") + "'"
    assert extract_sql(sql) == sql
    assert extract_sql(f"```sql\n{sql};\n```") == sql


BOMBS = ["SELECT ", "WITH ", "WITH x(", "`", "SELECT '", "<think>", "\n", "SELECT\n", "SELECT (", 'WITH "', "/*SELECT "]
BOMBS += ["SELECT[ ", "SELECT\n \n", "```", "<|", "\n[ ", "SQL:", "WITH x AS "]


@pytest.mark.parametrize("bomb", BOMBS)
def test_extract_sql_takes_linear_time(bomb):
    reply = "SELECT" + bomb * (200_000 // len(bomb))
    begun = time.perf_counter()
    extract_sql(reply)
    sql_finished(reply)
    assert time.perf_counter() - begun < 5


FINISHED = ["SELECT 1;", "```sql\nSELECT 1\n```", "SELECT 1\n\nThis is ", "Here it is: SELECT 1;", "SELECT ';';"]
GOING_ON = [
    "",
    "Sure; here it is",
    "SELECT 1",
    "SELECT ';",
    "SELECT 1 -- ;",
    "```sql\nSELECT 1\n",
    "SELECT 1\n\n",
    "SELECT a\n\nFR",
    "SELECT a\n\nFROM ",
    "I would SELECT all; ",
    "WITH x AS (SELECT 1)\n\n",
    "<think>SELECT 1;</think>",
]


@pytest.mark.parametrize("reply", FINISHED)
def test_finished(reply):
    assert sql_finished(reply)


@pytest.mark.parametrize("reply", GOING_ON)
def test_not_finished(reply):
    assert not sql_finished(reply)


@pytest.mark.parametrize("reply", [r for r, sql in REPLIES.items() if sql.upper().startswith(("SELECT", "WITH"))])
def test_stopping_when_finished_changes_nothing(reply):
    stops = [i for i in range(len(reply) + 1) if sql_finished(reply[:i])]
    if stops:
        assert extract_sql(reply[: stops[0]]) == REPLIES[reply]


def test_plain_puts_the_schema_before_the_question():
    messages = plain("How many?", "t(a INTEGER)")
    assert [message["role"] for message in messages] == ["system", "user"]
    assert "SQLite" in messages[0]["content"] and "one SELECT query" in messages[0]["content"]
    text = messages[1]["content"]
    assert text.index("t(a INTEGER)") < text.index("How many?") and text.endswith("Answer with the SQL only.")


def test_few_shot_tells_examples_as_turns():
    examples = [Question("1", "First?", "SELECT 1", "db"), Question("2", "Second?", "SELECT 2", "db")]
    messages = few_shot("Third?", "t(a)", examples)
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert messages[2]["content"] == "SELECT 1" and messages[4]["content"] == "SELECT 2"
    assert "t(a)" in messages[1]["content"] and "First?" in messages[1]["content"]
    assert "Third?" in messages[-1]["content"] and "t(a)" not in messages[-1]["content"]
    assert few_shot("Q?", "t(a)", []) == plain("Q?", "t(a)")


@pytest.mark.parametrize("reply", REPLIES)
def test_the_short_way_to_no_is_no_other_answer(reply, monkeypatch):
    """A reply that cannot be finished is not read: the same answers at every point as when it is."""
    replies = [mark + reply for mark in ("", "'", '"', "Here: '", "'<|x|>")]
    texts = [text[:i] for text in replies for i in range(len(text) + 1)]
    quick = [sql_finished(text) for text in texts]
    monkeypatch.setattr(prompting, "_MAY_END", prompting.re.compile(""))
    assert [sql_finished(text) for text in texts] == quick
