"""The live half of a widget that is one JavaScript file: state goes out, messages come in, each gets its answer.

The import of anywidget waits until something is shown, so that everything else works without it.
"""

import json
from collections.abc import Callable
from pathlib import Path

_HERE = Path(__file__).parent


def view(name: str, state: dict, answer: Callable[[dict], dict]):
    """An anywidget that runs `NAME.js` with `state`; each message {id, ...} is answered by {id, **answer(message)}.

    ImportError where anywidget is not installed.
    """
    import anywidget
    import traitlets

    class View(anywidget.AnyWidget):
        _esm = (_HERE / f"{name}.js").read_text("utf-8")
        _css = (_HERE / "widgets.css").read_text("utf-8")
        state = traitlets.Unicode().tag(sync=True)  # JSON: sent once, as one text, which is fast for 1,000 records

    shown = View(state=json.dumps(state, ensure_ascii=False))
    shown.on_msg(lambda _, message, buffers: shown.send({"id": message.get("id"), **answered(answer, message)}))
    return shown


def slider(description: str, value: float, low: float, high: float, step: float):
    """A slider with a label, an anywidget with the traits of an ipywidgets one; its value is an int where `value` is.

    ipywidgets' own has no name in the browser: a screen reader says "slider" and no more.
    """
    import anywidget
    import traitlets

    number = traitlets.Int if isinstance(value, int) else traitlets.Float

    class Slider(anywidget.AnyWidget):
        _esm = (_HERE / "slider.js").read_text("utf-8")
        _css = (_HERE / "widgets.css").read_text("utf-8")
        value = number().tag(sync=True)
        description = traitlets.Unicode().tag(sync=True)
        min, max, step = (traitlets.Float().tag(sync=True) for _ in range(3))

    return Slider(description=description, value=value, min=low, max=high, step=step)


def answered(answer: Callable[[dict], dict], message: dict) -> dict:
    """The answer to one message; whatever goes wrong becomes a sentence, since a notebook would hide a traceback."""
    try:
        return answer(message)
    except Exception as error:
        text = " ".join(str(error).split())
        kind = type(error).__name__
        return {"error": text if kind == "LabkitError" and text else f"{kind}: {text}"}


def bundle(still_text: str, still_html: str, live: Callable) -> dict:
    """A notebook's output: the live widget where it can run, and the still table for where it can't."""
    still = {"text/plain": still_text, "text/html": still_html}
    try:
        return {**live()._repr_mimebundle_()[0], **still}
    except ImportError:
        return still
