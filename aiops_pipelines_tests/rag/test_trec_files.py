import pytest

from aiops_pipelines.rag.run_report import run_report, trec_eval_name
from aiops_pipelines.rag.trec_files import parse_qrels, parse_run

RUN = ["q1 Q0 a 1 2.5 x", "q1 Q0 b 2 1e-3 x", "", "q2 Q0 a 1 7 x", "q3 Q0 a 1 7 x"]
QRELS = ["q1 0 b 2", "q1 0 a 0", "q2\t0\ta\t1", "q4 0 a 1"]


def test_lines_become_rows_and_white_space_is_free():
    run, problems = parse_run(RUN, "run")
    assert run.rows() == [("q1", "a", 2.5), ("q1", "b", 0.001), ("q2", "a", 7.0), ("q3", "a", 7.0)]
    assert not problems
    assert parse_qrels(QRELS, "qrels")[0].rows()[2] == ("q2", "a", 1)


def test_judgements_with_a_header_have_three_columns():
    qrels, problems = parse_qrels(["query-id\tcorpus-id\tscore", "q1\ta\t1"], "qrels.tsv")
    assert qrels.rows() == [("q1", "a", 1)] and not problems


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("q1 Q0 a 1 2.5", "5 fields"),
        ("q1 Q0 a 1 nan x", "'nan' is not a number"),
        ("q1 Q0 a 1 high x", "'high' is not a number"),
        ("q0 Q0 a 1 1 x", "a stands a second time for query q0"),
    ],
)
def test_a_bad_line_of_a_run_is_named_and_left_out(line, reason):
    run, problems = parse_run(["q0 Q0 a 1 9 x", line], "my.run")
    assert run.height == 1 and len(problems) == 1
    assert problems[0].startswith("my.run, line 2: ") and reason in problems[0]


@pytest.mark.parametrize("line", ["q1 0 a", "q1 0 a 1 x", "q1 0 a 1.5", "q1 0 a yes"])
def test_a_bad_judgement_is_named_and_left_out(line):
    qrels, problems = parse_qrels([line, "q1 0 b 1"], "qrels")
    assert qrels.rows() == [("q1", "b", 1)]
    assert [p.split(":")[0] for p in problems] == ["qrels, line 1"]


def test_the_report_says_whom_no_mean_speaks_for():
    run, qrels = parse_run(RUN, "run")[0], parse_qrels(QRELS, "qrels")[0]
    report = run_report(run, qrels)
    assert (report.queries, report.not_ranked, report.not_judged) == (2, ["q4"], ["q3"])
    means = dict(report.means.select("metric", "mean").iter_rows())
    assert means["reciprocal_rank"] == 0.75 and means["hit_at_5"] == 1
    complete = run_report(run, qrels, complete=True)
    assert dict(complete.means.select("metric", "mean").iter_rows())["reciprocal_rank"] == 0.5


def test_nothing_in_common_is_an_error():
    with pytest.raises(ValueError, match="both ranked and judged"):
        run_report(parse_run(RUN[-1:], "run")[0], parse_qrels(QRELS, "qrels")[0])


def test_names_of_trec_eval():
    names = ("precision_at_5", "recall_at_100", "hit_at_1", "ndcg_at_10", "reciprocal_rank")
    assert [trec_eval_name(n) for n in names] == [
        "P_5",
        "recall_100",
        "success_1",
        "ndcg_cut_10",
        "recip_rank",
    ]
