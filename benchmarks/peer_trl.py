"""The peer of memory tuning: TRL's SFTTrainer with a PEFT LoRA, on the same facts, until it recalls every one.

    make bench-peer-env                                          # TRL in an environment of its own, .venv-trl
    .venv-trl/bin/python benchmarks/peer_trl.py --model FOLDER --facts datasets/facts/climbs.jsonl --threads 2
    .venv-trl/bin/python benchmarks/peer_trl.py --model FOLDER --facts ... --grid    # writes results-trl-grid.json

FOLDER is what `labkit models fetch` prints. The clock runs while the trainer trains. Off it: loading, tokenizing, and
after each epoch the check that asks every fact greedily and compares the whole reply, as `labkit evaluate --mode
text` does. One JSON object is printed. What TRL leaves open is set as it trains fastest on a CPU: no gradient
checkpointing, no logging, a constant rate; float32 weights, under TRL's bf16 where the processor computes in it (348
tokens/s against 204 in float32 alone and 181 with the weights in bfloat16, one core of an EPYC with AVX-512 bf16);
elsewhere bfloat16 is many times slower than float32. Of its ways to the loss (`--loss`) `answers` is the quickest: it
overrides `compute_loss`, as TRL advises, and projects the answers' positions alone, while TRL's own fused head, made
for GPUs, scores every position on a CPU. Nothing of labkit is imported.
"""

import argparse
import contextlib
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import unicodedata
from datetime import date
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent
GRID = FOLDER / "results-trl-grid.json"
LINEAR = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
PACKAGES = ("trl", "transformers", "peft", "accelerate", "torch")


class Clock:
    """Seconds of training: wall clock and processor, while it runs."""

    def __init__(self):
        self.seconds = self.cpu_seconds = 0.0
        self.since = None

    def start(self) -> None:
        self.since = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        if self.since:
            self.seconds += time.perf_counter() - self.since[0]
            self.cpu_seconds += time.process_time() - self.since[1]
        self.since = None

    def now(self) -> float:
        return self.seconds + (time.perf_counter() - self.since[0] if self.since else 0.0)


def read_facts(path: str, count: int | None) -> list[dict]:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()][:count]


def folded(text: str) -> str:
    """As labkit's mode "text" compares: Unicode NFC and white space, nothing more forgiving."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def recalled(model, tokenizer, facts: list[dict], batch_size: int = 64) -> int:
    """How many facts the model answers exactly, asked greedily."""
    import torch

    longest = max(len(tokenizer(fact["answer"]).input_ids) for fact in facts) + 3
    right = 0
    for start in range(0, len(facts), batch_size):
        part = facts[start : start + batch_size]
        talks = [[{"role": "user", "content": fact["question"]}] for fact in part]
        texts = [tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True) for talk in talks]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False)
        with torch.inference_mode():
            replies = model.generate(**inputs, do_sample=False, max_new_tokens=longest)
        said = tokenizer.batch_decode(replies[:, inputs.input_ids.shape[1] :], skip_special_tokens=True)
        right += sum(folded(a) == folded(fact["answer"]) for a, fact in zip(said, part, strict=True))
    return right


def trainer_class(loss: str):
    """SFTTrainer as it is, or with one of two other ways to the loss."""
    from torch.nn.functional import cross_entropy
    from transformers import Trainer
    from trl import SFTTrainer

    class Whole(SFTTrainer):
        """transformers' own loss: the logits of every position, projected once."""

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)

    class Answers(SFTTrainer):
        """The logits from the first answer's position on; prompts of one batch are about as long."""

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            labels = inputs.pop("labels")[:, 1:]
            kept = labels.shape[1] - int((labels != -100).any(0).nonzero()[0])
            logits = model(**inputs, use_cache=False, logits_to_keep=kept + 1).logits[:, :-1]
            losses = cross_entropy(logits.float().flatten(0, 1), labels[:, -kept:].flatten(), reduction="sum")
            return losses / (num_items_in_batch or (labels != -100).sum())

    return {"trl": SFTTrainer, "whole": Whole, "answers": Answers}[loss]


def settings_of(options, folder: str):
    """TRL's configuration: what makes it slower without making it better is off."""
    from trl import SFTConfig

    return SFTConfig(
        output_dir=folder,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch,
        learning_rate=options.lr,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        optim="adamw_torch_fused",
        bf16=options.autocast,
        use_cpu=True,
        activation_checkpointing=False,
        completion_only_loss=True,
        train_sampling_strategy=options.sampling,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=options.seed,
    )


def lora_of(options, layers: int):
    from peft import LoraConfig

    top = options.top_layers
    return LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=0.0,
        target_modules=options.targets.split(","),
        layers_to_transform=list(range(layers - top, layers)) if top else None,
        task_type="CAUSAL_LM",
    )


def recall_check(options, clock: Clock, facts: list[dict], tokenizer, recall: list[int]):
    """A callback that checks after each epoch, off the clock, and ends training when all is recalled."""
    from transformers import TrainerCallback

    class Check(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            clock.start()

        def on_step_end(self, args, state, control, **kwargs):
            if options.max_seconds and clock.now() > options.max_seconds:
                control.should_training_stop = True

        def on_epoch_end(self, args, state, control, model=None, **kwargs):
            clock.stop()
            model.eval()
            recall.append(recalled(model, tokenizer, facts))
            model.train()
            print(f"epoch {len(recall)}: {recall[-1]} of {len(facts)}, {clock.seconds:.1f} s", file=sys.stderr)
            if recall[-1] == len(facts):
                control.should_training_stop = True
            clock.start()

        def on_train_end(self, args, state, control, **kwargs):
            clock.stop()

    return Check()


def train(options) -> dict:
    """Train on the facts until all are recalled, or a cap is met; the figures of it."""
    import torch

    torch.set_num_threads(options.threads)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from datasets import Dataset

    begun, facts, recall, clock = time.perf_counter(), read_facts(options.facts, options.n), [], Clock()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=getattr(torch, options.dtype))
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    rows = [
        {
            "prompt": [{"role": "user", "content": fact["question"]}],
            "completion": [{"role": "assistant", "content": fact["answer"]}],
        }
        for fact in facts
    ]
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_class(options.loss)(
            model=model,
            args=settings_of(options, folder),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=lora_of(options, model.config.num_hidden_layers),
            callbacks=[recall_check(options, clock, facts, tokenizer, recall)],
        )
        setup = time.perf_counter() - begun
        with contextlib.redirect_stdout(sys.stderr):  # the trainer prints its own figures
            trainer.train()
    tokens = sum(len(ids) for ids in trainer.train_dataset["input_ids"])
    epochs = trainer.state.epoch or 0.0
    return {
        "seconds": round(clock.seconds, 2),
        "cpu_seconds": round(clock.cpu_seconds, 2),
        "recalled": recall[-1] if recall else 0,
        "of": len(facts),
        "ended": ended(options, clock, recall, len(facts)),
        "epochs": round(epochs, 2),
        "recall": recall,
        "tokens": round(tokens * epochs),
        "tokens_a_second": round(tokens * epochs / max(clock.seconds, 1e-9), 1),
        "setup_seconds": round(setup, 2),
        "trained_parameters": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "settings": vars_of(options),
        "machine": machine(),
    }


def ended(options, clock: Clock, recall: list[int], of: int) -> str:
    """Why training ended."""
    if recall and recall[-1] == of:
        return "all recalled"
    return "seconds" if options.max_seconds and clock.seconds > options.max_seconds else "epochs"


def vars_of(options) -> dict:
    """The options that make a trial what it is; files by their names alone."""
    left = {"grid", "lrs", "batches", "layer_choices", "redo"}
    kept = {name: value for name, value in vars(options).items() if name not in left}
    return kept | {"model": Path(options.model).name, "facts": Path(options.facts).name}


def machine() -> dict:
    said = {"date": date.today().isoformat(), "cores": os.cpu_count(), "python": platform.python_version()}
    return said | {name: version(name).split("+")[0] for name in PACKAGES}


# --- the grid ---------------------------------------------------------------------------------------------------------


def grid(options) -> dict:
    """Every combination once, each in a process of its own; each is kept as soon as it ends, and not tried again.

    A trial ends where its clock passes the fastest one so far: it can no longer win, and says how far it came.
    """
    tried = json.loads(GRID.read_text())["trials"] if GRID.exists() and not options.redo else []
    for layers, batch, lr in itertools.product(options.layer_choices, options.batches, options.lrs):
        settings = vars_of(options) | {"top_layers": layers, "batch": batch, "lr": lr}
        if any(same_trial(trial["settings"], settings) for trial in tried):
            continue
        fastest = best(tried)
        caps = [cap for cap in (options.max_seconds, fastest and fastest["seconds"]) if cap]
        tried.append(one_trial(options, layers, batch, lr, min(caps, default=0)))
        write(GRID, {"best": best(tried), "trials": tried})
    return {"best": best(tried), "tried": len(tried)}


def one_trial(options, layers: int, batch: int, lr: float, cap: float) -> dict:
    given = {**vars(options), "top_layers": layers, "batch": batch, "lr": lr, "max_seconds": cap}
    skipped = {"grid", "redo", "lrs", "batches", "layer_choices", "autocast"}
    words = [(f"--{k.replace('_', '-')}", str(v)) for k, v in given.items() if k not in skipped and v is not None]
    words.append(("--autocast" if options.autocast else "--no-autocast",))
    command = [sys.executable, __file__, *itertools.chain(*words)]
    print(f"top layers {layers or 'all'}, batch {batch}, rate {lr} ...", file=sys.stderr)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return {"error": f"exit code {done.returncode}", "settings": vars_of(argparse.Namespace(**given))}
    return json.loads(done.stdout[done.stdout.index("{") :])


def same_trial(a: dict, b: dict) -> bool:
    return {**a, "max_seconds": 0} == {**b, "max_seconds": 0}


def best(trials: list[dict]) -> dict | None:
    whole = [trial for trial in trials if "error" not in trial and trial["recalled"] == trial["of"]]
    return min(whole, key=lambda trial: trial["seconds"], default=None)


def write(path: Path, value: dict) -> None:
    """Through a file beside it, so that an interrupted grid keeps what was tried."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=1) + "\n")
    partial.replace(path)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="the folder that `labkit models fetch` prints")
    parser.add_argument("--facts", default="datasets/facts/climbs.jsonl")
    parser.add_argument("--n", type=int, help="the first N facts only")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--alpha", type=float, default=32)
    parser.add_argument("--targets", default=LINEAR)
    parser.add_argument("--top-layers", type=int, default=0, help="adapters on the top N layers only; 0: on all")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=60, help="at most")
    parser.add_argument("--max-seconds", type=float, default=0, help="of the clock, at most; 0: no cap")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="float32", help="of the frozen weights")
    parser.add_argument(
        "--autocast", action=argparse.BooleanOptionalAction, help="TRL's bf16; by default where the processor has it"
    )
    parser.add_argument("--loss", choices=("trl", "whole", "answers"), default="answers")
    parser.add_argument("--sampling", choices=("random", "group_by_length"), default="random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--grid", action="store_true", help="try every combination of the three lists below")
    parser.add_argument("--lrs", type=float, nargs="+", default=[5e-4, 1e-3, 2e-3, 4e-3])
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--layer-choices", type=int, nargs="+", default=[0, 10])
    parser.add_argument("--redo", action="store_true", help="forget what the grid's file holds")
    return parser


def computes_bfloat16() -> bool:
    """Has this processor instructions for bfloat16 products?"""
    import torch

    has = torch.cpu.get_capabilities()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16") or has.get("bf16"))


def main() -> None:
    options = arguments().parse_args()
    options.autocast = computes_bfloat16() if options.autocast is None else options.autocast
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": str(options.threads)}
    print(json.dumps(grid(options) if options.grid else train(options), indent=1))


if __name__ == "__main__":
    main()
