"""Ready adapters: what a learner takes who chooses to skip the wait of a tuning (`REPLAY = True` in a lab).

`make artifacts` makes each by the lab's own recipe, on the real model. A lab's adapter goes on from the starter, which
the package holds already; so only what the tuning added is kept, cut to its largest directions, a twentieth of the
size. `play` puts both side by side again. Nothing here passes for the learner's own work: what is shown begins with
the label, the adapter's folder is called `HASH-DATE-replayed`, and other weights than those it was made on are refused.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from labkit.dataset import QuestionSet, load_questions
from labkit.errors import LabkitError
from labkit.home import write_atomically
from labkit.tuning import Tuned, starters
from labkit.tuning import adapter as folders
from labkit.tuning.adapter import CARD, CONFIG, PAIRS, WEIGHTS, Card
from labkit.tuning.lora import LoRA
from labkit.tuning.plans import Seen

STEPS = "steps.jsonl"  # what the training view saw
RANK = 6  # directions kept of what a tuning added to each matrix
KEPT = torch.float8_e5m2  # its number format on disk: what 8 bits lose is less than one direction more would bring
HOME = Path(__file__).parent / "ready"
_A, _B = ".lora_A.weight", ".lora_B.weight"
_TUNE = "Set REPLAY = False: the lab then tunes here, on your model."


@dataclass(frozen=True)
class Ready:
    """One ready adapter, fit for the model that it was asked for. `pairs`: what it was tuned on; `begun`: the starter
    that it goes on from, None where that was the bare model."""

    folder: Path
    card: Card
    pairs: QuestionSet
    begun: Path | None

    @property
    def name(self) -> str:
        """What its folder is called wherever a run names the adapter: in `labkit progress`, on the certificate."""
        return f"{self.card.made['adapter_sha256'][:8]}-{self.card.made['date']}-replayed"

    def __str__(self) -> str:
        card = self.card
        return (
            f"REPLAYED, not tuned here: {card.base} (weights {card.base_sha256[:12]}), prompt {card.prompt}; adapter "
            f"{card.made['adapter_sha256'][:12]}, made {card.made['date']} from {card.pairs} pairs in "
            f"{card.seconds:.0f} s of another machine"
        )

    def play(self, into: str | Path, watch: Callable[[Seen], bool | None] | None = None) -> Tuned:
        """Write the whole adapter into a folder of its name under `into`, and show `watch` the recorded steps: what
        `tune` would have returned, at once."""
        out = Path(into) / self.name
        factors = beside(load_file(self.begun / WEIGHTS) if self.begun else {}, load_file(self.folder / WEIGHTS))
        kept = folders.read_config(self.folder)
        rank = kept.rank + (folders.read_config(self.begun).rank if self.begun else 0)
        whole = replace(kept, rank=rank, alpha=kept.alpha / kept.rank * rank)
        write_atomically(out / WEIGHTS, save(factors, metadata={"format": "pt"}))
        for name in (CARD, PAIRS):
            write_atomically(out / name, (self.folder / name).read_bytes())
        write_atomically(out / CONFIG, json.dumps(folders.peft_config(whole, self.card), indent=1) + "\n")
        for line in (self.folder / STEPS).read_text("utf-8").splitlines() if watch else ():
            watch(Seen(**json.loads(line)))
        card = self.card
        return Tuned(out, card.method, card.seconds, card.tokens, card.pairs, card.recalled, card.of)


def ready(lab: str, model, among: Path | None = None) -> Ready:
    """The ready adapter of a lab, as in "lab05" or "lab09-first", of those in the folder `among` (default: the
    package's). LabkitError when there is none, when it was made on other weights than `model`'s or over another
    starter, or when its file is not the one that its label names."""
    folder = (among or HOME) / lab
    card = folders.read_card(folder)
    if card is None:
        raise LabkitError(f"The kit carries no ready adapter for {lab}. {_TUNE}")
    if card.base_sha256 != model.sha256:
        raise LabkitError(
            f"The ready adapter of {lab} was made on {card.base} with the hash {card.base_sha256[:12]}; your model is "
            f"{model.name} with {model.sha256[:12]}. {_TUNE}"
        )
    if folders.sha256(folder) != card.made["adapter_sha256"]:
        raise LabkitError(f"The ready adapter of {lab} is not the file that its label names. Install the kit again.")
    begun = starters.starter(model) if card.made["starter_sha256"] else None
    if begun and folders.sha256(begun) != card.made["starter_sha256"]:
        raise LabkitError(
            f"The ready adapter of {lab} was made over another starter than the kit's of now. {_TUNE} In a clone of "
            f"the kit `make artifacts ARTIFACTS_ARGS={lab.split('-')[0]}` makes it anew."
        )
    return Ready(folder, card, load_questions(folder / PAIRS), begun)


def pack(tuned: Path, begun: Path | None, steps: list[Seen], out: Path, rank: int = RANK) -> Card:
    """Write to `out` what the adapter in `tuned` added to the starter in `begun` (None: to nothing), cut to `rank`
    directions a matrix, its pairs and its steps; returns the card, which names both files by their hash."""
    before = load_file(begun / WEIGHTS) if begun else {}
    factors = added(load_file(tuned / WEIGHTS), before, rank)
    lora, card = folders.read_config(tuned), folders.read_card(tuned)
    write_atomically(out / WEIGHTS, save(factors, metadata={"format": "pt"}))
    write_atomically(out / PAIRS, (tuned / PAIRS).read_bytes())
    write_atomically(out / STEPS, "".join(json.dumps(asdict(_rounded(step))) + "\n" for step in steps))
    hashes = {"adapter_sha256": folders.sha256(out), "starter_sha256": begun and folders.sha256(begun)}
    began = card.continued_from and Path(card.continued_from).name  # a name: the folder was another machine's
    card = replace(card, made=card.made | hashes | {"kept_rank": rank}, continued_from=began)
    cut = LoRA(lora.layers, rank, lora.alpha / lora.rank * rank, lora.targets)
    write_atomically(out / CONFIG, json.dumps(folders.peft_config(cut, card), indent=1) + "\n")
    return label(out, card)


def label(folder: Path, card: Card) -> Card:
    """Write the card of a ready adapter."""
    write_atomically(folder / CARD, json.dumps(asdict(card), indent=1) + "\n")
    return card


def added(after: dict, before: dict, rank: int) -> dict:
    """Factors of B A - B0 A0, cut to its `rank` largest directions (singular values), in 8 bits."""
    factors = {}
    for name in (key.removesuffix(_A) for key in sorted(after) if key.endswith(_A)):
        change = after[name + _B].float() @ after[name + _A].float()
        if before:
            change -= before[name + _B].float() @ before[name + _A].float()
        left, sizes, right = torch.linalg.svd(change, full_matrices=False)
        root = sizes[:rank].sqrt()
        factors[name + _A] = (root[:, None] * right[:rank]).to(KEPT).contiguous()
        factors[name + _B] = (left[:, :rank] * root).to(KEPT).contiguous()
    return factors


def beside(before: dict, more: dict) -> dict:
    """One adapter that does what both do, in bfloat16: A below A, B beside B. Both have the same scale alpha / r, which
    stays; without `before` it does what `more` does."""
    joined = {}
    for name, factor in more.items():
        parts = [part.bfloat16() for part in (before.get(name), factor) if part is not None]
        joined[name] = torch.cat(parts, 0 if name.endswith(_A) else 1).contiguous()
    return joined


def _rounded(step: Seen) -> Seen:
    losses = {name: round(loss, 3) for name, loss in step.losses.items()}
    return replace(step, seconds=round(step.seconds, 1), losses=losses)
