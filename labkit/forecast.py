"""`labkit fit`: what loading, tuning and decoding a model will take here, and what they took when they were measured.

It joins `shapes`, `footprint` and `measuring`, and computes nothing itself.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from labkit import footprint
from labkit.errors import LabkitError
from labkit.fitting import cpu_dtype, free_memory
from labkit.footprint import Need, Setting
from labkit.measuring import STAGES, Case, measure, measured, tunings
from labkit.shapes import read_shape

BATCH = {"instruction": 4, "memory": 8, "mome": 64}  # pairs a step where nobody says (`tuning.recipes`, `tuning.mome`)
ROWS = 16  # decoded at once (`evaluation`)


@dataclass(frozen=True)
class Line:
    """A stage: bytes predicted, by part, and measured (None: not yet); `free` bytes here, for all of them."""

    stage: str
    setting: str
    predicted: float
    parts: dict[str, float]
    measured: float | None
    imports: float | None  # of the measured bytes, what the process takes with nothing loaded
    free: int

    @property
    def fits(self) -> bool:
        return (self.measured or self.predicted) <= self.free

    @property
    def error(self) -> float | None:
        """By how much the prediction is off, as a share of the measured bytes."""
        return None if self.measured is None else self.predicted / self.measured - 1

    @property
    def shown(self) -> str:
        return "not measured" if self.measured is None else f"{self.measured / 1e6:,.0f} ({self.error:+.0%})"

    @property
    def parts_text(self) -> str:
        return ", ".join(f"{name} {size / 1e6:,.0f}" for name, size in self.parts.items() if size >= 5e5)

    @property
    def free_text(self) -> str:
        return f"Free here: {self.free / 1e6:,.0f} MB. `labkit fit MODEL --measure` does it and shows the peak beside."

    def to_json(self) -> dict:
        return asdict(self) | {"fits": self.fits, "error": self.error}


def forecast(
    model: str | Path,
    method: str = "instruction",
    length: int = 512,
    batch: int | None = None,
    dtype: str | None = None,
    really: bool = False,
) -> list[Line]:
    """A line for each stage. `dtype`: bf16, fp32 or nf4, by default what this machine computes in; `batch`: pairs a
    step and rows decoded, by default what the method and evaluation take. `really`: load, tune and decode, each in a
    new process, and keep the peaks; without it peaks that were kept before are shown. Behind them a line for each
    tuning that `labkit tune` did of this model. LabkitError for a model whose
    shape can't be read, a setting that means nothing, or a process that ends without a figure."""
    import torch

    cuda = torch.cuda.is_available()
    dtype = dtype or ("bf16" if cuda or cpu_dtype() == "bfloat16" else "fp32")
    if method not in BATCH:
        raise LabkitError(f"There is no method {method!r}; memory is predicted for {', '.join(BATCH)}.")
    shape = read_shape(model)
    folder = _folder(model) if really else None
    free = torch.cuda.mem_get_info()[0] if cuda else free_memory()[0]
    lines = []
    for stage in STAGES:
        setting = Setting(dtype, length, batch or (BATCH[method] if stage == "tune" else ROWS), method, cuda=cuda)
        case = case_of(str(model), stage, setting)
        found = measure(case, folder) if folder else measured(case)
        need: Need = footprint.STAGES[stage](shape, setting)
        peak = found and found["peak"]
        lines.append(Line(stage, said(case), need.total, need.parts, peak, found and found["imports"], free))
    return [*lines, *_tunings(str(model), shape, method, cuda, free)]


def _tunings(model: str, shape, method: str, cuda: bool, free: int) -> list[Line]:
    """A line for each real tuning that left its peak: predicted for as many pairs, all as long as its longest."""
    lines = []
    for kept in tunings(model, method):
        case = kept["case"]
        if kept["cuda"] == cuda:
            setting = Setting(case.dtype, case.length, case.batch, method, kept["rank"], kept["layers"], cuda)
            need = footprint.STAGES["tune"](shape, setting)
            text = f"{said(case)}, {kept['date']}"
            lines.append(Line(case.stage, text, need.total, need.parts, kept["peak"], None, free))
    return lines


def case_of(model: str, stage: str, setting: Setting) -> Case:
    """The measurable case of a stage: loading has no length, decoding no method."""
    if stage == "load":
        return Case(model, stage, setting.dtype)
    method = setting.method if stage == "tune" else ""
    return Case(model, stage, setting.dtype, method, setting.length, setting.batch)


def said(case: Case) -> str:
    """A case in words."""
    work = f"{case.method} {case.batch} x {case.length} tokens".strip() if case.batch else ""
    return f"{case.dtype} {work}".strip()


def _folder(model: str | Path) -> Path:
    from labkit.fetching import fetch_model

    return fetch_model(model)
