"""Practice databases: made-up worlds of many kinds, for a starter adapter to learn SQL on before it meets a user's own.

`practice.txt` holds them, a line a table: `table count: column kind, column kind, ...`. A kind says how values are
written (money with a sign, dates day first, a unit behind the number ...) and what stands for a missing one; the worlds
use each of the ways that databases have. None is a database of `datasets/`, and no question is written here: `labkit
generate` words them. `python tools/practice.py FOLDER` writes all the SQLite files.

Kinds, with their parameters between brackets:
    key[C-]              primary key: C-001, C-002 ...; key[] a plain number
    ref[table]           a key of that table; ref[table]: under the name `home_id`
    person, place, thing[word list]     names that differ from row to row
    one[a|b|c]           one of some values, the first ones more often
    year[a-b], int[a-b], real[a-b]      numbers
    money[$ a-b]         text: $1,250 (sign in front), 1.250,00 EUR (EUR), 1250 USD (a word behind)
    unit[kg a-b], percent[a-b], feet[a-b]       text: 4.2 kg; 38.5%; 6' 2" (from inches)
    date[iso a-b], date[. a-b], date[/ a-b], date[us a-b], month[a-b]   text: a day in the years a to b
    flag[Y|N]            one of two values
A kind with `?x` behind it has the value x at times in place of a value; `?` alone: NULL.
"""

import datetime
import random
import re
import sqlite3
import sys
from collections.abc import Iterable
from pathlib import Path


def read() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The word lists by name, and each world's lines."""
    words, worlds = {}, {}
    for line in Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines():
        if line.startswith("words "):
            name, given = line.removeprefix("words ").split(": ")
            words[name] = given.split()
        elif line.startswith("== "):
            lines = worlds[line.removeprefix("== ")] = []
        elif line and worlds:
            lines.append(line)
    return words, worlds


WORDS, WORLDS = read()
FIRST, LAST, HEADS, TAILS = (WORDS[name] for name in ("first", "last", "heads", "tails"))
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_KIND = re.compile(r"([a-z]+)(?:\[(.*?)\])?([^?]*)(\?.*)?")


class World:
    """One practice database in the making: its tables' rows, and the random numbers that they come from.

    `variant`: the same tables and columns with other rows, so that a model learns to read values and not to know them.
    """

    def __init__(self, name: str, variant: int = 0):
        self.rng = random.Random(f"practice {name}" + (f" {variant}" if variant else ""))
        self.columns: dict[str, list[tuple[str, str, str]]] = {}  # table -> name, declared type, constraint
        self.rows: dict[str, list[list]] = {}
        self.used: set[str] = set()
        for table, count, kinds in _tables(WORLDS[name]):
            self.columns[table] = [(column, *_declared(column, kind, self.columns)) for column, kind in kinds]
            self.rows[table] = [self._row(n, kinds) for n in range(1, count + 1)]
            self.rows[table] = self._distinct(table, kinds)

    def _distinct(self, table: str, kinds: list[tuple[str, str]]) -> list[list]:
        """Of a table without a key of its own, one row for each of what it refers to and period."""
        if any(kind.startswith("key") for _, kind in kinds):
            return self.rows[table]
        own = [i for i, (column, kind) in enumerate(kinds) if kind.startswith("ref") or column in ("season", "year")]
        return list({tuple(row[i] for i in own): row for row in self.rows[table]}.values())

    def _row(self, number: int, kinds: list[tuple[str, str]]) -> list:
        return [
            self._value(number, *re.fullmatch(r"([a-z]+)(?:\[(.*?)\])?([^?]*)(\?.*)?", kind).groups())
            for _, kind in kinds
        ]

    def _value(self, number: int, kind: str, given: str | None, behind: str, missing: str | None):
        if missing is not None and self.rng.random() < 0.12:
            return missing[1:] or None
        value = getattr(self, f"_{kind}")(given, number)
        return f"{value}{behind[1:]}" if behind.startswith("+") else value

    def save(self, path: Path) -> Path:
        """Write the SQLite file, whole or not at all."""
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        connection = sqlite3.connect(part)
        for table, columns in self.columns.items():
            connection.execute(f"CREATE TABLE {table} ({', '.join(' '.join(filter(None, c)) for c in columns)})")
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", self.rows[table])
        connection.commit()
        connection.close()
        part.replace(path)
        return path

    # --- kinds --------------------------------------------------------------------------------------------------------

    def _between(self, given: str) -> tuple[float, float]:
        low, high = re.search(r"(\d+)-(\d+)$", given).groups()
        return int(low), int(high)

    def _draw(self, given: str) -> int:
        """A whole number, low ones more often where the span is wide; large ones round."""
        low, high = self._between(given)
        part = self.rng.random()
        value = low + (high - low) * (part * part if high > 50 * low else part)
        step = 10 ** max(0, len(str(int(value))) - 3)
        return int(value // step * step) if high > 2200 else round(value)

    def _key(self, given: str, number: int):
        return f"{given}{number:03}" if given else number

    def _ref(self, given: str, number: int):
        return self.rng.choice(self.rows[given])[0]

    def _once(self, make) -> str:
        """What `make` gives that no row has yet."""
        for _ in range(1000):
            name = make()
            if name not in self.used:
                break
        self.used.add(name)
        return name

    def _person(self, given, number) -> str:
        return self._once(lambda: f"{self.rng.choice(FIRST)} {self.rng.choice(LAST)}")

    def _place(self, given, number) -> str:
        return self.rng.choice(HEADS[::3]) + self.rng.choice(TAILS[::2])

    def _thing(self, given: str, number: int) -> str:
        if given == "phone":
            return f"0{self.rng.randrange(20, 90)} {self.rng.randrange(10**5, 10**6)}"
        if given == "email":
            return f"reader{number}@mail.example"
        words = WORDS[given]
        if given in ("subject", "ward", "team", "animalteam"):
            return words[(number - 1) % len(words)]
        return (
            self.rng.choice(words)
            if given == "drug"
            else self._once(lambda: f"{self.rng.choice(HEADS)} {self.rng.choice(words)}")
        )

    def _one(self, given: str, number: int) -> str:
        values = given.split("|")
        return self.rng.choices(values, range(len(values) + 2, 2, -1))[0]

    _flag = _one

    def _year(self, given: str, number: int) -> int:
        return self.rng.randint(*self._between(given))

    def _int(self, given: str, number: int) -> int:
        return self._draw(given)

    def _real(self, given: str, number: int) -> float:
        low, high = self._between(given)
        return round(low + (high - low) * self.rng.random(), 1)

    def _money(self, given: str, number: int) -> str:
        sign, amount = given.split(" ")[0], self._draw(given)
        if sign == "EUR":
            return f"{amount:,}".replace(",", ".") + f",{self.rng.choice((0, 0, 50, 90)):02} EUR"
        return f"{sign}{amount:,}"

    def _unit(self, given: str, number: int) -> str:
        low, high = self._between(given)
        return (
            f"{self._draw(given)} {given.split()[0]}"
            if high > 60
            else f"{self._real(given, number)} {given.split()[0]}"
        )

    def _percent(self, given: str, number: int) -> str:
        return f"{self._real(given, number)}%"

    def _feet(self, given: str, number: int) -> str:
        return "{}' {}\"".format(*divmod(self.rng.randint(*self._between(given)), 12))

    def _date(self, given: str, number: int) -> str:
        low, high = self._between(given)
        day = datetime.date(low, 1, 1) + datetime.timedelta(self.rng.randrange((high - low + 1) * 365))
        how = {"iso": "%Y-%m-%d", ".": "%d.%m.%Y", "/": "%d/%m/%Y", "us": "%m/%d/%Y"}
        return day.strftime(how[given.split()[0]])

    def _month(self, given: str, number: int) -> str:
        return f"{self.rng.choice(MONTHS)} {self.rng.randint(*self._between(given))}"


def _tables(lines: list[str]):
    """Name, count and columns of each table of a world."""
    for line in lines:
        head, columns = line.split(": ", 1)
        table, count = head.split()
        yield table, int(count), [tuple(c.split(" ", 1)) for c in re.split(r", (?=[a-z_]+ [a-z])", columns)]


def _declared(column: str, kind: str, known: dict) -> tuple[str, str]:
    """Type and constraint of a column."""
    if kind.startswith("ref"):
        table = re.match(r"ref\[(\w+)", kind)[1]
        key, declared, _ = known[table][0]
        return declared, f"REFERENCES {table}({key})"
    declared = "INTEGER" if kind.startswith(("int", "year", "key[]")) else "REAL" if kind.startswith("real") else "TEXT"
    return declared, "PRIMARY KEY" if kind.startswith("key") else ""


def build(folder: str | Path, names: Iterable[str] = tuple(WORLDS), variants: int = 1) -> list[Path]:
    """Write the practice databases of those names into `folder`, each in so many variants; their paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return [
        World(name, variant).save(folder / f"{name}{f'-{variant}' if variant else ''}.sqlite")
        for name in names
        for variant in range(variants)
    ]


if __name__ == "__main__":
    for path in build(sys.argv[1]):
        print(path)
