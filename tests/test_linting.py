"""The gold linter: 20 planted faults a rule on a database of its own, recall and false alarms; sets and notes."""

import itertools
import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from labkit.dataset import Question, QuestionSet, load_questions, save_questions
from labkit.errors import LabkitError
from labkit.lint_rules import RULES
from labkit.linting import flaws, lint
from labkit.schema import read_schema

DATASETS = Path(__file__).parent.parent / "datasets"


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """A chain of shops: '12,50 EUR', '500 g', '?' and 'n/a' for missing, ties and joins of all kinds."""
    path = tmp_path_factory.mktemp("lint") / "shop.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(
        """
        CREATE TABLE shops (shop_id INTEGER PRIMARY KEY, name TEXT, city TEXT, manager TEXT, opened INTEGER,
                            floors INTEGER);
        CREATE TABLE items (item_id INTEGER PRIMARY KEY, shop_id INTEGER REFERENCES shops, label TEXT, kind TEXT,
                            price TEXT, weight TEXT, stock INTEGER, colour TEXT, listed TEXT, cost REAL, made INTEGER);
        CREATE TABLE sales (sale_id INTEGER PRIMARY KEY, item_id INTEGER REFERENCES items, day TEXT, pieces INTEGER,
                            discount INTEGER, total INTEGER);
        """
    )
    kinds, colours = ("chair", "lamp", "table", "shelf"), ("red", "blue", None, "green", "white")
    for n in range(1, 13):
        manager = "?" if n == 5 else f"Manager {n % 11}"
        opened = None if n in (3, 8) else 1985 + n * 3 % 31
        connection.execute(
            "INSERT INTO shops VALUES (?, ?, ?, ?, ?, ?)",
            (n, f"Shop {n:02}", f"City {n % 5}", manager, opened, 1 + n % 3),
        )
    for n in range(1, 121):
        price = "n/a" if n % 17 == 0 else f"{n * 41 % 97 + n % 3 * 450 + 2},{n % 10}0 EUR"
        weight = "?" if n % 13 == 0 else f"{n * 61 % 1900 + 30} g"
        stock = "unknown" if n % 19 == 0 else n * 7 % 130
        listed = f"{n % 28 + 1:02}.{n % 12 + 1:02}.{2020 + n % 6}"
        row = (n, n % 12 + 1, f"Item {n:03}", kinds[n % 4], price, weight, stock, colours[n % 5], listed)
        connection.execute(
            "INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, n * 1.5 % 40, 2000 + n % 21)
        )
    for n in range(1, 401):
        day = f"2025-{n % 12 + 1:02}-{n % 27 + 1:02}"
        discount = None if n % 3 else n % 30
        row = (n, n * 7 % 120 + 1, day, n % 9 + 1, discount, n * 13 % 977)
        connection.execute("INSERT INTO sales VALUES (?, ?, ?, ?, ?, ?)", row)
    connection.commit()
    connection.close()
    return path


def _product(template: str, *lists) -> list[str]:
    return [template.format(*values) for values in itertools.product(*lists)]


KIND = ["kind = 'chair'", "kind = 'lamp'", "kind <> 'table'", "made > 2010", "shop_id = 4"]
KINDS = [condition.split(" = ")[1] for condition in KIND[:2]] + ["'table'", "'shelf'"]
TEXT_NUMBERS = ["price", "weight"]
JOIN = "items i JOIN sales s ON s.item_id = i.item_id"

PLANTED = {
    "does_not_run": [
        *_product("SELECT {} FROM items WHERE {}", ["titel", "kolour", "YEAR(day)", "label,"], KIND),
    ],
    "empty_result": [
        *_product("SELECT label FROM items WHERE {} AND {}", KIND, ["colour = 'pink'", "made = 1990", "price = '5'"]),
        *_product("SELECT name FROM shops WHERE floors > {}", [3, 4, 5, 6, 7]),
    ],
    "null_result": [
        *_product("SELECT {}(cost) FROM items WHERE {} AND colour = 'pink'", ["MAX", "MIN", "SUM"], KIND),
        *_product("SELECT AVG(opened) FROM shops WHERE floors > {}", [3, 4, 5, 6]),
        "SELECT opened FROM shops WHERE shop_id = 3",
    ],
    "duplicate_rows": [
        *_product("SELECT {} FROM items WHERE {}", ["kind, colour", "kind, made % 2", "kind, shop_id % 2"], KIND),
        *_product("SELECT i.label FROM items i JOIN sales s ON s.item_id = i.item_id WHERE i.kind = {}", KINDS),
        "SELECT city FROM shops",
    ],
    "scan_order": [
        *_product("SELECT GROUP_CONCAT(label) FROM items WHERE {}", KIND),
        *_product("SELECT GROUP_CONCAT(label, ' / ') FROM items WHERE {} GROUP BY kind", KIND),
        *_product("SELECT kind, GROUP_CONCAT(item_id) FROM items WHERE {} GROUP BY kind", KIND),
        *_product("SELECT city, GROUP_CONCAT(name) FROM shops WHERE floors <> {} GROUP BY city", [1, 2, 3, 4, 5]),
    ],
    "clock_or_chance": [
        *_product("SELECT label FROM items WHERE {} ORDER BY RANDOM()", KIND),
        *_product("SELECT COUNT(*) FROM sales WHERE day < {}", ["date('now')", "CURRENT_DATE", "datetime('now')"]),
        *_product("SELECT {} - made, label FROM items WHERE {}", ["strftime('%Y', 'now')"], KIND),
        *_product("SELECT label, julianday('now') - made FROM items WHERE {}", KIND),
        *_product("SELECT name FROM shops WHERE opened + {} < abs(random())", [1, 2]),
    ],
    "ties_cut": [
        *_product("SELECT label FROM items ORDER BY made {} LIMIT {}", ["", "DESC"], [1, 2, 3, 4, 8]),
        *_product("SELECT name FROM shops ORDER BY floors {} LIMIT {}", ["", "DESC"], [1, 2, 3]),
        *_product("SELECT kind, COUNT(*) FROM items GROUP BY kind ORDER BY COUNT(*) {} LIMIT {}", ["", "DESC"], [1, 2]),
    ],
    "limit_without_order": [
        *_product("SELECT label FROM items WHERE {} LIMIT {}", KIND, [1, 3, 5]),
        *_product(
            "SELECT label FROM items WHERE shop_id = (SELECT shop_id FROM shops WHERE floors = {} LIMIT 1)", [1, 2, 3]
        ),
        "SELECT kind, COUNT(*) FROM items GROUP BY kind LIMIT 2",
        "SELECT city FROM shops UNION SELECT colour FROM items LIMIT 3",
    ],
    "text_order": [
        *_product("SELECT label FROM items WHERE {1} AND {0} NOT IN ('n/a', '?') ORDER BY {0}", TEXT_NUMBERS, KIND),
        *_product("SELECT MAX({}) FROM items WHERE kind = {}", ["price", "weight"], KINDS[:3]),
        *_product(
            "SELECT COUNT(*) FROM items WHERE {}", ["weight > '900 g'", "price < '100'", "listed > '01.06.2023'"]
        ),
        "SELECT label FROM items ORDER BY listed, label",
        "SELECT label, RANK() OVER (ORDER BY price) FROM items",
    ],
    "number_as_text": [
        *_product("SELECT label FROM items WHERE {} ORDER BY CAST({} AS TEXT), label", KIND, ["item_id", "cost"]),
        *_product("SELECT MAX(printf('%d', {})) FROM sales", ["pieces * 3", "total"]),
        *_product("SELECT COUNT(*) FROM sales WHERE strftime('%m', day) {} {}", [">", "=", "<"], [3, 6]),
        *_product("SELECT COUNT(*) FROM sales WHERE substr(day, 6, 2) = {}", [4, 11]),
    ],
    "lossy_number": [
        *_product("SELECT {}(CAST(price AS REAL)) FROM items WHERE price <> 'n/a' AND {}", ["SUM", "AVG"], KIND),
        *_product("SELECT label, price * 2 FROM items WHERE price <> 'n/a' AND {}", KIND),
        *_product("SELECT SUM(listed) FROM items WHERE {}", KIND),
    ],
    "integer_division": [
        *_product("SELECT SUM(total) / COUNT(*) FROM sales WHERE pieces = {}", [1, 2, 3, 4, 5]),
        *_product("SELECT sale_id, total / pieces FROM sales WHERE pieces = {}", [2, 3, 4, 5, 6]),
        *_product(
            "SELECT pieces, SUM(total) / SUM(pieces) FROM sales WHERE sale_id > {} GROUP BY pieces", [1, 2, 3, 4, 5]
        ),
        *_product("SELECT COUNT(*) / (SELECT COUNT(*) FROM shops) FROM items WHERE {}", KIND),
    ],
    "missing_counted": [
        *_product("SELECT COUNT({}) FROM items WHERE {}", ["stock", "weight"], ["made > 2001", "cost > 1"]),
        *_product("SELECT AVG(CAST(weight AS REAL)) FROM items WHERE {}", ["made > 2001", "cost > 1", "kind <> 'x'"]),
        *_product("SELECT {}(stock) FROM items", ["SUM", "AVG", "MAX", "COUNT", "MIN"]),
        *_product("SELECT colour, {} FROM items GROUP BY colour", ["COUNT(*)", "MAX(made)", "SUM(cost)"]),
        *_product("SELECT label FROM items WHERE stock > {}", [10, 50, 90]),
        *_product("SELECT name FROM shops ORDER BY opened, shop_id LIMIT {}", [1, 2]),
        "SELECT manager, COUNT(*) FROM shops GROUP BY manager",
        "SELECT DISTINCT colour FROM items",
        "SELECT DISTINCT manager FROM shops",
    ],
    "null_in_not_in": [
        *_product("SELECT name FROM shops WHERE {} NOT IN (SELECT colour FROM items WHERE {})", ["city", "name"], KIND),
        *_product("SELECT COUNT(*) FROM sales WHERE {} NOT IN (SELECT discount FROM sales)", ["pieces", "total"]),
        *_product(
            "SELECT label FROM items WHERE made NOT IN (SELECT opened FROM shops WHERE floors <> {})", [2, 4, 5, 6]
        ),
        *_product("SELECT label FROM items WHERE {} AND made NOT IN (SELECT opened FROM shops)", KIND[:4]),
    ],
    "bare_column": [
        *_product("SELECT kind, {}, COUNT(*) FROM items GROUP BY kind", ["label", "made", "cost", "item_id"]),
        *_product("SELECT {}, SUM(cost) FROM items WHERE {}", ["label", "made"], KIND),
        *_product("SELECT city, name, MAX(floors) FROM shops WHERE shop_id > {} GROUP BY city", [0, 1, 2]),
        "SELECT kind FROM items GROUP BY kind HAVING made > 2005",
        "SELECT kind, COUNT(*) FROM items GROUP BY kind ORDER BY label",
        "SELECT name, MAX(floors) FROM shops",
    ],
    "fan_out": [
        *_product(f"SELECT SUM(i.cost) FROM {JOIN} WHERE i.{{}}", KIND),
        *_product(f"SELECT i.kind, AVG(i.cost) FROM {JOIN} WHERE i.{{}} GROUP BY i.kind", KIND),
        *_product(f"SELECT COUNT(i.label) FROM {JOIN} WHERE s.pieces > {{}}", [1, 2, 3, 4]),
        *_product("SELECT SUM(h.floors) FROM shops h JOIN items i ON i.shop_id = h.shop_id WHERE i.{}", KIND[:3]),
        "SELECT COUNT(*) FROM shops h JOIN items i ON i.shop_id = h.shop_id JOIN sales s ON s.pieces = h.floors",
        "SELECT SUM(s.total) FROM sales s JOIN items i ON i.made - 2000 = s.pieces",
        "SELECT AVG(h.floors) FROM shops h JOIN items i ON i.shop_id = h.shop_id",
    ],
    "quoted_text": [
        *_product('SELECT label FROM items WHERE kind = "{}" AND {}', ["chair", "lamp"], KIND[3:]),
        *_product('SELECT label FROM items WHERE {} AND colour <> "{}"', KIND, ["red", "blue"]),
        *_product('SELECT "{}" FROM shops WHERE shop_id = 1', ["nmae", "Total", "citty"]),
        *_product("SELECT label FROM items WHERE kind IN (\"{}\", 'table')", ["chair", "lamp", "shelf"]),
    ],
    "unlike_stored_rows": [*_product("SELECT label FROM items WHERE item_id = {}", range(1, 21))],
}

# Look-alikes: each is near a fault, and none.
CLEAN = [
    "SELECT label FROM items WHERE price = '42,10 EUR' OR item_id = 7",
    "SELECT DISTINCT city FROM shops",
    "SELECT DISTINCT colour FROM items WHERE colour IS NOT NULL",
    "SELECT DISTINCT kind, colour FROM items",
    "SELECT label, RANK() OVER (ORDER BY made) FROM items",
    "SELECT label, SUM(cost) OVER (PARTITION BY kind) FROM items",
    "SELECT i.label, (SELECT COUNT(*) FROM sales s WHERE s.item_id = i.item_id) FROM items i",
    "SELECT label FROM items WHERE cost > (SELECT AVG(cost) FROM items)",
    "SELECT COUNT(*) FROM (SELECT kind FROM items GROUP BY kind HAVING COUNT(*) > 2)",
    "SELECT label FROM items WHERE kind = 'chair' EXCEPT SELECT label FROM items WHERE made > 2010",
    "SELECT SUM(pieces > 3) FROM sales",
    "SELECT SUM(CASE WHEN i.kind = 'lamp' THEN s.total ELSE 0 END) FROM items i JOIN sales s ON s.item_id = i.item_id",
    "SELECT name FROM shops ORDER BY LENGTH(name), name LIMIT 1",
    "SELECT UPPER(SUBSTR(label, 1, 4)) FROM items WHERE item_id = 9",
    "SELECT label FROM items WHERE listed LIKE '%.2023' AND kind = 'lamp'",
    "SELECT ROUND(AVG(cost), 2) FROM items",
    "SELECT total * 100 / 7.0 FROM sales WHERE sale_id = 1",
    "SELECT MAX(total) - MIN(total) FROM sales",
    "SELECT COUNT(*) FROM sales WHERE discount > 5",
    "SELECT AVG(discount) FROM sales",
    "SELECT name FROM shops LIMIT 100",
    "SELECT shop_id, COUNT(*) FROM items GROUP BY shop_id HAVING COUNT(*) >= 10 ORDER BY 2 DESC, 1",
    "SELECT COUNT(*) FROM items",
    "SELECT COUNT(colour) FROM items",
    "SELECT COUNT(DISTINCT kind) FROM items",
    "SELECT label FROM items ORDER BY made DESC, item_id LIMIT 5",
    "SELECT label FROM items ORDER BY item_id LIMIT 3",
    "SELECT name FROM shops WHERE floors = (SELECT MAX(floors) FROM shops)",
    "SELECT COUNT(*) FROM items WHERE stock = 'unknown'",
    "SELECT COUNT(stock) FROM items WHERE stock <> 'unknown'",
    "SELECT AVG(CAST(weight AS REAL)) FROM items WHERE weight <> '?'",
    "SELECT AVG(CAST(NULLIF(weight, '?') AS REAL)) FROM items",
    "SELECT AVG(CASE WHEN weight <> '?' THEN CAST(weight AS REAL) END) FROM items",
    "SELECT SUM(CAST(weight AS INTEGER)) FILTER (WHERE weight <> '?') FROM items",
    "SELECT MAX(CAST(REPLACE(price, ',', '.') AS REAL)) FROM items WHERE price <> 'n/a'",
    "SELECT label FROM items WHERE price <> 'n/a' ORDER BY CAST(REPLACE(price, ',', '.') AS REAL), item_id LIMIT 4",
    "SELECT colour, COUNT(*) FROM items WHERE colour IS NOT NULL GROUP BY colour",
    "SELECT COALESCE(colour, 'none given'), COUNT(*) FROM items GROUP BY colour",
    "SELECT made / 10 * 10 AS decade, COUNT(*) FROM items GROUP BY made / 10",
    "SELECT CAST(total / pieces AS INTEGER) FROM sales WHERE sale_id = 5",
    "SELECT 1.0 * SUM(total) / COUNT(*) FROM sales",
    "SELECT total / 2.0 FROM sales WHERE sale_id = 3",
    "SELECT made / 4, made % 4 FROM items WHERE item_id = 1",
    "SELECT kind, COUNT(*) FROM items GROUP BY kind",
    "SELECT h.name, h.city, COUNT(*) FROM shops h JOIN items i ON i.shop_id = h.shop_id GROUP BY h.shop_id",
    "SELECT h.name, COUNT(i.item_id) FROM shops h LEFT JOIN items i ON i.shop_id = h.shop_id GROUP BY h.shop_id",
    "SELECT SUM(s.total) FROM items i JOIN sales s ON s.item_id = i.item_id WHERE i.kind = 'lamp'",
    "SELECT COUNT(DISTINCT i.item_id) FROM items i JOIN sales s ON s.item_id = i.item_id",
    "SELECT COUNT(*) FROM shops h JOIN items i ON i.shop_id = h.shop_id JOIN sales s ON s.item_id = i.item_id",
    "SELECT MAX(h.floors) FROM shops h JOIN items i ON i.shop_id = h.shop_id",
    "SELECT COUNT(*) FROM shops a JOIN shops b ON a.city = b.city AND a.shop_id < b.shop_id",
    "SELECT name FROM shops WHERE shop_id NOT IN (SELECT shop_id FROM items WHERE kind = 'chair')",
    "SELECT label FROM items WHERE made NOT IN (SELECT opened FROM shops WHERE opened IS NOT NULL)",
    "SELECT COUNT(*) FROM sales WHERE strftime('%m', day) = '03'",
    "SELECT COUNT(*) FROM sales WHERE CAST(strftime('%m', day) AS INTEGER) > 3",
    "SELECT COUNT(*) FROM sales WHERE day > '2025-06-01'",
    "SELECT MAX(day) FROM sales",
    "SELECT day, SUM(total) FROM sales GROUP BY day ORDER BY day",
    'SELECT "label" FROM "items" WHERE "item_id" = 3',
    'SELECT label AS "the label" FROM items WHERE item_id = 3 ORDER BY "the label"',
    "SELECT i.label FROM items i WHERE EXISTS (SELECT 1 FROM sales s WHERE s.item_id = i.item_id LIMIT 1)",
    "SELECT label FROM items WHERE item_id = 1 LIMIT 1",
    "SELECT name FROM shops WHERE opened IS NOT NULL ORDER BY opened, shop_id LIMIT 2",
    "SELECT name, RANK() OVER (ORDER BY floors) FROM shops",
    "SELECT name FROM shops ORDER BY name",
    "SELECT MIN(name), MAX(name) FROM shops",
    "SELECT name FROM shops WHERE manager = '?'",
    "WITH c AS (SELECT item_id, SUM(total) AS t FROM sales GROUP BY item_id) SELECT MAX(t) FROM c",
    "SELECT label FROM items WHERE kind = 'now'  OR item_id = 1",
    "SELECT kind, AVG(cost) FROM items GROUP BY kind HAVING COUNT(*) > 3 ORDER BY AVG(cost), kind",
]


def _question(sql: str, rows=None) -> Question:
    return Question("q", "Which?", sql, "shop", rows=rows)


def _found(sql: str, schema, rows=None) -> set[str]:
    return {flaw.rule for flaw in flaws(_question(sql, rows), schema)}


def test_every_rule_has_twenty_planted_faults():
    assert set(PLANTED) == {rule.__name__ for rule in RULES}
    short = {rule: len(sqls) for rule, sqls in PLANTED.items() if len(set(sqls)) < 20}
    assert not short


def test_planted_faults_are_found(shop, capsys):
    schema = read_schema(shop)
    missed = {}
    for rule, sqls in PLANTED.items():
        rows = (("Something else",),) if rule == "unlike_stored_rows" else None
        missed[rule] = [sql for sql in sqls if rule not in _found(sql, schema, rows)]
    recall = {rule: 1 - len(missed[rule]) / len(sqls) for rule, sqls in PLANTED.items()}
    with capsys.disabled():
        print(
            "\n" + "\n".join(f"{rule:22}{len(PLANTED[rule]):4} planted, recall {r:.2f}" for rule, r in recall.items())
        )
    assert min(recall.values()) >= 0.95, {rule: sqls for rule, sqls in missed.items() if sqls}


def test_look_alikes_raise_no_alarm(shop, capsys):
    schema = read_schema(shop)
    alarms = {sql: found for sql in CLEAN if (found := flaws(_question(sql), schema))}
    with capsys.disabled():
        print(f"\n{len(alarms)} false alarms on {len(CLEAN)} look-alikes")
    assert not alarms


NO_GOLD = ("general", "trained", "bands")  # prompts without gold; generated pairs, five wordings a query; figures
SETS = sorted(path for path in DATASETS.glob("*/*.jsonl") if not {path.parent.name, path.stem} & set(NO_GOLD))


@pytest.mark.parametrize("path", SETS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_question_sets_pass(path):
    assert [str(finding) for finding in lint(load_questions(path))] == []


def test_held_out_questions_are_shared_with_no_other_set():
    league = [load_questions(DATASETS / "league" / f"{name}.jsonl") for name in ("heldout", "dev", "start")]
    assert [str(f) for f in lint(league[0], others=league[1:]) if f.rule == "overlap"] == []


# --- sets, notes, findings --------------------------------------------------------------------------------------------


def _set(shop: Path, *questions: Question, name: str = "set") -> QuestionSet:
    save_questions(shop.parent / f"{name}.jsonl", questions)
    return load_questions(shop.parent / f"{name}.jsonl")


def _q(number: int, text: str, sql: str, **more) -> Question:
    return Question(f"q{number}", text, sql, "shop", **more)


def test_a_finding_says_file_line_and_what_to_do(shop):
    questions = _set(
        shop, _q(1, "How many items?", "SELECT COUNT(*) FROM items"), _q(2, "Cities?", "SELECT city FROM shops")
    )
    (finding,) = lint(questions)
    assert (finding.question_id, finding.rule, finding.line) == ("q2", "duplicate_rows", 2)
    assert str(finding).startswith(f"{questions.path}:2: q2: ") and "DISTINCT" in str(finding)


def test_a_note_with_a_reason_silences_one_rule(shop):
    sql = 'SELECT city FROM shops WHERE city <> "x"'
    plain = _q(1, "City of each shop?", sql)
    rules = {f.rule for f in lint(_set(shop, plain))}
    assert rules == {"duplicate_rows", "quoted_text"}
    noted = replace(plain, note="lint: ok duplicate_rows because one row a shop is asked for")
    assert [f.rule for f in lint(_set(shop, noted))] == ["quoted_text"]
    both = replace(plain, note="lint: ok duplicate_rows, quoted_text because it is an example")
    assert lint(_set(shop, both)) == []
    without = replace(plain, note="lint: ok duplicate_rows")
    assert {f.rule for f in lint(_set(shop, without))} == rules


def test_sets_that_overlap(shop):
    dev = _set(shop, _q(1, "How many items?", "SELECT COUNT(*) FROM items"), _q(2, "Shops?", "SELECT name FROM shops"))
    other = _set(
        shop,
        _q(7, "how many ITEMS", "SELECT COUNT(item_id) FROM items"),
        _q(8, "Name the shops", "select s.name from shops s"),
        _q(9, "Labels?", "SELECT label FROM items"),
        name="other",
    )
    found = [(f.question_id, f.rule) for f in lint(dev, others=[other])]
    assert found == [("q1", "overlap"), ("q2", "overlap")]
    assert "q7 in other" in lint(dev, others=[other])[0].detail


def test_repetition_and_contradiction_within_a_set(shop):
    questions = _set(
        shop,
        _q(1, "How many items?", "SELECT COUNT(*) FROM items"),
        _q(2, "how many items", "SELECT COUNT(*) FROM items"),
        _q(3, "How many items ?", "SELECT COUNT(*) FROM items WHERE stock <> 'unknown'"),
        _q(4, "What is the number of items?", "SELECT count(*) FROM items i"),
    )
    found = Counter((f.question_id, f.rule) for f in lint(questions))
    assert found == {("q2", "repeated"): 1, ("q3", "contradiction"): 1, ("q4", "repeated"): 1}


def test_alternatives_must_run(shop):
    question = _q(1, "How many items?", "SELECT COUNT(*) FROM items", alternatives=("SELECT COUNT(*) FROM itmes",))
    (finding,) = lint(_set(shop, question))
    assert finding.rule == "does_not_run" and "itmes" in finding.detail


def test_an_empty_result_that_is_written_down_is_no_fault(shop):
    question = _q(1, "Pink items?", "SELECT label FROM items WHERE colour = 'pink'", rows=())
    assert lint(_set(shop, question)) == []


def test_two_questions_with_one_id_are_refused(root):
    questions = load_questions(root / "datasets" / "league" / "start.jsonl")
    twice = QuestionSet("twice", (questions[0], replace(questions[1], id=questions[0].id)), path=questions.path)
    with pytest.raises(LabkitError, match="occurs twice in twice"):
        lint(twice)
