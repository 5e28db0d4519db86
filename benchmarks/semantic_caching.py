"""Wrong hits of a semantic cache by threshold of similarity, and wrong answers that a comparison finds.

    python benchmarks/semantic_caching.py PAIRS [ANSWERS] [--pairs 6000]

PAIRS is a Parquet file of labelled pairs of questions (text_a, text_b, duplicate), ANSWERS one of labelled
answers (query, answer, hallucinated, refused): two answers to a question of which one is wrong ought to
differ. A pair is a hit where the packaged model finds it similar, or where a cache of repeats does.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from aiops_pipelines.costs.semantic_caching import BETWEEN, alike
from aiops_pipelines.monitoring.intervals import share_interval
from aiops_pipelines.resources.embedder import embedder

THRESHOLDS = (0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99)
PAIRS_OF_A_QUESTION = 4


def share(hits: int, of: int) -> str:
    low, high = share_interval(hits, of)
    return (
        f"{hits} of {of}: {100 * hits / max(of, 1):.1f} % ({100 * float(low):.1f} to {100 * float(high):.1f})"
    )


def words(texts: pl.Series) -> pl.Series:
    return texts.str.to_lowercase().str.replace_all(BETWEEN, " ").str.strip_chars()


def wrong_hits(pairs: pl.DataFrame, drawn: int) -> None:
    """Print how many pairs are hits and how many of those are no duplicates, the same and by threshold."""
    same = words(pairs["text_a"]) == words(pairs["text_b"])
    print(
        "same words, of all pairs:", share(int((same & ~pairs["duplicate"]).sum()), int(same.sum())), "wrong"
    )
    some = pairs.sample(min(drawn, pairs.height), seed=1, shuffle=True)
    texts = pl.concat([some["text_a"], some["text_b"]]).unique(maintain_order=True)
    vectors = np.stack(list(embedder().embed(texts.to_list())))
    place = {text: row for row, text in enumerate(texts)}
    one, other = (vectors[[place[text] for text in some[name]]] for name in ("text_a", "text_b"))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    similarity, different = (one * other).sum(axis=1) / norms, ~some["duplicate"].to_numpy()
    for threshold in THRESHOLDS:
        hit = similarity >= threshold
        wrong = share(int((hit & different).sum()), int(hit.sum()))
        print(f"similarity {threshold:.2f}: {100 * hit.mean():.1f} % are hits, {wrong} wrong")


def differing(answers: pl.DataFrame) -> None:
    """Print how often two answers to a question are told apart, by whether one of them is wrong."""
    given = answers.filter(~pl.col("refused").fill_null(False)).drop_nulls("hallucinated")
    found = {"both right": [0, 0], "one of them wrong": [0, 0]}
    for _, rows in given.group_by(["query"], maintain_order=True):
        for first, second in list(combinations(rows.iter_rows(named=True), 2))[:PAIRS_OF_A_QUESTION]:
            wrong = first["hallucinated"] + second["hallucinated"]
            if wrong < 2:
                count = found["one of them wrong" if wrong else "both right"]
                count[0] += not alike(first["answer"], second["answer"])
                count[1] += 1
    for name, (apart, pairs) in found.items():
        print(f"two answers, {name}: {share(apart, pairs)} told apart")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs_file", type=Path)
    parser.add_argument("answers_file", type=Path, nargs="?")
    parser.add_argument("--pairs", type=int, default=6_000)
    options = parser.parse_args()
    wrong_hits(pl.read_parquet(options.pairs_file), options.pairs)
    if options.answers_file:
        differing(pl.read_parquet(options.answers_file))
