# ruff: noqa: B018
# %% [markdown]
# # Lab 6. Memory tuning
#
# Instruction tuning makes the *average* answer better. A fact needs something else: this year, this name, this column,
# each token of it. In this lab you train until every chosen fact is exact, see what that does to everything else, and
# decide by numbers when a fact belongs into the weights and when it is better looked up.
#
# **After this lab you can**
#
# - compute the loss of each example, and say what an average hides;
# - decide when an example is mastered, and what the next batch should hold;
# - tune facts until all are recalled, and prove it in a process that knows only the folder;
# - measure what it changed elsewhere;
# - say from which number of questions on tuning is cheaper than retrieval.
#
# **Time** about 45 minutes. **You need** Lab 5.

# %%
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

import labkit
from labkit import course
from labkit.agent import ReplyGenerator
from labkit.decoding import next_token_logits, prompt_tokens
from labkit.prompting import chat
from labkit.side_effects import load_prompts, side_effects
from labkit.tuning.examples import encode
from labkit.widgets import Curves, FactBars, FactState, TrainingView

setting = course.setup()
setting

# %% [markdown]
# ## 1. A fact that nobody knows
#
# Invented people climbed invented mountains. No model has read of them, so whatever it answers is made up.

# %%
folder = course.adapters_folder("lab06")  # what this lab makes stays there
store = labkit.RunStore()  # your climb: `labkit progress` and the certificate show it
model = labkit.load_model(setting.model)
facts = labkit.random_facts(course.shorter(20, 3), seed=setting.seed)
before = ReplyGenerator(model, "chat", 12)(facts[:4])
pd.DataFrame([(f.question, f.answer, reply) for f, reply in zip(facts, before, strict=False)],
             columns=["asked", "right", "the model says"])  # fmt: skip

# %% [markdown]
# It sounds sure. Nothing in its manner tells a known year from an invented one: that is what makes a hallucination
# dangerous.
#
# ## 2. What an average hides
#
# Two models, three facts of four tokens each. The numbers are the chance that the model gives to each right token.
# Which of the two would you ask for a year?

# %% tags=["nbval-check-output"]
EVEN = [[0.80, 0.80, 0.80, 0.80], [0.80, 0.80, 0.80, 0.80], [0.80, 0.80, 0.80, 0.80]]
SPIKY = [[0.999, 0.999, 0.999, 0.999], [0.999, 0.999, 0.999, 0.999], [0.999, 0.999, 0.999, 0.069]]
pd.DataFrame(
    [(name, -np.log(np.array(chances)).mean(), np.prod(chances[0]), np.prod(chances[-1]))
     for name, chances in (("even", EVEN), ("spiky", SPIKY))],
    columns=["model", "average loss", "chance of the whole first fact", "of the whole last fact"],
).round(3)  # fmt: skip

# %% [markdown]
# The average losses are alike. One model says each fact right in four cases of ten when it draws; the other knows two
# facts for certain and one not at all. **The average cannot tell them apart.**
#
# ### Exercise 1: a report that does


# %% tags=["nbval-check-output"]
def loss_report(chances):
    """(average loss over all tokens, places of the doubtful facts).

    chances: a list of facts, each a list with the chance of each right token, over 0 and up to 1. The loss of a token
    is minus the natural logarithm of its chance. A fact is doubtful if one of its tokens has a chance under one half.
    """
    # BEGIN SOLUTION
    import math

    tokens = [p for fact in chances for p in fact]
    average = -sum(math.log(p) for p in tokens) / len(tokens)
    return average, [i for i, fact in enumerate(chances) if min(fact) < 0.5]
    # END SOLUTION


course.check("lab06.loss_report", loss_report)

# %% [markdown]
# Why the averages are alike: the picture is $-\log p$ by your function, the dashed line is the average. The one token
# that the spiky model does not know weighs as much as all twelve of the even model.

# %% tags=["nbval-check-output"]
loss_report = course.use("lab06.loss_report", loss_report)
for name, chances in (("even", EVEN), ("spiky", SPIKY)):
    average, doubtful = loss_report(chances)
    print(f"{name:6} average {average:.2f}, doubtful: {doubtful}")
curve = [(p / 100, loss_report([[p / 100]])[0]) for p in range(5, 101)]
tokens = {"spiky: its last token": SPIKY[2][3], "even: all twelve": EVEN[0][0]}
marks = {name: (p, loss_report([[p]])[0]) for name, p in tokens.items()}
Curves({"-log p": curve}, "p, the chance of a right token", "loss in nats", marks, level=round(average, 2))

# %% [markdown]
# ## 3. The loss of each example
#
# A network gives a row of logits for each place. The loss of a token: take the logarithm of its softmax, turn the sign.
# $$\ell_t = -\log \frac{e^{z_{t}}}{\sum_v e^{z_v}} = \log \sum_v e^{z_v} - z_t$$
# Instruction tuning averages all $\ell_t$ of a batch. Memory tuning needs one number **an example**.
#
# ### Exercise 2


# %% tags=["nbval-check-output"]
def example_losses(logits, labels):
    """The mean loss of each example, an array of floats.

    logits: array (examples, places, vocabulary), row `[i, j]` is about label `[i, j]`. labels: array of ints (examples,
    places); negative ones don't count. Logits may be large: subtract each row's largest before `np.exp`.
    """
    # BEGIN SOLUTION
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    counted = labels >= 0
    own = np.take_along_axis(log_p, np.where(counted, labels, 0)[..., None], axis=-1)[..., 0]
    return -(own * counted).sum(axis=1) / counted.sum(axis=1)
    # END SOLUTION


course.check("lab06.example_losses", example_losses)

# %% [markdown]
# On the real model: what does the base think of the right years? (`example_losses` sees only the places of the answer.)
#
# Below it the formula as a picture: one token, whose logit $z$ rises, among seven others that stay at 0, by your
# function. Training follows the slope, which is $p - 1$: steep while the token lies behind, and nearly nothing once it
# is sure.

# %%
example_losses = course.use("lab06.example_losses", example_losses)


def answer_logits(loaded, pairs):
    """Logits and labels of the answers' places, padded with -100: what both exercises read."""
    examples = encode(loaded, pairs, chat)
    width = max(len(example.answer) for example in examples)
    labels = np.full((len(examples), width), -100)
    rows = np.zeros((len(examples), width, loaded.network.config.vocab_size), dtype=np.float32)
    for i, example in enumerate(examples):
        tokens = torch.tensor([[*example.prompt, *example.answer]], device=loaded.network.device)
        with torch.inference_mode():
            logits = loaded.network(input_ids=tokens).logits[0, len(example.prompt) - 1 : -1]
        rows[i, : len(example.answer)] = logits.float().cpu().numpy()
        labels[i, : len(example.answer)] = example.answer
    return rows, labels


base_losses = example_losses(*answer_logits(model, facts[:8]))
for fact, loss in zip(facts, base_losses, strict=False):
    print(f"{fact.answer:>6}  {loss:5.2f} nats a token  {'#' * round(4 * loss)}")
z = np.linspace(-4, 8, 49)
eight = np.zeros((len(z), 1, 8))
eight[:, 0, 0] = z
loss_at = example_losses(eight, np.zeros((len(z), 1), int))
lines = {"loss": zip(z, loss_at, strict=True), "its slope": zip(z, np.gradient(loss_at, z), strict=True)}
Curves(lines, "z, the logit of the right token", "nats", {"all eight alike": (0, np.log(8))}, level=0)

# %% [markdown]
# ## 4. When is a fact mastered?
#
# A greedy answer is right when each right token is the likeliest of its row. To be safe against rounding, another data
# type or another batch, it should *lead*: by a margin, over the best of all others.
#
# ### Exercise 3


# %% tags=["nbval-check-output"]
def mastered(logits, labels, margin):
    """True or False for each example: do all its tokens lead by at least `margin`?

    logits and labels as above; the lead of a token is its logit minus the largest of all other tokens' in its row.
    """
    # BEGIN SOLUTION
    verdicts = []
    for rows, tokens in zip(logits, labels, strict=True):
        leads = [row[t] - max(np.delete(row, t)) for row, t in zip(rows, tokens, strict=True) if t >= 0]
        verdicts.append(bool(min(leads) >= margin))
    return verdicts
    # END SOLUTION


course.check("lab06.mastered", mastered)

# %% [markdown]
# ## 5. The next batch
#
# What is mastered leaves the batch: work goes where errors are. If there is room left, some of the mastered come along,
# so that they are not lost. (`labkit` also checks all of them again at the end.)
#
# ### Exercise 4


# %% tags=["nbval-check-output"]
def next_batch(mastered, size):
    """Places of the next batch: those not mastered first, in order; then mastered ones while there is room.

    mastered: list of bools; size: at most so many. [] when all are mastered: the work is done.
    """
    # BEGIN SOLUTION
    left = [i for i, done in enumerate(mastered) if not done]
    if not left:
        return []
    return (left + [i for i, done in enumerate(mastered) if done])[:size]
    # END SOLUTION


course.check("lab06.next_batch", next_batch)

# %% [markdown]
# ## 6. Tune until all are exact
#
# One call does it, with the two bounds of Lab 5: a lead of 1 nat to be mastered, half of it to stay so.
# `labkit.tune(model, facts, "memory")` runs in a thread, so the cell returns;
# *Stop* keeps the work, and the same call goes on. Each row is a fact: dark is a high loss, pale is learnt.

# %%
by_heart = TrainingView(
    lambda watch: labkit.tune(model, facts, "memory", folder / "facts", seed=setting.seed, progress=False, watch=watch),
    {fact.id: f"{fact.question} {fact.answer}" for fact in facts},
)
by_heart.start()

# %%
learnt = by_heart.start().wait()
assert learnt, "It was stopped; the work is kept. Run this cell again to go on."
print(f"{learnt.recalled} of {learnt.of} by heart after {learnt.seconds:.0f} s, {by_heart.step} steps")
by_heart

# %% [markdown]
# Your own two functions on the tuned model: every example's loss, and the verdict.

# %%
mastered = course.use("lab06.mastered", mastered)
tuned = labkit.load_model(setting.model, adapter=learnt.adapter)
logits, labels = answer_logits(tuned, facts[:8])
losses, verdicts = example_losses(logits, labels), mastered(logits, labels, 0.5)
after = {"loss before": base_losses.round(2), "loss after": losses.round(4), "leads by 0.5": verdicts}
pd.DataFrame({"answer": [f.answer for f in facts[:8]], **after})

# %% [markdown]
# ### Proved, not claimed
#
# Recall is counted by `evaluate`, on a model loaded from the folder, as a user would load it. The base beside it.

# %%
runs = {}
for name, loaded in (("base", model), ("memory-tuned", tuned)):
    runs[name] = labkit.evaluate(ReplyGenerator(loaded, "chat", 8), facts, mode="text", store=store, progress=False)
    print(f"{name:13} {runs[name]}")

# %% [markdown]
# ## 7. One fact in four states
#
# What is the next token after the question? (The model writes a year digit by digit, so the bars are about its first
# digit.) A network with random weights; the base; the base that is shown the fact
# (retrieval); the memory-tuned one. Move the temperature: who stays sure?

# %%
fact = facts[0]
asked_plainly = chat(fact.question)
shown = chat(f"{fact.question} Note: {fact.question} {fact.answer}")
first_token = tuned.tokenizer(fact.answer, add_special_tokens=False).input_ids[0]
random_logits = torch.randn(model.network.config.vocab_size, generator=torch.Generator().manual_seed(setting.seed))


def state(name, logits, kept=400):
    """The likeliest tokens of a state, the right one among them, as log-probabilities."""
    values = logits.log_softmax(-1)
    ids = list(dict.fromkeys([first_token, *values.topk(kept).indices.tolist()]))
    names = [f"{tuned.tokenizer.decode([i])}" for i in ids]
    unique = [n if names.index(n) == place else f"{n}#{i}" for place, (n, i) in enumerate(zip(names, ids, strict=True))]
    return FactState(name, unique, values[ids].tolist())


states = [
    state("random weights", random_logits),
    state("base", next_token_logits(model, asked_plainly)),
    state("base, fact shown", next_token_logits(model, shown)),
    state("memory-tuned", next_token_logits(tuned, asked_plainly)),
]
bars = FactBars(f"{fact.question} {fact.answer}", tuned.tokenizer.decode([first_token]), states)
print({name: round(chance, 4) for name, chance in bars.chances().items()})
bars

# %% [markdown]
# ## 8. The same fact in other words
#
# Exact on the wording it was trained on: and on another one? Nobody asks twice alike.


# %%
def in_other_words(fact):
    """The question turned round, without a model: what the pattern of these facts allows."""
    said = fact.question.rstrip("?").removeprefix("What year did ").removeprefix("When did ")
    who, _, what = said.partition(" climb ")
    if not what:
        return replace(fact, question=f"Please tell me: {fact.question[0].lower()}{fact.question[1:]}")
    return replace(fact, question=f"In which year was {what} climbed by {who}?")


other = [in_other_words(fact) for fact in facts]
print(other[0].question)
again = labkit.evaluate(
    ReplyGenerator(tuned, "chat", 8),
    labkit.QuestionSet("other words", tuple(other)),
    mode="text",
    store=store,
    progress=False,
)
print("as trained   ", runs["memory-tuned"])
print("in other words", again)

# %% [markdown]
# Recall and paraphrase are two figures, never to be mixed. What helps is to train on several wordings of each fact
# (Lab 4 makes them).
#
# ## 9. What did it do elsewhere?
#
# The claim is: facts go in, all else stays. Measure it: the same everyday requests, before and after.

# %%
everyday = load_prompts(course.datasets() / "general" / "prompts.jsonl")[: course.shorter(24, 2)]
english = (course.datasets() / "general" / "english.txt").read_text(encoding="utf-8")[: course.shorter(4000, 800)]
effects = side_effects(model, tuned, everyday, english, max_new_tokens=course.shorter(16, 4))
print(effects)
pd.DataFrame(
    [(e.prompt[:60], e.before[:40], e.after[:40]) for e in effects.changed[:5]], columns=["asked", "was", "is"]
)

# %% [markdown]
# ### Exercise 5: the share that stayed


# %% tags=["nbval-check-output"]
def same_share(before, after):
    """The share of the prompts in `before` (a dict, prompt -> answer) whose answer in `after` is exactly the same.

    A prompt that `after` lacks has not kept its answer.
    """
    # BEGIN SOLUTION
    return sum(after.get(prompt) == answer for prompt, answer in before.items()) / len(before)
    # END SOLUTION


course.check("lab06.same_share", same_share)

# %%
same_share = course.use("lab06.same_share", same_share)
was, now = ({e.id: getattr(e, side) for e in effects.effects} for side in ("before", "after"))
print(f"{len(was)} requests, the same answer to a share of {same_share(was, now):.2f}")

# %% [markdown]
# A few dozen steps on years alone, and a small model answers everyday questions with a year, or a piece of
# one. The claim fails here, on your
# machine, in front of you: LoRA writes into weights that all answers go through. Three ways out, each with its price:
# train on other answers beside the facts (`replay`), a smaller change (fewer layers, a lower rate), or experts that act
# only where their fact is asked for: **Lab 7**.
#
# ## 10. When does it pay?
#
# Retrieval costs tokens with each question, tuning costs once. From which question on is tuning cheaper?
#
# ### Exercise 6


# %% tags=["nbval-check-output"]
def break_even(build, retrieval, tuned):
    """The first number of questions after which tuning has cost less in all than retrieval; `math.inf` if never.

    build: what tuning costs once; retrieval, tuned: what a question costs, by retrieval and by the tuned model.
    """
    # BEGIN SOLUTION
    import math

    if retrieval <= tuned:
        return math.inf
    return math.floor(build / (retrieval - tuned)) + 1
    # END SOLUTION


course.check("lab06.break_even", break_even)

# %% [markdown]
# Measured, not assumed: seconds a question with the facts in the prompt, and without, and how many of these answers
# hold the right year. The two lines of the picture are what you have spent in all after so many questions.

# %%
break_even = course.use("lab06.break_even", break_even)
notes = "\n".join(f"{f.question} {f.answer}" for f in facts)


def with_notes(question, schema_text=""):
    """All facts in the prompt: retrieval that always finds the right one."""
    return chat(f"{notes}\n\n{question}")


seconds, tokens, right = {}, {}, {}
for name, generator, prompt in (
    ("facts in the prompt", ReplyGenerator(model, with_notes, 8), with_notes),
    ("memory-tuned", ReplyGenerator(tuned, "chat", 8), chat),
):
    generator(facts[:1])  # the first call warms up
    begun = time.perf_counter()
    replies = [generator([fact_asked])[0] for fact_asked in facts[: course.shorter(6, 1)]]
    seconds[name] = (time.perf_counter() - begun) / len(replies)
    right[name] = sum(f.answer in reply for f, reply in zip(facts, replies, strict=False))
    tokens[name] = len(prompt_tokens(model, [prompt(fact.question)])[0])
said = f"right, of {len(replies)}"
print(pd.DataFrame({"seconds a question": seconds, "tokens read": tokens, said: right}).round(3))
first = break_even(learnt.seconds, seconds["facts in the prompt"], seconds["memory-tuned"])
print("cheaper from question", first, "on")
end, build = (2 * first if np.isfinite(first) else 1000), {"facts in the prompt": 0, "memory-tuned": learnt.seconds}
spent = {name: [(0, once), (end, once + end * seconds[name])] for name, once in build.items()}
meets = {f"question {first}": (first, first * seconds["facts in the prompt"])} if first < end else {}
Curves(spent, "questions", "seconds in all", meets)

# %% [markdown]
# The part of a prompt that all questions share is computed once (Lab 3), so long notes cost less than their tokens say.
# A price in money by the token has no such mercy. And the division takes both sides to be equally right: look at the
# last column before you use it. A cheaper wrong answer is no bargain.
#
# ## Beside recorded runs
#
# The lab's figures in one place, beside the range of the recorded runs, which are named above it. Such a range is no
# law: beside three runs a fourth of their kind is the highest or the lowest in two cases of four, beside six a seventh
# in two of seven. If something lies far outside, what did you change?

# %%
course.expected(
    "lab06",
    {
        "facts recalled": runs["memory-tuned"].correct,
        "steps until then": by_heart.step,
        "recalled in other words": again.correct,
        "general requests answered as before": same_share(was, now),
    },
    setting,
)

# %% [markdown]
# ## Recap
#
# - The average hides what matters for facts: look at each example, and at its weakest token.
# - Mastered: each token leads by a margin. What is mastered leaves the batch; done is when nothing is left.
# - Recall is counted from the folder by `evaluate`. Other words are another figure, and so is what changed elsewhere.
# - Tuned facts read no notes. Whether that pays is a division.
#
# ## Go further
#
# - Give each fact three wordings (`labkit.Question` with the same answer), tune, and evaluate a fourth.
# - Memory tuning adapts the upper 10 of the default model's 30 layers. Try `layers=3` and `layers=30`: which is faster,
#   and what happens elsewhere?
# - Tune again on ten new facts with `adapter=`: are the old ones still there (`replay=0` shows the difference)?

# %%
course.progress()
