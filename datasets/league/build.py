"""Builds league.sqlite: a fictional basketball league, messy on purpose. The same rows on every machine and every run.

Only `Random.random()` is used, the one method whose sequence Python promises not to change. It writes no questions.
Run `python datasets/league/build.py [FILE]`.
"""

import datetime
import os
import random
import sqlite3
import sys
from pathlib import Path

HERE = Path(__file__).parent
SEASONS = (2029, 2030, 2031)

# city, nickname, conference, year founded, titles, strength in points
TEAMS = [
    ("Marlowe Bay", "Foxes", "South", 1961, 5, 6), ("Ironvale", "Anvils", "North", 1954, 7, 2),
    ("Quillport", "Otters", "South", 1978, 1, 0), ("Duskwater", "Herons", "South", 1969, 2, -3),
    ("Emberton", "Embers", "North", 1983, 0, -6), ("Frostgate", "Yetis", "North", 1958, 4, 7),
    ("Goldmere", "Miners", "South", 1949, 9, 1), ("Hollowbrook", "Owls", "North", 1972, 1, -1),
    ("Ivoryton", "Tuskers", "South", 1988, 0, -4), ("Junipero", "Comets", "South", 1994, 2, 4),
    ("Kestrel City", "Falcons", "North", 1951, 3, 3), ("Larkspur", "Bees", "South", 2003, 0, -2),
    ("Mistral", "Gales", "North", 1966, 1, 5), ("Northreach", "Bears", "North", 1975, 2, -5),
    ("Oakhaven", "Stags", "North", 1980, 0, 0), ("Pinecrest", "Badgers", "South", 1991, 1, 2),
    ("Ravensport", "Crows", "South", 1956, 3, -7), ("Saltmarsh", "Krakens", "South", 2008, 1, 8),
    ("Thornbury", "Thorns", "North", 1963, 2, -2), ("Umberland", "Bison", "North", 1999, 0, 1),
    ("Velden", "Lancers", "South", 1986, 1, -1), ("Windmoor", "Millers", "North", 2012, 0, -8),
    ("Yarrow", "Archers", "South", 2016, 0, -3), ("Marlowe Bay", "Tugs", "North", 1997, 1, 3),
]  # fmt: skip

# name, capacity, year opened; one arena a city, in the order in which the cities appear above
ARENAS = [
    ("Lantern Hall", 21480, 1999), ("Forge Center", 18750, 1987), ("Pier Nine", 16400, 2011),
    ("Dusk Dome", 17120, 1994), ("Cinder Court", 15900, 2004), ("Glacier Garden", 19200, 1979),
    ("Nugget Arena", 20150, None), ("The Hollow", 16400, 1968), ("Tusk Coliseum", 14880, 2001),
    ("Star Pavilion", 17760, 2019), ("Kestrel Forum", 22310, 1991), ("Clover Field House", 12950, 2003),
    ("Windward Arena", 18090, 2008), ("Northern Lights", 15240, 1985), ("Acorn Center", 16980, 1996),
    ("Pinecone Palace", 17300, 2014), ("The Rookery", 13670, 1962), ("Saltworks", 19840, 2022),
    ("Bramble Hall", 16050, None), ("Prairie Dome", 18400, 2000), ("Velden Court", 14320, 1990),
    ("The Mill", 11860, 2012), ("Bowstring Arena", 15520, 2016),
]  # fmt: skip

COACHES = (
    "Mara Ellison, Tobias Renn, Priya Castellane, Gus Wetherby, --, Ilse Hartog, Dominic Faraday, Ruth Okonjo, Sven"
    " Aldous, Carla Benedek, Hugo Tremaine, Nadia Flint, Owen Carrick, Bela Strand, --, Felix Amory, Joan Tarrant,"
    " Amadou Keel, Lena Voss, Peter Quaid, Marcus Dray, --, Tess Whitlow, Ravi Sunder"
)

FIRST = (
    "Abel Amos Andre Arlo Asher Basil Beau Boris Bram Caleb Cassius Cyrus Dane Dario Desmond Dov Elias Emmett Ezra"
    " Felix Finn Gideon Hakim Hugo Idris Imre Ivo Jabari Jasper Jonas Kai Kofi Lars Leif Lionel Lucas Magnus Malik"
    " Marek Milo Nico Nils Obi Omar Orson Otis Pavel Quinn Rafe Remy Roman Rufus Silas Soren Tariq Theo Ulric Viktor"
    " Wes Xavi Yusuf Zane"
)

LAST = (
    "Abara Ackroyd Ambrose Arkwright Balloch Barrow Bellweather Blackwood Boateng Brandt Calloway Castor Chukwu"
    " Copperfield Corvane D'Arco Dankworth Delacroix Drummond Eastlake Ekwueme Elmhurst Falk Farrow Fenwick Fontaine"
    " Galloway Garrick Goldfinch Grimaldi Hargrove Hawthorne Hazeltine Holloway Inverness Isaksen Jarrow Jessup"
    " Kamara Kingsley Kowal Lachance Langford Larkin Lindqvist Lockhart Mbeki Mayweather Merriweather Moreau"
    " Nakamura Nightingale Nkemelu O'Sable Oakes Okafor-Lund Osei Pemberton Pickering Quill Radcliffe Ramsgate"
    " Redfern Rosendahl Rourke Saltzman Sandoval Sinclair Somerset St._Cloud Stavros Tamsin Thackeray Tiberius"
    " Toivonen Underhill Vance Vasquez Verhoeven Wainwright Whitlock Winterbourne Yardley Zabala Zeller"
)

COLLEGES = (
    "Alder State, Brightwater, Caldera Tech, Dunmore, Eastmark, Fairholm State, Granite A&M, Holloway College,"
    " Juniper Valley, Kingsbridge, Lakemont, Meridian, Northfold State, Orchard Hill, Pacific Tech, Redwood State"
)
HEIGHTS = {"PG": (70, 77), "SG": (74, 79), "SF": (76, 81), "PF": (78, 83), "C": (80, 88)}  # inches


class Dice:
    """Random choices made of `random()` alone."""

    def __init__(self, seed):
        self.random = random.Random(seed).random

    def between(self, low, high):
        return low + int(self.random() * (high - low + 1))

    def pick(self, options):
        return options[int(self.random() * len(options))]

    def chance(self, probability):
        return self.random() < probability

    def bell(self):
        """About normal, mean 0, deviation 1, without a call into the machine's mathematics library."""
        return sum(self.random() for _ in range(12)) - 6

    def shuffled(self, items):
        order = sorted((self.random(), index) for index in range(len(items)))
        return [items[index] for _, index in order]


def money(dollars):
    return f"${dollars:,}"


def arenas_and_teams():
    coaches = COACHES.split(", ")
    cities = list(dict.fromkeys(team[0] for team in TEAMS))
    arenas = [(f"A-{i:02}", name, cities[i - 1], seats, opened) for i, (name, seats, opened) in enumerate(ARENAS, 1)]
    home = {city: arena_id for arena_id, _, city, _, _ in arenas}
    teams = [
        (f"T-{i:02}", city, nickname, conference, home[city], coaches[i - 1], founded, titles)
        for i, (city, nickname, conference, founded, titles, _) in enumerate(TEAMS, 1)
    ]
    return arenas, teams


def player(dice, number, name, team_id, draft):
    """One row of players; `draft` is (year, pick) or None."""
    position = dice.pick(("PG", "SG", "SF", "PF", "C"))
    inches = dice.between(*HEIGHTS[position])
    pounds = int(165 + (inches - 70) * 6.2 + 9 * dice.bell())
    debut = draft[0] if draft else dice.between(2021, 2031)
    born = datetime.date(debut - dice.between(19, 23), 1, 1) + datetime.timedelta(dice.between(0, 364))
    height = "--" if dice.chance(0.05) else f"{inches // 12}' {inches % 12}\""
    weight = "NA" if dice.chance(0.07) else f"{pounds} lb"
    college = None if dice.chance(0.22) else dice.pick(COLLEGES.split(", "))
    jersey = "NA" if team_id is None or dice.chance(0.04) else dice.between(0, 55)
    year, pick = draft or (None, "undrafted")
    row = (f"P{number:04}", name, team_id, position, height, weight, born.isoformat(), college, year, pick, jersey)
    return row, debut


def players(dice, count=480):
    """Rows of players, and for each id the year of his first season."""
    names = sorted({f"{first} {last.replace('_', ' ')}" for first in FIRST.split() for last in LAST.split()})
    names = dice.shuffled(names)[:count]
    drafts = dice.shuffled([(year, pick) for year in range(2017, 2032) for pick in range(1, 37)])[: count - 96]
    drafts = dice.shuffled(drafts + [None] * 96)
    rows, debuts = [], {}
    for number, (name, draft) in enumerate(zip(names, drafts, strict=True), 1):
        team_id = None if dice.chance(0.09) else f"T-{dice.between(1, len(TEAMS)):02}"
        row, debut = player(dice, number, name, team_id, draft)
        rows.append(row)
        debuts[row[0]] = debut
    return rows, debuts


def salary(dice, talent, years):
    """Dollars a year: many on the minimum, a few far above the rest."""
    if talent < -0.6 or (years < 2 and talent < 0.5):
        return 612_500 if dice.chance(0.7) else 612_500 + dice.between(10, 90) * 5_000
    worth = max(talent + 0.6, 0)
    base = 1_100_000 + worth * worth * 3_900_000 + years * 180_000 * dice.random()
    return int(base) + dice.between(0, 99_999)


def contract(dice, player_id, talent, years, status):
    """`years` is his experience when he signs."""
    pay = salary(dice, talent, years)
    shown = "--" if dice.chance(0.06) else money(pay)
    bonus = money(dice.between(2, 60) * 25_000) if dice.chance(0.3) else None
    if status == "active":
        year, ends = dice.between(max(2028, 2031 - years), 2031), dice.between(2031, 2035)
    else:
        year = dice.between(2024, 2027)
        ends = year + dice.between(1, 3)
    month = dice.between(1, 6) if year == 2031 else dice.between(1, 12)
    return player_id, shown, bonus, f"{dice.between(1, 28):02}/{month:02}/{year}", ends, status


def contracts(dice, player_rows, debuts, talents):
    """One active contract for nearly everybody on a team, expired ones for some veterans and free agents."""
    rows = []
    for row in player_rows:
        player_id, team_id, years = row[0], row[2], 2031 - debuts[row[0]]
        if years >= 4 and dice.chance(0.3):
            rows.append(contract(dice, player_id, talents[player_id], years - 3, "expired"))
        if team_id and not dice.chance(0.05):
            rows.append(contract(dice, player_id, talents[player_id], years, "active"))
    return [(f"C-{i:04}", *row) for i, row in enumerate(dice.shuffled(rows), 1)]


def season_row(dice, row, season, team, talent):
    played = min(46, max(1, int(34 + 8 * dice.bell() + 3 * talent)))
    scale = max(0.6, 9.5 + 4.4 * talent + 1.6 * dice.bell())
    points = max(1, int(scale * played))
    tall = {"PG": 2.6, "SG": 3.1, "SF": 4.4, "PF": 6.2, "C": 7.8}[row[3]]
    passing = {"PG": 5.4, "SG": 3.0, "SF": 2.2, "PF": 1.6, "C": 1.3}[row[3]]
    rebounds = int(played * max(0.3, tall + talent + 0.9 * dice.bell()))
    assists = int(played * max(0.1, passing + 0.8 * talent + 0.7 * dice.bell()))
    shoots = not dice.chance(0.3 if row[3] == "C" else 0.05)
    three = f"{33.5 + 4.5 * dice.bell():.1f}%" if shoots else "--"
    return row[0], season, team, played, points, round(points / played, 1), rebounds, assists, three


def season_stats(dice, player_rows, debuts, talents):
    nickname = {f"T-{i:02}": team[1] for i, team in enumerate(TEAMS, 1)}
    rows = []
    for row in player_rows:
        team = nickname.get(row[2]) or dice.pick(TEAMS)[1]
        for season in reversed(SEASONS):
            if season < debuts[row[0]]:
                break
            if not dice.chance(0.08):  # a missed season leaves no row
                rows.append(season_row(dice, row, season, team, talents[row[0]]))
            if dice.chance(0.18):  # he came from elsewhere
                team = dice.pick(TEAMS)[1]
    return sorted(rows)


def game(dice, number, season, day, home, away, seats):
    strength = TEAMS[home][5] - TEAMS[away][5] + 3
    home_points = int(101 + strength / 2 + 9 * dice.bell())
    away_points = int(101 - strength / 2 + 9 * dice.bell())
    overtime = None
    if abs(home_points - away_points) <= 1 or dice.chance(0.02):
        overtime = dice.pick((1, 1, 1, 1, 2, 2, 3))
        home_points += 9 * overtime
        away_points = home_points + dice.pick((-6, -4, -3, -2, 2, 3, 5))
    crowd = min(seats, int(seats * (0.8 + 0.012 * TEAMS[home][5] + 0.1 * dice.bell())))
    attendance = "NA" if dice.chance(0.04) else f"{crowd:,}"
    ids = (f"G-{season}-{number:04}", season, day.isoformat(), f"T-{home + 1:02}", f"T-{away + 1:02}")
    return (*ids, home_points, away_points, attendance, overtime)


def games(dice, seats):
    """A double round robin a season; `seats` gives each team's arena capacity."""
    rows = []
    pairs = [(home, away) for home in range(len(TEAMS)) for away in range(len(TEAMS)) if home != away]
    for season in SEASONS:
        opening = datetime.date(season, 1, 5)
        for number, (home, away) in enumerate(dice.shuffled(pairs), 1):
            day = opening + datetime.timedelta((number - 1) * 165 // len(pairs))
            rows.append(game(dice, number, season, day, home, away, seats[home]))
    return rows


def tables():
    """Every row of every table, in the order in which the tables refer to each other."""
    dice = Dice(20310701)
    arena_rows, team_rows = arenas_and_teams()
    capacity = {row[0]: row[3] for row in arena_rows}
    player_rows, debuts = players(dice)
    talents = {row[0]: dice.bell() for row in player_rows}
    return {
        "arenas": arena_rows,
        "teams": team_rows,
        "players": player_rows,
        "contracts": contracts(dice, player_rows, debuts, talents),
        "season_stats": season_stats(dice, player_rows, debuts, talents),
        "games": games(dice, [capacity[row[4]] for row in team_rows]),
    }


def build(path):
    """Writes the database to `path`; an older file there is replaced only once the new one is whole."""
    part = Path(f"{path}.part")
    part.unlink(missing_ok=True)
    connection = sqlite3.connect(part)
    connection.executescript((HERE / "schema.sql").read_text(encoding="utf-8"))
    for table, rows in tables().items():
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    connection.commit()
    connection.execute("VACUUM")
    connection.close()
    os.replace(part, path)


if __name__ == "__main__":
    build(sys.argv[1] if len(sys.argv) > 1 else HERE / "league.sqlite")
