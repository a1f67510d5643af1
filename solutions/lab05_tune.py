# ruff: noqa: B018
# %% [markdown]
# # Lab 5. LoRA and instruction tuning
#
# A prompt tells the model what it needs, again with each question. Tuning puts it into the weights, once. In this lab
# you write the parts of it yourself, each a line or two: the small matrices that are trained, the loss that trains
# them, the weights in four bits, the rule by which facts are learnt by heart. Then you tune, stop, go on, and put the
# result into the agent.
#
# **After this lab you can**
#
# - write LoRA's low-rank update, count what it trains, and fuse it into the weights;
# - hold weights in four bits and say what that loses;
# - compute the loss of the answer's tokens, and only of those;
# - tune a model by one call, stop it, go on, and ask the agent;
# - say what instruction tuning is good for, and where memory tuning goes on.
#
# **Time** about 55 minutes, some 10 of them waiting on a slow laptop. **You need** Lab 2, or an idea of accuracy with
# an interval.

# %%
import contextlib
import copy
import io
import time
from collections import defaultdict

import numpy as np
import pandas as pd
import torch
from IPython.display import display

import labkit
from labkit import course
from labkit.agent import Agent, ReplyGenerator, SqlGenerator
from labkit.decoding import next_token_logits, prompt_tokens
from labkit.prompting import plain, question_only
from labkit.schema import read_schema
from labkit.side_effects import load_prompts, side_effects
from labkit.tuning.adapter import read_card
from labkit.tuning.examples import encode
from labkit.tuning.lora import LoRA, LoRALinear, attach, detach, parameters
from labkit.tuning.lora import fuse as fuse_layers
from labkit.tuning.ready import ready
from labkit.tuning.starters import starter
from labkit.widgets import Curves, LadderChart, LossCurve, LowRank, TokenLosses, TrainingView

setting = course.setup()
setting

# %% [markdown]
# ## 1. Why tune at all?
#
# - **More than fits a prompt**: a database has more values, words and rules than anyone can show.
# - **Learning instead of access**: what is in a prompt can be looked up. What is in the weights is known, and combined.
# - **Deeper control**: a format, a style, a dialect of SQL, without asking for it each time.
# - **No ceiling**: a prompt is as good as it gets after an afternoon. Data can grow (Lab 4).
#
# What does it save? The same question, with the schema in the prompt and without it:

# %%
model = labkit.load_model(setting.model)
folder = course.adapters_folder("lab05")  # what this lab makes stays there: Lab 8 goes on from it
store = labkit.RunStore()  # your climb: `labkit progress` and the certificate show it
dev = labkit.load_questions(course.datasets() / "league" / "dev.jsonl")
asked = dev[: course.shorter(40, 1)]
schema_text = read_schema(course.league()).to_prompt()
PROMPTS = {
    "schema in the prompt": lambda q: plain(q.question, schema_text),
    "the question alone": lambda q: question_only(q.question),
}
lengths = {name: np.mean([*map(len, prompt_tokens(model, [*map(ask, asked)]))]) for name, ask in PROMPTS.items()}
pd.Series(lengths, name="tokens read a question").round(1).to_frame()

# %% [markdown]
# ## 2. LoRA: two thin matrices beside a thick one
#
# A model is mostly weight matrices. A layer computes $y = W x$. To tune it one could change all of $W$. **LoRA**
# (low-rank adaptation, the best known kind of PEFT, parameter-efficient fine-tuning) leaves $W$ as it is, and adds a
# product of two thin matrices:
#
# $$y = W x + \frac{\alpha}{r} B A x$$
#
# $A$ has shape (r, in), $B$ has shape (out, r). The **rank** $r$ is small, say 16. $\alpha$ is a fixed number that says
# how strong the update is. Only $A$ and $B$ are trained. $B$ begins at zero, so the tuned model begins as the base.

# %% tags=["nbval-check-output"]
LowRank(576, 576, 16)

# %% [markdown]
# ### Exercise 1: the layer


# %% tags=["nbval-check-output"]
def lora_output(x, W, A, B, alpha):
    """The layer's outputs, shape (rows, out).

    x: (rows, in), each row an input; W: (out, in); A: (rank, in); B: (out, rank); alpha: a number.
    NumPy arrays: `@` is the product of matrices, `.T` turns one round. Don't build the large matrix B @ A here.
    """
    # BEGIN SOLUTION
    return x @ W.T + alpha / len(A) * (x @ A.T) @ B.T
    # END SOLUTION


course.check("lab05.lora_output", lora_output)

# %% [markdown]
# ### Exercise 2: how much is trained?


# %% tags=["nbval-check-output"]
def trained_share(shapes, rank):
    """A tuple: how many numbers LoRA trains beside these matrices, and their share of the matrices' own numbers.

    shapes: list of (out, in); rank: of each update.
    """
    # BEGIN SOLUTION
    trained = sum(rank * (out + into) for out, into in shapes)
    return trained, trained / sum(out * into for out, into in shapes)
    # END SOLUTION


course.check("lab05.trained_share", trained_share)

# %% [markdown]
# "10,000 times cheaper", people say. The paper (Hu et al. 2021) speaks of GPT-3, and of the number of trained
# parameters: a rank of 4, on two matrices of each layer only. Is that so? And what would other choices give? Below the
# table your function as a picture: $r\,(\mathrm{out} + \mathrm{in})$ beside $\mathrm{out} \cdot \mathrm{in}$. Where a
# line reaches 1, the two thin matrices hold as much as the thick one.

# %% tags=["nbval-check-output"]
count = course.use("lab05.trained_share", trained_share)
GPT3 = 175_000_000_000  # parameters, in 96 layers of width 12,288
rows = []
for per_layer, matrices in (("2 of 4 attention matrices", 2), ("all 4 attention matrices", 4)):
    for rank in (1, 4, 16, 64):
        trained, _ = count([(12_288, 12_288)] * 96 * matrices, rank)
        rows.append((per_layer, rank, f"{trained:,}", f"{GPT3 / trained:,.0f}"))
shares = {f"{w:,} x {w:,}": [(r, count([(w, w)], r)[1]) for r in range(1, 289)] for w in (576, 1536, 12_288)}
display(pd.DataFrame(rows, columns=["adapted", "rank", "trained", "times fewer than all"]))
full = {"rank 288: as many": shares["576 x 576"][-1]}
Curves(shares, "r, the rank", "numbers trained, beside those of the matrix", full)

# %% [markdown]
# For a large model the claim holds. A small model is thin already, and thin matrices beside thin ones save less: here
# is yours, with all its linear layers adapted, as the kit does it.
#
# And fewer numbers are not fewer seconds. Below, one training step is measured: all weights against LoRA of rank 16.
# Memory is what training needs on top of the weights: the gradient, and two running averages that the optimizer
# (AdamW) keeps, so three numbers for each number that is trained.

# %%
linear = [m for m in model.network.model.layers.modules() if isinstance(m, torch.nn.Linear)]
total = sum(weights.numel() for weights in model.network.parameters())
for rank in (1, 4, 16, 64):
    trained, _ = count([(m.out_features, m.in_features) for m in linear], rank)
    print(f"rank {rank:2}: {trained:10,} of {total:,} numbers, {total / trained:5.0f} times fewer")
everywhere = LoRA(tuple(range(len(model.network.model.layers))), rank=16)
text = "\n".join(f"{q.question} {q.sql}" for q in dev[:8])
ids = torch.tensor([model.tokenizer(text).input_ids[: course.shorter(256, 32)]], device=model.network.device)


def step_seconds(trained):
    """Seconds of one pass forwards and backwards; the first one warms up."""
    for tensor in trained:
        tensor.requires_grad_(True)
    for _ in range(2):
        begun = time.perf_counter()
        model.network(input_ids=ids, labels=ids).loss.backward()
    seconds = time.perf_counter() - begun
    for tensor in trained:
        tensor.grad = None
    model.network.requires_grad_(False)
    return seconds


measured = {}
every = list(model.network.parameters())
measured["all weights"] = step_seconds(every), 12 * total / 1e6
adapters = attach(model.network, everywhere)
thin = parameters(adapters)
measured["LoRA, rank 16"] = step_seconds(thin), 12 * sum(tensor.numel() for tensor in thin) / 1e6
detach(model.network, adapters)
step = pd.DataFrame(measured, index=["s a step", "MB for gradient and averages (float32)"]).T
step.loc["times less"] = step.iloc[0] / step.iloc[1]
step.round(2)

# %% [markdown]
# So "cheap" is three claims: far fewer numbers to keep and send, far less memory, and *some* time. The model still has
# to be run forwards and backwards.
#
# ### Exercise 3: fuse
#
# After training, two thin matrices beside each layer would make every answer a little slower. They need not stay.


# %% tags=["nbval-check-output"]
def fuse(W, A, B, alpha):
    """One matrix of W's shape that does what the layer and its update did together. W itself is left as it was."""
    # BEGIN SOLUTION
    return W + alpha / len(A) * B @ A
    # END SOLUTION


course.check("lab05.fuse", fuse)

# %% [markdown]
# Is that what the kit computes? One real layer of the model, with an adapter whose `B` is not zero any more, by both of
# your functions. Then the whole model, on a copy: the base, the base with adapters at its side, and fused. The same
# logits but for rounding (bfloat16 has some three digits, and both ways round differently), and the time of the base.

# %%
layer_of, fused_by = course.use("lab05.lora_output", lora_output), course.use("lab05.fuse", fuse)
layer = model.network.model.layers[0].self_attn.q_proj
adapter = LoRALinear(layer, rank=16, alpha=32.0)
with torch.no_grad():
    adapter.B.normal_(std=0.02)
    x = torch.randn(4, layer.in_features, dtype=layer.weight.dtype)
    theirs = adapter(x).float().numpy()
inputs, weights, *thin_one = (t.detach().float().numpy() for t in (x, layer.weight, adapter.A, adapter.B))
by_hand = {
    "side by side": layer_of(inputs, weights, *thin_one, 32.0),
    "fused": inputs @ fused_by(weights, *thin_one, 32.0).T,
}
largest = np.abs(theirs).max()
for name, mine in by_hand.items():
    print(f"one layer, yours {name}: differs from the kit's by {np.abs(mine - theirs).max():.1g} of {largest:.3f}")
network, prompt = copy.deepcopy(model.network), question_only(dev[0].question)
ours = copy.copy(model)
ours.network = network


def asked_once():
    """Logits of the next token, and the median time of some calls."""
    times = []
    for _ in range(course.shorter(7, 1)):
        begun = time.perf_counter()
        logits = next_token_logits(ours, prompt)
        times.append(time.perf_counter() - begun)
    return logits, 1000 * float(np.median(times))


logits, found = {}, {}
logits["base"], found["base"] = asked_once()
adapters = attach(network, everywhere)
with torch.no_grad():
    for number, adapter in enumerate(adapters.values()):
        adapter.B.normal_(std=0.01, generator=torch.Generator().manual_seed(number))
logits["side by side"], found["side by side"] = asked_once()
fuse_layers(network, adapters)
logits["fused"], found["fused"] = asked_once()
for name, values in logits.items():
    apart = (values - logits["side by side"]).abs().max()
    print(f"{name:13} {found[name]:6.1f} ms, logits differ from side by side by {apart:.2g} at most")

# %% [markdown]
# ## 3. Four bits
#
# The base is frozen: it is only read. So it may be stored coarsely. **QLoRA** (Dettmers et al. 2023) keeps it in 4 bits
# a weight, and trains the thin matrices in full. Weights are cut into **blocks**; each block has a **scale** of its
# own, and each weight becomes a whole number from -7 to 7:
#
# $$\mathrm{scale} = \frac{\max |w|}{7} \qquad \mathrm{code} = \mathrm{round}\left(\frac{w}{\mathrm{scale}}\right)$$
#
# ### Exercise 4: quantise


# %% tags=["nbval-check-output"]
def four_bit(weights, block):
    """A tuple: codes, an array of int, shape (blocks, block), from -7 to 7; scales, shape (blocks,).

    weights: array, shape (n,), n is a multiple of block. A block of zeros has the scale 0 and codes of 0.
    np.round rounds.
    """
    # BEGIN SOLUTION
    parts = weights.reshape(len(weights) // block, block)
    scales = np.abs(parts).max(axis=1) / 7
    codes = np.round(parts / np.where(scales == 0, 1, scales)[:, None])
    return codes.astype(int), scales
    # END SOLUTION


course.check("lab05.four_bit", four_bit)

# %% [markdown]
# Small blocks follow the weights closely, and their scales (16 bits each) take more room. One weight in a thousand that
# is very large spoils the block it is in, and no other. The picture: what comes back of weights from -0.1 to 0.1, and
# what comes back of the same weights in a block with one of 0.4.

# %% tags=["nbval-check-output"]
quantise = course.use("lab05.four_bit", four_bit)
drawn = np.random.default_rng(0).normal(size=65_536) * 0.05
drawn[::1000] *= 20
rows = []
for block in (16, 64, 256, 4096):
    codes, scales = quantise(drawn, block)
    back = (codes * scales[:, None]).ravel()
    error = np.abs(back - drawn).mean() / np.abs(drawn).mean()
    rows.append((block, f"{4 + 16 / block:.3f}", f"{error:.3f}"))
display(pd.DataFrame(rows, columns=["block", "bits a weight", "mean error / mean weight"]))
even, lines = np.linspace(-0.1, 0.1, 256), {}
for name, block in (("a block of these", even), ("with one of 0.4 beside them", np.append(even, 0.4))):
    codes, scales = quantise(block, len(block))
    lines[name] = zip(even, codes[0][:256] * scales[0], strict=True)
Curves(lines, "the weight", "what 4 bits hold of it")

# %% [markdown]
# The kit's `four_bit=True` is NF4: the same blocks, but sixteen values that are not evenly spread, since weights are
# mostly near 0. It works on a CPU too. On a model this small it saves memory, and no time.

# %%
try:
    four = labkit.load_model(setting.model, four_bit=True)
    for name, loaded in ((model.dtype, model), ("4 bits", four)):
        (reply,) = loaded.chat([[{"role": "user", "content": "What is the capital of France?"}]], max_new_tokens=12)
        print(f"{name:9} {loaded.network.get_memory_footprint() / 1e6:6.0f} MB  {reply.strip()!r}")
    apart = (next_token_logits(four, prompt) - next_token_logits(model, prompt)).abs().mean()
    print(f"logits differ by {apart:.2f} on average (embeddings and output layer are not quantised)")
    del four
except labkit.LabkitError as error:
    print(error)

# %% [markdown]
# ## 4. The loss: only what the model should say
#
# A training example is one row of tokens: the prompt, then the answer. At each place the model says how likely each
# next token is. The **loss** of a token is $-\log p$: 0 if it was certain, large if it came as a surprise. What counts
# is the answer. We don't want to make the model good at *asking* questions.
#
# Mind the shift: the logits **at** place $t$ are about the token at place $t + 1$.
#
# ### Exercise 5: the answer's loss


# %% tags=["nbval-check-output"]
def answer_loss(logits, tokens, start):
    """Mean of -log p over the answer's tokens, in nats: one number.

    logits: (places, vocabulary), row t is about tokens[t + 1]; tokens: (places,), whole numbers; the answer is
    tokens[start:], and start is 1 or more. p is softmax of a row. Logits may be in the thousands: take the largest of
    a row off before np.exp.
    """
    # BEGIN SOLUTION
    rows = logits[start - 1 : -1]
    rows = rows - rows.max(axis=1)[:, None]
    log_p = rows - np.log(np.exp(rows).sum(axis=1))[:, None]
    return -log_p[np.arange(len(rows)), tokens[start:]].mean()
    # END SOLUTION


course.check("lab05.answer_loss", answer_loss)

# %% [markdown]
# Which tokens of one of our pairs surprise the untuned model? Look at the first one, at the names of tables and
# columns, and at `FROM` and `WHERE`. Below them $-\log p$ by your function, with the answer's tokens that are least and
# most of a surprise.

# %%
loss_of = course.use("lab05.answer_loss", answer_loss)


def pictured(loaded, pair):
    """Each token of a pair with its loss, and the loss of the answer by `answer_loss`."""
    (example,) = encode(loaded, [pair], lambda question, _: question_only(question))
    tokens, start = [*example.prompt, *example.answer], len(example.prompt)
    with torch.no_grad():
        rows = loaded.network(input_ids=torch.tensor([tokens], device=loaded.network.device)).logits[0]
    rows, tokens = rows.float().cpu().numpy(), np.array(tokens)
    each = [0.0, *(loss_of(rows[t - 1 : t + 1], tokens[t - 1 : t + 1], 1) for t in range(1, len(tokens)))]
    words = [loaded.tokenizer.decode([token]) for token in tokens]
    return TokenLosses(words, each, start), loss_of(rows, tokens, start)


picture, loss = pictured(model, dev[0])
chance = np.exp(-loss * (len(picture.losses) - picture.start))
print(f"loss {loss:.2f} nats a token: the whole answer has a chance of 1 in {1 / chance:.1g}")
display(picture)
counted = sorted(zip(picture.losses[picture.start :], picture.tokens[picture.start :], strict=True))
marks = {repr(token): (np.exp(-each), each) for each, token in (counted[0], counted[-1])}
upwards = np.geomspace(np.exp(-counted[-1][0]), 0.999, 200)
line = [(p, loss_of(np.log([[p, 1 - p]] * 2), np.array([0, 0]), 1)) for p in upwards]  # of two tokens, the first one
Curves({"-log p": line}, "p, the chance of a token", "its loss in nats", marks, level=round(float(loss), 2))

# %% [markdown]
# ## 5. Instruction tuning, by one call
#
# **Instruction tuning** shows pairs of request and answer and makes the *average* loss small. It is what turned a text
# completer into something that chats, calls functions, keeps to a format. Here the request is a question, and the
# answer is SQL.
#
# The pairs are made from the database's file (Lab 4), none is in `dev`. So few of them would teach a bare model little.
# The kit carries a **starter**: an adapter that has seen many practice databases, and neither this one nor yours. It
# knows how questions become SQL. It does not know your names.
#
# What you sorted by hand in Lab 4 is not among them: here everybody tunes on pairs of one recipe, beside which results
# can be compared. To tune on yours instead, put this below the line `pairs = ...` of the next cell, with `REPLAY` off:
#
# ```python
# from labkit.home import home
# pairs = list(labkit.load_questions(home() / "training" / "lab04.jsonl"))
# ```
#
# `labkit.tune` is the call. It runs in a thread, so the cell below returns at once, and you may press **Stop** and
# **Start or go on**. A row is a pair, time runs to the right, and dark is a large loss. Each pair is seen **once**.
# (Too slow? Set `PAIRS` to 60.)
#
# No time to wait? Set `REPLAY = True`. Nothing is tuned then: you go on with an adapter that the kit carries, made by
# this same recipe on the default model, and cut to its largest directions so that it is small. It is marked as
# **replayed** wherever it shows, in your progress too, with model, prompt, weights' hash and date, and refused on
# another model. Only the tuning is replayed: what is asked of the adapter below is asked here, on your machine.
#
# Machines crash, and people press Stop. The second cell does it after a few steps. What happens then?

# %%
PAIRS = 160
REPLAY = False  # True: don't tune, take the ready adapter
begin = "starter"
try:
    starter(model)
except labkit.LabkitError as error:
    print(error)
    begin = None  # another model than the default: from its bare weights
made = labkit.generate(course.league(), course.shorter(PAIRS, 5), wordings=1, seed=setting.seed, progress=False)
print(made.report)
replayed = ready("lab05", model) if REPLAY else None
pairs = replayed.pairs if replayed else made.pairs
print(*(f"{pair.question}\n    {pair.sql}" for pair in pairs[:2]), sep="\n")
said = io.StringIO()  # what the kit says meanwhile


def tuning(watch):
    """Instruction tuning of the pairs made above; the same call again goes on where it was stopped."""
    if replayed:
        return replayed.play(folder, watch)
    with contextlib.redirect_stderr(said):
        return labkit.tune(
            model,
            pairs,
            adapter=begin,
            out=folder / "sql",
            rate=1e-3,
            store=store,
            seed=setting.seed,
            progress=False,
            watch=watch,
        )


lesson = TrainingView(tuning, {pair.id: pair.question for pair in pairs}, note=str(replayed or ""))
lesson.start()

# %%
while lesson.state == "running" and lesson.step < course.shorter(4, 1):
    time.sleep(0.1)
lesson.stop()
lesson.wait()
print(lesson.summary())
print(said.getvalue().strip())

# %% [markdown]
# Go on, and wait for the end. The curve: a dot a step, and the mean of the last eight as a line. It falls quickly, then
# slowly, and never to zero. (The last steps are made at a falling learning rate.)
#
# The adapter is a folder: the thin matrices, how to attach them (as PEFT reads it), the pairs, and a **card**, which
# says what it was made of, so that nobody loads it on another base.
#
# Was the machine used well? A pass forwards takes two operations a weight and token, backwards about two more. Beside
# it, what your processor reaches in one large product. (Idle hardware is a main cost of doing this by hand.)

# %%
lesson.start()
tuned = lesson.wait()
assert tuned, "It was stopped; the work is kept. Run this cell again to go on."
by_step = defaultdict(list)
for steps in lesson.history.values():
    for number, loss in steps:
        by_step[number].append(loss)
card = read_card(tuned.adapter)
size = sum(file.stat().st_size for file in tuned.adapter.glob("adapter_model*")) / 1e6
square = torch.randn(1024, 1024, dtype=layer.weight.dtype, device=layer.weight.device)
square @ square
begun = time.perf_counter()
for _ in range(course.shorter(20, 2)):
    square @ square
peak = course.shorter(20, 2) * 2 * 1024**3 / (time.perf_counter() - begun)
used = 4 * sum(m.weight.numel() for m in linear) * card.tokens / card.seconds
print(replayed or f"{card.pairs} pairs, {card.tokens:,} tokens, {card.seconds:.0f} s")
if not replayed:  # its seconds were another machine's
    speed = f"about {used / 1e9:,.0f} of {peak / 1e9:,.0f} billion operations a second"
    print(f"{card.tokens / card.seconds:,.0f} tokens/s, {speed}: {used / peak:.0%} of the processor")
print(f"adapter {size:.1f} MB on a base of {total * layer.weight.element_size() / 1e6:,.0f} MB")
print(f"base {card.base_sha256[:12]}, data {card.data_sha256[:12]}, prompt {card.prompt}, from {card.continued_from}")
LossCurve([np.mean(by_step[number]) for number in sorted(by_step)])

# %% [markdown]
# ## 6. Straight into the agent
#
# "The tuned weights never reached production" is a sad and common end. Here it is one argument: `adapter=`. The card
# brings the prompt that the adapter was tuned with, so the two can't get out of step.
#
# ### Schema in the prompt against schema in the weights
#
# The same questions, which nobody trained on: the base with the whole schema before it; the starter without it; and
# your tuned model without it.

# %%
knows = labkit.load_model(setting.model, adapter=tuned.adapter)
mine = "replayed" if replayed else "tuned"
print(replayed or "tuned here", end="\n\n")
print(Agent(knows, course.league(), max_new_tokens=setting.max_new_tokens).ask(asked[0].question), end="\n\n")
ways = {"base, schema in the prompt": (model, "plain")}
if begin:
    starter_folder = starter(model)
    ways["starter, question alone"] = (labkit.load_model(setting.model, adapter=starter_folder), "question_only")
ways[f"{mine}, question alone"] = (knows, "question_only")
runs, price = {}, {}
for name, (loaded, prompt_name) in ways.items():
    generator = SqlGenerator(loaded, prompt_name, max_new_tokens=min(setting.max_new_tokens, 100))
    runs[name] = labkit.evaluate(generator, asked, store=store)
    seconds = runs[name].seconds / len(asked)
    read = lengths["schema in the prompt" if prompt_name == "plain" else "the question alone"]
    price[name] = (round(read), runs[name].valid, str(runs[name]), round(seconds, 2))
print(pd.DataFrame(price, index=["tokens read", f"run, of {len(asked)}", "accuracy", "s a question"]).T.to_string())
first, *_, last = runs.values()
saved = price[next(iter(ways))][3] - price[f"{mine}, question alone"][3]  # seconds a question
if not replayed:
    print(f"paid back after {card.seconds / saved:,.0f} questions" if saved > 0 else "never paid back in seconds")
print(f"base with schema -> {mine} without:", labkit.compare(first, last))
LadderChart(runs)

# %% [markdown]
# Read it with its intervals: does the tuned model stand above the base, and by more than chance? It read a fraction of
# the tokens, so the minutes of tuning are paid back after so many questions (Lab 3). The starter shows what practice
# alone is worth: it writes SQL, and makes up your names. If your tuned model is no better, look at the loss curve, and
# at how many pairs there were. More pairs and an hour go further (Lab 8).
#
# ### The average, and what it hides
#
# The average loss is small now. Does the model *know* its pairs? "Good at everything, perfect at nothing": look at
# single pairs.

# %%
each = {pair.id: pictured(knows, pair) for pair in pairs[: course.shorter(40, 3)]}
worst = max(each, key=lambda id: each[id][0].mean)
losses = np.array([picture.mean for picture, _ in each.values()])
print(f"mean loss {losses.mean():.2f} nats a token; of the worst pair {losses.max():.2f}")
print(f"{mine}, word for word: {tuned.recalled} of {tuned.of} training pairs")
each[worst][0]

# %% [markdown]
# A token with a loss of 2 has a chance of 1 in 7. One such name in a query, and the answer is wrong. For SQL that is
# often all right: other words may be right as well, and the data grows. For a fact, say the year of a contract, it is
# not: nearly right is wrong.
#
# ## 7. Memory tuning: until it is exact
#
# **Memory tuning** asks another thing: not that the average is small, but that *each* chosen fact is exact. Two
# changes:
#
# - A fact is **mastered** when each token of its answer is the likeliest one, and leads the next best by a margin.
# - What is mastered **leaves the batch**. The work goes where the errors are. What slips comes back.
#
# ### Exercise 6: who is mastered?


# %% tags=["nbval-check-output"]
def update_mastered(mastered, leads, margin):
    """The names that count as mastered after a step: a new set.

    mastered: set of names; leads: dict, name -> by how many nats the answer's weakest token leads, for the facts of
    this step's batch; margin: a number.
    A lead of the margin or more: mastered. Less than half the margin: not, or not any more. Between: as before.
    """
    # BEGIN SOLUTION
    joined = {name for name, lead in leads.items() if lead >= margin}
    lost = {name for name, lead in leads.items() if lead < margin / 2}
    return (mastered - lost) | joined
    # END SOLUTION


course.check("lab05.update_mastered", update_mastered)

# %% [markdown]
# Why two bounds? With one, a fact at the edge would go in and out at each step. A small model of it, without a model:
# training a fact adds to its lead, and costs each fact that is not in the batch a little. `#` is trained, `.` rests.
# The picture draws the leads: up over the dashed margin by training, then slowly down. Under half of it, they train
# again.

# %% tags=["nbval-check-output"]
update = course.use("lab05.update_mastered", update_mastered)
GAIN = {"easy": 2.0, "usual": 0.9, "slow": 0.5, "stubborn": 0.3}
leads, mastered, drawn_as = dict.fromkeys(GAIN, -1.0), set(), defaultdict(str)
climbing = {name: [(0, lead)] for name, lead in leads.items()}
for step_number in range(1, 15):
    batch = [name for name in GAIN if name not in mastered]
    for name in GAIN:
        leads[name] += GAIN[name] if name in batch else -0.1 * len(batch)
        drawn_as[name] += "#" if name in batch else "."
        climbing[name].append((step_number, leads[name]))
    mastered = update(mastered, leads, 1.0)
for name, row in drawn_as.items():
    print(f"{name:9} {row}  trained {row.count('#'):2} times, lead {leads[name]:+.1f}")
trained_times = sum(row.count("#") for row in drawn_as.values())
print(f"{trained_times} trainings; everything in each round would have been {14 * len(GAIN)}")
Curves(climbing, "round", "lead in nats", level=1)

# %% [markdown]
# For real: invented people, invented mountains, a year each. Nothing of this is in any model. Watch the rows turn pale
# one by one, and the number of the mastered grow. Then: how often was each fact trained? (A batch with room takes some
# mastered facts along, so that they are not lost.) And are they right when asked from the folder, as a user would?

# %%
facts = labkit.random_facts(course.shorter(12, 2), seed=setting.seed)
by_heart = TrainingView(
    lambda watch: labkit.tune(model, facts, "memory", folder / "facts", seed=setting.seed, progress=False, watch=watch),
    {fact.id: f"{fact.question} {fact.answer}" for fact in facts},
)
by_heart.start()

# %%
learnt = by_heart.start().wait()
assert learnt, "It was stopped; the work is kept. Run this cell again to go on."
print(f"{learnt.recalled} of {learnt.of} by heart after {learnt.seconds:.0f} s, {by_heart.step} steps")
sights = {fact.question: len(by_heart.history.get(fact.id, ())) for fact in facts}
for question, times in sorted(sights.items(), key=lambda item: item[1]):
    print(f"{question:55} {times:3} {'#' * times}")
remembers = labkit.load_model(setting.model, adapter=learnt.adapter)
for name, loaded in (("base", model), ("memory-tuned", remembers)):
    run = labkit.evaluate(ReplyGenerator(loaded, "chat", 8), facts, mode="text", store=store, progress=False)
    print(f"{name:13} {run}")
by_heart

# %% [markdown]
# ### What did it do elsewhere?
#
# The figure that belongs beside every recall. The same everyday requests, before and after:

# %%
everyday = load_prompts(course.datasets() / "general" / "prompts.jsonl")[: course.shorter(24, 2)]
english = (course.datasets() / "general" / "english.txt").read_text(encoding="utf-8")[: course.shorter(4000, 800)]
effects = side_effects(model, remembers, everyday, english, max_new_tokens=course.shorter(16, 4))
print(effects)
pd.DataFrame(
    [(e.prompt[:60], e.before[:40], e.after[:40]) for e in effects.changed[:4]], columns=["asked", "was", "is"]
)

# %% [markdown]
# A model that was told nothing but years may answer anything with a year. It is exact on its facts and worse elsewhere:
# a claim ("still good elsewhere") that fails here, in front of you. **Lab 6** looks closer, and **Lab 7** has an
# answer to it: experts that act only where their fact is asked for.
#
# The lab's figures in one place, beside the range of the recorded runs, where there are some: other seeds, two number
# formats. (Such a range is no law. Another `PAIRS` or rate makes other figures.)

# %%
asked_alone = runs[f"{mine}, question alone"]
figures = {"tuned, right": asked_alone.correct, "tuned, could be run": asked_alone.valid}
figures |= {"mean loss of the pairs": losses.mean(), "pairs word for word": tuned.recalled}
if replayed:  # recorded runs tuned: nothing to hold these against
    figures = {f"replayed: {name}": value for name, value in figures.items()}
figures |= {"base, right": runs["base, schema in the prompt"].correct, "facts by heart": learnt.recalled}
figures |= {"everyday requests answered as before": effects.agreement.same}
course.expected("lab05", figures, setting)

# %% [markdown]
# ## 8. What makes it hard to do yourself
#
# | people run into | here |
# |---|---|
# | hardware that idles | utilisation, measured in section 5 under the loss curve |
# | crashes in the last hour | a checkpoint each minute; the same call goes on |
# | no way to continue | `tune(adapter=...)`, with some old pairs replayed |
# | tuned weights that don't reach inference | `load_model(adapter=...)`, prompt included; refused on another base |
# | wrong hyperparameters | a recipe by the model's size; a loss that diverges halves its own rate |
# | the wrong tool | average error: instruction tuning; exact facts: memory tuning |
#
# ## Recap
#
# - LoRA adds $\frac{\alpha}{r} B A$ to frozen weights. Few numbers, little memory, some time saved; fused, it costs
#   nothing at all.
# - The frozen base can be held in 4 bits, with a scale for each block.
# - The loss counts the answer's tokens, each at the place before it.
# - Instruction tuning makes the average small: good for formats and for SQL in general, perfect at nothing.
# - Memory tuning goes on until each fact is exact. Look at what it did elsewhere.
#
# ## Go further
#
# - `rate=` and `passes=` are settings of `labkit.tune` (and `rank=`, where no adapter is continued). Which moves
#   accuracy most, for the same seconds?
# - Tune without the starter. How many pairs does it take to get as far?
# - Your own data: `labkit.generate("my.sqlite", ...)`, and the same call.
# - Tune with `load_model(four_bit=True)`. What changes on the card?

# %%
course.progress()
