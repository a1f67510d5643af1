"""Percentiles against Python's own count, on made-up weather stations."""

import math
import random
import re
import sqlite3

import pytest

from labkit.datagen.drawing import Drawer
from labkit.datagen.focus import draws
from labkit.datagen.percentiles import percentile
from labkit.datagen.reading import read_world
from labkit.datagen.speaker import Speaker
from labkit.execution import execute


@pytest.fixture(scope="module")
def stations(tmp_path_factory):
    """Forty stations in two regions; the rain of one is not known, of another written 'NA'."""
    path, rng = tmp_path_factory.mktemp("rain") / "rain.sqlite", random.Random(2)
    first, last = ("Oak", "Elm", "Ash", "Fir", "Yew"), ("ford", "ton", "wick", "dale", "by", "mere", "ham", "ley")
    names = [a + b for a in first for b in last]
    rain = [None, "NA", *(rng.randrange(200, 900) for _ in range(38))]
    rows = [(i, name, rain[i], ("North", "South")[i % 2]) for i, name in enumerate(names)]
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE station (id INTEGER PRIMARY KEY, name TEXT UNIQUE, rain, region TEXT)")
        connection.executemany("INSERT INTO station VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return path, rows


def test_percentiles_are_the_nearest_rank_of_what_is_known(stations):
    path, rows = stations
    drawer, seen = Drawer(Speaker(read_world(path)), random.Random(1)), set()
    for intent in draws(percentile, drawer, 150):
        times, parts = re.search(r"\(COUNT\(\*\)(?: \* (\d+))? - 1\) / (\d+)", intent.sql).groups()
        region, sign = re.search(r"region = '(\w+)'", intent.sql), re.search(r"rain ([<>]) \(SELECT", intent.sql)
        if "region" in intent.sql and not region:
            continue  # 'not in the North'
        known = [row for row in rows if isinstance(row[2], int) and (not region or row[3] == region[1])]
        share = int(times or 1) / int(parts)
        at = sorted(row[2] for row in known)[math.ceil(share * len(known)) - 1]
        wanted = {(at,)}
        if sign:
            beyond = {(row[1],) for row in known if (row[2] > at if sign[1] == ">" else row[2] < at)}
            wanted = {(len(beyond),)} if "count" in intent.tags else beyond
        assert set(execute(path, intent.sql).rows) == wanted, intent.sql
        seen.add((share, bool(sign), bool(region)))
    assert {share for share, *_ in seen} == {0.1, 0.25, 0.5, 0.75, 0.9}
    assert {(sign, region) for _, sign, region in seen} == {(False, True), (False, False), (True, False)}


def test_percentiles_are_asked_for_as_people_do(stations):
    drawer = Drawer(Speaker(read_world(stations[0])), random.Random(1))
    asked = [intent.word(drawer.rng) for intent in draws(percentile, drawer, 150)]
    for words in (
        "median",
        "middle",
        "90th percentile",
        "quartile",
        "top (quarter|tenth)",
        "begin at",
        "below the median",
    ):
        assert any(re.search(words, question, re.I) for question in asked), words
