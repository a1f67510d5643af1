"""Makes the starter adapter: the default model, tuned on practice databases of many kinds. `make starter`.

What it learns there (SQLite's ways, how questions are worded, how texts hold numbers and dates) it need not learn again
from a user's database: `labkit tune --adapter starter` goes on from it. It has seen no database of `datasets/` and none
of a user's. Interrupted, the same call goes on; it takes hours on a CPU.
"""

import argparse
import os
import shutil
from pathlib import Path

import torch
from practice import WORLDS, build
from safetensors.torch import load_file, save_file

import labkit
from labkit.dataset import QuestionSet
from labkit.home import home
from labkit.models import DEFAULT
from labkit.tuning import starters, tune
from labkit.tuning.adapter import CARD, CONFIG, WEIGHTS


def pairs(count: int, worlds: list[str], folder: Path) -> list[QuestionSet]:
    """`count` generated pairs of each practice database, each query worded once; kept in `folder`."""
    found = []
    for database in build(folder, worlds):
        path = folder / f"{database.stem}-{count}.jsonl"
        if not path.is_file():
            print(labkit.generate(database, count, wordings=1, progress=False).save(path), flush=True)
        found.append(labkit.load_questions(path, db_dir=folder))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--pairs", type=int, default=250, help="of each practice database")
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS), help="the practice databases")
    parser.add_argument("--out", type=Path, help="folder of the adapter; by default its place in the package")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = home() / "practice"
    model = labkit.load_model(options.model)
    sets = pairs(options.pairs, options.worlds, folder)
    tuned = tune(model, sets, "instruction", folder / f"starter-{options.pairs}")
    print(tuned)
    target = options.out or starters.folder(model)
    target.mkdir(parents=True, exist_ok=True)
    half = {name: tensor.half() for name, tensor in load_file(tuned.adapter / WEIGHTS).items()}
    save_file(half, target / WEIGHTS, {"format": "pt"})
    for name in (CARD, CONFIG):
        shutil.copy(tuned.adapter / name, target / name)


if __name__ == "__main__":
    main()
