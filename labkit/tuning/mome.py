"""A mixture of memory experts: a bank of small experts on a frozen network, one picked for a question, trained alone.

After "Banishing LLM Hallucinations Requires Rethinking Generalization" (Li et al. 2024, arXiv 2406.17642), which gives
an outline: many experts, a few picked by similarity, the backbone frozen, the picked ones stepped until the fact's loss
is near zero. It is silent on the key, the expert's shape, where it sits, how it is stepped and when none is picked.
Chosen here: the key is the set of words that a fact's wordings share (`selection`); an expert is one vector for each
token of its answer, added to the hidden states behind a layer, at the position that predicts the token, and stepped by
normalised gradient descent, which keeps no state; below a threshold none is picked, and nothing is added. Since no two
facts share an expert, they are learnt one by one and don't disturb each other: a fact that is exact with a margin is
done for good.

By default one expert a question, one layer a bank and an index over words, where the outline suggests several experts
for a question or a position, several layers and an index over vectors (product keys, faiss): whatever is picked second
is another fact's and does harm, a second layer has nothing left to add, matrices in place of vectors cost more and hear
other wordings less well, and a cosine parts a fact in other words from a stranger in the fact's words less well than
words do (EXPERIMENTS.md, "memory experts made in other ways", "product keys and faiss"). The k best by faiss can be
chosen (`faiss_selection`), and picking is for a whole question all the same.

Training needs one pass of the frozen network over the facts (`trunk`), then some steps of the layers above the experts:
none, where they sit behind the last layer. There a vector must bring out its token by itself as well, and is kept
longer than it need be: whatever it is added to, the token comes out, so other wordings do no harm. The direction that
brings a token out by itself is the token's, not the fact's: it is found once for all the facts of a batch, and most
facts are exact with it, so that a fact costs little more than its pass. Vectors are checked as they are saved, in 8
bits.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from labkit.errors import LabkitError
from labkit.shortage import in_parts
from labkit.tuning.bank import Bank, rounded
from labkit.tuning.examples import Example, common_prefix
from labkit.tuning.loss import margins, token_loss
from labkit.tuning.packed import body, packed_attention, run_layers
from labkit.tuning.trunk import Batch, Trunk

_STEP = 0.5  # how far a step moves a hidden state, as a part of its length
_STEPS = 60
ROWS = 64  # facts at a time
BLOCK = 4 * ROWS  # facts that get their keys, and are put into batches, together
_LOUDER = 2.0  # behind the last layer: how much longer a vector is kept than its own wording needs


@dataclass(frozen=True)
class Fact:
    """What an expert is to hold: the fact's name, its wordings as token ids of whole prompts, and its answer."""

    name: str
    wordings: tuple[tuple[int, ...], ...]
    answer: tuple[int, ...]  # with the token that ends it


@dataclass(frozen=True)
class Learnt:
    """Of facts that were added: how many are exact with the margin, the names of the others, steps and tokens run
    through the network. A fact that its own wordings don't pick (another one has the same words) is one of the
    others, however well it was learnt."""

    exact: int
    hard: tuple[str, ...]
    steps: int
    tokens: int


def add(bank: Bank, facts: Sequence[Fact], margin: float = 1.0) -> Learnt:
    """Give each fact an expert and train those, the others untouched. LabkitError for a name that is taken."""
    reserve(bank, facts)
    return reached(bank, facts, learn(bank, facts, margin))


def reserve(bank: Bank, facts: Sequence[Fact]) -> None:
    """Give each fact an expert and a key; nothing is trained. LabkitError for a name that is taken."""
    bank.words.prepare(wording for fact in facts for wording in fact.wordings)
    named = {fact.name: [bank.words.of(wording) for wording in fact.wordings] for fact in facts}
    if len(named) < len(facts):
        raise LabkitError("Two of the facts have one name. Give each its own.")
    bank.reserve(named)
    bank.spelling.add(word for fact in facts for word in set.intersection(*map(bank.words.spelt, fact.wordings)))


def update(bank: Bank, facts: Sequence[Fact], margin: float = 1.0) -> Learnt:
    """Correct facts by name: new answers under the keys that they have."""
    bank.outline.check_known(fact.name for fact in facts)
    return reached(bank, facts, learn(bank, facts, margin))


def asked_anew(bank: Bank, fact: Fact) -> bool:
    """Whether the bank knows a fact of this name by another key than these wordings', which don't pick it: its question
    was corrected, not its answer alone."""
    expert = bank.names.get(fact.name)
    if expert is None or all(bank.pick(wording) == expert for wording in fact.wordings):
        return False
    return not bank.selection.same(expert, [bank.words.of(wording) for wording in fact.wordings])


def reached(bank: Bank, facts: Sequence[Fact], learnt: Learnt) -> Learnt:
    """What was learnt of facts, less those one of whose wordings picks another expert than theirs."""
    lost = [fact.name for fact in facts if any(bank.pick(w) != bank.names[fact.name] for w in fact.wordings)]
    hard = tuple(dict.fromkeys((*learnt.hard, *lost)))
    return replace(learnt, exact=len(facts) - len(hard), hard=hard)


def by_length(facts: Sequence[Fact]) -> list[Fact]:
    """The shortest of each block first, so that a batch's rows have hardly any padding."""
    blocks = [facts[start : start + BLOCK] for start in range(0, len(facts), BLOCK)]
    return [fact for block in blocks for fact in sorted(block, key=lambda f: len(f.wordings[0]) + len(f.answer))]


def learn(bank: Bank, facts: Sequence[Fact], margin: float = 1.0) -> Learnt:
    """Train the experts of facts that have one, whatever is picked."""
    if not facts:
        return Learnt(0, (), 0, 0)
    facts = by_length(facts)
    learner = _Learner(bank, facts, margin)
    with packed_attention(bank.network):
        in_parts(range(len(facts)), ROWS, learner.learn, "fact")
    hard = tuple(facts[i].name for i in sorted(learner.left))
    return Learnt(len(facts) - len(hard), hard, learner.steps, learner.tokens)


class _Learner:
    """The training of some facts' experts, whatever else the bank holds."""

    def __init__(self, bank: Bank, facts: Sequence[Fact], margin: float):
        self.bank, self.facts, self.margin = bank, facts, margin
        examples = [Example(fact.name, fact.wordings[0], fact.answer) for fact in facts]
        self.trunk = Trunk(bank.network, examples, common_prefix(examples), bank.layer + 1)
        self.output = bank.network.get_output_embeddings().weight
        self.left, self.steps, self.tokens = set(range(len(facts))), 0, 0
        self.mean, self.norm = self.output.mean(dim=0), body(bank.network).norm
        self.last = bank.layer + 1 == len(body(bank.network).layers)
        self.louder = _LOUDER if self.last else 1.0

    def learn(self, positions: Sequence[int]) -> None:
        """Vectors for some facts, until all their answers have their margin."""
        whole = self._batch(positions)
        if self.last:
            self._learn_apart(positions, whole)
        else:
            self._learn_together(positions, whole)
        self.left -= self._exact(positions, whole)

    def _learn_apart(self, positions: Sequence[int], batch: Batch) -> None:
        """Behind the last layer no token feels another one's vector, so each is done for itself. It begins in the
        direction that brings out its token alone, half as long as the hidden state."""
        hidden = batch.hidden[0, batch.places]
        reach = _STEP * hidden.float().norm(dim=1, keepdim=True)
        tokens, which = batch.targets.unique(return_inverse=True)
        vectors = reach * torch.nn.functional.normalize(self._directions(tokens)[which], dim=1)
        enough = self._margins(hidden + self._softer(vectors).to(hidden.dtype), batch.targets) >= self.margin
        late = (~enough).nonzero()[:, 0]
        if len(late):
            vectors[late] = self._stepped(vectors[late], hidden[late], reach[late], batch.targets[late])
        self._keep(positions, vectors)

    def _directions(self, tokens: Tensor) -> Tensor:
        """For each token a vector that brings it out alone: in the direction that its own row of the output layer
        points to, then a few steps."""
        rows = (self.output[tokens] - self.mean).float() * self.norm.weight.float()
        reach = torch.ones(len(tokens), 1, device=rows.device)
        return self._stepped(torch.nn.functional.normalize(rows, dim=1), None, reach, tokens)

    def _stepped(self, vectors: Tensor, hidden: Tensor | None, reach: Tensor, targets: Tensor) -> Tensor:
        """Steps of normalised gradient descent, `reach` long, until each vector has its margin, alone and added to its
        hidden state; the best that were seen. All of one length, but reach: (vectors, 1)."""
        best = torch.full((len(vectors),), -math.inf, device=vectors.device)
        kept, going = vectors.clone(), torch.arange(len(vectors), device=vectors.device)
        for _ in range(_STEPS):
            moved = self._softer(vectors[going]).requires_grad_()
            alone = moved.to(self.output.dtype)
            states = alone if hidden is None else torch.cat([hidden[going] + alone, alone])
            found = token_loss(self.norm(states), self.output, targets[going].repeat(len(states) // len(going)))
            margin = found.margin.view(-1, len(going)).amin(dim=0)
            better = margin > best[going]
            best[going[better]], kept[going[better]] = margin[better], vectors[going[better]]
            (gradient,) = torch.autograd.grad(found.loss.sum(), moved)
            left = margin < self.margin
            going, gradient = going[left], gradient[left]
            if not len(going):
                break
            vectors[going] -= reach[going] * torch.nn.functional.normalize(gradient, dim=1)
            self.steps += 1
        return kept

    def _softer(self, vectors: Tensor) -> Tensor:
        """What will be kept, as loud as it must be."""
        return rounded(self.louder * vectors).float() / self.louder

    def _margins(self, hidden: Tensor, targets: Tensor) -> Tensor:
        return margins(self.norm(hidden), self.output, targets)

    def _learn_together(self, positions: Sequence[int], batch: Batch) -> None:
        """The same where layers follow, in which a fact's tokens meet: until all of a fact's have their margin."""
        going, size, device = list(positions), batch.hidden.shape[2], batch.hidden.device
        vectors = {i: torch.zeros(len(self.facts[i].answer), size, device=device) for i in going}
        best = dict.fromkeys(going, -math.inf)
        for _ in range(_STEPS):
            moved = self._softer(torch.cat([vectors[i] for i in going])).requires_grad_()
            found = token_loss(self._states(batch, moved), self.output, batch.targets)
            found.loss.sum().backward()
            reach = batch.hidden[0, batch.places].float().norm(dim=1, keepdim=True)
            step = _STEP * reach * torch.nn.functional.normalize(moved.grad, dim=1)
            step[found.margin >= self.margin] = 0  # tokens that are exact stay where they are
            self.steps += 1
            lengths = [len(vectors[i]) for i in going]
            for i, change, margin in zip(going, step.split(lengths), found.margin.split(lengths), strict=True):
                if margin.min() > best[i]:
                    best[i] = margin.min().item()
                    self._keep([i], vectors[i])
                vectors[i] = vectors[i] - change
            left = [i for i in going if best[i] < self.margin]
            if not left:
                break
            if 2 * len(left) <= len(going):
                going, batch = left, self._batch(left)

    def _keep(self, positions: Sequence[int], vectors: Tensor) -> None:
        """Put vectors, of these facts' answer tokens in order, into their experts."""
        lengths = [len(self.facts[i].answer) for i in positions]
        for i, part in zip(positions, rounded(self.louder * vectors).split(lengths), strict=True):
            self.bank.vectors[self._expert(i)] = part.clone()

    @torch.no_grad()
    def _exact(self, positions: Sequence[int], batch: Batch) -> set[int]:
        """Those whose every answer token has the margin with the vectors as they are kept."""
        kept = [self.bank.vectors[self._expert(i)] for i in positions]
        found = margins(self._states(batch, torch.cat(kept)), self.output, batch.targets)
        parts = found.split([len(vectors) for vectors in kept])
        return {i for i, margin in zip(positions, parts, strict=True) if margin.min() >= self.margin}

    def _expert(self, position: int) -> int:
        return self.bank.names[self.facts[position].name]

    @torch.no_grad()
    def _batch(self, positions: Sequence[int]) -> Batch:
        batch = self.trunk.batch(positions)
        self.tokens += batch.hidden.shape[1]
        return batch

    def _states(self, batch: Batch, moved: Tensor) -> Tensor:
        """What the output layer sees of each answer token with `moved` (answer tokens, size) added at its place."""
        network, inner = self.bank.network, body(self.bank.network)
        hidden = batch.hidden[0].index_add(0, batch.places, moved.to(batch.hidden.dtype))[None]
        if not self.last:
            hidden = run_layers(network, hidden, batch.layout, self.bank.layer + 1, len(inner.layers))
            self.tokens += hidden.shape[1]
        return inner.norm(hidden[0, batch.places])
