"""The one with the most, said against all others: 'more titles than any other team', 'longer than all the rest'."""

from labkit.datagen.frames import frames
from labkit.datagen.lexicon import is_rank
from labkit.datagen.phrases import third
from labkit.datagen.speaker import Speaker
from labkit.datagen.units import DURATIONS, SIZES
from labkit.datagen.world import Field

_COMPARED = {
    **dict.fromkeys(DURATIONS, ("longer", "shorter")),
    **dict.fromkeys(SIZES, ("(larger|bigger)", "smaller")),
}


def ahead(speaker: Speaker, f: Field, high: bool, person: bool, tail: str) -> tuple[str, ...]:
    """Questions for the row that has more, or less, of the fact than any other row."""
    if f.kind != "number" or is_rank(f):
        return ()
    words = speaker.words(f)
    more = [f"is {comparative}" for _, comparative, _ in (words.high if high else words.low)]
    if words.counts:
        more += [f"{third(v)} {'more' if high else 'fewer'} {speaker.things(f)}" for v in words.verbs]
    else:
        above, below = _COMPARED.get(f.format.unit, ("(higher|larger)", "(lower|smaller)"))
        more += [f"has a {above if high else below} {speaker.noun(f)}"]
    section = "more than anyone" if person else "more than others"
    return tuple(a for m in more for a in frames(section, more=m, tail=tail))


def group_ahead(word: str, person: bool, said: str, counting: bool, high: bool, tail: str) -> tuple[str, ...]:
    """Questions for the group that has more rows, or a higher number, than any other."""
    if counting:
        more = f"{'more' if high else 'fewer'} {{np}}{{when}}"
    else:
        more = f"a {'(higher|greater)' if high else '(lower|smaller)'} {said}"
    return frames("group more than " + ("anyone" if person else "others"), word=word, more=more, tail=tail)
