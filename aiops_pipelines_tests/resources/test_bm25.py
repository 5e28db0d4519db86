from hypothesis import given, settings
from hypothesis import strategies as st

from aiops_pipelines.resources.bm25 import Bm25
from aiops_pipelines.resources.bm25 import rank as ranked

TEXTS = ["Refunds are paid in five days.", "Volcanoes erupt.", "A refund needs a receipt; refunds are free."]


def rank(texts, ids, queries, k):
    return ranked(Bm25(texts), ids, queries, k)


def names(found):
    return [[name for name, _ in ranking] for ranking in found]


def test_stems_meet_and_texts_without_a_match_are_not_ranked():
    assert names(rank(TEXTS, ["a", "b", "c"], ["refunding", "erupted volcano", "unknown words"], 5)) == [
        ["c", "a"],
        ["b"],
        [],
    ]


def test_an_id_with_several_texts_stands_once():
    assert names(rank(TEXTS, ["a", "b", "a"], ["refund"], 5)) == [["a"]]


def test_equal_texts_tie_by_id():
    assert names(rank(["same words", "same words"], ["z", "y"], ["words"], 5)) == [["y", "z"]]
    assert names(rank(["other thing", "same words", "same words"], ["x", "z", "y"], ["words"], 1)) == [["y"]]


def test_nothing_to_search_or_to_ask():
    assert rank([], [], ["refund"], 5) == [[]]
    assert rank(["", "the"], ["a", "b"], ["refund"], 5) == [[]]
    assert rank(TEXTS, ["a", "b", "c"], [], 5) == []
    assert rank(TEXTS, ["a", "b", "c"], ["", "the"], 5) == [[], []]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=5), st.lists(st.text(max_size=20), max_size=3))
def test_any_text_can_be_ranked(texts, queries):
    found = rank(texts, [str(n) for n in range(len(texts))], queries, 3)
    assert len(found) == len(queries)
    assert all(score > 0 for ranking in found for _, score in ranking)


def test_chinese_meets_without_spaces():
    texts = ["退款会在五天内支付。", "火山爆发。", "标签的价格是两欧元。"]
    assert names(rank(texts, ["a", "b", "c"], ["标签多少欧元", "退款"], 5)) == [["c"], ["a"]]
