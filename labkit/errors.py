"""The one exception that the kit raises for a user's mistake or a machine's limit.

Its text is made of sentences: what was wrong, where (file and line), what to do. The command line prints it without a
traceback and exits with 2; a notebook shows it as it stands. Anything else that escapes is a bug of the kit.
"""


class LabkitError(Exception):
    """Something that the user can mend; ``str(error)`` says how."""
