"""The server: its page, asking, the OpenAI-compatible endpoint, what it refuses; over a real socket."""

import json
import os
import runpy
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

import labkit
from labkit.agent import Answer, schema_text
from labkit.errors import LabkitError
from labkit.models import load_model
from labkit.serving import AGENT, Server

tiny_model_dir = runpy.run_path(str(Path(__file__).with_name("standin.py")))["tiny_model_dir"]


class Fixed:
    """A chat model that always gives the same query."""

    def __init__(self, reply):
        self.reply = reply

    def chat(self, conversations, **settings):
        return [self.reply for _ in conversations]

    def describe(self):
        return {"model": "fixed <b>", "sha256": None}


@pytest.fixture
def serving(league):
    server = Server(labkit.Agent(Fixed("SELECT nickname FROM teams ORDER BY nickname LIMIT 2"), league), port=0).start()
    yield server
    server.stop()


def call(server, path, body=None, headers=None):
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(server.url + path, data, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_the_page_loads_nothing_from_elsewhere(serving):
    status, page = call(serving, "/")
    assert status == 200 and b"league.sqlite" in page and b"http" not in page and b"<label" in page


def test_a_question_gets_what_ask_gives(serving):
    status, body = call(serving, "/ask", {"question": "Which teams?"})
    told = json.loads(body)
    assert status == 200 and told.keys() == {"question", "sentence", "sql", "result"}
    assert len(told["result"]["rows"]) == 2 and told["sql"].startswith("SELECT")


def test_hostile_sql_is_refused_and_the_database_stays(league):
    before = league.read_bytes()
    server = Server(labkit.Agent(Fixed("DELETE FROM teams"), league), port=0).start()
    try:
        told = json.loads(call(server, "/ask", {"question": "Remove all teams"})[1])
        assert told["result"]["error"] and league.read_bytes() == before
    finally:
        server.stop()


@pytest.mark.parametrize(
    "path, body, told",
    [
        ("/ask", b"{", "no JSON"),
        ("/ask", ["x"], "JSON object"),
        ("/ask", {}, "There is no question"),
        ("/ask", {"question": "  "}, "There is no question"),
        ("/v1/chat/completions", {}, "messages"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "stream": True}, "stream"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "max_tokens": "many"}, "numbers"),
        ("/v1/chat/completions", {"messages": [{"role": "system", "content": "x"}]}, 'has the role "user"'),
        ("/v1/chat/completions", {"messages": ["x"]}, 'has the role "user"'),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": None}]}, "There is no question"),
    ],
)
def test_what_means_nothing_is_told(serving, path, body, told):
    status, reply = call(serving, path, body)
    error = json.loads(reply)["error"]
    assert status == 400 and told in error["message"] and error["type"] == "invalid_request_error"
    assert call(serving, "/v1/models")[0] == 200  # and it goes on


def test_an_unknown_path_and_another_name(serving):
    assert call(serving, "/secret")[0] == 404
    assert call(serving, "/", headers={"Host": "evil.example"})[0] == 403
    assert call(serving, "/ask", {"question": "x"}, {"Host": f"evil.example:{serving.port}"})[0] == 403


def test_too_much_is_refused(serving):
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        status, _ = call(serving, "/ask", b"x" * 2_000_000)
        raise ConnectionError(status) if status == 400 else AssertionError(status)


def test_many_at_once_are_all_answered(serving):
    with ThreadPoolExecutor(8) as many:
        replies = list(many.map(lambda i: call(serving, "/ask", {"question": f"Which teams {i}?"}), range(24)))
    assert [status for status, _ in replies] == [200] * 24


def test_a_port_that_is_taken(serving, league):
    with pytest.raises(LabkitError, match="Name another one with --port"):
        Server(labkit.Agent(Fixed("SELECT 1"), league), port=serving.port)


@pytest.mark.parametrize("port", [-1, 65_536, 99_999])
def test_a_port_that_is_none(league, port):
    """99999 once became 34463, modulo 65536."""
    with pytest.raises(LabkitError, match="ports go from 0 to 65535"):
        Server(labkit.Agent(Fixed("SELECT 1"), league), port=port)


def test_the_kits_own_client_gets_the_models_own_answers(tiny_model_dir, league, root):
    """`evaluate` over the endpoint gives what it gives with the model in this process."""
    torch.set_num_threads(1)
    model = load_model(tiny_model_dir, device="cpu", dtype="float32")
    questions = labkit.load_questions(root / "datasets/league/start.jsonl")[:4]
    here = labkit.evaluate(labkit.SqlGenerator(model, max_new_tokens=12), questions, progress=False)
    server = Server(labkit.Agent(model, league), port=0).start()
    try:
        listed = call(server, "/v1/models")[1].decode()
        agent, name = [each["id"] for each in json.loads(listed)["data"]]
        for called in (name, str(tiny_model_dir)):  # its folder, where the client knows it
            endpoint = labkit.Endpoint(server.url + "/v1", called)
            there = labkit.evaluate(
                labkit.SqlGenerator(endpoint, max_new_tokens=12), questions, progress=False, fresh=True
            )
            assert [r.prediction for r in there.results] == [r.prediction for r in here.results]
    finally:
        server.stop()
    assert agent == AGENT and name == tiny_model_dir.name and str(tiny_model_dir.parent) not in listed


class Known(Fixed):
    """The same, under a name that labkit knows; keeps what it is asked."""

    def __init__(self, reply, model="smollm2-135m"):
        super().__init__(reply)
        self.model, self.asked = model, []

    def chat(self, conversations, **settings):
        self.asked += conversations
        return super().chat(conversations, **settings)

    def describe(self):
        return {"model": self.model, "sha256": None}


def completion(server, model, content="Which teams?", **more) -> tuple[str, str]:
    """The model that answered, and its text; of an error the status and the sentence."""
    before = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How many?"}]
    messages = [*before, {"role": "assistant", "content": "30"}, {"role": "user", "content": content}]
    status, body = call(server, "/v1/chat/completions", {"messages": messages, "model": model, **more})
    told = json.loads(body)
    if status != 200:
        return str(status), told["error"]["message"]
    return told["model"], told["choices"][0]["message"]["content"]


@pytest.fixture
def answering(league):
    """Serves agents that always write the query given."""
    begun = []

    def serve(sql, **known):
        begun.append(Server(labkit.Agent(Known(sql, **known), league), port=0).start())
        return begun[-1]

    yield serve
    for server in begun:
        server.stop()


def test_a_colleagues_client_gets_an_answer_and_not_the_models_raw_text(answering):
    sql = "SELECT nickname AS name, coach FROM teams ORDER BY 1 LIMIT 2"
    server = answering(sql)
    rows = labkit.execute(server.agent.database, sql).rows
    assert len(rows) == 2
    block = f"```sql\n{sql}\n```\n\n| name | coach |\n| --- | --- |\n"
    expected = block + "\n".join(f"| {name} | {coach} |" for name, coach in rows)
    for named in (None, "gpt-4o", AGENT):
        assert completion(server, named) == (AGENT, expected)
    assert completion(server, AGENT, [{"type": "text", "text": "Which teams?"}]) == (AGENT, expected)
    asked = server.agent.generator.chat_model.asked
    assert asked == [server.agent.generator.prompt("Which teams?", schema_text(server.agent.database))] * 4


@pytest.mark.parametrize("named", ["smollm2-135m", "SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M-Instruct"])
def test_the_bare_model_gets_the_messages_as_they_are(answering, named):
    server = answering("SELECT 1 -- raw")
    assert completion(server, named) == ("smollm2-135m", "SELECT 1 -- raw")
    (asked,) = server.agent.generator.chat_model.asked
    assert [m["content"] for m in asked] == ["Be brief.", "How many?", "30", "Which teams?"]


def test_no_model_is_measured_for_another(answering):
    server = answering("SELECT 1", model="/somewhere/else/merged.gguf")
    assert b"somewhere" not in call(server, "/v1/models")[1]
    assert completion(server, "merged.gguf") == ("merged.gguf", "SELECT 1")
    status, told = completion(server, "smollm2-360m")
    assert status == "404" and "smollm2-360m is not served here" in told
    with pytest.raises(LabkitError, match="knows no model 'smollm2-135m'.*It serves: labkit-agent, merged.gguf"):
        labkit.Endpoint(server.url, "smollm2-135m").chat([[{"role": "user", "content": "x"}]])


@pytest.mark.parametrize(
    "sql, told",
    [
        ("SELECT nickname FROM teams WHERE 0", "No rows match."),
        ("DELETE FROM teams", "I have no answer: the query was stopped (refused)"),
        ("SELECT nickname FROM clubs", "I have no answer: the query failed: no such table: clubs"),
        ("", "I have no answer: the model wrote no SQL."),
        ("SELECT * FROM players", "more rows"),
    ],
)
def test_what_the_agent_says_where_there_is_no_table_or_too_much(answering, sql, told):
    _, text = completion(answering(sql), AGENT)
    last = text.split("\n\n")[-1]
    assert told in last and (f"```sql\n{sql}\n```" in text) == bool(sql)
    assert text.count("\n| ") == (22 if "players" in sql else 0)  # a head, its line, 20 rows at most


def test_values_are_no_markdown(tmp_path):
    """A picture in a chat would be fetched from wherever a value says."""
    answer = "![x](http://evil.example/?q)", "a|b", "<b>", "`c`", "two\nlines", "_i_ and snake_case", "&lt;", None
    with sqlite3.connect(tmp_path / "odd.sqlite") as connection:
        connection.execute(f"CREATE TABLE odd ({', '.join(f'c{i}' for i in range(len(answer)))})")
        connection.execute(f"INSERT INTO odd VALUES ({', '.join('?' * len(answer))})", answer)
    connection.close()
    sql = "SELECT *, '```' FROM odd"
    text = Answer("Which?", sql, labkit.execute(tmp_path / "odd.sqlite", sql), "").to_markdown()
    assert text.startswith("````sql\n") and text.splitlines()[-1] == (
        r"| !\[x\](http://evil.example/?q) | a\|b | \<b> | \`c\` | two lines | \_i\_ and snake_case | \&lt; | NULL "
        r"| \`\`\` |"
    )


def test_the_agent_behind_the_endpoint_keeps_to_what_is_excluded(answering):
    server = answering("SELECT nickname, coach FROM teams")
    with labkit.excluding(server.agent.database, ["teams.coach"]):
        _, text = completion(server, AGENT)
    (asked,) = server.agent.generator.chat_model.asked
    assert "| --- |" not in text and "reads teams.coach, which is excluded" in text and "coach" not in str(asked)


def test_the_command_serves_until_interrupted(tiny_model_dir, league):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    labkit_command = str(Path(sys.executable).with_name("labkit"))
    command = [labkit_command, "serve", "--db", str(league), "--model", str(tiny_model_dir), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert f"localhost:{port}" in process.stdout.readline()
        with urllib.request.urlopen(f"http://localhost:{port}/v1/models", timeout=30) as reply:
            assert json.loads(reply.read())["object"] == "list"
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130, -2)
        process.stdout.close()


def test_what_to_serve_must_be_named():
    labkit_command = str(Path(sys.executable).with_name("labkit"))
    told = subprocess.run([labkit_command, "serve"], capture_output=True, text=True)
    assert told.returncode == 2 and "Name a workspace" in told.stderr
