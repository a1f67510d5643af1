"""Adapter folders: to PEFT and back with the same logits; what labkit lacks, what is damaged, another base's."""

import json
import os
import runpy
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from labkit.errors import LabkitError
from labkit.models import load_model
from labkit.tuning.adapter import Card, ForeignAdapter, check_base, load_adapter, read_card, read_config, save_adapter
from labkit.tuning.lora import ALL_LINEAR, LoRA, attach, fuse

STANDIN = runpy.run_path(str(Path(__file__).with_name("standin.py")))
tiny_model_dir, make_tiny_model = STANDIN["tiny_model_dir"], STANDIN["make_tiny_model"]
TOKENS = torch.tensor([[1, 50, 60, 70, 80], [1, 90, 33, 20, 10]])


@pytest.fixture
def model(tiny_model_dir):
    return load_model(tiny_model_dir, dtype="float32")


def card_for(model, **changes) -> Card:
    return replace(
        Card(model.name, model.sha256, "memory", "chat", "0" * 64, 8, 1.0, 100, 8, 8, hard=[{"id": "a"}]), **changes
    )


def randomise(factors):
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for factor in factors:
            factor.copy_(0.2 * torch.randn(factor.shape, generator=generator))


def ours(model, folder: Path) -> Path:
    """An adapter of labkit's with both factors random; the model is left with it."""
    lora = LoRA((1, 2), rank=4, alpha=6.0)
    adapters = attach(model.network, lora)
    randomise(adapter.B for adapter in adapters.values())
    return save_adapter(folder, adapters, lora, card_for(model))


def theirs(tiny_model_dir, folder: Path, **config) -> torch.Tensor:
    """An adapter of PEFT's in `folder`; returns the logits that it gives."""
    options = {"target_modules": list(ALL_LINEAR), "r": 4, "lora_alpha": 6} | config
    tuned = get_peft_model(load_model(tiny_model_dir, dtype="float32").network, LoraConfig(**options))
    randomise(p for name, p in tuned.named_parameters() if "lora_B" in name)
    tuned.save_pretrained(folder)
    return logits(tuned)


@torch.no_grad()
def logits(network) -> torch.Tensor:
    return network(TOKENS).logits


def close(a, b) -> None:
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


# --- to PEFT and back


def test_our_folder_loads_in_peft(model, tiny_model_dir, tmp_path):
    base = logits(model.network)
    folder = ours(model, tmp_path / "adapter")
    peft = PeftModel.from_pretrained(load_model(tiny_model_dir, dtype="float32").network, folder)
    close(logits(peft), logits(model.network))
    assert (logits(model.network) - base).abs().max() > 0.1  # the adapter says something


def test_our_folder_loads_again_with_its_card(model, tiny_model_dir, tmp_path):
    folder = ours(model, tmp_path / "adapter")
    again = load_model(tiny_model_dir, dtype="float32")
    adapters = load_adapter(again.network, folder)
    close(logits(again.network), logits(model.network))
    assert read_config(folder) == LoRA((1, 2), 4, 6.0, tuple(sorted(ALL_LINEAR)))
    assert read_card(folder) == check_base(folder, again) == card_for(model)
    fuse(again.network, adapters)
    torch.testing.assert_close(logits(again.network), logits(model.network), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"target_modules": "all-linear"},
        {"layers_to_transform": [2]},
        {"layers_to_transform": 1, "layers_pattern": "layers", "target_modules": ["q_proj", "down_proj"]},
        {"lora_dropout": 0.0, "init_lora_weights": "gaussian", "lora_alpha": 1, "r": 1},
    ],
)
def test_a_folder_of_pefts_loads_in_ours(model, tiny_model_dir, tmp_path, config):
    expected = theirs(tiny_model_dir, tmp_path, **config)
    adapters = load_adapter(model.network, tmp_path)
    close(logits(model.network), expected)
    if "layers_to_transform" in config:
        assert len({name.split(".")[2] for name in adapters}) == 1


def test_load_model_merges_ours_and_takes_the_prompt(model, tiny_model_dir, tmp_path):
    folder = ours(model, tmp_path / "adapter")
    loaded = load_model(tiny_model_dir, adapter=folder, dtype="float32")
    torch.testing.assert_close(logits(loaded.network), logits(model.network), rtol=1e-4, atol=1e-4)
    assert loaded.prompt == "chat" and loaded.describe()["adapter_sha256"]
    assert [type(m).__name__ for m in loaded.network.modules()].count("LoRALinear") == 0
    (folder / "card.json").unlink()
    assert load_model(tiny_model_dir, adapter=folder).prompt is None


# --- what labkit does not compute

FOREIGN = {
    "use_dora": {"use_dora": True},
    "use_rslora": {"use_rslora": True},
    "rank_pattern": {"rank_pattern": {"q_proj": 2}},
    "alpha_pattern": {"alpha_pattern": {"q_proj": 2}},
    "modules_to_save": {"modules_to_save": ["lm_head"]},
    "bias": {"bias": "all"},
    "layer_replication": {"layer_replication": [[0, 2], [1, 3]]},
    "trainable_token_indices": {"trainable_token_indices": {"embed_tokens": [1, 2]}},
    "exclude_modules": {"exclude_modules": ["v_proj"]},
    "lora_bias": {"lora_bias": True},
    "pattern": {"target_modules": r".*\.q_proj"},
    "self_attn.q_proj": {"target_modules": ["self_attn.q_proj"]},
}


@pytest.mark.parametrize("feature", FOREIGN)
def test_what_labkit_lacks_is_refused_by_name_and_left_to_peft(model, tiny_model_dir, tmp_path, feature):
    expected = theirs(tiny_model_dir, tmp_path, **FOREIGN[feature])
    base = logits(model.network)
    with pytest.raises(ForeignAdapter, match=feature):
        load_adapter(model.network, tmp_path)
    close(logits(model.network), base)
    loaded = load_model(tiny_model_dir, adapter=tmp_path, dtype="float32")
    torch.testing.assert_close(logits(loaded.network), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("init_lora_weights", "pissa"),
        ("loftq_config", {"loftq_bits": 4}),
        ("target_parameters", ["experts"]),
        ("use_qalora", True),
        ("fan_in_fan_out", True),
        ("megatron_config", {"a": 1}),
        ("invented_next_year", {"a": 1}),
        ("layers_pattern", "blocks"),
    ],
)
def test_so_is_what_only_a_configuration_shows(model, tmp_path, name, value):
    folder = ours(model, tmp_path)
    change_json(folder / "adapter_config.json", **{name: value})
    with pytest.raises(ForeignAdapter, match=name):
        read_config(folder)


def test_another_kind_of_adapter_and_a_network_unlike_llamas_are_pefts(tmp_path):
    from peft import IA3Config
    from transformers import GPT2Config, GPT2LMHeadModel

    base = STANDIN["make_tokenizer"]()
    network = GPT2LMHeadModel(GPT2Config(vocab_size=len(base), n_embd=32, n_layer=1, n_head=2)).eval()
    network.save_pretrained(tmp_path / "gpt2")
    base.save_pretrained(tmp_path / "gpt2")
    for name, config in {
        "ia3": IA3Config(target_modules=["c_attn"], feedforward_modules=[]),
        "lora": LoraConfig(target_modules=["c_attn"], fan_in_fan_out=False, init_lora_weights="gaussian"),
    }.items():
        tuned = get_peft_model(GPT2LMHeadModel.from_pretrained(tmp_path / "gpt2"), config)
        randomise(p for key, p in tuned.named_parameters() if "lora_B" in key)
        tuned.save_pretrained(tmp_path / name)
        loaded = load_model(tmp_path / "gpt2", adapter=tmp_path / name, dtype="float32")
        torch.testing.assert_close(logits(loaded.network), logits(tuned.eval()), rtol=1e-4, atol=1e-4)


# --- damage


def change_json(path: Path, **changes) -> None:
    path.write_text(json.dumps({k: v for k, v in (json.loads(path.read_text()) | changes).items() if v != "gone"}))


def drop_a_factor(folder: Path) -> None:
    tensors = load_file(folder / "adapter_model.safetensors")
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, folder / "adapter_model.safetensors")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / "adapter_config.json").unlink(), "adapter_config.json is missing"),
        (lambda f: (f / "adapter_config.json").write_text("{"), "adapter_config.json is no adapter's configuration"),
        (lambda f: (f / "adapter_config.json").write_text("[]"), "adapter_config.json is no adapter's configuration"),
        (lambda f: (f / "adapter_config.json").write_bytes(b"\xff"), "adapter_config.json is no adapter's conf"),
        (lambda f: change_json(f / "adapter_config.json", r="gone"), "'r' is missing"),
        (lambda f: change_json(f / "adapter_config.json", r=0), "r is the rank"),
        (lambda f: change_json(f / "adapter_config.json", r="many"), "many"),
        (lambda f: change_json(f / "adapter_config.json", r=3), "does not fit this model"),
        (lambda f: change_json(f / "adapter_config.json", target_modules=[]), "target_modules names layers"),
        (lambda f: change_json(f / "adapter_config.json", target_modules=["up"]), "No layer .* is named up"),
        (lambda f: change_json(f / "adapter_config.json", layers_to_transform=[7]), "layers 0 to 2"),
        (lambda f: change_json(f / "adapter_config.json", layers_to_transform=["x"]), "no adapter's configuration"),
        (lambda f: (f / "adapter_model.safetensors").unlink(), "adapter_model.safetensors is missing"),
        (lambda f: cut(f / "adapter_model.safetensors"), "adapter_model.safetensors is damaged"),
        (lambda f: (f / "adapter_model.safetensors").write_bytes(b""), "adapter_model.safetensors is damaged"),
        (drop_a_factor, "does not fit this model: see base_model.model.model.layers.1.mlp.down_proj.lora_A"),
        (lambda f: (f / "card.json").write_text("{"), "card.json is damaged"),
        (lambda f: (f / "card.json").write_text("null"), "card.json is damaged"),
        (lambda f: (f / "card.json").write_text("[1]"), "card.json is damaged"),
        (lambda f: change_json(f / "card.json", prompt="gone"), "card.json is damaged.*prompt"),
        (lambda f: change_json(f / "card.json", base_sha256=7), "card.json is damaged.*base_sha256"),
    ],
)
def test_damage_is_a_sentence(model, tiny_model_dir, tmp_path, damage, sentence):
    folder = ours(model, tmp_path / "adapter")
    damage(folder)
    with pytest.raises(LabkitError, match=sentence):
        load_model(tiny_model_dir, adapter=folder, dtype="float32")


def test_a_network_that_an_adapter_does_not_fit_is_left_as_it_was(model, tiny_model_dir, tmp_path):
    folder = ours(model, tmp_path / "adapter")
    drop_a_factor(folder)
    plain = load_model(tiny_model_dir, dtype="float32").network
    with pytest.raises(LabkitError):
        load_adapter(plain, folder)
    assert not [m for m in plain.modules() if type(m).__name__ == "LoRALinear"]


def test_another_base_is_refused_before_it_is_loaded(model, tmp_path, monkeypatch):
    folder = ours(model, tmp_path / "adapter")
    other = make_tiny_model(tmp_path / "other", seed=1)
    monkeypatch.setattr("labkit.models._load", None)  # whoever loads it fails
    with pytest.raises(LabkitError, match=f"made for .*{model.sha256[:12]}.*Load it on the model it was made for"):
        load_model(other, adapter=folder)


def test_the_same_base_elsewhere_is_taken(model, tiny_model_dir, tmp_path):
    folder = ours(model, tmp_path / "adapter")
    shutil.copytree(tiny_model_dir, tmp_path / "copy")
    assert load_model(tmp_path / "copy", adapter=folder).prompt == "chat"


def test_a_folder_is_written_whole(model, tmp_path, monkeypatch):
    """The configuration comes last: without it, nobody takes the folder for an adapter."""

    def full(source, target):
        raise OSError(28, "No space left on device")

    lora = LoRA((2,), 2)
    adapters = attach(model.network, lora)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError):
        save_adapter(tmp_path / "adapter", adapters, lora)
    assert list((tmp_path / "adapter").iterdir()) == []
