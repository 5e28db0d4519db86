"""Prompt and answer texts of a model call's span, in every dialect they are logged in.

Dialects: message attributes of the GenAI conventions (on the span or on an event), one event a message,
indexed attributes of OpenLLMetry, OpenInference, and one JSON string for all. Each is tried in that order.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from aiops_pipelines.inference_log.messages import (
    Conversation,
    Turn,
    by_names,
    chunk_of,
    decoded,
    first,
    listed,
    messages,
    text_of,
    turns,
)
from aiops_pipelines.inference_log.otlp_spans import Span
from aiops_pipelines.inference_log.provider_texts import answer_text, request_turns

_ROLE_EVENTS = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message")
_FINISH = ("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "llm.finish_reason")
"""The second is that of Semantic Kernel."""
_BODY = {"generations", "choices", "candidates", "usage"}
DETAILS = ("gen_ai.client.inference.operation.details", "gen_ai.content.prompt", "gen_ai.content.completion")
Named = Callable[[Mapping[str, Any]], list[tuple[str, re.Match[str]]]]


def _numbered(pattern: str) -> Named:
    """Return a finder of the attributes with such a name."""
    fits = re.compile(pattern).fullmatch
    return by_names(lambda names: [(name, matched) for name in names if (matched := fits(name))])


_PROMPT = _numbered(r"gen_ai\.prompt\.(\d+)\.(role|content)")
_COMPLETION = _numbered(r"gen_ai\.completion\.(\d+)\.(role|content)")
_OI_MESSAGE = r"\.(\d+)\.message\.(role|content|contents\.\d+\.message_content\.text)"
_OI_INPUT = _numbered(r"llm\.input_messages" + _OI_MESSAGE)
_OI_OUTPUT = _numbered(r"llm\.output_messages" + _OI_MESSAGE)
_DOCUMENT = _numbered(
    r"(?:retrieval|reranker\.output)[._]documents\.(\d+)\.document\.(id|score|content|metadata)"
)
_OI_TOOL = _numbered(r"llm\.tools\.\d+\.tool\.json_schema")


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
    asked = _turns(found, span)
    spoken = decoded(found.get("gen_ai.output.messages"))
    answers = _answers(found, span, spoken)
    tools = first(found, "gen_ai.tool.definitions") or [found[name] for name, _ in _OI_TOOL(found)]
    return Conversation(
        [*_instructions(found), *asked] if asked else None,
        "\n".join(answers) if answers else None,
        tools if isinstance(tools, str) else json.dumps(tools) if tools else "",
        _finish(found, span, spoken),
    )


def _turns(found: Mapping[str, Any], span: Span) -> list[Turn]:
    return (
        messages(found.get("gen_ai.input.messages"))
        or [turn for turn in _spoken_events(span) if turn[1]]
        or _indexed(found, _PROMPT)
        or _indexed(found, _OI_INPUT)
        or _whole_prompt(first(found, "gen_ai.prompt", "input.value"))
    )


def _whole_prompt(raw: Any) -> list[Turn]:
    """Return the turns of a prompt that is logged as one value: a text, messages, or a request's body."""
    body = decoded(raw)
    return request_turns(body) if isinstance(body, dict) and "messages" in body else messages(raw)


def _whole_answer(raw: Any) -> list[str]:
    """Return the answer that is logged as one value; a response's body may hold none, of tool calls only."""
    body = decoded(raw)
    if all(isinstance(one, dict) and not _BODY.isdisjoint(one) for one in listed(body)):
        return [text] if (text := answer_text(body)) else []
    return [text for _, text in messages(raw, "assistant")]


def _spoken_events(span: Span) -> Iterator[Turn]:
    for event in span.events:
        if named := _ROLE_EVENTS.fullmatch(event.name):
            content = decoded(event.attributes.get("content"))
            yield named[1], text_of(content if _are_blocks(content) else event.attributes)


def _are_blocks(content: Any) -> bool:
    """Say whether a message's content is blocks, as AWS has them: a list of objects that have a text."""
    return isinstance(content, list) and any(isinstance(one, dict) and "text" in one for one in content)


def _answers(found: Mapping[str, Any], span: Span, spoken: Any) -> list[str]:
    said = turns(found.get("gen_ai.output.messages"), spoken) or [
        ("assistant", text)
        for event in span.events
        if event.name == "gen_ai.choice" and (text := text_of(event.attributes))
    ]
    said = said or _indexed(found, _COMPLETION) or _indexed(found, _OI_OUTPUT)
    if not said and _OI_OUTPUT(found):  # an answer of tool calls alone, dumped beside
        return []
    return [text for _, text in said] or _whole_answer(first(found, "gen_ai.completion", "output.value"))


def _instructions(found: Mapping[str, Any]) -> list[Turn]:
    if (told := found.get("gen_ai.system_instructions")) is None:
        return []
    return [("system", text) for _, text in messages(told, "system")]


def _finish(found: Mapping[str, Any], span: Span, spoken: Any) -> frozenset[str]:
    reasons = first(found, *_FINISH)
    stated = decoded(reasons) if isinstance(reasons, str) else reasons
    choices = [
        event.attributes.get("finish_reason") for event in span.events if event.name == "gen_ai.choice"
    ]
    within = [m.get("finish_reason") for m in listed(spoken) if isinstance(m, dict)]
    return frozenset(str(reason).lower() for reason in [*listed(stated), *choices, *within] if reason)


def _indexed(found: Mapping[str, Any], named: Named) -> list[Turn]:
    messages: dict[int, dict[str, list[str]]] = {}
    for name, matched in named(found):
        if isinstance(value := found[name], str):
            part = "role" if matched[2] == "role" else "content"
            if matched[2].startswith("contents") and name.partition(".contents.")[0] + ".content" in found:
                continue  # said once as a whole and once in parts
            messages.setdefault(int(matched[1]), {"role": [], "content": []})[part].append(value)
    ordered = (messages[index] for index in sorted(messages))
    return [("".join(m["role"]) or "user", "\n".join(m["content"])) for m in ordered if m["content"]]


def retrieved(attributes: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the chunks of a retrieval span in rank order, each with its text, "" where it was not logged."""
    documents = decoded(first(attributes, "gen_ai.retrieval.documents"))
    for document in listed(documents):
        if isinstance(document := decoded(document), dict):
            yield chunk_of(document)
    indexed: dict[int, dict[str, Any]] = {}
    for name, matched in _DOCUMENT(attributes):
        indexed.setdefault(int(matched[1]), {})[matched[2]] = attributes[name]
    for index in sorted(indexed):
        yield chunk_of(indexed[index])
