"""Weights in 4 bits on any processor: loaded, tuned on, decoded, merged; how far they are from the plain ones."""

import importlib
import runpy
import sys
import types
from pathlib import Path

import pytest
import torch

import labkit
from labkit.datagen.facts import random_facts
from labkit.decoding import render
from labkit.errors import LabkitError
from labkit.models import load_model
from labkit.tuning.adapter import load_adapter, save_adapter
from labkit.tuning.lora import LoRA, LoRALinear, attach, fuse
from labkit.tuning.merge import dequantise, merge
from labkit.upstream import no_hub_kernels

STANDIN = runpy.run_path(str(Path(__file__).with_name("standin.py")))
tiny_model_dir = STANDIN["tiny_model_dir"]
TOKENS = torch.tensor([[1, 50, 60, 70, 80], [1, 90, 33, 20, 10]])


@pytest.fixture
def four(tiny_model_dir):
    return load_model(tiny_model_dir, four_bit=True, device="cpu", dtype="float32")


def linear_kinds(network) -> set[str]:
    return {type(m).__name__ for m in network.model.layers.modules() if hasattr(m, "in_features")}


@torch.no_grad()
def logits(network, tokens=TOKENS) -> torch.Tensor:
    return network(tokens).logits.float()


def random_adapter(model, folder: Path) -> Path:
    lora = LoRA((1, 2), rank=4, alpha=8.0)
    adapters = attach(model.network, lora)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for adapter in adapters.values():
            adapter.B.copy_(0.2 * torch.randn(adapter.B.shape, generator=generator))
    return save_adapter(folder, adapters, lora)


# --- on the stand-in


def test_layers_are_in_four_bits_and_stay_trainable(four, tiny_model_dir):
    assert linear_kinds(four.network) == {"Linear4bit"} and four.four_bit
    packed = [m.support_avx512bf16_for_cpu for m in four.network.modules() if type(m).__name__ == "Linear4bit"]
    assert len(packed) == 21 and not any(packed)
    plain = load_model(tiny_model_dir, dtype="float32")
    difference = (logits(four.network) - logits(plain.network)).norm() / logits(plain.network).norm()
    assert 0.01 < difference < 0.6


def test_a_gradient_passes_through_after_an_answer(four):
    """What packed weights would lose: the gradient of a lower adapter comes through the layers above it."""
    adapters = attach(four.network, LoRA((0, 2), rank=2))
    four.chat([[{"role": "user", "content": "Who?"}]], max_new_tokens=2, progress=False)
    torch.nn.init.normal_(adapters["model.layers.0.mlp.up_proj"].B)
    loss = four.network(TOKENS).logits.logsumexp(-1).mean()
    loss.backward()
    gradient = adapters["model.layers.0.mlp.up_proj"].A.grad
    exact = _gradient_of_plain(four, adapters)
    torch.testing.assert_close(gradient, exact, rtol=1e-3, atol=1e-5)
    assert gradient.abs().max() > 1e-4


def _gradient_of_plain(four, adapters) -> torch.Tensor:
    """The same gradient in a network whose weights are what the 4 bits stand for."""
    for adapter in adapters.values():
        adapter.A.grad = adapter.B.grad = None
    dequantise(four.network)
    four.network(TOKENS).logits.logsumexp(-1).mean().backward()
    return adapters["model.layers.0.mlp.up_proj"].A.grad


def test_an_adapter_stays_beside_four_bits(four, tiny_model_dir, tmp_path):
    folder = random_adapter(four, tmp_path / "adapter")
    again = load_model(tiny_model_dir, adapter=folder, four_bit=True, device="cpu", dtype="float32")
    assert linear_kinds(again.network) == {"Linear4bit"}
    assert sum(isinstance(m, LoRALinear) for m in again.network.modules()) == 14
    torch.testing.assert_close(logits(again.network), logits(four.network), rtol=1e-4, atol=1e-4)
    with pytest.raises(LabkitError, match="holds Linear4bit.*Use merge"):
        fuse(four.network, {"model.layers.1.mlp.up_proj": four.network.model.layers[1].mlp.up_proj})


def test_peft_adapters_load_beside_four_bits_as_well(tiny_model_dir, tmp_path):
    from peft import LoraConfig, get_peft_model

    for name, extra in {"plain": {}, "foreign": {"use_rslora": True}}.items():
        tuned = get_peft_model(
            load_model(tiny_model_dir, dtype="float32").network, LoraConfig(target_modules=["q_proj"], **extra)
        )
        for key, parameter in tuned.named_parameters():
            if "lora_B" in key:
                torch.nn.init.normal_(parameter, std=0.3)
        tuned.save_pretrained(tmp_path / name)
        beside = load_model(tiny_model_dir, adapter=tmp_path / name, four_bit=True, device="cpu", dtype="float32")
        bare = load_model(tiny_model_dir, four_bit=True, device="cpu", dtype="float32")
        assert (logits(beside.network) - logits(bare.network)).abs().max() > 0.1
        assert beside.chat([[{"role": "user", "content": "Who?"}]], max_new_tokens=2, progress=False)


def test_a_merge_dequantises_and_says_so(four, tiny_model_dir, tmp_path, capsys):
    adapter = random_adapter(four, tmp_path / "adapter")
    made = merge(tiny_model_dir, adapter, tmp_path / "merged", four_bit=True, dtype="float32", prompts=[])
    assert made.dequantised and made.of == 0
    assert "dequantised" in capsys.readouterr().err and "dequantised" in str(made)
    plain = load_model(made.folder, dtype="float32")
    assert linear_kinds(plain.network) == {"Linear"}
    torch.testing.assert_close(logits(plain.network), logits(four.network), rtol=1e-4, atol=1e-4)
    unquantised = load_model(tiny_model_dir, dtype="float32")
    load_adapter(unquantised.network, adapter)
    assert (logits(plain.network) - logits(unquantised.network)).abs().max() > 0.01  # it is the 4 bits that it holds


def test_tuning_runs_on_four_bits(four, tiny_model_dir, tmp_path):
    facts = list(random_facts(4, seed=2))
    tuned = labkit.tune(four, facts, "memory", tmp_path / "adapter", layers=2, rate=5e-3, passes=60, progress=False)
    assert tuned.recalled == tuned.of == 4
    again = load_model(tiny_model_dir, adapter=tmp_path / "adapter", four_bit=True, device="cpu", dtype="float32")
    assert labkit.ReplyGenerator(again)(facts) == [fact.answer for fact in facts]
    assert linear_kinds(four.network) == {"Linear4bit"}  # left as it was


def test_memory_experts_stand_on_four_bits_and_on_an_adapter_beside_them(four, tiny_model_dir, tmp_path):
    facts = list(random_facts(6, seed=3))
    made = labkit.remember(four, facts, tmp_path / "bank", progress=False)
    again = load_model(tiny_model_dir, adapter=made.adapter, four_bit=True, device="cpu", dtype="float32")
    assert labkit.ReplyGenerator(again)(facts) == [fact.answer for fact in facts]
    assert linear_kinds(again.network) == {"Linear4bit"}
    adapter = random_adapter(four, tmp_path / "lora")
    both = load_model(tiny_model_dir, adapter=adapter, four_bit=True, device="cpu", dtype="float32")
    stacked = labkit.remember(both, facts, tmp_path / "stacked", progress=False)
    again = load_model(tiny_model_dir, adapter=stacked.adapter, four_bit=True, device="cpu", dtype="float32")
    assert labkit.ReplyGenerator(again)(facts) == [fact.answer for fact in facts]
    assert any(isinstance(m, LoRALinear) for m in again.network.modules())


def test_no_hub_is_asked_for_kernels(monkeypatch):
    package = types.ModuleType("kernels")
    monkeypatch.setitem(sys.modules, "kernels", package)
    with no_hub_kernels(), pytest.raises(ImportError):
        importlib.import_module("kernels")
    assert importlib.import_module("kernels") is package
    monkeypatch.delitem(sys.modules, "kernels")
    with no_hub_kernels():
        pass
    assert "kernels" not in sys.modules


# --- on the real model


@pytest.mark.real
def test_the_real_model_in_four_bits_tunes_and_decodes(tmp_path, capsys):
    four, plain = load_model(four_bit=True, device="cpu"), load_model(device="cpu")
    facts = list(random_facts(4, seed=5))
    texts = [render(four.tokenizer, [{"role": "user", "content": fact.question}]) + fact.answer for fact in facts]
    rows = [torch.tensor([four.tokenizer(text).input_ids]) for text in texts]
    a, b = (torch.cat([logits(model.network, row)[0] for row in rows]) for model in (four, plain))
    difference, same = (a - b).abs().mean().item(), (a.argmax(-1) == b.argmax(-1)).float().mean().item()
    with capsys.disabled():
        print(
            f"\nNF4 against {plain.dtype}: logits differ by {difference:.2f} on average (their spread is "
            f"{b.std():.2f}), {same:.0%} of {len(a)} likeliest tokens are the same"
        )
    assert 0.05 < difference < 0.7 * b.std().item() and 0.4 < same < 1
    del plain
    tuned = labkit.tune(four, facts, "memory", tmp_path / "adapter", layers=6, rate=3e-3, passes=30, progress=False)
    again = load_model(adapter=tmp_path / "adapter", four_bit=True, device="cpu")
    answers = labkit.ReplyGenerator(again, max_new_tokens=8)(facts)
    right = sum(answer == fact.answer for answer, fact in zip(answers, facts, strict=True))
    assert tuned.of == 4 and right >= 3 and abs(right - tuned.recalled) <= 1
