"""The arithmetic of memory against what networks of these shapes really hold: weights, saved activations, caches."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from labkit import footprint
from labkit.errors import LabkitError
from labkit.fetching import known_models
from labkit.footprint import Setting
from labkit.kvcache import KeyValues
from labkit.shapes import of_known, read_shape
from labkit.tuning.examples import Example
from labkit.tuning.lora import LoRA, attach
from labkit.tuning.packed import packed_attention, run_layers
from labkit.tuning.trunk import Trunk

STANDIN = runpy.run_path(str(Path(__file__).with_name("standin.py")))
tiny_model_dir = STANDIN["tiny_model_dir"]
LENGTH, ROWS = 48, 3


def network_of(folder: Path, dtype=torch.float32, **changes):
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    for name, value in changes.items():
        setattr(config, name, value)
    return AutoModelForCausalLM.from_config(config).to(dtype).requires_grad_(False)


@pytest.mark.parametrize("model", known_models(), ids=lambda model: model.name)
def test_parameters_follow_from_the_shape(model):
    assert of_known(model).parameters == model.parameters


@pytest.mark.parametrize("tied", [True, False])
def test_a_shape_is_read_from_a_folder(tiny_model_dir, tmp_path, tied):
    config = json.loads((tiny_model_dir / "config.json").read_text()) | {"tie_word_embeddings": tied, "head_dim": 24}
    (tmp_path / "config.json").write_text(json.dumps(config))
    network = network_of(tmp_path)
    shape = read_shape(tmp_path)
    weights = {p.data_ptr(): p.numel() for p in network.parameters()}
    assert shape.parameters == sum(weights.values()) and shape.q_width == 96
    assert shape.linear == sum(m.weight.numel() for m in network.model.layers.modules() if hasattr(m, "in_features"))


def test_a_shape_is_read_from_a_gguf_file(tiny_model_dir, tmp_path):
    from gguf import GGUFWriter

    file, shape = tmp_path / "tiny.gguf", read_shape(tiny_model_dir)
    writer = GGUFWriter(file, "llama")
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.inner)
    writer.add_block_count(shape.layers)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(2)
    writer.add_tensor("token_embd.weight", torch.zeros(shape.vocabulary, shape.hidden).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert replace(read_shape(file), name=shape.name) == shape


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "no config"),
        ("[1]", "holds no object"),
        ("{}", "does not say its shape"),
        ('{"hidden_size": "x"}', "shape"),
    ],
)
def test_a_broken_config_is_a_sentence(tmp_path, content, said):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(LabkitError, match=said):
        read_shape(tmp_path)


def test_what_is_no_model_is_a_sentence(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"GGUF and nothing more")
    for name in (tmp_path / "a.gguf", tmp_path / "none", "nobody/has-this", "what is it"):
        with pytest.raises(LabkitError, match="shape"):
            read_shape(name)


def saved_bytes(network, dtype) -> float:
    """Bytes that autograd keeps of a forward pass of all layers, each memory once, but no weights."""
    layers = len(network.model.layers)
    attach(network, LoRA(tuple(range(layers)), rank=4))
    examples = [Example(str(i), (i, *range(LENGTH - 8)), tuple(range(8))) for i in range(ROWS)]  # 48 are read
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept, found = [], {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and storage.nbytes() > 16 * LENGTH * ROWS:  # no scales, no copies of factors
            found[storage.data_ptr()] = storage.nbytes()
        kept.append(tensor)  # alive, or its memory would be given to another
        return tensor

    with packed_attention(network), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        batch = Trunk(network, examples, (), 0).batch(range(ROWS))
        run_layers(network, batch.hidden, batch.layout, 0, layers)
    assert batch.hidden.shape[1] == LENGTH * ROWS
    return sum(found.values()) / (LENGTH * ROWS)


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_activations_are_what_autograd_saves(tiny_model_dir, dtype):
    kind = {"bf16": torch.bfloat16, "fp32": torch.float32}[dtype]
    shape, setting = read_shape(tiny_model_dir), Setting(dtype, LENGTH, ROWS, rank=4)
    saved = saved_bytes(network_of(tiny_model_dir, kind), kind)
    predicted = shape.layers * footprint.activations(shape, setting)
    assert saved == pytest.approx(predicted, rel=0.06)  # the first layer's input needs no way back


def test_the_cache_is_what_decoding_allocates(tiny_model_dir):
    shape, setting = read_shape(tiny_model_dir), Setting("fp32", LENGTH, ROWS)
    network = network_of(tiny_model_dir)
    cache = KeyValues(torch.zeros(ROWS, dtype=torch.long), LENGTH)
    from labkit.kvcache import shared_prefix_attention

    with torch.no_grad(), shared_prefix_attention(network):
        cache.prefill(network, torch.ones(ROWS, 4, dtype=torch.long))
    held = sum(t.nbytes for t in (*cache.keys, *cache.values))
    assert held == footprint.decode(shape, setting).parts["cache"]


def test_lora_is_counted(tiny_model_dir):
    shape = read_shape(tiny_model_dir)
    for method, layers in (("instruction", (0, 1, 2)), ("memory", (2,))):
        adapters = attach(network_of(tiny_model_dir), LoRA(layers, rank=16))
        counted = sum(p.numel() for a in adapters.values() for p in (a.A, a.B))
        assert footprint.lora(shape, Setting(method=method)) == counted


def test_four_bits_are_counted(tmp_path):
    from labkit.models import load_model

    folder = STANDIN["make_tiny_model"](tmp_path, hidden_size=512, intermediate_size=1024)  # dwarfs the code tables
    model = load_model(folder, four_bit=True, device="cpu", dtype="float32")
    held = sum(t.nbytes for t in {t.data_ptr(): t for t in model.network.state_dict().values()}.values())
    shape = read_shape(folder)
    assert footprint.load(shape, Setting("nf4")).parts["weights"] == pytest.approx(held, rel=0.05)


def test_more_of_anything_takes_more():
    shape = of_known(known_models()[0])
    for stage in ("tune", "decode"):
        little = footprint.STAGES[stage](shape, Setting("bf16", 128, 4)).total
        for more in (Setting("fp32", 128, 4), Setting("bf16", 512, 4), Setting("bf16", 128, 16)):
            assert footprint.STAGES[stage](shape, more).total > little
    for method in footprint.METHODS:
        assert footprint.tune(shape, Setting(method=method)).total > footprint.load(shape, Setting()).total


@pytest.mark.parametrize("wrong", [{"dtype": "int3"}, {"method": "magic"}, {"length": 0}, {"batch": -1}])
def test_a_setting_that_means_nothing_is_a_sentence(wrong):
    with pytest.raises(LabkitError):
        Setting(**wrong)
