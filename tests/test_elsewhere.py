"""The benchmark of databases made elsewhere: its defaults are the run whose figure is told, and reach the kit."""

import json
import runpy
import sqlite3

import pytest

import labkit
from labkit.datagen.glossary import entries
from labkit.dataset import Question, save_questions


@pytest.fixture
def bench(root, tmp_path, monkeypatch):
    """The script's names, its results in a folder of their own."""
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home"))
    main = runpy.run_path(str(root / "benchmarks" / "elsewhere.py"), run_name="elsewhere")["main"]
    main.__globals__["RESULTS"] = tmp_path / "elsewhere.json"
    return main.__globals__


def test_its_defaults_are_the_run_of_the_figure(bench):
    decided = bench["decided"]([])
    assert (decided.database, decided.pairs, decided.candidates, decided.aimed) == ("chinook", 3_200, 10_000, True)
    assert list(entries(decided.glossary.read_text())) == [("the most, the least", "name and number")]
    assert bench["decided"](["--database", "support"]).glossary is None
    assert bench["decided"](["--glossary", ""]).glossary is None and not bench["decided"](["--no-aimed"]).aimed


def test_words_and_aim_reach_generation_and_ranking(bench, tmp_path, monkeypatch):
    class Tuned:
        adapter = "adapter"

        def to_json(self):
            return {"tuned": True}

    given = []

    class Ranked:
        def __init__(self, model, pool, **settings):
            given.append((len(pool), settings))

        def build(self):
            pass

    def fetch(folder, name):
        file = folder / "chinook.sqlite"
        rows = [(i, f"Song {i}", ("Rock", "Jazz", "Folk")[i % 3], i * 37 % 900) for i in range(60)]
        with sqlite3.connect(file) as made:
            made.execute("DROP TABLE IF EXISTS track")
            made.execute("CREATE TABLE track (id INTEGER PRIMARY KEY, title TEXT, genre TEXT, seconds INTEGER)")
            made.executemany("INSERT INTO track VALUES (?, ?, ?, ?)", rows)
        asked = Question("a", "How many are there?", "SELECT count(*) FROM track", "chinook")
        save_questions(folder / "questions.jsonl", [asked])
        return file

    words, generate = [], labkit.generate

    def made(*args, **settings):
        words.append(settings["glossary"])
        return generate(*args, **settings)

    monkeypatch.setattr(labkit, "load_model", lambda **_: None)
    monkeypatch.setattr(labkit, "generate", made)
    monkeypatch.setattr(labkit, "SqlGenerator", lambda *_, **__: None)
    monkeypatch.setattr(labkit, "RerankedGenerator", Ranked)
    bench.update(tune=lambda *_, **__: Tuned(), figure=lambda *_: {}, fetch=fetch)
    few = ["--pairs", "12", "--candidates", "30"]
    for more in ([], ["--glossary", "", "--no-aimed"]):
        bench["main"]([*few, *more])
    told = bench["decided"]([]).glossary
    assert words == [told.read_text()] * 2 + ["\n"] * 2  # neither takes the other's pairs
    assert given == [
        (30, {"aimed": True, "glossary": told, "max_new_tokens": 300}),
        (30, {"aimed": False, "glossary": None, "max_new_tokens": 300}),
    ]
    kept = json.loads((tmp_path / "elsewhere.json").read_text())
    assert [(cell["aimed"], bool(cell["glossary"])) for cell in kept.values()] == [(True, True), (False, False)]
