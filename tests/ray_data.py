"""Evaluation over a local Ray, in an environment of its own: `make test-ray`. `make test` leaves this out."""

import os
from functools import partial
from pathlib import Path

import pytest

import labkit
from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.raydata import RayGenerator

ROOT = Path(__file__).parent.parent
LEAGUE = ROOT / "datasets" / "league" / "league.sqlite"
pytestmark = pytest.mark.timeout(1800)


class Counting:
    """Every second answer is right; says in which process it was."""

    def __init__(self, folder: str, die: bool = False):
        self.folder, self.die = Path(folder), die

    def describe(self) -> dict:
        return {"model": "counting", "prompt": "none"}

    def __call__(self, questions):
        (self.folder / str(os.getpid())).write_text(os.environ.get("RAY_USAGE_STATS_ENABLED", "?"))
        if self.die and not (self.folder / "died").exists():
            (self.folder / "died").write_text("once")
            os._exit(1)
        return [q.sql if int(q.id) % 2 else "SELECT 'no'" for q in questions]


class Refusing(Counting):
    def __call__(self, questions):
        raise LabkitError("The model says no. Ask another one.")


def test_no_cluster_is_a_sentence(tmp_path):
    with pytest.raises(LabkitError, match="There is no Ray cluster at 127.0.0.1:1"):
        RayGenerator(partial(Counting, str(tmp_path)), address="127.0.0.1:1")


@pytest.fixture(scope="module")
def cluster():
    """One Ray for all tests: it takes its time to start."""
    generator = RayGenerator(list)
    yield
    generator.close()


@pytest.fixture(scope="module")
def questions() -> QuestionSet:
    return QuestionSet(
        "numbers", tuple(Question(str(i), f"What is {i}?", f"SELECT {i}", str(LEAGUE)) for i in range(60))
    )


@pytest.fixture
def over(cluster, tmp_path):
    """A generator over two workers."""
    (tmp_path / "seen").mkdir()
    return lambda kind, **options: RayGenerator(
        partial(kind, str(tmp_path / "seen"), **options), workers=2, batch=5, cpus=0.5
    )


def test_the_same_run_as_in_one_process(over, questions, tmp_path):
    store = labkit.RunStore(tmp_path / "runs.db")
    here = labkit.evaluate(Counting(str(tmp_path / "seen")), questions, store=store, batch_size=30, progress=False)
    there = labkit.evaluate(over(Counting), questions, store=store, batch_size=30, progress=False)
    assert here.id != there.id and (there.n, there.correct) == (60, 30)
    assert [r.prediction for r in there.results] == [r.prediction for r in here.results]
    (tmp_path / "seen" / str(os.getpid())).unlink()
    said = [path.read_text() for path in (tmp_path / "seen").iterdir()]
    assert len(said) >= 2 and set(said) == {"0"}  # two workers, no statistics


def test_what_a_dead_worker_was_asked_is_asked_again(over, questions, tmp_path):
    run = labkit.evaluate(
        over(Counting, die=True), questions, store=tmp_path / "runs.db", batch_size=60, progress=False
    )
    assert (tmp_path / "seen" / "died").exists() and (run.n, run.correct) == (60, 30)


def test_what_was_done_is_not_asked_again(over, questions, tmp_path):
    asked = []

    class Interrupted(RayGenerator):
        def __call__(self, batch):
            asked.append(len(batch))
            if len(asked) == 2:
                raise KeyboardInterrupt
            return super().__call__(batch)

    generator = over(Counting)
    generator.__class__ = Interrupted
    with pytest.raises(KeyboardInterrupt):
        labkit.evaluate(generator, questions, store=tmp_path / "runs.db", batch_size=20, progress=False)
    run = labkit.evaluate(generator, questions, store=tmp_path / "runs.db", batch_size=20, progress=False)
    assert asked == [20, 20, 20, 20] and (run.n, run.correct) == (60, 30)


def test_a_worker_that_gives_up_gives_its_sentence(over, questions, tmp_path):
    with pytest.raises(LabkitError, match="A Ray worker gave up: The model says no"):
        labkit.evaluate(over(Refusing), questions, store=tmp_path / "runs.db", progress=False)
