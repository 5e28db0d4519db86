"""Results of batch jobs: a recorded answer, or the lines of a file, that answer many requests."""

import re
from collections.abc import Mapping
from typing import Any

from aiops_pipelines.inference_log.messages import decoded, first, listed
from aiops_pipelines.inference_log.provider_streams import events

RESULTS = re.compile(r"/batches/[^/]+(/results)?$|/files/[^/]+/content$|/batch/jobs/[^/]+$")
"""Where OpenAI, Anthropic, Mistral, xAI and Gemini give the results of a batch."""
CREATED = ("created", "created_at", "createTime", "createdAt")
FAILED = ("errored", "canceled", "expired")
"""How Anthropic calls a result without an answer."""
_LISTS = ("results", "outputs", "inlinedResponses")
_WRAPPERS = ("batch_result", "result", "response", "chat_get_completion", "message", "body")
"""What stands around an answer, from the outside in."""
_DEPTH = 6


def is_result(row: Mapping[str, Any]) -> bool:
    """Return whether a line is one of a results file: OpenAI's, Mistral's or Anthropic's."""
    return "custom_id" in row and bool({"response", "result"} & row.keys()) and "request" not in row


def results(row: Mapping[str, Any], path: str) -> list[dict[str, Any]] | None:
    """Return the calls that a recorded answer holds the results of; None when it is none of a batch.

    A batch that has not ended holds none.
    """
    if str(row.get("method") or "GET").upper() != "GET" or not RESULTS.search(path):
        return None
    answer = row.get("response")
    found = decoded(answer)
    ones = list(events(answer)) if isinstance(answer, str) else _listed(found)
    kept = {name: row[name] for name in ("host", "provider", "date", "timestamp", "endpoint") if name in row}
    if begun := _begun(found):
        kept["timestamp"] = begun
    return [_dated({**kept, **one_result(one)}) for one in ones if _is_one(one)]


def _begun(found: Any) -> Any:
    """Return when a batch of Gemini's began; its results have no time."""
    metadata = found.get("metadata") if isinstance(found, Mapping) else None
    return metadata.get("createTime") if isinstance(metadata, Mapping) else None


def _dated(call: dict[str, Any]) -> dict[str, Any]:
    """Leave out when the results were fetched where the answer itself has a time."""
    if first(call["response"], *CREATED) is None:
        return call
    return {name: value for name, value in call.items() if name not in ("date", "timestamp")}


def one_result(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result as a recorded call; its own id, for a batch may be fetched again and again."""
    body, code = _answer(one)
    metadata = one.get("metadata")
    within = metadata if isinstance(metadata, Mapping) else {}
    named = one.get("custom_id") or one.get("batch_request_id") or within.get("custom_id")
    error = body if body.get("type") == "error" else one.get("error")
    return {
        "id": body.get("id") or body.get("responseId") or one.get("id") or named,
        "request": {},
        "response": body,
        "status": code,
        "service_tier": "batch",
        **({"error": error.get("error", error) if isinstance(error, Mapping) else error} if error else {}),
    }


def _listed(found: Any, depth: int = 0) -> list[Any]:
    """Return the list of results in a body: Gemini's stands in an object of the same name."""
    if isinstance(found, Mapping) and depth < _DEPTH:
        for name in (*_LISTS, "response"):
            inner = found.get(name)
            if isinstance(inner, list):
                return inner
            if isinstance(inner, Mapping):
                return _listed(inner, depth + 1)
        return [found] if _is_one(found) else []
    return list(listed(found))


def _is_one(one: Any) -> bool:
    return isinstance(one, Mapping) and bool(
        {"custom_id", "batch_request_id", "response", "error"} & one.keys()
    )


def _answer(one: Mapping[str, Any]) -> tuple[dict[str, Any], int | None]:
    """Return the body that answers a request, and its status code."""
    body: Mapping[str, Any] = one
    code = None
    for name in _WRAPPERS:
        inner = body.get(name)
        if isinstance(inner, Mapping):
            body = inner
            code = body.get("status_code", code)
    failed = one.get("result")
    if isinstance(failed, Mapping) and failed.get("type") in FAILED:
        told = failed.get("error")
        return {"type": "error", "error": told if isinstance(told, dict) else {"type": failed["type"]}}, code
    return dict(body), code
