# ruff: noqa: B018
# %% [markdown]
# # Lab 2. Build an evaluation
#
# You changed the prompt. Is the agent better now? Try three questions by hand, and you see what you hope to see. An
# **evaluation** answers with a number: a set of questions, each with its right query, and a judge that never tires.
#
# **After this lab you can**
#
# - say when a query is right, in three ways, and write a judge;
# - put an interval around an accuracy, and say how many questions you need;
# - compare two agents question by question, and tell a change from chance;
# - find the slice that fails, the question to work on next, and a target that you can reach;
# - find wrong gold before you blame a model for it;
# - find what training and evaluation have in common, and say which of five figures you are looking at.
#
# **Time** about 55 minutes. **You need** Labs 0 and 1, or SQL and an idea of what a SQL agent is.

# %%
import html
import json
import math
from collections import Counter
from difflib import get_close_matches

import numpy as np
import pandas as pd
import sqlglot
from IPython.display import display
from sqlglot import exp

import labkit
from labkit import course
from labkit.agent import SqlGenerator
from labkit.dataset import overlap
from labkit.home import home
from labkit.perturb import perturbed_copies
from labkit.prompting import few_shot
from labkit.widgets import Curves

setting = course.setup()
setting

# %% [markdown]
# ## 1. Questions with gold
#
# An evaluation answers two questions: **is it improving**, and **where does it hallucinate**? For that it has to be
#
# | | |
# |---|---|
# | quantitative | a share, with n and an interval, so that two runs can be compared |
# | telling | it points at what to improve: tags on each question, a class for each failure |
# | scalable | one more question is one more line in a file |
# | automated | one call, and nobody reads answers by hand |
#
# Each question comes with its **gold**: the query that answers it. This is one of the first twenty:

# %% tags=["nbval-check-output"]
pd.set_option("display.max_colwidth", 120)
league = course.league()
folder = course.datasets() / "league"
questions = labkit.load_questions(folder / "start.jsonl")
print(json.dumps(questions[5].to_json(), indent=1))
print(f"{len(questions)} questions, by tag:")
print(*(f"{tag} {n}" for tag, n in Counter(tag for q in questions for tag in q.tags).most_common()), sep=", ")

# %% [markdown]
# Begin with **20 to 100** questions that users really ask. Quality comes before quantity: a wrong gold, or a question
# that nobody has, makes the number worse, not better. Grow the set later, and grow it where it hurts.
#
# ## 2. When is a query right?
#
# A right query need not be the gold's text. There are three ways to look at it:
#
# - **exact** match: the same text;
# - **execution** match: the same rows, on the database as it is;
# - **semantic** match: the same rows on this database *and* on changed copies of it.

# %% tags=["nbval-check-output"]
MODES = ("exact", "execution", "semantic")
NORTH = "SELECT COUNT(*) FROM teams WHERE conference = 'North'"
SOUTH = "SELECT COUNT(*) FROM teams WHERE conference = 'South'"
question = labkit.Question("north", "How many teams are in the North?", NORTH, "league")
tries = (
    "select count(*) from teams where conference = 'North';",
    "SELECT COUNT(team_id) FROM teams AS t WHERE t.conference IN ('North')",
    SOUTH,
    "SELECT 12",
    "SELECT COUNT(*) FROM teams",
)
table = [{mode: labkit.score(question, sql, league, mode=mode).verdict for mode in MODES} for sql in tries]
pd.DataFrame(table, index=tries)

# %% [markdown]
# The second query is right, and exact match calls it wrong. The third is wrong, and execution match calls it right:
# both conferences happen to have equally many teams. Next season they may not. Copies with changed rows show it
# today:

# %%
for number, copy in enumerate(perturbed_copies(league, NORTH)[:4], 1):
    north, south = (labkit.execute(copy, sql).rows[0][0] for sql in (NORTH, SOUTH))
    print(f"copy {number}: {north} teams in the North, {south} in the South")

# %% [markdown]
# Exact match is too strict, execution match a little too kind, semantic match close to the truth, and slower. This
# course reports execution match unless it says otherwise.
#
# ### Exercise 1: the judge
#
# In Lab 1 you compared rows as bags. A judge needs three things more: sometimes the order counts, decimals are
# rounded here and there, and a gold that fails can't judge anybody.


# %% tags=["nbval-check-output"]
def judge(gold, pred, ordered):
    """ "right", "wrong" or "gold_error": does `pred` give the rows of `gold`?

    gold, pred: results of labkit.execute, with .rows, .error (None if it ran), .truncated (True if rows were cut off).
    ordered: True if the rows must come in the gold's order. Else any order will do; duplicates count in any case.
    Floats are compared rounded to 6 decimals. If the gold failed or was cut off, it is a "gold_error", whatever `pred`
    did. A `pred` that failed or was cut off is "wrong".
    """
    # BEGIN SOLUTION
    if gold.error or gold.truncated:
        return "gold_error"
    if pred.error or pred.truncated:
        return "wrong"
    wanted, found = (
        [tuple(round(value, 6) if isinstance(value, float) else value for value in row) for row in result.rows]
        for result in (gold, pred)
    )
    same = wanted == found if ordered else Counter(wanted) == Counter(found)
    return "right" if same else "wrong"
    # END SOLUTION


course.check("lab02.judge", judge)

# %% [markdown]
# ### Real runs
#
# The model on your machine, with the plain prompt of Lab 0 and with the worked examples of Lab 1. If you did those
# labs, both runs are in the store and come back at once.
#
# A small model is wrong nearly everywhere. That is a fine place to start, and a poor one to learn about evaluation.
# So most cells below look at a larger model, whose answers to more questions were recorded once. They are judged here
# and now, in all three modes.

# %%
EXAMPLES = {
    "How many games were played in 2029?": "SELECT COUNT(*) FROM games WHERE season = 2029",
    "Which teams are in the North?": "SELECT nickname FROM teams WHERE conference = 'North'",
    "Which team does Basil Ackroyd play for?": "SELECT t.nickname FROM players AS p "
    "JOIN teams AS t ON t.team_id = p.team_id WHERE p.name = 'Basil Ackroyd'",
}
examples = [labkit.Question(f"example-{n}", text, sql, "league") for n, (text, sql) in enumerate(EXAMPLES.items(), 1)]


def with_examples(question: str, schema_text: str) -> list[dict]:
    """The plain prompt, with the examples before the question as if they had been asked and answered."""
    return few_shot(question, schema_text, examples)


model = labkit.load_model(setting.model)
store = labkit.RunStore()
plain_agent = SqlGenerator(model, max_new_tokens=setting.max_new_tokens)
helped_agent = SqlGenerator(model, with_examples, max_new_tokens=setting.max_new_tokens)
asked = questions[: course.shorter(len(questions), 3)]
live, live_helped = (labkit.evaluate(agent, asked, store=store) for agent in (plain_agent, helped_agent))
print(f"run {live.id}, plain:         {live}")
print(f"run {live_helped.id}, with examples: {live_helped}")

# %%
recordings = course.recorded_runs()
print(*recordings or ["No recorded run in datasets/league/runs: your own run stands in for it below."], sep="\n")
generator, answered = helped_agent, asked
if recordings:
    generator = recordings[0]
    answered = generator.answered([questions, labkit.load_questions(folder / "dev.jsonl")])
    answered = answered[: course.shorter(len(answered), 12)]
runs = {mode: labkit.evaluate(generator, answered, mode=mode, store=store) for mode in MODES}
larger = runs["execution"]
for recording in recordings[1:]:  # your small model, half tuned and tuned, on the same questions
    print(f"{recording.model}: {labkit.evaluate(recording, answered, store=store)}")
pd.DataFrame([(mode, run.correct, run.n, str(run)) for mode, run in runs.items()], columns=["mode", "right", "n", ""])

# %% [markdown]
# The same answers, three accuracies. Whoever reports one has to say which. Here are the questions that the modes
# disagree on, and those where your judge differs from the kit's. (Where a gold sorts its rows, the order counts.)

# %%
verdict_of = course.use("lab02.judge", judge)
text_of = {q.id: q for q in answered}
verdicts = pd.DataFrame({mode: {r.question_id: r.verdict for r in run.results} for mode, run in runs.items()})
verdicts["gold"] = [text_of[id].sql for id in verdicts.index]
verdicts["prediction"] = [result.prediction for result in larger.results]
differ = []
for id, row in verdicts.iterrows():
    ordered = text_of[id].order if text_of[id].order is not None else "ORDER BY" in row.gold
    if verdict_of(labkit.execute(league, row.gold), labkit.execute(league, row.prediction), ordered) != row.execution:
        differ.append(id)
print(f"the judge agrees with labkit on {larger.n - len(differ)} of {larger.n}; it differs on", *differ or ["none"])
verdicts[verdicts[list(MODES)].nunique(axis=1) > 1]

# %% [markdown]
# ## 3. How sure are you?
#
# Ask twenty other questions of the same kind, and the share of right answers comes out different. The **Wilson
# interval** says how far off it may be: in 95 of 100 such evaluations it holds the true share. With p the share that
# you saw and z = 1.96:
#
# $$\mathrm{middle} = \frac{p + z^2 / 2n}{1 + z^2 / n} \qquad
# \mathrm{half} = \frac{z}{1 + z^2 / n} \sqrt{\frac{p\,(1 - p)}{n} + \frac{z^2}{4 n^2}}$$
#
# The interval goes from middle - half to middle + half.
#
# ### Exercise 2: Wilson's interval


# %% tags=["nbval-check-output"]
def wilson(correct, n):
    """The 95 % interval of `correct` right answers of `n`: a tuple (low, high), both between 0 and 1.

    correct, n: whole numbers, 0 <= correct <= n. With n = 0 nothing is known: (0.0, 1.0).
    """
    # BEGIN SOLUTION
    if n == 0:
        return 0.0, 1.0
    p, z = correct / n, 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half
    # END SOLUTION


course.check("lab02.wilson", wilson)

# %% [markdown]
# A picture shows more than pairs of numbers. The class draws a dot and an interval for each row; you need not read it.
# In this one: two agents, right in 30 % and in 50 %, asked more and more questions.

# %% tags=["nbval-check-output"]
interval = course.use("lab02.wilson", wilson)


class Intervals:
    """Rows (name, correct, n): a dot for the share, a bar for its 95 % interval, from 0 to 1. As text when printed."""

    def __init__(self, rows):
        self.rows = [(str(name), right / max(n, 1), *interval(right, n), n) for name, right, n in rows]

    def _repr_svg_(self):
        bottom, parts = 26 * len(self.rows) + 8, []
        for mark in (0, 0.25, 0.5, 0.75, 1):
            x = 260 + 300 * mark
            parts += [f'<path d="M{x} 4V{bottom}" stroke="#ccc"/>', _text(x, bottom + 16, f"{mark:g}", "middle")]
        for at, (name, share, low, high, n) in enumerate(self.rows):
            y, left, dot, right = 20 + 26 * at, *(260 + 300 * value for value in (low, share, high))
            parts += [f'<path d="M{left:.1f} {y}H{right:.1f}" stroke="#0072b2" stroke-width="4" opacity=".45"/>']
            parts += [f'<circle cx="{dot:.1f}" cy="{y}" r="5" fill="#0072b2"/>']
            parts += [_text(250, y + 4, f"{name}, n = {n}", "end"), _text(572, y + 4, f"{share:.2f}", "start")]
        parts.append(_text(410, bottom + 36, "share of right answers, with its 95 % interval", "middle"))
        size = f'viewBox="0 0 620 {bottom + 46}" width="620" font-family="sans-serif" font-size="13"'
        body = f'<title>{html.escape(repr(self))}</title><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}'
        return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>{body}</svg>'

    def __repr__(self):
        return "\n".join(f"{name:28} {s:.2f} [{low:z.2f}, {high:z.2f}] n={n}" for name, s, low, high, n in self.rows)


def _text(x, y, words, anchor):
    return f'<text x="{x:g}" y="{y}" text-anchor="{anchor}" fill="#222">{html.escape(words)}</text>'


Intervals([(f"{share} %", n * share // 100, n) for n in (10, 20, 50, 100, 200) for share in (30, 50)])

# %% [markdown]
# Look at 20 questions: the two bars share more than half of their length. With so few, 30 % and 50 % can hardly be told
# apart.
#
# ## 4. Is it improving? Compare in pairs
#
# Two runs on the **same questions** know more than two accuracies. Most questions are right in both runs, or wrong in
# both: these say nothing about the change. What counts are the questions that changed. How many were **fixed**, and
# how many were **broken**?
#
# If the change did nothing, each of those was fixed or broken as by a coin. The **sign test** asks how likely a coin
# gives a split as uneven as yours, or more so. (On pairs of right and wrong it is called McNemar's test.)
#
# Count the ways: of the 2 to the power of n results of n coins, C(n, k) show exactly k heads. Add up those with the
# smaller of your two counts or fewer, and double it, since either side could have been the smaller one:
#
# $$p = \min\left(1,\ \frac{2}{2^n} \sum_{k=0}^{\min(f,\,b)} \binom{n}{k}\right) \qquad
# n = f + b,\quad f\ \mathrm{fixed},\ b\ \mathrm{broken}$$
#
# ### Exercise 3: fixed and broken


# %% tags=["nbval-check-output"]
def p_value(fixed, broken):
    """The chance of a split at least as uneven as `fixed` to `broken` among coins, either way round; at most 1.

    fixed, broken: whole numbers from 0 on. With no change at all it is 1. math.comb(n, k) is C(n, k).
    """
    # BEGIN SOLUTION
    n, fewer = fixed + broken, min(fixed, broken)
    ways = sum(math.comb(n, k) for k in range(fewer + 1))
    return min(1.0, 2 * ways / 2**n)
    # END SOLUTION


course.check("lab02.p_value", p_value)

# %% [markdown]
# The usual line is 0.05: below it, chance alone is a poor explanation. The picture shows 20 coins: how likely each
# number of heads is. The p value of 5 broken and 15 fixed is what lies at the two dots and outside of them. Below it
# three agents that each went from 40 to 50 right answers of 100:

# %% tags=["nbval-check-output"]
chance = course.use("lab02.p_value", p_value)
likely = [(k, math.comb(20, k) / 2**20) for k in range(21)]
display(Curves({"20 coins": likely}, "heads", "chance of so many", {"5 broken": likely[5], "15 fixed": likely[15]}))
rows = [(fixed, fixed - 10, chance(fixed, fixed - 10)) for fixed in (10, 15, 30)]
pd.DataFrame(rows, columns=["fixed", "broken", "p"]).round(3)

# %% [markdown]
# The same two accuracies, and not the same evidence. An agent that fixes much and breaks much has
# changed more than it has improved.
#
# How many questions does it take? Here are two made-up agents, one truly right in 30 %, one in 50 %. Each size of set
# is tried a thousand times.

# %% tags=["nbval-check-output"]
random = np.random.default_rng(0)
rows = []
for n in (20, 50, 100, 200):
    before, after = random.random((1000, n)) < 0.3, random.random((1000, n)) < 0.5
    changes = list(zip((after & ~before).sum(axis=1), (before & ~after).sum(axis=1), strict=True))
    ahead = sum(fixed > broken for fixed, broken in changes)
    told = sum(chance(int(fixed), int(broken)) < 0.05 for fixed, broken in changes)
    rows.append((n, ahead / 1000, told / 1000))
pd.DataFrame(rows, columns=["questions", "the better one is ahead", "and p is below 0.05"])

# %% [markdown]
# Twenty questions are enough to find failures. They are not enough to prove that you mended them.
#
# ### A change on trial
#
# In Lab 1, invented columns were the largest class of the recorded run. So an idea suggests itself: mend the names.
# Where another table has all the columns, take that table; else take the real column that is spelt most like the
# invented one. Below it, what the worked examples did for your own model, and its figures beside the range of recorded
# runs: other seeds, two number formats. (Its answers are greedy: a seed changes none of them, the rounding of another
# format may.)

# %%
schema = labkit.read_schema(league)
columns = {table.name: [column.name for column in table.columns] for table in schema.tables}


def mend_names(sql: str) -> str:
    """`sql` with unknown columns put right as well as spelling can tell; as it was when sqlglot can't read it."""
    try:
        tree = sqlglot.parse_one(sql, read="sqlite")
    except sqlglot.errors.SqlglotError:
        return sql
    tables, used = list(tree.find_all(exp.Table)), list(tree.find_all(exp.Column))
    home_of = [name for name, real in columns.items() if {column.name for column in used} <= set(real)]
    if len(tables) == 1 and home_of:
        tables[0].set("this", exp.to_identifier(tables[0].name if tables[0].name in home_of else home_of[0]))
    real = sorted({name for table in tables for name in columns.get(table.name, ())})
    made = {alias.alias for alias in tree.find_all(exp.Alias)}
    for column in used:
        near = get_close_matches(column.name, real, 1, 0.5)
        if near and column.name not in made:
            column.set("this", exp.to_identifier(near[0]))
    return tree.sql("sqlite")


mended_texts = {result.question_id: mend_names(result.prediction) for result in larger.results}


def mended(questions) -> list[str]:
    """The recorded answers with their names mended."""
    return [mended_texts[question.id] for question in questions]


second = labkit.evaluate(mended, answered, store=store)
print(f"as recorded:    {larger.valid} of {larger.n} run, accuracy {larger}")
print(f"names mended:   {second.valid} of {second.n} run, accuracy {second}")
print(labkit.compare(larger, second))
change = labkit.compare(live, live_helped)
print("your model, plain against with examples:", change, sep="\n")
figures = {"plain, right": live.correct, "with examples, right": live_helped.correct}
figures |= {"fixed by the examples": len(change.fixed), "broken by the examples": len(change.broken)}
figures |= {"plain, could be run": live.valid, "with examples, could be run": live_helped.valid}
course.expected("lab02", figures, setting)

# %% [markdown]
# Many more queries run now. How many more are *right*? This is what an evaluation is for: the idea was good, the work
# was done, there are fewer errors to see, and the number says what it was worth. A query with a wrong name is often
# wrong elsewhere too, and now it fails in silence.
#
# ## 5. Where does it fail?
#
# One accuracy says how much is wrong, not what. Tags cut the run into **slices**: how hard the question is, and which
# knowledge it needs.

# %%
diagnosed = labkit.diagnose_run(larger, answered)
slices = diagnosed.slices("tag")
Intervals([(tag, int(row.right), int(row.n)) for tag, row in slices.iterrows()])

# %% [markdown]
# Mind the n of a slice: a small one has a wide bar, and the lowest dot may be low by chance.
#
# A slice is still too much to work on. Take **the easiest question that still fails**. It has the fewest reasons to
# fail, so it shows one of them clearly, and what mends it often mends harder ones too.
#
# ### Exercise 4: the easiest that still fail


# %% tags=["nbval-check-output"]
def easiest_failures(questions, verdicts):
    """Ids of the questions whose verdict is "wrong", the easiest first: a list, empty if there are none.

    questions: list of labkit.Question; each has "easy", "medium" or "hard" somewhere in its .tags.
    verdicts: dict, id -> "right", "wrong", "unstable" or "gold_error". The last two are the gold's fault: leave them.
    Easier is the lower level; on the same level fewer tags; with as many tags the shorter .sql.
    """
    # BEGIN SOLUTION
    levels = ["easy", "medium", "hard"]

    def effort(question):
        level = next(levels.index(tag) for tag in question.tags if tag in levels)
        return level, len(question.tags), len(question.sql)

    failing = [question for question in questions if verdicts[question.id] == "wrong"]
    return [question.id for question in sorted(failing, key=effort)]
    # END SOLUTION


course.check("lab02.easiest_failures", easiest_failures)

# %%
easiest = course.use("lab02.easiest_failures", easiest_failures)


def next_up(whose: str, run, asked, n: int) -> pd.DataFrame:
    """The n easiest failures of a run, with what was predicted."""
    results, by_id = {result.question_id: result for result in run.results}, {q.id: q for q in asked}
    ids = easiest(list(asked), {id: result.verdict for id, result in results.items()})[:n]
    rows = [(whose, id, by_id[id].question, by_id[id].sql, results[id].prediction) for id in ids]
    return pd.DataFrame(rows, columns=["model", "id", "question", "gold", "prediction"])


pd.concat([next_up("yours", live_helped, asked, 2), next_up("recorded", larger, answered, 5)], ignore_index=True)

# %% [markdown]
# ### A next target
#
# Don't aim at everything at once. First a small target, then a bigger one: mend the easy questions, then those of the
# middle, then the hard ones. And a target has to be larger than chance.

# %%
failing = easiest(list(answered), {result.question_id: result.verdict for result in larger.results})
rows, reached = [], larger.correct
for level in ("easy", "medium", "hard"):
    here = [q.id for q in answered if level in q.tags]
    left = sum(id in here for id in failing)
    reached += left
    rows.append((level, len(here), left, f"{reached / larger.n:.2f}", f"{chance(reached - larger.correct, 0):.1g}"))
fewest = next(k for k in range(1, 100) if chance(k, 0) < 0.05)
print(f"Now: {larger}. With none broken, {fewest} fixed questions are the fewest that tell a change from chance.")
pd.DataFrame(rows, columns=["level", "n", "failing", "accuracy once mended", "p against now"])

# %% [markdown]
# ## 6. The gold is wrong too
#
# People write gold, and people fall for the same traps as models. Four questions with gold that looks fine and runs.
# Read it first: what is wrong with each? Then let the **linter** look. It does not argue from the text alone: it asks
# the database whether there *is* a tie, a duplicate, a missing value.

# %% tags=["nbval-check-output"]
DRAFT = {
    "Which conferences have teams with four titles or more?": "SELECT conference FROM teams WHERE titles >= 4",
    "Which teams are the five with the most titles?": "SELECT nickname FROM teams ORDER BY titles DESC LIMIT 5",
    "What is the highest salary on file?": "SELECT MAX(salary) FROM contracts",
    "What was the average three-point percentage in 2031?": "SELECT ROUND(AVG(three_pct), 1) FROM season_stats "
    "WHERE season = 2031",
}


def set_of(name: str, golds: dict) -> labkit.QuestionSet:
    """A question set on the league, from a dict question -> SQL."""
    pairs = enumerate(golds.items(), 1)
    made = tuple(labkit.Question(f"{name}-{n}", text, sql, "league", tags=("easy",)) for n, (text, sql) in pairs)
    return labkit.QuestionSet(name, made, db_dir=course.datasets())


draft = set_of("draft", DRAFT)
findings = labkit.lint(draft, progress=False)
for q in draft:
    print(f"{q.question}\n  gives {list(labkit.execute(league, q.sql).rows)}")
    print(*(f"  {found.rule}: {found.detail}" for found in findings if found.question_id == q.id), sep="\n")

# %% [markdown]
# Duplicate rows, a tie cut by LIMIT, numbers sorted as text, missing values counted as 0: each is easily written. Now
# the gold put right, and what the old gold does to an agent that answers rightly. Last, something that no linter can
# know: it does not read the question.

# %% tags=["nbval-check-output"]
MENDED = {
    "draft-1": "SELECT DISTINCT conference FROM teams WHERE titles >= 4",
    "draft-2": "SELECT nickname FROM teams WHERE titles >= "
    "(SELECT titles FROM teams ORDER BY titles DESC LIMIT 1 OFFSET 4)",
    "draft-3": "SELECT salary FROM contracts WHERE salary <> '--' "
    "ORDER BY CAST(REPLACE(REPLACE(salary, '$', ''), ',', '') AS INTEGER) DESC LIMIT 1",
    "draft-4": "SELECT ROUND(AVG(CAST(three_pct AS REAL)), 1) FROM season_stats "
    "WHERE season = 2031 AND three_pct <> '--'",
}
for q in draft:
    verdict = labkit.score(q, MENDED[q.id], league).verdict
    print(f"{q.id}, answered rightly: {sorted(labkit.execute(league, MENDED[q.id]).rows)}, judged {verdict}")
right = set_of("draft", {q.question: MENDED[q.id] for q in draft})
print("findings in the gold put right:", len(labkit.lint(right, progress=False)))
print("findings in start.jsonl:       ", len(labkit.lint(questions, progress=False)))
south = set_of("south", {"How many teams are in the South?": NORTH})
print("findings in plainly wrong gold:", len(labkit.lint(south, progress=False)))

# %% [markdown]
# Not one point for four right answers. On such a set a better model may look *worse*. So: lint before you measure,
# and when a good answer is judged wrong, look at the gold first.
#
# ## 7. Leaks
#
# A model that has seen the evaluation's questions in training can know the answers by heart. Then the figure is worth
# nothing, and nothing looks wrong. It happens by itself: somebody fills up the training file from the same list, or
# retypes a question. To see it, compare questions without what does not matter.
#
# ### Exercise 5: normalise a question


# %% tags=["nbval-check-output"]
def normalise_question(text):
    """The question as it is compared with others.

    Small letters; the typographic ’ is a plain '; words parted by one blank, none at the ends; no . or ? or ! at the
    end, nor the blanks around them. Signs inside the text stay: 3.5 is not 35.
    """
    # BEGIN SOLUTION
    words = text.lower().replace("’", "'").split()
    return " ".join(words).rstrip(" .?!")
    # END SOLUTION


course.check("lab02.normalise_question", normalise_question)

# %% [markdown]
# Somebody has "enriched" a training file with our twenty questions, retyped:

# %% tags=["nbval-check-output"]
normalised = course.use("lab02.normalise_question", normalise_question)
costumes = (str.upper, lambda text: f"  {text.replace(' ', '  ')}", lambda text: text.rstrip("?.") + " ?!")
training = [costumes[n % 3](q.question) for n, q in enumerate(questions)]
print(*training[:3], sep="\n")
print("same text:       ", sum(q.question in training for q in questions), "of", len(questions))
known = {normalised(text) for text in training}
print("normalised:      ", sum(normalised(q.question) in known for q in questions), "of", len(questions))

# %% [markdown]
# `labkit.dataset.overlap` does the same and more: it also compares the queries, spelt in one way, and their
# **skeletons**, the queries with their literals masked. These are the kit's own sets against `trained.jsonl`, pairs
# made to be trained on:

# %% tags=["nbval-check-output"]
trained = labkit.load_questions(folder / "trained.jsonl")
SETS = {
    "recall": trained,
    "paraphrase": labkit.load_questions(folder / "paraphrase.jsonl"),
    "held-out": labkit.load_questions(folder / "heldout.jsonl"),
    "unseen database": labkit.load_questions(course.datasets() / "clinic" / "questions.jsonl"),
}
kinds = ("question", "query", "skeleton")
shared = {name: Counter(found.kind for found in overlap(set_, trained)) for name, set_ in SETS.items()}
table = [(name, len(SETS[name]), *(shared[name][kind] for kind in kinds)) for name in SETS]
pd.DataFrame(table, columns=["set", "n", *(f"shared: {kind}" for kind in kinds)])

# %% [markdown]
# The second row is the treacherous one: not a single question is shared, and every query is. Comparing questions alone
# would call it clean.
#
# That is why there are **five figures**, and this course never mixes them:
#
# | figure | asked about | a high one says |
# |---|---|---|
# | recall | the very questions trained on | it has learnt what it was shown |
# | paraphrase | the same queries, in other words | it has learnt what the words mean, not only the words |
# | held-out | other questions, other queries, same database | what your users will see |
# | second database | the same recipe, run again elsewhere | it was not luck with one database |
# | unseen database | a database that nothing was trained on | what it can do without data |
#
# What a mixture hides, a **parrot** shows. It knows its training file by heart and nothing else.


# %% tags=["nbval-check-output"]
class Parrot:
    """A generator that has learnt pairs by heart, and is silent otherwise."""

    def __init__(self, pairs):
        self.heart = {normalised(pair.question): pair.sql for pair in pairs}

    def __call__(self, questions):
        return [self.heart.get(normalised(question.question), "") for question in questions]

    def describe(self):
        return {"model": "parrot"}


parrot = {name: labkit.evaluate(Parrot(trained), set_, store=store, progress=False) for name, set_ in SETS.items()}
Intervals([(name, run.correct, run.n) for name, run in parrot.items()])

# %% [markdown]
# A perfect score, a narrow interval, and no use to anybody. No interval warns of a leak: it speaks of chance, not of
# cheating. (The parrot has no recipe that could be run again on a second database.)
#
# ## 8. The adversarial playground
#
# The best new questions come from trying to **break** the agent. Take one that works and change one thing at a time:
# a condition, another word, a missing value, a second table. Where it begins to fail is its boundary, and there the
# set should grow. Put in your own, with gold that you have run and read.

# %%
MINE = {
    "How many teams does the North have?": NORTH,
    "How many teams in the North have won five titles or more?": f"{NORTH} AND titles >= 5",
    "How many northern clubs are older than 1980?": f"{NORTH} AND founded < 1980",
    "How many teams in the North are looking for a coach?": f"{NORTH} AND coach = '--'",
    "How many northern teams play in an arena that opened before 2000?": "SELECT COUNT(*) FROM teams AS t "
    "JOIN arenas AS a ON a.arena_id = t.arena_id WHERE t.conference = 'North' AND a.opened < 2000",
}
grown = set_of("mine", MINE)
others = [questions, labkit.load_questions(folder / "dev.jsonl"), SETS["held-out"], trained, SETS["paraphrase"]]
for finding in labkit.lint(grown, others, progress=False):
    print(f"{finding.question_id} {finding.rule}: {finding.detail}")
for q in grown:
    print(f"{q.id}: {q.question} {labkit.execute(league, q.sql).rows}")
path = labkit.save_questions(home() / "sets" / "mine.jsonl", grown)
grown = labkit.load_questions(path, db_dir=course.datasets())
frontier = labkit.evaluate(helped_agent, grown[: course.shorter(len(grown), 2)], store=store)
print(f"{path.name}: {frontier}")
frontier.to_frame()[["question_id", "prediction", "verdict", "detail"]]

# %% [markdown]
# No finding means: the gold runs, the linter sees nothing wrong with it, and none of it is in a set that you have. The
# set is saved in the kit's folder, and the run store knows it now. When you generate training data in Lab 4, the kit
# keeps clear of its questions, so that the boundary stays honest. If your model fails from the first question on, its
# boundary is further down: ask something easier still.
#
# ## Recap
#
# - An evaluation is questions with gold, a judge and one number with n and an interval. Start with 20 to 100.
# - Exact match misses right queries, execution match passes accidents, semantic match tries changed data.
# - Two runs on the same questions are compared in pairs: fixed against broken. Twenty questions find failures and
#   prove little.
# - More queries that run are not more that are right. Measure.
# - Slices say where it fails; the easiest question that still fails is next; a target is small first, then bigger.
# - Gold is wrong too, and a leak makes any figure worthless. Lint, measure overlap, keep five figures apart.
#
# In **Lab 3** you use all of this on the usual approaches: prompts, self-reflection, retrieval.
#
# ## Go further
#
# - How many fixed questions does it take to tell a change from chance when two are broken? And when ten are?
# - Write gold that the linter passes and that is wrong. Could a rule have found it?
# - Which prediction of the recorded run is right by execution and wrong by semantic match? Say in words what it
#   answers.
# - Make the parrot smarter: let it answer with the query of the most similar question that it knows. Which of the
#   figures goes up?

# %%
course.progress()
