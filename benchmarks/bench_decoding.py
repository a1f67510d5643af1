"""Answers a minute in an evaluation, beside transformers' `generate` one by one and llama.cpp 16 at a time.

    python benchmarks/bench_decoding.py [--questions 200] [--tokens 40] [--gguf FILE]

Both prompts of an evaluation: `question_only`, for a model whose weights know the schema, and `plain`, the schema of
the league before each question of `dev`. Every answer is exactly `tokens` long, so that all sides do the same work,
whatever an untuned model would write. The slow sides answer a sample. `pip install xllamacpp` brings llama.cpp (on the
GGUF file of the default model). Measure on a machine that does nothing else: a second busy process slows OpenMP code
many times over.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from labkit import prompting
from labkit.decoding import render
from labkit.evaluation import BATCH
from labkit.models import load_model
from labkit.schema import read_schema

ROOT = Path(__file__).parent.parent
SLOTS = 16  # conversations that llama.cpp works on at a time


def conversations(prompt: str, count: int) -> list[list[dict]]:
    folder = ROOT / "datasets" / "league"
    schema = read_schema(folder / "league.sqlite").to_prompt()
    lines = (folder / "dev.jsonl").read_text().splitlines()
    questions = [json.loads(line)["question"] for line in lines if line.strip()]
    return [prompting.PROMPTS[prompt](questions[i % len(questions)], schema) for i in range(count)]


def endless(model):
    """Take away the end tokens, so that every answer has the full length."""
    model.network.generation_config.eos_token_id = model.network.config.eos_token_id = None
    model.tokenizer.eos_token = None
    return model


def ours(model, talks: list, tokens: int) -> dict:
    """As `labkit evaluate` asks: some questions at a time, each answer looked at for its end."""
    model.prefix = None
    start = time.perf_counter()
    for first in range(0, len(talks), BATCH):
        options = {"max_new_tokens": tokens, "stop": looked_at, "progress": False}
        model.chat(talks[first : first + BATCH], **options)
    return speeds(len(talks), tokens, time.perf_counter() - start)


def looked_at(reply: str) -> bool:
    prompting.sql_finished(reply)
    return False


def one_by_one(model, talks: list, tokens: int) -> dict:
    start = time.perf_counter()
    for talk in talks:
        inputs = model.tokenizer(render(model.tokenizer, talk), return_tensors="pt", add_special_tokens=False)
        model.network.generate(
            input_ids=inputs.input_ids,
            attention_mask=inputs.attention_mask,
            do_sample=False,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
        )
    return speeds(len(talks), tokens, time.perf_counter() - start)


def llama_cpp(gguf: str, talks: list, tokens: int, parallel: int) -> dict:
    """The same prompts through llama.cpp's server, `parallel` at a time; a first round, off the clock, fills the prompt
    cache of each slot with the schema."""
    from concurrent.futures import ThreadPoolExecutor

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = gguf
    params.n_parallel, params.n_ctx, params.n_predict = parallel, parallel * 2048, tokens
    params.cpuparams.n_threads = torch.get_num_threads()
    server = xllamacpp.Server(params)

    def answer(talk):
        body = {"messages": talk, "max_tokens": tokens, "temperature": 0, "cache_prompt": True, "ignore_eos": True}
        return server.handle_chat_completions(body)

    with ThreadPoolExecutor(parallel) as pool:
        assert all("usage" in reply for reply in pool.map(answer, talks[:parallel]))
        start = time.perf_counter()
        list(pool.map(answer, talks[parallel:]))
    return speeds(len(talks) - parallel, tokens, time.perf_counter() - start)


def speeds(answers: int, tokens: int, seconds: float) -> dict:
    return {
        "answers_a_minute": round(60 * answers / seconds, 1),
        "new_tokens_a_second": round(answers * tokens / seconds, 1),
        "seconds": round(seconds, 2),
    }


def agreement(talks: list, tokens: int) -> dict:
    """Share of bfloat16 answers that don't depend on the batch size, and share that equals float32's."""
    model, exact = load_model(dtype="bfloat16"), load_model(dtype="float32")
    options = {"max_new_tokens": tokens, "progress": False, "stop": prompting.sql_finished}
    small, large = (model.chat(talks, batch_size=size, **options) for size in (8, 32))
    precise = exact.chat(talks, **options)
    same = [sum(a == b for a, b in zip(small, other, strict=True)) / len(talks) for other in (large, precise)]
    return {"batch_8_and_32_agree": round(same[0], 3), "bfloat16_and_float32_agree": round(same[1], 3)}


def compare(model, prompt: str, options) -> dict:
    talks, tokens = conversations(prompt, options.questions), options.tokens
    ours(model, talks[:2], 4)
    results = {
        "prompt_tokens": len(model.tokenizer(render(model.tokenizer, talks[0])).input_ids),
        "ours": ours(model, talks, tokens),
        "generate_one_by_one": one_by_one(model, talks[:: max(1, len(talks) // 5)], tokens),
    }
    if options.gguf:
        some = talks[: 4 * SLOTS]
        results["llama_cpp"] = llama_cpp(options.gguf, some, tokens, SLOTS)
    for name, peer in (("times_one_by_one", "generate_one_by_one"), ("times_llama_cpp", "llama_cpp")):
        if peer in results:
            results[name] = round(results["ours"]["answers_a_minute"] / results[peer]["answers_a_minute"], 2)
    print(prompt, results, file=sys.stderr)
    return results


def main() -> dict:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--prompts", nargs="+", default=["question_only", "plain"])
    parser.add_argument("--gguf", help="the default model's GGUF file, for llama.cpp")
    options = parser.parse_args(sys.argv[1:] if __name__ == "__main__" else [])
    model = endless(load_model())
    results = {"device": model.device, "dtype": model.dtype, "threads": torch.get_num_threads()}
    results |= {prompt: compare(model, prompt, options) for prompt in options.prompts}
    if model.dtype == "bfloat16":
        results |= agreement(conversations("plain", 32), options.tokens)
    return results


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
