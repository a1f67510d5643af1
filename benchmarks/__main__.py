"""`make bench`: the speeds that the kit promises, one benchmark after the other; raw figures into results.json.

    python -m benchmarks [NAME ...] [--gguf FILE]

Run it on a machine that does nothing else. What a figure means stands in the docstring of the benchmark that gives it;
`make bench-peer-env` brings TRL, `pip install xllamacpp` and the default model's GGUF file bring llama.cpp. A peer that
is not there has no figure, and its row says so. At the end, and by NAME `table` alone, what is in results.json stands
beside the goals. Benchmarks that keep a file of their own (fit, gpu, mome, scale) have their own make targets.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

from tabulate import tabulate

from benchmarks.machine import machine
from labkit.home import write_atomically

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.json"
NAMES = ("execution", "scoring", "peer_scoring", "decoding", "tuning")

# what is measured, at least, aim, where it stands among the figures of all benchmarks
GOALS: tuple[tuple[str, float, float, Callable[[dict], float]], ...] = (
    ("200 facts recalled, share", 1.0, 1.0, lambda f: _recalled(f["tuning"]["ours"])),
    ("the same facts, TRL's seconds over ours", 5, 20, lambda f: f["tuning"]["times_trl"]),
    ("use of the processor, memory tuning", 0.4, 0.6, lambda f: f["tuning"]["memory_tuning"]["utilisation"]),
    ("use of the processor, instruction tuning", 0.4, 0.6, lambda f: f["tuning"]["instruction_tuning"]["utilisation"]),
    ("answers a minute over one by one", 6, 20, lambda f: f["decoding"]["question_only"]["times_one_by_one"]),
    ("the same, the schema before each question", 6, 20, lambda f: f["decoding"]["plain"]["times_one_by_one"]),
    ("answers a minute over llama.cpp", 0.7, 2, lambda f: f["decoding"]["question_only"]["times_llama_cpp"]),
    ("the same, the schema before each question", 0.7, 2, lambda f: f["decoding"]["plain"]["times_llama_cpp"]),
    ("labkit score over Spider's way", 3, 10, lambda f: f["peer_scoring"]["speed"]["all"]["semantic"]["times"]),
    ("the same, right or wrong alone", 3, 10, lambda f: f["peer_scoring"]["speed"]["all"]["semantic"]["times_bare"]),
)


def _recalled(runs: list[dict]) -> float:
    return min(run["recalled"] / run["of"] for run in runs)


def table(figures: dict[str, dict]) -> str:
    """Each goal with what was measured, or that it was not; `figures`: by benchmark."""
    rows = []
    for what, least, aim, read in GOALS:
        try:
            value = read(figures)
        except KeyError:
            rows.append((what, least, aim, "not measured", ""))
            continue
        rows.append((what, least, aim, f"{value:.2f}", "aim" if value >= aim else "yes" if value >= least else "short"))
    return tabulate(rows, ("what", "at least", "aim", "measured", "reached"), disable_numparse=True)


def run(name: str, gguf: str | None) -> dict:
    """The figures of one benchmark, in a process of its own."""
    command = [sys.executable, FOLDER / f"bench_{name}.py"]
    command += ["--gguf", gguf] if gguf and name == "decoding" else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout[done.stdout.index("{") :])


def main() -> None:
    """Figures are kept after each benchmark, so that an interrupted `make bench` loses one at most."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}, or `table`; default: all")
    parser.add_argument("--gguf", help="the default model's GGUF file, for llama.cpp")
    options = parser.parse_args()
    if unknown := set(options.names) - {*NAMES, "table"}:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in [name for name in options.names or NAMES if name != "table"]:
        print(f"{name} ...", flush=True)
        figures = run(name, options.gguf)
        results[name] = {"date": date.today().isoformat(), "machine": machine(), "figures": figures}
        write_atomically(RESULTS, json.dumps(results, indent=2) + "\n")
    print(table({name: kept["figures"] for name, kept in results.items()}))


if __name__ == "__main__":
    main()
