"""What tuning did elsewhere: general prompts answered, and plain English read, before and after.

A tuned model is judged by what it was tuned for; this module looks at everything else. Both models get the same
everyday requests through the chat template with no system message of ours, the very format in which facts are tuned,
so the format shields nothing. It does not say whether an answer is good, only whether it is still the same.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from labkit.errors import LabkitError
from labkit.home import home, write_atomically
from labkit.jsonl import BadLine, read_jsonl, read_object
from labkit.models import Model
from labkit.runs import wilson

DOMAINS = ("general", "near")


@dataclass(frozen=True)
class Prompt:
    """An everyday request; its `domain` is "near" when its subject is close to what the kit tunes on, or "general"."""

    id: str
    prompt: str
    domain: str


@dataclass(frozen=True)
class Agreement:
    """How many of `n` prompts got the identical answer: the share, from `low` to `high` (Wilson, 95 %)."""

    same: int
    n: int
    share: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.share:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n}"


@dataclass(frozen=True)
class Effect:
    """One prompt: both greedy answers, and KL(before || after) in nats at the first answer token and over the answer.

    `kl_answer` is the mean over the tokens of before's answer, fed to both models, and the place behind the last one.
    """

    id: str
    domain: str
    prompt: str
    before: str
    after: str
    same: bool
    kl_first: float
    kl_answer: float


@dataclass(frozen=True)
class Elsewhere:
    """Side effects in figures alone: the share of `prompts` with the identical answer and its interval, KL over the
    answer in nats, perplexity of plain English."""

    agreement: float
    agreement_low: float
    agreement_high: float
    prompts: int
    kl: float
    perplexity_before: float
    perplexity_after: float

    def to_json(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class SideEffects:
    """What happened to all prompts, and to the perplexity of plain English (per token, over `tokens` predicted)."""

    effects: tuple[Effect, ...]
    perplexity_before: float
    perplexity_after: float
    tokens: int
    model: str = ""
    adapter: str | None = None

    @property
    def n(self) -> int:
        """Number of prompts."""
        return len(self.effects)

    @property
    def agreement(self) -> Agreement:
        """Prompts with the identical greedy answer, of all."""
        return _agreement(self.effects)

    @property
    def near(self) -> Agreement:
        """The same, of the prompts close to what was tuned on."""
        return _agreement([effect for effect in self.effects if effect.domain == "near"])

    @property
    def general(self) -> Agreement:
        """The same, of the other prompts."""
        return _agreement([effect for effect in self.effects if effect.domain == "general"])

    @property
    def changed(self) -> tuple[Effect, ...]:
        """The prompts whose answer is another one now."""
        return tuple(effect for effect in self.effects if not effect.same)

    @property
    def kl_first(self) -> float:
        """Mean over prompts of KL(before || after) at the first answer token, in nats."""
        return math.fsum(effect.kl_first for effect in self.effects) / self.n

    @property
    def kl_answer(self) -> float:
        """Mean over prompts of KL(before || after) over the tokens of before's answer, in nats."""
        return math.fsum(effect.kl_answer for effect in self.effects) / self.n

    @property
    def figures(self) -> Elsewhere:
        """The figures that a ladder shows beside an accuracy."""
        same, perplexities = self.agreement, (self.perplexity_before, self.perplexity_after)
        return Elsewhere(same.share, same.low, same.high, same.n, self.kl_answer, *perplexities)

    def __str__(self) -> str:
        change = self.perplexity_after / self.perplexity_before - 1
        near = f"; near {self.near}" if self.near.n else ""
        return (
            f"same answer: {self.agreement}; general {self.general}{near}\n"
            f"KL(before || after): {self.kl_first:.2g} nats at the first token, {self.kl_answer:.2g} over the answer\n"
            f"perplexity of plain English: {self.perplexity_before:.2f} -> {self.perplexity_after:.2f} ({change:+.2%}, "
            f"{self.tokens:,} tokens)"
        )

    def to_frame(self):
        """A row a prompt, as a pandas frame."""
        import pandas  # here, not above: half a second that most callers do not need

        return pandas.DataFrame([asdict(effect) for effect in self.effects])

    def to_json(self) -> dict:
        """The figures, without the answers, as JSON values."""
        shares = {name: asdict(getattr(self, name)) for name in ("agreement", "general", "near")}
        figures = ("model", "adapter", "n", "kl_first", "kl_answer", "perplexity_before", "perplexity_after", "tokens")
        return {name: getattr(self, name) for name in figures} | shares


def side_effects(
    before: Model,
    after: Model,
    prompts: Sequence[Prompt] | None = None,
    text: str | None = None,
    max_new_tokens: int = 32,
    batch_size: int = 32,
) -> SideEffects:
    """Compare `after` with `before`, the same model untuned, on `prompts` and `text` (default: `datasets/general/`).

    Answers are greedy. Below float32 two likeliest tokens may tie within rounding, and a batch whose rows end earlier
    rounds otherwise: compare models of one dtype and device, at one batch size. Perplexity is exp of the mean negative
    log-likelihood a token over windows of 512 tokens that do not overlap, each window's first token being given. The
    answers of `before` are kept in the kit's home. LabkitError for models that write different tokens, for an endpoint,
    and for a network that yields no finite numbers.
    """
    from labkit.divergence import divergences, perplexity  # here, not above: torch

    prompts = tuple(general_prompts() if prompts is None else prompts)
    text = plain_english() if text is None else text
    _check(before, after, prompts)
    conversations = _conversations(prompts)
    first = _kept_answers(before, conversations, max_new_tokens=max_new_tokens, batch_size=batch_size)
    second = after.chat(conversations, max_new_tokens=max_new_tokens, batch_size=batch_size)
    apart = divergences(before, after, conversations, first)
    effects = [
        Effect(prompt.id, prompt.domain, prompt.prompt, one, other, one == other, kl.first, kl.answer)
        for prompt, one, other, kl in zip(prompts, first, second, apart, strict=True)
    ]
    english, english_after = perplexity(before, text), perplexity(after, text)
    return SideEffects(tuple(effects), english.value, english_after.value, english.tokens, after.name, after.adapter)


def general_prompts() -> list[Prompt]:
    """The kit's own, in `datasets/general/`, written before anything was tuned; LabkitError without a course."""
    return load_prompts(_given("prompts.jsonl"))


def plain_english() -> str:
    """The kit's own text beside them."""
    return _given("english.txt").read_text(encoding="utf-8")


def load_prompts(path: str | Path) -> list[Prompt]:
    """Read prompts from JSON lines with `id`, `prompt` and `domain`. LabkitError names each bad line."""
    prompts = read_jsonl(Path(path), lambda line, number: _prompt(read_object(line)))
    if not prompts:
        raise LabkitError(f"{path} holds no prompt. Write one JSON object a line: id, prompt, domain.")
    return prompts


def _prompt(record: dict) -> Prompt:
    if record.keys() != {"id", "prompt", "domain"} or not all(isinstance(v, str) and v for v in record.values()):
        raise BadLine("a prompt has the fields id, prompt and domain, each a text")
    if record["domain"] not in DOMAINS:
        raise BadLine(f"domain is {record['domain']!r}; it must be one of {', '.join(DOMAINS)}")
    return Prompt(**record)


def _given(name: str) -> Path:
    from labkit.course.workspace import course_root

    return course_root() / "datasets" / "general" / name


def _conversations(prompts: Sequence[Prompt]) -> list[list[dict]]:
    return [[{"role": "user", "content": prompt.prompt}] for prompt in prompts]


def _check(before: Model, after: Model, prompts: Sequence[Prompt]) -> None:
    from labkit.decoding import prompt_tokens

    if not prompts:
        raise LabkitError("There are no prompts to compare the two models on. Give at least one.")
    if not all(hasattr(model, "network") for model in (before, after)):
        raise LabkitError("Side effects are read from a model's probabilities: load both models with load_model.")
    one, other = (prompt_tokens(model, _conversations(prompts)) for model in (before, after))
    sizes = {model.network.config.vocab_size for model in (before, after)}
    if one != other or len(sizes) > 1:
        raise LabkitError(
            f"{before.name} and {after.name} turn the same prompt into different tokens, so their probabilities can't "
            "be compared. Compare a tuned model with the base it was tuned from."
        )


def _agreement(effects: Sequence[Effect]) -> Agreement:
    same, n = sum(effect.same for effect in effects), len(effects)
    interval = wilson(same, n)
    return Agreement(same, n, same / n if n else 0.0, interval.low, interval.high)


def _kept_answers(model: Model, conversations: list[list[dict]], **settings) -> list[str]:
    """The model's answers, from a file in the kit's home when everything that decides them is as it was."""
    decides = [model.sha256, model.adapter_sha256, model.dtype, model.device, model.four_bit, conversations, settings]
    decides += [model.tokenizer.chat_template, _fingerprint(model, conversations[0])]
    key = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
    file = home() / "side-effects" / f"{key[:32]}.json"
    with suppress(OSError, ValueError):
        kept = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(kept, list) and len(kept) == len(conversations):
            return kept
    answers = model.chat(conversations, **settings)
    write_atomically(file, json.dumps(answers))
    return answers


def _fingerprint(model: Model, messages: list[dict]) -> str:
    """Hash of the network's logits after one prompt: weights changed in memory, and other arithmetic, show in it."""
    from labkit.decoding import next_token_logits

    return hashlib.sha256(next_token_logits(model, messages).numpy().tobytes()).hexdigest()
