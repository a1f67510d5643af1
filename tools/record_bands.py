"""Record what a lab measures, for the bands of `labkit.course.bands`: its solutions, with several seeds and types.

    python tools/record_bands.py lab06                                  3 seeds x bfloat16 and float32
    python tools/record_bands.py lab06 --seeds 0 --dtypes float32 --anew

Each run is a kernel and a home folder of its own, in the full profile, from the top to the cell that calls
`course.expected`. A line a run goes into datasets/bands/labNN.jsonl, with the hash of the code that ran; a run that is
there is passed over, so that a recording that was stopped goes on, and one of other code is forgotten. Not a benchmark
of speed: other work may run beside it.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from make_notebooks import ROOT, own_environment, solution_notebook, sources
from nbclient import NotebookClient

from labkit.course.bands import DTYPES, SEEDS

BANDS = ROOT / "datasets" / "bands"
FIRST = "import labkit.models\nlabkit.models.cpu_computes_bfloat16 = lambda: {}"
LAST = "import json\nfrom labkit.course import bands\nprint(json.dumps(bands.handed_in))"


def main() -> int:
    parser = argparse.ArgumentParser(description="Record a lab's figures with several seeds and data types.")
    parser.add_argument("lab", help="as in lab06")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES)
    parser.add_argument("--anew", action="store_true", help="forget what is recorded")
    options = parser.parse_args()
    (source,) = (path for path in sources() if path.stem.startswith(options.lab))
    path = BANDS / f"{options.lab}.jsonl"
    if options.anew:
        path.unlink(missing_ok=True)
    runs = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    runs = [run for run in runs if run["code_sha256"] == code_hash(source)]
    done = {(run["seed"], run["dtype"]) for run in runs}
    for seed in options.seeds:
        for dtype in options.dtypes:
            if (seed, dtype) in done:
                continue
            runs.append(record(source, options.lab, seed, dtype))
            BANDS.mkdir(exist_ok=True)
            path.write_text("".join(json.dumps(run, sort_keys=True) + "\n" for run in runs), "utf-8")
            print(runs[-1], flush=True)
    return 0


def measuring_cells(source: Path) -> list[nbformat.NotebookNode]:
    """The lab's cells up to the one that calls `course.expected`."""
    cells = solution_notebook(source).cells
    (last,) = (place for place, cell in enumerate(cells) if "course.expected(" in cell.source)
    return cells[: last + 1]


def code_hash(source: Path) -> str:
    """sha256 of the code that measures: prose may change, and a recording is still about this lab."""
    code = "\n\n".join(cell.source for cell in measuring_cells(source) if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()


def record(source: Path, lab: str, seed: int, dtype: str) -> dict:
    """Execute the lab up to `course.expected`; what it handed in, with how it was made."""
    notebook, cells = solution_notebook(source), measuring_cells(source)
    seeded = [cell for cell in cells if "course.setup()" in cell.source]
    assert len(seeded) == 1, f"{source.name} calls course.setup() in {len(seeded)} cells, not in one"
    seeded[0].source = seeded[0].source.replace("course.setup()", f"course.setup(seed={seed})")
    first, end = (nbformat.v4.new_code_cell(text) for text in (FIRST.format(dtype == "bfloat16"), LAST))
    notebook.cells = [first, *cells, end]
    with tempfile.TemporaryDirectory(prefix="labkit-") as folder:
        kept = {name: value for name, value in own_environment(Path(folder)).items() if name != "LABKIT_PROFILE"}
        resources = {"metadata": {"path": str(source.parent)}}
        NotebookClient(notebook, timeout=3600, kernel_name="python3", resources=resources).execute(env=kept)
    printed = "".join(output.text for output in end.outputs if output.get("name") == "stdout")
    stamp = {"date": datetime.now(UTC).date().isoformat(), "code_sha256": code_hash(source)}
    stamp["threads"] = int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count()
    return {"lab": lab, "seed": seed, "dtype": dtype, "figures": json.loads(printed)[lab]} | stamp


if __name__ == "__main__":
    sys.exit(main())
