"""What stands where in requests of Helicone, as its export tool and its API return them, by their source."""

from collections.abc import Mapping
from typing import Any

from aiops_pipelines.inference_log.export_tables import NO_ANSWER, Export, Row
from aiops_pipelines.inference_log.places import at

NO_CACHE = (None, "", "00000000-0000-0000-0000-000000000000")
"""What Helicone writes where an answer did not come out of its own cache."""

COSTS, NO_PRICE = ("cost", "costUSD", "cost_usd"), (None, "", 0, "0")
"""Where the cost of a request has stood, and what is written for a model whose price is not known."""


def _more(row: Row) -> Mapping[str, Any]:
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
        "paid": next((paid for name in COSTS if (paid := row.get(name)) not in NO_PRICE), None),
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
    _more,
)
