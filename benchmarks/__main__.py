"""`make bench`: run every benchmark of this folder, one after the other, and keep the raw figures in results.json.

Run it on a machine that does nothing else. What a figure means stands in the docstring of the benchmark that gives it.
"""

import json
import os
import platform
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

from labkit.home import write_atomically

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.json"


def main() -> None:
    """Figures are kept after each benchmark, so that an interrupted `make bench` loses one at most."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "torch": version("torch")}
    for script in sorted(FOLDER.glob("bench_*.py")):
        name = script.stem.removeprefix("bench_")
        print(f"{name} ...", flush=True)
        done = subprocess.run([sys.executable, script, *sys.argv[1:]], stdout=subprocess.PIPE, text=True, check=True)
        figures = json.loads(done.stdout[done.stdout.index("{") :])
        results[name] = {"date": date.today().isoformat(), "machine": machine, "figures": figures}
        print(json.dumps(figures, indent=2))
        write_atomically(RESULTS, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
