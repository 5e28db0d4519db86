"""An index beside the one before it, by hand and over many changes that are none."""

import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.rag.evaluation import METRICS, SCORES
from aiops_pipelines.rag.index_changes import asked_the_same, retrieval_changes

SINCE = datetime(2026, 6, 1, tzinfo=UTC)


def scores(index, **by_ranker):
    rows = [
        {"system": "s", "index_version": index, "ranker": ranker, "query_id": f"q{n:04}"}
        | dict.fromkeys(METRICS, float(value))
        for ranker, values in by_ranker.items()
        for n, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=SCORES).sample(fraction=1, shuffle=True, seed=3)


def names(count):
    return {f"q{n:04}" for n in range(count)}


def test_the_difference_by_hand():
    """The differences -0.5, -0.1 and -0.3 have the mean -0.3 and the standard deviation 0.2."""
    found = retrieval_changes(
        scores("old", dense=[0.9, 0.5, 0.4]), scores("new", dense=[0.4, 0.4, 0.1]), names(3), SINCE
    )
    [row] = found.rows(named=True)
    half = 4.302653 * 0.2 / math.sqrt(3)
    assert (row["previous_version"], row["index_version"], row["valid_from"]) == ("old", "new", SINCE)
    assert (row["before"], row["after"]) == (pytest.approx(0.6), pytest.approx(0.3))
    assert (row["difference"], row["low"], row["high"]) == pytest.approx((-0.3, -0.3 - half, -0.3 + half))
    assert (row["queries"], row["moved"], row["verdict"]) == (3, 3, "undecided")


def test_what_falls_beyond_chance_is_worse_and_said_in_a_sentence():
    rng = np.random.default_rng(5)
    before = rng.beta(5, 2, 200)
    found = retrieval_changes(
        scores("old", dense=before, bm25=before),
        scores("new", dense=before * 0.9, bm25=before),
        names(200),
        SINCE,
    )
    assert found.select("ranker", "verdict", "moved").rows() == [
        ("bm25", "undecided", 0),
        ("dense", "worse", 200),
    ]
    row = found.row(1, named=True)
    assert row["reason"] == (
        f"The embeddings find less than on the index before: nDCG@10 {row['before']:.3f} became "
        f"{row['after']:.3f}, {row['difference']:+.3f} (95 % interval {row['low']:+.3f} to {row['high']:+.3f}); "
        "200 of 200 known queries changed."
    )


def test_only_queries_that_both_were_asked_are_compared():
    before, after = scores("old", dense=[1, 1, 1, 0]), scores("new", dense=[1, 1, 0, 0, 0])
    assert retrieval_changes(before, after, names(2), SINCE)["queries"].to_list() == [2]
    assert retrieval_changes(before, after, names(9), SINCE)["queries"].to_list() == [4]
    assert retrieval_changes(before, after, names(1), SINCE).is_empty()
    assert retrieval_changes(before, scores("new", bm25=[1, 1]), names(9), SINCE).is_empty()


def test_a_query_is_the_same_with_the_same_words_and_judgements():
    known = pl.DataFrame({"query_id": ["a", "b", "c", "d"], "query": ["A?", "B?", "C?", "D?"]})
    truth = pl.DataFrame(
        {
            "query_id": ["a", "b", "c", "d", "d"],
            "document": ["1", "2", "3", "4", "5"],
            "grade": [2, 2, 2, 2, 1],
        }
    )
    assert asked_the_same(known, truth, known, truth) == {"a", "b", "c", "d"}
    reworded = known.with_columns(query=pl.col("query").replace("A?", "Other?"))
    assert asked_the_same(reworded, truth, known, truth) == {"b", "c", "d"}
    regraded = truth.with_columns(grade=pl.Series([2, 1, 2, 2, 1]))
    assert asked_the_same(known, regraded, known, truth) == {"a", "c", "d"}
    fewer = truth.head(4)
    assert (
        asked_the_same(known, fewer, known, truth)
        == asked_the_same(known, truth, known, fewer)
        == {"a", "b", "c"}
    )
    assert asked_the_same(known.head(2), truth.head(2), known, truth) == {"a", "b"}


def test_changes_that_are_none_are_rarely_called_worse():
    """Half of 120 queries gain or lose a rank by chance: at most one in twenty is called anything."""
    called = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        before = rng.choice([0, 0.39, 0.5, 0.63, 1], 120)
        after = np.where(rng.random(120) < 0.5, rng.permuted(before), before)
        shifted = np.where(rng.random(120) < 0.5, before - after, after - before)
        found = retrieval_changes(
            scores("old", dense=np.full(120, 0.5)), scores("new", dense=0.5 + shifted / 2), names(120), SINCE
        )
        called += found["verdict"][0] != "undecided"
    assert called <= 17  # 200 at 5 %: more than 17 has a chance below 2 %
