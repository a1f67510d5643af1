"""The one exception that the kit raises for a user's mistake or a machine's limit.

Its text is made of sentences: what was wrong, where (file and line), what to do. The command line prints it without a
traceback and exits with 2; a notebook shows it as it stands. Anything else that escapes is a bug of the kit.
"""

import re

_PASSWORD = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+:/{1,2}[^/\s:@]*:)\S*@")  # of an address: scheme://user:password@host


class LabkitError(Exception):
    """Something that the user can mend; ``str(error)`` says how, and never holds the password of an address."""

    def __init__(self, *args: object):
        super().__init__(*(_PASSWORD.sub(r"\1***@", arg) if isinstance(arg, str) else arg for arg in args))
