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
import time
from pathlib import Path

import gpu_case

CASE = Path(gpu_case.__file__)
RESULTS = Path(__file__).with_name("gpu.json")
SIDES = ("labkit", "trl", "trl_checkpointed")
LAYERS = {"8B": 32, "3B": 28, "1B": 16, "tiny": 3}  # the upper third is tuned
PASSES = (1, 3, 10, 100)  # over the examples: what the cache of frozen layers costs beside the steps


def in_process(case: dict, seconds: float) -> dict:
    """What `gpu_case` says in a new process; why it said nothing."""
    call = [sys.executable, str(CASE), json.dumps(case)]
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
    options.results.parent.mkdir(parents=True, exist_ok=True)
    kept = options.results.with_suffix(".partial")
    kept.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    kept.replace(options.results)


def measure(options) -> list[dict]:
    """Every shape on every side, each under the smallest cap that it fits; results are written after each."""
    begun, cases = time.monotonic(), []
    wanted = [(shape, side) for shape in options.shapes for side in options.sides]
    for number, (shape, side) in enumerate(wanted):
        layers = max(1, LAYERS[shape] // 3)
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
    parser.add_argument("--shapes", nargs="+", choices=LAYERS, default=["8B", "3B", "1B"])
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
    return parser


def main() -> None:
    options = arguments().parse_args()
    if options.tiny:
        options.shapes, options.length, options.rank = ["tiny"], 64, 4
    elif said := gpu_case.unfit():
        sys.exit(said)
    measure(options)
    print(options.results)


if __name__ == "__main__":
    main()
