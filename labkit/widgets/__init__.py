"""What a notebook shows: plain records in, no model, no torch, no database. Each falls back to a still table."""

from labkit.widgets.distributions import TokenBars
from labkit.widgets.ladder import LadderChart

__all__ = ["LadderChart", "TokenBars"]
