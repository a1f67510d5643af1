"""Facts learnt in several processes at once: given the frozen selection no fact needs to know of another.

Each process (joblib's) holds a frozen network of its own, learns its part and hands back the vectors; keys are set in
the caller's bank alone, so what is picked does not hang on who learnt it. Parts are cut where batches end: the numbers
are those of one process with as many threads. It takes that much more memory, and pays on a CPU with cores to spare.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from joblib import Parallel, delayed

from labkit.errors import LabkitError
from labkit.models import Model, load_model
from labkit.tuning import mome
from labkit.tuning.bank import Bank


@dataclass(frozen=True)
class Place:
    """What a process needs to load the same network: values that travel."""

    folder: str
    adapter: str | None
    dtype: str
    four_bit: bool
    threads: int


def check(model: Model, processes: int) -> None:
    """LabkitError where so many processes make no sense."""
    if processes < 1:
        raise LabkitError(f"processes is {processes}; it takes one at least.")
    if processes > 1 and model.device != "cpu":
        raise LabkitError(f"Several processes are for the CPU; the model is on {model.device}. Leave processes out.")


def learn(bank: Bank, model: Model, facts: Sequence[mome.Fact], margin: float, processes: int) -> mome.Learnt:
    """Train the experts of facts that have one, in so many processes."""
    if processes == 1 or len(facts) <= mome.ROWS:
        return mome.reached(bank, facts, mome.learn(bank, facts, margin))
    threads = max(1, (os.cpu_count() or 1) // processes)
    place = Place(str(model.folder), model.adapter, model.dtype, model.four_bit, threads)
    facts = mome.by_length(facts)  # as one process would
    parts = [facts[i : i + mome.ROWS] for i in range(0, len(facts), mome.ROWS)]
    calls = (delayed(_learn)(place, bank.layer, part, margin) for part in parts)
    made = Parallel(n_jobs=min(processes, len(parts)), inner_max_num_threads=threads, backend="loky")(calls)
    for vectors, _ in made:
        bank.vectors |= {bank.names[name]: torch.from_numpy(value) for name, value in vectors.items()}
    found = [learnt for _, learnt in made]
    hard = tuple(name for learnt in found for name in learnt.hard)
    exact, steps, tokens = (sum(getattr(learnt, name) for learnt in found) for name in ("exact", "steps", "tokens"))
    return mome.reached(bank, facts, mome.Learnt(exact, hard, steps, tokens))


@lru_cache(maxsize=1)
def _network(place: Place) -> Model:
    """The network of this process, kept for the next part."""
    torch.set_num_threads(place.threads)
    return load_model(place.folder, place.adapter, device="cpu", dtype=place.dtype, four_bit=place.four_bit)


def _learn(place: Place, layer: int, facts: Sequence[mome.Fact], margin: float) -> tuple[dict, mome.Learnt]:
    """Vectors by the fact's name, as arrays, and what came of it."""
    bank = Bank(_network(place), layer)
    mome.reserve(bank, facts)
    learnt = mome.learn(bank, facts, margin)
    return {name: bank.vectors[number].numpy() for name, number in bank.names.items()}, learnt
