"""A class on a real JupyterHub: `make test-hub`, as root, on a machine to throw away; `make test` leaves it out.

Two system users are made, log in with their passwords, start their servers, and pass the first exercise of Lab 0 in a
kernel. Both models come out of one folder that only root writes; what each passed is in their own home, which the other
cannot read. In the end hub and users are gone.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from labkit.fetching import fetch_model

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / ".venv-hub" / "bin"
GROUP, NAMES = "labkit-class", ("labkit-ada", "labkit-bo")
pytestmark = [pytest.mark.real, pytest.mark.timeout(3600)]

# What a learner types: the exercise's cell, the check, and what the rest of this test wants to know.
LEARNER = """
import getpass, os, pathlib
import numpy as np
import labkit
from labkit import course
from labkit.home import home
from labkit.wheels import models_folder

def temperature(logits, t):
    weights = np.exp((logits - logits.max()) / t)
    return weights / weights.sum()

print(course.check("lab00.temperature", temperature))
model = labkit.load_model()
print("MODELS", models_folder())
asked = [[{"role": "user", "content": "What is the capital of France?"}]]
print("SAYS", model.chat(asked, max_new_tokens=8, progress=False)[0])
try:
    (models_folder() / "mine").write_text("x")
    print("WRITES")
except OSError:
    print("CANNOT WRITE")
here = pathlib.Path.home()
print("I AM", getpass.getuser(), "AT", here, "LABS", len(list((here / "my-labs").glob("lab*.ipynb"))))
print("KEEPS", home())
"""


def admin(*words: str, **options) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def passwords():
    """Two users of this machine, for the length of the test."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.fail("make test-hub makes two system users: run it as root, on a machine that you can throw away.")
    found = subprocess.run(["runuser", "-u", "nobody", "--", TOOLS / "python", "-c", "import torch"])
    if found.returncode:
        pytest.fail(
            "Other users cannot run the kit's Python, which lies in a folder that is not theirs to read. Clone the kit "
            "where all may read, and name a Python of the system: make test-hub HUB_PYTHON=/usr/bin/python3"
        )
    words = {name: secrets.token_urlsafe(12) for name in NAMES}
    admin("groupadd", "--force", GROUP)
    try:
        for name, word in words.items():
            admin("useradd", "--create-home", "--key", "HOME_MODE=0700", "--groups", GROUP, name)
            admin("chpasswd", input=f"{name}:{word}")
        yield words
    finally:
        for name in words:
            subprocess.run(["userdel", "--remove", "--force", name], capture_output=True)
        subprocess.run(["groupdel", GROUP], capture_output=True)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """One folder of models that all read and nobody but root writes."""
    folder = Path("/srv") / f"labkit-{uuid4().hex[:8]}"
    folder.mkdir(mode=0o755)
    made = shutil.copytree(fetch_model(), folder / "smollm2-135m")
    for path in (made, *made.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def hub(passwords, models, tmp_path_factory) -> str:
    """The address of a running hub."""
    url = f"http://127.0.0.1:{free_port()}"
    folder = tmp_path_factory.mktemp("hub")
    told = {**os.environ, "LABKIT_MODELS": str(models), "LABKIT_HUB_URL": url, "LABKIT_LEARNERS": GROUP}
    told["PATH"] = f"{TOOLS}{os.pathsep}{told['PATH']}"
    command = [
        TOOLS / "jupyterhub",
        "-f",
        ROOT / "docs" / "jupyterhub_config.py",
        f"--JupyterHub.hub_port={free_port()}",
    ]
    command.append(f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{free_port()}")
    with (folder / "log").open("w") as log:
        for _ in range(5):  # JupyterHub gives its proxy ten seconds, which a busy machine may not have
            process = subprocess.Popen(command, cwd=folder, env=told, stdout=log, stderr=log, start_new_session=True)
            with contextlib.suppress(AssertionError):
                wait_for(lambda p=process: answers(f"{url}/hub/health") or p.poll() is not None, 300)
            if process.poll() is None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # the proxy that came too late
        try:
            assert answers(f"{url}/hub/health"), (folder / "log").read_text()[-4000:]
            yield url
        finally:
            process.terminate()  # ends the users' servers and the proxy too
            process.wait(60)
            print((folder / "log").read_text()[-3000:])


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url, timeout=10).status_code == 200
    return False


def wait_for(ready, seconds: float, told=lambda: "") -> None:
    until = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < until, f"nothing within {seconds:.0f} s: {told()}"
        time.sleep(1)


def log_in(url: str, name: str, word: str) -> httpx.Client:
    """A browser's session: the form, its hidden field, the password."""
    browser = httpx.Client(base_url=url, follow_redirects=True, timeout=300)
    browser.get("/hub/login")
    form = {"username": name, "password": word, "_xsrf": browser.cookies.get("_xsrf", path="/hub/")}
    answer = browser.post("/hub/login", data=form, params={"next": "/hub/home"})
    assert answer.status_code == (403 if word == "wrong" else 200), answer.text[:2000]
    return browser


def start_server(url: str, browser: httpx.Client, name: str) -> str:
    """Start the user's server; a token for it."""
    said = {"X-XSRFToken": browser.cookies.get("_xsrf", path="/hub/"), "Referer": f"{url}/hub/home"}
    token = browser.post(f"/hub/api/users/{name}/tokens", json={"note": "test"}, headers=said)
    assert token.status_code == 201, token.text
    known = {"Authorization": f"token {token.json()['token']}"}
    started = httpx.post(f"{url}/hub/api/users/{name}/server", headers=known, timeout=300)
    assert started.status_code in (201, 202), started.text

    def ready():
        user = httpx.get(f"{url}/hub/api/users/{name}", headers=known, timeout=60).json()
        return user["servers"].get("", {}).get("ready")

    wait_for(ready, 300)
    return token.json()["token"]


def run_in_kernel(url: str, name: str, token: str, code: str) -> str:
    """What the code prints in a new kernel of the user's server."""
    known = {"Authorization": f"token {token}"}
    kernel = httpx.post(f"{url}/user/{name}/api/kernels", headers=known, json={"name": "python3"}, timeout=300)
    assert kernel.status_code == 201, kernel.text
    address = f"{url.replace('http', 'ws', 1)}/user/{name}/api/kernels/{kernel.json()['id']}/channels"
    patient = {"connect_timeout": 300, "request_timeout": 300}
    return asyncio.run(asyncio.wait_for(_printed(HTTPRequest(address, headers=known, **patient), code), 1800))


async def _printed(request: HTTPRequest, code: str) -> str:
    channels = await websocket_connect(request, max_message_size=2**24)
    header = {"msg_id": uuid4().hex, "msg_type": "execute_request", "session": uuid4().hex, "username": ""}
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    asked = {"header": header | {"version": "5.3"}, "parent_header": {}, "metadata": {}, "content": content}
    asked |= {"channel": "shell", "buffers": []}
    try:
        await channels.write_message(json.dumps(asked))
        return await _until_idle(channels, header["msg_id"])
    finally:
        channels.close()


async def _until_idle(channels, asked: str) -> str:
    said = []
    while True:
        message = json.loads(await channels.read_message())
        if message["parent_header"].get("msg_id") != asked:
            continue
        kind, content = message["msg_type"], message["content"]
        said += [content["text"]] if kind == "stream" and content["name"] == "stdout" else []
        assert kind != "error", "\n".join(content["traceback"])
        if kind == "execute_reply":
            assert content["status"] == "ok", content
        if kind == "status" and content["execution_state"] == "idle":
            return "".join(said)


def test_two_learners_pass_their_first_exercise(hub, passwords, models):
    stranger = log_in(hub, NAMES[0], "wrong")
    assert stranger.get("/hub/home").url.path == "/hub/login"  # still outside
    stranger.close()
    said = {}
    for name, word in passwords.items():
        with contextlib.closing(log_in(hub, name, word)) as browser:
            assert browser.get("/hub/home").url.path == "/hub/home"
            other = next(n for n in passwords if n != name)
            assert browser.get(f"/hub/api/users/{other}").status_code in (403, 404)
            said[name] = run_in_kernel(hub, name, start_server(hub, browser, name), LEARNER)
            print(f"--- {name}\n{said[name]}", flush=True)
    for name, text in said.items():
        assert "✓" in text, text
        assert "Paris" in text and "CANNOT WRITE" in text and f"MODELS {models}" in text
        assert f"I AM {name} AT /home/{name} LABS 10" in text
        kept = text.split("KEEPS ")[1].strip()
        assert kept.startswith(f"/home/{name}/") and list(Path(kept).glob("*")), kept
        other = next(n for n in passwords if n != name)
        looked = subprocess.run(["runuser", "-u", other, "--", "ls", kept], capture_output=True, text=True)
        assert looked.returncode != 0 and "Permission denied" in looked.stderr
