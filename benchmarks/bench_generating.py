"""Generation: seconds for 5,000 verified pairs of the league from its file alone, and how they are spread.

    python benchmarks/bench_generating.py [--n 5000] [--seed 0]

At the end, off the clock, each query is run anew: `verified` counts the pairs whose query gives something. Skeletons
are queries with their literals masked; `wordings` is the fewest that a query has.
"""

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

from labkit.datagen import generate
from labkit.datagen.filters import result_fault
from labkit.execution import execute_many
from labkit.sqltext import normalise_question, normalise_sql, skeleton

LEAGUE = Path(__file__).parent.parent / "datasets" / "league" / "league.sqlite"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--n", type=int, default=5000)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LABKIT_HOME"] = folder  # so that nothing is found that was made before
        print(json.dumps(measured(given.n, given.seed)))


def measured(n: int, seed: int) -> dict:
    """The figures of one generation."""
    cpu, wall = time.process_time(), time.perf_counter()
    made = generate(LEAGUE, n, seed, progress=False)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    queries = sorted({pair.sql for pair in made})
    sound = {sql for sql, r in zip(queries, execute_many(LEAGUE, queries), strict=True) if not result_fault(r)}
    skeletons = Counter(skeleton(pair.sql) for pair in made)
    return {
        "cpu_seconds": round(cpu, 1),
        "seconds": round(wall, 1),
        "pairs": len(made),
        "distinct": len({(normalise_question(pair.question), normalise_sql(pair.sql)) for pair in made}),
        "verified": sum(pair.sql in sound for pair in made),
        "skeletons": len(skeletons),
        "largest_share": round(max(skeletons.values()) / len(made), 4),
        "wordings": min(Counter(normalise_sql(pair.sql) for pair in made).values()),
        "seed": seed,
    }


if __name__ == "__main__":
    main()
