"""Side effects: none where nothing changed, visible where something did; the figures are those of plain formulas."""

import copy
import json
import math
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from labkit.decoding import render
from labkit.divergence import divergences, perplexity
from labkit.endpoint import Endpoint
from labkit.errors import LabkitError
from labkit.models import load_model
from labkit.side_effects import Effect, Prompt, SideEffects, load_prompts, side_effects

STANDIN = runpy.run_path(str(Path(__file__).with_name("standin.py")))
tiny_model_dir, make_tiny_model = STANDIN["tiny_model_dir"], STANDIN["make_tiny_model"]
labkit = runpy.run_path(str(Path(__file__).with_name("test_cli.py")))["labkit"]

ASKED = ["What is SQL?", "List five fruits.", "Hi", "Who won the game between the two oldest teams, and by how much?"]
PROMPTS = [Prompt(f"p{i}", text, "near" if i == 0 else "general") for i, text in enumerate(ASKED)]
TEXT = (
    "The capital of France is Paris. How tall is the tower? Nobody in the office knew, and so they measured it. " * 20
)


@pytest.fixture(scope="module")
def tiny(tiny_model_dir):
    torch.set_num_threads(1)
    return load_model(tiny_model_dir, device="cpu", dtype="float32")


def perturbed(model, noise, seed=0):
    """A copy whose weights carry noise, `noise` times each matrix's own spread."""
    network, generator = copy.deepcopy(model.network), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight += noise * weight.std(correction=0) * torch.randn(weight.shape, generator=generator)
    return replace(model, network=network, prefix=None)


def test_a_model_does_not_differ_from_itself(tiny, tiny_model_dir):
    found = side_effects(tiny, load_model(tiny_model_dir, device="cpu", dtype="float32"), PROMPTS, TEXT, 8)
    assert found.n == 4 and found.agreement.same == 4 and found.agreement.share == 1.0 and found.changed == ()
    assert (found.near.n, found.general.n) == (1, 3)
    assert found.kl_first == found.kl_answer == 0.0
    assert found.perplexity_before == found.perplexity_after > 1
    assert all(effect.before == effect.after != "" for effect in found.effects)


def test_a_perturbed_copy_differs_and_more_noise_differs_more(tiny):
    little, much = (side_effects(tiny, perturbed(tiny, noise), PROMPTS, TEXT, 8) for noise in (0.02, 0.5))
    assert much.agreement.share < 1 and len(much.changed) == 4 - much.agreement.same > 0
    assert 0 < little.kl_first < much.kl_first and 0 < little.kl_answer < much.kl_answer
    assert little.perplexity_before == much.perplexity_before != much.perplexity_after


def test_kl_is_that_of_each_row_alone(tiny):
    other = perturbed(tiny, 0.3)
    conversations = [[{"role": "user", "content": text}] for text in ASKED]
    answers = ["SELECT name FROM players", "", "The game was long.", "x" * 9]
    for messages, answer, found in zip(
        conversations, answers, divergences(tiny, other, conversations, answers), strict=True
    ):
        prompt = tiny.tokenizer(render(tiny.tokenizer, messages), add_special_tokens=False).input_ids
        tokens = prompt + tiny.tokenizer(answer, add_special_tokens=False).input_ids
        p, q = (
            model.network(input_ids=torch.tensor([tokens])).logits[0, len(prompt) - 1 :].double().softmax(-1)
            for model in (tiny, other)
        )
        kl = (p * (p / q).log()).sum(-1)
        assert found.first == pytest.approx(kl[0].item(), rel=1e-3)
        assert found.answer == pytest.approx(kl.mean().item(), rel=1e-3)


def test_kl_is_directed_from_before_to_after(tiny):
    other, conversations = perturbed(tiny, 0.5), [[{"role": "user", "content": "Hi"}]]
    there, back = (divergences(a, b, conversations, ["Yes."])[0] for a, b in ((tiny, other), (other, tiny)))
    assert there.first != pytest.approx(back.first, rel=1e-2)


def test_perplexity_is_the_networks_own_loss_over_windows(tiny):
    tokens = tiny.tokenizer(TEXT, add_special_tokens=False).input_ids
    windows = [torch.tensor([tokens[i : i + 512]]) for i in range(0, len(tokens), 512)]
    assert len(windows) > 1
    losses = [tiny.network(input_ids=w, labels=w).loss.item() * (w.shape[1] - 1) for w in windows]
    found = perplexity(tiny, TEXT)
    assert found.tokens == sum(w.shape[1] - 1 for w in windows)
    assert found.value == pytest.approx(math.exp(sum(losses) / found.tokens), rel=1e-4)


def test_answers_of_the_base_are_kept_until_anything_changes(tiny, own_home, monkeypatch):
    model, asked = replace(tiny), []
    chat = type(tiny).chat
    monkeypatch.setattr(type(tiny), "chat", lambda self, *args, **more: asked.append(self) or chat(self, *args, **more))

    def calls_of_base(before, tokens=4):
        asked.clear()
        side_effects(before, tiny, PROMPTS, TEXT, tokens)
        return sum(one is before for one in asked)

    assert calls_of_base(model) == 1
    assert calls_of_base(model) == 0
    assert calls_of_base(model, tokens=5) == 1
    assert calls_of_base(perturbed(model, 0.1), tokens=5) == 1  # the same files, other weights in memory
    for file in (own_home / "side-effects").iterdir():
        file.write_text("[")  # half a file is no answer
    assert calls_of_base(model) == 1


def test_what_cannot_be_compared_is_told(tiny, tmp_path):
    other = load_model(make_tiny_model(tmp_path / "other", vocab_size=512), device="cpu", dtype="float32")
    with pytest.raises(LabkitError, match="different tokens"):
        side_effects(tiny, other, PROMPTS, TEXT)
    with pytest.raises(LabkitError, match="load both models with load_model"):
        side_effects(tiny, Endpoint("http://localhost:1/v1", "tiny"), PROMPTS, TEXT)
    with pytest.raises(LabkitError, match="no prompts"):
        side_effects(tiny, tiny, [], TEXT)
    with pytest.raises(LabkitError, match="no two tokens"):
        side_effects(tiny, tiny, PROMPTS, "", 1)
    broken = perturbed(tiny, 0)
    with torch.no_grad():
        broken.network.model.norm.weight.fill_(math.nan)
    with pytest.raises(LabkitError, match="no finite numbers"):
        side_effects(tiny, broken, PROMPTS, TEXT, 1)
    with pytest.raises(LabkitError, match="no finite numbers"):
        perplexity(broken, TEXT)


@pytest.mark.parametrize(("line", "said"), [
    ({"id": "a", "prompt": "Hi"}, "fields id, prompt and domain"),
    ({"id": "a", "prompt": "", "domain": "near"}, "each a text"),
    ({"id": "a", "prompt": "Hi", "domain": "far"}, "'far'; it must be one of general, near"),
])  # fmt: skip
def test_bad_prompts_are_named_by_line(tmp_path, line, said):
    path = tmp_path / "prompts.jsonl"
    path.write_text(json.dumps({"id": "b", "prompt": "Hello", "domain": "near"}) + "\n" + json.dumps(line) + "\n")
    with pytest.raises(LabkitError, match=f"line 2: .*{said}"):
        load_prompts(path)


def test_figures_print_and_round_trip():
    effects = [
        Effect(str(i), "near" if i < 4 else "general", "Hi", "a", "ab"[i == 0], i > 0, 0.5, 0.25) for i in range(10)
    ]
    found = SideEffects(tuple(effects), 20.0, 21.0, 1000, "base", "adapter")
    assert str(found).startswith("same answer: 0.900 [0.596, 0.982] n=10; general 1.000 [0.610, 1.000] n=6; near 0.750")
    assert "0.5 nats at the first token, 0.25 over the answer" in str(found) and "20.00 -> 21.00 (+5.00%" in str(found)
    figures = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert "near" not in str(replace(found, effects=found.effects[4:])), "what was not asked is not told of"
    assert figures["near"] == {"same": 3, "n": 4, "share": 0.75, "low": found.near.low, "high": found.near.high}
    assert figures["agreement"]["same"] == 9 and figures["kl_answer"] == 0.25 and figures["adapter"] == "adapter"
    assert list(found.to_frame()["same"]) == [False] + [True] * 9


def write_adapter(model, folder, noise):
    """A LoRA adapter whose matrices are random: it changes the model by about `noise`."""
    tuned = get_peft_model(copy.deepcopy(model.network), LoraConfig(r=2, target_modules=["q_proj", "down_proj"]))
    torch.manual_seed(0)
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=noise)
    tuned.save_pretrained(folder)
    return folder


@pytest.fixture
def small_course(tmp_path, monkeypatch, root):
    """A course folder of our own to stand in: every twentieth general prompt, and a short text."""
    for folder in ("notebooks", "datasets/general"):
        (tmp_path / "course" / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "course")
    lines = (root / "datasets/general/prompts.jsonl").read_text().splitlines(keepends=True)
    Path("datasets/general/prompts.jsonl").write_text("".join(lines[::20]))
    Path("datasets/general/english.txt").write_text(TEXT)


def test_the_command(tiny, tiny_model_dir, tmp_path, small_course):
    adapter = write_adapter(tiny, tmp_path / "adapter", 0.5)
    arguments = ["side-effects", "--model", tiny_model_dir, "--adapter", adapter, "--max-new-tokens", 2]
    found = json.loads(labkit(*arguments, "--json").stdout)
    assert found["n"] == found["agreement"]["n"] == 12 and found["near"]["n"] == 3
    assert found["agreement"]["same"] < 12 and found["kl_first"] > 0
    assert found["adapter"] == str(adapter) and found["perplexity_before"] != found["perplexity_after"]
    said = labkit(*arguments).stdout
    assert "same answer: " in said and "perplexity of plain English" in said and "general-" in said
    assert "Missing option" in labkit("side-effects", "--model", tiny_model_dir, code=2).stderr


@pytest.mark.real
def test_side_effects_on_the_real_model(root):
    base, prompts = load_model(), load_prompts(root / "datasets/general/prompts.jsonl")
    handful, text = prompts[:2] + prompts[-2:], (root / "datasets/general/english.txt").read_text()[:1500]
    same = side_effects(base, replace(base, prefix=None), handful, text, max_new_tokens=12)
    assert same.agreement.same == 4 and same.kl_answer == 0 and same.perplexity_before == same.perplexity_after
    assert "Portugal" in same.effects[0].before and 5 < same.perplexity_before < 60
    changed = side_effects(base, perturbed(base, 0.3), handful, text, max_new_tokens=12)
    assert changed.agreement.same < 4 and changed.kl_first > 0.1
    assert changed.perplexity_after > 1.5 * changed.perplexity_before
