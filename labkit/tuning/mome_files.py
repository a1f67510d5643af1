"""A bank of memory experts as an adapter folder: what the touched experts hold and their keys, and nothing else.

While facts are being learnt, each block of them is a part of its own, which is written once; the card, written after
it, says how many facts count. So work that is killed goes on, and no block costs more than the one before it.
Experts with random keys are named by their number alone; they are made again when the folder is read. What the others
hold stays on disk, in a memory-mapped file, until a question picks it; their keys are in memory.
"""

import json
from collections import UserDict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from labkit.errors import LabkitError
from labkit.home import write_atomically
from labkit.tuning.adapter import (
    CARD,
    CONFIG,
    UNDER,
    WEIGHTS,
    Card,
    check_weights,
    read_config,
    standing,
    under,
)
from labkit.tuning.bank import Bank, Outline, step_of

KIND = "LABKIT_MOME"
PART = "part-{:08}.safetensors"
_HELD = ("vectors", "steps", "lengths", "experts")
_WORDS = ("words", "owners", "shares", "known", "weights", "spelt")  # of a selection by words
_LATER = ("young", "idle", "idle_words", "idle_lengths")  # not in banks of earlier versions
_AT_ONCE = 1024  # experts that are packed together


class Packed(UserDict):
    """What experts hold, by number: what `pack` was given, bit for bit, float16, unpacked each time it is read. What is
    put in later is kept as it is."""

    def __init__(self, experts: Sequence[int], tensors: dict[str, Tensor], device="cpu"):
        self.numbers, self.steps, lengths = (tensors[name] for name in ("vectors", "steps", "lengths"))
        if self.numbers.dtype != torch.int8 or not len(self.numbers) == len(self.steps) == lengths.sum():
            raise ValueError("its vectors are not numbers of 8 bits, a row an answer token")
        ends = lengths.cumsum(0).tolist()
        rows = map(slice, [0, *ends[:-1]], ends)
        super().__init__(zip(experts, rows, strict=True))
        self.device = device

    def __getitem__(self, expert: int) -> Tensor:
        held = self.data[expert]
        if not isinstance(held, slice):
            return held
        return (self.numbers[held].half() * self.steps[held].half()).to(self.device)


def pack(held: Iterable[Tensor], size: int) -> dict[str, Tensor]:
    """What experts hold (each (answer tokens, size), `rounded`), as three tensors: whole numbers of 8 bits, each row's
    step, how many rows an expert has."""
    numbers, steps, lengths = [torch.zeros(0, size, dtype=torch.int8)], [torch.zeros(0, 1)], []
    held = iter(held)
    while some := list(islice(held, _AT_ONCE)):
        vectors = torch.cat(some).float().cpu()
        steps.append(step_of(vectors))
        numbers.append(torch.round(vectors / steps[-1]).to(torch.int8))
        lengths += map(len, some)
    lengths = torch.tensor(lengths, dtype=torch.int32)
    return {"vectors": torch.cat(numbers), "steps": torch.cat(steps), "lengths": lengths}


def save_bank(folder: str | Path, bank: Bank, card: Card | None = None, under: Path | None = None) -> Path:
    """Write the folder, weights first; each file appears whole or not at all. `under`: the folder of the adapter
    that the experts stand on, which is copied. Vectors that are not `rounded` are rounded here."""
    folder, numbers = Path(folder), sorted(bank.vectors)
    tensors = pack((bank.vectors[n] for n in numbers), bank.network.config.hidden_size)
    tensors["experts"] = torch.tensor(numbers, dtype=torch.int64)
    tensors |= _pack_words(bank) if bank.kind == "words" else _pack_keys(bank)
    write_atomically(folder / WEIGHTS, save(tensors, metadata={"format": "pt"}))
    if card:
        write_card(folder, card)
    config = {
        "peft_type": KIND, "base_model_name_or_path": card.base if card else None, "layer": bank.layer,
        "threshold": bank.selection.threshold, "used": bank.used, "total": bank.total, "facts": bank.names,
        UNDER: standing(under) if under else None,
    } | bank.chosen()  # fmt: skip
    for file in (WEIGHTS, CARD, CONFIG) if under else ():
        if (under / file).is_file():
            write_atomically(folder / UNDER / file, (under / file).read_bytes())
    write_atomically(folder / CONFIG, json.dumps(config, indent=1) + "\n")
    return folder


def _pack_words(bank: Bank) -> dict[str, Tensor]:
    """The keys of a selection by words, and the words that were learnt."""
    experts, words, shares = bank.selection.rows()
    weights, spelt = bank.selection.weights, " ".join(sorted(bank.spelling.words))
    return {
        "words": torch.from_numpy(words),
        "owners": torch.from_numpy(experts.astype(np.int32)),
        "shares": torch.from_numpy(shares),
        "known": torch.tensor(list(weights), dtype=torch.int64),
        "weights": torch.tensor(list(weights.values()), dtype=torch.float32),
        "spelt": torch.from_numpy(np.frombuffer(spelt.encode(), np.uint8).copy()),
        "young": torch.tensor(bank.selection.young, dtype=torch.int64),
    } | _pack_idle(bank)


def _pack_keys(bank: Bank) -> dict[str, Tensor]:
    """The keys of a selection by faiss, by expert (facts, 384), and what is subtracted from them, if it is settled."""
    keys, centre = bank.selection.keys, bank.selection.centre
    rows = np.stack([keys[expert] for expert in sorted(keys)]) if keys else np.zeros((0, 0), np.float16)
    return {"keys": torch.from_numpy(rows)} | ({} if centre is None else {"centre": torch.from_numpy(centre)})


def _unpack_keys(bank: Bank, tensors: dict[str, Tensor]) -> None:
    experts, keys = sorted(bank.names.values()), tensors["keys"].numpy()
    bank.selection.keys = dict(zip(experts, keys, strict=True))
    bank.selection.settle(tensors["centre"].numpy() if "centre" in tensors else None)


def _unpack_words(bank: Bank, tensors: dict[str, Tensor]) -> None:
    words, owners, shares, known, weights, spelt = (tensors[name] for name in _WORDS)
    bank.selection.weights = dict(zip(known.tolist(), weights.tolist(), strict=True))
    keys: dict[int, dict[int, float]] = {expert: {} for expert in sorted(bank.names.values())}
    for expert, word, share in zip(owners.tolist(), words.tolist(), shares.tolist(), strict=True):
        keys[expert][word] = share
    for expert, idle in _unpack_idle(bank, tensors).items():
        bank.selection.insert(expert, keys[expert], idle)
    young = tensors["young"].tolist() if "young" in tensors else []
    bank.selection.weigh({expert: bank.selection.asked(expert) for expert in young})
    bank.spelling.add(spelt.numpy().tobytes().decode().split())


def _pack_idle(bank: Bank) -> dict[str, Tensor]:
    """The words without weight: sets of them, and which one each fact has, by expert."""
    idle = bank.selection.idle
    sets = sorted({tuple(sorted(words)) for words in idle.values()})
    numbers = {frozenset(words): number for number, words in enumerate(sets)}
    return {
        "idle": torch.tensor([numbers[idle[expert]] for expert in sorted(idle)], dtype=torch.int32),
        "idle_words": torch.tensor([word for words in sets for word in words], dtype=torch.int64),
        "idle_lengths": torch.tensor([len(words) for words in sets], dtype=torch.int32),
    }


def _unpack_idle(bank: Bank, tensors: dict[str, Tensor]) -> dict[int, frozenset[int]]:
    """What `_pack_idle` was given; of a bank of an earlier version all words without weight, for each fact."""
    experts = sorted(bank.names.values())
    if "idle" not in tensors:
        return dict.fromkeys(experts, frozenset(word for word, weight in bank.selection.weights.items() if not weight))
    numbers, words, lengths = (tensors[name] for name in _LATER[1:])
    sets = [frozenset(part.tolist()) for part in words.split(lengths.tolist())]
    return {expert: sets[number] for expert, number in zip(experts, numbers.tolist(), strict=True)}


def write_card(folder: Path, card: Card) -> None:
    """Write the folder's card."""
    write_atomically(folder / CARD, json.dumps(asdict(card), indent=1) + "\n")


def save_part(folder: Path, first: int, held: Sequence[Tensor]) -> None:
    """Keep what the experts of some facts hold, the first of which is number `first` of those to be learnt."""
    tensors = pack(held, held[0].shape[1])
    write_atomically(folder / PART.format(first), save(tensors))


def load_part(folder: Path, first: int, device="cpu") -> list[Tensor]:
    """What `save_part` was given. LabkitError for a damaged or missing file."""
    path = folder / PART.format(first)
    try:
        tensors = load_file(path)
        return list(Packed(range(len(tensors["lengths"])), tensors, device).values())
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise LabkitError(f"{path} is damaged: {error}. Remove the folder {folder}, and begin anew.") from error


def is_bank(folder: str | Path) -> bool:
    """Whether an adapter folder holds a bank."""
    try:
        return json.loads((Path(folder) / CONFIG).read_text("utf-8")).get("peft_type") == KIND
    except (OSError, ValueError, AttributeError):
        return False


def check_bank(folder: str | Path, model) -> Card | None:
    """The folder's card; LabkitError for all that can be said of a bank before its base is loaded: a folder that holds
    none, a damaged configuration, no weights, an adapter below that is not its own, other weights than `model`'s."""
    if not is_bank(folder):
        if (Path(folder) / CONFIG).is_file():
            read_config(folder)  # says so where it is damaged
        raise LabkitError(f"{folder} holds no bank of memory experts. Name a folder that `remember` wrote.")
    read_outline(folder)
    under(folder)
    return check_weights(folder, model)


def read_outline(folder: str | Path) -> Outline:
    """What the configuration of the bank in `folder` says of it; LabkitError where it is damaged."""
    try:
        config = json.loads((Path(folder) / CONFIG).read_text("utf-8"))
        layer, threshold, names = int(config["layer"]), float(config["threshold"]), frozenset(config["facts"])
        return Outline(layer, threshold, str(config.get("selection", "words")), int(config.get("k", 1)), names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabkitError(f"The bank in {folder} is damaged: {error!r} in {CONFIG}. Build it again.") from error


def load_bank(model, folder: str | Path) -> Bank:
    """The bank in `folder`, on `model`; LabkitError for a folder that is damaged or does not fit. Its file stays open
    as long as the bank is in use."""
    folder = Path(folder)
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        tensors = load_file(folder / WEIGHTS)  # memory-mapped
        return bank_of(model, config, tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise LabkitError(f"The bank in {folder} is damaged or another model's: {error}. Build it again.") from error


def bank_of(model, config: dict, tensors: dict[str, Tensor]) -> Bank:
    """The bank that a folder's configuration and tensors hold; errors of many kinds for what is damaged."""
    tensors = {name: tensor.cpu() for name, tensor in tensors.items()}
    vectors, experts = tensors["vectors"], tensors["experts"]
    chosen = {name: config[name] for name in ("selection", "k") if name in config}
    bank = Bank(
        model, int(config["layer"]), float(config["threshold"]), around=config.get("around", ("", "")), **chosen
    )
    bank.names = {str(name): int(number) for name, number in config["facts"].items()}
    bank.used, total = int(config["used"]), int(config["total"])
    bank.vectors = Packed(experts.tolist(), tensors, model.network.device)
    if not set(bank.names.values()) <= set(bank.vectors) or vectors.shape[1] != model.network.config.hidden_size:
        raise ValueError("its facts, vectors and the model do not belong together")
    if bank.chosen().get("encoder") != config.get("encoder"):
        raise LabkitError("The bank's facts are known by another sentence encoder than the kit's. Remember them anew.")
    (_unpack_words if bank.kind == "words" else _unpack_keys)(bank, tensors)
    bank.total = bank.used
    bank.fill(total)
    return bank
