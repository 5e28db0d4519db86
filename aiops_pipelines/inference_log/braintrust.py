"""What stands where in spans of Braintrust's project logs, as its fetch and SQL endpoints answer them."""

from collections.abc import Mapping
from typing import Any

from aiops_pipelines.inference_log.export_tables import NO_ANSWER, Export, Row
from aiops_pipelines.inference_log.messages import object_in
from aiops_pipelines.inference_log.record import number

WRITES_BY_LIFE = ("prompt_cache_creation_5m_tokens", "prompt_cache_creation_1h_tokens")
OPERATIONS = {"Embedding": "embeddings", "Moderation": "other"}


def _more(row: Row) -> Mapping[str, Any]:
    """Say what was asked for, which times are first tokens, and that a request failed.

    Its wrappers end the span of a failed request without a word, and time the whole answer of one that is not
    streamed.
    """
    metrics, metadata, kind = (
        object_in(row.get(name)) for name in ("metrics", "metadata", "span_attributes")
    )
    more: dict[str, Any] = {"operation": OPERATIONS.get(str(kind.get("name")))}
    by_life = [number(name, metrics[name]) for name in WRITES_BY_LIFE if metrics.get(name) is not None]
    more["written"] = sum(by_life) if by_life else None
    if metadata.get("stream") is True or str(kind.get("name")).endswith(".stream"):
        more["first_token_s"] = metrics.get("time_to_first_token")
    silent = "output" in row and row["output"] is None and metrics.get("prompt_tokens") is None
    if silent and row.get("error") is None and metrics.get("end") is not None:
        more["error"] = NO_ANSWER
    return more


_OF_A_PERSON = {"session_id": ("metadata.session_id", "metadata.thread_id"), "user_id": "metadata.user_id"}
BRAINTRUST = Export(
    "rows of Braintrust's project logs with root_span_id, span_id and span_attributes",
    lambda row: {"root_span_id", "span_id", "span_attributes"} <= row.keys(),
    {
        "event_id": "id",
        "trace_id": "root_span_id",
        **_OF_A_PERSON,
        "operation": "operation",
        "occurred_at": ("metrics.start", "created"),
        "ended_at": "metrics.end",
        "time_to_first_token_s": "first_token_s",
        "service_tier": "metadata.usage_service_tier",
        "provider": "metadata.provider",
        "model_requested": "metadata.model",
        "input_tokens": "metrics.prompt_tokens",
        "output_tokens": "metrics.completion_tokens",
        "total_tokens": "metrics.tokens",
        "cache_read_tokens": "metrics.prompt_cached_tokens",
        "cache_write_tokens": ("metrics.prompt_cache_creation_tokens", "written"),
        "cache_write_1h_tokens": "metrics.prompt_cache_creation_1h_tokens",
        "reasoning_tokens": "metrics.completion_reasoning_tokens",
        "request": "input",
        "response": "output",
        "tools": "metadata.tools",
        "error_type": "error",
        "cost_reported_usd": "metrics.estimated_cost",
        "scores": "scores",
    },
    {"span_attributes.type": "llm"},
    _more,
    ("span_id", "span_parents.0"),
    {"trace_id": "root_span_id", **_OF_A_PERSON, "endpoint": "span_attributes.name", "scores": "scores"},
    "events",
)
