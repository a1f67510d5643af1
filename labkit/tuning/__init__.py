"""Tuning in one call: `labkit.tune(model, pairs, method=...)` -> an adapter folder.

Read in this order: `sources` (the pairs), `examples` (pairs as tokens), `packed` (a batch as one row), `lora` (the
trainable part), `loss`, `trunk` (the frozen part, computed once), `plans` (what a plan tells the loop), `train` (the
loop), then the two plans, `instruction` and `memory`; `adapter` (folders and cards), `starters`, `ready` (for who skips
a lab's tuning), `checkpoint`, `ranks` (several processes), `merge` (a plain model folder), `export` (a GGUF file).
Memory experts are `selection`, `faiss_selection`, `spelling`, `bank`, `mome`, `mome_files`, `remember`, `joining`.
`climbing` tunes for a ladder. What tuning did elsewhere is `labkit.side_effects`.
"""

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from labkit.agent import Prompt, as_prompt
from labkit.dataset import Question, QuestionSet, save_questions
from labkit.errors import LabkitError
from labkit.home import alone, home, write_atomically
from labkit.meters import model_peak
from labkit.models import DEFAULT, Model, check_loading, load_model, unloaded
from labkit.nearest import NEAREST_PAIRS, NearestPairs
from labkit.notices import notice
from labkit.runs import RunStore
from labkit.tuning import adapter as folders
from labkit.tuning import mome_peft, starters  # noqa: F401 (mome_peft: PEFT learns to read a bank)
from labkit.tuning.adapter import Card
from labkit.tuning.checkpoint import Checkpoint
from labkit.tuning.examples import encode
from labkit.tuning.instruction import Passes
from labkit.tuning.lora import put_back
from labkit.tuning.memory import Mastery
from labkit.tuning.packed import body, packed_attention
from labkit.tuning.plans import Recipe, Seen, recipe_record
from labkit.tuning.ranks import Ranks, own_device, ranks
from labkit.tuning.recipes import METHODS, check_method, default_recipe
from labkit.tuning.sources import data_sha256, digest, old_pairs, read_pairs, refuse_excluded, refuse_overlap, schemas
from labkit.tuning.train import Trainer, train

__all__ = ["METHODS", "Recipe", "Tuned", "default_recipe", "tune"]

_CALL = "call.json"  # in an adapter's folder: what the call was that made it
_CHECKED = 200  # pairs on which recall is counted after instruction tuning; memory tuning counts all


@dataclass(frozen=True)
class Tuned:
    """What `tune` made: the adapter's folder and the figures of its card. `trained`: pairs it learnt from; `recalled`
    of `of` pairs are answered exactly."""

    adapter: Path
    method: str
    seconds: float
    tokens: int
    trained: int
    recalled: int
    of: int

    def to_json(self) -> dict:
        return asdict(self) | {"adapter": str(self.adapter)}

    def __str__(self) -> str:
        speed = self.tokens / max(self.seconds, 1e-9)
        return (
            f"{self.method} tuning of {self.trained:,} pairs: {self.recalled} of {self.of} recalled exactly, "
            f"{self.seconds:.0f} s, {speed:,.0f} tokens/s; adapter in {self.adapter}"
        )


def tune(
    model: Model | str = DEFAULT,
    pairs: str | Path | QuestionSet | Sequence[str | Path | QuestionSet] | Sequence[Question] = (),
    method: str = "instruction",
    out: str | Path | None = None,
    *,
    prompt: str | None = None,
    recipe: Recipe | None = None,
    adapter: str | Path | None = None,
    four_bit: bool = False,
    replay: float = 0.25,
    avoid: Iterable[str | Path | QuestionSet] = (),
    store: RunStore | None = None,
    seed: int = 0,
    progress: bool = True,
    watch: Callable[[Seen], bool | None] | None = None,
    **settings,
) -> Tuned:
    """Tune LoRA adapters on a frozen model and write them to the folder `out`, which `load_model(adapter=...)` takes.

    method: "instruction" (some passes, average loss) or "memory" (until every pair is recalled exactly, with a margin).
    pairs: a JSONL file, a set, several of them, or questions, each with a query or a plain answer. prompt: a name in
    `prompting.PROMPTS`, or "nearest_pairs", which shows a question's nearest pairs (see `nearest`); by default that of
    the adapter to continue, or "question_only" for queries and "chat" for plain answers. The adapter remembers it.
    recipe: how (see `Recipe`); single settings may be named instead, as in `rate=1e-3, passes=2`. adapter: a folder to
    continue from; its pairs are kept in memory by `replay`: that share of them beside the new ones (instruction), or
    all of them, trained on only where they slip (memory; none where `replay` is 0). "starter": the kit's own adapter
    of this model (see `starters`), of whose pairs none is replayed. four_bit: a model that is named is loaded
    in 4 bits.

    What is wrong with the arguments is said before a model that is named is loaded.
    Stops with a LabkitError that lists them when pairs overlap an evaluation set: one beside their database, of the run
    `store`, or in `avoid`; or when a query, of a replayed pair too, reads what is excluded (`excluding`). A call that
    was interrupted goes on where it was; one that is finished is shown again.
    watch: is told of each step (`train.Seen`), and stops the run where it returns True: the work is kept.
    Under torchrun or `accelerate launch` every process makes this same call.
    """
    pairs, databases = read_pairs(pairs)
    card = folders.read_card(adapter) if adapter and adapter != starters.NAME else None
    usual = "chat" if all(q.is_fact for q in pairs) else "question_only"
    prompt = prompt or (card.prompt if card else usual)
    _check_call(method, prompt)
    if not 0 <= replay <= 1:
        raise LabkitError(f"replay is {replay!r}: the share of the old pairs that is replayed, from 0 to 1.")
    _with_settings(recipe or Recipe(), settings)
    _check_model(model, four_bit, adapter)
    if out:
        _refuse_another(Path(out), {"pairs": data_sha256(pairs), "method": method, "prompt": prompt, "seed": seed})
    overlap = refuse_overlap(pairs, databases, avoid, store)
    if isinstance(model, (str, Path)):
        model = load_model(model, device=own_device(), four_bit=four_bit)
    recipe = _with_settings(recipe or default_recipe(method, model), settings)
    adapter = starters.starter(model) if adapter == starters.NAME else adapter
    if adapter:
        folders.check_base(adapter, model)
    old = old_pairs(adapter, pairs) if adapter else []
    refuse_excluded(old, databases)
    overlap = refuse_overlap([*pairs, *old], databases, avoid, store) if old else overlap
    recipe = _shaped_as(adapter, recipe, model, settings) if adapter else recipe
    shown = {} if prompt == NEAREST_PAIRS else schemas(as_prompt(prompt), [*pairs, *old], databases)
    identity = _identity(model, pairs, method, prompt, recipe, adapter, replay, seed)
    identity |= {"schemas": digest(shown)} if shown else {}
    folder = Path(out) if out else home() / "adapters" / digest(identity)[:12]
    done = _finished(folder, identity)
    if done:
        return done
    work = _Work(model, pairs, old, shown, method, prompt, recipe, replay, seed, folder, progress, watch)
    return work.run(identity, overlap, adapter)


@dataclass
class _Work:
    model: Model
    pairs: list[Question]
    old: list[Question]
    shown: dict[str, str]
    method: str
    prompt: str
    recipe: Recipe
    replay: float
    seed: int
    folder: Path
    progress: bool
    watch: Callable[[Seen], bool | None] | None

    def run(self, identity: dict, overlap: dict, before: str | Path | None) -> Tuned:
        team = ranks(self.model.device)
        self.progress = self.progress and team.first and not os.environ.get("CI")
        path = self.folder / "unfinished"
        with alone(path) if team.first else nullcontext():
            checkpoint = Checkpoint(path / "checkpoint.pt", identity, team)
            if team.first:
                save_questions(path / folders.PAIRS, [*self.pairs, *self.old])
            with put_back(self.model.network):
                card = self._tuned(team, path, checkpoint, overlap, before)
        if team.first:
            shutil.rmtree(path, ignore_errors=True)
        team.wait()
        return _tuned(self.folder, card)

    def _tuned(self, team: Ranks, path: Path, checkpoint: Checkpoint, overlap: dict, before: str | Path | None) -> Card:
        """Train, count what is recalled, write the folder: its configuration last, which makes it an adapter."""
        examples = encode(self.model, self._mixed(), self._prompt(), schema_of=self._schema_of)
        adapters = folders.load_adapter(self.model.network, before) if before else None
        trainer = Trainer(self.model, examples, self.recipe, self.seed, team, adapters)
        plan, begun = self._plan(examples), time.monotonic()
        with model_peak(self.model) as peak:
            if plan.total > len(examples) // self.recipe.batch_size + 1 or self.method == "memory":
                weights = f"{self.model.sha256}{' four_bit' if self.model.four_bit else ''}"
                with packed_attention(self.model.network):
                    trainer.trunk.keep(path / f"trunk-{team.rank}", weights, self.progress)
            checkpoint.seconds += time.monotonic() - begun
            seconds = train(trainer, plan, checkpoint, self.progress, self.watch)
            tokens = trainer.tokens  # of the tuning alone: the count of what is recalled is not in its seconds either
            recalled, of, hard = self._recall(trainer)
        card = self._card(seconds, tokens, recalled, of, hard, overlap, before)
        card.made.update(peak_memory=peak(), longest=max(map(len, examples)))  # bytes; tokens of a pair
        if team.first:
            save_questions(self.folder / folders.PAIRS, [*self.pairs, *self.old])
            write_atomically(self.folder / _CALL, json.dumps(checkpoint.identity, indent=1))
            folders.save_adapter(self.folder, trainer.adapters, trainer.lora, card)
        return card

    def _mixed(self) -> list[Question]:
        """The new pairs, and those of the old ones that are replayed; where less than one pass is asked for, so many
        of the new ones."""
        if self.method == "memory":
            return [*self.pairs, *(self.old if self.replay else ())]
        new = self._some(self.pairs, min(1.0, self.recipe.passes))
        return [*new, *self._some(self.old, self.replay)]

    def _some(self, pairs: list[Question], share: float) -> list[Question]:
        """That share of the pairs, drawn by the seed; all of them in their own order."""
        if share >= 1 or not pairs:
            return pairs
        order = sorted(pairs, key=lambda q: hashlib.sha256(f"{self.seed} {q.id}".encode()).digest())
        return order[: math.ceil(share * len(pairs))]

    def _prompt(self) -> Prompt:
        if self.prompt == NEAREST_PAIRS:
            return NearestPairs([*self.pairs, *self.old])
        return as_prompt(self.prompt)

    def _schema_of(self, pair: Question) -> str:
        return self.shown.get(pair.database, "")

    def _plan(self, examples):
        if self.method == "memory":
            return Mastery(examples, self.recipe, self.seed, range(len(self.pairs), len(examples)))
        return Passes(examples, replace(self.recipe, passes=max(1.0, self.recipe.passes)), self.seed)

    def _recall(self, trainer: Trainer) -> tuple[int, int, list[dict]]:
        """How many pairs are the greedy answer, of how many looked at; the others with their probability."""
        count = len(trainer.examples)
        step = 1 if self.method == "memory" else -(-count // _CHECKED)
        chosen = list(range(0, count, step))
        with packed_attention(self.model.network):
            outcome = trainer.check(chosen, self.progress)
        missed = [(i, p) for i, m, p in zip(chosen, outcome.margin, outcome.log_probability, strict=True) if m <= 0]
        hard = [{"id": trainer.examples[i].id, "probability": round(float(p.exp()), 4)} for i, p in missed]
        return len(chosen) - len(missed), len(chosen), hard if self.method == "memory" else []

    def _card(self, seconds, tokens, recalled, of, hard, overlap, before) -> Card:
        return Card(
            base=self.model.name, base_sha256=self.model.sha256, method=self.method, prompt=self.prompt,
            data_sha256=data_sha256(self.pairs), pairs=len(self.pairs), seconds=round(seconds, 1), tokens=tokens,
            recalled=recalled, of=of, recipe=recipe_record(self.recipe) | {"seed": self.seed}, overlap=overlap,
            made=folders.made_on(self.model), continued_from=_name_of(before), hard=hard,
        )  # fmt: skip


def _check_call(method: str, prompt: str) -> None:
    """LabkitError for names that labkit does not have."""
    check_method(method)
    if prompt != NEAREST_PAIRS:
        as_prompt(prompt)


def _check_model(model: Model | str | Path, four_bit: bool, adapter: str | Path | None) -> None:
    """LabkitError for a model that can't be tuned, or not from that adapter; a model that is named is not loaded."""
    if isinstance(model, Model) and model.adapter:
        raise LabkitError(f"{model.name} carries an adapter already. Load it without, and give adapter= to continue.")
    check_loading(model, four_bit)
    if adapter:
        known = unloaded(model)
        folders.check_folder(starters.starter(known) if adapter == starters.NAME else adapter, known)


def _name_of(adapter: str | Path | None) -> str | None:
    return None if not adapter else starters.NAME if starters.is_starter(adapter) else str(adapter)


def _with_settings(recipe: Recipe, settings: dict) -> Recipe:
    names = [f.name for f in fields(Recipe)]
    unknown = sorted(settings.keys() - set(names))
    if unknown:
        raise LabkitError(f"There is no setting {unknown[0]!r}; a recipe has {', '.join(names)}.")
    return replace(recipe, **settings)


def _shaped_as(adapter, recipe: Recipe, model: Model, settings: dict) -> Recipe:
    """The recipe with layers, rank, scale and targets of the adapter to continue, which tuning can't change."""
    lora, count = folders.read_config(adapter), len(body(model.network).layers)
    first = min(lora.layers, default=0)
    if lora.layers and sorted(lora.layers) != list(range(first, count)):
        raise LabkitError(
            f"The adapter in {adapter} skips some of the upper layers; labkit goes on with those of its own."
        )
    shape = {"layers": count - first, "rank": lora.rank, "alpha": lora.alpha, "targets": lora.targets}
    for name in shape.keys() & settings.keys():
        if settings[name] != shape[name]:
            raise LabkitError(f"The adapter to continue has {name} {shape[name]}, which stays. Leave out {name}.")
    return replace(recipe, **shape)


def _identity(model: Model, pairs, method, prompt, recipe: Recipe, adapter, replay, seed) -> dict:
    """What decides the result, by the names that a user knows."""
    return {
        "model": model.sha256,
        "dtype": f"{model.dtype}{' four_bit' if model.four_bit else ''}",
        "pairs": data_sha256(pairs),
        "method": method,
        "prompt": prompt,
        "recipe": recipe_record(recipe),
        "adapter": folders.sha256(adapter) if adapter else None,
        "replay": replay if adapter else None,
        "seed": seed,
    }


def _refuse_another(folder: Path, identity: dict) -> None:
    """LabkitError where the folder holds an adapter of another call than one with this identity, or part of one, or
    can hold none."""
    folders.check_out(folder)
    if not (folder / folders.CONFIG).is_file():
        return
    call = folder / _CALL
    try:
        made = dict(json.loads(call.read_text("utf-8")))
    except (OSError, ValueError, TypeError):  # no call of ours, or damaged
        made = {}
    if any(made.get(name) != value for name, value in identity.items()):
        raise LabkitError(f"{folder} holds another adapter. Name another folder, or remove that one.")


def _finished(folder: Path, identity: dict) -> Tuned | None:
    """What an earlier, finished call of the same arguments made; LabkitError where the folder holds another adapter."""
    if not (folder / folders.CONFIG).is_file():
        return None
    _refuse_another(folder, identity)
    shutil.rmtree(folder / "unfinished", ignore_errors=True)  # a call killed at its very end leaves it
    notice(f"{folder} holds the adapter of this same call; remove the folder to tune anew.")
    return _tuned(folder, folders.read_card(folder))


def _tuned(folder: Path, card: Card) -> Tuned:
    return Tuned(folder, card.method, card.seconds, card.tokens, card.pairs, card.recalled, card.of)
