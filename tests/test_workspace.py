"""A workspace: what `init` finds in strange files, what `run` makes and makes only once, drift, the page."""

import dataclasses
import json
import os
import re
import runpy
import shutil
import sqlite3
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import labkit
from labkit import cli_measuring, cli_tuning, cli_workspace, workspace
from labkit.datagen.glossary import entries, read_glossary
from labkit.datagen.reading import read_world
from labkit.dataset import Question, load_questions, save_questions
from labkit.errors import LabkitError
from labkit.prompting import few_shot
from labkit.schema import read_schema
from labkit.workspace import check, drafts, drift, golds
from labkit.workspace.config import read_config

tiny_model_dir = runpy.run_path(str(Path(__file__).with_name("standin.py")))["tiny_model_dir"]
words = runpy.run_path(str(Path(__file__).with_name("workspace_job.py")))["words"]


def make(path: Path, script: str, rows: dict[str, list[tuple]] | None = None) -> Path:
    with sqlite3.connect(path) as connection:
        connection.executescript(script)
        for table, values in (rows or {}).items():
            marks = ", ".join("?" * len(values[0]))
            connection.executemany(f'INSERT INTO "{table}" VALUES ({marks})', values)
    return path


@pytest.fixture
def shop(tmp_path) -> Path:
    """Customers and their orders: money as text, a placeholder, a reference that nobody declared, names that look
    alike, a private column."""
    customers = [
        (i, f"Customer {chr(64 + i)}", ("Velden", "Oakmere")[i % 2], f"{i:03d}-SECRET", "--" if i == 3 else "A")
        for i in range(1, 25)
    ]
    orders = [(i, i % 24 + 1, f"${i * 37 % 900 + 100},000", i % 7, f"2023-{i % 12 + 1:02d}-11") for i in range(1, 90)]
    return make(
        tmp_path / "shop.sqlite",
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT, passport TEXT, grade TEXT);"
        "CREATE TABLE orders (order_id INTEGER PRIMARY KEY, customer_id INTEGER, amount TEXT, amounts INTEGER,"
        " day TEXT);"
        "CREATE TABLE notes (note TEXT); CREATE VIEW rich AS SELECT * FROM orders WHERE amounts > 5;",
        {"customers": customers, "orders": orders},
    )


@pytest.fixture
def ready(shop, tmp_path, tiny_model_dir, monkeypatch) -> Path:
    """A workspace with a tiny model and few pairs, so that a run takes seconds."""
    monkeypatch.setattr("labkit.reranking._encoder", lambda *_: words)
    folder = tmp_path / "mine"
    workspace.init(folder, shop, exclude=("passport",))
    config = folder / "workspace.toml"
    text = config.read_text().replace('"smollm2-135m"', json.dumps(str(tiny_model_dir)))
    text = (
        text.replace("pairs = 3200", "pairs = 12")
        .replace("aimed = true", "aimed = false")
        .replace("candidates = 10000", "candidates = 30")
    )
    config.write_text(text.replace("starter = true", "starter = false"))
    return folder


# --- what init finds --------------------------------------------------------------------------------------------------


def test_findings(shop):
    found = {(f.kind, f.table, f.column) for f in check.findings(read_schema(shop))}
    assert found >= {
        ("number as text", "orders", "amount"),
        ("placeholder", "customers", "grade"),
        ("undeclared reference", "orders", "customer_id"),
        ("look-alike", "orders", "amount"),
        ("empty", "notes", ""),
        ("no key", "notes", ""),
    }
    assert ("number as text", "customers", "passport") not in found and ("no key", "rich", "") not in found


def test_init_writes_what_the_loop_needs_and_nothing_private(shop, tmp_path):
    made = workspace.init(tmp_path / "mine", shop, exclude=("passport",))
    names = {path.name for path in made.folder.iterdir()}
    assert names == {"workspace.toml", "glossary.md", "schema.md", "schema.json", "draft.jsonl", "walk.ipynb"}
    drafts = load_questions(made.folder / "draft.jsonl")
    assert len(drafts) == made.drafts == 40 and all(q.tags[0] == "draft" for q in drafts)
    assert all(labkit.execute(drafts.database_path(q), q.sql).rows for q in drafts)
    assert not any("SECRET" in path.read_text() for path in made.folder.iterdir())
    assert "passport" not in (made.folder / "draft.jsonl").read_text() + (made.folder / "schema.md").read_text()
    assert read_config(made.folder).exclude == ("passport",)
    assert read_config(made.folder).explainer == read_config(made.folder).model == "smollm2-135m"
    assert "orders.amount" in str(made)


def test_the_draft_glossary_is_of_this_database_and_says_nothing_until_it_is_filled_in(tmp_path):
    parts = [(i, ("WD", "GT")[i % 2], ("A", "B", "--")[i % 3], i * 7, i * 9, f"{i}-S3CRET") for i in range(1, 40)]
    path = make(
        tmp_path / "parts.sqlite",
        "CREATE TABLE parts (id INTEGER PRIMARY KEY, kind TEXT, grade TEXT, amount INTEGER, amounts INTEGER, pin TEXT);"
        "CREATE TABLE moves (move_id INTEGER PRIMARY KEY, part_id INTEGER REFERENCES parts, qty INTEGER)",
        {"parts": parts, "moves": [(i, i % 39 + 1, i % 5) for i in range(1, 90)]},
    )
    made = workspace.init(tmp_path / "mine", path, exclude=("pin",))
    text = (made.folder / "glossary.md").read_text()
    assert list(entries(text)) == [] and "pin" not in text and "S3CRET" not in text
    rows = [line for line in text.splitlines() if line.startswith("| | ")]
    assert rows == [
        "| | `parts.kind` is GT |", "| | `parts.kind` is WD |", "| | `parts.grade` is A |", "| | `parts.grade` is B |",
        "| | `parts.grade` is -- |", "| | `parts.amount`, such as 7 |", "| | `parts.amounts`, such as 9 |",
        "| | `moves.qty`, such as 1 |",
    ]  # fmt: skip
    filled = text.replace("| | `parts.kind` is WD", "| weldment | `parts.kind` is WD")
    filled = filled.replace("| | `moves.qty`", "| pieces | `moves.qty`")
    given = {"wordings": 1, "typos": 0, "progress": False, "exclude": ("pin",)}
    plain, same, said = (
        [pair.question for pair in labkit.generate(path, 120, glossary=words, **given)]
        for words in ("\n", made.folder / "glossary.md", filled)
    )
    assert plain == same and not any("weldment" in q or "pieces" in q for q in plain)
    assert any("weldment" in q for q in said) and any("pieces" in q for q in said)


def test_every_example_of_the_draft_glossary_is_a_row_that_is_understood(tmp_path):
    """What the file shows as an example, typed in for a database that has these tables."""
    path = make(
        tmp_path / "staff.sqlite",
        "CREATE TABLE employees (id INTEGER PRIMARY KEY, name TEXT, salary INTEGER);"
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, status TEXT)",
        {"employees": [(i, f"E{i}", i * 100) for i in range(30)],
         "customers": [(i, f"C{i}", "AB"[i % 2]) for i in range(30)]},
    )  # fmt: skip
    text = (workspace.init(tmp_path / "mine", path).folder / "glossary.md").read_text()
    shown = "\n".join(line.strip() for line in text.splitlines() if line.startswith("    |"))
    assert len(list(entries(shown))) == 4
    assert read_glossary(shown, read_world(path)).not_understood == []


@pytest.mark.parametrize(
    "name, near", [("pasport", "'passport'"), ("customers.pasport", "'customers.passport'"), ("x", "TABLE.COLUMN")]
)
def test_a_name_to_exclude_that_nothing_has(shop, tmp_path, name, near):
    """A private column whose name is misspelt would be looked at, without a word."""
    with pytest.raises(LabkitError, match=f"To exclude '{name}' does nothing.*{near}"):
        workspace.init(tmp_path / "mine", shop, exclude=("grade", name))
    assert not (tmp_path / "mine").exists()


def test_a_run_refuses_such_a_name_too(ready):
    config = ready / "workspace.toml"
    config.write_text(config.read_text().replace('["passport"]', '["passport", "custmers"]'))
    with pytest.raises(LabkitError, match="'custmers' does nothing.*Did you mean 'customers'"):
        workspace.run(ready)
    assert not list(ready.glob("pairs-*"))


def own_questions(path: Path) -> Path:
    """One sound question, one with a sound alternative, and one of each kind that cannot measure."""
    sqls = {
        "sound": "SELECT count(*) FROM customers",
        "private": "SELECT passport FROM customers WHERE id = 2",
        "empty": "SELECT name FROM customers WHERE city = 'Moon'",
        "invented": "SELECT nickname FROM customers",
        "tied": "SELECT name FROM customers ORDER BY city LIMIT 3",
    }
    made = [Question(name, f"What is {name}?", sql, "shop") for name, sql in sqls.items()]
    made.append(Question("other", "How many players?", "SELECT count(*) FROM players", "league"))
    made.append(Question("two", "Where is Customer B?", "SELECT cty FROM customers", "shop", (sqls["sound"],)))
    made.append(Question("fact", "Who founded it?", answer="Nobody knows"))
    return save_questions(path, made)


def test_init_names_the_questions_that_cannot_measure(shop, tmp_path):
    made = workspace.init(tmp_path / "mine", shop, own_questions(tmp_path / "own.jsonl"), ("passport",))
    facts, moved, unfit = made.unfit
    assert facts == "1 of 8 questions of own.jsonl are facts without a query; they are left out."
    assert moved == "1 of 8 questions of own.jsonl are on league; here they are asked of shop.sqlite."
    assert unfit.startswith(
        "5 of 7 questions of own.jsonl cannot measure, and will count as not right. 'private' (line 2)"
    )
    parts = (
        "customers.passport, which is excluded by `exclude` in mine/workspace.toml",
        "'empty' (line 3): Its query finds no row",
        "'invented' (line 4): The reference fails: no such column: nickname",
        "'tied' (line 5): A LIMIT of the reference cuts",
        "'other' (line 6): The reference fails: no such table: players",
    )
    assert [part for part in parts if part not in unfit] == []
    assert all(sentence in str(made) for sentence in made.unfit) and "'two'" not in unfit
    assert [q.id for q in load_questions(made.folder / "questions.jsonl")][-2:] == ["other", "two"]
    (tmp_path / "good.jsonl").write_text((tmp_path / "own.jsonl").read_text().splitlines()[0] + "\n")
    assert workspace.init(tmp_path / "good", shop, tmp_path / "good.jsonl").unfit == ()


def test_a_set_that_can_measure_nothing_is_refused(shop, tmp_path):
    lines = own_questions(tmp_path / "own.jsonl").read_text().splitlines()
    for kept, told in (
        (lines[2:4], "No question of own.jsonl can measure. 'empty'"),
        (lines[-1:], "facts without a query"),
    ):
        (tmp_path / "own.jsonl").write_text("\n".join(kept))
        with pytest.raises(LabkitError, match=told):
            workspace.init(tmp_path / "mine", shop, tmp_path / "own.jsonl")
        assert not (tmp_path / "mine").exists()


DAMAGE = {
    "cut": (lambda data: data[: len(data) * 2 // 3 - 5], "not JSON|unknown field|no field|needed"),
    "another encoding": (lambda data: data.decode().encode("utf-16"), "not UTF-8|not JSON"),
    "wrong JSON": (lambda data: data.replace(b'"question":', b'"question"', 2), "line 1: not JSON"),
    "a list": (lambda data: b"[1]\n" + data, "line 1: a JSON object is needed"),
    "empty": (lambda data: b"", "holds no question"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_pairs_are_told_by_line_and_made_anew(shop, tmp_path, monkeypatch, kind):
    """Until the pairs are there; nothing is tuned here."""
    folder = tmp_path / "mine"
    workspace.init(folder, shop)
    config = folder / "workspace.toml"
    config.write_text(config.read_text().replace("= 3200", "= 12").replace("= 10000", "= 0"))
    monkeypatch.setattr("labkit.workspace.loop._tuned", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        workspace.run(folder, say=lambda text: None)
    (file,) = folder.glob("pairs-*.jsonl")
    whole, (damage, told) = file.read_bytes(), DAMAGE[kind]
    file.write_bytes(damage(whole))
    left = sorted(path.name for path in folder.iterdir())
    with pytest.raises(
        LabkitError, match=f"(?s)({told}).*was generated, and is damaged. Move it away: `labkit run"
    ) as end:
        workspace.run(folder, say=lambda text: None)
    assert kind == "empty" or f"{file}, line " in str(end.value)
    assert sorted(path.name for path in folder.iterdir()) == left and file.read_bytes() == damage(whole)
    file.rename(tmp_path / "aside")
    with pytest.raises(KeyboardInterrupt):
        workspace.run(folder, say=lambda text: None)
    assert file.read_bytes() == whole
    file.write_bytes(damage(whole))
    (folder / "adapter-1").mkdir()
    (folder / "adapter-1" / "adapter_config.json").write_text("{}")
    config.write_text(config.read_text().replace("candidates = 0", "candidates = 12"))
    with pytest.raises(LabkitError, match="is damaged"):
        workspace.made(folder)


@pytest.mark.parametrize("taken", ["file", "full folder"])
def test_nothing_is_overwritten(shop, tmp_path, taken):
    folder = tmp_path / "mine"
    if taken == "file":
        folder.write_text("mine")
    else:
        folder.mkdir()
        (folder / "thesis.txt").write_text("mine")
    with pytest.raises(LabkitError, match="not empty"):
        workspace.init(folder, shop)
    assert (folder if taken == "file" else folder / "thesis.txt").read_text() == "mine"


def test_a_file_that_holds_nothing_leaves_no_folder(tmp_path):
    empty = make(tmp_path / "empty.sqlite", "CREATE TABLE a (b TEXT)")
    (tmp_path / "text.sqlite").write_text("no database")
    for path, told in ((empty, "nothing to ask|no table"), (tmp_path / "text.sqlite", "database")):
        with pytest.raises(LabkitError, match=told):
            workspace.init(tmp_path / "mine", path)
        assert not (tmp_path / "mine").exists()


def magic(path: Path) -> Path:
    """Items that are a key, a name and a JSON text, as document stores are exported; one text is a placeholder."""
    kinds, rows = ("ring", "wand", "rod"), []
    for i in range(60):
        item = {
            "name": f"Item {i}",
            "rarity class": kinds[i % 3],
            "level": i % 9,
            "tags": ["a", "b"],
            "cost": {"gp": i},
        }
        rows.append((f"item-{i}", f"The {kinds[i % 3]} of {chr(65 + i % 26)}{i}", json.dumps(item), '["x", "y"]'))
    rows.append(("item-60", "Nothing", "", "[]"))
    script = 'CREATE TABLE items ("index" TEXT PRIMARY KEY, name TEXT, data TEXT NOT NULL, tags TEXT);'
    return make(path, script + "CREATE VIEW named AS SELECT name, data FROM items;", {"items": rows})


def test_columns_of_json_text_are_found_with_their_keys(tmp_path):
    schema = read_schema(magic(tmp_path / "magic.sqlite"))
    columns = {c.name: c for c in schema.table("items").columns}
    assert [name for name, c in columns.items() if c.json] == ["data", "tags"]
    assert columns["data"].json_keys == ("name", "rarity class", "level") and columns["tags"].json_keys == ()
    texts = {(f.table, f.column): f.text for f in check.findings(schema) if f.kind == "JSON"}
    assert texts["items", "tags"] == "Its values are JSON text: left out of questions."
    assert """json_extract(data, '$."rarity class"'), NULL) reads one; to have""" in texts["items", "data"]
    assert "ALTER" not in texts["named", "data"]


def test_no_question_names_a_row_by_its_json_and_a_key_can_become_a_column(tmp_path):
    path = magic(tmp_path / "magic.sqlite")
    pairs = labkit.generate(path, 60, progress=False).pairs
    assert pairs and not any("{" in pair.question or "data" in pair.sql or "tags" in pair.sql for pair in pairs)
    (finding,) = [f for f in check.findings(read_schema(path)) if f.kind == "JSON" and "ALTER" in f.text]
    with sqlite3.connect(path) as connection:
        connection.execute(finding.text[finding.text.index("ALTER") :])
    assert any('"rarity class" = ' in pair.sql for pair in labkit.generate(path, 200, progress=False).pairs)


def test_what_only_looks_like_json_is_text(tmp_path):
    rows = [(i, f"[{chr(97 + i)}] note", '{"a": 1}' if i else "{a") for i in range(20)]
    path = make(tmp_path / "n.sqlite", "CREATE TABLE n (id INTEGER, note TEXT, mixed TEXT)", {"n": rows})
    assert not any(c.json for c in read_schema(path).table("n").columns)


STRANGE = {
    "no keys declared": (
        "CREATE TABLE people (name TEXT, age INTEGER)",
        {"people": [(f"P{i} Quill", i % 60) for i in range(80)]},
    ),
    "reserved words": (
        'CREATE TABLE "order" ("group" INTEGER PRIMARY KEY, "select" TEXT, "from" INTEGER)',
        {"order": [(i, f"kind {i % 4}", i * 3) for i in range(60)]},
    ),
    "unicode and quotes": (
        'CREATE TABLE "Größe ""x""" ("Öl menge" INTEGER, "名前" TEXT UNIQUE)',
        {'Größe ""x""': [(i, f"名 {i}") for i in range(50)]},
    ),
    "without rowid": (
        "CREATE TABLE t (code TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID",
        {"t": [(f"c{i}", i) for i in range(50)]},
    ),
    "generated columns": (
        "CREATE TABLE box (name TEXT PRIMARY KEY, w INTEGER, h INTEGER, area INTEGER GENERATED ALWAYS AS (w * h));"
        "INSERT INTO box (name, w, h) VALUES ('a', 1, 2), ('b', 3, 4), ('c', 5, 6), ('d', 7, 8)",
        None,
    ),
    "views over tables": (
        "CREATE TABLE t (name TEXT PRIMARY KEY, n INTEGER); CREATE VIEW v AS SELECT name FROM t WHERE n > 5",
        {"t": [(f"n{i}", i) for i in range(40)]},
    ),
    "blobs": (
        "CREATE TABLE pic (name TEXT PRIMARY KEY, data BLOB, size INTEGER)",
        {"pic": [(f"p{i}", bytes([i, 255]), i) for i in range(40)]},
    ),
    "several date shapes": (
        "CREATE TABLE trip (name TEXT PRIMARY KEY, gone TEXT, back TEXT, paid TEXT)",
        {
            "trip": [
                (f"t{i}", f"2021-0{i % 9 + 1}-15", f"{i % 9 + 10}/03/2022", f"Mar 20{i % 9 + 10}") for i in range(40)
            ]
        },
    ),
    "two hundred tables": (
        "".join(f"CREATE TABLE t{i} (id INTEGER PRIMARY KEY, name TEXT, n{i} INTEGER);" for i in range(200))
        + "".join(f"INSERT INTO t{i} VALUES (1, 'a', 5), (2, 'b', 6), (3, 'c', 7);" for i in range(200)),
        None,
    ),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_files_make_a_workspace(name, tmp_path):
    script, rows = STRANGE[name]
    path = make(tmp_path / "strange.sqlite", script, rows)
    made = workspace.init(tmp_path / "mine", path)
    drafts = load_questions(made.folder / "draft.jsonl")
    assert len(drafts) >= 3 and all(labkit.execute(path, q.sql).ok for q in drafts)
    assert (made.folder / "schema.md").read_text()


def test_a_database_on_read_only_media(shop, tmp_path, on_read_only_media):
    (tmp_path / "media").mkdir()
    shutil.copy(shop, tmp_path / "media" / "shop.sqlite")
    program = "import os, sys; from labkit import workspace; "
    program += f"made = workspace.init({str(tmp_path / 'mine')!r}, sys.argv[1] + '/shop.sqlite'); "
    said = on_read_only_media(tmp_path / "media", program + "print(made.drafts, os.listdir(sys.argv[1]))")
    assert said in (None, "40 ['shop.sqlite']\n")


def test_a_database_in_wal_mode_and_one_that_cannot_be_written_to(shop, tmp_path):
    with sqlite3.connect(shop) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("UPDATE customers SET city = 'Ironvale' WHERE id = 1")
    assert workspace.init(tmp_path / "wal", shop).drafts == 40
    plain = tmp_path / "media" / "shop.sqlite"
    plain.parent.mkdir()
    with sqlite3.connect(shop) as connection, sqlite3.connect(plain) as copy:
        connection.backup(copy)
        copy.execute("PRAGMA journal_mode = delete")
    plain.chmod(0o444)
    plain.parent.chmod(0o555)
    try:
        assert workspace.init(tmp_path / "media-space", plain).drafts == 40
        assert list(plain.parent.iterdir()) == [plain]
    finally:
        plain.parent.chmod(0o755)


@pytest.mark.alone
@pytest.mark.slow
def test_ten_million_rows_take_seconds(tmp_path):
    import time

    path = tmp_path / "big.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE hit (id INTEGER PRIMARY KEY, page TEXT, ms INTEGER)")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000000) "
            "INSERT INTO hit SELECT i, 'page ' || (i % 50), i % 997 FROM n"
        )
    begun = time.monotonic()
    check.findings(read_schema(path))
    assert time.monotonic() - begun < 30


def test_a_table_of_which_no_row_can_be_read_is_told(shop, tmp_path):
    """Its root page is turned to nonsense, the other tables are whole."""
    with sqlite3.connect(shop) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'customers'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    data = bytearray(shop.read_bytes())
    data[(page - 1) * size : page * size] = bytes(range(256)) * (size // 256)
    shop.write_bytes(data)
    made = workspace.init(tmp_path / "mine", shop)
    assert [f.table for f in made.findings if f.kind == "unreadable"] == ["customers"]
    assert "customers" not in {word for q in load_questions(made.folder / "draft.jsonl") for word in q.sql.split()}
    with pytest.raises(LabkitError, match="nothing to ask about. customers cannot be read: the file may be damaged"):
        labkit.generate(shop, 5, exclude=["orders", "notes"], progress=False)


# --- the config -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, told",
    [
        ("pears = 3", "did you mean 'pairs'"),
        ("pairs = 0", "pairs = 0"),
        ('rate = "fast"', "rate = 'fast'"),
        ("questions = [1]", "questions"),
        ("seed = ", "cannot be read"),
        ("starter = 1", "starter"),
        ("four_bit = 4", "four_bit = 4"),
        ("batch = 0", "batch = 0"),
    ],
)
def test_a_config_that_means_nothing(tmp_path, line, told):
    (tmp_path / "workspace.toml").write_text(f'database = "a.sqlite"\n{line}\n')
    with pytest.raises(LabkitError, match=told):
        read_config(tmp_path)


def test_no_workspace_and_no_database(tmp_path):
    with pytest.raises(LabkitError, match="labkit init"):
        read_config(tmp_path)
    (tmp_path / "workspace.toml").write_text("pairs = 3\n")
    with pytest.raises(LabkitError, match="names no database"):
        read_config(tmp_path)


# --- the loop ---------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Open tags must close, and nothing may be loaded."""

    def __init__(self):
        super().__init__()
        self.open, self.loaded = [], []

    def handle_starttag(self, tag, attrs):
        self.loaded += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_whole_loop_and_nothing_twice(ready):
    said = []
    first = workspace.run(ready, say=said.append)
    assert [rung.name for rung in first.ladders[0].rungs] == ["prompt", "tuned", "tuned, reranked"]
    assert first.ladders[0].rungs[-1].run.n == 40 and first.pairs == 12
    pairs = load_questions(next(ready.glob("pairs-12-*.jsonl")))
    drafts = load_questions(ready / "draft.jsonl")
    assert not {p.sql for p in pairs} & {d.sql for d in drafts} and "passport" not in str(list(pairs))
    assert any("Generating" in text for text in said) and any("Tuning" in text for text in said)
    again = []
    second = workspace.run(ready, say=again.append)
    assert second.to_json() == first.to_json() and not any("Tuning" in text or "Generating" in text for text in again)
    page = first.report.read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.open == [] and tags.loaded == [] and "http" not in page.replace("http-equiv", "")
    assert not any("SECRET" in path.read_text("utf-8", "ignore") for path in ready.rglob("*") if path.is_file())
    assert str(first.ladders[0].rungs[-1].run) in page and "number as text" in page and "draft" in page
    assert "What fails in draft (tuned, reranked)" in page and page.count("<div class=wide><table>") > 4
    assert "No question was made of <code>passport</code>, no prompt shows it and no query may read it" in page
    shown = page.partition("<h2>What fails")[2].partition("<h2>What it was tuned on")[0]
    assert "<code>" in shown and "`" not in shown


def test_the_loop_tunes_by_as_many_pairs_a_step_as_are_decided(ready):
    config = ready / "workspace.toml"
    text = config.read_text()
    assert read_config(ready).batch == 4
    first = workspace.tuned(ready, say=lambda text: None)
    config.write_text(text.replace("batch = 4  ", "batch = 1  "))
    other = workspace.tuned(ready, say=lambda text: None)
    config.write_text(text.replace("batch = 4  ", "# none  "))
    assert workspace.tuned(ready, say=lambda text: None) == first != other
    sizes = [json.loads((folder / "card.json").read_text())["recipe"]["batch_size"] for folder in (first, other)]
    assert sizes == [4, 1]


def test_the_loop_tunes_and_asks_in_four_bits_and_keeps_both_apart(ready, monkeypatch):
    config = ready / "workspace.toml"
    save_questions(ready / "few.jsonl", load_questions(ready / "draft.jsonl")[:2])
    text = config.read_text().replace("candidates = 30", "candidates = 0")
    text = text.replace('["questions.jsonl", "draft.jsonl"]', '["few.jsonl"]')
    four = text.replace("four_bit = false", "four_bit = true")
    assert four != text
    outcomes = []
    for written in (text, four, text):
        config.write_text(written)
        outcomes.append(workspace.run(ready, say=lambda text: None))
        assert workspace.made(ready)[2] == outcomes[-1].adapter  # of the two the one that was tuned as is decided now
    plain, quantized, again = outcomes
    assert again.to_json() == plain.to_json() and quantized.adapter != plain.adapter
    assert (plain.card["made"]["four_bit"], quantized.card["made"]["four_bit"]) == (False, True)
    for outcome in (plain, quantized):
        assert {rung.run.four_bit for rung in outcome.ladders[0].rungs} == {outcome is quantized}
    assert not {rung.run.id for rung in plain.ladders[0].rungs} & {rung.run.id for rung in quantized.ladders[0].rungs}
    config.write_text(four)
    assert " in 4 bits, tuned on" in workspace.run(ready, say=lambda text: None).report.read_text()
    asked = []

    def stop(*given):
        asked.append(given[-1])
        raise LabkitError("enough")

    monkeypatch.setattr(cli_workspace, "chat_model", stop)
    with pytest.raises(LabkitError, match="enough"):
        cli_workspace.serve(ready)
    assert asked == [True]


def test_a_loop_in_four_bits_says_at_once_that_bitsandbytes_is_missing(ready, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    config = ready / "workspace.toml"
    config.write_text(config.read_text().replace("four_bit = false", "four_bit = true"))
    with pytest.raises(LabkitError, match="4-bit weights take the package bitsandbytes: pip install"):
        workspace.run(ready, say=lambda text: None)
    assert not list(ready.glob("pairs-*"))


def test_own_questions_measure_and_never_train(ready, shop):
    own = [Question("mine-1", "How many orders are there?", "SELECT COUNT(*) FROM orders", str(shop), tags=("mine",))]
    save_questions(ready / "questions.jsonl", own)
    outcome = workspace.run(ready, say=lambda text: None)
    assert [one.set for one in outcome.ladders] == ["questions", "draft"]
    for file in ready.glob("pairs-*.jsonl"):
        assert "SELECT COUNT(*) FROM orders" not in {pair.sql for pair in load_questions(file)}


def test_retrieval_reads_the_workspaces_own_glossary(ready, shop, monkeypatch):
    (ready / "glossary.md").write_text("customer: whoever buys, MINE\ncard: a customer's `customers.passport`\n")
    (shop.parent / "glossary.md").write_text("customer: whoever buys, BESIDE\n")
    config = ready / "workspace.toml"
    config.write_text(config.read_text().replace('rungs = ["prompt"]', 'rungs = ["retrieval-bm25"]'))
    asked = Question("mine-1", "Which customer's card is it?", "SELECT count(*) FROM customers", str(shop))
    save_questions(ready / "questions.jsonl", [asked])
    shown = []
    monkeypatch.setattr("labkit.rungs.few_shot", lambda *given: shown.append(given[1]) or few_shot(*given))
    outcome = workspace.run(ready, say=lambda text: None)
    assert outcome.ladders[0].rungs[0].name == "retrieval-bm25"
    assert any("customer: whoever buys, MINE" in text for text in shown)
    assert not any("BESIDE" in text or "card" in text for text in shown)


def test_commands_about_a_set_of_a_workspace_take_its_glossary(ready, tmp_path, monkeypatch):
    taken = []

    def take(*_, glossary=None, **__):
        taken.append(glossary)
        raise LabkitError("enough")

    monkeypatch.setattr(labkit, "ladder", take)
    monkeypatch.setattr(cli_measuring, "chat_model", lambda *_: None)
    monkeypatch.setattr(cli_measuring, "ranked", lambda *given: take(glossary=given[-1]))
    shutil.copy(ready / "draft.jsonl", tmp_path / "draft.jsonl")
    for path in (ready / "draft.jsonl", tmp_path / "draft.jsonl"):
        with pytest.raises(LabkitError, match="enough"):
            cli_tuning.ladder(path, db_dir=tmp_path)
        with pytest.raises(LabkitError, match="enough"):
            cli_measuring.evaluate(path, candidates=path, db_dir=tmp_path)
    assert taken == [ready / "glossary.md"] * 2 + [None] * 2


def test_killed_at_any_moment_it_goes_on(ready, tmp_path):
    """Killed while it tunes; the same command ends with what an unbroken run gives."""
    whole = tmp_path / "whole"
    shutil.copytree(ready, whole)
    wanted = workspace.run(whole, say=lambda text: None)
    code = (
        "import sys, runpy, labkit.reranking as r; sys.path.insert(0, sys.argv[2])\n"
        "import os, labkit.tuning.train as t\n"
        "from labkit import workspace\n"
        "def die(text):\n    print(text, flush=True)\n    if 'Measuring' in text: os.kill(os.getpid(), 9)\n"
        "workspace.run(sys.argv[1], say=die)"
    )
    died = subprocess.run(
        [sys.executable, "-c", code, str(ready), str(Path.cwd())], capture_output=True, env=dict(os.environ)
    )
    assert died.returncode == -9, died.stderr.decode()[-800:]
    said = []
    outcome = workspace.run(ready, say=said.append)
    assert not any("Tuning" in text for text in said)
    assert [r.run.correct for r in outcome.ladders[0].rungs] == [r.run.correct for r in wanted.ladders[0].rungs]


def checked_pairs(ready, shop, text):
    """One pair that somebody has checked."""
    sql = "SELECT name FROM customers WHERE city = 'Oakmere' AND grade = 'A'"
    save_questions(ready / "known.jsonl", [Question("k1", text, sql, str(shop))])
    config = ready / "workspace.toml"
    config.write_text(config.read_text().replace('known = ""', 'known = "known.jsonl"'))
    return sql


def stand_in_encoder(monkeypatch, cut=False):
    """Instead of tuning one: its folder appears; `cut`: without its last file."""
    calls = []

    def tune(pairs, folder, **given):
        calls.append(pairs)
        folder.mkdir(exist_ok=True)
        if cut:
            raise KeyboardInterrupt
        (folder / "encoder.json").write_text(json.dumps({"base": "words", "sha256": "ab" * 32}))

    monkeypatch.setattr("labkit.tuning.contrastive.tune_encoder", tune)
    return calls


def test_the_loop_ranks_by_a_tuned_encoder_and_trusts_checked_pairs(ready, shop, monkeypatch):
    sql = checked_pairs(ready, shop, "Which good customers live in Oakmere?")
    config = ready / "workspace.toml"
    config.write_text(config.read_text().replace("encoder = false", "encoder = true"))
    stand_in_encoder(monkeypatch, cut=True)
    with pytest.raises(KeyboardInterrupt):
        workspace.run(ready, say=lambda text: None)
    assert workspace.ranking(ready) == workspace.Ranking(
        ready / "known.jsonl", None, None, False, ready / "glossary.md"
    )
    calls, said = stand_in_encoder(monkeypatch), []
    outcome = workspace.run(ready, say=said.append)
    assert not any("Tuning " + outcome.config.model in text or "Generating" in text for text in said)
    queries = [pair.sql for pair in calls[0]]
    assert len(queries) > len(set(queries)) and max(map(queries.count, queries)) <= 4
    (encoder,) = ready.glob("encoder-*")
    assert workspace.ranking(ready).encoder == encoder
    ranked = outcome.ladders[0].rungs[-1].run
    page = outcome.report.read_text()
    assert (
        f"30 generated ones and 1 that people have checked, found by an encoder tuned on this database ({encoder.name})"
        in page
    )
    assert "encoder abababababab, 1 known" in json.dumps(dataclasses.asdict(ranked), default=str)
    assert workspace.run(ready, say=lambda text: None).to_json() == outcome.to_json() and len(calls) == 1
    assert sql not in {pair.sql for pair in load_questions(next(ready.glob("pairs-12-*.jsonl")))}


def test_the_loop_weighs_by_a_channel_and_draws_for_each_question(ready, tiny_model_dir):
    """A real tuning of the stand-in: a channel on the adapter's pairs, made once, and served afterwards."""
    config = ready / "workspace.toml"
    save_questions(ready / "few.jsonl", load_questions(ready / "draft.jsonl")[:2])
    text = config.read_text().replace("channel = false", "channel = true").replace("aimed = false", "aimed = true")
    assert f"explainer = {json.dumps(str(tiny_model_dir))}" in text  # its own line, as the model's
    config.write_text(text.replace('["questions.jsonl", "draft.jsonl"]', '["few.jsonl"]'))
    said = []
    outcome = workspace.run(ready, say=said.append)
    (channel,) = ready.glob("channel-*")
    assert workspace.ranking(ready) == workspace.Ranking(None, None, channel, True, ready / "glossary.md")
    page = outcome.report.read_text()
    assert json.loads((channel / "card.json").read_text())["base"] == read_config(ready).explainer
    assert f"weighed by what a model says that they ask ({channel.name}); others drawn for each question" in page
    ranked = json.dumps(dataclasses.asdict(outcome.ladders[0].rungs[-1].run), default=str)
    assert "channel " in ranked and ", aimed" in ranked
    assert workspace.run(ready, say=lambda text: None).to_json() == outcome.to_json()
    assert sum("queries ask" in text for text in said) == 1


def test_what_ranks_must_not_measure_and_must_be_there(ready, shop):
    drafts = load_questions(ready / "draft.jsonl")
    checked_pairs(ready, shop, drafts[3].question.upper())
    with pytest.raises(LabkitError, match="1 questions of known.jsonl are also in draft"):
        workspace.run(ready, say=lambda text: None)
    (ready / "known.jsonl").unlink()
    assert workspace.ranking(ready) == workspace.Ranking(None, None, None, False, ready / "glossary.md")
    config = ready / "workspace.toml"
    text = config.read_text().replace("candidates = 30", "candidates = 0").replace("encoder = false", "encoder = true")
    config.write_text(text.replace('known = "known.jsonl"', 'known = ""'))
    with pytest.raises(LabkitError, match="encoder = true in .* there are none"):
        workspace.run(ready, say=lambda text: None)


def test_a_set_about_another_file_is_refused(ready, shop):
    """Its questions were asked and no pair was a candidate for them: the ranking did nothing, without a word."""
    shutil.copy(shop, shop.with_name("copy.sqlite"))
    drafts = list(load_questions(ready / "draft.jsonl"))
    drafts[3] = dataclasses.replace(drafts[3], database=str(shop.with_name("copy.sqlite")))
    save_questions(ready / "draft.jsonl", drafts)
    with pytest.raises(LabkitError, match=r"1 of 40 questions of draft are about another file, .*copy\.sqlite, and"):
        workspace.run(ready, say=lambda text: None)


def test_drafts_that_no_longer_fit_are_drawn_anew(ready, shop):
    """They stayed as gold errors; what a person accepted stays where it still runs, and is named where not."""
    drafts = list(load_questions(ready / "draft.jsonl"))
    lost, still = (
        next(i for i, q in enumerate(drafts) if ("day" in q.sql) == asks and ("day" in q.question) <= asks)
        for asks in (True, False)
    )
    for i in (lost, still):
        drafts[i] = dataclasses.replace(drafts[i], tags=("accepted", *drafts[i].tags[1:]))
    save_questions(ready / "draft.jsonl", drafts)
    before = (ready / "draft.jsonl").read_bytes()
    with sqlite3.connect(shop) as connection:
        connection.execute("ALTER TABLE orders RENAME COLUMN day TO placed_on")
    said = []
    outcome = workspace.run(ready, regenerate=True, say=said.append)
    (aside,) = ready.glob("before-*")
    assert (aside / "draft.jsonl").read_bytes() == before
    anew = load_questions(ready / "draft.jsonl")
    assert anew[0] == dataclasses.replace(drafts[still], line=1) and len(anew) == 40 == len({q.id for q in anew})
    assert all(q.tags[0] == "draft" for q in anew[1:]) and any("placed_on" in q.sql for q in anew)
    assert golds.troubles(anew) == {} and "passport" not in str(list(anew))
    (told,) = [text for text in said if "drawn anew" in text]
    assert "39 drafts beside 1 that you accepted" in told and f"'{drafts[lost].id}' (line {lost + 1}): " in told
    assert not any("cannot measure" in text for text in said) and outcome.ladders[0].rungs[0].run.n == 40
    assert not {q.question for q in anew} & {q.question for q in load_questions(next(ready.glob("pairs-12-*.jsonl")))}


def test_drafts_are_drawn_anew_only_where_that_is_asked_for_and_needed(ready, shop, monkeypatch):
    monkeypatch.setattr("labkit.workspace.loop._pairs", lambda *_: (_ for _ in ()).throw(LabkitError("enough")))

    def told(regenerate=True) -> str:
        said = []
        with pytest.raises(LabkitError, match="enough"):
            workspace.run(ready, regenerate, said.append)
        return " ".join(said)

    file = ready / "draft.jsonl"
    first = file.read_bytes()
    assert told() == "The schema is the same, and the drafts fit it." and not list(ready.glob("before-*"))
    file.unlink()
    config = ready / "workspace.toml"
    save_questions(
        ready / "questions.jsonl", [Question("own", "How many customers?", "SELECT count(*) FROM customers", str(shop))]
    )
    assert "drawn" not in told(regenerate=False) and not file.exists()
    assert "40 drafts." in told() and not list(ready.glob("before-*"))
    file.write_bytes(first)
    config.write_text(config.read_text().replace('exclude = ["passport"]', 'exclude = ["passport", "city"]'))
    assert b"city" in first and "cannot measure" in told(regenerate=False) and file.read_bytes() == first
    assert "drawn anew: 40 drafts." in told() and b"city" not in file.read_bytes() and "same" in told()
    config.write_text(config.read_text().replace(', "draft.jsonl"]', "]"))
    file.write_bytes(first)
    assert "fit it" in told() and file.read_bytes() == first  # no set that measures


def test_drift_is_told_and_nothing_is_mixed(ready, shop):
    workspace.run(ready, say=lambda text: None)
    old = next(ready.glob("pairs-12-*.jsonl"))
    with sqlite3.connect(shop) as connection:
        connection.execute("ALTER TABLE orders RENAME COLUMN day TO placed_on")
    with pytest.raises(LabkitError, match=r"orders: column day is gone, column placed_on is new.*--regenerate"):
        workspace.run(ready, say=lambda text: None)
    assert old.is_file()
    save_questions(ready / "draft.jsonl", [q for q in load_questions(ready / "draft.jsonl") if "day" not in q.sql])
    workspace.run(ready, regenerate=True, say=lambda text: None)
    (aside,) = ready.glob("before-*")
    assert (aside / old.name).is_file() and not any(
        "day" in p.sql for p in load_questions(next(ready.glob("pairs-12-*.jsonl")))
    )


def test_serving_says_that_the_schema_has_drifted(ready, shop, monkeypatch, capsys):
    monkeypatch.setattr(workspace, "made", lambda folder: (shop, "model", Path("adapter"), None))
    monkeypatch.setattr(cli_workspace, "chat_model", lambda *_: (_ for _ in ()).throw(LabkitError("enough")))
    assert workspace.stale(ready) == ""
    with sqlite3.connect(shop) as connection:
        connection.execute("ALTER TABLE orders RENAME COLUMN day TO date")
    with pytest.raises(LabkitError, match="enough"):
        cli_workspace.serve(ready)
    told = capsys.readouterr().err
    assert "tuned for (orders: column day is gone, column date is new" in told and "--regenerate" in told
    (ready / "schema.json").unlink()  # of an old workspace: it is not known
    assert workspace.stale(ready) == ""


def test_an_adapter_that_lacks_its_last_file_is_none(ready):
    """Killed between two files of an adapter, a run once found its card and took it for finished."""
    first = workspace.run(ready, say=lambda text: None)
    (first.adapter / "adapter_config.json").unlink()
    with pytest.raises(LabkitError, match="no adapter yet"):
        workspace.made(ready)
    said = []
    again = workspace.run(ready, say=said.append)
    assert any("Tuning" in text for text in said) and again.adapter == first.adapter
    assert (again.adapter / "adapter_config.json").is_file() and workspace.made(ready)[2] == first.adapter


def test_a_second_change_on_the_same_day_keeps_what_the_first_put_aside(ready, shop):
    workspace.run(ready, say=lambda text: None)
    for column in ("day", "grade"):
        table = "orders" if column == "day" else "customers"
        with sqlite3.connect(shop) as connection:
            connection.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO {column}_2")
        kept = [q for q in load_questions(ready / "draft.jsonl") if column not in q.sql]
        save_questions(ready / "draft.jsonl", kept)
        workspace.run(ready, regenerate=True, say=lambda text: None)
    assert [len(list(folder.glob("pairs-12-*.jsonl"))) for folder in sorted(ready.glob("before-*"))] == [1, 1]


def test_a_schema_that_is_not_kept_is_kept_from_now_on(ready, shop):
    (ready / "schema.json").unlink()
    workspace.run(ready, say=lambda text: None)
    assert json.loads((ready / "schema.json").read_text())["notes"] == {"note": "TEXT"}
    make(shop, "ALTER TABLE notes ADD COLUMN day TEXT")
    with pytest.raises(LabkitError, match="column day is new"):
        workspace.run(ready)


def test_drift_in_words():
    before = {"a": {"x": "TEXT", "y": "INT"}, "b": {"z": ""}}
    now = {"a": {"x": "INT", "w": "INT"}, "c": {"z": ""}}
    assert drift.changes(before, now) == {
        "a": ["column y is gone", "column w is new", "x is INT, was TEXT"], "b": ["is gone"], "c": ["is new"]
    }  # fmt: skip
    assert drift.changes(before, before) == {}


def test_the_notebook_is_valid(shop, tmp_path):
    import nbformat

    made = workspace.init(tmp_path / "mine", shop)
    book = nbformat.read(made.folder / "walk.ipynb", 4)
    nbformat.validate(book)
    assert book.cells[0].cell_type == "markdown"


def test_the_notebook_walks_the_loop(ready, monkeypatch):
    """Every cell runs, after a person has accepted two drafts, rejected all others but two, and looked at the rest."""
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    config = ready / "workspace.toml"
    text = config.read_text().replace("candidates = 30", "candidates = 0")
    config.write_text(text.replace('rungs = ["prompt"]', "rungs = []"))
    book = nbformat.read(ready / "walk.ipynb", 4)
    (place,) = [i for i, cell in enumerate(book.cells) if "workspace.decide(" in cell.source]
    hand = (
        "for i, draft in enumerate(explorer.pairs[:-2]): explorer.decide(draft.id, 'rejected' if i > 1 else 'accepted')"
    )
    book.cells.insert(place, nbformat.v4.new_code_cell(hand))
    first = load_questions(ready / "draft.jsonl")
    NotebookClient(book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ready)}}).execute()
    kept = load_questions(ready / "draft.jsonl")
    assert [q.id for q in kept] == [q.id for q in (*first.questions[:2], *first.questions[-2:])]
    assert ["draft" in q.tags for q in kept] == [False, False, True, True]
    assert len(load_questions(ready / "draft-rejected.jsonl")) == 36
    told = ["".join(o.get("text", "") for o in cell.get("outputs", [])) for cell in book.cells]
    assert any("holds 4 questions: 2 that you accepted, 2 still drafts. 36 that you rejected" in text for text in told)
    assert any(re.search(r"draft: 0\.00 .* n=4 .*; \d of 4 queries run", text) for text in told)
    shown = [o.get("data", {}) for cell in book.cells for o in cell.get("outputs", [])]
    assert sum("application/vnd.jupyter.widget-view+json" in data for data in shown) == 2  # drafts, failures
    assert len(labkit.RunStore(ready / "runs.db").list()) == 1  # the loop takes over what the cell evaluated
    assert (ready / "report.html").is_file() and "SECRET" not in json.dumps(book)


def test_decisions_about_drafts_are_written_once_and_nothing_is_lost(ready, shop):
    first = list(load_questions(ready / "draft.jsonl"))
    whole = (ready / "draft.jsonl").read_bytes()
    workspace.decide(ready, {})
    assert (ready / "draft.jsonl").read_bytes() == whole
    decisions = {first[0].id: "accepted", first[1].id: "rejected", "other": "rejected"}
    for told in ("1 that you accepted, 38 still drafts. 1 that you rejected", "1 that you accepted, 38 still drafts."):
        assert told in workspace.decide(ready, decisions)
    assert [q.id for q in load_questions(ready / "draft-rejected.jsonl")] == [first[1].id]
    workspace.decide(ready, {q.id: "rejected" for q in first})
    assert not (ready / "draft.jsonl").exists() and len(load_questions(ready / "draft-rejected.jsonl")) == 40
    drafts.anew(read_config(ready), ready / "aside")
    assert not {q.sql for q in load_questions(ready / "draft.jsonl")} & {q.sql for q in first}
