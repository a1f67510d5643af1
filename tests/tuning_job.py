"""Tunings in a process of their own, for tests that kill it or start several: `python tuning_job.py JOBS`, a JSON list.

model, out: folders; facts: how many; settings: what `tune` takes; home: LABKIT_HOME. every_step: keep a checkpoint
after each step. die_at_step: SIGKILL a moment (die_after, seconds) into that step; die_at_write: SIGKILL within the
so-manieth replacing of a file. nan_at_step: its gradient is no number, once. due_every: [3, 4] keeps a checkpoint each
three steps by the first process's reckoning, each four by the second's. rank: which process of several dies, or has
memory for no more than `fit` pairs at a time. report: a file for what this process saw, "%d" in its name is the rank.
"""

import itertools
import json
import os
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

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

    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    with ExitStack() as patches:

        def patch(thing, name, value):
            patches.enter_context(mock.patch.object(thing, name, value))

        if job.get("every_step"):
            patch(Checkpoint, "due", lambda self: True)
        if "due_every" in job:
            calls = itertools.count(1)
            patch(Checkpoint, "due", lambda self: next(calls) % job["due_every"][rank] == 0)
        if job.get("rank", rank) == rank:
            _go_wrong(job, patch)
        seen = watch(patch)
        model = load_model(job["model"], device="cpu", dtype="float32")
        made = tune(model, facts(job["facts"]), out=job["out"], progress=False, **job["settings"])
    if "report" in job:
        record = {"rank": rank, "world": world, "pid": os.getpid(), **seen, "made": made.to_json()}
        Path(job["report"].replace("%d", str(rank))).write_text(json.dumps(record))


def _go_wrong(job: dict, patch) -> None:
    from labkit.tuning.train import Trainer

    step, forward, replace, writes = Trainer.step, Trainer._forward, os.replace, itertools.count()

    def dying_step(self, *arguments):
        if self.steps == job["die_at_step"]:
            threading.Timer(job["die_after"], _die).start()
        return step(self, *arguments)

    def lost_step(self, *arguments):
        outcome = step(self, *arguments)
        if self.steps == job["nan_at_step"] and self.rate_scale == 1:
            self.gradient = float("nan")
        return outcome

    if "nan_at_step" in job:
        patch(Trainer, "step", lost_step)

    def dying_replace(*arguments):
        if next(writes) == job["die_at_write"]:
            _die()
        replace(*arguments)

    def limited(self, positions):
        if len(positions) > job["fit"]:
            raise MemoryError
        return forward(self, positions)

    if "die_at_step" in job:
        patch(Trainer, "step", dying_step)
    if "die_at_write" in job:
        patch(os, "replace", dying_replace)
    if "fit" in job:
        patch(Trainer, "_forward", limited)


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def watch(patch) -> dict:
    """Fills in, as tunings go on: the loss of each step, how many examples were this process's, what is mastered.
    `patch` is a function like setattr."""
    from labkit.tuning.memory import Mastery
    from labkit.tuning.train import Trainer

    seen = {"losses": [], "shares": [], "mastered": [], "micro": 0}
    step, saw = Trainer.step, Mastery.saw

    def watched(self, asked):
        outcome = step(self, asked)
        seen["losses"].append(outcome.loss.mean().item())
        seen["shares"].append(len(list(self.ranks.share(asked.positions))))
        seen["micro"] = self.micro
        return outcome

    def mastered(self, *arguments):
        saw(self, *arguments)
        seen["mastered"] = sorted(self.mastered)

    patch(Trainer, "step", watched)
    patch(Mastery, "saw", mastered)
    return seen


if __name__ == "__main__":
    for each in json.loads(sys.argv[1]):
        run(each)
