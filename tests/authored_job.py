"""`authored.write`, killed before each thing that it does with a file, and gone on with: prints how many times.

`python authored_job.py FOLDER` compares each file with that of an unbroken call, byte by byte.
"""

import os
import runpy
import sys
from pathlib import Path

Counter = runpy.run_path(str(Path(__file__).with_name("workspace_job.py")))["Counter"]
LEAGUE = Path(__file__).resolve().parent.parent / "datasets" / "league" / "league.sqlite"


class Model:
    """Says a question in two other ways, one of which another question has too."""

    def chat(self, conversations):
        asked = [c[-1]["content"].partition("Question: ")[2].splitlines()[0] for c in conversations]
        return [f"Tell me: {text}\nWhich ones, in short: {text.split()[1]}?" for text in asked]


def work(folder: Path, at: int) -> int:
    from labkit.datagen.authored import write
    from labkit.datagen.chat import Author
    from labkit.dataset import Question

    sqls = [f"SELECT name FROM arenas WHERE capacity > {15_000 + 100 * i}" for i in range(6)]
    items = [Question(f"q{i}", f"Which arenas{i % 4} seat over {i}?", sql, "league") for i, sql in enumerate(sqls)]
    counter = Counter([str(folder)], at)
    sys.addaudithook(counter)
    write(Author(Model(), LEAGUE), "vary", items, folder / "out.jsonl", chunk=2, progress=False)
    return counter.seen


def forked(folder: Path, at: int) -> int:
    """The number of things done with files, or minus the signal that ended it."""
    folder.mkdir(exist_ok=True)
    pid = os.fork()
    if not pid:
        os._exit(work(folder, at))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    import labkit.datagen.authored  # noqa: F401 (once, before the forks)

    base = Path(sys.argv[1])
    things = forked(base / "whole", 0)
    assert things > 6, things
    wanted = (base / "whole" / "out.jsonl").read_bytes()
    for at in range(1, things + 1):
        assert forked(base / str(at), at) == -9
        assert forked(base / str(at), 0) >= 0
        assert (base / str(at) / "out.jsonl").read_bytes() == wanted, at
    print(things, wanted.count(b"\n"))
