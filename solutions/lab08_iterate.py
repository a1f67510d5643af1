# ruff: noqa: B018
# %% [markdown]
# # Lab 8. Iterate
#
# A model was tuned and is still wrong often. What now? Not everything at once: look at failures, choose one target,
# make data for it, tune, measure, and look again. **Diagnosis is iterative**: as the model improves you dig for the
# next hallucination.
#
# **After this lab you can**
#
# - read failures clause by clause and act on them in the inspector;
# - say what a second run fixed and broke, and whether the gain is real;
# - choose the next target and generate data for it;
# - retire a question from its evaluation when it goes into training, and find the boundary in a playground.
#
# **Time** about 45 minutes. **You need** Labs 1 and 2.

# %%
import math
import tempfile
from collections import Counter
from pathlib import Path

import pandas as pd

import labkit
from labkit import course, curation, inspecting
from labkit.agent import Agent
from labkit.widgets import Curves

setting = course.setup()
setting

# %% [markdown]
# ## 1. Two states of one model, and a larger one
#
# The kit carries recorded answers to `dev`: of a larger model that was never tuned, and of the small model in two
# states, half-tuned and tuned longer. They are scored here and now, on a copy of the set that you may change.

# %%
folder = Path(tempfile.mkdtemp(prefix="lab08-"))
dev = curation.working_copy(labkit.load_questions(course.datasets() / "league" / "dev.jsonl"), folder / "dev.jsonl")
store = labkit.RunStore(folder / "runs.db")
names = {"qwen": "larger", "half": "half-tuned", "tuned": "tuned longer"}
recorded = course.recorded_runs()
runs = {}
for recording in recorded:
    stem = recording.path.stem
    short = next(name for key, name in names.items() if key in stem and not (key == "tuned" and "half" in stem))
    runs[short] = labkit.evaluate(recording, dev, store=store, progress=False)
    print(f"{short:13}{runs[short]}; {recording}")

# %% [markdown]
# Now each failure gets a class, as in Lab 1.

# %% tags=["nbval-check-output"]
diagnosed = {name: labkit.diagnose_run(run, dev, progress=False) for name, run in runs.items()}
classes = {name: Counter(item.diagnosis.failure_class for item in d.failures()) for name, d in diagnosed.items()}
pd.DataFrame(classes).fillna(0).astype(int).sort_index()

# %% [markdown]
# Another model fails in another way: what is invented becomes less, what is malformed becomes more. That is what
# "dig for the next hallucination" means.
#
# ## 2. The inspector
#
# Filter by run, class, tag and words. Each failure shows question, the clauses side by side, both results with what
# differs marked, the evidence and a hint. Edit the SQL and run it in the sandbox. Then act.

# %%
inspector = inspecting.inspector(diagnosed, dev.path, folder / "made", dev.db_dir)
inspector

# %% [markdown]
# The same from code: the clauses of one failure.

# %% tags=["nbval-check-output"]
failure = inspector.filtered(run="half-tuned")[0]
print(failure["question"])
pd.DataFrame(failure["clauses"])

# %% tags=["nbval-check-output"]
ran = inspector.run_sql(failure["key"], failure["gold"])
print("the gold, run in the sandbox, is judged", ran["verdict"])
print("the prediction is judged", inspector.run_sql(failure["key"], failure["prediction"])["verdict"])

# %% [markdown]
# ## 3. What changed?
#
# ### Exercise 1: fixed and broken


# %% tags=["nbval-check-output"]
def changed(before, after):
    """A tuple of two sorted lists of ids: fixed (wrong before, right after) and broken (the other way round).

    before, after: dicts, id -> True if right, with the same ids.
    """
    # BEGIN SOLUTION
    fixed = sorted(id for id in before if after[id] and not before[id])
    broken = sorted(id for id in before if before[id] and not after[id])
    return fixed, broken
    # END SOLUTION


course.check("lab08.changed", changed)

# %% tags=["nbval-check-output"]
change_of = course.use("lab08.changed", changed)
right = {name: {r.question_id: r.verdict == "right" for r in run.results} for name, run in runs.items()}
fixed, broken = change_of(right["half-tuned"], right["tuned longer"])
print(f"{len(fixed)} fixed, {len(broken)} broken")
print(labkit.compare(runs["half-tuned"], runs["tuned longer"]))

# %% [markdown]
# ### Exercise 2: is the gain real?
#
# The gain is (fixed - broken) / n. Its 95 % interval, for pairs, is
#
# $$\frac{f - b}{n} \pm \frac{1.96}{n} \sqrt{f + b - \frac{(f - b)^2}{n}} \qquad
# f\ \mathrm{fixed},\ b\ \mathrm{broken}$$


# %% tags=["nbval-check-output"]
def gain(fixed, broken, n):
    """The interval of the gain as a tuple (low, high); `fixed` and `broken` are numbers of questions out of n."""
    # BEGIN SOLUTION
    middle = (fixed - broken) / n
    half = 1.96 * math.sqrt(fixed + broken - (fixed - broken) ** 2 / n) / n
    return middle - half, middle + half
    # END SOLUTION


course.check("lab08.gain", gain)

# %% [markdown]
# The same gain is worth less the more questions changed both ways. In the picture the gain stays what it is, and more
# and more questions change: where the lower line falls under 0, it can't be told from chance any more.

# %% tags=["nbval-check-output"]
gain_of = course.use("lab08.gain", gain)
low, high = gain_of(len(fixed), len(broken), len(dev))
print(f"gain {(len(fixed) - len(broken)) / len(dev):+.2f} [{low:+.2f}, {high:+.2f}]")
print("0 is inside: it may be no gain at all." if low <= 0 <= high else "0 is outside: the gain is real.")
net, n = len(fixed) - len(broken), len(dev)
ends = [(change, gain_of((change + net) / 2, (change - net) / 2, n)) for change in range(abs(net), n + 1, 2)]
lines = {name: [(change, end[at]) for change, end in ends] for at, name in ((1, "high"), (0, "low"))}
yours = {"this gain": (len(fixed) + len(broken), net / n)}
Curves(lines, "questions that changed, fixed and broken", "interval of the gain", yours, level=0)

# %% [markdown]
# ## 4. The next target
#
# ### Exercise 3: what to work on
#
# The largest class is not always the best to work on: what counts is how many failures you can mend.


# %% tags=["nbval-check-output"]
def next_target(failures, fixable):
    """The name with the largest failures × share fixable; on a tie the first in the alphabet; None if all are 0.

    failures: dict, name -> number. fixable: dict, name -> share from 0 to 1; a name that is missing has 0.
    """
    # BEGIN SOLUTION
    worth = {name: count * fixable.get(name, 0) for name, count in failures.items()}
    best = [name for name, value in worth.items() if value > 0]
    return min(best, key=lambda name: (-worth[name], name)) if best else None
    # END SOLUTION


course.check("lab08.next_target", next_target)

# %% [markdown]
# How fixable is a class? Count what the longer tuning mended of it: a share that was measured, on few questions.

# %% tags=["nbval-check-output"]
choose = course.use("lab08.next_target", next_target)
was = {item.question.id: item.diagnosis.failure_class for item in diagnosed["half-tuned"].failures()}
mended = Counter(was[id] for id in fixed)
share = {name: mended[name] / n for name, n in Counter(was.values()).items()}
target = choose(classes["tuned longer"], share)
print(pd.DataFrame({"left": classes["tuned longer"], "share mended": share}).round(2))
print("next target:", target)

# %% [markdown]
# ### Data for the target
#
# `generate(target=)` draws more of what fails. It keeps clear of every evaluation set that it knows, and counts what it
# dropped.

# %%
made = labkit.generate(course.league(), 60, target=[target or "malformed_filter"], wordings=1, progress=False)
print(made.report)
pd.DataFrame([(pair.question, pair.sql) for pair in made.pairs[:5]], columns=["question", "SQL"])

# %% [markdown]
# These pairs and `labkit.tune(...)` are the next turn of the wheel (Lab 5). The default button of the inspector does
# the same for one failure:

# %%
print(inspector.act("similar", failure["key"]))

# %% [markdown]
# ## 5. Promote, and retire
#
# Sometimes a failed question itself shall be trained on. Then it measures nothing any more, and has to leave its
# evaluation.
#
# ### Exercise 4: retire


# %% tags=["nbval-check-output"]
def retire(evaluation, training, question):
    """A tuple of two new lists: `evaluation` without the question, `training` with it at its end, once.

    If `training` has it already, it stays as it is. The lists that are given are not changed.
    """
    # BEGIN SOLUTION
    left = [text for text in evaluation if text != question]
    return left, training if question in training else [*training, question]
    # END SOLUTION


course.check("lab08.retire", retire)

# %% [markdown]
# The kit's own does it in files: the set gets a new version, the old one stays.

# %%
print(inspector.act("promote", failure["key"]))
print(inspector.act("promote", failure["key"]))
print("dev.jsonl is at version", curation.version(dev.path))

# %% [markdown]
# The accuracy before and after is about two different sets: compare versions only with themselves.
#
# ## 6. The adversarial playground
#
# Ask the live model anything. Each token of its query stands with its probability, as in Lab 0: where is it unsure?
# Say right or wrong; give the right SQL if you know it. Near questions of `dev` are suggested, first those between an
# answer that was right and one that was wrong: change one thing at a time, and find where it breaks.

# %%
agent = Agent(labkit.load_model(setting.model), course.league(), max_new_tokens=setting.max_new_tokens)
play = inspecting.playground(agent, list(dev), folder / "made")
answer = play.ask("How many teams are in the South?")
print(answer["sql"], answer["sentence"], *answer["suggestions"], sep="\n")
print(play.keep(False, "SELECT COUNT(*) FROM teams WHERE conference = 'South'"))

# %%
play

# %% [markdown]
# ## Recap
#
# - Failures change as a model improves: diagnose again after every run.
# - Compare in pairs, fixed against broken, with an interval around the gain.
# - The next target is what is frequent *and* can be mended. Make data for it; keep the evaluation out of it.
# - What is promoted to training is retired from its evaluation, and counts as recall.
#
# ## Go further
#
# - Tune on `made` from the half-tuned state, and run `dev` again. Was it the target that moved?
# - Which questions did the longer tuning break? Look at them in the inspector.

# %%
course.progress()
