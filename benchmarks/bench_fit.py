"""`labkit fit` against what really happens: predicted and measured peaks on the CPU, a process each. `make bench-fit`.

Cases: the default model in bfloat16, float32 and NF4, short and long pairs, all methods; and a model of
Qwen2.5-0.5B's shape with random weights, so that the law is not fitted to one model (its tokenizer is the default
model's, and is counted so). The error is told of all bytes, and of those above what the packages alone take, which is
the harder figure. fit.json is written after every case; cases that stand in it are not measured again.
"""

import argparse
import json
import platform
import shutil
import sys
import time
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RESULTS = Path(__file__).with_name("fit.json")
QWEN = {
    "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
    "num_key_value_heads": 2, "vocab_size": 151_936, "tie_word_embeddings": True,
}  # fmt: skip
SMALL, LARGE = "smollm2-135m", "random Qwen2.5-0.5B"
CASES = (  # model, stage, dtype, method, length, batch
    (SMALL, "load", "bf16", "", 0, 0),
    (SMALL, "load", "fp32", "", 0, 0),
    (SMALL, "load", "nf4", "", 0, 0),
    (SMALL, "tune", "bf16", "instruction", 128, 4),
    (SMALL, "tune", "bf16", "memory", 512, 4),
    (SMALL, "decode", "bf16", "", 128, 32),
    (LARGE, "tune", "bf16", "instruction", 128, 2),
    (SMALL, "tune", "fp32", "instruction", 128, 4),
    (SMALL, "tune", "nf4", "instruction", 128, 4),
    (SMALL, "tune", "bf16", "mome", 128, 64),
    (LARGE, "load", "bf16", "", 0, 0),
    (SMALL, "tune", "bf16", "instruction", 512, 2),
    (SMALL, "decode", "fp32", "", 512, 8),
    (LARGE, "tune", "bf16", "memory", 512, 1),
    (SMALL, "tune", "fp32", "memory", 512, 2),
    (LARGE, "decode", "bf16", "", 128, 8),
)


def random_model(folder: Path) -> Path:
    """A Qwen2 of that shape with random weights in bfloat16, and the default model's tokenizer."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from labkit.fetching import fetch_model

    if not (folder / "config.json").is_file():
        torch.manual_seed(0)
        torch.set_default_dtype(torch.bfloat16)
        Qwen2ForCausalLM(Qwen2Config(**QWEN)).save_pretrained(folder)
        torch.set_default_dtype(torch.float32)
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json"):
            if (source := fetch_model(SMALL) / name).is_file():
                shutil.copy(source, folder / name)
    return folder


def record(case, folder: Path) -> dict:
    """What is predicted, what is measured, and how far they are apart."""
    from labkit import footprint
    from labkit.fetching import known_models
    from labkit.footprint import Setting
    from labkit.measuring import Case, measure
    from labkit.shapes import of_known, read_shape

    model, stage, dtype, method, length, batch = case
    setting = Setting(dtype, length or 512, batch or 4, method or "instruction")
    need = footprint.STAGES[stage](read_shape(folder if model == LARGE else model), setting)
    parts = dict(need.parts)
    if model == LARGE:
        parts["tokenizer"] = footprint.TOKENIZER * of_known(known_models()[0]).vocabulary
    begun = time.monotonic()
    found = measure(Case(model, stage, dtype, method, length, batch), folder)
    predicted = sum(parts.values())
    above = found["peak"] - found["imports"]
    return {
        "model": model, "stage": stage, "dtype": dtype, "method": method, "length": length, "batch": batch,
        "predicted": round(predicted), "measured": found["peak"], "imports": found["imports"],
        "error": round(predicted / found["peak"] - 1, 4),
        "error_above_imports": round((predicted - footprint.PROCESS) / above - 1, 4),
        "parts": {name: round(size) for name, size in parts.items()},
        "mapped": found["mapped"], "wall_seconds": round(time.monotonic() - begun, 1), "date": str(date.today()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=None, help="for the random model; the kit's home by default")
    parser.add_argument("--again", action="store_true", help="measure all anew")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of cases, from 0")
    options = parser.parse_args()
    import torch

    from labkit.fetching import fetch_model
    from labkit.home import home, write_atomically

    kept = {} if options.again or not RESULTS.is_file() else json.loads(RESULTS.read_text())
    cases = kept.get("cases", [])
    done = {tuple(c[key] for key in ("model", "stage", "dtype", "method", "length", "batch")) for c in cases}
    for number, case in enumerate(CASES):
        if case in done or (options.only and number not in options.only):
            continue
        large = case[0] == LARGE
        folder = random_model(options.folder or home() / "random-qwen2.5-0.5b") if large else fetch_model(SMALL)
        cases.append(record(case, folder))
        machine = {"processor": platform.processor() or platform.machine(), "threads": torch.get_num_threads()}
        write_atomically(RESULTS, json.dumps({"torch": torch.__version__, **machine, "cases": cases}, indent=1) + "\n")
        last = cases[-1]
        print(*case, f"{last['predicted'] / 1e6:.0f} {last['measured'] / 1e6:.0f} MB", last["error"],
              last["error_above_imports"], flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
