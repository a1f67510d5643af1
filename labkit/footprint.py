"""How much memory a model takes, from its shape alone: bytes to load it, to tune it, to decode with it.

Everything here is arithmetic on a `Shape`. Each part of the sum has a name, so that one sees what grows with what; what
the sum cannot know is measured once and named with its source (`PROCESS`, `TOKENIZER`). How well it holds is measured
by `measuring` and stands in EXPERIMENTS.md. Nothing is loaded here; where shapes come from is `shapes`.
"""

from dataclasses import dataclass

from labkit.errors import LabkitError
from labkit.shapes import Shape

METHODS = ("instruction", "memory", "mome")
DTYPES = {"bf16": 2, "fp32": 4, "nf4": 4}  # bytes of what is computed with; of NF4 on a CPU, see `Setting`
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)  # bytes a weight: 4 bits, a byte a block of 64, a float a block of those
# (Dettmers et al. 2023, "QLoRA", section 3)
# A process that has imported torch (its CPU build; one for CUDA takes some 300 MB more), transformers, PEFT and the
# kit, nothing loaded: EXPERIMENTS.md, 2026-11-29.
PROCESS = 337e6
TOKENIZER = 650  # bytes an entry of the vocabulary, of a fast tokenizer with its merges: the same place
SHARE = 4  # an answer is a fourth of a pair
_FACTS = 64  # facts that memory experts learn at a time (`tuning.mome.ROWS`)
_LOSS_ROWS = 256  # positions that meet the output layer at a time (`tuning.loss.ROWS`)
_ROWS, _TOKENS = 32, 4096  # of a pass over frozen layers, and of a check (`tuning.trunk`)
_PASS = 512  # prompt tokens in a pass of decoding (`kvcache.PASS`)


def answer_tokens(length: int) -> int:
    """Of a pair of `length` tokens, how many are taken to be the answer."""
    return max(1, length // SHARE)


@dataclass(frozen=True)
class Setting:
    """How a model is used. `length`: tokens of a pair; `batch`: pairs of a step, or rows decoded at once; `rank` of the
    LoRA matrices; `layers`: how many of the upper ones get them. `dtype`: bf16, fp32 or nf4, which computes in
    `compute` (fp32 by default on a CPU, bf16 on a GPU)."""

    dtype: str = "bf16"
    length: int = 512
    batch: int = 4
    method: str = "instruction"
    rank: int = 16
    layers: int | None = None
    cuda: bool = False

    def __post_init__(self):
        if self.dtype not in DTYPES:
            raise LabkitError(f"dtype is {self.dtype!r}; it must be one of {', '.join(DTYPES)}.")
        if self.method not in METHODS:
            raise LabkitError(f"There is no method {self.method!r}; memory is predicted for {', '.join(METHODS)}.")
        if min(self.length, self.batch) < 1:
            raise LabkitError(f"length is {self.length} and batch {self.batch}; both must be 1 or more.")

    @property
    def size(self) -> int:
        """Bytes of a number that is computed with."""
        return 2 if self.dtype == "bf16" or (self.dtype == "nf4" and self.cuda) else 4

    @property
    def manual(self) -> bool:
        """Does attention keep its scores? In bfloat16 on a CPU only (`tuning.packed`)."""
        return self.size == 2 and not self.cuda


@dataclass(frozen=True)
class Need:
    """Bytes by what takes them; `total` is their sum."""

    parts: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.parts.values())

    def __add__(self, other: "Need") -> "Need":
        return Need(self.parts | {k: self.parts.get(k, 0) + v for k, v in other.parts.items()})


def load(shape: Shape, setting: Setting) -> Need:
    """Weights, the tokenizer, and what any process takes."""
    packed = shape.linear * NF4 if setting.dtype == "nf4" else shape.linear * setting.size
    rest = (shape.parameters - shape.linear) * setting.size
    here = {} if setting.cuda else {"process": PROCESS, "tokenizer": TOKENIZER * shape.vocabulary}
    return Need(here | {"weights": packed + rest})


def decode(shape: Shape, setting: Setting) -> Need:
    """Loading, and beside it keys and values of all rows, the last position's logits, and one pass over prompts."""
    columns, size = setting.length, setting.size
    cache = 2 * shape.layers * shape.kv_width * size * setting.batch * columns
    once = 2 * shape.kv_width * size * setting.batch * columns  # a layer's, copied where a row ends
    rows = min(setting.batch, _PASS)
    tokens = max(min(_PASS, setting.batch * columns), rows)
    scores = 3 * tokens * shape.heads * columns * size  # as products, hidden ones masked, as probabilities
    inner = 3 * tokens * shape.inner * size
    logits = setting.batch * shape.vocabulary * size
    return load(shape, setting) + Need({"cache": cache, "logits": logits, "one layer": once + max(scores, inner)})


def tune(shape: Shape, setting: Setting) -> Need:
    """The most of: the way forward and the loss of a step; its gradients; a checkpoint being written; the check of all
    pairs, which keeps nothing for a way back. Memory experts know only passes of the last kind."""
    if setting.method == "mome":
        return load(shape, setting) + _check(shape, setting, _FACTS)
    adapters = lora(shape, setting)
    tokens = setting.batch * setting.length
    kept = tokens * tuned_layers(shape, setting) * activations(shape, setting)
    moments = (
        Need({"activations": kept, "logits": _loss(shape, setting, setting.batch)}),
        Need({"gradients": 4 * adapters}),
        Need({"a third checkpoint": 12 * adapters, "its file": 12 * adapters}),
        _check(shape, setting, max(1, min(max(_ROWS, setting.batch), _TOKENS // setting.length))),
    )
    still = Need({"adapters": 4 * adapters, "optimizer": 8 * adapters, "two checkpoints": 24 * adapters})
    return load(shape, setting) + still + max(moments, key=lambda need: need.total)


def _check(shape: Shape, setting: Setting, rows: int) -> Need:
    states = rows * setting.length * shape.hidden * setting.size
    return Need(
        {"states": states, "one layer or logits": max(_pass(shape, setting, rows), _loss(shape, setting, rows))}
    )


def tuned_layers(shape: Shape, setting: Setting) -> int:
    """How many layers get adapters: all by instruction tuning, the upper third by memory tuning (`tuning.recipes`)."""
    usual = max(1, shape.layers // 3) if setting.method == "memory" else shape.layers
    return min(shape.layers, setting.layers or usual)


def lora(shape: Shape, setting: Setting) -> int:
    """Numbers in the LoRA matrices: rank times the widths on both sides of each linear layer."""
    attention = 2 * (shape.hidden + shape.q_width) + 2 * (shape.hidden + shape.kv_width)
    return setting.rank * tuned_layers(shape, setting) * (attention + 3 * (shape.hidden + shape.inner))


def activations(shape: Shape, setting: Setting) -> float:
    """Bytes that one token leaves in one tuned layer for the way back, counted tensor by tensor.

    Two norms keep their input in float32; the two normed inputs, query, key and value (each key/value head once for
    every query head that shares it), attention's output; the feed-forward block keeps gate, its activation, up, and
    their product. LoRA keeps one number a rank for each of seven layers. Attention in bfloat16 on a CPU keeps the
    probabilities of all columns as well, in float32 and in bfloat16; the fused one its output a second time.
    (tests/test_footprint.py holds this against what autograd saves.)
    """
    size, wide = setting.size, shape.q_width
    norms = 2 * 4 * shape.hidden + 2 * size * shape.hidden
    attended = shape.heads * setting.length * (4 + size) if setting.manual else size * wide
    return norms + 4 * size * wide + attended + 4 * size * shape.inner + 7 * size * setting.rank


def _loss(shape: Shape, setting: Setting, rows: int) -> float:
    """Logits of as many answer positions as are computed at a time, and what softmax makes of them (`tuning.loss`)."""
    positions = min(_LOSS_ROWS, rows * answer_tokens(setting.length))
    return positions * shape.vocabulary * (4 + 4 + (2 if setting.size == 2 else 0))


def _pass(shape: Shape, setting: Setting, rows: int) -> float:
    """The most that a layer has in memory in a pass that keeps nothing: its attention or its feed-forward block."""
    tokens, size = rows * setting.length, setting.size
    scores = shape.heads * setting.length * (4 + 4 + 2) if setting.manual else 0
    attention = tokens * (scores + size * (4 * shape.q_width + 2 * shape.hidden))
    return max(attention, tokens * size * (3 * shape.inner + 2 * shape.hidden))


STAGES = {"load": load, "tune": tune, "decode": decode}
