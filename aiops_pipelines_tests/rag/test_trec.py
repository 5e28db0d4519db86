"""TREC's files read and measured; that each value is trec_eval's is shown in test_metrics."""

import math

import pytest

from aiops_pipelines.rag.metrics import judged, measures
from aiops_pipelines.rag.trec import TrecFileError, measured, qrels, run

QRELS = ["q1 0 a 2", "q1 0 b 1", "q2 0 a 1", "", "q3 0 a 1"]
RUN = ["q1 Q0 b 1 3 t", "q1 Q0 x 2 2 t", "q1 Q0 a 3 1 t", "q2 Q0 a 1 8 t", "q2 Q0 x 2 9e0 t", "q4 Q0 a 1 1 t"]


def test_equal_scores_go_by_the_last_name_and_the_written_rank_is_ignored():
    lines = ["q Q0 a 1 2.0 t", "q Q0 b 2 2.0 t", "", "q Q0 c 3 9e0 t"]
    ranks = [
        measures(judged(run("r", lines), qrels("t", [f"q 0 {name} 1"])))["reciprocal_rank"][0]
        for name in "abc"
    ]
    assert ranks == [1 / 3, 1 / 2, 1]


def test_means_by_hand():
    truth, ranking = qrels("t", QRELS), run("r", RUN)
    found = measured(truth, ranking, (2,))
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
    assert (found.unranked, found.unjudged) == (("q3",), ("q4",))
    complete = measured(truth, ranking, (2,), complete=True)
    assert complete.means()["mrr"][0] == 0.5
    assert complete.unranked == ()
    assert measured(truth, run("r", [])).means() == {}


@pytest.mark.parametrize(
    ("reader", "lines", "said"),
    [
        (qrels, ["q 0 a 1", "q 0 b"], "f, line 2: 3 fields; write `query 0 document grade`"),
        (qrels, ["q 0 a one"], "f, line 1: the grade one is no whole number"),
        (qrels, [f"q 0 a {2**31}"], "f, line 1: the grade 2147483648 is beyond 2147483647"),
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
