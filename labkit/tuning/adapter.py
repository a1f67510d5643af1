"""An adapter folder: LoRA factors as PEFT writes and reads them, and beside them a card that says what they are.

`save` and `load` keep PEFT's names and shapes, so that a folder goes both ways. What labkit does not compute is refused
by name, never dropped in silence. The card holds the base model's hash: an adapter on another base is noise.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from labkit.errors import LabkitError
from labkit.home import write_atomically
from labkit.tuning.lora import LoRA, LoRALinear, attach

CONFIG, WEIGHTS, CARD, PAIRS = "adapter_config.json", "adapter_model.safetensors", "card.json", "pairs.jsonl"
_PLAIN = {  # features of PEFT's LoraConfig that change the numbers, with the values under which they don't
    "use_dora": (False,),
    "use_rslora": (False,),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "modules_to_save": (None, []),
    "bias": ("none",),
    "fan_in_fan_out": (False,),
    "lora_bias": (False, None),
    "trainable_token_indices": (None, [], {}),
    "target_parameters": (None, []),
    "layer_replication": (None, []),
    "megatron_config": (None, {}),
    "use_qalora": (False, None),
    "alora_invocation_tokens": (None, []),
    "arrow_config": (None,),
    "corda_config": (None,),
    "eva_config": (None,),
    "use_bdlora": (None, False),
}


@dataclass(frozen=True)
class Card:
    """What an adapter was made of and what it reached. `seconds` is wall time of the tuning, `tokens` those it ran
    through the adapted layers; `recalled` of `of` training pairs are answered exactly (greedy) at its end."""

    base: str
    base_sha256: str
    method: str
    prompt: str
    data_sha256: str
    pairs: int
    seconds: float
    tokens: int
    recalled: int
    of: int
    recipe: dict = field(default_factory=dict)
    overlap: dict = field(default_factory=dict)  # known set -> {"questions": n, "queries": n}
    made: dict = field(default_factory=dict)  # date, machine, threads, dtype, versions
    continued_from: str | None = None
    hard: list = field(default_factory=list)  # pairs that are not recalled: id, probability of the whole answer


def save_adapter(folder: str | Path, adapters: dict[str, LoRALinear], lora: LoRA, card: Card | None = None) -> Path:
    """Write the folder, weights first; each file appears whole or not at all."""
    folder = Path(folder)
    tensors = {}
    for name, adapter in adapters.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = adapter.A.detach().cpu().contiguous()
        tensors[f"base_model.model.{name}.lora_B.weight"] = adapter.B.detach().cpu().contiguous()
    write_atomically(folder / WEIGHTS, save(tensors, metadata={"format": "pt"}))
    if card:
        write_atomically(folder / CARD, json.dumps(asdict(card), indent=1) + "\n")
    write_atomically(folder / CONFIG, json.dumps(_config(lora, card), indent=1) + "\n")
    return folder


def _config(lora: LoRA, card: Card | None) -> dict:
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": card.base if card else None,
        "r": lora.rank,
        "lora_alpha": lora.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list(lora.targets),
        "layers_to_transform": list(lora.layers),
        "layers_pattern": "layers",
        "inference_mode": True,
    }


def read_config(folder: str | Path) -> LoRA:
    """The LoRA that a folder of PEFT's holds; LabkitError for one of another kind or with a feature that labkit lacks.

    `layers` is empty where the adapter sits on all of them.
    """
    folder = Path(folder)
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        if config.get("peft_type") != "LORA":
            raise LabkitError(f"{folder} holds an adapter of kind {config.get('peft_type')}; labkit reads LORA.")
        odd = [name for name, plain in _PLAIN.items() if name in config and config[name] not in plain]
        if odd:
            raise LabkitError(f"The adapter in {folder} uses {', '.join(odd)}, which labkit does not compute.")
        targets = config["target_modules"]
        if isinstance(targets, str):
            raise LabkitError(f"The adapter in {folder} names its layers by a pattern ({targets}); name them one by one.")
        layers = config.get("layers_to_transform")
        layers = () if layers is None else (layers,) if isinstance(layers, int) else tuple(layers)
        return LoRA(layers, int(config["r"]), float(config["lora_alpha"]), tuple(sorted(targets)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabkitError(f"{folder / CONFIG} is no adapter's configuration: {error}") from error


def read_card(folder: str | Path) -> Card | None:
    """The folder's card; None where there is none (another tool's adapter)."""
    path = Path(folder) / CARD
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text("utf-8"))
        return Card(**{f.name: record[f.name] for f in fields(Card) if f.name in record})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise LabkitError(f"{path} is damaged: {error}. Tune again, or remove the file to load without it.") from error


def check_base(folder: str | Path, model) -> Card | None:
    """The folder's card; LabkitError when the adapter was made for other weights than `model`'s."""
    card = read_card(folder)
    if card and card.base_sha256 != model.sha256:
        raise LabkitError(
            f"The adapter in {folder} was made for {card.base} with the hash {card.base_sha256[:12]}; this is "
            f"{model.name} with {model.sha256[:12]}. Load it on the model it was made for."
        )
    return card


def sha256(folder: str | Path) -> str:
    """Of the folder's weights."""
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise LabkitError(f"{folder} holds no adapter: {WEIGHTS} is missing. Name the folder that tuning wrote.")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_adapter(network, folder: str | Path) -> dict[str, LoRALinear]:
    """Attach the adapter in `folder` to `network` as LoRALinear layers, ready to be trained on or fused."""
    lora = read_config(folder)
    if not lora.layers:
        from dataclasses import replace

        from labkit.tuning.packed import body

        lora = replace(lora, layers=tuple(range(len(body(network).layers))))
    adapters = attach(network, lora)
    fill(adapters, folder)
    return adapters


def fill(adapters: dict[str, LoRALinear], folder: str | Path) -> None:
    """Copy the factors in `folder` into `adapters`, which must be the same ones."""
    path = Path(folder) / WEIGHTS
    try:
        tensors = load_file(path)
    except (OSError, ValueError, RuntimeError) as error:  # safetensors' own error is a ValueError or an Exception
        raise LabkitError(f"{path} cannot be read: {error}") from error
    wanted = {
        f"base_model.model.{name}.lora_{part}.weight": getattr(adapter, part)
        for name, adapter in adapters.items()
        for part in "AB"
    }
    if wanted.keys() != tensors.keys() or any(tensors[name].shape != wanted[name].shape for name in wanted):
        odd = sorted(wanted.keys() ^ tensors.keys())[:1] or [n for n in wanted if tensors[n].shape != wanted[n].shape]
        raise LabkitError(f"The adapter in {folder} does not fit these layers: see {odd[0]}.")
    with torch.no_grad():
        for name, factor in wanted.items():
            factor.copy_(tensors[name])
