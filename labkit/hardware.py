"""The doctor: is all in place on this machine for the labs, and if not, which line mends it?

It only looks; nothing is installed, changed or fetched. Which models fit is `fitting`.
"""

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labkit.fetching import DEFAULT, known_models
from labkit.fitting import GB, Fit, cpu_dtype, fit, free_memory, needs
from labkit.home import home

__all__ = ["Check", "Fit", "doctor", "fit"]


@dataclass(frozen=True)
class Check:
    """One line of the doctor's: `mend` is what to do when it is not ok, empty otherwise."""

    name: str
    ok: bool
    detail: str
    mend: str = ""


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
    return Check("instruction set", not old, f"{detail}; computes in {cpu_dtype()}", mend)


def _memory() -> Check:
    free, total = free_memory()
    needed = needs(known_models()[0], cpu_dtype())["tune"]
    ok = free >= needed
    detail = f"{free / GB:.1f} GB free of {total / GB:.1f}; the labs take {needed / GB:.1f} on {DEFAULT}"
    return Check(
        "memory", ok, detail, "" if ok else "Close other programs and notebooks (each open one keeps its model)."
    )


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


def _tier() -> Check:
    from labkit.tiers import here

    return Check("tier", True, str(here()))


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
    "tier": _tier,
    "model": _model,
    "sandbox": _sandbox,
}
