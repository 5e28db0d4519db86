"""Tokens that are priced apart, beside the tokens they are part of."""

import polars as pl
import pytest

from aiops_pipelines.inference_log.priced_apart import with_priced_apart, with_stated_tier
from aiops_pipelines.inference_log.record import APART_COLUMNS, TOKEN_COLUMNS
from aiops_pipelines.inference_log.tokens import usage_json
from aiops_pipelines_tests.inference_log.test_cache_lives import BEDROCK
from aiops_pipelines_tests.inference_log.test_modalities import OPENAI


def columns(usage, *five):
    row = dict(zip(TOKEN_COLUMNS, five, strict=True)) | {"usage_raw": usage_json(usage)}
    schema = dict.fromkeys(TOKEN_COLUMNS, pl.Int64) | {"usage_raw": pl.String}
    found = with_priced_apart(pl.DataFrame([row], schema=schema)).select(*APART_COLUMNS).row(0, named=True)
    return {name: value for name, value in found.items() if value is not None}


def test_counts_stand_beside_the_tokens_they_are_part_of():
    expected = {"input_uncached_audio": 20, "cache_read_audio": 80, "output_audio": 30}
    assert columns(OPENAI, 36, 84, 0, 20, 10) == expected
    assert columns(None, 1, 0, 0, 1, 0) == columns({"input": 1}, 1, 0, 0, 1, 0) == {}


def test_more_audio_than_tokens_is_a_contradiction_and_counts_as_unknown():
    assert columns(OPENAI, 19, 84, 0, 30, 0) == {"cache_read_audio": 80, "output_audio": 30}
    assert columns(OPENAI, 20, 79, 0, 29, 0) == {"input_uncached_audio": 20}
    both = {"input_audio": 6, "input_image": 5}
    assert columns(both, 10, 0, 0, 0, 0) == {}
    assert columns(both, 11, 0, 0, 0, 0) == {"input_uncached_audio": 6, "input_uncached_image": 5}
    assert columns({"input_audio": 1, "input_cached_audio": 2}, 9, 9, 0, 0, 0) == {"cache_read_audio": 2}


def test_writes_for_an_hour_stand_beside_all_writes():
    usage = {"cache_creation": {"ephemeral_5m_input_tokens": 456, "ephemeral_1h_input_tokens": 100}}
    assert columns(usage, 2048, 1800, 556, 503, 0) == {"cache_write_1h": 100}
    assert columns(usage, 2048, 1800, 99, 503, 0) == {}
    none = {"cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 9}}
    assert columns(none, 1, 0, 9, 1, 0) == {}
    assert columns(BEDROCK, 2048, 1800, 556, 503, 0) == {"cache_write_1h": 100}
    bedrock = {"cacheDetails": [{"inputTokens": 100, "ttl": "1h"}]}
    assert columns(bedrock, 2048, 1800, 556, 503, 0) == {"cache_write_1h": 100}
    assert columns({"cache_creation_input_tokens": 248}, 2048, 1800, 248, 503, 0) == {}


@pytest.mark.parametrize(
    ("usage", "known", "tier"),
    [
        ({"input_tokens": 1, "service_tier": "batch"}, None, "batch"),
        ({"input_tokens": 1, "service_tier": "standard"}, None, None),
        ({"input_tokens": 1, "service_tier": "scale"}, None, "scale"),
        ({"input_tokens": 1, "service_tier": "batch"}, "flex", "flex"),
        ({"input_tokens": 1, "service_tier": "standard", "speed": "fast"}, None, "fast"),
        ({"promptTokenCount": 1, "trafficType": "PROVISIONED_THROUGHPUT"}, None, "provisioned_throughput"),
        ({"promptTokenCount": 1, "trafficType": "ON_DEMAND_FLEX"}, None, "flex"),
        ({"promptTokenCount": 1, "trafficType": "ON_DEMAND"}, None, None),
        ({"inputTokens": 1, "serviceTier": {"type": "priority"}}, None, "priority"),
        ({"input_tokens": 9, "input_token_details": {"flex_cache_read": 4, "flex": 5}}, None, "flex"),
        ([{"service_tier": "batch"}], None, None),
        (None, None, None),
    ],
)
def test_a_tier_that_the_usage_states_is_the_one_of_a_call_that_names_none(usage, known, tier):
    beside = with_stated_tier(
        pl.DataFrame(
            {"usage_raw": [usage and usage_json(usage), None], "service_tier": [known, "flex"]},
            schema=dict.fromkeys(("usage_raw", "service_tier"), pl.String),
        )
    )
    assert beside["service_tier"].to_list() == [tier, "flex"]
