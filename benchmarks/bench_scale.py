"""What grows with what: time over questions, rows, pairs, runs, users. `make bench-scale`; figures into scale.json, the
picture into scale.svg, memory experts of mome.json in it too; what they mean is docs/scale.md.

Models are left out: what they cost is measured by bench_fit, bench_decoding, memories and climb. Here a callable gives
the gold query at once, so that what is left is the kit's own work. Seconds are of the processor, of this process and
the children that run queries; of users it is wall time. scale.json is written after each figure; figures that stand in
it are not measured again without --again.
"""

import argparse
import json
import math
import os
import sqlite3
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import replace
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RESULTS, PICTURE = (Path(__file__).parent / f"scale.{kind}" for kind in ("json", "svg"))
EXPERTS = RESULTS.with_name("mome.json")  # of memory experts nothing is measured here, only drawn
LEAGUE = ROOT / "datasets" / "league"
SIZES = {
    "questions evaluated": (100, 400, 1600),
    "rows profiled": (10_000, 100_000, 1_000_000, 4_000_000),
    "pairs generated": (100, 400, 1600),
    "runs kept": (10, 100, 1000),
    "users at once": (1, 4, 16, 64),
}
COLOURS = ("#1f6f8b", "#c0562f", "#5b7f2b", "#7a4f9a", "#8a6d00", "#b03060", "#444444")
NOTES = {"runs kept": " (to list them)", "users at once": " (an answer)"}


def spent() -> float:
    """Processor seconds of this process and its children, the living and the ended."""
    import psutil

    own = psutil.Process()
    times = [own.cpu_times(), *(child.cpu_times() for child in own.children(recursive=True))]
    return sum(t.user + t.system for t in times) + times[0].children_user + times[0].children_system


def evaluated(count: int, folder: Path) -> dict:
    """The gold queries of `dev`, again and again, evaluated as a model's."""
    import labkit
    from labkit.dataset import load_questions

    dev = load_questions(LEAGUE / "dev.jsonl")
    some = list(dev)
    questions = [replace(some[i % len(some)], id=f"q{i}") for i in range(count)]
    kept = folder / f"set-{count}.jsonl"
    labkit.save_questions(kept, questions)
    loaded = load_questions(kept, db_dir=LEAGUE.parent)
    store = labkit.RunStore(folder / f"evaluated-{count}.db")
    begun = spent()
    run = labkit.evaluate(lambda batch: [q.sql for q in batch], loaded, store=store)
    return {"seconds": spent() - begun, "right": run.correct, "of": run.n}


def profiled(rows: int, folder: Path) -> dict:
    """The schema of a file with one table of so many rows."""
    from labkit.schema import read_schema

    file = folder / f"rows-{rows}.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE sales (id INTEGER PRIMARY KEY, city TEXT, sold TEXT, amount REAL, note TEXT)")
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
    connection.execute(
        f"INSERT INTO sales {numbers} SELECT i, 'city ' || (i % 97), date('2020-01-01', (i % 2000) || ' days'), "
        "i * 0.25, CASE WHEN i % 5 THEN 'note ' || i END FROM n"
    )
    connection.commit()
    connection.close()
    begun, clock = spent(), time.monotonic()
    table = read_schema(file).tables[0]
    found = {"seconds": spent() - begun, "wall_seconds": time.monotonic() - clock, "counted": table.rows}
    found["bytes"] = file.stat().st_size
    file.unlink()
    return found


def generated(count: int, folder: Path) -> dict:
    """Verified pairs from the league's file."""
    import labkit

    begun = spent()
    made = labkit.generate(LEAGUE / "league.sqlite", count, seed=1)
    return {"seconds": spent() - begun, "pairs": len(made.pairs)}


def kept(count: int, folder: Path) -> dict:
    """Runs of 100 results each in one store: the time to add the last tenth of them, each; to list all; to read one."""
    import labkit
    from labkit.runs import Result, Run

    store, last = labkit.RunStore(folder / f"runs-{count}.db"), max(1, count // 10)
    results = [(i, Result(f"q{i}", "SELECT count(*) FROM teams", "right", "", "", True, 0.01)) for i in range(100)]
    for number in range(count):
        if number == count - last:
            begun = spent()
        run = store.begin(Run("", "dev", "execution", "a model", total=100, identity=str(number)))
        store.add(run.id, results)
    found = {"add_seconds": (spent() - begun) / last}
    begun = spent()
    listed = len(store.list())
    found |= {"seconds": spent() - begun, "listed": listed}
    begun = spent()
    store.get(run.id)
    return found | {"read_seconds": spent() - begun, "bytes": store.path.stat().st_size}


def served(users: int, folder: Path) -> dict:
    """So many users at once, each asking four questions of a server whose model answers at once."""
    import labkit
    from labkit.serving import Server

    class Instant:
        def chat(self, conversations, **settings):
            return ["SELECT count(*) FROM teams"] * len(conversations)

        def describe(self):
            return {"model": "instant"}

    server = Server(labkit.Agent(Instant(), LEAGUE / "league.sqlite"), port=0).start()
    waited: list[float] = []

    def ask() -> None:
        for _ in range(4):
            body = json.dumps({"question": "How many teams are there?"}).encode()
            request = urllib.request.Request(f"{server.url}/ask", body, {"Content-Type": "application/json"})
            begun = time.monotonic()
            with urllib.request.urlopen(request, timeout=120) as reply:
                json.load(reply)
            waited.append(time.monotonic() - begun)

    threads, begun, clock = [threading.Thread(target=ask) for _ in range(users)], time.monotonic(), spent()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - begun
    server.stop()
    waited.sort()
    return {
        "seconds": (spent() - clock) / len(waited), "answers": len(waited), "answers_a_second": len(waited) / seconds,
        "median_wait": waited[len(waited) // 2], "longest_wait": waited[-1],
    }  # fmt: skip


MEASURE = dict(zip(SIZES, (evaluated, profiled, generated, kept, served), strict=True))


def experts(cells: dict) -> dict:
    """The curves of memory experts, from the cells of mome.json ("N facts filled", the last one of each size):
    processor seconds to build so many, and to pick one among them."""
    found = {"experts built": {}, "an expert picked": {}}
    for name, measured in cells.items():
        if name.endswith(" facts filled"):
            last = measured[-1]
            found["experts built"][last["facts"]] = {"seconds": last["facts"] * last["cpu_milliseconds_a_fact"] / 1000}
            found["an expert picked"][last["facts"]] = {"seconds": last["pick_cpu_milliseconds"] / 1000}
    return found


def picture(figures: dict) -> str:
    """Processor seconds over size, both on logarithmic scales; a curve for each key of `figures`, in their order."""
    order = [*SIZES, *(name for name in figures if name not in SIZES)]
    lines = {
        name: sorted((int(size), max(1e-5, figure["seconds"])) for size, figure in figures[name].items())
        for name in order
        if figures.get(name)
    }
    points = [point for line in lines.values() for point in line]
    right = math.ceil(math.log10(max(size for size, _ in points)))
    low, high = (
        f(math.log10(s)) for f, s in ((math.floor, min(p[1] for p in points)), (math.ceil, max(p[1] for p in points)))
    )

    def place(size: float, second: float) -> tuple[float, float]:
        return round(70 + 440 * math.log10(size) / right, 1), round(
            340 - 300 * (math.log10(second) - low) / max(1, high - low), 1
        )

    parts = []
    for power in range(low, high + 1):
        y = place(1, 10**power)[1]
        second = f"{10.0**power:,.{max(0, -power)}f}"
        parts.append(f'<path d="M70 {y}H510" stroke="#ccc"/><text x="64" y="{y + 4}" text-anchor="end">{second}</text>')
    for power in range(right + 1):
        size = f"{10**power:,}" if power < 6 else f"{10 ** (power - 6):,} million"
        parts.append(f'<text x="{place(10**power, 10**low)[0]}" y="358" text-anchor="middle">{size}</text>')
    ends = {name: place(*line[-1])[1] for name, line in lines.items()}
    for number, name in enumerate(sorted(lines, key=ends.get)):  # the legend in the order in which the curves end
        colour, drawn = COLOURS[list(lines).index(name) % len(COLOURS)], [place(*point) for point in lines[name]]
        path = "M" + "L".join(f"{x} {y}" for x, y in drawn)
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>' for x, y in drawn]
        said = f"{name}{NOTES.get(name, '')}"
        parts.append(f'<text x="526" y="{60 + 24 * number}" fill="{colour}">{said}</text>')
    title = "Processor seconds by size"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 376" font-family="sans-serif" font-size="13">'
        f'<title>{title}</title><rect width="720" height="376" fill="#fff"/><text x="70" y="20">{title}</text>'
        f"{''.join(parts)}</svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--largest", type=int, default=10**9, help="leave out sizes above it")
    parser.add_argument("--again", action="store_true", help="measure anew what stands in scale.json")
    options = parser.parse_args()
    from labkit.home import write_atomically

    found = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    with tempfile.TemporaryDirectory() as name:
        os.environ["LABKIT_HOME"], os.environ["CI"] = name, "1"
        for what in options.only:
            for size in SIZES[what]:
                if size > options.largest or (str(size) in found.get(what, {}) and not options.again):
                    continue
                figure = MEASURE[what](size, Path(name))
                figure = {key: round(value, 5) if isinstance(value, float) else value for key, value in figure.items()}
                found.setdefault(what, {})[str(size)] = figure | {"date": str(date.today())}
                write_atomically(RESULTS, json.dumps(found, indent=1) + "\n")
                print(what, size, json.dumps(figure), flush=True)
    write_atomically(PICTURE, picture(found | experts(json.loads(EXPERTS.read_text()))))


if __name__ == "__main__":
    main()
