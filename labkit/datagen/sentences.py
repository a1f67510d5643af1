"""Whole questions as templates, by family of intents: the place to add a way of asking. Data for `frames`.

(one|of|these), [optional]; {np} is the noun phrase of those asked about ('point guards on the Foxes'), {np1} the same
in the singular, {clause} the same with a verb ('players weigh over 230 pounds'), {asked} with a question word ('which
players weigh ...'), {when} an adverbial ('in 2031'). The other slots are filled by the family: {label} is what names
a row, {noun} a fact's name, {cols} the columns to show; {Cols} the same with a capital. TELL and SHOW stand for a few
verbs each.
"""

SENTENCES = """
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
How many {clause}{when}? (Just the number|One number, please|Only the count|A single number).
How many {np} (do|can) we (have|count){when}?
What's our (count|number|total) of {np}{when}?
How large is the number of {np}{when}?
(What number of|How many) {clause}{when}?
I want to know how many {clause}{when}.
I'd like to know how many {clause}{when}.
{np}{when}: what's the count?
{np}{when}. How many (are there|have we got|is that)?
Tally [up] the {np}{when}.
(Tell me|Can you tell me|Do we know) how many {clause}{when}.
How many {np} are there in all{when}?

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
{asked}{when}? {Labels}[ please].
{asked}{when}? (I want|I need|Give me|Show me|List) [just] [the] {labels}.
{asked}{when}? {Labels} (are enough|are all I need|suffice).
I (need|want|would like) [a list of] [the] {labels} of [all] [the] {np}{when}.
(Can you|Could you) (list|name|give me) [all] [the] {np}{when}?
Which are [all] the {np}{when}? {Labels} only.
{np}{when}? {Labels}[, please].
A list of [all] [the] {np}{when}[, please].
I'm looking for [all] [the] {np}{when}. (Just {labels}|{Labels}, please|Their {labels}).
Which ones are the {np}{when}?

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
{asked}{when}? I (want|need|would like) [the] {cols}{ordered}.
{asked}{when}? (Show|Give) me {cols}{ordered}.
{asked}{when}? {Cols}{ordered}.
{cols} of [all] [the] {np}{when}{ordered}[, please].
{cols} for (every one|each) of the {np}{when}{ordered}.
I'd like {cols} of [all] [the] {np}{when}{ordered}.
(Please list|List) [the] {np}{when}{ordered}, with {cols}.
I'm looking for [the] {np}{when}. {Cols}{ordered}[, please].
A table of [the] {np}{when}[, please]: {cols}{ordered}.

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
I need {own} {noun}{when}[, please].
(What's|What is) {own} {noun}{when}?
{x}{when}: {noun}?
{x}{when}, {noun}[, please].
(Can you|Could you) (give|tell) me {own} {noun}{when}?
What is the {noun} (on file|recorded|listed) for {x}{when}?

== two facts
What are the {noun} and {noun2} of {x}{when}?
TELL the {noun} and {noun2} of {x}{when}.
{own} {noun} and {noun2}{when}[, please]?
{x}: {noun} and {noun2}{when}?
{noun} and {noun2} of {x}{when}, please.
What (is|are) {own} {noun} and {noun2}{when}?
TELL {own} {noun} and {noun2}{when}.
TELL the {noun} and the {noun2} of {x}{when}[, in that order].
I need {own} {noun} and {noun2}{when}.
{x}{when}: what (is|are) the {noun} and the {noun2}?
(Can you|Could you) give me {own} {noun} and {noun2}{when}?
What's {own} {noun}{when}, and what's the {noun2}?
(Tell|Show) me about {x}{when}: {noun} and {noun2}.
{x}{when}? {Noun} and {noun2}, please.

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
(Which|What) {thing} is it that has {noun} {v}?
{noun} {v}, which {thing} is that? Just the {label}.

== extreme np
(Who|What|Which) is the {best}{when}?{tail}
TELL the {best}{when}[, please].{tail}
Name the {best}{when}.{tail}
The {best}{when}[, please]?{tail}
Find the {best}{when}.{tail}
(Who's|What's) the {best}{when}?{tail}
(Do you know|Can you tell me) (who|which) is the {best}{when}?{tail}
I'm looking for the {best}{when}.{tail}
(Who|Which) is the {best} [of all]{when}?{tail}
{best}{when}?{tail}

== extreme np with value
Who is the {best}{when}, and what is (the|that) {noun}?
(Who|What|Which) is the {best}{when}?{tail}
{cols} of the {best}{when}[, please].
TELL {cols} of the {best}{when}.
The {best}{when}: {cols}, please.
(Who's|What's) the {best}{when}?{tail}
(Who|What|Which) is the {best}{when}?{tail}
{cols} of the {best}{when}.
I need {cols} of the {best}{when}.
SHOW the {best}{when} with {cols}.
{best}{when}, {cols}[, please].

== extreme vp
(Which|What) {np1} {does}{when}?{tail}
(Which|What) {np1} {does}{when}?{tail}
(Of|Among) [all] [the] {np}, (which one|who) {does}{when}?{tail}
(Which|What) {np1} {does} [of all]{when}?{tail}
TELL which {np1} {does}{when}.{tail}

== extreme vp with value
(Which|What) {np1} {does}{when}?{tail}
(Which|What) {np1} {does}{when}, and {howmuch}?
(Of|Among) [all] [the] {np}, (which one|who) {does}{when}?{tail}
(Which|What) {np1} {does}{when}? {Cols}.
Which of the {np} {does}{when}?{tail}
TELL which {np1} {does}{when}, and {howmuch}.

== extreme who
Who {does}{when}?{tail}
Who {does}{when}?{tail}
Who {does} of all{when}?{tail}
Who {does} of anyone{when}?{tail}
Who {does} (in the whole list|of everybody){when}?{tail}

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
SHOW the {k} {best}{when}.{tail}
(I need|I want) the {k} {best}{when}.{tail}
{k} {best}{when}[, please].{tail}

== top by
Top {k} {np} by {noun}{when}[, please].{tail}
(What|Who) are the top {k} {np} by {noun}{when}?{tail}
TELL the top {k} {np} by {noun}{when}.{tail}
{np}{when}: the top {k} by {noun}.{tail}
By {noun}, (which are|name) the top {k} {np}{when}[, please].{tail}
SHOW the {k} best {np} by {noun}{when}.{tail}

== average
(What is|What's) the (average|mean|average) {noun} of [all] [the] {np}{when}{unit}?
(What is|What's) the (average|mean|average) {noun} of [all] [the] {np}{when}{unit}?
(Average|Mean) {noun} of [all] [the] {np}{when}{unit}[, please]?
TELL the average {noun} of [all] [the] {np}{when}{unit}.
On average, what is the {noun} of [the] {np}{when}{unit}?
{np}{when}: what is (the|their) average {noun}{unit}?
What {noun} do [the] {np} have on average{when}{unit}?
What is the {noun} of [the] {np} on average{when}{unit}?
(How high|How large) is the average {noun} of [all] [the] {np}{when}{unit}?
Work out the (average|mean) {noun} of [the] {np}{when}{unit}.
The (average|mean) {noun} over all {np}{when}{unit}[, please].
I need the (mean|average) {noun} for [the] {np}{when}{unit}.
Taking [all] [the] {np}{when}, what's the average {noun}{unit}?

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
How (much|large) is the (total|combined) {total} of [all] [the] {np}{when}?
What's the sum of the {nouns} of [all] [the] {np}{when}?
I need the (total|combined) {total} of [all] [the] {np}{when}.
Sum [up] the {nouns} of [the] {np}{when}.
{np}{when}: (total|combined) {total}?

== highest
(What is|What's) the {word} {noun} (of|among) [all] [the] {np}{when}{unit}?
TELL the {word} {noun} among [the] {np}{when}{unit}.
{word} {noun} (of|among) [the] {np}{when}{unit}?
Of [all] [the] {np}, what is the {word} {noun}{when}{unit}?
What is the {word} {noun} that any of the {np} has{when}{unit}?
How (high|large) is the {word} {noun} (of|among) [all] [the] {np}{when}{unit}?
I need the {word} {noun} among [the] {np}{when}{unit}.
{np}{when}: what's the {word} {noun}{unit}?

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
(What is|What's) the {said}, {word} by {word}{tail}?
I want the {said} (by|per|for each) {word}{tail}. {Word} and number.
SHOW the {said} (by|per|for each) {word}{tail}.
{word} and {said}{tail}[, please].
(Per|By) {word}: {said}{tail}.
Compare the {plurals} by {said}{tail}.
I need a table with (each|every) {word} and [its] {said}{tail}.
The {said} (by|per|for each) {word}{tail}: {word} and number, please.

== group count
How many {np} (are there|do we have){when} (per|by|for each|in each) {word}{tail}?
How many {np} does each {word} have{when}{tail}?
{word} and number of {np}{when}{tail}[, please].
Count the {np}{when} (per|by) {word}{tail}.
Number of {np} (per|by|for each) {word}{when}{tail}.
For each {word}, how many {np} are there{when}{tail}? ({Word} and count|{Word} and number, please).
{word} by {word}, how many {np} are there{when}{tail}?
How are [the] {np} (spread|distributed) over the {plurals}{when}{tail}? {Word} and number.
SHOW each {word} and the number of [its] {np}{when}{tail}.
How many {np} (per|by) {word}{when}{tail}?
{np} (per|by) {word}{when}{tail}: {word} and (number|count).
I want [each] {word} and [the] number of {np}{when}{tail}.
For (every|each) {word}, show the {word} and the number of {np}{when}{tail}.
How many {np} are there in each {word}{when}{tail}?

== group extreme count
(Which|What) {word} do the {most} {np} (have|share){when}?{tail}
(Which|What) {word} has the {most} {np}{when}?{tail}
(Which|What) {word} has the {most} {np}{when}{also}
TELL the {word} with the {most} {np}{when}.{tail}
(Which|What) is the {word} with the {most} {np}{when}?{tail}
By {word}, where are the {most} {np}{when}?{tail}
The {word} with the {most} {np}{when}[, please].{tail}
(Which|What) {word} (counts|includes) the {most} {np}{when}?{tail}
Where do we find the {most} {np}{when}, by {word}?{tail}
({Most}) {np}{when}: which {word}?{tail}

== group extreme
(Which|What) {word} has the {best} {said}?{tail}
(Which|What) {word} has the {best} {said}{also}
TELL the {word} with the {best} {said}.{tail}
Which is the {word} with the {best} {said}?{tail}
The {word} with the {best} {said}?{tail}
(Which|What) {word} leads in {said}?{tail}
In which {word} is the {said} the {best}?{tail}
(Which|What) {word} comes out {first} by {said}?{tail}
{best} {said}: which {word}?{tail}

== top groups
Top {k} {words} by {said}[, please].{tail}
(Who|What|Which) are the top {k} {words} by {said}?{tail}
TELL the top {k} {words} by {said}.{tail}
By {said}, which are the top {k} {words}?{tail}

== best groups
SHOW the {k} {words} with the {best} {said}[, {first}].{tail}
The {k} {words} with the {best} {said}[, please].{tail}
(Which|What) {k} {words} have the {best} {said}?{tail}
The {k} {best} by {said}: which {words}?{tail}
(Which|What) {words} have the {k} {best} {said}[, {first}]?{tail}
Rank the {words} by {said}, {first}, and stop after {k}.{tail}

== top groups count
(Which|What) {k} {words} have the {most} {np}{when}?{tail}
SHOW the {k} {words} with the {most} {np}{when}[, {first}].{tail}
The {k} {words} with the {most} {np}{when}[, please].{tail}
(Which|What) {words} have the {most} {np}{when}? The {k} with the {most}, {first}.{tail}

== having
(Which|What) {word} (is home to|has) {many}{when}?{tail}
(Which|What) {word} has {many}{when}?{tail}
(Which|What) {words} have {many}{when}?{tail}
SHOW [all] [the] {words} with {many}{when}.{tail}
{words} with {many}{when}?{tail}
Name the {words} that have {many}{when}[, please].{tail}
Are there {words} with {many}{when}? (Which ones|Name them).{tail}
(Which|What) {words} are there with {many}{when}?{tail}
I'm looking for [the] {words} with {many}{when}.{tail}
(Give me|I need) (every {word}|the {words}) with {many}{when}.{tail}

== share
What (percentage|percent) of [all] [the] {np} {be}{when}{rounded}?
(What is|What's) the percentage of {np} (who|that) {be}{when}{rounded}?
What share of [the] {np} {be}{when}, in percent{rounded}?
In percent, how many of the {np} {be}{when}{rounded}?
TELL the percentage of {np} (who|that) {be}{when}{rounded}.
Of [all] [the] {np}, what percentage {be}{when}{rounded}?
How many percent of [all] [the] {np} {be}{when}{rounded}?
(What is|What's) the share of {np} (who|that) {be}{when}, in percent{rounded}?
Among [all] [the] {np}, what percentage {be}{when}{rounded}?
Percentage of {np} (who|that) {be}{when}{rounded}[, please].

== two counts
How many {a} and how many {b} (are there|do we have){when}?
Number of {a} and number of {b}{when}, in one row.
How many {a} are there{when}, and how many {b}?
TELL two numbers: {a} and {b}{when}.
Count the {a} and the {b}{when}, side by side.
How many {a}, and how many {b}{when}? (Two numbers in one row|In one row), please.
{a} and {b}{when}: how many of each? One row[, please].
How many {a} do we have{when}, and how many {b}? Both numbers in one row.
I need two numbers side by side: {a}, and {b}{when}.
{a} against {b}{when}: the two counts in one row.

== distinct list
(Which|What) [different] {things} (are there among|do we have among|occur among) [the] {np}{when}?
SHOW the (different|distinct) {things} of [the] {np}{when}.
SHOW every {noun} of [the] {np} once{when}.
All (different|distinct) {things} among [the] {np}{when}, without repeats.
(Different|Distinct) {things} of [the] {np}{when}[, please].
(Which|What) {things} do [the] {np} have{when}? (Each one once|No repeats|Without duplicates).
A list of the (different|distinct) {things} among [the] {np}{when}.

== distinct count
How many (different|distinct) {things} (are there among|do we have among) [the] {np}{when}?
Number of (different|distinct) {things} (of|among) [the] {np}{when}?
How many (different|) {things} are represented among [the] {np}{when}?
(What is|What's) the number of (different|distinct) {things} of [the] {np}{when}?
Count the (different|distinct) {things} of [the] {np}{when}.
How many (different|distinct) {things} do [the] {np} have{when}?
Across how many different {things} are [the] {np} spread{when}?
How many {things} are there among [the] {np}{when}, counting each [only] once?

== both
(Which|What) {things} (are shared by|occur among both|are common to) {a} and {b}?
{things} of both {a} and {b}[, please].
(Which|What) {things} do {a} and {b} have in common?
(Which|What) {things} do we find among {a} as well as among {b}?
{things} that {a} and {b} share?
SHOW the {things} that occur among {a} and among {b}.
Are there {things} with {a} as well as {b}?
{things} with both {a} and {b}[, please].
Which {things} have {a} and also {b}?

== but not
(Which|What) {things} (occur|are there) among {a} but not among {b}?
{things} of {a} that do not occur among {b}?
(Which|What) {things} do {a} have that {b} (don't|do not)?
SHOW the {things} of {a}, leaving out those of {b}.
{things} found among {a}, but never among {b}[, please].
{things} with {a} but without {b}?
Which {things} have {a} but no {b}?

== never
(Which|What) [of the] {things} (on file|we have) have never (had|produced) {b1}?
{things} without any {b}?
(Which|What) {things} do not occur among {b}?
SHOW the {things} that no {b1} has.
(Which|What) {things} are not represented among {b}?
Which {things} have no {b} [at all]?
{things} that never had {b1}[, please].
Are there {things} without a single {bare}?

== gain
Whose {noun} {did} the most {span}?{tail}
(Which|What) {who} had the (biggest|largest) {gain} in {noun} {span}?{tail}
TELL the {who} whose {noun} {did} the most {span}.{tail}
(Biggest|Largest) {gain} in {noun} {span}: (which|what) {who}?{tail}
By {noun}, which {who} {did} most {span}?{tail}
From {low} to {high}, whose {noun} {did} the most?{tail}

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
What was the {noun} (of|in) {between}{when}?
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
{a}: how many {side} {wins}{when}?
(Give me|I need) the number of {side} {wins} of {a}{when}.

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
{a}: how many {wins}{when}[, {everywhere}]?
What's the total of {wins} of {a}{when}, {everywhere}?

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

== meeting dates
On which (dates|days) did {a} {act} {b}?
SHOW (the dates|all dates) on which {a} {acted} {b}.
Dates of all {games} in which {a} {acted} {b}[, please].
All the (dates|days) that {a} {acted} {b}?

== score
(What was the|Final|What is the final) score of {between}{when}? {Cols}.
How did {between}{when} end? {Cols}[, please].
{between}{when}: the [final] score, {cols}.
What was the score of {between}{when}? {Cols}.
TELL the [final] score of {between}{when}, {cols}.
Score of {between}{when}? {Cols}[, please].

== value of best
How {adj} is the {best}{when}?
(What is|What's) the {noun} of the {best}{when}?
TELL the {noun} of the {best}{when}.
The {best}{when}: what is the {noun}?
{noun} of the {best}{when}[, please]?

== facts alone
What are the {things} of [all] [the] {np}{when}?
{things} of [all] [the] {np}{when}[, please].
SHOW the {things} of [all] [the] {np}{when}.
For [all] [the] {np}{when}, list the {things}.
I need the {things} of [the] {np}{when}.

== unknown count
We're missing the {noun} of how many {np}{when}?
For how many {np} (don't we know|do we not know|are we missing) the {noun}{when}?
For how many {np} is (the {noun} (missing|unknown|not known)|no {noun} (known|recorded|on file)){when}?
How many {np} (have no {noun} on file|lack {a_noun}|are without a known {noun}){when}?
Number of {np} (with no|without a) known {noun}{when}?
How often is the {noun} of {np} unknown{when}?
How many {np} are there whose {noun} (we don't know|is missing|nobody recorded){when}?

== unknown list
For which {np} (don't we know|do we not know|are we missing) the {noun}{when}?{tail}
(Which|What) {np} (have no {noun} on file|lack {a_noun}|have an unknown {noun}){when}?{tail}
SHOW the {np} whose {noun} (we don't know|is missing|is unknown|is not known){when}.{tail}
{np} (with no|without a) known {noun}{when}?{tail}
Whose {noun} is (unknown|missing|not known), among [the] {np}{when}?{tail}

== career total
How many {things} did {x} {bare} over (all|the {k}) {words} [together]?
How many {things} (does|did) {x} have (in total|altogether|in all), {words} added up?
{own} {things} over all {words} (combined|together|added up)?
Add up {own} {things} over all {words}.
(What is|What's) {own} total number of {things} (over|across) all {words}?
Total {things} of {x} over (all|the {k}) {words}[, please].
How many {things} in all for {x}, over all {words}?

== career best
In (which|what) {word} did {x} {bare} the {most} {things}?{tail}
(What|Which) was {own} best {word} by {noun}?{tail}
(Which|What) {word} did {x} have the {highest} {noun} in?{tail}
In (which|what) {word} was {own} {noun} the {highest}?{tail}
TELL the {word} of {own} {highest} {noun}.{tail}

== career table
{own} {facts}, {word} by {word}[, please].
SHOW {own} {facts} for each {word}: {word} and {facts}.
SHOW {word} and {facts} of {x}, all {words}.
How did {own} {facts} develop? {Word} and {facts}.
{x}: {facts} in every {word}. {Word} and {facts}, please.
What (was|were) {own} {facts} in each {word}? {Word} and {facts}.

== owners
How many different {whos} {did}, over (all|the {k}) {words}?
How many [different] {whos} {did} in [at least] one {word} or another? (Each counted once|Count each of them once).
Count the different {whos} who {did} in any of the {words}.
Number of different {whos} who {did} over all {words}?
Over the {k} {words}, how many different {whos} {did}?
How many {whos} {did} (at some point|in any {word})? Count nobody twice.

== in all periods
How many {whos} (have|had) {things} in {said}?
Number of {whos} with {things} in {said}?
Count the {whos} who have {things} in {said}.

== belongs team
(Who|Which {thing}|What {thing}) does {x} play for (|today|now|at the moment|right now)?
(Which|What) {thing} is {x} on (|today|now|at the moment|right now)?
(Which|What) {thing} does {x} (play for|belong to)?
TELL {own} [current] {thing}.
{own} [current] {thing}? (The {label} is enough|{Label}, please|Just the {label}).
Whose roster is {x} on?
{x} plays for (whom|which {thing})?
For (which|what) {thing} does {x} play?

== belongs place
(Which|What) {thing} is home to {x}?
Where does {x} play (|at home)?
In (which|what) {thing} does {x} play (|at home)?
(Which|What) {thing} does {x} (play in|call home)?
What is {own} (home |){thing} called?
TELL the {label} of {own} (home |){thing}.
(What is|What's) the {label} of {own} {thing}?
{own} {thing}? {Label}[, please].
"""
