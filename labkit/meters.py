"""What a ladder measures beside a run: prompt tokens, kept batch by batch in a file, and the most memory used.

Nothing here knows a rung or judges an answer.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from labkit.dataset import Question
from labkit.home import write_atomically


class Metered:
    """A chat model that counts the tokens of its prompts: `tokens`, None where its tokenizer is not at hand."""

    def __init__(self, chat_model):
        self.chat_model = chat_model
        self.prompt = getattr(chat_model, "prompt", None)
        self.tokens: int | None = 0 if hasattr(chat_model, "tokenizer") else None

    def chat(self, conversations, **settings) -> list[str]:
        """The model's answers."""
        if self.tokens is not None:
            from labkit.decoding import prompt_tokens

            self.tokens += sum(map(len, prompt_tokens(self.chat_model, conversations)))
        return self.chat_model.chat(conversations, **settings)

    def describe(self) -> dict:
        """What the model says of itself."""
        return self.chat_model.describe()


class Counted:
    """A generator whose prompt tokens are noted batch by batch, so that a continued rung still knows all of them."""

    def __init__(self, generator, figures: "Figures"):
        self.generator, self.figures = generator, figures
        self.meter: Metered = getattr(generator, "generator", generator).chat_model  # self-reflection holds a generator

    def __call__(self, questions: list[Question]) -> list[str]:
        before = self.meter.tokens
        texts = self.generator(questions)
        spent = None if before is None else self.meter.tokens - before
        self.figures.count(questions[0].id, spent, len(questions))
        return texts

    def describe(self) -> dict:
        """The generator's own words."""
        return self.generator.describe()


class Figures:
    """A rung's figures in a file, written whole after each change."""

    def __init__(self, file: Path, fresh: bool):
        self.file = file
        try:
            self.kept = {} if fresh else json.loads(file.read_text())
        except (OSError, ValueError):
            self.kept = {}

    @property
    def asked(self) -> int:
        """Questions of which the tokens are known."""
        return sum(n for _, n in self.get("batches", {}).values())

    @property
    def prompt_tokens(self) -> float | None:
        """The mean over the questions; None where they could not be counted."""
        batches = self.get("batches", {}).values()
        if not batches or any(tokens is None for tokens, _ in batches):
            return None
        return sum(tokens for tokens, _ in batches) / self.asked

    def get(self, name: str, default=None):
        """A figure kept."""
        return self.kept.get(name, default)

    def keep(self, **figures) -> None:
        """Keep figures, in place of former ones of the same name."""
        self.kept |= figures
        write_atomically(self.file, json.dumps(self.kept))

    def count(self, batch: str, tokens: int | None, questions: int) -> None:
        """A batch is known by its first question: the batches depend on the set alone."""
        self.keep(batches=self.get("batches", {}) | {batch: [tokens, questions]})


@contextlib.contextmanager
def peak_memory(chat_model, figures: Figures) -> Iterator[None]:
    """Keep the most memory used within the block, and before it by the same rung; nothing for a model elsewhere."""
    if not hasattr(chat_model, "network"):
        yield
        return
    before, asked = figures.get("peak_memory") or 0, figures.asked
    watch = _cuda_peak(chat_model.device) if str(chat_model.device).startswith("cuda") else _process_peak()
    with watch as peak:
        yield
    if figures.asked != asked or not before:
        figures.keep(peak_memory=max(before, peak()))


@contextlib.contextmanager
def _cuda_peak(device: str) -> Iterator[Callable[[], int]]:
    import torch

    torch.cuda.reset_peak_memory_stats(device)
    yield lambda: torch.cuda.max_memory_allocated(device)


@contextlib.contextmanager
def _process_peak(every: float = 0.05) -> Iterator[Callable[[], int]]:
    """Looked at from a thread: the system's own peak is of the process's whole life, earlier rungs included."""
    import psutil

    process, seen, ended = psutil.Process(), [0], threading.Event()

    def look() -> None:
        while not ended.wait(every):
            seen[0] = max(seen[0], process.memory_info().rss)

    thread = threading.Thread(target=look, daemon=True)
    seen[0] = process.memory_info().rss
    thread.start()
    try:
        yield lambda: max(seen[0], process.memory_info().rss)
    finally:
        ended.set()
        thread.join()
