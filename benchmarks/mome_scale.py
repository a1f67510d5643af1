"""A bank of 1,000, 10,000 and 100,000 filled experts, measured. `make bench-mome-scale`; figures into mome.json.

Each bank continues the one before it, so that 100,000 facts are learnt once. The banks stay in a folder, and the call
goes on where it was cut off, within a bank too. Of each: what filling took, how long picking takes, whether every fact
finds its own expert, and on samples recall (in a new process, from the folder), other wordings and near negatives.
"""

import argparse
import os
import time
from pathlib import Path

import torch
from bench_mome import CHAT, asked, evaluated, keep

import labkit
from labkit.datagen.facts import near_negatives, paraphrased, random_facts
from labkit.decoding import prompt_tokens
from labkit.home import home
from labkit.tuning.adapter import read_card


def filled(base, facts, folder: Path, earlier: Path | None) -> dict:
    """The bank in `folder`, made or gone on with; seconds, and what is told of this process alone."""
    if read_card(folder):
        return {}
    begun, card = time.process_time(), read_card(folder / "unfinished")
    done = card.recalled + len(card.hard) if card else 0
    made = labkit.remember(base, facts, folder, adapter=earlier)
    print(made, flush=True)
    if done == len(facts):
        return {}
    return {"cpu_milliseconds_a_fact": round(1000 * (time.process_time() - begun) / (len(facts) - done), 1)}


def picked(model, texts) -> tuple[list[int | None], float]:
    """Each text's expert, and milliseconds of this process that picking one takes."""
    prompts = prompt_tokens(model, [CHAT(text, "") for text in texts])
    begun = time.process_time()
    experts = [model.experts.pick(prompt) for prompt in prompts]
    return experts, round(1000 * (time.process_time() - begun) / len(texts), 3)


def measured(folder: Path, facts, options) -> dict:
    """What a filled bank does."""
    card, begun = read_card(folder), time.process_time()
    model = labkit.load_model(adapter=folder)
    loading, names = time.process_time() - begun, model.experts.names
    own, pick = picked(model, [fact.question for fact in facts])
    step = max(1, len(facts) // options.sample)
    sample, some = list(facts)[::step], list(paraphrased(list(facts)[:: 5 * step]))
    path = labkit.save_questions(folder.parent / f"sample-{len(facts)}.jsonl", sample)
    others, _ = picked(model, [q.question for q in some])
    strangers, _ = picked(model, near_negatives(list(facts), 1000))
    right, _ = asked(model, some)
    recall = evaluated(folder, path, options.threads)
    return {
        "facts": len(facts), "exact_when_learnt": [card.recalled, card.of], "seconds": card.seconds,
        "pick_cpu_milliseconds": pick,
        "own_expert_picked": [sum(e == names[f.id] for e, f in zip(own, facts, strict=True)), len(facts)],
        "recall_of_sample": [recall["correct"], recall["n"]],
        "own_expert_in_other_wordings": [
            sum(e == names[q.id.rpartition("-w")[0]] for e, q in zip(others, some, strict=True)), len(some)
        ],
        "other_wordings": [right, len(some)], "near_negatives_without_expert": [strangers.count(None), len(strangers)],
        "bytes": sum(file.stat().st_size for file in folder.iterdir()), "load_cpu_seconds": round(loading, 1),
        "threads": options.threads, "dtype": model.dtype,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", default="1000,10000,100000")
    parser.add_argument("--sample", type=int, default=500, help="facts asked; a fifth of them in five other wordings")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--folder", type=Path, help="for the banks; one of the kit's home by default")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = options.folder or home() / "mome-scale"
    counts = sorted(map(int, options.counts.split(",")))
    facts, base, earlier, done = random_facts(counts[-1]), labkit.load_model(), None, 0
    for count in counts:
        bank = folder / f"bank-{count}"
        rate = filled(base, list(facts[done:count]), bank, earlier)
        keep(f"{count} facts filled", measured(bank, facts[:count], options) | rate)
        earlier, done = bank, count


if __name__ == "__main__":
    main()
