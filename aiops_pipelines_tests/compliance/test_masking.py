"""Masking by the column leaves and counts what masking one text after the other does."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance import masking
from aiops_pipelines.compliance.masking import masked_column, pseudonymised_column
from aiops_pipelines.compliance.privacy import REGIONS, mask, pseudonymised
from aiops_pipelines_tests.compliance.test_privacy import FOUND, KEY, LEFT_ALONE

PARTS = [text for text, *_ in FOUND] + LEFT_ALONE
PARTS += [
    "+",
    "4",
    "@",
    "-",
    " ",
    "x",
    "0",
    "٣",
    "u_17",
    "ab12",
    "15551234567",
    "415555267",
    "ext5",
    "\u00a0",
    "123456",
    "passport",
    "Steuer\u2011ID: ",
    "identity\u00a0card ",
    "个人身份证",
]
TEXTS = st.none() | st.lists(st.sampled_from(PARTS) | st.text(max_size=6), max_size=4).map("".join)
WORDS = st.from_regex(r"[A-Za-z]{0,3}_?[0-9]{0,12}(x|ext)?[0-9]{0,4}", fullmatch=True) | st.uuids().map(str)
WORDS |= st.from_regex(r"[A-Z]{0,6}[0-9]{1,12}[A-Z]{0,3}[0-9]{0,4}[A-Z]?", fullmatch=True)


def one_by_one(texts, change):
    """Return the texts changed one by one, and what was found by row."""
    changed = [None if text is None else change(text) for text in texts]
    hits = {row: done[1] for row, done in enumerate(changed) if done and done[1]}
    return [done and done[0] for done in changed], hits


def in_a_column(texts, change):
    """Return the texts changed as a column, and what was found by row."""
    found: dict[int, Counter[str]] = {}
    return change(pl.Series(texts, dtype=pl.String), found).to_list(), found


@given(st.lists(TEXTS, max_size=8), st.sampled_from([REGIONS, (), ("CH",)]))
def test_a_column_is_masked_as_its_texts_are(texts, regions):
    expected = one_by_one(texts, lambda text: mask(text, regions))
    assert in_a_column(texts, lambda series, found: masked_column(series, regions, found)) == expected


@given(st.lists(TEXTS | WORDS, max_size=8))
def test_identifiers_in_a_column_become_the_same_pseudonyms(texts):
    expected = one_by_one(texts, lambda text: pseudonymised(text, KEY))
    assert in_a_column(texts, lambda series, found: pseudonymised_column(series, KEY, found)) == expected


@pytest.mark.parametrize(("text", "masked", "kind"), FOUND)
def test_nothing_personal_is_passed_over(text, masked, kind):
    texts = ["nothing here", text, None]
    assert in_a_column(texts, lambda series, found: masked_column(series, REGIONS, found)) == (
        ["nothing here", masked, None],
        {1: Counter({kind: 1})},
    )


def test_plain_texts_are_not_looked_at_one_by_one(monkeypatch):
    looked_at = []
    monkeypatch.setattr(masking, "mask", lambda text, regions: looked_at.append(text) or mask(text, regions))
    plain = ["What is the return policy?", "a parcel of 12 kg", "order 482913 is late", "my passport is late"]
    personal = ["passport no. 482913", "mail jane@x.de"]
    masked_column(pl.Series([*plain, *personal, "mail jane@x.de"]), REGIONS, {})
    assert looked_at == personal
