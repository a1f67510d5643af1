"""Which recipe a method begins with, by the size of the model. Measured ones say where: EXPERIMENTS.md."""

from labkit.errors import LabkitError
from labkit.tuning.packed import body
from labkit.tuning.plans import Recipe

METHODS = ("instruction", "memory")
STARTER_RATE = 1e-3  # from the starter on: half the rate, which has less to change (workspaces, the ladder)


def check_method(method: str) -> None:
    """LabkitError for a method that labkit does not have."""
    if method not in METHODS:
        raise LabkitError(f"There is no method {method!r}; labkit tunes by {' or '.join(METHODS)}.")


def default_recipe(method: str, model) -> Recipe:
    """The recipe for `method` on a model of that many layers.

    Instruction tuning sees a pair once or a few times: all layers get adapters, in small batches. Memory tuning sees a
    pair often: the upper third of the layers, so that what lies below is computed once.
    """
    check_method(method)
    count = len(body(model.network).layers)
    if method == "memory":
        return Recipe(layers=max(1, count // 3), rate=2e-3, batch_size=8, passes=200, warmup=0)
    return Recipe(layers=count, rate=2e-3, batch_size=4)
