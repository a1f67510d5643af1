"""`labkit run`, for tests that kill it: a server that imports once and forks a process for each job.

`python workspace_job.py ENCODER` reads jobs from stdin, a line of JSON each: folder (the workspace), out (a file for
what the run prints), at (SIGKILL itself before the so-manieth thing that it does with a file of the workspace or of the
kit's home: opens one for writing, renames, removes, makes a folder, goes to the run store; 0: never). It answers with
the process's id, and at its end with the exit status. The last line in `out` is the number of those things, and the
seconds of processor time. Tuning keeps a checkpoint after each step. ENCODER: "words" for a stand-in, and answers of 16
tokens at most; "real".
"""

import json
import os
import signal
import sys
import time
import traceback
import zlib
from pathlib import Path

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = {"os.rename": 2, "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1, "sqlite3.connect": 1}  # event -> paths of it


def words(texts):
    """A stand-in for the sentence encoder."""
    import numpy

    vectors = numpy.zeros((len(texts), 64), dtype=numpy.float32)
    for row, text in zip(vectors, texts, strict=True):
        for word in text.lower().split():
            row[zlib.crc32(word.encode()) % 64] += 1
    return vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)


class Counter:
    """An audit hook: counts what changes files under `folders`, and ends the process before the event number `at`."""

    def __init__(self, folders: list[str], at: int):
        self.folders, self.at, self.seen = tuple(folders), at, 0

    def __call__(self, event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            paths = [path] if isinstance(flags, int) and flags & _WRITING else []
        else:
            paths = arguments[: _CHANGES.get(event, 0)]
        if any(isinstance(path, (str, os.PathLike)) and str(path).startswith(self.folders) for path in paths):
            self.seen += 1
            if self.seen == self.at:
                os.kill(os.getpid(), signal.SIGKILL)


def run(folder: str, at: int) -> int:
    """The command, as at a terminal; its exit code."""
    from labkit import cli

    counter = Counter([str(Path(folder).resolve()), os.environ["LABKIT_HOME"]], at)
    sys.addaudithook(counter)
    sys.argv = ["labkit", "run", folder, "--json"]
    try:
        cli.main()
    except SystemExit as ended:
        print(counter.seen, time.process_time(), flush=True)
        return ended.code
    raise AssertionError("the command line exits")


def serve(encoder: str) -> None:
    import sqlite_utils  # noqa: F401 (imports that would come later, as some of the others)
    import torch

    import labkit.reranking
    import labkit.workspace.loop
    from labkit import cli, decoding, tuning  # noqa: F401
    from labkit.tuning.checkpoint import Checkpoint

    torch.set_num_threads(1)
    Checkpoint.due = lambda self: True
    if encoder == "words":
        labkit.reranking._encoder = lambda *_: words
        decoding.chat.__wrapped__.__kwdefaults__["max_new_tokens"] = 16
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if not pid:
            with open(job["out"], "w") as out:
                os.dup2(out.fileno(), 1)
                os.dup2(out.fileno(), 2)
            code = 70
            try:
                code = run(job["folder"], job["at"])
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
