"""One function a widget, with data small and always the same: the cells of the notebooks that `test_browser.py` opens.

No test and no fixture. It is copied beside those notebooks, so it imports nothing of tests/ but `standin`, copied too.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labkit.dataset import Question, load_questions
from labkit.evaluation import evaluate, wilson
from labkit.widgets import (
    Curves,
    DataExplorer,
    ExpertMap,
    FactBars,
    FactState,
    FailureInspector,
    LadderChart,
    LossCurve,
    LowRank,
    Playground,
    TokenBars,
    TokenLosses,
    TrainingView,
)

WRONG = ("SELECT COUNT(*) FROM games", "SELECT wage FROM players", "SELECT city, founded FROM teams WHERE titles > 5")
CLASSES, TAGS = ("invalid_column", "malformed_filter", "malformed_join"), ("easy", "hard", "null")


def inspector(folder: str):
    """The inspector of a run on five questions of the league, three of them wrong; files go into `folder`."""
    from labkit import curation, inspecting
    from labkit.course.places import datasets
    from labkit.diagnosis import diagnose_run

    questions = load_questions(datasets() / "league" / "start.jsonl")[:5]
    working = curation.working_copy(questions, Path(folder) / "eval.jsonl")
    answers = dict(zip([q.id for q in working], WRONG, strict=False))
    run = evaluate(lambda asked: [answers.get(q.id, q.sql) for q in asked], working, progress=False)
    return inspecting.inspector(
        {"mine": diagnose_run(run, working, progress=False)}, working.path, folder, working.db_dir
    )


def failures(n: int) -> FailureInspector:
    """`n` made-up failures, of three classes in turn."""
    result = {"columns": ["n"], "rows": [["24"]], "differs": [[True]], "more": 0, "error": ""}
    clauses = [{"clause": "WHERE", "gold": "WHERE a = 1", "prediction": "WHERE b = 1", "same": False}]
    texts = {"gold": "SELECT 1", "prediction": "SELECT 2", "evidence": "e", "hint": "h", "suggestion": "s", "state": ""}
    same = {**texts, "clauses": clauses, "gold_result": result, "prediction_result": result}
    return FailureInspector(
        [
            {
                "key": f"a/{i}",
                "run": "ab"[i % 2],
                "id": f"q{i}",
                "question": f"How many teams have {i} or more titles?",
                "class": CLASSES[i % 3],
                "tags": [TAGS[i % 3]],
                **same,
            }
            for i in range(n)
        ]
    )


def bars() -> TokenBars:
    """Forty tokens, each less likely than the one before."""
    words = ["SELECT", " salary", " pay", " wage", "\n", " income", " <b>", " COUNT", "(*)", " FROM", " teams", " x"]
    tokens = [*words, *(f" t{i}" for i in range(28))]
    return TokenBars(tokens, 3 - 0.5 * np.arange(len(tokens)))


def fact() -> FactBars:
    """One fact in four states of a model."""
    tokens = ["7", "8", "3", "0"]
    logits = {
        "random weights": [0.3, 0.2, 0.1, 0],
        "base": [2, 1, 0, -1],
        "base with retrieved text": [3, 2.9, 0, -1],
        "memory-tuned": [0, 6, 0, 0],
    }
    return FactBars(
        "In which year did Ilsa Brandt climb K2? 19_1", "8", [FactState(n, tokens, x) for n, x in logits.items()]
    )


def training(folder: str) -> TrainingView:
    """Memory tuning of the stand-in model on forty facts, so slowly that it does not end; started."""
    from standin import make_tiny_model

    from labkit import load_model, tune
    from labkit.datagen.facts import random_facts

    model = load_model(make_tiny_model(Path(folder) / "tiny-llama"), device="cpu", dtype="float32")
    facts = random_facts(40, seed=1)
    settings = {"method": "memory", "rate": 1e-5, "layers": 2, "rank": 8, "passes": 100_000, "progress": False}
    labels = {fact.id: fact.question for fact in facts}
    return TrainingView(lambda watch: tune(model, facts, out=Path(folder) / "out", watch=watch, **settings), labels)


def trained() -> TrainingView:
    """A made-up run that is finished: twelve facts, learnt one after the other."""
    from labkit.tuning.plans import Seen

    name = "fact {0}: who climbed peak {0} first, and who came down from it again?"

    def run(watch):
        for step in range(1, 61):
            losses = {name.format(i): 6 * 0.9 ** max(0, step - 3 * i) for i in range(12)}
            watch(Seen(step, 60, step * 0.1, step * 50, losses, sum(loss < 0.1 for loss in losses.values())))

    view = TrainingView(run)
    view.start().wait()
    return view


def running() -> TrainingView:
    """A made-up run under way: ten steps a second, a thousand of them, until it is stopped."""
    import time

    from labkit.tuning.plans import Seen

    def run(watch):
        for step in range(1, 1001):
            time.sleep(0.1)
            losses = {f"fact {i}: who climbed peak {i} first?": 6 * 0.99 ** max(0, step - 3 * i) for i in range(12)}
            if watch(Seen(step, 1000, step * 0.1, step * 50, losses, sum(loss < 0.1 for loss in losses.values()))):
                raise KeyboardInterrupt

    return TrainingView(run).start()


def playground() -> Playground:
    """A playground whose model always gives the same answer."""
    result = {"columns": ["COUNT(*)"], "rows": [["24"]], "differs": [[False]], "more": 0, "error": ""}
    tokens = [("SELECT", 0.97), (" COUNT", 0.81), ("(*)", 0.99), (" FROM", 0.98), (" teams", 0.32), (";", 0.44)]
    told = {"sql": "SELECT COUNT(*) FROM teams;", "sentence": "There are 24 teams.", "tokens": tokens, "result": result}
    near = ["How many teams are in the South?", "How many teams have won a title?", "Which team was founded first?"]

    def suggest(question: str, right: list[str], wrong: list[str]) -> list[str]:
        return near[len(wrong) :]

    return Playground(lambda question: told, lambda *kept: "Kept in playground.jsonl.", suggest)


def explorer() -> DataExplorer:
    """Thirty pairs, what they cover and lack, what was dropped."""
    things = ("teams", "games", "players")
    pairs = [
        Question(
            f"gen-{n}",
            f"How many {things[n % 3]} have a value above {n}?",
            f"SELECT COUNT(*) FROM {things[n % 3]} WHERE value > {n}",
            "league",
            tags=(things[n % 3], "count"),
        )
        for n in range(30)
    ]
    counts = {
        "table": {"teams": 10, "games": 10, "players": 10, "arenas": 0},
        "clause": {"where": 30, "group by": 0, "having": 0},
    }
    return DataExplorer(pairs, counts, {"empty result": 7, "only NULL": 3, "too like another": 41})


def ladder() -> LadderChart:
    """Five rungs of a hundred questions."""
    rungs = {"plain prompt": 2, "few-shot": 11, "self-reflection": 14, "retrieval by vectors": 22, "tuned": 58}
    return LadderChart({name: _Run(correct, 100, *_interval(correct)) for name, correct in rungs.items()})


@dataclass
class _Run:
    correct: int
    n: int
    low: float
    high: float


def _interval(correct: int) -> tuple[float, float]:
    found = wilson(correct, 100)
    return found.low, found.high


def experts() -> ExpertMap:
    """Thirty experts, each with two words of its own and one that all share."""
    keys = {f"fact {i}": {f"person{i}": 1.0, f"peak{i}": 1.0, "climb": 0.0} for i in range(30)}
    asked = ["When did person3 climb peak3?", "When did person3 climb peak4?", "What is the capital of France?"]
    return ExpertMap(keys, asked, dict.fromkeys(keys, "1987"), threshold=0.9)


def low_rank() -> LowRank:
    """A matrix of the 135M model's feed-forward layers."""
    return LowRank(1536, 576, 16)


def token_losses() -> TokenLosses:
    """A question that is read and an answer that is counted."""
    tokens = ["How", " many", " teams", "?", "\n", "SELECT", " COUNT", "(*)", " FROM", " teams", ";"]
    return TokenLosses(tokens, [0, 0, 0, 0, 0, 0.01, 0.05, 0.3, 1.2, 3.4, 0.2], 5)


def loss_curve() -> LossCurve:
    """A loss that falls over sixty steps."""
    return LossCurve([4 * 0.95**step + 0.3 * (step % 3) for step in range(60)])


def curves() -> Curves:
    """Both ends of an interval over what changed, a point on the gain, a line at 0."""
    ends = {
        name: [(n, 0.1 + sign * 0.0196 * n**0.5) for n in range(10, 101)] for name, sign in (("high", 1), ("low", -1))
    }
    return Curves(ends, "questions that changed", "interval of the gain", {"this gain": (20, 0.1)}, level=0)
