"""How fast the kit decodes, beside transformers' `generate` one question at a time and, where installed, llama.cpp.

    python benchmarks/bench_decoding.py [--questions 64] [--tokens 40] [--gguf FILE]

The prompts are those of the evaluation: the schema of the league, then a question of `dev`. Every answer is exactly
`tokens` long, so that all sides do the same work. Measure on a machine that does nothing else: a second busy process
slows OpenMP code many times over. `pip install xllamacpp` brings llama.cpp (on the GGUF file of the default model).
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from labkit import prompting
from labkit.decoding import render
from labkit.models import load_model
from labkit.schema import read_schema

ROOT = Path(__file__).parent.parent


def conversations(count: int) -> list[list[dict]]:
    folder = ROOT / "datasets" / "league"
    schema = read_schema(folder / "league.sqlite").to_prompt()
    lines = (folder / "dev.jsonl").read_text().splitlines()
    questions = [json.loads(line)["question"] for line in lines if line.strip()]
    return [prompting.plain(questions[i % len(questions)], schema) for i in range(count)]


def endless(model):
    """Take away the end tokens, so that every answer has the full length."""
    model.network.generation_config.eos_token_id = model.network.config.eos_token_id = None
    model.tokenizer.eos_token = None
    return model


def ours(model, talks: list, tokens: int, batch_size: int) -> dict:
    model.prefix = None
    start = time.perf_counter()
    model.chat(talks, max_new_tokens=tokens, batch_size=batch_size, progress=False)
    return speeds(len(talks), tokens, time.perf_counter() - start)


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
    """The same prompts through llama.cpp's server with its prompt cache, `parallel` at a time."""
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

    assert "usage" in answer(talks[0])
    start = time.perf_counter()
    with ThreadPoolExecutor(parallel) as pool:
        list(pool.map(answer, talks))
    return speeds(len(talks), tokens, time.perf_counter() - start)


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


def main() -> dict:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--gguf", help="the default model's GGUF file, for llama.cpp")
    options = parser.parse_args(sys.argv[1:] if __name__ == "__main__" else [])
    talks = conversations(options.questions)
    model = endless(load_model())
    length = len(model.tokenizer(render(model.tokenizer, talks[0])).input_ids)
    results = {
        "device": model.device,
        "dtype": model.dtype,
        "threads": torch.get_num_threads(),
        "prompt_tokens": length,
    }
    ours(model, talks[:2], 4, 2)
    for batch_size in (16, 32, 64):
        results[f"batch_{batch_size}"] = ours(model, talks, options.tokens, batch_size)
    results["generate_one_by_one"] = one_by_one(model, talks[:4], options.tokens)
    if options.gguf:
        for parallel in (1, 8, 16):
            results[f"llama_cpp_{parallel}"] = llama_cpp(options.gguf, talks[: 2 * parallel], options.tokens, parallel)
    best = max(results[f"batch_{size}"]["answers_a_minute"] for size in (16, 32, 64))
    results["times_one_by_one"] = round(best / results["generate_one_by_one"]["answers_a_minute"], 1)
    results |= agreement(talks[:32], options.tokens)
    return results


if __name__ == "__main__":
    print(json.dumps(main(), indent=2))
