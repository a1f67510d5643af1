"""What a notebook shows: plain records in, no model, no torch, no database. Each falls back to a still table."""

from labkit.widgets.distributions import TokenBars
from labkit.widgets.training import TrainingView

__all__ = ["TokenBars", "TrainingView"]
from labkit.widgets.explorer import DataExplorer

__all__ = ["DataExplorer", "TokenBars"]
from labkit.widgets.inspector import FailureInspector
from labkit.widgets.playground import Playground

__all__ = ["FailureInspector", "Playground", "TokenBars"]
from labkit.widgets.ladder import LadderChart

__all__ = ["LadderChart", "TokenBars"]
