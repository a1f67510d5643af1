"""The run store: what goes in comes out, batches are whole, two write at once, every ailment is a sentence."""

import multiprocessing
import sqlite3
import subprocess
import sys

import pytest

from labkit.errors import LabkitError
from labkit.runs import Interval, Result, Run, RunStore, wilson


def result(id, verdict="right", **changes) -> Result:
    values = {"reason": "", "detail": "", "valid": True, "seconds": 0.5}
    return Result(question_id=id, prediction=f"SELECT {id!r}", verdict=verdict, **values | changes)


def draft(identity="same", total=3, **changes) -> Run:
    values = {"set": "dev", "mode": "execution", "model": "m", "settings": {"seed": 1}, "versions": {"python": "3"}}
    return Run(id="", identity=identity, total=total, **values | changes)


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs.db")


# --- figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [(0, 0, 0, 1), (0, 10, 0, 0.2775), (10, 10, 0.7225, 1), (63, 150, 0.344, 0.500), (1, 1, 0.2065, 1)],
)
def test_wilson(correct, n, low, high):
    interval = wilson(correct, n)
    assert interval.low == pytest.approx(low, abs=5e-4) and interval.high == pytest.approx(high, abs=5e-4)
    assert 0 <= interval.low <= interval.high <= 1


def test_wilson_widens_with_z_and_refuses_nonsense():
    assert wilson(5, 10, z=2.58).low < wilson(5, 10).low
    assert isinstance(wilson(5, 10), Interval)
    for correct, n in ((-1, 3), (4, 3), (0, -1)):
        with pytest.raises(LabkitError, match="no proportion"):
            wilson(correct, n)


def test_a_run_prints_accuracy_with_interval_n_and_mode():
    results = tuple(result(str(i), "right" if i < 63 else "wrong") for i in range(150))
    run = draft(total=150, results=results, finished="2026-01-01")
    assert str(run) == "0.42 [0.34, 0.50] n=150 (execution)"


def test_unstable_and_gold_errors_stay_in_n_count_as_not_right_and_are_printed_apart():
    verdicts = ["right", "wrong", "unstable", "gold_error", "gold_error"]
    results = tuple(result(str(i), verdict, valid=i < 4) for i, verdict in enumerate(verdicts))
    run = draft(total=5, results=results, finished="2026-01-01")
    assert (run.n, run.correct, run.accuracy, run.valid, run.seconds) == (5, 1, 0.2, 4, 2.5)
    assert run.verdicts == {"right": 1, "wrong": 1, "unstable": 1, "gold_error": 2}
    assert str(run) == "0.20 [0.04, 0.62] n=5 (execution), 1 unstable, 2 gold_error"
    assert str(draft(total=9, results=results)).endswith("unfinished, 5 of 9")
    assert str(draft()).startswith("0.00 [0.00, 1.00] n=0")


def test_frame_and_json():
    run = draft(results=(result("a"), result("b", "wrong", reason="rows")))
    frame = run.to_frame()
    assert list(frame.question_id) == ["a", "b"] and list(frame.verdict) == ["right", "wrong"]
    assert list(draft().to_frame().columns) == list(frame.columns)
    about = run.to_json()
    assert about["accuracy"] == 0.5 and about["verdicts"]["wrong"] == 1 and "results" not in about


# --- the store --------------------------------------------------------------------------------------------------------


def test_what_goes_in_comes_out(store):
    run = store.begin(draft(database_hashes={"league": "abc"}, adapter="a", seed=7, device="cpu"))
    odd = result("ü", "wrong", reason="rows", detail="x\ny", valid=False, seconds=0.25)
    store.add(run.id, [(2, odd), (0, result("first"))])
    kept = store.get(run.id)
    assert kept.results == (result("first"), odd)  # in the order of the set
    assert kept.settings == {"seed": 1} and kept.database_hashes == {"league": "abc"} and kept.seed == 7
    assert kept.started and kept.finished is None
    assert store.finish(run.id).finished and store.finish(run.id).finished == store.get(run.id).finished


def test_predictions_of_any_text_are_kept(store):
    run = store.begin(draft())
    text = "SELECT 'a\0b' -- \U0001f3c0 " + "x" * 1_000_000
    store.add(run.id, [(0, Result("q", text, "wrong", "", "", True, 0.0))])
    assert store.get(run.id).results[0].prediction == text


def test_begin_returns_the_newest_of_the_same_identity(store):
    first = store.begin(draft())
    assert store.begin(draft()).id == first.id
    fresh = store.begin(draft(), fresh=True)
    assert fresh.id != first.id and store.begin(draft()).id == fresh.id
    assert store.begin(draft("other")).id not in (first.id, fresh.id)
    assert [run.id for run in store.list()][1:] == [fresh.id, first.id]


def test_a_question_keeps_its_first_result(store):
    run = store.begin(draft())
    store.add(run.id, [(0, result("a"))])
    store.add(run.id, [(0, result("a", "wrong")), (1, result("b"))])
    assert [r.verdict for r in store.get(run.id).results] == ["right", "right"]
    assert store.done(run.id) == {"a", "b"}


def test_a_batch_is_kept_whole_or_not_at_all(store):
    run = store.begin(draft())
    half_a_character = result("bad", detail="\ud800")
    with pytest.raises(UnicodeEncodeError):
        store.add(run.id, [*((i, result(str(i))) for i in range(120)), (120, half_a_character)])
    assert store.done(run.id) == set()


def test_get_by_the_beginning_of_an_id(store):
    run, other = store.begin(draft()), store.begin(draft("other"))
    with sqlite3.connect(store.path) as db:
        db.execute("UPDATE runs SET id = 'abc1' WHERE id = ?", (run.id,))
        db.execute("UPDATE runs SET id = 'abc12' WHERE id = ?", (other.id,))
    db.close()
    assert store.get("abc12").identity == "other"
    assert store.get("abc1").identity == "same"  # the whole of one id, though the beginning of another
    for wrong, message in (("abc", "Several runs"), ("", "Several runs"), ("zzz", "No run"), ("%", "No run")):
        with pytest.raises(LabkitError, match=message):
            store.get(wrong)


def test_delete(store):
    run, other = store.begin(draft()), store.begin(draft("other"))
    store.add(run.id, [(0, result("a"))])
    store.add(other.id, [(0, result("a"))])
    store.delete(run.id)
    assert [r.id for r in store.list()] == [other.id] and store.get(other.id).n == 1
    with pytest.raises(LabkitError, match="No run"):
        store.delete(run.id)
    with pytest.raises(LabkitError, match="deleted"):
        store.add(run.id, [(0, result("a"))])


def test_default_path_is_in_the_kits_home(own_home):
    assert RunStore().path == own_home / "runs.db"


# --- ailments ---------------------------------------------------------------------------------------------------------


def test_no_database(tmp_path):
    (tmp_path / "text.db").write_text("no database, " * 1000)
    with pytest.raises(LabkitError, match="text.db fails: file is not a database. The file is something else"):
        RunStore(tmp_path / "text.db")
    with pytest.raises(LabkitError, match="unable to open"):
        RunStore(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(LabkitError, match="folder of the run store"):
        RunStore(tmp_path / "file" / "runs.db")


def test_damaged(store):
    run = store.begin(draft())
    store.add(run.id, [(i, result(str(i), detail="x" * 1000)) for i in range(50)])
    data = bytearray(store.path.read_bytes())
    data[4096:] = b"\x5a" * len(data[4096:])
    store.path.write_bytes(data)
    for broken in (lambda: store.list(), lambda: store.add(run.id, [(0, result("z"))]), lambda: store.get(run.id)):
        with pytest.raises(LabkitError, match="Move|move it away"):
            broken()


def test_another_programs_database_and_an_older_kits(tmp_path):
    with sqlite3.connect(tmp_path / "old.db") as db:
        db.execute("CREATE TABLE runs (id TEXT, identity TEXT, started TEXT)")
        db.execute("CREATE TABLE results (run TEXT, question_id TEXT, position INTEGER)")
        db.execute("INSERT INTO runs VALUES ('a', 'b', 'c')")
    db.close()
    with pytest.raises(LabkitError, match="old.db fails: it lacks .*another version of the kit"):
        RunStore(tmp_path / "old.db")


def test_locked(store, monkeypatch):
    monkeypatch.setattr("labkit.runs._WAIT", 0.2)
    holder = sqlite3.connect(store.path)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(LabkitError, match="locked. Another program holds it"):
            store.begin(draft())
        assert store.list() == []  # reading goes on
    finally:
        holder.close()


def test_full_disk(tmp_path):
    """The size that a file may have is limited in a process of its own: SQLite sees a disk that takes no more."""
    code = """
import resource, signal, sys
from labkit.errors import LabkitError
from labkit.runs import Result, Run, RunStore
store = RunStore(sys.argv[1])
run = store.begin(Run(id="", set="s", mode="exact", model="m", identity="i"))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
kept = 0
try:
    for i in range(100):
        store.add(run.id, [(i, Result(str(i), "x" * 20_000, "right", "", "", True, 0.0))])
        kept += 1
except LabkitError as error:
    print(kept, error)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "runs.db"], capture_output=True, text=True)
    kept, _, message = done.stdout.partition(" ")
    assert "free some space" in message, done
    (run,) = RunStore(tmp_path / "runs.db").list()
    assert run.n == int(kept) > 0


def test_read_only(store):
    """Root may write any file, so the file system is not asked: SQLite is told to refuse."""
    import labkit.runs

    def refuse(db, prepare=labkit.runs._prepare):
        prepare(db)
        db.execute("PRAGMA query_only = 1")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labkit.runs, "_prepare", refuse)
        with pytest.raises(LabkitError, match="cannot be written: mend its permissions"):
            store.begin(draft())


def _write(path, identity, barrier):
    barrier.wait()
    store = RunStore(path)
    run = store.begin(draft(identity, total=60))
    for i in range(0, 60, 3):
        store.add(run.id, [(i + k, result(str(i + k))) for k in range(3)])
    store.finish(run.id)


@pytest.mark.parametrize("identities", [("a", "b"), ("same", "same")])
def test_several_processes_write_at_once(tmp_path, identities):
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(len(identities))
    writers = [spawn.Process(target=_write, args=(tmp_path / "runs.db", i, barrier)) for i in identities]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0]
    runs = RunStore(tmp_path / "runs.db").list()
    assert sorted(run.identity for run in runs) == sorted(set(identities))
    assert all(run.n == 60 and run.finished for run in runs)
