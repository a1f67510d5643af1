"""An adapter folder: LoRA factors as PEFT writes and reads them, and beside them a card that says what they are.

`save` and `load` keep PEFT's names and shapes, so that a folder goes both ways. What labkit does not compute is refused
by name, never dropped in silence. The card holds the base model's hash: an adapter on another base is noise.
"""

import hashlib
import json
import platform
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from datetime import date
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from labkit.errors import LabkitError
from labkit.home import write_atomically
from labkit.tuning.lora import LoRA, LoRALinear, attach, detach
from labkit.tuning.packed import body

CONFIG, WEIGHTS, CARD, PAIRS = "adapter_config.json", "adapter_model.safetensors", "card.json", "pairs.jsonl"
UNDER = "under"  # in a bank's folder: the adapter that its experts stand on
_AGAIN = "Copy the whole folder again, or tune again."
_READ = {"r", "lora_alpha", "target_modules", "layers_to_transform"}
_IDLE = {  # what changes no number once the factors are there
    "peft_type", "peft_version", "task_type", "auto_mapping", "base_model_name_or_path", "revision", "inference_mode",
    "lora_dropout", "megatron_core", "qalora_group_size", "ensure_weight_tying", "runtime_config",
}  # fmt: skip
_PLAIN = {  # values under which a feature does nothing; of one not named here: nothing, False or empty
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian", "orthogonal"),  # others (PiSSA, OLoRA ...) change the base's weights
    "layers_pattern": ("layers", ["layers"]),
}


class ForeignAdapter(LabkitError):
    """An adapter that is whole, but of a kind that labkit does not compute; PEFT may."""


@dataclass(frozen=True)
class Card:
    """What an adapter was made of and what it reached. `seconds` is wall time of the tuning, `tokens` those it ran
    through the adapted layers; `recalled` of `of` training pairs are answered exactly (greedy) at its end;
    `data_sha256` is empty where facts were forgotten or two banks joined since."""

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
    made: dict = field(default_factory=dict)  # date, machine, threads, dtype, versions, peak memory in bytes
    continued_from: str | None = None
    hard: list = field(
        default_factory=list
    )  # pairs not recalled: id, probability of the answer (of a fact: what it picks)

    @property
    def four_bit(self) -> bool:
        """Whether the base's weights were held in 4 bits."""
        return isinstance(self.made, dict) and bool(self.made.get("four_bit"))


def made_on(model) -> dict:
    """When and on what machine a card is written."""
    return {
        "date": date.today().isoformat(),
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "device": model.device,
        "dtype": model.dtype,
        "four_bit": model.four_bit,
        "torch": torch.__version__,
    }


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
    write_atomically(folder / CONFIG, json.dumps(peft_config(lora, card), indent=1) + "\n")
    return folder


def peft_config(lora: LoRA, card: Card | None) -> dict:
    """What PEFT reads of such an adapter (`adapter_config.json`)."""
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
    """The LoRA that a folder of PEFT's holds; ForeignAdapter for one of another kind or with a feature that labkit
    lacks, LabkitError for what is no adapter.

    `layers` is empty where the adapter sits on all of them.
    """
    path = Path(folder) / CONFIG
    try:
        config = json.loads(path.read_text("utf-8"))
        _refuse_foreign(Path(folder), config)
        layers = config.get("layers_to_transform")
        layers = () if layers is None else (layers,) if isinstance(layers, int) else tuple(map(int, layers))
        rank, alpha, targets = int(config["r"]), float(config["lora_alpha"]), tuple(sorted(config["target_modules"]))
        if rank < 1 or not targets:
            raise ValueError("r is the rank, 1 or more, and target_modules names layers")
        return LoRA(layers, rank, alpha, targets)
    except KeyError as error:
        raise LabkitError(f"{path} is no adapter's configuration: {error} is missing. {_AGAIN}") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise LabkitError(f"{path} is no adapter's configuration: {error}. {_AGAIN}") from error


def _refuse_foreign(folder: Path, config: dict) -> None:
    """ForeignAdapter that names what labkit does not compute."""
    if config.get("peft_type") != "LORA":
        raise ForeignAdapter(f"{folder} holds an adapter of kind {config.get('peft_type')}; labkit reads LORA.")
    odd = sorted(
        name
        for name, value in config.items()
        if value and name not in _READ | _IDLE and value not in _PLAIN.get(name, ())
    )
    if odd:
        raise ForeignAdapter(f"The adapter in {folder} uses {', '.join(odd)}, which labkit does not compute.")
    targets = config["target_modules"]
    if isinstance(targets, str):
        raise ForeignAdapter(f"The adapter in {folder} names its layers by a pattern ({targets}), not one by one.")
    outside = [name for name in targets if "." in name or name in ("lm_head", "embed_tokens")]
    if outside:
        raise ForeignAdapter(f"The adapter in {folder} adapts {outside[0]}; labkit knows layers by their last name.")
    if not (folder / WEIGHTS).is_file() and (folder / "adapter_model.bin").is_file():
        raise ForeignAdapter(f"The weights in {folder} are no safetensors, which is all that labkit reads.")


def is_foreign(network, folder: str | Path) -> bool:
    """Is the adapter one that PEFT loads on this network and labkit does not? LabkitError for what is no adapter."""
    try:
        read_config(folder)
    except ForeignAdapter:
        return True
    try:
        body(network)
    except LabkitError:
        return True
    return False


_COUNTS = ("pairs", "seconds", "tokens", "recalled", "of")


def read_card(folder: str | Path) -> Card | None:
    """The folder's card; None where there is none (another tool's adapter)."""
    path = Path(folder) / CARD
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text("utf-8"))
        if not isinstance(record, dict):
            raise ValueError("a JSON object is needed")
        needed = [f.name for f in fields(Card) if f.default is MISSING and f.default_factory is MISSING]
        if lacking := [name for name in needed if name not in record]:
            raise ValueError(f"{', '.join(lacking)} missing")
        card = Card(**{f.name: record[f.name] for f in fields(Card) if f.name in record})
        if not all(isinstance(value, str) for value in (card.base, card.base_sha256, card.prompt)):
            raise ValueError("base, base_sha256 and prompt must be texts")
        if not all(isinstance(getattr(card, name), (int, float)) for name in _COUNTS):
            raise ValueError(f"{', '.join(_COUNTS)} must be numbers")
        return card
    except (OSError, ValueError, TypeError) as error:
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


def check_folder(folder: str | Path, model) -> Card | None:
    """The folder's card; LabkitError for all that can be said of an adapter before its base is loaded: no adapter, one
    that labkit does not compute, one without its weights, one of other weights than `model`'s."""
    read_config(folder)
    return check_weights(folder, model)


def check_weights(folder: str | Path, model) -> Card | None:
    """The folder's card; LabkitError for one without weights, or one of other weights than `model`'s."""
    if not (Path(folder) / WEIGHTS).is_file():
        raise LabkitError(f"{folder} holds no adapter: {WEIGHTS} is missing. {_AGAIN}")
    return check_base(folder, model)


def check_out(folder: str | Path) -> None:
    """LabkitError for what can't become the folder that tuning writes: a file, or a folder that holds a model."""
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise LabkitError(f"{folder} is a file. Name a folder, a new one or one where this same call was cut off.")
    if (folder / "config.json").is_file() and not (folder / "unfinished").exists():  # an encoder was being written
        raise LabkitError(f"{folder} holds a model. Name another folder.")


def check_free(folder: str | Path) -> None:
    """LabkitError as `check_out`, and for a folder that holds an adapter, of whatever kind."""
    check_out(folder)
    if (Path(folder) / CONFIG).is_file():
        raise LabkitError(f"{folder} holds an adapter already. Name another folder, or remove that one.")


def sha256(folder: str | Path) -> str:
    """Of the folder's weights."""
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise LabkitError(f"{folder} holds no adapter: {WEIGHTS} is missing. Name the folder that tuning wrote.")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def under(folder: str | Path) -> Path | None:
    """The adapter that the bank of memory experts in `folder` stands on, if it stands on one; LabkitError where it is
    not the one that the bank was built over (banks of earlier versions don't say which that was)."""
    path = Path(folder) / UNDER
    try:
        wanted = json.loads((Path(folder) / CONFIG).read_text("utf-8")).get(UNDER)
    except (OSError, ValueError, AttributeError):
        wanted = None
    if wanted and wanted != standing(path):
        raise LabkitError(f"The adapter in {path} is not the one that the bank in {folder} was built over. {_AGAIN}")
    return path if (path / CONFIG).is_file() else None


def standing(folder: Path) -> str:
    """One hash of what an adapter computes: its weights and its configuration, as far as they are there."""
    digest = hashlib.sha256()
    for file in (folder / WEIGHTS, folder / CONFIG):
        if file.is_file():
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def load_adapter(network, folder: str | Path) -> dict[str, LoRALinear]:
    """Attach the adapter in `folder` to `network` as LoRALinear layers, ready to be trained on or fused. A network that
    it does not fit is left as it was."""
    lora = read_config(folder)
    lora = replace(lora, layers=lora.layers or tuple(range(len(body(network).layers))))
    adapters = attach(network, lora)
    try:
        fill(adapters, folder)
    except LabkitError:
        detach(network, adapters)
        raise
    return adapters


def fill(adapters: dict[str, LoRALinear], folder: str | Path) -> None:
    """Copy the factors in `folder` into `adapters`, which must be the same ones."""
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise LabkitError(f"{folder} holds no adapter: {WEIGHTS} is missing. {_AGAIN}")
    try:
        tensors = load_file(path)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise LabkitError(f"{path} is damaged: {error}. {_AGAIN}") from error
    wanted = {
        f"base_model.model.{name}.lora_{part}.weight": getattr(adapter, part)
        for name, adapter in adapters.items()
        for part in "AB"
    }
    odd = sorted(wanted.keys() ^ tensors.keys()) or [n for n in wanted if tensors[n].shape != wanted[n].shape]
    if odd:
        raise LabkitError(f"The adapter in {folder} does not fit this model: see {odd[0]}.")
    with torch.no_grad():
        for name, factor in wanted.items():
            factor.copy_(tensors[name])
