"""How people speak of a column: the nouns, questions, comparisons and verbs that belong to a word such as "weight".

A small dictionary of words that columns of all kinds of databases are named by, and general rules for all others. What
is particular to one database comes from its glossary (`glossary`), never from here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from labkit.datagen.phrases import is_plural, plural, singular
from labkit.datagen.world import Entity, Field


@dataclass(frozen=True)
class Words:
    """Wording templates for one field. Slots: {x} a row's name, {v} a value.

    `nouns` and `plurals` name the fact; `ask` asks for it of one row; `verbs` take a value ("weigh"); `high` and `low`
    are (positive, comparative, superlative) adjectives for much and little, `best` and `worst` superlatives without a
    comparative ("best-paid"); `participle` a year's or date's ("founded", "born"); `counts`: a number of things.
    `equal*`: a category's value as head noun, adjective, behind the noun, as a verb phrase.
    """

    nouns: tuple[str, ...]
    plurals: tuple[str, ...]
    ask: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    high: tuple[tuple[str, str, str], ...] = ()
    low: tuple[tuple[str, str, str], ...] = ()
    best: tuple[str, ...] = ()
    worst: tuple[str, ...] = ()
    participle: str = ""
    counts: bool = False
    actor: str = ""  # whose number it is, for one of two sides: "(hosts|home team)"
    equal_noun: tuple[str, ...] = ()
    equal_adjective: tuple[str, ...] = ()
    equal_post: tuple[str, ...] = ()
    equal_verb: tuple[str, ...] = ()


def _adjectives(text: str) -> tuple[tuple[str, str, str], ...]:
    return tuple(tuple(part.split(",")) for part in text.split("|"))


_TALL, _SHORT = _adjectives("tall,taller,tallest"), _adjectives("short,shorter,shortest|small,smaller,smallest")
_HEAVY, _LIGHT = _adjectives("heavy,heavier,heaviest"), _adjectives("light,lighter,lightest")
_LARGE, _SMALL = _adjectives("large,larger,largest|big,bigger,biggest"), _adjectives("small,smaller,smallest")
_YOUNG, _OLD = _adjectives("young,younger,youngest"), _adjectives("old,older,oldest")
_NEW, _OLDEST = _adjectives("new,newer,newest|recent,more recent,most recent"), _adjectives("old,older,oldest")
_LONG, _BRIEF = _adjectives("long,longer,longest"), _adjectives("short,shorter,shortest")
_DEAR, _CHEAP = _adjectives("expensive,more expensive,most expensive"), _adjectives("cheap,cheaper,cheapest")
_FAST, _SLOW = _adjectives("fast,faster,fastest"), _adjectives("slow,slower,slowest")

# A column's last words -> what is special about them. `nouns`: further names of the fact; `named`: names in place of its own.
_KNOWN: dict[str, dict] = {
    "height": {"ask": ("how tall is {x}", "how tall is {x}"), "high": _TALL, "low": _SHORT},
    "weight": {"ask": ("how heavy is {x}", "how much does {x} weigh"), "verbs": ("weigh",), "high": _HEAVY, "low": _LIGHT},
    "length": {"ask": ("how long is {x}",), "high": _LONG, "low": _BRIEF},
    "duration": {"ask": ("how long (is|does) {x} [take]",), "high": _LONG, "low": _BRIEF},
    "speed": {"ask": ("how fast is {x}",), "high": _FAST, "low": _SLOW},
    "age": {"ask": ("how old is {x}",), "high": _OLD, "low": _YOUNG},
    "birth": {"nouns": ("date of birth", "birthday", "birth date"), "ask": ("when was {x} born",), "high": _YOUNG, "low": _OLD, "participle": "born"},
    "birth year": {"nouns": ("year of birth",), "ask": ("(when|in what year) was {x} born",), "high": _YOUNG, "low": _OLD, "participle": "born"},
    "salary": {"nouns": ("pay",), "ask": ("(how much|what) does {x} (earn|make)", "what is {x} paid"), "verbs": ("earn", "make"), "best": ("best-paid", "highest-paid", "top-earning"), "worst": ("worst-paid", "lowest-paid")},
    "wage": {"nouns": ("pay",), "ask": ("(how much|what) does {x} (earn|make)",), "verbs": ("earn", "make"), "best": ("best-paid",), "worst": ("worst-paid",)},
    "price": {"ask": ("how much (is|does) {x} [cost]", "what does {x} cost"), "verbs": ("cost",), "high": _DEAR, "low": _CHEAP, "nouns": ("cost",)},
    "cost": {"ask": ("how much does {x} cost", "what does {x} cost"), "verbs": ("cost",), "high": _DEAR, "low": _CHEAP, "nouns": ("price",)},
    "fee": {"ask": ("how much (was|is) {x}", "what (did|does) {x} cost", "what was charged for {x}"), "verbs": ("cost",), "high": _DEAR, "low": _CHEAP, "nouns": ("charge",)},
    "amount": {"ask": ("how much (was|is) {x}",), "high": _LARGE, "low": _SMALL},
    "capacity": {"nouns": ("seating capacity",), "ask": ("how (many people|many seats|much) does {x} (hold|have)", "how many people fit into {x}", "how big is {x}"), "verbs": ("hold", "seat"), "high": _LARGE, "low": _SMALL},
    "population": {"ask": ("how many people live in {x}",), "high": _LARGE, "low": _SMALL},
    "area": {"ask": ("how (big|large) is {x}",), "high": _LARGE, "low": _SMALL},
    "size": {"ask": ("how (big|large) is {x}",), "high": _LARGE, "low": _SMALL},
    "attendance": {"nouns": ("crowd", "number of spectators"), "ask": ("how many people (saw|watched|attended|came to) {x}",)},
    "city": {"ask": ("where is {x} [based]", "(which|what) city is {x} (in|from|based in)"), "equal_post": ("in {v}", "in {v}", "from {v}", "based in {v}"), "equal_verb": ("are (based in|from|in) {v}",)},
    "town": {"ask": ("where does {x} live", "(which|what) town (is|does) {x} (from|live in)"), "equal_post": ("(from|in) {v}", "living in {v}"), "equal_verb": ("live in {v}", "are from {v}")},
    "country": {"ask": ("where is {x} from", "(which|what) country is {x} from"), "equal_post": ("from {v}", "in {v}"), "equal_verb": ("are from {v}",)},
    "state": {"equal_post": ("in {v}", "from {v}"), "equal_verb": ("are in {v}",)},
    "region": {"equal_post": ("in {v}", "from {v}"), "equal_verb": ("are in {v}",)},
    "location": {"ask": ("where is {x}",), "equal_post": ("in {v}",), "equal_verb": ("are in {v}",)},
    "college": {"ask": ("where did {x} go to college", "(which|what) college did {x} (attend|go to)", "what was {x}'s college"), "equal_post": ("from {v}", "out of {v}"), "equal_verb": ("(attended|went to) {v}", "(played at|came from|came out of) {v}"), "nouns": ("school",)},
    "school": {"ask": ("(which|what) school did {x} (attend|go to)",), "equal_post": ("from {v}",), "equal_verb": ("(attended|went to) {v}",)},
    "university": {"ask": ("(which|what) university did {x} (attend|go to)",), "equal_post": ("from {v}",), "equal_verb": ("(attended|went to) {v}",)},
    "conference": {"ask": ("(which|what) conference (is|does) {x} (in|play in)",), "equal_post": ("in the {v}", "in the {v}[ern] conference", "from the {v}", "of the {v}"), "equal_verb": ("(play|are) in the {v} [conference]",)},
    "division": {"equal_post": ("in the {v} [division]",), "equal_verb": ("are in the {v} division",)},
    "department": {"equal_post": ("in [the] {v} [department]",), "equal_verb": ("(work|are) in [the] {v}",)},
    "league": {"equal_post": ("in the {v}",), "equal_verb": ("play in the {v}",)},
    "position": {"ask": ("what position does {x} (play|have)", "(which|what) position is {x}"), "nouns": ("role",)},
    "breed": {"ask": ("what breed is {x}",)},
    "species": {"ask": ("what (species|kind of animal) is {x}",), "nouns": ("kind", "kind of animal")},
    "genre": {"equal_adjective": ("{v}",)},
    "status": {"equal_adjective": ("{v}",), "equal_post": ("that are {v}", "with status {v}"), "equal_verb": ("are {v}",)},
    "reason": {"ask": ("(what was the reason for|why was) {x}",), "equal_post": ("for {v}", "because of {v}"), "equal_adjective": ("{v}",), "equal_verb": ("were for {v}",)},
    "coach": {"ask": ("who coaches {x}", "who is [the] coach of {x}", "who is in charge of {x}"), "equal_post": ("coached by {v}", "under {v}", "of coach {v}"), "equal_verb": ("are coached by {v}",), "nouns": ("head coach",)},
    "manager": {"ask": ("who manages {x}",), "equal_post": ("managed by {v}",), "equal_verb": ("are managed by {v}",)},
    "director": {"ask": ("who directed {x}",), "equal_post": ("directed by {v}",), "equal_verb": ("were directed by {v}",)},
    "author": {"ask": ("who wrote {x}",), "equal_post": ("by {v}", "written by {v}"), "equal_verb": ("were written by {v}",)},
    "vet": {"ask": ("(who|which vet) (saw|treated) {x}",), "equal_post": ("with {v}", "by {v}", "to {v}"), "equal_verb": ("were (with|handled by) {v}",), "nouns": ("veterinarian",)},
    "doctor": {"ask": ("(who|which doctor) treated {x}",), "equal_post": ("with {v}",), "equal_verb": ("were with {v}",)},
    "phone": {"nouns": ("phone number", "number", "telephone number"), "ask": ("how can (I|we) (reach|call|phone) {x}", "what number can I call {x} on")},
    "email": {"nouns": ("email address",), "ask": ("how can (I|we) email {x}",)},
    "jersey": {"nouns": ("jersey number", "shirt number", "number"), "ask": ("what number does {x} wear", "(which|what) jersey [number] does {x} (wear|have)"), "verbs": ("wear",)},
    "rating": {"ask": ("how is {x} rated",), "best": ("best-rated", "top-rated"), "worst": ("worst-rated",)},
    "founded": {"named": ("founding year", "year of foundation", "year founded"), "ask": ("(when|in what year|what year) (was|were) {x} founded", "how long has {x} been around"), "high": _YOUNG + _NEW[:1], "low": _OLD, "participle": "founded"},
    "opened": {"named": ("opening year", "year of opening", "year opened"), "ask": ("(when|in what year) (did {x} open|was {x} opened)",), "high": _NEW[:1], "low": _OLD, "participle": "opened"},
    "built": {"named": ("year of construction",), "ask": ("when was {x} built",), "high": _NEW[:1], "low": _OLD, "participle": "built"},
    "signed": {"named": ("signing date", "date of signing", "date signed"), "ask": ("when was {x} signed",), "participle": "signed"},
    "hired": {"named": ("hiring date", "hire date"), "ask": ("when was {x} hired",), "participle": "hired"},
    "played on": {"named": ("date", "day", "date played"), "ask": ("(when|on which (date|day)) was {x} [played]",), "participle": "played"},
    "since": {"named": ("joining date", "date of joining"), "ask": ("since when is {x} with us", "how long has {x} been with us", "when did {x} join"), "participle": "with us since"},
    "draft year": {"ask": ("(when|in what year) was {x} drafted",), "participle": "drafted"},
    "draft pick": {"nouns": ("pick", "draft position"), "ask": ("(what|which) pick was {x}", "where was {x} picked [in the draft]")},
    "ends": {"named": ("end year", "last year", "final year"), "ask": ("when does {x} (end|run out|expire)",), "participle": "ending", "equal_verb": ("(end|run out|expire) in {v}",)},
    "expires": {"named": ("expiry", "expiry date"), "ask": ("when does {x} expire",), "participle": "expiring"},
    "dose": {"nouns": ("dosage",), "high": _adjectives("high,higher,highest|strong,stronger,strongest"), "low": _adjectives("low,lower,lowest")},
    "days": {"nouns": ("number of days", "length in days", "duration"), "ask": ("how (many days|long) does {x} (last|take)",), "verbs": ("last",), "high": _LONG, "low": _BRIEF},
    "quantity": {"ask": ("how many (are|were) in {x}",)},
    "drug": {"equal_post": ("with {v}", "of {v}"), "equal_verb": ("(used|were for) {v}",)},
    "product": {"equal_post": ("of {v}", "for {v}")},
}  # fmt: skip

_COUNT_VERBS = {
    "points": "scored", "goals": "scored", "runs": "scored", "assists": "handed out|gave", "rebounds": "grabbed|pulled down|collected",
    "titles": "won", "championships": "won", "trophies": "won", "medals": "won", "wins": "had|got", "votes": "got", "orders": "placed",
    "books": "wrote", "steals": "had|got", "saves": "made", "errors": "made", "hits": "had|got", "sales": "made", "visits": "made", "cups": "won",
}  # fmt: skip


SIDES = {"home": "(hosts|home team|home side)", "away": "(visitors|guests|away team|road team)"}


def words_for(field: Field, entity: Entity) -> Words:
    """The words of a field before any glossary is read."""
    name = field.words
    name = re.sub(r"\bpct\b|\bpercent\b", "percentage", name)
    name = re.sub(r"\bavg\b", "average", re.sub(r"\bnum\b|\bno\b", "number", re.sub(r"\bqty\b", "quantity", name)))
    name = re.sub(rf"^{re.escape(entity.noun)} (?=\w)", "", name)
    known = _known(name)
    base = _base(name, field)
    side, _, thing = name.partition(" ")
    if base.counts and side in SIDES and thing:
        asked = (f"how many {thing} did the {SIDES[side]} {bare(base.verbs[0])} in {{x}}",)
        return replace(base, ask=asked, verbs=(), actor=SIDES[side])
    first, more = known.get("named", base.nouns), known.get("nouns", ())
    plurals = map(plural, first) if "named" in known else base.plurals
    own = {k: v for k, v in known.items() if k not in ("named", "nouns")}
    return replace(base, **own, nouns=_merged(first, more), plurals=_merged(plurals, map(plural, more)))


def _merged(first: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*first, *more]))


def _known(name: str) -> dict:
    """The entry of the longest run of last words, or of a word for birth anywhere."""
    if re.search(r"\b(birth|born|dob)\b", name):
        return _KNOWN["birth year" if "year" in name else "birth"]
    words = name.split()
    return next((_KNOWN[" ".join(words[i:])] for i in range(len(words)) if " ".join(words[i:]) in _KNOWN), {})


def _base(name: str, field: Field) -> Words:
    """Words by the general rules, from the name's form and the kind of value."""
    done = re.fullmatch(r"(\w+s) (\w+ed|won|sold|written|built|made)", name)
    if field.kind == "number" and done:  # "games played"
        verb = {"written": "wrote"}.get(done[2], done[2])
        things = done[1]
        return Words(
            (f"number of {name}",), (name, things), (f"how many {things} did {{x}} {bare(verb)}",), (verb,), counts=True
        )
    if (
        field.kind == "number"
        and is_plural(name)
        and not field.format.unit
        and " per " not in name
        and field.format.decimals == 0
    ):
        verbs = tuple(_COUNT_VERBS.get(name.split()[-1], "had|have").split("|"))
        asks = tuple(f"how many {name} did {{x}} {bare(verb)}" for verb in verbs) + (
            f"how many {name} does {{x}} have",
        )
        return Words(
            (f"number of {name}", f"{singular(name)} total"),
            (name,),
            asks[:-1] if "had" not in verbs else asks,
            verbs,
            counts=True,
        )
    if field.kind in ("year", "date") and re.search(r"ed( on| at| in)?$", name):
        verb = re.sub(r" (on|at|in)$", "", name).split()[-1]
        return Words(
            (f"date {verb}" if field.kind == "date" else f"year {verb}",),
            (f"dates {verb}",),
            (f"when was {{x}} {verb}",),
            participle=verb,
        )
    if " per " in name:
        return Words(
            (name, re.sub(r" per ", " a ", name)),
            (name,),
            (f"how many {name.replace(' per ', ' a ')} did {{x}} (have|average)",),
            ("averaged",),
        )
    if field.names or field.kind == "category":
        return Words((name,), (plural(name),))
    return Words((name,), (plural(name),))


def bare(past: str) -> str:
    """A past verb as after 'did': 'won' -> 'win', 'grabbed' -> 'grab', 'handed out' -> 'hand out'."""
    first, _, rest = past.partition(" ")
    if first in _BARE:
        first = _BARE[first]
    elif first.endswith("ed"):
        stem = first[:-2]
        doubled = len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] in "bdgmnprt"
        silent = re.search(r"([aeiou][cgsvz]|[^aeiou][aeiou]r|[aiou]g|[lt]l?[aeiou]?c)$", stem) and not doubled
        first = stem[:-1] if doubled else stem + "e" if silent else stem
    return f"{first} {rest}".strip()


_BARE = {
    "won": "win", "had": "have", "got": "get", "wrote": "write", "made": "make", "sold": "sell", "built": "build", "gave": "give",
    "scored": "score", "placed": "place", "used": "use", "handled": "handle", "averaged": "average", "collected": "collect",
    "recorded": "record", "played": "play", "pulled": "pull",
}  # fmt: skip
