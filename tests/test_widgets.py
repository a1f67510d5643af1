"""Next-token bars: the numbers of labkit's sampling, sliders that move them. Data explorer: decisions, nothing lost.
Both have a still table everywhere else.
"""

import asyncio
import os
import json
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from labkit import sampling
from labkit.datagen.facts import random_facts
from labkit.models import load_model
from labkit.tuning import tune
from labkit.widgets import TokenBars, TrainingView, distributions, training
from labkit.dataset import Question
from labkit.errors import LabkitError
from labkit.widgets import DataExplorer, TokenBars, distributions
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


def test_an_interrupt_between_two_cells_stops_as_well():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a kernel has it between two cells

    async def idle():
        view = TrainingView(slow_run({"step": 0}, steps=4000)).start()
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
    assert "style" not in bundle["text/html"] and "<td>2 of 3</td><td>arenas</td>" in bundle["text/html"]


def test_the_explorer_escapes_and_names_no_fixed_text_colour(explorer, controls):
    for shown in (explorer.table(), controls["pair"].value):
        assert "&lt;1&gt;" in shown and "<1>" not in shown
    assert not re.search(r"(?<!-)color:|background", controls["pair"].value)


def test_an_explorer_of_nothing():
    explorer = DataExplorer([])
    assert repr(explorer).startswith("0 pairs") and "No row is left" in explorer.widget().children[6].value
