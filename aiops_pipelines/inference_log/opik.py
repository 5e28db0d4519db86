"""What stands where in spans and traces of Opik, in the files of `opik export` or as its API finds them."""

from collections.abc import Mapping
from typing import Any

from aiops_pipelines.inference_log.export_tables import Export, Row
from aiops_pipelines.inference_log.provider_hosts import provider_of

TYPES = ("llm", "general", "tool", "guardrail")


def _is_row(row: Row) -> bool:
    """Tell spans, and traces, from Langfuse's rows by when they say that they were last written."""
    if not {"id", "start_time", "last_updated_at"} <= row.keys():
        return False
    return row.get("type") in TYPES if row.get("trace_id") else "thread_id" in row or "span_count" in row


def _more(row: Row) -> Mapping[str, Any]:
    """Say what a row is, of which trace it is the whole, and who was asked: hosts are named by address."""
    if not row.get("trace_id"):
        return {"type": "trace", "whole": row["id"]}
    return {"sold_by": provider_of(str(row.get("provider") or ""))}


OPIK = Export(
    "spans and traces of Opik, alone or in the files of its export",
    _is_row,
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
    _more,
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
