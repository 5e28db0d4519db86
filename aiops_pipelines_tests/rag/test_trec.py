import math

import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.rag.trec import TrecFileError, measured, qrels, ranked, run

DOCUMENTS = ["a", "b", "B", "c10", "c2", "d\u00e9", "e", "f"]
SCORES = st.sampled_from([0.0, -1.5, 0.25, 1.0, 1.0 + 1e-9, 3e7, 3e7 + 1])
RUNS = st.dictionaries(st.sampled_from(DOCUMENTS), SCORES, min_size=1)
JUDGED = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(-1, 3), min_size=1)
THEIRS = {
    "precision@2": "P_2",
    "precision@5": "P_5",
    "recall@2": "recall_2",
    "recall@5": "recall_5",
    "hit@2": "success_2",
    "hit@5": "success_5",
    "ndcg@2": "ndcg_cut_2",
    "ndcg@5": "ndcg_cut_5",
    "mrr": "recip_rank",
}


@given(
    st.dictionaries(st.sampled_from(["q1", "q2", "q3"]), JUDGED, min_size=1),
    st.dictionaries(st.sampled_from(["q1", "q2", "q4"]), RUNS, min_size=1),
)
def test_every_measure_equals_trec_eval(judged, scored):
    """Grades below 0, ties at single precision, unjudged documents, and queries on one side only."""
    theirs = pytrec_eval.RelevanceEvaluator(
        judged, {"P.2,5", "recall.2,5", "success.2,5", "ndcg_cut.2,5", "recip_rank"}
    ).evaluate(scored)
    ours = measured(judged, {query: ranked(documents) for query, documents in scored.items()}, (2, 5))
    assert ours.scores.keys() == THEIRS.keys()
    for name, theirs_name in THEIRS.items():
        expected = {query: found[theirs_name] for query, found in theirs.items()}
        assert ours.scores[name] == pytest.approx(expected, abs=1e-9), name
    assert set(ours.unranked) == judged.keys() - scored.keys()
    assert set(ours.unjudged) == scored.keys() - judged.keys()


def test_equal_scores_go_by_the_last_name_and_the_written_rank_is_ignored():
    lines = ["q Q0 a 1 2.0 t", "q Q0 b 2 2.0 t", "", "q Q0 c 3 9e0 t"]
    assert run("r", lines) == {"q": ["c", "b", "a"]}
    assert ranked({"a": 1.0, "b": 1.0 + 1e-9}) == ["b", "a"]  # one number at single precision


def test_means_by_hand():
    judged = {"q1": {"a": 2, "b": 1}, "q2": {"a": 1}, "q3": {"a": 1}}
    found = measured(judged, {"q1": ["b", "x", "a"], "q2": ["x", "a"]}, (2,))
    means = {name: mean for name, (mean, _, _) in found.means().items()}
    assert means == pytest.approx(
        {
            "precision@2": 0.5,
            "recall@2": 0.75,
            "hit@2": 1.0,
            "ndcg@2": (1 / (2 + 1 / math.log2(3)) + 1 / math.log2(3)) / 2,
            "mrr": 0.75,
        }
    )
    assert (found.unranked, found.unjudged) == (("q3",), ())
    complete = measured(judged, {"q1": ["b", "x", "a"], "q2": ["x", "a"]}, (2,), complete=True)
    assert complete.means()["mrr"][0] == 0.5
    assert complete.unranked == ()
    assert measured(judged, {}).means() == {}


@pytest.mark.parametrize(
    ("reader", "lines", "said"),
    [
        (qrels, ["q 0 a 1", "q 0 b"], "f, line 2: 3 fields; write `query 0 document grade`"),
        (qrels, ["q 0 a one"], "f, line 1: the grade one is no whole number"),
        (qrels, ["q 0 a 1", "q 0 a 0"], "f, line 2: a is judged twice for query q"),
        (run, ["q Q0 a 1 2.0"], "f, line 1: 5 fields; write `query Q0 document rank score tag`"),
        (run, ["q Q0 a 1 high t"], "f, line 1: the score high is no number"),
        (run, ["q Q0 a 1 nan t"], "f, line 1: the score is not a number"),
        (run, ["q Q0 a 1 2 t", "q Q0 a 2 1 t"], "f, line 2: a is ranked twice for query q"),
    ],
)
def test_a_line_of_another_form_is_named(reader, lines, said):
    with pytest.raises(TrecFileError, match=f"^{said}"):
        reader("f", lines)
