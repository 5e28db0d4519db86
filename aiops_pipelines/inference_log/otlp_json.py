"""Importer of OTLP/JSON traces: one record for each model call's span, joined with its trace.

A line is one export request, or a file is one JSON document. Retrieval and guardrail spans are joined to the
model call of their trace; they are found when they stand in the same batch.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from aiops_pipelines.inference_log.feedback import evaluation_of
from aiops_pipelines.inference_log.lines import DOCUMENT_LIMIT, parse
from aiops_pipelines.inference_log.otlp_spans import REQUEST_KEYS, Event, Span, log_events, requests, spans
from aiops_pipelines.inference_log.record import Batch, CountTokens, RecordError, Rejection
from aiops_pipelines.inference_log.span_calls import SpanCalls

CALL_DETAILS = "gen_ai.client.inference.operation.details"
LOOKED_FOR = "OTLP export requests with resourceSpans"


def recognises(value: Any) -> bool:
    """Return whether a JSON value is an OTLP export request, or a list of them."""
    found = value[:1] if isinstance(value, list) else [value]
    keys = (*REQUEST_KEYS, "gen_ai.operation.name")
    return any(isinstance(one, dict) and any(key in one for key in keys) for one in found)


def read(raw: Iterable[tuple[int, bytes]], count_tokens: CountTokens | None = None) -> Batch:
    """Return one record for each model call's span; other spans are counted by what they are.

    Args:
        raw: line numbers and export requests.
        count_tokens: counts text for the token parts; without it the parts stay null.
    """
    requests_read = Requests(SpanCalls(Batch(), count_tokens))
    for line, content in raw:
        try:
            requests_read.take(parse(content, DOCUMENT_LIMIT), line, content)
        except RecordError as error:
            requests_read.calls.batch.rejections.append(Rejection(line, str(error), content))
    return requests_read.land()


class Requests:
    """Export requests that are read one after the other; log records find their span in any of them."""

    def __init__(self, calls: SpanCalls):
        self.calls = calls
        self._logged: dict[tuple[str, str], list[tuple[Event, int]]] = defaultdict(list)
        self._raw: dict[int, bytes] = {}

    def take(self, document: Any, line: int, content: bytes) -> None:
        """Take the spans and log records of a document in.

        Raises:
            RecordError: it is no export request.
        """
        for request in requests(document):
            for key, event in log_events(request):
                self._logged[key].append((event, line))
                self._raw[line] = content
            for span in spans(request, line):
                self.calls.keep(span, content)

    def land(self) -> Batch:
        """Return the batch of all that was taken in."""
        for span in self.calls.spans:
            if logged := self._logged.pop((span.trace_id, span.span_id), None):
                span.events = (*span.events, *(event for event, _ in logged))
        batch = self.calls.batch
        for (trace_id, span_id), events in self._logged.items():
            for event, line in events:
                if event.name == CALL_DETAILS and event.attributes.get("gen_ai.operation.name"):
                    self.calls.keep(_called(event, trace_id, span_id, line), self._raw[line])
                elif row := evaluation_of(event, trace_id, span_id, line):
                    batch.feedback.append(row)
                else:
                    batch.ignored["log record without its span"] += 1
        return self.calls.land()


def _called(event: Event, trace_id: str, span_id: str, line: int) -> Span:
    """Return the span of a call that was logged as a details event only."""
    failed = "error.type" in event.attributes
    return Span(line, trace_id, span_id, "", event.at_ns, None, failed, dict(event.attributes), {}, [event])
