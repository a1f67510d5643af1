"""Speed of safe execution on this machine, as one JSON line: `python benchmarks/bench_execution.py`.

many: simple queries a second through `execute_many`. one_by_one: through `execute`. start: milliseconds until a fresh
child answers, the price of a query that had to be killed. overrun: seconds by which a one-opcode bomb overruns.
"""

import json
import os
import tempfile
import time
from pathlib import Path

import apsw

from labkit.execution import Limits, execute, execute_many
from labkit.pool import SANDBOXES

QUERIES = 6_000
BOMB = "SELECT instr(zeroblob(9000000) || 'a', zeroblob(4000000) || 'b')"


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.sqlite"
        connection = apsw.Connection(str(path))
        for table in range(4):
            connection.execute(
                f"CREATE TABLE t{table} (id INTEGER PRIMARY KEY, name TEXT, height INTEGER, salary TEXT)"
            )
        connection.execute(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 500)"
            " INSERT INTO t0 SELECT n, 'name ' || n, 150 + n % 70, '$' || n FROM c"
        )
        connection.close()
        sqls = [f"SELECT name, height FROM t0 WHERE id = {1 + i % 500}" for i in range(QUERIES)]
        execute_many(path, sqls[:200])
        many = QUERIES / min(seconds(lambda: execute_many(path, sqls)) for _ in range(3))
        one_by_one = 1_000 / seconds(lambda: [execute(path, sql) for sql in sqls[:1_000]])
        overrun = seconds(lambda: execute(path, BOMB, Limits(seconds=0.5))) - 0.5
        SANDBOXES.close()
        start = 1_000 * seconds(lambda: execute(path, "SELECT 1"))
    figures = {
        "many": round(many),
        "one_by_one": round(one_by_one),
        "start": round(start, 1),
        "overrun": round(overrun, 2),
    }
    print(json.dumps({"bench": "execution", "cores": os.cpu_count(), "children": SANDBOXES.size} | figures))


if __name__ == "__main__":
    main()
