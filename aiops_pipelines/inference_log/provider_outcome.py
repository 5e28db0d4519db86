"""How a recorded provider call went, and what its body says of its time, its cost and its service tier."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from aiops_pipelines.inference_log.call_record import BLOCKED, outcome
from aiops_pipelines.inference_log.messages import first
from aiops_pipelines.inference_log.tokens import spelt

TICKS = Decimal(10) ** 10
"""xAI's ticks in a dollar."""
FLAT = ("__type", "type", "code")
"""Where a body that has no object for its error names the kind of it."""
FAST = "fast"
COUNTED_TIERS = ("flex", "priority")


def call_outcome(row: Mapping[str, Any], body: Mapping[str, Any], finish: Iterable[str]) -> dict[str, Any]:
    """Return status, kind of error, latency and time to the first token, by the record's columns."""
    told, code = row.get("error") or body.get("error"), refused(row)
    ended = body.get("status") if body.get("object") == "response" else None
    failed = bool(code or told) or ended in ("failed", "cancelled")
    named = first(told, "type", "code", "status") if isinstance(told, dict) else body.get("error_type")
    if code and not told:  # AWS, vLLM and Mistral, DashScope
        named = named or next((v for v in map(body.get, FLAT) if isinstance(v, str) and v), None)
    error = str(named or (f"HTTP {code}" if code else ended if ended and not told else "error"))
    error = error.rpartition("#")[2]
    held = {reason.lower() for reason in _held_back(body)}
    return {
        "status": "blocked" if error in BLOCKED or held else outcome(failed, finish),
        "error_type": error if failed and error not in BLOCKED else None,
        **_times(row, body),
    }


def refused(row: Mapping[str, Any]) -> int | None:
    """Return the status of a response that refuses its request, None for any other."""
    code = row.get("status")
    if isinstance(code, str) and spelt(code):
        code = int(code)
    return code if isinstance(code, int) and code >= 400 else None


def _held_back(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a filter stopped a prompt (Gemini), or an answer before its end (OpenAI's responses)."""
    feedback, details = body.get("promptFeedback"), body.get("incomplete_details")
    if isinstance(feedback, Mapping) and isinstance(feedback.get("blockReason"), str):
        yield feedback["blockReason"]
    if isinstance(details, Mapping) and details.get("reason") in BLOCKED:
        yield str(details["reason"])


def _times(row: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the times that the line states, else those of the body.

    A provider's header states the time until it begins to answer; for a stream that is the first token.
    """
    streamed, spent = isinstance(row.get("response"), str), _number(row.get("processing_ms"))
    latency, begun = row.get("latency_ms"), row.get("time_to_first_token_ms")
    if latency is None:
        own = _own_latency(body)
        latency = own if own is not None else None if streamed else spent
    metrics = body.get("metrics")
    if begun is None and isinstance(metrics, Mapping):
        begun = _number(metrics.get("firstByteLatency"))
    return {"latency_ms": latency, "time_to_first_token_ms": begun or (spent if streamed else None)}


def _own_latency(body: Mapping[str, Any]) -> float | None:
    """Return the milliseconds that Bedrock, Ollama, Groq and OpenAI's responses in the background state."""
    metrics, usage = (
        found if isinstance(found := body.get(name), Mapping) else {} for name in ("metrics", "usage")
    )
    if (stated := _number(first(metrics, "latencyMs", "invocationLatency"))) is not None:
        return stated
    if (nanoseconds := _number(body.get("total_duration"))) is not None:
        return nanoseconds / 1e6
    if (seconds := _number(usage.get("total_time"))) is not None:
        return (seconds + (_number(usage.get("queue_time")) or 0)) * 1e3
    begun, done = (_number(body.get(name)) for name in ("created_at", "completed_at"))
    queued = body.get("background") is True and begun is not None and done is not None and done >= begun
    return (done - begun) * 1e3 if queued and begun is not None and done is not None else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and not (value.isascii() and value.replace(".", "", 1).isdigit()):
        return None
    try:
        return float(value)
    except OverflowError:  # of more digits than any time or cost
        return None


def stated_cost(usage: Mapping[str, Any] | None) -> str | None:
    """Return the USD that OpenRouter, Perplexity or xAI state, with what the provider of an own key takes."""
    if not usage:
        return None
    if (ticks := _number(usage.get("cost_in_usd_ticks"))) is not None:
        return str(Decimal(str(ticks)) / TICKS)
    cost, details = usage.get("cost"), usage.get("cost_details")
    own = _number(cost.get("total_cost") if isinstance(cost, Mapping) else cost)
    paid = details if usage.get("is_byok") is True and isinstance(details, Mapping) else {}
    theirs = _number(paid.get("upstream_inference_cost")) or 0.0
    return None if own is None else str(Decimal(str(own)) + Decimal(str(theirs)))


def stated_tier(*places: Mapping[str, Any] | None) -> str | None:
    """Return the service tier that served a call, of the first place with one; Bedrock's is an object.

    Some write it as a number, whose meaning is not in the response: it is none. What Anthropic served fast
    costs more than its standard tier, which it states beside.
    """
    if any(place and place.get("speed") == FAST for place in places):
        return FAST
    for place in places:
        found = first(place or {}, "service_tier", "serviceTier", "trafficType")
        found = found.get("type") if isinstance(found, Mapping) else found
        if isinstance(found, str) and found:
            return found
    return None


def counted_tier(usage: Any) -> str | None:
    """Return the service tier that LangChain counted tokens for, alone or as it hands them to Langfuse."""
    stated = usage if isinstance(usage, Mapping) else {}
    details = stated.get("input_token_details")
    within = details if isinstance(details, Mapping) else {}
    return next((tier for tier in COUNTED_TIERS if tier in within or f"input_{tier}" in stated), None)
