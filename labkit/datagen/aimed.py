"""Pairs drawn for one question: the same grammar, which of several draws prefers what sounds like the question.

A pool drawn beforehand holds what is asked often. A question that joins two rare conditions, or wants another column
beside the name, has no pair there; but its words say what to draw. Families come as often as among the pairs that are
near already, facts and conditions by the words that they share with the question (of several draws one is kept, with
odds that grow with the overlap: importance resampling). Only the question is looked at. Nothing is learnt from these
pairs, they are candidates for an answer: so no known set is avoided here.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from math import exp
from pathlib import Path

from labkit.datagen.conditions import Condition
from labkit.datagen.drawing import Drawer, NothingToAsk
from labkit.datagen.filters import Filters
from labkit.datagen.intents import Intent
from labkit.datagen.phrases import expand
from labkit.datagen.speaker import Speaker
from labkit.datagen.subjects import View
from labkit.datagen.world import Field
from labkit.dataset import Question
from labkit.execution import execute_many

AIMED = "aimed-"  # how ids of these pairs begin
_DRAWS, _WORDINGS = 400, 1  # intents drawn for a question; wordings of each that is kept
_TRIES, _SHARPNESS = 5, 8.0  # draws of which one condition is kept; weight e^(sharpness * overlap)
_LOOSE = 0.25  # of the weight of families, whatever is near
_SILENT = frozenset(
    re.findall(
        r"\w+",
        "a an the of in on at to for and or is are was were be been do does did have has had who whose which what that "
        "with from by it its their they we you me i how many there all any show give list name names please only just",
    )
)


class Aimed:
    """A drawer for one database, aimed at one question after another; `families` as `datagen.FAMILIES`."""

    def __init__(self, speaker: Speaker, families: dict[Callable[[Drawer], Intent | None], float]):
        self.speaker, self.families = speaker, families
        self.drawer = _Drawer(speaker)
        self._called: dict[str, Counter] = {}  # what intents are called -> families that gave some of that name
        for family in families:
            for _ in range(6):
                if intent := self._drawn(family):
                    self._called.setdefault(intent.family, Counter())[family] += 1

    def __call__(self, question: str, near: Sequence[Question], columns: Collection[str] = ()) -> list[Question]:
        """Verified pairs for `question`, the same for the same arguments. `near`: pairs found near it, the nearest
        first; `columns`: "table.column" in lower case, of which it mentions a value."""
        self.drawer.aim(question, [pair.sql for pair in near], columns)
        names, odds = list(self.families), self._odds(near)
        drawn: list[Intent] = []
        filters, rng = Filters(), self.drawer.rng
        for _ in range(_DRAWS):
            intent = self._drawn(rng.choices(names, odds)[0])
            if intent and filters.new_query(intent.sql):
                drawn.append(intent)
        results = execute_many(self.speaker.world.database, [i.sql for i in drawn])
        kept = [i for i, r in zip(drawn, results, strict=True) if filters.good_result(r)]
        stem = Path(self.speaker.world.database).stem
        worded = [(intent, {intent.word(rng) for _ in range(_WORDINGS)}) for intent in kept]
        return [
            Question(f"{AIMED}{n:04d}-{k}", text, intent.sql, stem, tags=(intent.family,))
            for n, (intent, texts) in enumerate(worded)
            for k, text in enumerate(sorted(texts))
        ]

    def _drawn(self, family: Callable[[Drawer], Intent | None]) -> Intent | None:
        try:
            return family(self.drawer)
        except NothingToAsk:
            return None

    def _odds(self, near: Sequence[Question]) -> list[float]:
        """How often each family comes: as among the near pairs, and a little as usual."""
        shares: Counter = Counter()
        for place, pair in enumerate(near):
            for family, n in self._called.get(pair.tags[0] if pair.tags else "", Counter()).items():
                shares[family] += n / (5 + place) / self._called[pair.tags[0]].total()
        near_all, usual = shares.total() or 1, sum(self.families.values())
        return [shares[f] / near_all + _LOOSE * weight / usual for f, weight in self.families.items()]


class _Drawer(Drawer):
    """Draws facts and conditions by the words that they share with the question aimed at."""

    def __init__(self, speaker: Speaker):
        self.said: frozenset[str] = frozenset()
        self.names: Counter = Counter()
        self.columns: Collection[str] = ()
        self._liked: dict[str, float] = {}
        self._named = tuple(speaker.glossary.named)
        super().__init__(speaker, random.Random(0), self._like)

    def aim(self, question: str, near: Sequence[str], columns: Collection[str]) -> None:
        """Prefer what sounds like `question`, and columns of the queries `near` it."""
        self.rng = random.Random(question)
        self.said, self.columns, self._liked = _stems([question]), columns, {}
        self.names = Counter(name for sql in near for name in set(re.findall(r"\w+", sql.casefold())))
        for name in self.names:
            self.names[name] /= max(1, len(near))
        heard = [
            (named, self._heard((*named.noun, *named.adjective, *named.post, *named.verb))) for named in self._named
        ]
        self.speaker.glossary.named[:] = [named for named, fit in heard for _ in range(1 + round(10 * fit))]

    def own(self, view: View) -> Condition | None:
        found = [c for _ in range(_TRIES if self.said else 1) if (c := super(_Drawer, self).own(view))]
        return self._fitting(found)

    def condition(self, view: View) -> Condition | None:
        found = [c for _ in range(_TRIES if self.said else 1) if (c := super(_Drawer, self).condition(view))]
        return self._fitting(found)

    def _fitting(self, found: Sequence[Condition]) -> Condition | None:
        """One of the conditions, by what they share with the question."""
        if len(found) < 2:
            return found[0] if found else None
        return self.rng.choices(found, [exp(_SHARPNESS * self._overlap(c)) for c in found])[0]

    def _overlap(self, condition: Condition) -> float:
        if any(t.op == "=" and t.field.ref.casefold() in self.columns for t in condition.tests):
            return 1.0
        return self._heard((*condition.noun, *condition.adjective, *condition.post, *condition.verb))

    def _heard(self, forms: Sequence[str]) -> float:
        """How much of one of these templates the question says: 0 to 1."""
        return max((_share(_stems([expand(form, self.rng)]), self.said) for form in forms), default=0.3)

    def _like(self, f: Field) -> float:
        """A factor for a field's weight: how often near queries hold it, how well its words fit the question."""
        if not self.said:
            return 1.0
        if f.ref not in self._liked:
            words = self.speaker.words(f)
            said = [*words.nouns, *words.plurals, *words.verbs, *(w for adjectives in words.high for w in adjectives)]
            self._liked[f.ref] = 0.3 + 4 * self.names[f.name.casefold()] + 4 * self._heard(said)
        return self._liked[f.ref]


def _stems(texts: Iterable[str]) -> frozenset[str]:
    """The words that say something, shortened to what their forms have in common; no numbers."""
    words = (w for text in texts for w in re.findall(r"[a-z]+", text.casefold()))
    return frozenset(re.sub(r"(ies|ie|es|e|s|y)$", "", w)[:6] for w in words if w not in _SILENT)


def _share(part: frozenset[str], whole: frozenset[str]) -> float:
    return len(part & whole) / len(part) if part else 0.3
