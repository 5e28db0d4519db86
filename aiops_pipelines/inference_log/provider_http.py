"""Importer of recorded provider calls: a line holds the request that was sent and the response to it.

Read are `request` and `response` (a body, or the text of a stream) with `host`, `path`, `status`, `date` and
`processing_ms`, or `provider`, `model`, `timestamp` and `latency_ms`. What asked no model is
counted by its path.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import starmap
from typing import Any
from urllib.parse import unquote

from aiops_pipelines.inference_log.call_record import NOTHING_SAID, call_record
from aiops_pipelines.inference_log.iterations import beside
from aiops_pipelines.inference_log.messages import decoded, first
from aiops_pipelines.inference_log.objects import objects, unwrapped
from aiops_pipelines.inference_log.provider_batches import CREATED, is_result, one_result, results
from aiops_pipelines.inference_log.provider_hosts import model_in, provider_of
from aiops_pipelines.inference_log.provider_outcome import call_outcome, refused, stated_cost, stated_tier
from aiops_pipelines.inference_log.provider_streams import METRICS, streamed_body
from aiops_pipelines.inference_log.provider_texts import exchange
from aiops_pipelines.inference_log.provider_usage import body_usage, provider_tokens
from aiops_pipelines.inference_log.record import (
    CHAT,
    EMBEDDINGS,
    OTHER,
    Batch,
    CountTokens,
    RecordError,
    Rejection,
)
from aiops_pipelines.inference_log.times import clock_time
from aiops_pipelines.inference_log.tokens import Tokens, of_embedding, usage_json

LOOKED_FOR = "recorded provider calls with request and response, or the results of a batch"
BODIES = (
    "The request is a whole HTTP message, as HAR and VCR write it. Write the bodies of both messages as "
    "request and response, and beside them host, path, method, status and date."
)
UNDATED = (
    "The result states no time, as Anthropic's do. Log the request that fetched the results: the whole text "
    "as response, and beside it request, host, path, method GET and date."
)
CALLS = re.compile(
    r"(chat/completions|/completions?|/responses|/messages|/complete|/chat|/generate|/predictions|/invocations"
    r"|:(stream)?(generatecontent|rawpredict)|/converse(-stream)?|/invoke(-with-response-stream)?|generation/text(_stream)?"
    r"|(text|multimodal)-generation/generation"
    r"|/runs)(#\w+)?$"
)
EMBED = re.compile(r"/(embeddings?|embed)$|:(batch)?embedcontents?$")
OTHERS = re.compile(r"/threads/[^/]+/messages$|/(rerank|images/\w+|audio/\w+|moderations)$")
STORES = re.compile(r"/(cachedcontents|batches)(/|$)")
"""The size of a prompt that Gemini stores, and the sums of a batch, are no usage of this call."""
LATER = re.compile(r"/threads/.*/runs|/responses/[^/]+$")
"""Where the state of a call that runs in the background is asked for: OpenAI's runs and responses."""


def recognises(value: Any) -> bool:
    """Return whether a JSON value is a recorded call, or a list of them."""
    return any(isinstance(row, dict) and _is_exchange(row) for row in unwrapped(value)[:1])


def _is_exchange(row: Mapping[str, Any]) -> bool:
    exchange_ = "request" in row and ("response" in row or "error" in row)
    return (exchange_ or is_result(row)) and not {"call_type", "spans"} & row.keys()


def _is_message(request: Any) -> bool:
    """Return whether a request is the whole HTTP message, not its body."""
    places = ("url", "uri", "path")
    return isinstance(request, Mapping) and "method" in request and not request.keys().isdisjoint(places)


def read(raw: Iterable[tuple[int, bytes]], count_tokens: CountTokens | None = None) -> Batch:
    """Return one record for each line that asked a model, failed ones too, and for each result of a batch.

    A line whose response states usage is a call by whatever path it came, a ranking for instance.

    Args:
        raw: line numbers and recorded calls.
        count_tokens: counts text for the token parts; without it the parts stay null.
    """
    batch = Batch()
    for line, row, content in objects(raw, batch):
        try:
            if not _is_exchange(row):
                raise RecordError(f"The object is none of these: {LOOKED_FOR}.")
            if _is_message(row.get("request")):
                raise RecordError(BODIES)
            calls = _calls(row)
        except RecordError as error:
            batch.rejections.append(Rejection(line, str(error), content))
            continue
        before = len(batch.records) + len(batch.rejections)
        for call in calls:  # a result that is broken takes no other of its batch with it
            try:
                for record in _records(call, content, count_tokens):
                    batch.records.append(record | {"source_line": line})
            except RecordError as error:
                batch.rejections.append(Rejection(line, str(error), content))
        if len(batch.records) + len(batch.rejections) == before:
            batch.ignored[f"{row.get('method') or 'call'} {_shape(row)}"] += 1
    return batch


def _calls(row: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    if is_result(row):
        call = one_result(row)
        if first(call["response"], *CREATED) is None:
            raise RecordError(UNDATED)
        return [call]
    found: Sequence[Mapping[str, Any]] = results(row, _path(row).lower()) or []
    return found or [row]


def _path(row: Mapping[str, Any]) -> str:
    path = str(row.get("path") or row.get("url") or "").split("?")[0]
    return unquote(path)


def _shape(row: Mapping[str, Any]) -> str:
    """Return the path without what looks like an identifier, to count by."""
    return re.sub(r"[^/]*\d[^/]*\d[^/]*", "_", _path(row))[:80]


def _body(row: Mapping[str, Any]) -> Mapping[str, Any]:
    response = row.get("response")
    found = decoded(response)
    if isinstance(found, str):
        found = streamed_body(found)
    if isinstance(found, dict) and METRICS in found:  # a stream of Bedrock with a single part
        found = streamed_body(json.dumps(found))
    if isinstance(found, list):  # Gemini streams a list of parts
        found = streamed_body("\n".join(json.dumps(part) for part in found))
    return found if isinstance(found, dict) else {}


def _asks_a_model(row: Mapping[str, Any], body: Mapping[str, Any], tokens: Tokens | None) -> bool:
    """Return whether a model was asked: by the path, or, where that does not tell, by usage in the response.

    The state of what runs in the background is asked for many times; the answer with its usage is the call.
    """
    path, get = _path(row).lower(), str(row.get("method") or "POST").upper() == "GET"
    if STORES.search(path):
        return False
    if get or LATER.search(path):
        return tokens is not None and bool(LATER.search(path))
    if tokens is None and body.get("status") in ("queued", "in_progress") and body.get("background") is True:
        return False
    if not path:
        return True
    called = EMBED.search(path) or (CALLS.search(path) and not OTHERS.search(path))
    return tokens is not None or bool(called)


def _operation(row: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """Return what was asked for, by the path, or by vectors in the response (Bedrock, batches)."""
    path, data = _path(row).lower(), body.get("data")
    vectors = {"embedding", "embeddings"} & body.keys()
    listed = isinstance(data, list) and data and isinstance(data[0], dict) and "embedding" in data[0]
    if EMBED.search(path) or vectors or listed:
        return EMBEDDINGS
    return OTHER if OTHERS.search(path) else CHAT


def _records(
    row: Mapping[str, Any], content: bytes, count_tokens: CountTokens | None
) -> Iterator[dict[str, Any]]:
    """Yield the call that a line records, and one for each time a model was asked beside it."""
    body = _body(row)
    usage = body_usage(body)
    operation = _operation(row, body)
    tokens = provider_tokens(of_embedding(usage) if operation == EMBEDDINGS else usage) if usage else None
    if tokens and body.get("cut"):  # what came later was billed too
        tokens = replace(tokens, convention="ambiguous")
    if not _asks_a_model(row, body, tokens):
        return
    request = decoded(row.get("request"))
    # What a refused request is told is no answer.
    said = exchange(request if isinstance(request, dict) else {}, {} if refused(row) else body)
    known = {
        "operation": operation,
        **_identity(row, request, body, content),
        "service_tier": stated_tier(row, usage, body),
    }
    ended = {**call_outcome(row, body, said.finish), "cost_reported_usd": stated_cost(usage)}
    yield call_record(known | ended, tokens, said, [], count_tokens) | {"usage_raw": usage_json(usage)}
    for name, one in beside(usage or {}):
        model = {"model_requested": one["model"], "model_served": None} if one.get("model") else {}
        asked = {**known, **model, "event_id": f"{known['event_id']}-{name}"}
        whole = call_record(asked, provider_tokens(one), NOTHING_SAID, [], None)
        yield whole | {"usage_raw": usage_json(one)}


def _identity(
    row: Mapping[str, Any], request: Any, body: Mapping[str, Any], content: bytes
) -> dict[str, Any]:
    asked = request if isinstance(request, dict) else {}
    requested = first(asked, "model", "model_id", "modelId") or row.get("model") or model_in(_path(row))
    served = first(body, "model", "modelVersion", "model_id", "model_version")
    # What is asked for again and again is one call, by its own id and at its own time.
    later = body.get("object") == "thread.run" or body.get("background") is True
    event_id = body.get("id") if later else first(row, "id", "request_id") or body.get("id")
    metadata = asked.get("metadata") if isinstance(asked.get("metadata"), dict) else {}
    times = [("date", first(row, "timestamp", "date")), ("created", first(body, *CREATED))]
    return {
        "event_id": str(event_id) if event_id else hashlib.sha256(content).hexdigest()[:32],
        "trace_id": row.get("trace_id"),
        "occurred_at": next(filter(None, starmap(clock_time, times[::-1] if later else times)), None),
        "endpoint": row.get("endpoint"),
        "provider": row.get("provider") or provider_of(str(row.get("host") or "")),
        "model_requested": requested,
        "model_served": served if isinstance(served, str) else None,
        "session_id": first(row, "session_id") or (metadata or {}).get("session_id"),
        "user_id": first(row, "user_id")
        or first(asked, "user", "safety_identifier")
        or (metadata or {}).get("user_id"),
    }
