"""Which expert a text is about, by sentences as vectors: a frozen selection of the k nearest keys, found by faiss.

The other choice beside the words of `selection` (`labkit remember --selection faiss`), nearer to what the outline of a
mixture of memory experts says (`mome`): a key is the vector of a fact's question by the kit's sentence encoder
(`encoder`, MiniLM), a text's score the cosine (faiss: Douze et al. 2024, "The Faiss library", arXiv 2401.08281). From
_TELLING facts on the mean of the facts' vectors, which is what their wordings have in common, is subtracted from keys
and texts, so that names count. It is settled then and never changes; fewer facts tell no mean, and few strangers come
near them. Of facts that are forgotten it keeps their part in that mean.

Exact below _EXACT keys. From there on an inverted file of as many lists as the root of the keys: those of the _READ
lists nearest to a text are looked at, so time grows with the root. A fact's own wording is always found, for it leads
to its own list. The file is made anew when the keys are four times as many.

The threshold is measured (EXPERIMENTS.md, "memory experts picked by faiss"): 1,000 strangers asked for in the trained
wording of 1,000 facts pick one for 13 of 1,000 at 0.8, and 98 % of other wordings still pick their own; the words of
`selection` pick none and all. Facts in mixed wordings have less in common: 78 % there. Nothing is forgiven that an
encoder doesn't: it knows no slip of the pen for one.
"""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from os.path import commonprefix

import numpy as np

from labkit.encoder import Encoder, load_encoder
from labkit.errors import LabkitError
from labkit.tuning.selection import Pick

THRESHOLD = 0.8  # of the cosine
_MISSING = "A selection by faiss takes the package faiss-cpu: pip install 'labkit[faiss]'"
_TELLING = 32  # facts from which it can be told what they have in common
_EXACT = 16_384  # keys
_READ = 32  # lists of an inverted file
_MOST = 64  # keys a list that it is made from
_EMPTY = 1 << 40  # where the numbers of random keys begin
_TIES = 4  # keys looked at beyond the best, since of equal ones the first is to be picked
_KEPT = 4_096  # texts whose vectors are kept


def check_faiss() -> None:
    """LabkitError where faiss is not installed: said before any work."""
    if find_spec("faiss") is None:
        raise LabkitError(_MISSING)


def frame(texts: Sequence[str]) -> tuple[str, str]:
    """What stands before and behind the question in whole prompts, given some that differ in the question alone."""
    return commonprefix(texts), commonprefix([text[::-1] for text in texts])[::-1]


class Sentences:
    """Prompts as token ids to vectors of their questions, (384,) float32, of length 1. `around`: what stands before and
    behind a question, as text (`frame`)."""

    def __init__(self, tokenizer, around: tuple[str, str] = ("", ""), encoder: Encoder | None = None):
        self.tokenizer, self.around, self.encoder = tokenizer, around, encoder or load_encoder()
        self.kept: dict[str, np.ndarray] = {}

    def prepare(self, prompts: Iterable[Sequence[int]]) -> None:
        """Encode several at once, which `of` then knows."""
        new = sorted({self._question(prompt) for prompt in prompts} - self.kept.keys())
        if len(self.kept) + len(new) > _KEPT:
            self.kept.clear()
        if new:
            self.kept |= zip(new, self.encoder(new), strict=True)

    def of(self, prompt: Sequence[int]) -> np.ndarray:
        """The vector of one."""
        text = self._question(prompt)
        if text not in self.kept:
            self.prepare([prompt])
        return self.kept[text]

    def spelt(self, prompt: Sequence[int]) -> set[str]:
        """No words: nothing is corrected here."""
        return set()

    def _question(self, prompt: Sequence[int]) -> str:
        text = self.tokenizer.decode(list(prompt), skip_special_tokens=True)
        return text.removeprefix(self.around[0]).removesuffix(self.around[1]).strip()


class Nearest:
    """Keys of experts by number, (384,) float16 each. `threshold`: the least cosine that picks one."""

    def __init__(self, threshold: float = THRESHOLD):
        check_faiss()
        self.threshold = threshold
        self.keys: dict[int, np.ndarray] = {}  # expert -> its question's vector, as it is
        self.centre: np.ndarray | None = None  # what is subtracted, once it is settled
        self.random: list[tuple[range, int]] = []  # experts that hold nothing, and the seed of their keys
        self._index, self._made = None, 0  # of faiss, and how many keys it was made from

    def add(self, facts: dict[int, Sequence[np.ndarray]]) -> None:
        """Keys for experts: of each the mean of its wordings' vectors."""
        new = {expert: _key(wordings) for expert, wordings in facts.items()}
        self.keys |= new
        if self.centre is None and len(self.keys) >= _TELLING:
            self.settle(np.mean(np.stack(list(self.keys.values())), axis=0, dtype=np.float32))
        self._put(list(new), list(new.values()))

    def settle(self, centre: np.ndarray | None) -> None:
        """Subtract this from keys and texts from now on."""
        self.centre, self._index = centre, None

    def asked(self, expert: int) -> np.ndarray:
        """What an expert's fact is asked by."""
        return self.keys[expert].astype(np.float32)

    def same(self, expert: int, wordings: Sequence[np.ndarray]) -> bool:
        """Whether an expert's key is the one of these wordings, but for rounding."""
        return bool(np.allclose(self.keys[expert], _key(wordings), atol=2e-3))

    def join(self, other: "Nearest", first: int) -> None:
        """Take over another one's keys, for experts counted from `first` on, and its centre where none is settled."""
        if self.centre is None:
            self.settle(other.centre)
        self.add({first + expert: [key] for expert, key in other.keys.items()})

    def fill(self, experts: Sequence[int], seed: int = 0) -> None:
        """Random keys for experts that hold nothing yet."""
        self.random.append((range(experts[0], experts[-1] + 1), seed))
        self._index = None

    def remove(self, experts: Iterable[int]) -> None:
        """Forget the keys of some experts."""
        gone = [expert for expert in experts if self.keys.pop(expert, None) is not None]
        if self._index is not None:
            self._index.remove_ids(np.array(gone, np.int64))

    def pick(self, vector: np.ndarray, k: int = 1) -> list[Pick]:
        """The `k` best experts at or above the threshold, best first; of equal ones the first."""
        if not self.keys:
            return []
        if self._index is None:
            self._build()
        scores, experts = self._index.search(self._moved(vector[None]), k + _TIES)
        near = zip(scores[0].tolist(), experts[0].tolist(), strict=True)
        good = [(-round(s, 5), e) for s, e in near if e in self.keys and s >= self.threshold - 1e-6]
        return [Pick(expert, -score) for score, expert in sorted(good)[:k]]

    def _moved(self, vectors: np.ndarray) -> np.ndarray:
        """Seen from the centre, each of length 1: (n, 384) float32."""
        moved = vectors.astype(np.float32) - (0 if self.centre is None else self.centre)
        return moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-6)

    def _put(self, experts: Sequence[int], keys: Sequence[np.ndarray]) -> None:
        """Into the index that is there, unless so many are better found by another."""
        if self._index is None or not experts:
            return
        total = self._index.ntotal + len(experts)
        if total >= 4 * self._made or self._made < _EXACT <= total:
            self._index = None
        else:
            self._index.add_with_ids(self._moved(np.stack(keys)), np.array(experts, np.int64))

    def _build(self) -> None:
        """The index over all keys."""
        import faiss

        every = [self._moved(np.stack(list(self.keys.values())))]
        numbers = [np.array(list(self.keys), np.int64)]
        for experts, seed in self.random:
            drawn = np.random.default_rng(seed).standard_normal((len(experts), every[0].shape[1]), np.float32)
            every.append(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))
            numbers.append(_EMPTY + np.array(experts, np.int64))
        vectors, (count, width) = np.concatenate(every), (sum(map(len, every)), every[0].shape[1])
        if count < _EXACT:
            self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(width))
        else:
            lists = int(count**0.5)
            self._index = faiss.index_factory(width, f"IVF{lists},Flat", faiss.METRIC_INNER_PRODUCT)
            self._index.train(np.random.default_rng(0).permutation(vectors)[: _MOST * lists])
            self._index.nprobe = _READ
        self._index.add_with_ids(vectors, np.concatenate(numbers))
        self._made = count


def _key(wordings: Sequence[np.ndarray]) -> np.ndarray:
    """As it is read again from a file."""
    return np.mean(np.stack(wordings), axis=0, dtype=np.float32).astype(np.float16)
