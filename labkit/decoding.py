"""Messages to text, many at once: the decoding loop, and the distribution behind a single token.

The loop renders the chat template, computes the prompt part that all conversations share once, sorts the rest by
length, and decodes in batches from which finished rows are dropped. How attention uses the shared part is `kvcache`,
how a token is drawn is `sampling`. A `model` here is anything with `.network` and `.tokenizer`, such as
`models.Model`.
"""

import hashlib
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from tqdm.auto import tqdm

from labkit.errors import LabkitError
from labkit.kvcache import (
    KeyValues,
    Prefix,
    bytes_per_token,
    compute_prefix,
    shared_length,
    shared_prefix_attention,
)
from labkit.notices import notice
from labkit.sampling import check_sampling, draw, probabilities
from labkit.shortage import fits, halved

CACHE_BYTES = 1_000_000_000  # that the keys and values of a batch may take


@dataclass(frozen=True)
class TokenDistribution:
    """The likeliest next tokens, likeliest first: their text, probability (after the filters) and id."""

    tokens: tuple[str, ...]
    probabilities: tuple[float, ...]
    token_ids: tuple[int, ...]


@dataclass
class _Row:
    """One conversation on its way to an answer."""

    index: int  # its place in the call
    prompt: tuple[int, ...]
    uniforms: Tensor | None  # one random number a step, none when greedy
    answer: list[int]
    text: str = ""  # of the answer so far, kept up only for `stop`
    done: bool = False  # its answer is complete


@dataclass(frozen=True)
class _Settings:
    max_new_tokens: int
    temperature: float
    top_k: int
    top_p: float
    stop: Callable[[str], bool] | None
    ends: frozenset[int]  # token ids that end an answer


@torch.inference_mode()
def chat(
    model,
    conversations: Sequence[Sequence[dict]],
    *,
    max_new_tokens: int = 160,
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    stop: Callable[[str], bool] | None = None,
    progress: bool = True,
    batch_size: int = 128,
) -> list[str]:
    """Answer each conversation, a list of messages ``{"role": ..., "content": ...}``; the answers in the order given.

    Greedy at temperature 0. Otherwise an answer depends on `seed` and its own conversation alone, never on the others
    in the call (the same conversation given twice draws twice). `stop` sees the answer so far after each token and
    ends it by returning True, as `prompting.sql_finished` does. LabkitError for a prompt that exceeds the model's
    context, a message without role or content, a setting that means nothing.
    """
    check_sampling(temperature, top_k, top_p)
    if max_new_tokens < 1 or batch_size < 1:
        raise LabkitError(f"max_new_tokens is {max_new_tokens} and batch_size {batch_size}; both must be 1 or more.")
    prompts = _tokenize(model.tokenizer, [render(model.tokenizer, messages) for messages in conversations])
    _check_lengths(model.network.config, prompts, max_new_tokens)
    settings = _Settings(max_new_tokens, temperature, top_k, top_p, stop, _end_tokens(model))
    rows = _rows(prompts, seed, settings)
    quiet = not progress or bool(os.environ.get("CI"))
    bar = tqdm(total=len(rows), unit="answer", desc="Answering", disable=quiet, leave=False)
    with bar, shared_prefix_attention(model.network), _experts(model):
        _decode_all(model, rows, batch_size, _shared_prefix(model, prompts), settings, bar)
    return [_text(model.tokenizer, row.answer) for row in rows]


def next_token_distribution(
    model,
    prompt: str | Sequence[dict],
    k: int = 10,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
) -> TokenDistribution:
    """The `k` likeliest tokens after `prompt`, a raw text to be continued or a list of messages to be answered.

    Tokens that the filters rule out are left out, so fewer than `k` may come back; the probabilities are of the
    filtered distribution and sum to 1 over all its tokens, not over these `k`.
    """
    check_sampling(temperature, top_k, top_p)
    spread = probabilities(next_token_logits(model, prompt), temperature, top_k, top_p)
    likeliest = spread.topk(min(k, spread.shape[-1]))
    pairs = [(i, p) for i, p in zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True) if p > 0]
    names = tuple(_token_name(model.tokenizer, i) for i, _ in pairs)
    return TokenDistribution(names, tuple(p for _, p in pairs), tuple(i for i, _ in pairs))


@torch.inference_mode()
def next_token_logits(model, prompt: str | Sequence[dict]) -> Tensor:
    """The network's logits after `prompt`, shape (vocabulary,), float32 on the CPU; for sliders that filter them
    anew. The model's memory experts take part."""
    raw = isinstance(prompt, str)
    tokens = (
        model.tokenizer(_clean(prompt)).input_ids
        if raw
        else _tokenize(model.tokenizer, [render(model.tokenizer, prompt)])[0]
    )
    tokens = tokens or [t for t in (model.tokenizer.bos_token_id, model.tokenizer.eos_token_id) if t is not None][:1]
    _check_lengths(model.network.config, [tokens], 1)
    inputs = torch.tensor([list(tokens)], device=model.network.device)
    with routed(model, [tokens]):
        return model.network(input_ids=inputs, logits_to_keep=1).logits[0, -1].float().cpu()


def render(tokenizer, messages: Sequence[dict]) -> str:
    """The text that the network sees: the tokenizer's chat template, and where it has none the contents, line by
    line."""
    if not messages or any(not isinstance(m, dict) or {"role", "content"} - m.keys() for m in messages):
        raise LabkitError(
            'A conversation is a list of messages, each {"role": "system", "user" or "assistant", "content": text}.'
        )
    messages = [{**message, "content": _clean(message["content"])} for message in messages]
    if not tokenizer.chat_template:
        return "\n\n".join(message["content"] for message in messages) + "\n"
    try:
        return tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    except Exception as error:  # templates raise whatever their authors chose
        raise LabkitError(f"The model's chat template refuses this conversation: {error}") from error


def _clean(text: str) -> str:
    """Half a surrogate pair, which no tokenizer takes, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def prompt_tokens(model, conversations: Sequence[Sequence[dict]]) -> list[tuple[int, ...]]:
    """Each conversation as the token ids that the network reads before it answers."""
    return _tokenize(model.tokenizer, [render(model.tokenizer, messages) for messages in conversations])


def _tokenize(tokenizer, texts: list[str]) -> list[tuple[int, ...]]:
    if not texts:
        return []
    special = not tokenizer.chat_template  # a template writes its own first token
    return [tuple(ids) for ids in tokenizer(texts, add_special_tokens=special).input_ids]


def _check_lengths(config, prompts: Sequence[Sequence[int]], new_tokens: int) -> None:
    context = getattr(config, "max_position_embeddings", None) or float("inf")
    for place, prompt in enumerate(prompts, 1):
        if len(prompt) + new_tokens > context:
            raise LabkitError(
                f"Prompt {place} has {len(prompt):,} tokens; with {new_tokens:,} for the answer that is more than the "
                f"model's context of {context:,}. Shorten it (fewer tables, fewer values) or take another model."
            )


def _end_tokens(model) -> frozenset[int]:
    ends = [model.tokenizer.eos_token_id]
    for config in (model.network.config, getattr(model.network, "generation_config", None)):
        end = getattr(config, "eos_token_id", None)
        ends += end if isinstance(end, (list, tuple)) else [end]
    return frozenset(end for end in ends if end is not None)


def _rows(prompts: list[tuple[int, ...]], seed: int, settings: _Settings) -> list[_Row]:
    """Each row with its own random numbers, from the seed, its prompt, and how often that prompt came before."""
    seen: Counter = Counter()
    rows = []
    for index, prompt in enumerate(prompts):
        uniforms = None
        if settings.temperature > 0:
            key = hashlib.sha256(repr((seed, prompt, seen[prompt])).encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(key[:7], "big"))
            uniforms = torch.rand(settings.max_new_tokens, generator=generator, dtype=torch.float64)
            seen[prompt] += 1
        rows.append(_Row(index, prompt, uniforms, []))
    return rows


def _batches(rows: list[_Row], most: int, network, shared: int, new_tokens: int) -> Iterator[list[_Row]]:
    """Rows of about the same length, longest first, in batches of about the same size that the cache has room for."""
    rows = sorted(rows, key=lambda row: -len(row.prompt))
    while rows:
        room = CACHE_BYTES // (bytes_per_token(network) * (len(rows[0].prompt) - shared + new_tokens))
        size = max(1, min(most, room))
        size = math.ceil(len(rows) / math.ceil(len(rows) / size))
        yield rows[:size]
        rows = rows[size:]


def _shared_prefix(model, prompts: list[tuple[int, ...]]) -> Prefix:
    """The cache of what all prompts begin with; the model keeps the last one, so a next call may find it ready."""
    if not prompts:
        return Prefix()
    length = min(shared_length(prompts), min(map(len, prompts)) - 1)  # each row runs a token of its own
    prefix = compute_prefix(model.network, prompts[0][:length], getattr(model, "prefix", None))
    model.prefix = prefix
    return prefix


def _experts(model):
    """Within the block the model's memory experts take part, where it has some (`tuning.mome`)."""
    experts = getattr(model, "experts", None)
    return experts.attached() if experts else nullcontext()


@contextmanager
def routed(model, prompts: Sequence[Sequence[int]]) -> Iterator[None]:
    """Within the block forward passes of rows with these prompts feel the memory experts that the prompts pick."""
    with _experts(model) as experts:
        if experts:
            experts.route(prompts)
        yield


def _decode_all(model, rows: list[_Row], most: int, prefix: Prefix, settings: _Settings, bar) -> None:
    """Decode all rows, at most `most` at a time. Where memory runs out, what is not complete begins anew, in batches of
    half the size."""
    while left := [row for row in rows if not row.done]:
        batch = next(_batches(left, most, model.network, len(prefix.tokens), settings.max_new_tokens))
        if not fits(_decode, model, batch, prefix, settings, bar):
            most = halved(len(batch), "conversation")
            notice(f"Out of memory: going on with at most {most} conversations at a time.")
            for row in batch:
                if not row.done:
                    row.answer, row.text = [], ""


def _decode(model, rows: list[_Row], prefix: Prefix, settings: _Settings, bar) -> None:
    """Decode one batch to its end, filling each row's answer."""
    device, shared = model.network.device, len(prefix.tokens)
    own = [row.prompt[shared:] for row in rows]
    width = max(map(len, own))
    padding = torch.tensor([width - len(tokens) for tokens in own], device=device)
    tokens = torch.tensor([(0,) * (width - len(tokens)) + tokens for tokens in own], device=device)
    cache = KeyValues(padding, width + settings.max_new_tokens, prefix)
    experts = getattr(model, "experts", None)
    if experts:
        experts.route([row.prompt for row in rows])
    logits = cache.prefill(model.network, tokens)
    for step in range(settings.max_new_tokens):
        chosen = _choose(logits, rows, step, settings).tolist()
        going = [
            place for place, row in enumerate(rows) if not _finishes(model.tokenizer, row, chosen[place], settings)
        ]
        bar.update(len(rows) - len(going))
        if not going:
            return
        if len(going) < len(rows):
            rows = [rows[place] for place in going]
            cache.keep_rows(torch.tensor(going, device=device))
            if experts:
                experts.keep_rows(going)
        newest = torch.tensor([[row.answer[-1]] for row in rows], device=device)
        logits = cache.forward(model.network, newest)


def _choose(logits: Tensor, rows: list[_Row], step: int, settings: _Settings) -> Tensor:
    if settings.temperature == 0:
        return logits.argmax(dim=-1)
    uniforms = torch.stack([row.uniforms[step] for row in rows])
    return draw(probabilities(logits, settings.temperature, settings.top_k, settings.top_p).cpu(), uniforms)


def _finishes(tokenizer, row: _Row, token: int, settings: _Settings) -> bool:
    """Add the token to the row's answer; True when the answer is complete."""
    if token not in settings.ends:
        row.answer.append(token)
        full = len(row.answer) == settings.max_new_tokens
        row.done = full or (settings.stop is not None and settings.stop(_grown_text(tokenizer, row)))
    else:
        row.done = True
    return row.done


def _grown_text(tokenizer, row: _Row) -> str:
    """The text of the answer so far; where a token's text doesn't depend on its neighbours, only the newest is
    added."""
    newest = _token_text(tokenizer, row.answer[-1])
    whole = newest is None or len(row.answer) == 1 or row.text.endswith("\ufffd")
    row.text = _text(tokenizer, row.answer) if whole else row.text + newest
    return row.text


@lru_cache(100_000)
def _token_text(tokenizer, token: int) -> str | None:
    """The text of one token of a byte-level vocabulary; None where it is part of a character, or of another kind."""
    decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
    if type(decoder).__name__ != "ByteLevel":
        return None
    text = _text(tokenizer, [token])
    return None if "\ufffd" in text else text


def _text(tokenizer, tokens: list[int]) -> str:
    return tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def _token_name(tokenizer, token: int) -> str:
    """A token's text; a token that is only part of a character keeps the vocabulary's spelling of its bytes."""
    text = tokenizer.decode([token], clean_up_tokenization_spaces=False)
    return tokenizer.convert_ids_to_tokens(token) if "\ufffd" in text else text
