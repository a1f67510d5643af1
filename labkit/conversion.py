"""A GGUF file -> a folder with safetensors and a tokenizer, made once: quicker to load, and with what GGUF lost put
back.

GGUF is llama.cpp's single-file format of quantised weights. transformers reads it, slowly, and with two losses that
cost accuracy without a word: some files hold the tied output layer twice, and some tokenizers come back cutting text
in other places than the one that the model was trained with. Nothing is quantised here: the weights come out in
bfloat16.
"""

from pathlib import Path

import torch
from gguf import GGUFReader
from tokenizers import Regex, pre_tokenizers

from labkit.errors import LabkitError
from labkit.upstream import quiet

# Two quantisations of one matrix differ by 4 to 10 % of its norm, two matrices that were trained apart by 100 % or
# more.
SAME_MATRIX = 0.25


def convert_gguf(file: Path, folder: Path) -> None:
    """Read the GGUF `file` and write model and tokenizer into `folder`. LabkitError when transformers can't read it."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"gguf_file": file.name, "local_files_only": True}
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(file.parent, **source)
            network = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.bfloat16, **source)
        except Exception as error:  # a broken file fails in as many ways as there are fields in it
            raise LabkitError(f"{file} is a GGUF file that transformers cannot read: {error}") from error
        restore_tie(network)
        restore_pre_tokenizer(tokenizer, _field(file, "tokenizer.ggml.pre"))
        without_quantisation(network).save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def restore_tie(network) -> bool:
    """Tie input embedding and output layer again when they are one matrix but for quantisation; return whether they
    are.

    The output layer's copy is kept, for llama.cpp stores it at the higher precision.
    """
    embedding, output = network.get_input_embeddings(), network.get_output_embeddings()
    if embedding.weight is output.weight:
        return True
    if embedding.weight.shape != output.weight.shape or output.bias is not None:
        return False
    rows = slice(None, None, max(1, len(output.weight) // 4096))  # a sample of the vocabulary tells
    kept, other = output.weight[rows].float(), embedding.weight[rows].float()
    if (kept - other).norm() > SAME_MATRIX * kept.norm():
        return False
    embedding.weight = output.weight
    network.config.tie_word_embeddings = True
    return True


def restore_pre_tokenizer(tokenizer, name: str | None) -> None:
    """Give back the rule by which text is cut before byte pairs are merged, which GGUF holds as a name only."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if name == "smollm":  # each digit alone, then GPT-2's rule
        rule = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    elif name in ("llama-bpe", "llama3"):
        rule = [pre_tokenizers.Split(Regex(_WORDS.format(digits=r"\p{N}{1,3}")), "isolated"), byte_level]
    elif name == "qwen2":
        rule = [pre_tokenizers.Split(Regex(_WORDS.format(digits=r"\p{N}")), "isolated"), byte_level]
    elif name == "gpt-2":
        rule = [pre_tokenizers.ByteLevel(add_prefix_space=False)]
    else:
        return
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(rule)


# GPT-4's rule: contractions, words with one leading sign, digits, signs, line ends, spaces.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}"
    r"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _field(file: Path, key: str) -> str | None:
    field = GGUFReader(file).get_field(key)
    return field.contents() if field else None


def without_quantisation(network):
    """The same network under a config that doesn't call it quantised, which `save_pretrained` refuses."""
    config = network.config.to_dict()
    config.pop("quantization_config", None)
    with torch.device("meta"):
        plain = type(network)(type(network.config).from_dict(config))
    plain.load_state_dict(network.state_dict(), assign=True)
    plain.tie_weights()
    plain.generation_config = network.generation_config
    return plain
