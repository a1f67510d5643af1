"""The ladder: what each approach shows a model, what it may not show, rungs that go on, figures that add up."""

import json
import runpy
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path

import apsw
import numpy
import pandas
import pytest
import torch

import labkit
from labkit.agent import SqlGenerator
from labkit.dataset import Question, QuestionSet, load_questions, overlap, save_questions
from labkit.errors import LabkitError
from labkit.ladders import card_seconds, ladder
from labkit.meters import Figures, Metered, peak_memory
from labkit.models import weights_sha256
from labkit.reflection import Reflection
from labkit.rungs import RUNGS, RetrievalPrompt, _refuse, chosen, material, rung
from labkit.runs import RunStore
from labkit.side_effects import Prompt, side_effects
from labkit.tuning.adapter import read_card

tiny_model_dir = runpy.run_path(str(Path(__file__).with_name("standin.py")))["tiny_model_dir"]
RIGHT = "SELECT count(*) FROM teams"
LEAGUE_SETS = Path(__file__).parent.parent / "datasets" / "league"


class Scripted:
    """A chat model that gives the replies of a script in their order, then the last one for ever."""

    def __init__(self, *replies):
        self.replies, self.asked = list(replies), []

    def chat(self, conversations, **settings):
        self.asked += conversations
        return [self.replies.pop(0) if len(self.replies) > 1 else self.replies[0] for _ in conversations]

    def describe(self):
        return {"model": "scripted", "sha256": None}


class Word:
    """A tokenizer whose tokens are words."""

    chat_template = "yes"

    def apply_chat_template(self, messages, **options):
        return "\n".join(message["content"] for message in messages)

    def __call__(self, texts, **options):
        return type("Encoded", (), {"input_ids": [text.split() for text in texts]})


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "league.sqlite"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE teams (name TEXT, city TEXT, titles INTEGER)")
    connection.execute("CREATE TABLE arenas (arena TEXT, capacity INTEGER)")
    rows = [("Foxes", "Marlowe", 2), ("Owls", "Ironvale", 0), ("Elks", "Quillport", None)]
    connection.executemany("INSERT INTO teams VALUES (?, ?, ?)", rows)
    connection.execute("INSERT INTO arenas VALUES ('Acorn Center', 16400)")
    connection.close()
    (tmp_path / "glossary.md").write_text("# Words\n\n| say | means |\n|---|---|\n| crowd | `capacity` of an arena |\n")
    return path


@pytest.fixture
def questions(database) -> QuestionSet:
    texts = ("How many teams are there?", "Count the teams.", "What is the number of teams?")
    asked = [Question(f"q{i}", text, RIGHT, "league") for i, text in enumerate(texts)]
    return QuestionSet("three", asked, db_dir=database.parent)


def pair(i, question, sql, *tags) -> Question:
    return Question(f"gen-{i}", question, sql, "league", tags=tags)


PAIRS = (
    pair(1, "Which city is home to the Foxes?", "SELECT city FROM teams WHERE name = 'Foxes'", "lookup"),
    pair(2, "Which city is home to the Owls?", "SELECT city FROM teams WHERE name = 'Owls'", "lookup"),
    pair(3, "How big is the largest arena?", "SELECT max(capacity) FROM arenas", "extreme"),
    pair(4, "Who won the most titles?", "SELECT name FROM teams ORDER BY titles DESC LIMIT 1", "extreme"),
)


def said(conversation) -> str:
    return "\n".join(message["content"] for message in conversation)


def on(questions, database) -> list[Question]:
    """As `evaluate` hands them to a generator."""
    return [Question(q.id, q.question, q.sql, str(database)) for q in questions]


# --- self-reflection --------------------------------------------------------------------------------------------------


def test_an_error_is_fed_back_with_the_query_that_made_it(questions, database):
    model = Scripted("SELECT nickname FROM teams", RIGHT)
    assert Reflection(SqlGenerator(model))(on(questions[:1], database)) == [RIGHT]
    first, second = model.asked
    assert second[: len(first)] == first
    assert second[-2] == {"role": "assistant", "content": "SELECT nickname FROM teams"}
    assert second[-1]["role"] == "user" and "no such column: nickname" in second[-1]["content"]


@pytest.mark.parametrize("times", [1, 3])
def test_it_stops_after_so_many_tries(questions, database, times):
    model = Scripted("SELECT a FROM teams", "SELECT b FROM teams", "SELECT c FROM teams", "SELECT d FROM teams")
    (answer,) = Reflection(SqlGenerator(model), times)(on(questions[:1], database))
    assert len(model.asked) == 1 + times and answer == f"SELECT {'abcd'[times]} FROM teams"
    assert said(model.asked[-1]).count("no such column") == times  # it sees all that it has tried


def test_a_query_that_runs_is_not_asked_again_even_when_it_is_wrong(questions, database):
    model = Scripted("SELECT 'wrong'", "SELECT oops", RIGHT, "SELECT 'mended'")
    assert Reflection(SqlGenerator(model))(on(questions, database)) == ["SELECT 'wrong'", "SELECT 'mended'", RIGHT]
    assert len(model.asked) == 4 and "Count the teams." in said(model.asked[-1])


@pytest.mark.parametrize(
    "reply",
    ["", "DELETE FROM teams", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT sum(i) FROM n"],
)
def test_no_sql_a_refusal_and_a_limit_are_errors_too(questions, database, reply):
    model = Scripted(reply, RIGHT)
    assert Reflection(SqlGenerator(model), 1)(on(questions[:1], database)) == [RIGHT]
    assert "Error: stopped at a limit" in model.asked[1][-1]["content"]


def test_what_reflection_says_of_itself(questions):
    plain = SqlGenerator(Scripted(RIGHT))
    assert Reflection(plain, 2).describe() != Reflection(plain, 3).describe() != plain.describe()
    for times in (0, -1, "2"):
        with pytest.raises(LabkitError, match="one further try"):
            Reflection(plain, times)


# --- few-shot, retrieval ----------------------------------------------------------------------------------------------


def test_few_shot_shows_the_same_pairs_for_every_question(questions, database):
    model = Scripted(RIGHT)
    generator = rung("few-shot", model, material(questions, PAIRS), shots=2)
    generator(on(questions, database))
    turns = [[m["content"] for m in c if m["role"] == "assistant"] for c in model.asked]
    assert turns[0] == turns[1] == turns[2] and len(turns[0]) == 2 and set(turns[0]) < {p.sql for p in PAIRS}
    assert [questions[i].question in said(c) for i, c in enumerate(model.asked)] == [True] * 3


def test_chosen_pairs_differ():
    two = chosen(PAIRS, 2)
    assert {p.tags for p in two} == {("lookup",), ("extreme",)} and chosen(PAIRS, 2) == two
    assert {p.sql for p in chosen(PAIRS, 4)} >= {PAIRS[2].sql, PAIRS[3].sql} and len(chosen(PAIRS, 4)) == 3
    # the Foxes and the Owls are one query: its literal alone differs


def test_retrieval_shows_the_nearest_pairs_their_tables_and_the_glossary(questions, database):
    prompt = RetrievalPrompt(material(questions, PAIRS), examples=2)
    messages = prompt("In which city do the Owls play?", "never used")
    assert [m["content"] for m in messages if m["role"] == "assistant"] == [PAIRS[0].sql, PAIRS[1].sql]  # nearest last
    assert "In which city do the Owls play?" in messages[-1]["content"]
    text = said(messages)
    assert "teams(name TEXT" in text and "arenas(" not in text and "Glossary" not in text and "never used" not in text
    crowd = said(prompt("What crowd fits the Acorn Center?"))
    assert "- crowd: `capacity` of an arena" in crowd and "arenas(arena TEXT" in crowd


def test_a_glossary_that_is_given_stands_for_the_one_beside_the_database(questions, tmp_path, monkeypatch):
    words, texts = tmp_path / "words.md", []
    words.write_text("crowd: how many fit into an arena\n")
    shown = material(questions, PAIRS, glossary=words)
    assert shown.glossary == ("crowd: how many fit into an arena",)
    assert material(questions, PAIRS).glossary == ("crowd: `capacity` of an arena",)
    words.write_bytes(b"crowd: Zuschauerpl\xe4tze\n")
    with pytest.raises(LabkitError, match="words.md, line 1: not UTF-8"):
        material(questions, PAIRS, glossary=words)
    with pytest.raises(LabkitError, match="gone.md cannot be read"):
        material(questions, PAIRS, glossary=tmp_path / "gone.md")

    def generate(*_, glossary, **__):
        texts.append(Path(glossary).read_text())
        return type("Generated", (), {"pairs": PAIRS})

    monkeypatch.setattr("labkit.datagen.generate", generate)
    for text in ("crowd: `capacity`", "crowd: `capacity`", "crowd: `titles`"):
        words.write_text(text)
        material(questions, keep=tmp_path / "kept", glossary=words)
    assert texts == ["crowd: `capacity`", "crowd: `titles`"]  # kept for the same words, made anew for others


def test_retrieval_that_finds_nothing_shows_the_whole_schema(questions):
    text = said(RetrievalPrompt(material(questions, PAIRS))("Hm?"))
    assert "teams(" in text and "arenas(" in text


def test_retrieval_by_vectors_asks_the_encoder(questions):
    loads = []

    def load():
        loads.append(1)
        return lambda texts: numpy.array([[1.0, 0.0] if "arena" in text.lower() else [0.1, 1.0] for text in texts])

    prompt = RetrievalPrompt(material(questions, PAIRS), load, examples=1)
    assert prompt.describe()["prompt_hash"] and not loads  # saying what it is makes no index
    assert PAIRS[2].sql in said(prompt("Of the arenas, which?")) and PAIRS[2].sql not in said(prompt("Who?"))
    assert loads == [1]


def test_describe_tells_other_material_apart(questions):
    def hash_of(pairs, **options):
        return SqlGenerator(Scripted(RIGHT), RetrievalPrompt(material(questions, pairs), **options)).describe()

    assert hash_of(PAIRS) == hash_of(PAIRS) and hash_of(PAIRS)["prompt"] == "retrieval-bm25"
    assert hash_of(PAIRS) != hash_of(PAIRS[:3]) != hash_of(PAIRS[:3], examples=2)
    assert hash_of(PAIRS, load=lambda: None)["prompt"] == "retrieval-embeddings"


# --- what may not be shown --------------------------------------------------------------------------------------------

OVERLAPS = {
    "question": pair(9, "how many TEAMS are there", "SELECT 3"),
    "query": pair(9, "Teams, please: how many?", "select COUNT(*)\nfrom teams"),
}


@pytest.mark.parametrize("kind", OVERLAPS)
def test_pairs_that_hold_a_question_or_a_query_of_the_set_are_refused(questions, kind):
    with pytest.raises(LabkitError, match="of the set 'three' itself: q0.*generate --avoid"):
        material(questions, [*PAIRS, OVERLAPS[kind]])
    model = Scripted(RIGHT)
    with pytest.raises(LabkitError, match="itself"):
        ladder(model, questions, ["few-shot"], pairs=[*PAIRS, OVERLAPS[kind]])
    assert not model.asked


def test_a_skeleton_in_common_is_allowed(database):
    asked = [Question("q", "Who won two titles?", "SELECT name FROM teams WHERE titles = 2", "league")]
    solved = [pair(1, "Who won no title?", "SELECT name FROM teams WHERE titles = 0")]
    assert [found.kind for found in overlap(solved, asked)] == ["skeleton"]
    assert material(QuestionSet("one", asked, db_dir=database.parent), solved).pairs == tuple(solved)


def test_a_paraphrase_may_be_shown_the_query_that_was_trained_but_no_question_of_its_set():
    asked = load_questions(LEAGUE_SETS / "paraphrase.jsonl")
    pairs = list(load_questions(LEAGUE_SETS / "trained.jsonl"))
    database = LEAGUE_SETS / "league.sqlite"
    _refuse(pairs, asked, database)
    with pytest.raises(LabkitError, match=asked[0].id):
        _refuse([*pairs, replace(asked[0], id="mine")], asked, database)
    heldout = load_questions(LEAGUE_SETS / "heldout.jsonl")
    with pytest.raises(LabkitError, match=heldout[0].id):
        _refuse([*pairs, replace(heldout[0], id="mine", question="Other words?")], heldout, database)


def test_pairs_of_another_database_facts_and_several_databases_are_told(questions, database):
    with pytest.raises(LabkitError, match="The pairs are on clinic, the questions on league"):
        material(questions, [Question("1", "Q?", "SELECT 1", "clinic")])
    with pytest.raises(LabkitError, match="these hold facts or rows"):
        material(questions, [Question("1", "When?", answer="1981")])
    (database.parent / "other.sqlite").write_bytes(database.read_bytes())
    both = [*questions, Question("o", "Other?", "SELECT 1", "other")]
    with pytest.raises(LabkitError, match="are on 2 databases"):
        material(QuestionSet("both", both, db_dir=database.parent), PAIRS)
    with pytest.raises(LabkitError, match="needs solved pairs"):
        rung("few-shot", Scripted(RIGHT))


def test_generated_pairs_avoid_the_set_and_stay(league, tmp_path, monkeypatch):
    monkeypatch.setattr("labkit.rungs.PAIRS", 40)
    asked = [Question("1", "How many players are there?", "SELECT count(*) FROM players", "league")]
    questions = QuestionSet("one", asked, db_dir=league.parent.parent)
    made = material(questions, keep=tmp_path)
    assert len(made.pairs) == 40 and made.seconds > 0
    monkeypatch.setattr("labkit.datagen.generate", None)  # whoever generates again fails
    assert material(questions, keep=tmp_path) == made


# --- climbing ---------------------------------------------------------------------------------------------------------

COLUMNS = ["rung", "accuracy", "low", "high", "n", "correct", "valid", "prompt_tokens", "seconds", "build_seconds"]


def test_every_rung_is_a_run_with_its_figures(questions, tmp_path, monkeypatch):
    monkeypatch.setattr("labkit.rungs._encoder", lambda *_: lambda texts: numpy.ones((len(texts), 2)))
    store = RunStore(tmp_path / "runs.db")
    model = Scripted("SELECT oops", "SELECT 'wrong'", RIGHT)
    model.tokenizer = Word()
    climbed = ladder(model, questions, pairs=PAIRS, store=store)
    frame = climbed.to_frame()
    assert list(frame.columns) == [*COLUMNS, "peak_memory", "run"] and list(frame["rung"]) == list(RUNGS)
    prompt = frame.iloc[0]
    assert (prompt["n"], prompt["correct"], prompt["valid"]) == (3, 1, 2) and 0 < prompt["low"] < 1 / 3 < prompt["high"]
    assert list(frame["correct"][1:]) == [3] * 4
    assert [store.get(run).prompt for run in frame["run"]] == (
        ["plain", "few-shot", "plain, self-reflection", "retrieval-bm25", "retrieval-embeddings"]
    )
    words = len(said(model.asked[0]).split()), len(said(model.asked[1]).split()), len(said(model.asked[2]).split())
    assert prompt["prompt_tokens"] == sum(words) / 3
    assert frame["prompt_tokens"][1] > 2 * prompt["prompt_tokens"]
    assert frame["peak_memory"].isna().all()  # a model that is no network here
    assert json.loads(json.dumps(climbed.to_json()))["rungs"][0]["run"] == prompt["run"]
    assert "0.33 [0.06, 0.79] n=3" in str(climbed) and "few-shot" in str(climbed)


def test_tries_of_self_reflection_count_as_prompt_tokens(questions, tmp_path):
    model = Scripted("SELECT oops")
    model.tokenizer = Word()
    climbed = ladder(model, questions, ["self-reflection"], store=tmp_path / "runs.db", reflections=2)
    assert len(model.asked) == 9
    assert climbed.rungs[0].prompt_tokens == sum(len(said(c).split()) for c in model.asked) / 3


def test_the_same_call_shows_a_finished_ladder_again(questions, tmp_path):
    store = RunStore(tmp_path / "runs.db")
    model = Scripted(RIGHT)
    model.tokenizer = Word()
    rungs = ("prompt", "retrieval-bm25")
    first = ladder(model, questions, rungs, pairs=PAIRS, store=store)
    asked = len(model.asked)
    again = ladder(model, questions, rungs, pairs=PAIRS, store=store)
    assert len(model.asked) == asked and again == first and len(store.list()) == 2
    fresh = ladder(model, questions, rungs, pairs=PAIRS, store=store, fresh=True)
    assert len(model.asked) == 2 * asked and fresh.rungs[0].run.id != first.rungs[0].run.id
    assert [r.prompt_tokens for r in fresh.rungs] == [r.prompt_tokens for r in first.rungs]


def test_an_interrupted_ladder_goes_on_and_ends_like_an_unbroken_one(questions, tmp_path):
    class Stopping(Scripted):
        left = 4  # calls until Ctrl-C: in the second rung, after its first batch

        def chat(self, conversations, **settings):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return super().chat(conversations, **settings)

    def climb(model, folder):
        model.tokenizer = Word()
        return ladder(model, questions, ("prompt", "few-shot"), pairs=PAIRS, store=folder / "runs.db", batch_size=1)

    with pytest.raises(KeyboardInterrupt):
        climb(Stopping(RIGHT), tmp_path)
    going_on, unbroken = Scripted(RIGHT), Scripted(RIGHT)
    resumed, whole = climb(going_on, tmp_path), climb(unbroken, tmp_path / "other")
    assert len(going_on.asked) == 2 and len(unbroken.asked) == 6
    assert [r.prompt_tokens for r in resumed.rungs] == [r.prompt_tokens for r in whole.rungs]
    words = [len(said(conversation).split()) for conversation in unbroken.asked]
    assert [r.prompt_tokens for r in whole.rungs] == [sum(words[:3]) / 3, sum(words[3:]) / 3]
    assert [r.run.correct for r in resumed.rungs] == [3, 3] and len(RunStore(tmp_path / "runs.db").list()) == 2


def test_a_model_without_a_tokenizer_has_no_token_figure(questions, tmp_path):
    climbed = ladder(Scripted(RIGHT), questions, ["prompt"], store=tmp_path / "runs.db")
    assert climbed.rungs[0].prompt_tokens is None and climbed.rungs[0].peak_memory is None
    assert str(climbed).splitlines()[-1].split("3/3")[1].split()[::2][0] == "-"


def test_mistakes_are_told_before_any_work(questions, tmp_path):
    model = Scripted(RIGHT)
    for rungs, adapters, sentence in [
        (["prompts"], {}, "no rung 'prompts'.*retrieval-bm25"),
        ([], {}, "needs a rung"),
        (["prompt", "prompt"], {}, "Two rungs of the ladder are called 'prompt'"),
        (["prompt"], {"tuned": tmp_path}, "adapter is loaded on a local model"),
    ]:
        with pytest.raises(LabkitError, match=sentence):
            ladder(model, questions, rungs, adapters)
    with pytest.raises(LabkitError, match="'tuned' has no adapter: .*adapter_config.json"):
        ladder("smollm2-135m", questions, ["prompt"], {"tuned": tmp_path})
    assert not model.asked


# --- on a real network ------------------------------------------------------------------------------------------------


@pytest.fixture
def small_set(root, tmp_path) -> Path:
    questions = load_questions(root / "datasets/league/start.jsonl")[:3]
    return save_questions(tmp_path / "small.jsonl", questions)


def first_letters(texts):
    """A stand-in for the sentence encoder: what a text begins with."""
    vectors = numpy.zeros((len(texts), 26), dtype=numpy.float32)
    for row, text in zip(vectors, texts, strict=True):
        row[ord(text[:1].lower() or "a") % 26] = 1
    return vectors


def test_an_adapter_is_a_rung_with_the_seconds_of_its_card(root, small_set, tiny_model_dir, tmp_path, monkeypatch):
    from peft import LoraConfig, get_peft_model

    from labkit.tuning.adapter import Card

    network = labkit.load_model(tiny_model_dir, dtype="float32").network
    get_peft_model(network, LoraConfig(target_modules=["q_proj"])).save_pretrained(tmp_path / "adapter")
    assert card_seconds(tmp_path / "adapter") is None
    told = {"base": str(tiny_model_dir), "base_sha256": weights_sha256(tiny_model_dir), "prompt": "question_only"}
    card = Card(**told, method="instruction", data_sha256="", pairs=1, seconds=12.5, tokens=1, recalled=1, of=1)
    (tmp_path / "adapter" / "card.json").write_text(json.dumps(asdict(card)))
    questions = load_questions(small_set, db_dir=root / "datasets")
    monkeypatch.setattr("labkit.reranking._encoder", lambda *_: first_letters)
    pool = root / "datasets/league/trained.jsonl"
    climbed = ladder(
        tiny_model_dir, questions, ["prompt"], {"instruction tuning": tmp_path / "adapter"}, candidates=pool
    )
    plain, tuned, reranked = climbed.rungs
    assert reranked.name == "instruction tuning, reranked" and reranked.run.valid == 3 > tuned.run.valid
    assert reranked.build_seconds >= 12.5 and reranked.run.prompt == "question_only, reranked"
    assert (tuned.name, tuned.build_seconds, plain.build_seconds) == ("instruction tuning", 12.5, 0.0)
    assert tuned.run.adapter == str(tmp_path / "adapter") and plain.run.adapter is None
    assert (plain.run.prompt, tuned.run.prompt) == ("plain", "question_only")
    assert plain.prompt_tokens > 5 * tuned.prompt_tokens > 0
    assert plain.peak_memory > 50e6 and tuned.peak_memory > 50e6
    assert isinstance(climbed.to_frame(), pandas.DataFrame)


def test_figures_of_a_fresh_rung_begin_anew(tmp_path):
    Figures(tmp_path / "rung.json", fresh=False).count("q1", 70, 2)
    kept = Figures(tmp_path / "rung.json", fresh=False)
    assert (kept.asked, kept.prompt_tokens) == (2, 35)
    fresh = Figures(tmp_path / "rung.json", fresh=True)
    assert (fresh.asked, fresh.prompt_tokens, fresh.get("peak_memory")) == (0, None, None)
    (tmp_path / "rung.json").write_text("half of")
    assert Figures(tmp_path / "rung.json", fresh=False).asked == 0


def test_peak_memory_is_of_the_block_alone(tmp_path):
    class Local:
        network, device = torch.nn.Linear(1, 1), "cpu"

    def peak(megabytes) -> int:
        figures = Figures(tmp_path / f"{megabytes}.json", fresh=True)
        with peak_memory(Local(), figures):
            held = numpy.ones(megabytes * 125_000)
            time.sleep(0.5)  # time to look
            del held  # gone before the block ends
        return figures.get("peak_memory")

    low, high, after = peak(1), peak(400), peak(2)
    assert high - low > 200e6 and high - after > 200e6


def test_metered_passes_the_prompt_and_the_words_of_its_model_on():
    model = Scripted(RIGHT)
    model.prompt = "question_only"
    assert Metered(model).prompt == "question_only" and Metered(model).describe() == model.describe()
    assert SqlGenerator(Metered(model)).describe()["prompt"] == "question_only"


# --- rungs that are tuned here ----------------------------------------------------------------------------------------


def test_instruction_and_memory_are_rungs_by_name(questions, tiny_model_dir, tmp_path, monkeypatch):
    """Tuned on the solved pairs, once; the memory rung knows them by heart, and the set's questions stay unseen."""
    store, rungs = RunStore(tmp_path / "runs.db"), ["memory", "prompt", "instruction"]
    first = ladder(tiny_model_dir, questions, rungs, pairs=PAIRS, store=store)
    assert [rung.name for rung in first.rungs] == ["prompt", "memory", "instruction"]
    for tuned in first.rungs[1:]:
        card = read_card(tuned.run.adapter)
        assert card.method == tuned.name and card.pairs == 4 and Path(tuned.run.adapter).parent == tmp_path / "ladders"
        assert (
            tuned.build_seconds == card.seconds
            and card.tokens > 0
            and tuned.run.prompt == "question_only"
            and tuned.run.n == 3
        )
        assert tuned.peak_memory >= card.made["peak_memory"] > 50e6 and card.overlap["three"]["queries"] == 0
        kept = load_questions(Path(tuned.run.adapter) / "pairs.jsonl")
        assert not {q.question for q in kept} & {q.question for q in questions}
    memory, instruction = (read_card(tuned.run.adapter) for tuned in first.rungs[1:])
    assert memory.recalled == 4 and (memory.recipe["layers"], instruction.recipe["layers"]) == (1, 3)
    assert memory.continued_from is None
    monkeypatch.setattr("labkit.tuning.climbing.tune", None)  # whoever tunes again fails
    assert ladder(tiny_model_dir, questions, rungs, pairs=PAIRS, store=store, fresh=True).rungs[1].run.adapter == (
        first.rungs[1].run.adapter
    )


def test_tuning_that_was_cut_off_goes_on_in_the_same_folder(questions, tiny_model_dir, tmp_path, monkeypatch):
    from labkit.tuning.train import Trainer

    steps, step = [], Trainer.step

    def counted(self, what):
        steps.append(what)
        if len(steps) == 3:
            signal.raise_signal(signal.SIGINT)
        return step(self, what)

    def climb(folder):
        return ladder(tiny_model_dir, questions, ["memory"], pairs=PAIRS, store=folder / "runs.db")

    monkeypatch.setattr(Trainer, "step", counted)
    with pytest.raises(KeyboardInterrupt):
        climb(tmp_path / "a")
    resumed = climb(tmp_path / "a")
    taken = len(steps)
    whole = climb(tmp_path / "b")
    assert len(steps) - taken == taken > 3
    weights = [(Path(one.rungs[0].run.adapter) / "adapter_model.safetensors").read_bytes() for one in (resumed, whole)]
    assert weights[0] == weights[1]


def test_what_tuning_would_stop_at_is_said_before_the_first_rung(questions, tiny_model_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("labkit.ladders._load", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(LabkitError, match="of the set 'three' itself: q0"):
        ladder(tiny_model_dir, questions, ["prompt", "memory"], pairs=[*PAIRS, OVERLAPS["query"]])
    other = [Question("o", "The Foxes are at home where?", "SELECT city FROM teams WHERE name = 'Foxes'", "league")]
    save_questions(questions.db_dir / "others.jsonl", other)  # another evaluation set, beside the database
    with pytest.raises(LabkitError, match="also in an evaluation set"):
        ladder(tiny_model_dir, questions, ["prompt", "memory"], pairs=PAIRS)
    with pytest.raises(LabkitError, match="adapter is loaded on a local model"):
        ladder(Scripted(RIGHT), questions, ["instruction"], pairs=PAIRS)
    carrying = Scripted(RIGHT)
    carrying.name, carrying.adapter = "tiny", "there"
    with pytest.raises(LabkitError, match="tiny carries an adapter already"):
        ladder(carrying, questions, ["instruction"], pairs=PAIRS)


ELSEWHERE = ["agreement", "agreement_low", "agreement_high", "prompts", "kl", "perplexity_before", "perplexity_after"]


def test_what_tuning_did_elsewhere_stands_beside(questions, tiny_model_dir, tmp_path, monkeypatch):
    asked = [Prompt(f"p{i}", f"Name {i} birds.", "general") for i in range(3)]
    monkeypatch.setattr("labkit.ladders.general_prompts", lambda: asked)
    monkeypatch.setattr("labkit.ladders.plain_english", lambda: "The river was low, and the boats lay dry. " * 20)
    store, rungs = RunStore(tmp_path / "runs.db"), ["prompt", "memory"]
    climbed = ladder(tiny_model_dir, questions, rungs, pairs=PAIRS, store=store, side_effects=True)
    plain, tuned = climbed.to_json()["rungs"]
    assert (
        list(plain) == list(tuned) == list(climbed.to_frame().columns) == [*COLUMNS, "peak_memory", "run", *ELSEWHERE]
    )
    assert {plain[name] for name in ELSEWHERE} == {None}
    base = labkit.load_model(tiny_model_dir)
    adapted = labkit.load_model(tiny_model_dir, adapter=climbed.rungs[1].run.adapter)
    found = side_effects(base, adapted, asked, "The river was low, and the boats lay dry. " * 20)
    assert tuned["kl"] == pytest.approx(found.kl_answer) and tuned["kl"] > 0 and tuned["prompts"] == 3
    assert tuned["perplexity_after"] == pytest.approx(found.perplexity_after) != tuned["perplexity_before"]
    lines = str(climbed).splitlines()
    assert "same answer elsewhere" in lines[1] and lines[1].endswith("perplexity")
    assert lines[2].split()[-3:] == ["-"] * 3 and f"-> {found.perplexity_after:.2f}" in lines[3]
    monkeypatch.setattr("labkit.ladders.compare_elsewhere", None)  # whoever compares again fails
    assert ladder(tiny_model_dir, questions, rungs, pairs=PAIRS, store=store, side_effects=True) == climbed
    assert "elsewhere" not in str(ladder(tiny_model_dir, questions, rungs, pairs=PAIRS, store=store))


def test_side_effects_of_nothing_tuned_are_refused_before_any_work(questions):
    model = Scripted(RIGHT)
    with pytest.raises(LabkitError, match="no rung is tuned"):
        ladder(model, questions, ["prompt"], side_effects=True)
    assert not model.asked


def test_where_there_is_a_starter_instruction_tuning_begins_with_it(questions, tiny_model_dir, tmp_path, monkeypatch):
    """Memory tuning begins with the bare model, on its own recipe: the starter has adapters on all layers."""
    from labkit.tuning import climbing

    seen = []
    monkeypatch.setattr(climbing.starters, "has_starter", lambda model: True)
    monkeypatch.setattr(climbing, "tune", lambda *given, **settings: seen.append((given, settings)))
    model, pairs = labkit.load_model(tiny_model_dir), QuestionSet("pairs", PAIRS)
    out = climbing.tuned_adapter("instruction", model, pairs, tmp_path, [questions], RunStore(tmp_path / "runs.db"))
    ((given, settings),) = seen
    assert given[2:] == ("instruction", out) and (settings["adapter"], settings["rate"]) == ("starter", 1e-3)
    assert settings["avoid"] == [questions]
    climbing.tuned_adapter("memory", model, pairs, tmp_path, [questions], RunStore(tmp_path / "runs.db"))
    assert seen[1][0][2] == "memory" and seen[1][1]["adapter"] is None and not {"rate", "layers"} & seen[1][1].keys()


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(1800)  # seconds on two free cores, many minutes on a busy one
def test_the_real_model_climbs(root, small_set):
    questions = load_questions(small_set, db_dir=root / "datasets")
    pairs = [
        Question("gen-1-1", "How old is the oldest arena?", "SELECT min(opened) FROM arenas", "league"),
        Question(
            "gen-2-1", "Name the coaches of the North.", "SELECT coach FROM teams WHERE conference = 'North'", "league"
        ),
    ]
    climbed = ladder("smollm2-135m", questions, ("prompt", "few-shot", "retrieval-embeddings"), pairs=pairs)
    tokens = [rung.prompt_tokens for rung in climbed.rungs]
    assert 600 < tokens[0] < tokens[1] < 1500 and tokens[2] != tokens[1]
    assert all(rung.run.n == 3 and rung.peak_memory > 300e6 for rung in climbed.rungs)
    assert climbed.rungs[2].build_seconds > climbed.rungs[0].build_seconds == 0


def test_memory_experts_are_a_rung_alone_and_on_an_adapter(root, tiny_model_dir, tmp_path):
    from peft import LoraConfig, get_peft_model

    network = labkit.load_model(tiny_model_dir, dtype="float32").network
    get_peft_model(network, LoraConfig(target_modules=["q_proj"])).save_pretrained(tmp_path / "lora")
    asked = [("How many teams more than forty?", 40), ("Teams less seven, how many?", -7), ("Teams and two?", 2)]
    questions = [Question(f"q{n}", q, f"SELECT COUNT(*) + {n} FROM teams", "league") for q, n in asked]
    save_questions(tmp_path / "set.jsonl", questions)
    for name, below in (("alone", None), ("stacked", tmp_path / "lora")):
        made = labkit.remember(
            labkit.load_model(tiny_model_dir, adapter=below), questions, tmp_path / name, progress=False
        )
        assert made.recalled == 3
    adapters = {"experts": tmp_path / "alone", "LoRA": tmp_path / "lora", "experts on LoRA": tmp_path / "stacked"}
    climbed = ladder(
        tiny_model_dir, load_questions(tmp_path / "set.jsonl", db_dir=root / "datasets"), [], adapters,
        store=tmp_path / "runs.db",
    )  # fmt: skip
    assert [rung.run.correct for rung in climbed.rungs] == [3, 0, 3]
    seconds = card_seconds(tmp_path / "alone")
    assert seconds is not None and climbed.rungs[0].build_seconds == seconds
    assert card_seconds(tmp_path / "stacked") is None, "the adapter below says nothing of what it took"
    told = json.loads((tmp_path / "alone" / "card.json").read_text()) | {"seconds": 100.0}
    (tmp_path / "stacked" / "under" / "card.json").write_text(json.dumps(told))
    own = json.loads((tmp_path / "stacked" / "card.json").read_text())["seconds"]
    assert card_seconds(tmp_path / "stacked") == own + 100
