"""What a generation gives: the pairs, what each filter dropped, what the set covers."""

from dataclasses import dataclass, field
from pathlib import Path

from labkit.datagen.coverage import Coverage
from labkit.dataset import Question, save_questions


@dataclass(frozen=True)
class Report:
    """What was asked for and what came out: `dropped` counts queries and wordings by filter, in the filters' order."""

    wanted: int
    kept: int
    drawn: int
    dropped: dict[str, int]
    sets: tuple[str, ...] = ()
    not_understood: tuple[str, ...] = ()  # glossary lines that no rule could read
    note: str = ""

    def __str__(self) -> str:
        lines = [
            f"{self.kept:,} pairs of {self.wanted:,} wanted, from {self.drawn:,} queries drawn.",
            "Dropped: " + ", ".join(f"{name} {n:,}" for name, n in self.dropped.items() if n) + ".",
        ]
        lines += [f"Kept apart from: {', '.join(self.sets) or 'no known set'}."]
        lines += [f"{len(self.not_understood)} glossary lines were not understood."] if self.not_understood else []
        return "\n".join([*lines, *([self.note] if self.note else [])])


@dataclass(frozen=True)
class Generated:
    """Pairs (as questions, ids `gen-QUERY-WORDING`), the report of the filters, the coverage of the set."""

    pairs: tuple[Question, ...]
    report: Report
    coverage: Coverage
    _name: str = field(default="generated", repr=False)

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self):
        return iter(self.pairs)

    def save(self, path: str | Path) -> Path:
        """Write the pairs as a question set."""
        return save_questions(path, self.pairs)
