"""Spans into records: one for each model call, joined with retrieval, guardrails and session of its trace.

Every format that logs traces is read into spans first, so that all are joined in the same way.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aiops_pipelines.inference_log.call_record import (
    HIDDEN,
    NOTHING_SAID,
    call_record,
    outcome,
    without_hidden,
)
from aiops_pipelines.inference_log.feedback import evaluations
from aiops_pipelines.inference_log.messages import Aliases, Conversation, decoded, first
from aiops_pipelines.inference_log.otlp_dialects import in_conventions
from aiops_pipelines.inference_log.otlp_messages import conversation, retrieved, with_details
from aiops_pipelines.inference_log.otlp_spans import Span, SpanError
from aiops_pipelines.inference_log.otlp_traces import EMBEDDING, MODEL_CALL, Trace
from aiops_pipelines.inference_log.otlp_usage import (
    reported_cost,
    span_tokens,
    usage_text,
    with_no_output,
)
from aiops_pipelines.inference_log.provider_hosts import asked_at
from aiops_pipelines.inference_log.provider_outcome import stated_tier
from aiops_pipelines.inference_log.record import EMBEDDINGS, Batch, CountTokens, RecordError, Rejection
from aiops_pipelines.inference_log.repeated_calls import one_response
from aiops_pipelines.inference_log.tokens import Tokens

_OWN = Aliases(
    requested=("gen_ai.request.model", "llm.request.model_name"),
    served=("gen_ai.response.model", "llm.response.model_name", "llm.model_name", "embedding.model_name"),
    provider=("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
)
_INHERITED = Aliases(
    endpoint=("aiops.endpoint", "http.route"),
    prompt_version=("aiops.prompt.version", "llm.prompt_template.version"),
    index_version=("aiops.index.version",),
    session_id=("session.id", "gen_ai.conversation.id"),
    user_id=("user.id", "enduser.id", "gen_ai.request.user"),
    user_group=("aiops.user.group",),
    known_query_id=("aiops.known_query.id",),
)


_RESPONSE = "resp_"
"""How OpenAI names responses. Microsoft's frameworks give the one before as the conversation of a call."""
TIER = (
    *("openai.response.service_tier", "gen_ai.openai.response.service_tier"),
    "gen_ai.response.service_tier",
)
"""What served the call; what the request asked for may not have been granted."""
ADDRESS = ("server.address", "gen_ai.openai.api_base", "openai.api_base")
"""Where the call went, as the conventions and OpenLLMetry write it."""


@dataclass
class SpanCalls:
    """The spans of some lines, kept by trace until all are read; then `land` makes the records.

    `tokens_of` and `usage_of` read the usage out of a span's attributes, as tokens and as text.
    """

    batch: Batch
    count_tokens: CountTokens | None = None
    tokens_of: Callable[[Mapping[str, Any]], Tokens | None] = span_tokens
    usage_of: Callable[[Mapping[str, Any]], str | None] = usage_text
    _traces: dict[str, dict[str, Span]] = field(default_factory=lambda: defaultdict(dict))
    _raw: dict[int, bytes] = field(default_factory=dict)

    @property
    def spans(self) -> Iterable[Span]:
        """All spans that were kept."""
        return (span for members in self._traces.values() for span in members.values())

    def keep(self, span: Span | SpanError, content: bytes) -> None:
        """Take a span of a line in, unless it was read before."""
        if isinstance(span, SpanError):
            self.batch.rejections.append(Rejection(span.line, span.reason, content))
            return
        kept = self._traces[span.trace_id].setdefault(span.span_id, span)
        if kept is span:
            self._raw[span.line] = content
        elif replace(kept, line=span.line) == span:
            self.batch.ignored["span delivered again"] += 1
        else:
            reason = "A span has the same ids as another, and other content."
            self.batch.rejections.append(Rejection(span.line, reason, content))

    def land(self) -> Batch:
        """Return the batch with a record for each model call, in the order of the lines."""
        self._reunite()
        for trace_id in list(self._traces):
            members = self._traces.pop(trace_id)  # let go: each span kept makes garbage collection slower
            trace = Trace(self._spoken(members.values()), self.tokens_of)
            for kind, span in zip(trace.kinds, trace.spans, strict=True):
                if kind not in (MODEL_CALL, EMBEDDING):
                    self.batch.ignored[kind] += 1
                if span.events or span.scores:
                    self.batch.feedback.extend(evaluations(span))
            for call in trace.calls:
                self._land(call, trace)
            for call in trace.embeddings:
                self._land(call, trace, embedding=True)
        self.batch.records.sort(key=lambda record: record["source_line"])
        return self.batch

    def _spoken(self, members: Iterable[Span]) -> Iterator[Span]:
        """Yield spans in the conventions' names; one that says what no dialect can be is set aside."""
        for span in members:
            try:
                yield in_conventions(with_details(span))
            except Exception as error:  # attributes may be of any type and size
                reason = f"A span of the line cannot be read ({type(error).__name__})."
                self.batch.rejections.append(Rejection(span.line, reason, self._raw[span.line]))

    def _reunite(self) -> None:
        """Put a call that is alone in its trace to the span of another library that has the same response.

        Where no span of the application is around them, each library starts a trace of its own.
        """
        alone = {name: next(iter(one.values())) for name, one in self._traces.items() if len(one) == 1}
        if not any("gen_ai.response.id" in span.attributes for span in alone.values()):
            return
        answered: dict[Any, Span] = {}
        for span in self.spans:
            if isinstance(response := span.attributes.get("gen_ai.response.id"), str):
                answered.setdefault(response, span)
        for trace_id, span in alone.items():
            response = span.attributes.get("gen_ai.response.id")
            twin = answered.get(response) if isinstance(response, str) else None
            if twin and twin.trace_id != trace_id and one_response(twin, span):
                self._traces[twin.trace_id].setdefault(span.span_id, span)
                del self._traces[trace_id]

    def _land(self, call: Span, trace: Trace, embedding: bool = False) -> None:
        try:
            record = _embedding(call, trace) if embedding else _fields(call, trace, self.batch.ignored)
            said, contexts = record.pop("said", NOTHING_SAID), record.pop("contexts", ())
            tokens = self.tokens_of(with_no_output(call.attributes) if embedding else call.attributes)
            whole = call_record(record, tokens, said, contexts, self.count_tokens)
        except RecordError as error:
            reason = f"A model call of the line: {error}"
            self.batch.rejections.append(Rejection(call.line, reason, self._raw[call.line]))
            return
        whole["usage_raw"], whole["source_line"] = self.usage_of(call.attributes), call.line
        self.batch.records.append(whole)


def _fields(call: Span, trace: Trace, ignored: Counter[str]) -> dict[str, Any]:
    said, joined = without_hidden(conversation(call)), trace.joined(call)
    retrievals = joined["reranking"] or joined["retrieval"]
    chunks = [chunk for span in retrievals for chunk in retrieved(span.attributes)]
    named: dict[str, dict[str, Any]] = {}
    for chunk, _ in chunks:
        if chunk["chunk_id"] is not None:
            named.setdefault(chunk["chunk_id"], chunk)
    if call.start_ns is not None and call.end_ns is not None and call.end_ns < call.start_ns:
        ignored["latency of a call that ends before it starts"] += 1
    if anonymous := sum(chunk["chunk_id"] is None for chunk, _ in chunks):
        ignored["retrieved chunk without id"] += anonymous
    return {
        **_identity(call, trace.inherited(call), retrievals),
        **_outcome(call, said),
        "said": said,
        "contexts": [text for _, text in chunks if text],
        "query": _query(said, joined["retrieval"] + joined["reranking"]),
        "retrieved": list(named.values()) if retrievals else None,
        "service_tier": stated_tier({"service_tier": call.first(*TIER)}),
        "guardrail_events": [_verdict(span) for span in joined["guardrail"]] or None,
        "cost_reported_usd": reported_cost(call.attributes),
    }


def _embedding(call: Span, trace: Trace) -> dict[str, Any]:
    return {
        **_identity(call, trace.inherited(call), []),
        **_outcome(call, NOTHING_SAID),
        "operation": EMBEDDINGS,
        "rating": None,
        "known_query_id": None,
        "cost_reported_usd": reported_cost(call.attributes),
    }


def _identity(call: Span, context: Mapping[str, Any], retrievals: list[Span]) -> dict[str, Any]:
    if not call.trace_id or not call.span_id:
        raise RecordError("traceId or spanId is missing, so the call has no identifier.")
    index = [v for span in retrievals if (v := span.first("aiops.index.version"))]
    own, labels = _OWN.found(call.attributes), _INHERITED.found(context)
    if str(labels["session_id"]).startswith(_RESPONSE):  # another one with each call
        labels["session_id"] = None
    labels |= {
        "provider": asked_at(own["provider"], call.first(*ADDRESS), call.first("server.port")),
        "model_requested": own["requested"] or _asked_for(call) or own["served"],
        "model_served": own["served"],
        "index_version": labels["index_version"] or next(iter(index), None),
    }
    return {
        **{name: str(value) if type(value) is int else value for name, value in labels.items()},
        "event_id": f"{call.trace_id}-{call.span_id}",
        "trace_id": call.trace_id,
        "occurred_at": call.started_at,
        "rating": first(context, "aiops.rating"),
    }


def _asked_for(call: Span) -> Any:
    """Return the model that a request's parameters name: OpenInference says the served one beside them."""
    parameters = decoded(call.attributes.get("llm.invocation_parameters"))
    return parameters.get("model") if isinstance(parameters, dict) else None


def _outcome(call: Span, said: Conversation) -> dict[str, Any]:
    latency = None
    if call.start_ns is not None and call.end_ns is not None and call.end_ns >= call.start_ns:
        latency = (call.end_ns - call.start_ns) / 1e6
    seconds = call.first("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")
    status = outcome(call.failed or bool(call.first("error.type")), said.finish)
    raised = (e.attributes.get("exception.type") for e in call.events if e.name == "exception")
    return {
        "latency_ms": latency,
        "time_to_first_token_ms": _milliseconds(seconds, latency),
        "status": status,
        "error_type": (call.first("error.type") or next(raised, None)) if status == "error" else None,
    }


def _milliseconds(seconds: Any, latency_ms: float | None) -> Any:
    """Return a time within a call in ms; one beyond its end was in ms already, as Strands writes it."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return seconds
    return seconds if latency_ms and seconds * 1000 > latency_ms >= seconds else seconds * 1000


def _query(said: Conversation, retrievals: list[Span]) -> str | None:
    """Return what retrieval was asked, if the prompt holds it or is not logged, else the last message."""
    asked = [
        text for span in retrievals if (text := span.first("gen_ai.retrieval.query.text", "input.value"))
    ]
    within = [text for text in asked if said.query is None or str(text) in said.query]
    within = [text for text in within if not str(text).startswith(HIDDEN)]
    return within[0] if within else said.query


def _verdict(span: Span) -> dict[str, Any]:
    return {
        "guardrail": span.first("gen_ai.guardrail.component.name", "guardrail.name") or "guardrail",
        "category": span.first("gen_ai.guardrail.security.risk.category"),
        "action": span.first("gen_ai.guardrail.action.type", "gen_ai.guardrail.verdict.type"),
    }
