"""Many pairs from a chat model: asked for in chunks, kept after each, gone on with where a call was stopped.

`chat.Author` asks and verifies all at once, and what it had is lost with the process. Here each chunk of items is asked
and verified, its pairs are appended to a JSON Lines file, and a small file beside it says how far that reached: what a
kill left beyond it is cut off and asked for again, so the file is the one of an unbroken call (of a model that answers
the same twice).
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path

from tqdm.auto import tqdm

from labkit.datagen.chat import Author
from labkit.datagen.filters import Filters
from labkit.datagen.known import known_sets
from labkit.dataset import Question, QuestionSet, load_questions
from labkit.errors import LabkitError
from labkit.home import write_atomically

WAYS = ("vary", "describe", "similar", "decompose", "mend")  # of `Author`


def write(
    author: Author,
    way: str,
    items: Sequence,
    out: str | Path,
    *,
    avoid: Iterable[str | Path | QuestionSet] = (),
    round_trip: bool = False,
    chunk: int = 64,
    progress: bool = True,
    **settings,
) -> QuestionSet:
    """Verified pairs for all `items`, into the file `out`; what is there of the same call is gone on with.

    way: a method of `Author` that takes items ("vary", "describe", "similar", "decompose", "mend"), with its `settings`
    (`n=3`). avoid, round_trip: as `Author.verified` has them. chunk: items asked at once, which is what a kill costs.
    LabkitError for another `way`, for a file of another call or of something else, and where no pair was kept.
    """
    if way not in WAYS or chunk < 1:
        raise LabkitError(f"{way!r}, {chunk} at a time: a way is one of {', '.join(WAYS)}, and one is asked at least.")
    out, items = Path(out), list(items)
    beside = out.with_name(f"{out.name}.progress")
    call = _said(author, way, items, round_trip, chunk, settings)
    done = _begun(out, beside, call)
    filters, number = _as_it_was(author, out, avoid)
    chunks = [items[i : i + chunk] for i in range(0, len(items), chunk)]
    quiet = not progress or bool(os.environ.get("CI"))
    for i, some in enumerate(tqdm(chunks, desc=way, initial=0, disable=quiet, leave=False)):
        if i < done:
            continue
        filters.queries.clear()  # another chunk may ask the same query in yet other words
        pairs = author.sifted(getattr(author, way)(some, **settings), filters, round_trip, number)
        _append(out, pairs)
        number = max([number, *(_number(pair) + 1 for pair in pairs)])
        write_atomically(beside, json.dumps({"call": call, "chunks": i + 1, "bytes": out.stat().st_size}))
    if not out.stat().st_size:
        raise LabkitError(f"Of what the model wrote for {len(items)} items nothing passed; {out} is empty.")
    return load_questions(out, db_dir=author.database.parent)


def _said(author: Author, way: str, items: Sequence, round_trip: bool, chunk: int, settings: dict) -> str:
    """What tells one call from another."""
    model = author.model.describe() if hasattr(author.model, "describe") else {}
    told = [asdict(item) if is_dataclass(item) else item for item in items]
    decisive = [author.database.name, way, told, round_trip, chunk, settings, model]
    return hashlib.sha256(json.dumps(decisive, sort_keys=True, default=str).encode()).hexdigest()


def _begun(out: Path, beside: Path, call: str) -> int:
    """Chunks that are done; the file is cut to them, or made. LabkitError for a file that this call did not begin."""
    try:
        kept = json.loads(beside.read_text("utf-8")) if beside.is_file() else {"call": call, "chunks": 0, "bytes": 0}
        done, size = int(kept["chunks"]), int(kept["bytes"])
    except (ValueError, TypeError, KeyError):
        raise LabkitError(f"{beside} is damaged. Move it and {out} away, and ask again.") from None
    there = out.stat().st_size if out.is_file() else 0
    if kept["call"] != call or there < size or (there and not beside.is_file()):
        raise LabkitError(f"{out} holds something else than the beginning of this call. Give another file.")
    if not beside.is_file():
        write_atomically(beside, json.dumps(kept))
    with out.open("ab") as file:
        file.truncate(size)
    return done


def _as_it_was(author: Author, out: Path, avoid: Iterable) -> tuple[Filters, int]:
    """The filters as the pairs in the file left them, and the next query's number."""
    filters, number = Filters(known_sets(author.database, avoid)), 1
    pairs = load_questions(out) if out.stat().st_size else []
    for pair in pairs:
        filters.new_wordings([pair.question], pair.sql)
        number = max(number, _number(pair) + 1)
    return filters, number


def _number(pair: Question) -> int:
    """Of a query, in its id: 12 of "gen-chat00012-1"."""
    return int(pair.id.rpartition("-")[0].rpartition("chat")[2])


def _append(out: Path, pairs: Iterable[Question]) -> None:
    with out.open("ab") as file:
        file.write(b"".join(json.dumps(q.to_json(), ensure_ascii=False).encode() + b"\n" for q in pairs))
        file.flush()
        os.fsync(file.fileno())
