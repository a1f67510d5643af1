"""The agent: a question -> SQL -> rows -> one sentence, with the SQL and the rows beside it.

The sentence is put together from the rows by fixed rules, never written by a model: what the rows don't say, it does
not say. A model's SQL runs through `execution.execute` alone. A chat model is any object with `.chat` and `.describe`;
models themselves live in `models` and `endpoint`.
"""

import hashlib
import html
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from labkit import prompting
from labkit.errors import LabkitError
from labkit.exclusion import said
from labkit.execution import ExecutionResult, execute
from labkit.schema import read_schema

_SHOWN_VALUES = 5  # in a sentence
_SHOWN_ROWS = 20  # in a table
_SHOWN_CHARACTERS = 80

Prompt = Callable[[str, str], list[prompting.Message]]


class SqlGenerator:
    """A chat model as what `evaluate` wants: questions in, SQL out.

    prompt: a name in `prompting.PROMPTS`, or a function of question and schema text that returns messages; by default
    the prompt that the model's adapter was tuned with, or "plain". settings: what `chat` takes (temperature, seed,
    max_new_tokens ...). Each question's `database` must be the path of its file.
    """

    def __init__(self, chat_model, prompt: str | Prompt | None = None, **settings):
        self.chat_model = chat_model
        self.prompt = as_prompt(prompt or getattr(chat_model, "prompt", None) or "plain")
        self.settings = settings

    def __call__(self, questions: Sequence) -> list[str]:
        return self.answer(self.conversations(questions))

    def conversations(self, questions: Sequence) -> list[list[prompting.Message]]:
        """What the model is asked for each question."""
        return [self.prompt(q.question, schema_text(q.database)) for q in questions]

    def answer(self, conversations: Sequence[Sequence[prompting.Message]]) -> list[str]:
        """The SQL in the model's reply to each conversation."""
        settings = {"stop": prompting.sql_finished, "progress": False} | self.settings
        replies = self.chat_model.chat(conversations, **settings)
        return [prompting.extract_sql(reply) if isinstance(reply, str) else reply for reply in replies]

    def describe(self) -> dict:
        """What the model says of itself, with the prompt's name and text (as a hash) and the decoding settings."""
        return _said_of(self)


class ReplyGenerator:
    """A chat model as what `evaluate` wants of facts (mode "text"): questions in, whole replies out, stripped.

    prompt: as for `SqlGenerator`, but "chat" where the model's adapter names none; no schema is ever shown. A reply is
    cut after `max_new_tokens`; settings: what else `chat` takes.
    """

    def __init__(self, chat_model, prompt: str | Prompt | None = None, max_new_tokens: int = 64, **settings):
        self.chat_model = chat_model
        self.prompt = as_prompt(prompt or getattr(chat_model, "prompt", None) or "chat")
        self.settings = {"max_new_tokens": max_new_tokens, **settings}

    def __call__(self, questions: Sequence) -> list[str]:
        conversations = [self.prompt(q.question, "") for q in questions]
        replies = self.chat_model.chat(conversations, **{"progress": False} | self.settings)
        return [reply.strip() if isinstance(reply, str) else reply for reply in replies]

    def describe(self) -> dict:
        """As `SqlGenerator.describe`; that the replies are taken whole is said as well."""
        return {**_said_of(self), "reads": "the whole reply"}


@dataclass(frozen=True)
class Answer:
    """One sentence for the user, and what it rests on."""

    question: str
    sql: str
    result: ExecutionResult
    sentence: str

    def __str__(self) -> str:
        lines = [self.sentence, "", self.sql]
        if self.result.ok and self.result.columns:
            rows = self.result.rows[:_SHOWN_ROWS]
            lines += ["", " | ".join(self.result.columns), *(" | ".join(map(_text, row)) for row in rows)]
            lines += _more(self.result)
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """The SQL as a block, then the first rows as a table, or the sentence where there are none. Values are escaped:
        what stands in a database is no link, no picture and no HTML in what a chat shows."""
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", self.sql)), default=0))
        parts = [f"{fence}sql\n{self.sql}\n{fence}"] if self.sql.strip() else []
        if not self.result.ok or not self.result.rows:
            return "\n\n".join([*parts, _plain(self.sentence)])
        rows = [self.result.columns, *(map(_text, row) for row in self.result.rows[:_SHOWN_ROWS])]
        lines = ["| " + " | ".join(_plain(" ".join(str(value).split())) for value in row) + " |" for row in rows]
        lines.insert(1, "|" + " --- |" * len(self.result.columns))
        return "\n\n".join([*parts, "\n".join(lines), *_more(self.result)])

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{html.escape(self.sentence)}</b></p>", f"<pre>{html.escape(self.sql)}</pre>"]
        if self.result.ok and self.result.columns:
            rows = [_html_row("th", self.result.columns)]
            rows += [_html_row("td", map(_text, row)) for row in self.result.rows[:_SHOWN_ROWS]]
            parts += [f"<table>{''.join(rows)}</table>", *(f"<p>{line}</p>" for line in _more(self.result))]
        return "\n".join(parts)


class Agent:
    """A chat model that answers questions on one database."""

    def __init__(self, chat_model, database: str | Path, prompt: str | Prompt | None = None, **settings):
        self.database = Path(database)
        self.generator = SqlGenerator(chat_model, prompt, **settings)
        schema_text(self.database)  # a file that is no database shows now

    def ask(self, question: str) -> Answer:
        """Answer `question`. A query that fails or is stopped gives an answer that says so; `result` has the reason."""
        if not isinstance(question, str) or not question.strip():
            raise LabkitError("There is no question. Ask one in words, such as 'How many teams are there?'.")
        replies = self.generator([_Asked(question, str(self.database))])
        if len(replies) != 1 or not isinstance(replies[0], str):
            raise LabkitError("The model gave no reply to the question. Ask again, or try another model.")
        sql = replies[0]
        result = execute(self.database, sql)
        return Answer(question, sql, result, answer_sentence(sql, result))


@dataclass(frozen=True)
class _Asked:
    """As much of a `dataset.Question` as a generator needs."""

    question: str
    database: str


def ask(question: str, database: str | Path, model="smollm2-135m") -> Answer:
    """Answer one question on `database`; `model` is a chat model, or the name of one to load."""
    if isinstance(model, str):
        from labkit.models import load_model  # torch, only where a model is wanted by name

        model = load_model(model)
    return Agent(model, database).ask(question)


def answer_sentence(sql: str, result: ExecutionResult) -> str:
    """What the rows say, in a sentence; or that there is no answer, and why."""
    if not sql.strip():
        return "I have no answer: the model wrote no SQL."
    if not result.ok:
        return f"I have no answer: the query {_failure(result)}."
    count = len(result.rows)
    if not count:
        return "No rows match."
    if result.truncated:
        return f"More than {_count(count)}, cut at a limit ({result.limit}), so this is not all: {_list(result)}."
    if count == 1:
        return f"{_row_sentence(result)}."
    return f"{_count(count)}: {_list(result)}."


def _failure(result: ExecutionResult) -> str:
    what = "failed" if result.limit is None else f"was stopped ({result.limit})"
    return f"{what}: {' '.join(result.error.split()).rstrip('.')}"


def _row_sentence(result: ExecutionResult) -> str:
    (row,) = result.rows
    if len(row) == 1:
        return "The one row found holds no value (NULL)" if row[0] is None else f"The answer is {_text(row[0])}"
    return _fields(result.columns, row)


def _list(result: ExecutionResult) -> str:
    """The first rows of several, and how many more there are."""
    single = len(result.columns) == 1
    rows = result.rows[: _SHOWN_VALUES if single else 2]
    shown = [_text(row[0]) if single else _fields(result.columns, row) for row in rows]
    rest = len(result.rows) - len(rows)
    return (", " if single else "; ").join(shown) + (f"; and {rest} more" if rest else "")


def _fields(columns: Sequence[str], row: tuple) -> str:
    shown = [f"{column} {_text(value)}" for column, value in zip(columns, row, strict=True)][:_SHOWN_VALUES]
    return ", ".join(shown) + (", ..." if len(row) > _SHOWN_VALUES else "")


def _count(n: int) -> str:
    return "1 row" if n == 1 else f"{n} rows"


def _text(value: object) -> str:
    """A value on one line and short; its digits are never rounded."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"<blob of {len(value)} bytes>"
    text = " ".join(str(value).split()) or "''"
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def _more(result: ExecutionResult) -> list[str]:
    hidden = len(result.rows) - _SHOWN_ROWS
    lines = [f"... and {hidden} more row{'' if hidden == 1 else 's'}"] if hidden > 0 else []
    return lines + (["The result was cut at a limit: there are more rows."] if result.truncated else [])


def _plain(text: str) -> str:
    """Text that Markdown shows as it is (CommonMark 0.31.2, section 2.4); underscores within words stay bare."""
    return re.sub(r"[\\`*\[\]<|&~]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", text)


def _html_row(tag: str, values) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(value)}</{tag}>" for value in values) + "</tr>"


# --- prompts ----------------------------------------------------------------------------------------------------------


def as_prompt(prompt: str | Prompt) -> Prompt:
    """The prompt of that name in `prompting.PROMPTS`; a function is one already."""
    if callable(prompt):
        return prompt
    if prompt not in prompting.PROMPTS:
        names = ", ".join(prompting.PROMPTS)
        raise LabkitError(f"There is no prompt {prompt!r}. Give one of {names}, or a function of question and schema.")
    return prompting.PROMPTS[prompt]


def _said_of(generator: SqlGenerator | ReplyGenerator) -> dict:
    """All that decides a generator's texts."""
    prompt = generator.prompt
    said = {"prompt": getattr(prompt, "__name__", type(prompt).__name__)}
    if hasattr(prompt, "describe"):  # one that looks things up depends on more than its two arguments
        said |= prompt.describe()
    else:
        probe = json.dumps(prompt("QUESTION", "SCHEMA"), sort_keys=True)
        said["prompt_hash"] = hashlib.sha256(probe.encode()).hexdigest()
    return {**generator.chat_model.describe(), **said, "seed": 0, **generator.settings}


def schema_text(database: str | Path) -> str:
    """The database's schema as prompt text, read again only when the file has changed, or what is excluded of it."""
    path = Path(database)
    try:
        stamps = [(f.stat().st_mtime_ns, f.stat().st_size) for f in (path, Path(f"{path}-wal")) if f.exists()]
    except OSError as error:
        raise LabkitError(f"The database {path} cannot be read: {error.strerror or error}.") from error
    return _schema_text_of(path, tuple(stamps), tuple(said(path)))


@lru_cache(32)
def _schema_text_of(path: Path, stamps: tuple, excluded: tuple) -> str:
    return read_schema(path).to_prompt()
