"""The machine that figures are of, as benchmarks keep it beside them, and a clock for both kinds of seconds."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch


def machine() -> dict[str, str | int]:
    """Processor by its name, how many cores this process may use, versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": processor(), "cores": cores, "python": platform.python_version(), "torch": torch.__version__}


def processor() -> str:
    """Its name, where the system tells one."""
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@contextmanager
def clocked(spent: dict[str, float], name: str = "") -> Iterator[None]:
    """Put the seconds that the block takes into `spent`: NAMEcpu_seconds, of this process, and NAMEseconds, of wall
    time."""
    begun, wall = time.process_time(), time.perf_counter()
    yield
    spent[f"{name}cpu_seconds"] = round(time.process_time() - begun, 1)
    spent[f"{name}seconds"] = round(time.perf_counter() - wall, 1)
