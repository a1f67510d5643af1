"""A saved bank of memory experts loads through PEFT, and answers as it does through labkit."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

import labkit.tuning  # noqa: F401
from labkit.agent import as_prompt
from labkit.datagen.facts import random_facts
from labkit.decoding import prompt_tokens
from labkit.errors import LabkitError
from labkit.models import load_model
from labkit.tuning.adapter import save_adapter
from labkit.tuning.lora import LoRA, attach
from labkit.tuning.mome_peft import MomeConfig
from labkit.tuning.remember import remember

tiny_model_dir = runpy.run_path(str(Path(__file__).parent / "standin.py"))["tiny_model_dir"]
OTHERS = ["What is the capital of France?", "How many players?"]


def greedy(network, tokenizer, rows, count=12):
    """Answers in one batch, padded on the left."""
    width = max(map(len, rows))
    ids = torch.tensor([[tokenizer.pad_token_id] * (width - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    out = network.generate(input_ids=ids, attention_mask=mask, max_new_tokens=count, do_sample=False)
    return [tokenizer.decode(row, skip_special_tokens=True).strip() for row in out[:, width:]]


NEW_PROCESS = """
import json
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
import labkit.tuning

def said(network):
    out = [network.generate(input_ids=torch.tensor([row]), max_new_tokens=12, do_sample=False) for row in {rows}]
    cut = [answer[0, len(row):] for answer, row in zip(out, {rows})]
    return [tokenizer.decode(tokens, skip_special_tokens=True).strip() for tokens in cut]

tokenizer = AutoTokenizer.from_pretrained({model!r})
base = AutoModelForCausalLM.from_pretrained({model!r}, dtype=torch.float32).eval()
before = said(base)
print(json.dumps([before, said(PeftModel.from_pretrained(base, {folder!r}).eval())]))
"""


def check(source, options, facts, tmp_path):
    """Facts through PEFT as through labkit; elsewhere every bit as before."""
    model = load_model(source, device="cpu", dtype="float32")
    folder = remember(model, facts, tmp_path / "bank", progress=False).adapter
    compare(source, options, facts, model, folder)


@torch.no_grad()
def compare(source, options, facts, model, folder):
    ours = load_model(source, adapter=folder, device="cpu", dtype="float32")
    prompts = [as_prompt("chat")(text, "") for text in [*(fact.question for fact in facts), *OTHERS]]
    rows, said = prompt_tokens(model, prompts), ours.chat(prompts, max_new_tokens=12, progress=False)
    path = model.network.name_or_path
    base = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, **options).eval()
    plain = [base(torch.tensor([row])).logits for row in rows]
    tuned = PeftModel.from_pretrained(base, folder).eval()
    assert said[: len(facts)] == [fact.answer for fact in facts]
    assert greedy(tuned, model.tokenizer, rows)[: len(facts)] == said[: len(facts)]
    same = [torch.equal(tuned(torch.tensor([row])).logits, old) for row, old in zip(rows, plain, strict=True)]
    assert same == [False] * len(facts) + [True] * len(OTHERS)
    with tuned.disable_adapter():
        assert all(torch.equal(tuned(torch.tensor([r])).logits, old) for r, old in zip(rows, plain, strict=True))
    assert greedy(tuned, model.tokenizer, rows)[: len(facts)] == said[: len(facts)]


def test_a_bank_loads_through_peft(tiny_model_dir, tmp_path):
    check(tiny_model_dir, {}, list(random_facts(6, seed=3)), tmp_path)


def test_what_a_bank_stands_on_is_loaded_and_switched_off_with_it(tiny_model_dir, tmp_path):
    model, shape = load_model(tiny_model_dir, device="cpu", dtype="float32"), LoRA((0, 1, 2), rank=4, alpha=8.0)
    adapters = attach(model.network, shape)
    for adapter in adapters.values():
        adapter.B.data.copy_(0.3 * torch.randn(adapter.B.shape, generator=torch.Generator().manual_seed(0)))
    tuned = load_model(tiny_model_dir, adapter=save_adapter(tmp_path / "lora", adapters, shape), dtype="float32")
    facts = list(random_facts(6, seed=3))
    folder = remember(tuned, facts, tmp_path / "bank", progress=False).adapter
    prompts = [as_prompt("chat")(text, "") for text in [*(fact.question for fact in facts), *OTHERS]]
    rows = [torch.tensor([row]) for row in prompt_tokens(tuned, prompts)]
    base = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32).eval()
    plain = [base(row).logits for row in rows]
    both = PeftModel.from_pretrained(base, folder).eval()
    for row, bare in list(zip(rows, plain, strict=True))[len(facts) :]:
        assert torch.allclose(both(row).logits, tuned.network(row).logits, atol=1e-4)
        assert not torch.allclose(both(row).logits, bare, atol=0.1)
    with both.disable_adapter():
        assert all(torch.equal(both(row).logits, bare) for row, bare in zip(rows, plain, strict=True))
    said = greedy(both, model.tokenizer, [row[0].tolist() for row in rows])
    assert said[: len(facts)] == [fact.answer for fact in facts]
    shutil.rmtree(folder / "under")
    with pytest.raises(LabkitError, match="is not the one that the bank in .* was built over"):
        PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model_dir), folder)
    with pytest.raises(LabkitError, match="Fetch the bank's whole folder"):
        MomeConfig(under="a hash").below()


def test_a_bank_loads_through_peft_in_a_new_process(tiny_model_dir, tmp_path):
    """All that process knows of labkit is `import labkit.tuning`."""
    facts = list(random_facts(6, seed=3))
    model = load_model(tiny_model_dir, device="cpu", dtype="float32")
    folder = remember(model, facts, tmp_path / "bank", progress=False).adapter
    prompts = [as_prompt("chat")(text, "") for text in [*(fact.question for fact in facts), *OTHERS]]
    rows = [list(row) for row in prompt_tokens(model, prompts)]
    code = NEW_PROCESS.format(model=str(tiny_model_dir), folder=str(folder), rows=rows)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    plain, tuned = json.loads(done.stdout)
    answers = [fact.answer for fact in facts]
    assert tuned[: len(facts)] == answers and tuned[len(facts) :] == plain[len(facts) :]
    assert not set(plain) & set(answers)


@pytest.mark.real
def test_the_real_models_bank_loads_through_peft(tmp_path):
    check("smollm2-135m", {}, list(random_facts(4, seed=3)), tmp_path)


def test_importing_the_tuning_says_nothing():
    """PEFT imports bitsandbytes, which on processors with AVX512-BF16 asks a model hub for kernels, and warns."""
    done = subprocess.run([sys.executable, "-c", "import labkit.tuning"], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
