"""Pairs of gold and predicted SQL in a JSONL file, as other tools write them: `id, question, gold, pred, database`,
or `rows` in place of `gold`.

A set of questions is stricter (`dataset`): here fields that the kit does not know are passed over, and a prediction may
be any text, or null where a model gave none. Scoring the pairs is the business of `scoring`.
"""

from pathlib import Path

from labkit.dataset import find_database, question_from
from labkit.errors import LabkitError
from labkit.jsonl import BadLine, read_jsonl, read_object
from labkit.scoring import Pair

_OPTIONAL = ("alternatives", "rows", "order", "tags", "note")


def load_pairs(path: str | Path, db_dir: str | Path | None = None) -> list[Pair]:
    """Read a file of pairs; `database` is a path, or a name under `db_dir` or the file's own folder.

    Raises LabkitError: every bad line by file and line, or that there is none.
    """
    path = Path(path)
    folders = [*([Path(db_dir)] if db_dir else []), path.parent]
    pairs = read_jsonl(path, lambda line, number: _pair(read_object(line), number, folders))
    if not pairs:
        raise LabkitError(f"{path} holds no pair. Write one JSON object a line: id, question, gold, pred, database.")
    return pairs


def _pair(record: dict, number: int, folders: list[Path]) -> Pair:
    if "pred" not in record:
        raise BadLine("field 'pred' is missing; write null where the model gave none")
    prediction = record["pred"]
    if not isinstance(prediction, str | None):
        raise BadLine("field 'pred' must be a text or null")
    if "gold" not in record and record.get("rows") is None:
        raise BadLine("field 'gold' is missing; without a query, give 'rows'")
    known = {name: record[name] for name in ("id", "database", *_OPTIONAL) if name in record}
    gold = {} if record.get("gold") is None and record.get("rows") is not None else {"sql": record["gold"]}
    question = question_from({**known, "question": record.get("question") or "(none given)", **gold}, number)
    try:
        database = find_database(question.database, folders)
    except LabkitError as error:
        raise BadLine(str(error).rstrip(".")) from None
    return Pair(question, prediction or "", database)
