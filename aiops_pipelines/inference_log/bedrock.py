"""What stands where in the model invocation logs of Amazon Bedrock, as it delivers them to S3.

By the documented schema and what public readers of it rely on; the bodies in it are read as everywhere.
"""

import json
from collections.abc import Mapping
from typing import Any

from aiops_pipelines.inference_log.export_tables import Export, Row
from aiops_pipelines.inference_log.messages import decoded
from aiops_pipelines.inference_log.places import at
from aiops_pipelines.inference_log.provider_streams import streamed_body
from aiops_pipelines.inference_log.provider_usage import body_usage

INVOKED = (
    *("InvokeModel", "InvokeModelWithResponseStream", "InvokeModelWithBidirectionalStream"),
    *("Converse", "ConverseStream"),
)
COUNTS = {
    "inputTokens": "input.inputTokenCount",
    "outputTokens": "output.outputTokenCount",
    "cacheReadInputTokens": "input.cacheReadInputTokenCount",
    "cacheWriteInputTokens": "input.cacheWriteInputTokenCount",
}
"""Bedrock's own counts, in which what was cached stands beside the input; large bodies are kept elsewhere."""


def _more(row: Row) -> Mapping[str, Any]:
    """Say what the model was, what it answered, a stream put together, and what was counted."""
    body = decoded(at(row, "output.outputBodyJson"))
    if isinstance(body, list):
        body = streamed_body("\n".join(map(json.dumps, body)))
    stated = body_usage(body) if isinstance(body, Mapping) else None
    counts = {name: found for name, place in COUNTS.items() if (found := at(row, place)) is not None}
    return {
        "response": body,
        "counted": (stated if _states_lives(stated) else None) or counts or stated,
        "asked_for": "embeddings" if "embed" in str(row.get("modelId")) else None,
    }


def _states_lives(usage: Mapping[str, Any] | None) -> bool:
    """Return whether a usage says how long what was cached is kept, which has a price; the counts do not."""
    return bool(usage and ({"cache_creation", "cacheDetails"} & usage.keys()))


BEDROCK = Export(
    "model invocation logs of Amazon Bedrock with schemaType ModelInvocationLog",
    lambda row: row.get("schemaType") == "ModelInvocationLog",
    {
        "event_id": "requestId",
        "operation": "asked_for",
        "occurred_at": "timestamp",
        "latency_ms": ("response.metrics.latencyMs", "response.metrics.invocationLatency"),
        "time_to_first_token_ms": "response.metrics.firstByteLatency",
        "provider": "=aws",
        "model_requested": "modelId",
        "service_tier": "response.serviceTier.type",
        "usage": "counted",
        "request": "input.inputBodyJson",
        "response": "response",
        "error_type": "errorCode",
    },
    {"operation": INVOKED},
    _more,
)
