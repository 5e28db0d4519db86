"""Prompt and answer texts as providers and frameworks log them: messages, their parts, retrieved chunks.

Where a format keeps them is the importer's business; how many tokens they are is `call_record`'s.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiops_pipelines.inference_log.lines import DOCUMENT_LIMIT, parse

Turn = tuple[str, str]
"""Role and text."""
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


def messages(raw: Any, role: str = "user") -> list[Turn]:
    """Return the turns that have a text, out of a list of messages, an object with one, or JSON text."""
    found = _message(raw)
    if isinstance(found, dict) and isinstance(found.get("messages"), list):
        found = found["messages"]
    turns = ((_role(message, role), text_of(message)) for message in map(_message, listed(found)))
    return [turn for turn in turns if turn[1]]


def _message(raw: Any) -> Any:
    """Decode messages that are logged as JSON text; a text that only looks like JSON stays as it is."""
    found = decoded(raw)
    return found if not isinstance(found, dict) or _SHAPE & found.keys() else raw


def _role(message: Any, role: str) -> str:
    return str(message.get("role") or role) if isinstance(message, dict) else role


def text_of(message: Any) -> str:
    """Return the text of a message, a part, a choice or a list of them; tool calls and media have none."""
    if isinstance(message, str):
        return message
    if isinstance(message, list):
        return "\n".join(filter(None, map(text_of, message)))
    if message is None or not isinstance(message, Mapping) or message.get("type") in _NO_TEXT:
        return ""
    for key in ("parts", "content", "text", "response", "result", "refusal"):
        if text := text_of(message.get(key)):
            return text
    for key in ("message", "gen_ai.event.content"):
        if text := text_of(_message(message.get(key))):
            return text
    return ""


def decoded(raw: Any) -> Any:
    """Return what JSON text of an object or a list spells; anything else as it is."""
    if not isinstance(raw, str) or not raw.lstrip().startswith(("{", "[")):
        return raw
    try:
        return parse(raw.encode(), DOCUMENT_LIMIT)
    except ValueError:
        return raw


def listed(value: Any) -> Iterable[Any]:
    """Return a list as it is, nothing as an empty one, and anything else as its only item."""
    return value if isinstance(value, list) else [] if value is None else [value]


def first(values: Mapping[str, Any], *names: str) -> Any:
    """Return the first value that is there and not blank under one of the names."""
    for name in names:
        if (value := values.get(name)) is not None and value != "":
            return value
    return None


def chunk_of(document: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a retrieved chunk as the record holds it, and its text, "" where it was not logged."""
    metadata = decoded(document.get("metadata"))
    where = {**(metadata if isinstance(metadata, dict) else {}), **document}
    path = first(where, "document", "source", "doc_uri", "file_path", "file_name")
    content = first(document, "content", "page_content", "text")
    named = first(where, "id", "chunk_id")
    chunk = {
        "chunk_id": None if named is None else str(named),
        "document": path if isinstance(path, str) else None,
        "score": document.get("score"),
    }
    return chunk, content if isinstance(content, str) else ""
