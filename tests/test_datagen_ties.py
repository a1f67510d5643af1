"""Families that go further along the keys, on a made-up bookshop: each query against another one written by hand."""

import random
import re
import sqlite3

import pytest

from labkit.datagen import FAMILIES, bonds, childless, generate, months, selves, ties, totals
from labkit.datagen.drawing import Drawer, NothingToAsk
from labkit.datagen.filters import Filters
from labkit.datagen.phrases import in_words, ordinal
from labkit.datagen.reading import read_world
from labkit.datagen.speaker import Speaker
from labkit.datagen.world import Link
from labkit.execution import execute

MODULES = (ties, totals, months, selves, childless)


@pytest.fixture(scope="module")
def bookshop(tmp_path_factory):
    """Shelves of books by a table of links, purchases in lines, clerks with a boss, dates over two years."""
    path, rng = tmp_path_factory.mktemp("bookshop") / "bookshop.sqlite", random.Random(3)
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            CREATE TABLE author (author_id INTEGER PRIMARY KEY, name TEXT UNIQUE);
            CREATE TABLE topic (topic_id INTEGER PRIMARY KEY, name TEXT UNIQUE);
            CREATE TABLE book (book_id INTEGER PRIMARY KEY, title TEXT UNIQUE, pages INTEGER,
                author_id INTEGER REFERENCES author, topic_id INTEGER REFERENCES topic);
            CREATE TABLE shelf (shelf_id INTEGER PRIMARY KEY, name TEXT UNIQUE);
            CREATE TABLE shelf_book (shelf_id INTEGER REFERENCES shelf, book_id INTEGER REFERENCES book,
                PRIMARY KEY (shelf_id, book_id));
            CREATE TABLE member (member_id INTEGER PRIMARY KEY, name TEXT UNIQUE, town TEXT);
            CREATE TABLE purchase (purchase_id INTEGER PRIMARY KEY, member_id INTEGER REFERENCES member,
                bought_on TEXT, total REAL);
            CREATE TABLE purchase_line (line_id INTEGER PRIMARY KEY, purchase_id INTEGER REFERENCES purchase,
                book_id INTEGER REFERENCES book, quantity INTEGER);
            CREATE TABLE clerk (clerk_id INTEGER PRIMARY KEY, name TEXT UNIQUE, boss_id INTEGER REFERENCES clerk,
                wage INTEGER);
        """)
        put = lambda table, rows: connection.executemany(  # noqa: E731
            f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows
        )
        first, last = ("Ann", "Bo", "Cy", "Di", "Ed", "Flo"), ("Ash", "Birch", "Cole", "Dunn", "Elm")
        names = [f"{a} {b}" for a in first for b in last]
        put("author", [(i, f"{b} {a}") for i, (a, b) in enumerate(zip(last * 2, first * 2, strict=False))])
        put("topic", list(enumerate(("Cooking", "Gardens", "Ships", "Ghosts", "Chess"))))
        put("book", [(i, f"Tale of {chr(65 + i // 5)}{'aeiou'[i % 5]}", 90 + i * 37 % 400, rng.randrange(8),
                      rng.randrange(5)) for i in range(60)])  # fmt: skip
        put("shelf", list(enumerate(("North", "South", "Window", "Cellar", "Attic"))))
        put("shelf_book", sorted({(rng.randrange(4), rng.randrange(50)) for _ in range(90)}))
        put("member", [(i, name, ("Velden", "Oakmere", "Ironvale")[i % 3]) for i, name in enumerate(names)])
        days = [f"{rng.choice((2030, 2031))}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}" for _ in range(150)]
        put("purchase", [(i, rng.randrange(26), day, rng.randrange(300, 9000) / 100) for i, day in enumerate(days)])
        put("purchase_line", [(i, i % 150, int(rng.triangular(0, 50, 5)), rng.randint(1, 4)) for i in range(300)])
        put("clerk", [(i, f"{b} {a}", None if i == 0 else (i - 1) // 3, 1500 + i * 613 % 900)
                      for i, (a, b) in enumerate(zip(first * 2, last * 2, strict=False))])  # fmt: skip
    connection.close()
    return path


@pytest.fixture(scope="module")
def speaker(bookshop):
    return Speaker(read_world(bookshop))


@pytest.fixture(scope="module")
def ask(bookshop):
    """A hand-written query's rows."""

    def run(sql, *values):
        connection = sqlite3.connect(bookshop)
        rows = connection.execute(sql, values).fetchall()
        connection.close()
        return rows

    return run


BOUGHT = """SELECT m.name, t.name AS topic, a.name AS author, b.title, b.book_id, l.quantity FROM member m
    JOIN purchase p USING (member_id) JOIN purchase_line l USING (purchase_id) JOIN book b USING (book_id)
    JOIN topic t USING (topic_id) JOIN author a USING (author_id)"""
SHELVED = """SELECT s.name AS shelf, b.title, t.name AS topic, a.name AS author FROM shelf s
    JOIN shelf_book USING (shelf_id)
    JOIN book b USING (book_id) JOIN topic t USING (topic_id) JOIN author a USING (author_id)"""
COLUMNS = {"topic": "topic", "author": "author", "book": "title", "shelf": "shelf", "member": "name"}


def _compared(sql):
    """[(table, value)] that a query names rows by."""
    tables = {alias: table for table, alias in re.findall(r"(?:FROM|JOIN) (\w+) AS (\w+)", sql)}
    return [(tables[a], v.replace("''", "'")) for a, v in re.findall(r"(\w+)\.(?:name|title) = '((?:[^']|'')+)'", sql)]


# --- along links and bills --------------------------------------------------------------------------------------------


def test_what_binds_two_kinds_of_things(speaker):
    found = {(b.who.table, b.thing.table, b.inside) for b in bonds.bonds(Drawer(speaker, random.Random(1)))}
    assert found == {("shelf", "book", False), ("book", "shelf", True), ("member", "book", False)}


def test_who_has_things_of_a_named_one(speaker, drawn, ask):
    checked = set()
    for sql, rows, texts in drawn(speaker, ties.tied, 60):
        if len(named := _compared(sql)) != 1 or "town" in sql or " > " in sql:
            continue  # another condition beside
        ((table, value),) = named
        whole = BOUGHT if "purchase" in sql else SHELVED
        who = "name" if "purchase" in sql else "title" if table == "shelf" else "shelf"
        wanted = ask(f"SELECT DISTINCT {who} FROM ({whole}) WHERE {COLUMNS[table]} = ?", value)
        if re.search(r"pages|name <>|LIKE|NOT IN", sql):
            continue
        assert sorted(rows) == sorted(wanted) if "COUNT" not in sql else rows == ((len(wanted),),)
        checked.add((who, "COUNT" in sql))
        assert all(value in text for text in texts)
        assert all(re.search("bought|purchased", text) for text in texts) or "purchase" not in sql
    assert len(checked) >= 5


def test_one_but_never_another(speaker, drawn, ask):
    checked = 0
    for sql, rows, texts in drawn(speaker, ties.tied_never, 12):
        (table, one), (_, other) = _compared(sql)
        whole, who = (BOUGHT, "name") if "purchase" in sql else (SHELVED, "shelf")
        column = COLUMNS[table]
        wanted = ask(
            f"SELECT DISTINCT {who} FROM ({whole}) w WHERE {column} = ? AND NOT EXISTS "
            f"(SELECT 1 FROM ({whole}) v WHERE v.{who} = w.{who} AND v.{column} = ?)", one, other
        )  # fmt: skip
        assert sorted(rows) == sorted(wanted)
        assert all(0 <= text.index(one) < text.index(other) for text in texts)
        checked += 1
    assert checked


def test_how_various_the_things_are(speaker, drawn, ask):
    kinds = set()
    for sql, rows, texts in drawn(speaker, ties.tied_variety, 30):
        table = re.search(r"COUNT\(DISTINCT \w+\.(\w+)_id\)", sql)[1]
        whole, who = (BOUGHT, "name") if "purchase" in sql else (SHELVED, "shelf")
        counts = dict(ask(f"SELECT {who}, COUNT(DISTINCT {COLUMNS[table]}) FROM ({whole}) GROUP BY 1"))
        if "HAVING" in sql:
            op, n = re.search(r"HAVING COUNT\(.*?\) (>=?) (\d+)", sql).groups()
            wanted = {k for k, c in counts.items() if c > int(n) or (op == ">=" and c == int(n))}
            assert {row[0] for row in rows} == wanted and 0 < len(wanted) < len(counts)
        else:
            assert rows == ((counts.get(_compared(sql)[0][1], 0),),)
        assert all(table in text.lower() for text in texts)
        kinds.add("HAVING" in sql)
    assert kinds == {True, False}


def test_things_of_each_kind_that_one_has(speaker, drawn, ask):
    seen = set()
    for sql, rows, texts in drawn(speaker, ties.per_kind, 20):
        ((table, value),) = _compared(sql)
        kind = "topic" if "topic AS" in sql else "author"
        whole, number = (BOUGHT, "SUM(quantity)") if table == "member" else (SHELVED, "COUNT(*)")
        wanted = ask(f"SELECT {kind}, {number} FROM ({whole}) WHERE {COLUMNS[table]} = ? GROUP BY 1", value)
        assert sorted(rows) == sorted(wanted)
        assert all(value in text and kind in text.lower() for text in texts)
        seen.add(table)
    assert seen == {"member", "shelf"}


def test_who_has_the_most_things(speaker, drawn, ask):
    seen = set()
    for sql, rows, texts in drawn(speaker, ties.most_things, 40):
        named = _compared(sql)
        whole, who, number = (BOUGHT, "name", "SUM(quantity)") if "purchase" in sql else (SHELVED, "shelf", "COUNT(*)")
        test = f"WHERE {COLUMNS[named[0][0]]} = ?" if named else ""
        wanted = ask(f"SELECT {who}, {number} FROM ({whole}) {test} GROUP BY 1 ORDER BY 2 DESC", *[v for _, v in named])
        limit = re.search(r"LIMIT (\d+)", sql)
        best = [n for _, n in wanted][: int(limit[1]) if limit else None]
        if rows and len(rows[0]) == 2:
            assert set(rows) <= set(wanted) and sorted((n for _, n in rows), reverse=True) == best
        assert len(rows) == len(best) and all(v in text for _, v in named for text in texts)
        seen.add((who, bool(limit)))
    assert len(seen) == 4


def test_what_was_sold(speaker, drawn, ask):
    for sql, rows, texts in drawn(speaker, ties.sold, 25):
        kind = "topic" if "topic AS" in sql else "author" if "author AS" in sql else "title"
        wanted = ask(f"SELECT {kind}, SUM(quantity) FROM ({BOUGHT}) GROUP BY 1 ORDER BY 2 DESC")
        limit = re.search(r"LIMIT (\d+)", sql)
        best = [n for _, n in wanted][: int(limit[1]) if limit else None]
        assert len(rows) == len(best)
        assert len(rows[0]) == 1 or sorted((n for _, n in rows), reverse=True) == best
        assert all(re.search("s[eo]l[dl]", text) for text in texts)


# --- totals and places ------------------------------------------------------------------------------------------------

TOTALS = "SELECT m.name, {} FROM purchase p JOIN member m ON m.member_id = p.member_id GROUP BY m.member_id"


def test_totals_beyond_a_bound(speaker, drawn, ask):
    checked = 0
    for sql, rows, texts in drawn(speaker, totals.total_bound, 60, tries=2000):
        found = re.search(r"HAVING (SUM|AVG)\(p\.total\) ([<>]=?) ([\d.]+)$", sql)
        if not found or "WHERE" in sql or "member" not in sql:
            continue
        how, op, bound = found.groups()
        test = {">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "<": lambda a, b: a < b}[op]
        wanted = [name for name, n in ask(TOTALS.format(f"{how}(p.total)")) if test(n, float(bound))]
        assert sorted(row[0] for row in rows) == sorted(wanted) and 0 < len(wanted) < 26
        words = {">": "more than|over|above", ">=": "at least", "<": "less than|under|below"}[op]
        assert all(re.search(words, text) and bound.removesuffix(".0") in text for text in texts)
        assert how == "AVG" or any("spent" in text or "spend" in text for text in texts)
        checked += 1
    assert checked >= 5


def test_places_in_a_ranking(speaker, drawn, ask):
    checked, seen = set(), set()
    for sql, rows, texts in drawn(speaker, totals.places, 150, tries=900):
        k, skipped = map(int, re.search(r"LIMIT (\d+) OFFSET (\d+)$", sql).groups())
        assert len(rows) == k
        first, last = skipped + 1, skipped + k
        words = [[str(n), ordinal(n), in_words(n) if n <= 10 else "-"] for n in (first, last)]
        words[0] += ["runner-up", "number two", "right behind", "right after"] if (k, skipped) == (1, 1) else []
        for text in texts:
            said = [[w for w in ways if re.search(rf"\b{w}\b", text.replace(":", " "), re.I)] for ways in words]
            assert said[0] and (said[1] or k == 1), text
            assert k == 1 or [ways.index(found[-1]) for ways, found in zip(words, said, strict=True)] in (
                [0, 0],
                [1, 1],
                [2, 2],
            ), text  # not "4th to sixth"
        seen.add((first, last))
        if re.fullmatch(r"SELECT title(, pages)? FROM book ORDER BY pages DESC LIMIT \d+ OFFSET \d+", sql):
            wanted = ask("SELECT title FROM book ORDER BY pages DESC")[skipped : skipped + k]
            checked.add("fact")
        elif "ORDER BY SUM(p.total)" in sql and "WHERE" not in sql:
            whole = sorted(ask(TOTALS.format("SUM(p.total)")), key=lambda row: -row[1])
            wanted = whole[skipped : skipped + k]
            checked.add("total")
        else:
            continue
        assert [row[0] for row in rows] == [row[0] for row in wanted]
    assert checked == {"fact", "total"}
    assert {(2, 2), (11, 20)} <= seen and len(seen) >= 8


def test_places_avoid_ties():
    """Of the places those are asked for that no tie stands across."""
    drawer = type("Drawer", (), {"rng": random.Random(1), "chance": lambda self, share: False})()
    amounts = [9, 8, 7, 7, 7, 6, 5, 4, 4, 3]
    found = {totals._places(drawer, amounts) for _ in range(200)}
    assert found == {(2, 2), (7, 9)}  # 7 ties at 3, 4 and 5, and 6 to 10 has nobody behind
    assert (6, 10) in {totals._places(drawer, [*amounts, 2]) for _ in range(200)}
    with pytest.raises(NothingToAsk):
        totals._places(drawer, [5] * 40)


def test_a_cut_tie_is_no_training_pair(speaker):
    """The query with the row behind the last place tells of a tie, which the filters look at."""
    drawer, kinds = Drawer(speaker, random.Random(7)), set()
    for _ in range(80):
        try:
            intent = totals.places(drawer)
        except NothingToAsk:
            continue
        if intent:
            last, behind = execute(speaker.world.database, intent.probe).rows
            good = Filters().good_result(*(execute(speaker.world.database, q) for q in (intent.sql, intent.probe)))
            assert good == (last != behind)
            kinds.add(good)
    assert kinds == {True, False}


# --- months and quarters ----------------------------------------------------------------------------------------------


def test_months_and_quarters_of_a_year(speaker, drawn, ask):
    seen = set()
    for sql, rows, texts in drawn(speaker, months.by_month, 40):
        year = re.search(r"SUBSTR\((?:p\.)?bought_on, 1, 4\) = '(\d+)'", sql)[1]
        unit = "quarter" if "+ 2) / 3" in sql else "month"
        part = {"month": "STRFTIME('%Y-%m', bought_on)", "quarter": "(STRFTIME('%m', bought_on) + 2) / 3"}[unit]
        assert all(year in text and re.search(unit, text, re.I) for text in texts)
        if sql.count("=") == 1 and "COUNT(*)" in sql and " AND " not in sql and "JOIN" not in sql:
            wanted = ask(f"SELECT {part}, COUNT(*) FROM purchase WHERE bought_on LIKE ? GROUP BY 1", f"{year}-%")
            assert sorted(rows) == sorted(wanted)
            seen.add(unit)
    assert seen == {"month", "quarter"}


def test_the_best_month(speaker, drawn, ask):
    checked = 0
    for sql, rows, texts in drawn(speaker, months.best_month, 60):
        year = re.search(r"SUBSTR\((?:p\.)?bought_on, 1, 4\) = '(\d+)'", sql)[1]
        assert all(year in text for text in texts)
        if (
            re.search(r"GROUP BY SUBSTR\(bought_on, 1, 7\) ORDER BY SUM\(total\) DESC LIMIT 1$", sql)
            and " AND " not in sql
        ):
            best = ask(
                "SELECT STRFTIME('%Y-%m', bought_on), SUM(total) FROM purchase WHERE bought_on LIKE ? GROUP BY 1",
                f"{year}-%",
            )
            assert rows[0][0] == max(best, key=lambda row: row[1])[0]
            checked += 1
    assert checked


def test_a_quarter_is_three_months(speaker, ask):
    from labkit.datagen.times import dated

    found, rng = set(), random.Random(2)
    date = speaker.world.entities["purchase"].field("bought_on")
    for _ in range(300):
        condition = dated(speaker, date, rng)
        if len(condition.tests) == 3:
            values = tuple(t.value for t in condition.tests)
            found.add(values)
            said = " ".join((*condition.post, *condition.verb))
            nth = (int(values[2]) + 2) // 3
            assert values[0] in said and f"Q{nth}" in said and int(values[2]) - int(values[1]) == 2
    assert len(found) > 4


# --- rows above and below ---------------------------------------------------------------------------------------------


def test_who_is_above_and_below(speaker, drawn, ask):
    for sql, rows, texts in drawn(speaker, selves.one_above, 15):
        ((_, name),) = _compared(sql)
        column = "name" if sql.startswith("SELECT c2.name") else "wage"
        assert list(rows) == ask(f"SELECT {column} FROM clerk WHERE clerk_id = "
                                 "(SELECT boss_id FROM clerk WHERE name = ?)", name)  # fmt: skip
        assert all(name in text and "boss" in text.lower() for text in texts)
    for sql, rows, texts in drawn(speaker, selves.below, 15):
        ((_, name),) = _compared(sql)
        wanted = ask("SELECT name FROM clerk WHERE boss_id IN (SELECT clerk_id FROM clerk WHERE name = ?)", name)
        assert sorted(rows) == sorted(wanted) if "COUNT" not in sql else rows == ((len(wanted),),)
        assert all("boss" in text for text in texts)


def test_how_many_each_has_below_and_who_has_none_above(speaker, drawn, ask):
    wanted = ask("SELECT (SELECT b.name FROM clerk b WHERE b.clerk_id = c.boss_id), COUNT(*) FROM clerk c "
                 "WHERE boss_id IS NOT NULL GROUP BY 1 ORDER BY 2 DESC")  # fmt: skip
    for sql, rows, _ in drawn(speaker, selves.below_each, 12):
        assert len(rows) == 1 if "LIMIT 1" in sql else sorted(rows) == sorted(wanted)
    for sql, rows, _ in drawn(speaker, selves.nobody_above, 8):
        assert rows == (((1,),) if "COUNT" in sql else tuple(ask("SELECT name FROM clerk WHERE boss_id IS NULL")))


def test_more_than_the_one_above(speaker, drawn, ask):
    for sql, rows, texts in drawn(speaker, selves.beyond_above, 10):
        op = re.search(r"c\.wage ([<>]) c2\.wage", sql)[1]
        wanted = ask(f"SELECT name FROM clerk c WHERE wage {op} (SELECT wage FROM clerk WHERE clerk_id = c.boss_id)")
        assert sorted(rows) == sorted(wanted) if "COUNT" not in sql else rows == ((len(wanted),),)
        assert all("boss" in text for text in texts)


def test_a_column_that_says_what_one_does():
    """`reports_to` is a verb, `manager_id` a noun."""
    view = type("View", (), {"who": type("Who", (), {"person": True})()})()
    verb = selves.Above(view, Link("a", "reports_to", "a", "id"), verb="report to").theirs("Ann")
    noun = selves.Above(view, Link("a", "manager_id", "a", "id"), noun="manager").theirs("Ann")
    assert verb.verb == ("report to Ann",) and verb.post == ("who report to Ann",)
    assert noun.verb == ("have Ann as their manager",) and "whose manager is Ann" in noun.post


def test_a_link_to_the_own_table_is_found_undeclared(tmp_path):
    with sqlite3.connect(tmp_path / "crew.sqlite") as connection:
        connection.execute(
            "CREATE TABLE sailor (id INTEGER PRIMARY KEY, name TEXT UNIQUE, age INTEGER, boss_id INTEGER)"
        )
        connection.executemany(
            "INSERT INTO sailor VALUES (?, ?, ?, ?)", [(i, f"Sailor {chr(65 + i)}", i, i // 3) for i in range(9)]
        )
    connection.close()
    assert read_world(tmp_path / "crew.sqlite").links == (Link("sailor", "boss_id", "sailor", "id"),)


# --- rows without others ----------------------------------------------------------------------------------------------

WITHOUT = {
    ("book", "purchase_line"): "SELECT title FROM book b WHERE NOT EXISTS (SELECT 1 FROM purchase_line l "
    "WHERE l.book_id = b.book_id)",
    ("book", "shelf_book"): "SELECT title FROM book b WHERE NOT EXISTS (SELECT 1 FROM shelf_book l "
    "WHERE l.book_id = b.book_id)",
    ("shelf", "shelf_book"): "SELECT name FROM shelf s WHERE NOT EXISTS (SELECT 1 FROM shelf_book l "
    "WHERE l.shelf_id = s.shelf_id)",
    ("member", "purchase"): "SELECT name FROM member m WHERE NOT EXISTS (SELECT 1 FROM purchase p "
    "WHERE p.member_id = m.member_id)",
    ("member", "purchase_line"): "SELECT name FROM member m WHERE NOT EXISTS (SELECT 1 FROM purchase p "
    "JOIN purchase_line USING (purchase_id) WHERE p.member_id = m.member_id)",
}  # fmt: skip
SAID = {
    ("book", "purchase_line"): "never|nobody|not been",
    ("book", "shelf_book"): "(no|any) shelf",
    ("shelf", "shelf_book"): "(no|any) books|single book",
    ("member", "purchase"): "never|not|purchase",
    ("member", "purchase_line"): "never|not|line",
}


def test_rows_that_nothing_refers_to(speaker, drawn, ask):
    seen = set()
    for sql, rows, texts in drawn(speaker, childless.childless, 80):
        key = re.search(r"FROM (\w+)", sql)[1], re.search(r"NOT IN \(SELECT .*? FROM (\w+)", sql)[1]
        if key not in WITHOUT or sql.count("WHERE") > 1 or " AND " in sql:
            continue
        wanted = ask(WITHOUT[key])
        assert sorted(rows) == sorted(wanted) if "COUNT" not in sql else rows == ((len(wanted),),)
        assert all(re.search(SAID[key], text) for text in texts), texts
        seen.add(key)
    assert len(seen) >= 4


# --- in all -----------------------------------------------------------------------------------------------------------


def test_the_new_families_are_a_tenth_or_more_of_the_draws():
    new = sum(weight for module in MODULES for weight in module.FAMILIES.values())
    assert 0.10 < new / sum(FAMILIES.values()) < 0.15


def test_a_database_without_such_keys_has_nothing_to_ask(tmp_path):
    with sqlite3.connect(tmp_path / "plain.sqlite") as connection:
        connection.execute("CREATE TABLE star (star_id INTEGER PRIMARY KEY, name TEXT UNIQUE, mass INTEGER)")
        connection.executemany("INSERT INTO star VALUES (?, ?, ?)", [(i, f"Star {chr(65 + i)}", i) for i in range(9)])
    connection.close()
    drawer = Drawer(Speaker(read_world(tmp_path / "plain.sqlite")), random.Random(0))
    for family in (ties.tied, ties.sold, totals.total_bound, months.by_month, selves.below, childless.childless):
        with pytest.raises(NothingToAsk):
            family(drawer)


def test_generated_with_all_others(bookshop):
    pairs = generate(bookshop, 600, seed=4, wordings=1, progress=False).pairs
    drawn = {pair.tags[0] for pair in pairs}
    assert {"tied", "per_kind", "most_things", "sold", "total_bound", "places", "one_above", "childless"} <= drawn
