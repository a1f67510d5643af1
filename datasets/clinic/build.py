"""Builds clinic.sqlite: a fictional veterinary clinic, the second domain, with a mess of its own kind.

The same rows on every machine and every run: only `Random.random()` is used, whose sequence Python promises not to
change. It writes no questions. Run `python datasets/clinic/build.py [FILE]`.
"""

import datetime
import os
import random
import sqlite3
import sys
from pathlib import Path

HERE = Path(__file__).parent
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
TOWNS = "Brackwater, Elmstead, Fennick, Great Hallow, Lower Wick, Mossley Green, Orrin, Tarn Bridge"
VETS = "Dr. Achterberg, Dr. Bellamy, Dr. Costa, Dr. Dunne, Dr. Iyer"
FIRST = (
    "Ada Aksel Alma Anton Bea Bruno Clara Cormac Dagny Edda Elio Enid Fergus Flora Greta Henk Ines Jonah Klara Leonie"
    " Linus Marta Matteo Nora Olaf Petra Quentin Rosa Rupert Saskia Selma Tilda Ulla Victor Wanda Willem Yara Zoltan"
)
LAST = (
    "Ackermann Baines Brook Carver Dalgaard Drake Eames Ferris Fjord Gould Haas Ingram Janssen Kerr Lindt Maddox Neri"
    " Novak O'Dell Pruitt Quist Rossi Sayer Tolliver Ueda Vane Whitby Yates Zorn"
)
PET_NAMES = (
    "Apollo Bandit Basil Bella Biscuit Blue Bonnie Button Captain Clover Cocoa Comet Daisy Dot Echo Fern Figaro Ginger"
    " Gizmo Hazel Honey Juno Kiwi Luna Maple Marble Milo Misty Mocha Nacho Nala Olive Oscar Pepper Pickle Pip Poppy"
    " Rusty Sage Scout Shadow Simba Smokey Sooty Sprout Tango Teddy Toffee Waffles Willow Ziggy"
)

# species: share of the pets, oldest in years, breeds with lightest and heaviest in tenths of a kilogram ("" means NULL)
SPECIES = {
    "dog": (0.46, 14, (("Labrador", 240, 378), ("Beagle", 88, 152), ("Poodle", 34, 291), ("Dachshund", 62, 119),
                       ("Border Collie", 133, 214), ("Boxer", 247, 341), ("Whippet", 95, 166),
                       ("", 41, 523), ("", 41, 523))),
    "cat": (0.34, 17, (("Siamese", 24, 49), ("Maine Coon", 48, 92), ("Persian", 31, 57), ("British Shorthair", 37, 78),
                       ("", 25, 71), ("", 25, 71), ("", 25, 71))),
    "rabbit": (0.1, 9, (("Dutch", 15, 26), ("Lionhead", 11, 18), ("Flemish Giant", 54, 87), ("", 12, 49))),
    "parrot": (0.05, 40, (("African Grey", 3, 6), ("Cockatiel", 1, 2), ("", 1, 11))),
    "tortoise": (0.05, 70, (("Hermann", 8, 39), ("Leopard", 62, 148), ("", 5, 61))),
}  # fmt: skip

# reason: lowest and highest fee in euros, drugs that may follow
REASONS = {
    "check-up": (28, 45, ()),
    "vaccination": (32, 60, ("Rabivax", "Triovac")),
    "dental": (85, 240, ("Cefalor", "Dolovet")),
    "injury": (60, 310, ("Dolovet", "Cefalor", "Wound gel")),
    "skin": (45, 95, ("Dermisol", "Allerpet", "Wound gel")),
    "surgery": (220, 980, ("Dolovet", "Cefalor", "Propanest")),
    "digestion": (42, 120, ("Gastrix", "Probion")),
    "parasites": (30, 70, ("Fleago", "Vermilex")),
}
# drug: milligrams (None has no dose), days of a course (None is given once), price in cents
DRUGS = {
    "Rabivax": (1, None, 1850), "Triovac": (2, None, 2240), "Cefalor": (250, 7, 1420), "Dolovet": (50, 5, 990),
    "Wound gel": (None, 10, 675), "Dermisol": (None, 14, 1180), "Allerpet": (10, 21, 1635),
    "Propanest": (120, None, 4890), "Gastrix": (20, 6, 860), "Probion": (None, 10, 1250),
    "Fleago": (75, None, 1995), "Vermilex": (150, None, 1105),
}  # fmt: skip


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


def euros(cents):
    return f"{cents // 100},{cents % 100:02} EUR"


def owners(dice, count=150):
    names, rows = set(), []
    while len(names) < count:
        name = f"{dice.pick(FIRST.split())} {dice.pick(LAST.split())}"
        if name in names:
            continue
        names.add(name)
        phone = "unknown" if dice.chance(0.12) else f"0{dice.between(20, 89)} {dice.between(100000, 999999)}"
        since = f"{dice.pick(MONTHS.split())} {dice.between(2019, 2031)}"
        rows.append((f"OW-{100 + len(names)}", name, dice.pick(TOWNS.split(", ")), phone, since))
    return rows


def species_of(dice):
    point = dice.random()
    for species, (share, *_) in SPECIES.items():
        point -= share
        if point < 0:
            return species
    return "tortoise"


def pet(dice, number, owner_id):
    species = species_of(dice)
    _, oldest, breeds = SPECIES[species]
    breed, light, heavy = dice.pick(breeds)
    tenths = light + int((heavy - light) * (dice.random() + dice.random()) / 2)
    weight = "unknown" if dice.chance(0.08) else f"{tenths / 10:.1f} kg"
    born = "unknown" if dice.chance(0.1) else 2031 - int(oldest * dice.random() * dice.random())
    chipped = species in ("dog", "cat") and dice.chance(0.65)
    chip = f"985{dice.between(10**8, 10**9 - 1)}" if chipped else None
    name = dice.pick(PET_NAMES.split())
    return f"PET-{number:03}", name, species, breed or None, owner_id, born, weight, chip


def pets(dice, owner_rows, count=240):
    """Some owners have several pets; the last fifteen registered without one."""
    owner_ids = [row[0] for row in owner_rows[:-15]]
    return [pet(dice, number, dice.pick(owner_ids)) for number in range(1, count + 1)]


def visits(dice, pet_rows, count=380):
    """In the order of their dates; the last thirty pets have not been seen yet."""
    rows = []
    for number in range(1, count + 1):
        reason = dice.pick(tuple(REASONS))
        low, high, _ = REASONS[reason]
        fee = "-" if dice.chance(0.06) else euros(low * 100 + dice.between(0, (high - low) * 2) * 50)
        paid = "-" if fee == "-" else dice.pick("YYYYYN")
        day = datetime.date(2030, 1, 3) + datetime.timedelta((number - 1) * 720 // count)
        who = dice.pick([row for row in pet_rows[:-30] if row[5] == "unknown" or row[5] <= day.year])
        seen_by = dice.pick(VETS.split(", "))
        rows.append((f"V/{number:04}", who[0], seen_by, day.strftime("%d.%m.%Y"), reason, fee, paid))
    return rows


def treatments(dice, visit_rows):
    rows = []
    for visit in visit_rows:
        for drug in REASONS[visit[4]][2]:
            if not dice.chance(0.52):
                continue
            milligrams, days, cents = DRUGS[drug]
            times = dice.pick((1, 1, 1, 2, 3))
            dose = "-" if milligrams is None else f"{milligrams * times} mg"
            price = euros(cents * times + dice.between(0, 9) * 10)
            rows.append((f"TR-{len(rows) + 1:04}", visit[0], drug, dose, days, price))
    return rows


def tables():
    """Every row of every table, in the order in which the tables refer to each other."""
    dice = Dice(20310314)
    owner_rows = owners(dice)
    pet_rows = pets(dice, owner_rows)
    visit_rows = visits(dice, pet_rows)
    return {"owners": owner_rows, "pets": pet_rows, "visits": visit_rows, "treatments": treatments(dice, visit_rows)}


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
    build(sys.argv[1] if len(sys.argv) > 1 else HERE / "clinic.sqlite")
