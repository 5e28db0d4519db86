from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from aiops_pipelines.rag.evaluation import METRICS, SCORES
from aiops_pipelines.rag.slices import dealt_p, drafts_slice, retrieval_slices

SINCE = datetime(2026, 6, 1, tzinfo=UTC)


def scored(values):
    rows = [("desk", "ix", "dense", f"q{at:03}", *[value] * 5) for at, value in enumerate(values)]
    return pl.DataFrame(rows, schema=SCORES, orient="row")


def tagged(*tags):
    ids = [f"q{at:03}" for at in range(len(tags))]
    return pl.DataFrame(
        {"query_id": ids, "tags": list(tags)}, schema={"query_id": pl.String, "tags": pl.List(pl.String)}
    )


def by_name(frame, metric="ndcg_at_10"):
    return {row["slice"]: row for row in frame.filter(metric=metric).iter_rows(named=True)}


def test_a_deal_by_hand():
    """Scores 0, 0, 1, 1, the first two tagged: one of six ways to deal them gives both zeros."""
    members = np.array([[True, True, False, False], [False, False, True, True]])
    low, high = dealt_p(np.array([0.0, 0.0, 1.0, 1.0]), members)
    assert low == pytest.approx(1 / 6, abs=0.02) and high == pytest.approx(1.0)


def test_a_tag_that_is_found_worse_is_named_and_the_others_are_not():
    frame = retrieval_slices(
        scored([0.2] * 12 + [0.9] * 30), tagged(*[["a", "all"]] * 12, *[["b", "all"]] * 30), SINCE
    )
    assert frame.height == 3 * len(METRICS)
    found = by_name(frame)
    assert (found["a"]["verdict"], found["b"]["verdict"]) == ("worse", "as the rest")
    assert found["all"]["verdict"] == "too few" and found["all"]["rest"] is None  # nothing beside it
    assert (found["a"]["mean"], found["a"]["rest"]) == pytest.approx((0.2, 0.9))
    assert found["a"]["low"] <= 0.2 <= found["a"]["high"] and found["a"]["p_value"] < 0.01
    assert by_name(frame, "recall_at_5")["a"]["verdict"] == "informs"


def test_nine_queries_are_too_few_however_bad():
    found = by_name(retrieval_slices(scored([0.0] * 9 + [1.0] * 30), tagged(*[["a"]] * 9, *[[]] * 30), SINCE))
    assert found["a"]["verdict"] == "too few" and found["a"]["p_value"] is None


def test_queries_without_tags_count_in_the_rest_only():
    found = by_name(retrieval_slices(scored([0.5, 1.0, 0.0]), tagged(["a"], []), SINCE))
    assert list(found) == ["a"] and found["a"]["rest"] == 0.5
    assert retrieval_slices(scored([]), tagged(), SINCE).is_empty()
    assert retrieval_slices(scored([1.0]), tagged([]), SINCE).is_empty()


def test_without_a_difference_a_tag_is_named_in_one_index_of_twenty_at_most():
    rng, wrong = np.random.default_rng(3), 0
    tags = tagged(*[[f"t{at % 6}"] for at in range(90)])
    for _ in range(60):
        values = (rng.random(90) < 0.8).astype(float)
        wrong += "worse" in set(retrieval_slices(scored(values), tags, SINCE)["verdict"])
    assert wrong <= 7  # 3 expected at most; more has a chance of 3 %


def test_drafts_stand_apart_and_decide_nothing():
    frame = drafts_slice(scored([0.0] * 20), SINCE)
    assert set(frame["kind"]) == {"drafts"} and set(frame["verdict"]) == {"informs"}
    assert frame["queries"].unique().to_list() == [20] and drafts_slice(scored([]), SINCE).is_empty()
