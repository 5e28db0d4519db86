"""Tokens without double counting: known shapes, the total that decides, and parts that add up."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.inference_log.otlp_usage import reported_cost, span_tokens
from aiops_pipelines.inference_log.provider_usage import provider_tokens
from aiops_pipelines.inference_log.record import RecordError
from aiops_pipelines.inference_log.tokens import (
    PARTS,
    Tokens,
    Usage,
    apportion,
    part_method,
    split,
    token_columns,
)
from aiops_pipelines_tests.shared_data import shared

FIVE = st.tuples(*[st.integers(0, 10_000)] * 5)


def five(tokens):
    return (
        tokens.input_uncached,
        tokens.cache_read,
        tokens.cache_write,
        tokens.output_visible,
        tokens.reasoning,
    )


def chat_completions(uncached, read, write, visible, reasoning):
    return {
        "prompt_tokens": uncached + read + write,
        "completion_tokens": visible + reasoning,
        "total_tokens": uncached + read + write + visible + reasoning,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": write},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def responses(uncached, read, write, visible, reasoning):
    return {
        "input_tokens": uncached + read + write,
        "input_tokens_details": {"cached_tokens": read, "cache_write_tokens": write},
        "output_tokens": visible + reasoning,
        "output_tokens_details": {"reasoning_tokens": reasoning},
    }


def anthropic(uncached, read, write, visible, reasoning):
    return {
        "input_tokens": uncached,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": write,
        "output_tokens": visible + reasoning,
        "output_tokens_details": {"thinking_tokens": reasoning},
    }


def gemini(uncached, read, write, visible, reasoning):
    return {
        "usageMetadata": {
            "promptTokenCount": uncached + read,
            "toolUsePromptTokenCount": write,
            "cachedContentTokenCount": read,
            "candidatesTokenCount": visible,
            "thoughtsTokenCount": reasoning,
            "totalTokenCount": uncached + read + write + visible + reasoning,
        }
    }


def bedrock(uncached, read, write, visible, reasoning):
    return {
        "inputTokens": uncached,
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": write,
        "outputTokens": visible + reasoning,
        "totalTokens": uncached + read + write + visible + reasoning,
    }


def genai_conventions(uncached, read, write, visible, reasoning):
    return {
        "gen_ai.usage.input_tokens": uncached + read + write,
        "gen_ai.usage.cache_read.input_tokens": read,
        "gen_ai.usage.cache_creation.input_tokens": write,
        "gen_ai.usage.output_tokens": visible + reasoning,
        "gen_ai.usage.reasoning.output_tokens": reasoning,
    }


def openinference(uncached, read, write, visible, reasoning):
    return {
        "llm.token_count.prompt": uncached + read + write,
        "llm.token_count.prompt_details.cache_read": read,
        "llm.token_count.prompt_details.cache_write": write,
        "llm.token_count.completion": visible + reasoning,
        "llm.token_count.completion_details.reasoning": reasoning,
        "llm.token_count.total": uncached + read + write + visible + reasoning,
    }


@pytest.mark.parametrize(
    ("shape", "read", "convention"),
    [
        (chat_completions, provider_tokens, "inclusive"),
        (responses, provider_tokens, "inclusive"),
        (anthropic, provider_tokens, "disjoint"),
        (genai_conventions, span_tokens, "inclusive"),
        (openinference, span_tokens, "inclusive"),
    ],
)
@given(counts=FIVE)
def test_canonical_tokens_survive_each_shape(shape, read, convention, counts):
    tokens = read(shape(*counts))
    assert five(tokens) == counts
    assert tokens.total == sum(counts)
    assert tokens.convention == convention


@given(counts=FIVE)
def test_gemini_counts_thoughts_beside_and_tool_prompts_as_input(counts):
    uncached, read, tools, visible, reasoning = counts
    assert five(provider_tokens(gemini(*counts))) == (uncached + tools, read, 0, visible, reasoning)


@given(counts=FIVE)
def test_bedrock_counts_cached_input_beside(counts):
    uncached, read, write, visible, reasoning = counts
    tokens = provider_tokens(bedrock(*counts))
    assert five(tokens) == (uncached, read, write, visible + reasoning, 0)


@given(counts=FIVE, inside=st.booleans())
def test_an_alias_is_decided_by_its_total(counts, inside):
    uncached, read, write, visible, _ = counts
    attributes = {
        "gen_ai.usage.input_tokens": uncached + (read + write if inside else 0),
        "gen_ai.usage.cache_read_tokens": read,
        "gen_ai.usage.cache_write_tokens": write,
        "gen_ai.usage.output_tokens": visible,
        "gen_ai.usage.total_tokens": uncached + read + write + visible,
    }
    assert five(span_tokens(attributes)) == (uncached, read, write, visible, 0)


def test_an_alias_without_total_is_ambiguous_and_kept_as_inclusive():
    aliased = {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.cache_read_input_tokens": 80,
        "gen_ai.usage.output_tokens": 5,
    }
    assert span_tokens(aliased) == Tokens(20, 80, 0, 5, 0, 105, "ambiguous")
    impossible = aliased | {"gen_ai.usage.input_tokens": 10}
    assert span_tokens(impossible) == Tokens(10, 80, 0, 5, 0, 95, "disjoint")
    standard = {
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 80,
        "gen_ai.usage.output_tokens": 5,
    }
    assert span_tokens(standard) == Tokens(20, 80, 0, 5, 0, 105, "inclusive")


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 6_000, "output_tokens": 50, "cache_read_input_tokens": 5_000},
        {"prompt_tokens": 6_000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 5_000}},
        {"promptTokenCount": 6_000, "candidatesTokenCount": 50, "cachedContentTokenCount": 5_000},
    ],
)
def test_fields_of_other_providers_that_are_null_change_nothing(usage):
    others = (
        "prompt_tokens",
        "completion_tokens",
        "cache_read_input_tokens",
        "inputTokens",
        "promptTokenCount",
        "total_tokens",
    )
    padded = dict.fromkeys(others) | usage
    assert provider_tokens(padded) == provider_tokens(usage)


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (
            {"prompt_tokens": 100, "completion_tokens": 20, "prompt_token_details": {"cached_tokens": 64}},
            (36, 64, 0, 20, 0),
        ),
        (
            {
                "promptTokenCount": 100,
                "responseTokenCount": 20,
                "thoughtsTokenCount": 5,
                "totalTokenCount": 125,
            },
            (100, 0, 0, 20, 5),
        ),
        (
            {"prompt_token_count": 100, "response_token_count": 20, "total_token_count": 120},
            (100, 0, 0, 20, 0),
        ),
    ],
)
def test_names_of_gateways_and_of_geminis_live_sessions(usage, counts):
    assert five(provider_tokens(usage)) == counts


def test_the_total_overrules_the_shape():
    assert split(Usage(100, 20, cache_read=80, total=200)) == Tokens(100, 80, 0, 20, 0, 200, "disjoint")
    beside = Usage(100, 20, cache_read=80, total=120, cached_inside=False)
    assert split(beside) == Tokens(20, 80, 0, 20, 0, 120, "inclusive")
    # A gateway that reports reasoning beside a chat completion's output.
    assert split(Usage(10, 5, reasoning=7, total=22)) == Tokens(10, 0, 0, 5, 7, 22, "inclusive")


def test_a_total_that_nothing_adds_up_to_is_kept_and_flagged():
    assert split(Usage(10, 5, total=99)) == Tokens(10, 0, 0, 5, 0, 99, "ambiguous")


@given(
    st.builds(
        Usage,
        *[st.integers(0, 50)] * 5,
        total=st.none() | st.integers(0, 250),
        cached_inside=st.none() | st.booleans(),
        reasoning_inside=st.booleans(),
    )
)
def test_counts_are_never_negative_and_add_up_unless_flagged(usage):
    tokens = split(usage)
    assert min(five(tokens)) >= 0
    assert tokens.convention == "ambiguous" or sum(five(tokens)) == tokens.total
    assert usage.total in (None, tokens.total)


@pytest.mark.parametrize(
    ("usage", "said"),
    [
        ({"prompt_tokens": -1, "completion_tokens": 1}, "usage.prompt_tokens is -1"),
        ({"prompt_tokens": 1.5, "completion_tokens": 1}, "usage.prompt_tokens is 1.5"),
        ({"prompt_tokens": "12 k", "completion_tokens": 1}, "usage.prompt_tokens must be a number, not text"),
        ({"prompt_tokens": "-12", "completion_tokens": 1}, "usage.prompt_tokens must be a number, not text"),
        ({"input_uncached": "12", "output_visible": 1}, "usage.input_uncached must be a number, not text"),
        ({"prompt_tokens": 10**9, "completion_tokens": 1}, r"from 0 to below 1,000,000,000"),
        ({"prompt_tokens": float("inf"), "completion_tokens": 1}, "not a finite number"),
        ({"prompt_tokens": 10, "total_tokens": 3}, "total that is smaller"),
        ({"input_uncached": 1, "output_visible": 2, "tokens_total": 9}, "add up to 3"),
        ({"input_uncached": 1}, "lack input_uncached or output_visible"),
        ([1], "usage must be an object, not a list"),
    ],
)
def test_absurd_usage_is_refused(usage, said):
    """C07: negative, fractional, infinite and absurd token counts."""
    with pytest.raises(RecordError, match=said):
        provider_tokens(usage)


def test_usage_that_does_not_tell_is_not_zero():
    assert provider_tokens({}) is None
    assert provider_tokens({"completion_tokens": 4}) is None
    assert provider_tokens({"prompt_tokens": 4, "total_tokens": 4}) == Tokens(4, 0, 0, 0, 0, 4, "inclusive")
    assert span_tokens({"gen_ai.usage.output_tokens": 4}) is None
    assert set(token_columns(None).values()) == {None}


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=6), st.integers(0, 10_000))
def test_apportioned_parts_add_up_and_stay_near_their_share(weights, total):
    shares = apportion(weights, total)
    if shares is None:
        assert not any(weights)
    else:
        assert sum(shares) == total
        assert all(abs(s - w * total / sum(weights)) < 1 for s, w in zip(shares, weights, strict=True))


def test_parts_by_hand():
    assert apportion([1, 1, 1], 10) == [4, 3, 3]
    assert apportion([0, 0], 10) is None
    tokens = Tokens(90, 10, 0, 20, 5, 125, "inclusive")
    columns = token_columns(tokens, dict(zip(PARTS, (50, 0, 30, 0, 20), strict=True)), "reported")
    assert [columns[f"{part}_tokens"] for part in PARTS] == [50, 0, 30, 0, 20]
    assert columns["completion_tokens"] == 25
    assert columns["part_method"] == "reported"
    assert token_columns(tokens)["part_method"] is None


def test_parts_are_counted_only_if_exact_and_near():
    tokens = Tokens(100, 0, 0, 1, 0, 101, "inclusive")
    assert part_method({"user": 91}, tokens, True) == "counted"
    assert part_method({"user": 89}, tokens, True) == "estimated"
    assert part_method({"user": 100}, tokens, False) == "estimated"


def test_reported_cost_is_in_dollars_only():
    assert reported_cost({"gen_ai.usage.cost": 0.5}) == 0.5
    assert reported_cost({"gen_ai.usage.cost.amount": 0.5, "gen_ai.usage.cost.currency": "USD"}) == 0.5
    assert reported_cost({"gen_ai.usage.cost.amount": 0.5, "gen_ai.usage.cost.currency": "EUR"}) is None


def test_recorded_usage_bodies_give_the_expected_input_and_output():
    file = shared("prices/provider_usage_bodies.jsonl.gz")
    compared = 0
    for line in gzip.decompress(file.read_bytes()).splitlines():
        body, expected = (entry := json.loads(line))["body"], entry["extracted"][0]["usage"]
        usage = body.get("usage") or body.get("usageMetadata")
        if usage and (tokens := provider_tokens(usage)):
            assert (tokens.input, tokens.output) == (
                expected["input_tokens"],
                expected.get("output_tokens", 0),
            )
            assert tokens.convention == "ambiguous" or sum(five(tokens)) == tokens.total
            compared += 1
    assert compared > 700
