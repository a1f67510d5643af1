"""How the kit meets transformers: not fooled by a folder's name, and quiet. Import it before transformers.

Not a place for settings: it decides nothing about models, and what it changes for a block it sets back after.
"""

import importlib.util
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


def hide_namesake() -> None:
    """Make `import datasets` fail where that name is only a folder without Python code, such as the one in our
    checkout.

    transformers takes any importable `datasets` for Hugging Face's package, and its Trainer then fails on it.
    """
    if sys.modules.get("datasets", "absent") is None:
        return
    spec = importlib.util.find_spec("datasets")
    if spec is None or spec.origin is not None:
        return  # nothing there, or the real package
    sys.modules["datasets"] = None
    if "transformers" in sys.modules:
        sys.modules["transformers"].utils.is_datasets_available.cache_clear()


hide_namesake()


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings and progress bars of third parties within the block: what a learner can't act on is noise."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
