import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.rag.evaluation import (
    METRICS,
    QUALITY,
    dead_judgements,
    interval,
    live_judgements,
    retrieval_quality,
    retrieval_scores,
)

JUDGEMENTS = pl.DataFrame(
    [("q1", "a", 2), ("q1", "gone", 1), ("q2", "gone", 2), ("q3", "a", 0), ("q4", "b", 1)],
    schema=["query_id", "document", "grade"],
    orient="row",
)
INDEXED = {"a", "b"}


def scores():
    rankings = {"q1": ["a"], "q2": ["a"], "q3": ["a"], "q4": ["a", "b"]}
    return retrieval_scores("s", "ix-1", "dense", rankings, JUDGEMENTS, INDEXED)


def test_queries_without_a_live_judgement_are_left_out_and_counted():
    assert scores().select("query_id", "reciprocal_rank", "recall_at_5").rows() == [
        ("q1", 1.0, 1.0),
        ("q4", 0.5, 1.0),
    ]
    assert dead_judgements(JUDGEMENTS, INDEXED) == 2
    assert live_judgements(JUDGEMENTS, INDEXED) == {"q1": {"a": 2}, "q4": {"b": 1}}


def test_a_query_that_was_not_asked_is_an_error():
    with pytest.raises(ValueError, match="q4 was not asked"):
        retrieval_scores("s", "ix-1", "dense", {"q1": []}, JUDGEMENTS, INDEXED)


def test_quality_has_a_row_per_measure():
    quality = retrieval_quality(scores(), datetime(2026, 6, 1, tzinfo=UTC), dead=2)
    assert quality["metric"].to_list() == list(METRICS)
    row = quality.row(by_predicate=pl.col("metric") == "reciprocal_rank", named=True)
    assert (row["mean"], row["low"], row["high"]) == (0.75, 0.5, 1.0)
    assert (row["queries"], row["dead_judgements"], row["ranker"], row["index_version"]) == (
        2,
        2,
        "dense",
        "ix-1",
    )


def test_nothing_scored_has_no_mean():
    empty = retrieval_quality(scores().clear(), datetime(2026, 6, 1, tzinfo=UTC), dead=0)
    assert empty.is_empty() and empty.schema == QUALITY


def test_the_interval_of_equal_scores_is_wilsons():
    assert interval(np.ones(40)) == (pytest.approx(40 / (40 + 1.959964**2)), 1.0)
    assert interval(np.zeros(40)) == (0.0, pytest.approx(1.959964**2 / (40 + 1.959964**2)))
    assert interval(np.array([0.5])) == (pytest.approx(0.0546, abs=1e-4), pytest.approx(0.9454, abs=1e-4))


def test_the_bootstrap_interval_is_close_to_the_normal_one_and_repeats():
    values = np.random.default_rng(1).beta(5, 2, 300)
    low, high = interval(values)
    half = 1.96 * values.std() / math.sqrt(300)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.005)
    assert interval(values) == (low, high)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_interval_holds_the_mean_within_bounds(values):
    low, high = interval(np.array(values))
    assert 0 <= low <= high <= 1 + 1e-12
    assert low - 0.01 <= np.mean(values) <= high + 0.01


def test_many_values_have_the_normal_interval():
    values = np.random.default_rng(1).beta(5, 2, 3_000)
    half = 1.96 * values.std() / math.sqrt(3_000)
    assert interval(values) == pytest.approx((values.mean() - half, values.mean() + half), abs=1e-4)
