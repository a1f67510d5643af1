"""Pairs from a query log: each query that runs and can be read is worded, by the same words as drawn intents.

A log holds people's mistakes too: a query that runs and reads its values wrongly, by the linter, is left out. What
cannot be put into words faithfully (`described` says what can) is counted and left out; `chat.describe` asks a model
for the rest.
"""

import random
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from sqlglot.dialects import SQLite
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from labkit.datagen.coverage import coverage
from labkit.datagen.described import Unreadable, described
from labkit.datagen.filters import FAULTY, FEW, FILTERS, NO_WORDING, Filters
from labkit.datagen.known import GENERATED, known_sets
from labkit.datagen.report import Generated, Report
from labkit.datagen.slips import roughened
from labkit.datagen.speaker import Speaker
from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.execution import execute_many
from labkit.home import is_file
from labkit.linting import flaws
from labkit.schema import read_schema

_TOKENIZER = SQLite.Tokenizer()
# What the linter finds that makes a query's rows wrong; the rest may be meant so.
_WRONG = ("lossy_number", "number_as_text", "text_order", "missing_counted", "null_in_not_in", "bare_column", "fan_out")


def pairs_of_log(
    speaker: Speaker,
    queries: Sequence[str],
    seed: int = 0,
    avoid: Iterable[str | Path | QuestionSet] = (),
    wordings: int = 5,
    typos: float = 0.06,
) -> Generated:
    """Pairs for the queries of a log, each filtered like generated ones; those it cannot word are counted."""
    database, rng = speaker.world.database, random.Random(seed)
    filters, pairs = Filters(known_sets(Path(database), avoid)), []
    new = [sql for sql in queries if filters.new_query(sql)]
    good = [sql for sql, r in zip(new, execute_many(database, new), strict=True) if filters.good_result(r)]
    schema = read_schema(database)
    for number, sql in enumerate(good, 1):
        try:
            intent = described(speaker, sql)
        except Unreadable:
            filters.drop(NO_WORDING)
            continue
        if flaws(Question("", "", sql, ""), schema, _WRONG):
            filters.drop(FAULTY)
            continue
        tries = [roughened(intent.word(rng), rng, typos) for _ in range(5 * wordings)]
        texts = filters.new_wordings(tries, sql)[:wordings]
        if not texts:
            filters.drop(FEW)
        ids = (f"{GENERATED}log{number:05d}-{i}" for i in range(1, len(texts) + 1))
        pairs += [Question(i, t, sql, Path(database).stem, tags=("log",)) for i, t in zip(ids, texts, strict=True)]
    dropped = {name: filters.dropped[name] for name in FILTERS}
    report = Report(len(queries) * wordings, len(pairs), len(queries), dropped, filters.known.sets)
    return Generated(tuple(pairs), report, coverage(pairs, schema))


def read_log(log: str | Path | Iterable[str]) -> list[str]:
    """The SELECTs of a log: a file of statements (one a line, or ended by semicolons), or texts."""
    if not isinstance(log, (str, Path)):
        return [sql.strip().rstrip(";") for sql in log if sql.strip()]
    path = Path(log)
    if not is_file(path):
        raise LabkitError(f"There is no query log {str(log)[:80]}. Give a file of SQL statements, or a list of them.")
    content = path.read_text("utf-8", errors="replace")
    found = _statements(content)
    return [sql for sql in found if sql[:6].casefold() == "select" or sql[:4].casefold() == "with"]


def _statements(content: str) -> list[str]:
    """The statements of a text, each on one line and without comments; a semicolon in a literal ends none.

    A text with a quote or a comment that is never closed has no such tokens: it is cut at every semicolon.
    """
    try:
        tokens = _TOKENIZER.tokenize(content)
    except SqlglotError:
        parts = content.split(";") if ";" in content else content.splitlines()
        return [_whole(part) for part in parts]
    if not any(token.token_type is TokenType.SEMICOLON for token in tokens):
        return [_whole(line) for line in content.splitlines()]
    groups = [[]]
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            groups.append([])
        else:
            groups[-1].append(token)
    return [_joined(content, group) for group in groups if group]


def _whole(part: str) -> str:
    """One statement; as it stands, without lines of comment, where it cannot be cut into tokens."""
    try:
        return _joined(part, _TOKENIZER.tokenize(part))
    except SqlglotError:
        return " ".join(line for line in part.splitlines() if not line.lstrip().startswith("--")).strip()


def _joined(content: str, tokens: Sequence[Token]) -> str:
    """Tokens as they are written; a space stands for any space, line end or comment between two."""
    gaps = [" " if b.start > a.end + 1 else "" for a, b in pairwise(tokens)]
    texts = [content[token.start : token.end + 1] for token in tokens]
    return "".join(gap + text for gap, text in zip(["", *gaps], texts, strict=False))
