"""Evaluation: batches, resuming after any death, identity of a run, generators that misbehave, comparing."""

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.evaluation import compare, evaluate, mcnemar
from labkit.runs import Run, RunStore

N = 40


@pytest.fixture
def questions(tmp_path):
    """Forty questions, of growing then shrinking length, on two databases in turn."""
    for name in ("a", "b"):
        connection = apsw.Connection(str(tmp_path / f"{name}.sqlite"))
        connection.execute("CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1), (2), (3)")
        connection.close()
    made = [
        Question(f"q{i:02}", "How many? " + "x" * (i * 7 % 31), f"SELECT {i} + count(*) FROM t", "ab"[i % 2])
        for i in range(N)
    ]
    return QuestionSet("forty", tuple(made), db_dir=tmp_path)


class Predictor:
    """Right on every third question; counts what it was asked."""

    def __init__(self, **said):
        self.said = {"model": "third", "sha256": "h", "adapter": None, "prompt": "none", "seed": 3} | said
        self.batches = []

    def __call__(self, questions):
        self.batches.append([q.id for q in questions])
        return [q.sql if int(q.id[1:]) % 3 == 0 else "SELECT x FROM nowhere" for q in questions]

    def describe(self):
        return self.said

    @property
    def asked(self):
        return [id for batch in self.batches for id in batch]


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs.db")


def rows(run: Run) -> list[tuple]:
    return [(r.question_id, r.prediction, r.verdict, r.reason, r.detail, r.valid) for r in run.results]


# --- one run ----------------------------------------------------------------------------------------------------------


def test_a_run(questions, store, capsys):
    run = evaluate(Predictor(device="cpu"), questions, store=store, batch_size=6)
    assert (run.n, run.correct, run.valid, run.total) == (N, 14, 14, N)
    assert [result.question_id for result in run.results] == [question.id for question in questions]
    assert str(run) == "0.35 [0.22, 0.50] n=40 (execution)"
    assert (run.model, run.model_hash, run.prompt, run.seed, run.device) == ("third", "h", "none", 3, "cpu")
    assert set(run.database_hashes) == {"a", "b"} and run.set_hash == questions.sha256
    assert {"python", "labkit", "apsw", "torch"} <= set(run.versions)
    assert run.started <= run.finished and run.seconds > 0
    assert store.get(run.id) == run
    json.dumps(run.to_json())
    assert capsys.readouterr().out == ""


def test_batches_share_a_database_are_sorted_by_length_and_bounded(questions, store):
    predictor = Predictor()
    evaluate(predictor, questions, store=store, batch_size=6)
    by_id = {question.id: question for question in questions}
    assert sorted(predictor.asked) == sorted(by_id)
    assert all(len({by_id[id].database for id in batch}) == 1 and len(batch) <= 6 for batch in predictor.batches)
    order = [(by_id[id].database, len(by_id[id].question)) for id in predictor.asked]
    assert order == sorted(order)


def test_the_generator_gets_the_path_of_the_database(questions, store, tmp_path):
    def generate(batch):
        assert {q.database for q in batch} <= {str(tmp_path / "a.sqlite"), str(tmp_path / "b.sqlite")}
        return [q.sql for q in batch]

    assert evaluate(generate, questions, store=store).accuracy == 1


def test_valid_counts_what_ran_in_every_mode(questions, store):
    def generate(batch):
        return [["SELECT 1", "SELECT nothing", "", "DELETE FROM t"][int(q.id[1:]) % 4] for q in batch]

    for mode in ("exact", "execution"):
        run = evaluate(generate, questions, mode=mode, store=store)
        assert (run.valid, run.mode) == (N // 4, mode)


def test_unstable_and_gold_errors_count_as_not_right(questions, store):
    odd = [
        replace(questions[0], id="broken", sql="SELECT missing FROM t"),
        replace(questions[0], id="tie", sql="SELECT x FROM t ORDER BY 1 = 1 LIMIT 1"),
    ]
    mixed = QuestionSet("odd", (*questions[:2], *odd), db_dir=questions.db_dir)
    run = evaluate(lambda batch: [q.sql for q in batch], mixed, store=store)
    assert (run.n, run.correct) == (4, 2)
    assert run.verdicts == {"right": 2, "wrong": 0, "unstable": 1, "gold_error": 1}


def test_halves_of_surrogates_nul_and_very_long_texts_are_scored_and_kept(questions, store):
    odd = ["SELECT '\ud800'", "SELECT 1\0", "x" * 2_000_000, "\ufffe\U0001f3c0"]
    run = evaluate(lambda batch: [odd[int(q.id[1:]) % 4] for q in batch], questions, store=store)
    assert run.n == N and run.correct == 0
    assert run.results[0].prediction == "SELECT '?'"


# --- the same call ----------------------------------------------------------------------------------------------------


def test_a_finished_run_is_returned_as_it_is_and_says_so(questions, store, capsys):
    first = evaluate(Predictor(), questions, store=store)
    capsys.readouterr()
    again = Predictor()
    assert evaluate(again, questions, store=store) == first and again.asked == []
    said = capsys.readouterr()
    assert first.id in said.err and "fresh=True" in said.err and said.out == ""
    fresh = evaluate(again, questions, store=store, fresh=True)
    assert fresh.id != first.id and len(again.asked) == N and len(store.list()) == 2
    assert rows(fresh) == rows(first)


def test_whatever_decides_the_result_makes_another_run(questions, store, tmp_path):
    ids = {evaluate(Predictor(), questions, store=store).id}
    for said in (
        {"sha256": "other"},
        {"adapter_sha256": "a"},
        {"adapter": "a"},
        {"prompt": "p"},
        {"seed": 4},
        {"temperature": 0.5},
    ):
        ids.add(evaluate(Predictor(**said), questions, store=store).id)
    ids.add(evaluate(Predictor(), questions, store=store, mode="exact").id)
    ids.add(evaluate(Predictor(), questions, store=store, batch_size=7).id)
    ids.add(evaluate(Predictor(), questions[:39], store=store).id)
    changed = [*questions[:39], replace(questions[39], sql="SELECT 5")]
    ids.add(evaluate(Predictor(), QuestionSet("forty", changed, db_dir=tmp_path), store=store).id)
    time.sleep(0.01)
    connection = apsw.Connection(str(tmp_path / "b.sqlite"))
    connection.execute("UPDATE t SET x = 9")
    connection.close()
    ids.add(evaluate(Predictor(), questions, store=store).id)
    assert len(ids) == 12


def test_a_generator_that_does_not_describe_itself_is_not_trusted_to_be_the_same(questions, store):
    """A finished run is not repeated from the store: what a function depends on cannot be seen."""

    def answers(sql):
        def generate(batch):
            return [sql or q.sql for q in batch]

        return generate

    assert evaluate(answers(""), questions, store=store).accuracy == 1
    assert evaluate(answers("SELECT 0"), questions, store=store).accuracy == 0
    assert evaluate(answers(""), questions, store=store).accuracy == 1
    assert len(store.list()) == 3


def test_an_unfinished_run_of_other_closed_over_values_is_not_continued(questions, store):
    def stopping(after):
        calls = []

        def generate(batch):
            calls.append(batch)
            if len(calls) > after:
                raise RuntimeError("stop")
            return [str(after) for _ in batch]

        return generate

    for after in (1, 2):
        with pytest.raises(RuntimeError):
            evaluate(stopping(after), questions, store=store, batch_size=16)
    assert len(store.list()) == 2


# --- stopped and continued --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("death", [RuntimeError, KeyboardInterrupt, MemoryError])
def test_an_interrupted_run_goes_on_where_it_stopped(questions, store, capsys, death):
    whole = evaluate(Predictor(), questions, store=store, batch_size=6)

    class Dying(Predictor):
        def __call__(self, batch):
            if len(self.batches) == 3:
                raise death("stop")
            return super().__call__(batch)

    dying = Dying(seed=5)
    with pytest.raises(death):
        evaluate(dying, questions, store=store, batch_size=6)
    if death is KeyboardInterrupt:
        assert "18 of 40 are kept" in capsys.readouterr().err
    half = store.list()[0]
    assert half.n == 18 and half.finished is None and "unfinished, 18 of 40" in str(half)
    rest = Predictor(seed=5)
    run = evaluate(rest, questions, store=store, batch_size=6)
    assert run.id == half.id and "18 of 40 are done" in capsys.readouterr().err
    assert sorted(dying.asked + rest.asked) == sorted(q.id for q in questions)  # none twice
    assert rows(run) == rows(whole)


def test_batches_of_a_continued_run_are_those_of_an_unbroken_one(questions, store):
    """A batch of which a part is missing is generated whole: a text may depend on its neighbours."""
    unbroken, rest = Predictor(), Predictor(seed=9)
    evaluate(unbroken, questions, store=store, batch_size=6)
    half = evaluate(Predictor(seed=9), questions, store=store, batch_size=6)
    lost = unbroken.batches[1][2]
    db = apsw.Connection(str(store.path))
    db.execute("DELETE FROM results WHERE run = ? AND question_id = ?", (half.id, lost))
    db.execute("UPDATE runs SET finished = NULL WHERE id = ?", (half.id,))
    db.close()
    run = evaluate(rest, questions, store=store, batch_size=6)
    assert rest.batches == [unbroken.batches[1]] and run.n == N and run.finished


SLOW = """
import sys, time
from pathlib import Path
from labkit.dataset import Question, QuestionSet
from labkit.evaluation import evaluate

def slow(batch):
    time.sleep(0.1)  # twenty batches: more than the deaths leave time for
    with open(sys.argv[2], "a") as log:
        log.write("".join(q.id + "\\n" for q in batch))
    return [q.sql if int(q.id[1:]) % 3 == 0 else "SELECT x FROM nowhere" for q in batch]

folder = Path(sys.argv[1])
made = [Question(f"q{i:02}", "How many? " + "x" * (i * 7 % 31), f"SELECT {i} + count(*) FROM t", "ab"[i % 2])
        for i in range(40)]
run = evaluate(slow, QuestionSet("forty", made, db_dir=folder), store=sys.argv[3], batch_size=2)
print(run.id, run)
"""


def test_kill_9_at_any_moment_loses_the_batch_in_flight_and_no_more(questions, store, tmp_path):
    script, log, path = tmp_path / "slow.py", tmp_path / "log", tmp_path / "killed.db"
    script.write_text(SLOW)
    command = [sys.executable, script, tmp_path, log, path]
    whole = evaluate(Predictor(), questions, store=store, batch_size=2)
    chance = random.Random(1)
    for _ in range(3):  # three deaths
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        before = log.read_text().count("\n") if log.exists() else 0
        while (log.read_text().count("\n") if log.exists() else 0) == before and process.poll() is None:
            time.sleep(0.005)  # until it works; then at any moment
        time.sleep(chance.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (run,) = RunStore(path).list()
    assert done.stdout.strip() == f"{run.id} {run}" and run.finished
    assert rows(run) == rows(whole)
    asked = log.read_text().split()
    assert len(asked) <= N + 3 * 2  # every death costs one batch at most
    with apsw.Connection(str(path)) as db:
        assert db.execute("SELECT count(*), count(DISTINCT question_id) FROM results").get == (N, N)
        assert db.execute("PRAGMA integrity_check").get == "ok"


def test_two_processes_evaluate_into_one_store_at_once(questions, tmp_path):
    script, path = tmp_path / "slow.py", tmp_path / "both.db"
    script.write_text(SLOW)
    commands = [[sys.executable, script, tmp_path, tmp_path / f"log{i}", path] for i in range(2)]
    both = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for c in commands]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    for run in RunStore(path).list():  # one run that they share, or two if one began after the other's end
        assert run.finished and run.n == N and run.correct == 14


# --- misbehaving generators and bad input -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (lambda batch: ["SELECT 1"] * (len(batch) - 1), "texts for"),
        (lambda batch: ["SELECT 1"] * (len(batch) + 1), "texts for"),
        (lambda batch: [], "0 texts for"),
        (lambda batch: None, "returned NoneType"),
        (lambda batch: "SELECT 1", "returned str"),
        (lambda batch: [None] * len(batch), "NoneType for question 'q"),
        (lambda batch: [b"SELECT 1"] * len(batch), "bytes for question"),
        (lambda batch: dict.fromkeys(range(len(batch)), "SELECT 1"), "returned dict"),
    ],
)
def test_wrong_numbers_and_kinds_of_texts(questions, store, texts, message):
    with pytest.raises(LabkitError, match=message):
        evaluate(texts, questions, store=store)
    assert store.list()[0].n == 0


def test_tuples_are_as_good_as_lists(questions, store):
    assert evaluate(lambda batch: tuple(q.sql for q in batch), questions, store=store).accuracy == 1


def test_bad_input_is_told_before_any_work(questions, store, tmp_path):
    def never(batch):
        raise AssertionError("the generator was called")

    empty = QuestionSet("none", ())
    twice = QuestionSet("twice", (questions[0], questions[0]), db_dir=tmp_path)
    lost = QuestionSet("lost", (questions[0], replace(questions[1], database="gone")), db_dir=tmp_path)
    for bad, options, message in (
        (empty, {}, "empty"),
        (twice, {}, "id 'q00'"),
        (lost, {}, "gone"),
        (questions, {"mode": "vibes"}, "no scoring mode 'vibes'"),
        (questions, {"batch_size": 0}, "batch_size"),
        (questions, {"batch_size": "x"}, "batch_size"),
    ):
        with pytest.raises(LabkitError, match=message):
            evaluate(never, bad, store=store, **options)
    assert store.list() == []


def test_describe_must_be_a_dictionary_and_may_hold_anything(questions, store):
    predictor = Predictor(dtype=object, nested={"path": Path("somewhere")})
    assert evaluate(predictor, questions, store=store).n == N
    predictor.said = "a model"
    with pytest.raises(LabkitError, match="describe"):
        evaluate(predictor, questions, store=store)


def test_a_run_deleted_meanwhile(questions, store):
    def generate(batch):
        for run in store.list():
            store.delete(run.id)
        return [q.sql for q in batch]

    with pytest.raises(LabkitError, match="deleted"):
        evaluate(generate, questions, store=store)


def test_progress_is_quiet_under_ci_and_goes_to_stderr(questions, store, capsys, monkeypatch):
    monkeypatch.setenv("CI", "1")
    evaluate(Predictor(seed=1), questions, store=store)
    assert capsys.readouterr() == ("", "")
    monkeypatch.delenv("CI")
    evaluate(Predictor(seed=2), questions, store=store, progress=False)
    assert capsys.readouterr() == ("", "")
    evaluate(Predictor(seed=3), questions, store=store)
    said = capsys.readouterr()
    assert said.out == "" and "40/40" in said.err


# --- comparing --------------------------------------------------------------------------------------------------------


def test_compare(questions, store):
    a = evaluate(lambda batch: [q.sql if q.id < "q20" else "SELECT 0" for q in batch], questions, store=store)
    b = evaluate(lambda batch: [q.sql if q.id > "q15" else "SELECT 0" for q in batch], questions, store=store)
    comparison = compare(a, b)
    assert comparison.fixed == tuple(f"q{i}" for i in range(20, 40))
    assert comparison.broken == tuple(f"q{i:02}" for i in range(16))
    assert comparison.both_right == ("q16", "q17", "q18", "q19") and comparison.both_wrong == ()
    assert comparison.p_value == pytest.approx(0.618, abs=1e-3)
    assert "fixed 20, broken 16, still failing 0" in str(comparison)
    assert comparison.to_frame().change.value_counts().to_dict() == {"fixed": 20, "broken": 16, "both_right": 4}
    back = compare(b, a)
    assert (back.fixed, back.broken, back.p_value) == (comparison.broken, comparison.fixed, comparison.p_value)
    assert compare(a, a).p_value == 1


@pytest.mark.parametrize(
    ("fixed", "broken", "p_value"),
    [(0, 0, 1), (5, 5, 1), (1, 0, 1), (10, 2, 0.0386), (8, 0, 2 / 2**8), (0, 8, 2 / 2**8)],
)
def test_mcnemar(fixed, broken, p_value):
    assert mcnemar(fixed, broken) == pytest.approx(p_value, abs=5e-5)


def test_mcnemar_of_many_is_a_number():
    assert 0 <= mcnemar(3_000, 2_000) < 1e-40


def test_compare_refuses_what_cannot_be_compared(questions, store):
    a = evaluate(Predictor(), questions, store=store)
    exact = evaluate(Predictor(), questions, mode="exact", store=store)
    fewer = evaluate(Predictor(), questions[:10], store=store)
    unfinished = store.begin(replace(a, identity="other"), fresh=True)
    for other, message in ((exact, "one mode"), (fewer, "same questions"), (replace(a, finished=None), "unfinished")):
        with pytest.raises(LabkitError, match=message):
            compare(a, other)
    with pytest.raises(LabkitError, match="same questions"):
        compare(a, replace(a, database_hashes={"a": "changed"}))
    assert unfinished.n == 0


@pytest.mark.parametrize("options", [{"workers": 0}, {"batch": 0}, {}])
def test_a_cluster_without_ray_or_without_workers_is_a_sentence(options):
    from labkit.raydata import RayGenerator

    told = "Give 1 or more" if options else "pip install 'labkit\\[ray\\]'"
    with pytest.raises(LabkitError, match=told):
        RayGenerator(list, **options)
