"""A bank of memory experts as an adapter folder: what the touched experts hold and their keys, and nothing else.

Experts with random keys are named by their number alone; they are made again when the folder is read.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from labkit.errors import LabkitError
from labkit.home import write_atomically
from labkit.tuning.adapter import CARD, CONFIG, UNDER, WEIGHTS, Card
from labkit.tuning.bank import Bank

KIND = "LABKIT_MOME"
_TENSORS = ("vectors", "experts", "lengths", "words", "owners", "shares", "known", "weights")


def save_bank(folder: str | Path, bank: Bank, card: Card | None = None, under: Path | None = None) -> Path:
    """Write the folder, weights first; each file appears whole or not at all. `under`: the folder of the adapter
    that the experts stand on, which is copied."""
    folder, numbers = Path(folder), sorted(bank.vectors)
    held = [bank.vectors[n].cpu() for n in numbers]
    keys, weights = bank.selection.keys, bank.selection.weights
    tensors = {
        "vectors": torch.cat(held) if held else torch.zeros(0, bank.network.config.hidden_size).half(),
        "experts": torch.tensor(numbers, dtype=torch.int64),
        "lengths": torch.tensor([len(v) for v in held], dtype=torch.int64),
        "words": torch.from_numpy(keys.words),
        "owners": torch.from_numpy(keys.experts),
        "shares": torch.from_numpy(keys.shares),
        "known": torch.tensor(list(weights), dtype=torch.int64),
        "weights": torch.tensor(list(weights.values()), dtype=torch.float32),
    }
    write_atomically(folder / WEIGHTS, save(tensors, metadata={"format": "pt"}))
    if card:
        write_atomically(folder / CARD, json.dumps(asdict(card), indent=1) + "\n")
    config = {
        "peft_type": KIND, "base_model_name_or_path": card.base if card else None, "layer": bank.layer,
        "threshold": bank.selection.threshold, "used": bank.used, "total": bank.total, "facts": bank.names,
    }  # fmt: skip
    for file in (WEIGHTS, CARD, CONFIG) if under else ():
        if (under / file).is_file():
            write_atomically(folder / UNDER / file, (under / file).read_bytes())
    write_atomically(folder / CONFIG, json.dumps(config, indent=1) + "\n")
    return folder


def is_bank(folder: str | Path) -> bool:
    """Whether an adapter folder holds a bank."""
    try:
        return json.loads((Path(folder) / CONFIG).read_text("utf-8")).get("peft_type") == KIND
    except (OSError, ValueError, AttributeError):
        return False


def load_bank(model, folder: str | Path) -> Bank:
    """The bank in `folder`, on `model`; LabkitError for a folder that is damaged or does not fit."""
    folder = Path(folder)
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        tensors = load_file(folder / WEIGHTS)
        return bank_of(model, config, tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise LabkitError(f"The bank in {folder} is damaged or another model's: {error}. Build it again.") from error


def bank_of(model, config: dict, tensors: dict[str, torch.Tensor]) -> Bank:
    """The bank that a folder's configuration and tensors hold; errors of many kinds for what is damaged."""
    vectors, experts, lengths, words, owners, shares, known, weights = (tensors[name].cpu() for name in _TENSORS)
    bank = Bank(model, int(config["layer"]), float(config["threshold"]))
    bank.names = {str(name): int(number) for name, number in config["facts"].items()}
    bank.used, total = int(config["used"]), int(config["total"])
    parts = vectors.to(model.network.device).split(lengths.tolist())
    bank.vectors = dict(zip(experts.tolist(), parts, strict=True))
    if not set(bank.names.values()) <= set(bank.vectors) or vectors.shape[1] != model.network.config.hidden_size:
        raise ValueError("its facts, vectors and the model do not belong together")
    bank.selection.keys.insert(*(np.asarray(t) for t in (words, owners, shares)))
    bank.selection.weights = dict(zip(known.tolist(), weights.tolist(), strict=True))
    bank.total = bank.used
    bank.fill(total)
    return bank
