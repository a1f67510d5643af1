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

== differ by verb
How much more do [the] {a} {verb} than [the] {b} {mean}{when}?
By {unit} do [the] {a} {verb} {what} than [the] {b} {mean}{when}?
How {what} do [the] {a} {verb} {mean} than [the] {b}{when}?
TELL how {what} [the] {a} {verb} {mean} than [the] {b}{when}.

== differ by adjective
How much {more} are [the] {a} than [the] {b} {mean}{when}?
By {unit} are [the] {a} {more} {mean} than [the] {b}{when}?
TELL how much {more} [the] {a} are than [the] {b} {mean}{when}.
By {unit} are [the] {a} {more} than [the] {b} {mean}{when}?

== part of best
What percentage of the {total} of [the] {np} (goes to|belongs to|is that of) the {best}{when}{rounded}?
(What part|What share) of the {total} of [the] {np}, in percent, (goes to|is that of) the {best}{when}{rounded}?
How many percent of the {total} of [the] {np} (go|belong) to the {best}{when}{rounded}?
The {best} as a percentage of the {total} of [the] {np}{when}{rounded}[, please].
TELL what percentage of the {total} of [the] {np} the {best} (has|accounts for){when}{rounded}.

== changed count
How many {whos} have changed {nouns} {once} {span}?
How many {whos} have had {many} {nouns} {span}?
Number of {whos} with {many} {nouns} {span}?
Count the {whos} whose {noun} changed {once} {span}.
How many {whos} were with {many} {nouns} {span}?

== changed list
(Which|What) {whos} have changed {nouns} {once} {span}?
SHOW the {whos} who had {many} {nouns} {span}.
Names of all {whos} with {many} {nouns} {span}[, please].
Who has had {many} {nouns} {span}?
{whos} whose {noun} changed {once} {span}[, please].

== buckets
How many {np} have a {noun} under {low}, from {low} to {mid}, and {high} or more{when}? Three numbers.
Number of {np} with a {noun} (below|under) {low}, of {low} to {mid}, and of {high} or more{when}, in that order.
Distribution of the {noun} of [the] {np}{when}: under {low}, {low} to {mid}, {high} and (over|above|more). Three counts.
Count [the] {np} by {noun}{when}: below {low}, {low} to {mid}, {high} or more. One row.
TELL three numbers: {np} with a {noun} under {low}, from {low} to {mid}, and of at least {high}{when}.
How are [the] {np} spread by {noun}{when}? (Below|Under) {low}, {low} to {mid}, {high} and up, in one row.

== part count
How many of {np} {be}{when}?
Number of {np} that {be}{when}[, please].
Count {np} that {be}{when}.
Of {np}, how many {be}{when}?
How many of [all] {np} {be}{when}?

== derby each
{a} against {b}{when}: how many {games} did each [of them] win? {a} first, then {b}.
How often did {a} {beat} {b}, and how often {b} {a}{when}? Two numbers.
{games} between {a} and {b}{when}: {wins} of {a} and {wins} of {b}, in that order.
Head to head{when}: {wins} of {a} and {wins} of {b}, in one row.
How many times has each of them won, {a} and {b}, against the other{when}? {a} first.

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
