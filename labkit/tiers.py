"""Which model, precision and batch for how much memory: one table, read by `labkit doctor` and by `course.setup()`.

Each row holds by the arithmetic of `footprint`, which a test repeats; which of them have been run stands in the row.
Not a limit: any model may be named, and `labkit fit MODEL` says what it takes.
"""

from dataclasses import dataclass

from labkit.fetching import known_models
from labkit.footprint import Setting, decode, tune
from labkit.shapes import of_known

GIB = 2**30
_CONTEXT = 0.6 * GIB  # that a GPU's driver and its libraries keep for themselves: bench_gpu caps 8 GB at 7.3
LENGTH = 512


@dataclass(frozen=True)
class Tier:
    """What to begin with. `gib` of GPU memory (0: no GPU, the machine's own); `batch`: pairs a step in instruction
    tuning; `method`: what is tuned by at first; `measured`: what of it was run, and where."""

    name: str
    gib: int
    model: str
    dtype: str
    batch: int
    method: str = "instruction"
    length: int = LENGTH
    measured: str = "not measured"

    @property
    def setting(self) -> Setting:
        return Setting(self.dtype, self.length, self.batch, self.method, cuda=self.gib > 0)

    @property
    def needs(self) -> float:
        """Bytes for tuning or for decoding 8 rows, whichever is more, by the arithmetic."""
        shape = of_known(next(model for model in known_models() if model.name == self.model))
        rows = Setting(self.dtype, self.length, 8, cuda=self.gib > 0)
        return max(tune(shape, self.setting).total, decode(shape, rows).total)

    @property
    def usable(self) -> float:
        """Bytes of the memory that torch can get."""
        return self.gib * GIB - _CONTEXT if self.gib else float("inf")


TIERS = (
    Tier(
        "CPU", 0, "smollm2-135m", "bf16", 4, measured="tuning measured at 128 tokens only (EXPERIMENTS.md, 2026-11-29)"
    ),
    Tier("6 GB", 6, "qwen2.5-coder-1.5b", "nf4", 2),
    Tier("8 GB", 8, "qwen2.5-coder-3b", "nf4", 1),
    Tier("12 GB", 12, "qwen2.5-coder-7b", "nf4", 1),
    Tier("16 GB", 16, "qwen2.5-coder-7b", "nf4", 2),
    Tier("24 GB", 24, "qwen2.5-coder-7b", "bf16", 1),
)


@dataclass(frozen=True)
class Choice:
    """The tier of a machine, and why."""

    tier: Tier
    why: str

    def __str__(self) -> str:
        return f"{self.tier.name}: {self.why}"


def choose(gpu_bytes: int | None, bfloat16: bool = True) -> Choice:
    """The tier for a GPU with so many bytes in all (None: there is none), and why. `bfloat16`: does the processor, or
    the GPU, compute in it?"""
    if gpu_bytes is None:
        tier = TIERS[0]
        how = "in bfloat16" if bfloat16 else "in float32, since this processor has no instructions for bfloat16"
        return Choice(tier, f"no GPU, so the smallest model, {tier.model}, {how}; {_works(tier)}")
    fitting = [tier for tier in TIERS[1:] if tier.gib * 0.94 * GIB <= gpu_bytes]  # a card of 8 GB shows 7.6
    if not fitting:
        tier = TIERS[0]
        return Choice(tier, f"the GPU has {gpu_bytes / GIB:.1f} GiB, less than the least tier asks: {tier.model}")
    tier = fitting[-1]
    packed = "its weights in 4 bits (NF4)" if tier.dtype == "nf4" else "its weights in bfloat16"
    takes = f"{tier.needs / GIB:.1f} of {gpu_bytes / GIB:.1f} GiB by the arithmetic, {tier.measured}"
    return Choice(tier, f"{tier.model} with {packed}; {_works(tier)} take {takes}")


def _works(tier: Tier) -> str:
    return f"{tier.batch} pairs of {tier.length} tokens a step"


def here() -> Choice:
    """The tier of this machine."""
    import torch

    if torch.cuda.is_available():
        return choose(torch.cuda.mem_get_info()[1])
    from labkit.models import cpu_computes_bfloat16

    return choose(None, cpu_computes_bfloat16())


def page() -> str:
    """The table as Markdown, as docs/scale.md has it."""
    lines = ["| memory | model | weights | pairs a step | tokens a pair | method | needs | state |", "|---" * 8 + "|"]
    for tier in TIERS:
        needs = f"{tier.needs / GIB:.1f} GiB"
        cells = (tier.name, tier.model, tier.dtype, tier.batch, tier.length, tier.method, needs, tier.measured)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
