"""The ladder's own tuned rungs: an adapter by each method, from the same solved pairs that other rungs show.

Instruction tuning begins with the starter where there is one for these weights, at the rate that a new workspace has:
what other databases taught carries over. Memory tuning begins with the bare model: the starter has adapters on all
layers, and a pair that is seen often wants the upper ones alone, over frozen layers that are computed once. The ladder
itself is `labkit.ladders`; how an adapter is tuned, `labkit.tuning.tune`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.runs import RunStore
from labkit.tuning import default_recipe, starters, tune
from labkit.tuning.adapter import CONFIG, read_card
from labkit.tuning.plans import recipe_record
from labkit.tuning.recipes import STARTER_RATE
from labkit.tuning.sources import data_sha256, digest, read_pairs, refuse_overlap


def check_pairs(pairs: Sequence[Question], questions: QuestionSet, database: Path, store: RunStore) -> QuestionSet:
    """The pairs as a set beside their database; LabkitError, before any rung, for what `tune` would stop at: pairs of
    an evaluation set, pairs that read what is excluded, no pairs."""
    found = QuestionSet("solved pairs", tuple(pairs), db_dir=database.parent)
    loaded, databases = read_pairs(found)
    refuse_overlap(loaded, databases, [questions], store)
    return found


def tuned_adapter(
    method: str, model, pairs: QuestionSet, folder: Path, questions: Iterable[QuestionSet], store: RunStore
) -> Path:
    """The folder of an adapter tuned by `method` on `pairs`, within `folder`, under a name that says what it was made
    of: what was cut off goes on there, and what is finished is not tuned again. `questions`: never trained on."""
    begun = starters.NAME if method == "instruction" and starters.has_starter(model) else None
    settings = {"rate": STARTER_RATE} if begun else {}
    recipe = recipe_record(default_recipe(method, model)) | settings
    start = starters.folder(model).name if begun else None
    told = [model.sha256, model.dtype, model.device, model.four_bit, method, start, recipe, data_sha256(pairs)]
    out = folder / f"{method}-{digest(told)[:16]}"
    if not (out / CONFIG).is_file():
        tune(model, pairs, method, out, adapter=begun, avoid=questions, store=store, **settings)
    return out


def tuning_peak(adapter: Path) -> int | None:
    """Bytes in use at most while the adapter was tuned, as its card has it."""
    card = read_card(adapter)
    if card is None:
        raise LabkitError(f"{adapter} has no card. Remove the folder, and the same command tunes again.")
    return card.made.get("peak_memory")
