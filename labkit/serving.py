"""A tuned agent for colleagues: a page on which to ask, and agent and model behind an OpenAI-compatible endpoint.

    GET  /                     the page
    POST /ask                  {"question"} -> {"question", "sentence", "sql", "result"}, as `labkit ask --json` prints
    GET  /v1/models            two: the agent, and the bare model by its name
    POST /v1/chat/completions  messages -> one reply; no streaming

As "model" a request names the bare model, which gets the messages as they are and writes what it writes (`labkit
evaluate --base-url` measures it so), or anything else: then the agent answers the last question of the user, with its
SQL and the rows. A model that labkit knows and that is not the one served is refused, so that none is measured for
another.

One answer is computed at a time, others wait their turn. The model's SQL runs in the sandbox, as everywhere. Bound to
this machine by default: there is no login, and whoever reaches the port may ask. Tornado serves it, which Jupyter
brings along.
"""

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from labkit.agent import Agent
from labkit.errors import LabkitError
from labkit.fetching import known_models

LOCAL = ("127.0.0.1", "localhost", "::1")
_LARGEST = 1_000_000  # bytes of a request
_MOST_TOKENS = 1_000
AGENT = "labkit-agent"  # its name behind the endpoint
_PAGE = Path(__file__).with_name("ask.html")


class Server:
    """Serves `agent` on `host`:`port` (0: any free one). `serve()` until interrupted, or `start()` and `stop()`."""

    def __init__(self, agent: Agent, host: str = "127.0.0.1", port: int = 8642):
        self.agent, self.host = agent, host
        self.model, self.also_called = _names(str(agent.generator.chat_model.describe().get("model")))
        self.one = ThreadPoolExecutor(1)  # a model answers one request at a time
        if not 0 <= port <= 65_535:
            raise LabkitError(f"Port {port} cannot be used: ports go from 0 to 65535. Name another one with --port.")
        try:
            self.sockets = bind_sockets(port, host)
        except OSError as error:
            raise LabkitError(
                f"Port {port} on {host} cannot be used: {error}. Name another one with --port."
            ) from error
        self.port = self.sockets[0].getsockname()[1]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._end = None

    @property
    def url(self) -> str:
        return f"http://{'localhost' if self.host in LOCAL else self.host}:{self.port}"

    def serve(self) -> None:
        """Until `stop`, or an interrupt."""
        asyncio.run(self._run())

    def start(self) -> "Server":
        """In a thread; returns once it listens."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)), daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def stop(self) -> None:
        """Finish the answer under way and close the port."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._end.set)
        if self._thread:
            self._thread.join()
        self.one.shutdown()

    async def _run(self, ready: threading.Event | None = None) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        about = {"server": self}
        routes = [("/", _Page, about), ("/ask", _Ask, about), ("/v1/models", _Models, about)]
        routes.append(("/v1/chat/completions", _Chat, about))
        http = HTTPServer(Application(routes), max_body_size=_LARGEST)
        http.add_sockets(self.sockets)
        if ready:
            ready.set()
        await self._end.wait()
        http.stop()
        await http.close_all_connections()


class _Handler(RequestHandler):
    def initialize(self, server: Server) -> None:
        self.server = server

    def prepare(self) -> None:
        name = self.request.host.rpartition(":")[0] if self.request.host.count(":") == 1 else self.request.host
        if self.server.host in LOCAL and name.strip("[]") not in LOCAL:  # a page elsewhere must not reach in by a name
            raise HTTPError(403, reason="this server answers to its own machine only")

    def set_default_headers(self) -> None:
        self.set_header("Server", "labkit")

    def write_error(self, status: int, **kwargs) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        told = str(error) if isinstance(error, LabkitError) else getattr(error, "reason", None) or self._reason
        status = 400 if isinstance(error, LabkitError) else status
        self.set_status(status)
        self.finish({"error": {"message": told, "type": "invalid_request_error" if status < 500 else "server_error"}})

    def log_exception(self, kind, error, trace) -> None:
        if not isinstance(error, (HTTPError, LabkitError)):
            super().log_exception(kind, error, trace)

    def told(self) -> dict:
        """The request's JSON object."""
        try:
            found = json.loads(self.request.body)
        except ValueError as error:
            raise LabkitError(f"The request is no JSON: {error}.") from error
        if not isinstance(found, dict):
            raise LabkitError("The request must be a JSON object.")
        return found

    async def compute(self, function, *args):
        return await asyncio.get_running_loop().run_in_executor(self.server.one, function, *args)


class _Page(_Handler):
    def get(self) -> None:
        self.finish(_PAGE.read_text("utf-8").replace("__NAME__", escape(Path(self.server.agent.database).name)))


class _Ask(_Handler):
    async def post(self) -> None:
        question = self.told().get("question")
        answer = await self.compute(self.server.agent.ask, question)
        result = answer.result.to_json()
        self.finish({"question": question, "sentence": answer.sentence, "sql": answer.sql, "result": result})


class _Models(_Handler):
    def get(self) -> None:
        about = {"object": "model", "owned_by": "labkit"}
        self.finish({"object": "list", "data": [{"id": name, **about} for name in (AGENT, self.server.model)]})


class _Chat(_Handler):
    async def post(self) -> None:
        told = self.told()
        messages = told.get("messages")
        if told.get("stream"):
            raise LabkitError("This server does not stream. Ask with stream: false.")
        if not isinstance(messages, list) or not messages:
            raise LabkitError('Give "messages", a list of {"role", "content"}.')
        settings = _settings(told)
        if bare := self._wants_the_model(told.get("model")):
            model = self.server.agent.generator.chat_model
            (reply,) = await self.compute(lambda: model.chat([messages], **settings))
        else:
            answer = await self.compute(self.server.agent.ask, _question(messages))
            reply = answer.to_markdown()
        choice = {"index": 0, "message": {"role": "assistant", "content": reply}, "finish_reason": "stop"}
        about = {"id": f"chatcmpl-{time.time_ns():x}", "object": "chat.completion", "created": int(time.time())}
        self.finish(about | {"model": self.server.model if bare else AGENT, "choices": [choice]})

    def _wants_the_model(self, named: object) -> bool:
        """Whether a request's "model" is the bare one, not the agent."""
        name = str(named).casefold()
        if name in self.server.also_called:
            return True
        if any(name in (known.name.casefold(), known.hub_id.casefold()) for known in known_models()):
            raise HTTPError(404, reason=f"{name} is not served here; {AGENT} and {self.server.model} are")
        return False


def _settings(told: dict) -> dict:
    """What a request says of decoding, as `chat` takes it."""
    most = told.get("max_completion_tokens", told.get("max_tokens")) or 300
    settings = {
        "temperature": told.get("temperature", 0.0),
        "top_p": told.get("top_p", 1.0),
        "seed": told.get("seed") or 0,
    }
    if not all(isinstance(value, (int, float)) for value in (most, *settings.values())):
        raise LabkitError("max_tokens, temperature, top_p and seed are numbers.")
    return settings | {"max_new_tokens": min(int(most), _MOST_TOKENS), "progress": False}


def _question(messages: list) -> str:
    """The text of the user's last message, which may come in parts."""
    said = [m.get("content") for m in messages if isinstance(m, dict) and m.get("role") == "user"]
    if not said:
        raise LabkitError('No message has the role "user": there is no question to answer.')
    if isinstance(said[-1], list):
        parts = [part.get("text") for part in said[-1] if isinstance(part, dict)]
        return "\n".join(text for text in parts if isinstance(text, str))
    return said[-1]


def _names(model: str) -> tuple[str, set[str]]:
    """A model's name to show, of a folder or file its last part alone, and all names that mean it, in lower case."""
    path = Path(model).expanduser()
    shown = path.resolve().name if path.exists() or path.is_absolute() else model
    means = {model, shown}
    for known in known_models():
        means |= {known.name, known.hub_id} if model.casefold() in (known.name, known.hub_id.casefold()) else set()
    return shown, {name.casefold() for name in means}
