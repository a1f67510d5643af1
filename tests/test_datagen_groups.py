"""Families about groups, on a made-up bakery: the best of each, how various, two figures, credit two links up."""

import random
import re
import sqlite3

import pytest

from labkit.datagen import aimed_at, credits, figures, variety, winners
from labkit.datagen.drawing import Drawer, NothingToAsk
from labkit.datagen.grouping import group_word
from labkit.datagen.reading import read_world
from labkit.datagen.speaker import Speaker
from labkit.dataset import Question
from labkit.linting import flaws
from labkit.schema import read_schema

GRAINS = ("Rye", "Wheat", "Spelt", "Barley", "Oat")
FIRST, LAST = ("Ann", "Bo", "Cy", "Di", "Ed"), ("Ash", "Birch", "Cole", "Dunn")


@pytest.fixture(scope="module")
def bakery(tmp_path_factory):
    """Loaves by grain and mill, boxes of loaves by a table of links (two boxes of one name), bills of customers, each
    with one of the bakers to look after them."""
    path, rng = tmp_path_factory.mktemp("bakery") / "bakery.sqlite", random.Random(8)
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            CREATE TABLE grain (grain_id INTEGER PRIMARY KEY, name TEXT UNIQUE);
            CREATE TABLE mill (mill_id INTEGER PRIMARY KEY, name TEXT UNIQUE);
            CREATE TABLE loaf (loaf_id INTEGER PRIMARY KEY, name TEXT UNIQUE, weight INTEGER, calories INTEGER,
                price TEXT, grain_id INTEGER REFERENCES grain, mill_id INTEGER REFERENCES mill);
            CREATE TABLE box (box_id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE box_loaf (box_id INTEGER REFERENCES box, loaf_id INTEGER REFERENCES loaf,
                PRIMARY KEY (box_id, loaf_id));
            CREATE TABLE baker (baker_id INTEGER PRIMARY KEY, name TEXT UNIQUE, title TEXT);
            CREATE TABLE customer (customer_id INTEGER PRIMARY KEY, name TEXT UNIQUE, town TEXT,
                care_rep_id INTEGER REFERENCES baker(baker_id));
            CREATE TABLE invoice (invoice_id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer, total REAL);
        """)
        put = lambda table, rows: connection.executemany(  # noqa: E731
            f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows
        )
        names = [f"{a} {b}" for a in FIRST for b in LAST]
        put("grain", list(enumerate(GRAINS)))
        put("mill", [(i, f"{word} Mill") for i, word in enumerate(("Upper", "Lower", "Old", "North"))])
        weights = [rng.choice((None, 250, 500, 500, 750, 800, 900, 1000, 1200)) for _ in range(70)]
        called = [f"Loaf {chr(65 + i % 26)}{chr(97 + i // 26)}" for i in range(70)]
        put("loaf", [(i, name, weights[i], 90 + i * 37 % 400, f"${rng.randint(2, 9)}.50",
                      min(4, int(rng.expovariate(0.6))), (i * i) % 4) for i, name in enumerate(called)])  # fmt: skip
        put("box", list(enumerate(("Breakfast", "Party", "Party", "Picnic", "Supper"))))
        put("box_loaf", sorted({(i % 5, rng.randrange(4 + 16 * (i % 5))) for i in range(70)}))
        put("baker", [(i, f"{b} {a}", ("Head", "Customer Care", "Apprentice")[i and 1 + i // 4])
                      for i, (a, b) in enumerate(zip(FIRST + FIRST, LAST + LAST, strict=False))])  # fmt: skip
        put(
            "customer",
            [(i, n, ("Velden", "Oakmere", "Ironvale")[i % 3], 1 + min(i % 3, i // 7)) for i, n in enumerate(names)],
        )
        put("invoice", [(i, rng.randrange(20), rng.randrange(300, 9000) / 100) for i in range(120)])
    connection.close()
    return path


@pytest.fixture(scope="module")
def speaker(bakery):
    return Speaker(read_world(bakery))


@pytest.fixture(scope="module")
def aimed(bakery):
    return aimed_at(bakery)


@pytest.fixture(scope="module")
def ask(bakery):
    """A hand-written query's rows."""

    def run(sql):
        connection = sqlite3.connect(bakery)
        rows = connection.execute(sql).fetchall()
        connection.close()
        return rows

    return run


LOAVES = "loaf l JOIN grain USING (grain_id) JOIN mill USING (mill_id)"
NAMES = {"grain": "grain.name", "mill": "mill.name"}


def test_the_best_of_each_group_with_all_that_tie(speaker, drawn, ask, bakery):
    seen, tied, schema = set(), False, read_schema(bakery)
    for sql, rows, texts in drawn(speaker, winners.best_of_each, 30):
        found = re.search(r"IN \(SELECT (\w+)_id, (MAX|MIN)\((\w+)\)", sql)
        if not found:
            assert "RANK()" in sql and "price" in sql  # a number in a text is read once
            continue
        group, best, column = found.groups()
        every = ask(f"SELECT {NAMES[group]}, l.name, {column} FROM {LOAVES} WHERE {column} IS NOT NULL")
        marks = {g: (max if best == "MAX" else min)(v for h, _, v in every if h == g) for g, *_ in every}
        wanted = [row for row in every if row[2] == marks[row[0]]]
        assert sorted(rows) == sorted(row[: len(rows[0])] for row in wanted)
        assert all(group in text.lower() and re.search("each|every|per|by", text, re.I) for text in texts)
        assert not flaws(Question("q", "?", sql, "bakery"), schema)
        seen.add((group, best, len(rows[0])))
        tied |= len(wanted) > len(marks)
    assert len(seen) >= 4 and tied


def test_how_various_the_things_of_each_group_are(speaker, drawn, ask):
    whole = {
        "box": "box_loaf JOIN box USING (box_id) JOIN loaf l USING (loaf_id)",
        "customer": "customer c JOIN baker b ON b.baker_id = c.care_rep_id",
        "loaf": LOAVES,
    }
    kinds = set()
    for sql, rows, texts in drawn(speaker, variety.variety, 60):
        root = "box" if "box" in sql else "customer" if "customer" in sql else "loaf"
        counted = re.search(r"COUNT\(DISTINCT (?:\w+\.)?(\w+)\)", sql)[1]
        group = re.search(r"GROUP BY (.*?)(?= HAVING| ORDER| LIMIT|$)", sql)[1]
        by = "box_id" if root == "box" else "town" if "town" in group else None
        by = by or ("baker_id" if root == "customer" else "grain.name" if "JOIN grain" in sql else "mill.name")
        shown = {"box_id": "box.name", "baker_id": "b.name"}.get(by, by)
        counts = ask(f"SELECT {shown}, COUNT(DISTINCT {counted}) FROM {whole[root]} GROUP BY {by}")
        if found := re.search(r"HAVING .*? (>=?) (\d+)$", sql):
            least = int(found[2]) + (found[1] == ">")
            wanted, kind = [row for row in counts if row[1] >= least], "beyond"
            assert 0 < len(wanted) < len(counts)
        elif "LIMIT 1" in sql:
            wanted, kind = [max(counts, key=lambda row: row[1])], "most"
        else:
            wanted, kind = counts, "each"
        assert sorted(rows) == sorted(row[: len(rows[0])] for row in wanted)
        assert not [text for text in texts if re.search(r"\)|\(", text)]
        kinds.add((root, kind))
    assert {("box", "beyond"), ("box", "each"), ("loaf", "most"), ("customer", "each")} <= kinds


def test_boxes_of_one_name_are_two(speaker, drawn):
    """Names that are not unique are grouped by the key as well."""
    found = [sql for sql, *_ in drawn(speaker, variety.variety, 60) if "box_loaf" in sql]
    assert found and all(re.search(r"GROUP BY b\.box_id, b\.name", sql) for sql in found)


def test_two_figures_for_each_group(speaker, drawn, ask):
    seen = set()
    for sql, rows, texts in drawn(speaker, figures.two_figures, 60, tries=2000):
        found = re.fullmatch(
            r"SELECT g\.name, (.*?), (.*?) FROM loaf AS l JOIN grain AS g ON [\w.= ]+ GROUP BY g\.name", sql
        )
        if not found:
            continue
        values = [
            value.replace("l.", "").replace("price", "CAST(SUBSTR(price, 2) AS REAL)") for value in found.groups()
        ]
        if "CAST" in sql:
            continue
        assert sorted(rows) == sorted(ask(f"SELECT grain.name, {', '.join(values)} FROM {LOAVES} GROUP BY 1"))
        words = {"COUNT": "number|how many|count", "AVG": "average|mean", "SUM": "total|combined",
                 "MIN": "lowest|smallest", "MAX": "highest|largest"}  # fmt: skip
        names = [value.split("(")[0] for value in values]
        assert all(re.search(words[name], text, re.I) for name in names for text in texts), (sql, texts)
        seen.add(tuple(names))
    assert {("COUNT", "AVG"), ("MIN", "MAX")} <= seen


def test_two_figures_are_of_the_same_rows(speaker, drawn):
    """A weight may be missing: the number of rows and the average weight would be of different ones."""
    for sql, *_ in drawn(speaker, figures.two_figures, 60, tries=2000):
        assert "COUNT(*)" not in sql or "weight)" not in sql


def test_credit_for_what_customers_paid(speaker, drawn, ask):
    wanted = ask("SELECT b.name, SUM(total) FROM invoice JOIN customer c USING (customer_id) "
                 "JOIN baker b ON b.baker_id = c.care_rep_id GROUP BY 1 ORDER BY 2 DESC")  # fmt: skip
    called = set()
    for sql, rows, texts in drawn(speaker, credits.credited, 20):
        limit = re.search(r"LIMIT (\d+)", sql)
        best = wanted[: int(limit[1]) if limit else None]
        assert [row[0] for row in rows] == [row[0] for row in best] or "ORDER" not in sql
        assert {row[0] for row in rows} == {row[0] for row in best}
        called |= set(re.findall("baker|care rep|customer care", " ".join(texts).lower()))
        assert all("customer" in text.lower() for text in texts)
    assert called == {"baker", "care rep", "customer care"}  # the title of all whom customers have


def test_a_link_lends_its_name_to_groups(speaker):
    """`care_rep_id` leads to a baker who is called a care rep; `grain_id` to a grain."""
    drawer = Drawer(speaker, random.Random(3))
    links = {link.column: link for link in speaker.world.links if link.table != "box_loaf"}
    bakers, grains = (speaker.world.entities[t].label for t in ("baker", "grain"))
    assert {group_word(drawer, bakers, (links["care_rep_id"],)) for _ in range(40)} >= {"baker", "care rep"}
    assert {group_word(drawer, grains, (links["grain_id"],)) for _ in range(9)} == {"grain"}


def test_nothing_to_credit_where_no_path_is_long_enough(tmp_path):
    with sqlite3.connect(tmp_path / "flat.sqlite") as connection:
        connection.execute("CREATE TABLE pond (pond_id INTEGER PRIMARY KEY, name TEXT UNIQUE, depth INTEGER)")
        connection.executemany("INSERT INTO pond VALUES (?, ?, ?)", [(i, f"Pond {i}", i) for i in range(9)])
    connection.close()
    drawer = Drawer(Speaker(read_world(tmp_path / "flat.sqlite")), random.Random(1))
    for family in (credits.credited, variety.variety, figures.record):
        try:
            assert family(drawer) is None
        except NothingToAsk:
            continue


@pytest.mark.parametrize(
    "question, family, sql",
    [
        ("What is the heaviest loaf of each grain?", "best_of_each",
         f"SELECT grain.name, l.name FROM {LOAVES} WHERE (grain_id, weight) IN (SELECT grain_id, MAX(weight) FROM loaf "
         "GROUP BY 1)"),
        ("Which boxes contain loaves from more than three grains?", "variety",
         "SELECT b.name FROM box b JOIN box_loaf USING (box_id) JOIN loaf USING (loaf_id) GROUP BY box_id "
         "HAVING COUNT(DISTINCT grain_id) > 3"),
        ("Which care rep brought in the most revenue from their customers?", "credited",
         "SELECT b.name FROM invoice JOIN customer c USING (customer_id) JOIN baker b ON b.baker_id = care_rep_id "
         "GROUP BY 1 ORDER BY SUM(total) DESC LIMIT 1"),
    ],
)  # fmt: skip
def test_an_aimed_draw_holds_the_right_query(aimed, ask, question, family, sql):
    """Near a pair of that family, as a pool holds some."""
    wanted, near = sorted(ask(sql)), [Question("near", "?", "SELECT 1", "bakery", tags=(family,))]
    assert wanted and any(sorted(ask(pair.sql)) == wanted for pair in aimed(question, near))
