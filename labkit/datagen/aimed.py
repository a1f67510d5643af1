"""Pairs drawn for one question: the same grammar, which of several draws prefers what sounds like the question.

A pool drawn beforehand holds what is asked often. A question that joins two rare conditions, or wants another column
beside the name, has no pair there; but its words say what to draw. Families come as often as among the pairs that are
near already, facts and conditions by the words that they share with the question: odds grow with the overlap. All that
the grammar says of a view's rows is drawn once and kept, so that the fitting one is found however rare it is. Only the
question is looked at. Nothing is learnt from these pairs, they are candidates for an answer: so no known set is avoided
here.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from math import exp, sqrt
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
_ROUNDS, _DRAWS = 3, 250  # rounds for a question, each near what those before it found; intents drawn in each
_A_FAMILY = 6  # drawn in the first round for each family: every one is to have its chance
_STOCK = 250  # draws of conditions on the rows of one view, and as many on all that they belong to
_VALUES = 30  # kept of the conditions that differ in their values alone
_SHARPNESS = 8.0  # a condition's weight is e^(sharpness * overlap)
_MEASURED, _KEPT = 80, 250  # of a round's pairs, those measured; pairs given: with most words in common in both cases
_LOOSE = 1.0  # families that are not near come so many times as often as those that are, in the first round
_SILENT = frozenset(
    re.findall(
        r"\w+",
        "a an the of in on at to for and or is are was were be been do does did have has had who whose which what that "
        "with from by it its their they we you me i how many there all any show give list name names please only just",
    )
)


_Kind = list[tuple[Condition, frozenset[frozenset[str]]]]  # conditions alike, each with the stems of its wordings


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

    def __call__(
        self,
        question: str,
        near: Sequence[Question],
        columns: Collection[str] = (),
        closeness: Callable[[str, list[str]], Sequence[float]] | None = None,
    ) -> list[Question]:
        """Verified pairs for `question`, the same for the same arguments. `near`: pairs found near it, the nearest
        first; `columns`: "table.column" in lower case, of which it mentions a value; `closeness`: how near texts are to
        the question, by an encoder (default: by the words in common)."""
        rng, filters, measure = random.Random(question), Filters(), closeness or _alike
        near, found = list(near), []
        close: dict[Question, float] = {}
        for number in range(_ROUNDS):
            if number:
                new = [p for p in near if p not in close]
                new += [p for p in found[:_KEPT] if p not in close][:_MEASURED]
                close |= zip(new, measure(question, [pair.question for pair in new]), strict=True)
                near = sorted(close, key=close.__getitem__, reverse=True)[: max(len(near), 10)]
            self.drawer.aim(question, [pair.sql for pair in near], columns, rng)
            draws = _DRAWS if number else max(_DRAWS, _A_FAMILY * len(self.families))
            found += self._round(near, _LOOSE / 4**number, filters, rng, len(found), draws)
            shared = dict(zip(found, _alike(question, [pair.question for pair in found]), strict=True))
            found.sort(key=shared.__getitem__, reverse=True)
        return found[:_KEPT]

    def _round(
        self, near: Sequence[Question], loose: float, filters: Filters, rng: random.Random, start: int, draws: int
    ) -> list[Question]:
        names, odds = list(self.families), self._odds(near, loose)
        drawn = [i for _ in range(draws) if (i := self._drawn(rng.choices(names, odds)[0]))]
        drawn = [i for i in drawn if filters.new_query(i.sql)]
        results = execute_many(self.speaker.world.database, [i.sql for i in drawn])
        kept = [i for i, r in zip(drawn, results, strict=True) if filters.good_result(r)]
        stem = Path(self.speaker.world.database).stem
        return [
            Question(f"{AIMED}{n:04d}", i.word(rng), i.sql, stem, tags=(i.family,)) for n, i in enumerate(kept, start)
        ]

    def _drawn(self, family: Callable[[Drawer], Intent | None]) -> Intent | None:
        try:
            return family(self.drawer)
        except NothingToAsk:
            return None

    def _odds(self, near: Sequence[Question], loose: float) -> list[float]:
        """How often each family comes: as among the near pairs, and any, `loose` times as often in all."""
        shares: Counter = Counter()
        for place, pair in enumerate(near):
            for family, n in self._called.get(pair.tags[0] if pair.tags else "", Counter()).items():
                shares[family] += n / (5 + place) / self._called[pair.tags[0]].total()
        near_all, usual = shares.total() or 1, sum(map(sqrt, self.families.values()))
        return [shares[f] / near_all + loose * sqrt(weight) / usual for f, weight in self.families.items()]


class _Drawer(Drawer):
    """Draws facts and conditions by the words that they share with the question aimed at."""

    def __init__(self, speaker: Speaker):
        self.said: frozenset[str] = frozenset()
        self.names: Counter = Counter()
        self.columns: Collection[str] = ()
        self._liked: dict[str, float] = {}
        self._stocks: dict[tuple, list[_Kind]] = {}
        self._weighed: dict[tuple, tuple[list[list[float]], list[float]]] = {}
        super().__init__(speaker, random.Random(0), self._like)

    def aim(self, question: str, near: Sequence[str], columns: Collection[str], rng: random.Random) -> None:
        """Prefer what sounds like `question`, and columns of the queries `near` it."""
        self.rng = rng
        self.said, self.columns, self._liked, self._weighed = _stems([question]), columns, {}, {}
        self.names = Counter(name for sql in near for name in set(re.findall(r"\w+", sql.casefold())))
        for name in self.names:
            self.names[name] /= max(1, len(near))

    def own(self, view: View) -> Condition | None:
        return self._fitting(view, super().own) if self.said else super().own(view)

    def condition(self, view: View) -> Condition | None:
        return self._fitting(view, super().condition) if self.said else super().condition(view)

    def _fitting(self, view: View, draw: Callable[[View], Condition | None]) -> Condition | None:
        """One of the conditions on `view`'s rows: first what is compared and how, then with what."""
        key = (draw.__name__, view.root.table, view.path, view.period and view.period.name)
        if key not in self._stocks:
            self._stocks[key] = self._stock(view, draw, random.Random(str(key)))
        kinds = self._stocks[key]
        if not kinds:
            return None
        if key not in self._weighed:
            weights = [[exp(_SHARPNESS * self._overlap(*one)) for one in kind] for kind in kinds]
            self._weighed[key] = weights, list(map(max, weights))
        weights, best = self._weighed[key]
        (i,) = self.rng.choices(range(len(kinds)), best)
        ((condition, _),) = self.rng.choices(kinds[i], weights[i])
        return condition

    def _stock(self, view: View, draw: Callable[[View], Condition | None], rng: random.Random) -> list[_Kind]:
        """What can be said of the view's rows, whatever the question, each with its words."""
        (self.rng, rng), (self.said, said) = (rng, self.rng), (frozenset(), self.said)
        kinds: dict[tuple, dict[tuple, Condition]] = {}
        for condition in filter(None, (draw(view) for _ in range(_STOCK))):
            compared = tuple((t.field.ref, t.op, t.other is None) for t in condition.tests)
            kind = kinds.setdefault((condition.path, compared), {})
            if len(kind) < _VALUES:
                kind.setdefault(tuple(str(t.value) for t in condition.tests), condition)
        found = [[(c, self._said_as(c)) for c in kind.values()] for kind in kinds.values()]
        self.rng, self.said = rng, said
        return found

    def _said_as(self, condition: Condition) -> frozenset[frozenset[str]]:
        forms = (*condition.noun, *condition.adjective, *condition.post, *condition.verb)
        return frozenset(_stems([expand(form, self.rng)]) for form in forms for _ in range(3))

    def _overlap(self, condition: Condition, said_as: Iterable[frozenset[str]]) -> float:
        if any(t.op == "=" and t.field.ref.casefold() in self.columns for t in condition.tests):
            return 1.0
        return max((_share(stems, self.said) for stems in said_as), default=0.3)

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


def _alike(question: str, texts: list[str]) -> list[float]:
    """The share of words in common with the question, of each text."""
    asked, others = _stems([question]), [_stems([text]) for text in texts]
    return [len(asked & other) / max(1, len(asked | other)) for other in others]


def _share(part: frozenset[str], whole: frozenset[str]) -> float:
    return len(part & whole) / len(part) if part else 0.3
