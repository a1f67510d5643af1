"""The still pictures of tuning: figures as given, readable without colour, escaped, and nothing drawn outside."""

import itertools
import math
import re
from xml.etree import ElementTree

import pytest

from labkit.widgets import Curves, LossCurve, LowRank, TokenLosses
from labkit.widgets.training import shaded


def boxes(svg):
    return [
        tuple(map(float, found)) for found in re.findall(r'<rect x="(.+?)" y="(.+?)" width="(.+?)" height="(.+?)"', svg)
    ]


def canvas(svg):
    wide, high = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg).groups()
    return int(wide), int(high)


@pytest.mark.parametrize(
    "drawn", [LowRank(576, 576, 16), LossCurve([3.0, 1.0]), Curves({"<a>": [(0, 1), (2, 3)]}, "n", "chance & more")]
)
def test_a_picture_stands_by_itself_on_paper_with_its_words(drawn):
    bundle = drawn._repr_mimebundle_()
    assert bundle["text/html"] == drawn.html() and bundle["text/plain"] == drawn.text()
    picture = ElementTree.fromstring(bundle["image/svg+xml"])
    paper = picture.find("{http://www.w3.org/2000/svg}rect")
    assert paper.get("fill") == "#fff" and picture.get("color") == "#000"
    texts = " ".join(text.text for text in picture.iter("{http://www.w3.org/2000/svg}text"))
    assert drawn.caption() in texts and "http" not in bundle["image/svg+xml"].replace("http://www.w3.org/2000/svg", "")
    high = float(picture.get("height"))
    assert high > canvas(drawn.html())[1] and picture.get("viewBox").endswith(f" {high:.0f}")


def test_words_only_are_no_picture():
    told = TokenLosses(["a", "b"], [0.0, 1.0], 1)
    assert told.picture() == "" and told._repr_mimebundle_().keys() == {"text/plain", "text/html"}


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
    assert "+ α/r" in picture.html()


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


# --- a formula as curves

SQUARES = {"x² <": [(n, n * n) for n in range(-4, 5)], "twice x": [(n, 2 * n) for n in range(-4, 5)]}


def drawn(picture):
    """Each line's points as they are drawn, and its style."""
    found = re.findall(r'<polyline points="(.+?)" (.+?)/>', picture.html())
    return [([tuple(map(float, point.split(","))) for point in points.split()], style) for points, style in found]


def test_curves_are_drawn_to_scale_and_inside():
    picture = Curves(SQUARES, "x", "y")
    (squares, _), (twice, _) = drawn(picture)
    wide, high = canvas(picture.html())
    assert len(squares) == len(twice) == 9
    assert all(0 <= x <= wide and 0 <= y <= high - 60 for x, y in squares + twice)
    left, right = squares[0][0], squares[-1][0]
    assert [x for x, _ in squares] == pytest.approx([left + (right - left) * n / 8 for n in range(9)], abs=0.06)
    top, zero, below = squares[0][1], squares[4][1], twice[0][1]  # 16, 0 and -8
    assert (below - zero) / (zero - top) == pytest.approx(0.5, abs=0.01) and top < zero < below


def test_curves_are_told_apart_without_colour_and_named():
    picture = Curves(SQUARES, "x", "y & more")
    styles = [style for _, style in drawn(picture)]
    assert len({re.search('stroke-dasharray="(.+?)"', style)[1] for style in styles}) == 2
    page = picture.html()
    assert "x² &lt;" in page and "x² <" not in page and "y &amp; more" in page
    assert page.count('d="M46 ') >= 3  # the axes, and a sample of each line beside its name


def test_marks_stand_where_they_belong_and_the_level_too():
    picture = Curves(SQUARES, "x", "y", {"two": (2, 4), "out < there": (4, 20)}, level=4)
    (squares, _), _ = drawn(picture)
    dots = [tuple(map(float, dot)) for dot in re.findall(r'cx="(.+?)" cy="(.+?)"', picture.html())]
    assert dots[0] == pytest.approx(squares[6], abs=0.06) and dots[1][1] < squares[-1][1]
    assert f'd="M46 {dots[0][1]:.1f}H' in picture.html() and "out &lt; there" in picture.html()


def named(picture):
    """Where the marks' names stand: (left, top, right, bottom) of about what they cover."""
    found = re.findall(r'r="4.5".*?/><text x="(.+?)" y="(.+?)" text-anchor="(.+?)".*?>(.*?)</text>', picture.html())
    back = {"start": 0, "middle": 0.5, "end": 1}
    left = [float(x) - 7 * len(name) * back[side] for x, _, side, name in found]
    return [(x, float(y) - 11, x + 7 * len(name), float(y) + 3) for x, (_, y, _, name) in zip(left, found, strict=True)]


@pytest.mark.parametrize("at", [2, 5, 10, 15, 18])
@pytest.mark.parametrize("rise", [1, -1])
def test_a_name_does_not_stand_on_its_line(at, rise):
    line = [(n, rise * n) for n in range(21)]
    picture = Curves({"line": line}, "x", "y", {"a name": line[at]})
    ((left, top, right, bottom),), ((drawn_at, _),) = named(picture), drawn(picture)
    (a, b), (c, d) = drawn_at[0], drawn_at[-1]
    on_it = [(a + (c - a) * part / 500, b + (d - b) * part / 500) for part in range(501)]
    assert not any(left <= x <= right and top <= y <= bottom for x, y in on_it)
    assert left >= 46 and right <= 560 and top >= 0 and bottom <= 172


@pytest.mark.parametrize("names", [["questions", "accepted"], ["first", "second", "third"]])
@pytest.mark.parametrize("at", [2, 10, 18])
def test_the_names_of_marks_close_together_do_not_cover_each_other(names, at):
    line = [(n, 20 / (n + 1)) for n in range(21)]
    marks = {name: (at + 0.1 * place, 20 / (at + 1)) for place, name in enumerate(names)}
    boxes = named(Curves({"line": line}, "x", "y", marks))
    assert len(boxes) == len(names)
    for (left, top, right, bottom), (x, y, z, w) in itertools.combinations(boxes, 2):
        assert right <= x or z <= left or bottom <= y or w <= top


def test_what_is_as_good_as_nothing_is_said_as_0():
    picture = Curves({"a": [(0, 1e-7), (1, 0.25)], "b": [(0, -0.0), (1, 0.1)]}, "x", "y")
    assert ">0.25</text>" in picture.html() and "e-07<" not in picture.html() and "-0<" not in picture.html()
    assert "0 → 0, 1 → 0.1" in str(picture)


def test_curves_are_said_in_numbers():
    told = str(Curves(SQUARES, "x", "y", {"two": (2, 4)})).splitlines()
    assert told[0] == "y, over x" and told[-1] == "● two: 2 → 4"
    assert told[1] == "x² <: -4 → 16, -2 → 4, 0 → 0, 2 → 4, 4 → 16"
    assert str(Curves({"a": [(1, 2), (3, 4)]}, "x", "y")).splitlines()[1] == "a: 1 → 2, 3 → 4"


@pytest.mark.parametrize("lines", [{}, {"a": []}])
def test_a_picture_of_nothing_is_refused(lines):
    with pytest.raises(ValueError, match="needs a line"):
        Curves(lines, "x", "y")


def test_one_point_alone_is_drawn():
    assert drawn(Curves({"a": [(1, 2)]}, "x", "y"))[0][0][0][1] == pytest.approx(90, abs=1)
