"""Base models by name, hub id, folder or GGUF file: found, checked, loaded. The default one needs no model hub.

How the default model gets here is `fetching`, what a model does with a prompt `decoding`, whether it fits this machine
`hardware`. Light to import: torch and transformers come with the first `load_model`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit.dataset import load_questions
from labkit.errors import LabkitError
from labkit.fetching import DEFAULT, KnownModel, fetch_model, known_models
from labkit.home import home, write_atomically
from labkit.notices import notice
from labkit.quantization import check_four_bit, four_bit_options, kept_trainable

__all__ = ["DEFAULT", "KnownModel", "Model", "fetch_model", "known_models", "load_model"]


@dataclass
class Model:
    """Tokenizer and network on a device, ready to chat; `sha256` is of the weight files, `adapter_sha256` of the
    adapter's."""

    name: str
    folder: Path
    tokenizer: Any
    network: Any
    device: str
    dtype: str
    sha256: str
    adapter: str | None = None
    adapter_sha256: str | None = None
    four_bit: bool = False
    prompt: Any = None  # the one that the adapter was tuned with: a name, or a function where it looks things up
    prefix: Any = field(default=None, repr=False)  # keys and values of the last call's shared prompt part
    experts: Any = field(
        default=None, repr=False
    )  # a bank of memory experts (`tuning.mome`) that takes part in answers

    def chat(self, conversations: Sequence[Sequence[dict]], **options) -> list[str]:
        """Answer each conversation, in the order given; the options are those of `decoding.chat`."""
        from labkit.decoding import chat

        return chat(self, conversations, **options)

    def describe(self) -> dict:
        """What a run records of the model, JSON values only."""
        return {
            "model": self.name,
            "sha256": self.sha256,
            "adapter": self.adapter,
            "adapter_sha256": self.adapter_sha256,
            "device": self.device,
            "dtype": self.dtype,
            "four_bit": self.four_bit,
        }


def load_model(
    name: str | Path = DEFAULT,
    adapter: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    four_bit: bool = False,
) -> Model:
    """Load a model by known name, hub id, local folder or GGUF file, fetching it first where it isn't here yet.

    `adapter` is a folder written by tuning or by PEFT; it is merged into the weights (but beside 4-bit weights it stays
    apart; a bank of memory experts always does, over the adapter that it stands on). One with a
    card is refused on another base than the card's, and brings its prompt.
    `device` is "cpu", "cuda", "cuda:1" or "mps", by default the first GPU or else the CPU. `dtype` is "bfloat16",
    "float16" or "float32", by default bfloat16 where the device computes in it, else float16 on a GPU and float32 on
    a CPU. `four_bit` holds the weights as NF4 (see `quantization`), those of a GGUF file too, which takes bitsandbytes;
    an adapter that was tuned the other way is loaded, and said to be.
    """
    adapter_folder = _adapter_folder(adapter)
    if four_bit:
        check_four_bit()
    folder = fetch_model(name)
    device = _device(device)
    dtype = _dtype(dtype, device)
    model = Model(str(name), folder, None, None, device, dtype, weights_sha256(folder), four_bit=four_bit)
    if adapter_folder:
        model.adapter, model.adapter_sha256 = str(adapter), weights_sha256(adapter_folder)
        model.prompt = prompt_of(adapter_folder, model)
        _say_other_precision(adapter_folder, four_bit)
    elif (folder / "card.json").is_file():  # an adapter was merged into it
        from labkit.tuning.adapter import read_card

        model.prompt = _prompt_in(folder, read_card(folder))
    model.network, model.tokenizer = _load(folder, device, dtype, four_bit)
    bank = adapter_folder and _is_bank(adapter_folder)
    below = _under(adapter_folder, model) if bank else adapter_folder
    if below:
        model.network = _add_adapter(model.network, below, merge=not four_bit)
    model.network.eval().requires_grad_(False)
    if bank:
        from labkit.tuning.mome_files import load_bank

        model.experts = load_bank(model, adapter_folder)
    return model


def unloaded(model: Model | str | Path = DEFAULT) -> Model:
    """What is known of a model before its weights are read: name, folder, hash, device. It tells whose an adapter is.
    One that is loaded already is returned as it is."""
    if not isinstance(model, (str, Path)):
        return model
    folder = fetch_model(model)
    return Model(str(model), folder, None, None, _device(None), "", weights_sha256(folder))


def check_loading(model: Model | str | Path, four_bit: bool) -> None:
    """LabkitError where a model can't be had in 4 bits: one that is loaded already in others, or no bitsandbytes."""
    if four_bit and isinstance(model, Model) and not model.four_bit:
        raise LabkitError("four_bit says how a model is loaded that is given by its name; this one is loaded already.")
    if four_bit:
        check_four_bit()


def _load(folder: Path, device: str, dtype: str, four_bit: bool) -> tuple:
    import torch

    from labkit.allocator import give_back
    from labkit.upstream import quiet

    if device == "cpu":
        give_back()
    options = {"dtype": getattr(torch, dtype), "local_files_only": True}
    if four_bit:
        options |= four_bit_options(options["dtype"], device)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            network = AutoModelForCausalLM.from_pretrained(folder, **options)
            return kept_trainable(network) if four_bit else network.to(device), tokenizer
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise LabkitError(
                f"{folder.name} does not fit {device} in {dtype}. Take a smaller model (`labkit doctor` lists what "
                "fits) or, on a GPU, load it in 4 bits (--four-bit, four_bit=True)."
            ) from error
        except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError) as error:
            raise LabkitError(
                f"{folder} holds no causal language model that transformers can load: {_first(error)}"
            ) from error


def _first(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _adapter_folder(adapter: str | Path | None) -> Path | None:
    if not adapter:
        return None
    folder = Path(adapter).expanduser()
    if not (folder / "adapter_config.json").is_file():
        raise LabkitError(
            f"{folder} holds no adapter: adapter_config.json is missing. Name the folder that tuning wrote."
        )
    return folder


def _say_other_precision(folder: Path, four_bit: bool) -> None:
    """An adapter learns beside the weights as they are held, and answers a little otherwise beside others."""
    from labkit.tuning.adapter import read_card

    card = read_card(folder)
    if card and card.four_bit != four_bit:
        here, there = ("in 4 bits", "plain ones") if four_bit else ("not in 4 bits", "weights in 4 bits (--four-bit)")
        notice(f"The adapter in {folder} was tuned beside {there}; here the weights are {here}: answers may differ.")


def _is_bank(folder: Path) -> bool:
    from labkit.tuning.mome_files import is_bank

    return is_bank(folder)


def _under(bank: Path, model: Model) -> Path | None:
    """The adapter that a bank of memory experts stands on, if any; LabkitError when that is of another base."""
    from labkit.tuning.adapter import check_base, under

    below = under(bank)
    if below:
        check_base(below, model)
    return below


def prompt_of(folder: Path, model: Model) -> Any:
    """The prompt that the adapter was tuned with, by name or as a function, None where that isn't known; LabkitError
    when it was made for another base."""
    from labkit.tuning.adapter import check_base

    return _prompt_in(folder, check_base(folder, model))


def _prompt_in(folder: Path, card) -> Any:
    """The prompt that a card names; one that shows nearest pairs finds them in the folder."""
    from labkit.nearest import NEAREST_PAIRS, NearestPairs

    if card and card.prompt == NEAREST_PAIRS:
        return NearestPairs(load_questions(folder / "pairs.jsonl"))
    return card.prompt if card else None


def _add_adapter(network, folder: Path, merge: bool):
    """The network with the adapter's update: added to its weights, or beside them."""
    from labkit.tuning.adapter import is_foreign, load_adapter
    from labkit.tuning.lora import fuse

    if is_foreign(network, folder):
        return _add_foreign(network, folder, merge)
    adapters = load_adapter(network, folder)
    if merge:
        fuse(network, adapters)
    return network


def _add_foreign(network, folder: Path, merge: bool):
    """The same by PEFT, for what labkit does not compute."""
    from labkit.upstream import no_hub_kernels, quiet

    try:
        with quiet():
            with no_hub_kernels():
                from peft import PeftModel

            tuned = PeftModel.from_pretrained(network, folder, local_files_only=True)
            config = tuned.peft_config["default"]
            # layers that share a matrix would each add to it; a layer may lack the bias that lora_bias adds to
            apart = getattr(config, "layer_replication", None) or getattr(config, "lora_bias", False)
            return tuned.merge_and_unload() if merge and not apart else tuned
    except Exception as error:  # PEFT raises as many kinds as it knows adapters
        base = json.loads((folder / "adapter_config.json").read_text()).get("base_model_name_or_path")
        raise LabkitError(
            f"The adapter in {folder}, made for {base}, does not fit this model: {_first(error)}"
        ) from error


def _device(device: str | None) -> str:
    import torch

    if device is None:
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind = str(device).split(":")[0]
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(kind):
        usable = ", ".join(name for name, usable in there.items() if usable)
        raise LabkitError(f"There is no device {str(device)!r} on this machine; usable: {usable}.")
    return str(device)


def _dtype(dtype: str | None, device: str) -> str:
    import torch

    choices = ("bfloat16", "float16", "float32")
    if dtype is not None:
        name = str(dtype).removeprefix("torch.")
        name = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}.get(name, name)
        if name not in choices:
            raise LabkitError(f"dtype is {dtype!r}; it must be one of {', '.join(choices)}.")
        return name
    if device == "cpu":
        return "bfloat16" if cpu_computes_bfloat16() else "float32"
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.get_device_capability(device)[0] >= 8 else "float16"
    return "float16"


def cpu_computes_bfloat16() -> bool:
    """Has this processor instructions for bfloat16 products (AVX512-BF16 or AMX)? Without them it is slower than
    float32."""
    import torch

    has = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16") or has.get("bf16"))


def weights_sha256(folder: Path) -> str:
    """One hash over the folder's weight files, and over those of the adapter `under` a bank of memory experts; kept
    with their sizes and dates, so that the next call only looks at those."""
    files = [
        file
        for place in (folder, folder / "under")
        for file in sorted(p for pattern in ("*.safetensors", "*.bin", "*.gguf") for p in place.glob(pattern))
        if file.is_file()
    ]
    stamp = [[str(file.relative_to(folder)), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    memory = home() / "hashes.json"
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        known = {}
    key = str(folder.resolve())
    if known.get(key, {}).get("files") != stamp:
        digest = hashlib.sha256()
        for file in files:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        known[key] = {"files": stamp, "sha256": digest.hexdigest()}
        write_atomically(memory, json.dumps(known, indent=1))
    return known[key]["sha256"]
