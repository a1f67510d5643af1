"""The commands that measure and say what is wrong, which `cli` puts beside the others: score, evaluate, diagnose, lint,
and the run store.

Each parses, calls the Python API, prints; nothing is decided here.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

import labkit
from labkit.terminal import (
    DEFAULT_MODEL,
    Adapter,
    Aimed,
    BaseUrl,
    Candidates,
    Channel,
    Encoder,
    Exclude,
    FourBit,
    Json,
    Known,
    Mode,
    Model,
    Prompt,
    chat_model,
    check_ranking,
    databases_of,
    frame,
    glossary_of,
    print_json,
    private,
    ranked,
    table,
    vars_of,
)

app = typer.Typer()
runs_app = typer.Typer(invoke_without_command=True, help="The run store: list, show, compare, delete.")
app.add_typer(runs_app, name="runs")


@app.command()
def score(
    pairs: Path,
    db_dir: Annotated[Path | None, typer.Option("--db-dir", help="Where databases named in the file lie.")] = None,
    mode: Mode = "execution",
    diagnose: Annotated[
        bool, typer.Option("--diagnose/--no-diagnose", help="Say of each failure what class it is of; or be faster.")
    ] = True,
    exclude: Exclude = None,
    as_json: Json = False,
) -> int:
    """Score a JSONL file of pairs (id, question, gold, pred, database), each failure with its class and evidence."""
    from collections import Counter

    from labkit.diagnosis import Diagnosis, diagnose_many
    from labkit.pairs import load_pairs
    from labkit.scoring import score_many

    loaded = load_pairs(pairs, db_dir=db_dir)
    with private([pair.database for pair in loaded], exclude, pairs):
        scores = score_many(loaded, mode=mode)
        found = diagnose_many(loaded, scores) if diagnose else [Diagnosis("")] * len(loaded)
    records = [
        {
            "id": pair.question.id,
            "verdict": scored.verdict,
            "reason": scored.reason,
            "class": diagnosis.failure_class,
            "evidence": diagnosis.evidence or scored.detail,
        }
        for pair, scored, diagnosis in zip(loaded, scores, found, strict=True)
    ]
    if as_json:
        print_json(*records)
        return 0
    table(records[0].keys(), [record.values() for record in records], f"{pairs} ({mode})")
    verdicts = Counter(scored.verdict for scored in scores)
    print(f"{len(records)} pairs ({mode}): " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()))
    return 0


@app.command()
def evaluate(
    questions: Annotated[Path, typer.Option("--questions", "-q", help="The question set, a JSONL file.")],
    model: Model = DEFAULT_MODEL,
    adapter: Adapter = None,
    four_bit: FourBit = False,
    prompt: Prompt = None,
    base_url: BaseUrl = None,
    mode: Mode = "execution",
    candidates: Candidates = None,
    known: Known = None,
    encoder: Encoder = None,
    channel: Channel = None,
    aimed: Aimed = False,
    exclude: Exclude = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew instead of continuing an unfinished run.")] = False,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Questions at a time; fewer: less memory. Default: 100.")
    ] = None,
    db_dir: Annotated[
        Path | None, typer.Option("--db-dir", help="Where the databases lie, if not beside the set.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Evaluate a model on a question set: accuracy with its interval, then accuracy and failures by class. Facts (a set
    with answers and no queries) take --mode text; questions with rows and no query are scored by their rows."""
    check_ranking(candidates or known, encoder, aimed, channel)
    loaded = labkit.load_questions(questions, db_dir=db_dir)
    kind = labkit.ReplyGenerator if mode == "text" else labkit.SqlGenerator
    if candidates or known:
        from labkit.dataset import overlap

        local = chat_model(model, adapter, base_url, four_bit)
        where, words = db_dir or questions.parent, glossary_of(questions)
        generator = ranked(local, candidates, known, encoder, where, prompt, aimed, channel, words)
        shared = {item.text for item in overlap(generator.pairs, loaded) if item.kind == "query"}
        if shared:
            print(f"The pool holds {len(shared)} of the set's queries: what is asked is known.", file=sys.stderr)
    else:
        generator = kind(chat_model(model, adapter, base_url, four_bit), prompt)
    size = {} if batch_size is None else {"batch_size": batch_size}
    with private(databases_of(loaded), exclude, questions):
        run = labkit.evaluate(generator, loaded, mode=mode, fresh=fresh, **size)
        diagnosed = None if as_json or mode == "text" else labkit.diagnose_run(run, loaded)
    if as_json:
        keys = ("mode", "n", "correct", "accuracy", "low", "high", "valid", "seconds")
        print_json({"run": run.id} | {key: getattr(run, key) for key in keys})
        return 0
    if mode == "text":
        _show_missed(run, loaded)
        print(f"run {run.id}: {run}; {run.seconds:.0f} s")
        return 0
    frame(diagnosed.slices("class"), "By class")
    frame(diagnosed.slices("tag"), "By tag")
    print(f"run {run.id}: {run}; valid SQL {run.valid} of {run.n}; {run.seconds:.0f} s")
    print(f"Next: labkit diagnose {run.id}")
    return 0


def _show_missed(run, questions) -> None:
    """The first facts that were not recalled, reply and answer side by side."""
    answers = {question.id: question.answer for question in questions}
    missed = [(r.question_id, r.prediction, answers[r.question_id]) for r in run.results if r.verdict != "right"]
    if missed:
        table(("fact", "reply", "answer"), missed[:20], "Not recalled")
    if len(missed) > 20:
        print(f"... and {len(missed) - 20} more: labkit runs show {run.id}")


@app.command()
def diagnose(
    run: Annotated[str, typer.Argument(help="The run's id, or its beginning.")],
    questions: Annotated[Path | None, typer.Option("--questions", "-q", help="The set, if it has moved.")] = None,
    by: Annotated[str, typer.Option(help="class, tag or clause.")] = "class",
    exclude: Exclude = None,
    as_json: Json = False,
) -> int:
    """What went wrong in a run: each failure's class, evidence and hint, and how often."""
    stored = labkit.RunStore().get(run)
    path = questions or stored.set_path
    loaded = labkit.load_questions(path, db_dir=stored.db_dir)
    with private(databases_of(loaded), exclude, path):
        diagnosed = labkit.diagnose_run(stored, loaded)
    if as_json:
        for record in diagnosed.to_frame().to_dict("records"):
            print_json(record)
        return 0
    frame(diagnosed.to_frame(), f"run {stored.id}")
    frame(diagnosed.slices(by), f"By {by}")
    print(stored)
    return 0


@app.command()
def lint(
    questions: Path,
    avoid: Annotated[
        list[Path] | None, typer.Option("--against", help="Sets that must not overlap; repeatable.")
    ] = None,
    db_dir: Annotated[
        Path | None, typer.Option("--db-dir", help="Where the databases lie, if not beside the set.")
    ] = None,
    exclude: Exclude = None,
    as_json: Json = False,
) -> int:
    """Find what is wrong with a gold set. Exit 1 when something is found."""
    loaded = labkit.load_questions(questions, db_dir=db_dir)
    with private(databases_of(loaded), exclude, questions):
        findings = labkit.lint(loaded, [labkit.load_questions(path, db_dir=db_dir) for path in avoid or []])
    for finding in findings:
        if as_json:
            keys = ("question_id", "rule", "detail", "file", "line")
            print_json({key: str(v) if isinstance(v := getattr(finding, key), Path) else v for key in keys})
        else:
            print(finding)
    if not as_json:
        bare = sum(question.rows_only for question in loaded)
        left = f" {bare} have rows and no query: only repetitions were looked for." if bare else ""
        print(f"{len(loaded)} questions, {len(findings)} findings.{left}")
    return 1 if findings else 0


@runs_app.callback()
def runs(context: typer.Context, as_json: Json = False) -> None:
    """The runs, newest first, where no command is given."""
    if not context.invoked_subcommand:
        runs_list(as_json)


@runs_app.command("list")
def runs_list(as_json: Json = False) -> None:
    """The runs, newest first; of models and adapters that are folders, their names."""
    stored = labkit.RunStore().list()
    if as_json:
        print_json([run.to_json() for run in stored])
    elif stored:
        models = [Path(run.model).name + " (4 bits)" * run.four_bit for run in stored]
        about = [(run.set, model, Path(run.adapter or "").name) for run, model in zip(stored, models, strict=True)]
        rows = [(run.id, run.started[:16], *of, str(run)) for run, of in zip(stored, about, strict=True)]
        table(("run", "started", "set", "model", "adapter", "accuracy"), rows)
    else:
        print("No runs yet. Start one: labkit evaluate --questions datasets/league/start.jsonl")


@runs_app.command("show")
def runs_show(run: str, as_json: Json = False) -> int:
    """One run with every prediction and verdict."""
    stored = labkit.RunStore().get(run)
    if as_json:
        print_json(stored.to_json() | {"results": [vars_of(result) for result in stored.results]})
    else:
        frame(stored.to_frame(), f"run {stored.id}")
        print(stored)
    return 0


@runs_app.command("compare")
def runs_compare(run_a: str, run_b: str, as_json: Json = False) -> int:
    """What the second run fixed and broke, with McNemar's test."""
    store = labkit.RunStore()
    comparison = labkit.compare(store.get(run_a), store.get(run_b))
    if as_json:
        print_json(vars_of(comparison))
    else:
        print(comparison)
    return 0


@runs_app.command("delete")
def runs_delete(run: str) -> int:
    """Remove a run from the store."""
    store = labkit.RunStore()
    stored = store.get(run)
    store.delete(stored.id)
    print(f"Deleted run {stored.id} ({stored.set}, {stored}).")
    return 0
