"""Facts into memory experts in one call: `labkit.remember(model, facts)` -> an adapter folder.

The counterpart of `tune` for a bank (`mome`): what `load_model(adapter=...)` takes, facts added to one that is there,
a fact given again under its name corrected. Learnt facts are written down as it goes; a call that was cut off goes on.
"""

import os
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm.auto import tqdm

from labkit.agent import as_prompt
from labkit.dataset import Question, QuestionSet
from labkit.decoding import prompt_tokens
from labkit.errors import LabkitError
from labkit.home import home
from labkit.models import DEFAULT, Model, load_model
from labkit.runs import RunStore
from labkit.tuning import Tuned, mome, mome_parallel
from labkit.tuning import adapter as folders
from labkit.tuning.bank import Bank
from labkit.tuning.examples import target
from labkit.tuning.mome_files import is_bank, load_bank, save_bank
from labkit.tuning.sources import data_sha256, read_pairs, refuse_overlap

METHOD = "mome"
_AT_ONCE = 256  # facts between two notes of what is learnt


def remember(
    model: Model | str = DEFAULT,
    facts: str | Path | QuestionSet | Sequence[Question] = (),
    out: str | Path | None = None,
    *,
    prompt: str | None = None,
    adapter: str | Path | None = None,
    layer: int | None = None,
    threshold: float = 0.9,
    margin: float = 1.0,
    avoid: Iterable[str | Path | QuestionSet] = (),
    processes: int = 1,
    store: RunStore | None = None,
    progress: bool = True,
) -> Tuned:
    """Give each fact a memory expert on a frozen model; write the bank to the folder `out`.

    facts: a JSONL file, a set or questions, each with a plain answer or a query; a fact's name is its id. prompt: how
    they are asked: by default as the bank's facts, or as the model's adapter was tuned, or "chat" for plain answers and
    "question_only" for queries. adapter: a bank to continue: new facts join it, one whose id it knows is corrected. A
    model that carries a LoRA adapter keeps it: the experts stand on it, and the folder holds a copy of it, `under/`.
    layer: behind which the experts sit (the last one by default); threshold: the share of a key's weight that a
    question must hold; margin: by how many nats each answer token must lead; processes: that learn side by side, on a
    CPU. LabkitError for facts that overlap an evaluation set, as in `tune`.
    """
    pairs, databases = read_pairs(facts)
    overlap = refuse_overlap(pairs, databases, avoid, store)
    model = load_model(model) if isinstance(model, (str, Path)) else model
    mome_parallel.check(model, processes)
    under = _under(model, adapter)
    prompt = prompt or _prompt(model, adapter, pairs)
    folder = Path(out) if out else home() / "adapters" / f"bank-{data_sha256(pairs)[:12]}"
    if (folder / folders.CONFIG).is_file():
        raise LabkitError(f"{folder} holds an adapter already. Name another folder, or remove that one.")
    return _Work(model, pairs, folder, prompt, adapter, margin, overlap, progress, under, processes).run(
        layer, threshold
    )


def _prompt(model: Model, bank: str | Path | None, pairs: Sequence[Question]) -> str:
    """How facts are asked where nobody says."""
    card = folders.read_card(bank) if bank else None
    if card:
        return card.prompt
    if isinstance(model.prompt, str):  # the one of its adapter
        return model.prompt
    return "chat" if all(q.is_fact for q in pairs) else "question_only"


def _under(model: Model, bank: str | Path | None) -> Path | None:
    """The folder of the adapter that the experts stand on, None where it is the bare model. LabkitError where the model
    is not the one that `bank` stands on."""
    carried = Path(model.adapter) if model.adapter and model.experts is None else None
    if model.experts is not None:
        raise LabkitError(f"{model.name} carries a bank already. Load it without, and name the bank by adapter=.")
    if bank and is_bank(bank):
        wanted, here = (f and folders.sha256(f) for f in (folders.under(bank), carried))
        if wanted != here:
            raise LabkitError(
                f"The bank in {bank} stands on {'another' if wanted and here else 'an' if wanted else 'no'} adapter. "
                + (f"Load the model with adapter={folders.under(bank)}." if wanted else "Load the model without one.")
            )
    return carried


@dataclass
class _Work:
    model: Model
    pairs: Sequence[Question]
    folder: Path
    prompt: str
    adapter: str | Path | None
    margin: float
    overlap: dict
    progress: bool
    under: Path | None = None
    processes: int = 1

    def run(self, layer: int | None, threshold: float) -> Tuned:
        unfinished = self.folder / "unfinished"
        card = folders.read_card(unfinished) if is_bank(unfinished) else self._card(Bank(self.model, layer, threshold))
        if card.data_sha256 != data_sha256(self.pairs):
            raise LabkitError(f"{unfinished} is of other facts, cut off. Name another folder, or remove that one.")
        bank, begun = self._bank(unfinished, layer, threshold), time.monotonic() - card.seconds
        quiet = not self.progress or bool(os.environ.get("CI"))
        facts = self._facts()[card.recalled + len(card.hard) :]
        with tqdm(total=len(facts), desc="remembering", unit="fact", disable=quiet) as bar:
            at_once = _AT_ONCE * self.processes
            for start in range(0, len(facts), at_once):
                part = facts[start : start + at_once]
                card = self._learn(bank, part, card)
                card = replace(card, seconds=round(time.monotonic() - begun, 1))
                save_bank(unfinished, bank, card, self.under)
                bar.update(len(part))
        save_bank(self.folder, bank, card, self.under)
        shutil.rmtree(unfinished, ignore_errors=True)
        return Tuned(self.folder, METHOD, card.seconds, card.tokens, len(self.pairs), card.recalled, card.of)

    def _bank(self, unfinished: Path, layer: int | None, threshold: float) -> Bank:
        """The bank to go on with: one that was cut off, the one to continue, or an empty one."""
        source = unfinished if is_bank(unfinished) else self.adapter
        if not source:
            return Bank(self.model, layer, threshold)
        if not is_bank(source):
            raise LabkitError(f"{source} holds no bank of memory experts. Name a folder that `remember` wrote.")
        folders.check_base(source, self.model)
        return load_bank(self.model, source)

    def _facts(self) -> list[mome.Fact]:
        ask, tokenizer = as_prompt(self.prompt), self.model.tokenizer
        prompts = prompt_tokens(self.model, [ask(pair.question, "") for pair in self.pairs])
        answers = tokenizer([target(pair) for pair in self.pairs], add_special_tokens=False).input_ids
        end = tokenizer.eos_token_id
        return [mome.Fact(q.id, (p,), (*a, end)) for q, p, a in zip(self.pairs, prompts, answers, strict=True)]

    def _learn(self, bank: Bank, facts: Sequence[mome.Fact], card: folders.Card) -> folders.Card:
        """Learn some facts, new and corrected ones; the card with what came of it."""
        new, known = [], []
        for fact in facts:
            (known if fact.name in bank.names else new).append(fact)
        mome.reserve(bank, new)
        for part in filter(None, (new, known)):
            found = mome_parallel.learn(bank, self.model, part, self.margin, self.processes)
            hard = [*card.hard, *({"id": name} for name in found.hard)]
            recalled, tokens = card.recalled + found.exact, card.tokens + found.tokens
            card = replace(card, recalled=recalled, tokens=tokens, hard=hard, pairs=len(bank))
        return card

    def _card(self, bank: Bank) -> folders.Card:
        recipe = {"layer": bank.layer, "threshold": bank.selection.threshold, "margin": self.margin}
        return folders.Card(
            base=self.model.name, base_sha256=self.model.sha256, method=METHOD, prompt=self.prompt,
            data_sha256=data_sha256(self.pairs), pairs=0, seconds=0.0, tokens=0, recalled=0, of=len(self.pairs),
            recipe=recipe, overlap=self.overlap, made=folders.made_on(self.model),
            continued_from=str(self.adapter) if self.adapter else None,
        )  # fmt: skip
