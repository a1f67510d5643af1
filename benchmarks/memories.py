"""Ways to give a model facts, side by side over the number of facts: LoRA on all layers, memory-tuned LoRA, memory
experts, retrieval. `make bench-memories`; figures into memories.json, the table to the terminal, the picture into
memories.svg.

Of each: seconds of processor time to build, seconds a question, facts recalled, recalled in five wordings that were
never trained (right is a reply that holds the year), the same answer as before to general prompts, bytes on disk.
Retrieval shows the nearest fact, where its cosine is NEAR or more, above the question and asks the untuned model.
Each cell is kept as soon as it is measured and not measured again but with `--again`; LoRA, which takes long, is left
out above `--lora-facts`. `--builds 3` builds the banks of memory experts alone that many times more, in turn, and keeps
the seconds in their cells: of the whole way, as in the cell (the model loaded, the bank built, the model loaded with
it), and of the building alone, which is what the peer's clock counts. The peer, LoRA through TRL (`peer_trl.py`),
stands in the table where it was measured, a run that was stopped as a lower bound, and is drawn where it ended.
"""

import argparse
import contextlib
import json
import math
import os
import tempfile
import time
from datetime import date
from pathlib import Path
from statistics import median

import numpy
import torch
from machine import clocked, machine

import labkit
from labkit.agent import as_prompt
from labkit.datagen.facts import paraphrased, random_facts
from labkit.dataset import QuestionSet
from labkit.encoder import load_encoder
from labkit.home import write_atomically
from labkit.side_effects import load_prompts
from labkit.tuning import tune

RESULTS, PICTURE = (Path(__file__).parent / f"memories.{kind}" for kind in ("json", "svg"))
PEER = Path(__file__).parent / "results-trl-facts.json"
PROMPTS = Path(__file__).parent.parent / "datasets" / "general" / "prompts.jsonl"
CHAT = as_prompt("chat")
NEAR = 0.6
COLOURS = {
    "LoRA, all layers": "#8a8a8a",
    "LoRA, memory-tuned": "#d98200",
    "LoRA, TRL + PEFT": "#b10026",
    "memory experts": "#2171b5",
    "retrieval": "#31a354",
}


class Asked:
    """A model that has the facts, one way or another, and what it costs to ask it."""

    def __init__(self, model, shown=None):
        self.model, self.shown = model, shown or (lambda texts: texts)

    def replies(self, texts: list[str]) -> list[str]:
        conversations = [CHAT(text, "") for text in self.shown(texts)]
        return [r.strip() for r in self.model.chat(conversations, max_new_tokens=24, progress=False)]

    def right(self, questions) -> int:
        given = self.replies([q.question for q in questions])
        return sum(q.answer in reply for reply, q in zip(given, questions, strict=True))


def lora(facts: QuestionSet, folder: Path, **settings) -> tuple[Asked, int]:
    made = tune(labkit.load_model(), facts, "memory", folder / "adapter", progress=False, **settings)
    size = sum(file.stat().st_size for file in made.adapter.glob("adapter_*"))
    return Asked(labkit.load_model(adapter=made.adapter)), size


def experts(facts: QuestionSet, folder: Path, spent: dict | None = None) -> tuple[Asked, int]:
    model = labkit.load_model()
    with clocked({} if spent is None else spent, "building_"):
        made = labkit.remember(model, facts, folder / "bank", progress=False)
    size = sum(file.stat().st_size for file in made.adapter.glob("adapter_*"))
    return Asked(labkit.load_model(adapter=made.adapter)), size


def retrieval(facts: QuestionSet, folder: Path) -> tuple[Asked, int]:
    encoder = load_encoder()
    told = [f"{q.question} {q.answer}." for q in facts]
    index = encoder(told)
    numpy.save(folder / "index.npy", index)

    def shown(texts: list[str]) -> list[str]:
        cosines = encoder(texts) @ index.T
        near = zip(cosines.argmax(axis=1), cosines.max(axis=1), texts, strict=True)
        return [f"{told[i]}\n{text}" if cosine >= NEAR else text for i, cosine, text in near]

    return Asked(labkit.load_model(), shown), (folder / "index.npy").stat().st_size


WAYS = {
    "LoRA, all layers": lambda facts, folder: lora(facts, folder, layers=30, rate=1e-3),
    "LoRA, memory-tuned": lora,
    "memory experts": experts,
    "retrieval": retrieval,
}


def measured(way: str, count: int, sample: int, before: list[str], prompts: list[str]) -> dict:
    """One cell of the table."""
    facts = random_facts(count)
    some = list(facts)[:: max(1, count // sample)][:sample]
    others = list(paraphrased(some))
    with tempfile.TemporaryDirectory() as folder:
        begun, wall = time.process_time(), time.perf_counter()
        asked, size = WAYS[way](facts, Path(folder))
        built, wall = time.process_time() - begun, time.perf_counter() - wall
        begun = time.process_time()
        right = asked.right(some)
        a_question = (time.process_time() - begun) / len(some)
        same = sum(a == b for a, b in zip(asked.replies(prompts), before, strict=True))
        return {
            "build_cpu_seconds": round(built, 1), "build_seconds": round(wall, 1),
            "question_cpu_seconds": round(a_question, 4), "recalled": [right, len(some)],
            "other_wordings": [asked.right(others), len(others)], "bytes": size,
            "same_general_answers": [same, len(prompts)],
        }  # fmt: skip


def built_again(cells: dict, counts: list[int], times: int) -> None:
    """Seconds of building banks anew, of the whole way (the median of its processor seconds is drawn) and of the
    building alone, into cells that stand already."""
    for _ in range(times):
        for count in counts:
            spent: dict[str, float] = {}
            with tempfile.TemporaryDirectory() as folder, clocked(spent):
                experts(random_facts(count), Path(folder), spent)
            cells[f"memory experts: {count}"].setdefault("builds", []).append(spent | {"machine": machine()})
            print("memory experts", count, spent, flush=True)


def peer() -> dict:
    """What is known of the peer, as cells that lack some figures; of a run that was stopped a lower bound."""
    runs = json.loads(PEER.read_text())["runs"] if PEER.is_file() else []
    return {
        f"LoRA, TRL + PEFT: {run['of']}": {"recalled": [run["recalled"], run["of"]]}
        | ({"build_cpu_seconds": run["cpu_seconds"]} if "cpu_seconds" in run else {"over_seconds": run["seconds"]})
        for run in runs
    }


def share(of: list[int]) -> float:
    """Percent."""
    return 100 * of[0] / of[1]


def built(cell: dict) -> float:
    """Seconds of the processor: the median of builds on a quiet core, where there are some; of wall time, where a run
    was stopped."""
    quiet = [build["cpu_seconds"] for build in cell.get("builds", [])]
    return median(quiet) if quiet else cell["over_seconds"] if "over_seconds" in cell else cell["build_cpu_seconds"]


PANELS = {  # what is drawn over the number of facts: from a cell; on a logarithmic axis or in percent
    "processor seconds to build (hollow: more)": (built, True),
    "processor seconds a question": (lambda cell: cell["question_cpu_seconds"], True),
    "megabytes on disk": (lambda cell: cell["bytes"] / 1e6, True),
    "% recalled": (lambda cell: share(cell["recalled"]), False),
    "% in other wordings": (lambda cell: share(cell["other_wordings"]), False),
    "% of general answers unchanged": (lambda cell: share(cell["same_general_answers"]), False),
}
WIDE, HIGH, LEFT, TOP = 250, 150, 70, 40  # of a panel, and the room around it


def picture(cells: dict) -> str:
    """All of PANELS as one SVG, three in a row, the number of facts on a logarithmic axis."""
    parts = []
    for number, (title, (value, logarithmic)) in enumerate(PANELS.items()):
        x, y = LEFT + number % 3 * (WIDE + LEFT), TOP + number // 3 * (HIGH + 2 * TOP)
        parts.append(f'<g transform="translate({x} {y})">{panel(cells, title, value, logarithmic)}</g>')
    width, height = 3 * (WIDE + LEFT) + 30, 2 * (HIGH + 2 * TOP) + 30
    for number, (way, colour) in enumerate(COLOURS.items()):
        parts.append(f'<text x="{LEFT + 190 * number}" y="{height - 12}" fill="{colour}">{way}</text>')
    title = "Ways to give a model facts, over the number of facts"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="13"><title>{title}</title><rect width="{width}" height="{height}" fill="#fff"/>'
        f"{''.join(parts)}</svg>\n"
    )


def panel(cells: dict, title: str, value, logarithmic: bool) -> str:
    """One of them, its upper left corner at 0, 0."""
    scaled = math.log10 if logarithmic else float
    points: dict[str, list[tuple[int, float]]] = {way: [] for way in COLOURS}
    for key, cell in cells.items():
        way, count = key.rsplit(": ", 1)
        with contextlib.suppress(KeyError):  # a figure that the peer lacks
            points[way].append((int(count), value(cell)))
    stopped = {
        (way, int(count))
        for key, cell in cells.items()
        if "over_seconds" in cell
        for way, count in [key.rsplit(": ", 1)]
    }
    every = [point for line in points.values() for point in line]
    ends = [scaled(v) for _, v in every]
    low, high = (math.floor(min(ends)), math.ceil(max(ends))) if logarithmic else (0, 100)
    last = max(1e-9, math.log10(max(count for count, _ in every)) - 1)

    def place(count: float, number: float) -> tuple[float, float]:
        up = (number - low) / max(1, high - low)
        return round(WIDE * (math.log10(count) - 1) / last, 1), round(HIGH * (1 - up), 1)

    parts = [f'<text y="-14">{title}</text>']
    for mark in range(low, high + 1, 1 if logarithmic else 25):
        y = place(10, mark)[1]
        name = f"{10.0**mark:g}" if logarithmic else str(mark)
        parts.append(f'<path d="M0 {y}H{WIDE}" stroke="#ccc"/><text x="-6" y="{y + 4}" text-anchor="end">{name}</text>')
    for count in sorted({count for count, _ in every if math.log10(count) % 1 == 0}):
        parts.append(f'<text x="{place(count, low)[0]}" y="{HIGH + 18}" text-anchor="middle">{count:,}</text>')
    for way, line in points.items():
        drawn = [place(count, scaled(v)) for count, v in sorted(line)]
        path = "M" + "L".join(f"{x} {y}" for x, y in drawn)
        parts.append(f'<path d="{path}" fill="none" stroke="{COLOURS[way]}" stroke-width="2"/>' if drawn else "")
        for (count, _), (x, y) in zip(sorted(line), drawn, strict=True):
            fill = "#fff" if (way, count) in stopped else COLOURS[way]
            parts.append(f'<circle cx="{x}" cy="{y}" r="3.5" fill="{fill}" stroke="{COLOURS[way]}"/>')
    return "".join(parts)


def table(cells: dict) -> str:
    """The cells as Markdown, by number of facts."""
    rows = [
        "| facts | way | build, CPU s | a question | recalled | other wordings | general answers unchanged | MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    says = {
        "build_cpu_seconds": "{:,.1f}".format,
        "question_cpu_seconds": "{:.3f} s".format,
        **dict.fromkeys(("recalled", "other_wordings", "same_general_answers"), lambda of: "{:,} of {:,}".format(*of)),
        "bytes": lambda size: f"{size / 1e6:.1f}",
    }
    places = {key: (int(key.rsplit(": ", 1)[1]), list(COLOURS).index(key.rsplit(": ", 1)[0])) for key in cells}
    for key in sorted(cells, key=places.get):
        (way, count), cell = key.rsplit(": ", 1), cells[key]
        said = {name: say(cell[name]) if name in cell else "not asked" for name, say in says.items()}
        said["build_cpu_seconds"] = says["build_cpu_seconds"](built(cell))
        if "over_seconds" in cell:
            said["build_cpu_seconds"] = f"over {cell['over_seconds']:,} s of wall time, stopped"
        rows.append(f"| {int(count):,} | {way} | {' | '.join(said.values())} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--facts", type=int, nargs="+", default=[10, 100, 300, 1_000, 10_000])
    parser.add_argument("--lora-facts", type=int, default=300, help="above so many LoRA is left out")
    parser.add_argument("--sample", type=int, default=100, help="of the facts, to be asked")
    parser.add_argument("--prompts", type=int, default=60, help="general prompts")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--builds", type=int, default=0, help="build memory experts so many times more, nothing else")
    parser.add_argument("--again", action="store_true", help="measure the cells anew that stand in memories.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"cells": {}}
    if options.builds:
        built_again(kept["cells"], options.facts, options.builds)
    else:
        fill(kept, options)
    write_atomically(RESULTS, json.dumps(kept, indent=1) + "\n")
    write_atomically(PICTURE, picture(kept["cells"] | peer()))
    print(table(kept["cells"] | peer()))


def fill(kept: dict, options) -> None:
    """Measure the cells that are asked for and not there."""
    prompts = [p.prompt for p in load_prompts(PROMPTS)][:: max(1, 240 // options.prompts)]
    model = labkit.load_model()
    before = Asked(model).replies(prompts)
    for count in options.facts:
        for way in WAYS:
            stands = f"{way}: {count}" in kept["cells"] and not options.again
            if stands or (way.startswith("LoRA") and count > options.lora_facts):
                continue
            cell = measured(way, count, options.sample, before, prompts)
            cell |= {"machine": machine(), "date": date.today().isoformat()}
            kept["cells"][f"{way}: {count}"] = cell
            print(way, count, json.dumps(cell), flush=True)
            kept |= {"threads": options.threads, "dtype": model.dtype}
            write_atomically(RESULTS, json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
