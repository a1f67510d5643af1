"""A model behind an OpenAI-compatible endpoint, as a chat model: the same `.chat` and `.describe` as `models.Model`.

It says what leaves this machine before anything does. It is not a client for all that such an API offers: messages go
out, text comes back. No torch, no vendor's package.
"""

import hashlib
import ipaddress
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from email.utils import parsedate_to_datetime

import httpx

from labkit.errors import LabkitError
from labkit.notices import notice

LONGEST_WAIT = 60.0  # seconds between two attempts, whatever the server asks for


class Endpoint:
    """`model` as served under `base_url`, such as "http://localhost:8000/v1" or "https://api.openai.com/v1".

    The key is `api_key`, else the variable LABKIT_API_KEY, else OPENAI_API_KEY, but that one goes to openai.com only.
    At most `concurrency` requests are under way at once. A request that fails in passing (no answer within `timeout`
    seconds, too many requests, the server's own errors) is tried `retries` times more, at growing intervals.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        *,
        concurrency: int = 8,
        timeout: float = 120.0,
        retries: int = 4,
    ):
        self.base_url = _base_url(base_url)
        self.model = model
        self.host = httpx.URL(self.base_url).host
        self.concurrency, self.timeout, self.retries = max(1, concurrency), timeout, retries
        self._key = _api_key(api_key, self.host)
        self._told = self._reached = False

    @property
    def local(self) -> bool:
        """Is the endpoint this very machine?"""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def disclosure(self) -> str:
        """What leaves this machine, in a sentence."""
        if self.local:
            return f"Nothing leaves this machine: {self.host} is its own."
        plain = " unencrypted" if self.base_url.startswith("http:") else ""
        return (
            f"To {self.host} goes{plain}, for each question: the question, the schema of its database with sample "
            "values, and whatever else the prompt holds."
        )

    def describe(self) -> dict:
        """What a run records of the model, JSON values only; its weights' hash is unknown from here."""
        return {"model": self.model, "sha256": None, "adapter": None, "device": self.base_url, "dtype": None}

    def chat(
        self,
        conversations: Sequence[Sequence[dict]],
        *,
        max_new_tokens: int = 160,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        stop: Callable[[str], bool] | None = None,
        progress: bool = True,
    ) -> list[str]:
        """Answer each conversation, in the order given. LabkitError tells why an answer could not be had.

        `stop` cuts an answer where it first holds. What is off (top_k, top_p; the seed when greedy) is not sent, for
        not every server knows it; how well a server keeps to a seed is its own affair.
        """
        from tqdm.auto import tqdm

        self._tell()
        settings = {"model": self.model, "max_tokens": max_new_tokens, "temperature": temperature}
        settings |= {"top_p": top_p} if top_p < 1 else {}
        settings |= {"top_k": top_k} if top_k else {}
        bodies = [settings | {"messages": _clean(messages)} for messages in conversations]
        if temperature > 0:
            _add_seeds(bodies, seed)
        quiet = not progress or bool(os.environ.get("CI"))
        with tqdm(total=len(bodies), unit="answer", desc="Answering", disable=quiet, leave=False) as bar:
            replies = self._all(bodies, bar)
        return [_cut(reply, stop) for reply in replies]

    def _tell(self) -> None:
        if not self._told and not self.local:
            notice(self.disclosure)
        self._told = True

    def _all(self, bodies: list[dict], bar) -> list[str]:
        """All answers; the first failure ends the rest."""
        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        timeout = httpx.Timeout(self.timeout, connect=10)
        ended = threading.Event()
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="endpoint")
        with httpx.Client(headers=headers, timeout=timeout, trust_env=not self.local) as client:
            tasks = [pool.submit(self._answer, client, body, ended) for body in bodies]
            for task in tasks:
                task.add_done_callback(lambda _: bar.update())
            try:
                done, _ = wait(tasks, return_when=FIRST_EXCEPTION)
                for task in done:
                    task.result()
                return [task.result() for task in tasks]
            finally:
                ended.set()  # wakes those that wait for another attempt
                pool.shutdown(wait=False, cancel_futures=True)

    def _answer(self, client: httpx.Client, body: dict, ended: threading.Event) -> str:
        """One answer, tried again while the failure may pass."""
        for attempt in range(self.retries + 1):
            last = attempt == self.retries
            try:
                response = client.post(f"{self.base_url}/chat/completions", json=body)
            except httpx.TransportError as error:
                if last or (isinstance(error, httpx.ConnectError) and not self._reached):
                    raise LabkitError(self._unreachable(error)) from error
                response = None
            else:
                self._reached = True
                if response.status_code < 300:
                    return self._text(response)
                if last or not _may_pass(response):
                    raise LabkitError(self._refusal(client, response))
            if ended.wait(_pause(attempt, response)):
                return ""  # another request has failed for good, or the user has interrupted
        raise AssertionError("the last attempt returns or raises")

    def _unreachable(self, error: httpx.TransportError) -> str:
        if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
            return f"{self.base_url} gave no answer within {self.timeout:g} seconds. Is it overloaded? Raise `timeout`."
        reason = str(error) or type(error).__name__
        return f"No server can be reached at {self.base_url} ({reason}). Check that it runs, and the address."

    def _refusal(self, client: httpx.Client, response: httpx.Response) -> str:
        status, said = response.status_code, _message(response)
        if status in (401, 403):
            held = "The key that was sent is not accepted" if self._key else "No key was sent"
            return f"{self.host} refuses access ({status}: {said}). {held}; set LABKIT_API_KEY to a valid one."
        if status == 404:
            offered = self._offered(client)
            models = (
                f"It serves: {', '.join(offered[:10])}."
                if offered
                else "Check the model's name, and that the URL ends in /v1."
            )
            return (
                f"{self.base_url} knows no model {self.model!r}, or is no OpenAI-compatible address ({said}). {models}"
            )
        if status == 429:
            return f"{self.host} takes no more requests now ({said}). Lower `concurrency`, or go on later."
        if 300 <= status < 400:
            return f"{self.base_url} has moved to {response.headers.get('location', 'elsewhere')}; use that address."
        return f"{self.base_url} answered {status}: {said}"

    def _offered(self, client: httpx.Client) -> list[str]:
        try:
            data = client.get(f"{self.base_url}/models", timeout=5).json()["data"]
            return [str(model["id"]) for model in data]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return []

    def _text(self, response: httpx.Response) -> str:
        try:
            content = response.json()["choices"][0]["message"].get("content")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise LabkitError(
                f"{self.base_url} answered something that is no chat completion: {response.text[:120]!r}. Is it an "
                "OpenAI-compatible address (often it ends in /v1)?"
            ) from error
        if isinstance(content, list):  # in parts, of which the text counts
            content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
        return content if isinstance(content, str) else ""


def _base_url(text: str) -> str:
    """With scheme and path, without a slash at the end: https://host/v1"""
    try:
        url = httpx.URL(str(text).strip().rstrip("/").removesuffix("/chat/completions"))
    except (httpx.InvalidURL, ValueError) as error:
        raise LabkitError(f"{text!r} is no URL: {error}. An endpoint looks like http://localhost:8000/v1.") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise LabkitError(f"{text!r} is no URL of an endpoint. One looks like http://localhost:8000/v1.")
    if url.userinfo:
        raise LabkitError("Don't write a password into the URL, it would be stored with each run: set LABKIT_API_KEY.")
    return str(url).rstrip("/") + ("/v1" if url.path in ("", "/") else "")


def _api_key(given: str | None, host: str) -> str | None:
    key = given or os.environ.get("LABKIT_API_KEY")
    if not key and (host == "openai.com" or host.endswith(".openai.com")):
        key = os.environ.get("OPENAI_API_KEY")
    key = (key or "").strip()
    if not key.isascii() or any(c.isspace() for c in key):
        raise LabkitError("The API key holds a space or a letter that no key has; was it copied whole?")
    return key or None


def _clean(messages: Sequence[dict]) -> list[dict]:
    """The messages as JSON takes them: half a surrogate pair becomes a question mark."""
    try:
        return [{**m, "content": m["content"].encode("utf-8", "replace").decode()} for m in messages]
    except (TypeError, KeyError, AttributeError) as error:
        raise LabkitError('A conversation is a list of messages, each {"role": ..., "content": text}.') from error


def _add_seeds(bodies: list[dict], seed: int) -> None:
    """A seed for each, from `seed`, the conversation, and how often it came before: not from its place in the call."""
    seen: Counter = Counter()
    for body in bodies:
        conversation = repr(body["messages"])
        digest = hashlib.sha256(f"{seed} {seen[conversation]} {conversation}".encode("utf-8", "replace")).digest()
        body["seed"] = int.from_bytes(digest[:4], "big") >> 1
        seen[conversation] += 1


def _may_pass(response: httpx.Response) -> bool:
    if response.status_code == 429:
        return "insufficient_quota" not in response.text  # an empty account does not fill by waiting
    return response.status_code in (408, 409, 425) or response.status_code >= 500


def _pause(attempt: int, response: httpx.Response | None) -> float:
    """Seconds until the next attempt: what the server asks for, else 1, 2, 4 ... give or take a quarter."""
    asked = response.headers.get("retry-after", "") if response is not None else ""
    try:
        seconds = float(asked)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(asked).timestamp() - time.time()
        except ValueError:
            seconds = 2**attempt * random.uniform(0.75, 1.25)
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _message(response: httpx.Response) -> str:
    """The server's own words."""
    try:
        data = response.json()
        error = data.get("error", data.get("detail", data.get("message", data)))
        said = error.get("message", error) if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        said = response.text
    return " ".join(str(said).split())[:300] or response.reason_phrase or "no reason given"


def _cut(reply: str, stop: Callable[[str], bool] | None) -> str:
    if stop is None:
        return reply
    return next((reply[:end] for end in range(1, len(reply)) if stop(reply[:end])), reply)
