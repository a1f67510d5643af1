"""A bank of memory experts on a frozen network: keys that pick one, what each holds, and how answers come to feel it.

An expert is one vector for each token of its answer, added to the hidden states behind a layer, at the position that
predicts the token. Where none is picked nothing is added: those rows keep every bit, in a batch with others too. Which
are picked is the bank's selection, chosen once and saved with it: words (`selection`) or faiss (`faiss_selection`),
one expert or the k best. How experts get their facts is `mome`, on disk they are `mome_files`.
"""

from collections.abc import Collection, Iterable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from labkit.errors import LabkitError
from labkit.tuning.faiss_selection import Nearest, Sentences
from labkit.tuning.packed import body
from labkit.tuning.selection import Pick, Selection, Words, number
from labkit.tuning.spelling import Spelling


def step_of(vectors: Tensor) -> Tensor:
    """Of each row (last axis) the power of two that its numbers are counted in, so that 8 bits hold the largest."""
    reach = vectors.float().abs().amax(dim=-1, keepdim=True).clamp(min=2.0**-14)
    part, power = torch.frexp(reach / 127)
    return torch.ldexp(torch.ones_like(reach), power - (part == 0.5).to(power.dtype))


def rounded(vectors: Tensor) -> Tensor:
    """As float16, each row in whole steps: what a folder holds. Rounding twice is rounding once, and float16 and
    bfloat16 have all of these numbers."""
    step = step_of(vectors)
    return (step * torch.round(vectors.float() / step)).half()


@dataclass(frozen=True)
class _Route:
    """One row of a forward pass: its expert's vectors (tokens, size), and how many tokens its prompt has."""

    vectors: Tensor | None
    prompt: int


SELECTIONS = {"words": Selection, "faiss": Nearest}


@dataclass(frozen=True)
class Outline:
    """What of a bank is known without its network: behind which layer it sits, how it picks, its facts' names."""

    layer: int
    threshold: float
    selection: str
    k: int
    names: Collection[str]

    def check_known(self, names: Iterable[str]) -> None:
        """LabkitError when one of the names is no fact's."""
        unknown = next((name for name in names if name not in self.names), None)
        if unknown is not None:
            raise LabkitError(f"The bank holds no fact {unknown!r}.")

    def check_joins(self, other: "Outline") -> None:
        """LabkitError where the other one picks in another way or by another threshold, or sits elsewhere."""
        ways = [(bank.selection, bank.k) for bank in (self, other)]
        if ways[0] != ways[1]:
            told = " and ".join(f"{k} by {selection}" for selection, k in ways)
            raise LabkitError(f"The banks can't be joined: experts are picked in two ways, {told}.")
        if other.layer != self.layer:
            raise LabkitError(f"The banks can't be joined: they sit behind layers {self.layer} and {other.layer}.")
        if other.threshold != self.threshold:
            both = f"{self.threshold} and {other.threshold}"
            raise LabkitError(f"The banks can't be joined: their thresholds are {both}.")


def check_selection(selection: str, k: int) -> None:
    """LabkitError for a selection that there is not, and for one that picks no expert."""
    if selection not in SELECTIONS:
        raise LabkitError(f"There is no selection {selection!r}: choose {' or '.join(SELECTIONS)}.")
    if k < 1:
        raise LabkitError(f"k is {k}; at least one expert is picked for a question.")


class Bank:
    """Experts behind layer `layer` of a network (the last one by default), each with a key. An expert holds nothing
    until a fact is added, and adds nothing until then."""

    def __init__(
        self,
        model,
        layer: int | None = None,
        threshold: float | None = None,
        words: Words | Sentences | None = None,
        *,
        selection: str = "words",
        k: int = 1,
        around: tuple[str, str] = ("", ""),
    ):
        """threshold: by default the selection's own; words: what reads prompts, where it is made already; selection:
        "words" or "faiss"; k: experts that are picked for a question at most; around: for "faiss", what stands before
        and behind a question in a prompt. LabkitError for what there is not."""
        self.network, count = model.network, len(body(model.network).layers)
        self.layer = count - 1 if layer is None else layer
        if not 0 <= self.layer < count:
            raise LabkitError(f"The network has layers 0 to {count - 1}; experts were asked for behind {layer}.")
        check_selection(selection, k)
        kind, self.kind, self.k, self.around = SELECTIONS[selection], selection, k, around
        self.selection, self.spelling = kind() if threshold is None else kind(threshold), Spelling()
        self.words = words or (Words(model.tokenizer) if kind is Selection else Sentences(model.tokenizer, around))
        self.names: dict[str, int] = {}  # fact -> expert
        self.vectors: MutableMapping[int, Tensor] = {}  # expert -> (answer tokens, hidden size), float16, `rounded`
        self.routes: list[_Route] = []
        self.used = self.total = 0  # experts that hold or held a fact; all experts, those with random keys included

    def __len__(self) -> int:
        return len(self.names)

    def choose(self, k: int) -> None:
        """Pick so many experts for a question at most, from now on. LabkitError for none."""
        check_selection(self.kind, k)
        self.k = k

    @property
    def outline(self) -> Outline:
        """What is known of it without the network."""
        return Outline(self.layer, self.selection.threshold, self.kind, self.k, self.names)

    def chosen(self) -> dict:
        """What of the selection is not as by default, for the bank's configuration."""
        said = {"k": self.k} if self.k > 1 else {}
        if self.kind == "faiss":
            said |= {"selection": "faiss", "around": list(self.around), "encoder": self.words.encoder.sha256}
        return said

    # --- facts --------------------------------------------------------------------------------------------------------

    def reserve(self, keys: dict[str, Sequence[frozenset[int]]]) -> None:
        """Experts and keys for new facts, by name; of each the words of its wordings. LabkitError for a name that is
        taken."""
        taken = next((name for name in keys if name in self.names), None)
        if taken is not None:
            raise LabkitError(f"There is a fact {taken!r} already. Use update to correct it.")
        numbers = range(self.used, self.used + len(keys))
        self.selection.add(dict(zip(numbers, keys.values(), strict=True)))
        self.names |= dict(zip(keys, numbers, strict=True))
        self.used += len(keys)
        self.total = max(self.total, self.used)

    def forget(self, names: Iterable[str]) -> None:
        """Empty the experts of some facts; of their words none is left that no other fact has."""
        names = list(names)
        self.outline.check_known(names)
        experts = [self.names.pop(name) for name in names]
        self.selection.remove(experts)
        for expert in experts:
            self.vectors.pop(expert, None)
        self.spelling.keep(lambda word: self.selection.knows(number(word)))

    def join(self, other: "Bank") -> None:
        """Take over what another bank of the same network and layer holds, its experts' numbers moved on. LabkitError
        where both name a fact, or pick by other thresholds."""
        self.outline.check_joins(other.outline)
        if both := sorted(self.names.keys() & other.names.keys()):
            raise LabkitError(f"The banks can't be joined: both hold {both[0]!r}.")
        self.selection.join(other.selection, self.used)
        self.spelling.add(other.spelling.words)
        self.names |= {name: number + self.used for name, number in other.names.items()}
        self.vectors |= {number + self.used: vectors for number, vectors in other.vectors.items()}
        self.used += other.used
        self.total = max(self.total, self.used)

    def fill(self, total: int) -> None:
        """More experts, with random keys and nothing in them, until there are `total`."""
        if total > self.total:
            self.selection.fill(range(self.total, total), seed=self.total)
            self.total = total

    def name_of(self, expert: int | None) -> str | None:
        """The fact that an expert holds; None for an expert that holds none."""
        return next((name for name, number in self.names.items() if number == expert), None)

    # --- in use -------------------------------------------------------------------------------------------------------

    def pick(self, prompt: Sequence[int]) -> int | None:
        """The best expert of a prompt's question, None where no key is near enough or it holds nothing."""
        found = self._picks(prompt, 1)
        return found[0].expert if found and found[0].expert in self.vectors else None

    def _picks(self, prompt: Sequence[int], k: int) -> list[Pick]:
        words = self.words.of(prompt)
        return self.selection.pick(words, k) or self._misspelt(prompt, words)

    def _misspelt(self, prompt: Sequence[int], words: frozenset[int]) -> list[Pick]:
        """The one expert that the prompt asks for if one of its words, unknown, is a known one misspelt; none where it
        may be several experts."""
        unknown = [word for word in self.words.spelt(prompt) if not self.selection.knows(number(word))]
        meant = {number(known) for word in unknown for known in self.spelling.corrections(word)}
        found = {pick.expert: pick for one in meant for pick in self.selection.pick(words | {one}, k=2)}
        return list(found.values()) if len(found) == 1 else []

    def _added(self, prompt: Sequence[int]) -> Tensor | None:
        """What a prompt's experts add: (answer tokens, hidden size). Of several the best one's is whole, each other
        one's weighs what its score has above the threshold over what the best one's has."""
        if self.k == 1:
            expert = self.pick(prompt)
            return None if expert is None else self.vectors[expert]
        picks = [pick for pick in self._picks(prompt, self.k) if pick.expert in self.vectors]
        if not picks:
            return None
        held = [self.vectors[pick.expert] for pick in picks]
        above = [pick.score - self.selection.threshold + 1e-6 for pick in picks]
        added = held[0].new_zeros(max(map(len, held)), held[0].shape[1])
        for vectors, weight in zip(held, above, strict=True):
            added[: len(vectors)] += weight / above[0] * vectors
        return added

    def route(self, prompts: Sequence[Sequence[int]]) -> None:
        """Say what the rows of the coming forward passes ask."""
        self.words.prepare(prompts)
        self.routes = [_Route(self._added(prompt), len(prompt)) for prompt in prompts]

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Drop all rows of the present batch but these."""
        self.routes = [self.routes[row] for row in rows]

    @contextmanager
    def attached(self) -> Iterator["Bank"]:
        """Within the block the network's forward passes add what the picked experts hold."""
        handle = body(self.network).layers[self.layer].register_forward_hook(self._hook, with_kwargs=True)
        try:
            yield self
        finally:
            handle.remove()
            self.routes = []

    def _hook(self, module, arguments, options, output):
        positions = options.get("position_ids")
        hidden = output[0] if isinstance(output, tuple) else output
        if not self.routes or positions is None:
            return None
        for row, route in enumerate(self.routes[: len(hidden)]):
            if route.vectors is None:
                continue
            places = positions[row if len(positions) > 1 else 0] - (route.prompt - 1)
            at = ((places >= 0) & (places < len(route.vectors))).nonzero()[:, 0]
            if len(at):
                hidden[row, at] += route.vectors[places[at]].to(hidden)
        return output
