"""Write a run of the store as a recording that labs can open: `python tools/record_run.py RUN OUT [--model NAME]`.

A recording is a header line {model, sha256, prompt, date}, with {adapter_sha256} where there is an adapter, then a line
{id, prediction} for each question. Only the answers are recorded: they are scored and diagnosed anew wherever it is
opened (`labkit.course.recorded_runs`).
"""

import argparse
import json
from pathlib import Path

import labkit
from labkit.errors import LabkitError
from labkit.home import write_atomically
from labkit.runs import Run


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("run", help="the run's id, or its beginning")
    options.add_argument("out", type=Path)
    options.add_argument("--model", help="the name to record, such as the vendor's hub id (default: the run's)")
    given = options.parse_args()
    print(record(labkit.RunStore().get(given.run), given.out, given.model))


def record(run: Run, out: Path, model: str | None = None, **more) -> str:
    """Write the run's answers to `out`, under the name `model` where one is given; `more`: what else the header shall
    say. Returns what was done."""
    if not run.finished:
        raise SystemExit(str(LabkitError(f"Run {run.id} is unfinished: {run}. Finish it first.")))
    header = {"model": model or run.model, "sha256": run.model_hash, "prompt": run.prompt, "set": run.set}
    header |= {"adapter_sha256": run.adapter_hash or "unknown"} if run.adapter else {}
    lines = [header | {"date": run.finished[:10]} | more]
    lines += [{"id": result.question_id, "prediction": result.prediction} for result in run.results]
    write_atomically(out, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return f"{out}: {len(run.results)} answers of {header['model']}, {run}"


if __name__ == "__main__":
    main()
