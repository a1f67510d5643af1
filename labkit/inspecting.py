"""From diagnosed runs to the inspector's plain records, and from its buttons to the verbs: what the widgets must not
know (databases, files, the generator) is put together here.

The widgets in `labkit.widgets` draw; the verbs are `curation`'s and `datagen`'s.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sqlglot import exp

from labkit import curation
from labkit.agent import Agent
from labkit.canonical import canonical, sql_of
from labkit.clauses import CLAUSES, whole_clauses
from labkit.datagen import generate
from labkit.datagen.focus import BY_CLASS, intent_tags
from labkit.dataset import Question, QuestionSet, load_questions, save_questions
from labkit.diagnosis import Diagnosis, diagnose
from labkit.errors import LabkitError
from labkit.execution import ExecutionResult, Task, execute, execute_tasks
from labkit.marking import shown
from labkit.reference import has_order
from labkit.schema import Schema, read_schema
from labkit.scoring import score, stored_result
from labkit.slices import DiagnosedRun
from labkit.sqltext import normalise_question, parse
from labkit.widgets import FailureInspector, Playground

SIMILAR = 20  # pairs that one press of "generate" asks for
RIGHT = "right"  # instead of a class: by its gold of now the prediction is right
TRAINED, OWN = ("training.jsonl", "similar.jsonl"), ("added.jsonl", "playground.jsonl")  # to learn from; to measure by


def evaluation_files(evaluation: str | Path, folder: str | Path) -> list[Path]:
    """What no training pair may share a question or a query with, for `generate(avoid=)`: the set in the file
    `evaluation`, its questions that wait for a right gold, and the sets of one's own in `folder`, those that exist."""
    every = [Path(evaluation), curation.aside_path(evaluation), *(Path(folder) / name for name in OWN)]
    return [path for path in every if path.is_file()]


def _trained(folder: Path) -> list[QuestionSet]:
    """What the inspector made to be trained on."""
    return [load_questions(folder / name) for name in TRAINED if (folder / name).is_file()]


def records(diagnosed: DiagnosedRun, questions: QuestionSet, name: str = "") -> list[dict]:
    """A record for each failure of a run, as `FailureInspector` takes them: texts, lists and booleans only."""
    failures = diagnosed.failures()
    files = [questions.database_path(item.question) for item in failures]
    schemas = {file: read_schema(file) for file in set(files)}
    places = list(zip(failures, files, strict=True))
    golds = iter(execute_tasks([Task(file, item.question.sql) for item, file in places if item.question.sql]))
    found = execute_tasks([Task(file, item.result.prediction) for item, file in places])
    return [
        _record(
            item.question,
            item.result.prediction,
            item.diagnosis,
            schemas[file],
            _gold_result(item.question, golds),
            result,
            name or diagnosed.run.model,
        )
        for (item, file), result in zip(places, found, strict=True)
    ]


def _gold_result(question: Question, results: Iterator[ExecutionResult]) -> ExecutionResult:
    """The next of `results`, or the rows of a question that has no query."""
    return next(results) if question.sql else stored_result(question)


def _record(
    question: Question,
    prediction: str,
    diagnosis: Diagnosis,
    schema: Schema,
    gold: ExecutionResult,
    found: ExecutionResult,
    run: str,
) -> dict:
    right = diagnosis.failure_class == RIGHT  # then what differs does not count
    return {
        "key": f"{run}/{question.id}",
        "run": run,
        "id": question.id,
        "question": question.question,
        "class": diagnosis.failure_class,
        "tags": list(question.tags),
        "gold": question.sql,
        "prediction": prediction,
        "clauses": clause_diff(prediction, question.sql, schema),
        "gold_result": shown(gold, None if right else found, _ordered(question)),
        "prediction_result": shown(found, None if right else gold, _ordered(question)),
        "evidence": diagnosis.evidence,
        "hint": diagnosis.hint,
        "suggestion": diagnosis.suggestion,
        "state": "",
    }


def _ordered(question: Question) -> bool:
    """Whether the order of rows counts."""
    return has_order(question.sql) if question.order is None else question.order


def clause_diff(prediction: str, gold: str, schema: Schema) -> list[dict]:
    """Clause by clause {clause, gold, prediction, same}, as both are written; alike by meaning counts as the same.

    What cannot be read as one SELECT is set side by side whole.
    """
    left, right = parse(prediction), parse(gold)
    if not (isinstance(left, exp.Select) and isinstance(right, exp.Select)):
        return [{"clause": "query", "gold": gold, "prediction": prediction, "same": prediction == gold}]
    plain = canonical(prediction, schema), canonical(gold, schema)
    differ = {edit.clause for edit in whole_clauses(*plain)} if all(plain) else set(CLAUSES)
    found = []
    for clause, names in CLAUSES.items():
        texts = [_written(tree, names) for tree in (right, left)]
        if any(texts):
            same = texts[0].lower() == texts[1].lower() or clause not in differ
            found.append({"clause": clause, "gold": texts[0], "prediction": texts[1], "same": same})
    return found


def _written(tree: exp.Select, names: Iterable[str]) -> str:
    """A clause's pieces as text; DISTINCT, whose node says nothing, by its name."""
    if "distinct" in names:
        return "DISTINCT" if tree.args.get("distinct") else ""
    values = [value for name in names if (value := tree.args.get(name))]
    pieces = [piece for value in values for piece in (value if isinstance(value, list) else [value])]
    return (", " if "expressions" in names else " ").join(sql_of(piece).strip() for piece in pieces)


def inspector(
    runs: Mapping[str, DiagnosedRun], evaluation: str | Path, folder: str | Path, db_dir: str | Path | None = None
) -> FailureInspector:
    """An inspector of diagnosed runs by name, all on the set in the file `evaluation` (a copy of your own: promoting,
    correcting and marking change it). What it makes goes into `folder`: `similar.jsonl`, `training.jsonl`,
    `added.jsonl`.

    A question that has left the set is shown with its state: "aside" until its gold is corrected, or "retired".
    """
    questions = load_questions(evaluation, db_dir=db_dir)
    every = [record for name, run in runs.items() for record in records(run, questions, name)]
    gone = [item.question for run in runs.values() for item in run.failures()]
    tools = Bench(questions, Path(evaluation), Path(folder), every, gone)
    return FailureInspector(every, run=tools.run, actions=tools.actions())


class Bench:
    """What the inspector's buttons do, each a callable (record, question text, SQL text) -> sentence; `records` are
    those that the inspector shows, about `questions` and those of `gone`, which may have left the set."""

    def __init__(
        self,
        questions: QuestionSet,
        evaluation: Path,
        folder: Path,
        records: Sequence[dict] = (),
        gone: Sequence[Question] = (),
    ):
        self.questions, self.evaluation, self.folder, self.records = questions, evaluation, folder, records
        self.asked = {question.id: question for question in [*gone, *questions]}
        self.stand()

    def stand(self) -> None:
        """Give each record its question's state: "retired" once it is trained on, "aside" while it waits for a right
        gold, "" while it is in its set."""
        aside = curation.aside_path(self.evaluation)
        files = [("aside", aside), ("", self.evaluation)]
        states = {q.id: state for state, file in files if file.is_file() for q in load_questions(file)}
        for record in self.records:
            record["state"] = states.get(record["id"], "retired")

    def actions(self) -> dict[str, Callable[[dict, str, str], str]]:
        """The inspector's actions by name; the first is its default."""
        verbs = (self.similar, self.promote, self.add, self.correct, self.mark)
        return {verb.__name__: verb for verb in verbs}

    def run(self, record: dict, sql: str) -> dict:
        """The edited SQL's result beside the gold's, and its verdict."""
        question = self.asked[record["id"]]
        file = self.questions.database_path(question)
        gold = _gold_result(question, (execute(file, question.sql) for _ in (0,)))
        found = execute(file, sql)
        verdict = score(question, sql, file).verdict
        beside = None if verdict == "right" else gold  # then what differs does not count
        return {**shown(found, beside, _ordered(question)), "verdict": verdict}

    def similar(self, record: dict, question: str, sql: str) -> str:
        """Generate pairs like a failure's question and keep them; none that a known evaluation set shares."""
        path = self.folder / "similar.jsonl"
        before = list(load_questions(path)) if path.is_file() else []
        pairs = self.generated(record, seed=len(before))
        texts = {normalise_question(pair.question) for pair in before}
        new = [pair for pair in pairs if normalise_question(pair.question) not in texts]
        if not new:
            return "The generator gave nothing new for this failure."
        name = len({pair.id.rpartition("-")[0] for pair in before})
        named = [replace(pair, id=f"gen-{name + n:05d}-1") for n, pair in enumerate(new, 1)]
        save_questions(path, [*before, *named])
        return f"{len(new)} similar pairs are in {path.name} now, {len(before) + len(new)} in all."

    def generated(self, record: dict, seed: int) -> Sequence[Question]:
        """Pairs with the failure's class, tags, tables and columns as target."""
        question = self.asked[record["id"]]
        file = self.questions.database_path(question)
        avoid = evaluation_files(self.evaluation, self.folder)
        return generate(file, SIMILAR, seed, avoid, target=target_of(record), wordings=1, progress=False).pairs

    def promote(self, record: dict, question: str, sql: str) -> str:
        """To training, and out of all evaluation sets."""
        others = [self.folder / name for name in OWN]
        change = curation.promote(record["id"], self.evaluation, self.folder / "training.jsonl", others=others)
        self.stand()
        return str(change)

    def add(self, record: dict, question: str, sql: str) -> str:
        """The question and the SQL as they were edited, to an evaluation set of one's own."""
        old = self.asked[record["id"]]
        own = replace(old, id=f"from-{old.id}", question=question.strip(), sql=sql.strip(), rows=None, note="")
        found = execute(self.questions.database_path(old), own.sql)
        if found.error or not own.question:
            return f"Nothing was added: {found.error or 'there is no question'}."
        return str(curation.add(own, self.folder / "added.jsonl", _trained(self.folder)))

    def correct(self, record: dict, question: str, sql: str) -> str:
        """The edited SQL becomes the gold; each run's failure on the question is judged and diagnosed by it. A
        question that was marked is back in its set."""
        self.refuse_retired(record)
        file = self.questions.database_path(self.asked[record["id"]])
        change = curation.correct(record["id"], sql, self.evaluation, file)
        self.asked[record["id"]] = change.question  # what is run next is judged by it
        for shown_one in self.records:
            if shown_one["id"] == change.question.id:
                shown_one.update(self.judged_again(shown_one, change.question, file))
        self.stand()
        return str(change)

    def judged_again(self, record: dict, question: Question, file: Path) -> dict:
        """A record as it is with the question's gold of now."""
        prediction, schema = record["prediction"], read_schema(file)
        diagnosis = diagnose(question, prediction, score(question, prediction, file), schema)
        if not diagnosis.failure_class:
            diagnosis = replace(diagnosis, failure_class=RIGHT, evidence="By its new gold the prediction is right.")
        gold, found = execute(file, question.sql), execute(file, prediction)
        return _record(question, prediction, diagnosis, schema, gold, found, record["run"])

    def mark(self, record: dict, question: str, sql: str) -> str:
        """The gold is wrong: set aside."""
        self.refuse_retired(record)
        change = curation.mark(record["id"], self.evaluation)
        self.stand()
        return str(change)

    def refuse_retired(self, record: dict) -> None:
        """LabkitError for a question that measures nothing any more."""
        if record["state"] == "retired":
            raise LabkitError(f"{record['id']} was promoted to training: its gold measures nothing any more.")


def target_of(record: dict) -> list[str]:
    """What to generate for a failure, as names for `generate(target=)`: its class, its tags, the gold's tables."""
    tree = parse(record["gold"])
    tables = {table.name for table in tree.find_all(exp.Table)} if tree is not None else set()
    tables -= {cte.alias for cte in tree.find_all(exp.CTE)} if tree is not None else set()
    classes = [record["class"]] if record["class"] in BY_CLASS else []
    return list(dict.fromkeys([*classes, *intent_tags(record["tags"]), *sorted(tables)]))


def playground(
    agent: Agent,
    near: Sequence[Question],
    folder: str | Path,
    confidence: Callable[[str, str], list[tuple[str, float]]] | None = None,
) -> Playground:
    """A playground on an agent: answers that a person has judged are kept in `folder`, apart from what the inspector
    made there to be trained on; `near` are the questions that
    `nearest_questions` suggests; `confidence(question, SQL)` gives each token's probability, by default a local
    model's own.
    """
    database = Path(agent.database)
    tried: Counter = Counter()
    if confidence is None and hasattr(agent.generator.chat_model, "network"):
        confidence = _confidence(agent)

    def ask(text: str) -> dict:
        answer = agent.ask(text)
        tokens = confidence(text, answer.sql) if confidence and answer.sql else []
        return {"sql": answer.sql, "sentence": answer.sentence, "tokens": tokens, "result": shown(answer.result)}

    def keep(text: str, sql: str, right: bool, gold: str) -> str:
        for query in [sql] if right else [gold] if gold.strip() else []:
            if error := execute(database, query).error:
                return f"Nothing was kept: the query does not run ({error})."
        tried["kept"] += 1
        question = Question(f"ask-{tried['kept']}", text, sql, database.stem)
        try:
            return str(curation.keep_answer(folder, question, right, gold, _trained(Path(folder))))
        except LabkitError as error:
            return f"Nothing was kept: {error}"

    return Playground(ask, keep, suggest=lambda text, right, wrong: nearest_questions(text, near, right, wrong))


def _confidence(agent: Agent) -> Callable[[str, str], list[tuple[str, float]]]:
    from labkit.likelihood import token_probabilities  # torch, which a model on this machine has brought already

    def confidence(text: str, sql: str) -> list[tuple[str, float]]:
        (asked,) = agent.generator.conversations([Question("ask", text, sql, str(agent.database))])
        return token_probabilities(agent.generator.chat_model, asked, sql)

    return confidence


def nearest_questions(
    text: str, questions: Sequence[Question], right: Sequence[str] = (), wrong: Sequence[str] = (), k: int = 3
) -> list[str]:
    """The k questions to ask after `text`: first those near the boundary, like one that was answered `right` and one
    that was answered `wrong`, then those like the text itself. Alike is who shares words (Jaccard); what was judged
    and the text are not asked again.
    """
    known = {normalise_question(one) for one in (text, *right, *wrong)}
    words = {one: set(one.split()) for one in known | {normalise_question(q.question) for q in questions}}

    def alike(one: str, others: Sequence[str]) -> float:
        theirs = [words[normalise_question(other)] for other in others]
        return max((len(words[one] & w) / max(1, len(words[one] | w)) for w in theirs), default=0.0)

    def worth(question: Question) -> tuple[float, float]:
        one = normalise_question(question.question)
        return min(alike(one, right), alike(one, wrong)), alike(one, [text])

    others = [q for q in questions if normalise_question(q.question) not in known]
    return [q.question for q in sorted(others, key=worth, reverse=True)[:k] if any(worth(q))]
