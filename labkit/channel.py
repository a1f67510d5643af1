"""How well a query explains a question: log P(question | query), by a model that was tuned to say what queries ask.

The noisy channel (Yee et al. 2019, "Simple and effective noisy channel modeling for neural machine translation", arXiv
1908.05731, section 2): a model that writes queries may pass over half of a question and find the short query likely;
one that has to say the question given that query finds the other half unlikely. `tuning.channel` makes such a model
from pairs turned round; `reranking` adds what it says.
"""

from collections.abc import Sequence
from pathlib import Path

from labkit.agent import as_prompt
from labkit.errors import LabkitError
from labkit.sqlwords import in_words

_ASKED = "Say as a question what this query asks: "


def request(sql: str) -> str:
    """What the model is asked of a query."""
    return _ASKED + in_words(sql)


class Channel:
    """Call it with a question and queries; `folder`: an adapter that `tune_channel` wrote, which stands on the base
    that its card names, in 4 bits where it was tuned so."""

    def __init__(self, folder: str | Path):
        from labkit.models import load_model
        from labkit.tuning.adapter import PAIRS, read_card

        card = read_card(folder)
        learnt = Path(folder) / PAIRS
        if not learnt.is_file() or _ASKED not in learnt.read_text("utf-8").partition("\n")[0]:
            raise LabkitError(f"{folder} does not say what queries ask. Make such a folder with `labkit tune-channel`.")
        self.model = load_model(card.base, adapter=folder, four_bit=card.four_bit)

    def __call__(self, question: str, queries: Sequence[str]) -> list[float]:
        """log P(question | query) of each, in nats."""
        from labkit.likelihood import log_probability_after

        told = as_prompt("chat")
        return log_probability_after(self.model, [told(request(sql), "") for sql in queries], question)
