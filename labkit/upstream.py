"""How the kit meets transformers and bitsandbytes: not fooled by a folder's name, no hub asked, and quiet. Import it
before transformers.

Not a place for settings: it decides nothing about models. What it changes for good is a folder's name and one message.
"""

import importlib.util
import logging
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
# Whoever imports bitsandbytes (PEFT does, and so transformers' Trainer): on some processors it warns that it got no
# kernels from a model hub. Its own code does as well, and nobody has asked for them.
logging.getLogger("bitsandbytes.backends.cpu.ops").addFilter(lambda told: "kernels-community" not in told.getMessage())


@contextmanager
def no_hub_kernels() -> Iterator[None]:
    """Within the block bitsandbytes may be imported: on some processors it then asks a model hub for kernels, by the
    package `kernels`. Its own code does as well, and offline."""
    kept = sys.modules.get("kernels")
    sys.modules["kernels"] = None
    try:
        yield
    finally:
        del sys.modules["kernels"]
        if kept is not None:
            sys.modules["kernels"] = kept


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings and progress bars of third parties within the block: what a learner can't act on is noise."""
    from transformers.utils import logging as theirs

    level, bars = theirs.get_verbosity(), theirs.is_progress_bar_enabled()
    theirs.set_verbosity_error()
    theirs.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        theirs.set_verbosity(level)
        if bars:
            theirs.enable_progress_bar()
