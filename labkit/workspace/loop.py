"""The loop over a workspace: generate, tune, climb the ladder, diagnose, report. Headless, and resumable at any point.

Each stage keeps what it makes under a name that says what it was made of, so a stage whose inputs have not changed is
not done again, and one that was cut off goes on: generation draws the same pairs for the same seed, tuning and
evaluation keep their own checkpoints.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from labkit.datagen import generate
from labkit.datagen.glossary import glossary_text
from labkit.dataset import QuestionSet, load_questions, overlap
from labkit.diagnosis import diagnose_run
from labkit.encoder import CARD as ENCODER
from labkit.errors import LabkitError
from labkit.ladders import Ladder, ladder
from labkit.quantization import check_four_bit
from labkit.runs import RunStore
from labkit.schema import declared_schema, read_schema
from labkit.slices import DiagnosedRun
from labkit.workspace import check, drafts, drift, golds, start
from labkit.workspace.config import BATCH, FILE, Config, read_config
from labkit.workspace.report import write_report

Say = Callable[[str], None]
CONFIG = "adapter_config.json"  # the last file that tuning writes into an adapter's folder
RANKING = ("encoder", "channel")  # decisions that need candidates; `aimed` means nothing without them
WORDINGS = 4  # of each query that the encoder learns from


@dataclass(frozen=True)
class Outcome:
    """What a run of the loop ended with: a ladder and a diagnosed run (of its last rung) for each question set."""

    config: Config
    adapter: Path
    card: dict
    pairs: int
    ladders: tuple[Ladder, ...]
    diagnosed: tuple[DiagnosedRun, ...]
    report: Path

    def to_json(self) -> dict:
        """For scripts."""
        rungs = [
            {"set": one.set, "rung": rung.name, "n": rung.run.n, "correct": rung.run.correct,
             "low": rung.run.low, "high": rung.run.high, "valid": rung.run.valid}
            for one in self.ladders for rung in one.rungs
        ]  # fmt: skip
        return {"adapter": str(self.adapter), "pairs": self.pairs, "report": str(self.report), "rungs": rungs}

    def __str__(self) -> str:
        lines = [f"{one.set}, {rung.name}: {rung.run}" for one in self.ladders for rung in one.rungs]
        return "\n".join([*lines, f"The page: {self.report}"])


def run(folder: str | Path, regenerate: bool = False, say: Say = print) -> Outcome:
    """Do what is left to do. `regenerate`: after a drift of the schema put aside what was made for the old one, and
    draw drafts anew; those too where the schema has stayed and one of them can no longer measure.

    `LabkitError` for a folder that is no workspace, a schema that has drifted, no question set.
    """
    config = _decided(folder)
    with config.private():
        return _run(config, regenerate, say)


def tuned(folder: str | Path, say: Say = print) -> Path:
    """The first half of `run` alone: generate and tune. The adapter's folder; errors as those of `run`."""
    config = _decided(folder)
    with config.private():
        sets = _sets(config, False, say)
        return _tuned(config, _pairs(config, config.pairs, sets, say), RunStore(config.file("runs.db")), say)[0]


def _decided(folder: str | Path) -> Config:
    """The workspace's decisions, if they can be followed."""
    config = read_config(folder)
    if config.four_bit:
        check_four_bit()
    for name in RANKING:
        if getattr(config, name) and not (config.candidates or config.known):
            raise LabkitError(
                f"{name} = true in {config.file(FILE)} is about candidates, and there are none: set candidates."
            )
    return config


def _sets(config: Config, regenerate: bool, say: Say) -> list[QuestionSet]:
    """The question sets that measure, of a schema that has not drifted; what cannot measure is said."""
    _same_schema(config, regenerate, say)
    sets = [load_questions(path, db_dir=config.database.parent) for path in config.sets()]
    if not sets:
        raise LabkitError(f"{config.folder} has no question set to measure with: {', '.join(config.questions)}.")
    for questions in sets:
        _of_this_database(config, questions)
        for sentence in golds.said(questions):
            say(sentence)
    return sets


def _run(config: Config, regenerate: bool, say: Say) -> Outcome:
    sets, store = _sets(config, regenerate, say), RunStore(config.file("runs.db"))
    known = _checked(config, sets)
    pairs, pool = (_pairs(config, n, sets, say) for n in (config.pairs, config.candidates))
    adapter, card = _tuned(config, pairs, store, say)
    encoder = _encoder(config, sets, store, say) if config.encoder else None
    channel = _channel(config, pairs, store, say) if config.channel else None
    ranked = {"candidates": pool, "known": known, "encoder": encoder, "channel": channel}
    ranked["aimed"] = config.aimed and bool(pool or known)
    climbed, diagnosed = [], []
    for questions in sets:
        say(f"Measuring on {questions.name} ({len(questions)} questions) ...")
        given = {**ranked, "glossary": config.glossary, "pairs": pairs, "store": store, "four_bit": config.four_bit}
        climbed.append(ladder(config.model, questions, config.rungs, {"tuned": adapter}, **given))
        diagnosed.append(diagnose_run(climbed[-1].rungs[-1].run, questions))
    found = check.findings(read_schema(config.database))
    page = write_report(config, card, pairs, tuple(climbed), tuple(diagnosed), found, _in_words(**ranked))
    return Outcome(config, adapter, card, len(pairs), tuple(climbed), tuple(diagnosed), page)


def _of_this_database(config: Config, questions: QuestionSet) -> None:
    """LabkitError where a question is about another file: no pair of this workspace would be a candidate for it."""
    others = [q for q in questions if questions.database_path(q).resolve() != config.database.resolve()]
    if others:
        raise LabkitError(
            f"{len(others)} of {len(questions)} questions of {questions.name} are about another file, "
            f"{questions.database_path(others[0])}, and this workspace is about {config.database}. Correct their "
            '"database", or leave the set out.'
        )


def made(folder: str | Path) -> tuple[Path, str, Path, Path | None]:
    """Database, model, newest adapter (tuned in 4 bits or not, as is decided now) and candidates of a workspace;
    `LabkitError` where nothing is tuned yet."""
    from labkit.tuning.adapter import read_card

    config = read_config(folder)

    def fits(folder: Path) -> bool:
        card = read_card(folder)
        return not card or card.four_bit == config.four_bit

    adapter = _newest(config, f"adapter-*/{CONFIG}", fits)
    if not adapter:
        raise LabkitError(f"{config.folder} has no adapter yet. Make one with `labkit run {config.folder}`.")
    pools = sorted(config.folder.glob(f"pairs-{config.candidates}-*.jsonl"), key=lambda path: path.stat().st_mtime)
    pool = pools[-1] if pools and config.candidates else None
    if pool:
        _generated(config, pool)
    return config.database, config.model, adapter, pool


@dataclass(frozen=True)
class Ranking:
    """What finds, trusts and weighs candidates: a file of pairs that people have checked, the folders of a tuned
    encoder and of a channel, whether pairs are drawn for each question, and in which words."""

    known: Path | None
    encoder: Path | None
    channel: Path | None
    aimed: bool
    glossary: Path | None


def ranking(folder: str | Path) -> Ranking:
    """What the workspace's decisions say of ranking, as far as it is there."""
    config = read_config(folder)
    known = config.file(config.known) if config.known else None
    encoder = _newest(config, f"encoder-*/{ENCODER}") if config.encoder else None
    channel = _newest(config, f"channel-*/{CONFIG}") if config.channel else None
    return Ranking(known if known and known.is_file() else None, encoder, channel, config.aimed, config.glossary)


def stale(folder: str | Path) -> str:
    """A sentence where the schema is no longer the one that the newest adapter was tuned for; "" where it is."""
    config = read_config(folder)
    now, kept = drift.shape(declared_schema(config.database)), config.file("schema.json")
    changed = drift.changes(drift.read_shape(kept), now) if kept.exists() else {}
    if not changed:
        return ""
    return (
        f"The schema is no longer the one that the adapter was tuned for ({drift.said(changed)}): answers about these "
        f"tables will be wrong. `labkit run {config.folder} --regenerate` makes a new one."
    )


def _newest(config: Config, pattern: str, fits: Callable[[Path], bool] = lambda _: True) -> Path | None:
    """The folder of the newest file of the workspace that fits."""
    found = sorted(config.folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    return next((path.parent for path in found if fits(path.parent)), None)


def _same_schema(config: Config, regenerate: bool, say: Say) -> None:
    """Raise when the schema is not the one that the workspace was made for, or put aside what was made for it.
    Drafts that can no longer measure are drawn anew where that is asked for."""
    schema = declared_schema(config.database)
    kept = config.file("schema.json")
    if not config.file(start.SOURCE).exists():
        check.same_names(schema, config.exclude)
    if not kept.exists():
        start.describe(config.folder, config.database, config.exclude)
    changed = drift.changes(drift.read_shape(kept), drift.shape(schema))
    if not changed:
        if regenerate:
            unfit = drafts.unfit(config)
            say(drafts.anew(config, _aside(config)) if unfit else "The schema is the same, and the drafts fit it.")
        return
    told = drift.said(changed)
    made = [path for kind in ("pairs", "wordings") for path in sorted(config.folder.glob(f"{kind}-*.jsonl"))]
    if not regenerate:
        stale = sum(drift.touched(list(_generated(config, path)), changed) for path in made)
        raise LabkitError(
            f"The schema is no longer the one that this workspace was made for ({told}). {stale:,} of its pairs ask of "
            f"these tables, and the adapter was tuned on them. `labkit run {config.folder} --regenerate` puts pairs, "
            "adapter and drafts aside and makes new ones; your questions stay, look through them."
        )
    aside = _aside(config)
    tuned = [path for kind in ("adapter", "encoder", "channel") for path in config.folder.glob(f"{kind}-*")]
    for path in [*made, *tuned]:
        aside.mkdir(exist_ok=True)
        path.rename(aside / path.name)
    redrawn = drafts.anew(config, aside)
    start.describe(config.folder, config.database, config.exclude)
    say(f"The schema has changed ({told}). What was made for the old one is in {aside.name}. {redrawn}".rstrip())


def _aside(config: Config) -> Path:
    """A folder that is not there yet, for what is put aside today: what was put aside before stays what it is."""
    day, number = f"before-{date.today().isoformat()}", 1
    while (folder := config.file(f"{day}-{number}" if number > 1 else day)).exists():
        number += 1
    return folder


def _checked(config: Config, sets: Sequence[QuestionSet]) -> QuestionSet | None:
    """The pairs that people have checked; None where there are none yet. LabkitError where one is a question that
    measures: it would be answered by heart."""
    if not config.known or not config.file(config.known).is_file():
        return None
    known = load_questions(config.file(config.known), db_dir=config.database.parent)
    for questions in sets:
        both = [each for each in overlap(known, questions) if each.kind == "question"]
        if both:
            raise LabkitError(
                f"{len(both)} questions of {config.known} are also in {questions.name}, which would then measure "
                f"nothing ({both[0].text!r}). Take them out of one of the two."
            )
    return known


def _pairs(config: Config, n: int, sets: list[QuestionSet], say: Say, wordings: int = 1) -> QuestionSet | None:
    """`n` generated pairs, so many wordings a query, kept apart from all question sets; None for none."""
    if not n:
        return None
    words = glossary_text(config.glossary) if config.glossary else ""
    told = [str(config.database), n, config.seed, list(config.exclude), words, [s.sha256 for s in sets]]
    file = config.file(f"{'pairs' if wordings == 1 else 'wordings'}-{n}-{_hash(told)}.jsonl")
    if not file.is_file():
        say(f"Generating {n:,} pairs from {config.database.name} ...")
        given = {"glossary": config.glossary} if words else {}
        made = generate(config.database, n, config.seed, sets, config.exclude, wordings=wordings, **given)
        say(str(made.report))
        made.save(file)
    return _generated(config, file)


def _generated(config: Config, file: Path) -> QuestionSet:
    """The pairs in a file that an earlier run made; `LabkitError` for one that is damaged says what makes it anew."""
    try:
        return load_questions(file, db_dir=config.database.parent)
    except LabkitError as error:
        raise LabkitError(
            f"{error}\n{file.name} was generated, and is damaged. Move it away: `labkit run {config.folder}` makes the "
            "same pairs again, and nothing that was tuned on them is lost."
        ) from error


def _tuned(config: Config, pairs: QuestionSet, store: RunStore, say: Say) -> tuple[Path, dict]:
    from labkit.models import load_model
    from labkit.tuning import tune
    from labkit.tuning.adapter import CARD, read_card

    begin = "starter" if config.starter else None
    four_bit = ["four_bit"] if config.four_bit else []  # where it is not, an older workspace's adapter keeps its name
    batch = [config.batch] if config.batch != BATCH else []  # as of four_bit
    folder = config.file(f"adapter-{_hash([pairs.sha256, config.model, begin, config.rate, *four_bit, *batch])}")
    if not (folder / CONFIG).is_file():
        say(f"Tuning {config.model} on {len(pairs):,} pairs ...")
        base = load_model(config.model, four_bit=config.four_bit)
        given = {
            "adapter": begin,
            "store": store,
            "rate": config.rate,
            "avoid": config.sets(),
            "batch_size": config.batch,
        }
        tune(base, pairs, "instruction", folder, **given)
    card = read_card(folder)
    if card is None:
        raise LabkitError(f"{folder} has no {CARD}. Remove the folder, and the same command tunes again.")
    return folder, asdict(card)


def _encoder(config: Config, sets: list[QuestionSet], store: RunStore, say: Say) -> Path:
    """The folder of an encoder that knows this database's questions again: tuned on wordings of as many queries as
    there are pairs."""
    from labkit.tuning.contrastive import tune_encoder

    pairs = _pairs(config, WORDINGS * config.pairs, sets, say, WORDINGS)
    folder = config.file(f"encoder-{_hash([pairs.sha256, config.seed])}")
    if not (folder / ENCODER).is_file():
        say(f"Tuning the encoder on {len(pairs):,} wordings ...")
        tune_encoder(pairs, folder, seed=config.seed, store=store, avoid=config.sets())
    return folder


def _channel(config: Config, pairs: QuestionSet, store: RunStore, say: Say) -> Path:
    """The folder of a model that says what queries of this database ask: tuned on the adapter's pairs, turned round."""
    from labkit.tuning.channel import tune_channel

    folder = config.file(f"channel-{_hash([pairs.sha256, config.explainer, config.seed])}")
    if not (folder / CONFIG).is_file():
        say(f"Tuning a model to say what {len(pairs):,} queries ask ...")
        tune_channel(pairs, folder, model=config.explainer, avoid=config.sets(), store=store, seed=config.seed)
    return folder


def _in_words(
    candidates: QuestionSet | None,
    known: QuestionSet | None,
    encoder: Path | None,
    channel: Path | None,
    aimed: bool,
) -> str:
    """What the tuned model's own answer is ranked against, for the report; "" where it is not."""
    found = {"generated ones": candidates, "that people have checked": known}
    parts = [f"{len(pairs):,} {name}" for name, pairs in found.items() if pairs]
    by = f"an encoder tuned on this database ({encoder.name})" if encoder else "the kit's sentence encoder"
    more = f"; weighed by what a model says that they ask ({channel.name})" if channel else ""
    more += "; others drawn for each question" if aimed else ""
    return f"Reranked: against queries of verified pairs, {' and '.join(parts)}, found by {by}{more}." if parts else ""


def _hash(told: list) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:10]
