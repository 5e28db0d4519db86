"""The canonical record: its columns are the declared table's, its values what the columns hold."""

import math
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.inference_log.record import SCHEMA, RecordError, normal_form
from aiops_pipelines.resources.tables import declared_tables

PROJECT = Path(__file__).parents[2] / "dbt_project"
CALL = {"event_id": "e1", "occurred_at": "2026-06-01T12:00:00Z"}


def test_columns_are_those_of_the_declared_table():
    declared = declared_tables(PROJECT)["inference_log.inferences"].schema
    assert list(declared.items()) == list(SCHEMA.items())


def test_a_minimal_call_is_a_record_with_nulls_a_chat_and_ok():
    record = normal_form(CALL)
    assert record["occurred_at"] == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert (record["operation"], record["status"]) == ("chat", "ok")
    assert {name for name, value in record.items() if value is not None} == {*CALL, "operation", "status"}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-03-29T02:30:00+02:00", datetime(2026, 3, 29, 0, 30, tzinfo=UTC)),  # within the hour DST skips
        ("2026-06-01 12:00:00", datetime(2026, 6, 1, 12, tzinfo=UTC)),
        ("2026-06-01T12:00:00.123456789Z", datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2026-12-31T23:30:00-05:00", datetime(2027, 1, 1, 4, 30, tzinfo=UTC)),
    ],
)
def test_times_become_utc(written, read):
    assert normal_form(CALL | {"occurred_at": written})["occurred_at"] == read


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("event_id", None, "event_id is missing"),
        ("event_id", "  ", "event_id is missing"),
        ("event_id", 7, "event_id must be text, not a number"),
        ("event_id", "a\0b", "event_id holds a NUL"),
        ("query", "half \ud83d", "query holds half of a surrogate pair"),
        ("occurred_at", None, "occurred_at is missing"),
        ("occurred_at", "yesterday", "occurred_at is not an ISO 8601 time"),
        ("occurred_at", "2026-06-01", "no time of day"),
        ("occurred_at", 1780315200, "occurred_at must be text"),
        ("occurred_at", "1970-01-01T00:00:00Z", "year 1970"),
        ("occurred_at", "9999-12-31T23:59:59-12:00", "year 9999"),
        ("occurred_at", "2026-06-30T23:59:60Z", "not an ISO 8601 time"),  # a leap second
        ("latency_ms", -1, "latency_ms is -1"),
        ("latency_ms", "12", "latency_ms must be a number, not text"),
        ("latency_ms", True, "latency_ms must be a number, not true/false"),
        ("latency_ms", math.inf, "latency_ms is not a finite number"),
        ("latency_ms", 10**400, "latency_ms"),
        ("time_to_first_token_ms", 1e9, "time_to_first_token_ms"),
        ("rating", 2, "rating is 2"),
        ("rating", math.nan, "rating is not a finite number"),
        ("status", "great", "status must be one of"),
        ("status", ["ok"], "status must be one of"),
        ("retrieved", {"chunk_id": "c"}, "retrieved must be a list of objects"),
        ("retrieved", [{"document": "d"}], "entry without chunk_id"),
        ("retrieved", [{"chunk_id": "c", "score": math.nan}], "retrieved.score is not a finite number"),
        ("guardrail_events", [{"action": "blocked"}], "entry without guardrail"),
        ("source_seq", -1, "source_seq is -1; it must be a whole number from 0"),
        ("source_seq", 1.5, "source_seq is 1.5"),
        ("source_seq", 10**19, "digits"),
        ("source_seq", "7", "source_seq must be a number"),
        ("cost_reported_usd", "free", "cost_reported_usd is not an amount"),
        ("cost_reported_usd", "NaN", "cost_reported_usd must be a finite amount"),
        ("cost_reported_usd", -0.1, "cost_reported_usd must be a finite amount"),
    ],
)
def test_what_a_column_cannot_hold_is_refused_by_name(field, value, said):
    with pytest.raises(RecordError, match=said):
        normal_form(CALL | {field: value})


@pytest.mark.parametrize(
    ("models", "provider"),
    [
        ({"model_requested": "openai/gpt-4o"}, "openai"),
        (
            {"model_requested": "our-gateway", "model_served": "eu.anthropic.claude-3-haiku-20240307-v1:0"},
            "aws",
        ),
        ({"model_served": "Claude-3-haiku"}, "anthropic"),
        ({"model_served": "claude-3-haiku-20240307-v1:0"}, "anthropic"),
        ({"model_served": "deepseek/deepseek-r1:free"}, None),
        ({"model_served": "gpt-4o", "provider": "azure"}, "azure"),
        ({"model_requested": "azure/gpt-4o"}, "azure"),
        ({"model_requested": "bedrock/us.anthropic.claude-3-5-sonnet-20241022-v2:0"}, "aws"),
        ({"model_requested": "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo"}, "together"),
        ({"model_requested": "groq/openai/gpt-oss-120b"}, "groq"),
        ({"model_requested": "models/gemini-2.5-flash"}, "google"),
        ({"model_requested": "projects/p/locations/l/publishers/google/models/gemini-2.5-flash"}, "google"),
        ({"model_requested": "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2"}, "aws"),
        ({"model_requested": "openai.gpt-oss-120b-1:0"}, "aws"),
        ({"model_served": "ft:gpt-4o-mini-2024-07-18:acme::abc123"}, "openai"),
        ({"model_served": "open-mistral-7b"}, "mistral"),
        ({"model_served": "voxtral-small-2507"}, "mistral"),
        ({"model_served": "embed-v4.0"}, "cohere"),
        ({"model_served": "computer-use-preview"}, "openai"),
        ({"model_served": "gpt-4o", "provider": "Azure OpenAI"}, "azure"),
        ({"model_served": "xai/grok-4", "provider": "gateway"}, "x-ai"),
        ({"model_served": "gpt-4o", "provider": "litellm_proxy"}, "openai"),
        ({"model_served": "our-model"}, None),
        ({"model_served": "models/our-model"}, None),
        ({"model_served": "deepseek-r1:7b"}, None),
        ({"model_served": "deepseek-r1-distill-llama-70b"}, None),
        ({"model_served": "openai/gpt-oss-20b"}, None),
        ({"model_served": "mixtral-8x7b-32768"}, None),
        ({}, None),
    ],
)
def test_a_provider_that_is_not_named_is_the_one_that_sells_the_model(models, provider):
    assert normal_form(CALL | models)["provider"] == provider


def test_values_take_their_normal_form():
    record = normal_form(
        CALL
        | {
            "provider": " GCP.Vertex_AI ",
            "latency_ms": 12.6,
            "rating": 0,
            "cost_reported_usd": 0.0000123,
            "session_id": "",
            "query": "",
            "retrieved": [{"chunk_id": "c", "score": 1, "rank": 3}],
        }
    )
    assert record["provider"] == "google"
    assert record["latency_ms"] == 13
    assert record["rating"] is None
    assert record["cost_reported_usd"] == Decimal("0.000012300000")
    assert record["session_id"] is None
    assert record["query"] == ""
    assert record["retrieved"] == [{"chunk_id": "c", "document": None, "score": 1}]


@given(
    st.dictionaries(
        st.sampled_from(sorted(normal_form(CALL))),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
def test_any_value_is_taken_or_refused_with_its_field(fields):
    try:
        record = normal_form(CALL | fields)
    except RecordError as error:
        assert any(name in str(error) for name in fields)
    else:
        assert normal_form(record) == record
