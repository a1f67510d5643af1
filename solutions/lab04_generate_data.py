# ruff: noqa: B018
# %% [markdown]
# # Lab 4. Generate training data
#
# "We haven't enough data to tune a model" is rarely true. A database holds thousands of facts, its columns have
# formats, a glossary says how people talk, a log says what they ask. This lab turns all of that into pairs of a
# question and its query. Nobody writes them by hand.
#
# **After this lab you can**
#
# - find out what a column really holds, whatever its type says;
# - make many wordings from one line, and pairs from wordings and values;
# - filter pairs by what their queries give, and drop those that say the same;
# - read what a set covers and lacks, and generate what is missing;
# - keep private columns out, and evaluation questions too;
# - look at pairs, accept or reject them, and lose nothing.
#
# **Time** about 50 minutes. **You need** Labs 0 and 2, or SQL and an idea of what an evaluation set is. No model is
# loaded in this lab.

# %%
import itertools
import re
from collections import Counter

import pandas as pd

import labkit
from labkit import course
from labkit.datagen.formats import recognise
from labkit.home import home
from labkit.sqltext import normalise_question, normalise_sql
from labkit.widgets import Curves, DataExplorer

setting = course.setup()
setting

# %% [markdown]
# ## 1. You have more data than you think
#
# This is one small database. Each value of each column can stand in a question, and most pairs of columns can as well.

# %% tags=["nbval-check-output"]
pd.set_option("display.max_colwidth", 100)
league = course.league()
folder = course.datasets() / "league"
schema = labkit.read_schema(league)
VALUES = {
    f"{table.name}.{column.name}": [
        row[0] for row in labkit.execute(league, f"SELECT DISTINCT {column.name} FROM {table.name} LIMIT 500").rows
    ]
    for table in schema.tables
    for column in table.columns
}
print(f"{len(schema.tables)} tables, {len(VALUES)} columns, {sum(map(len, VALUES.values())):,} values to ask about")
print("(at most 500 of a column)")

# %% [markdown]
# Those values are where models stumble. The type says TEXT, and the column holds money. Whoever sorts it as text gets
# nonsense, and no error.

# %% tags=["nbval-check-output"]
sql = "SELECT salary FROM contracts WHERE status = 'active' ORDER BY salary DESC LIMIT 5"
print(*(row[0] for row in labkit.execute(league, sql).rows), sep="\n")

# %% [markdown]
# These are not the five highest salaries. Training data has to show the right way, so the generator must know what a
# column holds.
#
# ### Exercise 1: what does this column hold?
#
# Regular expressions do it: `\d` is a digit, `\d{4}` four of them, `x*` any number of x, `x?` one or none, `a|b`
# either; `\$` and `\.` are the signs themselves.


# %% tags=["nbval-check-output"]
def stored_kind(values):
    """ "money", "length", "weight", "date" or "text": what all of `values` are.

    values: a list of texts. None, "" and "--" stand for missing values; they are left out before anything else.
    money is $ and whole dollars in groups of three ($950, $612,500), maybe with two digits of cents ($3.50); length
    is feet and inches as in 6' 4"; weight is digits and lb, as in 235 lb; a date is 08/05/2031 or 2031-08-05. A kind
    fits if the whole of each value fits. Else, and when nothing is left, it is "text".
    """
    # BEGIN SOLUTION
    patterns = {
        "money": r"\$\d{1,3}(,\d{3})*(\.\d\d)?",
        "length": r"\d+' \d+\"",
        "weight": r"\d+ lb",
        "date": r"\d\d/\d\d/\d{4}|\d{4}-\d\d-\d\d",
    }
    known = [value for value in values if value not in (None, "", "--")]
    for kind, pattern in patterns.items():
        if known and all(re.fullmatch(pattern, value) for value in known):
            return kind
    return "text"
    # END SOLUTION


course.check("lab04.stored_kind", stored_kind)

# %% [markdown]
# The columns of the league that are more than text, and whether some of their values are `--`. One that you may expect
# is not there: `players.weight` writes `NA` for missing, so as a whole it is text.

# %% tags=["nbval-check-output"]
kind_of = course.use("lab04.stored_kind", stored_kind)
rows = []
for name, values in VALUES.items():
    texts = [value for value in values if isinstance(value, str)]
    if texts and (kind := kind_of(texts)) != "text":
        rows.append((name, kind, next(text for text in texts if text != "--"), "--" in texts))
pd.DataFrame(rows, columns=["column", "kind", "example", "has --"])

# %% [markdown]
# The kit's generator does the same with more kinds, and it knows the SQL that reads a number out of each. With that,
# the five highest salaries come out right:

# %% tags=["nbval-check-output"]
salary = recognise([value for value in VALUES["contracts.salary"] if value != "--"])
reading = salary.sql.replace("{c}", "salary")
print(reading)
sql = f"SELECT salary FROM contracts WHERE status = 'active' AND salary <> '--' ORDER BY {reading} DESC LIMIT 5"
print(*(row[0] for row in labkit.execute(league, sql).rows), sep="\n")

# %% [markdown]
# ## 2. From a value to a pair
#
# A question and its query can be built side by side from the same parts. Then the query is right because of how it was
# made, and no model has to guess it. Only the wording has to vary: people ask one thing in many ways.
#
# ### Exercise 2: wordings of a template
#
# `(who|which man) coaches [the] Millers` stands for four texts: one of the choices in round brackets, with or without
# what is in square ones. Brackets don't stand inside brackets.


# %% tags=["nbval-check-output"]
def wordings(template):
    """All texts that `template` stands for, as a list, each once; in any order.

    template: a text with any number of (a|b|c), where one of the choices is taken, and of [x], which is there or not.
    Blanks are tidied: one between two words, none at the ends. A template without brackets stands for itself.
    """
    # BEGIN SOLUTION
    found = re.search(r"\((.*?)\)|\[(.*?)\]", template)
    if not found:
        return [" ".join(template.split())]
    choices = found[1].split("|") if found[1] else [found[2], ""]
    before, after = template[: found.start()], template[found.end() :]
    return list(dict.fromkeys(text for choice in choices for text in wordings(before + choice + after)))
    # END SOLUTION


course.check("lab04.wordings", wordings)

# %% tags=["nbval-check-output"]
expand = course.use("lab04.wordings", wordings)
TEMPLATES = {
    "SELECT coach FROM teams WHERE nickname = '{x}'": "(who coaches|who is the [head] coach of) the {x}",
    "SELECT city FROM teams WHERE nickname = '{x}'": "(where do the {x} play|which city are the {x} from)",
    "SELECT COUNT(*) FROM teams WHERE coach = '{x}'": "how many teams does {x} coach",
}
names = [value for value in VALUES["teams.nickname"] if value][:8]
raw = [
    (text.format(x=name), query.format(x=name))
    for query, template in TEMPLATES.items()
    for name in names
    for text in expand(template)
]
print(f"{len(TEMPLATES)} lines and {len(names)} names give {len(raw)} pairs")
print(*raw[:4], sep="\n")

# %% [markdown]
# ## 3. Quality before quantity
#
# The third line above is a mistake, and a typical one: it asks how many teams a *team* coaches. Its queries run, there
# is no error to see, and each says 0. A model that trains on them learns nonsense. So every query is **run**, and its
# result has to be worth a question.
#
# ### Exercise 3: worth a question?


# %% tags=["nbval-check-output"]
def keep(result):
    """True if the query with this `result` may go into the training data, else False.

    result: from labkit.execute, with .rows (a tuple of tuples), .error (None if it ran), .truncated (True if rows were
    cut off). Dropped is what failed or was cut off, has no row or more than 20, has nothing but None in all its rows,
    or is a bare 0: one row with one value, and that is 0. All else is kept.
    """
    # BEGIN SOLUTION
    if result.error or result.truncated or not 1 <= len(result.rows) <= 20:
        return False
    values = [value for row in result.rows for value in row]
    return values != [0] and any(value is not None for value in values)
    # END SOLUTION


course.check("lab04.keep", keep)

# %% tags=["nbval-check-output"]
worth = course.use("lab04.keep", keep)
good = [(text, query) for text, query in raw if worth(labkit.execute(league, query))]
print(f"{len(good)} of {len(raw)} pairs are kept")
print("dropped, for example:", *next(((pair) for pair in raw if pair not in good), ("nothing",)), sep="\n")

# %% [markdown]
# A good result is no proof that the question says what the query does. Swap the questions of two pairs, and both still
# run. That is why question and query are built from one intent, and why you look at pairs below.
#
# ### Exercise 4: near duplicates
#
# The second threat to quality is repetition. "Who coaches the Millers" and "who coaches the Millers, please" cost two
# steps of training and teach one thing. But "... in 2029" and "... in 2030" are two questions.


# %% tags=["nbval-check-output"]
def near_duplicate(a, b):
    r"""True if the questions `a` and `b` are nearly the same, else False.

    The words of a question are its runs of letters, digits and apostrophes (the pattern [\w']+), capitals aside, each
    counted once. Near means: of all words that stand in either, at least 0.75 stand in both. But if a word that stands
    in one of them only has a digit in it, they are different questions.
    """
    # BEGIN SOLUTION
    first, second = (set(re.findall(r"[\w']+", text.lower())) for text in (a, b))
    if any(sign.isdigit() for word in first ^ second for sign in word):
        return False
    return len(first & second) / len(first | second) >= 0.75
    # END SOLUTION


course.check("lab04.near_duplicate", near_duplicate)

# %% tags=["nbval-check-output"]
near = course.use("lab04.near_duplicate", near_duplicate)
texts = [text for text, query in good if query == good[0][1]]
for a, b in itertools.combinations(texts, 2):
    print(f"{near(a, b)!s:5}  {a}  |  {b}")

# %% [markdown]
# One thing is left to notice: names are words too. "Who coaches the Millers" and "who coaches the Owls" share 3 words
# of 5. In a long question, one name of twelve words makes no difference to your function, and all the difference to the
# answer. The picture is the share, $|A \cap B| / |A \cup B|$ (Jaccard), of two questions that differ in one, two or
# three words: from the dashed line on they count as near. So near duplicates are compared **within one query** only:

# %% tags=["nbval-check-output"]
distinct = []
for text, query in good:
    if not any(query == other and near(text, seen) for seen, other in distinct):
        distinct.append((text, query))
print(f"{len(raw)} pairs made, {len(good)} worth a question, {len(distinct)} of them distinct")
lines = {f"{d} of them differ": [(n, (n - d) / (n + d)) for n in range(3, 15)] for d in (1, 2, 3)}
marks = {"1 of 4": (4, 3 / 5), "1 of 12": (12, 11 / 13)}
Curves(lines, "words of each question", "share of all words that stand in both", marks, level=0.75)

# %% [markdown]
# ## 4. The kit's generator
#
# `labkit.generate` does the same at scale: it draws queries from a grammar over what the database holds, runs them,
# words each of them, filters, and counts what each filter dropped. It knows no database by name.

# %%
N = course.shorter(600, 120)
generated = labkit.generate(league, n=N, seed=setting.seed, progress=False)
print(generated.report)

# %%
pd.DataFrame([(q.question, q.sql) for q in generated.pairs[:: max(1, N // 8)]], columns=["question", "SQL"])

# %% [markdown]
# Read a few. Some wordings are stiff, some have slips of the keyboard on purpose, since people type like that. Does
# your own filter agree with the kit's? The kit allows longer lists than 20 rows.

# %%
queries = list(dict.fromkeys(q.sql for q in generated.pairs))
results = labkit.execute_many(league, queries)
doubted = [query for query, result in zip(queries, results, strict=True) if not worth(result)]
print(f"of {len(queries)} queries, your filter would drop {len(doubted)}")
print(*doubted[:3], sep="\n")

# %% [markdown]
# ### What the set has and lacks
#
# A number of pairs says little. **Coverage** says which tables, columns, clauses and kinds of question the set touches.
# What it lacks, the model won't learn.

# %%
frame = generated.coverage.to_frame()
print(generated.coverage)
frame[frame.kind == "column"].sort_values("pairs").head(10)

# %% [markdown]
# ### Generate where it hurts
#
# More of everything is seldom what helps. `target=` draws more of what you name: tables, columns, tags, or the classes
# of failures in a run that you diagnosed in Lab 1. Here it is the columns that the first set knows least.

# %%
rare = list(frame[frame.kind == "column"].sort_values("pairs", kind="stable").name[:3])
aimed = labkit.generate(league, n=N, seed=setting.seed + 1, target=rare, progress=False)
share = {
    name: [one.coverage.counts["column"][name] / one.coverage.pairs for one in (generated, aimed)] for name in rare
}
pd.DataFrame(share, index=["before", "with target="]).T.round(3)

# %% [markdown]
# If a column did not gain, the grammar may have no question for it; then a query of your own brings it in.
#
# ### A log of queries
#
# People have asked your database before, and the log still has their queries. `from_queries` runs each, puts it into
# words, and tells what it can't read. A log holds people's mistakes too. Of these made-up queries the last is broken,
# and the one before it runs and is wrong: `attendance` holds texts like 19,147, of which SQLite reads the 19. The
# linter of Lab 2 sees that, and such a query is left out.

# %%
LOG = [
    "SELECT nickname FROM teams WHERE titles > 2",
    "SELECT COUNT(*) FROM players WHERE position = 'C'",
    "SELECT AVG(capacity) FROM arenas WHERE opened > 2000",
    "SELECT AVG(attendance) FROM games WHERE season = 2030 AND attendance <> 'NA'",
    "SELECT wage FROM players",
]
logged = labkit.from_queries(LOG, league, seed=setting.seed)
print(logged.report)
pd.DataFrame([(q.question, q.sql) for q in logged.pairs], columns=["question", "SQL"])

# %% [markdown]
# ### What must not get in
#
# A model can repeat what it was trained on. Private columns are named in `exclude=`, and the generator never looks at
# them. Trust is good; a count is better:

# %%
private = labkit.generate(league, n=course.shorter(300, 60), seed=setting.seed, exclude=["contracts"], progress=False)
counted = Counter("contracts" in q.sql for q in private.pairs)
print(f"{counted[True]} of {len(private)} pairs touch contracts; without exclude= it was "
      f"{generated.coverage.counts['table']['contracts']} of {len(generated)}")  # fmt: skip

# %% [markdown]
# ## 5. Keep evaluation out
#
# The worst pair is one that the evaluation asks for. Train on it, and your accuracy rises without the model being any
# better. A leak need not look the same: another sign at the end, other spaces, other capitals, or another wording with
# the very same query.
#
# ### Exercise 5: find the leaks


# %% tags=["nbval-check-output"]
def leaks(pairs, evaluation):
    """The ids of those `pairs` that an `evaluation` set has too, as a list in the order of the pairs.

    pairs, evaluation: lists of questions, with .id, .question and .sql. A pair leaks if its question or its query is
    one of the evaluation's. normalise_question(text) and normalise_sql(sql) take away what does not count.
    """
    # BEGIN SOLUTION
    questions = {normalise_question(q.question) for q in evaluation}
    queries = {normalise_sql(q.sql) for q in evaluation}
    return [q.id for q in pairs if normalise_question(q.question) in questions or normalise_sql(q.sql) in queries]
    # END SOLUTION


course.check("lab04.leaks", leaks)

# %% [markdown]
# First your own pairs from section 3, which nobody kept apart from anything, then a set with two leaks planted:

# %% tags=["nbval-check-output"]
leaking = course.use("lab04.leaks", leaks)
SETS = {name: labkit.load_questions(folder / f"{name}.jsonl") for name in ("start", "dev", "heldout")}
mine = [labkit.Question(f"mine-{n}", text, query, "league") for n, (text, query) in enumerate(distinct, 1)]
dev = SETS["dev"]
planted = [
    labkit.Question("planted-1", dev[0].question.upper(), "SELECT 1", "league"),
    labkit.Question("planted-2", "Something else?", dev[1].sql.replace(" ", "  "), "league"),
]
for name, questions in SETS.items():
    print(f"{name}: {leaking([*mine, *planted], questions) or 'no leak'}")

# %% [markdown]
# Nobody planted the ones called `mine`: short, natural questions are what an evaluation asks too, so a few harmless
# templates are enough to leak. In training, they come out.
#
# The generator looks for known sets by itself: those beside the database, those in your run store (Lab 2's boundary set
# among them), and those that you name in `avoid=`. Your function checks it:

# %%
for name, questions in SETS.items():
    found = leaking(list(generated.pairs), questions)
    print(f"{name}: {len(found)} of {len(generated)} pairs leak")
print("the generator kept apart from:", ", ".join(generated.report.sets))

# %% [markdown]
# ## 6. Look at your data
#
# No filter replaces a look. The explorer shows what the set covers, what each filter dropped, and the pairs one by one:
# accept, reject, or leave them undecided. Tab goes from control to control, Space presses a button. On a page where
# nothing runs you see tables instead.

# %%
explorer = DataExplorer.of(generated)
explorer

# %% [markdown]
# Your decisions are plain records. They are there after you run another cell, and they can come from Python as well.
# Here each pair is rejected whose question is longer than 120 characters:

# %%
for q in explorer.pairs:
    if len(q.question) > 120:
        explorer.decide(q.id, "rejected")
print(explorer.summary())
pd.DataFrame(explorer.records()).head(3)

# %% [markdown]
# What you reject isn't lost: it goes to a file of its own, to look at again. If you wonder next month why a question is
# missing, look there. The rest is what Lab 5 can train on.
#
# What the generator drew hangs on the seed. So the lab's figures come last, beside the range of recorded runs with
# other seeds. (No model is at work here: runs of one seed are the same in both number formats.)

# %%
kept = explorer.kept()
training = labkit.save_questions(home() / "training" / "lab04.jsonl", kept)
rejected = explorer.save_rejected(home() / "training" / "lab04_rejected.jsonl")
print(f"{len(kept)} pairs in {training.name}, {len(explorer.rejected())} in {rejected.name}")
figures = {
    "pairs": len(generated),
    "queries drawn for them": generated.report.drawn,
    "dropped by your filter": len(doubted),
}
figures |= {"columns asked about": int((frame[frame.kind == "column"].pairs > 0).sum())}
figures |= {"pairs that touch contracts": generated.coverage.counts["table"]["contracts"]}
course.expected("lab04", figures, setting)

# %% [markdown]
# ## Recap
#
# - Schema, values, glossary and logs become training data. Not enough data is rarely the reason.
# - What a column holds is in its values. The type alone doesn't tell.
# - Question and query are built from one intent; then every query runs, and its result is judged.
# - Quality before quantity: drop what is empty, trivial or nearly the same, and say how much each filter dropped.
# - Coverage says what the model can't learn from a set; `target=` fills the gaps.
# - Private columns and evaluation questions stay out, and a count proves it.
#
# In **Lab 5** a model is tuned on pairs like these.
#
# ## Go further
#
# - Which line of TEMPLATES would you add first? Look at what the coverage lacks.
# - Give the explorer ten minutes. Which share of the pairs do you reject, and with which interval (Lab 2)?
# - Write a glossary of your own and give its text as `glossary=`. What does the report not understand?
# - A chat model can write pairs too: `labkit.datagen.chat.Author`. Its queries are run and compared before they are
#   kept. How many are left?

# %%
course.progress()
