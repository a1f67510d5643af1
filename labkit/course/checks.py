"""Exercises: run a learner's function on cases, answer in a sentence, give hints only when asked.

A check is a plain function that takes the learner's function and raises `Wrong` with a sentence, or returns. It is
written in the module of its lab (`lab00.py` ...). This module runs it safely: whatever the learner's code does, the
notebook gets a sentence and goes on. It is no sandbox: learners run their own Python on their own machine.
"""

import contextlib
import copy
import importlib
import linecache
import signal
import sysconfig
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from labkit.course.steps import record
from labkit.errors import LabkitError

_LIBRARIES = (
    str(Path(__file__).parent.parent),
    *{sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")},
    "<frozen ",
)
SECONDS = 10.0  # what one check may take before it says "still running"


class Wrong(Exception):
    """The learner's function gave a wrong answer; the text says on which input, and what was wrong with it."""


class _TooLong(BaseException):
    """Raised in the learner's code by the clock. No Exception, so that a learner's `except Exception` lets it pass."""


@dataclass(frozen=True)
class Exercise:
    """One exercise: `check(function)` raises `Wrong`; `ours` is the kit's answer; three hints, from vague to plain."""

    check: Callable[[Callable], None]
    ours: Callable
    praise: str
    hints: tuple[str, str, str]


@dataclass(frozen=True)
class Verdict:
    """What a check found. `state` is "passed", "wrong" or "not written"; true in a condition only when passed."""

    name: str
    state: str
    sentence: str

    def __bool__(self) -> bool:
        return self.state == "passed"

    def __str__(self) -> str:
        mark = {"passed": "✓", "wrong": "✗", "not written": "…"}[self.state]
        return f"{mark} {self.name}: {self.sentence}"

    __repr__ = __str__


def exercise(name: str) -> Exercise:
    """The exercise called `name`, as in "lab00.top_k". LabkitError when there is none."""
    lab, _, key = str(name).partition(".")
    try:
        found = importlib.import_module(f"labkit.course.{lab}").EXERCISES
    except (ModuleNotFoundError, AttributeError, ValueError):
        raise LabkitError(f"There is no lab {lab!r} with exercises. Names look like 'lab00.top_k'.") from None
    if key not in found:
        raise LabkitError(f"There is no exercise {key!r} in {lab}. It has: {', '.join(found)}.")
    return found[key]


def check(name: str, function: Callable, hint: int | None = None) -> Verdict:
    """Run the check of exercise `name` on the learner's `function`; keep the outcome; return a Verdict.

    `hint` 1, 2 or 3 adds one hint to the answer, each plainer than the one before. Without it nothing is given away.
    Nothing that `function` does is raised here, except the learner's own Ctrl-C.
    """
    found = exercise(name)
    if hint is not None and (isinstance(hint, bool) or hint not in (1, 2, 3)):
        raise LabkitError(f"hint={hint!r} is not a hint. Ask with hint=1, then hint=2, then hint=3.")
    state, sentence = _judge(found, function)
    if hint and state != "passed":
        sentence += f"\n  Hint {hint} of 3: {found.hints[hint - 1]}"
    not_kept = record(name, state == "passed", hint or 0) if state != "not written" or hint else ""
    return Verdict(name, state, " ".join(filter(None, [sentence, not_kept])))


def use(name: str, function: Callable) -> Callable:
    """The learner's `function` if it passes the check of exercise `name`, else the kit's own. Says which in a line."""
    found = exercise(name)
    state, _ = _judge(found, function)
    print(f"{name}: {'your function' if state == 'passed' else 'labkit’s function (yours is ' + state + ')'} is used.")
    return function if state == "passed" else found.ours


def returned(function: Callable, *arguments, kind: type | tuple[type, ...] | None = None):
    """Call the learner's `function` on copies of `arguments`; raise `Wrong` if it returns None, or not a `kind`."""
    answer = function(*copy.deepcopy(arguments))
    if answer is None:
        raise Wrong(f"{_call(function, arguments)} returned None. Is there a `return` on every way through it?")
    if kind is not None and not isinstance(answer, kind):
        wanted = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise Wrong(f"{_call(function, arguments)} returned a {type(answer).__name__}; it should be a {wanted}.")
    return answer


def expect(function: Callable, *arguments, equals, because: str = "", kind: type | tuple[type, ...] | None = None):
    """Call `function` on copies of `arguments`; raise `Wrong` unless it returns `equals` (and a `kind`, if given)."""
    answer = returned(function, *arguments, kind=kind)
    if answer != equals:
        reason = f" {because}" if because else ""
        raise Wrong(f"{_call(function, arguments)} returned {_short(answer)}, which is not right.{reason}")


def _judge(found: Exercise, function: Callable) -> tuple[str, str]:
    """State and sentence for `function`, whatever it does."""
    if not callable(function):
        return "wrong", f"the check needs your function itself, and got {_short(function)}. Leave out the brackets."
    began = time.perf_counter()
    try:
        with _clock(SECONDS):
            found.check(function)
    except Wrong as wrong:
        return "wrong", str(wrong)
    except NotImplementedError:
        return "not written", "not written yet. Write the body, run its cell, then run this one again."
    except _TooLong as error:
        return "wrong", f"your function was still running after {time.perf_counter() - began:.0f} s{_where(error)}."
    except (Exception, SystemExit) as error:
        return "wrong", _sentence(error)
    return "passed", found.praise


@contextlib.contextmanager
def _clock(seconds: float):
    """Interrupt the block after `seconds`, where the platform can (main thread, POSIX); elsewhere Ctrl-C does."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(signum, frame):
        raise _TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)  # rings again: a bare `except:` in a loop may swallow one
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _sentence(error: BaseException) -> str:
    """The learner's own exception, in one sentence with its line."""
    text = " ".join(str(error).split())
    said = f"{type(error).__name__}: {_short(text, quote=False)}" if text else type(error).__name__
    return f"your function stopped with {said}{_where(error)}."


def _where(error: BaseException) -> str:
    """' at line 3 (`return x / 0`)': the innermost line that is the learner's, not the kit's or a library's."""
    place = ""
    step: TracebackType | None = error.__traceback__
    while step is not None:
        file, line = step.tb_frame.f_code.co_filename, step.tb_lineno
        if not _is_library(file):
            text = linecache.getline(file, line).strip()
            place = f", at line {line} of its cell" + (f": `{text}`" if text else "")
        step = step.tb_next
    return place


def _is_library(file: str) -> bool:
    return file.startswith(_LIBRARIES)


def _call(function: Callable, arguments: tuple) -> str:
    name = getattr(function, "__name__", "your function")
    return f"{name}({', '.join(_short(argument) for argument in arguments)})"


def _short(value, limit: int = 160, quote: bool = True) -> str:
    """`value` as text for a sentence: on one line, cut when long, whatever its own repr does."""
    try:
        text = " ".join((repr(value) if quote else str(value)).split())
    except Exception as error:
        return f"something whose repr stops with {type(error).__name__}"
    return text if len(text) <= limit else text[: limit - 1] + "…"
