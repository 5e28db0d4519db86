"""Spans of one trace and how they belong together: which are model calls, and what was retrieved for each.

An embedding is a call of its own where it says what it used or that it failed. Others are not: local models
bill nothing, and frameworks log a span around the client's.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from aiops_pipelines.inference_log.litellm import CALLS as LITELLM_CALLS
from aiops_pipelines.inference_log.litellm import EMBEDDING_CALLS
from aiops_pipelines.inference_log.otlp_spans import Span
from aiops_pipelines.inference_log.otlp_usage import with_no_output
from aiops_pipelines.inference_log.record import RecordError
from aiops_pipelines.inference_log.repeated_calls import TokensOf, made_calls, outer_calls

MODEL_CALL, EMBEDDING = "model call", "embedding call"
MODEL_CALLS = {
    *("chat", "text_completion", "generate_content", *LITELLM_CALLS, "llm_call"),
    *("text_completions", "chat.completions", "text.completions"),
}
"""Operations of the conventions, and what LiteLLM, OpenLLMetry, Semantic Kernel and Gemini's CLI have."""
ANCESTORS = 64
_OPENINFERENCE = {
    "LLM": MODEL_CALL,
    "RETRIEVER": "retrieval",
    "RERANKER": "reranking",
    "GUARDRAIL": "guardrail",
    "EMBEDDING": EMBEDDING,
}
_NAMED = {
    **dict.fromkeys(MODEL_CALLS, MODEL_CALL),
    **dict.fromkeys(("embeddings", *EMBEDDING_CALLS), EMBEDDING),
    "run_guardrail": "guardrail",
}


def operation(span: Span) -> str:
    """Return what a span is: a call, a retrieval, reranking or guardrail, or the name it gives itself."""
    name = str(span.first("gen_ai.operation.name") or "").lower()
    if name:
        return _NAMED.get(name, name)
    openinference = str(span.first("openinference.span.kind") or "").upper()
    if openinference:
        return _OPENINFERENCE.get(openinference, openinference.lower())
    asked_for = span.first("llm.request.type")
    if asked_for == "embedding":
        return EMBEDDING
    older = asked_for in ("chat", "completion")
    asked = span.first("gen_ai.request.model") and any(
        key.startswith(("gen_ai.usage.", "gen_ai.prompt", "gen_ai.completion")) for key in span.attributes
    )
    return MODEL_CALL if older or asked else "other span"


class Trace:
    """The spans of one trace in a batch.

    A span belongs to the model call that is its parent, else to the next one that starts, else to the last.
    `kinds` says what each of the spans is. A call that its framework logged as well is one call.
    `calls` are those that asked for an answer, `embeddings` those that asked for vectors.
    """

    def __init__(self, spans: Iterable[Span], tokens_of: TokensOf):
        kinds = [(span.start_ns or 0, operation(span), span) for span in spans]
        kinds.sort(key=lambda found: (found[0], found[1] == MODEL_CALL))
        self.spans = [span for _, _, span in kinds]
        self._by_id = {span.span_id: span for span in self.spans}
        kind_of = {span.span_id: kind for _, kind, span in kinds}
        made = _made(MODEL_CALL, kind_of, self._by_id, tokens_of)
        embedded = _made(EMBEDDING, kind_of, self._by_id, lambda found: tokens_of(with_no_output(found)))
        self.calls = [made[span.span_id] for span in self.spans if span.span_id in made]
        self.embeddings = [span for name, span in embedded.items() if _counts(span, tokens_of)]
        stand = {span.span_id for span in (*self.calls, *self.embeddings)}
        self.kinds = [
            kind
            if kind not in (MODEL_CALL, EMBEDDING) or span.span_id in stand
            else "embedding without usage"
            if span.span_id in embedded
            else f"{kind} logged again"
            for _, kind, span in kinds
        ]
        self._joined: dict[str, dict[str, list[Span]]] = defaultdict(lambda: defaultdict(list))
        calls = {call.span_id for call in self.calls}
        waiting: list[tuple[str, Span]] = []
        for _, kind, span in kinds:
            if span.span_id in calls:
                self._join(span.span_id, waiting)
                waiting = []
            elif span.parent_id in calls:
                self._join(span.parent_id, [(kind, span)])
            else:
                waiting.append((kind, span))
        if self.calls:
            self._join(self.calls[-1].span_id, waiting)

    def joined(self, call: Span) -> Mapping[str, list[Span]]:
        """Return the spans that belong to a model call, by kind and start."""
        return self._joined[call.span_id]

    def inherited(self, span: Span) -> Mapping[str, Any]:
        """Return the span's attributes over those of its ancestors, over those of its emitter."""
        chain, seen = [span.resource, span.attributes], {span.span_id}
        while (
            (parent := self._by_id.get(span.parent_id))
            and parent.span_id not in seen
            and len(seen) < ANCESTORS
        ):
            chain.insert(1, parent.attributes)
            seen.add(parent.span_id)
            span = parent
        context: dict[str, Any] = {}
        for said in chain:
            context.update(said)
        return context

    def _join(self, call: str, spans: Iterable[tuple[str, Span]]) -> None:
        for kind, span in spans:
            self._joined[call][kind].append(span)


def _made(
    kind: str, kinds: Mapping[str, str], spans: Mapping[str, Span], tokens_of: TokensOf
) -> dict[str, Span]:
    """Return the calls of a kind by their span id, in the order of the spans."""
    calls = {name: span for name, span in spans.items() if kinds[name] == kind}
    outer_of = outer_calls(spans, kinds, list(calls), tokens_of) if len(calls) > 1 else {}
    if not outer_of:
        return calls
    return {span.span_id: span for span in made_calls(calls, outer_of, tokens_of)}


def _counts(span: Span, tokens_of: TokensOf) -> bool:
    """Say whether an embedding is a call: it failed, or states what it used."""
    if span.failed or span.first("error.type"):
        return True
    try:
        return tokens_of(with_no_output(span.attributes)) is not None
    except RecordError:  # to be set aside with its reason
        return True
