"""Tuning 4-bit models on one CUDA GPU whose memory is capped: labkit's loop beside TRL + PEFT. `make bench-gpu`.

Models have the shape of Llama 3.x and random weights in NF4: memory and speed don't depend on the values. Both sides
tune the same layers (the upper third) at the same rank, batch and steps, on the same random sequences that share no
prefix. labkit computes the frozen layers once (`trunk`) and projects only answer positions (`loss`); TRL runs twice,
with gradient checkpointing (its default) and without. Each case is a process of its own, so running out of memory is
a result like any other: the case is tried under the smallest cap, then the next. What is kept in gpu.json is written
after every case. Sizes are in GiB. Nothing here says how well a tuned model answers.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("gpu.json")
GIB = 2**30
SIDES = ("labkit", "trl", "trl_checkpointed")
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ANSWER = 1 / 8  # share of a sequence that is the answer
PASSES = (1, 3, 10, 100)  # over the examples: what the cache of frozen layers costs beside the steps


def llama(hidden: int, inner: int, layers: int, heads: int, kv_heads: int, tied: bool, vocabulary: int = 128_256):
    """What decides a Llama's memory and speed, by the names of its config.json."""
    return {
        "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "tie_word_embeddings": tied, "vocab_size": vocabulary,
    }  # fmt: skip


SHAPES = {
    "8B": llama(4096, 14336, 32, 32, 8, False),
    "3B": llama(3072, 8192, 28, 24, 8, True),
    "1B": llama(2048, 8192, 16, 32, 8, True),
    "tiny": llama(64, 128, 3, 4, 2, True, 512),
}


# --- one case, in a process of its own


def random_model(shape: str, device: str, seed: int = 0):
    """A Llama of that shape: linear layers of random values in NF4, quantised one by one on `device`; the rest
    bfloat16 (float32 on a CPU)."""
    import bitsandbytes as bnb
    import torch
    from transformers import BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
    from transformers.quantizers import AutoHfQuantizer

    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    torch.manual_seed(seed)
    config = LlamaConfig(**SHAPES[shape], max_position_embeddings=8192, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    with torch.device("meta"):
        network = LlamaForCausalLM(config)

    def random(*size) -> torch.Tensor:
        return torch.randn(*size, dtype=dtype, device=device) * 0.02

    for layer in network.model.layers:
        for name, module in list(layer.named_modules()):
            parent, _, last = name.rpartition(".")
            if last in LINEAR:
                packed = bnb.nn.Linear4bit(
                    module.in_features, module.out_features, bias=False, compute_dtype=dtype, quant_type="nf4",
                    compress_statistics=True, device="meta",
                )  # fmt: skip
                values = random(module.out_features, module.in_features)
                packed.weight = bnb.nn.Params4bit(
                    values, requires_grad=False, quant_type="nf4", compress_statistics=True, module=packed
                ).to(device)
                if hasattr(packed, "support_avx512bf16_for_cpu"):  # see labkit.models: gradients would not pass
                    packed.support_avx512bf16_for_cpu = False
                setattr(layer.get_submodule(parent), last, packed)
    for module in network.modules():
        if type(module).__name__ == "LlamaRMSNorm":
            module.weight = torch.nn.Parameter(torch.ones(module.weight.shape, dtype=dtype, device=device))
    network.model.embed_tokens.weight = torch.nn.Parameter(random(config.vocab_size, config.hidden_size))
    output = network.model.embed_tokens.weight if config.tie_word_embeddings else None
    network.lm_head.weight = torch.nn.Parameter(random(config.vocab_size, config.hidden_size)) if output is None else (
        output
    )  # fmt: skip
    network.model.rotary_emb = LlamaRotaryEmbedding(config).to(device)
    network.config.dtype = dtype
    said = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    network.hf_quantizer = AutoHfQuantizer.from_config(said)  # what from_pretrained leaves, and trainers look for
    network.config.quantization_config, network.quantization_method = said, said.quant_method
    network.is_loaded_in_4bit = network.is_quantized = True
    left = [name for name, tensor in network.named_parameters() if tensor.is_meta]
    assert not left, left
    return network.requires_grad_(False)


def sequences(case: dict) -> list[tuple[list[int], list[int]]]:
    """Random prompts and answers, four batches of them, that begin differently."""
    import random

    rng, vocabulary = random.Random(0), SHAPES[case["shape"]]["vocab_size"]
    answer = max(1, int(case["length"] * ANSWER))
    rows = [[rng.randrange(3, vocabulary) for _ in range(case["length"])] for _ in range(4 * case["batch"])]
    for number, row in enumerate(rows):
        row[0] = 3 + number
    return [(row[:-answer], row[-answer:]) for row in rows]


class Meter:
    """Seconds of the timed steps, and the most memory so far."""

    def __init__(self, device: str):
        self.device, self.seconds, self.since = device, [], 0.0

    def now(self) -> float:
        import torch

        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def begin(self) -> None:
        self.since = self.now()

    def end(self) -> None:
        self.seconds.append(self.now() - self.since)

    def peak(self) -> float | None:
        import torch

        return round(torch.cuda.max_memory_allocated() / GIB, 3) if self.device == "cuda" else None

    def reserved(self) -> float | None:
        import torch

        return round(torch.cuda.max_memory_reserved() / GIB, 3) if self.device == "cuda" else None


def tune_labkit(network, case: dict, meter: Meter) -> dict:
    """Steps of labkit's Trainer, from the cache of frozen layers."""
    from types import SimpleNamespace

    from labkit.tuning.examples import Example
    from labkit.tuning.packed import packed_attention
    from labkit.tuning.ranks import Ranks
    from labkit.tuning.train import Recipe, Step, Trainer

    rows = sequences(case)
    examples = [Example(str(i), tuple(asked), tuple(answer)) for i, (asked, answer) in enumerate(rows)]
    recipe = Recipe(layers=case["layers"], rank=case["rank"], alpha=2.0 * case["rank"], batch_size=case["batch"])
    trainer = Trainer(SimpleNamespace(network=network), examples, recipe, 0, Ranks())
    with tempfile.TemporaryDirectory() as folder, packed_attention(network):
        begun = meter.now()
        trainer.trunk.keep(Path(folder), "random", progress=False)
        cached = meter.now() - begun
        peak = meter.peak()
        for number in range(case["warm"] + case["steps"]):
            at = number * case["batch"] % len(examples)
            meter.begin()
            outcome = trainer.step(Step(tuple(range(at, at + case["batch"])), 1.0))
            meter.end()
    return {
        "loss": outcome.loss.mean().item(),
        "trainable": sum(p.numel() for p in trainer.parameters),
        "cache_seconds": cached,
        "cache_tokens": len(examples) * case["length"],
        "peak_of_cache": peak,
    }


def tune_trl(network, case: dict, meter: Meter) -> dict:
    """Steps of TRL's SFTTrainer on a PEFT LoRA of the same layers; its loss is that of the answers as well."""
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from datasets import Dataset
    from datasets.table import InMemoryTable

    class Watch(TrainerCallback):
        def on_step_begin(self, *args, **kwargs):
            meter.begin()

        def on_step_end(self, *args, **kwargs):
            meter.end()

    rows = [
        {"input_ids": asked + answer, "labels": [-100] * len(asked) + answer} for asked, answer in sequences(case)
    ]
    data = Dataset(InMemoryTable.from_pylist(rows), fingerprint="rows")  # named: some pyarrow can't be hashed
    count, device = network.config.num_hidden_layers, meter.device
    lora = LoraConfig(
        r=case["rank"], lora_alpha=2 * case["rank"], lora_dropout=0.0, target_modules=list(LINEAR),
        layers_to_transform=list(range(count - case["layers"], count)), task_type="CAUSAL_LM",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        settings = SFTConfig(
            output_dir=folder, max_steps=case["warm"] + case["steps"], per_device_train_batch_size=case["batch"],
            learning_rate=1.5e-3, lr_scheduler_type="constant", weight_decay=0.0, optim="adamw_torch_fused",
            bf16=device == "cuda", use_cpu=device == "cpu", max_length=case["length"], packing=False,
            completion_only_loss=True, gradient_checkpointing=case["side"] == "trl_checkpointed",
            save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True,
            dataset_kwargs={"skip_prepare_dataset": True},
        )  # fmt: skip
        trainer = SFTTrainer(
            model=network, args=settings, train_dataset=data, processing_class=tokenizer(),
            peft_config=lora, callbacks=[Watch()],
        )  # fmt: skip
        done = trainer.train()
    trainable = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    return {"loss": done.training_loss, "trainable": trainable}


def tokenizer():
    """SFTTrainer wants one, though the rows are tokens already."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<pad>": 0, "<s>": 1, "</s>": 2}, unk_token="<pad>"))
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>")


def run_case(case: dict) -> dict:
    """The case's figures; of running out of memory, that it did."""
    import torch

    sys.path.insert(0, str(ROOT))
    device = "cpu" if case["shape"] == "tiny" else "cuda"
    if device == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, case["cap"] * GIB / total))
    meter, begun = Meter(device), time.perf_counter()
    try:
        network = random_model(case["shape"], device)
        built, weights = meter.now() - begun, meter.peak()
        tune = tune_labkit if case["side"] == "labkit" else tune_trl
        found = tune(network, case, meter)
    except torch.OutOfMemoryError as error:
        return {"ok": False, "error": "out of memory", "said": str(error)[:300], "peak": meter.peak()}
    timed = sum(meter.seconds[case["warm"] :])
    tokens = case["steps"] * case["batch"] * case["length"]
    return found | {
        "ok": True, "peak": meter.peak(), "peak_reserved": meter.reserved(), "peak_of_loading": weights,
        "seconds": timed, "tokens": tokens, "tokens_a_second": tokens / timed, "build_seconds": built,
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU", "torch": torch.__version__,
    }  # fmt: skip


# --- all cases


def in_process(case: dict, seconds: float) -> dict:
    """What `run_case` says in a new process; why it said nothing."""
    call = [sys.executable, str(Path(__file__).resolve()), "--case", json.dumps(case)]
    extra = {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True", "HF_HUB_OFFLINE": "1", "CI": "1"}
    begun = time.monotonic()
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=seconds, env=os.environ | extra)
    except subprocess.TimeoutExpired:
        return {"ok": False, "error": f"not done after {seconds:.0f} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        said = done.stderr.strip().splitlines()[-6:]
        return {"ok": False, "error": said[-1] if said else f"ended with {done.returncode}", "said": "\n".join(said)}
    return json.loads(lines[-1]) | {"process_seconds": round(time.monotonic() - begun, 1)}


def ratios(cases: list[dict]) -> dict:
    """By shape: labkit's tokens/s over TRL's and its peak over TRL's, for each way of TRL; tokens/s with the cache of
    frozen layers counted, by number of passes."""
    found = {}
    for shape in dict.fromkeys(case["shape"] for case in cases):
        done = {case["side"]: case for case in cases if case["shape"] == shape and case["ok"]}
        ours = done.pop("labkit", None)
        for side, peer in done.items():
            if ours:
                speed = {f"speed_at_{n}_passes": with_cache(ours, n) / peer["tokens_a_second"] for n in PASSES}
                peak = ours["peak"] / peer["peak"] if ours["peak"] and peer["peak"] else None
                found[f"{shape} labkit / {side}"] = {
                    "speed": ours["tokens_a_second"] / peer["tokens_a_second"], "peak": peak, **speed,
                }  # fmt: skip
    return found


def with_cache(case: dict, passes: int) -> float:
    """Tokens a second where `passes` over the examples pay for one computation of the frozen layers."""
    return 1 / (1 / case["tokens_a_second"] + case["cache_seconds"] / case["cache_tokens"] / passes)


def write(options, cases: list[dict], left: list[str]) -> None:
    done = next((case for case in cases if case["ok"]), {})
    found = {
        "device": done.get("device"), "torch": done.get("torch"), "length": options.length, "batch": options.batch,
        "rank": options.rank, "caps_gib": options.caps, "ratios": ratios(cases), "cases": cases, "not_measured": left,
    }  # fmt: skip
    kept = options.results.with_suffix(".partial")
    kept.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    kept.replace(options.results)


def measure(options) -> list[dict]:
    """Every shape on every side, each under the smallest cap that it fits; results are written after each."""
    begun, cases = time.monotonic(), []
    wanted = [(shape, side) for shape in options.shapes for side in options.sides]
    for number, (shape, side) in enumerate(wanted):
        layers = max(1, SHAPES[shape]["num_hidden_layers"] // 3)
        for cap in options.caps:
            left = options.budget_seconds - (time.monotonic() - begun)
            if left < 5:
                break
            case = {
                "shape": shape, "side": side, "cap": cap, "layers": layers, "rank": options.rank,
                "batch": options.batch, "length": options.length, "warm": options.warm, "steps": options.steps,
            }  # fmt: skip
            cases.append(case | in_process(case, min(left, options.case_seconds)))
            write(options, cases, [" ".join(pair) for pair in wanted[number + 1 :]])
            say(cases[-1])
            if cases[-1]["ok"] or cases[-1]["error"] != "out of memory":
                break  # what fits one cap fits the larger ones
    return cases


def say(case: dict) -> None:
    head = f"{case['shape']:>4} {case['side']:<16} cap {case['cap']:>4g}"
    if case["ok"]:
        print(f"{head}  peak {case['peak'] or 0:6.2f} GiB  {case['tokens_a_second']:9,.0f} tokens/s", flush=True)
    else:
        print(f"{head}  {case['error']}", flush=True)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["8B", "3B", "1B"])
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--caps", nargs="+", type=float, default=[7.3, 11, 15, 23], help="GiB, smallest first")
    parser.add_argument("--length", type=int, default=512, help="tokens of a sequence")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8, help="timed")
    parser.add_argument("--warm", type=int, default=2, help="steps before the timed ones")
    parser.add_argument("--budget-seconds", type=float, default=200, help="for all cases together")
    parser.add_argument("--case-seconds", type=float, default=90, help="for one case")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--tiny", action="store_true", help="a tiny shape on the CPU: proves the script, no more")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    return parser


def main() -> None:
    options = arguments().parse_args()
    if options.case:
        print(json.dumps(run_case(json.loads(options.case))))
        return
    if options.tiny:
        options.shapes, options.length, options.rank = ["tiny"], 64, 4
    measure(options)
    print(options.results)


if __name__ == "__main__":
    main()
