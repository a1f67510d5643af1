"""Draft questions: drawn from the database alone, marked as drafts until a person accepts them, and drawn anew where
they no longer fit it. Which ones a person accepts is decided elsewhere, in `widgets.DataExplorer`; `decide` writes it.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from labkit.datagen import generate
from labkit.datagen.glossary import glossary_text
from labkit.dataset import Question, QuestionSet, load_questions, save_questions
from labkit.errors import LabkitError
from labkit.execution import execute_many
from labkit.widgets.decisions import ACCEPTED, REJECTED
from labkit.workspace import golds
from labkit.workspace.config import Config, read_config

FILE = "draft.jsonl"
REFUSED = "draft-rejected.jsonl"
TAG = "draft"
_COUNT = 40
_SEED = 1_000_003  # another one than training draws from


def drawn(
    database: Path,
    avoid: Sequence[QuestionSet] = (),
    exclude: tuple[str, ...] = (),
    glossary: Path | None = None,
    kept: Sequence[Question] = (),
) -> list[Question]:
    """Drafts, so many that with those `kept` there are 40, as far as the database gives them; LabkitError for none."""
    count = _COUNT - len(kept)
    if count < 1:
        return []
    given = {"glossary": glossary} if glossary else {}
    given |= {"wordings": 1, "typos": 0.0, "progress": False}
    made = generate(database, count, _SEED, avoid, exclude, **given).pairs
    found = _telling(database, made, count)
    if len(found) < len(made):  # more of them, for those that tell nothing on the whole file
        seen = {pair.sql for pair in made}
        more = generate(database, 2 * count, _SEED, avoid, exclude, **given).pairs
        found += _telling(database, [pair for pair in more if pair.sql not in seen], count - len(found))
    if not found and not kept:
        raise LabkitError(f"No question could be drawn from {database}: are its tables empty?")
    taken = {question.id for question in kept}
    free = (name for i in range(1, count + len(kept) + 1) if (name := f"draft-{i:03d}") not in taken)
    return [
        replace(pair, id=name, database=str(database), tags=(TAG, *pair.tags))
        for pair, name in zip(found[:count], free, strict=False)
    ]


def _telling(database: Path, pairs: Sequence[Question], count: int) -> list[Question]:
    """The first `count` whose query finds something in the whole file within its time: of a large one a copy was looked
    at."""
    found: list[Question] = []
    left = list(pairs)
    while left and len(found) < count:
        some, left = left[: count - len(found)], left[count - len(found) :]
        results = execute_many(database, [pair.sql for pair in some])
        found += [pair for pair, result in zip(some, results, strict=True) if result.ok and result.rows]
    return found


def unfit(config: Config) -> bool:
    """Whether the drafts that the workspace measures with are gone, or one of them can no longer measure."""
    return FILE in config.questions and not (config.file(FILE).is_file() and not golds.troubles(_present(config)))


def decide(folder: str | Path, decisions: Mapping[str, str]) -> str:
    """Write into a workspace's drafts what a person decided, as `DataExplorer.decisions` has it (id -> "accepted" or
    "rejected"), and say so in a sentence. Accepted ones lose the tag "draft", rejected ones go over into
    `draft-rejected.jsonl` and are not drawn again, the others stay as they are; ids of no draft are passed over, so
    the same decisions change nothing a second time. `LabkitError` where the folder has no drafts."""
    config = read_config(folder)
    file, refused = config.file(FILE), config.file(REFUSED)
    found = list(load_questions(file, db_dir=config.database.parent))
    out = [q for q in found if decisions.get(q.id) == REJECTED]
    kept = [_signed(q) if decisions.get(q.id) == ACCEPTED else q for q in found if q not in out]
    if out:  # first into the other file: a crash leaves a question in both rather than in none
        before = [q for q in _refused(config) if q.id not in {each.id for each in out}]
        save_questions(refused, [*before, *out])
    if kept and kept != found:
        save_questions(file, kept)
    elif not kept:
        file.unlink()
    signed = sum(TAG not in q.tags for q in kept)
    told = f"{FILE} holds {len(kept)} questions: {signed} that you accepted, {len(kept) - signed} still drafts."
    return told + (f" {len(out)} that you rejected are in {REFUSED}." if out else "")


def _signed(question: Question) -> Question:
    return replace(question, tags=tuple(tag for tag in question.tags if tag != TAG))


def _refused(config: Config) -> Sequence[Question]:
    """The drafts that a person has rejected."""
    file = config.file(REFUSED)
    return list(load_questions(file, db_dir=config.database.parent)) if file.is_file() else []


def anew(config: Config, aside: Path) -> str:
    """Draw drafts anew and say so in a sentence. Those that a person accepted stay where they still measure, and are
    named where not; the file as it was is put into the folder `aside`. "" where the workspace has no drafts."""
    if FILE not in config.questions:
        return ""
    file, kept, gone, put = config.file(FILE), [], [], ""
    if file.is_file():
        aside.mkdir(exist_ok=True)
        shutil.copyfile(file, aside / FILE)
        kept, gone = _accepted(config)
        put = f" Those of before are in {aside.name}."
        if kept:
            save_questions(file, kept)
        else:  # a file beside the database is kept clear of
            file.unlink()
    others = [load_questions(path, db_dir=config.database.parent) for path in config.sets() if path != file]
    words = config.glossary if config.glossary and glossary_text(config.glossary) else None
    decided = [QuestionSet(name, some) for name, some in (("accepted", kept), ("rejected", _refused(config))) if some]
    avoid = [*others, *decided]
    new = drawn(config.database, avoid, config.exclude, words, kept)
    save_questions(file, [*kept, *new])
    told = f"{FILE} is drawn anew: {len(new)} drafts"
    told += f" beside {len(kept)} that you accepted" if kept else ""
    lost = f" Accepted, and no longer fit to measure: {'; '.join(gone)}." if gone else ""
    return f"{told}.{put}{lost}"


def _present(config: Config) -> QuestionSet:
    """The drafts as asked of the workspace's database of now."""
    found = load_questions(config.file(FILE), db_dir=config.database.parent)
    asked = [replace(q, database=str(config.database)) if q.database else q for q in found]
    return replace(found, questions=tuple(asked))


def _accepted(config: Config) -> tuple[list[Question], list[str]]:
    """Those that a person accepted and that can measure; of the others, which and why."""
    drafts = _present(config)
    accepted = replace(drafts, questions=tuple(q for q in drafts if TAG not in q.tags))
    troubles = golds.troubles(accepted)
    kept = [question for question in accepted if golds.place(question) not in troubles]
    return kept, [f"{place}: {why.rstrip('.')}" for place, why in troubles.items()]
