"""The ladder: what each approach reaches on the same questions, and what it costs.

A rung is a run in the run store: the same call goes on where it was interrupted, and shows a finished ladder again.
What a run does not hold (prompt tokens, building, memory) is kept in `ladders/` beside the store. The approaches
themselves are `rungs`; tuned rungs are adapters, which `tuning` writes.
"""

import gc
import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from labkit.agent import SqlGenerator
from labkit.dataset import Question, QuestionSet, load_questions
from labkit.errors import LabkitError
from labkit.evaluation import BATCH, evaluate
from labkit.exclusion import said as excluded_of
from labkit.meters import Counted, Figures, Metered, peak_memory
from labkit.quantization import check_four_bit
from labkit.reranking import RerankedGenerator
from labkit.rungs import LOOKING_UP, RUNGS, TUNED, Material, material, rung
from labkit.runs import Run, RunStore
from labkit.side_effects import Elsewhere, Prompt, general_prompts, plain_english
from labkit.side_effects import side_effects as compare_elsewhere


@dataclass(frozen=True)
class Rung:
    """One approach, its run and its price. None: it could not be told, as for a model behind an endpoint."""

    name: str
    run: Run
    prompt_tokens: float | None  # a question, all tries of self-reflection together
    build_seconds: float | None  # making pairs and index, or tuning; loading a model does not count
    peak_memory: int | None  # bytes: of the process on a CPU, of torch's tensors on a GPU; tuned here: tuning too
    elsewhere: Elsewhere | None = None  # what its tuning changed elsewhere, where that was asked for

    def to_json(self) -> dict:
        """The figures as JSON values; `seconds` is of a query, generating and scoring; None for recorded answers.
        Those of `elsewhere` stand at the end, where they were measured."""
        run = self.run
        figures = {name: getattr(run, name) for name in ("accuracy", "low", "high", "n", "correct", "valid")}
        about = {"rung": self.name, **figures, "prompt_tokens": self.prompt_tokens}
        seconds = run.seconds / run.n if run.n and run.device != "recorded" else None
        about |= {"seconds": seconds, "build_seconds": self.build_seconds, "peak_memory": self.peak_memory}
        return {**about, "run": run.id} | (self.elsewhere.to_json() if self.elsewhere else {})


@dataclass(frozen=True)
class Ladder:
    """Rungs in the order climbed, all on the same questions."""

    set: str
    mode: str
    model: str
    rungs: tuple[Rung, ...]

    def to_json(self) -> dict:
        """The whole ladder as JSON values; where side effects were measured, null for a rung that has none."""
        rungs = [rung.to_json() for rung in self.rungs]
        keys = dict.fromkeys(key for figures in sorted(rungs, key=len, reverse=True) for key in figures)
        rungs = [{key: figures.get(key) for key in keys} for figures in rungs]
        return {"set": self.set, "mode": self.mode, "model": self.model, "rungs": rungs}

    def to_frame(self):
        """A pandas frame, a row a rung: seconds a query, bytes of memory."""
        import pandas

        return pandas.DataFrame(self.to_json()["rungs"])

    def __str__(self) -> str:
        head = ["rung", "accuracy", "valid", "prompt tokens", "s a query", "build s", "peak MB", "run"]
        rows = [_cells(figures) for figures in self.to_json()["rungs"]]
        if any(rung.elsewhere for rung in self.rungs):
            head += ["same answer elsewhere", "KL", "perplexity"]
            rows = [row + _elsewhere(rung) for row, rung in zip(rows, self.rungs, strict=True)]
        rows = [head, *rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([f"{self.model} on {self.set} ({self.mode})", *lines])


def _elsewhere(rung: Rung) -> list[str]:
    if not rung.elsewhere:
        return ["-"] * 3
    f = rung.elsewhere
    same = f"{f.agreement:.3f} [{f.agreement_low:.3f}, {f.agreement_high:.3f}] n={f.prompts}"
    return [same, f"{f.kl:.2g}", f"{f.perplexity_before:.2f} -> {f.perplexity_after:.2f}"]


def _cells(figures: dict) -> list[str]:
    interval = "{accuracy:.2f} [{low:.2f}, {high:.2f}] n={n}".format_map(figures)
    megabytes = figures["peak_memory"] and figures["peak_memory"] / 1e6
    prices = [(figures["prompt_tokens"], 0), (figures["seconds"], 2), (figures["build_seconds"], 1), (megabytes, 0)]
    shown = ["-" if value is None else f"{value:.{places}f}" for value, places in prices]
    return [figures["rung"], interval, f"{figures['valid']}/{figures['n']}", *shown, figures["run"]]


def ladder(
    model,
    questions: QuestionSet,
    rungs: Sequence[str] = RUNGS,
    adapters: Mapping[str, str | Path] | None = None,
    *,
    pairs: str | Path | Sequence[Question] | None = None,
    shots: int = 5,
    reflections: int = 2,
    candidates: str | Path | QuestionSet | None = None,
    known: QuestionSet | None = None,
    encoder: str | Path | None = None,
    channel: str | Path | None = None,
    aimed: bool = False,
    exclude: Iterable[str] = (),
    glossary: str | Path | None = None,
    four_bit: bool = False,
    side_effects: bool = False,
    mode: str = "execution",
    store: RunStore | str | Path | None = None,
    fresh: bool = False,
    batch_size: int = BATCH,
) -> Ladder:
    """Climb `rungs` (names in RUNGS, then those in TUNED), then `adapters` (a name -> the folder that tuning wrote),
    with one base model.

    model: a name for `load_model`, or a chat model. pairs: a file or questions, for few-shot prompts, retrieval and
    tuning; generated from the database alone where there are none. "instruction" and "memory" tune an adapter on them,
    by their own recipes: the first from the starter where there is one, the second from the bare model, on its upper
    layers (from the starter: `tune(method="memory", adapter="starter")`, then `adapters`). It stays in the ladder's
    folder (for a `fresh` ladder too), and tuning that was cut off goes on. Each adapter is loaded on a base model of
    its own, after the others are let go. candidates: verified pairs; each adapter then climbs a second rung, where
    their queries are ranked against its own (`reranking`), found by the tuned `encoder` where one is named, and by how
    well they explain the question where there is a `channel`; `known`: pairs that people have checked, candidates that
    are trusted where a question comes near; `aimed`: pairs are drawn for each question too, of no column in `exclude`.
    glossary: a Markdown file that retrieval shows lines of, and that words generated and drawn pairs; None: the one
    beside the database. four_bit: a model that is named is loaded in 4 bits, for every rung.
    side_effects: of each tuned rung measure what tuning changed elsewhere too (see `labkit.side_effects`).
    LabkitError for an unknown rung, a folder without adapter, pairs that overlap the questions.
    """
    adapters, methods = dict(adapters or {}), [name for name in rungs if name in TUNED]
    _check(rungs, adapters)
    if min(shots, reflections) < 0:
        raise LabkitError(f"shots is {shots} and reflections is {reflections}: 0 is the least of each.")
    _check_adapters(model, adapters, methods, side_effects)
    texts = (general_prompts(), plain_english()) if side_effects else ()
    _check_four_bit(model, four_bit)
    store = store if isinstance(store, RunStore) else RunStore(store)
    climb = _Climb(questions, mode, store, fresh, batch_size)
    looking = {*rungs} & {*LOOKING_UP, *TUNED}
    found = material(questions, pairs, climb.folder, store, glossary) if looking else None
    to_learn = _to_learn(found, climb) if methods else None
    if candidates is not None and not isinstance(candidates, QuestionSet):
        candidates = load_questions(candidates, db_dir=questions.db_dir or (questions.path and questions.path.parent))
    parts = [each for each in (candidates, known) if each is not None]
    pool = parts and replace(parts[0], questions=tuple(pair for pairs in parts for pair in pairs))
    climbed = []
    prompts = [name for name in rungs if name not in TUNED]
    if prompts:
        base = _load(model, None, four_bit)
        for name in prompts:
            generator = rung(name, Metered(base), found, shots=shots, reflections=reflections)
            climbed.append(climb.rung(name, generator, found.seconds if name in LOOKING_UP else 0.0))
        del base, generator
    own = _tuned_here(methods, model, four_bit, to_learn, climb)
    for name, folder in (own | adapters).items():
        gc.collect()
        tuned = Metered(_load(model, folder, four_bit))
        climbed.append(climb.rung(name, SqlGenerator(tuned), card_seconds(folder)))
        if name in own:
            climbed[-1] = _with_tuning(climbed[-1], folder)
        if side_effects:
            base = _load(model, None, four_bit)
            climbed[-1] = replace(climbed[-1], elsewhere=climb.elsewhere(base, tuned.chat_model, *texts))
            del base
        if pool:
            how = {"known": known, "encoder": encoder, "channel": channel, "aimed": aimed}
            how |= {"exclude": exclude, "glossary": glossary}
            reranked = RerankedGenerator(tuned, pool, **how)
            climbed.append(climb.rung(f"{name}, reranked", reranked, card_seconds(folder)))
            del reranked
        del tuned
    return Ladder(questions.name, mode, climbed[0].run.model, tuple(climbed))


def card_seconds(adapter: str | Path) -> float | None:
    """The seconds that tuning took, as the adapter's card has it, those of an adapter that it stands on with them; None
    without a card."""
    from labkit.tuning.adapter import read_card, under

    folder = Path(adapter).expanduser()
    cards = [read_card(each) for each in (folder, under(folder)) if each]
    return sum(card.seconds for card in cards) if all(cards) else None


def _check(rungs: Sequence[str], adapters: Mapping) -> None:
    unknown = [name for name in rungs if name not in (*RUNGS, *TUNED)]
    there = f"The rungs are {', '.join((*RUNGS, *TUNED))}, and adapters."
    if unknown:
        raise LabkitError(f"There is no rung {unknown[0]!r} of the ladder. {there}")
    names = [*rungs, *adapters]
    if not names:
        raise LabkitError(f"A ladder needs a rung. {there}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LabkitError(f"Two rungs of the ladder are called {twice[0]!r}. Name each once.")


def _check_adapters(model, adapters: Mapping, methods: Sequence[str], side_effects: bool) -> None:
    """Before the first rung: an hour later is late."""
    if (methods or side_effects) and getattr(model, "adapter", None):
        raise LabkitError(f"{model.name} carries an adapter already; tuning and its side effects need the bare model.")
    if side_effects and not (adapters or methods):
        raise LabkitError("Side effects are those of tuning, and no rung is tuned. Name an adapter, or a rung of them.")
    if (adapters or methods) and not isinstance(model, (str, Path)) and not hasattr(model, "network"):
        raise LabkitError("An adapter is loaded on a local model; this one is not on this machine. Name a local model.")
    for name, folder in adapters.items():
        if not (Path(folder).expanduser() / "adapter_config.json").is_file():
            raise LabkitError(
                f"The rung {name!r} has no adapter: {folder} lacks adapter_config.json. Run `labkit tune`."
            )


def _check_four_bit(model, four_bit: bool) -> None:
    """Before the first rung, too."""
    if four_bit and not isinstance(model, (str, Path)):
        raise LabkitError(
            "four_bit says how a model is loaded that is given by its name; this one is loaded already, or behind an "
            "endpoint. Give the name, or load it with load_model(NAME, four_bit=True)."
        )
    if four_bit:
        check_four_bit()


def _load(model, adapter: str | Path | None, four_bit: bool):
    """A chat model; one that is given may be another's, so an adapter gets a base of its own."""
    from labkit.models import load_model

    if isinstance(model, (str, Path)):
        return load_model(model, adapter=adapter, four_bit=four_bit)
    if adapter is None:
        return model
    return load_model(model.name, adapter, model.device, model.dtype, model.four_bit)


# --- rungs that are tuned here ----------------------------------------------------------------------------------------


def _to_learn(found: Material, climb: "_Climb") -> QuestionSet:
    """The solved pairs, if they may be tuned on: said before the first rung."""
    from labkit.tuning.climbing import check_pairs

    return check_pairs(found.pairs, climb.questions, found.schema.database, climb.store)


def _tuned_here(methods: Sequence[str], model, four_bit: bool, pairs: QuestionSet | None, climb: "_Climb") -> dict:
    """{method: the folder of the adapter that it made, now or in an earlier call}."""
    if not methods:
        return {}
    from labkit.tuning.climbing import tuned_adapter

    gc.collect()
    base = _load(model, None, four_bit)
    return {name: tuned_adapter(name, base, pairs, climb.folder, [climb.questions], climb.store) for name in methods}


def _with_tuning(rung: Rung, adapter: Path) -> Rung:
    """The rung with the memory that its tuning took, where that was more than asking it takes."""
    from labkit.tuning.climbing import tuning_peak

    peaks = [peak for peak in (rung.peak_memory, tuning_peak(adapter)) if peak]
    return replace(rung, peak_memory=max(peaks, default=None))


# --- climbing and measuring -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Climb:
    """What all rungs have in common."""

    questions: QuestionSet
    mode: str
    store: RunStore
    fresh: bool
    batch_size: int

    @property
    def folder(self) -> Path:
        """Where the figures are kept that a run has no place for."""
        return Path(self.store.path).parent / "ladders"

    def rung(self, name: str, generator, seconds: float | None) -> Rung:
        """Evaluate one rung. `seconds`: what building it has taken already."""
        figures = Figures(self.folder / f"{self._key(generator)}.json", self.fresh)
        metered = Counted(generator, figures)
        chat_model = metered.meter.chat_model
        with peak_memory(chat_model, figures):
            if figures.asked < len(self.questions):
                figures.keep(build_seconds=None if seconds is None else seconds + _built(generator))
            settings = {"mode": self.mode, "store": self.store, "fresh": self.fresh, "batch_size": self.batch_size}
            run = evaluate(metered, self.questions, **settings)
        return Rung(name, run, figures.prompt_tokens, figures.get("build_seconds"), figures.get("peak_memory"))

    def elsewhere(self, base, tuned, prompts: Sequence[Prompt], text: str) -> Elsewhere:
        """What tuning changed elsewhere, kept beside the figures of the rungs."""
        told = [base.describe(), tuned.describe() | {"adapter": None}, [asdict(prompt) for prompt in prompts], text]
        name = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
        kept = Figures(self.folder / f"elsewhere-{name}.json", self.fresh)
        if not kept.kept:
            kept.keep(**compare_elsewhere(base, tuned, prompts, text).figures.to_json())
        return Elsewhere(**kept.kept)

    def _key(self, generator) -> str:
        """The rung's name among the figures: what decides its texts."""
        said = [generator.describe(), self.questions.sha256, self.mode, self.batch_size]
        databases = {self.questions.database_path(question) for question in self.questions if question.database}
        said += [name for path in sorted(databases) for name in excluded_of(path)]
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _built(generator) -> float:
    """Seconds that its index, or its prompt's, took; 0 where there is none."""
    begun = time.perf_counter()
    build = getattr(generator, "build", None) or getattr(getattr(generator, "prompt", None), "build", None)
    if build:
        build()
    return time.perf_counter() - begun if build else 0.0
