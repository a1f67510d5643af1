"""Out of memory: what was done for many at once is done for half as many, and goes on.

A GPU says `torch.OutOfMemoryError`; a CPU MemoryError, or a RuntimeError of torch's allocator. Which work may be parted
its own module knows; one item that does not fit alone is a LabkitError. How much memory there is, is `footprint`.
"""

from collections.abc import Callable, Sequence

from labkit.errors import LabkitError
from labkit.notices import notice

_SAID = ("out of memory", "not enough memory", "can't allocate memory")
LESS = "Take a smaller model (`labkit doctor` lists what fits), 4-bit weights (--four-bit), shorter prompts or texts."


def out_of_memory(error: BaseException) -> bool:
    """Whether this error says that memory ran out (by name, so that torch need not be imported)."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(said in str(error).lower() for said in _SAID)


def fits(work: Callable, *arguments) -> bool:
    """Do the work; False where memory ran out, and whatever it held is freed by then."""
    try:
        work(*arguments)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        return False
    return True


def halved(size: int, thing: str, less: str = LESS) -> int:
    """Half of `size` things at a time; LabkitError where a single one did not fit, with what to do about it."""
    if size == 1:
        raise LabkitError(f"A single {thing} does not fit the memory. {less}")
    return size // 2


def in_parts(items: Sequence, size: int, work: Callable[[Sequence], None], thing: str) -> None:
    """`work` on `size` of the items at a time, on half as many from where memory runs out, which is told once each
    time. `work` on the same items again must be harmless."""
    start = 0
    while start < len(items):
        part = items[start : start + size]
        if fits(work, part):
            start += len(part)
        else:
            size = halved(len(part), thing)
            notice(f"Out of memory: going on with {size} {thing}s at a time.")
