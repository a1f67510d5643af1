# ruff: noqa: B018
# %% [markdown]
# # Lab 3. The usual approaches: one measured ladder
#
# The agent is wrong too often. What do people try first? A better prompt, examples, a second chance, a search. All of
# them are worth trying, and none of them is worth believing. In this lab you build each, put it on the same questions,
# and read off what it reaches and what it costs.
#
# **After this lab you can**
#
# - find what belongs into a prompt, by the words of a question;
# - choose worked examples for a question;
# - write the self-reflection loop, and say beforehand how much it can mend;
# - say what a context costs in seconds, with and without prefix caching, images included;
# - say after how many queries a thing that you built has paid for itself;
# - read a ladder: accuracies with intervals on the same questions, and the next target.
#
# **Time** about 50 minutes. **You need** Lab 2, or an idea of accuracy with an interval.

# %%
import math
import re
import time
from pathlib import Path

import pandas as pd
from IPython.display import display

import labkit
from labkit import course
from labkit.course.replays import replayed_ladder
from labkit.decoding import next_token_distribution, prompt_tokens, render
from labkit.kvcache import shared_length
from labkit.ladders import card_seconds, ladder
from labkit.prompting import extract_sql, few_shot, plain, question_only, reflection
from labkit.rungs import RetrievalPrompt, material
from labkit.schema import read_schema
from labkit.widgets import Curves, LadderChart

setting = course.setup()
setting

# %% [markdown]
# ## 1. What is there to show?
#
# A model knows the world up to its training. It does not know your league. Whatever it should know has to stand in the
# prompt, each time. Three kinds of things are at hand: the schema, a glossary, and questions that somebody has already
# solved. The evaluation's own questions are none of them: a prompt that shows the answers measures nothing, and the
# kit refuses such pairs.

# %% tags=["nbval-check-output"]
pd.set_option("display.max_colwidth", 110)
folder = course.datasets() / "league"
dev = labkit.load_questions(folder / "dev.jsonl")
solved = list(labkit.load_questions(folder / "trained.jsonl"))
shown = material(dev, solved)
print(f"{len(dev)} questions to answer")
for kind in ("table", "column", "glossary", "pair"):
    print(f"{sum(d.kind == kind for d in shown.documents)} documents of the kind {kind}")

# %% tags=["nbval-check-output"]
try:
    material(dev, [*solved, dev[0]])
except labkit.LabkitError as error:
    print(error)

# %% [markdown]
# ## 2. Find by words
#
# All of it is too much for a prompt. **Retrieval** picks what is like the question. The simplest likeness: shared
# words, where a rare word says more than a common one. If $N$ documents are searched and a word is in $d$ of them, it
# weighs
#
# $$\mathrm{idf} = \log \frac{N}{d}$$
#
# A word that all documents hold weighs 0. **BM25**, which the kit uses, adds two things: how often a document holds the
# word ($f$ times), and how long it is ($l$ words, $\bar l$ on average). It multiplies a word's weight by
#
# $$\frac{f}{f + k\,(1 - b + b\, l / \bar l)} \qquad k = 1.5,\quad b = 0.75$$
#
# ### Exercise 1: scores


# %% tags=["nbval-check-output"]
def idf_scores(question, documents):
    r"""How like the question each document is: a list of numbers, in the documents' order.

    question: a text; documents: list of texts.
    A word is what re.findall(r"\w+", text.lower()) gives. A document's score: the sum of log(N / d) over the words
    that it shares with the question, each word once; N documents in all, d of them hold the word.
    """
    # BEGIN SOLUTION
    held = [set(re.findall(r"\w+", text.lower())) for text in documents]
    asked = set(re.findall(r"\w+", question.lower()))
    found_in = {word: sum(word in words for words in held) for word in asked}
    return [sum(math.log(len(held) / found_in[word]) for word in asked & words) for words in held]
    # END SOLUTION


course.check("lab03.idf_scores", idf_scores)

# %% [markdown]
# What does it find among the columns and in the glossary for a few questions? Where the question has the schema's
# words, the right thing comes first. Where it has others, as people do, it can't. Below it both formulas as pictures:
# the weight of a word, with the words of the last question on it; and what BM25 makes of its coming again. The third
# time a word is said hardly tells more than the second, and in a long text it tells less.

# %% tags=["nbval-check-output"]
scored = course.use("lab03.idf_scores", idf_scores)
pieces = [d for d in shown.documents if d.kind in ("column", "glossary")]
for q in (dev[0], dev[4], dev[9]):
    scores = scored(q.question, [d.text for d in pieces])
    best = sorted(range(len(pieces)), key=lambda i: -scores[i])[:3]
    print(q.question)
    print(*(f"  {scores[i]:.1f}  {pieces[i].table or 'glossary'}: {pieces[i].shown[:70]}" for i in best), sep="\n")
held = [set(re.findall(r"\w+", d.text.lower())) for d in pieces]
N, asked_words = len(pieces), re.findall(r"\w+", dev[9].question.lower())
idf = {d: math.log(N / d) for d in range(1, N + 1)}
found_in = {word: sum(word in words for words in held) for word in asked_words}
on_it = {", ".join(w for w in found_in if found_in[w] == d): (d, idf[d]) for d in found_in.values() if d}
display(Curves({"log(N / d)": idf.items()}, f"d, the documents that hold the word, of N = {N}", "idf", on_it))
lengths = {"half as long as the mean": 0.5, "as long as the mean": 1, "three times as long": 3}
bm25 = {name: [(f, f / (f + 1.5 * (0.25 + 0.75 * long))) for f in range(11)] for name, long in lengths.items()}
Curves(bm25, "f, how often the document holds the word", "BM25's factor")

# %% [markdown]
# ## 3. Examples
#
# Worked examples before the question (**few-shot**) show the model what an answer looks like, and in which formats this
# database keeps its values. Which examples? Those like the question. Not five times the same query in other words. And
# the nearest last, next to the question, where a small model looks first.
#
# ### Exercise 2: choose


# %% tags=["nbval-check-output"]
def choose_examples(scores, pairs, k):
    """The examples for a prompt: a list of at most k of the pairs, the best of them last.

    scores: a number for each pair, higher is better; pairs: list of labkit.Question; k: 0 or more.
    A pair whose score is 0 is never shown. Of pairs with the same .sql only the best. Of equal scores the pair given
    earlier counts as better.
    """
    # BEGIN SOLUTION
    chosen = {}
    for place in sorted(range(len(pairs)), key=lambda place: -scores[place]):
        if len(chosen) < k and scores[place] > 0:
            chosen.setdefault(pairs[place].sql, pairs[place])
    return list(chosen.values())[::-1]
    # END SOLUTION


course.check("lab03.choose_examples", choose_examples)

# %% tags=["nbval-check-output"]
choose = course.use("lab03.choose_examples", choose_examples)
texts = [pair.question for pair in solved]


def nearest(question, k):
    """The k solved pairs nearest to a question, the nearest last."""
    return choose(scored(question, texts), solved, k)


for q in (dev[0], dev[9], dev[40]):
    (near,) = nearest(q.question, 1)
    print(f"asked:   {q.question}\n         {q.sql}\nnearest: {near.question}\n         {near.sql}\n")

# %% [markdown]
# ### Similar is not the same
#
# Look closely at those. What retrieval finds is *like* the question: the same words, often another fact. Whoever reads
# it has to change the right parts of it. How far does mere likeness get? Let an "agent" without any model copy the
# query of the nearest pair:


# %% tags=["nbval-check-output"]
class Copyist:
    """A generator that answers with the query of the nearest solved pair."""

    def __call__(self, questions):
        found = [nearest(question.question, 1) for question in questions]
        return [pairs[-1].sql if pairs else "" for pairs in found]

    def describe(self):
        return {"model": "copyist"}


store = labkit.RunStore()
copied = labkit.evaluate(Copyist(), dev, store=store, progress=False)
print(f"copied: {copied.valid} of {copied.n} run, accuracy {copied}")

# %% [markdown]
# Nearly every copy runs, and hardly one is right. So the facts in a retrieved text pull an answer towards themselves,
# right or wrong. You see it in the model's own distribution. A query is begun for the same question, once below the
# plain prompt, once below the retrieved one. What comes next? The question asks for 2031, so the right token is '3'.

# %%
model = labkit.load_model(setting.model)
schema_text = read_schema(course.league()).to_prompt()
found = RetrievalPrompt(shown)
asked_for, begun = dev[10], "SELECT COUNT(*) FROM games WHERE season = 20"
print(f"{asked_for.question}\n{asked_for.sql}")
spread = {}
for name, messages in (
    ("plain", plain(asked_for.question, schema_text)),
    ("retrieved", found(asked_for.question)),
):
    likely = next_token_distribution(model, render(model.tokenizer, messages) + begun, k=6)
    spread[name] = [
        f"{token!r} {chance:.2f}" for token, chance in zip(likely.tokens, likely.probabilities, strict=True)
    ]
pd.DataFrame(spread, index=range(1, 7))

# %% [markdown]
# The distribution moved, in the saved run even to the wrong year: '2' begins 2029, which other questions ask for. It
# is still a distribution: one token is drawn from it, and the ones beside it are similar, wrong facts. Retrieval
# changes the odds, it does not look anything up for you.
#
# ## 4. A second chance
#
# **Self-reflection**: run the query; if it fails, show the model its query with the database's error, and ask again. Up
# to a number of times, because each further try costs the whole prompt once more.
#
# ### Exercise 3: the loop


# %% tags=["nbval-check-output"]
def reflect(ask, run, times):
    """The last query that the model was asked for.

    ask: a function; ask(None) is the model's first query, ask((query, error)) its next one, after it was told that
    `query`, its latest, fails with `error`. run: a function; run(query) is the error as a text, None if it runs.
    times: how many further tries there are at most. Don't ask again for a query that runs.
    """
    # BEGIN SOLUTION
    sql = ask(None)
    for _ in range(times):
        error = run(sql)
        if error is None:
            break
        sql = ask((sql, error))
    return sql
    # END SOLUTION


course.check("lab03.reflect", reflect)

# %% [markdown]
# On your model, for a few questions. Does it mend what it is told, or does it repeat itself?

# %%
loop = course.use("lab03.reflect", reflect)


def second_chances(question, times):
    """What the model wrote for a question, try by try."""
    messages, tried = plain(question, schema_text), []

    def ask(feedback):
        nonlocal messages
        if feedback:
            messages = reflection(messages, *feedback)
        (reply,) = model.chat([messages], max_new_tokens=min(setting.max_new_tokens, 60), progress=False)
        tried.append(extract_sql(reply))
        return tried[-1]

    loop(ask, lambda sql: labkit.execute(course.league(), sql).error, times)
    return tried


for q in dev[: course.shorter(3, 1)]:
    print(q.question)
    for number, sql in enumerate(second_chances(q.question, course.shorter(2, 1)), 1):
        told = labkit.execute(course.league(), sql).error or "runs"
        print(f"  try {number}: {' '.join(sql.split())[:90]}\n         {told[:90]}")

# %% [markdown]
# ### How much can it mend at most?
#
# The database says only that a query *fails*. A query that runs and answers another question gives no error, and no
# second chance. So the best case can be counted beforehand: every query that fails becomes right. Here it is for a
# larger model, whose plain answers were recorded once and are judged here and now.

# %% tags=["nbval-check-output"]
recording = next((r for r in course.recorded_runs() if "0.5B" in r.model), None)
larger = labkit.evaluate(recording or Copyist(), dev, store=store, progress=False)
print(recording or "No recorded run in datasets/league/runs: the copyist stands in for it.")
print("right:", larger)
silent = larger.valid - larger.correct
rows = [("right", larger.correct), ("runs, and is wrong: no error to show", silent), ("fails", larger.n - larger.valid)]
print(*(f"{number:4} {what}" for what, number in rows), sep="\n")
print(f"self-reflection reaches {(larger.n - silent) / larger.n:.2f} at the very most")

# %% [markdown]
# That is a ceiling, not a forecast. In Lab 2 many names were mended that way, and few answers became right.
#
# ## 5. The ladder
#
# Now all of it on the same questions, with your model, measured: the plain prompt, few-shot with fixed examples,
# self-reflection, retrieval by BM25. Each is a run in the store; a rung that was climbed before comes back at once.
#
# It takes minutes, with a bar. Too slow? Ask fewer questions. No time at all? Set `REPLAY = True`. Nothing is asked
# then: you go on with answers that the default model gave once to these questions, by this same recipe. They are
# judged here and now, and marked as **replayed** wherever they show, in your progress too, with model, weights' hash
# and date. They are refused for another model.

# %%
asked = dev[: course.shorter(20, 2)]
REPLAY = False  # True: don't ask, take the recorded answers
RUNGS = ("prompt", "few-shot", "self-reflection", "retrieval-bm25")[: course.shorter(4, 2)]
if REPLAY:
    climbed = replayed_ladder(model, asked, RUNGS, store)
else:
    shots, reflections = course.shorter(5, 1), course.shorter(2, 1)
    climbed = ladder(model, asked, RUNGS, pairs=solved, shots=shots, reflections=reflections, store=store)
mine = "replayed" if REPLAY else "yours"
print(climbed)

# %% [markdown]
# Beside your model, on exactly these questions: the copyist, and recorded answers, of the larger model and of yours
# when half tuned. Move the target with the arrow keys; a rung that has reached it turns into a diamond. The target that
# it begins with is the nearest that can be told from chance (Lab 2): six more right answers than the best rung has.

# %%
beside = {
    "copy the nearest pair": labkit.evaluate(Copyist(), asked, store=store, progress=False),
    "larger model, prompt": labkit.evaluate(recording or Copyist(), asked, store=store, progress=False),
}
half = next((r for r in course.recorded_runs() if "half-tuned" in r.model), None)
if half:  # what Lab 5 is about, as far as it had come: no prompt, no examples
    beside["yours, half-tuned"] = labkit.evaluate(half, asked, store=store, progress=False)
rungs = {f"{mine}, {rung.name}": rung.run for rung in climbed.rungs} | beside
chart = LadderChart(rungs)
chart

# %% [markdown]
# Whatever you see here is what these approaches reach on this machine, with this model, on so few questions. A very
# small model stays flat at the bottom whatever its prompt shows, and that is worth knowing. Do the rungs differ by more
# than chance?

# %%
base, *others = climbed.rungs
for rung in others:
    print(f"{mine}, {base.name} -> {rung.name}: {labkit.compare(base.run, rung.run)}")
print(f"{mine}, prompt -> larger model, prompt:", labkit.compare(base.run, beside["larger model, prompt"]))

# %% [markdown]
# On all hundred questions the intervals are narrower, and the chart is the same on every machine:

# %% tags=["nbval-check-output"]
print(LadderChart({"copy the nearest pair": copied, "larger model, prompt": larger}, target=0.5).text())

# %% [markdown]
# ## 6. A context has a price
#
# Each approach makes the prompt longer. A prompt is **prefilled**: all of its tokens are read at once, many a second.
# The answer is **decoded** token by token, much slower. If prompts begin with the same tokens (the schema first!), what
# was computed for these can be kept: a **prefix cache**.
#
# Images are tokens too. For Gemini an image counts 258 tokens, with 3,000 images at most (PNG or JPEG; large ones are
# scaled and padded).
#
# ### Exercise 4: seconds a query


# %% tags=["nbval-check-output"]
IMAGE_TOKENS = 258


def query_seconds(text_tokens, images, new_tokens, cached, prefill, decode):
    """Seconds until the answer is there.

    text_tokens, images: what the prompt holds; new_tokens: what the answer has; cached: how many of the prompt's
    tokens are in the cache, and need not be read; prefill, decode: tokens read and tokens written a second.
    One token at least is always read, the prompt's last: from it comes the first of the answer.
    """
    # BEGIN SOLUTION
    prompt = text_tokens + IMAGE_TOKENS * images
    return max(1, prompt - cached) / prefill + new_tokens / decode
    # END SOLUTION


course.check("lab03.query_seconds", query_seconds)

# %% [markdown]
# The two speeds of your machine, measured:

# %%
seconds_of = course.use("lab03.query_seconds", query_seconds)


def timed(conversations, n):
    """Seconds for n tokens of an answer to each of the conversations together, and the answers."""
    model.prefix = None  # begin cold: the model keeps the keys and values of its last prompts' common part
    begun = time.perf_counter()
    replies = model.chat(conversations, max_new_tokens=n, progress=False)
    return time.perf_counter() - begun, replies


long = plain(dev[0].question, schema_text)
read = len(prompt_tokens(model, [long])[0])
timed([long], 1)  # the first call warms up
first, _ = timed([long], 1)
whole, (reply,) = timed([long], 1 + course.shorter(48, 8))
written = max(1, len(model.tokenizer(reply).input_ids) - 1)
prefill, decode = read / first, written / max(whole - first, 1e-3)
print(f"{read} tokens read in {first:.2f} s: {prefill:,.0f} tokens a second")
print(f"{written} tokens more written in {max(whole - first, 1e-3):.2f} s: {decode:,.0f} tokens a second")

# %% [markdown]
# What does each prompt of this lab cost? `shared` is how many first tokens its prompts for eight questions have in
# common. The plain prompts share the schema. Retrieved prompts begin differently each time, so they lose the cache; on
# a schema this small they are no shorter either.

# %%
few = nearest(dev[0].question, 5)
PROMPTS = {
    "the question alone": lambda q: question_only(q.question),
    "plain: the whole schema": lambda q: plain(q.question, schema_text),
    "few-shot, 5 fixed examples": lambda q: few_shot(q.question, schema_text, few),
    "few-shot, 5 nearest": lambda q: few_shot(q.question, schema_text, nearest(q.question, 5)),
    "retrieval (BM25)": lambda q: found(q.question),
}
prices = []
for name, prompt in PROMPTS.items():
    tokens = prompt_tokens(model, [prompt(q) for q in dev[:8]])
    mean, shared = round(sum(map(len, tokens)) / len(tokens)), shared_length(tokens)
    cost = [seconds_of(mean, 0, 30, cached, prefill, decode) for cached in (0, shared)]
    prices.append((name, mean, shared, *(round(second, 3) for second in cost)))
columns = ["prompt", "tokens", "shared", "s without cache", "s with cache"]
prices = pd.DataFrame(prices, columns=columns).set_index("prompt")
prices

# %% [markdown]
# That is calculated. Is it true? The kit's decoding computes a shared prefix once. Eight questions one by one, each
# begun cold, and the same eight together, which also go through the model side by side:

# %%
eight = [PROMPTS["plain: the whole schema"](q) for q in dev[: course.shorter(8, 2)]]
alone = sum(timed([messages], 1)[0] for messages in eight)
together, _ = timed(eight, 1)
print(f"{len(eight)} prompts one by one: {alone:.2f} s; sharing their prefix: {together:.2f} s")

# %% [markdown]
# Long contexts and images, on an imagined machine that reads 2,000 tokens and writes 40 tokens a second, so that the
# table is the same for everybody:

# %% tags=["nbval-check-output"]
CONTEXTS = {
    "a question": (20, 0),
    "a schema": (1_200, 0),
    "a schema, 100 solved pairs": (9_000, 0),
    "a handbook of 300 pages": (150_000, 0),
    "1 image": (20, 1),
    "100 images": (20, 100),
    "3,000 images, the most": (20, 3_000),
}
table = []
for name, (text, images) in CONTEXTS.items():
    total = text + IMAGE_TOKENS * images
    again = total - 20  # all but the question itself
    cost = [seconds_of(text, images, 30, cached, 2_000, 40) for cached in (0, again)]
    table.append((name, f"{total:,}", *(f"{second:,.2f}" for second in cost)))
pd.DataFrame(table, columns=["context", "tokens", "s without cache", "s with cache"])

# %% [markdown]
# A cache makes repeated context cheap. It does not make it free: it takes memory while it waits, and it is of no use to
# context that is different for each question, which is what retrieval brings.
#
# ## 7. Building costs once, asking costs each time
#
# "Tuning is too expensive" is half a sentence: compared with what, and for how many queries? Building costs once. A
# long prompt costs with every query, for ever.
#
# ### Exercise 5: break-even


# %% tags=["nbval-check-output"]
def break_even(build, before, after):
    """The fewest whole queries after which building has paid for itself: build + n * after <= n * before.

    build: what it costs once; before, after: what a query costs without it and with it; all in the same unit.
    None if a query costs as much as before or more: then it never pays.
    """
    # BEGIN SOLUTION
    if after >= before:
        return None
    return math.ceil(build / (before - after))
    # END SOLUTION


course.check("lab03.break_even", break_even)

# %% [markdown]
# Lab 5 tunes an adapter on one core of a CPU, and that tuning is on record. Suppose that a tuned model needs the
# question alone, and your model the whole schema. This compares seconds of computing only; whether the tuned model is
# as *right* is another question, and Labs 5 and 6 measure it. (The core on record is not yours. Put in your own
# `build` once you have done Lab 5.)

# %%
paid = course.use("lab03.break_even", break_even)
build = card_seconds(Path(labkit.__file__).parent / "tuning" / "ready" / "lab05")
print(f"built in {build:,.0f} s")
for column in ("s without cache", "s with cache"):
    before, after = prices.loc["plain: the whole schema", column], prices.loc["the question alone", column]
    queries = paid(build, before, after)
    told = f"after {queries:,} queries" if queries is not None else "never"
    print(f"{column}: {before:.3f} s against {after:.3f} s a query, paid back {told}")

# %% [markdown]
# In money, with made-up prices, in thousandths of a cent, so that the table is the same for everybody:

# %% tags=["nbval-check-output"]
OFFERS = {  # build, a query before, a query after
    "a small adapter, short prompts": (500_000, 120, 20),
    "the same, with a prefix cache before": (500_000, 35, 20),
    "a retrieval index, longer prompts": (20_000, 120, 150),
    "five worked examples, longer prompts": (0, 120, 200),
}
table = []
for name, (build_price, before, after) in OFFERS.items():
    queries = paid(build_price, before, after)
    days = "-" if queries is None else f"{math.ceil(queries / 500):,}"
    table.append((name, "never" if queries is None else f"{queries:,}", days))
pd.DataFrame(table, columns=["what is built", "paid back after queries", "days at 500 a day"])

# %% [markdown]
# "Never" is no verdict. In this table a retrieval index never pays in *costs*; it may be worth it for its accuracy.
# That is why a ladder shows both.
#
# ## 8. Three myths
#
# | people say | what to ask | where you measure it |
# |---|---|---|
# | prompting and retrieval solve everything | how high is the ladder, with its intervals? | section 5 |
# | tuning is too expensive | after how many queries is it paid back? | section 7 |
# | tuning is too hard | how many lines is it? | Lab 5 |
#
# Your numbers on the first two. Below them how many each rung has right, beside the range of recorded runs: other
# seeds, two number formats. (All rungs answer greedily: a seed changes none of it, the rounding of another format may.)

# %%
best = max(climbed.rungs, key=lambda rung: rung.run.accuracy)
print(f"highest rung ({mine}): {best.name}, {best.run}")
print(f"next target: {chart.target:.2f} on {len(asked)} questions")
display(climbed.to_frame()[["rung", "accuracy", "low", "high", "prompt_tokens", "seconds", "build_seconds"]].round(2))
figures = {rung.name: rung.run.correct for rung in climbed.rungs}
figures |= {"could be run, on all rungs": sum(rung.run.valid for rung in climbed.rungs)}
if REPLAY:  # recorded answers: nothing to hold these against
    figures = {f"replayed: {name}": value for name, value in figures.items()}
course.expected("lab03", figures, setting)

# %% [markdown]
# ## Recap
#
# - Prompts, examples, retrieval and second chances are quickly built. Measure them on the same questions, with an
#   interval, and next to their price.
# - Retrieval finds what is similar. It shifts the distribution; what is drawn from it may be a similar, wrong fact.
# - Self-reflection mends what fails, never what runs and is wrong. Its ceiling can be counted beforehand.
# - Reading is cheap, writing is dear, and a shared prefix is cheapest. Put what stays the same first.
# - Building costs once, a context costs with every query.
#
# In **Lab 4** you make training data out of what you have: schema, values, glossary, logs.
#
# ## Go further
#
# - Climb the rung "retrieval-embeddings" too. It needs a second, small model. Does it find what shared words can't?
# - Let the model have more examples, one to ten. Where does it stop helping, and what does each cost?
# - Give `labkit.ladder` a larger model (`course.setup(model=...)`). Which rung gains most?
# - Which questions does the copyist answer rightly? What have they in common?

# %%
course.progress()
