from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.rag.words import words


def test_words_and_pairs_of_characters():
    assert words("iPhone手机壳, a case") == ["iphone", "手机", "机壳", "case"]
    assert words("黑") == ["黑"]
    assert words("ราคา") == ["รา", "าค", "คา"]
    assert words("カメラとfilm") == ["カメ", "メラ", "ラと", "film"]
    assert words("x 42 Größe") == ["42", "größe"]


@given(st.text())
def test_words_are_lower_case_and_hold_no_space(text):
    assert all(word and not any(c.isspace() for c in word) for word in words(text))
