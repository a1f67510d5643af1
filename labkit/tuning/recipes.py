"""Which recipe a method begins with, by the size of the model. Measured ones say where: EXPERIMENTS.md."""

from labkit.errors import LabkitError
from labkit.tuning.packed import body
from labkit.tuning.train import Recipe

METHODS = ("instruction", "memory")


def default_recipe(method: str, model) -> Recipe:
    """The recipe for `method` on a model of that many layers: the upper 40 % of them get adapters."""
    if method not in METHODS:
        raise LabkitError(f"There is no method {method!r}; labkit tunes by {' or '.join(METHODS)}.")
    count = len(body(model.network).layers)
    upper = max(1, round(0.4 * count))
    if method == "memory":
        return Recipe(layers=max(1, count // 3), rate=1e-3, batch_size=8, passes=200)
    return Recipe(layers=upper)
