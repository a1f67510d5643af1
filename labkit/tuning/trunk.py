"""The frozen part of a network below the adapters: what it makes of each example, computed once and kept.

Layers below the first adapter never change, so the hidden states that enter it are the same in every pass. They are
kept in one file (memory-mapped: read by page, not into memory), and a manifest that says what they are of is written
last: a cache without a manifest was interrupted and is made anew. Where each example is seen only once, nothing is
kept.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from labkit.home import write_atomically
from labkit.notices import notice
from labkit.shortage import fits, halved
from labkit.tuning.examples import Example
from labkit.tuning.packed import Layout, body, run_layers

_ROWS, TOKENS = 32, 4096  # at most so many examples and tokens a forward pass


@dataclass(frozen=True)
class Batch:
    """Hidden states of some examples as a flat row (see `packed`), and where their answers are predicted."""

    hidden: Tensor  # (1, prefix + rows x columns, size)
    layout: Layout
    places: Tensor  # (answer tokens,): the position before each answer token
    targets: Tensor  # (answer tokens,): the token to predict there
    rows: Tensor  # (answer tokens,): which example of the batch it belongs to


class Trunk:
    """Layers 0 to `first` (exclusive) of `network` over `examples` that share `prefix`."""

    def __init__(self, network, examples: Sequence[Example], prefix: tuple[int, ...], first: int):
        self.network, self.examples, self.prefix, self.first = network, list(examples), prefix, first
        self.cache: np.ndarray | None = None
        self.starts: list[int] = []
        self.front: Tensor | None = None

    def batch(self, positions: Sequence[int]) -> Batch:
        """The examples at `positions`, ready to enter layer `first`."""
        rows = [self._own(i) for i in positions]
        layout = Layout(len(self.prefix), len(rows), max(map(len, rows)))
        hidden = self._compute(rows, layout) if self.cache is None else self._read(positions, layout)
        places, targets, owners = [], [], []
        for row, i in enumerate(positions):
            example = self.examples[i]
            begin = layout.prefix + row * layout.columns + len(example.prompt) - len(self.prefix) - 1
            places += range(begin, begin + len(example.answer))
            targets += example.answer
            owners += [row] * len(example.answer)
        as_tensor = [torch.tensor(values, device=hidden.device) for values in (places, targets, owners)]
        return Batch(hidden, layout, *as_tensor)

    def keep(self, folder: Path, base: str, progress: bool = True) -> None:
        """Compute every example's states into `folder`, or find them there from an earlier call. `base` names the
        network's weights. Nothing is kept where no layer is frozen below the adapters, or the disk is too full."""
        lengths = [len(self._own(i)) for i in range(len(self.examples))]
        self.starts = np.concatenate([[0], np.cumsum(lengths)]).tolist()
        size, kind = body(self.network).embed_tokens.embedding_dim, _numpy_type(self.network.dtype)
        stamp = self._stamp(base, kind)
        path, manifest = folder / "states.bin", folder / "manifest.json"
        shape = (len(self.prefix) + self.starts[-1], size)
        needed = shape[0] * size * np.dtype(kind).itemsize
        if self.first == 0:
            return
        folder.mkdir(parents=True, exist_ok=True)
        there = path.is_file() and path.stat().st_size == needed and manifest.is_file()
        if not there or manifest.read_text() != stamp:
            manifest.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            if shutil.disk_usage(folder).free < 1.1 * needed:  # a mapped file on a full disk kills the process
                notice(f"{folder} has no {needed:,} bytes free: frozen layers are computed again and again.")
                return
            states = np.memmap(path, dtype=kind, mode="w+", shape=shape)
            self._fill(states, lengths, progress)
            states.flush()
            write_atomically(manifest, stamp)
        self.cache = np.memmap(path, dtype=kind, mode="r", shape=shape)
        self.front = self._tensor(self.cache[: len(self.prefix)])

    def _fill(self, states: np.ndarray, lengths: list[int], progress: bool) -> None:
        order = sorted(range(len(lengths)), key=lambda i: lengths[i])
        bar = tqdm(total=len(order), desc="frozen layers", unit="pair", disable=not progress, leave=False)
        most = _ROWS
        with bar:
            while order:
                part = next(_passes(order, lengths, most))
                if fits(self._fill_part, states, lengths, part):
                    order = order[len(part) :]
                    bar.update(len(part))
                else:
                    most = halved(len(part), "pair")
                    notice(f"Out of memory: frozen layers go on with {most} pairs at a time.")

    def _fill_part(self, states: np.ndarray, lengths: list[int], part: list[int]) -> None:
        layout = Layout(len(self.prefix), len(part), lengths[part[-1]])
        flat = self._compute([self._own(i) for i in part], layout)[0]
        states[: layout.prefix] = _to_numpy(flat[: layout.prefix])
        own = flat[layout.prefix :].view(layout.rows, layout.columns, -1)
        for row, i in enumerate(part):
            begin = layout.prefix + self.starts[i]
            states[begin : begin + lengths[i]] = _to_numpy(own[row, : lengths[i]])

    def _own(self, i: int) -> tuple[int, ...]:
        """What the network reads of an example behind the prefix: all but the last token, which it only predicts."""
        example = self.examples[i]
        return example.prompt[len(self.prefix) :] + example.answer[:-1]

    @torch.no_grad()
    def _compute(self, rows: Sequence[tuple[int, ...]], layout: Layout) -> Tensor:
        tokens = list(self.prefix)
        for row in rows:
            tokens += row + (0,) * (layout.columns - len(row))
        embed = body(self.network).embed_tokens
        hidden = embed(torch.tensor([tokens], device=embed.weight.device))
        return run_layers(self.network, hidden, layout, 0, self.first)

    def _read(self, positions: Sequence[int], layout: Layout) -> Tensor:
        hidden = self.front.new_zeros(layout.prefix + layout.rows * layout.columns, self.front.shape[1])
        hidden[: layout.prefix] = self.front
        own = hidden[layout.prefix :].view(layout.rows, layout.columns, -1)
        for row, i in enumerate(positions):
            begin, end = layout.prefix + self.starts[i], layout.prefix + self.starts[i + 1]
            own[row, : end - begin] = self._tensor(self.cache[begin:end])
        return hidden[None]

    def _tensor(self, values: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.array(values))
        return tensor.view(self.network.dtype).to(body(self.network).embed_tokens.weight.device)

    def _stamp(self, base: str, kind) -> str:
        """What decides the states: weights, dtype, layers, tokens."""
        tokens = hashlib.sha256(repr((self.prefix, [self._own(i) for i in range(len(self.examples))])).encode())
        return json.dumps({"base": base, "dtype": str(self.network.dtype), "first": self.first, "n": len(self.examples),
                           "tokens": tokens.hexdigest(), "stored_as": np.dtype(kind).name}, indent=1)  # fmt: skip


def _passes(order: list[int], lengths: list[int], most: int = _ROWS) -> Iterator[list[int]]:
    """The positions in `order` (shortest first) by passes: as many as fit, at least one, never more than `most`."""
    part: list[int] = []
    for i in order:
        if part and (len(part) == most or (len(part) + 1) * lengths[i] > TOKENS):
            yield part
            part = []
        part.append(i)
    yield part


def _numpy_type(dtype: torch.dtype):
    """numpy has no bfloat16: two-byte types are kept as their bits."""
    return np.float32 if dtype == torch.float32 else np.int16


def _to_numpy(tensor: Tensor) -> np.ndarray:
    tensor = tensor.cpu()
    return tensor.numpy() if tensor.dtype == torch.float32 else tensor.view(torch.int16).numpy()
