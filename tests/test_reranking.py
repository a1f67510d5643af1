"""Values that a question mentions, candidates out of a pool, and the choice among them by the model's likelihood."""

import math
import runpy
import zlib
from pathlib import Path

import numpy
import pytest
import torch

import labkit
import labkit.cli
from labkit.candidates import Candidates
from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.likelihood import log_probabilities, log_probability_after, token_probabilities
from labkit.linking import Values, lacking
from labkit.models import load_model
from labkit.reranking import RerankedGenerator, tells
from labkit.sqltext import normalise_sql

tiny_model_dir = runpy.run_path(str(Path(__file__).parent / "standin.py"))["tiny_model_dir"]


def words_as_vectors(texts):
    """A stand-in for the sentence encoder: one place a word, so a cosine is the share of words in common."""
    vectors = numpy.zeros((len(texts), 512), dtype=numpy.float32)
    for row, text in zip(vectors, texts, strict=True):
        for word in text.lower().split():
            row[zlib.crc32(word.strip("?.,'").encode()) % 512] += 1
    return vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)


PAIRS = (
    Question(
        "p1", "What year were the Anvils founded?", "SELECT founded FROM teams WHERE nickname = 'Anvils'", "league"
    ),
    Question("p2", "Which teams were founded after 1950?", "SELECT nickname FROM teams WHERE founded > 1950", "league"),
    Question("p3", "Who was born in 2001?", "SELECT name FROM players WHERE birth_date LIKE '2001-%'", "league"),
    Question("p4", "Who coaches the Foxes?", "SELECT coach FROM teams WHERE nickname = 'Foxes'", "league"),
    Question("p5", "Top three teams by titles.", "SELECT nickname FROM teams ORDER BY titles DESC LIMIT 3", "league"),
)


@pytest.fixture(scope="module")
def values(league):
    return Values(league)


@pytest.fixture(scope="module")
def tiny(tiny_model_dir):
    torch.set_num_threads(1)
    return load_model(tiny_model_dir, device="cpu", dtype="float32")


@pytest.fixture
def pool(league):
    return Candidates(PAIRS, league, words_as_vectors)


@pytest.mark.parametrize(
    "question, found",
    [
        ("When were the falcons founded?", [("falcons", "value")]),
        ("What's the Falcons' city?", [("falcons", "value")]),
        ("Who has over 1,500 points in 2030?", [("1500", "number"), ("2030", "year")]),
        ("the five best in Velden", [("5", "number"), ("velden", "value")]),
        ("Which one is it?", []),
        ("", []),
    ],
)
def test_mentions(values, question, found):
    mentions = values.mentions(question)
    assert [(m.value, m.kind) for m in mentions] == found
    assert all(question[m.start : m.end] for m in mentions)


def test_a_longer_value_wins_and_places_are_right(values):
    name = next(text for text, columns in values.columns.items() if "players.name" in columns)
    question = f"Where did {values.spelt[name]} go in 2030?"
    first, second = values.mentions(question)
    assert question[first.start : first.end] == values.spelt[name] and "players.name" in first.columns
    assert question[second.start : second.end] == "2030"


def test_questions_that_differ_in_values_alone_are_blanked_alike(values):
    def blanked(question):
        return values.blanked(question, values.mentions(question))

    assert blanked("What year were the Foxes founded, 1990?") == blanked("What year were the Falcons founded, 2011?")
    assert blanked("Who is older?") == "Who is older?"


@pytest.mark.parametrize(
    "question, sql",
    [
        ("What year were the Falcons founded?", "SELECT founded FROM teams WHERE nickname = 'Falcons'"),
        ("Which teams were founded after 1971?", "SELECT nickname FROM teams WHERE founded > 1971"),
        ("Who was born in 1999?", "SELECT name FROM players WHERE birth_date LIKE '1999-%'"),
        ("Top 7 teams by titles.", "SELECT nickname FROM teams ORDER BY titles DESC LIMIT 7"),
        ("Who coaches the Foxes?", "SELECT coach FROM teams WHERE nickname = 'Foxes'"),
    ],
)
def test_the_values_of_the_question_take_the_place_of_the_pairs(pool, question, sql):
    found = pool(question, 5)
    assert found[0].sql == sql and found[0].similarity == pytest.approx(1, abs=0.2)
    assert len({candidate.sql for candidate in found}) == len(found) <= 5


def test_a_quote_in_a_value_stays_a_literal(tmp_path):
    import sqlite3

    path = tmp_path / "bars.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bar (name TEXT, beds INTEGER)")
        connection.executemany("INSERT INTO bar VALUES (?, ?)", [("Harry's", 1), ("Blue Door", 2), ("x'; DROP", 3)])
    pairs = [Question("a", "How many beds has Blue Door?", "SELECT beds FROM bar WHERE name = 'Blue Door'", "bars")]
    pool = Candidates(pairs, path, words_as_vectors)
    assert pool("How many beds has Harry's?", 3)[0].sql == "SELECT beds FROM bar WHERE name = 'Harry''s'"
    for candidate in pool("How many beds has x'; DROP?", 3):
        assert labkit.execute(path, candidate.sql).ok


def test_vectors_are_kept(league, monkeypatch):
    first = Candidates(PAIRS, league, words_as_vectors)
    calls = []

    def counting(texts):
        calls.append(len(texts))
        return words_as_vectors(texts)

    again = Candidates(PAIRS, league, counting)
    assert not calls and (first.pool.plain == again.pool.plain).all()
    assert again("Who coaches the Anvils?")[0].sql == "SELECT coach FROM teams WHERE nickname = 'Anvils'"


def test_no_pairs_is_an_error(league):
    with pytest.raises(LabkitError, match="no pairs"):
        Candidates([], league, words_as_vectors)


def test_log_probabilities_are_the_networks_own(tiny):
    conversation = [{"role": "user", "content": "How many teams?"}]
    answers = ["SELECT 1", "SELECT COUNT(*) FROM teams WHERE city = 'Velden'", "", *(f"SELECT {i}" for i in range(9))]
    found = log_probabilities(tiny, conversation, answers)
    from labkit.decoding import prompt_tokens

    (prompt,) = prompt_tokens(tiny, [conversation])
    for answer, value in zip(answers, found, strict=True):
        tokens = [*tiny.tokenizer(answer, add_special_tokens=False).input_ids, tiny.tokenizer.eos_token_id]
        with torch.inference_mode():
            logits = tiny.network(input_ids=torch.tensor([[*prompt, *tokens]])).logits[0].log_softmax(-1)
        places = range(len(prompt) - 1, len(prompt) + len(tokens) - 1)
        assert value == pytest.approx(sum(logits[p, t].item() for p, t in zip(places, tokens, strict=True)), abs=1e-3)
    assert log_probabilities(tiny, conversation, []) == []


def test_each_token_has_its_share_of_an_answers_probability(tiny):
    conversation, answer = [{"role": "user", "content": "How many teams?"}], "SELECT COUNT(*) FROM teams"
    given = token_probabilities(tiny, conversation, answer)
    assert "".join(token for token, _ in given) == answer and all(0 < value < 1 for _, value in given)
    (whole,) = log_probabilities(tiny, conversation, [answer])
    from labkit.decoding import prompt_tokens

    (prompt,) = prompt_tokens(tiny, [conversation])
    read = [*prompt, *tiny.tokenizer(answer, add_special_tokens=False).input_ids]
    with torch.inference_mode():
        likely = tiny.network(input_ids=torch.tensor([read])).logits[0].softmax(-1)
    places = range(len(prompt), len(read))
    assert [value for _, value in given] == pytest.approx([likely[p - 1, read[p]].item() for p in places], rel=1e-3)
    end = likely[-1, tiny.tokenizer.eos_token_id].item()
    assert math.prod(value for _, value in given) * end == pytest.approx(math.exp(whole), rel=1e-2)
    assert token_probabilities(tiny, conversation, "") == []


@pytest.mark.parametrize("texts", [("one team", "two teams or more, at least", "0"), ("a", "b " * 40), ("c",)])
def test_one_answer_after_several_conversations(tiny, texts):
    conversations = [[{"role": "user", "content": text}] for text in texts]
    found = log_probability_after(tiny, conversations, "How many?")
    one_by_one = [log_probabilities(tiny, conversation, ["How many?"])[0] for conversation in conversations]
    assert found == pytest.approx(one_by_one, abs=1e-3)
    assert log_probability_after(tiny, [], "How many?") == []


def questions(league, *texts):
    asked = tuple(Question(f"q{i}", text, "SELECT 1", "league") for i, text in enumerate(texts))
    return QuestionSet("asked", asked, db_dir=league.parent.parent)


def test_the_best_by_likelihood_and_similarity_is_taken(tiny, league):
    """By hand: the same candidates, all scored, the best one found without leaving any out early."""
    pairs = QuestionSet("pool", PAIRS, db_dir=league.parent.parent)
    asked = questions(league, "What year were the Falcons founded?", "Who coaches the Anvils?", "Teams by titles")
    for weight, known in ((0.0, ()), (5.0, ()), (500.0, ()), (0.0, PAIRS[3:4]), (5.0, PAIRS)):
        settings = {"load": lambda: words_as_vectors, "max_new_tokens": 8, "prompt": "question_only"}
        generator = RerankedGenerator(tiny, pairs, k=5, weight=weight, known=known, **settings)
        checked = {pair.sql for pair in known}
        run = labkit.evaluate(generator, asked, progress=False)
        pool = Candidates(PAIRS, league, words_as_vectors)
        for question, result in zip(asked, run.results, strict=True):
            conversation = labkit.prompting.question_only(question.question)
            found = pool(question.question, 5)
            likely = log_probabilities(tiny, conversation, [c.sql for c in found])
            trusted = [10.0 * (c.sql in checked and c.similarity >= 0.6) for c in found]
            mentions = pool.values.mentions(question.question)
            lacks = [4.0 * lacking(mentions, c.sql) for c in found]
            scores = zip(found, likely, trusted, lacks, strict=True)
            told = [one for one in scores if tells(league, one[0].sql)]
            best = max(told, key=lambda one: one[1] + weight * one[0].similarity + one[2] - one[3])
            assert result.prediction == best[0].sql  # the stand-in's own answers do not run
    said = generator.describe()
    assert "reranked" in said["prompt"] and "5 known" in said["reranking"]


def test_a_run_with_drawn_pairs_is_known_by_the_glossarys_words(tiny, league, tmp_path):
    words, pairs = tmp_path / "glossary.md", QuestionSet("pairs", tuple(PAIRS), db_dir=league.parent.parent)

    def said(**how):
        return RerankedGenerator(tiny, pairs, load=lambda: words_as_vectors, **how).describe()

    words.write_text("| say | means |\n|---|---|\n| club | a row of `teams` |\n")
    before = said(aimed=True, glossary=words)
    assert said(aimed=True, glossary=words) == before and said(glossary=words) == said()
    words.write_text(words.read_text() + "| squad | a row of `teams` |\n")
    assert said(aimed=True, glossary=words) != before, "other words draw other pairs: another run"


def test_what_the_channel_says_counts_beside_the_likelihood(tiny, league):
    """By hand again, for a channel that finds the question explained by one query alone, whichever one that is."""
    pairs = QuestionSet("pool", PAIRS, db_dir=league.parent.parent)
    asked = questions(league, "What year were the Falcons founded?")
    settings = {"load": lambda: words_as_vectors, "max_new_tokens": 8, "prompt": "question_only"}
    found = Candidates(PAIRS, league, words_as_vectors)(asked[0].question, 5)
    for wanted in (candidate.sql for candidate in found):
        generator = RerankedGenerator(tiny, pairs, k=5, weight=0.0, **settings)
        generator.channel = lambda question, queries, wanted=wanted: [-2e4 * (sql != wanted) for sql in queries]
        (result,) = labkit.evaluate(lambda given, generator=generator: generator(given), asked, progress=False).results
        assert result.prediction == wanted


def test_a_known_query_is_trusted_where_its_question_is_near(tiny, league):
    """Only from the cosine on that is asked for, and only a known query; what that does to the choice is above."""
    pairs = QuestionSet("pool", PAIRS, db_dir=league.parent.parent)
    asked = questions(league, "Who coaches the Foxes now?")
    found = {c.sql: c for c in Candidates(PAIRS, league, words_as_vectors)(asked[0].question, 5)}
    wanted = PAIRS[3].sql
    assert found[wanted].similarity >= 0.6
    generator = RerankedGenerator(tiny, pairs, k=5, weight=0.0, known=PAIRS[3:4], load=lambda: words_as_vectors)
    assert generator._prior(found[wanted].similarity, normalise_sql(wanted), ()) == 10.0
    assert generator._prior(0.59, normalise_sql(wanted), ()) == 0.0
    assert generator._prior(0.9, normalise_sql(PAIRS[0].sql), ()) == 0.0


def test_values_that_a_query_lacks(values):
    """Each value once, in any of its forms; a plain number may speak of the answer."""
    mentions = values.mentions("Which Foxes were born in May 2001, and who coaches the Foxes? Two numbers.")
    assert lacking(mentions, "SELECT name FROM players") == 2
    assert lacking(mentions, "SELECT 1 WHERE team = 'Foxes'") == 1
    assert lacking(mentions, "SELECT 1 WHERE team = 'foxes' AND birth_date LIKE '2001-05-%'") == 0
    assert lacking((), "SELECT 1") == 0


@pytest.mark.parametrize(
    "sql, says",
    [
        ("SELECT name FROM players LIMIT 1", True),
        ("SELECT COUNT(*) FROM players WHERE name = 'Nobody'", True),  # nought is an answer
        ("SELECT name FROM players WHERE name = 'Nobody'", False),
        ("SELECT MAX(founded) FROM teams WHERE nickname = 'Nobody'", False),
        ("SELECT nickname, NULL FROM teams", True),
        ("SELECT nothing FROM nowhere", False),
        ("", False),
    ],
)
def test_what_an_answer_tells(league, sql, says):
    assert tells(league, sql) == says


@pytest.mark.parametrize("own", ["SELECT name FROM players WHERE name = 'Nobody'", "SELECT nickname FROM teams"])
def test_an_answer_without_rows_gives_way(tiny, league, own):
    """The model's own one is taken at any price here, unless it tells nothing."""
    pairs = QuestionSet("pool", PAIRS, db_dir=league.parent.parent)
    asked = questions(league, "What year were the Falcons founded?")
    generator = RerankedGenerator(tiny, pairs, k=5, own=1e6, load=lambda: words_as_vectors, prompt="question_only")
    generator.generator.answer = lambda conversations: [own] * len(conversations)
    (result,) = labkit.evaluate(lambda given: generator(given), asked, progress=False).results
    assert (result.prediction == own) == ("Nobody" not in own)


def test_an_endpoint_and_a_senseless_k_are_refused(tiny, league):
    pairs = QuestionSet("pool", PAIRS, db_dir=league.parent.parent)
    with pytest.raises(LabkitError, match="local model"):
        RerankedGenerator(object(), pairs)
    with pytest.raises(LabkitError, match="at least"):
        RerankedGenerator(tiny, pairs, k=0)


@pytest.mark.real
def test_the_real_model_ranks_what_the_real_encoder_finds(root):
    """Trained queries asked in other words. The model is not tuned, so the cosine has to decide."""
    trained = labkit.load_questions(root / "datasets/league/trained.jsonl", db_dir=root / "datasets")[:40]
    asked = labkit.load_questions(root / "datasets/league/paraphrase.jsonl", db_dir=root / "datasets")
    known = {pair.sql for pair in trained}
    asked = QuestionSet("known", tuple(q for q in asked if q.sql in known)[:4], db_dir=root / "datasets")
    assert len(asked) == 4
    generator = RerankedGenerator(
        labkit.load_model(), trained, k=8, weight=300.0, prompt="question_only", max_new_tokens=24
    )
    run = labkit.evaluate(generator, asked, store=labkit.RunStore(), progress=False)
    assert run.valid == 4 and run.correct >= 3


def test_known_pairs_alone_are_a_pool_on_the_command_line(
    tiny_model_dir, league, tmp_path, monkeypatch, capsys, own_home
):
    """Both options, or either; the model's prompt is the shortest one."""
    monkeypatch.setattr("labkit.reranking._encoder", lambda *_: words_as_vectors)
    asked, pool = tmp_path / "asked.jsonl", tmp_path / "pool.jsonl"
    labkit.save_questions(asked, questions(league, "What year were the Anvils founded?"))
    labkit.save_questions(pool, PAIRS)
    both = ["--candidates", str(pool), "--known"]
    for options in (["--known"], ["--candidates"], both, ["--aimed", "--candidates"]):
        arguments = ["evaluate", "-q", asked, "--model", tiny_model_dir, "--prompt", "question_only", "--db-dir"]
        line = ["labkit", *map(str, arguments), str(league.parent.parent), "--json", *options, str(pool)]
        monkeypatch.setattr("sys.argv", line)
        with pytest.raises(SystemExit):
            labkit.cli.main()
        said = capsys.readouterr()
        assert '"n": 1' in said.out, said.err
