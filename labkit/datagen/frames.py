"""Whole questions as templates, by family of intents: the place to add a way of asking.

(one|of|these), [optional]; {np} is the noun phrase of those asked about ('point guards on the Foxes'), {np1} the same
in the singular, {clause} the same with a verb ('players weigh over 230 pounds'), {asked} with a question word ('which
players weigh ...'), {when} an adverbial ('in 2031'). The other slots are filled by the family: {label} is what names
a row, {noun} a fact's name, {cols} the columns to show.
"""

from functools import cache

TELL = "(Give me|Tell me|I need|Show me|I'd like to know|Please give me|Let me know)"
SHOW = "(List|Show|Give me|Show me|I need|Please list|Return|Get me|Print)"

_TEXT = """
== count
How many {clause}{when}?
How many {clause}{when}?
How many {clause}{when}?
How many {np} (are there|do we have|are on file|are there in all|have we got){when}?
How many {np}{when}?
Count [all] [the] {np}{when}.
(What is|What's) the number of {np}{when}?
(Give me|I need|Tell me|Get me) the number of {np}{when}[, please].
{np}{when}: how many (are there|do we have|have we got|is that)?
Number of {np}{when}[, please]?
I need a (head count|count) of [the] {np}{when}.
(Can you count|Please count) [all] [the] {np}{when}.
The number of {np}{when}, please.

== list
{asked}{when}?
{asked}{when}?
{asked}{when}?
{asked}{when}? (Just the {labels}|{Labels} only|The {labels}, please|{Labels} will do|{Labels}, please).
{asked}{when}? (Just|Only|I only need) the {labels}.
SHOW [all] [the] {np}{when}.
SHOW the {labels} of [all] [the] {np}{when}[, please].
{labels} of [all] {np}{when}[, please].
Name [all] [the] {np}{when}.
What are the {labels} of [all] [the] {np}{when}?
{np}{when}: which ones are they?
{np}{when}, {labels} only.
Are there [any] {np}{when}? (Their {labels}, please|Which ones|Give me the {labels}).

== list with facts
{asked}{when}? (Show|I need|Give|List|Return|I want) {cols}{ordered}.
{asked}{when}? {Cols}{ordered}[, please].
SHOW {cols} of [all] [the] {np}{when}{ordered}.
SHOW {cols} of [all] [the] {np}{when}{ordered}.
SHOW [all] [the] {np}{when} with (their|the) {facts}{ordered}.
{np}{when}: {cols}{ordered}[, please].
SHOW {cols} for [all] [the] {np}{when}{ordered}.
SHOW [the] {np}{when} (together with|along with) their {facts}{ordered}.
{np}{when}, {cols}{ordered}.
What are the {cols} of [all] [the] {np}{when}{ordered}?

== fact
What (is|was) the {noun} of {x}{when}?
What (is|was) {own} {noun}{when}?
TELL the {noun} of {x}{when}.
TELL {own} {noun}{when}[, please].
{own} {noun}{when}[, please]?
{noun} of {x}{when}[, please]?
(Do you know|Can you tell me|Could you look up) the {noun} of {x}{when}?
Look up {own} {noun}{when}.
What do we have as the {noun} of {x}{when}?
What {noun} does {x} have{when}?

== two facts
What are the {noun} and {noun2} of {x}{when}?
TELL the {noun} and {noun2} of {x}{when}.
{own} {noun} and {noun2}{when}[, please]?
{x}: {noun} and {noun2}{when}?
{noun} and {noun2} of {x}{when}, please.
What (is|are) {own} {noun} and {noun2}{when}?
TELL {own} {noun} and {noun2}{when}.
TELL the {noun} and the {noun2} of {x}{when}[, in that order].

== called
(Which|What) {thing} does {x} belong to?
What is the {label} of {own} {thing}?
TELL the {label} of {own} {thing}.
What is {own} {thing} called?
{own} {thing}: what is it called?
Which is {own} {thing}?
(Which|What) {thing} is {x} (with|in)?

== with a value
(Which|What) {thing} has [the] {noun} {v}?
TELL the {thing} with {noun} {v}.
Which {thing} is the one with {noun} {v}?
What is the {label} of the {thing} with {noun} {v}?
Name the {thing} whose {noun} is {v}.
{noun} {v}: which {thing} is (that|it)?

== extreme np
(Who|What|Which) is the {best}{when}?{tail}
TELL the {best}{when}[, please].{tail}
Name the {best}{when}.{tail}
The {best}{when}[, please]?{tail}
Find the {best}{when}.{tail}

== extreme np with value
Who is the {best}{when}, and what is (the|that) {noun}?
(Who|What|Which) is the {best}{when}?{tail}
{cols} of the {best}{when}[, please].
TELL {cols} of the {best}{when}.
The {best}{when}: {cols}, please.

== extreme vp
(Which|What) {np1} {does}{when}?{tail}
(Which|What) {np1} {does}{when}?{tail}
(Of|Among) [all] [the] {np}, (which one|who) {does}{when}?{tail}

== extreme vp with value
(Which|What) {np1} {does}{when}?{tail}
(Which|What) {np1} {does}{when}, and {howmuch}?
(Of|Among) [all] [the] {np}, (which one|who) {does}{when}?{tail}

== extreme who
Who {does}{when}?{tail}
Who {does}{when}?{tail}
Who {does} of all{when}?{tail}

== extremes
Name the {best}{when}, {cols}.
SHOW {cols} of the {best}{when}.
(What|Which) are the {best}{when}? {Cols}, please.
The {best}{when}: {cols}.

== full name
What is the {said} of the {best}{when}?
TELL the {said} of the {best}{when}.
{Said} of the {best}{when}[, please].
The {best}{when}: {said}, please.

== any period
(Which|What) {clause} in (a|any) {word}? {Cols}[, please].
SHOW all {words} in which {clause}: {cols}.
SHOW {cols} of [all] {np}, (in whatever {word}|whatever the {word}|over all {words}).
In which {words} were there {np}? {Cols}[, please].
{np} (in any {word}|over all {words}): {cols}.

== top
TELL the {k} {best}{when}.{tail}
(What|Which) are the {k} {best}{when}?{tail}
The {k} {best}{when}[, please].{tail}
Who are the {k} {best}{when}?{tail}

== top by
Top {k} {np} by {noun}{when}[, please].{tail}
(What|Who) are the top {k} {np} by {noun}{when}?{tail}
TELL the top {k} {np} by {noun}{when}.{tail}

== average
(What is|What's) the (average|mean|average) {noun} of [all] [the] {np}{when}{unit}?
(What is|What's) the (average|mean|average) {noun} of [all] [the] {np}{when}{unit}?
(Average|Mean) {noun} of [all] [the] {np}{when}{unit}[, please]?
TELL the average {noun} of [all] [the] {np}{when}{unit}.
On average, what is the {noun} of [the] {np}{when}{unit}?
{np}{when}: what is (the|their) average {noun}{unit}?
What {noun} do [the] {np} have on average{when}{unit}?
What is the {noun} of [the] {np} on average{when}{unit}?

== one number
(What is|What's) the {word} {noun} of [all] [the] {np}{when}?
TELL the {word} {noun} of [all] [the] {np}{when}.
{word} {noun} of [all] [the] {np}{when}[, please]?
{np}{when}: what is the {word} {noun}?
Of [all] [the] {np}, what is the {word} {noun}{when}?

== columns
SHOW the {cols} of [all] [the] {np}{when}{tail}.
SHOW {cols} for [all] [the] {np}{when}{tail}.
What (is|are) the {cols} of [the] {np}{when}{tail}?
{np}{when}: {cols}{tail}, please.
{cols} of [all] [the] {np}{when}{tail}[, please].

== total
(What is|What's) the (total|combined|overall|total) {total} of [all] [the] {np}{when}?
Add up the {nouns} of [all] [the] {np}{when}.
Total {total} of [all] [the] {np}{when}[, please]?
TELL the (sum of the {nouns}|total {total}) of [all] [the] {np}{when}.
What do the {nouns} of [all] [the] {np} (come to|add up to|amount to){when}?
[All] {nouns} of [the] {np} (added up|taken together|combined){when}?

== highest
(What is|What's) the {word} {noun} (of|among) [all] [the] {np}{when}{unit}?
TELL the {word} {noun} among [the] {np}{when}{unit}.
{word} {noun} (of|among) [the] {np}{when}{unit}?
Of [all] [the] {np}, what is the {word} {noun}{when}{unit}?
What is the {word} {noun} that any of the {np} has{when}{unit}?

== ends
(What are|Give me) the {ends} {noun} (of|among) [all] [the] {np}{when}[, please]?
{ends} {noun} of [the] {np}{when}?
TELL the {ends} {noun} of [all] [the] {np}{when}.
Among [the] {np}, what are the {ends} {noun}{when}?
SHOW the {ends} {noun} of [the] {np}{when}, side by side.

== group
{said} (by|per|for each) {word}{tail}[, please].
{said} (by|per|for each) {word}{tail}[, please].
For (each|every) {word}, (show|give me|what is|I need|list) [the {word} and] the {said}{tail}.
(What is|What's) the {said} (per|by|for each|in each) {word}{tail}?
SHOW (each|every) {word} (with|and) [its] {said}{tail}.
Break down the {said} by {word}{tail}.
{word} by {word}, what is the {said}{tail}? ({Word} and number|I need both columns).

== group count
How many {np} (are there|do we have){when} (per|by|for each|in each) {word}{tail}?
How many {np} does each {word} have{when}{tail}?
{word} and number of {np}{when}{tail}[, please].
Count the {np}{when} (per|by) {word}{tail}.
Number of {np} (per|by|for each) {word}{when}{tail}.
For each {word}, how many {np} are there{when}{tail}? ({Word} and count|{Word} and number, please).

== group extreme count
(Which|What) {word} has the {most} {np}{when}?{tail}
(Which|What) {word} has the {most} {np}{when}{also}
TELL the {word} with the {most} {np}{when}.{tail}
(Which|What) is the {word} with the {most} {np}{when}?{tail}
By {word}, where are the {most} {np}{when}?{tail}
The {word} with the {most} {np}{when}[, please].{tail}

== group extreme
(Which|What) {word} has the {best} {said}?{tail}
(Which|What) {word} has the {best} {said}{also}
TELL the {word} with the {best} {said}.{tail}
Which is the {word} with the {best} {said}?{tail}
The {word} with the {best} {said}?{tail}
(Which|What) {word} leads in {said}?{tail}

== having
(Which|What) {words} have {many}{when}?{tail}
SHOW [all] [the] {words} with {many}{when}.{tail}
{words} with {many}{when}?{tail}
Name the {words} that have {many}{when}[, please].{tail}
Are there {words} with {many}{when}? (Which ones|Name them).{tail}

== share
What (percentage|percent) of [all] [the] {np} {be}{when}{rounded}?
(What is|What's) the percentage of {np} (who|that) {be}{when}{rounded}?
What share of [the] {np} {be}{when}, in percent{rounded}?
In percent, how many of the {np} {be}{when}{rounded}?
TELL the percentage of {np} (who|that) {be}{when}{rounded}.
Of [all] [the] {np}, what percentage {be}{when}{rounded}?

== two counts
How many {a} and how many {b} (are there|do we have){when}?
Number of {a} and number of {b}{when}, in one row.
How many {a} are there{when}, and how many {b}?
TELL two numbers: {a} and {b}{when}.
Count the {a} and the {b}{when}, side by side.
How many {a}, and how many {b}{when}? (Two numbers in one row|In one row), please.

== distinct list
(Which|What) [different] {things} (are there among|do we have among|occur among) [the] {np}{when}?
SHOW the (different|distinct) {things} of [the] {np}{when}.
SHOW every {noun} of [the] {np} once{when}.
All (different|distinct) {things} among [the] {np}{when}, without repeats.
(Different|Distinct) {things} of [the] {np}{when}[, please].

== distinct count
How many (different|distinct) {things} (are there among|do we have among) [the] {np}{when}?
Number of (different|distinct) {things} (of|among) [the] {np}{when}?
How many (different|) {things} are represented among [the] {np}{when}?
(What is|What's) the number of (different|distinct) {things} of [the] {np}{when}?
Count the (different|distinct) {things} of [the] {np}{when}.
How many (different|distinct) {things} do [the] {np} have{when}?

== both
(Which|What) {things} (are shared by|occur among both|are common to) {a} and {b}?
{things} of both {a} and {b}[, please].
(Which|What) {things} do {a} and {b} have in common?
(Which|What) {things} do we find among {a} as well as among {b}?
{things} that {a} and {b} share?
SHOW the {things} that occur among {a} and among {b}.

== but not
(Which|What) {things} (occur|are there) among {a} but not among {b}?
{things} of {a} that do not occur among {b}?
(Which|What) {things} do {a} have that {b} (don't|do not)?
SHOW the {things} of {a}, leaving out those of {b}.
{things} found among {a}, but never among {b}[, please].

== never
(Which|What) [of the] {things} (on file|we have) have never (had|produced) {b1}?
{things} without any {b}?
(Which|What) {things} do not occur among {b}?
SHOW the {things} that no {b1} has.
(Which|What) {things} are not represented among {b}?

== gain
Whose {noun} {did} the most {span}?{tail}
(Which|What) {who} had the (biggest|largest) {gain} in {noun} {span}?{tail}
TELL the {who} whose {noun} {did} the most {span}.{tail}
(Biggest|Largest) {gain} in {noun} {span}: (which|what) {who}?{tail}
By {noun}, which {who} {did} most {span}?{tail}

== switched
How many {whos} changed {nouns} {span}?
How many {whos} had (a different|another) {noun} in {high} than in {low}?
Number of {whos} with another {noun} in {high} than in {low}?
How many {whos} were with a different {noun} in {high} than in {low}?
Count the {whos} whose {noun} in {high} was not that of {low}.
How many {whos} had one {noun} in {low} and another one in {high}?

== left
Who {was} {a}{when} but is no longer with them?
(Which|What) {whos} {were} {a}{when} and (are not there any more|are elsewhere today|have left since)?
SHOW [the] {whos} who {were} {a}{when} but are not (with them today|there now).
{whos} of {a}{when} who have left since[, please].
Who of {a}{when} is not with them today?

== meeting date
(When|On which (day|date)|On what date) did {a} {act} {b}{when}?
(What was the date of|When was) {between}{when}?
TELL the date of {between}{when}.
Date of {between}{when}?
{between}{when}: on which (day|date)?

== meeting fact
What (was|were) the {noun} (of|in) {between}{when}?
TELL the {noun} of {between}{when}.
{noun} of {between}{when}?
When {a} {acted} {b}{when}, what was the {noun}?
{between}{when}: what was the {noun}?

== meeting count
How (often|many times) did {a} {act} {b}{when}?
In how many {games} did {a} {act} {b}{when}?
Number of times {a} {acted} {b}{when}?
Count the {games} in which {a} {acted} {b}{when}.
How many times {a} {acted} {b}{when}?

== side results
How (often|many times) did {a} {win} {place}{when}?
How many {side} {wins} did {a} (have|get|collect|record|pick up){when}?
How many {side} {games} did {a} {win}{when}?
Number of {side} {wins} of {a}{when}?
How many {games} did {a} {win} {place}{when}?
Count the {side} {wins} of {a}{when}.
How many times did {a} {win} {place}{when}?

== side average
How many {unit} (a|per) {game} did {a} {score} {place}{when}?
How many {unit} did {a} {score} {place} on average{when}?
(What is|What's) the average number of {unit} {a} {scored} {place}{when}?
Average {unit} {scored} by {a} {place}{when}?
On average, how many {unit} did {a} {score} {place}{when}?

== side total
How many {unit} did {a} {score} {place}{when} (in total|altogether|in all|)?
Total {unit} {scored} by {a} {place}{when}?
(What is|What's) the total of {unit} {a} {scored} {place}{when}?
Add up the {unit} {a} {scored} {place}{when}.
{unit} {a} {scored} {place} (in total|altogether){when}?

== either results
How many {games} did {a} {win}{when}, {everywhere}?
How many {games} did {a} {win}{when}?
How many {wins} did {a} have{when}[, {everywhere}]?
Number of {wins} of {a}{when}, {everywhere}?
How often did {a} {win}{when}[, {everywhere}]?
Count all {wins} of {a}{when}[, {everywhere}].

== standings
{wins} (per|of each|by) {thing}{when}, {everywhere}: {label} and {wins}{ordered}.
How many {games} did each {thing} {win}{when}, {everywhere}? {Label} and {wins}{ordered}.
For (each|every) {thing}, the number of {wins}{when}, {everywhere}{ordered}.
SHOW each {thing} with its [number of] {wins}{when}, {everywhere}{ordered}.
Standings{when}: {thing} {label} and {wins}, {everywhere}{ordered}.
Count the {wins} of each {thing}{when}, {everywhere}{ordered}.

== standings leader
(Which|What) {thing} {won} the most {games}{when}, {everywhere}? ({Label} and number of {wins}|Show {label} and {wins}).
(Which|What) {thing} had the most {wins}{when}, {everywhere}, and how many?
The {thing} with the most {wins}{when}, {everywhere}: {label} and number, please.
TELL the {thing} with the most {wins}{when}, {everywhere}, and how many those are.
Most {wins}{when}, {everywhere}: which {thing}, and how many?

== derby
How many [of the] {games} between {a} and {b} did {a} {win}{when}[, {everywhere}]?
How often did {a} {beat} {b}{when}[, {everywhere}]?
How many times {did} {a} {beat} {b}{when}[, {everywhere}]?
Number of {wins} of {a} (against|over) {b}{when}[, {everywhere}]?
Against {b}, how many {games} did {a} {win}{when}[, {everywhere}]?
Count the {wins} of {a} (against|over) {b}{when}.

== each best vp
(For|In) each {word}, (who|which {np1}) {does}{when}?{tail}
{word} by {word}, which {np1} {does}{when}?{tail}

== each best np
(For|In) each {word}, the {best}{when}.{tail}
SHOW the {best} (of|in|for) (each|every) {word}{when}.{tail}
(Who|Which) is the {best} (of|in) each {word}{when}?{tail}
The {best} per {word}{when}[, please].{tail}
"""


@cache
def _sections() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for line in _TEXT.splitlines():
        if line.startswith("== "):
            lines = found.setdefault(line[3:], [])
        elif line:
            lines.append(line.replace("TELL", TELL).replace("SHOW", SHOW))
    return {name: tuple(lines) for name, lines in found.items()}


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
