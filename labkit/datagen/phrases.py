"""English in small: templates with alternatives, plurals, third persons, lists.

A template is a text with (one|of|these), [something optional] and {slots}. Nothing here knows SQL or a database.
"""

import random
import re
from collections.abc import Callable, Iterable, Mapping

_CHOICE = re.compile(r"\(([^()\[\]]*)\)|\[([^()\[\]]*)\]")


def expand(template: str, rng: random.Random, slots: Mapping[str, str] | None = None) -> str:
    """One text of the template; an optional part is there every second time. Slot values are taken as they are."""
    text = template
    while found := _CHOICE.search(text):
        chosen = rng.choice(found[1].split("|")) if found[1] is not None else found[2] if rng.random() < 0.5 else ""
        text = text[: found.start()] + chosen + text[found.end() :]
    for name, value in (slots or {}).items():
        text = text.replace("{" + name + "}", value)
    return text


def one_of(texts: Iterable[str]) -> str:
    """A template for any one of the texts."""
    return f"({'|'.join(texts)})"


def literal(text: str) -> str:
    """A stored text as a template that expands to it alone."""
    return text.translate(_SAFE)


_SAFE = str.maketrans({"(": "\x01", ")": "\x02", "[": "\x03", "]": "\x04", "|": "\x05", "{": "\x06", "}": "\x0e"})
_BACK = str.maketrans({v: chr(k) for k, v in _SAFE.items()})


_MANY = {"is": "are", "was": "were", "does": "do", "has": "have"}
NO_ARTICLE = "\x0f"  # before a name that 'the' must not stand before


_BEFORE_NOUNS = r"how many|number of|count of|count|which|what|among|top \w+|percentage of|percent of|every|each"


def tidy(text: str) -> str:
    """Spaces and punctuation mended, the first letter capital, the marks of `literal` taken back."""
    text = re.sub(r"([Tt]he )?\x0f", "", re.sub(r"\s+", " ", text).strip())
    text = re.sub(r" ([,.?!;:])", r"\1", text)
    text = re.sub(r",\s*,", ",", re.sub(r"[,;:]([.?!])", r"\1", text))
    text = re.sub(r"\b[Tt]he The\b", "The", re.sub(r"\b[Aa]n? ((?:\w+ )?\w*[^us\W]s (?:per|a) \w)", r"\1", text))
    text = re.sub(r"([a-z]{2}[?.!] )([a-z])", lambda m: m[1] + m[2].upper(), text)
    text = re.sub(r"([?!]) ?[?.,]", r"\1", text)
    text = re.sub(r"\b(all )?(the )?everyone\b", "everyone", text)
    text = re.sub(rf"(?i)\b({_BEFORE_NOUNS}) everyone\b", r"\1 people", text)
    text = re.sub(r"(\w)s's\b", r"\1s'", text)
    text = re.sub(rf"\b({_BEFORE_NOUNS}|{_BEFORE_NOUNS.capitalize()}) the ((\w+ ){{0,2}}\w+s)' ", r"\1 \2 ", text)
    text = re.sub(r"\b([Tt])he the\b|\b[Aa]n? (?=the\b)", lambda m: f"{m[1]}he" if m[1] else "", text)
    text = re.sub(
        r"\b(is|was|does|has) (the ([A-Z]\w+ )*[A-Z]\w+s)\b(?!'| [A-Z])", lambda m: f"{_MANY[m[1]]} {m[2]}", text
    )
    text = re.sub(r"\b([Aa]) (?=[aeioAEIO]\w|8\b|11\b|18\b)", r"\1n ", text)
    return (text[:1].upper() + text[1:]).translate(_BACK)


_IRREGULAR = {
    "person": "people", "child": "children", "man": "men", "woman": "women", "foot": "feet", "series": "series",
    "staff": "staff", "medium": "media", "criterion": "criteria", "mouse": "mice", "status": "statuses",
}  # fmt: skip
_IN_IE = frozenset(["movie", "cookie", "calorie", "tie", "pie", "zombie", "rookie", "selfie", "brownie", "prairie"])
_SINGULAR = {v: k for k, v in _IRREGULAR.items()}


def plural(noun: str) -> str:
    """The plural of a noun phrase: its last word's, or that of the word before 'of', 'per', 'in'."""
    head, sign, tail = _head(noun)
    word = head.split()[-1] if head.split() else head
    before = head[: len(head) - len(word)]
    lower = word.lower()
    if lower in _IRREGULAR:
        many = _IRREGULAR[lower]
    elif re.search(r"[a-z]{2}man$", lower) and lower not in ("human", "german", "roman", "shaman"):
        many = word[:-3] + "men"
    elif re.search(r"[^aeiou]y$", lower):
        many = word[:-1] + "ies"
    elif re.search(r"(s|x|z|ch|sh)$", lower):
        many = word + "es" if not lower.endswith("s") or lower.endswith("ss") or lower.endswith("us") else word
    else:
        many = word + "s"
    return before + many + sign + tail


def singular(noun: str) -> str:
    """The singular of a plural noun; a word that is none is returned as it is."""
    head, sign, tail = _head(noun)
    words = head.split(" ")
    word = words[-1]
    lower = word.lower()
    if lower in _SINGULAR:
        one = _SINGULAR[lower]
    elif lower in _IRREGULAR or len(lower) < 4 or re.search(r"(ss|us|is)$", lower):
        one = word
    elif lower.endswith("ies") and lower[:-1] not in _IN_IE:
        one = word[:-3] + "y"
    elif re.search(r"(xes|ches|shes|sses|zes)$", lower):
        one = word[:-2]
    else:
        one = word[:-1] if lower.endswith("s") else word
    return " ".join([*words[:-1], one]) + sign + tail


_SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def counted(text: str) -> str:
    """A template for a small number, in digits or as a word; others as they are."""
    return f"({text}|{_SMALL[int(text)]})" if text.isdigit() and int(text) < len(_SMALL) else text


def ordinal(n: int) -> str:
    """1 -> "1st"."""
    return f"{n}{'th' if n % 100 in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


_NTH = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]


def in_words(n: int) -> str:
    """1 -> "first", up to the tenth."""
    return _NTH[n - 1]


def each(template: str, change: Callable[[str], str]) -> str:
    """A plain template of alternatives, or a text, with each of them changed."""
    if not template.startswith("("):
        return change(template)
    return one_of(map(change, template[1:-1].split("|")))


def is_plural(noun: str) -> bool:
    """Whether the head of the noun phrase is a plural ('games played', 'points')."""
    return singular(noun) != noun


def _head(noun: str) -> tuple[str, str, str]:
    found = re.search(r" (of|per|in|played|with|on) ", noun + " ")
    if not found:
        return noun, "", ""
    return noun[: found.start()], noun[found.start() :], ""


def listed(parts: list[str], word: str = "and") -> str:
    """'a', 'a and b', 'a, b and c'."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + f" {word} " + parts[-1]


_PAST = frozenset(
    re.findall(
        r"\S+",
        "went played won came got made had did was wore lost drew scored kept took gave sold bought wrote held",
    )
)


def third(verb_phrase: str) -> str:
    """A verb phrase of the plural present for one person: 'have two cars' -> 'has two cars'; the past stays.

    A template's alternatives at its start are done one by one.
    """
    if verb_phrase.startswith("("):
        body, _, rest = verb_phrase[1:].partition(")")
        return one_of(map(third, body.split("|"))) + rest
    word, _, rest = verb_phrase.partition(" ")
    known = {"are": "is", "were": "was", "have": "has", "do": "does", "don't": "doesn't", "go": "goes"}
    if word in known:
        word = known[word]
    elif word not in _PAST and not word.endswith("ed") and word not in ("did", "never", "can"):
        word = word + "es" if re.search(r"(s|x|ch|sh|o)$", word) else re.sub(r"([^aeiou])y$", r"\1ie", word) + "s"
    return f"{word} {rest}".strip()


def possessive(name: str) -> str:
    """'Foxes' -> "Foxes'", 'Ann' -> "Ann's"."""
    return name + ("'" if name.endswith("s") else "'s")
