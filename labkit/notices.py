"""A sentence beside the result: that a finished run is shown again, that work was kept, that something is fetched.

To standard error, since standard output belongs to results; in a notebook to its output, where standard error stands on
a red ground and reads like a failure.
"""

import sys


def notice(sentence: str) -> None:
    """Print `sentence` where the reader of this process looks for it."""
    notebook = type(sys.stdout).__module__.startswith("ipykernel")
    print(sentence, file=sys.stdout if notebook else sys.stderr, flush=True)
