"""Tune a model to say what a query asks: pairs turned round, and the same loop. What it is for stands in `channel`."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from labkit.channel import request
from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.models import DEFAULT, Model
from labkit.runs import RunStore
from labkit.tuning import Tuned, tune
from labkit.tuning.sources import read_pairs, refuse_overlap


def tune_channel(
    pairs: str | Path | QuestionSet | Sequence[str | Path | QuestionSet] | Sequence[Question],
    out: str | Path | None = None,
    *,
    model: Model | str = DEFAULT,
    avoid: Iterable[str | Path | QuestionSet] = (),
    store: RunStore | None = None,
    seed: int = 0,
    progress: bool = True,
    **settings,
) -> Tuned:
    """Tune an adapter that says the question of a query, and write it to the folder `out`, which
    `RerankedGenerator(channel=...)` takes.

    pairs: as for `tune`, each with a query. model: a small one will do, whichever one writes the queries. settings: of
    the recipe (see `Recipe`), and `four_bit`, as for `tune`. What is wrong with the arguments is said before a model
    that is named is loaded. Stops with a LabkitError where pairs overlap an evaluation set. An interrupted call goes on
    where it was; one that is finished is shown again.
    """
    pairs, databases = read_pairs(pairs)
    refuse_overlap(pairs, databases, avoid, store)
    turned = [Question(p.id, request(p.sql), answer=p.question) for p in pairs if p.sql]
    if not turned:
        raise LabkitError(f"None of the {len(pairs)} pairs has a query, and a channel learns what queries ask.")
    return tune(model, turned, "instruction", out, store=store, seed=seed, progress=progress, **settings)
