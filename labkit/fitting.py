"""Which models fit this machine, before any is downloaded, and about how long the labs take on them.

The memory figures are arithmetic on a model's shape (`footprint`), the times follow from one measured matrix product:
right to a factor of two, which is enough to choose a model. Nothing is loaded.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from labkit.fetching import KnownModel, known_models
from labkit.footprint import Setting, decode, tune
from labkit.shapes import of_known

GB = 1e9
PROMPT, QUESTION, ANSWER = 1000, 60, 60  # tokens: the schema prompt that all rows share, a question, its SQL
ROWS = 32  # answers decoded at once
PAIR = 300  # tokens of a training pair
LAB_ANSWERS, LAB_TRAINED = 2_500, 400_000  # answers decoded, tokens trained on, over all labs
EFFICIENCY = 0.35  # of a large matrix product's speed, reached by a whole network


@dataclass(frozen=True)
class Fit:
    """Whether a known model fits: gigabytes needed, what they allow here, and minutes that the labs take, None if
    they can't."""

    model: str
    ask_gb: float
    tune_gb: float
    tune_4bit_gb: float
    fits: str  # "ask and tune", "ask and tune in 4-bit", "tune in 4-bit" (and ask so), "ask", "no"
    minutes: int | None


def fit() -> list[Fit]:
    """For each known model, whether it fits the memory that is free now, and about how long the labs take on it.

    Takes a second: one matrix product is timed on the GPU or, without one, on the CPU.
    """
    import torch

    cuda = torch.cuda.is_available()
    free = torch.cuda.mem_get_info()[0] if cuda else free_memory()[0]
    dtype = ("bfloat16" if torch.cuda.get_device_capability()[0] >= 8 else "float16") if cuda else cpu_dtype()
    speed = matmul_speed("cuda" if cuda else "cpu", dtype)
    return [_fit(model, free, dtype, speed, cuda) for model in known_models()]


def _fit(model: KnownModel, free: int, dtype: str, speed: float, cuda: bool) -> Fit:
    need = needs(model, dtype, cuda)
    able = [verb for verb in ("ask", "tune") if need[verb] <= free]
    if "tune" not in able and cuda and need["tune_4bit"] <= free:
        able.append("tune in 4-bit")
    minutes = lab_seconds(model, speed, cuda) / 60 if any(verb.startswith("tune") for verb in able) else None
    gigabytes = {key: round(value / GB, 1) for key, value in need.items()}
    return Fit(
        model.name,
        gigabytes["ask"],
        gigabytes["tune"],
        gigabytes["tune_4bit"],
        " and ".join(able) if able else "no",
        None if minutes is None else max(1, round(minutes)),
    )


def needs(model: KnownModel, dtype: str, cuda: bool = False) -> dict[str, float]:
    """Bytes to ask (32 rows of a schema prompt that all share, a question and its SQL), to tune by instruction (4 pairs
    of 300 tokens a step), and to tune with the linear layers in 4 bits; the arithmetic is `footprint`."""
    shape, short = of_known(model), "fp32" if dtype == "float32" else "bf16"
    asking = Setting(short, QUESTION + ANSWER + PROMPT // ROWS, ROWS, cuda=cuda)  # a row's part of what is shared
    tuning = {key: Setting(kind, PAIR, 4, cuda=cuda) for key, kind in (("tune", short), ("tune_4bit", "nf4"))}
    context = 0.6 * GB if cuda else 0.0  # a GPU's driver and libraries
    found = {"ask": decode(shape, asking)} | {key: tune(shape, setting) for key, setting in tuning.items()}
    return {key: need.total + context for key, need in found.items()}


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


def cpu_dtype() -> str:
    from labkit.models import cpu_computes_bfloat16

    return "bfloat16" if cpu_computes_bfloat16() else "float32"


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
