"""From a question to chat messages, and from a model's reply to the query in it.

Nothing here calls a model or a database. A message is a dictionary with `role` and `content`; a reply is a text that
may hold anything.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

Message = dict[str, str]

INSTRUCTION = "You write SQL for SQLite. Answer with one SELECT query and nothing else."


def plain(question: str, schema_text: str) -> list[Message]:
    """The question below the schema. The schema comes first, so that all questions on a database share a prefix; the
    task is repeated last, because a small model that reads it only in front answers in prose."""
    return [
        {"role": "system", "content": INSTRUCTION},
        {"role": "user", "content": f"Tables:\n{schema_text}\n\n{_task(question)}"},
    ]


def _task(question: str) -> str:
    return f"Question: {question}\nWrite one SQLite query that answers the question. Answer with the SQL only."


def few_shot(question: str, schema_text: str, examples: Sequence) -> list[Message]:
    """`plain`, after worked `examples` (anything with `.question` and `.sql`) told as earlier turns."""
    first, *turns = [*((e.question, e.sql) for e in examples), (question, None)]
    messages = plain(first[0], schema_text)
    for previous, (text, _) in zip([first, *turns], turns, strict=False):
        messages += [{"role": "assistant", "content": previous[1]}, {"role": "user", "content": _task(text)}]
    return messages


def reflection(conversation: Sequence[Message], sql: str, error: str) -> list[Message]:
    """The conversation, then `sql` as the model's answer and the database's `error` as what it is told of it."""
    told = (
        f"{' '.join(error.split())[:300]}\nThe query fails. Write one SQLite query that runs. Answer with the SQL only."
    )
    return [*conversation, {"role": "assistant", "content": sql}, {"role": "user", "content": f"Error: {told}"}]


def question_only(question: str, schema_text: str = "") -> list[Message]:
    """The question and no schema: for a model whose weights have learnt the database."""
    return [{"role": "system", "content": "You write SQL for SQLite."}, {"role": "user", "content": question}]


def chat(question: str, schema_text: str = "") -> list[Message]:
    """The question as it stands, with the chat template's own system message: for facts asked in words."""
    return [{"role": "user", "content": question}]


PROMPTS = {prompt.__name__: prompt for prompt in (plain, question_only, chat)}


def extract_sql(reply: str) -> str:
    """The first SQL statement in a model's `reply`, without its semicolon; the stripped reply if it holds none.

    It looks inside code fences first, skips thinking, labels ("SQL:") and prose before the statement, and stops at a
    semicolon, a note, or a blank line that no SQL follows. A statement that is no SELECT is returned as well: hiding a
    model's DELETE would make it look better than it is. Nothing is repaired, and nothing is executed.
    """
    text = _SPECIAL.sub("", reply.rpartition("</think>")[2])
    pieces = _FENCE.split(text)
    for piece in [*pieces[1::2], *pieces[0::2]]:
        found = _start(piece)
        if found:
            return piece[found.place : _end(piece, found.place)].strip()
    fenced = [_LANGUAGE.sub("", piece) for piece in pieces[1::2]]
    raw = next(filter(str.strip, fenced), "".join(pieces[0::2]))
    return _LABEL.sub("", raw.strip(), count=1).strip().rstrip(";").strip()


def sql_finished(reply: str) -> bool:
    """Whether `reply`, as far as it has come, holds a whole statement, so that a model need not go on.

    That is at a semicolon outside quotes and comments, at the fence that closes a block, or when prose has begun behind
    the statement. A statement amid prose is no reason to stop: the one that is meant may follow.
    """
    if not _MAY_END.search(reply):  # asked after each token: mostly there is nothing to read
        return False
    pieces = _FENCE.split(_SPECIAL.sub("", reply.rpartition("</think>")[2]))
    for i, piece in enumerate(pieces):
        found = _start(piece)
        if found and found.rank >= 2:
            closed = i % 2 == 1 and i + 1 < len(pieces)
            return closed or re.match(r";|\s*\S+\s", piece[_end(piece, found.place) :]) is not None
    return False


_MAY_END = re.compile(  # without one of these no statement is at its end: a fence, a quote in front of it, ...
    r"""(?i)[;\n`~"]|'(?:<|SELECT|WITH|VALUES|INSERT|REPLACE|DELETE|UPDATE|CREATE|DROP|ALTER|PRAGMA|ATTACH|EXPLAIN)"""
)
_SPECIAL = re.compile(r"<\|[a-z_]{1,30}\|>")  # <|im_end|> and its like
_FENCE = re.compile(r"```+|~~~+")
_LANGUAGE = re.compile(r"\A[\w+-]*[ \t]*(?:\n|\Z)")  # behind the opening fence
_LABEL = re.compile(r"(?i)^(?:sqlite|sql|query|answer)\s?(?:query)?\s?:")
_NAME = r"(?:\w{1,100}|\"[^\"]{1,100}\"|`[^`]{1,100}`|\[[^\]]{1,100}\])"
# bounded repeats: the time stays linear in the length of a hostile reply
_STATEMENT = re.compile(
    rf"""(?ix) \b (?: SELECT\b
      | WITH \s{{1,20}} (?:RECURSIVE\s{{1,20}})? {_NAME} \s{{0,20}} (?:\([^)]{{0,500}}\)\s{{0,20}})? AS \s{{0,20}}
        (?:(?:NOT\s{{1,20}})?MATERIALIZED\s{{0,20}})? \(
      | VALUES \s{{0,20}} \( | INSERT\s{{1,20}}(?:OR\s{{1,20}}\w{{1,20}}\s{{1,20}})?INTO\b | REPLACE\s{{1,20}}INTO\b
      | DELETE\s{{1,20}}FROM\b | UPDATE\s{{1,20}}{_NAME}\s{{1,20}}SET\b
      | (?:CREATE|DROP|ALTER)\s{{1,20}}(?:TEMP\s|TEMPORARY\s)?(?:TABLE|VIEW|INDEX|TRIGGER)\b
      | PRAGMA\s{{1,20}}\w | ATTACH\s{{1,20}}(?:DATABASE\b|') | EXPLAIN\s{{1,20}}(?:QUERY\b|SELECT\b|WITH\b) )"""
)
_INSIDE = re.compile(r"(?i)(?:\(|\)|\b(?:UNION|ALL|EXCEPT|INTERSECT|AS|INTO|EXPLAIN|PLAN|SELECT|VALUES))\s{0,50}\Z")


class _Start(NamedTuple):
    place: int
    rank: int  # 2 or more: at the start of a line or after a label


def _start(text: str) -> _Start | None:
    """Where the statement begins: sooner at a line's start or after a label than within prose."""
    best = None
    for match in _STATEMENT.finditer(text):
        before = text[max(0, match.start() - 60) : match.start()]
        if best is not None and _INSIDE.search(before):
            continue  # a part of a statement that began earlier
        word = match[0].split()[0]
        opens = not before.strip() or before.rstrip(" \t")[-1] in "\n:`\"'>*-"
        rank = 2 * opens + word.isupper() - (word.istitle() and len(word) > 1)
        if best is None or rank > best.rank:
            best = _Start(match.start(), rank)
    return best


_TOKEN = re.compile(
    r"""'(?:[^']|'')*(?:'|\Z)
      | "[^"]*(?:"|\Z) | `[^`]*(?:`|\Z) | \[[^\]\n]*(?:\]|$) | --[^\n]* | /\*(?:.|\n)*?(?:\*/|\Z)
      | (?P<semicolon>;) | (?P<blank>\n[ \t]*\n\s*) | (?P<line>\n) | (?P<paren>[()])""",
    re.X | re.M,
)
_GOES_ON = re.compile(
    r"""(?ix) \s*(?: [(),<>=|*/+'"`\[] | -- | (?:SELECT|FROM|WHERE|GROUP|HAVING|ORDER|LIMIT|OFFSET|UNION|EXCEPT|
    INTERSECT|(?:LEFT|RIGHT|INNER|CROSS|FULL|NATURAL|OUTER)\s|JOIN|ON|AND|OR|USING|WINDOW|CASE|WHEN|THEN|ELSE|END|
    VALUES)\b )"""
)
_NOTE = re.compile(
    r"""(?ix) [ \t]* [*#]* (?: (?:explanation|note|question|answer|output|result|schema|table)s? \s? [*]* :
    | (?:this|the) \s+ (?:sql\s+)? query\b )"""
)


def _end(text: str, start: int) -> int:
    """Where the statement that begins at `start` ends."""
    wrap = text[start - 1] if start else ""
    if wrap and wrap in "`\"'" and text.count(wrap, start) % 2:  # `SELECT ...` within the prose
        text = text[: text.rindex(wrap)]
    depth = 0
    for token in _TOKEN.finditer(text, start):
        if token["semicolon"]:
            return token.start()
        if token["paren"]:
            depth += 1 if token[0] == "(" else -1
        if token["blank"] and depth <= 0 and not _GOES_ON.match(text, token.end()):
            return token.start()
        if token["line"] and _NOTE.match(text, token.end()):
            return token.start()
    return len(text)
