"""Memory experts, tried in other ways than the kit's: how a key is made, where experts sit, what shape they have, how
many are picked, which index finds them. `python benchmarks/mome_trials.py`; figures into mome.json, the tables to the
terminal.

A way to key is judged without any training: by the share of other wordings that pick their own fact, at its own
threshold and at the one that lets no near negative in a hundred pass. A way to hold facts is judged by recall,
trained wordings and others, and by processor seconds. What the kit keeps stands in each table. An index is judged on
the best vectors that the keys found (a sentence encoder's, projected), among 1,000 keys to 1,048,576, beside the kit's
words; it takes faiss (`pip install 'labkit[faiss]'`) and runs with `--only indexes`.
"""

import argparse
import json
import time
from itertools import zip_longest

import numpy as np
import torch
from bench_mome import CHAT, keep
from torch import Tensor
from torch.nn.functional import normalize

import labkit
from labkit.datagen.facts import fact_wordings, near_negatives, random_facts
from labkit.decoding import prompt_tokens
from labkit.encoder import load_encoder
from labkit.tuning import mome
from labkit.tuning.bank import Bank, _Route
from labkit.tuning.loss import token_loss
from labkit.tuning.packed import body, packed_attention
from labkit.tuning.selection import Words

# --- keys


def told(scores: np.ndarray, strangers: np.ndarray, threshold: float | None = None) -> dict:
    """Of texts by rows and facts by columns, text i being about fact i modulo the facts: own facts picked, strangers
    that pick one. Without a threshold the least that lets at most one stranger in a hundred pass."""
    most = strangers.max(axis=1)
    threshold = np.nextafter(np.quantile(most, 0.99, method="higher"), np.inf) if threshold is None else threshold
    own = np.arange(len(scores)) % scores.shape[1]
    nearest = scores.argmax(axis=1) == own
    right = nearest & (scores.max(axis=1) >= threshold - 1e-6)
    return {
        "own fact nearest": f"{nearest.sum()} of {len(right)}",
        "threshold": round(float(threshold), 3),
        "own fact picked": f"{right.sum()} of {len(right)}",
        "strangers that pick one": f"{(most >= threshold - 1e-6).sum()} of {len(most)}",
    }


def by_words(model, words: Words, known: list[list[str]], texts: list[str]) -> np.ndarray:
    """Scores of the kit's keys, each of some wordings."""
    bank = Bank(model, words=words)
    of = lambda many: [words.of(p) for p in prompt_tokens(model, [CHAT(text, "") for text in many])]  # noqa: E731
    bank.reserve({str(i): of(wordings) for i, wordings in enumerate(known)})
    bank.selection.threshold = 0.01  # all scores are asked for
    scores = np.zeros((len(texts), len(known)))
    for row, found in enumerate(of(texts)):
        for pick in bank.selection.pick(found, k=len(known)):
            scores[row, pick.expert] = pick.score
    return scores


@torch.inference_mode()
def states(model, layers: list[int], texts: list[str]) -> dict[str, np.ndarray]:
    """Vectors of texts by the network itself: the mean of their tokens and the last one, behind some layers. A first
    token, whose state is like no other's, goes before them and is left out."""
    found: dict[str, list] = {}
    for text in texts:
        first = [model.tokenizer.bos_token_id]
        tokens = torch.tensor([first + model.tokenizer(text, add_special_tokens=False).input_ids])
        hidden = body(model.network)(tokens, output_hidden_states=True).hidden_states
        for layer in layers:
            state = hidden[layer + 1][0, 1:].float()
            found.setdefault(f"mean behind layer {layer}", []).append(state.mean(dim=0))
            found.setdefault(f"last token behind layer {layer}", []).append(state[-1])
    return {name: torch.stack(rows).numpy() for name, rows in found.items()}


def unit(vectors: np.ndarray) -> np.ndarray:
    """Each of length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def projection(vectors: np.ndarray, wordings: int, size: int = 128, steps: int = 200) -> np.ndarray:
    """(width, size): brings the wordings of one fact together and those of others apart (InfoNCE), learnt on facts of
    its own and frozen. vectors: by wording, then by fact."""
    draw, given = torch.Generator().manual_seed(0), torch.from_numpy(vectors).view(wordings, -1, vectors.shape[1])
    weights = (torch.randn(vectors.shape[1], size, generator=draw) / size**0.5).requires_grad_()
    optimizer = torch.optim.AdamW([weights], lr=3e-3)
    for _ in range(steps):
        one, other = torch.randperm(wordings, generator=draw)[:2].tolist()
        left, right = (normalize(given[which] @ weights, dim=1) for which in (one, other))
        loss = torch.nn.functional.cross_entropy(left @ right.T / 0.05, torch.arange(len(left)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weights.detach().numpy()


def keys(model, count: int) -> list[dict]:
    """Ways to make a key, judged."""
    facts, words, rows = list(random_facts(count)), Words(model.tokenizer), []
    own, strangers = [fact.question for fact in facts], list(near_negatives(facts, count))
    never = list(zip(*map(fact_wordings, facts), strict=True))  # by wording

    def judge(way: str, scores, thresholds=(None,)) -> None:
        found = [told(scores[0], scores[1], threshold) for threshold in thresholds]
        rows.extend({"key": way} | one for one in found)

    for wordings in (1, 2, 3):
        known = [list(w) for w in zip(own, *never[: wordings - 1], strict=True)]
        texts = [text for wording in never[2:] for text in wording]  # in none of the keys
        scores = [by_words(model, words, known, some) for some in (texts, strangers)]
        judge(f"words of {wordings} wordings", scores, (0.5, 0.7, 0.8, 0.9, 1.0) if wordings == 1 else (0.9,))
    others = list(random_facts(2 * count))[count:]  # the projection's own
    theirs = [[f.question for f in others], *zip(*map(fact_wordings, others), strict=True)][:3]
    encoder, parts = load_encoder(), (own, texts, strangers, [text for wording in theirs for text in wording])
    vectors = [states(model, [9, 19, 29], part) | {"MiniLM": encoder(part)} for part in parts]
    for way in vectors[0]:
        learnt = vectors[3][way]
        centre, spread = learnt.mean(axis=0), learnt.std(axis=0) + 1e-6
        standard = [(part[way] - centre) / spread for part in vectors]
        turned = projection(unit(standard[3]), len(theirs))
        for kind, some in (
            ("", [part[way] for part in vectors]),
            (", standardised", standard),
            (", projection learnt", [unit(part) @ turned for part in standard]),
        ):
            key, asked, strange = map(unit, some[:3])
            judge(f"cosine, {way}{kind}", [asked @ key.T, strange @ key.T])
    return rows


# --- indexes

SIZES, WIDTH = (1_000, 100_000, 1_048_576), 128  # keys; of a vector
LISTS, NEAREST = 8, 32  # of an inverted file, that are read; pairs of half keys that are looked at


def projected(count: int) -> list[np.ndarray]:
    """Unit vectors (texts, WIDTH) of some facts' own wordings, of three wordings that no key was made of (by wording,
    then by fact), of as many strangers in the own wording, and of other facts, on which the projection was learnt."""
    facts, encoder = list(random_facts(2 * count)), load_encoder()
    asked = [text for wording in list(zip(*map(fact_wordings, facts[:count]), strict=True))[2:] for text in wording]
    theirs = [[f.question for f in facts[count:]], *zip(*map(fact_wordings, facts[count:]), strict=True)][:3]
    parts = (
        [fact.question for fact in facts[:count]],
        asked,
        near_negatives(facts[:count], count),
        sum(map(list, theirs), []),
    )
    raw = [encoder(list(part)) for part in parts]
    centre, spread = raw[3].mean(axis=0), raw[3].std(axis=0) + 1e-6
    standard = [unit((part - centre) / spread) for part in raw]
    turned = projection(standard[3], len(theirs), WIDTH)
    return [unit(part @ turned).astype(np.float32) for part in standard]


class ProductKeys:
    """`size` experts or a few more, each with a pair of half keys for its own, so that 2 sqrt(size) products find the
    best pairs (Lample et al. 2019). A fact gets the expert whose pair is nearest to its own wording; where that one is
    taken, it has none. Of the NEAREST pairs of a text the first that a fact has is picked. Halves are those of other
    facts' vectors, and random ones."""

    def __init__(self, key: np.ndarray, others: np.ndarray, size: int):
        self.side, draw = int(np.ceil(size**0.5)), np.random.default_rng(0)
        more = draw.normal(size=(max(0, self.side - len(others)), WIDTH))
        some = np.concatenate([draw.permutation(others)[: self.side], unit(more) if len(more) else more])
        self.halves = [unit(half).astype(np.float32) for half in np.split(some, 2, axis=1)]
        self.held: dict[int, int] = {}
        for fact, vector in enumerate(key):
            self.held.setdefault(self.cells(vector)[0][0], fact)

    def cells(self, vector: np.ndarray) -> list[tuple[int, float]]:
        """The NEAREST pairs, best first, each with its score."""
        scores = [half @ part for half, part in zip(self.halves, np.split(vector, 2), strict=True)]
        first, second = (np.argpartition(-one, NEAREST - 1)[:NEAREST] for one in scores)
        sums = scores[0][first, None] + scores[1][second]
        best = np.argsort(-sums, axis=None)[:NEAREST]
        return [
            (int(first[at // NEAREST]) * self.side + int(second[at % NEAREST]), float(sums.flat[at])) for at in best
        ]

    def __call__(self, vector: np.ndarray) -> tuple[int | None, float]:
        found = ((self.held[cell], score) for cell, score in self.cells(vector) if cell in self.held)
        return next(found, (None, 0.0))


def faiss_index(kind: str, key: np.ndarray, size: int):
    """Vector -> its nearest key and their cosine, by an index of faiss over `key` and random keys, `size` in all."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.index_factory(WIDTH, kind, faiss.METRIC_INNER_PRODUCT)
    more = np.random.default_rng(1).normal(size=(size - len(key), WIDTH)).astype(np.float32)
    every = np.concatenate([key, unit(more)])
    index.train(every[:40_000])
    index.add(every)
    if kind.startswith("IVF"):
        index.nprobe = LISTS

    def nearest(vector: np.ndarray) -> tuple[int, float]:
        scores, found = index.search(vector[None], 1)
        return int(found[0, 0]), float(scores[0, 0])

    return nearest


def found_by(pick, asked, strangers, count: int, threshold: float | None = None) -> dict:
    """What `pick` (a text's vector or words -> fact or None, score) finds: text i is about fact i modulo `count`."""
    begun = time.process_time()
    picked = [pick(one) for one in asked]
    micro = 1e6 * (time.process_time() - begun) / len(asked)
    most = np.array([-np.inf if fact is None or fact >= count else score for fact, score in map(pick, strangers)])
    if threshold is None:
        threshold = np.nextafter(np.quantile(most, 0.99, method="higher"), np.inf)
    own = [fact == i % count for i, (fact, _) in enumerate(picked)]
    right = [is_own and score >= threshold - 1e-6 for is_own, (_, score) in zip(own, picked, strict=True)]
    return {
        "own expert nearest": f"{sum(own)} of {len(own)}", "threshold": f"{threshold:.3g}",
        "own expert picked": f"{sum(right)} of {len(own)}",
        "strangers that pick one": f"{(most >= threshold - 1e-6).sum()} of {len(most)}",
        "processor microseconds a pick": round(micro),
    }  # fmt: skip


def indexes(model, count: int) -> list[dict]:
    """Indexes over vectors, and the kit's over words, among more and more keys. Making the vector or reading the words
    is not in the time."""
    key, asked, strangers, others = projected(count)
    facts, words, rows = list(random_facts(count)), Words(model.tokenizer), []
    never = [text for wording in list(zip(*map(fact_wordings, facts), strict=True))[2:] for text in wording]
    of = lambda many: [words.of(p) for p in prompt_tokens(model, [CHAT(text, "") for text in many])]  # noqa: E731
    own, mine, theirs = of([f.question for f in facts]), of(never), of(near_negatives(facts, count))
    for size in SIZES:
        bank = Bank(model, words=words)
        bank.reserve({str(i): [wording] for i, wording in enumerate(own)})
        bank.fill(size)
        by_word = lambda text, s=bank.selection: next(((p.expert, p.score) for p in s.pick(text)), (None, 0.0))  # noqa: E731
        ways = {"words, the kit's": (by_word, mine, theirs, 0.9)}
        for name, kind in (("exact", "Flat"), ("inverted file", f"IVF{int(size**0.5)},Flat")):
            ways[f"faiss, {name} ({kind})"] = faiss_index(kind, key, size), asked, strangers, None
        ways["product keys"] = ProductKeys(key, others, size), asked, strangers, None
        for name, (pick, texts, strange, threshold) in ways.items():
            rows.append({"index": name, "keys": size} | found_by(pick, texts, strange, count, threshold))
            print(json.dumps(rows[-1]), flush=True)
    return rows


# --- experts


class Several(Bank):
    """The `k` best experts of a question, their vectors added up."""

    k = 2

    def route(self, prompts) -> None:
        self.routes = []
        for prompt in prompts:
            held = [self.vectors[pick.expert] for pick in self.selection.pick(self.words.of(prompt), k=self.k)]
            summed = [sum(row for row in rows if row is not None) for rows in zip_longest(*held)]
            self.routes.append(_Route(torch.stack(summed) if summed else None, len(prompt)))


class Ranked(Bank):
    """An expert is A (rank, size) and B (rank, size): h + B^T A norm(h) at each token of the answer."""

    def _hook(self, module, arguments, options, output):
        positions = options.get("position_ids")
        hidden = output[0] if isinstance(output, tuple) else output
        for row, route in enumerate(self.routes[: len(hidden)]):
            if route.vectors is not None:
                at = positions[row if len(positions) > 1 else 0] >= route.prompt - 1
                hidden[row, at] += moved(hidden[row, at], *route.vectors.float()).to(hidden.dtype)
        return output


class Layers:
    """Two banks at once, behind two layers."""

    def __init__(self, *banks: Bank):
        self.banks = banks

    def __getattr__(self, name: str):
        return lambda *given: [getattr(bank, name)(*given) for bank in self.banks]

    def attached(self):
        from contextlib import ExitStack

        stack = ExitStack()
        for bank in self.banks:
            stack.enter_context(bank.attached())
        return stack


def moved(hidden: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """What an expert of matrices adds: (..., size)."""
    return normalize(hidden.float(), dim=-1) @ a.transpose(-1, -2) @ b


def ranked(model, facts: list[mome.Fact], words: Words, rank: int) -> Ranked:
    """Experts of low rank behind the last layer, each learnt for itself by Adam until exact with a margin of 1."""
    bank = Ranked(model, words=words)
    mome.reserve(bank, facts)
    network, output = model.network, model.network.get_output_embeddings().weight
    for start in range(0, len(facts), mome.ROWS):
        part = mome.by_length(facts)[start : start + mome.ROWS]
        learner = mome._Learner(bank, part, 1.0)
        with packed_attention(network):
            batch = learner._batch(range(len(part)))
        hidden, size = batch.hidden[0, batch.places].float(), batch.hidden.shape[2]
        draw = torch.Generator().manual_seed(0)
        a = torch.randn(len(part), rank, size, generator=draw).requires_grad_()
        b = torch.zeros(len(part), rank, size).requires_grad_()
        optimizer = torch.optim.Adam([a, b], lr=0.02 * float(hidden.norm(dim=1).mean()) / size**0.5)
        for _ in range(200):
            change = moved(hidden[:, None], a[batch.rows], b[batch.rows])[:, 0]
            found = token_loss(body(network).norm((hidden + change).to(output.dtype)), output, batch.targets)
            if found.margin.min() >= 1:
                break
            optimizer.zero_grad()
            found.loss.sum().backward()
            optimizer.step()
        bank.vectors |= {bank.names[f.name]: torch.stack([a[i], b[i]]).detach() for i, f in enumerate(part)}
    return bank


def experts(model, count: int) -> list[dict]:
    """Ways to hold facts, judged."""
    questions, words = list(random_facts(count)), Words(model.tokenizer)
    prompts = prompt_tokens(model, [CHAT(q.question, "") for q in questions])
    answers = model.tokenizer([q.answer for q in questions], add_special_tokens=False).input_ids
    end, rows = model.tokenizer.eos_token_id, []
    facts = [mome.Fact(q.id, (p,), (*a, end)) for q, p, a in zip(questions, prompts, answers, strict=True)]
    others = [fact_wordings(q)[i % 5] for i, q in enumerate(questions)]

    def judge(way: str, bank, seconds: float) -> None:
        model.experts = bank
        found = {}
        for name, texts in (("recalled", [q.question for q in questions]), ("other wordings", others)):
            given = model.chat([CHAT(text, "") for text in texts], max_new_tokens=8, progress=False)
            right = sum(reply.strip() == q.answer for reply, q in zip(given, questions, strict=True))
            found[name] = f"{right} of {count}"
        model.experts = None
        rows.append({"expert": way} | found | {"processor seconds": round(seconds, 1)})
        print(json.dumps(rows[-1]), flush=True)

    def learnt(bank: Bank) -> tuple[Bank, float]:
        begun = time.process_time()
        mome.add(bank, facts)
        return bank, time.process_time() - begun

    banks, last = {}, len(body(model.network).layers) - 1
    for layer in (last, last - 1, last - 5, last - 10, last - 20):
        banks[layer], seconds = learnt(Bank(model, layer, words=words))
        judge(f"a vector a token, behind layer {layer}", banks[layer], seconds)
    judge(f"the same behind layers {last - 10} and {last}", Layers(banks[last - 10], banks[last]), 0.0)
    for threshold in (0.9, 0.5, 0.3):
        several, seconds = learnt(Several(model, threshold=threshold, words=words))
        judge(f"the two best, behind layer {last}, threshold {threshold}", several, seconds)
    for rank in (1, 4):
        begun = time.process_time()
        bank = ranked(model, facts, words, rank)
        judge(f"rank {rank}, behind layer {last}", bank, time.process_time() - begun)
    return rows


def table(rows: list[dict]) -> str:
    """Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(row.values() for row in rows)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--facts", type=int, default=100)
    parser.add_argument("--only", choices=["keys", "experts", "indexes"])
    parser.add_argument("--model", default="smollm2-135m")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = labkit.load_model(options.model)
    trials = {"keys": keys, "experts": experts, "indexes": indexes}
    for name in [options.only] if options.only else ["keys", "experts"]:
        trial = trials[name]
        found = trial(model, options.facts)
        keep(f"trials of {name}, {options.facts} facts", {"rows": found, "dtype": model.dtype})
        print(table(found), flush=True)


if __name__ == "__main__":
    main()
