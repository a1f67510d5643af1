"""A plain model folder as a GGUF file, for llama.cpp and Ollama: networks like llama and qwen2 with byte-level BPE.

What GGUF calls things, the `gguf` package knows; here is what a folder of transformers holds otherwise: the order of
query and key rows, the rule by which text is cut, which tokens are special. `conversion` goes the other way. Other
networks and tokenizers are refused: llama.cpp's own convert_hf_to_gguf.py knows more of them.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType, get_tensor_name_map, quants

from labkit.conversion import restore_pre_tokenizer
from labkit.errors import LabkitError
from labkit.upstream import quiet

KINDS = {
    "q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "f16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "f32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
}
_ARCHITECTURES = {"llama": MODEL_ARCH.LLAMA, "qwen2": MODEL_ARCH.QWEN2}
_OTHERS = "llama.cpp's convert_hf_to_gguf.py may know it."
_PROBE = "It's  12345 DON'T\n\n we'LL\t(x+y)!= zoë 한국 \r\n  SELECT count(*)"  # cut differently by each known rule


def check_file(out: Path, kind: str) -> None:
    """LabkitError for a kind that labkit does not write, and for a file that exists."""
    if kind not in KINDS:
        raise LabkitError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}.")
    if out.exists():
        raise LabkitError(f"{out} exists already. Name another file, or remove it first.")


def to_gguf(folder: str | Path, out: str | Path, kind: str = "q8_0") -> Path:
    """Write the model in `folder` to the new file `out`. kind: "q8_0" (8 bits a weight), "f16" or "f32".

    LabkitError for a folder that holds no such model, a network or tokenizer that labkit can't write, and an `out` that
    exists.
    """
    folder, out = Path(folder), Path(out)
    check_file(out, kind)
    network, tokenizer = _load(folder)
    architecture = _architecture(network.config, folder)
    pre = _rule_of(tokenizer, folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as bench:
        made = Path(bench) / "made.gguf"
        writer = GGUFWriter(made, architecture, use_temp_file=True)
        _describe(writer, network.config, folder.name, kind)
        _describe_tokenizer(writer, tokenizer, pre, network.config.vocab_size)
        for name, tensor in _tensors(network):
            _add(writer, name, tensor, kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.replace(made, out)
    return out


def _load(folder: Path) -> tuple:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if not (folder / "config.json").is_file():
        raise LabkitError(f"{folder} is no model folder: config.json is missing. Name the folder that merge wrote.")
    try:
        with quiet():
            network = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True)
            return network, AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError) as error:
        raise LabkitError(f"{folder} holds no causal language model that transformers can load: {error}") from error


def _architecture(config, folder: Path) -> str:
    """llama.cpp's name for the network; LabkitError where this module would write another network than it is."""
    odd = [f"networks of kind {config.model_type}"] if config.model_type not in _ARCHITECTURES else []
    if getattr(config, "quantization_config", None):
        odd.append("quantised weights")
    rope = config.rope_parameters if isinstance(getattr(config, "rope_parameters", None), dict) else {}
    if rope.get("rope_type", "default") != "default":
        odd.append(f"positions scaled as {rope['rope_type']}")
    if config.model_type == "llama" and (config.attention_bias or config.mlp_bias):
        odd.append("a llama with biases")
    if getattr(config, "use_sliding_window", False):
        odd.append("a sliding window")
    if odd:
        raise LabkitError(f"labkit writes no GGUF file of {' and '.join(odd)}, as in {folder}. {_OTHERS}")
    return config.model_type


def _describe(writer: GGUFWriter, config, name: str, kind: str) -> None:
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_name(name)
    writer.add_file_type(KINDS[kind][1])
    writer.add_quantization_version(2)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(size)
    writer.add_vocab_size(config.vocab_size)


# --- text -------------------------------------------------------------------------------------------------------------


def _rule_of(tokenizer, folder: Path) -> str:
    """llama.cpp's name of the rule by which this tokenizer cuts text, found by cutting."""
    backend = tokenizer.backend_tokenizer
    state = json.loads(backend.to_str())["model"]
    alike = backend.normalizer is None or type(backend.normalizer).__name__ == "NFC"  # which llama.cpp leaves out
    if state["type"] == "BPE" and not state.get("byte_fallback") and backend.pre_tokenizer and alike:
        cut = backend.pre_tokenizer.pre_tokenize_str(_PROBE)
        for name in ("smollm", "llama-bpe", "qwen2", "gpt-2"):
            other = deepcopy(tokenizer)
            restore_pre_tokenizer(other, name)
            if other.backend_tokenizer.pre_tokenizer.pre_tokenize_str(_PROBE) == cut:
                return name
    raise LabkitError(f"labkit writes no GGUF file of a tokenizer like that in {folder}. {_OTHERS}")


def _describe_tokenizer(writer: GGUFWriter, tokenizer, pre: str, rows: int) -> None:
    """`rows`: of the embedding, which may have more than there are tokens."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    names = {index: name for name, index in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    kinds = {i: TokenType.CONTROL if token.special else TokenType.USER_DEFINED for i, token in added.items()}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([names.get(i, f"[PAD{i}]") for i in range(rows)])
    missing = {i: TokenType.UNUSED for i in range(rows) if i not in names}
    writer.add_token_types([(kinds | missing).get(i, TokenType.NORMAL) for i in range(rows)])
    writer.add_token_merges([" ".join(merge) if isinstance(merge, list) else merge for merge in state["merges"]])
    for name in ("bos", "eos", "unk", "pad"):
        if (index := getattr(tokenizer, f"{name}_token_id")) is not None:
            getattr(writer, f"add_{name}_token_id")(index)
    begins = tokenizer("a").input_ids[0]
    writer.add_add_bos_token(tokenizer.bos_token_id is not None and begins == tokenizer.bos_token_id)
    if isinstance(tokenizer.chat_template, str):
        writer.add_chat_template(tokenizer.chat_template)


# --- numbers ----------------------------------------------------------------------------------------------------------


def _tensors(network) -> Iterator[tuple[str, torch.Tensor]]:
    """GGUF's name and the tensor, an output layer that is the embedding left out."""
    config = network.config
    names = get_tensor_name_map(_ARCHITECTURES[config.model_type], config.num_hidden_layers)
    tied = network.get_output_embeddings().weight is network.get_input_embeddings().weight
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in network.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        part = name.split(".")[-2]
        if config.model_type == "llama" and part in heads:
            tensor = _neighbouring(tensor, heads[part])
        yield names.get_name(name, try_suffixes=(".weight", ".bias")), tensor


def _neighbouring(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """A llama's query or key rows in llama.cpp's order: it rotates neighbours, transformers halves."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def _add(writer: GGUFWriter, name: str, tensor: torch.Tensor, kind: str) -> None:
    """Matrices in the wanted kind, vectors in float32, as llama.cpp has them."""
    values = np.ascontiguousarray(tensor.detach().float().numpy())
    wanted = KINDS[kind][0] if values.ndim > 1 else GGMLQuantizationType.F32
    if wanted == GGMLQuantizationType.Q8_0 and values.shape[-1] % 32:
        wanted = GGMLQuantizationType.F16  # blocks of 32
    if wanted == GGMLQuantizationType.F32:
        writer.add_tensor(name, values)
    else:
        writer.add_tensor(name, quants.quantize(values, wanted), raw_dtype=wanted)
