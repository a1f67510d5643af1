"""The learner's side: exercises with checks and hints, progress, and where a lab finds its data.

>>> from labkit import course
>>> course.check("lab00.top_k", top_k)  # doctest: +SKIP
✗ lab00.top_k: not written yet.
"""

from labkit.course.bands import expected
from labkit.course.checks import Exercise, Verdict, check, use
from labkit.course.keeping import adapters_folder, files_folder, last_adapter, workspace_folder
from labkit.course.places import datasets, league, recorded_runs, setup, shorter
from labkit.course.steps import forget, progress

__all__ = [
    "Exercise",
    "Verdict",
    "adapters_folder",
    "check",
    "datasets",
    "expected",
    "files_folder",
    "forget",
    "last_adapter",
    "league",
    "progress",
    "recorded_runs",
    "shorter",
    "setup",
    "use",
    "workspace_folder",
]
