"""Generate, then rank: the model's own answer against queries of verified pairs, by the model's own likelihood.

The score of a query is log P(query | question) by the model plus `weight` times the cosine between the question and
the question that the query comes from; the model's own answer is given the cosine `own` where no pair proposes it too.
A generator of candidates and a ranker are two models in Zeng et al. 2022 ("N-best hypotheses reranking for
text-to-SQL systems", arXiv 2210.10668); here retrieval proposes and one tuned model generates and ranks, so that a
verified query is taken only where the model finds it about as likely as what it would have written. A query of a pair
that people have checked is trusted more where the question comes near the pair's: it may be less likely by e^TRUST; one
that lacks a value that the question mentions is trusted less. An answer that fails or tells nothing (no row, or NULL
alone) is taken only where there is no other. Where there is a `channel`, what it says counts too: how well the query
explains the question.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from labkit.agent import SqlGenerator
from labkit.candidates import Candidates
from labkit.channel import Channel
from labkit.datagen import aimed_at
from labkit.datagen.glossary import glossary_text
from labkit.dataset import QuestionSet
from labkit.encoder import tuned_sha256
from labkit.errors import LabkitError
from labkit.execution import execute_many
from labkit.linking import Mention, lacking
from labkit.retrieval import Encode
from labkit.sqltext import normalise_sql

CANDIDATES = 20
WEIGHT = 30.0  # nats a unit of cosine; chosen on the league's dev set, as OWN is (EXPERIMENTS.md, 2026-11-27)
OWN = 0.7
WEIGHT_TUNED, OWN_TUNED = 20.0, 0.6  # with a tuned encoder, whose cosines lie wider apart (2026-11-29)
TRUST, NEAR = 10.0, 0.6  # nats for a known query, and the cosine from which it gets them (2026-11-29)
WEIGHT_EXPLAINED, OWN_EXPLAINED = 50.0, 0.65  # where there is a channel too (2026-11-30, the later entry)
EXPLAINS = 1.0  # what one of the channel's nats counts
LACKS = 4.0  # nats off for each value that the question mentions and the query does not hold
AT_A_TIME = 8  # candidates weighed together


class RerankedGenerator:
    """A generator for `evaluate`: `model`, a local one (its likelihoods are needed), and a pool of verified pairs.

    `pairs`: a question set whose databases are found; `known`: those of them that people have checked; `aimed`: draw
    pairs for each question as well (`datagen.aimed_at`; some seconds a question), none of the columns or tables in
    `exclude`, worded by the `glossary` (a file; None: the one beside the database); `load`: gives the sentence encoder,
    the kit's own by default; `encoder`: the folder of one that `tune_encoder` wrote; `channel`: the folder that
    `tune_channel` wrote; `k`: candidates a question; `prompt` and `settings` as for `SqlGenerator`. A question about a
    database of which the pool has no pair is answered by the model alone.
    """

    def __init__(
        self,
        model,
        pairs: QuestionSet,
        *,
        k: int = CANDIDATES,
        known: QuestionSet | None = None,
        aimed: bool = False,
        exclude: Iterable[str] = (),
        glossary: str | Path | None = None,
        weight: float | None = None,
        own: float | None = None,
        encoder: str | Path | None = None,
        channel: str | Path | None = None,
        load: Callable[[], Encode] | None = None,
        prompt=None,
        progress: bool = True,
        **settings,
    ):
        local = getattr(model, "chat_model", model)  # a metered model holds it
        if not hasattr(local, "network"):
            raise LabkitError("Ranking needs the likelihoods of a local model; an endpoint does not give them.")
        if k < 1:
            raise LabkitError(f"k is {k}; ranking needs one candidate at least.")
        self.generator = SqlGenerator(model, prompt, **settings)
        self.model, self.pairs, self.k, self.aimed, self.exclude = local, pairs, k, aimed, tuple(exclude)
        self.glossary = glossary
        usual = (WEIGHT_TUNED, OWN_TUNED) if encoder else (WEIGHT, OWN)
        usual = (WEIGHT_EXPLAINED, OWN_EXPLAINED) if channel else usual
        self.weight = usual[0] if weight is None else weight
        self.own = usual[1] if own is None else own
        self.known = frozenset(normalise_sql(pair.sql) for pair in known or () if pair.sql)
        self.load, self.progress = load or partial(_encoder, encoder), progress
        self.encoder = encoder
        self.channel = Channel(channel) if channel else None
        self._pools: dict[Path, Candidates | None] = {}
        self._encode: Encode | None = None

    @property
    def chat_model(self):
        """The model within."""
        return self.generator.chat_model

    def __call__(self, questions: Sequence) -> list[str]:
        conversations = self.generator.conversations(questions)
        answers = self.generator.answer(conversations)
        return [
            self._best(question, conversation, answer)
            for question, conversation, answer in zip(questions, conversations, answers, strict=True)
        ]

    def describe(self) -> dict:
        """As the generator's, with the pool and what decides the ranking."""
        said = self.generator.describe()
        told = f"{self.k}, {self.weight:g}, {self.own:g}, lacks {LACKS:g}"
        told += f", encoder {tuned_sha256(self.encoder)[:12]}" if self.encoder else ""
        told += f", channel {self.channel.model.adapter_sha256[:12]} x {EXPLAINS:g}" if self.channel else ""
        told += f", {len(self.known)} known" if self.known else ""
        told += ", aimed" if self.aimed else ""
        if self.aimed and self.glossary:
            told += f", glossary {hashlib.sha256(glossary_text(self.glossary).encode()).hexdigest()[:12]}"
        texts = "\n".join([*(f"{pair.question}\t{pair.sql}" for pair in self.pairs), *sorted(self.known)])
        pool = hashlib.sha256(texts.encode()).hexdigest()
        return {**said, "prompt": f"{said.get('prompt')}, reranked", "pool_sha256": pool, "reranking": told}

    def build(self) -> None:
        """Make the indexes now, which is where the time goes."""
        for database in {self.pairs.database_path(pair) for pair in self.pairs if pair.sql}:
            self._pool(database)

    def _best(self, question, conversation, answer: str) -> str:
        from labkit.likelihood import log_probabilities

        pool = self._pool(question.database)
        found = pool(question.question, self.k) if pool else []
        if not found:
            return answer
        mentions = pool.values.mentions(question.question)
        near = {normalise_sql(candidate.sql): candidate for candidate in found}
        same = normalise_sql(answer)
        todo = [(self._prior(c.similarity, text, mentions), c.sql) for text, c in near.items() if text != same]
        todo.sort(key=lambda one: -one[0])
        if tells(question.database, answer):
            cosine = near[same].similarity if same in near else -1.0
            todo.insert(0, (self._prior(cosine, same, mentions, self.own), answer))
        best, score = answer, float("-inf")
        while todo and todo[0][0] > score:  # no probability is over 1: what is left cannot be better
            now, todo = todo[:AT_A_TIME], todo[AT_A_TIME:]
            likely = log_probabilities(self.model, conversation, [sql for _, sql in now])
            totals = [(value + prior, sql) for (prior, sql), value in zip(now, likely, strict=True)]
            explained = self._explained(question.question, [one for one in totals if one[0] > score])
            for total, sql in sorted(explained, key=lambda one: -one[0]):
                if total > score and (sql == answer or tells(question.database, sql)):
                    best, score = sql, total
        return best

    def _explained(self, question: str, totals: list[tuple[float, str]]) -> list[tuple[float, str]]:
        """Scores and their queries, what the channel says of each added."""
        if not self.channel or not totals:
            return totals
        says = self.channel(question, [sql for _, sql in totals])
        return [(total + EXPLAINS * said, sql) for (total, sql), said in zip(totals, says, strict=True)]

    def _prior(self, cosine: float, text: str, mentions: Sequence[Mention], least: float = -1.0) -> float:
        """What is added to a candidate's log probability, in nats; `text`: its query, normalised; `least`: the cosine
        that it is given at least."""
        known = TRUST * (cosine >= NEAR and text in self.known)
        return self.weight * max(cosine, least) + known - LACKS * lacking(mentions, text)

    def _pool(self, database) -> Candidates | None:
        path = Path(database).resolve()
        if path not in self._pools:
            here = [p for p in self.pairs if p.sql and self.pairs.database_path(p).resolve() == path]
            self._encode = self._encode or (self.load() if here else None)
            self._pools[path] = self._candidates(here, path) if here else None
        return self._pools[path]

    def _candidates(self, pairs: Sequence, database: Path) -> Candidates:
        draw = aimed_at(database, self.exclude, self.glossary) if self.aimed else None
        return Candidates(pairs, database, self._encode, self.progress, draw)


def tells(database: str | Path, sql: str) -> bool:
    """Whether the query runs and its answer holds more than NULL."""
    (result,) = execute_many(database, [sql])
    return result.ok and any(value is not None for row in result.rows for value in row)


def _encoder(folder: str | Path | None) -> Encode:
    from labkit.encoder import load_encoder

    return load_encoder(folder=folder)
