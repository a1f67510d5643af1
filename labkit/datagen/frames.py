"""The sentences of `sentences.txt`, found by name and their slots filled; what is shown beside, asked in a sentence of
its own.
"""

from functools import cache

from labkit.datagen.sections import sections

TELL = "(Give me|Tell me|I need|Show me|I'd like to know|Please give me|Let me know)"
SHOW = "(List|Show|Give me|Show me|I need|Please list|Return|Get me|Print)"


@cache
def _sections() -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(line.replace("TELL", TELL).replace("SHOW", SHOW) for line in lines)
        for name, lines in sections("sentences.txt").items()
    }


def frames(name: str, **fills: str) -> tuple[str, ...]:
    """The templates of a section, the family's slots filled in; {Label} is {label} with a capital."""
    texts = _sections()[name]
    for slot, value in fills.items():
        texts = tuple(
            t.replace("{" + slot + "}", value).replace("{" + slot.capitalize() + "}", capital(value)) for t in texts
        )
    return texts


def capital(template: str) -> str:
    """The template with its first letter, or that of its first alternatives, in upper case."""
    if not template.startswith("("):
        return template[:1].upper() + template[1:]
    body, sign, rest = template[1:].partition(")")
    return "(" + "|".join(part[:1].upper() + part[1:] for part in body.split("|")) + sign + rest


def shown_beside(cols: str) -> str:
    """A sentence behind the question that says which columns are wanted."""
    c = capital(cols)
    ways = f"{c}|{c}|{c}, please|I need {cols}|I want {cols}|I'd like {cols}|Show {cols}|Show me {cols}|Give {cols}"
    return f" ({ways}|Give me {cols}|{c} will do|Return {cols})."


def alone(noun: str, label: str, many: bool = False) -> str:
    """Now and then, that the name is all that is wanted; `many`: the label is a plural."""
    c, are = capital(label), "are" if many else "is"
    ways = f"Only the {label}|Just the {label}|The {label} {are} enough|{c} only|{c}, please|I only need the {label}"
    return f"(||||{'|'.join(f' {w}.' for w in ways.split('|'))}| {capital(noun)} {label}.)"
