"""LoRA, written out: a small trainable product beside a frozen linear layer (Hu et al. 2021, arXiv 2106.09685, section
4.1).

A layer that computed y = W x computes y = W x + (alpha / r) B A x, with A of shape (r, in) and B of shape (out, r). B
begins at zero, so the tuned network begins as the base network. After training W + (alpha / r) B A is one matrix
again, and costs what the base cost. How adapters lie on disk is `adapter`, how they are trained `train`.
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labkit.errors import LabkitError
from labkit.tuning.packed import body

ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class LoRA:
    """Which linear layers get an adapter, and its size: rank r, scale alpha / r. `layers` are counted from 0 at the
    input."""

    layers: tuple[int, ...]
    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] = ALL_LINEAR


class LoRALinear(nn.Module):
    """A frozen linear layer and its low-rank update. The factors are float32, whatever the layer computes in.

    `forward` is the formula above, in the layer's own dtype; where the base is a plain matrix, `_Update` computes
    it with fewer passes over memory.
    """

    def __init__(self, base: nn.Module, rank: int, alpha: float, seed: int = 0):
        super().__init__()
        self.base, self.scale = base, alpha / rank
        generator = torch.Generator().manual_seed(seed)
        bound = 1 / math.sqrt(base.in_features)  # as PEFT begins, which is kaiming_uniform with a = sqrt(5)
        start = (torch.rand(rank, base.in_features, generator=generator) * 2 - 1) * bound
        device = base.weight.device
        self.A = nn.Parameter(start.to(device))
        self.B = nn.Parameter(torch.zeros(base.out_features, rank, device=device))

    def forward(self, x: Tensor) -> Tensor:
        if type(self.base) is nn.Linear:
            return _Update.apply(x, self.base.weight, self.base.bias, self.A, self.B, self.scale)
        A, B = self.A.to(x.dtype), (self.B * self.scale).to(x.dtype)
        return self.base(x) + x @ A.t() @ B.t()

    def delta(self) -> Tensor:
        """The update of the weight matrix, shape (out, in), float32."""
        return self.scale * (self.B @ self.A)


class _Update(torch.autograd.Function):
    """y = x W' + b + scale (x A') B', the second product added into the first one's memory, forwards and backwards.

    The factors come in float32 and are rounded here; the scale multiplies what is narrow, never a matrix of weights.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, A, B, scale):
        flat, B_low = x.reshape(-1, x.shape[-1]), B.to(x.dtype)
        down = (flat @ A.to(x.dtype).t()).mul_(scale)
        out = torch.nn.functional.linear(flat, weight, bias).addmm_(down, B_low.t())
        ctx.save_for_backward(flat, weight, A, B_low, down)
        ctx.scale = scale
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx, gradient):
        x, weight, A, B, down = ctx.saved_tensors
        flat = gradient.reshape(-1, gradient.shape[-1])
        up = (flat @ B).mul_(ctx.scale)
        below = None
        if ctx.needs_input_grad[0]:
            below = (flat @ weight).addmm_(up, A.to(x.dtype)).view(*gradient.shape[:-1], -1)
        return below, None, None, (up.t() @ x).float(), (flat.t() @ down).float(), None


def attach(network, lora: LoRA, seed: int = 0) -> dict[str, LoRALinear]:
    """Put a LoRALinear in the place of each target layer; returns them by the name of the layer they stand for."""
    layers = body(network).layers
    if not lora.layers or min(lora.layers) < 0 or max(lora.layers) >= len(layers):
        raise LabkitError(f"The network has layers 0 to {len(layers) - 1}; adapters were asked for on {lora.layers}.")
    network.requires_grad_(False)
    found = {}
    for index in lora.layers:
        for name, module in list(layers[index].named_modules()):
            parent, _, last = name.rpartition(".")
            if last in lora.targets:
                adapter = LoRALinear(module, lora.rank, lora.alpha, seed_of(seed, index, name))
                setattr(layers[index].get_submodule(parent), last, adapter)
                found[f"model.layers.{index}.{name}"] = adapter
    if not found:
        raise LabkitError(f"No layer of the network is named {' or '.join(lora.targets)}: there is nothing to adapt.")
    return found


def detach(network, adapters: dict[str, LoRALinear]) -> None:
    """Put the base layers back."""
    put(network, {name: adapter.base for name, adapter in adapters.items()})


def put(network, modules: dict[str, nn.Module]) -> None:
    """Put modules in the places that they are named by."""
    for name, module in modules.items():
        parent, _, last = name.rpartition(".")
        setattr(network.get_submodule(parent), last, module)


@contextmanager
def put_back(network) -> Iterator[None]:
    """After the block the network has its base layers again, whoever put adapters there, and however it ends."""
    try:
        yield
    finally:
        found = {name: module for name, module in network.named_modules() if isinstance(module, LoRALinear)}
        detach(network, found)


@torch.no_grad()
def fuse(network, adapters: dict[str, LoRALinear]) -> None:
    """Add each update to its weight matrix, and put the base layers back: the tuned network, without adapters.

    4-bit weights can't take an update in place; `merge.merge` dequantises them.
    """
    for name, adapter in adapters.items():
        if type(adapter.base) is not nn.Linear:
            raise LabkitError(f"{name} holds {type(adapter.base).__name__}: only plain weights fuse. Use merge().")
        weight = adapter.base.weight
        weight.copy_((weight.float() + adapter.delta()).to(weight.dtype))
    detach(network, adapters)


def parameters(adapters: dict[str, LoRALinear]) -> list[nn.Parameter]:
    """The factors of all adapters, in a fixed order."""
    return [factor for name in sorted(adapters) for factor in (adapters[name].A, adapters[name].B)]


def seed_of(*parts) -> int:
    """A seed from a few values, the same on every machine."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")
