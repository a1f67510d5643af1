"""How fast the kit learns facts, beside TRL's SFTTrainer with PEFT; and how much of the processor tuning uses.

    make bench-peer-env && python benchmarks/bench_tuning.py [--n 200] [--runs 3] [--threads 2] [--layers N]

Memory tuning of `datasets/facts/climbs.jsonl` on the default model, ours three times (other seeds), the peer once with
the best settings of its grid (`results-trl-grid.json`), the same layers, rank, threads and stop rule: every fact
answered exactly, greedily. The peer's recall checks are off its clock; ours are on it. What is written in "recalled" is
counted by a new process from the saved folder. "utilisation": matrix products as executed (counted by torch on the very
batches), over the seconds of those batches times the fastest matrix product that this processor does in the same dtype.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from machine import processor

import labkit
from labkit import prompting
from labkit.fitting import matmul_speed
from labkit.tuning import default_recipe, tune
from labkit.tuning.examples import batches, encode
from labkit.tuning.packed import packed_attention
from labkit.tuning.ranks import Ranks
from labkit.tuning.train import Step, Trainer

ROOT = Path(__file__).parent.parent
FACTS = ROOT / "datasets" / "facts" / "climbs.jsonl"
PEER = ROOT / ".venv-trl" / "bin" / "python"
GRID = Path(__file__).parent / "results-trl-grid.json"


def ours(model, facts: list, folder: Path, seed: int, layers: int) -> dict:
    """One memory tuning, and what a new process finds in its folder."""
    tuned = tune(model, facts, "memory", folder, seed=seed, layers=layers, progress=False)
    path = folder.parent / "facts.jsonl"
    labkit.save_questions(path, facts)
    labkit_command = [sys.executable, "-c", "from labkit.cli import main; main()"]
    command = ["evaluate", "--questions", path, "--adapter", folder, "--mode", "text", "--json"]
    done = subprocess.run([*labkit_command, *map(str, command)], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return {"seconds": round(tuned.seconds, 1), "tokens": tuned.tokens, "recalled": found["correct"], "of": found["n"]}


def peer(options) -> dict | None:
    """TRL + PEFT with the best settings that its grid found; None where it is not installed, or fails."""
    if not PEER.exists():
        return None
    tried = json.loads(GRID.read_text())["best"] if GRID.exists() else {}
    settings = tried.get("settings", {})
    chosen = [f"--{key}={settings[key]}" for key in ("lr", "batch", "loss", "sampling") if key in settings]
    recipe = default_recipe("memory", options.model)
    fixed = ["--model", options.model.folder, "--facts", FACTS, "--n", options.n, "--threads", options.threads,
             "--rank", recipe.rank, "--alpha", recipe.alpha, "--top-layers", options.layers]  # fmt: skip
    command = [PEER, Path(__file__).parent / "peer_trl.py", *fixed, *chosen]
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    if done.returncode:  # it has said why; what ours took is kept
        return None
    return json.loads(done.stdout[done.stdout.index("{") :])


def utilisation(model, method: str, pairs: list, prompt, steps: int) -> dict:
    """FLOPs of matrix products over seconds x the processor's own speed, over some steps after a warm-up."""
    from torch.utils.flop_counter import FlopCounterMode

    recipe = default_recipe(method, model)
    examples = encode(model, pairs, prompt)
    trainer = Trainer(model, examples, recipe, 0, Ranks())
    try:
        with packed_attention(model.network), tempfile.TemporaryDirectory() as folder:
            trainer.trunk.keep(Path(folder), model.sha256, progress=False)
            order = [Step(tuple(b), 0.0) for b in batches(examples, recipe.batch_size, 0)[: steps + 1]]
            trainer.step(order[0])
            with FlopCounterMode(display=False) as counter:
                for step in order[1:]:
                    trainer.step(step)
            begun = time.perf_counter()
            for step in order[1:]:
                trainer.step(step)
            seconds = time.perf_counter() - begun
    finally:
        trainer.close()
    fastest = matmul_speed(model.device, model.dtype, 2.0)
    flops = counter.get_total_flops()
    return {
        "gflop": round(flops / 1e9, 1),
        "seconds": round(seconds, 2),
        "fastest_gflop_s": round(fastest / 1e9, 1),
        "utilisation": round(flops / seconds / fastest, 3),
    }


def main() -> dict:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--layers", type=int, help="upper layers that both sides adapt; default: the recipe's")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--without-peer", action="store_true")
    options = parser.parse_args(sys.argv[1:] if __name__ == "__main__" else [])
    torch.set_num_threads(options.threads)
    options.model = model = labkit.load_model()
    options.layers = options.layers or default_recipe("memory", model).layers
    facts = list(labkit.load_questions(FACTS))[: options.n]
    results = {"processor": processor(), "dtype": model.dtype, "threads": options.threads, "facts": len(facts)}
    results["layers"] = options.layers
    pairs = list(labkit.load_questions(ROOT / "datasets" / "league" / "trained.jsonl"))
    for method, data, prompt in (("memory", facts, "chat"), ("instruction", pairs, "question_only")):
        results[f"{method}_tuning"] = utilisation(model, method, data, prompting.PROMPTS[prompt], options.steps)
    with tempfile.TemporaryDirectory() as folder:
        results["ours"] = []
        for seed in range(options.runs):
            results["ours"].append(ours(model, facts, Path(folder) / str(seed), seed, options.layers))
            print(results["ours"][-1], file=sys.stderr, flush=True)
    if not options.without_peer and (found := peer(options)):
        results["trl"] = found
        middle = sorted(run["seconds"] for run in results["ours"])[len(results["ours"]) // 2]
        results["times_trl"] = round(found["seconds"] / middle, 1)
    return results


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
