"""Hidden tests of Lab 9 (see lab00.py here): other columns, tables, drafts, pairs and accuracies."""

from collections import Counter

POINTS = {"placeholders": 2, "unit_of": 2, "references": 2, "trouble": 2, "split": 1, "questions_needed": 1}


def placeholders(function):
    words = {"?", "none", "-"}
    rooms = [f"room {n}" for n in range(1, 13)]
    cases = [
        (["A", "B", "?", "B", "NONE "], ["?", "NONE "]),
        ([*rooms, "tbd", "tbd", "tbd"], ["tbd"]),
        ([*rooms, "tbd", "hall", "?"], ["?"]),
        ([*rooms, "tbd", "tbd", "hall", "hall"], []),
        ([*rooms, None, None, None, None, "hall", "tbd", "hall", "tbd"], []),
        ([*rooms, None, None, None, None, "hall", "hall", "tbd"], ["hall"]),
        ([7, 8, 9, 8, 7, 9, 8, 7, "later", "later"], ["later"]),
        (["red", "red", "blue", None], []),
        (["none left", "half-full"], []),
        ([None, "-"], ["-"]),
        ([], []),
    ]
    for values, wanted in cases:
        answer = function(list(values), set(words))
        assert answer == wanted, f"{values}: {answer}, it should be {wanted}"


def unit_of(function):
    cases = [
        (["3 km", "12.5 km"], "km"),
        (["3km", "4 km"], "km"),
        (["1.200,50 CHF", "-7,00 CHF"], "CHF"),
        (["8", "-9", "10.5"], ""),
        (["0", "0.75"], ""),
        (["2 fl oz", "3 fl oz"], "fl oz"),
        (["007", "12"], None),
        (["12", "-05"], None),
        (["3 km", "4 mi"], None),
        (["3 km", "4"], None),
        (["A4", "A5"], None),
        (["A-12", "A-13"], None),
        (["1 to 2", "3 to 4"], None),
        (["3/4 km", "1/4 km"], None),
        (["far", "3 km"], None),
        (["3 km", "far"], None),
        ([".", "."], None),
        ([], None),
    ]
    for values, wanted in cases:
        answer = function(list(values))
        assert answer == wanted and type(answer) is type(wanted), f"{values}: {answer!r}, it should be {wanted!r}"


def references(function):
    columns = {
        "shelves.shelf": ["A", "B", "C"],
        "shelves.room": [1, 1, 2],
        "rooms.room": [1, 2, 3],
        "rooms.next": [2, 3, None],
        "boxes.box": [1, 2],
        "boxes.place": ["C", None, "A", "C"],
        "boxes.spare": ["A", "A"],
        "boxes.mark": ["A", "D"],
        "boxes.room": [3, 1],
        "boxes.size": [3, 2],
    }
    cases = [
        (["shelves.shelf"], [("boxes.place", "shelves.shelf")]),
        (["rooms.room"], [("boxes.room", "rooms.room"), ("shelves.room", "rooms.room")]),
        (["boxes.box"], []),
        (
            ["rooms.room", "shelves.shelf", "boxes.box"],
            [("boxes.place", "shelves.shelf"), ("boxes.room", "rooms.room"), ("shelves.room", "rooms.room")],
        ),
    ]
    for keys, wanted in cases:
        answer = function({name: list(values) for name, values in columns.items()}, list(keys))
        assert [tuple(pair) for pair in answer] == wanted, f"keys {keys}: {answer}, it should be {wanted}"


def trouble(function):
    read = {
        "a": ([(3,)], [(3,)], ""),
        "b": ([(1, "x"), (2, "x")], [(2, "x"), (1, "x")], ""),
        "c": (None, None, "fails"),
        "d": ([], [], "empty"),
        "e": ([(None, None)], [(None, None)], "empty"),
        "f": ([(None, 0)], [(None, 0)], ""),
        "g": ([(5,), (6,)], [(6,), (7,)], "unstable"),
        "h": ([(5,), (5,)], [(5,), (5,)], "repeats"),
        "i": ([(5,), (5,), (6,)], [(6,), (6,), (5,)], "unstable"),
        "k": ([(5, 1), (5, 2)], [(5, 2), (5, 1)], ""),
        "j": ([(False,)], [(False,)], ""),
    }

    def run(sql, reverse):
        rows = read[sql][1 if reverse else 0]
        return rows if rows is None else list(rows)

    for sql, (forwards, backwards, wanted) in read.items():
        answer = function(run, sql)
        assert answer == wanted, f"rows {forwards}, backwards {backwards}: {answer!r}, it should be {wanted!r}"


def split(function):
    pairs = [(f"p{n}", f"q{n * n % 7}") for n in range(1, 15)]
    query = dict(pairs)
    for n in (0, 1, 4, 5, 8, 14, 20):
        evaluation, training = function(list(pairs), n)
        assert Counter([*evaluation, *training]) == Counter(list(query)), f"n={n}: something is lost, or there twice"
        shared = {query[id] for id in evaluation} & {query[id] for id in training}
        assert not shared, f"n={n}: {shared} are on both sides"
        assert len(evaluation) >= min(n, len(pairs)), f"n={n}: the evaluation has {len(evaluation)}"
        first = list(dict.fromkeys(query[id] for id in evaluation))
        assert first == list(dict.fromkeys(query.values()))[: len(first)], f"n={n}: {first} are not the first queries"
        without = [id for id in evaluation if query[id] != first[-1]]
        assert not evaluation or len(without) < n, f"n={n}: {len(evaluation)} are more than it takes"


def questions_needed(function):
    for before, after, wanted in ((0.3, 0.6, 20), (0.6, 0.3, 20), (0.8, 0.82, 2955), (0.1, 0.0, 35), (1.0, 0.0, 1)):
        answer = function(before, after)
        assert answer == wanted, f"{before} and {after}: {answer}, it should be {wanted}"
    assert function(0.25, 0.25) is None, "equal accuracies"
