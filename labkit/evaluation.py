"""A generator over a question set -> Run; two runs compared.

A generator is any callable `list[Question] -> list[str]`: this module loads no model. What decides the predictions (the
generator's description, the questions, the databases, mode and batch size) makes a run's identity: the same call
continues an unfinished run, and shows a finished one again. An adapter decides by its weights, in whatever folder.
"""

import hashlib
import inspect
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from uuid import uuid4

from tqdm.auto import tqdm

from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.exclusion import said as excluded_of
from labkit.execution import execute_many
from labkit.notices import notice
from labkit.runs import Interval, Result, Run, RunStore, wilson
from labkit.scoring import Pair, Score, check_mode, database_hash, is_sql, score_many

__all__ = ["Comparison", "Interval", "compare", "evaluate", "mcnemar", "wilson"]

Generator = Callable[[list[Question]], list[str]]
BATCH = 100  # questions that a generator gets at a time: what a crash may cost, and what a processor can use at once
_PACKAGES = ("labkit", "apsw", "sqlglot", "torch", "transformers", "peft")


def evaluate(
    generator: Generator,
    questions: QuestionSet,
    *,
    mode: str = "execution",
    store: RunStore | str | Path | None = None,
    fresh: bool = False,
    batch_size: int = BATCH,
    progress: bool = True,
) -> Run:
    """Predict and score every question; each batch is in the store before the next begins.

    generator: gets up to `batch_size` questions on one database (`question.database` is then the path of its file;
    facts have none) and returns a text for each. If it has `.describe()`, that dictionary (model, sha256, adapter,
    prompt, seed, ...) must tell all that decides its texts. One without is known by its source code: an unfinished run
    of it is continued, a finished one is begun anew, since what else it depends on cannot be seen.

    The same call after a crash or Ctrl-C goes on where it stopped: the batches depend on the set alone, so that the
    texts are those of an unbroken run. `fresh` begins a new run in any case. A set whose golds are rows alone is scored
    in mode "rows". Raises LabkitError for an unknown mode, an empty set, a missing database, a generator that returns
    anything but a text a question, a store that fails.
    """
    questions = _checked(questions, mode, batch_size)
    if mode == "execution" and all(question.rows_only for question in questions):
        mode = "rows"  # there is nothing else to execute than the prediction, and the figures shall say so
    store = store if isinstance(store, RunStore) else RunStore(store)
    databases = {name: _path_of(questions, name) for name in {q.database for q in questions if q.database}}
    draft, lasting = _describe(generator, questions, databases, mode, batch_size)
    run = store.begin(draft, fresh)
    if run.finished and not lasting:
        run = store.begin(draft, fresh=True)
    if run.finished:
        notice(f"Run {run.id} of {run.finished[:10]} is the same call, finished: {run}. fresh=True evaluates anew.")
        return run
    if run.n:
        notice(f"Run {run.id} goes on: {run.n} of {run.total} are done. fresh=True evaluates anew.")
    try:
        with tqdm(total=run.total, initial=run.n, desc=f"run {run.id}", unit="q", disable=_quiet(progress)) as bar:
            _work(generator, questions, databases, run, store, bar)
    except KeyboardInterrupt:
        kept = f"{len(store.done(run.id))} of {run.total} are kept in run {run.id}"
        notice(f"Stopped: {kept}. The same call goes on from there.")
        raise
    return store.finish(run.id)


def _work(generator, questions: QuestionSet, databases: dict[str, Path], run: Run, store: RunStore, bar: tqdm) -> None:
    """Every batch that is not yet kept in full; another notebook may be filling the same run."""
    for batch in _batches(questions, run.batch_size):
        if {questions[i].id for i in batch} <= store.done(run.id):
            continue
        begun = time.perf_counter()
        asked = [questions[i] for i in batch]
        texts = _predict(generator, [replace(q, database=str(databases.get(q.database, ""))) for q in asked])
        pairs = [Pair(q, text, databases.get(q.database)) for q, text in zip(asked, texts, strict=True)]
        scores = score_many(pairs, run.mode)
        ran = [is_sql(text) for text in texts] if run.mode == "text" else _ran(pairs, scores)
        share = (time.perf_counter() - begun) / len(batch)
        results = [_result(*row, share) for row in zip(pairs, scores, ran, strict=True)]
        store.add(run.id, list(zip(batch, results, strict=True)))
        bar.update(len(batch))


def _batches(questions: Sequence[Question], size: int) -> Iterator[list[int]]:
    """Positions in the set, `size` a batch: by database, then by length, so that a batch shares prefix and padding."""
    order = sorted(range(len(questions)), key=lambda i: (questions[i].database, len(questions[i].question), i))
    while order:
        batch = [i for i in order[:size] if questions[i].database == questions[order[0]].database]
        yield batch
        order = order[len(batch) :]


def _predict(generator: Generator, questions: list[Question]) -> list[str]:
    texts = generator(questions)
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise LabkitError(
            f"The generator returned {type(texts).__name__}. It must return a list with a text a question."
        )
    if len(texts) != len(questions):
        raise LabkitError(f"The generator returned {len(texts)} texts for {len(questions)} questions.")
    for question, text in zip(questions, texts, strict=True):
        if not isinstance(text, str):
            raise LabkitError(f"The generator returned {type(text).__name__} for question {question.id!r}, not a text.")
    return [_storable(text) for text in texts]


def _storable(text: str) -> str:
    """The text with `?` for halves of surrogate pairs, which no database and no terminal takes."""
    return text.encode("utf-8", "replace").decode()


def _ran(pairs: Sequence[Pair], scores: Sequence[Score]) -> list[bool]:
    """Whether each prediction ran; those that the mode did not execute are executed here."""
    ran = {i: score.pred.ok for i, score in enumerate(scores) if score.pred is not None}
    for database in {pair.database for pair in pairs}:
        rest = [i for i, p in enumerate(pairs) if i not in ran and p.database == database and p.prediction.strip()]
        ran |= zip(rest, (r.ok for r in execute_many(database, [pairs[i].prediction for i in rest])), strict=True)
    return [ran.get(i, False) for i in range(len(pairs))]


def _result(pair: Pair, score: Score, ran: bool, seconds: float) -> Result:
    return Result(pair.question.id, pair.prediction, score.verdict, score.reason, _storable(score.detail), ran, seconds)


def _quiet(progress: bool) -> bool:
    return not progress or bool(os.environ.get("CI"))


# --- what a run is ----------------------------------------------------------------------------------------------------


def _checked(questions: QuestionSet, mode: str, batch_size: int) -> QuestionSet:
    """Everything that can be known to be wrong before a model works for an hour."""
    if not isinstance(questions, QuestionSet):
        questions = QuestionSet("questions", tuple(questions))
    check_mode(questions, mode)
    if not isinstance(batch_size, int) or batch_size < 1:
        raise LabkitError(f"batch_size is {batch_size!r}. It must be a whole number from 1 on.")
    if not len(questions):
        raise LabkitError(f"The question set {questions.name!r} is empty: there is nothing to evaluate.")
    seen: set[str] = set()
    for question in questions:
        if question.id in seen:
            raise LabkitError(f"Two questions of {questions.name!r} have the id {question.id!r}. Give each its own.")
        seen.add(question.id)
    return questions


def _path_of(questions: QuestionSet, name: str) -> Path:
    return questions.database_path(next(question for question in questions if question.database == name))


def _describe(
    generator: Generator, questions: QuestionSet, databases: dict[str, Path], mode: str, batch_size: int
) -> tuple[Run, bool]:
    """The run as it begins, and whether a finished one of the same identity may stand for it."""
    said, lasting = _description(generator)
    draft = Run(
        id="",
        set=questions.name,
        mode=mode,
        model=str(said.get("model") or "unnamed"),
        adapter=said.get("adapter") and str(said["adapter"]),
        prompt=said.get("prompt") and str(said["prompt"]),
        seed=said.get("seed"),
        model_hash=said.get("sha256") and str(said["sha256"]),
        adapter_hash=said.get("adapter_sha256") and str(said["adapter_sha256"]),
        batch_size=batch_size,
        total=len(questions),
        set_hash=questions.sha256,
        set_path=questions.path and str(Path(questions.path).resolve()),
        db_dir=questions.db_dir and str(Path(questions.db_dir).resolve()),
        database_hashes={name: database_hash(path) for name, path in sorted(databases.items())},
        settings=said,
        versions=_versions(),
        device=said.get("device") and str(said["device"]),
    )
    decides = {key: value for key, value in said.items() if key != "adapter" or not draft.adapter_hash}
    decisive = (draft.set_hash, draft.database_hashes, decides, mode, batch_size, draft.versions["labkit"])
    private = [name for path in databases.values() for name in excluded_of(path)]
    decisive += (private,) if private else ()
    identity = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
    return replace(draft, identity=identity), lasting


def _description(generator: Generator) -> tuple[dict, bool]:
    """What decides the generator's texts, as JSON values; whether it said so itself."""
    if hasattr(generator, "describe"):
        said = generator.describe()
        if not isinstance(said, dict):
            raise LabkitError(
                f"The generator's describe() returned {type(said).__name__}. It must return a dictionary."
            )
        return json.loads(json.dumps(said, default=str)), True
    name = getattr(generator, "__qualname__", type(generator).__qualname__)
    return {"model": name, "source": hashlib.sha256(_source(generator).encode()).hexdigest()}, False


def _source(generator: Generator) -> str:
    """The function's code and what it closes over; a text never seen before when that cannot be told."""
    try:
        closed = inspect.getclosurevars(generator).nonlocals if inspect.isfunction(generator) else generator
        text = f"{inspect.getsource(generator)}\n{getattr(generator, '__defaults__', None)!r}\n{closed!r}"
    except (OSError, TypeError):
        return uuid4().hex
    return text if " at 0x" not in text else uuid4().hex


def _versions() -> dict[str, str]:
    """Of Python, the machine and the packages that matter, without importing them."""
    versions = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


# --- two runs ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """Ids of questions by what became of them from `before` to `after`; `p_value` is McNemar's, exact and two-sided."""

    before: str
    after: str
    fixed: tuple[str, ...]
    broken: tuple[str, ...]
    both_right: tuple[str, ...]
    both_wrong: tuple[str, ...]  # still failing
    p_value: float

    def __str__(self) -> str:
        counts = f"fixed {len(self.fixed)}, broken {len(self.broken)}, still failing {len(self.both_wrong)}, "
        return f"{counts}right in both {len(self.both_right)}; McNemar's exact test p = {self.p_value:.2g}"

    def to_frame(self):
        """A pandas frame: a row a question, with its change."""
        import pandas

        changes = ("fixed", "broken", "both_wrong", "both_right")
        rows = [(id, change) for change in changes for id in getattr(self, change)]
        return pandas.DataFrame(rows, columns=["question_id", "change"])


def compare(run_a: Run, run_b: Run) -> Comparison:
    """What `run_b` fixed and broke of `run_a`. Only right is right: an unstable or a gold error counts as not right.

    Raises LabkitError when the runs differ in questions or mode, or when one is unfinished.
    """
    for run in (run_a, run_b):
        if not run.finished:
            raise LabkitError(f"Run {run.id} is unfinished ({run.n} of {run.total}). Finish it, then compare.")
    if run_a.mode != run_b.mode:
        raise LabkitError(
            f"Run {run_a.id} was scored by {run_a.mode}, {run_b.id} by {run_b.mode}. Use one mode for both."
        )
    if (run_a.set_hash, run_a.database_hashes) != (run_b.set_hash, run_b.database_hashes):
        sets = f"{run_a.set!r} (n={run_a.n}) and {run_b.set!r} (n={run_b.n})"
        raise LabkitError(f"Runs {run_a.id} and {run_b.id} are not on the same questions and data: {sets}.")
    was = {result.question_id: result.verdict == "right" for result in run_a.results}
    now = {result.question_id: result.verdict == "right" for result in run_b.results}

    def ids(before: bool, after: bool) -> tuple[str, ...]:
        return tuple(id for id in was if (was[id], now[id]) == (before, after))

    fixed, broken = ids(False, True), ids(True, False)
    p_value = mcnemar(len(fixed), len(broken))
    return Comparison(run_a.id, run_b.id, fixed, broken, ids(True, True), ids(False, False), p_value)


def mcnemar(fixed: int, broken: int) -> float:
    """Exact two-sided p-value: how likely a split at least this uneven is, were fixing and breaking equally likely.

    Source: Q. McNemar, Psychometrika 12 (1947), 153-157, with the binomial distribution in place of its approximation.
    """
    n, fewer = fixed + broken, min(fixed, broken)
    ways = total = 1  # to break 0 of n; whole numbers, so that nothing is lost
    for k in range(1, fewer + 1):
        ways = ways * (n - k + 1) // k
        total += ways
    return min(1.0, 2 * total / 2**n)
