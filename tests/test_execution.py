"""Execution beside the attacks: values, files of every kind, limits, children, threads, forks, speed."""

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import apsw
import psutil
import pytest

from labkit import execution
from labkit.errors import LabkitError
from labkit.execution import ExecutionResult, Limits, Task, connect_readonly, execute, execute_many, execute_tasks
from labkit.pool import SANDBOXES, Child, ChildEnded, Pool

pytestmark = pytest.mark.alone  # held to the clock

ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"
ONE_OPCODE = "SELECT instr(zeroblob(9000000) || 'a', zeroblob(4000000) || 'b')"


def make(path: Path, *statements: str) -> Path:
    connection = apsw.Connection(str(path))
    for statement in statements or ("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)",):
        connection.execute(statement).fetchall()
    connection.close()
    return path


def folder_state(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir()) if p.is_file()}


@pytest.fixture
def database(tmp_path) -> Path:
    return make(tmp_path / "small.sqlite")


# ---- values and their JSON form


def test_values_survive_the_way(database):
    sql = "SELECT NULL, 2.5, 9e999, -9e999, x'00ff', '', '\x01 ☃ 😀', -9223372036854775808, 1e-320, x'', 0.1 + 0.2"
    expected = (
        None,
        2.5,
        float("inf"),
        float("-inf"),
        b"\x00\xff",
        "",
        "\x01 ☃ 😀",
        -(2**63),
        1e-320,
        b"",
        0.1 + 0.2,
    )
    result = execute(database, sql)
    assert result.rows == (expected,) and [type(v) for v in result.rows[0]] == [type(v) for v in expected]


def test_json_form_is_plain_json(database):
    result = execute(database, "SELECT x'00ff' a, 9e999 a, -9e999 b, 9e999 - 9e999 c, 9007199254740993 d, 'x' e")
    text = json.dumps(result.to_json(), allow_nan=False)
    assert json.loads(text) == {
        "columns": ["a", "a", "b", "c", "d", "e"],
        "rows": [[{"blob": "00ff"}, {"float": "Infinity"}, {"float": "-Infinity"}, None, 9007199254740993, "x"]],
        "error": None,
        "limit": None,
        "truncated": False,
        "seconds": round(result.seconds, 6),
    }


def test_frame_keeps_columns_of_the_same_name(database):
    frame = execute(database, "SELECT a, a, a + 1 AS b FROM t").to_frame()
    assert list(frame.columns) == ["a", "a", "b"] and frame.values.tolist() == [[1, 1, 2], [2, 2, 3]]
    empty = execute(database, "SELECT a, a FROM t WHERE 0").to_frame()
    assert empty.shape == (0, 2)


def test_text_that_is_not_utf8_comes_as_bytes_in_the_same_order(tmp_path):
    path = make(
        tmp_path / "latin.sqlite",
        "CREATE TABLE t (id, name)",
        "INSERT INTO t VALUES (1, CAST(x'4aff' AS TEXT)), (2, 'fine'), (3, x'41'), (4, NULL), (5, 2.5)",
    )
    result = execute(path, "SELECT name, id, name FROM t ORDER BY id DESC; -- why not")
    assert result.columns == ("name", "id", "name") and result.error is None
    names = [2.5, None, b"A", "fine", b"J\xff"]
    assert result.rows == tuple((name, 5 - i, name) for i, name in enumerate(names))
    cut = execute(path, "SELECT name FROM t ORDER BY id", Limits(rows=2))
    assert cut.rows == ((b"J\xff",), ("fine",)) and cut.limit == "rows"


def test_column_name_that_is_not_utf8_is_a_sentence(tmp_path):
    path = make(tmp_path / "bad.sqlite", "CREATE TABLE t (abcd)", "INSERT INTO t VALUES (1)")
    path.write_bytes(path.read_bytes().replace(b"abcd", b"\xff\xfe\xfd\xfc"))
    assert "UTF-8" in execute(path, "SELECT * FROM t").error
    assert execute(path, "SELECT count(*) FROM t").rows == ((1,),)


# ---- caps and limits


def test_exactly_as_many_rows_as_allowed_is_not_truncated(database):
    assert not execute(database, "SELECT a FROM t", Limits(rows=2)).truncated
    cut = execute(database, "SELECT a FROM t", Limits(rows=1))
    assert cut == ExecutionResult(("a",), ((1,),), None, "rows", True, cut.seconds) and cut.ok


def test_exactly_as_many_bytes_as_allowed_is_not_truncated(database):
    sql = "SELECT 'é', 1 FROM t"  # 8 + 2 and 8 bytes a row
    assert not execute(database, sql, Limits(bytes=36)).truncated
    cut = execute(database, sql, Limits(bytes=35))
    assert (len(cut.rows), cut.limit, cut.truncated) == (1, "bytes", True)


def test_each_query_has_its_whole_time(database):
    slow = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 100000) SELECT max(n) FROM c"
    results = execute_many(database, [slow] * 60, Limits(seconds=0.5))
    assert sum(result.seconds for result in results) > 0.5
    assert {result.rows for result in results} == {((100_000,),)}


def test_the_overrunning_cost_the_others_nothing(database):
    sqls = [f"SELECT {i}" for i in range(60)]
    sqls[7], sqls[8], sqls[50] = ONE_OPCODE, ENDLESS, "SELECT nope"
    start = time.monotonic()
    results = execute_many(database, sqls, Limits(seconds=0.3))
    assert time.monotonic() - start < 2.5
    assert [i for i, result in enumerate(results) if result.error] == [7, 8, 50]
    assert (results[7].limit, results[8].limit, results[50].limit) == ("time", "time", None)
    assert all(result.rows == ((i,),) for i, result in enumerate(results) if i not in (7, 8, 50))
    assert 0.3 <= results[7].seconds < 1.0 and 0.3 <= results[8].seconds < 0.6


def test_a_query_that_failed_or_was_cut_leaves_the_next_on_its_connection_alone(database):
    long = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 99) SELECT n FROM c"
    wrong = ["SELECT nothing", long, "DELETE FROM t", "PRAGMA reverse_unordered_selects=1", "SELECT pow(10, 'x') -- ?"]
    rows = [result.rows for result in execute_many(database, [q for sql in wrong for q in (sql, "SELECT a FROM t")])]
    assert rows[1::2] == [((1,), (2,))] * len(wrong)
    refused = execute_many(database, ["SELECT 1", "SELECT name FROM pragma_table_list", "SELECT 1"])
    assert [result.limit for result in refused] == [None, "refused", None]


def test_tasks_on_several_databases_keep_their_places(tmp_path):
    paths = [make(tmp_path / f"{i}.sqlite", f"CREATE TABLE t (a); INSERT INTO t VALUES ({i})") for i in range(5)]
    tasks = [Task(paths[i % 5], f"SELECT a, {i} FROM t") for i in range(40)]
    assert [result.rows for result in execute_tasks(tasks)] == [((i % 5, i),) for i in range(40)]
    assert execute_tasks([]) == []
    with pytest.raises(LabkitError, match="no database"):
        execute_tasks([*tasks, Task(tmp_path / "none.sqlite", "SELECT 1")])


def test_cpu_limit_holds_without_the_parents_clock(database):
    child = Child("labkit.sandbox")
    queries = [[str(database), "SELECT 1"], [str(database), ONE_OPCODE]]
    child.send(json.dumps([0.1, 10, 1_000_000_000, 256_000_000, False, {}, queries]).encode())
    assert json.loads(child.receive(10, 1_000))[1] == [[1]]
    with pytest.raises(ChildEnded) as end:
        child.receive(20, 1_000)
    assert end.value.limit == "cpu" and "processor" in str(end.value)


@pytest.mark.skipif(sys.platform != "linux", reason="the system enforces the memory limit on Linux only")
def test_memory_of_a_child_is_bounded(database):
    blobs = "WITH RECURSIVE c(b) AS (SELECT randomblob(500000) UNION ALL SELECT randomblob(500000) FROM c)"
    peak, done = [0], threading.Event()

    def watch():
        while not done.wait(0.005):
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.Error):
                    peak[0] = max(peak[0], child.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    result = execute(
        database, f"{blobs} SELECT count(*) FROM (SELECT b FROM c ORDER BY b)", Limits(5, memory=64_000_000)
    )
    done.set()
    watcher.join()
    assert result.limit == "memory" and 40_000_000 < peak[0] < 64_000_000 + 60_000_000


@pytest.mark.parametrize(
    "bad", [{"seconds": 0}, {"seconds": float("nan")}, {"seconds": float("inf")}, {"rows": 0}, {"rows": 1.5},
            {"rows": True}, {"bytes": -1}, {"memory": 10}, {"seconds": "2"}],
)  # fmt: skip
def test_senseless_limits_are_refused(bad):
    with pytest.raises(LabkitError, match=f"Limits.{next(iter(bad))} is"):
        Limits(**bad)


@pytest.mark.parametrize("sql", [None, 7, b"SELECT 1", ["SELECT 1"]])
def test_a_query_that_is_no_text_is_refused(database, sql):
    assert execute(database, sql).limit == "refused"


def test_any_iterable_of_queries_will_do_but_one_text(database):
    assert execute_many(database, []) == []
    assert [r.rows for r in execute_many(database, (f"SELECT {i}" for i in range(3)))] == [((0,),), ((1,),), ((2,),)]
    with pytest.raises(LabkitError, match="one text"):
        execute_many(database, "SELECT 1")


# ---- files


@pytest.mark.parametrize(
    "kind", ["missing", "folder", "empty", "text", "pipe", "device", "encrypted", "nul", "none", "long"]
)
def test_what_is_no_database_is_named_in_a_sentence(tmp_path, kind):
    path = tmp_path / "x.sqlite"
    match kind:
        case "folder":
            path.mkdir()
        case "empty":
            path.touch()
        case "text":
            path.write_text("SQLite is a library, and this is a text of more than a hundred bytes, " * 9)
        case "pipe":
            os.mkfifo(path)
        case "device":
            path = Path("/dev/zero")
        case "encrypted":
            path.write_bytes(random.Random(0).randbytes(8192))
        case "nul":
            path = "a\0b"
        case "none":
            path = None
        case "long":
            path = "x" * 5_000
    for attempt in (lambda: execute(path, "SELECT 1"), lambda: connect_readonly(path)):
        start = time.monotonic()
        with pytest.raises(LabkitError) as error:
            attempt()
        assert str(error.value).endswith(".") and time.monotonic() - start < 1
    assert not list(tmp_path.glob("*-wal")) + list(tmp_path.glob("*-shm")) + list(tmp_path.glob("*-journal"))


def test_names_with_odd_characters(tmp_path):
    for name in ("a b.sqlite", "ü?x=1#y%41.sqlite", "file:x?mode=rwc", ":memory:", "'; DROP.db"):
        path = make_wal(tmp_path, name) if "%" in name else make(tmp_path / name)
        assert execute(path, "SELECT count(*) FROM t").rows == ((2,),)
        assert connect_readonly(path).execute("SELECT count(*) FROM t").fetchall() == [(2,)]


def make_wal(folder: Path, name: str = "wal.sqlite") -> Path:
    """A database in WAL mode, at rest."""
    return make(folder / name, "PRAGMA journal_mode = WAL", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1), (2)")


@pytest.mark.parametrize("case", ["at rest", "live", "left over", "left over alone", "empty wal"])
@pytest.mark.parametrize("link", [False, True])
def test_wal_content_is_seen_and_no_byte_changes(tmp_path, case, link):
    path, rows = make_wal(tmp_path), 2
    if case == "empty wal":
        Path(f"{path}-wal").touch()
    if case in ("live", "left over", "left over alone"):
        writer, rows = apsw.Connection(str(path)), 3
        writer.execute("INSERT INTO t VALUES (3)")
    if case.startswith("left over"):
        crashed = tmp_path / "crashed"
        crashed.mkdir()
        for suffix in ("", "-wal") if case == "left over alone" else ("", "-wal", "-shm"):
            (crashed / f"wal.sqlite{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
        path = crashed / "wal.sqlite"
    asked = path
    if link:
        (tmp_path / "elsewhere").mkdir()
        asked = tmp_path / "elsewhere" / "link.sqlite"
        asked.symlink_to(path)
    before = folder_state(path.parent)
    results = execute_many(asked, ["SELECT count(*) FROM t"] * 5)
    assert {result.rows for result in results} == {((rows,),)} and folder_state(path.parent) == before
    assert folder_state(asked.parent).keys() == ({"link.sqlite"} if link else before.keys())
    if case != "live":  # in this process the live writer itself keeps its -shm up to date
        connection = connect_readonly(asked)
        assert connection.execute("SELECT count(*) FROM t").fetchall() == [(rows,)]
        connection.close()
        assert folder_state(path.parent) == before


def test_each_query_sees_what_a_writer_committed_before(tmp_path):
    for path in (make(tmp_path / "plain.sqlite"), make_wal(tmp_path)):
        writer = apsw.Connection(str(path))
        for count in range(3, 9):
            writer.execute("INSERT INTO t VALUES (0)")
            assert execute(path, "SELECT count(*) FROM t").rows == ((count,),)
        writer.close()
        assert execute(path, "SELECT count(*) FROM t").rows == ((8,),)


def test_locked_database_is_a_sentence(database):
    writer = apsw.Connection(str(database))
    writer.execute("BEGIN EXCLUSIVE")
    result = execute(database, "SELECT * FROM t", Limits(seconds=0.4))
    assert "Another program" in result.error and result.limit is None
    writer.execute("ROLLBACK")
    assert execute(database, "SELECT * FROM t").ok


def test_read_only_folder(tmp_path):
    path = make_wal(tmp_path)
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        assert execute(path, "SELECT count(*) FROM t").rows == ((2,),)
        assert connect_readonly(path).execute("SELECT count(*) FROM t").fetchall() == [(2,)]
        assert list(folder_state(tmp_path)) == ["wal.sqlite"]
    finally:
        tmp_path.chmod(0o755)


def test_read_only_media(tmp_path, on_read_only_media):
    media = tmp_path / "media"
    media.mkdir()
    make(media / "plain.sqlite", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1), (2)")
    make_wal(media, "rest.sqlite")
    writer = apsw.Connection(str(make_wal(tmp_path)))
    writer.execute("INSERT INTO t VALUES (3)")
    for end in ("", "-wal"):  # as a crash leaves it: a row that stands in the journal alone
        shutil.copy(f"{tmp_path}/wal.sqlite{end}", f"{media}/left.sqlite{end}")
    writer.close()
    said = on_read_only_media(media, MEDIA)
    if said is not None:
        counts = {"plain.sqlite": [[2], [2]], "rest.sqlite": [[2], [2]], "left.sqlite": [[3], [3]]}
        assert json.loads(said) == {"counts": counts, "there": sorted([*counts, "left.sqlite-wal"])}


MEDIA = """
import json, os, sys
from labkit.execution import connect_readonly, execute

counts, asked = {}, "SELECT count(*) FROM t"
for name in sorted(name for name in os.listdir(sys.argv[1]) if name.endswith(".sqlite")):
    path = f"{sys.argv[1]}/{name}"
    result = execute(path, asked)
    counts[name] = [result.rows[0] if result.ok else result.error, *connect_readonly(path).execute(asked)]
print(json.dumps({"counts": counts, "there": sorted(os.listdir(sys.argv[1]))}))
"""


def test_hot_journal_is_no_answer_and_stays(tmp_path):
    path = tmp_path / "a.sqlite"
    make(path, "CREATE TABLE t (a)", "INSERT INTO t SELECT hex(randomblob(9)) FROM json_each('[1,2,3]')")
    writer = apsw.Connection(str(path))
    writer.execute("PRAGMA cache_spill = 1; PRAGMA cache_size = 2; BEGIN")
    writer.execute(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 20000) INSERT INTO t SELECT n FROM c"
    )
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for suffix in ("", "-journal"):
        (crashed / f"a.sqlite{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    writer.execute("ROLLBACK")
    before = folder_state(crashed)
    result = execute(crashed / "a.sqlite", "SELECT count(*) FROM t")
    assert "cut off while writing" in result.error and folder_state(crashed) == before
    with pytest.raises(LabkitError, match="cut off while writing"):
        connect_readonly(crashed / "a.sqlite")


HOSTILE = {
    "endless view": (f"CREATE VIEW v AS {ENDLESS}", "time"),
    "view that loads code": ("CREATE VIEW v AS SELECT load_extension('x')", "refused"),
    "view about the connection": ("CREATE VIEW v AS SELECT changes()", "refused"),
    "view of a pragma": ("CREATE VIEW v AS SELECT * FROM pragma_database_list", "refused"),
    "view of dbstat": ("CREATE VIEW v AS SELECT * FROM dbstat", "refused"),
    "bomb in a view": ("CREATE VIEW v AS SELECT printf('%.*c', 900000000, 'x')", "length"),
    "one opcode in a view": (f"CREATE VIEW v AS {ONE_OPCODE}", "time"),
    "bomb in a generated column": (
        "CREATE TABLE v (a, b AS (hex(zeroblob(a)))); INSERT INTO v (a) VALUES (90000000)", "length"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_database(tmp_path, case):
    statement, limit = HOSTILE[case]
    path = make(tmp_path / "hostile.sqlite", "CREATE TABLE t (a)", statement)
    before = folder_state(tmp_path)
    start = time.monotonic()
    assert execute(path, "SELECT * FROM v", Limits(seconds=0.3)).limit == limit
    assert time.monotonic() - start < 1 and folder_state(tmp_path) == before
    assert execute(path, "SELECT count(*) FROM t").rows == ((0,),)


def test_damaged_databases_end_in_a_result_or_a_sentence(tmp_path):
    sound = make(
        tmp_path / "sound.sqlite",
        "CREATE TABLE t (a PRIMARY KEY, b); CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('a b c')",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 300)"
        " INSERT INTO t SELECT n, hex(n) FROM c",
    ).read_bytes()
    chance, errors = random.Random(7), 0
    path = tmp_path / "damaged.sqlite"
    for round_ in range(40):
        damaged = bytearray(sound[: chance.randrange(100, len(sound))] if round_ % 4 == 0 else sound)
        for _ in range(chance.randrange(1, 60)):
            damaged[chance.randrange(18 if round_ % 2 else 100, len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            results = execute_many(path, ["SELECT * FROM t ORDER BY b", "SELECT * FROM f('a')"], Limits(seconds=0.3))
            errors += sum(result.error is not None for result in results)
            assert all(isinstance(result.error, str | None) for result in results)
        except LabkitError:
            errors += 1
        assert path.read_bytes() == damaged
    assert errors > 10


# ---- children


def test_the_answer_of_a_broken_child_is_not_believed():
    good = [["a"], [[1]], None, None, False, 0.1]
    assert execution._read_reply(json.dumps(good).encode()).rows == ((1,),)
    bad = [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"blob": "00"}', b"9" * 9_000]
    rows = [[[1, 2]], [1], [[True]], [[[1]]], [[{"blob": "zz"}]], [[{"x": 1}]]]
    wrong = [(0, [1]), (0, 5), *[(1, r) for r in rows], (2, 7), (3, "unheard"), (3, []), (5, "x"), (5, None)]
    for place, value in wrong:
        bad.append(json.dumps(good[:place] + [value] + good[place + 1 :]).encode())
    for payload in bad:
        with pytest.raises(ChildEnded):
            execution._read_reply(payload)


def test_killed_children_are_replaced(database):
    assert execute(database, "SELECT 1").ok
    for _ in range(3):
        for child in psutil.Process().children():
            child.kill()
        assert execute(database, "SELECT 1").rows == ((1,),)


def test_child_killed_during_its_query_is_a_sentence(database):
    def kill_soon():
        for _ in range(2):  # it is tried once more
            time.sleep(0.4)
            for child in psutil.Process().children():
                child.send_signal(signal.SIGSEGV)

    killer = threading.Thread(target=kill_soon)
    killer.start()
    result = execute(database, ENDLESS, Limits(seconds=5))
    killer.join()
    assert result.limit == "crash" and result.error.startswith("Stopped: SQLite broke down")
    assert execute(database, "SELECT 1").ok


def test_child_that_cannot_start_is_a_sentence():
    with pytest.raises(LabkitError, match="did not start"), Pool("labkit.no_such_program", 1).borrow():
        pass


def test_a_child_writes_no_byte_and_under_landlock_makes_and_removes_nothing(tmp_path):
    new, kept = tmp_path / "new", tmp_path / "kept"
    kept.write_text("as it was")
    code = """
        import os, sys
        from labkit import sandbox
        found, offered = [], sandbox._forbid_writing
        sandbox._forbid_writing = lambda: found.append(offered())
        sandbox._confine_process()
        new, kept = sys.argv[1:]
        for attempt in (lambda: os.write(os.open(kept, os.O_RDWR), b"x"),
                        lambda: os.write(os.open(new, os.O_CREAT | os.O_WRONLY), b"x"),
                        lambda: os.unlink(kept) if any(found) else 1 / 0,
                        lambda: os.mkdir(new) if any(found) else 1 / 0):
            try:
                attempt()
                print("possible")
            except (OSError, ZeroDivisionError):
                print("failed")
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(new), str(kept)]
    read, write = os.pipe()  # as long as it's open, the child program takes its parent to be alive
    done = subprocess.run(command, capture_output=True, text=True, stdin=read, check=False)
    os.close(read)
    os.close(write)
    assert done.stdout == "failed\n" * 4, done.stdout + done.stderr
    assert kept.read_text() == "as it was" and not (new.exists() and new.stat().st_size)


# ---- the parent: killed, interrupted, forked, threaded, ended

PARENT = """
import sys, threading, time
from labkit.execution import *
from labkit.pool import SANDBOXES
database, sql = sys.argv[1:3]
execute_many(database, ["SELECT 1"] * 500)
if sql:
    threading.Timer(0.5, lambda: print(*[c._process.pid for c in SANDBOXES._all], flush=True)).start()
    execute_many(database, [sql] * 8, Limits(seconds=60))
else:
    print(*[c._process.pid for c in SANDBOXES._all], flush=True)
    time.sleep(60)
"""


def start_parent(database: Path, sql: str) -> tuple[subprocess.Popen, list[int]]:
    command = [sys.executable, "-W", "error", "-c", PARENT, str(database), sql]
    parent = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert children and all(psutil.pid_exists(pid) for pid in children)
    return parent, children


def assert_gone(children: list[int], seconds: float = 3.0) -> None:
    deadline = time.monotonic() + seconds
    while alive := [pid for pid in children if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]:
        assert time.monotonic() < deadline, f"children {alive} outlive their parent"
        time.sleep(0.02)


@pytest.mark.parametrize("sql", [ENDLESS, ONE_OPCODE, ""], ids=["in a loop", "in one opcode", "idle"])
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_no_child_outlives_a_killed_or_interrupted_parent(database, sql, kind):
    parent, children = start_parent(database, sql)
    start = time.monotonic()
    parent.send_signal(kind)
    _, errors = parent.communicate(timeout=10)
    assert time.monotonic() - start < 3
    assert_gone(children)
    assert kind == signal.SIGKILL or errors.strip().splitlines()[-1] == "KeyboardInterrupt", errors


def test_children_ignore_ctrl_c(database):
    execute(database, "SELECT 1")
    pids = {child.pid for child in psutil.Process().children()}
    for pid in pids:
        os.kill(pid, signal.SIGINT)
    time.sleep(0.1)
    assert execute(database, "SELECT 1").ok and pids <= {child.pid for child in psutil.Process().children()}


def test_interpreter_ends_without_noise(database):
    code = f"from labkit import execute; print(execute({str(database)!r}, 'SELECT 7').rows)"
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("((7,),)\n", "")


def test_works_where_labkit_is_only_on_the_path(database, tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('a stray file was imported')")
    folders = [str(Path(execution.__file__).parent.parent), *[p for p in sys.path if p.endswith("site-packages")]]
    code = (
        f"import sys; sys.path += {folders!r}; from labkit import execute; print(execute(sys.argv[1], 'SELECT 7').rows)"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(database)]
    assert subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True).stdout == "((7,),)\n"


def test_from_several_threads(database):
    wrong = []

    def ask(thread: int):
        for i in range(40):
            if execute(database, f"SELECT {thread}, {i}").rows != ((thread, i),):
                wrong.append((thread, i))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(SANDBOXES._all) <= SANDBOXES.size


def test_after_a_fork_each_process_has_its_own_children(database):
    execute(database, "SELECT 1")
    mine = {child.pid for child in psutil.Process().children()}
    code = 1
    pid = os.fork()
    if pid == 0:
        try:
            code = 0 if all(r.ok for r in execute_many(database, ["SELECT 2"] * 50)) else 2
            SANDBOXES.close()
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert execute(database, "SELECT 3").rows == ((3,),)
    assert mine <= {child.pid for child in psutil.Process().children()}


def test_no_database_among_many_queries_ends_at_once(tmp_path):
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"no database" * 1000)
    start = time.monotonic()
    with pytest.raises(LabkitError, match="no SQLite database"):
        execute_many(path, ["SELECT 1"] * 1000)
    assert time.monotonic() - start < 2


def test_import_is_light():
    code = (
        "import sys, labkit.execution; print([m for m in ('pandas', 'torch', 'numpy', 'sqlglot') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_throughput(database, capsys):
    sqls = [f"SELECT a FROM t WHERE a > {i}" for i in range(3_000)]
    execute_many(database, sqls[:100])
    start = time.perf_counter()
    results = execute_many(database, sqls)
    rate = len(sqls) / (time.perf_counter() - start)
    with capsys.disabled():
        print(f"\n{rate:,.0f} simple queries a second")
    assert all(result.ok for result in results) and rate > 1_000


def test_a_mistake_on_a_full_text_table_keeps_sqlites_words(tmp_path):
    """FTS4 asks for something, is refused, and goes on: that is not why the query failed."""
    path = tmp_path / "fts.sqlite"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE VIRTUAL TABLE notes USING fts4(body); INSERT INTO notes VALUES ('a fox')")
    connection.close()
    assert execute(path, "SELECT body FROM notes WHERE notes MATCH 'fox'").rows == (("a fox",),)
    wrong = execute(path, "SELECT nope FROM notes")
    assert (wrong.error, wrong.limit) == ("no such column: nope", None)
    assert execute(bytes(path), "SELECT 1").rows == ((1,),)
