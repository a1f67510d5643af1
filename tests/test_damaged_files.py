"""Damaged question sets, databases, adapters, workspace files: each works or gives a sentence, and is left as it was.

A file is made, damaged at random (bytes turned, cut out, repeated, cut off; values of JSON and TOML exchanged for odd
ones) and read. LABKIT_FUZZ is the number of damaged files, 240 by default; `make fuzz` takes 2,000.
"""

import json
import os
import random
import shutil
from types import SimpleNamespace

import pytest
import torch

from labkit.datagen import generate
from labkit.dataset import Question, load_questions, overlap, save_questions
from labkit.errors import LabkitError
from labkit.execution import Limits, execute
from labkit.schema import read_schema, sql_name
from labkit.tuning.adapter import Card, check_base, fill, read_config, save_adapter
from labkit.tuning.lora import LoRA, LoRALinear
from labkit.workspace.check import findings
from labkit.workspace.config import FILE, write_config
from labkit.workspace.config import read_config as read_workspace

CASES = int(os.environ.get("LABKIT_FUZZ", 240))
KINDS = ("questions", "database", "adapter", "config")
ODD = (None, True, 0, -1, 1e308, 2**70, "", "\0", "ü" * 300, "\ud800", [], [[]], {}, [None], {"a": [1]}, "../../x", 0.5)
LORA = LoRA((0,), 2, 4.0, ("q_proj",))
MODEL = SimpleNamespace(name="tiny", sha256="ab" * 32)


def bytes_damaged(data: bytes, rng: random.Random) -> bytes:
    """One to four changes of a file's bytes."""
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 8, 100, 4096))
        way = rng.choice(("turn", "cut", "repeat", "end", "insert"))
        if way == "turn":
            data = data[:at] + bytes(rng.randrange(256) for _ in range(length)) + data[at + length :]
        elif way == "cut":
            data = data[:at] + data[at + length :]
        elif way == "repeat":
            data = data[: at + length] + data[at:]
        elif way == "end":
            data = data[:at]
        else:
            data = (
                data[:at] + rng.choice((b"\0", b"\xff\xfe", b'"', b"}", b"[[[[", b"\r\n", b"NaN", b"1e999")) + data[at:]
            )
    return data


def json_damaged(data: bytes, rng: random.Random) -> bytes:
    """One value of a line's object exchanged, left out or put under another name."""
    lines = data.decode().splitlines()
    at = rng.randrange(len(lines)) if len(lines) > 1 and lines[0].startswith('{"') else None
    record = json.loads(lines[at]) if at is not None else json.loads(data)
    name = rng.choice(sorted(record))
    value = record.pop(name)
    if rng.random() < 0.7:
        record[name] = rng.choice(ODD)
    elif rng.random() < 0.5:
        record[name + "x"] = value
    text = json.dumps(record)
    return "\n".join(lines[:at] + [text] + lines[at + 1 :]).encode() if at is not None else text.encode()


def toml_damaged(data: bytes, rng: random.Random) -> bytes:
    """The value of one line exchanged."""
    lines = data.decode().splitlines()
    at = rng.choice([n for n, line in enumerate(lines) if " = " in line])
    odd = rng.choice(
        ("nan", "-1", "inf", "''", "[1, [2]]", "{a = 1}", "1979-05-27", "true", '"\\u0000"', '["\\u0000"]', "0x7f")
    )
    lines[at] = f"{lines[at].split(' = ')[0]} = {odd}"
    return "\n".join(lines).encode()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, league):
    """A folder with one whole file, or folder, of each kind."""
    folder = tmp_path_factory.mktemp("whole")
    asked = [
        Question("q1", "How many?", "SELECT count(*) FROM teams", "league", alternatives=("SELECT 1",), tags=("easy",)),
        Question("q2", "Which?", database="league", rows=(("Ann", 1.5), (None, 2)), order=True),
        Question("q3", "What year?", answer="1987", note="Zoë"),
    ]
    save_questions(folder / "questions.jsonl", asked)
    shutil.copy(league.parent.parent / "clinic" / "clinic.sqlite", folder / "database.sqlite")
    card = Card("tiny", MODEL.sha256, "memory", "chat", "cd" * 32, 3, 1.0, 5, 3, 3)
    save_adapter(folder / "adapter", factors(), LORA, card)
    (folder / "config").mkdir()
    write_config(folder / "config", folder / "database.sqlite")
    return folder


def factors() -> dict[str, LoRALinear]:
    return {"model.layers.0.self_attn.q_proj": LoRALinear(torch.nn.Linear(4, 4), LORA.rank, LORA.alpha)}


def read_questions(path):
    questions = load_questions(path)
    overlap(questions, questions)
    assert save_questions(path.with_suffix(".again"), questions).is_file()
    assert list(load_questions(path.with_suffix(".again"))) == list(questions)
    path.with_suffix(".again").unlink()


def read_database(path):
    schema = read_schema(path)
    assert findings(schema) is not None and schema.to_prompt()
    for table in schema.tables[:3]:
        execute(path, f"SELECT * FROM {sql_name(table.name)}", Limits(seconds=1.0))


def read_adapter(folder):
    read_config(folder)
    check_base(folder, MODEL)
    fill(factors(), folder)


def read_config_file(folder):
    read_workspace(folder).sets()


READ = {"questions": read_questions, "database": read_database, "adapter": read_adapter, "config": read_config_file}


def damaged(whole, kind, folder, rng):
    """A damaged copy in `folder`: what to read, and the file that is damaged."""
    if kind == "questions":
        file, how = folder / "questions.jsonl", (bytes_damaged, json_damaged)
        source = whole / file.name
    elif kind == "database":
        file, how = folder / "database.sqlite", (bytes_damaged,)
        source = whole / file.name
    elif kind == "adapter":
        shutil.copytree(whole / "adapter", folder / "adapter")
        file = folder / "adapter" / rng.choice(("adapter_config.json", "card.json", "adapter_model.safetensors"))
        source, how = file, (bytes_damaged, json_damaged if file.suffix == ".json" else bytes_damaged)
    else:
        file, how = folder / FILE, (bytes_damaged, toml_damaged)
        source = whole / "config" / FILE
    file.write_bytes(rng.choice(how)(source.read_bytes(), rng))
    return file.parent if kind in ("adapter", "config") else file, file


def outcome(read, path) -> str:
    """ "read", or the sentence that was given."""
    try:
        read(path)
    except LabkitError as error:
        return str(error)
    return "read"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_whole_is_read(whole, kind):
    paths = {"questions": whole / "questions.jsonl", "database": whole / "database.sqlite"}
    assert outcome(READ[kind], paths.get(kind, whole / kind)) == "read"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_damaged_gives_a_sentence(whole, kind, tmp_path):
    refused, faults = 0, []
    for number in range(CASES // len(KINDS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        path, file = damaged(whole, kind, folder, random.Random(f"{kind} {number}"))
        before, names = file.read_bytes(), sorted(folder.rglob("*"))
        try:
            said = outcome(READ[kind], path)
        except Exception as error:  # the fault that is looked for; all are told together
            faults.append(f"{kind} {number}: {type(error).__name__}: {str(error)[:150]}")
            continue
        refused += said != "read"
        if not said.rstrip().endswith((".", "?", "read", "more")) or "Traceback" in said:
            faults.append(f"{kind} {number}: no sentence: {said[:150]!r}")
        if file.read_bytes() != before or sorted(folder.rglob("*")) != names:
            faults.append(f"{kind} {number}: the files have changed")
        shutil.rmtree(folder)
    print(f"{kind}: {CASES // len(KINDS)} damaged, {refused} refused, {len(faults)} faults")
    assert not faults, "\n".join(faults)
    assert refused > CASES // len(KINDS) // 10  # the damage is real


def test_pairs_come_from_what_can_still_be_read(whole, tmp_path):
    """A table of which no row can be read has categories without values: the generator once drew from them."""
    file, made = tmp_path / "database.sqlite", 0
    for number in range(1, 1 + CASES // 24):
        file.write_bytes(bytes_damaged((whole / file.name).read_bytes(), random.Random(f"pairs {number}")))
        made += outcome(lambda path: generate(path, 15, wordings=1, progress=False), file) == "read"
    assert made
