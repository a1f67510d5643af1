"""Generation end to end: every pair runs and says something, none is in a known set, filters count, seeds decide."""

import random
import re
import shutil
import sqlite3
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlglot

from labkit.datagen import FAMILIES, filters, generate
from labkit.datagen.coverage import coverage
from labkit.datagen.drawing import Drawer
from labkit.datagen.filters import Filters, result_fault
from labkit.datagen.focus import BY_CLASS, TAGS, draws, focus, intent_tags
from labkit.datagen.known import known_sets, of_questions
from labkit.datagen.reading import read_world
from labkit.datagen.speaker import Speaker
from labkit.dataset import Question, QuestionSet, load_questions, save_questions
from labkit.diagnosis import Diagnosis
from labkit.errors import LabkitError
from labkit.execution import ExecutionResult, execute_many
from labkit.failures import HINTS
from labkit.schema import read_schema
from labkit.sqltext import normalise_question, normalise_sql, skeleton

DATASETS = Path(__file__).parent.parent / "datasets"
LEAGUE = DATASETS / "league" / "league.sqlite"


@pytest.fixture(scope="module")
def league():
    return generate(LEAGUE, 1500, seed=1, progress=False)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A database of another trade: no declared keys, odd names, ISO dates, flags, decimal prices."""
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    rng = random.Random(4)
    connection = sqlite3.connect(path)
    connection.executescript("""
        CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT, email TEXT);
        CREATE TABLE products (product_id INTEGER PRIMARY KEY, title TEXT UNIQUE, category TEXT, price REAL);
        CREATE TABLE "order" (order_id INTEGER PRIMARY KEY, customer_id INTEGER, product_id INTEGER,
                              quantity INTEGER, ordered_on TEXT, is_gift TEXT);
    """)
    firsts, lasts = (
        ["Ann", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hal"],
        ["Ash", "Birch", "Cedar", "Dale", "Elm", "Fir", "Gale"],
    )
    names = [f"{a} {b}" for a in firsts for b in lasts][:40]
    people = [(i, n, rng.choice(("Oslo", "Bergen", "Moss")), f"c{i}@x.no") for i, n in enumerate(names, 1)]
    connection.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", people)
    goods = [
        (i, f"Lamp {chr(64 + i)}", rng.choice(("light", "decor")), round(rng.uniform(5, 90), 2)) for i in range(1, 20)
    ]
    connection.executemany("INSERT INTO products VALUES (?, ?, ?, ?)", goods)
    day = lambda: f"20{rng.randint(20, 24)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"  # noqa: E731
    orders = [
        (i, rng.randint(1, 40), rng.randint(1, 19), rng.randint(1, 9), day(), rng.choice("YN")) for i in range(1, 300)
    ]
    connection.executemany('INSERT INTO "order" VALUES (?, ?, ?, ?, ?, ?)', orders)
    connection.commit()
    connection.close()
    return path


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_every_query_runs_and_says_something(league):
    results = execute_many(LEAGUE, sorted({q.sql for q in league}))
    assert [r.error for r in results if result_fault(r)] == []


def test_as_many_as_asked_all_different(league):
    assert len(league) == 1500
    assert len({normalise_question(q.question) for q in league}) == 1500


def test_five_wordings_or_more_a_query(league):
    counts = Counter(normalise_sql(q.sql) for q in league)
    assert min(counts.values()) >= 5


def test_skeletons_many_and_none_over_two_percent(league):
    counts = Counter(skeleton(q.sql) for q in league)
    assert len(counts) >= 200
    assert max(counts.values()) / len(league) <= 0.02


def test_many_families_and_no_table_forgotten(league):
    assert len({q.tags[0] for q in league}) >= 20
    lacking = league.coverage.lacking()
    assert not [name for name in lacking if name.startswith("table")]


def test_nothing_of_a_known_set(league):
    known = known_sets(LEAGUE)
    assert len(known.sets) >= 4 and len(known.questions) > 300
    assert not {normalise_question(q.question) for q in league} & known.questions
    assert not {normalise_sql(q.sql) for q in league} & known.queries


def test_same_arguments_same_pairs_other_seed_others():
    a, b, c = (generate(LEAGUE, 100, seed=s, progress=False) for s in (7, 7, 8))
    assert a.pairs == b.pairs
    assert not {q.question for q in a} >= {q.question for q in c}


def test_generation_is_quiet_under_ci_alone(monkeypatch, capsys):
    for ci, told in (("1", ""), ("", "pairs")):
        monkeypatch.setenv("CI", ci)
        generate(LEAGUE, 20, seed=7)
        err = capsys.readouterr().err
        assert told in err and bool(err) == bool(told)


def test_no_leftovers_of_templates(league):
    for q in league:
        assert not set(q.question) & set("{}|[]\x01\x02\x03\x04\x05\x06\x0e\x0f"), q.question
        assert "  " not in q.question and " None" not in q.question


def test_pairs_save_and_load(league, tmp_path):
    path = league.save(tmp_path / "pairs.jsonl")
    assert load_questions(path).questions == league.pairs


def test_the_report_says_what_was_dropped(league):
    report = league.report
    assert report.kept == 1500 and report.drawn >= 300
    assert set(report.dropped) == set(filters.FILTERS)
    assert report.dropped[filters.EMPTY] > 0 and report.dropped[filters.DUPLICATE] > 0
    assert "league/heldout" in report.sets and "1,500 pairs" in str(report)


def test_of_a_thousand_queries_some_ten_join_two():
    """Both, either, one but not the other; what is empty does not count."""
    drawer = Drawer(Speaker(read_world(LEAGUE)), random.Random(2))
    families = drawer.rng.choices(list(FAMILIES), list(FAMILIES.values()), k=4500)
    families = [family for family in families if family.__name__ in ("two_groups", "one_list")]  # the others join none
    joined = [intent.sql for family in families for intent in draws(family, drawer, 1)]
    some = [sql for sql, r in zip(joined, execute_many(LEAGUE, joined), strict=True) if not result_fault(r)]
    kinds = Counter(word for sql in some for word in ("INTERSECT", "EXCEPT", "UNION") if f" {word} " in sql)
    assert len(kinds) == 3 and 0.005 <= kinds.total() / 4500 <= 0.03, kinds


# --- another database -------------------------------------------------------------------------------------------------


def test_a_database_without_keys_or_glossary(shop):
    made = generate(shop, 300, seed=2, progress=False)
    assert len(made) == 300
    assert any(" JOIN " in q.sql for q in made), "keys are found by inclusion"
    assert {r.error for r in execute_many(shop, [q.sql for q in made])} == {None}
    assert not [name for name in made.coverage.lacking() if name.startswith("table")]


def test_a_glossary_may_have_ranks_answered_by_name_and_number(shop):
    rule = "| say | means |\n|---|---|\n| the most, the least | name and number |\n"
    ranks = {"extreme", "top", "nth", "group_extreme", "having"}

    def ranked(glossary):
        made = generate(shop, 500, seed=2, wordings=1, progress=False, glossary=glossary)
        return [q for q in made if q.tags[0] in ranks]

    with_rule, without = ranked(rule), ranked("# nothing\n")
    assert len(with_rule) > 50 and all(len(_columns(q.sql)) > 1 for q in with_rule)
    assert any(len(_columns(q.sql)) == 1 for q in without)
    unsaid = [q for q in with_rule if not re.search(r"(?i) and |how (many|much)|with how", q.question)]
    assert len(unsaid) > len(with_rule) / 3, "the question mostly does not say so"


def _columns(sql: str) -> list:
    return sqlglot.parse_one(sql, read="sqlite").expressions


def test_excluded_columns_and_tables_never_appear(shop):
    made = generate(shop, 200, seed=2, exclude=["email", "products"], progress=False)
    assert not [q for q in made if "email" in q.sql or "products" in q.sql or "Lamp" in q.question or "@" in q.question]


def test_avoided_sets_are_avoided(shop, tmp_path):
    first = generate(shop, 100, seed=3, progress=False)
    taken = [Question(f"q{i}", q.question, q.sql, "shop") for i, q in enumerate(first)]
    path = save_questions(tmp_path / "eval.jsonl", taken)
    second = generate(shop, 100, seed=3, avoid=[path], progress=False)
    assert second.report.dropped[filters.KNOWN_QUERY] >= 10
    assert not {normalise_sql(q.sql) for q in first} & {normalise_sql(q.sql) for q in second}
    assert not {normalise_question(q.question) for q in first} & {normalise_question(q.question) for q in second}


def test_generated_pairs_are_no_evaluation_set_but_where_they_are_named(shop, tmp_path):
    shop = Path(shutil.copy(shop, tmp_path))
    path = generate(shop, 50, seed=3, progress=False).save(tmp_path / "some-pairs.jsonl")
    assert known_sets(shop).sets == ()
    (name,) = known_sets(shop, [path]).sets
    again = generate(shop, 50, seed=3, avoid=path, progress=False)
    assert name.endswith("some-pairs") and name in again.report.sets and again.report.dropped[filters.KNOWN_QUERY] >= 10
    assert not {normalise_sql(q.sql) for q in again} & {normalise_sql(q.sql) for q in load_questions(path)}


def test_sets_of_one_name_are_all_kept_out_and_a_damaged_one_is_told_of(shop, tmp_path, capfd):
    shop = Path(shutil.copy(shop, tmp_path))

    def asked(*names: str) -> QuestionSet:
        return QuestionSet("eval", tuple(Question(n, f"{n}?", f"SELECT '{n}'", "shop") for n in names))

    known = known_sets(shop, [asked("a"), asked("b"), asked("a")])
    assert known.sets == ("eval", "eval (2)") and known.questions == {"a", "b"}
    (shop.parent / "heldout.jsonl").write_text('{"id": "q1", "question": "Who?", "sql": "SELECT 1"}\n{"id": "q2", "que')
    (shop.parent / "other.jsonl").write_text('{"event": 1}\n')
    assert known_sets(shop).sets == ()
    said = capfd.readouterr().err
    assert "heldout.jsonl looks like a question set" in said and "line 2" in said and "other.jsonl" not in said


def test_a_small_database_says_that_it_gave_no_more(tmp_path):
    path = tmp_path / "tiny.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE cats (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO cats VALUES (1, 'Tom'), (2, 'Kit')"
    )
    connection.close()
    made = generate(path, 4000, progress=False)
    assert len(made) < 4000 and "gave no more" in made.report.note


def test_what_cannot_be_asked_about(tmp_path):
    path = tmp_path / "empty.sqlite"
    sqlite3.connect(path).executescript("CREATE TABLE t (x); VACUUM")
    with pytest.raises(LabkitError, match="nothing to ask about"):
        generate(path, 10, progress=False)
    with pytest.raises(LabkitError, match="no glossary"):
        generate(LEAGUE, 10, glossary=tmp_path / "none.md", progress=False)
    with pytest.raises(LabkitError, match="at least"):
        generate(LEAGUE, 0, progress=False)


# --- steering ---------------------------------------------------------------------------------------------------------


def test_a_target_draws_more_of_it(shop):
    plain = generate(shop, 600, seed=5, progress=False)
    aimed = generate(shop, 600, seed=5, target=["malformed_group", "products.price"], progress=False)
    share = lambda made: sum("GROUP BY" in q.sql for q in made) / len(made)  # noqa: E731
    price = lambda made: sum("price" in q.sql for q in made) / len(made)  # noqa: E731
    assert share(aimed) > 1.3 * share(plain) and price(aimed) > price(plain)


def test_a_target_of_the_wrong_kind():
    with pytest.raises(LabkitError, match="target must be"):
        focus("malformed_group", ["group"])


NAMES = {family.__name__ for family in FAMILIES}


def test_every_failure_class_has_families_and_every_family_a_class():
    assert set(BY_CLASS) == set(HINTS)
    listed = {name for families in BY_CLASS.values() for name in families.split()}
    assert listed <= NAMES, "a family by this name is not there"
    assert listed >= NAMES, "a new family is of some class, see BY_CLASS"
    assert [name for name, families in BY_CLASS.items() if not families] == ["suspect_gold", "other_text"]


def test_every_tag_that_is_drawn_can_be_a_target(league):
    assert {tag for pair in league for tag in pair.tags} <= TAGS | NAMES


@pytest.mark.parametrize(
    ("name", "tag", "times"), [("set", "set", 3), ("nth", "nth", 4), ("placeholder", "null", 2), ("tied", "tied", 0)]
)
def test_a_target_may_be_a_family_or_a_tag(league, name, tag, times):
    """Also one that a family gives in part; of one that the database cannot give, the draws are as many as ever."""
    share = lambda made: sum(tag in q.tags for q in made) / len(made)  # noqa: E731
    aimed = generate(LEAGUE, 80, seed=5, target=[name], wordings=1, progress=False)
    assert len(aimed) == 80 and share(aimed) >= times * max(share(league), 0.005)
    if not times:
        assert aimed.pairs == generate(LEAGUE, 80, seed=5, wordings=1, progress=False).pairs


def test_numbers_kept_as_texts_are_a_target(league):
    share = lambda made: sum("CAST(" in q.sql for q in made) / len(made)  # noqa: E731
    aimed = generate(LEAGUE, 80, seed=5, target=["text-number"], wordings=1, progress=False)
    assert share(aimed) > 1.5 * share(league)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("malformed_joins", "Did you mean malformed_join"),
        ("player", "players"),
        ("q9", "failure classes: malformed_join"),
    ],
)
def test_a_target_of_no_such_name_says_which_there_are(name, said):
    with pytest.raises(LabkitError, match=said):
        generate(LEAGUE, 20, target=[name], progress=False)


def test_tags_of_evaluation_sets_are_those_of_intents():
    tags = {tag for path in DATASETS.glob("*/heldout.jsonl") for q in load_questions(path) for tag in q.tags}
    assert {"money", "height", "text-number", "placeholder", "glossary", "hard"} <= tags
    assert intent_tags(["money", "height", "placeholder", "hard", "mine", "join"]) == ["text-format", "null", "join"]


def test_a_diagnosed_run_draws_more_of_its_classes_tags_and_tables():
    question = Question("q", "Fewest?", "SELECT MIN(a.capacity) FROM arenas AS a", "league", tags=("height", "mine"))
    other = Question("r", "Which?", "SELECT t.coach FROM teams AS t", "league", tags=("lookalike",))
    failed = [SimpleNamespace(question=q, diagnosis=Diagnosis("malformed_null")) for q in (question, other)]
    aim = focus(SimpleNamespace(failures=lambda: failed), NAMES)
    assert aim.family("childless") > aim.family("top") == 1 and aim.tags == {"text-format", "null"}
    assert aim.fields == {"arenas": 3.5, "teams": 3.5, "coach": 3.5}


def test_too_easy_pairs_are_dropped(shop):
    answered = {}

    def model(questions):
        answered.update({q.question: q.sql for q in questions if "COUNT" in q.sql})
        return [answered.get(q.question, "SELECT 1") for q in questions]

    made = generate(shop, 60, seed=6, too_easy=model, progress=False)
    assert made.report.dropped[filters.EASY] > 0
    assert not any("COUNT" in q.sql for q in made)


# --- filters alone ----------------------------------------------------------------------------------------------------


def result(*rows, error=None):
    return ExecutionResult(tuple("abc"[: len(rows[0]) if rows else 1]), tuple(rows), error, None, False, 0.0)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (result(error="no such column"), filters.DOES_NOT_RUN),
        (result(), filters.EMPTY),
        (result((None,), (None,)), filters.NULL),
        (result((0,)), filters.TRIVIAL),
        (result(*[(i,) for i in range(500)]), filters.TRIVIAL),
        (result((3,)), None),
        (result(("Ann", None)), None),
    ],
)
def test_results_that_say_nothing(given, reason):
    assert result_fault(given) == reason


def test_ties_and_idle_questions():
    f = Filters()
    assert not f.good_result(result(("Ann",)), result((5,), (5,)))
    assert not f.good_result(result(("Ann",)), result((5,)))
    assert f.good_result(result(("Ann",)), result((5,), (4,)))
    assert f.good_result(result(("Ann",)), result((5,), (5,)), ranked=False)
    assert f.dropped == {filters.TIE: 1, filters.TRIVIAL: 1}


def test_wordings_known_seen_nearly_seen_ambiguous():
    f = Filters(of_questions([Question("a", "How many cats?", "SELECT COUNT(*) FROM cats", "x")]))
    assert not f.new_query("select count( * ) from cats")
    assert f.new_query("SELECT name FROM cats") and not f.new_query("SELECT name FROM cats")
    kept = f.new_wordings(
        ["how many CATS", "Name the cats.", "name the cats", "Name cats, please", "Which cats?"],
        "SELECT name FROM cats",
    )
    assert kept == ["Name the cats.", "Which cats?"]
    assert f.new_wordings(["Which cats?", "Cats' ids?"], "SELECT id FROM cats") == ["Cats' ids?"]
    counted = {
        filters.KNOWN_QUERY: 1,
        filters.DUPLICATE_QUERY: 1,
        filters.KNOWN_QUESTION: 1,
        filters.DUPLICATE: 1,
        filters.NEAR: 1,
        filters.AMBIGUOUS: 1,
    }
    assert f.dropped == counted


def test_coverage_counts_and_lacks():
    pairs = [Question("gen-1", "How many teams?", "SELECT COUNT(*) FROM teams", "league", tags=("count",))]
    found = coverage(pairs, read_schema(LEAGUE), ["count", "group"])
    assert found.counts["table"]["teams"] == 1 and found.counts["tag"] == {"count": 1, "group": 0}
    assert {"table: players", "clause: join", "tag: group"} <= set(found.lacking())
    frame = found.to_frame()
    assert set(frame.kind) == {"table", "column", "clause", "tag"} and frame[frame.name == "teams"].share.item() == 1


def test_a_column_behind_an_alias_is_its_tables_own():
    sql = "SELECT p.name FROM players AS p JOIN teams AS t USING (team_id) JOIN arenas AS a ON t.arena_id = a.arena_id"
    counts = coverage([Question("q", "Who?", sql, "league")], read_schema(LEAGUE)).counts["column"]
    assert counts["players.name"] == counts["arenas.arena_id"] == 1 and counts["arenas.name"] == 0
    bare = coverage([Question("q", "Who?", "SELECT name FROM players", "league")], read_schema(LEAGUE)).counts["column"]
    assert bare["players.name"] == 1 and bare["arenas.name"] == 0


def test_families_that_a_database_cannot_give_are_not_lacking(shop):
    lacking = generate(shop, 100, seed=2, progress=False).coverage.lacking()
    assert not {"tag: standings", "tag: derby", "tag: career", "tag: one_above"} & set(lacking)
    assert any(name.startswith("tag: ") for name in lacking), "twenty queries are of some families only"


def test_known_sets_name_a_bad_one(tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    with pytest.raises(LabkitError, match="bad.jsonl, line 1"):
        known_sets(LEAGUE, [bad])
    assert "mine" in known_sets(LEAGUE, [QuestionSet("mine", (Question("q", "x?", "SELECT 1", "league"),))]).sets


def test_every_family_of_intents_is_there(league):
    named = {family.__name__ for family in FAMILIES}
    assert len(named) == len(FAMILIES) >= 25


def test_sets_that_runs_were_about_are_known(tmp_path):
    """The run store keeps paths of the sets it scored; one that is gone, or another kind of file, is passed over."""
    path = save_questions(tmp_path / "mine.jsonl", [Question("q", "How tall is the tallest?", "SELECT 1", "league")])

    class Store:
        def list(self):
            paths = [str(path), str(tmp_path / "gone.jsonl"), str(LEAGUE), None]
            return [type("Run", (), {"set_path": p})() for p in paths]

    assert normalise_question("How tall is the tallest?") in known_sets(LEAGUE, store=Store()).questions


def test_a_role_that_is_a_keyword_makes_no_alias(tmp_path):
    """A column `from_id` plays the role "from", which can stand in no query as it is."""
    connection = sqlite3.connect(tmp_path / "moves.sqlite")
    connection.executescript("""
        CREATE TABLE museums (museum_id TEXT PRIMARY KEY, name TEXT, city TEXT);
        CREATE TABLE transfers (transfer_id TEXT PRIMARY KEY, from_id TEXT REFERENCES museums(museum_id),
                                to_id TEXT REFERENCES museums(museum_id), days INTEGER);
    """)
    names = [f"{head}{tail}" for head in ("Oak", "Elm", "Ash", "Birch") for tail in ("ford", "ton", "wick")]
    museums = [(f"MU-{i}", name, name[:3]) for i, name in enumerate(names)]
    connection.executemany("INSERT INTO museums VALUES (?, ?, ?)", museums)
    rng = random.Random(1)
    moves = [(f"TF-{i}", f"MU-{rng.randrange(12)}", f"MU-{rng.randrange(12)}", rng.randint(5, 90)) for i in range(90)]
    connection.executemany("INSERT INTO transfers VALUES (?, ?, ?, ?)", moves)
    connection.commit()
    connection.close()
    pairs = generate(tmp_path / "moves.sqlite", 300, seed=2, wordings=1, progress=False).pairs
    assert len(pairs) > 200 and any("from_m" in pair.sql for pair in pairs)
