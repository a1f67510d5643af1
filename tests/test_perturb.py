"""Perturbed copies: what they keep, what they tell apart, and what semantic mode makes of them."""

import json
import random
import re
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest

from labkit.changes import perturbed
from labkit.copying import MOST_ROWS, read_rows, schema_sql, write_database
from labkit.dataset import Question, load_questions
from labkit.neighbours import neighbours
from labkit.observed import Inclusion, Once, Relation, hold, observe
from labkit.perturb import is_nothing, known_world, perturbed_copies, told_apart
from labkit.reference import references
from labkit.schema import read_schema
from labkit.scoring import Pair, score, score_many
from labkit.stock import Stock
from labkit.suites import _read, suite

pytestmark = pytest.mark.alone  # held to the clock

ROOT = Path(__file__).parent.parent
LEAGUE = ROOT / "datasets" / "league" / "league.sqlite"
REWRITES = [json.loads(line) for line in (ROOT / "tests" / "rewrites.jsonl").read_text().splitlines()]


def database(tmp_path, script):
    path = tmp_path / "some.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(script)
    connection.close()
    return path


def rows(path, sql):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def schema():
    return read_schema(LEAGUE)


# --- neighbours -------------------------------------------------------------------------------------------------------

GOLD = (
    "SELECT t.nickname, COUNT(DISTINCT p.college) FROM players AS p JOIN teams AS t ON t.team_id = p.team_id "
    "WHERE p.position = 'PG' AND p.draft_year > 2020 GROUP BY t.nickname HAVING COUNT(*) >= 2 ORDER BY 2 DESC LIMIT 3"
)
EDITS = {
    "comparison flipped": (" > 2020", " >= 2020"),
    "comparison reversed": (" > 2020", " < 2020"),
    "constant shifted": (" > 2020", " > 2021"),
    "another stored text": ("'PG'", "'SF'"),
    "look-alike column": ("p.draft_year > 2020", "p.draft_pick > 2020"),
    "DISTINCT lost": ("COUNT(DISTINCT p.college)", "COUNT(p.college)"),
    "DISTINCT added": ("SELECT t.nickname", "SELECT DISTINCT t.nickname"),
    "outer join": (" JOIN ", " LEFT JOIN "),
    "direction": ("ORDER BY 2 DESC", "ORDER BY 2 ASC"),
    "limit shifted": ("LIMIT 3", "LIMIT 4"),
    "limit lost": (" LIMIT 3", ""),
    "order lost": (" ORDER BY 2 DESC", ""),
    "condition lost": ("p.position = 'PG' AND ", ""),
    "OR for AND": ("'PG' AND", "'PG' OR"),
    "HAVING lost": (" HAVING COUNT(*) >= 2", ""),
    "group key lost": (" GROUP BY t.nickname", ""),
    "COUNT of a column with gaps": ("COUNT(*)", "COUNT(p.team_id)"),
}


@pytest.mark.parametrize("old, new", EDITS.values(), ids=EDITS.keys())
def test_each_kind_of_slip_is_among_the_neighbours(schema, old, new):
    assert GOLD.replace(old, new, 1) in neighbours(GOLD, schema)


@pytest.mark.parametrize(
    "sql, other",
    [
        ("SELECT AVG(points) FROM season_stats", "SELECT SUM(points) FROM season_stats"),
        ("SELECT MIN(points) FROM season_stats", "SELECT MAX(points) FROM season_stats"),
        ("SELECT name FROM players WHERE college IS NULL", "SELECT name FROM players WHERE NOT college IS NULL"),
        (
            "SELECT city FROM teams UNION SELECT city FROM arenas",
            "SELECT city FROM teams UNION ALL SELECT city FROM arenas",
        ),
        ("SELECT city FROM teams", "SELECT city FROM teams LIMIT 1"),
        ("SELECT points - assists FROM season_stats", "SELECT points + assists FROM season_stats"),
        ("SELECT CAST(weight AS INTEGER) FROM players", "SELECT weight FROM players"),
        ("SELECT COALESCE(college, 'none') FROM players", "SELECT college FROM players"),
        (
            "SELECT city FROM teams ORDER BY city LIMIT 1 OFFSET 1",
            "SELECT city FROM teams ORDER BY city LIMIT 1 OFFSET 2",
        ),
    ],
)
def test_slips_in_other_places(schema, sql, other):
    assert other in neighbours(sql, schema)


def test_a_query_is_not_its_own_neighbour_and_none_comes_twice(schema):
    for question in load_questions(ROOT / "datasets" / "league" / "start.jsonl"):
        found = neighbours(question.sql, schema)
        assert len(set(found)) == len(found) >= 2
        assert question.sql not in found
    assert neighbours("SELEC nothing", schema) == []


# --- rules that rows keep ---------------------------------------------------------------------------------------------


def test_the_rules_of_the_league_are_found(schema):
    observed = observe(read_rows(schema), schema)
    assert Inclusion("season_stats", ("team",), "teams", ("nickname",)) in observed.inclusions  # not declared
    assert Relation("games", "home_points", "away_points", "<>") in observed.relations  # no game ends level
    assert Relation("games", "home_id", "away_id", "<>") in observed.relations
    assert Once("contracts", "player_id", "status", "active") in observed.once
    assert ("draft_pick", "draft_year") in observed.bundles["players"]  # missing together
    assert ("games_played", "points", "points_per_game") in observed.bundles["season_stats"]  # computed
    assert observed.is_unique("players", "name")
    for column in ("salary", "signed", "ends", "player_id"):
        assert not observed.is_unique("contracts", column)
    assert all(rule.table == "games" for rule in observed.relations)


def test_chance_is_not_taken_for_a_rule(tmp_path):
    rng = random.Random(0)
    values = ", ".join(f"({i}, {rng.random()}, {rng.randrange(900)}, {rng.randrange(900)})" for i in range(60))
    path = database(
        tmp_path, f"CREATE TABLE t (id INTEGER, share REAL, a INTEGER, b INTEGER); INSERT INTO t VALUES {values}"
    )
    schema = read_schema(path)
    observed = observe(read_rows(schema), schema)
    assert observed.unique["t"] == (("id",),)
    assert (observed.relations, observed.bundles["t"], observed.once) == ((), (), ())


def test_rows_that_break_a_rule_go_and_what_refers_to_them(schema):
    data = read_rows(schema)
    observed = observe(data, schema)
    assert hold(data, observed) == data
    first = data["games"][0]
    data["games"][0] = first | {"home_points": 90, "away_points": 90}
    data["teams"][3] = data["teams"][3] | {"nickname": data["teams"][4]["nickname"]}
    kept = hold(data, observed)
    left = {team["team_id"] for team in kept["teams"]}
    assert len(kept["teams"]) < 24
    assert all(game["game_id"] != first["game_id"] for game in kept["games"])
    assert all(player["team_id"] is None or player["team_id"] in left for player in kept["players"])


@pytest.mark.parametrize(
    "texts, shape",
    [
        (["$1,234,567", "$22,050,000", "$612,500"], r"\$\d{1,3}(,\d{3})+"),
        (["6' 10\"", "5' 9\"", "7' 0\""], r"[567]' \d\d?\""),
        (["2031-01-28", "2029-12-05", "2030-06-31"], r"20\d\d-(0[1-9]|1[0-2])-\d\d"),
        (["06/03/2031", "31/12/2030", "28/02/2029"], r"\d\d/(0[1-9]|1[0-2])/20\d\d"),
        (["12,50 EUR", "7,05 EUR", "110,00 EUR"], r"\d+,\d\d EUR"),
        (["Mar 2028", "Dec 2030"], r"(Mar|Dec) 20\d\d"),
        (["38.4%", "40.1%"], r"\d\d\.\d%"),
    ],
)
def test_new_texts_keep_the_stored_format(texts, shape):
    rng, stock = random.Random(0), Stock(texts)
    made = {stock.recombined(rng.choice(texts), rng) for _ in range(200)}
    assert all(re.fullmatch(shape, text) for text in made), made
    assert made - set(texts) or len(texts) < 3


def test_a_new_date_is_a_date():
    rng = random.Random(0)
    dates = [
        f"20{y:02}-{m:02}-{d:02}"
        for y in range(20, 30)
        for m in (1, 2, 4)
        for d in (1, 15, 28, 30)
        if (m, d) != (2, 30)
    ]
    stock = Stock(dates)
    for _ in range(2_000):
        text = stock.recombined(rng.choice(dates), rng)
        assert rows(":memory:", f"SELECT date('{text}')") == [(text,)]


# --- copies -----------------------------------------------------------------------------------------------------------

STRICT = """
CREATE TABLE owners (id INTEGER PRIMARY KEY, name TEXT NOT NULL, code TEXT UNIQUE);
CREATE TABLE pets (
  owner INTEGER NOT NULL REFERENCES owners(id), nr INTEGER NOT NULL, weight REAL CHECK (weight > 0), born TEXT,
  twice REAL GENERATED ALWAYS AS (weight * 2) STORED, PRIMARY KEY (owner, nr)) WITHOUT ROWID;
CREATE TABLE visits (owner INTEGER, nr INTEGER, day TEXT, FOREIGN KEY (owner, nr) REFERENCES pets(owner, nr));
CREATE TABLE log (what TEXT);
CREATE TRIGGER no_log AFTER INSERT ON visits BEGIN INSERT INTO log VALUES ('visit'); DELETE FROM owners; END;
CREATE VIEW heavy AS SELECT * FROM pets WHERE weight > 20;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
  INSERT INTO owners SELECT i, 'Owner ' || (i % 7), 'C-' || i FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 119)
  INSERT INTO pets (owner, nr, weight, born)
  SELECT i / 2 + 1, i % 2, 1 + i % 40, '20' || (10 + i % 20) || '-05-17' FROM n;
DROP TRIGGER no_log;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 89)
  INSERT INTO visits SELECT i / 2 + 1, i % 2, '2030-01-0' || (1 + i % 9) FROM n;
CREATE TRIGGER no_log AFTER INSERT ON visits BEGIN INSERT INTO log VALUES ('visit'); DELETE FROM owners; END;
"""


def test_copies_keep_what_the_schema_declares(tmp_path):
    path = database(tmp_path, STRICT)
    gold = "SELECT o.name, COUNT(*) FROM owners o JOIN pets p ON p.owner = o.id WHERE p.weight > 5 GROUP BY o.name"
    copies = perturbed_copies(path, gold)
    assert len(copies) >= 6
    for copy in copies:
        assert rows(copy, "PRAGMA integrity_check") == [("ok",)]
        assert rows(copy, "PRAGMA foreign_key_check") == []
        assert rows(copy, "SELECT count(*) FROM pets WHERE twice <> weight * 2 OR weight <= 0") == [(0,)]
        assert rows(copy, "SELECT count(*) FROM owners")[0][0] > 0
        assert rows(copy, "SELECT count(*) FROM log") == [(0,)]  # triggers stay behind
    assert len({tuple(rows(copy, "SELECT owner, nr, weight FROM pets ORDER BY 1, 2")) for copy in copies}) == len(
        copies
    )


def test_copies_keep_observed_rules_and_formats(schema):
    gold = "SELECT COUNT(*) FROM contracts WHERE status = 'active' AND salary <> '--' AND signed LIKE '%/2030'"
    for copy in perturbed_copies(LEAGUE, gold):
        for salary, signed, status in rows(copy, "SELECT salary, signed, status FROM contracts"):
            assert re.fullmatch(r"--|\$\d{1,3}(,\d{3})+", salary)
            assert re.fullmatch(r"\d\d/\d\d/20\d\d", signed)
            assert status in ("active", "expired")
        assert rows(copy, "SELECT count(*) FROM games WHERE home_points = away_points OR home_id = away_id") == [(0,)]
        assert rows(copy, "SELECT count(*) FROM season_stats WHERE team NOT IN (SELECT nickname FROM teams)") == [(0,)]
        twice = "SELECT player_id FROM contracts WHERE status = 'active' GROUP BY 1 HAVING count(*) > 1"
        assert rows(copy, twice) == []


def test_the_same_call_gives_the_same_copies_and_keeps_them(tmp_path, monkeypatch):
    gold = "SELECT name FROM arenas WHERE opened < 1990"
    contents = []
    for home in ("one", "two"):
        monkeypatch.setenv("LABKIT_HOME", str(tmp_path / home))
        contents.append([rows(copy, "SELECT * FROM arenas") for copy in perturbed_copies(LEAGUE, gold)])
    assert contents[0] == contents[1] != []
    start = time.perf_counter()
    again = perturbed_copies(LEAGUE, gold)
    assert time.perf_counter() - start < 0.1
    assert [rows(copy, "SELECT * FROM arenas") for copy in again] == contents[1]
    other = [rows(copy, "SELECT * FROM arenas") for copy in perturbed_copies(LEAGUE, gold, seed=1)]
    assert other != contents[1]


def test_copies_long_out_of_use_make_room(tmp_path, monkeypatch):
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path))
    monkeypatch.setattr("labkit.perturb._GOLDS_KEPT", 2)
    golds = [f"SELECT name FROM arenas WHERE opened < {year}" for year in (1990, 1995, 2000)]
    folders = [perturbed_copies(LEAGUE, gold)[0].parent for gold in (*golds[:2], golds[0], golds[2])]
    assert [folder.is_dir() for folder in folders] == [True, False, True, True]


def test_what_a_gold_says_on_its_copies_is_kept_and_made_again_where_it_is_lost():
    gold = "SELECT name, x'00ff', 9e999, capacity / 7.0 FROM arenas WHERE opened < 1990 ORDER BY opened"
    copies = suite(LEAGUE, gold)
    for copy in copies:
        run = references(copy.database, [Question("", "", gold, "")])[0]
        assert (run.result.rows, run.result.columns) == (copy.reference.result.rows, copy.reference.result.columns)
        assert (run.ordered, run.blocks, run.fault) == (True, copy.reference.blocks, None)
    kept = copies[0].database.parent / "references.json"
    for content in (kept.read_text(), "{", None):
        kept.unlink() if content is None else kept.write_text(content)
        _read.cache_clear()
        again = suite(LEAGUE, gold)
        assert [(c.database, c.reference.result.rows, c.reference.blocks) for c in again] == [
            (c.database, c.reference.result.rows, c.reference.blocks) for c in copies
        ]


def test_many_on_copies_are_judged_as_each_alone():
    gold = Question("", "", "SELECT name FROM arenas WHERE opened < 1990", "league")
    either = replace(gold, alternatives=("SELECT name FROM arenas WHERE opened <= 1990",))
    predictions = [gold.sql, *either.alternatives, "SELECT name FROM arenas WHERE opened < 1991", "SELECT 1", "SELEC"]
    pairs = [Pair(question, sql, LEAGUE) for question in (gold, either) for sql in predictions]
    together = score_many(pairs, "semantic")
    alone = [score(pair.question, pair.prediction, LEAGUE, "semantic") for pair in pairs]
    assert [(s.verdict, s.reason, s.detail) for s in together] == [(s.verdict, s.reason, s.detail) for s in alone]
    assert [s.verdict for s in together] == ["right", *["wrong"] * 4, *["right"] * 3, "wrong", "wrong"]


def test_a_large_database_is_sampled_with_its_parents(tmp_path):
    path = database(
        tmp_path,
        """CREATE TABLE shops (id INTEGER PRIMARY KEY, town TEXT NOT NULL);
        CREATE TABLE sales (
          id INTEGER PRIMARY KEY, shop INTEGER NOT NULL REFERENCES shops(id), amount INTEGER NOT NULL);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
          INSERT INTO shops SELECT i, 'town ' || (i % 50) FROM n;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
          INSERT INTO sales SELECT i, 1 + (i * 7919) % 5000, (i * 104729) % 1000 FROM n;""",
    )
    gold = "SELECT SUM(s.amount) FROM sales s JOIN shops p ON p.id = s.shop WHERE p.town = 'town 7' AND s.id > 99000"
    copies = perturbed_copies(path, gold)
    assert copies
    for copy in copies:
        assert rows(copy, "PRAGMA foreign_key_check") == []
        for table in ("shops", "sales"):
            assert 0 < rows(copy, f"SELECT count(*) FROM {table}")[0][0] <= MOST_ROWS
    question, near, same = (
        Question("q", "?", gold, "d"),
        gold.replace("> 99", ">= 99"),
        gold.replace("> 99000", ">= 99001"),
    )
    assert score(question, near, path).verdict == "right"
    assert score(question, near, path, "semantic").verdict == "wrong"
    assert score(question, same, path, "semantic").verdict == "right"


def test_odd_schemas_are_copied(tmp_path):
    path = database(
        tmp_path,
        """CREATE TABLE "odd ""name" ("the col" INTEGER, b BLOB, "select" TEXT);
        CREATE TABLE tree (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES tree(id), name TEXT COLLATE NOCASE);
        CREATE TABLE ping (id INTEGER PRIMARY KEY, o INTEGER REFERENCES pong(id));
        CREATE TABLE pong (id INTEGER PRIMARY KEY, o INTEGER REFERENCES ping(id));
        CREATE TABLE empty (x INTEGER);
        CREATE VIEW names AS SELECT name, count(*) AS n FROM tree GROUP BY name;
        CREATE VIRTUAL TABLE words USING fts5(body);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
          INSERT INTO tree SELECT i, nullif(i / 2, 0), substr('AnnBobCid', 1 + 3 * (i % 3), 3) FROM n;
        INSERT INTO "odd ""name" SELECT id % 7, x'00ff', 's' || id FROM tree;
        INSERT INTO ping SELECT id, 51 - id FROM tree; INSERT INTO pong SELECT id, id FROM tree;""",
    )
    for gold, same, other in [
        (
            'SELECT "select" FROM "odd ""name" WHERE "the col" > 3',
            'SELECT "select" FROM "odd ""name" WHERE "the col" >= 4',
            "",
        ),
        (
            "SELECT count(*) FROM tree c JOIN tree p ON p.id = c.parent WHERE p.name = 'ann'",
            "SELECT count(*) FROM tree WHERE parent IN (SELECT id FROM tree WHERE name = 'ANN')",
            "SELECT count(DISTINCT p.id) + 9 FROM tree c JOIN tree p ON p.id = c.parent WHERE p.name = 'ann'",
        ),
        (
            "SELECT count(*) FROM ping a JOIN pong b ON b.id = a.o",
            "SELECT count(o) FROM ping",
            "SELECT 50",
        ),
        (
            "SELECT name FROM names WHERE n > 3",
            "SELECT name FROM tree GROUP BY name HAVING count(*) >= 4",
            "SELECT name FROM names WHERE n > 2",
        ),
    ]:
        question = Question("q", "?", gold, "d")
        assert len(perturbed_copies(path, gold)) >= 6
        assert score(question, same, path, "semantic").verdict == "right"
        assert not other or score(question, other, path, "semantic").verdict == "wrong"


def test_a_schema_that_computes_for_ever_does_not_hold_the_kit(tmp_path):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    path = database(tmp_path, f"CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2); CREATE VIEW v AS {endless};")
    start = time.perf_counter()
    perturbed_copies(path, "SELECT a FROM t")
    data, schema = {"t": [{"a": i} for i in range(9)]}, read_schema(path)
    bomb = ["CREATE TABLE t (a INTEGER CHECK (length(hex(zeroblob(400000000))) > 0))"]
    write_database(tmp_path / "bomb.sqlite", bomb, data, observe(data, schema))
    assert time.perf_counter() - start < 30


@pytest.mark.parametrize("found", [(), ((None,),), ((0, None),), ((0.0,),)])
def test_there_are_several_ways_to_find_nothing(found):
    assert is_nothing(found)
    assert not is_nothing((*found, (1,)))
    assert not is_nothing(((0,), (0,)))
    assert not is_nothing((("",),))


# --- semantic mode ----------------------------------------------------------------------------------------------------

BY_ACCIDENT = {  # gold, a prediction that gives the same rows on the league's database, and does not mean the same
    "a tie that isn't there": (
        "SELECT nickname FROM teams WHERE titles = (SELECT MAX(titles) FROM teams)",
        "SELECT nickname FROM teams ORDER BY titles DESC LIMIT 1",
    ),
    "a boundary that isn't hit": (
        "SELECT COUNT(CASE WHEN birth_date < '2000-01-01' THEN 1 END) FROM players",
        "SELECT COUNT(CASE WHEN birth_date <= '2000-01-01' THEN 1 END) FROM players",
    ),
    "DISTINCT that nobody needs yet": (
        "SELECT DISTINCT founded FROM teams WHERE city = 'Ironvale'",
        "SELECT founded FROM teams WHERE city = 'Ironvale'",
    ),
    "a constant for the answer": ("SELECT COUNT(*) FROM teams", "SELECT 24"),
    "an id for a name": (
        "SELECT founded FROM teams WHERE nickname = 'Foxes'",
        "SELECT founded FROM teams WHERE team_id = 'T-01' OR founded = 1961",
    ),
    "a NULL that isn't there": (
        "SELECT COUNT(bonus) FROM contracts WHERE contract_id = 'C-0003'",
        "SELECT COUNT(*) FROM contracts WHERE contract_id = 'C-0003'",
    ),
    "an order that storage gives": (
        "SELECT game_id FROM games WHERE season = 2029 AND overtime = 2 ORDER BY played_on, game_id",
        "SELECT game_id FROM games WHERE season = 2029 AND overtime = 2",
    ),
}


@pytest.mark.parametrize("gold, pred", BY_ACCIDENT.values(), ids=BY_ACCIDENT.keys())
def test_a_match_by_accident_is_right_by_rows_and_wrong_by_meaning(gold, pred):
    question = Question("q", "?", gold, "league")
    if score(question, pred, LEAGUE).verdict != "right":
        pytest.fail("the league's rows tell these apart: choose another pair")
    found = score(question, pred, LEAGUE, "semantic")
    assert (found.verdict, found.reason) == ("wrong", "counterexample")
    assert "perturbed copy" in found.detail


def test_semantic_mode_agrees_with_execution_on_what_is_wrong_unstable_or_at_fault():
    for gold, pred in [
        ("SELECT nickname FROM teams", "SELECT city FROM teams"),
        ("SELECT nickname FROM teams LIMIT 3", "SELECT nickname FROM teams LIMIT 3"),
        ("SELECT nothing FROM teams", "SELECT nickname FROM teams"),
        ("SELECT nickname FROM teams", "SELECT nothing FROM teams"),
    ]:
        by_rows, by_meaning = (score(Question("q", "?", gold, "x"), pred, LEAGUE, m) for m in ("execution", "semantic"))
        assert (by_rows.verdict, by_rows.reason) == (by_meaning.verdict, by_meaning.reason)
        assert by_meaning.mode == "semantic"


def test_hole_both_empty_is_settled_by_copies_that_are_not():
    gold = "SELECT name FROM players WHERE position = 'PG' AND jersey = 7 AND college = 'Brightwater'"
    question = Question("q", "?", gold, "league")
    assert score(question, "SELECT name FROM players WHERE 0", LEAGUE).reason == "gold_empty"
    assert score(question, "SELECT name FROM players WHERE 0", LEAGUE, "semantic").verdict == "wrong"
    same = "SELECT name FROM players WHERE college = 'Brightwater' AND jersey IN (7) AND position = 'PG'"
    assert score(question, same, LEAGUE, "semantic").verdict == "right"


def test_any_alternative_may_hold_but_one_must_hold_on_all_copies():
    question = Question(
        "q",
        "?",
        "SELECT name FROM arenas WHERE opened IS NULL",
        "x",
        ("SELECT name, city FROM arenas WHERE opened IS NULL",),
    )
    assert score(question, "SELECT city, name FROM arenas WHERE opened IS NULL", LEAGUE, "semantic").right
    assert not score(question, "SELECT name FROM arenas WHERE opened IS NOT NULL", LEAGUE, "semantic").right


def rejected(lines):
    for line in lines:
        path = ROOT / "datasets" / line["database"] / f"{line['database']}.sqlite"
        question = Question("q", "?", line["gold"], "x", order=line.get("order"))
        scores = score_many([Pair(question, sql, path) for sql in line["same"]], "semantic")
        yield from ((sql, s.verdict, s.detail) for sql, s in zip(line["same"], scores, strict=True) if not s.right)


def test_some_equivalent_rewrites_are_right():
    assert list(rejected(REWRITES[::9])) == []


@pytest.mark.slow
def test_no_equivalent_rewrite_is_rejected():
    assert sum(len(line["same"]) for line in REWRITES) > 100
    assert list(rejected(REWRITES)) == []


def unlike(gold, alive, copies):
    """Of the queries `alive`, those that no copy tells from the gold."""
    for path in copies:
        reference = references(path, [gold])[0]
        told = set(told_apart(path, reference, alive))
        alive = [sql for sql in alive if sql not in told]
    return alive


def caught_and_missed(step, tmp_path):
    """Neighbours that the rows alone do not tell from their golds: caught by the copies, and missed by them."""
    caught = missed = 0
    for question in list(load_questions(ROOT / "datasets" / "league" / "dev.jsonl"))[::step]:
        gold = Question("", "", question.sql, "", order=question.order)
        world, rng = known_world(LEAGUE, question.sql), random.Random(question.id)
        alive = unlike(gold, neighbours(question.sql, world.schema), [LEAGUE])
        left = unlike(gold, alive, perturbed_copies(LEAGUE, question.sql, order=question.order))
        others = [tmp_path / f"{question.id}-{i}.sqlite" for i in range(20 if left else 0)]
        for path in others:
            write_database(path, schema_sql(world.schema), perturbed(world, rng), world.observed)
        caught, missed = caught + len(alive) - len(left), missed + len(left) - len(unlike(gold, left, others))
    return caught, missed


@pytest.mark.slow
def test_of_the_neighbours_that_the_rows_alone_miss_copies_catch_nearly_all(tmp_path):
    caught, missed = caught_and_missed(4, tmp_path)
    assert caught >= 20
    assert missed <= 0.05 * (caught + missed)
