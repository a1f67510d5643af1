"""What a notebook shows: plain records in, no model, no torch, no database. Each falls back to a still table."""

from labkit.widgets.distributions import FactBars, FactState, TokenBars
from labkit.widgets.experts import ExpertMap
from labkit.widgets.explorer import DataExplorer
from labkit.widgets.figures import Curves, LossCurve, LowRank, TokenLosses
from labkit.widgets.inspector import FailureInspector
from labkit.widgets.ladder import LadderChart
from labkit.widgets.playground import Playground
from labkit.widgets.training import TrainingView

__all__ = [
    "Curves",
    "DataExplorer",
    "ExpertMap",
    "FactBars",
    "FactState",
    "FailureInspector",
    "LadderChart",
    "LossCurve",
    "LowRank",
    "Playground",
    "TokenBars",
    "TokenLosses",
    "TrainingView",
]
