"""The still pictures of tuning: figures as given, readable without colour, escaped, and nothing drawn outside."""

import math
import re

import pytest

from labkit.widgets import LossCurve, LowRank, TokenLosses
from labkit.widgets.training import shaded


def boxes(svg):
    return [
        tuple(map(float, found)) for found in re.findall(r'<rect x="(.+?)" y="(.+?)" width="(.+?)" height="(.+?)"', svg)
    ]


def canvas(svg):
    wide, high = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg).groups()
    return int(wide), int(high)


@pytest.mark.parametrize("out, into, rank", [(576, 576, 16), (1536, 576, 16), (192, 576, 64), (8, 4096, 8), (1, 1, 1)])
def test_matrices_are_drawn_to_scale_and_inside(out, into, rank):
    picture = LowRank(out, into, rank)
    (w, b, a), (wide, high) = boxes(picture.html()), canvas(picture.html())
    scale = 150 / max(out, into)
    assert w[2:] == pytest.approx((max(3, scale * into), max(3, scale * out)), abs=0.06)
    assert b[2:] == pytest.approx((max(3, scale * rank), w[3]), abs=0.06)
    assert a[2:] == pytest.approx((w[2], b[2]), abs=0.06)
    assert all(x + width <= wide and y + height <= high for x, y, width, height in (w, b, a))
    assert w[0] + w[2] < b[0] and b[0] + b[2] < a[0]


def test_the_low_rank_picture_says_what_is_trained():
    told = LowRank(100, 40, 4).text()
    assert "4,000 numbers, frozen" in told and "560 numbers, trained (14.0%)" in told
    assert told in LowRank(100, 40, 4).html() and repr(LowRank(100, 40, 4)) == told


@pytest.mark.parametrize("sizes", [(0, 4, 1), (4, 0, 1), (4, 4, 0)])
def test_a_matrix_of_no_size_is_refused(sizes):
    with pytest.raises(ValueError, match="1 or more"):
        LowRank(*sizes)


TOKENS, LOSSES = ["What", " <b>", "SELECT", " a\n", "'"], [9.0, 9.0, 3.0, 0.001, 1.5]


def test_only_the_answers_tokens_have_a_loss():
    picture = TokenLosses(TOKENS, LOSSES, 2)
    assert picture.mean == pytest.approx((3 + 0.001 + 1.5) / 3)
    assert picture.text().splitlines()[0].startswith("2 tokens") and "What" not in picture.text()
    page = picture.html()
    assert re.findall(r"<rt>(.+?)</rt>", page) == ["3.0", "0.0", "1.5"] and page.count("opacity") == 2
    assert shaded(3.0) in page and shaded(1.5) in page and shaded(3.0) != shaded(1.5)
    assert "<b>" not in page and "&lt;b&gt;" in page and "↵" in page and f"{picture.mean:.2f}" in page


def test_a_loss_that_is_rounded_below_zero_is_zero():
    assert "-0" not in TokenLosses(["a", "b"], [0.0, -1e-9], 1).text()


@pytest.mark.parametrize("losses, start", [([1.0], 1), ([1.0, 2.0], 0), ([1.0, 2.0], 2)])
def test_tokens_losses_and_start_must_fit(losses, start):
    with pytest.raises(ValueError, match="a loss for each token"):
        TokenLosses(["a", "b"], losses, start)


def test_a_curve_falls_where_the_losses_do():
    curve = LossCurve([4.0, 3.0, 1.0, 0.0], window=2)
    assert curve.means == [4.0, 3.5, 2.0, 0.5]
    assert "first 2: 3.50" in curve.text() and "last 2: 0.50" in curve.text()
    page = curve.html()
    points = [tuple(map(float, point.split(","))) for point in re.search(r'points="(.+?)"', page)[1].split()]
    heights = [float(y) for y in re.findall(r'cy="(.+?)"', page)]
    assert [x for x, _ in points] == sorted(x for x, _ in points) and heights == sorted(heights)
    assert [y for _, y in points] == sorted(y for _, y in points)
    wide, high = canvas(page)
    assert all(0 <= x <= wide and 0 <= y <= high for x, y in points)


@pytest.mark.parametrize("losses", [[0.0], [0.0, 0.0], [2.5]])
def test_a_curve_of_one_step_or_of_no_loss_is_drawn(losses):
    page = LossCurve(losses).html()
    assert "nan" not in page and page.count("<circle") == len(losses)
    assert all(math.isfinite(float(y)) for y in re.findall(r'cy="(.+?)"', page))


@pytest.mark.parametrize("losses, window", [([], 8), ([1.0], 0)])
def test_a_curve_of_nothing_is_refused(losses, window):
    with pytest.raises(ValueError, match="a step"):
        LossCurve(losses, window)
