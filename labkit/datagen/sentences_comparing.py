"""Whole questions of the families in `comparing`, written as in `sentences`: what is set against what."""

SENTENCES = """
== more of
How many more {a} than {b} are there{when}?
By how many do [the] {a} outnumber [the] {b}{when}?
(What is|What's) the difference between the number of {a} and the number of {b}{when}?
How many {a} are there more than {b}{when}?
Number of {a} minus number of {b}{when}[, please].
TELL by how many [the] {a} outnumber [the] {b}{when}.
{a} less {b}{when}: the difference in number[, please].

== difference
(What is|What's) the difference in {average} {noun} between [the] {a} and [the] {b}{when}?
By how much does the {average} {noun} of [the] {a} exceed that of [the] {b}{when}?
How much higher is the {average} {noun} of [the] {a} than that of [the] {b}{when}?
{average} {noun} of [the] {a} minus that of [the] {b}{when}[, please].
TELL the difference between the {average} {noun} of [the] {a} and of [the] {b}{when}.
Compare [the] {a} with [the] {b}{when}: how much more {average} {noun}?
[The] {a} against [the] {b}{when}: difference in {average} {noun}[, please].

== part of total
What percentage of all {things} (do|did) [the] {np} account for{when}{rounded}?
(What share|What percentage) of all {things} (belongs|goes) to [the] {np}{when}, in percent{rounded}?
How many percent of the total {things} come from [the] {np}{when}{rounded}?
{things} of [the] {np} as a percentage of all {things}{when}{rounded}[, please].
TELL what percentage of the total {things} [the] {np} make up{when}{rounded}.
In percent, how large a part of all {things} is that of [the] {np}{when}{rounded}?

== change
By how much did the {what} change {span}?
How did the {what} change {span}? The difference[, please].
(What is|What's) the difference in the {what} {span}?
By how much did the {what} (rise|grow|go up) {span}?
TELL how much the {what} grew {span}.
Change in the {what} {span}[, please].

== change in percent
By (how many percent|what percentage) did the {what} change {span}{rounded}?
(What is|What's) the percentage change in the {what} {span}{rounded}?
By (how many percent|what percentage) did the {what} (rise|grow|go up) {span}{rounded}?
TELL the percentage change of the {what} {span}{rounded}.
In percent, how did the {what} change {span}{rounded}?
Percentage growth of the {what} {span}{rounded}[, please].

== with none
How many {theirs} does each of the {np} have, including those with none{ordered}?{tail}
For (each|every) {np1}, the number of {theirs}, zero included{ordered}.{tail}
Number of {theirs} (per|for each) {np1}, those without any as well{ordered}.{tail}
SHOW each {np1} and how many {theirs} it has, even if there are none{ordered}.
Count the {theirs} of each {np1}, zero where there are none{ordered}.{tail}
{np} and their number of {theirs}, including zero{ordered}.

== fewer, none too
(Which|What) {np} have fewer than {few} {theirs}?{tail}
(Which|What) {np} have fewer than {few} {theirs}, those with none included?{tail}
SHOW the {np} with fewer than {few} {theirs}, zero included.{tail}
{np} with less than {few} {theirs}, or none at all[, please].{tail}
Are there {np} that have fewer than {few} {theirs}?{tail}
"""
