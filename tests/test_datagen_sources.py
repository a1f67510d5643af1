"""Pairs from a query log and from a chat model: what can be worded, what is verified, what a model gets wrong."""

import re
from pathlib import Path

import pytest

from labkit.datagen import filters, from_queries, generate
from labkit.datagen.chat import Author, Candidate, Failure
from labkit.datagen.logs import read_log
from labkit.dataset import Question
from labkit.errors import LabkitError

LEAGUE = Path(__file__).parent.parent / "datasets" / "league" / "league.sqlite"

# --- logs -------------------------------------------------------------------------------------------------------------

LOG = [
    "SELECT name, capacity FROM arenas WHERE capacity > 15500",
    "select avg(titles) from teams where conference = 'North'",
    "SELECT conference, COUNT(*) FROM teams WHERE titles >= 2 GROUP BY conference",
    "SELECT p.name FROM players p JOIN teams t ON p.team_id = t.team_id "
    "WHERE t.conference = 'South' AND p.position = 'C'",
    "SELECT name FROM players WHERE weight <> 'NA' ORDER BY CAST(weight AS INTEGER) DESC LIMIT 4",
]


def test_a_log_becomes_pairs():
    made = from_queries(LOG, LEAGUE)
    assert {q.sql for q in made} == set(LOG)
    by_sql = {sql: " / ".join(q.question.lower() for q in made if q.sql == sql) for sql in LOG}
    assert "capacity" in by_sql[LOG[0]] and "15500" in by_sql[LOG[0]].replace(",", "")
    assert "average" in by_sql[LOG[1]] and "north" in by_sql[LOG[1]]
    assert "conference" in by_sql[LOG[2]] and ("at least 2" in by_sql[LOG[2]] or "2 or more" in by_sql[LOG[2]])
    assert "south" in by_sql[LOG[3]] and "center" in by_sql[LOG[3]]
    assert "first 4" in by_sql[LOG[4]] and "weight" in by_sql[LOG[4]]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT nope FROM players", filters.DOES_NOT_RUN),
        ("SELECT AVG(attendance) FROM games WHERE season = 2030 AND attendance <> 'NA'", filters.FAULTY),
        ("SELECT COUNT(DISTINCT position) FROM players WHERE jersey > 20", filters.FAULTY),  # 'NA' > 20
        ("SELECT name FROM players WHERE jersey = 4000", filters.EMPTY),
        ("SELECT COUNT(*) FROM players", filters.KNOWN_QUERY),
        ("SELECT name FROM arenas WHERE capacity = (SELECT MIN(capacity) FROM arenas)", filters.NO_WORDING),
        ("SELECT name FROM arenas WHERE capacity > 15500 OR city = 'Goldmere'", filters.NO_WORDING),
        ("SELECT name FROM arenas LIMIT 3", filters.NO_WORDING),
        ("SELECT name || city FROM arenas", filters.NO_WORDING),
        ("SELECT nickname FROM teams WHERE titles * 2 > 6", filters.NO_WORDING),
        ("SELECT titles + 1 FROM teams", filters.NO_WORDING),
        ("SELECT SUBSTR(nickname, 1, 2) FROM teams", filters.NO_WORDING),
        ("SELECT COUNT(*) FROM players, teams", filters.NO_WORDING),
        ("SELECT COUNT(*) FROM players p JOIN teams t ON p.team_id <> t.team_id", filters.NO_WORDING),
        (
            "SELECT t.city, COUNT(*) FROM teams t LEFT JOIN players p ON p.team_id = t.team_id GROUP BY t.city",
            filters.NO_WORDING,
        ),
        (
            "SELECT t.conference, COUNT(*) FROM teams t JOIN players p ON p.team_id = t.team_id AND p.position = 'C' "
            "GROUP BY t.conference",
            filters.NO_WORDING,
        ),
        (
            "SELECT COUNT(*) FROM season_stats AS s JOIN players AS p ON s.player_id = p.player_id "
            "WHERE p.draft_pick = 'undrafted' AND s.season = 2030",
            filters.NO_WORDING,
        ),
    ],
)
def test_what_a_log_cannot_give_is_counted(sql, reason):
    made = from_queries([sql], LEAGUE)
    assert len(made) == 0 and made.report.dropped[reason] == 1


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT nickname FROM teams WHERE titles IN (1, 2)", r"titles (is|of) 1 or 2"),
        ("SELECT nickname FROM teams WHERE titles BETWEEN 1 AND 3", r"from 1 to 3"),
        ("SELECT DISTINCT conference FROM teams", r"(different|distinct) conferences"),
        ("SELECT COUNT(DISTINCT conference) FROM teams WHERE titles > 1", r"(different|distinct) conferences"),
        ("SELECT conference, COUNT(*) FROM teams GROUP BY conference ORDER BY COUNT(*) DESC LIMIT 1",
         r"highest first.*first one"),
        ("SELECT t.conference, COUNT(*) FROM teams t JOIN players p ON p.team_id = t.team_id GROUP BY t.conference",
         r"(men|players|athletes)"),
    ],
)  # fmt: skip
def test_what_a_log_often_asks_is_said(sql, said):
    asked = [q.question for q in from_queries([sql], LEAGUE)]
    assert any(re.search(said, text, re.IGNORECASE) for text in asked), asked  # any: now and then a slip of the pen


def test_no_query_of_a_log_stops_the_others():
    drawn = generate(LEAGUE, 400, seed=5, wordings=1, progress=False)
    made = from_queries([q.sql for q in drawn], LEAGUE, wordings=1)
    assert made.report.drawn == 400 and len(made) > 100


def test_a_log_file(tmp_path):
    path = tmp_path / "log.sql"
    path.write_text("-- yesterday\n" + ";\n".join(LOG) + ";\nDELETE FROM teams;\n")
    assert {q.sql for q in from_queries(path, LEAGUE)} == {" ".join(sql.split()) for sql in LOG}
    with pytest.raises(LabkitError, match="no query log"):
        from_queries(tmp_path / "none.sql", LEAGUE)


QUOTED = """\
-- yesterday; and before
SELECT name FROM teams WHERE city = 'a;b';
/* not this; SELECT 1; */ SELECT "city;x",
  name -- why;
FROM `te;ams` WHERE name = 'two
-- lines';
DELETE FROM teams;;
WITH x AS (SELECT 1) SELECT * FROM x"""


def test_a_log_is_cut_where_statements_end(tmp_path):
    path = tmp_path / "log.sql"
    path.write_text(QUOTED)
    assert read_log(path) == [
        "SELECT name FROM teams WHERE city = 'a;b'",
        "SELECT \"city;x\", name FROM `te;ams` WHERE name = 'two\n-- lines'",
        "WITH x AS (SELECT 1) SELECT * FROM x",
    ]


def test_a_log_of_a_statement_a_line(tmp_path):
    path = tmp_path / "log.sql"
    path.write_text("-- two\nSELECT 'a;b' FROM teams -- one\nselect 2\nDROP TABLE teams\n")
    assert read_log(path) == ["SELECT 'a;b' FROM teams", "select 2"]


def test_a_quote_that_is_never_closed_costs_its_own_statement_alone(tmp_path):
    path = tmp_path / "log.sql"
    path.write_text("SELECT 1;\n-- it\nSELECT 'broken;\nSELECT 2;")
    assert read_log(path) == ["SELECT 1", "SELECT 'broken", "SELECT 2"]


# --- chat models ------------------------------------------------------------------------------------------------------


class Scripted:
    """A chat model that answers by the first of its words that the last message holds."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []

    def chat(self, conversations):
        self.asked += conversations
        return [next(a for word, a in self.answers.items() if word in c[-1]["content"]) for c in conversations]


PAIR = Question("q", "Which arenas seat over 15,500?", "SELECT name FROM arenas WHERE capacity > 15500", "league")


def test_variations_keep_their_query_and_lose_their_bullets():
    model = Scripted(
        {"other ways": "Sure:\n1. Arenas with room for more than 15,500?\n- Name arenas above 15,500 seats.\nSELECT 1"}
    )
    author = Author(model, LEAGUE)
    made = author.verified(author.vary([PAIR]))
    assert [q.question for q in made] == [
        "Arenas with room for more than 15,500?",
        "Name arenas above 15,500 seats.",
    ]
    assert {q.sql for q in made} == {PAIR.sql} and made.pairs[0].tags == ("variation",)
    assert model.asked[0][-1]["content"].startswith("Tables:\narenas(")


def test_descriptions_of_queries():
    author = Author(Scripted({"SQL: SELECT": "Which big arenas are there?\nArenas over 15,500?"}), LEAGUE)
    assert [c.question for c in author.describe([PAIR.sql])] == ["Which big arenas are there?", "Arenas over 15,500?"]


def test_similar_steps_and_fixes_are_run_before_they_are_kept():
    reply = "\n".join(
        [
            '{"question": "Arenas over 16,000?", "sql": "SELECT name FROM arenas WHERE capacity > 16000;"}',
            '{"question": "Arenas over 99,000?", "sql": "SELECT name FROM arenas WHERE capacity > 99000"}',
            '{"question": "Seats?", "sql": "SELECT seats FROM arenas"}',
            '{"question": "Broken"}',
            "Here you are!",
        ]
    )
    author = Author(
        Scripted(
            {
                "similar but different": reply,
                "simpler questions": reply,
                "failed": "```sql\nSELECT city FROM arenas\n```",
            }
        ),
        LEAGUE,
    )
    for candidates, way in ((author.similar([PAIR]), "similar"), (author.decompose([PAIR]), "step")):
        made = author.verified(candidates)
        assert [(q.sql, q.tags) for q in made] == [("SELECT name FROM arenas WHERE capacity > 16000", (way,))]
        assert made.report.dropped[filters.EMPTY] == made.report.dropped[filters.DOES_NOT_RUN] == 1
    failed = "SELECT town FROM arenas", "no such column: town"
    same = Failure("Cities?", "select city FROM arenas;", "The rows are others.")
    fixed = author.mend([Failure("In which cities are arenas?", *failed), same])
    assert fixed == [Candidate("In which cities are arenas?", "SELECT city FROM arenas", "fix")]
    assert len(author.verified(fixed)) == 1


def test_a_text_where_a_file_is_meant_is_a_sentence():
    for text in ("SELECT name FROM arenas WHERE " + "capacity > 1 AND " * 30 + "1", "no-such-file.sql"):
        with pytest.raises(LabkitError, match="There is no query log"):
            from_queries(text, LEAGUE)
    with pytest.raises(LabkitError, match="There is no glossary"):
        generate(LEAGUE, 5, glossary="**a word**: " + "what it means " * 40)
    for n in (2.5, "5", 0):
        with pytest.raises(LabkitError, match="whole numbers"):
            generate(LEAGUE, n)


def test_the_round_trip_drops_a_wording_that_means_something_else():
    model = Scripted({"Question: Big arenas, over 15,500?": PAIR.sql, "Question: Cities?": "SELECT city FROM arenas"})
    wordings = [Candidate(text, PAIR.sql, "variation") for text in ("Big arenas, over 15,500?", "Cities?")]
    made = Author(model, LEAGUE).verified(wordings, round_trip=True)
    assert [q.question for q in made] == ["Big arenas, over 15,500?"] and made.report.dropped[filters.ROUND_TRIP] == 1


def test_a_model_cannot_bring_back_a_known_question():
    known = Question("k", "Arenas over 16,000?", "SELECT name FROM arenas WHERE capacity > 16000", "league")
    from labkit.dataset import QuestionSet

    author = Author(Scripted({}), LEAGUE)
    made = author.verified(
        [Candidate("Which?", known.sql, "similar"), Candidate(known.question, PAIR.sql, "similar")],
        [QuestionSet("k", (known,))],
    )
    assert len(made) == 0
    assert made.report.dropped[filters.KNOWN_QUERY] == made.report.dropped[filters.KNOWN_QUESTION] == 1


def test_no_candidates():
    author = Author(Scripted({}), LEAGUE)
    assert author.vary([]) == [] and len(author.verified([], round_trip=True)) == 0
