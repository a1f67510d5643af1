"""Questions with their reference queries: load, validate and save JSONL sets; what two sets have in common.

A set is a file with one JSON object a line: `id, question, sql, database` and, where needed, `alternatives, rows,
order, tags, note`. A fact has `id, question, answer` instead: the answer is a text, and no query stands behind it. A
question from elsewhere may have `rows` and no `sql`: then the rows are its gold. This module checks that a line is
well formed; whether its query is any good is the business of `linting`, whether a prediction agrees with it that of
`scoring`. Nothing is executed here.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path

from labkit.errors import LabkitError
from labkit.home import write_atomically
from labkit.jsonl import BadLine, kind_of, read_jsonl, read_object
from labkit.sqltext import normalise_question, normalise_sql, skeleton

_NO_DATABASE = (
    "Give the database as a path, or as a NAME where NAME, NAME.sqlite or NAME/NAME.sqlite lies in the folder."
)


@dataclass(frozen=True)
class Question:
    """A question and the query that answers it, or a fact: a question and its `answer`, without query and database.

    `rows`, where given, is the result that the author of the question expects of `sql`; without `sql` it is all that
    is known of the answer. `order` says whether the order of rows counts; None leaves it to the query (it counts when
    the outermost query has an ORDER BY, and not where there is none).
    """

    id: str
    question: str
    sql: str = ""
    database: str = ""
    alternatives: tuple[str, ...] = ()  # other queries whose answer is right as well
    rows: tuple[tuple, ...] | None = None
    order: bool | None = None
    tags: tuple[str, ...] = ()
    note: str = ""
    answer: str | None = None  # of a fact: the whole reply that is right
    line: int | None = field(default=None, compare=False, repr=False)  # where it stands in the file it came from

    def to_json(self) -> dict:
        """The question as one line of a set holds it; fields at their default are left out."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "line"}
        needed = _required(values)
        return {k: v for k, v in values.items() if k in needed or v not in ((), None, "") or (k == "rows" and v == ())}

    @property
    def is_fact(self) -> bool:
        """Whether it has an answer and no query."""
        return self.answer is not None and not self.sql

    @property
    def rows_only(self) -> bool:
        """Whether its gold is rows, and no query gives them."""
        return self.rows is not None and not self.sql and self.answer is None

    @property
    def queries(self) -> tuple[str, ...]:
        """The query and its alternatives; none where the gold is an answer or rows."""
        return (self.sql, *self.alternatives) if self.sql else ()


@dataclass(frozen=True)
class QuestionSet(Sequence):
    """Questions under a name. `db_dir` is where their databases are looked for, beside the folder of `path`."""

    name: str
    questions: tuple[Question, ...]
    path: Path | None = None
    db_dir: Path | None = None

    def __post_init__(self):
        object.__setattr__(self, "questions", tuple(self.questions))

    def __len__(self) -> int:
        return len(self.questions)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return QuestionSet(self.name, self.questions[index], self.path, self.db_dir)
        return self.questions[index]

    def __iter__(self) -> Iterator[Question]:
        return iter(self.questions)

    @property
    def sha256(self) -> str:
        """Hash of what the questions say, in their order; line ends and blank lines don't change it."""
        return hashlib.sha256(_to_jsonl(self.questions).encode()).hexdigest()

    def database_path(self, question: Question) -> Path:
        """The file of the question's database; `LabkitError` when there is none."""
        if not question.database:
            raise LabkitError(f"Question {question.id!r} has no database: it is a fact, which has an answer instead.")
        near = [self.path.parent, self.path.parent.parent] if self.path else []
        folders = [Path(self.db_dir), *near] if self.db_dir else near
        return find_database(question.database, folders)


def find_database(name: str | Path, folders: Iterable[str | Path] = ()) -> Path:
    """The database called `name`: NAME, NAME.sqlite or NAME/NAME.sqlite in one of `folders`, else a path as it stands.

    `LabkitError` when no such file exists; whether it is a database is found out by opening it.
    """
    folders = [Path(folder) for folder in folders]
    stem = Path(name).name
    for folder in [*folders, Path()]:
        base = folder / name
        tries = [base, *(base.with_name(stem + ending) for ending in (".sqlite", ".db"))] if stem else []
        for file in [*tries, base / f"{stem}.sqlite", base / f"{stem}.db"]:
            with suppress(OSError, ValueError):  # a name that no file can have
                if file.is_file():
                    return file
    places = ", ".join(str(folder) for folder in folders) or "the current folder"
    raise LabkitError(f"There is no database {str(name)[:200]!r} in {places}. {_NO_DATABASE}")


# --- load and save ----------------------------------------------------------------------------------------------------

_REQUIRED = ("id", "question", "sql", "database")
_REQUIRED_OF_FACT = ("id", "question", "answer")
_REQUIRED_OF_ROWS = ("id", "question", "rows", "database")
_OF_QUERY = ("database", "alternatives", "rows", "order")  # fields that say nothing where there is no query
_FIELDS = tuple(f.name for f in fields(Question) if f.name != "line")
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


def load_questions(path: str | Path, db_dir: str | Path | None = None) -> QuestionSet:
    """Read a JSONL question set. `LabkitError` names every bad line by file and line, with what is wrong with it."""
    path = Path(path)
    questions: dict[str, Question] = {}

    def parse(line: bytes, number: int) -> None:
        question = _parse(line, number)
        if question.id in questions:
            raise BadLine(f"id {question.id!r} is already used in line {questions[question.id].line}")
        questions[question.id] = question

    read_jsonl(path, parse)
    if not questions:
        raise LabkitError(f"{path} holds no question. Write one JSON object a line: {', '.join(_REQUIRED)}.")
    return QuestionSet(path.stem, tuple(questions.values()), path, Path(db_dir) if db_dir else None)


def save_questions(path: str | Path, questions: Sequence[Question]) -> Path:
    """Write a set atomically, so that it loads back equal; `LabkitError` names a question that would not."""
    seen = set()
    for question in questions:
        try:
            _parse(json.dumps(question.to_json(), default=_refuse_type), None)
        except (BadLine, ValueError, TypeError) as error:
            raise LabkitError(f"Question {question.id!r} cannot be saved in {path}: {error}.") from error
        if question.id in seen:
            raise LabkitError(f"Two questions for {path} have the id {question.id!r}. Give each its own.")
        seen.add(question.id)
    if not seen:
        raise LabkitError(f"There is no question to save in {path}: an empty set could not be loaded again.")
    return write_atomically(path, _to_jsonl(questions))


def _to_jsonl(questions: Iterable[Question]) -> str:
    return "".join(json.dumps(q.to_json(), ensure_ascii=False, allow_nan=False) + "\n" for q in questions)


def _parse(line: str | bytes, number: int | None) -> Question:
    return question_from(read_object(line), number)


def question_from(record: dict, number: int | None) -> Question:
    """The question that a JSON object holds, every field checked; `BadLine` says what is wrong with it."""
    for name in record:
        if name not in _FIELDS:
            raise BadLine(f"unknown field {name!r}{_nearest_field(name)}")
    for name in _required(record):
        if name not in record:
            raise BadLine(f"field {name!r} is missing")
    rows_only = _required(record) is _REQUIRED_OF_ROWS
    idle = [n for n in (("alternatives",) if rows_only else _OF_QUERY) if "sql" not in record and n in record]
    if idle:
        raise BadLine(f"field {idle[0]!r} goes with a query; drop it, or add the field 'sql'")
    if isinstance(record["id"], int) and not isinstance(record["id"], bool):
        record["id"] = str(record["id"])
    values = {name: _checked(name, value) for name, value in record.items()}
    return Question(**values, line=number)


def _required(record: dict) -> tuple[str, ...]:
    """The fields that a line must have: an answer stands for query and database, rows stand for the query alone."""
    if record.get("sql"):
        return _REQUIRED
    if record.get("answer") is not None:
        return _REQUIRED_OF_FACT
    return _REQUIRED if record.get("rows") is None else _REQUIRED_OF_ROWS


def _refuse_type(value):
    raise TypeError(f"{kind_of(value)} has no place in a question set")


def _nearest_field(name: str) -> str:
    import difflib  # needed only on the way to an error

    meant = {"query": "sql", "gold": "sql", "db": "database", "db_id": "database", "text": "question"}.get(name.lower())
    near = [meant] if meant else difflib.get_close_matches(name.lower(), _FIELDS, 1)
    return f" (did you mean {near[0]!r}?)" if near else f"; the fields are {', '.join(_FIELDS)}"


def _checked(name: str, value):
    """The field's value as `Question` holds it, or `BadLine`."""
    if name in ("id", "question", "sql", "database"):
        return _text(name, value)
    if name == "note":
        return _text(name, value, empty=True)
    if name == "answer":
        return None if value is None else _text(name, value)
    if name in ("alternatives", "tags"):
        if not isinstance(value, list):
            raise BadLine(f"field {name!r} must be a list of texts, not {kind_of(value)}")
        return tuple(_text(f"{name}[{i}]", item) for i, item in enumerate(value))
    if name == "order":
        if value is not None and not isinstance(value, bool):
            raise BadLine(f"field 'order' must be true, false or null, not {kind_of(value)}")
        return value
    return None if value is None else _rows(value)


def _text(name: str, value, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise BadLine(f"field {name!r} must be a text, not {kind_of(value)}")
    if not empty and not value.strip():
        raise BadLine(f"field {name!r} is empty")
    if _UNWRITABLE.search(value):
        raise BadLine(f"field {name!r} holds a NUL character or half of a surrogate pair")
    return value


def _rows(value) -> tuple[tuple, ...]:
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise BadLine("field 'rows' must be a list of rows, each a list of values, such as [[\"Ann\", 3]]")
    if len({len(row) for row in value}) > 1:
        raise BadLine("field 'rows' has rows of different length")
    return tuple(tuple(_value(cell) for cell in row) for row in value)


def _value(cell):
    """A stored value; true and false are the 1 and 0 that SQLite gives."""
    if isinstance(cell, (dict, list)):
        raise BadLine(f"a value in 'rows' is {kind_of(cell)}; only texts, numbers and null can be there")
    if isinstance(cell, str):
        return _text("rows", cell, empty=True)
    if isinstance(cell, float) and not math.isfinite(cell):
        raise BadLine("a number in 'rows' is too large for a float")
    if isinstance(cell, int) and not -(2**63) <= cell < 2**63:
        raise BadLine("an integer in 'rows' is too large for SQLite")
    return int(cell) if isinstance(cell, bool) else cell


# --- overlap ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Overlap:
    """One thing that two sets share: the ids on both sides, and the normalised text that is the same."""

    kind: str  # "question", "query" (literals kept) or "skeleton" (literals masked)
    text: str
    a: tuple[str, ...]
    b: tuple[str, ...]


def overlap(a: Iterable[Question], b: Iterable[Question]) -> list[Overlap]:
    """What `a` and `b` share: questions first, then queries, then skeletons. An alternative counts as a query.

    Databases are not compared: a wording trained on one database is known on another as well.
    """
    a, b = list(a), list(b)
    shared = []
    for kind, keys in _KEYS.items():
        left, right = _ids_by_key(a, keys), _ids_by_key(b, keys)
        shared += [Overlap(kind, key, tuple(left[key]), tuple(right[key])) for key in left if key in right]
    return shared


_KEYS = {
    "question": lambda q: [normalise_question(q.question)],
    "query": lambda q: [normalise_sql(sql) for sql in q.queries],
    "skeleton": lambda q: [skeleton(sql) for sql in q.queries],
}


def _ids_by_key(questions: Iterable[Question], keys) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for question in questions:
        for key in dict.fromkeys(keys(question)):
            found.setdefault(key, []).append(question.id)
    return found
