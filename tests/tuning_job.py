"""A tuning in a process of its own, for tests that kill it or start several: `python tuning_job.py JOB`, a JSON object.

model, out: folders; facts: how many; settings: what `tune` takes; home: LABKIT_HOME. every_step: keep a checkpoint
after each step. die_at_step: SIGKILL a moment (die_after, seconds) into that step; die_at_write: SIGKILL within the
so-manieth replacing of a file. report: a file for what this process saw, "%d" in its name is the rank.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

NAMES = ("Ann Lund", "Bo Reyes", "Cy Dale", "Di Moss", "Eve Park", "Flo Hart", "Gus Wood", "Hal Stone")


def facts(count: int, start: int = 0):
    """So many facts for the stand-in model."""
    from labkit.dataset import Question

    return [
        Question(f"f{i}", f"What year did {NAMES[i % 8]} climb Peak {i}?", answer=str(1903 + (37 * i) % 97))
        for i in range(start, start + count)
    ]


def run(job: dict) -> None:
    """Do the job."""
    os.environ["LABKIT_HOME"] = job["home"]
    import torch

    torch.set_num_threads(1)
    from labkit.models import load_model
    from labkit.tuning import tune
    from labkit.tuning.checkpoint import Checkpoint
    from labkit.tuning.train import Trainer

    if job.get("every_step"):
        Checkpoint.due = lambda self: True
    if "die_at_step" in job:
        _die_at_step(Trainer, job["die_at_step"], job["die_after"])
    if "die_at_write" in job:
        _die_at_write(job["die_at_write"])
    seen = _watched(Trainer)
    model = load_model(job["model"], device="cpu", dtype="float32")
    made = tune(model, facts(job["facts"]), out=job["out"], progress=False, **job["settings"])
    if "report" in job:
        rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        record = {"rank": rank, "world": world, "pid": os.getpid(), **seen, "made": made.to_json()}
        Path(job["report"] % rank if "%d" in job["report"] else job["report"]).write_text(json.dumps(record))


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at_step(trainer_class, number: int, after: float) -> None:
    step = trainer_class.step

    def dying(self, *arguments):
        if self.steps == number:
            threading.Timer(after, _die).start()
        return step(self, *arguments)

    trainer_class.step = dying


def _die_at_write(number: int) -> None:
    replace, left = os.replace, [number]

    def dying(*arguments):
        left[0] -= 1
        if left[0] < 0:
            _die()
        replace(*arguments)

    os.replace = dying


def _watched(trainer_class) -> dict:
    """The loss of each step, and what the last step of all had mastered."""
    from labkit.tuning.memory import Mastery

    seen = {"losses": [], "positions": [], "mastered": []}
    step, saw = trainer_class.step, Mastery.saw

    def watched(self, *arguments):
        outcome = step(self, *arguments)
        seen["losses"].append(outcome.loss.mean().item())
        seen["positions"].append(len(list(self.ranks.share(arguments[0].positions))))
        return outcome

    def mastered(self, *arguments):
        saw(self, *arguments)
        seen["mastered"] = sorted(self.mastered)

    trainer_class.step, Mastery.saw = watched, mastered
    return seen


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
