"""Damaged question sets, databases, adapters, workspace files: each works or gives a sentence, and is left as it was.

A file is made, damaged at random (bytes turned, cut out, repeated, cut off; values of JSON and TOML exchanged for odd
ones) and read. Then files that never were whole, drawn by hypothesis, which makes a failing one small: question sets,
pairs, workspace files, adapters, SQL logs. LABKIT_FUZZ is the number of files of each of the two ways, 240 by default;
`make fuzz` takes 2,000.
"""

import json
import os
import random
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit import cli, workspace
from labkit.datagen import generate
from labkit.datagen.logs import pairs_of_log, read_log
from labkit.datagen.reading import read_world
from labkit.datagen.speaker import Speaker
from labkit.dataset import Question, load_questions, overlap, save_questions
from labkit.errors import LabkitError
from labkit.execution import Limits, execute
from labkit.models import weights_sha256
from labkit.pairs import load_pairs
from labkit.schema import read_schema, sql_name
from labkit.tuning.adapter import Card, check_base, fill, read_config, save_adapter
from labkit.tuning.lora import LoRA, LoRALinear
from labkit.workspace import loop
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


# --- what is no ordinary file, around a workspace and an adapter ------------------------------------------------------


def folder_instead(path):
    path.unlink()
    path.mkdir()


def link_to_itself(path):
    path.unlink()
    path.symlink_to(path)


WAYS = {
    "folder": folder_instead,
    "loop": link_to_itself,
    "empty": lambda path: path.write_bytes(b""),
    "NUL": lambda path: path.write_bytes(b"\0" * 100),
    "Latin-1": lambda path: path.write_bytes(b'| caf\xe9 | x |\n{"caf\xe9": {}}'),
    "UTF-16": lambda path: path.write_bytes(path.read_text("utf-8").encode("utf-16")),
    "list": lambda path: path.write_bytes(b"[1]"),
    "wrong values": lambda path: path.write_bytes(b'{"owners": ["name"]}'),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
}


@pytest.fixture(scope="module")
def walked(whole, tmp_path_factory):
    """A workspace that was run to its end, but for what needs a model: pairs, an adapter, a run store, the page."""
    folder = tmp_path_factory.mktemp("walked") / "mine"
    workspace.init(folder, whole / "database.sqlite")
    text = (folder / FILE).read_text().replace("pairs = 3200", "pairs = 9").replace("= 10000", "= 0")
    (folder / FILE).write_text(text)
    sets = [load_questions(folder / "draft.jsonl")]
    pairs = loop._pairs(read_workspace(folder), 9, sets, lambda text: None)
    made = loop._hash([pairs.sha256, "smollm2-135m", "starter", 1e-3])
    shutil.copytree(whole / "adapter", folder / f"adapter-{made}")
    return folder


class WentOn(BaseException):
    """The file did no harm: an empty glossary, a half one."""


def went_on(*args, **kwargs):
    raise WentOn


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [FILE, "schema.json", "glossary.md", "draft.jsonl", "runs.db", "card.json", "pairs"])
def test_a_file_of_a_workspace_that_is_none(walked, tmp_path, monkeypatch, name, way, capsys):
    """`labkit run`, up to where a model would be loaded."""
    folder = tmp_path / "mine"
    shutil.copytree(walked, folder)
    found = {"card.json": "adapter-*/card.json", "pairs": "pairs-*.jsonl"}.get(name, name)
    file = next(folder.glob(found), folder / found)
    file.touch()
    WAYS[way](file)
    for what in ("labkit.workspace.loop.ladder", "labkit.models.load_model"):
        monkeypatch.setattr(what, went_on)
    monkeypatch.setattr("sys.argv", ["labkit", "run", str(folder)])
    with pytest.raises((SystemExit, WentOn)) as ended:
        cli.main()
    said = capsys.readouterr().err.strip()
    assert ended.type is WentOn or (ended.value.code == 2 and "Error: " in said and said.endswith("."))


@pytest.mark.parametrize("way", ["folder", "loop"])
@pytest.mark.parametrize("name", ["adapter_config.json", "card.json", "adapter_model.safetensors"])
def test_a_file_of_an_adapter_that_is_none(whole, tmp_path, name, way):
    shutil.copytree(whole / "adapter", tmp_path / "adapter")
    WAYS[way](tmp_path / "adapter" / name)
    assert weights_sha256(tmp_path / "adapter")
    said = outcome(read_adapter, tmp_path / "adapter")
    assert said == "read" if name == "card.json" else "missing" in said or "no adapter" in said


@pytest.mark.parametrize("name", ["~nobody_of_this_name/a.sqlite", "loop.sqlite", "pipe.sqlite", "a\0b"])
def test_a_path_that_leads_nowhere(whole, tmp_path, monkeypatch, capsys, name):
    """And what lies beside a database is passed over: a pipe would be waited for, for ever."""
    monkeypatch.chdir(tmp_path)
    Path("loop.sqlite").symlink_to("loop.sqlite")
    os.mkfifo("pipe.sqlite")
    with pytest.raises(LabkitError, match=r"\.$"):
        workspace.init("mine", name)
    assert not Path("mine").exists()
    if "\0" not in name:
        monkeypatch.setattr("sys.argv", ["labkit", "convert", name, "--out", "out.sqlite"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 2 and capsys.readouterr().err.startswith("Error: ")


def test_what_lies_beside_a_database_may_be_anything(whole, tmp_path):
    shutil.copy(whole / "database.sqlite", tmp_path)
    (tmp_path / "loop.jsonl").symlink_to("loop.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "gone.jsonl").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert generate(tmp_path / "database.sqlite", 5, wordings=1, progress=False).pairs


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied", "/x/y"), OSError(40, "A loop", "/x/y")])
def test_the_file_system_speaks_in_a_sentence(monkeypatch, capsys, error):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr("labkit.workspace.run", refuse)
    monkeypatch.setattr("sys.argv", ["labkit", "run", "mine", "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr()
    assert ended.value.code == 2 and told.err == f"Error: /x/y: {error.strerror}. Mend that, or name another place.\n"
    assert json.loads(told.out) == {"error": told.err.removeprefix("Error: ").strip()}


# --- files that never were whole --------------------------------------------------------------------------------------

FUZZ = settings(
    max_examples=CASES // 5, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)  # halves of surrogate pairs among them
NUMBERS = st.integers(-(2**80), 2**80) | st.floats()
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def records(known: dict[str, st.SearchStrategy]) -> st.SearchStrategy:
    """Objects with some of the known fields: each as it may be, or anything."""
    return st.fixed_dictionaries({}, optional={name: likely | JSON for name, likely in known.items()} | {"x": JSON})


def lines(known: dict[str, st.SearchStrategy]) -> st.SearchStrategy[bytes]:
    """A JSONL file of such objects, other values, and bytes that are none."""
    line = records(known).map(json.dumps) | JSON.map(json.dumps) | TEXTS
    line = line.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=9)
    return st.lists(line, max_size=4).map(b"\n".join)


ASKED = {
    "id": TEXTS,
    "question": TEXTS,
    "sql": st.just("SELECT 1") | TEXTS,
    "database": st.just("database"),
    "alternatives": st.lists(TEXTS, max_size=2),
    "rows": st.lists(st.lists(st.none() | NUMBERS | TEXTS, max_size=2), max_size=2),
    "order": st.booleans(),
    "tags": st.lists(TEXTS, max_size=2),
    "note": TEXTS,
    "answer": TEXTS,
}
PAIRED = {**ASKED, "gold": st.just("SELECT 1") | TEXTS, "pred": st.none() | TEXTS}

WRITABLE = TEXTS.map(lambda text: text.encode("utf-8", "replace").decode())
VALUES = (
    "1",
    "-3",
    "0.5",
    "nan",
    "inf",
    "true",
    "[]",
    "[1]",
    "{}",
    "1979-05-27",
    "'''x",
    "0x7f",
    "1e400",
    '"database"',
)
TOML = st.sampled_from(VALUES) | WRITABLE.map(json.dumps) | st.lists(WRITABLE, max_size=2).map(json.dumps)
KEYS = ("database", "exclude", "model", "pairs", "starter", "rate", "candidates", "questions", "rungs", "[a]", "a.b")
TOML_LINES = st.lists(st.tuples(st.sampled_from(KEYS), TOML).map(" = ".join) | TEXTS, max_size=5)
TOML_FILES = TOML_LINES.map(lambda found: "\n".join(found).encode("utf-8", "surrogatepass")) | st.binary(max_size=20)

QUERIES = (
    "SELECT name FROM pets WHERE species = 'dog' AND birth_year > 2015 ORDER BY name LIMIT 3",
    "SELECT COUNT ( * ) FROM visits AS v JOIN pets AS p ON v . pet_id = p . pet_id WHERE p . species = 'cat'",
    "SELECT town , COUNT ( * ) FROM owners GROUP BY town HAVING COUNT ( * ) > 1 ORDER BY COUNT ( * ) DESC",
    "SELECT AVG ( birth_year ) FROM pets WHERE breed IS NULL OR name LIKE 'B%' ;",
)
ODD_SQL = ["", "<>", "IN", "NOT", "SUM", "1e999", "--", "/*", '"', "`", "'", "CASE", "UNION", "WITH", ":p", "ü", "\0"]
WORDS = ODD_SQL + sorted(set(" ".join(QUERIES).split()))
CHANGES = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(WORDS)), max_size=3)


def changed(query: str, changes: list[tuple[int, str]]) -> str:
    """The query with other words at these places."""
    words = query.split(" ")
    for place, word in changes:
        words[place % len(words)] = word
    return " ".join(words)


STATEMENTS = st.builds(changed, st.sampled_from(QUERIES), CHANGES) | st.lists(st.sampled_from(WORDS)).map(" ".join)
LOGS = st.lists(STATEMENTS, max_size=4).map(lambda found: "\n".join(found).encode()) | st.binary(max_size=30)

CONFIGS = {
    "peft_type": st.just("LORA"),
    "r": st.integers(-1, 4),
    "lora_alpha": st.floats(),
    "target_modules": st.lists(st.sampled_from(["q_proj", "lm_head", ""]), max_size=2),
    "layers_to_transform": st.none() | st.integers(-2, 3) | st.lists(st.integers(-2, 3), max_size=2),
    "bias": st.just("none"),
}
CARDS = {"base": TEXTS, "base_sha256": st.just(MODEL.sha256), "prompt": TEXTS, "recipe": JSON, "pairs": st.integers()}
ADAPTERS = st.one_of(
    st.tuples(st.just("adapter_config.json"), records(CONFIGS) | JSON),
    st.tuples(st.just("card.json"), records(CARDS) | JSON),
)


@pytest.fixture(scope="module")
def place(whole, tmp_path_factory) -> Path:
    """A folder with a database."""
    folder = tmp_path_factory.mktemp("drawn")
    shutil.copy(whole / "database.sqlite", folder)
    return folder


@pytest.fixture(scope="module")
def speaker(place) -> Speaker:
    return Speaker(read_world(place / "database.sqlite", joint_names=False))


def drawn(file: Path, content: bytes, read) -> None:
    """A file of that content is read, or refused in a sentence; and nothing else happens."""
    file.write_bytes(content)
    names = sorted(file.parent.rglob("*"))
    said = outcome(read, file)
    assert said.rstrip().endswith((".", "?", "read", "more")) and "Traceback" not in said, said
    assert file.read_bytes() == content and sorted(file.parent.rglob("*")) == names


@FUZZ
@given(content=lines(ASKED))
def test_question_sets_that_were_drawn(place, content):
    drawn(place / "questions.jsonl", content, read_questions)


@FUZZ
@given(content=lines(PAIRED))
def test_pairs_that_were_drawn(place, content):
    drawn(place / "pairs.jsonl", content, load_pairs)


@FUZZ
@given(content=TOML_FILES)
def test_workspace_files_that_were_drawn(place, content):
    drawn(place / FILE, content, lambda file: read_config_file(file.parent))


@FUZZ
@given(what=ADAPTERS)
def test_adapters_that_were_drawn(whole, tmp_path_factory, what):
    folder = tmp_path_factory.getbasetemp() / "adapter"
    shutil.copytree(whole / "adapter", folder, dirs_exist_ok=True)
    name, record = what
    drawn(folder / name, json.dumps(record).encode(), lambda file: read_adapter(file.parent))


@FUZZ
@given(content=LOGS)
def test_sql_logs_that_were_drawn(place, speaker, content):
    drawn(place / "log.sql", content, lambda file: pairs_of_log(speaker, read_log(file), wordings=1))
