"""Wordings against their queries: what decides the SQL is said, and said as people mean it."""

import random
import re
from pathlib import Path

import pytest

from labkit.datagen import (
    _glossary,
    bounds,
    careers,
    comparing,
    computed,
    extremes,
    generate,
    grouping,
    groups,
    lists,
    lookups,
    nested,
    numbers,
    saying,
    sides,
)
from labkit.datagen.drawing import Drawer, NothingToAsk
from labkit.datagen.formats import recognise
from labkit.datagen.frames import frames, shown_beside
from labkit.datagen.phrases import expand, ordinal, tidy
from labkit.datagen.reading import read_world
from labkit.datagen.sections import sections
from labkit.datagen.slips import misspelt
from labkit.datagen.speaker import Speaker
from labkit.datagen.subjects import Subject
from labkit.execution import execute

LEAGUE = Path(__file__).parent.parent / "datasets" / "league" / "league.sqlite"
CLINIC = LEAGUE.parent.parent / "clinic" / "clinic.sqlite"


@pytest.fixture(scope="module")
def speakers():
    worlds = {path.stem: read_world(path) for path in (LEAGUE, CLINIC)}
    return {name: Speaker(world, _glossary(world, world.database, None)) for name, world in worlds.items()}


def drawn(speaker, family, n=40, seed=3):
    """Intents of a family with some wordings each: (SQL, texts)."""
    drawer, rng, found = Drawer(speaker, random.Random(seed)), random.Random(seed), []
    for _ in range(n * 20):
        try:
            intent = family(drawer)
        except NothingToAsk:
            continue
        if intent:
            found.append((intent.sql, [intent.word(rng) for _ in range(4)]))
        if len(found) == n:
            break
    assert len(found) > 5
    return found


# --- what a number means ----------------------------------------------------------------------------------------------


def test_the_best_rank_is_the_smallest(speakers):
    speaker = speakers["league"]
    pick = speaker.world.field("players.draft_pick")
    best, worst = (str(extremes.superlatives(speaker, pick, high)) for high in (False, True))
    assert "first" in best and "last" in worst
    assert not re.search("highest|lowest|largest|most", best + worst)
    rng = random.Random(0)
    for _ in range(50):
        condition = bounds.bound(speaker, pick, rng)
        said = " ".join(expand(t, rng) for t in (*condition.post, *condition.verb))
        assert not re.search(r"\b(higher|lower|above|below|over|under)\b", said), said
        if condition.tests[0].op == "<=":
            assert re.search(r"top \d|first \d|no later than", said), said


def test_no_rank_has_a_maximum(speakers):
    for sql, texts in drawn(speakers["league"], numbers.aggregate, 60):
        assert not re.search(r"(MAX|MIN)\(\w*\.?draft_pick", sql), texts


def test_a_number_taken_out_of_a_text_is_asked_for_as_one(speakers):
    for name in speakers:
        for sql, texts in drawn(speakers[name], numbers.aggregate, 60):
            if re.match(r"SELECT (MAX|MIN)\(C", sql):
                assert all(re.search(r"\bin (plain |)\w+|as a plain number", t) for t in texts), (sql, texts)


def test_one_thing_is_singular():
    rng = random.Random(0)
    for op in (">", ">=", "="):
        for template in bounds.many_things(op, "1", "(titles|championships)"):
            assert not re.search("titles|championships", expand(template, rng))
    assert "titles" in expand(bounds.many_things(">", "2", "(titles|titles)")[0], rng)


def test_the_opposite_of_a_bound(speakers):
    speaker, rng = speakers["league"], random.Random(1)
    titles = speaker.world.field("teams.titles")
    below = bounds.compared(speaker, titles, "<", 3)
    assert bounds.opposite(speaker, below).tests[0].op == ">=" and bounds.opposite(speaker, below).tests[0].value == 3
    assert bounds.opposite(speaker, saying.equal(speaker, speaker.world.field("teams.conference"), rng)) is None


# --- whose fact, of which rows ----------------------------------------------------------------------------------------


def test_a_contract_ends_and_no_player(speakers):
    speaker = speakers["league"]
    ends = speaker.world.field("contracts.ends")
    assert all("contract" in noun for noun in speaker.words(ends).nouns)
    found = [t for sql, texts in drawn(speaker, lookups.lookup, 300) if "SELECT c.ends" in sql for t in texts]
    assert found and all("contract" in text.lower() for text in found)


def test_parts_of_players_are_parts_of_all_players(speakers):
    for sql, _ in drawn(speakers["league"], numbers.share, 60) + drawn(speakers["league"], numbers.two_counts):
        assert "FROM contracts AS c JOIN players" not in sql or "c.contract_id" in sql or "WHERE c.status" not in sql


def test_nobody_is_born_before_2000_in_2031(speakers):
    for sql, texts in drawn(speakers["league"], numbers.count, 200):
        assert not ("season = " in sql and re.search(r"birth_date|played_on|draft_year [<>]", sql)), texts


def test_the_game_is_one_game(speakers):
    for sql, texts in drawn(speakers["league"], sides.meeting, 80):
        if "season" not in sql and "COUNT" not in sql:
            assert sql.startswith("SELECT g.played_on") and all(re.search("dates|days", t.lower()) for t in texts), (
                texts
            )


def test_a_sum_over_contracts_says_which(speakers):
    for sql, texts in drawn(speakers["league"], numbers.aggregate, 200):
        if re.search(r"\((CAST.*)?bonus", sql) and "FROM contracts" in sql and "status" not in sql:
            assert all(re.search("included|including|any status", t.lower()) for t in texts), (sql, texts)


# --- new shapes -------------------------------------------------------------------------------------------------------


def test_careers(speakers):
    sqls = [sql for sql, _ in drawn(speakers["league"], careers.career)]
    for start in ("SELECT SUM(", "SELECT s.season FROM", "SELECT s.season, "):
        assert any(sql.startswith(start) for sql in sqls)
    assert all("season = " not in sql and "p.name = " in sql for sql in sqls)
    for sql, texts in drawn(speakers["league"], careers.owners, 10):
        assert sql.startswith("SELECT COUNT(DISTINCT ") and all(
            re.search("season|at some point", t.lower()) for t in texts
        )


def test_scores_have_both_numbers_in_the_order_that_is_asked(speakers):
    found = [(s, t) for s, t in drawn(speakers["league"], lookups.lookup, 300) if "home_points, away_points" in s]
    scores = [t for _, texts in found for t in texts if "core" in t]
    assert scores
    assert all(t.lower().index("home") < (t.lower().find("away") if "away" in t.lower() else 999) for t in scores)


def test_what_is_unknown_is_missing_and_no_bonus_is_not_unknown(speakers):
    found = drawn(speakers["league"], lists.unknown, 60)
    assert all(re.search(r" = '(--|NA)'| IS NULL", sql) for sql, _ in found)
    assert not [sql for sql, _ in found if "bonus IS NULL" in sql or "college IS NULL" in sql]


def test_ages(speakers):
    texts = [t for sql, texts in drawn(speakers["clinic"], computed.computed, 80) for t in texts]
    assert any("older than" in t for t in texts)
    sqls = [sql for sql, _ in drawn(speakers["clinic"], computed.computed, 80)]
    assert any(re.match(r"SELECT 2031 - birth_year FROM pets WHERE name = ", sql) for sql in sqls)


def test_money_is_read_in_few_words():
    assert "SUBSTR({c}, 2)" in recognise(["$1,200", "$950"]).sql
    assert "SUBSTR" not in recognise(["$1,200", "950"]).sql
    assert execute(LEAGUE, "SELECT " + recognise(["$1,200"]).sql.replace("{c}", "'$12,345'")).rows == ((12345,),)


# --- English ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rough", "mended"),
    [
        ("name,, please.", "Name, please."),
        ("teams at the The Hollow", "Teams at The Hollow"),
        ("with a points per game of 5", "With points per game of 5"),
        ("how many the Grand Owls' away games are there?", "How many Grand Owls away games are there?"),
        ("how many everyone born in 2001?", "How many people born in 2001?"),
        ("who is it? name only.", "Who is it? Name only."),
    ],
)
def test_tidy_mends(rough, mended):
    assert tidy(rough) == mended


def test_ordinals():
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 21, 113)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "113th",
    ]  # fmt: skip


def test_every_sentence_is_well_formed():
    for line in [line for lines in sections("sentences.txt").values() for line in lines]:
        for a, b in ("()", "[]", "{}"):
            assert line.count(a) == line.count(b), line
    assert len(frames("count")) > 20 and not [t for t in frames("list", labels="names") if "{labels}" in t]


def test_what_is_shown_beside_is_asked_in_many_ways():
    rng = random.Random(0)
    ways = {expand(shown_beside("name and weight"), rng) for _ in range(200)}
    assert len(ways) >= 10 and all(w.lower().count("name and weight") == 1 for w in ways)


def test_a_singular_subject_takes_a_singular_verb(speakers):
    speaker, rng = speakers["league"], random.Random(5)
    view = next(v for v in Drawer(speaker, rng).views if v.own and v.root.table == "players")
    guards = saying.is_value(speaker, speaker.world.field("players.position"), "SG")
    texts = {Subject(speaker, view, [guards]).phrase(rng, many=False).text for _ in range(200)}
    assert any("who is a shooting guard" in t for t in texts) and not any("is shooting guards" in t for t in texts)


def test_one_wording_a_query_gives_many_shapes():
    made = generate(LEAGUE, 400, seed=5, wordings=1, progress=False)
    assert len({q.sql for q in made}) >= 395 and made.coverage.skeletons >= 230
    assert made.coverage.largest_share <= 0.021


# --- what the SQL leaves out, or takes in, is said --------------------------------------------------------------------

LEFT_OUT = re.compile(r"leaving out|without those|only where")


def where(sql):
    """The conditions of the query itself, without what it is sorted or grouped by."""
    return re.split(r" ORDER BY | GROUP BY ", sql.partition(" WHERE ")[2])[0]


def test_a_sorted_list_says_whom_it_leaves_out(speakers):
    found = [
        (sql, texts)
        for sql, texts in drawn(speakers["clinic"], lists.listing, 150)
        for column in [re.search(r" ORDER BY .*?(birth_year|weight|fee)\b", sql)]
        if column and len(re.findall(rf"\b{column[1]}\b", where(sql))) == 1
    ]
    assert len(found) > 3 and not [(sql, t) for sql, texts in found for t in texts if not LEFT_OUT.search(t)]


def test_a_computed_number_beside_names_says_whom_it_leaves_out(speakers):
    intents = drawn(speakers["clinic"], computed.computed, 80)
    listed = [(s, t) for s, t in intents if re.match(r"SELECT (p\.)?name, 2031", s) and "ORDER" not in s]
    listed = [(s, t) for s, t in listed if len(re.findall("birth_year", where(s))) == 1]
    assert len(listed) > 3 and not [(s, t) for s, texts in listed for t in texts if not LEFT_OUT.search(t)]


def test_a_year_to_group_by_says_of_what_it_is(speakers):
    said = {"client_since": [], "visit_date": []}
    for sql, texts in drawn(speakers["clinic"], groups.group, 100):
        if by := re.search(r"GROUP BY SUBSTR\((?:\w\.)?(\w+)", sql):
            said[by[1]] += texts
    assert said["client_since"] and all("joining year" in t.lower() for t in said["client_since"])
    assert said["visit_date"] and not [t for t in said["visit_date"] if "year" not in t.lower() or "visit year" in t]


def test_who_has_none_is_not_said_to_have_another(speakers):
    speaker, rng = speakers["league"], random.Random(0)
    for name, gaps in (("players.college", True), ("players.position", False)):
        field = speaker.world.field(name)
        conditions = [c for _ in range(300) if "negation" in (c := saying.equal(speaker, field, rng)).tags]
        forms = {form for c in conditions for form in (*c.post, *c.verb)}
        assert conditions and all("other than" in form for form in forms) == gaps


@pytest.mark.parametrize("family", [groups.group_extreme, groups.having])
def test_the_fewest_are_of_groups_that_have_some(speakers, family):
    for sql, texts in drawn(speakers["clinic"], family, 60):
        fewest = "ORDER BY COUNT(*) LIMIT" in sql or re.search(r"HAVING COUNT\(\*\) <", sql)
        if fewest and " JOIN " in sql and "SELECT MIN" not in sql:
            assert all(re.search(r"that have any|with none", t) for t in texts), (sql, texts)
        if not fewest:
            assert not [t for t in texts if re.search(r"that have any\.|with none", t)]


def test_fewer_than_so_many_related_rows_are_some(speakers):
    texts = [t for s, ts in drawn(speakers["clinic"], nested.how_many_each, 60) if "COUNT(*) <" in s for t in ts]
    assert texts and all(re.search("(at least one|one or more) but fewer than", t) for t in texts)


def test_in_any_season_is_not_over_all_seasons(speakers):
    texts = [t for _, ts in drawn(speakers["league"], careers.owners, 20) for t in ts]
    assert not [t for t in texts if re.search("over (all|the)", t.lower())]


def test_a_group_through_a_role_names_the_role(speakers):
    drawer = Drawer(speakers["league"], random.Random(1))
    conference = drawer.world.field("teams.conference")
    sides = {p[0].role: p for p in drawer.world.paths("games", 1)[1:]}
    words = [grouping.group_word(drawer, conference, sides[role]) for role in ("home", "away")]
    assert words == ["conference of the home team", "conference of the away team"]
    assert grouping.group_word(drawer, conference) == "conference"


def test_an_average_is_no_count(speakers):
    tails = [t for s, texts in drawn(speakers["league"], groups.group_extreme, 80) if "AVG(" in s for t in texts]
    assert tails and not [t for t in tails if re.search(r"and (how many|count)\b", t)]


def test_in_a_period_nothing_is_said_of_today(speakers):
    drawer = Drawer(speakers["league"], random.Random(1))
    view = next(v for v in drawer.views if v.root.table == "season_stats" and v.path)
    tests = [t for _ in range(600) if (c := drawer.condition(view)) for t in c.tests]
    assert any(t.field.table == "players" for t in tests)  # heights and colleges stay as they are
    assert not [t for t in tests if t.field.name == "team_id" or t.op.endswith("query")]


def test_the_best_of_a_part_is_one_of_them(speakers):
    for sql, texts in drawn(speakers["clinic"], comparing.part_of_best, 40):
        column = re.search(r"MAX\([^.]*?(?:\w\.)?(fee|price|dose|days)\b", sql)[1]
        narrowed = bool(re.sub(rf"(\w\.)?{column} <> '-'", "", where(sql)))
        assert all(("among them" in t) == narrowed for t in texts), (sql, texts)


@pytest.mark.parametrize("family", [numbers.count, lists.listing, sides.either_part, nested.related])
def test_a_road_win_beside_a_named_side_would_be_its_own(speakers, family):
    drawer, rng, texts = Drawer(speakers["league"], random.Random(1)), random.Random(1), []
    for _ in range(500):
        try:
            intent = family(drawer)
        except NothingToAsk:
            continue
        if intent and re.search(r"(away|home)_points [<>] (g\.)?(away|home)_points", intent.sql):
            sided = re.search(r"nickname = '|SELECT (g\.)?(home|away)_id", intent.sql)
            texts += [intent.word(rng) for _ in range(4)] if sided else []
    assert texts and not [t for t in texts if re.search(r"(home|road) wins?\b", t)]


def test_nothing_stands_between_a_noun_and_whose_it_is(speakers):
    texts = [t for _, texts in drawn(speakers["clinic"], numbers.count, 150) for t in texts]
    filled = r"(?<!is )(?<!not )(on file|on record|in the (clinic|data|records|database))"
    assert any(re.search(filled, t) for t in texts) and not [t for t in texts if re.search(f"{filled} of ", t)]


def test_no_slip_is_rude():
    rng = random.Random(0)
    texts = {misspelt("I need a count of the shirts", rng) for _ in range(2000)}
    assert len(texts) > 10 and not [t for t in texts if re.search("cunt|shit", t)]
