"""What NF4 costs a model's answers: its logits beside those of the plain weights, as one JSON line.

    python benchmarks/four_bit.py MODEL [--questions 20]

`MODEL`: a known name, a hub id, a folder or a GGUF file. Both hold the same weights, one after the other; they read the
first questions of the league's `dev` with the schema before them and the right query behind, and what is compared are
the logits that predict each token of the query: the mean absolute difference beside the spread of the plain ones, the
mean Kullback-Leibler divergence (nats a token), the share of tokens whose likeliest is the same, and what each gives
the right query (nats a token).
"""

import argparse
import json
from pathlib import Path

import torch
from machine import machine

import labkit
from labkit import prompting
from labkit.decoding import render
from labkit.schema import read_schema

LEAGUE = Path(__file__).parent.parent / "datasets" / "league"


def logits(model, questions: list) -> tuple[torch.Tensor, torch.Tensor]:
    """Those that predict the tokens of the right queries, (tokens, vocabulary), and the tokens."""
    schema, found, wanted = read_schema(LEAGUE / "league.sqlite").to_prompt(), [], []
    for question in questions:
        talk = render(model.tokenizer, prompting.PROMPTS["plain"](question.question, schema))
        prompt, answer = (model.tokenizer(text, add_special_tokens=False).input_ids for text in (talk, question.sql))
        row = torch.tensor([[*prompt, *answer]], device=model.device)
        with torch.no_grad():
            out = model.network(input_ids=row, logits_to_keep=len(answer) + 1).logits[0, :-1]
        found.append(out.float().cpu())
        wanted += answer
    return torch.cat(found), torch.tensor(wanted)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--questions", type=int, default=20)
    options = parser.parse_args()
    questions = list(labkit.load_questions(LEAGUE / "dev.jsonl"))[: options.questions]
    model = labkit.load_model(options.model, dtype="bfloat16")
    plain, wanted = logits(model, questions)
    told = {"model": model.name, "weights_sha256": model.sha256, "questions": len(questions), "tokens": len(wanted)}
    del model
    four, _ = logits(labkit.load_model(options.model, dtype="bfloat16", four_bit=True), questions)
    a, b = plain.log_softmax(-1), four.log_softmax(-1)
    told |= {
        "difference": round((plain - four).abs().mean().item(), 3),
        "spread": round(plain.std().item(), 3),
        "kl_nats": round((a.exp() * (a - b)).sum(-1).mean().item(), 4),
        "same_likeliest": round((a.argmax(-1) == b.argmax(-1)).float().mean().item(), 4),
        "plain_nats": round(-a.gather(1, wanted[:, None]).mean().item(), 4),
        "four_bit_nats": round(-b.gather(1, wanted[:, None]).mean().item(), 4),
    }
    print(json.dumps(told | machine()))


if __name__ == "__main__":
    main()
