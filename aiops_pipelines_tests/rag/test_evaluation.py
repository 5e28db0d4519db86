import csv
import gzip
import json
import math
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.rag.evaluation import (
    METRICS,
    QUALITY,
    dead_judgements,
    hit,
    interval,
    live_judgements,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
    retrieval_quality,
    retrieval_scores,
    unanswerable,
)

DATASETS = Path(os.environ.get("AIOPS_DATASETS", Path(__file__).parents[2] / "../shared/datasets"))
XQUAD = DATASETS / "retrieval/xquad_en"
GRADES = {"a": 2, "b": 1, "n": 0}


def test_measures_by_hand():
    ranking = ["b", "x", "a", "n"]
    assert precision(ranking, GRADES) == 2 / 5
    assert recall(ranking, GRADES) == 1
    assert hit(ranking, GRADES) == 1
    assert reciprocal_rank(ranking, GRADES) == 1
    assert ndcg(ranking, GRADES) == pytest.approx(2 / (2 + 1 / math.log2(3)))


def test_a_late_document_counts_where_the_cut_allows():
    ranking = ["x1", "x2", "x3", "x4", "x5", "a"]
    assert (precision(ranking, GRADES), recall(ranking, GRADES), hit(ranking, GRADES)) == (0, 0, 0)
    assert reciprocal_rank(ranking, GRADES) == 1 / 6
    assert reciprocal_rank(["x"] * 10 + ["a"], GRADES) == 0
    assert ndcg(["x"] * 10 + ["a"], GRADES) == 0


def test_an_irrelevant_judgement_is_not_relevant():
    assert (hit(["n"], GRADES), reciprocal_rank(["n"], GRADES), recall(["n", "a"], GRADES)) == (0, 0, 0.5)


def test_the_ideal_is_cut_too():
    grades = {str(n): 1 for n in range(12)}
    assert ndcg([str(n) for n in range(12)], grades) == 1


@given(st.permutations(["a", "b", "n", "x", "y", "z"]), st.integers(0, 6))
def test_measures_are_bounded_and_the_ideal_order_is_best(order, cut):
    ranking = order[:cut]
    values = [measure(ranking, GRADES) for measure in (precision, recall, hit, reciprocal_rank, ndcg)]
    assert all(0 <= value <= 1 for value in values)
    assert ndcg(ranking, GRADES) <= ndcg(["a", "b"], GRADES) == 1


JUDGEMENTS = pl.DataFrame(
    [("q1", "a", 2), ("q1", "gone", 1), ("q2", "gone", 2), ("q3", "a", 0), ("q4", "b", 1)],
    schema=["query_id", "document", "grade"],
    orient="row",
)
KNOWN = pl.DataFrame({"query_id": ["q1", "q2", "q3", "q4", "q5"]})
INDEXED = {"a", "b"}


def scores():
    rankings = {"q1": ["a"], "q2": ["a"], "q3": ["a"], "q4": ["a", "b"]}
    return retrieval_scores("s", "ix-1", "dense", rankings, JUDGEMENTS, INDEXED)


def test_queries_without_a_live_judgement_are_left_out_and_counted():
    assert scores().select("query_id", "reciprocal_rank", "recall_at_5").rows() == [
        ("q1", 1.0, 1.0),
        ("q4", 0.5, 1.0),
    ]
    assert unanswerable(KNOWN, JUDGEMENTS, INDEXED) == ["q2", "q3", "q5"]
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


@pytest.mark.skipif(not XQUAD.exists(), reason="the retrieval set is not on this machine")
def test_the_bm25_floor_of_a_public_set():
    from aiops_pipelines.resources.bm25 import rank

    corpus = gzip.decompress((XQUAD / "corpus.jsonl.gz").read_bytes()).decode()
    passages = [json.loads(line) for line in corpus.strip().split("\n")]
    queries = [
        json.loads(line) for line in (XQUAD / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    with (XQUAD / "qrels.tsv").open(encoding="utf-8") as file:
        rows = [
            (row["query-id"], row["corpus-id"], int(row["score"]))
            for row in csv.DictReader(file, delimiter="\t")
        ]
    judgements = pl.DataFrame(rows, schema=["query_id", "document", "grade"], orient="row")
    ids = [passage["id"] for passage in passages]
    texts = [f"{passage['title']} {passage['text']}" for passage in passages]
    rankings = rank(texts, ids, [query["text"] for query in queries], 10)
    ranked = {q["id"]: [name for name, _ in found] for q, found in zip(queries, rankings, strict=True)}
    found = retrieval_scores("s", "ix", "bm25", ranked, judgements, set(ids))
    assert found.height == 1190
    assert found["ndcg_at_10"].mean() == pytest.approx(0.962, abs=0.01)
