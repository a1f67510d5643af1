"""A generator whose questions are answered by the workers of a Ray cluster: for sets that one machine is slow on.

It is a generator like any other, so that scoring, resuming and the run store stay what they are: `evaluate` hands it
`batch_size` questions at a time (what a crash may cost: take some thousands), and Ray Data spreads those over workers
that each made a generator of their own. A worker that dies is replaced, and its questions are asked again. Databases
must lie where the workers find them under the same path. Not for one machine: there a batch in one process is faster.
Ray is an extra (`pip install 'labkit[ray]'`); its usage statistics are switched off. No torch here.
"""

import os
import pickle
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from urllib.parse import urlsplit

from labkit.dataset import Question
from labkit.errors import LabkitError
from labkit.exclusion import excluding, in_force

BATCH = 16  # questions that a worker is handed at a time


class RayGenerator:
    """`make`: gives a generator, and is called once in each of `workers` workers (and once here, to describe it).

    It must be a thing that can be sent: a function of a module, or `functools.partial` of one. address: of the cluster
    ("auto" or "ray://HOST:10001"), None for a Ray of this machine alone, which is ended with `close`. cpus, gpus: what
    a worker takes. LabkitError without Ray, without a cluster, or for what a worker's generator raises.
    """

    def __init__(
        self,
        make: Callable[[], Callable],
        *,
        workers: int = 2,
        batch: int = BATCH,
        address: str | None = None,
        cpus: float = 1,
        gpus: float = 0,
    ):
        if workers < 1 or batch < 1:
            raise LabkitError(f"{workers} workers with {batch} questions at a time answer nothing. Give 1 or more.")
        self.make, self.workers, self.batch = make, workers, batch
        self._takes = {"num_cpus": cpus, "num_gpus": gpus}
        self._ray = _imported()
        self._ours = not self._ray.is_initialized()  # a Ray that was there already is its owner's to end
        if self._ours:
            _start(self._ray, address)
        self._said: dict | None = None

    def describe(self) -> dict:
        """As the generator's, and how many questions it gets at a time, which may change last digits."""
        if self._said is None:
            generator = self.make()
            self._said = generator.describe() if hasattr(generator, "describe") else {}
        return {**self._said, "ray_batch": self.batch}

    def __call__(self, questions: Sequence[Question]) -> list[str]:
        asked = [(question, in_force(question.database)) for question in questions]  # a worker must keep to it too
        rows = [{"place": place, "question": pickle.dumps(one)} for place, one in enumerate(asked)]
        try:
            answered = (
                self._ray.data.from_items(rows, override_num_blocks=max(1, len(rows) // self.batch))
                .map_batches(
                    _Worker,
                    fn_constructor_args=(self.make,),
                    batch_size=self.batch,
                    compute=self._ray.data.ActorPoolStrategy(size=self.workers),
                    **self._takes,
                )
                .take_all()
            )
        except self._ray.exceptions.RayError as error:
            raise LabkitError(_reason(error)) from error
        if refusals := [row["refusal"] for row in answered if row["refusal"]]:
            raise LabkitError(f"A Ray worker gave up: {refusals[0]}")
        texts = {row["place"]: row["text"] for row in answered}
        return [texts[place] for place in range(len(rows))]

    def close(self) -> None:
        """Leave the cluster, or end the Ray of this machine, where this generator began it."""
        if self._ours:
            self._ray.shutdown()


class _Worker:
    """Lives in a worker: one generator, and batches of questions for it."""

    def __init__(self, make: Callable[[], Callable]):
        self.generator = make()

    def __call__(self, batch: dict) -> dict:
        asked = [pickle.loads(data) for data in batch["question"]]
        questions = [question for question, _ in asked]
        with ExitStack() as block:
            for database, excluded in {(question.database, excluded) for question, excluded in asked if excluded}:
                block.enter_context(excluding(database, excluded.names, excluded.where))
            try:
                texts, refusal = self.generator(questions), ""
            except LabkitError as error:  # as a value: Ray gives errors back in shapes of its own
                texts, refusal = [""] * len(questions), str(error)
        return {"place": batch["place"], "text": texts, "refusal": [refusal] * len(questions)}


def _imported():
    """The module `ray`, with its data half."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when Ray starts: nothing is reported to its makers
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise LabkitError(
            f"Ray Data is not installed ({error}). In an environment of its own: pip install 'labkit[ray]'."
        ) from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray


def _start(ray, address: str | None) -> None:
    local = {} if address else {"include_dashboard": False}
    try:
        if address and ":" in address:  # Ray itself would ask again for minutes
            url = urlsplit(address if "//" in address else f"//{address}")
            socket.create_connection((url.hostname, url.port), timeout=10).close()
        ray.init(address, log_to_driver=False, **local)
    except Exception as error:  # Ray raises bare ones too, when a machine is too slow for it
        where = f"no Ray cluster at {address}" if address else "no Ray on this machine"
        raise LabkitError(f"There is {where}: {error}. `ray start --head` starts one by hand.") from error


def _reason(error: BaseException) -> str:
    """The last line of what Ray says."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"A Ray worker failed: {lines[-1].strip() if lines else type(error).__name__}"
