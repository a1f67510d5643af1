"""The databases are what their scripts build; every column is documented; the question sets are sound."""

import importlib.util
import json
import re
import sqlite3
from pathlib import Path

import pytest
import sqlglot

from labkit.datagen.known import known_sets
from labkit.dataset import load_questions, overlap
from labkit.linting import lint
from labkit.sqltext import normalise_question, normalise_sql, parse, skeleton

DATASETS = Path(__file__).parents[1] / "datasets"
DATABASES = ("league", "clinic")
SETS = {"league/start": 20, "league/dev": 100, "league/heldout": 200, "league/fresh": 150, "clinic/questions": 40}


def connect(name):
    return sqlite3.connect(f"file:{DATASETS / name / name}.sqlite?mode=ro", uri=True)


def dump(path):
    connection = sqlite3.connect(path)
    text = "\n".join(connection.iterdump())
    connection.close()
    return text


def load_script(name):
    spec = importlib.util.spec_from_file_location(f"build_{name}", DATASETS / name / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lines(name):
    text = (DATASETS / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def columns(connection):
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")] for table in tables}


@pytest.mark.parametrize("name", DATABASES)
def test_script_rebuilds_the_committed_database(name, tmp_path):
    load_script(name).build(tmp_path / "again.sqlite")
    assert dump(tmp_path / "again.sqlite") == dump(DATASETS / name / f"{name}.sqlite")


@pytest.mark.parametrize("name", DATABASES)
def test_database_is_small_and_its_keys_hold(name):
    assert (DATASETS / name / f"{name}.sqlite").stat().st_size < 1_000_000
    connection = connect(name)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.mark.parametrize("name", DATABASES)
def test_readme_names_every_column_and_counts_every_table(name):
    readme = (DATASETS / "README.md").read_text(encoding="utf-8")
    section = readme.split(f"## {name.capitalize()}: columns")[1].split("\n## ")[0]
    connection = connect(name)
    for table, names in columns(connection).items():
        rows = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
        assert f"`{table}` ({rows:,})" in section
        assert [column for column in names if f"`{column}`" not in section] == []
    connection.close()


def test_league_holds_the_mess_that_it_promises():
    connection = connect("league")

    def one(sql):
        return connection.execute(sql).fetchone()[0]

    assert one("SELECT COUNT(*) FROM players") >= 400
    assert one("SELECT MAX(salary) FROM contracts") == "--"  # sorted as text it is no salary at all
    largest = "SELECT salary FROM contracts ORDER BY CAST(REPLACE(REPLACE(salary, '$', ''), ',', '') AS INTEGER) DESC"
    assert one(f"{largest} LIMIT 1") != one("SELECT MAX(salary) FROM contracts WHERE salary <> '--'")
    assert one("SELECT MAX(draft_pick) FROM players") == "undrafted"
    assert one("SELECT COUNT(DISTINCT typeof(jersey)) FROM players") == 2
    assert one("SELECT COUNT(*) FROM players WHERE college <> 'Dunmore' OR college = 'Dunmore'") < 480
    connection.close()


@pytest.mark.parametrize("table, column, shape", [
    ("contracts", "salary", r"\$\d{1,3}(,\d{3})*|--"), ("contracts", "signed", r"\d\d/\d\d/20\d\d"),
    ("players", "height", r"[5-7]' \d{1,2}\"|--"), ("players", "weight", r"\d{3} lb|NA"),
    ("players", "birth_date", r"\d{4}-\d\d-\d\d"), ("games", "attendance", r"\d{1,3}(,\d{3})?|NA"),
    ("season_stats", "three_pct", r"\d\d\.\d%|--"), ("games", "game_id", r"G-20\d\d-\d{4}"),
])  # fmt: skip
def test_formats_of_the_league(table, column, shape):
    connection = connect("league")
    odd = [value for (value,) in connection.execute(f"SELECT {column} FROM {table}") if not re.fullmatch(shape, value)]
    connection.close()
    assert odd == []


@pytest.mark.parametrize("table, column, shape", [
    ("pets", "weight", r"\d+\.\d kg|unknown"), ("visits", "visit_date", r"\d\d\.\d\d\.203[01]"),
    ("visits", "fee", r"\d+,\d\d EUR|-"), ("treatments", "price", r"\d+,\d\d EUR"),
    ("owners", "client_since", r"[A-Z][a-z]{2} 20\d\d"), ("treatments", "dose", r"\d+ mg|-"),
])  # fmt: skip
def test_formats_of_the_clinic(table, column, shape):
    connection = connect("clinic")
    odd = [value for (value,) in connection.execute(f"SELECT {column} FROM {table}") if not re.fullmatch(shape, value)]
    connection.close()
    assert odd == []


@pytest.mark.parametrize("name", SETS)
def test_every_gold_runs_and_answers(name):
    connection = connect(name.split("/")[0])
    questions = lines(name)
    assert len(questions) == len({line["id"] for line in questions}) == SETS[name]
    for line in questions:
        assert line["database"] == name.split("/")[0]
        assert connection.execute(line["sql"]).fetchall(), f"{line['id']} answers nothing"
        assert sum(tag in ("easy", "medium", "hard") for tag in line["tags"]) == 1, line["id"]
    connection.close()


def normalised(question):
    return " ".join(re.findall(r"\w+", question.lower()))


def test_no_question_and_no_query_is_in_two_sets_or_twice_in_one():
    every = [line for name in SETS for line in lines(name)]
    for key in (
        lambda line: (line["database"], normalised(line["question"])),
        lambda line: (line["database"], sqlglot.parse_one(line["sql"], dialect="sqlite").sql(normalize=True)),
    ):
        seen = {}
        shared = [
            (seen[key(line)], line["id"]) for line in every if seen.setdefault(key(line), line["id"]) != line["id"]
        ]
        assert shared == []


def tables_of(sql):
    tree = sqlglot.parse_one(sql, dialect="sqlite")
    named = {cte.alias for cte in tree.find_all(sqlglot.exp.CTE)}
    return {table.name for table in tree.find_all(sqlglot.exp.Table)} - named


@pytest.mark.parametrize("name", ["league/dev", "league/heldout", "league/fresh"])
def test_sets_are_varied(name):
    queries = [line["sql"] for line in lines(name)]
    several = sum(len(tables_of(sql)) > 1 for sql in queries)
    assert several / len(queries) >= 0.4
    assert len({skeleton(sql) for sql in queries}) >= 0.6 * len(queries)


@pytest.mark.parametrize("name", SETS)
def test_linter_finds_nothing(name):
    sets = {other: load_questions(DATASETS / f"{other}.jsonl") for other in SETS}
    others = [questions for other, questions in sets.items() if other != name]
    assert lint(sets[name], others) == []


# --- general prompts and plain English


def test_general_prompts_are_240_all_different_a_quarter_near():
    prompts = lines("general/prompts")
    assert (
        len(prompts) == len({line["id"] for line in prompts}) == len({normalised(p["prompt"]) for p in prompts}) == 240
    )
    assert all(line.keys() == {"id", "prompt", "domain"} and line["prompt"].strip() for line in prompts)
    near = sum(line["domain"] == "near" for line in prompts)
    assert near >= 60 and near + sum(line["domain"] == "general" for line in prompts) == 240


def test_no_general_prompt_is_a_question_of_a_set():
    questions = {normalised(line["question"]) for name in SETS for line in lines(name)}
    assert [line["id"] for line in lines("general/prompts") if normalised(line["prompt"]) in questions] == []


def test_general_prompts_are_passed_over_where_question_sets_are_looked_for():
    known = known_sets(DATASETS / "league" / "league.sqlite")
    assert set(SETS) <= set(known.sets) and "general/prompts" not in known.sets


def test_the_english_is_long_enough_and_plain():
    text = (DATASETS / "general" / "english.txt").read_text(encoding="ascii")
    paragraphs = [p for p in text.split("\n\n") if p.strip()]
    assert 6000 <= len(text.split()) <= 8000 and len(set(paragraphs)) == len(paragraphs) > 60


# --- trained pairs and their paraphrases, which share their queries by design -----------------------------------------


@pytest.fixture(scope="module")
def trained():
    return load_questions(DATASETS / "league" / "trained.jsonl")


@pytest.fixture(scope="module")
def paraphrases():
    return load_questions(DATASETS / "league" / "paraphrase.jsonl")


def shared(a, b, *kinds):
    return [found for found in overlap(a, b) if found.kind in kinds]


def test_trained_pairs_are_200_queries_in_five_wordings(trained):
    assert [q.id for q in trained] == [f"gen-t{n:03}-{wording}" for n in range(1, 201) for wording in range(1, 6)]
    queries = [{q.sql for q in trained[start : start + 5]} for start in range(0, 1000, 5)]
    assert all(len(wordings) == 1 for wordings in queries)
    assert len({normalise_sql(sql) for (sql,) in queries}) == 200
    assert len({normalise_question(q.question) for q in trained}) == 1000


def test_each_trained_query_is_paraphrased_once(trained, paraphrases):
    assert [q.id for q in paraphrases] == [f"par-{n:03}" for n in range(1, 201)]
    for first, q in zip(trained[::5], paraphrases, strict=True):
        assert (q.sql, q.database, q.tags) == (first.sql, "league", ("paraphrase", first.tags[0])), q.id
        sorted_to_cut = all(parse(q.sql).args.get(clause) for clause in ("order", "limit"))
        assert q.order == (False if sorted_to_cut else None), q.id


def test_no_paraphrase_is_worded_as_a_trained_pair_or_as_another(trained, paraphrases):
    assert shared(paraphrases, trained, "question") == []
    assert len({normalise_question(q.question) for q in paraphrases}) == 200


@pytest.mark.parametrize("name", SETS)
def test_trained_pairs_have_no_question_and_no_query_of_an_evaluation_set(name, trained):
    assert shared(trained, load_questions(DATASETS / f"{name}.jsonl"), "question", "query") == []


def test_linter_finds_nothing_in_paraphrases(paraphrases):
    assert lint(paraphrases, [load_questions(DATASETS / f"{name}.jsonl") for name in SETS]) == []
