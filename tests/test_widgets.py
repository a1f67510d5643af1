"""The next-token bars: the same numbers as labkit's sampling, sliders that move them, a still table everywhere else.
The ladder chart: the numbers of its runs, a target that moves, the same still table.
"""

import math
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from labkit import sampling
from labkit.evaluation import mcnemar, wilson
from labkit.widgets import LadderChart, TokenBars, distributions, ladder
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


def test_widgets_import_without_torch():
    code = "import sys, labkit.widgets; assert not {'torch', 'apsw', 'transformers'} & set(sys.modules), 'heavy'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_course_imports_without_torch():
    code = "import sys, labkit.course; assert not {'torch', 'transformers'} & set(sys.modules), 'heavy'"
    subprocess.run([sys.executable, "-c", code], check=True)


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
