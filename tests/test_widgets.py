"""The widgets: what their controls do, in Python and, with a small stand-in for a browser, in node; each has a still
table everywhere else. The next-token bars show the numbers of labkit's sampling.
"""

import asyncio
import json
import math
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from labkit import curation, inspecting, sampling
from labkit.agent import Agent
from labkit.datagen.facts import random_facts
from labkit.dataset import Question, load_questions, overlap, save_questions
from labkit.diagnosis import diagnose_run
from labkit.errors import LabkitError
from labkit.evaluation import evaluate, mcnemar, wilson
from labkit.execution import ExecutionResult
from labkit.models import load_model
from labkit.schema import read_schema
from labkit.tuning import tune
from labkit.tuning.selection import Selection
from labkit.tuning.sources import read_pairs, refuse_overlap
from labkit.widgets import (
    DataExplorer,
    ExpertMap,
    FactBars,
    FactState,
    FailureInspector,
    LadderChart,
    Playground,
    TokenBars,
    TrainingView,
    distributions,
    experts,
    ladder,
    training,
)
from labkit.widgets.distributions import visible

tiny_model_dir = runpy.run_path(str(Path(__file__).parent / "standin.py"))["tiny_model_dir"]

TOKENS = ["salary", " pay", "<b>", "wage\n", ""]
LOGITS = [2.0, 1.0, 0.5, 0.25, -1.0]


@pytest.fixture
def bars():
    return TokenBars(TOKENS, LOGITS)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7])
@pytest.mark.parametrize("top_k", [0, 1, 3, 40, 500])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 1.0])
def test_the_filters_are_those_of_labkits_sampling(temperature, top_k, top_p):
    logits = np.random.default_rng(top_k).normal(size=200) * 3
    ours = TokenBars([str(i) for i in range(200)], logits).probabilities(temperature, top_k, top_p)
    theirs = sampling.probabilities(torch.tensor(logits), temperature, top_k, top_p).double().numpy()
    assert np.allclose(ours, theirs, atol=1e-6) and np.isclose(ours.sum(), 1)
    assert np.count_nonzero(ours) == np.count_nonzero(theirs)


def test_temperature_0_is_greedy(bars):
    assert bars.probabilities(temperature=0).tolist() == [1, 0, 0, 0, 0]


def test_log_probabilities_serve_as_logits():
    logits = np.array(LOGITS)
    logs = np.log(distributions.temperature(logits, 1.0))
    for settings in ({}, {"temperature": 0.4}, {"temperature": 2.0, "top_k": 3}, {"top_p": 0.7}):
        assert np.allclose(
            TokenBars(TOKENS, logs).probabilities(**settings), TokenBars(TOKENS, logits).probabilities(**settings)
        )


def test_moving_a_slider_moves_the_bars(bars):
    box = bars.widget()
    heat, keep_k, keep_p, view = box.children
    seen = [view.value]
    for slider, value in ((heat, 0.2), (keep_k, 2), (keep_p, 0.3), (heat, 2.0)):
        slider.value = value
        seen.append(view.value)
    assert len(set(seen[:4])) == 4
    assert seen[3].count(" 0.0 %") == 4 and "100.0 %" in seen[3]


def test_every_slider_has_a_label_and_stays_in_its_range(bars):
    heat, keep_k, keep_p, _ = bars.widget().children
    assert [slider.description for slider in (heat, keep_k, keep_p)] == ["temperature", "top-k (0: all)", "top-p"]
    for slider, low, high in ((heat, 0.05, 2), (keep_k, 0, 50), (keep_p, 0.05, 1)):
        assert (slider.min, slider.max) == (low, high)
        for value in (low, high):
            slider.value = value  # draws without an error


def test_a_learners_filters_are_used():
    def only_last(probabilities, k):
        return np.eye(len(probabilities))[-1]

    bars = TokenBars(TOKENS, LOGITS, (distributions.temperature, only_last, distributions.top_p))
    assert bars.probabilities(top_k=1).tolist() == [0, 0, 0, 0, 1]
    lists = TokenBars(TOKENS, LOGITS, (lambda x, t: [0.2] * 5, distributions.top_k, distributions.top_p))
    assert lists.probabilities().tolist() == [0.2] * 5


def test_rows_show_the_likeliest_and_the_rest():
    bars = TokenBars([f"t{i}" for i in range(100)], np.zeros(100), bars=10)
    rows = bars.rows()
    assert len(rows) == 11 and rows[-1][0] == "90 others" and np.isclose(rows[-1][1], 0.9)
    assert np.isclose(sum(value for _, value in rows), 1)
    assert np.isclose(bars.rows(top_k=5)[-1][1], 0)


def test_the_still_forms_need_no_widget(bars):
    bundle = bars._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == bars.text() == repr(bars)
    assert bundle["text/html"].startswith("<table>") and "style" not in bundle["text/html"]
    assert re.search(r"salary\s+55\.1 %\s+█", bars.text())


def test_tokens_are_escaped_and_visible(bars):
    for shown in (bars.table(), bars._bars()):
        assert "&lt;b&gt;" in shown and "<b>" not in shown
    assert "␣pay" in bars.text() and "wage↵" in bars.text() and "(empty)" in bars.text()
    assert visible("\x00\u200b") == "\\x00\\u200b" and visible("é") == "é"


@pytest.mark.parametrize("tokens, logits", [([], []), (["a"], []), (["a"], [1.0, 2.0])])
def test_tokens_and_logits_must_fit(tokens, logits):
    with pytest.raises(ValueError, match="tokens but"):
        TokenBars(tokens, logits)


def test_a_whole_vocabulary_is_drawn_fast():
    logits = np.random.default_rng(0).normal(size=50_000)
    box = TokenBars([str(i) for i in range(50_000)], logits).widget()
    box.children[2].value = 0.5
    assert "others" in box.children[3].value


# --- one fact in four states

STATES = (
    FactState("random weights", ["7", "<b>", "8", "0"], [0.3, 0.2, 0.1, 0.0]),
    FactState("base", ["7", "8", "<b>", "0"], [2.0, 1.0, 0.0, -1.0]),
    FactState("base with retrieved text", ["8", "4", "7", "0"], [3.0, 2.9, 0.0, -1.0]),
    FactState("memory-tuned", ["8", "7", "4", "0"], [4.0, 0.0, 0.0, 0.0]),
)


@pytest.fixture
def fact():
    return FactBars("Who climbed <it>?", "8", STATES, bars=2)


def test_a_fact_has_the_right_tokens_chance_in_each_state(fact):
    chances = fact.chances()
    assert list(chances) == [state.name for state in STATES]
    weights = np.exp(STATES[1].logits)
    assert np.isclose(chances["base"], weights[1] / weights.sum()) and chances["memory-tuned"] > 0.9
    assert fact.chances(0.05)["base"] < 1e-6 and 0.8 < fact.chances(0.05)["base with retrieved text"] < 0.9


def test_the_right_token_has_a_row_even_when_it_is_unlikely(fact):
    assert [row[0] for row in fact.rows("random weights")] == ["7", "<b>", "8"]
    assert [row[2] for row in fact.rows("random weights")] == [False, False, True]
    assert [row[0] for row in fact.rows("memory-tuned")] == ["8", "7"]


def test_a_facts_slider_has_a_label_and_moves_all_four_views(fact):
    slider, view = fact.widget().children
    assert slider.description == "temperature" and (slider.min, slider.max) == (0.05, 2.0)
    before = view.value
    slider.value = 0.1
    assert view.value != before and "aria-label='one fact in 4 states'" in view.value
    for state in STATES:
        part = [re.search(rf"<b>{state.name}</b>.*?</table>", value).group() for value in (before, view.value)]
        assert part[0] != part[1] and part[0].count("✓") == part[1].count("✓") == 1


def test_a_facts_still_forms(fact):
    bundle = fact._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == fact.text() == repr(fact) and "style" not in bundle["text/html"]
    assert bundle["text/html"].count('<th scope="col">') == 4 and bundle["text/html"].count("<tr>") == 4
    assert fact.text().count("✓") == 5  # the title, and one row a state
    for shown in (bundle["text/html"], fact._bars(1.0)):
        assert "&lt;it&gt;" in shown and "<code>&lt;b&gt;</code>" in shown


@pytest.mark.parametrize(
    "token, states, told",
    [("8", (), "at least one"), ("8", STATES[:1] * 2, "same name"), ("4", STATES, "not among the tokens of 'random")],
)
def test_a_fact_that_cannot_be_shown_is_refused(token, states, told):
    with pytest.raises(ValueError, match=told):
        FactBars("?", token, states)


def test_widgets_import_without_torch():
    code = "import sys, labkit.widgets; assert not {'torch', 'apsw', 'transformers'} & set(sys.modules), 'heavy'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_course_imports_without_torch():
    code = "import sys, labkit.course; assert not {'torch', 'transformers'} & set(sys.modules), 'heavy'"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the training view, on a made-up run and on the stand-in model


@dataclass
class Seen:
    step: int
    total: int
    seconds: float
    tokens: int
    losses: dict
    mastered: int | None


def slow_run(kept, steps=40):
    """A run of `steps` steps that keeps in `kept` how far it is, and stops when it is told to."""

    def run(watch):
        while kept["step"] < steps:
            time.sleep(0.005)
            kept["step"] += 1
            at = kept["step"]
            seen = Seen(at, steps, at * 0.1, at * 50, {"a": 4.0 / at, "<b>": 2.0}, at // 10)
            if watch(seen):
                raise KeyboardInterrupt
        return "done"

    return run


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.002)
    assert true()


def test_a_run_returns_at_once_stops_goes_on_and_finishes():
    kept = {"step": 0}
    view = TrainingView(slow_run(kept), labels={"a": "the first fact"})
    assert view.start() is view and view.state == "running"
    until(lambda: view.step >= 3)
    view.stop()
    assert view.wait() is None and view.state == "stopped" and 3 <= kept["step"] < 40
    at = kept["step"]
    time.sleep(0.05)
    assert kept["step"] == at == view.step
    assert view.start().wait() == "done" and view.state == "finished" and kept["step"] == 40
    assert [step for step, _ in view.history["a"]] == list(range(1, 41)) and view.mastered == 4
    assert view.start().state == "finished" and "500 tokens/s" in view.summary()


def test_the_buttons_of_the_view_start_and_stop():
    view = TrainingView(slow_run({"step": 0}, steps=400))
    bar, shown = view.widget().children
    begin, end = bar.children
    assert all(button.description and button.tooltip for button in (begin, end))
    assert end.disabled and not begin.disabled
    begin.click()
    until(lambda: view.step >= 1)
    assert begin.disabled and not end.disabled
    end.click()
    assert view.wait() is None and view.state == "stopped" and "stopped" in shown.value
    assert end.disabled and not begin.disabled


def test_an_interrupt_while_waiting_stops_and_keeps():
    view = TrainingView(slow_run({"step": 0}, steps=4000)).start()
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    assert view.wait() is None and view.state == "stopped" and 0 < view.step < 4000


@pytest.mark.parametrize("thread", [False, True])  # JupyterLab has buttons pressed in another one
def test_an_interrupt_between_two_cells_stops_as_well(thread):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a kernel has it between two cells

    async def idle():
        view = TrainingView(slow_run({"step": 0}, steps=4000))
        await asyncio.to_thread(view.start) if thread else view.start()
        await asyncio.sleep(0.8)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.8)
        return view

    try:
        view = asyncio.run(idle())
        assert view.state == "stopped" and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_run_that_fails_says_so_and_wait_raises():
    view = TrainingView(lambda watch: 1 / 0).start()
    with pytest.raises(ZeroDivisionError):
        view.wait()
    assert view.state == "failed" and "division" in view.summary()


def test_what_is_seen_once_has_no_change_to_show_and_what_is_left_out_is_counted():
    def run(watch):
        for step in range(1, 46):
            losses = {f"e{step}": 1.5} | ({"e1": 0.5} if step == 45 else {})
            watch(SimpleNamespace(step=step, total=45, mastered=None, seconds=1.0, tokens=10 * step, losses=losses))

    view = TrainingView(run).start()
    view.wait()
    lines = view.text().splitlines()
    assert "1.50 →   0.50" in lines[1] and lines[2].split() == ["e2", "1.50", "seen", "once"] and len(lines) == 42
    said = "The first 40 of 45 examples are shown."
    assert lines[-1] == said and said in view.table() and "40 of 45" in view.picture()


def test_the_map_has_a_row_a_fact_a_cell_a_span_and_stands_still_too():
    view = TrainingView(slow_run({"step": 0}))
    view.start().wait()
    assert [len(spans) for _, spans in view.rows()] == [20, 20]
    assert view.rows()[0][1][0] == 2.0 and view.rows()[0][1][-1] == 0.1
    assert "&lt;b&gt;" in view.table() and "<b>" not in view.table()
    assert (
        view.table().count("title='loss 2.00'") == 21 and "finished" in view.text() and "2.00 →   2.00" in view.text()
    )
    bundle = view._repr_mimebundle_()
    assert {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"} <= bundle.keys()


def test_the_maps_picture_has_each_fact_its_last_loss_and_a_square_a_span():
    view = TrainingView(slow_run({"step": 0}), labels={"a": "x" * 80})
    assert "ready; step 0 of 0" in view.picture()
    view.start().wait()
    picture = ElementTree.fromstring(view.picture())
    texts = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"x" * 45 + "…", "<b>", "0.10", "2.00", *training._WORDS} <= set(texts) and "finished" in texts[0]
    squares = "".join(path.get("d") for path in picture.iter("{http://www.w3.org/2000/svg}path"))
    assert squares.count("v13") == 2 * 20
    wide, high = map(int, picture.get("viewBox").split()[2:])
    assert all(int(x) + 12 <= wide - 40 and int(y) + 13 <= high for x, y in re.findall(r"M(\d+) (\d+)h12v", squares))


def test_what_stands_in_a_cell_is_drawn_anew_where_the_state_is_another(monkeypatch):
    drawn = []
    monkeypatch.setattr("IPython.display.display", lambda data, **how: drawn.append((data, how)))
    view = TrainingView(slow_run({"step": 0}, steps=4))
    view.wait()
    assert not drawn, "nothing is shown yet"
    view._ipython_display_()
    view.wait()
    assert len(drawn) == 1, "the same state"
    view.start().wait()
    view.wait()
    (first, how), (last, again) = drawn
    assert "ready" in first["text/plain"] and "finished; step 4 of 4" in last["text/plain"]
    assert again == {**how, "update": True} and how["display_id"]
    live = "application/vnd.jupyter.widget-view+json"
    assert first[live] == last[live], "the same live view"


def test_ink_stands_out_from_every_shade():
    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    shades = [light(shade) for shade in training._SHADES]
    assert shades == sorted(shades, reverse=True)
    for shade in training._SHADES:
        ink = "#ffffff" if "color:#fff;" in training._paint(shade) else "#000000"
        high, low = sorted((light(shade), light(ink)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, shade


def test_a_real_tuning_is_watched_stopped_and_ends_with_the_same_bits(tiny_model_dir, tmp_path):
    model = load_model(tiny_model_dir, device="cpu", dtype="float32")
    facts = random_facts(6, seed=1)
    settings = {"method": "memory", "rate": 3e-3, "layers": 2, "rank": 8, "progress": False}
    whole = tune(model, facts, out=tmp_path / "whole", **settings)
    view = TrainingView(lambda watch: tune(model, facts, out=tmp_path / "parts", watch=watch, **settings))
    kept_saw = view.saw
    view.saw = lambda seen: kept_saw(seen) or seen.step == 5
    assert view.start().wait() is None and view.state == "stopped" and view.step == 5
    assert (tmp_path / "parts" / "unfinished" / "checkpoint.pt").is_file()
    view.saw = kept_saw
    parts = view.start().wait()
    assert view.state == "finished" and parts.recalled == whole.recalled and view.step > 5
    assert set(view.history) == {fact.id for fact in facts} and view.mastered == parts.recalled
    files = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert files[0] == files[1]


# --- the data explorer

PAIRS = [
    Question(f"p{n}", f"Question <{n}> about {thing}?", f"SELECT {n} FROM {thing}", "x", tags=(thing, "count"))
    for n, thing in enumerate(("teams", "games", "teams", "players", "teams"), 1)
]
COUNTS = {"table": {"teams": 3, "games": 1, "arenas": 0}, "clause": {"where": 0}}
DROPPED = {"empty result": 7, "only NULL": 0}


@pytest.fixture
def explorer():
    return DataExplorer(PAIRS, COUNTS, DROPPED)


@pytest.fixture
def controls(explorer):
    """The live view's parts by name."""
    summary, figures, tag, decision, words, row, pair, buttons = explorer.widget().children
    named = {button.description.split()[1]: button for button in buttons.children}
    return {**named, "summary": summary, "tag": tag, "decision": decision, "words": words, "row": row, "pair": pair}


def test_decisions_are_plain_and_can_be_taken_back(explorer):
    explorer.decide("p2", "rejected")
    explorer.decide("p1", "accepted")
    explorer.decide("p3", "accepted")
    explorer.decide("p3", "undecided")
    assert explorer.decisions == {"p2": "rejected", "p1": "accepted"}
    assert [q.id for q in explorer.accepted()] == ["p1"] and [q.id for q in explorer.rejected()] == ["p2"]
    assert [q.id for q in explorer.kept()] == ["p1", "p3", "p4", "p5"]
    assert [record["decision"] for record in explorer.records()][:3] == ["accepted", "rejected", "undecided"]
    assert DataExplorer(PAIRS, decisions=explorer.decisions).records() == explorer.records()


@pytest.mark.parametrize("id, decision, told", [("p9", "accepted", "no pair 'p9'"), ("p1", "maybe", "no decision")])
def test_what_is_no_decision_is_refused(explorer, id, decision, told):
    with pytest.raises(LabkitError, match=told):
        explorer.decide(id, decision)


def test_two_pairs_with_one_id_are_refused():
    with pytest.raises(LabkitError, match="same id"):
        DataExplorer([PAIRS[0], PAIRS[0]])


def test_rejected_rows_are_saved_and_read_again(explorer, tmp_path):
    assert explorer.save_rejected(tmp_path / "none.jsonl").read_text() == ""
    explorer.decide("p4", "rejected")
    explorer.decide("p2", "rejected")
    path = explorer.save_rejected(tmp_path / "rejected.jsonl")
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["p2", "p4"]


def test_rows_are_filtered(explorer):
    explorer.decide("p1", "rejected")
    assert [q.id for q in explorer.shown(tag="teams")] == ["p1", "p3", "p5"]
    assert [q.id for q in explorer.shown(tag="teams", decision="undecided")] == ["p3", "p5"]
    assert [q.id for q in explorer.shown(words=" ABOUT games")] == ["p2"]
    assert [q.id for q in explorer.shown(words="select 4")] == ["p4"] and not explorer.shown(words="arenas")


def test_the_buttons_decide_go_on_and_undo(explorer, controls):
    controls["Accept"].click()
    controls["Reject"].click()
    assert explorer.decisions == {"p1": "accepted", "p2": "rejected"} and controls["row"].value == 3
    assert "1 accepted, 1 rejected, 3 undecided" in controls["summary"].value
    controls["Undo"].click()
    assert explorer.decisions == {"p1": "accepted"} and controls["row"].value == 2
    controls["Undo"].click()
    assert explorer.decisions == {} and controls["Undo"].disabled
    controls["Next"].click()
    controls["Back"].click()
    assert controls["row"].value == 1 and "p1" in controls["pair"].value


def test_a_filter_of_undecided_rows_skips_none(explorer, controls):
    controls["decision"].value = "undecided"
    for _ in PAIRS:
        controls["Reject"].click()
    assert [q.id for q in explorer.rejected()] == [q.id for q in PAIRS]
    assert "No row is left" in controls["pair"].value and controls["Accept"].disabled and controls["Next"].disabled
    controls["Undo"].click()
    assert "p5" in controls["pair"].value and explorer.decision("p5") == "undecided"


def test_a_filter_keeps_decisions(explorer, controls):
    controls["Reject"].click()
    controls["tag"].value = "games"
    assert "row 1 of 1, p2" in controls["pair"].value
    controls["Accept"].click()
    controls["tag"].value, controls["words"].value = "all", "nothing like it"
    assert "No row is left" in controls["pair"].value
    controls["words"].value = ""
    assert explorer.decisions == {"p1": "rejected", "p2": "accepted"} and "✗ rejected" in controls["pair"].value


def test_every_control_has_a_label_and_is_reached_by_tab(controls):
    assert [controls[name].description for name in ("tag", "decision", "words", "row")] == [
        "tag", "decision", "words", "row",
    ]  # fmt: skip
    buttons = [controls[name] for name in ("Accept", "Reject", "Undo", "Back", "Next")]
    assert all(len(button.description.split()) == 2 and button.tooltip for button in buttons)
    assert all(control.tabbable is not False for control in controls.values())


def test_the_explorers_still_forms(explorer):
    bundle = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle and bundle["text/plain"] == repr(explorer)
    assert "table: has 2 of 3; lacks arenas" in repr(explorer) and "clause: has 0 of 1; lacks where" in repr(explorer)
    assert "dropped: empty result 7" in repr(explorer) and "only NULL" not in repr(explorer)
    assert (
        "style" not in bundle["text/html"]
        and "<td>2\N{NO-BREAK SPACE}of\N{NO-BREAK SPACE}3</td><td>arenas</td>" in bundle["text/html"]
    )


def test_the_explorer_escapes_and_names_no_fixed_text_colour(explorer, controls):
    for shown in (explorer.table(), controls["pair"].value):
        assert "&lt;1&gt;" in shown and "<1>" not in shown
    assert not re.search(r"(?<!-)color:|background", controls["pair"].value)


def test_an_explorer_of_nothing():
    explorer = DataExplorer([])
    assert repr(explorer).startswith("0 pairs") and "No row is left" in explorer.widget().children[6].value


# --- the failing-query inspector


SIDES = ("gold_result", "prediction_result")
ANSWERS = {
    "start-01": "SELECT COUNT(*) FROM games",
    "start-02": "SELECT wage FROM players",
    "start-03": "",
}


@pytest.fixture
def evaluation(root, tmp_path):
    """Five questions of the league in a file of their own."""
    questions = load_questions(root / "datasets" / "league" / "start.jsonl")
    return curation.working_copy(questions[:5], tmp_path / "eval.jsonl")


@pytest.fixture
def live(evaluation, tmp_path):
    """An inspector of a run on them: three answers wrong, two right."""
    answers = dict(zip([q.id for q in evaluation], ANSWERS.values(), strict=False))

    def generator(questions):
        return [answers.get(question.id, question.sql) for question in questions]

    diagnosed = diagnose_run(evaluate(generator, evaluation, progress=False), evaluation)
    return inspecting.inspector({"mine": diagnosed}, evaluation.path, tmp_path / "out", evaluation.db_dir)


def record(**changes) -> dict:
    empty = {"columns": [], "rows": [], "differs": [], "more": 0, "error": "", "note": ""}
    plain = dict.fromkeys(("question", "gold", "prediction", "evidence", "hint", "suggestion", "state"), "")
    named = {"key": "a/1", "run": "a", "id": "1", "class": "x", "tags": [], "clauses": []}
    return {**plain, **named, "gold_result": empty, "prediction_result": empty, **changes}


def many(n: int) -> list[dict]:
    classes, tags = ("invalid_column", "malformed_filter", "malformed_join"), ("easy", "hard", "null")
    made = {"question": "How many teams?", "prediction": "SELECT 1"}
    return [
        record(key=f"a/{i}", id=f"q{i}", run="ab"[i % 2], **{"class": classes[i % 3]}, tags=[tags[i % 3]], **made)
        for i in range(n)
    ]


def test_records_are_plain_and_complete(live):
    assert [r["run"] for r in live.records] == ["mine"] * 3 and json.loads(json.dumps(live.records)) == live.records
    counted, invented, empty = live.records
    assert invented["class"] == "invalid_column" and "no such column" in invented["prediction_result"]["error"]
    assert all(r["evidence"] and r["hint"] for r in live.records)
    assert counted["prediction_result"]["differs"] == counted["gold_result"]["differs"] == [[True]]
    assert not any(map(any, invented["gold_result"]["differs"])), "the other side is an error"
    assert empty["clauses"][0]["clause"] == "query" and not empty["clauses"][0]["same"]


def test_clauses_are_compared_by_meaning(league):
    gold = "SELECT t.city FROM teams AS t WHERE t.titles > 4 AND t.conference = 'North' ORDER BY t.city LIMIT 3"
    pred = "SELECT city FROM teams WHERE conference = 'North' AND titles > 5 ORDER BY city DESC"
    found = {c["clause"]: c for c in inspecting.clause_diff(pred, gold, read_schema(league))}
    same = {name: c["same"] for name, c in found.items()}
    assert same == {"FROM": True, "WHERE": False, "SELECT": True, "ORDER BY": False, "LIMIT": False}
    assert (found["LIMIT"]["gold"], found["LIMIT"]["prediction"]) == ("LIMIT 3", "")
    assert "titles > 5" in found["WHERE"]["prediction"]
    distinct = inspecting.clause_diff("SELECT city FROM teams", "SELECT DISTINCT city FROM teams", read_schema(league))
    assert [c["gold"] for c in distinct if not c["same"]] == ["DISTINCT"]


def rows(*values) -> ExecutionResult:
    return ExecutionResult(("a", "b"), values, None, None, False, 0.0)


def test_differing_cells_are_marked():
    marks = inspecting.shown(rows((1, "x"), (2, "y")), rows((1, "x"), (2, "z")))["differs"]
    assert marks == [[False, False], [False, True]]
    assert inspecting.shown(rows((2, "y"), (1, "x")), rows((1, "x"), (2, "y")))["differs"] == [[False, False]] * 2
    assert inspecting.shown(rows((1, "x"), (1, "x")), rows((1, "x")))["differs"] == [[False, False], [True, True]]
    assert inspecting.shown(rows((1, "x")))["differs"] == [[False, False]]
    long = inspecting.shown(rows(*((i, None) for i in range(50))))
    assert len(long["rows"]) == 10 and long["more"] == 40 and long["rows"][0] == ["0", "NULL"]


def marked(gold, found, ordered=False):
    """Of gold's side and of the prediction's: each row as a text of its marks, and the note."""
    sides = inspecting.shown(gold, found, ordered), inspecting.shown(found, gold, ordered)
    return [(["".join("≠" if cell else "=" for cell in row) for row in s["differs"]], s["note"]) for s in sides]


def test_both_sides_are_marked():
    a, b, c, d = (1, "a"), (2, "b"), (3, "c"), (4, "d")
    assert marked(rows(a, b), rows(a, (2, "z"))) == [(["==", "=≠"], "")] * 2
    assert marked(rows(a, b, c, d), rows(b, d)) == [(["≠≠", "==", "≠≠", "=="], ""), (["==", "=="], "")]
    assert marked(rows(b), rows(a, b, b)) == [(["=="], ""), (["≠≠", "==", "≠≠"], "")]
    assert marked(rows(a, b, c), rows(b, (3, "z"))) == [(["≠≠", "==", "≠≠"], ""), (["==", "≠≠"], "")]
    assert marked(rows(a), rows()) == [(["≠≠"], ""), ([], "")]
    narrow = ExecutionResult(("a",), ((1,), (5,)))
    assert marked(rows(a, b), narrow) == [(["=≠", "≠≠"], ""), (["≠", "≠"], "")]


def test_nothing_is_marked_beside_an_error():
    broken = ExecutionResult((), (), "no such column: wage")
    assert marked(rows((1, "a")), broken) == [(["=="], ""), ([], "")]


def test_another_order_is_told_where_it_counts():
    a, b, c = (1, "a"), (2, "a"), (3, "c")
    told = "The same rows as the other result's, in another order."
    assert marked(rows(a, b, c), rows(b, a, c), ordered=True) == [(["≠=", "≠=", "=="], told)] * 2
    assert marked(rows(a, b, c), rows(b, a, c)) == [(["=="] * 3, "")] * 2
    assert marked(rows(a, b, c), rows(b, a), ordered=True) == [(["==", "==", "≠≠"], ""), (["==", "=="], "")]
    assert marked(rows(a, a), rows(a, a), ordered=True) == [(["=="] * 2, "")] * 2


def test_what_differs_out_of_sight_is_counted():
    one, other = (rows(*((i, "x") for i in range(n))) for n in (50, 30))
    assert marked(one, other) == [(["=="] * 10, "Of the rows that are not shown, 20 differ."), (["=="] * 10, "")]
    wide = [ExecutionResult(tuple("abcdefghi"), ((*range(8), last),)) for last in (1, 2)]
    assert marked(*wide) == [(["≠" * 8], "")] * 2


def test_sums_in_another_order_of_adding_are_the_same():
    assert marked(rows((0.1 + 0.2, "a")), rows((0.3, "b"))) == [(["=≠"], "")] * 2
    assert marked(rows((1000001, "a")), rows((1000002, "a"))) == [(["≠="], "")] * 2


def test_a_filter_takes_run_class_tag_and_words():
    inspector = FailureInspector(many(12))
    assert len(inspector.filtered()) == 12 and len(inspector.filtered(run="a")) == 6
    assert {r["class"] for r in inspector.filtered(failure_class="malformed_join")} == {"malformed_join"}
    assert [r["id"] for r in inspector.filtered(run="b", tag="easy", text="TEAMS how")] == ["q3", "q9"]
    assert inspector.filtered(text="q11")[0]["id"] == "q11" and inspector.filtered(text="coach") == []


def test_edited_sql_is_run_and_judged(live):
    wrong = live.records[0]
    ran = live.answer({"kind": "run", "key": wrong["key"], "sql": wrong["gold"]})["result"]
    assert ran["verdict"] == "right" and ran["rows"] == wrong["gold_result"]["rows"]
    assert not any(map(any, ran["differs"])) and live.run_sql(wrong["key"], "SELECT 5")["differs"] == [[True]]
    refused = live.run_sql(wrong["key"], "DELETE FROM teams")
    assert refused["verdict"] == "wrong" and refused["error"]


def test_the_actions_do_what_they_say(live, evaluation, tmp_path):
    first, second, third = live.records
    assert list(live.actions) == ["similar", "promote", "add", "correct", "mark"]
    assert "similar pairs" in live.act("similar", first["key"])
    similar = load_questions(tmp_path / "out" / "similar.jsonl")
    assert similar and all(q.id.startswith("gen-") for q in similar)
    known = {q.sql for q in evaluation} | {q.question for q in evaluation}
    assert not known & {text for q in similar for text in (q.sql, q.question)}
    live.act("promote", first["key"])
    assert first["id"] not in [q.id for q in load_questions(evaluation.path)]
    live.act("correct", second["key"], sql="SELECT 24")
    assert next(q for q in load_questions(evaluation.path) if q.id == second["id"]).sql == "SELECT 24"
    assert live.run_sql(second["key"], "SELECT 24")["verdict"] == "right"
    live.act("add", third["key"], "How many teams have a coach?", "SELECT COUNT(*) FROM teams WHERE coach <> '--'")
    live.act("add", third["key"], "How many teams have a coach?", "SELECT COUNT(*) FROM teams WHERE coach <> '--'")
    assert len(load_questions(tmp_path / "out" / "added.jsonl")) == 1
    assert "Nothing was added" in live.act("add", third["key"], "Any?", "SELECT nothing FROM nowhere")
    live.act("mark", third["key"])
    assert len(load_questions(evaluation.path)) == 3 and curation.version(evaluation.path) == 4
    assert [r["state"] for r in live.records] == ["retired", "", "aside"] and f"aside: {third['id']} [" in live.text()
    live.act("correct", third["key"], sql="SELECT COUNT(*) FROM teams WHERE coach <> '-'")
    assert third["state"] == "" and third["id"] in [q.id for q in load_questions(evaluation.path)]
    for verb in ("correct", "mark"):
        with pytest.raises(LabkitError, match="was promoted to training: its gold measures nothing any more"):
            live.act(verb, first["key"], sql="SELECT 5")


def test_an_inspector_opened_anew_knows_what_has_left_the_set(live, evaluation, tmp_path):
    first, second, _ = live.records
    live.act("promote", first["key"])
    live.act("mark", second["key"])
    answers = dict(zip([q.id for q in evaluation], ANSWERS.values(), strict=False))
    run = evaluate(lambda asked: [answers.get(q.id, q.sql) for q in asked], evaluation, progress=False)
    again = inspecting.inspector(
        {"mine": diagnose_run(run, evaluation)}, evaluation.path, tmp_path / "out", evaluation.db_dir
    )
    assert [r["state"] for r in again.records] == ["retired", "aside", ""]
    assert json.loads(again.widget().state)["records"] == again.records
    assert again.run_sql(first["key"], first["gold"])["verdict"] == "right"
    assert f"<td>retired: {first['id']}</td>" in again.table()


def test_no_question_is_in_training_and_in_an_evaluation(live, evaluation, tmp_path):
    first, second, third = live.records
    added, training = tmp_path / "out" / "added.jsonl", tmp_path / "out" / "training.jsonl"
    live.act("add", first["key"], sql=first["gold"])
    live.act("add", second["key"], "Which other one?", second["gold"])  # its query is the same
    live.act("add", third["key"], "How many have a coach?", "SELECT COUNT(*) FROM teams WHERE coach <> '--'")
    assert "It has left added.jsonl too." in live.act("promote", first["key"])
    live.act("promote", second["key"])
    assert [q.id for q in load_questions(added)] == [f"from-{third['id']}"]
    assert [q.id for q in load_questions(training)] == [first["id"], second["id"]]
    with pytest.raises(LabkitError, match="it would measure nothing"):
        live.act("add", first["key"], sql=first["gold"])  # the other way round


def test_similar_pairs_keep_clear_of_ones_own_evaluation_sets(live, evaluation, tmp_path):
    out, failure = tmp_path / "out", live.records[0]
    live.act("similar", failure["key"])
    first, second, third, *_ = load_questions(out / "similar.jsonl")  # what the same press would give again
    (out / "similar.jsonl").unlink()
    live.act("add", failure["key"], first.question, first.sql)
    save_questions(out / "playground.jsonl", [replace(second, id="ask-1", database="league")])
    waiting = [replace(third, id="w", database="league")]
    save_questions(curation.aside_path(evaluation.path), waiting)
    live.act("similar", failure["key"])
    pairs = load_questions(out / "similar.jsonl")
    known = load_questions(out / "added.jsonl")[0], second, third
    assert not [q for q in known if q.question.lower() in {pair.question.lower() for pair in pairs}]
    assert not [found for found in overlap(known, pairs) if found.kind != "skeleton"]


def test_what_is_trained_on_is_not_added_to_an_evaluation(live, tmp_path, league):
    failure = live.records[0]
    live.act("similar", failure["key"])
    pair = load_questions(tmp_path / "out" / "similar.jsonl")[0]
    for question, sql in ((pair.question, "SELECT 5"), ("Any?", pair.sql)):
        with pytest.raises(LabkitError, match="is also in similar"):
            live.act("add", failure["key"], question, sql)
    play = inspecting.playground(Agent(Stub(), league), [], tmp_path / "out")
    play.ask(pair.question)
    assert re.match("Nothing was kept: The question of 'ask-1' is also in similar", play.keep(True))
    assert not any((tmp_path / "out" / name).exists() for name in inspecting.OWN)


def test_what_the_inspector_made_to_be_trained_on_may_be(live, evaluation, tmp_path):
    out, (first, second, third) = tmp_path / "out", live.records
    live.act("promote", second["key"])
    live.act("similar", first["key"])
    live.act("add", third["key"], "How many have a coach?", "SELECT COUNT(*) FROM teams WHERE coach <> '--'")
    files = inspecting.evaluation_files(evaluation.path, out)
    assert [file.name for file in files] == ["eval.jsonl", "added.jsonl"]
    pairs, _ = read_pairs([out / "similar.jsonl", out / "training.jsonl"])
    assert second["question"] in [q.question for q in pairs]
    assert not any(count for counts in refuse_overlap(pairs, [], files, None).values() for count in counts.values())
    with pytest.raises(LabkitError, match="in an evaluation set"):
        refuse_overlap([*pairs, load_questions(out / "added.jsonl")[0]], [], files, None)


def test_promoting_empties_the_playgrounds_set_of_the_question(live, tmp_path):
    first = live.records[0]
    asked = [Question("ask-1", "Any?", first["gold"], "league"), Question("ask-2", "One?", "SELECT 1", "league")]
    save_questions(tmp_path / "out" / "playground.jsonl", asked)
    assert "It has left playground.jsonl too." in live.act("promote", first["key"])
    assert [q.id for q in load_questions(tmp_path / "out" / "playground.jsonl")] == ["ask-2"]


def test_a_corrected_gold_is_shown_in_each_run(evaluation, tmp_path):
    def generator(questions):
        return ["SELECT COUNT(*) FROM games" if q.id == "start-01" else q.sql for q in questions]

    diagnosed = diagnose_run(evaluate(generator, evaluation, progress=False), evaluation)
    live = inspecting.inspector({"a": diagnosed, "b": diagnosed}, evaluation.path, tmp_path / "out", evaluation.db_dir)
    message = {"kind": "act", "action": "correct", "key": "a/start-01", "question": ""}
    message["sql"] = "SELECT COUNT(*) AS n FROM games"
    changed = live.answer(message)["records"]
    assert changed == live.records and [r["key"] for r in changed] == ["a/start-01", "b/start-01"]
    for now in changed:
        assert now["gold"] == message["sql"] and now["class"] == "right" and "is right" in now["evidence"]
        assert now["gold_result"]["rows"] == now["prediction_result"]["rows"]
    live.act("correct", "b/start-01", sql="SELECT COUNT(*) FROM players")
    assert {str(r[side]["differs"]) for r in live.records for side in SIDES} == {"[[True]]"}
    assert {r["class"] for r in live.records} == {"malformed_join"} and message["sql"] not in live.text()
    assert json.loads(live.widget().state)["records"] == live.records


def test_similar_pairs_pile_up_and_none_comes_twice(live, tmp_path):
    for _ in range(3):
        live.act("similar", live.records[0]["key"])
    texts = [q.question.lower() for q in load_questions(tmp_path / "out" / "similar.jsonl")]
    assert len(texts) > inspecting.SIMILAR and len(set(texts)) == len(texts)


def test_the_target_is_the_failures_own():
    made = record(**{"class": "malformed_join"}, tags=["hard", "null"], gold="SELECT 1 FROM players p JOIN teams t")
    assert inspecting.target_of(made) == ["malformed_join", "null", "players", "teams"]
    gold = "WITH c AS (SELECT 1 FROM games) SELECT * FROM c"
    assert inspecting.target_of(record(**{"class": "right"}, tags=["money", "mine"], gold=gold)) == [
        "text-format",
        "games",
    ]


def test_what_goes_wrong_in_an_action_is_told(live):
    from labkit.widgets.live import answered

    message = {"kind": "act", "action": "correct", "key": live.records[0]["key"], "question": "", "sql": "SELECT no"}
    assert "is no answer" in answered(live.answer, message)["error"]
    assert answered(live.answer, {"kind": "run", "key": "no", "sql": ""})["error"].startswith("KeyError")
    with pytest.raises(LabkitError):
        live.answer(message)


def test_records_and_actions_are_checked():
    with pytest.raises(ValueError, match="one key"):
        FailureInspector([record(), record()])
    with pytest.raises(ValueError, match="no such action: burn"):
        FailureInspector([], actions={"burn": print})
    with pytest.raises(ValueError, match="no 'evidence'"):
        FailureInspector([{k: v for k, v in record().items() if k != "evidence"}])
    with pytest.raises(ValueError, match="nothing was given"):
        FailureInspector([record()]).run_sql("a/1", "SELECT 1")


def test_the_still_inspector_needs_no_widget_and_escapes(monkeypatch):
    inspector = FailureInspector([record(key="b/1", question="<b>?", evidence="<script>"), *many(40)[1:]])
    bundle = inspector._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "&lt;b&gt;" in bundle["text/html"] and "<script>" not in bundle["text/html"]
    assert "style" not in bundle["text/html"] and "and 20 more" in bundle["text/html"]
    assert bundle["text/plain"] == repr(inspector) and "40 failures" in repr(inspector)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    assert inspector._repr_mimebundle_().keys() == {"text/plain", "text/html"}


def test_a_message_from_the_browser_gets_its_answer():
    inspector = FailureInspector([record()], run=lambda r, sql: {"ran": sql})
    widget, sent = inspector.widget(), []
    widget.send = lambda content, buffers=None: sent.append(content)
    widget._handle_custom_msg({"id": 7, "kind": "run", "key": "a/1", "sql": "SELECT 1"}, [])
    assert sent == [{"id": 7, "result": {"ran": "SELECT 1"}}] and json.loads(widget.state)["records"]


# --- the playground


def answer_of(question: str) -> dict:
    result = {"columns": ["n"], "rows": [["24"]], "differs": [[False]], "more": 0, "error": ""}
    tokens = [("SELECT", 0.9), (" 24", 0.2)]
    return {"sql": "SELECT 24", "sentence": f"The answer to {question} is 24.", "tokens": tokens, "result": result}


def test_the_playground_remembers_and_finds_the_boundary():
    kept = []
    play = Playground(answer_of, lambda *given: kept.append(given) or "kept", lambda *known: [f"{known}"])
    assert play.ask("a?")["unsure"] == [" 24"] and play.ask("b?")["suggestions"] == ["('b?', [], [])"]
    assert play.keep(False, "SELECT 1") == "kept"
    told = play.answer({"kind": "keep", "right": True, "gold": "", "place": 0})
    assert told == {"done": "kept", "suggestions": ["('b?', ['a?'], ['b?'])"]}
    assert play.boundary() == (["a?"], ["b?"])
    assert kept == [("b?", "SELECT 24", False, "SELECT 1"), ("a?", "SELECT 24", True, "")]
    assert "24 20 %" in play.table() and "wrong" in play.text() and "<table>" in play._repr_mimebundle_()["text/html"]
    with pytest.raises(ValueError, match="nothing was asked"):
        Playground(answer_of, print).keep(True)


class Stub:
    """A chat model that is no local one and always says the same."""

    name, prompt = "stub", None

    def chat(self, conversations, **settings):
        return ["SELECT COUNT(*) FROM teams" for _ in conversations]

    def describe(self):
        return {"model": "stub"}


def test_a_playground_on_an_agent_keeps_what_runs(league, tmp_path, root):
    dev = load_questions(root / "datasets" / "league" / "dev.jsonl")
    play = inspecting.playground(Agent(Stub(), league), dev, tmp_path, lambda question, sql: [("SELECT", 1.0)])
    answer = play.ask("How many teams are in the South?")
    assert answer["sql"] == "SELECT COUNT(*) FROM teams" and answer["result"]["rows"] == [["24"]]
    assert len(answer["suggestions"]) == 3 and set(answer["suggestions"]) <= {q.question for q in dev}
    assert "Nothing was kept" in play.keep(False, "SELECT nothing FROM nowhere")
    play.keep(False, "SELECT COUNT(*) FROM teams WHERE conference = 'South'")
    (kept,) = load_questions(tmp_path / "playground.jsonl")
    assert "South" in kept.sql and kept.database == "league"


def test_near_questions_share_words():
    pool = [Question(str(i), text, "SELECT 1", "x") for i, text in enumerate(("How many teams?", "Who won?", "teams"))]
    assert inspecting.nearest_questions("how many teams are there", pool) == ["How many teams?", "teams"]
    assert inspecting.nearest_questions("How many TEAMS", pool) == ["teams"]


def test_questions_between_right_and_wrong_come_first(league, tmp_path):
    texts = ("Who coaches the Otters today?", "Which city has most teams?", "How many teams does the South have?")
    pool = [Question(str(i), text, "SELECT 1", "x") for i, text in enumerate(texts)]
    asked, wrong, between = "How many teams?", "Who coaches the South?", texts[2]
    assert inspecting.nearest_questions(wrong, pool)[0] == texts[0]
    assert inspecting.nearest_questions(wrong, pool, [asked], [wrong])[0] == between
    assert inspecting.nearest_questions(wrong, pool, [asked, texts[0]], [wrong, between]) == [texts[1]]

    play = inspecting.playground(Agent(Stub(), league), pool, tmp_path)
    for text, right in ((asked, True), (wrong, False)):
        play.ask(text)
        before = play.asked[-1]["suggestions"]
        play.keep(right)
    assert before[0] == texts[0] and play.asked[-1]["suggestions"][0] == between


def test_a_local_model_says_how_sure_each_token_was(league, tmp_path, tiny_model_dir):
    model = load_model(tiny_model_dir, device="cpu", dtype="float32")
    model.chat = Stub().chat  # its own answers are no SQL, which would leave nothing to be sure of
    play = inspecting.playground(Agent(model, league), [], tmp_path)
    tokens = play.ask("How many teams are there?")["tokens"]
    assert "".join(token for token, _ in tokens) == "SELECT COUNT(*) FROM teams"
    assert all(0 < value < 1 for _, value in tokens) and re.search(r"<code>\S+ \d+ %</code>", play.table())
    assert inspecting.playground(Agent(Stub(), league), [], tmp_path).ask("How many?")["tokens"] == []


# --- in node, with a stand-in for the document

HERE = Path(__file__).parent
WIDGETS = Path(distributions.__file__).parent
with_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def in_node(tmp_path, widget: str, script: str) -> dict:
    """What the script prints as JSON; it sees the widget's module as `widget`, and `el`, `Model`."""
    shutil.copyfile(WIDGETS / f"{widget}.js", tmp_path / "widget.mjs")
    shutil.copyfile(HERE / "fake_dom.mjs", tmp_path / "fake_dom.mjs")
    head = "import { Element, Model } from './fake_dom.mjs';\nimport * as widget from './widget.mjs';\n"
    head += "const el = new Element('div'); const out = {};\n"
    (tmp_path / "run.mjs").write_text(head + script + "\nconsole.log(JSON.stringify(out));")
    run = subprocess.run(["node", "run.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.alone
@with_node
def test_the_browser_filters_as_python_does_and_fast(tmp_path):
    records = many(1000)
    filters = [
        {},
        {"run": "a"},
        {"failure_class": "malformed_join", "tag": "null"},
        {"text": "TEAMS q11"},
        {"run": "b", "tag": "easy", "text": " select  1 "},
    ]
    (tmp_path / "in.json").write_text(json.dumps([records, filters]))
    script = """
import { readFileSync } from 'node:fs';
const [records, filters] = JSON.parse(readFileSync('in.json'));
const state = { records, runs: true, actions: [] };
out.left = filters.map((f) => widget.filtered(records, { ...f, cls: f.failure_class }).map((r) => r.id));
widget.default.render({ model: new Model(state, () => ({})), el });
const run = el.labelled('run'); const began = performance.now();
run.value = 'a'; run.onchange(); out.ms = performance.now() - began;
out.shown = el.labelled('failures').children.length;
"""
    out = in_node(tmp_path, "inspector", script)
    inspector = FailureInspector(records)
    assert out["left"] == [[r["id"] for r in inspector.filtered(**f)] for f in filters]
    assert out["shown"] == 500 and out["ms"] < 200


@with_node
def test_the_inspectors_buttons_send_once_and_show_the_answer(tmp_path):
    result = {"columns": ["n"], "rows": [["<b>"]], "differs": [[True]], "more": 3, "error": "", "verdict": "wrong"}
    clauses = [{"clause": "WHERE", "gold": "a", "prediction": "b", "same": False}]
    made = [record(gold_result=result, clauses=clauses), record(key="a/2", id="2")]
    script = (
        f"const made = {json.dumps(made)}; const ran = {json.dumps(result)};"
        + """
const actions = [{ name: 'similar', label: 'Generate' }, { name: 'promote', label: 'Promote' }];
const model = new Model({ records: made, runs: true, actions },
  (m) => (m.kind === 'run' ? { result: ran } : m.key === 'a/2' ? { error: 'No.' }
    : { done: 'Done.', records: [{ ...made[0], evidence: 'judged anew', class: 'right', state: 'retired' }] }));
const stop = widget.default.render({ model, el });
out.text = el.textContent;
el.labelled('SQL, editable').value = 'SELECT 5';
el.button('Run').click();
out.ran = el.textContent.includes('Judged wrong.');
for (let i = 0; i < 3; i++) el.button('Promote').click();
out.sent = [...model.sent]; out.off = el.button('Promote').disabled;
out.done = el.textContent.includes('✓ Done.');
out.anew = el.textContent.includes('judged anew') && el.labelled('failures').textContent.includes('[right]')
  && el.labelled('SQL, editable').value === 'SELECT 5';
const list = el.labelled('failures'); list.value = 'a/2'; list.onchange();
el.button('Promote').click(); out.error = el.textContent.includes('✗ No.'); out.on = !el.button('Promote').disabled;
const controls = [...el.all()].filter((n) => ['select', 'input', 'textarea', 'button'].includes(n.tag));
out.unlabelled = controls.filter((n) => !n.attributes['aria-label'] && !n.textContent.trim()).length;
const words = el.labelled('words'); words.value = 'nowhere'; words.oninput();
out.none = el.textContent.includes('No failure is left') && el.button('Run').disabled;
stop(); out.listeners = model.listeners.length;
"""
    )
    out = in_node(tmp_path, "inspector", script)
    assert "≠ <b>" in out["text"] and "≠ differs" in out["text"] and "and 3 more rows" in out["text"]
    assert [m["kind"] for m in out["sent"]] == ["run", "act"] and out["sent"][0]["sql"] == "SELECT 5"
    assert out["anew"] and out["ran"] and out["done"] and out["off"] and out["error"] and out["on"] and out["none"]
    assert out["unlabelled"] == 0 and out["listeners"] == 0


@with_node
def test_each_button_does_its_verb_and_what_has_left_the_set_is_closed(tmp_path, live):
    """The fake page talks to the inspector itself: what its answers would be is asked beforehand, in the same order."""
    first, second, third = live.records
    added = "How many teams have a coach?", "SELECT COUNT(*) FROM teams WHERE coach <> '--'"
    order = [
        ("similar", first, first["question"], first["prediction"]),
        ("add", first, *added),
        ("mark", second, second["question"], second["prediction"]),
        ("correct", second, second["question"], "SELECT 24"),
        ("promote", third, third["question"], third["prediction"]),
    ]
    state = json.loads(live.widget().state)
    replies, wanted = [], []
    for action, shown, question, sql in order:
        wanted.append({"kind": "act", "action": action, "key": shown["key"], "question": question, "sql": sql})
        replies.append(json.loads(json.dumps(live.answer(wanted[-1]))))
    script = (
        f"const state = {json.dumps(state)}; const replies = {json.dumps(replies)};"
        f"const added = {json.dumps(added)}; const keys = {json.dumps([r['key'] for r in live.records])};"
        + """
const model = new Model(state, () => replies[model.sent.length - 1]);
widget.default.render({ model, el });
const list = el.labelled('failures');
const pick = (key) => { list.value = key; list.onchange(); };
const press = (name) => { el.find((n) => n.attributes['data-action'] === name).click();
  return el.find((n) => n.className === 'said').textContent; };
const off = () => [...el.all()].filter((n) => n.attributes['data-action'] && n.disabled)
  .map((n) => n.attributes['data-action']);
const look = () => [off(), list.textContent.match(/(aside|retired): start-../g)];
out.said = [press('similar')];
el.labelled('question, editable').value = added[0]; el.labelled('SQL, editable').value = added[1];
out.said.push(press('add'));
pick(keys[1]); out.said.push(press('mark')); out.marked = look(); press('mark');
el.labelled('SQL, editable').value = 'SELECT 24'; out.said.push(press('correct')); out.corrected = look();
pick(keys[2]); out.said.push(press('promote')); out.promoted = look(); press('promote'); press('correct');
out.counted = el.textContent.match(/3 of 3 failures[^.:]*/)[0];
pick(keys[1]); out.open = off(); pick(keys[2]); out.closed = off();
out.sent = model.sent.map(({ id, ...rest }) => rest);
"""
    )
    out = in_node(tmp_path, "inspector", script)
    assert out["sent"] == wanted and out["said"] == [f"✓ {reply['done']}" for reply in replies]
    assert out["marked"] == [["promote", "add", "mark"], ["aside: start-02"]]
    assert out["corrected"] == [[], None] and out["open"] == []
    assert out["promoted"] == [["promote", "add", "correct", "mark"], ["retired: start-03"]]
    assert out["closed"] == out["promoted"][0] and out["counted"] == "3 of 3 failures, 1 settled"
    assert [r["state"] for r in live.records] == ["", "", "retired"]


@with_node
def test_edits_are_there_again_when_a_filter_has_moved_the_selection(tmp_path):
    script = (
        f"const records = {json.dumps(many(4))};"
        + """
widget.default.render({ model: new Model({ records, runs: true, actions: [] }, () => ({})), el });
const [list, run, words] = ['failures', 'run', 'words'].map((name) => el.labelled(name));
const [question, sql] = ['question, editable', 'SQL, editable'].map((name) => el.labelled(name));
sql.value = 'SELECT 5'; question.value = 'How many?';
run.value = 'b'; run.onchange(); out.other = [question.value, sql.value];
sql.value = 'SELECT 6';
words.value = 'nowhere'; words.oninput(); words.value = ''; words.oninput();
out.second = sql.value;
run.value = ''; run.onchange(); list.value = 'a/0'; list.onchange(); out.first = [question.value, sql.value];
"""
    )
    out = in_node(tmp_path, "inspector", script)
    assert out["other"] == ["How many teams?", "SELECT 1"] and out["second"] == "SELECT 6"
    assert out["first"] == ["How many?", "SELECT 5"]


@with_node
def test_what_was_not_kept_can_be_judged_again(tmp_path):
    answer = {**answer_of("a?"), "question": "a?", "suggestions": [], "said": ""}
    script = (
        f"const answer = {json.dumps(answer)};"
        + """
const model = new Model({ unsure: 0.5 }, (m) => (m.kind === 'ask' ? { answer, place: 0 }
  : { done: m.gold ? 'Kept.' : 'Nothing was kept: the query does not run.', suggestions: [] }));
widget.default.render({ model, el });
el.labelled('your question').value = 'a?'; el.button('Ask').click();
el.button('is right').click(); out.open = !el.button('is wrong').disabled;
el.labelled('the right SQL, if the answer is wrong').value = 'SELECT 1';
el.button('is wrong').click(); out.closed = el.button('is wrong').disabled;
"""
    )
    out = in_node(tmp_path, "playground", script)
    assert out["open"] and out["closed"]


@with_node
def test_the_playground_asks_judges_and_suggests(tmp_path):
    answer = {**answer_of("a?"), "question": "a?", "suggestions": ["b?"], "said": ""}
    script = (
        f"const answer = {json.dumps(answer)};"
        + """
const model = new Model({ unsure: 0.5 }, (m) => (m.kind === 'ask' ? { answer, place: 4 }
  : { done: 'Kept.', suggestions: ['c?'] }));
widget.default.render({ model, el });
el.button('Ask').click(); out.empty = model.sent.length;
out.before = el.button('is right').disabled;
el.labelled('your question').value = 'a?'; el.button('Ask').click();
out.text = el.textContent;
el.labelled('the right SQL, if the answer is wrong').value = 'SELECT 1';
el.button('is wrong').click(); el.button('is wrong').click();
out.anew = !el.button('b?');
el.button('c?').click();
out.sent = model.sent;
const controls = [...el.all()].filter((n) => ['select', 'input', 'textarea', 'button'].includes(n.tag));
out.unlabelled = controls.filter((n) => !n.attributes['aria-label'] && !n.textContent.trim()).length;
"""
    )
    out = in_node(tmp_path, "playground", script)
    assert out["empty"] == 0 and out["before"] and out["unlabelled"] == 0
    assert "?  24" in out["text"] and "20 %" in out["text"] and "90 %" in out["text"]
    assert [(m["kind"], m.get("gold"), m.get("place")) for m in out["sent"]] == [
        ("ask", None, None),
        ("keep", "SELECT 1", 4),
        ("ask", None, None),
    ]
    assert out["sent"][2]["question"] == "c?" and out["anew"]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])
@pytest.mark.parametrize("name", ["--lk-mark", "--lk-warn"])
def test_marks_stand_out_on_light_and_dark(ground, name):
    colour = re.search(rf"{name}: (#[0-9a-f]{{6}})", (WIDGETS / "widgets.css").read_text())[1]
    low, high = sorted((luminance(colour), luminance(ground)))
    assert (high + 0.05) / (low + 0.05) >= 3  # WCAG 2.2, 1.4.11: borders and outlines


# --- the ladder chart


def _run(correct, n):
    found = wilson(correct, n)
    return SimpleNamespace(correct=correct, n=n, low=found.low, high=found.high)


@pytest.fixture
def chart():
    return LadderChart({"prompt": _run(2, 20), "few-shot": _run(9, 20), "<b>": _run(0, 20)})


def test_a_chart_shows_each_rung_with_its_interval(chart):
    name, share, low, high, n, more = chart.rows()[1]
    assert (name, share, n) == ("few-shot", 0.45, 20) and (low, high) == (wilson(9, 20).low, wilson(9, 20).high)
    assert more == 6 and "0.45 [0.26, 0.66] n=20  6 more to the target" in chart.text()
    assert 'd="M210.0 ' in chart.svg() and f"H{210 + 300 * wilson(0, 20).high:.1f}" in chart.svg()


def test_the_next_target_is_the_nearest_that_a_sign_test_tells_from_chance(chart):
    assert mcnemar(ladder.MORE, 0) < 0.05 <= mcnemar(ladder.MORE - 1, 0)
    assert chart.target == 15 / 20 and "next target: 0.75" in repr(chart)
    assert LadderChart({"all": _run(18, 20)}).target == 1.0 and LadderChart({"none": _run(0, 0)}).target == 1.0
    assert LadderChart({"a": _run(1, 20)}, target=0).target == 0


@pytest.mark.parametrize(
    "correct, n, target, more", [(9, 20, 0.45, 0), (9, 20, 0.46, 1), (3, 10, 0.6, 3), (20, 20, 1, 0), (0, 0, 1, 0)]
)
def test_what_a_target_lacks_is_counted_in_answers(correct, n, target, more):
    assert ladder.lacking(correct, n, target) == more
    assert not n or math.ceil(round(target * n - correct, 6)) <= max(more, 0)


def test_the_target_and_the_order_move_the_chart(chart):
    target, order, view = chart.widget().children
    assert (target.description, order.description) == ("next target, %", "order of rungs") and target.value == 75
    seen = [view.value]
    target.value = 40
    seen.append(view.value)
    order.value = "best first"
    seen.append(view.value)
    assert len(set(seen)) == 3 and seen[0].count("target reached") == 0 and "next target 0.40" in seen[1]
    assert seen[0].index(">prompt<") < seen[0].index(">few-shot<") and seen[2].index(">few-shot<") < seen[2].index(
        ">prompt<"
    )
    for value in (0, 100):
        target.value = value  # draws without an error
    assert (target.min, target.max) == (0, 100)


def test_a_reached_target_has_another_shape_not_only_another_colour(chart):
    assert chart.svg(target=0.4).count("<circle") == 2 and chart.svg(target=0.4).count("l8 8l-8 8") == 1
    assert chart.svg(target=0.9).count("<circle") == 3 and "currentColor" in chart.svg()


def _luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("page", ["#ffffff", "#111111"])
def test_the_bars_can_be_seen_on_light_and_on_dark_pages(chart, page):
    for colour in set(re.findall("#[0-9a-f]{6}", chart.svg(target=0.4))):
        high, low = sorted((_luminance(colour), _luminance(page)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 2.8, (colour, page)


def test_names_are_escaped_and_the_still_forms_need_no_widget(chart):
    bundle = chart._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle and bundle["text/plain"] == repr(chart)
    assert bundle["text/html"].startswith("<table>") and "style" not in bundle["text/html"]
    assert all("&lt;b&gt;" in shown and "<b>" not in shown for shown in (chart.table(), chart.svg()))


def test_a_chart_of_a_ladder_takes_its_runs():
    rungs = (SimpleNamespace(name="prompt", run=_run(1, 9)), SimpleNamespace(name="tuned", run=_run(8, 9)))
    assert [row[0] for row in LadderChart.of(SimpleNamespace(rungs=rungs), 0.5).rows(order="best first")] == [
        "tuned",
        "prompt",
    ]


@pytest.mark.parametrize("rungs, target, told", [({}, None, "a rung"), ({"a": _run(1, 2)}, 75, "from 0 to 1")])
def test_a_chart_needs_a_rung_and_a_share(rungs, target, told):
    with pytest.raises(ValueError, match=told):
        LadderChart(rungs, target)


# --- which experts light up -------------------------------------------------------------------------------------------

KEYS = {
    "half dome": {"ana": 1.0, "half": 0.5, "dome": 0.5, "climb": 0.0},
    "ana": {"ana": 1.0, "climb": 0.0},
    "<ash>": {"bo": 1.0, "ash": 1.0},
    "dark": {"cy": 1.0},
}
QUESTIONS = ["When did ANA climb Half Dome?", "Did Ana climb half of it?", "<b>Portugal</b>?"]


@pytest.fixture
def lights():
    return ExpertMap(KEYS, QUESTIONS, {"half dome": "1987"}, threshold=0.9)


def squares(page):
    """Of a map (name, how full, border's colour and width) in order."""
    drawn = r'fill-opacity="([\d.]+)" stroke="(.+?)" stroke-width="(\d)"><title>(.+?): '
    return [(name, float(full), colour, int(width)) for full, colour, width, name in re.findall(drawn, page)]


def test_a_question_lights_up_the_experts_whose_words_it_has(lights):
    lit = lights.light(QUESTIONS[0])
    assert lit.scores == {"half dome": 1.0, "ana": 1.0} and lit.picked == lit.best == "half dome"
    near = ExpertMap(KEYS).light("Who climbed Half Dome?")
    assert near.scores == {"half dome": 0.5} and near.picked is None and near.best == "half dome"
    nothing = lights.light(QUESTIONS[2])
    assert nothing.scores == {} and nothing.picked is nothing.best is None


@pytest.mark.parametrize("threshold, picked", [(0.5, "half dome"), (0.51, None)])
def test_the_threshold_itself_is_enough(threshold, picked):
    assert ExpertMap(KEYS, threshold=threshold).light("Half Dome").picked == picked


def test_the_map_scores_as_labkits_selection_does():
    facts = [experts.words_of(fact.question) for fact in random_facts(40)]
    selection, numbers = Selection(0.5), {word: i for i, word in enumerate(sorted(set.union(*facts)), 1)}
    selection.add({i: [frozenset(numbers[word] for word in words)] for i, words in enumerate(facts)})
    keys = {i: {word: selection.weights[numbers[word]] for word in words} for i, words in enumerate(facts)}
    drawn = ExpertMap(keys, threshold=0.5)
    for one, other in zip(facts, facts[1:], strict=False):
        for words in (one, set(sorted(one)[:5]) | other, one - {"in"} | {"other"}):
            lit = drawn.light(" ".join(words))
            found = selection.pick([numbers[word] for word in words if word in numbers], k=len(facts))
            best = {i: score for i, score in lit.scores.items() if score >= 0.5 - 1e-6}
            assert best == pytest.approx({pick.expert: pick.score for pick in found}, abs=1e-5)
            assert lit.picked == (found[0].expert if found else None)


def test_a_learners_functions_draw_the_map():
    drawn = ExpertMap(KEYS, words=lambda text: {"cy"}, score=lambda key, words: 0.75 * (words <= key.keys()))
    assert drawn.light("anything").scores == {"dark": 0.75}


def test_the_picked_square_has_a_border_a_sign_and_its_name(lights):
    page = lights.svg(lights.light(QUESTIONS[0]))
    assert [(name, full) for name, full, *_ in squares(page)] == [
        ("half dome", 1.0),
        ("ana", 1.0),
        ("&lt;ash&gt;", 0.0),
        ("dark", 0.0),
    ]
    marked, *others = squares(page)
    assert marked[2] != others[0][2] and marked[3] > others[0][3] and page.count("<polyline") == 1
    assert "picked: half dome, which holds “1987”" in page and 'role="img"' in page
    assert "<polyline" not in lights.svg(lights.light(QUESTIONS[2])) and "<text" not in page


def test_squares_lie_inside_and_not_on_each_other():
    drawn = ExpertMap({f"e{i}": {f"w{i}": 1.0} for i in range(57)})
    page = drawn.svg(drawn.light("w3"))
    wide, high = map(int, re.search(r'viewBox="0 0 (\d+) (\d+)"', page).groups())
    places = [tuple(map(int, found)) for found in re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)"', page)]
    assert len({(x, y) for x, y, _ in places}) == 57
    assert all(x + side < wide and y + side < high for x, y, side in places)
    assert all(
        abs(x - a) >= side or abs(y - b) >= side for x, y, side in places for a, b, _ in places if (a, b) != (x, y)
    )


def test_of_many_experts_those_that_are_lit_are_drawn():
    drawn = ExpertMap({f"e{i}": {f"w{i}": 1.0} for i in range(2000)})
    page = drawn.view("w1999")
    assert len(squares(page)) == 400 and squares(page)[0][:2] == ("e1999", 1.0)
    assert "1,600 more experts are not drawn" in page and "1 of 2,000 experts lit" in page


def test_choosing_and_typing_move_the_map(lights):
    chosen, typed, shown = lights.widget().children
    assert "picked: half dome" in shown.value
    chosen.value = QUESTIONS[1]
    assert typed.value == QUESTIONS[1] and "picked: ana" in shown.value and "half dome" in shown.value
    typed.value = "Bo?"
    assert "none picked: no score of 0.9 or more; the nearest is &lt;ash&gt; with 0.50" in shown.value
    assert "<b>bo ✓</b>" in shown.value and "ash –" in shown.value
    typed.value = "x"
    assert "No expert shares a word with it" in shown.value
    for control in (chosen, typed):
        assert control.description and control.tabbable is not False and not control.disabled


def test_a_map_without_examples_takes_what_is_typed():
    typed, shown = ExpertMap(KEYS).widget().children
    typed.value = "cy"
    assert "picked: dark" in shown.value and "nothing was asked" in repr(ExpertMap(KEYS))


def test_the_maps_still_forms(lights, monkeypatch):
    told = lights.text()
    assert "half dome: has ana, half, dome; lacks nothing" in told and "0 of 4 experts lit; none picked" in told
    page = lights.table()
    assert page.count("<svg") == 3 and "&lt;b&gt;Portugal" in page and "<b>Portugal" not in page
    assert len(squares(page)) == 12
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert lights._repr_mimebundle_() == {"text/plain": told, "text/html": page}


@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])
def test_the_maps_colours_stand_out(ground):
    for colour in (experts._BLUE, experts._ORANGE):
        light, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3
    assert 1.05 / (luminance(experts._BLUE) + 0.05) >= 4.5, "the white sign on blue"


def test_a_map_needs_an_expert():
    with pytest.raises(ValueError, match="an expert"):
        ExpertMap({})
