"""Parts of data generation: formats from values, English in small, glossary lines, conditions with their bounds."""

import random
import re
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

import labkit
from labkit.amounts import amounts
from labkit.datagen import bounds
from labkit.datagen.build import Source, text
from labkit.datagen.conditions import sql_of
from labkit.datagen.filters import Filters
from labkit.datagen.formats import recognise, say
from labkit.datagen.glossary import entries, read_glossary
from labkit.datagen.known import known_sets, of_questions
from labkit.datagen.phrases import expand, literal, plural, possessive, singular, third, tidy
from labkit.datagen.reading import read_world
from labkit.datagen.sections import sections
from labkit.datagen.slips import misspelt
from labkit.datagen.speaker import Speaker
from labkit.dataset import Question, load_questions
from labkit.execution import execute
from labkit.sqltext import normalise_question, normalise_sql

DATASETS = Path(__file__).parent.parent / "datasets"

# --- formats ----------------------------------------------------------------------------------------------------------

WRITTEN = [  # stored texts, what they mean
    (["$1,234,567", "$950"], [1234567, 950]),
    (["€1,200.50", "€7.25"], [1200.5, 7.25]),
    (["6' 10\"", "5' 9\""], [82, 69]),
    (["6'10\"", "5'9\""], [82, 69]),
    (["245 lb", "98 lb"], [245, 98]),
    (["4.2 kg", "12 kg"], [4.2, 12]),
    (["38.4%", "7.0%"], [38.4, 7.0]),
    (["17,204", "950"], [17204, 950]),
    (["12,50 EUR", "7,05 EUR"], [12.5, 7.05]),
    (["1.250,00 EUR", "7,05 EUR"], [1250.0, 7.05]),
    (["31/12/2030", "05/06/2029"], ["2030-12-31", "2029-06-05"]),
    (["31.12.2030", "05.06.2029"], ["2030-12-31", "2029-06-05"]),
    (["12/31/2030", "06/25/2029"], ["2030-12-31", "2029-06-25"]),
    (["2030-12-31", "2029-06-05"], ["2030-12-31", "2029-06-05"]),
]


@pytest.mark.parametrize(("stored", "meant"), WRITTEN, ids=lambda v: str(v[0]))
def test_formats_read_as_python_and_as_sql(stored, meant, tmp_path):
    how = recognise(stored)
    assert [how.read(value) for value in stored] == meant
    path = tmp_path / "f.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (c TEXT)")
    connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in stored])
    connection.commit()
    connection.close()
    assert [row[0] for row in execute(path, f"SELECT {how.sql.replace('{c}', 'c')} FROM t").rows] == meant


def test_month_and_year_sorts_right():
    how = recognise(["Mar 2026", "Jan 2027", "Dec 2025"])
    connection = sqlite3.connect(":memory:")
    found = [
        connection.execute(f"SELECT {how.sql.replace('{c}', '?1')}", (v,)).fetchone()[0]
        for v in ("Dec 2025", "Mar 2026", "Jan 2027")
    ]
    assert found == sorted(found) and len(set(found)) == 3


@pytest.mark.parametrize(
    "stored", [["abc", "12"], ["985106963789", "985114458266"], ["007", "012"], [], ["12 kg", "3 lb"]]
)
def test_what_is_no_number(stored):
    assert recognise(stored).kind == "text"


def test_values_as_people_say_them():
    rng = random.Random(0)
    money = {expand(say(20_000_000, recognise(["$1,000"])), rng) for _ in range(50)}
    assert {"$20 million", "$20,000,000"} <= money and all("20" in m for m in money)
    assert {expand(say(84, recognise(["7' 0\""])), rng) for _ in range(50)} >= {"7 feet", "7' 0\""}
    assert expand(say(245, recognise(["245 lb"])), rng).startswith("245 ")


# --- English ----------------------------------------------------------------------------------------------------------


def test_templates():
    rng = random.Random(1)
    assert {expand("(a|b) [c] {x}", rng, {"x": "(z)"}).replace("  ", " ") for _ in range(40)} == {
        "a (z)",
        "b (z)",
        "a c (z)",
        "b c (z)",
    }
    assert tidy(expand(literal("D'Arco (Jr.) [x|y]"), rng)) == "D'Arco (Jr.) [x|y]"


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("city", "cities"),
        ("person", "people"),
        ("ironman", "ironmen"),
        ("home game", "home games"),
        ("box", "boxes"),
        ("day", "days"),
        ("point per game", "points per game"),
    ],
)
def test_plurals_and_back(one, many):
    assert plural(one) == many
    if one != "ironman":
        assert singular(many) == one


def test_third_person_and_possessive():
    assert [third(v) for v in ("have two cars", "weigh more", "are tall", "went home", "won 3", "(are|were) late")] == [
        "has two cars", "weighs more", "is tall", "went home", "won 3", "(is|was) late",
    ]  # fmt: skip
    assert [possessive("Foxes"), possessive("Ann")] == ["Foxes'", "Ann's"]


def test_tidy():
    assert tidy("show the  the Foxes' games , please .") == "Show the Foxes' games, please."
    assert tidy("a average of a eight") == "An average of an eight"


def test_slips_change_letters_never_digits():
    rng = random.Random(3)
    texts = {misspelt("players over 230 pounds", rng) for _ in range(60)}
    assert len(texts) > 10 and all("230" in t for t in texts)


# --- glossaries -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def league():
    return read_world(DATASETS / "league" / "league.sqlite")


@pytest.fixture(scope="module")
def clinic():
    return read_world(DATASETS / "clinic" / "clinic.sqlite")


def named(glossary, term):
    hits = [n for n in glossary.named if term in (*n.noun, *n.adjective, *n.post, *n.verb)]
    assert len(hits) == 1, list(glossary.named)
    return hits[0]


def where(glossary, term):
    return [sql for test in named(glossary, term).tests for sql in sql_of(test, lambda path: "x")]


@pytest.mark.parametrize(
    ("line", "term", "sql"),
    [
        ("free agent: `players.team_id` is NULL", "free agent", ["x.team_id IS NULL"]),
        ("rookie: `draft_year` is 2031", "rookie", ["x.draft_year = 2031"]),
        (
            "top-five pick: `draft_pick` from 1 to 5",
            "top-five pick",
            ["x.draft_pick <> 'undrafted'", "x.draft_pick BETWEEN 1 AND 5"],
        ),
        (
            "sharpshooter: `three_pct` of 40.0% or more",
            "sharpshooter",
            ["x.three_pct <> '--'", "CAST(x.three_pct AS REAL) >= 40"],
        ),
        ("big: `position` is PF or C", "big", ["x.position IN ('PF', 'C')"]),
        ("wing: a wing is SG or SF", "wing", ["x.position IN ('SG', 'SF')"]),
        ("ironman: played all 46 games", "ironman", ["x.games_played = 46"]),
        ("home win: `home_points` > `away_points`", "home win", ["x.home_points > x.away_points"]),
        (
            "giant: 7' 0\" or taller",
            "giant",
            ["x.height <> '--'", "CAST(x.height AS INTEGER) * 12 + CAST(SUBSTR(x.height, 4) AS INTEGER) >= 84"],
        ),
        (
            "under contract: has a contract with `status` active",
            "under contract",
            ["x.player_id IN (SELECT player_id FROM contracts WHERE status = 'active')"],
        ),
        ("unpaid: `titles` >= 3", "unpaid", ["x.titles >= 3"]),
    ],
)
def test_conditions_that_a_glossary_names(league, line, term, sql):
    assert where(read_glossary(line, league), term) == sql


def test_glossary_names_columns_values_totals_and_scopes(league):
    text_ = """| people say | it means |
|---|---|
| salary, pay, "earns" | `contracts.salary`, of the **active** contract |
| point guard, center | `position` PG, C |
| payroll | sum of the disclosed salaries |
| margin, blowout | difference of the two scores; a blowout is a margin of 30 or more |
| top scorer | most `points` in the season |
| nonsense | what nobody can read |"""
    found = read_glossary(text_, league)
    assert found.columns["contracts.salary"] == ["salary", "pay"] and found.verbs["contracts.salary"] == ["earns"]
    assert found.implied["contracts.salary"].value == "active"
    assert found.values["players.position", "PG"] == ["point guard"]
    assert found.sums["contracts.salary"] == ["payroll"] and found.tops["season_stats.points"] == ["top scorer"]
    assert found.measures[0].sql == "ABS({a}.home_points - {a}.away_points)" and "blowout" in found.named[0].noun
    assert found.not_understood == ["nonsense: what nobody can read"]


def test_examples_that_are_set_as_code_are_no_glossary(clinic):
    from labkit.workspace.words import _HEAD as _GLOSSARY

    assert read_glossary(_GLOSSARY, clinic).not_understood == []
    assert [*entries(_GLOSSARY + "| patient | a row of `pets` |\n")] == [("patient", "a row of `pets`")]
    assert [*entries("    | patient | a row of `pets` |\n    | client | a row of `owners` |")][1][0] == "client"


def test_the_examples_of_a_new_workspaces_glossary_are_understood(tmp_path):
    from labkit.workspace.words import _HEAD as _GLOSSARY

    connection = sqlite3.connect(tmp_path / "firm.sqlite")
    connection.executescript(
        "CREATE TABLE employees (id INTEGER PRIMARY KEY, name TEXT, salary INTEGER);"
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, status TEXT);"
    )
    connection.executemany("INSERT INTO employees VALUES (?, ?, ?)", [(i, f"Ann {i}", 900 + i) for i in range(30)])
    connection.executemany("INSERT INTO customers VALUES (?, ?, ?)", [(i, f"Shop {i}", "AB"[i % 2]) for i in range(30)])
    connection.commit()
    connection.close()
    shown = "\n".join(line[4:] for line in _GLOSSARY.splitlines() if line.startswith("    |"))
    found = read_glossary(shown, read_world(tmp_path / "firm.sqlite", ()))
    assert found.not_understood == []
    assert found.entities == {"employees": ["colleague", "staff member"]} and found.figures
    assert found.columns["employees.salary"] == ["pay"]


def test_glossary_of_another_database(clinic):
    found = read_glossary((DATASETS / "clinic" / "glossary.md").read_text(), clinic)
    assert where(found, "puppy") == ["x.species = 'dog'", "x.birth_year = 2031"]
    assert where(found, "mutt") == ["x.species = 'dog'", "x.breed IS NULL"]
    assert found.values["pets.species", "parrot"] == ["bird"] and "client" in found.entities["owners"]


# --- the world, conditions, queries -----------------------------------------------------------------------------------


def test_what_the_file_holds(league):
    kinds = {f.ref: f.kind for f in league.fields()}
    assert kinds["players.name"] == "label" and kinds["teams.nickname"] == "label" and kinds["games.game_id"] == "id"
    assert (
        kinds["season_stats.season"] == "period"
        and kinds["teams.founded"] == "year"
        and kinds["contracts.signed"] == "date"
    )
    assert kinds["players.draft_pick"] == "number" and league.field("players.draft_pick").missing == ("undrafted",)
    assert league.field("season_stats.team").names == "teams"
    assert league.entities["players"].person and not league.entities["teams"].person
    assert {link.role for link in league.links if link.table == "games"} == {"home", "away"}


UNDECLARED = """
    CREATE TABLE customers (customer_id INTEGER, name TEXT); CREATE TABLE places (place_code TEXT, name TEXT);
    CREATE TABLE orders (order_no INTEGER, customer_id INTEGER, ship_id TEXT, floor_id INTEGER);
"""


def test_keys_that_nobody_declared_are_found(tmp_path):
    """By name and by inclusion alone; a few small numbers are within any key, and no link."""
    with sqlite3.connect(tmp_path / "bare.sqlite") as connection:
        connection.executescript(UNDECLARED)
        connection.executemany("INSERT INTO customers VALUES (?, ?)", [(i, f"Customer {i}") for i in range(1, 31)])
        connection.executemany("INSERT INTO places VALUES (?, ?)", [(f"P{i}", f"Place {i}") for i in range(12)])
        rows = [(1000 + i, 1 + i % 30, f"P{i % 11}", 1 + i % 3) for i in range(90)]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    connection.close()
    links = {(k.table, k.column, k.other, k.other_column) for k in read_world(tmp_path / "bare.sqlite").links}
    assert links == {
        ("orders", "customer_id", "customers", "customer_id"),
        ("orders", "ship_id", "places", "place_code"),
    }


@pytest.mark.parametrize(
    ("op", "inside", "words"),
    [
        (">", False, "over above more higher"),
        ("<", False, "under below less lower"),
        (">=", True, "least more less"),
        ("<=", True, "most more less"),
    ],
)
def test_bounds_are_worded_as_they_are_meant(league, op, inside, words):
    speaker, f = Speaker(league), league.field("season_stats.points")
    condition = bounds.compared(speaker, f, op, 100)
    assert sql_of(condition.tests[0], lambda p: "s") == [f"s.points {op} 100"]
    rng = random.Random(2)
    for template in condition.verb:
        said = expand(template, rng)
        assert any(w in said for w in (*words.split(), "minimum", "up to", "fewer")), said
        assert inside == any(
            w in said for w in ("at least", "at most", "or more", "or fewer", "no more", "no fewer", "minimum", "up to")
        )


def test_one_style_of_sql(league):
    players = league.entities["players"]
    source = Source(league, players)
    assert (
        text(source.where(f"{source.at()}.weight <> 'NA'").select("COUNT(*)"))
        == "SELECT COUNT(*) FROM players WHERE weight <> 'NA'"
    )
    source = Source(league, players)
    path = league.paths("players", 1)[1]
    query = source.where(f"{source.at()}.college IS NOT NULL").select(f"{source.at(path)}.nickname", limit=1)
    assert text(query) == (
        "SELECT t.nickname FROM players AS p JOIN teams AS t ON p.team_id = t.team_id "
        "WHERE p.college IS NOT NULL LIMIT 1"
    )


def test_no_code_knows_a_database():
    """Words that only the datasets of this repository use stand nowhere in the generator's code, docstrings aside."""
    import ast

    own = {
        "foxes",
        "otters",
        "krakens",
        "marlowe",
        "arkwright",
        "bellamy",
        "willow",
        "season_stats",
        "three_pct",
        "client_since",
        "draft_pick",
    }
    folder = Path(bounds.__file__).parent
    for path in folder.glob("*.txt"):
        lines = [line for heading, lines in sections(path.name).items() for line in (heading, *lines)]
        assert lines and not [line for line in lines if any(w in line.lower() for w in own)], path.name
    for path in folder.glob("*.py"):
        tree = ast.parse(path.read_text())
        docs = {
            ast.get_docstring(n, clean=False)
            for n in ast.walk(tree)
            if isinstance(n, (ast.Module, ast.FunctionDef, ast.ClassDef))
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in docs:
                assert not {w for w in own if w in node.value.lower()}, (path.name, node.value)


# --- known sets -------------------------------------------------------------------------------------------------------


def test_a_paraphrase_is_known_by_its_words_alone():
    count, others = "SELECT COUNT(*) FROM cats", ("SELECT COUNT(id) FROM cats",)
    asked = Question("p", "How many cats have we got?", count, "x", others, tags=("paraphrase", "count"))
    plain = Question("q", "Name the cats.", "SELECT name FROM cats", "x", tags=("listing",))
    f = Filters(of_questions([asked, plain]))
    assert f.new_query(count) and f.new_query(others[0]) and not f.new_query(plain.sql)
    wordings = ["how many cats have WE got", "name the cats", "Count the cats."]
    assert f.new_wordings(wordings, count) == ["Count the cats."]
    queries = {normalise_sql(sql) for sql in (count, *others)}
    assert of_questions([asked, replace(asked, tags=("count",))]).queries == queries


def test_of_the_league_the_paraphrases_are_known_and_the_trained_pairs_are_not():
    league = DATASETS / "league"
    known = known_sets(league / "league.sqlite")
    assert "league/paraphrase" in known.sets and "league/trained" not in known.sets
    assert {normalise_question(q.question) for q in load_questions(league / "paraphrase.jsonl")} <= known.questions
    trained = load_questions(league / "trained.jsonl")
    assert not {normalise_question(q.question) for q in trained} & known.questions
    assert not {normalise_sql(q.sql) for q in trained} & known.queries


# --- what shops have: names in two columns, takings, dates to group by, durations -------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A small shop; its people have a first and a last name, its lines a price and a quantity."""
    rng, path = random.Random(4), tmp_path_factory.mktemp("shop") / "shop.sqlite"
    firsts, lasts = ("Ada", "Mary Ann", "Jo", "Lee", "O'Neil"), ("Quill", "Marsh", "Van Dorn", "Pike", "Stone", "Hale")
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE Client (ClientId INTEGER PRIMARY KEY, FirstName TEXT, LastName TEXT, City TEXT);"
            "CREATE TABLE Song (SongId INTEGER PRIMARY KEY, Title TEXT UNIQUE, Milliseconds INTEGER);"
            "CREATE TABLE Invoice (InvoiceId INTEGER PRIMARY KEY, ClientId INTEGER REFERENCES Client,"
            " Day TEXT, Total REAL);"
            "CREATE TABLE Line (LineId INTEGER PRIMARY KEY, InvoiceId INTEGER REFERENCES Invoice,"
            " SongId INTEGER REFERENCES Song, UnitPrice REAL, Quantity INTEGER)"
        )
        names = [(first, last) for first in firsts for last in lasts]
        rows = [(i, *name, rng.choice(("Velden", "Ironvale", "Oakmere"))) for i, name in enumerate(names, 1)]
        connection.executemany("INSERT INTO Client VALUES (?, ?, ?, ?)", rows)
        songs = [
            (i, f"Song of {w}", rng.randrange(90_000, 900_000))
            for i, w in enumerate(["Rain", "Sun", "Snow", "Fog", "Wind"], 1)
        ]
        connection.executemany("INSERT INTO Song VALUES (?, ?, ?)", songs)
        for i in range(1, 201):
            day = f"{rng.choice((2021, 2022, 2023))}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 28):02d}"
            total = rng.randrange(100, 2000) / 100
            connection.execute("INSERT INTO Invoice VALUES (?, ?, ?, ?)", (i, rng.randrange(1, 31), day, total))
            line = (i, i, rng.randrange(1, 6), rng.choice((0.99, 1.49, 1.99)), rng.randrange(1, 5))
            connection.execute("INSERT INTO Line VALUES (?, ?, ?, ?, ?)", line)
    return path


@pytest.fixture(scope="module")
def shop_pairs(shop):
    return labkit.generate(shop, 1_500, wordings=1, typos=0.0, progress=False).pairs


def test_a_name_in_two_columns_is_shown_and_compared_in_both(shop, shop_pairs):
    about = [p for p in shop_pairs if "FirstName" in p.sql or "LastName" in p.sql]
    assert len(about) > 200 and all("FirstName" in p.sql and "LastName" in p.sql for p in about)
    assert not any("\u00a0" in p.sql + p.question for p in shop_pairs)
    one = next(p for p in about if "FirstName = 'Mary Ann' AND" in p.sql and "LastName = 'Van Dorn'" in p.sql)
    assert "mary ann van dorn" in one.question.lower()
    assert any("O''Neil" in p.sql and "o'neil" in p.question.lower() for p in about)
    assert any("GROUP BY" in p.sql and p.sql.count("FirstName") > 1 for p in about)
    assert all(labkit.execute(shop, p.sql).ok for p in about[:100])


def test_a_log_reads_the_two_columns_as_they_are(shop):
    found = labkit.from_queries(["SELECT FirstName FROM Client WHERE City = 'Velden'"], shop, wordings=1)
    assert found.pairs and "first name" in found.pairs[0].question.lower()


def test_takings_are_a_price_times_a_quantity_or_a_total(shop_pairs):
    products = [p for p in shop_pairs if "UnitPrice * " in p.sql and "SUM(" in p.sql]
    totals = [p for p in shop_pairs if re.search(r"SUM\((\w\.)?Total\)", p.sql) and "revenue" in p.question.lower()]
    assert products and totals
    assert all(
        re.search("revenue|sales|turnover|spen|brought in", p.question, re.I) for p in products if "group" in p.tags
    )


def test_dates_are_grouped_by_year_and_by_month(shop_pairs):
    for length, word in ((4, "year|annual"), (7, "month")):
        found = [p for p in shop_pairs if re.search(rf"GROUP BY SUBSTR\((\w\.)?Day, 1, {length}\)", p.sql)]
        assert found and all(re.search(word, p.question, re.I) for p in found)


def test_milliseconds_are_asked_in_minutes(shop_pairs):
    found = [(p, m) for p in shop_pairs if (m := re.search(r"Milliseconds (?:[<>]=?) (\d+)", p.sql))]
    assert found
    for pair, match in found:
        assert match[1] in {form for amount in amounts(pair.question) for form in amount.forms[:1]}
    assert any("min" in p.question for p in shop_pairs if "Milliseconds" in p.sql)
    assert not any("milliseconds" in p.question.lower() for p in shop_pairs)


def test_top_groups_are_as_many_as_asked(shop_pairs):
    found = [p for p in shop_pairs if "top" in p.tags and "offset" not in p.tags and "GROUP BY" in p.sql]
    words = {2: "two", 3: "three", 5: "five", 10: "ten"}
    assert found
    for p in found:
        k = int(re.search(r"LIMIT (\d+)", p.sql)[1])
        assert re.search(rf"\b({k}|{words[k]})\b", p.question, re.I)


def test_a_price_is_said_to_the_cent(shop_pairs):
    found = [(p, m) for p in shop_pairs if (m := re.search(r"(?:UnitPrice|Total) (?:=|[<>]=?) (\d+\.\d\d)\b", p.sql))]
    assert found and all(m[1] in p.question for p, m in found)
