import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.rag.words import words


def test_words_and_pairs_of_characters():
    assert words("iPhone手机壳, a case") == ["iphone", "手机", "机壳", "case"]
    assert words("黑") == ["黑"]
    assert words("ราคา") == ["รา", "าค", "คา"]
    assert words("カメラとfilm") == ["カメ", "メラ", "ラと", "film"]
    assert words("x 42 Größe") == ["42", "größe"]


def test_signs_of_vowels_belong_to_their_words():
    assert words("हिन्दी में प्रश्न") == ["हिन्दी", "में", "प्रश्न"]
    assert words("தமிழ் மொழி।") == ["தமிழ்", "மொழி"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_word_is_one_in_both_unicode_forms(form):
    text = "Größe, résumé, 한국어"
    assert words(unicodedata.normalize(form, text)) == ["größe", "résumé", "한국", "국어"]


def test_a_word_is_one_however_it_was_printed():
    assert words("كِتَابٌ כִּתְבֵי") == ["كتاب", "כתבי"]
    assert words("\ufedb\ufe98\ufe8e\ufe8f ﬁle \uff21\uff30\uff29 ｶﾒﾗ") == [
        "كتاب",
        "file",
        "api",
        "カメ",
        "メラ",
    ]
    assert words("Daten\u00adschutz İstanbul") == ["datenschutz", "istanbul"]


@given(st.text())
def test_words_are_lower_case_and_hold_no_space(text):
    assert all(word and not any(c.isspace() for c in word) for word in words(text))
