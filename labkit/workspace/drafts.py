"""Draft questions: drawn from the database alone, marked as drafts until a person accepts them, and drawn anew where
they no longer fit it. Which ones a person accepts is decided elsewhere: who does takes the tag "draft" off.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from labkit.datagen import generate
from labkit.datagen.glossary import glossary_text
from labkit.dataset import Question, QuestionSet, load_questions, save_questions
from labkit.errors import LabkitError
from labkit.workspace import golds
from labkit.workspace.config import Config

FILE = "draft.jsonl"
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
    made = generate(database, count, _SEED, avoid, exclude, wordings=1, typos=0.0, progress=False, **given)
    if not made.pairs and not kept:
        raise LabkitError(f"No question could be drawn from {database}: are its tables empty?")
    taken = {question.id for question in kept}
    free = (name for i in range(1, len(made.pairs) + len(kept) + 1) if (name := f"draft-{i:03d}") not in taken)
    return [
        replace(pair, id=name, database=str(database), tags=(TAG, *pair.tags))
        for pair, name in zip(made, free, strict=False)
    ]


def unfit(config: Config) -> bool:
    """Whether the drafts that the workspace measures with are gone, or one of them can no longer measure."""
    return FILE in config.questions and not (config.file(FILE).is_file() and not golds.troubles(_present(config)))


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
    avoid = [*others, QuestionSet("accepted", kept)] if kept else others
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
