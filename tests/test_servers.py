"""Real PostgreSQL and MySQL (MariaDB) servers, started in a folder of their own: `make test-sources`."""

import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labkit.errors import LabkitError
from labkit.workspace.sources import convert, tables

# ruff: noqa: E501
pytestmark = pytest.mark.servers
SECRET = "s3cr:t/pass w"
WRITTEN = "s3cr%3At%2Fpass%20w"
POSTGRES = """
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE customers (id serial PRIMARY KEY, "Name" text NOT NULL, name text, code char(6) UNIQUE, born date,
  seen timestamptz, gone timestamp, money numeric(10,2), big numeric(40,5), whole numeric(12,0), ok boolean, tags text[],
  data jsonb, pause interval, key uuid, raw bytea, how mood, n positive, f double precision, at time,
  twice integer GENERATED ALWAYS AS (id * 2) STORED, CHECK (money > 0));
CREATE TABLE orders (no integer, line integer, customer integer NOT NULL REFERENCES customers, PRIMARY KEY (no, line));
CREATE TABLE parcels (id integer PRIMARY KEY, no integer, line integer, FOREIGN KEY (no, line) REFERENCES orders);
CREATE TABLE events (at date, what text) PARTITION BY RANGE (at);
CREATE TABLE events_2023 PARTITION OF events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE INDEX by_born ON customers (born);
CREATE VIEW rich AS SELECT * FROM customers WHERE money > 5;
CREATE MATERIALIZED VIEW stored AS SELECT 1 AS one;
CREATE SCHEMA other; CREATE TABLE other.things (id integer PRIMARY KEY); INSERT INTO other.things VALUES (7);
CREATE TABLE uses (id integer PRIMARY KEY, thing integer REFERENCES other.things);
INSERT INTO customers VALUES (1, 'Ann', 'x', 'AB', '2001-02-03', '2024-01-05 10:00:00+02', '2024-01-05 10:00:00.5', 12.50,
  1234567890123456789012.5, 123456789012, true, '{a,"b c"}', '{"a": [1]}', '3 months', '{00000000-0000-0000-0000-000000000001}',
  '\\xaa00', 'sad', 3, 'NaN', '10:11:12');
INSERT INTO customers (id, "Name", born, gone) VALUES (2, 'Bo', '0044-03-15 BC', 'infinity');
INSERT INTO orders VALUES (1, 1, 1), (1, 2, 2); INSERT INTO parcels VALUES (5, 1, 2), (6, NULL, NULL);
INSERT INTO events VALUES ('2023-05-01', 'opened'); INSERT INTO uses VALUES (1, 7);
CREATE TABLE many AS SELECT i, md5(i::text) AS x FROM generate_series(1, 300000) AS i;
CREATE TABLE private (id integer PRIMARY KEY, secret text);
"""
MARIADB = """
CREATE TABLE customers (id int PRIMARY KEY, name varchar(40) NOT NULL, code varchar(6) UNIQUE, born date,
  seen timestamp NULL, gone datetime(3), money decimal(10,2), big bigint unsigned, flag tinyint(1), bits bit(4), y year,
  kind enum('a','b'), kinds set('x','y'), data json, raw varbinary(10), pic blob, place point, lasted time, f float,
  twice int GENERATED ALWAYS AS (id * 2) STORED, CONSTRAINT paid CHECK (money > 0), KEY by_born (born)) ENGINE=InnoDB;
CREATE TABLE orders (no int, line int, customer int NOT NULL, PRIMARY KEY (no, line),
  FOREIGN KEY (customer) REFERENCES customers (id)) ENGINE=InnoDB;
CREATE VIEW rich AS SELECT * FROM customers WHERE money > 5;
SET time_zone = '+02:00';
INSERT INTO customers (id, name, code, born, seen, gone, money, big, flag, bits, y, kind, kinds, data, raw, pic, place, lasted, f)
  VALUES (1, 'Ann', 'AB', '2001-02-03', '2024-01-05 10:00:00', '2024-01-05 10:00:00.5', 12.50, 18446744073709551615, 1,
  b'1010', 2024, 'b', 'x,y', '{"a": [1]}', x'aa00', x'ff', ST_GeomFromText('POINT(1 2)'), '100:11:12', 1.5);
SET sql_mode = '';
INSERT INTO customers (id, name, born) VALUES (2, 'Größe ✓', '0000-00-00');
INSERT INTO orders VALUES (1, 1, 1), (1, 2, 2);
SET foreign_key_checks = 0; INSERT INTO orders VALUES (2, 1, 99);
CREATE TABLE many AS SELECT seq AS i, md5(seq) AS x FROM seq_1_to_300000;
"""


def program(name: str, *folders: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", *folders]))
    if not found:
        pytest.skip(f"{name} is not installed: apt-get install postgresql mariadb-server")
    return found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def started(prepare: list[str], serve: list[str], folder: Path, port: int) -> Iterator[None]:
    """A server in `folder`, as an ordinary user (neither runs as root), until the block ends."""
    user = {"user": "nobody"} if os.geteuid() == 0 else {}
    if user:
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
    subprocess.run(prepare, cwd=folder, check=True, capture_output=True, **user)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(serve, cwd=folder, stdout=log, stderr=log, **user)
    try:
        for _ in range(300):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGINT if "postgres" in serve[0] else signal.SIGTERM)
        process.wait(60)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    homes = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    initdb, serve, psql = program("initdb", *homes), program("postgres", *homes), program("psql", *homes)
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare = [initdb, "-D", f"{name}/data", "-U", "boss", "-A", "trust", "-E", "UTF8", "--no-sync"]
        with started(prepare, [serve, "-D", f"{name}/data", "-p", str(port), "-k", name, "-F"], folder, port):
            admin = [psql, "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(port), "-U", "boss"]
            script = f"SET TIME ZONE 'Asia/Tokyo'; {POSTGRES} CREATE ROLE reader LOGIN PASSWORD '{SECRET}';" + (
                "GRANT SELECT ON ALL TABLES IN SCHEMA public, other TO reader; GRANT USAGE ON SCHEMA other TO reader;"
                "REVOKE SELECT ON private FROM reader;"
            )
            for _ in range(50):  # it listens before it answers
                if subprocess.run([*admin, "-c", "SELECT 1", "postgres"], capture_output=True).returncode == 0:
                    break
                time.sleep(0.2)
            subprocess.run([*admin, "postgres"], input=script, text=True, check=True, capture_output=True)
            hba = folder / "data" / "pg_hba.conf"
            hba.write_text("host all boss 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
            subprocess.run([*admin, "-c", "SELECT pg_reload_conf()", "postgres"], check=True, capture_output=True)
            time.sleep(0.5)
            yield f"postgresql://reader:{WRITTEN}@127.0.0.1:{port}/postgres"


@pytest.fixture(scope="module")
def mariadb() -> Iterator[str]:
    serve, install = program("mariadbd"), program("mariadb-install-db")
    client = program("mariadb")
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        own = ["--no-defaults", f"--datadir={name}/data"]
        prepare = [install, *own, "--auth-root-authentication-method=normal"]
        run = [
            serve,
            *own,
            f"--socket={name}/s",
            f"--pid-file={name}/pid",
            f"--port={port}",
            "--skip-name-resolve",
        ]
        with started(prepare, run, Path(name), port):
            admin = [client, "--no-defaults", f"--socket={name}/s", "-uroot", "--default-character-set=utf8mb4"]
            script = f"CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop; {MARIADB}"
            script += (
                f"CREATE USER reader@'%' IDENTIFIED BY '{SECRET}'; GRANT SELECT, SHOW VIEW ON shop.* TO reader@'%';"
            )
            done = subprocess.run(admin, input=script, text=True, capture_output=True)
            assert done.returncode == 0, done.stderr
            yield f"mysql://reader:{WRITTEN}@127.0.0.1:{port}/shop"


def rows(path: Path, sql: str) -> list[tuple]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


def test_postgresql(postgres, tmp_path):
    out = tmp_path / "out.sqlite"
    made = convert(postgres, out, exclude=["private"], progress=False)
    assert {t.table: t.rows for t in made.tables} == {
        "customers": 2, "orders": 2, "parcels": 2, "events": 1, "uses": 1, "many": 300_000,
    }  # fmt: skip
    ann = rows(out, "SELECT * FROM customers WHERE id = 1")[0]
    assert ann == (
        1, "Ann", "x", "AB", "2001-02-03", "2024-01-05 08:00:00", "2024-01-05 10:00:00.5", 12.5, 1234567890123456789012.5,
        123456789012, 1, '{a,"b c"}', '{"a": [1]}', "3 mons", "00000000-0000-0000-0000-000000000001", b"\xaa\0", "sad", 3,
        None, "10:11:12", 2,
    )  # fmt: skip
    assert rows(out, "SELECT born, gone FROM customers WHERE id = 2") == [("0044-03-15 BC", "infinity")]
    assert [c[1] for c in rows(out, "PRAGMA table_info(customers)")][1:3] == ["Name", "name_2"]
    assert [c[1] for c in rows(out, "PRAGMA table_info(orders)") if c[5]] == ["no", "line"]
    assert {(k[2], k[3], k[4]) for k in rows(out, "PRAGMA foreign_key_list(parcels)")} == {
        ("orders", "no", "no"), ("orders", "line", "line"),
    }  # fmt: skip
    assert rows(out, "SELECT SUM(i), COUNT(DISTINCT x) FROM many") == [(45_000_150_000, 300_000)]
    told = {(n.kind, n.table, n.column) for n in made.notes}
    assert told >= {
        ("view", "rich", ""), ("view", "stored", ""), ("index", "customers", ""), ("check", "customers", ""),
        ("generated", "customers", "twice"), ("type", "customers", "seen"), ("type", "customers", "tags"),
        ("type", "customers", "data"), ("type", "customers", "money"), ("value", "customers", "f"),
        ("value", "customers", "big"), ("reference", "uses", "thing"), ("name", "customers", "name"), ("schema", "", ""),
    }  # fmt: skip
    assert not any(n.column in ("born", "id", "whole", "code") for n in made.notes)


def test_another_schema(postgres, tmp_path):
    convert(postgres, tmp_path / "o.sqlite", schema="other", progress=False)
    assert rows(tmp_path / "o.sqlite", "SELECT * FROM things") == [(7,)]


def test_mysql(mariadb, tmp_path):
    out = tmp_path / "out.sqlite"
    made = convert(mariadb, out, progress=False)
    assert {t.table: t.rows for t in made.tables} == {"customers": 2, "orders": 3, "many": 300_000}
    ann = rows(out, "SELECT * FROM customers WHERE id = 1")[0]
    assert ann == (
        1, "Ann", "AB", "2001-02-03", "2024-01-05 08:00:00", "2024-01-05 10:00:00.500", 12.5, 18446744073709551615.0, 1, 10,
        2024, "b", "x,y", '{"a": [1]}', b"\xaa\0", b"\xff", "POINT(1 2)", "100:11:12", 1.5, 2,
    )  # fmt: skip
    assert rows(out, "SELECT name, born FROM customers WHERE id = 2") == [("Größe ✓", "0000-00-00")]
    assert [k[2:5] for k in rows(out, "PRAGMA foreign_key_list(orders)")] == [("customers", "customer", "id")]
    told = {(n.kind, n.table, n.column) for n in made.notes}
    assert told >= {
        ("view", "rich", ""), ("index", "customers", ""), ("check", "customers", ""), ("reference", "orders", ""),
        ("generated", "customers", "twice"), ("type", "customers", "seen"), ("value", "customers", "big"),
        ("text", "", ""),
    }  # fmt: skip


CLOSED = {"postgres": ["private"], "mariadb": []}  # tables that the reader may not read


@pytest.mark.parametrize("which", ["postgres", "mariadb"])
def test_a_password_is_nowhere(which, request, tmp_path):
    address = request.getfixturevalue(which)
    code = "from labkit.cli import main; main()"
    run = [sys.executable, "-c", code, "convert"]
    good = subprocess.run(
        [*run, address, "--out", "o.sqlite", *(f"--exclude={name}" for name in CLOSED[which])],
        cwd=tmp_path,
        capture_output=True,
    )
    assert good.returncode == 0, good.stderr
    wrong = address.replace("s3cr", "s3crX")
    bad = subprocess.run([*run, wrong, "--out", "p.sqlite", "--json"], cwd=tmp_path, capture_output=True)
    assert bad.returncode == 2 and b"cannot be reached" in bad.stderr and not (tmp_path / "p.sqlite").exists()
    said = good.stdout + good.stderr + bad.stdout + bad.stderr
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"s3cr" not in said + written and b"reader@127.0.0.1" in said


def test_a_table_that_may_not_be_read(postgres, tmp_path):
    with pytest.raises(LabkitError, match="permission denied for table private"):
        convert(postgres, tmp_path / "o.sqlite", progress=False)
    assert [p for p in tmp_path.iterdir() if "labkit-home" not in p.name] == []


@pytest.mark.parametrize("which", ["postgres", "mariadb"])
def test_interrupted_nothing_is_left_and_nobody_waits(which, request, tmp_path, monkeypatch):
    address = request.getfixturevalue(which)
    store, seen = tables._Narrowed.store, []

    def interrupt(self, value, column):
        seen.append(value)
        if len(seen) == 1000:
            signal.raise_signal(signal.SIGINT)
        return store(self, value, column)

    monkeypatch.setattr(tables._Narrowed, "store", interrupt)
    with pytest.raises(KeyboardInterrupt):
        convert(address, tmp_path / "o.sqlite", exclude=CLOSED[which], progress=False)
    assert [p for p in tmp_path.iterdir() if "labkit-home" not in p.name] == [] and len(seen) < 2_000
