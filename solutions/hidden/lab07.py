"""Hidden tests of Lab 7 (see lab00.py here): other facts, keys, steps, banks and times."""

import math

import numpy as np

POINTS = {"word_weights": 2, "containment": 1, "pick": 2, "sparse_step": 2, "moved": 2, "ratio_range": 1}


def word_weights(function):
    facts = [{"eva", "tower", "built"}, {"ida", "bridge", "built"}, {"eva", "bridge", "built"}, {"ole", "built"}]
    half = (math.log(2) / math.log(4)) ** 2
    wanted = {"eva": half, "bridge": half, "tower": 1, "ida": 1, "ole": 1, "built": 0}
    answer = function([set(words) for words in facts])
    assert answer.keys() == wanted.keys(), f"weights of {sorted(answer)}"
    for word, weight in wanted.items():
        assert math.isclose(answer[word], weight, abs_tol=1e-9), f"{word!r} weighs {answer[word]}, not {weight}"
    assert function([{"only", "one"}]) == {"only": 1.0, "one": 1.0}, "a fact alone"


def containment(function):
    key = {"eva": 2.0, "tower": 0.5, "built": 0.0, "old": 1.5}
    for words, wanted in (("eva", 0.5), ("eva tower", 0.625), ("old tower new", 0.5), ("built", 0), ("", 0)):
        answer = function(dict(key), set(words.split()))
        assert math.isclose(answer, wanted, abs_tol=1e-9), f"words {words!r}: {answer}, it should be {wanted}"
    assert function({"built": 0.0}, {"built"}) == 0, "a key without weight"


def pick(function):
    keys = {
        "tower": {"eva": 1.0, "tower": 3.0},
        "bridge": {"eva": 1.0, "bridge": 1.0, "old": 2.0},
        "eva": {"eva": 2.0},
        "far": {"moon": 1.0},
    }
    by_word = {"eva": ["tower", "bridge", "eva"], "tower": ["tower"], "bridge": ["bridge"], "old": ["bridge"]}
    by_word["moon"] = ["far"]
    cases = [
        ("tower", 0.75, "tower"),
        ("tower", 0.76, None),
        ("eva", 0.9, "eva"),
        ("eva tower", 0.9, "tower"),
        ("eva old bridge", 0.9, "bridge"),
        ("old", 0.5, "bridge"),
        ("moon", 1.0, "far"),
        ("sun", 0.0, None),
    ]
    for words, threshold, wanted in cases:
        answer = function(dict(keys), dict(by_word), set(words.split()), threshold)
        assert answer == wanted, f"words {words!r}, threshold {threshold}: picked {answer!r}, not {wanted!r}"


def sparse_step(function):
    drawn = np.random.default_rng(71)
    vectors = {name: drawn.normal(size=(2, 3)) for name in "uvw"}
    velocity = {"u": drawn.normal(size=(2, 3)), "w": drawn.normal(size=(2, 3))}
    slopes = {"u": np.array([[0.0, 3.0, 4.0], [0.0, 0.0, 0.0]]), "v": np.array([[-2.0, 0.0, 0.0], [0.0, 0.0, 9.0]])}
    units = {"u": np.array([[0, 0.6, 0.8], [0, 0, 0]]), "v": np.array([[-1.0, 0, 0], [0, 0, 1]])}
    kept = {name: array.copy() for name, array in vectors.items()}
    moved, speed = function(vectors, velocity, slopes, 0.3, 0.8)
    assert all(np.array_equal(vectors[name], kept[name]) for name in kept), "arrays that were given have changed"
    assert "v" not in velocity and speed.keys() == {"u", "v", "w"}, f"velocity is kept for {sorted(speed)}"
    for name in "uv":
        wanted = 0.8 * velocity.get(name, 0) + units[name]
        assert np.allclose(speed[name], wanted), f"the velocity of {name!r} is not right"
        assert np.allclose(moved[name], kept[name] - 0.3 * wanted), f"the vectors of {name!r} are not right"
    assert np.array_equal(moved["w"], kept["w"]) and np.array_equal(speed["w"], velocity["w"]), "'w' was not picked"


def moved(function):
    a, b = np.array([[5.0, 0.0, np.nan]], np.float32), np.array([[1.0], [2.0]], np.float16)
    cases = [
        ({"x": a, "y": b}, {"x": a.copy(), "y": b.copy()}, []),
        ({"x": a}, {"x": a * np.float32(-1) * np.float32(-1) + np.float32(1e-3)}, ["x"]),
        ({"x": b, "y": b}, {"y": b + np.float16(1), "z": b}, ["x", "y", "z"]),
        ({"x": b}, {"x": b.astype(np.float64)}, ["x"]),
        ({"x": b}, {"x": b.T.copy()}, ["x"]),
        ({"x": b * np.float16(0)}, {"x": b * np.float16(-0.0)}, ["x"]),
    ]
    for number, (before, after, wanted) in enumerate(cases, 1):
        answer = function(before, after)
        assert list(answer) == wanted, f"case {number}: got {answer}, it should be {wanted}"


def ratio_range(function):
    for slow, fast, wanted in (
        ([9.0, 7.0, 8.0], [2.0, 1.0, 4.0], (1.75, 4.0, 9.0)),
        ([1.0, 100.0], [10.0, 5.0, 5.0, 2.0], (0.1, 10.1, 50.0)),
        ([6.0], [4.0], (1.5, 1.5, 1.5)),
    ):
        answer = function(list(slow), list(fast))
        assert np.allclose(answer, wanted), f"{slow} and {fast}: got {answer}, it should be {wanted}"
