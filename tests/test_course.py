"""Checks reject wrong answers and mutants, survive whatever a learner writes, and keep progress."""

import ast
import copy
import importlib
import json
import math
import re
import runpy
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import sqlglot
from sqlglot import exp

import labkit
from labkit import course
from labkit.course import checks, lab00, lab01, places, steps
from labkit.dataset import Question, QuestionSet, load_questions
from labkit.errors import LabkitError
from labkit.evaluation import evaluate

HERE = Path(__file__).parent
LABS = sorted(path.stem for path in Path(course.__file__).parent.glob("lab*.py"))
NAMES = [f"{lab}.{name}" for lab in LABS for name in importlib.import_module(f"labkit.course.{lab}").EXERCISES]
NOTEBOOK_NAMES = {"np": np, "Counter": Counter, "sqlglot": sqlglot, "exp": exp}


def state(name, function):
    return course.check(name, function).state


# --- each exercise: solutions pass, wrong answers and mutants do not


@pytest.mark.parametrize("name", NAMES)
def test_the_kits_own_answer_passes(name):
    verdict = course.check(name, checks.exercise(name).ours)
    assert verdict.state == "passed" and bool(verdict), verdict


@pytest.mark.parametrize("name", NAMES)
def test_the_notebooks_solution_passes(name, solutions):
    assert state(name, compiled(solutions[name])) == "passed"


def _first_row_dropped(gold, pred):
    return Counter(gold[1:]) == Counter(pred[1:])


TEMPERATURE = {
    "no temperature": lambda x, t: np.exp(x - x.max()) / np.exp(x - x.max()).sum(),
    "multiplied": lambda x, t: lab00.distributions.temperature(x, 1 / t),
    "overflows": lambda x, t: np.exp(x / t) / np.exp(x / t).sum(),
    "clipped": lambda x, t: np.exp(np.clip(x / t, -50, 50)) / np.exp(np.clip(x / t, -50, 50)).sum(),
    "not scaled": lambda x, t: np.exp((x - x.max()) / t),
    "temperature after softmax": lambda x, t: lab00.distributions.temperature(x, 1.0) / t,
    "scaled by the largest": lambda x, t: (w := np.exp((x - x.max()) / t)) / w.max(),
    "base 2": lambda x, t: (w := np.exp2((x - x.max()) / t)) / w.sum(),
    "logits": lambda x, t: x / t,
    "greedy": lambda x, t: (x == x.max()).astype(float),
    "even": lambda x, t: np.full(len(x), 1 / len(x)),
    "wrong length": lambda x, t: np.array([1.0]),
    "text": lambda x, t: "0.5",
    "none": lambda x, t: None,
}
TOP_K = {
    "not scaled": lambda p, k: np.where(p >= np.sort(p)[::-1][:k][-1], p, 0),
    "smallest": lambda p, k: lab00.distributions.top_k(1 - p, k),
    "sorted": lambda p, k: np.sort(lab00.distributions.top_k(p, k))[::-1],
    "one too many": lambda p, k: lab00.distributions.top_k(p, k + 1),
    "one too few": lambda p, k: lab00.distributions.top_k(p, max(1, k - 1)),
    "only the kept": lambda p, k: np.sort(p)[::-1][:k] / np.sort(p)[::-1][:k].sum(),
    "the first k": lambda p, k: np.where(np.arange(len(p)) < k, p, 0) / p[:k].sum(),
    "places": lambda p, k: np.argsort(-p)[:k],
    "unchanged": lambda p, k: p,
    "softmax again": lambda p, k: (w := np.exp(lab00.distributions.top_k(p, k))) / w.sum(),
    "fails beyond the end": lambda p, k: lab00.distributions.top_k(p, k) if k <= len(p) else p[k],
    "always 2": lambda p, k: lab00.distributions.top_k(p, 2),
    "nothing": lambda p, k: np.zeros_like(p),
}
TOP_P = {
    "over the boundary": lambda p, q: _nucleus(p, q, lambda before: before <= q),
    "stops before": lambda p, q: _nucleus(p, q, lambda before: before < q - 0.2),
    "threshold": lambda p, q: np.where(p >= q, p, 0) / max(np.where(p >= q, p, 0).sum(), 1e-9),
    "not scaled": lambda p, q: lab00.distributions.top_p(p, q) * q,
    "in order of place": lambda p, q: np.where(np.cumsum(p) - p < q, p, 0) / np.where(np.cumsum(p) - p < q, p, 0).sum(),
    "sorted": lambda p, q: np.sort(lab00.distributions.top_p(p, q))[::-1],
    "one more": lambda p, q: lab00.distributions.top_p(p, min(1, q + 0.25)),
    "unchanged": lambda p, q: p,
    "greedy": lambda p, q: lab00.distributions.top_k(p, 1),
    "complement": lambda p, q: lab00.distributions.top_p(p, 1 - q / 2),
    "inclusive sum": lambda p, q: _nucleus(p, q, lambda before, own: before + own <= q),
    "none": lambda p, q: None,
}
SAMPLE = {
    "most likely": lambda p, u: int(np.argmax(p)),
    "boundary to the left": lambda p, u: next((i for i, t in enumerate(np.cumsum(p)) if u <= t), len(p) - 1),
    "scaled u": lambda p, u: int(u * len(p)),
    "first": lambda p, u: 0,
    "last": lambda p, u: len(p) - 1,
    "no fallback": lambda p, u: next((i for i, t in enumerate(np.cumsum(p)) if u < t), None),
    "fallback first": lambda p, u: next((i for i, t in enumerate(np.cumsum(p)) if u < t), 0),
    "beyond the end": lambda p, u: int(np.searchsorted(np.cumsum(p), u, side="right")),
    "the chance": lambda p, u: p[0],
    "sum of counts": lambda p, u: sum(1 for t in np.cumsum(p) if t < u),
    "own random": lambda p, u: int(np.random.default_rng(0).choice(len(p))),
    "a bool": lambda p, u: u >= 0.5,
}
TO_CHAT = {
    "no opening": lambda m: lab00._to_chat(m).removesuffix("<|im_start|>assistant\n"),
    "opening without line end": lambda m: lab00._to_chat(m)[:-1],
    "no line ends": lambda m: lab00._to_chat(m).replace("<|im_end|>\n", "<|im_end|>"),
    "only the last": lambda m: lab00._to_chat(m[-1:]),
    "always user": lambda m: lab00._to_chat([{**x, "role": "user"} for x in m]),
    "role on the same line": lambda m: lab00._to_chat(m).replace("user\n", "user "),
    "stripped": lambda m: lab00._to_chat(m).strip(),
    "content on one line": lambda m: lab00._to_chat([{**x, "content": x["content"].replace("\n", " ")} for x in m]),
    "colons": lambda m: "".join(f"{x['role']}: {x['content']}\n" for x in m) + "assistant:\n",
    "opened twice": lambda m: lab00._to_chat(m) + "<|im_start|>assistant\n",
    "extra blank": lambda m: lab00._to_chat(m).replace("<|im_end|>", " <|im_end|>"),
    "a list": lambda m: [lab00._to_chat(m)],
    "backwards": lambda m: lab00._to_chat(m[::-1]),
}
INVENTED = {
    "always empty": lambda sql, schema: [],
    "case counts": lambda sql, schema: _columns(sql, {c for t in schema.values() for c in t}),
    "no aliases": lambda sql, schema: _columns(sql, {c.lower() for t in schema.values() for c in t}, str.lower),
    "aliases by case": lambda sql, schema: _columns(
        sql,
        {c.lower() for t in schema.values() for c in t}
        | {a.alias for a in sqlglot.parse_one(sql, read="sqlite").find_all(exp.Alias)},
        str.lower,
    ),
    "first table only": lambda sql, schema: lab01._find_invented_columns(sql, {"players": schema["players"]}),
    "words": lambda sql, schema: sorted(
        w for w in set(re.findall(r"\w+", sql)) if w.lower() not in {c for t in schema.values() for c in t}
    ),
    "lower case answer": lambda sql, schema: [n.lower() for n in lab01._find_invented_columns(sql, schema)],
    "a set": lambda sql, schema: set(lab01._find_invented_columns(sql, schema)),
    "reversed": lambda sql, schema: lab01._find_invented_columns(sql, schema)[::-1],
    "first select only": lambda sql, schema: lab01._find_invented_columns(sql.split(" WHERE")[0], schema),
    "real ones": lambda sql, schema: _columns(sql, set()),
    "count": lambda sql, schema: len(lab01._find_invented_columns(sql, schema)),
    "repeated": lambda sql, schema: [n for n in lab01._find_invented_columns(sql, schema) for _ in range(sql.count(n))],
}
MONEY = {
    "plain cast": "CAST({c} AS INTEGER)",
    "dollar stays": "CAST(REPLACE({c}, ',', '') AS INTEGER)",
    "commas stay": "CAST(REPLACE({c}, '$', '') AS INTEGER)",
    "missing is 0": "CAST(REPLACE(REPLACE({c}, '$', ''), ',', '') AS INTEGER)",
    "text": "REPLACE(REPLACE(NULLIF({c}, '--'), '$', ''), ',', '')",
    "real": "CAST(REPLACE(REPLACE(NULLIF({c}, '--'), '$', ''), ',', '') AS REAL)",
    "always salary": "CAST(REPLACE(REPLACE(NULLIF(salary, '--'), '$', ''), ',', '') AS INTEGER)",
    "null is 0": "COALESCE(CAST(REPLACE(REPLACE(NULLIF({c}, '--'), '$', ''), ',', '') AS INTEGER), 0)",
    "no SQL": "int({c}",
    "a string": "'{c}'",
    "thousands": "CAST(REPLACE(REPLACE(NULLIF({c}, '--'), '$', ''), ',', '') AS INTEGER) / 1000",
    "first comma only": "CAST(SUBSTR({c}, 2, INSTR({c}, ',') - 2) || SUBSTR({c}, INSTR({c}, ',') + 1) AS INTEGER)",
    "a query": "SELECT 1; SELECT {c}",
}
TOP = {
    "limit": "SELECT {label}, {value} FROM {table} ORDER BY {value} DESC LIMIT {n}",
    "dense rank": "SELECT {label}, {value} FROM (SELECT *, DENSE_RANK() OVER (ORDER BY {value} DESC) AS r FROM {table} "
    "WHERE {value} IS NOT NULL) WHERE r <= {n}",
    "row number": "SELECT {label}, {value} FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY {value} DESC) AS r FROM {table} "
    "WHERE {value} IS NOT NULL) WHERE r <= {n}",
    "ascending": "SELECT {label}, {value} FROM (SELECT *, RANK() OVER (ORDER BY {value}) AS r FROM {table} "
    "WHERE {value} IS NOT NULL) WHERE r <= {n}",
    "NULL has a place": "SELECT {label}, {value} FROM "
    "(SELECT *, RANK() OVER (ORDER BY {value} DESC) AS r FROM {table}) WHERE r <= {n}",
    "less than": "SELECT {label}, {value} FROM (SELECT *, RANK() OVER (ORDER BY {value} DESC) AS r FROM {table} "
    "WHERE {value} IS NOT NULL) WHERE r < {n}",
    "the n-th": "SELECT {label}, {value} FROM (SELECT *, RANK() OVER (ORDER BY {value} DESC) AS r FROM {table} "
    "WHERE {value} IS NOT NULL) WHERE r = {n}",
    "label only": "SELECT {label} FROM (SELECT *, RANK() OVER (ORDER BY {value} DESC) AS r FROM {table} "
    "WHERE {value} IS NOT NULL) WHERE r <= {n}",
    "place shown": "SELECT * FROM (SELECT *, RANK() OVER (ORDER BY {value} DESC) AS r FROM {table} "
    "WHERE {value} IS NOT NULL) WHERE r <= {n}",
    "positive only": "SELECT {label}, {value} FROM (SELECT *, RANK() OVER (ORDER BY {value} DESC) AS r FROM {table} "
    "WHERE {value} > 0) WHERE r <= {n}",
    "other table": "SELECT who, points FROM scores",
    "no SQL": "top {n} of {table}",
    "threshold": "SELECT {label}, {value} FROM {table} WHERE {value} >= (SELECT MIN({value}) FROM (SELECT {value} FROM "
    "{table} ORDER BY {value} DESC LIMIT {n} OFFSET 1))",
}
SAME_ROWS = {
    "sets": lambda gold, pred: set(gold) == set(pred),
    "lists": lambda gold, pred: gold == pred,
    "lengths": lambda gold, pred: len(gold) == len(pred),
    "sets and lengths": lambda gold, pred: set(gold) == set(pred) and len(gold) == len(pred),
    "sorted": lambda gold, pred: sorted(gold) == sorted(pred),
    "sorted by repr": lambda gold, pred: sorted(map(repr, gold)) == sorted(map(repr, pred)),
    "sorted by str": lambda gold, pred: sorted(map(str, gold)) == sorted(map(str, pred)),
    "subset": lambda gold, pred: not Counter(gold) - Counter(pred),
    "superset": lambda gold, pred: not Counter(pred) - Counter(gold),
    "bags of values": lambda gold, pred: Counter(v for r in gold for v in r) == Counter(v for r in pred for v in r),
    "truthy": lambda gold, pred: Counter(gold) == Counter(pred) or None,
    "empty is wrong": lambda gold, pred: bool(gold) and Counter(gold) == Counter(pred),
    "always": lambda gold, pred: True,
    "zip": lambda gold, pred: all(a == b for a, b in zip(gold, pred, strict=False)),
    "as text": lambda gold, pred: lab01._same_rows(_loose(gold), _loose(pred)),
    "a row dropped": _first_row_dropped,
}
CLASSIFY = {
    "never invalid": lambda g, p: "right" if Counter(g.rows) == Counter(p.rows) else "malformed",
    "any limit": lambda g, p: "invalid" if p.limit else lab01._classify(g, p),
    "only limits": lambda g, p: "invalid" if p.limit else lab01._classify(g, _without(p, "error")),
    "cut rows are fine": lambda g, p: lab01._classify(g, _without(p, "truncated")),
    "cut rows are invalid": lambda g, p: "invalid" if p.truncated else lab01._classify(g, p),
    "sets": lambda g, p: "invalid" if p.error else "right" if set(g.rows) == set(p.rows) else "malformed",
    "ordered": lambda g, p: "invalid" if p.error else "right" if g.rows == p.rows else "malformed",
    "empty is invalid": lambda g, p: "invalid" if not p.rows else lab01._classify(g, p),
    "always right": lambda g, p: "right",
    "always invalid": lambda g, p: "invalid",
    "swapped": lambda g, p: {"invalid": "malformed", "malformed": "invalid"}.get(lab01._classify(g, p), "right"),
    "looks at gold": lambda g, p: lab01._classify(p, g),
    "capitals": lambda g, p: lab01._classify(g, p).upper(),
    "a bool": lambda g, p: lab01._classify(g, p) == "right",
}
WRONG = {
    "lab00.temperature": TEMPERATURE,
    "lab00.top_k": TOP_K,
    "lab00.top_p": TOP_P,
    "lab00.sample": SAMPLE,
    "lab00.to_chat": TO_CHAT,
    "lab01.find_invented_columns": INVENTED,
    "lab01.money_sql": {key: lambda column, sql=sql: sql.format(c=column) for key, sql in MONEY.items()},
    "lab01.top_sql": {
        key: lambda table, label, value, n, sql=sql: sql.format(table=table, label=label, value=value, n=n)
        for key, sql in TOP.items()
    },
    "lab01.same_rows": SAME_ROWS,
    "lab01.classify": CLASSIFY,
}
for file in sorted((HERE / "wrong_answers").glob("lab*.py")):  # later labs: WRONG, and NAMES that its notebook imports
    found = runpy.run_path(str(file))
    WRONG |= found["WRONG"]
    NOTEBOOK_NAMES |= found.get("NAMES", {})


def _nucleus(p, q, keeps):
    order = np.argsort(-p, kind="stable")
    before = np.cumsum(p[order]) - p[order]
    kept = np.zeros_like(p)
    keep = order[keeps(before, p[order]) if keeps.__code__.co_argcount == 2 else keeps(before)]
    kept[keep] = p[keep]
    return kept / kept.sum()


def _columns(sql, known, spelt=str):
    used = {column.name for column in sqlglot.parse_one(sql, read="sqlite").find_all(exp.Column)}
    return sorted(name for name in used if spelt(name) not in known)


def _loose(rows):
    return [tuple(str(value).removesuffix(".0") for value in row) for row in rows]


def _without(result, name):
    blank = copy.copy(result)
    object.__setattr__(blank, name, None if name != "truncated" else False)
    return blank


def test_every_exercise_has_a_table_of_wrong_answers():
    assert set(WRONG) == set(NAMES) and all(len(table) >= 12 for table in WRONG.values())


@pytest.mark.parametrize("name, wrong", [(name, wrong) for name, table in WRONG.items() for wrong in table])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_wrong_answer_is_rejected_in_a_sentence(name, wrong):
    verdict = course.check(name, WRONG[name][wrong])
    assert verdict.state == "wrong" and not verdict
    assert 20 < len(verdict.sentence) < 700 and verdict.sentence.rstrip()[-1] in ".?`", verdict.sentence
    for hint in checks.exercise(name).hints:
        assert hint not in verdict.sentence


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_check_does_not_tell_the_answer_of_its_case(name):
    """What the kit's own function gives for the case at hand, whole or a part of it, stands in no sentence; what went
    in and what the learner's function gave may."""
    for label, wrong in WRONG[name].items():
        given, answer, right = (), None, None

        def watched(*arguments, wrong=wrong):
            nonlocal given, answer, right
            try:
                given = copy.deepcopy(arguments)
                right = checks.exercise(name).ours(*copy.deepcopy(arguments))
            except Exception:  # arguments that refuse to be copied
                right = None
            answer = wrong(*arguments)
            return answer

        told = course.check(name, watched).sentence
        assert not revealed(told, right, f"{given!r} {answer!r}"), f"{label}: {told}"


def revealed(told, right, known):
    """Those parts of the right answer that a sentence tells, and that were not to be seen in what is known."""
    parts = [right, *(right if isinstance(right, (list, tuple, set)) else ())]
    texts = {repr(part) for part in parts if not isinstance(part, np.ndarray)}
    plainly = [text for text in texts if re.search(rf"should \w+ {re.escape(text)}", told)]
    return plainly + [text for text in texts if len(text) > 4 and text in told and text not in known]


def test_what_a_sentence_reveals_is_seen():
    assert revealed("it should be True.", True, "False") and not revealed("it gave True, not right", True, "True")
    assert revealed("'who coaches' is missing", ["who coaches", "so"], "['so']")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_mutants_of_the_solutions_are_rejected(solutions, monkeypatch, capsys):
    monkeypatch.setattr(checks, "SECONDS", 0.5)
    survivors, count = [], 0
    for name, source in solutions.items():
        for label, mutant in mutants(source):
            count += 1
            if state(name, compiled(mutant)) == "passed":
                survivors.append(f"{name}: {label}")
    rate = 1 - len(survivors) / count
    with capsys.disabled():
        print(f"\nmutants rejected: {count - len(survivors)} of {count} ({rate:.1%}); left: {survivors}")
    assert count >= 100 and rate >= 0.95, survivors


# --- the solutions and their mutants


@pytest.fixture(scope="session")
def solutions(root):
    """Exercise name -> source of its function in solutions/*.py."""
    found = {}
    for source in sorted((root / "solutions").glob("lab*.py")):
        text = source.read_text()
        functions = {f.name: f for f in ast.walk(ast.parse(text)) if isinstance(f, ast.FunctionDef)}
        for name, function in re.findall(r'course\.check\("(\w+\.\w+)", (\w+)\)\n', text):
            found[name] = ast.unparse(functions[function])
    return found


def test_every_exercise_is_in_a_lab(solutions):
    assert sorted(solutions) == sorted(NAMES)


def compiled(source):
    names = dict(NOTEBOOK_NAMES)
    exec(compile(source, "<cell>", "exec"), names)
    return names[ast.parse(source).body[0].name]


FLIPS = {  # each comparison becomes each of these, one at a time
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
OTHER = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.And: ast.Or, ast.Or: ast.And}


def mutants(source):
    """(label, source) of every change of one step: comparison, operator or constant changed, line dropped."""
    tree = ast.parse(source)
    docstring = tree.body[0].body[0].value
    for at, node in enumerate(ast.walk(tree)):
        if node is docstring:
            continue
        for label, change in changes(node):
            mutant = ast.parse(source)
            change(list(ast.walk(mutant))[at])
            yield f"{label} in line {getattr(node, 'lineno', 0)}", ast.unparse(ast.fix_missing_locations(mutant))


def changes(node):
    for at, op in enumerate(node.ops if isinstance(node, ast.Compare) else ()):
        for flip in FLIPS[type(op)]:
            yield (
                f"{type(op).__name__} made {flip.__name__}",
                lambda n, i=at, flip=flip: n.ops.__setitem__(i, flip()),
            )
    if isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp)) and type(node.op) in OTHER:
        yield "operator swapped", lambda n: setattr(n, "op", OTHER[type(n.op)]())
    if isinstance(node, ast.UnaryOp):
        yield "sign dropped", lambda n: setattr(n, "op", ast.UAdd())
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield "constant + 1", lambda n: setattr(n, "value", n.value + 1)
        yield "constant - 1", lambda n: setattr(n, "value", n.value - 1)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield "text emptied", lambda n: setattr(n, "value", "" if n.value else "x")
        yield "text changed", lambda n: setattr(n, "value", n.value + "x")
    for field in ("body", "orelse"):
        for at, line in enumerate(getattr(node, field, []) if isinstance(getattr(node, field, None), list) else []):
            if isinstance(line, ast.stmt) and not _is_docstring(line) and not isinstance(line, ast.FunctionDef):
                yield "line dropped", lambda n, f=field, i=at: getattr(n, f).__setitem__(i, ast.Pass())


def test_every_comparison_of_a_chain_is_flipped_each_way():
    made = {
        source.splitlines()[-1].strip()
        for _, source in mutants('def f(a, b):\n    "text"\n    return 1 < a <= b is None')
    }
    ways = ("<= a <= b is", "> a <= b is", "< a < b is", "< a >= b is", "< a <= b is not")
    assert {f"return 1 {way} None" for way in ways} <= made


def _is_docstring(line):
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


# --- whatever a learner writes


def not_written(rows, other):
    raise NotImplementedError


def test_an_unwritten_exercise_says_so_and_is_no_try():
    verdict = course.check("lab01.same_rows", not_written)
    assert verdict.state == "not written" and "not written yet" in str(verdict) and not verdict
    assert course.progress().steps == ()


def test_an_exception_is_told_with_its_line():
    function = compiled("def same_rows(gold, pred):\n    total = 0\n    return total / len([])")
    sentence = course.check("lab01.same_rows", function).sentence
    assert "ZeroDivisionError" in sentence and "line 3" in sentence and "\n" not in sentence


@pytest.mark.parametrize(
    "body, told",
    [
        ("exit(3)", "SystemExit"),
        ("same_rows(gold, pred)", "RecursionError"),
        ("raise KeyError(gold)", "KeyError"),
        ("raise Exception('x' * 10_000)", "Exception"),
        ("raise Exception('two\\nlines')", "two lines"),
        ("assert gold == pred", "AssertionError"),
        ("gold.append(1); return False", "not right"),
        ("return undefined_name", "NameError"),
        ("pass", "returned None"),
        ("return 1", "returned a int"),
        ("yield True", "returned a generator"),
        ("return type('Bad', (), {'__repr__': lambda s: 1 / 0})()", "returned a Bad"),
    ],
)
def test_nothing_a_learner_does_escapes(body, told):
    verdict = course.check("lab01.same_rows", compiled(f"def same_rows(gold, pred):\n    {body}"))
    assert verdict.state == "wrong" and told in str(verdict) and len(str(verdict)) < 900


@pytest.mark.parametrize("thing", [True, None, [1], "same_rows", 3.5])
def test_what_is_no_function_is_told(thing):
    verdict = course.check("lab01.same_rows", thing)
    assert verdict.state == "wrong" and "function itself" in verdict.sentence


@pytest.mark.parametrize("body", ["while True: pass", "while True:\n        try: pass\n        except Exception: pass"])
def test_an_endless_loop_is_stopped(body, monkeypatch):
    monkeypatch.setattr(checks, "SECONDS", 0.3)
    verdict = course.check("lab01.same_rows", compiled(f"def same_rows(gold, pred):\n    {body}"))
    assert verdict.state == "wrong" and "still running" in verdict.sentence


def test_ctrl_c_is_the_learners():
    with pytest.raises(KeyboardInterrupt):
        course.check("lab01.same_rows", compiled("def same_rows(gold, pred):\n    raise KeyboardInterrupt"))


def test_outside_of_the_main_thread_a_check_works_without_the_clock():
    found = []
    worker = threading.Thread(target=lambda: found.append(state("lab01.same_rows", lab01._same_rows)))
    worker.start()
    worker.join()
    assert found == ["passed"]


def test_the_learners_arguments_are_copies():
    def greedy_fingers(gold, pred):
        same = Counter(gold) == Counter(pred)
        gold.clear()
        pred.append("mine")
        return same

    assert state("lab01.same_rows", greedy_fingers) == "passed"
    assert state("lab01.same_rows", lab01._same_rows) == "passed"


# --- hints, use, names


@pytest.mark.parametrize("name", NAMES)
def test_hints_come_one_at_a_time_and_only_when_asked(name):
    hints = checks.exercise(name).hints
    assert len(set(hints)) == 3 and hints[0] not in str(course.check(name, lambda *a: None))
    for level in (1, 2, 3):
        told = str(course.check(name, lambda *a: None, hint=level))
        assert [hint in told for hint in hints] == [n == level for n in (1, 2, 3)]
    assert "Hint" not in str(course.check(name, checks.exercise(name).ours, hint=3))


@pytest.mark.parametrize("hint", [0, 4, -1, "1", 1.5, True])
def test_a_hint_that_does_not_exist_is_an_error(hint):
    with pytest.raises(LabkitError, match="hint=1"):
        course.check("lab00.top_k", not_written, hint=hint)


@pytest.mark.parametrize("name", ["lab00.no", "lab77.top_k", "top_k", "", "..x", "checks.exercise", None, "lab00."])
def test_an_unknown_exercise_is_an_error(name):
    with pytest.raises(LabkitError, match="There is no"):
        course.check(name, not_written)


def test_use_takes_the_learners_function_only_if_it_passes(capsys):
    assert course.use("lab01.same_rows", not_written) is lab01.EXERCISES["same_rows"].ours
    assert "labkit’s function (yours is not written)" in capsys.readouterr().out

    def mine(gold, pred):
        return Counter(gold) == Counter(pred)

    assert course.use("lab01.same_rows", mine) is mine
    assert "your function" in capsys.readouterr().out
    assert course.use("lab01.same_rows", lambda gold, pred: True) is lab01.EXERCISES["same_rows"].ours
    assert course.progress().steps == ()  # use is no try


# --- progress


def test_progress_is_kept_and_a_pass_stays(own_home):
    assert str(course.progress()) == "No exercise begun yet."
    course.check("lab00.top_k", lambda p, k: p, hint=2)
    assert course.progress().passed == ()
    course.check("lab00.top_k", lab00.EXERCISES["top_k"].ours)
    course.check("lab00.top_k", lambda p, k: p)
    (step,) = course.progress().steps
    assert (step.name, step.tries, step.hints) == ("lab00.top_k", 3, 2) and step.passed.startswith("20")
    assert course.progress().passed == ("lab00.top_k",) and "1 of 1" in str(course.progress())
    assert list(course.progress().to_frame().columns) == ["name", "tries", "hints", "passed"]
    assert json.loads((own_home / "progress" / "lab00.top_k.json").read_text())["tries"] == 3
    course.forget("lab00.top_k")
    assert course.progress().steps == () and course.progress().to_frame().empty


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"tries": "x"}', '{"tries": 1}', "\x00"])
def test_a_broken_progress_file_is_begun_anew(own_home, content):
    (own_home / "progress").mkdir()
    (own_home / "progress" / "lab00.top_k.json").write_text(content)
    assert course.progress().passed == ()
    assert course.check("lab00.top_k", lab00.EXERCISES["top_k"].ours)
    assert course.progress().passed == ("lab00.top_k",)


def test_a_home_that_can_not_be_written_does_not_stop_a_check(own_home, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(steps, "write_atomically", full)
    verdict = course.check("lab00.top_k", lab00.EXERCISES["top_k"].ours)
    assert verdict and "No space left" in verdict.sentence


def test_two_notebooks_lose_nothing(own_home):
    names = [f"lab00.{name}" for name in lab00.EXERCISES]
    workers = [threading.Thread(target=steps.record, args=(name, True)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(course.progress().passed) == sorted(names)


def test_a_name_can_not_leave_the_folder():
    for name in ("../x", "a/b", "", "A", "lab00..x"):
        with pytest.raises(ValueError):
            steps.record(name, True)


# --- places


@pytest.mark.parametrize("folder", ["", "notebooks", "solutions", "tests", "/"])
def test_the_data_is_found_from_everywhere(root, monkeypatch, folder):
    monkeypatch.chdir(root / folder)
    assert course.league().samefile(root / "datasets" / "league" / "league.sqlite")


def test_the_data_is_found_from_my_labs_of_another_checkout(tmp_path, monkeypatch):
    for folder in ("my-labs", "notebooks", "datasets"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "my-labs")
    assert course.datasets() == tmp_path / "datasets"


def test_profile_shortens(monkeypatch):
    monkeypatch.setenv("LABKIT_PROFILE", "ci")
    assert course.shorter(20, 3) == 3
    monkeypatch.setenv("LABKIT_PROFILE", "full")
    assert course.shorter(20, 3) == 20


def test_setup_says_model_seed_device_and_versions(monkeypatch):
    monkeypatch.delenv("LABKIT_MODEL", raising=False)
    text = str(course.setup(seed=7))
    for word in ("smollm2-135m", "seed 7", "device", "torch", "transformers", "labkit"):
        assert word in text
    monkeypatch.setenv("LABKIT_MODEL", "some/model")
    assert course.setup().model == "some/model" and course.setup(model="other").model == "other"
    assert labkit.setup is course.setup  # one setting, whichever way it is reached


HEADER = {"model": "big", "sha256": "ab", "prompt": "plain", "date": "2031-01-01"}


def _recording(tmp_path, *lines):
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_a_recording_answers_like_a_model(tmp_path):
    path = _recording(tmp_path, HEADER, {"id": "q1", "prediction": "SELECT 1"}, "", {"id": "q2", "prediction": ""})
    (recording,) = course.recorded_runs(tmp_path)
    assert recording.predictions == {"q1": "SELECT 1", "q2": ""} and recording.path == path
    question = type("Q", (), {"id": "q1"})
    other = type("Q", (), {"id": "q9"})
    assert recording([question, other]) == ["SELECT 1", ""]
    assert recording.describe()["sha256"] == "ab" and "recorded 2031-01-01" in recording.describe()["model"]


def test_a_recording_finds_the_set_that_it_answers(tmp_path):
    recording = places.read_recording(_recording(tmp_path, HEADER, {"id": "b2", "prediction": ""}))
    sets = [
        QuestionSet(name, tuple(Question(f"{name}{n}", "How many?", "SELECT 1", "league") for n in range(4)))
        for name in "ab"
    ]
    assert [question.id for question in recording.answered(sets)] == ["b2"]
    with pytest.raises(LabkitError, match="answers no question of a"):
        recording.answered(sets[:1])


def test_a_recording_is_evaluated_like_a_model(tmp_path, root):
    questions = load_questions(root / "datasets" / "league" / "start.jsonl")[:3]
    lines = [{"id": question.id, "prediction": question.sql} for question in questions[:2]]
    recording = places.read_recording(_recording(tmp_path, HEADER, *lines))
    run = evaluate(recording, questions)
    assert (run.correct, run.n, run.prompt) == (2, 3, "plain") and "recorded" in run.model
    assert evaluate(recording, questions).id == run.id


@pytest.mark.parametrize("adapter, told", [("cd" * 32, "adapter cdcdcdcdcdcd"), ("unknown", "adapter unknown")])
def test_a_recording_of_a_tuned_model_names_base_and_adapter(tmp_path, root, adapter, told):
    header = HEADER | {"sha256": "ab" * 32, "adapter_sha256": adapter}
    recording = places.read_recording(_recording(tmp_path, header, {"id": "start-01", "prediction": "SELECT 1"}))
    assert f"(weights abababababab, {told}), recorded 2031-01-01, prompt plain" in str(recording)
    run = evaluate(recording, load_questions(root / "datasets" / "league" / "start.jsonl")[:1])
    assert run.adapter_hash == adapter and run.model_hash == "ab" * 32


def test_a_recording_without_an_adapter_names_none(tmp_path):
    recording = places.read_recording(_recording(tmp_path, HEADER))
    assert "adapter" not in str(recording) and "adapter_sha256" not in recording.describe()


def test_each_recording_of_the_league_says_whose_weights_answered():
    found = course.recorded_runs()
    assert len(found) >= 3 and all(re.fullmatch("[0-9a-f]{64}", recording.sha256) for recording in found)
    for recording in found:
        assert bool(recording.adapter_sha256) == ("tuned" in recording.model), recording


def test_without_recordings_the_list_is_empty(tmp_path):
    assert course.recorded_runs(tmp_path) == [] and course.recorded_runs(tmp_path / "nothing") == []


@pytest.mark.parametrize(
    "lines, told",
    [
        (["{"], "line 1"),
        ([{"model": "x"}], "line 1"),
        ([HEADER, "", {"id": "q1"}], "line 3"),
        ([HEADER, "[]"], "line 2"),
        ([], "empty"),
    ],
)
def test_a_broken_recording_is_named_by_file_and_line(tmp_path, lines, told):
    path = _recording(tmp_path, *lines)
    with pytest.raises(LabkitError, match=told) as error:
        places.read_recording(path)
    assert path.name in str(error.value)


def test_the_kits_answers_agree_with_mathematics():
    assert math.isclose(lab00.distributions.temperature(np.array([math.log(3), 0.0]), 1.0)[0], 0.75)
