# ruff: noqa: B018
# %% [markdown]
# # Lab 9. Your own database
#
# The capstone. Everything so far was about databases that you were given. Now the loop runs over **yours**: any SQLite
# file. Put its path into `DB` below, and every cell works on it. As long as `DB` is empty, the lab takes a copy of the
# course's second database: Willow Lane, a veterinary clinic, which no earlier lab looked at.
#
# **After this lab you can**
#
# - read from a file what will go wrong with it, before anybody asks anything;
# - turn draft questions into an evaluation that you would sign;
# - tune a model on pairs made from the file, measure with intervals, and ask for more where it fails;
# - say what leaves the machine, what an adapter knows, and what to do when the schema changes;
# - let a colleague ask.
#
# **Time** about 60 minutes, some 10 of them waiting on a slow laptop. **You need** Labs 2, 4 and 5, and, best of all, a
# SQLite file of your own. (For CSV or Parquet files, DuckDB, PostgreSQL or MySQL: `labkit convert`, see
# docs/sources.md.)

# %%
import contextlib
import io
import json
import math
import re
import shutil
import sqlite3
import tempfile
import urllib.request
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
from IPython.display import display

import labkit
from labkit import course, curation, workspace
from labkit.agent import Agent, SqlGenerator
from labkit.datagen.glossary import entries, read_glossary
from labkit.datagen.reading import read_world
from labkit.dataset import overlap
from labkit.execution import execute_many
from labkit.schema import declared_schema, sql_name
from labkit.serving import Server
from labkit.sqltext import normalise_sql
from labkit.tuning.ready import ready
from labkit.tuning.sources import old_pairs
from labkit.tuning.starters import starter
from labkit.widgets import Curves, DataExplorer, LadderChart, TrainingView
from labkit.workspace import check, drift

setting = course.setup()
pd.set_option("display.max_colwidth", 110)
setting

# %% [markdown]
# ## 1. Your file, and what stays private
#
# With a local model nothing leaves this machine: pairs, tuning, answers, all happen here, and your file is opened
# read-only. Names of tables and columns, and values, leave it only if you ask a model behind an endpoint.
#
# But what is trained on is learnt by heart. So decide **now** which columns nobody shall ever look at: `EXCLUDE` takes
# `"column"`, `"table.column"` or `"table"`. For the clinic these are its clients' phone numbers. From the cell below to
# the lab's end no schema shows them, this page's as little as a prompt's, and a query that reads them is refused: so
# it is in `labkit run` and `labkit serve`, too. (In other Python code, put it under `with config.private():`.)
#
# `labkit init FOLDER --db FILE` makes a **workspace**, here from Python. It holds what you decide (`workspace.toml`,
# `glossary.md`), what was found (`schema.md`), draft questions, and later pairs, adapters, runs and a report.

# %% tags=["nbval-check-output"]
DB = ""  # your SQLite file, as in "~/data/shop.sqlite"; empty: a copy of the clinic
QUESTIONS = ""  # questions of your own with their SQL, JSON lines as in Lab 2; empty: none yet
EXCLUDE = () if DB else ("owners.phone",)
FOLDER = ""  # where all that is made is kept, and found again; empty: a new folder of the kit

temporary = Path(tempfile.mkdtemp(prefix="lab09-"))  # for copies that nobody needs later
place = temporary if FOLDER else course.workspace_folder("lab09")
clinic = course.datasets() / "clinic"
if DB:
    database, questions = Path(DB).expanduser().resolve(), QUESTIONS or None
else:
    database, questions = place / "clinic.sqlite", clinic / "questions.jsonl"
    shutil.copyfile(clinic / "clinic.sqlite", database)
folder = Path(FOLDER).expanduser() if FOLDER else place / "workspace"

if not (folder / "workspace.toml").is_file():
    workspace.init(folder, database, questions, EXCLUDE)
config = workspace.read_config(folder)
closed = contextlib.ExitStack()  # what is excluded stays closed until the kernel ends, or this cell runs again
closed.enter_context(config.private())
print(*sorted(path.name for path in folder.iterdir()), sep="\n")

# %% [markdown]
# ## 2. Where it bites
#
# The report's warnings. Each is a query that runs, and means something else. How does it know? You write three of the
# checks below, on the values of all visible columns (5,000 rows a table at most).

# %% tags=["nbval-check-output"]
schema = labkit.read_schema(config.database)  # what a model is shown: nothing of EXCLUDE
found = check.findings(schema)
VALUES = {}
for table in schema.tables:
    columns = [column.name for column in table.columns]
    listed = ", ".join(map(sql_name, columns))
    read = labkit.execute(config.database, f"SELECT {listed} FROM {sql_name(table.name)} LIMIT 5000")
    for place, name in enumerate(columns):
        if "." not in table.name + name:
            VALUES[f"{table.name}.{name}"] = [row[place] for row in read.rows]
print(f"{len(VALUES)} columns, {sum(map(len, VALUES.values())):,} values")
rows = [(f.kind, f"{f.table}.{f.column}".strip("."), f.text) for f in found[:20]]
pd.DataFrame(rows, columns=["kind", "where", "what"])

# %% [markdown]
# ### Exercise 1: what stands for a missing value?
#
# `NULL` is missing, and SQL knows it. `'-'` is a text like any other: it is counted, sorted, compared.


# %% tags=["nbval-check-output"]
def placeholders(values, words):
    """The texts among `values` that stand for a missing value: a sorted list, each once, as they are written.

    values: list of text, numbers and None, the last of which are missing already and not looked at.
    words: set of lower-case words, such as {"-", "unknown"}.
    A text stands for a missing value if it is one of the words, without blanks around it and capitals aside; or if it
    has no digit and comes at least twice, while 0.8 of the known values or more have one (str(value) writes a number).
    """
    # BEGIN SOLUTION
    known = [value for value in values if value is not None]
    plain = Counter(value for value in known if not any(sign.isdigit() for sign in str(value)))
    mostly = len(known) - sum(plain.values()) >= 0.8 * len(known)
    return sorted(text for text, n in plain.items() if text.strip().lower() in words or mostly and n >= 2)
    # END SOLUTION


course.check("lab09.placeholders", placeholders)

# %% tags=["nbval-check-output"]
missing_in = course.use("lab09.placeholders", placeholders)
WORDS = {"", "-", "--", "?", "n/a", "na", "none", "null", "unknown", "tbd"}
MISSING = {name: missing_in(values, WORDS) for name, values in VALUES.items()}
reported = {f"{f.table}.{f.column}" for f in found if f.kind == "placeholder"}
rows = [(name, texts, sum(v in texts for v in VALUES[name]), name in reported) for name, texts in MISSING.items()]
pd.DataFrame([row for row in rows if row[1] or row[3]], columns=["column", "stands for missing", "rows", "reported"])

# %% [markdown]
# ### Exercise 2: texts that are numbers
#
# `'9.5 kg'` is larger than `'32 kg'`, for 9 comes after 3 in the alphabet of signs. To compare them a query has to know
# the unit, cut it off and cast the rest.


# %% tags=["nbval-check-output"]
def unit_of(values):
    """The unit that all `values` have behind a number, "" where they have none, or None where they are no numbers.

    values: list of text. A number is perhaps a "-", a digit, and digits, points and commas. Behind it comes perhaps one
    blank, then the unit, in which there is no digit, point or comma. Not a number is: a code that begins with 0 and
    another digit ("0451"). All values have to be numbers of one and the same unit; None for an empty list.
    """
    # BEGIN SOLUTION
    found = [re.fullmatch(r"-?(\d[\d.,]*) ?([^\d.,]*)", value) for value in values]
    if not found or not all(found) or any(re.match(r"0\d", match[1]) for match in found):
        return None
    units = {match[2] for match in found}
    return units.pop() if len(units) == 1 else None
    # END SOLUTION


course.check("lab09.unit_of", unit_of)

# %% tags=["nbval-check-output"]
unit_in = course.use("lab09.unit_of", unit_of)
rows = []
for name, values in VALUES.items():
    known = [value for value in values if value is not None and value not in MISSING[name]]
    if all(isinstance(value, str) for value in known) and unit_in(known) is not None:
        size = {text: float(re.sub(r"[^\d.-]", "", text.replace(",", ".")).strip(".") or 0) for text in known}
        rows.append((name, unit_in(known), max(known), max(known, key=size.get)))
pd.DataFrame(rows, columns=["column", "unit", "largest text", "largest number"])

# %% [markdown]
# A microchip's number is made of digits, but nobody adds such numbers up. No check can tell; you can.
#
# ### Exercise 3: keys that nobody declared
#
# Many real files declare no foreign keys. Inclusion tells: if each value of a column is a key of another table, the two
# belong together. Small whole numbers are keys of everything, by chance; for those the names have to agree.


# %% tags=["nbval-check-output"]
def references(columns, keys):
    """A sorted list of pairs (column, key), both names as "table.column".

    columns: dict, name -> list of values; keys: list of those names whose values are keys of their table.
    A column refers to a key if the key is of another table, the column has two different known values or more (None is
    not known), and each of them is a value of the key. Where all of them are int, the names behind the points have to
    be the same, too.
    """
    # BEGIN SOLUTION
    found = []
    for name, values in columns.items():
        table, column = name.split(".")
        known = {value for value in values if value is not None}
        for key in keys:
            other, target = key.split(".")
            numbers = all(isinstance(value, int) for value in known)
            if other == table or len(known) < 2 or numbers and column != target:
                continue
            if known <= set(columns[key]):
                found.append((name, key))
    return sorted(found)
    # END SOLUTION


course.check("lab09.references", references)

# %% tags=["nbval-check-output"]
refers = course.use("lab09.references", references)
KEYS = [name for table in schema.tables for name in [f"{table.name}.{''.join(table.primary_key)}"] if name in VALUES]
declared = {
    (f"{link.table}.{column}", f"{link.other}.{other}")
    for link in schema.foreign_keys
    for column, other in zip(link.columns, link.other_columns, strict=True)
}
by_values = set(refers(VALUES, KEYS))
rows = [(*pair, pair in declared, pair in by_values) for pair in sorted(declared | by_values)]
pd.DataFrame(rows, columns=["column", "key", "declared", "by values"])

# %% [markdown]
# ## 3. What people say
#
# No file says that a *patient* is a row of `pets`, or what *overweight* means at this clinic. You do, in `glossary.md`:
# a line a word, and what it means in the tables. The generator words its questions with them. It tells you which lines
# it could not read; say those more plainly. (For your own file, write a few lines, and run the cell again.)

# %% tags=["nbval-check-output"]
glossary = folder / "glossary.md"
if not DB:
    shutil.copyfile(clinic / "glossary.md", glossary)
text = glossary.read_text("utf-8")
not_read = read_glossary(text, read_world(config.database)).not_understood
print(f"{len(list(entries(text)))} lines, {len(not_read)} of them not understood:", *not_read, sep="\n  ")

# %% [markdown]
# ## 4. From drafts to an evaluation
#
# `draft.jsonl` has questions that were generated from the file. Each query has run. That is not enough: run it again
# with the tables read backwards (SQLite can do that) and look at what comes. The same for five questions that
# colleagues of the clinic sent by mail. A gold that can be mended is **corrected**: the set gets a new version, and the
# old one stays.
#
# ### Exercise 4: may this draft stay?


# %% tags=["nbval-check-output"]
def trouble(run, sql):
    """What is wrong with a query: the first of these that applies, or "".

    run(sql, reverse): rows as a list of tuples, or None if the query fails; reverse=True reads the tables backwards.
    "fails"     it does not run
    "empty"     it has no row, or nothing but None
    "unstable"  read backwards, it has other rows, or other numbers of them; their order does not count
    "repeats"   a row comes more than once
    """
    # BEGIN SOLUTION
    rows = run(sql, False)
    if rows is None:
        return "fails"
    if all(value is None for row in rows for value in row):
        return "empty"
    if Counter(rows) != Counter(run(sql, True)):
        return "unstable"
    return "repeats" if len(set(rows)) < len(rows) else ""
    # END SOLUTION


course.check("lab09.trouble", trouble)


# %% tags=["nbval-check-output"]
def run_both_ways(sql, reverse):
    """Rows of a query on your file, or None."""
    (result,) = execute_many(config.database, [sql], reverse=reverse)
    return list(result.rows) if result.ok else None


MAILED, CORRECTED = [], {}  # what colleagues sent: (question, SQL); and what you write for the gold of an id instead
if not DB:
    MAILED = [
        ("What did we charge for the visits to Dr. Bellamy?", "SELECT amount FROM visits WHERE vet = 'Dr. Bellamy'"),
        ("Name a client from Orrin.", "SELECT name FROM owners WHERE town = 'Orrin' LIMIT 1"),
        ("Who comes first by town?", "SELECT name FROM owners ORDER BY town LIMIT 1"),
        ("Which pets were never weighed?", "SELECT name FROM pets WHERE weight IS NULL"),
        ("What are our dogs called?", "SELECT name FROM pets WHERE species = 'dog'"),
    ]
    CORRECTED["mailed-4"] = "SELECT pet_id, name FROM pets WHERE weight = 'unknown'"
    CORRECTED["mailed-5"] = "SELECT DISTINCT name FROM pets WHERE species = 'dog'"
trouble_of = course.use("lab09.trouble", trouble)
draft_file = folder / "draft.jsonl"
there = {draft.id for draft in labkit.load_questions(draft_file)}
for number, (asked, sql) in enumerate(MAILED, 1):
    if f"mailed-{number}" not in there:
        curation.add(labkit.Question(f"mailed-{number}", asked, sql, str(config.database), tags=("draft",)), draft_file)
drafts = labkit.load_questions(draft_file, db_dir=config.database.parent)
TROUBLE = {draft.id: trouble_of(run_both_ways, draft.sql) for draft in drafts}
print(Counter(kind or "fine" for kind in TROUBLE.values()))
rows = [(d.id, TROUBLE[d.id], d.question, d.sql) for d in drafts if TROUBLE[d.id]]
for id, better in CORRECTED.items():
    print(curation.correct(id, better, draft_file, config.database))
    TROUBLE[id] = trouble_of(run_both_ways, better)
drafts = labkit.load_questions(draft_file, db_dir=config.database.parent)
pd.DataFrame(rows, columns=["id", "trouble", "question", "SQL"])

# %% [markdown]
# **Accept or reject** the rest in the explorer: would a colleague ask this, in these words, and is the SQL what they
# mean? What is in trouble is rejected already. Nobody but you can do this. It takes ten minutes, and every number below
# rests on it.

# %%
ACCEPT_THE_REST = True  # False: only what you accepted yourself
explorer = DataExplorer(drafts)
for id, kind in TROUBLE.items():
    if kind:
        explorer.decide(id, "rejected")
explorer

# %% [markdown]
# What you accept leaves the drafts and becomes a set that counts, `accepted.jsonl`. Your own questions
# (`questions.jsonl`) count more: nobody words them as a generator does. Sets are never mixed.

# %% tags=["nbval-check-output"]
for draft in explorer.kept() if ACCEPT_THE_REST else explorer.accepted():
    tags = tuple("accepted" if tag == "draft" else tag for tag in draft.tags)
    curation.add(replace(draft, tags=tags), folder / "accepted.jsonl")
decisions = folder / "workspace.toml"
decisions.write_text(decisions.read_text("utf-8").replace('"draft.jsonl"]', '"accepted.jsonl"]'), "utf-8")
config = workspace.read_config(folder)
SETS = {path.stem: labkit.load_questions(path, db_dir=config.database.parent) for path in config.sets()}
for name, questions_of in SETS.items():
    print(f"{name}: {len(questions_of)} questions")
    for finding in labkit.lint(questions_of, progress=False):
        print(f"  {finding.question_id}: {finding.detail} [{finding.rule}]")
        if name == "accepted":
            print(f"  {curation.mark(finding.question_id, folder / 'accepted.jsonl', finding.detail)}")
    ran = execute_many(config.database, [question.sql for question in questions_of])
    closed_to = [q.question for q, result in zip(questions_of, ran, strict=True) if result.limit == "excluded"]
    print(f"  {len(closed_to)} need an excluded column", *closed_to, sep="\n    ")

# %% [markdown]
# The linter read every gold once more (Lab 2). It knows ties under a `LIMIT`, which reading backwards does not show
# where there is an `ORDER BY`. What it names of the accepted is set aside here: mend it, or leave it out. And what is
# excluded is gone from training and from every query, not from people's minds: of your own questions, those that need
# it cannot be answered, and count as not right. That is the price.
#
# ### Exercise 5: are these enough questions?
#
# Say a model has the accuracy $a$ now and $b$ after your work, both measured on $n$ questions. The difference can be
# told from chance if it is at least 1.96 of its standard errors:
#
# $$|b - a| \ge 1.96 \sqrt{\frac{a(1-a) + b(1-b)}{n}}$$
#
# That is a rule of thumb for two separate sets, and too hopeful near 0 and 1. The runs below ask the same questions, so
# the exact test of Lab 8 compares them in pairs: with nothing broken it takes 6 fixed questions to show a gain.


# %% tags=["nbval-check-output"]
def questions_needed(before, after):
    """The smallest whole number n, 1 or more, with which the two accuracies can be told apart; None if they are equal.

    before, after: shares from 0 to 1.
    """
    # BEGIN SOLUTION
    if before == after:
        return None
    spread = before * (1 - before) + after * (1 - after)
    return max(1, math.ceil(1.96**2 * spread / (after - before) ** 2))
    # END SOLUTION


course.check("lab09.questions_needed", questions_needed)

# %% tags=["nbval-check-output"]
needed_for = course.use("lab09.questions_needed", questions_needed)
steps = (0.02, 0.05, 0.1, 0.2, 0.3)
table = pd.DataFrame({f"+{s:.2f}": [needed_for(a, a + s) for a in (0.0, 0.3, 0.6)] for s in steps}, [0.0, 0.3, 0.6])
shown = {}
for name, questions_of in SETS.items():
    seen = next((s / 100 for s in range(1, 61) if needed_for(0.3, 0.3 + s / 100) <= len(questions_of)), None)
    print(f"{name}, n={len(questions_of)}: from 0.30, a gain of {seen} is the smallest that it can show")
    shown |= {name: (len(questions_of), seen)} if seen else {}
gains = [s / 100 for s in range(2, 40)]
lines = {
    f"from {a:.2f}": [(needed_for(a, a + s), s) for s in gains if needed_for(a, a + s) <= 400] for a in (0.0, 0.3, 0.6)
}
display(Curves(lines, "n, questions", "the smallest gain that can be told from chance", shown))
table.rename_axis("accuracy now")

# %% [markdown]
# ## 5. Where it stands: the base model
#
# The whole schema is in the prompt. `MOST` cuts each set; a smaller number is a shorter wait and a wider interval.

# %%
MOST = 30
SETS = {path.stem: labkit.load_questions(path, db_dir=config.database.parent) for path in config.sets()}
MEASURED = {name: questions_of[: course.shorter(MOST, 1)] for name, questions_of in SETS.items()}
store = labkit.RunStore()  # your climb: `labkit progress` and the certificate show it
base = labkit.load_model(setting.model)
RUNS = {name: {} for name in MEASURED}


def ladders(before, after):
    """A chart for each set, and what the later run fixed and broke."""
    for name, runs in RUNS.items():
        print(f"{name}: {before} -> {after}: {labkit.compare(runs[before], runs[after])}")
        display(LadderChart(runs))


def measure(label, loaded, prompt):
    """Evaluate a model on each set, apart; the runs are kept in RUNS."""
    generator = SqlGenerator(loaded, prompt, max_new_tokens=min(setting.max_new_tokens, 100))
    for name, asked in MEASURED.items():
        RUNS[name][label] = labkit.evaluate(generator, asked, store=store)
        print(f"{name:10} {label:12} {RUNS[name][label]}, {RUNS[name][label].valid} queries run")


measure("base", base, "plain")

# %% [markdown]
# ## 6. Pairs from the file
#
# The generator keeps clear of your question sets, and counts what each filter dropped. What it lacks stands below: a
# column that no pair asks about is a column that the model won't know.

# %%
PAIRS = 300  # more teach more; 0.6 to 1.5 s each. `labkit run` takes 2,000
apart = [folder / f"{name}.jsonl" for name in SETS]


def pairs_for(n, **more):
    """Pairs from the file alone, kept apart from your sets."""
    given = {"avoid": apart, "exclude": config.exclude, "glossary": glossary, "wordings": 1, "progress": False}
    return labkit.generate(config.database, n, **(given | more))


made = pairs_for(course.shorter(PAIRS, 6), seed=setting.seed)
print(made.report)
ran = execute_many(config.database, [pair.sql for pair in made.pairs])
print("pairs that read what is excluded:", sum(result.limit == "excluded" for result in ran))
DataExplorer.of(made)

# %% [markdown]
# ### Your query log
#
# If people query your file already, their queries are training data: `labkit.from_queries` words them. Each query gets
# several wordings. Beware: who then cuts the list anywhere has one wording in training and another in evaluation, with
# the same query behind both. (For want of a log, forty generated queries play one below.)
#
# ### Exercise 6: a split without a leak


# %% tags=["nbval-check-output"]
def split(pairs, n):
    """A tuple of two lists of ids: evaluation, training.

    pairs: list of (id, query). All pairs of one query go to the same side. Queries are taken in the order in which they
    first come: to the evaluation as long as it has fewer than n ids, then to training. Ids of a query stay in order.
    """
    # BEGIN SOLUTION
    groups = {}
    for id, query in pairs:
        groups.setdefault(query, []).append(id)
    evaluation, training = [], []
    for ids in groups.values():
        (evaluation if len(evaluation) < n else training).extend(ids)
    return evaluation, training
    # END SOLUTION


course.check("lab09.split", split)

# %% tags=["nbval-check-output"]
split_by = course.use("lab09.split", split)
log = [pair.sql for pair in pairs_for(40, seed=7)]
worded = labkit.from_queries(log, config.database, exclude=config.exclude, glossary=glossary, wordings=3)
listed = sorted((pair.question, normalise_sql(pair.sql)) for pair in worded.pairs)
query_of = dict(listed)
half = len(listed) // 2
for name, (left, right) in {
    "anywhere": ([q for q, _ in listed[:half]], [q for q, _ in listed[half:]]),
    "by query": split_by(listed, half),
}.items():
    shared = {query_of[q] for q in left} & {query_of[q] for q in right}
    print(f"{name}: {len(left)} to measure, {len(right)} to train; {len(shared)} queries are on both sides")

# %% [markdown]
# ## 7. Tune
#
# From the kit's starter, which knows how questions become SQL and has never seen your file (Lab 5). It runs in a
# thread: press **Stop** and **Start or go on** as you like. Too slow? Make `PAIRS` smaller.
#
# No time to wait, and it is the clinic? Set `REPLAY = True`, as in Lab 5: neither this tuning nor the second one is
# made then. You go on with two adapters that the kit carries, made by this lab on the default model and cut small. They
# are marked as **replayed** wherever they show, with the weights' hash and date. All questions are still asked here.

# %%
REPLAY = False  # True: don't tune, take the ready adapters
assert not (REPLAY and DB), "The ready adapters know the clinic and not your file. Set REPLAY = False."
mine = "replayed" if REPLAY else "tuned"
begin = "starter"
try:
    starter(base)
except labkit.LabkitError as error:
    print(error)
    begin = None  # another model than the default: from its bare weights
said = io.StringIO()  # what the kit says meanwhile


def lesson_on(pairs, adapter, replayed=None):
    """A training view of `labkit.tune`; the adapter is kept in the workspace, named by its pairs."""
    out = folder / f"adapter-{labkit.QuestionSet('pairs', tuple(pairs)).sha256[:10]}"

    def tuning(watch):
        if replayed:
            return replayed.play(folder, watch)
        with contextlib.redirect_stderr(said):
            return labkit.tune(base, pairs, out=out, adapter=adapter, rate=config.rate, avoid=apart,
                               store=store, seed=setting.seed, progress=False, watch=watch)  # fmt: skip

    earlier = old_pairs(adapter, pairs) if isinstance(adapter, Path) else []  # some of them are trained on again
    labels = {pair.id: pair.question for pair in [*pairs, *earlier]}
    return TrainingView(tuning, labels, note=str(replayed or "")).start()


def taken(name):
    """The ready adapter of that name if you chose it; none that was trained on what is asked here."""
    if not REPLAY:
        return None
    found = ready(f"lab09-{name}", base)
    shared = [each.text for asked in SETS.values() for each in overlap(found.pairs, asked) if each.kind != "skeleton"]
    assert not shared, f"The ready adapter was trained on questions of yours, such as {shared[0]}. Set REPLAY = False."
    return found


first_taken = taken("first")
pairs = list(first_taken.pairs if first_taken else made.pairs)
made.save(folder / "pairs-lab09.jsonl")
lesson = lesson_on(pairs, begin, first_taken)
lesson

# %%
first = lesson.wait()
assert first, "It was stopped; the work is kept. Press Start, and run this cell again."
print(lesson.summary())
knows = labkit.load_model(setting.model, adapter=first.adapter)
measure(mine, knows, None)
ladders("base", mine)

# %% [markdown]
# ## 8. What fails, and more of it
#
# Each set has a ladder of its own. Read it with its intervals, then look at both. Questions that the generator worded
# are usually answered far better than those that people wrote: is it so here? Who measures with drafts alone would be
# content too early. That is why your own questions count more, and why a glossary, a log and the words of your people
# are worth more than another thousand pairs.
#
# Now the wheel of Lab 8, on your file: look at the classes, draw more pairs of what fails, go on tuning, measure again.
# Last, how many were right each time, beside the range of recorded runs: other seeds, two number formats. They were on
# the clinic, so a file of your own has no band.

# %%
DIAGNOSED = {name: labkit.diagnose_run(runs[mine], MEASURED[name], progress=False) for name, runs in RUNS.items()}
classes = {name: Counter(i.diagnosis.failure_class for i in run.failures()) for name, run in DIAGNOSED.items()}
for name, run in DIAGNOSED.items():
    for item in run.failures()[:2]:
        print(f"{name}: {item.question.question}\n    said   {item.result.prediction}\n    wanted {item.question.sql}")
        print(f"    {item.diagnosis.failure_class}: {item.diagnosis.evidence}")
pd.DataFrame(classes).fillna(0).astype(int).sort_index()

# %%
MORE = 120
target = DIAGNOSED[next(iter(DIAGNOSED))]  # your own questions where you have some
drawn = pairs_for(course.shorter(MORE, 4), seed=setting.seed + 1, target=target)
seen = {normalise_sql(pair.sql) for pair in pairs}
more = [pair for pair in drawn if normalise_sql(pair.sql) not in seen]
print(f"{len(more)} of {len(drawn)} are new: {Counter(pair.tags[0] for pair in more).most_common(5)}")
again_taken = taken("again")
more = list(again_taken.pairs) if again_taken else more
lesson = lesson_on(more, first.adapter, again_taken)
lesson

# %%
second = lesson.wait()
assert second, "It was stopped; the work is kept. Press Start, and run this cell again."
print(lesson.summary())
knows = labkit.load_model(setting.model, adapter=second.adapter)
measure(f"{mine} again", knows, None)
ladders(mine, f"{mine} again")
if DB:  # nobody has recorded your file
    figures = {f"your file: {name}, {label}": run.correct for name, runs in RUNS.items() for label, run in runs.items()}
else:
    asked, drafted, again = RUNS["questions"], RUNS["accepted"], f"{mine} again"
    figures = {"questions, base": asked["base"].correct, "accepted, base": drafted["base"].correct}
    tuned = {"questions, tuned": asked[mine].correct, "questions, tuned again": asked[again].correct}
    tuned |= {"accepted, tuned": drafted[mine].correct, "accepted, tuned again": drafted[again].correct}
    figures |= {f"replayed: {name}": value for name, value in tuned.items()} if REPLAY else tuned
course.expected("lab09", figures, setting)

# %% [markdown]
# Was it a real gain? Look at p above each chart: at 0.05 or more you don't know yet. Then it takes more questions, or
# more pairs. `labkit run` does 3,200 pairs in one go, unless `workspace.toml` says otherwise, and then ranks the
# model's answers against verified queries; that takes more than half an hour, and reaches more.
#
# ## 9. What the adapter knows now
#
# The values of your file that stand in its training pairs are in its weights, and in plain text in its folder
# (`pairs.jsonl`, for going on later). Its folder is as private as these columns:

# %%
told = "\n".join(f"{pair.question} {pair.sql}" for pair in [*pairs, *more])
rows = []
for name, values in VALUES.items():
    texts = {value for value in values if isinstance(value, str) and len(value) > 3}
    rows.append((name, len(texts), sum(f"'{text}'" in told for text in texts)))
kept = pd.DataFrame(rows, columns=["column", "different texts", "in training"]).sort_values("in training")
print("excluded, not to be read:", ", ".join(config.exclude) or "nothing")
kept[kept["in training"] > 0][::-1].head(10)

# %% [markdown]
# What can't be done: taking one person out of an adapter. Tune a new one without the pairs, and delete the old folder.
# (Facts in a memory bank, Lab 7, can be forgotten by name.) And mind copies: `EXCLUDE` closes a column, not a value
# that an open column repeats, such as a number in a remark. docs/privacy.md has it all.
#
# ## 10. When the schema changes
#
# Some day a column is renamed. On a copy of your file, now. `labkit run` compares before it does anything, and says
# what has to be made anew. It never throws away your questions.

# %% tags=["nbval-check-output"]
changed_file = temporary / f"changed-{config.database.name}"
shutil.copyfile(config.database, changed_file)
whole = declared_schema(config.database)
one = next(table for table in whole.tables if not table.is_view)
last = one.columns[-1].name
with contextlib.closing(sqlite3.connect(changed_file)) as connection:
    connection.execute(f"ALTER TABLE {sql_name(one.name)} RENAME COLUMN {sql_name(last)} TO {sql_name(last + '_old')}")
    connection.execute(f"ALTER TABLE {sql_name(one.name)} ADD COLUMN remark TEXT")
    connection.commit()
changed = drift.changes(drift.shape(whole), drift.shape(declared_schema(changed_file)))
print(*(f"{table}: {', '.join(what)}" for table, what in changed.items()), sep="\n")
for name, questions_of in SETS.items():
    print(f"{name}: {drift.touched(list(questions_of), changed)} of {len(questions_of)} ask of these tables")

# %%
elsewhere = temporary / "workspace-changed"
elsewhere.mkdir(exist_ok=True)
for name in ("workspace.toml", "schema.json", "accepted.jsonl", "pairs-lab09.jsonl"):
    shutil.copyfile(folder / name, elsewhere / name)
told = (elsewhere / "workspace.toml").read_text("utf-8").replace(str(config.database), str(changed_file))
(elsewhere / "workspace.toml").write_text(told, "utf-8")
try:
    workspace.run(elsewhere)
except labkit.LabkitError as error:
    print(str(error).replace(str(elsewhere), "FOLDER"))

# %% [markdown]
# ## 11. A colleague asks
#
# `labkit serve FOLDER` serves the newest adapter of a workspace: a page to ask on, and an endpoint as OpenAI has it. On
# this machine only, unless you say `--host`; there is no login. Here for the length of one question:

# %%
server = Server(Agent(knows, config.database, max_new_tokens=setting.max_new_tokens), port=0).start()
asked = next(d for d in reversed(drafts) if not TROUBLE[d.id])
request = urllib.request.Request(server.url + "/ask", json.dumps({"question": asked.question}).encode())
with urllib.request.urlopen(request) as reply:
    answer = json.load(reply)
server.stop()
print(f"{second.adapter.name} was asked: {asked.question}", answer["sql"], answer["sentence"], sep="\n")
verdict = labkit.score(asked, answer["sql"], config.database)
print("beside the accepted query:", verdict.verdict, verdict.detail)

# %% [markdown]
# The page shows what the model answers, right or wrong, and a colleague does not see which. That is why a workspace
# measures before it serves.
#
# ## Recap
#
# - A file tells, before anybody asks, where queries will run and mean something else.
# - Drafts are generated; an evaluation is what a person accepted, corrected and linted. Small sets show large gains
#   only.
# - Pairs come from the file and keep clear of what measures. Splits go by query.
# - Each set has its own ladder, with n and interval. Failures say what to generate next.
# - An adapter is as private as its training data; a changed schema makes it stale.
#
# ## Go further
#
# - Set `DB` to your own file and `FOLDER` to a place that stays, and go through the lab again.
# - The same without a hand, with more pairs and one page to send round: `labkit init FOLDER --db FILE`, edit
#   `glossary.md`, `labkit run FOLDER`, `labkit serve FOLDER`.
# - `labkit progress --certificate PAGE.html` writes the page of what you climbed, each question set with a ladder of
#   its own; `--runs FOLDER/runs.db` puts beside it what `labkit run` measured. The same, as text:

# %%
print(labkit.progress())
course.progress()
