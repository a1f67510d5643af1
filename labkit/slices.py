"""A run with a diagnosis for each result: counted by class, sliced by tag and by clause, as tables.

It counts what `diagnosis.diagnose_run` found; nothing is run or scored here.
"""

import html
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.clauses import clauses_of
from labkit.dataset import Question
from labkit.errors import LabkitError
from labkit.runs import wilson
from labkit.sqltext import parse

if TYPE_CHECKING:
    import pandas

    from labkit.diagnosis import Diagnosis
    from labkit.runs import Result, Run


@dataclass(frozen=True)
class DiagnosedResult:
    """One result of a run beside its question and its diagnosis."""

    result: "Result"
    question: Question
    diagnosis: "Diagnosis"


@dataclass(frozen=True)
class DiagnosedRun:
    """A run whose failures have classes: `slices` counts them, `to_frame` lists them, `print` shows the table by
    class.
    """

    run: "Run"
    results: tuple[DiagnosedResult, ...]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self):
        return iter(self.results)

    def failures(self) -> list[DiagnosedResult]:
        """The results that are not right."""
        return [result for result in self.results if result.diagnosis.failure_class]

    def slices(self, by: str = "class") -> "pandas.DataFrame":
        """A frame with a row a slice. By "class": n failures, their share of all questions, its Wilson 95 % interval
        (low, high). By "tag" or "clause" (of the gold): n questions, how many are right, the accuracy and its
        interval.
        """
        import pandas

        if by not in ("class", "tag", "clause"):
            raise LabkitError(f'There are no slices by {by!r}. Choose "class", "tag" or "clause".')
        rows = self._by_class() if by == "class" else self._by_feature(by)
        return pandas.DataFrame(rows).set_index(by) if rows else pandas.DataFrame(columns=["n"])

    def to_frame(self) -> "pandas.DataFrame":
        """A frame with a row a question: id, question, prediction, verdict, class, evidence, hint, suggestion."""
        import pandas

        return pandas.DataFrame([_as_row(item) for item in self.results])

    def __str__(self) -> str:
        frame = self.slices().rename_axis("class")
        lines = [f"{self.run}", f"{'class':22}{'n':>5}{'share':>8}   95 % interval"]
        lines += [f"{name:22}{r.n:5.0f}{r.share:8.2f}   [{r.low:.2f}, {r.high:.2f}]" for name, r in frame.iterrows()]
        return "\n".join(lines if len(frame) else [lines[0], "No failures."])

    def _repr_html_(self) -> str:
        table = self.slices().to_html(float_format="{:.2f}".format)
        return f"<p>{html.escape(str(self.run))}</p>{table}"

    def _by_class(self) -> list[dict]:
        counts = Counter(item.diagnosis.failure_class for item in self.failures())
        return [_share("class", name, n, len(self.results), "share") | {"n": n} for name, n in counts.most_common()]

    def _by_feature(self, by: str) -> list[dict]:
        found: dict[str, list[bool]] = {}
        for item in self.results:
            for feature in item.question.tags if by == "tag" else _clauses(item.question):
                found.setdefault(feature, []).append(item.result.verdict == "right")
        ordered = sorted(found.items(), key=lambda pair: -len(pair[1]))
        return [_share(by, name, sum(right), len(right), "accuracy") | {"right": sum(right)} for name, right in ordered]


def _as_row(item: DiagnosedResult) -> dict:
    return {
        "id": item.question.id,
        "question": item.question.question,
        "prediction": item.result.prediction,
        "verdict": item.result.verdict,
        "class": item.diagnosis.failure_class,
        "evidence": item.diagnosis.evidence,
        "hint": item.diagnosis.hint,
        "suggestion": item.diagnosis.suggestion,
    }


def _share(by: str, name: str, count: int, n: int, label: str) -> dict:
    interval = wilson(count, n)
    return {by: name, "n": n, label: count / n, "low": interval.low, "high": interval.high}


def _clauses(question: Question) -> list[str]:
    if not question.sql:
        return ["no gold query"]
    tree = parse(question.sql)
    return clauses_of(tree) if tree is not None else ["unreadable"]
