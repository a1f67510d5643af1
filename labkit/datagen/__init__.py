"""Question and SQL pairs from a database alone: sample a query from a grammar over what it holds, run it, word it as
people ask, filter, count what each filter dropped.

Read in this order: `world` (what the file holds), `units`, `formats`, `phrases`, `lexicon` with `columns.txt`
(English), `glossary` (its rules: `naming`, `meanings`, `measures`), `conditions`, `speaker`, `saying`, `bounds`,
`times`, `subjects`, `build` (SQL), `frames` with `sentences.txt`, `intents`, then the families `lookups`, `lists`,
`extremes` (with `rivals`), `numbers`, `computed`, `groups` and `winners` (with `grouping`), `nested`, `sets`, `sides`,
`changes`, `careers`, `comparing`, `selves`, `months`, `periods`, `conversions`, `totals`, `ties` and `variety` (with
`bonds`), `figures`, `credits`, `childless`, `percentiles`; `slips` (of the pen); `filters`, `known`, `coverage`,
`focus`; `sampled` (a copy to look at where tables are large). Pairs from a query log are `logs` (by `described`),
from a chat model `chat` (many of them, kept as they come: `authored`), for one question at hand `aimed`. No code here
knows a database.
"""

import os
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tqdm.auto import tqdm

from labkit.datagen import (
    careers,
    changes,
    childless,
    comparing,
    computed,
    conversions,
    credits,
    extremes,
    figures,
    groups,
    lists,
    lookups,
    months,
    nested,
    numbers,
    percentiles,
    periods,
    selves,
    sets,
    sides,
    ties,
    totals,
    variety,
    winners,
)
from labkit.datagen.aimed import Aimed
from labkit.datagen.coverage import Coverage, coverage
from labkit.datagen.drawing import Drawer
from labkit.datagen.filters import EASY, FEW, FILTERS, Filters
from labkit.datagen.focus import OTHERS, Focus, could_be_drawn, draws, focus
from labkit.datagen.glossary import Glossary, glossary_text, read_glossary
from labkit.datagen.intents import Intent
from labkit.datagen.known import GENERATED, known_sets
from labkit.datagen.logs import pairs_of_log, read_log
from labkit.datagen.reading import read_world
from labkit.datagen.report import Generated, Report
from labkit.datagen.sampled import looked_at
from labkit.datagen.slips import roughened
from labkit.datagen.speaker import Speaker
from labkit.dataset import Question, QuestionSet
from labkit.errors import LabkitError
from labkit.exclusion import excluding
from labkit.execution import execute_many
from labkit.home import is_file
from labkit.runs import RunStore
from labkit.schema import read_schema

FAMILIES = {
    f: w
    for m in (
        lookups,
        lists,
        extremes,
        numbers,
        computed,
        groups,
        winners,
        nested,
        sets,
        sides,
        changes,
        careers,
        comparing,
        selves,
        months,
        periods,
        conversions,
        totals,
        ties,
        variety,
        figures,
        credits,
        childless,
        percentiles,
    )
    for f, w in m.FAMILIES.items()
}
_NAMES = tuple(family.__name__ for family in FAMILIES)
_BATCH = 400  # intents drawn, and run, at a time
_IDLE = 12  # batches that bring nothing new before the grammar counts as exhausted


def generate(
    database: str | Path,
    n: int = 5000,
    seed: int = 0,
    avoid: Iterable[str | Path | QuestionSet] = (),
    exclude: Iterable[str] = (),
    glossary: str | Path | None = None,
    target: object = None,
    *,
    wordings: int = 5,
    typos: float = 0.06,
    too_easy: Callable[[list[Question]], list[str]] | None = None,
    store: RunStore | None = None,
    progress: bool = True,
) -> Generated:
    """`n` verified pairs for a database, the same for the same arguments.

    `avoid`: evaluation sets, beside those found near the database and in the run `store`; `exclude`: private tables and
    columns, never looked at; `glossary`: a Markdown file or text (None: `glossary.md` beside the database, if there is
    one); `target`: a diagnosed run, or names of failure classes, families, tags, tables, columns to draw more of;
    `wordings`: for each query at least; `typos`: share of wordings with a slip; `too_easy`: a generator of SQL, as for
    `evaluate`, whose right answers are dropped. Of a table of millions of rows some are looked at (`sampled`), and the
    report says so. `LabkitError` when the database holds nothing to ask about.
    """
    if not (isinstance(n, int) and isinstance(wordings, int) and n >= 1 and wordings >= 1):
        raise LabkitError("Ask for one pair and one wording at least, in whole numbers.")
    given = (n, seed, avoid, glossary, target, wordings, typos, too_easy, store, progress)
    with excluding(database, exclude, "`exclude`"), looked_at(Path(database)) as (file, told):
        return _generated(database, file, told, *given)


def _generated(
    database: str | Path, file: Path, told: str, n, seed, avoid, glossary, target, wordings, typos, too_easy, store,
    progress
) -> Generated:  # fmt: skip
    """What `generate` gives, of all that may be looked at: in `file`, the database or a copy, of which `told` tells."""
    world = read_world(file)
    if not any(entity.label or entity.key for entity in world.entities.values()):
        unread = [table.name for table in read_schema(database).tables if table.rows is None and not table.is_view]
        more = f" {', '.join(unread)} cannot be read: the file may be damaged." if unread else ""
        raise LabkitError(
            f"{database} holds no table whose rows have a name or a key: there is nothing to ask about.{more}"
        )
    found = _glossary(world, database, glossary)
    filters = Filters(known_sets(Path(database), avoid, store))
    schema = read_schema(file)
    places = [p for t in schema.tables for c in t.columns for p in (t.name, c.name, f"{t.name}.{c.name}")]
    wanted = focus(target, _NAMES, places)
    run = _Run(world, found, filters, wanted, random.Random(seed), n, wordings, typos, too_easy)
    note = " ".join(filter(None, (told, run.fill(progress))))
    pairs = tuple(run.pairs[:n])
    dropped = {name: filters.dropped[name] for name in FILTERS}
    report = Report(n, len(pairs), run.drawn, dropped, filters.known.sets, tuple(found.not_understood), note)
    return Generated(pairs, report, coverage(pairs, schema, run.could_be_drawn()))


def from_queries(
    sql_log: str | Path | Iterable[str],
    database: str | Path,
    seed: int = 0,
    avoid: Iterable[str | Path | QuestionSet] = (),
    exclude: Iterable[str] = (),
    glossary: str | Path | None = None,
    *,
    wordings: int = 5,
) -> Generated:
    """Pairs for the queries of a log (a file of SQL, or a list): each that runs and can be read gets up to `wordings`.

    `LabkitError` when there is no such file, database or glossary.
    """
    with excluding(database, exclude, "`exclude`"):
        world = read_world(database, joint_names=False)
        speaker = Speaker(world, _glossary(world, database, glossary))
        return pairs_of_log(speaker, read_log(sql_log), seed, avoid, wordings)


def aimed_at(database: str | Path, exclude: Iterable[str] = (), glossary: str | Path | None = None) -> Aimed:
    """A drawer of pairs for single questions: `aimed_at(database)(question, near)`; arguments as for `generate`."""
    world = read_world(database, exclude)
    return Aimed(Speaker(world, _glossary(world, database, glossary)), FAMILIES)


def _glossary(world, database: str | Path, given: str | Path | None) -> Glossary:
    path = Path(database).parent / "glossary.md" if given is None else Path(given) if "\n" not in str(given) else None
    if path is None:
        return read_glossary(str(given), world)
    if not is_file(path):
        if given is None:
            return Glossary()
        raise LabkitError(f"There is no glossary {str(path)[:80]}. Give a Markdown file, or the text itself.")
    return read_glossary(glossary_text(path), world)


class _Run:
    """One generation: draw a batch of intents, run their queries, word and filter, until there are enough pairs."""

    def __init__(
        self,
        world,
        found: Glossary,
        filters: Filters,
        wanted: Focus,
        rng,
        n: int,
        wordings: int,
        typos: float,
        too_easy,
    ):
        self.world, self.filters, self.rng, self.n = world, filters, rng, n
        self.wordings, self.typos, self.too_easy = wordings, typos, too_easy
        self.drawer = Drawer(Speaker(world, found), rng, wanted.favoured)
        self.aside = Drawer(self.drawer.speaker, random.Random(0), wanted.favoured)  # leaves `rng` alone
        self.focus = wanted.ahead(self.aside, FAMILIES)
        self.weights = [weight * self.focus.family(family.__name__) for family, weight in FAMILIES.items()]
        self.pairs: list[Question] = []
        self.spare: list[Question] = []
        self.drawn = self.queries = 0

    def fill(self, progress: bool) -> str:
        """Batches until there are `n` pairs; a note when the grammar has no more to give."""
        idle, quiet = 0, not progress or bool(os.environ.get("CI"))
        with tqdm(total=self.n, desc="pairs", disable=quiet, leave=False) as bar:
            while len(self.pairs) < self.n and idle < _IDLE:
                before = len(self.pairs)
                self._batch()
                idle = idle + 1 if len(self.pairs) == before else 0
                bar.update(min(self.n, len(self.pairs)) - min(self.n, before))
        if len(self.pairs) < self.n:
            return (
                f"The database gave no more than {len(self.pairs):,} pairs: its tables are few, or known sets took some"
            )
        return ""

    def could_be_drawn(self) -> list[str]:
        """Families that pairs have, and others that the database can give."""
        had = {tag for pair in self.pairs for tag in pair.tags}
        others = could_be_drawn((f for f in FAMILIES if f.__name__ not in had), self.aside)
        return [name for name in _NAMES if name in had or name in others]

    def _batch(self) -> None:
        missing = max(1, (self.n - len(self.pairs)) // self.wordings)
        drawn = [intent for intent in self._draw(min(_BATCH, 40 + 2 * missing)) if self.filters.new_query(intent.sql)]
        probes = [intent for intent in drawn if intent.probe]
        sqls = [intent.sql for intent in drawn] + [intent.probe for intent in probes]
        results = execute_many(self.world.database, sqls)
        probed = dict(zip(map(id, probes), results[len(drawn) :], strict=True))
        kept = [
            i for i, r in zip(drawn, results, strict=False) if self.filters.good_result(r, probed.get(id(i)), i.ranked)
        ]
        taken = [pairs for intent in kept if len(self.pairs) < self.n and (pairs := self._worded(intent))]
        self.pairs += self._hard([q for pairs in taken for q in pairs]) if self.too_easy else []

    def _draw(self, count: int) -> Iterable[Intent]:
        """Intents of families by weight; of those that a focus on tags does not want, one in three."""
        for _ in range(count):
            family = self.rng.choices(list(FAMILIES), self.weights)[0]
            self.drawn += 1
            for intent in draws(family, self.drawer, 1):
                if self.focus.wants(intent) or self.rng.random() < OTHERS:
                    yield intent

    def _worded(self, intent: Intent) -> list[Question]:
        per_skeleton = max(1, int(0.02 * self.n / self.wordings))
        per_family = max(2, int(0.25 * self.n / self.wordings))
        if not self.filters.in_balance(intent.sql, intent.family, per_skeleton, per_family, self.rng.random()):
            return []
        tries = [roughened(intent.word(self.rng), self.rng, self.typos) for _ in range(4 * self.wordings)]
        texts = self.filters.new_wordings(tries, intent.sql)
        used = texts[: self._room()]
        self.filters.forget(texts[len(used) :])
        if len(used) < self.wordings:
            self.filters.forget(used)
            self.filters.drop(FEW)
            return []
        self.filters.took(intent.sql, intent.family)
        self.queries += 1
        tags = tuple(dict.fromkeys([intent.family, *intent.tags]))
        pairs = [self._pair(i, text, intent.sql, tags) for i, text in enumerate(used, 1)]
        self.pairs += [] if self.too_easy else pairs
        return pairs

    def _room(self) -> int:
        """Wordings for the next query: the last one takes what is left over, so that none gets too few."""
        left = self.n - len(self.pairs)
        return left if self.wordings <= left < 2 * self.wordings else self.wordings

    def _pair(self, i: int, text: str, sql: str, tags: tuple[str, ...]) -> Question:
        return Question(f"{GENERATED}{self.queries:05d}-{i}", text, sql, self.world.database.stem, tags=tags)

    def _hard(self, pairs: Sequence[Question]) -> list[Question]:
        """Those that the present model gets wrong."""
        from labkit.scoring import Pair, score_many

        pairs = list(pairs)
        answers = self.too_easy(pairs) if pairs else []
        scores = score_many([Pair(q, a, self.world.database) for q, a in zip(pairs, answers, strict=True)])
        self.filters.drop(EASY, sum(s.right for s in scores))
        return [q for q, s in zip(pairs, scores, strict=True) if not s.right]


__all__ = ["FAMILIES", "Aimed", "Coverage", "Generated", "Report", "aimed_at", "coverage", "from_queries", "generate"]
