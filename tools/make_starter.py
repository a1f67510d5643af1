"""Makes the starter adapter: the default model, tuned on practice databases of many kinds. `make starter`.

What it learns there (SQLite's ways, how questions are worded, how texts hold numbers and dates) it need not learn again
from a user's database: `labkit tune --adapter starter` goes on from it. It has seen no database of `datasets/` and none
of a user's.

Three steps: `tokens` generates the pairs and writes them as token ids; `practise.py` trains on those (minutes on a
GPU, here or on another machine); `put` lays the adapter in its place in the package, with a card. `all` does the three.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
from practice import WORLDS, build

import labkit
from labkit.agent import as_prompt
from labkit.dataset import QuestionSet
from labkit.home import home, write_atomically
from labkit.models import DEFAULT, fetch_model
from labkit.tuning import starters
from labkit.tuning.adapter import CARD, CONFIG, WEIGHTS, Card, peft_config
from labkit.tuning.examples import common_prefix, encode
from labkit.tuning.lora import LoRA
from labkit.tuning.sources import data_sha256, own_ids

PROMPT = "question_only"


def generated(options, folder: Path) -> list[QuestionSet]:
    """The pairs of each practice database; kept in `folder`, so an interrupted call goes on."""
    found = []
    for number, database in enumerate(build(folder, options.worlds, options.variants)):
        path = folder / f"{database.stem}-{options.pairs}x{options.wordings}.jsonl"
        if not path.is_file():
            made = labkit.generate(
                database, options.pairs, wordings=options.wordings, seed=number % options.variants, progress=False
            )
            print(f"{database.stem}: {len(made.pairs):,} pairs", flush=True)
            made.save(path)
        found.append(labkit.load_questions(path, db_dir=folder))
    return found


def write_tokens(model, sets: list[QuestionSet], path: Path) -> None:
    """All pairs as token ids in one file, in random order, as `practise.Pairs` reads them; beside it what they are."""
    pairs = own_ids(pair for each in sets for pair in each)
    examples = encode(model, pairs, as_prompt(PROMPT))
    random.Random(0).shuffle(examples)
    prefix = common_prefix(examples)
    rows = [example.prompt[len(prefix) :] + example.answer for example in examples]
    np.savez(
        path,
        prefix=np.array(prefix, np.uint32),
        flat=np.concatenate([np.array(row, np.uint32) for row in rows]),
        off=np.cumsum([0, *map(len, rows)]).astype(np.uint32),
        cut=np.array([len(example.prompt) - len(prefix) for example in examples], np.uint16),
    )
    told = {"pairs": len(pairs), "data_sha256": data_sha256(pairs), "databases": len(sets)}
    write_atomically(path.with_suffix(".json"), json.dumps(told) + "\n")


def put(model, tokens: Path, trained: Path, target: Path) -> None:
    """The adapter in its place, with the card that says what it was made of."""
    data = json.loads(tokens.with_suffix(".json").read_text())
    figures = json.loads(trained.with_suffix(".json").read_text())
    rank = figures["rank"]
    card = Card(
        base=model.name, base_sha256=model.sha256, method="instruction", prompt=PROMPT,
        data_sha256=data["data_sha256"], pairs=data["pairs"], seconds=figures["seconds"], tokens=figures["tokens"],
        recalled=0, of=0, recipe={"rank": rank, "alpha": 2.0 * rank},
        made={"date": date.today().isoformat(), "databases": data["databases"]} | figures,
    )  # fmt: skip
    lora = LoRA(tuple(range(model.network.config.num_hidden_layers)), rank, 2.0 * rank)
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(trained, target / WEIGHTS)
    write_atomically(target / CARD, json.dumps(asdict(card), indent=1) + "\n")
    write_atomically(target / CONFIG, json.dumps(peft_config(lora, card), indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", nargs="?", default="all", choices=["tokens", "train", "put", "all"])
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--pairs", type=int, default=4500, help="of each practice database")
    parser.add_argument("--wordings", type=int, default=2, help="of each query")
    parser.add_argument("--variants", type=int, default=2, help="of each world: the same tables with other rows")
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS), help="the practice databases")
    parser.add_argument("--minutes", type=float, default=8, help="of training; on a CPU it takes hours to get anywhere")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--out", type=Path, help="folder of the adapter; by default its place in the package")
    options = parser.parse_args()
    folder = home() / "practice"
    tokens, trained = folder / "tokens.npz", folder / "starter.safetensors"
    model = labkit.load_model(options.model)
    if options.step in ("tokens", "all"):
        write_tokens(model, generated(options, folder), tokens)
    if options.step in ("train", "all"):
        settings = ["--minutes", str(options.minutes), "--rank", str(options.rank)]
        call = [tokens, fetch_model(options.model), trained, *settings]
        subprocess.run([sys.executable, Path(__file__).with_name("practise.py"), *map(str, call)], check=True)
    if options.step in ("put", "all"):
        put(model, tokens, trained, options.out or starters.folder(model))


if __name__ == "__main__":
    main()
