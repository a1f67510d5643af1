"""A model's shape, which decides its memory, read without its weights: of a known name, a folder, a GGUF file, a hub
id.

Nothing is fetched: of a hub id only what lies in the hub's cache is read. Networks laid out like llama's are meant
(attention with shared key/value heads, a gated feed-forward block); what a shape costs is `footprint`.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import LabkitError
from labkit.fetching import KnownModel, known_models

_AGAIN = "Name a known model (`labkit models`), a folder with config.json or a GGUF file."


@dataclass(frozen=True)
class Shape:
    """Widths and counts. `q_width` and `kv_width`: heads times their size; `tied`: one matrix is embedding and output
    layer; `biased`: query, key and value have a bias (Qwen2)."""

    name: str
    layers: int
    hidden: int
    inner: int
    heads: int
    q_width: int
    kv_width: int
    vocabulary: int
    tied: bool = True
    biased: bool = False

    @property
    def linear(self) -> int:
        """Weights of the linear layers within the blocks: those that 4 bits and LoRA are about."""
        attention = 2 * self.hidden * self.q_width + 2 * self.hidden * self.kv_width
        return self.layers * (attention + 3 * self.hidden * self.inner)

    @property
    def parameters(self) -> int:
        """All weights: linear layers, biases, norms, embedding and output layer."""
        biases = self.layers * (self.q_width + 2 * self.kv_width) if self.biased else 0
        norms = (2 * self.layers + 1) * self.hidden
        return self.linear + biases + norms + self.vocabulary * self.hidden * (1 if self.tied else 2)


def read_shape(name: str | Path) -> Shape:
    """The shape of a model by known name, folder, GGUF file or hub id. LabkitError where it can't be told."""
    text = str(name).strip()
    known = next((model for model in known_models() if text.lower() in (model.name, model.hub_id.lower())), None)
    if known:
        return of_known(known)
    path = Path(text).expanduser()
    if path.is_dir():
        files = sorted(path.glob("*.gguf"))
        if (path / "config.json").is_file():
            return _of_file(path / "config.json")
        if len(files) == 1:
            return _of_gguf(files[0])
    if path.is_file():
        return _of_gguf(path)
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", text):
        from huggingface_hub import try_to_load_from_cache

        if isinstance(file := try_to_load_from_cache(text, "config.json"), str):
            return of_config(json.loads(Path(file).read_text()), text)
    raise LabkitError(f"The shape of {text[:100]!r} can't be read on this machine. {_AGAIN}")


def of_known(model: KnownModel) -> Shape:
    """The shape of a known model."""
    shape = Shape(
        model.name, model.layers, model.hidden, model.inner, model.heads, model.hidden, model.kv_width,
        model.vocabulary, biased="qwen2" in model.name,
    )  # fmt: skip
    untied = shape.parameters < model.parameters
    return Shape(**(vars(shape) | {"tied": not untied}))


def of_config(config: dict, name: str) -> Shape:
    """The shape that a `config.json` states, by transformers' names."""
    config = config.get("text_config") or config
    try:
        hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        size = int(config.get("head_dim") or hidden // heads)
        kv_heads = int(config.get("num_key_value_heads") or heads)
        return Shape(
            name, int(config["num_hidden_layers"]), hidden, int(config["intermediate_size"]), heads, heads * size,
            kv_heads * size, int(config["vocab_size"]), bool(config.get("tie_word_embeddings", False)),
            config.get("model_type") == "qwen2",
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise LabkitError(f"The config of {name} does not say its shape ({error}). {_AGAIN}") from error


def _of_file(file: Path) -> Shape:
    try:
        config = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise LabkitError(f"{file} is no config of a model: {error}. {_AGAIN}") from error
    if not isinstance(config, dict):
        raise LabkitError(f"{file} is no config of a model: it holds no object. {_AGAIN}")
    return of_config(config, file.parent.name)


def _of_gguf(file: Path) -> Shape:
    from gguf import GGUFReader

    try:
        reader = GGUFReader(file)
        fields = {key: field for key, field in reader.fields.items() if "tokenizer" not in key}
        kind = fields["general.architecture"].contents()
        said = {key.removeprefix(f"{kind}."): field.contents() for key, field in fields.items()}
        tensors = {tensor.name: tensor for tensor in reader.tensors}
        config = {
            "hidden_size": said["embedding_length"], "intermediate_size": said["feed_forward_length"],
            "num_hidden_layers": said["block_count"], "num_attention_heads": said["attention.head_count"],
            "num_key_value_heads": said.get("attention.head_count_kv"), "head_dim": said.get("attention.key_length"),
            "vocab_size": int(max(tensors["token_embd.weight"].shape)), "model_type": kind,
            "tie_word_embeddings": "output.weight" not in tensors,
        }  # fmt: skip
    except Exception as error:  # a broken file fails in as many ways as there are fields in it
        raise LabkitError(f"{file} is no GGUF file whose shape can be read ({error}). {_AGAIN}") from error
    return of_config(config, file.stem)
