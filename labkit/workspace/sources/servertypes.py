"""What becomes of a server's column in SQLite: its type there, what the server is asked for, what changes.

Values of other types than numbers, text and bytes are turned into text by the server, which knows how it writes them.
"""

from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import Text, cast, func, types
from sqlalchemy.dialects import mysql, postgresql


@dataclass(frozen=True)
class Carriage:
    """One column on its way: `selected` goes into the SELECT list; `note` says what changes, "" when nothing does."""

    stored: str
    selected: sqlalchemy.ColumnElement
    declared: str
    note: str = ""


def carried(column: sqlalchemy.ColumnClause, kind: str) -> Carriage:
    """How a column of a server (`kind`: postgresql or mysql) is carried over."""
    type_ = column.type.data_type if isinstance(column.type, postgresql.DOMAIN) else column.type
    declared = _spelled(type_)
    text = cast(column, Text)
    match type_:
        case types.Boolean():
            return Carriage("INTEGER", column, declared, "as 1 and 0")
        case types.Integer() | mysql.YEAR():
            return Carriage("INTEGER", column, declared)
        case mysql.BIT():
            return Carriage("INTEGER", column, declared, "as a whole number")
        case types.Float() | types.Double():
            return Carriage("REAL", column, declared)
        case types.Numeric():
            whole = type_.scale == 0 and type_.precision
            return Carriage(
                *("INTEGER", column, declared) if whole else ("REAL", column, declared, "as a binary number")
            )
        case types.LargeBinary() | types.BINARY() | types.VARBINARY():
            return Carriage("BLOB", column, declared)
        case mysql.TINYBLOB() | mysql.MEDIUMBLOB() | mysql.LONGBLOB() | postgresql.BYTEA():
            return Carriage("BLOB", column, declared)
        case types.Enum() | mysql.SET():
            return Carriage("TEXT", text, declared, "as text; which values are allowed is not carried over")
        case types.CHAR():
            return Carriage("TEXT", text, declared)  # PostgreSQL pads it, and takes the spaces off in this cast
        case types.String():
            return Carriage("TEXT", column, declared)
        case mysql.TIMESTAMP():
            return Carriage("TEXT", text, declared, "as text, in UTC")
        case types.DateTime() if type_.timezone and kind == "postgresql":
            utc = cast(func.timezone("UTC", column), Text)
            return Carriage("TEXT", utc, declared, "as text, in UTC, without its time zone")
        case types.Date() | types.DateTime() | types.Time() | types.Uuid():
            return Carriage("TEXT", text, declared)
        case types.NullType() if kind == "mysql":
            return Carriage("TEXT", func.ST_AsText(column), "a geometry", "as its text")
    return Carriage("TEXT", text, declared, "as its text")


def _spelled(type_: types.TypeEngine) -> str:
    try:
        return str(type_)
    except Exception:  # some types can only be spelled with a dialect at hand
        return type(type_).__name__
