"""One case of `bench_gpu`, in a process of its own: a random 4-bit model is built and tuned by one side. Called with
the case as JSON; prints its figures as JSON.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GIB = 2**30
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
TORCH = (2, 11)  # or newer, on CUDA
ANSWER = 1 / 8  # share of a sequence that is the answer


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


def random_model(shape: str, device: str, seed: int = 0):
    """A Llama of that shape: linear layers of random values in NF4, quantised one by one on `device`; the rest
    bfloat16 (float32 on a CPU)."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

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
                packed = four_bit(random(module.out_features, module.in_features))
                setattr(layer.get_submodule(parent), last, packed)
    for module in network.modules():
        if type(module).__name__ == "LlamaRMSNorm":
            module.weight = torch.nn.Parameter(torch.ones(module.weight.shape, dtype=dtype, device=device))
    network.model.embed_tokens.weight = torch.nn.Parameter(random(config.vocab_size, config.hidden_size))
    network.lm_head.weight = network.model.embed_tokens.weight
    if not config.tie_word_embeddings:
        network.lm_head.weight = torch.nn.Parameter(random(config.vocab_size, config.hidden_size))
    network.model.rotary_emb = LlamaRotaryEmbedding(config).to(device)
    mark_quantised(network, dtype)
    left = [name for name, tensor in network.named_parameters() if tensor.is_meta]
    assert not left, left
    return network.requires_grad_(False)


def four_bit(values):
    """A linear layer of these values in NF4."""
    import bitsandbytes as bnb

    size = values.shape[::-1]
    packed = bnb.nn.Linear4bit(
        *size, bias=False, compute_dtype=values.dtype, quant_type="nf4", compress_statistics=True, device="meta"
    )
    weight = bnb.nn.Params4bit(values, requires_grad=False, quant_type="nf4", compress_statistics=True, module=packed)
    packed.weight = weight.to(values.device)
    if hasattr(packed, "support_avx512bf16_for_cpu"):  # see labkit.models: gradients would not pass
        packed.support_avx512bf16_for_cpu = False
    return packed


def mark_quantised(network, dtype) -> None:
    """What from_pretrained leaves on a 4-bit model, and trainers look for."""
    from transformers import BitsAndBytesConfig
    from transformers.quantizers import AutoHfQuantizer

    network.config.dtype = dtype
    said = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    network.hf_quantizer = AutoHfQuantizer.from_config(said)
    network.config.quantization_config, network.quantization_method = said, said.quant_method
    network.is_loaded_in_4bit = network.is_quantized = True


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
    from datasets.table import InMemoryTable
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from datasets import Dataset

    class Watch(TrainerCallback):
        def on_step_begin(self, *args, **kwargs):
            meter.begin()

        def on_step_end(self, *args, **kwargs):
            meter.end()

    rows = [{"input_ids": asked + answer, "labels": [-100] * len(asked) + answer} for asked, answer in sequences(case)]
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


def unfit() -> str | None:
    """Why this machine or its torch can't measure the large shapes; None where it can."""
    import torch

    if not torch.cuda.is_available():
        return "The large shapes need a CUDA GPU, and torch sees none here. --tiny proves the script on a CPU."
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < TORCH:
        wanted = ".".join(map(str, TORCH))
        return f"The large shapes are measured with torch {wanted} or newer, and this is {torch.__version__}."
    return None


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


if __name__ == "__main__":
    print(json.dumps(run_case(json.loads(sys.argv[1]))))
