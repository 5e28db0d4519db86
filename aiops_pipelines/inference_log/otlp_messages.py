"""Prompt and answer texts of a model call's span, in every dialect they are logged in.

Dialects: message attributes of the GenAI conventions (on the span or on an event), one event a message,
indexed attributes of OpenLLMetry, OpenInference, and one JSON string for all. Each is tried in that order.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiops_pipelines.inference_log.lines import DOCUMENT_LIMIT, parse
from aiops_pipelines.inference_log.otlp_spans import Span, first

Turn = tuple[str, str]
"""Role and text."""
_ROLE_EVENTS = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message")
_DETAILS = ("gen_ai.client.inference.operation.details", "gen_ai.content.prompt", "gen_ai.content.completion")
_PROMPT = re.compile(r"gen_ai\.prompt\.(\d+)\.(role|content)")
_COMPLETION = re.compile(r"gen_ai\.completion\.(\d+)\.(role|content)")
_OI_INPUT = re.compile(
    r"llm\.input_messages\.(\d+)\.message\.(role|content|contents\.\d+\.message_content\.text)"
)
_OI_OUTPUT = re.compile(
    r"llm\.output_messages\.(\d+)\.message\.(role|content|contents\.\d+\.message_content\.text)"
)
_OI_TOOL = re.compile(r"llm\.tools\.\d+\.tool\.json_schema")

_SHAPE = {"messages", "message", "role", "parts", "content", "text"}
_NO_TEXT = ("reasoning", "thinking", "blob", "file", "uri")


@dataclass(frozen=True)
class Conversation:
    """What was sent and what came back; None where the texts were not logged."""

    turns: list[Turn] | None
    answer: str | None
    tools: str
    finish: frozenset[str]

    @property
    def system(self) -> str:
        """All system instructions."""
        return "\n".join(text for role, text in self.turns or [] if role in ("system", "developer"))

    @property
    def query(self) -> str | None:
        """The last message of the user."""
        return next((text for role, text in reversed(self.turns or []) if role in ("user", "human")), None)


def conversation(span: Span) -> Conversation:
    """Return the texts of a model call."""
    details: dict[str, Any] = {}
    for event in span.events:
        if event.name in _DETAILS:
            details |= dict(event.attributes)
    found = {**details, **span.attributes}
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
        (named[1], _text(event.attributes))
        for event in span.events
        if (named := _ROLE_EVENTS.fullmatch(event.name))
    ]
    return (
        _messages(found.get("gen_ai.input.messages"))
        or [turn for turn in events if turn[1]]
        or _indexed(found, _PROMPT)
        or _indexed(found, _OI_INPUT)
        or _messages(first(found, "gen_ai.prompt", "input.value"))
    )


def _answers(found: Mapping[str, Any], span: Span) -> list[str]:
    choices = [_text(event.attributes) for event in span.events if event.name == "gen_ai.choice"]
    spoken = _messages(found.get("gen_ai.output.messages")) or [
        ("assistant", text) for text in choices if text
    ]
    spoken = spoken or _indexed(found, _COMPLETION) or _indexed(found, _OI_OUTPUT)
    spoken = spoken or _messages(first(found, "gen_ai.completion", "output.value"), "assistant")
    return [text for _, text in spoken]


def _instructions(found: Mapping[str, Any]) -> list[Turn]:
    return [("system", text) for _, text in _messages(found.get("gen_ai.system_instructions"), "system")]


def _finish(found: Mapping[str, Any], span: Span) -> frozenset[str]:
    reasons = first(found, "gen_ai.response.finish_reasons", "llm.finish_reason")
    listed = _decoded(reasons) if isinstance(reasons, str) else reasons
    choices = [
        event.attributes.get("finish_reason") for event in span.events if event.name == "gen_ai.choice"
    ]
    messages = _decoded(found.get("gen_ai.output.messages"))
    within = [m.get("finish_reason") for m in _listed(messages) if isinstance(m, dict)]
    return frozenset(str(reason).lower() for reason in [*_listed(listed), *choices, *within] if reason)


def _messages(raw: Any, role: str = "user") -> list[Turn]:
    decoded = _message(raw)
    if isinstance(decoded, dict) and isinstance(decoded.get("messages"), list):
        decoded = decoded["messages"]
    turns = ((_role(message, role), _text(message)) for message in map(_message, _listed(decoded)))
    return [turn for turn in turns if turn[1]]


def _message(raw: Any) -> Any:
    """Decode messages that are logged as JSON text; a text that only looks like JSON stays as it is."""
    decoded = _decoded(raw)
    return decoded if not isinstance(decoded, dict) or _SHAPE & decoded.keys() else raw


def _role(message: Any, role: str) -> str:
    return str(message.get("role") or role) if isinstance(message, dict) else role


def _text(message: Any) -> str:
    """Return the text of a message, a part, a choice or a list of them; tool calls and media have none."""
    if isinstance(message, str):
        return message
    if isinstance(message, list):
        return "\n".join(filter(None, map(_text, message)))
    if not isinstance(message, Mapping) or message.get("type") in _NO_TEXT:
        return ""
    inner = [message.get(key) for key in ("parts", "content", "text", "response", "result", "refusal")]
    inner += [_message(message.get(key)) for key in ("message", "gen_ai.event.content")]
    return next((text for text in map(_text, inner) if text), "")


def _indexed(found: Mapping[str, Any], pattern: re.Pattern[str]) -> list[Turn]:
    messages: dict[int, dict[str, list[str]]] = {}
    for name, value in found.items():
        if (matched := pattern.fullmatch(name)) and isinstance(value, str):
            part = "role" if matched[2] == "role" else "content"
            messages.setdefault(int(matched[1]), {"role": [], "content": []})[part].append(value)
    ordered = (messages[index] for index in sorted(messages))
    return [("".join(m["role"]) or "user", "\n".join(m["content"])) for m in ordered if m["content"]]


def _decoded(raw: Any) -> Any:
    if not isinstance(raw, str) or not raw.lstrip().startswith(("{", "[")):
        return raw
    try:
        return parse(raw.encode(), DOCUMENT_LIMIT)
    except ValueError:
        return raw


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def retrieved(attributes: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the chunks of a retrieval span in rank order, each with its text, "" where it was not logged."""
    documents = _decoded(first(attributes, "gen_ai.retrieval.documents"))
    for document in _listed(documents):
        if isinstance(document := _decoded(document), dict):
            yield _chunk(document)
    pattern = re.compile(
        r"(?:retrieval|reranker\.output)[._]documents\.(\d+)\.document\.(id|score|content|metadata)"
    )
    indexed: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        if matched := pattern.fullmatch(name):
            indexed.setdefault(int(matched[1]), {})[matched[2]] = value
    for index in sorted(indexed):
        yield _chunk(indexed[index])


def _chunk(document: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    metadata = _decoded(document.get("metadata"))
    where = {**(metadata if isinstance(metadata, dict) else {}), **document}
    path = first(where, "document", "source", "doc_uri", "file_path", "file_name")
    content = document.get("content")
    named = first(where, "id", "chunk_id")
    chunk = {
        "chunk_id": None if named is None else str(named),
        "document": path if isinstance(path, str) else None,
        "score": document.get("score"),
    }
    return chunk, content if isinstance(content, str) else ""
