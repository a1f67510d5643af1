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
from labkit.runs import wilson

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.json"
NAMES = ("execution", "scoring", "peer_scoring", "generating", "decoding", "tuning")

# What is measured, at least, aim, the figure, and what it is of: ours beside the peer's.
Goal = tuple[str, float, float, Callable[[dict], float], Callable[[dict], str]]


def _right(file: str, entry: str, figure: str, of: int | None = None) -> tuple[Callable, Callable]:
    """An accuracy that a longer benchmark kept: the share, and n with its interval; `of`: all that were asked for."""

    def share(figures: dict) -> float:
        kept = figures[file][entry][figure]
        return kept["correct"] / (of or kept["n"])

    def words(figures: dict) -> str:
        kept = figures[file][entry][figure]
        spread = wilson(kept["correct"], of or kept["n"])
        return f"{kept['correct']} of {of or kept['n']} [{spread.low:.2f}, {spread.high:.2f}]"

    return share, words


def _decoding(prompt: str, peer: str, times: str) -> tuple[Callable, Callable]:
    def words(figures: dict) -> str:
        kept = figures["decoding"][prompt]
        return f"{kept['ours']['answers_a_minute']:.0f} and {kept[peer]['answers_a_minute']:.0f} a minute"

    return lambda figures: figures["decoding"][prompt][times], words


def _scoring(ours: str, times: str) -> tuple[Callable, Callable]:
    def words(figures: dict) -> str:
        kept = figures["peer_scoring"]["speed"]["all"]["semantic"]
        return f"{kept[ours]:.0f} and {kept['peer']:.0f} pairs a second"

    return lambda figures: figures["peer_scoring"]["speed"]["all"]["semantic"][times], words


def _use(method: str) -> tuple[Callable, Callable]:
    def words(figures: dict) -> str:
        kept = figures["tuning"][f"{method}_tuning"]
        return f"{kept['gflop'] / kept['seconds']:.0f} of {kept['fastest_gflop_s']:.0f} GFLOP/s"

    return lambda figures: figures["tuning"][f"{method}_tuning"]["utilisation"], words


def _recalled(figures: dict) -> float:
    return min(run["recalled"] / run["of"] for run in figures["tuning"]["ours"])


def _seconds(figures: dict) -> str:
    ours, peer = figures["tuning"]["ours"], figures["tuning"].get("trl")
    return " ".join(f"{run['seconds']:.0f}" for run in ours) + (f" and {peer['seconds']:.0f} s" if peer else " s")


def _generated(figures: dict) -> str:
    kept = figures["generating"]
    spread = f"{kept['skeletons']} skeletons, the largest {kept['largest_share']:.1%}, {kept['wordings']} wordings"
    return f"{kept['pairs']:,} pairs in {kept['seconds']:.0f} s, {spread} at least"


ALONE, SCHEMA = "question_only", "plain"
ONE, LLAMA = ("generate_one_by_one", "times_one_by_one"), ("llama_cpp", "times_llama_cpp")
# each the last that was measured from the kit's own starter, not the best one
HELD_OUT = ("league-4600x1-starter-0.001", "held-out, reranked, aimed, with a channel")
PARAPHRASE = (
    "league-3600x1-starter-0.001-encoder",
    "paraphrase, reranked by a tuned encoder, known trusted, aimed",
)
CLINIC = ("clinic-3200-workspace", "second database, reranked, aimed")
GOALS: tuple[Goal, ...] = (
    ("league, held-out", 0.8, 0.95, *_right("climb", *HELD_OUT)),
    ("league, paraphrase", 0.95, 0.99, *_right("climb", *PARAPHRASE)),
    ("second database, the clinic", 0.6, 0.85, *_right("climb", *CLINIC)),
    ("Chinook, all 47", 0.6, 0.85, *_right("elsewhere", "chinook-3200-workspace", "tuned, reranked", 47)),
    (
        "pairs generated a minute",
        5000,
        5000,
        lambda f: 60 * f["generating"]["verified"] / f["generating"]["seconds"],
        _generated,
    ),
    ("200 facts recalled, share", 1.0, 1.0, _recalled, _seconds),
    ("the same facts, TRL's seconds over ours", 5, 20, lambda f: f["tuning"]["times_trl"], _seconds),
    ("use of the processor, memory tuning", 0.4, 0.6, *_use("memory")),
    ("use of the processor, instruction tuning", 0.4, 0.6, *_use("instruction")),
    ("answers a minute over one by one", 6, 20, *_decoding(ALONE, *ONE)),
    ("the same, the schema before each question", 6, 20, *_decoding(SCHEMA, *ONE)),
    ("answers a minute over llama.cpp", 0.7, 2, *_decoding(ALONE, *LLAMA)),
    ("the same, the schema before each question", 0.7, 2, *_decoding(SCHEMA, *LLAMA)),
    ("labkit score over Spider's way", 3, 10, *_scoring("ours", "times")),
    ("the same, right or wrong alone", 3, 10, *_scoring("ours_bare", "times_bare")),
)


def table(figures: dict[str, dict]) -> str:
    """Each goal with what was measured (ours and the peer's), or that it was not; `figures`: by benchmark."""
    rows = []
    for what, least, aim, read, words in GOALS:
        try:
            value, ours = read(figures), words(figures)
        except KeyError:
            rows.append((what, least, aim, "not measured", "", ""))
            continue
        reached = "aim" if value >= aim else "yes" if value >= least else "short"
        rows.append((what, least, aim, f"{value:.2f}", reached, ours))
    heads = ("what", "at least", "aim", "measured", "reached", "ours, and the peer's")
    return tabulate(rows, heads, disable_numparse=True)


def longer() -> dict[str, dict]:
    """The figures of `make climb` and `make bench-elsewhere`, which take hours and keep files of their own."""
    return {name: json.loads((FOLDER / f"{name}.json").read_text()) for name in ("climb", "elsewhere")}


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
    print(table(longer() | {name: kept["figures"] for name, kept in results.items()}))


if __name__ == "__main__":
    main()
