"""A bank of memory experts, measured: building, recall, other words, near misses, what stays as it was. `make
bench-mome`; figures into mome.json.

Recall is counted in a process of its own from the saved folder (`labkit evaluate`), other wordings, near negatives and
everything else on the model that loaded it here. `--batches 10` measures something else: a bank of the first facts,
to which as many new ones are added ten times, one batch after the other, and what is left of the first. `--facts 200
--processes 2` another: wall time of building in one process and in two.

English text is read with the first half of each paragraph as a prompt, so that experts, were one picked, would change
the tokens behind it. Runs without the key `english_continued` had whole paragraphs as prompts: of each the last token
alone could have differed (`english_tokens_with_the_same_bits`).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import torch
from bench_decoding import endless
from machine import clocked, machine

import labkit
from labkit.agent import as_prompt
from labkit.datagen.facts import near_negatives, paraphrased, random_facts
from labkit.decoding import prompt_tokens
from labkit.encoder import load_encoder
from labkit.home import write_atomically
from labkit.side_effects import load_prompts
from labkit.tuning import mome
from labkit.tuning.bank import Bank
from labkit.tuning.mome_files import load_bank
from labkit.tuning.packed import body
from labkit.tuning.selection import Words

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "mome.json"
EXPERTS = (1_024, 1_048_576)
CHAT = as_prompt("chat")


def evaluated(folder: Path, questions: Path, threads: int) -> dict:
    """What `labkit evaluate` says in a new process."""
    call = [sys.executable, "-c", "from labkit.cli import main; main()", "evaluate", "--questions", questions]
    call += ["--mode", "text", "--adapter", folder, "--json"]
    limits = {"OMP_NUM_THREADS": str(threads), "CI": "1"}
    done = subprocess.run(call, capture_output=True, text=True, check=True, env=os.environ | limits)
    return json.loads(done.stdout)


def asked(model, questions) -> tuple[int, float]:
    """How many of the questions are answered right, and answers a second."""
    begun = time.perf_counter()
    replies = model.chat([CHAT(q.question, "") for q in questions], max_new_tokens=8, progress=False)
    right = sum(reply.strip() == q.answer for reply, q in zip(replies, questions, strict=True))
    return right, round(len(replies) / (time.perf_counter() - begun), 2)


def same_bits(model, text: str) -> dict:
    """Of English text, a paragraph at a time, its first half as a prompt: how many tokens have logits that are bit for
    bit those without experts, how many of them an expert could have changed, and how many halves picked one."""
    longest = max((len(vectors) for vectors in model.experts.vectors.values()), default=0)
    last = model.experts.layer + 1 == len(body(model.network).layers)
    same = count = reached = picked = 0
    paragraphs = list(filter(None, text.split("\n\n")))
    for paragraph in paragraphs:
        tokens = model.tokenizer(paragraph, return_tensors="pt").input_ids[:, :512]
        prompt = tokens[0, : max(1, tokens.shape[1] // 2)].tolist()
        with torch.no_grad():
            plain = model.network(tokens).logits
            with model.experts.attached() as bank:
                bank.route([prompt])
                routed = model.network(tokens).logits
        behind = tokens.shape[1] - len(prompt) + 1  # the prompt's last token says what follows it
        reached += min(behind, longest) if last else behind
        same, count = same + int((plain == routed).all(-1).sum()), count + tokens.shape[1]
        picked += bank.pick(prompt) is not None
    return {
        "same_bits": [same, count], "an_expert_could_change": reached,
        "prompts_without_expert": [len(paragraphs) - picked, len(paragraphs)],
    }  # fmt: skip


def same_answers(model, bank) -> list[int]:
    """How many general prompts have the same answer with the bank as without, and how many there are."""
    conversations = [
        CHAT(prompt.prompt, "") for prompt in load_prompts(ROOT / "datasets" / "general" / "prompts.jsonl")
    ]
    model.experts, found = None, []
    for model.experts in (None, bank):
        found.append(model.chat(conversations, max_new_tokens=32, progress=False))
    return [sum(a == b for a, b in zip(*found, strict=True)), len(conversations)]


def token_speeds(model, bank, questions) -> dict[str, list[float]]:
    """New tokens a processor second without the bank and with it, three times in turn: each answer 32 tokens long, of
    questions that pick an expert; prompts and picking within."""
    conversations, tokens = [CHAT(q.question, "") for q in questions], 32
    speeds: dict[str, list[float]] = {"without": [], "with": []}
    endless(model)
    for attempt in range(4):
        for which, model.experts in (("without", None), ("with", bank)):
            begun = time.process_time()
            model.chat(conversations, max_new_tokens=tokens, progress=False)
            speed = len(questions) * tokens / (time.process_time() - begun)
            speeds[which] += [round(speed, 1)] if attempt else []  # the first one warms up
    return speeds


def pick_times(model, facts) -> dict[str, float]:
    """Milliseconds that choosing experts for a question takes, by how many experts there are."""
    prompts, found = prompt_tokens(model, [CHAT(q.question, "") for q in facts[:200]]), {}
    for total in EXPERTS:
        model.experts.fill(total)
        begun = time.perf_counter()
        for prompt in prompts:
            model.experts.pick(prompt)
        found[str(total)] = round(1000 * (time.perf_counter() - begun) / len(prompts), 3)
    return found


def batch_times(base, facts) -> dict[str, list[float]]:
    """Processor seconds that training a batch of facts takes, searching for their experts included, by how many experts
    there are; three times in turn."""
    end = base.tokenizer.eos_token_id
    prompts = [tuple(p) for p in prompt_tokens(base, [CHAT(q.question, "") for q in facts[: mome.ROWS]])]
    answers = base.tokenizer([q.answer for q in facts[: mome.ROWS]], add_special_tokens=False).input_ids
    learnt = [mome.Fact(q.id, (p,), (*a, end)) for q, p, a in zip(facts, prompts, answers, strict=False)]
    words, found = Words(base.tokenizer), {str(total): [] for total in EXPERTS}
    for _ in range(3):
        for total in EXPERTS:
            bank = Bank(base, words=words)
            bank.fill(total)
            begun = time.process_time()
            mome.add(bank, learnt)
            for prompt in prompts:
                bank.pick(prompt)
            found[str(total)].append(round(time.process_time() - begun, 3))
    return found


def index_times(model, facts) -> dict[str, float]:
    """Processor seconds that a retrieval index over the same facts takes, by what turns them into vectors: the mean of
    the same model's last hidden states, and the sentence encoder."""
    texts, found = [f"{q.question} {q.answer}" for q in facts], {}
    inner = body(model.network)
    model.tokenizer.pad_token = model.tokenizer.pad_token or model.tokenizer.eos_token
    begun = time.process_time()
    with torch.inference_mode():
        for start in range(0, len(texts), 64):
            batch = model.tokenizer(texts[start : start + 64], return_tensors="pt", padding=True)
            states = inner(**batch).last_hidden_state
            (states * batch.attention_mask[..., None]).sum(dim=1)
    found["the same model"] = round(time.process_time() - begun, 1)
    encoder = load_encoder()
    begun = time.process_time()
    encoder(texts)
    return found | {encoder.name: round(time.process_time() - begun, 1)}


def growing(options, folder: Path) -> dict:
    """Recall of the first facts before and after further batches of as many were added, one after the other."""
    facts, size = list(random_facts(options.facts * (options.batches + 1))), options.facts
    first = labkit.save_questions(folder / "first.jsonl", facts[:size])
    model, bank, seconds, before = labkit.load_model(), None, [], None
    for number in range(options.batches + 1):
        path = labkit.save_questions(folder / f"{number}.jsonl", facts[number * size : (number + 1) * size])
        made = labkit.remember(
            model, path, folder / f"bank-{number}", adapter=bank, layer=options.layer, progress=False
        )
        print(made, flush=True)
        bank, seconds = made.adapter, [*seconds, made.seconds]
        before = before or evaluated(bank, first, options.threads)
    after = evaluated(bank, first, options.threads)
    return {
        "first": size, "batches": options.batches, "facts": len(facts), "build_seconds": seconds,
        "recall_of_first_before": [before["correct"], before["n"]],
        "recall_of_first_after": [after["correct"], after["n"]],
    }  # fmt: skip


def in_processes(options, folder: Path) -> dict:
    """Wall seconds of building one bank in one process and in several, three times in turn; the first building in
    several waits for each of them to load its network. And whether all banks hold the same bits."""
    model, path = labkit.load_model(), labkit.save_questions(folder / "facts.jsonl", list(random_facts(options.facts)))
    seconds: dict[str, list[float]] = {"1": [], str(options.processes): []}
    held = []
    for attempt in range(3):
        for number, found in seconds.items():
            spent: dict[str, float] = {}
            with clocked(spent):
                made = labkit.remember(
                    model, path, folder / f"{number}-{attempt}", processes=int(number), progress=False
                )
            found.append(spent["seconds"])
            held.append(load_bank(model, made.adapter).vectors)
            print(made, spent, flush=True)
    same = all(torch.equal(held[0][expert], other[expert]) for other in held for expert in held[0])
    return {"facts": options.facts, "build_seconds_by_processes": seconds, "same_bits": same, "dtype": model.dtype}


def keep(name: str, found: dict) -> None:
    """Print the figures and add them to mome.json, beside those of earlier runs."""
    print(json.dumps(found, indent=1))
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results.setdefault(name, []).append(found | {"machine": machine(), "date": date.today().isoformat()})
    write_atomically(RESULTS, json.dumps(results, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--facts", type=int, default=1000)
    parser.add_argument("--layer", type=int)
    parser.add_argument("--sample", type=int, default=200, help="of the facts, for other wordings")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batches", type=int, default=0, help="of FACTS more, added one after the other")
    parser.add_argument("--processes", type=int, default=1, help="build in one and in so many, nothing else")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.batches or options.processes > 1:
        measure = growing if options.batches else in_processes
        with tempfile.TemporaryDirectory() as folder:
            found = measure(options, Path(folder)) | {"threads": options.threads}
        more = f"then {options.batches} batches more" if options.batches else f"in 1 and {options.processes} processes"
        keep(f"{options.facts} facts, {more}", found)
        return
    facts = random_facts(options.facts)
    sample = list(facts)[:: max(1, len(facts) // options.sample)]
    with tempfile.TemporaryDirectory() as folder:
        path = labkit.save_questions(Path(folder) / "facts.jsonl", list(facts))
        base, begun = labkit.load_model(), time.process_time()
        made = labkit.remember(base, path, Path(folder) / "bank", layer=options.layer, progress=False)
        cpu_seconds = round(time.process_time() - begun, 1)
        indexes, batches = index_times(base, list(facts)), batch_times(base, list(facts))
        print(made, flush=True)
        recall = evaluated(made.adapter, path, options.threads)
        model = labkit.load_model(adapter=made.adapter)
        size = sum(file.stat().st_size for file in made.adapter.iterdir())
    others = list(paraphrased(sample))
    negatives = near_negatives(list(facts), 1000)
    picked = sum(model.experts.pick(p) is not None for p in prompt_tokens(model, [CHAT(q, "") for q in negatives]))
    right, speed = asked(model, others)
    bits = same_bits(model, (ROOT / "datasets" / "general" / "english.txt").read_text("utf-8"))
    general, picking = same_answers(model, model.experts), pick_times(model, list(facts))
    found = {
        "facts": len(facts), "layer": model.experts.layer, "build_seconds": made.seconds,
        "build_cpu_seconds": cpu_seconds, "index_cpu_seconds": indexes, "tokens": made.tokens,
        "recall": [recall["correct"], recall["n"]], "other_wordings": [right, len(others)],
        "near_negatives_without_expert": [len(negatives) - picked, len(negatives)],
        "english_continued": bits, "bytes": size, "batch_cpu_seconds": batches,
        "same_general_answers": general, "pick_milliseconds": picking, "answers_a_second": speed,
        "tokens_a_cpu_second": token_speeds(model, model.experts, list(facts)[:32]),
        "threads": options.threads, "dtype": model.dtype,
    }  # fmt: skip
    keep(f"{len(facts)} facts behind layer {found['layer']}", found)


if __name__ == "__main__":
    main()
