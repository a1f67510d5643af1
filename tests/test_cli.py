"""The command line as a script sees it: exit codes, JSON on standard output and nothing else there."""

import io
import json
import os
import runpy
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from labkit.cli import main
from labkit.dataset import load_questions, overlap

ROOT = Path(__file__).parent.parent
LEAGUE = ROOT / "datasets" / "league" / "league.sqlite"
tiny_model_dir = runpy.run_path(str(Path(__file__).with_name("standin.py")))["tiny_model_dir"]
LABKIT = [sys.executable, "-c", "from labkit.cli import main; main()"]


def test_python_m_labkit_is_the_command():
    done = subprocess.run([sys.executable, "-m", "labkit", "sql", "SELECT 7 AS n", "--db", LEAGUE, "--json"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert json.loads(done.stdout)["rows"] == [[7]]


@dataclass(frozen=True)
class Done:
    stdout: str
    stderr: str


def labkit(*arguments, code=0) -> Done:
    """The command in this process, as the console script calls it (torch is imported once)."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["labkit", *map(str, arguments)])
        patch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            main()
    assert (ended.value.code or 0) == code, (ended.value.code, out.getvalue(), err.getvalue())
    return Done(out.getvalue(), err.getvalue())


def as_json(*arguments, code=0):
    return json.loads(labkit(*arguments, "--json", code=code).stdout)


def write_lines(path: Path, *records) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture
def small_set(tmp_path) -> Path:
    lines = (ROOT / "datasets/league/start.jsonl").read_text().splitlines()[:5]
    path = tmp_path / "small.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


# --- sql --------------------------------------------------------------------------------------------------------------


def test_sql_prints_the_contract():
    found = as_json("sql", "--db", LEAGUE, "SELECT count(*) AS n FROM teams")
    assert found.keys() == {"columns", "rows", "error", "limit", "truncated", "seconds"}
    assert (found["columns"], found["rows"], found["error"], found["limit"], found["truncated"]) == (
        ["n"],
        [[24]],
        None,
        None,
        False,
    )


def test_sql_values_that_json_lacks_have_a_stated_form():
    found = as_json("sql", "--db", LEAGUE, "SELECT x'00ff', 9e999, -9e999, NULL, 9007199254740993, 'Zoë'")
    assert found["rows"] == [
        [{"blob": "00ff"}, {"float": "Infinity"}, {"float": "-Infinity"}, None, 9007199254740993, "Zoë"]
    ]


def test_sql_says_which_limit_stopped_it():
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    assert as_json("sql", "--db", LEAGUE, endless, "--seconds", 0.3, code=1)["limit"] == "time"
    cut = as_json("sql", "--db", LEAGUE, "SELECT name FROM players", "--rows", 7)
    assert (cut["truncated"], cut["limit"], len(cut["rows"])) == (True, "rows", 7)
    assert as_json("sql", "--db", LEAGUE, "DELETE FROM teams", code=1)["limit"] == "refused"


def test_sql_prints_a_table_for_people():
    done = labkit("sql", "--db", LEAGUE, "SELECT nickname, '[bold]' AS m FROM teams ORDER BY team_id LIMIT 1")
    assert "Foxes" in done.stdout and "[bold]" in done.stdout
    failed = labkit("sql", "--db", LEAGUE, "SELECT nme FROM players", code=1)
    assert "no such column: nme" in failed.stderr and not failed.stdout


@pytest.mark.parametrize("name", ["missing.sqlite", "notes.txt", "folder", "empty.sqlite"])
def test_sql_names_a_file_that_is_no_database(tmp_path, name):
    (tmp_path / "notes.txt").write_text("no database")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.sqlite").touch()
    done = labkit("sql", "--db", tmp_path / name, "SELECT 1", "--json", code=2)
    assert name in json.loads(done.stdout)["error"] and done.stderr.startswith("Error: ")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "labkit-home") == [
        "empty.sqlite",
        "folder",
        "notes.txt",
    ]


# --- score ------------------------------------------------------------------------------------------------------------

GOLD = "SELECT nickname FROM teams WHERE founded > 2000"


@pytest.fixture
def pairs(tmp_path) -> Path:
    predictions = {
        "same": GOLD,
        "invented": "SELECT nickname FROM teams WHERE foundd > 2000",
        "all": "SELECT nickname FROM teams",
        "none": None,
        "delete": "DELETE FROM teams",
        "surrogate": "SELECT '\ud800'",
        "nul": "SELECT 1\0",
    }
    record = {"question": "Which teams were founded after 2000?", "gold": GOLD, "database": "league"}
    return write_lines(
        tmp_path / "pairs.jsonl",
        *({"id": name, **record, "pred": sql, "model": "not ours"} for name, sql in predictions.items()),
    )


def test_score_prints_a_line_a_pair(pairs):
    done = labkit("score", pairs, "--db-dir", ROOT / "datasets", "--mode", "execution", "--json")
    lines = {line["id"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert all(line.keys() == {"id", "verdict", "reason", "class", "evidence"} for line in lines.values())
    assert lines["same"] == {"id": "same", "verdict": "right", "reason": "", "class": "", "evidence": ""}
    assert lines["invented"]["class"] == "invalid_column" and "founded" in lines["invented"]["evidence"]
    assert lines["all"]["class"] == "malformed_filter"
    assert {name for name, line in lines.items() if line["verdict"] == "right"} == {"same"}


@pytest.mark.parametrize("mode", ["exact", "semantic"])
def test_score_takes_the_other_modes(pairs, mode):
    done = labkit("score", pairs, "--db-dir", ROOT / "datasets", "--mode", mode, "--json")
    assert [line["verdict"] for line in map(json.loads, done.stdout.splitlines())] == ["right"] + ["wrong"] * 6


def test_score_without_classes_gives_the_same_verdicts(pairs):
    options = ("score", pairs, "--db-dir", ROOT / "datasets", "--json")
    whole, bare = (
        [json.loads(line) for line in labkit(*options, *more).stdout.splitlines()] for more in ([], ["--no-diagnose"])
    )
    assert [line["verdict"] for line in bare] == [line["verdict"] for line in whole]
    assert not any(line["class"] for line in bare) and all(line["evidence"] for line in bare[1:])


def test_score_prints_a_table_for_people(pairs):
    done = labkit("score", pairs, "--db-dir", ROOT / "datasets")
    assert "7 pairs (execution): 1 right, 6 wrong" in done.stdout


def test_score_names_every_bad_line(tmp_path):
    path = tmp_path / "bad.jsonl"
    good = {"id": "1", "question": "?", "gold": "SELECT 1", "pred": "SELECT 1", "database": str(LEAGUE)}
    write_lines(path, good, good | {"database": "nowhere"}, {k: good[k] for k in good if k != "pred"})
    path.write_text(path.read_text() + "{not json\n")
    message = labkit("score", path, code=2).stderr
    assert all(f"bad.jsonl, line {n}:" in message for n in (2, 3, 4)) and "line 1:" not in message


def test_an_unknown_mode_is_named(pairs):
    assert "execution" in labkit("score", pairs, "--db-dir", ROOT / "datasets", "--mode", "bird", code=2).stderr


# --- evaluate, diagnose, runs, ask ------------------------------------------------------------------------------------


def test_evaluate_diagnose_and_runs_agree(small_set, tiny_model_dir):
    evaluate = ["evaluate", "-q", small_set, "--model", tiny_model_dir, "--db-dir", ROOT / "datasets"]
    first = as_json(*evaluate)
    assert first.keys() == {"run", "mode", "n", "correct", "accuracy", "low", "high", "valid", "seconds"}
    assert (first["mode"], first["n"], first["correct"]) == ("execution", 5, 0)
    assert as_json(*evaluate)["run"] == first["run"], "a finished run is not scored again"
    fresh = as_json(*evaluate, "--fresh")
    assert fresh["run"] != first["run"]
    shown = labkit(*evaluate).stdout
    assert "0.00 [0.00, 0.43] n=5 (execution)" in shown and "By class" in shown
    assert {run["id"] for run in as_json("runs")} == {first["run"], fresh["run"]}
    assert as_json("runs", "list") == as_json("runs")
    assert len(as_json("runs", "show", first["run"])["results"]) == 5
    assert as_json("runs", "compare", first["run"], fresh["run"])["p_value"] == 1.0
    listed = labkit("diagnose", first["run"], "--json").stdout.splitlines()
    assert len(listed) == 5 and all(json.loads(line)["class"].startswith("invalid") for line in listed)
    assert "By clause" in labkit("diagnose", first["run"][:6], "--by", "clause").stdout
    labkit("runs", "delete", first["run"])
    assert "No run" in labkit("runs", "show", first["run"], code=2).stderr


def test_ask_says_that_it_has_no_answer(tiny_model_dir):
    found = as_json("ask", "How many teams?", "--db", LEAGUE, "--model", tiny_model_dir, code=1)
    assert found.keys() == {"question", "sentence", "sql", "result"}
    assert found["sentence"].startswith("I have no answer")


@pytest.mark.real
def test_the_real_model_is_evaluated(small_set):
    found = as_json("evaluate", "-q", small_set, "--db-dir", ROOT / "datasets")
    assert found["n"] == 5 and found["low"] <= found["accuracy"] <= found["high"]


@pytest.mark.real
def test_a_killed_evaluation_goes_on_where_it_stopped(small_set, tmp_path):
    """kill -9 in mid-run: what was kept stays, the same call ends with what an unbroken run gives."""
    for i in range(4):  # more batches than one
        more = [json.loads(line) | {"id": f"{i}-{n}"} for n, line in enumerate(small_set.read_text().splitlines()[:5])]
        write_lines(tmp_path / f"part{i}.jsonl", *more)
    whole = tmp_path / "whole.jsonl"
    whole.write_text("".join((tmp_path / f"part{i}.jsonl").read_text() for i in range(4)))
    evaluate = ["evaluate", "-q", str(whole), "--db-dir", str(ROOT / "datasets"), "--batch-size", "5"]
    store = Path(os.environ["LABKIT_HOME"]) / "runs.db"
    victim = subprocess.Popen([*LABKIT, *evaluate], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kept = 0
    while not kept and victim.poll() is None:
        time.sleep(0.2)
        kept = _kept(store)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert 0 < kept < 20, "the process was to be killed between two batches"
    resumed = as_json(*evaluate)
    fresh = as_json(*evaluate, "--fresh")
    predictions = {
        run: [result["prediction"] for result in as_json("runs", "show", run)["results"]]
        for run in (resumed["run"], fresh["run"])
    }
    assert predictions[resumed["run"]] == predictions[fresh["run"]] and len(predictions[fresh["run"]]) == 20
    assert _kept(store) == 40, "nothing is lost, nothing scored twice"


def _kept(store: Path) -> int:
    if not store.exists():
        return 0
    connection = sqlite3.connect(store)
    try:
        return connection.execute("SELECT count(*) FROM results").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_lint_is_clean_on_ours_and_red_on_a_bad_set(tmp_path):
    labkit("lint", ROOT / "datasets/league/start.jsonl", "--against", ROOT / "datasets/league/dev.jsonl")
    bad = {"id": "b", "question": "Top salary?", "sql": "SELECT max(salary) FROM contracts", "database": str(LEAGUE)}
    found = json.loads(
        labkit("lint", write_lines(tmp_path / "bad.jsonl", bad), "--json", code=1).stdout.splitlines()[0]
    )
    assert found.keys() == {"question_id", "rule", "detail", "file", "line"} and found["line"] == 1


@pytest.mark.parametrize("content", ["", "\n\n"])
@pytest.mark.parametrize("command", ["evaluate -q", "lint", "score"])
def test_an_empty_set_is_refused(tmp_path, command, content):
    path = tmp_path / "empty.jsonl"
    path.write_text(content)
    assert "empty.jsonl" in labkit(*command.split(), path, code=2).stderr


def test_an_unknown_model_is_named_with_the_nearest(small_set):
    done = labkit("ask", "Who?", "--db", LEAGUE, "--model", "smollm2-153m", code=2)
    assert "smollm2-135m" in done.stderr


def test_an_adapter_that_is_none_is_named(tmp_path, tiny_model_dir):
    done = labkit("ask", "Who?", "--db", LEAGUE, "--model", tiny_model_dir, "--adapter", tmp_path, code=2)
    assert "adapter_config.json" in done.stderr


def test_models_lists_names_and_hub_ids():
    assert {"smollm2-135m", "qwen2.5-coder-0.5b"} <= {model["name"] for model in as_json("models")}


def test_doctor_says_ok_or_what_mends_it():
    done = subprocess.run([*LABKIT, "doctor", "--json"], capture_output=True, text=True, timeout=120)
    found = json.loads(done.stdout)
    assert found.keys() == {"checks", "models"} and done.returncode == (not all(c["ok"] for c in found["checks"]))
    shown = labkit("doctor", code=done.returncode).stdout
    assert shown.count("[FAIL]") == shown.count("mend it:") == sum(not check["ok"] for check in found["checks"])


def test_a_full_disk_is_a_sentence(small_set, tiny_model_dir, tmp_path):
    """`ulimit -f` stands in for a full disk: the store cannot grow, and the kit says so."""
    command = f'ulimit -f 8; exec "$@" evaluate -q {small_set} --db-dir {ROOT}/datasets --model {tiny_model_dir}'
    done = subprocess.run(["bash", "-c", command, "bash", *LABKIT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "Traceback" not in done.stderr and "Error: " in done.stderr, done.stderr


def test_a_closed_pipe_is_no_error():
    command = f'"$@" runs; "$@" sql --db {LEAGUE} "SELECT name FROM players" --json | head -c 10'
    done = subprocess.run(["bash", "-c", command, "bash", *LABKIT], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_usage_errors_point_at_the_help():
    assert "--help" in labkit("evaluat", code=2).stderr
    assert "--db" in labkit("sql", "SELECT 1", code=2).stderr


def test_importing_the_kit_is_quiet_and_light():
    code = "import labkit, sys; assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- my-labs ----------------------------------------------------------------------------------------------------------


def test_labs_are_copied_once_and_never_overwritten(tmp_path):
    from labkit.course.workspace import copy_missing_labs

    for name in ("notebooks", "datasets"):
        (tmp_path / name).mkdir()
    (tmp_path / "notebooks/lab00.ipynb").write_text("one")
    assert copy_missing_labs(tmp_path).copied == ("lab00.ipynb",)
    mine = tmp_path / "my-labs/lab00.ipynb"
    mine.write_text("my work")
    (tmp_path / "notebooks/lab00.ipynb").write_text("two")
    (tmp_path / "notebooks/lab01.ipynb").write_text("one")
    again = copy_missing_labs(tmp_path)
    assert (again.copied, again.kept, mine.read_text()) == (("lab01.ipynb",), ("lab00.ipynb",), "my work")


def test_the_environment_file_has_no_package_list_of_its_own():
    text = (ROOT / "environment.yml").read_text()
    listed = [line.strip()[2:] for line in text.splitlines() if line.strip().startswith("- ")]
    assert listed == ["conda-forge", "python=3.12", "pip", "pip:", "-c constraints.txt", "-e .[test]"]


def test_an_editable_install_maps_the_package_alone(tmp_path):
    code = "import importlib.util as u; print(u.find_spec('datasets'), u.find_spec('labkit').name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "None labkit\n"
    assert shutil.which("labkit", path=Path(sys.executable).parent), "the console script is installed"


def test_a_home_that_cannot_be_made_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "file"))
    assert "LABKIT_HOME" in json.loads(labkit("models", "--json", code=2).stdout)["error"]


def test_a_name_that_no_file_can_have_is_a_sentence(tmp_path):
    pair = {"id": "1", "question": "?", "gold": "SELECT 1", "pred": "SELECT 1", "database": "x" * 5000}
    assert "line 1" in labkit("score", write_lines(tmp_path / "pairs.jsonl", pair), code=2).stderr


@pytest.mark.parametrize("shell", ['"$@" > /dev/full', 'PYTHONIOENCODING=ascii "$@"'], ids=["full", "ascii"])
def test_output_that_cannot_be_written_as_it_is(shell):
    command = [*LABKIT, "sql", "--db", str(LEAGUE), "SELECT 'é漢'"]
    done = subprocess.run(["bash", "-c", shell, "bash", *command], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr and (done.returncode == 0 or "disk is full" in done.stderr)


def test_a_match_that_no_copy_could_confirm_says_so(tmp_path):
    database = tmp_path / "empty.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE VIEW v AS SELECT 1 AS a")
    connection.close()
    pair = {"id": "1", "question": "?", "gold": "SELECT a FROM v", "pred": "SELECT 1", "database": str(database)}
    path = write_lines(tmp_path / "pairs.jsonl", pair)
    line = json.loads(labkit("score", path, "--mode", "semantic", "--json").stdout)
    assert line["verdict"] != "right" or line["evidence"]


def test_generate_writes_pairs_and_replaces_nothing(tmp_path):
    out = tmp_path / "pairs.jsonl"
    avoid = ["--avoid", ROOT / "datasets/league/dev.jsonl"]
    made = as_json("generate", "--db", LEAGUE, "--n", 60, "--out", out, *avoid)
    assert made["n"] == 60 == len(out.read_text().splitlines()) and made["dropped"]
    shared = overlap(load_questions(out), load_questions(ROOT / "datasets/league/dev.jsonl"))
    assert not [found for found in shared if found.kind != "skeleton"], "nothing of an evaluation set is generated"
    assert "exists" in labkit("generate", "--db", LEAGUE, "--out", out, code=2).stderr
    single = tmp_path / "single.jsonl"
    as_json("generate", "--db", LEAGUE, "--n", 60, "--wordings", 1, "--out", single)
    often, once = (len({q.sql for q in load_questions(path)}) for path in (out, single))
    assert often <= 20 and once >= 50, "one wording a query, as many queries"


def test_generate_draws_more_of_what_is_named_and_of_what_failed(small_set, tiny_model_dir, tmp_path):
    def made(name: str, *more) -> list:
        generate = ["generate", "--db", LEAGUE, "--n", 120, "--wordings", 1, "--out", tmp_path / name]
        as_json(*generate, *more)
        return list(load_questions(tmp_path / name))

    def of_contracts(pairs: list) -> int:
        return sum("contracts" in pair.sql for pair in pairs)

    plain, aimed = made("plain"), made("aimed", "--target", "contracts")
    assert of_contracts(aimed) > 1.5 * of_contracts(plain)
    run = as_json("evaluate", "-q", small_set, "--model", tiny_model_dir, "--db-dir", ROOT / "datasets")["run"]
    assert [pair.sql for pair in made("failed", "--failures-of", run[:8])] != [pair.sql for pair in plain]
    generate = ["generate", "--db", LEAGUE, "--out", tmp_path / "none"]
    said = labkit(*generate, "--target", "contract", code=2).stderr
    assert "Did you mean contracts" in said and not (tmp_path / "none").exists()
    assert "Give one of them" in labkit(*generate, "--target", "games", "--failures-of", run, code=2).stderr
    assert "No run" in labkit(*generate, "--failures-of", "zzz", code=2).stderr
    said = labkit(*generate, "--glossary", tmp_path / "words.md", code=2).stderr
    assert "There is no glossary" in said and "words.md" in said


# --- the ladder, prompts by name --------------------------------------------------------------------------------------


def test_the_ladder_is_a_contract_and_a_table(small_set, tiny_model_dir):
    ladder = ["ladder", "-q", small_set, "--model", tiny_model_dir, "--db-dir", ROOT / "datasets"]
    ladder += ["--rungs", "prompt, self-reflection", "--reflections", "1"]
    found = as_json(*ladder)
    assert found.keys() == {"set", "mode", "model", "rungs"} and found["set"] == "small"
    prompt, reflected = found["rungs"]
    keys = "rung accuracy low high n correct valid prompt_tokens seconds build_seconds peak_memory run"
    assert list(prompt) == keys.split() and (prompt["rung"], reflected["rung"]) == ("prompt", "self-reflection")
    assert reflected["prompt_tokens"] > prompt["prompt_tokens"] > 0 and prompt["n"] == 5
    shown = labkit(*ladder)
    assert reflected["run"] in shown.stdout and "self-reflection  0.00 [0.00, 0.43] n=5" in shown.stdout


def test_a_ladder_that_cannot_be_climbed_is_a_sentence(small_set, tmp_path):
    ladder = ["ladder", "-q", small_set, "--db-dir", ROOT / "datasets"]
    assert "no rung 'rag'" in as_json(*ladder, "--rungs", "rag", code=2)["error"]
    assert "NAME=DIR" in as_json(*ladder, "--adapter", "tuned", code=2)["error"]
    assert "has no adapter" in as_json(*ladder, "--rungs", "", "--adapter", f"tuned={tmp_path}", code=2)["error"]
    assert "itself: " in as_json(*ladder, "--rungs", "few-shot", "--pairs", small_set, code=2)["error"]


def test_a_prompt_by_name(small_set, tiny_model_dir):
    evaluate = ["evaluate", "-q", small_set, "--model", tiny_model_dir, "--db-dir", ROOT / "datasets"]
    run = as_json(*evaluate, "--prompt", "question_only")["run"]
    assert as_json("runs", "show", run)["prompt"] == "question_only"
    for command in (evaluate, ["ask", "How many?", "--db", LEAGUE, "--model", tiny_model_dir]):
        assert "no prompt 'fancy'" in as_json(*command, "--prompt", "fancy", code=2)["error"]
