"""Importer of Langfuse exports: observations, traces and scores, as the blob export or the API writes them.

An observation is a span. What a traces or scores file says is joined by id whenever it arrives; a manifest
says how many rows its files hold. A row that was exported twice, at the edge of two windows, counts once.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from aiops_pipelines.inference_log.feedback import feedback_row, trace_row
from aiops_pipelines.inference_log.langfuse_usage import OPERATIONS
from aiops_pipelines.inference_log.messages import decoded, first
from aiops_pipelines.inference_log.objects import objects, unwrapped
from aiops_pipelines.inference_log.otlp_spans import Span
from aiops_pipelines.inference_log.otlp_usage import FRAMEWORK_USAGE
from aiops_pipelines.inference_log.provider_outcome import counted_tier
from aiops_pipelines.inference_log.provider_texts import (
    answer_text,
    finish_reasons,
    request_tools,
    request_turns,
)
from aiops_pipelines.inference_log.record import Batch, CountTokens, RecordError, Rejection, count, number
from aiops_pipelines.inference_log.span_calls import SpanCalls
from aiops_pipelines.inference_log.times import clock_time, nanoseconds
from aiops_pipelines.inference_log.tokens import usage_json

LOOKED_FOR = "Langfuse observations, traces, scores or manifests, in snake_case or camelCase"
COUNTS = {
    "input": ("input_tokens", "input_usage", "prompt_tokens"),
    "output": ("output_tokens", "output_usage", "completion_tokens"),
    "total": ("total_tokens", "total_usage"),
}
PROVIDERS = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider")
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")


def recognises(value: Any) -> bool:
    """Return whether a JSON value is a row, or a document, of a Langfuse export."""
    return any(isinstance(row, dict) and _kind(_snake(row)) != "unknown" for row in unwrapped(value)[:1])


def read(raw: Iterable[tuple[int, bytes]], count_tokens: CountTokens | None = None) -> Batch:
    """Return one record for each generation, and what the rows say about traces and calls.

    Args:
        raw: line numbers and rows or documents.
        count_tokens: counts text for the token parts; without it the parts stay null.
    """
    batch = Batch()
    rows = Rows(batch)
    for line, value, content in objects(raw, batch):
        try:
            rows.take(_snake(value), line, content)
        except RecordError as error:
            batch.rejections.append(Rejection(line, str(error), content))
    calls = SpanCalls(batch, count_tokens, usage_of=lambda found: usage_json(found.get(FRAMEWORK_USAGE)))
    for row, line, content in rows.observations.values():
        try:
            calls.keep(_span(row, rows.traces.get(str(row.get("trace_id")), {}), line), content)
        except RecordError as error:
            batch.rejections.append(Rejection(line, f"An observation of the line: {error}", content))
    return calls.land()


class Rows:
    """The rows of some lines by what they are; of a row that comes twice, the one that was updated last."""

    def __init__(self, batch: Batch):
        self._batch = batch
        self.observations: dict[tuple[str, str], tuple[Mapping[str, Any], int, bytes]] = {}
        self.traces: dict[str, Mapping[str, Any]] = {}

    def take(self, row: Mapping[str, Any], line: int, content: bytes) -> None:
        """Take a row in.

        Raises:
            RecordError: it is no row of a Langfuse export, or a field is of the wrong kind.
        """
        match _kind(row):
            case "observation":
                self._observe(row, line, content)
            case "trace":
                self._trace(row, line, content)
            case "score":
                self._batch.feedback.append(_score(row, line))
            case "manifest":
                self._batch.promised.update(_promised(row))
            case _:
                raise RecordError(f"The row is none of these: {LOOKED_FOR}.")

    def _observe(self, row: Mapping[str, Any], line: int, content: bytes) -> None:
        key = (str(row.get("trace_id")), str(row.get("id")))
        kept = self.observations.get(key)
        if kept:
            self._batch.ignored["row exported again"] += 1
        if kept is None or str(row.get("updated_at") or "") > str(kept[0].get("updated_at") or ""):
            self.observations[key] = (row, line, content)
        for score in _objects(row.get("scores")):
            named = {"observation_id": row.get("id"), "trace_id": row.get("trace_id")}
            self._batch.feedback.append(_score(named | _snake(score), line))

    def _trace(self, row: Mapping[str, Any], line: int, content: bytes) -> None:
        trace = _snake(row["trace"]) if isinstance(row.get("trace"), dict) else row
        self.traces[str(trace.get("id"))] = trace
        known = {
            "session_id": trace.get("session_id"),
            "user_id": trace.get("user_id"),
            "endpoint": trace.get("name"),
        }
        if said := trace_row({"trace_id": str(trace.get("id")), **known}, line):
            self._batch.traces.append(said)
        for observation in _objects(row.get("observations")):
            self._observe({"trace_id": trace.get("id"), **_snake(observation)}, line, content)
        for score in _objects(trace.get("scores")):
            self._batch.feedback.append(_score({"trace_id": trace.get("id")} | _snake(score), line))


def _kind(row: Mapping[str, Any]) -> str:
    if isinstance(row.get("files"), list) and isinstance(row.get("window"), dict):
        return "manifest"
    if isinstance(row.get("observations"), list):
        return "trace"
    if row.get("trace_id") and row.get("type") and row.get("start_time") and row.get("id"):
        return "observation"
    if row.get("name") and any(row.get(n) is not None for n in ("value", "string_value")):
        return "score" if any(row.get(n) for n in ("trace_id", "observation_id", "session_id")) else "unknown"
    named = {"user_id", "session_id", "release", "bookmarked", "public", "tags"} & row.keys()
    return (
        "trace" if row.get("id") and row.get("timestamp") and named and "trace_id" not in row else "unknown"
    )


def _snake(row: Mapping[str, Any]) -> dict[str, Any]:
    return {_HUMP.sub(r"_\1", str(name)).lower(): value for name, value in row.items()}


def _objects(value: Any) -> list[dict[str, Any]]:
    found = decoded(value)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _span(row: Mapping[str, Any], trace: Mapping[str, Any], line: int) -> Span:
    if not (row.get("id") and row.get("trace_id")):
        raise RecordError("The observation must have an id and a trace_id.")
    start = nanoseconds("start_time", row.get("start_time"))
    context = {
        "session.id": first(row, "session_id") or trace.get("session_id"),
        "user.id": first(row, "user_id") or trace.get("user_id"),
        "aiops.endpoint": first(row, "trace_name") or trace.get("name"),
    }
    return Span(
        line,
        str(row["trace_id"]),
        str(row["id"]),
        str(row.get("parent_observation_id") or ""),
        start,
        nanoseconds("end_time", row.get("end_time")),
        str(row.get("level")).upper() == "ERROR",
        _attributes(row, start),
        context,
    )


def _attributes(row: Mapping[str, Any], start: int | None) -> dict[str, Any]:
    given, said = decoded(row.get("input")), decoded(row.get("output"))
    kind = str(row["type"]).lower()
    operation = OPERATIONS.get(kind, kind)
    named = {"gen_ai.operation.name": operation, "error.type": _error(row)}
    if operation == "retrieval":
        documents = said.get("documents") if isinstance(said, dict) else said
        query = (
            given
            if isinstance(given, str)
            else first(given, "query", "input")
            if isinstance(given, dict)
            else None
        )
        return named | {"gen_ai.retrieval.query.text": query, "gen_ai.retrieval.documents": documents}
    if operation == "run_guardrail":
        return named | _verdict(row, said)
    if operation not in ("chat", "embeddings"):
        return named
    model = first(row, "provided_model_name", "model", "internal_model")
    metadata = _details(row.get("metadata"))
    inner = decoded(metadata.get("attributes")) if isinstance(metadata, dict) else None
    tools, usage = row.get("tool_definitions") or request_tools(given), _usage(row)
    return named | {
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.provider.name": first(inner, *PROVIDERS) if isinstance(inner, dict) else None,
        "gen_ai.input.messages": [{"role": role, "content": text} for role, text in request_turns(given)],
        "gen_ai.output.messages": [{"role": "assistant", "content": answer_text(said)}],
        "gen_ai.response.finish_reasons": sorted(finish_reasons(said)),
        "gen_ai.tool.definitions": tools or None,
        "gen_ai.response.time_to_first_chunk": _first_token(row, start),
        "aiops.prompt.version": _version(row),
        "gen_ai.usage.cost.amount": _cost(row),
        "openai.response.service_tier": counted_tier(usage),
        FRAMEWORK_USAGE: usage,
    }


def _verdict(row: Mapping[str, Any], said: Any) -> dict[str, Any]:
    stated = said if isinstance(said, dict) else {"action": said if isinstance(said, str) else None}
    return {
        "gen_ai.guardrail.component.name": row.get("name"),
        "gen_ai.guardrail.action.type": first(stated, "action", "verdict", "decision", "result"),
        "gen_ai.guardrail.security.risk.category": first(stated, "category", "risk_category"),
    }


def _error(row: Mapping[str, Any]) -> str | None:
    failed = str(row.get("level")).upper() == "ERROR"
    return (str(row.get("status_message") or "") or "error").splitlines()[0][:200] if failed else None


def _usage(row: Mapping[str, Any]) -> Any:
    stated = _details(first(row, "usage_details", "usage"))
    if stated:
        return stated
    counts = {name: first(row, *names) for name, names in COUNTS.items()}
    return {name: _number(value) for name, value in counts.items() if value is not None} or None


def _details(value: Any) -> Any:
    """Return details as an object with numbers: a Parquet map is a list of pairs, and some write text."""
    found = decoded(value)
    if isinstance(found, list) and all(
        isinstance(one, dict) and one.keys() == {"key", "value"} for one in found
    ):
        found = {str(one["key"]): one["value"] for one in found}
    return {name: _number(one) for name, one in found.items()} if isinstance(found, dict) else found


def _cost(row: Mapping[str, Any]) -> Any:
    details = _details(row.get("cost_details"))
    total = details.get("total") if isinstance(details, dict) else None
    return first(row, "total_cost", "calculated_total_cost") or total


def _first_token(row: Mapping[str, Any], start: int | None) -> float | None:
    """Return seconds to the first token, by the clock where it is given."""
    begun = nanoseconds("completion_start_time", row.get("completion_start_time"))
    if begun is not None and start is not None and begun >= start:
        return (begun - start) / 1e9
    seconds = _number(row.get("time_to_first_token"))
    return float(number("time_to_first_token", seconds)) if isinstance(seconds, int | float) else None


def _version(row: Mapping[str, Any]) -> str | None:
    name, version = row.get("prompt_name"), row.get("prompt_version")
    return None if version in (None, "") else f"{name}@{version}" if name else str(version)


def _number(value: Any) -> Any:
    """Return the number that a cell of a CSV file spells."""
    if not isinstance(value, str) or not value:
        return value
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        return value


def _score(row: Mapping[str, Any], line: int) -> dict[str, Any]:
    value, labelled = _number(row.get("value")), row.get("string_value")
    if str(row.get("data_type")).upper() == "BOOLEAN" and value in (0, 1):
        value = bool(value)
    return feedback_row(
        {
            "feedback_id": row.get("id"),
            "trace_id": row.get("trace_id"),
            "call_id": row.get("observation_id"),
            "session_id": row.get("session_id"),
            "name": row.get("name"),
            "value": value if value != "" else None,
            "label": labelled or None,
            "given_by": row.get("source"),
            "given_at": clock_time("timestamp", first(row, "timestamp", "created_at")),
        },
        line,
    )


def _promised(manifest: Mapping[str, Any]) -> dict[str, int]:
    files = [_snake(one) for one in manifest["files"] if isinstance(one, dict)]
    return {
        str(one["key"]): count("rowCount", one["row_count"])
        for one in files
        if {"key", "row_count"} <= one.keys()
    }
