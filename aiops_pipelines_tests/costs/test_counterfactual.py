"""Calls as they would have been: tokens go from the price at which they were charged."""

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.costs.counterfactual import PARTS, unasked, uncached_behind, without
from aiops_pipelines.costs.prices import TOKENS
from aiops_pipelines_tests.costs.made_calls import PRICING, calls

PROMPT = {"system_prompt_tokens": 1_000, "context_tokens": 500, "input_uncached": 700, "cache_read": 800}
INPUT = ["input_uncached", "cache_read", "cache_write"]


@pytest.mark.parametrize(
    ("part", "removed", "uncached", "read", "saved"),
    [
        ("system_prompt", 500, 600, 400, 100 + 40),
        ("context", 250, 450, 800, 250),
        ("context", 900, 200, 800, 500),
        ("history", 100, 700, 800, 0),
        ("context", -5, 700, 800, 0),
    ],
)
def test_tokens_go_from_where_they_were_charged(part, removed, uncached, read, saved):
    """A dollar a million, a dime of it from a cache, which serves 800 of the 1,000 tokens in front."""
    frame = calls(2, **PROMPT)
    then = without(frame, part, pl.lit(removed))
    assert then.select(INPUT).row(0) == (uncached, read, 0)
    assert PRICING.saved(frame, then).to_list() == pytest.approx([saved / 1e6] * 2)


def test_behind_the_front_cached_tokens_are_shared():
    """1,200 read from a cache: 200 of the 500 behind the front, so a fifth of them less is 40 read and 60 others."""
    frame = calls(1, **{**PROMPT, "input_uncached": 300, "cache_read": 1_200})
    assert without(frame, "context", pl.lit(100)).select(INPUT).row(0) == (240, 1_160, 0)


def test_what_is_cached_behind_a_cut_is_paid_in_full():
    frame = calls(1, **{**PROMPT, "input_uncached": 300, "cache_read": 900, "cache_write": 300})
    assert uncached_behind(frame, pl.lit(True)).select(INPUT).row(0) == (500, 900, 100)
    assert uncached_behind(frame, pl.lit(False)).equals(frame)


def test_a_call_that_is_not_made_saves_all_of_it():
    frame = calls(3, **PROMPT, output_visible=50)
    then = unasked(frame, pl.col("event_id") == "e1")
    cost = (700 + 80 + 200) / 1e6
    assert PRICING.saved(frame, then).to_list() == pytest.approx([0, cost, 0])


def test_what_cannot_be_priced_saves_an_unknown_amount():
    frame = calls(2, **PROMPT)
    then = frame.with_columns(model_served=pl.Series(["m", "unpriced"]))
    assert PRICING.saved(frame, then).to_list() == [0.0, None]


counts = st.integers(0, 5_000)


@given(
    st.fixed_dictionaries({part: counts for part in PARTS}),
    counts,
    counts,
    st.sampled_from(PARTS),
    st.integers(0, 9_000),
)
def test_taking_tokens_away_takes_so_many_and_leaves_none_below_zero(parts, read, write, part, removed):
    total = sum(parts.values())
    read, write = min(read, total), min(write, max(total - read, 0))
    frame = calls(
        1,
        **{f"{name}_tokens": tokens for name, tokens in parts.items()},
        **{"input_uncached": total - read - write, "cache_read": read, "cache_write": write},
    )
    then = without(frame, part, pl.lit(removed))
    left = sum(then.select(INPUT).row(0))
    assert abs(total - left - min(removed, parts[part])) <= 2, "rounded by price"
    assert min(then.select(*INPUT, *(f"{name}_tokens" for name in PARTS)).row(0)) >= 0
    assert Decimal(str(PRICING.saved(frame, then)[0])) >= -Decimal("0.00001")
    assert then.select(set(TOKENS) - set(INPUT)).equals(frame.select(set(TOKENS) - set(INPUT)))
