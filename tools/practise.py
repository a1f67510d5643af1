"""Trains the starter adapter on token files: a large batch of plain PyTorch, made for a GPU, with no labkit in it.

`make_starter.py` writes the tokens (`tokens.npz`) and puts what comes out in its place. Only torch, transformers, numpy
and safetensors are needed here, so that a borrowed GPU machine can do it:

    python practise.py tokens.npz MODEL_FOLDER OUT.safetensors --minutes 5

The loss is the mean over answer tokens; the rate warms up, then falls along half a cosine of the minutes. LoRA is as in
`labkit.tuning.lora`, and the file has PEFT's names. With `--start FILE` it goes on from an adapter.
"""

import argparse
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SCALE = 2.0  # alpha / rank
HELD_BACK = 250  # one pair of so many is not trained on: the loss there is told at the end
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class LoRALinear(nn.Module):
    """y = W x + scale * B A x."""

    def __init__(self, base: nn.Linear, rank: int, generator: torch.Generator):
        super().__init__()
        self.base = base
        start = torch.rand(rank, base.in_features, generator=generator) * 2 - 1
        self.A = nn.Parameter((start / math.sqrt(base.in_features)).to(DEVICE))
        self.B = nn.Parameter(torch.zeros(base.out_features, rank, device=DEVICE))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + (x @ self.A.to(x.dtype).t()) @ (self.B * SCALE).to(x.dtype).t()


def attach(network, rank: int, start: Path | None) -> dict[str, LoRALinear]:
    """Adapters on all linear layers of all blocks, by PEFT's names; with the factors of `start`, if given."""
    generator, found = torch.Generator().manual_seed(0), {}
    kept = load_file(start) if start else {}
    network.requires_grad_(False)
    for index, layer in enumerate(network.model.layers):
        for name, module in list(layer.named_modules()):
            parent, _, last = name.rpartition(".")
            if last in TARGETS:
                adapter = LoRALinear(module, rank, generator)
                setattr(layer.get_submodule(parent), last, adapter)
                found[f"base_model.model.model.layers.{index}.{name}"] = adapter
    with torch.no_grad():
        for name, adapter in found.items() if kept else ():
            adapter.A.copy_(kept[f"{name}.lora_A.weight"])
            adapter.B.copy_(kept[f"{name}.lora_B.weight"])
    return found


def save(adapters: dict[str, LoRALinear], path: Path) -> None:
    tensors = {}
    for name, adapter in adapters.items():
        tensors[f"{name}.lora_A.weight"] = adapter.A.detach().half().cpu().contiguous()
        tensors[f"{name}.lora_B.weight"] = adapter.B.detach().half().cpu().contiguous()
    part = path.with_suffix(".part")
    save_file(tensors, part, {"format": "pt"})
    part.replace(path)


class Pairs:
    """Token ids of all pairs in one array: the common `prefix` apart, where each begins (`off`), and how long the rest
    of its prompt is (`cut`)."""

    def __init__(self, path: Path):
        with np.load(path) as kept:
            self.prefix, self.flat = kept["prefix"].astype(np.int64), kept["flat"]
            self.off, self.cut = kept["off"].astype(np.int64), kept["cut"].astype(np.int64)
        self.lengths = np.diff(self.off) + len(self.prefix)

    def batch(self, rows: list[int]) -> tuple[Tensor, Tensor]:
        """Ids and labels of some pairs, shape (pairs, tokens), padded on the right; -100 where nothing is learnt."""
        width = -(-int(max(self.lengths[rows])) // 8) * 8
        ids, labels = np.zeros((len(rows), width), np.int64), np.full((len(rows), width), -100, np.int64)
        for i, row in enumerate(rows):
            own = self.flat[self.off[row] : self.off[row + 1]]
            text = np.concatenate([self.prefix, own])
            first = len(self.prefix) + self.cut[row]
            ids[i, : len(text)] = text
            labels[i, first - 1 : len(text) - 1] = text[first:]
        return torch.from_numpy(ids).to(DEVICE), torch.from_numpy(labels).to(DEVICE)

    def batches(self, rows: list[int], tokens: int, rng: random.Random) -> list[list[int]]:
        """Rows in random order, in batches of one length or so, each of some `tokens` tokens."""
        rows, found = rng.sample(rows, len(rows)), []
        for begin in range(0, len(rows), 4096):
            size = 0
            for row in sorted(rows[begin : begin + 4096], key=lambda r: self.lengths[r]):
                if not size or (size + 1) * (self.lengths[row] + 7) > tokens:
                    found.append([])
                    size = 0
                found[-1].append(row)
                size += 1
        return rng.sample(found, len(found))


def losses(network, ids: Tensor, labels: Tensor) -> Tensor:
    """The loss of each answer token, shape (answer tokens,)."""
    with torch.autocast(DEVICE, torch.bfloat16, enabled=DEVICE == "cuda"):
        hidden = network.model(input_ids=ids, use_cache=False).last_hidden_state
        learnt = labels >= 0
        logits = hidden[learnt] @ network.lm_head.weight.t()
    return nn.functional.cross_entropy(logits.float(), labels[learnt], reduction="none")


def practise(network, adapters, pairs: Pairs, rows, options) -> dict:
    """AdamW for so many minutes; figures of the training."""
    factors = [factor for adapter in adapters.values() for factor in (adapter.A, adapter.B)]
    optimizer = torch.optim.AdamW(factors, lr=options.rate, betas=(0.9, 0.99), weight_decay=0.0)
    rng, seconds, begun, told = random.Random(0), options.minutes * 60, time.time(), 0.0
    queue, steps, seen, tokens = [], 0, 0, 0
    while (part := (time.time() - begun) / seconds) < 1:
        queue = queue or pairs.batches(rows, options.tokens, rng)
        chosen = queue.pop()
        warm = min(1.0, (steps + 1) / 50)
        for group in optimizer.param_groups:
            group["lr"] = options.rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * part)))
        ids, labels = pairs.batch(chosen)
        loss = losses(network, ids, labels).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(factors, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        steps, seen, tokens = steps + 1, seen + len(chosen), tokens + ids.numel()
        if time.time() - told > 15:
            told = time.time()
            print(f"{part:4.0%}  step {steps:,}  {seen:,} pairs  loss {loss.item():.3f}", flush=True)
            save(adapters, options.out)
    return {"steps": steps, "pairs_seen": seen, "tokens": tokens, "seconds": round(time.time() - begun, 1)}


@torch.no_grad()
def held_back_loss(network, pairs: Pairs, rows: list[int], tokens: int) -> float:
    """Nats a query on pairs that were not trained on."""
    batches = pairs.batches(rows, tokens, random.Random(0))
    return sum(losses(network, *pairs.batch(batch)).sum().item() for batch in batches) / len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--tokens", type=int, default=16_384, help="a batch")
    parser.add_argument("--start", type=Path)
    options = parser.parse_args()
    dtype = torch.bfloat16 if DEVICE == "cuda" else torch.float32
    network = AutoModelForCausalLM.from_pretrained(options.model, dtype=dtype).to(DEVICE).eval()
    adapters, pairs = attach(network, options.rank, options.start), Pairs(options.pairs)
    order = list(range(len(pairs.cut)))
    held_back = order[::HELD_BACK]
    rows = [row for row in order if row % HELD_BACK]
    figures = practise(network, adapters, pairs, rows, options)
    save(adapters, options.out)
    figures |= {
        "device": torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU",
        "rank": options.rank,
        "trained": len(rows),
        "nats_a_query_held_back": round(held_back_loss(network, pairs, held_back, options.tokens), 3),
        "torch": torch.__version__,
    }
    options.out.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
