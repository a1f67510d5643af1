"""Your own database: a folder that holds all that the loop needs and makes, and the loop run over it without a hand.

`sources` (what is no SQLite file becomes one), `config` (what the user decides), `check` (what may go wrong with the
schema), `drift` (what has changed since), `golds` (questions that cannot measure), `drafts` (questions to begin with),
`start` (a new folder), `loop` (generate, tune, rank, climb, diagnose), `report` (one page of it all). No module knows a
database.
"""

from labkit.workspace.config import Config, read_config
from labkit.workspace.drafts import decide
from labkit.workspace.loop import Outcome, Ranking, made, ranking, run, stale, tuned
from labkit.workspace.sources import Converted, convert
from labkit.workspace.start import init

__all__ = [
    "Config",
    "Converted",
    "Outcome",
    "Ranking",
    "convert",
    "decide",
    "init",
    "made",
    "ranking",
    "read_config",
    "run",
    "stale",
    "tuned",
]
