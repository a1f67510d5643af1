"""Facts into memory experts in one call: `labkit.remember(model, facts)` -> an adapter folder.

The counterpart of `tune` for a bank (`mome`): what `load_model(adapter=...)` takes, facts added to one that is there,
a fact given again under its name corrected. Learnt facts are written down as it goes; a call that was cut off goes on.
`labkit.forget` takes facts out again; `joining` makes one bank of two.
"""

import json
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tqdm.auto import tqdm

from labkit.agent import Prompt, as_prompt
from labkit.dataset import Question, QuestionSet
from labkit.decoding import prompt_tokens
from labkit.errors import LabkitError
from labkit.home import alone, home, write_atomically
from labkit.models import DEFAULT, Model, check_loading, load_model, unloaded
from labkit.notices import notice
from labkit.runs import RunStore
from labkit.tuning import Tuned, mome, mome_parallel
from labkit.tuning import adapter as folders
from labkit.tuning.bank import Bank, check_selection
from labkit.tuning.examples import target
from labkit.tuning.faiss_selection import check_faiss, frame
from labkit.tuning.mome_files import (
    check_bank,
    is_bank,
    load_bank,
    load_part,
    read_outline,
    save_bank,
    save_part,
    write_card,
)
from labkit.tuning.sources import data_sha256, named, read_pairs, refuse_overlap

METHOD = "mome"
_CALL = "call.json"  # beside work that is under way: what the call is


def remember(
    model: Model | str = DEFAULT,
    facts: str | Path | QuestionSet | Sequence[Question] = (),
    out: str | Path | None = None,
    *,
    prompt: str | None = None,
    adapter: str | Path | None = None,
    on: str | Path | None = None,
    four_bit: bool = False,
    layer: int | None = None,
    threshold: float | None = None,
    selection: str | None = None,
    k: int | None = None,
    margin: float = 1.0,
    avoid: Iterable[str | Path | QuestionSet] = (),
    processes: int = 1,
    store: RunStore | None = None,
    progress: bool = True,
) -> Tuned:
    """Give each fact a memory expert on a frozen model; write the bank to the folder `out`.

    facts: a JSONL file, a set or questions, each with a plain answer or a query; a fact's name is its id. prompt: how
    they are asked: by default as the bank's facts, or as the model's adapter was tuned, or "chat" for plain answers and
    "question_only" for queries. adapter: a bank to continue: new facts join it, one whose id it knows is corrected,
    and where its question no longer finds it, it gets a new key, and the old question finds nothing any more. A model
    that carries a LoRA adapter keeps it: the experts stand on it, and the folder holds a copy of it, `under/`. One that
    is named is loaded with the adapter `on`, or with the one that the bank stands on, in 4 bits where `four_bit` says
    so, once the arguments are found to be right (but `layer` and `threshold`).
    layer: behind which the experts sit (the last one by default). selection: how the experts of a question are found,
    by its "words" (the default) or by "faiss", nearest in a sentence encoder's vectors; threshold: the share of a key's
    weight that a question must hold, by default 0.9, or its cosine, 0.8. k: how many experts at most, of which the
    second best and on weigh less; of 100 facts all are recalled with 2 by either. Both are the bank's: k may be changed
    when it is continued, the selection may not. margin: by how many nats each answer token must lead for the fact to
    count as recalled, as it is saved (by its own expert, without others that k lets in); processes: that learn side by
    side, on a CPU. What is not recalled stands in the card (`hard`), with the fact that its question picks: two facts
    whose questions have the same words can't be told apart, and the first one keeps them. A fact given twice is taken
    once. LabkitError for two facts of one id, and for facts that overlap an evaluation set, as in `tune`.
    """
    pairs, databases = read_pairs(facts, own=named)
    as_prompt(prompt or "chat")
    check_loading(model, four_bit)
    folder = Path(out) if out else home() / "adapters" / f"bank-{data_sha256(pairs)[:12]}"
    folders.check_free(folder)
    overlap = refuse_overlap(pairs, databases, avoid, store)
    known = unloaded(model)
    mome_parallel.check(known, processes)
    if adapter:
        check_bank(adapter, known)
    _check_selection(adapter, selection, k)
    under = _under(model, known, on, adapter)
    if not isinstance(model, Model):  # all that decides the result is compared once there is a model
        _check_begun(folder / "unfinished", {"facts": data_sha256(pairs)})
        model = load_model(model, adapter=under, four_bit=four_bit)
    prompt = prompt or _prompt(model, adapter, pairs)
    bank = _bank(model, adapter, prompt, selection, k, layer=layer, threshold=threshold)
    return _Work(model, pairs, folder, prompt, adapter, margin, overlap, progress, under, processes).run(bank)


def _bank(model: Model, adapter: str | Path | None, prompt: str, selection: str | None, k: int | None, **new) -> Bank:
    """The bank that is continued, or else a new one."""
    if not adapter:
        ask = as_prompt(prompt)
        prompts = prompt_tokens(model, [ask(text, "") for text in ("A", "1")])
        around = frame([model.tokenizer.decode(p, skip_special_tokens=True) for p in prompts])
        return Bank(model, selection=selection or "words", k=1 if k is None else k, around=around, **new)
    bank = load_bank(model, adapter)
    bank.choose(bank.k if k is None else k)
    return bank


def _check_selection(adapter: str | Path | None, selection: str | None, k: int | None) -> None:
    """LabkitError for a selection that there is not, or another one than that of the bank to continue."""
    held = read_outline(adapter).selection if adapter else selection or "words"
    if selection not in (None, held):
        raise LabkitError(f"The bank in {adapter} picks experts by {held}, for good. Leave out {selection!r}.")
    check_selection(held, 1 if k is None else k)
    if held == "faiss":
        check_faiss()


@dataclass(frozen=True)
class Forgotten:
    """A bank without some facts: its folder, their names, and how many facts it holds."""

    adapter: Path
    facts: tuple[str, ...]
    left: int

    def to_json(self) -> dict:
        return asdict(self) | {"adapter": str(self.adapter)}

    def __str__(self) -> str:
        return f"forgot {', '.join(self.facts)}; {self.left:,} facts are left in {self.adapter}"


def forget(
    adapter: str | Path,
    out: str | Path,
    facts: Iterable[str] = (),
    questions: Iterable[str] = (),
    model: Model | str = DEFAULT,
    four_bit: bool = False,
) -> Forgotten:
    """Write the bank in the folder `adapter` to the folder `out` without some facts: those of these names (ids), and
    those that these questions pick. The others answer bit for bit as before; of the words of those that are gone none
    is left that no other fact has. The old folder stays as it is: remove it. model: the bare one; one that is named is
    loaded once the arguments are found to be right, in 4 bits where `four_bit` says so. LabkitError for a name or a
    question of no fact."""
    facts, questions = list(facts), list(questions)
    if not facts and not questions:
        raise LabkitError("No fact to forget was named. Give its name (the id in its file), or its question.")
    check_loading(model, four_bit)
    folders.check_free(out)
    card = check_bank(adapter, unloaded(model))
    read_outline(adapter).check_known(facts)
    model = model if isinstance(model, Model) else load_model(model, four_bit=four_bit)
    bank = load_bank(model, adapter)
    ask = as_prompt(card.prompt if card else "chat")
    names = dict.fromkeys([*facts, *(_asked(model, bank, ask, question) for question in questions)])
    bank.forget(names)
    if card:
        hard = [fact for fact in card.hard if fact["id"] in bank.names]
        hard = [fact | {"picks": bank.name_of(bank.names.get(fact.get("picks")))} for fact in hard]
        card = replace(card, pairs=len(bank), hard=hard, data_sha256="", continued_from=str(adapter))
    save_bank(out, bank, card, folders.under(adapter))
    return Forgotten(Path(out), tuple(names), len(bank))


def _asked(model: Model, bank: Bank, ask: Prompt, question: str) -> str:
    """The name of the fact that a question picks."""
    name = bank.name_of(bank.pick(prompt_tokens(model, [ask(question, "")])[0]))
    if name is None:
        raise LabkitError(f"No fact of the bank is asked for by {question!r}. Ask in the words that it was given in.")
    return name


def _prompt(model: Model, bank: str | Path | None, pairs: Sequence[Question]) -> str:
    """How facts are asked where nobody says."""
    card = folders.read_card(bank) if bank else None
    if card:
        return card.prompt
    if isinstance(model.prompt, str):  # the one of its adapter
        return model.prompt
    return "chat" if all(q.is_fact for q in pairs) else "question_only"


def _under(model: Model | str | Path, known: Model, on: str | Path | None, bank: str | Path | None) -> Path | None:
    """The folder of the adapter that the experts stand on, None where it is the bare model. LabkitError where it is no
    adapter of the model's, or not the one that `bank` stands on."""
    if known.experts is not None:
        raise LabkitError(f"{known.name} carries a bank already. Load it without, and name the bank by adapter=.")
    if isinstance(model, Model):
        if on:
            raise LabkitError("on= is loaded with a model that is named; this one is loaded already, with its adapter.")
        on = model.adapter
    elif on and is_bank(on):
        raise LabkitError(f"{on} holds a bank; experts stand on a LoRA adapter. Name the bank by adapter= (--adapter).")
    elif on:
        with suppress(folders.ForeignAdapter):  # PEFT may know it
            folders.check_folder(on, known)
    elif bank:
        return folders.under(bank)
    carried = Path(on) if on else None
    if bank:
        wanted, here = (f and folders.sha256(f) for f in (folders.under(bank), carried))
        if wanted != here:
            raise LabkitError(
                f"The bank in {bank} stands on {'another' if wanted and here else 'an' if wanted else 'no'} adapter. "
                + (f"Load the model with adapter={folders.under(bank)}." if wanted else "Load the model without one.")
            )
    return carried


def _check_begun(unfinished: Path, asked: dict) -> None:
    """LabkitError where the folder holds facts of a call with other values than these, cut off."""
    if folders.read_card(unfinished) is None:  # nothing is learnt yet
        return
    try:
        begun = json.loads((unfinished / _CALL).read_text("utf-8"))
    except (OSError, ValueError):  # damaged, or of an earlier version
        begun = {}
    begun = begun if isinstance(begun, dict) else {}
    other = [name for name in asked if name not in begun or begun[name] != asked[name]]
    if other:
        raise LabkitError(
            f"{unfinished} is of other {' and '.join(other)}, cut off. Name another folder, or remove that one."
        )


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

    def run(self, bank: Bank) -> Tuned:
        unfinished = self.folder / "unfinished"
        with alone(unfinished):
            card = self._learn_all(bank, unfinished)
            save_bank(self.folder, bank, card, self.under)
        shutil.rmtree(unfinished, ignore_errors=True)
        return Tuned(self.folder, METHOD, card.seconds, card.tokens, len(self.pairs), card.recalled, card.of)

    def _learn_all(self, bank: Bank, unfinished: Path) -> folders.Card:
        """Facts into the bank, a block at a time; each is written down before the next one begins."""
        facts, card = self._facts(), self._begun(self._card(bank))
        begun, quiet = time.monotonic() - card.seconds, not self.progress or bool(os.environ.get("CI"))
        done = self._restore(bank, facts, card)
        at_once = mome.BLOCK * self.processes
        try:
            with tqdm(total=len(facts), initial=done, desc="remembering", unit="fact", disable=quiet) as bar:
                while done < len(facts):
                    part = facts[done : done + at_once]
                    card = self._learn(bank, part, card)
                    save_part(unfinished, done, [bank.vectors[bank.names[fact.name]] for fact in part])
                    card = replace(card, seconds=round(time.monotonic() - begun, 1))
                    write_card(unfinished, card)
                    done += len(part)
                    bar.update(len(part))
        except KeyboardInterrupt:
            notice(f"Stopped: {done:,} of {len(facts):,} facts are kept. The same call goes on from there.")
            raise
        return card

    def _begun(self, fresh: folders.Card) -> folders.Card:
        """The card of work that was cut off, or else this one. LabkitError where that work was another."""
        unfinished, asked = self.folder / "unfinished", self._call(fresh)
        card = folders.read_card(unfinished)
        if card is None:  # nothing is learnt yet
            write_atomically(unfinished / _CALL, json.dumps(asked, indent=1))
            return fresh
        _check_begun(unfinished, asked)
        return card

    def _call(self, card: folders.Card) -> dict:
        """What decides the result, by the names that a user knows."""
        return {
            "facts": card.data_sha256, "settings": card.recipe, "prompt": card.prompt,
            "model": f"{card.base_sha256} {self.model.dtype}{' four_bit' if self.model.four_bit else ''}",
            "bank": folders.sha256(self.adapter) if self.adapter else None,
            "adapter": folders.standing(self.under) if self.under else None,
        }  # fmt: skip

    def _restore(self, bank: Bank, facts: Sequence[mome.Fact], card: folders.Card) -> int:
        """Put into the bank what was learnt before the work was cut off; how many facts that is."""
        done, start = card.recalled + len(card.hard), 0
        while start < done:
            held = load_part(self.folder / "unfinished", start, self.model.network.device)
            part = facts[start : start + len(held)]
            self._reserve(bank, part)
            bank.vectors |= {bank.names[fact.name]: vectors for fact, vectors in zip(part, held, strict=True)}
            start += len(held)
        return start

    def _reserve(self, bank: Bank, facts: Sequence[mome.Fact]) -> None:
        """Keys for those that are new, and new keys for those that are asked in words that don't find them any more; a
        block at a time, whatever is learnt at once."""
        for start in range(0, len(facts), mome.BLOCK):
            block = facts[start : start + mome.BLOCK]
            bank.forget([fact.name for fact in block if mome.asked_anew(bank, fact)])
            mome.reserve(bank, [fact for fact in block if fact.name not in bank.names])

    def _facts(self) -> list[mome.Fact]:
        ask, tokenizer = as_prompt(self.prompt), self.model.tokenizer
        prompts = prompt_tokens(self.model, [ask(pair.question, "") for pair in self.pairs])
        answers = tokenizer([target(pair) for pair in self.pairs], add_special_tokens=False).input_ids
        end = tokenizer.eos_token_id
        return [mome.Fact(q.id, (p,), (*a, end)) for q, p, a in zip(self.pairs, prompts, answers, strict=True)]

    def _learn(self, bank: Bank, facts: Sequence[mome.Fact], card: folders.Card) -> folders.Card:
        """Learn some facts, new and corrected ones; the card with what came of it."""
        self._reserve(bank, facts)
        found = mome_parallel.learn(bank, self.model, facts, self.margin, self.processes)
        asked = {fact.name: fact.wordings[0] for fact in facts}
        hard = [*card.hard, *({"id": name, "picks": bank.name_of(bank.pick(asked[name]))} for name in found.hard)]
        recalled, tokens = card.recalled + found.exact, card.tokens + found.tokens
        return replace(card, recalled=recalled, tokens=tokens, hard=hard, pairs=len(bank))

    def _card(self, bank: Bank) -> folders.Card:
        recipe = {"layer": bank.layer, "threshold": bank.selection.threshold, "margin": self.margin} | bank.chosen()
        return folders.Card(
            base=self.model.name, base_sha256=self.model.sha256, method=METHOD, prompt=self.prompt,
            data_sha256=data_sha256(self.pairs), pairs=0, seconds=0.0, tokens=0, recalled=0, of=len(self.pairs),
            recipe=recipe, overlap=self.overlap, made=folders.made_on(self.model),
            continued_from=str(self.adapter) if self.adapter else None,
        )  # fmt: skip
