"""How this process gives memory back to the system: freed tensors at once, not when the heap happens to shrink.

glibc keeps large freed blocks in its heap once a few were freed, and blocks aligned for tensors leave holes that the
next one of the same size does not fit: tuning held half as much again as its tensors (EXPERIMENTS.md, 2026-11-29). With
a fixed threshold each larger block has pages of its own, which go back when it is freed. Smaller ones stay, so a peak
is still up to 14 % over the arithmetic where most tensors are small. Nothing happens where there is no glibc.
"""

import ctypes
import sys

_M_MMAP_THRESHOLD = -3  # of mallopt(3)
_BYTES = 2**20  # at glibc's first threshold, 128 KiB, tuning takes half as long again; at this one as long as ever


def give_back() -> bool:
    """Let blocks of 1 MiB and more come and go as pages, for the rest of this process; whether that took."""
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _BYTES))
    except (OSError, AttributeError):
        return False
