"""Two banks of memory experts, trained apart, into one: `labkit.join(first, second, out)`.

Experts are taken over as they are, numbered on, so each fact's answer has the bits that it had in its own bank. Keys
too, but for facts too few to tell rare words by (`selection`): those are weighed anew, together. Both folders stay as
they are, and the new one counts only once its configuration is written, last: a call that was cut off is called again.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from labkit.errors import LabkitError
from labkit.models import DEFAULT, Model, check_loading, load_model, unloaded
from labkit.tuning import adapter as folders
from labkit.tuning.adapter import Card, check_free
from labkit.tuning.bank import Bank
from labkit.tuning.mome_files import check_bank, load_bank, read_outline, save_bank
from labkit.tuning.packed import body


@dataclass(frozen=True)
class Joined:
    """One bank of two: its folder and how many facts it holds; the names of those that both held, and of those that
    their own words no longer pick, since another fact has the same ones."""

    adapter: Path
    facts: int
    shared: tuple[str, ...]
    lost: tuple[str, ...]

    def to_json(self) -> dict:
        return asdict(self) | {"adapter": str(self.adapter)}

    def __str__(self) -> str:
        said = f"{self.facts:,} facts in {self.adapter}"
        said += f"; in both, and kept once: {', '.join(self.shared)}" if self.shared else ""
        return said + (f"; not told apart from another fact: {', '.join(self.lost)}" if self.lost else "")


def join(
    first: str | Path, second: str | Path, out: str | Path, model: Model | str = DEFAULT, four_bit: bool = False
) -> Joined:
    """Write the facts of two banks, folders that `remember` wrote, to the folder `out`.

    A fact that both hold under one name is kept once where question and answer are the same. LabkitError where they are
    not, and where the banks are of two base models (or one in 4 bits and not), stand on two adapters, sit behind two
    layers, pick in two ways, have two thresholds or ask in two ways. Facts of two names whose questions have the same
    words can't be told apart: the first bank keeps them, and the card names the other (`hard`). model: the bare one;
    one that is named is loaded once the arguments are found to be right, in 4 bits where `four_bit` says so.
    """
    check_loading(model, four_bit)
    check_free(out)
    known = unloaded(model)
    card, other_card = (check_bank(folder, known) for folder in (first, second))
    under, other_under = (folders.under(folder) for folder in (first, second))
    if (under and folders.sha256(under)) != (other_under and folders.sha256(other_under)):
        raise LabkitError("The banks can't be joined: they stand on two adapters, or one of them on none.")
    if card and other_card and card.prompt != other_card.prompt:
        raise LabkitError(
            f"The banks can't be joined: facts are asked by the prompt {card.prompt!r} and by {other_card.prompt!r}."
        )
    if card and other_card and card.four_bit != other_card.four_bit:
        raise LabkitError(
            "The banks can't be joined: one was learnt beside weights in 4 bits, the other one not, and a fact is "
            "exact only beside its own. Remember the facts of one of them anew."
        )
    read_outline(first).check_joins(read_outline(second))
    model = model if isinstance(model, Model) else load_model(model, four_bit=four_bit)
    bank, other = (load_bank(model, folder) for folder in (first, second))
    shared = _shared(bank, other)
    other.forget(shared)
    bank.join(other)
    picked = _picked_by_another(bank)
    if card and other_card:
        card = _card(card, other_card, len(bank), picked)
        card = replace(card, made=folders.made_on(model), continued_from=f"{first} and {second}")
    save_bank(out, bank, card if other_card else None, under)
    return Joined(Path(out), len(bank), shared, tuple(picked))


def _shared(bank: Bank, other: Bank) -> tuple[str, ...]:
    """The names of facts that both banks hold. LabkitError where one of them is not the same fact in both."""
    both = sorted(bank.names.keys() & other.names.keys())
    differing = [name for name in both if not _alike(bank, other, name)]
    if differing:
        more = f" (and {len(differing) - 1:,} more facts)" if len(differing) > 1 else ""
        raise LabkitError(
            f"The banks can't be joined: both hold {differing[0]!r}, with two questions or two answers{more}. Forget "
            "it in one of them (`labkit forget`), or give it another id there."
        )
    return tuple(both)


def _alike(bank: Bank, other: Bank, name: str) -> bool:
    """Whether a fact has the same words and the same answer in both. What is learnt again may have other bits; behind
    the last layer a vector brings out its token alone, so there the tokens are compared."""
    mine, theirs = bank.names[name], other.names[name]
    if not bank.selection.same(mine, [other.selection.asked(theirs)]) or bank.layer != other.layer:
        return False
    if torch.equal(bank.vectors[mine], other.vectors[theirs]):
        return True
    last = bank.layer + 1 == len(body(bank.network).layers)
    return last and torch.equal(_tokens(bank, mine), _tokens(other, theirs))


@torch.no_grad()
def _tokens(bank: Bank, expert: int) -> torch.Tensor:
    """What an expert's vectors bring out alone, behind the last layer."""
    output = bank.network.get_output_embeddings().weight
    return (body(bank.network).norm(bank.vectors[expert].to(output)) @ output.T).argmax(dim=1)


def _picked_by_another(bank: Bank) -> dict[str, str | None]:
    """Of facts that their own words don't pick: which fact these pick instead."""
    name_of, found = {expert: name for name, expert in bank.names.items()}, {}
    for expert, name in name_of.items():
        picked = next((pick.expert for pick in bank.selection.pick(bank.selection.asked(expert))), None)
        if picked != expert:
            found[name] = name_of.get(picked)
    return found


def _card(first: Card, second: Card, count: int, picked: dict[str, str | None]) -> Card:
    """One card of two: what was spent is added up, what is not recalled is told of both."""
    hard = {fact["id"]: fact for fact in (*second.hard, *first.hard)}
    hard |= {name: {"id": name, "picks": other} for name, other in picked.items()}
    margin = min((card.recipe["margin"] for card in (first, second) if "margin" in card.recipe), default=None)
    return replace(
        first,
        data_sha256="",
        pairs=count,
        seconds=round(first.seconds + second.seconds, 1),
        tokens=first.tokens + second.tokens,
        recalled=count - len(hard),
        of=count,
        recipe=first.recipe | ({} if margin is None else {"margin": margin}),
        overlap=second.overlap | first.overlap,
        hard=list(hard.values()),
    )
