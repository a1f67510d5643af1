"""How the numbers of `reranking` were chosen: every candidate of every question weighed once, then all settings tried.

    python benchmarks/rank_grid.py --adapter DIR --encoder DIR --candidates PAIRS.jsonl DEV.jsonl REWORDED.jsonl

`reworded.jsonl`: 40 questions of `trained.jsonl`, worded anew by hand, to steer by; the 200 of `paraphrase.jsonl` are
never asked here. What was weighed is kept beside each set's name in the kit's home, so that a call goes on.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

import labkit
from labkit.candidates import Candidates
from labkit.channel import Channel
from labkit.datagen import aimed_at
from labkit.dataset import QuestionSet
from labkit.encoder import load_encoder
from labkit.home import home
from labkit.likelihood import log_probabilities
from labkit.linking import lacking
from labkit.reranking import LACKS, NEAR, TRUST, tells
from labkit.scoring import Pair, score_many
from labkit.sqltext import normalise_sql

DATA = Path(__file__).parent.parent / "datasets"
LEAGUE = DATA / "league" / "league.sqlite"
WEIGHTS, OWNS, TRUSTS = (10, 20, 30, 40, 50, 60, 70), (0.5, 0.6, 0.65, 0.7), (0, 4, 8, 10, 12, 15, 20)
EXPLAINS = (0, 0.3, 0.5, 0.7, 1.0, 1.4, 1.8)


def weigh(question, model, pool: Candidates, known: set[str], k: int) -> list[dict]:
    """The candidates and, last, the model's own answer: cosine, log probability, does it tell anything, is it right."""
    generator = labkit.SqlGenerator(model, max_new_tokens=300)
    (conversation,) = generator.conversations([replace(question, database=str(LEAGUE))])
    found = [(c.sql, c.similarity) for c in pool(question.question, k)] + [(generator.answer([conversation])[0], None)]
    mentions = pool.values.mentions(question.question)
    queries = [sql for sql, _ in found]
    scores = score_many([Pair(question, sql, LEAGUE) for sql in queries])
    likely = log_probabilities(model, conversation, queries)
    texts = [normalise_sql(sql) for sql in queries]
    return [
        {"sql": text, "cosine": cosine, "log_p": value, "tells": tells(LEAGUE, sql), "right": score.verdict == "right",
         "known": text in known, "lacks": lacking(mentions, text)}
        for (sql, cosine), text, value, score in zip(found, texts, likely, scores, strict=True)
    ]  # fmt: skip


def right(rows: list[dict], weight: float, own: float, trust: float, explains: float = 0.0) -> bool:
    """Is the query that these settings take the right one?"""
    cosines = {row["sql"]: row["cosine"] for row in rows[:-1]}

    def score(row: dict) -> float:
        cosine = row["cosine"] if row["cosine"] is not None else max(own, cosines.get(row["sql"], -1.0))
        near = cosines.get(row["sql"], -1.0) >= NEAR
        channel = explains * row["explains"] if explains else 0.0
        return row["log_p"] + weight * cosine + trust * (near and row["known"]) + channel - LACKS * row["lacks"]

    return max([row for row in rows if row["tells"]] or rows, key=score)["right"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--adapter", type=Path, required=True)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--candidates", type=Path, required=True)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--aimed", action="store_true", help="draw pairs for each question beside the candidates")
    parser.add_argument("--channel", type=Path, help="folder of one that says how well each explains the question")
    options = parser.parse_args()
    torch.set_num_threads(1)
    checked = labkit.load_questions(DATA / "league" / "trained.jsonl", db_dir=DATA)
    pairs = (*labkit.load_questions(options.candidates, db_dir=DATA), *checked)
    encoder, draw = load_encoder(folder=options.encoder), aimed_at(LEAGUE) if options.aimed else None
    pool = Candidates(QuestionSet("candidates", pairs, db_dir=DATA), LEAGUE, encoder, draw=draw)
    channel = Channel(options.channel) if options.channel else None
    model, known = labkit.load_model(adapter=options.adapter), {normalise_sql(pair.sql) for pair in checked}
    for path in options.sets:
        kept = home() / "climb" / f"told-{path.stem}-{options.adapter.name}-{options.k}{'-aimed' * options.aimed}.json"
        weighed = json.loads(kept.read_text()) if kept.is_file() else {}
        said = kept.with_name(f"{kept.stem}-{options.channel.name}.json") if options.channel else None
        says = json.loads(said.read_text()) if said and said.is_file() else {}
        for question in labkit.load_questions(path, db_dir=DATA):
            if question.id not in weighed:
                weighed[question.id] = weigh(question, model, pool, known, options.k)
                kept.write_text(json.dumps(weighed))
            rows = weighed[question.id]
            if channel and len(says.get(question.id, ())) != len(rows):
                says[question.id] = channel(question.question, [row["sql"] for row in rows])
                said.write_text(json.dumps(says))
            for row, value in zip(rows, says.get(question.id, ()), strict=bool(channel)):
                row["explains"] = value
        anyone = sum(any(row["right"] for row in rows) for rows in weighed.values())
        print(f"{path.stem}: {len(weighed)} questions, a right candidate for {anyone}")
        if channel:
            print(f"right by what the channel's nats count {EXPLAINS}")
        else:
            print(f"right by trust in known queries {TRUSTS}")
        for weight in WEIGHTS:
            for own in OWNS:
                tried = [(TRUST, each) for each in EXPLAINS] if channel else [(trust, 0.0) for trust in TRUSTS]
                counts = [sum(right(rows, weight, own, *each) for rows in weighed.values()) for each in tried]
                print(f"  weight {weight:2}, own {own}: {counts}", flush=True)


if __name__ == "__main__":
    main()
