"""A family of intents about how many different things there are in each group: the playlists with tracks from more than
three genres, the number of cities in each country.

The rows are those of one table, counted by what they say or belong to, in groups that they say or belong to as well; a
table of links and the lines of bills (`bonds`) are rows like others, of the things at the end of one link. How various
the things of one named holder are is drawn by `ties`.
"""

from dataclasses import dataclass

from labkit.datagen.bonds import Bond, bonds, things_of
from labkit.datagen.bounds import many_things
from labkit.datagen.build import Source, text
from labkit.datagen.drawing import Drawer, NothingToAsk
from labkit.datagen.extremes import said_of
from labkit.datagen.frames import frames, shown_beside
from labkit.datagen.grouping import above
from labkit.datagen.intents import Intent, finished
from labkit.datagen.phrases import counted, one_of, plural
from labkit.datagen.subjects import View
from labkit.datagen.world import Entity, Field, Path_
from labkit.execution import execute
from labkit.schema import sql_name
