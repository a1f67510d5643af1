"""The numbers of tuning against the plain formulas: packed batches, LoRA, the loss, the cached trunk, mastery."""

import random
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, linear
from transformers import Gemma2Config, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config, SmolLM3Config
from transformers.models.auto import AutoModelForCausalLM

from labkit.agent import ReplyGenerator
from labkit.dataset import Question
from labkit.errors import LabkitError
from labkit.fetching import DEFAULT, known_models
from labkit.models import load_model
from labkit.prompting import chat
from labkit.tuning import Recipe, recipes, tune
from labkit.tuning.examples import Example, batches, common_prefix, encode
from labkit.tuning.lora import LoRA, LoRALinear, attach, put_back
from labkit.tuning.loss import NEGLIGIBLE, ROWS, token_loss
from labkit.tuning.packed import _attend, body, packed_attention
from labkit.tuning.ranks import Ranks
from labkit.tuning.train import Trainer
from labkit.tuning.trunk import Trunk

STANDIN = runpy.run_path(str(Path(__file__).with_name("standin.py")))
tiny_model_dir, make_tiny_model = STANDIN["tiny_model_dir"], STANDIN["make_tiny_model"]
FACTS = [
    Question(f"f{i}", f"What year did {name} climb {peak}?", answer=str(1903 + 7 * i))
    for i, (name, peak) in enumerate([("Ann", "Mount Ash"), ("Bo", "Elm Tor"), ("Cy Dale", "the Fir"), ("Di", "Oak")])
]


@pytest.fixture(scope="module")
def tiny(tiny_model_dir):
    torch.set_num_threads(1)
    return load_model(tiny_model_dir, device="cpu", dtype="float32")


@pytest.fixture(autouse=True)
def as_before(request):
    """Whatever a test attaches to the shared model is taken off again."""
    if "tiny" not in request.fixturenames:
        yield
        return
    with put_back(request.getfixturevalue("tiny").network):
        yield


def some_examples(prefix=6, lengths=((3, 2), (1, 4), (9, 1), (5, 5)), seed=0, size=390) -> list[Example]:
    """Random tokens behind `prefix` shared ones; the first own token tells prompts apart, so no more is shared."""
    draw = random.Random(seed)
    front = tuple(draw.randrange(size) for _ in range(prefix))
    examples = []
    for i, (own, answer) in enumerate(lengths):
        prompt = (*front, i, *(draw.randrange(size) for _ in range(own - 1)))
        examples.append(Example(f"e{i}", prompt, tuple(draw.randrange(size) for _ in range(answer))))
    return examples


def trainer_for(model, examples, layers=2, seed=0, **settings) -> Trainer:
    """A trainer whose adapters already do something: B is random, not zero."""
    settings = {"layers": layers, "rank": 4, "alpha": 6.0, "batch_size": 4} | settings
    trainer = Trainer(model, examples, Recipe(**settings), seed, Ranks())
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for adapter in trainer.adapters.values():
            adapter.B.copy_(0.1 * torch.randn(adapter.B.shape, generator=generator))
    return trainer


def plain_losses(network, example: Example) -> torch.Tensor:
    """Loss of each answer token, by transformers' own forward pass over this example alone."""
    tokens = torch.tensor([[*example.prompt, *example.answer]])
    logits = network(input_ids=tokens, use_cache=False).logits[0].float()
    return cross_entropy(logits[len(example.prompt) - 1 : -1], torch.tensor(example.answer), reduction="none")


def gradients(trainer) -> list[torch.Tensor]:
    found = [p.grad.clone() for p in trainer.parameters]
    trainer.optimizer.zero_grad()
    return found


def in_a_batch(trainer, positions=(0, 1, 2, 3)):
    with packed_attention(trainer.network):
        losses, outcome = trainer._forward(list(positions))
        losses.sum().backward()
    return losses.detach(), outcome, gradients(trainer)


def one_by_one(trainer, positions=(0, 1, 2, 3)):
    losses = torch.cat([plain_losses(trainer.network, trainer.examples[i]) for i in positions])
    losses.sum().backward()
    return losses.detach(), gradients(trainer)


def assert_same_as_plain(trainer):
    losses, outcome, factors = in_a_batch(trainer)
    wanted, wanted_factors = one_by_one(trainer)
    torch.testing.assert_close(losses, wanted, rtol=1e-5, atol=1e-5)
    assert len(factors) == len(wanted_factors) == 2 * 7 * len(trainer.lora.layers)
    for ours, plain in zip(factors, wanted_factors, strict=True):
        assert plain.abs().max() > 1e-4
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5 * plain.abs().max().item())
    by_example = [part.sum() for part in wanted.split([len(e.answer) for e in trainer.examples])]
    torch.testing.assert_close(outcome.log_probability, -torch.stack(by_example), rtol=1e-5, atol=1e-4)


# --- a batch as one row


@pytest.mark.parametrize("prefix", [0, 1, 6, 40])
@pytest.mark.parametrize("layers", [1, 3])
def test_a_packed_batch_is_the_examples_one_by_one(tiny, prefix, layers):
    examples = some_examples(prefix)
    assert len(common_prefix(examples)) == prefix
    assert_same_as_plain(trainer_for(tiny, examples, layers))


def test_a_prompt_that_is_the_whole_shared_part_keeps_its_last_token(tiny):
    long, short = Example("a", (5, 6, 7, 8, 9), (3, 1)), Example("b", (5, 6, 7), (4, 4, 4))
    assert common_prefix([long, short]) == (5, 6) and common_prefix([long]) == (5, 6, 7, 8)
    trainer = trainer_for(tiny, [long, short, Example("c", (5, 6, 7, 1), (2,)), long])
    assert_same_as_plain(trainer)


SHAPE = {"vocab_size": 400, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
         "num_attention_heads": 4, "initializer_range": 0.2}  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [
        Qwen2Config(**SHAPE, num_key_value_heads=1, tie_word_embeddings=True),  # has biases
        MistralConfig(**SHAPE, num_key_value_heads=4, head_dim=24),  # no grouped heads, and heads wider than the state
        Qwen3Config(**SHAPE, num_key_value_heads=2, head_dim=16),  # normalises queries and keys
        SmolLM3Config(**SHAPE, num_key_value_heads=2, no_rope_layers=[1, 0], pad_token_id=0),  # no positions in layer 1
        LlamaConfig(**SHAPE, num_key_value_heads=2, attention_bias=True, mlp_bias=True),
    ],
    ids=lambda config: config.model_type,
)
def test_other_networks_of_the_same_layout_run_packed(tiny, config):
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(config).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.3)
    other = type(tiny)("other", Path(), tiny.tokenizer, network, "cpu", "float32", "0")
    assert_same_as_plain(trainer_for(other, some_examples(), 1))


def test_a_network_that_computes_more_than_its_layers_is_refused():
    config = Gemma2Config(**SHAPE, num_key_value_heads=2, head_dim=16)  # scales embeddings, caps logits
    with pytest.raises(LabkitError, match="Gemma2ForCausalLM.*PEFT"):
        body(AutoModelForCausalLM.from_config(config))


def test_attention_is_as_before_after_the_block_and_after_an_error(tiny):
    before = tiny.network.config._attn_implementation
    with pytest.raises(ZeroDivisionError), packed_attention(tiny.network):
        assert tiny.network.config._attn_implementation != before
        1 / 0  # noqa: B018
    assert tiny.network.config._attn_implementation == before


# --- LoRA


def naive(x, weight, bias, A, B, scale):
    return linear(x, weight, bias) + scale * (x @ A.t() @ B.t())


@pytest.mark.parametrize("bias", [True, False])
def test_the_fused_update_is_the_formula_and_its_gradient(bias):
    torch.manual_seed(0)
    layer = LoRALinear(nn.Linear(5, 7, bias=bias).requires_grad_(False), rank=3, alpha=4.5, seed=1).double()
    with torch.no_grad():
        layer.B.copy_(torch.randn(7, 3))
    x = torch.randn(2, 4, 5, dtype=torch.float64, requires_grad=True)
    wanted = naive(x, layer.base.weight, layer.base.bias, layer.A, layer.B, 1.5)
    torch.testing.assert_close(layer(x), wanted)
    torch.testing.assert_close(wanted, linear(x, layer.base.weight + layer.delta(), layer.base.bias))
    assert torch.autograd.gradcheck(lambda x, A, B: torch.func.functional_call(layer, {"A": A, "B": B}, (x,)),
                                    (x, layer.A, layer.B))  # fmt: skip


def test_the_update_in_bfloat16_is_the_formula_up_to_rounding():
    torch.manual_seed(0)
    layer = LoRALinear(nn.Linear(64, 96, dtype=torch.bfloat16).requires_grad_(False), rank=8, alpha=16.0)
    with torch.no_grad():
        layer.B.copy_(0.3 * torch.randn(96, 8))
    x = torch.randn(1, 10, 64, dtype=torch.bfloat16, requires_grad=True)
    A, B, exact = (t.detach().double().requires_grad_() for t in (layer.A, layer.B, x))
    wanted = naive(exact, layer.base.weight.double(), layer.base.bias.double(), A, B, 2.0)
    ahead = torch.randn_like(wanted)
    (layer(x) * ahead.bfloat16()).sum().backward()
    (wanted * ahead).sum().backward()
    assert layer(x).dtype == torch.bfloat16 and layer.A.grad.dtype == layer.B.grad.dtype == torch.float32
    pairs = ((layer(x), wanted), (layer.A.grad, A.grad), (layer.B.grad, B.grad), (x.grad, exact.grad))
    for ours, plain in pairs:
        assert (ours.double() - plain).norm() < 0.01 * plain.norm()


def test_adapters_begin_as_nothing_and_put_back_leaves_nothing(tiny):
    tokens = torch.tensor([[1, 5, 9, 200]])
    before = tiny.network(tokens).logits
    with pytest.raises(ZeroDivisionError), put_back(tiny.network):
        adapters = attach(tiny.network, LoRA((0, 2), 4), seed=3)
        assert torch.equal(tiny.network(tokens).logits, before)
        adapters["model.layers.2.mlp.down_proj"].B.data += 1
        assert not torch.equal(tiny.network(tokens).logits, before)
        1 / 0  # noqa: B018
    assert torch.equal(tiny.network(tokens).logits, before)
    assert not any(isinstance(module, LoRALinear) for module in tiny.network.modules())


@pytest.mark.parametrize("wrong", [LoRA((3,)), LoRA(()), LoRA((-1, 0)), LoRA((1,), targets=("query",))])
def test_adapters_that_fit_nothing_are_refused(tiny, wrong):
    with pytest.raises(LabkitError, match="layers 0 to 2|No layer"):
        attach(tiny.network, wrong)


# --- the loss


@pytest.mark.parametrize("tokens", [1, ROWS, ROWS + 3])
def test_the_loss_is_cross_entropy_and_its_gradient(tokens):
    torch.manual_seed(0)
    weight, targets = torch.randn(50, 16), torch.randint(50, (tokens,))
    ours, plain = (torch.randn(tokens, 16, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    ours.requires_grad_(), plain.requires_grad_()
    found, logits = token_loss(ours, weight, targets), plain @ weight.t()
    wanted = cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(found.loss, wanted)
    share = torch.rand(tokens)
    (found.loss * share).sum().backward(), (wanted * share).sum().backward()
    assert (ours.grad - plain.grad).norm() < 2 * NEGLIGIBLE / 50 * weight.norm(), "but for tokens left out"
    best = logits.argmax(dim=1)
    assert torch.equal(found.greedy, best == targets) and 0 < tokens < 2 or found.greedy.any()
    own, others = logits.gather(1, targets[:, None])[:, 0], logits.scatter(1, targets[:, None], float("-inf"))
    torch.testing.assert_close(found.margin, own - others.amax(dim=1))


def test_a_gradient_spread_over_a_large_vocabulary_is_whole():
    """Each of 200,000 tokens has next to no probability; together they have it all."""
    torch.manual_seed(0)
    weight, hidden = torch.randn(200_000, 4) + 1, torch.full((1, 4), 0.01, requires_grad=True)
    token_loss(hidden, weight, torch.tensor([7])).loss.sum().backward()
    expected = torch.softmax(hidden.detach() @ weight.t(), dim=1) @ weight - weight[7]
    torch.testing.assert_close(hidden.grad, expected, rtol=0.02, atol=0.02)


def test_parts_of_a_batch_give_the_gradient_of_the_whole(tiny):
    """Fewer at a time, as after running out of memory, is the same step."""
    after = []
    for micro in (4, 3, 1):
        with put_back(tiny.network), packed_attention(tiny.network):
            trainer = trainer_for(tiny, some_examples())
            trainer.micro = micro
            trainer.step(type("S", (), {"positions": (2, 0, 3, 1), "rate": 1.0}))
            after.append([p.detach().clone() for p in trainer.parameters])
    for factors in after[1:]:
        torch.testing.assert_close(factors, after[0], rtol=1e-4, atol=1e-5)


# --- the frozen layers, computed once


def in_dtype(tiny_model_dir, dtype):
    return load_model(tiny_model_dir, device="cpu", dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("prefix", [0, 1, 6])
def test_cached_states_are_the_computed_ones(tiny_model_dir, tmp_path, dtype, prefix):
    model = in_dtype(tiny_model_dir, dtype)
    examples = some_examples(prefix, [(3, 2), (1, 4), (9, 1), (5, 5)] * 10)
    trunk = Trunk(model.network, examples, common_prefix(examples), 2)
    chosen = [7, 29, 4]
    with packed_attention(model.network):
        fresh = trunk.batch(chosen)
        trunk.keep(tmp_path, model.sha256, progress=False)
        kept = trunk.batch(chosen)
    assert kept.hidden.dtype == fresh.hidden.dtype == getattr(torch, dtype)
    own = torch.ones(fresh.hidden.shape[1], dtype=torch.bool)  # all but padding, which nobody looks at
    for row, i in enumerate(chosen):
        start = len(trunk.prefix) + row * fresh.layout.columns
        own[start + len(trunk._own(i)) : start + fresh.layout.columns] = False
    tolerance = 1e-5 if dtype == "float32" else 0.02
    assert 0 < own.sum() < len(own) and fresh.hidden[0, own].abs().mean() > 0.1
    torch.testing.assert_close(kept.hidden[0, own], fresh.hidden[0, own], rtol=tolerance, atol=tolerance)
    assert kept.layout == fresh.layout
    assert all(torch.equal(getattr(kept, name), getattr(fresh, name)) for name in ("places", "targets", "rows"))


def test_bfloat16_bits_survive_the_file(tiny_model_dir, tmp_path):
    """numpy has no bfloat16: what is read back is what was computed, bit for bit."""
    model = in_dtype(tiny_model_dir, "bfloat16")
    examples = some_examples(6, [(3, 2)] * 5)  # one length, one batch: the same products both times
    trunk = Trunk(model.network, examples, common_prefix(examples), 1)
    with packed_attention(model.network):
        fresh = trunk.batch(range(5))
        trunk.keep(tmp_path, model.sha256, progress=False)
    assert torch.equal(trunk.batch(range(5)).hidden, fresh.hidden)


def test_a_cache_is_used_again_only_when_it_is_whole_and_of_this(tiny, tmp_path, monkeypatch):
    computed = []
    fill = Trunk._fill
    monkeypatch.setattr(Trunk, "_fill", lambda self, *rest: (computed.append(self.first), fill(self, *rest)))

    def keeps(base="base", first=1, examples=None, folder=tmp_path):
        examples = examples or some_examples()
        trunk = Trunk(tiny.network, examples, common_prefix(examples), first)
        before = len(computed)
        with packed_attention(tiny.network):
            wanted = trunk._compute([trunk._own(0)], trunk.batch([0]).layout)
            trunk.keep(folder, base, progress=False)
        torch.testing.assert_close(trunk.batch([0]).hidden, wanted, rtol=1e-5, atol=1e-5)
        return len(computed) > before

    assert keeps() and not keeps()
    assert keeps(base="other weights") and keeps(), "another base's states must not be taken"
    assert keeps(first=2) and keeps(first=1)
    assert keeps(examples=some_examples(seed=1)) and keeps()
    (tmp_path / "manifest.json").unlink()  # as a kill while filling leaves it
    assert keeps() and not keeps()
    states = tmp_path / "states.bin"
    states.write_bytes(states.read_bytes()[:-4])
    assert keeps() and not keeps()


def test_a_kill_while_the_cache_fills_leaves_no_manifest(tiny, tmp_path, monkeypatch):
    examples = some_examples()
    trunk = Trunk(tiny.network, examples, common_prefix(examples), 1)
    monkeypatch.setattr(Trunk, "_compute", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        trunk.keep(tmp_path / "trunk", "base", progress=False)
    assert [file.name for file in (tmp_path / "trunk").iterdir()] == ["states.bin"]


def test_a_full_disk_means_no_cache_and_the_same_batches(tiny, tmp_path, monkeypatch, capsys):
    examples = some_examples()
    trunk = Trunk(tiny.network, examples, common_prefix(examples), 1)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Disk", (), {"free": 1000}))
    with packed_attention(tiny.network):
        fresh = trunk.batch([0, 2])
        trunk.keep(tmp_path, "base", progress=False)
        assert trunk.cache is None and torch.equal(trunk.batch([0, 2]).hidden, fresh.hidden)
    assert "bytes free" in capsys.readouterr().err


def test_adapters_on_all_layers_keep_nothing(tiny, tmp_path):
    trainer = trainer_for(tiny, some_examples(), layers=99)
    assert trainer.lora.layers == (0, 1, 2) and trainer.trunk.first == 0
    with packed_attention(tiny.network):
        embedded = trainer.trunk.batch([1]).hidden
        trainer.trunk.keep(tmp_path / "trunk", "base", progress=False)
        assert torch.equal(trainer.trunk.batch([1]).hidden, embedded)
    assert not (tmp_path / "trunk").exists()
    assert_same_as_plain(trainer)


def test_training_on_cached_states_gives_the_same_gradient(tiny, tmp_path):
    trainer = trainer_for(tiny, some_examples(), layers=1)
    losses, _, factors = in_a_batch(trainer)
    with packed_attention(tiny.network):
        trainer.trunk.keep(tmp_path, "base", progress=False)
    again, _, factors_again = in_a_batch(trainer)
    torch.testing.assert_close(again, losses, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(factors_again, factors, rtol=1e-4, atol=1e-5)


# --- mastered means recalled


@torch.no_grad()
def greedy(network, prompt, count) -> tuple[int, ...]:
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(network(torch.tensor([tokens])).logits[0, -1].argmax().item())
    return tuple(tokens[len(prompt) :])


def test_check_tells_what_greedy_decoding_would_write(tiny):
    """Of 12 answers, all that the network writes itself but for one token of every second one."""
    trainer = trainer_for(tiny, some_examples(4, [(1 + i % 5, 1 + i % 4) for i in range(12)]))
    examples = []
    for i, example in enumerate(trainer.examples):
        answer = list(greedy(tiny.network, example.prompt, len(example.answer)))
        if i % 2:
            answer[i % len(answer)] = (answer[i % len(answer)] + 1) % 390
        examples.append(Example(example.id, example.prompt, tuple(answer)))
    trainer.examples = trainer.trunk.examples = examples
    with packed_attention(tiny.network):
        order = [5, 0, 11, 3, 2, 1, 4, 10, 9, 8, 7, 6]
        outcome = trainer.check(order)
    assert (outcome.margin > 0).tolist() == [i % 2 == 0 for i in order]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_mastered_facts_are_recalled_by_the_loaded_adapter(tiny_model_dir, tmp_path, dtype):
    base = in_dtype(tiny_model_dir, dtype)
    assert ReplyGenerator(base)(FACTS) != [q.answer for q in FACTS]
    tuned = tune(base, FACTS, "memory", tmp_path / "a", rate=3e-3, layers=2, progress=False)
    assert tuned.recalled == tuned.of == tuned.trained == 4
    again = load_model(tiny_model_dir, adapter=tmp_path / "a", device="cpu", dtype=dtype)
    assert ReplyGenerator(again)(FACTS) == [q.answer for q in FACTS]


# --- pairs as tokens


def test_pairs_are_what_decoding_sees_and_end_with_the_end(tiny):
    pairs = [FACTS[0], Question("q", "How many?", sql="SELECT count(*) FROM teams", database="league.sqlite")]
    for example, pair, answer in zip(encode(tiny, pairs, chat), pairs, ("1903", pairs[1].sql), strict=True):
        rendered = tiny.tokenizer.apply_chat_template(chat(pair.question), add_generation_prompt=True, tokenize=False)
        assert tiny.tokenizer.decode(example.prompt) == rendered
        assert tiny.tokenizer.decode(example.answer) == answer + tiny.tokenizer.eos_token
        assert len(example) == len(example.prompt) + len(example.answer)
    with pytest.raises(LabkitError, match="'f0' has 47 tokens, more than the 20"):
        encode(tiny, pairs, chat, longest=20)


@pytest.mark.parametrize("count, size", [(1, 4), (7, 3), (200, 3)])
def test_batches_hold_each_example_once_and_about_one_length(count, size):
    examples = some_examples(0, [(1 + (i * 37) % 50, 2) for i in range(count)])
    found = batches(examples, size, seed=5)
    assert sorted(i for batch in found for i in batch) == list(range(count))
    assert max(map(len, found)) <= size and found == batches(examples, size, seed=5)
    if count == 200:
        assert found != batches(examples, size, seed=6)
        spread = [len(examples[b[-1]]) - len(examples[b[0]]) for b in found]
        assert all(s >= 0 for s in spread) and np.mean(spread) < 5


@pytest.mark.parametrize(
    "settings", [{"rate": 0}, {"rate": float("nan")}, {"passes": 0}, {"batch_size": 0}, {"rank": -1}]
)
def test_a_recipe_that_cannot_work_is_refused(settings):
    with pytest.raises(LabkitError, match=f"{next(iter(settings))} must be"):
        Recipe(**settings)


def test_the_page_of_recipes_is_what_tuning_takes_and_marks_what_was_not_measured():
    text = (Path(__file__).parents[1] / "docs" / "scale.md").read_text()
    assert recipes.page() in text
    rows = [line for line in recipes.page().splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 2 * len(known_models())
    for row in rows:
        assert row.endswith("not measured |") == (DEFAULT not in row), row

    class Network:
        layers = [None] * known_models()[0].layers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "body", lambda network: network)
        for row, method in zip(rows, recipes.METHODS, strict=False):  # the first model's two rows
            taken = recipes.default_recipe(method, SimpleNamespace(network=Network))
            assert (
                f"| {taken.layers} of 30 | {taken.rank}, {taken.alpha:g} | {taken.rate:g} | {taken.batch_size} |" in row
            )


@pytest.mark.parametrize("causal", [False, True])
def test_attention_in_two_products_is_the_fused_one(causal):
    """In bfloat16 on a CPU it goes another way, forwards and backwards."""
    generator = torch.Generator().manual_seed(0)
    exact = [torch.randn(2, 3, 7, 16, generator=generator).requires_grad_() for _ in range(3)]
    rough = [t.detach().bfloat16().requires_grad_() for t in exact]
    mask = None if causal else torch.full((7, 7), float("-inf")).triu(1)
    wanted = _attend(*exact, mask, scale=0.3, is_causal=causal)
    found = _attend(*rough, None if mask is None else mask.bfloat16(), scale=0.3, is_causal=causal)
    weights = torch.randn(wanted.shape, generator=generator)
    (wanted * weights).sum().backward()
    (found.float() * weights).sum().backward()
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), wanted, rtol=0.02, atol=0.02)
    for one, other in zip(rough, exact, strict=True):
        torch.testing.assert_close(one.grad.float(), other.grad, rtol=0.05, atol=0.05)
