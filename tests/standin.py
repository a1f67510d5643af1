"""The stand-in model: a tiny random llama with a real byte-level tokenizer, made on the spot, offline, in a second.

It writes nonsense, always the same; everything else about it is a real model's: files, chat template, special tokens.
`conftest.py` makes `tiny_model_dir` known to all tests; benchmarks and tools may call `make_tiny_model`.
"""

from pathlib import Path

import pytest

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CORPUS = [
    "SELECT name, salary FROM players WHERE team_id = 7 AND salary > 1234567 ORDER BY salary DESC LIMIT 10;",
    "You write SQL for SQLite. Answer with one SELECT query and nothing else. Tables: Question: How many players?",
    "SELECT count(*) FROM teams JOIN games ON teams.id = games.home_id GROUP BY teams.city HAVING count(*) >= 3",
    "The capital of France is Paris. What is the average height of the centres in the league?",
]


def make_tiny_model(folder: str | Path, seed: int = 0, **config) -> Path:
    """Write a random llama (hidden 64, 3 layers, 4 heads on 2 key/value heads) and its tokenizer into `folder`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from labkit.upstream import quiet

    tokenizer = make_tokenizer()
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        "initializer_range": 0.2,  # far enough apart that no two tokens tie
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        LlamaForCausalLM(LlamaConfig(**shape | config)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return Path(folder)


def make_tokenizer():
    """A byte-level BPE tokenizer of some 400 tokens in ChatML style, trained on a few sentences."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
    )


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory) -> Path:
    """The stand-in model's folder."""
    return make_tiny_model(tmp_path_factory.mktemp("standin") / "tiny-llama")
