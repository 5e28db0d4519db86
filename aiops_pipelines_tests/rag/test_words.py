from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.rag.words import spaceless_share, words


def test_words_and_pairs_of_characters():
    assert words("iPhone手机壳, a case") == ["iphone", "手机", "机壳", "case"]
    assert words("黑") == ["黑"]
    assert words("ราคา") == ["รา", "าค", "คา"]
    assert words("カメラとfilm") == ["カメ", "メラ", "ラと", "film"]
    assert words("x 42 Größe") == ["42", "größe"]


def test_the_share_of_scripts_without_spaces():
    assert spaceless_share("手机 ok") == 0.5
    assert (spaceless_share("plain words"), spaceless_share("42!")) == (0, 0)


@given(st.text())
def test_words_are_lower_case_and_hold_no_space(text):
    assert all(word and not any(c.isspace() for c in word) for word in words(text))
    assert 0 <= spaceless_share(text) <= 1
