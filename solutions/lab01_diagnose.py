# ruff: noqa: B018
# %% [markdown]
# # Lab 1. Diagnose hallucinations
#
# "The model is wrong" helps nobody. *How* is it wrong? In this lab you run wrong queries on the league, sort them
# into kinds, and let the kit do the same for a whole run of a real model.
#
# **After this lab you can**
#
# - tell invalid SQL from malformed SQL, and say why the second is the dangerous one;
# - find invented columns without running anything;
# - repair three classic traps: money kept as text, missing values, ties;
# - say why a model's SQL is never run on a plain connection, and what a sandbox does about it;
# - compare two answers the way an evaluation does, and class a failure;
# - read the table of failures of a run, and name what to work on first.
#
# **Time** about 50 minutes. **You need** Lab 0, or an idea of what a SQL agent is.

# %%
import hashlib
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path

import pandas as pd
import sqlglot
from IPython.display import display
from sqlglot import exp

import labkit
from labkit import course
from labkit.agent import Agent, SqlGenerator
from labkit.failures import HINTS
from labkit.inspecting import records
from labkit.prompting import few_shot
from labkit.widgets import FailureInspector

setting = course.setup()
setting

# %%
pd.set_option("display.max_colwidth", 120)
league = course.league()
schema = labkit.read_schema(league)
columns = {table.name: [column.name for column in table.columns] for table in schema.tables}


def run(sql: str):
    """One query in the sandbox: its rows, or the reason why there are none."""
    result = labkit.execute(league, sql)
    return list(result.rows) if result.ok else result.error


# %% [markdown]
# ## 1. Invalid SQL: the database refuses
#
# The harmless kind. The model writes something that does not exist, and the database says so.

# %% tags=["nbval-check-output"]
for sql in (
    "SELECT full_name FROM players",
    "SELECT * FROM matches",
    "SELECT name FROM players WHERE YEAR(birth_date) = 2003",
    "SELECT TOP 5 name FROM players",
):
    print(f"{sql}\n  {run(sql)}\n")

# %% [markdown]
# An invented **column**, an invented **table**, an invented **function**, a **format** of another product. Each
# is likely SQL: `full_name`, `matches` and `YEAR` stand in thousands of public databases. They just don't stand
# in yours.
#
# ### Exercise 1: find invented columns
#
# sqlglot reads SQL without a database. It gives a tree that you can search.

# %% tags=["nbval-check-output"]
tree = sqlglot.parse_one("SELECT p.name AS who, wage FROM players AS p ORDER BY who", read="sqlite")
print("columns:", [column.name for column in tree.find_all(exp.Column)])
print("aliases:", [alias.alias for alias in tree.find_all(exp.Alias)])


# %% tags=["nbval-check-output"]
def find_invented_columns(sql, schema):
    """Names of columns used in `sql` that no table of `schema` has, each once, sorted.

    schema: a dict, table name -> list of column names. Capitals don't matter in SQL names.
    A name that the query itself makes with AS is not invented.
    """
    # BEGIN SOLUTION
    tree = sqlglot.parse_one(sql, read="sqlite")
    known = {name.lower() for columns in schema.values() for name in columns}
    known |= {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
    used = {column.name for column in tree.find_all(exp.Column)}
    return sorted(name for name in used if name.lower() not in known)
    # END SOLUTION


course.check("lab01.find_invented_columns", find_invented_columns)

# %% tags=["nbval-check-output"]
invented = course.use("lab01.find_invented_columns", find_invented_columns)
for sql in (
    "SELECT full_name, wage FROM players",
    "SELECT name FROM players WHERE team_name = 'Foxes'",
    "SELECT nickname FROM teams",
):
    print(invented(sql, columns), "in", sql)

# %% [markdown]
# ## 2. Malformed SQL: it runs, and means something else
#
# The dangerous kind. No error, rows come back, the sentence looks fine. Of each pair, the first query is what a
# model tends to write, and the second answers the question.

# %% tags=["nbval-check-output"]
PAIRS = {
    "Which salary is the highest?": (
        "SELECT MAX(salary) FROM contracts",
        "SELECT salary FROM contracts WHERE salary <> '--' "
        "ORDER BY CAST(REPLACE(REPLACE(salary, '$', ''), ',', '') AS INTEGER) DESC LIMIT 1",
    ),
    "What was the average three-point percentage in 2031?": (
        "SELECT ROUND(AVG(three_pct), 1) FROM season_stats WHERE season = 2031",
        "SELECT ROUND(AVG(CAST(three_pct AS REAL)), 1) FROM season_stats WHERE season = 2031 AND three_pct <> '--'",
    ),
    "How many players were picked after number 30?": (
        "SELECT COUNT(*) FROM players WHERE draft_pick > 30",
        "SELECT COUNT(*) FROM players WHERE draft_pick > 30 AND draft_pick <> 'undrafted'",
    ),
    "How many contracts were signed since January 2031?": (
        "SELECT COUNT(*) FROM contracts WHERE signed >= '2031-01-01'",
        "SELECT COUNT(*) FROM contracts WHERE SUBSTR(signed, 7, 4) >= '2031'",
    ),
    "How many players did not go to Brightwater?": (
        "SELECT COUNT(*) FROM players WHERE college <> 'Brightwater'",
        "SELECT COUNT(*) FROM players WHERE college IS NOT 'Brightwater'",
    ),
    "How many players have no college?": (
        'SELECT COUNT(*) FROM players WHERE "colege" IS NULL',
        "SELECT COUNT(*) FROM players WHERE college IS NULL",
    ),
    "How many home games have the Anvils played?": (
        "SELECT COUNT(*) FROM games, teams WHERE nickname = 'Anvils'",
        "SELECT COUNT(*) FROM games JOIN teams ON team_id = home_id WHERE nickname = 'Anvils'",
    ),
}

for question, (wrong, right) in PAIRS.items():
    print(f"{question}\n  {wrong}\n  gives {run(wrong)}, and the answer is {run(right)}\n")

# %% [markdown]
# Go through them one by one. What happened?
#
# | question | trap |
# |---|---|
# | highest salary | salaries are **text**. `MAX` compares character by character, and `-` comes after `$` |
# | three-point percentage | `--` is missing, and SQLite counts it as **0** in an average |
# | picked after 30 | a column declared INTEGER holds the **word** `undrafted`, and text is greater than any number |
# | signed since 2031 | dates have **two shapes** in this database, and they are compared letter by letter |
# | not Brightwater | `NULL <> 'Brightwater'` is not true: players **without** a college are dropped |
# | no college | `"colege"` is misspelt, and SQLite silently takes a double-quoted unknown name for **text** |
# | home games | no join condition: **every** game with the one team |
#
# ### Exercise 2: money
#
# Write the SQL expression that turns a money column into a number. `$1,234,567` becomes 1234567, `--` becomes
# NULL.


# %% tags=["nbval-check-output"]
def money_sql(column):
    """A SQL expression: the integer amount in `column`, which holds texts like '$1,234,567'; NULL for '--' and NULL.

    column: the column's name. Returns SQL text, to stand in a SELECT.
    """
    # BEGIN SOLUTION
    return f"CAST(REPLACE(REPLACE(NULLIF({column}, '--'), '$', ''), ',', '') AS INTEGER)"
    # END SOLUTION


course.check("lab01.money_sql", money_sql)

# %% tags=["nbval-check-output"]
money = course.use("lab01.money_sql", money_sql)("salary")
print("as text:  ", run("SELECT MIN(salary), MAX(salary), AVG(salary) FROM contracts"))
print("as number:", run(f"SELECT MIN({money}), MAX({money}), CAST(AVG({money}) AS INTEGER) FROM contracts"))

# %% [markdown]
# ### Exercise 3: ties
#
# Who are the top five by titles? `LIMIT 5` gives five rows. Which five, when two teams share fifth place, is up
# to chance.

# %% tags=["nbval-check-output"]
print(run("SELECT nickname, titles FROM teams ORDER BY titles DESC LIMIT 5"))
print(run("SELECT nickname, titles FROM teams ORDER BY titles DESC, nickname LIMIT 5"))


# %% tags=["nbval-check-output"]
def top_sql(table, label, value, n):
    """SQL text: `label` and `value` of every row of `table` whose place by `value`, largest first, is n or better.

    Rows with equal values share a place: 9, 7, 7, 5 are on places 1, 2, 2, 4. Rows without a value have no place.
    """
    # BEGIN SOLUTION
    place = f"RANK() OVER (ORDER BY {value} DESC) AS place"
    ranked = f"SELECT {label}, {value}, {place} FROM {table} WHERE {value} IS NOT NULL"
    return f"SELECT {label}, {value} FROM ({ranked}) WHERE place <= {n}"
    # END SOLUTION


course.check("lab01.top_sql", top_sql)

# %% tags=["nbval-check-output"]
top = course.use("lab01.top_sql", top_sql)
sorted(run(top("teams", "nickname", "titles", 5)), key=lambda row: (-row[1], row[0]))

# %% [markdown]
# ## 3. Never run a model's SQL on a plain connection
#
# The text comes from a model, and what the model writes depends on what somebody typed. So it is **untrusted
# code**. On a plain connection the agent would do whatever it says. Here on a copy that is thrown away:

# %% tags=["nbval-check-output"]
with tempfile.TemporaryDirectory() as folder:
    copy = Path(folder) / "copy.sqlite"
    copy.write_bytes(league.read_bytes())
    connection = sqlite3.connect(copy)
    before = connection.execute("SELECT COUNT(*) FROM players").fetchone()
    connection.execute("DELETE FROM players WHERE name LIKE 'A%'")
    after = connection.execute("SELECT COUNT(*) FROM players").fetchone()
    connection.close()
print(f"players before: {before[0]}, after: {after[0]}")

# %% [markdown]
# `labkit.execute` runs each query in a separate process that can be killed, on a fresh read-only connection with
# a list of what is allowed, and with limits on time, memory and rows. Some attacks, on the real file:

# %%
ATTACKS = {
    "delete rows": "DELETE FROM players",
    "change a salary": "UPDATE contracts SET salary = '$1'",
    "drop a table": "DROP TABLE games",
    "hide a second statement": "SELECT 1; DROP TABLE games",
    "copy the database to a new file": "VACUUM INTO 'stolen.sqlite'",
    "open another file": "ATTACH 'other.sqlite' AS other",
    "change a setting": "PRAGMA writable_schema = 1",
    "load code": "SELECT load_extension('evil')",
    "never end": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n",
    "fill the memory": "SELECT LENGTH(printf('%.*c', 900000000, 'x'))",
    "join everything with everything": "SELECT COUNT(*) FROM games, games AS g2, games AS g3, games AS g4",
}

fingerprint = hashlib.sha256(league.read_bytes()).hexdigest()
outcomes = {name: labkit.execute(league, sql) for name, sql in ATTACKS.items()}
rows = [(name, r.limit, r.error.split(". ")[0], round(r.seconds, 2)) for name, r in outcomes.items()]
pd.DataFrame(rows, columns=["attack", "limit", "what the sandbox said", "seconds"])

# %% tags=["nbval-check-output"]
print("any attack ran:       ", any(result.ok for result in outcomes.values()))
print("database is unchanged:", hashlib.sha256(league.read_bytes()).hexdigest() == fingerprint)
print("a file was created:   ", any(Path(name).exists() for name in ("stolen.sqlite", "other.sqlite")))

# %% [markdown]
# The harmless works as ever, also where it looks suspicious.

# %% tags=["nbval-check-output"]
query = "WITH best AS (SELECT MAX(titles) AS most FROM teams) SELECT nickname AS 'drop' FROM teams, best"
run(f"{query} WHERE titles = most; -- a comment")

# %% [markdown]
# ## 4. When are two answers the same?
#
# To judge a query, we run it and compare its rows with those of the right query. The text does not matter. What
# does?
#
# ### Exercise 4: the same rows


# %% tags=["nbval-check-output"]
def same_rows(gold, pred):
    """True if both lists hold the same rows, each as often as in the other, in any order.

    gold, pred: lists of tuples; values are None, int, float or str, also mixed in one column.
    """
    # BEGIN SOLUTION
    return Counter(gold) == Counter(pred)
    # END SOLUTION


course.check("lab01.same_rows", same_rows)

# %% tags=["nbval-check-output"]
same = course.use("lab01.same_rows", same_rows)
gold = run("SELECT conference FROM teams WHERE titles >= 4")
for sql in (
    "SELECT conference FROM teams WHERE titles > 3 ORDER BY conference DESC",
    "SELECT DISTINCT conference FROM teams WHERE titles >= 4",
):
    print(same(gold, run(sql)), "for", sql)

# %% [markdown]
# Many evaluators compare *sets* of rows. Then `DISTINCT` makes no difference, and a wrong query counts as right.
# labkit's own scoring counts duplicates like yours. Beyond that it knows when order matters, allows for rounding,
# and tells unstable questions apart. In Lab 2 you build an evaluation on it.
#
# ### Exercise 5: class a prediction


# %% tags=["nbval-check-output"]
def classify(gold, pred):
    """ "right", "malformed" or "invalid".

    gold, pred: results of labkit.execute, with .rows, .error (None if it ran), .truncated (True if rows were cut off).
    Refused or stopped is invalid. Run, but with other rows or only a part of them, is malformed.
    """
    # BEGIN SOLUTION
    if pred.error:
        return "invalid"
    if pred.truncated or Counter(gold.rows) != Counter(pred.rows):
        return "malformed"
    return "right"
    # END SOLUTION


course.check("lab01.classify", classify)

# %% tags=["nbval-check-output"]
kind = course.use("lab01.classify", classify)
for question, (wrong, right) in PAIRS.items():
    print(f"{kind(labkit.execute(league, right), labkit.execute(league, wrong)):10} {question}")

# %% [markdown]
# ## 5. Diagnose a whole run
#
# Right or wrong is not enough to work with. `labkit.diagnose` gives a failure a finer class, with evidence and a
# hint. It puts pieces of the right query into the wrong one and looks which of them mends it. The class names what
# has to change, not the trap behind it: `<>` instead of `IS NOT` is a condition, so a filter. All classes, and then
# those of the malformed queries from above:

# %%
display(pd.DataFrame(HINTS.items(), columns=["class", "what to do about it"]))
diagnoses = []
for question, (wrong, right) in PAIRS.items():
    pair = labkit.Question(question, question, right, str(league))
    found = labkit.diagnose(pair, wrong, labkit.score(pair, wrong, league), schema)
    diagnoses.append({"question": question, "class": found.failure_class, "evidence": found.evidence})
pd.DataFrame(diagnoses)

# %% [markdown]
# Look at the double-quoted column: it ran, so you called it malformed. The kit knows that the name is invented,
# and calls it so. The class should say what to mend.
#
# `labkit.evaluate` collects the predictions of a model, and `labkit.diagnose_run` diagnoses all that failed.
# First the model on your machine. If you did Lab 0, its run is in the store and comes back at once. (A line says so.)

# %%
questions = labkit.load_questions(course.datasets() / "league" / "start.jsonl")
asked = questions[: course.shorter(len(questions), 3)]
model = labkit.load_model(setting.model)
store = labkit.RunStore()
live = labkit.evaluate(SqlGenerator(model, max_new_tokens=setting.max_new_tokens), asked, store=store)
print(f"run {live.id}: {live}; {live.valid} of {live.n} predictions could be run")
diagnosed = labkit.diagnose_run(live, asked)
diagnosed.slices("class").round(2)

# %%
shown = ["question", "prediction", "class", "evidence"]
diagnosed.to_frame()[shown].head(4)

# %% [markdown]
# Taken together, the *invalid* classes are the most: with a small model much is wrong in **form**, as in no SQL at
# all, broken syntax, invented names. So begin there and show it the form: a few worked examples in the prompt. None
# of them is in the question set.

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


second = labkit.evaluate(SqlGenerator(model, with_examples, max_new_tokens=setting.max_new_tokens), asked, store=store)
print(f"run {second.id}: {second}; {second.valid} of {second.n} predictions could be run")
diagnosed_second = labkit.diagnose_run(second, asked)
two = {"plain": diagnosed.slices("class")["n"], "with examples": diagnosed_second.slices("class")["n"]}
pd.DataFrame(two).fillna(0).astype(int)

# %%
diagnosed_second.to_frame()[shown].head(8)

# %% [markdown]
# Compare the two columns. Which classes became fewer, and which came up instead? This is why diagnosis is
# **iterative**: mend one class of failure and the next one shows. The score may not have moved at all, and still
# you know more.
#
# ### A larger model, and one on its way
#
# The kit also carries answers that a larger model gave, and your small one when half tuned and when tuned. They were
# recorded once. Scored and diagnosed they are here and now. Below the table go through the failures one at a time:
# choose a run, a class or a tag; what differs between gold and prediction is marked, clause by clause, and so are the
# cells of the results. (Lab 8 gives this view its buttons.)

# %%
recordings = course.recorded_runs()
print(*recordings or ["No recorded run in datasets/league/runs: the cells below show your second run again."], sep="\n")
opened = {"second run": diagnosed_second}
if recordings:
    sets = [labkit.load_questions(course.datasets() / "league" / f"{name}.jsonl") for name in ("start", "dev")]
    answered = recordings[0].answered(sets)
    answered = answered[: course.shorter(len(answered), 6)]
    runs = {recording.model: labkit.evaluate(recording, answered, store=store) for recording in recordings}
    opened = {name: labkit.diagnose_run(run, answered) for name, run in runs.items()}
diagnosed_larger = next(iter(opened.values()))
larger = diagnosed_larger.run
for name, diagnosed in opened.items():
    print(f"{name}: {diagnosed.run}; {diagnosed.run.valid} of {diagnosed.run.n} predictions could be run")
pd.DataFrame({name: diagnosed.slices("class")["n"] for name, diagnosed in opened.items()}).fillna(0).astype(int)

# %%
asked_set = answered if recordings else questions
FailureInspector([r for name, diagnosed in opened.items() for r in records(diagnosed, asked_set, name)])

# %% [markdown]
# The more of a model's queries run, the larger is the share of *malformed* among its failures: compare the columns
# from left to right. Which knowledge do the failed
# questions need? Each question carries tags.

# %%
diagnosed_larger.slices("tag").round(2)

# %% [markdown]
# ### A next target
#
# Don't aim at everything. Take the largest class that you know how to work on, and set a target for the next run
# that you can reach: first small, then bigger.
#
# Below that, your own model's two runs, beside the range of recorded ones: other seeds, two number formats. (Its
# answers are greedy: a seed changes none of them, the rounding of another format may.)

# %%
classes = Counter(name for name in diagnosed_larger.to_frame()["class"] if name)
for name, count in classes.most_common(1):
    print(f"largest class of failure: {name}, {count} of {larger.n} questions")
    print(f"right now: {larger.correct} of {larger.n}; with that class mended, at best: {larger.correct + count}")
figures = {"plain, right": live.correct, "plain, could be run": live.valid}
figures |= {"with examples, right": second.correct, "with examples, could be run": second.valid}
course.expected("lab01", figures, setting)

# %% [markdown]
# ## 6. The adversarial playground
#
# Try to break it. Ask something easy, then change one thing: another word for a column, a missing value, a tie,
# two tables. Where does it start to fail? That boundary is where new questions for the evaluation are worth most.
# Put in your own questions.

# %%
agent = Agent(model, league, prompt=with_examples, max_new_tokens=setting.max_new_tokens)
for question, right in {
    "How many teams are in the South?": "SELECT COUNT(*) FROM teams WHERE conference = 'South'",
    "How many teams are there?": "SELECT COUNT(*) FROM teams",
    "How many arenas are there?": "SELECT COUNT(*) FROM arenas",
}.items():
    answer = agent.ask(question)
    print(f"{question}\n  SQL: {answer.sql}\n  {answer.sentence}\n  The league says: {run(right)}\n")

# %% [markdown]
# Read the SQL, not only the sentence. A wrong number comes in a sentence as good as a right one. And a right
# number may come from a query that only happens to give it: change the data, and it is wrong.
#
# ## Recap
#
# - **Invalid** SQL is refused: an invented column, table, function or format. You hear about it.
# - **Malformed** SQL runs and answers another question. Nobody hears about it, unless you measure.
# - The mess in real data sets the traps: text for numbers, signs for missing, ties, look-alike names, quotes.
# - Untrusted SQL is run in a sandbox, or not at all.
# - Answers are compared by their rows, as bags. Each failure has a class, and the largest class is the next thing
#   to work on.
#
# In **Lab 2** you turn this into an evaluation that you can trust.
#
# ## Go further
#
# - `find_invented_columns` accepts `SELECT nickname FROM players`: the column is real, but in another table. Can
#   you find those?
# - Write a query that `classify` calls right, and that is right by accident only. Which change in the data would
#   show it?
# - Run your worst idea of an attack through `run`. What stops it?

# %%
course.progress()
