"""What a query asks, said by a model: pairs turned round, what they teach, and its part in ranking."""

import json
import runpy
from pathlib import Path

import pytest
import torch

import labkit
from labkit.agent import as_prompt
from labkit.channel import Channel, request
from labkit.cli import main
from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.likelihood import log_probability_after
from labkit.sqlwords import in_words
from labkit.tuning import channel as tuning

tiny_model_dir = runpy.run_path(str(Path(__file__).parent / "standin.py"))["tiny_model_dir"]

SALARY = "CAST(REPLACE(REPLACE(t1.salary, '$', ''), ',', '') AS INTEGER)"
JOINED = "contracts AS t1 JOIN players AS t2 ON t1.player_id = t2.player_id"
ARENAS = [
    Question(
        f"p{i}",
        f"Which {what} does the {name} arena have?",
        f"SELECT {what} FROM arenas WHERE name = '{name}'",
        "league",
    )
    for i, (what, name) in enumerate((what, name) for what in ("city", "capacity") for name in ("Tide", "Owl", "Elm"))
]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (f"SELECT t2.name FROM {JOINED} WHERE {SALARY} > 5",
         "select players name from contracts join players where contracts salary > 5"),
        ("SELECT CAST(height AS INTEGER) * 12 + CAST(SUBSTR(height, 4) AS INTEGER) FROM players",
         "select height from players"),
        ("SELECT home.city FROM games AS g JOIN teams AS home ON g.home_id = home.team_id",
         "select teams city from games join teams as home games home id = teams team id"),
        ("SELECT 100.0 * SUM(a.x) / COUNT(*) FROM a", "select 100.0 * sum(a x) / count(*) from a"),
        ("SELECT a.x, COUNT(*) * 2 FROM a", "select a x, count(*) * 2 from a"),
        ("no ( query", "no ( query"),
    ],
)  # fmt: skip
def test_a_query_in_words(sql, words):
    assert in_words(sql) == words


def test_pairs_are_turned_round_and_kept_apart_from_evaluations(monkeypatch, league, root):
    seen = {}
    monkeypatch.setattr(tuning, "tune", lambda *given, **named: seen.update(given=given, named=named))
    labkit.tune_channel(ARENAS, "out", rate=1e-3, seed=4)
    model, turned, method, folder = seen["given"]
    assert (method, folder, seen["named"]["rate"], seen["named"]["seed"]) == ("instruction", "out", 1e-3, 4)
    assert turned[0].question == request(ARENAS[0].sql) and turned[0].answer == ARENAS[0].question
    assert all(pair.is_fact for pair in turned) and len(turned) == len(ARENAS)
    dev = labkit.load_questions(root / "datasets/league/dev.jsonl", db_dir=root / "datasets")
    with pytest.raises(LabkitError, match="dev"):
        labkit.tune_channel(QuestionSet("p", (*dev[:1],), db_dir=root / "datasets"), "out", avoid=[dev])


def learnt(model, folder, **settings):
    """A channel that has seen the arenas' pairs often."""
    torch.set_num_threads(1)
    made = labkit.tune_channel(ARENAS, folder, model=model, passes=30.0, warmup=2, progress=False, **settings)
    return made, Channel(made.adapter)


def explains_its_own_question_best(channel):
    queries = [pair.sql for pair in ARENAS]
    for place, pair in enumerate(ARENAS):
        says = channel(pair.question, queries)
        assert max(range(len(says)), key=says.__getitem__) == place, pair.question


def test_the_stand_in_learns_what_its_queries_ask(tiny_model_dir, tmp_path):
    made, channel = learnt(str(tiny_model_dir), tmp_path / "channel", rate=5e-3)
    explains_its_own_question_best(channel)
    says = channel(ARENAS[0].question, [ARENAS[0].sql, ARENAS[4].sql])
    told = [as_prompt("chat")(request(pair.sql), "") for pair in (ARENAS[0], ARENAS[4])]
    assert says == pytest.approx(log_probability_after(channel.model, told, ARENAS[0].question))


@pytest.mark.real
def test_the_real_model_learns_what_its_queries_ask(tmp_path):
    _, channel = learnt("smollm2-135m", tmp_path / "channel")
    explains_its_own_question_best(channel)


def test_an_adapter_that_writes_queries_is_no_channel(tiny_model_dir, tmp_path):
    model = labkit.load_model(str(tiny_model_dir))
    labkit.tune(model, ARENAS[:2], "instruction", tmp_path / "writes", progress=False)
    with pytest.raises(LabkitError, match="tune-channel"):
        Channel(tmp_path / "writes")


def test_the_command_line_tunes_a_channel_and_refuses_one_without_candidates(
    tiny_model_dir, league, tmp_path, monkeypatch, capsys
):
    pairs = tmp_path / "pairs.jsonl"
    labkit.save_questions(pairs, ARENAS)
    line = ["labkit", "tune-channel", "--pairs", str(pairs), "--model", str(tiny_model_dir), "--json", "--out"]
    monkeypatch.setattr("sys.argv", [*line, str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["trained"] == len(ARENAS)
    monkeypatch.setattr("sys.argv", ["labkit", "ask", "Who?", "--db", str(league), "--channel", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and "--channel ranks candidates" in capsys.readouterr().err
