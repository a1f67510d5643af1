"""Which recipe a method begins with, by the size of the model; `MEASURED` says for which it was tried out.

A model's size decides its layers alone. Rate, rank and pairs a step are those that won on the default model
(EXPERIMENTS.md): nobody has measured here what a larger one would rather have, and `page` says so row by row.
"""

from labkit.errors import LabkitError
from labkit.fetching import DEFAULT, known_models
from labkit.tuning.packed import body
from labkit.tuning.plans import Recipe

METHODS = ("instruction", "memory")
MEASURED = {DEFAULT: "measured (EXPERIMENTS.md, 2026-11-26)"}  # of all others: not measured
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
    return _for_layers(method, len(body(model.network).layers))


def _for_layers(method: str, count: int) -> Recipe:
    if method == "memory":
        return Recipe(layers=max(1, count // 3), rate=2e-3, batch_size=8, passes=200, warmup=0)
    return Recipe(layers=count, rate=2e-3, batch_size=4)


def page() -> str:
    """The recipes of the known models as Markdown, as docs/scale.md has them."""
    lines = ["| model | method | layers | rank, alpha | rate | pairs a step | state |", "|---" * 7 + "|"]
    for model in known_models():
        for method in METHODS:
            recipe = _for_layers(method, model.layers)
            layers, rank = f"{recipe.layers} of {model.layers}", f"{recipe.rank}, {recipe.alpha:g}"
            state = MEASURED.get(model.name, "not measured")
            cells = (model.name, method, layers, rank, f"{recipe.rate:g}", recipe.batch_size, state)
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
