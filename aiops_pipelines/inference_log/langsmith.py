"""What stands where in runs of LangSmith: bulk exports, answers of its API and what its client sends.

Found in what its client sends for LangChain, `wrap_openai` and `traceable`; the rest by its schema.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiops_pipelines.inference_log.export_tables import Export, Row
from aiops_pipelines.inference_log.messages import decoded, first, listed
from aiops_pipelines.inference_log.places import at
from aiops_pipelines.inference_log.provider_outcome import counted_tier
from aiops_pipelines.inference_log.times import clock_time

CALLS = {"llm": None, "embedding": "embeddings"}
"""The operations of runs that ask a model, by their type."""
SAID = "outputs.generations.0.0"
"""Where LangChain has its answer."""
USAGE = (
    "outputs.usage_metadata",
    f"{SAID}.message.kwargs.usage_metadata",
    "extra.metadata.usage_metadata",
    "outputs.llm_output.token_usage",
    "outputs.llm_output.usage",
)
COUNTS = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "total_tokens": "total_tokens",
    "input_token_details": "prompt_token_details",
    "output_token_details": "completion_token_details",
}
"""Names of LangChain's counts by those that LangSmith has beside a run."""
RAISED = re.compile(r"([A-Za-z_][\w.]*)\(")
"""How the error of a run begins: as Python shows an exception, before its traceback."""


def _more(row: Row) -> Mapping[str, Any]:
    """Say what was asked for, how much of it, in which tier, when its first token came and why it failed."""
    usage = next((found for place in USAGE if (found := at(row, place))), None) or _counted(row)
    raised = RAISED.match(str(row.get("error") or ""))
    return {
        "operation": CALLS.get(str(row["run_type"])),
        "usage": usage,
        "tier": counted_tier(usage),
        "first_token_s": _waited(row),
        "answered": _answered(row),
        "failed": raised[1] if raised else row.get("error"),
        "parent": row.get("parent_run_id") or _parent(row),
        "given_scores": list(_scores(row)),
    }


def _counted(row: Row) -> Mapping[str, Any] | None:
    """Return the counts beside a run; all are zero where nothing was counted."""
    counts = {name: found for name, place in COUNTS.items() if (found := decoded(row.get(place))) is not None}
    return counts if counts.get("total_tokens") else None


def _answered(row: Row) -> Any:
    """Return what came back as a response; an application's own is a list of messages, the answer last."""
    outputs = decoded(row.get("outputs"))
    said = outputs.get("messages") if isinstance(outputs, Mapping) else None
    return {"message": said[-1]} if isinstance(said, list) and said else outputs


def _waited(row: Row) -> float | None:
    events = (one for one in listed(decoded(row.get("events"))) if isinstance(one, Mapping))
    told = (one.get("time") for one in events if one.get("name") == "new_token")
    came = clock_time("first_token_time", row.get("first_token_time") or next(told, None))
    began = clock_time("occurred_at", row.get("start_time"))
    return (came - began).total_seconds() if came and began and came >= began else None


def _parent(row: Row) -> str | None:
    """Return the run around one, which a bulk export tells by its order alone."""
    above = str(row.get("dotted_order") or "").split(".")[:-1]
    return above[-1].partition("Z")[2] if above else None


def _scores(row: Row) -> Iterator[dict[str, Any]]:
    """Yield the mean of what was thought of a run by each measure, or its only word."""
    stats = decoded(row.get("feedback_stats"))
    for name, told in stats.items() if isinstance(stats, Mapping) else ():
        if isinstance(told, Mapping):
            words = told.get("values") or {}
            label = next(iter(words)) if isinstance(words, Mapping) and len(words) == 1 else None
            yield {"name": name, "value": first(told, "avg"), "label": label}


_PERSON = {
    "session_id": tuple(f"extra.metadata.{name}" for name in ("session_id", "thread_id", "conversation_id")),
    "user_id": "extra.metadata.user_id",
}
LANGSMITH = Export(
    "runs of LangSmith with run_type, trace_id and start_time",
    lambda row: {"run_type", "trace_id", "start_time"} <= row.keys(),
    {
        "event_id": "id",
        "trace_id": "trace_id",
        **_PERSON,
        "operation": "operation",
        "occurred_at": "start_time",
        "ended_at": "end_time",
        "time_to_first_token_s": "first_token_s",
        "provider": "extra.metadata.ls_provider",
        "model_requested": (
            "extra.metadata.ls_model_name",
            "extra.invocation_params.model",
            "extra.invocation_params.model_name",
            "inputs.model",
        ),
        "model_served": (
            "outputs.model",
            f"{SAID}.message.kwargs.response_metadata.model_name",
            "outputs.llm_output.model_name",
        ),
        "service_tier": (
            "tier",
            "outputs.service_tier",
            f"{SAID}.message.kwargs.response_metadata.service_tier",
        ),
        "usage": "usage",
        "request": "inputs",
        "response": "answered",
        "tools": "extra.invocation_params.tools",
        "error_type": "failed",
        "cost_reported_usd": "total_cost",
        "scores": "given_scores",
    },
    {"run_type": tuple(CALLS)},
    _more,
    ("id", "parent"),
    {"trace_id": "trace_id", **_PERSON, "endpoint": "name", "scores": "given_scores"},
    "runs",
)
