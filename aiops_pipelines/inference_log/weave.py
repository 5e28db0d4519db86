"""What stands where in calls of W&B Weave, as its client and its API return them."""

from collections.abc import Iterator, Mapping
from typing import Any

from aiops_pipelines.inference_log.export_tables import Export, Row
from aiops_pipelines.inference_log.messages import decoded, listed, object_in
from aiops_pipelines.inference_log.places import at
from aiops_pipelines.inference_log.record import number

LIBRARIES = (
    "openai.", "anthropic.", "mistralai.", "cohere.", "groq.", "cerebras.", "google.", "vertexai.",
    "litellm.",
)  # fmt: skip
"""How operations of clients are named that older versions give no kind."""
OPERATIONS = {"embed": "embeddings", "moderation": "other"}
THUMBS = {"👍": 1, ":+1:": 1, "👎": -1, ":-1:": -1}


def _more(row: Row) -> Mapping[str, Any]:
    """Say what an operation is, what it cost and how it was judged, which names and parts make up."""
    name = str(row["op_name"]).rpartition("/op/")[2].rpartition(":")
    operation = name[0] or name[2]
    asks = operation.startswith(LIBRARIES) and not operation.endswith("count_tokens")
    summary, attributes = (object_in(row.get(part)) for part in ("summary", "attributes"))
    found = (kind for word, kind in OPERATIONS.items() if word in operation.lower())
    costs = [
        number(part, cost)
        for model in (object_in(object_in(summary.get("weave")).get("costs"))).values()
        if isinstance(model, Mapping)
        for part, cost in model.items()
        if part.endswith("_total_cost") and isinstance(cost, int | float)
    ]
    given = {name: value for name, value in object_in(row.get("inputs")).items() if not _is_dumped(value)}
    return {
        "inputs": given,
        "output": None if _is_dumped(row.get("output")) else row.get("output"),
        "name": operation,
        "kind": at(attributes, "weave.kind") or ("llm" if asks else operation),
        "operation": next(found, None),
        "cost": sum(costs) if costs else None,
        "scores": list(_scores(object_in(summary.get("weave")))),
    }


def _is_dumped(value: Any) -> bool:
    """Return whether a value is what Python shows for an object, as for parameters that were left out."""
    return isinstance(value, str) and value.startswith("<") and " object at 0x" in value


def _scores(summary: Row) -> Iterator[dict[str, Any]]:
    """Yield reactions, annotations and what scorers found; a note is no score."""
    given = [one for one in listed(decoded(summary.get("feedback"))) if isinstance(one, Mapping)]
    for one in given:
        kind, payload, by = str(one.get("feedback_type")), object_in(one.get("payload")), one.get("creator")
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
    _more,
    ("id", "parent_id"),
    {
        "trace_id": "trace_id",
        "session_id": ("thread_id", "attributes.session_id"),
        "user_id": "attributes.user_id",
        "endpoint": "name",
        "scores": "scores",
    },
)
