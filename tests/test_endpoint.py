"""The endpoint against a real server, and against one that misbehaves in every way that servers do."""

import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from labkit import endpoint
from labkit.endpoint import Endpoint
from labkit.errors import LabkitError

tiny_model_dir = runpy.run_path(str(Path(__file__).with_name("standin.py")))["tiny_model_dir"]

QUESTIONS = ["How many players?", "What is the capital of France?", "Which team won?", "Höhe \ud83d 李?"]
CONVERSATIONS = [[{"role": "user", "content": question}] for question in QUESTIONS]


# --- a server that does as it is told


class Server(ThreadingHTTPServer):
    """Answers with `script(number of the request, body) -> (status, headers, text)`; keeps what it was sent."""

    daemon_threads = True

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.seen, self.under_way, self.most = script, [], 0, 0
        self.lock = threading.Lock()

    def handle_error(self, request, client_address):
        """A client that has gone is part of the game."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with server.lock:
            server.seen.append((self.path, dict(self.headers), body))
            number = len(server.seen)
            server.under_way += 1
            server.most = max(server.most, server.under_way)
        try:
            status, headers, text = server.script(number, body)
        finally:
            with server.lock:
                server.under_way -= 1
        self.reply(status, headers, text)

    def do_GET(self):
        self.reply(200, {}, json.dumps({"data": [{"id": "good-model"}, {"id": "other"}]}))

    def reply(self, status, headers, text):
        data = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        for name, value in {"content-length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


def answer(text):
    return 200, {}, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]})


def echo(number, body):
    return answer(body["messages"][-1]["content"])


@contextmanager
def serving(script):
    server = Server(script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def no_keys_and_short_pauses(monkeypatch):
    for name in ("LABKIT_API_KEY", "OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(endpoint.random, "uniform", lambda low, high: 0.001)


def test_answers_come_in_the_order_asked_whatever_the_order_they_arrive():
    def slow_first(number, body):
        time.sleep(0.3 if "players" in body["messages"][-1]["content"] else 0)
        return echo(number, body)

    with serving(slow_first) as server:
        replies = Endpoint(server.url, "good-model").chat(CONVERSATIONS)
    assert replies == [question.replace("\ud83d", "?") for question in QUESTIONS]


def test_what_is_sent():
    with serving(echo) as server:
        model = Endpoint(server.url + "/", "good-model", api_key="secret")
        model.chat(CONVERSATIONS[:1], max_new_tokens=7)
        model.chat(CONVERSATIONS[:1], temperature=0.5, top_p=0.9, top_k=5, seed=3)
    (path, headers, greedy), (_, _, sampled) = server.seen
    assert path == "/v1/chat/completions" and headers["authorization"] == "Bearer secret"
    expected = {"model": "good-model", "max_tokens": 7, "temperature": 0.0, "messages": CONVERSATIONS[0]}
    assert greedy == expected  # nothing that a server might not know
    assert (sampled["top_p"], sampled["top_k"]) == (0.9, 5) and 0 <= sampled["seed"] < 2**31


def test_seeds_depend_on_seed_and_conversation_only():
    def seeds(conversations, seed):
        with serving(echo) as server:
            Endpoint(server.url, "m").chat(conversations, temperature=1, seed=seed)
        return {(json.dumps(body["messages"]), body["seed"]) for _, _, body in server.seen}

    together = seeds(CONVERSATIONS, 1)
    assert together == seeds(CONVERSATIONS[::-1], 1) == {*seeds(CONVERSATIONS[:1], 1), *seeds(CONVERSATIONS[1:], 1)}
    assert not together & seeds(CONVERSATIONS, 2)
    assert len(seeds(CONVERSATIONS[:1] * 3, 1)) == 3  # the same thrice draws thrice


def test_no_more_requests_at_once_than_allowed():
    def slow(number, body):
        time.sleep(0.05)
        return echo(number, body)

    with serving(slow) as server:
        Endpoint(server.url, "m", concurrency=3).chat(CONVERSATIONS * 4)
    assert server.most == 3


@pytest.mark.parametrize("status", [500, 502, 503, 529, 408, 429])
def test_what_may_pass_is_tried_again(status):
    with serving(lambda n, body: (status, {}, "wait") if n < 3 else echo(n, body)) as server:
        assert Endpoint(server.url, "m").chat(CONVERSATIONS[:1]) == QUESTIONS[:1]
    assert len(server.seen) == 3


def test_a_dropped_connection_is_tried_again():
    with serving(lambda n, body: (200, {"content-length": "999"}, "{") if n == 1 else echo(n, body)) as server:
        assert Endpoint(server.url, "m", timeout=0.5).chat(CONVERSATIONS[:1]) == QUESTIONS[:1]


@pytest.mark.parametrize(
    ("status", "text", "sentence", "requests"),
    [
        (500, "boom", "answered 500: boom", 3),
        (429, '{"error": {"message": "slow down"}}', r"no more requests now \(slow down\)", 3),
        (429, '{"error": {"message": "pay", "code": "insufficient_quota"}}', "no more requests now", 1),
        (401, '{"error": {"message": "bad key"}}', "refuses access .401: bad key.*No key was sent.*LABKIT_API_KEY", 1),
        (403, "", "refuses access", 1),
        (404, "no", "knows no model 'm'.*It serves: good-model, other", 1),
        (400, '{"detail": "prompt too long"}', "answered 400: prompt too long", 1),
        (422, '["odd"]', "answered 422", 1),
        (301, "", "has moved to http://elsewhere", 1),
    ],
)
def test_what_does_not_pass_is_a_sentence(status, text, sentence, requests):
    refusal = (status, {"location": "http://elsewhere"}, text)
    with serving(lambda n, body: refusal) as server, pytest.raises(LabkitError, match=sentence):
        Endpoint(server.url, "m", retries=2).chat(CONVERSATIONS[:1])
    assert len(server.seen) == requests


@pytest.mark.parametrize(
    "text",
    [
        "<html>log in</html>",
        "",
        "null",
        "[]",
        "{}",
        '{"choices": []}',
        '{"choices": [{}]}',
        '{"choices": [{"message": null}]}',
    ]
    + [b"\xff\xfe\x00"],
)
def test_garbage_is_told_to_be_no_completion(text):
    with serving(lambda n, body: (200, {}, text)) as server, pytest.raises(LabkitError, match="no chat completion"):
        Endpoint(server.url, "m").chat(CONVERSATIONS[:1])
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("content", "text"), [(None, ""), ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"), (7, "")]
)
def test_content_in_other_shapes(content, text):
    with serving(lambda n, body: answer(content)) as server:
        assert Endpoint(server.url, "m").chat(CONVERSATIONS[:1]) == [text]


def test_no_answer_in_time_is_a_sentence():
    sentence = "no answer within 0.2 seconds"
    with (
        serving(lambda n, body: (time.sleep(0.6), echo(n, body))[1]) as server,
        pytest.raises(LabkitError, match=sentence),
    ):
        Endpoint(server.url, "m", timeout=0.2, retries=1).chat(CONVERSATIONS[:1])
    assert len(server.seen) == 2


@pytest.mark.alone
def test_no_server_is_a_sentence_at_once():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        start = time.monotonic()
        with pytest.raises(LabkitError, match="No server can be reached at http://127.0.0.1"):
            Endpoint(f"http://127.0.0.1:{held.getsockname()[1]}", "m").chat(CONVERSATIONS)
    assert time.monotonic() - start < 2


def test_one_failure_ends_the_rest():
    def script(number, body):
        time.sleep(0.02)
        return (400, {}, "no") if number == 3 else echo(number, body)

    with serving(script) as server, pytest.raises(LabkitError, match="400"):
        Endpoint(server.url, "m", concurrency=2).chat(CONVERSATIONS * 25)
    assert len(server.seen) < 20


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("0", 0), ("99999", 60), ("-5", 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)]
)
def test_the_pause_that_a_server_asks_for(header, seconds):
    assert endpoint._pause(0, httpx.Response(429, headers={"retry-after": header})) == seconds


def test_pauses_grow_without_a_wish(monkeypatch):
    monkeypatch.setattr(endpoint.random, "uniform", lambda low, high: low)
    for response in (None, httpx.Response(500), httpx.Response(500, headers={"retry-after": "soon"})):
        assert [endpoint._pause(attempt, response) for attempt in (0, 1, 2, 9)] == [0.75, 1.5, 3, 60]


def test_stop_cuts_the_answer():
    with serving(lambda n, body: answer("SELECT 1; and more")) as server:
        assert Endpoint(server.url, "m").chat(CONVERSATIONS[:1], stop=lambda text: ";" in text) == ["SELECT 1;"]


@pytest.mark.parametrize(
    "url", ["", "localhost:8000", "ftp://host/v1", "http://", "http://host:port", "https://me:pw@host/v1"]
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(LabkitError) as error:
        Endpoint(url, "m")
    assert "pw" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://localhost:8000/", "http://localhost:8000/v1"),
        ("https://host/openai/v1/", "https://host/openai/v1"),
        ("https://host/v1/chat/completions", "https://host/v1"),
    ],
)
def test_the_address_that_is_used(given, used):
    assert Endpoint(given, "m").base_url == used


# --- what leaves the machine


def test_it_says_once_what_leaves_the_machine(monkeypatch, capsys):
    model = Endpoint("http://models.example", "m", retries=0)
    monkeypatch.setattr(Endpoint, "_all", lambda self, bodies, bar: [""] * len(bodies))
    model.chat(CONVERSATIONS, progress=False)
    model.chat(CONVERSATIONS, progress=False)
    said = capsys.readouterr()
    assert said.err.count("models.example") == 1 and said.out == ""
    assert "unencrypted" in said.err and "sample values" in said.err
    assert "unencrypted" not in Endpoint("https://models.example", "m").disclosure


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:1", True),
        ("http://127.9.9.9:1", True),
        ("http://[::1]:1", True),
        ("http://192.168.1.5:1", False),
        ("http://localhost.example:1", False),
        ("http://0177.example", False),
    ],
)
def test_nothing_leaves_for_this_machine(url, local, capsys, monkeypatch):
    monkeypatch.setattr(Endpoint, "_all", lambda self, bodies, bar: [])
    model = Endpoint(url, "m")
    model.chat([], progress=False)
    assert model.local == local and (capsys.readouterr().err == "") == local
    assert model.disclosure.startswith("Nothing leaves") == local


def test_openais_key_goes_to_openai_only(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "for-openai")
    assert Endpoint("https://api.openai.com/v1", "m")._key == "for-openai"
    for other in ("https://openai.com.example/v1", "https://notopenai.com/v1", "http://localhost:1"):
        assert Endpoint(other, "m")._key is None
    monkeypatch.setenv("LABKIT_API_KEY", "for-all\n")
    assert Endpoint("http://localhost:1", "m")._key == "for-all"
    with pytest.raises(LabkitError, match="copied whole"):
        Endpoint("http://localhost:1", "m", api_key="two words")


def test_no_key_is_ever_told(capsys):
    with serving(lambda n, body: (401, {}, "no")) as server:
        model = Endpoint(server.url, "m", api_key="sk-secret")
        with pytest.raises(LabkitError) as error:
            model.chat(CONVERSATIONS[:1])
    told = str(error.value) + json.dumps(model.describe()) + repr(model) + str(capsys.readouterr())
    assert "sk-secret" not in told and "is not accepted" in told


def test_a_proxy_is_not_asked_for_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with serving(echo) as server:
        assert Endpoint(server.url, "m").chat(CONVERSATIONS[:1]) == QUESTIONS[:1]


def test_light_to_import():
    code = "import labkit.endpoint, sys; print('torch' in sys.modules, 'openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False False\n"


# --- a real server


@contextmanager
def transformers_serve(folder, tmp_path):
    """`transformers serve` on a local folder with the hubs off; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | offline)
        try:
            for _ in range(600):
                assert process.poll() is None, (tmp_path / "log").read_text()
                try:
                    httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False)
                    break
                except httpx.TransportError:
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def test_a_real_server_gives_the_text_of_the_same_model_here(tiny_model_dir, tmp_path):
    from labkit.models import load_model

    with transformers_serve(tiny_model_dir, tmp_path) as url:
        model = Endpoint(url, str(tiny_model_dir))
        replies = model.chat(CONVERSATIONS, max_new_tokens=12)
        with pytest.raises(LabkitError, match="nosuch"):
            Endpoint(url, "nosuch").chat(CONVERSATIONS[:1])
    local = load_model(tiny_model_dir, device="cpu", dtype="float32")
    assert replies == local.chat(CONVERSATIONS, max_new_tokens=12)
    assert model.describe().keys() <= local.describe().keys()


@pytest.mark.real
def test_a_real_server_with_the_real_model(tmp_path):
    from labkit.models import fetch_model

    folder = fetch_model()
    with transformers_serve(folder, tmp_path) as url:
        assert Endpoint(url, str(folder)).chat(CONVERSATIONS[1:2], max_new_tokens=12) == [
            "The capital of France is Paris."
        ]
