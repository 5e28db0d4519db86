"""What agent frameworks log under names of their own, put under the conventions' names.

The clients of single providers are in `otlp_frameworks`, the table of all dialects in `otlp_dialects`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiops_pipelines.inference_log.messages import decoded, first, listed, object_in, text_of
from aiops_pipelines.inference_log.otlp_frameworks import OPERATION, answered_in, asked_in, message
from aiops_pipelines.inference_log.otlp_spans import KIND, Span
from aiops_pipelines.inference_log.otlp_usage import INPUT, OUTPUT, PROVIDER_USAGE, TOTAL
from aiops_pipelines.inference_log.provider_usage import body_usage

_STEP = "haystack.agent.step.llm"
_HAYSTACK = {"Generator": "chat", "Embedder": "embeddings", "Retriever": "retrieval", "Ranker": "reranking"}
"""What the components of Haystack do, by how their types end."""
_SOLD_BY = {"Azure": "azure", "AmazonBedrock": "aws"}
"""Who sells what models of others are called as, by how the types of components begin."""
_CLASS = re.compile(r"<class '([\w.]+)'>").fullmatch
_CAME = ("gen_ai.response.id", "gen_ai.response.finish_reasons", *INPUT[:1], *OUTPUT[:1])
_ASKS = ("Chat completion", "Responses API")
_COUNTS = (*INPUT, *OUTPUT, *TOTAL)
_USAGE = re.compile(r"""\busage['"]?[=:]""").split
_DUMPED = re.compile(r"""\b(\w+_tokens)['"]?[=:] ?(\d{1,18})\b""").findall
_DETAILS = {"cached_tokens": "prompt_tokens_details", "reasoning_tokens": "completion_tokens_details"}


def haystack(span: Span) -> Span:
    """Haystack's own tracing: what a component was given and gave, as JSON text where content is traced."""
    found = span.attributes
    made = str(found.get("haystack.component.type") or "")
    step = span.name if span.name == _STEP else "haystack.component"
    does = _does(span.name, made)
    if does is None:
        return span
    given, gave = (object_in(found.get(f"{step}.{at}")) for at in ("input", "output"))
    replies = listed(gave.get("replies"))
    told = [one.get("meta") for one in replies if isinstance(one, dict)] or listed(gave.get("meta"))
    meta = object_in(next(iter(told), None))
    under = {
        OPERATION: does,
        "gen_ai.provider.name": next((who for at, who in _SOLD_BY.items() if made.startswith(at)), None),
        "gen_ai.response.model": meta.get("model"),
        "gen_ai.input.messages": asked_in(given),
        "gen_ai.output.messages": message(text_of(replies)),
        "gen_ai.tool.definitions": given.get("tools"),
        "gen_ai.response.finish_reasons": meta.get("finish_reason"),
        "gen_ai.retrieval.query.text": given.get("query"),
        "gen_ai.retrieval.documents": gave.get("documents"),
        PROVIDER_USAGE: body_usage(meta),
    }
    return span.saying(under)


def _does(name: str, made: str) -> str | None:
    """Return what a step of an agent or a component does; one that draws images is no chat."""
    if name == _STEP:
        return "chat"
    return None if "Image" in made else next((v for end, v in _HAYSTACK.items() if made.endswith(end)), None)


def semantic_kernel(span: Span) -> Span:
    """Semantic Kernel: the kind of an error as Python prints its class."""
    named = _CLASS(str(span.attributes.get("error.type")))
    return span.saying({}, {"error.type": named[1]}) if named else span


def pydantic_ai(span: Span) -> Span:
    """Pydantic AI: a stream that broke before anything came is an answer of no parts, and no error."""
    said = listed(decoded(span.attributes.get("gen_ai.output.messages")))
    empty = said and not any(isinstance(one, dict) and one.get("parts") for one in said)
    return replace(span, failed=True) if empty and span.first(*_CAME) is None else span


def counted(span: Span) -> Span:
    """AutoGen by OpenInference: counts of 0 where the provider was not asked for any, as in a stream."""
    if any(span.attributes.get(name) for name in _COUNTS):
        return span
    left = {name: value for name, value in span.attributes.items() if name not in _COUNTS}
    return replace(span, attributes=left)


def openai_agents(span: Span) -> Span:
    """OpenAI's Agents SDK by Logfire: texts and usage as JSON text; a failure does not name its operation."""
    found = span.attributes
    if not span.name.startswith(_ASKS):
        group = found.get("group_id")
        return span if group == "null" else span.saying({"session.id": group})
    response, said = object_in(found.get("response")), decoded(found.get("output"))
    asked, usage = decoded(first(found, "input", "raw_input")), object_in(found.get("usage"))
    under = {
        OPERATION: "chat",
        "gen_ai.input.messages": asked_in({"system": response.get("instructions"), "messages": asked}),
        "gen_ai.output.messages": answered_in(response or (said if isinstance(said, list) else None)),
        PROVIDER_USAGE: usage if usage.get("total_tokens") else None,
    }
    return counted(span).saying(under)


def dumped(span: Span) -> Span:
    """Haystack and smolagents by OpenInference: only the answer's dump has cached tokens and reasoning."""
    if span.first(KIND) not in ("LLM", "EMBEDDING"):
        return span
    usage = _dumped_usage(str(span.attributes.get("output.value") or ""))
    counted = [span.first(*names) for names in (INPUT, OUTPUT)]
    same = counted in ([usage.get("prompt_tokens"), usage.get("completion_tokens")], [None, None])
    return span.saying({PROVIDER_USAGE: usage}) if usage and same else span


def _dumped_usage(answer: str) -> Mapping[str, Any]:
    """Return the last usage in an answer that is dumped as Python prints it."""
    usage: dict[str, Any] = {}
    for name, count in _DUMPED(_USAGE(answer)[-1]):
        place = usage.setdefault(_DETAILS[name], {}) if name in _DETAILS else usage
        place.setdefault(name, int(count))
    return usage
