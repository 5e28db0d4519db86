"""Cache writes by how long they live, against usages as providers, gateways and tracers write them."""

import pytest

from aiops_pipelines.inference_log.cache_lives import hour_writes, writes_by_life
from aiops_pipelines.inference_log.langfuse_usage import langfuse_tokens
from aiops_pipelines.inference_log.provider_usage import provider_tokens
from aiops_pipelines.inference_log.record import RecordError
from aiops_pipelines_tests.inference_log.test_tokens import five

BY_LIFE = {"ephemeral_5m_input_tokens": 456, "ephemeral_1h_input_tokens": 100}
BOTH, HOUR = {"5m": 456, "1h": 100}, {"1h": 100}
BEDROCK = {
    **{"inputTokens": 2048, "outputTokens": 503, "totalTokens": 4907},
    **{"cacheReadInputTokens": 1800, "cacheWriteInputTokens": 556},
    "cacheDetails": [{"ttl": "1h", "inputTokens": 100}, {"ttl": "5m", "inputTokens": 456}],
}
LANGCHAIN = {
    **{"input_tokens": 4404, "output_tokens": 503, "total_tokens": 4907},
    "input_token_details": {"cache_read": 1800, "cache_creation": 0, **BY_LIFE},
}
LANGCHAIN_BEFORE = LANGCHAIN | {"input_token_details": {"cache_read": 1800, "cache_creation": 556, **BY_LIFE}}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"cache_creation_input_tokens": 556, "cache_creation": BY_LIFE}, BOTH),
        ({"prompt_tokens_details": {"cache_creation_tokens": 556, "cache_creation_token_details": BY_LIFE}}, BOTH),
        ({"prompt_tokens_details": {"cache_creation_token_details": BY_LIFE}, "cache_creation": BY_LIFE}, BOTH),
        (LANGCHAIN, BOTH),
        (BEDROCK, BOTH),
        ({"usage": BEDROCK}, BOTH),
        ({"input_cache_creation_5m": 456, "input_cache_creation_1h": "100"}, BOTH),
        ({"input_ephemeral_5m_input_tokens": 456, "input_ephemeral_1h_input_tokens": 100}, BOTH),
        ({"gen_ai.usage.cache_creation.ephemeral_1h_input_tokens": 100}, HOUR),
        ({"gen_ai.usage.cache_creation": {"ephemeral_1h_input_tokens": 100}}, HOUR),
        ({"gen_ai.usage.cache_creation_1h.input_tokens": 100.0}, HOUR),
        ({"gen_ai.usage.cache_creation_1h_tokens": 100}, HOUR),
        ({"gen_ai.usage.details.cache_write_1h_tokens": 100}, HOUR),
        ({"llm.token_count.prompt_details.cache_write_1h": 100}, HOUR),
        ({"cache_creation_input_tokens": 248, "cache_creation": None, "cacheDetails": None}, {}),
        ({"cacheDetails": [{"ttl": "1h"}, {"ttl": ["5m"], "inputTokens": 3}, 7], "iterations": [{"cache_creation": BY_LIFE}]}, {}),
        ([BY_LIFE], {}),
        (None, {}),
    ],
)  # fmt: skip
def test_stated_lives_are_read(usage, expected):
    assert writes_by_life(usage) == expected
    assert hour_writes(usage) == ({"cache_write_1h": 100} if "1h" in expected else {})


@pytest.mark.parametrize("wrong", ["many", -1, 10**30, 0.5, [100], True])
def test_a_count_that_is_none_is_named_where_it_is_needed_and_unknown_where_it_is_not(wrong):
    lives = {"ephemeral_1h_input_tokens": wrong}
    assert hour_writes({"cache_creation": lives}) == {}
    stated = {
        "input_tokens": 9,
        "output_tokens": 1,
        "cache_creation_input_tokens": 556,
        "cache_creation": lives,
    }
    assert provider_tokens(stated).cache_write == 556
    with pytest.raises(RecordError, match="ephemeral_1h_input_tokens"):
        provider_tokens({"input_tokens": 9, "output_tokens": 1, "input_token_details": lives})


@pytest.mark.parametrize("usage", [BEDROCK, LANGCHAIN, LANGCHAIN_BEFORE])
def test_all_writes_are_their_sum(usage):
    """LangChain states 0 writes in all beside their lives, since its details must not exceed the input."""
    assert five(provider_tokens(usage)) == (2048, 1800, 556, 503, 0)


def test_all_writes_are_the_sum_of_what_langchain_hands_to_langfuse():
    lives = {f"input_{name}": tokens for name, tokens in BY_LIFE.items()}
    usage = {
        "input": 2048,
        "input_cache_read": 1800,
        "input_cache_creation": 0,
        **lives,
        "output": 503,
        "total": 4907,
    }
    assert five(langfuse_tokens(usage)) == (2048, 1800, 556, 503, 0)
