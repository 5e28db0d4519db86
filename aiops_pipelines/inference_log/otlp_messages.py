"""Prompt and answer texts of a model call's span, in every dialect they are logged in.

Dialects: message attributes of the GenAI conventions (on the span or on an event), one event a message,
indexed attributes of OpenLLMetry, OpenInference, and one JSON string for all. Each is tried in that order.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from aiops_pipelines.inference_log.messages import (
    Conversation,
    Turn,
    chunk_of,
    decoded,
    first,
    listed,
    messages,
    text_of,
)
from aiops_pipelines.inference_log.otlp_spans import Span

_ROLE_EVENTS = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message")
DETAILS = ("gen_ai.client.inference.operation.details", "gen_ai.content.prompt", "gen_ai.content.completion")
_PROMPT = re.compile(r"gen_ai\.prompt\.(\d+)\.(role|content)")
_COMPLETION = re.compile(r"gen_ai\.completion\.(\d+)\.(role|content)")
_OI_INPUT = re.compile(
    r"llm\.input_messages\.(\d+)\.message\.(role|content|contents\.\d+\.message_content\.text)"
)
_OI_OUTPUT = re.compile(
    r"llm\.output_messages\.(\d+)\.message\.(role|content|contents\.\d+\.message_content\.text)"
)
_OI_TOOL = re.compile(r"llm\.tools\.\d+\.tool\.json_schema")


def with_details(span: Span) -> Span:
    """Return the span with the attributes of its details events under its own."""
    details = [event.attributes for event in span.events if event.name in DETAILS]
    if not details:
        return span
    merged: dict[str, Any] = {}
    for said in (*details, span.attributes):
        merged |= dict(said)
    return replace(span, attributes=merged)


def conversation(span: Span) -> Conversation:
    """Return the texts of a model call, its details events taken in."""
    found = span.attributes
    turns = _turns(found, span)
    answers = _answers(found, span)
    tools = first(found, "gen_ai.tool.definitions") or [v for k, v in found.items() if _OI_TOOL.fullmatch(k)]
    return Conversation(
        [*_instructions(found), *turns] if turns else None,
        "\n".join(answers) if answers else None,
        tools if isinstance(tools, str) else json.dumps(tools) if tools else "",
        _finish(found, span),
    )


def _turns(found: Mapping[str, Any], span: Span) -> list[Turn]:
    events = [
        (named[1], text_of(event.attributes))
        for event in span.events
        if (named := _ROLE_EVENTS.fullmatch(event.name))
    ]
    return (
        messages(found.get("gen_ai.input.messages"))
        or [turn for turn in events if turn[1]]
        or _indexed(found, _PROMPT)
        or _indexed(found, _OI_INPUT)
        or messages(first(found, "gen_ai.prompt", "input.value"))
    )


def _answers(found: Mapping[str, Any], span: Span) -> list[str]:
    choices = [text_of(event.attributes) for event in span.events if event.name == "gen_ai.choice"]
    spoken = messages(found.get("gen_ai.output.messages")) or [
        ("assistant", text) for text in choices if text
    ]
    spoken = spoken or _indexed(found, _COMPLETION) or _indexed(found, _OI_OUTPUT)
    spoken = spoken or messages(first(found, "gen_ai.completion", "output.value"), "assistant")
    return [text for _, text in spoken]


def _instructions(found: Mapping[str, Any]) -> list[Turn]:
    return [("system", text) for _, text in messages(found.get("gen_ai.system_instructions"), "system")]


def _finish(found: Mapping[str, Any], span: Span) -> frozenset[str]:
    reasons = first(found, "gen_ai.response.finish_reasons", "llm.finish_reason")
    stated = decoded(reasons) if isinstance(reasons, str) else reasons
    choices = [
        event.attributes.get("finish_reason") for event in span.events if event.name == "gen_ai.choice"
    ]
    spoken = decoded(found.get("gen_ai.output.messages"))
    within = [m.get("finish_reason") for m in listed(spoken) if isinstance(m, dict)]
    return frozenset(str(reason).lower() for reason in [*listed(stated), *choices, *within] if reason)


def _indexed(found: Mapping[str, Any], pattern: re.Pattern[str]) -> list[Turn]:
    messages: dict[int, dict[str, list[str]]] = {}
    for name, value in found.items():
        if (matched := pattern.fullmatch(name)) and isinstance(value, str):
            part = "role" if matched[2] == "role" else "content"
            messages.setdefault(int(matched[1]), {"role": [], "content": []})[part].append(value)
    ordered = (messages[index] for index in sorted(messages))
    return [("".join(m["role"]) or "user", "\n".join(m["content"])) for m in ordered if m["content"]]


def retrieved(attributes: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the chunks of a retrieval span in rank order, each with its text, "" where it was not logged."""
    documents = decoded(first(attributes, "gen_ai.retrieval.documents"))
    for document in listed(documents):
        if isinstance(document := decoded(document), dict):
            yield chunk_of(document)
    pattern = re.compile(
        r"(?:retrieval|reranker\.output)[._]documents\.(\d+)\.document\.(id|score|content|metadata)"
    )
    indexed: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        if matched := pattern.fullmatch(name):
            indexed.setdefault(int(matched[1]), {})[matched[2]] = value
    for index in sorted(indexed):
        yield chunk_of(indexed[index])
