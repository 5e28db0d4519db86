"""Levers on prompts: what is cached, said twice or never used is found with its size, and what is not stays."""

from datetime import timedelta

import orjson
import polars as pl
import pytest

from aiops_pipelines.costs.counterfactual import unasked
from aiops_pipelines.costs.prompt_caching import prompt_caching, served
from aiops_pipelines.costs.prompt_compression import prompt_compression, unused_tools
from aiops_pipelines.costs.prompt_texts import PROMPTS, constant_shares, definitions, repeated
from aiops_pipelines_tests.costs.made_calls import PRICING, calls, found

FOUR_MINUTES = timedelta(minutes=4)
LONG = {"system_prompt_tokens": 2_000, "user_tokens": 500, "input_uncached": 2_500, "output_visible": 100}


def test_a_long_constant_beginning_is_to_be_cached():
    """10,000 calls four minutes apart: 2,000 tokens each at a dime instead of a dollar, but for the first, which is written."""
    [row] = found(calls(10_000, every=FOUR_MINUTES, **LONG), prompt_caching)
    assert row["verdict"] == "propose" and row["loss_high"] == 0
    assert float(row["saving_usd"]) == pytest.approx((9_999 * 2_000 * 0.9 - 2_000 * 0.25) / 1e6)
    assert row["low_usd"] <= row["saving_usd"] <= row["high_usd"]
    assert float(row["spend_usd"]) == pytest.approx(10_000 * (2_500 + 400) / 1e6)
    assert len(row["examples"]) == 3 and "whether it is the same text was not seen" in row["evidence"]


@pytest.mark.parametrize(
    ("less", "why"),
    [
        ({"system_prompt_tokens": 900, "input_uncached": 1_400}, "no constant beginning of 1,024 tokens"),
        ({"provider": "anthropic"}, "no constant beginning of 4,096 tokens"),
        ({"cache_read": 1_920, "input_uncached": 580}, "what could be cached is"),
        ({"every": timedelta(minutes=6)}, "it would cost more than it saves"),
        ({"system_prompt_tokens": lambda n: 1_100 + n % 9 * 200}, "no constant beginning"),
    ],
)
def test_what_no_cache_would_serve_is_not_proposed(less, why):
    [row] = found(calls(3_000, **{"every": FOUR_MINUTES, **LONG, **less}), prompt_caching)
    assert row["verdict"] == "nothing to save" and why in row["reason"]


def test_a_log_without_parts_of_prompts_cannot_be_judged():
    [row] = found(calls(3_000, every=FOUR_MINUTES, input_uncached=2_500), prompt_caching)
    assert row["verdict"] == "cannot tell" and "does not say how long" in row["reason"]


def prompts(
    text: str, number: int = 200, tools: str | None = None, mentioned: list[str] | None = None
) -> pl.DataFrame:
    rows = [(f"e{n}", None, text.replace("#", str(n)), tools, mentioned or []) for n in range(number)]
    return pl.DataFrame(rows, schema=PROMPTS, orient="row")


def test_what_changes_in_each_prompt_is_not_cached():
    """Of 21 characters 14 are of a line that changes: of 2,000 tokens 667 are constant, too few; of 4,000 1,333."""
    texts = prompts("now it is ###\nbe kind")
    assert constant_shares(texts.head(10))["constant_share"].item() == pytest.approx(1 / 3)
    few = calls(3_000, every=FOUR_MINUTES, **LONG)
    assert found(few, prompt_caching, samples={"prompts": texts})[0]["verdict"] == "nothing to save"
    more = calls(
        10_000, every=FOUR_MINUTES, **{**LONG, "system_prompt_tokens": 4_000, "input_uncached": 4_500}
    )
    [row] = found(more, prompt_caching, samples={"prompts": texts.head(10)})
    constant = 4_000 // 3
    assert float(row["saving_usd"]) == pytest.approx((9_999 * constant * 0.9 - constant * 0.25) / 1e6)
    assert "by their texts" in row["evidence"]


TWICE = "Answer in one line. Be kind to all users. Answer in one line. ok."


def test_what_a_prompt_says_twice_is_found_by_sentence():
    assert list(repeated(TWICE)) == [("Answer in one line. ", 1, 3)]
    assert list(
        repeated("Yes.\nYes.\nName each source you used here.\nname each source, you used here!")
    ) == [("name each source, you used here!", 3, 4)]
    assert list(repeated("Plan A refunds within 30 days. Plan A refunds within 60 days.")) == []


def test_repeated_instructions_save_what_they_cost():
    """20 of 65 characters are said before: 2,000 tokens lose 615, in 3,000 calls, at a dollar a million."""
    [row] = found(
        calls(3_000, every=FOUR_MINUTES, **LONG), prompt_compression, samples={"prompts": prompts(TWICE)}
    )
    assert row["verdict"] == "propose" and row["loss_high"] is None
    assert float(row["saving_usd"]) == pytest.approx(3_000 * 615 / 1e6, rel=2e-3)
    assert "3 says 1 again" in row["evidence"] and "Answer" not in str(row)


def test_repeated_instructions_that_a_cache_serves_save_little():
    """All 2,000 tokens are read from a cache at a tenth of the price: so is what would be saved."""
    cached = calls(3_000, every=FOUR_MINUTES, **{**LONG, "cache_read": 2_000, "input_uncached": 500})
    [row] = found(cached, prompt_compression, samples={"prompts": prompts(TWICE)})
    assert float(row["saving_usd"]) == pytest.approx(3_000 * 615 * 0.1 / 1e6, rel=2e-3)


def test_prompts_whose_texts_are_not_logged_cannot_be_judged():
    frame = calls(3_000, every=FOUR_MINUTES, **LONG, tools_tokens=100)
    for row in found(frame, prompt_compression, unused_tools):
        assert row["verdict"] == "cannot tell" and "no texts" in row["reason"]


TOOLS = orjson.dumps([
    {"type": "function", "function": {"name": "search_pages", "parameters": {"type": "object"}}},
    {"type": "function", "function": {"name": "delete_pages", "parameters": {"type": "object"}}},
]).decode()  # fmt: skip


def test_calls_that_declare_no_tools_are_told_from_those_of_which_it_is_not_known():
    for tools, verdict, why in (
        (0, "nothing to save", "no call declares"),
        (None, "cannot tell", "does not say whether"),
    ):
        [row] = found(calls(300, **LONG, tools_tokens=tools), unused_tools)
        assert row["verdict"] == verdict and why in row["reason"]


def test_tools_are_named_however_they_are_nested():
    size = len(orjson.dumps({"name": "search_pages", "parameters": {"type": "object"}}))
    assert list(definitions(TOOLS)) == [("search_pages", size), ("delete_pages", size)]
    gemini = [
        {"functionDeclarations": [{"name": "a", "parameters": {}}]},
        orjson.dumps({"name": "b"}).decode(),
    ]
    assert [name for name, _ in definitions(orjson.dumps(gemini).decode())] == ["a", "b"]
    assert list(definitions("no JSON")) == []


def test_tools_that_no_call_names_are_left_out():
    """One of two, half of 1,000 tokens; none of 200 calls needed it, so at most 1 - 0.025^(1/200) = 1.83 % may."""
    with_tools = {**LONG, "tools_tokens": 1_000, "input_uncached": 3_500}
    samples = {"prompts": prompts("x", 200, TOOLS, ["search_pages"])}
    [row] = found(calls(3_000, every=FOUR_MINUTES, **with_tools), unused_tools, samples=samples)
    assert (row["verdict"], row["judged"]) == ("propose", 200) and "delete_pages" in row["change"]
    assert float(row["saving_usd"]) == pytest.approx(3_000 * 500 / 1e6)
    assert row["loss_high"] == pytest.approx(1 - 0.025 ** (1 / 200))
    [few] = found(
        calls(3_000, every=FOUR_MINUTES, **with_tools),
        unused_tools,
        samples={"prompts": samples["prompts"].head(100)},
    )
    assert few["verdict"] == "cannot tell" and "answers may lose 3.6" in few["reason"].replace("\u00a0", " ")
    used = {"prompts": prompts("x", 200, TOOLS, ["search_pages", "delete_pages"])}
    assert (
        found(calls(3_000, every=FOUR_MINUTES, **with_tools), unused_tools, samples=used)[0]["verdict"]
        == "nothing to save"
    )


def test_calls_that_another_lever_leaves_out_do_not_shorten_the_constant_part():
    """Every second call is served elsewhere: the others, eight minutes apart, find no cache that is warm."""
    frame = calls(3_000, every=FOUR_MINUTES, **LONG)
    half = unasked(frame, pl.col("draw") % 2 == 0)
    dearer = PRICING.saved(half, served(half, 1_024, constant_shares(pl.DataFrame()))).sum()
    assert dearer == pytest.approx(-1_500 * 2_000 * 0.25 / 1e6)
    some = unasked(frame, pl.col("draw") % 3 == 0)
    each = PRICING.saved(some, served(some, 1_024, constant_shares(pl.DataFrame())))
    assert each.sum() == pytest.approx((1_000 * 0.9 - 1_000 * 0.25) * 2_000 / 1e6)
