"""Tune the sentence encoder on pairs, so that wordings of one query lie close together and near misses apart.

Contrastive (InfoNCE: van den Oord et al. 2018, arXiv 1807.03748, equation 4, over cosines as in Radford et al. 2021,
arXiv 2103.00020, figure 3, both ways): of two wordings of a query each has to find the other among all of the batch. A
batch is drawn of queries with their nearest neighbours before tuning (hard negatives, as Xiong et al. 2021, arXiv
2007.00808, but drawn once). What it is for: a question that was asked before, in other words, is known again
(`reranking`). No language model is tuned here; that is `tune`.
"""

import hashlib
import json
import math
import os
import random
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy
import torch
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from labkit.dataset import Question, QuestionSet
from labkit.encoder import CARD, NAME, Encoder, load_encoder
from labkit.errors import LabkitError
from labkit.home import alone, home, write_atomically
from labkit.notices import notice
from labkit.runs import RunStore
from labkit.sqltext import normalise_sql
from labkit.tuning.adapter import check_free
from labkit.tuning.checkpoint import Checkpoint, stop_requests
from labkit.tuning.ranks import ranks
from labkit.tuning.sources import data_sha256, digest, read_pairs, refuse_overlap
from labkit.upstream import quiet

BATCH, NEIGHBOURS = 32, 8  # queries a step, two wordings each; near ones that may stand beside a query
TEMPERATURE = 0.05  # of the cosines
_TOGETHER = 4  # a query and three near ones


@dataclass(frozen=True)
class TunedEncoder:
    """What tuning came to: `queries` with at least two of the `wordings`; wall-clock `seconds`; the mean `loss` of the
    last steps, in nats."""

    encoder: Path
    seconds: float
    queries: int
    wordings: int
    steps: int
    loss: float
    overlap: dict

    def to_json(self) -> dict:
        return asdict(self) | {"encoder": str(self.encoder)}

    def __str__(self) -> str:
        return (
            f"encoder tuned on {self.wordings:,} wordings of {self.queries:,} queries, {self.steps} steps, "
            f"{self.seconds:.0f} s, loss {self.loss:.3f}; in {self.encoder}"
        )


def tune_encoder(
    pairs: str | Path | QuestionSet | Sequence[str | Path | QuestionSet] | Sequence[Question],
    out: str | Path | None = None,
    *,
    steps: int = 300,
    rate: float = 1e-4,
    avoid: Iterable[str | Path | QuestionSet] = (),
    store: RunStore | None = None,
    seed: int = 0,
    progress: bool = True,
) -> TunedEncoder:
    """Tune the kit's sentence encoder on pairs and write it to the folder `out`: `load_encoder(folder=...)` takes it.

    pairs: as for `tune`; only queries that have two wordings or more teach anything (`generate(..., wordings=4)`).
    steps: of 32 queries each. rate: the highest learning rate (AdamW, one cycle). What is wrong with the arguments is
    said before the encoder is loaded. Stops with a LabkitError where pairs overlap an evaluation set. An interrupted
    call goes on where it was; one that is finished is shown again.
    """
    if steps < 1 or not 0 < rate < math.inf:
        raise LabkitError(f"steps must be 1 or more and rate a number above 0; they are {steps} and {rate}.")
    pairs, databases = read_pairs(pairs)
    overlap = refuse_overlap(pairs, databases, avoid, store)
    groups = _wordings(pairs)
    if len(groups) < 2:
        raise LabkitError(
            f"Of the {len(pairs)} pairs, {len(groups)} queries have two wordings; the encoder learns which wordings "
            "belong together. Give pairs with several wordings a query (labkit generate makes some)."
        )
    identity = {"pairs": data_sha256(pairs), "steps": steps, "rate": rate, "seed": seed, "kind": "encoder"}
    folder = Path(out) if out else home() / "adapters" / f"encoder-{digest(identity)[:12]}"
    if (folder / CARD).is_file():
        return _again(folder, identity)
    check_free(folder)
    unfinished = folder / "unfinished"
    with alone(unfinished):
        trainer = _Trainer(groups, steps, rate, seed)
        checkpoint = Checkpoint(unfinished / "checkpoint.pt", identity, ranks("cpu"))
        _run(trainer, checkpoint, progress)
        seconds, loss = round(checkpoint.seconds, 1), round(float(numpy.mean(trainer.losses[-25:])), 4)
        count = sum(map(len, groups.values()))
        tuned = TunedEncoder(folder, seconds, len(groups), count, steps, loss, overlap)
        _save(trainer.encoder, tuned, identity)
    shutil.rmtree(unfinished, ignore_errors=True)
    return tuned


def _wordings(pairs: Iterable[Question]) -> dict[str, list[str]]:
    """{query: its wordings}, of the queries that have two or more."""
    groups: dict[str, dict[str, None]] = {}
    for pair in pairs:
        if pair.sql:
            groups.setdefault(normalise_sql(pair.sql), {})[pair.question] = None
    return {sql: list(texts) for sql, texts in groups.items() if len(texts) > 1}


class _Trainer:
    """The encoder under training; a step draws its batch from its number alone, so a run goes on as if unbroken."""

    def __init__(self, groups: dict[str, list[str]], steps: int, rate: float, seed: int):
        self.groups, self.total, self.seed = list(groups.values()), steps, seed
        self.encoder = load_encoder()
        first = self.encoder([texts[0] for texts in self.groups])
        self.near = [_nearest(first, i) for i in range(len(first))]
        network = self.encoder.network.requires_grad_(True).train()
        network.embeddings.requires_grad_(False)  # half of all weights, and no pair needs a new word
        self.weights = [weight for weight in network.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(self.weights, lr=rate, weight_decay=0.01)
        rise = 0.11 if steps == 10 else 0.1  # torch divides by (share * steps - 1)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, rate, total_steps=steps, pct_start=rise)
        self.steps, self.losses = 0, []

    def step(self) -> None:
        """One batch forwards and backwards."""
        torch.manual_seed(self.seed * 1_000_003 + self.steps)  # dropout
        both = self._batch(random.Random(f"{self.seed} {self.steps}"))
        left, right = (self.encoder.vectors(texts) for texts in zip(*both, strict=True))
        cosines, own = left @ right.T / TEMPERATURE, torch.arange(len(both))
        loss = (cross_entropy(cosines, own) + cross_entropy(cosines.T, own)) / 2
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.steps += 1
        self.losses.append(loss.item())

    def _batch(self, draw: random.Random) -> list[list[str]]:
        chosen: dict[int, None] = {}
        size = min(BATCH, len(self.groups))
        while len(chosen) < size:
            query = draw.randrange(len(self.groups))
            beside = draw.sample(self.near[query], min(_TOGETHER - 1, len(self.near[query])))
            chosen |= dict.fromkeys((query, *beside))
        return [draw.sample(self.groups[query], 2) for query in list(chosen)[:size]]

    def state(self) -> dict:
        return {
            "weights": self.encoder.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "losses": self.losses,
            "steps": self.steps,
        }

    def restore(self, state: dict) -> None:
        self.encoder.network.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.losses, self.steps = list(state["losses"]), state["steps"]


class _NoPlan:
    """A checkpoint keeps a plan beside the trainer; here the number of the step is all of it."""

    def state(self) -> dict:
        return {}

    def restore(self, state: dict) -> None:
        pass


def _nearest(vectors: numpy.ndarray, i: int) -> list[int]:
    near = vectors @ vectors[i]
    near[i] = -numpy.inf
    return numpy.argsort(-near, kind="stable")[: min(NEIGHBOURS, len(vectors) - 1)].tolist()


def _run(trainer: _Trainer, checkpoint: Checkpoint, progress: bool) -> None:
    plan, quiet = _NoPlan(), not progress or bool(os.environ.get("CI"))
    checkpoint.load(trainer, plan)
    begun = time.monotonic() - checkpoint.seconds
    bar = tqdm(total=trainer.total, initial=trainer.steps, desc="encoder", unit="step", disable=quiet)
    with bar, stop_requests() as request:
        while trainer.steps < trainer.total and not request.asked:
            trainer.step()
            checkpoint.seconds = time.monotonic() - begun
            bar.set_postfix(loss=f"{numpy.mean(trainer.losses[-25:]):.3f}", refresh=False)
            bar.update()
            if checkpoint.due() or request.asked:
                checkpoint.take(trainer, plan)
    trainer.encoder.network.eval().requires_grad_(False)
    if request.asked:
        notice("Stopped. The work is kept: the same call goes on from there.")
        raise KeyboardInterrupt


def _save(encoder: Encoder, tuned: TunedEncoder, identity: dict) -> None:
    """Weights and tokenizer as transformers reads them; the card last, which makes it a tuned encoder."""
    with quiet():
        encoder.network.save_pretrained(tuned.encoder)
        encoder.tokenizer.save_pretrained(tuned.encoder)
    weights = hashlib.sha256((tuned.encoder / "model.safetensors").read_bytes()).hexdigest()
    about = tuned.to_json() | {"identity": identity, "base": NAME, "base_sha256": encoder.sha256, "sha256": weights}
    write_atomically(tuned.encoder / CARD, json.dumps(about, indent=1))


def _again(folder: Path, identity: dict) -> TunedEncoder:
    try:
        about = json.loads((folder / CARD).read_text())
        same = about["identity"] == identity
        told = [about[k] for k in ("seconds", "queries", "wordings", "steps", "loss", "overlap")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabkitError(f"{folder / CARD} is damaged: {error!r}. Name another folder, or remove that one.") from error
    if not same:
        raise LabkitError(f"{folder} holds another encoder, of other pairs or settings. Name another folder.")
    notice(f"{folder} holds the encoder of this same call.")
    return TunedEncoder(folder, *told)
