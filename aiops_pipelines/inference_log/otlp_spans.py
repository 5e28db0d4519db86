"""OTLP/JSON decoded: export requests into spans with plain values, parents and events.

What the attributes mean is the business of `otlp_json`, `otlp_usage` and `otlp_messages`.
"""

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aiops_pipelines.inference_log.messages import by_names, decoded, first
from aiops_pipelines.inference_log.record import RecordError, kind

_OBJECT = {dict}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REQUEST_KEYS = ("resourceSpans", "resourceLogs", "resourceMetrics")
KIND = "openinference.span.kind"
LAST_NANOSECOND = 253_402_300_799_000_000_000
"""End of the year 9999, the last a datetime can hold."""


@dataclass(slots=True)
class Event:
    """Something that happened within a span: a span event, or a log record that names the span."""

    name: str
    at_ns: int | None
    attributes: Mapping[str, Any]


@dataclass(slots=True)
class Span:
    """One span; `line` is where it was read, `resource` holds the attributes of its emitter.

    Spans are never changed, but a frozen one takes four times as long to make.
    """

    line: int
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int | None
    end_ns: int | None
    failed: bool
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    events: Sequence[Event] = ()
    scores: Sequence[dict[str, Any]] = ()
    scope: str = ""
    """Name of the library that made the span."""
    name: str = ""

    @property
    def started_at(self) -> datetime | None:
        """Start in UTC, to the microsecond."""
        return moment_of(self.start_ns)

    def first(self, *names: str) -> Any:
        """Return the first attribute present under one of the names."""
        return first(self.attributes, *names)

    def saying(self, under: Mapping[str, Any], over: Mapping[str, Any] | None = None) -> "Span":
        """Return the span, saying `over` above all, and `under` where it says nothing; None is nothing."""
        beneath, above = ({k: v for k, v in said.items() if v is not None} for said in (under, over or {}))
        return replace(self, attributes={**beneath, **self.attributes, **above})


def moment_of(nanoseconds: int | None) -> datetime | None:
    """Return nanoseconds since 1970 as a time in UTC, to the microsecond."""
    return None if nanoseconds is None else EPOCH + timedelta(microseconds=nanoseconds // 1_000)


@dataclass(frozen=True)
class SpanError:
    """A span that cannot be read, and why."""

    line: int
    reason: str


def value(any_value: Any) -> Any:
    """Return the plain value of an OTLP AnyValue: {"intValue": "12"} is 12."""
    if not isinstance(any_value, dict):
        return any_value
    if "stringValue" in any_value and len(any_value) == 1:
        return any_value["stringValue"]
    if "arrayValue" in any_value:
        return [value(part) for part in items(any_value["arrayValue"], "values")]
    if "kvlistValue" in any_value:
        return attributes(any_value["kvlistValue"], "values")
    if "intValue" in any_value:
        return _whole(any_value["intValue"], "intValue")
    return next((v for k, v in any_value.items() if k in ("stringValue", "boolValue", "doubleValue")), None)


def attributes(owner: Any, key: str = "attributes") -> dict[str, Any]:
    """Return an attribute list as a dict."""
    return {str(pair.get("key")): value(pair.get("value")) for pair in items(owner, key)}


def items(owner: Any, key: str) -> list[dict[str, Any]]:
    """Return a repeated field; absent is empty.

    Raises:
        RecordError: it is not a list of objects.
    """
    found = owner.get(key) if isinstance(owner, dict) else None
    if found is None:
        return []
    if not isinstance(found, list) or not {*map(type, found)} <= _OBJECT:
        raise RecordError(f"{key} must be a list of objects; this is not OTLP/JSON.")
    return found


def requests(document: Any) -> list[dict[str, Any]]:
    """Return the export requests of one JSON document: itself, or each of a list.

    Raises:
        RecordError: the document holds none.
    """
    found = document if isinstance(document, list) else [document]
    if any(isinstance(part, dict) and {"gen_ai.operation.name", KIND} & part.keys() for part in found):
        raise RecordError("These are attributes of a span without its ids and times; export whole spans.")
    if not found or not all(
        isinstance(part, dict) and any(key in part for key in REQUEST_KEYS) for part in found
    ):
        raise RecordError(
            f"The line must be an OTLP export with resourceSpans; it is {kind(document)} without."
        )
    return found


def spans(request: Mapping[str, Any], line: int) -> Iterator[Span | SpanError]:
    """Yield the spans of an export request; one that cannot be read is yielded as its error."""
    for group in items(request, "resourceSpans"):
        resource = attributes(group.get("resource"))
        for scope in items(group, "scopeSpans"):
            made_by = scope.get("scope")
            name = str(made_by.get("name") or "") if isinstance(made_by, dict) else ""
            for raw in items(scope, "spans"):
                try:
                    yield _span(raw, resource, line, name)
                except RecordError as error:
                    yield SpanError(line, f"A span of the line: {error}")


def log_events(request: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Event]]:
    """Yield the log records of an export request as events, with the trace and span id they belong to."""
    for group in items(request, "resourceLogs"):
        for scope in items(group, "scopeLogs"):
            for raw in items(scope, "logRecords"):
                found = attributes(raw)
                body = decoded(value(raw.get("body")))  # a text where logging of Python wrote it
                name = str(raw.get("eventName") or found.get("event.name") or "")
                merged = ChainMap(found, body if isinstance(body, dict) else {})
                yield (
                    (str(raw.get("traceId")), str(raw.get("spanId"))),
                    Event(name, _nanoseconds(raw.get("timeUnixNano"), "timeUnixNano"), merged),
                )


def _span(raw: dict[str, Any], resource: dict[str, Any], line: int, scope: str) -> Span:
    status = raw.get("status")
    code = status.get("code") if isinstance(status, dict) else None
    events = tuple(
        Event(
            str(event.get("name") or ""),
            _nanoseconds(event.get("timeUnixNano"), "timeUnixNano"),
            attributes(event),
        )
        for event in items(raw, "events")
    )
    found = attributes(raw)
    return Span(
        line,
        str(raw.get("traceId") or ""),
        str(raw.get("spanId") or ""),
        str(raw.get("parentSpanId") or ""),
        _nanoseconds(raw.get("startTimeUnixNano"), "startTimeUnixNano"),
        _nanoseconds(raw.get("endTimeUnixNano"), "endTimeUnixNano"),
        code in (2, "2", "STATUS_CODE_ERROR"),
        found,
        resource,
        events,
        scores(found),
        scope,
        str(raw.get("name") or ""),
    )


def scores(found: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return the evaluations and annotations of a span: attributes like `annotations.0.annotation.name`."""
    numbered: dict[tuple[str, str], dict[str, Any]] = {}
    for name, key, part in _scored(found):
        numbered.setdefault(key, {})[part] = found[name]
    return tuple(numbered.values())


@by_names
def _scored(names: tuple[str, ...]) -> list[tuple[str, tuple[str, str], str]]:
    """Return the names of scores among a span's attributes, each with its group, its number and its part."""
    parts = (
        (name, *name.split(".", 2)) for name in names if name.startswith(("evaluations.", "annotations."))
    )
    return [(name, (group, place), "".join(part)) for name, group, place, *part in parts if place.isdigit()]


def _whole(given: Any, name: str) -> int:
    if isinstance(given, bool) or not isinstance(given, int | str | float):
        raise RecordError(f"{name} must be a whole number, not {kind(given)}.")
    try:
        return int(given)
    except (ValueError, OverflowError) as error:
        raise RecordError(f"{name} is not a whole number.") from error


def _nanoseconds(given: Any, name: str) -> int | None:
    if given in (None, "", 0, "0"):
        return None
    found = _whole(given, name)
    if not 0 <= found <= LAST_NANOSECOND:
        raise RecordError(f"{name} is not a time in nanoseconds since 1970.")
    return found
