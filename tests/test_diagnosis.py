"""Diagnosis: hand-written wrong queries against the class that a person gave them; evidence, suggestions, slices."""

import json
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from labkit.canonical import canonical, sql_of
from labkit.clauses import applied, clauses_of, whole_clauses
from labkit.dataset import Question, load_questions
from labkit.diagnosis import diagnose, diagnose_many, diagnose_run
from labkit.errors import LabkitError
from labkit.evaluation import evaluate, wilson
from labkit.failures import HINTS, invalid_class, looks_like_query
from labkit.schema import read_schema
from labkit.scoring import Pair, score, score_many
from labkit.sqltext import parse

ROOT = Path(__file__).parent.parent
SETS = sorted(p for name in ("league", "clinic") for p in (ROOT / "datasets" / name).glob("*.jsonl"))
SETS = [path for path in SETS if path.stem != "trained"]  # its queries are those of paraphrase
WRONG = [json.loads(line) for line in (ROOT / "tests" / "wrong_queries.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def schemas():
    return {name: read_schema(ROOT / "datasets" / name / f"{name}.sqlite") for name in ("league", "clinic")}


def _diagnose(schemas, gold: str, prediction: str, database="league", mode="execution", **more):
    question = Question("q", "Which?", gold, database, **more)
    schema = schemas[database]
    return diagnose(question, prediction, score(question, prediction, schema.database, mode), schema)


@pytest.fixture(scope="module")
def found(schemas):
    """The diagnosis of each wrong query, by id."""
    return {r["id"]: _diagnose(schemas, r["sql"], r["pred"], r["database"]) for r in WRONG}


# --- the wrong queries ------------------------------------------------------------------------------------------------


def test_there_are_enough_wrong_queries_of_every_class():
    counts = Counter(record["class"] for record in WRONG)
    assert len(WRONG) >= 120 and set(counts) == set(HINTS) - {"other_text"}
    assert min(counts.values()) >= 6, counts


def test_wrong_queries_get_the_class_that_a_person_gave_them(found, capsys):
    right = sum(found[r["id"]].failure_class == r["class"] for r in WRONG)
    with capsys.disabled():
        print(f"\n{right} of {len(WRONG)} wrong queries have the right class ({right / len(WRONG):.1%})")
        print(_confusion(found))
    assert right >= 0.9 * len(WRONG), [r["id"] for r in WRONG if found[r["id"]].failure_class != r["class"]]


def test_every_class_is_recognised_three_times_in_four(found):
    hits = defaultdict(list)
    for r in WRONG:
        hits[r["class"]].append(found[r["id"]].failure_class == r["class"])
    assert all(sum(h) >= 0.75 * len(h) for h in hits.values()), {c: sum(h) / len(h) for c, h in hits.items()}


def test_what_is_said_is_complete_and_what_is_suggested_is_right(found, schemas):
    for r in WRONG:
        said = found[r["id"]]
        assert said.evidence and said.hint, r["id"]
        assert json.loads(json.dumps(vars(said)))["evidence"] == said.evidence
        if said.failure_class.startswith("malformed_") and said.suggestion:
            question = Question("q", "Which?", r["sql"], r["database"])
            repaired = score(question, said.suggestion, schemas[r["database"]].database)
            assert repaired.verdict == "right", (r["id"], said.suggestion)


@pytest.mark.parametrize("mode", ["execution", "exact"])
def test_many_at_once_are_diagnosed_as_each_alone(found, schemas, mode):
    """Rounds of queries, a limit, and what is right among them do not mix up whose answer is whose."""
    some = [r for r in WRONG if r["class"] != "runaway"][::3]
    pairs = [
        Pair(Question("q", "Which?", r["sql"], r["database"]), pred, schemas[r["database"]].database)
        for r in some
        for pred in (r["pred"], r["sql"])
    ]
    together = diagnose_many(pairs, score_many(pairs, mode))
    assert together[::2] == [found[r["id"]] for r in some]
    faulty = {r["id"] for r, said in zip(some, together[1::2], strict=True) if said.failure_class}
    assert faulty <= {r["id"] for r in some if found[r["id"]].failure_class == "suspect_gold"}


def test_time_for_interventions_is_counted_and_ends_them(schemas, monkeypatch):
    gold, pred = "SELECT name FROM players WHERE height > '6'", "SELECT city FROM teams JOIN players USING (team_id)"
    question, schema = Question("q", "?", gold, ""), schemas["league"]
    scored = score(question, pred, schema.database)
    counts = []
    for seconds in (0.0, 1.5):
        asked = []

        def slow(pairs, *more, asked=asked, seconds=seconds):
            asked.append(pairs)
            return [replace(found, pred=replace(found.pred, seconds=seconds)) for found in score_many(pairs, *more)]

        monkeypatch.setattr("labkit.diagnosis.scoring.score_many", slow)
        assert diagnose(question, pred, scored, schema).failure_class.startswith("malformed")
        counts.append(sum(map(bool, asked)))
    assert counts[0] > counts[1] == 3


def _confusion(found: dict) -> str:
    """A row for each class with what its queries were taken for."""
    rows = defaultdict(Counter)
    for r in WRONG:
        rows[r["class"]][found[r["id"]].failure_class or "right"] += 1
    return "\n".join(
        f"  {name:22}{', '.join(f'{k} {n}' for k, n in c.most_common())}" for name, c in sorted(rows.items())
    )


# --- invalid ----------------------------------------------------------------------------------------------------------


def test_a_misspelt_quoted_column_is_found_though_the_query_ran(schemas):
    gold = "SELECT name FROM players WHERE position = 'C'"
    found = _diagnose(schemas, gold, 'SELECT "naem" FROM players WHERE position = "C"')
    assert (found.failure_class, found.suggestion) == ("invalid_column", "name")
    assert "silently" in found.evidence and "right" in found.evidence


def test_a_double_quoted_value_is_not_taken_for_a_column(schemas):
    gold = "SELECT nickname FROM teams WHERE conference = 'North' AND titles > 2"
    found = _diagnose(schemas, gold, 'SELECT nickname FROM teams WHERE conference = "North" AND titles > 3')
    assert found.failure_class == "malformed_value"
    found = _diagnose(schemas, gold, 'SELECT nickname FROM teams WHERE conference = "Nroth" AND titles > 2')
    assert found.failure_class == "malformed_value" and "'North'" in found.evidence


@pytest.mark.parametrize(
    ("prediction", "suggestion", "said"),
    [
        ("SELECT coach_name FROM teams WHERE nickname = 'Bears'", "coach", "No table has a column coach_name"),
        ("SELECT t.caoch FROM teams t WHERE t.nickname = 'Bears'", "coach", "no such column: t.caoch"),
        ("SELECT coach FROM team WHERE nickname = 'Bears'", "teams", "There is no table team"),
    ],
)
def test_the_nearest_real_name_is_suggested_and_tried(schemas, prediction, suggestion, said):
    found = _diagnose(schemas, "SELECT coach FROM teams WHERE nickname = 'Bears'", prediction)
    assert found.suggestion == suggestion and said in found.evidence and "the answer is right" in found.evidence


def test_a_column_of_another_table_is_named_with_its_table(schemas):
    gold = "SELECT p.name, t.city FROM players p JOIN teams t ON t.team_id = p.team_id"
    found = _diagnose(schemas, gold, "SELECT p.name, p.city FROM players p JOIN teams t ON t.team_id = p.team_id")
    assert found.suggestion == "teams.city" and "not of p" in found.evidence


@pytest.mark.parametrize(
    ("prediction", "failure", "word"),
    [
        ("SELECT YEAR(birth_date) FROM players", "invalid_function", "strftime"),
        ("SELECT EXTRACT(YEAR FROM birth_date) FROM players", "invalid_syntax", "strftime"),
        ("SELECT founded::text FROM teams", "invalid_syntax", "CAST"),
        ("SELECT TOP 3 name FROM players", "invalid_syntax", "LIMIT"),
        ("SELECT name FROM players WHERE name ILIKE 'a%'", "invalid_syntax", "LIKE"),
        ("SELECT LEN(name) FROM players", "invalid_function", "length"),
        ("SELECT SUM(titles, 2) FROM teams", "invalid_function", "arguments"),
    ],
)
def test_another_dialect_is_classed_by_sqlites_message_and_translated(schemas, prediction, failure, word):
    found = _diagnose(schemas, "SELECT name FROM players", prediction)
    assert found.failure_class == failure
    assert word in found.evidence


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "   ",
        "The answer is 4.",
        "DROP TABLE teams",
        "SELECT 1; SELECT 2",
        "PRAGMA user_version",
        "```sql\nSELECT 1\n```",
    ]
    + ["SELECT 1; and that is the answer", "-- nothing", ";", "None"],
)
def test_replies_that_are_no_single_query(schemas, reply):
    assert _diagnose(schemas, "SELECT name FROM players", reply).failure_class == "invalid_format"


def test_queries_with_semicolons_and_comments_in_odd_places_look_like_queries():
    for sql in ("SELECT ';' ;", "-- why; so\nSELECT 1", "(SELECT 1)", "/* ; */ WITH a AS (SELECT 1) SELECT * FROM a;"):
        assert looks_like_query(sql), sql
    assert invalid_class("SELECT a b c FROM t", 'near "c": syntax error') == "invalid_syntax"


# --- malformed --------------------------------------------------------------------------------------------------------


def test_the_clause_that_decides_is_blamed_whatever_else_differs(schemas):
    gold = (
        "SELECT p.name FROM players p JOIN teams t ON t.team_id = p.team_id WHERE t.nickname = 'Bears' ORDER BY p.name"
    )
    prediction = (
        "SELECT a.name AS player FROM teams AS b, players AS a WHERE a.team_id = b.team_id AND b.nickname = 'Bears' "
        "ORDER BY player DESC"
    )
    found = _diagnose(schemas, gold, prediction)
    assert found.failure_class == "malformed_order"
    assert "DESC" in found.evidence and "This change alone" in found.evidence


def test_one_difference_deep_in_a_subquery_is_blamed_there(schemas):
    gold = "SELECT nickname FROM teams WHERE titles > (SELECT AVG(titles) FROM teams WHERE conference = 'North')"
    found = _diagnose(schemas, gold, gold.replace("AVG", "MAX"))
    assert found.failure_class == "malformed_aggregate" and "AVG" in found.evidence
    found = _diagnose(schemas, gold, gold.replace("'North'", "'South'"))
    assert found.failure_class == "malformed_value"


@pytest.mark.parametrize(
    ("condition", "failure"),
    [
        ("conference = 'North'", "malformed_filter"),
        ("conference = 'North' AND titles >= 2", "malformed_filter"),
        ("conference = 'South' AND titles > 2", "malformed_value"),
        ("conference = 'North' AND titles > 2 AND founded > 1960", "malformed_filter"),
    ],
)
def test_a_condition_is_found_in_another_structure(schemas, condition, failure):
    join = (
        "SELECT p.name FROM players p JOIN teams t ON t.team_id = p.team_id "
        "WHERE t.conference = 'North' AND t.titles > 2"
    )
    subquery = f"SELECT name FROM players WHERE team_id IN (SELECT team_id FROM teams WHERE {condition})"
    found = _diagnose(schemas, join, subquery)
    assert found.failure_class == failure and "alone" in found.evidence


def test_a_tie_that_the_prediction_cuts_is_a_matter_of_limit(schemas):
    gold = "SELECT nickname FROM teams WHERE titles = (SELECT MIN(titles) FROM teams)"
    found = _diagnose(schemas, gold, "SELECT nickname FROM teams ORDER BY titles LIMIT 1")
    assert found.failure_class == "malformed_limit"


def test_the_nearest_stored_value_is_named(schemas):
    gold = "SELECT city FROM teams WHERE nickname = 'Krakens'"
    found = _diagnose(schemas, gold, "SELECT city FROM teams WHERE nickname = 'Kraken'")
    assert found.failure_class == "malformed_value" and "nearest stored value is 'Krakens'" in found.evidence


def test_the_alternative_that_is_nearest_is_the_gold_to_compare_with(schemas):
    alternative = "SELECT nickname FROM teams WHERE titles >= 3"
    gold = "SELECT t.nickname FROM teams t WHERE t.team_id IN (SELECT team_id FROM teams WHERE NOT titles < 3)"
    found = _diagnose(schemas, gold, "SELECT nickname FROM teams WHERE titles > 3", alternatives=(alternative,))
    assert found.failure_class == "malformed_filter" and ">= 3" in found.evidence


def test_right_answers_and_other_texts(schemas):
    assert _diagnose(schemas, "SELECT name FROM players", "SELECT p.name FROM players p").failure_class == ""
    exact = _diagnose(schemas, "SELECT name FROM players", "SELECT p.name FROM players p", mode="exact")
    assert exact.failure_class == "other_text"
    exact = _diagnose(
        schemas, "SELECT nickname FROM teams WHERE titles > 2", "SELECT nickname FROM teams", mode="exact"
    )
    assert exact.failure_class == "malformed_filter"


def test_a_gold_that_the_linter_blames_is_suspect_unless_its_note_says_otherwise(schemas):
    gold = "SELECT AVG(CAST(weight AS INTEGER)) FROM players"
    prediction = "SELECT AVG(CAST(weight AS INTEGER)) FROM players WHERE weight <> 'NA'"
    assert _diagnose(schemas, gold, prediction).failure_class == "suspect_gold"
    note = "lint: ok missing_counted because it is the point of the example"
    assert _diagnose(schemas, gold, prediction, note=note).failure_class == "malformed_null"


def test_a_prediction_that_sqlglot_cannot_read_still_has_a_class(schemas):
    prediction = (
        "SELECT name FROM players WHERE (position, draft_year) = ('C', 2022) AND name IS NOT DISTINCT FROM name"
    )
    gold = "SELECT name FROM players WHERE position = 'C'"
    assert _diagnose(schemas, gold, prediction).failure_class in HINTS


# --- what the comparison rests on -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SETS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_canonical_spelling_of_a_gold_gives_the_golds_rows(path):
    questions = load_questions(path)
    schema = read_schema(questions.database_path(questions[0]))
    for question in questions:
        rewritten = sql_of(canonical(question.sql, schema))
        assert score(question, rewritten, schema.database).verdict == "right", rewritten


def test_all_clauses_of_the_gold_together_make_any_prediction_right(schemas):
    for r in WRONG:
        schema = schemas[r["database"]]
        question = Question("q", "Which?", r["sql"], r["database"])
        gold_shows_rows = score(question, f"SELECT * FROM ({r['sql']})", schema.database).verdict == "right"
        if not gold_shows_rows or parse(r["pred"]) is None:
            continue
        tree, gold = canonical(r["pred"], schema), canonical(r["sql"], schema)
        repaired = sql_of(applied(tree, whole_clauses(tree, gold)))
        assert score(question, repaired, schema.database).verdict == "right", (r["id"], repaired)


def test_clauses_of_a_query():
    sql = "SELECT t.city, COUNT(*) FROM teams t JOIN players p USING (team_id) WHERE 1 GROUP BY 1 ORDER BY 2 LIMIT 3"
    assert set(clauses_of(parse(sql))) == {"WHERE", "GROUP BY", "ORDER BY", "LIMIT", "JOIN", "aggregate"}
    assert clauses_of(parse("SELECT city FROM teams")) == ["plain SELECT"]
    assert "set operation" in clauses_of(parse("SELECT city FROM teams UNION SELECT city FROM arenas"))


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def diagnosed(tmp_path_factory):
    questions = load_questions(ROOT / "datasets" / "league" / "start.jsonl")
    wrong = {questions[0].id: "SELECT nonsense FROM teams", questions[1].id: "No idea.", questions[2].id: "Nor here."}

    def generator(asked):
        return [wrong.get(question.id, question.sql) for question in asked]

    run = evaluate(generator, questions, store=tmp_path_factory.mktemp("runs") / "runs.db", progress=False)
    return diagnose_run(run, questions)


def test_slices_by_class_have_counts_shares_and_intervals(diagnosed):
    frame = diagnosed.slices()
    assert frame.to_dict()["n"] == {"invalid_format": 2, "invalid_column": 1}
    interval = wilson(2, 20)
    row = frame.loc["invalid_format"]
    assert (row.share, row.low, row.high) == (0.1, interval.low, interval.high)
    assert "invalid_format" in str(diagnosed) and "invalid_format" in diagnosed._repr_html_()


@pytest.mark.parametrize("by", ["tag", "clause"])
def test_slices_by_tag_and_clause_have_accuracies(diagnosed, by):
    frame = diagnosed.slices(by=by)
    assert len(frame) > 2 and (frame.right <= frame.n).all() and frame.right.sum() < frame.n.sum()
    assert (frame.low <= frame.accuracy).all() and (frame.accuracy <= frame.high).all()


def test_the_frame_of_a_diagnosed_run_has_a_row_a_question(diagnosed):
    frame = diagnosed.to_frame()
    assert len(frame) == len(diagnosed) == 20 and (frame["class"] != "").sum() == len(diagnosed.failures()) == 3
    with pytest.raises(LabkitError, match="mood"):
        diagnosed.slices(by="mood")


def test_a_run_of_another_set_is_refused(diagnosed):
    with pytest.raises(LabkitError, match="Is it the set of this run"):
        diagnose_run(diagnosed.run, load_questions(ROOT / "datasets" / "league" / "dev.jsonl"))
