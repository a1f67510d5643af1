"""Addresses of database servers: read, and shown without the password, which no sentence of the kit may hold."""

import os
import re
from urllib.parse import quote, quote_plus

from labkit.errors import LabkitError

_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
_FORM = "Write postgresql://USER:PASSWORD@HOST/DATABASE or mysql://USER:PASSWORD@HOST/DATABASE"
_SECRET = re.compile(r"pass|secret|token|key", re.IGNORECASE)


def looks_like_one(text: str) -> bool:
    """`scheme:/...`; a drive letter is no scheme."""
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text))


def parse(address: str):
    """The address as SQLAlchemy has it, with the kit's driver. `LabkitError` where it is none; that never quotes it."""
    try:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError:
        raise LabkitError(
            "Servers are read with SQLAlchemy, which is not installed. pip install 'labkit[sources]'."
        ) from None
    scheme = re.match(r"[A-Za-z0-9]*", address)[0].lower()
    if scheme not in _DRIVERS:
        raise LabkitError(
            f"{scheme}: is no source that labkit reads. {_FORM}; other databases export CSV or Parquet files, "
            "and a folder of those is a source too."
        )
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise LabkitError(f"The address of the {scheme} server cannot be read. {_FORM}.") from None
    if any("@" in (part or "") for part in (url.host, url.database)):
        raise LabkitError(f"The address has more than one @. {_FORM}, an @ within the password as %40.")
    url = url.set(drivername=_DRIVERS[scheme])
    if url.get_backend_name() == "mysql" and url.password is None and "MYSQL_PWD" in os.environ:
        url = url.set(password=os.environ["MYSQL_PWD"])  # PostgreSQL's driver itself reads PGPASSWORD and ~/.pgpass
    return url


def shown(url) -> str:
    """The address for people: no password, no driver, no options."""
    user = f"{url.username}@" if url.username else ""
    port = f":{url.port}" if url.port else ""
    return f"{url.get_backend_name()}://{user}{url.host or ''}{port}/{url.database or ''}"


def without_passwords(text: str, url) -> str:
    """What a driver said, with every secret of the address, however it is spelled, as ***."""
    secrets = [str(url.password)] if url.password else []
    for name, value in url.query.items():
        if _SECRET.search(name):
            secrets += [value] if isinstance(value, str) else list(value)
    spelled = {form for s in secrets if s for form in (s, quote(s), quote(s, safe=""), quote_plus(s), repr(s)[1:-1])}
    for form in sorted(spelled, key=len, reverse=True):
        text = text.replace(form, "***")
    return text
