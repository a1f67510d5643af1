"""The next-token bars: the same numbers as labkit's sampling, sliders that move them, a still table everywhere else.
The inspector and the playground: what their buttons do, in Python and, with a small stand-in for a browser, in node.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from labkit import curation, inspecting, sampling
from labkit.dataset import Question, load_questions
from labkit.diagnosis import diagnose_run
from labkit.errors import LabkitError
from labkit.evaluation import evaluate
from labkit.execution import ExecutionResult
from labkit.schema import read_schema
from labkit.widgets import FailureInspector, Playground, TokenBars, distributions
from labkit.widgets.distributions import visible

TOKENS = ["salary", " pay", "<b>", "wage\n", ""]
LOGITS = [2.0, 1.0, 0.5, 0.25, -1.0]


@pytest.fixture
def bars():
    return TokenBars(TOKENS, LOGITS)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7])
@pytest.mark.parametrize("top_k", [0, 1, 3, 40, 500])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 1.0])
def test_the_filters_are_those_of_labkits_sampling(temperature, top_k, top_p):
    logits = np.random.default_rng(top_k).normal(size=200) * 3
    ours = TokenBars([str(i) for i in range(200)], logits).probabilities(temperature, top_k, top_p)
    theirs = sampling.probabilities(torch.tensor(logits), temperature, top_k, top_p).double().numpy()
    assert np.allclose(ours, theirs, atol=1e-6) and np.isclose(ours.sum(), 1)
    assert np.count_nonzero(ours) == np.count_nonzero(theirs)


def test_temperature_0_is_greedy(bars):
    assert bars.probabilities(temperature=0).tolist() == [1, 0, 0, 0, 0]


def test_log_probabilities_serve_as_logits():
    logits = np.array(LOGITS)
    logs = np.log(distributions.temperature(logits, 1.0))
    for settings in ({}, {"temperature": 0.4}, {"temperature": 2.0, "top_k": 3}, {"top_p": 0.7}):
        assert np.allclose(
            TokenBars(TOKENS, logs).probabilities(**settings), TokenBars(TOKENS, logits).probabilities(**settings)
        )


def test_moving_a_slider_moves_the_bars(bars):
    box = bars.widget()
    heat, keep_k, keep_p, view = box.children
    seen = [view.value]
    for slider, value in ((heat, 0.2), (keep_k, 2), (keep_p, 0.3), (heat, 2.0)):
        slider.value = value
        seen.append(view.value)
    assert len(set(seen[:4])) == 4
    assert seen[3].count(" 0.0 %") == 4 and "100.0 %" in seen[3]


def test_every_slider_has_a_label_and_stays_in_its_range(bars):
    heat, keep_k, keep_p, _ = bars.widget().children
    assert [slider.description for slider in (heat, keep_k, keep_p)] == ["temperature", "top-k (0: all)", "top-p"]
    for slider, low, high in ((heat, 0.05, 2), (keep_k, 0, 50), (keep_p, 0.05, 1)):
        assert (slider.min, slider.max) == (low, high)
        for value in (low, high):
            slider.value = value  # draws without an error


def test_a_learners_filters_are_used():
    def only_last(probabilities, k):
        return np.eye(len(probabilities))[-1]

    bars = TokenBars(TOKENS, LOGITS, (distributions.temperature, only_last, distributions.top_p))
    assert bars.probabilities(top_k=1).tolist() == [0, 0, 0, 0, 1]
    lists = TokenBars(TOKENS, LOGITS, (lambda x, t: [0.2] * 5, distributions.top_k, distributions.top_p))
    assert lists.probabilities().tolist() == [0.2] * 5


def test_rows_show_the_likeliest_and_the_rest():
    bars = TokenBars([f"t{i}" for i in range(100)], np.zeros(100), bars=10)
    rows = bars.rows()
    assert len(rows) == 11 and rows[-1][0] == "90 others" and np.isclose(rows[-1][1], 0.9)
    assert np.isclose(sum(value for _, value in rows), 1)
    assert np.isclose(bars.rows(top_k=5)[-1][1], 0)


def test_the_still_forms_need_no_widget(bars):
    bundle = bars._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == bars.text() == repr(bars)
    assert bundle["text/html"].startswith("<table>") and "style" not in bundle["text/html"]
    assert re.search(r"salary\s+55\.1 %\s+█", bars.text())


def test_tokens_are_escaped_and_visible(bars):
    for shown in (bars.table(), bars._bars()):
        assert "&lt;b&gt;" in shown and "<b>" not in shown
    assert "␣pay" in bars.text() and "wage↵" in bars.text() and "(empty)" in bars.text()
    assert visible("\x00\u200b") == "\\x00\\u200b" and visible("é") == "é"


@pytest.mark.parametrize("tokens, logits", [([], []), (["a"], []), (["a"], [1.0, 2.0])])
def test_tokens_and_logits_must_fit(tokens, logits):
    with pytest.raises(ValueError, match="tokens but"):
        TokenBars(tokens, logits)


def test_a_whole_vocabulary_is_drawn_fast():
    logits = np.random.default_rng(0).normal(size=50_000)
    box = TokenBars([str(i) for i in range(50_000)], logits).widget()
    box.children[2].value = 0.5
    assert "others" in box.children[3].value


def test_widgets_import_without_torch():
    code = "import sys, labkit.widgets; assert not {'torch', 'apsw', 'transformers'} & set(sys.modules), 'heavy'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_course_imports_without_torch():
    code = "import sys, labkit.course; assert not {'torch', 'transformers'} & set(sys.modules), 'heavy'"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- the failing-query inspector


ANSWERS = {
    "start-01": "SELECT COUNT(*) FROM games",
    "start-02": "SELECT wage FROM players",
    "start-03": "",
}


@pytest.fixture
def evaluation(root, tmp_path):
    """Five questions of the league in a file of their own."""
    questions = load_questions(root / "datasets" / "league" / "start.jsonl")
    return curation.working_copy(questions[:5], tmp_path / "eval.jsonl")


@pytest.fixture
def live(evaluation, tmp_path):
    """An inspector of a run on them: three answers wrong, two right."""
    answers = dict(zip([q.id for q in evaluation], ANSWERS.values(), strict=False))

    def generator(questions):
        return [answers.get(question.id, question.sql) for question in questions]

    diagnosed = diagnose_run(evaluate(generator, evaluation, progress=False), evaluation)
    return inspecting.inspector({"mine": diagnosed}, evaluation.path, tmp_path / "out", evaluation.db_dir)


def record(**changes) -> dict:
    empty = {"columns": [], "rows": [], "differs": [], "more": 0, "error": ""}
    plain = dict.fromkeys(("question", "gold", "prediction", "evidence", "hint", "suggestion"), "")
    named = {"key": "a/1", "run": "a", "id": "1", "class": "x", "tags": [], "clauses": []}
    return {**plain, **named, "gold_result": empty, "prediction_result": empty, **changes}


def many(n: int) -> list[dict]:
    classes, tags = ("invalid_column", "malformed_filter", "malformed_join"), ("easy", "hard", "null")
    made = {"question": "How many teams?", "prediction": "SELECT 1"}
    return [
        record(key=f"a/{i}", id=f"q{i}", run="ab"[i % 2], **{"class": classes[i % 3]}, tags=[tags[i % 3]], **made)
        for i in range(n)
    ]


def test_records_are_plain_and_complete(live):
    assert [r["run"] for r in live.records] == ["mine"] * 3 and json.loads(json.dumps(live.records)) == live.records
    counted, invented, empty = live.records
    assert invented["class"] == "invalid_column" and "no such column" in invented["prediction_result"]["error"]
    assert all(r["evidence"] and r["hint"] for r in live.records)
    assert counted["prediction_result"]["rows"] and counted["gold_result"]["differs"]
    assert empty["clauses"][0]["clause"] == "query" and not empty["clauses"][0]["same"]


def test_clauses_are_compared_by_meaning(league):
    gold = "SELECT t.city FROM teams AS t WHERE t.titles > 4 AND t.conference = 'North' ORDER BY t.city LIMIT 3"
    pred = "SELECT city FROM teams WHERE conference = 'North' AND titles > 5 ORDER BY city DESC"
    found = {c["clause"]: c for c in inspecting.clause_diff(pred, gold, read_schema(league))}
    same = {name: c["same"] for name, c in found.items()}
    assert same == {"FROM": True, "WHERE": False, "SELECT": True, "ORDER BY": False, "LIMIT": False}
    assert (found["LIMIT"]["gold"], found["LIMIT"]["prediction"]) == ("LIMIT 3", "")
    assert "titles > 5" in found["WHERE"]["prediction"]
    distinct = inspecting.clause_diff("SELECT city FROM teams", "SELECT DISTINCT city FROM teams", read_schema(league))
    assert [c["gold"] for c in distinct if not c["same"]] == ["DISTINCT"]


def rows(*values) -> ExecutionResult:
    return ExecutionResult(("a", "b"), values, None, None, False, 0.0)


def test_differing_cells_are_marked():
    marks = inspecting.shown(rows((1, "x"), (2, "y")), rows((1, "x"), (2, "z")))["differs"]
    assert marks == [[False, False], [False, True]]
    assert inspecting.shown(rows((2, "y"), (1, "x")), rows((1, "x"), (2, "y")))["differs"] == [[False, False]] * 2
    assert inspecting.shown(rows((1, "x"), (1, "x")), rows((1, "x")))["differs"] == [[False, False], [True, True]]
    assert inspecting.shown(rows((1, "x")))["differs"] == [[False, False]]
    long = inspecting.shown(rows(*((i, None) for i in range(50))))
    assert len(long["rows"]) == 10 and long["more"] == 40 and long["rows"][0] == ["0", "NULL"]


def test_a_filter_takes_run_class_tag_and_words():
    inspector = FailureInspector(many(12))
    assert len(inspector.filtered()) == 12 and len(inspector.filtered(run="a")) == 6
    assert {r["class"] for r in inspector.filtered(failure_class="malformed_join")} == {"malformed_join"}
    assert [r["id"] for r in inspector.filtered(run="b", tag="easy", text="TEAMS how")] == ["q3", "q9"]
    assert inspector.filtered(text="q11")[0]["id"] == "q11" and inspector.filtered(text="coach") == []


def test_edited_sql_is_run_and_judged(live):
    wrong = live.records[0]
    ran = live.answer({"kind": "run", "key": wrong["key"], "sql": wrong["gold"]})["result"]
    assert ran["verdict"] == "right" and ran["rows"] == wrong["gold_result"]["rows"]
    refused = live.run_sql(wrong["key"], "DELETE FROM teams")
    assert refused["verdict"] == "wrong" and refused["error"]


def test_the_actions_do_what_they_say(live, evaluation, tmp_path):
    first, second, third = live.records
    assert list(live.actions) == ["similar", "promote", "add", "correct", "mark"]
    assert "similar pairs" in live.act("similar", first["key"])
    similar = load_questions(tmp_path / "out" / "similar.jsonl")
    assert similar and all(q.id.startswith("gen-") for q in similar)
    known = {q.sql for q in evaluation} | {q.question for q in evaluation}
    assert not known & {text for q in similar for text in (q.sql, q.question)}
    live.act("promote", first["key"])
    assert first["id"] not in [q.id for q in load_questions(evaluation.path)]
    live.act("correct", second["key"], sql="SELECT 24")
    assert next(q for q in load_questions(evaluation.path) if q.id == second["id"]).sql == "SELECT 24"
    assert live.run_sql(second["key"], "SELECT 24")["verdict"] == "right"
    live.act("add", third["key"], "How many teams have a coach?", "SELECT COUNT(*) FROM teams WHERE coach <> '--'")
    live.act("add", third["key"], "How many teams have a coach?", "SELECT COUNT(*) FROM teams WHERE coach <> '--'")
    assert len(load_questions(tmp_path / "out" / "added.jsonl")) == 1
    assert "Nothing was added" in live.act("add", third["key"], "Any?", "SELECT nothing FROM nowhere")
    live.act("mark", third["key"])
    assert len(load_questions(evaluation.path)) == 3 and curation.version(evaluation.path) == 4


def test_similar_pairs_pile_up_and_none_comes_twice(live, tmp_path):
    for _ in range(3):
        live.act("similar", live.records[0]["key"])
    texts = [q.question.lower() for q in load_questions(tmp_path / "out" / "similar.jsonl")]
    assert len(texts) > inspecting.SIMILAR and len(set(texts)) == len(texts)


def test_the_target_is_the_failures_own():
    made = record(**{"class": "malformed_join"}, tags=["hard", "null"], gold="SELECT 1 FROM players p JOIN teams t")
    assert inspecting.target_of(made) == ["malformed_join", "null", "players", "teams"]


def test_what_goes_wrong_in_an_action_is_told(live):
    from labkit.widgets.live import answered

    message = {"kind": "act", "action": "correct", "key": live.records[0]["key"], "question": "", "sql": "SELECT no"}
    assert "is no answer" in answered(live.answer, message)["error"]
    assert answered(live.answer, {"kind": "run", "key": "no", "sql": ""})["error"].startswith("KeyError")
    with pytest.raises(LabkitError):
        live.answer(message)


def test_records_and_actions_are_checked():
    with pytest.raises(ValueError, match="one key"):
        FailureInspector([record(), record()])
    with pytest.raises(ValueError, match="no such action: burn"):
        FailureInspector([], actions={"burn": print})
    with pytest.raises(ValueError, match="no 'evidence'"):
        FailureInspector([{k: v for k, v in record().items() if k != "evidence"}])
    with pytest.raises(ValueError, match="nothing was given"):
        FailureInspector([record()]).run_sql("a/1", "SELECT 1")


def test_the_still_inspector_needs_no_widget_and_escapes(monkeypatch):
    inspector = FailureInspector([record(key="b/1", question="<b>?", evidence="<script>"), *many(40)[1:]])
    bundle = inspector._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "&lt;b&gt;" in bundle["text/html"] and "<script>" not in bundle["text/html"]
    assert "style" not in bundle["text/html"] and "and 20 more" in bundle["text/html"]
    assert bundle["text/plain"] == repr(inspector) and "40 failures" in repr(inspector)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    assert inspector._repr_mimebundle_().keys() == {"text/plain", "text/html"}


def test_a_message_from_the_browser_gets_its_answer():
    inspector = FailureInspector([record()], run=lambda r, sql: {"ran": sql})
    widget, sent = inspector.widget(), []
    widget.send = lambda content, buffers=None: sent.append(content)
    widget._handle_custom_msg({"id": 7, "kind": "run", "key": "a/1", "sql": "SELECT 1"}, [])
    assert sent == [{"id": 7, "result": {"ran": "SELECT 1"}}] and json.loads(widget.state)["records"]


# --- the playground


def answer_of(question: str) -> dict:
    result = {"columns": ["n"], "rows": [["24"]], "differs": [[False]], "more": 0, "error": ""}
    tokens = [("SELECT", 0.9), (" 24", 0.2)]
    return {"sql": "SELECT 24", "sentence": f"The answer to {question} is 24.", "tokens": tokens, "result": result}


def test_the_playground_remembers_and_finds_the_boundary():
    kept = []
    play = Playground(answer_of, lambda *given: kept.append(given) or "kept", lambda question: ["nearer?"])
    assert play.ask("a?")["unsure"] == [" 24"] and play.ask("b?")["suggestions"] == ["nearer?"]
    assert play.keep(False, "SELECT 1") == "kept" and play.keep(True, place=0) == "kept"
    assert play.boundary() == (["a?"], ["b?"])
    assert kept == [("b?", "SELECT 24", False, "SELECT 1"), ("a?", "SELECT 24", True, "")]
    assert "24 20 %" in play.table() and "wrong" in play.text() and "<table>" in play._repr_mimebundle_()["text/html"]
    with pytest.raises(ValueError, match="nothing was asked"):
        Playground(answer_of, print).keep(True)


def test_a_playground_on_an_agent_keeps_what_runs(league, tmp_path, root):
    class Model:
        name, prompt = "stub", None

        def chat(self, conversations, **settings):
            return ["SELECT COUNT(*) FROM teams" for _ in conversations]

        def describe(self):
            return {"model": "stub"}

    from labkit.agent import Agent

    dev = load_questions(root / "datasets" / "league" / "dev.jsonl")
    play = inspecting.playground(Agent(Model(), league), dev, tmp_path, lambda question, sql: [("SELECT", 1.0)])
    answer = play.ask("How many teams are in the South?")
    assert answer["sql"] == "SELECT COUNT(*) FROM teams" and answer["result"]["rows"] == [["24"]]
    assert len(answer["suggestions"]) == 3 and set(answer["suggestions"]) <= {q.question for q in dev}
    assert "Nothing was kept" in play.keep(False, "SELECT nothing FROM nowhere")
    play.keep(False, "SELECT COUNT(*) FROM teams WHERE conference = 'South'")
    (kept,) = load_questions(tmp_path / "playground.jsonl")
    assert "South" in kept.sql and kept.database == "league"


def test_near_questions_share_words():
    pool = [Question(str(i), text, "SELECT 1", "x") for i, text in enumerate(("How many teams?", "Who won?", "teams"))]
    assert inspecting.nearest_questions("how many teams are there", pool) == ["How many teams?", "teams"]
    assert inspecting.nearest_questions("How many TEAMS", pool) == ["teams"]


# --- in node, with a stand-in for the document

HERE = Path(__file__).parent
WIDGETS = Path(distributions.__file__).parent
with_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


def in_node(tmp_path, widget: str, script: str) -> dict:
    """What the script prints as JSON; it sees the widget's module as `widget`, and `el`, `Model`."""
    shutil.copyfile(WIDGETS / f"{widget}.js", tmp_path / "widget.mjs")
    shutil.copyfile(HERE / "fake_dom.mjs", tmp_path / "fake_dom.mjs")
    head = "import { Element, Model } from './fake_dom.mjs';\nimport * as widget from './widget.mjs';\n"
    head += "const el = new Element('div'); const out = {};\n"
    (tmp_path / "run.mjs").write_text(head + script + "\nconsole.log(JSON.stringify(out));")
    run = subprocess.run(["node", "run.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@with_node
def test_the_browser_filters_as_python_does_and_fast(tmp_path):
    records = many(1000)
    filters = [
        {},
        {"run": "a"},
        {"failure_class": "malformed_join", "tag": "null"},
        {"text": "TEAMS q11"},
        {"run": "b", "tag": "easy", "text": " select  1 "},
    ]
    (tmp_path / "in.json").write_text(json.dumps([records, filters]))
    script = """
import { readFileSync } from 'node:fs';
const [records, filters] = JSON.parse(readFileSync('in.json'));
const state = { records, runs: true, actions: [] };
out.left = filters.map((f) => widget.filtered(records, { ...f, cls: f.failure_class }).map((r) => r.id));
widget.default.render({ model: new Model(state, () => ({})), el });
const run = el.labelled('run'); const began = performance.now();
run.value = 'a'; run.onchange(); out.ms = performance.now() - began;
out.shown = el.labelled('failures').children.length;
"""
    out = in_node(tmp_path, "inspector", script)
    inspector = FailureInspector(records)
    assert out["left"] == [[r["id"] for r in inspector.filtered(**f)] for f in filters]
    assert out["shown"] == 500 and out["ms"] < 200


@with_node
def test_the_inspectors_buttons_send_once_and_show_the_answer(tmp_path):
    result = {"columns": ["n"], "rows": [["<b>"]], "differs": [[True]], "more": 3, "error": "", "verdict": "wrong"}
    clauses = [{"clause": "WHERE", "gold": "a", "prediction": "b", "same": False}]
    made = [record(gold_result=result, clauses=clauses), record(key="a/2", id="2")]
    script = (
        f"const made = {json.dumps(made)}; const ran = {json.dumps(result)};"
        + """
const actions = [{ name: 'similar', label: 'Generate' }, { name: 'promote', label: 'Promote' }];
const model = new Model({ records: made, runs: true, actions },
  (m) => (m.kind === 'run' ? { result: ran } : m.key === 'a/2' ? { error: 'No.' } : { done: 'Done.' }));
const stop = widget.default.render({ model, el });
out.text = el.textContent;
el.labelled('SQL, editable').value = 'SELECT 5';
el.button('Run').click();
out.ran = el.textContent.includes('Judged wrong.');
for (let i = 0; i < 3; i++) el.button('Promote').click();
out.sent = [...model.sent]; out.off = el.button('Promote').disabled;
out.done = el.textContent.includes('✓ Done.');
const list = el.labelled('failures'); list.value = 'a/2'; list.onchange();
el.button('Promote').click(); out.error = el.textContent.includes('✗ No.'); out.on = !el.button('Promote').disabled;
const controls = [...el.all()].filter((n) => ['select', 'input', 'textarea', 'button'].includes(n.tag));
out.unlabelled = controls.filter((n) => !n.attributes['aria-label'] && !n.textContent.trim()).length;
const words = el.labelled('words'); words.value = 'nowhere'; words.oninput();
out.none = el.textContent.includes('No failure is left') && el.button('Run').disabled;
stop(); out.listeners = model.listeners.length;
"""
    )
    out = in_node(tmp_path, "inspector", script)
    assert "≠ <b>" in out["text"] and "≠ differs" in out["text"] and "and 3 more rows" in out["text"]
    assert [m["kind"] for m in out["sent"]] == ["run", "act"] and out["sent"][0]["sql"] == "SELECT 5"
    assert out["ran"] and out["done"] and out["off"] and out["error"] and out["on"] and out["none"]
    assert out["unlabelled"] == 0 and out["listeners"] == 0


@with_node
def test_the_playground_asks_judges_and_suggests(tmp_path):
    answer = {**answer_of("a?"), "question": "a?", "suggestions": ["b?"], "said": ""}
    script = (
        f"const answer = {json.dumps(answer)};"
        + """
const model = new Model({ unsure: 0.5 }, (m) => (m.kind === 'ask' ? { answer, place: 4 } : { done: 'Kept.' }));
widget.default.render({ model, el });
el.button('Ask').click(); out.empty = model.sent.length;
out.before = el.button('is right').disabled;
el.labelled('your question').value = 'a?'; el.button('Ask').click();
out.text = el.textContent;
el.labelled('the right SQL, if the answer is wrong').value = 'SELECT 1';
el.button('is wrong').click(); el.button('is wrong').click();
el.button('b?').click();
out.sent = model.sent;
const controls = [...el.all()].filter((n) => ['select', 'input', 'textarea', 'button'].includes(n.tag));
out.unlabelled = controls.filter((n) => !n.attributes['aria-label'] && !n.textContent.trim()).length;
"""
    )
    out = in_node(tmp_path, "playground", script)
    assert out["empty"] == 0 and out["before"] and out["unlabelled"] == 0
    assert "?  24" in out["text"] and "20 %" in out["text"] and "90 %" in out["text"]
    assert [(m["kind"], m.get("gold"), m.get("place")) for m in out["sent"]] == [
        ("ask", None, None),
        ("keep", "SELECT 1", 4),
        ("ask", None, None),
    ]
    assert out["sent"][2]["question"] == "b?"


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])
@pytest.mark.parametrize("name", ["--lk-mark", "--lk-warn"])
def test_marks_stand_out_on_light_and_dark(ground, name):
    colour = re.search(rf"{name}: (#[0-9a-f]{{6}})", (WIDGETS / "widgets.css").read_text())[1]
    low, high = sorted((luminance(colour), luminance(ground)))
    assert (high + 0.05) / (low + 0.05) >= 3  # WCAG 2.2, 1.4.11: borders and outlines
