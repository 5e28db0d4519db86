"""The measures against hand-computed values and against trec_eval itself (pytrec_eval)."""

import math

import polars as pl
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.rag.metrics import QRELS, RUN, judged, measures, ranked

TREC_EVAL = {
    "precision_at_2": "P_2",
    "recall_at_2": "recall_2",
    "hit_at_2": "success_2",
    "ndcg_at_2": "ndcg_cut_2",
    "precision_at_5": "P_5",
    "recall_at_5": "recall_5",
    "hit_at_5": "success_5",
    "ndcg_at_5": "ndcg_cut_5",
    "reciprocal_rank": "recip_rank",
}
GRADES = {"q": {"a": 2, "b": 1, "n": 0}}


def run_of(scores):
    rows = [(q, d, s) for q, row in scores.items() for d, s in row.items()]
    return pl.DataFrame(rows, schema=RUN, orient="row")


def qrels_of(grades):
    rows = [(q, d, g) for q, row in grades.items() for d, g in row.items()]
    return pl.DataFrame(rows, schema=QRELS, orient="row")


def one(ranking, grades=GRADES, cuts=(5, 10)):
    return measures(judged(ranked({"q": ranking}), qrels_of(grades)), cuts).row(0, named=True)


def test_measures_by_hand():
    found = one(["b", "x", "a", "n"])
    assert found["precision_at_5"] == 2 / 5
    assert (found["recall_at_5"], found["hit_at_5"], found["reciprocal_rank"]) == (1, 1, 1)
    assert found["ndcg_at_10"] == pytest.approx(2 / (2 + 1 / math.log2(3)))


def test_a_late_document_counts_where_the_cut_allows():
    found = one(["x1", "x2", "x3", "x4", "x5", "a"])
    assert (found["precision_at_5"], found["recall_at_5"], found["hit_at_5"]) == (0, 0, 0)
    assert (found["reciprocal_rank"], found["recall_at_10"]) == (1 / 6, 0.5)


def test_the_ideal_is_cut_too():
    names = [str(n) for n in range(12)]
    assert one(names, {"q": dict.fromkeys(names, 1)})["ndcg_at_10"] == 1


def test_a_negative_grade_counts_as_not_judged():
    found = one(["n", "a"], {"q": {"n": -2, "a": 1}})
    assert (found["reciprocal_rank"], found["ndcg_at_5"]) == (0.5, 1 / math.log2(3))


def test_ties_go_by_name_from_z_to_a_and_in_single_precision():
    scores = {"q": {"a": 0.5 + 1e-9, "b": 0.5, "c": 0.1}}
    found = measures(judged(run_of(scores), qrels_of({"q": {"a": 1}}))).row(0, named=True)
    assert found["reciprocal_rank"] == 0.5


def test_queries_of_one_side_only_are_left_out_and_no_query_gives_no_row():
    found = measures(judged(run_of({"p": {"a": 1.0}, "q": {"a": 1.0}}), qrels_of(GRADES | {"r": {"a": 1}})))
    assert found["query_id"].to_list() == ["q"]
    assert measures(judged(run_of({"p": {"a": 1.0}}), qrels_of(GRADES))).is_empty()


names = st.sampled_from([*"abcdefgh", "é", "doc-10", "doc-9"])
scores = st.dictionaries(
    names,
    st.sampled_from([0.5, 0.5 + 1e-9, 0.5 + 1e-6, 1.0, -1.0, 0.0, -0.0, 3e7, 3e7 + 1, 1e300, -1e300]),
    min_size=1,
)
grades = st.dictionaries(names, st.integers(-1, 3), min_size=1)


@given(
    st.dictionaries(st.sampled_from("pqr"), scores, min_size=1),
    st.dictionaries(st.sampled_from("pqr"), grades, min_size=1),
)
def test_every_value_is_trec_evals(run, qrels):
    evaluator = pytrec_eval.RelevanceEvaluator(
        qrels, {"P.2,5", "recall.2,5", "success.2,5", "ndcg_cut.2,5", "recip_rank"}
    )
    theirs = evaluator.evaluate(run)
    ours = {row["query_id"]: row for row in measures(judged(run_of(run), qrels_of(qrels)), (2, 5)).to_dicts()}
    assert ours.keys() == theirs.keys()
    for query, row in ours.items():
        expected = {name: theirs[query][trec] for name, trec in TREC_EVAL.items()}
        assert {name: row[name] for name in TREC_EVAL} == pytest.approx(expected, abs=1e-12)
