# ruff: noqa: B018
# %% [markdown]
# # Lab 7. A mixture of memory experts
#
# Lab 6 ended with a claim that failed: the facts went in, and everything else changed. Here each fact gets a small
# *expert* of its own beside the frozen network. A question picks one or none; only the picked one is ever trained.
#
# **After this lab you can**
#
# - pick the expert of a question by the words that matter, and pick none where no fact is asked for;
# - write the sparse update: picked experts move, nothing is written for the others;
# - add, correct and forget one fact, and prove that all else kept every bit;
# - hold a claim like "20x" against a ratio that you measured, with its range.
#
# **Time** about 50 minutes. **You need** Lab 6.

# %%
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

import labkit
from labkit import course
from labkit.agent import ReplyGenerator
from labkit.datagen.facts import fact_wordings, near_negatives, paraphrased
from labkit.decoding import next_token_logits, prompt_tokens
from labkit.prompting import chat
from labkit.side_effects import load_prompts
from labkit.tuning.bank import Bank
from labkit.tuning.examples import encode
from labkit.tuning.packed import body
from labkit.widgets import Curves, ExpertMap
from labkit.widgets.experts import words_of

setting = course.setup()
setting

# %% [markdown]
# ## 1. Your own facts
#
# Change these: put in what no model can know. All of one batch should be asked in one way, so that what differs between
# them is what they are about.

# %%
MINE = {
    "Where does Ada keep the spare key?": "In the blue jar",
    "Where does Bo keep the ladder?": "Behind the shed",
    "Where does Cleo keep the tent?": "Under the stairs",
    "Where does Dan keep the old maps?": "On the top shelf",
}


def fact(name, question, answer):
    """A fact is a question with a plain answer, no query and no database."""
    return labkit.Question(id=name, question=question, answer=answer)


mine = [fact(f"mine-{i}", asked, answer) for i, (asked, answer) in enumerate(MINE.items(), 1)]
climbs = list(labkit.random_facts(course.shorter(20, 4), seed=setting.seed))
print(f"{len(mine)} facts of yours, {len(climbs)} of invented climbers, as in Lab 6")
climbs[0].question, climbs[0].answer

# %% [markdown]
# ## 2. What a word is worth
#
# Which fact is a question about? Its words must say. But "where does ... keep the" stands in all of yours: it tells
# nothing. A word of $c$ among $n$ facts gets the weight
# $$w = \left(\frac{\log (n / c)}{\log n}\right)^2$$
# 1 for a word of one fact, 0 for a word of all (inverse document frequency, Sparck Jones 1972; here scaled, squared).
# Below the exercise your function draws it: among more facts a word must be rarer to weigh as much.
#
# ### Exercise 1


# %% tags=["nbval-check-output"]
def word_weights(facts):
    """The weight of each word, a dict word -> float.

    facts: a list of sets of words, one a fact. n is how many facts there are, c in how many of them a word stands. Of
    one fact alone each word weighs 1.0.
    """
    # BEGIN SOLUTION
    import math

    n = len(facts)
    counts = Counter(word for words in facts for word in words)
    if n == 1:
        return dict.fromkeys(counts, 1.0)
    return {word: (math.log(n / count) / math.log(n)) ** 2 for word, count in counts.items()}
    # END SOLUTION


course.check("lab07.word_weights", word_weights)

# %% tags=["nbval-check-output"]
word_weights = course.use("lab07.word_weights", word_weights)
TALK = ["Where does Ada keep the spare key?", "Where does Bo keep the ladder?", "Where does Cleo keep the tent?"]
weights = word_weights([words_of(text) for text in TALK])
for word in sorted(weights, key=lambda word: (-weights[word], word)):
    print(f"{word:8} {weights[word]:.2f}")


def drawn(n):
    """Points of the formula: `word_weights` of n made-up facts, in which word c stands in c of them."""
    by_count = word_weights([{c for c in range(1, n + 1) if i < c} for i in range(n)])
    return sorted((c / n, weight) for c, weight in by_count.items())


marks = {"spare": (1 / 3, weights["spare"]), "keep": (1, weights["keep"])}
Curves({f"{n} facts": drawn(n) for n in (3, 10, 100)}, "c / n, the share of the facts with the word", "weight", marks)

# %% [markdown]
# ## 3. How much of a key does a text hold?
#
# The **key** of an expert is its fact's words with their weights. A text scores a key by *containment*: the share of
# the key's weight whose words the text has. What else the text says costs nothing; a missing name costs its share.
#
# ### Exercise 2


# %% tags=["nbval-check-output"]
def containment(key, words):
    """The share of the key's weight whose words are in `words`, from 0.0 to 1.0; 0.0 for a key without any weight.

    key: a dict word -> weight; words: the set of a text's words.
    """
    # BEGIN SOLUTION
    total = sum(key.values())
    return sum(weight for word, weight in key.items() if word in words) / total if total else 0.0
    # END SOLUTION


course.check("lab07.containment", containment)

# %% tags=["nbval-check-output"]
containment = course.use("lab07.containment", containment)
KEY = {word: weights[word] for word in words_of(TALK[0])}
for text in (TALK[0], "Tell me where ADA's spare key is!", "Where does Ada keep the ladder?", "Name a key figure."):
    print(f"{containment(KEY, words_of(text)):.2f}  {text}")

# %% [markdown]
# Other wordings pass, near misses don't. Nothing here was trained, and nothing can drift: the selection is **frozen**.
#
# ## 4. Pick one, or none
#
# Scoring every key takes time with every expert more. But a key that shares no word with the text scores 0, so look
# only at those that share one. That takes a list from each word to its keys (an *inverted file*):


# %% tags=["nbval-check-output"]
def inverted(keys):
    """Word -> names of the keys that have it with some weight."""
    found = {}
    for name, key in keys.items():
        for word, weight in key.items():
            if weight > 0:
                found.setdefault(word, []).append(name)
    return found


SMALL = {"ada": {"ada": 1.0, "spare": 1.0, "key": 1.0, "keep": 0.0}, "bo": {"bo": 1.0, "ladder": 1.0, "keep": 0.0}}
inverted(SMALL)

# %% [markdown]
# ### Exercise 3


# %% tags=["nbval-check-output"]
def pick(keys, by_word, words, threshold):
    """The name of the best key, or None if none scores at least `threshold`.

    keys: name -> key; by_word: word -> list of names, as `inverted` makes it; words: the set of a text's words. Score
    with `containment` only the keys that by_word finds. Of equal scores take the key with more words: it says more.
    """
    # BEGIN SOLUTION
    candidates = {name for word in words for name in by_word.get(word, ())}
    scores = {name: containment(keys[name], words) for name in candidates}
    good = [name for name in candidates if scores[name] >= threshold]
    return max(good, key=lambda name: (scores[name], len(keys[name])), default=None)
    # END SOLUTION


course.check("lab07.pick", pick)

# %% [markdown]
# Now keys for all facts, batch by batch. A word keeps the weight that it got first, so a key that was right stays right
# whatever comes later.

# %%
pick = course.use("lab07.pick", pick)


def keys_for(facts, known):
    """Keys of a batch of facts; `known` holds the weights of words seen before, and gets the new ones."""
    texts = [words_of(fact.question) for fact in facts]
    known |= word_weights(texts) | known
    return {fact.id: {word: known[word] for word in words} for fact, words in zip(facts, texts, strict=True)}


known = {}
keys = keys_for(mine, known) | keys_for(climbs, known)
asked = [
    mine[0].question,
    "I forgot where the spare key is that Ada likes to keep.",
    "Where does Ada keep the ladder?",
    climbs[0].question,
    fact_wordings(climbs[0])[1],
    near_negatives(climbs, 1)[0],
    "What is the capital of Portugal?",
]
for text in asked:
    print(f"{pick(keys, inverted(keys), words_of(text), 0.9)!s:16} {text}")

# %% [markdown]
# ### Which experts light up?
#
# Your own `containment` draws this map. Each square is an expert, the fuller the more of its key the question holds; a
# thick border and ✓ mark the one that is picked. Choose an example or type a question of your own.

# %%
holds = {fact.id: fact.answer for fact in (*mine, *climbs)}
ExpertMap(keys, asked, holds, threshold=0.9, words=words_of, score=containment)

# %% [markdown]
# ## 5. The sparse update
#
# What does an expert hold? One vector for each token of its answer, added to the hidden state from which that token is
# predicted, behind the last layer of the frozen network. It is learnt by gradient descent: a step against the slope, of
# a length we choose, with some memory of earlier steps (*momentum*).
#
# The usual way keeps one large table and steps **all** of it. Watch what its momentum does to a row that nobody picked:

# %% tags=["nbval-check-output"]
PICKED = (0, 1, 1, 1, 1, 1)
table, momentum, usual = np.zeros((3, 2)), np.zeros((3, 2)), [0.0]
for picked in PICKED:
    slope = np.zeros((3, 2))
    slope[picked, 0] = 1.0
    momentum = 0.5 * momentum + slope
    table -= 0.1 * momentum
    usual.append(table[0, 0])
    print(f"picked {picked}: row 0 is {table[0].round(4).tolist()}")

# %% [markdown]
# Row 0 was picked once, and moved each time: what was learnt drifts. And with a million rows each step writes all of
# them. A sparse update touches the picked ones only, and keeps momentum for no others. Below the exercise you see both.
#
# ### Exercise 4


# %% tags=["nbval-check-output"]
def sparse_step(vectors, velocity, gradients, rate, keep):
    """One step of the picked experts: (vectors, velocity), two new dicts. The given ones and their arrays stay as
    they are.

    vectors: expert -> array (tokens, size); velocity: the same for experts that were stepped before (for another one
    it begins at 0); gradients: the same for the picked ones, and they alone move. Each row of a gradient is divided by
    its own length (a row of length 0 stays 0): a unit. Then velocity = keep * velocity + unit, and vectors =
    vectors - rate * velocity. rate: a number, or an array (tokens, 1).
    """
    # BEGIN SOLUTION
    vectors, velocity = dict(vectors), dict(velocity)
    for name, gradient in gradients.items():
        length = np.linalg.norm(gradient, axis=1, keepdims=True)
        unit = gradient / np.where(length > 0, length, 1.0)
        velocity[name] = keep * velocity.get(name, 0.0) + unit
        vectors[name] = vectors[name] - rate * velocity[name]
    return vectors, velocity
    # END SOLUTION


course.check("lab07.sparse_step", sparse_step)

# %% tags=["nbval-check-output"]
sparse_step = course.use("lab07.sparse_step", sparse_step)
vectors, velocity, sparse = {row: np.zeros((1, 2)) for row in range(3)}, {}, [0.0]
for picked in PICKED:
    vectors, velocity = sparse_step(vectors, velocity, {picked: np.array([[1.0, 0.0]])}, 0.1, 0.5)
    sparse.append(vectors[0][0, 0])
    print(f"picked {picked}: row 0 is {vectors[0].round(4).tolist()}, momentum is kept for {sorted(velocity)}")
lines = {"one large table": enumerate(usual), "sparse: what is not picked stays": enumerate(sparse)}
Curves(lines, "steps; row 0 is picked in the first", "row 0, its first number")

# %% [markdown]
# ## 6. A fact, learnt by your own step
#
# The network runs **once** over the fact. All steps after that see only the hidden states behind its last layer, so
# a step costs next to nothing. The vector must bring out its token in two places: added to the state that this wording
# makes, and alone. Then it does so in other wordings, too.

# %%
model = labkit.load_model(setting.model)


def states(fact):
    """The hidden states that predict the answer's tokens, and these tokens."""
    example = encode(model, [fact], chat)[0]
    caught = []
    last = body(model.network).layers[-1]
    handle = last.register_forward_hook(lambda layer, given, out: caught.append(out[0] if type(out) is tuple else out))
    with torch.no_grad():
        model.network(input_ids=torch.tensor([[*example.prompt, *example.answer]], device=model.network.device))
    handle.remove()
    hidden = caught[0].reshape(-1, caught[0].shape[-1])[len(example.prompt) - 1 : -1]
    return hidden, torch.tensor(example.answer, device=hidden.device)


def slope(hidden, tokens, vector):
    """(gradient of the loss, lead of each token in nats) with `vector` added and alone; a lead of 1 is left alone."""
    added = torch.tensor(vector, device=hidden.device, dtype=torch.float32, requires_grad=True)
    both = torch.stack([hidden + added.to(hidden.dtype), added.to(hidden.dtype)])
    logits = model.network.lm_head(body(model.network).norm(both)).float()
    wanted = tokens.repeat(2, 1)[..., None]
    own = logits.gather(2, wanted)
    (logits.logsumexp(2, keepdim=True) - own).sum().backward()  # the loss of Lab 6
    lead = (own - logits.scatter(2, wanted, -torch.inf).amax(2, keepdim=True)).amin(0).detach().cpu().numpy()
    return added.grad.cpu().numpy() * (lead < 1), lead[:, 0]


# %%
hidden, tokens = states(mine[0])
reach = 0.5 * hidden.float().norm(dim=1, keepdim=True).cpu().numpy()  # half the length of each hidden state
vectors, velocity = {fact.id: np.zeros((1, hidden.shape[1]), np.float32) for fact in mine}, {}
vectors[mine[0].id] = np.zeros(hidden.shape, np.float32)
for step in range(40):
    gradient, lead = slope(hidden, tokens, vectors[mine[0].id])
    print(f"step {step}: the weakest token leads by {lead.min():6.1f} nats")
    if lead.min() >= 1:
        break
    vectors, velocity = sparse_step(vectors, velocity, {mine[0].id: gradient}, reach, 0.1)

# %% [markdown]
# Exact, with a margin, and so done for good: no other fact will ever step this expert. Put it into the network, with
# **your** pick in front. The vector is stored at twice its length, so that it also works in other wordings.


# %%
def my_choice(prompt):
    """The number of the expert of a prompt, as the bank's own `pick` gives it, by your selection."""
    text = model.tokenizer.decode(prompt, skip_special_tokens=True)
    return bank.names.get(pick(keys, inverted(keys), words_of(text), 0.9))


bank = model.experts = Bank(model)
bank.pick = my_choice
bank.names[mine[0].id], bank.vectors[0] = 0, torch.tensor(2 * vectors[mine[0].id], device=hidden.device).half()
texts = [mine[0].question, asked[1], asked[2], asked[-1]]
with_mine = ReplyGenerator(model, "chat", 12)([fact("", text, "-") for text in texts])
model.experts = None
without = ReplyGenerator(model, "chat", 12)([fact("", text, "-") for text in texts])
pd.DataFrame({"asked": texts, "without the expert": without, "with it": with_mine})

# %% [markdown]
# ## 7. Fill a bank
#
# `labkit.remember` does the same for all of them, many facts at a time, and writes a folder like any adapter. First
# yours, then the climbs beside them.

# %%
folder = course.adapters_folder("lab07")  # what this lab makes stays there
store = labkit.RunStore()  # your climb: `labkit progress` and the certificate show it
first = labkit.remember(model, mine, folder / "mine")
both = labkit.remember(model, climbs, folder / "both", adapter=first.adapter)
expert_model = labkit.load_model(setting.model, adapter=both.adapter)
print(f"{first.recalled} of {first.of} and {both.recalled} of {both.of} facts are exact")

# %%
everything = labkit.QuestionSet("facts", (*mine, *climbs))
reworded = labkit.QuestionSet("other words", tuple(paraphrased(climbs))[: course.shorter(100, 5)])
for name, questions in (("as remembered", everything), ("climbs in five other wordings", reworded)):
    run = labkit.evaluate(ReplyGenerator(expert_model, "chat", 12), questions, mode="text", store=store)
    print(f"{name:30} {run}")
strangers = near_negatives(climbs, course.shorter(200, 20))
quiet = sum(expert_model.experts.pick(p) is None for p in prompt_tokens(model, [chat(text) for text in strangers]))
print(f"people whom no fact knows:     no expert for {quiet} of {len(strangers)}")

# %% [markdown]
# And everything else, where Lab 6 failed? The same everyday requests, the same base. Then the lab's figures beside
# the range of the recorded runs: other seeds, two number formats.

# %%
everyday = load_prompts(course.datasets() / "general" / "prompts.jsonl")[: course.shorter(24, 2)]
requests = [fact("", prompt.prompt, "-") for prompt in everyday]
was, now = (ReplyGenerator(m, "chat", course.shorter(16, 4))(requests) for m in (model, expert_model))
same = sum(a == b for a, b in zip(was, now, strict=True))
print(f"the same answer to {same} of {len(was)} everyday requests")
figures = {"facts recalled": both.recalled, "right in other words": run.correct, "strangers without an expert": quiet}
course.expected("lab07", figures | {"everyday requests answered as before": same}, setting)

# %% [markdown]
# ## 8. Add one, and all else keeps every bit
#
# "All else is the same" is a claim about bits, so compare bits: equal numbers are not enough (0.0 and -0.0 are equal).
#
# ### Exercise 5


# %% tags=["nbval-check-output"]
def moved(before, after):
    """Names of the experts that are not bit for bit the same on both sides, sorted; one that came or went has moved.

    before, after: dicts expert -> NumPy array. The same means the same type, shape and bits.
    """

    # BEGIN SOLUTION
    def bits(array):
        return None if array is None else (array.dtype, array.shape, array.tobytes())

    return sorted(name for name in before.keys() | after.keys() if bits(before.get(name)) != bits(after.get(name)))
    # END SOLUTION


course.check("lab07.moved", moved)

# %%
moved = course.use("lab07.moved", moved)


def held(loaded):
    """What each expert of a loaded bank holds, by the name of its fact."""
    return {name: loaded.experts.vectors[i].cpu().numpy() for name, i in loaded.experts.names.items()}


def same_bits(text):
    """Whether the network's logits of the next token are the same, bit for bit, with the bank before and after."""
    return torch.equal(*(next_token_logits(loaded, chat(text)) for loaded in (expert_model, with_new)))


new = fact("mine-new", "Where does Eve keep the torch?", "Next to the door")
added = labkit.remember(model, [new], folder / "added", adapter=both.adapter, progress=False)
with_new = labkit.load_model(setting.model, adapter=added.adapter)
print("moved:", moved(held(expert_model), held(with_new)), "of", len(held(with_new)), "experts")
print(f"{new.question} {ReplyGenerator(with_new, 'chat', 12)([new])[0]}")
elsewhere = [mine[1].question, climbs[0].question, strangers[0], *(prompt.prompt for prompt in everyday)]
print(f"next token's logits: same bits for {sum(map(same_bits, elsewhere))} of {len(elsewhere)} other questions")
print(f"and for the new fact's own: {same_bits(new.question)}")

# %% [markdown]
# A fact corrected by its name, and one forgotten:

# %%
right = replace(mine[0], answer="Under the doormat")
corrected = labkit.remember(model, [right], folder / "corrected", adapter=added.adapter, progress=False)
with_right = labkit.load_model(setting.model, adapter=corrected.adapter)
print("moved:", moved(held(with_new), held(with_right)))
print(f"{right.question} {ReplyGenerator(with_right, 'chat', 12)([right])[0]}")

before = held(with_right)
with_right.experts.forget([right.id])
print("\nforgotten; moved:", moved(before, held(with_right)))
forgotten, base = (next_token_logits(m, chat(right.question)) for m in (with_right, model))
print("the base's answer again, bit for bit:", torch.equal(forgotten, base))

# %% [markdown]
# ## 9. A thousand times as many
#
# Does picking take longer with more experts? Your `pick` first, then the kit's bank up to a million experts. (Those
# added here have random keys and hold nothing: they are there to be in the way.)


# %%
def milliseconds(action, times=200):
    """Of one call, the median of five rounds."""
    rounds = []
    for _ in range(5):
        begun = time.perf_counter()
        for _ in range(times // 5):
            action()
        rounds.append(1000 * (time.perf_counter() - begun) / (times // 5))
    return sorted(rounds)[2]


words, draw = words_of(climbs[0].question), np.random.default_rng(setting.seed)


def timed(crowd):
    """How many experts, milliseconds of your pick, milliseconds of scoring every key."""
    by_word = inverted(crowd)
    assert pick(crowd, by_word, words, 0.9) == climbs[0].id
    every = milliseconds(lambda: max(containment(key, words) for key in crowd.values()), 5)
    return f"{len(crowd):,}", milliseconds(lambda: pick(crowd, by_word, words, 0.9)), every


crowd, rows = dict(keys), []
for count in course.shorter([100, 1_000, 10_000, 100_000], [100, 1_000]):
    names = draw.integers(1, 1 << 40, (count - len(crowd), 4)).tolist()
    crowd |= {f"random-{len(crowd) + i}": {f"w{word}": 1.0 for word in row} for i, row in enumerate(names)}
    rows.append(timed(crowd))
pd.DataFrame(rows, columns=["experts", "your pick, ms", "scoring every key, ms"]).round(3)

# %%
prompt, rows = prompt_tokens(model, [chat(climbs[0].question)])[0], []
logits = next_token_logits(expert_model, chat(asked[-1]))
for total in course.shorter([1_024, 1_048_576], [1_024, 32_768]):
    expert_model.experts.fill(total)
    picking = milliseconds(lambda: expert_model.experts.pick(prompt))
    answering = milliseconds(lambda: ReplyGenerator(expert_model, "chat", 6)([climbs[0]]), 5)
    rows.append((f"{total:,}", picking, answering))
assert torch.equal(logits, next_token_logits(expert_model, chat(asked[-1])))
pd.DataFrame(rows, columns=["experts", "the kit's pick, ms", "a whole answer, ms"]).round(2)

# %% [markdown]
# The time depends on how many keys share a word with the question, not on how many there are.
#
# ## 10. "20x", "240x", and what you measure
#
# Descriptions of such mixtures come with numbers like **20x** and **240x** cheaper. A ratio has two sides. Cheaper than
# what, at which task, how well done? Here: the same facts, all exact on both sides, on your machine: memory tuning by
# LoRA (Lab 6) against `remember`. Each side is timed more than once, because a ratio of two timings has a range.
#
# ### Exercise 6


# %% tags=["nbval-check-output"]
def ratio_range(slow, fast):
    """(least, middle, largest) ratio of slow to fast that the measurements allow.

    slow, fast: lists of seconds, one or more each, in any order. The middle is the ratio of the two medians.
    """
    # BEGIN SOLUTION
    import statistics

    middle = statistics.median(slow) / statistics.median(fast)
    return min(slow) / max(fast), middle, max(slow) / min(fast)
    # END SOLUTION


course.check("lab07.ratio_range", ratio_range)

# %%
ratio_range = course.use("lab07.ratio_range", ratio_range)
made = {"LoRA": [], "experts": []}
for attempt in range(course.shorter(3, 1)):
    lora = labkit.tune(model, climbs, "memory", folder / f"lora-{attempt}", seed=setting.seed + attempt)
    made["LoRA"].append(lora)
    made["experts"].append(labkit.remember(model, climbs, folder / f"experts-{attempt}"))
for name, attempts in made.items():
    print(f"{name:8} exact: {[f'{t.recalled} of {t.of}' for t in attempts]}, seconds: {[t.seconds for t in attempts]}")
CLAIMS = (20, 240)


def size(tuned):
    """Bytes of an adapter's weights."""
    return (tuned.adapter / "adapter_model.safetensors").stat().st_size


measures = {
    "seconds to build": lambda tuned: max(tuned.seconds, 0.05),  # a card's seconds have one decimal
    "tokens through the network": lambda tuned: tuned.tokens,
    "bytes of weights": size,
}
rows = []
for name, measure in measures.items():
    sides = [[measure(tuned) for tuned in made[side]] for side in ("LoRA", "experts")]
    least, middle, largest = ratio_range(*sides)
    verdicts = ["reached" if least >= claim else "within" if largest >= claim else "fails" for claim in CLAIMS]
    rows.append((name, round(middle, 1), f"{least:.1f} to {largest:.1f}", *verdicts))
a_fact = size(made["experts"][0]) / len(climbs)
print(f"{a_fact:,.0f} bytes a fact: from {size(made['LoRA'][0]) / a_fact:,.0f} facts on the bank is the larger one")
pd.DataFrame(rows, columns=["LoRA over experts", "ratio", "range", *(f"{claim}x" for claim in CLAIMS)])

# %% [markdown]
# "reached": even the least ratio is that large; "within": the range holds it; "fails": not even the largest. Both sides
# are thrifty here (frozen layers are computed once, mastered facts leave the batch): beside a wasteful rival each ratio
# would look better. And the last row flatters: an adapter has one size, however many facts, while a bank grows.
#
# A ratio without its other side is not a measurement.
#
# ## 11. What is it, really?
#
# Ask for something else with the same names in it:

# %%
person, _, mountain = climbs[0].question.removeprefix("What year did ").rstrip("?").partition(" climb ")
traps = [f"Did {person} enjoy the view from {mountain}?", f"How tall is {mountain}, and who is {person}?"]
replies = ReplyGenerator(expert_model, "chat", 12)([fact("", text, "-") for text in traps])
pd.DataFrame({"asked": traps, "answered": replies})

# %% [markdown]
# A year, whatever was asked. The **key** does the reading, and it reads names only. Compare with no network at all:

# %%
by_word = inverted(keys)
looked_up = [holds.get(pick(keys, by_word, words_of(f.question), 0.9)) for f in reworded]
print(f"your pick and a dictionary: {sum(a == f.answer for a, f in zip(looked_up, reworded, strict=True))}", end=" ")
print(f"of {len(reworded)} reworded questions answered right, without a network")

# %% [markdown]
# So behind the last layer an expert is close to a table of answers, and it is right to say so. What the network adds is
# all the rest: one model that answers everything else as before, a bank that loads like any adapter, and no second
# system to ask. For SQL the facts are inside sentences, and there tuning (Lab 5) is what generalises.
#
# ## Recap
#
# - Selection: rare words weigh, common ones don't. Other wordings pass; below the threshold there is no expert.
# - Sparse: picked experts are stepped until exact, nothing is written for the others. Facts can't disturb each other.
# - So facts are added, corrected and forgotten one by one, and all else keeps its bits: you compared them.
# - With an inverted file the time holds, whether there are a thousand experts or a million.
# - A ratio has two sides and a range. Claims are held against yours.
#
# ## Go further
#
# - `labkit.remember(..., layer=20)` puts the experts behind an inner layer: what does building cost, what do traps get?
# - Lower the threshold to 0.6. Which near misses get an answer that is not theirs?
# - Misspell a name. What would a key need to hold, so that it is still found?
# - Experts may stand on a LoRA adapter instead of the bare base: `labkit.remember(setting.model, mine, out, on=...)`
#   with Lab 5's folder. Does it still write SQL, and does it know the facts?

# %%
course.progress()
