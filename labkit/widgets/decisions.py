"""What a person may decide about a pair, and how it is shown."""

ACCEPTED, REJECTED, UNDECIDED = "accepted", "rejected", "undecided"
MARK = {ACCEPTED: "✓", REJECTED: "✗", UNDECIDED: "·"}  # a sign and a word beside it: never colour alone
ALL = "all"


def told(decision: str) -> str:
    """The decision as people read it."""
    return f"{MARK[decision]} {decision}"
