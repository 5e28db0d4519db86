import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.rag.comparisons import ALPHA, difference, retrieval_comparisons, two_sided_p
from aiops_pipelines.rag.evaluation import METRICS, SCORES

SINCE = datetime(2026, 6, 1, tzinfo=UTC)


def scores(**by_ranker):
    rows = [
        {"system": "s", "index_version": "ix", "ranker": ranker, "query_id": f"q{n:04}"}
        | dict.fromkeys(METRICS, float(value))
        for ranker, values in by_ranker.items()
        for n, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=SCORES).sample(fraction=1, shuffle=True, seed=3)


def test_the_interval_by_hand():
    mean, low, high = difference(np.array([0.5, 0.1, 0.3]), np.zeros(3))
    half = 4.302653 * 0.2 / math.sqrt(3)
    assert (mean, low, high) == pytest.approx((0.3, 0.3 - half, 0.3 + half))


def test_equal_scores_leave_open_what_few_queries_cannot_show():
    mean, low, high = difference(np.full(150, 0.5), np.full(150, 0.5))
    assert (mean, low, high) == pytest.approx((0, -0.0198, 0.0198), abs=1e-4)
    found = retrieval_comparisons(scores(dense=[1] * 9, bm25=[1] * 9), SINCE)
    assert found.row(0, named=True)["verdict"] == "undecided"
    assert found.row(0, named=True)["p_value"] == 1


def test_embeddings_that_lose_and_a_fusion_that_wins_are_said_in_a_sentence():
    rng = np.random.default_rng(4)
    bm25 = rng.beta(5, 2, 200)
    found = retrieval_comparisons(
        scores(dense=bm25 - 0.05 * rng.random(200), bm25=bm25, fusion=bm25 + 0.02 * rng.random(200)), SINCE
    )
    assert found.select("ranker", "against", "verdict").rows() == [
        ("dense", "bm25", "worse"),
        ("fusion", "bm25", "better"),
        ("fusion", "dense", "better"),
    ]
    row = found.row(0, named=True)
    assert row["valid_from"] == SINCE and row["queries"] == 200
    assert row["low"] < row["difference"] < row["high"] < 0
    assert row["reason"] == (
        f"The embeddings find less than keyword search (BM25): nDCG@10 {row['difference']:+.3f} (95 % interval "
        f"{row['low']:+.3f} to {row['high']:+.3f}) on 200 known queries."
    )


def test_one_ranker_or_one_query_compares_nothing():
    assert retrieval_comparisons(scores(bm25=[1, 0]), SINCE).is_empty()
    assert retrieval_comparisons(scores(bm25=[1], dense=[0]), SINCE).is_empty()
    assert retrieval_comparisons(scores(), SINCE).is_empty()


def test_rankers_without_a_difference_are_told_apart_in_at_most_one_of_twenty_indexes():
    rng = np.random.default_rng(11)
    wrong = 0
    for _ in range(200):
        common = rng.beta(4, 2, 120)
        noisy = {
            name: np.clip(common + rng.normal(0, 0.1, 120), 0, 1) for name in ("dense", "bm25", "fusion")
        }
        found = retrieval_comparisons(scores(**noisy), SINCE)
        wrong += found.filter(pl.col("verdict") != "undecided").height > 0
    assert wrong <= 18  # binomial with 5 %: above 18 of 200 in one of a hundred tries


def test_the_direction_does_not_change_the_p_value():
    rng = np.random.default_rng(2)
    ours, theirs = rng.random(30), rng.random(30)
    assert two_sided_p(ours, theirs) == two_sided_p(theirs, ours)
    assert two_sided_p(theirs + 0.2, theirs) < ALPHA
