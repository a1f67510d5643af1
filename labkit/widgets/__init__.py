"""What a notebook shows: plain records in, no model, no torch, no database. Each falls back to a still table."""

from labkit.widgets.distributions import FactBars, FactState, TokenBars

__all__ = ["FactBars", "FactState", "TokenBars"]
