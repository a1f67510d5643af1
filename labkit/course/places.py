"""Where a lab stands: its data, its model and seed, how long its cells may take, and recorded runs to open.

Labs are opened from my-labs/, notebooks/ or solutions/, or run by a test: data is found from wherever that is. Nothing
is downloaded here, and no model is loaded.
"""

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import labkit
from labkit.course.workspace import course_root
from labkit.dataset import QuestionSet
from labkit.errors import LabkitError
from labkit.tiers import here

DEFAULT_MODEL = "smollm2-135m"
AUTO = "auto"  # for `setup`: the model of this machine's tier
LEAGUE = "league"  # the course's first database
RECORDED = "recorded"  # the device of a run whose answers were not generated here
PACKAGES = ("torch", "transformers", "apsw", "sqlglot", "ipywidgets")


@dataclass(frozen=True)
class Setting:
    """One lab session: the model's name, the seed, the profile ("full" or "ci") and what it runs on."""

    model: str
    seed: int
    profile: str
    device: str
    tier: str = ""  # what this machine is fit for, and why (`tiers`)
    versions: dict[str, str] = field(default_factory=dict)
    four_bit: bool = False  # how the model's weights are to be held, for `load_model`
    batch: int = 4  # pairs a step, for `tune(batch_size=...)`
    chosen: str = ""  # why this model, where the machine decided

    @property
    def max_new_tokens(self) -> int:
        """Tokens that a reply may have; few in the short profile."""
        return 12 if self.profile == "ci" else 160

    def __str__(self) -> str:
        packages = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        short = "\nLABKIT_PROFILE=ci: long cells are shortened." if self.profile == "ci" else ""
        tier = f"\nthis machine: {self.tier}" if self.tier else ""
        how = f" ({self.chosen})" if self.chosen else ""
        return f"model {self.model}{how}, seed {self.seed}, device {self.device}\n{packages}{tier}{short}"

    __repr__ = __str__


def setup(model: str = "", seed: int = 0) -> Setting:
    """Choose the model and the seed of this notebook. `model` is a known name, a hub id, a folder or a GGUF file.

    Without `model` the environment variable LABKIT_MODEL decides, else the default model is taken, on every machine:
    the labs' expected bands are measured on it. What this machine has room for stands in `tier`, with the reason.
    "auto" takes that tier's model and says so: `load_model(setting.model, four_bit=setting.four_bit)` holds its weights
    as the tier does, `tune(..., batch_size=setting.batch)` takes as many pairs a step.
    """
    fit = here()
    name = model or os.environ.get("LABKIT_MODEL") or DEFAULT_MODEL
    versions = {"labkit": labkit.__version__, "Python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            raise LabkitError(f"The package {package} is missing. In the kit's folder, run: make env") from None
    if name != AUTO:
        return Setting(name, seed, profile(), _device(), str(fit), versions)
    tier = fit.tier
    how = f"of this machine's tier; pairs a step: {tier.batch}" + "; weights in 4 bits" * (tier.dtype == "nf4")
    more = (tier.dtype == "nf4", tier.batch, how)
    return Setting(tier.model, seed, profile(), _device(), str(fit), versions, *more)


def profile() -> str:
    """ "ci" when LABKIT_PROFILE says so, else "full"."""
    return "ci" if os.environ.get("LABKIT_PROFILE", "").strip().lower() == "ci" else "full"


def shorter(full, ci):
    """`full`, or `ci` under LABKIT_PROFILE=ci: the number that makes a long cell short."""
    return ci if profile() == "ci" else full


def datasets() -> Path:
    """The course's datasets folder, found from the working folder upwards, else beside the package."""
    return course_root() / "datasets"


def league() -> Path:
    """The SQLite file of the fictional basketball league."""
    return datasets() / "league" / "league.sqlite"


@dataclass(frozen=True)
class Recording:
    """Answers that a model gave once, kept in a file: {id, prediction} lines after a header line.

    A recording is a generator for `labkit.evaluate` like a live model: it is scored anew, only not generated anew.
    Questions without a recorded answer get an empty one, which is wrong. `sha256` is of the base's weights,
    `adapter_sha256` of the adapter's: "" without one, "unknown" where the recording did not keep it.
    """

    model: str
    sha256: str
    prompt: str
    date: str
    predictions: dict[str, str]
    path: Path
    adapter_sha256: str = ""
    prompt_tokens: float | None = None  # a question, where it was counted

    def __call__(self, questions) -> list[str]:
        return [self.predictions.get(question.id, "") for question in questions]

    def describe(self) -> dict:
        """What the run store keeps: the model and its hash, the prompt, and that nothing was generated."""
        label = f"{self.model} (recorded {self.date})"
        answers = hashlib.sha256(json.dumps(self.predictions, sort_keys=True).encode()).hexdigest()
        said = {"model": label, "sha256": self.sha256, "prompt": self.prompt, "answers": answers, "device": RECORDED}
        return said | ({"adapter_sha256": self.adapter_sha256} if self.adapter_sha256 else {})

    def answered(self, sets: Sequence[QuestionSet]) -> QuestionSet:
        """Of `sets`, the one with the most questions that this recording answers, cut to those."""
        kept = [(s, tuple(q for q in s if q.id in self.predictions)) for s in sets]
        best, questions = max(kept, key=lambda pair: len(pair[1]))
        if not questions:
            raise LabkitError(f"{self.path} answers no question of {', '.join(s.name for s in sets)}.")
        return replace(best, questions=questions)

    def __str__(self) -> str:
        weights = f"weights {self.sha256[:12]}" + (f", adapter {self.adapter_sha256[:12]}" * bool(self.adapter_sha256))
        return f"{self.model} ({weights}), recorded {self.date}, prompt {self.prompt}, {len(self.predictions)} answers"

    __repr__ = __str__


def recorded_runs(folder: str | Path | None = None) -> list[Recording]:
    """The recordings of a folder (default: the league's runs/), by file name; an empty list when there are none."""
    folder = Path(folder) if folder else datasets() / "league" / "runs"
    return [read_recording(path) for path in sorted(folder.glob("*.jsonl"))]


def read_recording(path: str | Path) -> Recording:
    """Read one recording. LabkitError names the file and line of what is wrong."""
    path, header, predictions = Path(path), None, {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            if header is None:
                header = {key: str(entry[key]) for key in ("model", "sha256", "prompt", "date")}
                header["adapter_sha256"] = str(entry.get("adapter_sha256") or "")
                tokens = entry.get("prompt_tokens")
                header["prompt_tokens"] = None if tokens is None else float(tokens)
            else:
                predictions[str(entry["id"])] = str(entry["prediction"])
        except (ValueError, KeyError, TypeError) as error:
            wanted = "id and prediction" if header else "model, sha256, prompt and date"
            raise LabkitError(f"{path}, line {number}: not a JSON object with {wanted} ({error}).") from None
    if header is None:
        raise LabkitError(f"{path} is empty. Its first line should name model, sha256, prompt and date.")
    return Recording(**header, predictions=predictions, path=path)


def _device() -> str:
    """What torch would compute on, with its name and threads."""
    import torch

    if torch.cuda.is_available():
        return f"cuda ({torch.cuda.get_device_name()})"
    if torch.backends.mps.is_available():
        return "mps (Apple GPU)"
    return f"cpu ({torch.get_num_threads()} threads)"
