"""Merging: the folder says what the adapter beside its base said; GGUF files read back with the same logits."""

import json
import runpy
from pathlib import Path

import gguf
import pytest
import torch
from tokenizers import normalizers, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from labkit.conversion import restore_pre_tokenizer
from labkit.dataset import Question, save_questions
from labkit.errors import LabkitError
from labkit.models import load_model
from labkit.tuning.adapter import Card, load_adapter, save_adapter
from labkit.tuning.export import to_gguf
from labkit.tuning.lora import LoRA, attach, fuse
from labkit.tuning.merge import merge

STANDIN = runpy.run_path(str(Path(__file__).with_name("standin.py")))
tiny_model_dir, make_tiny_model, make_tokenizer = (
    STANDIN[name] for name in ("tiny_model_dir", "make_tiny_model", "make_tokenizer")
)
TOKENS = torch.tensor([[1, 50, 60, 70, 80], [1, 90, 33, 20, 10]])
ASK = [[{"role": "user", "content": text}] for text in ("How many players?", "Who?", "SELECT")]


@torch.no_grad()
def logits(network) -> torch.Tensor:
    return network(TOKENS).logits


def make_adapter(base_dir: Path, folder: Path, strength: float = 0.2) -> Path:
    model = load_model(base_dir, dtype="float32")
    lora = LoRA((1, 2), rank=4, alpha=8.0)
    adapters = attach(model.network, lora)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for adapter in adapters.values():
            adapter.B.copy_(strength * torch.randn(adapter.B.shape, generator=generator))
    facts = [Question(f"f{i}", f"When did player {i} join?", None, None, answer=str(1900 + i)) for i in range(40)]
    save_questions(folder / "pairs.jsonl", facts)
    return save_adapter(
        folder, adapters, lora, Card(model.name, model.sha256, "memory", "chat", "0" * 64, 40, 1.0, 9, 40, 40)
    )


@pytest.fixture(scope="module")
def adapter(tiny_model_dir, tmp_path_factory) -> Path:
    return make_adapter(tiny_model_dir, tmp_path_factory.mktemp("adapters") / "adapter")


def test_the_folder_says_what_the_adapter_said(tiny_model_dir, adapter, tmp_path):
    made = merge(tiny_model_dir, adapter, tmp_path / "merged", dtype="float32")
    beside = load_model(tiny_model_dir, dtype="float32")
    base = logits(beside.network)
    load_adapter(beside.network, adapter)
    plain = AutoModelForCausalLM.from_pretrained(made.folder)
    torch.testing.assert_close(logits(plain), logits(beside.network), rtol=1e-4, atol=1e-4)
    assert (logits(plain) - base).abs().max() > 0.5
    assert (made.same, made.of, made.dtype, made.dequantised) == (32, 32, "float32", False)
    assert 0 < made.difference < 1e-3 and "32 of 32 greedy answers" in str(made)
    assert plain.lm_head.weight is plain.model.embed_tokens.weight  # still one matrix
    weights = [p.name for p in made.folder.glob("*.safetensors")]
    assert weights == ["model.safetensors"] and not (made.folder / "adapter_config.json").exists()
    assert AutoTokenizer.from_pretrained(made.folder).chat_template == beside.tokenizer.chat_template
    loaded = load_model(made.folder)
    assert loaded.prompt == "chat" and loaded.adapter is None
    assert (made.folder / "pairs.jsonl").read_bytes() == (adapter / "pairs.jsonl").read_bytes()
    assert json.loads(json.dumps(made.to_json()))["folder"] == str(made.folder)


def test_a_bfloat16_merge_tells_how_often_it_answers_alike(tiny_model_dir, adapter, tmp_path):
    model = load_model(tiny_model_dir, dtype="bfloat16")
    before = logits(model.network)
    made = merge(model, adapter, tmp_path / "merged", prompts=ASK)
    assert made.of == 3 and 0 <= made.same <= 3 and made.difference > 1e-3  # rounding shows
    assert load_model(made.folder, dtype="bfloat16").network.dtype == torch.bfloat16
    assert torch.equal(logits(model.network), before)  # the model given is left alone


def test_what_was_compared_is_counted(tiny_model_dir, adapter, tmp_path, monkeypatch):
    """A merge that goes wrong must show in the share of equal answers."""

    def spoil(network, adapters):
        fuse(network, adapters)
        network.lm_head.weight.neg_()

    monkeypatch.setattr("labkit.tuning.merge.fuse", spoil)
    made = merge(tiny_model_dir, adapter, tmp_path / "merged", dtype="float32", prompts=ASK)
    assert made.same == 0 and made.of == 3 and made.difference > 1


def test_nothing_is_written_where_it_cannot_be_done(tiny_model_dir, adapter, tmp_path):
    (tmp_path / "there").mkdir()
    other = make_tiny_model(tmp_path / "other", seed=1)
    with pytest.raises(LabkitError, match="exists already"):
        merge(tiny_model_dir, adapter, tmp_path / "there")
    with pytest.raises(LabkitError, match="made for"):
        merge(other, adapter, tmp_path / "merged")
    with pytest.raises(LabkitError, match="adapter_config.json"):
        merge(tiny_model_dir, tmp_path / "there", tmp_path / "merged")
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("labkit-")) == ["other", "there"]


def test_an_interrupted_merge_leaves_no_folder(tiny_model_dir, adapter, tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("labkit.tuning.merge.os.rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        merge(tiny_model_dir, adapter, tmp_path / "out" / "merged", prompts=[])
    assert list((tmp_path / "out").iterdir()) == []


# --- GGUF


def test_a_gguf_file_reads_back(tiny_model_dir, adapter, tmp_path):
    folder = merge(tiny_model_dir, adapter, tmp_path / "merged", dtype="float32", prompts=[]).folder
    plain = AutoModelForCausalLM.from_pretrained(folder)
    file = to_gguf(folder, tmp_path / "f32.gguf", "f32")
    again = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=file.name, dtype=torch.float32)
    torch.testing.assert_close(logits(again), logits(plain), rtol=1e-5, atol=1e-5)
    assert again.lm_head.weight is again.model.embed_tokens.weight
    ours, theirs = (load_model(path).tokenizer for path in (file, folder))
    text = "SELECT name, salary FROM players WHERE team_id = 1234 <|im_end|>"
    assert ours(text).input_ids == theirs(text).input_ids
    assert (ours.eos_token_id, ours.bos_token_id) == (theirs.eos_token_id, theirs.bos_token_id)
    assert ours.chat_template == theirs.chat_template


def test_eight_bits_and_sixteen_are_near(tiny_model_dir, tmp_path):
    plain = logits(load_model(tiny_model_dir, dtype="float32").network)
    sizes = []
    for kind, near in (("f32", 1e-5), ("f16", 2e-3), ("q8_0", 0.05)):
        file = to_gguf(tiny_model_dir, tmp_path / f"{kind}.gguf", kind)
        read = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=file.name, dtype=torch.float32)
        assert (logits(read) - plain).norm() < near * plain.norm()
        sizes.append(file.stat().st_size)
    assert sizes == sorted(sizes, reverse=True)
    kinds = {t.name: t.tensor_type.name for t in gguf.GGUFReader(file).tensors}
    assert kinds["token_embd.weight"] == kinds["blk.0.attn_q.weight"] == "Q8_0" and "output.weight" not in kinds
    assert kinds["output_norm.weight"] == "F32"


def make_qwen2(folder: Path) -> Path:
    tokenizer = make_tokenizer()
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = Qwen2Config(
        vocab_size=len(tokenizer) + 5, num_key_value_heads=2, tie_word_embeddings=False, **shape, initializer_range=0.2
    )
    torch.manual_seed(0)
    network = Qwen2ForCausalLM(config)
    torch.nn.init.normal_(network.model.layers[0].self_attn.q_proj.bias)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_qwen2_with_biases_a_larger_embedding_and_an_output_layer_of_its_own(tmp_path):
    folder = make_qwen2(tmp_path / "qwen2")
    plain = AutoModelForCausalLM.from_pretrained(folder)
    file = to_gguf(folder, tmp_path / "qwen2.gguf", "f32")
    again = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=file.name, dtype=torch.float32)
    torch.testing.assert_close(logits(again), logits(plain), rtol=1e-5, atol=1e-5)
    assert again.lm_head.weight is not again.model.embed_tokens.weight
    assert gguf.GGUFReader(file).get_field("tokenizer.ggml.pre").contents() == "qwen2"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_type": "gpt2"}, "no GGUF file of networks of kind gpt2.*convert_hf_to_gguf"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}, "positions scaled as linear"),
        ({"use_sliding_window": True}, "a sliding window"),
    ],
)
def test_a_network_that_cannot_be_written_is_a_sentence(tmp_path, change, sentence):
    folder = make_qwen2(tmp_path / "odd")
    config = json.loads((folder / "config.json").read_text()) | change
    if config["model_type"] == "gpt2":
        from transformers import GPT2Config, GPT2LMHeadModel

        config = GPT2Config(vocab_size=400, n_embd=8, n_layer=1, n_head=2)
        GPT2LMHeadModel(config).save_pretrained(folder)
    else:
        (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(LabkitError, match=sentence):
        to_gguf(folder, tmp_path / "x.gguf")
    assert not (tmp_path / "x.gguf").exists()


def write_tokenizer(folder: Path, **changes) -> Path:
    tokenizer = make_tokenizer()
    for name, value in changes.items():
        setattr(tokenizer.backend_tokenizer, name, value)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("pre", ["gpt-2", "smollm", "qwen2", "llama-bpe"])
def test_the_rule_that_cuts_text_is_named(tmp_path, pre):
    folder = make_tiny_model(tmp_path / "tiny")
    tokenizer = make_tokenizer()
    restore_pre_tokenizer(tokenizer, pre)
    tokenizer.save_pretrained(folder)
    file = to_gguf(folder, tmp_path / "tiny.gguf", "f32")
    assert gguf.GGUFReader(file).get_field("tokenizer.ggml.pre").contents() == pre


@pytest.mark.parametrize(
    "change",
    [
        {"pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), pre_tokenizers.ByteLevel()])},
        {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=True)},
        {"normalizer": normalizers.Lowercase()},
    ],
)
def test_a_tokenizer_that_llama_cpp_would_cut_otherwise_is_refused(tmp_path, change):
    folder = write_tokenizer(make_tiny_model(tmp_path / "tiny"), **change)
    with pytest.raises(LabkitError, match="tokenizer like that"):
        to_gguf(folder, tmp_path / "x.gguf")


def test_wrong_arguments_of_to_gguf_are_sentences(tiny_model_dir, tmp_path):
    (tmp_path / "x.gguf").write_text("")
    with pytest.raises(LabkitError, match="exists already"):
        to_gguf(tiny_model_dir, tmp_path / "x.gguf")
    with pytest.raises(LabkitError, match="q8_0, f16, f32"):
        to_gguf(tiny_model_dir, tmp_path / "y.gguf", "q4_0")
    with pytest.raises(LabkitError, match="config.json is missing"):
        to_gguf(tmp_path, tmp_path / "y.gguf")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(LabkitError, match="no causal language model"):
        to_gguf(tmp_path, tmp_path / "y.gguf")


def test_an_interrupted_file_is_not_left(tiny_model_dir, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("labkit.tuning.export.quants.quantize", interrupt)
    with pytest.raises(KeyboardInterrupt):
        to_gguf(tiny_model_dir, tmp_path / "out" / "x.gguf")
    assert list((tmp_path / "out").iterdir()) == []
