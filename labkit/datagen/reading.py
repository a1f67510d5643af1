"""Reads the world of a database from its file: which column names a row, what its texts mean, what refers to what.

Everything is asked through `execute_many`, like an untrusted query. What cannot be told from names and values is left
alone.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from labkit.datagen.formats import TEXT, Format, recognise
from labkit.datagen.phrases import singular
from labkit.datagen.units import unit_of
from labkit.datagen.world import JOINT, Entity, Field, Link, World, spaced
from labkit.exclusion import excluding
from labkit.execution import Limits, execute_many
from labkit.schema import PLACEHOLDERS, Column, Schema, Table, read_schema, sql_name

_VALUES = 4_000  # distinct values of a column that are looked at
_FLAGS = (
    {"Y", "N"},
    {"y", "n"},
    {"yes", "no"},
    {"Yes", "No"},
    {"T", "F"},
    {"true", "false"},
    {"True", "False"},
    {0, 1},
)
_KEY = re.compile(r"\b(id|key|code)$")
_DISTINCT = 8  # fewer numbers lie within many a key by chance
_NAMING = ("nickname", "name", "title", "full name", "label", "username", "model")
_FIRST = re.compile(r"(first|given|fore) ?name|fname")
_LAST = re.compile(r"(last|family|sur) ?name|lname")
_ABOVE = re.compile(
    r"reports? to|(parent|manager|boss|supervisor|superior|mentor) (id|key|code|no)"
)  # in its own table
_PERSONS = frozenset(
    [
        "player",
        "person",
        "customer",
        "client",
        "employee",
        "user",
        "student",
        "teacher",
        "owner",
        "patient",
        "author",
        "artist",
        "actor",
        "member",
        "driver",
        "doctor",
        "agent",
        "manager",
        "guest",
        "visitor",
        "contact",
        "worker",
        "staff",
        "singer",
        "director",
        "rider",
        "pilot",
        "nurse",
        "vet",
        "passenger",
        "supplier",
        "coach",
        "seller",
        "buyer",
        "user",
        "speaker",
        "researcher",
        "engineer",
        "candidate",
        "applicant",
        "citizen",
        "resident",
        "tenant",
        "borrower",
    ]
)


def read_world(database: str | Path, exclude: Iterable[str] = (), joint_names: bool = True) -> World:
    """The world of a database; columns (`column`, `table.column`) or tables named in `exclude` are not looked at,
    nor are columns of JSON text: nobody asks for a row by the whole of it.

    `joint_names`: a first and a last name are one field, the person's name.
    """
    with excluding(database, exclude):
        schema = read_schema(database)
    tables = [t for t in schema.tables if not t.is_view and t.rows]
    kept = {t.name: [c for c in t.columns if not c.json] for t in tables}
    joint = {table: names for table, columns in kept.items() if joint_names and (names := _joint_name(columns))}
    values = _read_values(database, kept, joint)
    links = tuple(_links(schema, kept, values))
    aliases = _aliases([t.name for t in tables])
    entities = {t.name: _entity(t, kept[t.name], values, links, aliases[t.name]) for t in tables}
    return World(Path(database), _naming(entities), links)


def _joint_name(columns: list[Column]) -> str:
    """The first and the last name of a person, joined, where there is one column for each and none for both."""
    first = [c.name for c in columns if _FIRST.fullmatch(spaced(c.name))]
    last = [c.name for c in columns if _LAST.fullmatch(spaced(c.name))]
    whole = any(spaced(c.name) in ("name", "full name") for c in columns)
    return JOINT.join(first + last) if len(first) == len(last) == 1 and not whole else ""


def _read_values(
    database: Path, kept: dict[str, list[Column]], joint: dict[str, str]
) -> dict[tuple[str, str], list[tuple]]:
    """Distinct values of each column, and of joint names, with their numbers of rows, the most frequent first."""
    places = [(table, column.name) for table, columns in kept.items() for column in columns] + list(joint.items())
    sqls = []
    for table, name in places:
        shown = f" || '{JOINT}' || ".join(map(sql_name, name.split(JOINT)))
        sqls.append(f"SELECT {shown}, COUNT(*) FROM {sql_name(table)} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_VALUES}")
    results = execute_many(database, sqls, Limits(rows=_VALUES, seconds=5))
    return {
        place: [r for r in result.rows if not isinstance(r[0], bytes)]
        for place, result in zip(places, results, strict=True)
    }


# --- links ------------------------------------------------------------------------------------------------------------


def _links(schema: Schema, kept: dict, values: dict) -> Iterator[Link]:
    """Declared keys of one column, then columns whose every value is a key of a table that their name speaks of."""
    declared = [
        (k.table, k.columns[0], k.other, k.other_columns[0])
        for k in schema.foreign_keys
        if len(k.columns) == 1 and k.other_columns and k.table in kept and k.other in kept
    ]
    declared = [d for d in declared if (d[0], d[1]) in values and (d[2], d[3]) in values]
    taken = {(d[0], d[1]) for d in declared}
    found = [d for d in _by_inclusion(schema, kept, values) if (d[0], d[1]) not in taken]
    everything = declared + found
    for table, column, other, other_column in everything:
        several = sum(d[0] == table and d[2] == other for d in everything) > 1
        role = re.sub(r" (id|key|code|no)$", "", spaced(column)) if several else ""
        yield Link(table, column, other, other_column, re.sub(rf" {re.escape(singular(spaced(other)))}$", "", role))


def _by_inclusion(schema: Schema, kept: dict, values: dict) -> Iterator[tuple[str, str, str, str]]:
    """Columns within a key that their name speaks of; without that, a `..._id` of enough values that lies within the
    keys of one table alone, in a database that declares no links.
    """
    keys = _keys(schema, kept, values)
    for (table, column), rows in values.items():
        present = {value for value, _ in rows if value is not None}
        within = [k for k in keys if k != (table, column) and present <= {v for v, _ in values[k]}]
        if len(present) < 2:
            continue
        spoken = []
        for other, key in within:
            related = column.casefold() == key.casefold() != "id" or _speaks_of(column, other)
            above = column != key and _ABOVE.fullmatch(spaced(column))
            spoken += [(other, key)] if (above if other == table else related) else []
        named = re.search(r" id$", spaced(column)) and (table, column) not in keys and not schema.foreign_keys
        alone = [k for k in within if k[0] != table] if not spoken and named and len(present) >= _DISTINCT else []
        for other, key in spoken or (alone if len(alone) == 1 else []):
            yield table, column, other, key


def _keys(schema: Schema, kept: dict, values: dict) -> list[tuple[str, str]]:
    """Each table's declared key of one column; where there is none, nor a link declared, the first column called a key
    or a code whose values are all there and all different.
    """
    found = []
    for table in (t for t in schema.tables if t.name in kept):
        names = [table.primary_key[0]] if len(table.primary_key) == 1 else []
        if not table.primary_key and not schema.foreign_keys:
            called = [c.name for c in kept[table.name] if _KEY.search(spaced(c.name))]
            names = [n for n in called if all(v is not None and times == 1 for v, times in values[table.name, n])][:1]
        found += [(table.name, name) for name in names if (table.name, name) in values]
    return found


def _speaks_of(column: str, table: str) -> bool:
    """`customer_id`, `cust_no`, `deptKey`: a word for a key behind the table's name or its letters in their order."""
    found = re.fullmatch(r"(?:.* )?(\w+) (id|key|code|no)", spaced(column))
    stem, word = singular(spaced(table)).split()[-1], found[1] if found else ""
    letters = iter(stem)
    return len(word) > 2 and word[0] == stem[0] and all(letter in letters for letter in word)


# --- entities ---------------------------------------------------------------------------------------------------------


def _aliases(tables: list[str]) -> dict[str, str]:
    """A short alias for each table: its first letter, else its initials, else more of its letters."""
    taken: dict[str, str] = {}
    for table in tables:
        words = spaced(table).split()
        letters = "".join(words)
        tries = [
            letters[:1],
            "".join(w[0] for w in words),
            *(letters[:n] for n in range(2, len(letters) + 1)),
            f"t{len(taken)}",
        ]
        usable = [t for t in tries if t.isidentifier() and t.isascii() and sql_name(t) == t and t not in taken.values()]
        taken[table] = usable[0] if usable else f"t{len(taken)}"
    return taken


def _entity(table: Table, columns: list[Column], values: dict, links: tuple[Link, ...], alias: str) -> Entity:
    linked = {link.column for link in links if link.table == table.name}
    fields = [_field(table, column, values[table.name, column.name], column.name in linked) for column in columns]
    label = next(
        (_whole_name(table, name, rows) for (t, name), rows in values.items() if t == table.name and JOINT in name),
        None,
    )
    if label:
        parts = label.name.split(JOINT)
        fields = [label, *(f for f in fields if f.name not in parts)]
    label = label or _label(fields, table)
    fields = [Field(**{**_own(f), "kind": "label"}) if f is label else f for f in fields]
    label = next((f for f in fields if f.kind == "label"), None)
    noun = singular(spaced(table.name))
    person = noun.split()[-1] in _PERSONS or bool(label and JOINT in label.name) or _names_persons(label)
    key = next((f for f in fields if f.kind == "id"), None)
    return Entity(table.name, alias, noun, tuple(fields), label, key, person, table.rows or 0)


def _whole_name(table: Table, name: str, counted: list[tuple]) -> Field:
    present = tuple((value, n) for value, n in counted if value is not None)
    unique = bool(present) and all(n == 1 for _, n in present) and len(counted) < _VALUES
    missing = (None,) if len(present) < len(counted) else ()
    return Field(table.name, name, "label", TEXT, present, missing, unique, sum(n for _, n in counted))


def _own(f: Field) -> dict:
    return {name: getattr(f, name) for name in f.__dataclass_fields__}


def _field(table: Table, column: Column, counted: list[tuple], linked: bool) -> Field:
    """The column's field; words among numbers ('undrafted', 'NA') count as missing when something is compared."""
    rows = sum(n for _, n in counted)
    missing = [v for v, _ in counted if v is None or (isinstance(v, str) and v.strip().casefold() in PLACEHOLDERS)]
    if any(isinstance(v, (int, float)) for v, _ in counted):
        words = [v for v, _ in counted if isinstance(v, str) and v not in missing]
        missing += words if len(words) <= 3 else []
    present = tuple((v, n) for v, n in counted if v not in missing)
    how = recognise([v for v, _ in present])
    unique = bool(present) and all(n == 1 for _, n in present) and len(counted) < _VALUES
    kind = _kind(table, column, present, how, linked, unique)
    if kind in ("id", "link", "text", "category", "flag"):
        how = TEXT
    elif kind == "number" and not how.unit and (unit := unit_of(spaced(column.name))):
        how = replace(how, unit=unit)
    return Field(table.name, column.name, kind, how, present, tuple(missing), unique, rows)


def _kind(table: Table, column: Column, present: tuple, how: Format, linked: bool, unique: bool) -> str:
    words, plain = spaced(column.name), [v for v, _ in present]
    if linked:
        return "link"
    if table.primary_key == (column.name,) or (unique and re.search(r"\b(id|uuid|key)$", words)):
        return "id"
    if re.search(r"\b(id|uuid|zip|phone|postcode|barcode|isbn|chip)\b", words) and how.kind != "date":
        return "text"
    if set(plain) in map(set, _FLAGS) or (set(plain) == {0, 1} and re.match(r"(is|has) ", words)):
        return "flag"
    if how.kind in ("date", "month"):
        return "date"
    if how.kind == "number":
        years = plain and all(isinstance(v, int) and 1700 <= v <= 2150 for v in plain)
        named = re.search(r"year|season|since|ed$|ends?$|until|from", words)
        if years and (named or len(plain) > 5):
            return (
                "period"
                if len(plain) <= 12
                and re.search(r"year|season", words)
                and len(present) * 8 <= sum(n for _, n in present)
                and column.name
                in table.primary_key
                + tuple(
                    c.name
                    for c in table.columns
                    if re.fullmatch(r"season|year|fiscal_?year|calendar_?year", c.name, re.I)
                )
                else "year"
            )
        return "number"
    total = sum(n for _, n in present)
    return "category" if len(plain) <= 80 and len(plain) * 3 <= total else "text"


def _label(fields: list[Field], table: Table) -> Field | None:
    """The column that people call a row by: a unique text with a naming name, else any unique one, else a name."""
    texts = [f for f in fields if f.kind in ("text", "category") and f.values and isinstance(f.values[0][0], str)]

    def rank(f: Field) -> tuple:
        naming = next((i for i, name in enumerate(_NAMING) if f.words == name or f.words.endswith(" " + name)), 99)
        return (not (f.unique and not f.missing), naming)

    named = [f for f in texts if any(f.words == n or f.words.endswith(" " + n) for n in _NAMING)]
    unique = [f for f in texts if f.unique and not f.missing and not any(ch.isdigit() for ch in str(f.values[0][0]))]
    declared = [f for f in unique if (f.name,) in table.unique]
    codes = [f for f in texts if f.unique and not f.missing and (f.name,) in table.unique]
    for group in ([f for f in named if f.unique], declared, named, codes):
        if group:
            return min(group, key=rank)
    return None


def _names_persons(label: Field | None) -> bool:
    """Whether a column called "name" holds a first and a last name nearly everywhere, of many first names."""
    if not label or not label.words.endswith("name") or len(label.values) < 30:
        return False
    texts = [str(v) for v, _ in label.values]
    two = [t for t in texts if re.fullmatch(r"[A-Z][\w'.-]+( [A-Z]\.)?( [A-Z][\w'.-]+){1,2}", t)]
    lasts = {t.split()[-1] for t in two}
    return (
        len(two) > 0.9 * len(texts) and len(lasts) * 3 > len(two) and len({t.split()[0] for t in two}) < 0.8 * len(two)
    )


def _naming(entities: dict[str, Entity]) -> dict[str, Entity]:
    """Texts whose every value is another table's label are marked as naming its rows."""
    labels = {e.table: {v for v, _ in e.label.values} for e in entities.values() if e.label and e.label.unique}

    def marked(f: Field) -> Field:
        present = {v for v, _ in f.values}
        fitting = [
            t
            for t, names in labels.items()
            if t != f.table and f.kind in ("category", "text") and len(present) > 2 and present <= names
        ]
        return Field(**{**_own(f), "names": fitting[0]}) if fitting else f

    return {t: Entity(**{**vars(e), "fields": tuple(map(marked, e.fields))}) for t, e in entities.items()}
