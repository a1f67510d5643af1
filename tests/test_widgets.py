"""The next-token bars: the same numbers as labkit's sampling, sliders that move them, a still table everywhere else."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from labkit import sampling
from labkit.widgets import FactBars, FactState, TokenBars, distributions
from labkit.widgets.distributions import visible

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
