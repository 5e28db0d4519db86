"""TREC's files read and measured; that each value is trec_eval's is shown in test_metrics."""

import gzip
import math

import pytest

from aiops_pipelines.rag.metrics import judged, measures
from aiops_pipelines.rag.trec import TrecFileError, measured, qrels, run


def file(lines):
    return "\n".join(lines).encode()


QRELS = file(["q1 0 a 2", "q1 0 b 1", "q2 0 a 1", "", "q3 0 a 1"])
RUN = file(
    ["q1 Q0 b 1 3 t", "q1 Q0 x 2 2 t", "q1 Q0 a 3 1 t", "q2 Q0 a 1 8 t", "q2 Q0 x 2 9e0 t", "q4 Q0 a 1 1 t"]
)


def test_equal_scores_go_by_the_last_name_and_the_written_rank_is_ignored():
    lines = ["q Q0 a 1 2.0 t", "q Q0 b 2 2.0 t", "", "q Q0 c 3 9e0 t"]
    ranks = [
        measures(judged(run("r", file(lines)), qrels("t", file([f"q 0 {name} 1"]))))["reciprocal_rank"][0]
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
    assert measured(truth, run("r", b"")).means() == {}


@pytest.mark.parametrize(
    ("reader", "lines", "said"),
    [
        (qrels, ["q 0 a 1", "q 0 b"], "f, line 2: 3 fields; write `query 0 document grade`"),
        (qrels, ["q 0 a one"], "f, line 1: the grade one is no whole number"),
        (qrels, [f"q 0 a {2**31}"], "f, line 1: the grade 2147483648 is beyond 2147483647"),
        (qrels, [f"q 0 a {'9' * 5000}"], f"f, line 1: the grade {'9' * 5000} is beyond 2147483647"),
        (qrels, ["q 0 a 1_0"], "f, line 1: the grade 1_0 is no whole number"),
        (qrels, ["q 0 a \u0661"], "f, line 1: the grade \u0661 is no whole number"),
        (qrels, ["q 0 a 1\u00a0"], "f, line 1: the grade 1\u00a0 is no whole number"),
        (qrels, ["q 0 a 1", "q 0 a 0"], "f, line 2: a is judged twice for query q"),
        (run, ["q Q0 a 1 2.0"], "f, line 1: 5 fields; write `query Q0 document rank score tag`"),
        (run, ["q Q0 a 1 high t"], "f, line 1: the score high is no number"),
        (run, ["q Q0 a 1 1_0 t"], "f, line 1: the score 1_0 is no number"),
        (run, ["q Q0 a 1 \u0661.5 t"], "f, line 1: the score \u0661.5 is no number"),
        (run, ["q Q0 a 1 1e t"], "f, line 1: the score 1e is no number"),
        (run, ["q Q0 a 1 . t"], "f, line 1: the score . is no number"),
        (run, ["q Q0 a 1 nan t"], "f, line 1: the score is not a number"),
        (run, ["q Q0 a 1 2 t", "q Q0 a 2 1 t"], "f, line 2: a is ranked twice for query q"),
    ],
)
def test_a_line_of_another_form_is_named(reader, lines, said):
    with pytest.raises(TrecFileError, match=f"^{said}"):
        reader("f", file(lines))


@pytest.mark.parametrize("data", [b"q 0 a 1\nq 0 \xe4 1", b"q 0 a 1\nq 0 \xfc 1", b"q 0 b 1\nq\0 0 a 1"])
def test_a_file_that_is_not_utf_8_is_refused_before_two_ids_become_one(data):
    with pytest.raises(
        TrecFileError, match=r"^f, line 2: the text is not UTF-8; convert the file to UTF-8\.$"
    ):
        qrels("f", data)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_named_for_what_it_is(encoding):
    with pytest.raises(TrecFileError, match=r"^f, line 1: the text is not UTF-8"):
        run("f", "q Q0 a 1 2 t\n".encode(encoding))


def test_a_file_that_is_compressed_is_named_for_what_it_is():
    with pytest.raises(TrecFileError, match=r"^f\.gz is compressed; unpack it first: gunzip f\.gz$"):
        run("f.gz", gzip.compress(b"q Q0 a 1 2 t\n"))


@pytest.mark.parametrize("space", ["\u00a0", "\u2028", "\u0085", "\u3000", "\x1c"])
def test_only_ascii_white_space_parts_fields_and_lines(space):
    found = qrels("f", f"\ufeffq 0\ta{space}b 1\r\nq\v0 c\f1\rq 0 d 1".encode())
    assert found["document"].to_list() == [f"a{space}b", "c", "d"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("+1", 1), ("-.5", -0.5), ("5.", 5), ("1E+2", 100), ("-Inf", -math.inf), ("infinity", math.inf)],
)
def test_scores_are_the_numbers_of_c(text, value):
    assert run("f", f"q Q0 a 1 {text} t".encode())["score"].to_list() == [value]


def test_grades_have_signs_and_leading_zeros():
    assert qrels("f", f"q 0 a +1\nq 0 b -2\nq 0 c {'0' * 5000}3".encode())["grade"].to_list() == [1, -2, 3]
