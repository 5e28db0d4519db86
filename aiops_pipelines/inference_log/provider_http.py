"""Importer of recorded provider calls: a line holds the request that was sent and the response to it.

Read are `request` and `response` (a body, or the text of a stream) with `host`, `path`, `status`, `date` and
`processing_ms`, or `provider`, `model`, `timestamp` and `latency_ms`. What asked no model is
counted by its path.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from aiops_pipelines.inference_log.call_record import BLOCKED, call_record, outcome
from aiops_pipelines.inference_log.messages import decoded, first
from aiops_pipelines.inference_log.objects import objects, unwrapped
from aiops_pipelines.inference_log.provider_streams import streamed_body
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
from aiops_pipelines.inference_log.tokens import Tokens, of_embedding, spelt, usage_json

LOOKED_FOR = "recorded provider calls with request and response"
HOSTS = {
    "openai.azure.com": "azure",
    "services.ai.azure.com": "azure",
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "amazonaws.com": "aws",
    "googleapis.com": "google",
    "api.mistral.ai": "mistral",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.together.xyz": "together",
    "openrouter.ai": "openrouter",
    "api.x.ai": "x-ai",
    "api.perplexity.ai": "perplexity",
    "api.fireworks.ai": "fireworks",
    "cloud.ibm.com": "ibm",
    "replicate.com": "replicate",
    "api.writer.com": "writer",
    "api.voyageai.com": "voyageai",
    "api.aleph-alpha.com": "aleph-alpha",
}
"""Providers by the end of their host's name; others keep the host as their name."""
CALLS = re.compile(
    r"(chat/completions|/completions|/responses|/messages|/complete|/chat|/generate|/predictions|/invocations"
    r"|:(stream)?generatecontent|/converse(-stream)?|/invoke(-with-response-stream)?|generation/text(_stream)?"
    r"|/runs)(#\w+)?$"
)
EMBED = re.compile(r"/(embeddings?|embed)$|:(batch)?embedcontents?$")
OTHERS = re.compile(r"/threads/[^/]+/messages$|/(rerank|images/\w+|moderations)$")
STORES = re.compile(r"/cachedcontents(/|$)")
"""Gemini states the size of a stored prompt as usage; no model is asked for it."""
_MODEL = re.compile(r"/(?:models?|deployments|endpoints)/([^/:]+(?::\d+)?)")


def recognises(value: Any) -> bool:
    """Return whether a JSON value is a recorded call, or a list of them."""
    return any(isinstance(row, dict) and _is_exchange(row) for row in unwrapped(value)[:1])


def _is_exchange(row: Mapping[str, Any]) -> bool:
    return (
        "request" in row and ("response" in row or "error" in row) and not {"call_type", "spans"} & row.keys()
    )


def read(raw: Iterable[tuple[int, bytes]], count_tokens: CountTokens | None = None) -> Batch:
    """Return one record for each line that asked a model, failed ones too.

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
            record = _record(row, content, count_tokens)
            if record is None:
                batch.ignored[f"{row.get('method') or 'call'} {_shape(row)}"] += 1
            else:
                batch.records.append(record | {"source_line": line})
        except RecordError as error:
            batch.rejections.append(Rejection(line, str(error), content))
    return batch


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
    if isinstance(found, list):  # Gemini streams a list of parts
        found = streamed_body("\n".join(json.dumps(part) for part in found))
    return found if isinstance(found, dict) else {}


def _asks_a_model(row: Mapping[str, Any], tokens: Tokens | None) -> bool:
    """Return whether a model was asked: by the path, or, where that does not tell, by usage in the response.

    The state of an OpenAI run is asked for many times; the answer that states its usage is the call.
    """
    path, get = _path(row).lower(), str(row.get("method") or "POST").upper() == "GET"
    run = "/threads/" in path and "/runs" in path
    if STORES.search(path):
        return False
    if get or run:
        return tokens is not None and run
    if not path and not row.get("host"):
        return True
    called = EMBED.search(path) or (CALLS.search(path) and not OTHERS.search(path))
    return tokens is not None or bool(called)


def _operation(row: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    """Return what was asked for, by the path, or by vectors in the response (Bedrock)."""
    path = _path(row).lower()
    if EMBED.search(path) or {"embedding", "embeddings"} & body.keys():
        return EMBEDDINGS
    return OTHER if OTHERS.search(path) else CHAT


def _record(
    row: Mapping[str, Any], content: bytes, count_tokens: CountTokens | None
) -> dict[str, Any] | None:
    body = _body(row)
    usage = body_usage(body)
    operation = _operation(row, body)
    tokens = provider_tokens(of_embedding(usage) if operation == EMBEDDINGS else usage) if usage else None
    if tokens and body.get("cut"):  # what came later was billed too
        tokens = replace(tokens, convention="ambiguous")
    if not _asks_a_model(row, tokens):
        return None
    request = decoded(row.get("request"))
    said = exchange(request if isinstance(request, dict) else {}, body)
    fields = {
        "operation": operation,
        **_identity(row, request, body, content),
        **_outcome(row, body, said.finish),
    }
    record = call_record(fields, tokens, said, [], count_tokens)
    return record | {"usage_raw": usage_json(usage)}


def _identity(
    row: Mapping[str, Any], request: Any, body: Mapping[str, Any], content: bytes
) -> dict[str, Any]:
    asked = request if isinstance(request, dict) else {}
    in_path = _MODEL.search(_path(row))
    requested = first(asked, "model", "model_id", "modelId") or row.get("model") or (in_path and in_path[1])
    served = first(body, "model", "modelVersion", "model_id", "model_version")
    run = body.get("object") == "thread.run"
    event_id = body.get("id") if run else first(row, "id", "request_id") or body.get("id")
    metadata = asked.get("metadata") if isinstance(asked.get("metadata"), dict) else {}
    created = first(body, "created", "created_at", "createTime", "createdAt")
    return {
        "event_id": str(event_id) if event_id else hashlib.sha256(content).hexdigest()[:32],
        "trace_id": row.get("trace_id"),
        "occurred_at": clock_time("date", first(row, "timestamp", "date")) or clock_time("created", created),
        "endpoint": row.get("endpoint"),
        "provider": row.get("provider") or _provider(str(row.get("host") or "")),
        "model_requested": requested,
        "model_served": served if isinstance(served, str) else None,
        "session_id": first(row, "session_id") or (metadata or {}).get("session_id"),
        "user_id": first(row, "user_id")
        or first(asked, "user", "safety_identifier")
        or (metadata or {}).get("user_id"),
    }


def _provider(host: str) -> str | None:
    name, _, port = host.lower().partition(":")
    if port == "11434":
        return "ollama"
    return next((provider for end, provider in HOSTS.items() if name.endswith(end)), name or None)


def _outcome(row: Mapping[str, Any], body: Mapping[str, Any], finish: Iterable[str]) -> dict[str, Any]:
    told = row.get("error") or body.get("error")
    code = row.get("status")
    if isinstance(code, str) and spelt(code):
        code = int(code)
    refused = isinstance(code, int) and code >= 400
    failed = refused or bool(told)
    named = first(told, "type", "code", "status") if isinstance(told, dict) else body.get("error_type")
    error = str(named or (f"HTTP {code}" if refused else "error"))
    streamed = isinstance(row.get("response"), str)
    spent = row.get("processing_ms")
    spent = float(spent) if isinstance(spent, str) and spent.replace(".", "", 1).isdigit() else spent
    return {
        "status": "blocked" if error in BLOCKED else outcome(failed, finish),
        "error_type": error if failed and error not in BLOCKED else None,
        # A provider states the time until it begins to answer; for a stream that is the first token.
        "latency_ms": row["latency_ms"] if row.get("latency_ms") is not None else None if streamed else spent,
        "time_to_first_token_ms": row.get("time_to_first_token_ms") or (spent if streamed else None),
    }
