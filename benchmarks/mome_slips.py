"""Which expert is picked when a name is misspelt, and when it is a stranger's; into mome.json. Keys alone decide that,
so nothing is learnt: `python benchmarks/mome_slips.py --facts 1000`, a minute.

A slip is one letter doubled, dropped or another one, or two neighbours swapped, in the first name, the last name or the
rare word of the mountain. Strangers are people in no fact, on the facts' mountains: made of the facts' names, with a
name that no fact has, and, the hardest, with a last name one slip away from the one of a fact that is otherwise the
same.
"""

import argparse
import random
import re
from string import ascii_lowercase

from bench_mome import CHAT, keep

import labkit
from labkit.datagen.facts import near_negatives, random_facts
from labkit.decoding import prompt_tokens
from labkit.tuning import mome
from labkit.tuning.bank import Bank
from labkit.tuning.spelling import Spelling

ASKED = re.compile(r"What year did (\w+) (\w+) climb (?:Mount )?(\w+).*")
PARTS = ("first name", "last name", "mountain")


def slip(word: str, kind: str, draw: random.Random) -> str:
    """The word with a slip of that kind in it."""
    at = draw.choice([i for i in range(len(word) - 1) if word[i].lower() != word[i + 1]])
    if kind == "swapped":
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == "another":
        return word[:at] + draw.choice([c for c in ascii_lowercase if c != word[at].lower()]) + word[at + 1 :]
    return word[:at] + (word[at] + word[at:] if kind == "doubled" else word[at + 1 :])


def experts(model, bank: Bank, texts: list[str]) -> list[int | None]:
    """Each text's expert."""
    return [bank.pick(prompt) for prompt in prompt_tokens(model, [CHAT(text, "") for text in texts])]


def misspelt(model, bank: Bank, facts, draw: random.Random) -> dict:
    """Of facts with a slip in them: how many picked their own expert, how many another one's, of how many; and how many
    would without the spelling."""
    found = {}
    for group, part in enumerate(PARTS, 1):
        for kind in ("swapped", "dropped", "doubled", "another"):
            texts = []
            for fact in facts:
                begin, end = ASKED.match(fact.question).span(group)
                texts.append(fact.question[:begin] + slip(fact.question[begin:end], kind, draw) + fact.question[end:])
            own, spelling = [bank.names[fact.id] for fact in facts], bank.spelling
            picked = experts(model, bank, texts)
            bank.spelling = Spelling()  # that knows no word
            before = experts(model, bank, texts)
            bank.spelling = spelling
            right, without = (sum(a == b for a, b in zip(own, given, strict=True)) for given in (picked, before))
            others = sum(expert is not None for expert in picked) - right
            figures = {"own": right, "another": others, "of": len(facts), "own_without_spelling": without}
            found[f"{part}, {kind}"] = figures
    return found


def strangers(model, bank: Bank, facts, draw: random.Random) -> dict:
    """Questions about people in no fact: how many picked no expert, of how many."""
    lasts = {ASKED.match(fact.question)[2] for fact in facts}
    crowd = [fact for fact in random_facts(114_308) if fact.id not in bank.names]
    draw.shuffle(crowd)
    unknown = [f for f in crowd if ASKED.match(f.question)[2] not in lasts]
    near, hardest = Spelling(), []
    near.add({ASKED.match(fact.question)[2].lower() for fact in unknown})
    for fact in facts:
        last = ASKED.match(fact.question)[2]
        hardest += [fact.question.replace(last, other.title()) for other in sorted(near.corrections(last.lower()))[:1]]
    hills = [fact.question.partition(" climb ")[2] for fact in facts]
    asked = {
        "names of the facts": list(near_negatives(facts, 1000)),
        "a last name that no fact has": [
            f"{fact.question.partition(' climb ')[0]} climb {draw.choice(hills)}" for fact in unknown[:1000]
        ],
        "a last name one slip from the fact's": hardest,
    }
    return {
        name: [sum(e is None for e in experts(model, bank, texts)), len(texts)]
        for name, texts in asked.items()
        if texts
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--facts", type=int, default=1000)
    parser.add_argument("--sample", type=int, default=1000, help="facts that are misspelt")
    options = parser.parse_args()
    model, facts, draw = labkit.load_model(), list(random_facts(options.facts)), random.Random(0)
    bank, prompts = Bank(model), prompt_tokens(model, [CHAT(fact.question, "") for fact in facts])
    named = [mome.Fact(fact.id, (tuple(prompt),), ()) for fact, prompt in zip(facts, prompts, strict=True)]
    for start in range(0, len(named), mome.BLOCK):
        mome.reserve(bank, named[start : start + mome.BLOCK])
    bank.vectors = dict.fromkeys(bank.names.values())  # they hold nothing; only which one is picked counts
    sample = facts[:: max(1, len(facts) // options.sample)]
    found = {"misspelt": misspelt(model, bank, sample, draw)}
    keep(f"{len(facts)} facts, misspelt", found | {"strangers_without_expert": strangers(model, bank, facts, draw)})


if __name__ == "__main__":
    main()
