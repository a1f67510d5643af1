"""The most memory that loading, tuning or decoding really takes: each in a process of its own, on random tokens.

Values don't matter to memory, lengths do: so the pairs are random tokens of exactly the length that is asked for, and
no answer ends early. What `footprint` predicts is compared with this; figures are kept in the kit's home, by model,
stage and setting, and shown by `labkit fit` from then on. How memory is counted is `meters`.
"""

import json
import os
import platform
import random
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

from labkit.errors import LabkitError
from labkit.home import MEASURING, home, workbench, write_atomically

STAGES = ("load", "tune", "decode")
TUNED = "tuned"  # the stage of a figure that a real tuning left
_STEPS = 3  # of tuning: the last has the optimizer's state and two checkpoints beside it


@dataclass(frozen=True)
class Case:
    """What is measured: a stage of a model, and how. `dtype`: bf16, fp32 or nf4; `batch`: pairs of a step, or rows
    decoded at once; `length`: tokens of a pair, prompt and answer together."""

    model: str
    stage: str
    dtype: str
    method: str = ""  # of tuning: instruction, memory or mome
    length: int = 0
    batch: int = 0

    def key(self) -> str:
        return " ".join(str(value) for value in asdict(self).values() if value)


def measured(case: Case) -> dict | None:
    """What was measured of such a case on this machine before, if it was: its record."""
    return _kept().get(case.key())


def measure(case: Case, folder: Path, seconds: float = 1800) -> dict:
    """The case, done for real in a new process: {"peak": bytes, "imports": bytes of it that the packages take, ...}.

    `folder`: of the model, with its weights. The figure is remembered. LabkitError where the process ends without one.
    """
    call = [sys.executable, "-m", "labkit.measuring", json.dumps(asdict(case) | {"folder": str(folder)})]
    try:
        done = subprocess.run(
            call, capture_output=True, text=True, timeout=seconds, env=os.environ | {"CI": "1", "HF_HUB_OFFLINE": "1"}
        )
    except subprocess.TimeoutExpired as error:
        raise LabkitError(
            f"{case.key()} was not done after {seconds:.0f} s. Take a smaller length or batch."
        ) from error
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise LabkitError(f"{case.key()} was not measured: {said}")
    return remember(case, json.loads(lines[-1]))


def remember(case: Case, record: dict) -> dict:
    """Keep a measured record in the kit's home."""
    record = record | {"date": date.today().isoformat(), "processor": platform.processor() or platform.machine()}
    write_atomically(_file(), json.dumps(_kept() | {case.key(): record}, indent=1))
    return record


def remember_tuning(model: str, card) -> None:
    """Keep the peak of a real tuning, as its card tells it, for `labkit fit` to show; under the name that the user
    calls the model by.

    For a process that did nothing else before it, as `labkit tune`: on a CPU the peak is of all that the process
    holds, and in a notebook that is more than the tuning. Nothing is kept where several processes shared the batches,
    or of a card that doesn't say what it takes to predict the same tuning.
    """
    made, recipe = card.made, card.recipe
    wide = {"bfloat16": "bf16", "float32": "fp32"}.get(made.get("dtype"))
    dtype = "nf4" if card.four_bit else wide
    if not dtype or not made.get("peak_memory") or not made.get("longest") or int(os.environ.get("WORLD_SIZE", 1)) > 1:
        return
    case = Case(str(model), TUNED, dtype, card.method, made["longest"], recipe["batch_size"])
    beside = {"rank": recipe["rank"], "layers": recipe["layers"], "cuda": str(made.get("device")).startswith("cuda")}
    remember(case, {"peak": made["peak_memory"], "case": asdict(case)} | beside)


def tunings(model: str, method: str) -> list[dict]:
    """What `remember_tuning` kept of this model and method, the newest last; each record's "case" as a Case."""
    found = [record | {"case": Case(**record["case"])} for record in _kept().values() if "case" in record]
    return [record for record in found if record["case"].model == model and record["case"].method == method]


def _file() -> Path:
    return home() / "measured.json"


def _kept() -> dict:
    try:
        return json.loads(_file().read_text())
    except (OSError, ValueError):
        return {}


# --- in the new process -----------------------------------------------------------------------------------------------


def run(case: Case, folder: Path) -> dict:
    """Do it here; memory above that of a process that has imported everything is the model's."""
    import torch

    from labkit import meters
    from labkit.allocator import give_back
    from labkit.models import load_model

    give_back()
    _import_all(folder, case.dtype == "nf4")
    imports = meters.held()
    cuda = torch.cuda.is_available()
    wide = "float32" if case.dtype == "fp32" or (case.dtype == "nf4" and not cuda) else "bfloat16"
    with meters.cuda_peak("cuda") if cuda else meters.process_peak() as peak:
        model = load_model(folder, dtype=wide, four_bit=case.dtype == "nf4")
        if case.stage == "tune":
            _tune(model, case)
        elif case.stage == "decode":
            _decode(model, case)
    mapped = 0 if cuda else meters.mapped_weights(model.network)
    return {"peak": peak() + mapped, "imports": 0 if cuda else imports, "mapped": mapped}


def _import_all(folder: Path, four_bit: bool) -> None:
    """What the first model of a process brings with it, whichever model that is."""
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer  # noqa: F401

    import labkit.decoding
    import labkit.tuning  # noqa: F401
    from labkit.upstream import no_hub_kernels

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    AutoModelForCausalLM._model_mapping[type(config)]  # the architecture's module
    transformers.PreTrainedTokenizerFast  # noqa: B018
    if four_bit:
        with no_hub_kernels():
            import bitsandbytes  # noqa: F401


def _texts(vocabulary: int, rows: int, length: int) -> list[tuple[int, ...]]:
    """Rows of random tokens; no two begin alike, so that nothing is shared."""
    rng = random.Random(0)
    return [(100 + row, *(rng.randrange(100, vocabulary) for _ in range(length - 1))) for row in range(rows)]


def _tune(model, case: Case) -> None:
    from labkit.footprint import answer_tokens

    own = answer_tokens(case.length)
    rows = max(2 * case.batch, min(32, 4096 // case.length))  # as many as a pass over the frozen layers takes
    texts = _texts(model.network.config.vocab_size, rows, case.length)
    with workbench(home(), MEASURING) as folder:
        if case.method == "mome":
            return _remember(model, texts, own)
        _train(model, case, [(text[:-own], text[-own:]) for text in texts], folder)


def _remember(model, texts, own: int) -> None:
    from labkit.tuning import mome
    from labkit.tuning.bank import Bank

    mome.add(Bank(model), [mome.Fact(str(i), (text[:-own],), text[-own:]) for i, text in enumerate(texts)])


def _train(model, case: Case, pairs, folder: Path) -> None:
    """As `tune` does it, but for few steps: frozen layers, steps, checkpoints, the check of all pairs at the end."""
    from labkit.tuning.checkpoint import Checkpoint
    from labkit.tuning.examples import Example
    from labkit.tuning.instruction import Passes
    from labkit.tuning.packed import packed_attention
    from labkit.tuning.ranks import Ranks
    from labkit.tuning.recipes import default_recipe
    from labkit.tuning.train import Trainer, train

    examples = [Example(str(i), asked, answer) for i, (asked, answer) in enumerate(pairs)]
    recipe = replace(default_recipe(case.method, model), batch_size=case.batch)
    trainer = Trainer(model, examples, recipe, 0, Ranks())
    with packed_attention(model.network):
        trainer.trunk.keep(folder / "trunk", "random", progress=False)
    plan = Passes(examples[: case.batch * _STEPS], recipe, 0)
    train(trainer, plan, Checkpoint(folder / "checkpoint.pt", {}, Ranks(), every=0.0), progress=False)
    with packed_attention(model.network):
        trainer.check(range(len(examples)))


def _decode(model, case: Case) -> None:
    import torch

    from labkit import decoding
    from labkit.footprint import answer_tokens
    from labkit.kvcache import Prefix, shared_prefix_attention

    new = answer_tokens(case.length)
    texts = _texts(model.network.config.vocab_size, case.batch, case.length - new)
    settings = decoding._Settings(new, 0.0, 0, 1.0, None, frozenset())
    rows = [decoding._Row(i, text, None, []) for i, text in enumerate(texts)]
    with torch.inference_mode(), shared_prefix_attention(model.network), decoding.tqdm(disable=True) as bar:
        for batch in decoding._batches(rows, case.batch, model.network, 0, new):
            decoding._decode(model, batch, Prefix(), settings, bar)


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    where = Path(asked.pop("folder"))
    print(json.dumps(run(Case(**asked), where)))
