"""An adapter and its base as one plain model folder, for whatever loads transformers models.

The update is computed in float32 and rounded once, to the dtype of the base; how much that changes is measured on
prompts, not promised. Weights in 4 bits can't take an update: they are dequantised, and the folder is as large as that
of an unquantised model, no more precise than the 4 bits. The same as a GGUF file is `export`.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from labkit.agent import as_prompt
from labkit.conversion import without_quantisation
from labkit.dataset import load_questions
from labkit.decoding import next_token_logits
from labkit.errors import LabkitError
from labkit.models import DEFAULT, Model, load_model, prompt_of, unloaded
from labkit.notices import notice
from labkit.tuning.adapter import CARD, PAIRS, check_folder, load_adapter
from labkit.tuning.lora import fuse
from labkit.upstream import quiet

_PROMPTS = 32  # of the adapter's own pairs, on which both are compared where no others are given


@dataclass(frozen=True)
class Merged:
    """The folder, and how the merged model compares with the adapter beside its base: `same` of `of` greedy answers,
    and the largest `difference` of a next token's logit after those prompts. `dequantised`: the base was in 4 bits."""

    folder: Path
    dtype: str
    dequantised: bool
    same: int
    of: int
    difference: float

    def to_json(self) -> dict:
        return asdict(self) | {"folder": str(self.folder)}

    def __str__(self) -> str:
        measured = (
            f"{self.same} of {self.of} greedy answers are those of the adapter beside its base, logits differ by "
            f"{self.difference:.2g} at most"
            if self.of
            else "nothing was compared, for the adapter does not say what it was tuned on"
        )
        note = "; its 4-bit weights were dequantised" if self.dequantised else ""
        return f"Merged in {self.dtype} into {self.folder}{note}: {measured}."


def merge(
    model: Model | str | Path,
    adapter: str | Path,
    out: str | Path,
    four_bit: bool = False,
    *,
    dtype: str | None = None,
    prompts: Sequence[Sequence[dict]] | None = None,
) -> Merged:
    """Write the base with the adapter's update in its weights to the new folder `out`, tokenizer and chat template
    beside them.

    model: a name, or a loaded model, which is left alone: its base is loaded once more, in the same dtype. prompts: the
    conversations on which both are compared; by default some of the pairs in the adapter's folder. LabkitError when
    `out` exists, the adapter is another base's, or is one that only PEFT computes.
    """
    out = Path(out)
    if out.exists():
        raise LabkitError(f"{out} exists already. Name another folder, or remove it first.")
    check_folder(adapter, unloaded(model or DEFAULT))
    base = _base(model, four_bit, dtype)
    prompt = prompt_of(Path(adapter), base)
    asked = _asked(adapter, prompt) if prompts is None else list(prompts)
    adapters = load_adapter(base.network, adapter)
    base.network.eval().requires_grad_(False)
    before = _said(base, asked)
    dequantised = dequantise(base.network) > 0
    fuse(base.network, adapters)
    after = _said(base, asked)
    if dequantised:
        notice("The base was held in 4 bits: its weights are dequantised, then merged.")
    _save(base, Path(adapter), out)
    same = sum(a == b for a, b in zip(before.answers, after.answers, strict=True))
    differences = [(a - b).abs().max().item() for a, b in zip(before.logits, after.logits, strict=True)]
    return Merged(out, base.dtype, dequantised, same, len(asked), max(differences, default=0.0))


@dataclass(frozen=True)
class _Said:
    answers: list[str]
    logits: list[torch.Tensor]


def _said(model: Model, asked: Sequence[Sequence[dict]]) -> _Said:
    """Greedy answers, and the next token's logits after each prompt."""
    model.prefix = None  # of other weights
    answers = model.chat(asked, max_new_tokens=64, progress=False)
    return _Said(answers, [next_token_logits(model, conversation) for conversation in asked])


def _base(model: Model | str | Path, four_bit: bool, dtype: str | None) -> Model:
    if not isinstance(model, Model):
        return load_model(model or DEFAULT, dtype=dtype, four_bit=four_bit)
    base = load_model(model.folder, device=model.device, dtype=dtype or model.dtype, four_bit=model.four_bit)
    base.name = model.name
    return base


def _asked(adapter: str | Path, prompt) -> list[list[dict]]:
    """Some of the pairs that the adapter was tuned on, in its own prompt."""
    path = Path(adapter) / PAIRS
    if not (prompt and path.is_file()):
        return []
    ask, pairs = as_prompt(prompt), load_questions(path)
    return [ask(pair.question, "") for pair in list(pairs)[:: max(1, len(pairs) // _PROMPTS)][:_PROMPTS]]


def dequantise(network) -> int:
    """Put a plain linear layer in the place of each 4-bit one, in the dtype it computes in; returns how many."""
    found = [(name, module) for name, module in network.named_modules() if type(module).__name__ == "Linear4bit"]
    for name, module in found:
        from bitsandbytes.functional import dequantize_4bit

        weight = dequantize_4bit(module.weight.data, module.weight.quant_state)
        plain = nn.Linear(module.in_features, module.out_features, module.bias is not None, device="meta")
        plain.weight = nn.Parameter(weight.to(module.compute_dtype or weight.dtype), requires_grad=False)
        plain.bias = module.bias
        parent, _, last = name.rpartition(".")
        setattr(network.get_submodule(parent), last, plain)
    return len(found)


def _save(model: Model, adapter: Path, out: Path) -> None:
    """The folder appears under its name when it is whole; with the adapter's card and pairs, which bring its prompt."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as bench, quiet():
        made = Path(bench) / "made"
        without_quantisation(model.network).save_pretrained(made)
        model.tokenizer.save_pretrained(made)
        for file in (adapter / CARD, adapter / PAIRS):
            if file.is_file():
                (made / file.name).write_bytes(file.read_bytes())
        os.rename(made, out)
