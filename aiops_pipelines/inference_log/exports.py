"""The exports that are tables, and what stands where in those of Opik, Braintrust, W&B Weave and Helicone.

Found in what their clients send and their own exports write; what was tried stands in docs/log-formats.md.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from aiops_pipelines.inference_log.bedrock import BEDROCK
from aiops_pipelines.inference_log.export_tables import Export, Row
from aiops_pipelines.inference_log.langsmith import LANGSMITH
from aiops_pipelines.inference_log.messages import decoded, listed
from aiops_pipelines.inference_log.places import at
from aiops_pipelines.inference_log.provider_hosts import provider_of
from aiops_pipelines.inference_log.record import number

NO_ANSWER = "no answer"
"""What kind of error it is when a request ended and nothing came, and nothing says why."""


def _object(row: Row, name: str) -> Mapping[str, Any]:
    found = decoded(row.get(name))
    return found if isinstance(found, dict) else {}


OPIK_TYPES = ("llm", "general", "tool", "guardrail")


def _is_opik(row: Row) -> bool:
    """Tell spans, and traces, from Langfuse's rows by when they say that they were last written."""
    if not {"id", "start_time", "last_updated_at"} <= row.keys():
        return False
    return row.get("type") in OPIK_TYPES if row.get("trace_id") else "thread_id" in row or "span_count" in row


def _opik(row: Row) -> Mapping[str, Any]:
    """Say what a row is, of which trace it is the whole, and who was asked: hosts are named by address."""
    if not row.get("trace_id"):
        return {"type": "trace", "whole": row["id"]}
    return {"sold_by": provider_of(str(row.get("provider") or ""))}


OPIK = Export(
    "spans and traces of Opik, alone or in the files of its export",
    _is_opik,
    {
        "event_id": "id",
        "trace_id": "trace_id",
        "user_id": "metadata.user_id",
        "occurred_at": "start_time",
        "ended_at": "end_time",
        "time_to_first_token_ms": "ttft",
        "provider": "sold_by",
        "model_served": "model",
        "service_tier": ("metadata.service_tier", "metadata.usage.service_tier"),
        "usage": ("usage.original_usage", "metadata.usage", "usage"),
        "request": "input",
        "response": "output",
        "tools": "metadata.tools",
        "error_type": "error_info",
        "cost_reported_usd": "total_estimated_cost",
        "scores": "feedback_scores",
    },
    {"type": "llm"},
    _opik,
    ("id", "parent_span_id"),
    {
        "trace_id": "whole",
        "session_id": "thread_id",
        "user_id": "metadata.user_id",
        "endpoint": "name",
        "scores": "feedback_scores",
    },
    "spans",
    "trace",
)

WRITES_BY_LIFE = ("prompt_cache_creation_5m_tokens", "prompt_cache_creation_1h_tokens")
BRAINTRUST_OPERATIONS = {"Embedding": "embeddings", "Moderation": "other"}


def _braintrust(row: Row) -> Mapping[str, Any]:
    """Say what was asked for, which times are first tokens, and that a request failed.

    Its wrappers end the span of a failed request without a word, and time the whole answer of one that is not
    streamed.
    """
    metrics, metadata, kind = (_object(row, name) for name in ("metrics", "metadata", "span_attributes"))
    more: dict[str, Any] = {"operation": BRAINTRUST_OPERATIONS.get(str(kind.get("name")))}
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
    _braintrust,
    ("span_id", "span_parents.0"),
    {"trace_id": "root_span_id", **_OF_A_PERSON, "endpoint": "span_attributes.name", "scores": "scores"},
    "events",
)

WEAVE_LIBRARIES = (
    "openai.", "anthropic.", "mistralai.", "cohere.", "groq.", "cerebras.", "google.", "vertexai.",
    "litellm.",
)  # fmt: skip
"""How operations of clients are named that older versions give no kind."""
WEAVE_OPERATIONS = {"embed": "embeddings", "moderation": "other"}
THUMBS = {"👍": 1, ":+1:": 1, "👎": -1, ":-1:": -1}


def _weave(row: Row) -> Mapping[str, Any]:
    """Say what an operation is, what it cost and how it was judged, which names and parts make up."""
    name = str(row["op_name"]).rpartition("/op/")[2].rpartition(":")
    operation = name[0] or name[2]
    asks = operation.startswith(WEAVE_LIBRARIES) and not operation.endswith("count_tokens")
    summary, attributes = (_object(row, part) for part in ("summary", "attributes"))
    found = (kind for word, kind in WEAVE_OPERATIONS.items() if word in operation.lower())
    costs = [
        number(part, cost)
        for model in (_object(_object(summary, "weave"), "costs")).values()
        if isinstance(model, Mapping)
        for part, cost in model.items()
        if part.endswith("_total_cost") and isinstance(cost, int | float)
    ]
    given = {name: value for name, value in _object(row, "inputs").items() if not _is_dumped(value)}
    return {
        "inputs": given,
        "output": None if _is_dumped(row.get("output")) else row.get("output"),
        "name": operation,
        "kind": at(attributes, "weave.kind") or ("llm" if asks else operation),
        "operation": next(found, None),
        "cost": sum(costs) if costs else None,
        "scores": list(_weave_scores(_object(summary, "weave"))),
    }


def _is_dumped(value: Any) -> bool:
    """Return whether a value is what Python shows for an object, as for parameters that were left out."""
    return isinstance(value, str) and value.startswith("<") and " object at 0x" in value


def _weave_scores(summary: Row) -> Iterator[dict[str, Any]]:
    """Yield reactions, annotations and what scorers found; a note is no score."""
    given = [one for one in listed(decoded(summary.get("feedback"))) if isinstance(one, Mapping)]
    for one in given:
        kind, payload, by = str(one.get("feedback_type")), _object(one, "payload"), one.get("creator")
        base = {
            "name": kind.removeprefix("wandb."),
            "feedback_id": one.get("id"),
            "given_at": one.get("created_at"),
        }
        if kind.startswith("wandb.reaction"):
            emoji = payload.get("emoji")
            yield {**base, "label": emoji, "rating": THUMBS.get(str(emoji)), "given_by": by}
        said = payload.get("output", payload.get("value"))
        if isinstance(said, bool | int | float | str):
            yield {**base, "value": said, "given_by": "model" if kind.startswith("wandb.runnable") else by}


WEAVE = Export(
    "calls of Weave with op_name, trace_id, started_at and attributes as objects",
    lambda row: (
        {"op_name", "trace_id", "started_at"} <= row.keys()
        and isinstance(decoded(row.get("attributes")), dict)
    ),
    {
        "event_id": "id",
        "trace_id": "trace_id",
        "session_id": ("thread_id", "attributes.session_id"),
        "user_id": "attributes.user_id",
        "operation": "operation",
        "occurred_at": "started_at",
        "ended_at": "ended_at",
        "time_to_first_token_s": "output.time_to_first_token",
        "model_requested": "inputs.model",
        "model_served": ("output.model", "output.model_version"),
        "service_tier": ("output.service_tier", "output.usage.service_tier"),
        "usage": ("output.usage", "output.usage_metadata", "summary.usage.*"),
        "request": "inputs",
        "response": "output",
        "error_type": "exception",
        "cost_reported_usd": "cost",
        "scores": "scores",
    },
    {"kind": "llm"},
    _weave,
    ("id", "parent_id"),
    {
        "trace_id": "trace_id",
        "session_id": ("thread_id", "attributes.session_id"),
        "user_id": "attributes.user_id",
        "endpoint": "name",
        "scores": "scores",
    },
)

NO_CACHE = (None, "", "00000000-0000-0000-0000-000000000000")
"""What Helicone writes where an answer did not come out of its own cache."""

HELICONE_COSTS, NO_PRICE = ("cost", "costUSD", "cost_usd"), (None, "", 0, "0")
"""Where the cost of a request has stood, and what is written for a model whose price is not known."""


def _helicone(row: Row) -> Mapping[str, Any]:
    """Say what a zero, a status below it and a word for nothing mean, and what its own cache answered."""
    user, provider = row.get("request_user_id"), row.get("provider")
    code, rating = str(row.get("response_status")), row.get("feedback_rating")
    more: dict[str, Any] = {
        "user": None if user == "undefined" else user,
        "sold_by": None if provider == "CUSTOM" else provider,
        "first_token": row.get("time_to_first_token") or None,
        "rating": (1 if rating else -1) if isinstance(rating, bool) else None,
        "operation": "embeddings" if at(row, "response_body.data.0.object") == "embedding" else None,
        "failed": NO_ANSWER if code.startswith("-") else None,
        "paid": next((paid for name in HELICONE_COSTS if (paid := row.get(name)) not in NO_PRICE), None),
    }
    if row.get("cache_reference_id") not in NO_CACHE:
        more["usage"] = {"prompt_tokens": 0, "completion_tokens": 0}
    return more


HELICONE = Export(
    "requests of Helicone with request_created_at and response_status",
    lambda row: (
        {"request_created_at", "response_status"} <= row.keys()
        and not {"request_id", "response_id"}.isdisjoint(row)
    ),
    {
        "event_id": ("response_id", "request_id"),
        "session_id": ("request_properties.Helicone-Session-Id", "properties.Helicone-Session-Id"),
        "user_id": "user",
        "operation": "operation",
        "endpoint": ("request_properties.Helicone-Session-Name", "properties.Helicone-Session-Name"),
        "occurred_at": "request_created_at",
        "latency_ms": ("delay_ms", "latency"),
        "time_to_first_token_ms": "first_token",
        "provider": "sold_by",
        "model_requested": ("request_body.model", "request_model"),
        "model_served": ("response_model", "response_body.model", "model", "request_model"),
        "prompt_version": ("prompt_version", "prompt_id"),
        "service_tier": ("response_body.service_tier", "response_body.usage.service_tier"),
        "usage": "usage",
        "input_tokens": "prompt_tokens",
        "output_tokens": "completion_tokens",
        "cache_read_tokens": "prompt_cache_read_tokens",
        "cache_write_tokens": "prompt_cache_write_tokens",
        "request": "request_body",
        "response": "response_body",
        "http_status": "response_status",
        "error_type": ("response_body.error", "failed"),
        "cost_reported_usd": "paid",
        "rating": "rating",
        "scores": "scores",
    },
    {"request_body._type": ""},
    _helicone,
)
EXPORTS = {
    "opik": OPIK,
    "braintrust": BRAINTRUST,
    "weave": WEAVE,
    "helicone": HELICONE,
    "langsmith": LANGSMITH,
    "bedrock": BEDROCK,
}
"""By the names that the formats have; tried before Langfuse's, whose rows look like Opik's."""
