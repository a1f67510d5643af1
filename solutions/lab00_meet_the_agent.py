# ruff: noqa: B018
# %% [markdown]
# # Lab 0. Meet the SQL agent
#
# A basketball league keeps its numbers in a database. People who can't write SQL want answers from it. In this
# lab a small language model writes the SQL for them, and you see how that goes wrong.
#
# **After this lab you can**
#
# - say why a language model invents facts about your business, and why a SQL agent is the right place to work on
#   that;
# - follow a question through the agent: prompt, SQL, rows, answer;
# - explain how a model picks its next word, and write temperature, top-k and top-p yourself;
# - say what instruction tuning changed, and write the chat format that it brought;
# - read a score with its interval.
#
# **Time** about 45 minutes. **You need** Python and some SQL; no knowledge of language models. No GPU, no
# network.
#
# Exercises are functions with a missing body. Each has a check that answers in a sentence. Leave out what you
# like: the cells below it use your function once its check has passed, and labkit's until then.

# %%
from collections import Counter

import numpy as np
from IPython.display import display

import labkit
from labkit import course
from labkit.agent import Agent, SqlGenerator
from labkit.evaluation import wilson
from labkit.prompting import extract_sql, plain
from labkit.widgets import Curves, TokenBars
from labkit.widgets.distributions import FILTERS

setting = course.setup()
setting

# %% [markdown]
# What you see is what this lab runs with: the model, the seed of all draws, the libraries' versions, and what the kit
# found your machine fit for. The end of the last line is about tuning, which begins in Lab 5.
#
# ## 1. The league
#
# The league is made up, and so is every player in it. That is on purpose. It stands for the facts that only your
# company knows: no model can have read them anywhere.

# %% tags=["nbval-check-output"]
league = course.league()
schema = labkit.read_schema(league)
for table in schema.tables:
    print(f"{table.name:13} {table.rows:5,} rows: {', '.join(column.name for column in table.columns)}")

# %% [markdown]
# `labkit.execute` runs one query and changes nothing. Lab 1 shows what it is protected from.

# %% tags=["nbval-check-output"]
labkit.execute(league, "SELECT nickname, city, titles FROM teams ORDER BY team_id LIMIT 5").to_frame()

# %% [markdown]
# ## 2. The first wrong answer
#
# Load the model. It is small, and runs on any laptop. Then ask it as you would ask a chat window: first something
# that is all over the public web, then something about the league.

# %%
model = labkit.load_model(setting.model)


def chat(question: str) -> str:
    """The model's own words, with no database in sight."""
    return model.chat([[{"role": "user", "content": question}]], max_new_tokens=course.shorter(60, 24))[0].strip()


print(f"{sum(weights.numel() for weights in model.network.parameters()):,} parameters")
print(chat("What is the capital of France?"), end="\n\n")
question = "In which city do the Otters play, and how many titles have they won?"
print("The model says: ", chat(question))
print("The league says:", labkit.execute(league, "SELECT city, titles FROM teams WHERE nickname = 'Otters'").rows)

# %% [markdown]
# The answer reads well and is made up. This is a **hallucination**. The model does not look anything up: it
# continues a text with words that are likely. Its training data is public text, and your facts are not in it. So
# it gives what such an answer usually looks like.
#
# Nearly right does not help. A report with a wrong number that looks like a right one is worse than no report.
#
# ## 3. Why a SQL agent
#
# A **SQL agent** does not let the model state facts. The model writes a query, the database gives the facts.
#
# - A business user has an answer at once and does not wait for the data team.
# - The data team is spared the hundredth small question.
# - A query can be read, run again and checked. A sentence can't.
# - Where the agent works, it is more reliable than queries that business users would write themselves: it is checked
#   once, for all of them. This course is about getting there.
#
# The agent below shows its SQL and its rows beside the answer. When the query fails it says so.

# %%
agent = Agent(model, league, max_new_tokens=setting.max_new_tokens)
print("The league says:", labkit.execute(league, "SELECT COUNT(*) FROM teams").rows)
agent.ask("How many teams are there?")

# %% [markdown]
# ### The same by hand
#
# An agent is four steps. First the **prompt**: the tables as text, then the question. Second, the model replies.
# Models like to talk, so third, the SQL is taken out of the reply. Fourth, the query is run.

# %%
messages = plain("How many teams are there?", schema.to_prompt())
for message in messages:
    print(f"[{message['role']}]\n{message['content'][:900]} ...\n")
reply = model.chat([messages], max_new_tokens=setting.max_new_tokens)[0]
result = labkit.execute(league, extract_sql(reply))
print("reply: ", reply.strip()[:300])
print("result:", result.rows if result.ok else result.error)

# %% [markdown]
# A small model may talk and write no SQL at all. When a reply does hold SQL, this is what taking it out looks
# like:

# %% tags=["nbval-check-output"]
extract_sql("Sure! Here is your query:\n```sql\nSELECT count(*) FROM teams;\n```\nIt counts the teams.")

# %% [markdown]
# ## 4. How a model picks the next token
#
# A model reads text in **tokens**: words or parts of words. For the next token it gives each of its tokens a
# chance. Text is made by picking one, adding it to the end, and starting over.
#
# ␣ stands for a blank.


# %%
def bars_after(text: str, filters=FILTERS) -> TokenBars:
    """The chances of all tokens after `text`. Their logarithms serve as logits: both have the same differences."""
    tokens = labkit.next_token_distribution(model, text, k=100_000)
    return TokenBars(tokens.tokens, np.log(tokens.probabilities), filters)


bars_after("The capital of France is")

# %% [markdown]
# In Jupyter there are three sliders above the bars. Move them. Then come back and write what they do.
#
# The model's raw scores are called **logits**. `softmax` makes chances of them: `exp` of each, divided by the sum
# of all. **Temperature** divides the logits first. Below 1 the likely tokens gain, above 1 the unlikely ones do.
#
# $$p_i = \frac{e^{z_i / t}}{\sum_j e^{z_j / t}} \qquad z\ \mathrm{the\ logits},\quad t\ \mathrm{the\ temperature}$$
#
# ### Exercise 1: temperature


# %% tags=["nbval-check-output"]
def temperature(logits, t):
    """Chances from logits at temperature t > 0.

    logits: NumPy array of one number per token. Returns an array of the same length that sums to 1.
    Mind large logits: exp(1000) is more than a float can hold.
    """
    # BEGIN SOLUTION
    scaled = (logits - logits.max()) / t
    weights = np.exp(scaled)
    return weights / weights.sum()
    # END SOLUTION


course.check("lab00.temperature", temperature)

# %% [markdown]
# Stuck? `course.check("lab00.temperature", temperature, hint=1)` gives a nudge, `hint=2` more, `hint=3` the whole
# idea in code.
#
# ### Exercise 2: top-k
#
# **Top-k** keeps the k likeliest tokens and drops the rest, so that a very unlikely token can't come up at all.


# %% tags=["nbval-check-output"]
def top_k(probabilities, k):
    """Keep the k largest chances in their places, set the others to 0, and scale the kept ones to sum 1.

    probabilities: NumPy array that sums to 1; k: 1 or more, perhaps more than there are tokens.
    """
    # BEGIN SOLUTION
    keep = np.argsort(-probabilities, kind="stable")[:k]
    kept = np.zeros_like(probabilities)
    kept[keep] = probabilities[keep]
    return kept / kept.sum()
    # END SOLUTION


course.check("lab00.top_k", top_k)

# %% [markdown]
# ### Exercise 3: top-p
#
# A fixed k is too many where the model is sure and too few where it is not. **Top-p** keeps the fewest tokens
# that hold at least p of the chance together: few where the model is sure, many where it is not.


# %% tags=["nbval-check-output"]
def top_p(probabilities, p):
    """Keep the fewest likeliest tokens whose chances sum to at least p, the others 0; scale to sum 1.

    probabilities: NumPy array that sums to 1; p: above 0, up to 1. At least one token stays.
    """
    # BEGIN SOLUTION
    order = np.argsort(-probabilities, kind="stable")
    before = np.cumsum(probabilities[order]) - probabilities[order]
    keep = order[before < p]
    kept = np.zeros_like(probabilities)
    kept[keep] = probabilities[keep]
    return kept / kept.sum()
    # END SOLUTION


course.check("lab00.top_p", top_p)

# %% [markdown]
# Now the sliders run on your three functions, on the chances of the token that the model would
# write after `SELECT`, for a league question.

# %%
filters = [
    course.use("lab00.temperature", temperature),
    course.use("lab00.top_k", top_k),
    course.use("lab00.top_p", top_p),
]
opening = "Question: Which team has won the most titles?\nSQL: SELECT"
bars_after(opening, filters)

# %% [markdown]
# The same without a slider, on a toy model of six tokens: as it is, at temperature 0.5, with top-k 3, with top-p
# 0.8. Below it two pictures, drawn by your functions: the chances of four tokens as the temperature rises, and what
# the k likeliest hold together. Top-p 0.8 stops where the line has passed 0.8.

# %% tags=["nbval-check-output"]
toy = TokenBars(["salary", "pay", "wage", "income", "money", "cash"], [2.0, 1.5, 1.0, 0.5, 0.0, -0.5], filters)
for settings in ({"temperature": 1}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.8}):
    print(*(f"{name} = {value}" for name, value in settings.items()))
    print(toy.text(**settings), end="\n\n")
logits, heat = np.array([2.0, 1.5, 1.0, 0.5, 0.0, -0.5]), np.linspace(0.1, 4, 79)
heated = np.array([filters[0](logits, t) for t in heat])
lines = {toy.tokens[i]: zip(heat, heated[:, i], strict=True) for i in (0, 1, 2, 5)}
display(Curves(lines, "t, the temperature", "chance", {"t = 1": (1, filters[0](logits, 1)[0])}))
chances = filters[0](logits, 1)
held = [(k, chances[filters[1](chances, k) > 0].sum()) for k in range(1, 7)]
stop = (filters[2](chances, 0.8) > 0).sum()
Curves({"the k likeliest together": held}, "k", "chance", {f"top-p 0.8 keeps {stop}": held[stop - 1]}, level=0.8)

# %% [markdown]
# Here is a hallucination being born. If the column is called `salary`, then `pay` and `wage` are wrong, and yet
# they have a good part of the chance. The filters can make the model stick to its favourite. They can't make the
# favourite right.
#
# ### Exercise 4: draw a token


# %% tags=["nbval-check-output"]
def sample(probabilities, u):
    """The index of the token that the random number u picks.

    probabilities: numbers that sum to 1; u: 0 <= u < 1. Lay the chances end to end: u falls on one of them.
    """
    # BEGIN SOLUTION
    total = 0.0
    for index, p in enumerate(probabilities):
        total += p
        if u < total:
            return index
    return len(probabilities) - 1
    # END SOLUTION


course.check("lab00.sample", sample)

# %% [markdown]
# A thousand draws come out as the chances say.

# %% tags=["nbval-check-output"]
draw = course.use("lab00.sample", sample)
random = np.random.default_rng(0)
drawn = Counter(toy.tokens[draw(toy.probabilities(), u)] for u in random.random(1000))
for token, chance in zip(toy.tokens, toy.probabilities(), strict=True):
    print(f"{token:7} chance {chance:.3f}   drawn {drawn[token] / 1000:.3f}")

# %% [markdown]
# ### Greedy, and not
#
# At temperature 0 the likeliest token always wins: **greedy** decoding. It gives the same text every time, and
# labkit uses it for everything that is measured. With a temperature, one question gives several queries.

# %%
for seed in range(setting.seed, setting.seed + course.shorter(3, 1)):
    warm = model.chat([messages], temperature=1.0, seed=seed, max_new_tokens=course.shorter(40, 16))[0]
    print(f"seed {seed}: {warm.strip()!r}")
print(f"greedy: {reply.strip()!r}")

# %% [markdown]
# ## 5. Completing text, following requests
#
# A model is first trained to continue text: **pre-training**. Then it is trained on conversations, so that it
# does what it is asked: **instruction tuning**. Ours has had both. What decides which of them you get is the form
# of the input.
#
# Text is made in a loop: chances, pick one, add it. This is all of it.


# %%
def complete(text: str, tokens: int) -> str:
    """Continue `text` greedily. Slow on purpose: the whole text is read again for each token."""
    begin = len(text)
    for _ in range(tokens):
        best = labkit.next_token_distribution(model, text, k=1)
        text += model.tokenizer.decode(best.token_ids)
    return text[begin:]


length = course.shorter(40, 8)
request = "Write a SQL query that counts the teams."
print(complete(request, length))

# %% [markdown]
# Raw, the sentence is a text to be continued. The same sentence in the form that conversations had in training
# gets a reply.
#
# ### Exercise 5: the chat format
#
# That form is plain text with marks for who speaks. One turn of it:
#
# ```
# <|im_start|>user
# Write a SQL query that counts the teams.<|im_end|>
# ```
#
# Turns follow each other, each with a line end after it. At the end the assistant's turn is opened, for the model
# to go on: `<|im_start|>assistant` and a line end.


# %% tags=["nbval-check-output"]
def to_chat(messages):
    """The conversation as one text, its last turn opened for the assistant.

    messages: list of {"role": "system" or "user" or "assistant", "content": text}.
    """
    # BEGIN SOLUTION
    turns = [f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages]
    return "".join(turns) + "<|im_start|>assistant\n"
    # END SOLUTION


course.check("lab00.to_chat", to_chat)

# %%
as_chat = course.use("lab00.to_chat", to_chat)
conversation = [{"role": "user", "content": request}]
print(complete(as_chat(conversation), length))

# %% [markdown]
# The same weights, the same question. Only the form is different. When you call `.chat`, labkit writes this form
# for you.
#
# Pre-training alone can be put to use as well: write a text whose likeliest continuation is a query. This one
# ends in `SELECT`.

# %%
sql = extract_sql("SELECT" + complete(opening, length))
result = labkit.execute(league, sql)
print(sql)
print(result.rows if result.ok else result.error)

# %% [markdown]
# It looks like SQL, and the model has not seen our tables: every name in it is a guess. Putting the tables into
# the text helps some. How far prompts reach is measured in Lab 3.
#
# ## 6. How good is it?
#
# One question proves nothing. `start.jsonl` holds the first questions of our evaluation, each with the query that
# answers it.

# %% tags=["nbval-check-output"]
questions = labkit.load_questions(course.datasets() / "league" / "start.jsonl")
print(len(questions), "questions, for example:")
for item in questions[:3]:
    print(f"- {item.question}\n  {item.sql}")

# %% [markdown]
# `labkit.evaluate` asks the model all of them, runs its queries beside the right ones and compares the rows. This
# takes a minute or two. Everything is kept in the run store: run the cell again and it is there at once.
#
# Below the table your figures stand beside the range of recorded runs: other seeds, two number formats (bfloat16 and
# float32: numbers kept in 16 or in 32 bits). The answers are greedy, so a seed changes none of them; the rounding of
# another format may.

# %%
asked = questions[: course.shorter(len(questions), 3)]
run = labkit.evaluate(SqlGenerator(model, max_new_tokens=setting.max_new_tokens), asked, store=labkit.RunStore())
print(f"run {run.id}: {run}")
print(f"{run.valid} of {run.n} predictions could be run at all")
run.to_frame()[["question_id", "prediction", "verdict", "reason"]].head(5)

# %%
course.expected("lab00", {"right": run.correct, "could be run": run.valid}, setting)

# %% [markdown]
# The number in front is the share of right answers. The two in brackets are its **95 % interval** (Wilson's).
# With few questions the interval is wide, and an honest report prints it. The same share from ten times as many
# questions says more:

# %% tags=["nbval-check-output"]
for n in (20, 200, 2000):
    half, none = wilson(n // 2, n), wilson(0, n)
    print(f"{n:4} questions: half right means {half.low:.2f} to {half.high:.2f}, none right means 0 to {none.high:.3f}")

# %% [markdown]
# ## 7. Your turn: ask
#
# Ask the agent what you like. Change the question and run the cell again.

# %%
agent.ask("Who is the coach of the Foxes?")

# %% [markdown]
# ## Recap
#
# - A model continues text with likely tokens. What it has not read, it makes up, and it sounds the same.
# - A SQL agent moves the facts from the model to the database. What is left to go wrong is the query.
# - Temperature, top-k and top-p change how a token is picked. They don't change what the model knows.
# - Instruction tuning made the model follow requests in one form of text. It did not teach it your tables.
# - A score is a share, an n and an interval.
#
# If hardly any query could be run: that is where the course starts, not where it ends. In **Lab 1** you take the
# failures apart.
#
# ## Go further
#
# - Give the agent a table name in the question. Does it help?
# - Which temperature makes the thousand draws nearly all the same token? Try it on `toy`.
# - Ask the model for your own employer's head office. Which parts of the answer could it have read somewhere?

# %%
course.progress()
