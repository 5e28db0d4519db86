import numpy as np
import polars as pl
import pytest

from aiops_pipelines.rag.passages import Overlap, Sentences, in_budget, overlap, reference_contexts

TEXTS = {
    "refunds.md": "# Refunds\n\nA refund is paid. Refunds take\nfive working days. Ask the desk.",
    "hours.md": "The desk opens at nine.",
}


def test_recall_precision_and_iou_by_hand():
    found = Overlap(marked=30, retrieved=50, both=20)
    assert (found.recall, found.precision, found.iou) == (20 / 30, 20 / 50, 20 / 60)
    assert (Overlap(30, 0, 0).recall, Overlap(30, 0, 0).precision, Overlap(30, 0, 0).iou) == (0, 0, 0)
    assert Overlap(30, 30, 30).iou == 1


def test_retrieved_text_counts_as_often_as_it_came_and_marked_text_once():
    marked = {"a": [(0, 10), (5, 20)]}  # 20 letters
    found = overlap(marked, [("a", (0, 12)), ("a", (8, 16)), ("b", (0, 100))])
    assert found == Overlap(marked=20, retrieved=12 + 8 + 100, both=16)
    assert overlap(marked, []) == Overlap(20, 0, 0)


def test_the_last_chunk_is_cut_to_the_budget():
    tokens = np.array([300, 400, 500])
    assert in_budget([0, 2, 1], tokens, 1_000) == [(0, 1.0), (2, 1.0), (1, 0.5)]
    assert in_budget([1, 0], tokens, 400) == [(1, 1.0)]
    assert in_budget([1, 0], tokens, 200) == [(1, 0.5)]
    assert in_budget([], tokens, 200) == []


def test_the_sentence_that_holds_the_answer_is_its_passage():
    sentences = Sentences(TEXTS)
    start = len("#RefundsArefundispaid.Refundstake")
    found = sentences.passages("They take five working days.", TEXTS)
    assert found == {"refunds.md": [(start, start + len("fiveworkingdays."))]}
    joined = sentences.passages("A refund is paid. The desk opens at nine.", TEXTS)
    assert joined == {"refunds.md": [(8, 22)], "hours.md": [(0, 19)]}


@pytest.mark.parametrize("answer", ["", "Five", "Something else is said here entirely."])
def test_an_answer_in_other_words_marks_nothing(answer):
    assert Sentences(TEXTS).passages(answer, TEXTS) == {}


def test_only_the_judged_documents_are_looked_at():
    assert Sentences(TEXTS).passages("The desk opens at nine.", ["refunds.md", "gone.md"]) == {}


def test_reference_contexts_are_the_chunks_of_relevant_documents_that_hold_the_answer():
    corpus = pl.DataFrame(
        {
            "document": ["a.md", "a.md", "b.md", "c.md"],
            "chunk_id": ["c1", "c2", "c2", "c3"],
            "text": [
                "Hello there.",
                "Refunds take five days.",
                "Refunds take five days.",
                "It takes five days.",
            ],
        }
    )
    judged = [("q1", "a.md", 2), ("q1", "b.md", 1), ("q1", "c.md", 0), ("q2", "a.md", 1), ("q3", "a.md", 1)]
    judgements = pl.DataFrame(judged, schema=["query_id", "document", "grade"], orient="row")
    answers = {"q1": "Refunds take five days", "q2": None, "q3": "Nobody says this anywhere"}
    questions = pl.DataFrame({"query_id": list(answers), "reference_answer": list(answers.values())})
    assert reference_contexts(questions, judgements, corpus) == {"q1": ["Refunds take five days."]}
