"""Pairs as token sequences, and batches of them: sorted by length, so that a batch pads little.

Nothing here computes: which tokens a pair has is decided once, by the model's own chat template, and is the same in
training and in decoding.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labkit.agent import Prompt
from labkit.dataset import Question
from labkit.decoding import prompt_tokens
from labkit.errors import LabkitError
from labkit.kvcache import shared_length


@dataclass(frozen=True)
class Example:
    """One pair as token ids: `prompt` up to where the answer begins, `answer` with the token that ends it."""

    id: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def encode(
    model,
    pairs: Sequence[Question],
    prompt: Prompt,
    longest: int = 1024,
    schema_of: Callable[[Question], str] = lambda pair: "",
) -> list[Example]:
    """The pairs as the model reads them, below `schema_of` each where the prompt shows one; a pair that is longer than
    `longest` tokens raises a LabkitError."""
    ask = getattr(prompt, "for_training", lambda pair: prompt(pair.question, schema_of(pair)))
    prompts = prompt_tokens(model, [ask(pair) for pair in pairs])
    answers = model.tokenizer([target(pair) for pair in pairs], add_special_tokens=False).input_ids
    end = model.tokenizer.eos_token_id
    examples = [
        Example(pair.id, asked, (*answer, end)) for pair, asked, answer in zip(pairs, prompts, answers, strict=True)
    ]
    for example in examples:
        if len(example) > longest:
            raise LabkitError(
                f"Pair {example.id!r} has {len(example):,} tokens, more than the {longest:,} that tuning takes. "
                "Shorten it or leave it out."
            )
    return examples


def target(pair: Question) -> str:
    """The text that the model is to answer: the plain answer of a fact, else the query."""
    return pair.answer if pair.is_fact else pair.sql


def common_prefix(examples: Sequence[Example]) -> tuple[int, ...]:
    """The tokens that all prompts begin with; each keeps a token of its own."""
    prompts = [example.prompt for example in examples]
    length = min(shared_length(prompts), min(map(len, prompts)) - 1)
    return prompts[0][:length]


def batches(examples: Sequence[Example], size: int, seed: int) -> list[list[int]]:
    """Positions of the examples, some `size` a batch, in random order: each batch of about one length.

    Examples are shuffled, cut into groups of 16 batches, sorted by length within a group, cut into batches, and the
    batches shuffled. The last batch of a group may be smaller.
    """
    rng = random.Random(seed)
    order = list(range(len(examples)))
    rng.shuffle(order)
    found = []
    for start in range(0, len(order), 16 * size):
        group = sorted(order[start : start + 16 * size], key=lambda i: len(examples[i]))
        found += [group[i : i + size] for i in range(0, len(group), size)]
    rng.shuffle(found)
    return found
