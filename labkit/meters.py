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
    with model_peak(chat_model) as peak:
        yield
    if figures.asked != asked or not before:
        figures.keep(peak_memory=max(before, peak()))


def model_peak(model):
    """A context; what it yields tells the most bytes in use within it, the model's weights included: of the GPU's
    memory that torch gave out, or of this process (see `held`)."""
    if str(model.device).startswith("cuda"):
        return cuda_peak(model.device)
    return process_peak(mapped_weights(model.network))


@contextlib.contextmanager
def cuda_peak(device: str) -> Iterator[Callable[[], int]]:
    """Of the GPU's memory what torch gave out, at most, within the block."""
    import torch

    torch.cuda.reset_peak_memory_stats(device)
    yield lambda: torch.cuda.max_memory_allocated(device)


def held() -> int:
    """Bytes that this process holds and the system cannot take back: its anonymous pages.

    Pages of mapped files are left out: how many of them are resident depends on what else ran (60 to 100 MB between
    two runs of one small model), and the system drops them when it needs room. The weights that a network reads from
    such a file are needed whole at every step, so they are counted whole, by `mapped_weights`. Where the system
    doesn't tell the two apart (no Linux), all resident pages are counted.
    """
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) * 1024
    except (OSError, StopIteration):
        import psutil

        return psutil.Process().memory_info().rss


def mapped_weights(network) -> int:
    """Bytes of a network's weights that lie in a mapped file, resident or not; 0 where the system doesn't tell."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return 0
    files = [line.split(maxsplit=5) for line in lines if line.endswith((".safetensors", ".bin"))]
    spans = [tuple(int(end, 16) for end in fields[0].split("-")) for fields in files]
    tensors = {t.data_ptr(): t.nbytes for t in network.state_dict().values()}
    return sum(size for start, size in tensors.items() if any(low <= start < high for low, high in spans))


@contextlib.contextmanager
def process_peak(beside: int = 0, every: float = 0.005) -> Iterator[Callable[[], int]]:
    """Looked at from a thread: the system's own peak is of the process's whole life, earlier rungs included. `beside`
    is added."""
    seen, ended = [held()], threading.Event()

    def look() -> None:
        while not ended.wait(every):
            seen[0] = max(seen[0], held())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield lambda: max(seen[0], held()) + beside
    finally:
        ended.set()
        thread.join()
